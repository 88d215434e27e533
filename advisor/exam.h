/* SPDX-License-Identifier: Apache-2.0
 *
 * The examples that a technique is examined with, and which of them a baseline knows.
 */
#ifndef ADVISOR_EXAM_H
#define ADVISOR_EXAM_H

#include "advisor/baseline.h"
#include "advisor/study.h"

/* Rows of a dataset. */
struct exam {
    struct dataset own; /* of a test file that is no part of the study; empty otherwise */
    const struct dataset *from;
    const char *path;
    const size_t *rows; /* (count) */
    size_t count;
    struct arena arena;
};

/* All of the study's test side, or, with `test_path`, all of that file, whose labels must be those
 * of the study. Release also after a failure. */
enum status exam_open(struct exam *exam, const struct study *study, const char *test_path,
                      struct error *err);
void exam_release(struct exam *exam); /* safe on {0} */

const struct example *exam_example(const struct exam *exam, size_t index);

/* An example as a baseline names it. */
struct keyed {
    struct baseline_answer key; /* input and target */
    size_t index;               /* into the exam's rows */
};

/* All of them in the order of baseline_compare; in `arena`. */
enum status exam_keys(const struct exam *exam, struct arena *arena, struct keyed **keys,
                      struct error *err);

/* The answer of a prediction as a baseline names it: a label, a key, or NULL for none. */
enum status exam_answer(const struct dataset *data, const struct prediction *prediction,
                        struct arena *arena, const char **answer, struct error *err);

struct pairing {
    struct pair {
        size_t before; /* into baseline->answers */
        size_t index;  /* into the exam's rows */
    } * pairs;
    size_t count;
    size_t missing;                /* answers of the baseline whose example is not in the exam */
    size_t extra;                  /* examples that the baseline does not know */
    size_t relabelled;             /* examples whose right answer is another one now */
    size_t relabelled_index;       /* the first of them, into the exam's rows */
    const char *relabelled_target; /* its right answer in the baseline */
};

/* Pairs examples with the answers of the baseline: the same text and the same right answer; of
 * examples that occur several times as many as both have. In `arena`. */
enum status exam_pair(const struct exam *exam, const struct baseline *baseline, struct arena *arena,
                      struct pairing *pairing, struct error *err);

/* Runs `replay` on the examples: all of them, or those that `chosen` (count) names by index. */
enum status exam_run(const struct exam *exam, struct study *study, struct replay *replay,
                     const size_t *chosen, size_t count, struct arena *arena,
                     struct trial_outcome *outcome, struct error *err);

#endif
