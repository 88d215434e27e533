/* SPDX-License-Identifier: Apache-2.0
 *
 * `advisor bless` from end to end: the baseline it writes, what it refuses and replaces, the data
 * it was made with found again, and the project's own data.
 */
#define _XOPEN_SOURCE 700
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "advisor/baseline.h"
#include "datasets/demo.h"
#include "tests/check_support.h"

/* Blessing again gives the same answers, whatever the number of threads; only times differ. */
static void test_bless_again(void **state)
{
    (void)state;
    struct error err;
    struct arena arena;
    struct baseline first, second;
    arena_init(&arena, NULL);
    must(advisor(&err, "bless @split.db lora --model " TINY_MODEL " -o @again.json -q --threads 3"),
         &err);
    must(baseline_read(in_bench("lora.json"), &arena, &first, &err), &err);
    must(baseline_read(in_bench("again.json"), &arena, &second, &err), &err);
    assert_int_equal(first.answer_count, second.answer_count);
    assert_string_equal(first.artifact_sha256, second.artifact_sha256);
    assert_true(first.value == second.value);
    for (size_t i = 0; i < first.answer_count; i++) {
        assert_string_equal(first.answers[i].input, second.answers[i].input);
        assert_string_equal(first.answers[i].answer, second.answers[i].answer);
        assert_true(first.answers[i].probability.value == second.answers[i].probability.value);
    }
    arena_release(&arena);
}

/* No text of the data is in the baseline. */
static void test_no_texts(void **state)
{
    (void)state;
    struct text text = {0};
    files_read(in_bench("base.json"), &text);
    static const char *const words[] = {"lamp", "kettle", "parcel", "garden"};
    for (size_t i = 0; i < COUNT(words); i++)
        assert_null(strstr(text_string(&text), words[i]));
    text_release(&text);
}

static size_t count_files(const char *ending)
{
    struct text list = {0};
    char command[BENCH_PATH + 40];
    snprintf(command, sizeof command, "ls %s/force | grep -c '%s$'", bench.folder, ending);
    FILE *pipe = popen(command, "r");
    int count = -1;
    assert_int_equal(fscanf(pipe, "%d", &count), 1);
    pclose(pipe);
    text_release(&list);
    return (size_t)count;
}

static void test_force(void **state)
{
    (void)state;
    struct error err;
    struct text before = {0}, after = {0};
    mkdir(in_bench("force"), 0777);
    must(advisor(&err, "bless @split.db lora --model " TINY_MODEL " -o @force/b.json -q"), &err);
    files_read(in_bench("force/b.json"), &before);
    assert_int_equal(
        advisor(&err, "bless @study.db zero_shot --model " TINY_MODEL " -o @force/b.json -q"),
        USAGE);
    assert_non_null(strstr(err.text, "--force"));
    files_read(in_bench("force/b.json"), &after);
    assert_string_equal(text_string(&before), text_string(&after));
    assert_int_equal(count_files(".bin"), 1);
    must(advisor(&err,
                 "bless @study.db zero_shot --model " TINY_MODEL " -o @force/b.json -q --force"),
         &err);
    assert_int_equal(count_files(".bin"), 0); /* what nothing names any more */
    assert_int_equal(count_files(""), 1);     /* and no temporary file */
    json_decref(check(OK, "@force/b.json"));
    text_release(&before);
    text_release(&after);
}

static void test_bless_refused(void **state)
{
    (void)state;
    static const struct {
        const char *words;
        enum status expected;
        const char *says;
    } rows[] = {
        {"@nowhere.db", USAGE, "nowhere.db"},
        {"nothing-of-that-name", USAGE, "nothing-of-that-name"},
        {"@data.csv", USAGE, "data.csv"},
        {"@study.db lora", USAGE, "has not measured lora; expected one of: majority, zero_shot"},
        {"@study.db magic", USAGE, "there is no technique"},
        {"@study.db zero_shot --test @nowhere.csv", BAD_DATA, "nowhere.csv"},
        {"@study.db zero_shot --data @nowhere.csv", USAGE, "nowhere.csv"},
        {"@study.db zero_shot --data @test.csv", USAGE, "differs in its data"},
        {"", USAGE, "bless needs STUDY"},
    };
    struct error err;
    for (size_t i = 0; i < COUNT(rows); i++) {
        enum status status =
            advisor(&err, "bless --model " TINY_MODEL " -o @refused.json -q %s", rows[i].words);
        if (status != rows[i].expected || !strstr(err.text, rows[i].says))
            fail_msg("bless %s: status %d, \"%s\" in \"%s\"", rows[i].words, (int)status,
                     rows[i].says, err.text);
        assert_false(exists("refused.json"));
    }
}

/* Without TECHNIQUE it is what the study recommends. */
static void test_bless_recommended(void **state)
{
    (void)state;
    struct error err;
    enum status status = advisor(&err, "bless @split.db --model " TINY_MODEL " -o @best.json -q");
    json_t *report;
    must(advisor(&err, "recommend @data.csv --model " TINY_MODEL
                       " --techniques majority,lora --study @split.db --budget 20s -q "
                       "--format json -o @report.json"),
         &err);
    report = read_json("report.json");
    const char *best = string_of(json_object_get(report, "recommendation"), "technique");
    if (*best) {
        must(status, &err);
        json_t *baseline = read_json("best.json");
        assert_string_equal(string_of(baseline, "technique"), best);
        json_decref(baseline);
    } else {
        assert_int_equal(status, USAGE);
    }
    json_decref(report);
}

/* Columns with names of their own, found again without being told. */
static void test_reading_is_kept(void **state)
{
    (void)state;
    struct error err;
    struct text text = {0};
    files_read(in_bench("data.csv"), &text);
    memcpy(text.bytes, "words;group", 0); /* the header is replaced below */
    struct text out = {0};
    text_add(&out, "words;group\n");
    for (char *at = strchr(text.bytes, '\n') + 1; *at; at++)
        text_append(&out, *at == ',' ? ";" : at, 1);
    bench_write(in_bench("odd.csv"), text_string(&out));
    must(advisor(&err,
                 "recommend @odd.csv --input words --label group --delimiter ; --model " TINY_MODEL
                 " --techniques majority,zero_shot --study @odd.db -q -o @out"),
         &err);
    must(advisor(&err, "bless @odd.db zero_shot --model " TINY_MODEL " -o @odd.json -q"), &err);
    json_decref(check(OK, "@odd.json"));
    text_release(&text);
    text_release(&out);
}

/* Numeric answers: free text, judged by the metric, kept as hashes. */
static void test_free_text(void **state)
{
    (void)state;
    struct error err;
    struct text out = {0};
    for (int i = 0; i < 60; i++)
        text_printf(&out, "{\"question\": \"%d + %d\", \"answer\": \"%d\"}\n", i, i * 7 % 11,
                    1000 + i * 13 + i * 7 % 11);
    bench_write(in_bench("sums.jsonl"), text_string(&out));
    must(advisor(&err, "recommend @sums.jsonl --task numeric_answer --model " TINY_MODEL
                       " --techniques majority,zero_shot --study @sums.db -q -o @out"),
         &err);
    must(advisor(&err, "bless @sums.db zero_shot --model " TINY_MODEL " -o @sums.json -q"), &err);
    json_t *root = check(OK, "@sums.json");
    assert_true(json_is_true(json_object_get(root, "identical")));
    assert_int_equal(json_array_size(json_object_get(root, "groups")), 0);
    json_decref(root);
    root = check(INCONCLUSIVE, "@sums.json --set instruction=Add.");
    assert_true(says(root, "reasons", "examples of this kind"));
    json_decref(root);
    text_release(&out);
}

/* ---- The project itself ------------------------------------------------------------------------
 */

/* The embedded tickets of two classes that are short enough for the tiny model. */
static void write_short_tickets(const char *name)
{
    struct demo demo;
    struct dataset data;
    struct error err;
    struct text out = {0};
    assert_true(demo_find("demo:tickets", &demo));
    must(dataset_parse(demo.file, demo.bytes, demo.size, NULL, &data, &err), &err);
    for (size_t i = 0; i < data.count; i++) {
        const struct example *example = &data.examples[i];
        bool wanted = !strcmp(example->target, "feature") || !strcmp(example->target, "billing");
        json_t *row = json_pack("{ss,ss}", "text", example->input, "label", example->target);
        char *line = json_dumps(row, 0);
        if (wanted && strlen(example->input) <= 100)
            text_printf(&out, "%s\n", line);
        free(line);
        json_decref(row);
    }
    bench_write(in_bench(name), text_string(&out));
    text_release(&out);
    dataset_release(&data);
}

/* Accepts what was learned from the project's own data, checks it, and a worse setting of it. */
static void test_the_project_guards_itself(void **state)
{
    (void)state;
    struct error err;
    write_short_tickets("tickets.jsonl");
    must(advisor(&err, "recommend @tickets.jsonl --model " TINY_MODEL
                       " --techniques majority,zero_shot,lora --study @tickets.db --budget 15s -q "
                       "-o @out"),
         &err);
    must(advisor(&err, "bless @tickets.db lora --test @tickets.jsonl --model " TINY_MODEL
                       " -o @tickets.json -q"),
         &err);
    json_t *root = check(OK, "@tickets.json --also junit=@guard.xml");
    assert_true(json_is_true(json_object_get(root, "identical")));
    json_decref(root);
    root = check(REGRESSION, "@tickets.json --technique zero_shot --also junit=@worse.xml");
    assert_true(number_of(json_object_get(root, "whole"), "p_worse") < 0.001);
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bless_again),
        cmocka_unit_test(test_no_texts),
        cmocka_unit_test(test_force),
        cmocka_unit_test(test_bless_refused),
        cmocka_unit_test(test_bless_recommended),
        cmocka_unit_test(test_reading_is_kept),
        cmocka_unit_test(test_free_text),
        cmocka_unit_test(test_the_project_guards_itself),
    };
    return cmocka_run_group_tests(tests, enter, leave);
}
