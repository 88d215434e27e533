/* SPDX-License-Identifier: Apache-2.0
 *
 * Packing: several examples as one batch of the engine, without padding.
 */
#ifndef TECHNIQUES_PACK_H
#define TECHNIQUES_PACK_H

#include "model/layout.h"
#include "techniques/labels.h"
#include "techniques/prompt.h"

enum {
    PACK_ROWS = 512
}; /* rows a batch aims at: enough for full speed of the products, little
      enough that two workers' activations fit beside the model */

enum { PACK_WORKERS = 2 }; /* packs come in multiples of that, so that two workers end together */

/* Where packs end: examples [first, last). */
struct span {
    size_t first, last;
};

/* Cuts `count` sequences into consecutive spans of about `rows` rows, counting `extra` rows for
 * each example and `once` for each span. The cut depends on the sequences alone. A
 * multiple of `workers` spans (as far as there are examples). Returns how many; `*spans` lives in
 * `arena`. */
size_t pack_cut(const struct sequence *sequences, size_t count, int extra, int once, int rows,
                size_t workers, struct arena *arena, struct span **spans);

/* Shares `count` sequences out among micro-batches of about `rows` rows, `once` for the prefix of
 * each included, and puts them in that order: those of span s are sequences[first .. last - 1].
 * There are as many spans as that takes, rounded up to a multiple of `workers`, or as many as
 * sequences, and they are about equally long, so that workers end together: the longest sequence
 * first, each goes to the span that is the shortest so far (Graham 1969, "Bounds on multiprocessing
 * timing anomalies": at most 4/3 of the best). The order depends on the sequences alone. Returns
 * how many spans; `*spans` lives in `arena`. */
size_t pack_share(struct sequence *sequences, size_t count, int once, int rows, size_t workers,
                  struct arena *arena, struct span **spans);

/* A batch for training: the prefix once, behind it every example with all but the last token of its
 * answer; scored are the rows that predict the answers' tokens. */
struct training_pack {
    struct layout layout;
    int32_t *targets; /* (layout.n_scored) */
};

/* The same with another start: `prefix` (prefix_count rows of this batch, may be none) behind
 * `cache` (or NULL) behind the keys and values that the technique attaches. */
void pack_answers(const struct adapted *adapted, const int32_t *prefix, int prefix_count,
                  const struct cache *cache, const struct sequence *sequences, size_t count,
                  struct arena *arena, struct training_pack *pack);

void pack_training(const struct adapted *adapted, const struct sequence *sequences, size_t count,
                   struct arena *arena, struct training_pack *pack);

/* A batch for scoring labels behind the cached prefix: for each example the request and the tokens
 * of the label trie; scored are the rows of the forks, n_forks for each example in a row. */
void pack_scoring(const struct adapted *adapted, const struct sequence *sequences, size_t count,
                  struct arena *arena, struct layout *layout);

/* Rows that continue what is cached. */
struct continuation {
    const int32_t *ids; /* (length) */
    int length, position;
    const struct cache *cache; /* what they continue, or NULL */
    struct cache *capture;     /* takes their keys and values, or NULL */
};

/* A batch of continuations: one segment each, its last row scored. */
void pack_continuations(const struct continuation *continuations, size_t count, struct arena *arena,
                        struct layout *layout);

/* The same for requests to several adapted models of one base model, each behind the cached prefix
 * and with the label trie of its own: `to` (count). A cached prefix carries all that sets them
 * apart, so nothing may be attached to the pass. */
void pack_scoring_mixed(const struct adapted *const *to, const struct sequence *sequences,
                        size_t count, struct arena *arena, struct layout *layout);

/* A batch for reading requests behind the cached prefix: one segment each, its last row scored. */
void pack_requests(const struct adapted *adapted, const struct sequence *sequences, size_t count,
                   struct arena *arena, struct layout *layout);

#endif
