/* SPDX-License-Identifier: Apache-2.0
 *
 * What accuracy costs: every measured technique by its metric, with the interval, and one of its
 * costs; a line joins those that none beats in both.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "reports/chart.h"
#include "reports/human.h"

struct cost {
    const char *name, *title;
    const char *id;
    enum unit unit;
    size_t at; /* in struct ranked */
};

static const struct cost costs[CHART_COSTS] = {
    [COST_TRAINING] = {"training time", "training time on this machine", "pareto-time",
                       UNIT_SECONDS, offsetof(struct ranked, train_seconds)},
    [COST_REQUEST] = {"request cost", "model tokens per request", "pareto-request", UNIT_COUNT,
                      offsetof(struct ranked, tokens_per_request)},
    [COST_MEMORY] = {"memory", "peak memory", "pareto-memory", UNIT_BYTES,
                     offsetof(struct ranked, peak_memory_bytes)},
};

const char *chart_cost_name(enum chart_cost cost)
{
    return costs[cost].name;
}

/* A time of training that was not measured is that of a technique that does not train. */
static double cost_of(const struct ranked *ranked, enum chart_cost cost)
{
    struct measured value = *(const struct measured *)((const char *)ranked + costs[cost].at);
    return value.known ? value.value : 0;
}

static bool is_drawn(const struct ranked *ranked)
{
    return ranked->status == STANDING_MEASURED && ranked->metric.known;
}

/* ---- Words ------------------------------------------------------------------------------------
 */

static void describe(const struct report *report, enum chart_cost cost, struct text *out)
{
    text_printf(out, "%s against %s. ", report->metric, costs[cost].title);
    for (size_t i = 0; i < report->ranking_count; i++) {
        const struct ranked *ranked = &report->ranking[i];
        struct axis axis = {.scale = SCALE_LOG, .unit = costs[cost].unit};
        if (!is_drawn(ranked))
            continue;
        text_printf(out, "%s: ", ranked->technique);
        human_interval(out, ranked->metric, ranked->low, ranked->high);
        text_add(out, " at ");
        if (cost == COST_TRAINING)
            human_seconds(out, measured(cost_of(ranked, cost)));
        else if (cost == COST_MEMORY)
            human_bytes(out, measured(cost_of(ranked, cost)));
        else
            axis_label(&axis, round(cost_of(ranked, cost)), out);
        text_add(out, ". ");
    }
}

/* ---- Axes -------------------------------------------------------------------------------------
 */

struct range {
    double low, high;
    bool any, zero;
};

static void widen(struct range *range, double value)
{
    range->low = range->any ? fmin(range->low, value) : value;
    range->high = range->any ? fmax(range->high, value) : value;
    range->any = true;
}

static void set_axes(struct chart *chart, enum chart_cost cost)
{
    const struct report *report = chart->report;
    const struct box *plot = &chart->plot;
    struct range x = {0}, y = {0};
    for (size_t i = 0; i < report->ranking_count; i++) {
        const struct ranked *ranked = &report->ranking[i];
        double value = cost_of(ranked, cost);
        if (!is_drawn(ranked))
            continue;
        if (value > 0)
            widen(&x, value);
        else
            x.zero = true;
        widen(&y, ranked->low.known ? ranked->low.value : ranked->metric.value);
        widen(&y, ranked->high.known ? ranked->high.value : ranked->metric.value);
    }
    if (report->target.known)
        widen(&y, report->target.value);
    if (!x.any)
        x = (struct range){1, 10, true, x.zero};
    chart->x = axis_log(costs[cost].unit, x.low / 1.25, x.high * 1.25, x.zero, plot->x + 14,
                        plot->x + plot->width - 14);
    chart->y = axis_linear(y.low, y.high, plot->y + plot->height, plot->y, 6);
}

/* ---- Front ------------------------------------------------------------------------------------
 */

/* No other technique is as good for less, or better for as little. */
static bool on_front(const struct report *report, const struct ranked *ranked, enum chart_cost cost)
{
    double ours = cost_of(ranked, cost);
    for (size_t i = 0; i < report->ranking_count; i++) {
        const struct ranked *other = &report->ranking[i];
        double theirs = cost_of(other, cost);
        if (other == ranked || !is_drawn(other))
            continue;
        bool as_good = other->metric.value >= ranked->metric.value && theirs <= ours;
        if (as_good && (other->metric.value > ranked->metric.value || theirs < ours))
            return false;
    }
    return true;
}

static int by_place(const void *a, const void *b)
{
    const struct point *x = a, *y = b;
    if (x->x < y->x || x->x > y->x)
        return x->x < y->x ? -1 : 1;
    return x->y > y->y ? -1 : x->y < y->y;
}

/* Stairs: at a cost, the best there is for that cost or less. */
static void draw_front(struct chart *chart, enum chart_cost cost, struct placer *placer)
{
    const struct report *report = chart->report;
    struct point *corners = memory_alloc((report->ranking_count + 1) * sizeof *corners);
    struct point *stairs = memory_alloc((2 * report->ranking_count + 2) * sizeof *stairs);
    size_t count = 0, steps = 0;
    for (size_t i = 0; i < report->ranking_count; i++) {
        const struct ranked *ranked = &report->ranking[i];
        if (is_drawn(ranked) && on_front(report, ranked, cost))
            corners[count++] = chart_point(chart, cost_of(ranked, cost), ranked->metric.value);
    }
    qsort(corners, count, sizeof *corners, by_place);
    for (size_t i = 0; i < count; i++) {
        if (i)
            stairs[steps++] = (struct point){corners[i].x, corners[i - 1].y};
        stairs[steps++] = corners[i];
    }
    if (count)
        stairs[steps++] = (struct point){chart->plot.x + chart->plot.width, corners[count - 1].y};
    svg_polyline(&chart->svg, stairs, steps, "front");
    for (size_t i = 0; i + 1 < steps; i++) {
        struct point a = stairs[i], b = stairs[i + 1];
        placer_block(placer,
                     (struct box){fmin(a.x, b.x) - 2, fmin(a.y, b.y) - 2, fabs(a.x - b.x) + 4,
                                  fabs(a.y - b.y) + 4},
                     1.5);
    }
    free(corners);
    free(stairs);
}

/* ---- Marks ------------------------------------------------------------------------------------
 */

static double radius_of(const struct report *report, const struct ranked *ranked)
{
    return report->technique && !strcmp(report->technique, ranked->technique) ? 7 : 5;
}

static void draw_mark(struct chart *chart, const struct ranked *ranked, enum chart_cost cost)
{
    char style[SERIES_STYLE];
    double value = cost_of(ranked, cost);
    struct point at = chart_point(chart, value, ranked->metric.value);
    if (ranked->low.known && ranked->high.known) {
        struct point low = chart_point(chart, value, ranked->low.value);
        struct point high = chart_point(chart, value, ranked->high.value);
        series_style(chart->report, ranked, "whisker", style);
        svg_line(&chart->svg, low, high, style);
        svg_line(&chart->svg, (struct point){low.x - 4, low.y}, (struct point){low.x + 4, low.y},
                 style);
        svg_line(&chart->svg, (struct point){high.x - 4, high.y},
                 (struct point){high.x + 4, high.y}, style);
    }
    svg_mark(&chart->svg, series_shape(chart->report, ranked), at, radius_of(chart->report, ranked),
             series_style(chart->report, ranked, "mark", style));
}

static void block_marks(const struct chart *chart, enum chart_cost cost, struct placer *placer)
{
    const struct report *report = chart->report;
    for (size_t i = 0; i < report->ranking_count; i++) {
        const struct ranked *ranked = &report->ranking[i];
        double value = cost_of(ranked, cost);
        if (!is_drawn(ranked))
            continue;
        struct point at = chart_point(chart, value, ranked->metric.value);
        double r = radius_of(report, ranked) + 2;
        placer_block(placer, (struct box){at.x - r, at.y - r, 2 * r, 2 * r}, 12);
        if (!ranked->low.known || !ranked->high.known)
            continue;
        double top = axis_at(&chart->y, ranked->high.value);
        double bottom = axis_at(&chart->y, ranked->low.value);
        placer_block(placer, (struct box){at.x - 2, top, 4, bottom - top}, 2);
    }
    if (report->target.known) {
        double y = axis_at(&chart->y, report->target.value);
        placer_block(placer, (struct box){chart->plot.x, y - 1, chart->plot.width, 2}, 1);
        placer_block(placer, (struct box){chart->plot.x, y - 17, 76, 16}, 12);
    }
}

/* A label that had to go far is tied to its mark. */
static void draw_label(struct chart *chart, const struct ranked *ranked, enum chart_cost cost,
                       struct placer *placer)
{
    char style[SERIES_STYLE];
    struct point at = chart_point(chart, cost_of(ranked, cost), ranked->metric.value);
    double radius = radius_of(chart->report, ranked);
    struct box box = placer_find(placer, at, radius, svg_text_width(ranked->technique));
    struct point near = {fmin(fmax(at.x, box.x), box.x + box.width),
                         fmin(fmax(at.y, box.y), box.y + box.height)};
    if (hypot(near.x - at.x, near.y - at.y) > radius + 12)
        svg_line(&chart->svg, at, near, series_style(chart->report, ranked, "leader", style));
    svg_text(&chart->svg, (struct point){box.x + 1, box.y + SVG_LETTER_HEIGHT - 2}, SVG_START,
             series_style(chart->report, ranked, "label", style), ranked->technique);
}

void chart_pareto(const struct report *report, enum chart_cost cost, bool narrow, struct text *out)
{
    struct text title = {0}, description = {0};
    text_printf(&title, "%s against %s", report->metric, costs[cost].title);
    describe(report, cost, &description);
    struct chart chart = chart_begin(report, costs[cost].id, narrow, 0, text_string(&title),
                                     text_string(&description), out);
    set_axes(&chart, cost);
    chart_axes(&chart, costs[cost].title, report->metric);
    chart_target(&chart);
    struct placer placer = {
        .bounds = {chart.plot.x, chart.plot.y - 4, chart.plot.width + 8, chart.plot.height + 2}};
    draw_front(&chart, cost, &placer);
    block_marks(&chart, cost, &placer);
    for (size_t i = report->ranking_count; i--;)
        if (is_drawn(&report->ranking[i]))
            draw_mark(&chart, &report->ranking[i], cost);
    for (size_t i = 0; i < report->ranking_count; i++)
        if (is_drawn(&report->ranking[i]))
            draw_label(&chart, &report->ranking[i], cost, &placer);
    svg_end(&chart.svg);
    text_release(&title);
    text_release(&description);
}
