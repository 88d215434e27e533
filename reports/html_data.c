/* SPDX-License-Identifier: Apache-2.0
 *
 * The profile of data and model with its warnings, and how to reproduce the study; declared in
 * reports/html_parts.h.
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "reports/calendar.h"
#include "reports/html_parts.h"
#include "reports/human.h"

enum { MOST_LABELS = 16, LABEL_COLUMNS = 40 };

/* ---- Data and model ---------------------------------------------------------------------------
 */

static void add_warnings(const struct report *report, struct text *out)
{
    if (!report->warning_count)
        return;
    text_add(out, "<ul class=\"warnings\">\n");
    for (size_t i = 0; i < report->warning_count; i++) {
        text_add(out, "<li><strong>Warning:</strong> ");
        html_user(out, report->warnings[i]);
        text_add(out, "</li>\n");
    }
    text_add(out, "</ul>\n");
}

static void add_fact(struct text *out, const char *name, struct text *value)
{
    html_fact(out, name, text_string(value));
    text_clear(value);
}

static void add_data(const struct report *report, struct text *out)
{
    struct text value = {0};
    html_fact(out, "Data", report->data_path);
    if (report->test_path)
        html_fact(out, "Test file", report->test_path);
    html_fact(out, "Task", report->task);
    text_printf(&value, "%zu: %zu to train, %zu development, %zu test", report->examples,
                report->train, report->dev, report->test);
    add_fact(out, "Examples", &value);
    text_printf(&value, "%zu development, %zu test", report->dev_used, report->test_used);
    add_fact(out, "Answered", &value);
    if (report->input_tokens_mean.known && report->input_tokens_max.known) {
        text_printf(&value, "%.0f tokens on average, at most %.0f", report->input_tokens_mean.value,
                    report->input_tokens_max.value);
        add_fact(out, "Length", &value);
    }
    text_printf(&value,
                "%zu exact, %zu near, %zu with different answers, %zu test examples also "
                "in the data",
                report->exact_duplicates, report->near_duplicates, report->conflicting,
                report->leaked);
    add_fact(out, "Duplicates", &value);
    text_release(&value);
}

static void add_model(const struct report *report, struct text *out)
{
    struct text value = {0};
    html_fact(out, "Model", report->model_name);
    human_count(&value, measured((double)report->model_parameters));
    text_printf(&value, " parameters, context of %d tokens, ", report->model_context);
    human_bytes(&value, measured((double)report->model_bytes));
    add_fact(out, "Size", &value);
    text_release(&value);
}

static void add_goal(const struct report *report, struct text *out)
{
    struct text value = {0};
    text_add(&value, report->metric);
    if (report->target.known)
        text_printf(&value, " of at least %.3g with %.3g %% confidence", report->target.value,
                    100 * report->confidence);
    if (report->max_memory_bytes.known) {
        text_add(&value, ", memory at most ");
        human_bytes(&value, report->max_memory_bytes);
    }
    if (report->max_latency_ms.known) {
        text_add(&value, ", at most ");
        human_milliseconds(&value, report->max_latency_ms);
        text_add(&value, " for a request");
    }
    if (report->requests.known) {
        text_add(&value, ", ");
        human_count(&value, report->requests);
        text_add(&value, " requests");
    }
    add_fact(out, "Goal", &value);
    human_seconds(&value, measured(report->spent_seconds));
    text_add(&value, " of the budget of ");
    human_seconds(&value, measured(report->budget_seconds));
    if (report->exhaustive_seconds_estimate > 0) {
        text_add(&value, "; trying everything in full would take about ");
        human_seconds(&value, measured(report->exhaustive_seconds_estimate));
    }
    add_fact(out, "Spent", &value);
    text_release(&value);
}

static void add_label(const struct label_count *label, size_t most, struct text *out)
{
    double width = most ? 200.0 * (double)label->count / (double)most : 0;
    text_add(out, "<tr><th scope=\"row\">");
    html_user_cut(out, label->name, LABEL_COLUMNS);
    text_printf(out,
                "</th><td class=\"n\">%zu</td><td class=\"share\"><svg class=\"balance\" "
                "viewBox=\"0 0 200 10\" width=\"200\" height=\"10\" aria-hidden=\"true\" "
                "focusable=\"false\"><rect x=\"0\" y=\"1\" width=\"%.1f\" height=\"8\" "
                "rx=\"2\"/></svg></td></tr>\n",
                label->count, fmax(width, 1));
}

static void add_labels(const struct report *report, struct text *out)
{
    if (!report->label_count)
        return;
    html_table(out, "labels", "Classes, most frequent first");
    text_add(out, "<thead><tr>");
    html_head(out, "", "class");
    html_head(out, "n", "examples");
    text_add(out, "<td></td></tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < report->label_count && i < MOST_LABELS; i++)
        add_label(&report->labels[i], report->labels[0].count, out);
    if (report->label_count > MOST_LABELS)
        text_printf(out, "<tr><td colspan=\"3\">and %zu more</td></tr>\n",
                    report->label_count - MOST_LABELS);
    html_table_end(out);
}

void html_profile(const struct report *report, struct text *out)
{
    add_warnings(report, out);
    text_add(out, "<div class=\"columns\">\n<dl class=\"facts\">\n");
    add_data(report, out);
    add_model(report, out);
    add_goal(report, out);
    text_add(out, "</dl>\n");
    add_labels(report, out);
    text_add(out, "</div>\n");
}

/* ---- Reproducing ------------------------------------------------------------------------------
 */

static void add_date(int64_t ms, struct text *out)
{
    struct calendar date = calendar_of(ms);
    text_printf(out, "%04d-%02d-%02d %02d:%02d UTC", date.year, date.month, date.day, date.hour,
                date.minute);
}

static void add_hash(struct text *out, const char *name, const char *hash)
{
    if (!hash)
        return;
    text_printf(out, "<div><dt>%s</dt><dd><code>", name);
    html_user_plain(out, hash);
    text_add(out, "</code></dd></div>\n");
}

void html_reproduce(const struct report *report, struct text *out)
{
    struct text value = {0};
    if (report->command) {
        text_add(out, "<p>The same command shows this study again, and goes on with what is "
                      "missing:</p>\n<pre tabindex=\"0\"><code>");
        html_user(out, report->command);
        text_add(out, "</code></pre>\n");
    }
    text_add(out, "<dl class=\"facts\">\n");
    if (report->study_path)
        html_fact(out, "Study", report->study_path);
    if (report->evidence.created_ms > 0) {
        add_date(report->evidence.created_ms, &value);
        add_fact(out, "Begun", &value);
    }
    if (report->program_version)
        html_fact(out, "Version", report->program_version);
    text_printf(&value, "%" PRIu64, report->seed);
    add_fact(out, "Seed", &value);
    html_fact(out, "Model file", report->model_path);
    add_hash(out, "Model SHA-256", report->model_sha256);
    add_hash(out, "Data SHA-256", report->data_sha256);
    add_hash(out, "Test SHA-256", report->test_sha256);
    text_add(out, "</dl>\n");
    text_release(&value);
}
