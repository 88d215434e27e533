/* SPDX-License-Identifier: Apache-2.0
 *
 * Recorded trials, as tests/bench/record.c writes them, and the tasks they are of.
 *
 * Rows are checked as they are read: the columns of record.c in its order, a registered technique
 * and a setting it can have, numbers in their ranges, as many answers as the row says, and a metric
 * that is a share of right answers must be the share of those answers. The sentence of an error
 * begins with file and line.
 */
#ifndef TESTS_BENCH_RECORDED_H
#define TESTS_BENCH_RECORDED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "advisor/facts.h"
#include "base/error.h"
#include "base/memory.h"
#include "techniques/technique.h"

/* A task in numbers: a row of tests/bench/tasks.csv, as tests/bench/tasks.c writes it. */
struct task_numbers {
    const char *name, *kind; /* kind as task_name gives it */
    double labels;           /* 0: none */
    double input_tokens, input_tokens_max, answer_tokens, instruction_tokens, list_tokens;
    double example_tokens; /* request and answer in a training pass */
    double rationale_tokens, rationales, reasoning, noise_low, unseen_words, test_unseen_words;
};

/* One trial. Numbers that are not known are NAN. */
struct recorded {
    const char *task, *name, *rate_text, *setting, *metric, *failure; /* "": it went well */
    const struct technique *technique;
    double rate; /* 0: nothing is trained by steps */
    double examples, seed, dev, test;
    double dev_metric, test_metric, train_seconds, score_seconds;
    double train_tokens, request_tokens, parameters, peak_bytes;
    double prequential_nll, final_loss, dev_nll;
    const char *dev_bits, *test_bits; /* hexadecimal digits */
    bool *dev_right, *test_right;     /* (dev), (test) */

    int epochs; /* passes over the examples; 0 when nothing is trained by steps */
    bool usual; /* nothing but the learning rate differs from what the technique does by default,
                 * and it was trained on about as many tokens as that takes */
    bool brief; /* likewise, but for fewer passes */
    const char *file;
    size_t line;
};

struct record {
    struct arena arena; /* of everything below */
    struct task_numbers *tasks;
    size_t task_count;
    struct recorded *rows;
    size_t count;
};

void record_init(struct record *record);
void record_release(struct record *record);

/* Adds the rows of a file; `name` is what errors call it. Of two rows of one trial the one with
 * more test answers stays, or the first when they gave the same answers. BAD_DATA for a row at
 * fault, and for one that contradicts another with as many test answers. */
enum status record_add(struct record *record, const char *name, const char *bytes, size_t size,
                       struct error *err);

/* Adds the tasks of a file; every task that has rows needs one. */
enum status record_add_tasks(struct record *record, const char *name, const char *bytes,
                             size_t size, struct error *err);

/* Reads the file TASKS, and all *.csv of FOLDER in the order of their names. FAILED when something
 * cannot be read or there is no row. */
enum status record_read(struct record *record, const char *tasks, const char *folder,
                        struct error *err);

/* Of `count` answers. */
double share_of_right(const bool *right, double count);

/* Points of the share of right test answers that a technique came out above the majority answer
 * with 128 examples and its usual rate: the mean over tasks of the mean over seeds. Each task is
 * taken relative to the mean of the techniques that all tasks have, so that a technique which some
 * tasks do not have is not judged by how easy the others are. `without` is a task that does not
 * count, or NULL. NAN when no task has both. */
double record_points(const struct record *record, const struct technique *technique,
                     const char *without);

/* NULL when there is none. */
const struct task_numbers *record_task(const struct record *record, const char *name);

#endif
