/* SPDX-License-Identifier: Apache-2.0
 *
 * `advisor advise` and `advisor profile` as the command line runs them: numbers instead of files,
 * own rules, past studies, and data that leave nothing to advise on; and what `recommend` says to
 * such data.
 */
#define _XOPEN_SOURCE 700
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>
#include <jansson.h>

#include "tests/json_schema.h"
#include "tests/study_support.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define BY_NUMBERS                                                                                 \
    "advise --parameters 7B --context 8192 --memory 24G --examples 400 --task classification "     \
    "--labels 6 --tokens 60 --target 0.9 --budget 2h --requests 100000"

static struct bench bench;

static int enter(void **state)
{
    (void)state;
    bench_enter(&bench);
    return 0;
}

static int leave(void **state)
{
    (void)state;
    bench_leave(&bench);
    return 0;
}

/* `advisor WORDS -o out`, the words cut at spaces; DATA stands for the bench's file. */
static enum status run(const char *words, struct error *err)
{
    char copy[4096], out[BENCH_PATH], *list[BENCH_WORDS + 4] = {"advisor"};
    int count = 1;
    snprintf(copy, sizeof copy, "%s", words);
    snprintf(out, sizeof out, "%s/out", bench.folder);
    for (char *word = strtok(copy, " "); word && count < BENCH_WORDS; word = strtok(NULL, " "))
        list[count++] = strcmp(word, "DATA") ? word : bench.data;
    list[count++] = "-o";
    list[count++] = out;
    list[count] = NULL;
    *err = (struct error){0};
    return command_dispatch(count, list, err);
}

static json_t *run_json(const char *words)
{
    char path[BENCH_PATH], line[4096];
    struct error err;
    json_error_t wrong;
    snprintf(line, sizeof line, "%s --format json", words);
    if (run(line, &err) != OK)
        fail_msg("%s: %s", words, err.text);
    snprintf(path, sizeof path, "%s/out", bench.folder);
    json_t *document = json_load_file(path, JSON_REJECT_DUPLICATES, &wrong);
    if (!document)
        fail_msg("%s: %s", words, wrong.text);
    schema_must_accept_value(!strncmp(words, "advise", 6)    ? "advice"
                             : !strncmp(words, "profile", 7) ? "profile"
                                                             : "report",
                             document);
    return document;
}

static void refused(const char *words, enum status status, const char *sentence)
{
    struct error err;
    enum status found = run(words, &err);
    desk_refused(found, status, &err, sentence);
}

static json_t *technique_of(json_t *advice, const char *name)
{
    json_t *row;
    size_t i;
    json_array_foreach(json_object_get(advice, "techniques"), i, row)
    {
        if (!strcmp(json_string_value(json_object_get(row, "technique")), name))
            return row;
    }
    fail_msg("there is no %s", name);
    return NULL;
}

static double number(json_t *object, const char *key)
{
    json_t *value = json_object_get(object, key);
    if (!json_is_number(value))
        fail_msg("%s is no number", key);
    return json_number_value(value);
}

static double cost(json_t *advice, const char *name, const char *key)
{
    return number(json_object_get(technique_of(advice, name), "cost"), key);
}

/* ---- Numbers ----------------------------------------------------------------------------------
 */

static void test_by_numbers(void **state)
{
    (void)state;
    json_t *advice = run_json(BY_NUMBERS), *row;
    double sum = 0;
    size_t i;
    json_t *full = technique_of(advice, "full_finetune");
    assert_true(json_is_false(json_object_get(full, "possible")));
    assert_non_null(strstr(json_string_value(json_object_get(full, "why_not")), "104G"));
    assert_true(json_is_true(json_object_get(technique_of(advice, "lora"), "possible")));
    assert_true(cost(advice, "full_finetune", "memory_least") > 100 * 0x1p30);
    assert_true(cost(advice, "lora", "lifetime_tokens") >
                cost(advice, "zero_shot", "lifetime_tokens"));
    json_array_foreach(json_object_get(advice, "techniques"), i, row)
    {
        assert_int_equal((size_t)number(row, "rank"), i + 1);
        sum += number(row, "probability_best");
        assert_true(json_array_size(json_object_get(row, "reasons")) > 0 ||
                    number(row, "prior_points") * number(row, "prior_points") < 1e-12);
    }
    assert_true(sum > 0.99 && sum < 1.01);
    assert_true(json_is_false(json_object_get(advice, "measured")));
    json_decref(advice);
}

/* In a moment: processor time of this process. */
static void test_at_once(void **state)
{
    (void)state;
    struct error err;
    double best = 1;
    for (int i = 0; i < 3; i++) {
        clock_t start = clock();
        assert_int_equal(run(BY_NUMBERS, &err), OK);
        double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
        best = seconds < best ? seconds : best;
    }
    printf("by numbers: %.0f ms\n", 1e3 * best);
    assert_true(best < 0.1);
}

/* More is known, more is told. */
static void test_throughput(void **state)
{
    (void)state;
    json_t *slow = run_json(BY_NUMBERS " --throughput 1T");
    json_t *fast = run_json(BY_NUMBERS " --throughput 2T");
    double ratio = cost(slow, "lora", "training_seconds") / cost(fast, "lora", "training_seconds");
    assert_true(ratio > 1.99 && ratio < 2.01);
    json_decref(fast);
    json_decref(slow);
    json_t *unknown = run_json(BY_NUMBERS);
    assert_true(json_is_null(json_object_get(json_object_get(technique_of(unknown, "lora"), "cost"),
                                             "training_seconds")));
    json_decref(unknown);
}

static void test_facts_by_hand(void **state)
{
    (void)state;
    json_t *before = run_json(BY_NUMBERS), *after = run_json(BY_NUMBERS " --fact keep_skills=yes");
    double change = number(technique_of(after, "lora"), "prior_points") -
                    number(technique_of(before, "lora"), "prior_points");
    assert_true(change > 1.9 && change < 2.1);
    json_decref(after);
    json_decref(before);
}

static const struct {
    const char *words;
    enum status status;
    const char *sentence;
} refusals[] = {
    {"advise", USAGE, "nothing to go by"},
    {"advise --parameters 7B", USAGE, "nothing to go by"},
    {"advise --examples 400 --parameters 0", USAGE, "--parameters"},
    {"advise --examples 400 --parameters many", USAGE, "--parameters"},
    {"advise --examples 400 --labels 1", USAGE, "--labels"},
    {"advise --examples 400 --tokens 1e9", USAGE, "--tokens"},
    {"advise --examples 400 --fact nonsense=1", USAGE, "no fact \"nonsense\""},
    {"advise --examples 400 --fact nonsense", USAGE, "expected name=value"},
    {"advise --examples 400 --fact trained_parameters=1", USAGE, "cannot be set"},
    {"advise --examples 400 --fact keep_skills=maybe", USAGE, "not yes or no"},
    {"advise --examples 400 --rules /nowhere.csv", FAILED, "/nowhere.csv"},
    {"advise --examples 400 --format csv", USAGE, "no format csv"},
    {"advise demo:tickets --examples 400", USAGE, "leave one of them out"},
    {"advise demo:tickets --labels 4", USAGE, "leave one of them out"},
    {"advise /nowhere.csv", BAD_DATA, "/nowhere.csv"},
    {"advise demo:tickets --model /nowhere.gguf", BAD_MODEL, "/nowhere.gguf"},
    {"profile", USAGE, ""},
    {"profile demo:tickets --format markdown", USAGE, "no format markdown"},
    {"profile demo:tickets --model /nowhere.gguf", BAD_MODEL, "/nowhere.gguf"},
};

static void test_refusals(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(refusals); i++)
        refused(refusals[i].words, refusals[i].status, refusals[i].sentence);
}

/* ---- Data -------------------------------------------------------------------------------------
 */

static void test_data(void **state)
{
    (void)state;
    json_t *advice = run_json("advise demo:tickets --model " TINY_MODEL);
    json_t *facts = json_object_get(advice, "facts");
    assert_int_equal((int)number(facts, "examples"), 567);
    assert_int_equal((int)number(facts, "labels"), 7);
    assert_int_equal((int)number(facts, "train"), 363);
    assert_int_equal((int)number(facts, "context"), 256);
    assert_string_equal(json_string_value(json_object_get(facts, "task")), "classification");
    json_decref(advice);
}

/* Whether a technique is possible depends on the file of the model. */
static void test_biases(void **state)
{
    (void)state;
    json_t *without = run_json("advise --examples 400 --model " TINY_MODEL);
    json_t *with = run_json("advise --examples 400 --model tests/parity/fixtures/tiny_qwen2.gguf");
    assert_true(json_is_false(json_object_get(technique_of(without, "bitfit"), "possible")));
    assert_true(json_is_true(json_object_get(technique_of(with, "bitfit"), "possible")));
    assert_int_equal((int)number(json_object_get(with, "facts"), "bias_terms"), 1);
    assert_int_equal((int)cost(with, "bitfit", "trained_parameters"), 128);
    char *text = json_dumps(without, 0);
    assert_non_null(strstr(text, "It trains the biases, and 0 of this model's 28800 parameters"));
    free(text);
    json_decref(with);
    json_decref(without);
}

static void test_own_rules(void **state)
{
    (void)state;
    char path[BENCH_PATH], words[2 * BENCH_PATH];
    struct error err;
    snprintf(path, sizeof path, "%s/rules.csv", bench.folder);
    bench_write(path, "rule,condition,techniques,effect,strength,reason,source\n"
                      "MINE,labels > 5,adapter,raise,20,\"There are {labels} labels.\",me\n");
    snprintf(words, sizeof words, BY_NUMBERS " --rules %s", path);
    json_t *advice = run_json(words);
    json_t *first = json_array_get(json_object_get(advice, "techniques"), 0);
    assert_string_equal(json_string_value(json_object_get(first, "technique")), "adapter");
    json_decref(advice);
    bench_write(path, "rule,condition,techniques,effect,strength,reason,source\n"
                      "MINE,1 = 1; DROP TABLE profile,*,warn,,Text.,me\n");
    enum status status = run(words, &err);
    desk_refused(status, USAGE, &err, "rules.csv:2: ");
}

static void test_profile(void **state)
{
    (void)state;
    json_t *profile = run_json("profile demo:tickets");
    json_t *data = json_object_get(profile, "data");
    assert_int_equal((int)number(data, "examples"), 567);
    assert_true(number(data, "majority") > 0.28 && number(data, "majority") < 0.281);
    json_t *noise = json_object_get(data, "label_noise");
    assert_true(number(noise, "low") <= number(noise, "rate"));
    assert_true(number(noise, "rate") <= number(noise, "high"));
    assert_true(json_is_null(json_object_get(profile, "model")));
    assert_true(
        json_is_false(json_object_get(json_object_get(profile, "lengths"), "tokens_counted")));
    json_decref(profile);
}

static void test_profile_with_model(void **state)
{
    (void)state;
    bench_rows(bench.data, 60, 6, 3);
    json_t *profile = run_json("profile DATA --threads 2 --quiet --model " TINY_MODEL);
    json_t *speeds = json_object_get(json_object_get(profile, "model"), "speeds"), *speed;
    size_t i;
    assert_int_equal(json_array_size(speeds), 2);
    json_array_foreach(speeds, i, speed)
    {
        assert_true(number(speed, "forward_tokens_per_second") > 100);
        assert_true(number(speed, "training_tokens_per_second") > 50);
    }
    json_t *lengths = json_object_get(profile, "lengths");
    assert_true(json_is_true(json_object_get(lengths, "tokens_counted")));
    assert_int_equal((int)number(lengths, "too_long"), 0);
    json_decref(profile);
}

/* ---- Past studies -----------------------------------------------------------------------------
 */

static void add_trial(struct store *store, const char *technique, double metric)
{
    struct error err = {0};
    struct trial_key key = {
        .technique = technique, .setting = "{}", .examples = 64, .purpose = "rung"};
    struct trial_predictions none = {0};
    enum claim claim;
    int64_t id;
    desk_must(trial_plan(store, &key, &id, &err), &err);
    desk_must(trial_claim(store, id, &claim, &err), &err);
    struct trial_record record = {.id = id,
                                  .metric_name = "accuracy",
                                  .metric = measured(metric),
                                  .low = measured(metric),
                                  .high = measured(metric)};
    desk_must(trial_finish(store, &record, &none, &err), &err);
}

/* A study in the user's store that found the adapter far ahead. */
static void make_study(const char *name, const char *task, int examples, bool done)
{
    char folder[BENCH_PATH], path[2 * BENCH_PATH], profile[256], hash[65];
    struct error err = {0};
    struct store *store;
    snprintf(folder, sizeof folder, "%s/advisor", bench.folder);
    mkdir(folder, 0777);
    snprintf(folder, sizeof folder, "%s/advisor/studies", bench.folder);
    mkdir(folder, 0777);
    snprintf(path, sizeof path, "%s/%s.db", folder, name);
    snprintf(profile, sizeof profile,
             "{\"examples\":%d,\"labels\":6,\"parameters\":7000000000,\"task\":\"%s\"}", examples,
             task);
    memset(hash, 'a', 64);
    hash[64] = '\0';
    desk_must(store_open(path, STORE_CREATE, &store, &err), &err);
    struct study_record record = {.name = name,
                                  .model_name = "some model",
                                  .model_sha256 = hash,
                                  .model_facts = "{}",
                                  .data_path = "other.csv",
                                  .data_sha256 = hash,
                                  .constraints = "{}",
                                  .profile = profile,
                                  .program_version = "1",
                                  .done = done};
    desk_must(store_study_put(store, &record, &err), &err);
    add_trial(store, "adapter", 0.9);
    add_trial(store, "lora", 0.6);
    add_trial(store, "majority", 0.3);
    store_close(store);
}

static void test_history(void **state)
{
    (void)state;
    make_study("similar", "classification", 800, true);
    make_study("too-large", "classification", 40000, true);
    make_study("other-task", "generation", 400, true);
    make_study("unfinished", "classification", 400, false);
    json_t *with = run_json(BY_NUMBERS), *without = run_json(BY_NUMBERS " --no-history");
    json_t *studies = json_object_get(with, "studies");
    assert_int_equal(json_array_size(studies), 1);
    assert_string_equal(json_string_value(json_object_get(json_array_get(studies, 0), "study")),
                        "similar");
    assert_int_equal(json_array_size(json_object_get(without, "studies")), 0);
    json_t *adapter = technique_of(with, "adapter"), *lora = technique_of(with, "lora");
    /* Both have the prior 0 with 6 points; 30 apart with 8 points: 36 / (36 + 64) of the way. */
    assert_true(number(adapter, "points") > 5.39 && number(adapter, "points") < 5.41);
    assert_true(number(lora, "points") < -5.39 && number(lora, "points") > -5.41);
    assert_true(number(adapter, "sd_points") > 4.79 && number(adapter, "sd_points") < 4.81);
    json_t *untouched = technique_of(without, "adapter");
    assert_true(number(untouched, "points") * number(untouched, "points") < 1e-12);
    json_decref(without);
    json_decref(with);
}

/* ---- After measuring --------------------------------------------------------------------------
 */

/* `recommend` tells the rules that fired, with a verdict each. */
static void test_verdicts(void **state)
{
    (void)state;
    size_t i, k, compared = 0;
    json_t *row, *reason;
    bool floor = false;
    bench_rows(bench.data, 150, 6, 2);
    json_t *report = run_json("recommend DATA --quiet --budget 10s --threads 2 --techniques "
                              "majority,zero_shot,linear_probe --model " TINY_MODEL);
    json_array_foreach(json_object_get(report, "ranking"), i, row)
    {
        json_array_foreach(json_object_get(row, "reasons"), k, reason)
        {
            const char *rule = json_string_value(json_object_get(reason, "rule"));
            const char *verdict = json_string_value(json_object_get(reason, "verdict"));
            const char *text = json_string_value(json_object_get(reason, "text"));
            assert_true(rule && verdict && text && !strchr(text, '{'));
            floor |= !strcmp(rule, "R39") &&
                     !strcmp(json_string_value(json_object_get(row, "technique")), "majority");
            compared += *json_string_value(json_object_get(reason, "evidence")) != '\0';
        }
    }
    assert_true(floor);
    assert_true(compared > 0);
    json_decref(report);
}

static void test_rules_of_recommend(void **state)
{
    (void)state;
    char path[BENCH_PATH], words[2 * BENCH_PATH];
    struct error err;
    bench_rows(bench.data, 60, 6, 2);
    snprintf(path, sizeof path, "%s/rules.csv", bench.folder);
    bench_write(path,
                "rule,condition,techniques,effect,strength,reason,source\nX,1 +,*,warn,,T.,m\n");
    snprintf(words, sizeof words,
             "recommend DATA --quiet --budget 3s --model " TINY_MODEL " --rules %s", path);
    enum status status = run(words, &err);
    desk_refused(status, USAGE, &err, "rules.csv:2: ");
}

/* ---- Data that leave nothing to measure --------------------------------------------------------
 */

static void write_same_rows(size_t rows, size_t labels)
{
    struct text text = {0};
    text_add(&text, "text,label\n");
    for (size_t i = 0; i < rows; i++)
        text_printf(&text, "the very same text,c%zu\n", i % labels);
    bench_write(bench.data, text_string(&text));
    text_release(&text);
}

static void write_labels(size_t labels, size_t each)
{
    struct text text = {0};
    text_add(&text, "text,label\n");
    for (size_t i = 0; i < labels * each; i++)
        text_printf(&text, "t%zu,c%zu\n", i, i % labels);
    bench_write(bench.data, text_string(&text));
    text_release(&text);
}

static void write_long_rows(size_t rows, size_t words)
{
    struct text text = {0};
    text_add(&text, "text,label\n");
    for (size_t i = 0; i < rows; i++) {
        for (size_t w = 0; w < words; w++)
            text_printf(&text, "w%zu ", (w + 13 * i) % 999);
        text_printf(&text, "%zu,c%zu\n", i, i % 2);
    }
    bench_write(bench.data, text_string(&text));
    text_release(&text);
}

#define RECOMMEND "recommend DATA --quiet --budget 3s --threads 2 --model " TINY_MODEL
#define ADVISE    "advise DATA --model " TINY_MODEL

static void answers(const char *words)
{
    json_t *document = run_json(words);
    json_decref(document);
}

static void test_one_class(void **state)
{
    (void)state;
    bench_write(bench.data, "text,label\none,a\ntwo,a\nthree,a\nfour,a\nfive,a\n");
    refused("profile DATA --task classification", BAD_DATA, "class");
    refused(ADVISE " --task classification", BAD_DATA, "class");
    refused(RECOMMEND " --task classification", BAD_DATA, "class");
}

static void test_one_row(void **state)
{
    (void)state;
    bench_write(bench.data, "text,label\nhello there,world\n");
    answers("profile DATA --task generation");
    answers(ADVISE " --task generation");
    refused(RECOMMEND " --task generation", BAD_DATA, "too few");
}

static void test_all_duplicates(void **state)
{
    (void)state;
    write_same_rows(300, 2);
    answers("profile DATA");
    answers(ADVISE);
    refused(RECOMMEND, BAD_DATA, "too few");
}

static void test_many_labels(void **state)
{
    (void)state;
    write_labels(10000, 1);
    answers("profile DATA --task classification");
    json_t *advice = run_json(ADVISE " --task classification");
    assert_int_equal((int)number(json_object_get(advice, "facts"), "labels"), 10000);
    json_decref(advice);
    refused(RECOMMEND " --task classification", BAD_DATA, "too few");
}

static void test_long_rows(void **state)
{
    (void)state;
    write_long_rows(12, 100000);
    answers("profile DATA --task classification");
    json_t *advice = run_json(ADVISE " --task classification");
    assert_true(number(json_object_get(advice, "facts"), "input_tokens") > 10000);
    json_decref(advice);
    refused(RECOMMEND " --task classification", BAD_DATA, "context");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_by_numbers, enter, leave),
        cmocka_unit_test_setup_teardown(test_at_once, enter, leave),
        cmocka_unit_test_setup_teardown(test_throughput, enter, leave),
        cmocka_unit_test_setup_teardown(test_facts_by_hand, enter, leave),
        cmocka_unit_test_setup_teardown(test_refusals, enter, leave),
        cmocka_unit_test_setup_teardown(test_data, enter, leave),
        cmocka_unit_test_setup_teardown(test_own_rules, enter, leave),
        cmocka_unit_test_setup_teardown(test_biases, enter, leave),
        cmocka_unit_test_setup_teardown(test_profile, enter, leave),
        cmocka_unit_test_setup_teardown(test_profile_with_model, enter, leave),
        cmocka_unit_test_setup_teardown(test_history, enter, leave),
        cmocka_unit_test_setup_teardown(test_verdicts, enter, leave),
        cmocka_unit_test_setup_teardown(test_rules_of_recommend, enter, leave),
        cmocka_unit_test_setup_teardown(test_one_class, enter, leave),
        cmocka_unit_test_setup_teardown(test_one_row, enter, leave),
        cmocka_unit_test_setup_teardown(test_all_duplicates, enter, leave),
        cmocka_unit_test_setup_teardown(test_many_labels, enter, leave),
        cmocka_unit_test_setup_teardown(test_long_rows, enter, leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
