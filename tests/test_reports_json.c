/* SPDX-License-Identifier: Apache-2.0
 *
 * Reports as JSON: keys and values, the schema and what it refuses, and reading a report back.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

#include "reports/writer.h"
#include "tests/json_schema.h"
#include "tests/made_reports.h"

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
    for (size_t i = 0; i < COUNT(made_reports); i++) {
        struct report report = made_reports[i].make();
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
    for (size_t i = 0; i < COUNT(made_reports); i++) {
        struct report report = made_reports[i].make();
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
    for (size_t i = 0; i < COUNT(made_reports); i++) {
        struct report report = made_reports[i].make(), again;
        struct error err = {0};
        struct arena arena;
        arena_init(&arena, NULL);
        struct text first = written(&report, "json", 80, false);
        if (report_read(text_string(&first), &arena, &again, &err) != OK)
            fail_msg("%s: %s", made_reports[i].name, err.text);
        struct text second = written(&again, "json", 80, false);
        assert_string_equal(text_string(&second), text_string(&first));
        again.study_path = report.study_path;
        struct text text = written(&again, "text", 80, false);
        /* the bytes of the hostile one that are no UTF-8 became U+FFFD */
        if (strcmp(made_reports[i].name, "hostile") != 0)
            check_golden(made_reports[i].name, "txt", &text);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
