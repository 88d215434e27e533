/* SPDX-License-Identifier: Apache-2.0
 *
 * The short form for a pull request: the answer, the ranking, where it comes from.
 */
#include <string.h>

#include "reports/formats.h"
#include "reports/human.h"
#include "reports/markdown_text.h"

static void add_titles(const struct report *report, struct text *out)
{
    text_add(out, "| rank | technique | ");
    markdown_add(out, report->metric);
    text_add(out, " | test | train | request | memory |\n"
                  "| ---: | --- | --- | ---: | ---: | ---: | ---: |\n");
}

static void add_row(const struct report *report, const struct ranked *ranked, struct text *out)
{
    bool chosen = report->technique && !strcmp(report->technique, ranked->technique);
    const char *mark = chosen ? "**" : "";
    text_printf(out, "| %d%s | %s", ranked->rank, ranked->tied_count ? "=" : "", mark);
    markdown_add_code(out, ranked->technique);
    text_printf(out, "%s | ", mark);
    if (ranked->status == STANDING_MEASURED) {
        struct text interval = {0};
        human_interval(&interval, ranked->metric, ranked->low, ranked->high);
        markdown_add(out, text_string(&interval));
        text_release(&interval);
    } else {
        markdown_add(out, standing_status_name(ranked->status));
    }
    text_add(out, " | ");
    human_metric(out, ranked->test_metric);
    text_add(out, " | ");
    human_seconds(out, ranked->train_seconds);
    text_add(out, " | ");
    human_milliseconds(out, ranked->latency_ms);
    text_add(out, " | ");
    human_bytes(out, ranked->peak_memory_bytes);
    text_add(out, " |\n");
}

static void add_facts(const struct report *report, struct text *out)
{
    text_add(out, "Data ");
    markdown_add_code(out, report->data_path);
    text_printf(out, " (%zu examples; %zu development, %zu test), model ", report->examples,
                report->dev_used, report->test_used);
    markdown_add_code(out, report->model_name);
    text_add(out, ", ");
    human_seconds(out, measured(report->spent_seconds));
    text_add(out, " of ");
    human_seconds(out, measured(report->budget_seconds));
    text_add(out, " spent. Intervals at 95 %; = marks a statistical tie.\n");
}

static void add_table(const struct report *report, struct text *out)
{
    add_titles(report, out);
    for (size_t i = 0; i < report->ranking_count; i++)
        add_row(report, &report->ranking[i], out);
    text_add(out, "\n");
}

static void add_seeds_below(const struct report *report, struct text *out)
{
    struct text note = {0};
    add_seeds(report, &note);
    if (note.length) {
        markdown_add(out, text_string(&note));
        text_add(out, "\n\n");
    }
    text_release(&note);
}

static void add_warnings(const struct report *report, struct text *out)
{
    for (size_t i = 0; i < report->warning_count; i++) {
        text_add(out, "- Warning: ");
        markdown_add(out, report->warnings[i]);
        text_add(out, "\n");
    }
    text_add(out, report->warning_count ? "\n" : "");
}

/* What a reviewer would want to know of other sizes: the target, and who would win then. */
static void add_outlook(const struct report *report, struct text *out)
{
    const struct ranked *chosen = report_ranked(report, report->technique);
    size_t start = out->length;
    if (chosen && chosen->forecast.count && chosen->forecast.examples_to_target.known &&
        chosen->forecast.examples_to_target.value > (double)chosen->examples) {
        text_add(out, "- Forecast: ");
        markdown_add_code(out, chosen->technique);
        text_add(out, " reaches the target with about ");
        human_count(out, chosen->forecast.examples_to_target);
        text_add(out, " training examples\n");
    }
    for (size_t i = 0; i < report->winner_change_count; i++) {
        const struct winner_change *change = &report->winner_changes[i];
        text_add(out, "- Forecast: ");
        markdown_add_code(out, change->technique);
        text_add(out, " would overtake ");
        markdown_add_code(out, report->technique ? report->technique : "");
        text_add(out, " with about ");
        human_count(out, measured(change->examples));
        text_printf(out, " training examples (probability %.2g)\n", change->probability);
    }
    text_add(out, out->length > start ? "\n" : "");
}

void write_markdown_report(const struct report *report, struct report_style style, struct text *out)
{
    (void)style;
    text_add(out, "### Recommendation: ");
    if (report->technique)
        markdown_add_code(out, report->technique);
    else
        text_add(out, "none");
    text_printf(out, "\n\n");
    for (size_t i = 0; i < report->reason_count; i++) {
        text_add(out, i ? " " : "");
        markdown_add(out, report->reasons[i]);
    }
    text_add(out, report->reason_count ? "\n\n" : "");
    add_table(report, out);
    add_seeds_below(report, out);
    add_outlook(report, out);
    add_warnings(report, out);
    add_facts(report, out);
}

void write_markdown_trial(const struct report *report, struct report_style style, struct text *out)
{
    (void)style;
    text_add(out, "### Trial: ");
    markdown_add_code(out, report->ranking[0].technique);
    text_add(out, "\n\n");
    add_table(report, out);
    text_add(out, "Setting ");
    markdown_add_code(out, report->ranking[0].setting);
    text_printf(out, " on %lld examples.\n\n", (long long)report->ranking[0].examples);
    add_warnings(report, out);
    add_facts(report, out);
}
