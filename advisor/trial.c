/* SPDX-License-Identifier: Apache-2.0
 *
 * advisor trial: one technique, one setting, one size, measured and shown; nothing is stored.
 */
#include <string.h>

#include "advisor/allocate.h"
#include "advisor/command.h"
#include "advisor/interrupt.h"
#include "advisor/memory_limit.h"
#include "advisor/output.h"
#include "advisor/study.h"
#include "advisor/summary.h"

static enum status choose_setting(struct study *study, const struct technique *technique,
                                  struct setting *setting, size_t *examples, struct error *err)
{
    const struct options *options = study->options;
    size_t there_are = study->split.train_count;
    const char *why;
    *setting = setting_default(technique);
    enum status status = OK;
    for (size_t i = 0; i < options->setting_count && status == OK; i++)
        status = setting_set(setting, options->settings[i], &study->arena, err);
    if (status != OK)
        return status;
    *examples = options->examples < 0 ? there_are : (size_t)options->examples;
    if (*examples > there_are)
        return error_set(err, USAGE,
                         "--examples %zu is more than the %zu training examples there "
                         "are; expected at most %zu",
                         *examples, there_are, there_are);
    if (!technique_fits(study, technique, &why))
        return error_set(err, USAGE, "%s %s", technique->name, why);
    if (*examples < (size_t)technique->minimum_examples)
        return error_set(err, USAGE, "--examples %zu is too few: %s needs at least %d", *examples,
                         technique->name, technique->minimum_examples);
    return OK;
}

static enum status on_progress(void *context, const char *stage, size_t done, size_t total,
                               struct error *err)
{
    (void)err;
    struct study *study = context;
    progress_update(study->progress, study->options->operands[0], stage, (double)done,
                    (double)total, study_spent(study), study->options->budget_seconds);
    return OK;
}

static struct ranked row_of(struct study *study, const struct setting *setting, size_t examples,
                            const struct trial_record *record, const struct metric_value *test)
{
    struct text json = {0};
    setting_json(setting, &json);
    struct ranked row = {.rank = 1,
                         .technique = setting->technique->name,
                         .family = setting->technique->family,
                         .status = STANDING_MEASURED,
                         .note = record->reason ? record->reason : "",
                         .setting = arena_strdup(&study->arena, text_string(&json)),
                         .examples = (int64_t)examples,
                         .metric = record->metric,
                         .low = record->low,
                         .high = record->high,
                         .test_metric = measured(test->value),
                         .metrics = record->metrics,
                         .forgetting = record->forgetting,
                         .trial_seconds = record->trial_seconds,
                         .train_seconds = record->train_seconds,
                         .tokens_per_request = record->tokens_per_request,
                         .latency_ms = record->latency_ms,
                         .trainable_parameters = record->trainable_parameters,
                         .peak_memory_bytes = record->peak_memory_bytes,
                         .artifact_bytes = record->artifact_bytes};
    text_release(&json);
    return row;
}

static enum status run(struct study *study, struct report *report, struct error *err)
{
    const struct technique *technique = technique_find(study->options->operands[0]);
    struct setting setting;
    size_t examples;
    struct trial_outcome outcome;
    struct prediction *predictions;
    struct metric_value test;
    enum status status = choose_setting(study, technique, &setting, &examples, err);
    if (status != OK)
        return status;
    struct trial_hooks hooks = {.context = study, .progress = on_progress};
    uint64_t seed = study->options->seed;
    study_set_deadline(study, study_left(study));
    status = memory_settle(study, &setting, examples, err);
    if (status == OK)
        status = evaluate_trial(&study->evaluator, &setting, examples, seed, &hooks,
                                &study->deadline, &study->arena, &outcome, err);
    if (status == OK)
        status = evaluate_test(&study->evaluator, &setting, examples, seed, outcome.artifact,
                               outcome.artifact_length, &study->deadline, &study->arena,
                               &predictions, &test, err);
    if (status == OUT_OF_TIME)
        return error_set(err, FAILED,
                         "the budget of %.3g s was used up before the trial was done; use a larger "
                         "--budget or fewer --examples",
                         study->options->budget_seconds);
    if (status != OK)
        return status;
    struct ranked *row = arena_alloc(&study->arena, sizeof *row);
    *row = row_of(study, &setting, examples, &outcome.record, &test);
    report->ranking = row;
    report->ranking_count = 1;
    return summarise_study(study, report, err);
}

static enum status check_technique(const char *name, struct error *err)
{
    if (technique_find(name))
        return OK;
    struct text names = {0};
    const struct technique *technique;
    for (size_t i = 0; (technique = technique_at(i)); i++)
        text_printf(&names, "%s%s", i ? ", " : "", technique->name);
    enum status status = error_set(err, USAGE, "there is no technique \"%s\"; expected one of %s",
                                   name, text_string(&names));
    text_release(&names);
    return status;
}

enum status trial_run(const struct options *options, struct error *err)
{
    struct progress progress;
    struct study study;
    struct report report = {0};
    enum status status = check_technique(options->operands[0], err);
    if (status != OK)
        return status;
    interrupt_install();
    progress_open(&progress, options);
    status = study_open(&study, options, &progress, false, err);
    if (status == OK)
        status = run(&study, &report, err);
    progress_clear(&progress);
    if (status == OK)
        status = output_trial(options, &report, err);
    study_close(&study);
    return status;
}
