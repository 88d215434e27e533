/* SPDX-License-Identifier: Apache-2.0
 *
 * What can be said about a dataset before any model reads it.
 */
#ifndef DATASETS_PROFILE_H
#define DATASETS_PROFILE_H

#include "datasets/noise.h"
#include "datasets/split.h"

/* Of all examples; percentiles by nearest rank. All 0 without examples. */
struct lengths {
    double mean, p50, p95, max;
};

/* Sorts `values`. */
struct lengths lengths_of(double *values, size_t count);

struct data_profile {
    struct arena arena; /* of everything below */

    size_t examples, different; /* rows; rows without exact and near duplicates */
    size_t classes;             /* labels that occur; 0 when the task has none */
    size_t smallest, largest;   /* examples of the smallest and the largest class; 0 likewise */
    double majority; /* share of the most frequent target: what always giving it would reach */
    const char *majority_answer;
    double balance; /* entropy of the classes over that of equal ones, 0 .. 1; 1 without classes */

    struct lengths input_words, target_words; /* words as in datasets/words.h */
    struct lengths input_bytes, target_bytes;
    double rationale_share; /* of the examples, 0 .. 1 */
    double rationale_bytes; /* of a rationale, mean; 0 without any */

    struct split_facts facts; /* duplicates and conflicts; leakage when there is a test file */
    struct noise noise;

    bool divides;            /* training, development and test examples can be cut from it */
    const char *why_not;     /* a finished sentence when they cannot */
    size_t train, dev, test; /* sizes, when they can */

    /* Share of the words, repetitions counted, that no other part of the data has: of development
     * examples against training ones, and of the test file against the data (-1 without one). A
     * test file that is well above comes from somewhere else. -1 when it cannot be told. */
    double unseen_words, test_unseen_words;
};

enum { PROFILE_QUICK = 1000 }; /* texts that are enough for a quick look at the noise */

/* `test` (NULL: none) is the dataset of a test file. `noise_texts` as in noise_estimate. Data that
 * cannot be divided are no error. The data must live on. Release with data_profile_release. */
void data_profile_make(const struct dataset *data, const struct dataset *test, uint64_t seed,
                       size_t noise_texts, struct data_profile *profile);

/* The same for data that are divided already. */
void data_profile_of_split(const struct dataset *data, const struct split *split, uint64_t seed,
                           size_t noise_texts, struct data_profile *profile);

void data_profile_release(struct data_profile *profile); /* safe on {0} and twice */

#endif
