/* SPDX-License-Identifier: Apache-2.0 */
#include "reports/human.h"

#include <math.h>

/* Three digits or so: "1.2", "21", "134.5" below 1000. */
static void add_short(struct text *out, double value, const char *unit)
{
    if (value != 0 && value < 9.95)
        text_printf(out, "%.1f%s", value, unit);
    else
        text_printf(out, "%.0f%s", value, unit);
}

void human_seconds(struct text *out, struct measured seconds)
{
    double s = seconds.value;
    if (!seconds.known) {
        text_add(out, "-");
    } else if (s > 0 && s < 0.05) {
        text_add(out, "<0.1 s");
    } else if (s < 59.5) {
        add_short(out, s, " s");
    } else if (s < 3599.5) {
        long long whole = llround(s);
        text_printf(out, "%lldm%02llds", whole / 60, whole % 60);
    } else {
        long long minutes = llround(s / 60);
        text_printf(out, "%lldh%02lldm", minutes / 60, minutes % 60);
    }
}

void human_milliseconds(struct text *out, struct measured ms)
{
    if (!ms.known)
        text_add(out, "-");
    else if (ms.value > 0 && ms.value < 0.05)
        text_add(out, "<0.1 ms");
    else if (ms.value < 999.5)
        add_short(out, ms.value, " ms");
    else
        human_seconds(out, measured(ms.value / 1e3));
}

void human_bytes(struct text *out, struct measured bytes)
{
    static const char *const units[] = {" B", "K", "M", "G", "T", "P"};
    size_t unit = 0;
    double value = bytes.value;
    if (!bytes.known) {
        text_add(out, "-");
        return;
    }
    while (value >= 999.5 && unit + 1 < sizeof units / sizeof *units) {
        value /= 1024;
        unit++;
    }
    if (!unit)
        text_printf(out, value > 0 ? "%.0f B" : "%.0f", value);
    else
        add_short(out, value, units[unit]);
}

void human_count(struct text *out, struct measured count)
{
    static const char *const units[] = {"", "k", "M", "G", "T"};
    size_t unit = 0;
    double value = count.value;
    if (!count.known) {
        text_add(out, "-");
        return;
    }
    while (value >= 999.5 && unit + 1 < sizeof units / sizeof *units) {
        value /= 1000;
        unit++;
    }
    if (unit)
        add_short(out, value, units[unit]);
    else
        text_printf(out, "%.4g", value);
}

void human_metric(struct text *out, struct measured metric)
{
    if (metric.known)
        text_printf(out, "%.3f", metric.value);
    else
        text_add(out, "-");
}

void human_interval(struct text *out, struct measured metric, struct measured low,
                    struct measured high)
{
    human_metric(out, metric);
    if (metric.known && low.known && high.known)
        text_printf(out, " [%.3f, %.3f]", low.value, high.value);
}
