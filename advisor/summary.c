/* SPDX-License-Identifier: Apache-2.0 */
#include "advisor/summary.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "advisor/allocate.h"
#include "model/transformer.h"
#include "techniques/trainer.h"

enum { MOST_WARNINGS = 12 };

struct warnings {
    struct arena *arena;
    const char **items;
    size_t count;
};

static void __attribute__((format(printf, 2, 3)))
warn(struct warnings *warnings, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (warnings->count < MOST_WARNINGS)
        warnings->items[warnings->count++] = arena_strdup(warnings->arena, text);
}

static void warn_about_data(const struct study *study, struct warnings *warnings)
{
    const struct split_facts *facts = &study->split.facts;
    const struct dataset *data = &study->data;
    for (size_t i = 0; i < data->note_count; i++)
        warn(warnings, "%s", data->notes[i]);
    if (data->skipped_count)
        warn(warnings, "%zu bad rows were skipped, the first on line %zu.", data->skipped_count,
             data->skipped[0].line);
    if (facts->conflicting_targets.count)
        warn(warnings,
             "%zu texts occur with more than one answer, first on lines %zu and %zu: no model can "
             "get both right.",
             facts->conflicting_targets.count, facts->conflicting_targets.places[0].other,
             facts->conflicting_targets.places[0].line);
    if (facts->leakage.count + facts->near_leakage.count)
        warn(warnings,
             "%zu test examples are in the training data too (%zu of them nearly); the test "
             "metric is too good by what they contribute.",
             facts->leakage.count + facts->near_leakage.count, facts->near_leakage.count);
    if (study->evaluator.dev_count < 50)
        warn(warnings, "only %zu development examples: weak evidence, the intervals say how weak.",
             study->evaluator.dev_count);
    if (study->tokens_max > study->model->n_context / 2.0)
        warn(warnings, "the longest input has %.0f tokens, over half of the model's context of %d.",
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

/* What trying everything would take: each technique at full size, every learning rate, and the
 * development answers, at the bare model's speed. */
static double exhaustive_seconds(const struct study *study)
{
    double answers =
        study->seconds_per_answer * (double)(study->split.dev_count + study->split.test_count);
    double seconds = 0;
    const struct technique *technique;
    for (size_t i = 0; (technique = study_technique(study, i)); i++) {
        if (!(technique->needs & NEEDS_MODEL))
            continue;
        size_t rates = 1;
        for (const char *c = technique->learning_rates; c && *c; c++)
            rates += *c == ',';
        seconds += answers * (double)rates;
        if (technique->learning_rates) {
            struct setting setting = setting_default(technique);
            double passes = (double)study->split.train_count *
                            trainer_epochs(&setting, study->split.train_count);
            seconds += 3 * passes * study->seconds_per_answer * (double)rates;
        }
    }
    return seconds;
}

/* The command line without the program's path, quoted where a shell needs it. */
static const char *command_of(struct study *study)
{
    const struct options *options = study->options;
    struct text text = {0};
    text_printf(&text, "advisor recommend '%s'", study->data.path);
    if (options->test_path)
        text_printf(&text, " --test '%s'", options->test_path);
    if (options->model_given)
        text_printf(&text, " --model '%s'", options->model);
    if (options->target.known)
        text_printf(&text, " --target %g", options->target.value);
    text_printf(&text, " --metric %s --budget %gs --seed %llu", study->evaluator.metric->name,
                options->budget_seconds, (unsigned long long)options->seed);
    const char *copy = arena_strdup(&study->arena, text_string(&text));
    text_release(&text);
    return copy;
}

void summarise_study(struct study *study, struct report *report)
{
    const struct model *model = study->model;
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
    struct warnings warnings = {
        .arena = &study->arena,
        .items = arena_alloc(&study->arena, MOST_WARNINGS * sizeof(const char *))};
    warn_about_data(study, &warnings);
    report->warnings = warnings.items;
    report->warning_count = warnings.count;
    report->spent_seconds = study_spent(study);
    report->exhaustive_seconds_estimate = exhaustive_seconds(study);
    report->command = command_of(study);
}
