/* SPDX-License-Identifier: Apache-2.0
 *
 * A small byte-level vocabulary for tests: three control tokens, two user-defined ones, the 256
 * bytes and a few merges. All of it is static inline, since every test is one file linked with the
 * library.
 */
#ifndef TESTS_VOCABULARY_H
#define TESTS_VOCABULARY_H

#include <stdint.h>
#include <string.h>

#include "base/text.h"
#include "tests/gguf_builder.h"

enum {
    VOCABULARY_TEXT_END = 0, /* <|endoftext|> */
    VOCABULARY_IM_START = 1,
    VOCABULARY_IM_END = 2,
    VOCABULARY_USER = 3,      /* "<tag>" */
    VOCABULARY_USER_LONG = 4, /* "<tag>>" */
    VOCABULARY_BYTES = 5,     /* byte b is token 5 + b */
    VOCABULARY_MERGED = 261,
    VOCABULARY_MOST = 300
};

/* Merge i makes token VOCABULARY_MERGED + i. */
static const char *const vocabulary_merges[] = {"a b", "b c",   "ab c",          "\u0120 ab",
                                                "a a", "aa aa", "\u0120 \u0120", "\u00C3 \u00A9"};

struct vocabulary {
    char names[VOCABULARY_MOST][24];
    const char *tokens[VOCABULARY_MOST];
    int32_t types[VOCABULARY_MOST];
    size_t count;
    size_t n_merges;
    const char *pre;      /* NULL: none */
    const char *template; /* NULL: none */
};

static inline void vocabulary_add(struct vocabulary *v, const char *name, int32_t type)
{
    size_t i = v->count++;
    memcpy(v->names[i], name, strlen(name) + 1);
    v->tokens[i] = v->names[i];
    v->types[i] = type;
}

/* The character of the byte alphabet, spelt out: a space becomes U+0120. */
static inline void vocabulary_add_bytes(struct vocabulary *v)
{
    uint32_t extra = 256;
    for (uint32_t byte = 0; byte < 256; byte++) {
        bool printable = (byte > 32 && byte < 127) || (byte > 160 && byte < 173) || byte > 173;
        char name[5] = {0};
        name[utf8_encode(printable ? byte : extra++, name)] = '\0';
        vocabulary_add(v, name, 1);
    }
}

static inline void vocabulary_init(struct vocabulary *v)
{
    *v = (struct vocabulary){.pre = "gpt-2"};
    vocabulary_add(v, "<|endoftext|>", 3);
    vocabulary_add(v, "<|im_start|>", 3);
    vocabulary_add(v, "<|im_end|>", 3);
    vocabulary_add(v, "<tag>", 4);
    vocabulary_add(v, "<tag>>", 4);
    vocabulary_add_bytes(v);
    v->n_merges = sizeof vocabulary_merges / sizeof *vocabulary_merges;
    for (size_t i = 0; i < v->n_merges; i++) {
        const char *space = strchr(vocabulary_merges[i], ' ');
        char name[24] = {0};
        memcpy(name, vocabulary_merges[i], (size_t)(space - vocabulary_merges[i]));
        strcpy(name + (space - vocabulary_merges[i]), space + 1);
        vocabulary_add(v, name, 1);
    }
}

/* Everything but the merges. */
static inline void vocabulary_put_most(const struct vocabulary *v, struct builder *b)
{
    pair_string(b, "general.architecture", "llama");
    pair_string(b, "tokenizer.ggml.model", "gpt2");
    if (v->pre)
        pair_string(b, "tokenizer.ggml.pre", v->pre);
    if (v->template)
        pair_string(b, "tokenizer.chat_template", v->template);
    pair_strings(b, "tokenizer.ggml.tokens", v->tokens, v->count);
    pair_numbers(b, "tokenizer.ggml.token_type", GGUF_I32, v->types, v->count, sizeof *v->types);
}

static inline void vocabulary_put(const struct vocabulary *v, struct builder *b)
{
    vocabulary_put_most(v, b);
    pair_strings(b, "tokenizer.ggml.merges", vocabulary_merges, v->n_merges);
}

#endif
