/* SPDX-License-Identifier: Apache-2.0 */
#include "advisor/page.h"

#include "reports/plain.h"

enum { HEADING_COLUMN = 10, LEAST_COLUMNS = 40 };

struct page page_begin(struct report_style style, struct text *out)
{
    if (style.columns < LEAST_COLUMNS)
        style.columns = LEAST_COLUMNS;
    return (struct page){style, out};
}

void page_facts(const struct page *page, const char *heading, struct text *facts)
{
    text_add(page->out, page->style.color ? "\033[2m" : "");
    text_printf(page->out, "%-*s", HEADING_COLUMN, heading);
    text_add(page->out, page->style.color ? "\033[0m" : "");
    plain_wrap(page->out, text_string(facts), HEADING_COLUMN, HEADING_COLUMN, page->style.columns);
    text_add(page->out, "\n");
    text_release(facts);
}

void page_wrap(const struct page *page, const char *sentence)
{
    plain_wrap(page->out, sentence, 0, 0, page->style.columns);
    text_add(page->out, "\n");
}

void page_item(const struct page *page, const char *name, int column, const char *sentence)
{
    text_add(page->out, "  ");
    int used = 2 + plain_cut(page->out, name, column > 4 ? column - 4 : 1);
    text_repeat(page->out, " ", column - used);
    plain_wrap(page->out, sentence, column, column, page->style.columns);
    text_add(page->out, "\n");
}

void page_title(const struct page *page, const char *title)
{
    text_add(page->out, page->style.color ? "\033[1m" : "");
    page_wrap(page, title);
    text_add(page->out, page->style.color ? "\033[0m" : "");
}

void page_count(struct text *out, size_t count, const char *word)
{
    text_printf(out, "%zu %s%s", count, word, count == 1 ? "" : "s");
}
