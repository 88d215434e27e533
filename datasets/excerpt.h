/* SPDX-License-Identifier: Apache-2.0
 *
 * Foreign text quoted inside a message: short, on one line, and harmless to a terminal.
 */
#ifndef DATASETS_EXCERPT_H
#define DATASETS_EXCERPT_H

#include <stddef.h>

struct excerpt {
    char text[200]; /* UTF-8, terminated */
};

/* At most 40 characters of `bytes` in single quotes, "..." after the quote when more follow.
 * Control characters, bidirectional controls and bytes that are not UTF-8 become \x1b, \u202e. */
struct excerpt excerpt(const char *bytes, size_t length);
struct excerpt excerpt_string(const char *string);

/* The same cleaning without quotes, for as much as fits: for messages of a library. */
struct excerpt excerpt_clean(const char *string);

#endif
