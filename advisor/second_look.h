/* SPDX-License-Identifier: Apache-2.0
 *
 * What the test examples say of a recommendation that the development examples made.
 *
 * They choose nothing, or they would be no test. But where they find another technique better than
 * the recommended one, by a test on the same examples with an error of 5 % for all such techniques
 * together, the reader is told: then the development examples were too few to choose by.
 */
#ifndef ADVISOR_SECOND_LOOK_H
#define ADVISOR_SECOND_LOOK_H

#include "advisor/rank_facts.h"
#include "base/sentences.h"

/* Adds one sentence or none. Errors are those of the store. */
enum status second_look(struct ranking *r, const struct candidate *chosen,
                        struct sentences *reasons, struct error *err);

#endif
