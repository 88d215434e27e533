/* SPDX-License-Identifier: Apache-2.0
 *
 * Metrics: from the predictions of one trial to one number, its interval, and where the metric has
 * one a score for each example, which is what paired comparisons use.
 *
 * A metric is a row of one table. Values agree with scikit-learn on the cases it defines
 * (tests/parity/make_statistics.py).
 */
#ifndef EVALUATORS_METRICS_H
#define EVALUATORS_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/memory.h"
#include "evaluators/statistics.h"

enum { NO_LABEL = -1 }; /* as truth: the example has no class; as label: no valid answer */

/* What a trial says about one example. Strings and arrays belong to whoever made them. */
struct prediction {
    int64_t example;            /* row of the example in its data file, from 0 */
    int truth;                  /* class of the example, 0 .., or NO_LABEL */
    int label;                  /* class answered, 0 .., or NO_LABEL, which is always wrong */
    bool correct;               /* by the study's metric; see predictions_judge */
    bool scored;                /* `probability` and `nll` are set */
    double probability;         /* of the answer given, 0 .. 1 */
    double nll;                 /* of the true answer, nats, mean over its tokens, >= 0 */
    int nll_tokens;             /* how many tokens that is: free text, where `nll` then is set even
                                 * if not `scored`; 0 for a label, which counts as one */
    const char *text;           /* text answered, UTF-8, or NULL */
    const char *target;         /* text expected, UTF-8, or NULL */
    const float *probabilities; /* (classes), sum 1, or NULL */
};

/* What a metric reads, beyond `example`. */
enum metric_input {
    INPUT_LABELS,        /* truth, label */
    INPUT_TEXT,          /* text, target */
    INPUT_JSON,          /* text, target, which is a JSON object or list */
    INPUT_CORRECT,       /* correct, probability */
    INPUT_PROBABILITIES, /* truth, probabilities */
    INPUT_NLL            /* nll */
};

enum { MOST_SUMS = 18 }; /* numbers that one prediction gives to a metric that is made of sums */

struct metric {
    const char *name;  /* as on the command line and in the store */
    const char *title; /* for people */
    const char *unit;  /* "share", "coefficient", "nats", "squared error", "perplexity" */
    bool higher_is_better;
    bool proportion; /* mean of 0/1 scores: Wilson interval; otherwise bootstrap */
    enum metric_input input;

    /* The value over all predictions; count >= 1. */
    double (*value)(const struct prediction *predictions, size_t count, size_t classes);

    /* One score for each prediction, whose mean is the value; NULL where there is none
     * (macro_f1, matthews, calibration_error, and what is made of sums). */
    void (*scores)(const struct prediction *predictions, size_t count, size_t classes,
                   double *scores);

    /* Of a metric that is made of sums over the predictions (slot_f1, chrf, perplexity): how many
     * sums, what one prediction gives to each, and the value. Otherwise 0 and NULL. */
    size_t sum_count; /* at most MOST_SUMS */
    void (*contribute)(const struct prediction *prediction, double *sums);
    double (*from_sums)(const double *sums);

    /* When one answer is right by this metric, where that is not "the label is the true one". */
    bool (*right)(const struct prediction *prediction);
};

/* accuracy            share of label == truth; "no answer" is wrong
 * balanced_accuracy   mean recall over the classes that occur as truth
 * macro_f1            mean F1 over the classes that occur as truth or answer
 * matthews            Matthews correlation, many classes (Gorodkin 2004); 0 when undefined; "no
 *                     answer" is a further class
 * exact_match         share of texts equal to their target (answer_equals)
 * numeric_match       share of texts whose number is that of the target (answer_equals_number)
 * json_match          share of texts that are JSON with the slots of the target (slots_equal)
 * slot_f1             2 hits / (answered + expected) over all slots of all examples, the micro
 *                     average (slots_compare); 1 when there are none on either side
 * token_f1            mean F1 of words (text_token_f1)
 * rouge_l             mean F1 of the longest common sequence of words (text_rouge_l)
 * chrf                chrF2 of the whole: n-grams counted over all examples (text_chrf)
 * brier               mean over examples of sum over classes of (p - y)^2, 0 .. 2 (Brier 1950)
 * calibration_error   expected calibration error: 10 equal bins (0, 0.1] .. (0.9, 1] of
 *                     `probability`, mean of |share correct - mean probability| weighted by size
 * nll                 mean negative log-likelihood of the truth, nats for each token
 * perplexity          exp of the negative log-likelihood for each token, all tokens of all true
 *                     answers together
 *
 * The rows of the table, 0 .. metric_count() - 1, in this order. */
size_t metric_count(void);
const struct metric *metric_at(size_t index);
const struct metric *metric_find(const char *name); /* NULL when unknown */

struct metric_value {
    double value;
    double low; /* interval at the asked confidence, always with low <= value <= high */
    double high;
};

/* The value and its interval: Wilson for proportions, otherwise percentile bootstrap over examples
 * with `options`, whose confidence holds for both. `classes` is the number of classes (0 when the
 * task has none). FAILED when there is no prediction, when a prediction lacks what the metric reads
 * (the sentence names the example), or when a number is outside its range or not finite: a model
 * that gives NAN has failed, it has no score. */
enum status metric_measure(const struct metric *metric, const struct prediction *predictions,
                           size_t count, size_t classes, struct bootstrap options,
                           struct metric_value *result, struct error *err);

/* The value alone, for a summary. False when a prediction lacks what the metric reads, or the value
 * is not finite. */
bool metric_value_of(const struct metric *metric, const struct prediction *predictions,
                     size_t count, size_t classes, double *value);

/* A metric and some predictions, prepared so that its value on many resamples of them is cheap:
 * what stands alone is worked out once for each prediction. Lives in `arena`, and the predictions
 * must outlive it; for one thread. They hold what the metric reads (metric_measure has checked). */
struct metric_sample;
struct metric_sample *metric_sample_create(const struct metric *metric,
                                           const struct prediction *predictions, size_t count,
                                           size_t classes, struct arena *arena);

/* The value over predictions index[0 .. count - 1], with repetitions; `count` at most that of the
 * sample and >= 1. */
double metric_sample_value(const struct metric_sample *sample, const size_t *index, size_t count);

/* Sets `correct`: texts, numbers or JSON compared where the metric compares them, label == truth
 * otherwise. For metrics of likelihood of an example without classes its texts are compared. */
void predictions_judge(const struct metric *metric, struct prediction *predictions, size_t count);

/* ---- Confusion ------------------------------------------------------------------------------ */

/* counts[truth * (classes + 1) + answer]; the last column counts "no answer". Predictions without a
 * truth are left out. `counts` has classes * (classes + 1) elements and belongs to the caller. */
void confusion_count(const struct prediction *predictions, size_t count, size_t classes,
                     int64_t *counts);

struct class_score {
    int64_t support;  /* examples of this class */
    int64_t answered; /* predictions of this class */
    int64_t hits;     /* both */
    double precision; /* hits / answered; 0 when never answered */
    double recall;    /* hits / support; 0 when it does not occur */
    double f1;        /* 2 hits / (answered + support); 0 when neither occurs */
};

void class_scores(const int64_t *counts, size_t classes, struct class_score *scores);

#endif
