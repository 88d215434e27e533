/* SPDX-License-Identifier: Apache-2.0 */
#define _XOPEN_SOURCE 700
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "advisor/pace.h"
#include "tests/study_support.h"

static bool exists(const char *path)
{
    return !access(path, F_OK);
}

static char *words_of(const struct bench *bench, const char *more)
{
    static char words[2048];
    snprintf(words, sizeof words, "%s %s", bench->data, more);
    return words;
}

/* Opens the study of the bench's data, sized. */
static void must_begin(struct desk *desk, const struct bench *bench, const char *more)
{
    struct error err;
    desk_must(desk_open(desk, words_of(bench, more), &err), &err);
    desk_must(study_size(&desk->study, &err), &err);
}

/* ---- Where a study lives -------------------------------------------------------------------- */

static void test_names(void **state)
{
    (void)state;
    static const struct {
        const char *file, *name;
    } cases[] = {
        {"Tickets v2.final.csv", "tickets-v2-"},
        {"a.csv", "a-"},
        {"__x__.csv", "x-"},
        {"\xC3\xA4\xC3\xB6.csv", "data-"},
        {"a-very-long-name-of-a-file-that-goes-on.csv", "a-very-long-name-of-a-fi-"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bench bench;
        struct desk desk;
        struct error err = {0};
        char path[BENCH_PATH];
        bench_enter(&bench);
        snprintf(path, sizeof path, "%s/%s", bench.folder, cases[i].file);
        bench_rows(path, 60, 3, 3);
        desk_options(&desk, (char[]){"x"});
        desk.options.operands[0] = path; /* with spaces */
        desk_must(study_open(&desk.study, &desk.options, &desk.progress, true, &err), &err);
        size_t length = strlen(cases[i].name);
        assert_int_equal(strncmp(desk.study.name, cases[i].name, length), 0);
        assert_int_equal(strlen(desk.study.name), length + 8);
        char expected[BENCH_PATH * 2];
        snprintf(expected, sizeof expected, "%s/advisor/studies/%s.db", bench.folder,
                 desk.study.name);
        assert_string_equal(desk.study.path, expected);
        desk_close(&desk);
        bench_leave(&bench);
    }
}

static void test_a_place_of_ones_own(void **state)
{
    (void)state;
    struct bench bench;
    struct desk desk;
    struct error err;
    char more[BENCH_PATH * 2], file[BENCH_PATH];
    bench_enter(&bench);
    bench_rows(bench.data, 60, 3, 3);
    snprintf(file, sizeof file, "%s/deep/er/own.db", bench.folder);
    snprintf(more, sizeof more, "--study %s", file);
    desk_must(desk_open(&desk, words_of(&bench, more), &err), &err);
    assert_string_equal(desk.study.path, file);
    desk_close(&desk);
    desk_must(desk_open(&desk, words_of(&bench, "--study mine"), &err), &err);
    snprintf(file, sizeof file, "%s/advisor/studies/mine.db", bench.folder);
    assert_string_equal(desk.study.path, file);
    assert_string_equal(desk.study.name, "mine");
    desk_close(&desk);
    bench_leave(&bench);
}

/* What makes it another study, and what does not. */
static void test_identity(void **state)
{
    (void)state;
    static const struct {
        const char *more;
        bool same;
    } cases[] = {{"--budget 9m --target 0.9 --requests 5 --threads 1", true},
                 {"--techniques majority --max-memory 4G", true},
                 {"--seed 1", false},
                 {"--metric macro_f1", false},
                 {"--on-bad-row skip", false},
                 {"--task generation", false},
                 {"--input label --label text --task generation", false}};
    struct bench bench;
    struct desk desk;
    struct error err;
    char name[128], moved[BENCH_PATH];
    bench_enter(&bench);
    bench_rows(bench.data, 60, 3, 3);
    desk_must(desk_open(&desk, words_of(&bench, ""), &err), &err);
    snprintf(name, sizeof name, "%s", desk.study.name);
    desk_close(&desk);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        desk_must(desk_open(&desk, words_of(&bench, cases[i].more), &err), &err);
        if (!strcmp(desk.study.name, name) != cases[i].same)
            fail_msg("%s: %s and %s", cases[i].more, desk.study.name, name);
        desk_close(&desk);
    }
    snprintf(moved, sizeof moved, "%s/sub", bench.folder);
    assert_int_equal(mkdir(moved, 0777), 0);
    snprintf(moved, sizeof moved, "%s/sub/data.csv", bench.folder);
    assert_int_equal(rename(bench.data, moved), 0); /* the bytes count, not the folder */
    snprintf(bench.data, sizeof bench.data, "%s", moved);
    desk_must(desk_open(&desk, words_of(&bench, ""), &err), &err);
    assert_string_equal(desk.study.name, name);
    desk_close(&desk);
    bench_leave(&bench);
}

/* ---- Nothing half-made ---------------------------------------------------------------------- */

static void test_the_file_appears_with_the_study(void **state)
{
    (void)state;
    struct bench bench;
    struct desk desk;
    struct error err;
    volatile sig_atomic_t signal = 1;
    char path[BENCH_PATH], lock[BENCH_PATH + 8];
    bench_enter(&bench);
    bench_rows(bench.data, 60, 3, 3);
    desk_must(desk_open(&desk, words_of(&bench, ""), &err), &err);
    snprintf(path, sizeof path, "%s", desk.study.path);
    snprintf(lock, sizeof lock, "%s-lock", path);
    assert_false(exists(path));
    assert_true(exists(lock));
    desk.study.deadline.signal = &signal; /* Ctrl-C during the probe */
    assert_int_equal(study_size(&desk.study, &err), INTERRUPTED);
    desk_close(&desk);
    assert_false(exists(path));
    assert_false(exists(lock));
    must_begin(&desk, &bench, "");
    assert_true(exists(path));
    assert_true(desk.study.record.created_ms >= 0);
    desk_close(&desk);
    assert_true(exists(path));
    assert_false(exists(lock));
    bench_leave(&bench);
}

static void test_refused_data(void **state)
{
    (void)state;
    static const struct {
        const char *bytes, *more;
        enum status status;
        const char *words;
    } cases[] = {
        {"text,label\na,x\n", "", BAD_DATA, "data.csv"},
        {"text,label\na b,x\na c,y\nd e,z\nf g,w\n", "--task classification", BAD_DATA, "data.csv"},
        {"text,label\n\"a,x\n", "", BAD_DATA, "data.csv"},
        {NULL, "--metric nll", USAGE, "lower for better models"},
        {NULL, "--task generation --metric accuracy", USAGE, "needs labels"},
        {NULL, "--label nothing", USAGE, "nothing"},
        {NULL, "--test /nowhere/test.csv", BAD_DATA, "/nowhere/test.csv"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bench bench;
        struct desk desk;
        struct error err;
        char store[BENCH_PATH];
        bench_enter(&bench);
        if (cases[i].bytes)
            bench_write(bench.data, cases[i].bytes);
        else
            bench_rows(bench.data, 60, 3, 3);
        enum status status = desk_open(&desk, words_of(&bench, cases[i].more), &err);
        desk_refused(status, cases[i].status, &err, cases[i].words);
        desk_close(&desk);
        snprintf(store, sizeof store, "%s/advisor", bench.folder);
        assert_false(exists(store));
        bench_leave(&bench);
    }
}

/* An example longer than the model's context is found before anything runs, with its line. */
static void test_too_long(void **state)
{
    (void)state;
    for (int in_test_file = 0; in_test_file < 2; in_test_file++) {
        struct bench bench;
        struct desk desk;
        struct error err;
        struct text rows = {0};
        char other[BENCH_PATH], more[BENCH_PATH + 10] = "";
        bench_enter(&bench);
        snprintf(other, sizeof other, "%s/other.csv", bench.folder);
        text_add(&rows, "text,label\n");
        for (int i = 0; i < 40; i++) {
            text_printf(&rows, "row %d", i);
            for (int w = 0; i == 20 && w < 300; w++)
                text_add(&rows, " and on");
            text_printf(&rows, ",%s\n", i % 2 ? "class0" : "class1");
        }
        bench_write(in_test_file ? other : bench.data, text_string(&rows));
        if (in_test_file) {
            bench_rows(bench.data, 60, 3, 2);
            snprintf(more, sizeof more, "--test %s", other);
        }
        enum status status = desk_open(&desk, words_of(&bench, more), &err);
        desk_refused(status, BAD_DATA, &err, "line 22");
        desk_refused(status, BAD_DATA, &err, in_test_file ? "other.csv" : "data.csv");
        desk_close(&desk);
        text_release(&rows);
        bench_leave(&bench);
    }
}

static void test_places_that_cannot_be_written(void **state)
{
    (void)state;
    struct bench bench;
    struct desk desk;
    struct error err;
    char more[BENCH_PATH + 40];
    bench_enter(&bench);
    bench_rows(bench.data, 60, 3, 3);
    snprintf(more, sizeof more, "--study %s/study.db", bench.data); /* a file is no folder */
    enum status status = desk_open(&desk, words_of(&bench, more), &err);
    desk_refused(status, FAILED, &err, "choose another place with --study");
    desk_close(&desk);
    setenv("XDG_DATA_HOME", "/proc/nothing", 1);
    status = desk_open(&desk, words_of(&bench, ""), &err);
    desk_refused(status, FAILED, &err, "/proc/nothing");
    desk_close(&desk);
    snprintf(more, sizeof more, "--study %s/", bench.folder); /* a folder is no file */
    status = desk_open(&desk, words_of(&bench, more), &err);
    assert_true(status == USAGE || status == FAILED);
    desk_close(&desk);
    bench_leave(&bench);
}

/* ---- One at a time -------------------------------------------------------------------------- */

static void test_lock(void **state)
{
    (void)state;
    struct bench bench;
    struct desk one, two;
    struct error err;
    char lock[BENCH_PATH + 8];
    bench_enter(&bench);
    bench_rows(bench.data, 60, 3, 3);
    must_begin(&one, &bench, "");
    desk_refused(desk_open(&two, words_of(&bench, ""), &err), FAILED, &err,
                 "another advisor is working on this study");
    desk_close(&two);
    desk_refused(desk_open(&two, words_of(&bench, "--fresh"), &err), FAILED, &err,
                 "another advisor");
    desk_close(&two);
    desk_must(desk_open(&two, words_of(&bench, "--seed 9"), &err), &err); /* another study */
    desk_close(&two);
    snprintf(lock, sizeof lock, "%s-lock", one.study.path);
    desk_close(&one);
    close(open(lock, O_CREAT | O_WRONLY, 0666)); /* as a killed process leaves it */
    must_begin(&two, &bench, "");
    desk_close(&two);
    assert_false(exists(lock));
    bench_leave(&bench);
}

/* ---- Another study's file ------------------------------------------------------------------- */

static void test_another_study(void **state)
{
    (void)state;
    struct bench bench;
    struct desk desk;
    struct error err;
    static const struct {
        const char *more, *words;
    } cases[] = {{"--seed 4", "differs in its seed"},
                 {"--metric matthews", "differs in its task, columns, labels or metric"},
                 {"--task generation", "differs in its task, columns, labels or metric"}};
    bench_enter(&bench);
    bench_rows(bench.data, 60, 3, 3);
    must_begin(&desk, &bench, "--study mine");
    desk_close(&desk);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char more[200];
        snprintf(more, sizeof more, "--study mine %s", cases[i].more);
        enum status status = desk_open(&desk, words_of(&bench, more), &err);
        desk_refused(status, USAGE, &err, cases[i].words);
        desk_refused(status, USAGE, &err, "--fresh");
        desk_close(&desk);
    }
    bench_rows(bench.data, 70, 3, 3);
    desk_refused(desk_open(&desk, words_of(&bench, "--study mine"), &err), USAGE, &err,
                 "differs in its data");
    desk_close(&desk);
    must_begin(&desk, &bench, "--study mine --fresh");
    desk_close(&desk);
    must_begin(&desk, &bench, "--study mine"); /* it is the study of these data now */
    desk_close(&desk);
    bench_leave(&bench);
}

static size_t count_trials(const struct study *study)
{
    struct trial_record *trials;
    struct error err = {0};
    struct arena arena;
    size_t count;
    arena_init(&arena, NULL);
    desk_must(store_trials(study->store, &arena, &trials, &count, &err), &err);
    arena_release(&arena);
    return count;
}

static void test_fresh_begins_anew(void **state)
{
    (void)state;
    struct bench bench;
    struct desk desk;
    struct error err = {0};
    struct trial_key key = {"zero_shot", "{}", 10, 0, "rung"};
    int64_t id;
    bench_enter(&bench);
    bench_rows(bench.data, 60, 3, 3);
    must_begin(&desk, &bench, "");
    desk_must(trial_plan(desk.study.store, &key, &id, &err), &err);
    desk_close(&desk);
    must_begin(&desk, &bench, "");
    assert_int_equal(count_trials(&desk.study), 1);
    desk_close(&desk);
    must_begin(&desk, &bench, "--fresh");
    assert_int_equal(count_trials(&desk.study), 0);
    desk_close(&desk);
    bench_leave(&bench);
}

/* --fresh replaces studies and nothing else. */
static void test_fresh_spares_other_files(void **state)
{
    (void)state;
    static const char *const contents[] = {"text,label\na,b\n", "{\"a\": 1}", "SQLite format 3"};
    for (size_t i = 0; i < sizeof contents / sizeof *contents; i++) {
        struct bench bench;
        struct desk desk;
        struct error err;
        char more[BENCH_PATH + 30], file[BENCH_PATH], line[64] = "";
        bench_enter(&bench);
        bench_rows(bench.data, 60, 3, 3);
        snprintf(file, sizeof file, "%s/precious.txt", bench.folder);
        bench_write(file, contents[i]);
        snprintf(more, sizeof more, "--fresh --study %s", file);
        enum status status = desk_open(&desk, words_of(&bench, more), &err);
        assert_true(status == USAGE || status == FAILED);
        assert_non_null(strstr(err.text, "precious.txt"));
        desk_close(&desk);
        FILE *in = fopen(file, "r");
        assert_non_null(fgets(line, sizeof line, in));
        fclose(in);
        assert_int_equal(strncmp(line, contents[i], strcspn(contents[i], "\n")), 0);
        bench_leave(&bench);
    }
}

static void test_an_empty_file_will_do(void **state)
{
    (void)state;
    struct bench bench;
    struct desk desk;
    char more[BENCH_PATH + 30], file[BENCH_PATH];
    bench_enter(&bench);
    bench_rows(bench.data, 60, 3, 3);
    snprintf(file, sizeof file, "%s/new.db", bench.folder);
    bench_write(file, "");
    snprintf(more, sizeof more, "--study %s", file);
    must_begin(&desk, &bench, more);
    desk_close(&desk);
    must_begin(&desk, &bench, more);
    desk_close(&desk);
    bench_leave(&bench);
}

/* ---- Time ----------------------------------------------------------------------------------- */

static void test_sizes_stay(void **state)
{
    (void)state;
    struct bench bench;
    struct desk desk;
    struct error err;
    bench_enter(&bench);
    bench_rows(bench.data, 700, 3, 3);
    desk_must(desk_open(&desk, words_of(&bench, "--budget 10m"), &err), &err);
    desk_must(study_size(&desk.study, &err), &err);
    assert_int_equal(desk.study.evaluator.dev_count, desk.study.split.dev_count);
    assert_int_equal(desk.study.evaluator.test_count, desk.study.split.test_count);
    double each = desk.study.seconds_per_answer;
    assert_true(each > 0);
    desk_close(&desk);
    must_begin(&desk, &bench, "--budget 1s");
    assert_int_equal(desk.study.evaluator.dev_count, desk.study.split.dev_count);
    assert_true(fabs(desk.study.seconds_per_answer - each) < 1e-4 * each);
    assert_false(desk.study.worked); /* nothing was probed again */
    desk_close(&desk);
    bench_leave(&bench);
}

/* Where answers are written, reading is timed on its own, and the guess for training rests on it.
 */
static void test_reading_and_writing(void **state)
{
    (void)state;
    struct bench bench;
    struct desk desk;
    struct trials none = {0};
    bench_enter(&bench);
    FILE *file = fopen(bench.data, "w");
    fprintf(file, "prompt,completion\n");
    for (int i = 0; i < 60; i++)
        fprintf(file, "what comes after %d,\"number %d comes after it, and %d after that\"\n", i,
                i + 1, i + 2);
    assert_int_equal(fclose(file), 0);
    must_begin(&desk, &bench, "--budget 10m --task generation");
    double reading = desk.study.seconds_per_reading;
    assert_true(reading > 0 && reading < desk.study.seconds_per_answer);
    desk_close(&desk);
    must_begin(&desk, &bench, "--budget 10m --task generation");
    struct study *study = &desk.study;
    assert_true(fabs(study->seconds_per_reading - reading) < 1e-4 * reading);
    double token = pace_of(study, technique_find("lora"), &none).token;
    study->seconds_per_answer = 5 * reading; /* what has learned how long answers are writes half */
    study->tokens_written = 2 * study->tokens_answer;
    assert_float_equal(pace_of(study, technique_find("zero_shot"), &none).answer, 5 * reading,
                       1e-9);
    assert_float_equal(pace_of(study, technique_find("lora"), &none).answer, 3 * reading, 1e-9);
    study->seconds_per_answer *= 2;
    assert_float_equal(pace_of(study, technique_find("lora"), &none).token, token, 1e-12);
    study->seconds_per_reading *= 2;
    assert_float_equal(pace_of(study, technique_find("lora"), &none).token, 2 * token, 1e-12);
    desk_close(&desk);
    bench_rows(bench.data, 60, 3, 3);
    must_begin(&desk, &bench, "--budget 10m --fresh");
    assert_float_equal(desk.study.seconds_per_reading, 0, 0);
    desk_close(&desk);
    bench_leave(&bench);
}

/* A budget that ended before the first answer: the study exists, a later run decides its sizes. */
static void test_no_time_at_all(void **state)
{
    (void)state;
    struct bench bench;
    struct desk desk;
    struct error err;
    bench_enter(&bench);
    bench_rows(bench.data, 60, 3, 3);
    desk_must(desk_open(&desk, words_of(&bench, "--budget 10s"), &err), &err);
    desk.study.began -= 11; /* as if reading had taken that long */
    desk_must(study_size(&desk.study, &err), &err);
    assert_int_equal(desk.study.evaluator.dev_count, 0);
    assert_true(study_left(&desk.study) < 0);
    desk_must(study_save_time(&desk.study, true, &err), &err);
    desk_close(&desk);
    desk_must(desk_open(&desk, words_of(&bench, "--budget 60s"), &err), &err);
    assert_true(desk.study.spent_before >= 11);
    desk_must(study_size(&desk.study, &err), &err);
    assert_int_equal(desk.study.evaluator.dev_count, desk.study.split.dev_count);
    desk_close(&desk);
    bench_leave(&bench);
}

static void test_time_counts_when_something_was_measured(void **state)
{
    (void)state;
    struct bench bench;
    struct desk desk;
    struct error err;
    bench_enter(&bench);
    bench_rows(bench.data, 60, 3, 3);
    must_begin(&desk, &bench, "");
    desk.study.began -= 100;
    desk_must(study_save_time(&desk.study, true, &err), &err);
    assert_true(study_cost(&desk.study) > 100);
    desk.study.began -= 1.5; /* too little to be written each time */
    desk_must(study_save_time(&desk.study, false, &err), &err);
    desk_close(&desk);
    must_begin(&desk, &bench, "");
    double before = desk.study.spent_before;
    assert_true(before > 100 && before < 101.4);
    desk.study.began -= 50; /* only looked at */
    desk_must(study_save_time(&desk.study, true, &err), &err);
    assert_true(study_cost(&desk.study) == before);
    assert_true(study_spent(&desk.study) > before + 50);
    desk_close(&desk);
    must_begin(&desk, &bench, "");
    assert_true(desk.study.spent_before == before);
    desk_close(&desk);
    bench_leave(&bench);
}

/* A time that is over stays over, however long ago. */
static void test_deadline(void **state)
{
    (void)state;
    struct study study = {0};
    static const double over[] = {0, -1, -1e6, -1e12};
    for (size_t i = 0; i < sizeof over / sizeof *over; i++) {
        study_set_deadline(&study, over[i]);
        assert_int_equal(deadline_check(&study.deadline, NULL), OUT_OF_TIME);
    }
    study_set_deadline(&study, 100);
    assert_int_equal(deadline_check(&study.deadline, NULL), OK);
}

static void test_tokens(void **state)
{
    (void)state;
    struct bench bench;
    struct desk desk;
    struct error err;
    bench_enter(&bench);
    bench_write(bench.data, "text,label\na,x\nb,y\na b c d e,x\nc d,y\nd,x\ne,y\nc e,x\nd e,y\n");
    desk_must(desk_open(&desk, words_of(&bench, "--task classification"), &err), &err);
    assert_true(desk.study.tokens_max >= 5);
    assert_true(desk.study.tokens_mean >= 1 && desk.study.tokens_mean < desk.study.tokens_max);
    desk_close(&desk);
    bench_leave(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_a_place_of_ones_own),
        cmocka_unit_test(test_identity),
        cmocka_unit_test(test_the_file_appears_with_the_study),
        cmocka_unit_test(test_refused_data),
        cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_places_that_cannot_be_written),
        cmocka_unit_test(test_lock),
        cmocka_unit_test(test_another_study),
        cmocka_unit_test(test_fresh_begins_anew),
        cmocka_unit_test(test_fresh_spares_other_files),
        cmocka_unit_test(test_an_empty_file_will_do),
        cmocka_unit_test(test_sizes_stay),
        cmocka_unit_test(test_reading_and_writing),
        cmocka_unit_test(test_no_time_at_all),
        cmocka_unit_test(test_time_counts_when_something_was_measured),
        cmocka_unit_test(test_deadline),
        cmocka_unit_test(test_tokens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
