/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "evaluators/answers.h"

struct pair {
    const char *left;
    const char *right;
};

static void test_normalise(void **state)
{
    (void)state;
    static const struct pair rows[] = {
        {"", ""},
        {" \t\n ", ""},
        {"Paris", "paris"},
        {"  New \t\n York. ", "new york"},
        {"New\u00A0York\u2003City", "new york city"},
        {"\"Paris.\"", "paris"},
        {"\u201CParis\u201D!", "paris"},
        {"\u00ABParis \u00BB", "paris"},
        {"'`a`'", "a"},
        {"it's", "it's"},
        {"'tis", "'tis"},
        {"'a' and 'b'", "a' and 'b"}, /* the marks at both ends look like one pair */
        {"U.S.A.", "u.s.a"},
        {"wait...?!", "wait"},
        {"1,5", "1,5"},
        {"?", "?"},
        {"...", "..."},
        {"\"\"", "\"\""},
        {"\"", "\""},
        {"K\u00D6LN \u00D7 2", "k\u00F6ln \u00D7 2"},
        {"\u0391\u0398\u0397\u039D\u0391", "\u03B1\u03B8\u03B7\u03BD\u03B1"},
        {"\u041C\u041E\u0421\u041A\u0412\u0410 \u0401",
         "\u043C\u043E\u0441\u043A\u0432\u0430 \u0451"},
        {"\u0141\u00D3D\u0179 \u0130 \u0178 \u0160", "\u0142\u00F3d\u017A \u0130 \u00FF \u0161"},
        {"\u0386\u0389\u038C\u038E\u03AA", "\u03AC\u03AE\u03CC\u03CD\u03CA"},
        {"A\xFF\xC3", "a\xFF\xC3"}, /* no UTF-8: kept */
    };
    struct text out = {0};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        answer_normalise(rows[i].left, &out);
        if (strcmp(text_string(&out), rows[i].right) != 0 || strlen(rows[i].right) != out.length)
            fail_msg("\"%s\" becomes \"%s\", expected \"%s\"", rows[i].left, text_string(&out),
                     rows[i].right);
    }
    text_release(&out);
}

static void test_equals(void **state)
{
    (void)state;
    assert_true(answer_equals("The  Cat.", "the cat"));
    assert_true(answer_equals("", " "));
    assert_false(answer_equals("cat", "the cat"));
    assert_false(answer_equals("?", "!"));
    assert_false(answer_equals("caf\u00E9", "cafe"));
    assert_false(answer_equals("", "."));
}

/* Answer and target that hold the same number. */
static void test_same_numbers(void **state)
{
    (void)state;
    static const struct pair rows[] = {
        {"72", "72"},
        {"The answer is 72.", "72"},
        {"3 + 4 = 7", "7"},
        {"1,234", "1234"},
        {"1234", "1,234"},
        {"$1,234,567.50", "1234567.5"},
        {"1'234'567", "1234567"},
        {"1\u2019234", "1234"},
        {"1\u00A0234", "1234"},
        {"1\u202F234", "1234"},
        {"1\u2009234", "1234"},
        {"-5", "-5"},
        {"\u22125", "-5"},
        {"-$5", "-5"},
        {"$-5", "-5"},
        {"\u20AC-5", "-5"},
        {"x = -5", "-5"},
        {"+5", "5"},
        {"007", "7"},
        {"0.50", "0.5"},
        {".5", "0.5"},
        {"No.5", "5"},
        {"3,14", "3.14"},
        {"0,125", "0.125"},
        {"1234,567", "1234.567"},
        {"1e3", "1000"},
        {"1.5E-3", "0.0015"},
        {"2e+2", "200"},
        {"50%", "50"},
        {"12kg", "12"},
        {"1, 2 and 3", "3"},
        {"1,2,3", "3"},
        {"work: 1 + 1\n#### 2", "2"},
        {"2", "explained with 3 steps\n#### 2"},
        {"5 #### 6 #### 7", "#### 7"},
        {"0.30000000000000004", "0.3"},
        {"10 (ten)", "10"},
        {"from 3 to 12/4 it makes 9", "9"},
        {"-0", "0"},
        {"72.", "72"},
        {"72,", "72"},
        {"9007199254740991", "9007199254740991"},
        {"1,234.5", "1234.5"},
        {"A1 is 4", "4"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (!answer_equals_number(rows[i].left, rows[i].right))
            fail_msg("\"%s\" should be \"%s\"", rows[i].left, rows[i].right);
}

static void test_other_numbers(void **state)
{
    (void)state;
    static const struct pair rows[] = {
        {"71", "72"},
        {"", "72"},
        {"seventy-two", "72"},
        {"72 or 73", "72"},
        {"-5", "5"},
        {"10-5", "-5"},
        {"10-5", "5"},
        {"x-5", "-5"},
        {"1234567", "1234568"},
        {"9007199254740990", "9007199254740991"},
        {"1234567.5", "1234568.5"},
        {"3.33", "3.3333"},
        {"H2", "2"},
        {"3/4", "4"},
        {"10:30", "30"},
        {"2024-05-12", "12"},
        {"12.05.2024", "2024"},
        {"1.2.3", "3"},
        {"1.234,56", "56"},
        {"1,23,456", "456000"},
        {"7 #### none", "7"},
        {"1e999", "1e998"}, /* too large for a number, compared as texts */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (answer_equals_number(rows[i].left, rows[i].right))
            fail_msg("\"%s\" should not be \"%s\"", rows[i].left, rows[i].right);
}

/* A target without exactly one number is compared as a text. */
static void test_targets_as_texts(void **state)
{
    (void)state;
    assert_true(answer_equals_number("3/4", "3/4"));
    assert_false(answer_equals_number("1/4", "3/4"));
    assert_true(answer_equals_number("None.", "none"));
    assert_true(answer_equals_number("3 and 4", "3 and 4"));
    assert_false(answer_equals_number("4", "3 and 4"));
    assert_true(answer_equals_number("thus #### 5-10", "5-10"));
    assert_true(answer_equals_number("10:30", "10:30"));
    assert_true(answer_equals_number("1e999", "1e999"));
}

/* Whatever a model says, the comparison ends, stays inside the text and is reflexive. */
static void test_any_bytes(void **state)
{
    (void)state;
    static const char letters[] = "0123456789.,-+eE/:$ '#\xE2\x88\x92\xC2\xA0\xFFx)";
    struct random random = random_stream(1, "any bytes", 0);
    struct text text = {0};
    for (int round = 0; round < 20000; round++) {
        text_clear(&text);
        size_t length = random_below(&random, 24);
        for (size_t i = 0; i < length; i++)
            text_append(&text, &letters[random_below(&random, sizeof letters - 1)], 1);
        assert_true(answer_equals_number(text_string(&text), text_string(&text)));
        assert_true(answer_equals(text_string(&text), text_string(&text)));
    }
    text_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_normalise),        cmocka_unit_test(test_equals),
        cmocka_unit_test(test_same_numbers),     cmocka_unit_test(test_other_numbers),
        cmocka_unit_test(test_targets_as_texts), cmocka_unit_test(test_any_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
