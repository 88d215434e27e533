/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of classes of a dataset, and the notes on it.
 */
#ifndef DATASETS_LABELS_H
#define DATASETS_LABELS_H

#include "base/error.h"
#include "datasets/dataset.h"

/* Fills the label table and the labels of the examples, for a dataset whose task is settled. With
 * `like` (may be NULL) the table is that dataset's. BAD_DATA: a label that `like` does not have; a
 * classification with one class; a label of invisible characters; two labels that look the same. */
enum status labels_build(struct dataset *dataset, const struct dataset *like, struct error *err);

/* Notes on classes: seldom ones, names that differ in case only. */
void labels_note(struct dataset *dataset);

/* Notes that classes are numbers, which could be given names. */
void labels_note_numbers(struct dataset *dataset);

/* Adds a note. */
void dataset_note(struct dataset *dataset, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
