/* SPDX-License-Identifier: Apache-2.0
 *
 * The model as it is: the instruction and the request, no examples, nothing trained.
 */
#include "techniques/calibrate.h"
#include "techniques/registry.h"

static const struct hyperparameter hyperparameters[] = {CALIBRATION_HYPERPARAMETER, {0}};

const struct technique zero_shot = {
    .name = "zero_shot",
    .family = "prompt",
    .summary = "the instruction alone, nothing learned from the examples",
    .needs = NEEDS_MODEL,
    .prior = -4,
    .hyperparameters = hyperparameters,
};
