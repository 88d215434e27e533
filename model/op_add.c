/* SPDX-License-Identifier: Apache-2.0 */
#include "model/operators.h"

struct add {
    struct node node;
    struct tensor *x, *y;
};

static void backward(struct tape *tape, struct node *node)
{
    struct add *n = (struct add *)node;
    struct tensor *out = node->out;
    if (n->x->needs_grad)
        tape_add_grad(tape, n->x, out->grad);
    tape_pass_grad(tape, out, n->y); /* last: it may take the buffer */
}

static struct tensor *add(struct tape *tape, struct tensor *x, struct tensor *y, struct tensor *out)
{
    for (size_t i = 0; i < tensor_size(out); i++)
        out->data[i] = x->data[i] + y->data[i];
    struct add *n = tape_record(tape, sizeof *n, out, x->needs_grad || y->needs_grad, backward);
    if (n) {
        n->x = x;
        n->y = y;
    }
    return out;
}

struct tensor *op_add(struct tape *tape, struct tensor *x, struct tensor *y)
{
    return add(tape, x, y, tape_tensor(tape, x->rows, x->cols));
}

struct tensor *op_add_onto(struct tape *tape, struct tensor *x, struct tensor *y)
{
    if (y->kept || y->again || y->parameter)
        return op_add(tape, x, y);
    return add(tape, x, y, tape_constant(tape, y->data, y->rows, y->cols));
}
