/* SPDX-License-Identifier: Apache-2.0
 *
 * Labelling a file of inputs with a recalled model.
 *
 * The file is read, answered and written chunk by chunk, so memory does not grow with its rows.
 * What is finished stands in OUTPUT.partial, and OUTPUT.partial.state says how far it is whole and
 * of which export and input it is; the same request again goes on behind it, and cuts off what was
 * written but not finished. At the end it takes the output's name. The bytes are the same with any
 * number of threads, stopped in between or not.
 *
 * CSV (RFC 4180): with labels the columns line, label, probability and p_LABEL for every label;
 * otherwise line and answer. JSONL: the same keys, but "probabilities", an object, for the p_LABEL.
 * `line` is where the row starts in the input. Rows keep their order.
 *
 * With a prompt table the rows may be of different tasks, which a column names; one batch then
 * holds all of them. CSV: line, task, answer (the label, or the text) and probability, empty for a
 * text. JSONL: as above, with "task".
 */
#ifndef ARTIFACTS_PREDICT_H
#define ARTIFACTS_PREDICT_H

#include <stdbool.h>
#include <stddef.h>

#include "artifacts/recall.h"
#include "artifacts/task_table.h"
#include "base/clock.h"
#include "base/error.h"
#include "datasets/dataset.h"

enum prediction_format { PREDICTION_CSV, PREDICTION_JSONL };

struct predict_request {
    /* What answers: an export, with its model; or a prompt table that is served. */
    const struct recalled *recalled; /* or NULL */
    struct task_table *tasks;        /* or NULL */
    const char *task;                /* of the table, for all rows; or */
    const char *task_column;         /* where each row names its own */
    const char *input;
    struct dataset_options reading; /* input, delimiter and on_bad_row are looked at */
    const char *output;             /* NULL: standard output; it or a pipe is not resumed */
    enum prediction_format format;
    bool replace; /* an output that is there already */
    const struct deadline *deadline;

    void *context;
    void (*progress)(void *context, size_t done, size_t total); /* rows; may be NULL */
    void (*note)(void *context, const char *sentence);          /* may be NULL */
};

struct predict_result {
    size_t rows;    /* written, those of earlier runs included */
    size_t resumed; /* of them by earlier runs */
    size_t skipped; /* bad rows left out */
};

/* BAD_DATA for the input, with file and line; USAGE when the output is there; FAILED when it cannot
 * be written; INTERRUPTED by the deadline, with everything kept that was finished. */
enum status predict_file(const struct predict_request *request, struct predict_result *result,
                         struct error *err);

#endif
