/* SPDX-License-Identifier: Apache-2.0 */
#include "advisor/allocate.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "advisor/pace.h"
#include "advisor/run_trial.h"
#include "advisor/study_file.h"
#include "techniques/trainer.h"

enum {
    MOST_RACE = 256, /* examples of a learning-rate race, at most */
    GROWTH = 4,      /* between sizes, while there is time for it */
    MOST_RATES = 8
};

/* Shares of the time left that a technique may spend. */
static const double race_share = 0.35, first_rung_share = 0.45;

/* Seconds kept for the ranking and the report. */
static const double report_seconds = 0.3;

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
        if (strcmp(t->key.technique, technique->name) != 0 || t->status != TRIAL_DONE ||
            !t->metric.known)
            continue;
        if (!best || t->metric.value > best->metric.value ||
            (t->metric.value == best->metric.value && t->key.examples > best->key.examples))
            best = t;
    }
    return best;
}

/* ---- Time ----------------------------------------------------------------------------------- */

/* Seconds the end needs for a technique that has a result, or is to get one: its test answers. */
static double test_seconds(const struct study *study, const struct technique *technique,
                           const struct trials *trials, bool expected)
{
    const struct trial_record *best = best_trial(technique, trials->items, trials->count);
    bool open = best ? !best->test_metric.known : expected;
    if (!open || !(technique->needs & NEEDS_MODEL))
        return 0;
    struct pace pace = pace_of(study, technique, trials);
    return pace_test(study, &pace);
}

/* Sets the deadline of trials, and `*left` seconds until then: the budget less the test answers of
 * what has a result, and of the techniques from `from` to `to` - 1, which are to get one. */
static enum status set_deadline(struct study *study, size_t from, size_t to, double *left,
                                struct error *err)
{
    struct trials trials;
    const struct technique *technique;
    const char *why;
    enum status status = trials_read(study, &study->arena, &trials, err);
    *left = study_left(study) - report_seconds;
    for (size_t i = 0; status == OK && (technique = study_technique(study, i)); i++) {
        bool expected = i >= from && i < to && technique_fits(study, technique, &why);
        *left -= test_seconds(study, technique, &trials, expected);
    }
    study_set_deadline(study, *left);
    return status;
}

/* ---- A technique that trains ---------------------------------------------------------------- */

/* The learning rates to try, the default first: when there is time for one only, it is that. */
static size_t read_rates(const struct technique *technique, double rates[MOST_RATES])
{
    size_t n = 0;
    for (const char *at = technique->learning_rates; at && n < MOST_RATES; n++) {
        char *end;
        rates[n] = strtod(at, &end);
        at = *end == ',' ? end + 1 : NULL;
    }
    double middle = rates[n / 2];
    for (size_t i = n / 2; i > 0; i--)
        rates[i] = rates[i - 1];
    rates[0] = middle;
    return n;
}

/* A race that is under way: sizes and times. */
struct race {
    double rates[MOST_RATES];
    size_t count;
    size_t size;  /* examples; 0: there is no time even for one rate */
    double until; /* on the scale of study_spent; later rates must end by then */
    double best;  /* loss of the best rate, INFINITY before there is one */
};

/* The number of examples a race uses: the largest of 256, 128 and 64 for which all rates fit into
 * its share of `left`; the least when at least one rate fits at all. */
static size_t race_size(const struct study *study, double pass, size_t rates, double left)
{
    size_t all = study->split.train_count, least = pace_least(study);
    for (size_t n = MOST_RACE; n >= LEAST_RUNG; n /= 2) {
        size_t used = n < all ? n : all;
        if ((double)(used * rates) * pass <= race_share * left)
            return used;
    }
    return (double)least * pass <= left ? least : 0;
}

/* Size of the race an earlier run of this study began, or 0: it must not change when it goes on. */
static size_t earlier_race(const struct technique *technique, const struct trials *trials)
{
    for (size_t i = 0; i < trials->count; i++)
        if (!strcmp(trials->items[i].key.technique, technique->name) &&
            !strcmp(trials->items[i].key.purpose, PURPOSE_RACE))
            return (size_t)trials->items[i].key.examples;
    return 0;
}

static enum status plan_race(struct study *study, const struct technique *technique, double left,
                             struct race *race, struct error *err)
{
    struct trials trials;
    enum status status = trials_read(study, &study->arena, &trials, err);
    struct pace pace = pace_of(study, technique, &trials);
    *race = (struct race){.best = INFINITY, .until = study_spent(study) + race_share * left};
    race->count = read_rates(technique, race->rates);
    race->size = earlier_race(technique, &trials);
    if (!race->size)
        race->size = race_size(study, pace.pass, race->count, left);
    return status;
}

/* Trains once with each learning rate, as far as there is time, and puts the best one into
 * `setting`; race->best tells whether there is one. */
static enum status run_race(struct study *study, struct setting *setting, struct race *race,
                            double left, struct error *err)
{
    enum status status = plan_race(study, setting->technique, left, race, err);
    struct setting candidate = *setting;
    double end = study_spent(study) + left, seconds = 0;
    for (size_t i = 0; i < race->count && race->size && status == OK; i++) {
        struct trial_record record;
        double until = i ? race->until : end;
        bool fits = study_spent(study) + seconds <= until;
        setting_set_number(&candidate, "learning_rate", race->rates[i], &study->arena);
        status = run_trial(study, &candidate, race->size, PURPOSE_RACE, fits, &record, err);
        if (status != OK || record.status != TRIAL_DONE)
            continue;
        seconds = record.trial_seconds.value;
        if (record.prequential_nll.known && record.prequential_nll.value < race->best) {
            race->best = record.prequential_nll.value;
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
        if (n >= least && pace_trial(study, setting, pace, size) <= allowed)
            chosen = size;
        if (n >= all)
            break;
    }
    if (last && all <= GROWTH * last && pace_trial(study, setting, pace, all) <= left)
        chosen = all;
    if (!last && !chosen && pace_trial(study, setting, pace, pace_least(study)) <= left)
        chosen = pace_least(study);
    return chosen;
}

/* Sizes an earlier run finished or began with this setting come first, so that nothing is repeated;
 * returns the next one above `last`, or 0. */
static size_t earlier_size(const struct setting *setting, const struct trials *trials, size_t last)
{
    struct text json = {0};
    size_t size = 0;
    setting_json(setting, &json);
    for (size_t i = 0; i < trials->count; i++) {
        const struct trial_key *key = &trials->items[i].key;
        size_t examples = (size_t)key->examples;
        if (!strcmp(key->technique, setting->technique->name) &&
            !strcmp(key->purpose, PURPOSE_RUNG) && !strcmp(key->setting, text_string(&json)) &&
            examples > last && (!size || examples < size))
            size = examples;
    }
    text_release(&json);
    return size;
}

/* Runs the size after `*last` and moves it on; 0 when there is none that fits. */
static enum status run_rung(struct study *study, const struct setting *setting, double left,
                            size_t *last, struct error *err)
{
    struct trials trials;
    struct trial_record record;
    enum status status = trials_read(study, &study->arena, &trials, err);
    if (status != OK)
        return status;
    struct pace pace = pace_of(study, setting->technique, &trials);
    size_t size = earlier_size(setting, &trials, *last);
    if (!size)
        size = next_size(study, setting, &pace, *last, left);
    *last = 0;
    if (!size)
        return OK;
    bool fits = pace_trial(study, setting, &pace, size) <= left;
    status = run_trial(study, setting, size, PURPOSE_RUNG, fits, &record, err);
    if (status == OK && record.status == TRIAL_DONE)
        *last = size;
    return status;
}

static enum status run_trained(struct study *study, const struct technique *technique, double left,
                               struct error *err)
{
    struct setting setting = setting_default(technique);
    struct race race;
    double until = study_spent(study) + left;
    enum status status = run_race(study, &setting, &race, left, err);
    size_t last = 0;
    if (status != OK || isinf(race.best))
        return status;
    do
        status = run_rung(study, &setting, until - study_spent(study), &last, err);
    while (status == OK && last);
    return status;
}

/* ---- The whole ------------------------------------------------------------------------------ */

/* Runs technique number `index`. What makes the prompt too long is tried again with half as many
 * worked examples. */
static enum status run_untrained(struct study *study, size_t index, struct error *err)
{
    const struct technique *technique = study_technique(study, index);
    struct setting setting = setting_default(technique);
    struct trials trials;
    double left, k = setting_has(&setting, "k") ? setting_number(&setting, "k") : 0;
    size_t train = study->split.train_count;
    enum status status = set_deadline(study, index, index + 1, &left, err);
    if (status == OK)
        status = trials_read(study, &study->arena, &trials, err);
    if (status != OK)
        return status;
    struct pace pace = pace_of(study, technique, &trials);
    bool fits =
        !(technique->needs & NEEDS_MODEL) || pace_trial(study, &setting, &pace, train) <= left;
    struct trial_record record;
    for (k = k > (double)train ? (double)train : k;; k = floor(k / 2)) {
        if (k >= 1)
            setting_set_number(&setting, "k", k, &study->arena);
        status = run_trial(study, &setting, train, PURPOSE_RUNG, fits, &record, err);
        if (status != OK || record.status != TRIAL_FAILED || k < 2)
            return status;
    }
}

static size_t count_trained(struct study *study, size_t from)
{
    size_t count = 0;
    const char *why;
    const struct technique *technique;
    for (size_t i = from; (technique = study_technique(study, i)); i++)
        count += technique->learning_rates && technique_fits(study, technique, &why);
    return count;
}

/* The time left is shared among the techniques that train. */
static enum status run_all_trained(struct study *study, struct error *err)
{
    const struct technique *technique;
    const char *why;
    enum status status = OK;
    for (size_t i = 0; status == OK && (technique = study_technique(study, i)); i++) {
        double left;
        if (!technique->learning_rates || !technique_fits(study, technique, &why))
            continue;
        status = set_deadline(study, i, SIZE_MAX, &left, err);
        if (status == OK && left > 0)
            status = run_trained(study, technique, left / (double)count_trained(study, i), err);
    }
    return status;
}

enum status allocate_run(struct study *study, struct error *err)
{
    const struct technique *technique;
    const char *why;
    enum status status = OK;
    if (!study->evaluator.dev_count || study_file_finished(study)) /* no time for one answer */
        return OK;
    for (size_t i = 0; status == OK && (technique = study_technique(study, i)); i++)
        if (!technique->learning_rates && technique_fits(study, technique, &why))
            status = run_untrained(study, i, err);
    return status == OK ? run_all_trained(study, err) : status;
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
    progress_update(study->progress, technique->name, "test", 0, 0, study_spent(study),
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
    struct trials trials;
    const struct technique *technique;
    enum status status = trials_read(study, &study->arena, &trials, err);
    study_set_deadline(study, study_left(study) - report_seconds);
    for (size_t i = 0; status == OK && (technique = study_technique(study, i)); i++) {
        const struct trial_record *best = best_trial(technique, trials.items, trials.count);
        if (!best || best->test_metric.known)
            continue;
        status = deadline_check(&study->deadline, err);
        if (status != OK)
            break;
        study->worked = true;
        status = test_one(study, technique, best, err);
    }
    return status == OUT_OF_TIME ? OK : status;
}
