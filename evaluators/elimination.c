/* SPDX-License-Identifier: Apache-2.0 */
#include "evaluators/elimination.h"

#include <math.h>

/* Stakes: small ones for small differences on many examples, large ones for large differences. */
static const double stakes[] = {0.1, 0.2, 0.3, 0.45, 0.6, 0.8};

enum {
    STAKES = sizeof stakes / sizeof *stakes,
    STRIDE = 64 /* so many factors from 0.2 to 1.8 neither overflow nor vanish */
};

/* Logarithm of exp(a) + exp(b). */
static double log_add(double a, double b)
{
    double most = fmax(a, b);
    if (isnan(a) || isnan(b))
        return NAN;
    return isinf(most) ? most : most + log1p(exp(-fabs(a - b)));
}

double elimination_evidence(const double *own, const double *rival, size_t count, double clip)
{
    double fortunes[STAKES] = {0}, factors[STAKES], sum = -INFINITY;
    if (!(clip > 0))
        return NAN;
    for (size_t start = 0; start < count; start += STRIDE) {
        size_t end = count - start < STRIDE ? count : start + STRIDE;
        for (size_t s = 0; s < STAKES; s++)
            factors[s] = 1;
        for (size_t i = start; i < end; i++) {
            double z = (own[i] - rival[i]) / clip;
            if (!isfinite(z))
                return NAN;
            for (size_t s = 0; s < STAKES; s++)
                factors[s] *= 1 + stakes[s] * (z > 1 ? 1 : z < -1 ? -1 : z);
        }
        for (size_t s = 0; s < STAKES; s++)
            fortunes[s] += log(factors[s]);
    }
    for (size_t s = 0; s < STAKES; s++)
        sum = log_add(sum, fortunes[s]);
    return sum - log(STAKES);
}

double race_evidence(const struct race *race, size_t arm)
{
    double least = INFINITY;
    size_t rivals = 0;
    for (size_t i = 0; i < race->count; i++)
        rivals += race->entries[i].arm != arm;
    for (size_t i = 0; i < race->count && rivals; i++) {
        double sum = -INFINITY;
        if (race->entries[i].arm != arm)
            continue;
        for (size_t j = 0; j < race->count; j++)
            if (race->entries[j].arm != arm)
                sum = log_add(sum,
                              elimination_evidence(race->entries[i].losses, race->entries[j].losses,
                                                   race->examples, race->clip));
        if (isnan(sum))
            return NAN;
        least = fmin(least, sum - log((double)rivals));
    }
    return least < INFINITY ? least : -INFINITY;
}

bool elimination_enough(double evidence, size_t comparisons, double alpha)
{
    return evidence >= log((double)comparisons / alpha);
}
