/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers in JSON, compared slot by slot.
 *
 * A slot is a key with one value. The value of a key is a slot; a list is one slot for each of its
 * items, whatever their order; the slots of an object within an object have its key and a point in
 * front ("address.city"); an object or a list within a list is one value as a whole, so that the
 * parts of a listed entity belong together. Two slots are equal when their keys are the same to the
 * byte and their values, written as text, are the same by answer_normalise: 3 equals 3.0 and "3".
 */
#ifndef EVALUATORS_SLOTS_H
#define EVALUATORS_SLOTS_H

#include <stdbool.h>
#include <stddef.h>

/* Whether `text` is one JSON object or list and nothing else, without a key that comes twice. */
bool slots_valid(const char *text);

struct slot_counts {
    size_t answered; /* slots of the answer; 0 when it is not valid */
    size_t expected; /* slots of the target */
    size_t hits;     /* slots that both have, each as often as it is in both */
    bool valid;      /* the answer is: slots_valid */
};

struct slot_counts slots_compare(const char *answer, const char *target);

/* True when the answer is valid and has the slots of the target and no others. */
bool slots_equal(const char *answer, const char *target);

#endif
