/* SPDX-License-Identifier: Apache-2.0 */
#include "evaluators/answers.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

/* ---- Normalised texts ----------------------------------------------------------------------- */

static bool is_white(uint32_t code)
{
    return code == ' ' || (code >= '\t' && code <= '\r') || code == 0xA0 || code == 0x1680 ||
           (code >= 0x2000 && code <= 0x200A) || code == 0x2028 || code == 0x2029 ||
           code == 0x202F || code == 0x205F || code == 0x3000;
}

static uint32_t lower(uint32_t code)
{
    if (code >= 'A' && code <= 'Z')
        return code + 0x20;
    if (code >= 0xC0 && code <= 0xDE && code != 0xD7) /* Latin-1 without the multiplication sign */
        return code + 0x20;
    if (code >= 0x391 && code <= 0x3A9 && code != 0x3A2) /* Greek; 3A2 is not assigned */
        return code + 0x20;
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
        if (bytes > 0 && is_white(code)) {
            space = out->length > 0;
        } else {
            if (space)
                text_append(out, " ", 1);
            space = false;
            char encoded[4];
            if (bytes > 0)
                text_append(out, encoded, (size_t)utf8_encode(lower(code), encoded));
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

/* ---- Numbers in texts ----------------------------------------------------------------------- */

struct numbers {
    size_t count;
    double last;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static size_t digits_at(const char *text)
{
    size_t count = 0;
    while (is_digit(text[count]))
        count++;
    return count;
}

/* A sign or digit right after such a character is part of a word, a range or a formula. */
static bool is_wordlike(uint32_t code)
{
    if (code < 0x80)
        return (code >= '0' && code <= '9') || (code >= 'A' && code <= 'Z') ||
               (code >= 'a' && code <= 'z') || (code && strchr(")]}_", (int)code));
    return code >= 0xC0 && !(code >= 0x2000 && code <= 0x2BFF); /* signs, arrows, currencies */
}

static const char *const SEPARATORS[] = {",", "'", "\u2019", "\u00A0", "\u202F", "\u2009"};

/* Bytes of the thousands separator at `text` that is followed by exactly three digits, or 0. */
static size_t separator_at(const char *text)
{
    for (size_t i = 0; i < sizeof SEPARATORS / sizeof *SEPARATORS; i++) {
        size_t length = strlen(SEPARATORS[i]);
        if (strncmp(text, SEPARATORS[i], length) == 0)
            return digits_at(text + length) == 3 ? length : 0;
    }
    return 0;
}

static double add_digits(double value, const char *digits, size_t count)
{
    for (size_t i = 0; i < count; i++)
        value = 10 * value + (digits[i] - '0');
    return value;
}

/* A number being read: `value` times ten to the `exponent`. */
struct reading {
    double value;
    double exponent;
    const char *end; /* first byte after it */
};

static void read_whole_part(struct reading *reading)
{
    const char *text = reading->end;
    size_t first = digits_at(text);
    reading->value = add_digits(0, text, first);
    reading->end += first;
    if (first == 0 || first > 3 || text[0] == '0')
        return;
    size_t length = separator_at(reading->end);
    const char *separator = reading->end;
    while (length > 0 && strncmp(reading->end, separator, length) == 0 &&
           separator_at(reading->end) == length) {
        reading->value = add_digits(reading->value, reading->end + length, 3);
        reading->end += length + 3;
    }
}

/* Decimals after a point, or after a comma that stands alone and is no thousands separator. */
static void read_decimals(struct reading *reading, bool grouped, bool listed)
{
    char mark = reading->end[0];
    size_t count = mark ? digits_at(reading->end + 1) : 0;
    if (count == 0)
        return;
    char next = reading->end[1 + count];
    bool last = !((next == ',' || next == '.') && is_digit(reading->end[2 + count]));
    if (mark != '.' && !(mark == ',' && !grouped && !listed && last))
        return;
    reading->value = add_digits(reading->value, reading->end + 1, count);
    reading->exponent -= (double)count;
    reading->end += 1 + count;
}

static void read_exponent(struct reading *reading)
{
    if (*reading->end != 'e' && *reading->end != 'E')
        return;
    const char *text = reading->end + 1;
    bool negative = *text == '-';
    text += *text == '-' || *text == '+';
    size_t count = digits_at(text);
    if (count == 0)
        return;
    double exponent = add_digits(0, text, count);
    reading->exponent += negative ? -exponent : exponent;
    reading->end = text + count;
}

/* True when the number goes on as a date, time, range, fraction or version. */
static bool is_compound(const char *end, bool decimals)
{
    bool joint = *end && (strchr("/:-.", *end) || (decimals && *end == ','));
    return joint && is_digit(end[1]);
}

static const char *skip_compound(const char *text)
{
    while (is_digit(*text) || (*text && strchr("/:-.,", *text) && is_digit(text[1])))
        text++;
    return text;
}

/* Reads the number whose digits begin at `text`; returns where to go on. `listed` says that it
 * follows another number and a comma. */
static const char *read_number(const char *text, bool negative, bool listed,
                               struct numbers *numbers)
{
    struct reading reading = {.end = text};
    size_t first = digits_at(text);
    read_whole_part(&reading);
    bool grouped = reading.end != text + first;
    const char *whole_end = reading.end;
    read_decimals(&reading, grouped, listed);
    bool decimals = reading.end != whole_end;
    read_exponent(&reading);
    if (is_compound(reading.end, decimals))
        return skip_compound(reading.end);
    double value = reading.exponent < 0 ? reading.value / pow(10, -reading.exponent)
                                        : reading.value * pow(10, reading.exponent);
    if (isfinite(value)) {
        numbers->count++;
        numbers->last = negative ? -value : value;
    }
    return reading.end;
}

/* What stands before the place that is read. */
struct before {
    uint32_t code; /* the character before, 0 at the start */
    bool negative; /* a minus sign that belongs to digits that follow */
    bool comma;    /* a comma right after a number */
};

static bool is_currency(uint32_t code)
{
    return code == '$' || (code >= 0xA2 && code <= 0xA5) || (code >= 0x20A0 && code <= 0x20CF);
}

static bool begins_number(const char *text, uint32_t before)
{
    if (is_wordlike(before))
        return false;
    return is_digit(text[0]) || (text[0] == '.' && is_digit(text[1]) && before != '.');
}

static struct numbers numbers_in(const char *text)
{
    struct numbers numbers = {0};
    struct before before = {0};
    const char *end = text + strlen(text);
    while (text < end) {
        if (begins_number(text, before.code)) {
            text = read_number(text, before.negative, before.comma, &numbers);
            before = (struct before){.code = '0', .comma = *text == ','};
            text += before.comma;
            before.code = before.comma ? ',' : '0';
            continue;
        }
        uint32_t code = 0;
        int skip = 1;
        int bytes = utf8_decode(text, (size_t)(end - text), &code, &skip);
        bool minus = (code == '-' || code == 0x2212) && !is_wordlike(before.code);
        bool keeps = before.negative && is_currency(code);
        before = (struct before){.code = code, .negative = minus || keeps};
        text += bytes > 0 ? bytes : skip;
    }
    return numbers;
}

/* The final answer of a worked solution stands after "####". */
static const char *final_part(const char *text)
{
    const char *part = text;
    for (const char *mark; (mark = strstr(part, "####"));)
        part = mark + 4;
    return part;
}

bool answer_equals_number(const char *answer, const char *target)
{
    const double exact_below = 0x1p53;
    const double tolerance = 1e-9;
    struct numbers expected = numbers_in(final_part(target));
    if (expected.count != 1)
        return answer_equals(final_part(answer), final_part(target));
    struct numbers found = numbers_in(final_part(answer));
    if (found.count == 0)
        return false;
    double a = found.last;
    double b = expected.last;
    if (a == b)
        return true;
    bool whole = a == floor(a) && b == floor(b) && fabs(a) < exact_below && fabs(b) < exact_below;
    return !whole && fabs(a - b) <= tolerance * fabs(b);
}
