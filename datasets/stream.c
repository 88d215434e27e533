/* SPDX-License-Identifier: Apache-2.0 */
#include "datasets/stream.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "datasets/demo.h"
#include "datasets/rows.h"

enum { CHUNK_BYTES = 1 << 20, READ_BYTES = 1 << 18, LONGEST_ROW = 32 << 20 };

struct row_stream {
    const char *path; /* for messages; not owned */
    const char *name; /* decides the format; not owned */
    FILE *file;
    const char *bytes; /* of data built in; NULL when there is a file */
    size_t bytes_left;
    struct dataset_options options;
    size_t rows; /* of a chunk */
    bool table;

    struct text buffer; /* read but not handed out */
    bool ended;         /* nothing follows the buffer */
    size_t line;        /* lines of the file before the buffer */
    struct text header; /* of a table, its line end included */
    size_t header_lines;
    char *columns; /* input columns of the first records, for the further ones; or NULL */
};

/* ---- Reading -------------------------------------------------------------------------------- */

/* Reads on; nothing at the end of the file. */
static enum status fill(struct row_stream *s, struct error *err)
{
    if (s->bytes) {
        size_t part = s->bytes_left < READ_BYTES ? s->bytes_left : READ_BYTES;
        text_append(&s->buffer, s->bytes, part);
        s->bytes += part;
        s->bytes_left -= part;
        s->ended = !s->bytes_left;
        return OK;
    }
    char *block = memory_alloc(READ_BYTES);
    size_t got = fread(block, 1, READ_BYTES, s->file);
    text_append(&s->buffer, block, got);
    free(block);
    s->ended = got < READ_BYTES;
    if (ferror(s->file))
        return error_set(err, FAILED, "%s: the file cannot be read: %s.", s->path, strerror(errno));
    return OK;
}

/* Where the next rows end. */
struct cut {
    size_t end;   /* of the rows, in the buffer */
    size_t rows;  /* in front of it */
    size_t lines; /* likewise */
};

struct scan {
    size_t at;        /* looked at so far */
    size_t row_start; /* of the row at hand */
    size_t lines;     /* before `at` */
    bool in_quotes;
};

static bool is_blank(const char *line, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (!memchr(" \t\r\n", line[i], 4))
            return false;
    return true;
}

/* Looks at the line that starts at scan->at and has `length` bytes. True when a row ends with it.
 * Blank lines belong to the row behind them, where the readers complain of them. */
static bool take_line(const struct row_stream *s, struct scan *scan, size_t length)
{
    const char *line = s->buffer.bytes + scan->at;
    bool blank = is_blank(line, length) && !scan->in_quotes;
    if (s->table)
        for (size_t i = 0; i < length; i++)
            scan->in_quotes ^= line[i] == '"';
    scan->at += length;
    scan->lines++;
    return !blank && !scan->in_quotes;
}

static enum status too_long(const struct row_stream *s, const struct scan *scan, struct error *err)
{
    return error_set(err, BAD_DATA,
                     "%s:%zu: the row that starts about here is longer than %d MiB; shorten it, or "
                     "close a quote that is still open.",
                     s->path, s->line + scan->lines + 1, LONGEST_ROW >> 20);
}

/* Finds the end of at most `rows` rows, reading as far as needed. No rows: only blank lines, or
 * nothing, are left. */
static enum status find_cut(struct row_stream *s, size_t rows, struct cut *cut, struct error *err)
{
    struct scan scan = {0};
    *cut = (struct cut){0};
    while (cut->rows < rows && cut->end < CHUNK_BYTES) {
        const char *start = text_string(&s->buffer) + scan.at;
        const char *feed = memchr(start, '\n', s->buffer.length - scan.at);
        size_t length = feed ? (size_t)(feed - start) + 1 : s->buffer.length - scan.at;
        if (!feed && !s->ended) {
            if (s->buffer.length - cut->end > LONGEST_ROW)
                return too_long(s, &scan, err);
            enum status status = fill(s, err);
            if (status != OK)
                return status;
            continue;
        }
        if (!length)
            break;
        if (take_line(s, &scan, length) ||
            (s->ended && scan.in_quotes && scan.at == s->buffer.length))
            *cut = (struct cut){scan.at, cut->rows + 1, scan.lines};
    }
    return OK;
}

static void drop(struct row_stream *s, const struct cut *cut)
{
    s->line += cut->lines;
    memmove(s->buffer.bytes, s->buffer.bytes + cut->end, s->buffer.length - cut->end + 1);
    s->buffer.length -= cut->end;
}

/* ---- Opening -------------------------------------------------------------------------------- */

static enum status open_source(struct row_stream *s, struct error *err)
{
    struct demo demo;
    if (demo_find(s->path, &demo)) {
        s->name = demo.file;
        s->bytes = demo.bytes;
        s->bytes_left = demo.size;
        return OK;
    }
    s->file = fopen(s->path, "rb");
    if (s->file)
        return OK;
    if (errno == ENOENT || errno == ENOTDIR)
        return error_set(err, BAD_DATA, "%s: there is no such file; name a CSV, TSV or JSONL file.",
                         s->path);
    return error_set(err, FAILED, "%s: the file cannot be read: %s.", s->path, strerror(errno));
}

/* The header goes in front of every chunk. */
static enum status take_header(struct row_stream *s, struct error *err)
{
    struct cut cut;
    enum status status = find_cut(s, 1, &cut, err);
    if (status != OK)
        return status;
    text_append(&s->header, text_string(&s->buffer), cut.end);
    s->header_lines = cut.lines;
    if (cut.end)
        drop(s, &cut);
    return OK;
}

/* Lets the reader of whole files say what is wrong with the beginning of this one: no text, no
 * rows, no known format. */
static enum status report_start(const struct row_stream *s, struct error *err)
{
    struct dataset none;
    enum status status =
        dataset_parse(s->name, text_string(&s->buffer), s->buffer.length, &s->options, &none, err);
    if (status != OK)
        return status;
    dataset_release(&none);
    return error_set(err, BAD_DATA, "%s: there are no rows in it.", s->path);
}

static enum status look_at_start(struct row_stream *s, struct error *err)
{
    enum status status = fill(s, err);
    if (status == OK)
        status = data_refuse_binary(s->path, text_string(&s->buffer), s->buffer.length, err);
    if (status != OK)
        return status;
    const char *bytes = text_string(&s->buffer);
    enum data_family family = data_family(s->name, bytes, s->buffer.length, s->options.delimiter);
    size_t first = strspn(bytes, " \t\r\n\xEF\xBB\xBF");
    s->table = family == FAMILY_CSV || family == FAMILY_TSV;
    if (family == FAMILY_UNKNOWN || !s->buffer.length)
        return report_start(s, err);
    if (!s->table && bytes[first] == '[')
        return error_set(err, BAD_DATA,
                         "%s: this is one JSON array; write one object a line (JSONL), which can "
                         "be read piece by piece.",
                         s->path);
    return s->table ? take_header(s, err) : OK;
}

enum status row_stream_open(struct row_stream **out, const char *path,
                            const struct dataset_options *options, size_t rows, struct error *err)
{
    struct row_stream *s = memory_zalloc(sizeof *s);
    *s = (struct row_stream){.path = path, .name = path, .options = *options, .rows = rows};
    s->options.part = true;
    enum status status = open_source(s, err);
    if (status == OK)
        status = look_at_start(s, err);
    if (status != OK) {
        row_stream_close(s);
        s = NULL;
    }
    *out = s;
    return status;
}

void row_stream_close(struct row_stream *stream)
{
    if (!stream)
        return;
    if (stream->file)
        fclose(stream->file);
    text_release(&stream->buffer);
    text_release(&stream->header);
    free(stream->columns);
    free(stream);
}

/* ---- Chunks --------------------------------------------------------------------------------- */

/* Later records are read by the columns of the first ones, whatever keys they begin with. */
static void remember_columns(struct row_stream *s, const struct dataset *chunk)
{
    if (s->columns || !chunk->count || s->table || chunk->shape != SHAPE_COLUMNS)
        return;
    s->columns = memory_strdup(chunk->input_column);
    s->options.input = s->columns;
}

enum status row_stream_next(struct row_stream *s, struct dataset *chunk, bool *more,
                            struct error *err)
{
    struct cut cut;
    struct text bytes = {0};
    *chunk = (struct dataset){0};
    enum status status = find_cut(s, s->rows, &cut, err);
    *more = cut.rows > 0;
    if (status != OK || !*more)
        return status;
    text_append(&bytes, text_string(&s->header), s->header.length);
    text_append(&bytes, s->buffer.bytes, cut.end);
    s->options.skipped_lines = s->line - s->header_lines;
    status = dataset_parse(s->name, bytes.bytes, bytes.length, &s->options, chunk, err);
    text_release(&bytes);
    drop(s, &cut);
    if (status == OK)
        remember_columns(s, chunk);
    return status;
}

enum status row_stream_skip(struct row_stream *s, bool *more, struct error *err)
{
    /* The first chunk of records settles the columns, so it has to be read. */
    if (!s->table && !s->columns) {
        struct dataset chunk;
        enum status status = row_stream_next(s, &chunk, more, err);
        dataset_release(&chunk);
        return status;
    }
    struct cut cut;
    enum status status = find_cut(s, s->rows, &cut, err);
    *more = cut.rows > 0;
    if (status == OK && *more)
        drop(s, &cut);
    return status;
}

enum status row_stream_count(const char *path, const struct dataset_options *options, size_t *rows,
                             struct error *err)
{
    struct row_stream *stream;
    struct cut cut = {.rows = 1};
    *rows = 0;
    enum status status = row_stream_open(&stream, path, options, SIZE_MAX, err);
    while (status == OK && cut.rows) {
        status = find_cut(stream, SIZE_MAX, &cut, err);
        *rows += cut.rows;
        if (cut.rows)
            drop(stream, &cut);
    }
    row_stream_close(stream);
    return status;
}
