/* SPDX-License-Identifier: Apache-2.0
 *
 * Slices: the examples by the values of a column that is neither input nor answer.
 */
#ifndef ADVISOR_SLICES_H
#define ADVISOR_SLICES_H

#include "advisor/exam.h"

enum { MOST_SLICES = 50 };

struct slices {
    const char **names; /* "language=German", sorted; an empty cell is "language=" */
    size_t count;
    int *of; /* slice of the exam's examples `chosen`, in turn */
};

/* Reads `column` of the exam's file once more, for the `count` examples that `chosen` names by
 * index. Everything in `arena`. USAGE when there is no such column or it has more than MOST_SLICES
 * different values among them. */
enum status slices_read(const struct exam *exam, const struct dataset_options *reading,
                        const char *column, const size_t *chosen, size_t count, struct arena *arena,
                        struct slices *slices, struct error *err);

#endif
