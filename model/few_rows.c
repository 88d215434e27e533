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
static void store_group(const real *sums, int wide, int rows, int count, real beta, real *out,
                        int stride)
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
        if (beta == 0)
            memcpy(row, sum, (size_t)count * sizeof *row);
        else
            for (int i = 0; i < count; i++)
                row[i] = sum[i] + beta * row[i];
    }
}

/* out (rows, count) from sums (count, lanes of the panel), plus beta * out. */
static void store(const real *sums, int rows, int count, real beta, real *out, int stride)
{
    int wide = vectors_for(rows) * LANES;
    for (int first = 0; first < count; first += GROUP)
        for (int r = 0; r < rows; r += SQUARE)
            store_group(sums + (size_t)first * (size_t)wide + (size_t)r, wide,
                        smaller(rows - r, SQUARE), smaller(count - first, GROUP), beta,
                        out + (size_t)r * (size_t)stride + (size_t)first, stride);
}

/* Scales what stands between the thin matrices, (rank, lanes of the panel), and stores it. */
static void store_between(const struct thin_pair *pair, real *sums, int first, int rows, real beta)
{
    size_t size = (size_t)pair->rank * (size_t)(vectors_for(rows) * LANES);
    for (size_t i = 0; i < size; i++)
        sums[i] *= pair->scale;
    store(sums, rows, pair->rank, beta, pair->between + (size_t)first * (size_t)pair->rank,
          pair->rank);
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

/* Rows of a weight, of which `count` are multiplied; `left` are there. Behind their columns stand
 * those of b, and behind the columns of a turned panel what they are multiplied with. */
struct strip {
    const real *w, *b;
    int count, left, cols, rank;
};

/* Sums of `tile` rows from number `at` on with a panel: out (tile, vectors * LANES). `ahead` is
 * where the weight is read next, to be on its way by then. The constants of a call make a kernel of
 * it. */
static inline __attribute__((always_inline)) void multiply_tile(const real *turned, int vectors,
                                                                const struct strip *s, int at,
                                                                int tile, const real *ahead,
                                                                real *out)
{
    const lanes *x = (const lanes *)(const void *)turned;
    int cols = s->cols;
    const real *w = s->w + (size_t)at * (size_t)cols;
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
        if (end == cols && s->rank > 0)
            add_columns(x + (size_t)cols * (size_t)vectors, vectors,
                        s->b + (size_t)at * (size_t)s->rank, tile, s->rank, 0, s->rank, sums);
        put_sums(sums, vectors, tile, first > 0, out);
    }
}

/* Sums of the rows of a strip with a panel. */
static inline __attribute__((always_inline)) void multiply_rows(const real *turned, int vectors,
                                                                const struct strip *s, real *out)
{
    int at = 0;
    for (; at + LANE_TILE <= s->count; at += LANE_TILE) {
        int next = at + 2 * LANE_TILE <= s->left ? at + LANE_TILE : at;
        multiply_tile(turned, vectors, s, at, LANE_TILE, s->w + (size_t)next * (size_t)s->cols,
                      out + at * vectors * LANES);
    }
    for (; at < s->count; at++)
        multiply_tile(turned, vectors, s, at, 1, s->w + (size_t)at * (size_t)s->cols,
                      out + at * vectors * LANES);
}

/* The same for a panel of any width. */
static void multiply_strip(const real *turned, int vectors, struct strip strip, real *out)
{
    if (vectors == 1)
        multiply_rows(turned, 1, &strip, out);
    else if (vectors == 2)
        multiply_rows(turned, 2, &strip, out);
    else
        multiply_rows(turned, MOST_VECTORS, &strip, out);
}

/* Up to GROUP columns of the result for a panel. */
static void multiply_group(const struct few_rows *p, const real *turned, int rows, int at,
                           real *out)
{
    _Alignas(MEMORY_ALIGNMENT) real sums[GROUP * PANEL];
    struct strip strip = {.w = p->w + (size_t)at * (size_t)p->cols,
                          .count = smaller(p->count - at, GROUP),
                          .left = p->count - at,
                          .cols = p->cols,
                          .rank = p->pair.rank};
    if (strip.rank > 0)
        strip.b = p->pair.b + (size_t)at * (size_t)strip.rank;
    multiply_strip(turned, vectors_for(rows), strip, sums);
    store(sums, rows, strip.count, p->beta, out, p->stride);
}

static void multiply_panel(const struct few_rows *p, int first, real *turned)
{
    const struct thin_pair *pair = &p->pair;
    int rows = smaller(p->rows - first, PANEL), vectors = vectors_for(rows);
    turn(p->in + (size_t)first * (size_t)p->cols, rows, p->cols, p->cols, turned);
    if (pair->rank > 0) {
        real *between = turned + (size_t)p->cols * (size_t)(vectors * LANES);
        multiply_strip(
            turned, vectors,
            (struct strip){.w = pair->a, .count = pair->rank, .left = pair->rank, .cols = p->cols},
            between);
        store_between(pair, between, first, rows, 0);
    }
    for (int at = 0; at < p->count; at += GROUP)
        multiply_group(p, turned, rows, at,
                       p->out + (size_t)first * (size_t)p->stride + (size_t)at);
}

void few_rows_multiply(const struct few_rows *p, struct arena *arena)
{
    struct arena_mark mark = arena_mark(arena);
    real *turned =
        arena_alloc(arena, few_rows_room(p->rows, p->cols + p->pair.rank) * sizeof *turned);
    for (int first = 0; first < p->rows; first += PANEL)
        multiply_panel(p, first, turned);
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

/* Adds the products with `count` rows of a weight to all sums of a panel. */
static inline __attribute__((always_inline)) void
add_to_columns(const real *turned, int vectors, const real *w, int count, int cols, real *sums)
{
    int c = 0;
    for (; c + LANE_TILE <= cols; c += LANE_TILE)
        add_tile(turned, vectors, w + c, LANE_TILE, count, cols,
                 w + (c + LINE < cols ? c + LINE : c), sums + (size_t)c * (size_t)vectors * LANES);
    for (; c < cols; c++)
        add_tile(turned, vectors, w + c, 1, count, cols, w + c,
                 sums + (size_t)c * (size_t)vectors * LANES);
}

/* The same for a panel of any width. */
static void add_rows(const real *turned, int vectors, const real *w, int count, int cols,
                     real *sums)
{
    if (vectors == 1)
        add_to_columns(turned, 1, w, count, cols, sums);
    else if (vectors == 2)
        add_to_columns(turned, 2, w, count, cols, sums);
    else
        add_to_columns(turned, MOST_VECTORS, w, count, cols, sums);
}

static void multiply_panel_back(const struct few_rows *p, int first, real *room)
{
    const struct thin_pair *pair = &p->pair;
    int rows = smaller(p->rows - first, PANEL), vectors = vectors_for(rows);
    size_t wide = (size_t)(vectors * LANES), cols = (size_t)p->cols, rank = (size_t)pair->rank;
    real *sums = room + DEPTH * wide, *between = sums + cols * wide;
    memset(sums, 0, (cols + rank) * wide * sizeof *sums);
    for (int at = 0; at < p->count; at += DEPTH) {
        int count = smaller(p->count - at, DEPTH);
        turn(p->in + (size_t)first * (size_t)p->stride + (size_t)at, rows, count, p->stride, room);
        add_rows(room, vectors, p->w + (size_t)at * cols, count, p->cols, sums);
        if (rank > 0)
            add_rows(room, vectors, pair->b + (size_t)at * rank, count, pair->rank, between);
    }
    if (rank > 0) {
        store_between(pair, between, first, rows, 1);
        add_rows(between, vectors, pair->a, pair->rank, p->cols, sums);
    }
    store(sums, rows, p->cols, p->beta, p->out + (size_t)first * cols, p->cols);
}

void few_rows_multiply_back(const struct few_rows *p, struct arena *arena)
{
    struct arena_mark mark = arena_mark(arena);
    real *room = arena_alloc(arena, few_rows_room(p->rows, p->cols + p->pair.rank) * sizeof *room);
    for (int first = 0; first < p->rows; first += PANEL)
        multiply_panel_back(p, first, room);
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
