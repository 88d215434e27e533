/* SPDX-License-Identifier: Apache-2.0 */
#include "datasets/excerpt.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

enum { LONGEST_CHARACTER = 6 }; /* bytes of "\u202e" */

static bool is_harmless(uint32_t code)
{
    if (code < 0x20 || (code >= 0x7F && code < 0xA0))
        return false;
    return !(code >= 0x200B && code <= 0x200F) && !(code >= 0x2028 && code <= 0x202E) &&
           !(code >= 0x2066 && code <= 0x2069) && code != 0xFEFF;
}

/* Writes the next character to `out` (at least LONGEST_CHARACTER + 1 bytes), escaped where needed,
 * and returns how many bytes of `bytes` it took. */
static size_t copy_character(const char *bytes, size_t length, char *out, size_t size)
{
    uint32_t code;
    int used = utf8_decode(bytes, length, &code, NULL);
    if (!used) {
        snprintf(out, size, "\\x%02x", (unsigned char)bytes[0]);
        return 1;
    }
    if (is_harmless(code)) {
        memcpy(out, bytes, (size_t)used);
        out[used] = '\0';
    } else if (code == '\n' || code == '\r' || code == '\t') {
        snprintf(out, size, "\\%c", code == '\n' ? 'n' : code == '\r' ? 'r' : 't');
    } else {
        snprintf(out, size, code < 0x100 ? "\\x%02x" : "\\u%04x", (unsigned)code);
    }
    return (size_t)used;
}

/* Appends at most `characters` characters to `out`; returns the bytes of the source used. */
static size_t append(struct excerpt *out, const char *bytes, size_t length, int characters)
{
    size_t at = 0;
    size_t end = strlen(out->text);
    while (at < length && characters-- > 0 &&
           end + LONGEST_CHARACTER + sizeof "'..." <= sizeof out->text) {
        at += copy_character(bytes + at, length - at, out->text + end, sizeof out->text - end);
        end += strlen(out->text + end);
    }
    return at;
}

struct excerpt excerpt(const char *bytes, size_t length)
{
    struct excerpt out = {"'"};
    size_t used = append(&out, bytes, length, 40);
    size_t end = strlen(out.text);
    snprintf(out.text + end, sizeof out.text - end, "%s", used < length ? "'..." : "'");
    return out;
}

struct excerpt excerpt_string(const char *string)
{
    return excerpt(string, strlen(string));
}

struct excerpt excerpt_clean(const char *string)
{
    struct excerpt out = {""};
    append(&out, string, strlen(string), (int)sizeof out.text);
    return out;
}
