/* SPDX-License-Identifier: Apache-2.0
 *
 * Decoding: continuing prompts token by token, many streams at a time in one packed batch.
 *
 * Streams join and leave the batch freely: one step of a batch may hold the whole prompt of a new
 * stream beside one row of each running one, and a stream that ended makes room at once.
 */
#ifndef MODEL_DECODE_H
#define MODEL_DECODE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/random.h"
#include "model/engine.h"

struct stream {
    const int32_t *prompt; /* (prompt_length), at least one token */
    int prompt_length;
    int room; /* tokens its answer may have where that is less than `longest`: what the
                 context leaves; 0: no such limit */
    const struct cache *prefix; /* what this stream continues instead of the decoding's prefix; its
                                   first token comes behind it; or NULL */
    struct random random;       /* for sampling; every stream its own */
    int32_t *ids;               /* out: (longest) the tokens of the answer, without the end token */
    int length;                 /* out */
    bool ended; /* out: the end token came; false: the answer was cut at `longest` */
};

struct decoding {
    struct pass pass;           /* model, attachment, self and parameters; the rest is ignored */
    const struct cache *prefix; /* what every stream continues, or NULL */
    int position;               /* of the first prompt token */
    int32_t end;                /* end token */
    int longest;                /* tokens of an answer, at least 1 */
    double temperature;         /* 0: greedy, the most probable token */
    int together;               /* streams in a batch at a time, at least 1 */
};

/* Runs all streams in one workspace, on the calling thread. OUT_OF_TIME or INTERRUPTED by the
 * deadline, else OK. */
enum status decode(const struct decoding *decoding, struct workspace *workspace,
                   struct stream *streams, int n_streams, const struct deadline *deadline,
                   struct error *err);

#endif
