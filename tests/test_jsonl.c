/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/text.h"
#include "datasets/jsonl.h"

#define BYTES(s) s, sizeof s - 1

/* Everything the reader hands over, one line each: "2:{...}" and "!3:reason". */
static enum status dump_record(void *context, size_t line, const json_t *object, struct error *err)
{
    (void)err;
    char *text = jsonl_value_text(object);
    text_printf(context, "%zu:%s\n", line, text);
    free(text);
    return OK;
}

static enum status dump_bad(void *context, size_t line, const char *reason, struct error *err)
{
    (void)err;
    text_printf(context, "!%zu:%.16s\n", line, reason);
    return OK;
}

static enum status read_all(const char *bytes, size_t size, size_t row_limit, bool skip,
                            struct text *out, struct error *err)
{
    struct jsonl_handler handler = {
        .context = out, .record = dump_record, .bad_record = skip ? dump_bad : NULL};
    char *copy = memory_alloc(size); /* exact size, so that a read past the end is seen */
    memcpy(copy, bytes, size);
    *err = (struct error){0};
    bool is_array;
    enum status status = jsonl_read("f.jsonl", copy, size, row_limit, &handler, &is_array, err);
    free(copy);
    return status;
}

static void reads_records_with_their_lines(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        const char *bytes;
        size_t size;
        const char *dump;
    } cases[] = {
        {"lines", BYTES("{\"a\":1}\n{\"b\":\"x\"}\n"), "1:{\"a\":1}\n2:{\"b\":\"x\"}\n"},
        {"no line end at the end", BYTES("{\"a\":1}\n{\"b\":2}"), "1:{\"a\":1}\n2:{\"b\":2}\n"},
        {"CRLF", BYTES("{\"a\":1}\r\n{\"b\":2}\r\n"), "1:{\"a\":1}\n2:{\"b\":2}\n"},
        {"blank lines at the end", BYTES("{\"a\":1}\n\n \t\r\n"), "1:{\"a\":1}\n"},
        {"byte order mark", BYTES("\xEF\xBB\xBF{\"a\":1}\n"), "1:{\"a\":1}\n"},
        {"line separators of Unicode are text",
         BYTES("{\"a\":\"x\xE2\x80\xA8y\xE2\x80\xA9z\xC2\x85\"}\n{}\n"),
         "1:{\"a\":\"x\xE2\x80\xA8y\xE2\x80\xA9z\xC2\x85\"}\n2:{}\n"},
        {"escapes", BYTES("{\"a\":\"\\u00e9\\n\\ud83d\\ude15\"}"),
         "1:{\"a\":\"\xC3\xA9\\n\xF0\x9F\x98\x95\"}\n"},
        {"space around", BYTES("  {\"a\" : 1 }  \n"), "1:{\"a\":1}\n"},
        {"array", BYTES("[{\"a\":1},\n{\"b\":2}\n]\n"), "1:{\"a\":1}\n2:{\"b\":2}\n"},
        {"array over many lines",
         BYTES("\n[\n\n {\n\"a\": [1,\n2], \"t\": \"x,\\\"]}[{\\\\\"},\n\n{\"b\":{}}\n,{\"c\":2}]"),
         "4:{\"a\":[1,2],\"t\":\"x,\\\"]}[{\\\\\"}\n8:{\"b\":{}}\n9:{\"c\":2}\n"},
        {"array with a byte order mark", BYTES("\xEF\xBB\xBF\r\n[ {\"a\":1}\r\n,\r\n{\"b\":2}]"),
         "2:{\"a\":1}\n4:{\"b\":2}\n"},
        {"empty array", BYTES("[\n]"), ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct text out = {0};
        struct error err;
        if (read_all(cases[i].bytes, cases[i].size, 0, false, &out, &err))
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
    const char *also;    /* what else is in it */
    bool fatal;          /* cannot be skipped */
};

static const struct bad malformed[] = {
    {"key twice", BYTES("{\"a\":1}\n{\"b\":1,\"b\":2}\n"), "f.jsonl:2:10: this is not valid JSON",
     "duplicate", false},
    {"key twice deep down", BYTES("{\"a\":[{\"b\":1,\"b\":2}]}\n"), "f.jsonl:1:", "duplicate",
     false},
    {"bad UTF-8", BYTES("{\"a\":\"caf\xE9\"}\n"), "f.jsonl:1:", "UTF-8", false},
    {"lone surrogate", BYTES("{\"a\":\"\\ud83d\"}\n"), "f.jsonl:1:", "", false},
    {"escaped NUL", BYTES("{\"a\":\"x\\u0000y\"}\n"), "f.jsonl:1:", "remove \\u0000", false},
    {"NUL byte", BYTES("{\"a\":\"x\0y\"}\n"), "f.jsonl:1:", "", false},
    {"NUL byte between values", BYTES("{\"a\":\0 1}\n"), "f.jsonl:1:", "", false},
    {"control character", BYTES("{\"a\":\"x\x01y\"}\n"), "f.jsonl:1:", "", false},
    {"tab in a string", BYTES("{\"a\":\"x\ty\"}\n"), "f.jsonl:1:", "", false},
    {"leading zero", BYTES("{\"a\":012}\n"), "f.jsonl:1:", "", false},
    {"NaN", BYTES("{\"a\":NaN}\n"), "f.jsonl:1:", "", false},
    {"infinity", BYTES("{\"a\":-Infinity}\n"), "f.jsonl:1:", "", false},
    {"real too large", BYTES("{\"a\":1e999}\n"), "f.jsonl:1:", "as text, in quotes", false},
    {"integer too large", BYTES("{\"a\":92233720368547758080}\n"),
     "f.jsonl:1:", "as text, in quotes", false},
    {"text behind the object", BYTES("{\"a\":1} x\n"), "f.jsonl:1:", "", false},
    {"two objects on a line", BYTES("{\"a\":1}{\"b\":2}\n"), "f.jsonl:1:", "", false},
    {"comma behind the line", BYTES("{\"a\":1},\n{\"b\":2}\n"), "f.jsonl:1:", "", false},
    {"trailing comma", BYTES("{\"a\":1,}\n"), "f.jsonl:1:", "", false},
    {"single quotes", BYTES("{'a':1}\n"), "f.jsonl:1:", "", false},
    {"comment", BYTES("{\"a\":1} // x\n"), "f.jsonl:1:", "", false},
    {"cut in a string", BYTES("{\"a\":1}\n{\"b\":\"x"), "f.jsonl:2:", "the end is missing", false},
    {"cut behind a key", BYTES("{\"a\":1}\n{\"b\""), "f.jsonl:2:", "", false},
    {"object over two lines", BYTES("{\"a\":\n1}\n"), "f.jsonl:1:", "", false},
    {"two byte order marks", BYTES("\xEF\xBB\xBF\xEF\xBB\xBF{\"a\":1}\n"), "f.jsonl:1:", "", false},
    {"scalar", BYTES("{\"a\":1}\n3\n"), "f.jsonl:2: this record is a number", "", false},
    {"string", BYTES("{\"a\":1}\n\"x\"\n"), "f.jsonl:2: this record is a string", "", false},
    {"null", BYTES("{\"a\":1}\nnull\n"), "f.jsonl:2: this record is null", "", false},
    {"boolean", BYTES("{\"a\":1}\ntrue\n"), "f.jsonl:2: this record is a boolean", "", false},
    {"array on a line", BYTES("{\"a\":1}\n[2]\n"), "f.jsonl:2: this record is an array", "", false},
    {"blank line in the middle", BYTES("{\"a\":1}\n \n{\"b\":2}\n"),
     "f.jsonl:2: this line is blank", "", false},
    {"blank first line", BYTES("\n{\"b\":2}\n"), "f.jsonl:1: this line is blank", "", false},
    {"number in an array", BYTES("[{\"a\":1},\n\n3]"), "f.jsonl:3: this record is a number", "",
     false},
    {"empty", BYTES(""), "f.jsonl: the file is empty", "", true},
    {"byte order mark alone", BYTES("\xEF\xBB\xBF"), "f.jsonl: the file is empty", "", true},
    {"white space alone", BYTES(" \n\r\n\t"), "f.jsonl: the file is empty", "", true},
    {"UTF-16", BYTES("\xFF\xFE{\0}\0"), "f.jsonl: the file is UTF-16", "", true},
    {"UTF-16, big endian", BYTES("\xFE\xFF\0{\0}"), "f.jsonl: the file is UTF-16", "", true},
    {"array not closed", BYTES("[{\"a\":1},\n{\"b\":2}\n"), "f.jsonl:3:", "", true},
    {"array with a comma too many", BYTES("[{\"a\":1},\n{\"b\":2},]\n"), "f.jsonl:2:", "", true},
    {"array and more", BYTES("[{\"a\":1}]\n[{\"a\":2}]\n"), "f.jsonl:2:", "", true},
    {"key twice in an array", BYTES("[{\"a\":1},\n{\"b\":2,\"b\":3}]\n"), "f.jsonl:2:", "duplicate",
     true},
};

static void refuses_what_is_malformed(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++) {
        const struct bad *bad = &malformed[i];
        struct text out = {0};
        struct error err;
        enum status status = read_all(bad->bytes, bad->size, 0, false, &out, &err);
        if (status != BAD_DATA || err.status != BAD_DATA)
            fail_msg("%s: status %d", bad->what, status);
        if (strncmp(err.text, bad->message, strlen(bad->message)) != 0 ||
            !strstr(err.text, bad->also) || err.text[strlen(err.text) - 1] != '.')
            fail_msg("%s: %s", bad->what, err.text);
        text_release(&out);
        status = read_all(bad->bytes, bad->size, 0, true, &out, &err);
        if (status != (bad->fatal ? BAD_DATA : OK))
            fail_msg("%s, skipping: status %d", bad->what, status);
        if (!bad->fatal && !strchr(text_string(&out), '!'))
            fail_msg("%s, skipping: nothing was listed", bad->what);
        text_release(&out);
    }
}

static void skips_and_lists_bad_records(void **state)
{
    (void)state;
    struct text out = {0};
    struct error err;
    assert_int_equal(read_all(BYTES("{\"a\":1}\n{\"a\":\n\n{\"a\":1,\"a\":2}\n{\"b\":2}\n7\n\n"), 0,
                              true, &out, &err),
                     OK);
    assert_string_equal(text_string(&out), "1:{\"a\":1}\n!2:f.jsonl:2:5: thi\n!3:f.jsonl:3: this \n"
                                           "!4:f.jsonl:4:10: th\n5:{\"b\":2}\n"
                                           "!6:f.jsonl:6: this \n");
    text_release(&out);
}

/* {"a":[[[ ... ]]]} with `depth` brackets */
static char *nested(size_t depth, size_t *size)
{
    char *bytes = memory_alloc(2 * depth + 8);
    memcpy(bytes, "{\"a\":", 5);
    memset(bytes + 5, '[', depth);
    memset(bytes + 5 + depth, ']', depth);
    bytes[5 + 2 * depth] = '}';
    *size = 2 * depth + 6;
    return bytes;
}

static void limits_nesting(void **state)
{
    (void)state;
    static const struct {
        size_t depth;
        enum status status;
    } cases[] = {{1000, OK}, {2040, OK}, {2100, BAD_DATA}, {1000000, BAD_DATA}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t size;
        char *bytes = nested(cases[i].depth, &size);
        struct text out = {0};
        struct error err;
        assert_int_equal(read_all(bytes, size, 0, false, &out, &err), cases[i].status);
        text_release(&out);
        free(bytes);
    }
}

static void limits_the_length_of_a_line(void **state)
{
    (void)state;
    size_t length = 10 << 20;
    char *bytes = memory_alloc(length + 32);
    size_t head = strlen("{\"a\":\"");
    memcpy(bytes, "{\"a\":\"", head);
    memset(bytes + head, 'x', length);
    memcpy(bytes + head + length, "\"}\n{}", 5);
    struct text out = {0};
    struct error err;
    assert_int_equal(read_all(bytes, head + length + 5, 0, false, &out, &err), OK);
    text_release(&out);
    assert_int_equal(read_all(bytes, head + length + 5, 1 << 20, false, &out, &err), BAD_DATA);
    assert_memory_equal(err.text, "f.jsonl:1: this line has 10485769 bytes", 38);
    text_release(&out);
    assert_int_equal(read_all(bytes, head + length + 5, 1 << 20, true, &out, &err), OK);
    assert_string_equal(text_string(&out), "!1:f.jsonl:1: this \n2:{}\n");
    text_release(&out);
    free(bytes);
}

/* Messages quote foreign bytes; none of them may reach a terminal as it is. */
static void messages_hold_no_control_characters(void **state)
{
    (void)state;
    static const char bytes[] = "{\"a\": \x1b[31m\xC2\x9B"
                                "1m\xE2\x80\xAE}\n";
    struct text out = {0};
    struct error err;
    assert_int_equal(read_all(BYTES(bytes), 0, false, &out, &err), BAD_DATA);
    for (const char *c = err.text; *c; c++)
        assert_true((unsigned char)*c >= 0x20);
    assert_true(utf8_valid(err.text, strlen(err.text), NULL));
    assert_null(strstr(err.text, "\xC2\x9B"));
    assert_null(strstr(err.text, "\xE2\x80\xAE"));
    text_release(&out);
}

static void writes_values_compactly(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"0.1", "0.1"},
        {"5.0", "5.0"},
        {"-0.0", "-0.0"},
        {"12", "12"},
        {"1e20", "1e20"},
        {"0.30000000000000004", "0.30000000000000004"},
        {"123456789.123", "123456789.123"},
        {"true", "true"},
        {"null", "null"},
        {"\"x\"", "\"x\""},
        {"{ \"b\" : 1, \"a\" : [ 0.1, {} ] }", "{\"b\":1,\"a\":[0.1,{}]}"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *value = json_loads(cases[i][0], JSON_DECODE_ANY, NULL);
        char *text = jsonl_value_text(value);
        assert_string_equal(text, cases[i][1]);
        free(text);
        json_decref(value);
    }
}

static enum status stop_at_once(void *context, size_t line, const json_t *object, struct error *err)
{
    (void)line;
    (void)object;
    ++*(int *)context;
    return error_set(err, INTERRUPTED, "Stopped.");
}

static void a_handler_can_stop_the_reading(void **state)
{
    (void)state;
    static const char *const cases[] = {"{}\n{}\n", "[{},{}]"};
    for (size_t i = 0; i < 2; i++) {
        int calls = 0;
        struct error err;
        struct jsonl_handler handler = {.context = &calls, .record = stop_at_once};
        assert_int_equal(jsonl_read("f", cases[i], strlen(cases[i]), 0, &handler, NULL, &err),
                         INTERRUPTED);
        assert_int_equal(calls, 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_records_with_their_lines),
        cmocka_unit_test(refuses_what_is_malformed),
        cmocka_unit_test(skips_and_lists_bad_records),
        cmocka_unit_test(limits_nesting),
        cmocka_unit_test(limits_the_length_of_a_line),
        cmocka_unit_test(messages_hold_no_control_characters),
        cmocka_unit_test(writes_values_compactly),
        cmocka_unit_test(a_handler_can_stop_the_reading),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
