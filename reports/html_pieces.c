/* SPDX-License-Identifier: Apache-2.0
 *
 * What the sections of the HTML report share; declared in reports/html_parts.h.
 */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "reports/chart.h"
#include "reports/html_parts.h"

/* ---- The style sheet --------------------------------------------------------------------------
 */

__asm__(".pushsection .rodata\n"
        ".global report_css_start\n"
        "report_css_start:\n"
        ".incbin \"reports/report.css\"\n"
        ".byte 0\n"
        ".popsection\n");

extern const char report_css_start[];

const char *html_style(void)
{
    return report_css_start;
}

static unsigned nibble(char digit)
{
    return (unsigned)(digit <= '9' ? digit - '0' : digit - 'a' + 10);
}

/* Base64 (RFC 4648) of bytes in hexadecimal digits. */
static void add_base64(struct text *out, const char *hex)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t bytes = strlen(hex) / 2;
    for (size_t i = 0; i < bytes; i += 3) {
        unsigned group = 0;
        for (size_t j = 0; j < 3; j++) {
            const char *at = hex + 2 * (i + j);
            group = group << 8 | (i + j < bytes ? nibble(at[0]) << 4 | nibble(at[1]) : 0);
        }
        for (size_t j = 0; j < 4; j++)
            text_append(out, i + j > bytes ? "=" : &letters[group >> (18 - 6 * j) & 63], 1);
    }
}

void html_style_source(struct text *out)
{
    char hex[HASH_HEX];
    if (hash_bytes(html_style(), strlen(html_style()), hex, NULL) != OK) {
        text_add(out, "'unsafe-inline'"); /* the page stays readable */
        return;
    }
    text_add(out, "'sha256-");
    add_base64(out, hex);
    text_add(out, "'");
}

/* ---- Tables and facts -------------------------------------------------------------------------
 */

void html_table(struct text *out, const char *style, const char *caption)
{
    text_printf(out,
                "<div class=\"scroll\" role=\"region\" aria-label=\"%s\" tabindex=\"0\">\n"
                "<table class=\"%s\">\n<caption>%s</caption>\n",
                caption, style, caption);
}

void html_table_end(struct text *out)
{
    text_add(out, "</tbody>\n</table>\n</div>\n");
}

static void add_class(struct text *out, const char *style)
{
    if (*style)
        text_printf(out, " class=\"%s\"", style);
}

void html_head(struct text *out, const char *style, const char *title)
{
    text_add(out, "<th scope=\"col\"");
    add_class(out, style);
    text_add(out, ">");
    html_user_plain(out, title);
    text_add(out, "</th>");
}

void html_cell(struct text *out, const char *style, const char *string)
{
    text_add(out, "<td");
    add_class(out, style);
    text_add(out, ">");
    html_user_plain(out, string);
    text_add(out, "</td>");
}

void html_fact(struct text *out, const char *name, const char *value)
{
    text_printf(out, "<div><dt>%s</dt><dd>", name);
    html_user(out, value);
    text_add(out, "</dd></div>\n");
}

void html_technique(const struct report *report, const struct ranked *ranked, struct text *out)
{
    char style[SERIES_STYLE];
    text_add(out, "<svg class=\"key\" viewBox=\"0 0 16 16\" width=\"16\" height=\"16\" "
                  "aria-hidden=\"true\" focusable=\"false\">");
    struct svg svg = {out, 16, 16};
    svg_mark(&svg, series_shape(report, ranked), (struct point){8, 8}, 5,
             series_style(report, ranked, "mark", style));
    text_add(out, "</svg>");
    html_user(out, ranked->technique);
}

/* ---- Answers ----------------------------------------------------------------------------------
 */

static bool is_baseline(const struct report *report, const struct ranked_answers *answers)
{
    const struct ranked *ranked = report_ranked(report, answers->technique);
    return !ranked || !strcmp(ranked->family, "baseline");
}

size_t html_finalists(const struct report *report,
                      const struct ranked_answers *finalists[FINALISTS])
{
    const struct evidence *evidence = &report->evidence;
    size_t count = 0;
    for (size_t i = 0; i < evidence->answers_count && count < FINALISTS; i++)
        if (evidence->answers[i].dev_count && !is_baseline(report, &evidence->answers[i]))
            finalists[count++] = &evidence->answers[i];
    if (!count && evidence->answers_count && evidence->answers[0].dev_count)
        finalists[count++] = &evidence->answers[0];
    return count;
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

const char *const *html_class_names(const struct report *report, struct arena *arena)
{
    const char **names = arena_alloc(arena, report->label_count * sizeof *names + 1);
    for (size_t i = 0; i < report->label_count; i++)
        names[i] = report->labels[i].name;
    qsort(names, report->label_count, sizeof *names, by_bytes);
    return names;
}
