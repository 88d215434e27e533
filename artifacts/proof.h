/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether an export answers like the original: what was read back is replayed on examples of the
 * study and compared, answer by answer.
 */
#ifndef ARTIFACTS_PROOF_H
#define ARTIFACTS_PROOF_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/text.h"
#include "evaluators/metrics.h"
#include "techniques/adapted.h"

/* Differences of a probability that sums in another order explain, as in another batch or on
 * another processor. */
#define PROOF_TOLERANCE 1e-4

/* What was measured, and what the export has to answer alike. Predictions are those of the study,
 * in the order of the examples; only label, probability and text are read. */
struct proof {
    const struct example *const *examples; /* (count) */
    const struct prediction *expected;     /* (count) */
    size_t count;
};

/* How well the export answers like the original. */
struct agreement {
    size_t count, equal; /* examples; the same label or text */
    size_t close;        /* of the others: two labels nearly as probable as each other */
    bool labels;         /* labels were compared, and their probabilities */
    double largest;      /* difference of the probability of an expected label */
    double tolerance;    /* of that difference */
};

/* Compares and counts; count, labels and tolerance are the caller's. FAILED when it is not alike;
 * `advice`, or "", ends the sentence. */
enum status proof_judge(const struct proof *replay, const struct outcome *outcomes,
                        const char *advice, struct agreement *agreement, struct error *err);

/* Appends "64 of 64 labels equal, largest probability difference 2e-7". */
void agreement_text(const struct agreement *agreement, struct text *out);

#endif
