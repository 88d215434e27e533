/* SPDX-License-Identifier: Apache-2.0
 *
 * Comparing techniques on the same examples, for any metric that ranks.
 *
 * A metric that is a share of right answers has an exact test (McNemar); for the others the
 * examples are resampled, the same draw for all techniques, and the metric is computed anew each
 * time. A technique that was trained with several seeds is compared by the mean over them. Of
 * predictions for a metric of shares only `correct` is read.
 */
#ifndef ADVISOR_COMPARE_H
#define ADVISOR_COMPARE_H

#include "base/memory.h"
#include "evaluators/metrics.h"
#include "evaluators/statistics.h"

/* What a technique answered: `seeds` arrays of predictions, one for each time it was trained. */
struct answers {
    const struct prediction *const *predictions; /* (seeds) */
    size_t seeds;                                /* >= 1 */
};

/* What is compared by what. */
struct comparison {
    const struct metric *metric; /* higher is better */
    size_t classes;              /* labels; 0 when the task has none */
    size_t examples;             /* each array of predictions has as many, in one order */
    uint64_t seed;
};

/* p-values of "b is better than a" for all pairs of `count` techniques: small when it is, 1 or so
 * when they never differ. p[a * count + b], in `arena`; p[a * count + a] = 1. Where one of the two
 * has several seeds, these are drawn too, and so are the examples. */
double *compare_pairs(const struct comparison *how, const struct answers *answers, size_t count,
                      struct arena *arena);

/* Joint resamples of all `count` techniques, of the examples and of each technique's seeds: mean is
 * the metric itself, over the seeds, the rest as in joint_bootstrap. `standings` (count). `arena`
 * holds scratch only while this runs. */
void compare_all(const struct comparison *how, const struct answers *answers, size_t count,
                 double target, struct arena *arena, struct standing *standings);

#endif
