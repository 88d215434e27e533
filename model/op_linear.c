/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "model/blas.h"
#include "model/operators.h"
#include "model/weight.h"

struct linear {
    struct node node;
    struct tensor *x, *w, *bias; /* `bias` may be NULL */
    struct low_rank low;         /* `a` and `b` may be NULL */
    real *between;               /* (rows, r) scale * x a^T */
};

static struct thin_pair pair_of(const struct low_rank *low, real *between)
{
    return (struct thin_pair){.a = low->a->data,
                              .b = low->b->data,
                              .rank = low->a->rows,
                              .scale = low->scale,
                              .between = between};
}

static void add_to_bias(struct tape *tape, const struct tensor *out, struct tensor *bias)
{
    real *grad = tape_grad(tape, bias);
    for (int r = 0; r < out->rows; r++)
        for (int c = 0; c < out->cols; c++)
            grad[c] += out->grad[(size_t)r * (size_t)out->cols + (size_t)c];
}

/* The gradient of a weight that met the rows of x and whose results have the gradient dy. */
static void add_to_weight(struct tape *tape, struct tensor *w, const real *dy, struct factor x)
{
    real beta;
    if (!tape_turn(w))
        return;
    real *grad = tape_grad_beta(tape, w, &beta);
    blas_gemm(TRANSPOSED, AS_IS, w->rows, w->cols, x.rows, 1, dy, w->rows, x.data, w->cols, beta,
              grad, w->cols);
    tape_turn_done(w);
}

/* The gradient of x, if it needs one, and of what stands between a and b. */
static void add_to_input(struct tape *tape, const struct linear *l, real *between)
{
    const struct tensor *out = l->node.out;
    const struct low_rank *low = &l->low;
    struct thin_pair pair = low->a ? pair_of(low, between) : (struct thin_pair){0};
    if (l->x->needs_grad) {
        real beta, *grad = tape_grad_beta(tape, l->x, &beta);
        weight_multiply_back(l->w, (struct factor){out->grad, out->rows}, low->a ? &pair : NULL,
                             beta, grad, tape->arena);
    } else if (low->a && low->a->needs_grad) {
        blas_gemm(AS_IS, AS_IS, out->rows, pair.rank, out->cols, pair.scale, out->grad, out->cols,
                  pair.b, pair.rank, 0, between, pair.rank);
    }
}

static void backward(struct tape *tape, struct node *node)
{
    struct linear *l = (struct linear *)node;
    const struct tensor *out = node->out;
    struct tensor *x = l->x, *a = l->low.a, *b = l->low.b;
    struct arena_mark mark = arena_mark(tape->arena);
    size_t size = a ? (size_t)out->rows * (size_t)a->rows : 0;
    real *between = arena_alloc(tape->arena, size * sizeof *between);
    add_to_input(tape, l, between);
    if (l->w->needs_grad)
        add_to_weight(tape, l->w, out->grad, (struct factor){tape_values(x), x->rows});
    if (a && a->needs_grad)
        add_to_weight(tape, a, between, (struct factor){tape_values(x), x->rows});
    if (b && b->needs_grad)
        add_to_weight(tape, b, out->grad, (struct factor){l->between, x->rows});
    if (l->bias && l->bias->needs_grad)
        add_to_bias(tape, out, l->bias);
    arena_rewind(tape->arena, mark);
}

static void multiply(struct tape *tape, const struct linear *l, struct tensor *out)
{
    struct tensor *x = l->x, *bias = l->bias;
    struct factor factor = {tape_values(x), x->rows};
    struct thin_pair pair = {0};
    if (l->low.a)
        pair = pair_of(&l->low, l->between);
    for (int r = 0; r < out->rows && bias; r++)
        memcpy(out->data + (size_t)r * (size_t)out->cols, bias->data,
               (size_t)out->cols * sizeof(real));
    weight_multiply(l->w, factor, l->low.a ? &pair : NULL, bias ? 1 : 0, out->data, tape->arena);
}

static bool is_trained(const struct tensor *t)
{
    return t && t->needs_grad;
}

static struct tensor *record(struct tape *tape, struct linear l)
{
    struct tensor *x = l.x, *out = tape_tensor(tape, x->rows, l.w->rows);
    if (l.low.a)
        l.between = tape_tensor(tape, x->rows, l.low.a->rows)->data;
    multiply(tape, &l, out);
    bool is_read = is_trained(l.w) || is_trained(l.low.a);
    x->kept = x->kept || is_read;
    bool needed = is_read || is_trained(x) || is_trained(l.bias) || is_trained(l.low.b);
    struct linear *recorded = tape_record(tape, sizeof *recorded, out, needed, backward);
    if (recorded) {
        l.node = recorded->node;
        *recorded = l;
    }
    return out;
}

struct tensor *op_linear(struct tape *tape, struct tensor *x, struct tensor *w, struct tensor *bias)
{
    return record(tape, (struct linear){.x = x, .w = w, .bias = bias});
}

struct tensor *op_linear_low_rank(struct tape *tape, struct tensor *x, struct tensor *w,
                                  struct tensor *bias, const struct low_rank *low)
{
    return record(tape, (struct linear){.x = x, .w = w, .bias = bias, .low = *low});
}
