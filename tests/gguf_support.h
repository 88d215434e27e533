/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of the GGUF reader share: a small good file, and reading it. To be included after
 * cmocka.h.
 */
#ifndef TESTS_GGUF_SUPPORT_H
#define TESTS_GGUF_SUPPORT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "model/gguf.h"
#include "tests/gguf_builder.h"

#define COUNT(list) (sizeof(list) / sizeof *(list))

static const float a_values[8] = {1, 2, 3, 4, 5, 6, 7, 8};
static const int64_t a_shape[] = {4, 2};
static const int64_t b_shape[] = {32, 3};

/* A Q4_1 block with scale 1 and minimum `minimum` (a half), whose quants are all `quant`. */
static inline void q4_1_block(unsigned char out[20], uint16_t minimum, int quant)
{
    const uint16_t one = 0x3C00;
    memcpy(out, &one, 2);
    memcpy(out + 2, &minimum, 2);
    memset(out + 4, quant | quant << 4, 16);
}

/* Two pairs and two tensors: "a" F32 [4, 2] and "b" Q4_1 [32, 3], whose row r is all 10 * r. */
static inline void good_file(struct builder *b)
{
    unsigned char blocks[60];
    q4_1_block(blocks, 0, 0);
    q4_1_block(blocks + 20, 0, 10);
    q4_1_block(blocks + 40, 0x4900 /* 10 */, 10);
    pair_string(b, "general.architecture", "llama");
    pair_u32(b, "general.quantization_version", 2);
    add_tensor(b, "a", 2, a_shape, 0, a_values, sizeof a_values);
    add_tensor(b, "b", 2, b_shape, 3, blocks, sizeof blocks);
}

static inline struct gguf *open_bytes(const struct text *file)
{
    struct gguf *gguf;
    struct error err = {0};
    if (gguf_from_bytes(&gguf, file->bytes, file->length, "t.gguf", &err))
        fail_msg("%s", err.text);
    return gguf;
}

/* Every row of every tensor, which may be refused. */
static inline void read_all(const struct gguf *gguf)
{
    for (size_t i = 0; i < gguf_tensor_count(gguf); i++) {
        const struct gguf_tensor *tensor = gguf_tensor_at(gguf, i);
        struct error err = {0};
        enum status status = gguf_expand(gguf, tensor, 0, tensor->rows, NULL, &err);
        assert_true(status == OK || status == BAD_MODEL);
    }
}

#endif
