/* SPDX-License-Identifier: Apache-2.0
 *
 * The report for programs. Keys and their order are part of the interface: "schema" is raised when
 * one changes its meaning or goes.
 */
#include "reports/chart.h"
#include "reports/formats.h"
#include "reports/writer.h"

enum { SCHEMA = 1 };

static void write_model(struct writer *w, const struct report *report)
{
    write_object(w, "model");
    write_string(w, "name", report->model_name);
    write_string(w, "path", report->model_path);
    write_string(w, "sha256", report->model_sha256);
    write_integer(w, "parameters", (int64_t)report->model_parameters);
    write_integer(w, "context_length", report->model_context);
    write_integer(w, "bytes", (int64_t)report->model_bytes);
    write_object_end(w);
}

static void write_constraints(struct writer *w, const struct report *report)
{
    write_object(w, "constraints");
    write_measured(w, "target", report->target);
    write_string(w, "metric", report->metric);
    write_number(w, "confidence", report->confidence);
    write_number(w, "budget_seconds", report->budget_seconds);
    write_measured(w, "max_memory_bytes", report->max_memory_bytes);
    write_measured(w, "max_latency_ms", report->max_latency_ms);
    write_measured(w, "requests", report->requests);
    if (report->techniques_asked)
        write_strings(w, "techniques", report->techniques_asked, report->techniques_asked_count);
    else
        write_null(w, "techniques");
    write_integer(w, "seed", (int64_t)report->seed);
    write_object_end(w);
}

static void write_labels(struct writer *w, const struct report *report)
{
    write_array(w, "labels");
    for (size_t i = 0; i < report->label_count; i++) {
        write_object(w, NULL);
        write_string(w, "label", report->labels[i].name);
        write_integer(w, "count", (int64_t)report->labels[i].count);
        write_object_end(w);
    }
    write_array_end(w);
}

static void write_data(struct writer *w, const struct report *report)
{
    write_object(w, "data");
    write_string(w, "path", report->data_path);
    write_string(w, "sha256", report->data_sha256);
    write_string(w, "test_path", report->test_path);
    write_string(w, "test_sha256", report->test_sha256);
    write_object_end(w);
}

static void write_profile(struct writer *w, const struct report *report)
{
    write_object(w, "profile");
    write_data(w, report);
    write_string(w, "task", report->task);
    write_integer(w, "examples", (int64_t)report->examples);
    write_integer(w, "train", (int64_t)report->train);
    write_integer(w, "dev", (int64_t)report->dev);
    write_integer(w, "test", (int64_t)report->test);
    write_integer(w, "dev_used", (int64_t)report->dev_used);
    write_integer(w, "test_used", (int64_t)report->test_used);
    write_labels(w, report);
    write_object(w, "input_tokens");
    write_measured(w, "mean", report->input_tokens_mean);
    write_measured(w, "max", report->input_tokens_max);
    write_object_end(w);
    write_object(w, "duplicates");
    write_integer(w, "exact", (int64_t)report->exact_duplicates);
    write_integer(w, "near", (int64_t)report->near_duplicates);
    write_integer(w, "conflicting", (int64_t)report->conflicting);
    write_integer(w, "leaked", (int64_t)report->leaked);
    write_object_end(w);
    write_strings(w, "warnings", report->warnings, report->warning_count);
    write_object_end(w);
}

static void write_recommendation(struct writer *w, const struct report *report)
{
    write_object(w, "recommendation");
    write_string(w, "technique", report->technique);
    write_string(w, "status", outcome_status_name(report->outcome));
    write_strings(w, "reasons", report->reasons, report->reason_count);
    write_object_end(w);
}

static void write_reasons(struct writer *w, const struct ranked *ranked)
{
    write_array(w, "reasons");
    for (size_t i = 0; i < ranked->reason_count; i++) {
        const struct reason *reason = &ranked->reasons[i];
        write_object(w, NULL);
        write_string(w, "rule", reason->rule);
        write_string(w, "source", reason->source);
        write_string(w, "text", reason->text);
        write_string(w, "verdict", verdict_name(reason->verdict));
        write_string(w, "evidence", reason->evidence ? reason->evidence : "");
        write_object_end(w);
    }
    write_array_end(w);
}

static void write_forecast(struct writer *w, const struct report_forecast *forecast)
{
    if (!forecast->count && !forecast->note) {
        write_null(w, "forecast");
        return;
    }
    write_object(w, "forecast");
    write_number(w, "level", forecast->level);
    write_array(w, "points");
    for (size_t i = 0; i < forecast->count; i++) {
        write_object(w, NULL);
        write_number(w, "examples", forecast->points[i].examples);
        write_number(w, "metric", forecast->points[i].metric);
        write_number(w, "low", forecast->points[i].low);
        write_number(w, "high", forecast->points[i].high);
        write_measured(w, "probability_meets_target", forecast->points[i].probability_meets_target);
        write_object_end(w);
    }
    write_array_end(w);
    write_measured(w, "examples_to_target", forecast->examples_to_target);
    write_string(w, "note", forecast->note);
    write_object_end(w);
}

static void write_measurements(struct writer *w, const struct ranked *ranked, enum ranked_part part)
{
    const struct ranked_number *number;
    for (size_t i = 0; (number = ranked_number_at(part, i)); i++)
        write_measured(w, number->name, ranked_number_of(number, ranked));
}

static void write_ranked(struct writer *w, const struct ranked *ranked)
{
    write_object(w, NULL);
    write_integer(w, "rank", ranked->rank);
    write_string(w, "technique", ranked->technique);
    write_string(w, "family", ranked->family);
    write_string(w, "status", standing_status_name(ranked->status));
    write_string(w, "note", ranked->note ? ranked->note : "");
    write_json(w, "setting", ranked->setting);
    write_integer(w, "examples", ranked->examples);
    write_integer(w, "seeds", (int64_t)ranked->seeds);
    write_measurements(w, ranked, RANKED_METRIC);
    write_strings(w, "tied_with", ranked->tied_with, ranked->tied_count);
    write_measurements(w, ranked, RANKED_PROBABILITY);
    write_measurements(w, ranked, RANKED_COST);
    write_json(w, "metrics", ranked->metrics ? ranked->metrics : "{}");
    write_forecast(w, &ranked->forecast);
    write_reasons(w, ranked);
    write_object_end(w);
}

static void write_changes(struct writer *w, const struct report *report)
{
    write_array(w, "winner_changes");
    for (size_t i = 0; i < report->winner_change_count; i++) {
        write_object(w, NULL);
        write_string(w, "technique", report->winner_changes[i].technique);
        write_number(w, "examples", report->winner_changes[i].examples);
        write_number(w, "probability", report->winner_changes[i].probability);
        write_object_end(w);
    }
    write_array_end(w);
}

/* Where the lifetime cost of another technique meets that of the recommended one. */
static void write_break_even(struct writer *w, const struct report *report)
{
    const struct ranked *reference = lifetime_reference(report);
    write_array(w, "break_even");
    for (size_t i = 0; reference && i < report->ranking_count; i++) {
        const struct ranked *ranked = &report->ranking[i];
        if (ranked == reference || !has_lifetime_cost(ranked))
            continue;
        struct break_even point = break_even_of(ranked, reference);
        if (point.crossing != CHEAPER_FROM && point.crossing != CHEAPER_UP_TO)
            continue;
        write_object(w, NULL);
        write_string(w, "technique", ranked->technique);
        write_string(w, "cheaper_than", reference->technique);
        write_string(w, "when", point.crossing == CHEAPER_FROM ? "from" : "up_to");
        write_number(w, "requests", point.requests);
        write_object_end(w);
    }
    write_array_end(w);
}

static void write_cost(struct writer *w, const struct report *report)
{
    write_object(w, "cost");
    write_number(w, "budget_seconds", report->budget_seconds);
    write_number(w, "spent_seconds", report->spent_seconds);
    write_number(w, "exhaustive_seconds_estimate", report->exhaustive_seconds_estimate);
    write_number(w, "lifetime_requests",
                 report->requests.known ? report->requests.value : USUAL_REQUESTS);
    write_break_even(w, report);
    write_object_end(w);
}

static void write_reproduce(struct writer *w, const struct report *report)
{
    write_object(w, "reproduce");
    write_string(w, "command", report->command);
    write_string(w, "version", report->program_version);
    write_bool(w, "complete", report->complete);
    write_object_end(w);
}

void write_json_report(const struct report *report, struct report_style style, struct text *out)
{
    (void)style;
    struct writer w = writer_begin(out);
    write_object(&w, NULL);
    write_integer(&w, "schema", SCHEMA);
    write_string(&w, "study", report->study);
    write_model(&w, report);
    write_constraints(&w, report);
    write_profile(&w, report);
    write_recommendation(&w, report);
    write_array(&w, "ranking");
    for (size_t i = 0; i < report->ranking_count; i++)
        write_ranked(&w, &report->ranking[i]);
    write_array_end(&w);
    write_strings(&w, "pareto", report->pareto, report->pareto_count);
    write_changes(&w, report);
    write_cost(&w, report);
    write_reproduce(&w, report);
    write_object_end(&w);
    writer_end(&w);
}

void write_json_trial(const struct report *report, struct report_style style, struct text *out)
{
    (void)style;
    struct writer w = writer_begin(out);
    const struct ranked *trial = report->ranking;
    write_object(&w, NULL);
    write_integer(&w, "schema", SCHEMA);
    write_string(&w, "technique", trial->technique);
    write_string(&w, "family", trial->family);
    write_string(&w, "status", standing_status_name(trial->status));
    write_string(&w, "note", trial->note ? trial->note : "");
    write_json(&w, "setting", trial->setting);
    write_integer(&w, "examples", trial->examples);
    write_integer(&w, "seed", (int64_t)report->seed);
    write_string(&w, "metric_name", report->metric);
    write_measurements(&w, trial, RANKED_METRIC);
    write_measurements(&w, trial, RANKED_COST);
    write_json(&w, "metrics", trial->metrics ? trial->metrics : "{}");
    write_model(&w, report);
    write_profile(&w, report);
    write_object_end(&w);
    writer_end(&w);
}
