/* SPDX-License-Identifier: Apache-2.0
 *
 * Policies at work on recorded trials.
 *
 * Each replay deals the recorded answers of all examples, development and test, anew into as many
 * development and as many test answers, the same for all trials: a model was trained on neither.
 * Replays of one question are not independent of each other, and questions of one task neither.
 *
 * Seconds spent are those of training and of development answers; test answers are the same for all
 * and left out, also of the exhaustive cost. A trial that takes longer than what is left of the
 * budget gives nothing and ends the study.
 */
#ifndef TESTS_BENCH_REPLAY_H
#define TESTS_BENCH_REPLAY_H

#include "advisor/pace.h"
#include "advisor/policy.h"
#include "advisor/study.h"
#include "tests/bench/question.h"

enum { MOST_RUNS = 256 };

/* A trial that was run. */
struct run {
    const struct recorded *row;
    size_t offer, rate, size;
    size_t seed;      /* 0: the first one */
    int epochs;       /* 0: the usual number */
    double predicted; /* seconds, from the trials before it; policies that do not ask get those of
                       * the bare model */
    double seconds;   /* that it took */
};

struct rerun {
    const struct question *q;
    uint64_t number;
    size_t *deal; /* (dev + test) answers in the order dealt, the development ones first */
    double budget, spent, exhaustive; /* seconds; INFINITY: no budget */
    struct run runs[MOST_RUNS];
    size_t run_count, substitutes, refused; /* refused: answered by a trial that was run before */
    const struct recorded *chosen;          /* NULL: nothing */

    /* As the advisor sees it. */
    struct arm arms[MOST_ARMS];
    struct arm_trial trials[MOST_RUNS]; /* with those refused */
    size_t trial_count;
    struct trial_record records[MOST_RUNS];
    struct pace paces[MOST_ARMS];
    struct options options;
    struct study study;
    struct arena arena;
};

/* Deals the answers and forgets all trials; `share` is the budget as a share of the exhaustive
 * cost. Release with replay_end. */
void replay_begin(struct rerun *r, const struct question *q, uint64_t number, double share);
void replay_end(struct rerun *r);

/* Shares of right answers, as dealt. */
double replay_dev(const struct rerun *r, const struct recorded *row);
double replay_test(const struct rerun *r, const struct recorded *row);

/* ---- Policies -------------------------------------------------------------------------------- */

struct replay_policy {
    const char *name;
    bool budgeted; /* otherwise it costs what it costs */
    void (*run)(struct rerun *r);
};

/* advisor            policy_next with the priors of techniques and rules
 * trials             the same with priors that are drawn at random
 * random             techniques and rates at random, with all examples, while they fit
 * always_lora        LoRA with its usual rate and all examples
 * zero_shot_rank     the best of those that train nothing and read nothing but a prompt
 * rules              what the rules put first, with its usual rate and all examples
 * smallest_rung_top_3  every technique with its usual rate at the smallest size, and the best three
 *                    of those that train once more with all examples: what the literature does
 *                    with one epoch, of which there is no record
 * exhaustive         every recorded trial with all examples
 *
 * Those that run several trials choose by advisor/choice.h. NULL past the last. */
const struct replay_policy *replay_policy_at(size_t index);

/* ---- Judging --------------------------------------------------------------------------------- */

struct judged {
    double metric;      /* of the choice, on the test answers; that of the majority answer when
                           nothing was chosen, or 0 when that is not recorded */
    double regret;      /* against the best recorded trial with all examples, chosen on the same
                           test answers: luck included */
    double fair_regret; /* against that of one half of the test answers, judged on the other, mean
                           over many halvings */
    bool hit;           /* the choice is the best one, or as good */
    bool tied;          /* or not significantly worse: exact McNemar, two-sided, 5 %; when nothing
                           was chosen, the majority answer is not */
    bool covered;       /* the 80 % interval of its metric holds its test metric */
    double share;       /* of the exhaustive cost */
};

struct judged replay_judge(struct rerun *r);

/* Whether the 80 % interval of a share of `right` answers of `count` holds another share, measured
 * on `others` answers: Wilson's, its halves wider by the root of 1 + count / others for what those
 * add. */
bool interval_holds(double right, double count, double share, double others);

#endif
