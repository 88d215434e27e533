/* SPDX-License-Identifier: Apache-2.0
 *
 * advisor export: what a technique learned in a study, as files that load elsewhere.
 */
#include <string.h>

#include "advisor/allocate.h"
#include "advisor/command.h"
#include "advisor/interrupt.h"
#include "advisor/output.h"
#include "advisor/reopen.h"
#include "artifacts/export.h"
#include "artifacts/task_table.h"
#include "reports/writer.h"

/* Examples of the proof: answers in words take longer. */
enum { REPLAYED_LABELS = 64, REPLAYED_TEXTS = 16 };

/* Seconds for the proof of another export, which a large model may need. */
enum { PATIENCE = 60 };

struct exporting {
    const struct options *options;
    struct reopened reopened;
    struct result result; /* what the study found; its setting and artifact */
    const struct export_format *format;
    const char *task; /* its name in a prompt table */
    struct adapted *adapted;
    struct material material;
    struct kept kept;
    struct agreement agreement;
    struct text out;
};

/* ---- Which format --------------------------------------------------------------------------- */

/* `kept` is what the prompt is made of, NULL while that is not known. */
static enum status choose_format(struct exporting *e, const struct kept *kept, struct error *err)
{
    const char *name = e->options->format_name;
    e->format = name ? export_format_find(name) : export_format_for(&e->result.setting, kept);
    const char *why = e->format->refuses(&e->result.setting, kept);
    if (!why)
        return OK;
    struct text names = {0};
    const struct export_format *format;
    for (size_t i = 0; (format = export_format_at(i)); i++)
        if (!format->refuses(&e->result.setting, kept))
            text_printf(&names, "%s%s", names.length ? ", " : "", format->name);
    enum status status =
        error_set(err, USAGE, "--format %s cannot hold %s: %s; expected one of %s", e->format->name,
                  e->result.setting.technique->name, why, text_string(&names));
    text_release(&names);
    return status;
}

/* The name of the data without folder, colon and ending, unless another one is given. */
static const char *name_task(struct exporting *e)
{
    const char *name = e->reopened.study.data.path;
    for (const char *at = name; *at; at++)
        if (*at == '/' || *at == ':')
            name = at + 1;
    const char *dot = strrchr(name, '.');
    size_t length = dot && dot > name ? (size_t)(dot - name) : strlen(name);
    return e->options->task_name ? e->options->task_name
                                 : arena_strndup(&e->reopened.study.arena, name, length);
}

/* What can be told of the output before anything is loaded or computed. */
static enum status check_output(const struct options *options, struct error *err)
{
    const char *name = options->format_name;
    bool one_file = name && export_format_find(name)->one_file;
    if (!options->output)
        return error_set(err, USAGE, "export needs a %s to write; expected --output %s",
                         one_file ? "file" : "folder", one_file ? "FILE" : "FOLDER");
    if (options->task_name && !one_file)
        return error_set(err, USAGE,
                         "--task-name: only a prompt table has tasks by name; expected "
                         "--format prompt-table with it");
    return one_file ? output_check(options->output, err)
                    : folder_check(options->output, options->force, err);
}

/* ---- The original --------------------------------------------------------------------------- */

static enum status recreate(struct exporting *e, struct error *err)
{
    struct study *study = &e->reopened.study;
    const struct result *result = &e->result;
    e->material = (struct material){.data = &study->data,
                                    .rows = study->split.train,
                                    .count = (size_t)e->result.trial->key.examples,
                                    .seed = e->result.trial->key.seed};
    if (e->material.count > study->split.train_count)
        return error_set(err, FAILED,
                         "%s: the trial used %zu training examples, and the data have %zu now",
                         study->data.path, e->material.count, study->split.train_count);
    if (technique_learns(result->setting.technique) && !result->artifact)
        return error_set(err, FAILED,
                         "the study did not keep what %s learned (trial %lld), so it cannot be "
                         "exported; measure it again with `advisor recommend --fresh`",
                         result->setting.technique->name, (long long)result->trial->id);
    enum status status =
        adapted_create(&e->adapted, study->engine, &result->setting, &e->material, err);
    if (status == OK && result->artifact)
        status = adapted_load(e->adapted, result->artifact, result->artifact_length, err);
    if (status == OK && e->result.setting.technique->keep)
        status = e->result.setting.technique->keep(e->adapted, &e->material, &e->kept,
                                                   &study->arena, err);
    return status == OK ? choose_format(e, &e->kept, err) : status;
}

/* ---- The export ----------------------------------------------------------------------------- */

/* The first development examples, with what the trial answered. */
static enum status take_replay(struct exporting *e, struct proof *replay, struct error *err)
{
    struct study *study = &e->reopened.study;
    struct prediction *predictions;
    size_t count, most = study->data.label_count ? REPLAYED_LABELS : REPLAYED_TEXTS;
    enum status status = trial_predictions_get(e->reopened.study.store, e->result.trial->id,
                                               SIDE_DEV, &study->arena, &predictions, &count, err);
    if (status != OK)
        return status;
    count = count < most ? count : most;
    const struct example **examples = arena_alloc(&study->arena, (count + 1) * sizeof *examples);
    for (size_t i = 0; i < count; i++) {
        if (predictions[i].example < 0 || (size_t)predictions[i].example >= study->data.count)
            return error_set(err, FAILED, "%s: an answer belongs to no row of the data",
                             store_path(e->reopened.study.store));
        examples[i] = &study->data.examples[predictions[i].example];
    }
    *replay = (struct proof){examples, predictions, count};
    return OK;
}

static struct manifest facts_of(const struct trial_record *trial)
{
    bool tested = trial->test_metric.known;
    return (struct manifest){.metric = trial->metric_name,
                             .value = trial->metric.value,
                             .low = trial->low.value,
                             .high = trial->high.value,
                             .measured_on = (size_t)trial->dev_predictions,
                             .test = trial->test_metric.value,
                             .tested_on = tested ? (size_t)trial->test_predictions : 0,
                             .advisor = ADVISOR_VERSION};
}

static enum status make(struct exporting *e, struct progress *progress, struct error *err)
{
    const struct options *options = e->options;
    const struct deadline deadline = {.signal = interrupt_flag()};
    bool f32 = !strcmp(options->weight_type, "f32");
    struct export_request request = {.format = e->format,
                                     .adapted = e->adapted,
                                     .material = &e->material,
                                     .kept = e->kept,
                                     .type = f32 ? WEIGHTS_F32 : WEIGHTS_F16,
                                     .facts = facts_of(e->result.trial),
                                     .folder = options->output,
                                     .task = e->task,
                                     .replace = options->force,
                                     .patience = PATIENCE,
                                     .threads = options->threads,
                                     .deadline = &deadline};
    enum status status = take_replay(e, &request.replay, err);
    if (status != OK)
        return status;
    progress_update(progress, e->result.setting.technique->name, "export and proof", 0, 0, 0, 0);
    return export_make(&request, &e->agreement, err);
}

static void describe(struct exporting *e)
{
    const struct trial_record *t = e->result.trial;
    text_printf(&e->out, "%s (%lld examples, %s %.3f [%.3f, %.3f]) as %s: %s\n",
                e->result.setting.technique->name, (long long)t->key.examples, t->metric_name,
                t->metric.value, t->low.value, t->high.value, e->format->name, e->options->output);
    if (e->format->one_file)
        text_printf(&e->out, "task %s, for `advisor predict %s INPUTS --task-name %s`\n", e->task,
                    e->options->output, e->task);
    text_add(&e->out, "read back and replayed: ");
    agreement_text(&e->agreement, &e->out);
    text_add(&e->out, "\n");
}

static void describe_json(struct exporting *e)
{
    struct writer w = writer_begin(&e->out);
    write_object(&w, NULL);
    write_integer(&w, "schema", 1);
    write_string(&w, "export", e->options->output);
    write_string(&w, "technique", e->result.setting.technique->name);
    write_string(&w, "format", e->format->name);
    if (e->format->one_file)
        write_string(&w, "task", e->task);
    write_integer(&w, "examples", e->result.trial->key.examples);
    write_string(&w, "metric_name", e->result.trial->metric_name);
    write_measured(&w, "metric", e->result.trial->metric);
    write_measured(&w, "low", e->result.trial->low);
    write_measured(&w, "high", e->result.trial->high);
    write_object(&w, "replayed");
    write_integer(&w, "examples", (int64_t)e->agreement.count);
    write_integer(&w, "equal", (int64_t)e->agreement.equal);
    write_integer(&w, "as_good_as_tied", (int64_t)e->agreement.close);
    write_number(&w, "largest_probability_difference", e->agreement.largest);
    write_object_end(&w);
    write_object_end(&w);
    writer_end(&w);
}

static enum status run(struct exporting *e, struct progress *progress, struct error *err)
{
    const char *asked = e->options->operands[1];
    const struct technique *technique = NULL;
    enum status status = OK;
    if (asked)
        status = options_technique("TECHNIQUE", asked, &technique, err);
    if (status == OK)
        status = study_reopen(e->options->operands[0], e->options, progress, &e->reopened, err);
    if (status == OK)
        status = reopened_result(&e->reopened, technique, &e->result, err);
    if (status == OK)
        status = choose_format(e, NULL, err);
    if (status != OK)
        return status;
    e->task = name_task(e);
    if (e->format->one_file)
        status = task_table_check(e->options->output, e->task, e->options->force, err);
    if (status != OK || (status = recreate(e, err)) || (status = make(e, progress, err)))
        return status;
    if (e->options->json)
        describe_json(e);
    else
        describe(e);
    return OK;
}

enum status export_run(const struct options *options, struct error *err)
{
    struct progress progress;
    struct exporting e = {.options = options, .reopened = {.study = {.lock = -1}}};
    enum status status = check_output(options, err);
    if (status != OK)
        return status;
    interrupt_install();
    progress_open(&progress, options);
    status = run(&e, &progress, err);
    progress_clear(&progress);
    adapted_release(e.adapted);
    reopened_close(&e.reopened);
    struct options to_stdout = *options;
    to_stdout.output = NULL;
    if (status == OK)
        status = output_write(&to_stdout, &e.out, err);
    text_release(&e.out);
    return status;
}
