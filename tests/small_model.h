/* SPDX-License-Identifier: Apache-2.0
 *
 * A small random transformer made in memory, and batches packed by hand, for tests of what is built
 * on the engine.
 */
#ifndef TESTS_SMALL_MODEL_H
#define TESTS_SMALL_MODEL_H

#include <stdio.h>
#include <string.h>

#include "model/transformer.h"
#include "tests/support.h"

enum { BATCH_ROWS = 1024, BATCH_SEGMENTS = 32, SMALL_VOCAB = 13 };

/* Weights from normal values, gains near 1. */
static inline struct tensor small_weight(struct arena *arena, int rows, int cols, int index)
{
    struct tensor t = {.rows = rows, .cols = cols};
    t.data = arena_alloc(arena, tensor_size(&t) * sizeof(real));
    support_fill(t.data, tensor_size(&t), "small model", (uint64_t)index, rows == 1 ? 0.2 : 0.5);
    for (int c = 0; rows == 1 && c < cols; c++)
        t.data[c] += 1;
    return t;
}

/* `layers` layers of 8 features, 2 query heads of 4, 1 or 2 key heads and 12 hidden features, held
 * by `arena`. The same arguments give the same weights. Needs no model_free. */
static inline struct model *small_model(struct arena *arena, int layers, int key_heads, bool tied)
{
    enum { EMBD = 8, HEADS = 2, HEAD_DIM = 4, FF = 12 };
    const int key_width = key_heads * HEAD_DIM;
    const int out[N_SITES] = {EMBD, key_width, key_width, EMBD, FF, FF, EMBD};
    static const int in[N_SITES] = {EMBD, EMBD, EMBD, EMBD, EMBD, EMBD, FF};
    struct model *m = arena_zalloc(arena, sizeof *m);
    *m = (struct model){.n_layer = layers, .n_embd = EMBD, .n_head = HEADS, .n_head_kv = key_heads};
    m->head_dim = HEAD_DIM;
    m->n_ff = FF;
    m->n_vocab = SMALL_VOCAB;
    m->n_context = BATCH_ROWS;
    m->n_rotated = 4;
    m->epsilon = 1e-5;
    m->rope_frequencies = arena_alloc(arena, 2 * sizeof *m->rope_frequencies);
    m->rope_frequencies[0] = 1;
    m->rope_frequencies[1] = 0.1;
    int index = 0;
    m->embedding = small_weight(arena, SMALL_VOCAB, EMBD, index++);
    m->output_norm = small_weight(arena, 1, EMBD, index++);
    m->output = tied ? m->embedding : small_weight(arena, SMALL_VOCAB, EMBD, index++);
    m->layers = arena_zalloc(arena, (size_t)layers * sizeof *m->layers);
    for (int l = 0; l < layers; l++) {
        m->layers[l].attention_norm = small_weight(arena, 1, EMBD, index++);
        m->layers[l].feed_forward_norm = small_weight(arena, 1, EMBD, index++);
        for (int s = 0; s < N_SITES; s++)
            m->layers[l].linear[s] = small_weight(arena, out[s], in[s], index++);
    }
    return m;
}

struct batch {
    struct layout layout;
    int32_t tokens[BATCH_ROWS];
    struct segment segments[BATCH_SEGMENTS];
    int scored[BATCH_ROWS];
};

static inline void batch_init(struct batch *batch)
{
    batch->layout = (struct layout){
        .tokens = batch->tokens, .segments = batch->segments, .scored = batch->scored};
}

/* Appends a segment behind segment `parent` (or -1) or `cache` (or NULL), of which the last
 * `scored` rows are scored. Returns its number. */
static inline int batch_add(struct batch *batch, int parent, const struct cache *cache,
                            const int32_t *tokens, int length, int scored)
{
    struct layout *layout = &batch->layout;
    struct segment *segment = &batch->segments[layout->n_segments];
    *segment =
        (struct segment){.start = layout->rows, .length = length, .parent = parent, .cache = cache};
    if (parent >= 0)
        segment->position = batch->segments[parent].position + batch->segments[parent].length;
    else if (cache)
        segment->position = cache->position + cache->length;
    memcpy(batch->tokens + layout->rows, tokens, (size_t)length * sizeof *tokens);
    layout->rows += length;
    for (int r = layout->rows - scored; r < layout->rows; r++)
        batch->scored[layout->n_scored++] = r;
    return layout->n_segments++;
}

#endif
