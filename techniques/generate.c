/* SPDX-License-Identifier: Apache-2.0 */
#include "techniques/generate.h"

#include <ctype.h>
#include <string.h>

#include "model/chat.h"
#include "model/decode.h"

/* Streams decoded together, and streams that one task runs through. */
enum { STREAMS_TOGETHER = 16, STREAMS_A_TASK = 32 };

struct generating {
    struct adapted *adapted;
    struct stream *streams;
    size_t count;
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
                           .longest = adapted->longest_answer,
                           .together = STREAMS_TOGETHER};
    size_t first = task * STREAMS_A_TASK;
    size_t n = g->count - first < STREAMS_A_TASK ? g->count - first : STREAMS_A_TASK;
    return decode(&how, workspace, g->streams + first, (int)n, g->deadline, err);
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

static enum status read_streams(const struct generating *g, const struct sequence *sequences,
                                struct outcome *outcomes, struct arena *arena, struct error *err)
{
    const struct tokenizer *tokenizer = g->adapted->engine->model->tokenizer;
    struct text raw = {0};
    enum status status = OK;
    for (size_t i = 0; i < g->count && status == OK; i++) {
        const struct stream *stream = &g->streams[i];
        text_clear(&raw);
        status = tokenizer_decode(tokenizer, stream->ids, (size_t)stream->length, false, &raw, err);
        outcomes[i].text = clean(&raw, arena);
        outcomes[i].request_tokens = sequences[i].request;
        outcomes[i].answer_tokens = stream->length + stream->ended;
    }
    text_release(&raw);
    return status;
}

enum status generate_answers(struct adapted *adapted, const struct sequence *sequences,
                             size_t count, struct outcome *outcomes, struct arena *arena,
                             const struct deadline *deadline, struct error *err)
{
    struct generating g = {.adapted = adapted, .count = count, .deadline = deadline};
    enum status status = adapted_warm(adapted, err);
    if (status != OK)
        return status;
    g.streams = arena_zalloc(arena, count * sizeof *g.streams);
    for (size_t i = 0; i < count; i++) {
        g.streams[i].prompt = sequences[i].ids;
        g.streams[i].prompt_length = sequences[i].request;
        /* The last token needs no row of its own, hence one more than is left. */
        g.streams[i].room = adapted->engine->model->n_context - adapted->past_rows -
                            (int)adapted->prefix.count - sequences[i].request + 1;
        g.streams[i].ids =
            arena_alloc(arena, (size_t)adapted->longest_answer * sizeof *g.streams[i].ids);
    }
    size_t tasks = (count + STREAMS_A_TASK - 1) / STREAMS_A_TASK;
    status = pool_run(adapted->engine->pool, tasks, decode_task, &g, err);
    return status == OK ? read_streams(&g, sequences, outcomes, arena, err) : status;
}
