/* SPDX-License-Identifier: Apache-2.0
 *
 * Techniques side by side on the same development examples: how likely each is the best, reaches
 * the target, or is better than another one by more than chance.
 *
 * Metrics that are a share of right answers are compared by McNemar's exact test and the joint
 * bootstrap of evaluators/statistics.h; for the others (macro F1, Matthews ...) the metric itself
 * is computed on joint resamples of the examples.
 */
#ifndef ADVISOR_COMPARE_H
#define ADVISOR_COMPARE_H

#include "base/memory.h"
#include "evaluators/metrics.h"

/* One technique: its predictions, all of them for the same examples in the same order. */
struct contender {
    const struct prediction *predictions; /* (examples) */
    double *values;                       /* (resamples) of the metric */
    double probability_best, probability_target;
};

struct comparison {
    const struct metric *metric;
    size_t examples, classes;
    struct contender *contenders; /* (count) */
    size_t count;
};

/* Fills in the contenders, whose predictions are set; memory in `arena`. `target` on the metric's
 * scale. */
void comparison_run(struct comparison *comparison, double target, uint64_t seed,
                    struct arena *arena);

/* One-sided p-value of "contender b is better than contender a". */
double comparison_better(const struct comparison *comparison, size_t a, size_t b);

#endif
