/* SPDX-License-Identifier: Apache-2.0
 *
 * What `advisor check` finds: nothing changed, planted answers, another technique, setting,
 * artifact or model, other examples, slices, and the same verdict in several files. What is refused
 * is in test_check_refusals.c.
 */
#define _XOPEN_SOURCE 700
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "advisor/baseline.h"
#include "tests/check_support.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_identical),
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
        cmocka_unit_test(test_slices),
        cmocka_unit_test(test_also),
    };
    return cmocka_run_group_tests(tests, enter, leave);
}
