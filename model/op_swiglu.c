/* SPDX-License-Identifier: Apache-2.0 */
#include "model/operators.h"
#include "model/vector.h"

struct swiglu {
    struct node node;
    struct tensor *gate, *up;
};

/* With s = sigmoid(g): d(g s)/dg = s (1 + g (1 - s)). */
static inline real gate_slope(real gate, real s)
{
    return s * (1 + gate * (1 - s));
}

static void add_to_gate(struct tape *tape, const struct swiglu *n, const real *dy)
{
    const real *gate = n->gate->data, *up = n->up->data;
    size_t size = tensor_size(n->gate);
    real *dgate = tape_grad(tape, n->gate);
    for (size_t i = 0; i < size; i++)
        dgate[i] += dy[i] * up[i] * gate_slope(gate[i], vector_sigmoid(gate[i]));
}

static void add_to_up(struct tape *tape, const struct swiglu *n, const real *dy)
{
    const real *gate = n->gate->data;
    size_t size = tensor_size(n->up);
    real *dup = tape_grad(tape, n->up);
    for (size_t i = 0; i < size; i++)
        dup[i] += dy[i] * gate[i] * vector_sigmoid(gate[i]);
}

/* What a transformer needs: both gradients, and nothing has been added to either. */
static void write_both(struct tape *tape, const struct swiglu *n, const real *restrict dy)
{
    const real *restrict gate = n->gate->data, *restrict up = n->up->data;
    size_t size = tensor_size(n->gate);
    real beta;
    real *restrict dgate = tape_grad_beta(tape, n->gate, &beta);
    real *restrict dup = tape_grad_beta(tape, n->up, &beta);
    for (size_t i = 0; i < size; i++) {
        real s = vector_sigmoid(gate[i]);
        dgate[i] = dy[i] * up[i] * gate_slope(gate[i], s);
        dup[i] = dy[i] * gate[i] * s;
    }
}

static void backward(struct tape *tape, struct node *node)
{
    struct swiglu *n = (struct swiglu *)node;
    const real *dy = node->out->grad;
    if (n->gate->needs_grad && n->up->needs_grad && n->gate != n->up && !n->gate->grad &&
        !n->up->grad) {
        write_both(tape, n, dy);
        return;
    }
    if (n->gate->needs_grad)
        add_to_gate(tape, n, dy);
    if (n->up->needs_grad)
        add_to_up(tape, n, dy);
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
