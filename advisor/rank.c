/* SPDX-License-Identifier: Apache-2.0 */
#include "advisor/rank.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "advisor/allocate.h"
#include "advisor/choice.h"
#include "advisor/contest.h"
#include "advisor/giving_up.h"
#include "advisor/outlook.h"
#include "advisor/pace.h"
#include "advisor/plan.h"
#include "advisor/policy.h"
#include "reports/human.h"
#include "techniques/trainer.h"

enum { MOST_RATES = 16 };

/* A budget that is suggested is this much more than what is expected to be enough. */
static const double margin = 1.2;

/* One technique on its way into the ranking. */
struct candidate {
    const struct technique *technique;
    const struct trial_record *best; /* the first of `seeds`; NULL: not measured */
    struct seeds seeds;
    struct measured metric, low, high; /* mean over the seeds, and its interval */
    bool ranked;                       /* measured, and within the limits the user set */
    size_t place;                      /* among those that are ranked */
    double training;                   /* model tokens to train; forward and backward count three */
    double tokens; /* lifetime cost: those, and the tokens to answer the requests */
    bool meets_target;
    enum standing_status status;
    const char *note;
};

struct ranking {
    struct study *study;
    struct candidate *items;
    size_t count;
    struct comparison comparison;
    struct answers *answers; /* of those that are ranked, by their place */
    struct standing *standings;
    double *p; /* (ranked, ranked); see compare_pairs */
    size_t ranked;
    struct choice choice; /* among those that are ranked, by their place */
    struct trials trials;
};

/* A sentence in the study's arena. */
static const char *__attribute__((format(printf, 2, 3)))
sentence(struct ranking *r, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *text = arena_vprintf(&r->study->arena, format, args);
    va_end(args);
    return text;
}

/* ---- What was not measured ------------------------------------------------------------------ */

/* The budget with which technique number `index`, and those whose turn comes before it, get a
 * result. Those that train come last and get a share of the time to be screened. */
static double seconds_for(const struct ranking *r, size_t index)
{
    double seconds = study_cost(r->study), screening = 0;
    const struct technique *own = r->items[index].technique;
    for (size_t i = 0; i < r->count; i++) {
        const struct technique *technique = r->items[i].technique;
        if (r->items[i].status != STANDING_NOT_RUN)
            continue;
        double missing = pace_missing(r->study, technique, &r->trials);
        if (!technique->learning_rates && (own->learning_rates || i <= index))
            seconds += missing;
        if (technique->learning_rates && own->learning_rates && technique->prior >= own->prior)
            screening += missing;
    }
    seconds += screening / policy_screening_share();
    if (!(r->study->seconds_per_answer > 0)) /* only what comes before the first answer is known */
        seconds *= 10;
    return margin * seconds + 1;
}

static void suggest_budget(const struct ranking *r, size_t index, struct text *out)
{
    pace_budget(seconds_for(r, index), out);
}

/* What a technique that was not run would take. */
static const char *what_it_takes(struct ranking *r, const struct candidate *c)
{
    struct text more = {0}, budget = {0};
    const char *note;
    suggest_budget(r, (size_t)(c - r->items), &budget);
    human_seconds(&more, measured(pace_missing(r->study, c->technique, &r->trials)));
    if (!(r->study->seconds_per_answer > 0))
        note = sentence(r, "the budget was used up before the first answer; use --budget %s",
                        text_string(&budget));
    else if (c->technique->learning_rates)
        note =
            sentence(r, "needs about %s more (%zu examples); use --budget %s", text_string(&more),
                     policy_first_rung(r->study->split.train_count), text_string(&budget));
    else
        note = sentence(r, "needs about %s more; use --budget %s", text_string(&more),
                        text_string(&budget));
    text_release(&budget);
    text_release(&more);
    return note;
}

/* The reason of a technique that failed: that of its last trial. NULL when it did not fail. */
static const char *failure(const struct ranking *r, const struct technique *technique)
{
    const char *reason = NULL;
    for (size_t i = 0; i < r->trials.count; i++) {
        const struct trial_record *t = &r->trials.items[i];
        if (!strcmp(t->key.technique, technique->name) && t->status == TRIAL_FAILED)
            reason = t->reason;
    }
    return reason;
}

/* Why a technique without a finished trial has none; the note of one that was not run comes later,
 * when all of them are known. */
static void explain(struct ranking *r, struct candidate *c)
{
    const char *why;
    c->status = STANDING_EXCLUDED;
    if (!technique_fits(r->study, c->technique, &why) ||
        (why = study_excludes(r->study, c->technique))) {
        c->note = why;
        return;
    }
    c->note = failure(r, c->technique);
    if (!c->note)
        c->status = STANDING_NOT_RUN;
}

/* ---- What was measured ---------------------------------------------------------------------- */

static double training_tokens(const struct ranking *r, const struct candidate *c)
{
    const struct trial_record *t = c->best;
    double passes = 0;
    struct setting setting;
    if (c->technique->fit)
        passes = (double)t->key.examples;
    else if (c->technique->learning_rates &&
             setting_parse(c->technique, t->key.setting, &setting, &r->study->arena, NULL) == OK)
        passes = 3.0 * (double)t->key.examples * trainer_epochs(&setting, (size_t)t->key.examples);
    return passes * t->tokens_per_request.value;
}

static double lifetime_tokens(const struct ranking *r, const struct candidate *c)
{
    const struct options *options = r->study->options;
    double requests = options->requests.known ? options->requests.value : USUAL_REQUESTS;
    return c->training + requests * c->best->tokens_per_request.value;
}

/* How many learning rates the technique was trained with, at any size. */
static size_t rates_tried(const struct ranking *r, const struct technique *technique)
{
    double seen[MOST_RATES];
    size_t count = 0;
    for (size_t i = 0; i < r->trials.count && count < MOST_RATES; i++) {
        const struct trial_record *t = &r->trials.items[i];
        struct setting setting;
        if (strcmp(t->key.technique, technique->name) != 0 ||
            (t->status != TRIAL_DONE && t->status != TRIAL_FAILED) ||
            setting_parse(technique, t->key.setting, &setting, &r->study->arena, NULL) != OK)
            continue;
        double rate = setting_number(&setting, "learning_rate");
        size_t known = 0;
        while (known < count && (seen[known] < rate || seen[known] > rate))
            known++;
        if (known == count)
            seen[count++] = rate;
    }
    return count;
}

/* What a limit says against a technique, or NULL. */
static const char *beyond_limits(struct ranking *r, const struct candidate *c)
{
    const struct options *options = r->study->options;
    const struct trial_record *t = c->best;
    struct text found = {0}, limit = {0};
    const char *note = NULL;
    if (options->max_memory_bytes.known &&
        t->peak_memory_bytes.value > options->max_memory_bytes.value) {
        human_bytes(&found, t->peak_memory_bytes);
        human_bytes(&limit, options->max_memory_bytes);
        note = sentence(r, "takes %s of memory, more than --max-memory %s", text_string(&found),
                        text_string(&limit));
    } else if (options->max_latency_ms.known &&
               t->latency_ms.value > options->max_latency_ms.value) {
        human_milliseconds(&found, t->latency_ms);
        human_milliseconds(&limit, options->max_latency_ms);
        note = sentence(r, "takes %s for a request, more than --max-latency %s",
                        text_string(&found), text_string(&limit));
    }
    text_release(&limit);
    text_release(&found);
    return note;
}

static const char *remark(struct ranking *r, const struct candidate *c)
{
    const char *list = c->technique->learning_rates;
    bool one = list && strchr(list, ',') && rates_tried(r, c->technique) == 1;
    bool untested = !c->best->test_metric.known;
    if (!one && !untested)
        return c->best->reason;
    const char *own = *c->best->reason ? "; " : "";
    return sentence(
        r, "%s%s%s%s%s", one ? "judged on one learning rate, for which alone there was time" : "",
        one && untested ? "; " : "", untested ? "not tested, since the budget was used up" : "",
        own, c->best->reason);
}

/* The mean over the seeds, and its 95 % interval: as far from the mean as the intervals of the
 * seeds are on average, since they answered the same examples, and the standard error over the
 * seeds, whose square is added. */
static void average(struct ranking *r, struct candidate *c)
{
    const struct metric *metric = r->comparison.metric;
    double count = (double)c->seeds.count, mean = 0, below = 0, above = 0, variance = 0;
    c->metric = c->best->metric;
    c->low = c->best->low;
    c->high = c->best->high;
    if (c->seeds.count < 2)
        return;
    for (size_t i = 0; i < c->seeds.count; i++)
        mean += c->seeds.trials[i]->metric.value / count;
    for (size_t i = 0; i < c->seeds.count; i++) {
        const struct trial_record *t = c->seeds.trials[i];
        below += (t->metric.value - t->low.value) / count;
        above += (t->high.value - t->metric.value) / count;
        variance += (t->metric.value - mean) * (t->metric.value - mean) / (count - 1);
    }
    double error = normal_quantile(0.975) * sqrt(variance / count);
    double least = strcmp(metric->unit, "coefficient") ? 0 : -1;
    c->metric = measured(mean);
    c->low = measured(fmax(mean - hypot(below, error), least));
    c->high = measured(fmin(mean + hypot(above, error), 1));
}

/* Gives a measured technique its place in the comparison. */
static enum status enter(struct ranking *r, struct candidate *c, struct error *err)
{
    enum status status =
        answers_read(r->study, &r->comparison, &c->seeds, &r->answers[r->ranked], err);
    if (status != OK)
        return status;
    c->place = r->ranked++;
    c->ranked = true;
    c->training = training_tokens(r, c);
    c->tokens = lifetime_tokens(r, c);
    c->status = STANDING_MEASURED;
    c->note = remark(r, c);
    return OK;
}

static enum status collect_one(struct ranking *r, struct candidate *c, struct error *err)
{
    const struct trials *trials = &r->trials;
    c->best = best_trial(c->technique, trials->items, trials->count);
    if (!c->best) {
        explain(r, c);
        return OK;
    }
    c->seeds = trial_seeds(c->best, trials->items, trials->count, &r->study->arena);
    average(r, c);
    c->note = beyond_limits(r, c);
    if (!c->note)
        return enter(r, c, err);
    c->status = STANDING_EXCLUDED;
    return OK;
}

static enum status collect(struct ranking *r, struct error *err)
{
    struct study *study = r->study;
    const struct technique *technique;
    enum status status = trials_read(study, &study->arena, &r->trials, err);
    r->count = study_technique_count(study);
    r->items = arena_zalloc(&study->arena, r->count * sizeof *r->items + 1);
    r->comparison = (struct comparison){.metric = study->evaluator.metric,
                                        .classes = study->data.label_count,
                                        .seed = study->options->seed};
    r->answers = arena_alloc(&study->arena, (r->count + 1) * sizeof *r->answers);
    for (size_t i = 0; status == OK && (technique = study_technique(study, i)); i++) {
        r->items[i].technique = technique;
        status = collect_one(r, &r->items[i], err);
    }
    for (size_t i = 0; status == OK && i < r->count; i++)
        if (r->items[i].status == STANDING_NOT_RUN)
            r->items[i].note = what_it_takes(r, &r->items[i]);
    return status;
}

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

static const struct candidate *baseline(const struct ranking *r)
{
    for (size_t i = 0; i < r->count; i++)
        if (!strcmp(r->items[i].technique->family, "baseline") && r->items[i].ranked)
            return &r->items[i];
    return NULL;
}

/* Ranked, and not given up. */
static bool stands(const struct candidate *c)
{
    return c->ranked && c->status == STANDING_MEASURED;
}

static bool is_baseline(const struct candidate *c)
{
    return !strcmp(c->technique->family, "baseline");
}

/* The one to recommend, or NULL. */
static const struct candidate *choose(struct ranking *r)
{
    struct contender *contenders =
        arena_alloc(&r->study->arena, r->ranked * sizeof *contenders + 1);
    r->choice = (struct choice){contenders, r->ranked, r->p};
    for (size_t i = 0; i < r->count; i++)
        if (r->items[i].ranked)
            contenders[r->items[i].place] =
                (struct contender){.metric = r->items[i].metric.value,
                                   .tokens = r->items[i].tokens,
                                   .baseline = is_baseline(&r->items[i]),
                                   .stands = stands(&r->items[i]),
                                   .meets_target = r->items[i].meets_target};
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
    return c->metric.value - (stands(c) ? 0 : 50);
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
        if (other != c && stands(c) && stands(other) && tie(r, c, other))
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
        if (o == c || !stands(o))
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
        if (stands(&r->items[i]) && on_front(r, &r->items[i]))
            names[report->pareto_count++] = r->items[i].technique->name;
    report->pareto = names;
}

/* ---- Saying why ----------------------------------------------------------------------------- */

enum { MOST_REASONS = 8 };

struct reasons {
    struct arena *arena;
    const char **items;
    size_t count;
};

static void __attribute__((format(printf, 2, 3)))
say(struct reasons *reasons, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (reasons->count < MOST_REASONS)
        reasons->items[reasons->count++] = arena_vprintf(reasons->arena, format, args);
    va_end(args);
}

static void say_target(const struct ranking *r, const struct candidate *chosen,
                       struct reasons *reasons)
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
                     struct reasons *reasons)
{
    struct text names = {0};
    for (size_t i = 0; i < r->count; i++) {
        const struct candidate *c = &r->items[i];
        if (c != chosen && stands(c) && strcmp(c->technique->family, "baseline") != 0 &&
            tie(r, c, chosen))
            text_printf(&names, "%s%s", names.length ? ", " : "", c->technique->name);
    }
    if (names.length)
        say(reasons, "On %zu development examples it cannot be told apart from: %s.",
            r->comparison.examples, text_string(&names));
    text_release(&names);
}

static void say_chosen(const struct ranking *r, const struct candidate *chosen,
                       struct reasons *reasons)
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
    if (floor)
        say(reasons, "Always giving the most frequent answer reaches %.3f.", floor->metric.value);
}

/* The first technique besides the baselines that came this far, measured or not; NULL: none. */
static const struct candidate *first_with(const struct ranking *r, enum standing_status status,
                                          bool measured_too)
{
    for (size_t i = 0; i < r->count; i++) {
        const struct candidate *c = &r->items[i];
        if (strcmp(c->technique->family, "baseline") != 0 && c->status == status &&
            (c->best || !measured_too))
            return c;
    }
    return NULL;
}

static void say_nothing_chosen(const struct ranking *r, struct reasons *reasons)
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
        suggest_budget(r, (size_t)(waiting - r->items), &budget);
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
static enum status say_what_is_fair(struct ranking *r, struct reasons *reasons, struct error *err)
{
    struct measured fair;
    double least = 0;
    size_t waiting = 0;
    for (size_t i = 0; i < r->count; i++) {
        if (r->items[i].status != STANDING_NOT_RUN)
            continue;
        waiting++;
        least = fmax(least, seconds_for(r, i));
    }
    if (!waiting || !(r->study->seconds_per_answer > 0) || reasons->count == MOST_REASONS)
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

static enum status fill_recommendation(struct ranking *r, const struct candidate *chosen,
                                       struct report *report, struct error *err)
{
    struct arena *arena = &r->study->arena;
    struct reasons reasons = {.arena = arena,
                              .items = arena_alloc(arena, MOST_REASONS * sizeof(const char *))};
    report->technique = chosen ? chosen->technique->name : NULL;
    report->outcome = outcome_of(chosen);
    if (chosen)
        say_chosen(r, chosen, &reasons);
    else
        say_nothing_chosen(r, &reasons);
    enum status status = say_what_is_fair(r, &reasons, err);
    report->reasons = reasons.items;
    report->reason_count = reasons.count;
    return status;
}

enum status rank_study(struct study *study, struct report *report, struct error *err)
{
    struct ranking r = {.study = study};
    enum status status = collect(&r, err);
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
    status = fill_recommendation(&r, chosen, report, err);
    if (status == OK)
        outlook_fill(study, &r.trials, rows, r.count, report);
    return status;
}
