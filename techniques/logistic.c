/* SPDX-License-Identifier: Apache-2.0 */
#include "techniques/logistic.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "model/blas.h"

/* Scores that are held at once: a hundred labels of ten thousand examples, and less of both where
 * they are more. */
enum { MOST_SCORES = 1 << 20 };

/* Steps of the power iteration. */
enum { POWER_STEPS = 30 };

struct descent {
    const struct logistic *problem;
    int used;  /* examples that are not left out */
    int block; /* examples whose scores are held at once */
    size_t size;
    real *scores;          /* (block, labels) */
    real *gradient;        /* (labels, width + 1) */
    real *current, *ahead; /* the same shape: the iterate, and where the gradient is taken */
    real *previous;
};

/* Examples whose scores are held at once. */
static size_t block_of(size_t examples, size_t labels)
{
    size_t most = labels < MOST_SCORES ? MOST_SCORES / labels : 1;
    return examples < most ? examples : most;
}

size_t logistic_scores(size_t examples, size_t labels)
{
    return labels ? block_of(examples, labels) * labels : 0;
}

/* Log-probabilities of one row of scores, in place. */
static void log_softmax(real *scores, int labels)
{
    double peak = -INFINITY, sum = 0;
    for (int l = 0; l < labels; l++)
        peak = (double)scores[l] > peak ? (double)scores[l] : peak;
    for (int l = 0; l < labels; l++)
        sum += exp((double)scores[l] - peak);
    for (int l = 0; l < labels; l++)
        scores[l] = (real)((double)scores[l] - peak - log(sum));
}

void logistic_apply(const struct logistic *p, const real *x, int rows, const real *weights,
                    real *log_probabilities)
{
    blas_gemm(AS_IS, TRANSPOSED, rows, p->labels, p->width, 1, x, p->stride, weights, p->width + 1,
              0, log_probabilities, p->labels);
    for (int r = 0; r < rows; r++) {
        real *row = log_probabilities + (size_t)r * (size_t)p->labels;
        for (int l = 0; l < p->labels; l++)
            row[l] += weights[(size_t)l * (size_t)(p->width + 1) + (size_t)p->width];
        log_softmax(row, p->labels);
    }
}

/* Where the columns in use begin in a row. */
static const real *row_at(const struct logistic *p, int row)
{
    return p->features + (size_t)row * (size_t)p->stride + (size_t)p->first;
}

/* Adds what examples `from` .. `from + count - 1` contribute to the gradient. */
static void add_gradient(struct descent *d, int from, int count)
{
    const struct logistic *p = d->problem;
    int row_length = p->width + 1;
    logistic_apply(p, row_at(p, from), count, d->ahead, d->scores);
    for (int r = 0; r < count; r++) {
        real *row = d->scores + (size_t)r * (size_t)p->labels;
        for (int l = 0; l < p->labels; l++) {
            bool right = l == p->targets[from + r];
            row[l] = (real)((exp((double)row[l]) - right) / d->used);
            d->gradient[l * row_length + p->width] += row[l];
        }
    }
    blas_gemm(TRANSPOSED, AS_IS, p->labels, p->width, count, 1, d->scores, p->labels,
              row_at(p, from), p->stride, 1, d->gradient, row_length);
}

/* The gradient of the objective at `ahead`. */
static enum status take_gradient(struct descent *d, const struct deadline *deadline,
                                 struct error *err)
{
    const struct logistic *p = d->problem;
    int row_length = p->width + 1;
    enum status status = OK;
    memset(d->gradient, 0, d->size * sizeof *d->gradient);
    for (int from = 0; from < p->examples && status == OK;) {
        int end = from < p->out_from ? p->out_from : p->examples;
        int count = end - from < d->block ? end - from : d->block;
        bool left_out = from >= p->out_from && from < p->out_end;
        if (!left_out)
            add_gradient(d, from, count);
        from = left_out ? p->out_end : from + count;
        status = deadline_check(deadline, err);
    }
    for (int l = 0; l < p->labels; l++)
        blas_axpy(p->width, (real)p->l2, d->ahead + l * row_length, d->gradient + l * row_length);
    return status;
}

/* Largest eigenvalue of X^T X over as many examples as are used, by power iteration over all of
 * them: the curvature is at most half of it. */
static double largest_eigenvalue(const struct descent *d, struct arena *arena)
{
    const struct logistic *p = d->problem;
    int n = p->examples, width = p->width;
    real *v = arena_alloc(arena, (size_t)width * sizeof *v);
    real *image = arena_alloc(arena, (size_t)n * sizeof *image);
    double norm = 1;
    for (int c = 0; c < width; c++)
        v[c] = (real)(1 / sqrt(width));
    for (int step = 0; step < POWER_STEPS; step++) {
        blas_gemm(AS_IS, TRANSPOSED, 1, n, width, 1, v, width, row_at(p, 0), p->stride, 0, image,
                  n);
        blas_gemm(AS_IS, AS_IS, 1, width, n, (real)(1.0 / d->used), image, n, row_at(p, 0),
                  p->stride, 0, v, width);
        norm = sqrt((double)blas_dot(width, v, v));
        for (int c = 0; c < width && norm > 0; c++)
            v[c] = (real)((double)v[c] / norm);
    }
    return norm;
}

/* One step of accelerated descent; whether it moved. */
static bool step_down(struct descent *d, double step, double *momentum)
{
    double next = (1 + sqrt(1 + 4 * *momentum * *momentum)) / 2, uphill = 0, moved = 0;
    memcpy(d->previous, d->current, d->size * sizeof *d->previous);
    for (size_t k = 0; k < d->size; k++) {
        d->current[k] = (real)((double)d->ahead[k] - step * (double)d->gradient[k]);
        double change = (double)(d->current[k] - d->previous[k]);
        uphill += (double)d->gradient[k] * change;
        moved += change * change;
    }
    if (uphill > 0) /* the momentum points the wrong way: begin anew */
        next = *momentum = 1;
    for (size_t k = 0; k < d->size; k++)
        d->ahead[k] = (real)((double)d->current[k] +
                             (*momentum - 1) / next * (double)(d->current[k] - d->previous[k]));
    *momentum = next;
    return moved >= 1e-12;
}

enum status logistic_fit(const struct logistic *p, real *weights, struct arena *arena,
                         const struct deadline *deadline, struct error *err)
{
    struct arena_mark mark = arena_mark(arena);
    size_t labels = (size_t)p->labels, size = labels * (size_t)(p->width + 1);
    size_t block = block_of((size_t)p->examples, labels);
    struct descent d = {.problem = p,
                        .used = p->examples - (p->out_end - p->out_from),
                        .block = (int)block,
                        .size = size,
                        .scores = arena_alloc(arena, block * labels * sizeof(real)),
                        .gradient = arena_alloc(arena, size * sizeof(real)),
                        .current = arena_zalloc(arena, size * sizeof(real)),
                        .ahead = arena_zalloc(arena, size * sizeof(real)),
                        .previous = arena_zalloc(arena, size * sizeof(real))};
    double step = 1 / (0.55 * (largest_eigenvalue(&d, arena) + 1) + p->l2), momentum = 1;
    bool moving = true;
    enum status status = OK;
    for (int i = 0; i < p->steps && moving && status == OK; i++) {
        status = take_gradient(&d, deadline, err);
        moving = status == OK && step_down(&d, step, &momentum);
    }
    memcpy(weights, d.current, size * sizeof *weights);
    arena_rewind(arena, mark);
    return status;
}
