/* SPDX-License-Identifier: Apache-2.0 */
#include "techniques/calibrate.h"

#include <math.h>
#include <string.h>

#include "techniques/labels.h"

bool calibration_wanted(const struct setting *setting)
{
    return setting_has(setting, "calibration") &&
           !strcmp(setting_text(setting, "calibration"), "contextual");
}

const struct example *content_free_examples(void)
{
    static const struct example examples[CONTENT_FREE] = {{.input = "N/A", .label = -1},
                                                          {.input = "", .label = -1},
                                                          {.input = "[MASK]", .label = -1}};
    return examples;
}

void calibration_prior(const double *answers, size_t labels, double *prior)
{
    for (size_t l = 0; l < labels; l++)
        prior[l] = log_sum_exp(answers + l, CONTENT_FREE, labels) - log(CONTENT_FREE);
}

void calibration_apply(const double *prior, size_t labels, double *log_probabilities)
{
    for (size_t l = 0; l < labels; l++)
        log_probabilities[l] -= prior[l];
    double total = log_sum_exp(log_probabilities, labels, 1);
    for (size_t l = 0; l < labels; l++)
        log_probabilities[l] -= total;
}
