/* SPDX-License-Identifier: Apache-2.0 */
#define _XOPEN_SOURCE 700
#include "tests/bench/recorded.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "datasets/csv.h"
#include "datasets/dataset.h"
#include "evaluators/metrics.h"
#include "techniques/trainer.h"

enum { MOST_BYTES = 64 << 20 };

void record_init(struct record *record)
{
    *record = (struct record){0};
    arena_init(&record->arena, NULL);
}

void record_release(struct record *record)
{
    free(record->tasks);
    free(record->rows);
    arena_release(&record->arena);
    *record = (struct record){0};
}

const struct task_numbers *record_task(const struct record *record, const char *name)
{
    for (size_t i = 0; i < record->task_count; i++)
        if (!strcmp(record->tasks[i].name, name))
            return &record->tasks[i];
    return NULL;
}

/* ---- Columns --------------------------------------------------------------------------------- */

enum kind { TEXT, NUMBER, MAYBE }; /* MAYBE: empty is not known */

/* A column: the field of the structure that it fills. */
struct column {
    const char *name;
    enum kind kind;
    size_t at;
    double low, high; /* of a number */
};

#define ROW(name, kind, field, low, high)                                                          \
    {                                                                                              \
        name, kind, offsetof(struct recorded, field), low, high                                    \
    }

static const struct column row_columns[] = {
    ROW("task", TEXT, task, 0, 0),
    ROW("technique", TEXT, name, 0, 0),
    ROW("learning_rate", TEXT, rate_text, 0, 0),
    ROW("examples", NUMBER, examples, 1, 1e9),
    ROW("seed", NUMBER, seed, 0, 1e9),
    ROW("setting", TEXT, setting, 0, 0),
    ROW("dev", NUMBER, dev, 1, 1e6),
    ROW("test", NUMBER, test, 1, 1e6),
    ROW("metric", TEXT, metric, 0, 0),
    ROW("dev_metric", MAYBE, dev_metric, -1, 1),
    ROW("test_metric", MAYBE, test_metric, -1, 1),
    ROW("train_seconds", MAYBE, train_seconds, 0, 1e9),
    ROW("score_seconds", MAYBE, score_seconds, 0, 1e9),
    ROW("train_tokens", MAYBE, train_tokens, 0, 1e12),
    ROW("request_tokens", MAYBE, request_tokens, 0, 1e9),
    ROW("parameters", MAYBE, parameters, 0, 1e15),
    ROW("peak_bytes", MAYBE, peak_bytes, 0, 1e15),
    ROW("prequential_nll", MAYBE, prequential_nll, 0, INFINITY),
    ROW("final_loss", MAYBE, final_loss, 0, INFINITY),
    ROW("dev_nll", MAYBE, dev_nll, 0, INFINITY),
    ROW("dev_right", TEXT, dev_bits, 0, 0),
    ROW("test_right", TEXT, test_bits, 0, 0),
    ROW("failure", TEXT, failure, 0, 0),
};

#define TASK(name, kind, field, low, high)                                                         \
    {                                                                                              \
        name, kind, offsetof(struct task_numbers, field), low, high                                \
    }

static const struct column task_columns[] = {
    TASK("task", TEXT, name, 0, 0),
    TASK("kind", TEXT, kind, 0, 0),
    TASK("labels", NUMBER, labels, 0, 1e6),
    TASK("input_tokens", NUMBER, input_tokens, 0, 1e6),
    TASK("input_tokens_max", NUMBER, input_tokens_max, 0, 1e6),
    TASK("answer_tokens", NUMBER, answer_tokens, 0, 1e6),
    TASK("instruction_tokens", NUMBER, instruction_tokens, 0, 1e6),
    TASK("list_tokens", NUMBER, list_tokens, 0, 1e6),
    TASK("example_tokens", NUMBER, example_tokens, 0, 1e6),
    TASK("rationale_tokens", NUMBER, rationale_tokens, 0, 1e6),
    TASK("rationales", NUMBER, rationales, 0, 1),
    TASK("reasoning", NUMBER, reasoning, 0, 1),
    TASK("noise_low", NUMBER, noise_low, 0, 1),
    TASK("unseen_words", NUMBER, unseen_words, 0, 1),
    TASK("test_unseen_words", NUMBER, test_unseen_words, 0, 1),
};

enum {
    ROW_COLUMNS = sizeof row_columns / sizeof *row_columns,
    TASK_COLUMNS = sizeof task_columns / sizeof *task_columns
};

/* A file on its way in. */
struct reader {
    struct record *record;
    const char *file;
    const struct column *columns;
    size_t column_count;
};

static enum status read_header(void *context, const struct csv_record *header, struct error *err)
{
    const struct reader *r = context;
    if (header->count != r->column_count)
        return error_set(err, BAD_DATA,
                         "%s:%zu: %zu columns; expected %zu, those that record "
                         "writes",
                         r->file, header->line, header->count, r->column_count);
    for (size_t i = 0; i < header->count; i++)
        if (strcmp(header->fields[i].bytes, r->columns[i].name) != 0)
            return error_set(err, BAD_DATA, "%s:%zu: column %zu is \"%s\"; expected \"%s\"",
                             r->file, header->line, i + 1, header->fields[i].bytes,
                             r->columns[i].name);
    return OK;
}

/* Fills one field of the structure at `out`. */
static enum status read_field(const struct reader *r, const struct column *column, size_t line,
                              const struct csv_field *field, void *out, struct error *err)
{
    char *at = (char *)out + column->at;
    if (column->kind == TEXT) {
        *(const char **)(void *)at = arena_strndup(&r->record->arena, field->bytes, field->length);
        return OK;
    }
    char *end;
    double value =
        column->kind == MAYBE && !field->length ? (double)NAN : strtod(field->bytes, &end);
    bool number = !field->length ? column->kind == MAYBE
                                 : !*end && value >= column->low && value <= column->high;
    if (!number)
        return error_set(err, BAD_DATA, "%s:%zu: %s is \"%s\"; expected a number from %g to %g%s",
                         r->file, line, column->name, field->bytes, column->low, column->high,
                         column->kind == MAYBE ? ", or nothing" : "");
    *(double *)(void *)at = value;
    return OK;
}

static enum status read_fields(const struct reader *r, const struct csv_record *record, void *out,
                               struct error *err)
{
    enum status status = OK;
    for (size_t i = 0; i < record->count && status == OK; i++)
        status = read_field(r, &r->columns[i], record->line, &record->fields[i], out, err);
    return status;
}

/* ---- Trials ---------------------------------------------------------------------------------- */

static enum status fault(const struct recorded *row, struct error *err, const char *what)
{
    return error_set(err, BAD_DATA, "%s:%zu: %s", row->file, row->line, what);
}

/* Answers from hexadecimal digits, the first one in the highest bit; NULL when they are not `count`
 * of them. */
static bool *read_bits(const char *digits, double count, struct arena *arena)
{
    size_t answers = (size_t)count, length = (answers + 3) / 4;
    bool *right = arena_zalloc(arena, 4 * length + 1);
    if (strlen(digits) != length || strspn(digits, "0123456789abcdef") != length)
        return NULL;
    for (size_t i = 0; i < 4 * length; i++) {
        int digit = digits[i / 4] <= '9' ? digits[i / 4] - '0' : digits[i / 4] - 'a' + 10;
        right[i] = digit >> (3 - i % 4) & 1;
        if (right[i] && i >= answers)
            return NULL;
    }
    return right;
}

double share_of_right(const bool *right, double count)
{
    double sum = 0;
    for (size_t i = 0; i < (size_t)count; i++)
        sum += right[i];
    return sum / count;
}

static enum status check_answers(struct record *record, struct recorded *row, struct error *err)
{
    const struct metric *metric = metric_find(row->metric);
    if (!metric)
        return fault(row, err, "there is no such metric");
    if (*row->failure)
        return OK;
    row->dev_right = read_bits(row->dev_bits, row->dev, &record->arena);
    row->test_right = read_bits(row->test_bits, row->test, &record->arena);
    if (!row->dev_right || !row->test_right)
        return fault(row, err,
                     "the answers are not as many hexadecimal digits as dev and test say");
    if (isnan(row->dev_metric) || isnan(row->test_metric) || isnan(row->train_seconds) ||
        isnan(row->score_seconds) || isnan(row->request_tokens))
        return fault(row, err, "a trial that did not fail lacks a metric, its seconds or tokens");
    if (metric->proportion &&
        (fabs(share_of_right(row->dev_right, row->dev) - row->dev_metric) > 1e-5 ||
         fabs(share_of_right(row->test_right, row->test) - row->test_metric) > 1e-5))
        return fault(row, err, "the metric is not the share of right answers");
    return OK;
}

/* The setting but for what the trainer makes of it, so that spelling out a default changes
 * nothing. */
static char *essence(struct setting setting, const struct recorded *row, struct arena *arena)
{
    struct text text = {0};
    if (row->technique->learning_rates) {
        size_t examples = (size_t)row->examples, batch = trainer_batch(&setting, examples);
        setting_set_number(&setting, "num_epochs", trainer_epochs(&setting, examples), arena);
        setting_set_number(&setting, "batch_size", (double)batch, arena);
        setting_set_number(&setting, "learning_rate", row->rate, arena);
    }
    setting_json(&setting, &text);
    char *copy = arena_strdup(arena, text_string(&text));
    text_release(&text);
    return copy;
}

/* Whether it trained on about as many tokens as it would now: what the trainer makes of automatic
 * passes and batches may have changed since it was recorded. Some techniques put virtual tokens in
 * front. */
static bool trained_as_now(const struct record *record, const struct recorded *row,
                           const struct setting *setting)
{
    enum { VIRTUAL_TOKENS = 32 };
    static const double tolerance = 0.25;
    const struct task_numbers *task = record_task(record, row->task);
    if (!row->technique->learning_rates || isnan(row->train_tokens))
        return true;
    size_t examples = (size_t)row->examples;
    double prefix = task->instruction_tokens - task->list_tokens, each = task->example_tokens;
    double least = trainer_tokens(setting, examples, each, prefix);
    double most = trainer_tokens(setting, examples, each, prefix + VIRTUAL_TOKENS);
    return row->train_tokens > (1 - tolerance) * least &&
           row->train_tokens < (1 + tolerance) * most;
}

static enum status check_setting(struct record *record, struct recorded *row, struct error *err)
{
    struct setting setting;
    char *end;
    row->technique = technique_find(row->name);
    if (!row->technique)
        return fault(row, err, "there is no such technique");
    row->rate = strtod(row->rate_text, &end);
    if (*end || (row->technique->learning_rates ? !(row->rate > 0) : *row->rate_text != 0))
        return fault(row, err, "the learning rate is none of this technique's");
    if (setting_parse(row->technique, row->setting, &setting, &record->arena, err) != OK) {
        err->status = BAD_DATA;
        return error_prefix(err, "%s:%zu", row->file, row->line);
    }
    if (row->technique->learning_rates)
        row->epochs = trainer_epochs(&setting, (size_t)row->examples);
    const struct setting usual = setting_default(row->technique);
    const char *expected = essence(usual, row, &record->arena);
    row->usual = trained_as_now(record, row, &setting) &&
                 !strcmp(essence(setting, row, &record->arena), expected);
    if (row->technique->learning_rates &&
        row->epochs < trainer_epochs(&usual, (size_t)row->examples)) {
        setting_set_number(&setting, "num_epochs", 0, &record->arena);
        row->brief = !strcmp(essence(setting, row, &record->arena), expected);
    }
    return OK;
}

static bool same_trial(const struct recorded *a, const struct recorded *b)
{
    return a->technique == b->technique && !strcmp(a->task, b->task) &&
           fabs(a->rate - b->rate) <= 1e-9 * a->rate &&
           (size_t)a->examples == (size_t)b->examples && (size_t)a->seed == (size_t)b->seed &&
           a->epochs == b->epochs && a->usual == b->usual;
}

/* Whether they gave the same answers. */
static bool alike(const struct recorded *a, const struct recorded *b)
{
    return !strcmp(a->dev_bits, b->dev_bits) && !strcmp(a->test_bits, b->test_bits);
}

static enum status keep(struct record *record, const struct recorded *row, struct error *err)
{
    for (size_t i = 0; i < record->count; i++) {
        struct recorded *old = &record->rows[i];
        if (!same_trial(old, row))
            continue;
        if (alike(old, row))
            return OK;
        if ((size_t)old->test == (size_t)row->test)
            return error_set(err, BAD_DATA,
                             "%s:%zu: the same trial as %s:%zu; leave one of them "
                             "out",
                             row->file, row->line, old->file, old->line);
        if (row->test > old->test)
            *old = *row;
        return OK;
    }
    record->rows = memory_realloc(record->rows, (record->count + 1) * sizeof *record->rows);
    record->rows[record->count++] = *row;
    return OK;
}

static enum status read_row(void *context, const struct csv_record *fields, struct error *err)
{
    const struct reader *r = context;
    struct recorded row = {.file = r->file, .line = fields->line};
    enum status status = read_fields(r, fields, &row, err);
    if (status == OK && !record_task(r->record, row.task))
        status = fault(&row, err, "the file of tasks does not have this task");
    if (status == OK)
        status = check_setting(r->record, &row, err);
    if (status == OK)
        status = check_answers(r->record, &row, err);
    return status == OK ? keep(r->record, &row, err) : status;
}

enum status record_add(struct record *record, const char *name, const char *bytes, size_t size,
                       struct error *err)
{
    struct reader reader = {record, arena_strdup(&record->arena, name), row_columns, ROW_COLUMNS};
    struct csv_handler handler = {.context = &reader, .header = read_header, .record = read_row};
    return csv_read(name, bytes, size, NULL, &handler, err);
}

/* ---- Tasks ----------------------------------------------------------------------------------- */

static enum status read_task(void *context, const struct csv_record *fields, struct error *err)
{
    const struct reader *r = context;
    struct record *record = r->record;
    struct task_numbers task = {0};
    enum task kind;
    enum status status = read_fields(r, fields, &task, err);
    if (status != OK)
        return status;
    if (!task_from_name(task.kind, &kind))
        return error_set(err, BAD_DATA, "%s:%zu: there is no kind of task \"%s\"", r->file,
                         fields->line, task.kind);
    if (record_task(record, task.name))
        return error_set(err, BAD_DATA, "%s:%zu: %s stands here twice", r->file, fields->line,
                         task.name);
    record->tasks = memory_realloc(record->tasks, (record->task_count + 1) * sizeof task);
    record->tasks[record->task_count++] = task;
    return OK;
}

enum status record_add_tasks(struct record *record, const char *name, const char *bytes,
                             size_t size, struct error *err)
{
    struct reader reader = {record, arena_strdup(&record->arena, name), task_columns, TASK_COLUMNS};
    struct csv_handler handler = {.context = &reader, .header = read_header, .record = read_task};
    return csv_read(name, bytes, size, NULL, &handler, err);
}

/* ---- Files ----------------------------------------------------------------------------------- */

typedef enum status add_function(struct record *record, const char *name, const char *bytes,
                                 size_t size, struct error *err);

static enum status add_file(struct record *record, const char *path, add_function *add,
                            struct error *err)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return error_set(err, FAILED, "%s cannot be read: %s", path, strerror(errno));
    char *bytes = memory_alloc(MOST_BYTES);
    size_t size = fread(bytes, 1, MOST_BYTES, file);
    bool bad = ferror(file) || size == MOST_BYTES;
    fclose(file);
    enum status status = bad ? error_set(err, FAILED, "%s cannot be read, or is too large", path)
                             : add(record, path, bytes, size, err);
    free(bytes);
    return status;
}

static int is_record(const struct dirent *entry)
{
    size_t length = strlen(entry->d_name);
    return length > 4 && !strcmp(entry->d_name + length - 4, ".csv");
}

enum status record_read(struct record *record, const char *tasks, const char *folder,
                        struct error *err)
{
    struct dirent **entries = NULL;
    enum status status = add_file(record, tasks, record_add_tasks, err);
    int count = status == OK ? scandir(folder, &entries, is_record, alphasort) : 0;
    if (count < 0)
        return error_set(err, FAILED, "%s cannot be read: %s", folder, strerror(errno));
    for (int i = 0; i < count; i++) {
        const char *path = arena_printf(&record->arena, "%s/%s", folder, entries[i]->d_name);
        if (status == OK)
            status = add_file(record, path, record_add, err);
        free(entries[i]);
    }
    free(entries);
    if (status == OK && !record->count)
        return error_set(err, FAILED, "%s holds no recorded trial", folder);
    return status;
}

/* ---- What a technique brought ---------------------------------------------------------------- */

enum { POINTS_EXAMPLES = 128 };

static bool is_usual_rate(const struct recorded *row)
{
    struct setting setting = setting_default(row->technique);
    double usual = row->technique->learning_rates ? setting_number(&setting, "learning_rate") : 0;
    return fabs(row->rate - usual) <= 1e-9 * usual;
}

/* The mean over seeds of the share of right test answers; NAN when there is no such trial. */
static double usual_share(const struct record *record, const char *task, const char *technique)
{
    double sum = 0, count = 0;
    for (size_t i = 0; i < record->count; i++) {
        const struct recorded *row = &record->rows[i];
        if (row->usual && !*row->failure && (size_t)row->examples == POINTS_EXAMPLES &&
            !strcmp(row->task, task) && !strcmp(row->name, technique) && is_usual_rate(row)) {
            sum += share_of_right(row->test_right, row->test);
            count++;
        }
    }
    return sum / count;
}

/* Whether a task counts: it has the majority answer. */
static bool has_points(const struct record *record, size_t task, const char *without)
{
    const char *name = record->tasks[task].name;
    return !isnan(usual_share(record, name, "majority")) && !(without && !strcmp(name, without));
}

/* Whether every task that counts has the technique. */
static bool is_on_all(const struct record *record, const char *technique, const char *without)
{
    for (size_t i = 0; i < record->task_count; i++)
        if (has_points(record, i, without) &&
            isnan(usual_share(record, record->tasks[i].name, technique)))
            return false;
    return true;
}

/* The mean of the techniques that are on all tasks. */
static double common_share(const struct record *record, const char *task, const char *without)
{
    const struct technique *technique;
    double sum = 0, count = 0;
    for (size_t i = 0; (technique = technique_at(i)); i++)
        if (is_on_all(record, technique->name, without)) {
            sum += usual_share(record, task, technique->name);
            count++;
        }
    return sum / count;
}

/* Of the tasks that have it, the mean of what a technique is above the common share. */
static double above_common(const struct record *record, const char *technique, const char *without)
{
    double sum = 0, count = 0;
    for (size_t i = 0; i < record->task_count; i++) {
        const char *task = record->tasks[i].name;
        double own = usual_share(record, task, technique);
        if (isnan(own) || !has_points(record, i, without))
            continue;
        sum += own - common_share(record, task, without);
        count++;
    }
    return sum / count;
}

double record_points(const struct record *record, const struct technique *technique,
                     const char *without)
{
    return 100 * (above_common(record, technique->name, without) -
                  above_common(record, "majority", without));
}
