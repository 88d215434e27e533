/* SPDX-License-Identifier: Apache-2.0
 *
 * Baselines, data and studies that `advisor check` cannot judge by: refused, and never a pass.
 */
#define _XOPEN_SOURCE 700
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "advisor/baseline.h"
#include "tests/check_support.h"

static void change_baseline(const char *name, void (*change)(struct baseline *))
{
    struct arena arena;
    struct baseline b;
    struct error err;
    struct text text = {0};
    arena_init(&arena, NULL);
    must(baseline_read(in_bench("base.json"), &arena, &b, &err), &err);
    change(&b);
    must(baseline_write(&b, &text, &err), &err);
    bench_write(in_bench(name), text_string(&text));
    text_release(&text);
    arena_release(&arena);
}

static void another_model(struct baseline *b)
{
    b->model_sha256 = b->data_sha256;
}

static void another_task(struct baseline *b)
{
    b->task = "multiple_choice";
}

static void one_label_more(struct baseline *b)
{
    static const char *labels[] = {"class0", "class1", "class2", "class3"};
    b->labels = labels;
    b->label_count = 4;
}

static void another_metric(struct baseline *b)
{
    b->metric = "rouge";
}

static void another_technique(struct baseline *b)
{
    b->technique = "telepathy";
}

static void another_setting(struct baseline *b)
{
    b->setting = "{\"telepathy\":5}";
}

static void another_reading(struct baseline *b)
{
    b->reading = "{\"task\":\"magic\"}";
}

static void more_training(struct baseline *b)
{
    b->examples = 5000;
}

static void data_elsewhere(struct baseline *b)
{
    b->data_path = "/nowhere/data.csv";
}

static void test_changed_baselines(void **state)
{
    (void)state;
    static const struct {
        void (*change)(struct baseline *);
        enum status expected;
        const char *says;
    } rows[] = {{another_model, BAD_MODEL, "is not the model of the baseline"},
                {another_task, BAD_DATA, "the task is classification now"},
                {one_label_more, BAD_DATA, "labels have changed"},
                {another_metric, BAD_DATA, "a metric that this program does not have"},
                {another_technique, BAD_DATA, "the technique \"telepathy\""},
                {another_setting, BAD_DATA, "telepathy"},
                {another_reading, BAD_DATA, "how data are read"},
                {more_training, BAD_DATA, "5000 training examples"},
                {data_elsewhere, BAD_DATA, "/nowhere/data.csv"}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        change_baseline("changed.json", rows[i].change);
        refused(rows[i].expected, rows[i].says, "@changed.json");
    }
    json_decref(check(OK, "@changed.json --data @data.csv"));
}

static void test_damaged_baselines(void **state)
{
    (void)state;
    struct text text = {0};
    refused(USAGE, "there is no baseline", "@nowhere.json");
    files_read(in_bench("base.json"), &text);
    text.bytes[text.length / 2] = '\0';
    bench_write(in_bench("cut.json"), text_string(&text));
    refused(BAD_DATA, "no valid JSON", "@cut.json");
    files_read(in_bench("base.json"), &text);
    strstr(text.bytes, "\"correct\": ")[11] = 'x';
    bench_write(in_bench("damaged.json"), text_string(&text));
    refused(BAD_DATA, "no valid JSON", "@damaged.json");
    files_read(in_bench("base.json"), &text);
    char *digit = strstr(text.bytes, "\"value\": 0.") + 11;
    *digit = *digit == '9' ? '8' : '9';
    bench_write(in_bench("edited.json"), text_string(&text));
    refused(BAD_DATA, "was changed since it was written", "@edited.json");
    refused(BAD_DATA, "no valid JSON", "@test.csv");
    text_release(&text);
}

static void test_changed_data(void **state)
{
    (void)state;
    copy_rows("data.csv", 0, 300, "grown.csv");
    append("grown.csv", "one more lamp,class0\n");
    refused(BAD_DATA, "has changed since the baseline", "@base.json --data @grown.csv");
    refused(BAD_MODEL, "nowhere.gguf", "@base.json --model @nowhere.gguf");
}

/* A study of the same data under another metric. */
static void test_changed_metric(void **state)
{
    (void)state;
    struct error err;
    must(advisor(&err, "recommend @data.csv --test @test.csv --model " TINY_MODEL
                       " --techniques majority,zero_shot --metric macro_f1 --study @f1.db -q -o "
                       "@out"),
         &err);
    refused(USAGE, "is judged by macro_f1 and the baseline",
            "@base.json --study @f1.db --technique zero_shot --model " TINY_MODEL);
    must(advisor(&err, "bless @f1.db zero_shot --model " TINY_MODEL " -o @f1.json -q"), &err);
    json_t *root = check(OK, "@f1.json");
    assert_string_equal(string_of(root, "metric"), "macro_f1");
    json_decref(root);
    root = check(REGRESSION, "@f1.json --technique majority --margin 0.01");
    json_decref(root);
}

static void test_lost_artifact(void **state)
{
    (void)state;
    struct text text = {0};
    files_read(in_bench("lora.json"), &text);
    mkdir(in_bench("alone"), 0777);
    bench_write(in_bench("alone/lora.json"), text_string(&text));
    refused(BAD_DATA, "is not there", "@alone/lora.json");
    text_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_changed_baselines), cmocka_unit_test(test_damaged_baselines),
        cmocka_unit_test(test_changed_data),      cmocka_unit_test(test_changed_metric),
        cmocka_unit_test(test_lost_artifact),
    };
    return cmocka_run_group_tests(tests, enter, leave);
}
