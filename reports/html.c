/* SPDX-License-Identifier: Apache-2.0
 *
 * The report as one HTML page that can be mailed, printed and read anywhere: no script, nothing
 * loaded, a content security policy that says so, and the answer first.
 */
#include <string.h>

#include "reports/chart.h"
#include "reports/formats.h"
#include "reports/html_parts.h"
#include "reports/human.h"

/* ---- Pictures ---------------------------------------------------------------------------------
 */

static void write_pareto(const struct report *report, struct text *out)
{
    static const char *const ids[CHART_COSTS] = {"cost-time", "cost-request", "cost-memory"};
    text_add(out, "<figure>\n<fieldset class=\"switch\">\n<legend>Cost on the horizontal "
                  "axis</legend>\n");
    for (int i = 0; i < CHART_COSTS; i++)
        text_printf(
            out, "<input type=\"radio\" name=\"cost\" id=\"%s\"%s><label for=\"%s\">%s</label>\n",
            ids[i], i ? "" : " checked", ids[i], chart_cost_name((enum chart_cost)i));
    for (int i = 0; i < CHART_COSTS; i++) {
        text_printf(out, "<div class=\"pane\" id=\"pane-%s\">\n", ids[i] + strlen("cost-"));
        chart_pareto(report, (enum chart_cost)i, false, out);
        chart_pareto(report, (enum chart_cost)i, true, out);
        text_add(out, "</div>\n");
    }
    text_printf(out,
                "</fieldset>\n<figcaption>Up is better, left is cheaper. The stairs join the "
                "techniques that no other one beats in both. Bars are 95&nbsp;%% intervals on "
                "%zu development examples.</figcaption>\n</figure>\n",
                report->dev_used);
}

static const struct ranked *any_forecast(const struct report *report)
{
    for (size_t i = 0; i < report->ranking_count; i++)
        if (report->ranking[i].forecast.count)
            return &report->ranking[i];
    return NULL;
}

/* Where another technique is expected to win. */
static void write_winner_changes(const struct report *report, struct text *out)
{
    for (size_t i = 0; i < report->winner_change_count; i++) {
        const struct winner_change *change = &report->winner_changes[i];
        text_add(out, i ? "<li>" : "<ul class=\"changes\">\n<li>");
        html_user(out, change->technique);
        text_add(out, " would overtake ");
        html_user(out, report->technique ? report->technique : "");
        text_add(out, " with about ");
        human_count(out, measured(change->examples));
        text_printf(out, " training examples (probability %.2g)</li>\n", change->probability);
    }
    text_add(out, report->winner_change_count ? "</ul>\n" : "");
}

static void write_curves(const struct report *report, struct text *out)
{
    text_add(out, "<figure>\n");
    chart_curves(report, false, out);
    chart_curves(report, true, out);
    text_add(out, "<figcaption>Each mark is a measured trial with its 95&nbsp;% interval; level "
                  "lines are techniques that do not train.");
    const struct ranked *ranked = any_forecast(report);
    if (ranked)
        text_printf(out,
                    " Dashed lines go on where the curve is expected, the band around them is the "
                    "%.0f&nbsp;%% interval of that forecast.",
                    100 * ranked->forecast.level);
    text_add(out, "</figcaption>\n</figure>\n");
    write_winner_changes(report, out);
}

static void write_lifetime(const struct report *report, struct text *out)
{
    text_add(out, "<figure>\n");
    chart_lifetime(report, false, out);
    chart_lifetime(report, true, out);
    text_add(out, "<figcaption>Tokens to train once (forward and backward count three) plus tokens "
                  "for each request. Rings, where there are any, mark where one technique "
                  "overtakes another.</figcaption>"
                  "\n</figure>\n");
    html_break_even(report, out);
}

/* ---- The answer -------------------------------------------------------------------------------
 */

static void write_sentence(const struct report *report, struct text *out)
{
    if (!report->technique) {
        text_add(out, "No technique is recommended");
        return;
    }
    text_add(out, "Use <strong>");
    html_user_plain(out, report->technique);
    text_add(out, "</strong>: ");
    if (report->outcome == OUTCOME_MEETS_TARGET)
        text_add(out, "the cheapest that meets the target");
    else
        text_printf(out, "the best available%s",
                    report->target.known ? "; nothing meets the target" : "");
}

static void write_figure(struct text *out, const char *name, struct text *value, const char *detail)
{
    text_printf(out, "<div><dt>%s</dt><dd>", name);
    html_user_plain(out, text_string(value));
    if (detail && *detail) {
        text_add(out, " <small>");
        html_user_plain(out, detail);
        text_add(out, "</small>");
    }
    text_add(out, "</dd></div>\n");
    text_clear(value);
}

/* What the recommended technique reaches and costs, in large figures. */
static void write_figures(const struct report *report, struct text *out)
{
    const struct ranked *ranked = report_ranked(report, report->technique);
    struct text value = {0}, detail = {0};
    if (!ranked)
        return;
    text_add(out, "<dl class=\"figures\">\n");
    human_metric(&value, ranked->metric);
    if (ranked->low.known && ranked->high.known)
        text_printf(&detail, "%.3f to %.3f", ranked->low.value, ranked->high.value);
    write_figure(out, report->metric, &value, text_string(&detail));
    human_metric(&value, ranked->test_metric);
    write_figure(out, "on the test examples", &value, "");
    human_seconds(&value, ranked->train_seconds.known ? ranked->train_seconds : measured(0));
    write_figure(out, "to train", &value, "");
    human_milliseconds(&value, ranked->latency_ms);
    write_figure(out, "for a request", &value, "");
    human_bytes(&value, ranked->peak_memory_bytes);
    write_figure(out, "of memory", &value, "");
    text_add(out, "</dl>\n");
    text_release(&value);
    text_release(&detail);
}

static void write_answer(const struct report *report, struct text *out)
{
    const char *outcome = outcome_status_name(report->outcome);
    text_printf(out, "<section class=\"answer %s\" aria-labelledby=\"answer\">\n<h1 id=\"answer\">",
                outcome);
    write_sentence(report, out);
    text_add(out, ".</h1>\n<p class=\"reason\">");
    for (size_t i = 0; i < report->reason_count; i++) {
        text_add(out, i ? " " : "");
        html_user(out, report->reasons[i]);
    }
    text_add(out, "</p>\n");
    write_figures(report, out);
    if (!report->complete)
        text_add(out, "<p class=\"note\"><strong>Not finished:</strong> not all that was planned "
                      "is measured; the command at the end of this page goes on.</p>\n");
    text_add(out, "</section>\n");
}

/* ---- The page ---------------------------------------------------------------------------------
 */

struct section {
    const char *id, *title;
    bool (*wanted)(const struct report *report); /* NULL: always */
    void (*write)(const struct report *report, struct text *out);
};

static bool any_measured(const struct report *report)
{
    for (size_t i = 0; i < report->ranking_count; i++)
        if (report->ranking[i].status == STANDING_MEASURED)
            return true;
    return false;
}

static const struct section sections[] = {
    {"pareto", "What accuracy costs", any_measured, write_pareto},
    {"curves", "What more examples bring", chart_has_curves, write_curves},
    {"ranking", "Ranking", NULL, html_ranking},
    {"lifetime", "Cost over a lifetime", chart_has_lifetime, write_lifetime},
    {"profile", "Data and model", NULL, html_profile},
    {"rules", "Rules and what became of them", html_has_rules, html_rules},
    {"classes", "Class by class", html_has_classes, html_classes},
    {"errors", "Errors worth reading", html_has_errors, html_errors},
    {"trials", "Settings tried", html_has_trials, html_trials},
    {"reproduce", "How to reproduce it", NULL, html_reproduce},
};

enum { SECTIONS = sizeof sections / sizeof *sections };

static void write_head(const char *title, struct text *out)
{
    text_add(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                  "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
                  "img-src data:; style-src ");
    html_style_source(out);
    text_add(out, "; base-uri 'none'; form-action 'none'\">\n"
                  "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                  "<meta name=\"color-scheme\" content=\"light dark\">\n"
                  "<meta name=\"referrer\" content=\"no-referrer\">\n"
                  "<link rel=\"icon\" href=\"data:,\">\n<title>");
    html_user_plain(out, title);
    text_printf(out, "</title>\n<style>%s</style>\n</head>\n", html_style());
}

static void write_contents(const struct report *report, struct text *out)
{
    text_add(out, "<nav aria-label=\"Contents\">\n<ul>\n");
    for (size_t i = 0; i < SECTIONS; i++)
        if (!sections[i].wanted || sections[i].wanted(report))
            text_printf(out, "<li><a href=\"#%s\">%s</a></li>\n", sections[i].id,
                        sections[i].title);
    text_add(out, "</ul>\n</nav>\n");
}

static void write_footer(const struct report *report, struct text *out)
{
    text_add(out, "<footer><p>Advisor");
    if (report->program_version) {
        text_add(out, " ");
        html_user(out, report->program_version);
    }
    text_add(out, ". Measured on the data and the model named above; forecasts, where there are "
                  "any, are called so.</p></footer>\n</body>\n</html>\n");
}

static void write_top(const char *study, struct text *out)
{
    text_add(out, "<body>\n<a class=\"skip\" href=\"#main\">Skip to the answer</a>\n"
                  "<header><p><span class=\"brand\">Advisor</span> ");
    html_user_cut(out, study, 80);
    text_add(out, "</p></header>\n");
}

void write_html_report(const struct report *report, struct report_style style, struct text *out)
{
    (void)style;
    struct text title = {0};
    text_printf(&title, "%s: %s", report->technique ? report->technique : "no recommendation",
                report->study ? report->study : "study");
    write_head(text_string(&title), out);
    write_top(report->study ? report->study : "", out);
    text_add(out, "<main id=\"main\" tabindex=\"-1\">\n");
    write_answer(report, out);
    write_contents(report, out);
    for (size_t i = 0; i < SECTIONS; i++) {
        const struct section *section = &sections[i];
        if (section->wanted && !section->wanted(report))
            continue;
        text_printf(out, "<section aria-labelledby=\"%s\">\n<h2 id=\"%s\">%s</h2>\n", section->id,
                    section->id, section->title);
        section->write(report, out);
        text_add(out, "</section>\n");
    }
    text_add(out, "</main>\n");
    write_footer(report, out);
    text_release(&title);
}

void write_html_trial(const struct report *report, struct report_style style, struct text *out)
{
    (void)style;
    struct text title = {0};
    const struct ranked *trial = report->ranking;
    text_printf(&title, "%s: %s", trial->technique, report->data_path);
    write_head(text_string(&title), out);
    write_top(report->data_path, out);
    text_add(out, "<main id=\"main\" tabindex=\"-1\">\n<h1>Trial of ");
    html_user(out, trial->technique);
    text_add(out, "</h1>\n<section aria-labelledby=\"ranking\">\n<h2 id=\"ranking\">Result</h2>\n");
    html_ranking(report, out);
    text_add(out, "<dl class=\"facts\">\n");
    html_fact(out, "Setting", trial->setting);
    text_add(out, "</dl>\n</section>\n<section aria-labelledby=\"profile\">\n"
                  "<h2 id=\"profile\">Data and model</h2>\n");
    html_profile(report, out);
    text_add(out, "</section>\n</main>\n");
    write_footer(report, out);
    text_release(&title);
}
