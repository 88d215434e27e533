/* SPDX-License-Identifier: Apache-2.0
 *
 * Pre-tokenizers: how text is cut into the pieces that merges stay within.
 *
 * A pre-tokenizer is a few regular expressions, applied in order, each to the pieces the one before
 * left. GGUF files name one (tokenizer.ggml.pre); several names stand for the same expressions.
 *
 * A loaded one never changes: any number of threads may use it at the same time.
 */
#ifndef MODEL_PRETOKENIZER_H
#define MODEL_PRETOKENIZER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "model/gguf.h"

enum { PRETOKENIZER_PATTERNS = 2 }; /* most regular expressions in a row */

struct pretokenizer {
    char name[32];      /* by which it was chosen, such as "smollm" */
    bool ignore_merges; /* a piece that is a token is taken whole, whatever the merges say */
    bool adds_bos;      /* a text starts with BOS unless the file says otherwise */
    void *patterns[PRETOKENIZER_PATTERNS]; /* of the library; NULL behind the last */
};

/* The one called `name`; NULL takes the file's. USAGE when `name` is not known, BAD_MODEL when the
 * file's is missing or not known; the sentence lists those that are (tokenizer_known_pres). Release
 * it in either case. */
enum status pretokenizer_load(struct pretokenizer *pre, const struct gguf *gguf, const char *name,
                              struct error *err);
void pretokenizer_release(struct pretokenizer *pre); /* safe on {0} and twice */

/* Gets the next piece: `length` > 0 bytes within the text that is cut. */
typedef void pretokenizer_take(void *context, const char *piece, size_t length);

/* Hands the pieces of `text`, which is valid UTF-8, to `take` in their order; together they are the
 * text. FAILED when the regular-expression library gives up, after some of the pieces. */
enum status pretokenizer_cut(const struct pretokenizer *pre, const char *text, size_t length,
                             pretokenizer_take *take, void *context, struct error *err);

#endif
