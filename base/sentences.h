/* SPDX-License-Identifier: Apache-2.0
 *
 * A list of sentences for a reader: reasons, warnings.
 */
#ifndef BASE_SENTENCES_H
#define BASE_SENTENCES_H

#include "base/memory.h"

/* Start from {.arena = ...}, which holds the list and what is in it. */
struct sentences {
    struct arena *arena;
    const char **items; /* (count); NULL while there are none */
    size_t count;
    size_t room; /* private */
};

/* Adds one more. */
void say(struct sentences *sentences, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
