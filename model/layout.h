/* SPDX-License-Identifier: Apache-2.0
 *
 * How token rows are packed into one batch, and what each row may see.
 *
 * Nothing is padded. A batch is a list of rows, cut into segments. A segment continues its parent
 * segment: its rows see every row of its parent, of the parent's parent and so on, every row of the
 * cache at the root, and their own segment up to themselves. One mechanism so serves packed
 * examples (no parent), an instruction shared by many examples (one parent), the tokens of many
 * labels behind one example (a trie), and decoding (one row a sequence, each behind its own cache).
 */
#ifndef MODEL_LAYOUT_H
#define MODEL_LAYOUT_H

#include <stdint.h>

#include "model/real.h"

/* Keys (after rotation) and values of earlier tokens, for all layers. */
struct cache {
    const struct cache *parent; /* what precedes it, or NULL */
    int position;               /* position of row 0, the sum of the ancestors' lengths */
    int length, capacity;       /* rows */
    int width;                  /* n_head_kv * head_dim */
    real *keys, *values;        /* (n_layer, capacity, width) */
};

struct segment {
    int start, length;         /* rows of the batch */
    int parent;                /* an earlier segment, or -1 */
    const struct cache *cache; /* what a root segment continues, or NULL; NULL with a parent */
    struct cache *capture; /* the pass appends this segment's keys and values to it, or NULL; may
                              be the same as `cache` (decoding) */
    int position;          /* of the first row */
};

struct layout {
    int rows;
    const int32_t *tokens; /* (rows) token ids; -1 - i stands for row i of the virtual tokens */
    const struct segment *segments; /* in order of `start`, covering all rows */
    int n_segments;
    const int *scored; /* (n_scored) rows whose final state is wanted, increasing */
    int n_scored;
};

#endif
