/* SPDX-License-Identifier: Apache-2.0 */
#include "reports/plain.h"

#include <stdbool.h>
#include <string.h>

struct range {
    uint32_t first, last;
};

/* Whether a character could command the terminal, turn the text around or hide in it. U+200C and
 * U+200D stay: Persian, Hindi and emoji need them. */
static bool is_unsafe(uint32_t code)
{
    static const struct range unsafe[] = {{0x00, 0x1F},     {0x7F, 0x9F},     {0xAD, 0xAD},
                                          {0x61C, 0x61C},   {0x180E, 0x180E}, {0x200B, 0x200B},
                                          {0x200E, 0x200F}, {0x2028, 0x202E}, {0x2060, 0x206F},
                                          {0xFEFF, 0xFEFF}, {0xFFF9, 0xFFFB}, {0xE0000, 0xE007F}};
    for (size_t i = 0; i < sizeof unsafe / sizeof *unsafe; i++)
        if (code >= unsafe[i].first && code <= unsafe[i].last)
            return true;
    return false;
}

void plain_add(struct text *out, const char *string)
{
    size_t left = strlen(string);
    while (left) {
        uint32_t code;
        int used = utf8_decode(string, left, &code, NULL);
        if (!used)
            text_printf(out, "<0x%02X>", (unsigned)(unsigned char)*string);
        else if (code == '\t' || code == '\n')
            text_add(out, " ");
        else if (is_unsafe(code))
            text_printf(out, "<U+%04X>", (unsigned)code);
        else
            text_append(out, string, (size_t)used);
        string += used ? used : 1;
        left -= (size_t)(used ? used : 1);
    }
}

/* Bytes of the longest start of `string`, which is valid UTF-8, that fits into `columns`. */
static size_t fitting(const char *string, int columns)
{
    size_t length = strlen(string), at = 0;
    while (at < length) {
        uint32_t code;
        char one[5] = {0};
        int used = utf8_decode(string + at, length - at, &code, NULL);
        memcpy(one, string + at, (size_t)used);
        columns -= utf8_columns(one);
        if (columns < 0)
            break;
        at += (size_t)used;
    }
    return at;
}

int plain_cut(struct text *out, const char *string, int columns)
{
    struct text plain = {0};
    plain_add(&plain, string);
    int width = utf8_columns(text_string(&plain));
    if (width <= columns) {
        text_add(out, text_string(&plain));
    } else {
        plain.length = fitting(plain.bytes, columns - 1);
        plain.bytes[plain.length] = '\0';
        width = utf8_columns(plain.bytes) + 1;
        text_add(out, plain.bytes);
        text_add(out, "\u2026");
    }
    text_release(&plain);
    return width;
}

void plain_wrap(struct text *out, const char *string, int at, int indent, int columns)
{
    struct text plain = {0}, word = {0};
    plain_add(&plain, string);
    bool begun = false; /* this line has a word of ours */
    for (const char *next = text_string(&plain); *next;) {
        size_t length = strcspn(next, " ");
        text_clear(&word);
        text_append(&word, next, length);
        next += length + strspn(next + length, " ");
        int width = utf8_columns(text_string(&word));
        if (begun && at + 1 + width > columns) {
            text_add(out, "\n");
            text_repeat(out, " ", indent);
            at = indent;
        } else if (begun) {
            text_add(out, " ");
            at++;
        }
        text_add(out, text_string(&word));
        at += width;
        begun = true;
    }
    text_release(&word);
    text_release(&plain);
}
