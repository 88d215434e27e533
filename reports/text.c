/* SPDX-License-Identifier: Apache-2.0
 *
 * The report for people: the answer first, then what it rests on.
 */
#include <math.h>
#include <string.h>

#include "reports/chart.h"
#include "reports/formats.h"
#include "reports/grid.h"
#include "reports/human.h"
#include "reports/plain.h"

enum { HEADING_COLUMN = 10, LABEL_COLUMNS = 24, MOST_LABELS = 12, LEAST_COLUMNS = 40 };

struct page {
    const struct report *report;
    struct report_style style;
    struct text *out;
};

static struct page page_of(const struct report *report, struct report_style style, struct text *out)
{
    if (style.columns < LEAST_COLUMNS)
        style.columns = LEAST_COLUMNS;
    return (struct page){report, style, out};
}

/* ---- Pieces -----------------------------------------------------------------------------------
 */

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

/* "Data      the facts, wrapped"; takes over `facts`. An empty heading continues the one above. */
static void add_facts(const struct page *page, const char *heading, struct text *facts)
{
    start_color(page, "2");
    text_printf(page->out, "%-*s", HEADING_COLUMN, heading);
    end_color(page);
    plain_wrap(page->out, text_string(facts), HEADING_COLUMN, HEADING_COLUMN, page->style.columns);
    text_add(page->out, "\n");
    text_release(facts);
}

/* "  name  the sentence, wrapped" */
static void add_item(const struct page *page, const char *name, int name_columns,
                     const char *sentence)
{
    text_add(page->out, "  ");
    int used = 2 + plain_cut(page->out, name, name_columns);
    int column = 2 + name_columns + 2;
    text_repeat(page->out, " ", column - used);
    plain_wrap(page->out, sentence, column, column, page->style.columns);
    text_add(page->out, "\n");
}

/* ---- The answer -------------------------------------------------------------------------------
 */

static void add_answer(const struct page *page)
{
    const struct report *report = page->report;
    struct text line = {0};
    if (!report->technique)
        text_add(&line, "No technique is recommended.");
    else if (report->outcome == OUTCOME_MEETS_TARGET)
        text_printf(&line, "Recommended: %s, the cheapest that meets the target.",
                    report->technique);
    else
        text_printf(&line, "Recommended: %s, the best available%s.", report->technique,
                    report->target.known ? "; nothing meets the target" : "");
    start_color(page, report->outcome == OUTCOME_MEETS_TARGET ? "1;32" : "1;33");
    plain_wrap(page->out, text_string(&line), 0, 0, page->style.columns);
    end_color(page);
    text_add(page->out, "\n");
    text_clear(&line);
    for (size_t i = 0; i < report->reason_count; i++)
        text_printf(&line, "%s%s", i ? " " : "", report->reasons[i]);
    plain_wrap(page->out, text_string(&line), 0, 0, page->style.columns);
    text_add(page->out, line.length ? "\n\n" : "\n");
    text_release(&line);
}

/* ---- The ranking ------------------------------------------------------------------------------
 */

enum ranking_column { RANK, TECHNIQUE, METRIC, TEST, TRAIN, REQUEST, MEMORY, PARAMETERS, COLUMNS };

static void fill_row(const struct grid *grid, size_t row, const struct ranked *ranked)
{
    text_printf(grid_cell(grid, row, RANK), "%d%s", ranked->rank, ranked->tied_count ? "=" : "");
    text_add(grid_cell(grid, row, TECHNIQUE), ranked->technique);
    human_interval(grid_cell(grid, row, METRIC), ranked->metric, ranked->low, ranked->high);
    human_metric(grid_cell(grid, row, TEST), ranked->test_metric);
    human_seconds(grid_cell(grid, row, TRAIN), ranked->train_seconds);
    human_milliseconds(grid_cell(grid, row, REQUEST), ranked->latency_ms);
    human_bytes(grid_cell(grid, row, MEMORY), ranked->peak_memory_bytes);
    human_count(grid_cell(grid, row, PARAMETERS), ranked->trainable_parameters);
}

static size_t count_measured(const struct report *report)
{
    size_t count = 0;
    for (size_t i = 0; i < report->ranking_count; i++)
        count += report->ranking[i].status == STANDING_MEASURED;
    return count;
}

static void add_table(const struct page *page)
{
    const struct report *report = page->report;
    const struct grid_column columns[COLUMNS] = {[RANK] = {"", false},
                                                 [TECHNIQUE] = {"technique", false},
                                                 [METRIC] = {report->metric, false},
                                                 [TEST] = {"test", true},
                                                 [TRAIN] = {"train", true},
                                                 [REQUEST] = {"request", true},
                                                 [MEMORY] = {"memory", true},
                                                 [PARAMETERS] = {"params", true}};
    struct grid grid;
    size_t count = count_measured(report), row = 0, chosen = count;
    if (!count)
        return;
    grid_init(&grid, columns, COLUMNS, count);
    for (size_t i = 0; i < report->ranking_count; i++) {
        const struct ranked *ranked = &report->ranking[i];
        if (ranked->status != STANDING_MEASURED)
            continue;
        if (report->technique && !strcmp(ranked->technique, report->technique))
            chosen = row;
        fill_row(&grid, row++, ranked);
    }
    grid_write(&grid, page->style.columns, page->style.color, chosen, page->out);
    grid_release(&grid);
    text_add(page->out, "\n");
}

/* Ties go both ways; each pair is told once, by the one that stands higher. */
static void add_ties(const struct page *page, const struct ranked *ranked)
{
    struct text names = {0}, note = {0};
    for (size_t i = 0; i < ranked->tied_count; i++) {
        const struct ranked *other = report_ranked(page->report, ranked->tied_with[i]);
        if (!other || other > ranked)
            text_printf(&names, "%s%s", names.length ? ", " : "", ranked->tied_with[i]);
    }
    if (names.length) {
        text_printf(&note, "= %s ties with %s.", ranked->technique, text_string(&names));
        plain_wrap(page->out, text_string(&note), 0, 2, page->style.columns);
        text_add(page->out, "\n");
    }
    text_release(&note);
    text_release(&names);
}

static bool any_tested(const struct report *report)
{
    for (size_t i = 0; i < report->ranking_count; i++)
        if (report->ranking[i].test_metric.known)
            return true;
    return false;
}

static void add_notes_below(const struct page *page)
{
    const struct report *report = page->report;
    struct text note = {0};
    if (!count_measured(report))
        return;
    text_printf(&note, "%s: on %zu development examples, with its 95 %% interval; ", report->metric,
                report->dev_used);
    size_t before = note.length;
    add_seeds(report, &note);
    text_add(&note, note.length > before ? "; " : "");
    if (any_tested(report))
        text_printf(&note, "test: on %zu examples looked at once; ", report->test_used);
    text_add(&note, "request: time for one; params: trained; =: these examples cannot tell it from "
                    "another.");
    plain_wrap(page->out, text_string(&note), 0, 0, page->style.columns);
    text_add(page->out, "\n");
    for (size_t i = 0; i < report->ranking_count; i++) {
        const struct ranked *ranked = &report->ranking[i];
        bool chosen = report->technique && !strcmp(ranked->technique, report->technique);
        if (ranked->status == STANDING_MEASURED && (!i || chosen)) /* losers' ties say little */
            add_ties(page, ranked);
    }
    text_add(page->out, "\n");
    text_release(&note);
}

static void describe_standing(const struct ranked *ranked, struct text *out)
{
    static const char *const words[] = {[STANDING_MEASURED] = "measured",
                                        [STANDING_ELIMINATED] = "lost early",
                                        [STANDING_EXCLUDED] = "cannot be used here",
                                        [STANDING_NOT_RUN] = "not run"};
    text_add(out, words[ranked->status]);
    if (ranked->metric.known)
        text_printf(out, " (%.3f with %lld examples)", ranked->metric.value,
                    (long long)ranked->examples);
    if (ranked->note && *ranked->note)
        text_printf(out, ": %s", ranked->note);
}

static void add_not_measured(const struct page *page)
{
    const struct report *report = page->report;
    int widest = 0;
    for (size_t i = 0; i < report->ranking_count; i++) {
        int width = utf8_columns(report->ranking[i].technique);
        if (report->ranking[i].status != STANDING_MEASURED && width > widest)
            widest = width;
    }
    if (!widest)
        return;
    text_add(page->out, "Not ranked:\n");
    for (size_t i = 0; i < report->ranking_count; i++) {
        struct text sentence = {0};
        if (report->ranking[i].status == STANDING_MEASURED)
            continue;
        describe_standing(&report->ranking[i], &sentence);
        add_item(page, report->ranking[i].technique, widest, text_string(&sentence));
        text_release(&sentence);
    }
    text_add(page->out, "\n");
}

static bool same_string(const char *a, const char *b)
{
    return !strcmp(a ? a : "", b ? b : "");
}

/* The reason of `ranked` that says the same by the same rule; NULL when there is none. */
static const struct reason *find_reason(const struct ranked *ranked, const struct reason *like)
{
    for (size_t i = 0; i < ranked->reason_count; i++)
        if (same_string(ranked->reasons[i].rule, like->rule) &&
            same_string(ranked->reasons[i].text, like->text))
            return &ranked->reasons[i];
    return NULL;
}

/* "lora (confirmed: ...)"; what was not tested at all goes without saying. */
static void add_verdict(const struct ranked *ranked, const struct reason *reason, struct text *out)
{
    bool compared = reason->evidence && *reason->evidence;
    text_add(out, ranked->technique);
    if (reason->verdict == VERDICT_UNTESTED && !compared)
        return;
    text_printf(out, " (%s%s%s)", verdict_name(reason->verdict), compared ? ": " : "",
                compared ? reason->evidence : "");
}

/* A rule that says the same about several techniques is told once, by the first of them. */
static void add_rule(const struct page *page, size_t first, const struct reason *reason)
{
    const struct report *report = page->report;
    struct text sentence = {0};
    for (size_t i = first; i < report->ranking_count; i++) {
        const struct reason *own = find_reason(&report->ranking[i], reason);
        if (!own)
            continue;
        text_add(&sentence, i > first ? ", " : "");
        add_verdict(&report->ranking[i], own, &sentence);
    }
    text_printf(&sentence, ": %s (%s)", reason->text, reason->source);
    add_item(page, reason->rule, 4, text_string(&sentence));
    text_release(&sentence);
}

/* Whether a measurement confirmed or overrode the rule for any technique. */
static bool was_tested(const struct report *report, const struct reason *reason)
{
    for (size_t i = 0; i < report->ranking_count; i++) {
        const struct reason *own = find_reason(&report->ranking[i], reason);
        if (own && own->verdict != VERDICT_UNTESTED)
            return true;
    }
    return false;
}

/* Whether an earlier row of the ranking told the same. */
static bool was_told(const struct report *report, size_t row, const struct reason *reason)
{
    for (size_t i = 0; i < row; i++)
        if (find_reason(&report->ranking[i], reason))
            return true;
    return false;
}

/* The rules that were put to the test; of the others only how many there are. */
static void add_rules(const struct page *page)
{
    const struct report *report = page->report;
    size_t tested = 0, others = 0;
    for (size_t i = 0; i < report->ranking_count; i++)
        for (size_t j = 0; j < report->ranking[i].reason_count; j++) {
            const struct reason *reason = &report->ranking[i].reasons[j];
            if (was_told(report, i, reason))
                continue;
            if (!was_tested(report, reason)) {
                others++;
                continue;
            }
            if (!tested++)
                text_add(page->out, "Rules, and what the measurement made of them:\n");
            add_rule(page, i, reason);
        }
    if (others)
        text_printf(page->out, "%zu %srule%s spoke that %s not put to the test (--format json).\n",
                    others, tested ? "more " : "", others > 1 ? "s" : "",
                    others > 1 ? "were" : "was");
    text_add(page->out, tested || others ? "\n" : "");
}

/* ---- What would change it ---------------------------------------------------------------------
 */

/* The row whose forecast is told: that of the recommended technique, or the best that has one. */
static const struct ranked *row_to_forecast(const struct report *report)
{
    const struct ranked *chosen = report_ranked(report, report->technique);
    if (chosen && (chosen->forecast.count || chosen->forecast.note))
        return chosen;
    for (size_t i = 0; i < report->ranking_count; i++)
        if (report->ranking[i].forecast.count)
            return &report->ranking[i];
    return NULL;
}

static void add_until_target(const struct report *report, const struct ranked *ranked,
                             struct text *out)
{
    struct measured examples = ranked->forecast.examples_to_target;
    if (!report->target.known || !ranked->forecast.count)
        return;
    if (!examples.known) {
        text_add(out, "; the target is not in sight");
    } else if (examples.value > (double)ranked->examples) {
        text_add(out, "; the target takes about ");
        human_count(out, examples);
    }
}

static void add_forecast(const struct page *page)
{
    const struct report *report = page->report;
    const struct ranked *ranked = row_to_forecast(report);
    struct text facts = {0};
    if (!ranked)
        return;
    text_printf(&facts, "%s: ", ranked->technique);
    if (!ranked->forecast.count)
        text_printf(&facts, "none; %s", ranked->forecast.note ? ranked->forecast.note : "");
    for (size_t i = 0; i < ranked->forecast.count; i++) {
        const struct forecast_point *point = &ranked->forecast.points[i];
        text_add(&facts, i ? ", " : "");
        human_interval(&facts, measured(point->metric), measured(point->low),
                       measured(point->high));
        text_printf(&facts, " with %.0f", point->examples);
    }
    if (ranked->forecast.count)
        text_printf(&facts, " training examples (%.0f %% intervals)", 100 * ranked->forecast.level);
    add_until_target(report, ranked, &facts);
    add_facts(page, "Forecast", &facts);
    for (size_t i = 0; i < report->winner_change_count; i++) {
        const struct winner_change *change = &report->winner_changes[i];
        text_printf(&facts, "%s would overtake %s with about ", change->technique,
                    report->technique);
        human_count(&facts, measured(change->examples));
        text_printf(&facts, " (probability %.2g)", change->probability);
        add_facts(page, "", &facts);
    }
}

static bool ties(const struct ranked *a, const struct ranked *b)
{
    for (size_t i = 0; i < a->tied_count; i++)
        if (!strcmp(a->tied_with[i], b->technique))
            return true;
    return false;
}

/* What the recommended technique costs over its life, and which others cost less when. */
static void add_lifetime(const struct page *page)
{
    enum { MOST_CROSSINGS = 4 };
    const struct report *report = page->report;
    const struct ranked *reference = lifetime_reference(report);
    struct text facts = {0};
    size_t crossings = 0;
    if (!reference)
        return;
    text_printf(&facts, "%s: ", reference->technique);
    if (reference->training_tokens.value > 0) {
        human_count(&facts, reference->training_tokens);
        text_add(&facts, " tokens to train, ");
    }
    human_count(&facts, measured(round(reference->tokens_per_request.value)));
    text_add(&facts, reference->training_tokens.value > 0
                         ? " for each request"
                         : " tokens for each request, none to train");
    for (size_t i = 0; i < report->ranking_count; i++) {
        const struct ranked *ranked = &report->ranking[i];
        if (ranked == reference || !has_lifetime_cost(ranked) || !ties(reference, ranked))
            continue; /* being cheaper and worse is no reason */
        struct break_even point = break_even_of(ranked, reference);
        bool from = point.crossing == CHEAPER_FROM;
        if ((!from && point.crossing != CHEAPER_UP_TO) || crossings == MOST_CROSSINGS)
            continue;
        text_printf(&facts, "%s%s %s ", crossings++ ? ", " : "; cheaper: ", ranked->technique,
                    from ? "from" : "up to");
        human_count(&facts, measured(point.requests));
        text_add(&facts, " requests");
    }
    add_facts(page, "Lifetime", &facts);
}

static void add_prospects(const struct page *page)
{
    size_t before = page->out->length;
    add_forecast(page);
    add_lifetime(page);
    text_add(page->out, page->out->length > before ? "\n" : "");
}

/* ---- Facts ------------------------------------------------------------------------------------
 */

/* A number with the word for what it counts: "1 label", "7 labels". */
static void add_counted(struct text *out, size_t count, const char *word)
{
    text_printf(out, "%zu %s%s", count, word, count == 1 ? "" : "s");
}

static void add_labels(const struct page *page)
{
    const struct report *report = page->report;
    struct text facts = {0};
    if (!report->label_count)
        return;
    add_counted(&facts, report->label_count, "label");
    for (size_t i = 0; i < report->label_count && i < MOST_LABELS; i++) {
        text_add(&facts, i ? ", " : ": ");
        plain_cut(&facts, report->labels[i].name, LABEL_COLUMNS);
        text_printf(&facts, " %zu", report->labels[i].count);
    }
    if (report->label_count > MOST_LABELS)
        text_printf(&facts, " and %zu more", report->label_count - MOST_LABELS);
    add_facts(page, "", &facts);
}

static void add_duplicates(const struct page *page)
{
    const struct report *report = page->report;
    struct text facts = {0};
    if (!report->exact_duplicates && !report->near_duplicates && !report->conflicting &&
        !report->leaked)
        return;
    add_counted(&facts, report->exact_duplicates, "exact duplicate");
    text_add(&facts, ", ");
    add_counted(&facts, report->near_duplicates, "near duplicate");
    if (report->conflicting)
        text_printf(&facts, ", %zu with different answers", report->conflicting);
    if (report->leaked)
        text_printf(&facts, ", %zu test examples also in the data", report->leaked);
    add_facts(page, "", &facts);
}

static void add_data(const struct page *page)
{
    const struct report *report = page->report;
    struct text facts = {0};
    text_printf(&facts, "%s: %s, ", report->data_path, report->task);
    add_counted(&facts, report->examples, "example");
    text_printf(&facts, " (%zu to train, %zu development, %zu test", report->train, report->dev,
                report->test);
    if (report->test_path)
        text_printf(&facts, " from %s", report->test_path);
    text_add(&facts, ")");
    if (report->input_tokens_mean.known && report->input_tokens_max.known)
        text_printf(&facts, ", %.0f tokens each, at most %.0f", report->input_tokens_mean.value,
                    report->input_tokens_max.value);
    add_facts(page, "Data", &facts);
    add_labels(page);
    add_duplicates(page);
}

static void add_model(const struct page *page)
{
    const struct report *report = page->report;
    struct text facts = {0};
    text_printf(&facts, "%s: ", report->model_name);
    human_count(&facts, measured((double)report->model_parameters));
    text_printf(&facts, " parameters, context %d, ", report->model_context);
    human_bytes(&facts, measured((double)report->model_bytes));
    text_printf(&facts, ", SHA-256 %.12s", report->model_sha256);
    add_facts(page, "Model", &facts);
}

static void add_goal(const struct page *page)
{
    const struct report *report = page->report;
    struct text facts = {0};
    text_add(&facts, report->metric);
    if (report->target.known)
        text_printf(&facts, " of at least %.3g with %.3g %% confidence", report->target.value,
                    100 * report->confidence);
    if (report->max_memory_bytes.known) {
        text_add(&facts, ", memory at most ");
        human_bytes(&facts, report->max_memory_bytes);
    }
    if (report->max_latency_ms.known) {
        text_add(&facts, ", at most ");
        human_milliseconds(&facts, report->max_latency_ms);
        text_add(&facts, " per request");
    }
    if (report->requests.known) {
        text_add(&facts, ", ");
        human_count(&facts, report->requests);
        text_add(&facts, " requests");
    }
    text_printf(&facts, ", seed %llu", (unsigned long long)report->seed);
    add_facts(page, "Goal", &facts);
}

static void add_cost(const struct page *page)
{
    const struct report *report = page->report;
    struct text facts = {0};
    human_seconds(&facts, measured(report->spent_seconds));
    text_add(&facts, " of the budget of ");
    human_seconds(&facts, measured(report->budget_seconds));
    if (report->exhaustive_seconds_estimate > 0) {
        text_add(&facts, "; trying everything in full would take about ");
        human_seconds(&facts, measured(report->exhaustive_seconds_estimate));
    }
    add_facts(page, "Spent", &facts);
}

/* The command is printed as it is, so that it can be copied. */
static void add_study(const struct page *page)
{
    const struct report *report = page->report;
    struct text facts = {0};
    if (report->study_path) {
        text_add(&facts, report->study_path);
        add_facts(page, "Study", &facts);
    }
    if (!report->complete) {
        text_add(&facts, "not all that was planned is done; the same command goes on");
        add_facts(page, "", &facts);
    }
    if (!report->command)
        return;
    start_color(page, "2");
    text_printf(page->out, "%-*s", HEADING_COLUMN, "Again");
    end_color(page);
    plain_add(page->out, report->command);
    text_add(page->out, "\n");
}

static void add_warnings(const struct page *page)
{
    const struct report *report = page->report;
    for (size_t i = 0; i < report->warning_count; i++) {
        start_color(page, "33");
        text_add(page->out, "Warning:");
        end_color(page);
        text_repeat(page->out, " ", HEADING_COLUMN - (int)strlen("Warning:"));
        plain_wrap(page->out, report->warnings[i], HEADING_COLUMN, HEADING_COLUMN,
                   page->style.columns);
        text_add(page->out, "\n");
    }
    text_add(page->out, report->warning_count ? "\n" : "");
}

/* ---- Whole reports ----------------------------------------------------------------------------
 */

void write_text_report(const struct report *report, struct report_style style, struct text *out)
{
    struct page page = page_of(report, style, out);
    add_answer(&page);
    add_table(&page);
    add_notes_below(&page);
    add_prospects(&page);
    add_not_measured(&page);
    add_rules(&page);
    add_warnings(&page);
    add_data(&page);
    add_model(&page);
    add_goal(&page);
    add_cost(&page);
    add_study(&page);
}

static void add_trial_result(const struct page *page, const struct ranked *trial)
{
    const struct report *report = page->report;
    struct text line = {0};
    text_printf(&line, "%s: %s ", trial->technique, report->metric);
    human_interval(&line, trial->metric, trial->low, trial->high);
    text_printf(&line, " on %zu development examples", report->dev_used);
    if (trial->test_metric.known)
        text_printf(&line, ", %.3f on %zu test examples", trial->test_metric.value,
                    report->test_used);
    start_color(page, "1");
    plain_wrap(page->out, text_string(&line), 0, 0, page->style.columns);
    end_color(page);
    text_add(page->out, "\n\n");
    text_release(&line);
}

static void add_trial_time(const struct page *page, const struct ranked *trial)
{
    struct text facts = {0};
    human_seconds(&facts, trial->trial_seconds);
    text_add(&facts, " in all");
    if (trial->train_seconds.known) {
        text_add(&facts, ", ");
        human_seconds(&facts, trial->train_seconds);
        text_add(&facts, " of it to train");
    }
    text_printf(&facts, "; learned from %lld examples", (long long)trial->examples);
    add_facts(page, "Time", &facts);
    human_milliseconds(&facts, trial->latency_ms);
    if (trial->tokens_per_request.known)
        text_printf(&facts, ", %.0f tokens", trial->tokens_per_request.value);
    add_facts(page, "Request", &facts);
}

static void add_trial_space(const struct page *page, const struct ranked *trial)
{
    struct text facts = {0};
    human_bytes(&facts, trial->peak_memory_bytes);
    text_add(&facts, " at most, the weights of the model included");
    add_facts(page, "Memory", &facts);
    if (!trial->trainable_parameters.known || trial->trainable_parameters.value <= 0)
        return;
    human_count(&facts, trial->trainable_parameters);
    text_add(&facts, " trained parameters");
    if (trial->artifact_bytes.known) {
        text_add(&facts, ", kept in ");
        human_bytes(&facts, trial->artifact_bytes);
    }
    add_facts(page, "Size", &facts);
    if (!trial->forgetting.known)
        return;
    text_printf(&facts, "loss on ordinary text %+.3f nats a token", trial->forgetting.value);
    add_facts(page, "Forgets", &facts);
}

void write_text_trial(const struct report *report, struct report_style style, struct text *out)
{
    struct page page = page_of(report, style, out);
    const struct ranked *trial = report_ranked(report, report->ranking[0].technique);
    struct text setting = {0};
    add_trial_result(&page, trial);
    text_add(&setting, trial->setting);
    add_facts(&page, "Setting", &setting);
    if (trial->note && *trial->note) {
        text_add(&setting, trial->note);
        add_facts(&page, "Note", &setting);
    }
    add_trial_time(&page, trial);
    add_trial_space(&page, trial);
    text_add(out, "\n");
    add_warnings(&page);
    add_data(&page);
    add_model(&page);
}
