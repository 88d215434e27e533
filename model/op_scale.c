/* SPDX-License-Identifier: Apache-2.0 */
#include "model/operators.h"

struct scale {
    struct node node;
    struct tensor *x, *scale;
    const real *divisor; /* NULL: nothing is divided */
};

static void backward(struct tape *tape, struct node *node)
{
    struct scale *n = (struct scale *)node;
    struct tensor *out = node->out;
    const real *scale = n->scale->data, *divisor = n->divisor;
    const real *values = n->scale->needs_grad ? tape_values(n->x) : NULL;
    real *dx = n->x->needs_grad ? tape_grad(tape, n->x) : NULL;
    real *dscale = n->scale->needs_grad ? tape_grad(tape, n->scale) : NULL;
    for (int r = 0; r < out->rows; r++) {
        size_t at = (size_t)r * (size_t)out->cols;
        const real *dy = out->grad + at, *x = dscale ? values + at : NULL;
        for (int c = 0; c < out->cols && dx; c++)
            dx[at + (size_t)c] += dy[c] * (divisor ? scale[c] / divisor[c] : scale[c]);
        for (int c = 0; c < out->cols && dscale; c++)
            dscale[c] += divisor ? dy[c] * x[c] / divisor[c] : dy[c] * x[c];
    }
}

static struct tensor *rescale(struct tape *tape, struct tensor *x, struct tensor *scale,
                              const real *divisor)
{
    struct tensor *out = tape_tensor(tape, x->rows, x->cols);
    for (int r = 0; r < x->rows; r++) {
        size_t at = (size_t)r * (size_t)x->cols;
        for (int c = 0; c < x->cols; c++)
            out->data[at + (size_t)c] =
                x->data[at + (size_t)c] * (divisor ? scale->data[c] / divisor[c] : scale->data[c]);
    }
    struct scale *n =
        tape_record(tape, sizeof *n, out, x->needs_grad || scale->needs_grad, backward);
    x->kept = x->kept || scale->needs_grad;
    if (n) {
        n->x = x;
        n->scale = scale;
        n->divisor = divisor;
    }
    return out;
}

struct tensor *op_scale(struct tape *tape, struct tensor *x, struct tensor *scale)
{
    return rescale(tape, x, scale, NULL);
}

struct tensor *op_scale_over(struct tape *tape, struct tensor *x, struct tensor *scale,
                             const real *divisor)
{
    return rescale(tape, x, scale, divisor);
}
