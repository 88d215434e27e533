/* SPDX-License-Identifier: Apache-2.0
 *
 * `advisor recommend --dry-run`, budgets of any size, and hostile data, from end to end on a tiny
 * model.
 */
#define _XOPEN_SOURCE 700
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/json_schema.h"
#include "tests/program_support.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define TECHNIQUES   "--techniques majority,zero_shot,linear_probe,lora,ia3"

static double number(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

/* ---- --dry-run ------------------------------------------------------------------------------ */

static json_t *dry_run(struct call *call, const struct bench *bench, const char *more)
{
    char words[1024];
    snprintf(words, sizeof words, "%s --dry-run", more);
    run_well(call, bench, words);
    schema_must_accept("plan", text_string(&call->out));
    return parse(call);
}

static const json_t *planned(json_t *plan, const char *technique)
{
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(plan, "techniques"), i, item)
    {
        if (!strcmp(word(item, "technique"), technique))
            return item;
    }
    fail_msg("%s is not in the plan", technique);
    return NULL;
}

static bool exists(const struct bench *bench, const char *name)
{
    char path[BENCH_PATH + 20];
    snprintf(path, sizeof path, "%s/%s", bench->folder, name);
    return !access(path, F_OK);
}

/* Trials follow each other, add up, and stay within the budget. */
static void check_order(json_t *plan)
{
    size_t i;
    json_t *trial;
    double until = number(plan, "spent_seconds"), budget = number(plan, "budget_seconds");
    json_array_foreach(json_object_get(plan, "trials"), i, trial)
    {
        assert_int_equal(json_integer_value(json_object_get(trial, "trial")), i + 1);
        assert_true(number(trial, "seconds") >= 0);
        assert_float_equal(number(trial, "until_seconds"), until + number(trial, "seconds"), 1e-6);
        until = number(trial, "until_seconds");
    }
    assert_true(until + number(plan, "test_seconds") <= budget);
}

static void test_a_plan(void **state)
{
    (void)state;
    struct bench bench;
    struct call call;
    bench_enter(&bench);
    bench_rows(bench.data, 2000, 8, 3);
    json_t *plan = dry_run(&call, &bench, TECHNIQUES " --budget 10m");
    double train = number(plan, "train");
    assert_true(call.seconds < 5);
    assert_false(exists(&bench, "study.db") || exists(&bench, "study.db-lock") ||
                 exists(&bench, "advisor"));
    check_order(plan);
    assert_true(json_is_true(json_object_get(plan, "fair")));
    assert_true(json_is_null(json_object_get(plan, "fair_budget_seconds")));
    const json_t *lora = planned(plan, "lora"), *zero_shot = planned(plan, "zero_shot");
    assert_true(number(lora, "first_examples") == 512 && number(lora, "all_examples") == train);
    assert_true(number(lora, "all_seconds") > 2 * number(lora, "first_seconds"));
    assert_true(number(lora, "memory_bytes") > number(zero_shot, "memory_bytes"));
    assert_true(json_is_true(json_object_get(lora, "possible")));
    size_t i, seeds = 0, sizes = 0;
    json_t *trial;
    json_array_foreach(json_object_get(plan, "trials"), i, trial)
    {
        seeds += number(trial, "replicate") > 0;
        sizes += number(trial, "examples") < 512;
    }
    assert_true(seeds >= 2 && sizes >= 1);
    json_decref(plan);
    forget(&call);
    bench_leave(&bench);
}

/* What cannot work is refused with its arithmetic, and the text says all that the JSON does. */
static void test_refusals(void **state)
{
    (void)state;
    struct bench bench;
    struct call call;
    bench_enter(&bench);
    bench_rows(bench.data, 600, 8, 3);
    const char *more = "--techniques majority,zero_shot,lora,full_finetune --budget 5m "
                       "--fact memory=300k --max-memory 57M";
    json_t *plan = dry_run(&call, &bench, more);
    const json_t *full = planned(plan, "full_finetune");
    assert_true(json_is_false(json_object_get(full, "possible")));
    assert_non_null(strstr(word(full, "why_not"), "16 bytes for each of"));
    assert_non_null(strstr(word(full, "why_not"), "may be used"));
    assert_true(json_is_null(json_object_get(full, "all_seconds")));
    const json_t *lora = planned(plan, "lora");
    assert_true(json_is_false(json_object_get(lora, "possible")));
    assert_non_null(strstr(word(lora, "why_not"), "of which the program itself takes "));
    assert_true(json_is_true(json_object_get(planned(plan, "majority"), "possible")));
    json_decref(plan);
    forget(&call);
    char words[1024];
    snprintf(words, sizeof words, "%s --dry-run --format text", more);
    run_well(&call, &bench, words);
    assert_non_null(strstr(text_string(&call.out), "Refused:"));
    assert_non_null(strstr(text_string(&call.out), "16 bytes for each of"));
    forget(&call);
    run(&call, &bench, recommend(&bench, "--dry-run --format csv"));
    expect(&call, 2, "--format");
    forget(&call);
    bench_leave(&bench);
}

/* The plan of a study that exists goes on from there, takes its speed from the file and leaves that
 * as it is, even while another process has it. */
static void test_a_plan_goes_on(void **state)
{
    (void)state;
    struct bench bench;
    struct call call;
    char path[BENCH_PATH + 20];
    struct text before = {0}, after = {0};
    bench_enter(&bench);
    bench_rows(bench.data, 600, 8, 3);
    run_well(&call, &bench, TECHNIQUES " --budget 2s");
    forget(&call);
    snprintf(path, sizeof path, "%s/study.db", bench.folder);
    files_read(path, &before);
    json_t *plan = dry_run(&call, &bench, TECHNIQUES " --budget 5m");
    files_read(path, &after);
    assert_true(json_is_true(json_object_get(plan, "speed_stored")));
    assert_true(number(planned(plan, "majority"), "trials_done") == 1);
    assert_true(number(planned(plan, "majority"), "trials_planned") == 0);
    check_order(plan);
    assert_int_equal(before.length, after.length);
    assert_memory_equal(before.bytes, after.bytes, before.length);
    json_decref(plan);
    forget(&call);
    text_release(&before);
    text_release(&after);
    bench_leave(&bench);
}

/* With the budget that a small study asks for, every technique gets its turn. */
static void test_the_fair_budget_is_enough(void **state)
{
    (void)state;
    struct bench bench;
    struct call call;
    char more[300];
    bench_enter(&bench);
    bench_rows(bench.data, 3000, 20, 5);
    json_t *plan = dry_run(&call, &bench, TECHNIQUES " --budget 1s");
    forget(&call);
    assert_true(json_is_false(json_object_get(plan, "fair")));
    double budget = number(plan, "fair_budget_seconds");
    json_decref(plan);
    if (!(budget >= 5 && budget <= 60))
        fail_msg("a fair answer is said to take %g s", budget);
    run_well(&call, &bench, TECHNIQUES " --budget 1s");
    /* A fast machine may get through, and a busy one not to the first answer. */
    const char *out = text_string(&call.out);
    bool waiting = strstr(out, "needs about") != NULL;
    if (waiting != (strstr(out, "no fair answer yet; --budget ") != NULL))
        fail_msg("%s", out);
    forget(&call);
    snprintf(more, sizeof more, TECHNIQUES " --budget %gs --fresh", budget);
    run_well(&call, &bench, more);
    assert_null(strstr(text_string(&call.out), "no fair answer"));
    json_t *report = parse(&call), *item;
    size_t i;
    json_array_foreach(json_object_get(report, "ranking"), i, item)
        assert_string_not_equal(word(item, "status"), "not_run");
    json_decref(report);
    forget(&call);
    bench_leave(&bench);
}

/* ---- Budgets -------------------------------------------------------------------------------- */

/* A micro-batch of the tiny model takes milliseconds, loading and the report a few tenths. */
static const double reporting = 0.75;

static void test_ten_budgets(void **state)
{
    (void)state;
    static const double budgets[] = {1, 1.2, 1.5, 1.8, 2.2, 2.7, 3.3, 4, 4.8, 5.5};
    struct bench bench;
    bench_enter(&bench);
    bench_rows(bench.data, 4000, 20, 5);
    for (size_t i = 0; i < COUNT(budgets); i++) {
        struct call call;
        char more[200];
        snprintf(more, sizeof more, TECHNIQUES " --budget %gs --fresh", budgets[i]);
        run_well(&call, &bench, more);
        json_t *report = parse(&call);
        double spent = number(json_object_get(report, "cost"), "spent_seconds");
        if (call.seconds > budgets[i] + reporting || spent > budgets[i] + reporting)
            fail_msg("%.2f s, %.2f s by its own count, for a budget of %g s", call.seconds, spent,
                     budgets[i]);
        json_decref(report);
        forget(&call);
    }
    bench_leave(&bench);
}

static void test_absurd_budgets(void **state)
{
    (void)state;
    static const struct {
        const char *budget, *says;
    } cases[] = {
        {"0", "expected 1s to 30d"},       {"0s", "expected 1s to 30d"},
        {"0.5s", "expected 1s to 30d"},    {"-5", "is not a duration"},
        {"-5m", "is not a duration"},      {"1e99h", "expected 1s to 30d"},
        {"999999h", "expected 1s to 30d"}, {"nan", "is not a duration"},
        {"inf", "is not a duration"},      {"soon", "is not a duration"},
        {"5x", "is not a duration"},       {"5 m", "DATA"},
    };
    struct bench bench;
    bench_enter(&bench);
    bench_rows(bench.data, 60, 3, 3);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct call call;
        char more[100];
        snprintf(more, sizeof more, "--budget %s", cases[i].budget);
        run(&call, &bench, recommend(&bench, more));
        if (call.status != 2 || !strstr(text_string(&call.err), cases[i].says))
            fail_msg("%s: exit status %d: %s", cases[i].budget, call.status,
                     text_string(&call.err));
        assert_false(exists(&bench, "study.db"));
        forget(&call);
    }
    struct call call;
    run_well(&call, &bench, "--techniques majority,zero_shot --budget 30d"); /* ends when done */
    assert_true(call.seconds < 20);
    forget(&call);
    bench_leave(&bench);
}

/* ---- Hostile data --------------------------------------------------------------------------- */

static void one_class(struct text *out)
{
    for (int i = 0; i < 200; i++)
        text_printf(out, "lamp %d,same\n", i);
}

static void one_row(struct text *out)
{
    text_add(out, "lamp,a\n");
}

static void two_rows(struct text *out)
{
    text_add(out, "lamp,a\nkettle,b\n");
}

static void no_rows(struct text *out)
{
    (void)out;
}

static void all_duplicates(struct text *out)
{
    for (int i = 0; i < 300; i++)
        text_add(out, "the same lamp,a\n");
}

/* One text with two labels, again and again. */
static void all_conflicts(struct text *out)
{
    for (int i = 0; i < 300; i++)
        text_printf(out, "the same lamp,%c\n", i % 2 ? 'a' : 'b');
}

static void many_labels(struct text *out)
{
    for (int i = 0; i < 30000; i++)
        text_printf(out, "lamp %d of %d,label%d\n", i / 10000, i % 10000, i % 10000);
}

static void long_rows(struct text *out)
{
    for (int i = 0; i < 30; i++) {
        for (int k = 0; k < 100000; k++)
            text_add(out, "lamp ");
        text_printf(out, "%d,%c\n", i, i % 2 ? 'a' : 'b');
    }
}

static void one_long_row(struct text *out)
{
    for (int i = 0; i < 60; i++)
        text_printf(out, "lamp %d,%c\n", i, i % 2 ? 'a' : 'b');
    for (int k = 0; k < 100000; k++)
        text_add(out, "lamp ");
    text_add(out, ",a\n");
}

/* Six texts, fifty times each. */
static void copies(struct text *out)
{
    for (int i = 0; i < 300; i++)
        text_printf(out, "lamp %d,%c\n", i % 6, i % 2 ? 'a' : 'b');
}

/* A hundred and twenty texts, five times each. */
static void many_copies(struct text *out)
{
    for (int i = 0; i < 600; i++)
        text_printf(out, "lamp %d,%c\n", i % 120, i % 2 ? 'a' : 'b');
}

enum { PROFILE, ADVISE, RECOMMEND, DRY_RUN, TRIAL, RUNS };

static const char *const runs[RUNS] = {
    "profile %s --model " TINY_MODEL, "advise %s --no-history --model " TINY_MODEL,
    "recommend %s --model " TINY_MODEL " --budget 2s --fresh " TECHNIQUES,
    "recommend %s --model " TINY_MODEL " --dry-run",
    "trial lora %s --model " TINY_MODEL " --budget 10s --examples 8"};

/* What becomes of such data: exit status, and words of what is printed or of the refusal, which
 * names the file. */
static const struct hostile {
    const char *name, *more;
    void (*write)(struct text *out);
    struct {
        int status;
        const char *says;
    } expected[RUNS];
} hostile[] = {
#define ALL(status, says)                                                                          \
    {                                                                                              \
        {status, says}, {status, says}, {status, says}, {status, says}, {status, says},            \
    }
    {"one class", "", one_class, ALL(4, "all examples (200) have the same label 'same'")},
    {"no rows", "", no_rows, ALL(4, "there are no examples in it")},
    {"one text, one label", "", all_duplicates, ALL(4, "have the same label")},
    {"one row",
     "",
     one_row,
     {{0, "20 or more of each"},
      {0, "Nothing was measured"},
      {4, "too few"},
      {4, "too few"},
      {4, "too few"}}},
    {"two rows",
     "",
     two_rows,
     {{0, "20 or more of each"},
      {0, "Nothing was measured"},
      {4, "too few"},
      {4, "too few"},
      {4, "too few"}}},
    {"one text, two labels",
     "",
     all_conflicts,
     {{0, "20 or more of each"},
      {0, "Nothing was measured"},
      {4, "inputs that differ: 1"},
      {4, "inputs that differ: 1"},
      {4, "inputs that differ: 1"}}},
    {"copies",
     "",
     copies,
     {{0, "294 exact duplicates"},
      {0, "Nothing was measured"},
      {4, "copies of"},
      {4, "copies of"},
      {4, "copies of"}}},
    {"many copies",
     "",
     many_copies,
     {{0, "480 exact duplicates"},
      {0, "Nothing was measured"},
      {0, "Warning:"},
      {0, "Nothing was trained"},
      {0, "lora: accuracy"}}},
    {"10,000 labels, as texts",
     "",
     many_labels,
     {{0, "30000 examples"},
      {0, "Nothing was measured"},
      {0, "majority"},
      {0, "Nothing was trained"},
      {0, "lora: chrf"}}},
    {"10,000 labels",
     " --task classification",
     many_labels,
     {{0, "10000 labels"},
      {0, "Nothing was measured"},
      {0, "majority"},
      {0, "Nothing was trained"},
      {0, "lora: accuracy"}}},
    {"rows of 100,000 words",
     "",
     long_rows,
     {{0, "do not fit"},
      {0, "Nothing was measured"},
      {4, "line 2: the prompt of zero_shot for this example has 500061 tokens"},
      {4, "context holds 256"},
      {4, "context holds 256"}}},
    {"a row of 100,000 words",
     "",
     one_long_row,
     {{0, "do not fit"},
      {0, "Nothing was measured"},
      {4, "line 62: the prompt"},
      {4, "line 62: the prompt"},
      {4, "line 62: the prompt"}}},
};

static void check_hostile(const struct bench *bench, const struct hostile *data, size_t which)
{
    struct call call;
    char words[2 * BENCH_PATH];
    snprintf(words, sizeof words, runs[which], bench->data);
    strcat(words, data->more);
    run(&call, bench, words);
    const char *says = data->expected[which].says;
    const char *found = text_string(call.status ? &call.err : &call.out);
    bool named = strstr(found, call.status ? "data.csv" : "");
    if (call.status != data->expected[which].status || !strstr(found, says) || !named)
        fail_msg("%s: %s: exit status %d, expected %d with \"%s\": %.2000s", data->name,
                 runs[which], call.status, data->expected[which].status, says, found);
    if (call.seconds > 30)
        fail_msg("%s: %s: %.1f s", data->name, runs[which], call.seconds);
    forget(&call);
}

static void test_hostile_data(void **state)
{
    (void)state;
    struct bench bench;
    bench_enter(&bench);
    for (size_t i = 0; i < COUNT(hostile); i++) {
        struct text bytes = {0};
        text_add(&bytes, "text,label\n");
        hostile[i].write(&bytes);
        bench_write(bench.data, text_string(&bytes));
        for (size_t which = 0; which < RUNS; which++)
            check_hostile(&bench, &hostile[i], which);
        text_release(&bytes);
    }
    bench_leave(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_plan),         cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_a_plan_goes_on), cmocka_unit_test(test_the_fair_budget_is_enough),
        cmocka_unit_test(test_ten_budgets),    cmocka_unit_test(test_absurd_budgets),
        cmocka_unit_test(test_hostile_data),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
