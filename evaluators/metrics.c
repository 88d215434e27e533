/* SPDX-License-Identifier: Apache-2.0 */
#include "evaluators/metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "evaluators/answers.h"

/* ---- Scores of single predictions ----------------------------------------------------------- */

static bool label_is_right(const struct prediction *prediction)
{
    return prediction->label != NO_LABEL && prediction->label == prediction->truth;
}

static void accuracy_scores(const struct prediction *predictions, size_t count, size_t classes,
                            double *scores)
{
    (void)classes;
    for (size_t i = 0; i < count; i++)
        scores[i] = label_is_right(&predictions[i]);
}

static bool text_is_right(const struct prediction *prediction)
{
    return prediction->text && prediction->target &&
           answer_equals(prediction->text, prediction->target);
}

static void exact_scores(const struct prediction *predictions, size_t count, size_t classes,
                         double *scores)
{
    (void)classes;
    for (size_t i = 0; i < count; i++)
        scores[i] = text_is_right(&predictions[i]);
}

static bool number_is_right(const struct prediction *prediction)
{
    return prediction->text && prediction->target &&
           answer_equals_number(prediction->text, prediction->target);
}

static void numeric_scores(const struct prediction *predictions, size_t count, size_t classes,
                           double *scores)
{
    (void)classes;
    for (size_t i = 0; i < count; i++)
        scores[i] = number_is_right(&predictions[i]);
}

static void brier_scores(const struct prediction *predictions, size_t count, size_t classes,
                         double *scores)
{
    for (size_t i = 0; i < count; i++) {
        scores[i] = 0;
        for (size_t c = 0; c < classes; c++) {
            double p = predictions[i].probabilities[c];
            double miss = p - ((int)c == predictions[i].truth);
            scores[i] += miss * miss;
        }
    }
}

static void nll_scores(const struct prediction *predictions, size_t count, size_t classes,
                       double *scores)
{
    (void)classes;
    for (size_t i = 0; i < count; i++)
        scores[i] = predictions[i].nll;
}

/* ---- Classes -------------------------------------------------------------------------------- */

void confusion_count(const struct prediction *predictions, size_t count, size_t classes,
                     int64_t *counts)
{
    memset(counts, 0, classes * (classes + 1) * sizeof *counts);
    for (size_t i = 0; i < count; i++) {
        if (predictions[i].truth == NO_LABEL)
            continue;
        size_t row = (size_t)predictions[i].truth;
        size_t column = predictions[i].label == NO_LABEL ? classes : (size_t)predictions[i].label;
        counts[row * (classes + 1) + column]++;
    }
}

static double ratio(int64_t above, int64_t below)
{
    return below ? (double)above / (double)below : 0;
}

/* From support, answered and hits. */
static void derive_scores(struct class_score *scores, size_t classes)
{
    for (size_t c = 0; c < classes; c++) {
        struct class_score *score = &scores[c];
        score->precision = ratio(score->hits, score->answered);
        score->recall = ratio(score->hits, score->support);
        score->f1 = ratio(2 * score->hits, score->answered + score->support);
    }
}

void class_scores(const int64_t *counts, size_t classes, struct class_score *scores)
{
    for (size_t c = 0; c < classes; c++)
        scores[c] = (struct class_score){.hits = counts[c * (classes + 1) + c]};
    for (size_t truth = 0; truth < classes; truth++) {
        const int64_t *row = counts + truth * (classes + 1);
        for (size_t answer = 0; answer < classes; answer++)
            scores[answer].answered += row[answer];
        for (size_t answer = 0; answer <= classes; answer++)
            scores[truth].support += row[answer];
    }
    derive_scores(scores, classes);
}

/* The class scores without the whole matrix, since a bootstrap needs them very often. The result is
 * to be freed. */
static struct class_score *tally(const struct prediction *predictions, size_t count, size_t classes)
{
    struct class_score *scores = memory_zalloc(classes * sizeof *scores);
    for (size_t i = 0; i < count; i++) {
        if (predictions[i].truth == NO_LABEL)
            continue;
        scores[predictions[i].truth].support++;
        scores[predictions[i].truth].hits += label_is_right(&predictions[i]);
        if (predictions[i].label != NO_LABEL)
            scores[predictions[i].label].answered++;
    }
    derive_scores(scores, classes);
    return scores;
}

/* Weighted so that the mean is the balanced accuracy: count / (classes present * support). */
static void balanced_scores(const struct prediction *predictions, size_t count, size_t classes,
                            double *scores)
{
    struct class_score *tallied = tally(predictions, count, classes);
    double present = 0;
    for (size_t c = 0; c < classes; c++)
        present += tallied[c].support > 0;
    for (size_t i = 0; i < count; i++) {
        bool right = label_is_right(&predictions[i]);
        double weight = right ? present * (double)tallied[predictions[i].truth].support : 1;
        scores[i] = right ? (double)count / weight : 0;
    }
    free(tallied);
}

static double balanced_accuracy(const struct prediction *predictions, size_t count, size_t classes)
{
    struct class_score *scores = tally(predictions, count, classes);
    double sum = 0;
    double present = 0;
    for (size_t c = 0; c < classes; c++) {
        sum += scores[c].recall;
        present += scores[c].support > 0;
    }
    free(scores);
    return present > 0 ? sum / present : 0;
}

static double macro_f1(const struct prediction *predictions, size_t count, size_t classes)
{
    struct class_score *scores = tally(predictions, count, classes);
    double sum = 0;
    double present = 0;
    for (size_t c = 0; c < classes; c++) {
        sum += scores[c].f1;
        present += scores[c].support > 0 || scores[c].answered > 0;
    }
    free(scores);
    return present > 0 ? sum / present : 0;
}

static double matthews(const struct prediction *predictions, size_t count, size_t classes)
{
    struct class_score *scores = tally(predictions, count, classes);
    double total = 0, hits = 0, answered = 0;
    double both = 0, truth_squares = 0, answer_squares = 0;
    for (size_t c = 0; c < classes; c++) {
        double support = (double)scores[c].support;
        double answers = (double)scores[c].answered;
        total += support;
        hits += (double)scores[c].hits;
        answered += answers;
        both += support * answers;
        truth_squares += support * support;
        answer_squares += answers * answers;
    }
    free(scores);
    double silent = total - answered; /* "no answer" as a class of its own */
    answer_squares += silent * silent;
    double spread = (total * total - truth_squares) * (total * total - answer_squares);
    return spread > 0 ? (hits * total - both) / sqrt(spread) : 0;
}

/* ---- Calibration and means ------------------------------------------------------------------ */

static double calibration_error(const struct prediction *predictions, size_t count, size_t classes)
{
    (void)classes;
    enum { BINS = 10 };
    double surplus[BINS] = {0}; /* sum of probability - correct */
    for (size_t i = 0; i < count; i++) {
        int bin = (int)ceil(predictions[i].probability * BINS) - 1;
        bin = bin < 0 ? 0 : bin >= BINS ? BINS - 1 : bin;
        surplus[bin] += predictions[i].probability - predictions[i].correct;
    }
    double sum = 0;
    for (int bin = 0; bin < BINS; bin++)
        sum += fabs(surplus[bin]);
    return sum / (double)count;
}

typedef void score_function(const struct prediction *predictions, size_t count, size_t classes,
                            double *scores);

static double mean_score(score_function *function, const struct prediction *predictions,
                         size_t count, size_t classes)
{
    double *scores = memory_alloc(count * sizeof *scores);
    function(predictions, count, classes, scores);
    double mean = moments_of(scores, count).mean;
    free(scores);
    return mean;
}

static double accuracy(const struct prediction *predictions, size_t count, size_t classes)
{
    return mean_score(accuracy_scores, predictions, count, classes);
}

static double exact_match(const struct prediction *predictions, size_t count, size_t classes)
{
    return mean_score(exact_scores, predictions, count, classes);
}

static double numeric_match(const struct prediction *predictions, size_t count, size_t classes)
{
    return mean_score(numeric_scores, predictions, count, classes);
}

static double brier(const struct prediction *predictions, size_t count, size_t classes)
{
    return mean_score(brier_scores, predictions, count, classes);
}

static double nll(const struct prediction *predictions, size_t count, size_t classes)
{
    return mean_score(nll_scores, predictions, count, classes);
}

/* ---- The table ------------------------------------------------------------------------------ */

static const struct metric METRICS[] = {
    {.name = "accuracy",
     .title = "Accuracy",
     .unit = "share",
     .higher_is_better = true,
     .proportion = true,
     .input = INPUT_LABELS,
     .value = accuracy,
     .scores = accuracy_scores},
    {.name = "balanced_accuracy",
     .title = "Balanced accuracy",
     .unit = "share",
     .higher_is_better = true,
     .input = INPUT_LABELS,
     .value = balanced_accuracy,
     .scores = balanced_scores},
    {.name = "macro_f1",
     .title = "Macro F1",
     .unit = "share",
     .higher_is_better = true,
     .input = INPUT_LABELS,
     .value = macro_f1},
    {.name = "matthews",
     .title = "Matthews correlation",
     .unit = "coefficient",
     .higher_is_better = true,
     .input = INPUT_LABELS,
     .value = matthews},
    {.name = "exact_match",
     .title = "Exact match",
     .unit = "share",
     .higher_is_better = true,
     .proportion = true,
     .input = INPUT_TEXT,
     .value = exact_match,
     .scores = exact_scores},
    {.name = "numeric_match",
     .title = "Numeric match",
     .unit = "share",
     .higher_is_better = true,
     .proportion = true,
     .input = INPUT_TEXT,
     .value = numeric_match,
     .scores = numeric_scores},
    {.name = "brier",
     .title = "Brier score",
     .unit = "squared error",
     .input = INPUT_PROBABILITIES,
     .value = brier,
     .scores = brier_scores},
    {.name = "calibration_error",
     .title = "Expected calibration error",
     .unit = "share",
     .input = INPUT_CORRECT,
     .value = calibration_error},
    {.name = "nll",
     .title = "Negative log-likelihood",
     .unit = "nats",
     .input = INPUT_NLL,
     .value = nll,
     .scores = nll_scores},
};

size_t metric_count(void)
{
    return sizeof METRICS / sizeof *METRICS;
}

const struct metric *metric_at(size_t index)
{
    return &METRICS[index];
}

const struct metric *metric_find(const char *name)
{
    for (size_t i = 0; i < metric_count(); i++)
        if (strcmp(METRICS[i].name, name) == 0)
            return &METRICS[i];
    return NULL;
}

void predictions_judge(const struct metric *metric, struct prediction *predictions, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (metric->scores == exact_scores)
            predictions[i].correct = text_is_right(&predictions[i]);
        else if (metric->scores == numeric_scores)
            predictions[i].correct = number_is_right(&predictions[i]);
        else
            predictions[i].correct = label_is_right(&predictions[i]);
    }
}

/* ---- Measuring ------------------------------------------------------------------------------ */

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
    case INPUT_CORRECT:
        if (!prediction->scored)
            return "it has no probability";
        if (!(prediction->probability >= 0 && prediction->probability <= 1 + rounding))
            return "its probability is outside 0 to 1 or not a number";
        return NULL;
    case INPUT_PROBABILITIES:
        return probabilities_fault(prediction, classes);
    case INPUT_NLL:
        if (!prediction->scored)
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

/* What a resample is computed from. */
struct resampled {
    const struct metric *metric;
    const struct prediction *predictions;
    size_t classes;
    struct prediction *drawn; /* room for one resample */
    const double *scores;     /* NULL when the value is no plain mean of scores */
};

static double resampled_value(const void *context, const size_t *index, size_t count)
{
    const struct resampled *resampled = context;
    for (size_t i = 0; i < count; i++)
        resampled->drawn[i] = resampled->predictions[index[i]];
    return resampled->metric->value(resampled->drawn, count, resampled->classes);
}

static double resampled_score(const void *context, const size_t *index, size_t count)
{
    const struct resampled *resampled = context;
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += resampled->scores[index[i]];
    return sum / (double)count;
}

/* Scores of labels depend on the other predictions (class weights), all others stand alone. */
static struct interval resampled_interval(struct resampled resampled, size_t count,
                                          struct bootstrap options)
{
    const struct metric *metric = resampled.metric;
    struct interval interval;
    if (metric->scores && metric->input != INPUT_LABELS) {
        double *scores = memory_alloc(count * sizeof *scores);
        metric->scores(resampled.predictions, count, resampled.classes, scores);
        resampled.scores = scores;
        interval = bootstrap_interval(resampled_score, &resampled, count, options);
        free(scores);
    } else {
        resampled.drawn = memory_alloc(count * sizeof *resampled.drawn);
        interval = bootstrap_interval(resampled_value, &resampled, count, options);
        free(resampled.drawn);
    }
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
    struct interval interval;
    if (metric->proportion) {
        int64_t hits = (int64_t)llround(value * (double)count);
        interval = wilson_interval(hits, (int64_t)count, options.confidence);
    } else {
        struct resampled resampled = {metric, predictions, classes, NULL, NULL};
        interval = resampled_interval(resampled, count, options);
    }
    *result = (struct metric_value){value, fmin(interval.low, value), fmax(interval.high, value)};
    return OK;
}
