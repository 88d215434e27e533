/* SPDX-License-Identifier: Apache-2.0
 *
 * A check for a pull request: verdict and numbers in view, the long tables folded away.
 */
#include <string.h>

#include "reports/guard.h"
#include "reports/human.h"
#include "reports/markdown_text.h"
#include "reports/plain.h"

enum { MOST_FLIPS = 30, FLIP_COLUMNS = 80 };

/* The first one stands out. */
static void add_sentences(struct text *out, const char *const *sentences, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        text_add(out, i ? " " : "**");
        markdown_add(out, sentences[i]);
        text_add(out, i ? "" : "**");
    }
    text_add(out, count ? "\n\n" : "");
}

static void add_row(struct text *out, const struct guard_row *row)
{
    const struct guard_group *group = &row->group;
    const char *mark = group->verdict == GUARD_REGRESSION ? "**" : "";
    struct text change = {0};
    guard_add_change(&change, group);
    text_add(out, "| ");
    markdown_add(out, row->part);
    text_printf(out, " | %s", mark);
    markdown_add_code(out, row->name);
    text_printf(out, "%s | %zu | %.3f | %.3f | ", mark, group->after, group->was, group->is);
    markdown_add(out, text_string(&change));
    text_printf(out, " | %s%s%s |\n", mark,
                group->verdict == GUARD_INCONCLUSIVE ? "?" : guard_verdict_name(group->verdict),
                mark);
    text_release(&change);
}

static void add_titles(struct text *out)
{
    text_add(out, "| part | | examples | before | now | change | verdict |\n"
                  "| --- | --- | ---: | ---: | ---: | ---: | --- |\n");
}

/* Classes and slices that are in order are folded away. */
static void add_rows(const struct guard_report *report, struct text *out)
{
    size_t folded = 0;
    add_titles(out);
    for (size_t i = 0; i < report->row_count; i++) {
        if (!i || report->rows[i].group.verdict == GUARD_REGRESSION)
            add_row(out, &report->rows[i]);
        else
            folded++;
    }
    text_add(out, "\n");
    if (!folded)
        return;
    text_printf(out, "<details><summary>%zu classes and slices without a regression</summary>\n\n",
                folded);
    add_titles(out);
    for (size_t i = 1; i < report->row_count; i++)
        if (report->rows[i].group.verdict != GUARD_REGRESSION)
            add_row(out, &report->rows[i]);
    text_add(out, "\n</details>\n\n");
}

static void add_cell(struct text *out, const char *string, int columns)
{
    struct text cut = {0};
    plain_cut(&cut, string ? string : "-", columns);
    text_add(out, " | ");
    markdown_add(out, text_string(&cut));
    text_release(&cut);
}

static void add_flips(const struct guard_report *report, struct text *out)
{
    size_t shown = report->flip_count < MOST_FLIPS ? report->flip_count : MOST_FLIPS;
    if (!shown)
        return;
    text_add(out, "<details><summary>Changed answers: ");
    guard_add_flips(out, report);
    text_add(out, "</summary>\n\n| | line | text | right | was | is |\n"
                  "| --- | ---: | --- | --- | --- | --- |\n");
    for (size_t i = 0; i < shown; i++) {
        const struct guard_flip *flip = &report->flips[i];
        text_printf(out, "| %s | %zu", guard_flip_name(flip->kind), flip->line);
        add_cell(out, flip->text, FLIP_COLUMNS);
        add_cell(out, flip->target, FLIP_COLUMNS);
        add_cell(out, flip->before, FLIP_COLUMNS);
        add_cell(out, flip->after, FLIP_COLUMNS);
        text_add(out, " |\n");
    }
    if (report->flip_count > shown)
        text_printf(out, "\nand %zu more.\n", report->flip_count - shown);
    text_add(out, "\n</details>\n\n");
}

static void add_costs(const struct guard_report *report, struct text *out)
{
    for (size_t i = 0; i < report->cost_count; i++) {
        struct text facts = {0};
        guard_add_cost(&facts, &report->costs[i]);
        text_add(out, i ? "; " : "Cost: ");
        markdown_add(out, text_string(&facts));
        text_release(&facts);
    }
    text_add(out, report->cost_count ? ".\n\n" : "");
}

static void add_sides(const struct guard_report *report, struct text *out)
{
    text_add(out, "Baseline ");
    markdown_add_code(out, report->baseline_path);
    text_add(out, " (");
    markdown_add_code(out, report->before.technique);
    text_add(out, "), now ");
    markdown_add_code(out, report->after.technique);
    text_add(out, " on ");
    markdown_add_code(out, report->examples_path);
    text_add(out, "; changed: ");
    for (size_t i = 0; i < report->changed_count; i++)
        text_printf(out, "%s%s", i ? ", " : "", report->changed[i]);
    text_add(out, report->changed_count ? ".\n" : "nothing.\n");
}

void write_markdown_guard(const struct guard_report *report, struct guard_style style,
                          struct text *out)
{
    (void)style;
    text_printf(out, "### Accuracy check: %s\n\n", guard_verdict_name(report->verdict));
    add_sentences(out, report->reasons, report->reason_count);
    add_rows(report, out);
    for (size_t i = 0; i < report->warning_count; i++) {
        text_add(out, "- Warning: ");
        markdown_add(out, report->warnings[i]);
        text_add(out, "\n");
    }
    text_add(out, report->warning_count ? "\n" : "");
    add_flips(report, out);
    add_costs(report, out);
    add_sides(report, out);
}
