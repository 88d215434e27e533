/* SPDX-License-Identifier: Apache-2.0 */
#include "model/weight.h"

#include <string.h>

#include "model/blas.h"

static int smaller(int a, int b)
{
    return a < b ? a : b;
}

#ifdef ADVISOR_DOUBLE
/* The floats of a row wait in the second half of its room and become doubles from the front, none
 * of which reaches a float that still waits. */
static void expand_row(const struct packed *packed, const unsigned char *blocks, int cols,
                       real *out)
{
    char *floats = (char *)out + (size_t)cols * sizeof(float);
    packed->type->expand(blocks, (float *)(void *)floats,
                         (size_t)cols / (size_t)packed->type->block_elements);
    for (size_t c = 0; c < (size_t)cols; c++) {
        float value;
        memcpy(&value, floats + c * sizeof value, sizeof value);
        double wide = (double)value;
        memcpy(out + c, &wide, sizeof wide);
    }
}

static void expand(const struct packed *packed, const unsigned char *blocks, int cols, int count,
                   real *out)
{
    for (int r = 0; r < count; r++)
        expand_row(packed, blocks + (size_t)r * packed->row_bytes, cols,
                   out + (size_t)r * (size_t)cols);
}
#else
static void expand(const struct packed *packed, const unsigned char *blocks, int cols, int count,
                   real *out)
{
    packed->type->expand(blocks, out,
                         (size_t)count * ((size_t)cols / (size_t)packed->type->block_elements));
}
#endif

const real *weight_rows(const struct tensor *w, int first, int count, real *room)
{
    if (!w->packed)
        return w->data + (size_t)first * (size_t)w->cols;
    expand(w->packed, w->packed->blocks + (size_t)first * w->packed->row_bytes, w->cols, count,
           room);
    return room;
}

real *weight_room(const struct tensor *w, struct arena *arena)
{
    size_t rows = (size_t)smaller(w->rows, WEIGHT_TILE);
    return w->packed ? arena_alloc(arena, rows * (size_t)w->cols * sizeof(real)) : NULL;
}

void weight_copy(const struct tensor *w, int first, int count, real *out)
{
    const real *rows = weight_rows(w, first, count, out);
    if (rows != out)
        memcpy(out, rows, (size_t)count * (size_t)w->cols * sizeof *out);
}

/* With matrices as thin as LoRA's the library copies little. */
static bool is_for_few_rows(const struct tensor *w, int rows)
{
    enum { LEAST_SIDE = 32 };
    return few_rows_serves(rows) && w->rows >= LEAST_SIDE && w->cols >= LEAST_SIDE;
}

/* What is beside the rows of a weight from `first` on. */
static struct thin_pair pair_from(const struct thin_pair *pair, int first)
{
    struct thin_pair rest = pair ? *pair : (struct thin_pair){0};
    if (pair)
        rest.b += (size_t)first * (size_t)pair->rank;
    return rest;
}

/* The product in both thin matrices, one after the other. */
static void add_pair(const struct tensor *w, struct factor x, const struct thin_pair *pair,
                     real *out)
{
    int r = pair->rank;
    blas_gemm(AS_IS, TRANSPOSED, x.rows, r, w->cols, pair->scale, x.data, w->cols, pair->a, w->cols,
              0, pair->between, r);
    blas_gemm(AS_IS, TRANSPOSED, x.rows, w->rows, r, 1, pair->between, r, pair->b, r, 1, out,
              w->rows);
}

static void add_pair_back(const struct tensor *w, struct factor dy, const struct thin_pair *pair,
                          real *dx)
{
    int r = pair->rank;
    blas_gemm(AS_IS, AS_IS, dy.rows, r, w->rows, pair->scale, dy.data, w->rows, pair->b, r, 0,
              pair->between, r);
    blas_gemm(AS_IS, AS_IS, dy.rows, w->cols, r, 1, pair->between, r, pair->a, w->cols, 1, dx,
              w->cols);
}

void weight_multiply(const struct tensor *w, struct factor x, const struct thin_pair *pair,
                     real beta, real *out, struct arena *arena)
{
    struct arena_mark mark = arena_mark(arena);
    real *room = weight_room(w, arena);
    bool few = is_for_few_rows(w, x.rows);
    for (int first = 0; first < w->rows; first += WEIGHT_TILE) {
        int count = smaller(w->rows - first, WEIGHT_TILE);
        const real *rows = weight_rows(w, first, count, room);
        struct few_rows product = {.in = x.data,
                                   .w = rows,
                                   .rows = x.rows,
                                   .count = count,
                                   .cols = w->cols,
                                   .pair = pair_from(pair, first),
                                   .beta = beta,
                                   .out = out + first,
                                   .stride = w->rows};
        if (few)
            few_rows_multiply(&product, arena);
        else
            blas_gemm(AS_IS, TRANSPOSED, x.rows, count, w->cols, 1, x.data, w->cols, rows, w->cols,
                      beta, out + first, w->rows);
    }
    if (pair && !few)
        add_pair(w, x, pair, out);
    arena_rewind(arena, mark);
}

void weight_multiply_back(const struct tensor *w, struct factor dy, const struct thin_pair *pair,
                          real beta, real *dx, struct arena *arena)
{
    struct arena_mark mark = arena_mark(arena);
    real *room = weight_room(w, arena);
    bool few = is_for_few_rows(w, dy.rows);
    if (pair) /* each portion of the weight adds to it */
        memset(pair->between, 0, (size_t)dy.rows * (size_t)pair->rank * sizeof(real));
    for (int first = 0; first < w->rows; first += WEIGHT_TILE) {
        int count = smaller(w->rows - first, WEIGHT_TILE);
        const real *rows = weight_rows(w, first, count, room);
        struct few_rows product = {.in = dy.data + first,
                                   .w = rows,
                                   .rows = dy.rows,
                                   .count = count,
                                   .cols = w->cols,
                                   .pair = pair_from(pair, first),
                                   .beta = first ? 1 : beta,
                                   .out = dx,
                                   .stride = w->rows};
        if (few)
            few_rows_multiply_back(&product, arena);
        else
            blas_gemm(AS_IS, AS_IS, dy.rows, w->cols, count, 1, product.in, w->rows, rows, w->cols,
                      product.beta, dx, w->cols);
    }
    if (pair && !few)
        add_pair_back(w, dy, pair, dx);
    arena_rewind(arena, mark);
}
