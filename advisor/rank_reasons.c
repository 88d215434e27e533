/* SPDX-License-Identifier: Apache-2.0 */
#include "advisor/rank_reasons.h"

#include <math.h>
#include <string.h>

#include "advisor/plan.h"
#include "advisor/second_look.h"
#include "base/sentences.h"

static const struct candidate *baseline(const struct ranking *r)
{
    for (size_t i = 0; i < r->count; i++)
        if (technique_is_baseline(r->items[i].technique) && r->items[i].ranked)
            return &r->items[i];
    return NULL;
}

static void say_target(const struct ranking *r, const struct candidate *chosen,
                       struct sentences *reasons)
{
    const struct options *options = r->study->options;
    const struct candidate *floor = baseline(r);
    const char *metric = r->study->evaluator.metric->name;
    if (!options->target.known)
        return;
    if (chosen && chosen->meets_target)
        say(reasons,
            "It is the cheapest of those that reach the target of %.3g with a probability "
            "of at least %.3g.",
            options->target.value, options->confidence);
    else if (floor && floor->meets_target)
        say(reasons, "That reaches the target of %.3g already.", options->target.value);
    else
        say(reasons, "No technique reaches the target %s of %.3g with a probability of %.3g.",
            metric, options->target.value, options->confidence);
}

static void say_ties(const struct ranking *r, const struct candidate *chosen,
                     struct sentences *reasons)
{
    struct text names = {0};
    for (size_t i = 0; i < r->count; i++) {
        const struct candidate *c = &r->items[i];
        if (c != chosen && candidate_stands(c) && !technique_is_baseline(c->technique) &&
            choice_tie(&r->choice, c->place, chosen->place))
            text_printf(&names, "%s%s", names.length ? ", " : "", c->technique->name);
    }
    if (names.length)
        say(reasons, "On %zu development examples it cannot be told apart from: %s.",
            r->comparison.examples, text_string(&names));
    text_release(&names);
}

/* The candidate that is ahead of the chosen one on the examples, when priors decided against it;
 * NULL: they did not. */
static const struct candidate *outweighed(const struct ranking *r, const struct candidate *chosen)
{
    const struct candidate *leader = chosen;
    for (size_t i = 0; i < r->count; i++) {
        const struct candidate *c = &r->items[i];
        if (candidate_stands(c) && !technique_is_baseline(c->technique) &&
            c->metric.value > leader->metric.value)
            leader = c;
    }
    bool weighed = leader != chosen && !chosen->meets_target &&
                   choice_weighed(&r->choice, leader->place, chosen->place) > leader->metric.value;
    return weighed ? leader : NULL;
}

static void say_weighed(const struct ranking *r, const struct candidate *chosen,
                        struct sentences *reasons)
{
    const struct candidate *leader = outweighed(r, chosen);
    if (!leader)
        return;
    const struct contender *all = r->choice.contenders;
    double points = 100 * (all[chosen->place].prior - all[leader->place].prior);
    say(reasons,
        "%s is %.3f ahead of it on these examples, which chance explains; on the recorded tasks %s "
        "brought %.0f points more, which weighs more here.",
        leader->technique->name, leader->metric.value - chosen->metric.value,
        chosen->technique->name, points);
}

static void say_chosen(const struct ranking *r, const struct candidate *chosen,
                       struct sentences *reasons)
{
    const struct candidate *floor = baseline(r);
    const char *with = "";
    if (chosen->seeds.count > 1)
        with = arena_printf(reasons->arena, ", as the mean of %zu trainings with different seeds",
                            chosen->seeds.count);
    say(reasons, "%s reaches %s %.3f [%.3f, %.3f] on %zu development examples%s.",
        chosen->technique->name, r->study->evaluator.metric->name, chosen->metric.value,
        chosen->low.value, chosen->high.value, r->comparison.examples, with);
    say_target(r, chosen, reasons);
    say_ties(r, chosen, reasons);
    say_weighed(r, chosen, reasons);
    if (floor)
        say(reasons, "Always giving the most frequent answer reaches %.3f.", floor->metric.value);
}

/* The first technique besides the baselines that came this far, measured or not; NULL: none. */
static const struct candidate *first_with(const struct ranking *r, enum standing_status status,
                                          bool measured_too)
{
    for (size_t i = 0; i < r->count; i++) {
        const struct candidate *c = &r->items[i];
        if (!technique_is_baseline(c->technique) && c->status == status &&
            (c->best || !measured_too))
            return c;
    }
    return NULL;
}

static void say_nothing_chosen(const struct ranking *r, struct sentences *reasons)
{
    const struct candidate *floor = baseline(r), *waiting = first_with(r, STANDING_NOT_RUN, false);
    bool limited = first_with(r, STANDING_EXCLUDED, true);
    if (first_with(r, STANDING_MEASURED, true)) {
        say(reasons,
            "Nothing measured is better than always giving the most frequent answer%s, "
            "which reaches %s %.3f.",
            limited ? " and within the limits" : "", r->study->evaluator.metric->name,
            floor ? floor->metric.value : 0);
        say_target(r, NULL, reasons);
    } else if (limited) {
        say(reasons, "Every technique that was measured is beyond --max-memory or --max-latency.");
    } else if (waiting) {
        struct text budget = {0};
        pace_budget(rank_budget(r, (size_t)(waiting - r->items)), &budget);
        say(reasons,
            "The budget of %.3g s was too small to measure any technique; %s takes --budget %s.",
            r->study->options->budget_seconds, waiting->technique->name, text_string(&budget));
        text_release(&budget);
    } else {
        say(reasons, "No technique that was asked for can be compared on these data.");
    }
}

/* When techniques had no turn: with which budget all of them would. It is at least what the note of
 * each of them asks for. */
static enum status say_what_is_fair(struct ranking *r, struct sentences *reasons, struct error *err)
{
    struct measured fair;
    double least = 0;
    size_t waiting = 0;
    for (size_t i = 0; i < r->count; i++) {
        if (r->items[i].status != STANDING_NOT_RUN)
            continue;
        waiting++;
        least = fmax(least, rank_budget(r, i));
    }
    if (!waiting || !(r->study->seconds_per_answer > 0))
        return OK;
    enum status status = plan_fair_budget(r->study, study_cost(r->study), least, &fair, err);
    if (status != OK || !fair.known)
        return status;
    struct text budget = {0};
    pace_budget(fair.value, &budget);
    say(reasons,
        "%zu technique%s had no turn, so this is no fair answer yet; --budget %s is expected to "
        "be enough for one.",
        waiting, waiting == 1 ? "" : "s", text_string(&budget));
    text_release(&budget);
    return OK;
}

static enum outcome_status outcome_of(const struct candidate *chosen)
{
    if (!chosen)
        return OUTCOME_BEATS_NOTHING;
    return chosen->meets_target ? OUTCOME_MEETS_TARGET : OUTCOME_BEST_AVAILABLE;
}

enum status rank_reasons(struct ranking *r, const struct candidate *chosen, struct report *report,
                         struct error *err)
{
    struct arena *arena = &r->study->arena;
    struct sentences reasons = {.arena = arena};
    report->technique = chosen ? chosen->technique->name : NULL;
    report->outcome = outcome_of(chosen);
    enum status status = OK;
    if (chosen) {
        say_chosen(r, chosen, &reasons);
        status = second_look(r, chosen, &reasons, err);
    } else {
        say_nothing_chosen(r, &reasons);
    }
    if (status == OK)
        status = say_what_is_fair(r, &reasons, err);
    report->reasons = reasons.items;
    report->reason_count = reasons.count;
    return status;
}
