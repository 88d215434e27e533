/* SPDX-License-Identifier: Apache-2.0
 *
 * When an answer in words or numbers counts as right.
 */
#ifndef EVALUATORS_ANSWERS_H
#define EVALUATORS_ANSWERS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"

/* White space as Unicode and Python have it: ASCII with the separators 1C to 1F, no-break and
 * typographic spaces. */
bool answer_is_space(uint32_t code);

/* The small letter of a capital in ASCII, Latin-1, Latin Extended-A (but the I with a dot, whose
 * small letter depends on the language), Greek or Cyrillic; other characters are kept. */
uint32_t answer_lower(uint32_t code);

/* What two answers are compared by. Runs of white space (answer_is_space)
 * become one space and vanish at both ends; quotation marks around the whole, and full stops,
 * commas, colons, semicolons, exclamation and question marks at the end vanish, as long as
 * something else remains; letters become small (answer_lower). Accents,
 * articles and word order stay. `out` is cleared first. */
void answer_normalise(const char *text, struct text *out);

/* True when both are the same after answer_normalise. */
bool answer_equals(const char *answer, const char *target);

/* True when both hold the same number. Of the target the part after its last "####" counts, if
 * there is one; it must hold exactly one number, otherwise the final parts are compared by
 * answer_equals. Of the answer the last number of its final part counts.
 *
 * What a number is, says datasets/numbers.h; units are ignored, so 50 % is 50.
 *
 * Whole numbers below 2^53 must be equal; others may differ by 1e-9 of the target, which is for
 * rounding in another notation, not for lack of precision: 3.33 is not 3.3333. */
bool answer_equals_number(const char *answer, const char *target);

#endif
