/* SPDX-License-Identifier: Apache-2.0
 *
 * Text of the user made fit for a terminal: labels, paths and sentences that quote them.
 *
 * Control characters (C0, DEL, C1, so every escape sequence), line and paragraph separators,
 * characters that turn the direction of writing (UAX 9) or cannot be seen, and bytes that are not
 * UTF-8 are shown as code points: <U+001B>. Tab and newline become a space.
 */
#ifndef REPORTS_PLAIN_H
#define REPORTS_PLAIN_H

#include "base/text.h"

/* Appends `string` made plain. */
void plain_add(struct text *out, const char *string);

/* The same, cut to at most `columns` (>= 1) terminal columns, the last one an ellipsis. Returns the
 * columns used. */
int plain_cut(struct text *out, const char *string, int columns);

/* Appends `string` made plain and wrapped at spaces to lines of at most `columns`. The first line
 * goes on where `out` stands, at column `at`; further ones are indented by `indent`. A word longer
 * than a line stands alone on one. No newline at the end. */
void plain_wrap(struct text *out, const char *string, int at, int indent, int columns);

#endif
