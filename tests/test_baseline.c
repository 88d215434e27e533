/* SPDX-License-Identifier: Apache-2.0
 *
 * The baseline file: written and read back, and everything that can be wrong with one.
 */
#define _XOPEN_SOURCE 700
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

#include "advisor/baseline.h"
#include "advisor/reading.h"
#include "tests/json_schema.h"
#include "tests/study_support.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define SHA          "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
#define KEY_A        "01ebe054b41f9d836f757836fd0f5ee2"
#define KEY_B        "f1ebe054b41f9d836f757836fd0f5ee2"

static const char *const labels[] = {"bill \"x\"", "refund"};

static struct baseline_answer answers[] = {
    {KEY_A, "bill \"x\"", "refund", false, {true, 0.6180339887}},
    {KEY_A, "refund", "refund", true, {true, 0.5}},
    {KEY_B, "refund", NULL, false, {0}},
};

static struct baseline sample(void)
{
    return (struct baseline){.program = "0.1.0",
                             .engine = "OpenBLAS",
                             .study = "tickets-1",
                             .technique = "lora",
                             .setting = "{\"learning_rate\":0.0003,\"r\":8}",
                             .examples = 512,
                             .seed = INT64_MAX,
                             .model_name = "tiny",
                             .model_sha256 = SHA,
                             .data_path = "data.csv",
                             .data_sha256 = SHA,
                             .reading = "{\"input\":\"text\"}",
                             .task = "classification",
                             .test_apart = true,
                             .test_path = "test.csv",
                             .test_sha256 = SHA,
                             .labels = labels,
                             .label_count = 2,
                             .artifact_file = "baseline-1.bin",
                             .artifact_sha256 = SHA,
                             .artifact_bytes = 7,
                             .metric = "accuracy",
                             .value = 1.0 / 3,
                             .low = 0.0615,
                             .high = 0.792,
                             .tokens_per_request = {true, 34.8388888888889},
                             .peak_memory_bytes = {true, 3180864},
                             .answers = answers,
                             .answer_count = 3};
}

static void must_write(const struct baseline *baseline, struct text *out)
{
    struct error err = {0};
    if (baseline_write(baseline, out, &err) != OK)
        fail_msg("%s", err.text);
}

static void test_schema(void **state)
{
    (void)state;
    static const char *const data[] = {"setting", "reading", NULL}, *const none[] = {NULL};
    struct baseline whole = sample(), least = sample();
    struct text text = {0};
    must_write(&whole, &text);
    schema_must_be_strict("baseline", text_string(&text), data, none);
    least.test_path = least.test_sha256 = least.artifact_file = NULL;
    least.label_count = least.answer_count = 0;
    text_clear(&text);
    must_write(&least, &text);
    schema_must_accept("baseline", text_string(&text));
    text_release(&text);
}

static enum status read_bytes(const struct bench *bench, const char *bytes, struct arena *arena,
                              struct baseline *baseline, struct error *err)
{
    bench_write(bench->data, bytes);
    *err = (struct error){0};
    return baseline_read(bench->data, arena, baseline, err);
}

static void test_round_trip(void **state)
{
    (void)state;
    struct bench bench;
    struct arena arena;
    struct text first = {0}, second = {0};
    struct baseline before = sample(), after;
    struct error err;
    bench_enter(&bench);
    arena_init(&arena, NULL);
    must_write(&before, &first);
    desk_must(read_bytes(&bench, text_string(&first), &arena, &after, &err), &err);
    assert_string_equal(after.technique, "lora");
    assert_string_equal(after.setting, before.setting);
    assert_true(after.seed == INT64_MAX && after.test_apart && after.examples == 512);
    assert_null(after.model_path);
    assert_string_equal(after.labels[0], labels[0]);
    assert_false(after.latency_ms.known);
    assert_int_equal(after.answer_count, 3);
    assert_null(after.answers[2].answer);
    assert_false(after.answers[2].probability.known);
    assert_true(after.answers[0].probability.value == 0.618034);
    must_write(&after, &second);
    assert_string_equal(text_string(&first), text_string(&second));
    /* An answer a line. */
    assert_non_null(strstr(text_string(&first), "\n    {\"input\": \"" KEY_A "\", \"target\""));
    text_release(&first);
    text_release(&second);
    arena_release(&arena);
    bench_leave(&bench);
}

static void test_free_text(void **state)
{
    (void)state;
    struct bench bench;
    struct arena arena;
    struct text text = {0};
    struct error err;
    struct baseline before = sample(), after;
    struct baseline_answer answer = {.input = KEY_A, .correct = true};
    bench_enter(&bench);
    arena_init(&arena, NULL);
    desk_must(baseline_text("forty two", &arena, &answer.target, &err), &err);
    desk_must(baseline_text("42", &arena, &answer.answer, &err), &err);
    before.label_count = 0;
    before.artifact_file = before.test_sha256 = NULL;
    before.answers = &answer;
    before.answer_count = 1;
    must_write(&before, &text);
    assert_null(strstr(text_string(&text), "forty"));
    desk_must(read_bytes(&bench, text_string(&text), &arena, &after, &err), &err);
    assert_true(after.answers[0].correct);
    assert_null(after.artifact_file);
    assert_null(after.test_path);
    text_release(&text);
    arena_release(&arena);
    bench_leave(&bench);
}

/* ---- Damage --------------------------------------------------------------------------------- */

/* Wherever the file ends too early, it is no baseline. */
static void test_cut_short(void **state)
{
    (void)state;
    struct bench bench;
    struct arena arena;
    struct text text = {0};
    struct baseline before = sample(), after;
    struct error err;
    bench_enter(&bench);
    arena_init(&arena, NULL);
    must_write(&before, &text);
    for (size_t length = 0; length + 1 < text.length; length += 7) {
        char *cut = arena_strndup(&arena, text_string(&text), length);
        desk_refused(read_bytes(&bench, cut, &arena, &after, &err), BAD_DATA, &err, "JSON");
        assert_null(after.technique);
    }
    text_release(&text);
    arena_release(&arena);
    bench_leave(&bench);
}

/* Whichever byte is another one, it is found. */
static void test_any_byte(void **state)
{
    (void)state;
    struct bench bench;
    struct arena arena;
    struct text text = {0};
    struct baseline before = sample(), after;
    struct error err;
    bench_enter(&bench);
    must_write(&before, &text);
    for (size_t i = 0; i < text.length; i++) {
        char old = text.bytes[i];
        arena_init(&arena, NULL);
        if (old == ' ' || old == '\n') /* between values it may be any white space */
            continue;
        text.bytes[i] = old == '7' ? '3' : '7';
        if (read_bytes(&bench, text_string(&text), &arena, &after, &err) != BAD_DATA)
            fail_msg("byte %zu, '%c' for '%c', is not noticed", i, text.bytes[i], old);
        text.bytes[i] = old;
        arena_release(&arena);
    }
    text_release(&text);
    bench_leave(&bench);
}

/* ---- Wrong content under a right hash ---------------------------------------------------------
 */

/* Writes the JSON `value` at `path` ("cost/latency_ms", "answers/0/correct"; value NULL takes it
 * away) and a right hash below. */
static char *altered(const char *file, const char *path, const char *value)
{
    char copy[128], *key = copy, hex[HASH_HEX];
    json_t *root = json_loads(file, 0, NULL), *at = root;
    snprintf(copy, sizeof copy, "%s", path);
    for (char *slash; (slash = strchr(key, '/')); key = slash + 1) {
        *slash = '\0';
        at = json_is_array(at) ? json_array_get(at, (size_t)atoi(key)) : json_object_get(at, key);
        assert_non_null(at);
    }
    json_t *new = value ? json_loads(value, JSON_DECODE_ANY, NULL) : NULL;
    assert_true(!value || new);
    if (!new)
        json_object_del(at, key);
    else if (json_is_array(at))
        json_array_set_new(at, (size_t)atoi(key), new);
    else
        json_object_set_new(at, key, new);
    json_object_del(root, "sha256");
    char *text = json_dumps(root, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(12));
    assert_int_equal(hash_bytes(text, strlen(text), hex, NULL), OK);
    free(text);
    json_object_set_new(root, "sha256", json_string(hex));
    text = json_dumps(root, JSON_REAL_PRECISION(12));
    json_decref(root);
    return text;
}

static const struct {
    const char *path, *value, *says;
} wrong[] = {
    {"kind", "\"other\"", "is no baseline"},
    {"kind", NULL, "is no baseline"},
    {"schema", "2", "newer advisor"},
    {"schema", "0", "schema"},
    {"schema", "\"1\"", "schema"},
    {"technique", NULL, "\"technique\""},
    {"technique", "5", "\"technique\""},
    {"setting", "[]", "\"setting\""},
    {"examples", "-1", "\"examples\""},
    {"examples", "1.5", "\"examples\""},
    {"seed", "null", "\"seed\""},
    {"model", "null", "\"name\""},
    {"model/sha256", "\"short\"", "\"sha256\""},
    {"data/path", "null", "\"path\""},
    {"data/sha256", "\"B179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53\"",
     "no hash"},
    {"data/test_apart", "1", "neither true nor false"},
    {"test", "5", "\"path\""},
    {"labels", "{}", "no list"},
    {"labels", "[\"refund\", \"bill\"]", "not in order"},
    {"labels", "[\"refund\", \"refund\"]", "not in order"},
    {"labels", "[1, 2]", "not in order"},
    {"labels", "[\"bill \\\"x\\\"\", \"other\"]", "none of its labels"},
    {"artifact/file", "\"../secret\"", "beside it"},
    {"artifact/file", "\"\"", "beside it"},
    {"artifact/bytes", "-1", "\"bytes\""},
    {"metric/value", "2", "\"value\""},
    {"metric/low", "null", "\"low\""},
    {"cost/latency_ms", "-1", "\"latency_ms\""},
    {"cost/latency_ms", "\"fast\"", "\"latency_ms\""},
    {"answers", "[]", "no answers"},
    {"answers", "{}", "no answers"},
    {"answers/0", "null", "\"input\""},
    {"answers/0/input", "\"0\"", "no hash"},
    {"answers/0/correct", "1", "neither true nor false"},
    {"answers/0/correct", "true", "which it is not"},
    {"answers/1/answer", "null", "which it is not"},
    {"answers/1/answer", "\"nonsense\"", "none of its labels"},
    {"answers/0/probability", "1.5", "\"probability\""},
    {"answers/0/target", "\"refund\"", "which it is not"},
    {"answers/1/input", "\"00ebe054b41f9d836f757836fd0f5ee2\"", "not in order, at number 2"},
};

static void test_wrong_content(void **state)
{
    (void)state;
    struct bench bench;
    struct arena arena;
    struct text text = {0};
    struct baseline before = sample(), after;
    struct error err;
    bench_enter(&bench);
    arena_init(&arena, NULL);
    must_write(&before, &text);
    for (size_t i = 0; i < COUNT(wrong); i++) {
        char *file = altered(text_string(&text), wrong[i].path, wrong[i].value);
        enum status status = read_bytes(&bench, file, &arena, &after, &err);
        if (status != BAD_DATA || !strstr(err.text, wrong[i].says))
            fail_msg("%s = %s: status %d, \"%s\" does not say \"%s\"", wrong[i].path,
                     wrong[i].value ? wrong[i].value : "(gone)", (int)status, err.text,
                     wrong[i].says);
        free(file);
    }
    char *same = altered(text_string(&text), "study", "\"tickets-1\"");
    desk_must(read_bytes(&bench, same, &arena, &after, &err), &err);
    free(same);
    text_release(&text);
    arena_release(&arena);
    bench_leave(&bench);
}

static void test_no_file(void **state)
{
    (void)state;
    struct arena arena;
    struct baseline baseline;
    struct error err = {0};
    arena_init(&arena, NULL);
    desk_refused(baseline_read("/nowhere/baseline.json", &arena, &baseline, &err), USAGE, &err,
                 "advisor bless");
    desk_refused(baseline_read("/tmp", &arena, &baseline, &err), FAILED, &err, "cannot be read");
    arena_release(&arena);
}

/* ---- The artifact --------------------------------------------------------------------------- */

static void test_artifact(void **state)
{
    (void)state;
    struct bench bench;
    struct arena arena;
    struct error err = {0};
    char hex[HASH_HEX], file[BENCH_PATH];
    struct baseline baseline = sample();
    const void *bytes;
    size_t length;
    bench_enter(&bench);
    arena_init(&arena, NULL);
    desk_refused(baseline_artifact(&baseline, bench.data, &arena, &bytes, &length, &err), BAD_DATA,
                 &err, "is not there");
    snprintf(file, sizeof file, "%s/baseline-1.bin", bench.folder);
    bench_write(file, "learned");
    desk_refused(baseline_artifact(&baseline, bench.data, &arena, &bytes, &length, &err), BAD_DATA,
                 &err, "is not what lora learned");
    assert_int_equal(hash_bytes("learned", 7, hex, NULL), OK);
    baseline.artifact_sha256 = hex;
    desk_must(baseline_artifact(&baseline, bench.data, &arena, &bytes, &length, &err), &err);
    assert_int_equal(length, 7);
    assert_memory_equal(bytes, "learned", 7);
    arena_release(&arena);
    bench_leave(&bench);
}

/* ---- How data are read ------------------------------------------------------------------------
 */

static void test_reading(void **state)
{
    (void)state;
    struct arena arena;
    struct error err = {0};
    struct dataset_options back;
    static const struct label_name map[] = {{"0", "no"}, {"1", "yes, \"yes\""}};
    const struct dataset_options rows[] = {
        {0},
        {.input = "a,b",
         .target = "c",
         .rationale = "",
         .task = TASK_EXTRACTION,
         .delimiter = '\t',
         .label_map = map,
         .label_map_count = 2,
         .on_bad_row = BAD_ROW_SKIP},
    };
    arena_init(&arena, NULL);
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *json = reading_json(&rows[i], &arena);
        desk_must(reading_parse(json, &arena, &back, &err), &err);
        assert_string_equal(reading_json(&back, &arena), json);
    }
    assert_string_equal(back.label_map[1].to, map[1].to);
    assert_string_equal(back.rationale, "");
    static const char *const nonsense[] = {"",
                                           "[]",
                                           "{\"input\":5}",
                                           "{\"task\":\"magic\"}",
                                           "{\"a\"",
                                           "5",
                                           "{\"delimiter\":\"\"}",
                                           "{\"delimiter\":\",,\"}",
                                           "{\"on_bad_row\":\"maybe\"}",
                                           "{\"label_names\":[]}",
                                           "{\"label_names\":[[\"a\"]]}"};
    for (size_t i = 0; i < COUNT(nonsense); i++)
        if (reading_parse(nonsense[i], &arena, &back, &err) != FAILED)
            fail_msg("\"%s\" is read", nonsense[i]);
    arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_schema),    cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_free_text), cmocka_unit_test(test_cut_short),
        cmocka_unit_test(test_any_byte),  cmocka_unit_test(test_wrong_content),
        cmocka_unit_test(test_no_file),   cmocka_unit_test(test_artifact),
        cmocka_unit_test(test_reading),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
