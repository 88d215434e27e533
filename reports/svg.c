/* SPDX-License-Identifier: Apache-2.0 */
#include "reports/svg.h"

#include <math.h>

#include "reports/html_text.h"

/* ---- Elements ---------------------------------------------------------------------------------
 */

struct svg svg_begin(struct text *out, double width, double height, const char *id,
                     const char *style, const char *title, const char *description)
{
    text_printf(out,
                "<svg class=\"%s\" viewBox=\"0 0 %.0f %.0f\" width=\"%.0f\" height=\"%.0f\" "
                "role=\"img\" aria-labelledby=\"%s-t %s-d\">\n<title id=\"%s-t\">",
                style, width, height, width, height, id, id, id);
    html_user_plain(out, title);
    text_printf(out, "</title>\n<desc id=\"%s-d\">", id);
    html_user_plain(out, description);
    text_add(out, "</desc>\n");
    return (struct svg){out, width, height};
}

void svg_end(struct svg *svg)
{
    text_add(svg->out, "</svg>\n");
}

/* One decimal, without "-0.0" and without a decimal that says nothing. */
static void add_number(struct text *out, double value)
{
    double tenths = round(value * 10);
    if (fmod(tenths, 10) != 0)
        text_printf(out, "%.1f", tenths / 10);
    else
        text_printf(out, "%.0f", tenths / 10 + 0.0);
}

static void add_attribute(struct text *out, const char *name, double value)
{
    text_printf(out, " %s=\"", name);
    add_number(out, value);
    text_add(out, "\"");
}

void svg_line(struct svg *svg, struct point from, struct point to, const char *style)
{
    text_printf(svg->out, "<line class=\"%s\"", style);
    add_attribute(svg->out, "x1", from.x);
    add_attribute(svg->out, "y1", from.y);
    add_attribute(svg->out, "x2", to.x);
    add_attribute(svg->out, "y2", to.y);
    text_add(svg->out, "/>\n");
}

static void add_point(struct text *out, struct point point)
{
    add_number(out, point.x);
    text_add(out, ",");
    add_number(out, point.y);
    text_add(out, " ");
}

void svg_polyline(struct svg *svg, const struct point *points, size_t count, const char *style)
{
    text_printf(svg->out, "<polyline class=\"%s\" points=\"", style);
    for (size_t i = 0; i < count; i++)
        add_point(svg->out, points[i]);
    text_add(svg->out, "\"/>\n");
}

void svg_band(struct svg *svg, const struct point *low, const struct point *high, size_t count,
              const char *style)
{
    text_printf(svg->out, "<polygon class=\"%s\" points=\"", style);
    for (size_t i = 0; i < count; i++)
        add_point(svg->out, high[i]);
    for (size_t i = count; i--;)
        add_point(svg->out, low[i]);
    text_add(svg->out, "\"/>\n");
}

void svg_text(struct svg *svg, struct point at, enum svg_anchor anchor, const char *style,
              const char *string)
{
    static const char *const anchors[] = {
        [SVG_START] = "", [SVG_MIDDLE] = " middle", [SVG_END] = " end"};
    text_printf(svg->out, "<text class=\"%s%s\"", style, anchors[anchor]);
    add_attribute(svg->out, "x", at.x);
    add_attribute(svg->out, "y", at.y);
    text_add(svg->out, ">");
    html_user_plain(svg->out, string);
    text_add(svg->out, "</text>\n");
}

double svg_text_width(const char *string)
{
    return 7.4 * utf8_columns(string) + 2;
}

/* Corners on a circle of radius 1, or a star's with every other one nearer. */
static void add_polygon(struct svg *svg, struct point at, double radius, int corners, double turn,
                        double inner, const char *style)
{
    const double pi = 3.14159265358979323846;
    int steps = inner < 1 ? 2 * corners : corners;
    text_printf(svg->out, "<polygon class=\"%s\" points=\"", style);
    for (int i = 0; i < steps; i++) {
        double r = inner < 1 && i % 2 ? radius * inner : radius;
        double angle = 2 * pi * (i + turn) / steps - pi / 2;
        add_point(svg->out, (struct point){at.x + r * cos(angle), at.y + r * sin(angle)});
    }
    text_add(svg->out, "\"/>\n");
}

void svg_mark(struct svg *svg, int shape, struct point at, double radius, const char *style)
{
    /* Rows are sizes that look alike: a triangle needs a longer radius than a square. */
    static const struct {
        int corners;
        double turn, inner, size;
    } shapes[SVG_SHAPES] = {{0, 0, 1, 1},      {4, 0.5, 1, 1.25},  {3, 0, 1, 1.35},
                            {4, 0, 1, 1.3},    {3, 0.5, 1, 1.35},  {5, 0, 0.45, 1.45},
                            {6, 0.5, 1, 1.15}, {4, 0.5, 0.35, 1.5}};
    int i = shape % SVG_SHAPES;
    if (shapes[i].corners) {
        double turn = shapes[i].inner < 1 ? 2 * shapes[i].turn : shapes[i].turn;
        add_polygon(svg, at, radius * shapes[i].size, shapes[i].corners, turn, shapes[i].inner,
                    style);
        return;
    }
    text_printf(svg->out, "<circle class=\"%s\"", style);
    add_attribute(svg->out, "cx", at.x);
    add_attribute(svg->out, "cy", at.y);
    add_attribute(svg->out, "r", radius);
    text_add(svg->out, "/>\n");
}
