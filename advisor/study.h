/* SPDX-License-Identifier: Apache-2.0
 *
 * A study under way: model, data, split, store and clock, opened together and closed together.
 *
 * A study is identified by its model, its data (and test file), how they are read, the metric and
 * the seed; its file name is made from their hash. Budget, target and techniques are not part of
 * it: the same command goes on where it stopped, and a larger budget goes on from there.
 */
#ifndef ADVISOR_STUDY_H
#define ADVISOR_STUDY_H

#include "advisor/options.h"
#include "advisor/progress.h"
#include "advisor/rules.h"
#include "base/clock.h"
#include "base/hash.h"
#include "datasets/split.h"
#include "evaluators/evaluate.h"
#include "evaluators/store.h"
#include "model/engine.h"

struct study {
    const struct options *options;
    struct progress *progress;
    struct arena arena; /* of all strings and records below */

    struct dataset data, test_data; /* test_data is empty without --test */
    struct split split;
    struct model *model;
    struct engine *engine;
    struct bare_loss bare;      /* of the model, for all trials */
    struct evaluator evaluator; /* dev_count and test_count are set by study_size */

    /* The study file; see advisor/study_file.h. */
    struct store *store; /* NULL when nothing is kept (command trial), or not yet */
    const char *path, *name;
    char identity[HASH_HEX];
    int lock; /* descriptor of the lock file, or -1 */
    struct study_record record;

    struct measured memory_limit; /* bytes that the program may take (advisor/memory_limit.h) */

    double tokens_mean, tokens_max; /* of the inputs, in the model's tokens */
    double example_tokens; /* mean of what a training example adds to a pass: request and answer */
    double prefix_tokens;  /* shared start of the bare model's prompts */
    double list_tokens;    /* of these, the list of labels, which what is trained goes without */
    double tokens_answer;  /* mean of the targets */
    double tokens_rationale;    /* mean of the worked solutions; 0 when there are none */
    double seconds_per_answer;  /* of the bare model on these data, probed; 0: not known, since
                                   there was no time for a single answer */
    double seconds_per_reading; /* of one request without writing its answer, where that is written
                                   token by token; 0: as long as an answer */
    double tokens_written; /* in an answer of the bare model, mean; 0: answers are not written */

    /* What the rules say; NULL and empty until study_judge. */
    struct rules *rules;
    struct judgements judgements; /* in the order of study_technique */

    /* Time: `began` on the clock of clock_seconds; what earlier runs spent; what the store knows.
     */
    double began, spent_before, spent_saved;
    bool worked;              /* this run measured something; otherwise its time does not count */
    struct deadline deadline; /* for trials: the budget less what the end needs */
};

/* Reads data and model, makes the split and checks that every example fits the model's context.
 * With `keep`, also takes the study file for this process alone and reads it when there is one.
 * BAD_DATA, BAD_MODEL; USAGE when --study names a file made for another model or other data; FAILED
 * when another process works on the study. */
enum status study_open(struct study *study, const struct options *options,
                       struct progress *progress, bool keep, struct error *err);
void study_close(struct study *study); /* safe after a failed open */

/* Judges the study's techniques by the rules, once; without training or running anything. USAGE for
 * a file of --rules that is at fault. */
enum status study_judge(struct study *study, struct error *err);

/* Why a rule excludes a technique from this study, by logic or arithmetic: a sentence; NULL when
 * none does, or before study_judge. And the points by which rules raise (or lower) it. */
const char *study_excludes(const struct study *study, const struct technique *technique);
double study_prior(const struct study *study, const struct technique *technique);

/* The work of a technique that learns from `examples` examples of this study. */
struct workload study_workload(const struct study *study, size_t examples);

/* Different inputs among the first `count` development examples. */
size_t study_different_texts(const struct study *study, size_t count);

/* Decides how many development and test examples the trials answer, from a probe of the model's
 * speed and the budget, and makes the study file; a resumed study keeps what it had. */
enum status study_size(struct study *study, struct error *err);

/* Whether an earlier run decided that. */
bool study_is_sized(const struct study *study);

/* The first half of study_size, which writes nothing: the probe, where there was none before, and
 * the sizes. And those alone, for another budget, once the speed is known. */
enum status study_measure(struct study *study, struct error *err);
void study_decide_sides(struct study *study, double budget);

/* The seed of a trial that repeats others: number 0 is the study's own, number n the n-th behind
 * it; and the number of a trial's seed. */
uint64_t study_seed(const struct study *study, size_t replicate);
size_t study_replicate(const struct study *study, uint64_t seed);

double study_spent(const struct study *study); /* seconds, all runs together */
double study_left(const struct study *study);  /* of the budget; negative when overrun */

/* Trials have `seconds` from now; none when that is negative. */
void study_set_deadline(struct study *study, double seconds);

/* What the study has cost so far, as its file knows it, so that a run that only shows the result
 * shows the same; without a file the seconds of this run. */
double study_cost(const struct study *study);

/* Writes the time spent to the store; at most every two seconds unless `now`. */
enum status study_save_time(struct study *study, bool now, struct error *err);

#endif
