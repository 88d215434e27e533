/* SPDX-License-Identifier: Apache-2.0 */
#include "reports/chart.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Series -----------------------------------------------------------------------------------
 */

static bool is_baseline(const struct ranked *ranked)
{
    return !strcmp(ranked->family, "baseline");
}

/* Place among the techniques of the ranking that are no baseline. */
int series_shape(const struct report *report, const struct ranked *ranked)
{
    int place = 0;
    for (const struct ranked *at = report->ranking; at < ranked; at++)
        place += !is_baseline(at);
    return is_baseline(ranked) ? SVG_SHAPES - 1 : place % (SVG_SHAPES - 1);
}

const char *series_style(const struct report *report, const struct ranked *ranked, const char *more,
                         char buffer[SERIES_STYLE])
{
    bool best = report->technique && !strcmp(report->technique, ranked->technique);
    char series[8] = "sb";
    int place = 0;
    for (const struct ranked *at = report->ranking; at < ranked; at++)
        place += !is_baseline(at);
    if (!is_baseline(ranked))
        snprintf(series, sizeof series, "s%d", place % 8);
    snprintf(buffer, SERIES_STYLE, "%s%s%s%s", series, *more ? " " : "", more, best ? " best" : "");
    return buffer;
}

enum { LEGEND_ROW = 20 };

/* ---- Frame ------------------------------------------------------------------------------------
 */

struct chart chart_begin(const struct report *report, const char *name, bool narrow, size_t labels,
                         const char *title, const char *description, struct text *out)
{
    enum { LEFT = 46, TOP = 34, BOTTOM = 46 };
    double width = narrow ? 340 : 860, height = narrow ? 370 : 440;
    double right = !labels ? 12 : narrow ? 26 : 156;
    size_t rows = (labels + 1) / 2;
    double below = narrow ? LEGEND_ROW * (double)rows : 0;
    char id[64];
    snprintf(id, sizeof id, "%s-%s", name, narrow ? "n" : "w");
    struct chart chart = {.report = report, .narrow = narrow};
    chart.svg =
        svg_begin(out, width, height + below, id, narrow ? "narrow" : "wide", title, description);
    chart.plot = (struct box){LEFT, TOP, width - LEFT - right, height - TOP - BOTTOM};
    return chart;
}

struct point chart_point(const struct chart *chart, double x, double y)
{
    return (struct point){axis_at(&chart->x, x), axis_at(&chart->y, y)};
}

static void draw_x_axis(struct chart *chart, const char *title)
{
    const struct box *plot = &chart->plot;
    double bottom = plot->y + plot->height, ticks[AXIS_TICKS + 1];
    size_t count = axis_ticks(&chart->x, 52, ticks);
    if (chart->x.zero)
        ticks[count++] = 0;
    for (size_t i = 0; i < count; i++) {
        struct text label = {0};
        double x = axis_at(&chart->x, ticks[i]);
        axis_label(&chart->x, ticks[i], &label);
        svg_line(&chart->svg, (struct point){x, plot->y}, (struct point){x, bottom}, "grid");
        svg_text(&chart->svg, (struct point){x, bottom + 17}, SVG_MIDDLE, "tick",
                 text_string(&label));
        text_release(&label);
    }
    double start = chart->x.zero ? chart->x.zero_at + 13 : plot->x;
    svg_line(&chart->svg, (struct point){start, bottom},
             (struct point){plot->x + plot->width, bottom}, "axis");
    if (chart->x.zero) /* zero is not on the scale */
        svg_line(&chart->svg, (struct point){plot->x, bottom}, (struct point){start - 6, bottom},
                 "axis");
    svg_text(&chart->svg, (struct point){plot->x + plot->width, bottom + 36}, SVG_END, "title",
             title);
}

void chart_axes(struct chart *chart, const char *x_title, const char *y_title)
{
    const struct box *plot = &chart->plot;
    double ticks[AXIS_TICKS];
    size_t count = axis_ticks(&chart->y, 40, ticks);
    for (size_t i = 0; i < count; i++) {
        struct text label = {0};
        double y = axis_at(&chart->y, ticks[i]);
        axis_label(&chart->y, ticks[i], &label);
        svg_line(&chart->svg, (struct point){plot->x, y}, (struct point){plot->x + plot->width, y},
                 "grid");
        svg_text(&chart->svg, (struct point){plot->x - 7, y + 4}, SVG_END, "tick",
                 text_string(&label));
        text_release(&label);
    }
    svg_text(&chart->svg, (struct point){4, 16}, SVG_START, "title", y_title);
    draw_x_axis(chart, x_title);
}

void chart_target(struct chart *chart)
{
    const struct report *report = chart->report;
    const struct box *plot = &chart->plot;
    char label[48];
    if (!report->target.known)
        return;
    double y = axis_at(&chart->y, report->target.value);
    snprintf(label, sizeof label, "target %.3g", report->target.value);
    svg_line(&chart->svg, (struct point){plot->x, y}, (struct point){plot->x + plot->width, y},
             "target");
    svg_text(&chart->svg, (struct point){plot->x + 4, y - 5}, SVG_START, "target-label", label);
}

/* ---- Labels at the right ----------------------------------------------------------------------
 */

static int by_height(const void *a, const void *b)
{
    const struct end_label *x = a, *y = b;
    if (x->y < y->y || x->y > y->y)
        return x->y < y->y ? -1 : 1;
    return x->ranked < y->ranked ? -1 : x->ranked > y->ranked;
}

/* The mark behind a line's end, tied to it. */
static void draw_end(struct chart *chart, const struct end_label *label, double y)
{
    double right = chart->plot.x + chart->plot.width;
    char style[SERIES_STYLE];
    svg_line(&chart->svg, (struct point){right, label->y}, (struct point){right + 13, y},
             series_style(chart->report, label->ranked, "leader", style));
    svg_mark(&chart->svg, series_shape(chart->report, label->ranked), (struct point){right + 17, y},
             3.8, series_style(chart->report, label->ranked, "mark", style));
}

/* Entry `i` of `count` in two columns below the plot. */
static void draw_legend(struct chart *chart, const struct ranked *ranked, size_t i, size_t count)
{
    size_t rows = (count + 1) / 2, column = i / rows;
    char style[SERIES_STYLE];
    struct point at = {12 + 170 * (double)column,
                       chart->svg.height + LEGEND_ROW * ((double)(i % rows) - (double)rows + 0.5)};
    svg_mark(&chart->svg, series_shape(chart->report, ranked), at, 4.2,
             series_style(chart->report, ranked, "mark", style));
    svg_text(&chart->svg, (struct point){at.x + 11, at.y + 4}, SVG_START,
             series_style(chart->report, ranked, "label", style), ranked->technique);
}

void chart_end_labels(struct chart *chart, struct end_label *labels, size_t count)
{
    enum { MOST = 64 };
    const struct box *plot = &chart->plot;
    double places[MOST];
    char style[SERIES_STYLE];
    count = count < MOST ? count : MOST;
    qsort(labels, count, sizeof *labels, by_height);
    for (size_t i = 0; i < count; i++)
        places[i] = labels[i].y;
    spread(places, count, chart->narrow ? 11 : 16, plot->y, plot->y + plot->height);
    for (size_t i = 0; i < count; i++) {
        const struct ranked *ranked = labels[i].ranked;
        draw_end(chart, &labels[i], places[i]);
        if (chart->narrow)
            draw_legend(chart, ranked, i, count);
        else
            svg_text(&chart->svg, (struct point){plot->x + plot->width + 26, places[i] + 4},
                     SVG_START, series_style(chart->report, ranked, "label", style),
                     ranked->technique);
    }
}
