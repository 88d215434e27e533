/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "model/operators.h"

struct beside {
    struct node node;
    struct tensor *left, *right;
};

static void add_columns(struct tape *tape, const struct tensor *out, int first, struct tensor *x)
{
    if (!x->needs_grad)
        return;
    real *grad = tape_grad(tape, x);
    for (int r = 0; r < x->rows; r++)
        for (int c = 0; c < x->cols; c++)
            grad[(size_t)r * (size_t)x->cols + (size_t)c] +=
                out->grad[(size_t)r * (size_t)out->cols + (size_t)(first + c)];
}

static void backward(struct tape *tape, struct node *node)
{
    struct beside *n = (struct beside *)node;
    add_columns(tape, node->out, 0, n->left);
    add_columns(tape, node->out, n->left->cols, n->right);
}

struct tensor *op_beside(struct tape *tape, struct tensor *left, struct tensor *right)
{
    size_t l = (size_t)left->cols, r = (size_t)right->cols;
    struct tensor *out = tape_tensor(tape, left->rows, left->cols + right->cols);
    for (size_t row = 0; row < (size_t)out->rows; row++) {
        memcpy(out->data + row * (l + r), left->data + row * l, l * sizeof(real));
        memcpy(out->data + row * (l + r) + l, right->data + row * r, r * sizeof(real));
    }
    bool needed = left->needs_grad || right->needs_grad;
    struct beside *n = tape_record(tape, sizeof *n, out, needed, backward);
    if (n) {
        n->left = left;
        n->right = right;
    }
    return out;
}
