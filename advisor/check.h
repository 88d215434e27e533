/* SPDX-License-Identifier: Apache-2.0
 *
 * A check under way: what is compared, and its report.
 */
#ifndef ADVISOR_CHECK_H
#define ADVISOR_CHECK_H

#include "advisor/baseline.h"
#include "advisor/exam.h"
#include "advisor/reopen.h"
#include "advisor/slices.h"
#include "evaluators/guard.h"
#include "reports/guard.h"

struct check {
    const struct options *options;
    struct progress progress;
    struct arena arena; /* of all below */
    double began;       /* clock_seconds */

    const char *path; /* of the baseline */
    struct baseline baseline;

    /* What is checked, out of a study or of the baseline. */
    struct reopened reopened; /* with --study */
    struct options view;      /* without: the options of the study that was blessed */
    struct study own;         /* without */
    struct study *study;      /* either one, open */
    struct replay replay;
    const char *setting, *artifact_sha256; /* of `replay`; the hash NULL when nothing is trained */

    /* Its answers. */
    struct exam exam;
    struct pairing pairing;
    bool paired;
    size_t *chosen; /* (count) examples to answer, into the exam's rows */
    size_t count;
    struct slices slices;
    struct trial_outcome outcome;
    const char **answers; /* (count) as a baseline names them */

    /* The verdict. */
    struct prediction *before; /* (before_count); with `paired` that of outcome.predictions[i] */
    size_t before_count;
    struct guard_result result;
    bool identical;
};

/* Fills in the report of a check that has its verdict; everything lives in its arena. */
void check_report(struct check *check, struct guard_report *report);

/* The answer of the baseline to example `i` of those chosen; with `paired`. */
const struct baseline_answer *check_before(const struct check *check, size_t i);

/* What differs between the baseline and what is checked, by name; NULL past the last one. */
const char *check_change(const struct check *check, size_t index);

#endif
