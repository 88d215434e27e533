/* SPDX-License-Identifier: Apache-2.0
 *
 * A file read in chunks gives the same rows, lines and complaints as a file read at once.
 */
#define _DEFAULT_SOURCE /* mkstemps */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/text.h"
#include "datasets/stream.h"

static const struct dataset_options inputs = {.inputs_only = true, .rationale = ""};

/* Writes `bytes` to a file whose name ends with `ending`; the caller frees and removes it. */
static char *put(const char *bytes, const char *ending)
{
    char *path = calloc(1, 64);
    snprintf(path, 64, "/tmp/stream-XXXXXX%s", ending);
    int file = mkstemps(path, (int)strlen(ending));
    assert_true(file >= 0);
    assert_int_equal(write(file, bytes, strlen(bytes)), strlen(bytes));
    close(file);
    return path;
}

static void drop(char *path)
{
    unlink(path);
    free(path);
}

/* "line:input|" of every example, in chunks of `rows`, and a "/" behind each chunk; the sentence of
 * an error without the path. */
static void read_chunks(const char *path, const struct dataset_options *options, size_t rows,
                        bool slashes, struct text *out)
{
    struct row_stream *stream;
    struct error err = {0};
    bool more = true;
    enum status status = row_stream_open(&stream, path, options, rows, &err);
    while (status == OK && more) {
        struct dataset chunk;
        status = row_stream_next(stream, &chunk, &more, &err);
        for (size_t i = 0; status == OK && i < chunk.count; i++)
            text_printf(out, "%zu:%s|", chunk.examples[i].line, chunk.examples[i].input);
        if (status == OK && more && slashes)
            text_add(out, "/");
        if (status == OK)
            dataset_release(&chunk);
    }
    row_stream_close(stream);
    if (status != OK)
        text_printf(out, "ERROR %d%s", (int)status,
                    strchr(err.text, ':') ? strchr(err.text, ':') : err.text);
}

struct reading {
    const char *ending, *bytes;
    size_t rows; /* counted */
    const char *expected;
};

static const struct reading readings[] = {
    {".csv", "text\na\nb\nc\nd\ne\n", 5, "2:a|3:b|/4:c|5:d|/6:e|/"},
    {".csv", "text\na\nb\nc\nd", 4, "2:a|3:b|/4:c|5:d|/"},
    {".csv", "text\na\nb\n\n\n", 2, "2:a|3:b|/"},
    {".csv", "\xEF\xBB\xBFtext\r\na\r\nb\r\nc\r\n", 3, "2:a|3:b|/4:c|/"},
    {".csv", "text,x\n\"a\nb\n\nc\",1\nd,2\n\"e\n\"\"f\",3\n", 3, "2:a\nb\n\nc|6:d|/7:e\n\"f|/"},
    {".csv", "\"a\nb\",text\n1,a\n1,b\n1,c\n", 3, "3:a|4:b|/5:c|/"},
    {".tsv", "label\ttext\nz\ta b\nz\tc\nz\td\n", 3, "2:a b|3:c|/4:d|/"},
    {".jsonl", "{\"text\":\"a\"}\n{\"text\":\"b\"}\n{\"x\":1,\"text\":\"c\"}", 3, "1:a|2:b|/3:c|/"},
    {".jsonl",
     "{\"x\":\"no\",\"text\":\"a\"}\n{\"text\":\"b\"}\n{\"text\":\"c\",\"input\":\"d\"}\n", 3,
     "1:a|2:b|/3:c|/"},
    /* errors, in a later chunk */
    {".csv", "text,y\na,1\nb,1\nc,1\nd\n", 4,
     "2:a|3:b|/ERROR 4:5: this row has 1 field, but the header has 2; add the missing fields, or "
     "remove the row. Or leave such rows out with --on-bad-row=skip."},
    {".csv", "text\na\nb\n\nc\n", 3,
     "2:a|3:b|/ERROR 4:4: this line is blank, but rows follow it; remove the line. Or leave such "
     "rows out with --on-bad-row=skip."},
    {".csv", "text\na\nb\nc\n\"d\ne\n", 4,
     "2:a|3:b|/ERROR 4:5: a quote opened in the row that starts here is never closed; close it, or "
     "double a quote that belongs to the text."},
    {".jsonl", "{\"text\":\"a\"}\n{\"text\":\"b\"}\n{\"text\":3}\n", 3,
     "1:a|2:b|/ERROR 4:3: the input (key 'text') is a number where text is expected (name other "
     "keys with --input); correct or remove the row. Or leave such rows out with "
     "--on-bad-row=skip."},
    /* titles and choices, which a row of a later chunk may lack */
    {".jsonl",
     "{\"title\":\"t\",\"text\":\"a\"}\n{\"title\":\"t\",\"text\":\"b\"}\n"
     "{\"text\":\"c\"}\n{\"title\":\"u\",\"text\":\"d\"}\n",
     4, "1:title: t\ntext: a|2:title: t\ntext: b|/3:text: c|4:title: u\ntext: d|/"},
    {".jsonl",
     "{\"question\":\"q\",\"choices\":[\"x\",\"y\"]}\n{\"question\":\"r\",\"choices\":[\"x\",\"y\"]"
     "}\n"
     "{\"question\":\"s\",\"choices\":[\"x\",\"y\"]}\n{\"question\":\"t\"}\n",
     4,
     "1:q\nA) x\nB) y|2:r\nA) x\nB) y|/ERROR 4:4: the choices (column 'choices') are missing (to "
     "read the rows without them, name the input with --input); correct or remove the row. Or "
     "leave such rows out with --on-bad-row=skip."},
    {".csv", "question,A,B\nq,x,y\nr,x,y\ns,u,v\n", 3,
     "2:q\nA) x\nB) y|3:r\nA) x\nB) y|/4:s\nA) u\nB) v|/"},
    /* errors at the start */
    {".csv", "", 0, "ERROR 4: the file is empty; a header and at least one row are needed."},
    {".csv", "\ntext\na\n", 1,
     "ERROR 4:1: this line is blank, but rows follow it; remove the line."},
    {".json", " [{\"text\":\"a\"}]", 0,
     "ERROR 4: this is one JSON array; write one object a line (JSONL), which can be read piece by "
     "piece."},
    {".txt", "text\na\n", 0,
     "ERROR 4: the name does not tell the format; rename the file to .csv, .tsv, .jsonl or .json, "
     "or give the delimiter of a table with --delimiter."},
};

static void reads_in_chunks(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof readings / sizeof *readings; i++) {
        const struct reading *r = &readings[i];
        struct text found = {0};
        struct error err;
        size_t rows = 0;
        char *path = put(r->bytes, r->ending);
        read_chunks(path, &inputs, 2, true, &found);
        if (strcmp(text_string(&found), r->expected) != 0)
            fail_msg("case %zu: \"%s\" instead of \"%s\"", i, text_string(&found), r->expected);
        if (r->rows && row_stream_count(path, &inputs, &rows, &err) == OK)
            assert_int_equal(rows, r->rows);
        text_release(&found);
        drop(path);
    }
}

/* A file with quotes, blank cells and long rows, larger than what is read at once. */
static void write_large(struct text *bytes)
{
    text_add(bytes, "id,text\n");
    for (int i = 0; i < 5000; i++) {
        text_printf(bytes, "%d,\"row %d\n\"\"%d\"\" ", i, i, i);
        text_repeat(bytes, i % 7 ? "word, " : "a line\n", i % 97);
        text_add(bytes, "end\"\n");
    }
}

static void chunks_do_not_matter(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 3, 256, 100000};
    struct text bytes = {0}, whole = {0};
    write_large(&bytes);
    char *path = put(bytes.bytes, ".csv");
    read_chunks(path, &inputs, SIZE_MAX, false, &whole);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct text found = {0};
        read_chunks(path, &inputs, sizes[i], false, &found);
        assert_int_equal(found.length, whole.length);
        assert_memory_equal(found.bytes, whole.bytes, whole.length);
        text_release(&found);
    }
    struct dataset data;
    struct error err;
    struct text once = {0};
    assert_int_equal(dataset_load(path, &inputs, &data, &err), OK);
    for (size_t i = 0; i < data.count; i++)
        text_printf(&once, "%zu:%s|", data.examples[i].line, data.examples[i].input);
    assert_string_equal(once.bytes, whole.bytes);
    dataset_release(&data);
    text_release(&once);
    text_release(&whole);
    text_release(&bytes);
    drop(path);
}

static void skips_chunks(void **state)
{
    (void)state;
    static const char *const files[][2] = {{"text\na\nb\nc\nd\ne\n", ".csv"},
                                           {"{\"text\":\"a\"}\n{\"text\":\"b\"}\n{\"text\":\"c\"}"
                                            "\n{\"text\":\"d\"}\n{\"text\":\"e\"}\n",
                                            ".jsonl"}};
    for (size_t i = 0; i < 2; i++) {
        char *path = put(files[i][0], files[i][1]);
        struct row_stream *stream;
        struct error err;
        struct dataset chunk;
        bool more;
        assert_int_equal(row_stream_open(&stream, path, &inputs, 2, &err), OK);
        assert_int_equal(row_stream_skip(stream, &more, &err), OK);
        assert_int_equal(row_stream_skip(stream, &more, &err), OK);
        assert_true(more);
        assert_int_equal(row_stream_next(stream, &chunk, &more, &err), OK);
        assert_int_equal(chunk.count, 1);
        assert_string_equal(chunk.examples[0].input, "e");
        assert_int_equal(chunk.examples[0].line, i ? 5 : 6);
        dataset_release(&chunk);
        assert_int_equal(row_stream_skip(stream, &more, &err), OK);
        assert_false(more);
        row_stream_close(stream);
        drop(path);
    }
}

static void leaves_bad_rows_out(void **state)
{
    (void)state;
    struct dataset_options skipping = inputs;
    struct text found = {0};
    skipping.on_bad_row = BAD_ROW_SKIP;
    char *path = put("text,y\na,1\n,1\nb\nc\n\nd,1\n", ".csv");
    read_chunks(path, &skipping, 2, true, &found);
    assert_string_equal(found.bytes, "2:a|//7:d|/");
    text_release(&found);
    drop(path);
}

static void reads_what_is_built_in(void **state)
{
    (void)state;
    struct error err;
    size_t rows;
    assert_int_equal(row_stream_count("demo:tickets", &inputs, &rows, &err), OK);
    assert_int_equal(rows, 567);
    assert_int_equal(row_stream_count("/nonexistent.csv", &inputs, &rows, &err), BAD_DATA);
}

static void refuses_endless_rows(void **state)
{
    (void)state;
    struct text bytes = {0}, found = {0};
    text_add(&bytes, "text\na\nb\n\"");
    text_repeat(&bytes, "0123456789abcdef\n", 2100000);
    char *path = put(bytes.bytes, ".csv");
    read_chunks(path, &inputs, 1, false, &found);
    assert_non_null(strstr(found.bytes, "is longer than 32 MiB"));
    text_release(&bytes);
    text_release(&found);
    drop(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_in_chunks),        cmocka_unit_test(chunks_do_not_matter),
        cmocka_unit_test(skips_chunks),           cmocka_unit_test(leaves_bad_rows_out),
        cmocka_unit_test(reads_what_is_built_in), cmocka_unit_test(refuses_endless_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
