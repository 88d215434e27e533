/* SPDX-License-Identifier: Apache-2.0
 *
 * For the files of the formats: their functions, which formats.c puts into its table, and what
 * several of them walk through.
 *
 * To add a format: write its two functions in a file of its own, declare them here, add a row in
 * formats.c.
 */
#ifndef REPORTS_FORMATS_H
#define REPORTS_FORMATS_H

#include "reports/report.h"

void write_text_report(const struct report *report, struct report_style style, struct text *out);
void write_text_trial(const struct report *report, struct report_style style, struct text *out);
void write_json_report(const struct report *report, struct report_style style, struct text *out);
void write_json_trial(const struct report *report, struct report_style style, struct text *out);
void write_csv_report(const struct report *report, struct report_style style, struct text *out);
void write_markdown_report(const struct report *report, struct report_style style,
                           struct text *out);
void write_markdown_trial(const struct report *report, struct report_style style, struct text *out);

void write_html_report(const struct report *report, struct report_style style, struct text *out);
void write_html_trial(const struct report *report, struct report_style style, struct text *out);

void write_lm_eval_report(const struct report *report, struct report_style style, struct text *out);
enum status write_lm_eval_files(const struct report *report, const struct report_sink *sink,
                                struct error *err);

/* The measured numbers of a ranked technique, under their names in JSON and CSV. */
enum ranked_part { RANKED_METRIC, RANKED_PROBABILITY, RANKED_COST };

struct ranked_number {
    const char *name;
    enum ranked_part part;
    size_t at; /* in struct ranked */
};

/* Those of one part, in order; NULL when `index` is past the last. */
const struct ranked_number *ranked_number_at(enum ranked_part part, size_t index);
struct measured ranked_number_of(const struct ranked_number *number, const struct ranked *ranked);
void ranked_number_set(const struct ranked_number *number, struct ranked *ranked,
                       struct measured value);

/* Appends "mean over seeds: lora (2), ia3 (2)" if the metric of any technique is one. */
void add_seeds(const struct report *report, struct text *out);

#endif
