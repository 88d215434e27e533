/* SPDX-License-Identifier: Apache-2.0
 *
 * advisor bless: what was accepted, run once more as `check` will run it, and written down.
 */
#include <string.h>
#include <unistd.h>

#include "advisor/baseline.h"
#include "advisor/command.h"
#include "advisor/exam.h"
#include "advisor/interrupt.h"
#include "advisor/output.h"
#include "advisor/reading.h"
#include "advisor/reopen.h"
#include "model/blas.h"
#include "reports/writer.h"

struct blessing {
    const struct options *options;
    const char *path; /* of the baseline */
    struct progress progress;
    struct reopened reopened;
    struct result result;
    struct exam exam;
    struct trial_outcome outcome;
    struct baseline baseline;
};

/* ---- The answers ---------------------------------------------------------------------------- */

static enum status run(struct blessing *b, struct error *err)
{
    const struct trial_record *trial = b->result.trial;
    struct replay replay = {.setting = b->result.setting,
                            .examples = (size_t)trial->key.examples,
                            .seed = trial->key.seed,
                            .artifact = b->result.artifact,
                            .artifact_length = b->result.artifact_length};
    return exam_run(&b->exam, &b->reopened.study, &replay, NULL, b->exam.count, &b->reopened.arena,
                    &b->outcome, err);
}

/* The study answered these examples before; the same program gives the same answers. */
static enum status compare_with_study(struct blessing *b, struct error *err)
{
    struct prediction *stored;
    size_t count, differ = 0, seen = 0;
    if (b->exam.own.count)
        return OK;
    enum status status = trial_predictions_get(b->reopened.study.store, b->result.trial->id,
                                               SIDE_TEST, &b->reopened.arena, &stored, &count, err);
    for (size_t i = 0; i < b->outcome.count && status == OK; i++) {
        for (size_t k = 0; k < count; k++) {
            if (stored[k].example != b->outcome.predictions[i].example)
                continue;
            seen++;
            differ += stored[k].label != b->outcome.predictions[i].label ||
                      stored[k].correct != b->outcome.predictions[i].correct;
        }
    }
    if (differ)
        progress_note(&b->progress,
                      "%zu of %zu answers differ from those in the study, which another version of "
                      "the program or another processor gave",
                      differ, seen);
    return status;
}

static enum status fill_answers(struct blessing *b, struct error *err)
{
    struct arena *arena = &b->reopened.arena;
    const struct dataset *data = &b->reopened.study.data;
    struct keyed *keys;
    enum status status = exam_keys(&b->exam, arena, &keys, err);
    b->baseline.answer_count = b->outcome.count;
    b->baseline.answers = arena_zalloc(arena, b->outcome.count * sizeof *b->baseline.answers + 1);
    for (size_t i = 0; i < b->outcome.count && status == OK; i++) {
        const struct prediction *p = &b->outcome.predictions[keys[i].index];
        struct baseline_answer *answer = &b->baseline.answers[i];
        *answer = keys[i].key;
        answer->correct = p->correct;
        answer->probability = p->label >= 0 ? measured(p->probability) : (struct measured){0};
        status = exam_answer(data, p, arena, &answer->answer, err);
    }
    return status;
}

/* ---- The baseline --------------------------------------------------------------------------- */

/* "advisor-baseline-1a2b3c4d.bin" for "ci/advisor-baseline.json". */
static enum status name_artifact(struct blessing *b, struct error *err)
{
    struct arena *arena = &b->reopened.arena;
    const char *slash = strrchr(b->path, '/');
    const char *base = slash ? slash + 1 : b->path;
    const char *dot = strrchr(base, '.');
    char hex[HASH_HEX];
    if (!b->result.artifact)
        return OK;
    enum status status = hash_bytes(b->result.artifact, b->result.artifact_length, hex, err);
    b->baseline.artifact_sha256 = arena_strdup(arena, hex);
    b->baseline.artifact_bytes = (int64_t)b->result.artifact_length;
    b->baseline.artifact_file = arena_printf(
        arena, "%.*s-%.8s.bin", (int)(dot ? dot - base : (ptrdiff_t)strlen(base)), base, hex);
    return status;
}

static const char *const *labels_of(const struct dataset *data, struct arena *arena)
{
    const char **labels = arena_alloc(arena, data->label_count * sizeof *labels + 1);
    for (size_t i = 0; i < data->label_count; i++)
        labels[i] = data->labels[i].name;
    return labels;
}

static void fill_origin(struct blessing *b)
{
    struct baseline *baseline = &b->baseline;
    struct study *study = &b->reopened.study;
    struct arena *arena = &b->reopened.arena;
    struct text setting = {0};
    setting_json(&b->result.setting, &setting);
    baseline->program = ADVISOR_VERSION;
    baseline->engine = blas_version();
    baseline->study = study->record.name;
    baseline->technique = b->result.setting.technique->name;
    baseline->setting = arena_strdup(arena, text_string(&setting));
    baseline->examples = b->result.trial->key.examples;
    baseline->seed = study->record.seed;
    baseline->model_name = study->model->name;
    baseline->model_path = study->options->model_given ? study->options->model : NULL;
    baseline->model_sha256 = study->model->sha256;
    baseline->data_path = study->data.path;
    baseline->data_sha256 = study->data.sha256;
    baseline->reading = reading_json(&study->options->reading, arena);
    baseline->task = task_name(study->data.task);
    baseline->test_apart = study->test_data.count > 0;
    if (b->exam.from != &study->data) {
        baseline->test_path = b->exam.path;
        baseline->test_sha256 = b->exam.from->sha256;
    }
    baseline->labels = labels_of(&study->data, arena);
    baseline->label_count = study->data.label_count;
    text_release(&setting);
}

static void fill_results(struct blessing *b)
{
    const struct trial_record *record = &b->outcome.record;
    struct baseline *baseline = &b->baseline;
    baseline->metric = record->metric_name;
    baseline->value = record->metric.value;
    baseline->low = record->low.value;
    baseline->high = record->high.value;
    baseline->tokens_per_request = record->tokens_per_request;
    baseline->latency_ms = record->latency_ms;
    baseline->peak_memory_bytes = record->peak_memory_bytes;
}

/* ---- Writing -------------------------------------------------------------------------------- */

static enum status check_free(const struct blessing *b, struct error *err)
{
    if (b->options->force || access(b->path, F_OK))
        return OK;
    return error_set(err, USAGE, "%s is there already; --force replaces it, -o names another one",
                     b->path);
}

static enum status write_file(const struct blessing *b, const char *path, const struct text *bytes,
                              struct error *err)
{
    struct options options = *b->options;
    options.output = path;
    return output_write(&options, bytes, err);
}

static enum status write_artifact(const struct blessing *b, struct error *err)
{
    struct text path = {0}, bytes = {0};
    if (!b->baseline.artifact_file)
        return OK;
    baseline_beside(b->path, b->baseline.artifact_file, &path);
    text_append(&bytes, b->result.artifact, b->result.artifact_length);
    enum status status = write_file(b, text_string(&path), &bytes, err);
    text_release(&path);
    text_release(&bytes);
    return status;
}

/* The artifact of the baseline that was replaced, which nothing names any more. */
static void remove_old_artifact(const struct blessing *b, const struct baseline *old)
{
    struct text path = {0};
    const char *kept = b->baseline.artifact_file;
    if (!old->artifact_file || (kept && !strcmp(kept, old->artifact_file)))
        return;
    baseline_beside(b->path, old->artifact_file, &path);
    unlink(text_string(&path));
    text_release(&path);
}

/* The artifact first: a baseline that is there has what it names, whenever the power fails. */
static enum status write_all(struct blessing *b, struct error *err)
{
    struct text text = {0};
    struct baseline old;
    enum status status = baseline_write(&b->baseline, &text, err);
    if (status == OK)
        status = check_free(b, err); /* it took a while */
    bool replaced = baseline_read(b->path, &b->reopened.arena, &old, NULL) == OK;
    if (status == OK)
        status = write_artifact(b, err);
    if (status == OK)
        status = write_file(b, b->path, &text, err);
    if (status == OK && replaced)
        remove_old_artifact(b, &old);
    text_release(&text);
    return status;
}

static void describe(const struct blessing *b, struct text *out)
{
    const struct baseline *baseline = &b->baseline;
    bool named = strcmp(b->path, BASELINE_FILE) != 0;
    text_printf(out, "Blessed %s: %s %.3f [%.3f, %.3f] on %zu examples.\n", baseline->technique,
                baseline->metric, baseline->value, baseline->low, baseline->high,
                baseline->answer_count);
    text_printf(out, "Commit %s", b->path);
    if (baseline->artifact_file)
        text_printf(out, " and, beside it, %s", baseline->artifact_file);
    text_printf(out, "; `advisor check%s%s` compares with it.\n", named ? " " : "",
                named ? b->path : "");
}

static void describe_json(const struct blessing *b, struct text *out)
{
    const struct baseline *baseline = &b->baseline;
    struct writer w = writer_begin(out);
    write_object(&w, NULL);
    write_integer(&w, "schema", 1);
    write_string(&w, "baseline", b->path);
    write_string(&w, "artifact", baseline->artifact_file);
    write_string(&w, "technique", baseline->technique);
    write_string(&w, "metric_name", baseline->metric);
    write_number(&w, "metric", baseline->value);
    write_number(&w, "low", baseline->low);
    write_number(&w, "high", baseline->high);
    write_integer(&w, "examples", (int64_t)baseline->answer_count);
    write_object_end(&w);
    writer_end(&w);
}

static enum status say(const struct blessing *b, struct error *err)
{
    struct options options = *b->options;
    struct text out = {0};
    options.output = NULL;
    if (options.format_name && !strcmp(options.format_name, "json"))
        describe_json(b, &out);
    else
        describe(b, &out);
    enum status status = output_write(&options, &out, err);
    text_release(&out);
    return status;
}

/* ---- All of it ------------------------------------------------------------------------------ */

static enum status bless(struct blessing *b, const struct technique *technique, struct error *err)
{
    enum status status;
    if ((status =
             study_reopen(b->options->operands[0], b->options, &b->progress, &b->reopened, err)) ||
        (status = reopened_result(&b->reopened, technique, &b->result, err)) ||
        (status = exam_open(&b->exam, &b->reopened.study, b->options->test_path, err)) ||
        (status = run(b, err)) || (status = compare_with_study(b, err)) ||
        (status = name_artifact(b, err)) || (status = fill_answers(b, err)))
        return status;
    fill_origin(b);
    fill_results(b);
    return write_all(b, err);
}

enum status bless_run(const struct options *options, struct error *err)
{
    struct blessing b = {.options = options, .path = BASELINE_FILE};
    const struct technique *technique = NULL;
    enum status status = OK;
    if (options->output)
        b.path = options->output;
    if (options->operand_count > 1)
        status = options_technique("TECHNIQUE", options->operands[1], &technique, err);
    if (status == OK)
        status = check_free(&b, err);
    if (status != OK)
        return status;
    interrupt_install();
    progress_open(&b.progress, options);
    status = bless(&b, technique, err);
    progress_clear(&b.progress);
    if (status == OK)
        status = say(&b, err);
    exam_release(&b.exam);
    reopened_close(&b.reopened);
    return status;
}
