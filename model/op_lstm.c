/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "model/blas.h"
#include "model/operators.h"

enum { INPUT, FORGET, CELL, OUTPUT, GATES }; /* in PyTorch's order */

struct lstm {
    struct node node;
    struct tensor *x;
    struct lstm_weights w;
    bool reverse;
    real *gates; /* (rows, GATES * hidden), behind their activations */
    real *cells; /* (rows, hidden) */
};

/* The row of step `t`, and the state before it; NULL before the first step. */
static int row_of(int t, int rows, bool reverse)
{
    return reverse ? rows - 1 - t : t;
}

static const real *before(const real *states, int t, int rows, int hidden, bool reverse)
{
    return t ? states + (size_t)row_of(t - 1, rows, reverse) * (size_t)hidden : NULL;
}

static real logistic(real x)
{
    return (real)(1 / (1 + exp(-(double)x)));
}

/* `gate` has the sums in front of the activations. */
static void step(real *gate, const real *cell_before, real *cell, real *out, int hidden)
{
    for (int i = 0; i < hidden; i++) {
        real *in = &gate[INPUT * hidden + i], *forget = &gate[FORGET * hidden + i];
        real *g = &gate[CELL * hidden + i], *o = &gate[OUTPUT * hidden + i];
        *in = logistic(*in);
        *forget = logistic(*forget);
        *g = (real)tanh((double)*g);
        *o = logistic(*o);
        cell[i] = *in * *g + (cell_before ? *forget * cell_before[i] : 0);
        out[i] = *o * (real)tanh((double)cell[i]);
    }
}

/* The gradient of one step: `dout` and `dcell` of its results become those of the sums in front of
 * the activations (`dgate`), and `dcell` that of the cell before. */
static void step_back(const real *gate, const real *cell_before, const real *cell, const real *dout,
                      real *dcell, real *dgate, int hidden)
{
    for (int i = 0; i < hidden; i++) {
        real in = gate[INPUT * hidden + i], forget = gate[FORGET * hidden + i];
        real g = gate[CELL * hidden + i], o = gate[OUTPUT * hidden + i];
        real bent = (real)tanh((double)cell[i]);
        real dc = dcell[i] + dout[i] * o * (1 - bent * bent);
        dgate[INPUT * hidden + i] = dc * g * in * (1 - in);
        dgate[FORGET * hidden + i] = cell_before ? dc * cell_before[i] * forget * (1 - forget) : 0;
        dgate[CELL * hidden + i] = dc * in * (1 - g * g);
        dgate[OUTPUT * hidden + i] = dout[i] * bent * o * (1 - o);
        dcell[i] = dc * forget;
    }
}

static void add_column_sums(struct tape *tape, const real *dgates, int rows, struct tensor *bias)
{
    if (!bias->needs_grad)
        return;
    real *grad = tape_grad(tape, bias);
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < bias->cols; c++)
            grad[c] += dgates[(size_t)r * (size_t)bias->cols + (size_t)c];
}

static void operand_gradients(struct tape *tape, const struct lstm *n, const real *dgates)
{
    const struct tensor *out = n->node.out;
    struct tensor *x = n->x, *wx = n->w.input, *wh = n->w.hidden;
    int rows = out->rows, hidden = out->cols, wide = GATES * hidden;
    if (x->needs_grad)
        blas_gemm(AS_IS, AS_IS, rows, x->cols, wide, 1, dgates, wide, wx->data, x->cols, 1,
                  tape_grad(tape, x), x->cols);
    if (wx->needs_grad)
        blas_gemm(TRANSPOSED, AS_IS, wide, x->cols, rows, 1, dgates, wide, x->data, x->cols, 1,
                  tape_grad(tape, wx), x->cols);
    if (wh->needs_grad) { /* all steps but the first, with the states before them */
        real *grad = tape_grad(tape, wh);
        const real *later = n->reverse ? dgates : dgates + wide;
        const real *earlier = n->reverse ? out->data + hidden : out->data;
        if (rows > 1)
            blas_gemm(TRANSPOSED, AS_IS, wide, hidden, rows - 1, 1, later, wide, earlier, hidden, 1,
                      grad, hidden);
    }
    add_column_sums(tape, dgates, rows, n->w.input_bias);
    add_column_sums(tape, dgates, rows, n->w.hidden_bias);
}

static void backward(struct tape *tape, struct node *node)
{
    const struct lstm *n = (struct lstm *)node;
    const struct tensor *out = node->out;
    int rows = out->rows, hidden = out->cols, wide = GATES * hidden;
    struct arena_mark mark = arena_mark(tape->arena);
    real *dgates = arena_alloc(tape->arena, (size_t)rows * (size_t)wide * sizeof *dgates);
    real *dout = arena_alloc(tape->arena, (size_t)hidden * sizeof *dout);
    real *dcell = arena_zalloc(tape->arena, (size_t)hidden * sizeof *dcell);
    const real *later = NULL; /* the gradient of the step behind */
    for (int t = rows - 1; t >= 0; t--) {
        size_t r = (size_t)row_of(t, rows, n->reverse);
        real *dgate = dgates + r * (size_t)wide;
        memcpy(dout, out->grad + r * (size_t)hidden, (size_t)hidden * sizeof *dout);
        if (later)
            blas_gemm(AS_IS, AS_IS, 1, hidden, wide, 1, later, wide, n->w.hidden->data, hidden, 1,
                      dout, hidden);
        step_back(n->gates + r * (size_t)wide, before(n->cells, t, rows, hidden, n->reverse),
                  n->cells + r * (size_t)hidden, dout, dcell, dgate, hidden);
        later = dgate;
    }
    operand_gradients(tape, n, dgates);
    arena_rewind(tape->arena, mark);
}

struct tensor *op_lstm(struct tape *tape, struct tensor *x, const struct lstm_weights *w,
                       bool reverse)
{
    int rows = x->rows, hidden = w->hidden->cols, wide = GATES * hidden;
    struct tensor *out = tape_tensor(tape, rows, hidden);
    real *gates = arena_alloc(tape->arena, (size_t)rows * (size_t)wide * sizeof *gates);
    real *cells = arena_alloc(tape->arena, (size_t)rows * (size_t)hidden * sizeof *cells);
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < wide; c++)
            gates[(size_t)r * (size_t)wide + (size_t)c] =
                w->input_bias->data[c] + w->hidden_bias->data[c];
    blas_gemm(AS_IS, TRANSPOSED, rows, wide, x->cols, 1, x->data, x->cols, w->input->data, x->cols,
              1, gates, wide);
    for (int t = 0; t < rows; t++) {
        size_t r = (size_t)row_of(t, rows, reverse);
        real *gate = gates + r * (size_t)wide;
        const real *state = before(out->data, t, rows, hidden, reverse);
        if (state)
            blas_gemm(AS_IS, TRANSPOSED, 1, wide, hidden, 1, state, hidden, w->hidden->data, hidden,
                      1, gate, wide);
        step(gate, before(cells, t, rows, hidden, reverse), cells + r * (size_t)hidden,
             out->data + r * (size_t)hidden, hidden);
    }
    bool needed = x->needs_grad || w->input->needs_grad || w->hidden->needs_grad ||
                  w->input_bias->needs_grad || w->hidden_bias->needs_grad;
    struct lstm *n = tape_record(tape, sizeof *n, out, needed, backward);
    if (n) {
        n->x = x;
        n->w = *w;
        n->reverse = reverse;
        n->gates = gates;
        n->cells = cells;
    }
    return out;
}
