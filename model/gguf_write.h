/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing GGUF version 3 files: metadata, the table of tensors, then their data in the same order.
 *
 * Pairs and tensors are declared first, since the header holds them all; gguf_writer_begin writes
 * it, and gguf_writer_data takes the bytes of one tensor after the other, in pieces of any size.
 * Where bytes go is the caller's business.
 */
#ifndef MODEL_GGUF_WRITE_H
#define MODEL_GGUF_WRITE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/text.h"

/* Takes the next bytes of the file. */
typedef enum status byte_sink(void *context, const void *bytes, size_t length, struct error *err);

/* Start from {.sink = ..., .context = ...}; end with gguf_writer_release. */
struct gguf_writer {
    byte_sink *sink;
    void *context;
    uint64_t alignment; /* of tensor data, a power of two; 0: 32 */

    struct text pairs, infos;
    uint64_t n_pairs, n_tensors;
    uint64_t declared; /* bytes of data, padding included */
    uint64_t written;
    struct text sizes; /* uint64_t: where each tensor ends, without its padding */
    uint64_t current;  /* tensor whose data come next */
};

void gguf_writer_string(struct gguf_writer *writer, const char *key, const char *value);
void gguf_writer_u32(struct gguf_writer *writer, const char *key, uint32_t value);
void gguf_writer_f32(struct gguf_writer *writer, const char *key, float value);

/* A pair as another file has it (gguf_pair_bytes). */
void gguf_writer_pair(struct gguf_writer *writer, const void *bytes, size_t length);

/* A tensor of `bytes` bytes; `ne` (n_dims), ne[0] contiguous; `type` is an id of quant.h. Names
 * have at most 63 bytes. */
void gguf_writer_tensor(struct gguf_writer *writer, const char *name, int n_dims, const int64_t *ne,
                        int type, uint64_t bytes);

/* FAILED is what the sink says, or the caller's mistake of giving more or less data than declared.
 */
enum status gguf_writer_begin(struct gguf_writer *writer, struct error *err);
enum status gguf_writer_data(struct gguf_writer *writer, const void *bytes, size_t length,
                             struct error *err);
enum status gguf_writer_end(struct gguf_writer *writer, struct error *err);
void gguf_writer_release(struct gguf_writer *writer); /* safe on {0} and twice */

#endif
