/* SPDX-License-Identifier: Apache-2.0 */
#include "artifacts/predict.h"

#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "artifacts/partial.h"
#include "datasets/csv.h"
#include "datasets/stream.h"
#include "techniques/prompt.h"

/* Rows answered together: enough to keep all threads busy. What a row's neighbours are must not
 * depend on where a run began, so this never changes within a file. */
enum { CHUNK_ROWS = 256 };

struct predicting {
    const struct predict_request *request;
    struct dataset_options reading;
    struct dataset like;      /* of a prompt table: the columns of the inputs */
    struct row_stream *names; /* the column with the tasks, row by row; or NULL */
    size_t total;             /* rows of the input */
    struct partial partial;
    struct partial_state state;
    struct text out; /* rows of the chunk at hand */
    struct predict_result *result;
};

/* A row of the input on its way to the output. */
struct row {
    const struct example *example;
    const char *task;           /* of a prompt table, else NULL */
    const struct label *labels; /* (label_count) of its task; none when answers are free text */
    size_t label_count;
    struct outcome outcome;
};

/* ---- Rows ----------------------------------------------------------------------------------- */

static void add_number(struct text *out, double number)
{
    text_printf(out, "%.9g", number);
}

static void add_field(struct text *out, const char *string)
{
    csv_write_field(out, string, strlen(string), ',');
}

/* Of the answer given, as it stands among those of all labels. */
static double probability_of(const struct outcome *outcome)
{
    if (outcome->probabilities && outcome->label >= 0)
        return (double)outcome->probabilities[outcome->label];
    return outcome->probability;
}

/* The label, or what was answered in words. */
static const char *answer_of(const struct row *row)
{
    const struct outcome *outcome = &row->outcome;
    if (row->label_count)
        return outcome->label >= 0 ? row->labels[outcome->label].name : "";
    return outcome->text ? outcome->text : "";
}

static void csv_header(const struct label *labels, size_t count, struct text *out)
{
    struct text name = {0};
    text_add(out, count ? "line,label,probability" : "line,answer");
    for (size_t i = 0; i < count; i++) {
        text_clear(&name);
        text_printf(&name, "p_%s", labels[i].name);
        text_add(out, ",");
        add_field(out, text_string(&name));
    }
    text_add(out, "\r\n");
    text_release(&name);
}

static void csv_row(const struct row *row, struct text *out)
{
    const struct outcome *outcome = &row->outcome;
    text_printf(out, "%zu,", row->example->line);
    add_field(out, answer_of(row));
    if (row->label_count) {
        text_add(out, ",");
        add_number(out, probability_of(outcome));
    }
    for (size_t i = 0; i < row->label_count; i++) {
        text_add(out, ",");
        if (outcome->probabilities)
            add_number(out, (double)outcome->probabilities[i]);
    }
    text_add(out, "\r\n");
}

/* Of rows whose tasks differ. */
static void csv_mixed_row(const struct row *row, struct text *out)
{
    text_printf(out, "%zu,", row->example->line);
    add_field(out, row->task);
    text_add(out, ",");
    add_field(out, answer_of(row));
    text_add(out, ",");
    if (row->label_count)
        add_number(out, probability_of(&row->outcome));
    text_add(out, "\r\n");
}

static void add_json_string(struct text *out, const char *string)
{
    json_t *value = json_string(string);
    char *dump = value ? json_dumps(value, JSON_ENCODE_ANY) : NULL;
    text_add(out, dump ? dump : "null");
    free(dump);
    json_decref(value);
}

static void json_row(const struct row *row, bool mixed, struct text *out)
{
    const struct outcome *outcome = &row->outcome;
    text_printf(out, "{\"line\": %zu, ", row->example->line);
    if (mixed) {
        text_add(out, "\"task\": ");
        add_json_string(out, row->task);
        text_add(out, ", ");
    }
    text_add(out, row->label_count ? "\"label\": " : "\"answer\": ");
    add_json_string(out, answer_of(row));
    if (row->label_count) {
        text_add(out, ", \"probability\": ");
        add_number(out, probability_of(outcome));
    }
    for (size_t i = 0; i < row->label_count && outcome->probabilities; i++) {
        text_add(out, i ? ", " : ", \"probabilities\": {");
        add_json_string(out, row->labels[i].name);
        text_add(out, ": ");
        add_number(out, (double)outcome->probabilities[i]);
    }
    text_add(out, row->label_count && outcome->probabilities ? "}}\n" : "}\n");
}

static void add_row(struct predicting *p, const struct row *row)
{
    bool mixed = p->request->task_column != NULL;
    if (p->request->format == PREDICTION_JSONL)
        json_row(row, mixed, &p->out);
    else if (mixed)
        csv_mixed_row(row, &p->out);
    else
        csv_row(row, &p->out);
}

static void add_header(struct predicting *p)
{
    const struct predict_request *request = p->request;
    const struct recalled *recalled = request->recalled;
    size_t count = recalled ? recalled->data.label_count : 0;
    const struct label *labels = recalled ? recalled->data.labels : NULL;
    if (request->format != PREDICTION_CSV)
        return;
    if (request->task)
        labels = prompt_server_labels(request->tasks->server, request->task, &count);
    if (request->task_column)
        text_add(&p->out, "line,task,answer,probability\r\n");
    else
        csv_header(labels, count, &p->out);
}

/* ---- Answers -------------------------------------------------------------------------------- */

static struct prompt_request request_of(const struct row *row)
{
    return (struct prompt_request){row->task, row->example->input, row->example->line};
}

/* Whether the model can read it. */
static bool is_readable(const struct predicting *p, const struct row *row)
{
    struct arena arena;
    struct sequence *sequence;
    if (p->request->tasks) {
        const struct prompt_request request = request_of(row);
        return prompt_server_reads(p->request->tasks->server, &request);
    }
    arena_init(&arena, NULL);
    bool reads = prompt_encode(p->request->recalled->adapted, &row->example, 1, false, &arena,
                               &sequence, NULL) == OK;
    arena_release(&arena);
    return reads;
}

static enum status answer_all(const struct predicting *p, struct row *rows, size_t count,
                              struct arena *arena, struct error *err)
{
    const struct predict_request *request = p->request;
    const struct example **examples = arena_alloc(arena, (count + 1) * sizeof *examples);
    struct prompt_request *requests = arena_alloc(arena, (count + 1) * sizeof *requests);
    struct outcome *outcomes = arena_zalloc(arena, (count + 1) * sizeof *outcomes);
    for (size_t i = 0; i < count; i++) {
        examples[i] = rows[i].example;
        requests[i] = request_of(&rows[i]);
    }
    enum status status = request->tasks
                             ? prompt_server_answer(request->tasks->server, requests, count,
                                                    outcomes, arena, request->deadline, err)
                             : adapted_answer(request->recalled->adapted, examples, count, outcomes,
                                              arena, request->deadline, err);
    for (size_t i = 0; i < count; i++)
        rows[i].outcome = outcomes[i];
    return status;
}

/* Takes out what the model cannot read, where the options say so. */
static enum status answer(struct predicting *p, struct row *rows, size_t *count,
                          struct arena *arena, struct error *err)
{
    enum status status = answer_all(p, rows, *count, arena, err);
    if (status != BAD_DATA)
        return status;
    if (p->reading.on_bad_row != BAD_ROW_SKIP) {
        struct error reason = *err;
        return error_set(err, BAD_DATA, "%s: %s, or leave such rows out with --on-bad-row=skip",
                         p->request->input, reason.text);
    }
    size_t kept = 0;
    for (size_t i = 0; i < *count; i++)
        if (is_readable(p, &rows[i]))
            rows[kept++] = rows[i];
    *count = kept;
    return answer_all(p, rows, kept, arena, err);
}

/* ---- Chunks --------------------------------------------------------------------------------- */

/* What the column of the tasks says in the row that starts at `line`; "" when nothing. `at` goes
 * forward with the lines. */
static const char *name_at(const struct dataset *names, size_t line, size_t *at)
{
    while (*at < names->count && names->examples[*at].line < line)
        (*at)++;
    return *at < names->count && names->examples[*at].line == line ? names->examples[*at].input
                                                                   : "";
}

static enum status unknown_task(const struct predicting *p, const struct row *row,
                                struct error *err)
{
    struct error why;
    prompt_table_unknown(&p->request->tasks->table, row->task, &why);
    return error_set(err, BAD_DATA, "%s:%zu: %s, or leave such rows out with --on-bad-row=skip",
                     p->request->input, row->example->line, why.text);
}

/* Fills in the rows with their tasks and labels; `names` are those of the chunk, or NULL. */
static enum status take_rows(struct predicting *p, const struct dataset *chunk,
                             const struct dataset *names, struct row *rows, size_t *count,
                             struct error *err)
{
    const struct predict_request *request = p->request;
    size_t at = 0;
    *count = 0;
    for (size_t i = 0; i < chunk->count; i++) {
        struct row row = {.example = &chunk->examples[i], .task = request->task};
        if (request->task_column)
            row.task = name_at(names, row.example->line, &at);
        if (request->recalled) {
            row.labels = request->recalled->data.labels;
            row.label_count = request->recalled->data.label_count;
        } else if (prompt_table_find(&request->tasks->table, row.task)) {
            row.labels = prompt_server_labels(request->tasks->server, row.task, &row.label_count);
        } else if (p->reading.on_bad_row == BAD_ROW_SKIP) {
            continue;
        } else {
            return unknown_task(p, &row, err);
        }
        rows[(*count)++] = row;
    }
    return OK;
}

/* Adds the rows of a chunk to p->out and counts them in `state`. */
static enum status label_chunk(struct predicting *p, const struct dataset *chunk,
                               const struct dataset *names, struct partial_state *state,
                               struct error *err)
{
    struct arena arena;
    arena_init(&arena, NULL);
    size_t count;
    struct row *rows = arena_alloc(&arena, (chunk->count + 1) * sizeof *rows);
    enum status status = take_rows(p, chunk, names, rows, &count, err);
    if (status == OK)
        status = answer(p, rows, &count, &arena, err);
    for (size_t i = 0; i < count && status == OK; i++)
        add_row(p, &rows[i]);
    if (status == OK) {
        state->chunks++;
        state->rows += count;
        state->skipped += chunk->skipped_count + (chunk->count - count);
    }
    arena_release(&arena);
    return status;
}

static void tell(const struct predicting *p)
{
    const struct predict_request *request = p->request;
    if (request->progress)
        request->progress(request->context, (size_t)(p->state.rows + p->state.skipped), p->total);
}

/* The next chunk, and what its rows say of their tasks: both streams end their chunks alike. */
static enum status next_chunk(struct predicting *p, struct row_stream *stream,
                              struct dataset *chunk, struct dataset *names, bool *more,
                              struct error *err)
{
    *names = (struct dataset){0};
    enum status status = row_stream_next(stream, chunk, more, err);
    if (status != OK || !*more || !p->names)
        return status;
    status = row_stream_next(p->names, names, more, err);
    if (status != OK)
        dataset_release(chunk);
    return status;
}

/* The next chunk, from reading to writing. */
static enum status step(struct predicting *p, struct row_stream *stream, bool *more,
                        struct error *err)
{
    struct dataset chunk, names;
    enum status status = next_chunk(p, stream, &chunk, &names, more, err);
    if (status != OK || !*more)
        return status;
    text_clear(&p->out);
    if (!p->state.chunks)
        add_header(p);
    struct partial_state next = p->state;
    status = deadline_check(p->request->deadline, err);
    if (status == OK)
        status = label_chunk(p, &chunk, &names, &next, err);
    dataset_release(&chunk);
    dataset_release(&names);
    if (status == OK)
        status = partial_add(&p->partial, &p->out, next, false, err);
    if (status == OK)
        p->state = next;
    tell(p);
    return status;
}

/* What was finished before an error is kept, so that nothing is answered twice. */
static enum status keep(struct predicting *p, enum status status, struct error *err)
{
    static const struct text nothing;
    struct error second;
    if (p->state.chunks)
        partial_add(&p->partial, &nothing, p->state, true, &second);
    if (status != INTERRUPTED || p->partial.plain)
        return status;
    return error_set(err, INTERRUPTED,
                     "interrupted; %llu rows are in %s, and the same command goes on",
                     (unsigned long long)p->state.rows, p->partial.path);
}

static enum status run_stream(struct predicting *p, struct row_stream *stream, struct error *err)
{
    enum status status = OK;
    bool more = true;
    for (uint64_t i = 0; i < p->partial.state.chunks && more && status == OK; i++) {
        status = row_stream_skip(stream, &more, err);
        if (status == OK && p->names)
            status = row_stream_skip(p->names, &more, err);
    }
    tell(p);
    while (more && status == OK)
        status = step(p, stream, &more, err);
    if (status != OK)
        return keep(p, status, err);
    if (!p->state.rows)
        return error_set(err, BAD_DATA, "%s: there are no usable rows in it", p->request->input);
    return partial_finish(&p->partial, err);
}

/* ---- The whole ------------------------------------------------------------------------------ */

/* A hash of everything that the output follows from. */
static enum status identify(const struct predicting *p, char identity[HASH_HEX], struct error *err)
{
    const struct predict_request *request = p->request;
    const struct dataset_options *reading = &p->reading;
    char manifest[HASH_HEX], input[HASH_HEX] = "built in";
    char *path = request->tasks ? memory_strdup(request->tasks->path)
                                : folder_join(request->recalled->folder, MANIFEST_FILE);
    struct text text = {0};
    enum status status = hash_file(path, manifest, err);
    if (status == OK && strncmp(request->input, "demo:", 5) != 0)
        status = hash_file(request->input, input, err);
    if (status == OK) {
        text_printf(&text, "%s %s %s %d %d %d %s", manifest, input, request->input,
                    (int)request->format, reading->delimiter, (int)reading->on_bad_row,
                    reading->input ? reading->input : "");
        if (request->tasks)
            text_printf(&text, " %s %s", request->task_column ? "by" : "of",
                        request->task_column ? request->task_column : request->task);
        status = hash_bytes(text_string(&text), text.length, identity, err);
    }
    text_release(&text);
    free(path);
    return status;
}

static enum status open_output(struct predicting *p, struct error *err)
{
    const struct predict_request *request = p->request;
    char identity[HASH_HEX];
    bool foreign;
    enum status status = identify(p, identity, err);
    if (status == OK)
        status =
            partial_open(&p->partial, request->output, identity, request->replace, &foreign, err);
    if (status != OK)
        return status;
    p->state = p->partial.state;
    p->result->resumed = (size_t)p->state.rows;
    if (request->note && foreign)
        request->note(request->context,
                      "the partial output there is of another input or export; beginning anew");
    return OK;
}

/* The column that names the task of each row is read as if it were the input. */
static enum status open_names(struct predicting *p, struct error *err)
{
    const struct predict_request *request = p->request;
    struct dataset_options how = {.input = request->task_column,
                                  .rationale = "",
                                  .task = TASK_GENERATION,
                                  .delimiter = request->reading.delimiter,
                                  .on_bad_row = BAD_ROW_SKIP,
                                  .inputs_only = true};
    if (!request->task_column)
        return OK;
    return row_stream_open(&p->names, request->input, &how, CHUNK_ROWS, err);
}

static enum status run(struct predicting *p, struct error *err)
{
    struct row_stream *stream;
    const char *input = p->request->input;
    enum status status = row_stream_count(input, &p->reading, &p->total, err);
    if (status == OK && !p->total)
        status = error_set(err, BAD_DATA, "%s: there are no rows in it", input);
    if (status == OK)
        status = open_names(p, err);
    if (status == OK)
        status = row_stream_open(&stream, input, &p->reading, CHUNK_ROWS, err);
    if (status != OK)
        return status;
    status = open_output(p, err);
    if (status == OK)
        status = run_stream(p, stream, err);
    row_stream_close(stream);
    return status;
}

/* Of a prompt table: tasks may differ, so nothing but the columns is known of the inputs. */
static void read_like_tasks(struct predicting *p)
{
    const char *input = task_table_input(p->request->tasks, p->request->task);
    p->like = (struct dataset){.path = p->request->tasks->path,
                               .task = TASK_GENERATION,
                               .shape = SHAPE_COLUMNS,
                               .input_column = input};
    p->reading.like = &p->like;
}

enum status predict_file(const struct predict_request *request, struct predict_result *result,
                         struct error *err)
{
    *result = (struct predict_result){0};
    struct predicting p = {.request = request, .partial = {.descriptor = -1}, .result = result};
    p.reading = (struct dataset_options){.input = request->reading.input,
                                         .rationale = "",
                                         .delimiter = request->reading.delimiter,
                                         .on_bad_row = request->reading.on_bad_row,
                                         .inputs_only = true};
    if (request->tasks)
        read_like_tasks(&p);
    else
        p.reading.like = &request->recalled->data;
    enum status status = run(&p, err);
    result->rows = (size_t)p.state.rows;
    result->skipped = (size_t)p.state.skipped;
    partial_close(&p.partial);
    row_stream_close(p.names);
    text_release(&p.out);
    return status;
}
