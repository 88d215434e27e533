/* SPDX-License-Identifier: Apache-2.0
 *
 * What the programs that measure the engine share: a model with its threads, the embedded
 * demo:tickets, and how much work was done in how many seconds.
 */
#ifndef TESTS_BENCH_RATES_H
#define TESTS_BENCH_RATES_H

#include "techniques/adapted.h"
#include "techniques/generate.h"
#include "techniques/labels.h"
#include "techniques/trainer.h"
#include "tests/bench/goals.h"

struct bench {
    struct model *model;
    struct engine *engine;
    struct dataset data; /* demo:tickets */
    struct arena arena;
};

/* The first `count` of some rows of bench->data. */
struct rows {
    const size_t *at;
    size_t count;
};

struct measured {
    double tokens, seconds;
    double processor; /* seconds of all threads; of bench_score */
};

/* `path` NULL or empty: the default model; `threads` 0: one for each core. Ends the program with
 * BAD_MODEL where there is no model. End with bench_close. */
void bench_open(struct bench *bench, const char *path, int threads);
void bench_close(struct bench *bench);

/* A technique in its usual setting; what is trained passes once over its examples, 16 at a time.
 * `change`, as "name=value", or NULL. End with adapted_release. */
struct adapted *bench_adapt(struct bench *bench, const char *technique, const char *change,
                            struct rows rows);

/* Labels for these examples behind a warm prefix. Counts the tokens read for each.
 * `probabilities` (rows.count, labels) takes those of the labels unless it is NULL. */
struct measured bench_score(struct bench *bench, struct adapted *adapted, struct rows rows,
                            float *probabilities);

/* Steps forward, backward and update. Counts the rows that were run, a shared prefix once for each
 * micro-batch. `first_loss`, unless NULL, takes the loss of the first batch before training. */
struct measured bench_train(struct adapted *adapted, const struct material *material,
                            double *first_loss);

#endif
