/* SPDX-License-Identifier: Apache-2.0 */
#include "advisor/rank_facts.h"

#include <math.h>
#include <string.h>

#include "advisor/contest.h"
#include "advisor/policy.h"
#include "reports/human.h"
#include "techniques/trainer.h"

enum { MOST_RATES = 16 };

/* A budget that is suggested is this much more than what is expected to be enough. */
static const double margin = 1.2;

bool candidate_stands(const struct candidate *c)
{
    return c->ranked && c->status == STANDING_MEASURED;
}

/* ---- What was not measured ------------------------------------------------------------------ */

double rank_budget(const struct ranking *r, size_t index)
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
    pace_budget(rank_budget(r, index), out);
}

/* What a technique that was not run would take. */
static const char *what_it_takes(struct ranking *r, const struct candidate *c)
{
    struct text more = {0}, budget = {0};
    const char *note;
    suggest_budget(r, (size_t)(c - r->items), &budget);
    human_seconds(&more, measured(pace_missing(r->study, c->technique, &r->trials)));
    if (!(r->study->seconds_per_answer > 0))
        note = arena_printf(&r->study->arena,
                            "the budget was used up before the first answer; use --budget %s",
                            text_string(&budget));
    else if (c->technique->learning_rates)
        note = arena_printf(&r->study->arena, "needs about %s more (%zu examples); use --budget %s",
                            text_string(&more), policy_first_rung(r->study->split.train_count),
                            text_string(&budget));
    else
        note = arena_printf(&r->study->arena, "needs about %s more; use --budget %s",
                            text_string(&more), text_string(&budget));
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
        note = arena_printf(&r->study->arena, "takes %s of memory, more than --max-memory %s",
                            text_string(&found), text_string(&limit));
    } else if (options->max_latency_ms.known &&
               t->latency_ms.value > options->max_latency_ms.value) {
        human_milliseconds(&found, t->latency_ms);
        human_milliseconds(&limit, options->max_latency_ms);
        note = arena_printf(&r->study->arena, "takes %s for a request, more than --max-latency %s",
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
    return arena_printf(&r->study->arena, "%s%s%s%s%s",
                        one ? "judged on one learning rate, for which alone there was time" : "",
                        one && untested ? "; " : "",
                        untested ? "not tested, since the budget was used up" : "", own,
                        c->best->reason);
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
        answers_read(r->study, SIDE_DEV, &r->comparison, &c->seeds, &r->answers[r->ranked], err);
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

enum status rank_facts(struct ranking *r, struct error *err)
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
