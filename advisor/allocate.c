/* SPDX-License-Identifier: Apache-2.0 */
#include "advisor/allocate.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "advisor/memory_limit.h"
#include "advisor/pace.h"
#include "advisor/policy.h"
#include "advisor/run_trial.h"
#include "advisor/study_file.h"
#include "techniques/trainer.h"

enum { TESTED = 3 }; /* techniques whose test answers are kept free */

/* Of the budget, for the test answers of one that is not the best. */
static const double test_share = 0.05;

/* Seconds kept for the ranking and the report. */
static const double report_seconds = 0.3;

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
    char text[256] = "";
    size_t train = study->split.train_count;
    const char *rule = study_excludes(study, technique);
    if (rule) {
        *why = rule;
        return false;
    }
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
    const struct setting usual = setting_default(technique);
    return !*text && memory_fits(study, &usual, train, why);
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

/* ---- What the policy sees ------------------------------------------------------------------- */

enum { MOST_RATES = 8 };

/* The study as the policy sees it. */
struct view {
    struct study *study;
    struct arena *arena; /* of everything below */
    struct trials trials;
    struct pace *paces; /* (arm_count) */
    struct policy_view policy;
};

static void read_rates(const struct technique *technique, struct arm *arm, struct arena *arena)
{
    double *rates = arena_alloc(arena, MOST_RATES * sizeof *rates);
    const char *at = technique->learning_rates;
    arm->rates = rates;
    arm->trained = at;
    for (; at && arm->rate_count < MOST_RATES; arm->rate_count++) {
        char *end;
        rates[arm->rate_count] = strtod(at, &end);
        at = *end == ',' ? end + 1 : NULL;
    }
    arm->usual_rate = arm->rate_count / 2;
}

/* The index of a trial's learning rate among those of its arm; false when it is another one. */
static bool rate_of(const struct technique *technique, const struct arm *arm,
                    const struct trial_record *trial, size_t *rate, struct arena *arena)
{
    struct setting setting;
    *rate = 0;
    if (!arm->trained)
        return true;
    if (setting_parse(technique, trial->key.setting, &setting, arena, NULL) != OK)
        return false;
    double value = setting_number(&setting, "learning_rate");
    while (*rate < arm->rate_count && fabs(arm->rates[*rate] - value) > 1e-9 * value)
        ++*rate;
    return *rate < arm->rate_count;
}

static double or_nan(struct measured value)
{
    return value.known ? value.value : (double)NAN;
}

static void view_trials(struct view *view, struct arm_trial *out, struct arena *arena)
{
    const struct technique *technique;
    for (size_t i = 0; i < view->trials.count; i++) {
        const struct trial_record *t = &view->trials.items[i];
        size_t arm = 0, rate;
        while ((technique = study_technique(view->study, arm)) &&
               strcmp(technique->name, t->key.technique) != 0)
            arm++;
        if (!technique || !trial_is_settled(t->status) ||
            !rate_of(technique, &view->policy.arms[arm], t, &rate, arena))
            continue;
        out[view->policy.trial_count++] =
            (struct arm_trial){.arm = arm,
                               .rate = rate,
                               .examples = (size_t)t->key.examples,
                               .done = t->status == TRIAL_DONE && t->metric.known,
                               .metric = or_nan(t->metric),
                               .nll = or_nan(t->nll),
                               .seconds = t->trial_seconds.known ? t->trial_seconds.value : 0};
    }
}

static double expected_seconds(const void *context, size_t index, size_t examples, int epochs)
{
    const struct view *view = context;
    struct setting setting = setting_default(study_technique(view->study, index));
    if (!(setting.technique->needs & NEEDS_MODEL))
        return 0;
    if (epochs)
        setting_set_number(&setting, "num_epochs", epochs, view->arena);
    return pace_trial(view->study, &setting, &view->paces[index], examples);
}

/* Seconds the end needs: the test answers of those in the lead. One that answers slowly is tested
 * if there is time left, unless it is the best. */
static double test_reserve(const struct view *view)
{
    double metrics[TESTED] = {-INFINITY, -INFINITY, -INFINITY}, seconds[TESTED] = {0}, reserve = 0;
    const double slow = test_share * view->study->options->budget_seconds;
    for (size_t i = 0; i < view->policy.arm_count; i++) {
        const struct trial_record *best =
            best_trial(study_technique(view->study, i), view->trials.items, view->trials.count);
        size_t place = 0;
        while (best && place < TESTED && metrics[place] >= best->metric.value)
            place++;
        if (!best || place == TESTED)
            continue;
        for (size_t k = TESTED - 1; k > place; k--) {
            metrics[k] = metrics[k - 1];
            seconds[k] = seconds[k - 1];
        }
        metrics[place] = best->metric.value;
        bool free_of_cost =
            best->test_metric.known || !(study_technique(view->study, i)->needs & NEEDS_MODEL);
        seconds[place] = free_of_cost ? 0 : pace_test(view->study, &view->paces[i]);
    }
    struct pace bare = {.answer = view->study->seconds_per_answer};
    for (size_t k = 0; k < TESTED && !isinf(metrics[k]); k++)
        if (!k || seconds[k] <= slow)
            reserve += seconds[k];
    if (isinf(metrics[TESTED - 1])) /* for one to come */
        reserve += pace_test(view->study, &bare);
    return reserve;
}

static enum status look(struct study *study, struct arena *arena, struct view *view,
                        struct error *err)
{
    const struct technique *technique;
    const char *why;
    size_t count = study_technique_count(study);
    *view = (struct view){.study = study, .arena = arena};
    enum status status = trials_read(study, arena, &view->trials, err);
    struct arm *arms = arena_zalloc(arena, (count + 1) * sizeof *arms);
    view->paces = arena_zalloc(arena, (count + 1) * sizeof *view->paces);
    for (size_t i = 0; (technique = study_technique(study, i)); i++) {
        read_rates(technique, &arms[i], arena);
        view->paces[i] = pace_of(study, technique, &view->trials);
        arms[i].prior = technique->prior + study_prior(study, technique);
        arms[i].least = (size_t)technique->minimum_examples;
        if (!technique_fits(study, technique, &why))
            arms[i].least = SIZE_MAX;
    }
    struct arm_trial *trials = arena_alloc(arena, (view->trials.count + 1) * sizeof *trials);
    view->policy = (struct policy_view){.arms = arms,
                                        .arm_count = count,
                                        .trials = trials,
                                        .examples = study->split.train_count,
                                        .seconds = expected_seconds};
    view_trials(view, trials, arena);
    view->policy.left = study_left(study) - report_seconds - test_reserve(view);
    return status;
}

/* ---- Running it ----------------------------------------------------------------------------- */

/* Runs what was chosen. */
static enum status run_action(struct study *study, const struct view *view,
                              const struct policy_action *action, bool *settled, struct error *err)
{
    const struct technique *technique = study_technique(study, action->arm);
    const struct arm *arm = &view->policy.arms[action->arm];
    struct setting setting = setting_default(technique);
    struct trial_record record;
    if (arm->trained)
        setting_set_number(&setting, "learning_rate", arm->rates[action->rate], &study->arena);
    if (action->epochs)
        setting_set_number(&setting, "num_epochs", action->epochs, &study->arena);
    enum status status =
        run_trial(study, &setting, action->examples, PURPOSE_RUNG, true, &record, err);
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
        status = look(study, &arena, &view, err);
        view.policy.context = &view;
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
    study_set_deadline(study, study_left(study) - report_seconds);
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
