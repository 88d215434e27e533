/* SPDX-License-Identifier: Apache-2.0
 *
 * The choices of a multiple choice row, and which of them its target means.
 *
 * An input and its choices become one text, the form that task_count_options knows:
 *     input
 *     A) first choice
 *     B) second choice
 * and the target becomes the letter. A target may be written as the label that the row itself gives
 * a choice, as a letter, as the text of the choice, or as its number; which of these it is holds
 * for a whole file, since a single row can often be read in two ways.
 */
#ifndef DATASETS_CHOICES_H
#define DATASETS_CHOICES_H

#include <stdbool.h>

#include "base/error.h"
#include "base/text.h"
#include "datasets/dataset.h"
#include "datasets/jsonl.h"
#include "datasets/names.h"

/* The choices of one row; used again for the next one. Start from {0}. */
struct choices {
    struct text bytes;           /* all texts and labels, each terminated */
    size_t texts[CHOICES_MOST];  /* where they start */
    size_t labels[CHOICES_MOST]; /* where the row labels its choices; else not set */
    size_t count;
    bool labelled; /* by the row */
    bool numbers;  /* JSON numbers */
};

void choices_clear(struct choices *choices);
void choices_release(struct choices *choices);

/* Adds one choice; white space around it goes, line ends within become spaces. `label` may be NULL,
 * for all of a row. False when there are too many. */
bool choices_add(struct choices *choices, const char *label, const char *text);

/* Takes the choices of a JSON value: an array of texts, or of numbers; {"label": [...], "text":
 * [...]}; an array of {"label": ..., "text": ...}; or {"A": text, "B": text}. BAD_DATA with half a
 * sentence that stands behind "the choices (key ...) ". */
enum status choices_from_json(struct choices *choices, const json_t *value, struct error *err);

/* The same for the text of a JSON value, as a cell of a table has it. */
enum status choices_from_text(struct choices *choices, const char *json, struct error *err);

/* NULL, or what is wrong with them, as half a sentence as above. */
const char *choices_complaint(const struct choices *choices);

/* Appends them to their input, each on a line of its own. An input that lists as many already is
 * left as it is. False when the whole would not count as having so many. */
bool choices_append(const struct choices *choices, struct text *input);

/* What the target of a row could mean: the place of a choice from 0, or -1. */
struct choice_reading {
    int own, letter, text, number; /* number as written, from 0 or 1 */
    int count;                     /* of choices */
};

/* `integer`: the target is a JSON integer, which is a place, unless the choices are numbers too. */
struct choice_reading choices_read(const struct choices *choices, const char *target, bool integer);

/* The place that a reading means under a key, or -1. */
int choice_place(const struct choice_reading *reading, enum choice_key key);

/* How the targets of all rows say which choice is right: the key under which every one does. Where
 * none is such, the key under which most do. CHOICE_NONE when two keys fit all rows and differ; the
 * first row where they do is `*doubt`. `count` is at least 1. */
enum choice_key choices_key(const struct choice_reading *readings, size_t count, size_t *doubt);

#endif
