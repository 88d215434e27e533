/* SPDX-License-Identifier: Apache-2.0 */
#include "model/operators.h"

struct relu {
    struct node node;
    struct tensor *x;
};

static void backward(struct tape *tape, struct node *node)
{
    struct relu *n = (struct relu *)node;
    struct tensor *out = node->out;
    for (size_t i = 0; i < tensor_size(out); i++)
        if (out->data[i] <= 0)
            out->grad[i] = 0;
    tape_pass_grad(tape, out, n->x);
}

struct tensor *op_relu(struct tape *tape, struct tensor *x)
{
    struct tensor *out = tape_constant(tape, x->data, x->rows, x->cols);
    for (size_t i = 0; i < tensor_size(out); i++) /* NaN stays NaN, so that a divergence shows */
        out->data[i] = x->data[i] < 0 ? 0 : x->data[i];
    out->kept = true;
    struct relu *n = tape_record(tape, sizeof *n, out, x->needs_grad, backward);
    if (n)
        n->x = x;
    return out;
}
