/* SPDX-License-Identifier: Apache-2.0
 *
 * `advisor recommend` and `advisor trial` from end to end: the program itself, on a tiny model and
 * made-up data.
 */
#define _XOPEN_SOURCE 700
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/default_model.h"
#include "tests/program_support.h"

#define TECHNIQUES "--techniques majority,zero_shot,few_shot,lora"

static bool ends_with(const char *text, size_t length, const char *ending)
{
    size_t n = strlen(ending);
    return length >= n && !memcmp(text + length - n, ending, n);
}

/* A report without the values that may differ from run to run; all other bytes stay. */
static struct text without_times(const char *json, bool memory_too)
{
    struct text out = {0};
    for (const char *c = json; *c;) {
        const char *end = *c == '"' ? strchr(c + 1, '"') : NULL;
        size_t length = end ? (size_t)(end - c) - 1 : 0;
        bool key = end && end[1] == ':';
        bool time = key && (ends_with(c + 1, length, "_seconds") ||
                            ends_with(c + 1, length, "_seconds_estimate") ||
                            ends_with(c + 1, length, "latency_ms") ||
                            (memory_too && ends_with(c + 1, length, "peak_memory_bytes")));
        size_t step = end ? length + 2 : 1;
        text_append(&out, c, step);
        c += step;
        if (time && !ends_with(c - length - 1, length, "budget_seconds"))
            c += strcspn(c, ",}\n");
    }
    return out;
}

static void same_bytes(const struct call *a, const struct call *b, bool memory_too)
{
    struct text x = without_times(text_string(&a->out), memory_too);
    struct text y = without_times(text_string(&b->out), memory_too);
    assert_true(x.length > 1000);
    assert_string_equal(text_string(&x), text_string(&y));
    text_release(&x);
    text_release(&y);
}

/* All trials of a study file, a line each, in an order of their own; the file must be sound. */
static struct text trials_of(const struct bench *bench)
{
    char path[BENCH_PATH], *lines[256];
    struct store *store;
    struct error err = {0};
    struct arena arena;
    struct trial_record *trials;
    size_t count;
    struct text findings = {0}, out = {0};
    arena_init(&arena, NULL);
    snprintf(path, sizeof path, "%s/study.db", bench->folder);
    desk_must(store_open(path, STORE_EXISTING, &store, &err), &err);
    if (store_check(store, &findings, &err) != OK)
        fail_msg("%s: %s", err.text, text_string(&findings));
    desk_must(store_trials(store, &arena, &trials, &count, &err), &err);
    assert_in_range(count, 1, 256);
    for (size_t i = 0; i < count; i++) {
        const struct trial_record *t = &trials[i];
        struct text line = {0};
        text_printf(&line, "%s %s %lld %s: %s, %lld and %lld predictions, metric %.17g, nll %.17g",
                    t->key.technique, t->key.setting, (long long)t->key.examples, t->key.purpose,
                    trial_status_name(t->status), (long long)t->dev_predictions,
                    (long long)t->test_predictions, t->metric.value, t->prequential_nll.value);
        size_t to = i;
        for (; to > 0 && strcmp(lines[to - 1], text_string(&line)) > 0; to--)
            lines[to] = lines[to - 1];
        lines[to] = arena_strdup(&arena, text_string(&line));
        text_release(&line);
    }
    for (size_t i = 0; i < count; i++) {
        assert_true(i == 0 || strcmp(lines[i - 1], lines[i]) != 0); /* none twice */
        text_printf(&out, "%s\n", lines[i]);
    }
    store_close(store);
    arena_release(&arena);
    text_release(&findings);
    return out;
}

/* ---- Same seed, same bytes ------------------------------------------------------------------ */

static void test_threads_give_the_same_bytes(void **state)
{
    (void)state;
    static const char *const threads[] = {"--threads 1", "--threads 2", "--threads 3",
                                          "--threads 2"};
    struct bench bench;
    struct call calls[4];
    bench_enter(&bench);
    bench_rows(bench.data, 400, 2, 3);
    for (size_t i = 0; i < 4; i++) {
        char more[200];
        snprintf(more, sizeof more, TECHNIQUES " --seed 11 --budget 10m --fresh --target 0.5 %s",
                 threads[i]);
        run_well(&calls[i], &bench, more);
        same_bytes(&calls[0], &calls[i], true);
    }
    same_bytes(&calls[1], &calls[3], false); /* memory too */
    json_t *report = parse(&calls[0]);
    assert_string_equal(word(row(report, "lora"), "status"), "measured");
    assert_string_equal(word(row(report, "few_shot"), "status"), "measured");
    assert_true(json_is_number(json_object_get(row(report, "lora"), "test_metric")));
    json_decref(report);
    for (size_t i = 0; i < 4; i++)
        forget(&calls[i]);
    bench_leave(&bench);
}

static void test_another_seed(void **state)
{
    (void)state;
    struct bench bench;
    struct call one, two;
    bench_enter(&bench);
    bench_rows(bench.data, 120, 2, 3);
    run_well(&one, &bench, TECHNIQUES " --budget 5m --seed 1");
    run_well(&two, &bench, TECHNIQUES " --budget 5m --seed 2 --fresh");
    struct text a = without_times(text_string(&one.out), true);
    struct text b = without_times(text_string(&two.out), true);
    assert_string_not_equal(text_string(&a), text_string(&b));
    text_release(&a);
    text_release(&b);
    forget(&one);
    forget(&two);
    bench_leave(&bench);
}

/* ---- The budget ----------------------------------------------------------------------------- */

static void check_budget(const struct call *call, double budget)
{
    expect(call, 0, NULL);
    if (call->seconds > 1.1 * budget)
        fail_msg("%.2f s for a budget of %g s", call->seconds, budget);
    json_t *report = parse(call), *item;
    double spent = json_number_value(at(report, "cost", "spent_seconds"));
    assert_true(spent > 0 && spent <= 1.1 * budget);
    size_t i;
    json_array_foreach(json_object_get(report, "ranking"), i, item)
    {
        if (!strcmp(word(item, "status"), "not_run") && !strstr(word(item, "note"), "--budget"))
            fail_msg("%s was not run: \"%s\"", word(item, "technique"), word(item, "note"));
    }
    json_decref(report);
}

static void test_the_budget_is_kept(void **state)
{
    (void)state;
    static const int budgets[] = {2, 6};
    struct bench bench;
    struct call call;
    bench_enter(&bench);
    bench_rows(bench.data, 4000, 20, 5);
    for (size_t i = 0; i < 2; i++) {
        char more[200];
        snprintf(more, sizeof more, TECHNIQUES " --budget %ds --fresh", budgets[i]);
        run(&call, &bench, recommend(&bench, more));
        check_budget(&call, budgets[i]);
        struct text trials = trials_of(&bench);
        text_release(&trials);
        forget(&call);
    }
    bench_leave(&bench);
}

/* A real model, which takes a while to load: a budget of little more than that, and answers in free
 * text that are long to decode. */
static void test_the_budget_with_a_real_model(void **state)
{
    (void)state;
    static const char *const data[] = {"demo:tickets", "demo:problems"};
    char model[MODEL_PATH], words[MODEL_PATH + 1000];
    struct bench bench;
    struct call call;
    if (!default_model(model))
        skip();
    bench_enter(&bench);
    const char *form = "recommend %s --model %s --budget %ds --format json --study %s/%zu.db";
    snprintf(words, sizeof words, form, data[0], model, 1, bench.folder, (size_t)9);
    run(&call, &bench, words);
    expect(&call, 0, NULL);
    int budget = (int)ceil(1.5 * call.seconds) + 4; /* the load, and a little */
    json_t *report = parse(&call);
    assert_true(json_is_null(at(report, "recommendation", "technique")) || call.seconds <= 1.1);
    json_decref(report);
    forget(&call);
    for (size_t i = 0; i < 2; i++) {
        snprintf(words, sizeof words, form, data[i], model, budget, bench.folder, i);
        run(&call, &bench, words);
        check_budget(&call, budget);
        forget(&call);
    }
    bench_leave(&bench);
}

/* ---- kill -9 -------------------------------------------------------------------------------- */

static void test_killed_at_any_moment(void **state)
{
    (void)state;
    enum { KILLS = 5 };
    struct bench calm, wild;
    struct call whole, call;
    const char *more = TECHNIQUES " --budget 30m --seed 3";
    bench_enter(&calm);
    bench_rows(calm.data, 900, 6, 4);
    run_well(&whole, &calm, more);
    struct text expected = trials_of(&calm);
    bench_enter(&wild);
    bench_rows(wild.data, 900, 6, 4);
    struct random random = random_stream(5, "kill", 0);
    size_t killed = 0;
    for (int i = 0; i < KILLS; i++) {
        start(&call, &wild, recommend(&wild, more));
        pause_for(whole.seconds * (0.05 + 0.3 * random_uniform(&random)));
        kill(call.process, SIGKILL);
        finish(&call);
        killed += call.status == -SIGKILL;
        assert_true(call.status == -SIGKILL || call.status == 0);
        forget(&call);
    }
    assert_true(killed >= 4); /* the last one may come too late */
    run_well(&call, &wild, more);
    struct text found = trials_of(&wild);
    assert_string_equal(text_string(&found), text_string(&expected));
    /* The paths of the two folders have the same length, and differ; nothing else does. */
    for (char *c = strstr(call.out.bytes, wild.folder); c; c = strstr(c, wild.folder))
        memcpy(c, calm.folder, strlen(calm.folder));
    same_bytes(&call, &whole, false);
    text_release(&found);
    text_release(&expected);
    forget(&call);
    forget(&whole);
    bench_leave(&wild);
    bench_leave(&calm);
}

/* ---- Ctrl-C --------------------------------------------------------------------------------- */

static void test_interrupted(void **state)
{
    (void)state;
    struct bench bench;
    struct call call, again;
    const char *more = TECHNIQUES " --budget 10m";
    bench_enter(&bench);
    bench_rows(bench.data, 900, 6, 4);
    start(&call, &bench, recommend(&bench, more));
    wait_for(&call, "zero_shot: ");
    kill(call.process, SIGINT);
    finish(&call);
    expect(&call, 130, "the same command goes on");
    expect(&call, 130, "study.db");
    assert_int_equal(call.out.length, 0);
    struct text trials = trials_of(&bench);
    assert_non_null(strstr(text_string(&trials), "zero_shot"));
    text_release(&trials);
    run_well(&again, &bench, more);
    assert_non_null(strstr(text_string(&again.err), "going on with"));
    assert_null(strstr(text_string(&again.err), "zero_shot: ")); /* not once more */
    json_t *report = parse(&again);
    assert_string_equal(word(row(report, "lora"), "status"), "measured");
    json_decref(report);
    forget(&call);
    forget(&again);
    bench_leave(&bench);
}

static void test_interrupted_twice(void **state)
{
    (void)state;
    struct bench bench;
    struct call call;
    bench_enter(&bench);
    bench_rows(bench.data, 900, 6, 4);
    start(&call, &bench, recommend(&bench, TECHNIQUES " --budget 10m"));
    wait_for(&call, "majority: ");
    double now = clock_seconds();
    kill(call.process, SIGINT);
    kill(call.process, SIGINT);
    pause_for(0.002); /* two that come at once are one to the system */
    kill(call.process, SIGINT);
    finish(&call);
    expect(&call, 130, NULL);
    assert_true(clock_seconds() - now < 2);
    forget(&call);
    run_well(&call, &bench, TECHNIQUES " --budget 10m");
    struct text trials = trials_of(&bench);
    assert_null(strstr(text_string(&trials), "interrupted"));
    text_release(&trials);
    forget(&call);
    bench_leave(&bench);
}

/* ---- The same command again ----------------------------------------------------------------- */

static void test_the_same_again(void **state)
{
    (void)state;
    struct bench bench;
    struct call first, again;
    const char *more = TECHNIQUES " --budget 10m --seed 4";
    bench_enter(&bench);
    bench_rows(bench.data, 400, 4, 3);
    run_well(&first, &bench, more);
    struct text before = trials_of(&bench);
    for (int i = 0; i < 2; i++) {
        run_well(&again, &bench, more);
        assert_string_equal(text_string(&again.out), text_string(&first.out)); /* times too */
        assert_null(strstr(text_string(&again.err), "zero_shot: "));
        assert_true(again.seconds < first.seconds);
        forget(&again);
    }
    run_well(&again, &bench, TECHNIQUES " --budget 20m --seed 4");
    json_t *report = parse(&again);
    assert_true(json_number_value(at(report, "constraints", "budget_seconds")) == 1200);
    json_decref(report);
    forget(&again);
    struct text after = trials_of(&bench);
    assert_string_equal(text_string(&after), text_string(&before));
    run_well(&again, &bench, TECHNIQUES " --budget 10m --seed 4 --fresh");
    assert_non_null(strstr(text_string(&again.err), "zero_shot: "));
    same_bytes(&again, &first, true);
    forget(&again);
    forget(&first);
    text_release(&before);
    text_release(&after);
    bench_leave(&bench);
}

/* What a short budget left out, a larger one goes on with. */
static void test_a_larger_budget(void **state)
{
    (void)state;
    struct bench bench;
    struct call small, large;
    bench_enter(&bench);
    bench_rows(bench.data, 1500, 12, 4);
    run_well(&small, &bench, TECHNIQUES " --budget 2s");
    struct text before = trials_of(&bench);
    run_well(&large, &bench, TECHNIQUES " --budget 60s");
    struct text after = trials_of(&bench);
    json_t *less = parse(&small), *more = parse(&large);
    const char *examples = "examples";
    assert_true(json_integer_value(json_object_get(row(more, "lora"), examples)) >=
                json_integer_value(json_object_get(row(less, "lora"), examples)));
    assert_true(json_number_value(at(more, "cost", "spent_seconds")) >
                json_number_value(at(less, "cost", "spent_seconds")));
    assert_int_equal(json_integer_value(at(more, "profile", "dev_used")),
                     json_integer_value(at(less, "profile", "dev_used")));
    /* On a fast machine the small budget is enough for everything. */
    bool all = json_integer_value(json_object_get(row(less, "lora"), examples)) ==
               json_integer_value(at(less, "profile", "train"));
    assert_true(all || after.length > before.length);
    assert_non_null(strstr(text_string(&small.err), "majority: "));
    assert_null(strstr(text_string(&large.err), "majority: ")); /* nothing twice */
    if (strstr(text_string(&small.err), "zero_shot: "))
        assert_null(strstr(text_string(&large.err), "zero_shot: "));
    json_decref(less);
    json_decref(more);
    text_release(&before);
    text_release(&after);
    forget(&small);
    forget(&large);
    bench_leave(&bench);
}

static void test_two_at_once(void **state)
{
    (void)state;
    struct bench bench;
    struct call one, two;
    const char *more = TECHNIQUES " --budget 10m";
    bench_enter(&bench);
    bench_rows(bench.data, 900, 6, 4);
    start(&one, &bench, recommend(&bench, more));
    wait_for(&one, "majority: ");
    run(&two, &bench, recommend(&bench, more));
    expect(&two, 1, "another advisor is working on this study");
    forget(&two);
    run(&two, &bench, recommend(&bench, TECHNIQUES " --budget 10m --fresh"));
    expect(&two, 1, "another advisor is working on this study");
    finish(&one);
    expect(&one, 0, NULL);
    struct text trials = trials_of(&bench);
    assert_null(strstr(text_string(&trials), "interrupted"));
    text_release(&trials);
    forget(&one);
    forget(&two);
    bench_leave(&bench);
}

/* ---- Exit statuses -------------------------------------------------------------------------- */

/* Files a case may name, in the bench's folder. */
static void write_cases(const struct bench *bench)
{
    static const struct {
        const char *name, *bytes;
    } files[] = {
        {"ragged.csv", "text,label\na,x\nb,y,z\n"},
        {"empty.csv", ""},
        {"header.csv", "text,label\n"},
        {"columns.csv", "foo,bar\na,b\nc,d\n"},
        {"one-class.csv", "text,label\na,x\nb,x\nc,x\nd,x\n"},
        {"bad.jsonl", "{\"text\": \"a\", \"label\": \"x\"}\n{\"text\": \n"},
        {"few.csv", "text,label\na,x\nb,y\n"},
        {"other.csv", "text,label\nhello there,unknown\n"},
        {"junk.gguf", "GGUFjunk that is no model at all"},
        {"text.gguf", "this is a text"},
        {"notes.txt", "not a study\n"},
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[BENCH_PATH];
        snprintf(path, sizeof path, "%s/%s", bench->folder, files[i].name);
        bench_write(path, files[i].bytes);
    }
    bench_rows(bench->data, 80, 3, 3);
}

static bool has_studies(const struct bench *bench)
{
    char path[BENCH_PATH];
    snprintf(path, sizeof path, "%s/s.db", bench->folder);
    bool found = !access(path, F_OK);
    snprintf(path, sizeof path, "%s/s.db-lock", bench->folder);
    return found || !access(path, F_OK);
}

static void test_exit_statuses(void **state)
{
    (void)state;
    static const char tiny[] = "--model " TINY_MODEL " --study %/s.db";
    static const struct {
        const char *words; /* behind `recommend`; followed by the usual model and study */
        int status;
        const char *says;
    } cases[] = {
        {"%/ragged.csv", 4, "ragged.csv:3"},
        {"%/empty.csv", 4, "empty.csv"},
        {"%/header.csv", 4, "header.csv"},
        {"%/columns.csv", 4, "foo"},
        {"%/one-class.csv", 4, "one-class.csv"},
        {"%/bad.jsonl", 4, "bad.jsonl:2"},
        {"%/few.csv --task classification", 4, "few.csv"},
        {"%/nowhere.csv", 4, "nowhere.csv"},
        {"%/data.csv --test %/other.csv", 4, "other.csv:2"},
        {"demo:nothing", 2, "demo:nothing"},
        {"%/data.csv --model %/junk.gguf", 5, "junk.gguf"},
        {"%/data.csv --model %/text.gguf", 5, "text.gguf"},
        {"%/data.csv --model %/nowhere.gguf", 5, "nowhere.gguf"},
        {"", 2, "DATA"},
        {"%/data.csv --budget soon", 2, "--budget"},
        {"%/data.csv --budget 0s", 2, "--budget"},
        {"%/data.csv --techniques nothing", 2, "nothing"},
        {"%/data.csv --metric nll", 2, "nll"},
        {"%/data.csv --task generation --metric accuracy", 2, "needs labels"},
        {"%/data.csv --frobnicate", 2, "--frobnicate"},
        {"%/data.csv --input nocolumn", 2, "nocolumn"},
        {"%/data.csv --study %/notes.txt", 2, "notes.txt"},
        {"%/data.csv --study %/notes.txt --fresh", 2, "notes.txt"},
        {"%/data.csv --study %/notes.txt/s.db", 1, "--study"},
        {"%/data.csv --study /proc/s.db", 1, "/proc/s.db"},
        {"%/data.csv -o %/no/folder/result.json", 2, "result.json"},
    };
    struct bench bench;
    bench_enter(&bench);
    write_cases(&bench);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct call call;
        char usual[BENCH_PATH], words[BENCH_PATH * 2], line[BENCH_PATH * 4];
        expand(tiny, bench.folder, usual, sizeof usual);
        expand(cases[i].words, bench.folder, words, sizeof words);
        snprintf(line, sizeof line, "recommend %s %s", usual, words);
        run(&call, &bench, line);
        if (call.status != cases[i].status || !strstr(text_string(&call.err), cases[i].says))
            fail_msg("recommend %s: exit status %d, expected %d with \"%s\": %s", cases[i].words,
                     call.status, cases[i].status, cases[i].says, text_string(&call.err));
        assert_int_equal(call.out.length, 0);
        assert_int_equal(strncmp(text_string(&call.err), "advisor: ", 9), 0);
        if (has_studies(&bench))
            fail_msg("recommend %s leaves a study behind", cases[i].words);
        forget(&call);
    }
    bench_leave(&bench);
}

static void test_the_study_of_other_data(void **state)
{
    (void)state;
    struct bench bench;
    struct call call;
    bench_enter(&bench);
    bench_rows(bench.data, 80, 3, 3);
    run_well(&call, &bench, "--techniques majority");
    forget(&call);
    bench_rows(bench.data, 81, 3, 3);
    run(&call, &bench, recommend(&bench, "--techniques majority"));
    expect(&call, 2, "differs in its data");
    forget(&call);
    run_well(&call, &bench, "--techniques majority --fresh");
    forget(&call);
    bench_leave(&bench);
}

/* What is recommended has to beat the most frequent answer, so that is measured unasked. */
static void test_the_baseline_unasked(void **state)
{
    (void)state;
    struct bench bench;
    struct call call;
    bench_enter(&bench);
    bench_rows(bench.data, 80, 3, 3);
    run_well(&call, &bench, "--techniques zero_shot --dry-run");
    assert_non_null(strstr(text_string(&call.out), "\"technique\": \"majority\""));
    forget(&call);
    run_well(&call, &bench, "--techniques zero_shot");
    assert_non_null(strstr(text_string(&call.out), "\"technique\": \"majority\""));
    forget(&call);
    bench_leave(&bench);
}

/* ---- Kinds of data -------------------------------------------------------------------------- */

static void write_many_labels(const struct bench *bench, struct text *out)
{
    (void)bench;
    struct random random = random_stream(1, "many labels", 0);
    for (int i = 0; i < 77 * 5; i++)
        text_printf(out, "{\"text\": \"%s %s q%dq %d\", \"label\": \"intent_%d\"}\n",
                    bench_word(&random), bench_word(&random), i % 77, i, i % 77);
}

static void write_nested_labels(const struct bench *bench, struct text *out)
{
    (void)bench;
    static const char *const labels[] = {"no", "no way", "not", "nothing at all", "no way out"};
    struct random random = random_stream(2, "nested labels", 0);
    for (int i = 0; i < 260; i++)
        text_printf(out, "{\"text\": \"%s %s %d\", \"label\": \"%s\"}\n", bench_word(&random),
                    bench_word(&random), i, labels[i % 5]);
}

static void write_problems(const struct bench *bench, struct text *out)
{
    (void)bench;
    for (int i = 0; i < 280; i++)
        text_printf(out,
                    "{\"question\": \"Tom has %d eggs and eats %d. How many are left?\", "
                    "\"answer\": \"%d\", \"rationale\": \"%d - %d = %d\"}\n",
                    3 * i + 5, i, 2 * i + 5, 3 * i + 5, i, 2 * i + 5);
}

static void write_one_each(const struct bench *bench, struct text *out)
{
    (void)bench;
    struct random random = random_stream(3, "one each", 0);
    for (int i = 0; i < 20; i++)
        text_printf(out, "{\"text\": \"%s %d\", \"label\": \"only %d\"}\n", bench_word(&random), i,
                    i);
}

static void test_kinds_of_data(void **state)
{
    (void)state;
    static const struct {
        void (*write)(const struct bench *bench, struct text *out);
        const char *more, *task, *metric;
        size_t labels;
        bool warned;
    } cases[] = {
        {write_many_labels, "", "classification", "accuracy", 77, false},
        {write_nested_labels, "--metric macro_f1", "classification", "macro_f1", 5, false},
        {write_problems, "", "numeric_answer", "numeric_match", 0, false},
        {write_one_each, "", "generation", "chrf", 0, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bench bench;
        struct call call;
        struct text bytes = {0};
        char more[200];
        bench_enter(&bench);
        cases[i].write(&bench, &bytes);
        snprintf(bench.data, sizeof bench.data, "%s/data.jsonl", bench.folder);
        bench_write(bench.data, text_string(&bytes));
        snprintf(more, sizeof more, TECHNIQUES " --budget 5m %s", cases[i].more);
        run_well(&call, &bench, more);
        json_t *report = parse(&call);
        json_t *profile = json_object_get(report, "profile");
        assert_string_equal(word(profile, "task"), cases[i].task);
        assert_string_equal(word(json_object_get(report, "constraints"), "metric"),
                            cases[i].metric);
        assert_int_equal(json_array_size(json_object_get(profile, "labels")), cases[i].labels);
        assert_string_equal(word(row(report, "majority"), "status"), "measured");
        assert_string_equal(word(row(report, "zero_shot"), "status"), "measured");
        if (!cases[i].warned)
            assert_string_equal(word(row(report, "lora"), "status"), "measured");
        json_t *warnings = json_object_get(profile, "warnings");
        if ((json_array_size(warnings) > 0) != cases[i].warned)
            fail_msg("case %zu: %zu warnings: %s", i, json_array_size(warnings),
                     json_string_value(json_array_get(warnings, 0)));
        json_decref(report);
        text_release(&bytes);
        forget(&call);
        bench_leave(&bench);
    }
}

/* One row for each class cannot be divided, and it is said so. */
static void test_one_row_a_class(void **state)
{
    (void)state;
    struct bench bench;
    struct call call;
    struct text bytes = {0};
    bench_enter(&bench);
    write_one_each(&bench, &bytes);
    snprintf(bench.data, sizeof bench.data, "%s/data.jsonl", bench.folder);
    bench_write(bench.data, text_string(&bytes));
    run(&call, &bench, recommend(&bench, "--task classification"));
    expect(&call, 4, "data.jsonl");
    expect(&call, 4, "examples");
    text_release(&bytes);
    forget(&call);
    bench_leave(&bench);
}

/* Every format, also into a file. */
static void test_formats(void **state)
{
    (void)state;
    static const char *const formats[] = {"text", "json", "markdown", "csv"};
    struct bench bench;
    struct call call;
    bench_enter(&bench);
    bench_rows(bench.data, 80, 3, 3);
    for (size_t i = 0; i < 4; i++) {
        char more[BENCH_PATH + 100], path[BENCH_PATH];
        struct text written = {0};
        snprintf(path, sizeof path, "%s/result", bench.folder);
        snprintf(more, sizeof more, "--techniques majority,zero_shot --format %s", formats[i]);
        run_well(&call, &bench, more);
        assert_non_null(strstr(text_string(&call.out), "zero_shot"));
        struct call to_file;
        snprintf(more, sizeof more, "--techniques majority,zero_shot --format %s -o %s", formats[i],
                 path);
        run_well(&to_file, &bench, more);
        assert_int_equal(to_file.out.length, 0);
        files_read(path, &written);
        assert_string_equal(text_string(&written), text_string(&call.out));
        text_release(&written);
        forget(&to_file);
        forget(&call);
    }
    bench_leave(&bench);
}

/* The command that a report gives for going on is understood by a shell and finds the study. */
static void test_the_command_of_a_report(void **state)
{
    (void)state;
    struct bench bench;
    struct call call;
    char words[2048];
    bench_enter(&bench);
    bench_rows(bench.data, 80, 3, 3);
    snprintf(words, sizeof words,
             "recommend %s --model " TINY_MODEL
             " --techniques majority,zero_shot --target 0.7 --confidence 0.9 --requests 10k "
             "--max-memory 4G --max-latency 90ms --on-bad-row skip --label-names "
             "class0=it's,class1=b,class2=c --seed 5",
             bench.data);
    run(&call, &bench, words);
    expect(&call, 0, NULL);
    const char *line = strstr(text_string(&call.out), "advisor recommend ");
    assert_non_null(line);
    struct text command = {0};
    text_printf(&command, "%s ", program());
    text_append(&command, line + strlen("advisor "), strcspn(line, "\n") - strlen("advisor "));
    text_printf(&command, " >%s/again 2>%s/again.err", bench.folder, bench.folder);
    assert_int_equal(system(text_string(&command)), 0);
    struct text again = {0};
    snprintf(words, sizeof words, "%s/again", bench.folder);
    files_read(words, &again);
    assert_string_equal(text_string(&again), text_string(&call.out));
    text_release(&command);
    text_release(&again);
    forget(&call);
    bench_leave(&bench);
}

/* ---- advisor trial -------------------------------------------------------------------------- */

static void test_trial(void **state)
{
    (void)state;
    static const struct {
        const char *words;
        int status;
        const char *says;
    } cases[] = {
        {"lora % --examples 32 --set num_epochs=2", 0, ""},
        {"zero_shot %", 0, ""},
        {"lora % --examples 9999", 2, "more than the"},
        {"lora % --examples 3", 2, "needs at least 8"},
        {"few_shot % --set k=100", 2, "k=100"},
        {"lora % --set nothing=1", 2, "nothing=1"},
        {"nothing %", 2, "there is no technique"},
        {"lora % --budget 1s --set num_epochs=900", 1, "budget of 1 s was used up"},
    };
    struct bench bench;
    bench_enter(&bench);
    bench_rows(bench.data, 200, 3, 3);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct call call;
        char words[BENCH_PATH * 2], line[BENCH_PATH * 3];
        expand(cases[i].words, bench.data, words, sizeof words);
        snprintf(line, sizeof line, "trial %s --model " TINY_MODEL " --format json", words);
        run(&call, &bench, line);
        expect(&call, cases[i].status, cases[i].says);
        if (call.status == 0) {
            json_t *trial = parse(&call);
            assert_string_equal(word(trial, "status"), "measured");
            assert_true(json_is_number(json_object_get(trial, "metric")));
            assert_true(json_is_number(json_object_get(trial, "test_metric")));
            assert_true(json_is_number(json_object_get(trial, "peak_memory_bytes")));
            json_decref(trial);
        }
        forget(&call);
    }
    char store[BENCH_PATH];
    snprintf(store, sizeof store, "%s/advisor", bench.folder);
    assert_true(access(store, F_OK) != 0); /* nothing is kept */
    bench_leave(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads_give_the_same_bytes),
        cmocka_unit_test(test_another_seed),
        cmocka_unit_test(test_the_budget_is_kept),
        cmocka_unit_test(test_the_budget_with_a_real_model),
        cmocka_unit_test(test_killed_at_any_moment),
        cmocka_unit_test(test_interrupted),
        cmocka_unit_test(test_interrupted_twice),
        cmocka_unit_test(test_the_same_again),
        cmocka_unit_test(test_a_larger_budget),
        cmocka_unit_test(test_two_at_once),
        cmocka_unit_test(test_exit_statuses),
        cmocka_unit_test(test_the_study_of_other_data),
        cmocka_unit_test(test_the_baseline_unasked),
        cmocka_unit_test(test_kinds_of_data),
        cmocka_unit_test(test_one_row_a_class),
        cmocka_unit_test(test_formats),
        cmocka_unit_test(test_the_command_of_a_report),
        cmocka_unit_test(test_trial),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
