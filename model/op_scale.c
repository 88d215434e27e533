/* SPDX-License-Identifier: Apache-2.0 */
#include "model/operators.h"

struct scale {
    struct node node;
    struct tensor *x, *scale;
};

static void backward(struct tape *tape, struct node *node)
{
    struct scale *n = (struct scale *)node;
    struct tensor *out = node->out;
    const real *scale = n->scale->data;
    real *dx = n->x->needs_grad ? tape_grad(tape, n->x) : NULL;
    real *dscale = n->scale->needs_grad ? tape_grad(tape, n->scale) : NULL;
    for (int r = 0; r < out->rows; r++) {
        size_t at = (size_t)r * (size_t)out->cols;
        const real *dy = out->grad + at, *x = n->x->data + at;
        for (int c = 0; c < out->cols && dx; c++)
            dx[at + (size_t)c] += dy[c] * scale[c];
        for (int c = 0; c < out->cols && dscale; c++)
            dscale[c] += dy[c] * x[c];
    }
}

struct tensor *op_scale(struct tape *tape, struct tensor *x, struct tensor *scale)
{
    struct tensor *out = tape_tensor(tape, x->rows, x->cols);
    for (int r = 0; r < x->rows; r++) {
        size_t at = (size_t)r * (size_t)x->cols;
        for (int c = 0; c < x->cols; c++)
            out->data[at + (size_t)c] = x->data[at + (size_t)c] * scale->data[c];
    }
    struct scale *n =
        tape_record(tape, sizeof *n, out, x->needs_grad || scale->needs_grad, backward);
    if (n) {
        n->x = x;
        n->scale = scale;
    }
    return out;
}
