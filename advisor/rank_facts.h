/* SPDX-License-Identifier: Apache-2.0
 *
 * What is known of each technique before they are ranked: its best trial and the mean over its
 * seeds, or why it has none. For rank.c and what it is made of.
 */
#ifndef ADVISOR_RANK_FACTS_H
#define ADVISOR_RANK_FACTS_H

#include <stdbool.h>
#include <stddef.h>

#include "advisor/allocate.h"
#include "advisor/choice.h"
#include "advisor/compare.h"
#include "advisor/pace.h"
#include "reports/report.h"

/* One technique on its way into the ranking. */
struct candidate {
    const struct technique *technique;
    const struct trial_record *best; /* the first of `seeds`; NULL: not measured */
    struct seeds seeds;
    struct measured metric, low, high; /* mean over the seeds, and its interval */
    bool ranked;                       /* measured, and within the limits the user set */
    size_t place;                      /* among those that are ranked */
    double training;                   /* model tokens to train; forward and backward count three */
    double tokens; /* lifetime cost: those, and the tokens to answer the requests */
    bool meets_target;
    enum standing_status status;
    const char *note;
};

struct ranking {
    /* The facts. */
    struct study *study;
    struct trials trials;
    struct candidate *items; /* (count): the techniques of the study in turn */
    size_t count;
    struct comparison comparison;
    struct answers *answers; /* (ranked): of those that are ranked, by their place */
    size_t ranked;

    /* What rank.c makes of them. */
    struct standing *standings; /* (ranked) */
    double *p;                  /* (ranked, ranked); see compare_pairs */
    struct choice choice;       /* among those that are ranked, by their place */
};

/* Fills in the facts from the stored trials; start from the study alone. Everything lives in the
 * study's arena. A technique that was not run gets a note of what it would take, and one that
 * failed, cannot be used or is beyond a limit the reason. Errors are those of the store. */
enum status rank_facts(struct ranking *r, struct error *err);

/* The budget, in seconds, with which technique number `index`, and those whose turn comes before
 * it, get a result. Those that train come last and get a share of the time to be screened. */
double rank_budget(const struct ranking *r, size_t index);

/* Ranked, and not given up. */
bool candidate_stands(const struct candidate *c);

#endif
