/* SPDX-License-Identifier: Apache-2.0 */
#include "advisor/summary.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "advisor/pace.h"
#include "base/sentences.h"
#include "model/transformer.h"

/* What the comparison stands on. */
static void warn_about_sides(const struct study *study, struct sentences *warnings)
{
    size_t dev = study->evaluator.dev_count, test = study->evaluator.test_count;
    const struct split *split = &study->split;
    if (!dev)
        return;
    if (dev < split->dev_count || test < split->test_count)
        say(warnings,
            "the budget was short when the study began, so only %zu of %zu development and %zu of "
            "%zu test examples are answered; a larger --budget with --fresh uses more.",
            dev, split->dev_count, test, split->test_count);
    size_t different = study_different_texts(study, dev);
    if (2 * different <= dev)
        say(warnings,
            "the %zu development examples hold only %zu different texts; intervals and ties count "
            "each copy as evidence, so they claim too much: leave the copies out.",
            dev, different);
    if (dev < 50)
        say(warnings, "only %zu development examples: weak evidence, the intervals say how weak.",
            dev);
}

static void warn_about_data(const struct study *study, struct sentences *warnings)
{
    const struct split_facts *facts = &study->split.facts;
    const struct dataset *data = &study->data;
    for (size_t i = 0; i < data->note_count; i++)
        say(warnings, "%s", data->notes[i]);
    if (data->skipped_count)
        say(warnings, "%zu bad rows were skipped, the first on line %zu.", data->skipped_count,
            data->skipped[0].line);
    if (facts->conflicting_targets.count)
        say(warnings,
            "%zu texts occur with more than one answer, first on lines %zu and %zu: no model can "
            "get both right.",
            facts->conflicting_targets.count, facts->conflicting_targets.places[0].other,
            facts->conflicting_targets.places[0].line);
    if (facts->leakage.count + facts->near_leakage.count)
        say(warnings,
            "%zu test examples are in the training data too (%zu of them nearly); the test "
            "metric is too good by what they contribute.",
            facts->leakage.count + facts->near_leakage.count, facts->near_leakage.count);
    warn_about_sides(study, warnings);
    if (study->tokens_max > study->model->n_context / 2.0)
        say(warnings, "the longest input has %.0f tokens, over half of the model's context of %d.",
            study->tokens_max, study->model->n_context);
}

static int compare_counts(const void *a, const void *b)
{
    const struct label_count *x = a, *y = b;
    if (x->count != y->count)
        return x->count < y->count ? 1 : -1;
    return strcmp(x->name, y->name);
}

static void fill_labels(struct study *study, struct report *report)
{
    const struct dataset *data = &study->data;
    struct label_count *labels = arena_alloc(&study->arena, data->label_count * sizeof *labels + 1);
    for (size_t i = 0; i < data->label_count; i++)
        labels[i] = (struct label_count){data->labels[i].name, data->labels[i].count};
    qsort(labels, data->label_count, sizeof *labels, compare_counts);
    report->labels = labels;
    report->label_count = data->label_count;
}

static void fill_data(struct study *study, struct report *report)
{
    const struct dataset *data = &study->data;
    const struct split *split = &study->split;
    report->data_path = data->path;
    report->data_sha256 = data->sha256;
    report->test_path = study->options->test_path;
    report->test_sha256 = study->test_data.count ? study->test_data.sha256 : NULL;
    report->task = task_name(data->task);
    report->examples = data->count;
    report->train = split->train_count;
    report->dev = split->dev_count;
    report->test = split->test_count;
    report->dev_used = study->evaluator.dev_count;
    report->test_used = study->evaluator.test_count;
    report->input_tokens_mean = measured(study->tokens_mean);
    report->input_tokens_max = measured(study->tokens_max);
    report->exact_duplicates = split->facts.exact_duplicates.count;
    report->near_duplicates = split->facts.near_duplicates.count;
    report->conflicting = split->facts.conflicting_targets.count;
    report->leaked = split->facts.leakage.count + split->facts.near_leakage.count;
    fill_labels(study, report);
}

static void fill_constraints(struct study *study, struct report *report)
{
    const struct options *options = study->options;
    report->metric = study->evaluator.metric->name;
    report->target = options->target;
    report->confidence = options->confidence;
    report->budget_seconds = options->budget_seconds;
    report->max_memory_bytes = options->max_memory_bytes;
    report->max_latency_ms = options->max_latency_ms;
    report->requests = options->requests;
    report->seed = options->seed;
    if (!options->techniques)
        return;
    const char **names = arena_alloc(&study->arena, options->technique_count * sizeof *names + 1);
    for (size_t i = 0; i < options->technique_count; i++)
        names[i] = options->techniques[i]->name;
    report->techniques_asked = names;
    report->techniques_asked_count = options->technique_count;
}

/* A word as a shell reads it. */
static void add_quoted(struct text *text, const char *value)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "_@%+=:,./-";
    if (*value && !value[strspn(value, plain)]) {
        text_add(text, value);
        return;
    }
    text_add(text, "'");
    for (const char *c = value; *c; c++) {
        if (*c == '\'')
            text_add(text, "'\\''");
        else
            text_append(text, c, 1);
    }
    text_add(text, "'");
}

static void add_word(struct text *text, const char *name, const char *value)
{
    text_printf(text, " --%s ", name);
    add_quoted(text, value);
}

static void add_number(struct text *text, const char *name, struct measured value)
{
    if (value.known)
        text_printf(text, " --%s %.12g", name, value.value);
}

/* How the data are read. */
static void add_reading(struct text *text, const struct options *options)
{
    const struct dataset_options *reading = &options->reading;
    if (reading->input)
        add_word(text, "input", reading->input);
    if (reading->target)
        add_word(text, "label", reading->target);
    if (reading->rationale)
        add_word(text, "rationale", reading->rationale);
    if (reading->task != TASK_INFER)
        add_word(text, "task", task_name(reading->task));
    if (reading->delimiter)
        add_word(text, "delimiter", (const char[]){reading->delimiter, '\0'});
    if (reading->on_bad_row == BAD_ROW_SKIP)
        add_word(text, "on-bad-row", "skip");
    struct text names = {0};
    for (size_t i = 0; i < reading->label_map_count; i++)
        text_printf(&names, "%s%s=%s", i ? "," : "", reading->label_map[i].from,
                    reading->label_map[i].to);
    if (names.length)
        add_word(text, "label-names", text_string(&names));
    text_release(&names);
}

static void add_techniques(struct text *text, const struct options *options)
{
    if (!options->techniques)
        return;
    for (size_t i = 0; i < options->technique_count; i++)
        text_printf(text, "%s%s", i ? "," : " --techniques ", options->techniques[i]->name);
}

/* The command line that goes on with this study, without the program's path. */
static const char *command_of(struct study *study)
{
    const struct options *options = study->options;
    struct text text = {0};
    text_add(&text, "advisor recommend ");
    add_quoted(&text, study->data.path);
    if (options->test_path)
        add_word(&text, "test", options->test_path);
    add_reading(&text, options);
    if (options->model_given)
        add_word(&text, "model", options->model);
    if (options->study)
        add_word(&text, "study", options->study);
    add_techniques(&text, options);
    if (options->rules_path)
        add_word(&text, "rules", options->rules_path);
    for (size_t i = 0; i < options->fact_count; i++)
        add_word(&text, "fact", options->facts[i]);
    add_number(&text, "target", options->target);
    if (options->target.known)
        text_printf(&text, " --confidence %g", options->confidence);
    add_number(&text, "max-memory", options->max_memory_bytes);
    add_number(&text, "requests", options->requests);
    if (options->max_latency_ms.known)
        text_printf(&text, " --max-latency %gms", options->max_latency_ms.value);
    text_printf(&text, " --metric %s --budget %gs --seed %llu", study->evaluator.metric->name,
                options->budget_seconds, (unsigned long long)options->seed);
    const char *copy = arena_strdup(&study->arena, text_string(&text));
    text_release(&text);
    return copy;
}

static void fill_warnings(struct study *study, struct report *report)
{
    struct sentences warnings = {.arena = &study->arena};
    warn_about_data(study, &warnings);
    report->warnings = warnings.items;
    report->warning_count = warnings.count;
}

enum status summarise_study(struct study *study, struct report *report, struct error *err)
{
    const struct model *model = study->model;
    struct trials trials;
    report->study = study->name;
    report->study_path = study->path;
    report->complete = true;
    report->model_name = model->name;
    report->model_path = model->path;
    report->model_sha256 = model->sha256;
    report->model_parameters = model->n_parameters;
    report->model_bytes = model->bytes;
    report->model_context = model->n_context;
    fill_data(study, report);
    fill_constraints(study, report);
    fill_warnings(study, report);
    report->spent_seconds = study_cost(study);
    report->command = command_of(study);
    report->program_version = ADVISOR_VERSION;
    enum status status = trials_read(study, &study->arena, &trials, err);
    double everything = pace_exhaustive(study, &trials);
    if (everything > 0 && everything < report->spent_seconds) /* what was done is part of it */
        everything = report->spent_seconds;
    report->exhaustive_seconds_estimate = everything;
    return status;
}
