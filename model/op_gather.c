/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "model/operators.h"

struct gather {
    struct node node;
    struct tensor *x;
    const int *rows;
};

static void backward(struct tape *tape, struct node *node)
{
    struct gather *n = (struct gather *)node;
    const struct tensor *out = node->out;
    size_t width = (size_t)out->cols;
    real *grad = tape_grad(tape, n->x);
    for (int r = 0; r < out->rows; r++)
        for (size_t c = 0; c < width; c++)
            grad[(size_t)n->rows[r] * width + c] += out->grad[(size_t)r * width + c];
}

struct tensor *op_gather(struct tape *tape, struct tensor *x, const int *rows, int count)
{
    struct tensor *out = tape_tensor(tape, count, x->cols);
    size_t width = (size_t)x->cols;
    const real *values = tape_values(x);
    for (int r = 0; r < count; r++)
        memcpy(out->data + (size_t)r * width, values + (size_t)rows[r] * width,
               width * sizeof(real));
    struct gather *n = tape_record(tape, sizeof *n, out, x->needs_grad, backward);
    if (n) {
        n->x = x;
        n->rows = rows;
    }
    return out;
}
