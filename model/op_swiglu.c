/* SPDX-License-Identifier: Apache-2.0 */
#include "model/operators.h"
#include "model/vector.h"

struct swiglu {
    struct node node;
    struct tensor *gate, *up;
};

/* With s = sigmoid(g): d(g s)/dg = s (1 + g (1 - s)). */
static void backward(struct tape *tape, struct node *node)
{
    struct swiglu *n = (struct swiglu *)node;
    const real *gate = n->gate->data, *up = n->up->data, *dy = node->out->grad;
    size_t size = tensor_size(node->out);
    if (n->gate->needs_grad) {
        real *dgate = tape_grad(tape, n->gate);
        for (size_t i = 0; i < size; i++) {
            real s = vector_sigmoid(gate[i]);
            dgate[i] += dy[i] * up[i] * s * (1 + gate[i] * (1 - s));
        }
    }
    if (n->up->needs_grad) {
        real *dup = tape_grad(tape, n->up);
        for (size_t i = 0; i < size; i++)
            dup[i] += dy[i] * gate[i] * vector_sigmoid(gate[i]);
    }
}

struct swiglu_again {
    struct again again;
    const struct tensor *gate, *up;
};

static void fill(const struct tensor *gate, const struct tensor *up, struct tensor *out)
{
    const real *g = gate->data, *u = up->data;
    real *y = out->data;
    size_t size = tensor_size(out);
    for (size_t i = 0; i < size; i++)
        y[i] = g[i] * vector_sigmoid(g[i]) * u[i];
}

static void fill_again(const struct again *again, struct tensor *out)
{
    const struct swiglu_again *a = (const struct swiglu_again *)again;
    fill(a->gate, a->up, out);
}

static struct tensor *record(struct tape *tape, struct tensor *gate, struct tensor *up,
                             struct tensor *out)
{
    struct swiglu *n =
        tape_record(tape, sizeof *n, out, gate->needs_grad || up->needs_grad, backward);
    gate->kept = up->kept = true;
    if (n) {
        n->gate = gate;
        n->up = up;
    }
    return out;
}

struct tensor *op_swiglu(struct tape *tape, struct tensor *gate, struct tensor *up)
{
    struct tensor *out = tape_tensor(tape, gate->rows, gate->cols);
    fill(gate, up, out);
    return record(tape, gate, up, out);
}

struct tensor *op_swiglu_at(struct tape *tape, struct place *place, struct tensor *gate,
                            struct tensor *up)
{
    struct swiglu_again *again = arena_alloc(tape->arena, sizeof *again);
    *again = (struct swiglu_again){{place, fill_again}, gate, up};
    struct tensor *out = tape_brief(tape, gate->rows, gate->cols, &again->again);
    return record(tape, gate, up, out);
}
