/* SPDX-License-Identifier: Apache-2.0
 *
 * What a check prints: made-up reports in every format, hostile text included.
 */
#define _XOPEN_SOURCE 700
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "advisor/command.h"
#include "reports/guard.h"
#include "reports/human.h"
#include "tests/json_schema.h"

#define HASH         "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
#define COUNT(array) (sizeof(array) / sizeof *(array))

/* Markup, quotes, an escape sequence, text that runs the other way, bytes that are no UTF-8, a
 * character that XML cannot hold, and the end of a CDATA section. */
#define HOSTILE                                                                                    \
    "<script>alert(\"1\")</script> & 'x' | `y` ]]> \033[31m \xe2\x80\xae \xff\xfe \x01 "           \
    "\xef\xbf\xbf\t\n@all"

/* ---- Made-up reports ------------------------------------------------------------------------- */

static const struct guard_row rows[] = {
    {.part = "metric",
     .name = "accuracy",
     .group = {.before = 1000,
               .after = 1000,
               .was = 0.912,
               .is = 0.862,
               .difference = -0.05,
               .low = -0.0663,
               .high = -0.0337,
               .lost = 75,
               .gained = 25,
               .p = 2.8e-7,
               .adjusted = 2.8e-7,
               .tested = true,
               .verdict = GUARD_REGRESSION}},
    {.part = "class",
     .name = HOSTILE,
     .group = {.part = GUARD_PART_CLASS,
               .before = 900,
               .after = 900,
               .was = 0.9,
               .is = 0.84,
               .difference = -0.06,
               .low = -0.07,
               .high = -0.04,
               .lost = 70,
               .gained = 16,
               .p = 1e-9,
               .adjusted = 2e-9,
               .tested = true,
               .verdict = GUARD_REGRESSION}},
    {.part = "class",
     .name = "refund",
     .group = {.part = GUARD_PART_CLASS,
               .index = 1,
               .before = 5,
               .after = 5,
               .was = 1,
               .is = 1,
               .low = -0.35,
               .high = 0.35,
               .p = 1,
               .adjusted = 1,
               .verdict = GUARD_INCONCLUSIVE}},
    {.part = "slice",
     .name = "language=German",
     .group = {.part = GUARD_PART_SLICE,
               .before = 95,
               .after = 95,
               .was = 0.8,
               .is = 0.8,
               .low = -0.01,
               .high = 0.03,
               .p = 0.7,
               .adjusted = 0.7,
               .tested = true,
               .verdict = GUARD_PASS}},
};

static const struct guard_flip flips[] = {
    {FLIP_LOST, 7, HOSTILE, "refund", "refund", HOSTILE},
    {FLIP_GAINED, 9, "where is my parcel", "shipping", "billing", "shipping"},
    {FLIP_WRONG, 12, "the light is amber", "technical", NULL, "billing"},
};

static const struct guard_cost costs[] = {
    {"tokens_per_request", "tokens per request", {true, 43}, {true, 61}, 1, human_count},
    {"latency_ms", "latency", {true, 21}, {true, 20}, 1.5, human_milliseconds},
    {"peak_memory_bytes", "memory", {0}, {true, 47185920}, 1.1, human_bytes},
};

static const char *const reasons[] = {
    "accuracy was 0.912 and is 0.862 on 1000 examples: it is worse (p = 2.8e-07), and a loss of 2 "
    "points or more is not ruled out.",
    "The class " HOSTILE " had 0.900 right and has 0.840 of 900 examples (p = 2e-09, corrected)."};
static const char *const warnings[] = {"it costs more: tokens per request 43 -> 61 (x1.42)."};
static const char *const changed[] = {"model", "setting"};

static struct guard_report sample(enum guard_verdict verdict)
{
    return (struct guard_report){
        .verdict = verdict,
        .paired = true,
        .reasons = reasons,
        .reason_count = 2,
        .warnings = warnings,
        .warning_count = 1,
        .baseline_path = "ci/advisor-baseline.json",
        .study = "tickets-1",
        .examples_path = "golden.csv",
        .extra = 3,
        .before = {"lora", "{\"learning_rate\":0.0003,\"r\":8}", "SmolLM2", HASH, HASH, "0.1.0"},
        .after = {"lora", "{\"learning_rate\":0.0003,\"r\":16}", HOSTILE, HASH, NULL, "0.2.0"},
        .changed = changed,
        .changed_count = 2,
        .metric = "accuracy",
        .margin = 0.02,
        .examples_to_pass = {true, 1713},
        .rows = rows,
        .row_count = COUNT(rows),
        .flips = flips,
        .flip_count = COUNT(flips),
        .costs = costs,
        .cost_count = COUNT(costs),
        .seconds = 12.3456};
}

static void write_as(const char *format, const struct guard_report *report, struct text *out)
{
    struct guard_style style = {.columns = 80};
    text_clear(out);
    guard_format_find(format)->write(report, style, out);
    assert_true(utf8_valid(text_string(out), out->length, NULL));
}

static void expect(const struct text *out, const char *words)
{
    if (!strstr(text_string(out), words))
        fail_msg("\"%s\" is not in:\n%s", words, text_string(out));
}

static void never(const struct text *out, const char *words)
{
    if (strstr(text_string(out), words))
        fail_msg("\"%s\" is in:\n%s", words, text_string(out));
}

/* ---- Formats ----------------------------------------------------------------------------------
 */

static void test_formats(void **state)
{
    (void)state;
    const struct command *command = command_find("check");
    struct text names = {0};
    for (size_t i = 0; guard_format_at(i); i++) {
        const struct guard_format *format = guard_format_at(i);
        text_printf(&names, "%s%s", i ? "|" : "", format->name);
        assert_true(guard_format_find(format->name) == format);
        assert_true(strlen(format->summary) > 0);
    }
    assert_string_equal(command->formats, text_string(&names)); /* what --format takes */
    text_release(&names);
    assert_null(guard_format_find("html"));
}

static void test_text(void **state)
{
    (void)state;
    struct guard_report report = sample(GUARD_REGRESSION);
    struct text out = {0};
    write_as("text", &report, &out);
    expect(&out, "Regression: accuracy was 0.912 and is 0.862 on 1000 examples");
    expect(&out, "  metric accuracy");
    expect(&out, "-0.050 [-0.066, -0.034] regression");
    expect(&out, "Warning:  it costs more");
    expect(&out, "Flipped   1 lost, 1 gained, 1 wrong in another way");
    expect(&out, "tokens per request 43 -> 61 (x1.42)");
    expect(&out, "Changed   model, setting");
    never(&out, "\033"); /* no escape sequence but our own, and none without colour */
    never(&out, "\xe2\x80\xae");
    for (const char *line = text_string(&out); *line; line += strcspn(line, "\n") + 1) {
        char copy[400];
        snprintf(copy, sizeof copy, "%.*s", (int)strcspn(line, "\n"), line);
        if (utf8_columns(copy) > 80)
            fail_msg("%d columns: %s", utf8_columns(copy), copy);
    }
    report.identical = true;
    report.flip_count = report.changed_count = 0;
    write_as("text", &report, &out);
    expect(&out, "Flipped   none");
    expect(&out, "Changed   nothing");
    text_release(&out);
}

static void test_json(void **state)
{
    (void)state;
    struct guard_report report = sample(GUARD_INCONCLUSIVE);
    struct text out = {0};
    write_as("json", &report, &out);
    json_t *root = json_loads(text_string(&out), JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(root);
    assert_string_equal(json_string_value(json_object_get(root, "verdict")), "inconclusive");
    assert_int_equal(json_array_size(json_object_get(root, "groups")), COUNT(rows) - 1);
    assert_int_equal(json_array_size(json_object_get(root, "flips")), COUNT(flips));
    const json_t *memory = json_object_get(json_object_get(root, "cost"), "peak_memory_bytes");
    assert_true(json_is_null(json_object_get(memory, "before")));
    assert_true(json_is_null(json_object_get(memory, "ratio")));
    assert_true(json_is_object(json_object_get(json_object_get(root, "after"), "setting")));
    assert_int_equal(json_number_value(json_object_get(root, "examples_to_pass")), 1713);
    assert_true(json_is_null(json_object_get(root, "examples_to_show_drop")));
    json_decref(root);
    text_release(&out);
}

static void test_json_schema(void **state)
{
    (void)state;
    static const char *const data[] = {"setting", NULL}, *const none[] = {NULL};
    static const enum guard_verdict verdicts[] = {GUARD_PASS, GUARD_REGRESSION, GUARD_INCONCLUSIVE};
    struct text out = {0};
    for (size_t i = 0; i < COUNT(verdicts); i++) {
        struct guard_report report = sample(verdicts[i]);
        write_as("json", &report, &out);
        schema_must_be_strict("check", text_string(&out), data, none);
    }
    text_release(&out);
}

static void test_markdown(void **state)
{
    (void)state;
    struct guard_report report = sample(GUARD_REGRESSION);
    struct text out = {0};
    write_as("markdown", &report, &out);
    expect(&out, "### Accuracy check: regression\n");
    expect(&out, "| metric | **`accuracy`** | 1000 | 0.912 | 0.862 |");
    expect(&out, "<details><summary>2 classes and slices without a regression</summary>");
    expect(&out, "<details><summary>Changed answers: 1 lost, 1 gained");
    expect(&out, "\\<script\\>");
    expect(&out, "\\@all");
    never(&out, " @all\n\n");
    text_release(&out);
}

/* ---- JUnit ------------------------------------------------------------------------------------
 */

static size_t occurrences(const struct text *out, const char *words)
{
    size_t count = 0;
    for (const char *at = text_string(out); (at = strstr(at, words)); at += strlen(words))
        count++;
    return count;
}

/* Characters that no XML may hold; tags that open and close; entities that exist. */
static void must_be_xml(const struct text *out)
{
    static const char *const entities[] = {"&amp;", "&lt;",  "&gt;", "&quot;",
                                           "&#9;",  "&#10;", "&#13;"};
    const char *open[16];
    size_t depth = 0;
    for (const char *at = text_string(out); *at; at++) {
        assert_true((unsigned char)*at >= 0x20 || *at == '\n');
        bool known = *at != '&';
        for (size_t i = 0; i < COUNT(entities); i++)
            known |= !strncmp(at, entities[i], strlen(entities[i]));
        assert_true(known);
        if (*at != '<' || at[1] == '?')
            continue;
        size_t name = strcspn(at + (at[1] == '/' ? 2 : 1), " >");
        if (at[1] != '/') {
            assert_true(depth < COUNT(open));
            open[depth++] = at + 1;
        } else {
            assert_true(depth > 0);
            assert_int_equal(strncmp(open[--depth], at + 2, name), 0);
        }
    }
    assert_int_equal(depth, 0);
}

/* What xmllint says, where there is one. */
static void must_lint(const struct text *out)
{
    if (system("command -v xmllint >/dev/null 2>&1"))
        return;
    char path[] = "/tmp/junit-XXXXXX", command[80];
    int file = mkstemp(path);
    assert_true(file >= 0);
    assert_int_equal(write(file, text_string(out), out->length), (int)out->length);
    close(file);
    snprintf(command, sizeof command, "xmllint --noout %s", path);
    int status = system(command);
    unlink(path);
    assert_int_equal(status, 0);
}

static const struct {
    enum guard_verdict verdict;
    const char *attributes, *failure;
    size_t failures; /* one is that of the class */
} junit[] = {
    {GUARD_PASS, "tests=\"5\" failures=\"1\" errors=\"0\"", "<failure type=\"regression\"", 1},
    {GUARD_REGRESSION, "tests=\"5\" failures=\"2\" errors=\"0\"", "<failure type=\"regression\"",
     2},
    {GUARD_INCONCLUSIVE, "tests=\"5\" failures=\"2\" errors=\"0\"",
     "<failure type=\"inconclusive\"", 2},
};

static void test_junit(void **state)
{
    (void)state;
    struct text out = {0};
    for (size_t i = 0; i < COUNT(junit); i++) {
        struct guard_report report = sample(junit[i].verdict);
        write_as("junit", &report, &out);
        must_be_xml(&out);
        must_lint(&out);
        expect(&out, junit[i].attributes);
        expect(&out, junit[i].failure);
        expect(&out,
               "<testcase classname=\"advisor check: lora\" name=\"accuracy\" time=\"12.346\">");
        expect(&out, "name=\"slice language=German\"");
        expect(&out, "name=\"cost\"");
        expect(&out, "too few examples to tell");
        expect(&out, "dearer than before");
        assert_int_equal(occurrences(&out, "<testcase "), 5);
        assert_int_equal(occurrences(&out, "<failure "), junit[i].failures);
    }
    struct guard_report failed = {.error = "data.csv: " HOSTILE, .seconds = 1};
    write_as("junit", &failed, &out);
    must_be_xml(&out);
    must_lint(&out);
    expect(&out, "tests=\"1\" failures=\"0\" errors=\"1\"");
    expect(&out, "<error type=\"error\" message=\"data.csv: &lt;script&gt;");
    text_release(&out);
}

/* Long names are cut, in the middle of no character. */
static void test_junit_long(void **state)
{
    (void)state;
    struct text out = {0}, name = {0};
    text_repeat(&name, "\xf0\x9f\x98\x95<", 5000);
    struct guard_report failed = {.error = text_string(&name)};
    write_as("junit", &failed, &out);
    must_be_xml(&out);
    must_lint(&out);
    assert_true(out.length < 20000);
    text_release(&out);
    text_release(&name);
}

/* ---- Costs ------------------------------------------------------------------------------------
 */

static void test_costs(void **state)
{
    (void)state;
    static const struct {
        struct measured before, after;
        double tolerated;
        bool dearer;
    } cases[] = {
        {{true, 43}, {true, 43}, 1, false},  {{true, 43}, {true, 43.1}, 1, true},
        {{true, 43}, {true, 20}, 1, false},  {{true, 20}, {true, 29}, 1.5, false},
        {{true, 20}, {true, 31}, 1.5, true}, {{true, 0}, {true, 0}, 1, false},
        {{true, 0}, {true, 5}, 1, true},     {{0}, {true, 5}, 1, false},
        {{true, 5}, {0}, 1, false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct guard_cost cost = {
            "x", "x", cases[i].before, cases[i].after, cases[i].tolerated, human_count};
        if (guard_is_dearer(&cost) != cases[i].dearer)
            fail_msg("case %zu", i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formats),    cmocka_unit_test(test_text),
        cmocka_unit_test(test_json),       cmocka_unit_test(test_json_schema),
        cmocka_unit_test(test_markdown),   cmocka_unit_test(test_junit),
        cmocka_unit_test(test_junit_long), cmocka_unit_test(test_costs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
