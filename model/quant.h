/* SPDX-License-Identifier: Apache-2.0
 *
 * Tensor element types of GGUF files and how each becomes float.
 *
 * A row of a tensor is stored as blocks; a block holds `block_elements` values in `block_bytes`
 * bytes. Layouts follow the ggml block formats. Bytes are read one by one or through memcpy as
 * little-endian, so `blocks` needs no alignment.
 */
#ifndef MODEL_QUANT_H
#define MODEL_QUANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct quant_type {
    int id;             /* as written in the file */
    const char *name;   /* "Q4_1" */
    int block_elements; /* values in a block: 1, 32 or 256 */
    int block_bytes;
    /* Expands `n_blocks` blocks to n_blocks * block_elements floats. A NaN or infinity in a scale
     * or weight appears as a value that is not finite. */
    void (*expand)(const void *blocks, float *out, size_t n_blocks);
};

/* F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K and Q6_K; NULL for any other id. */
const struct quant_type *quant_type(int id);

/* A word for any id, for messages: "Q4_K", "Q2_K", "a removed type" or "an unknown type". */
const char *quant_name(int id);

/* The supported names, for messages: "F32, F16, ...". */
const char *quant_supported(void);

float quant_half_to_float(uint16_t half);

/* Rounded to nearest, ties to even (IEEE 754); what is too large becomes an infinity. */
uint16_t quant_float_to_half(float value);

/* True when all `count` values are finite; otherwise `*first` (may be NULL) is the first that is
 * not. */
bool quant_finite(const float *values, size_t count, size_t *first);

#endif
