/* SPDX-License-Identifier: Apache-2.0
 *
 * Numbers in running text, as worked solutions and answers hold them.
 *
 * A number is: a minus sign (- or U+2212, not right after a letter, digit or closing bracket);
 * digits, with thousands separators before groups of exactly three (comma, apostrophe, no-break or
 * thin space); decimals after a point, or after a single comma that cannot be a separator (3,14 and
 * 0,125); an exponent (1e6). A currency sign may stand between the minus and the digits. Digits
 * right after a letter (H2O) are no number; nor are parts of fractions, dates, times, ranges and
 * versions (3/4, 2024-05-12, 10:30, 5-10, 1.2.3). Units are ignored, so 50 % is 50.
 */
#ifndef DATASETS_NUMBERS_H
#define DATASETS_NUMBERS_H

#include <stddef.h>

struct numbers {
    size_t count;
    double first, last; /* finite; 0 when there is none */
};

struct numbers numbers_in(const char *text);

/* The final answer of a worked solution stands after its last "####"; without one, all of it. */
const char *numbers_final_part(const char *text);

#endif
