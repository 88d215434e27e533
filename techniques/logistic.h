/* SPDX-License-Identifier: Apache-2.0
 *
 * Multinomial logistic regression.
 *
 * Minimises mean cross-entropy + l2 / 2 |W|^2, the biases free, by gradient descent with momentum
 * and adaptive restart (O'Donoghue and Candes 2015) at the step 1 / L that the data allow.
 */
#ifndef TECHNIQUES_LOGISTIC_H
#define TECHNIQUES_LOGISTIC_H

#include "base/clock.h"
#include "base/memory.h"
#include "model/real.h"

/* Some columns of some rows of a matrix, standardised, with a class for each row. */
struct logistic {
    const real *features; /* (examples, stride) */
    const int *targets;   /* (examples) 0 .. labels - 1 */
    int examples, stride, labels;
    int first, width;      /* the columns first .. first + width - 1 */
    int out_from, out_end; /* rows out_from .. out_end - 1 are left out; not all of them */
    double l2;
    int steps; /* at most */
};

/* Fills `weights` (labels, width + 1), the bias last. OUT_OF_TIME and INTERRUPTED. */
enum status logistic_fit(const struct logistic *problem, real *weights, struct arena *arena,
                         const struct deadline *deadline, struct error *err);

/* Log-probabilities (rows, labels) of some rows of features from column problem->first on, which
 * `x` points at, problem->stride apart. */
void logistic_apply(const struct logistic *problem, const real *x, int rows, const real *weights,
                    real *log_probabilities);

/* Values of scores that are held at once in a fit. */
size_t logistic_scores(size_t examples, size_t labels);

#endif
