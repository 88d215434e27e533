/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers in JSON: slots against a reference and scikit-learn (tests/parity/make_text_metrics.py),
 * what counts as the same slot, and what is no valid answer.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "evaluators/metrics.h"
#include "evaluators/slots.h"

static void test_fixture(void **state)
{
    (void)state;
    static struct prediction predictions[200];
    const struct bootstrap options = {.resamples = 200, .seed = 1, .confidence = 0.95};
    json_t *document = json_load_file("tests/parity/fixtures/slots.json", 0, NULL), *row;
    assert_non_null(document);
    size_t count, matches = 0;
    json_array_foreach(json_object_get(document, "pairs"), count, row)
    {
        const char *answer = json_string_value(json_object_get(row, "answer"));
        const char *target = json_string_value(json_object_get(row, "target"));
        struct slot_counts found = slots_compare(answer, target);
        bool match = json_is_true(json_object_get(row, "match"));
        long long hits = json_integer_value(json_object_get(row, "hits"));
        long long answered = json_integer_value(json_object_get(row, "answered"));
        long long expected = json_integer_value(json_object_get(row, "expected"));
        if ((long long)found.hits != hits || (long long)found.answered != answered ||
            (long long)found.expected != expected || slots_equal(answer, target) != match)
            fail_msg("%s for %s: %zu of %zu and %zu, expected %lld of %lld and %lld", answer,
                     target, found.hits, found.answered, found.expected, hits, answered, expected);
        predictions[count] = (struct prediction){.example = (int64_t)count,
                                                 .truth = NO_LABEL,
                                                 .label = NO_LABEL,
                                                 .text = answer,
                                                 .target = target};
        matches += match;
    }
    assert_true(count >= 100 && matches > 10 && matches < count / 2);
    struct metric_value f1, match;
    assert_int_equal(
        metric_measure(metric_find("slot_f1"), predictions, count, 0, options, &f1, NULL), OK);
    assert_true(fabs(f1.value - json_number_value(json_object_get(document, "slot_f1"))) < 1e-12);
    assert_true(f1.low < f1.value && f1.value < f1.high && f1.high - f1.low < 0.3);
    assert_int_equal(
        metric_measure(metric_find("json_match"), predictions, count, 0, options, &match, NULL),
        OK);
    assert_true(fabs(match.value - (double)matches / (double)count) < 1e-12);
    assert_true(match.low ==
                wilson_interval((int64_t)matches, (int64_t)count, options.confidence).low);
    json_decref(document);
}

static void test_same_slots(void **state)
{
    (void)state;
    static const struct {
        const char *answer, *target;
        size_t hits;
        bool equal;
    } rows[] = {
        {"{\"a\": \"Oslo\", \"b\": 3}", "{\"b\":3.0,\"a\":\"oslo.\"}", 2, true},
        {"{\"b\": \"3\"}", "{\"b\":3}", 1, true},
        {"{\"b\": true, \"c\": null}", "{\"b\":\"true\",\"c\":\"null\"}", 2, true},
        {"{\"A\": 1}", "{\"a\": 1}", 0, false},
        {"{\"a\": [1, 2, 2]}", "{\"a\": [2, 1]}", 2, false},
        {"{\"a\": [2, 1]}", "{\"a\": [1, 2]}", 2, true},
        {"{\"a\": {\"b\": 1, \"c\": 2}}", "{\"a\": {\"b\": 1, \"c\": 3}}", 1, false},
        {"[{\"x\": 1, \"y\": 2}, {\"x\": 3, \"y\": 4}]",
         "[{\"y\": 2, \"x\": 1}, {\"x\": 3, \"y\": 5}]", 1, false},
        {"[{\"x\": 1, \"y\": 4}, {\"x\": 3, \"y\": 2}]",
         "[{\"x\": 1, \"y\": 2}, {\"x\": 3, \"y\": 4}]", 0, false},
        {"{}", "{}", 0, true},
        {"[]", "{}", 0, true},
        {"", "{}", 0, false},
        {"{\"a\": 1} and more", "{\"a\": 1}", 0, false},
        {"{\"a\": 1, \"a\": 1}", "{\"a\": 1}", 0, false},
        {"{\"a\": 1", "{\"a\": 1}", 0, false},
        {"1", "{\"a\": 1}", 0, false},
        {"{\"a\\nb\": \"c\"}", "{\"a\": \"b\\nc\"}", 0, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t hits = slots_compare(rows[i].answer, rows[i].target).hits;
        bool equal = slots_equal(rows[i].answer, rows[i].target);
        if (hits != rows[i].hits || equal != rows[i].equal)
            fail_msg("row %zu: %zu hits, %sequal", i, hits, equal ? "" : "not ");
    }
}

/* Thousands of brackets must not exhaust the stack. */
static void test_deep(void **state)
{
    (void)state;
    static char deep[200001];
    memset(deep, '[', 100000);
    memset(deep + 100000, ']', 100000);
    assert_false(slots_valid(deep));
    assert_true(slots_valid(deep + 99000) == false);
    assert_true(slots_valid("[[[[1]]]]"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fixture),
        cmocka_unit_test(test_same_slots),
        cmocka_unit_test(test_deep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
