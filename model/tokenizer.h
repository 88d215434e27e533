/* SPDX-License-Identifier: Apache-2.0
 *
 * Byte-level BPE: text to token ids and back, as described by a GGUF file.
 *
 * Text is cut into pieces by the regular expressions of the model's pre-tokenizer
 * (tokenizer.ggml.pre), each piece is mapped to the byte alphabet of GPT-2, and adjacent parts are
 * merged, lowest rank first and leftmost on ties. A word of n bytes costs O(n log n).
 *
 * A loaded tokenizer never changes: any number of threads may use it at the same time.
 */
#ifndef MODEL_TOKENIZER_H
#define MODEL_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/text.h"
#include "model/gguf.h"

struct tokenizer;

/* A growing list of token ids; start from {0}. */
struct tokens {
    int32_t *ids;
    size_t count;
    size_t capacity;
};

void tokens_add(struct tokens *tokens, int32_t id);
void tokens_append(struct tokens *tokens, const int32_t *ids, size_t count);
void tokens_clear(struct tokens *tokens); /* empty, memory kept */
void tokens_release(struct tokens *tokens);

/* The values of tokenizer.ggml.token_type. */
enum token_type {
    TOKEN_NORMAL = 1,
    TOKEN_UNKNOWN = 2,
    TOKEN_CONTROL = 3,
    TOKEN_USER_DEFINED = 4,
    TOKEN_UNUSED = 5,
    TOKEN_BYTE = 6
};

/* `pre` overrides tokenizer.ggml.pre; NULL takes the file's, which must then be there and known.
 * What is needed is copied, so `gguf` may be freed afterwards. */
enum status tokenizer_load(struct tokenizer **out, const struct gguf *gguf, const char *pre,
                           struct error *err);
void tokenizer_free(struct tokenizer *tokenizer); /* NULL is fine */

/* The known names of pre-tokenizers, for messages and help: "gpt-2, smollm, ...". */
const char *tokenizer_known_pres(void);

/* Appends the ids of `text` (`length` bytes) to `ids`. It is plain text: "<|im_end|>" in it is
 * letters and punctuation, never the control token; user-defined tokens are recognised. Neither BOS
 * nor EOS is added. Invalid UTF-8 is read as U+FFFD, one per maximal invalid subpart, and the
 * number of those is added to `*replaced` (may be NULL).
 * A byte for which the vocabulary has no token is dropped (SmolLM2 lacks a few control characters).
 * Fails when the text is longer than 1 GiB or the regular-expression library gives up; `ids` is
 * then as before the call. */
enum status tokenizer_encode(const struct tokenizer *tokenizer, const char *text, size_t length,
                             struct tokens *ids, size_t *replaced, struct error *err);

/* Appends the bytes the ids stand for to `text`. A part of a character is possible at both ends.
 * Control tokens appear with their names when `with_control`, else not at all. An id outside the
 * vocabulary is FAILED. */
enum status tokenizer_decode(const struct tokenizer *tokenizer, const int32_t *ids, size_t count,
                             bool with_control, struct text *text, struct error *err);

size_t tokenizer_size(const struct tokenizer *tokenizer); /* ids are 0 .. size - 1 */

/* The id of a token of this exact stored text, or -1: control tokens by their name, ordinary ones
 * in the byte alphabet (a space is "\u0120"). */
int32_t tokenizer_token(const struct tokenizer *tokenizer, const char *name);

/* The stored text of a token, terminated, and its type. `id` must be in the vocabulary. */
const char *tokenizer_name(const struct tokenizer *tokenizer, int32_t id);
enum token_type tokenizer_type(const struct tokenizer *tokenizer, int32_t id);

/* Special ids, or -1 when the file names none. `eot` ends a turn of a chat, `eos` the text. */
int32_t tokenizer_bos(const struct tokenizer *tokenizer);
int32_t tokenizer_eos(const struct tokenizer *tokenizer);
int32_t tokenizer_eot(const struct tokenizer *tokenizer);
bool tokenizer_adds_bos(const struct tokenizer *tokenizer); /* does a text start with BOS? */

/* The name of the pre-tokenizer in use, such as "smollm". */
const char *tokenizer_pre(const struct tokenizer *tokenizer);

#endif
