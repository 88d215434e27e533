/* SPDX-License-Identifier: Apache-2.0
 *
 * The vocabulary of a byte-level BPE model: its tokens by id, by name and by the bytes they stand
 * for.
 *
 * The name of an ordinary token is written in the byte alphabet of GPT-2, one printable character
 * for each byte (a space is U+0120), and it stands for those bytes. Any other token stands for its
 * name.
 */
#ifndef MODEL_VOCAB_H
#define MODEL_VOCAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/memory.h"
#include "model/gguf.h"

struct token {
    const char *name;  /* as stored in the file, terminated */
    const char *bytes; /* what it stands for: the name out of the byte alphabet */
    uint32_t name_length;
    uint32_t length; /* of bytes */
    uint8_t type;    /* enum token_type */
    bool encodes;    /* an ordinary token, which a piece of text can become */
    bool whole;      /* a piece with these bytes always becomes this one token; the tokenizer's */
};

/* Finds tokens by name or by bytes. */
struct vocab_index {
    struct vocab_entry {
        uint32_t hash;
        int32_t id; /* -1: free */
    } * entries;
    size_t mask; /* capacity - 1 */
};

struct vocab {
    struct token *tokens; /* by id */
    size_t count;
    size_t longest;       /* bytes of the longest ordinary token */
    int32_t byte_id[256]; /* the token of a single byte, or -1 */
    struct vocab_index by_name, by_bytes;
    struct arena arena; /* texts of the tokens */
};

/* Reads tokens and types, and checks that scores, if there are any, are as many; what is needed is
 * copied. BAD_MODEL when they do not fit together, or a token is empty or there twice. Release it
 * in either case. */
enum status vocab_load(struct vocab *vocab, const struct gguf *gguf, struct error *err);
void vocab_release(struct vocab *vocab); /* safe on {0} and twice */

/* The id of the token with this name, whatever its type, or of the ordinary token that stands for
 * these bytes; -1: there is none. */
int32_t vocab_by_name(const struct vocab *vocab, const char *name, size_t length);
int32_t vocab_by_bytes(const struct vocab *vocab, const char *bytes, size_t length);

#endif
