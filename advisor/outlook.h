/* SPDX-License-Identifier: Apache-2.0
 *
 * What more labelled examples would bring: for each technique that learns from them a forecast with
 * intervals (evaluators/forecast.h), how many examples the target takes, and where another
 * technique would overtake the recommended one.
 *
 * A technique needs finished trials at three sizes; otherwise its forecast says so and nothing
 * else. At each size the setting with the best mean metric counts, with all its seeds. A trial's
 * variance is that of its development examples, taken from the interval of its metric, and that of
 * training with another seed, which is taken to be 3 points (one standard deviation) with 64
 * examples and to fall with the root of their number.
 */
#ifndef ADVISOR_OUTLOOK_H
#define ADVISOR_OUTLOOK_H

#include "advisor/pace.h"
#include "advisor/study.h"
#include "reports/report.h"

/* Fills in the forecasts of the `count` rows of a ranking and winner_changes of `report`, whose
 * recommendation is known. Everything lives in the study's arena. */
void outlook_fill(struct study *study, const struct trials *trials, struct ranked *rows,
                  size_t count, struct report *report);

/* What another training seed does to a metric, as a variance: see above. */
double outlook_seed_variance(double examples);

#endif
