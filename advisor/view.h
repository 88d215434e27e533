/* SPDX-License-Identifier: Apache-2.0
 *
 * A study as the policy sees it: its techniques as arms, its trials, what things are expected to
 * take and how much time is left for them.
 */
#ifndef ADVISOR_VIEW_H
#define ADVISOR_VIEW_H

#include "advisor/pace.h"
#include "advisor/policy.h"

struct view {
    struct study *study;
    struct arena *arena; /* of everything below */
    struct trials trials;
    struct pace *paces;       /* (arm_count) */
    bool *tested;             /* (arm_count) its best trial has its test answers */
    struct arm_trial *played; /* policy.trials; there is room for `room` of them */
    size_t room;
    struct policy_view policy;
};

/* Looks at the study and its file. `view` must stay where it is while view->policy is used: it is
 * the context of what the policy asks. */
enum status view_make(struct study *study, struct arena *arena, struct view *view,
                      struct error *err);

/* Adds a trial that has not been run. */
void view_add(struct view *view, struct arm_trial trial);

/* Seconds the end needs, besides the report: the test answers of those in the lead. One that
 * answers slowly is tested if there is time left, unless it is the best. `budget` is in seconds. */
double view_test_reserve(const struct view *view, double budget);

/* Seconds kept for the ranking and the report. */
double view_report_seconds(void);

/* The setting of what the policy chose; strings live in the view's arena. */
struct setting view_setting(const struct view *view, const struct policy_action *action);

#endif
