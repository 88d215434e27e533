/* SPDX-License-Identifier: Apache-2.0 */
#include "model/few_rows.h"

#include <string.h>

#include "model/lanes.h"

#ifdef HAVE_LANES

enum {
    PANEL = MOST_VECTORS * LANES, /* rows */
    /* With more, copying the weight costs the library little enough. */
    MOST_ROWS = LANE_TILE == 8 ? 640 : 144,
    LINE = MEMORY_ALIGNMENT / sizeof(real), /* numbers of a cache line */
    AHEAD = 4,                              /* cache lines that are fetched before they are read */
    SQUARE = 4,                             /* rows and columns that are turned at a time */
    GROUP = 64,   /* rows of the weight whose products are stored together, in whole cache lines */
    LENGTH = 512, /* columns that are added up before the sum so far is added; a multiple of LINE */
    DEPTH = 128   /* rows of the weight that a panel goes through on the way back before the next */
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
    return few_rows_serves(rows) ? (size_t)wide * ((size_t)cols + DEPTH) : 0;
}

/* The numbers of four rows and columns, turned. */
#ifdef ADVISOR_DOUBLE
static inline void turn_square(const real *from, int from_stride, real *to, int to_stride)
{
    for (int r = 0; r < SQUARE; r++)
        for (int c = 0; c < SQUARE; c++)
            to[c * to_stride + r] = from[r * from_stride + c];
}
#else
static inline void turn_square(const real *from, int from_stride, real *to, int to_stride)
{
    __m128 a = _mm_loadu_ps(from), b = _mm_loadu_ps(from + from_stride);
    __m128 c = _mm_loadu_ps(from + 2 * from_stride), d = _mm_loadu_ps(from + 3 * from_stride);
    _MM_TRANSPOSE4_PS(a, b, c, d);
    _mm_storeu_ps(to, a);
    _mm_storeu_ps(to + to_stride, b);
    _mm_storeu_ps(to + 2 * to_stride, c);
    _mm_storeu_ps(to + 3 * to_stride, d);
}
#endif

/* `count` numbers, at most a cache line, of each row of a panel; lanes without a row are zero. */
static void turn_line(const real *x, int rows, int count, int stride, int wide, real *to)
{
    int r = 0;
    for (int i = 0; i < rows; i++)
        __builtin_prefetch(x + (size_t)i * (size_t)stride + AHEAD * LINE);
    for (; r + SQUARE <= rows && count == LINE; r += SQUARE)
        for (int c = 0; c < LINE; c += SQUARE)
            turn_square(x + (size_t)r * (size_t)stride + c, stride, to + c * wide + r, wide);
    for (; r < rows; r++)
        for (int c = 0; c < count; c++)
            to[c * wide + r] = x[(size_t)r * (size_t)stride + (size_t)c];
    for (; r < wide; r++)
        for (int c = 0; c < count; c++)
            to[c * wide + r] = 0;
}

/* One panel of rows that are `stride` apart. */
static void turn(const real *x, int rows, int cols, int stride, real *turned)
{
    int wide = vectors_for(rows) * LANES;
    for (int first = 0; first < cols; first += LINE)
        turn_line(x + first, rows, smaller(cols - first, LINE), stride, wide,
                  turned + (size_t)first * (size_t)wide);
}

/* The way back, for up to SQUARE rows and GROUP columns. */
static void store_group(const struct few_rows *p, const real *sums, int wide, int rows, int count,
                        real *out, int stride)
{
    real turned[SQUARE * GROUP];
    int c = 0;
    for (; c + SQUARE <= count; c += SQUARE)
        turn_square(sums + (size_t)c * (size_t)wide, wide, turned + c, GROUP);
    for (; c < count; c++)
        for (int r = 0; r < SQUARE; r++)
            turned[r * GROUP + c] = sums[(size_t)c * (size_t)wide + (size_t)r];
    for (int r = 0; r < rows; r++) {
        real *row = out + (size_t)r * (size_t)stride;
        for (int i = GROUP; i < 2 * GROUP; i += LINE)
            __builtin_prefetch(row + i, 1); /* where the next group goes, if there is one */
        const real *sum = turned + (size_t)r * GROUP;
        if (p->beta == 0)
            for (int i = 0; i < count; i++)
                row[i] = p->scale * sum[i];
        else
            for (int i = 0; i < count; i++)
                row[i] = p->scale * sum[i] + p->beta * row[i];
    }
}

/* out (rows, count) from sums (count, lanes of the panel). */
static void store(const struct few_rows *p, const real *sums, int rows, int count, real *out,
                  int stride)
{
    int wide = vectors_for(rows) * LANES;
    for (int first = 0; first < count; first += GROUP)
        for (int r = 0; r < rows; r += SQUARE)
            store_group(p, sums + (size_t)first * (size_t)wide + (size_t)r, wide,
                        smaller(rows - r, SQUARE), smaller(count - first, GROUP),
                        out + (size_t)r * (size_t)stride + (size_t)first, stride);
}

/* ---- x w^T ---- */

/* Adds the products of columns first .. first + count - 1 to the sums of a tile. */
static inline __attribute__((always_inline)) void add_columns(const lanes *x, int vectors,
                                                              const real *w, int tile, int cols,
                                                              int first, int count, lanes *sums)
{
    for (int c = first; c < first + count; c++)
        for (int t = 0; t < tile; t++)
            for (int v = 0; v < vectors; v++) {
                lanes *sum = &sums[t * MOST_VECTORS + v];
                *sum = lanes_add_product(*sum, lanes_all(w[(size_t)t * (size_t)cols + (size_t)c]),
                                         x[(size_t)c * (size_t)vectors + (size_t)v]);
            }
}

/* Stores the sums of a tile, or adds them to what is there. */
static inline __attribute__((always_inline)) void put_sums(const lanes *sums, int vectors, int tile,
                                                           bool add, real *out)
{
    for (int t = 0; t < tile; t++)
        for (int v = 0; v < vectors; v++) {
            lanes sum = sums[t * MOST_VECTORS + v];
            if (add)
                sum += lanes_load(out);
            lanes_store(out, sum);
            out += LANES;
        }
}

/* Sums of `tile` rows of the weight with a panel: out (tile, vectors * LANES). `ahead` is where the
 * weight is read next, to be on its way by then. The constants of a call make a kernel of it. */
static inline __attribute__((always_inline)) void multiply_tile(const real *turned, int vectors,
                                                                const real *w, int tile, int cols,
                                                                const real *ahead, real *out)
{
    const lanes *x = (const lanes *)(const void *)turned;
    for (int c = 0, end; c < cols; c = end) {
        lanes sums[LANE_TILE * MOST_VECTORS] = {0};
        int first = c;
        end = smaller(cols, first + LENGTH);
        for (; c + LINE <= end; c += LINE) {
            for (int t = 0; t < tile; t++)
                __builtin_prefetch(ahead + (size_t)t * (size_t)cols + (size_t)c);
            add_columns(x, vectors, w, tile, cols, c, LINE, sums);
        }
        add_columns(x, vectors, w, tile, cols, c, end - c, sums);
        put_sums(sums, vectors, tile, first > 0, out);
    }
}

/* Sums of up to GROUP rows of the weight with a panel. */
static inline __attribute__((always_inline)) void multiply_group(const real *turned, int vectors,
                                                                 const real *w, int count, int cols,
                                                                 int left, real *out)
{
    int at = 0;
    for (; at + LANE_TILE <= count; at += LANE_TILE) {
        const real *rows = w + (size_t)at * (size_t)cols;
        const real *ahead =
            at + 2 * LANE_TILE <= left ? rows + (size_t)LANE_TILE * (size_t)cols : rows;
        multiply_tile(turned, vectors, rows, LANE_TILE, cols, ahead, out + at * vectors * LANES);
    }
    for (; at < count; at++) {
        const real *row = w + (size_t)at * (size_t)cols;
        multiply_tile(turned, vectors, row, 1, cols, row, out + at * vectors * LANES);
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
    store(p, sums, rows, count, out, p->stride);
}

void few_rows_multiply(const struct few_rows *p, struct arena *arena)
{
    struct arena_mark mark = arena_mark(arena);
    real *turned = arena_alloc(arena, few_rows_room(p->rows, p->cols) * sizeof *turned);
    for (int first = 0; first < p->rows; first += PANEL) {
        int rows = smaller(p->rows - first, PANEL);
        turn(p->in + (size_t)first * (size_t)p->cols, rows, p->cols, p->cols, turned);
        for (int at = 0; at < p->count; at += GROUP)
            multiply_panel(turned, rows, p, at,
                           p->out + (size_t)first * (size_t)p->stride + (size_t)at);
    }
    arena_rewind(arena, mark);
}

/* ---- dy w ---- */

/* Adds the products with rows 0 .. count - 1 of the weight to the sums of `tile` columns, which
 * stand at `out`. `ahead` is where the weight is read next. */
static inline __attribute__((always_inline)) void add_tile(const real *turned, int vectors,
                                                           const real *w, int tile, int count,
                                                           int cols, const real *ahead, real *out)
{
    const lanes *x = (const lanes *)(const void *)turned;
    lanes sums[LANE_TILE * MOST_VECTORS] = {0};
    for (int r = 0; r < count; r++) {
        __builtin_prefetch(ahead);
        for (int t = 0; t < tile; t++)
            for (int v = 0; v < vectors; v++) {
                lanes *sum = &sums[t * MOST_VECTORS + v];
                *sum = lanes_add_product(*sum, lanes_all(w[t]), x[r * vectors + v]);
            }
        w += cols;
        ahead += cols;
    }
    put_sums(sums, vectors, tile, true, out);
}

/* Adds the products with `count` rows of the weight to all sums of a panel. */
static inline __attribute__((always_inline)) void
add_rows(const real *turned, int vectors, const real *w, int count, int cols, real *sums)
{
    int c = 0;
    for (; c + LANE_TILE <= cols; c += LANE_TILE)
        add_tile(turned, vectors, w + c, LANE_TILE, count, cols,
                 w + (c + LINE < cols ? c + LINE : c), sums + (size_t)c * (size_t)vectors * LANES);
    for (; c < cols; c++)
        add_tile(turned, vectors, w + c, 1, count, cols, w + c,
                 sums + (size_t)c * (size_t)vectors * LANES);
}

static void multiply_panel_back(const struct few_rows *p, const real *in, int rows, real *room,
                                real *out)
{
    int vectors = vectors_for(rows), wide = vectors * LANES;
    real *sums = room + DEPTH * wide;
    memset(sums, 0, (size_t)p->cols * (size_t)wide * sizeof *sums);
    for (int at = 0; at < p->count; at += DEPTH) {
        int count = smaller(p->count - at, DEPTH);
        const real *w = p->w + (size_t)at * (size_t)p->cols;
        turn(in + at, rows, count, p->stride, room);
        if (vectors == 1)
            add_rows(room, 1, w, count, p->cols, sums);
        else if (vectors == 2)
            add_rows(room, 2, w, count, p->cols, sums);
        else
            add_rows(room, MOST_VECTORS, w, count, p->cols, sums);
    }
    store(p, sums, rows, p->cols, out, p->cols);
}

void few_rows_multiply_back(const struct few_rows *p, struct arena *arena)
{
    struct arena_mark mark = arena_mark(arena);
    real *room = arena_alloc(arena, few_rows_room(p->rows, p->cols) * sizeof *room);
    for (int first = 0; first < p->rows; first += PANEL)
        multiply_panel_back(p, p->in + (size_t)first * (size_t)p->stride,
                            smaller(p->rows - first, PANEL), room,
                            p->out + (size_t)first * (size_t)p->cols);
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

void few_rows_multiply_back(const struct few_rows *product, struct arena *arena)
{
    (void)product;
    (void)arena;
}

#endif
