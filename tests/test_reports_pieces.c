/* SPDX-License-Identifier: Apache-2.0
 *
 * What the lines of a report are made of: text that a terminal can be given, numbers for people,
 * and the grid.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "reports/grid.h"
#include "reports/human.h"
#include "reports/plain.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* ---- Plain text -------------------------------------------------------------------------------
 */

static void test_plain_text(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to;
    } rows[] = {
        {"", ""},
        {"plain", "plain"},
        {"tab\tline\n", "tab line "},
        {"\033]0;x\a", "<U+001B>]0;x<U+0007>"},
        {"\r\x7F", "<U+000D><U+007F>"},
        {"\xC2\x9B"
         "31m",
         "<U+009B>31m"},
        {"\u2066\u061C", "<U+2066><U+061C>"},
        {"\uFEFF\u200B", "<U+FEFF><U+200B>"},
        {"\U000E0041", "<U+E0041>"},
        {"caf\u00E9 \u6F22", "caf\u00E9 \u6F22"},
        {"\u0645\u06CC\u200C\u062E", "\u0645\u06CC\u200C\u062E"}, /* a joiner belongs here */
        {"\xFF\xE6\xBC", "<0xFF><0xE6><0xBC>"}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct text out = {0};
        plain_add(&out, rows[i].from);
        assert_string_equal(text_string(&out), rows[i].to);
        text_release(&out);
    }
}

static void test_plain_cut(void **state)
{
    (void)state;
    static const struct {
        const char *from;
        int columns, used;
        const char *to;
    } rows[] = {{"short", 5, 5, "short"},
                {"longer", 5, 5, "long\u2026"},
                {"longer", 1, 1, "\u2026"},
                {"\u6F22\u5B57\u6F22", 6, 6, "\u6F22\u5B57\u6F22"},
                {"\u6F22\u5B57\u6F22", 5, 5, "\u6F22\u5B57\u2026"},
                {"\u6F22\u5B57\u6F22", 4, 3, "\u6F22\u2026"}, /* half a letter does not fit */
                {"e\u0301e\u0301e\u0301", 2, 2, "e\u0301\u2026"},
                {"\033[1m", 12, 11, "<U+001B>[1m"}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct text out = {0};
        assert_int_equal(plain_cut(&out, rows[i].from, rows[i].columns), rows[i].used);
        assert_string_equal(text_string(&out), rows[i].to);
        text_release(&out);
    }
}

static void test_plain_wrap(void **state)
{
    (void)state;
    static const struct {
        const char *from;
        int at, indent, columns;
        const char *to;
    } rows[] = {{"one two three", 0, 0, 80, "one two three"},
                {"one two three", 0, 2, 7, "one two\n  three"},
                {"one two three", 4, 4, 11, "one two\n    three"},
                {"one  two", 0, 0, 3, "one\ntwo"},
                {"toolongforthis a", 0, 1, 5, "toolongforthis\n a"},
                {"", 0, 0, 10, ""}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct text out = {0};
        plain_wrap(&out, rows[i].from, rows[i].at, rows[i].indent, rows[i].columns);
        assert_string_equal(text_string(&out), rows[i].to);
        text_release(&out);
    }
}

/* ---- Numbers ----------------------------------------------------------------------------------
 */

static void test_human_numbers(void **state)
{
    (void)state;
    static const struct {
        void (*write)(struct text *, struct measured);
        double value;
        const char *expected;
    } rows[] = {{human_seconds, 0, "0 s"},
                {human_seconds, 0.84, "0.8 s"},
                {human_seconds, 4e-5, "<0.1 s"},
                {human_seconds, 12.4, "12 s"},
                {human_seconds, 59.6, "1m00s"},
                {human_seconds, 3599.7, "1h00m"},
                {human_seconds, 5120, "1h25m"},
                {human_seconds, 90, "1m30s"},
                {human_milliseconds, 0.0004, "<0.1 ms"},
                {human_milliseconds, 0, "0 ms"},
                {human_milliseconds, 21.4, "21 ms"},
                {human_milliseconds, 9.96, "10 ms"},
                {human_milliseconds, 1500, "1.5 s"},
                {human_bytes, 0, "0"},
                {human_bytes, 900, "900 B"},
                {human_bytes, 1048576, "1.0M"},
                {human_bytes, 858993459, "819M"},
                {human_bytes, 1e18, "888P"},
                {human_bytes, 1023, "1.0K"},
                {human_count, 0, "0"},
                {human_count, 999, "999"},
                {human_count, 460800, "461k"},
                {human_count, 134515008, "135M"},
                {human_count, 1500, "1.5k"},
                {human_metric, 0.91346, "0.913"}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct text out = {0};
        rows[i].write(&out, measured(rows[i].value));
        assert_string_equal(text_string(&out), rows[i].expected);
        text_clear(&out);
        rows[i].write(&out, (struct measured){0});
        assert_string_equal(text_string(&out), "-");
        text_release(&out);
    }
}

static void test_grid_drops_what_does_not_fit(void **state)
{
    (void)state;
    static const struct grid_column columns[] = {
        {"", false}, {"name", false}, {"value", false}, {"far", true}};
    struct grid grid;
    struct text out = {0};
    grid_init(&grid, columns, COUNT(columns), 1);
    text_add(grid_cell(&grid, 0, 0), "1");
    text_add(grid_cell(&grid, 0, 1), "something_long");
    text_add(grid_cell(&grid, 0, 2), "0.123");
    text_add(grid_cell(&grid, 0, 3), "99");
    grid_write(&grid, 40, false, 1, &out);
    assert_string_equal(text_string(&out), "     name            value  far\n"
                                           "  1  something_long  0.123   99\n");
    text_clear(&out);
    grid_write(&grid, 29, false, 1, &out);
    assert_string_equal(text_string(&out), "    name           value far\n"
                                           "  1 something_long 0.123  99\n");
    text_clear(&out);
    grid_write(&grid, 20, false, 1, &out);
    assert_string_equal(text_string(&out), "    name       value\n"
                                           "  1 something\u2026 0.123\n");
    text_release(&out);
    grid_release(&grid);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_text),
        cmocka_unit_test(test_plain_cut),
        cmocka_unit_test(test_plain_wrap),
        cmocka_unit_test(test_human_numbers),
        cmocka_unit_test(test_grid_drops_what_does_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
