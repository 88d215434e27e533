/* SPDX-License-Identifier: Apache-2.0
 *
 * The recommendation, and why, in a few sentences.
 */
#ifndef ADVISOR_RANK_REASONS_H
#define ADVISOR_RANK_REASONS_H

#include "advisor/rank_facts.h"

/* Fills in technique, outcome and reasons of `report`, which live in the study's arena. `chosen` is
 * the one to recommend; NULL: nothing beats the majority answer, or nothing was measured. */
enum status rank_reasons(struct ranking *r, const struct candidate *chosen, struct report *report,
                         struct error *err);

#endif
