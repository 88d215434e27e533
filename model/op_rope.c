/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "model/operators.h"

struct rope {
    struct node node;
    struct tensor *x;
    const struct tensor *cos_sin;
    int head_dim;
};

/* Rotates every head of every row by its angle, or back when `sign` is -1. */
static void rotate(real *data, int rows, int cols, const struct tensor *cos_sin, int head_dim,
                   real sign)
{
    int rotated = cos_sin->cols;
    for (int r = 0; r < rows; r++) {
        const real *angle = cos_sin->data + (size_t)r * (size_t)rotated;
        real *row = data + (size_t)r * (size_t)cols;
        for (int head = 0; head < cols; head += head_dim) {
            real *x = row + head;
            for (int i = 0; i < rotated; i += 2) {
                real c = angle[i], s = sign * angle[i + 1];
                real a = x[i], b = x[i + 1];
                x[i] = a * c - b * s;
                x[i + 1] = a * s + b * c;
            }
        }
    }
}

static void backward(struct tape *tape, struct node *node)
{
    struct rope *r = (struct rope *)node;
    struct tensor *out = node->out;
    rotate(out->grad, out->rows, out->cols, r->cos_sin, r->head_dim, -1);
    tape_pass_grad(tape, out, r->x);
}

struct tensor *op_rope(struct tape *tape, struct tensor *x, const struct tensor *cos_sin,
                       int head_dim)
{
    struct tensor *out = tape_constant(tape, x->data, x->rows, x->cols);
    rotate(out->data, out->rows, out->cols, cos_sin, head_dim, 1);
    struct rope *r = tape_record(tape, sizeof *r, out, x->needs_grad, backward);
    if (r) {
        r->x = x;
        r->cos_sin = cos_sin;
        r->head_dim = head_dim;
    }
    return out;
}

void rope_table(const struct layout *layout, const double *frequencies, struct tensor *cos_sin)
{
    for (int s = 0; s < layout->n_segments; s++) {
        const struct segment *segment = &layout->segments[s];
        for (int t = 0; t < segment->length; t++) {
            real *row = cos_sin->data + (size_t)(segment->start + t) * (size_t)cos_sin->cols;
            for (int i = 0; i < cos_sin->cols / 2; i++) {
                double angle = (segment->position + t) * frequencies[i];
                row[2 * i] = (real)cos(angle);
                row[2 * i + 1] = (real)sin(angle);
            }
        }
    }
}
