/* SPDX-License-Identifier: Apache-2.0 */
#include "techniques/calibrate.h"

#include <math.h>
#include <string.h>

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

/* log(sum of exp), of `count` values `stride` apart. */
static double log_sum(const double *values, size_t count, size_t stride)
{
    double peak = -INFINITY, sum = 0;
    for (size_t i = 0; i < count; i++)
        peak = fmax(peak, values[i * stride]);
    for (size_t i = 0; i < count; i++)
        sum += exp(values[i * stride] - peak);
    return peak + log(sum);
}

void calibration_prior(const double *answers, size_t labels, double *prior)
{
    for (size_t l = 0; l < labels; l++)
        prior[l] = log_sum(answers + l, CONTENT_FREE, labels) - log(CONTENT_FREE);
}

void calibration_apply(const double *prior, size_t labels, double *log_probabilities)
{
    for (size_t l = 0; l < labels; l++)
        log_probabilities[l] -= prior[l];
    double total = log_sum(log_probabilities, labels, 1);
    for (size_t l = 0; l < labels; l++)
        log_probabilities[l] -= total;
}
