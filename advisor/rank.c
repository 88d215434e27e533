/* SPDX-License-Identifier: Apache-2.0 */
#include "advisor/rank.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "advisor/allocate.h"
#include "evaluators/statistics.h"
#include "techniques/trainer.h"

enum { RESAMPLES = 4000, USUAL_REQUESTS = 10000 };

/* A difference is real when chance makes one as large in fewer than this share of cases. */
static const double significance = 0.05;

/* Techniques that tie count as equally good, and the cheaper one is preferred, when their metrics
 * are this close; a tie of wider means is a question of too few examples, and the better mean is
 * the better bet. */
static const double close_enough = 0.01;

/* One technique on its way into the ranking. */
struct candidate {
    const struct technique *technique;
    const struct trial_record *best; /* NULL: not measured */
    const struct prediction *predictions;
    double *scores; /* (dev) per example; NULL when not measured */
    double tokens; /* lifetime cost: model tokens to train (forward and backward count three) and to
                      answer the requests */
    struct standing standing;
    bool meets_target;
    enum standing_status status;
    const char *note;
};

struct ranking {
    struct study *study;
    struct candidate *items;
    size_t count, measured;
    size_t dev;
    struct standing *standings;
    struct trial_record *trials;
    size_t trial_count;
};

/* ---- Collecting ----------------------------------------------------------------------------- */

static double lifetime_tokens(const struct study *study, const struct candidate *c)
{
    const struct trial_record *t = c->best;
    double requests =
        study->options->requests.known ? study->options->requests.value : USUAL_REQUESTS;
    double passes = 0;
    struct setting setting;
    if (c->technique->learning_rates && setting_parse(c->technique, t->key.setting, &setting,
                                                      (struct arena *)&study->arena, NULL) == OK)
        passes = (double)t->key.examples * trainer_epochs(&setting, (size_t)t->key.examples);
    return 3 * passes * t->tokens_per_request.value + requests * t->tokens_per_request.value;
}

/* Why a technique without a finished trial has none: the words of its own last trial. */
static void explain(struct ranking *r, struct candidate *c)
{
    c->status = STANDING_NOT_RUN;
    c->note = "the budget was used up before its turn; a larger --budget goes on from here";
    const char *why;
    if (!technique_fits(r->study, c->technique, &why)) {
        c->status = STANDING_EXCLUDED;
        c->note = why;
        return;
    }
    for (size_t i = 0; i < r->trial_count; i++) {
        const struct trial_record *t = &r->trials[i];
        if (!strcmp(t->key.technique, c->technique->name) && t->status == TRIAL_FAILED) {
            c->status = STANDING_EXCLUDED;
            c->note = t->reason;
        }
    }
}

static enum status load_scores(struct ranking *r, struct candidate *c, struct error *err)
{
    struct prediction *predictions;
    size_t count;
    enum status status = trial_predictions_get(r->study->store, c->best->id, SIDE_DEV,
                                               &r->study->arena, &predictions, &count, err);
    if (status != OK)
        return status;
    if (r->measured && count != r->dev)
        return error_set(err, FAILED,
                         "%s: the trials of %s answered %zu development examples and others %zu; "
                         "begin the study anew with --fresh",
                         r->study->path, c->technique->name, count, r->dev);
    r->dev = count;
    c->predictions = predictions;
    c->scores = arena_alloc(&r->study->arena, count * sizeof *c->scores);
    for (size_t i = 0; i < count; i++)
        c->scores[i] = predictions[i].correct;
    c->tokens = lifetime_tokens(r->study, c);
    c->status = STANDING_MEASURED;
    c->note = "";
    r->measured++;
    return OK;
}

static enum status collect(struct ranking *r, struct error *err)
{
    struct study *study = r->study;
    const struct technique *technique;
    enum status status =
        store_trials(study->store, &study->arena, &r->trials, &r->trial_count, err);
    while (study_technique(study, r->count))
        r->count++;
    r->items = arena_zalloc(&study->arena, r->count * sizeof *r->items);
    for (size_t i = 0; status == OK && (technique = study_technique(study, i)); i++) {
        struct candidate *c = &r->items[i];
        c->technique = technique;
        c->best = best_trial(technique, r->trials, r->trial_count);
        if (c->best)
            status = load_scores(r, c, err);
        else
            explain(r, c);
    }
    return status;
}

/* ---- Comparing ------------------------------------------------------------------------------ */

/* p-value of "b is better than a" on the same examples. */
static double p_better(const struct ranking *r, const struct candidate *a,
                       const struct candidate *b)
{
    int64_t only_a = 0, only_b = 0;
    for (size_t i = 0; i < r->dev; i++) {
        only_a += a->scores[i] > b->scores[i];
        only_b += b->scores[i] > a->scores[i];
    }
    return mcnemar_exact(only_a, only_b).second_better;
}

static bool tie(const struct ranking *r, const struct candidate *a, const struct candidate *b)
{
    return 2 * p_better(r, a, b) > significance && 2 * p_better(r, b, a) > significance;
}

/* Probabilities of being best and of meeting the target, from joint resamples of the examples. */
static void fill_standings(struct ranking *r)
{
    struct arena *arena = &r->study->arena;
    const struct options *options = r->study->options;
    double *scores = arena_alloc(arena, r->measured * r->dev * sizeof *scores + 1);
    struct standing *standings = arena_zalloc(arena, (r->measured + 1) * sizeof *standings);
    size_t row = 0;
    for (size_t i = 0; i < r->count; i++)
        if (r->items[i].scores)
            memcpy(scores + r->dev * row++, r->items[i].scores, r->dev * sizeof *scores);
    struct score_matrix matrix = {.scores = scores, .examples = r->dev, .techniques = r->measured};
    struct bootstrap how = {.resamples = RESAMPLES, .seed = options->seed, .confidence = 0.95};
    joint_bootstrap(&matrix, options->target.known ? options->target.value : 1, how, standings);
    row = 0;
    for (size_t i = 0; i < r->count; i++) {
        struct candidate *c = &r->items[i];
        if (!c->scores)
            continue;
        c->standing = standings[row++];
        c->meets_target = options->target.known &&
                          c->standing.probability_target >= options->confidence &&
                          c->best->metric.value >= options->target.value;
    }
}

/* ---- Ordering ------------------------------------------------------------------------------- */

static const struct candidate *baseline(const struct ranking *r)
{
    for (size_t i = 0; i < r->count; i++)
        if (!strcmp(r->items[i].technique->family, "baseline") && r->items[i].scores)
            return &r->items[i];
    return NULL;
}

/* A candidate for recommendation: measured, within the limits, and better than the baseline. */
static bool eligible(const struct ranking *r, const struct candidate *c)
{
    const struct candidate *floor = baseline(r);
    const struct options *options = r->study->options;
    if (!c->scores || !strcmp(c->technique->family, "baseline"))
        return false;
    if (options->max_memory_bytes.known &&
        c->best->peak_memory_bytes.value > options->max_memory_bytes.value)
        return false;
    if (options->max_latency_ms.known && c->best->latency_ms.value > options->max_latency_ms.value)
        return false;
    return !floor || p_better(r, floor, c) <= significance;
}

/* The recommended one, or NULL when nothing is eligible. */
static const struct candidate *choose(const struct ranking *r)
{
    const struct candidate *chosen = NULL, *leader = NULL;
    for (size_t i = 0; i < r->count; i++) {
        const struct candidate *c = &r->items[i];
        if (!eligible(r, c))
            continue;
        if (c->meets_target && (!chosen || c->tokens < chosen->tokens))
            chosen = c;
        if (!leader || c->best->metric.value > leader->best->metric.value)
            leader = c;
    }
    for (size_t i = 0; !chosen && leader && i < r->count; i++) {
        const struct candidate *c = &r->items[i];
        bool equal = eligible(r, c) && tie(r, c, leader) &&
                     leader->best->metric.value - c->best->metric.value <= close_enough;
        if (equal && c->tokens < leader->tokens)
            leader = c;
    }
    return chosen ? chosen : leader;
}

/* Larger comes first. */
static double place(const struct candidate *c, const struct candidate *chosen)
{
    if (c == chosen)
        return 100;
    if (!c->scores)
        return c->status == STANDING_NOT_RUN ? -101 : -102;
    return c->best->metric.value;
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
        if (other != c && other->scores && tie(r, c, other))
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
    out.metric = t->metric;
    out.low = t->low;
    out.high = t->high;
    out.test_metric = t->test_metric;
    out.probability_best = measured(c->standing.probability_best);
    if (r->study->options->target.known)
        out.probability_meets_target = measured(c->standing.probability_target);
    out.trial_seconds = t->trial_seconds;
    out.train_seconds = t->train_seconds;
    out.tokens_per_request = t->tokens_per_request;
    out.latency_ms = t->latency_ms;
    out.trainable_parameters = t->trainable_parameters;
    out.peak_memory_bytes = t->peak_memory_bytes;
    out.artifact_bytes = t->artifact_bytes;
    fill_ties(r, c, &out);
    return out;
}

/* No other technique is at least as good and at most as dear in training and per request, and
 * better in one of them. */
static bool on_front(const struct ranking *r, const struct candidate *c)
{
    double training = c->technique->learning_rates ? (double)c->best->key.examples : 0;
    for (size_t i = 0; i < r->count; i++) {
        const struct candidate *o = &r->items[i];
        if (o == c || !o->scores)
            continue;
        double other = o->technique->learning_rates ? (double)o->best->key.examples : 0;
        double request = o->best->tokens_per_request.value,
               ours = c->best->tokens_per_request.value;
        double metric = o->best->metric.value, our_metric = c->best->metric.value;
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
        if (r->items[i].scores && on_front(r, &r->items[i]))
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
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (reasons->count < MOST_REASONS)
        reasons->items[reasons->count++] = arena_strdup(reasons->arena, text);
}

static void say_target(const struct ranking *r, const struct candidate *chosen,
                       struct reasons *reasons)
{
    const struct options *options = r->study->options;
    const char *metric = r->study->evaluator.metric->name;
    if (!options->target.known)
        return;
    if (chosen && chosen->meets_target)
        say(reasons,
            "It is the cheapest of those that reach the target of %.3g with a probability "
            "of at least %.3g.",
            options->target.value, options->confidence);
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
        if (c != chosen && c->scores && strcmp(c->technique->family, "baseline") &&
            tie(r, c, chosen))
            text_printf(&names, "%s%s", names.length ? ", " : "", c->technique->name);
    }
    if (names.length)
        say(reasons, "On %zu development examples it cannot be told apart from: %s.", r->dev,
            text_string(&names));
    text_release(&names);
}

static void say_why(const struct ranking *r, const struct candidate *chosen,
                    struct reasons *reasons)
{
    const struct candidate *floor = baseline(r);
    const char *metric = r->study->evaluator.metric->name;
    if (chosen) {
        say(reasons, "%s reaches %s %.3f [%.3f, %.3f] on %zu development examples.",
            chosen->technique->name, metric, chosen->best->metric.value, chosen->best->low.value,
            chosen->best->high.value, r->dev);
        say_target(r, chosen, reasons);
        say_ties(r, chosen, reasons);
        if (floor)
            say(reasons, "Always giving the most frequent answer reaches %.3f.",
                floor->best->metric.value);
        return;
    }
    if (floor && r->measured > 1)
        say(reasons,
            "Nothing measured is better than always giving the most frequent answer, "
            "which reaches %s %.3f.",
            metric, floor->best->metric.value);
    else
        say(reasons,
            "The budget of %.3g s was too small to measure any technique; try a larger "
            "--budget.",
            r->study->options->budget_seconds);
    say_target(r, chosen, reasons);
}

static enum outcome_status outcome_of(const struct candidate *chosen)
{
    if (!chosen)
        return OUTCOME_BEATS_NOTHING;
    return chosen->meets_target ? OUTCOME_MEETS_TARGET : OUTCOME_BEST_AVAILABLE;
}

enum status rank_study(struct study *study, struct report *report, struct error *err)
{
    struct ranking r = {.study = study};
    enum status status = collect(&r, err);
    if (status != OK)
        return status;
    if (r.measured)
        fill_standings(&r);
    const struct candidate *chosen = choose(&r);
    size_t *order = order_of(&r, chosen);
    struct ranked *rows = arena_alloc(&study->arena, r.count * sizeof *rows + 1);
    for (size_t i = 0; i < r.count; i++)
        rows[i] = fill_row(&r, &r.items[order[i]], (int)i + 1);
    report->ranking = rows;
    report->ranking_count = r.count;
    fill_pareto(&r, report);
    report->technique = chosen ? chosen->technique->name : NULL;
    report->outcome = outcome_of(chosen);
    struct reasons reasons = {.arena = &study->arena,
                              .items =
                                  arena_alloc(&study->arena, MOST_REASONS * sizeof(const char *))};
    say_why(&r, chosen, &reasons);
    report->reasons = reasons.items;
    report->reason_count = reasons.count;
    return OK;
}
