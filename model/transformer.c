/* SPDX-License-Identifier: Apache-2.0 */
#include "model/transformer.h"

#include <stdio.h>
#include <string.h>

/* The weights of a layer by number: its norms, its projections, then the biases that there are. */
enum { ATTENTION_NORM, FEED_FORWARD_NORM, FIRST_SITE, FIRST_BIAS = FIRST_SITE + N_SITES };

int model_bias_count(const struct model *model)
{
    int count = 0;
    for (int s = 0; s < N_SITES; s++)
        count += model->biased[s];
    return count;
}

static int layer_weights(const struct model *model)
{
    return FIRST_BIAS + model_bias_count(model);
}

/* How many biases come before that of `site`. */
static int biases_before(const struct model *model, int site)
{
    int count = 0;
    for (int s = 0; s < site; s++)
        count += model->biased[s];
    return count;
}

/* The projection that bias number `index` of a layer belongs to. */
static int site_of_bias(const struct model *model, int index)
{
    int site = 0;
    while (!model->biased[site] || biases_before(model, site) < index)
        site++;
    return site;
}

/* Number of the first layer's first weight. */
static int first_layer_weight(const struct model *model)
{
    const struct tensor *in = &model->embedding, *out = &model->output;
    return out->data == in->data && out->packed == in->packed ? 2 : 3;
}

int model_weight_count(const struct model *model)
{
    return first_layer_weight(model) + model->n_layer * layer_weights(model);
}

const struct tensor *model_weight(const struct model *model, int number)
{
    int in_layers = number - first_layer_weight(model);
    if (in_layers < 0)
        return number == 0 ? &model->embedding : number == 1 ? &model->output_norm : &model->output;
    const struct layer *layer = &model->layers[in_layers / layer_weights(model)];
    int part = in_layers % layer_weights(model);
    if (part == ATTENTION_NORM)
        return &layer->attention_norm;
    if (part == FEED_FORWARD_NORM)
        return &layer->feed_forward_norm;
    return part < FIRST_BIAS ? &layer->linear[part - FIRST_SITE]
                             : &layer->bias[site_of_bias(model, part - FIRST_BIAS)];
}

int model_weight_number(const struct model *model, const struct tensor *weight)
{
    int first = first_layer_weight(model);
    if (weight == &model->embedding)
        return 0;
    if (weight == &model->output_norm)
        return 1;
    if (weight == &model->output)
        return first == 3 ? 2 : 0;
    size_t at = (size_t)((const char *)weight - (const char *)model->layers) / sizeof(struct layer);
    const struct layer *layer = &model->layers[at];
    int number = first + (int)at * layer_weights(model);
    if (weight == &layer->attention_norm)
        return number + ATTENTION_NORM;
    if (weight == &layer->feed_forward_norm)
        return number + FEED_FORWARD_NORM;
    if (weight >= layer->bias && weight < layer->bias + N_SITES)
        return number + FIRST_BIAS + biases_before(model, (int)(weight - layer->bias));
    return number + FIRST_SITE + (int)(weight - layer->linear);
}

static const char *layer_weight_name(const struct model *model, int part)
{
    if (part == ATTENTION_NORM)
        return "attn_norm";
    if (part == FEED_FORWARD_NORM)
        return "ffn_norm";
    int site = part < FIRST_BIAS ? part - FIRST_SITE : site_of_bias(model, part - FIRST_BIAS);
    return site_name((enum site)site)->gguf;
}

void model_weight_name(const struct model *model, int number, char name[WEIGHT_NAME_BYTES])
{
    static const char *const outside[] = {"token_embd", "output_norm", "output"};
    int in_layers = number - first_layer_weight(model);
    if (in_layers < 0) {
        snprintf(name, WEIGHT_NAME_BYTES, "%s.weight", outside[number]);
        return;
    }
    int part = in_layers % layer_weights(model);
    snprintf(name, WEIGHT_NAME_BYTES, "blk.%d.%s.%s", in_layers / layer_weights(model),
             layer_weight_name(model, part), part < FIRST_BIAS ? "weight" : "bias");
}

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
    struct layer *weights = &pass->model->layers[layer];
    struct tensor *w = weight_of(pass, &weights->linear[site]), *bias = NULL;
    if (pass->model->biased[site])
        bias = weight_of(pass, &weights->bias[site]);
    struct low_rank low;
    struct tensor *y = a && a->low_rank && a->low_rank(pass, layer, site, &low)
                           ? op_linear_low_rank(pass->tape, x, w, bias, &low)
                           : op_linear(pass->tape, x, w, bias);
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
    k = op_rope(pass->tape, k, cos_sin, model->head_dim, model->rope_pairs);
    capture_rows(pass, layer, k, v);
    if (layer + 1 == model->n_layer && pass->layout->n_scored == 0)
        return NULL;
    struct tensor *q = project(pass, layer, SITE_Q, x);
    q = op_rope(pass->tape, q, cos_sin, model->head_dim, model->rope_pairs);
    struct attention how = {.layout = pass->layout, .layer = layer, .head_dim = model->head_dim};
    if (pass->attachment && pass->attachment->past)
        pass->attachment->past(pass, layer, &how.past_keys, &how.past_values);
    return op_attention(pass->tape, q, k, v, &how);
}

/* What every layer uses in a pass. */
struct common {
    const struct tensor *cos_sin;
    struct place *normalised, *activated; /* (rows, n_embd), (rows, n_ff) */
};

static struct tensor *feed_forward(struct pass *pass, int layer, struct tensor *x,
                                   const struct common *common)
{
    struct tensor *gate = project(pass, layer, SITE_GATE, x);
    struct tensor *up = project(pass, layer, SITE_UP, x);
    x = op_swiglu_at(pass->tape, common->activated, gate, up);
    return project(pass, layer, SITE_DOWN, x);
}

/* One layer over the residual stream `h`. Behind the attention of the last layer only the scored
 * rows go on. */
static struct tensor *run_layer(struct pass *pass, int layer, struct tensor *h,
                                const struct common *common)
{
    const struct model *model = pass->model;
    struct layer *weights = &model->layers[layer];
    struct tape *tape = pass->tape;
    real epsilon = (real)model->epsilon;
    struct tensor *x = op_rms_norm_at(tape, common->normalised, h,
                                      weight_of(pass, &weights->attention_norm), epsilon);
    struct tensor *mixed = attend(pass, layer, x, common->cos_sin);
    if (!mixed)
        return NULL;
    if (layer + 1 == model->n_layer) {
        const struct layout *layout = pass->layout;
        mixed = op_gather(tape, mixed, layout->scored, layout->n_scored);
        x = op_gather(tape, x, layout->scored, layout->n_scored);
        h = op_gather(tape, h, layout->scored, layout->n_scored);
    }
    struct tensor *y = project(pass, layer, SITE_O, mixed);
    h = op_add_onto(tape, h, after_branch(pass, layer, BRANCH_ATTENTION, x, y));
    x = op_rms_norm_at(tape, common->normalised, h, weight_of(pass, &weights->feed_forward_norm),
                       epsilon);
    y = feed_forward(pass, layer, x, common);
    return op_add_onto(tape, h, after_branch(pass, layer, BRANCH_FEED_FORWARD, x, y));
}

/* ---- Layers that are run again on the way back ---------------------------------------------- */

struct layer_node {
    struct node node;
    struct pass *pass;
    int layer;
    struct tensor *in;
    const struct common *common;
};

/* Runs the layer anew, now recording, and walks back through it at once. */
static void layer_backward(struct tape *tape, struct node *node)
{
    struct layer_node *n = (struct layer_node *)node;
    struct arena_mark mark = arena_mark(tape->arena);
    struct tensor *in = tape_constant(tape, n->in->data, n->in->rows, n->in->cols);
    in->needs_grad = n->in->needs_grad;
    tape->last = node; /* those behind it are done */
    struct tensor *out = run_layer(n->pass, n->layer, in, n->common);
    if (!out->needs_grad) /* nothing to learn here or below */
        return;
    out->grad = node->out->grad;
    node->out->grad = NULL;
    tape_backward_to(tape, node);
    if (in->grad)
        tape_pass_grad(tape, in, n->in);
    arena_rewind(tape->arena, mark);
}

/* One layer of which only the result is kept. */
static struct tensor *run_layer_briefly(struct pass *pass, int layer, struct tensor *h,
                                        const struct common *common)
{
    struct tape *tape = pass->tape;
    bool last = layer + 1 == pass->model->n_layer;
    int rows = last ? pass->layout->n_scored : h->rows;
    struct tensor *out = tape_tensor(tape, rows, h->cols);
    struct arena_mark mark = arena_mark(tape->arena);
    tape->recording = false;
    struct tensor *result = run_layer(pass, layer, h, common);
    tape->recording = true;
    memcpy(out->data, result->data, tensor_size(out) * sizeof(real));
    arena_rewind(tape->arena, mark);
    struct layer_node *node = tape_record(tape, sizeof *node, out, true, layer_backward);
    node->pass = pass;
    node->layer = layer;
    node->in = h;
    node->common = common;
    return out;
}

static struct tensor *virtual_tokens(struct pass *pass)
{
    if (!pass->attachment || !pass->attachment->virtual_tokens)
        return NULL;
    for (int r = 0; r < pass->layout->rows; r++)
        if (pass->layout->tokens[r] < 0)
            return pass->attachment->virtual_tokens(pass);
    return NULL;
}

static const struct common *prepare(struct pass *pass)
{
    const struct model *model = pass->model;
    struct tape *tape = pass->tape;
    size_t rows = (size_t)pass->layout->rows;
    struct common *common = arena_alloc(tape->arena, sizeof *common);
    struct tensor *cos_sin = tape_tensor(tape, pass->layout->rows, model->n_rotated);
    rope_table(pass->layout, model->rope_frequencies, cos_sin);
    *common = (struct common){.cos_sin = cos_sin,
                              .normalised = tape_place(tape, rows * (size_t)model->n_embd),
                              .activated = tape_place(tape, rows * (size_t)model->n_ff)};
    return common;
}

struct tensor *transformer_forward(struct pass *pass)
{
    const struct model *model = pass->model;
    const struct layout *layout = pass->layout;
    struct tape *tape = pass->tape;
    const struct common *common = prepare(pass);
    struct tensor *extra = virtual_tokens(pass);
    struct tensor *table = weight_of(pass, (struct tensor *)&model->embedding);
    struct tensor *h = op_embedding(tape, table, extra, layout->tokens, layout->rows);
    struct tensor *kept = tape->recording ? NULL : tape_tensor(tape, layout->rows, model->n_embd);
    struct arena_mark mark = arena_mark(tape->arena);
    for (int layer = 0; layer < model->n_layer && h; layer++) {
        if (pass->recompute && tape->recording && layout->n_scored) {
            h = run_layer_briefly(pass, layer, h, common);
            continue;
        }
        h = run_layer(pass, layer, h, common);
        if (!tape->recording && h) { /* move the result out of the way and reuse the rest */
            kept->rows = h->rows;
            memcpy(kept->data, h->data, tensor_size(h) * sizeof(real));
            arena_rewind(tape->arena, mark);
            h = kept;
        }
        if (pass->tap && layer + 1 < model->n_layer)
            pass->tap->see(pass->tap->context, layer + 1, h);
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
