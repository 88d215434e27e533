/* SPDX-License-Identifier: Apache-2.0
 *
 * Writes JSON: keys in the order of the calls, two spaces of indent, valid UTF-8 whatever the
 * strings hold, null for what was not measured.
 *
 * `key` is NULL for an element of an array and for the outermost value.
 */
#ifndef REPORTS_WRITER_H
#define REPORTS_WRITER_H

#include <stdbool.h>

#include "base/text.h"
#include "evaluators/store.h"

struct writer {
    struct text *out; /* not owned */
    int depth;
    bool comma; /* the value before this one is on the same level */
};

struct writer writer_begin(struct text *out);
void writer_end(struct writer *writer); /* the newline behind the outermost value */

void write_object(struct writer *writer, const char *key);
void write_object_end(struct writer *writer);
void write_array(struct writer *writer, const char *key);
void write_array_end(struct writer *writer);

/* Invalid UTF-8 becomes U+FFFD; NULL becomes null. Control characters, DEL, U+2028 and U+2029 are
 * escaped. */
void write_string(struct writer *writer, const char *key, const char *value);
void write_strings(struct writer *writer, const char *key, const char *const *values, size_t count);

/* At most 12 significant digits, whole numbers below 2^53 with all of theirs; null when not
 * finite. */
void write_number(struct writer *writer, const char *key, double value);
void write_measured(struct writer *writer, const char *key, struct measured value);
void write_integer(struct writer *writer, const char *key, int64_t value);
void write_bool(struct writer *writer, const char *key, bool value);
void write_null(struct writer *writer, const char *key);

/* Text that is JSON already; NULL or "" becomes null. */
void write_json(struct writer *writer, const char *key, const char *json);

#endif
