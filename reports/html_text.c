/* SPDX-License-Identifier: Apache-2.0 */
#include "reports/html_text.h"

#include <string.h>

#include "reports/plain.h"

void html_escape(struct text *out, const char *string)
{
    static const struct {
        char letter;
        const char *reference;
    } rows[] = {{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&quot;"}, {'\'', "&#39;"}};
    for (const char *at = string; *at;) {
        size_t length = strcspn(at, "&<>\"'");
        text_append(out, at, length);
        at += length;
        for (size_t i = 0; *at && i < sizeof rows / sizeof *rows; i++) {
            if (*at == rows[i].letter) {
                text_add(out, rows[i].reference);
                at++;
                break;
            }
        }
    }
}

void html_user_plain(struct text *out, const char *string)
{
    struct text plain = {0};
    plain_add(&plain, string ? string : "");
    html_escape(out, text_string(&plain));
    text_release(&plain);
}

void html_user(struct text *out, const char *string)
{
    text_add(out, "<bdi>");
    html_user_plain(out, string);
    text_add(out, "</bdi>");
}

/* Characters of a UTF-8 string; a byte that belongs to none counts as one. */
static size_t count_characters(const char *string)
{
    size_t count = 0;
    for (; *string; string++)
        count += ((unsigned char)*string & 0xC0) != 0x80;
    return count;
}

void html_user_cut(struct text *out, const char *string, int columns)
{
    struct text cut = {0};
    plain_cut(&cut, string, columns);
    text_add(out, "<bdi>");
    html_escape(out, text_string(&cut));
    text_add(out, "</bdi>");
    size_t length = strlen("\u2026");
    bool shortened = cut.length >= length && !strcmp(cut.bytes + cut.length - length, "\u2026") &&
                     utf8_columns(string) > columns;
    if (shortened && count_characters(string) > (size_t)columns + 400)
        text_printf(out, " <small>(%zu characters in all)</small>", count_characters(string));
    text_release(&cut);
}
