/* SPDX-License-Identifier: Apache-2.0
 *
 * What is printed for people and spreadsheets: made-up reports against tests/golden/, any width,
 * hostile text.
 *
 * After a wanted change of the layout, ADVISOR_GOLDEN=write writes the golden files anew; read the
 * difference before it is kept.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "reports/plain.h"
#include "tests/made_reports.h"

/* Takes what stands between two marks out of a text, if they are there. */
static void cut_out(struct text *text, const char *before, const char *behind)
{
    char *from = strstr(text_string(text) ? text->bytes : "", before);
    char *to = from ? strstr(from, behind) : NULL;
    if (!to)
        return;
    from += strlen(before);
    memmove(from, to, strlen(to) + 1);
    text->length -= (size_t)(to - from);
}

static void check_lines(const char *string, int columns)
{
    char line[4096];
    while (*string) {
        size_t length = strcspn(string, "\n");
        assert_true(length < sizeof line);
        memcpy(line, string, length);
        line[length] = '\0';
        bool command = !strncmp(line, "Again", 5); /* printed to be copied: never broken */
        if (!command && utf8_columns(line) > columns)
            print_error("longer than %d columns: %s\n", columns, line);
        assert_true(command || utf8_columns(line) <= columns);
        assert_true(!length || line[length - 1] != ' ');
        string += length + (string[length] == '\n');
    }
}

/* ---- Text -------------------------------------------------------------------------------------
 */

static void test_text_is_as_agreed(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(made_reports); i++) {
        struct report report = made_reports[i].make();
        struct text out = written(&report, "text", 80, false);
        check_golden(made_reports[i].name, "txt", &out);
        check_lines(text_string(&out), 80);
        text_release(&out);
    }
}

/* A metric over several seeds is said to be one in every format for people. */
static void test_seeds_are_told(void **state)
{
    (void)state;
    static const char *const formats[] = {"text", "markdown", "html"};
    for (size_t i = 0; i < COUNT(formats); i++) {
        struct report report = whole_report();
        struct ranked rows[16];
        struct text before = written(&report, formats[i], 80, false);
        assert_null(strstr(text_string(&before), "mean over seeds"));
        assert_in_range(report.ranking_count, 2, 16);
        memcpy(rows, report.ranking, report.ranking_count * sizeof *rows);
        rows[0].seeds = 3;
        rows[1].seeds = 2;
        report.ranking = rows;
        struct text out = written(&report, formats[i], 200, false);
        struct text expected = {0};
        bool escaped = !strcmp(formats[i], "markdown");
        text_printf(&expected, "mean over seeds: %s (3), ", rows[0].technique);
        if (!strstr(text_string(&out), text_string(&expected)) && !escaped)
            fail_msg("%s: %s", formats[i], text_string(&out));
        assert_non_null(strstr(text_string(&out), "mean over seeds: "));
        text_release(&expected);
        text_release(&out);
        text_release(&before);
    }
}

static void test_text_fits_any_width(void **state)
{
    (void)state;
    struct report report = whole_report();
    for (int columns = 60; columns <= 120; columns += 5) {
        struct text out = written(&report, "text", columns, false);
        check_lines(text_string(&out), columns);
        text_release(&out);
    }
}

static void test_color_only_when_asked(void **state)
{
    (void)state;
    struct report report = whole_report();
    struct text plain = written(&report, "text", 80, false);
    struct text color = written(&report, "text", 80, true);
    assert_null(strchr(text_string(&plain), '\033'));
    assert_non_null(strstr(text_string(&color), "\033[1;32mRecommended: few_shot"));
    assert_non_null(strstr(text_string(&color), "\033[33mWarning:\033[0m"));
    text_release(&plain);
    text_release(&color);
}

static void test_trial_in_each_format(void **state)
{
    (void)state;
    struct report report = whole_report();
    report.ranking = &ranking[1];
    report.ranking_count = 1;
    struct report_style style = {.columns = 80};
    for (size_t i = 0; report_format_at(i); i++) {
        struct text out = {0};
        report_format_at(i)->write_trial(&report, style, &out);
        cut_out(&out, "<style>\n", "</style>"); /* reports/report.css as it stands */
        check_golden("trial", report_format_at(i)->name, &out);
        text_release(&out);
    }
}

/* ---- Hostile text -----------------------------------------------------------------------------
 */

static void test_terminal_formats_hold_nothing_unsafe(void **state)
{
    (void)state;
    static const char *const formats[] = {"text", "markdown"};
    static const char *const never[] = {"\033",     "\a",     "\u202E", "\xFF",
                                        "\xC2\x85", "\u2028", "\r",     "\x9B"};
    struct report report = hostile_report();
    for (size_t f = 0; f < COUNT(formats); f++) {
        struct text out = written(&report, formats[f], 80, false);
        assert_true(utf8_valid(out.bytes, out.length, NULL));
        for (size_t i = 0; i + 1 < COUNT(never); i++)
            assert_null(strstr(text_string(&out), never[i]));
        assert_non_null(strstr(text_string(&out), f ? "U+202E" : "<U+202E>"));
        text_release(&out);
    }
}

static void test_markdown_escapes_markup(void **state)
{
    (void)state;
    struct report report = hostile_report();
    struct text out = written(&report, "markdown", 80, false);
    check_golden("hostile", "md", &out);
    char *facts = strstr(out.bytes, "\nData `` ");
    assert_non_null(facts); /* behind it the same text stands as code */
    *facts = '\0';
    assert_null(strstr(text_string(&out), " <script>"));
    assert_null(strstr(text_string(&out), " | \\`x"));
    assert_non_null(strstr(text_string(&out), "\\<script\\>"));
    assert_non_null(strstr(text_string(&out), "\\| \\`x\\`"));
    text_release(&out);
    report = whole_report();
    out = written(&report, "markdown", 80, false);
    check_golden("whole", "md", &out);
    text_release(&out);
}

/* ---- CSV --------------------------------------------------------------------------------------
 */

static void test_csv_rows(void **state)
{
    (void)state;
    struct report report = whole_report();
    struct text out = written(&report, "csv", 80, false);
    check_golden("whole", "csv", &out);
    text_release(&out);
    report = hostile_report();
    out = written(&report, "csv", 80, false);
    assert_non_null(strstr(text_string(&out), "\"{\"\"k\"\":8}\""));
    assert_non_null(strstr(text_string(&out), "\"\"a\"\",b\n|"));
    text_release(&out);
}

static void test_formats_table(void **state)
{
    (void)state;
    assert_string_equal(report_format_at(0)->name, "text");
    for (size_t i = 0; report_format_at(i); i++) {
        const struct report_format *format = report_format_at(i);
        assert_ptr_equal(report_format_find(format->name), format);
        assert_non_null(format->write);
        assert_non_null(format->write_trial);
    }
    assert_null(report_format_find("xml"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_is_as_agreed),
        cmocka_unit_test(test_seeds_are_told),
        cmocka_unit_test(test_text_fits_any_width),
        cmocka_unit_test(test_color_only_when_asked),
        cmocka_unit_test(test_trial_in_each_format),
        cmocka_unit_test(test_terminal_formats_hold_nothing_unsafe),
        cmocka_unit_test(test_markdown_escapes_markup),
        cmocka_unit_test(test_csv_rows),
        cmocka_unit_test(test_formats_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
