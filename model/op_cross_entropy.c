/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "model/blas.h"
#include "model/operators.h"
#include "model/vector.h"
#include "model/weight.h"

enum { BLOCK_ROWS = 32 }; /* rows whose logits exist at the same time */

struct cross_entropy {
    struct node node;
    struct tensor *x;
    real *dx; /* (x->rows, x->cols) gradient for a loss gradient of 1 */
};

static void backward(struct tape *tape, struct node *node)
{
    struct cross_entropy *n = (struct cross_entropy *)node;
    if (!n->x->needs_grad)
        return;
    real *grad = tape_grad(tape, n->x);
    for (size_t i = 0; i < tensor_size(n->x); i++)
        grad[i] += *node->out->grad * n->dx[i];
}

/* Loss of one row; turns its logits into weight * (softmax - one-hot), the gradient of the loss. */
static double row_loss(real *logits, int vocabulary, int32_t target, real weight)
{
    real peak = logits[0];
    for (int v = 1; v < vocabulary; v++)
        peak = logits[v] > peak ? logits[v] : peak;
    real at_target = logits[target];
    real sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int v = 0; v < vocabulary; v++) {
        logits[v] = vector_exp(logits[v] - peak);
        sum += logits[v];
    }
    real scale = weight / sum;
    for (int v = 0; v < vocabulary; v++)
        logits[v] *= scale;
    logits[target] -= weight;
    return log((double)sum) - (double)(at_target - peak);
}

/* The gradients that one block of logit gradients causes. */
static void block_backward(struct tape *tape, struct tensor *x, struct tensor *w,
                           const real *logits, int first, int rows, real *dx)
{
    size_t at = (size_t)first * (size_t)x->cols;
    if (dx)
        weight_multiply_back(w, (struct factor){logits, rows}, NULL, 0, dx + at, tape->arena);
    if (w->needs_grad)
        blas_gemm(TRANSPOSED, AS_IS, w->rows, w->cols, rows, 1, logits, w->rows, x->data + at,
                  x->cols, 1, tape_grad(tape, w), w->cols);
}

struct tensor *op_cross_entropy(struct tape *tape, struct tensor *x, struct tensor *w,
                                const int32_t *targets, const real *weights, double *nll)
{
    struct tensor *out = tape_tensor(tape, 1, 1);
    bool needed = tape->recording && (x->needs_grad || w->needs_grad);
    real *dx = NULL;
    if (needed && x->needs_grad)
        dx = arena_alloc(tape->arena, tensor_size(x) * sizeof *dx);
    struct arena_mark mark = arena_mark(tape->arena);
    int block = x->rows < BLOCK_ROWS ? x->rows : BLOCK_ROWS;
    real *logits = arena_alloc(tape->arena, (size_t)block * (size_t)w->rows * sizeof *logits);
    double total = 0;
    for (int first = 0; first < x->rows; first += BLOCK_ROWS) {
        int rows = x->rows - first < BLOCK_ROWS ? x->rows - first : BLOCK_ROWS;
        struct factor factor = {x->data + (size_t)first * (size_t)x->cols, rows};
        weight_multiply(w, factor, NULL, 0, logits, tape->arena);
        for (int r = 0; r < rows; r++) {
            int row = first + r;
            double loss =
                row_loss(logits + (size_t)r * (size_t)w->rows, w->rows, targets[row], weights[row]);
            total += (double)weights[row] * loss;
            if (nll)
                nll[row] = loss;
        }
        if (needed)
            block_backward(tape, x, w, logits, first, rows, dx);
    }
    arena_rewind(tape->arena, mark);
    *out->data = (real)total;
    struct cross_entropy *n = tape_record(tape, sizeof *n, out, needed, backward);
    if (n) {
        n->x = x;
        n->dx = dx;
    }
    return out;
}
