/* SPDX-License-Identifier: Apache-2.0
 *
 * What a technique costs over its life: model tokens to train it once, and for each request after
 * that; and the numbers of requests at which one overtakes another.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "reports/chart.h"
#include "reports/human.h"

bool has_lifetime_cost(const struct ranked *ranked)
{
    return ranked->status == STANDING_MEASURED && ranked->training_tokens.known &&
           ranked->tokens_per_request.known && ranked->tokens_per_request.value > 0;
}

const struct ranked *lifetime_reference(const struct report *report)
{
    const struct ranked *chosen = report_ranked(report, report->technique);
    if (chosen && has_lifetime_cost(chosen))
        return chosen;
    for (size_t i = 0; i < report->ranking_count; i++)
        if (has_lifetime_cost(&report->ranking[i]))
            return &report->ranking[i];
    return NULL;
}

static size_t count_costs(const struct report *report)
{
    size_t count = 0;
    for (size_t i = 0; i < report->ranking_count; i++)
        count += has_lifetime_cost(&report->ranking[i]);
    return count;
}

bool chart_has_lifetime(const struct report *report)
{
    return count_costs(report) > 0;
}

struct break_even break_even_of(const struct ranked *a, const struct ranked *b)
{
    double once = a->training_tokens.value - b->training_tokens.value;
    double each = a->tokens_per_request.value - b->tokens_per_request.value;
    if (fabs(once) < 0.5 && fabs(each) < 1e-9)
        return (struct break_even){SAME_COST, 0};
    if (once <= 0 && each <= 0)
        return (struct break_even){ALWAYS_CHEAPER, 0};
    if (once >= 0 && each >= 0)
        return (struct break_even){NEVER_CHEAPER, 0};
    return (struct break_even){each < 0 ? CHEAPER_FROM : CHEAPER_UP_TO, ceil(-once / each)};
}

static double cost_at(const struct ranked *ranked, double requests)
{
    return ranked->training_tokens.value + ranked->tokens_per_request.value * requests;
}

static bool crosses(struct break_even point)
{
    return point.crossing == CHEAPER_FROM || point.crossing == CHEAPER_UP_TO;
}

/* ---- Axes -------------------------------------------------------------------------------------
 */

/* As far as the user looks, and as far as anything happens within a thousand million requests. */
static double last_request(const struct report *report)
{
    const struct ranked *reference = lifetime_reference(report);
    double most = 1e5;
    if (report->requests.known)
        most = fmax(most, 10 * report->requests.value);
    for (size_t i = 0; i < report->ranking_count; i++) {
        if (!has_lifetime_cost(&report->ranking[i]))
            continue;
        struct break_even point = break_even_of(&report->ranking[i], reference);
        if (crosses(point) && point.requests < 1e9)
            most = fmax(most, 10 * point.requests);
    }
    return pow(10, ceil(log10(most)));
}

static void set_axes(struct chart *chart)
{
    const struct report *report = chart->report;
    const struct box *plot = &chart->plot;
    double requests = last_request(report), low = INFINITY, high = 1;
    for (size_t i = 0; i < report->ranking_count; i++) {
        const struct ranked *ranked = &report->ranking[i];
        if (!has_lifetime_cost(ranked))
            continue;
        low = fmin(low, cost_at(ranked, 10));
        high = fmax(high, cost_at(ranked, requests));
    }
    chart->x = axis_log(UNIT_COUNT, 10, requests, false, plot->x, plot->x + plot->width);
    chart->y = axis_log(UNIT_COUNT, fmax(low, 1), high, false, plot->y + plot->height, plot->y);
}

/* ---- Drawing ----------------------------------------------------------------------------------
 */

static void draw_cost(struct chart *chart, const struct ranked *ranked, struct end_label *label)
{
    enum { STEPS = 49 };
    struct point points[STEPS];
    char style[SERIES_STYLE];
    for (int i = 0; i < STEPS; i++) {
        double share = (double)i / (STEPS - 1);
        double requests = chart->x.low * pow(chart->x.high / chart->x.low, share);
        points[i] = chart_point(chart, requests, cost_at(ranked, requests));
    }
    svg_polyline(&chart->svg, points, STEPS, series_style(chart->report, ranked, "line", style));
    *label = (struct end_label){ranked, points[STEPS - 1].y};
}

static void draw_requests(struct chart *chart)
{
    const struct box *plot = &chart->plot;
    struct text label = {0};
    if (!chart->report->requests.known)
        return;
    double x = axis_at(&chart->x, chart->report->requests.value);
    human_count(&label, chart->report->requests);
    text_add(&label, " requests");
    svg_line(&chart->svg, (struct point){x, plot->y}, (struct point){x, plot->y + plot->height},
             "target");
    svg_text(&chart->svg, (struct point){x - 5, plot->y + plot->height - 8}, SVG_END,
             "target-label", text_string(&label));
    text_release(&label);
}

static bool is_drawn(const struct chart *chart, struct break_even point)
{
    return crosses(point) && point.requests >= chart->x.low && point.requests <= chart->x.high;
}

/* Techniques that cost nearly the same cross at nearly the same place: one ring says it for all. */
static bool has_ring(const struct chart *chart, const struct ranked *ranked,
                     const struct ranked *reference)
{
    enum { CLOSE = 8 };
    double x = axis_at(&chart->x, break_even_of(ranked, reference).requests);
    for (const struct ranked *other = chart->report->ranking; other < ranked; other++) {
        if (!has_lifetime_cost(other) || other == reference)
            continue;
        struct break_even point = break_even_of(other, reference);
        if (is_drawn(chart, point) && fabs(axis_at(&chart->x, point.requests) - x) < CLOSE)
            return true;
    }
    return false;
}

static void draw_break_even(struct chart *chart, const struct ranked *ranked,
                            const struct ranked *reference, struct placer *placer)
{
    struct break_even point = break_even_of(ranked, reference);
    if (!is_drawn(chart, point) || has_ring(chart, ranked, reference))
        return;
    struct text label = {0};
    struct point at = chart_point(chart, point.requests, cost_at(ranked, point.requests));
    human_count(&label, measured(point.requests));
    svg_mark(&chart->svg, 0, at, 4.5, "break");
    placer_block(placer, (struct box){at.x - 6, at.y - 6, 12, 12}, 12);
    struct box box = placer_find(placer, at, 5, svg_text_width(text_string(&label)));
    svg_text(&chart->svg, (struct point){box.x + 1, box.y + SVG_LETTER_HEIGHT - 2}, SVG_START,
             "label break-label", text_string(&label));
    text_release(&label);
}

/* The lines themselves are in the way of labels. */
static void block_lines(const struct chart *chart, struct placer *placer)
{
    enum { STEPS = 16, MOST_LINES = 6 };
    size_t lines = 0;
    for (size_t i = 0; i < chart->report->ranking_count && lines < MOST_LINES; i++) {
        const struct ranked *ranked = &chart->report->ranking[i];
        if (!has_lifetime_cost(ranked))
            continue;
        lines++;
        for (int j = 0; j < STEPS; j++) {
            double requests = chart->x.low * pow(chart->x.high / chart->x.low, (j + 0.5) / STEPS);
            struct point at = chart_point(chart, requests, cost_at(ranked, requests));
            double width = chart->plot.width / STEPS;
            placer_block(placer, (struct box){at.x - width / 2, at.y - 5, width, 10}, 3);
        }
    }
}

static void describe(const struct report *report, struct text *out)
{
    const struct ranked *reference = lifetime_reference(report);
    text_add(out, "Model tokens to train once and to answer so many requests. ");
    for (size_t i = 0; i < report->ranking_count; i++) {
        const struct ranked *ranked = &report->ranking[i];
        if (!has_lifetime_cost(ranked))
            continue;
        text_printf(out, "%s: ", ranked->technique);
        human_count(out, ranked->training_tokens);
        text_printf(out, " to train, %.0f for each request", ranked->tokens_per_request.value);
        struct break_even point = break_even_of(ranked, reference);
        if (crosses(point)) {
            text_printf(out, ", cheaper than %s %s ", reference->technique,
                        point.crossing == CHEAPER_FROM ? "from" : "up to");
            human_count(out, measured(point.requests));
            text_add(out, " requests");
        }
        text_add(out, ". ");
    }
}

static void draw_all(struct chart *chart)
{
    const struct report *report = chart->report;
    const struct ranked *reference = lifetime_reference(report);
    struct end_label *labels = memory_alloc((report->ranking_count + 1) * sizeof *labels);
    struct placer placer = {.bounds = chart->plot};
    size_t count = 0;
    for (size_t i = report->ranking_count; i--;)
        if (has_lifetime_cost(&report->ranking[i]))
            draw_cost(chart, &report->ranking[i], &labels[count++]);
    block_lines(chart, &placer);
    for (size_t i = 0; i < report->ranking_count; i++)
        if (has_lifetime_cost(&report->ranking[i]))
            draw_break_even(chart, &report->ranking[i], reference, &placer);
    chart_end_labels(chart, labels, count);
    free(labels);
}

void chart_lifetime(const struct report *report, bool narrow, struct text *out)
{
    struct text description = {0};
    describe(report, &description);
    struct chart chart =
        chart_begin(report, "lifetime", narrow, count_costs(report),
                    "Lifetime cost against number of requests", text_string(&description), out);
    set_axes(&chart);
    chart_axes(&chart, "requests", "model tokens, training included");
    draw_requests(&chart);
    draw_all(&chart);
    svg_end(&chart.svg);
    text_release(&description);
}
