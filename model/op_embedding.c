/* SPDX-License-Identifier: Apache-2.0 */
#include "model/operators.h"
#include "model/weight.h"

struct embedding {
    struct node node;
    struct tensor *table, *extra;
    const int32_t *ids;
};

static void backward(struct tape *tape, struct node *node)
{
    struct embedding *e = (struct embedding *)node;
    const struct tensor *out = node->out;
    for (int r = 0; r < out->rows; r++) {
        int32_t id = e->ids[r];
        struct tensor *source = id < 0 ? e->extra : e->table;
        if (!source->needs_grad)
            continue;
        size_t row = (size_t)(id < 0 ? -1 - id : id);
        real *grad = tape_grad(tape, source) + row * (size_t)out->cols;
        const real *from = out->grad + (size_t)r * (size_t)out->cols;
        for (int c = 0; c < out->cols; c++)
            grad[c] += from[c];
    }
}

struct tensor *op_embedding(struct tape *tape, struct tensor *table, struct tensor *extra,
                            const int32_t *ids, int rows)
{
    struct tensor *out = tape_tensor(tape, rows, table->cols);
    size_t width = (size_t)table->cols;
    for (int r = 0; r < rows; r++) {
        const struct tensor *source = ids[r] < 0 ? extra : table;
        size_t row = (size_t)(ids[r] < 0 ? -1 - ids[r] : ids[r]);
        weight_copy(source, (int)row, 1, out->data + (size_t)r * width);
    }
    bool needed = table->needs_grad || (extra && extra->needs_grad);
    struct embedding *e = tape_record(tape, sizeof *e, out, needed, backward);
    if (e) {
        e->table = table;
        e->extra = extra;
        e->ids = ids;
    }
    return out;
}
