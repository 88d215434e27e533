/* SPDX-License-Identifier: Apache-2.0
 *
 * What `advisor profile` tells: the data, the machine, and a model on it.
 */
#ifndef ADVISOR_PROFILE_H
#define ADVISOR_PROFILE_H

#include "advisor/machine.h"
#include "datasets/profile.h"
#include "evaluators/metrics.h"
#include "reports/report.h"

struct whole_profile {
    const struct dataset *data;
    const struct dataset *test; /* NULL: no test file */
    struct data_profile profile;

    const struct metric *metric; /* suggested */
    const char *metric_reason;   /* phrase: "the classes are ..." */

    /* Tokens of inputs and answers: the model's, or guessed from their bytes. */
    bool counted;
    struct lengths input_tokens, answer_tokens;
    size_t too_long; /* examples that do not fit the model's context, when it is known */

    struct machine machine;
    const struct model *model; /* NULL: none was named */
    struct speed speeds[SPEEDS];
};

/* The metric that suits the classes, and why. `*reason` is static. */
const struct metric *profile_metric(const struct dataset *data, const struct data_profile *profile,
                                    const char **reason);

void profile_text(const struct whole_profile *profile, struct report_style style, struct text *out);
void profile_json(const struct whole_profile *profile, struct text *out);

#endif
