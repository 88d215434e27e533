/* SPDX-License-Identifier: Apache-2.0
 *
 * The inverse of json.c: a report out of its JSON, so that a study can be shown again without its
 * data and its model.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "reports/formats.h"

struct reader {
    struct arena *arena;
    const char *fault; /* the first key that is missing or of another type, or NULL */
};

/* ---- Values ---------------------------------------------------------------------------------- */

static json_t *take(struct reader *r, const json_t *object, const char *key)
{
    json_t *value = json_object_get(object, key);
    if (!value && !r->fault)
        r->fault = key;
    return value;
}

static void *refuse(struct reader *r, const char *key)
{
    if (!r->fault)
        r->fault = key;
    return NULL;
}

static json_t *take_object(struct reader *r, const json_t *object, const char *key)
{
    json_t *value = take(r, object, key);
    return json_is_object(value) ? value : refuse(r, key);
}

static json_t *take_array(struct reader *r, const json_t *object, const char *key)
{
    json_t *value = take(r, object, key);
    return json_is_array(value) ? value : refuse(r, key);
}

static const char *take_string_or_null(struct reader *r, const json_t *object, const char *key)
{
    const json_t *value = take(r, object, key);
    if (json_is_null(value))
        return NULL;
    if (!json_is_string(value))
        return refuse(r, key);
    return arena_strdup(r->arena, json_string_value(value));
}

static const char *take_string(struct reader *r, const json_t *object, const char *key)
{
    const char *string = take_string_or_null(r, object, key);
    if (!string)
        refuse(r, key);
    return string ? string : "";
}

static struct measured take_measured(struct reader *r, const json_t *object, const char *key)
{
    const json_t *value = take(r, object, key);
    if (!json_is_number(value)) {
        if (!json_is_null(value))
            refuse(r, key);
        return (struct measured){0};
    }
    return measured(json_number_value(value));
}

static double take_number(struct reader *r, const json_t *object, const char *key)
{
    struct measured number = take_measured(r, object, key);
    if (!number.known)
        refuse(r, key);
    return number.value;
}

static int64_t take_integer(struct reader *r, const json_t *object, const char *key)
{
    const json_t *value = take(r, object, key);
    if (!json_is_integer(value))
        refuse(r, key);
    return (int64_t)json_integer_value(value);
}

static size_t take_size(struct reader *r, const json_t *object, const char *key)
{
    int64_t value = take_integer(r, object, key);
    if (value < 0)
        refuse(r, key);
    return value < 0 ? 0 : (size_t)value;
}

static const char *const *take_strings(struct reader *r, const json_t *object, const char *key,
                                       size_t *count)
{
    const json_t *array = take_array(r, object, key);
    *count = json_array_size(array);
    const char **strings = arena_zalloc(r->arena, *count * sizeof *strings + 1);
    for (size_t i = 0; i < *count; i++) {
        const char *string = json_string_value(json_array_get(array, i));
        if (!string)
            refuse(r, key);
        strings[i] = arena_strdup(r->arena, string ? string : "");
    }
    return strings;
}

/* The text as setting_json writes it. */
static const char *take_setting(struct reader *r, const json_t *object, const char *key)
{
    const json_t *value = take_object(r, object, key);
    char *dump =
        value ? json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(12)) : NULL;
    const char *copy = arena_strdup(r->arena, dump ? dump : "{}");
    free(dump);
    return copy;
}

/* An object of numbers as the store writes it: {"accuracy":0.9}; NULL when it has none. */
static const char *take_numbers(struct reader *r, const json_t *object, const char *key)
{
    struct text text = {0};
    const char *name;
    json_t *number;
    json_object_foreach(take_object(r, object, key), name, number)
    {
        if (!json_is_number(number))
            refuse(r, key);
        text_printf(&text, "%s\"%s\":%.12g", text.length ? "," : "{", name,
                    json_number_value(number));
    }
    text_add(&text, text.length ? "}" : "");
    const char *copy = text.length ? arena_strdup(r->arena, text_string(&text)) : NULL;
    text_release(&text);
    return copy;
}

/* The number whose name a key holds. */
static int take_name(struct reader *r, const json_t *object, const char *key,
                     const char *(*name)(int), int count)
{
    const char *found = take_string(r, object, key);
    for (int i = 0; i < count; i++)
        if (!strcmp(found, name(i)))
            return i;
    refuse(r, key);
    return 0;
}

static const char *standing_name(int i)
{
    return standing_status_name((enum standing_status)i);
}

static const char *outcome_name(int i)
{
    return outcome_status_name((enum outcome_status)i);
}

static const char *verdict_of(int i)
{
    return verdict_name((enum verdict)i);
}

/* ---- Parts of a report ------------------------------------------------------------------------
 */

static void read_model(struct reader *r, const json_t *model, struct report *report)
{
    report->model_name = take_string(r, model, "name");
    report->model_path = take_string(r, model, "path");
    report->model_sha256 = take_string(r, model, "sha256");
    report->model_parameters = take_size(r, model, "parameters");
    report->model_context = (int)take_integer(r, model, "context_length");
    report->model_bytes = take_size(r, model, "bytes");
}

static void read_constraints(struct reader *r, const json_t *constraints, struct report *report)
{
    report->target = take_measured(r, constraints, "target");
    report->metric = take_string(r, constraints, "metric");
    report->confidence = take_number(r, constraints, "confidence");
    report->budget_seconds = take_number(r, constraints, "budget_seconds");
    report->max_memory_bytes = take_measured(r, constraints, "max_memory_bytes");
    report->max_latency_ms = take_measured(r, constraints, "max_latency_ms");
    report->requests = take_measured(r, constraints, "requests");
    report->seed = (uint64_t)take_integer(r, constraints, "seed");
    if (!json_is_null(take(r, constraints, "techniques")))
        report->techniques_asked =
            take_strings(r, constraints, "techniques", &report->techniques_asked_count);
}

static void read_labels(struct reader *r, const json_t *profile, struct report *report)
{
    const json_t *array = take_array(r, profile, "labels");
    size_t count = json_array_size(array);
    struct label_count *labels = arena_zalloc(r->arena, count * sizeof *labels + 1);
    for (size_t i = 0; i < count; i++) {
        const json_t *label = json_array_get(array, i);
        labels[i].name = take_string(r, label, "label");
        labels[i].count = take_size(r, label, "count");
    }
    report->labels = labels;
    report->label_count = count;
}

static void read_data(struct reader *r, const json_t *data, struct report *report)
{
    report->data_path = take_string(r, data, "path");
    report->data_sha256 = take_string(r, data, "sha256");
    report->test_path = take_string_or_null(r, data, "test_path");
    report->test_sha256 = take_string_or_null(r, data, "test_sha256");
}

static void read_profile(struct reader *r, const json_t *profile, struct report *report)
{
    const json_t *tokens = take_object(r, profile, "input_tokens");
    const json_t *duplicates = take_object(r, profile, "duplicates");
    read_data(r, take_object(r, profile, "data"), report);
    report->task = take_string(r, profile, "task");
    report->examples = take_size(r, profile, "examples");
    report->train = take_size(r, profile, "train");
    report->dev = take_size(r, profile, "dev");
    report->test = take_size(r, profile, "test");
    report->dev_used = take_size(r, profile, "dev_used");
    report->test_used = take_size(r, profile, "test_used");
    read_labels(r, profile, report);
    report->input_tokens_mean = take_measured(r, tokens, "mean");
    report->input_tokens_max = take_measured(r, tokens, "max");
    report->exact_duplicates = take_size(r, duplicates, "exact");
    report->near_duplicates = take_size(r, duplicates, "near");
    report->conflicting = take_size(r, duplicates, "conflicting");
    report->leaked = take_size(r, duplicates, "leaked");
    report->warnings = take_strings(r, profile, "warnings", &report->warning_count);
}

static void read_recommendation(struct reader *r, const json_t *object, struct report *report)
{
    report->technique = take_string_or_null(r, object, "technique");
    report->outcome = (enum outcome_status)take_name(r, object, "status", outcome_name,
                                                     OUTCOME_BEATS_NOTHING + 1);
    report->reasons = take_strings(r, object, "reasons", &report->reason_count);
}

/* ---- The ranking ------------------------------------------------------------------------------
 */

static void read_reasons(struct reader *r, const json_t *object, struct ranked *ranked)
{
    const json_t *array = take_array(r, object, "reasons");
    size_t count = json_array_size(array);
    struct reason *reasons = arena_zalloc(r->arena, count * sizeof *reasons + 1);
    for (size_t i = 0; i < count; i++) {
        const json_t *reason = json_array_get(array, i);
        reasons[i].rule = take_string(r, reason, "rule");
        reasons[i].source = take_string(r, reason, "source");
        reasons[i].text = take_string(r, reason, "text");
        reasons[i].verdict =
            (enum verdict)take_name(r, reason, "verdict", verdict_of, VERDICT_OVERRIDDEN + 1);
        reasons[i].evidence = take_string(r, reason, "evidence");
    }
    ranked->reasons = reasons;
    ranked->reason_count = count;
}

static void read_forecast(struct reader *r, const json_t *object, struct ranked *ranked)
{
    if (json_is_null(take(r, object, "forecast")))
        return;
    const json_t *forecast = take_object(r, object, "forecast");
    const json_t *array = take_array(r, forecast, "points");
    size_t count = json_array_size(array);
    struct forecast_point *points = arena_zalloc(r->arena, count * sizeof *points + 1);
    for (size_t i = 0; i < count; i++) {
        const json_t *point = json_array_get(array, i);
        points[i].examples = take_number(r, point, "examples");
        points[i].metric = take_number(r, point, "metric");
        points[i].low = take_number(r, point, "low");
        points[i].high = take_number(r, point, "high");
        points[i].probability_meets_target = take_measured(r, point, "probability_meets_target");
    }
    ranked->forecast = (struct report_forecast){
        .level = take_number(r, forecast, "level"),
        .points = points,
        .count = count,
        .examples_to_target = take_measured(r, forecast, "examples_to_target"),
        .note = take_string_or_null(r, forecast, "note")};
}

static void read_measurements(struct reader *r, const json_t *object, struct ranked *ranked)
{
    const struct ranked_number *number;
    for (enum ranked_part part = RANKED_METRIC; part <= RANKED_COST; part++)
        for (size_t i = 0; (number = ranked_number_at(part, i)); i++)
            ranked_number_set(number, ranked, take_measured(r, object, number->name));
}

static void read_ranked(struct reader *r, const json_t *object, struct ranked *ranked)
{
    ranked->rank = (int)take_integer(r, object, "rank");
    ranked->technique = take_string(r, object, "technique");
    ranked->family = take_string(r, object, "family");
    ranked->status =
        (enum standing_status)take_name(r, object, "status", standing_name, STANDING_NOT_RUN + 1);
    ranked->note = take_string(r, object, "note");
    ranked->setting = take_setting(r, object, "setting");
    ranked->examples = take_integer(r, object, "examples");
    ranked->seeds = take_size(r, object, "seeds");
    read_measurements(r, object, ranked);
    ranked->tied_with = take_strings(r, object, "tied_with", &ranked->tied_count);
    ranked->metrics = take_numbers(r, object, "metrics");
    read_forecast(r, object, ranked);
    read_reasons(r, object, ranked);
}

static void read_ranking(struct reader *r, const json_t *root, struct report *report)
{
    const json_t *array = take_array(r, root, "ranking");
    size_t count = json_array_size(array);
    struct ranked *ranking = arena_zalloc(r->arena, count * sizeof *ranking + 1);
    for (size_t i = 0; i < count; i++)
        read_ranked(r, json_array_get(array, i), &ranking[i]);
    report->ranking = ranking;
    report->ranking_count = count;
    report->pareto = take_strings(r, root, "pareto", &report->pareto_count);
}

static void read_changes(struct reader *r, const json_t *root, struct report *report)
{
    const json_t *array = take_array(r, root, "winner_changes");
    size_t count = json_array_size(array);
    struct winner_change *changes = arena_zalloc(r->arena, count * sizeof *changes + 1);
    for (size_t i = 0; i < count; i++) {
        const json_t *change = json_array_get(array, i);
        changes[i].technique = take_string(r, change, "technique");
        changes[i].examples = take_number(r, change, "examples");
        changes[i].probability = take_number(r, change, "probability");
    }
    report->winner_changes = changes;
    report->winner_change_count = count;
}

/* ---- All of it --------------------------------------------------------------------------------
 */

static void read_root(struct reader *r, const json_t *root, struct report *report)
{
    const json_t *cost = take_object(r, root, "cost");
    const json_t *reproduce = take_object(r, root, "reproduce");
    if (take_integer(r, root, "schema") != 1)
        refuse(r, "schema");
    report->study = take_string(r, root, "study");
    read_model(r, take_object(r, root, "model"), report);
    read_constraints(r, take_object(r, root, "constraints"), report);
    read_profile(r, take_object(r, root, "profile"), report);
    read_recommendation(r, take_object(r, root, "recommendation"), report);
    read_ranking(r, root, report);
    read_changes(r, root, report);
    report->spent_seconds = take_number(r, cost, "spent_seconds");
    report->exhaustive_seconds_estimate = take_number(r, cost, "exhaustive_seconds_estimate");
    report->command = take_string_or_null(r, reproduce, "command");
    report->program_version = take_string_or_null(r, reproduce, "version");
    report->complete = json_is_true(take(r, reproduce, "complete"));
}

enum status report_read(const char *json, struct arena *arena, struct report *report,
                        struct error *err)
{
    struct reader r = {.arena = arena};
    json_error_t problem;
    json_t *root = json_loads(json, JSON_REJECT_DUPLICATES, &problem);
    *report = (struct report){0};
    if (!root)
        return error_set(err, FAILED, "the stored report is not valid JSON: %s on line %d",
                         problem.text, problem.line);
    read_root(&r, root, report);
    json_decref(root);
    if (!r.fault)
        return OK;
    return error_set(err, FAILED,
                     "the stored report is not one of this version: its \"%s\" is missing or not "
                     "what was expected; the same `advisor recommend` again writes it anew",
                     r.fault);
}
