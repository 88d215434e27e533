/* SPDX-License-Identifier: Apache-2.0 */
#include "datasets/jsonl.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "datasets/excerpt.h"

struct reader {
    const char *name;
    size_t row_limit;
    const struct jsonl_handler *handler;
    size_t line;       /* number of the line at hand */
    size_t blank_line; /* first blank line since the last record */
    size_t blanks;
};

static enum status bad_record(const struct reader *reader, size_t line, const char *reason,
                              struct error *err)
{
    if (reader->handler->bad_record)
        return reader->handler->bad_record(reader->handler->context, line, reason, err);
    return error_set(err, BAD_DATA, "%s", reason);
}

/* The sentence for what jansson found on `line`. */
static void describe_error(const struct reader *reader, size_t line, const json_error_t *found,
                           struct error *reason)
{
    const char *remedy = "correct this place, or remove the record";
    switch (json_error_code(found)) {
    case json_error_duplicate_key:
        remedy = "keep one of the two";
        break;
    case json_error_invalid_utf8:
        remedy = "save the file as UTF-8";
        break;
    case json_error_numeric_overflow:
        remedy = "write the number as text, in quotes";
        break;
    case json_error_premature_end_of_input:
        remedy = "the end is missing: write the file again, one whole object a line (JSONL), or "
                 "one array of objects";
        break;
    case json_error_null_character:
        remedy = "remove \\u0000 from the text";
        break;
    default:
        break;
    }
    error_set(reason, BAD_DATA, "%s:%zu:%d: this is not valid JSON (%s); %s.", reader->name, line,
              found->column > 0 ? found->column : 1, excerpt_clean(found->text).text, remedy);
}

const char *jsonl_type_name(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
    case JSON_REAL:
        return "a number";
    case JSON_TRUE:
    case JSON_FALSE:
        return "a boolean";
    default:
        return "null";
    }
}

static enum status deliver(const struct reader *reader, size_t line, const json_t *value,
                           struct error *err)
{
    if (json_is_object(value))
        return reader->handler->record(reader->handler->context, line, value, err);
    struct error reason;
    error_set(&reason, BAD_DATA,
              "%s:%zu: this record is %s, but an object such as {\"input\": ..., \"output\": ...} "
              "is needed; correct or remove it.",
              reader->name, line, jsonl_type_name(value));
    return bad_record(reader, line, reason.text, err);
}

static bool is_blank(const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (!memchr(" \t\r\n", bytes[i], 4))
            return false;
    return true;
}

/* Blank lines are fine at the end of the file only; that is known when the next record starts. */
static enum status report_blanks(struct reader *reader, struct error *err)
{
    enum status status = OK;
    for (size_t i = 0; i < reader->blanks && !status; i++) {
        struct error reason;
        size_t line = reader->blank_line + i;
        error_set(&reason, BAD_DATA,
                  "%s:%zu: this line is blank, but records follow it; remove the line.",
                  reader->name, line);
        status = bad_record(reader, line, reason.text, err);
    }
    reader->blanks = 0;
    return status;
}

static enum status take_line(struct reader *reader, const char *bytes, size_t length,
                             struct error *err)
{
    if (is_blank(bytes, length)) {
        if (!reader->blanks++)
            reader->blank_line = reader->line;
        return OK;
    }
    enum status status = report_blanks(reader, err);
    if (status)
        return status;
    struct error reason;
    if (length > reader->row_limit) {
        error_set(&reason, BAD_DATA,
                  "%s:%zu: this line has %zu bytes, and the limit is %zu; shorten the record.",
                  reader->name, reader->line, length, reader->row_limit);
        return bad_record(reader, reader->line, reason.text, err);
    }
    json_error_t found;
    length -= bytes[length - 1] == '\n'; /* so that the error of a cut line stands on this line */
    json_t *value = json_loadb(bytes, length, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &found);
    if (!value) {
        describe_error(reader, reader->line, &found, &reason);
        return bad_record(reader, reader->line, reason.text, err);
    }
    status = deliver(reader, reader->line, value, err);
    json_decref(value);
    return status;
}

static enum status read_lines(struct reader *reader, const char *bytes, size_t size,
                              struct error *err)
{
    const char *end = bytes + size;
    enum status status = OK;
    while (bytes < end && !status) {
        const char *feed = memchr(bytes, '\n', (size_t)(end - bytes));
        size_t length = feed ? (size_t)(feed - bytes) + 1 : (size_t)(end - bytes);
        reader->line++;
        status = take_line(reader, bytes, length, err);
        bytes += length;
    }
    return status;
}

/* Where the elements of an array start; jansson does not say. */
struct scanner {
    const char *at;
    size_t line;
    bool fresh; /* just behind the '[' or ',' in front of an element */
};

/* `array` starts with white space and '['. */
static struct scanner scan_array(const char *array)
{
    struct scanner scanner = {array, 1, true};
    for (; *scanner.at != '['; scanner.at++)
        scanner.line += *scanner.at == '\n';
    scanner.at++;
    return scanner;
}

/* To the closing quote of the string that starts at `at`. */
static const char *skip_string(const char *at)
{
    for (at++; *at != '"'; at++)
        if (*at == '\\')
            at++;
    return at;
}

/* Goes to the start of the next element and returns its line. The array must have been accepted by
 * jansson, and have a next element. */
static size_t next_element_line(struct scanner *scanner)
{
    int depth = 0;
    for (;; scanner->at++) {
        char c = *scanner->at;
        if (scanner->fresh && !is_blank(&c, 1))
            break;
        if (c == '\n')
            scanner->line++;
        else if (c == '"')
            scanner->at = skip_string(scanner->at);
        else if (c == '{' || c == '[')
            depth++;
        else if (c == '}' || c == ']')
            depth--;
        else if (depth == 0 && c == ',')
            scanner->fresh = true;
    }
    scanner->fresh = false;
    return scanner->line;
}

static enum status read_array(struct reader *reader, const char *bytes, size_t size,
                              struct error *err)
{
    json_error_t found;
    json_t *array = json_loadb(bytes, size, JSON_REJECT_DUPLICATES, &found);
    if (!array) {
        struct error reason;
        describe_error(reader, found.line > 0 ? (size_t)found.line : 1, &found, &reason);
        return error_set(err, BAD_DATA, "%s", reason.text);
    }
    struct scanner scanner = scan_array(bytes);
    enum status status = OK;
    for (size_t i = 0; i < json_array_size(array) && !status; i++)
        status = deliver(reader, next_element_line(&scanner), json_array_get(array, i), err);
    json_decref(array);
    return status;
}

enum status jsonl_read(const char *name, const char *bytes, size_t size, size_t row_limit,
                       const struct jsonl_handler *handler, bool *is_array, struct error *err)
{
    if (size >= 2 && (memcmp(bytes, "\xFF\xFE", 2) == 0 || memcmp(bytes, "\xFE\xFF", 2) == 0))
        return error_set(err, BAD_DATA, "%s: the file is UTF-16; save it as UTF-8.", name);
    if (size >= 3 && memcmp(bytes, "\xEF\xBB\xBF", 3) == 0) {
        bytes += 3;
        size -= 3;
    }
    size_t first = 0;
    while (first < size && is_blank(bytes + first, 1))
        first++;
    if (first == size)
        return error_set(err, BAD_DATA, "%s: the file is empty; at least one record is needed.",
                         name);
    struct reader reader = {
        name, row_limit ? row_limit : JSONL_ROW_LIMIT, handler, handler->skipped_lines, 0, 0};
    bool array = bytes[first] == '[';
    if (is_array)
        *is_array = array;
    return array ? read_array(&reader, bytes, size, err) : read_lines(&reader, bytes, size, err);
}

/* Reals are printed with 15, 16 or 17 digits, whichever first reads back the same. */
char *jsonl_value_text(const json_t *value)
{
    for (size_t digits = 15;; digits++) {
        char *text =
            json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(digits));
        if (!text || digits == 17)
            return text;
        json_t *back = json_loads(text, JSON_DECODE_ANY, NULL);
        bool equal = back && json_equal(back, value);
        json_decref(back);
        if (equal)
            return text;
        free(text);
    }
}
