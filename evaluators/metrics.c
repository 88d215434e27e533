/* SPDX-License-Identifier: Apache-2.0 */
#include "evaluators/metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "evaluators/answers.h"
#include "evaluators/slots.h"
#include "evaluators/text_metrics.h"

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

static bool json_is_right(const struct prediction *prediction)
{
    return prediction->text && prediction->target &&
           slots_equal(prediction->text, prediction->target);
}

static void json_scores(const struct prediction *predictions, size_t count, size_t classes,
                        double *scores)
{
    (void)classes;
    for (size_t i = 0; i < count; i++)
        scores[i] = json_is_right(&predictions[i]);
}

static void token_f1_scores(const struct prediction *predictions, size_t count, size_t classes,
                            double *scores)
{
    (void)classes;
    for (size_t i = 0; i < count; i++)
        scores[i] = text_token_f1(predictions[i].text, predictions[i].target);
}

static void rouge_l_scores(const struct prediction *predictions, size_t count, size_t classes,
                           double *scores)
{
    (void)classes;
    for (size_t i = 0; i < count; i++)
        scores[i] = text_rouge_l(predictions[i].text, predictions[i].target);
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

/* ---- Sums ----------------------------------------------------------------------------------- */

/* The value of a metric that is made of sums. */
static double value_of_sums(void (*contribute)(const struct prediction *, double *),
                            double (*from_sums)(const double *), size_t sum_count,
                            const struct prediction *predictions, size_t count)
{
    double sums[MOST_SUMS] = {0}, own[MOST_SUMS];
    for (size_t i = 0; i < count; i++) {
        contribute(&predictions[i], own);
        for (size_t s = 0; s < sum_count; s++)
            sums[s] += own[s];
    }
    return from_sums(sums);
}

enum { SLOT_SUMS = 2, NLL_SUMS = 2 };

static void slot_sums(const struct prediction *prediction, double *sums)
{
    struct slot_counts counts = slots_compare(prediction->text, prediction->target);
    sums[0] = (double)counts.hits;
    sums[1] = (double)(counts.answered + counts.expected);
}

static double slot_f1_of(const double *sums)
{
    return sums[1] > 0 ? 2 * sums[0] / sums[1] : 1;
}

static double slot_f1(const struct prediction *predictions, size_t count, size_t classes)
{
    (void)classes;
    return value_of_sums(slot_sums, slot_f1_of, SLOT_SUMS, predictions, count);
}

static void chrf_sums(const struct prediction *prediction, double *sums)
{
    text_chrf_count(prediction->text, prediction->target, sums);
}

static double chrf(const struct prediction *predictions, size_t count, size_t classes)
{
    (void)classes;
    return value_of_sums(chrf_sums, text_chrf, CHRF_COUNTS, predictions, count);
}

static void nll_sums(const struct prediction *prediction, double *sums)
{
    double tokens = prediction->nll_tokens > 0 ? prediction->nll_tokens : 1;
    sums[0] = prediction->nll * tokens;
    sums[1] = tokens;
}

static double perplexity_of(const double *sums)
{
    return exp(sums[0] / sums[1]);
}

static double perplexity(const struct prediction *predictions, size_t count, size_t classes)
{
    (void)classes;
    return value_of_sums(nll_sums, perplexity_of, NLL_SUMS, predictions, count);
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

static double json_match(const struct prediction *predictions, size_t count, size_t classes)
{
    return mean_score(json_scores, predictions, count, classes);
}

static double token_f1(const struct prediction *predictions, size_t count, size_t classes)
{
    return mean_score(token_f1_scores, predictions, count, classes);
}

static double rouge_l(const struct prediction *predictions, size_t count, size_t classes)
{
    return mean_score(rouge_l_scores, predictions, count, classes);
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
     .scores = exact_scores,
     .right = text_is_right},
    {.name = "numeric_match",
     .title = "Numeric match",
     .unit = "share",
     .higher_is_better = true,
     .proportion = true,
     .input = INPUT_TEXT,
     .value = numeric_match,
     .scores = numeric_scores,
     .right = number_is_right},
    {.name = "json_match",
     .title = "JSON match",
     .unit = "share",
     .higher_is_better = true,
     .proportion = true,
     .input = INPUT_JSON,
     .value = json_match,
     .scores = json_scores,
     .right = json_is_right},
    {.name = "slot_f1",
     .title = "Slot F1",
     .unit = "share",
     .higher_is_better = true,
     .input = INPUT_JSON,
     .value = slot_f1,
     .sum_count = SLOT_SUMS,
     .contribute = slot_sums,
     .from_sums = slot_f1_of,
     .right = json_is_right},
    {.name = "token_f1",
     .title = "Token F1",
     .unit = "share",
     .higher_is_better = true,
     .input = INPUT_TEXT,
     .value = token_f1,
     .scores = token_f1_scores,
     .right = text_is_right},
    {.name = "rouge_l",
     .title = "ROUGE-L",
     .unit = "share",
     .higher_is_better = true,
     .input = INPUT_TEXT,
     .value = rouge_l,
     .scores = rouge_l_scores,
     .right = text_is_right},
    {.name = "chrf",
     .title = "chrF2",
     .unit = "share",
     .higher_is_better = true,
     .input = INPUT_TEXT,
     .value = chrf,
     .sum_count = CHRF_COUNTS,
     .contribute = chrf_sums,
     .from_sums = text_chrf,
     .right = text_is_right},
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
    {.name = "perplexity",
     .title = "Perplexity",
     .unit = "perplexity",
     .input = INPUT_NLL,
     .value = perplexity,
     .sum_count = NLL_SUMS,
     .contribute = nll_sums,
     .from_sums = perplexity_of},
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
        struct prediction *p = &predictions[i];
        bool free_text = p->truth == NO_LABEL && p->label == NO_LABEL && p->text && p->target;
        if (metric->right)
            p->correct = metric->right(p);
        else if (free_text && metric->input == INPUT_NLL)
            p->correct = text_is_right(p);
        else
            p->correct = label_is_right(p);
    }
}
