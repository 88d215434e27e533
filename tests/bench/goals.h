/* SPDX-License-Identifier: Apache-2.0
 *
 * What the programs that measure share: lines `figure value goal met|missed`, and the way out. A
 * program that measures has nobody to hand an error to: what fails prints its sentence and ends it.
 */
#ifndef TESTS_BENCH_GOALS_H
#define TESTS_BENCH_GOALS_H

#include <stddef.h>

#include "base/error.h"

void goal_at_least(const char *figure, double value, double goal);
void goal_at_most(const char *figure, double value, double goal);

/* Of the processor, all threads of this process together: what time there is beside others is not
 * in it. */
double processor_seconds(void);

double median(double *values, size_t count); /* sorts them; count >= 1 */

/* Ends the program unless status is OK. */
void must(enum status status, const struct error *err);

#endif
