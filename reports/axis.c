/* SPDX-License-Identifier: Apache-2.0
 *
 * Axes with round ticks; declared in reports/svg.h.
 */
#include <math.h>

#include "reports/human.h"
#include "reports/svg.h"

/* ---- Linear -----------------------------------------------------------------------------------
 */

/* The largest of 1, 2, 5 times a power of ten that is at most `step`, or the next above. */
static double round_step(double step)
{
    double power = pow(10, floor(log10(step)));
    static const double factors[] = {1, 2, 5, 10};
    for (size_t i = 0; i < sizeof factors / sizeof *factors; i++)
        if (factors[i] * power >= step * 0.999)
            return factors[i] * power;
    return 10 * power;
}

struct axis axis_linear(double low, double high, double from, double to, int ticks)
{
    if (!(high - low > 1e-9)) {
        low -= 0.05;
        high += 0.05;
    }
    double step = round_step((high - low) / ticks);
    return (struct axis){.scale = SCALE_LINEAR,
                         .unit = UNIT_NUMBER,
                         .low = step * floor(low / step + 1e-9),
                         .high = step * ceil(high / step - 1e-9),
                         .from = from,
                         .to = to};
}

static size_t linear_ticks(const struct axis *axis, double gap, double *ticks)
{
    double pixels = fabs(axis->to - axis->from);
    double step = round_step((axis->high - axis->low) * gap / pixels);
    size_t count = 0;
    for (double i = ceil(axis->low / step - 1e-9); count < AXIS_TICKS; i++) {
        if (i * step > axis->high + 1e-9 * step)
            break;
        ticks[count++] = i * step;
    }
    return count;
}

/* ---- Logarithmic ------------------------------------------------------------------------------
 */

/* Round times, and more of them for an axis on which too few of the first would be. */
static const double seconds[] = {0.001, 0.01, 0.1,  1,     5,     15,     60,
                                 300,   900,  3600, 14400, 86400, 604800, 2592000};
static const double more_seconds[] = {
    0.001, 0.002, 0.005, 0.01,  0.02,  0.05,   0.1,    0.2,    0.5,     1,      2,
    5,     10,    20,    30,    60,    120,    300,    600,    1200,    1800,   3600,
    7200,  14400, 21600, 43200, 86400, 172800, 345600, 604800, 1209600, 2592000};

struct axis axis_log(enum unit unit, double low, double high, bool zero, double from, double to)
{
    enum { ZERO_PIXELS = 34 };
    double base = unit == UNIT_BYTES || unit == UNIT_EXAMPLES ? 2 : 10;
    double least = base == 2 ? 4 : 10; /* the axis spans this factor at least */
    if (high < low * least) {
        double middle = sqrt(low * high);
        low = middle / sqrt(least);
        high = middle * sqrt(least);
    }
    double start = zero ? from + (to > from ? ZERO_PIXELS : -ZERO_PIXELS) : from;
    return (struct axis){.scale = SCALE_LOG,
                         .unit = unit,
                         .low = low,
                         .high = high,
                         .from = start,
                         .to = to,
                         .zero = zero,
                         .zero_at = from};
}

/* Keeps those of `values` that are within the axis, and `gap` from the one before. */
static size_t keep_apart(const struct axis *axis, double gap, const double *values, size_t count,
                         double *ticks)
{
    size_t kept = 0;
    for (size_t i = 0; i < count && kept < AXIS_TICKS; i++) {
        if (values[i] < axis->low * 0.999 || values[i] > axis->high * 1.001)
            continue;
        double at = axis_at(axis, values[i]);
        if (!kept || fabs(at - axis_at(axis, ticks[kept - 1])) >= gap)
            ticks[kept++] = values[i];
    }
    return kept;
}

static size_t times(const struct axis *axis, double gap, double *ticks)
{
    size_t count = keep_apart(axis, gap, seconds, sizeof seconds / sizeof *seconds, ticks);
    if (count >= 3)
        return count;
    return keep_apart(axis, gap, more_seconds, sizeof more_seconds / sizeof *more_seconds, ticks);
}

/* 1, 10, 100 ..., with 2 and 5 between them where there is room for all three. */
static size_t decades(const struct axis *axis, double gap, double *ticks)
{
    double pixels = fabs(axis->to - axis->from) / log10(axis->high / axis->low);
    bool fine = pixels * log10(2.0) >= gap;
    double stride = fine ? 1 : fmax(1, ceil(gap / pixels));
    if (stride == 2) /* 1k, 1M, 1G rather than 100, 10k, 1M */
        stride = 3;
    double values[8 * AXIS_TICKS];
    size_t count = 0;
    double first = floor(log10(axis->low)), last = ceil(log10(axis->high));
    for (double e = stride * floor(first / stride); e <= last && count < 7 * AXIS_TICKS;
         e += stride) {
        values[count++] = pow(10, e);
        if (fine) {
            values[count++] = 2 * pow(10, e);
            values[count++] = 5 * pow(10, e);
        }
    }
    return keep_apart(axis, gap * 0.8, values, count, ticks);
}

static size_t powers_of_two(const struct axis *axis, double gap, double *ticks)
{
    double pixels = fabs(axis->to - axis->from) / log2(axis->high / axis->low);
    double stride = fmax(1, ceil(gap / pixels));
    double values[AXIS_TICKS];
    size_t count = 0;
    double first = floor(log2(axis->low)), last = ceil(log2(axis->high));
    for (double e = stride * floor(first / stride); e <= last && count < AXIS_TICKS; e += stride)
        values[count++] = pow(2, e);
    return keep_apart(axis, 0, values, count, ticks);
}

/* ---- Both -------------------------------------------------------------------------------------
 */

double axis_at(const struct axis *axis, double value)
{
    if (axis->scale == SCALE_LOG && !(value > 0))
        return axis->zero ? axis->zero_at : axis->from;
    double clamped = fmin(fmax(value, axis->low), axis->high);
    double share = axis->scale == SCALE_LOG ? log(clamped / axis->low) / log(axis->high / axis->low)
                                            : (clamped - axis->low) / (axis->high - axis->low);
    return axis->from + share * (axis->to - axis->from);
}

size_t axis_ticks(const struct axis *axis, double gap, double ticks[AXIS_TICKS])
{
    if (axis->scale == SCALE_LINEAR)
        return linear_ticks(axis, gap, ticks);
    if (axis->unit == UNIT_BYTES || axis->unit == UNIT_EXAMPLES)
        return powers_of_two(axis, gap, ticks);
    if (axis->unit == UNIT_SECONDS)
        return times(axis, gap, ticks);
    return decades(axis, gap, ticks);
}

static void label_seconds(double value, struct text *out)
{
    static const struct {
        double size;
        const char *name;
    } units[] = {{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (value >= units[i].size * 0.999) {
            text_printf(out, "%.4g %s", value / units[i].size, units[i].name);
            return;
        }
    }
    text_printf(out, "%.4g ms", value * 1e3);
}

static void label_bytes(double value, struct text *out)
{
    static const char *const names[] = {"B", "KB", "MB", "GB", "TB", "PB"};
    size_t i = 0;
    for (; value >= 1024 && i + 1 < sizeof names / sizeof *names; i++)
        value /= 1024;
    text_printf(out, "%.4g %s", value, names[i]);
}

static void label_count(double value, struct text *out)
{
    static const char *const names[] = {"", "k", "M", "G", "T"};
    size_t i = 0;
    for (; value >= 1000 && i + 1 < sizeof names / sizeof *names; i++)
        value /= 1000;
    text_printf(out, "%.4g%s", value, names[i]);
}

void axis_label(const struct axis *axis, double value, struct text *out)
{
    if (!(value > 0) && axis->scale == SCALE_LOG)
        text_add(out, "0");
    else if (axis->unit == UNIT_SECONDS)
        label_seconds(value, out);
    else if (axis->unit == UNIT_BYTES)
        label_bytes(value, out);
    else if (axis->unit == UNIT_COUNT)
        label_count(value, out);
    else if (axis->unit == UNIT_EXAMPLES)
        text_printf(out, "%.6g", value);
    else
        text_printf(out, "%.6g", fabs(value) < 1e-12 ? 0 : value);
}
