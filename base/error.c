/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Drops an incomplete UTF-8 sequence that a cut left at the end of `text`. */
static void trim_to_character(char *text)
{
    size_t end = strlen(text);
    size_t start = end;
    while (start > 0 && ((unsigned char)text[start - 1] & 0xC0) == 0x80)
        start--;
    if (start == 0)
        return;
    unsigned char lead = (unsigned char)text[start - 1];
    size_t needed = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : lead >= 0xC0 ? 1 : 0;
    if (end - start < needed)
        text[start - 1] = '\0';
}

enum status error_set(struct error *err, enum status status, const char *format, ...)
{
    if (!err)
        return status;
    va_list args;
    va_start(args, format);
    int length = vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    if (length >= (int)sizeof err->text)
        trim_to_character(err->text);
    err->status = status;
    return status;
}

enum status error_prefix(struct error *err, const char *format, ...)
{
    if (!err)
        return FAILED; /* the status went with the sentence; callers that care give an error */
    char joined[sizeof err->text];
    va_list args;
    va_start(args, format);
    vsnprintf(joined, sizeof joined, format, args);
    va_end(args);
    size_t length = strlen(joined);
    int total = snprintf(joined + length, sizeof joined - length, ": %s", err->text);
    if (length + (size_t)total >= sizeof joined)
        trim_to_character(joined);
    memcpy(err->text, joined, sizeof joined);
    return err->status;
}
