/* SPDX-License-Identifier: Apache-2.0
 *
 * The two lists of a GGUF header: pairs of key and value, and tensors. For gguf_open.c alone.
 *
 * They grow as their entries are read, so a claimed count alone reserves nothing.
 */
#ifndef MODEL_GGUF_ENTRIES_H
#define MODEL_GGUF_ENTRIES_H

#include <stdint.h>

#include "base/error.h"
#include "model/gguf_reader.h"

/* Reads `count` pairs into the file's `pairs` and `keys`. BAD_MODEL when a key is there twice, a
 * type is not known or a value is too large. */
enum status gguf_take_pairs(struct reader *reader, uint64_t count, struct error *err);

/* Reads `count` tensor entries, the last of the header, into the file's `tensors` and
 * `tensor_names`, with offsets from the start of the file. BAD_MODEL when a name is there twice, a
 * type is not supported, sizes overflow, or the tensors do not follow each other, at the file's
 * alignment, up to its end. */
enum status gguf_take_tensors(struct reader *reader, uint64_t count, struct error *err);

#endif
