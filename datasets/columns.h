/* SPDX-License-Identifier: Apache-2.0
 *
 * Which columns of a table, or keys of a JSON object, are the input, the target and the rationale.
 * The names that are known are listed in datasets/names.c.
 */
#ifndef DATASETS_COLUMNS_H
#define DATASETS_COLUMNS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"
#include "datasets/dataset.h"

enum { INPUT_COLUMNS = 16 }; /* the most that can be joined into one input, choices included */

/* Where the choices of a row stand. */
enum choice_layout {
    CHOICES_ABSENT,
    CHOICES_LISTED, /* in the last input column */
    CHOICES_SPREAD  /* in several columns at the end, one each */
};

struct columns {
    enum data_shape shape;             /* SHAPE_COLUMNS or SHAPE_ALPACA */
    const char *inputs[INPUT_COLUMNS]; /* Alpaca: the instruction first */
    size_t input_count;                /* 0 = not found yet */
    size_t text_count;                 /* of them, the first ones; the rest are choices */
    enum choice_layout choices;
    bool named;            /* the inputs are named, and not found by name alone */
    bool as_text;          /* by the options, so that what is no list of choices is text */
    bool one_missing;      /* a row may lack all but one of the texts */
    bool first_missing;    /* a row may lack the first of the texts */
    const char *target;    /* NULL with options.inputs_only */
    const char *rationale; /* NULL = none */
    const char *dropped;   /* a column by the name of choices that holds no list, or NULL */
    const char *coded;     /* the column of numbers that the target spells out, or NULL */
};

/* Chooses the input and the target among the `count` names; `where` begins the messages
 * ("data.csv:1"). Names are copied into `arena`. USAGE: the options name a column that is not
 * there, or one for two roles. BAD_DATA: no column found, or several that could be meant; the
 * sentence lists the columns. */
enum status columns_find(const char *where, const char *const *names, size_t count,
                         const struct dataset_options *options, struct arena *arena,
                         struct columns *columns, struct error *err);

/* Then the rationale; finding none is no error unless the options name it. */
enum status columns_find_rationale(const char *where, const char *const *names, size_t count,
                                   const struct dataset_options *options, struct arena *arena,
                                   struct columns *columns, struct error *err);

/* Whether a column of this name makes a row Alpaca. */
bool columns_is_instruction(const char *name);

/* Appends the input made of one value per text column; NULL and white space are a missing value,
 * which the second one of Alpaca may be, and others where `columns` says so. Returns the name of a
 * value that is missing, else NULL. */
const char *columns_join(const struct columns *columns, const char *const *values,
                         struct text *out);

/* The first row with a value in the last input column has been seen: `list` says whether it is a
 * list. Makes the column the choices, or one of the texts, or leaves it out where it is only found
 * by its name; `dropped` then. */
void columns_settle_choices(struct columns *columns, bool list);

/* The names of the input columns, joined by commas. */
const char *columns_input_names(const struct columns *columns, struct arena *arena);

/* Appends "'a', 'b', 'c'", at most 12 names. */
void columns_list(const char *const *names, size_t count, struct text *out);

#endif
