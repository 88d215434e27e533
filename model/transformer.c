/* SPDX-License-Identifier: Apache-2.0 */
#include "model/transformer.h"

#include <string.h>

static struct tensor *weight_of(struct pass *pass, struct tensor *frozen)
{
    if (pass->attachment && pass->attachment->weight)
        return pass->attachment->weight(pass, frozen);
    return frozen;
}

static struct tensor *project(struct pass *pass, int layer, enum site site, struct tensor *x)
{
    const struct attachment *a = pass->attachment;
    if (a && a->linear_input)
        x = a->linear_input(pass, layer, site, x);
    struct tensor *w = weight_of(pass, &pass->model->layers[layer].linear[site]);
    struct tensor *y = op_linear(pass->tape, x, w, NULL);
    if (a && a->linear)
        y = a->linear(pass, layer, site, x, y);
    return y;
}

static struct tensor *after_branch(struct pass *pass, int layer, enum branch branch,
                                   struct tensor *x, struct tensor *y)
{
    if (pass->attachment && pass->attachment->branch)
        return pass->attachment->branch(pass, layer, branch, x, y);
    return y;
}

/* Copies the keys and values of the segments that are captured. */
static void capture_rows(const struct pass *pass, int layer, const struct tensor *k,
                         const struct tensor *v)
{
    for (int s = 0; s < pass->layout->n_segments; s++) {
        const struct segment *segment = &pass->layout->segments[s];
        struct cache *cache = segment->capture;
        if (!cache)
            continue;
        size_t width = (size_t)cache->width;
        size_t to = ((size_t)layer * (size_t)cache->capacity + (size_t)cache->length) * width;
        size_t from = (size_t)segment->start * width;
        size_t bytes = (size_t)segment->length * width * sizeof(real);
        memcpy(cache->keys + to, k->data + from, bytes);
        memcpy(cache->values + to, v->data + from, bytes);
    }
}

static void grow_captures(const struct layout *layout)
{
    for (int s = 0; s < layout->n_segments; s++)
        if (layout->segments[s].capture)
            layout->segments[s].capture->length += layout->segments[s].length;
}

/* Attention over the normalised input x, before the output projection; NULL when the caller only
 * wants the captured keys and values of the last layer. */
static struct tensor *attend(struct pass *pass, int layer, struct tensor *x,
                             const struct tensor *cos_sin)
{
    const struct model *model = pass->model;
    struct tensor *k = project(pass, layer, SITE_K, x);
    struct tensor *v = project(pass, layer, SITE_V, x);
    k = op_rope(pass->tape, k, cos_sin, model->head_dim);
    capture_rows(pass, layer, k, v);
    if (layer + 1 == model->n_layer && pass->layout->n_scored == 0)
        return NULL;
    struct tensor *q = project(pass, layer, SITE_Q, x);
    q = op_rope(pass->tape, q, cos_sin, model->head_dim);
    struct attention how = {.layout = pass->layout, .layer = layer, .head_dim = model->head_dim};
    if (pass->attachment && pass->attachment->past)
        pass->attachment->past(pass, layer, &how.past_keys, &how.past_values);
    return op_attention(pass->tape, q, k, v, &how);
}

static struct tensor *feed_forward(struct pass *pass, int layer, struct tensor *x)
{
    struct tensor *gate = project(pass, layer, SITE_GATE, x);
    struct tensor *up = project(pass, layer, SITE_UP, x);
    return project(pass, layer, SITE_DOWN, op_swiglu(pass->tape, gate, up));
}

/* One layer over the residual stream `h`. Behind the attention of the last layer only the scored
 * rows go on. */
static struct tensor *run_layer(struct pass *pass, int layer, struct tensor *h,
                                const struct tensor *cos_sin)
{
    const struct model *model = pass->model;
    struct layer *weights = &model->layers[layer];
    struct tape *tape = pass->tape;
    real epsilon = (real)model->epsilon;
    struct tensor *x = op_rms_norm(tape, h, weight_of(pass, &weights->attention_norm), epsilon);
    struct tensor *mixed = attend(pass, layer, x, cos_sin);
    if (!mixed)
        return NULL;
    if (layer + 1 == model->n_layer) {
        const struct layout *layout = pass->layout;
        mixed = op_gather(tape, mixed, layout->scored, layout->n_scored);
        x = op_gather(tape, x, layout->scored, layout->n_scored);
        h = op_gather(tape, h, layout->scored, layout->n_scored);
    }
    struct tensor *y = project(pass, layer, SITE_O, mixed);
    h = op_add(tape, h, after_branch(pass, layer, BRANCH_ATTENTION, x, y));
    x = op_rms_norm(tape, h, weight_of(pass, &weights->feed_forward_norm), epsilon);
    y = feed_forward(pass, layer, x);
    return op_add(tape, h, after_branch(pass, layer, BRANCH_FEED_FORWARD, x, y));
}

struct tensor *transformer_forward(struct pass *pass)
{
    const struct model *model = pass->model;
    const struct layout *layout = pass->layout;
    struct tape *tape = pass->tape;
    struct tensor *cos_sin = tape_tensor(tape, layout->rows, model->n_rotated);
    rope_table(layout, model->rope_frequencies, cos_sin);
    struct tensor *extra = NULL;
    if (pass->attachment && pass->attachment->virtual_tokens)
        extra = pass->attachment->virtual_tokens(pass);
    struct tensor *table = weight_of(pass, (struct tensor *)&model->embedding);
    struct tensor *h = op_embedding(tape, table, extra, layout->tokens, layout->rows);
    struct tensor *kept = tape->recording ? NULL : tape_tensor(tape, layout->rows, model->n_embd);
    struct arena_mark mark = arena_mark(tape->arena);
    for (int layer = 0; layer < model->n_layer && h; layer++) {
        h = run_layer(pass, layer, h, cos_sin);
        if (!tape->recording && h) { /* move the result out of the way and reuse the rest */
            kept->rows = h->rows;
            memcpy(kept->data, h->data, tensor_size(h) * sizeof(real));
            arena_rewind(tape->arena, mark);
            h = kept;
        }
    }
    grow_captures(layout);
    if (!h)
        return NULL;
    struct tensor *gain = weight_of(pass, (struct tensor *)&model->output_norm);
    return op_rms_norm(tape, h, gain, (real)model->epsilon);
}

struct tensor *transformer_head(struct pass *pass)
{
    return weight_of(pass, (struct tensor *)&pass->model->output);
}

struct cache *cache_create(struct arena *arena, const struct model *model,
                           const struct cache *parent, int capacity)
{
    struct cache *cache = arena_alloc(arena, sizeof *cache);
    int width = model->n_head_kv * model->head_dim;
    size_t bytes = (size_t)model->n_layer * (size_t)capacity * (size_t)width * sizeof(real);
    *cache = (struct cache){.parent = parent,
                            .position = parent ? parent->position + parent->length : 0,
                            .capacity = capacity,
                            .width = width,
                            .keys = arena_alloc(arena, bytes),
                            .values = arena_alloc(arena, bytes)};
    return cache;
}
