/* SPDX-License-Identifier: Apache-2.0
 *
 * Text of the user in Markdown: it stays text, whatever it holds.
 */
#ifndef REPORTS_MARKDOWN_TEXT_H
#define REPORTS_MARKDOWN_TEXT_H

#include "base/text.h"

/* Appends `string` so that it cannot become markup, a mention or a table of its own. */
void markdown_add(struct text *out, const char *string);

/* As code, with a fence longer than any run of backticks inside (CommonMark 6.1). */
void markdown_add_code(struct text *out, const char *string);

#endif
