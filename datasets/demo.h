/* SPDX-License-Identifier: Apache-2.0
 *
 * The data built into the program: datasets/demo/ has the files and what they hold.
 */
#ifndef DATASETS_DEMO_H
#define DATASETS_DEMO_H

#include <stdbool.h>
#include <stddef.h>

struct demo {
    const char *name; /* "tickets": a path of "demo:tickets" */
    const char *file; /* "tickets.csv": decides the format */
    const char *bytes;
    size_t size;
};

/* The demo data that `path` names; false when `path` does not start with "demo:" or nothing has
 * that name. */
bool demo_find(const char *path, struct demo *demo);

/* The demos in order; false past the last one. */
bool demo_at(size_t index, struct demo *demo);

#endif
