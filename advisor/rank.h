/* SPDX-License-Identifier: Apache-2.0
 *
 * From finished trials to a ranking and a recommendation.
 *
 * Techniques are compared on the same development examples, example by example. The recommendation
 * is the cheapest technique that meets the target with the confidence asked for, or, when none
 * does, the best there is (the cheapest of those that tie with it); and nothing at all when even
 * that does not beat the majority answer.
 */
#ifndef ADVISOR_RANK_H
#define ADVISOR_RANK_H

#include "advisor/study.h"
#include "reports/report.h"

/* Fills in ranking, pareto, winner_changes, technique, outcome and reasons of `report`; everything
 * lives in the study's arena. Depends on the stored trials alone, so the same study gives the same
 * ranking. */
enum status rank_study(struct study *study, struct report *report, struct error *err);

#endif
