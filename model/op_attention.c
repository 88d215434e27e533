/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "model/blas.h"
#include "model/operators.h"
#include "model/vector.h"

/* A run of keys and values that every row of a segment sees, or its own rows (the last piece). */
struct piece {
    const real *k, *v; /* (length, width) */
    real *dk, *dv;     /* where their gradients go, or NULL */
    int length;
};

struct context {
    struct piece *pieces; /* oldest first; the last one is the segment itself */
    int n_pieces;
    int length; /* rows of all pieces */
};

struct attention_node {
    struct node node;
    struct tensor *q, *k, *v;
    struct attention how;
};

/* Buffers for one segment and one key head, with its query heads stacked: (stacked, ...). */
struct scratch {
    real *q, *out;              /* (stacked, head_dim) */
    real *weights;              /* (stacked, context) */
    real *dq, *dout, *dweights; /* the same for the gradients; NULL in a forward pass */
};

static int ancestors(const struct layout *layout, const struct segment *segment)
{
    int count = 1;
    for (; segment->parent >= 0; segment = &layout->segments[segment->parent])
        count++;
    for (const struct cache *c = segment->cache; c; c = c->parent)
        count += c->length > 0;
    return count;
}

/* In a forward pass there are no gradients yet; a frozen parameter may have one and keeps it. */
static real *grad_at(const struct tensor *t, size_t at)
{
    return t->needs_grad && t->grad ? t->grad + at : NULL;
}

static struct piece rows_of(const struct tensor *k, const struct tensor *v, int start, int length)
{
    size_t at = (size_t)start * (size_t)k->cols;
    return (struct piece){.k = k->data + at,
                          .v = v->data + at,
                          .dk = grad_at(k, at),
                          .dv = grad_at(v, at),
                          .length = length};
}

static struct piece rows_cached(const struct cache *cache, int layer)
{
    size_t at = (size_t)layer * (size_t)cache->capacity * (size_t)cache->width;
    return (struct piece){.k = cache->keys + at, .v = cache->values + at, .length = cache->length};
}

/* What the rows of `segment` see, oldest first. Allocated in the tape's arena. */
static struct context find_context(struct tape *tape, const struct attention *how,
                                   const struct segment *segment, struct tensor *k,
                                   struct tensor *v)
{
    struct context context = {.n_pieces = ancestors(how->layout, segment)};
    struct tensor *past_k = how->past_keys, *past_v = how->past_values;
    context.n_pieces += past_k != NULL;
    context.pieces = arena_alloc(tape->arena, (size_t)context.n_pieces * sizeof(struct piece));
    struct piece *piece = context.pieces + context.n_pieces;
    const struct segment *s = segment;
    *--piece = rows_of(k, v, s->start, s->length);
    while (s->parent >= 0) {
        s = &how->layout->segments[s->parent];
        *--piece = rows_of(k, v, s->start, s->length);
    }
    for (const struct cache *c = s->cache; c; c = c->parent)
        if (c->length > 0) /* a product over no rows need not write its result */
            *--piece = rows_cached(c, how->layer);
    if (past_k)
        *--piece = rows_of(past_k, past_v, 0, past_k->rows);
    for (int i = 0; i < context.n_pieces; i++)
        context.length += context.pieces[i].length;
    return context;
}

/* Copies the query heads that share key head `group` between (rows, n_head * head_dim) and the
 * stacked form: head by head, each (length, head_dim). */
static void stack_heads(const struct segment *segment, const real *from, int cols, int group,
                        int per_group, int head_dim, real scale, real *stacked)
{
    for (int h = 0; h < per_group; h++)
        for (int t = 0; t < segment->length; t++) {
            const real *row = from + (size_t)(segment->start + t) * (size_t)cols +
                              (size_t)(group * per_group + h) * (size_t)head_dim;
            for (int d = 0; d < head_dim; d++)
                *stacked++ = scale * row[d];
        }
}

/* The way back; `add` to what is there, or written over it. */
static void unstack_heads(const struct segment *segment, const real *stacked, int cols, int group,
                          int per_group, int head_dim, real scale, bool add, real *to)
{
    for (int h = 0; h < per_group; h++)
        for (int t = 0; t < segment->length; t++) {
            real *row = to + (size_t)(segment->start + t) * (size_t)cols +
                        (size_t)(group * per_group + h) * (size_t)head_dim;
            if (add)
                for (int d = 0; d < head_dim; d++)
                    row[d] += scale * stacked[d];
            else
                for (int d = 0; d < head_dim; d++)
                    row[d] = scale * stacked[d];
            stacked += head_dim;
        }
}

/* Softmax over the first `visible` of `length` scores; the rest becomes 0. */
static void softmax_row(real *scores, int visible, int length)
{
    real peak = scores[0];
    for (int i = 1; i < visible; i++)
        peak = scores[i] > peak ? scores[i] : peak;
    real sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int i = 0; i < visible; i++) {
        scores[i] = vector_exp(scores[i] - peak);
        sum += scores[i];
    }
    real inverse = 1 / sum;
    for (int i = 0; i < visible; i++)
        scores[i] *= inverse;
    memset(scores + visible, 0, (size_t)(length - visible) * sizeof *scores);
}

/* weights = causal softmax(q k^T) for the stacked heads of one group. */
static void attend(const struct context *context, const struct segment *segment, int stacked,
                   int head_dim, int width, int offset, const real *q, real *weights)
{
    int at = 0;
    for (int i = 0; i < context->n_pieces; i++) {
        const struct piece *piece = &context->pieces[i];
        blas_gemm(AS_IS, TRANSPOSED, stacked, piece->length, head_dim, 1, q, head_dim,
                  piece->k + offset, width, 0, weights + at, context->length);
        at += piece->length;
    }
    int before = context->length - segment->length;
    for (int r = 0; r < stacked; r++)
        softmax_row(weights + (size_t)r * (size_t)context->length, before + r % segment->length + 1,
                    context->length);
}

static void forward_group(const struct context *context, const struct segment *segment,
                          const struct tensor *q, int width, int group, int head_dim,
                          struct scratch *scratch, struct tensor *out)
{
    int per_group = q->cols / width, stacked = per_group * segment->length;
    int offset = group * head_dim;
    real scale = 1 / (real)sqrt(head_dim);
    stack_heads(segment, q->data, q->cols, group, per_group, head_dim, scale, scratch->q);
    attend(context, segment, stacked, head_dim, width, offset, scratch->q, scratch->weights);
    int at = 0;
    for (int i = 0; i < context->n_pieces; i++) {
        const struct piece *piece = &context->pieces[i];
        blas_gemm(AS_IS, AS_IS, stacked, head_dim, piece->length, 1, scratch->weights + at,
                  context->length, piece->v + offset, width, i > 0, scratch->out, head_dim);
        at += piece->length;
    }
    unstack_heads(segment, scratch->out, q->cols, group, per_group, head_dim, 1, false, out->data);
}

/* dscores = weights * (dweights - sum(weights * dweights)), row by row, in place of dweights. */
static void softmax_backward(const real *weights, real *dweights, int rows, int length)
{
    for (int r = 0; r < rows; r++) {
        const real *w = weights + (size_t)r * (size_t)length;
        real *dw = dweights + (size_t)r * (size_t)length;
        real sum = 0;
#pragma omp simd reduction(+ : sum)
        for (int i = 0; i < length; i++)
            sum += w[i] * dw[i];
        for (int i = 0; i < length; i++)
            dw[i] = w[i] * (dw[i] - sum);
    }
}

static void backward_group(const struct context *context, const struct segment *segment,
                           const struct attention_node *n, int group, bool add_to_q,
                           struct scratch *scratch)
{
    const struct tensor *q = n->q, *out = n->node.out;
    int head_dim = n->how.head_dim, width = n->k->cols, offset = group * head_dim;
    int per_group = q->cols / width, stacked = per_group * segment->length;
    real scale = 1 / (real)sqrt(head_dim);
    stack_heads(segment, q->data, q->cols, group, per_group, head_dim, scale, scratch->q);
    stack_heads(segment, out->grad, q->cols, group, per_group, head_dim, 1, scratch->dout);
    attend(context, segment, stacked, head_dim, width, offset, scratch->q, scratch->weights);
    int at = 0, length = context->length;
    for (int i = 0; i < context->n_pieces; at += context->pieces[i++].length) {
        const struct piece *piece = &context->pieces[i];
        blas_gemm(AS_IS, TRANSPOSED, stacked, piece->length, head_dim, 1, scratch->dout, head_dim,
                  piece->v + offset, width, 0, scratch->dweights + at, length);
        if (piece->dv)
            blas_gemm(TRANSPOSED, AS_IS, piece->length, head_dim, stacked, 1, scratch->weights + at,
                      length, scratch->dout, head_dim, 1, piece->dv + offset, width);
    }
    softmax_backward(scratch->weights, scratch->dweights, stacked, length);
    at = 0;
    for (int i = 0; i < context->n_pieces; at += context->pieces[i++].length) {
        const struct piece *piece = &context->pieces[i];
        blas_gemm(AS_IS, AS_IS, stacked, head_dim, piece->length, 1, scratch->dweights + at, length,
                  piece->k + offset, width, i > 0, scratch->dq, head_dim);
        if (piece->dk)
            blas_gemm(TRANSPOSED, AS_IS, piece->length, head_dim, stacked, 1,
                      scratch->dweights + at, length, scratch->q, head_dim, 1, piece->dk + offset,
                      width);
    }
    if (q->needs_grad)
        unstack_heads(segment, scratch->dq, q->cols, group, per_group, head_dim, scale, add_to_q,
                      q->grad);
}

static struct scratch scratch_for(struct tape *tape, int stacked, int length, int head_dim,
                                  bool gradients)
{
    size_t heads = (size_t)stacked * (size_t)head_dim * sizeof(real);
    size_t scores = (size_t)stacked * (size_t)length * sizeof(real);
    struct scratch scratch = {.q = arena_alloc(tape->arena, heads),
                              .out = arena_alloc(tape->arena, heads),
                              .weights = arena_alloc(tape->arena, scores)};
    if (gradients) {
        scratch.dq = arena_alloc(tape->arena, heads);
        scratch.dout = arena_alloc(tape->arena, heads);
        scratch.dweights = arena_alloc(tape->arena, scores);
    }
    return scratch;
}

static void touch_grad(struct tape *tape, struct tensor *t)
{
    if (t && t->needs_grad)
        tape_grad(tape, t);
}

static void backward(struct tape *tape, struct node *node)
{
    struct attention_node *n = (struct attention_node *)node;
    int width = n->k->cols, head_dim = n->how.head_dim;
    bool add_to_q = n->q->grad || n->q == n->k || n->q == n->v; /* else each row is written once */
    if (add_to_q)
        touch_grad(tape, n->q);
    else if (n->q->needs_grad)
        tape_grad_beta(tape, n->q, &(real){0});
    touch_grad(tape, n->k);
    touch_grad(tape, n->v);
    touch_grad(tape, n->how.past_keys);
    touch_grad(tape, n->how.past_values);
    for (int s = 0; s < n->how.layout->n_segments; s++) {
        const struct segment *segment = &n->how.layout->segments[s];
        struct arena_mark mark = arena_mark(tape->arena);
        struct context context = find_context(tape, &n->how, segment, n->k, n->v);
        struct scratch scratch = scratch_for(tape, segment->length * (n->q->cols / width),
                                             context.length, head_dim, true);
        for (int group = 0; group < width / head_dim; group++)
            backward_group(&context, segment, n, group, add_to_q, &scratch);
        arena_rewind(tape->arena, mark);
    }
}

struct tensor *op_attention(struct tape *tape, struct tensor *q, struct tensor *k, struct tensor *v,
                            const struct attention *attention)
{
    struct tensor *out = tape_tensor(tape, q->rows, q->cols);
    int width = k->cols, head_dim = attention->head_dim;
    for (int s = 0; s < attention->layout->n_segments; s++) {
        const struct segment *segment = &attention->layout->segments[s];
        struct arena_mark mark = arena_mark(tape->arena);
        struct context context = find_context(tape, attention, segment, k, v);
        struct scratch scratch =
            scratch_for(tape, segment->length * (q->cols / width), context.length, head_dim, false);
        for (int group = 0; group < width / head_dim; group++)
            forward_group(&context, segment, q, width, group, head_dim, &scratch, out);
        arena_rewind(tape->arena, mark);
    }
    const struct tensor *past_k = attention->past_keys, *past_v = attention->past_values;
    q->kept = k->kept = v->kept = true;
    bool needed = q->needs_grad || k->needs_grad || v->needs_grad ||
                  (past_k && (past_k->needs_grad || past_v->needs_grad));
    struct attention_node *n = tape_record(tape, sizeof *n, out, needed, backward);
    if (n) {
        n->q = q;
        n->k = k;
        n->v = v;
        n->how = *attention;
    }
    return out;
}
