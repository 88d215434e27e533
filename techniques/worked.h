/* SPDX-License-Identifier: Apache-2.0
 *
 * Worked examples: which training examples stand in front of the requests, and how many fit.
 *
 * They are chosen balanced over the classes, in the order of the study: in rounds, in each round
 * the next unused example of every class; without classes the first ones. So a smaller choice is
 * always the beginning of a larger one. Together with the instruction they may take half of the
 * model's context.
 */
#ifndef TECHNIQUES_WORKED_H
#define TECHNIQUES_WORKED_H

#include "techniques/technique.h"

enum { WORKED_AUTOMATIC = -1 }; /* value of `k`: as many as `usual` and the context say */

struct worked {
    const struct setting *setting; /* has `k` */
    const struct model *model;
    const struct material *material;
    const char *instruction;
    int usual;      /* examples when k is automatic, rounded up to the same number for all classes;
                       fewer where they do not fit behind each other or before the longest request */
    int reserve;    /* tokens to keep for the answer when k is automatic */
    const char *of; /* "training examples": what there are too few of, in messages */

    /* What is shown as the answer to an example, in `arena`; NULL when it cannot be shown. */
    const char *(*answer)(const struct example *example, struct arena *arena);
};

/* The target itself, for worked.answer. */
const char *worked_target(const struct example *example, struct arena *arena);

/* How many training examples can be shown. */
size_t worked_usable(const struct worked *worked);

/* Chooses `*k` rows of the data, in `arena`. USAGE when the setting's k is 0, more than there are
 * or more than fit, with the range. An automatic k is 0 where not even one example fits. */
enum status worked_choose(const struct worked *worked, struct arena *arena, size_t **rows,
                          size_t *k, struct error *err);

/* The number worked_choose comes to, from means: for technique.predict. `each` is tokens. */
double worked_expected(const struct setting *setting, const struct workload *workload, int usual,
                       double each);

#endif
