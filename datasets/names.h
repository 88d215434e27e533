/* SPDX-License-Identifier: Apache-2.0
 *
 * The names that columns go by in the layouts of the field, for datasets/columns.c.
 *
 * Names compare without regard to case, spaces, '_' and '-': "Class Index" is class_index.
 */
#ifndef DATASETS_NAMES_H
#define DATASETS_NAMES_H

#include <stdbool.h>
#include <stddef.h>

enum { NAME_RANKS = 3, CHOICES_MOST = 10 };

/* A column of a lower rank number is taken before all of higher ones; two of one rank are in doubt.
 */
struct known_name {
    const char *name; /* in small letters, without separators */
    int rank;         /* 1 .. NAME_RANKS */
};

/* Which of two values a row may lack. */
enum pair_needs { NEEDS_BOTH, NEEDS_SECOND, NEEDS_ONE };

/* Two columns that are one input together, joined in this order. */
struct known_pair {
    const char *first;
    const char *second;
    int rank;
    enum pair_needs needs;
};

/* Each ends with a row of zeros. */
extern const struct known_name names_of_input[];
extern const struct known_name names_of_target[];
extern const struct known_name names_of_rationale[];
extern const struct known_pair name_pairs[];

bool name_is(const char *column, const char *known);

/* Whether a column holds all choices of a row as a list: "choices", "options", "endings" ... */
bool name_is_choice_list(const char *column);

/* Whether column `name` spells out what the numbers of column `target` mean: label_text beside
 * label. */
bool name_spells_out(const char *name, const char *target);

/* Whether numbers under this name are a scale, not codes of classes: stars, rating ... */
bool name_is_scale(const char *column);

/* The columns that hold one choice each, in the order of the choices: A, B, C ..., option_a ...,
 * choice1 ..., ending0 ... Writes at most `limit` of them and returns their number, 0 for fewer
 * than two. */
size_t names_of_choices(const char *const *names, size_t count, const char **found, size_t limit);

#endif
