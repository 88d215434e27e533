/* SPDX-License-Identifier: Apache-2.0
 *
 * Training, development and test examples, cut once and the same way for every technique.
 *
 * - The same text twice, or nearly (datasets/duplicates.h), never stands on two sides: groups of
 *   duplicates are moved as a whole.
 * - Stratified: every class has the same share on every side, as far as its groups allow. At most
 *   half of the groups of a class leave training for each side, so a class with one group stays.
 * - Sizes, in examples: test = 20 % of the data, at most 1000 and at least 50, but never more than
 *   a third of the data; dev = 20 % of what is left, at most 400 and at least 50, but never more
 *   than a third of what is left. Groups can make a side smaller. Why not more dev: on the tasks
 *   of tests/bench/recorded, choosing the best technique by 150 answers and not by 80 gained 0.3
 *   points, while four times the training examples gained 4, so twice the dev would cost 0.8.
 * - With a test file the test side is that file, and nothing but dev is taken from the data.
 * - Orders: each side is in a stratified random order. For every n, the first n have each class in
 *   its proportion, to within two examples or so. In training, besides, each class with two or more
 *   examples comes forward into the first max(16, classes) + 2 x classes. Trials of different sizes
 *   take the first n of this one order, so that they are paired.
 * - The same data, options and seed give the same split on every machine. A test file does not
 *   change which examples are dev.
 */
#ifndef DATASETS_SPLIT_H
#define DATASETS_SPLIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/memory.h"
#include "datasets/dataset.h"

/* How often something was found, and where for the first few times. */
enum { FACT_PLACES = 5 };

struct fact {
    size_t count;
    struct {
        size_t line;       /* of the later example */
        size_t other;      /* of the earlier one, or of the one in the training file */
    } places[FACT_PLACES]; /* the first min(count, FACT_PLACES) are set */
};

struct split_facts {
    struct fact exact_duplicates;    /* examples whose text an earlier example has */
    struct fact near_duplicates;     /* different texts that nearly equal an earlier one */
    struct fact conflicting_targets; /* texts that occur with more than one target */
    struct fact leakage;             /* test file only: test examples whose text is in the data */
    struct fact near_leakage;        /* test file only: not the text, but a near duplicate */
    size_t largest_group;            /* examples in the largest group of duplicates; 1 = none */
};

struct split_options {
    uint64_t seed;
    double test_share; /* 0: 0.2 */
    double dev_share;  /* 0: 0.2 */
    size_t test_max;   /* 0: 1000 */
    size_t dev_max;    /* 0: 400 */
};

struct split {
    struct arena arena; /* holds everything below */
    size_t *train;      /* indices into the data, in training order */
    size_t train_count;
    size_t *dev; /* indices into the data */
    size_t dev_count;
    size_t *test; /* indices into `test_from` */
    size_t test_count;
    const struct dataset *test_from; /* the data itself, or the test file; not owned */
    bool *leaked;                    /* [test_count]: this test example has its text, or a near
                                      * duplicate, in the data; NULL when none has */
    struct split_facts facts;
    const size_t *group; /* [data->count] as duplicates_find gives it */
};

/* `test` is the dataset of a test file, loaded with options.like = data, or NULL. `options` may be
 * NULL (seed 0). Both datasets must outlive the split. Release with split_release; after an error
 * there is nothing to release, but what was found until then stands in `facts`.
 *
 * Errors (BAD_DATA): fewer than 3 groups of different texts (2 with a test file); an empty test
 * file; a test label that the data do not have. */
enum status split_make(const struct dataset *data, const struct dataset *test,
                       const struct split_options *options, struct split *split, struct error *err);
void split_release(struct split *split); /* safe on {0} and twice */

/* The sizes that `count` examples without duplicates would get, for arithmetic. */
struct split_sizes {
    size_t train, dev, test;
};
struct split_sizes split_sizes_of(size_t count);

#endif
