/* SPDX-License-Identifier: Apache-2.0
 *
 * What a study would do: the policy played forward with expected times and without running
 * anything.
 *
 * Which technique is promoted depends on results that nobody has yet. Where a trial has not been
 * run, the plan goes on as if results followed the priors, with techniques too close to tell apart;
 * `advisor recommend` decides by what it measures.
 */
#ifndef ADVISOR_PLAN_H
#define ADVISOR_PLAN_H

#include "advisor/study.h"
#include "reports/report.h"

/* What is expected of one technique, with its default setting. */
struct planned_technique {
    const struct technique *technique;
    const char *why_not; /* why it is refused, a sentence with its arithmetic; NULL: it is not */
    double prior;        /* points */
    size_t first, all;   /* training examples of its smallest trial, and of its largest */
    struct measured first_seconds, all_seconds; /* of such trials, the test answers apart */
    struct measured memory_bytes;               /* peak, weights included */
    bool memory_measured;                       /* by a trial; otherwise arithmetic */
    size_t done, planned;                       /* trials */
};

struct planned_trial {
    const struct technique *technique;
    double rate; /* learning rate; NAN when it has none */
    size_t examples, seed;
    int epochs;            /* 0: the usual number */
    double seconds, until; /* expected; and of the budget, at its end */
};

struct plan {
    const struct planned_technique *techniques;
    size_t technique_count;
    const struct planned_trial *trials; /* in their order */
    size_t trial_count;
    size_t done;            /* trials there are already */
    double spent;           /* seconds of the budget before the first of them */
    double test_seconds;    /* expected for the test answers */
    struct measured memory; /* bytes that may be used */
    bool speed_known;       /* otherwise the budget does not reach the first answer, and there is
                               no plan */
    bool speed_stored;      /* the speed is from the study file */
    bool fair;              /* every technique that can work has a turn, and the best one that
                               trains gets all examples */
    struct measured fair_budget; /* the least round budget with which that is so */
};

/* Plans the rest of a study that is open, judged and measured. Lives in the study's arena. */
enum status plan_make(struct study *study, struct plan *plan, struct error *err);

/* The least round budget in seconds, and not less than `least`, with which every technique that can
 * work is expected to have its turn and the best one that trains all examples; a study that has
 * used `spent` seconds goes on from there. Not known when none of up to two days does, or when the
 * model's speed is not known. */
enum status plan_fair_budget(struct study *study, double spent, double least,
                             struct measured *budget, struct error *err);

void plan_text(const struct study *study, const struct plan *plan, struct report_style style,
               struct text *out);
void plan_json(const struct study *study, const struct plan *plan, struct text *out);

#endif
