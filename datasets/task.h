/* SPDX-License-Identifier: Apache-2.0
 *
 * What a target has to look like under each task; the rules of inference are in
 * datasets/dataset.h.
 */
#ifndef DATASETS_TASK_H
#define DATASETS_TASK_H

#include <stdbool.h>

#include "datasets/dataset.h"

enum { TASK_OPTIONS = 10 }; /* letters A .. J */

/* How many options the input lists, from A on; 0 when none. They stand on lines of their own ("A)
 * ", "A. ", "A: ", "(A) "), or where there are not two such lines, within the text behind white
 * space, all marked alike ("(A)", "A)", "A. "). */
int task_count_options(const char *input);

/* 0 .. TASK_OPTIONS - 1 for a target that is one capital letter A .. J, else -1. */
int task_letter(const char *target);

bool task_is_json(const char *target); /* a JSON object or array, strictly */

/* NULL when the target fits the task, else what is wrong with it ("is not a number"). */
const char *task_complaint(enum task task, const struct example *example);

#endif
