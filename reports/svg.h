/* SPDX-License-Identifier: Apache-2.0
 *
 * Pictures as SVG inside an HTML page: axes, marks, and labels that keep out of each other's way.
 *
 * Coordinates are CSS pixels, y downwards, written with one decimal; a picture is drawn at the size
 * at which it is shown, so that its letters have the size of the page's. Colours are left to the
 * page's style sheet: an element has classes, and a series has the class "s0" to "s7", or "sb" for
 * a baseline, which sets `color`. Colour never stands alone: every series has a shape and a name
 * too. Text is escaped here; it has to be free of control characters (reports/plain.h).
 */
#ifndef REPORTS_SVG_H
#define REPORTS_SVG_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"

struct svg {
    struct text *out; /* not owned */
    double width, height;
};

/* Starts a picture: `id` is unique on the page; `title` and `description` are what a screen reader
 * says instead of it; `style` is a class, or "". */
struct svg svg_begin(struct text *out, double width, double height, const char *id,
                     const char *style, const char *title, const char *description);
void svg_end(struct svg *svg);

struct point {
    double x, y;
};

void svg_line(struct svg *svg, struct point from, struct point to, const char *style);
void svg_polyline(struct svg *svg, const struct point *points, size_t count, const char *style);

/* The area between two lines over the same x: `low` and `high` (count). */
void svg_band(struct svg *svg, const struct point *low, const struct point *high, size_t count,
              const char *style);

enum svg_anchor { SVG_START, SVG_MIDDLE, SVG_END };

/* `at.y` is the base line of the letters. */
void svg_text(struct svg *svg, struct point at, enum svg_anchor anchor, const char *style,
              const char *string);
double svg_text_width(const char *string); /* about, never too little, at the size of labels */

enum { SVG_SHAPES = 8, SVG_LETTER_HEIGHT = 12 };

/* Shape `shape` modulo SVG_SHAPES; its `radius` is half its width. */
void svg_mark(struct svg *svg, int shape, struct point at, double radius, const char *style);

/* ---- Axes --------------------------------------------------------------------------------------
 */

enum scale { SCALE_LINEAR, SCALE_LOG };

/* What the numbers on an axis count, which decides about ticks and their labels. */
enum unit {
    UNIT_NUMBER,   /* 0.25 */
    UNIT_COUNT,    /* 1, 10, 1k */
    UNIT_EXAMPLES, /* 64, 128, 256 */
    UNIT_SECONDS,  /* 1 s, 10 s, 1 min */
    UNIT_BYTES     /* 1 MB = 2^20 */
};

struct axis {
    enum scale scale;
    enum unit unit;
    double low, high; /* at `from` and `to`; low > 0 for SCALE_LOG */
    double from, to;  /* pixels */
    bool zero;        /* SCALE_LOG: zero has a place of its own, at `zero_at` */
    double zero_at;
};

enum { AXIS_TICKS = 32 };

/* An axis over low .. high, widened to round numbers; `low` <= `high`, any finite values. With
 * SCALE_LOG values of zero or below have the place of zero. `from` is a distance of pixels from
 * `to`; `ticks` is how many are wanted, about. */
struct axis axis_linear(double low, double high, double from, double to, int ticks);
struct axis axis_log(enum unit unit, double low, double high, bool zero, double from, double to);

double axis_at(const struct axis *axis, double value); /* pixels; clamped to the axis */

/* The round numbers to label, at most AXIS_TICKS; the labels of a log axis keep `gap` pixels
 * between them. */
size_t axis_ticks(const struct axis *axis, double gap, double ticks[AXIS_TICKS]);
void axis_label(const struct axis *axis, double value, struct text *out);

/* ---- Labels that do not overlap ----------------------------------------------------------------
 */

struct box {
    double x, y, width, height; /* x, y: the corner at the top left */
};

enum { MOST_BOXES = 128 };

/* Places that are taken, each with a weight: how bad it is to cover it. */
struct placer {
    struct box bounds;
    struct box boxes[MOST_BOXES];
    double weights[MOST_BOXES];
    size_t count;
};

void placer_block(struct placer *placer, struct box box, double weight);

/* Finds the best place near `mark` for a label of this width, takes it, and returns it. `radius` is
 * that of the mark. */
struct box placer_find(struct placer *placer, struct point mark, double radius, double width);

/* Moves positions (count, in increasing order) apart until neighbours are `gap` from each other,
 * within low .. high as far as that is possible, moving each as little as can be. */
void spread(double *positions, size_t count, double gap, double low, double high);

#endif
