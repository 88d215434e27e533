/* SPDX-License-Identifier: Apache-2.0 */
#include "model/few_rows.h"

#include <string.h>

#if defined __AVX512F__ || (defined __AVX2__ && defined __FMA__)

#include <immintrin.h>

/* The registers hold TILE rows of the weight times a panel of at most MOST_VECTORS vectors, one of
 * the panel's columns, and a number of the weight. */
#if defined __AVX512F__ && defined ADVISOR_DOUBLE
typedef __m512d lanes;
enum { TILE = 8 };

static inline lanes add_product(lanes sum, real factor, lanes x)
{
    return _mm512_fmadd_pd(_mm512_set1_pd(factor), x, sum);
}
#elif defined __AVX512F__
typedef __m512 lanes;
enum { TILE = 8 };

static inline lanes add_product(lanes sum, real factor, lanes x)
{
    return _mm512_fmadd_ps(_mm512_set1_ps(factor), x, sum);
}
#elif defined ADVISOR_DOUBLE
typedef __m256d lanes;
enum { TILE = 4 };

static inline lanes add_product(lanes sum, real factor, lanes x)
{
    return _mm256_fmadd_pd(_mm256_set1_pd(factor), x, sum);
}
#else
typedef __m256 lanes;
enum { TILE = 4 };

static inline lanes add_product(lanes sum, real factor, lanes x)
{
    return _mm256_fmadd_ps(_mm256_set1_ps(factor), x, sum);
}
#endif

enum {
    LANES = sizeof(lanes) / sizeof(real),
    MOST_VECTORS = 3,
    PANEL = MOST_VECTORS * LANES,           /* rows */
    MOST_ROWS = 192,                        /* with more, copying the weight costs little enough */
    LINE = MEMORY_ALIGNMENT / sizeof(real), /* numbers of a cache line */
    GROUP = 64 /* rows of the weight whose products are stored together, in whole cache lines */
};

bool few_rows_serves(int rows)
{
    return rows <= MOST_ROWS;
}

static int smaller(int a, int b)
{
    return a < b ? a : b;
}

/* Vectors that the rows of a panel take. */
static int vectors_for(int rows)
{
    return (rows + LANES - 1) / LANES;
}

size_t few_rows_room(int rows, int cols)
{
    int wide = vectors_for(smaller(rows, PANEL)) * LANES;
    return few_rows_serves(rows) ? (size_t)wide * (size_t)cols : 0;
}

/* One panel, a cache line of each row at a time; lanes without a row are zero. */
static void turn(const real *x, int rows, int cols, real *turned)
{
    int wide = vectors_for(rows) * LANES;
    for (int first = 0; first < cols; first += LINE) {
        real *to = turned + (size_t)first * (size_t)wide;
        int count = smaller(cols - first, LINE);
        for (int r = 0; r < rows; r++)
            for (int c = 0; c < count; c++)
                to[c * wide + r] = x[(size_t)r * (size_t)cols + (size_t)(first + c)];
        for (int r = rows; r < wide; r++)
            for (int c = 0; c < count; c++)
                to[c * wide + r] = 0;
    }
}

/* Adds the products of columns first .. first + count - 1 to the sums of a tile. */
static inline __attribute__((always_inline)) void add_columns(const lanes *x, int vectors,
                                                              const real *w, int tile, int cols,
                                                              int first, int count, lanes *sums)
{
    for (int c = first; c < first + count; c++)
        for (int t = 0; t < tile; t++)
            for (int v = 0; v < vectors; v++) {
                lanes *sum = &sums[t * MOST_VECTORS + v];
                *sum = add_product(*sum, w[(size_t)t * (size_t)cols + (size_t)c],
                                   x[(size_t)c * (size_t)vectors + (size_t)v]);
            }
}

/* Sums of `tile` rows of the weight with a panel: out (tile, vectors * LANES). `ahead` is where the
 * weight is read next, to be on its way by then. The constants of a call make a kernel of it. */
static inline __attribute__((always_inline)) void multiply_tile(const real *turned, int vectors,
                                                                const real *w, int tile, int cols,
                                                                const real *ahead, real *out)
{
    const lanes *x = (const lanes *)(const void *)turned;
    lanes sums[TILE * MOST_VECTORS] = {0};
    int c = 0;
    for (; c + LINE <= cols; c += LINE) {
        for (int t = 0; t < tile; t++)
            __builtin_prefetch(ahead + (size_t)t * (size_t)cols + (size_t)c);
        add_columns(x, vectors, w, tile, cols, c, LINE, sums);
    }
    add_columns(x, vectors, w, tile, cols, c, cols - c, sums);
    for (int t = 0; t < tile; t++)
        for (int v = 0; v < vectors; v++)
            memcpy(out + (size_t)(t * vectors + v) * LANES, &sums[t * MOST_VECTORS + v],
                   sizeof(lanes));
}

/* Sums of up to GROUP rows of the weight with a panel. */
static inline __attribute__((always_inline)) void multiply_group(const real *turned, int vectors,
                                                                 const real *w, int count, int cols,
                                                                 int left, real *out)
{
    int at = 0;
    for (; at + TILE <= count; at += TILE) {
        const real *rows = w + (size_t)at * (size_t)cols;
        const real *ahead = at + 2 * TILE <= left ? rows + (size_t)TILE * (size_t)cols : rows;
        multiply_tile(turned, vectors, rows, TILE, cols, ahead, out + at * vectors * LANES);
    }
    for (; at < count; at++) {
        const real *row = w + (size_t)at * (size_t)cols;
        multiply_tile(turned, vectors, row, 1, cols, row, out + at * vectors * LANES);
    }
}

/* Turns the sums back: out (rows, count). */
static void store(const real *sums, int wide, int rows, int count, real scale, real beta, real *out,
                  int stride)
{
    for (int r = 0; r < rows; r++) {
        real *row = out + (size_t)r * (size_t)stride;
        if (beta == 0)
            for (int i = 0; i < count; i++)
                row[i] = scale * sums[i * wide + r];
        else
            for (int i = 0; i < count; i++)
                row[i] = scale * sums[i * wide + r] + beta * row[i];
    }
}

static void multiply_panel(const real *turned, int rows, const struct few_rows *p, int at,
                           real *out)
{
    _Alignas(MEMORY_ALIGNMENT) real sums[GROUP * PANEL];
    int vectors = vectors_for(rows), left = p->count - at, count = smaller(left, GROUP);
    const real *w = p->w + (size_t)at * (size_t)p->cols;
    if (vectors == 1)
        multiply_group(turned, 1, w, count, p->cols, left, sums);
    else if (vectors == 2)
        multiply_group(turned, 2, w, count, p->cols, left, sums);
    else
        multiply_group(turned, MOST_VECTORS, w, count, p->cols, left, sums);
    store(sums, vectors * LANES, rows, count, p->scale, p->beta, out, p->stride);
}

void few_rows_multiply(const struct few_rows *p, struct arena *arena)
{
    struct arena_mark mark = arena_mark(arena);
    real *turned = arena_alloc(arena, few_rows_room(p->rows, p->cols) * sizeof *turned);
    for (int first = 0; first < p->rows; first += PANEL) {
        int rows = smaller(p->rows - first, PANEL);
        turn(p->x + (size_t)first * (size_t)p->cols, rows, p->cols, turned);
        for (int at = 0; at < p->count; at += GROUP)
            multiply_panel(turned, rows, p, at,
                           p->out + (size_t)first * (size_t)p->stride + (size_t)at);
    }
    arena_rewind(arena, mark);
}

#else

bool few_rows_serves(int rows)
{
    (void)rows;
    return false;
}

size_t few_rows_room(int rows, int cols)
{
    (void)rows;
    (void)cols;
    return 0;
}

void few_rows_multiply(const struct few_rows *product, struct arena *arena)
{
    (void)product;
    (void)arena;
}

#endif
