/* SPDX-License-Identifier: Apache-2.0 */
#include "advisor/view.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "advisor/allocate.h"

enum {
    MOST_RATES = 8,
    TESTED = 3 /* techniques whose test answers are kept free */
};

/* Of the budget, for the test answers of one that is not the best. */
static const double test_share = 0.05;

/* Seconds kept for the ranking and the report. */
static const double report_seconds = 0.3;

double view_report_seconds(void)
{
    return report_seconds;
}

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

void view_add(struct view *view, struct arm_trial trial)
{
    size_t count = view->policy.trial_count;
    if (count == view->room) {
        view->room = count ? 2 * count : 64;
        struct arm_trial *larger = arena_alloc(view->arena, view->room * sizeof *larger);
        if (count)
            memcpy(larger, view->played, count * sizeof *larger);
        view->policy.trials = view->played = larger;
    }
    view->played[view->policy.trial_count++] = trial;
}

/* Adds a trial of the study, unless it is none of the policy's or not settled. */
static void view_trial(struct view *view, const struct trial_record *t)
{
    const struct technique *technique;
    size_t arm = 0, rate;
    while ((technique = study_technique(view->study, arm)) &&
           strcmp(technique->name, t->key.technique) != 0)
        arm++;
    if (!technique || !trial_is_settled(t->status) ||
        !rate_of(technique, &view->policy.arms[arm], t, &rate, view->arena))
        return;
    view_add(view,
             (struct arm_trial){.arm = arm,
                                .rate = rate,
                                .examples = (size_t)t->key.examples,
                                .seed = study_replicate(view->study, t->key.seed),
                                .done = t->status == TRIAL_DONE && t->metric.known,
                                .metric = or_nan(t->metric),
                                .nll = or_nan(t->nll),
                                .seconds = t->trial_seconds.known ? t->trial_seconds.value : 0});
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

struct setting view_setting(const struct view *view, const struct policy_action *action)
{
    struct setting setting = setting_default(study_technique(view->study, action->arm));
    const struct arm *arm = &view->policy.arms[action->arm];
    if (arm->trained)
        setting_set_number(&setting, "learning_rate", arm->rates[action->rate], view->arena);
    if (action->epochs)
        setting_set_number(&setting, "num_epochs", action->epochs, view->arena);
    return setting;
}

/* ---- The end -------------------------------------------------------------------------------- */

/* The best metric of an arm; -infinity when it has none. */
static double best_metric(const struct policy_view *policy, size_t arm)
{
    double best = -INFINITY;
    for (size_t i = 0; i < policy->trial_count; i++) {
        const struct arm_trial *t = &policy->trials[i];
        if (t->arm == arm && t->done && t->metric > best)
            best = t->metric;
    }
    return best;
}

double view_test_reserve(const struct view *view, double budget)
{
    double metrics[TESTED] = {-INFINITY, -INFINITY, -INFINITY}, seconds[TESTED] = {0}, reserve = 0;
    for (size_t i = 0; i < view->policy.arm_count; i++) {
        double best = best_metric(&view->policy, i);
        size_t place = 0;
        while (place < TESTED && metrics[place] >= best)
            place++;
        if (isinf(best) || place == TESTED)
            continue;
        for (size_t k = TESTED - 1; k > place; k--) {
            metrics[k] = metrics[k - 1];
            seconds[k] = seconds[k - 1];
        }
        metrics[place] = best;
        bool asks = study_technique(view->study, i)->needs & NEEDS_MODEL;
        seconds[place] = view->tested[i] || !asks ? 0 : pace_test(view->study, &view->paces[i]);
    }
    struct pace bare = {.answer = view->study->seconds_per_answer};
    for (size_t k = 0; k < TESTED && !isinf(metrics[k]); k++)
        if (!k || seconds[k] <= test_share * budget)
            reserve += seconds[k];
    if (isinf(metrics[TESTED - 1])) /* for one to come */
        reserve += pace_test(view->study, &bare);
    return reserve;
}

/* ---- The whole ------------------------------------------------------------------------------ */

static void view_arms(struct view *view)
{
    struct study *study = view->study;
    const struct technique *technique;
    const char *why;
    size_t count = study_technique_count(study);
    struct arm *arms = arena_zalloc(view->arena, (count + 1) * sizeof *arms);
    view->paces = arena_zalloc(view->arena, (count + 1) * sizeof *view->paces);
    view->tested = arena_zalloc(view->arena, (count + 1) * sizeof *view->tested);
    for (size_t i = 0; (technique = study_technique(study, i)); i++) {
        const struct trial_record *best =
            best_trial(technique, view->trials.items, view->trials.count);
        read_rates(technique, &arms[i], view->arena);
        view->paces[i] = pace_of(study, technique, &view->trials);
        view->tested[i] = best && best->test_metric.known;
        arms[i].prior = technique->prior + study_prior(study, technique);
        arms[i].least = (size_t)technique->minimum_examples;
        if (!technique_fits(study, technique, &why))
            arms[i].least = SIZE_MAX;
    }
    view->policy.arms = arms;
    view->policy.arm_count = count;
}

enum status view_make(struct study *study, struct arena *arena, struct view *view,
                      struct error *err)
{
    *view = (struct view){.study = study, .arena = arena};
    view->policy = (struct policy_view){.examples = study->split.train_count,
                                        .answers = study->evaluator.dev_count,
                                        .seconds = expected_seconds,
                                        .context = view};
    enum status status = trials_read(study, arena, &view->trials, err);
    if (status != OK)
        return status;
    view_arms(view);
    for (size_t i = 0; i < view->trials.count; i++)
        view_trial(view, &view->trials.items[i]);
    double budget = study->options->budget_seconds;
    view->policy.left = study_left(study) - report_seconds - view_test_reserve(view, budget);
    return OK;
}
