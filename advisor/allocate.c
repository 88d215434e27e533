/* SPDX-License-Identifier: Apache-2.0 */
#include "advisor/allocate.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "advisor/memory_limit.h"
#include "advisor/pace.h"
#include "advisor/run_trial.h"
#include "advisor/study_file.h"
#include "advisor/view.h"
#include "evaluators/statistics.h"
#include "techniques/trainer.h"

const struct technique *study_technique(const struct study *study, size_t index)
{
    const struct options *options = study->options;
    if (!options->techniques)
        return technique_at(index);
    return index < options->technique_count ? options->techniques[index] : NULL;
}

size_t study_technique_count(const struct study *study)
{
    size_t count = 0;
    while (study_technique(study, count))
        count++;
    return count;
}

bool technique_fits(struct study *study, const struct technique *technique, const char **why)
{
    struct text text = {0};
    size_t train = study->split.train_count;
    const char *rule = study_excludes(study, technique);
    if (rule) {
        *why = rule;
        return false;
    }
    if (technique->needs & NEEDS_LABELS && !study->data.label_count)
        text_printf(&text, "needs labels, but the task is %s", task_name(study->data.task));
    else if (technique->needs & NEEDS_RATIONALE && !study->data.rationale_count)
        text_add(&text, "needs worked solutions, and the data have no rationale column");
    else if (train < (size_t)technique->minimum_examples)
        text_printf(&text, "needs at least %d training examples, and there are %zu",
                    technique->minimum_examples, train);
    bool fits = !text.length;
    *why = arena_strdup(&study->arena, text_string(&text));
    text_release(&text);
    const struct setting usual = setting_default(technique);
    return fits && memory_fits(study, &usual, train, why);
}

/* ---- The best trial -------------------------------------------------------------------------- */

static bool differs_in_seed_alone(const struct trial_record *a, const struct trial_record *b)
{
    return a->status == TRIAL_DONE && a->metric.known && a->key.examples == b->key.examples &&
           !strcmp(a->key.technique, b->key.technique) && !strcmp(a->key.setting, b->key.setting);
}

struct seeds trial_seeds(const struct trial_record *trial, const struct trial_record *trials,
                         size_t count, struct arena *arena)
{
    struct seeds seeds = {.trials = arena_alloc(arena, (count + 1) * sizeof *seeds.trials)};
    for (size_t i = 0; i < count; i++)
        if (differs_in_seed_alone(&trials[i], trial))
            seeds.trials[seeds.count++] = &trials[i];
    return seeds;
}

/* The mean metric over the seeds of a trial; NAN unless it is the first of them. */
static double mean_of_first(const struct trial_record *trial, const struct trial_record *trials,
                            size_t count)
{
    double sum = 0, seeds = 0;
    for (size_t i = 0; i < count; i++) {
        if (!differs_in_seed_alone(&trials[i], trial))
            continue;
        if (!(seeds > 0) && &trials[i] != trial)
            return (double)NAN;
        sum += trials[i].metric.value;
        seeds++;
    }
    return sum / seeds;
}

/* `examples` < 0: any number of them. */
static const struct trial_record *find_best(const struct technique *technique, int64_t examples,
                                            const struct trial_record *trials, size_t count)
{
    const struct trial_record *best = NULL;
    double best_mean = 0;
    for (size_t i = 0; i < count; i++) {
        const struct trial_record *t = &trials[i];
        if (strcmp(t->key.technique, technique->name) != 0 || t->status != TRIAL_DONE ||
            !t->metric.known || (examples >= 0 && t->key.examples != examples))
            continue;
        double mean = mean_of_first(t, trials, count);
        bool tie = best && !(mean < best_mean) && !(mean > best_mean);
        if (!isnan(mean) &&
            (!best || mean > best_mean || (tie && t->key.examples > best->key.examples))) {
            best = t;
            best_mean = mean;
        }
    }
    return best;
}

/* The most examples below `below` with which the technique has a result; 0 when there is none. */
static int64_t next_size(const struct technique *technique, int64_t below,
                         const struct trial_record *trials, size_t count)
{
    int64_t size = 0;
    for (size_t i = 0; i < count; i++)
        if (!strcmp(trials[i].key.technique, technique->name) && trials[i].status == TRIAL_DONE &&
            trials[i].metric.known && trials[i].key.examples < below &&
            trials[i].key.examples > size)
            size = trials[i].key.examples;
    return size;
}

const struct trial_record *best_trial(const struct technique *technique,
                                      const struct trial_record *trials, size_t count)
{
    const struct trial_record *best = find_best(technique, -1, trials, count);
    double best_mean = best ? mean_of_first(best, trials, count) : 0;
    int64_t size = best ? next_size(technique, INT64_MAX, trials, count) : 0;
    for (; best && size > best->key.examples; size = next_size(technique, size, trials, count)) {
        const struct trial_record *larger = find_best(technique, size, trials, count);
        double mean = larger ? mean_of_first(larger, trials, count) : (double)NAN;
        if (best_mean - mean <= share_by_chance(best_mean, mean, (double)best->dev_predictions))
            return larger;
    }
    return best;
}

const struct trial_record *best_trial_at(const struct technique *technique, int64_t examples,
                                         const struct trial_record *trials, size_t count)
{
    return find_best(technique, examples, trials, count);
}

/* ---- Running it ----------------------------------------------------------------------------- */

/* Runs what was chosen. */
static enum status run_action(struct study *study, const struct view *view,
                              const struct policy_action *action, bool *settled, struct error *err)
{
    struct setting setting = view_setting(view, action);
    struct trial_record record;
    enum status status =
        run_trial(study, &setting, action->examples, study_seed(study, action->seed), PURPOSE_RUNG,
                  true, &record, err);
    *settled = trial_is_settled(record.status);
    return status;
}

enum status allocate_run(struct study *study, struct error *err)
{
    enum status status = OK;
    bool settled = true;
    if (!study->evaluator.dev_count || study_file_finished(study)) /* no time for one answer */
        return OK;
    while (status == OK && settled) {
        struct arena arena;
        struct view view;
        struct policy_action action;
        arena_init(&arena, NULL);
        status = view_make(study, &arena, &view, err);
        study_set_deadline(study, view.policy.left);
        settled = status == OK && policy_next(&view.policy, &action);
        if (settled)
            status = run_action(study, &view, &action, &settled, err);
        arena_release(&arena);
    }
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
    progress_update(study->progress, technique->name, "test", 0, 0, study_spent(study),
                    study->options->budget_seconds);
    enum status status = setting_parse(technique, best->key.setting, &setting, &arena, err);
    if (status == OK)
        status = trial_artifact_load(study->store, best->id, &arena, &artifact, &length, err);
    if (status == OK)
        status = memory_settle(study, &setting, (size_t)best->key.examples, err);
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

/* The next trial to test, those with the best metric first: the leaders get their turn even when
 * time is short. NULL when all are tested. */
static const struct trial_record *next_to_test(const struct study *study,
                                               const struct trials *trials, const bool *tested,
                                               size_t *index)
{
    const struct technique *technique;
    const struct trial_record *next = NULL;
    for (size_t i = 0; (technique = study_technique(study, i)); i++) {
        const struct trial_record *best = best_trial(technique, trials->items, trials->count);
        if (!best || best->test_metric.known || tested[i])
            continue;
        if (!next || best->metric.value > next->metric.value) {
            next = best;
            *index = i;
        }
    }
    return next;
}

enum status allocate_test(struct study *study, struct error *err)
{
    struct trials trials;
    const struct trial_record *trial;
    size_t index, count = study_technique_count(study);
    enum status status = trials_read(study, &study->arena, &trials, err);
    bool *tested = arena_zalloc(&study->arena, (count + 1) * sizeof *tested);
    study_set_deadline(study, study_left(study) - view_report_seconds());
    while (status == OK && (trial = next_to_test(study, &trials, tested, &index))) {
        tested[index] = true;
        status = deadline_check(&study->deadline, err);
        if (status != OK)
            break;
        study->worked = true;
        status = test_one(study, study_technique(study, index), trial, err);
    }
    return status == OUT_OF_TIME ? OK : status;
}
