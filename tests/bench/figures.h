/* SPDX-License-Identifier: Apache-2.0
 *
 * Figures about recorded trials that no policy has a part in: whether intervals and forecasts hold
 * what was measured, and how near predictions of memory come.
 */
#ifndef TESTS_BENCH_FIGURES_H
#define TESTS_BENCH_FIGURES_H

#include "model/transformer.h"
#include "tests/bench/recorded.h"

/* Numbers as they come; end with free(values). */
struct sample {
    double *values;
    size_t count;
};

void sample_add(struct sample *sample, double value);
double sample_mean(const struct sample *sample);                   /* NAN when empty */
double sample_quantile(const struct sample *sample, double share); /* the least value that so many
                                                                      are at most; NAN when empty */

/* 1 where the 80 % interval of a trial's development metric, as interval_holds of replay.h has it,
 * holds its test metric, else 0. */
void figures_intervals(const struct record *record, struct sample *held);

/* The same for forecasts: for each technique and task the curve through the best development
 * metrics at three or more sizes, as advisor/outlook.h fits it, against the test metric at each
 * larger size; the variance of the test answers is added to that of training. */
enum status figures_forecasts(const struct record *record, struct sample *held, struct error *err);

/* Relative errors, without sign, of the peak memory that estimate_cost expects of a trial. */
void figures_memory(const struct record *record, const struct model *model, struct sample *errors);

#endif
