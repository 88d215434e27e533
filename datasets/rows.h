/* SPDX-License-Identifier: Apache-2.0
 *
 * From rows of a file to examples of a dataset: the part between the readers and dataset_load.
 */
#ifndef DATASETS_ROWS_H
#define DATASETS_ROWS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/text.h"
#include "datasets/choices.h"
#include "datasets/columns.h"
#include "datasets/dataset.h"

/* What a file is, before it is read: by its name, else by its first character or a delimiter given.
 */
enum data_family { FAMILY_UNKNOWN, FAMILY_CSV, FAMILY_TSV, FAMILY_JSON };

enum data_family data_family(const char *name, const char *bytes, size_t size, char delimiter);

/* BAD_DATA for files that are data, but not text: compressed, Excel, Parquet and the like. */
enum status data_refuse_binary(const char *name, const char *bytes, size_t size, struct error *err);

struct rows {
    const char *name;                      /* of the file, in messages */
    const struct dataset_options *options; /* never NULL */
    struct dataset *dataset;               /* its arena holds the texts */

    size_t first_line; /* of the first record; 0 = none was seen */
    enum data_shape shape;
    struct columns columns; /* not for chat shapes */
    bool choices_settled;   /* whether columns_settle_choices has been asked */
    const char **names;     /* all columns of the header or the records, in the arena */
    size_t name_count;
    size_t *indices; /* tables: where the inputs, the target and the rationale stand */

    struct example *examples;        /* grows; handed over to the arena at the end */
    struct choice_reading *readings; /* of as many targets, where there are choices */
    size_t count;
    size_t capacity;
    struct skipped_row *skipped;
    size_t skipped_capacity;

    struct text input; /* of the row at hand */
    struct text target;
    struct text rationale;
    struct choices choices;
    bool integer;         /* the target is a JSON integer */
    bool several_answers; /* some row had more than the one that is its target */
};

/* Reads all rows and moves the examples into `dataset`, which has an empty arena. The labels and
 * the task are still open. */
enum status rows_read_table(struct rows *rows, const char *bytes, size_t size, char delimiter,
                            struct error *err);
enum status rows_read_json(struct rows *rows, const char *bytes, size_t size, struct error *err);

/* Leaves a bad row out where the options say so, else sets the error. `reason` is a finished
 * sentence with its place. */
enum status rows_bad(struct rows *rows, size_t line, const char *reason, struct error *err);

/* The same with a sentence that starts behind "file:line: " and lacks its end. */
enum status rows_complain(struct rows *rows, size_t line, struct error *err, const char *format,
                          ...) __attribute__((format(printf, 4, 5)));

/* Appends the choices of the row at hand to its input. `*usable` is false when they are at fault
 * and have been dealt with; `reason` is what reading them complained of (half a sentence), or NULL.
 */
enum status rows_add_choices(struct rows *rows, size_t line, const char *reason, bool *usable,
                             struct error *err);

/* Makes an example of the three texts of the row at hand, and empties them. */
enum status rows_add(struct rows *rows, size_t line, struct error *err);

/* What only all rows together tell: which choice each target means, and whether the targets are
 * worked solutions. */
enum status rows_settle(struct rows *rows, struct error *err);

/* Sets the names of the columns, and notes those that are not used. */
void rows_describe(struct rows *rows);

void rows_release(struct rows *rows);

#endif
