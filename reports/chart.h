/* SPDX-License-Identifier: Apache-2.0
 *
 * The pictures of a report, one file each. Every picture is drawn twice, for wide and for narrow
 * pages, as letters must not shrink with the picture; the style sheet shows one of them.
 */
#ifndef REPORTS_CHART_H
#define REPORTS_CHART_H

#include "reports/report.h"
#include "reports/svg.h"

/* What a technique costs on the horizontal axis of the Pareto picture. */
enum chart_cost { COST_TRAINING, COST_REQUEST, COST_MEMORY, CHART_COSTS };

const char *chart_cost_name(enum chart_cost cost); /* "training time" */

void chart_pareto(const struct report *report, enum chart_cost cost, bool narrow, struct text *out);

/* Whether there is anything to draw: a technique that trains, measured. */
bool chart_has_curves(const struct report *report);
void chart_curves(const struct report *report, bool narrow, struct text *out);

bool chart_has_lifetime(const struct report *report);
void chart_lifetime(const struct report *report, bool narrow, struct text *out);

/* Requests from which on `a` has cost less than `b`, or up to which; see struct break_even. */
enum crossing { ALWAYS_CHEAPER, NEVER_CHEAPER, CHEAPER_FROM, CHEAPER_UP_TO, SAME_COST };

struct break_even {
    enum crossing crossing;
    double requests; /* CHEAPER_FROM, CHEAPER_UP_TO */
};

/* Tokens to train once and tokens per request of `a` against those of `b`; both are measured. */
struct break_even break_even_of(const struct ranked *a, const struct ranked *b);

/* The technique that the others are compared with: the recommended one, else the best measured one
 * that is no baseline; NULL when there is none with a cost. */
const struct ranked *lifetime_reference(const struct report *report);
bool has_lifetime_cost(const struct ranked *ranked); /* and more than nothing */

/* ---- What the pictures share -------------------------------------------------------------------
 */

struct chart {
    const struct report *report;
    struct svg svg;
    struct box plot; /* inside the axes */
    struct axis x, y;
    bool narrow;
};

/* Starts a picture called `name` and leaves room for so many end labels: beside the plot, or below
 * it on a narrow page. The axes are to be set by the caller, within the plot. */
struct chart chart_begin(const struct report *report, const char *name, bool narrow, size_t labels,
                         const char *title, const char *description, struct text *out);

/* Grid, ticks and titles. */
void chart_axes(struct chart *chart, const char *x_title, const char *y_title);

/* A horizontal line at the target, if there is one, with its label. */
void chart_target(struct chart *chart);

struct point chart_point(const struct chart *chart, double x, double y);

/* "s3", "sb" for a baseline; with "best" for the technique that is recommended. `buffer` is
 * returned. */
enum { SERIES_STYLE = 64 };
const char *series_style(const struct report *report, const struct ranked *ranked, const char *more,
                         char buffer[SERIES_STYLE]);
int series_shape(const struct report *report, const struct ranked *ranked);

/* Names at the right edge of the plot, each beside where its line ends. On a narrow page the marks
 * alone stand there, and the names below the plot in the order of the marks. */
struct end_label {
    const struct ranked *ranked;
    double y; /* where the line ends */
};
void chart_end_labels(struct chart *chart, struct end_label *labels, size_t count);

#endif
