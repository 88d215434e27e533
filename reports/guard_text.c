/* SPDX-License-Identifier: Apache-2.0
 *
 * A check for people: the verdict first, then what it rests on.
 */
#include <string.h>

#include "reports/grid.h"
#include "reports/guard.h"
#include "reports/human.h"
#include "reports/plain.h"

enum {
    HEADING_COLUMN = 10,
    LEAST_COLUMNS = 40,
    MOST_FLIPS = 12,
    LABEL_COLUMNS = 12,
    /* What a line needs besides the name or the text, up to the last column that must be seen. */
    BESIDES_NAME = 62,
    BESIDES_TEXT = 16 + 3 * (LABEL_COLUMNS + 1)
};

struct page {
    const struct guard_report *report;
    struct guard_style style;
    struct text *out;
};

/* ---- Pieces --------------------------------------------------------------------------------- */

static void start_color(const struct page *page, const char *code)
{
    if (page->style.color)
        text_printf(page->out, "\033[%sm", code);
}

static void end_color(const struct page *page)
{
    if (page->style.color)
        text_add(page->out, "\033[0m");
}

/* "Cost      the facts, wrapped"; takes over `facts`. */
static void add_facts(const struct page *page, const char *color, const char *heading,
                      struct text *facts)
{
    start_color(page, color);
    text_printf(page->out, "%-*s", HEADING_COLUMN, heading);
    end_color(page);
    plain_wrap(page->out, text_string(facts), HEADING_COLUMN, HEADING_COLUMN, page->style.columns);
    text_add(page->out, "\n");
    text_release(facts);
}

/* ---- Verdict -------------------------------------------------------------------------------- */

static void add_verdict(const struct page *page)
{
    static const char *const colors[] = {
        [GUARD_PASS] = "1;32", [GUARD_REGRESSION] = "1;31", [GUARD_INCONCLUSIVE] = "1;33"};
    const struct guard_report *report = page->report;
    struct text line = {0};
    const char *name = guard_verdict_name(report->verdict);
    text_printf(&line, "%c%s: %s", name[0] - 'a' + 'A', name + 1,
                report->reason_count ? report->reasons[0] : "");
    start_color(page, colors[report->verdict]);
    plain_wrap(page->out, text_string(&line), 0, 0, page->style.columns);
    end_color(page);
    text_add(page->out, "\n");
    text_clear(&line);
    for (size_t i = 1; i < report->reason_count; i++)
        text_printf(&line, "%s%s", i > 1 ? " " : "", report->reasons[i]);
    plain_wrap(page->out, text_string(&line), 0, 0, page->style.columns);
    text_add(page->out, line.length ? "\n\n" : "\n");
    text_release(&line);
}

/* ---- The table ------------------------------------------------------------------------------ */

enum column { PART, NAME, EXAMPLES, BEFORE, NOW, CHANGE, VERDICT, LOST, GAINED, P, COLUMNS };

/* Room for a name or a text, so that the columns behind it stay. */
static int room(const struct page *page, int besides)
{
    enum { LEAST = 8 };
    int columns = page->style.columns - besides;
    return columns > LEAST ? columns : LEAST;
}

static void fill_row(const struct page *page, const struct grid *grid, size_t at)
{
    const struct guard_row *row = &page->report->rows[at];
    bool paired = page->report->paired;
    const struct guard_group *group = &row->group;
    text_add(grid_cell(grid, at, PART), row->part);
    plain_cut(grid_cell(grid, at, NAME), row->name, room(page, BESIDES_NAME));
    text_printf(grid_cell(grid, at, EXAMPLES), "%zu", group->after);
    human_metric(grid_cell(grid, at, BEFORE), measured(group->was));
    human_metric(grid_cell(grid, at, NOW), measured(group->is));
    guard_add_change(grid_cell(grid, at, CHANGE), group);
    text_printf(grid_cell(grid, at, LOST), paired ? "%lld" : "-", (long long)group->lost);
    text_printf(grid_cell(grid, at, GAINED), paired ? "%lld" : "-", (long long)group->gained);
    text_printf(grid_cell(grid, at, P), group->tested ? "%.2g" : "-", group->adjusted);
    text_add(grid_cell(grid, at, VERDICT),
             group->verdict == GUARD_INCONCLUSIVE ? "?" : guard_verdict_name(group->verdict));
}

/* What a narrow line has no room for are the last columns. */
static void add_table(const struct page *page)
{
    static const struct grid_column columns[COLUMNS] = {
        {"part", false},  {"", false},        {"n", true},    {"before", true}, {"now", true},
        {"change", true}, {"verdict", false}, {"lost", true}, {"won", true},    {"p", true}};
    const struct guard_report *report = page->report;
    struct grid grid;
    grid_init(&grid, columns, COLUMNS, report->row_count);
    for (size_t i = 0; i < report->row_count; i++)
        fill_row(page, &grid, i);
    grid_write(&grid, page->style.columns, page->style.color, 0, page->out);
    grid_release(&grid);
    text_add(page->out, "\n");
}

/* ---- Flips ---------------------------------------------------------------------------------- */

static void add_flips(const struct page *page)
{
    enum { WHAT, TEXT, LINE, RIGHT, WAS, IS, FLIP_COLUMNS };
    static const struct grid_column columns[FLIP_COLUMNS] = {{"", false},    {"text", false},
                                                             {"line", true}, {"right", false},
                                                             {"was", false}, {"is", false}};
    const struct guard_report *report = page->report;
    size_t shown = report->flip_count < MOST_FLIPS ? report->flip_count : MOST_FLIPS;
    struct text facts = {0};
    struct grid grid;
    if (!report->paired)
        return;
    guard_add_flips(&facts, report);
    if (report->flip_count > shown)
        text_printf(&facts, "; the first %zu:", shown);
    add_facts(page, "2", "Flipped", &facts);
    if (!shown)
        return;
    grid_init(&grid, columns, FLIP_COLUMNS, shown);
    for (size_t i = 0; i < shown; i++) {
        const struct guard_flip *flip = &report->flips[i];
        text_add(grid_cell(&grid, i, WHAT), guard_flip_name(flip->kind));
        plain_cut(grid_cell(&grid, i, TEXT), flip->text, room(page, BESIDES_TEXT));
        text_printf(grid_cell(&grid, i, LINE), "%zu", flip->line);
        plain_cut(grid_cell(&grid, i, RIGHT), flip->target, LABEL_COLUMNS);
        plain_cut(grid_cell(&grid, i, WAS), flip->before ? flip->before : "-", LABEL_COLUMNS);
        plain_cut(grid_cell(&grid, i, IS), flip->after ? flip->after : "-", LABEL_COLUMNS);
    }
    grid_write(&grid, page->style.columns, page->style.color, shown, page->out);
    grid_release(&grid);
    text_add(page->out, "\n");
}

/* ---- Facts ---------------------------------------------------------------------------------- */

static void add_warnings(const struct page *page)
{
    for (size_t i = 0; i < page->report->warning_count; i++) {
        struct text facts = {0};
        text_add(&facts, page->report->warnings[i]);
        add_facts(page, "33", "Warning:", &facts);
    }
}

static void add_costs(const struct page *page)
{
    struct text facts = {0};
    for (size_t i = 0; i < page->report->cost_count; i++) {
        text_add(&facts, i ? "; " : "");
        guard_add_cost(&facts, &page->report->costs[i]);
    }
    add_facts(page, "2", "Cost", &facts);
}

/* JSON with a space behind each comma, where a line may break. */
static void add_setting(struct text *out, const char *setting)
{
    bool quoted = false;
    for (const char *at = setting; *at; at++) {
        quoted ^= *at == '"' && (at == setting || at[-1] != '\\');
        text_append(out, at, 1);
        if (*at == ',' && !quoted)
            text_add(out, " ");
    }
}

/* The setting is shown unless it is `known`. */
static void add_side(const struct page *page, const char *heading, const char *path,
                     const struct guard_side *side, const char *known)
{
    struct text facts = {0};
    text_printf(&facts, "%s: %s ", path, side->technique);
    if (!strcmp(side->setting, known))
        text_add(&facts, "as before");
    else
        add_setting(&facts, side->setting);
    text_printf(&facts, ", model %s %.12s", side->model, side->model_sha256);
    if (side->artifact_sha256)
        text_printf(&facts, ", artifact %.12s", side->artifact_sha256);
    text_printf(&facts, ", advisor %s", side->program);
    add_facts(page, "2", heading, &facts);
}

static void add_changes(const struct page *page)
{
    const struct guard_report *report = page->report;
    struct text facts = {0};
    for (size_t i = 0; i < report->changed_count; i++)
        text_printf(&facts, "%s%s", i ? ", " : "", report->changed[i]);
    text_add(&facts, report->changed_count ? "" : "nothing");
    add_facts(page, "2", "Changed", &facts);
}

void write_text_guard(const struct guard_report *report, struct guard_style style, struct text *out)
{
    struct page page = {report, style, out};
    if (page.style.columns < LEAST_COLUMNS)
        page.style.columns = LEAST_COLUMNS;
    add_verdict(&page);
    add_table(&page);
    add_warnings(&page);
    text_add(out, report->warning_count ? "\n" : "");
    add_flips(&page);
    add_costs(&page);
    add_side(&page, "Baseline", report->baseline_path, &report->before, "");
    add_side(&page, "Now", report->examples_path, &report->after, report->before.setting);
    add_changes(&page);
}
