/* SPDX-License-Identifier: Apache-2.0 */
#include "datasets/numbers.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/text.h"

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
        numbers->last = negative ? -value : value;
        if (!numbers->count++)
            numbers->first = numbers->last;
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

struct numbers numbers_in(const char *text)
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

const char *numbers_final_part(const char *text)
{
    const char *part = text;
    for (const char *mark; (mark = strstr(part, "####"));)
        part = mark + 4;
    return part;
}
