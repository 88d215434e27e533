/* SPDX-License-Identifier: Apache-2.0
 *
 * Products of few rows against plain loops, alone and with thin matrices beside the weight, within
 * larger results, with undefined results beforehand where that is allowed; and the same bytes for a
 * row whatever is beside it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "model/few_rows.h"
#include "tests/support.h"

#define COUNT(table) (sizeof(table) / sizeof *(table))

enum { ROWS = 100, MOST_COUNT = 140, MOST_COLS = 1050, GAP = 5, WIDE = MOST_COUNT + GAP };
enum { MOST_RANK = 70, BETWEEN = ROWS * MOST_RANK };

struct product {
    int rows, count, cols;
    bool back;
    int rank; /* of the thin matrices beside the weight */
};

/* `wide` are the rows of the side with `count` columns, WIDE apart, `narrow` those of the other. */
static real wide[ROWS * WIDE], narrow[ROWS * MOST_COLS], w[MOST_COUNT * MOST_COLS];
static real thin_a[MOST_RANK * MOST_COLS], thin_b[MOST_COUNT * MOST_RANK];
static const real pair_scale = (real)-0.75;

/* What stands between the thin matrices is written, on the way back added to `between`. */
static void multiply(const struct product *p, real beta, real *out, real *between)
{
    struct arena arena;
    arena_init(&arena, NULL);
    arena_reserve(&arena, few_rows_room(p->rows, p->cols + p->rank) * sizeof(real));
    size_t held = arena_held(&arena);
    struct few_rows product = {.in = p->back ? wide : narrow,
                               .w = w,
                               .rows = p->rows,
                               .count = p->count,
                               .cols = p->cols,
                               .pair = {thin_a, thin_b, p->rank, pair_scale, between},
                               .beta = beta,
                               .out = out,
                               .stride = WIDE};
    if (p->back)
        few_rows_multiply_back(&product, &arena);
    else
        few_rows_multiply(&product, &arena);
    assert_true(arena_held(&arena) == held);
    arena_release(&arena);
}

static double plain_between(const struct product *p, int row, int i)
{
    double sum = 0;
    for (int c = 0; c < p->cols && !p->back; c++)
        sum += (double)narrow[row * p->cols + c] * (double)thin_a[i * p->cols + c];
    for (int o = 0; o < p->count && p->back; o++)
        sum += (double)wide[row * WIDE + o] * (double)thin_b[o * p->rank + i];
    return (double)pair_scale * sum;
}

/* `between` are the numbers of the row. */
static double plain(const struct product *p, const double *between, int row, int col)
{
    double sum = 0;
    for (int c = 0; c < p->cols && !p->back; c++)
        sum += (double)narrow[row * p->cols + c] * (double)w[col * p->cols + c];
    for (int o = 0; o < p->count && p->back; o++)
        sum += (double)wide[row * WIDE + o] * (double)w[o * p->cols + col];
    for (int i = 0; i < p->rank; i++)
        sum +=
            between[i] * (double)(p->back ? thin_a[i * p->cols + col] : thin_b[col * p->rank + i]);
    return sum;
}

/* Numbers that are near what they should be; longer sums are less exact. */
static void check_near(const struct product *p, const char *what, int at, real found, double want)
{
    if (!support_near((double)found, want, p->cols > 100 || p->rank > 0 ? 1e-4 : 1e-5))
        fail_msg("(%d, %d, %d) back %d rank %d: %s %d is %g, expected %g", p->rows, p->count,
                 p->cols, p->back, p->rank, what, at, (double)found, want);
}

/* Leaves in `want` what stands between the thin matrices. */
static void check_between(const struct product *p, const real *found, double *want)
{
    for (int i = 0; i < p->rows * p->rank; i++) {
        want[i] = plain_between(p, i / p->rank, i % p->rank);
        check_near(p, "between", i, found[i], want[i] + (p->back ? 2 : 0));
    }
    for (int i = p->rows * p->rank; i < BETWEEN; i++)
        assert_true(found[i] == 2);
}

static void check(const struct product *p, real beta)
{
    static real out[ROWS * MOST_COLS], between[BETWEEN];
    static double pair[BETWEEN];
    const real *before = p->back ? narrow : wide;
    int cols = p->back ? p->cols : p->count, stride = p->back ? p->cols : WIDE;
    int size = p->back ? ROWS * MOST_COLS : ROWS * WIDE;
    memcpy(out, before, (size_t)size * sizeof *out);
    for (int i = 0; i < BETWEEN; i++)
        between[i] = 2;
    if (beta == 0)
        for (int r = 0; r < p->rows; r++)
            memset(out + r * stride, 0xFF, (size_t)cols * sizeof *out); /* not a number */
    multiply(p, beta, out, between);
    check_between(p, between, pair);
    for (int i = 0; i < size; i++) {
        int row = i / stride, col = i % stride;
        if (row >= p->rows || col >= cols) {
            assert_memory_equal(&out[i], &before[i], sizeof *out); /* what lies between */
            continue;
        }
        double want = plain(p, pair + row * p->rank, row, col);
        check_near(p, "element", i, out[i],
                   want + (beta == 0 ? 0 : (double)beta * (double)before[i]));
    }
}

static void fill(void)
{
    support_fill(narrow, COUNT(narrow), "narrow", 0, 1);
    support_fill(w, COUNT(w), "w", 0, 1);
    support_fill(wide, COUNT(wide), "wide", 0, 1);
    support_fill(thin_a, COUNT(thin_a), "a", 0, 1);
    support_fill(thin_b, COUNT(thin_b), "b", 0, 1);
}

static bool served(void)
{
    if (few_rows_serves(1))
        return true;
    print_message("skipped: this processor has no fused multiply-add of vectors\n");
    return false;
}

/* Around the sizes at which panels, tiles, groups and cache lines end. */
static void test_products(void **state)
{
    static const int rows[] = {1, 7, 8, 9, 16, 17, 24, 31, 47, 48, 49, 96, 100};
    static const int counts[] = {1, 3, 4, 8, 11, 64, 65, 129, 140}, cols[] = {1, 15, 16, 33, 70};
    static const real betas[] = {0, 1, (real)-0.25};
    (void)state;
    if (!served())
        skip();
    fill();
    for (size_t r = 0; r < COUNT(rows); r++)
        for (size_t n = 0; n < COUNT(counts); n++)
            for (size_t c = 0; c < COUNT(cols); c++)
                for (size_t b = 0; b < 2 * COUNT(betas); b++)
                    check(&(struct product){rows[r], counts[n], cols[c], b % 2, 0}, betas[b / 2]);
}

/* Longer sums, which are added up in portions. */
static void test_long_rows(void **state)
{
    static const int rows[] = {1, 17, 50}, cols[] = {512, 513, 530, MOST_COLS};
    (void)state;
    if (!served())
        skip();
    fill();
    for (size_t r = 0; r < COUNT(rows); r++)
        for (size_t c = 0; c < COUNT(cols); c++)
            for (int back = 0; back < 2; back++)
                check(&(struct product){rows[r], 9, cols[c], back, 9 * (rows[r] == 17)}, 1);
}

/* With thin matrices beside the weight, of ranks that are a tile and that are not. */
static void test_pairs(void **state)
{
    static const int rows[] = {1, 8, 17, 47, 48, 49, 97}, counts[] = {1, 8, 67, 129};
    static const int cols[] = {1, 16, 33, 70}, ranks[] = {1, 3, 8, 16, MOST_RANK};
    (void)state;
    if (!served())
        skip();
    fill();
    for (size_t r = 0; r < COUNT(rows); r++)
        for (size_t n = 0; n < COUNT(counts); n++)
            for (size_t c = 0; c < COUNT(cols); c++)
                for (size_t k = 0; k < 2 * COUNT(ranks); k++)
                    check(&(struct product){rows[r], counts[n], cols[c], k % 2, ranks[k / 2]},
                          k % 3 ? (real)-0.25 : 0);
}

static void check_alone(bool back, int rank)
{
    static real all[ROWS * MOST_COLS], some[ROWS * MOST_COLS];
    static real pairs[2][BETWEEN];
    size_t stride = back ? MOST_COLS : WIDE, cols = back ? MOST_COLS : MOST_COUNT;
    memset(pairs, 0, sizeof pairs);
    multiply(&(struct product){ROWS, MOST_COUNT, MOST_COLS, back, rank}, 0, all, pairs[0]);
    for (int rows = 1; rows < ROWS; rows += 6) {
        memset(pairs[1], 0, sizeof pairs[1]);
        multiply(&(struct product){rows, MOST_COUNT, MOST_COLS, back, rank}, 0, some, pairs[1]);
        for (size_t r = 0; r < (size_t)rows; r++)
            assert_memory_equal(all + r * stride, some + r * stride, cols * sizeof(real));
        assert_memory_equal(pairs[0], pairs[1], (size_t)(rows * rank) * sizeof(real));
    }
}

static void test_rows_are_alone(void **state)
{
    (void)state;
    if (!served())
        skip();
    fill();
    for (int i = 0; i < 4; i++)
        check_alone(i % 2, i / 2 * 11);
}

static void test_serves(void **state)
{
    (void)state;
    assert_false(few_rows_serves(10000)); /* there the library is as fast */
    assert_true(few_rows_room(10000, 64) == 0);
    if (!served())
        skip();
    assert_true(few_rows_room(8, 64) >= 8 * 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_products), cmocka_unit_test(test_long_rows),
        cmocka_unit_test(test_pairs),    cmocka_unit_test(test_rows_are_alone),
        cmocka_unit_test(test_serves),
    };
    return cmocka_run_group_tests_name("few_rows", tests, NULL, NULL);
}
