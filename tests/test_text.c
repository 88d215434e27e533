/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"

#define COUNT(table) (sizeof(table) / sizeof *(table))

static void test_growing(void **state)
{
    (void)state;
    struct text text = {0};
    assert_string_equal(text_string(&text), "");
    text_clear(&text);
    text_append(&text, NULL, 0);
    assert_string_equal(text_string(&text), "");
    text_add(&text, "one");
    text_append(&text, " two three", 4);
    text_printf(&text, " %d%s", 3, "!");
    text_repeat(&text, "ab", 2);
    text_repeat(&text, "x", 0);
    assert_string_equal(text.bytes, "one two 3!abab");
    assert_int_equal(text.length, 14);
    text_clear(&text);
    assert_string_equal(text_string(&text), "");
    text_append(&text, "a\0b", 3); /* bytes of any value */
    assert_int_equal(text.length, 3);
    assert_memory_equal(text.bytes, "a\0b", 4);
    text_release(&text);
    assert_null(text.bytes);
    text_release(&text);
}

/* Around every capacity the text stays terminated and complete. */
static void test_long(void **state)
{
    (void)state;
    enum { LONG = 5000 };
    struct text added = {0}, printed = {0};
    for (int i = 0; i < LONG; i++) {
        char letter[2] = {(char)('a' + i % 26), '\0'};
        text_add(&added, letter);
        text_printf(&printed, "%c", letter[0]);
        assert_int_equal(added.length, i + 1);
        assert_int_equal(strlen(added.bytes), added.length);
        assert_true(added.capacity > added.length);
    }
    assert_string_equal(added.bytes, printed.bytes);
    struct text once = {0};
    text_printf(&once, "%s%s", added.bytes, added.bytes);
    assert_int_equal(once.length, 2 * LONG);
    text_release(&added);
    text_release(&printed);
    text_release(&once);
}

/* ---- UTF-8 ---- */

/* First and last of every length and of every gap in Unicode 15, table 3-7. */
static const struct {
    uint32_t code;
    const char *bytes;
} characters[] = {
    {0x00, "\x00"},
    {0x41, "A"},
    {0x7F, "\x7F"},
    {0x80, "\xC2\x80"},
    {0xE9, "\xC3\xA9"},
    {0x7FF, "\xDF\xBF"},
    {0x800, "\xE0\xA0\x80"},
    {0xFFF, "\xE0\xBF\xBF"},
    {0x1000, "\xE1\x80\x80"},
    {0x20AC, "\xE2\x82\xAC"},
    {0xCFFF, "\xEC\xBF\xBF"},
    {0xD000, "\xED\x80\x80"},
    {0xD7FF, "\xED\x9F\xBF"},
    {0xE000, "\xEE\x80\x80"},
    {0xFEFF, "\xEF\xBB\xBF"},
    {0xFFFF, "\xEF\xBF\xBF"},
    {0x10000, "\xF0\x90\x80\x80"},
    {0x1F600, "\xF0\x9F\x98\x80"},
    {0x3FFFF, "\xF0\xBF\xBF\xBF"},
    {0x40000, "\xF1\x80\x80\x80"},
    {0xFFFFF, "\xF3\xBF\xBF\xBF"},
    {0x100000, "\xF4\x80\x80\x80"},
    {0x10FFFF, "\xF4\x8F\xBF\xBF"},
};

static void test_characters(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(characters); i++) {
        size_t length = characters[i].code ? strlen(characters[i].bytes) : 1;
        uint32_t code = 1;
        char out[4];
        assert_int_equal(utf8_decode(characters[i].bytes, length, &code, NULL), length);
        assert_int_equal(code, characters[i].code);
        assert_int_equal(utf8_encode(characters[i].code, out), length);
        assert_memory_equal(out, characters[i].bytes, length);
        for (size_t cut = 1; cut < length; cut++) { /* its beginning is one bad subpart */
            int skip = 0;
            assert_int_equal(utf8_decode(characters[i].bytes, cut, &code, &skip), 0);
            assert_int_equal(skip, cut);
        }
    }
}

/* Every scalar value there and back, every surrogate refused. */
static void test_all_scalars(void **state)
{
    (void)state;
    for (uint32_t code = 0; code <= 0x10FFFF; code++) {
        char bytes[4];
        uint32_t back = 0;
        int length = utf8_encode(code, bytes);
        int used = utf8_decode(bytes, (size_t)length, &back, NULL);
        if (code >= 0xD800 && code <= 0xDFFF ? used != 0 : used != length || back != code)
            fail_msg("U+%04X became U+%04X", (unsigned)code, (unsigned)back);
    }
}

/* Bytes, and the lengths of their parts in turn: positive for a character, negative for a maximal
 * bad subpart. The long ones are the examples of Unicode 15, tables 3-8 to 3-11. */
static void test_bad_parts(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        int parts[12];
    } rows[] = {
        {"\x80", {-1}},
        {"\xBF\x41", {-1, 1}},
        {"\xC0\x80", {-1, -1}},
        {"\xC1\xBF", {-1, -1}},
        {"\xC2", {-1}},
        {"\xC2\x41", {-1, 1}},
        {"\xC2\xC2\x80", {-1, 2}},
        {"\xE0\x9F\xBF", {-1, -1, -1}},
        {"\xE0\xA0", {-2}},
        {"\xE0\xA0\x41", {-2, 1}},
        {"\xE2\x82\xE2\x82\xAC", {-2, 3}},
        {"\xED\xA0\x80", {-1, -1, -1}},
        {"\xED\xBF\xBF", {-1, -1, -1}},
        {"\xF0\x8F\xBF\xBF", {-1, -1, -1, -1}},
        {"\xF0\x90\x80", {-3}},
        {"\xF0\x90\x80\x41", {-3, 1}},
        {"\xF0\x9F\x98\xF0\x9F\x98\x80", {-3, 4}},
        {"\xF4\x90\x80\x80", {-1, -1, -1, -1}},
        {"\xF5\x80\x80\x80", {-1, -1, -1, -1}},
        {"\xFE\xFF", {-1, -1}},
        {"\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41", {-1, -1, -1, -1, -1, -1, -1, -1, 1}},
        {"\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41", {-1, -1, -1, -1, -1, -1, -1, -1, 1}},
        {"\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42", {-1, -1, -1, -1, -1, 1, -1, -1, 1}},
        {"\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41", {-2, -1, -3, -2, 1}},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        size_t length = strlen(rows[i].bytes), at = 0, first_bad = 0;
        bool bad = false;
        for (const int *part = rows[i].parts; *part; part++) {
            uint32_t code;
            int skip = 0;
            int used = utf8_decode(rows[i].bytes + at, length - at, &code, &skip);
            if (used != (*part > 0 ? *part : 0) || (*part < 0 && skip != -*part))
                fail_msg("row %zu, byte %zu: used %d, skip %d", i, at, used, skip);
            if (*part < 0 && !bad)
                first_bad = at;
            bad = bad || *part < 0;
            at += (size_t)abs(*part);
        }
        assert_int_equal(at, length);
        size_t offset = 99;
        assert_int_equal(utf8_valid(rows[i].bytes, length, &offset), !bad);
        assert_int_equal(offset, first_bad);
        assert_false(utf8_valid(rows[i].bytes, length, NULL));
    }
}

static void test_valid(void **state)
{
    (void)state;
    size_t offset = 99;
    assert_true(utf8_valid("", 0, &offset));
    assert_true(utf8_valid("a\0b", 3, &offset));
    assert_true(utf8_valid("na\u00efve \u4e16\u754c \U0001F600", 18, &offset));
    assert_int_equal(offset, 99);
    assert_false(utf8_valid("abc\xFF", 4, &offset));
    assert_int_equal(offset, 3);
    assert_true(utf8_valid("abc\xFF", 3, NULL));
}

static void test_columns(void **state)
{
    (void)state;
    static const struct {
        const char *string;
        int columns;
    } rows[] = {
        {"", 0},
        {"abc", 3},
        {"na\u00efve", 5},
        {"nai\u0308ve", 5}, /* combining diaeresis */
        {"\u4e16\u754c", 4},
        {"\uff21\uff41", 4}, /* full-width letters */
        {"\uff61", 1},       /* half-width stop */
        {"\ud55c\uad6d", 4},
        {"\u3042\u30a2", 4},
        {"\U0001F600", 2},
        {"\u0418\u0439 \u03b1", 4},
        {"a\u200bb", 2},     /* zero-width space */
        {"\u2588\u2591", 2}, /* bars of a chart */
        {"\xFFx", 2},        /* a bad byte shows as one replacement character */
        {"\xE2\x82x", 2},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        if (utf8_columns(rows[i].string) != rows[i].columns)
            fail_msg("row %zu: %d columns", i, utf8_columns(rows[i].string));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_growing),    cmocka_unit_test(test_long),
        cmocka_unit_test(test_characters), cmocka_unit_test(test_all_scalars),
        cmocka_unit_test(test_bad_parts),  cmocka_unit_test(test_valid),
        cmocka_unit_test(test_columns),
    };
    return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
