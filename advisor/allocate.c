/* SPDX-License-Identifier: Apache-2.0 */
#include "advisor/allocate.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "advisor/interrupt.h"
#include "techniques/trainer.h"

enum {
    LEAST_RUNG = 64, /* smallest training size that is tried */
    MOST_RACE = 256, /* examples of a learning-rate race, at most */
    GROWTH = 4,      /* between sizes, while there is time for it */
    MOST_RATES = 8
};

/* Shares of the time left that a technique may spend. */
static const double race_share = 0.35, first_rung_share = 0.45;

/* A prediction is made from earlier trials; this much more is kept free for being wrong. */
static const double caution = 1.15;

/* Training costs about this many times a forward pass over the same tokens while unmeasured. */
static const double training_factor = 3;

const struct technique *study_technique(const struct study *study, size_t index)
{
    const struct options *options = study->options;
    if (!options->techniques)
        return technique_at(index);
    return index < options->technique_count ? options->techniques[index] : NULL;
}

bool technique_fits(struct study *study, const struct technique *technique, const char **why)
{
    char text[256] = "";
    size_t train = study->split.train_count;
    if (technique->needs & NEEDS_LABELS && !study->data.label_count)
        snprintf(text, sizeof text, "needs labels, but the task is %s",
                 task_name(study->data.task));
    else if (technique->needs & NEEDS_RATIONALE && !study->data.rationale_count)
        snprintf(text, sizeof text,
                 "needs worked solutions, and the data have no rationale column");
    else if (train < (size_t)technique->minimum_examples)
        snprintf(text, sizeof text, "needs at least %d training examples, and there are %zu",
                 technique->minimum_examples, train);
    *why = arena_strdup(&study->arena, text);
    return !*text;
}

const struct trial_record *best_trial(const struct technique *technique,
                                      const struct trial_record *trials, size_t count)
{
    const struct trial_record *best = NULL;
    for (size_t i = 0; i < count; i++) {
        const struct trial_record *t = &trials[i];
        if (strcmp(t->key.technique, technique->name) || t->status != TRIAL_DONE ||
            !t->metric.known)
            continue;
        if (!best || t->metric.value > best->metric.value ||
            (t->metric.value == best->metric.value && t->key.examples > best->key.examples))
            best = t;
    }
    return best;
}

/* ---- One trial ------------------------------------------------------------------------------ */

struct running {
    struct study *study;
    const char *technique;
    const char *purpose; /* shown while it trains */
    int64_t id;
};

static enum status on_progress(void *context, const char *stage, size_t done, size_t total,
                               struct error *err)
{
    struct running *r = context;
    struct study *study = r->study;
    progress_update(study->progress, r->technique,
                    !strcmp(r->purpose, PURPOSE_RACE) ? r->purpose : stage, (double)done,
                    (double)total, study_spent(study), study->options->budget_seconds);
    enum status status = study_save_time(study, false, err);
    return status == OK ? trial_heartbeat(study->store, r->id, err) : status;
}

static enum status on_step(void *context, const struct training_step *step, struct error *err)
{
    struct running *r = context;
    struct loss_row row = {.step = (int64_t)step->step,
                           .examples_seen = (int64_t)step->examples,
                           .tokens = (int64_t)step->tokens,
                           .loss = step->loss,
                           .rate = step->rate};
    return trial_loss_add(r->study->store, r->id, &row, 1, err);
}

static void note_trial(struct study *study, const struct trial_key *key,
                       const struct trial_record *record)
{
    if (record->metric.known)
        progress_note(study->progress, "%s: %lld examples, %s %.3f [%.3f, %.3f], %.1f s",
                      key->technique, (long long)key->examples, record->metric_name,
                      record->metric.value, record->low.value, record->high.value,
                      record->trial_seconds.value);
}

static enum status store_outcome(struct study *study, int64_t id, const struct trial_key *key,
                                 struct trial_outcome *outcome, struct error *err)
{
    struct trial_predictions predictions = {.dev = outcome->predictions,
                                            .dev_count = outcome->count};
    enum status status = OK;
    outcome->record.id = id;
    if (outcome->artifact && outcome->record.metric.known)
        status =
            trial_artifact_save(study->store, id, outcome->artifact, outcome->artifact_length, err);
    if (status == OK)
        status = trial_finish(study->store, &outcome->record, &predictions, err);
    if (status == OK)
        note_trial(study, key, &outcome->record);
    return status == OK ? study_save_time(study, true, err) : status;
}

/* What becomes of a trial that ended with `status`: the study goes on where only the trial is at
 * fault. */
static enum status settle(struct study *study, int64_t id, const struct trial_key *key,
                          enum status status, struct error *err)
{
    enum trial_status fate = TRIAL_FAILED;
    if (status == OUT_OF_TIME || status == INTERRUPTED)
        fate = TRIAL_INTERRUPTED;
    struct error second = {0};
    enum status settled = trial_settle(study->store, id, fate, err->text, &second);
    if (settled != OK) {
        *err = second;
        return settled;
    }
    if (status == OUT_OF_TIME || status == USAGE || status == FAILED) {
        if (status != OUT_OF_TIME)
            progress_note(study->progress, "%s: not usable: %s", key->technique, err->text);
        return OK;
    }
    return status;
}

/* Runs one trial unless it is settled already. `*ran` (may be NULL) gets its record when it is
 * done, now or before. */
static enum status run_trial(struct study *study, const struct setting *setting, size_t examples,
                             const char *purpose, struct trial_record *ran, struct error *err)
{
    struct text json = {0};
    setting_json(setting, &json);
    struct trial_key key = {.technique = setting->technique->name,
                            .setting = text_string(&json),
                            .examples = (int64_t)examples,
                            .seed = study->options->seed,
                            .purpose = purpose};
    struct running running = {.study = study, .technique = key.technique, .purpose = purpose};
    struct trial_hooks hooks = {.context = &running, .progress = on_progress, .step = on_step};
    struct trial_outcome outcome;
    struct arena arena;
    enum claim claim = CLAIM_SETTLED;
    arena_init(&arena, NULL);
    enum status status = trial_plan(study->store, &key, &running.id, err);
    if (status == OK)
        status = trial_claim(study->store, running.id, &claim, err);
    if (status == OK && claim == CLAIM_OTHER)
        status = error_set(err, FAILED,
                           "%s: another advisor is running this study; wait for it, or "
                           "choose another --study",
                           study->path);
    if (status == OK && claim == CLAIM_OURS) {
        bool race = !strcmp(purpose, PURPOSE_RACE);
        status = evaluate_trial(&study->evaluator, setting, examples, key.seed, race, &hooks,
                                &study->deadline, &arena, &outcome, err);
        status = status == OK ? store_outcome(study, running.id, &key, &outcome, err)
                              : settle(study, running.id, &key, status, err);
    }
    if (status == OK && ran)
        status = store_trial(study->store, running.id, &study->arena, ran, err);
    arena_release(&arena);
    text_release(&json);
    return status;
}

/* ---- A technique that trains ---------------------------------------------------------------- */

/* What is known about the speed of the technique under way. */
struct pace {
    double seconds_per_pass; /* of one example through one training pass */
    double answer_seconds;   /* of all development examples */
};

static struct pace first_guess(const struct study *study)
{
    return (struct pace){.seconds_per_pass = training_factor * study->seconds_per_answer,
                         .answer_seconds =
                             study->seconds_per_answer * (double)study->evaluator.dev_count};
}

static double rung_seconds(const struct setting *setting, const struct pace *pace, size_t examples)
{
    double passes = (double)examples * trainer_epochs(setting, examples);
    return caution * (passes * pace->seconds_per_pass + pace->answer_seconds);
}

static size_t read_rates(const struct technique *technique, double rates[MOST_RATES])
{
    size_t n = 0;
    for (const char *at = technique->learning_rates; at && n < MOST_RATES; n++) {
        char *end;
        rates[n] = strtod(at, &end);
        at = *end == ',' ? end + 1 : NULL;
    }
    return n;
}

/* The number of examples a race uses: the largest of 256, 128 and 64 for which all rates fit into
 * its share of `left`; 0 when none does. */
static size_t race_size(const struct study *study, const struct pace *pace, size_t rates,
                        double left)
{
    for (size_t n = MOST_RACE; n >= LEAST_RUNG; n /= 2) {
        size_t used = n < study->split.train_count ? n : study->split.train_count;
        if ((double)(used * rates) * pace->seconds_per_pass <= race_share * left)
            return used;
    }
    return 0;
}

/* Size of the race an earlier run of this study began, or 0: it must not change when it goes on. */
static enum status earlier_race(struct study *study, const struct technique *technique,
                                size_t *size, struct error *err)
{
    struct trial_record *trials;
    size_t count;
    enum status status = store_trials(study->store, &study->arena, &trials, &count, err);
    *size = 0;
    for (size_t i = 0; i < count && status == OK; i++)
        if (!strcmp(trials[i].key.technique, technique->name) &&
            !strcmp(trials[i].key.purpose, PURPOSE_RACE))
            *size = (size_t)trials[i].key.examples;
    return status;
}

/* Trains once with each learning rate and puts the best one into `setting`. */
static enum status race_rates(struct study *study, struct setting *setting, struct pace *pace,
                              double left, struct error *err)
{
    double rates[MOST_RATES], best = INFINITY;
    size_t n = read_rates(setting->technique, rates), size;
    enum status status = earlier_race(study, setting->technique, &size, err);
    if (status == OK && !size)
        size = race_size(study, pace, n, left);
    if (status != OK || !size)
        return status;
    struct setting candidate = *setting;
    for (size_t i = 0; i < n && status == OK; i++) {
        struct trial_record record = {0};
        setting_set_number(&candidate, "learning_rate", rates[i], &study->arena);
        status = run_trial(study, &candidate, size, PURPOSE_RACE, &record, err);
        if (status != OK || record.status != TRIAL_DONE)
            continue;
        pace->seconds_per_pass = record.train_seconds.value / (double)size;
        if (record.prequential_nll.known && record.prequential_nll.value < best) {
            best = record.prequential_nll.value;
            *setting = candidate;
        }
    }
    return status;
}

/* The next size to train on after `last` (0: none yet) that fits into `left` seconds, or 0. */
static size_t next_size(const struct study *study, const struct setting *setting,
                        const struct pace *pace, size_t last, double left)
{
    size_t all = study->split.train_count, chosen = 0;
    if (last >= all)
        return 0;
    double allowed = last ? left : first_rung_share * left;
    size_t least = last ? 2 * last : LEAST_RUNG, most = last ? GROWTH * last : MOST_RACE;
    for (size_t n = LEAST_RUNG; n <= most; n *= 2) {
        size_t size = n < all ? n : all;
        if (n >= least && rung_seconds(setting, pace, size) <= allowed)
            chosen = size;
        if (n >= all)
            break;
    }
    if (last && chosen < all && rung_seconds(setting, pace, all) <= left && all <= GROWTH * last)
        chosen = all;
    size_t smallest = LEAST_RUNG < all ? LEAST_RUNG : all;
    if (!last && !chosen && rung_seconds(setting, pace, smallest) <= left)
        chosen = smallest;
    return chosen;
}

/* Sizes an earlier run finished or began with this setting come first, so that nothing is repeated;
 * returns the next one above `last`, or 0. */
static enum status earlier_size(struct study *study, const struct setting *setting, size_t last,
                                size_t *size, struct error *err)
{
    struct trial_record *trials;
    size_t count;
    struct text json = {0};
    setting_json(setting, &json);
    *size = 0;
    enum status status = store_trials(study->store, &study->arena, &trials, &count, err);
    for (size_t i = 0; i < count && status == OK; i++) {
        const struct trial_key *key = &trials[i].key;
        size_t examples = (size_t)key->examples;
        if (!strcmp(key->technique, setting->technique->name) &&
            !strcmp(key->purpose, PURPOSE_RUNG) && !strcmp(key->setting, text_string(&json)) &&
            examples > last && (!*size || examples < *size))
            *size = examples;
    }
    text_release(&json);
    return status;
}

static enum status run_trained(struct study *study, const struct technique *technique, double left,
                               struct error *err)
{
    struct setting setting = setting_default(technique);
    struct pace pace = first_guess(study);
    double until = study_spent(study) + left;
    enum status status = race_rates(study, &setting, &pace, left, err);
    for (size_t last = 0; status == OK;) {
        size_t size;
        status = earlier_size(study, &setting, last, &size, err);
        if (status == OK && !size)
            size = next_size(study, &setting, &pace, last, until - study_spent(study));
        if (status != OK || !size)
            break;
        struct trial_record record = {0};
        status = run_trial(study, &setting, size, PURPOSE_RUNG, &record, err);
        if (status != OK || record.status != TRIAL_DONE)
            break;
        pace.seconds_per_pass =
            record.train_seconds.value / ((double)size * trainer_epochs(&setting, size));
        pace.answer_seconds = record.trial_seconds.value - record.train_seconds.value;
        last = size;
    }
    return status;
}

/* ---- The whole ------------------------------------------------------------------------------ */

/* Time kept for the end: the test answers of all techniques and the report. */
static double reserve(const struct study *study)
{
    size_t models = 0;
    const struct technique *technique;
    for (size_t i = 0; (technique = study_technique(study, i)); i++)
        models += (technique->needs & NEEDS_MODEL) != 0;
    double answers = study->seconds_per_answer * (double)(models * study->evaluator.test_count);
    return caution * answers + 0.5;
}

static size_t trained_techniques(struct study *study)
{
    size_t count = 0;
    const char *why;
    const struct technique *technique;
    for (size_t i = 0; (technique = study_technique(study, i)); i++)
        count += technique->learning_rates && technique_fits(study, technique, &why);
    return count;
}

static enum status run_untrained(struct study *study, const struct technique *technique,
                                 struct error *err)
{
    struct setting setting = setting_default(technique);
    if (setting_has(&setting, "k") && study->split.train_count < 8)
        setting_set_number(&setting, "k", (double)study->split.train_count, &study->arena);
    return run_trial(study, &setting, study->split.train_count, PURPOSE_RUNG, NULL, err);
}

enum status allocate_run(struct study *study, struct error *err)
{
    const struct technique *technique;
    const char *why;
    enum status status = OK;
    double end = study->options->budget_seconds - reserve(study);
    study->deadline.at = clock_seconds() + (end - study_spent(study));
    for (size_t i = 0; status == OK && (technique = study_technique(study, i)); i++)
        if (!technique->learning_rates && technique_fits(study, technique, &why))
            status = run_untrained(study, technique, err);
    size_t trained = trained_techniques(study);
    for (size_t i = 0; status == OK && (technique = study_technique(study, i)); i++)
        if (technique->learning_rates && technique_fits(study, technique, &why))
            status =
                run_trained(study, technique, (end - study_spent(study)) / (double)trained--, err);
    return status;
}

static enum status test_one(struct study *study, const struct technique *technique,
                            const struct trial_record *best, struct error *err)
{
    struct setting setting;
    struct arena arena;
    const void *artifact = NULL;
    size_t length = 0;
    struct prediction *predictions;
    struct metric_value value;
    arena_init(&arena, NULL);
    progress_update(study->progress, technique->name, "test", 0, 1, study_spent(study),
                    study->options->budget_seconds);
    enum status status = setting_parse(technique, best->key.setting, &setting, &arena, err);
    if (status == OK)
        status = trial_artifact_load(study->store, best->id, &arena, &artifact, &length, err);
    if (status == OK)
        status =
            evaluate_test(&study->evaluator, &setting, (size_t)best->key.examples, best->key.seed,
                          artifact, length, &study->deadline, &arena, &predictions, &value, err);
    if (status == OK)
        status = trial_test(study->store, best->id, value.value, predictions,
                            study->evaluator.test_count, err);
    arena_release(&arena);
    return status;
}

enum status allocate_test(struct study *study, struct error *err)
{
    struct trial_record *trials;
    size_t count;
    const struct technique *technique;
    enum status status = store_trials(study->store, &study->arena, &trials, &count, err);
    study->deadline.at = clock_seconds() + study_left(study);
    for (size_t i = 0; status == OK && (technique = study_technique(study, i)); i++) {
        const struct trial_record *best = best_trial(technique, trials, count);
        if (best && !best->test_metric.known)
            status = test_one(study, technique, best, err);
    }
    return status == OUT_OF_TIME ? OK : status;
}
