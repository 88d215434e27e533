/* SPDX-License-Identifier: Apache-2.0
 *
 * A page of headings and facts for people, as `profile` and `advise` print it.
 */
#ifndef ADVISOR_PAGE_H
#define ADVISOR_PAGE_H

#include "base/text.h"
#include "reports/report.h"

struct page {
    struct report_style style;
    struct text *out; /* not owned */
};

struct page page_begin(struct report_style style, struct text *out);

/* "Data      the facts, wrapped"; empties `facts`. An empty heading continues the one above. */
void page_facts(const struct page *page, const char *heading, struct text *facts);

/* A paragraph. */
void page_wrap(const struct page *page, const char *sentence);

/* "  name  the sentence, wrapped", which begins and goes on at `column`. */
void page_item(const struct page *page, const char *name, int column, const char *sentence);

/* A line of its own that stands out on a terminal. */
void page_title(const struct page *page, const char *title);

/* "1 label", "7 labels" */
void page_count(struct text *out, size_t count, const char *word);

#endif
