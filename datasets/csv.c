/* SPDX-License-Identifier: Apache-2.0 */
#include "datasets/csv.h"

#include <csv.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "datasets/excerpt.h"

enum { MAX_COLUMNS = 4096 };

/* libcsv accepts more than RFC 4180 does and knows no lines, so the input is cut into physical
 * lines here, each is checked, and libcsv is fed one line at a time. The number of quotes seen says
 * whether a line end belongs to a field; for well-formed input that is exact, and for any other
 * libcsv reports the offending quote on its own line. */
struct reader {
    const char *name;
    size_t field_limit;
    size_t row_limit;
    size_t skipped_lines; /* behind the header */
    const struct csv_handler *handler;
    struct csv_parser parser;

    size_t line;       /* number of the physical line at hand */
    size_t row_line;   /* where the row at hand starts; 0 between rows */
    size_t row_bytes;  /* fed for the row at hand */
    bool in_quotes;    /* at the end of the line at hand */
    bool row_done;     /* libcsv reported the end of the row */
    size_t blank_line; /* first blank line since the last row; 0 = none */
    size_t blanks;

    struct text content; /* fields of the row at hand, each terminated */
    struct csv_field *fields;
    size_t count;
    size_t capacity;
    size_t columns; /* of the header; 0 before it was read */

    bool defective; /* the row at hand cannot be used, for the reason in `defect` */
    struct error defect;
};

/* RFC 4180: spaces belong to the field. */
static int no_space(unsigned char c)
{
    (void)c;
    return 0;
}

/* Remembers the first reason why the row at hand cannot be used. */
static void mark_defective(struct reader *reader, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void mark_defective(struct reader *reader, const char *format, ...)
{
    if (reader->defective)
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(reader->defect.text, sizeof reader->defect.text, format, args);
    va_end(args);
    reader->defective = true;
}

static void take_field(void *bytes, size_t length, void *context)
{
    struct reader *reader = context;
    if (reader->count == reader->capacity) {
        reader->capacity = reader->capacity ? 2 * reader->capacity : 16;
        reader->fields = memory_realloc(reader->fields, reader->capacity * sizeof *reader->fields);
    }
    reader->count++;
    if (length > reader->field_limit) {
        mark_defective(reader,
                       "%s:%zu: field %zu of this row has %zu bytes, and the limit is %zu; shorten "
                       "it, or look for a quote that is never closed.",
                       reader->name, reader->row_line, reader->count, length, reader->field_limit);
        length = 0;
    }
    reader->fields[reader->count - 1].length = length;
    if (length)
        text_append(&reader->content, bytes, length);
    text_append(&reader->content, "", 1);
}

/* Called once for LF and, because of CSV_REPALL_NL, twice for CRLF. */
static void take_row(int terminator, void *context)
{
    (void)terminator;
    struct reader *reader = context;
    if (reader->count)
        reader->row_done = true;
}

static size_t column_of(const char *line, size_t offset)
{
    size_t column = 1;
    for (size_t i = 0; i < offset; i++)
        column += ((unsigned char)line[i] & 0xC0) != 0x80;
    return column;
}

static enum status bad_row(const struct reader *reader, size_t line, const char *reason,
                           struct error *err)
{
    if (reader->handler->bad_record && reader->columns)
        return reader->handler->bad_record(reader->handler->context, line, reason, err);
    return error_set(err, BAD_DATA, "%s", reason);
}

static enum status check_header(const struct reader *reader, struct error *err)
{
    if (reader->count > MAX_COLUMNS)
        return error_set(err, BAD_DATA,
                         "%s:%zu: the header has %zu columns, and the limit is %d; check the "
                         "delimiter, or keep only the columns that are needed.",
                         reader->name, reader->row_line, reader->count, MAX_COLUMNS);
    for (size_t i = 0; i < reader->count; i++) {
        if (reader->fields[i].length == 0)
            return error_set(err, BAD_DATA,
                             "%s:%zu: column %zu of the header has no name; give every column a "
                             "name, or remove a delimiter too many.",
                             reader->name, reader->row_line, i + 1);
        for (size_t j = 0; j < i; j++)
            if (strcmp(reader->fields[i].bytes, reader->fields[j].bytes) == 0)
                return error_set(err, BAD_DATA,
                                 "%s:%zu: columns %zu and %zu of the header are both named %s; "
                                 "rename one of them.",
                                 reader->name, reader->row_line, j + 1, i + 1,
                                 excerpt_string(reader->fields[i].bytes).text);
    }
    return OK;
}

static enum status report_ragged(const struct reader *reader, struct error *err)
{
    struct error reason;
    const char *remedy = reader->count > reader->columns
                             ? "put a field that holds the delimiter in quotes"
                             : "add the missing fields";
    error_set(&reason, BAD_DATA,
              "%s:%zu: this row has %zu field%s, but the header has %zu; %s, or remove the row.",
              reader->name, reader->row_line, reader->count, reader->count == 1 ? "" : "s",
              reader->columns, remedy);
    return bad_row(reader, reader->row_line, reason.text, err);
}

/* Hands over the row that libcsv has completed. */
static enum status deliver_row(struct reader *reader, struct error *err)
{
    char *bytes = reader->content.bytes;
    for (size_t i = 0; i < reader->count; i++) {
        reader->fields[i].bytes = bytes;
        bytes += reader->fields[i].length + 1;
    }
    struct csv_record record = {reader->row_line, reader->fields, reader->count};
    if (reader->defective)
        return bad_row(reader, reader->row_line, reader->defect.text, err);
    if (reader->columns == 0) {
        enum status status = check_header(reader, err);
        reader->columns = reader->count;
        reader->line += reader->skipped_lines;
        return status ? status : reader->handler->header(reader->handler->context, &record, err);
    }
    if (reader->count != reader->columns)
        return report_ragged(reader, err);
    return reader->handler->record(reader->handler->context, &record, err);
}

static enum status finish_row(struct reader *reader, struct error *err)
{
    enum status status = deliver_row(reader, err);
    text_clear(&reader->content);
    reader->count = 0;
    reader->row_done = false;
    reader->row_line = 0;
    reader->row_bytes = 0;
    reader->defective = false;
    return status;
}

/* Blank lines are legal at the end of the file only; that is known when the next row starts. */
static enum status report_blanks(struct reader *reader, struct error *err)
{
    enum status status = OK;
    for (size_t i = 0; i < reader->blanks && !status; i++) {
        struct error reason;
        size_t line = reader->blank_line + i;
        error_set(&reason, BAD_DATA,
                  "%s:%zu: this line is blank, but rows follow it; remove the line.", reader->name,
                  line);
        status = bad_row(reader, line, reason.text, err);
    }
    reader->blanks = 0;
    return status;
}

static void check_bytes(struct reader *reader, const char *line, size_t length)
{
    const char *nul = memchr(line, '\0', length);
    if (nul)
        mark_defective(reader,
                       "%s:%zu:%zu: this row holds a NUL byte, which no text has; check how the "
                       "file was written, or remove the byte.",
                       reader->name, reader->line, column_of(line, (size_t)(nul - line)));
    size_t offset;
    if (!utf8_valid(line, length, &offset))
        mark_defective(reader,
                       "%s:%zu:%zu: the byte 0x%02X is not valid UTF-8; save the file as UTF-8 "
                       "(iconv -f WINDOWS-1252 -t UTF-8 converts a file from old Windows).",
                       reader->name, reader->line, column_of(line, offset),
                       (unsigned char)line[offset]);
}

/* A carriage return in `length` bytes outside quotes that no line feed follows; or NULL. */
static const char *find_bare_return(const char *bytes, size_t length, const char *end)
{
    const char *found = memchr(bytes, '\r', length);
    if (found && found + 1 < end && found[1] == '\n')
        return NULL; /* the line ends there, so there is no further one */
    return found;
}

/* Follows the quotes of a line and looks for line ends that are none. */
static enum status check_line_ends(struct reader *reader, const char *line, size_t length,
                                   struct error *err)
{
    const char *at = line;
    const char *end = line + length;
    while (at < end) {
        const char *quote = memchr(at, '"', (size_t)(end - at));
        const char *stop = quote ? quote : end;
        const char *bare =
            reader->in_quotes ? NULL : find_bare_return(at, (size_t)(stop - at), end);
        if (bare)
            return error_set(err, BAD_DATA,
                             "%s:%zu:%zu: a carriage return stands here without a line feed; put "
                             "the field in quotes, or save the file with LF or CRLF line ends.",
                             reader->name, reader->line, column_of(line, (size_t)(bare - line)));
        if (!quote)
            break;
        reader->in_quotes = !reader->in_quotes;
        at = quote + 1;
    }
    return OK;
}

static enum status parse_error(struct reader *reader, const char *line, size_t offset,
                               struct error *err)
{
    if (csv_error(&reader->parser) != CSV_EPARSE)
        return error_set(err, FAILED, "%s:%zu: %s.", reader->name, reader->line,
                         csv_strerror(csv_error(&reader->parser)));
    const char *what =
        line[offset] == '"'
            ? "a quote stands inside a field that does not start with one; put the whole field in "
              "quotes and double the quote (\"a 5\"\" disk\")"
            : "text follows the closing quote of a field; double a quote that belongs to the text "
              "(\"a 5\"\" disk\"), or add the missing delimiter";
    return error_set(err, BAD_DATA, "%s:%zu:%zu: %s.", reader->name, reader->line,
                     column_of(line, offset), what);
}

/* Takes one physical line, its line end included. */
static enum status take_line(struct reader *reader, const char *line, size_t length,
                             struct error *err)
{
    bool blank = length == 1 ? line[0] == '\n' : length == 2 && memcmp(line, "\r\n", 2) == 0;
    if (!reader->in_quotes && blank) {
        if (!reader->blanks++)
            reader->blank_line = reader->line;
        return OK;
    }
    enum status status = reader->in_quotes ? OK : report_blanks(reader, err);
    if (status)
        return status;
    if (reader->row_line == 0)
        reader->row_line = reader->line;
    check_bytes(reader, line, length);
    reader->row_bytes += length;
    if (reader->row_bytes > reader->row_limit)
        return error_set(err, BAD_DATA,
                         "%s:%zu: the row that starts here is longer than %zu bytes; shorten it, "
                         "or close a quote that is still open in line %zu.",
                         reader->name, reader->row_line, reader->row_limit, reader->line);
    status = check_line_ends(reader, line, length, err);
    if (status)
        return status;
    size_t used = csv_parse(&reader->parser, line, length, take_field, take_row, reader);
    if (used < length)
        return parse_error(reader, line, used, err);
    return reader->row_done ? finish_row(reader, err) : OK;
}

static enum status finish_file(struct reader *reader, struct error *err)
{
    /* csv_fini is asked only after a faultless parse: after an error it hands over a broken row. */
    if (csv_fini(&reader->parser, take_field, take_row, reader) != 0)
        return error_set(err, BAD_DATA,
                         "%s:%zu: a quote opened in the row that starts here is never closed; "
                         "close it, or double a quote that belongs to the text.",
                         reader->name, reader->row_line);
    enum status status = reader->row_done ? finish_row(reader, err) : OK;
    if (!status && reader->columns == 0)
        return error_set(err, BAD_DATA,
                         "%s: the file is empty; a header and at least one row are needed.",
                         reader->name);
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
    return status ? status : finish_file(reader, err);
}

static bool is_utf16(const char *bytes, size_t size)
{
    return size >= 2 && (memcmp(bytes, "\xFF\xFE", 2) == 0 || memcmp(bytes, "\xFE\xFF", 2) == 0);
}

enum status csv_read(const char *name, const char *bytes, size_t size,
                     const struct csv_options *options, const struct csv_handler *handler,
                     struct error *err)
{
    struct csv_options o = options ? *options : (struct csv_options){0};
    char delimiter = o.delimiter ? o.delimiter : ',';
    if (delimiter == '"' || delimiter == '\n' || delimiter == '\r' || (delimiter & 0x80))
        return error_set(err, USAGE,
                         "The delimiter has to be one ASCII character that is neither a quote nor "
                         "a line end, such as ',' or ';' or a tab.");
    if (is_utf16(bytes, size))
        return error_set(err, BAD_DATA,
                         "%s: the file is UTF-16; save it as UTF-8 (in Excel \"CSV UTF-8\").",
                         name);
    if (size >= 3 && memcmp(bytes, "\xEF\xBB\xBF", 3) == 0) {
        bytes += 3;
        size -= 3;
    }
    struct reader reader = {.name = name,
                            .field_limit = o.field_limit ? o.field_limit : CSV_FIELD_LIMIT,
                            .row_limit = o.row_limit ? o.row_limit : CSV_ROW_LIMIT,
                            .skipped_lines = o.skipped_lines,
                            .handler = handler};
    if (csv_init(&reader.parser, CSV_STRICT | CSV_STRICT_FINI | CSV_APPEND_NULL | CSV_REPALL_NL))
        return error_set(err, FAILED, "%s: the CSV parser could not be started.", name);
    csv_set_space_func(&reader.parser, no_space);
    csv_set_delim(&reader.parser, (unsigned char)delimiter);
    csv_set_blk_size(&reader.parser, 64 * 1024); /* or a long field is copied 128 bytes at a time */
    enum status status = read_lines(&reader, bytes, size, err);
    csv_free(&reader.parser);
    text_release(&reader.content);
    free(reader.fields);
    return status;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

static bool needs_quotes(const char *bytes, size_t length, char delimiter)
{
    if (length == 0 || is_space(bytes[0]) || is_space(bytes[length - 1]))
        return true;
    for (size_t i = 0; i < length; i++)
        if (bytes[i] == delimiter || bytes[i] == '"' || bytes[i] == '\r' || bytes[i] == '\n')
            return true;
    return false;
}

void csv_write_field(struct text *out, const char *bytes, size_t length, char delimiter)
{
    if (!needs_quotes(bytes, length, delimiter)) {
        text_append(out, bytes, length);
        return;
    }
    text_append(out, "\"", 1);
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] == '"')
            text_append(out, "\"", 1);
        text_append(out, bytes + i, 1);
    }
    text_append(out, "\"", 1);
}
