/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "model/operators.h"

struct rms_norm {
    struct node node;
    struct tensor *x, *gain;
    real *inverse; /* (rows) 1 / rms(x) */
};

/* With y_i = g_i x_i s and s = 1 / rms(x):
 * dx_i = s (g_i dy_i - x_i s^2 mean_j(g_j dy_j x_j)), dg_i = sum over rows of dy_i x_i s. */
static void backward(struct tape *tape, struct node *node)
{
    struct rms_norm *n = (struct rms_norm *)node;
    struct tensor *out = node->out;
    int cols = out->cols;
    const real *gain = n->gain->data;
    real beta = 0;
    real *dx_all = n->x->needs_grad ? tape_grad_beta(tape, n->x, &beta) : NULL;
    real *dgain = n->gain->needs_grad ? tape_grad(tape, n->gain) : NULL;
    for (int r = 0; r < out->rows; r++) {
        size_t at = (size_t)r * (size_t)cols;
        const real *x = n->x->data + at, *dy = out->grad + at;
        real s = n->inverse[r];
        if (dx_all) {
            real *dx = dx_all + at;
            real sum = 0;
#pragma omp simd reduction(+ : sum)
            for (int c = 0; c < cols; c++)
                sum += gain[c] * dy[c] * x[c];
            real shift = s * s * s * sum / (real)cols;
            if (beta == 0)
                for (int c = 0; c < cols; c++)
                    dx[c] = s * gain[c] * dy[c] - shift * x[c];
            else
                for (int c = 0; c < cols; c++)
                    dx[c] += s * gain[c] * dy[c] - shift * x[c];
        }
        if (dgain)
            for (int c = 0; c < cols; c++)
                dgain[c] += dy[c] * x[c] * s;
    }
}

struct norm_again {
    struct again again;
    const struct tensor *x, *gain;
    const real *inverse;
};

static real *inverses(struct tape *tape, const struct tensor *x, real epsilon)
{
    real *inverse = arena_alloc(tape->arena, (size_t)x->rows * sizeof *inverse);
    int cols = x->cols;
    for (int r = 0; r < x->rows; r++) {
        const real *from = x->data + (size_t)r * (size_t)cols;
        real sum = 0;
#pragma omp simd reduction(+ : sum)
        for (int c = 0; c < cols; c++)
            sum += from[c] * from[c];
        inverse[r] = 1 / (real)sqrt((double)(sum / (real)cols + epsilon));
    }
    return inverse;
}

static void fill(const struct tensor *x, const struct tensor *gain, const real *inverse,
                 struct tensor *out)
{
    int cols = x->cols;
    for (int r = 0; r < x->rows; r++) {
        const real *from = x->data + (size_t)r * (size_t)cols;
        real *to = out->data + (size_t)r * (size_t)cols;
        for (int c = 0; c < cols; c++)
            to[c] = from[c] * inverse[r] * gain->data[c];
    }
}

static void fill_again(const struct again *again, struct tensor *out)
{
    const struct norm_again *a = (const struct norm_again *)again;
    fill(a->x, a->gain, a->inverse, out);
}

static struct tensor *record(struct tape *tape, struct tensor *x, struct tensor *gain,
                             real *inverse, struct tensor *out)
{
    bool needed = x->needs_grad || gain->needs_grad;
    struct rms_norm *n = tape_record(tape, sizeof *n, out, needed, backward);
    x->kept = true;
    if (n) {
        n->x = x;
        n->gain = gain;
        n->inverse = inverse;
    }
    return out;
}

struct tensor *op_rms_norm(struct tape *tape, struct tensor *x, struct tensor *gain, real epsilon)
{
    struct tensor *out = tape_tensor(tape, x->rows, x->cols);
    real *inverse = inverses(tape, x, epsilon);
    fill(x, gain, inverse, out);
    return record(tape, x, gain, inverse, out);
}

struct tensor *op_rms_norm_at(struct tape *tape, struct place *place, struct tensor *x,
                              struct tensor *gain, real epsilon)
{
    struct norm_again *again = arena_alloc(tape->arena, sizeof *again);
    real *inverse = inverses(tape, x, epsilon);
    *again = (struct norm_again){{place, fill_again}, x, gain, inverse};
    struct tensor *out = tape_brief(tape, x->rows, x->cols, &again->again);
    return record(tape, x, gain, inverse, out);
}
