/* SPDX-License-Identifier: Apache-2.0
 *
 * Strict CSV and TSV (RFC 4180): nothing is guessed, trimmed, repaired or dropped.
 *
 * The first row is the header. Rows end with LF or CRLF; fields in quotes may hold anything, with
 * quotes doubled; spaces belong to the field. One UTF-8 byte order mark at the start is removed.
 *
 * Messages begin with "name:line:column: " (column in characters, from 1) or "name:line: ".
 */
#ifndef DATASETS_CSV_H
#define DATASETS_CSV_H

#include <stddef.h>

#include "base/error.h"
#include "base/text.h"

struct csv_field {
    const char *bytes; /* UTF-8, terminated, without NUL inside */
    size_t length;
};

struct csv_record {
    size_t line; /* of the file, from 1, on which the row starts */
    const struct csv_field *fields;
    size_t count; /* the same for every record of a file */
};

/* Each function returns OK to go on; anything else ends the reading with that status. What the
 * record points to is valid during the call. */
struct csv_handler {
    void *context;
    enum status (*header)(void *context, const struct csv_record *header, struct error *err);
    enum status (*record)(void *context, const struct csv_record *record, struct error *err);
    /* A row that cannot be used, left out: ragged, bad UTF-8, NUL byte, a field over the limit, a
     * blank line between rows. `reason` is a finished sentence. NULL: such a row is an error. */
    enum status (*bad_record)(void *context, size_t line, const char *reason, struct error *err);
};

enum { CSV_FIELD_LIMIT = 1 << 20, CSV_ROW_LIMIT = 16 << 20 }; /* bytes */

struct csv_options {
    char delimiter;     /* 0: ','; an ASCII character, not a quote or line end */
    size_t field_limit; /* bytes; 0: CSV_FIELD_LIMIT */
    size_t row_limit;   /* bytes; 0: CSV_ROW_LIMIT */
    size_t
        skipped_lines; /* of the file, between the header and the first row given; for messages */
};

/* Reads the whole of `bytes`. Status BAD_DATA besides bad rows: no header (empty file, or a blank
 * first line); more than 4096 columns; an empty or repeated column name; UTF-16; a carriage return
 * without line feed outside quotes; a quote inside an unquoted field, text after a closing quote, a
 * quote never closed; a row over the limit. Blank lines at the end are fine. USAGE: a bad
 * delimiter. */
enum status csv_read(const char *name, const char *bytes, size_t size,
                     const struct csv_options *options, const struct csv_handler *handler,
                     struct error *err);

/* Appends one field as RFC 4180 wants it: in quotes when it holds the delimiter, a quote, a line
 * end, starts or ends with white space, or is empty. The caller adds delimiters and CRLF. */
void csv_write_field(struct text *out, const char *bytes, size_t length, char delimiter);

#endif
