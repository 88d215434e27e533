/* SPDX-License-Identifier: Apache-2.0 */
#include "evaluators/answers.h"

#include <math.h>
#include <string.h>

#include "datasets/numbers.h"

/* ---- Normalised texts ----------------------------------------------------------------------- */

bool answer_is_space(uint32_t code)
{
    return code == ' ' || (code >= '\t' && code <= '\r') || (code >= 0x1C && code <= 0x1F) ||
           code == 0x85 || code == 0xA0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200A) ||
           code == 0x2028 || code == 0x2029 || code == 0x202F || code == 0x205F || code == 0x3000;
}

/* Latin Extended-A: small letters follow their capitals, which are even in some stretches and odd
 * in others. */
static uint32_t lower_extended(uint32_t code)
{
    bool odd = (code >= 0x139 && code <= 0x148) || code >= 0x179;
    if (code == 0x130 || code == 0x138 || code == 0x149 || code == 0x17F)
        return code;
    if (code == 0x178)
        return 0xFF;
    return (code & 1) == odd ? code + 1 : code;
}

static uint32_t lower_greek(uint32_t code)
{
    if ((code >= 0x391 && code <= 0x3AB && code != 0x3A2)) /* 3A2 is not assigned */
        return code + 0x20;
    if (code >= 0x388 && code <= 0x38A) /* with an accent */
        return code + 0x25;
    return code == 0x386                    ? 0x3AC
           : code == 0x38C                  ? 0x3CC
           : code == 0x38E || code == 0x38F ? code + 0x3F
                                            : code;
}

uint32_t answer_lower(uint32_t code)
{
    if (code >= 'A' && code <= 'Z')
        return code + 0x20;
    if (code >= 0xC0 && code <= 0xDE && code != 0xD7) /* Latin-1 without the multiplication sign */
        return code + 0x20;
    if (code >= 0x100 && code <= 0x17F)
        return lower_extended(code);
    if (code >= 0x386 && code <= 0x3AB)
        return lower_greek(code);
    if (code >= 0x410 && code <= 0x42F) /* Cyrillic */
        return code + 0x20;
    if (code >= 0x400 && code <= 0x40F)
        return code + 0x50;
    return code;
}

/* Small letters, single spaces, none at the ends. Bytes that are no UTF-8 are kept. */
static void fold(const char *text, struct text *out)
{
    size_t length = strlen(text);
    bool space = false;
    for (size_t i = 0; i < length;) {
        uint32_t code;
        int skip = 0;
        int bytes = utf8_decode(text + i, length - i, &code, &skip);
        if (bytes > 0 && answer_is_space(code)) {
            space = out->length > 0;
        } else {
            if (space)
                text_append(out, " ", 1);
            space = false;
            char encoded[4];
            if (bytes > 0)
                text_append(out, encoded, (size_t)utf8_encode(answer_lower(code), encoded));
            else
                text_append(out, text + i, (size_t)skip);
        }
        i += (size_t)(bytes > 0 ? bytes : skip);
    }
}

/* A part of a string. */
struct slice {
    const char *bytes;
    size_t length;
};

struct quotation {
    const char *open;
    const char *close;
};

static const struct quotation QUOTATIONS[] = {
    {"\"", "\""},         {"'", "'"},           {"`", "`"},           {"\u201C", "\u201D"},
    {"\u201D", "\u201D"}, {"\u201E", "\u201C"}, {"\u201E", "\u201D"}, {"\u2018", "\u2019"},
    {"\u201A", "\u2018"}, {"\u00AB", "\u00BB"}, {"\u00BB", "\u00AB"},
};

/* Takes off one pair of quotation marks that encloses the whole. */
static bool unquote(struct slice *slice)
{
    for (size_t i = 0; i < sizeof QUOTATIONS / sizeof *QUOTATIONS; i++) {
        size_t open = strlen(QUOTATIONS[i].open);
        size_t close = strlen(QUOTATIONS[i].close);
        if (slice->length < open + close || memcmp(slice->bytes, QUOTATIONS[i].open, open) != 0)
            continue;
        const char *end = slice->bytes + slice->length - close;
        if (memcmp(end, QUOTATIONS[i].close, close) != 0)
            continue;
        slice->bytes += open;
        slice->length -= open + close;
        return true;
    }
    return false;
}

static void trim_spaces(struct slice *slice)
{
    while (slice->length > 0 && slice->bytes[slice->length - 1] == ' ')
        slice->length--;
    while (slice->length > 0 && slice->bytes[0] == ' ') {
        slice->bytes++;
        slice->length--;
    }
}

static bool trim_punctuation(struct slice *slice)
{
    size_t before = slice->length;
    while (slice->length > 0 && strchr(".,:;!?", slice->bytes[slice->length - 1]))
        slice->length--;
    return slice->length < before;
}

void answer_normalise(const char *text, struct text *out)
{
    text_clear(out);
    fold(text, out);
    if (out->length == 0)
        return;
    struct slice slice = {out->bytes, out->length};
    while (trim_punctuation(&slice) || unquote(&slice))
        trim_spaces(&slice);
    if (slice.length == 0) /* nothing but signs: then the signs are the answer */
        return;
    memmove(out->bytes, slice.bytes, slice.length);
    out->bytes[slice.length] = '\0';
    out->length = slice.length;
}

bool answer_equals(const char *answer, const char *target)
{
    struct text left = {0};
    struct text right = {0};
    answer_normalise(answer, &left);
    answer_normalise(target, &right);
    bool same = strcmp(text_string(&left), text_string(&right)) == 0;
    text_release(&left);
    text_release(&right);
    return same;
}

bool answer_equals_number(const char *answer, const char *target)
{
    const double exact_below = 0x1p53;
    const double tolerance = 1e-9;
    struct numbers expected = numbers_in(numbers_final_part(target));
    if (expected.count != 1)
        return answer_equals(numbers_final_part(answer), numbers_final_part(target));
    struct numbers found = numbers_in(numbers_final_part(answer));
    if (found.count == 0)
        return false;
    double a = found.last;
    double b = expected.last;
    if (a == b)
        return true;
    bool whole = a == floor(a) && b == floor(b) && fabs(a) < exact_below && fabs(b) < exact_below;
    return !whole && fabs(a - b) <= tolerance * fabs(b);
}
