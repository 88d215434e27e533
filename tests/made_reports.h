/* SPDX-License-Identifier: Apache-2.0
 *
 * Reports made up field by field, and what a format writes of them, for the tests of the formats.
 * To be included after cmocka.h.
 */
#ifndef TESTS_MADE_REPORTS_H
#define TESTS_MADE_REPORTS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reports/report.h"

#define HASH         "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
#define COUNT(array) (sizeof(array) / sizeof *(array))

static const char *const ties_lora[] = {"lora"};
static const char *const ties_few_shot[] = {"few_shot"};

static const struct reason reason = {.rule = "R09",
                                     .source = "Hu et al. 2021",
                                     .text = "low-rank updates need few examples",
                                     .verdict = VERDICT_CONFIRMED};

static const struct forecast_point forecast[] = {{666, 0.93, 0.9, 0.95, {true, 0.98}},
                                                 {1332, 0.94, 0.9, 0.97, {true, 0.97}}};

static const struct winner_change changes[] = {{"lora", 1400, 0.8}};

static const struct ranked ranking[] = {
    {.rank = 1,
     .technique = "few_shot",
     .family = "prompt",
     .status = STANDING_MEASURED,
     .note = "",
     .setting = "{\"k\":8}",
     .examples = 8,
     .metric = {true, 0.91346153846153},
     .low = {true, 0.8421},
     .high = {true, 0.954},
     .test_metric = {true, 0.9},
     .tied_with = ties_lora,
     .tied_count = 1,
     .probability_best = {true, 0.45},
     .probability_meets_target = {true, 0.93},
     .trial_seconds = {true, 21.25},
     .train_seconds = {true, 0},
     .training_tokens = {true, 0},
     .tokens_per_request = {true, 51},
     .latency_ms = {true, 21.4},
     .trainable_parameters = {true, 0},
     .peak_memory_bytes = {true, 47185920},
     .artifact_bytes = {true, 0}},
    {.rank = 2,
     .technique = "lora",
     .family = "peft",
     .status = STANDING_MEASURED,
     .note = "",
     .setting = "{\"learning_rate\":0.003,\"r\":8}",
     .examples = 333,
     .metric = {true, 0.92307692307692},
     .low = {true, 0.8552},
     .high = {true, 0.961},
     .tied_with = ties_few_shot,
     .tied_count = 1,
     .probability_best = {true, 0.55},
     .probability_meets_target = {true, 0.95},
     .trial_seconds = {true, 141.5},
     .train_seconds = {true, 83.4},
     .tokens_per_request = {true, 43},
     .latency_ms = {true, 19.8},
     .trainable_parameters = {true, 460800},
     .peak_memory_bytes = {true, 858993459},
     .artifact_bytes = {true, 1850000},
     .forgetting = {true, 0.0625},
     .metrics = "{\"accuracy\":0.923076923077,\"macro_f1\":0.91,\"nll\":1e-05}",
     .training_tokens = {true, 42957},
     .forecast = {.level = 0.8, .points = forecast, .count = 2, .examples_to_target = {true, 1480}},
     .reasons = &reason,
     .reason_count = 1},
    {.rank = 3,
     .technique = "majority",
     .family = "baseline",
     .status = STANDING_MEASURED,
     .note = "",
     .setting = "{}",
     .examples = 333,
     .metric = {true, 0.25},
     .low = {true, 0.176},
     .high = {true, 0.341},
     .test_metric = {true, 0.24},
     .trial_seconds = {true, 0.001},
     .train_seconds = {true, 0},
     .tokens_per_request = {true, 0},
     .latency_ms = {true, 0.0004},
     .trainable_parameters = {true, 0},
     .peak_memory_bytes = {true, 0},
     .artifact_bytes = {true, 0}},
    {.rank = 4,
     .technique = "prefix_tuning",
     .family = "peft",
     .status = STANDING_ELIMINATED,
     .note = "behind lora on the same examples at 64 examples",
     .setting = "{}",
     .examples = 64,
     .metric = {true, 0.45},
     .forecast = {.note = "it takes trials at 3 sizes or more, and there is 1"}},
    {.rank = 5,
     .technique = "full_finetune",
     .family = "full",
     .status = STANDING_EXCLUDED,
     .note = "needs 2.2 GB (134.5M parameters, 16 bytes each) where --max-memory leaves 1.0 GB",
     .setting = "{}"},
    {.rank = 6,
     .technique = "zero_shot",
     .family = "prompt",
     .status = STANDING_NOT_RUN,
     .note = "the budget was used up before its turn; a larger --budget goes on from here",
     .setting = "{}"},
};

static const struct label_count labels[] = {
    {"billing", 130}, {"login", 110}, {"delivery", 98}, {"refund", 90}, {"other", 92}};

static const char *const reasons[] = {
    "few_shot reaches accuracy 0.913 [0.842, 0.954] on 104 development examples.",
    "On 104 development examples it cannot be told apart from: lora.",
    "Always giving the most frequent answer reaches 0.250."};

static const char *const warnings[] = {
    "3 texts occur with more than one answer, first on lines 17 and 230: no model can get both "
    "right."};

static const char *const pareto[] = {"majority", "few_shot"};

static inline struct report whole_report(void)
{
    return (struct report){.study = "tickets-1f2e3d",
                           .study_path = "/home/user/.local/share/advisor/tickets-1f2e3d.db",
                           .complete = true,
                           .model_name = "SmolLM2 135M Instruct",
                           .model_path = "/models/small.gguf",
                           .model_sha256 = HASH,
                           .model_parameters = 134515008,
                           .model_bytes = 98362432,
                           .model_context = 8192,
                           .data_path = "demo:tickets",
                           .data_sha256 = HASH,
                           .task = "classification",
                           .examples = 520,
                           .train = 333,
                           .dev = 104,
                           .test = 83,
                           .dev_used = 104,
                           .test_used = 83,
                           .labels = labels,
                           .label_count = COUNT(labels),
                           .input_tokens_mean = {true, 43.2},
                           .input_tokens_max = {true, 120},
                           .exact_duplicates = 1,
                           .near_duplicates = 7,
                           .conflicting = 3,
                           .warnings = warnings,
                           .warning_count = COUNT(warnings),
                           .metric = "accuracy",
                           .target = {true, 0.85},
                           .confidence = 0.8,
                           .budget_seconds = 300,
                           .max_memory_bytes = {true, 1073741824},
                           .requests = {true, 10000},
                           .seed = 7,
                           .technique = "few_shot",
                           .outcome = OUTCOME_MEETS_TARGET,
                           .reasons = reasons,
                           .reason_count = COUNT(reasons),
                           .ranking = ranking,
                           .ranking_count = COUNT(ranking),
                           .pareto = pareto,
                           .pareto_count = COUNT(pareto),
                           .winner_changes = changes,
                           .winner_change_count = COUNT(changes),
                           .program_version = "0.1.0",
                           .spent_seconds = 251.3,
                           .exhaustive_seconds_estimate = 5120,
                           .command = "advisor recommend demo:tickets --target 0.85 --budget 5m "
                                      "--max-memory 1G --seed 7"};
}

/* Nothing is better than the majority answer, nobody set a target, few facts are known. */
static inline struct report nothing_report(void)
{
    static const char *const sentences[] = {
        "Nothing measured is better than always giving the most frequent answer, which reaches "
        "accuracy 0.250."};
    struct report report = whole_report();
    report.technique = NULL;
    report.outcome = OUTCOME_BEATS_NOTHING;
    report.reasons = sentences;
    report.reason_count = 1;
    report.target = report.max_memory_bytes = report.requests = (struct measured){0};
    report.warning_count = report.exact_duplicates = report.near_duplicates = 0;
    report.conflicting = 0;
    report.ranking = &ranking[2];
    report.ranking_count = 1;
    report.pareto_count = 1;
    report.label_count = 0;
    report.task = "generation";
    report.input_tokens_mean = report.input_tokens_max = (struct measured){0};
    report.exhaustive_seconds_estimate = 0;
    report.command = NULL;
    return report;
}

/* The target is out of reach, and the study was stopped. */
static inline struct report stopped_report(void)
{
    struct report report = whole_report();
    report.technique = "lora";
    report.outcome = OUTCOME_BEST_AVAILABLE;
    report.complete = false;
    report.ranking_count = 2;
    report.winner_change_count = 0;
    report.reason_count = 1;
    report.warning_count = 0;
    report.test_path = "test.csv";
    report.leaked = 2;
    report.max_latency_ms = (struct measured){true, 50};
    return report;
}

static inline struct report empty_report(void)
{
    struct report report = nothing_report();
    report.ranking_count = report.pareto_count = report.reason_count = 0;
    report.winner_change_count = 0;
    report.study_path = NULL;
    return report;
}

/* An escape sequence, a right-to-left override, a bell, bytes that are not UTF-8, wide letters,
 * quotes, commas, lines, and what Markdown and HTML would take for their own. */
static const char HOSTILE[] = "\033[31mred\033[0m\a \u202Egnp.exe \xFF\xC0 \u6F22\u5B57 \"a\",b\n"
                              "| `x` <script> [y](z) \\ \xC2\x85\u2028 end";

static inline struct report hostile_report(void)
{
    static const char *const sentences[] = {HOSTILE};
    static const struct label_count counts[] = {
        {HOSTILE, 3},
        {"a label that goes on for much longer than anybody would want to read it", 2},
        {"\u6F22\u5B57\u6F22\u5B57\u6F22\u5B57\u6F22\u5B57\u6F22\u5B57\u6F22\u5B57\u6F22\u5B57",
         1}};
    static struct ranked rows[2];
    struct report report = whole_report();
    memcpy(rows, ranking, sizeof rows);
    rows[0].note = HOSTILE;
    rows[1].status = STANDING_EXCLUDED;
    rows[1].note = HOSTILE;
    report.ranking = rows;
    report.ranking_count = COUNT(rows);
    report.data_path = report.model_name = report.model_path = report.study = HOSTILE;
    report.study_path = report.test_path = report.command = HOSTILE;
    report.labels = counts;
    report.label_count = COUNT(counts);
    report.warnings = report.reasons = sentences;
    report.warning_count = report.reason_count = 1;
    return report;
}

/* Those of them that each format is tried with; their names are those of the golden files. */
static const struct {
    const char *name;
    struct report (*make)(void);
} made_reports[] = {{"whole", whole_report},
                    {"nothing", nothing_report},
                    {"stopped", stopped_report},
                    {"empty", empty_report},
                    {"hostile", hostile_report}};

static inline struct text written(const struct report *report, const char *format, int columns,
                                  bool color)
{
    struct text out = {0};
    struct report_style style = {.columns = columns, .color = color};
    report_format_find(format)->write(report, style, &out);
    return out;
}

/* Against tests/golden/report_NAME.ENDING, which ADVISOR_GOLDEN=write writes anew. */
static inline void check_golden(const char *name, const char *ending, const struct text *bytes)
{
    char path[128];
    snprintf(path, sizeof path, "tests/golden/report_%s.%s", name, ending);
    const char *mode = getenv("ADVISOR_GOLDEN");
    bool writing = mode && !strcmp(mode, "write");
    FILE *file = fopen(path, writing ? "w" : "r");
    assert_non_null(file);
    if (writing) {
        fwrite(bytes->bytes, 1, bytes->length, file);
    } else {
        static char expected[1 << 16];
        size_t length = fread(expected, 1, sizeof expected - 1, file);
        expected[length] = '\0';
        if (strcmp(text_string(bytes), expected) != 0)
            print_error("%s differs; found:\n%s", path, text_string(bytes));
        assert_string_equal(text_string(bytes), expected);
    }
    fclose(file);
}

#endif
