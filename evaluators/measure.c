/* SPDX-License-Identifier: Apache-2.0
 *
 * What a metric needs, its value and its interval; the metrics themselves are in metrics.c.
 */
#include <math.h>
#include <stdlib.h>

#include "evaluators/metrics.h"
#include "evaluators/slots.h"

/* ---- What a metric reads -------------------------------------------------------------------- */

static bool is_class(int label, size_t classes)
{
    return label >= 0 && (size_t)label < classes;
}

/* NULL when the class probabilities are sound, otherwise what is wrong with them. */
static const char *probabilities_fault(const struct prediction *prediction, size_t classes)
{
    const double slack = 1e-3; /* single precision over many classes */
    if (!prediction->probabilities)
        return "it has no class probabilities";
    double sum = 0;
    for (size_t c = 0; c < classes; c++) {
        double p = prediction->probabilities[c];
        if (!(p >= 0 && p <= 1 + slack))
            return "a class probability is outside 0 to 1 or not a number";
        sum += p;
    }
    return fabs(sum - 1) <= slack ? NULL : "its class probabilities do not add up to 1";
}

/* NULL when `prediction` holds what the metric reads, otherwise what is wrong. */
static const char *fault_of(const struct metric *metric, const struct prediction *prediction,
                            size_t classes)
{
    const double rounding = 1e-6;
    bool labels = metric->input == INPUT_LABELS || metric->input == INPUT_PROBABILITIES;
    if (labels && !is_class(prediction->truth, classes))
        return "its true class is missing or unknown";
    switch (metric->input) {
    case INPUT_LABELS:
        if (prediction->label != NO_LABEL && !is_class(prediction->label, classes))
            return "the class answered is unknown";
        return NULL;
    case INPUT_TEXT:
        return prediction->text && prediction->target ? NULL : "it lacks a text or a target";
    case INPUT_JSON:
        if (!prediction->text || !prediction->target)
            return "it lacks a text or a target";
        return slots_valid(prediction->target) ? NULL : "its target is not a JSON object or list";
    case INPUT_CORRECT:
        if (!prediction->scored)
            return "it has no probability";
        if (!(prediction->probability >= 0 && prediction->probability <= 1 + rounding))
            return "its probability is outside 0 to 1 or not a number";
        return NULL;
    case INPUT_PROBABILITIES:
        return probabilities_fault(prediction, classes);
    case INPUT_NLL:
        if (!prediction->scored && prediction->nll_tokens <= 0)
            return "it has no log-likelihood";
        if (!(prediction->nll >= -rounding && isfinite(prediction->nll)))
            return "its log-likelihood is above 0 or not a finite number";
        return NULL;
    }
    return "the metric is unknown";
}

static enum status check_inputs(const struct metric *metric, const struct prediction *predictions,
                                size_t count, size_t classes, struct error *err)
{
    if (count == 0)
        return error_set(err, FAILED, "%s cannot be computed: there are no predictions",
                         metric->name);
    for (size_t i = 0; i < count; i++) {
        const char *fault = fault_of(metric, &predictions[i], classes);
        if (fault)
            return error_set(err, FAILED,
                             "%s cannot be computed: the prediction for example %lld is unusable, "
                             "%s",
                             metric->name, (long long)predictions[i].example, fault);
    }
    return OK;
}

/* ---- Resamples ------------------------------------------------------------------------------ */

struct metric_sample {
    const struct metric *metric;
    const struct prediction *predictions;
    size_t classes;
    size_t width;    /* numbers for each prediction; 0: the metric stands on all together */
    double *numbers; /* (count, width): contributions to sums, or one score */
    struct prediction *drawn; /* room for one resample where width is 0 */
};

struct metric_sample *metric_sample_create(const struct metric *metric,
                                           const struct prediction *predictions, size_t count,
                                           size_t classes, struct arena *arena)
{
    struct metric_sample *sample = arena_zalloc(arena, sizeof *sample);
    *sample = (struct metric_sample){metric, predictions, classes, 0, NULL, NULL};
    /* Scores of labels depend on the other predictions (class weights), all others stand alone. */
    bool alone = metric->scores && metric->input != INPUT_LABELS;
    sample->width = metric->sum_count ? metric->sum_count : alone;
    if (!sample->width) {
        sample->drawn = arena_alloc(arena, count * sizeof *sample->drawn);
        return sample;
    }
    sample->numbers = arena_alloc(arena, count * sample->width * sizeof *sample->numbers);
    if (alone)
        metric->scores(predictions, count, classes, sample->numbers);
    for (size_t i = 0; i < count && !alone; i++)
        metric->contribute(&predictions[i], sample->numbers + i * sample->width);
    return sample;
}

double metric_sample_value(const struct metric_sample *sample, const size_t *index, size_t count)
{
    const struct metric *metric = sample->metric;
    if (!sample->width) {
        for (size_t i = 0; i < count; i++)
            sample->drawn[i] = sample->predictions[index[i]];
        return metric->value(sample->drawn, count, sample->classes);
    }
    double sums[MOST_SUMS] = {0};
    for (size_t i = 0; i < count; i++)
        for (size_t s = 0; s < sample->width; s++)
            sums[s] += sample->numbers[index[i] * sample->width + s];
    return metric->sum_count ? metric->from_sums(sums) : sums[0] / (double)count;
}

static double resampled_value(const void *context, const size_t *index, size_t count)
{
    return metric_sample_value(context, index, count);
}

/* ---- Measuring ------------------------------------------------------------------------------ */

static struct interval resampled_interval(const struct metric *metric,
                                          const struct prediction *predictions, size_t count,
                                          size_t classes, struct bootstrap options)
{
    struct arena arena;
    arena_init(&arena, NULL);
    const struct metric_sample *sample =
        metric_sample_create(metric, predictions, count, classes, &arena);
    struct interval interval = bootstrap_interval(resampled_value, sample, count, options);
    arena_release(&arena);
    return interval;
}

enum status metric_measure(const struct metric *metric, const struct prediction *predictions,
                           size_t count, size_t classes, struct bootstrap options,
                           struct metric_value *result, struct error *err)
{
    if (options.resamples == 0 || !(options.confidence > 0 && options.confidence < 1))
        return error_set(err, FAILED,
                         "%s cannot be computed: a confidence between 0 and 1 and at "
                         "least one resample are needed",
                         metric->name);
    enum status status = check_inputs(metric, predictions, count, classes, err);
    if (status)
        return status;
    double value = metric->value(predictions, count, classes);
    if (!isfinite(value))
        return error_set(err, FAILED, "%s cannot be computed: it is too large for a number",
                         metric->name);
    struct interval interval;
    if (metric->proportion) {
        int64_t hits = (int64_t)llround(value * (double)count);
        interval = wilson_interval(hits, (int64_t)count, options.confidence);
    } else {
        interval = resampled_interval(metric, predictions, count, classes, options);
    }
    *result = (struct metric_value){value, fmin(interval.low, value), fmax(interval.high, value)};
    return OK;
}

bool metric_value_of(const struct metric *metric, const struct prediction *predictions,
                     size_t count, size_t classes, double *value)
{
    *value = 0;
    if (check_inputs(metric, predictions, count, classes, NULL) != OK)
        return false;
    *value = metric->value(predictions, count, classes);
    return isfinite(*value);
}
