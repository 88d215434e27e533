/* SPDX-License-Identifier: Apache-2.0
 *
 * Where results go: standard output, or the file of --output.
 */
#ifndef ADVISOR_OUTPUT_H
#define ADVISOR_OUTPUT_H

#include <stdbool.h>
#include <stdio.h>

#include "advisor/options.h"
#include "base/error.h"
#include "base/text.h"
#include "reports/report.h"

/* Writes the report of a study, in the format, width and colour that the options ask for. */
enum status output_report(const struct options *options, const struct report *report,
                          struct error *err);

/* The same for one trial: report->ranking[0]; the ranking has one row. */
enum status output_trial(const struct options *options, const struct report *report,
                         struct error *err);

/* Writes bytes that are finished. A file appears whole or not at all, and replaces an older one;
 * FAILED when not all could be written. An error with an empty text means that the reader of
 * standard output went away. */
enum status output_write(const struct options *options, const struct text *bytes,
                         struct error *err);

/* How a text is laid out where it goes. */
struct report_style output_style(const struct options *options);

/* For commands whose result is no report: whether --format asks for JSON; USAGE for any format but
 * text and json. */
enum status output_text_or_json(const struct options *options, bool *json, struct error *err);

/* Refuses a path that cannot be written, before hours are spent on what would go there. */
enum status output_check(const char *path, struct error *err);

/* The same for a folder, which may be missing as long as it can be made. */
enum status output_check_folder(const char *path, struct error *err);

/* Whether what goes to `stream` may use colour: --color, else NO_COLOR, TERM and whether it is a
 * terminal. */
bool output_color(const struct options *options, FILE *stream);

#endif
