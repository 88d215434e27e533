/* SPDX-License-Identifier: Apache-2.0
 *
 * Products of few rows with a weight, which is read once and where it is.
 *
 * A library's product copies the weight into the order in which its kernel reads it. With hundreds
 * of rows that costs little; with the rows of a step of decoding it took a fifth of the time, and
 * the kernel another fifth for rows that there were not. Here the rows are turned instead, so that
 * the numbers of a vector belong to one column of different rows, and each number of the weight is
 * multiplied with such a vector. Every element of a result is one sum in the order of the columns,
 * so a row gives the same bytes whatever rows are beside it.
 *
 * Only for processors with vectors of fused multiply-add: without, nothing is served.
 */
#ifndef MODEL_FEW_ROWS_H
#define MODEL_FEW_ROWS_H

#include <stdbool.h>

#include "base/memory.h"
#include "model/real.h"

/* Two thin matrices beside a weight: w + scale * b a takes its place, and is never computed. What
 * stands between the two comes out as well. */
struct thin_pair {
    const real *a; /* (rank, cols) */
    const real *b; /* (count, rank) */
    int rank;      /* 0: there are none */
    real scale;
    real *between; /* (rows, rank): scale * in a^T; on the way back scale * in b is added to it */
};

/* out = (product of `in` and w) + beta * out. With beta = 0, `out` may be uninitialised. */
struct few_rows {
    const real *in; /* (rows, cols); on the way back (rows, count) */
    const real *w;  /* (count, cols) */
    int rows, count, cols;
    struct thin_pair pair;
    real beta;
    real *out;  /* (rows, count); on the way back (rows, cols) */
    int stride; /* from row to row of the side with `count` columns; the other has no gaps */
};

/* Whether a product of so many rows is faster here than in the library. */
bool few_rows_serves(int rows);

/* Numbers of working memory that a product of `rows` with a weight of `cols` columns takes; the
 * rank of what is beside it counts as so many columns more. */
size_t few_rows_room(int rows, int cols);

/* The product in w^T, and on the way back in w. They work in `arena` and leave it as it was. Only
 * what is served. */
void few_rows_multiply(const struct few_rows *product, struct arena *arena);
void few_rows_multiply_back(const struct few_rows *product, struct arena *arena);

#endif
