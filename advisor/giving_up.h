/* SPDX-License-Identifier: Apache-2.0
 *
 * Which of the techniques that stopped early had lost by then.
 *
 * Techniques that are trained are compared with each other at equal size, on the same development
 * examples, with the test of evaluators/elimination.h at a chance of 10 % to give up any that is
 * not worse. It has to have been tried with three learning rates, or all it has, and to have lost
 * with each of them; those of its rivals all count as rivals. Only metrics that are a share of
 * right answers have such a test.
 */
#ifndef ADVISOR_GIVING_UP_H
#define ADVISOR_GIVING_UP_H

#include "advisor/pace.h"
#include "advisor/study.h"

/* `notes[i]`, in the study's arena, is a sentence why technique number `i` of the study was given
 * up, or NULL: it went as far as others, or what was seen is no proof. `notes` has one element for
 * each technique of the study. */
enum status giving_up_notes(struct study *study, const struct trials *trials, const char **notes,
                            struct error *err);

#endif
