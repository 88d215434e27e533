/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON records: one object a line (JSONL), or one array of objects in a file.
 *
 * Strict: UTF-8, no repeated keys, no text behind a value, no numbers out of range, nesting of at
 * most 2048 levels, no \u0000. Lines end at LF alone (U+2028, NEL and the like are text); a CR in
 * front of it is white space. One UTF-8 byte order mark at the start is removed.
 *
 * Messages begin with "name:line:column: " (column in characters, from 1) or "name:line: ".
 */
#ifndef DATASETS_JSONL_H
#define DATASETS_JSONL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct jsonl_handler {
    void *context;
    /* `object` is a JSON object that starts on `line`; it is released after the call. Anything but
     * OK ends the reading with that status. */
    enum status (*record)(void *context, size_t line, const json_t *object, struct error *err);
    /* A record that cannot be used, left out: a line that is not valid JSON (JSONL only), a value
     * that is not an object, a line over the limit, a blank line between records. `reason` is a
     * finished sentence. NULL: such a record is an error. */
    enum status (*bad_record)(void *context, size_t line, const char *reason, struct error *err);
    size_t skipped_lines; /* of the file, before the bytes given (JSONL only); for messages */
};

enum { JSONL_ROW_LIMIT = 16 << 20 }; /* bytes */

/* Reads the whole of `bytes`: an array when its first character is '[', else JSONL (`*is_array`,
 * may be NULL, says which). `row_limit` in bytes, 0: JSONL_ROW_LIMIT; it is not applied to arrays.
 * Status BAD_DATA besides bad records: an empty file, UTF-16, an array that is not valid JSON. */
enum status jsonl_read(const char *name, const char *bytes, size_t size, size_t row_limit,
                       const struct jsonl_handler *handler, bool *is_array, struct error *err);

/* Compact JSON text of any value, keys in their order, numbers as short as they read back equal.
 * Release with free(). */
char *jsonl_value_text(const json_t *value);

/* "an object", "a string", "null" ... */
const char *jsonl_type_name(const json_t *value);

#endif
