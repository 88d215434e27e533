/* SPDX-License-Identifier: Apache-2.0
 *
 * How long things will take: from the trials that are done, and before there are any from the speed
 * of the bare model.
 */
#ifndef ADVISOR_PACE_H
#define ADVISOR_PACE_H

#include "advisor/study.h"

/* The trials of a study; records live in the study's arena. */
struct trials {
    struct trial_record *items;
    size_t count;
};

enum status trials_read(const struct study *study, struct arena *arena, struct trials *trials,
                        struct error *err); /* none while there is no file */

/* The speed of a technique, in seconds. */
struct pace {
    double token;  /* trained on, forward and backward, with frozen weights; training every weight
                      counts as more tokens */
    double read;   /* one example to learn from without steps */
    double answer; /* of one answer */
};

/* What the technique's own trials took, the latest first; what they do not tell is guessed from
 * other techniques that train, and from the bare model. */
struct pace pace_of(const struct study *study, const struct technique *technique,
                    const struct trials *trials);

/* Seconds of a trial with `examples` training examples and all development answers. */
double pace_expected(const struct study *study, const struct setting *setting,
                     const struct pace *pace, size_t examples);

/* The same with some caution. */
double pace_trial(const struct study *study, const struct setting *setting, const struct pace *pace,
                  size_t examples);

/* Seconds of the test answers, with some caution. */
double pace_test(const struct study *study, const struct pace *pace);

/* Seconds of what is missing to a technique's first result: the smallest trial there is for it and
 * the test answers. */
double pace_missing(const struct study *study, const struct technique *technique,
                    const struct trials *trials);

/* What trying everything would take: every technique at full size with every learning rate, and all
 * development and test answers; 0 while the model's speed is not known. */
double pace_exhaustive(const struct study *study, const struct trials *trials);

/* Budgets that people name, in seconds: the first one of at least `seconds`. */
double pace_round(double seconds);

/* The least round budget of at least `seconds`, as --budget takes it: "45s", "5m", "2h". */
void pace_budget(double seconds, struct text *out);

#endif
