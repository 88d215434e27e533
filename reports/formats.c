/* SPDX-License-Identifier: Apache-2.0 */
#include "reports/formats.h"

#include <string.h>

/* The first one is the default. */
static const struct report_format table[] = {
    {.name = "text",
     .summary = "for reading on a terminal",
     .write = write_text_report,
     .write_trial = write_text_trial},
    {.name = "json",
     .summary = "for programs; one object with all there is",
     .write = write_json_report,
     .write_trial = write_json_trial},
    {.name = "csv",
     .summary = "for spreadsheets; one trial a row",
     .write = write_csv_report,
     .write_trial = write_csv_report},
    {.name = "markdown",
     .summary = "for a pull request; the answer and a short table",
     .write = write_markdown_report,
     .write_trial = write_markdown_trial},
    {.name = "html",
     .summary = "to show around; one page with pictures that loads and runs nothing",
     .write = write_html_report,
     .write_trial = write_html_trial},
    {.name = "lm-eval",
     .summary = "for the tools of lm-evaluation-harness; results and samples in a folder",
     .write = write_lm_eval_report,
     .write_trial = write_lm_eval_report,
     .write_files = write_lm_eval_files},
};

const struct report_format *report_format_at(size_t index)
{
    return index < sizeof table / sizeof *table ? &table[index] : NULL;
}

const struct report_format *report_format_find(const char *name)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (!strcmp(table[i].name, name))
            return &table[i];
    return NULL;
}

const struct ranked *report_ranked(const struct report *report, const char *technique)
{
    for (size_t i = 0; technique && i < report->ranking_count; i++)
        if (!strcmp(report->ranking[i].technique, technique))
            return &report->ranking[i];
    return NULL;
}

const struct ranked_answers *report_answers(const struct report *report, const char *technique)
{
    for (size_t i = 0; technique && i < report->evidence.answers_count; i++)
        if (!strcmp(report->evidence.answers[i].technique, technique))
            return &report->evidence.answers[i];
    return NULL;
}

#define AT(member) .at = offsetof(struct ranked, member)

static const struct ranked_number numbers[] = {
    {.name = "metric", .part = RANKED_METRIC, AT(metric)},
    {.name = "low", .part = RANKED_METRIC, AT(low)},
    {.name = "high", .part = RANKED_METRIC, AT(high)},
    {.name = "test_metric", .part = RANKED_METRIC, AT(test_metric)},
    {.name = "probability_best", .part = RANKED_PROBABILITY, AT(probability_best)},
    {.name = "probability_meets_target", .part = RANKED_PROBABILITY, AT(probability_meets_target)},
    {.name = "trial_seconds", .part = RANKED_COST, AT(trial_seconds)},
    {.name = "train_seconds", .part = RANKED_COST, AT(train_seconds)},
    {.name = "tokens_per_request", .part = RANKED_COST, AT(tokens_per_request)},
    {.name = "latency_ms", .part = RANKED_COST, AT(latency_ms)},
    {.name = "training_tokens", .part = RANKED_COST, AT(training_tokens)},
    {.name = "trainable_parameters", .part = RANKED_COST, AT(trainable_parameters)},
    {.name = "peak_memory_bytes", .part = RANKED_COST, AT(peak_memory_bytes)},
    {.name = "artifact_bytes", .part = RANKED_COST, AT(artifact_bytes)},
    {.name = "forgetting", .part = RANKED_COST, AT(forgetting)},
};

const struct ranked_number *ranked_number_at(enum ranked_part part, size_t index)
{
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (numbers[i].part == part && !index--)
            return &numbers[i];
    return NULL;
}

struct measured ranked_number_of(const struct ranked_number *number, const struct ranked *ranked)
{
    return *(const struct measured *)((const char *)ranked + number->at);
}

void ranked_number_set(const struct ranked_number *number, struct ranked *ranked,
                       struct measured value)
{
    *(struct measured *)((char *)ranked + number->at) = value;
}

const char *standing_status_name(enum standing_status status)
{
    static const char *const names[] = {[STANDING_MEASURED] = "measured",
                                        [STANDING_ELIMINATED] = "eliminated",
                                        [STANDING_EXCLUDED] = "excluded",
                                        [STANDING_NOT_RUN] = "not_run"};
    return names[status];
}

const char *verdict_name(enum verdict verdict)
{
    static const char *const names[] = {[VERDICT_UNTESTED] = "untested",
                                        [VERDICT_CONFIRMED] = "confirmed",
                                        [VERDICT_OVERRIDDEN] = "overridden"};
    return names[verdict];
}

const char *outcome_status_name(enum outcome_status status)
{
    static const char *const names[] = {[OUTCOME_MEETS_TARGET] = "meets_target",
                                        [OUTCOME_BEST_AVAILABLE] = "best_available",
                                        [OUTCOME_BEATS_NOTHING] = "beats_nothing"};
    return names[status];
}

void add_seeds(const struct report *report, struct text *out)
{
    size_t named = 0;
    for (size_t i = 0; i < report->ranking_count; i++) {
        const struct ranked *ranked = &report->ranking[i];
        if (ranked->seeds > 1)
            text_printf(out, "%s%s (%zu)", named++ ? ", " : "mean over seeds: ", ranked->technique,
                        ranked->seeds);
    }
}
