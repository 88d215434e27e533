/* SPDX-License-Identifier: Apache-2.0
 *
 * Which of the measured techniques is recommended.
 *
 * A baseline never is; whatever is must be better than it, by a test on the same examples. Of those
 * that meet the target the cheapest over its lifetime is recommended; when none does, the best bet,
 * or the cheapest of those that tie with it and come within one point of it.
 *
 * The best bet is the one with the best metric, unless another ties with it and both were trained:
 * then a difference d on the examples is weighed against the difference d0 of their priors, as the
 * mean of a normal distribution with a normal prior (Efron and Morris 1975):
 *
 *     (t d + v d0) / (t + v)
 *
 * where t is the variance of what a technique brings from one task to another, 3 points squared,
 * and v that of a metric by its examples, less the half of it that two techniques share. On the
 * tasks of tests/bench/recorded, with priors of the other tasks, the best of all by 100 answers was
 * as good as the best of all by the test in 90.3 % so and in 89.1 % by the metric alone; by 50
 * answers in 84.3 % and 79.4 %. What the prompts bring depends on the task too much for a prior.
 */
#ifndef ADVISOR_CHOICE_H
#define ADVISOR_CHOICE_H

#include <stdbool.h>
#include <stddef.h>

struct contender {
    double metric;     /* on the development examples; higher is better */
    double variance;   /* of the metric by its examples; 0: it is not on the scale of the priors */
    double prior;      /* share of right answers expected; only differences count */
    double tokens;     /* of a lifetime: training and requests */
    bool trained;      /* on examples; the priors of others say nothing */
    bool baseline;     /* of that family; the first one is the floor */
    bool stands;       /* has not been given up */
    bool meets_target; /* with the confidence asked for; false when there is no target */
};

struct choice {
    const struct contender *contenders;
    size_t count;
    const double *p; /* (count, count): p[a * count + b] is the p-value of "b is better than a" */
};

/* The one to recommend; `count` when nothing beats the baseline. */
size_t choice_make(const struct choice *choice);

/* The metric of `i` as weighed beside that of `leader`; its own where there is nothing to weigh. */
double choice_weighed(const struct choice *choice, size_t leader, size_t i);

/* Whether neither is better than the other, at 5 % two-sided. */
bool choice_tie(const struct choice *choice, size_t a, size_t b);

#endif
