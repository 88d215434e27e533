/* SPDX-License-Identifier: Apache-2.0
 *
 * The ranking as a table for spreadsheets: RFC 4180, one technique a row, the names of the JSON
 * keys in the first one. What was not measured is an empty field.
 */
#include <string.h>

#include "reports/formats.h"

static void add_field(struct text *out, const char *string)
{
    text_add(out, ",");
    if (!string[strcspn(string, ",\"\r\n")]) {
        text_add(out, string);
        return;
    }
    text_add(out, "\"");
    for (const char *at = string; *at; at++)
        text_append(out, *at == '"' ? "\"\"" : at, *at == '"' ? 2 : 1);
    text_add(out, "\"");
}

static void add_measured(struct text *out, struct measured number)
{
    text_add(out, ",");
    if (number.known)
        text_printf(out, "%.12g", number.value);
}

static void add_titles(struct text *out)
{
    const struct ranked_number *number;
    text_add(out, "rank,technique,family,status,examples,metric_name");
    for (enum ranked_part part = RANKED_METRIC; part <= RANKED_COST; part++)
        for (size_t i = 0; (number = ranked_number_at(part, i)); i++)
            add_field(out, number->name);
    text_add(out, ",tied_with,setting,note\r\n");
}

static void add_row(struct text *out, const struct report *report, const struct ranked *ranked)
{
    const struct ranked_number *number;
    struct text ties = {0};
    text_printf(out, "%d", ranked->rank);
    add_field(out, ranked->technique);
    add_field(out, ranked->family);
    add_field(out, standing_status_name(ranked->status));
    text_printf(out, ",%lld", (long long)ranked->examples);
    add_field(out, report->metric);
    for (enum ranked_part part = RANKED_METRIC; part <= RANKED_COST; part++)
        for (size_t i = 0; (number = ranked_number_at(part, i)); i++)
            add_measured(out, ranked_number_of(number, ranked));
    for (size_t i = 0; i < ranked->tied_count; i++)
        text_printf(&ties, "%s%s", i ? " " : "", ranked->tied_with[i]);
    add_field(out, text_string(&ties));
    add_field(out, ranked->setting ? ranked->setting : "");
    add_field(out, ranked->note ? ranked->note : "");
    text_add(out, "\r\n");
    text_release(&ties);
}

void write_csv_report(const struct report *report, struct report_style style, struct text *out)
{
    (void)style;
    add_titles(out);
    for (size_t i = 0; i < report->ranking_count; i++)
        add_row(out, report, &report->ranking[i]);
}
