/* SPDX-License-Identifier: Apache-2.0
 *
 * What a report shows besides its numbers: trials, answers, examples; out of the study file alone.
 */
#ifndef ADVISOR_EVIDENCE_H
#define ADVISOR_EVIDENCE_H

#include "evaluators/store.h"
#include "reports/report.h"

/* Fills in report->evidence, for a ranking that is there already. Everything lives in `arena`. */
enum status evidence_fill(struct store *store, struct arena *arena, struct report *report,
                          struct error *err);

#endif
