/* SPDX-License-Identifier: Apache-2.0
 *
 * Which of the measured techniques is recommended.
 *
 * A baseline never is; whatever is must be better than it, by a test on the same examples. Of those
 * that meet the target the cheapest over its lifetime is recommended; when none does, the one with
 * the best metric, or the cheapest of those that tie with it and come within one point of it. A tie
 * of wider means is a question of too few examples, and the better mean is the better bet.
 */
#ifndef ADVISOR_CHOICE_H
#define ADVISOR_CHOICE_H

#include <stdbool.h>
#include <stddef.h>

struct contender {
    double metric;     /* on the development examples; higher is better */
    double tokens;     /* of a lifetime: training and requests */
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

/* Whether neither is better than the other, at 5 % two-sided. */
bool choice_tie(const struct choice *choice, size_t a, size_t b);

#endif
