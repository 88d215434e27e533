/* SPDX-License-Identifier: Apache-2.0
 *
 * Learning curves: the metric against the training examples, one line a technique that trains, with
 * the interval of each trial, where the line is expected to go, and the target. Techniques that do
 * not train are level lines.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "reports/chart.h"
#include "reports/human.h"

struct sample {
    double examples, metric, low, high;
    bool chosen; /* with the setting that is ranked */
};

struct curve {
    const struct ranked *ranked;
    bool trains;
    struct sample *samples; /* by examples, one for each size */
    size_t count;
    double aside; /* pixels: curves of the same sizes stand a little beside each other */
};

/* ---- Gathering --------------------------------------------------------------------------------
 */

/* By size; of one size first those of the setting that is ranked. */
static int by_examples(const void *a, const void *b)
{
    const struct sample *x = a, *y = b;
    if (x->examples < y->examples || x->examples > y->examples)
        return x->examples < y->examples ? -1 : 1;
    if (x->chosen != y->chosen)
        return x->chosen ? -1 : 1;
    return x->metric < y->metric ? -1 : x->metric > y->metric;
}

/* One sample for each size: the middle one of those with the setting that is ranked (they differ in
 * their seed), or the best one of other settings. */
static size_t keep_one_each(struct sample *samples, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count;) {
        size_t chosen = 0, end = i;
        for (; end < count && !(samples[end].examples > samples[i].examples); end++)
            chosen += samples[end].chosen;
        samples[kept++] = samples[chosen ? i + (chosen - 1) / 2 : end - 1];
        i = end;
    }
    return kept;
}

static bool is_shown(const struct ranked *ranked)
{
    return ranked->metric.known &&
           (ranked->status == STANDING_MEASURED || ranked->status == STANDING_ELIMINATED);
}

static bool trained(struct measured train_seconds)
{
    return train_seconds.known && train_seconds.value > 0;
}

static struct sample sample_of(double examples, struct measured metric, struct measured low,
                               struct measured high)
{
    return (struct sample){.examples = examples,
                           .metric = metric.value,
                           .low = low.known ? low.value : metric.value,
                           .high = high.known ? high.value : metric.value};
}

/* `samples` has room for all trials and one more. */
static struct curve curve_of(const struct report *report, const struct ranked *ranked,
                             struct sample *samples)
{
    struct curve curve = {.ranked = ranked, .samples = samples};
    curve.trains = trained(ranked->train_seconds);
    for (size_t i = 0; i < report->evidence.trial_count; i++) {
        const struct trial_record *t = &report->evidence.trials[i];
        if (t->status != TRIAL_DONE || !t->metric.known ||
            strcmp(t->key.technique, ranked->technique) != 0)
            continue;
        curve.trains |= trained(t->train_seconds);
        samples[curve.count] = sample_of((double)t->key.examples, t->metric, t->low, t->high);
        samples[curve.count++].chosen = !strcmp(t->key.setting, ranked->setting);
    }
    if (!curve.count)
        samples[curve.count++] =
            sample_of((double)ranked->examples, ranked->metric, ranked->low, ranked->high);
    qsort(samples, curve.count, sizeof *samples, by_examples);
    curve.count = keep_one_each(samples, curve.count);
    return curve;
}

struct curves {
    struct arena arena;
    struct curve *items;
    size_t count;
    bool any; /* one that trains */
};

static void set_aside(struct curves *curves)
{
    size_t trained = 0, place = 0;
    for (size_t i = 0; i < curves->count; i++)
        trained += curves->items[i].trains;
    for (size_t i = 0; i < curves->count; i++)
        if (curves->items[i].trains)
            curves->items[i].aside = 3 * ((double)place++ - ((double)trained - 1) / 2);
}

static struct curves gather(const struct report *report)
{
    struct curves curves = {0};
    arena_init(&curves.arena, NULL);
    curves.items = arena_alloc(&curves.arena, report->ranking_count * sizeof *curves.items + 1);
    for (size_t i = 0; i < report->ranking_count; i++) {
        const struct ranked *ranked = &report->ranking[i];
        if (!is_shown(ranked))
            continue;
        size_t most = report->evidence.trial_count + 1;
        struct sample *samples = arena_alloc(&curves.arena, most * sizeof *samples);
        curves.items[curves.count] = curve_of(report, ranked, samples);
        curves.any |= curves.items[curves.count++].trains;
    }
    set_aside(&curves);
    return curves;
}

bool chart_has_curves(const struct report *report)
{
    struct curves curves = gather(report);
    arena_release(&curves.arena);
    return curves.any;
}

/* ---- Axes -------------------------------------------------------------------------------------
 */

struct limits {
    double x_low, x_high, y_low, y_high;
};

static void widen(struct limits *limits, const struct sample *sample, bool trains)
{
    limits->y_low = fmin(limits->y_low, sample->low);
    limits->y_high = fmax(limits->y_high, sample->high);
    if (!trains)
        return;
    limits->x_low = fmin(limits->x_low, fmax(sample->examples, 1));
    limits->x_high = fmax(limits->x_high, sample->examples);
}

static void set_axes(struct chart *chart, const struct curves *curves)
{
    const struct box *plot = &chart->plot;
    struct measured target = chart->report->target;
    struct limits limits = {INFINITY, 1, INFINITY, -INFINITY};
    for (size_t i = 0; i < curves->count; i++) {
        const struct curve *curve = &curves->items[i];
        const struct report_forecast *forecast = &curve->ranked->forecast;
        for (size_t j = 0; j < curve->count; j++)
            widen(&limits, &curve->samples[j], curve->trains);
        for (size_t j = 0; j < forecast->count; j++)
            widen(&limits,
                  &(struct sample){.examples = forecast->points[j].examples,
                                   .low = forecast->points[j].low,
                                   .high = forecast->points[j].high},
                  true);
    }
    if (target.known) {
        limits.y_low = fmin(limits.y_low, target.value);
        limits.y_high = fmax(limits.y_high, target.value);
    }
    chart->x = axis_log(UNIT_EXAMPLES, limits.x_low, limits.x_high, false, plot->x + 16,
                        plot->x + plot->width - 16);
    chart->y = axis_linear(limits.y_low, limits.y_high, plot->y + plot->height, plot->y, 6);
}

/* ---- Drawing ----------------------------------------------------------------------------------
 */

static void draw_level(struct chart *chart, const struct curve *curve, struct end_label *label)
{
    char style[SERIES_STYLE];
    const struct box *plot = &chart->plot;
    double y = axis_at(&chart->y, curve->samples[curve->count - 1].metric);
    svg_line(&chart->svg, (struct point){plot->x, y}, (struct point){plot->x + plot->width, y},
             series_style(chart->report, curve->ranked, "level", style));
    *label = (struct end_label){curve->ranked, y};
}

static struct point point_of(const struct chart *chart, const struct curve *curve, double examples,
                             double metric)
{
    struct point point = chart_point(chart, examples, metric);
    point.x += curve->aside * (chart->narrow ? 0.6 : 1);
    return point;
}

/* From the last trial on. */
static void draw_forecast(struct chart *chart, const struct curve *curve, struct end_label *label)
{
    const struct report_forecast *forecast = &curve->ranked->forecast;
    const struct sample *last = &curve->samples[curve->count - 1];
    char style[SERIES_STYLE];
    size_t count = 1;
    struct point *lines = memory_alloc(3 * (forecast->count + 1) * sizeof *lines);
    struct point *low = lines + forecast->count + 1, *high = low + forecast->count + 1;
    lines[0] = low[0] = high[0] = point_of(chart, curve, last->examples, last->metric);
    for (size_t i = 0; i < forecast->count; i++) {
        const struct forecast_point *point = &forecast->points[i];
        if (point->examples <= last->examples)
            continue;
        lines[count] = chart_point(chart, point->examples, point->metric);
        low[count] = chart_point(chart, point->examples, point->low);
        high[count++] = chart_point(chart, point->examples, point->high);
    }
    if (count > 1) {
        svg_band(&chart->svg, low, high, count,
                 series_style(chart->report, curve->ranked, "band", style));
        svg_polyline(&chart->svg, lines, count,
                     series_style(chart->report, curve->ranked, "forecast", style));
        label->y = lines[count - 1].y;
    }
    free(lines);
}

static void draw_samples(struct chart *chart, const struct curve *curve, struct point *points)
{
    char style[SERIES_STYLE];
    for (size_t i = 0; i < curve->count; i++) {
        const struct sample *sample = &curve->samples[i];
        points[i] = point_of(chart, curve, sample->examples, sample->metric);
        svg_line(&chart->svg, point_of(chart, curve, sample->examples, sample->low),
                 point_of(chart, curve, sample->examples, sample->high),
                 series_style(chart->report, curve->ranked, "whisker", style));
    }
    svg_polyline(&chart->svg, points, curve->count,
                 series_style(chart->report, curve->ranked, "line", style));
    for (size_t i = 0; i < curve->count; i++)
        svg_mark(&chart->svg, series_shape(chart->report, curve->ranked), points[i], 4.2,
                 series_style(chart->report, curve->ranked, "mark", style));
}

static void draw_curve(struct chart *chart, const struct curve *curve, struct end_label *label)
{
    if (!curve->trains) {
        draw_level(chart, curve, label);
        return;
    }
    char style[SERIES_STYLE];
    struct point *points = memory_alloc(curve->count * sizeof *points);
    *label = (struct end_label){curve->ranked,
                                axis_at(&chart->y, curve->samples[curve->count - 1].metric)};
    draw_forecast(chart, curve, label);
    draw_samples(chart, curve, points);
    struct point end = points[curve->count - 1];
    if (!curve->ranked->forecast.count)
        svg_line(&chart->svg, end, (struct point){chart->plot.x + chart->plot.width, end.y},
                 series_style(chart->report, curve->ranked, "extension", style));
    free(points);
}

static void describe(const struct report *report, const struct curves *curves, struct text *out)
{
    text_printf(out, "%s by number of training examples. ", report->metric);
    for (size_t i = 0; i < curves->count; i++) {
        const struct curve *curve = &curves->items[i];
        text_printf(out, "%s: ", curve->ranked->technique);
        for (size_t j = 0; j < curve->count && curve->trains; j++)
            text_printf(out, "%s%.0f examples %.3f", j ? ", " : "", curve->samples[j].examples,
                        curve->samples[j].metric);
        if (!curve->trains)
            text_printf(out, "%.3f without training", curve->samples[curve->count - 1].metric);
        const struct report_forecast *forecast = &curve->ranked->forecast;
        for (size_t j = 0; j < forecast->count; j++)
            text_printf(out, ", expected %.3f (%.3f to %.3f) at %.0f", forecast->points[j].metric,
                        forecast->points[j].low, forecast->points[j].high,
                        forecast->points[j].examples);
        text_add(out, ". ");
    }
}

void chart_curves(const struct report *report, bool narrow, struct text *out)
{
    struct text title = {0}, description = {0};
    struct curves curves = gather(report);
    struct end_label *labels = arena_alloc(&curves.arena, curves.count * sizeof *labels + 1);
    text_printf(&title, "%s against training examples", report->metric);
    describe(report, &curves, &description);
    struct chart chart = chart_begin(report, "curves", narrow, curves.count, text_string(&title),
                                     text_string(&description), out);
    set_axes(&chart, &curves);
    chart_axes(&chart, "training examples", report->metric);
    chart_target(&chart);
    for (size_t i = curves.count; i--;)
        draw_curve(&chart, &curves.items[i], &labels[i]);
    chart_end_labels(&chart, labels, curves.count);
    svg_end(&chart.svg);
    text_release(&title);
    text_release(&description);
    arena_release(&curves.arena);
}
