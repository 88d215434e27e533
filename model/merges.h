/* SPDX-License-Identifier: Apache-2.0
 *
 * The merges of byte-pair encoding, and merging a piece of text with them.
 *
 * A piece starts as the tokens of its bytes. The two neighbours whose merge has the lowest rank
 * become one token, the leftmost on ties, until no two neighbours have a merge. A piece of n bytes
 * costs O(n log n).
 */
#ifndef MODEL_MERGES_H
#define MODEL_MERGES_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "model/gguf.h"
#include "model/vocab.h"

struct tokens;

/* From pairs of tokens to what they become. Never changes once it is loaded. */
struct merges {
    struct merge {
        uint64_t pair; /* left id << 32 | right id; UINT64_MAX: free */
        uint32_t rank;
        int32_t result;
    } * slots;
    size_t mask; /* capacity - 1 */
};

/* Reads tokenizer.ggml.merges; what is needed is copied. BAD_MODEL when a merge is not "a b" with
 * a, b and ab in the vocabulary. One that would make a control token is left out. Release it in
 * either case. */
enum status merges_load(struct merges *merges, const struct gguf *gguf, const struct vocab *vocab,
                        struct error *err);
void merges_release(struct merges *merges); /* safe on {0} and twice */

/* Merges one piece after the other, for one thread: start from the first two fields, which must
 * outlive it, and end with merger_release. The others are memory that the next piece uses again. */
struct merger {
    const struct merges *merges;
    const struct vocab *vocab;
    struct part *parts;
    size_t parts_capacity;
    uint64_t *heap; /* rank << 32 | position of the left part; the smallest is the next merge */
    size_t heap_count, heap_capacity;
};

/* Appends the tokens of a piece to `ids`. A byte for which the vocabulary has no token is left
 * out. */
void merge_piece(struct merger *merger, const char *bytes, uint32_t length, struct tokens *ids);
void merger_release(struct merger *merger);

#endif
