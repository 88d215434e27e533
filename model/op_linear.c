/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "model/blas.h"
#include "model/operators.h"
#include "model/weight.h"

struct linear {
    struct node node;
    struct tensor *x, *w, *bias, *y; /* `bias` or `y` may be NULL */
    real scale;
};

static void add_to_bias(struct tape *tape, const struct tensor *out, struct tensor *bias)
{
    real *grad = tape_grad(tape, bias);
    for (int r = 0; r < out->rows; r++)
        for (int c = 0; c < out->cols; c++)
            grad[c] += out->grad[(size_t)r * (size_t)out->cols + (size_t)c];
}

static void backward(struct tape *tape, struct node *node)
{
    struct linear *l = (struct linear *)node;
    struct tensor *out = node->out, *x = l->x, *w = l->w;
    real beta;
    if (x->needs_grad) {
        real *grad = tape_grad_beta(tape, x, &beta);
        weight_multiply_back(w, (struct factor){out->grad, out->rows}, l->scale, beta, grad,
                             tape->arena);
    }
    if (w->needs_grad && tape_turn(w)) {
        real *grad = tape_grad_beta(tape, w, &beta);
        blas_gemm(TRANSPOSED, AS_IS, w->rows, w->cols, x->rows, l->scale, out->grad, out->cols,
                  tape_values(x), x->cols, beta, grad, w->cols);
        tape_turn_done(w);
    }
    if (l->bias && l->bias->needs_grad)
        add_to_bias(tape, out, l->bias);
    if (l->y)
        tape_pass_grad(tape, out, l->y);
}

static void multiply(struct tape *tape, struct tensor *x, const struct tensor *w, real scale,
                     real beta, struct tensor *out)
{
    struct factor factor = {tape_values(x), x->rows};
    weight_multiply(w, factor, scale, beta, out->data, tape->arena);
}

struct tensor *op_linear(struct tape *tape, struct tensor *x, struct tensor *w, struct tensor *bias)
{
    struct tensor *out = tape_tensor(tape, x->rows, w->rows);
    if (bias)
        for (int r = 0; r < out->rows; r++)
            memcpy(out->data + (size_t)r * (size_t)out->cols, bias->data,
                   (size_t)out->cols * sizeof(real));
    multiply(tape, x, w, 1, bias ? 1 : 0, out);
    x->kept = x->kept || w->needs_grad;
    bool needed = x->needs_grad || w->needs_grad || (bias && bias->needs_grad);
    struct linear *l = tape_record(tape, sizeof *l, out, needed, backward);
    if (l) {
        l->x = x;
        l->w = w;
        l->bias = bias;
        l->scale = 1;
    }
    return out;
}

struct tensor *op_linear_add(struct tape *tape, struct tensor *y, struct tensor *x,
                             struct tensor *w, real scale)
{
    struct tensor *out = tape_constant(tape, y->data, y->rows, y->cols);
    multiply(tape, x, w, scale, 1, out);
    x->kept = x->kept || w->needs_grad;
    bool needed = y->needs_grad || x->needs_grad || w->needs_grad;
    struct linear *l = tape_record(tape, sizeof *l, out, needed, backward);
    if (l) {
        l->x = x;
        l->w = w;
        l->y = y;
        l->scale = scale;
    }
    return out;
}
