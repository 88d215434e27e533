/* SPDX-License-Identifier: Apache-2.0
 *
 * Hyper-parameters: what a technique lets the user set, and one choice of values.
 *
 * A technique declares its own table; every technique that shows the model a prompt also has
 * `instruction`, and every one that trains also has the common trainer's table. Names follow PEFT.
 */
#ifndef TECHNIQUES_SETTING_H
#define TECHNIQUES_SETTING_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"

struct technique;

enum value_kind {
    VALUE_INTEGER,
    VALUE_REAL,
    VALUE_CHOICE, /* one of `choices` */
    VALUE_TEXT    /* anything, checked by the technique */
};

struct hyperparameter {
    const char *name;    /* "r" */
    const char *summary; /* one line with the unit; starts with a small letter */
    enum value_kind kind;
    double low, high;     /* inclusive bounds of a number */
    const char *fallback; /* the default, as a user would write it */
    const char *choices;  /* "positive|negative" for VALUE_CHOICE */
    const char *search;   /* values worth trying besides the default, "2,4,8"; NULL: none */
};

struct value {
    double number;    /* VALUE_INTEGER and VALUE_REAL */
    const char *text; /* as written; never NULL */
};

enum { MOST_HYPERPARAMETERS = 24 };

/* A technique with its hyper-parameters filled in. Texts live in the arena given to setting_set or
 * are static; a setting may be copied. */
struct setting {
    const struct technique *technique;
    struct value values[MOST_HYPERPARAMETERS]; /* in the order of setting_hyperparameter */
};

/* The hyper-parameters of a technique in turn: its own, the prompt's, the trainer's; NULL when
 * `index` is past the last. */
const struct hyperparameter *setting_hyperparameter(const struct technique *technique,
                                                    size_t index);

/* All defaults. */
struct setting setting_default(const struct technique *technique);

/* Sets one value from "name=value". USAGE when the technique has no such hyper-parameter (the
 * sentence lists those it has) or the value is out of range (it gives the range). */
enum status setting_set(struct setting *setting, const char *assignment, struct arena *arena,
                        struct error *err);

/* Sets a number; the caller knows that it is in range. */
void setting_set_number(struct setting *setting, const char *name, double number,
                        struct arena *arena);

/* `name` must be one of the technique's hyper-parameters. */
double setting_number(const struct setting *setting, const char *name);
int setting_integer(const struct setting *setting, const char *name);
const char *setting_text(const struct setting *setting, const char *name);
bool setting_has(const struct setting *setting, const char *name);

/* The first hyper-parameter in which two settings of one technique differ; NULL when there is none.
 * Those of the trainer do not count: they have no part in the answers of what was trained. */
const char *setting_difference(const struct setting *a, const struct setting *b);

/* Appends the setting as canonical JSON: sorted keys, no spaces, numbers as numbers. */
void setting_json(const struct setting *setting, struct text *out);

/* Reads what setting_json wrote (any order, missing keys take the default). */
enum status setting_parse(const struct technique *technique, const char *json,
                          struct setting *setting, struct arena *arena, struct error *err);

#endif
