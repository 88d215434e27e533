/* SPDX-License-Identifier: Apache-2.0
 *
 * A file that is written over several runs: OUTPUT.partial holds the bytes, OUTPUT.partial.state
 * whose they are and how far they are whole. Only what has been committed counts; a run that was
 * killed leaves at most bytes behind that, which the next one cuts off. One process at a time.
 */
#ifndef ARTIFACTS_PARTIAL_H
#define ARTIFACTS_PARTIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/text.h"

/* How far it is; {0} at the start. */
struct partial_state {
    uint64_t chunks; /* of the input */
    uint64_t bytes;  /* of the output */
    uint64_t rows, skipped;
};

struct partial {
    char *output; /* NULL: standard output */
    char *path, *state_path;
    int descriptor;
    bool plain; /* written in place: standard output, a pipe, a device */
    bool replace;
    char identity[HASH_HEX];
    struct partial_state state;
    uint64_t written; /* bytes, committed or not */
    double committed; /* when, on the clock of clock_seconds */
};

/* `identity` names everything the bytes follow from. `state` says where to go on. `*foreign` is set
 * when a partial file of something else was there, which is begun anew. USAGE: the output is there
 * and may not be replaced; FAILED: it cannot be written, or another process is at it. After an
 * error nothing has to be closed. */
enum status partial_open(struct partial *partial, const char *output, const char *identity,
                         bool replace, bool *foreign, struct error *err);

/* Writes the bytes of one more chunk. `state` counts what stands after it; its bytes are set here.
 * It is brought to the disk now and then, or at once with `now`. */
enum status partial_add(struct partial *partial, const struct text *bytes,
                        struct partial_state state, bool now, struct error *err);

/* Gives the whole file its name. */
enum status partial_finish(struct partial *partial, struct error *err);

void partial_close(struct partial *partial); /* what is committed stays; safe on {0} and twice */

#endif
