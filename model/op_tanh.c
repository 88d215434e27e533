/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "model/operators.h"

struct bend {
    struct node node;
    struct tensor *x;
};

static void backward(struct tape *tape, struct node *node)
{
    struct bend *n = (struct bend *)node;
    struct tensor *out = node->out;
    for (size_t i = 0; i < tensor_size(out); i++)
        out->grad[i] *= 1 - out->data[i] * out->data[i];
    tape_pass_grad(tape, out, n->x);
}

struct tensor *op_tanh(struct tape *tape, struct tensor *x)
{
    struct tensor *out = tape_constant(tape, x->data, x->rows, x->cols);
    for (size_t i = 0; i < tensor_size(out); i++)
        out->data[i] = (real)tanh((double)x->data[i]);
    out->kept = true;
    struct bend *n = tape_record(tape, sizeof *n, out, x->needs_grad, backward);
    if (n)
        n->x = x;
    return out;
}
