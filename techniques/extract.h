/* SPDX-License-Identifier: Apache-2.0
 *
 * The answer at the end of a text that reasons its way to it, found by rule.
 *
 * What stands after the last "####" counts, if there is one; within that, what stands after the
 * last cue ("answer is" or "answer:", in any case), and without a cue all of it:
 *
 *   numeric answer   the first number behind the cue, else the last number of all
 *   labels           the first label named behind the cue, else the last one named at all. A label
 *                    is named where it stands as words of its own, in any case of ASCII letters,
 *                    with a space or hyphen for an underscore; of two that begin alike the longer
 *                    one. A label of one letter is named by that letter alone, in its own case, and
 *                    "A" or "I" not where a small letter follows after a space ("A bird").
 *   extraction       from the first opening bracket, { or [, to the last closing one
 *   generation       the rest of the line behind the cue, else the last line, without quotation
 *                    marks, asterisks and a full stop around it
 */
#ifndef TECHNIQUES_EXTRACT_H
#define TECHNIQUES_EXTRACT_H

#include <stdbool.h>

#include "base/memory.h"
#include "datasets/dataset.h"

struct extracted {
    int label;        /* index in the label table; -1: none is named, or there are no labels */
    const char *text; /* in the arena: a number in plain digits, JSON, or words; NULL: nothing */
};

struct extracted extract_answer(const struct dataset *data, const char *reasoning,
                                struct arena *arena);

/* True when the text says where its answer stands: it has a cue. */
bool extract_has_cue(const char *text);

#endif
