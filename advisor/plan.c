/* SPDX-License-Identifier: Apache-2.0 */
#include "advisor/plan.h"

#include <math.h>
#include <stdint.h>

#include "advisor/allocate.h"
#include "advisor/view.h"

/* A budget that is suggested is this much more than what is expected to be enough. */
static const double margin = 1.2;

static const double longest_budget = 172800;

/* ---- Playing forward ------------------------------------------------------------------------ */

/* A study played forward. */
struct play {
    struct view view;
    double budget, used; /* seconds; used at the beginning and since */
};

/* A result that follows the priors: close together, and no surprises. */
static double supposed_metric(const struct view *view, const struct policy_action *action)
{
    const struct arm *arm = &view->policy.arms[action->arm];
    double off = fabs((double)action->rate - (double)arm->usual_rate);
    double points = fmin(fmax(arm->prior, -100), 100);
    return 0.5 + 1e-3 * points - 1e-5 * off + 1e-6 * log((double)action->examples + 1);
}

static double expected_seconds(const struct view *view, const struct policy_action *action)
{
    struct setting setting = view_setting(view, action);
    if (!(setting.technique->needs & NEEDS_MODEL))
        return 0;
    return pace_expected(view->study, &setting, &view->paces[action->arm], action->examples);
}

/* Plays one trial; false when there is none left that fits. */
static bool play_on(struct play *play, struct policy_action *action, double *seconds)
{
    struct view *view = &play->view;
    view->policy.left =
        play->budget - play->used - view_report_seconds() - view_test_reserve(view, play->budget);
    if (!policy_next(&view->policy, action))
        return false;
    *seconds = expected_seconds(view, action);
    play->used += *seconds;
    view_add(view, (struct arm_trial){.arm = action->arm,
                                      .rate = action->rate,
                                      .examples = action->examples,
                                      .seed = action->seed,
                                      .done = true,
                                      .metric = supposed_metric(view, action),
                                      .seconds = *seconds});
    return true;
}

static enum status play_begin(struct study *study, double spent, double budget, struct arena *arena,
                              struct play *play, struct error *err)
{
    enum status status = view_make(study, arena, &play->view, err);
    play->budget = budget;
    play->used = spent;
    return status;
}

/* ---- A fair answer -------------------------------------------------------------------------- */

static bool is_possible(const struct policy_view *policy, size_t arm)
{
    return policy->arms[arm].least != SIZE_MAX;
}

/* Whether each arm that can work has had its turn, if only to fail, and one that trains all
 * examples. */
static bool is_fair(const struct policy_view *policy)
{
    bool trains = false, whole = false;
    for (size_t arm = 0; arm < policy->arm_count; arm++) {
        bool tried = false;
        for (size_t i = 0; i < policy->trial_count; i++) {
            const struct arm_trial *t = &policy->trials[i];
            tried |= t->arm == arm;
            whole |= policy->arms[t->arm].trained && t->examples >= policy->examples;
        }
        trains |= is_possible(policy, arm) && policy->arms[arm].trained;
        if (is_possible(policy, arm) && !tried)
            return false;
    }
    return whole || !trains;
}

/* Whether a study with this budget is expected to come to a fair answer. */
static enum status would_be_fair(struct study *study, double spent, double budget, bool *fair,
                                 struct error *err)
{
    struct arena arena;
    struct play play;
    struct policy_action action;
    double seconds;
    arena_init(&arena, NULL);
    enum status status = play_begin(study, spent, budget, &arena, &play, err);
    while (status == OK && !is_fair(&play.view.policy) && play_on(&play, &action, &seconds))
        ;
    *fair = status == OK && is_fair(&play.view.policy);
    arena_release(&arena);
    return status;
}

enum status plan_fair_budget(struct study *study, double spent, double least,
                             struct measured *budget, struct error *err)
{
    size_t dev = study->evaluator.dev_count, test = study->evaluator.test_count;
    bool fair = false, sized = study->store && dev; /* otherwise the budget decides the sizes */
    enum status status = OK;
    *budget = (struct measured){0};
    if (!(study->seconds_per_answer > 0))
        return OK;
    for (double b = pace_round(least); b <= longest_budget && status == OK && !fair;
         b = pace_round(b + 1)) {
        if (!sized)
            study_decide_sides(study, b);
        status = would_be_fair(study, spent, b / margin, &fair, err);
        if (fair)
            *budget = measured(b);
    }
    study->evaluator.dev_count = dev;
    study->evaluator.test_count = test;
    return status;
}

/* ---- The plan ------------------------------------------------------------------------------- */

static double seconds_of(const struct view *view, size_t arm, size_t examples, int epochs)
{
    return expected_seconds(
        view, &(struct policy_action){.arm = arm, .examples = examples, .epochs = epochs});
}

/* The peak of its trials, else what arithmetic says. */
static void plan_memory(const struct study *study, const struct view *view,
                        struct planned_technique *out)
{
    const struct trials *trials = &view->trials;
    const struct trial_record *best = best_trial(out->technique, trials->items, trials->count);
    const struct judgement *judgement = judgement_find(&study->judgements, out->technique);
    out->memory_measured = best && best->peak_memory_bytes.known;
    if (out->memory_measured)
        out->memory_bytes = best->peak_memory_bytes;
    else if (judgement && out->technique->needs & NEEDS_MODEL)
        out->memory_bytes = measured(judgement->estimate.memory_bytes);
}

static void plan_technique(struct study *study, const struct view *view, size_t arm,
                           struct planned_technique *out)
{
    size_t all = study->split.train_count;
    const char *why = NULL;
    out->technique = study_technique(study, arm);
    out->why_not = technique_fits(study, out->technique, &why) ? NULL : why;
    out->prior = view->policy.arms[arm].prior;
    out->all = all;
    out->first = view->policy.arms[arm].trained ? policy_first_rung(all) : all;
    if (study->seconds_per_answer > 0 && !out->why_not) {
        int passes = view->policy.arms[arm].trained ? policy_first_passes(all) : 0;
        out->first_seconds = measured(seconds_of(view, arm, out->first, passes));
        out->all_seconds = measured(seconds_of(view, arm, out->all, 0));
    }
    plan_memory(study, view, out);
    for (size_t i = 0; i < view->policy.trial_count; i++)
        out->done += view->policy.trials[i].arm == arm;
}

static struct planned_trial planned_trial_of(const struct play *play,
                                             const struct policy_action *action, double seconds)
{
    const struct arm *arm = &play->view.policy.arms[action->arm];
    return (struct planned_trial){.technique = study_technique(play->view.study, action->arm),
                                  .rate = arm->trained ? arm->rates[action->rate] : (double)NAN,
                                  .examples = action->examples,
                                  .seed = action->seed,
                                  .epochs = action->epochs,
                                  .seconds = seconds,
                                  .until = play->used};
}

static void plan_trials(struct study *study, struct play *play,
                        struct planned_technique *techniques, struct plan *plan)
{
    struct planned_trial *trials = NULL;
    struct policy_action action;
    double seconds;
    size_t room = 0;
    while (play_on(play, &action, &seconds)) {
        if (plan->trial_count == room) {
            room = room ? 2 * room : 64;
            struct planned_trial *larger = arena_alloc(&study->arena, room * sizeof *larger);
            for (size_t i = 0; i < plan->trial_count; i++)
                larger[i] = trials[i];
            trials = larger;
        }
        trials[plan->trial_count++] = planned_trial_of(play, &action, seconds);
        techniques[action.arm].planned++;
    }
    plan->trials = trials;
    plan->fair = is_fair(&play->view.policy);
    plan->test_seconds = view_test_reserve(&play->view, play->budget);
}

enum status plan_make(struct study *study, struct plan *plan, struct error *err)
{
    struct play play;
    double spent = study_spent(study), budget = study->options->budget_seconds;
    enum status status = play_begin(study, spent, budget, &study->arena, &play, err);
    *plan = (struct plan){.spent = spent,
                          .memory = study->memory_limit,
                          .speed_known = study->seconds_per_answer > 0,
                          .speed_stored = study_is_sized(study)};
    if (status != OK)
        return status;
    size_t count = study_technique_count(study);
    struct planned_technique *techniques =
        arena_zalloc(&study->arena, (count + 1) * sizeof *techniques);
    for (size_t i = 0; i < count; i++)
        plan_technique(study, &play.view, i, &techniques[i]);
    plan->techniques = techniques;
    plan->technique_count = count;
    plan->done = play.view.policy.trial_count;
    if (!plan->speed_known)
        return OK;
    plan_trials(study, &play, techniques, plan);
    return plan->fair ? OK : plan_fair_budget(study, spent, budget, &plan->fair_budget, err);
}
