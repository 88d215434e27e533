/* SPDX-License-Identifier: Apache-2.0
 *
 * Spending the budget: which trials run, in which order, at which size.
 *
 * advisor/policy.h decides what comes next; here it is told what the store knows and how long
 * things will take, and its choice is run, until nothing is left that is worth trying or the time
 * is up. Nothing is begun that is not expected to end in time, and the test answers of those in the
 * lead are kept free. Finished trials are in the store; running the same allocation again goes on
 * with what is missing.
 */
#ifndef ADVISOR_ALLOCATE_H
#define ADVISOR_ALLOCATE_H

#include "advisor/study.h"

/* What a trial is for, as the store keeps it. */
#define PURPOSE_RUNG "rung"

/* The techniques of this study in turn: those asked for, or all; NULL past the last. */
const struct technique *study_technique(const struct study *study, size_t index);
size_t study_technique_count(const struct study *study);

/* Runs trials until all are settled or the budget has to be kept for the end. OK in both cases;
 * INTERRUPTED when the user stopped it, and errors that concern the study as a whole. A technique
 * that cannot run, or fails, is settled in the store with its reason. */
enum status allocate_run(struct study *study, struct error *err);

/* Answers the test side with the best trial of each technique, the best first, as far as there is
 * time. */
enum status allocate_test(struct study *study, struct error *err);

/* Trials that differ in their seed alone, the earliest first. */
struct seeds {
    const struct trial_record **trials;
    size_t count;
};

/* Those of `trial`, which is done, itself included. `trials` are all of the study. */
struct seeds trial_seeds(const struct trial_record *trial, const struct trial_record *trials,
                         size_t count, struct arena *arena);

/* The trial that stands for a technique: the first seed of the setting with the best mean metric
 * over its seeds on the development side, at the largest size whose best is no worse than that of
 * all sizes, or by no more than chance makes: the best of several sizes looks better than it is,
 * and more examples seldom harm. NULL when none is done.
 * It is the first and not the best seed, so that what it answers is no luckier than the mean.
 * `trials` are all of the study. */
const struct trial_record *best_trial(const struct technique *technique,
                                      const struct trial_record *trials, size_t count);

/* The same among the trials with so many training examples. */
const struct trial_record *best_trial_at(const struct technique *technique, int64_t examples,
                                         const struct trial_record *trials, size_t count);

/* Whether the technique can be used on these data at all; otherwise `*why` is a sentence in the
 * study's arena. */
bool technique_fits(struct study *study, const struct technique *technique, const char **why);

#endif
