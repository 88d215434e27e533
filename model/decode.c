/* SPDX-License-Identifier: Apache-2.0 */
#include "model/decode.h"

#include <math.h>
#include <string.h>

#include "model/weight.h"

/* A place in the batch. Its cache is reused by the streams that take the place in turn. */
struct slot {
    struct stream *stream; /* NULL: free */
    struct cache *cache;
    int position; /* of the first token of the prompt */
    int32_t last; /* the token to feed next, once the prompt was read */
    bool fresh;   /* the prompt is still to be read */
};

struct batch {
    const struct decoding *how;
    struct slot *slots; /* (how->together) */
    int n_slots;
    int32_t *tokens;          /* of the step under construction */
    struct segment *segments; /* (n_slots) */
    int *scored;              /* (n_slots) */
    struct slot **order;      /* (n_slots) which slot each segment belongs to */
};

/* The layout of one step: prompts of fresh slots, the last token of the others. */
static struct layout step_layout(struct batch *batch)
{
    struct layout layout = {
        .tokens = batch->tokens, .segments = batch->segments, .scored = batch->scored};
    for (int i = 0; i < batch->n_slots; i++) {
        struct slot *slot = &batch->slots[i];
        if (!slot->stream)
            continue;
        const int32_t *tokens = slot->fresh ? slot->stream->prompt : &slot->last;
        int length = slot->fresh ? slot->stream->prompt_length : 1;
        batch->order[layout.n_segments] = slot;
        batch->segments[layout.n_segments++] =
            (struct segment){.start = layout.rows,
                             .length = length,
                             .parent = -1,
                             .cache = slot->fresh ? slot->cache->parent : slot->cache,
                             .capture = slot->cache,
                             .position = slot->position + slot->cache->length};
        memcpy(batch->tokens + layout.rows, tokens, (size_t)length * sizeof *tokens);
        layout.rows += length;
        batch->scored[layout.n_scored++] = layout.rows - 1;
        slot->fresh = false;
    }
    return layout;
}

static int32_t most_probable(const real *logits, int count)
{
    int best = 0;
    for (int i = 1; i < count; i++)
        if (logits[i] > logits[best])
            best = i;
    return best;
}

/* Draws from softmax(logits / temperature). */
static int32_t sample(const real *logits, int count, double temperature, struct random *random)
{
    double peak = (double)logits[most_probable(logits, count)], sum = 0;
    for (int i = 0; i < count; i++)
        sum += exp(((double)logits[i] - peak) / temperature);
    double left = random_uniform(random) * sum;
    for (int i = 0; i < count; i++) {
        left -= exp(((double)logits[i] - peak) / temperature);
        if (left < 0)
            return i;
    }
    return count - 1;
}

/* Gives a slot its next token; frees it when the stream is over. */
static void take_token(const struct decoding *how, struct slot *slot, int32_t token)
{
    struct stream *stream = slot->stream;
    stream->ended = token == how->end;
    if (!stream->ended)
        stream->ids[stream->length++] = token;
    bool full = stream->length == how->longest || (stream->room && stream->length == stream->room);
    if (stream->ended || full)
        slot->stream = NULL;
    slot->last = token;
}

static void run_step(struct batch *batch, struct workspace *workspace)
{
    const struct decoding *how = batch->how;
    arena_clear(&workspace->arena);
    tape_start(&workspace->tape, false);
    struct layout layout = step_layout(batch);
    struct pass pass = how->pass;
    pass.tape = &workspace->tape;
    pass.layout = &layout;
    const struct tensor *states = transformer_forward(&pass);
    const struct tensor *head = transformer_head(&pass);
    size_t vocabulary = (size_t)head->rows;
    real *logits =
        arena_alloc(&workspace->arena, (size_t)states->rows * vocabulary * sizeof *logits);
    struct factor factor = {states->data, states->rows};
    weight_multiply(head, factor, NULL, 0, logits, &workspace->arena);
    for (int s = 0; s < layout.n_segments; s++) {
        struct slot *slot = batch->order[s];
        const real *row = logits + (size_t)s * vocabulary;
        int32_t token = how->temperature > 0
                            ? sample(row, head->rows, how->temperature, &slot->stream->random)
                            : most_probable(row, head->rows);
        take_token(how, slot, token);
    }
}

/* Gives a free slot to a stream, behind the prefix of its own or the common one. */
static void begin_stream(const struct decoding *how, struct slot *slot, struct stream *stream)
{
    const struct cache *own = stream->prefix;
    slot->stream = stream;
    slot->stream->length = 0;
    slot->fresh = true;
    slot->position = own ? own->position + own->length : how->position;
    slot->cache->length = 0;
    slot->cache->parent = own ? own : how->prefix;
    slot->cache->position = slot->position;
}

/* Puts waiting streams into free slots; returns how many slots are taken. */
static int fill_slots(struct batch *batch, struct stream *streams, int n_streams, int *next)
{
    int taken = 0;
    for (int i = 0; i < batch->n_slots; i++) {
        struct slot *slot = &batch->slots[i];
        if (!slot->stream && *next < n_streams)
            begin_stream(batch->how, slot, &streams[(*next)++]);
        taken += slot->stream != NULL;
    }
    return taken;
}

static struct batch batch_for(const struct decoding *how, const struct stream *streams,
                              int n_streams, struct arena *arena)
{
    struct batch batch = {.how = how,
                          .n_slots = how->together < n_streams ? how->together : n_streams};
    size_t n = (size_t)batch.n_slots;
    int longest = 1;
    for (int i = 0; i < n_streams; i++)
        longest = streams[i].prompt_length > longest ? streams[i].prompt_length : longest;
    batch.slots = arena_zalloc(arena, n * sizeof *batch.slots);
    for (size_t i = 0; i < n; i++)
        batch.slots[i].cache =
            cache_create(arena, how->pass.model, how->prefix, longest + how->longest);
    batch.tokens = arena_alloc(arena, n * (size_t)longest * sizeof *batch.tokens);
    batch.segments = arena_alloc(arena, n * sizeof *batch.segments);
    batch.scored = arena_alloc(arena, n * sizeof *batch.scored);
    batch.order = arena_alloc(arena, n * sizeof(struct slot *));
    return batch;
}

enum status decode(const struct decoding *decoding, struct workspace *workspace,
                   struct stream *streams, int n_streams, const struct deadline *deadline,
                   struct error *err)
{
    struct arena_mark mark = arena_mark(&workspace->lasting);
    struct batch batch = batch_for(decoding, streams, n_streams, &workspace->lasting);
    int next = 0;
    enum status status = OK;
    while (status == OK && fill_slots(&batch, streams, n_streams, &next)) {
        status = deadline_check(deadline, err);
        if (status == OK)
            run_step(&batch, workspace);
    }
    arena_rewind(&workspace->lasting, mark);
    return status;
}
