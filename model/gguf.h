/* SPDX-License-Identifier: Apache-2.0
 *
 * GGUF version 3 files: metadata and tensors of a model or an adapter.
 *
 * Opening reads and checks the whole header: counts, strings, types, sizes, alignment, offsets and
 * the length of the file. What opening accepts is safe to use afterwards. Tensor data stay in the
 * file and are read on demand into the caller's memory (no memory map: a file that shrinks gives an
 * error, not a signal). Every rejection is BAD_MODEL with file, byte offset, what was expected and
 * what was found. No allocation is larger than the file can back.
 *
 * After opening nothing changes, so any number of threads may use the same `struct gguf`.
 */
#ifndef MODEL_GGUF_H
#define MODEL_GGUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/text.h"
#include "model/quant.h"

struct gguf;

enum { GGUF_DIMS = 4 };

struct gguf_tensor {
    const char *name;
    int n_dims;                    /* 1 .. 4 */
    int64_t ne[GGUF_DIMS];         /* ne[0] is contiguous (the inputs); unused ones are 1 */
    int64_t rows;                  /* ne[1] * ne[2] * ne[3] */
    const struct quant_type *type; /* never NULL */
    uint64_t row_bytes;            /* bytes of ne[0] values */
    uint64_t bytes;                /* rows * row_bytes */
    uint64_t offset;               /* of the first byte, from the start of the file */
    uint64_t info_offset;          /* of its entry in the header, for messages */
};

struct gguf_string {
    const char *bytes; /* terminated; embedded NUL bytes are possible in token texts */
    size_t length;
};

struct gguf_strings {
    const struct gguf_string *items;
    size_t count;
};

/* ---- Opening -------------------------------------------------------------------------------- */

/* FAILED when the file cannot be read, BAD_MODEL when it is not acceptable. `*out` is NULL then. */
enum status gguf_open(struct gguf **out, const char *path, struct error *err);

/* The same on bytes in memory, which must outlive the result; `name` stands in for the path. */
enum status gguf_from_bytes(struct gguf **out, const void *bytes, size_t size, const char *name,
                            struct error *err);

void gguf_free(struct gguf *gguf); /* NULL is fine; strings and tensors handed out end with it */

const char *gguf_path(const struct gguf *gguf);
uint64_t gguf_file_bytes(const struct gguf *gguf);

/* What is unusual but acceptable, one sentence each; NULL when `index` is past the last. */
const char *gguf_warning(const struct gguf *gguf, size_t index);

/* general.architecture, such as "llama". Opening made sure that it is there. */
const char *gguf_architecture(const struct gguf *gguf);

/* general.type: "model" when absent, "adapter" for a LoRA adapter. */
const char *gguf_type(const struct gguf *gguf);

/* BAD_MODEL unless gguf_type is `type`: an adapter given as model, or the reverse. */
enum status gguf_expect_type(const struct gguf *gguf, const char *type, struct error *err);

/* ---- Metadata ------------------------------------------------------------------------------- */

bool gguf_has(const struct gguf *gguf, const char *key);

/* Required values: BAD_MODEL when the key is missing, of another type or out of range.
 * The `_or` forms give `fallback` when the key is missing, and check it like the others when it is
 * there. */
enum status gguf_string(const struct gguf *gguf, const char *key, const char **value,
                        struct error *err);
enum status gguf_string_or(const struct gguf *gguf, const char *key, const char *fallback,
                           const char **value, struct error *err);

/* Any integer type. An array whose items are all equal counts as that number (values per layer).
 * `minimum` and `maximum` are inclusive. */
enum status gguf_unsigned(const struct gguf *gguf, const char *key, uint64_t minimum,
                          uint64_t maximum, uint64_t *value, struct error *err);
enum status gguf_unsigned_or(const struct gguf *gguf, const char *key, uint64_t minimum,
                             uint64_t maximum, uint64_t fallback, uint64_t *value,
                             struct error *err);

/* f32 or f64; must be finite. */
enum status gguf_float(const struct gguf *gguf, const char *key, double *value, struct error *err);
enum status gguf_float_or(const struct gguf *gguf, const char *key, double fallback, double *value,
                          struct error *err);
enum status gguf_bool_or(const struct gguf *gguf, const char *key, bool fallback, bool *value,
                         struct error *err);

/* Arrays; the memory belongs to `gguf`. */
enum status gguf_string_array(const struct gguf *gguf, const char *key, struct gguf_strings *value,
                              struct error *err);
enum status gguf_i32_array(const struct gguf *gguf, const char *key, const int32_t **items,
                           size_t *count, struct error *err);
enum status gguf_f32_array(const struct gguf *gguf, const char *key, const float **items,
                           size_t *count, struct error *err);

/* The pairs in the order of the file, for copying them: the key, and the bytes of the whole entry
 * (key, type and value) as the file has them, appended to `out`. */
size_t gguf_pair_count(const struct gguf *gguf);
const char *gguf_pair_key(const struct gguf *gguf, size_t index);
enum status gguf_pair_bytes(const struct gguf *gguf, size_t index, struct text *out,
                            struct error *err);

uint64_t gguf_alignment(const struct gguf *gguf); /* of tensor data, in bytes */

/* ---- Tensors -------------------------------------------------------------------------------- */

size_t gguf_tensor_count(const struct gguf *gguf);
const struct gguf_tensor *gguf_tensor_at(const struct gguf *gguf, size_t index);  /* file order */
const struct gguf_tensor *gguf_tensor(const struct gguf *gguf, const char *name); /* or NULL */

/* The tensor `name`, which must exist with exactly this shape; `ne1` is 1 for a vector. */
enum status gguf_tensor_expect(const struct gguf *gguf, const char *name, int64_t ne0, int64_t ne1,
                               const struct gguf_tensor **tensor, struct error *err);

/* Rows first_row .. first_row + n_rows - 1 as the file has them: n_rows * row_bytes bytes. The
 * values are not checked; gguf_expand with `out` NULL does that. */
enum status gguf_read(const struct gguf *gguf, const struct gguf_tensor *tensor, int64_t first_row,
                      int64_t n_rows, void *out, struct error *err);

/* The same rows as n_rows * ne[0] floats, through a small buffer. BAD_MODEL when a value is NaN or
 * infinite. With `out` NULL it only checks. */
enum status gguf_expand(const struct gguf *gguf, const struct gguf_tensor *tensor,
                        int64_t first_row, int64_t n_rows, float *out, struct error *err);

/* ---- Messages of callers that make checks of their own -------------------------------------- */

/* BAD_MODEL with "path: byte N: " in front of the sentence. Callers pass a tensor's info_offset. */
enum status gguf_reject(const struct gguf *gguf, uint64_t offset, struct error *err,
                        const char *format, ...) __attribute__((format(printf, 4, 5)));

/* The same, with the offset of the value of `key` (or without an offset when it is missing). */
enum status gguf_reject_key(const struct gguf *gguf, const char *key, struct error *err,
                            const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
