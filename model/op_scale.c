/* SPDX-License-Identifier: Apache-2.0 */
#include "model/operators.h"

struct scale {
    struct node node;
    struct tensor *x, *scale;
    const real *divisor; /* NULL: nothing is divided */
    const real *offset;  /* NULL: nothing stays out */
};

static void backward(struct tape *tape, struct node *node)
{
    struct scale *n = (struct scale *)node;
    struct tensor *out = node->out;
    const real *scale = n->scale->data, *divisor = n->divisor, *offset = n->offset;
    const real *values = n->scale->needs_grad ? tape_values(n->x) : NULL;
    real *dx = n->x->needs_grad ? tape_grad(tape, n->x) : NULL;
    real *dscale = n->scale->needs_grad ? tape_grad(tape, n->scale) : NULL;
    for (int r = 0; r < out->rows; r++) {
        size_t at = (size_t)r * (size_t)out->cols;
        const real *dy = out->grad + at, *x = dscale ? values + at : NULL;
        for (int c = 0; c < out->cols && dx; c++)
            dx[at + (size_t)c] += dy[c] * (divisor ? scale[c] / divisor[c] : scale[c]);
        for (int c = 0; c < out->cols && dscale; c++)
            dscale[c] += dy[c] * (offset ? x[c] - offset[c] : x[c]) / (divisor ? divisor[c] : 1);
    }
}

static struct tensor *rescale(struct tape *tape, struct tensor *x, struct tensor *scale,
                              const real *divisor, const real *offset)
{
    struct tensor *out = tape_tensor(tape, x->rows, x->cols);
    for (int r = 0; r < x->rows; r++) {
        const real *in = x->data + (size_t)r * (size_t)x->cols;
        real *to = out->data + (size_t)r * (size_t)x->cols;
        for (int c = 0; c < x->cols; c++) {
            real factor = divisor ? scale->data[c] / divisor[c] : scale->data[c];
            to[c] = offset ? (in[c] - offset[c]) * factor + offset[c] : in[c] * factor;
        }
    }
    struct scale *n =
        tape_record(tape, sizeof *n, out, x->needs_grad || scale->needs_grad, backward);
    x->kept = x->kept || scale->needs_grad;
    if (n) {
        n->x = x;
        n->scale = scale;
        n->divisor = divisor;
        n->offset = offset;
    }
    return out;
}

struct tensor *op_scale(struct tape *tape, struct tensor *x, struct tensor *scale)
{
    return rescale(tape, x, scale, NULL, NULL);
}

struct tensor *op_scale_over(struct tape *tape, struct tensor *x, struct tensor *scale,
                             const real *divisor, const real *offset)
{
    return rescale(tape, x, scale, divisor, offset);
}
