/* SPDX-License-Identifier: Apache-2.0
 *
 * The same text twice, exactly or nearly.
 *
 * Exact: equal after case folding (Latin, Greek, Cyrillic) and with every run of white space as one
 * space. Near: the sets of words have a Jaccard index (shared / all) of at least 0.8. Words are
 * runs of letters and digits; in scripts written without spaces (Chinese, Japanese, Thai ...) pairs
 * of adjacent characters stand for words. Words in more than half of the different texts do not
 * count, or an instruction repeated in every row would make all rows alike.
 *
 * Near duplicates are found with prefix filtering (Chaudhuri, Ganti and Kaushik 2006, "A primitive
 * operator for similarity joins in data cleaning"): of two sets that are alike, the rarest words
 * overlap. A text is compared with at most 200 others, so that time grows with n log n; where more
 * than that share a rare word, a pair can be missed.
 */
#ifndef DATASETS_DUPLICATES_H
#define DATASETS_DUPLICATES_H

#include <stddef.h>

#include "base/memory.h"

struct duplicates {
    size_t *same;  /* [count] the lowest index whose text is equal; the own index when first */
    size_t *group; /* [count] the lowest index of the group: texts joined by a chain of exact and
                    * near duplicates */
};

/* Both arrays are allocated from `arena`. Texts are UTF-8. */
void duplicates_find(const char *const *texts, size_t count, struct arena *arena,
                     struct duplicates *found);

#endif
