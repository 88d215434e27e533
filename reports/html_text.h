/* SPDX-License-Identifier: Apache-2.0
 *
 * Text of anybody inside an HTML page: it stays text, whatever it holds.
 */
#ifndef REPORTS_HTML_TEXT_H
#define REPORTS_HTML_TEXT_H

#include "base/text.h"

/* Appends `string` with & < > " ' as references; for text that has no control characters. */
void html_escape(struct text *out, const char *string);

/* Appends text of the user: made plain (reports/plain.h), escaped, and in a <bdi>, so that its
 * direction of writing ends with it. */
void html_user(struct text *out, const char *string);

/* The same, cut to `columns`; what is left out is counted behind it. */
void html_user_cut(struct text *out, const char *string, int columns);

/* The same without <bdi>, for places where no element may stand. */
void html_user_plain(struct text *out, const char *string);

#endif
