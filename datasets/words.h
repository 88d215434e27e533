/* SPDX-License-Identifier: Apache-2.0
 *
 * Words of a text, as the comparisons of datasets/duplicates.h and datasets/noise.h see them: runs
 * of letters and digits, without regard to case; in scripts written without spaces (Chinese,
 * Japanese, Thai ...) pairs of adjacent characters.
 */
#ifndef DATASETS_WORDS_H
#define DATASETS_WORDS_H

#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

/* Case folded (Latin, Greek, Cyrillic) and with every run of white space as one space. `out` is
 * cleared first. */
void words_normalise(const char *text, struct text *out);

/* Writes the hashes of the words of a normalised text to `words`, which has room for one a byte;
 * returns how many there are. */
size_t words_hash(const char *text, uint64_t *words);

/* Sorts hashes and keeps one of each; returns how many are left. */
size_t words_unique(uint64_t *hashes, size_t count);

size_t words_count(const char *text); /* of any text */

#endif
