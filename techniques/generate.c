/* SPDX-License-Identifier: Apache-2.0 */
#include "techniques/generate.h"

#include <ctype.h>
#include <string.h>

#include "model/chat.h"

/* Streams decoded together: a step reads all weights once, whatever their number; 48 give 1.15
 * times the tokens of 32 and 1.6 times those of 16. Streams that one task runs through, at most:
 * enough that others take the places of those that end. */
enum { STREAMS_TOGETHER = 48, STREAMS_A_TASK = 96 };

struct generating {
    struct adapted *adapted;
    struct stream *streams;
    size_t count, tasks;
    int longest;
    double temperature;
    const struct deadline *deadline;
};

static enum status decode_task(void *context, size_t task, int worker, struct error *err)
{
    const struct generating *g = context;
    struct adapted *adapted = g->adapted;
    const struct model *model = adapted->engine->model;
    struct workspace *workspace = engine_workspace(adapted->engine, worker, false);
    struct tensor *views = adapted_views(adapted, NULL, &workspace->lasting);
    struct decoding how = {.pass = adapted_pass(adapted, NULL, NULL, views),
                           .prefix = adapted->prefix_cache,
                           .position = adapted->past_rows + (int)adapted->prefix.count,
                           .end = chat_end_token(model->chat, model->tokenizer),
                           .longest = g->longest,
                           .temperature = g->temperature,
                           .together = STREAMS_TOGETHER};
    size_t first = g->count * task / g->tasks, end = g->count * (task + 1) / g->tasks;
    return decode(&how, workspace, g->streams + first, (int)(end - first), g->deadline, err);
}

/* The bytes between the white space at both ends, invalid UTF-8 replaced. */
static const char *clean(const struct text *raw, struct arena *arena)
{
    const char *bytes = text_string(raw);
    size_t first = 0, last = raw->length;
    while (first < last && isspace((unsigned char)bytes[first]))
        first++;
    while (last > first && isspace((unsigned char)bytes[last - 1]))
        last--;
    struct text valid = {0};
    while (first < last) {
        uint32_t code;
        int skip = 1;
        int used = utf8_decode(bytes + first, last - first, &code, &skip);
        if (used && code)
            text_append(&valid, bytes + first, (size_t)used);
        else
            text_add(&valid, "\xEF\xBF\xBD");
        first += (size_t)(used ? used : skip);
    }
    const char *copy = arena_strdup(arena, text_string(&valid));
    text_release(&valid);
    return copy;
}

struct stream generate_stream(const struct adapted *adapted, const struct sequence *sequence,
                              int longest, struct arena *arena)
{
    /* The last token needs no row of its own, hence one more than is left. */
    int before = adapted->past_rows + (int)adapted->prefix.count + sequence->request;
    return (struct stream){.prompt = sequence->ids,
                           .prompt_length = sequence->request,
                           .room = adapted->engine->model->n_context - before + 1,
                           .ids = arena_alloc(arena, (size_t)longest * sizeof(int32_t))};
}

double generate_bytes(const struct model *model, double tokens)
{
    double keys = 2.0 * model->n_layer * model->n_head_kv * model->head_dim;
    return STREAMS_TOGETHER * (keys * tokens + model->n_vocab) * (double)sizeof(real);
}

/* Even shares, and an even number of them: as many on two processors as on one, so that the bytes
 * are the same. */
static size_t count_tasks(size_t streams)
{
    return streams < 2 ? streams : 2 * ((streams + 2 * STREAMS_A_TASK - 1) / (2 * STREAMS_A_TASK));
}

enum status generate_run(struct adapted *adapted, struct stream *streams, size_t count, int longest,
                         double temperature, const struct deadline *deadline, struct error *err)
{
    struct generating g = {.adapted = adapted,
                           .streams = streams,
                           .count = count,
                           .tasks = count_tasks(count),
                           .longest = longest,
                           .temperature = temperature,
                           .deadline = deadline};
    enum status status = adapted_warm(adapted, err);
    return status == OK ? pool_run(adapted->engine->pool, g.tasks, decode_task, &g, err) : status;
}

enum status generate_text(const struct adapted *adapted, const struct stream *stream,
                          struct arena *arena, const char **text, struct error *err)
{
    struct text raw = {0};
    enum status status = tokenizer_decode(adapted->engine->model->tokenizer, stream->ids,
                                          (size_t)stream->length, false, &raw, err);
    *text = clean(&raw, arena);
    text_release(&raw);
    return status;
}

int generate_tokens(const struct stream *stream)
{
    return stream->length + stream->ended;
}

enum status generate_answers(struct adapted *adapted, const struct sequence *sequences,
                             size_t count, struct outcome *outcomes, struct arena *arena,
                             const struct deadline *deadline, struct error *err)
{
    int longest = adapted->longest_answer;
    struct stream *streams = arena_alloc(arena, count * sizeof *streams);
    for (size_t i = 0; i < count; i++)
        streams[i] = generate_stream(adapted, &sequences[i], longest, arena);
    enum status status = generate_run(adapted, streams, count, longest, 0, deadline, err);
    for (size_t i = 0; i < count && status == OK; i++) {
        status = generate_text(adapted, &streams[i], arena, &outcomes[i].text, err);
        outcomes[i].request_tokens = sequences[i].request;
        outcomes[i].answer_tokens = generate_tokens(&streams[i]);
    }
    return status;
}
