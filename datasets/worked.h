/* SPDX-License-Identifier: Apache-2.0
 *
 * Targets that are worked solutions and end in "#### 18", as GSM8K has them.
 */
#ifndef DATASETS_WORKED_H
#define DATASETS_WORKED_H

#include "datasets/rows.h"

/* Where every target has the mark and a number behind it, the number becomes the target and what
 * stands before the mark the rationale, where the row has none of its own and the options want one.
 * Nothing is cut where another task than a numeric answer is asked for. */
void worked_settle(struct rows *rows);

#endif
