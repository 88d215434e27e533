/* SPDX-License-Identifier: Apache-2.0
 *
 * Running one trial: adapt the model with one setting, train what there is to train, answer the
 * development examples, and write down what it reached and what it cost.
 */
#ifndef EVALUATORS_EVALUATE_H
#define EVALUATORS_EVALUATE_H

#include "base/clock.h"
#include "datasets/split.h"
#include "evaluators/forgetting.h"
#include "evaluators/metrics.h"
#include "evaluators/store.h"
#include "model/engine.h"
#include "techniques/adapted.h"
#include "techniques/trainer.h"

/* What all trials of a study share. Nothing in it is owned. */
struct evaluator {
    struct engine *engine;
    const struct dataset *data;
    const struct split *split;
    size_t dev_count;  /* development examples to answer, the first ones of split->dev */
    size_t test_count; /* the same for the test side */
    const struct metric *metric;
    uint64_t seed;          /* of the intervals */
    struct bare_loss *bare; /* of the model, kept for all trials; NULL: measured for each */
};

/* What a trial tells while it runs. */
struct trial_hooks {
    void *context;
    /* `stage` is "training" or "scoring"; `done` of `total` steps. A status other than OK ends the
     * trial with it. */
    enum status (*progress)(void *context, const char *stage, size_t done, size_t total,
                            struct error *err);
    /* Every training step; may be NULL. */
    enum status (*step)(void *context, const struct training_step *step, struct error *err);
};

struct trial_outcome {
    struct trial_record record;     /* results and costs; key, status and owner are the caller's */
    struct prediction *predictions; /* (dev_count) */
    size_t count;
    const void *artifact; /* what was learned, or NULL */
    size_t artifact_length;
    struct training_report training; /* zero when nothing was trained */
};

/* Runs `setting` with the first `examples` training examples. Everything in `outcome` lives in
 * `arena`. Errors:
 * those of check, trainer_run and adapted_answer; OUT_OF_TIME and INTERRUPTED by the deadline. */
enum status evaluate_trial(const struct evaluator *evaluator, const struct setting *setting,
                           size_t examples, uint64_t seed, const struct trial_hooks *hooks,
                           const struct deadline *deadline, struct arena *arena,
                           struct trial_outcome *outcome, struct error *err);

/* Answers the test side with a trial's saved parameters (`artifact` may be NULL). */
enum status evaluate_test(const struct evaluator *evaluator, const struct setting *setting,
                          size_t examples, uint64_t seed, const void *artifact, size_t length,
                          const struct deadline *deadline, struct arena *arena,
                          struct prediction **predictions, struct metric_value *value,
                          struct error *err);

/* A setting that was measured before, to be run again on any examples. Nothing in it is owned. */
struct replay {
    struct setting setting;
    size_t examples;      /* training examples it had */
    uint64_t seed;        /* of its trial */
    const void *artifact; /* what it learned; NULL when nothing is trained */
    size_t artifact_length;
    const struct dataset *from; /* the examples to answer: rows of this dataset, */
    const size_t *rows;         /* (count) */
    size_t count;               /* >= 1 */
};

/* Answers with what was learned before; nothing is trained. The outcome is that of evaluate_trial
 * on these examples, without `training` and artifact. FAILED when the setting has parameters and
 * there is no artifact, or that of another setting. */
enum status evaluate_replay(const struct evaluator *evaluator, const struct replay *replay,
                            const struct trial_hooks *hooks, const struct deadline *deadline,
                            struct arena *arena, struct trial_outcome *outcome, struct error *err);

/* The metric a task is judged by when the user names none: what papers on such data report, and
 * what tells techniques apart with few examples. classification, multiple choice   accuracy numeric
 * answer                    numeric_match extraction                        slot_f1: a record with
 * one wrong slot of five is mostly right; json_match, which wants all of it, is often 0 for
 * techniques that differ widely generation                        chrf: free answers are seldom
 * equal to the letter. It needs no words and so works for any language, where rouge_l knows only
 * a-z and token_f1 forgives no inflection */
const struct metric *metric_for_task(enum task task);

/* Whether a metric says something about a task: those of labels about classes; exact and numeric
 * match about numbers; those of JSON about extraction; those of texts about generation; and those
 * of likelihood about all. */
bool metric_suits_task(const struct metric *metric, enum task task);

#endif
