/* SPDX-License-Identifier: Apache-2.0
 *
 * advisor predict: a file of inputs, labelled by an export or by tasks of a prompt table.
 */
#include "artifacts/predict.h"

#include <string.h>

#include "advisor/command.h"
#include "advisor/interrupt.h"
#include "advisor/output.h"
#include "advisor/progress.h"
#include "artifacts/recall.h"

struct predicting {
    const struct options *options;
    struct progress progress;
    struct recalled recalled;
    struct task_table tasks;
    bool table; /* the tasks answer, else what is recalled */
    const char *task;
    struct model *model; /* NULL when the export holds its own */
    struct engine *engine;
    struct predict_result result;
};

static void on_progress(void *context, size_t done, size_t total)
{
    struct predicting *p = context;
    progress_update(&p->progress, p->table ? "prompt table" : p->recalled.manifest.technique,
                    "labelling", (double)done, (double)total, 0, 0);
}

static void on_note(void *context, const char *sentence)
{
    struct predicting *p = context;
    progress_note(&p->progress, "%s", sentence);
}

static bool ends_with(const char *name, const char *ending)
{
    size_t length = strlen(name), tail = strlen(ending);
    return length >= tail && !strcmp(name + length - tail, ending);
}

static enum prediction_format format_of(const struct options *options)
{
    if (options->json)
        return PREDICTION_JSONL;
    if (options->format_name)
        return strcmp(options->format_name, "jsonl") ? PREDICTION_CSV : PREDICTION_JSONL;
    const char *output = options->output ? options->output : "";
    bool jsonl = ends_with(output, ".jsonl") || ends_with(output, ".ndjson");
    return jsonl ? PREDICTION_JSONL : PREDICTION_CSV;
}

static enum status load_model(struct predicting *p, struct error *err)
{
    const struct options *options = p->options;
    enum status status = options_check_model(options, err);
    if (status == OK)
        status = model_load_as(&p->model, options->model, WEIGHTS_EXPANDED, options->threads, err);
    if (status == OK)
        p->engine = engine_create(p->model, options->threads);
    return status;
}

/* Which task all rows are of, unless a column says it. */
static enum status choose_task(struct predicting *p, struct error *err)
{
    const struct options *options = p->options;
    const struct prompt_table *table = &p->tasks.table;
    p->task = options->task_name;
    if (options->task_column)
        return OK;
    if (!p->task && table->count == 1)
        p->task = table->tasks[0].name;
    if (p->task)
        return prompt_table_find(table, p->task) ? OK : prompt_table_unknown(table, p->task, err);
    struct text names = {0};
    for (size_t i = 0; i < table->count; i++)
        text_printf(&names, "%s%s", i ? ", " : "", table->tasks[i].name);
    enum status status = error_set(err, USAGE,
                                   "%s holds %zu tasks (%s); expected --task-name NAME, or "
                                   "--task-column COLUMN where the rows name theirs",
                                   p->tasks.path, table->count, text_string(&names));
    text_release(&names);
    return status;
}

static enum status load_tasks(struct predicting *p, struct error *err)
{
    enum status status = task_table_open(&p->tasks, p->options->operands[0], err);
    if (status == OK)
        status = choose_task(p, err);
    if (status == OK)
        status = load_model(p, err);
    return status == OK ? task_table_serve(&p->tasks, p->engine, err) : status;
}

static enum status load(struct predicting *p, struct error *err)
{
    const struct options *options = p->options;
    p->table = task_table_is(options->operands[0]);
    if (options->task_name && options->task_column)
        return error_set(err, USAGE,
                         "--task-name and --task-column contradict each other; give one");
    if (p->table)
        return load_tasks(p, err);
    if (options->task_name || options->task_column)
        return error_set(err, USAGE, "%s: %s is no prompt table, and only such a file has tasks",
                         options->task_name ? "--task-name" : "--task-column",
                         options->operands[0]);
    enum status status = recall_open(&p->recalled, options->operands[0], err);
    if (status == OK && !p->recalled.format->whole_model)
        status = load_model(p, err);
    return status == OK ? recall_model(&p->recalled, p->engine, options->threads, err) : status;
}

static enum status run(struct predicting *p, struct error *err)
{
    const struct options *options = p->options;
    const struct deadline deadline = {.signal = interrupt_flag()};
    enum status status = load(p, err);
    if (status != OK)
        return status;
    struct predict_request request = {.recalled = p->table ? NULL : &p->recalled,
                                      .tasks = p->table ? &p->tasks : NULL,
                                      .task = p->task,
                                      .task_column = options->task_column,
                                      .input = options->operands[1],
                                      .reading = options->reading,
                                      .output = options->output,
                                      .format = format_of(options),
                                      .replace = options->force,
                                      .deadline = &deadline,
                                      .context = p,
                                      .progress = on_progress,
                                      .note = on_note};
    return predict_file(&request, &p->result, err);
}

static void summarise(struct predicting *p)
{
    const struct predict_result *r = &p->result;
    struct text line = {0};
    text_printf(&line, "%zu rows labelled", r->rows);
    if (r->resumed)
        text_printf(&line, ", %zu of them earlier", r->resumed);
    if (r->skipped)
        text_printf(&line, ", %zu bad ones left out", r->skipped);
    if (p->options->output)
        text_printf(&line, ": %s", p->options->output);
    progress_note(&p->progress, "%s", text_string(&line));
    text_release(&line);
}

enum status predict_run(const struct options *options, struct error *err)
{
    struct predicting p = {.options = options};
    interrupt_install();
    progress_open(&p.progress, options);
    enum status status = run(&p, err);
    progress_clear(&p.progress);
    if (status == OK)
        summarise(&p);
    recall_close(&p.recalled);
    task_table_close(&p.tasks);
    engine_free(p.engine);
    model_free(p.model);
    return status;
}
