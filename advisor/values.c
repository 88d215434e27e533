/* SPDX-License-Identifier: Apache-2.0 */
#include "advisor/values.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST_NUMBER = 40, LONGEST_WORD = 31 };

struct unit {
    const char *name;
    double size;
};

/* Reads a plain decimal number (no sign, no hexadecimal, no "inf") and returns what follows it;
 * NULL when there is none. */
static const char *take_number(const char *at, double *number)
{
    char digits[LONGEST_NUMBER + 1];
    size_t length = strspn(at, "0123456789.");
    size_t exponent = length + ((at[length] | 0x20) == 'e');
    exponent += length && exponent > length && (at[exponent] == '-' || at[exponent] == '+');
    if (exponent > length && strspn(at + exponent, "0123456789"))
        length = exponent + strspn(at + exponent, "0123456789");
    if (!length || length > LONGEST_NUMBER)
        return NULL;
    memcpy(digits, at, length);
    digits[length] = '\0';
    char *end;
    *number = strtod(digits, &end);
    return end == digits || *end || !isfinite(*number) ? NULL : at + length;
}

/* The unit that `at` begins with: letters up to the next digit or the end. */
static const struct unit *take_unit(const char **at, const struct unit *units, size_t count)
{
    size_t length = strcspn(*at, "0123456789.");
    for (size_t i = 0; i < count; i++) {
        if (strlen(units[i].name) == length && !memcmp(units[i].name, *at, length)) {
            *at += length;
            return &units[i];
        }
    }
    return NULL;
}

/* Parts such as 1h30m, each smaller than the one before. */
static bool parse_duration(const char *at, double *seconds)
{
    static const struct unit units[] = {{"d", 86400}, {"h", 3600}, {"min", 60},
                                        {"m", 60},    {"s", 1},    {"ms", 1e-3}};
    double largest = INFINITY;
    bool first = true;
    *seconds = 0;
    while (*at) {
        double number;
        at = take_number(at, &number);
        if (!at)
            return false;
        if (first && !*at) {
            *seconds = number;
            return true;
        }
        const struct unit *unit = take_unit(&at, units, sizeof units / sizeof *units);
        if (!unit || unit->size >= largest)
            return false;
        largest = unit->size;
        *seconds += number * unit->size;
        first = false;
    }
    return !first && isfinite(*seconds);
}

enum status read_duration(const char *name, const char *value, double *seconds, struct error *err)
{
    if (parse_duration(value, seconds))
        return OK;
    return error_set(err, USAGE,
                     "%s: \"%s\" is not a duration; expected one such as 30s, 10m, 1h30m, or 600 "
                     "for seconds",
                     name, value);
}

/* One number and one unit, "" included. */
static bool parse_scaled(const char *at, const struct unit *units, size_t count, double *result)
{
    at = take_number(at, result);
    const struct unit *unit = at ? take_unit(&at, units, count) : NULL;
    if (!unit || *at)
        return false;
    *result *= unit->size;
    return isfinite(*result);
}

enum status read_size(const char *name, const char *value, double *bytes, struct error *err)
{
    static const struct unit units[] = {
        {"", 1},         {"B", 1},        {"k", 0x1p10},   {"K", 0x1p10},
        {"KB", 1e3},     {"kB", 1e3},     {"M", 0x1p20},   {"MB", 1e6},
        {"G", 0x1p30},   {"GB", 1e9},     {"T", 0x1p40},   {"TB", 1e12},
        {"KiB", 0x1p10}, {"MiB", 0x1p20}, {"GiB", 0x1p30}, {"TiB", 0x1p40}};
    if (parse_scaled(value, units, sizeof units / sizeof *units, bytes)) {
        *bytes = floor(*bytes);
        return OK;
    }
    return error_set(
        err, USAGE, "%s: \"%s\" is not a size; expected one such as 512M, 4G, or a number of bytes",
        name, value);
}

enum status read_count(const char *name, const char *value, double *count, struct error *err)
{
    static const struct unit units[] = {{"", 1},    {"k", 1e3}, {"K", 1e3}, {"M", 1e6},
                                        {"G", 1e9}, {"B", 1e9}, {"T", 1e12}};
    if (parse_scaled(value, units, sizeof units / sizeof *units, count) && *count == floor(*count))
        return OK;
    return error_set(err, USAGE,
                     "%s: \"%s\" is not a whole number; expected one such as 1000, 10k or 1.5M",
                     name, value);
}

enum status read_share(const char *name, const char *value, double *share, struct error *err)
{
    static const struct unit units[] = {{"", 1}, {"%", 0.01}};
    double number;
    if (parse_scaled(value, units, sizeof units / sizeof *units, &number)) {
        bool percent = strchr(value, '%') || number <= 1;
        *share = percent ? number : number / 100;
        if (*share > 0 && *share <= 1)
            return OK;
    }
    return error_set(err, USAGE,
                     "%s: \"%s\" is not a share; expected 0.90, 90%% or 90, above 0 and at most "
                     "100 %%",
                     name, value);
}

enum status read_whole(const char *name, const char *value, int64_t low, int64_t high,
                       int64_t *number, struct error *err)
{
    size_t digits = strspn(value, "0123456789");
    errno = 0;
    *number = strtoll(value, NULL, 10);
    if (digits && !value[digits] && !errno && *number >= low && *number <= high)
        return OK;
    return error_set(err, USAGE,
                     "%s: \"%s\" is not possible; expected a whole number from %lld to %lld", name,
                     value, (long long)low, (long long)high);
}

enum status read_real(const char *name, const char *value, double low, double high, double *number,
                      struct error *err)
{
    bool negative = *value == '-';
    const char *end = take_number(value + negative, number);
    if (negative)
        *number = -*number;
    if (end && !*end && *number >= low && *number <= high)
        return OK;
    return error_set(err, USAGE, "%s: \"%s\" is not possible; expected a number from %g to %g",
                     name, value, low, high);
}

/* Letters that differ, are missing, are too many or stand in the wrong order: the distance of
 * Damerau and Levenshtein with adjacent swaps (optimal string alignment). */
static int distance(const char *a, const char *b)
{
    enum { SIZE = LONGEST_WORD + 1 };
    int d[SIZE][SIZE];
    int m = (int)strlen(a), n = (int)strlen(b);
    if (m > LONGEST_WORD || n > LONGEST_WORD)
        return LONGEST_WORD;
    for (int i = 0; i <= m; i++) {
        for (int j = 0; j <= n; j++) {
            if (!i || !j) {
                d[i][j] = i + j;
                continue;
            }
            int best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            if (best > d[i - 1][j] + 1)
                best = d[i - 1][j] + 1;
            if (best > d[i][j - 1] + 1)
                best = d[i][j - 1] + 1;
            bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped && best > d[i - 2][j - 2] + 1)
                best = d[i - 2][j - 2] + 1;
            d[i][j] = best;
        }
    }
    return d[m][n];
}

const char *nearest(const char *word, const char *const *candidates, size_t count)
{
    enum { ENOUGH_LETTERS = 3 };
    const char *best = NULL;
    int length = (int)strlen(word);
    int least = length / 3 + 1; /* beyond this it is another word */
    for (size_t i = 0; i < count; i++) {
        int letters = (int)strlen(candidates[i]);
        int found = distance(word, candidates[i]);
        bool part = length >= ENOUGH_LETTERS && letters >= ENOUGH_LETTERS &&
                    (strstr(candidates[i], word) || strstr(word, candidates[i]));
        if (part && found > 1)
            found = 1; /* "--time-budget", "--thr" */
        if (found <= least && found < length && (!best || found < least)) {
            best = candidates[i];
            least = found;
        }
    }
    return best;
}
