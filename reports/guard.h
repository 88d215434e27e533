/* SPDX-License-Identifier: Apache-2.0
 *
 * What `advisor check` says, as plain data, and the formats it can be written in.
 *
 * The command fills in a `struct guard_report`; a format only writes it, and gives the same bytes
 * for the same data. To add a format: write its function in a file of its own, declare it below,
 * add a row in guard_formats.c.
 */
#ifndef REPORTS_GUARD_H
#define REPORTS_GUARD_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"
#include "evaluators/guard.h"
#include "evaluators/store.h"

/* The whole, a class or a slice. */
struct guard_row {
    const char *part; /* "metric", "class", "slice" */
    const char *name; /* "accuracy", "billing", "channel=mail" */
    struct guard_group group;
};

/* An answer that changed. */
enum guard_flip_kind {
    FLIP_LOST,   /* was right */
    FLIP_GAINED, /* is right */
    FLIP_WRONG   /* was wrong and is wrong in another way */
};

const char *guard_flip_name(enum guard_flip_kind kind); /* "lost" ... */

struct guard_flip {
    enum guard_flip_kind kind;
    size_t line;                         /* in the file of the examples */
    const char *text;                    /* from that file; the baseline has none */
    const char *target, *before, *after; /* NULL: no answer; before: NULL for free text too */
};

struct guard_cost {
    const char *name, *title; /* "latency_ms", "latency" */
    struct measured before, after;
    double tolerated; /* ratio after / before beyond which there is a warning */
    void (*human)(struct text *out, struct measured value);
};

/* What gave the answers. */
struct guard_side {
    const char *technique, *setting; /* JSON */
    const char *model, *model_sha256;
    const char *artifact_sha256; /* NULL: nothing is trained */
    const char *program;         /* version */
};

struct guard_report {
    const char *error; /* a sentence: the check could not be made, and nothing else is filled in */

    enum guard_verdict verdict;
    bool identical; /* nothing changed, and the answers are the same: no statistics needed */
    bool paired;    /* the same examples on both sides */
    const char *const *reasons; /* sentences, the first one is the answer */
    size_t reason_count;
    const char *const *warnings; /* sentences */
    size_t warning_count;

    const char *baseline_path, *study;
    const char *examples_path; /* file of the examples answered now */
    size_t missing, extra;     /* examples only in the baseline, only in the file */
    struct guard_side before, after;
    const char *const *changed; /* "model", "artifact", "technique", "setting", "training", "data",
                                   "engine" */
    size_t changed_count;

    const char *metric;
    double margin;                                           /* in the unit of the metric */
    struct measured examples_to_pass, examples_to_show_drop; /* see evaluators/guard.h */
    const struct guard_row *rows;                            /* the whole first */
    size_t row_count;
    const struct guard_flip *flips; /* lost first, then gained, then wrong; by line */
    size_t flip_count;
    const struct guard_cost *costs;
    size_t cost_count;
    double seconds; /* the check took */
};

/* `columns` >= 40; only text looks at it and at `color`. */
struct guard_style {
    int columns;
    bool color;
};

struct guard_format {
    const char *name;
    const char *summary;
    bool writes_errors; /* has a form for a report with `error` */
    void (*write)(const struct guard_report *report, struct guard_style style, struct text *out);
};

/* The formats in turn, the default first; NULL when `index` is past the last. */
const struct guard_format *guard_format_at(size_t index);
const struct guard_format *guard_format_find(const char *name); /* or NULL */

/* ---- For the formats ------------------------------------------------------------------------ */

void write_text_guard(const struct guard_report *report, struct guard_style style,
                      struct text *out);
void write_json_guard(const struct guard_report *report, struct guard_style style,
                      struct text *out);
void write_junit_guard(const struct guard_report *report, struct guard_style style,
                       struct text *out);
void write_markdown_guard(const struct guard_report *report, struct guard_style style,
                          struct text *out);

size_t guard_flips(const struct guard_report *report, enum guard_flip_kind kind);

/* after / before; unknown when either is, or before is 0. */
struct measured guard_ratio(const struct guard_cost *cost);
bool guard_is_dearer(const struct guard_cost *cost); /* beyond what is tolerated */

/* "-0.007 [-0.020, +0.006]" */
void guard_add_change(struct text *out, const struct guard_group *group);

/* "tokens per request 43 -> 61 (x1.42)" */
void guard_add_cost(struct text *out, const struct guard_cost *cost);

/* "30 lost, 23 gained, 4 wrong in another way", or "none". */
void guard_add_flips(struct text *out, const struct guard_report *report);

#endif
