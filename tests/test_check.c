/* SPDX-License-Identifier: Apache-2.0
 *
 * `advisor bless` and `advisor check` from end to end: studies on a tiny model and made-up data,
 * and the project's own data.
 */
#define _XOPEN_SOURCE 700
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

#include "advisor/baseline.h"
#include "datasets/demo.h"
#include "tests/json_schema.h"
#include "tests/study_support.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { TEST_ROWS = 1000 };

/* ---- A place with two studies ---------------------------------------------------------------- */

/* `study.db` has zero_shot, judged on the 1,000 rows of test.csv; `split.db` has lora, judged on a
 * part of its own data. */
static struct bench bench;

static const char *in_bench(const char *name)
{
    static char paths[8][BENCH_PATH];
    static int next;
    char *path = paths[next++ % 8];
    snprintf(path, BENCH_PATH, "%s/%s", bench.folder, name);
    return path;
}

/* Runs `advisor WORDS` in this process; "@name" is a file of the bench. */
static enum status advisor(struct error *err, const char *format, ...)
{
    char words[4096], *list[64] = {"advisor"};
    int count = 1;
    va_list args;
    va_start(args, format);
    vsnprintf(words, sizeof words, format, args);
    va_end(args);
    struct arena arena;
    arena_init(&arena, NULL);
    for (char *word = strtok(words, " "); word; word = strtok(NULL, " ")) {
        char *at = strchr(word, '@');
        list[count++] = word;
        if (at)
            list[count - 1] =
                arena_printf(&arena, "%.*s%s/%s", (int)(at - word), word, bench.folder, at + 1);
    }
    *err = (struct error){0};
    enum status status = command_dispatch(count, list, err);
    arena_release(&arena);
    return status;
}

static void must(enum status status, const struct error *err)
{
    desk_must(status, err);
}

static json_t *read_json(const char *name)
{
    json_error_t problem;
    json_t *root = json_load_file(in_bench(name), 0, &problem);
    if (!root)
        fail_msg("%s: %s", name, problem.text);
    return root;
}

static const char *string_of(const json_t *root, const char *key)
{
    const char *value = json_string_value(json_object_get(root, key));
    return value ? value : "";
}

static double number_of(const json_t *root, const char *key)
{
    return json_number_value(json_object_get(root, key));
}

static bool exists(const char *name)
{
    return !access(in_bench(name), F_OK);
}

static int enter(void **state)
{
    (void)state;
    struct error err;
    bench_enter(&bench);
    bench_rows(bench.data, 300, 3, 3);
    bench_rows(in_bench("test.csv"), TEST_ROWS, 3, 3);
    must(advisor(&err,
                 "recommend @data.csv --test @test.csv --model " TINY_MODEL
                 " --techniques majority,zero_shot --study @study.db --budget 10m -q -o @out"),
         &err);
    must(advisor(&err, "recommend @data.csv --model " TINY_MODEL
                       " --techniques majority,lora --study @split.db --budget 20s -q -o @out"),
         &err);
    must(advisor(&err, "bless @study.db zero_shot --model " TINY_MODEL " -o @base.json -q"), &err);
    must(advisor(&err, "bless @split.db lora --model " TINY_MODEL " -o @lora.json -q"), &err);
    return 0;
}

static int leave(void **state)
{
    (void)state;
    bench_leave(&bench);
    return 0;
}

/* Checks, as JSON; the verdict and its exit status must be `expected`. */
static json_t *check(enum status expected, const char *words)
{
    static const char *const names[] = {
        [OK] = "pass", [REGRESSION] = "regression", [INCONCLUSIVE] = "inconclusive"};
    struct error err;
    unlink(in_bench("check.json"));
    enum status status = advisor(&err, "check %s --format json -o @check.json -q", words);
    if (status != expected)
        fail_msg("check %s: status %d, expected %d: %s", words, (int)status, (int)expected,
                 err.text);
    json_t *root = read_json("check.json");
    schema_must_accept_value("check", root);
    assert_string_equal(string_of(root, "verdict"), names[expected]);
    return root;
}

static void refused(enum status expected, const char *says, const char *words)
{
    struct error err;
    unlink(in_bench("check.json"));
    enum status status = advisor(&err, "check %s --format json -o @check.json -q", words);
    if (status != expected || !strstr(err.text, says))
        fail_msg("check %s: status %d, expected %d, and \"%s\" in \"%s\"", words, (int)status,
                 (int)expected, says, err.text);
    assert_false(exists("check.json")); /* never a verdict */
}

static bool says(const json_t *root, const char *key, const char *words)
{
    const json_t *list = json_object_get(root, key);
    for (size_t i = 0; i < json_array_size(list); i++)
        if (strstr(json_string_value(json_array_get(list, i)), words))
            return true;
    return false;
}

/* ---- Nothing changed ------------------------------------------------------------------------- */

static void test_identical(void **state)
{
    (void)state;
    static const char *const words[] = {"@base.json --model " TINY_MODEL,
                                        "@base.json --threads 1",
                                        "@base.json --test @test.csv",
                                        "@base.json --study @study.db --technique zero_shot "
                                        "--model " TINY_MODEL,
                                        "@lora.json --threads 3",
                                        "@lora.json --study @split.db --technique lora "
                                        "--model " TINY_MODEL};
    for (size_t i = 0; i < COUNT(words); i++) {
        json_t *root = check(OK, words[i]);
        assert_true(json_is_true(json_object_get(root, "identical")));
        assert_true(json_is_true(json_object_get(root, "paired")));
        assert_int_equal(json_array_size(json_object_get(root, "flips")), 0);
        assert_int_equal(json_array_size(json_object_get(root, "changed")), 0);
        assert_true(number_of(json_object_get(root, "whole"), "difference") == 0);
        assert_true(says(root, "reasons", "nothing changed"));
        const json_t *tokens = json_object_get(json_object_get(root, "cost"), "tokens_per_request");
        assert_true(fabs(number_of(tokens, "ratio") - 1) < 1e-9);
        assert_true(json_is_false(json_object_get(tokens, "warning")));
        json_decref(root);
    }
}

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

/* ---- Planted answers ------------------------------------------------------------------------- */

/* Turns an answer: what is wrong now was right, or what is right now was wrong. */
static void turn(const struct baseline *b, struct baseline_answer *a)
{
    a->answer = a->target;
    for (size_t l = 0; l < b->label_count && a->correct; l++)
        if (strcmp(b->labels[l], a->target) != 0)
            a->answer = b->labels[l];
    a->correct = !a->correct;
}

/* Turns `lost` wrong and `gained` right answers to examples of `label` (NULL: any), or as many as
 * both have; returns how many. */
static size_t turn_some(struct baseline *b, const char *label, size_t lost, size_t gained)
{
    size_t turned = 0;
    for (size_t i = 0; i < b->answer_count; i++) {
        struct baseline_answer *a = &b->answers[i];
        size_t *left = a->correct ? &gained : &lost;
        if ((label && strcmp(a->target, label) != 0) || !*left)
            continue;
        turn(b, a);
        --*left;
        turned++;
    }
    return turned;
}

static size_t count_answers(const struct baseline *b, const char *label, bool correct)
{
    size_t count = 0;
    for (size_t i = 0; i < b->answer_count; i++)
        count += b->answers[i].correct == correct && !strcmp(b->answers[i].target, label);
    return count;
}

/* Makes `name` from base.json with other answers: of those that are wrong now, `lost` were right,
 * and of those that are right now, `gained` were wrong. With `even`, as many in each class. */
static void plant(const char *name, size_t lost, size_t gained, bool even)
{
    struct arena arena;
    struct baseline b;
    struct error err;
    struct text text = {0};
    arena_init(&arena, NULL);
    must(baseline_read(in_bench("base.json"), &arena, &b, &err), &err);
    if (!even) {
        assert_int_equal(turn_some(&b, NULL, lost, gained), lost + gained);
    } else {
        for (size_t l = 0; l < b.label_count; l++) {
            size_t right = count_answers(&b, b.labels[l], true);
            size_t wrong = count_answers(&b, b.labels[l], false);
            size_t each = right < wrong ? right : wrong;
            each = each < lost ? each : lost;
            assert_int_equal(turn_some(&b, b.labels[l], each, each), 2 * each);
            lost -= each;
        }
        assert_int_equal(lost, 0);
    }
    must(baseline_write(&b, &text, &err), &err);
    bench_write(in_bench(name), text_string(&text));
    text_release(&text);
    arena_release(&arena);
}

static void test_planted_drop(void **state)
{
    (void)state;
    plant("dropped.json", 75, 25, false);
    json_t *root = check(REGRESSION, "@dropped.json");
    const json_t *whole = json_object_get(root, "whole");
    assert_int_equal(number_of(whole, "lost"), 75);
    assert_int_equal(number_of(whole, "gained"), 25);
    assert_true(fabs(number_of(whole, "difference") + 0.05) < 1e-9);
    assert_true(number_of(whole, "high") < 0);
    assert_true(number_of(whole, "p_worse") < 1e-5);
    assert_int_equal(json_array_size(json_object_get(root, "flips")), 100);
    const json_t *flip = json_array_get(json_object_get(root, "flips"), 0);
    assert_string_equal(string_of(flip, "kind"), "lost");
    assert_string_equal(string_of(flip, "before"), string_of(flip, "target"));
    assert_true(strlen(string_of(flip, "text")) > 0);
    assert_true(says(root, "warnings", "nothing that decides the answers has changed, yet 100"));
    json_decref(root);
}

static void test_planted_noise(void **state)
{
    (void)state;
    plant("noise.json", 50, 50, true);
    json_t *root = check(OK, "@noise.json");
    const json_t *whole = json_object_get(root, "whole");
    assert_int_equal(number_of(whole, "lost") + number_of(whole, "gained"), 100);
    assert_true(json_is_false(json_object_get(root, "identical")));
    assert_true(says(root, "reasons", "a loss of 2 points or more is ruled out"));
    json_decref(root);
    /* The margin decides what noise can rule out. */
    root = check(INCONCLUSIVE, "@noise.json --margin 0.5pt");
    assert_true(number_of(root, "examples_to_pass") > 10000);
    json_decref(root);
}

/* A drop that the margin allows. */
static void test_small_drop(void **state)
{
    (void)state;
    plant("small.json", 10, 0, false);
    json_t *root = check(OK, "@small.json");
    assert_true(says(root, "reasons", "by less than the margin"));
    json_decref(root);
    json_decref(check(REGRESSION, "@small.json --margin 0"));
    json_decref(check(OK, "@small.json --margin 2%"));
    json_decref(check(OK, "@small.json --margin 0.02"));
}

/* ---- Something else is checked ----------------------------------------------------------------
 */

static void test_another_technique(void **state)
{
    (void)state;
    json_t *root = check(REGRESSION, "@lora.json --technique zero_shot");
    assert_true(says(root, "changed", "technique"));
    assert_true(says(root, "changed", "artifact"));
    assert_true(number_of(json_object_get(root, "whole"), "after") <
                number_of(json_object_get(root, "whole"), "before"));
    json_decref(root);
    root = check(OK, "@base.json --technique zero_shot");
    assert_true(json_is_true(json_object_get(root, "identical")));
    json_decref(root);
    refused(USAGE, "lora is trained", "@base.json --technique lora");
    refused(USAGE, "there is no technique", "@base.json --technique magic");
}

/* What answers as well as before may cost more: that is a warning, and not the verdict. */
static void test_costs_more(void **state)
{
    (void)state;
    struct error err;
    unlink(in_bench("check.json"));
    advisor(&err, "check @lora.json --technique chain_of_thought --set max_new_tokens=24 "
                  "--format json -o @check.json -q");
    json_t *root = read_json("check.json");
    const json_t *tokens = json_object_get(json_object_get(root, "cost"), "tokens_per_request");
    assert_true(number_of(tokens, "ratio") > 1.2);
    assert_true(json_is_true(json_object_get(tokens, "warning")));
    assert_true(says(root, "warnings", "tokens per request"));
    json_decref(root);
}

static void test_another_setting(void **state)
{
    (void)state;
    struct error err;
    unlink(in_bench("check.json"));
    enum status status =
        advisor(&err, "check @base.json --set instruction=Parcel. --format json -o @check.json -q");
    assert_true(status == OK || status == REGRESSION || status == INCONCLUSIVE);
    json_t *root = read_json("check.json");
    assert_true(says(root, "changed", "setting"));
    assert_true(json_is_false(json_object_get(root, "identical")));
    json_decref(root);
    refused(USAGE, "was trained without it", "@lora.json --set r=4");
    refused(USAGE, "cannot set \"r=4\"", "@base.json --set r=4");
}

static void test_another_artifact(void **state)
{
    (void)state;
    struct arena arena;
    struct baseline b;
    struct error err;
    const void *bytes;
    size_t length;
    arena_init(&arena, NULL);
    must(baseline_read(in_bench("lora.json"), &arena, &b, &err), &err);
    must(baseline_artifact(&b, in_bench("lora.json"), &arena, &bytes, &length, &err), &err);
    /* All that was learned turned around: a worse model of the right shape. */
    char *other = memcpy(arena_alloc(&arena, length), bytes, length);
    for (size_t i = length - 4 * (length / 8); i + 4 <= length; i += 4)
        other[i + 3] ^= (char)0x80;
    FILE *file = fopen(in_bench("other.bin"), "wb");
    assert_int_equal(fwrite(other, 1, length, file), length);
    fclose(file);
    enum status status =
        advisor(&err, "check @lora.json --artifact @other.bin --format json -o @check.json -q");
    assert_true(status == REGRESSION || status == INCONCLUSIVE || status == OK);
    json_t *root = read_json("check.json");
    assert_true(says(root, "changed", "artifact"));
    json_decref(root);
    bench_write(in_bench("broken.bin"), "not what was learned");
    refused(FAILED, "", "@lora.json --artifact @broken.bin");
    refused(USAGE, "--artifact", "@lora.json --artifact @nowhere.bin");
    refused(USAGE, "learns nothing", "@base.json --artifact @other.bin");
    refused(USAGE, "contradict", "@lora.json --artifact @other.bin --study @split.db");
    arena_release(&arena);
}

/* The same weights in another file: another model, whose answers are the same. */
static void test_another_model(void **state)
{
    (void)state;
    struct error err;
    struct arena arena;
    const void *bytes;
    size_t length;
    arena_init(&arena, NULL);
    must(baseline_load_bytes(TINY_MODEL, &arena, &bytes, &length, &err), &err);
    FILE *file = fopen(in_bench("other.gguf"), "wb");
    fwrite(bytes, 1, length, file);
    fputc(0, file); /* behind the tensors */
    fclose(file);
    json_t *root = check(OK, "@base.json --model @other.gguf");
    assert_true(says(root, "changed", "model"));
    assert_true(json_is_false(json_object_get(root, "identical")));
    assert_true(number_of(json_object_get(root, "whole"), "low") < 0); /* no proof, but a bound */
    json_decref(root);
    arena_release(&arena);
}

/* ---- Other examples ---------------------------------------------------------------------------
 */

/* Copies lines `from` .. `to` - 1 of the CSV file `name`, and the header. */
static void copy_rows(const char *name, size_t from, size_t to, const char *copy)
{
    struct text text = {0}, out = {0};
    size_t row = 0;
    files_read(in_bench(name), &text);
    for (char *line = strtok(text.bytes, "\n"); line; line = strtok(NULL, "\n"), row++)
        if (!row || (row > from && row <= to))
            text_printf(&out, "%s\n", line);
    bench_write(in_bench(copy), text_string(&out));
    text_release(&text);
    text_release(&out);
}

static void append(const char *name, const char *rows)
{
    FILE *file = fopen(in_bench(name), "a");
    fputs(rows, file);
    fclose(file);
}

static void test_examples(void **state)
{
    (void)state;
    copy_rows("test.csv", 0, 900, "fewer.csv");
    refused(BAD_DATA, "has 900 of the 1000 examples", "@base.json --test @fewer.csv");
    json_t *root = check(INCONCLUSIVE, "@base.json --test @fewer.csv --shared --margin 0");
    assert_int_equal(number_of(root, "missing"), 100);
    assert_true(says(root, "warnings", "--shared"));
    assert_true(says(root, "changed", "examples"));
    json_decref(root);

    copy_rows("test.csv", 0, 1000, "more.csv");
    append("more.csv", "one more lamp,class0\n");
    root = check(OK, "@base.json --test @more.csv");
    assert_int_equal(number_of(root, "extra"), 1);
    assert_true(json_is_true(json_object_get(root, "identical")));
    json_decref(root);

    copy_rows("test.csv", 0, 1000, "relabelled.csv");
    struct text text = {0};
    files_read(in_bench("relabelled.csv"), &text);
    char *class = strstr(text.bytes, ",class0");
    class[6] = '1';
    bench_write(in_bench("relabelled.csv"), text_string(&text));
    text_release(&text);
    refused(BAD_DATA, "1 examples have another right answer",
            "@base.json --test @relabelled.csv --shared");

    copy_rows("test.csv", 0, 10, "strange.csv");
    append("strange.csv", "a lamp,class9\n");
    refused(BAD_DATA, "class9", "@base.json --test @strange.csv");
    refused(BAD_DATA, "nowhere.csv", "@base.json --test @nowhere.csv");
}

/* All new examples: two samples, which need many. */
static void test_new_examples(void **state)
{
    (void)state;
    bench_rows(in_bench("new.csv"), 1200, 3, 3);
    struct error err;
    enum status status = advisor(
        &err, "check @base.json --test @new.csv --margin 8pt --format json -o @check.json -q");
    if (status != OK && status != INCONCLUSIVE)
        fail_msg("status %d: %s", (int)status, err.text);
    json_t *root = read_json("check.json");
    assert_true(json_is_false(json_object_get(root, "paired")));
    assert_int_equal(number_of(json_object_get(root, "whole"), "examples_before"), 1000);
    assert_int_equal(number_of(json_object_get(root, "whole"), "examples"), 1200);
    assert_int_equal(json_array_size(json_object_get(root, "flips")), 0);
    json_decref(root);
    refused(BAD_DATA, "has 0 of the 1000", "@base.json --test @new.csv --shared");
    refused(USAGE, "--slice needs the examples of the baseline",
            "@base.json --test @new.csv --slice label");
}

/* ---- Never a pass -----------------------------------------------------------------------------
 */

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

/* ---- Classes and slices -----------------------------------------------------------------------
 */

static void test_slices(void **state)
{
    (void)state;
    struct text text = {0}, out = {0};
    size_t row = 0;
    struct error err;
    files_read(in_bench("test.csv"), &text);
    for (char *line = strtok(text.bytes, "\n"); line; line = strtok(NULL, "\n"), row++)
        text_printf(&out, "%s,%s,%zu\n", line,
                    !row           ? "language"
                    : row % 7 == 0 ? ""
                    : row % 2      ? "German"
                                   : "French",
                    row);
    bench_write(in_bench("sliced.csv"), text_string(&out));
    text_release(&text);
    text_release(&out);
    must(advisor(&err, "bless @study.db zero_shot --test @sliced.csv --model " TINY_MODEL
                       " -o @sliced.json -q"),
         &err);
    json_t *root = check(OK, "@sliced.json --slice language");
    const json_t *groups = json_object_get(root, "groups");
    assert_int_equal(json_array_size(groups), 3 + 3);
    static const char *const names[] = {"language=", "language=French", "language=German"};
    size_t all = 0;
    for (size_t i = 0; i < 3; i++) {
        const json_t *group = json_array_get(groups, 3 + i);
        assert_string_equal(string_of(group, "name"), names[i]);
        assert_string_equal(string_of(group, "part"), "slice");
        all += (size_t)number_of(group, "examples");
        if (!i)
            assert_int_equal(number_of(group, "examples"), TEST_ROWS / 7);
    }
    assert_int_equal(all, TEST_ROWS);
    json_decref(root);
    refused(USAGE, "different values", "@sliced.json --slice 0");
    refused(USAGE, "colour", "@sliced.json --slice colour");
}

/* ---- Files ------------------------------------------------------------------------------------
 */

static void test_also(void **state)
{
    (void)state;
    struct error err;
    struct text text = {0};
    json_decref(check(REGRESSION, "@lora.json --technique zero_shot --also junit=@report.xml "
                                  "--also markdown=@comment.md --also text=@report.txt"));
    files_read(in_bench("report.xml"), &text);
    assert_non_null(strstr(text_string(&text), "<failure type=\"regression\""));
    files_read(in_bench("comment.md"), &text);
    assert_non_null(strstr(text_string(&text), "### Accuracy check: regression"));
    files_read(in_bench("report.txt"), &text);
    assert_non_null(strstr(text_string(&text), "Regression: "));
    /* What could not be checked is there as an error. */
    assert_int_equal(advisor(&err, "check @nowhere.json -q --also junit=@error.xml"), USAGE);
    files_read(in_bench("error.xml"), &text);
    assert_non_null(strstr(text_string(&text), "<error type=\"error\" message=\"there is no"));
    refused(USAGE, "--also", "@base.json --also magic=@x");
    refused(USAGE, "--also", "@base.json --also junit");
    refused(USAGE, "--also", "@base.json --also junit=/nowhere/report.xml");
    refused(USAGE, "--margin", "@base.json --margin 2");
    refused(USAGE, "--margin", "@base.json --margin 60pt");
    refused(USAGE, "--margin", "@base.json --margin -1pt");
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
        cmocka_unit_test(test_identical),
        cmocka_unit_test(test_bless_again),
        cmocka_unit_test(test_no_texts),
        cmocka_unit_test(test_planted_drop),
        cmocka_unit_test(test_planted_noise),
        cmocka_unit_test(test_small_drop),
        cmocka_unit_test(test_another_technique),
        cmocka_unit_test(test_costs_more),
        cmocka_unit_test(test_another_setting),
        cmocka_unit_test(test_another_artifact),
        cmocka_unit_test(test_another_model),
        cmocka_unit_test(test_examples),
        cmocka_unit_test(test_new_examples),
        cmocka_unit_test(test_changed_baselines),
        cmocka_unit_test(test_damaged_baselines),
        cmocka_unit_test(test_changed_data),
        cmocka_unit_test(test_changed_metric),
        cmocka_unit_test(test_lost_artifact),
        cmocka_unit_test(test_slices),
        cmocka_unit_test(test_also),
        cmocka_unit_test(test_force),
        cmocka_unit_test(test_bless_refused),
        cmocka_unit_test(test_bless_recommended),
        cmocka_unit_test(test_reading_is_kept),
        cmocka_unit_test(test_free_text),
        cmocka_unit_test(test_the_project_guards_itself),
    };
    unsetenv("ADVISOR_MODEL"); /* the models are given or those of the baselines */
    return cmocka_run_group_tests(tests, enter, leave);
}
