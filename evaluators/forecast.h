/* SPDX-License-Identifier: Apache-2.0
 *
 * The learning curve of a technique: what it would reach with more training examples.
 *
 * The curve is the rectified power law
 *
 *     y(n) = E + B / (n0^b + n^b)
 *
 * of a value y that falls with the number n of training examples: an error (1 - metric) or a loss.
 * For each exponent b and each knee n0 of a grid it is linear in E and B, so that their posterior
 * under a normal-inverse-gamma prior, its evidence and the prediction, a Student t, have closed
 * forms. The curve is the mixture over the grid and a cell in which nothing is learned (b = 0,
 * prior weight 1/5), weighted by evidence; nothing is sampled.
 *
 * The prior is in units of the largest value measured, at the smallest size measured: E is 1/4 and
 * the part that can still be learned 3/4 of it, each +- 1/2. Variances are taken to be right up to
 * a common factor, inverse gamma with shape and scale 2.
 *
 * A curve is fitted through finished trials of several sizes, each with a schedule of its own,
 * never through the course of one training run. It is not told what happens beyond the sizes it has
 * seen, so intervals are widened with the distance: 1.5 times beyond 4 times the largest size,
 * twice beyond 16 times, and nothing is said beyond 32 times. A prediction stays within 0 ..
 * ceiling.
 *
 * Pure functions; the same points give the same numbers. They agree with an independent
 * implementation (tests/parity/make_forecast.py).
 */
#ifndef EVALUATORS_FORECAST_H
#define EVALUATORS_FORECAST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

enum {
    CURVE_LEAST_SIZES = 3, /* fewer are refused; 4 are better */
    CURVE_EXPONENTS = 13,
    CURVE_KNEES = 6,
    CURVE_CELLS = CURVE_EXPONENTS * CURVE_KNEES + 1,
    CURVE_REACH = 32 /* times the largest size measured */
};

/* What one trial measured. */
struct curve_point {
    double examples; /* >= 1 */
    double value;    /* >= 0 */
    double variance; /* > 0; of the value, from the examples it was scored on and the training seed
                      */
};

/* One exponent and one knee. With h(n) = (n0^b + first^b) / (n0^b + n^b), the value is
 * floor + drop h(n). */
struct curve_cell {
    double weight; /* adds up to 1 over the cells */
    double exponent, knee;
    double floor, drop;                               /* posterior means */
    double floor_variance, drop_variance, covariance; /* posterior, times `spread` */
    double spread;                                    /* posterior factor of the variances */
};

struct curve {
    double first, last; /* smallest and largest size measured */
    double ceiling;     /* values are at most that; INFINITY: no bound */
    double freedom;     /* degrees of freedom of every cell's Student t */
    struct curve_cell cells[CURVE_CELLS];
};

/* Fits the curve through `count` points in any order; several may have one size. FAILED, with a
 * sentence, when there are fewer than three sizes or a number is out of range. */
enum status curve_fit(const struct curve_point *points, size_t count, double ceiling,
                      struct curve *curve, struct error *err);

struct forecast {
    double median;
    double low, high; /* 80 % interval */
};

/* What a trial with so many examples would measure, when its own variance is `variance` (0: the
 * curve itself). False, and NAN, when `examples` is below the smallest size measured or beyond
 * reach. */
bool curve_at(const struct curve *curve, double examples, double variance,
              struct forecast *forecast);

/* The chance that this value is at most `target`; NAN beyond reach. */
double curve_chance(const struct curve *curve, double examples, double variance, double target);

/* The least whole number of examples, from the largest size measured on, with which that chance is
 * at least `chance`; NAN when there is none within reach. */
double curve_examples_for(const struct curve *curve, double variance, double target, double chance);

/* The chance that `a` gives a lower value than `b` with so many examples, the two taken as
 * independent; NAN beyond the reach of either. */
double curve_chance_below(const struct curve *a, const struct curve *b, double examples,
                          double variance);

/* The least whole number of examples, from the larger of their largest sizes on, with which that
 * chance is at least `chance`; NAN when there is none within reach of both. */
double curve_overtakes(const struct curve *a, const struct curve *b, double variance,
                       double chance);

#endif
