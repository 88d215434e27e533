/* SPDX-License-Identifier: Apache-2.0 */
#include "advisor/rank.h"

#include <string.h>

#include "advisor/contest.h"
#include "advisor/giving_up.h"
#include "advisor/outlook.h"
#include "advisor/rank_facts.h"
#include "advisor/rank_reasons.h"

/* ---- Comparing ------------------------------------------------------------------------------ */

static bool tie(const struct ranking *r, const struct candidate *a, const struct candidate *b)
{
    return choice_tie(&r->choice, a->place, b->place);
}

/* Probabilities of being best and of meeting the target, from joint resamples of the examples. */
static void compare(struct ranking *r)
{
    const struct options *options = r->study->options;
    struct arena *arena = &r->study->arena;
    double target = options->target.known ? options->target.value : 1;
    r->standings = arena_zalloc(arena, r->ranked * sizeof *r->standings + 1);
    compare_all(&r->comparison, r->answers, r->ranked, target, arena, r->standings);
    r->p = compare_pairs(&r->comparison, r->answers, r->ranked, arena);
    for (size_t i = 0; i < r->count; i++) {
        struct candidate *c = &r->items[i];
        c->meets_target = c->ranked && options->target.known &&
                          r->standings[c->place].probability_target >= options->confidence &&
                          c->metric.value >= options->target.value;
    }
}

/* Gives up what stopped early and had lost by then, unless it meets the target all the same. */
static enum status give_up(struct ranking *r, struct error *err)
{
    const char **notes = arena_zalloc(&r->study->arena, r->count * sizeof *notes + 1);
    enum status status = giving_up_notes(r->study, &r->trials, notes, err);
    for (size_t i = 0; status == OK && i < r->count; i++) {
        struct candidate *c = &r->items[i];
        if (!notes[i] || !c->ranked || c->meets_target)
            continue;
        c->status = STANDING_ELIMINATED;
        c->note = notes[i];
    }
    return status;
}

/* ---- Ordering ------------------------------------------------------------------------------- */

/* Priors are in points of right answers: they say something of metrics on that scale. */
static double variance_beside_priors(const struct ranking *r, const struct candidate *c)
{
    const struct metric *metric = r->study->evaluator.metric;
    if (strcmp(metric->unit, "share") != 0 || !metric->higher_is_better)
        return 0;
    return interval_variance((struct interval){c->low.value, c->high.value});
}

static struct contender contender_of(const struct ranking *r, const struct candidate *c)
{
    const struct technique *technique = c->technique;
    double points = technique->prior + study_prior(r->study, technique);
    return (struct contender){.metric = c->metric.value,
                              .variance = variance_beside_priors(r, c),
                              .prior = points / 100,
                              .tokens = c->tokens,
                              .trained = technique->learning_rates || technique->fit,
                              .baseline = technique_is_baseline(technique),
                              .stands = candidate_stands(c),
                              .meets_target = c->meets_target};
}

/* The one to recommend, or NULL. */
static const struct candidate *choose(struct ranking *r)
{
    struct contender *contenders =
        arena_alloc(&r->study->arena, r->ranked * sizeof *contenders + 1);
    r->choice = (struct choice){contenders, r->ranked, r->p};
    for (size_t i = 0; i < r->count; i++)
        if (r->items[i].ranked)
            contenders[r->items[i].place] = contender_of(r, &r->items[i]);
    size_t chosen = choice_make(&r->choice);
    for (size_t i = 0; i < r->count; i++)
        if (r->items[i].ranked && r->items[i].place == chosen)
            return &r->items[i];
    return NULL;
}

/* Larger comes first. */
static double place(const struct candidate *c, const struct candidate *chosen)
{
    if (c == chosen)
        return 100;
    if (!c->ranked)
        return c->status == STANDING_NOT_RUN ? -101 : -102;
    return c->metric.value - (candidate_stands(c) ? 0 : 50);
}

/* Insertion sort: few items, and equal ones must keep the order of the registry. */
static size_t *order_of(const struct ranking *r, const struct candidate *chosen)
{
    size_t *order = arena_alloc(&r->study->arena, r->count * sizeof *order + 1);
    for (size_t i = 0; i < r->count; i++) {
        size_t at = i;
        for (; at && place(&r->items[order[at - 1]], chosen) < place(&r->items[i], chosen); at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
    return order;
}

/* ---- Into the report ------------------------------------------------------------------------ */

static void fill_ties(const struct ranking *r, const struct candidate *c, struct ranked *out)
{
    const char **names = arena_alloc(&r->study->arena, r->count * sizeof *names + 1);
    for (size_t i = 0; i < r->count; i++) {
        const struct candidate *other = &r->items[i];
        if (other != c && candidate_stands(c) && candidate_stands(other) && tie(r, c, other))
            names[out->tied_count++] = other->technique->name;
    }
    out->tied_with = names;
}

static struct ranked fill_row(const struct ranking *r, const struct candidate *c, int rank)
{
    struct ranked out = {.rank = rank,
                         .technique = c->technique->name,
                         .family = c->technique->family,
                         .status = c->status,
                         .note = c->note,
                         .setting = "{}"};
    const struct trial_record *t = c->best;
    if (!t)
        return out;
    out.setting = t->key.setting;
    out.examples = t->key.examples;
    out.seeds = c->seeds.count;
    out.metric = c->metric;
    out.low = c->low;
    out.high = c->high;
    out.test_metric = t->test_metric;
    out.metrics = t->metrics;
    out.forgetting = t->forgetting;
    out.trial_seconds = t->trial_seconds;
    out.train_seconds = t->train_seconds;
    out.tokens_per_request = t->tokens_per_request;
    out.latency_ms = t->latency_ms;
    out.trainable_parameters = t->trainable_parameters;
    out.peak_memory_bytes = t->peak_memory_bytes;
    out.artifact_bytes = t->artifact_bytes;
    if (!c->ranked)
        return out;
    const struct standing *standing = &r->standings[c->place];
    if (t->tokens_per_request.known)
        out.training_tokens = measured(c->training);
    out.probability_best = measured(standing->probability_best);
    if (r->study->options->target.known)
        out.probability_meets_target = measured(standing->probability_target);
    fill_ties(r, c, &out);
    return out;
}

/* ---- Rules, and what became of them --------------------------------------------------------- */

static enum status make_contest(struct ranking *r, struct contest *contest, struct error *err)
{
    bool *takes_part = arena_zalloc(&r->study->arena, r->count * sizeof *takes_part + 1);
    for (size_t i = 0; i < r->count; i++)
        takes_part[i] = r->items[i].ranked;
    return contest_make(r->study, &r->trials, &r->comparison, takes_part, contest, err);
}

/* The reasons of technique number `which`. */
static void give_reasons(const struct ranking *r, size_t which, const struct contest *contest,
                         struct ranked *out)
{
    const struct judgements *judgements = &r->study->judgements;
    struct arena *arena = &r->study->arena;
    if (which >= judgements->count)
        return;
    const struct judgement *j = &judgements->items[which];
    struct reason *reasons = arena_alloc(arena, (j->fired_count + 1) * sizeof *reasons);
    for (size_t i = 0; i < j->fired_count; i++) {
        const struct rule *rule = j->fired[i].rule;
        reasons[i] =
            (struct reason){.rule = rule->id, .source = rule->source, .text = j->fired[i].text};
        reasons[i].verdict =
            rules_verdict(judgements, which, rule, contest, arena, &reasons[i].evidence);
    }
    out->reasons = reasons;
    out->reason_count = j->fired_count;
}

/* ---- The front ----------------------------------------------------------------------------- */

/* No other technique is at least as good and at most as dear in training and per request, and
 * better in one of them. */
static bool on_front(const struct ranking *r, const struct candidate *c)
{
    for (size_t i = 0; i < r->count; i++) {
        const struct candidate *o = &r->items[i];
        if (o == c || !candidate_stands(o))
            continue;
        double training = c->training, other = o->training;
        double request = o->best->tokens_per_request.value,
               ours = c->best->tokens_per_request.value;
        double metric = o->metric.value, our_metric = c->metric.value;
        bool as_good = metric >= our_metric && other <= training && request <= ours;
        bool better = metric > our_metric || other < training || request < ours;
        if (as_good && better)
            return false;
    }
    return true;
}

static void fill_pareto(const struct ranking *r, struct report *report)
{
    const char **names = arena_alloc(&r->study->arena, r->count * sizeof *names + 1);
    for (size_t i = 0; i < r->count; i++)
        if (candidate_stands(&r->items[i]) && on_front(r, &r->items[i]))
            names[report->pareto_count++] = r->items[i].technique->name;
    report->pareto = names;
}

enum status rank_study(struct study *study, struct report *report, struct error *err)
{
    struct ranking r = {.study = study};
    enum status status = rank_facts(&r, err);
    if (status != OK)
        return status;
    compare(&r);
    struct contest contest;
    status = give_up(&r, err);
    if (status == OK)
        status = make_contest(&r, &contest, err);
    if (status != OK)
        return status;
    const struct candidate *chosen = choose(&r);
    size_t *order = order_of(&r, chosen);
    struct ranked *rows = arena_alloc(&study->arena, r.count * sizeof *rows + 1);
    for (size_t i = 0; i < r.count; i++) {
        rows[i] = fill_row(&r, &r.items[order[i]], (int)i + 1);
        give_reasons(&r, order[i], &contest, &rows[i]);
        report->complete &= rows[i].status != STANDING_NOT_RUN;
    }
    report->ranking = rows;
    report->ranking_count = r.count;
    fill_pareto(&r, report);
    status = rank_reasons(&r, chosen, report, err);
    if (status == OK)
        outlook_fill(study, &r.trials, rows, r.count, report);
    return status;
}
