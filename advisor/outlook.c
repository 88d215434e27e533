/* SPDX-License-Identifier: Apache-2.0 */
#include "advisor/outlook.h"

#include <math.h>
#include <string.h>

#include "evaluators/forecast.h"

/* Of the intervals, and of saying that one technique overtakes another. */
static const double level = 0.8;

/* Another seed, one standard deviation with so many examples; see the header. */
static const double seed_deviation = 0.03, seed_examples = 64;

/* Of the variance of development answers, the part that is one error of the whole curve. */
static const double shared_part = 0.5;

/* Sizes to forecast, times all training examples. */
static const double multiples[] = {1, 2, 4, 16};

enum { MULTIPLES = sizeof multiples / sizeof *multiples };

/* A technique that learns from examples. */
struct learner {
    struct ranked *row;
    bool fitted;
    struct curve curve;     /* of what is missing to the best value there is */
    double answer_variance; /* of the development answers at the largest size */
};

struct outlook {
    struct study *study;
    const struct metric *metric;
    const struct trials *trials;
    struct learner *learners;
    size_t count;
};

/* ---- A metric as something that falls ------------------------------------------------------- */

/* What is missing to a metric of 1, or a metric that is itself better when lower. */
static double missing(const struct outlook *o, double metric)
{
    return o->metric->higher_is_better ? 1 - metric : metric;
}

static double ceiling(const struct outlook *o)
{
    if (!o->metric->higher_is_better)
        return INFINITY;
    return strcmp(o->metric->unit, "coefficient") ? 1 : 2; /* which begin at -1 */
}

/* What another training seed does to a metric, as a variance. */
static double seed_variance(double examples)
{
    return seed_deviation * seed_deviation * seed_examples / examples;
}

double outlook_point_variance(double answer_variance, double examples)
{
    return (1 - shared_part) * answer_variance + seed_variance(examples);
}

double outlook_forecast_variance(double answer_variance, double examples)
{
    return shared_part * answer_variance + seed_variance(examples);
}

static double variance_of(struct measured low, struct measured high)
{
    return interval_variance((struct interval){low.value, high.value});
}

/* ---- Fitting -------------------------------------------------------------------------------- */

/* A training that was cut short belongs to another curve. */
static bool has_usual_passes(const struct trial_record *t)
{
    struct setting setting;
    struct arena arena;
    struct error err;
    arena_init(&arena, NULL);
    const struct technique *technique = technique_find(t->key.technique);
    bool usual = setting_parse(technique, t->key.setting, &setting, &arena, &err) == OK &&
                 (!technique->learning_rates || setting_integer(&setting, "num_epochs") == 0);
    arena_release(&arena);
    return usual;
}

static bool is_point(const struct trial_record *t, const char *technique)
{
    return t->status == TRIAL_DONE && t->metric.known && t->low.known && t->high.known &&
           t->key.examples > 0 && !strcmp(t->key.technique, technique) && has_usual_passes(t);
}

static bool same_setting(const struct trial_record *a, const struct trial_record *b)
{
    return a->key.examples == b->key.examples && !strcmp(a->key.setting, b->key.setting);
}

/* The mean of what is missing over the seeds of a trial's setting. */
static double mean_missing(const struct outlook *o, const struct trial_record *trial)
{
    double sum = 0, count = 0;
    for (size_t i = 0; i < o->trials->count; i++) {
        const struct trial_record *t = &o->trials->items[i];
        if (!is_point(t, trial->key.technique) || !same_setting(t, trial))
            continue;
        sum += missing(o, t->metric.value);
        count++;
    }
    return sum / count;
}

/* The setting that is best with as many examples as `trial`; the earliest of equal ones. */
static const struct trial_record *best_setting(const struct outlook *o,
                                               const struct trial_record *trial)
{
    const struct trial_record *best = NULL;
    for (size_t i = 0; i < o->trials->count; i++) {
        const struct trial_record *t = &o->trials->items[i];
        if (is_point(t, trial->key.technique) && t->key.examples == trial->key.examples &&
            (!best || mean_missing(o, t) < mean_missing(o, best)))
            best = t;
    }
    return best;
}

static void fit(const struct outlook *o, struct learner *learner)
{
    struct error err = {0};
    struct curve_point *points =
        arena_alloc(&o->study->arena, o->trials->count * sizeof *points + 1);
    size_t count = 0;
    double largest = 0;
    for (size_t i = 0; i < o->trials->count; i++) {
        const struct trial_record *t = &o->trials->items[i];
        if (!is_point(t, learner->row->technique) || !same_setting(t, best_setting(o, t)))
            continue;
        double examples = (double)t->key.examples, answers = variance_of(t->low, t->high);
        points[count++] = (struct curve_point){examples, missing(o, t->metric.value),
                                               outlook_point_variance(answers, examples)};
        if (examples >= largest)
            learner->answer_variance = answers;
        largest = fmax(largest, examples);
    }
    learner->fitted = curve_fit(points, count, ceiling(o), &learner->curve, &err) == OK;
    if (!learner->fitted)
        learner->row->forecast.note = arena_strdup(&o->study->arena, err.text);
}

/* ---- Forecasts ------------------------------------------------------------------------------ */

static struct forecast_point point_at(const struct outlook *o, const struct learner *learner,
                                      double examples, const struct forecast *f)
{
    const struct options *options = o->study->options;
    bool up = o->metric->higher_is_better;
    struct forecast_point point = {.examples = examples,
                                   .metric = missing(o, f->median),
                                   .low = missing(o, up ? f->high : f->low),
                                   .high = missing(o, up ? f->low : f->high)};
    if (options->target.known)
        point.probability_meets_target =
            measured(curve_chance(&learner->curve, examples,
                                  outlook_forecast_variance(learner->answer_variance, examples),
                                  missing(o, options->target.value)));
    return point;
}

static void forecast(const struct outlook *o, struct learner *learner)
{
    const struct options *options = o->study->options;
    const struct curve *curve = &learner->curve;
    struct report_forecast *out = &learner->row->forecast;
    struct forecast_point *points = arena_alloc(&o->study->arena, MULTIPLES * sizeof *points);
    for (size_t i = 0; i < MULTIPLES; i++) {
        double examples = multiples[i] * (double)o->study->split.train_count;
        struct forecast f;
        double variance = outlook_forecast_variance(learner->answer_variance, examples);
        if (examples > curve->last && curve_at(curve, examples, variance, &f))
            points[out->count++] = point_at(o, learner, examples, &f);
    }
    out->points = points;
    out->level = level;
    if (!options->target.known)
        return;
    double variance = outlook_forecast_variance(learner->answer_variance, curve->last);
    double until =
        curve_examples_for(curve, variance, missing(o, options->target.value), options->confidence);
    const struct measured now = learner->row->probability_meets_target;
    if (now.known && now.value >= options->confidence) /* whatever the curve makes of it */
        out->examples_to_target = measured((double)learner->row->examples);
    else if (!isnan(until))
        out->examples_to_target = measured(until);
}

/* ---- Where the winner would change ---------------------------------------------------------- */

static const struct learner *learner_of(const struct outlook *o, const char *technique)
{
    for (size_t i = 0; i < o->count; i++)
        if (!strcmp(o->learners[i].row->technique, technique))
            return &o->learners[i];
    return NULL;
}

/* Examples with which `other` is better than the recommended technique, beyond what both were
 * measured with; NAN when the intervals do not allow to say so. */
static double overtakes(const struct outlook *o, const struct learner *other,
                        const struct ranked *chosen)
{
    const struct learner *rival = learner_of(o, chosen->technique);
    double variance = seed_variance(other->curve.last), from = other->curve.last, examples;
    if (rival && !rival->fitted)
        return NAN;
    if (rival) {
        from = fmax(from, rival->curve.last);
        examples = curve_overtakes(&other->curve, &rival->curve, variance, level);
    } else { /* it stays where it is */
        examples =
            curve_examples_for(&other->curve, variance + variance_of(chosen->low, chosen->high),
                               missing(o, chosen->metric.value), level);
    }
    return examples > ceil(from) ? examples : NAN;
}

static void fill_changes(const struct outlook *o, struct report *report)
{
    const struct ranked *chosen = report_ranked(report, report->technique);
    struct winner_change *changes = arena_alloc(&o->study->arena, o->count * sizeof *changes + 1);
    for (size_t i = 0; chosen && i < o->count; i++) {
        const struct learner *other = &o->learners[i];
        if (!other->fitted || other->row == chosen)
            continue;
        double examples = overtakes(o, other, chosen);
        if (!isnan(examples))
            changes[report->winner_change_count++] =
                (struct winner_change){other->row->technique, examples, level};
    }
    report->winner_changes = changes;
}

static bool learns(const struct ranked *row)
{
    const struct technique *technique = technique_find(row->technique);
    return technique && technique_learns(technique) &&
           (row->status == STANDING_MEASURED || row->status == STANDING_ELIMINATED);
}

void outlook_fill(struct study *study, const struct trials *trials, struct ranked *rows,
                  size_t count, struct report *report)
{
    struct outlook o = {.study = study, .metric = study->evaluator.metric, .trials = trials};
    o.learners = arena_zalloc(&study->arena, count * sizeof *o.learners + 1);
    for (size_t i = 0; i < count; i++) {
        if (!learns(&rows[i]))
            continue;
        struct learner *learner = &o.learners[o.count++];
        learner->row = &rows[i];
        fit(&o, learner);
        if (learner->fitted)
            forecast(&o, learner);
    }
    fill_changes(&o, report);
}
