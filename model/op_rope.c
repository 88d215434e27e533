/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "model/operators.h"

struct rope {
    struct node node;
    struct tensor *x;
    const struct tensor *cos_sin;
    int head_dim;
    enum rope_pairs pairs;
};

/* The first features of the pairs of one head are `step` apart, the second `apart` behind them. */
static void rotate_head(real *x, const real *angle, int rotated, int step, int apart, real sign)
{
    for (int i = 0; i < rotated; i += 2, x += step) {
        real c = angle[i], s = sign * angle[i + 1];
        real a = x[0], b = x[apart];
        x[0] = a * c - b * s;
        x[apart] = a * s + b * c;
    }
}

/* Rotates every head of every row by its angle, or back when `sign` is -1. */
static void rotate(const struct rope *rope, real *data, int rows, int cols, real sign)
{
    int rotated = rope->cos_sin->cols, head_dim = rope->head_dim;
    for (int r = 0; r < rows; r++) {
        const real *angle = rope->cos_sin->data + (size_t)r * (size_t)rotated;
        real *row = data + (size_t)r * (size_t)cols;
        for (int head = 0; head < cols; head += head_dim) {
            if (rope->pairs == ROPE_HALVES)
                rotate_head(row + head, angle, rotated, 1, rotated / 2, sign);
            else
                rotate_head(row + head, angle, rotated, 2, 1, sign);
        }
    }
}

static void backward(struct tape *tape, struct node *node)
{
    struct rope *r = (struct rope *)node;
    struct tensor *out = node->out;
    rotate(r, out->grad, out->rows, out->cols, -1);
    tape_pass_grad(tape, out, r->x);
}

struct tensor *op_rope(struct tape *tape, struct tensor *x, const struct tensor *cos_sin,
                       int head_dim, enum rope_pairs pairs)
{
    struct rope how = {.x = x, .cos_sin = cos_sin, .head_dim = head_dim, .pairs = pairs};
    struct tensor *out = tape_constant(tape, x->data, x->rows, x->cols);
    rotate(&how, out->data, out->rows, out->cols, 1);
    struct rope *r = tape_record(tape, sizeof *r, out, x->needs_grad, backward);
    if (r) {
        how.node = r->node;
        *r = how;
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
