/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether a technique can be given up: a bet on every example that it is worse.
 *
 * For one example, z is what the technique loses to its rival there, cut to -clip .. clip. The
 * product of 1 + lambda z / clip over the examples is the fortune of somebody who stakes the share
 * lambda on "it is worse" each time. While that is not so (the mean of z is at most 0), the
 * fortune's expectation stays at most 1, so that it reaches 1 / alpha with a chance of at most
 * alpha (Ville 1939; Shafer and Vovk 2019). The mean over several lambda, and over several rivals,
 * has the same property. It counts examples only: not what another training seed would give.
 *
 * Fortunes are given as natural logarithms, since they overflow.
 */
#ifndef EVALUATORS_ELIMINATION_H
#define EVALUATORS_ELIMINATION_H

#include <stdbool.h>
#include <stddef.h>

/* The evidence that `own` loses more than `rival`: losses on the same `count` examples. The order
 * of the examples does not matter. For right and wrong answers, losses are 0 and 1 and `clip` is 1;
 * for others, `clip` must be fixed before looking. 0 for no examples; NAN for clip <= 0 or a loss
 * that is not finite. */
double elimination_evidence(const double *own, const double *rival, size_t count, double clip);

/* Trials of one size, answered on the same examples. */
struct race_entry {
    size_t arm;           /* whose trial; an arm may have several, such as learning rates */
    const double *losses; /* (examples) */
};

struct race {
    const struct race_entry *entries;
    size_t count, examples;
    double clip;
};

/* The evidence that all trials of `arm` lose more than trials of other arms: for each of its trials
 * the mean over all rivals, and of these the least. Neither which of its trials is its best nor
 * which rival leads needs to be known beforehand. -INFINITY when it has no trial or no rival. */
double race_evidence(const struct race *race, size_t arm);

/* Whether such evidence is enough to give up one of `comparisons` arms, when the chance to give up
 * any that is not worse may be `alpha` (0 < alpha < 1) in all. */
bool elimination_enough(double evidence, size_t comparisons, double alpha);

#endif
