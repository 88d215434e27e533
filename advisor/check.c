/* SPDX-License-Identifier: Apache-2.0
 *
 * advisor check: the examples of a baseline answered again, and one verdict.
 */
#include "advisor/check.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "advisor/command.h"
#include "advisor/interrupt.h"
#include "advisor/output.h"
#include "advisor/reading.h"
#include "base/clock.h"
#include "techniques/prompt.h"

/* ---- What can be told before anything is read ------------------------------------------------ */

static enum status check_options(const struct options *options, struct error *err)
{
    struct error problem;
    if (options->study && options->artifact_path)
        return error_set(err, USAGE,
                         "--study and --artifact contradict each other: a study has an artifact of "
                         "its own; give one");
    for (size_t i = 0; i < options->also_count; i++) {
        const char *also = options->also[i];
        size_t length = strcspn(also, "=");
        char name[32] = "";
        if (length < sizeof name)
            memcpy(name, also, length);
        if (!guard_format_find(name))
            return error_set(err, USAGE,
                             "--also: there is no format \"%.*s\"; expected text, json, junit or "
                             "markdown",
                             (int)length, also);
        if (output_check(also + length + 1, &problem) != OK)
            return error_set(err, USAGE, "--also: %s", problem.text);
    }
    return OK;
}

/* ---- What is checked: out of the baseline ---------------------------------------------------- */

/* The model of the command line, else the one of the baseline, else the default one. */
static void choose_model(struct check *c)
{
    const char *known = c->baseline.model_path;
    if (c->options->model_given || !known || access(known, R_OK))
        return;
    c->view.model = known;
    c->view.model_given = true;
}

static enum status restore_options(struct check *c, struct error *err)
{
    const struct baseline *b = &c->baseline;
    const struct options *given = c->options;
    c->view = *given;
    c->view.operands[0] = given->data_path ? given->data_path : b->data_path;
    c->view.operand_count = 1;
    c->view.study = NULL;
    c->view.seed = b->seed;
    c->view.metric = metric_find(b->metric);
    c->view.test_path = NULL;
    if (b->test_apart)
        c->view.test_path = given->test_path ? given->test_path : b->test_path;
    choose_model(c);
    if (!c->view.metric)
        return error_set(err, BAD_DATA,
                         "%s: the baseline is judged by \"%s\", a metric that this program does "
                         "not have",
                         c->path, b->metric);
    if (reading_parse(b->reading, &c->arena, &c->view.reading, NULL) == OK)
        return OK;
    return error_set(err, BAD_DATA,
                     "%s: the baseline says in no way of this program how data are "
                     "read: %s",
                     c->path, b->reading);
}

static enum status same_data(const struct check *c, struct error *err)
{
    if (!strcmp(c->study->data.sha256, c->baseline.data_sha256))
        return OK;
    return error_set(err, BAD_DATA,
                     "%s has changed since the baseline %s was made, and labels, worked examples "
                     "and the test side come from it: give the file of then with --data, what was "
                     "trained on the new one with --study, or bless again",
                     c->study->data.path, c->path);
}

static enum status same_model(const struct check *c, struct error *err)
{
    if (c->options->model_given || !strcmp(c->study->model->sha256, c->baseline.model_sha256))
        return OK;
    return error_set(err, BAD_MODEL,
                     "%s is not the model of the baseline, %s with SHA-256 %.12s...; name that one "
                     "with --model FILE, or another one to compare it",
                     c->study->model->path, c->baseline.model_name, c->baseline.model_sha256);
}

/* The technique of the baseline, or the one of --technique with its defaults. */
static enum status choose_technique(struct check *c, struct error *err)
{
    const struct baseline *b = &c->baseline;
    const struct technique *technique = technique_find(b->technique),
                           *other = c->options->technique;
    if (other && other != technique) {
        if (other->needs & NEEDS_GRADIENT || other->fit)
            return error_set(err, USAGE,
                             "--technique: %s is trained; name the study that trained it with "
                             "--study",
                             other->name);
        c->replay.setting = setting_default(other);
        c->replay.examples = c->study->split.train_count;
        return OK;
    }
    if (!technique)
        return error_set(err, BAD_DATA,
                         "%s: the baseline has the technique \"%s\", which this program does not "
                         "have",
                         c->path, b->technique);
    c->replay.examples = (size_t)b->examples;
    enum status status =
        baseline_setting(b, c->path, technique, &c->arena, &c->replay.setting, err);
    if (status != OK)
        return status;
    return baseline_artifact(b, c->path, &c->arena, &c->replay.artifact, &c->replay.artifact_length,
                             err);
}

static enum status open_own(struct check *c, struct error *err)
{
    enum status status = restore_options(c, err);
    c->study = &c->own;
    if (status == OK)
        status = study_open(&c->own, &c->view, &c->progress, false, err);
    if (status == OK)
        status = same_data(c, err);
    if (status == OK)
        status = same_model(c, err);
    if (status != OK)
        return status;
    c->replay.seed = c->baseline.seed;
    status = choose_technique(c, err);
    if (status == OK && c->replay.examples > c->study->split.train_count)
        status = error_set(err, BAD_DATA,
                           "%s: the baseline was made with %zu training examples, and the data "
                           "have %zu",
                           c->path, c->replay.examples, c->study->split.train_count);
    return status;
}

/* ---- What is checked: out of a study --------------------------------------------------------- */

static enum status open_study(struct check *c, struct error *err)
{
    struct result result;
    const char *metric;
    enum status status =
        study_reopen(c->options->study, c->options, &c->progress, &c->reopened, err);
    c->study = &c->reopened.study;
    if (status == OK)
        status = reopened_result(&c->reopened, c->options->technique, &result, err);
    if (status != OK)
        return status;
    metric = c->study->evaluator.metric->name;
    if (strcmp(metric, c->baseline.metric) != 0)
        return error_set(err, USAGE,
                         "%s is judged by %s and the baseline %s by %s; they cannot be compared",
                         c->study->path, metric, c->path, c->baseline.metric);
    c->replay = (struct replay){.setting = result.setting,
                                .examples = (size_t)result.trial->key.examples,
                                .seed = result.trial->key.seed,
                                .artifact = result.artifact,
                                .artifact_length = result.artifact_length};
    return OK;
}

/* ---- What is checked: the rest --------------------------------------------------------------- */

static enum status use_artifact(struct check *c, struct error *err)
{
    const char *path = c->options->artifact_path;
    if (!path)
        return OK;
    if (!c->replay.artifact)
        return error_set(err, USAGE, "--artifact: %s learns nothing that it could load",
                         c->replay.setting.technique->name);
    return baseline_load_bytes(path, &c->arena, &c->replay.artifact, &c->replay.artifact_length,
                               err) == OK
               ? OK
               : error_prefix(err, "--artifact");
}

/* Whether a hyper-parameter only says what the model reads, so that it can be changed without
 * training again. */
static bool is_of_prompt(const char *assignment)
{
    size_t length = strcspn(assignment, "=");
    const struct hyperparameter *all = prompt_hyperparameters();
    for (size_t i = 0; all[i].name; i++)
        if (strlen(all[i].name) == length && !strncmp(all[i].name, assignment, length))
            return true;
    return false;
}

static enum status change_setting(struct check *c, struct error *err)
{
    enum status status = OK;
    for (size_t i = 0; i < c->options->setting_count && status == OK; i++) {
        const char *assignment = c->options->settings[i];
        if (c->replay.artifact && !is_of_prompt(assignment))
            return error_set(err, USAGE,
                             "--set %s: %s was trained without it; train again, and name the study "
                             "with --study",
                             assignment, c->replay.setting.technique->name);
        status = setting_set(&c->replay.setting, assignment, &c->arena, err);
    }
    return status;
}

static const char *json_of(struct check *c, const struct setting *setting)
{
    struct text text = {0};
    setting_json(setting, &text);
    const char *copy = arena_strdup(&c->arena, text_string(&text));
    text_release(&text);
    return copy;
}

static enum status note_what_it_is(struct check *c, struct error *err)
{
    char hex[HASH_HEX];
    struct setting before;
    const struct technique *technique = technique_find(c->baseline.technique);
    enum status status = OK;
    c->setting = json_of(c, &c->replay.setting);
    /* In the same notation, so that the two can be compared. */
    if (technique && setting_parse(technique, c->baseline.setting, &before, &c->arena, NULL) == OK)
        c->baseline.setting = json_of(c, &before);
    if (!c->replay.artifact)
        return OK;
    status = hash_bytes(c->replay.artifact, c->replay.artifact_length, hex, err);
    c->artifact_sha256 = arena_strdup(&c->arena, hex);
    return status;
}

static enum status same_labels(const struct check *c, struct error *err)
{
    const struct dataset *data = &c->study->data;
    const struct baseline *b = &c->baseline;
    size_t i = 0;
    if (strcmp(task_name(data->task), b->task) != 0)
        return error_set(err, BAD_DATA,
                         "%s: the task is %s now, and was %s for the baseline %s; they cannot be "
                         "compared",
                         data->path, task_name(data->task), b->task, c->path);
    while (i < data->label_count && i < b->label_count &&
           !strcmp(data->labels[i].name, b->labels[i]))
        i++;
    if (i == data->label_count && i == b->label_count)
        return OK;
    return error_set(err, BAD_DATA,
                     "%s: the labels have changed since the baseline %s: there are %zu and were "
                     "%zu, and number %zu is \"%s\" and was \"%s\"; they cannot be compared, so "
                     "bless again",
                     data->path, c->path, data->label_count, b->label_count, i + 1,
                     i < data->label_count ? data->labels[i].name : "",
                     i < b->label_count ? b->labels[i] : "");
}

static enum status open_subject(struct check *c, struct error *err)
{
    enum status status = c->options->study ? open_study(c, err) : open_own(c, err);
    if (status == OK)
        status = same_labels(c, err);
    if (status == OK)
        status = use_artifact(c, err);
    if (status == OK)
        status = change_setting(c, err);
    return status == OK ? note_what_it_is(c, err) : status;
}

/* ---- Which examples -------------------------------------------------------------------------- */

static enum status open_exam(struct check *c, struct error *err)
{
    const char *path = c->options->test_path;
    if (!c->options->study && c->baseline.test_apart)
        path = NULL; /* it is the study's test side already */
    else if (!c->options->study && !path)
        path = c->baseline.test_path;
    enum status status = exam_open(&c->exam, c->study, path, err);
    return status == OK ? exam_pair(&c->exam, &c->baseline, &c->arena, &c->pairing, err) : status;
}

static enum status relabelled(const struct check *c, struct error *err)
{
    const struct example *example = exam_example(&c->exam, c->pairing.relabelled_index);
    return error_set(err, BAD_DATA,
                     "%s: %zu examples have another right answer than in the baseline %s, such as "
                     "line %zu, \"%.60s\", before \"%.60s\"; answers to different questions cannot "
                     "be compared: restore the labels, or bless again",
                     c->exam.path, c->pairing.relabelled, c->path, example->line, example->target,
                     c->baseline.label_count ? c->pairing.relabelled_target : "(kept as a hash)");
}

static enum status incomplete(const struct check *c, struct error *err)
{
    return error_set(err, BAD_DATA,
                     "%s has %zu of the %zu examples of the baseline %s, and %zu others: different "
                     "examples cannot be compared one by one; give the file of the baseline with "
                     "--test, say --shared to compare on the %zu, or bless again",
                     c->exam.path, c->pairing.count, c->baseline.answer_count, c->path,
                     c->pairing.extra, c->pairing.count);
}

/* Decides between pairs and two sets of examples; see the help of the command. */
static enum status choose_examples(struct check *c, struct error *err)
{
    const struct pairing *p = &c->pairing;
    bool nothing_shared = !p->count && !p->relabelled;
    if (p->relabelled)
        return relabelled(c, err);
    c->paired = !(nothing_shared && c->options->test_path && !c->options->shared);
    if (c->paired && p->missing && !(c->options->shared && p->count))
        return incomplete(c, err);
    if (!c->paired && c->options->slice)
        return error_set(err, USAGE,
                         "--slice needs the examples of the baseline, and %s has only others",
                         c->exam.path);
    c->count = c->paired ? p->count : c->exam.count;
    c->chosen = arena_alloc(&c->arena, c->count * sizeof *c->chosen + 1);
    for (size_t i = 0; i < c->count; i++)
        c->chosen[i] = c->paired ? p->pairs[i].index : i;
    if (!c->options->slice)
        return OK;
    return slices_read(&c->exam, &c->study->options->reading, c->options->slice, c->chosen,
                       c->count, &c->arena, &c->slices, err);
}

/* ---- The verdict ----------------------------------------------------------------------------- */

const struct baseline_answer *check_before(const struct check *check, size_t i)
{
    return &check->baseline.answers[check->pairing.pairs[i].before];
}

static int label_index(const struct dataset *data, const char *name)
{
    return data->label_count && name ? dataset_label_index(data, name) : NO_LABEL;
}

static enum status answer(struct check *c, struct error *err)
{
    enum status status =
        exam_run(&c->exam, c->study, &c->replay, c->chosen, c->count, &c->arena, &c->outcome, err);
    c->answers = arena_zalloc(&c->arena, c->count * sizeof *c->answers + 1);
    for (size_t i = 0; i < c->count && status == OK; i++)
        status = exam_answer(&c->study->data, &c->outcome.predictions[i], &c->arena, &c->answers[i],
                             err);
    return status;
}

static void recall_answers(struct check *c)
{
    c->before_count = c->paired ? c->count : c->baseline.answer_count;
    c->before = arena_zalloc(&c->arena, c->before_count * sizeof *c->before + 1);
    for (size_t i = 0; i < c->before_count; i++) {
        const struct baseline_answer *a = c->paired ? check_before(c, i) : &c->baseline.answers[i];
        c->before[i] = (struct prediction){.truth = label_index(&c->study->data, a->target),
                                           .label = label_index(&c->study->data, a->answer),
                                           .correct = a->correct};
    }
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && !strcmp(a, b));
}

const char *check_change(const struct check *c, size_t index)
{
    const struct baseline *b = &c->baseline;
    bool setting = strcmp(c->setting, b->setting) != 0;
    bool technique = strcmp(c->replay.setting.technique->name, b->technique) != 0;
    const struct {
        const char *name;
        bool differs;
    } all[] = {
        {"model", strcmp(c->study->model->sha256, b->model_sha256) != 0},
        {"data", strcmp(c->study->data.sha256, b->data_sha256) != 0},
        {"technique", technique},
        {"setting", setting && !technique},
        {"training", (int64_t)c->replay.examples != b->examples || c->replay.seed != b->seed},
        {"artifact", !same_text(c->artifact_sha256, b->artifact_sha256)},
        {"examples", !c->paired || c->pairing.missing > 0},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i].differs && !index--)
            return all[i].name;
    return NULL;
}

/* The same answers with the same probabilities, but for what another processor's arithmetic does to
 * their last digits. */
static bool same_answers(const struct check *c)
{
    static const double slack = 1e-3;
    for (size_t i = 0; i < c->count; i++) {
        const struct baseline_answer *a = check_before(c, i);
        const struct prediction *p = &c->outcome.predictions[i];
        bool labelled = p->label >= 0 && a->probability.known;
        if (!same_text(a->answer, c->answers[i]) || a->correct != p->correct ||
            (labelled && !(fabs(a->probability.value - p->probability) <= slack)))
            return false;
    }
    return true;
}

/* Nothing that decides the answers has changed, and they are the same: it is the same function, so
 * the difference is 0, here and on examples that nobody has seen. */
static void settle_identical(struct check *c)
{
    struct guard_result *r = &c->result;
    c->identical = c->paired && !check_change(c, 0) && same_answers(c);
    if (!c->identical)
        return;
    r->verdict = GUARD_PASS;
    for (size_t i = 0; i <= r->group_count; i++) {
        struct guard_group *group = i < r->group_count ? &r->groups[i] : &r->whole;
        group->verdict = GUARD_PASS;
        group->low = group->high = 0;
    }
}

static enum status decide(struct check *c, struct error *err)
{
    recall_answers(c);
    struct guard_question question = {.metric = c->study->evaluator.metric,
                                      .classes = c->study->data.label_count,
                                      .margin = c->options->margin,
                                      .paired = c->paired,
                                      .before = c->before,
                                      .before_count = c->before_count,
                                      .after = c->outcome.predictions,
                                      .after_count = c->count,
                                      .slice = c->slices.of,
                                      .slice_count = c->slices.count,
                                      .seed = c->baseline.seed};
    enum status status = guard_decide(&question, &c->arena, &c->result, err);
    if (status == OK)
        settle_identical(c);
    return status;
}

/* ---- Output ---------------------------------------------------------------------------------- */

static enum status write_one(const struct check *c, const struct guard_report *report,
                             const struct guard_format *format, const char *path, struct error *err)
{
    enum { PLAIN_WIDTH = 80, MOST_COLUMNS = 120 };
    struct options options = *c->options;
    struct guard_style style = {.columns = PLAIN_WIDTH};
    struct text out = {0};
    options.output = path;
    if (!path && isatty(STDOUT_FILENO)) {
        int columns = terminal_columns(stdout);
        style.columns = columns < MOST_COLUMNS ? columns : MOST_COLUMNS;
    }
    style.color = path ? options.color == COLOR_ALWAYS : output_color(&options, stdout);
    format->write(report, style, &out);
    enum status status = output_write(&options, &out, err);
    text_release(&out);
    return status;
}

static enum status write_all(const struct check *c, const struct guard_report *report,
                             struct error *err)
{
    const struct options *options = c->options;
    const struct guard_format *format = guard_format_at(0);
    if (options->format_name)
        format = guard_format_find(options->format_name);
    enum status status = OK;
    if (!report->error || format->writes_errors)
        status = write_one(c, report, format, options->output, err);
    for (size_t i = 0; i < options->also_count && status == OK; i++) {
        char name[32] = "";
        const char *equals = strchr(options->also[i], '=');
        memcpy(name, options->also[i], (size_t)(equals - options->also[i]));
        format = guard_format_find(name);
        if (!report->error || format->writes_errors)
            status = write_one(c, report, format, equals + 1, err);
    }
    return status;
}

/* A CI server shows a check that could not be made too. The first error is the one to tell. */
static void write_error(const struct check *c, const struct error *err)
{
    struct error second = {0};
    struct guard_report report = {.error = err->text, .seconds = clock_seconds() - c->began};
    write_all(c, &report, &second);
}

static enum status exit_status(const struct check *c, struct error *err)
{
    static const enum status statuses[] = {
        [GUARD_PASS] = OK, [GUARD_REGRESSION] = REGRESSION, [GUARD_INCONCLUSIVE] = INCONCLUSIVE};
    enum status status = statuses[c->result.verdict];
    if (status == OK)
        return OK;
    if (!c->options->output)
        return error_set(err, status, "%s", ""); /* all is said */
    return error_set(err, status, "%s: %s; see %s", c->path, guard_verdict_name(c->result.verdict),
                     c->options->output);
}

/* ---- All of it ------------------------------------------------------------------------------- */

static enum status run(struct check *c, struct error *err)
{
    struct guard_report report;
    enum status status;
    if ((status = baseline_read(c->path, &c->arena, &c->baseline, err)) ||
        (status = open_subject(c, err)) || (status = open_exam(c, err)) ||
        (status = choose_examples(c, err)) || (status = answer(c, err)) ||
        (status = decide(c, err)))
        return status;
    check_report(c, &report);
    progress_clear(&c->progress);
    return write_all(c, &report, err);
}

enum status check_run(const struct options *options, struct error *err)
{
    struct check c = {.options = options,
                      .path = options->operand_count ? options->operands[0] : BASELINE_FILE,
                      .began = clock_seconds(),
                      .own = {.lock = -1}};
    enum status status = check_options(options, err);
    if (status != OK)
        return status;
    arena_init(&c.arena, NULL);
    interrupt_install();
    progress_open(&c.progress, options);
    status = run(&c, err);
    progress_clear(&c.progress);
    if (status == OK)
        status = exit_status(&c, err);
    else if (status != INTERRUPTED)
        write_error(&c, err);
    exam_release(&c.exam);
    if (c.own.options)
        study_close(&c.own);
    reopened_close(&c.reopened);
    arena_release(&c.arena);
    return status;
}
