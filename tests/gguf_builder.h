/* SPDX-License-Identifier: Apache-2.0
 *
 * Makes the bytes of GGUF files, good and bad, for tests. All of it is static inline, since every
 * test is one file linked with the library.
 */
#ifndef TESTS_GGUF_BUILDER_H
#define TESTS_GGUF_BUILDER_H

#include <stdint.h>
#include <string.h>

#include "base/text.h"

enum {
    GGUF_U8 = 0,
    GGUF_U16 = 2,
    GGUF_U32 = 4,
    GGUF_I32 = 5,
    GGUF_F32 = 6,
    GGUF_BOOL = 7,
    GGUF_STRING = 8,
    GGUF_ARRAY = 9,
    GGUF_U64 = 10,
    GGUF_I64 = 11,
    GGUF_F64 = 12
};

/* The sections of a file; start from {0}. Counts can be changed before builder_finish. */
struct builder {
    struct text pairs, infos, data;
    uint64_t n_pairs, n_tensors;
    size_t alignment; /* 0: 32 */
};

static inline void put_u32(struct text *out, uint32_t value)
{
    text_append(out, (const char *)&value, sizeof value);
}

static inline void put_u64(struct text *out, uint64_t value)
{
    text_append(out, (const char *)&value, sizeof value);
}

static inline void put_string(struct text *out, const char *bytes)
{
    put_u64(out, strlen(bytes));
    text_add(out, bytes);
}

static inline void put_key(struct builder *b, const char *key, uint32_t type)
{
    put_string(&b->pairs, key);
    put_u32(&b->pairs, type);
    b->n_pairs++;
}

static inline void put_array(struct builder *b, const char *key, uint32_t type, uint64_t count)
{
    put_key(b, key, GGUF_ARRAY);
    put_u32(&b->pairs, type);
    put_u64(&b->pairs, count);
}

static inline void pair_string(struct builder *b, const char *key, const char *value)
{
    put_key(b, key, GGUF_STRING);
    put_string(&b->pairs, value);
}

static inline void pair_u32(struct builder *b, const char *key, uint32_t value)
{
    put_key(b, key, GGUF_U32);
    put_u32(&b->pairs, value);
}

static inline void pair_bytes(struct builder *b, const char *key, uint32_t type, const void *value,
                              size_t size)
{
    put_key(b, key, type);
    text_append(&b->pairs, value, size);
}

static inline void pair_strings(struct builder *b, const char *key, const char *const *values,
                                size_t count)
{
    put_array(b, key, GGUF_STRING, count);
    for (size_t i = 0; i < count; i++)
        put_string(&b->pairs, values[i]);
}

static inline void pair_numbers(struct builder *b, const char *key, uint32_t type,
                                const void *values, size_t count, size_t size)
{
    put_array(b, key, type, count);
    text_append(&b->pairs, values, count * size);
}

static inline void put_info(struct builder *b, const char *name, uint32_t n_dims, const int64_t *ne,
                            uint32_t type, uint64_t offset)
{
    put_string(&b->infos, name);
    put_u32(&b->infos, n_dims);
    for (uint32_t i = 0; i < n_dims; i++)
        put_u64(&b->infos, (uint64_t)ne[i]);
    put_u32(&b->infos, type);
    put_u64(&b->infos, offset);
    b->n_tensors++;
}

static inline void put_padding(struct text *out, size_t alignment)
{
    while (out->length % alignment)
        text_append(out, "", 1);
}

/* A tensor that follows the one before, with its bytes. */
static inline void add_tensor(struct builder *b, const char *name, uint32_t n_dims,
                              const int64_t *ne, uint32_t type, const void *bytes, size_t size)
{
    put_padding(&b->data, b->alignment ? b->alignment : 32);
    put_info(b, name, n_dims, ne, type, b->data.length);
    text_append(&b->data, bytes, size);
}

/* Appends the whole file to `out` and empties the builder. */
static inline void builder_finish(struct builder *b, struct text *out)
{
    text_add(out, "GGUF");
    put_u32(out, 3);
    put_u64(out, b->n_tensors);
    put_u64(out, b->n_pairs);
    text_append(out, text_string(&b->pairs), b->pairs.length);
    text_append(out, text_string(&b->infos), b->infos.length);
    put_padding(out, b->alignment ? b->alignment : 32);
    text_append(out, text_string(&b->data), b->data.length);
    text_release(&b->pairs);
    text_release(&b->infos);
    text_release(&b->data);
    *b = (struct builder){0};
}

#endif
