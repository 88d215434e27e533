/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/text.h"

enum { ROOM = sizeof((struct error *)0)->text - 1 }; /* bytes of the longest sentence */

static void test_set(void **state)
{
    (void)state;
    struct error err;
    assert_int_equal(error_set(&err, BAD_DATA, "%s:%d: %s", "a.csv", 3, "too few"), BAD_DATA);
    assert_int_equal(err.status, BAD_DATA);
    assert_string_equal(err.text, "a.csv:3: too few");
    assert_int_equal(error_set(&err, FAILED, "%s", ""), FAILED);
    assert_string_equal(err.text, "");
    assert_int_equal(error_set(NULL, USAGE, "unused %d", 1), USAGE);
}

static void test_prefix(void **state)
{
    (void)state;
    struct error err;
    error_set(&err, BAD_MODEL, "key missing");
    assert_int_equal(error_prefix(&err, "%s, layer %d", "x.gguf", 2), BAD_MODEL);
    assert_string_equal(err.text, "x.gguf, layer 2: key missing");
    assert_int_equal(err.status, BAD_MODEL);
    assert_int_equal(error_prefix(NULL, "x"), FAILED);
}

/* `before` letters, then characters of `character`, more than fit. */
static void fill(char *text, size_t size, int before, const char *character)
{
    size_t length = strlen(character), at = (size_t)before;
    memset(text, 'a', at);
    for (; at + length < size; at += length)
        memcpy(text + at, character, length);
    text[at] = '\0';
}

/* A cut sentence ends with a whole character, and no more is lost than that takes. */
static void test_cut(void **state)
{
    (void)state;
    static const char *const characters[] = {"b", "\u00e9", "\u20ac", "\U0001F600"};
    char text[3 * ROOM];
    for (size_t c = 0; c < sizeof characters / sizeof *characters; c++)
        for (int before = 0; before < 4; before++) {
            size_t width = strlen(characters[c]);
            fill(text, sizeof text, before, characters[c]);
            size_t kept = (size_t)before + (ROOM - (size_t)before) / width * width;
            struct error err;
            error_set(&err, FAILED, "%s", text);
            assert_int_equal(strlen(err.text), kept);
            assert_true(utf8_valid(err.text, kept, NULL));
            assert_memory_equal(err.text, text, kept);
            error_prefix(&err, "in");
            assert_memory_equal(err.text, "in: ", 4);
            kept = (size_t)before + (ROOM - 4 - (size_t)before) / width * width;
            assert_int_equal(strlen(err.text), kept + 4);
            assert_memory_equal(err.text + 4, text, kept);
            error_set(&err, FAILED, "short");
            error_prefix(&err, "%s", text); /* a prefix that leaves no room */
            kept = (size_t)before + (ROOM - (size_t)before) / width * width;
            assert_int_equal(strlen(err.text), kept);
            assert_memory_equal(err.text, text, kept);
        }
}

/* What just fits is not cut, whatever its last character. */
static void test_fits(void **state)
{
    (void)state;
    static const char *const ends[] = {"b", "\u00e9", "\u20ac", "\U0001F600"};
    for (size_t e = 0; e < sizeof ends / sizeof *ends; e++)
        for (size_t length = ROOM - 1; length <= ROOM; length++) {
            char text[ROOM + 1];
            memset(text, 'a', sizeof text);
            memcpy(text + length - strlen(ends[e]), ends[e], strlen(ends[e]) + 1);
            struct error err;
            error_set(&err, FAILED, "%s", text);
            assert_string_equal(err.text, text);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set),
        cmocka_unit_test(test_prefix),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_fits),
    };
    return cmocka_run_group_tests_name("error", tests, NULL, NULL);
}
