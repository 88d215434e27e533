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
    struct adapted *adapted;
    struct dataset_options reading;
    size_t total; /* rows of the input */
    struct partial partial;
    struct partial_state state;
    struct text out; /* rows of the chunk at hand */
    struct predict_result *result;
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

static void csv_header(const struct dataset *data, struct text *out)
{
    struct text name = {0};
    text_add(out, data->label_count ? "line,label,probability" : "line,answer");
    for (size_t i = 0; i < data->label_count; i++) {
        text_clear(&name);
        text_printf(&name, "p_%s", data->labels[i].name);
        text_add(out, ",");
        add_field(out, text_string(&name));
    }
    text_add(out, "\r\n");
    text_release(&name);
}

static void csv_row(const struct dataset *data, size_t line, const struct outcome *outcome,
                    struct text *out)
{
    text_printf(out, "%zu,", line);
    if (!data->label_count) {
        add_field(out, outcome->text ? outcome->text : "");
    } else {
        add_field(out, outcome->label >= 0 ? data->labels[outcome->label].name : "");
        text_add(out, ",");
        add_number(out, probability_of(outcome));
    }
    for (size_t i = 0; i < data->label_count; i++) {
        text_add(out, ",");
        if (outcome->probabilities)
            add_number(out, (double)outcome->probabilities[i]);
    }
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

static void json_row(const struct dataset *data, size_t line, const struct outcome *outcome,
                     struct text *out)
{
    text_printf(out, "{\"line\": %zu, ", line);
    if (!data->label_count) {
        text_add(out, "\"answer\": ");
        add_json_string(out, outcome->text ? outcome->text : "");
    } else {
        text_add(out, "\"label\": ");
        add_json_string(out, outcome->label >= 0 ? data->labels[outcome->label].name : "");
        text_add(out, ", \"probability\": ");
        add_number(out, probability_of(outcome));
    }
    for (size_t i = 0; i < data->label_count && outcome->probabilities; i++) {
        text_add(out, i ? ", " : ", \"probabilities\": {");
        add_json_string(out, data->labels[i].name);
        text_add(out, ": ");
        add_number(out, (double)outcome->probabilities[i]);
    }
    text_add(out, data->label_count && outcome->probabilities ? "}}\n" : "}\n");
}

static void add_row(struct predicting *p, size_t line, const struct outcome *outcome)
{
    const struct dataset *data = &p->request->recalled->data;
    if (p->request->format == PREDICTION_JSONL)
        json_row(data, line, outcome, &p->out);
    else
        csv_row(data, line, outcome, &p->out);
}

/* ---- Chunks --------------------------------------------------------------------------------- */

/* Takes out the examples that the model cannot read, where the options say so. */
static size_t drop_unreadable(struct predicting *p, const struct example **examples, size_t count)
{
    struct arena arena;
    struct sequence *sequence;
    size_t kept = 0;
    arena_init(&arena, NULL);
    for (size_t i = 0; i < count; i++) {
        arena_clear(&arena);
        if (prompt_encode(p->adapted, &examples[i], 1, false, &arena, &sequence, NULL) == OK)
            examples[kept++] = examples[i];
    }
    arena_release(&arena);
    return kept;
}

static enum status answer(struct predicting *p, const struct example **examples, size_t *count,
                          struct outcome *outcomes, struct arena *arena, struct error *err)
{
    const struct deadline *deadline = p->request->deadline;
    enum status status =
        adapted_answer(p->adapted, examples, *count, outcomes, arena, deadline, err);
    if (status != BAD_DATA)
        return status;
    if (p->reading.on_bad_row != BAD_ROW_SKIP) {
        struct error reason = *err;
        return error_set(err, BAD_DATA, "%s: %s, or leave such rows out with --on-bad-row=skip",
                         p->request->input, reason.text);
    }
    *count = drop_unreadable(p, examples, *count);
    return adapted_answer(p->adapted, examples, *count, outcomes, arena, deadline, err);
}

/* Adds the rows of a chunk to p->out and counts them in `state`. */
static enum status label_chunk(struct predicting *p, const struct dataset *chunk,
                               struct partial_state *state, struct error *err)
{
    struct arena arena;
    arena_init(&arena, NULL);
    size_t count = chunk->count;
    const struct example **examples = arena_alloc(&arena, (count + 1) * sizeof *examples);
    struct outcome *outcomes = arena_zalloc(&arena, (count + 1) * sizeof *outcomes);
    for (size_t i = 0; i < count; i++)
        examples[i] = &chunk->examples[i];
    enum status status = answer(p, examples, &count, outcomes, &arena, err);
    for (size_t i = 0; i < count && status == OK; i++)
        add_row(p, examples[i]->line, &outcomes[i]);
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

/* The next chunk, from reading to writing. */
static enum status step(struct predicting *p, struct row_stream *stream, bool *more,
                        struct error *err)
{
    struct dataset chunk;
    enum status status = row_stream_next(stream, &chunk, more, err);
    if (status != OK || !*more)
        return status;
    if ((status = deadline_check(p->request->deadline, err)) != OK) {
        dataset_release(&chunk);
        return status;
    }
    text_clear(&p->out);
    if (!p->state.chunks && p->request->format == PREDICTION_CSV)
        csv_header(&p->request->recalled->data, &p->out);
    struct partial_state next = p->state;
    status = label_chunk(p, &chunk, &next, err);
    dataset_release(&chunk);
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
    for (uint64_t i = 0; i < p->partial.state.chunks && more && status == OK; i++)
        status = row_stream_skip(stream, &more, err);
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
    char *path = folder_join(request->recalled->folder, MANIFEST_FILE);
    struct text text = {0};
    enum status status = hash_file(path, manifest, err);
    if (status == OK && strncmp(request->input, "demo:", 5) != 0)
        status = hash_file(request->input, input, err);
    if (status == OK) {
        text_printf(&text, "%s %s %s %d %d %d %s", manifest, input, request->input,
                    (int)request->format, reading->delimiter, (int)reading->on_bad_row,
                    reading->input ? reading->input : "");
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

static enum status run(struct predicting *p, struct error *err)
{
    struct row_stream *stream;
    const char *input = p->request->input;
    enum status status = row_stream_count(input, &p->reading, &p->total, err);
    if (status == OK && !p->total)
        status = error_set(err, BAD_DATA, "%s: there are no rows in it", input);
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

enum status predict_file(const struct predict_request *request, struct predict_result *result,
                         struct error *err)
{
    *result = (struct predict_result){0};
    struct predicting p = {.request = request,
                           .adapted = request->recalled->adapted,
                           .partial = {.descriptor = -1},
                           .result = result};
    p.reading = (struct dataset_options){.input = request->reading.input,
                                         .rationale = "",
                                         .delimiter = request->reading.delimiter,
                                         .on_bad_row = request->reading.on_bad_row,
                                         .like = &request->recalled->data,
                                         .inputs_only = true};
    enum status status = run(&p, err);
    result->rows = (size_t)p.state.rows;
    result->skipped = (size_t)p.state.skipped;
    partial_close(&p.partial);
    text_release(&p.out);
    return status;
}
