/* SPDX-License-Identifier: Apache-2.0
 *
 * `advisor report` from end to end: a study made up for it, one that `advisor recommend` made on a
 * tiny model, and everything that is no study.
 *
 * The program is $ADVISOR, else build/advisor; without it the tests are skipped.
 */
#define _XOPEN_SOURCE 700
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/hash.h"
#include "tests/json_schema.h"
#include "tests/program_path.h"
#include "tests/store_support.h"
#include "tests/study_support.h"

#include "tests/report_fixture.h"

/* ---- Running the program -------------------------------------------------------------------- */

struct call {
    int status;
    struct text out, err;
};

/* `advisor WORDS`, words as a shell reads them. */
static struct call run(const struct bench *bench, const char *words)
{
    struct call call = {0};
    struct text command = {0};
    char out[BENCH_PATH], err[BENCH_PATH];
    snprintf(out, sizeof out, "%s/stdout", bench->folder);
    snprintf(err, sizeof err, "%s/stderr", bench->folder);
    text_printf(&command, "%s %s >%s 2>%s", program(), words, out, err);
    int status = system(text_string(&command));
    call.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    files_read(out, &call.out);
    files_read(err, &call.err);
    text_release(&command);
    return call;
}

static void forget(struct call *call)
{
    text_release(&call->out);
    text_release(&call->err);
}

static struct call run_well(const struct bench *bench, const char *words)
{
    struct call call = run(bench, words);
    if (call.status)
        fail_msg("%s: exit status %d: %s", words, call.status, text_string(&call.err));
    return call;
}

static void refused(const struct bench *bench, const char *words, int status, const char *part)
{
    struct call call = run(bench, words);
    if (call.status != status || !strstr(text_string(&call.err), part))
        fail_msg("%s: exit status %d, \"%s\" and not \"%s\"", words, call.status,
                 text_string(&call.err), part);
    assert_int_equal(call.out.length, 0);
    forget(&call);
}

/* ---- A made-up study --------------------------------------------------------------------------
 */

struct set {
    struct bench bench;
    struct arena arena;
    char file[BENCH_PATH];
};

static void enter(struct set *set, bool hostile)
{
    char folder[BENCH_PATH - 16];
    bench_enter(&set->bench);
    arena_init(&set->arena, NULL);
    snprintf(folder, sizeof folder, "%s/advisor", set->bench.folder);
    mkdir(folder, 0777);
    snprintf(folder, sizeof folder, "%s/advisor/studies", set->bench.folder);
    mkdir(folder, 0777);
    snprintf(set->file, sizeof set->file, "%s/made.db", folder);
    made_write(set->file, hostile, &set->arena);
}

static void leave(struct set *set)
{
    arena_release(&set->arena);
    bench_leave(&set->bench);
}

#ifdef __SANITIZE_ADDRESS__
static const double MOST_SECONDS = 0.5;
#else
static const double MOST_SECONDS = 0.05;
#endif

static double processor_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_CHILDREN, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           1e-6 * (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

/* A path, --study and a name are one study; every format is there; nothing takes long. */
static void test_every_format(void **state)
{
    (void)state;
    struct set set;
    enter(&set, false);
    for (size_t i = 0; report_format_at(i); i++) {
        char words[2 * BENCH_PATH];
        const char *format = report_format_at(i)->name;
        snprintf(words, sizeof words, "report %s --format %s", set.file, format);
        double before = processor_seconds();
        struct call by_path = run_well(&set.bench, words);
        double spent = processor_seconds() - before;
        if (spent > MOST_SECONDS)
            fail_msg("%s took %.3f s of the processor", format, spent);
        assert_non_null(strstr(text_string(&by_path.out), "lora"));
        snprintf(words, sizeof words, "report --study %s --format %s", set.file, format);
        struct call by_option = run_well(&set.bench, words);
        assert_string_equal(text_string(&by_option.out), text_string(&by_path.out));
        snprintf(words, sizeof words, "report made --format %s", format);
        struct call by_name = run_well(&set.bench, words);
        assert_string_equal(text_string(&by_name.out), text_string(&by_path.out));
        forget(&by_path);
        forget(&by_option);
        forget(&by_name);
    }
    leave(&set);
}

static void test_the_json_is_that_of_the_study(void **state)
{
    (void)state;
    struct set set;
    enter(&set, true);
    struct study_record record;
    struct error err = {0};
    bool found;
    struct store *store = must_open(set.file, STORE_READ);
    must(store_study_get(store, &set.arena, &record, &found, &err), &err);
    store_close(store);
    struct call call = run_well(&set.bench, "report made --json");
    assert_string_equal(text_string(&call.out), record.recommendation);
    schema_must_accept("report", text_string(&call.out));
    forget(&call);
    leave(&set);
}

/* Twelve trials stand for their techniques, and the two without a trial have a row too. */
static void test_csv_has_a_row_for_each_trial(void **state)
{
    (void)state;
    struct set set;
    enter(&set, false);
    struct call call = run_well(&set.bench, "report made --format csv");
    size_t rows = 0, ranked = 0;
    for (char *line = strtok(call.out.bytes, "\r\n"); line; line = strtok(NULL, "\r\n"), rows++)
        ranked += strstr(line, ",rung,done,512,") != NULL;
    assert_int_equal(rows, 1 + 8 * 5 + 4 + 2); /* titles; a race and four sizes each */
    assert_int_equal(ranked, 12);
    forget(&call);
    leave(&set);
}

static void test_quiet_and_verbose(void **state)
{
    (void)state;
    struct set set;
    enter(&set, false);
    struct call plain = run_well(&set.bench, "report made");
    struct call quiet = run_well(&set.bench, "report made --quiet");
    struct call verbose = run_well(&set.bench, "report made --verbose");
    struct call color = run_well(&set.bench, "report made --color always");
    assert_int_equal(plain.err.length, 0);
    assert_int_equal(quiet.err.length, 0);
    assert_non_null(strstr(text_string(&verbose.err), "44 trials, answers of 12 techniques"));
    assert_string_equal(text_string(&plain.out), text_string(&quiet.out));
    assert_string_equal(text_string(&plain.out), text_string(&verbose.out));
    assert_null(strchr(text_string(&plain.out), '\033'));
    assert_non_null(strchr(text_string(&color.out), '\033'));
    forget(&plain);
    forget(&quiet);
    forget(&verbose);
    forget(&color);
    leave(&set);
}

/* ---- lm-evaluation-harness --------------------------------------------------------------------
 */

static void check_sample(const json_t *sample, size_t *right)
{
    char hex[HASH_HEX];
    const char *input = json_string_value(json_object_get(json_object_get(sample, "doc"), "input"));
    const char *target = json_string_value(json_object_get(sample, "target"));
    const json_t *answers = json_object_get(sample, "filtered_resps");
    double score = json_number_value(json_object_get(sample, "acc"));
    assert_int_equal(hash_bytes(input, strlen(input), hex, NULL), OK);
    assert_string_equal(json_string_value(json_object_get(sample, "prompt_hash")), hex);
    assert_int_equal(hash_bytes(target, strlen(target), hex, NULL), OK);
    assert_string_equal(json_string_value(json_object_get(sample, "target_hash")), hex);
    bool equal = !strcmp(json_string_value(json_array_get(answers, 0)), target);
    assert_int_equal(equal, score > 0.5);
    *right += equal;
}

/* The samples of a side agree with its results. */
static void check_samples(const struct set *set, const char *side, size_t expected)
{
    char path[2 * BENCH_PATH], task[64], key[] = "acc,none";
    struct text results = {0}, samples = {0};
    size_t lines = 0, right = 0;
    snprintf(path, sizeof path, "%s/lm/lora/results_2023-11-14T22-13-20.000000.json",
             set->bench.folder);
    files_read(path, &results);
    snprintf(task, sizeof task, "support-tickets-1f2e3d_%s", side);
    snprintf(path, sizeof path, "%s/lm/lora/samples_%s_2023-11-14T22-13-20.000000.jsonl",
             set->bench.folder, task);
    files_read(path, &samples);
    for (char *line = strtok(samples.bytes, "\n"); line; line = strtok(NULL, "\n"), lines++) {
        json_t *sample = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
        assert_non_null(sample);
        check_sample(sample, &right);
        json_decref(sample);
    }
    assert_int_equal(lines, expected);
    json_t *root = json_loads(text_string(&results), JSON_REJECT_DUPLICATES, NULL);
    json_t *result = json_object_get(json_object_get(root, "results"), task);
    double difference =
        json_number_value(json_object_get(result, key)) - (double)right / (double)lines;
    assert_true(difference < 1e-9 && difference > -1e-9);
    assert_int_equal(json_integer_value(json_object_get(result, "sample_len")), expected);
    json_decref(root);
    text_release(&results);
    text_release(&samples);
}

static void test_lm_eval_files(void **state)
{
    (void)state;
    struct set set;
    char words[2 * BENCH_PATH], path[2 * BENCH_PATH];
    enter(&set, false);
    snprintf(words, sizeof words, "report made --format lm-eval -o %s/lm", set.bench.folder);
    struct call call = run_well(&set.bench, words);
    assert_int_equal(call.out.length, 0);
    snprintf(path, sizeof path, "%s/lm", set.bench.folder);
    assert_int_equal(files_count(path), 12);
    check_samples(&set, "dev", MADE_DEV);
    check_samples(&set, "test", MADE_TEST);
    forget(&call);
    call = run_well(&set.bench, words); /* again, into the same folder */
    snprintf(path, sizeof path, "%s/lm/lora", set.bench.folder);
    assert_int_equal(files_count(path), 3);
    forget(&call);
    snprintf(words, sizeof words, "report made --format lm-eval -o %s", set.file);
    refused(&set.bench, words, USAGE, "this format writes a folder");
    snprintf(words, sizeof words, "report made --format html -o %s/lm", set.bench.folder);
    refused(&set.bench, words, USAGE, "is a folder");
    leave(&set);
}

/* A study's name decides file names, but not where they are. */
static void test_lm_eval_stays_in_its_folder(void **state)
{
    (void)state;
    struct set set;
    char words[2 * BENCH_PATH], path[2 * BENCH_PATH];
    enter(&set, true);
    raw_sql(set.file, "UPDATE study SET recommendation = replace(recommendation, "
                      "'\"technique\": \"lora\"', '\"technique\": \"../../lora\"')");
    snprintf(words, sizeof words, "report made --format lm-eval -o %s/lm", set.bench.folder);
    struct call call = run_well(&set.bench, words);
    snprintf(path, sizeof path, "%s/lm", set.bench.folder);
    assert_int_equal(files_count(path), 12);
    assert_int_equal(files_count(set.bench.folder), 4); /* lm, advisor, stdout, stderr */
    forget(&call);
    leave(&set);
}

/* ---- A study of the program's own -------------------------------------------------------------
 */

static void test_what_recommend_printed(void **state)
{
    (void)state;
    static const char *const formats[] = {"json", "text", "markdown", "csv", "html"};
    struct bench bench;
    char words[3 * BENCH_PATH];
    bench_enter(&bench);
    bench_rows(bench.data, 90, 4, 3);
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        snprintf(words, sizeof words,
                 "recommend %s --model " TINY_MODEL " --techniques majority,zero_shot,few_shot "
                 "--study %s/own.db --format %s --quiet",
                 bench.data, bench.folder, formats[i]);
        struct call first = run_well(&bench, words);
        snprintf(words, sizeof words, "report %s/own.db --format %s", bench.folder, formats[i]);
        struct call again = run_well(&bench, words);
        assert_string_equal(text_string(&again.out), text_string(&first.out));
        if (!i)
            schema_must_accept("report", text_string(&first.out));
        forget(&first);
        forget(&again);
    }
    snprintf(words, sizeof words, "trial zero_shot %s --model " TINY_MODEL " --json --quiet",
             bench.data);
    struct call trial = run_well(&bench, words);
    schema_must_accept("trial", text_string(&trial.out));
    forget(&trial);
    bench_leave(&bench);
}

/* ---- What is no study -------------------------------------------------------------------------
 */

static void test_refusals(void **state)
{
    (void)state;
    struct set set;
    char words[2 * BENCH_PATH];
    enter(&set, false);
    refused(&set.bench, "report", USAGE,
            "report needs a study: a file, or the name of one in your "
            "store; there are: made");
    refused(&set.bench, "report maid", USAGE,
            "no study called \"maid\" in your store; there are: "
            "made");
    refused(&set.bench, "report ./maid.db", USAGE, "there is no such study file");
    refused(&set.bench, "report made --study made", USAGE, "one study");
    refused(&set.bench, "report made --format xml", USAGE, "no format \"xml\"");
    snprintf(words, sizeof words, "report %s", set.bench.folder);
    refused(&set.bench, words, USAGE, "regular file");
    bench_write(set.bench.data, "text,label\na,b\n");
    snprintf(words, sizeof words, "report %s", set.bench.data);
    refused(&set.bench, words, USAGE, "no study file");
    raw_sql(set.file, "UPDATE study SET recommendation = '{}'");
    refused(&set.bench, "report made", FAILED, "not one of this version");
    raw_sql(set.file, "UPDATE study SET recommendation = NULL");
    refused(&set.bench, "report made", FAILED, "no recommendation yet (44 trials are done)");
    raw_sql(set.file, "DELETE FROM study");
    refused(&set.bench, "report made", USAGE, "holds no study");
    remove(set.file);
    refused(&set.bench, "report", USAGE, "`advisor recommend` makes one");
    leave(&set);
}

/* A file of before examples were kept, and one that cannot be written. */
static void test_old_and_read_only_files(void **state)
{
    (void)state;
    struct set set;
    enter(&set, false);
    raw_sql(set.file, "DROP TABLE example");
    struct call call = run_well(&set.bench, "report made --format html");
    assert_null(strstr(text_string(&call.out), "Errors worth reading"));
    assert_non_null(strstr(text_string(&call.out), "Class by class"));
    forget(&call);
    assert_int_equal(chmod(set.file, 0444), 0);
    call = run_well(&set.bench, "report made");
    forget(&call);
    leave(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_format),
        cmocka_unit_test(test_the_json_is_that_of_the_study),
        cmocka_unit_test(test_csv_has_a_row_for_each_trial),
        cmocka_unit_test(test_quiet_and_verbose),
        cmocka_unit_test(test_lm_eval_files),
        cmocka_unit_test(test_lm_eval_stays_in_its_folder),
        cmocka_unit_test(test_what_recommend_printed),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_old_and_read_only_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
