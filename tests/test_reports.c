/* SPDX-License-Identifier: Apache-2.0
 *
 * What is printed: made-up reports against tests/golden/, JSON read back, hostile text.
 *
 * After a wanted change of the layout, ADVISOR_GOLDEN=write writes the golden files anew; read the
 * difference before it is kept.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "reports/grid.h"
#include "reports/human.h"
#include "reports/plain.h"
#include "reports/report.h"
#include "reports/writer.h"
#include "tests/json_schema.h"

#define HASH         "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
#define COUNT(array) (sizeof(array) / sizeof *(array))

/* ---- Made-up reports --------------------------------------------------------------------------
 */

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

static struct report whole_report(void)
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
static struct report nothing_report(void)
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
static struct report stopped_report(void)
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

static struct report empty_report(void)
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

static struct report hostile_report(void)
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

static const struct {
    const char *name;
    struct report (*make)(void);
} cases[] = {{"whole", whole_report},
             {"nothing", nothing_report},
             {"stopped", stopped_report},
             {"empty", empty_report},
             {"hostile", hostile_report}};

/* ---- Helpers ----------------------------------------------------------------------------------
 */

static struct text written(const struct report *report, const char *format, int columns, bool color)
{
    struct text out = {0};
    struct report_style style = {.columns = columns, .color = color};
    report_format_find(format)->write(report, style, &out);
    return out;
}

static void check_golden(const char *name, const char *ending, const struct text *bytes)
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

/* Takes what stands between two marks out of a text, if they are there. */
static void cut_out(struct text *text, const char *before, const char *behind)
{
    char *from = strstr(text_string(text) ? text->bytes : "", before);
    char *to = from ? strstr(from, behind) : NULL;
    if (!to)
        return;
    from += strlen(before);
    memmove(from, to, strlen(to) + 1);
    text->length -= (size_t)(to - from);
}

static void check_lines(const char *string, int columns)
{
    char line[4096];
    while (*string) {
        size_t length = strcspn(string, "\n");
        assert_true(length < sizeof line);
        memcpy(line, string, length);
        line[length] = '\0';
        bool command = !strncmp(line, "Again", 5); /* printed to be copied: never broken */
        if (!command && utf8_columns(line) > columns)
            print_error("longer than %d columns: %s\n", columns, line);
        assert_true(command || utf8_columns(line) <= columns);
        assert_true(!length || line[length - 1] != ' ');
        string += length + (string[length] == '\n');
    }
}

/* ---- Text -------------------------------------------------------------------------------------
 */

static void test_text_is_as_agreed(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct report report = cases[i].make();
        struct text out = written(&report, "text", 80, false);
        check_golden(cases[i].name, "txt", &out);
        check_lines(text_string(&out), 80);
        text_release(&out);
    }
}

/* A metric over several seeds is said to be one in every format for people. */
static void test_seeds_are_told(void **state)
{
    (void)state;
    static const char *const formats[] = {"text", "markdown", "html"};
    for (size_t i = 0; i < COUNT(formats); i++) {
        struct report report = whole_report();
        struct ranked rows[16];
        struct text before = written(&report, formats[i], 80, false);
        assert_null(strstr(text_string(&before), "mean over seeds"));
        assert_in_range(report.ranking_count, 2, 16);
        memcpy(rows, report.ranking, report.ranking_count * sizeof *rows);
        rows[0].seeds = 3;
        rows[1].seeds = 2;
        report.ranking = rows;
        struct text out = written(&report, formats[i], 200, false);
        struct text expected = {0};
        bool escaped = !strcmp(formats[i], "markdown");
        text_printf(&expected, "mean over seeds: %s (3), ", rows[0].technique);
        if (!strstr(text_string(&out), text_string(&expected)) && !escaped)
            fail_msg("%s: %s", formats[i], text_string(&out));
        assert_non_null(strstr(text_string(&out), "mean over seeds: "));
        text_release(&expected);
        text_release(&out);
        text_release(&before);
    }
}

static void test_text_fits_any_width(void **state)
{
    (void)state;
    struct report report = whole_report();
    for (int columns = 60; columns <= 120; columns += 5) {
        struct text out = written(&report, "text", columns, false);
        check_lines(text_string(&out), columns);
        text_release(&out);
    }
}

static void test_color_only_when_asked(void **state)
{
    (void)state;
    struct report report = whole_report();
    struct text plain = written(&report, "text", 80, false);
    struct text color = written(&report, "text", 80, true);
    assert_null(strchr(text_string(&plain), '\033'));
    assert_non_null(strstr(text_string(&color), "\033[1;32mRecommended: few_shot"));
    assert_non_null(strstr(text_string(&color), "\033[33mWarning:\033[0m"));
    text_release(&plain);
    text_release(&color);
}

static void test_trial_in_each_format(void **state)
{
    (void)state;
    struct report report = whole_report();
    report.ranking = &ranking[1];
    report.ranking_count = 1;
    struct report_style style = {.columns = 80};
    for (size_t i = 0; report_format_at(i); i++) {
        struct text out = {0};
        report_format_at(i)->write_trial(&report, style, &out);
        cut_out(&out, "<style>\n", "</style>"); /* reports/report.css as it stands */
        check_golden("trial", report_format_at(i)->name, &out);
        text_release(&out);
    }
}

/* ---- Hostile text -----------------------------------------------------------------------------
 */

static void test_terminal_formats_hold_nothing_unsafe(void **state)
{
    (void)state;
    static const char *const formats[] = {"text", "markdown"};
    static const char *const never[] = {"\033",     "\a",     "\u202E", "\xFF",
                                        "\xC2\x85", "\u2028", "\r",     "\x9B"};
    struct report report = hostile_report();
    for (size_t f = 0; f < COUNT(formats); f++) {
        struct text out = written(&report, formats[f], 80, false);
        assert_true(utf8_valid(out.bytes, out.length, NULL));
        for (size_t i = 0; i + 1 < COUNT(never); i++)
            assert_null(strstr(text_string(&out), never[i]));
        assert_non_null(strstr(text_string(&out), f ? "U+202E" : "<U+202E>"));
        text_release(&out);
    }
}

static void test_markdown_escapes_markup(void **state)
{
    (void)state;
    struct report report = hostile_report();
    struct text out = written(&report, "markdown", 80, false);
    check_golden("hostile", "md", &out);
    char *facts = strstr(out.bytes, "\nData `` ");
    assert_non_null(facts); /* behind it the same text stands as code */
    *facts = '\0';
    assert_null(strstr(text_string(&out), " <script>"));
    assert_null(strstr(text_string(&out), " | \\`x"));
    assert_non_null(strstr(text_string(&out), "\\<script\\>"));
    assert_non_null(strstr(text_string(&out), "\\| \\`x\\`"));
    text_release(&out);
    report = whole_report();
    out = written(&report, "markdown", 80, false);
    check_golden("whole", "md", &out);
    text_release(&out);
}

static void test_plain_text(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to;
    } rows[] = {
        {"", ""},
        {"plain", "plain"},
        {"tab\tline\n", "tab line "},
        {"\033]0;x\a", "<U+001B>]0;x<U+0007>"},
        {"\r\x7F", "<U+000D><U+007F>"},
        {"\xC2\x9B"
         "31m",
         "<U+009B>31m"},
        {"\u2066\u061C", "<U+2066><U+061C>"},
        {"\uFEFF\u200B", "<U+FEFF><U+200B>"},
        {"\U000E0041", "<U+E0041>"},
        {"caf\u00E9 \u6F22", "caf\u00E9 \u6F22"},
        {"\u0645\u06CC\u200C\u062E", "\u0645\u06CC\u200C\u062E"}, /* a joiner belongs here */
        {"\xFF\xE6\xBC", "<0xFF><0xE6><0xBC>"}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct text out = {0};
        plain_add(&out, rows[i].from);
        assert_string_equal(text_string(&out), rows[i].to);
        text_release(&out);
    }
}

static void test_plain_cut(void **state)
{
    (void)state;
    static const struct {
        const char *from;
        int columns, used;
        const char *to;
    } rows[] = {{"short", 5, 5, "short"},
                {"longer", 5, 5, "long\u2026"},
                {"longer", 1, 1, "\u2026"},
                {"\u6F22\u5B57\u6F22", 6, 6, "\u6F22\u5B57\u6F22"},
                {"\u6F22\u5B57\u6F22", 5, 5, "\u6F22\u5B57\u2026"},
                {"\u6F22\u5B57\u6F22", 4, 3, "\u6F22\u2026"}, /* half a letter does not fit */
                {"e\u0301e\u0301e\u0301", 2, 2, "e\u0301\u2026"},
                {"\033[1m", 12, 11, "<U+001B>[1m"}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct text out = {0};
        assert_int_equal(plain_cut(&out, rows[i].from, rows[i].columns), rows[i].used);
        assert_string_equal(text_string(&out), rows[i].to);
        text_release(&out);
    }
}

static void test_plain_wrap(void **state)
{
    (void)state;
    static const struct {
        const char *from;
        int at, indent, columns;
        const char *to;
    } rows[] = {{"one two three", 0, 0, 80, "one two three"},
                {"one two three", 0, 2, 7, "one two\n  three"},
                {"one two three", 4, 4, 11, "one two\n    three"},
                {"one  two", 0, 0, 3, "one\ntwo"},
                {"toolongforthis a", 0, 1, 5, "toolongforthis\n a"},
                {"", 0, 0, 10, ""}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct text out = {0};
        plain_wrap(&out, rows[i].from, rows[i].at, rows[i].indent, rows[i].columns);
        assert_string_equal(text_string(&out), rows[i].to);
        text_release(&out);
    }
}

/* ---- Numbers ----------------------------------------------------------------------------------
 */

static void test_human_numbers(void **state)
{
    (void)state;
    static const struct {
        void (*write)(struct text *, struct measured);
        double value;
        const char *expected;
    } rows[] = {{human_seconds, 0, "0 s"},
                {human_seconds, 0.84, "0.8 s"},
                {human_seconds, 4e-5, "<0.1 s"},
                {human_seconds, 12.4, "12 s"},
                {human_seconds, 59.6, "1m00s"},
                {human_seconds, 3599.7, "1h00m"},
                {human_seconds, 5120, "1h25m"},
                {human_seconds, 90, "1m30s"},
                {human_milliseconds, 0.0004, "<0.1 ms"},
                {human_milliseconds, 0, "0 ms"},
                {human_milliseconds, 21.4, "21 ms"},
                {human_milliseconds, 9.96, "10 ms"},
                {human_milliseconds, 1500, "1.5 s"},
                {human_bytes, 0, "0"},
                {human_bytes, 900, "900 B"},
                {human_bytes, 1048576, "1.0M"},
                {human_bytes, 858993459, "819M"},
                {human_bytes, 1e18, "888P"},
                {human_bytes, 1023, "1.0K"},
                {human_count, 0, "0"},
                {human_count, 999, "999"},
                {human_count, 460800, "461k"},
                {human_count, 134515008, "135M"},
                {human_count, 1500, "1.5k"},
                {human_metric, 0.91346, "0.913"}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct text out = {0};
        rows[i].write(&out, measured(rows[i].value));
        assert_string_equal(text_string(&out), rows[i].expected);
        text_clear(&out);
        rows[i].write(&out, (struct measured){0});
        assert_string_equal(text_string(&out), "-");
        text_release(&out);
    }
}

static void test_grid_drops_what_does_not_fit(void **state)
{
    (void)state;
    static const struct grid_column columns[] = {
        {"", false}, {"name", false}, {"value", false}, {"far", true}};
    struct grid grid;
    struct text out = {0};
    grid_init(&grid, columns, COUNT(columns), 1);
    text_add(grid_cell(&grid, 0, 0), "1");
    text_add(grid_cell(&grid, 0, 1), "something_long");
    text_add(grid_cell(&grid, 0, 2), "0.123");
    text_add(grid_cell(&grid, 0, 3), "99");
    grid_write(&grid, 40, false, 1, &out);
    assert_string_equal(text_string(&out), "     name            value  far\n"
                                           "  1  something_long  0.123   99\n");
    text_clear(&out);
    grid_write(&grid, 29, false, 1, &out);
    assert_string_equal(text_string(&out), "    name           value far\n"
                                           "  1 something_long 0.123  99\n");
    text_clear(&out);
    grid_write(&grid, 20, false, 1, &out);
    assert_string_equal(text_string(&out), "    name       value\n"
                                           "  1 something\u2026 0.123\n");
    text_release(&out);
    grid_release(&grid);
}

/* ---- JSON -------------------------------------------------------------------------------------
 */

static json_t *read_back(const struct text *out)
{
    json_error_t problem;
    json_t *root = json_loads(text_string(out), JSON_REJECT_DUPLICATES, &problem);
    if (!root)
        print_error("%s at %d\n%s\n", problem.text, problem.position, text_string(out));
    assert_non_null(root);
    return root;
}

/* The keys of an object are exactly these, in this order. */
static void check_keys(json_t *object, const char *expected)
{
    struct text found = {0};
    const char *key;
    json_t *value;
    assert_true(json_is_object(object));
    json_object_foreach(object, key, value)
        text_printf(&found, "%s%s", found.length ? " " : "", key);
    assert_string_equal(text_string(&found), expected);
    text_release(&found);
}

static const char RANKED_KEYS[] =
    "rank technique family status note setting examples seeds metric low high test_metric "
    "tied_with "
    "probability_best probability_meets_target trial_seconds train_seconds tokens_per_request "
    "latency_ms training_tokens trainable_parameters peak_memory_bytes artifact_bytes forgetting "
    "metrics forecast reasons";

static void test_json_has_the_schema(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct report report = cases[i].make();
        struct text out = written(&report, "json", 80, false);
        json_t *root = read_back(&out);
        size_t row;
        json_t *ranked;
        check_keys(root, "schema study model constraints profile recommendation ranking pareto "
                         "winner_changes cost reproduce");
        check_keys(json_object_get(root, "model"),
                   "name path sha256 parameters context_length bytes");
        check_keys(
            json_object_get(root, "constraints"),
            "target metric confidence budget_seconds max_memory_bytes max_latency_ms requests "
            "techniques seed");
        check_keys(json_object_get(root, "profile"),
                   "data task examples train dev test dev_used test_used labels input_tokens "
                   "duplicates warnings");
        check_keys(json_object_get(root, "recommendation"), "technique status reasons");
        check_keys(json_object_get(root, "cost"),
                   "budget_seconds spent_seconds exhaustive_seconds_estimate lifetime_requests "
                   "break_even");
        check_keys(json_object_get(root, "reproduce"), "command version complete");
        assert_int_equal(json_array_size(json_object_get(root, "ranking")), report.ranking_count);
        json_array_foreach(json_object_get(root, "ranking"), row, ranked)
            check_keys(ranked, RANKED_KEYS);
        json_decref(root);
        text_release(&out);
    }
}

static void test_json_values(void **state)
{
    (void)state;
    struct report report = whole_report();
    struct text out = written(&report, "json", 80, false);
    json_t *root = read_back(&out);
    json_t *first = json_array_get(json_object_get(root, "ranking"), 0);
    json_t *second = json_array_get(json_object_get(root, "ranking"), 1);
    json_t *constraints = json_object_get(root, "constraints");
    assert_int_equal(json_integer_value(json_object_get(root, "schema")), 1);
    assert_true(json_real_value(json_object_get(first, "metric")) == 0.913461538462);
    assert_true(json_is_null(json_object_get(first, "forecast")));
    assert_true(json_is_null(json_object_get(second, "test_metric")));
    assert_true(json_is_null(json_object_get(first, "forgetting")));
    assert_true(json_real_value(json_object_get(second, "forgetting")) == 0.0625);
    assert_int_equal(json_object_size(json_object_get(first, "metrics")), 0);
    assert_true(json_real_value(json_object_get(json_object_get(second, "metrics"), "macro_f1")) ==
                0.91);
    assert_true(json_is_null(json_object_get(constraints, "max_latency_ms")));
    assert_true(json_is_null(json_object_get(constraints, "techniques")));
    assert_int_equal(json_integer_value(json_object_get(constraints, "max_memory_bytes")),
                     1073741824);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(first, "setting"), "k")),
                     8);
    assert_string_equal(json_string_value(json_array_get(json_object_get(first, "tied_with"), 0)),
                        "lora");
    assert_string_equal(json_string_value(json_object_get(
                            json_array_get(json_object_get(second, "reasons"), 0), "verdict")),
                        "confirmed");
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(root, "recommendation"), "status")),
        "meets_target");
    json_decref(root);
    text_release(&out);
}

/* ---- JSON Schema ------------------------------------------------------------------------------
 */

static const json_t *at(const json_t *root, const char *array, size_t index)
{
    return json_array_get(json_object_get(root, array), index);
}

static void test_json_prospects(void **state)
{
    (void)state;
    struct report report = whole_report();
    struct text out = written(&report, "json", 80, false);
    json_t *root = read_back(&out);
    const json_t *cost = json_object_get(root, "cost"), *point = at(cost, "break_even", 0);
    /* 42,957 tokens to train against 51 - 43 more for each request */
    assert_int_equal(json_array_size(json_object_get(cost, "break_even")), 1);
    assert_string_equal(json_string_value(json_object_get(point, "technique")), "lora");
    assert_string_equal(json_string_value(json_object_get(point, "cheaper_than")), "few_shot");
    assert_string_equal(json_string_value(json_object_get(point, "when")), "from");
    assert_int_equal(json_integer_value(json_object_get(point, "requests")), 5370);
    assert_int_equal(json_integer_value(json_object_get(cost, "lifetime_requests")), 10000);
    assert_int_equal(json_integer_value(json_object_get(at(root, "winner_changes", 0), "examples")),
                     1400);
    const json_t *told = json_object_get(at(root, "ranking", 1), "forecast");
    const json_t *none = json_object_get(at(root, "ranking", 3), "forecast");
    assert_true(json_is_null(json_object_get(told, "note")));
    assert_true(json_real_value(
                    json_object_get(at(told, "points", 0), "probability_meets_target")) == 0.98);
    assert_int_equal(json_array_size(json_object_get(none, "points")), 0);
    assert_non_null(strstr(json_string_value(json_object_get(none, "note")), "3 sizes"));
    json_decref(root);
    text_release(&out);
}

static void test_json_is_valid_by_its_schema(void **state)
{
    (void)state;
    struct report_style style = {.columns = 80};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct report report = cases[i].make();
        struct text out = written(&report, "json", 80, false);
        schema_must_accept("report", text_string(&out));
        text_clear(&out);
        if (report.ranking_count) {
            report_format_find("json")->write_trial(&report, style, &out);
            schema_must_accept("trial", text_string(&out));
        }
        text_release(&out);
    }
}

/* The schema is no empty promise: what a program could trip over is refused. */
static void test_the_schema_refuses(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *fault;
    } rows[] = {{"\"schema\": 1", "\"schema\": 2", "/schema: const"},
                {"\"schema\": 1,", "", "/schema: required"},
                {"\"schema\": 1", "\"schema\": 1, \"more\": 0", "/more: additionalProperties"},
                {"\"sha256\": \"b1", "\"sha256\": \"B1", "/model/sha256: pattern"},
                {"\"seed\": 7", "\"seed\": -7", "/constraints/seed: minimum"},
                {"\"seed\": 7", "\"seed\": 7.5", "/constraints/seed: type"},
                {"\"confidence\": 0.8", "\"confidence\": 8", "/constraints/confidence: maximum"},
                {"\"label\": \"billing\"", "\"label\": null", "/profile/labels/0/label: type"},
                {"\"task\": \"class", "\"task\": \"klass", "/profile/task: enum"},
                {"\"technique\": \"lora\",", "\"technique\": \"\",", "/technique: minLength"},
                {"\"verdict\": \"confirmed\"", "\"verdict\": \"\"", "/verdict: enum"},
                {"\"rank\": 1", "\"rank\": 0", "/ranking/0/rank: minimum"},
                {"\"macro_f1\":0.91", "\"macro_f1\":\"0.91\"", "/metrics/macro_f1: type"},
                {"\"tied_with\": [", "\"tied_with\": [1,", "/tied_with/0: type"}};
    struct report report = whole_report();
    struct text json = written(&report, "json", 80, false);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct text broken = {0}, fault = {0};
        const char *at = strstr(text_string(&json), rows[i].from);
        assert_non_null(at);
        text_append(&broken, json.bytes, (size_t)(at - json.bytes));
        text_add(&broken, rows[i].to);
        text_add(&broken, at + strlen(rows[i].from));
        assert_false(schema_accepts("report", text_string(&broken), &fault));
        if (!strstr(text_string(&fault), rows[i].fault))
            fail_msg("%s: found %s", rows[i].fault, text_string(&fault));
        text_release(&fault);
        text_release(&broken);
    }
    text_release(&json);
}

static void test_json_is_the_same_twice(void **state)
{
    (void)state;
    struct report report = whole_report();
    struct text a = written(&report, "json", 80, false);
    struct text b = written(&report, "json", 120, true);
    assert_string_equal(text_string(&a), text_string(&b));
    text_release(&a);
    text_release(&b);
}

static void test_json_hostile_strings(void **state)
{
    (void)state;
    struct report report = hostile_report();
    struct text out = written(&report, "json", 80, false);
    assert_true(utf8_valid(out.bytes, out.length, NULL));
    json_t *root = read_back(&out);
    const char *study = json_string_value(json_object_get(root, "study"));
    assert_string_equal(study, "\033[31mred\033[0m\a \u202Egnp.exe \uFFFD\uFFFD \u6F22\u5B57 "
                               "\"a\",b\n| `x` <script> [y](z) \\ \xC2\x85\u2028 end");
    json_decref(root);
    text_release(&out);
}

/* What is read back is written as it was. */
static void test_json_is_read_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct report report = cases[i].make(), again;
        struct error err = {0};
        struct arena arena;
        arena_init(&arena, NULL);
        struct text first = written(&report, "json", 80, false);
        if (report_read(text_string(&first), &arena, &again, &err) != OK)
            fail_msg("%s: %s", cases[i].name, err.text);
        struct text second = written(&again, "json", 80, false);
        assert_string_equal(text_string(&second), text_string(&first));
        again.study_path = report.study_path;
        struct text text = written(&again, "text", 80, false);
        if (strcmp(cases[i].name, "hostile") != 0) /* its bytes that are no UTF-8 became U+FFFD */
            check_golden(cases[i].name, "txt", &text);
        text_release(&text);
        text_release(&second);
        text_release(&first);
        arena_release(&arena);
    }
}

/* Every key matters: without it, or with a value of another kind, nothing is read. */
static void test_json_that_is_no_report(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *words;
    } rows[] = {{"\"schema\": 1", "\"schema\": 2", "\"schema\""},
                {"\"schema\": 1", "\"schema\": 1,", "not valid JSON"},
                {"\"study\"", "\"stud\"", "\"study\""},
                {"\"rank\": 1", "\"rank\": \"1\"", "\"rank\""},
                {"\"status\": \"measured\"", "\"status\": \"maybe\"", "\"status\""},
                {"\"status\": \"meets_target\"", "\"status\": \"no\"", "\"status\""},
                {"\"verdict\": \"confirmed\"", "\"verdict\": 3", "\"verdict\""},
                {"\"setting\": {\"k\":8}", "\"setting\": 8", "\"setting\""},
                {"\"examples\": 520", "\"examples\": -520", "\"examples\""},
                {"\"metric\": 0.913461538462", "\"metric\": \"high\"", "\"metric\""},
                {"\"pareto\": [", "\"pareto\": [7,", "\"pareto\""},
                {"\"reproduce\": {", "\"reproduce\": 1, \"rest\": {", "\"reproduce\""}};
    struct report report = whole_report(), again;
    struct text json = written(&report, "json", 80, false);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct text broken = {0};
        struct error err = {0};
        struct arena arena;
        arena_init(&arena, NULL);
        const char *at = strstr(text_string(&json), rows[i].from);
        assert_non_null(at);
        text_append(&broken, json.bytes, (size_t)(at - json.bytes));
        text_add(&broken, rows[i].to);
        text_add(&broken, at + strlen(rows[i].from));
        assert_int_equal(report_read(text_string(&broken), &arena, &again, &err), FAILED);
        if (!strstr(err.text, rows[i].words))
            fail_msg("%s: \"%s\"", rows[i].to, err.text);
        text_release(&broken);
        arena_release(&arena);
    }
    text_release(&json);
}

static void test_json_numbers(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *expected;
    } rows[] = {{0, "0"},
                {-0.0, "0"},
                {1, "1"},
                {0.1, "0.1"},
                {1.0 / 3, "0.333333333333"},
                {900000000, "900000000"},
                {9007199254740991, "9007199254740991"},
                {1e300, "1e+300"},
                {-2.5e-9, "-2.5e-09"},
                {NAN, "null"},
                {INFINITY, "null"}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct text out = {0};
        struct writer w = writer_begin(&out);
        write_number(&w, NULL, rows[i].value);
        assert_string_equal(text_string(&out), rows[i].expected);
        text_release(&out);
    }
}

/* ---- CSV --------------------------------------------------------------------------------------
 */

static void test_csv_rows(void **state)
{
    (void)state;
    struct report report = whole_report();
    struct text out = written(&report, "csv", 80, false);
    check_golden("whole", "csv", &out);
    text_release(&out);
    report = hostile_report();
    out = written(&report, "csv", 80, false);
    assert_non_null(strstr(text_string(&out), "\"{\"\"k\"\":8}\""));
    assert_non_null(strstr(text_string(&out), "\"\"a\"\",b\n|"));
    text_release(&out);
}

static void test_formats_table(void **state)
{
    (void)state;
    assert_string_equal(report_format_at(0)->name, "text");
    for (size_t i = 0; report_format_at(i); i++) {
        const struct report_format *format = report_format_at(i);
        assert_ptr_equal(report_format_find(format->name), format);
        assert_non_null(format->write);
        assert_non_null(format->write_trial);
    }
    assert_null(report_format_find("xml"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_is_as_agreed),
        cmocka_unit_test(test_seeds_are_told),
        cmocka_unit_test(test_text_fits_any_width),
        cmocka_unit_test(test_color_only_when_asked),
        cmocka_unit_test(test_trial_in_each_format),
        cmocka_unit_test(test_terminal_formats_hold_nothing_unsafe),
        cmocka_unit_test(test_markdown_escapes_markup),
        cmocka_unit_test(test_plain_text),
        cmocka_unit_test(test_plain_cut),
        cmocka_unit_test(test_plain_wrap),
        cmocka_unit_test(test_human_numbers),
        cmocka_unit_test(test_grid_drops_what_does_not_fit),
        cmocka_unit_test(test_json_has_the_schema),
        cmocka_unit_test(test_json_values),
        cmocka_unit_test(test_json_prospects),
        cmocka_unit_test(test_json_is_the_same_twice),
        cmocka_unit_test(test_json_hostile_strings),
        cmocka_unit_test(test_json_is_valid_by_its_schema),
        cmocka_unit_test(test_the_schema_refuses),
        cmocka_unit_test(test_json_is_read_back),
        cmocka_unit_test(test_json_that_is_no_report),
        cmocka_unit_test(test_json_numbers),
        cmocka_unit_test(test_csv_rows),
        cmocka_unit_test(test_formats_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
