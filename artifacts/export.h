/* SPDX-License-Identifier: Apache-2.0
 *
 * Making an export: write it, read it back, let it answer, compare, and only then give it its name.
 */
#ifndef ARTIFACTS_EXPORT_H
#define ARTIFACTS_EXPORT_H

#include "artifacts/format.h"
#include "artifacts/manifest.h"
#include "base/clock.h"
#include "base/error.h"
#include "evaluators/metrics.h"
#include "techniques/adapted.h"

/* What was measured, and what the export has to answer alike. Predictions are those of the study,
 * in the order of the examples; only label, probability and text are read. */
struct proof {
    const struct example *const *examples; /* (count) */
    const struct prediction *expected;     /* (count) */
    size_t count;
};

struct export_request {
    const struct export_format *format;
    struct adapted *adapted;         /* with what was learned; it is settled */
    const struct material *material; /* what it learned from */
    struct kept kept;                /* of the material, what its prompt is made of */
    enum weight_type type;
    struct manifest facts; /* model, data and prompt are filled in; metric, value, low, high, test,
                              measured_on, tested_on and advisor are the caller's */
    struct proof replay;
    const char *folder;
    bool replace; /* an earlier export of that name */
    int threads;
    const struct deadline *deadline; /* or NULL */

    /* Called between writing and proving, with the folder as it is then; for tests. May be NULL. */
    void (*written)(void *context, const char *folder);
    void *context;
};

/* How well the export answers like the original. */
struct agreement {
    size_t count, equal; /* examples; the same label or text */
    size_t close;        /* of the others: two labels nearly as probable as each other */
    bool labels;         /* labels were compared, and their probabilities */
    double largest;      /* difference of the probability of an expected label */
    double tolerance;    /* of that difference */
};

/* Writes FOLDER. FAILED, and nothing is left, when the export does not answer like the original;
 * `agreement` is set as far as it came to that. */
enum status export_make(const struct export_request *request, struct agreement *agreement,
                        struct error *err);

/* Appends "64 of 64 labels equal, largest probability difference 2e-7". */
void agreement_text(const struct agreement *agreement, struct text *out);

#endif
