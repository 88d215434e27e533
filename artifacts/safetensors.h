/* SPDX-License-Identifier: Apache-2.0
 *
 * safetensors files: named tensors behind a JSON header (huggingface/safetensors, README "Format"):
 *
 *     u64 N, little-endian | N bytes of JSON | data
 *
 * The header maps each name to dtype, shape and data_offsets, and __metadata__ to strings. Opening
 * checks all that the reference demands: N at most 100,000,000 and within the file, no repeated
 * keys, sizes that follow from the shapes, and data that are covered from the first byte to the
 * last without overlap or hole. What opening accepts is safe to use afterwards.
 */
#ifndef ARTIFACTS_SAFETENSORS_H
#define ARTIFACTS_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/memory.h"
#include "model/gguf_write.h"

enum { SAFETENSORS_DIMS = 8 };

/* ---- Writing -------------------------------------------------------------------------------- */

/* A tensor of float32 values, row-major. */
struct float_tensor {
    const char *name; /* UTF-8 */
    int n_dims;       /* 0 .. SAFETENSORS_DIMS */
    int64_t shape[SAFETENSORS_DIMS];
    const float *values;
};

size_t float_tensor_count(const struct float_tensor *tensor); /* values in it */

/* Writes the tensors in their order to `sink`. `format` is the value of __metadata__'s "format". */
enum status safetensors_write(const struct float_tensor *tensors, size_t count, const char *format,
                              byte_sink *sink, void *context, struct error *err);

/* ---- Reading -------------------------------------------------------------------------------- */

struct safetensor {
    const char *name;
    const char *dtype; /* "F32" */
    int n_dims;
    int64_t shape[SAFETENSORS_DIMS];
    uint64_t begin, end; /* within the data */
};

struct safetensors;

/* FAILED when the file cannot be read, BAD_MODEL when it is not acceptable: the sentence says where
 * and what was expected. `*out` is NULL then. */
enum status safetensors_open(struct safetensors **out, const char *path, struct error *err);
void safetensors_close(struct safetensors *file); /* NULL is fine */

size_t safetensors_count(const struct safetensors *file);
const struct safetensor *safetensors_at(const struct safetensors *file,
                                        size_t index); /* by offset */
const struct safetensor *safetensors_find(const struct safetensors *file, const char *name);

/* Reads the values of `name`, which must be there with exactly this shape, as float32 (dtype F32,
 * F16 or BF16); all must be finite. */
enum status safetensors_values(const struct safetensors *file, const char *name, int n_dims,
                               const int64_t *shape, float *values, struct error *err);

#endif
