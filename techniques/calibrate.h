/* SPDX-License-Identifier: Apache-2.0
 *
 * Contextual calibration (Zhao et al. 2021, "Calibrate Before Use", section 5).
 *
 * A prompt alone makes a model prefer some labels. How much is measured with requests that say
 * nothing, behind the same prompt: p_cf is the mean of what the model answers to them, and every
 * distribution p is replaced by the one proportional to p / p_cf (W = diag(p_cf)^-1, b = 0).
 */
#ifndef TECHNIQUES_CALIBRATE_H
#define TECHNIQUES_CALIBRATE_H

#include <stdbool.h>
#include <stddef.h>

#include "datasets/dataset.h"
#include "techniques/setting.h"

/* The row for a technique's table; a table of constants admits no function. */
#define CALIBRATION_HYPERPARAMETER                                                                 \
    {                                                                                              \
        .name = "calibration", .summary = "labels: divide out what the prompt alone prefers",      \
        .kind = VALUE_CHOICE, .fallback = "contextual", .choices = "none|contextual",              \
        .search = "none"                                                                           \
    }

/* True when the setting asks for it; false where a technique has no such setting. */
bool calibration_wanted(const struct setting *setting);

enum { CONTENT_FREE = 3 };

/* The requests that say nothing, as in the paper: "N/A", "" and "[MASK]". */
const struct example *content_free_examples(void);

/* Natural logarithms of p_cf, (labels), from those of what the model answered, (CONTENT_FREE,
 * labels). */
void calibration_prior(const double *answers, size_t labels, double *prior);

/* Calibrates one distribution in place; both are natural logarithms, (labels). */
void calibration_apply(const double *prior, size_t labels, double *log_probabilities);

#endif
