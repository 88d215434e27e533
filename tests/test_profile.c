/* SPDX-License-Identifier: Apache-2.0
 *
 * The profile of a dataset: its numbers on data small enough to count by hand, and data that leave
 * nothing to measure.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "advisor/profile.h"
#include "base/text.h"
#include "datasets/profile.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static bool near(double a, double b)
{
    return fabs(a - b) <= 1e-9 * fmax(1, fabs(b));
}

static void parse(struct dataset *data, const char *bytes, const struct dataset_options *options)
{
    struct error err = {0};
    if (dataset_parse("data.csv", bytes, strlen(bytes), options, data, &err) != OK)
        fail_msg("%s", err.text);
}

/* ---- Lengths ----------------------------------------------------------------------------------
 */

static void test_lengths(void **state)
{
    (void)state;
    double values[20];
    for (size_t i = 0; i < 20; i++)
        values[i] = (double)(20 - i);
    struct lengths lengths = lengths_of(values, 20);
    assert_true(near(lengths.mean, 10.5) && near(lengths.p50, 10) && near(lengths.p95, 19) &&
                near(lengths.max, 20));
    lengths = lengths_of(values, 1);
    assert_true(near(lengths.mean, 1) && near(lengths.p50, 1) && near(lengths.p95, 1));
    lengths = lengths_of(values, 0);
    assert_true(near(lengths.max, 0));
}

/* ---- Counted by hand --------------------------------------------------------------------------
 */

static void test_by_hand(void **state)
{
    static const char bytes[] = "text,label\n"
                                "the red lamp is broken,a\n"
                                "the red lamp is broken,b\n"
                                "The red  LAMP is broken,a\n"
                                "where is my blue jacket,a\n"
                                "an invoice for the garden,b\n"
                                "some kettle came late,c\n"
                                "nobody answers my letters,a\n"
                                "it is green and heavy,a\n";
    (void)state;
    struct dataset data;
    struct data_profile profile;
    struct dataset_options options = {.task = TASK_CLASSIFICATION};
    parse(&data, bytes, &options);
    data_profile_make(&data, NULL, 0, 0, &profile);
    assert_int_equal(profile.examples, 8);
    assert_int_equal(profile.different, 6);
    assert_int_equal(profile.classes, 3);
    assert_int_equal(profile.smallest, 1);
    assert_int_equal(profile.largest, 5);
    assert_true(near(profile.majority, 5 / 8.0));
    assert_string_equal(profile.majority_answer, "a");
    double entropy = -(5 / 8.0 * log(5 / 8.0) + 2 / 8.0 * log(2 / 8.0) + 1 / 8.0 * log(1 / 8.0));
    assert_true(near(profile.balance, entropy / log(3)));
    assert_int_equal(profile.facts.exact_duplicates.count, 2);
    assert_int_equal(profile.facts.conflicting_targets.count, 1);
    assert_true(near(profile.input_words.mean, (5 + 5 + 5 + 5 + 5 + 4 + 4 + 5) / 8.0));
    assert_true(near(profile.input_words.max, 5));
    assert_true(near(profile.target_words.mean, 1));
    assert_false(profile.noise.known);
    data_profile_release(&profile);
    dataset_release(&data);
}

/* With a test file: leakage, and words from elsewhere. */
static void test_test_file(void **state)
{
    (void)state;
    struct text text = {0};
    struct dataset data, test;
    struct data_profile profile;
    text_add(&text, "text,label\n");
    for (int i = 0; i < 40; i++)
        text_printf(&text, "lamp number%d is %s,%s\n", i, i % 2 ? "on" : "off", i % 2 ? "y" : "n");
    parse(&data, text_string(&text), NULL);
    struct dataset_options like = {.like = &data};
    parse(&test, "text,label\nlamp number3 is on,y\nquite other words here,n\nlamp is off,n\n",
          &like);
    data_profile_make(&data, &test, 0, 0, &profile);
    assert_true(profile.divides);
    assert_int_equal(profile.facts.leakage.count, 1);
    assert_int_equal(profile.test, 3);
    /* Of the 4 + 4 + 3 words of the test file, four are new. */
    assert_true(near(profile.test_unseen_words, 4 / 11.0));
    /* Of the four words of a development example, its number is new. */
    assert_true(near(profile.unseen_words, 0.25));
    data_profile_release(&profile);
    dataset_release(&test);
    dataset_release(&data);
    text_release(&text);
}

/* ---- The metric -------------------------------------------------------------------------------
 */

static void test_metric(void **state)
{
    static const struct {
        size_t first, second, third;
        const char *metric;
    } rows[] = {{40, 40, 40, "accuracy"},
                {50, 40, 30, "accuracy"},
                {100, 10, 10, "macro_f1"},
                {90, 80, 4, "macro_f1"}};
    (void)state;
    for (size_t r = 0; r < COUNT(rows); r++) {
        struct text text = {0};
        struct dataset data;
        struct data_profile profile;
        const char *reason;
        size_t counts[] = {rows[r].first, rows[r].second, rows[r].third};
        text_add(&text, "text,label\n");
        for (size_t c = 0; c < 3; c++)
            for (size_t i = 0; i < counts[c]; i++)
                text_printf(&text, "some w%zu and v%zu here,class%zu\n", i, i * 7 + c, c);
        parse(&data, text_string(&text), NULL);
        data_profile_make(&data, NULL, 0, 0, &profile);
        const struct metric *metric = profile_metric(&data, &profile, &reason);
        if (strcmp(metric->name, rows[r].metric) != 0)
            fail_msg("row %zu: %s, since %s (balance %g)", r, metric->name, reason,
                     profile.balance);
        data_profile_release(&profile);
        dataset_release(&data);
        text_release(&text);
    }
}

/* ---- Data that leave nothing to measure --------------------------------------------------------
 */

static void profile_of(const char *bytes, enum task task, struct dataset *data,
                       struct data_profile *profile)
{
    struct dataset_options options = {.task = task};
    parse(data, bytes, &options);
    data_profile_make(data, NULL, 0, 0, profile);
}

static void let_go(struct dataset *data, struct data_profile *profile)
{
    data_profile_release(profile);
    dataset_release(data);
}

static void test_one_row(void **state)
{
    (void)state;
    struct dataset data;
    struct data_profile profile;
    profile_of("text,label\nhello there,world\n", TASK_GENERATION, &data, &profile);
    assert_int_equal(profile.examples, 1);
    assert_false(profile.divides);
    assert_non_null(strstr(profile.why_not, "too few"));
    assert_true(near(profile.majority, 1));
    let_go(&data, &profile);
}

static void test_all_the_same(void **state)
{
    (void)state;
    struct text text = {0};
    struct dataset data;
    struct data_profile profile;
    text_add(&text, "text,label\n");
    for (int i = 0; i < 300; i++)
        text_printf(&text, "the very same text,%s\n", i % 2 ? "a" : "b");
    profile_of(text_string(&text), TASK_CLASSIFICATION, &data, &profile);
    assert_int_equal(profile.facts.exact_duplicates.count, 299);
    assert_int_equal(profile.facts.conflicting_targets.count, 1);
    assert_int_equal(profile.different, 1);
    assert_false(profile.divides);
    assert_false(profile.noise.known);
    let_go(&data, &profile);
    text_release(&text);
}

/* 10,000 classes of one text, and of three. */
static void test_many_labels(void **state)
{
    (void)state;
    for (int each = 1; each <= 3; each += 2) {
        struct text text = {0};
        struct dataset data;
        struct data_profile profile;
        text_add(&text, "text,label\n");
        for (int i = 0; i < 10000 * each; i++)
            text_printf(&text, "word%d of class%d,c%d\n", i, i % 10000, i % 10000);
        profile_of(text_string(&text), TASK_CLASSIFICATION, &data, &profile);
        assert_int_equal(profile.classes, 10000);
        assert_true(near(profile.balance, 1));
        assert_false(profile.noise.known);
        assert_true(profile.divides == (each == 3) || profile.why_not);
        let_go(&data, &profile);
        text_release(&text);
    }
}

static void test_long_rows(void **state)
{
    (void)state;
    struct text text = {0};
    struct dataset data;
    struct data_profile profile;
    text_add(&text, "text,label\n");
    for (int i = 0; i < 9; i++) {
        for (int w = 0; w < 100000; w++)
            text_printf(&text, "w%d ", (w * 7 + i * 13) % 5000);
        text_printf(&text, ",%s\n", i % 2 ? "a" : "b");
    }
    profile_of(text_string(&text), TASK_CLASSIFICATION, &data, &profile);
    assert_true(near(profile.input_words.p50, 100000));
    let_go(&data, &profile);
    text_release(&text);
}

/* A single class is refused by the reader, in words. */
static void test_one_class(void **state)
{
    static const char bytes[] = "text,label\none,a\ntwo,a\nthree,a\nfour,a\n";
    (void)state;
    struct dataset data;
    struct error err = {0};
    struct dataset_options options = {.task = TASK_CLASSIFICATION};
    assert_int_equal(dataset_parse("data.csv", bytes, strlen(bytes), &options, &data, &err),
                     BAD_DATA);
    assert_non_null(strstr(err.text, "class"));
}

/* Which columns were read as what stands in both forms. */
static void test_columns_are_named(void **state)
{
    static const struct {
        const char *bytes;
        const char *text;
        const char *json;
    } rows[] = {
        {"id,title,text,label\n1,a,b,x\n2,c,d,y\n3,e,f,x\n4,g,h,y\n",
         "Columns   input title,text; target label\n",
         "\"input\": \"title,text\",\n      \"target\": \"label\",\n      \"rationale\": null,\n"
         "      \"not_used\": [\n        \"id\"\n      ]"},
        {"question,answer,reasoning\nq,1,z\nr,20,z\ns,300,z\n",
         "Columns   input question; target answer; rationale reasoning\n",
         "\"rationale\": \"reasoning\",\n      \"not_used\": []"},
        {"question,answer\nq,a #### 1\nr,b #### 20\ns,c #### 300\n",
         "Columns   input question; target answer behind \"####\"; rationale before it\n",
         "\"rationale\": \"answer\",\n      \"not_used\": []"},
        {"question,A,B,answer\nq,u,v,A\nr,u,v,B\ns,u,v,B\n",
         "Columns   input question,A,B; target answer\n",
         "\"input\": \"question,A,B\",\n      \"target\": \"answer\""}};
    (void)state;
    for (size_t r = 0; r < COUNT(rows); r++) {
        struct dataset data;
        struct whole_profile whole = {.data = &data};
        struct text text = {0}, json = {0};
        parse(&data, rows[r].bytes, NULL);
        data_profile_make(&data, NULL, 0, 0, &whole.profile);
        whole.metric = profile_metric(&data, &whole.profile, &whole.metric_reason);
        profile_text(&whole, (struct report_style){.columns = 80}, &text);
        profile_json(&whole, &json);
        if (!strstr(text_string(&text), rows[r].text) || !strstr(text_string(&json), rows[r].json))
            fail_msg("row %zu: %s%s", r, text_string(&text), text_string(&json));
        text_release(&text);
        text_release(&json);
        let_go(&data, &whole.profile);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lengths),     cmocka_unit_test(test_by_hand),
        cmocka_unit_test(test_test_file),   cmocka_unit_test(test_metric),
        cmocka_unit_test(test_one_row),     cmocka_unit_test(test_all_the_same),
        cmocka_unit_test(test_many_labels), cmocka_unit_test(test_long_rows),
        cmocka_unit_test(test_one_class),   cmocka_unit_test(test_columns_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
