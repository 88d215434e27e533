/* SPDX-License-Identifier: Apache-2.0
 *
 * The sections of the HTML report, and what they share.
 *
 * A section is a row of the table in html.c. It writes what belongs below its heading, with
 * headings from <h3> on; tables have a caption and scopes, and stand in an element that scrolls by
 * itself.
 */
#ifndef REPORTS_HTML_PARTS_H
#define REPORTS_HTML_PARTS_H

#include "base/memory.h"
#include "reports/html_text.h"
#include "reports/report.h"

/* ---- Sections ----------------------------------------------------------------------------------
 */

void html_ranking(const struct report *report, struct text *out);
bool html_has_rules(const struct report *report);
void html_rules(const struct report *report, struct text *out);
void html_break_even(const struct report *report, struct text *out); /* below the picture */
void html_profile(const struct report *report, struct text *out);
bool html_has_classes(const struct report *report);
void html_classes(const struct report *report, struct text *out);
bool html_has_errors(const struct report *report);
void html_errors(const struct report *report, struct text *out);
bool html_has_trials(const struct report *report);
void html_trials(const struct report *report, struct text *out);
void html_reproduce(const struct report *report, struct text *out);

/* ---- Pieces ------------------------------------------------------------------------------------
 */

/* A table that scrolls by itself when it is too wide; `caption` is fixed text. */
void html_table(struct text *out, const char *style, const char *caption);
void html_table_end(struct text *out);

/* Cells; `style` is a class or "". */
void html_head(struct text *out, const char *style, const char *title); /* of a column */
void html_cell(struct text *out, const char *style, const char *string);

/* One fact in a <dl>: a fixed name, and text of anybody. */
void html_fact(struct text *out, const char *name, const char *value);

/* The mark of a technique as it is in the pictures, and its name. */
void html_technique(const struct report *report, const struct ranked *ranked, struct text *out);

/* The style sheet, and the same as a source of a content security policy: 'sha256-...'. */
const char *html_style(void);
void html_style_source(struct text *out);

/* ---- Answers -----------------------------------------------------------------------------------
 */

enum { FINALISTS = 3 };

/* The techniques whose answers are shown one by one: the first ones of the ranking that are no
 * baselines, or a baseline when there is nothing else. Returns how many. */
size_t html_finalists(const struct report *report,
                      const struct ranked_answers *finalists[FINALISTS]);

/* The names of the classes by their number; report->label_count of them, in `arena`. */
const char *const *html_class_names(const struct report *report, struct arena *arena);

#endif
