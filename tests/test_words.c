/* SPDX-License-Identifier: Apache-2.0
 *
 * Words as comparisons see them: case, spaces and sets of hashes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/random.h"
#include "datasets/words.h"

static void test_normalise(void **state)
{
    static const struct {
        const char *text, *expected;
    } cases[] = {
        {"", ""},
        {" \t\n", ""},
        {"  A  b\r\nC ", "a b c"},
        {"Z@[`{~", "z@[`{~"},
        {"\xC3\x89t\xC3\xA9\xC2\xA0\xC3\x97", "\xC3\xA9t\xC3\xA9 \xC3\x97"}, /* no-break space */
        {"\xCE\xA3\xCE\x91 \xD0\x96\xD0\x81", "\xCF\x83\xCE\xB1 \xD0\xB6\xD1\x91"},
        {"a\xE2\x80\x83"
         "B\xE3\x80\x80"
         "C",
         "a b c"}, /* em and ideographic space */
        {"\xF0\x9F\x98\x80"
         "A",
         "\xF0\x9F\x98\x80"
         "a"},
        {"A\xFF"
         "B",
         "a\xC3\xBF"
         "b"}, /* no UTF-8: the byte's value as a character */
    };
    (void)state;
    struct text out = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        words_normalise(cases[i].text, &out);
        assert_string_equal(text_string(&out), cases[i].expected);
        assert_int_equal(out.length, strlen(cases[i].expected));
    }
    text_release(&out);
}

/* Characters of every size across the places where the text is handed on in pieces. */
static void test_long_texts(void **state)
{
    static const char *const characters[] = {"x", " ", "\xC3\xA9", "\xE4\xB8\x80",
                                             "\xF0\x9F\x98\x80"};
    (void)state;
    struct text in = {0}, out = {0};
    for (size_t shift = 0; shift < 8; shift++)
        for (size_t c = 0; c < sizeof characters / sizeof *characters; c++) {
            text_clear(&in);
            text_repeat(&in, "x", (int)shift);
            for (int i = 0; i < 400; i++)
                text_printf(&in, "y%s%s", characters[c], i % 3 ? "" : "z");
            text_add(&in, "!");
            words_normalise(in.bytes, &out);
            assert_string_equal(out.bytes, in.bytes);
        }
    text_release(&in);
    text_release(&out);
}

static void test_unique(void **state)
{
    static const size_t counts[] = {0, 1, 2, 3, 9, 10, 11, 132, 133, 499, 500, 501, 2000};
    (void)state;
    struct random random = random_stream(2, "hashes", 0);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        for (size_t values = 1; values <= 10000; values *= 10) {
            uint64_t *hashes = memory_alloc(counts[i] * sizeof *hashes);
            bool *seen = memory_zalloc(values * sizeof *seen);
            size_t different = 0;
            for (size_t k = 0; k < counts[i]; k++) {
                hashes[k] = UINT64_MAX - random_below(&random, values);
                different += !seen[UINT64_MAX - hashes[k]];
                seen[UINT64_MAX - hashes[k]] = true;
            }
            assert_int_equal(words_unique(hashes, counts[i]), different);
            for (size_t k = 0; k < different; k++)
                assert_true(seen[UINT64_MAX - hashes[k]] && (!k || hashes[k - 1] < hashes[k]));
            free(seen);
            free(hashes);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_normalise),
        cmocka_unit_test(test_long_texts),
        cmocka_unit_test(test_unique),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
