/* SPDX-License-Identifier: Apache-2.0 */
#include "reports/markdown_text.h"

#include <string.h>

#include "reports/plain.h"

void markdown_add(struct text *out, const char *string)
{
    struct text plain = {0};
    plain_add(&plain, string);
    for (const char *at = text_string(&plain); *at; at++) {
        if (strchr("\\`*_{}[]<>#|~@!&", *at))
            text_add(out, "\\");
        text_append(out, at, 1);
    }
    text_release(&plain);
}

void markdown_add_code(struct text *out, const char *string)
{
    struct text plain = {0};
    int longest = 0, run = 0;
    plain_add(&plain, string);
    for (const char *at = text_string(&plain); *at; at++) {
        run = *at == '`' ? run + 1 : 0;
        longest = run > longest ? run : longest;
    }
    const char *pad = longest ? " " : "";
    text_repeat(out, "`", longest + 1);
    text_printf(out, "%s%s%s", pad, text_string(&plain), pad);
    text_repeat(out, "`", longest + 1);
    text_release(&plain);
}
