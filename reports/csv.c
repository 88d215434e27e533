/* SPDX-License-Identifier: Apache-2.0
 *
 * The trials as a table for spreadsheets: RFC 4180, one trial a row in the order of planning, then
 * the techniques that have none; the names of the store and of the JSON keys in the first row. The
 * trial that stands for its technique has a rank. What was not measured is an empty field.
 */
#include <string.h>

#include "reports/formats.h"

static void add_field(struct text *out, const char *string)
{
    text_add(out, ",");
    if (!string[strcspn(string, ",\"\r\n")]) {
        text_add(out, string);
        return;
    }
    text_add(out, "\"");
    for (const char *at = string; *at; at++)
        text_append(out, *at == '"' ? "\"\"" : at, *at == '"' ? 2 : 1);
    text_add(out, "\"");
}

static void add_measured(struct text *out, struct measured number)
{
    text_add(out, ",");
    if (number.known)
        text_printf(out, "%.12g", number.value);
}

/* The numbers of a trial, under the names of the store. */
struct number {
    const char *name;
    size_t at; /* in struct trial_record */
};

#define NUMBER(member)                                                                             \
    {                                                                                              \
#member, offsetof(struct trial_record, member)                                             \
    }

static const struct number numbers[] = {
    NUMBER(metric),
    NUMBER(low),
    NUMBER(high),
    NUMBER(test_metric),
    NUMBER(nll),
    NUMBER(prequential_nll),
    NUMBER(trial_seconds),
    NUMBER(train_seconds),
    NUMBER(tokens_per_second_train),
    NUMBER(tokens_per_second_forward),
    NUMBER(tokens_per_request),
    NUMBER(latency_ms),
    NUMBER(trainable_parameters),
    NUMBER(peak_memory_bytes),
    NUMBER(artifact_bytes),
    NUMBER(forgetting),
};

enum { NUMBERS = sizeof numbers / sizeof *numbers };

static void add_titles(struct text *out)
{
    text_add(out, "technique,family,purpose,status,examples,seed,metric_name");
    for (size_t i = 0; i < NUMBERS; i++)
        add_field(out, numbers[i].name);
    text_add(out,
             ",rank,probability_best,probability_meets_target,tied_with,metrics,setting,note\r\n");
}

/* What the ranking says about the technique, in the row of the trial that stands for it. */
static void add_standing(struct text *out, const struct ranked *ranked)
{
    struct text ties = {0};
    if (!ranked) {
        text_add(out, ",,,,");
        return;
    }
    text_printf(out, ",%d", ranked->rank);
    add_measured(out, ranked->probability_best);
    add_measured(out, ranked->probability_meets_target);
    for (size_t i = 0; i < ranked->tied_count; i++)
        text_printf(&ties, "%s%s", i ? " " : "", ranked->tied_with[i]);
    add_field(out, text_string(&ties));
    text_release(&ties);
}

/* `standing` is NULL for trials that do not stand for their technique. */
static void add_row(struct text *out, const struct report *report, const struct trial_record *trial,
                    const char *family, const char *status, const struct ranked *standing)
{
    text_add(out, trial->key.technique);
    add_field(out, family);
    add_field(out, trial->key.purpose);
    add_field(out, status);
    text_printf(out, ",%lld,%llu", (long long)trial->key.examples,
                (unsigned long long)trial->key.seed);
    add_field(out, report->metric);
    for (size_t i = 0; i < NUMBERS; i++)
        add_measured(out, *(const struct measured *)((const char *)trial + numbers[i].at));
    add_standing(out, standing);
    add_field(out, trial->metrics ? trial->metrics : "");
    add_field(out, trial->key.setting);
    add_field(out, trial->reason);
    text_add(out, "\r\n");
}

/* A row of the ranking as the trial it is made of, for a report without trials and for techniques
 * that have none. */
static void add_ranked(struct text *out, const struct report *report, const struct ranked *ranked)
{
    struct trial_record trial = {.key = {.technique = ranked->technique,
                                         .setting = ranked->setting ? ranked->setting : "",
                                         .examples = ranked->examples,
                                         .seed = report->seed,
                                         .purpose = ""},
                                 .reason = ranked->note ? ranked->note : "",
                                 .metric = ranked->metric,
                                 .low = ranked->low,
                                 .high = ranked->high,
                                 .test_metric = ranked->test_metric,
                                 .trial_seconds = ranked->trial_seconds,
                                 .train_seconds = ranked->train_seconds,
                                 .tokens_per_request = ranked->tokens_per_request,
                                 .latency_ms = ranked->latency_ms,
                                 .trainable_parameters = ranked->trainable_parameters,
                                 .peak_memory_bytes = ranked->peak_memory_bytes,
                                 .artifact_bytes = ranked->artifact_bytes,
                                 .forgetting = ranked->forgetting,
                                 .metrics = ranked->metrics};
    add_row(out, report, &trial, ranked->family, standing_status_name(ranked->status), ranked);
}

static bool has_trial(const struct report *report, const char *technique)
{
    for (size_t i = 0; i < report->evidence.trial_count; i++)
        if (!strcmp(report->evidence.trials[i].key.technique, technique))
            return true;
    return false;
}

static void add_trial(struct text *out, const struct report *report,
                      const struct trial_record *trial)
{
    const struct ranked *ranked = report_ranked(report, trial->key.technique);
    const struct ranked_answers *answers = report_answers(report, trial->key.technique);
    bool stands = answers && answers->trial == trial->id;
    add_row(out, report, trial, ranked ? ranked->family : "", trial_status_name(trial->status),
            stands ? ranked : NULL);
}

void write_csv_report(const struct report *report, struct report_style style, struct text *out)
{
    (void)style;
    add_titles(out);
    for (size_t i = 0; i < report->evidence.trial_count; i++)
        add_trial(out, report, &report->evidence.trials[i]);
    for (size_t i = 0; i < report->ranking_count; i++)
        if (!has_trial(report, report->ranking[i].technique))
            add_ranked(out, report, &report->ranking[i]);
}
