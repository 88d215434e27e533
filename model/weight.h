/* SPDX-License-Identifier: Apache-2.0
 *
 * Weights that stay as the file has them, and products with weights of either kind.
 *
 * A packed weight is expanded for each product, WEIGHT_TILE rows at a time, into memory of the
 * worker that runs it. Expanded weights are multiplied in the same portions, so that both give the
 * same bytes; a portion is a multiple of the depths at which OpenBLAS cuts a sum, so that on most
 * processors they are also those of a product in one piece.
 */
#ifndef MODEL_WEIGHT_H
#define MODEL_WEIGHT_H

#include "base/memory.h"
#include "model/few_rows.h"
#include "model/quant.h"
#include "model/tape.h"

enum { WEIGHT_TILE = 3840 }; /* rows; 10 * 384, 12 * 320 and 15 * 256 */

/* The values of a weight as blocks of the file's type, row by row without gaps. */
struct packed {
    const struct quant_type *type;
    const unsigned char *blocks;
    size_t row_bytes;
};

/* The rows of x (rows, w->cols) as they meet a weight. */
struct factor {
    const real *data;
    int rows;
};

/* Rows first .. first + count - 1 of a weight: where they are, or expanded into `room`, which has
 * space for them and is not touched when the weight is expanded. */
const real *weight_rows(const struct tensor *w, int first, int count, real *room);

/* Room for the portions of a weight; NULL when it is expanded. */
real *weight_room(const struct tensor *w, struct arena *arena);

/* Copies the same rows to `out`. */
void weight_copy(const struct tensor *w, int first, int count, real *out);

/* out = x w^T + beta * out, x (rows, w->cols) and out (rows, w->rows). Works in `arena` and leaves
 * it as it was. `pair` (model/few_rows.h) is beside all of w, or NULL. */
void weight_multiply(const struct tensor *w, struct factor x, const struct thin_pair *pair,
                     real beta, real *out, struct arena *arena);

/* dx = dy w + beta * dx, dy (rows, w->rows) and dx (rows, w->cols). pair->between is overwritten.
 */
void weight_multiply_back(const struct tensor *w, struct factor dy, const struct thin_pair *pair,
                          real beta, real *dx, struct arena *arena);

#endif
