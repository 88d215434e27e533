/* SPDX-License-Identifier: Apache-2.0
 *
 * What more labelled examples would bring: for each technique that learns from them a forecast with
 * intervals (evaluators/forecast.h), how many examples the target takes, and where another
 * technique would overtake the recommended one.
 *
 * A technique needs finished trials at three sizes, with as many passes as usual; otherwise its
 * forecast says so and nothing else. At each size the setting with the best mean metric counts,
 * with all its seeds. A trial's variance is that of its development examples, taken from the
 * interval of its metric, and that of training with another seed, which is taken to be 3 points
 * (one standard deviation) with 64 examples and to fall with the root of their number. All points
 * of a curve answer the same development examples, and which of them are right correlates by 0.5
 * between two sizes (median of 192 pairs of recorded trials): half of the former variance moves the
 * whole curve, and stays in a forecast however many sizes there are. Where two techniques are
 * compared it cancels.
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

/* Of a point of a learning curve, about the curve, from the variance of its development answers. */
double outlook_point_variance(double answer_variance, double examples);

/* Of what a trial with so many examples is worth, about the curve. */
double outlook_forecast_variance(double answer_variance, double examples);

#endif
