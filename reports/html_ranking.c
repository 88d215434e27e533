/* SPDX-License-Identifier: Apache-2.0
 *
 * The ranking, its ties, the rules, and where the costs cross; declared in reports/html_parts.h.
 */
#include <math.h>
#include <string.h>

#include "reports/chart.h"
#include "reports/formats.h"
#include "reports/html_parts.h"
#include "reports/human.h"

/* ---- The table --------------------------------------------------------------------------------
 */

/* The interval as a bar between the lowest and the highest of the table; the numbers stand beside
 * it. */
struct span {
    double low, high;
};

static struct span span_of(const struct report *report)
{
    struct span span = {INFINITY, -INFINITY};
    for (size_t i = 0; i < report->ranking_count; i++) {
        const struct ranked *ranked = &report->ranking[i];
        if (!ranked->metric.known)
            continue;
        span.low = fmin(span.low, ranked->low.known ? ranked->low.value : ranked->metric.value);
        span.high = fmax(span.high, ranked->high.known ? ranked->high.value : ranked->metric.value);
    }
    if (report->target.known) {
        span.low = fmin(span.low, report->target.value);
        span.high = fmax(span.high, report->target.value);
    }
    return span;
}

static double span_at(const struct span *span, double value)
{
    enum { LEFT = 5, WIDTH = 140 };
    double width = span->high - span->low;
    return LEFT + WIDTH * (width > 0 ? (value - span->low) / width : 0.5);
}

static void add_bar(const struct report *report, const struct ranked *ranked,
                    const struct span *span, struct text *out)
{
    char style[SERIES_STYLE];
    text_add(out, "<svg class=\"bar\" viewBox=\"0 0 150 12\" width=\"150\" height=\"12\" "
                  "aria-hidden=\"true\" focusable=\"false\">");
    struct svg svg = {out, 150, 12};
    if (report->target.known) {
        double x = span_at(span, report->target.value);
        svg_line(&svg, (struct point){x, 0}, (struct point){x, 12}, "goal");
    }
    if (ranked->low.known && ranked->high.known)
        svg_line(&svg, (struct point){span_at(span, ranked->low.value), 6},
                 (struct point){span_at(span, ranked->high.value), 6},
                 series_style(report, ranked, "whisker", style));
    svg_mark(&svg, series_shape(report, ranked),
             (struct point){span_at(span, ranked->metric.value), 6}, 4,
             series_style(report, ranked, "mark", style));
    text_add(out, "</svg>");
}

static bool is_chosen(const struct report *report, const struct ranked *ranked)
{
    return report->technique && !strcmp(report->technique, ranked->technique);
}

static void add_measured(struct text *out, void (*write)(struct text *, struct measured),
                         struct measured value)
{
    struct text cell = {0};
    write(&cell, value);
    html_cell(out, "n", text_string(&cell));
    text_release(&cell);
}

static void add_metric(const struct report *report, const struct ranked *ranked,
                       const struct span *span, struct text *out)
{
    struct text cell = {0};
    human_interval(&cell, ranked->metric, ranked->low, ranked->high);
    text_add(out, "<td class=\"metric\">");
    text_printf(out, "<span class=\"figure\">%s</span>", text_string(&cell));
    add_bar(report, ranked, span, out);
    text_add(out, "</td>");
    text_release(&cell);
}

static bool is_on_front(const struct report *report, const struct ranked *ranked)
{
    for (size_t i = 0; i < report->pareto_count; i++)
        if (!strcmp(report->pareto[i], ranked->technique))
            return true;
    return false;
}

/* A mean of whole numbers; its decimals say nothing. */
static void tokens(struct text *out, struct measured count)
{
    count.value = round(count.value);
    human_count(out, count);
}

static void percent(struct text *out, struct measured share)
{
    if (share.known)
        text_printf(out, "%.0f %%", 100 * share.value);
    else
        text_add(out, "-");
}

static void rise(struct text *out, struct measured loss)
{
    if (loss.known)
        text_printf(out, "%+.3f", loss.value);
    else
        text_add(out, "-");
}

static bool any_forgetting(const struct report *report)
{
    for (size_t i = 0; i < report->ranking_count; i++)
        if (report->ranking[i].forgetting.known)
            return true;
    return false;
}

static void add_row(const struct report *report, const struct ranked *ranked,
                    const struct span *span, struct text *out)
{
    text_printf(out, "<tr%s><td class=\"n\">%d%s</td><th scope=\"row\">",
                is_chosen(report, ranked) ? " class=\"chosen\"" : "", ranked->rank,
                ranked->tied_count ? "<abbr title=\"tied\">=</abbr>" : "");
    html_technique(report, ranked, out);
    text_printf(out, " <span class=\"tags\">%s%s</span></th>",
                is_chosen(report, ranked) ? "<span class=\"tag\">recommended</span> " : "",
                is_on_front(report, ranked) ? "<span class=\"tag quiet\">front</span>" : "");
    add_metric(report, ranked, span, out);
    add_measured(out, human_metric, ranked->test_metric);
    add_measured(out, percent, ranked->probability_best);
    if (report->target.known)
        add_measured(out, percent, ranked->probability_meets_target);
    add_measured(out, human_seconds, ranked->train_seconds);
    add_measured(out, human_milliseconds, ranked->latency_ms);
    add_measured(out, tokens, ranked->tokens_per_request);
    add_measured(out, human_bytes, ranked->peak_memory_bytes);
    add_measured(out, human_count, ranked->trainable_parameters);
    if (any_forgetting(report))
        add_measured(out, rise, ranked->forgetting);
    text_add(out, "</tr>\n");
}

static void add_titles(const struct report *report, struct text *out)
{
    text_add(out, "<thead><tr>");
    html_head(out, "n", "rank");
    html_head(out, "", "technique");
    html_head(out, "metric", report->metric);
    html_head(out, "n", "test");
    html_head(out, "n", "best");
    if (report->target.known)
        html_head(out, "n", "meets target");
    html_head(out, "n", "training");
    html_head(out, "n", "request");
    html_head(out, "n", "tokens");
    html_head(out, "n", "memory");
    html_head(out, "n", "trained");
    if (any_forgetting(report))
        html_head(out, "n", "forgets");
    text_add(out, "</tr></thead>\n<tbody>\n");
}

/* ---- Below the table --------------------------------------------------------------------------
 */

static void add_seeds_below(const struct report *report, struct text *out)
{
    struct text note = {0};
    add_seeds(report, &note);
    if (note.length) {
        text_add(out, "<p class=\"legend\">");
        html_user(out, text_string(&note));
        text_add(out, ".</p>\n");
    }
    text_release(&note);
}

/* The ties of one technique with those below it; each tie is told once, by the one that stands
 * higher. */
static void add_ties_of(const struct report *report, const struct ranked *ranked, struct text *out)
{
    size_t told = 0;
    for (size_t j = 0; j < ranked->tied_count; j++) {
        const struct ranked *other = report_ranked(report, ranked->tied_with[j]);
        if (other && other < ranked)
            continue;
        if (!told++) {
            text_add(out, "<li>");
            html_user(out, ranked->technique);
            text_add(out, " ties with ");
        } else {
            text_add(out, ", ");
        }
        html_user(out, ranked->tied_with[j]);
    }
    text_add(out, told ? ": these examples cannot tell them apart.</li>\n" : "");
}

/* The first ones at once, the others on demand. */
static void add_ties(const struct report *report, struct text *out)
{
    enum { SHOWN = 3 };
    size_t lists = 0;
    for (size_t i = 0; i < report->ranking_count; i++) {
        struct text one = {0};
        add_ties_of(report, &report->ranking[i], &one);
        if (one.length && lists == SHOWN)
            text_add(out, "</ul>\n<details>\n<summary>All other ties</summary>\n"
                          "<ul class=\"ties\">\n");
        if (one.length && !lists)
            text_add(out, "<ul class=\"ties\">\n");
        lists += one.length > 0;
        text_add(out, text_string(&one));
        text_release(&one);
    }
    text_add(out, lists ? "</ul>\n" : "");
    text_add(out, lists > SHOWN ? "</details>\n" : "");
}

static void add_unranked(const struct report *report, struct text *out)
{
    static const char *const words[] = {[STANDING_MEASURED] = "measured",
                                        [STANDING_ELIMINATED] = "lost early",
                                        [STANDING_EXCLUDED] = "cannot be used here",
                                        [STANDING_NOT_RUN] = "not run"};
    bool any = false;
    for (size_t i = 0; i < report->ranking_count; i++) {
        const struct ranked *ranked = &report->ranking[i];
        if (ranked->status == STANDING_MEASURED)
            continue;
        text_add(out, any ? "" : "<h3>Not ranked</h3>\n<dl class=\"facts\">\n");
        any = true;
        text_add(out, "<div><dt>");
        html_user(out, ranked->technique);
        text_printf(out, "</dt><dd>%s", words[ranked->status]);
        if (ranked->metric.known)
            text_printf(out, " (%.3f with %lld examples)", ranked->metric.value,
                        (long long)ranked->examples);
        if (ranked->note && *ranked->note) {
            text_add(out, ": ");
            html_user(out, ranked->note);
        }
        text_add(out, "</dd></div>\n");
    }
    text_add(out, any ? "</dl>\n" : "");
}

void html_ranking(const struct report *report, struct text *out)
{
    struct span span = span_of(report);
    bool any = false;
    for (size_t i = 0; i < report->ranking_count; i++) {
        const struct ranked *ranked = &report->ranking[i];
        if (ranked->status != STANDING_MEASURED)
            continue;
        if (!any) {
            html_table(out, "ranking", "Techniques by rank");
            add_titles(report, out);
        }
        any = true;
        add_row(report, ranked, &span, out);
    }
    if (any) {
        html_table_end(out);
        text_printf(out,
                    "<p class=\"legend\">The metric is on %zu development examples; test: on %zu "
                    "examples looked at once. best: probability of being the best%s. request: "
                    "time and tokens for one. trained: parameters. front: no other technique is as "
                    "good and as cheap to train and to use.%s</p>\n",
                    report->dev_used, report->test_used,
                    report->target.known ? "; meets target: of reaching it" : "",
                    any_forgetting(report) ? " forgets: rise of the loss on ordinary text, nats "
                                             "for each token."
                                           : "");
        add_seeds_below(report, out);
        add_ties(report, out);
    } else {
        text_add(out, "<p>Nothing was measured.</p>\n");
    }
    add_unranked(report, out);
}

/* ---- Rules ------------------------------------------------------------------------------------
 */

bool html_has_rules(const struct report *report)
{
    for (size_t i = 0; i < report->ranking_count; i++)
        if (report->ranking[i].reason_count)
            return true;
    return false;
}

void html_rules(const struct report *report, struct text *out)
{
    static const char *const signs[] = {[VERDICT_UNTESTED] = "\u25CB",
                                        [VERDICT_CONFIRMED] = "\u2713",
                                        [VERDICT_OVERRIDDEN] = "\u2717"};
    html_table(out, "rules", "Rules that spoke, and what the measurements say");
    text_add(out, "<thead><tr>");
    html_head(out, "", "rule");
    html_head(out, "", "technique");
    html_head(out, "wide-text", "reason");
    html_head(out, "", "source");
    html_head(out, "", "verdict");
    text_add(out, "</tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < report->ranking_count; i++) {
        const struct ranked *ranked = &report->ranking[i];
        for (size_t j = 0; j < ranked->reason_count; j++) {
            const struct reason *reason = &ranked->reasons[j];
            const char *verdict = verdict_name(reason->verdict);
            text_add(out, "<tr><th scope=\"row\">");
            html_user(out, reason->rule);
            text_add(out, "</th>");
            html_cell(out, "", ranked->technique);
            html_cell(out, "", reason->text);
            html_cell(out, "", reason->source);
            text_printf(out,
                        "<td><span class=\"verdict %s\"><span aria-hidden=\"true\">%s</span> "
                        "%s</span>",
                        verdict, signs[reason->verdict], verdict);
            if (reason->evidence && *reason->evidence) {
                text_add(out, " <small>");
                html_user(out, reason->evidence);
                text_add(out, "</small>");
            }
            text_add(out, "</td></tr>\n");
        }
    }
    html_table_end(out);
}

/* ---- Break-even points ------------------------------------------------------------------------
 */

static void add_crossing(struct break_even point, struct text *out)
{
    struct text requests = {0};
    human_count(&requests, measured(point.requests));
    if (point.crossing == CHEAPER_FROM)
        text_printf(out, "from %s requests on", text_string(&requests));
    else if (point.crossing == CHEAPER_UP_TO)
        text_printf(out, "up to %s requests", text_string(&requests));
    else
        text_add(out, point.crossing == ALWAYS_CHEAPER  ? "always"
                      : point.crossing == NEVER_CHEAPER ? "never"
                                                        : "costs the same");
    text_release(&requests);
}

static void add_cost_row(const struct report *report, const struct ranked *ranked,
                         const struct ranked *reference, double requests, struct text *out)
{
    double total = ranked->training_tokens.value + requests * ranked->tokens_per_request.value;
    text_printf(out, "<tr%s><th scope=\"row\">", ranked == reference ? " class=\"chosen\"" : "");
    html_technique(report, ranked, out);
    text_add(out, "</th>");
    add_measured(out, human_count, ranked->training_tokens);
    add_measured(out, tokens, ranked->tokens_per_request);
    add_measured(out, human_count, measured(total));
    struct text cell = {0};
    if (ranked != reference)
        add_crossing(break_even_of(ranked, reference), &cell);
    html_cell(out, "", text_string(&cell));
    text_add(out, "</tr>\n");
    text_release(&cell);
}

void html_break_even(const struct report *report, struct text *out)
{
    const struct ranked *reference = lifetime_reference(report);
    double requests = report->requests.known ? report->requests.value : USUAL_REQUESTS;
    struct text total = {0}, cheaper = {0};
    text_add(&total, "with ");
    human_count(&total, measured(requests));
    text_add(&total, " requests");
    text_printf(&cheaper, "cheaper than %s", reference->technique);
    html_table(out, "costs", "Lifetime cost in model tokens");
    text_add(out, "<thead><tr>");
    html_head(out, "", "technique");
    html_head(out, "n", "training");
    html_head(out, "n", "each request");
    html_head(out, "n", text_string(&total));
    html_head(out, "", text_string(&cheaper));
    text_add(out, "</tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < report->ranking_count; i++)
        if (has_lifetime_cost(&report->ranking[i]))
            add_cost_row(report, &report->ranking[i], reference, requests, out);
    html_table_end(out);
    text_release(&total);
    text_release(&cheaper);
}
