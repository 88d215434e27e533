/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/random.h"
#include "base/text.h"
#include "datasets/csv.h"

/* Everything the reader hands over, one line each: "h1:text|label", "2:a|x", "!3:reason". */
static enum status dump(char kind, void *context, const struct csv_record *record)
{
    struct text *out = context;
    if (kind)
        text_append(out, &kind, 1);
    text_printf(out, "%zu:", record->line);
    for (size_t i = 0; i < record->count; i++) {
        assert_int_equal(record->fields[i].bytes[record->fields[i].length], '\0');
        text_printf(out, "%s%s", i ? "|" : "", record->fields[i].bytes);
    }
    text_add(out, "\n");
    return OK;
}

static enum status dump_header(void *context, const struct csv_record *record, struct error *err)
{
    (void)err;
    return dump('h', context, record);
}

static enum status dump_record(void *context, const struct csv_record *record, struct error *err)
{
    (void)err;
    return dump(0, context, record);
}

static enum status dump_bad(void *context, size_t line, const char *reason, struct error *err)
{
    (void)err;
    text_printf(context, "!%zu:%.14s\n", line, reason);
    return OK;
}

static enum status read_all(const char *bytes, size_t size, const struct csv_options *options,
                            bool skip, struct text *out, struct error *err)
{
    struct csv_handler handler = {out, dump_header, dump_record, skip ? dump_bad : NULL};
    char *copy = memory_alloc(size); /* exact size, so that a read past the end is seen */
    memcpy(copy, bytes, size);
    *err = (struct error){0};
    enum status status = csv_read("f.csv", copy, size, options, &handler, err);
    free(copy);
    return status;
}

#define BYTES(s) s, sizeof s - 1

struct good {
    const char *what;
    const char *bytes;
    size_t size;
    const char *dump;
};

static void accepts_what_rfc_4180_allows(void **state)
{
    (void)state;
    static const struct good cases[] = {
        {"plain", BYTES("a,b\n1,2\n"), "h1:a|b\n2:1|2\n"},
        {"no line end at the end", BYTES("a,b\n1,2"), "h1:a|b\n2:1|2\n"},
        {"empty last field, no line end", BYTES("a,b\n1,"), "h1:a|b\n2:1|\n"},
        {"CRLF gives each row once", BYTES("a,b\r\n1,2\r\n3,4\r\n"), "h1:a|b\n2:1|2\n3:3|4\n"},
        {"LF and CRLF mixed", BYTES("a,b\n1,2\r\n3,4\n"), "h1:a|b\n2:1|2\n3:3|4\n"},
        {"spaces belong to the field", BYTES("a,b\n 1 ,\t2\t\n"), "h1:a|b\n2: 1 |\t2\t\n"},
        {"quotes", BYTES("a,b\n\"1,5\",\"x \"\"y\"\"\"\n"), "h1:a|b\n2:1,5|x \"y\"\n"},
        {"empty quoted field", BYTES("a,b\n\"\",\"\"\n"), "h1:a|b\n2:|\n"},
        {"empty quoted field alone is a row", BYTES("a\n\"\"\nx\n"), "h1:a\n2:\n3:x\n"},
        {"a line of spaces is a row", BYTES("a\n  \nx\n"), "h1:a\n2:  \n3:x\n"},
        {"line ends in a field", BYTES("a,b\n\"1\n\n2\r\n3\r4\",x\ny,z\n"),
         "h1:a|b\n2:1\n\n2\r\n3\r4|x\n6:y|z\n"},
        {"byte order mark",
         BYTES("\xEF\xBB\xBF"
               "a,b\n1,2\n"),
         "h1:a|b\n2:1|2\n"},
        {"byte order mark and quoted header", BYTES("\xEF\xBB\xBF\"a\",b\n1,2\n"),
         "h1:a|b\n2:1|2\n"},
        {"blank lines at the end", BYTES("a,b\n1,2\n\n\r\n\n"), "h1:a|b\n2:1|2\n"},
        {"header only", BYTES("a,b\n"), "h1:a|b\n"},
        {"header only, no line end", BYTES("a,b"), "h1:a|b\n"},
        {"UTF-8", BYTES("a,b\ncaf\xC3\xA9,\xF0\x9F\x98\x95\n"),
         "h1:a|b\n2:caf\xC3\xA9|\xF0\x9F\x98\x95\n"},
        {"Unicode line separators are text", BYTES("a,b\nx\xE2\x80\xA8y,\xC2\x85\n"),
         "h1:a|b\n2:x\xE2\x80\xA8y|\xC2\x85\n"},
        {"backslash is a character", BYTES("a,b\n\\,\\n\n"), "h1:a|b\n2:\\|\\n\n"},
        {"quoted last field at the end of the file", BYTES("a,b\n1,\"2\""), "h1:a|b\n2:1|2\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct text out = {0};
        struct error err;
        enum status status = read_all(cases[i].bytes, cases[i].size, NULL, false, &out, &err);
        if (status)
            fail_msg("%s: %s", cases[i].what, err.text);
        if (strcmp(text_string(&out), cases[i].dump) != 0)
            fail_msg("%s: got\n%s", cases[i].what, text_string(&out));
        text_release(&out);
    }
}

struct bad {
    const char *what;
    const char *bytes;
    size_t size;
    const char *message; /* how the sentence starts */
    const char *dump;    /* what may have been handed over before */
};

static const struct bad malformed[] = {
    {"space before a quote", BYTES("a,b\n \"x\" ,y\n"), "f.csv:2:2: a quote stands inside",
     "h1:a|b\n"},
    {"space behind a quote", BYTES("a,b\n\"x\" ,y\n"), "f.csv:2:4: text follows the closing",
     "h1:a|b\n"},
    {"quote inside a field", BYTES("a,b\n1,2\n5\" disk,y\nz,z\n"), "f.csv:3:2: a quote stands",
     "h1:a|b\n2:1|2\n"},
    {"column in characters", BYTES("a,b\n\xC3\xA9\xC3\xA9\",y\n"), "f.csv:2:3: a quote stands",
     "h1:a|b\n"},
    {"text behind a quote", BYTES("a,b,c\n\"a\"b,c\nd,e,f\n"), "f.csv:2:4: text follows",
     "h1:a|b|c\n"},
    {"backslash before a quote", BYTES("a,b\n\"a\\\"b\",c\n"), "f.csv:2:5: text follows",
     "h1:a|b\n"},
    {"error in a row of several lines", BYTES("a,b\n\"x\ny\"z,1\n"), "f.csv:3:3: text follows",
     "h1:a|b\n"},
    {"quote never closed", BYTES("a,b\n1,2\n\"x,y\nz,w\n"), "f.csv:3: a quote opened in the row",
     "h1:a|b\n2:1|2\n"},
    {"quote never closed in the header", BYTES("a,\"b\n1,2\n"), "f.csv:1: a quote opened", ""},
    {"cut inside a quoted field", BYTES("a,b\n1,\"2"), "f.csv:2: a quote opened", "h1:a|b\n"},
    {"NUL", BYTES("a,b\nx\0y,z\n"), "f.csv:2:2: this row holds a NUL", "h1:a|b\n"},
    {"NUL in quotes, second line", BYTES("a,b\n\"x\n\0y\",z\n"), "f.csv:3:1: this row holds a NUL",
     "h1:a|b\n"},
    {"NUL in the header", BYTES("a,b\0\n1,2\n"), "f.csv:1:4: this row holds a NUL", ""},
    {"bad UTF-8", BYTES("a,b\nx,caf\xE9 z\n"), "f.csv:2:6: the byte 0xE9 is not", "h1:a|b\n"},
    {"UTF-8 cut at the end", BYTES("a,b\nx,\xE2\x82"), "f.csv:2:3: the byte 0xE2", "h1:a|b\n"},
    {"surrogate", BYTES("a,b\nx,\xED\xA0\x80\n"), "f.csv:2:3: the byte 0xED", "h1:a|b\n"},
    {"overlong", BYTES("a,b\nx,\xC0\x80\n"), "f.csv:2:3: the byte 0xC0", "h1:a|b\n"},
    {"bare CR", BYTES("a,b\nx\ry,z\n"), "f.csv:2:2: a carriage return", "h1:a|b\n"},
    {"old Macintosh", BYTES("a,b\r1,2\r3,4\r"), "f.csv:1:4: a carriage return", ""},
    {"CR at the end of the file", BYTES("a,b\n1,2\r"), "f.csv:2:4: a carriage return", "h1:a|b\n"},
    {"CR CR LF", BYTES("a,b\n1,2\r\r\n"), "f.csv:2:4: a carriage return", "h1:a|b\n"},
    {"CR behind a quote", BYTES("a,b\n1,\"2\"\r3"), "f.csv:2:6: a carriage return", "h1:a|b\n"},
    {"too few fields", BYTES("a,b\n1\n"), "f.csv:2: this row has 1 field, but", "h1:a|b\n"},
    {"too many fields", BYTES("a,b\n1,2\n1,2,3\n"), "f.csv:3: this row has 3 fields, but",
     "h1:a|b\n2:1|2\n"},
    {"ragged after a row of several lines", BYTES("a,b\n\"1\n2\",3\nx\n"),
     "f.csv:4: this row has 1 field", "h1:a|b\n2:1\n2|3\n"},
    {"blank line in the middle", BYTES("a,b\n1,2\n\n3,4\n"), "f.csv:3: this line is blank",
     "h1:a|b\n2:1|2\n"},
    {"blank CRLF line in the middle", BYTES("a,b\r\n\r\n3,4\r\n"), "f.csv:2: this line is blank",
     "h1:a|b\n"},
    {"blank first line", BYTES("\na,b\n1,2\n"), "f.csv:1: this line is blank", ""},
    {"same name twice", BYTES("a,b,a\n1,2,3\n"), "f.csv:1: columns 1 and 3 of the header", ""},
    {"empty name", BYTES("a,,b\n1,2,3\n"), "f.csv:1: column 2 of the header has no name", ""},
    {"empty last name", BYTES("a,b,\n1,2,3\n"), "f.csv:1: column 3 of the header has no", ""},
    {"empty file", BYTES(""), "f.csv: the file is empty", ""},
    {"byte order mark alone", BYTES("\xEF\xBB\xBF"), "f.csv: the file is empty", ""},
    {"blank lines alone", BYTES("\n\n\r\n"), "f.csv: the file is empty", ""},
    {"UTF-16 little endian",
     BYTES("\xFF\xFE"
           "a\0,\0b\0\n\0"),
     "f.csv: the file is UTF-16", ""},
    {"UTF-16 big endian", BYTES("\xFE\xFF\0a\0,\0b\0\n"), "f.csv: the file is UTF-16", ""},
    {"two byte order marks and a quote", BYTES("\xEF\xBB\xBF\xEF\xBB\xBF\"a\",b\n"),
     "f.csv:1:2: a quote stands", ""},
};

static void refuses_what_is_malformed(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++) {
        const struct bad *bad = &malformed[i];
        struct text out = {0};
        struct error err;
        enum status status = read_all(bad->bytes, bad->size, NULL, false, &out, &err);
        if (status != BAD_DATA || err.status != BAD_DATA)
            fail_msg("%s: status %d", bad->what, status);
        if (strncmp(err.text, bad->message, strlen(bad->message)) != 0)
            fail_msg("%s: %s", bad->what, err.text);
        if (err.text[strlen(err.text) - 1] != '.')
            fail_msg("%s: not a finished sentence: %s", bad->what, err.text);
        if (strcmp(text_string(&out), bad->dump) != 0)
            fail_msg("%s: handed over\n%s", bad->what, text_string(&out));
        text_release(&out);
    }
}

/* A file cut anywhere gives an error or a prefix of the rows. Only the last field can be shorter,
 * which nobody can see in CSV. */
static void survives_truncation(void **state)
{
    (void)state;
    static const char whole[] = "text,label\r\n\"a \"\"b\"\"\nc\",x\r\n\xC3\xA9,y\r\n";
    for (size_t size = 0; size < sizeof whole; size++) {
        struct text out = {0};
        struct error err;
        enum status status = read_all(whole, size, NULL, false, &out, &err);
        assert_true(status == OK || status == BAD_DATA);
        if (size == sizeof whole - 1)
            assert_string_equal(text_string(&out), "h1:text|label\n2:a \"b\"\nc|x\n4:\xC3\xA9|y\n");
        if (strstr(text_string(&out), "\n2:"))
            assert_non_null(strstr(text_string(&out), "2:a \"b\"\nc|"));
        text_release(&out);
    }
}

static void skips_and_lists_bad_rows(void **state)
{
    (void)state;
    static const char bytes[] = "a,b\n"
                                "1,2\n"
                                "3\n"
                                "\n"
                                "\n"
                                "caf\xE9,4\n"
                                "\"5\n\0\",6\n"
                                "7,8,9\n"
                                "long long,x\n"
                                "10,11\n"
                                "\n";
    struct text out = {0};
    struct error err;
    struct csv_options options = {.field_limit = 8};
    assert_int_equal(read_all(BYTES(bytes), &options, true, &out, &err), OK);
    assert_string_equal(text_string(&out), "h1:a|b\n2:1|2\n!3:f.csv:3: this \n!4:f.csv:4: this \n"
                                           "!5:f.csv:5: this \n!6:f.csv:6:4: the\n"
                                           "!7:f.csv:8:1: thi\n!9:f.csv:9: this \n"
                                           "!10:f.csv:10: fiel\n11:10|11\n");
    text_release(&out);
}

/* What leaves unclear where the next row starts cannot be skipped. */
static void broken_quotes_are_never_skipped(void **state)
{
    (void)state;
    static const char *const cases[] = {"a,b\n1\"2,3\n4,5\n", "a,b\n\"1\"2,3\n4,5\n",
                                        "a,b\n\"1,2\n3,4\n",  "a,b\n1\r2,3\n",
                                        "a,a\n1,2\n",         "a\xE9,b\n1,2\n"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct text out = {0};
        struct error err;
        assert_int_equal(read_all(cases[i], strlen(cases[i]), NULL, true, &out, &err), BAD_DATA);
        assert_null(strstr(text_string(&out), "4"));
        text_release(&out);
    }
}

static void respects_the_delimiter(void **state)
{
    (void)state;
    static const struct {
        char delimiter;
        const char *bytes;
        const char *dump;
    } cases[] = {{'\t', "a\tb\n1,5\t 2\n", "h1:a|b\n2:1,5| 2\n"},
                 {';', "a;b\n\"1;5\";2\n", "h1:a|b\n2:1;5|2\n"},
                 {' ', "a b\n1 2\n", "h1:a|b\n2:1|2\n"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct text out = {0};
        struct error err;
        struct csv_options options = {.delimiter = cases[i].delimiter};
        assert_int_equal(
            read_all(cases[i].bytes, strlen(cases[i].bytes), &options, false, &out, &err), OK);
        assert_string_equal(text_string(&out), cases[i].dump);
        text_release(&out);
    }
    const char refused[] = {'"', '\n', '\r', (char)0xC3};
    for (size_t i = 0; i < sizeof refused; i++) {
        struct text out = {0};
        struct error err;
        struct csv_options options = {.delimiter = refused[i]};
        assert_int_equal(read_all(BYTES("a,b\n1,2\n"), &options, false, &out, &err), USAGE);
        text_release(&out);
    }
}

static char *long_field(size_t length, bool quoted, size_t *size)
{
    char *bytes = memory_alloc(length + 32);
    size_t at = (size_t)sprintf(bytes, "a,b\n%s", quoted ? "\"" : "");
    memset(bytes + at, 'x', length);
    at += length;
    *size = at + (size_t)sprintf(bytes + at, "%s,y\n1,2\n", quoted ? "\"" : "");
    return bytes;
}

static void limits_fields_and_rows(void **state)
{
    (void)state;
    static const struct {
        size_t length;
        bool quoted;
        struct csv_options options;
        const char *message; /* NULL: accepted */
    } cases[] = {
        {1 << 20, false, {0}, NULL},
        {(1 << 20) + 1, false, {0}, "f.csv:2: field 1 of this row has 1048577 bytes"},
        {10 << 20, false, {0}, "f.csv:2: field 1 of this row has 10485760 bytes"},
        {10 << 20, true, {0}, "f.csv:2: field 1 of this row has 10485760 bytes"},
        {10 << 20, true, {.field_limit = 11 << 20}, NULL},
        {17 << 20, false, {.field_limit = 18 << 20}, "f.csv:2: the row that starts here is longer"},
        {17 << 20, true, {.field_limit = 18 << 20, .row_limit = 18 << 20}, NULL},
        {20, false, {.row_limit = 10}, "f.csv:2: the row that starts here is longer than 10"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t size;
        char *bytes = long_field(cases[i].length, cases[i].quoted, &size);
        struct text out = {0};
        struct error err;
        enum status status = read_all(bytes, size, &cases[i].options, false, &out, &err);
        assert_int_equal(status, cases[i].message ? BAD_DATA : OK);
        if (cases[i].message)
            assert_memory_equal(err.text, cases[i].message, strlen(cases[i].message));
        else
            assert_int_equal(out.length, cases[i].length + strlen("h1:a|b\n2:|y\n3:1|2\n"));
        text_release(&out);
        free(bytes);
    }
}

static void the_row_limit_is_for_each_row(void **state)
{
    (void)state;
    struct text out = {0};
    struct error err;
    struct csv_options options = {.row_limit = 6};
    assert_int_equal(read_all(BYTES("a,b\n12,34\n12,34\n\"1\n\",\n"), &options, false, &out, &err),
                     OK);
    assert_string_equal(text_string(&out), "h1:a|b\n2:12|34\n3:12|34\n4:1\n|\n");
    text_release(&out);
}

static void refuses_a_header_of_5000_columns(void **state)
{
    (void)state;
    struct text bytes = {0};
    struct text out = {0};
    struct error err;
    for (int i = 0; i < 5000; i++)
        text_printf(&bytes, "%sc%d", i ? "," : "", i);
    assert_int_equal(read_all(bytes.bytes, bytes.length, NULL, false, &out, &err), BAD_DATA);
    assert_non_null(strstr(err.text, "has 5000 columns, and the limit is 4096"));
    text_release(&bytes);
    text_release(&out);
}

/* Readers that sniff the start of a file miss what comes late. */
static void late_quotes_are_read_like_early_ones(void **state)
{
    (void)state;
    struct text bytes = {0};
    struct text out = {0};
    struct error err;
    text_add(&bytes, "a,b\n");
    for (int i = 0; i < 21000; i++)
        text_add(&bytes, i == 20500 ? "\"1,\n1\",2\n" : "1,2\n");
    assert_int_equal(read_all(bytes.bytes, bytes.length, NULL, false, &out, &err), OK);
    assert_non_null(strstr(out.bytes, "\n20502:1,\n1|2\n20504:1|2\n"));
    assert_non_null(strstr(out.bytes, "\n21002:1|2\n"));
    text_release(&bytes);
    text_release(&out);
}

static enum status stop_at_once(void *context, const struct csv_record *record, struct error *err)
{
    (void)record;
    ++*(int *)context;
    return error_set(err, INTERRUPTED, "Stopped.");
}

static enum status take_header(void *context, const struct csv_record *record, struct error *err)
{
    (void)context;
    (void)record;
    (void)err;
    return OK;
}

static void a_handler_can_stop_the_reading(void **state)
{
    (void)state;
    int calls = 0;
    struct error err;
    struct csv_handler handler = {&calls, take_header, stop_at_once, NULL};
    assert_int_equal(csv_read("f", BYTES("a\n1\n2\n3\n"), NULL, &handler, &err), INTERRUPTED);
    assert_int_equal(calls, 1);
}

static void writes_fields_as_rfc_4180_wants(void **state)
{
    (void)state;
    static const struct {
        const char *field;
        char delimiter;
        const char *written;
    } cases[] = {{"plain", ',', "plain"},
                 {"", ',', "\"\""},
                 {"a,b", ',', "\"a,b\""},
                 {"a,b", '\t', "a,b"},
                 {"a\tb", '\t', "\"a\tb\""},
                 {"say \"hi\"", ',', "\"say \"\"hi\"\"\""},
                 {"two\nlines", ',', "\"two\nlines\""},
                 {"cr\r", ',', "\"cr\r\""},
                 {" lead", ',', "\" lead\""},
                 {"trail\t", ',', "\"trail\t\""},
                 {"in the middle", ',', "in the middle"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct text out = {0};
        csv_write_field(&out, cases[i].field, strlen(cases[i].field), cases[i].delimiter);
        assert_string_equal(text_string(&out), cases[i].written);
        text_release(&out);
    }
}

/* Random fields of awkward characters come back the same. */
static void writing_and_reading_is_the_identity(void **state)
{
    (void)state;
    static const char *const parts[] = {"\"", ",", "\n", "\r", "\r\n", " ",       "\t",
                                        "a",  "",  ";",  "'",  "\\",   "\xC3\xA9"};
    for (uint64_t seed = 0; seed < 300; seed++) {
        struct random random = random_stream(seed, "test csv", 0);
        struct text bytes = {0};
        struct text expected = {0};
        struct text out = {0};
        struct error err;
        text_add(&bytes, "a,b\r\n");
        text_add(&expected, "h1:a|b\n");
        size_t line = 2;
        for (int row = 0; row < 5; row++) {
            text_printf(&expected, "%zu:", line);
            for (int column = 0; column < 2; column++) {
                struct text field = {0};
                for (size_t n = random_below(&random, 8); n > 0; n--)
                    text_add(&field, parts[random_below(&random, sizeof parts / sizeof *parts)]);
                csv_write_field(&bytes, text_string(&field), field.length, ',');
                text_add(&bytes, column ? "\r\n" : ",");
                text_printf(&expected, "%s%s", text_string(&field), column ? "\n" : "|");
                for (size_t i = 0; i < field.length; i++)
                    line += field.bytes[i] == '\n';
                text_release(&field);
            }
            line++;
        }
        if (read_all(bytes.bytes, bytes.length, NULL, false, &out, &err))
            fail_msg("seed %d: %s", (int)seed, err.text);
        assert_string_equal(text_string(&out), text_string(&expected));
        text_release(&bytes);
        text_release(&expected);
        text_release(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_what_rfc_4180_allows),
        cmocka_unit_test(refuses_what_is_malformed),
        cmocka_unit_test(survives_truncation),
        cmocka_unit_test(skips_and_lists_bad_rows),
        cmocka_unit_test(broken_quotes_are_never_skipped),
        cmocka_unit_test(respects_the_delimiter),
        cmocka_unit_test(limits_fields_and_rows),
        cmocka_unit_test(the_row_limit_is_for_each_row),
        cmocka_unit_test(refuses_a_header_of_5000_columns),
        cmocka_unit_test(late_quotes_are_read_like_early_ones),
        cmocka_unit_test(a_handler_can_stop_the_reading),
        cmocka_unit_test(writes_fields_as_rfc_4180_wants),
        cmocka_unit_test(writing_and_reading_is_the_identity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
