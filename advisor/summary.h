/* SPDX-License-Identifier: Apache-2.0
 *
 * The facts of a study for its report: model, data, constraints, cost.
 */
#ifndef ADVISOR_SUMMARY_H
#define ADVISOR_SUMMARY_H

#include "advisor/study.h"
#include "reports/report.h"

/* Fills in everything but ranking, pareto, technique, outcome and reasons. Strings live in the
 * study's arena. */
enum status summarise_study(struct study *study, struct report *report, struct error *err);

#endif
