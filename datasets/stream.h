/* SPDX-License-Identifier: Apache-2.0
 *
 * A file of inputs read in chunks, so that memory does not grow with its rows.
 *
 * CSV, TSV and JSONL as in datasets/dataset.h, with the same checks and messages; a JSON array has
 * no rows to stop between and is refused. Where chunks end depends on the bytes of the file alone:
 * after `rows` rows, bad ones included, or about 1 MiB.
 */
#ifndef DATASETS_STREAM_H
#define DATASETS_STREAM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "datasets/dataset.h"

struct row_stream;

/* `options` (with inputs_only, most likely) are those of each chunk; what they point to must
 * outlive the stream. Errors as of dataset_load. `*stream` is NULL after one. */
enum status row_stream_open(struct row_stream **stream, const char *path,
                            const struct dataset_options *options, size_t rows, struct error *err);
void row_stream_close(struct row_stream *stream); /* NULL is fine */

/* The next chunk; it may hold no example when all its rows were bad and are left out. `*more` is
 * false, and `chunk` empty, behind the last one. */
enum status row_stream_next(struct row_stream *stream, struct dataset *chunk, bool *more,
                            struct error *err);

/* Passes over a chunk without looking into it; `*more` as above. */
enum status row_stream_skip(struct row_stream *stream, bool *more, struct error *err);

/* How many rows the file has, bad ones included. */
enum status row_stream_count(const char *path, const struct dataset_options *options, size_t *rows,
                             struct error *err);

#endif
