/* SPDX-License-Identifier: Apache-2.0
 *
 * What a report says, as plain data, and the formats it can be written in.
 *
 * The decision fills in a `struct report`; a format only writes it. A format never runs anything,
 * never reads a file, and gives the same bytes for the same data. One format is one file and one
 * row in the table of formats.c.
 */
#ifndef REPORTS_REPORT_H
#define REPORTS_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/text.h"
#include "evaluators/store.h"

/* How far a technique came. */
enum standing_status {
    STANDING_MEASURED,   /* its best trial is finished and ranked */
    STANDING_ELIMINATED, /* lost early; `metric` is that of its last trial, if any */
    STANDING_EXCLUDED,   /* cannot work here; `note` has the arithmetic */
    STANDING_NOT_RUN     /* the budget did not reach it; `note` says what it would take */
};

const char *standing_status_name(enum standing_status status); /* "measured" ... */

enum verdict { VERDICT_UNTESTED, VERDICT_CONFIRMED, VERDICT_OVERRIDDEN };

const char *verdict_name(enum verdict verdict); /* "untested" ... */

/* A rule that spoke about a technique. */
struct reason {
    const char *rule;   /* "R09" */
    const char *source; /* "Lester 2021" */
    const char *text;   /* one sentence */
    enum verdict verdict;
    const char *evidence; /* what was compared, a phrase; NULL or "": nothing */
};

/* Where the learning curve of a technique is expected to go: points beyond what was measured, by
 * `examples`. */
struct forecast_point {
    double examples;          /* training examples */
    double metric, low, high; /* low <= metric <= high */
    struct measured probability_meets_target;
};

struct report_forecast {
    double level; /* of low .. high, such as 0.8 */
    const struct forecast_point *points;
    size_t count;                       /* 0: there is no forecast */
    struct measured examples_to_target; /* training examples until the target is met with the
                                           confidence asked for; unknown: none in reach */
    const char *note;                   /* why there is no forecast, or NULL */
};

/* Another technique is expected to be better than the recommended one from so many training
 * examples on. */
struct winner_change {
    const char *technique;
    double examples, probability;
};

/* One technique in the ranking. */
struct ranked {
    int rank; /* from 1; techniques that tie have their own numbers and name each other */
    enum standing_status status;
    const char *technique, *family;
    const char *note;                  /* one sentence about the status, or "" */
    const char *setting;               /* JSON object */
    int64_t examples;                  /* training examples used */
    size_t seeds;                      /* trainings that differ in their seed alone, and over which
                                          the metric is a mean; 0: not measured. Tested and exported
                                          is the first of them */
    struct measured metric, low, high; /* development split; interval at 95 % */
    struct measured test_metric;
    const char *metrics; /* JSON object: all metrics of the task, development split; or NULL */
    struct measured forgetting;   /* rise of the loss on ordinary text, nats for each token */
    const char *const *tied_with; /* names */
    size_t tied_count;
    struct measured probability_best, probability_meets_target;
    struct measured trial_seconds, train_seconds, tokens_per_request, latency_ms;
    struct measured training_tokens; /* model tokens to learn: forward and backward count three */
    struct measured trainable_parameters, peak_memory_bytes, artifact_bytes;
    struct report_forecast forecast;
    const struct reason *reasons;
    size_t reason_count;
};

/* What a ranked technique answered, example by example; by example number. */
struct ranked_answers {
    const char *technique;
    int64_t trial; /* the trial that stands for it in the ranking */
    const struct prediction *dev, *test;
    size_t dev_count, test_count; /* test: 0 while it was not tested */
};

/* What a report rests on besides its numbers, out of the study file. All of it may be missing. */
struct evidence {
    int64_t created_ms; /* of the study, since 1970; 0: not known */
    const struct trial_record *trials;
    size_t trial_count;
    const struct ranked_answers *answers; /* in the order of the ranking */
    size_t answers_count;
    const struct example_record *dev, *test; /* the examples, by number */
    size_t dev_count, test_count;
};

enum outcome_status {
    OUTCOME_MEETS_TARGET,   /* the cheapest technique that meets the target with confidence */
    OUTCOME_BEST_AVAILABLE, /* nothing meets it (or none was given): the best there is */
    OUTCOME_BEATS_NOTHING   /* nothing is better than the majority answer; technique is NULL */
};

const char *outcome_status_name(enum outcome_status status); /* "meets_target" ... */

struct label_count {
    const char *name;
    size_t count;
};

struct report {
    const char *study;      /* name */
    const char *study_path; /* the file it lives in */
    bool complete;          /* every planned trial is settled */

    const char *model_name, *model_path, *model_sha256;
    size_t model_parameters, model_bytes;
    int model_context;

    const char *data_path, *data_sha256;
    const char *test_path, *test_sha256; /* NULL: split off the data */
    const char *task;                    /* "classification" ... */
    size_t examples, train, dev, test;   /* rows there are */
    size_t dev_used, test_used;          /* rows the trials were scored on */
    const struct label_count *labels;    /* most frequent first; class c of a prediction is number c
                                            by the bytes of the names */
    size_t label_count;
    struct measured input_tokens_mean, input_tokens_max; /* of the user's text */
    size_t exact_duplicates, near_duplicates, conflicting, leaked;
    const char *const *warnings; /* sentences */
    size_t warning_count;

    const char *metric;     /* "accuracy" */
    struct measured target; /* unknown: none was given */
    double confidence;      /* asked for "meets the target", such as 0.8 */
    double budget_seconds;
    struct measured max_memory_bytes, max_latency_ms, requests; /* constraints, if given */
    uint64_t seed;
    const char *const *techniques_asked; /* --techniques, or NULL: all */
    size_t techniques_asked_count;

    const char *technique; /* recommended, or NULL */
    enum outcome_status outcome;
    const char *const *reasons; /* sentences, the first one is the answer */
    size_t reason_count;

    const struct ranked *ranking; /* by rank */
    size_t ranking_count;
    const char *const *pareto; /* names */
    size_t pareto_count;
    const struct winner_change *winner_changes;
    size_t winner_change_count;

    double spent_seconds, exhaustive_seconds_estimate;
    const char *command;         /* how to reproduce it, without the program's path */
    const char *program_version; /* that made the recommendation, or NULL */

    struct evidence evidence;
};

/* The row of a technique in the ranking, and its answers; NULL when there are none. */
const struct ranked *report_ranked(const struct report *report, const char *technique);
const struct ranked_answers *report_answers(const struct report *report, const char *technique);

/* Reads back what write_json_report wrote (`json`, valid JSON): everything but study_path and the
 * evidence. Strings live in `arena`. FAILED when it is not a report of this schema. */
enum status report_read(const char *json, struct arena *arena, struct report *report,
                        struct error *err);

/* How a report is laid out; only text looks at it. */
struct report_style {
    int columns; /* width of the terminal, at least 40 */
    bool color;
};

/* Where the files of a format that has several go: `put` writes one. `path` is relative, made of
 * letters, digits, ".", "_", "-" and at most one "/". */
struct report_sink {
    void *context;
    enum status (*put)(void *context, const char *path, const struct text *bytes,
                       struct error *err);
};

/* Requests that a lifetime is taken to have when --requests was not given. */
enum { USUAL_REQUESTS = 10000 };

struct report_format {
    const char *name;    /* "text", "json" */
    const char *summary; /* one line for --help */
    void (*write)(const struct report *report, struct report_style style, struct text *out);

    /* One trial: ranking[0] of a report whose ranking has one row. */
    void (*write_trial)(const struct report *report, struct report_style style, struct text *out);

    /* The same as files in a folder; NULL for most formats. Without a folder `write` is used. */
    enum status (*write_files)(const struct report *report, const struct report_sink *sink,
                               struct error *err);
};

/* The formats in turn; NULL when `index` is past the last. */
const struct report_format *report_format_at(size_t index);
const struct report_format *report_format_find(const char *name); /* or NULL */

#endif
