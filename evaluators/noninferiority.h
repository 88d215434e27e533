/* SPDX-License-Identifier: Apache-2.0
 *
 * How far two shares of right answers can be apart: intervals of their difference, and how many
 * examples a verdict takes.
 *
 * A difference is after - before, so that a loss is negative. Pure functions of their arguments,
 * like those of statistics.h; arguments outside the stated range give NAN. The expected values come
 * from independent implementations (tests/parity/make_noninferiority.py).
 */
#ifndef EVALUATORS_NONINFERIORITY_H
#define EVALUATORS_NONINFERIORITY_H

#include <stdint.h>

#include "evaluators/statistics.h"

/* ---- The same examples, twice --------------------------------------------------------------- */

/* `lost` examples were right before only, `gained` ones after only, of `examples` pairs in all;
 * lost + gained <= examples, examples >= 1, 0 < confidence < 1. Two-sided: each bound alone is a
 * one-sided one at (1 + confidence) / 2.
 *
 * The score interval of Tango 1998 ("Equivalence test and confidence interval for the difference in
 * proportions for the paired-sample design", Statistics in Medicine 17, equations 8 to 10): all
 * differences that the score test does not refuse. Unlike the mean +- standard errors it is no
 * point where no pair differs: 0 of n leave -z^2 / (n + z^2) open. That a lower bound at 95 % lies
 * above -margin when the true difference is -margin happens in at most 5.8 % of samples (computed
 * in tests/test_noninferiority.c for 20 to 500 pairs, margins of 2, 5 and 10 points and any share
 * of discordant pairs; 5.1 % for 200 pairs and more at 2 and 5 points). */
struct interval paired_difference_interval(int64_t lost, int64_t gained, int64_t examples,
                                           double confidence);

/* ---- Two sets of examples ------------------------------------------------------------------- */

/* `before` of `before_examples` were right, `after` of `after_examples`; counts >= 1. Newcombe 1998
 * ("Interval estimation for the difference between independent proportions", Statistics in Medicine
 * 17, method 10): the distances to the Wilson bounds, added in squares. */
struct interval unpaired_difference_interval(int64_t before, int64_t before_examples, int64_t after,
                                             int64_t after_examples, double confidence);

/* Fisher's exact test, one-sided: the p-value of "the second share is smaller". */
double fisher_second_worse(int64_t before, int64_t before_examples, int64_t after,
                           int64_t after_examples);

/* ---- How many examples ---------------------------------------------------------------------- */

/* Pairs after which the lower bound at `alpha` (one-sided) lies above -margin with probability
 * `power`, when a share `discordant` of the pairs differs and the true difference is `difference`:
 * (z_alpha sqrt(discordant) + z_power sqrt(discordant - difference^2))^2 / (margin + difference)^2.
 * That is Connor 1987 ("Sample size for testing differences in proportions for the paired-sample
 * design", Biometrics 43) with the distance to the margin in the place of the distance to 0; with
 * margin 0 and the sign turned it is how many pairs show a drop. NAN unless margin + difference > 0
 * and discordant >= difference^2. */
double pairs_needed(double discordant, double difference, double margin, double alpha,
                    double power);

#endif
