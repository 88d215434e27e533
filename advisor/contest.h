/* SPDX-License-Identifier: Apache-2.0
 *
 * Techniques against each other: what they answered, and the pairs that can fairly be compared.
 *
 * Rules are about techniques and not about how much of the data a trial was given, so they are put
 * to the test at equal size: two techniques that learn from examples by their best trials with the
 * largest number of examples that both were trained with. One that learns nothing is what it is at
 * any size, and meets others at their largest one.
 */
#ifndef ADVISOR_CONTEST_H
#define ADVISOR_CONTEST_H

#include "advisor/allocate.h"
#include "advisor/compare.h"
#include "advisor/pace.h"
#include "advisor/rules.h"

/* Reads the answers of one side of trials that differ in their seed alone. They live in the study's
 * arena. Sets how->examples where it is 0; FAILED when a trial answered another number of them. */
enum status answers_read(struct study *study, enum side side, struct comparison *how,
                         const struct seeds *seeds, struct answers *answers, struct error *err);

/* Lets the techniques of the study meet that `takes_part` (study_technique_count) says; everything
 * lives in the study's arena. */
enum status contest_make(struct study *study, const struct trials *trials, struct comparison *how,
                         const bool *takes_part, struct contest *contest, struct error *err);

#endif
