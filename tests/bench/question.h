/* SPDX-License-Identifier: Apache-2.0
 *
 * What a policy is asked: with so many examples of this task, which technique? And what the record
 * can answer.
 *
 * The record is never complete, and no number is made up for what it lacks:
 *
 * - Offered are the techniques that train by steps and are recorded with all examples, and at
 *   every size of the ladder. Techniques without steps are offered when they are recorded with at
 *   most that many examples, with any number if they do not learn; the largest size counts.
 * - The ladder is that of the policy's own rule for as many examples, or for one less, which can
 *   leave out a size, whichever makes the recorded block, sizes times techniques, as large as
 *   possible. Below its smallest size are the halves of that, and halves of those, that are
 *   recorded for all of these techniques. A trial of any other size takes forever.
 * - A learning rate is offered when it is recorded at some size of the ladder. Where it is not
 *   recorded at the size asked for, the nearest one that is answers for it: a measured trial, which
 *   is counted as a substitute. When that one was run before, the policy is told that the trial
 *   failed, at no cost. Fewer passes than usual are offered where they are recorded.
 * - Seconds, answers and tokens are those of the recorded trial; scoring is scaled to the number of
 *   development answers in use. A rate that is not recorded with all examples counts in the
 *   exhaustive cost with the seconds of the nearest one.
 *
 * Metrics are shares of right answers, also for tasks whose own metric is another one, since
 * answers can be dealt anew and other metrics cannot.
 */
#ifndef TESTS_BENCH_QUESTION_H
#define TESTS_BENCH_QUESTION_H

#include "advisor/rules.h"
#include "tests/bench/recorded.h"

enum { MOST_ARMS = 32, MOST_RUNGS = 6, MOST_RATES = 8, LEAST_ASKED = 64 };

struct offer {
    const struct technique *technique;
    double rates[MOST_RATES]; /* ascending */
    size_t rate_count, usual_rate;
    double prior;    /* as in technique.h, but measured on the other tasks of the record */
    double rules;    /* points by which the rules raise it */
    bool excluded;   /* by a rule */
    double lifetime; /* tokens that the arithmetic expects of its lifetime */
};

struct question {
    const struct record *record;
    const struct task_numbers *task;
    struct model *model; /* its shape */
    struct {
        size_t examples;
        int epochs;      /* with which it is screened on; 0: as many as usual */
    } rungs[MOST_RUNGS]; /* the last: all examples there are */
    size_t rung_count;
    size_t told; /* examples that the policy is told of: the rung that the last one stands for */
    struct offer offers[MOST_ARMS];
    size_t offer_count;
    size_t dev, test;       /* answers that all trials with all examples and steps have; another may
                             * have fewer, and is compared on those it has */
    double answer_seconds;  /* of the bare model */
    double reading_seconds; /* as in advisor/study.h: by the tasks whose answers are not written */
};

/* Asks about every task and every size from LEAST_ASKED on with which at least `least` techniques
 * that train by steps are recorded. `*questions` lives in `arena`. */
enum status questions_make(const struct record *record, struct model *model, size_t least,
                           struct arena *arena, struct question **questions, size_t *count,
                           struct error *err);

/* A trial: the numbers of an offer, of one of its rates, and of a size. */
struct asked {
    size_t offer, rate, size;
    size_t turn; /* chooses among the seeds that are recorded */
    int epochs;  /* passes; 0: as many as the size is screened with */
};

/* The recorded trial that answers for it. NULL: none does. `*substitute`: not exactly what was
 * asked for. */
const struct recorded *question_trial(const struct question *q, struct asked asked,
                                      bool *substitute);

/* Seconds of training and of the development answers in use. */
double question_seconds(const struct question *q, const struct recorded *row);

/* Of every offered technique with every offered rate and all examples. */
double question_exhaustive(const struct question *q);

#endif
