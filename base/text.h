/* SPDX-License-Identifier: Apache-2.0
 *
 * Growing text, and the few UTF-8 facts that several folders need.
 */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A string that grows. `bytes` is always terminated; start from {0} and end with text_release. */
struct text {
    char *bytes; /* NULL while nothing was added */
    size_t length;
    size_t capacity;
};

void text_append(struct text *text, const char *bytes, size_t length);
void text_add(struct text *text, const char *string);
void text_printf(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_repeat(struct text *text, const char *string, int times);
void text_clear(struct text *text); /* empty, memory kept */
void text_release(struct text *text);
const char *text_string(const struct text *text); /* never NULL */

/* Decodes one UTF-8 character at `bytes` (at most `length` bytes). Returns its bytes and sets
 * `*code`; returns 0 for an invalid sequence and then sets `*skip`, when not NULL, to the length of
 * the maximal invalid subpart (Unicode 15, section 3.9, practice for U+FFFD replacement). */
int utf8_decode(const char *bytes, size_t length, uint32_t *code, int *skip);

/* Writes 1 to 4 bytes to `out` and returns how many. `code` must be a scalar value. */
int utf8_encode(uint32_t code, char out[4]);

/* True when all of it is valid UTF-8; otherwise `*offset` (may be NULL) is the first bad byte. */
bool utf8_valid(const char *bytes, size_t length, size_t *offset);

/* Terminal columns of a UTF-8 string: combining marks 0, East Asian wide and emoji 2. */
int utf8_columns(const char *string);

#endif
