/* SPDX-License-Identifier: Apache-2.0
 *
 * Products of few rows against plain loops, within larger results, with undefined results
 * beforehand where that is allowed; and the same bytes for a row whatever is beside it.
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

struct product {
    int rows, count, cols;
    bool back;
};

/* `wide` are the rows of the side with `count` columns, WIDE apart, `narrow` those of the other. */
static real wide[ROWS * WIDE], narrow[ROWS * MOST_COLS], w[MOST_COUNT * MOST_COLS];

static void multiply(const struct product *p, real beta, real *out)
{
    struct arena arena;
    arena_init(&arena, NULL);
    arena_reserve(&arena, few_rows_room(p->rows, p->cols) * sizeof(real));
    size_t held = arena_held(&arena);
    struct few_rows product = {.in = p->back ? wide : narrow,
                               .w = w,
                               .rows = p->rows,
                               .count = p->count,
                               .cols = p->cols,
                               .scale = (real)0.5,
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

static double plain(const struct product *p, int row, int col)
{
    double sum = 0;
    for (int c = 0; c < p->cols && !p->back; c++)
        sum += (double)narrow[row * p->cols + c] * (double)w[col * p->cols + c];
    for (int o = 0; o < p->count && p->back; o++)
        sum += (double)wide[row * WIDE + o] * (double)w[o * p->cols + col];
    return 0.5 * sum;
}

static void check(const struct product *p, real beta)
{
    static real out[ROWS * MOST_COLS];
    const real *before = p->back ? narrow : wide;
    int cols = p->back ? p->cols : p->count, stride = p->back ? p->cols : WIDE;
    int size = p->back ? ROWS * MOST_COLS : ROWS * WIDE;
    memcpy(out, before, (size_t)size * sizeof *out);
    if (beta == 0)
        for (int r = 0; r < p->rows; r++)
            memset(out + r * stride, 0xFF, (size_t)cols * sizeof *out); /* not a number */
    multiply(p, beta, out);
    for (int i = 0; i < size; i++) {
        int row = i / stride, col = i % stride;
        if (row >= p->rows || col >= cols) {
            assert_memory_equal(&out[i], &before[i], sizeof *out); /* what lies between */
            continue;
        }
        double want = plain(p, row, col) + (beta == 0 ? 0 : (double)beta * (double)before[i]);
        if (!support_near((double)out[i], want, p->cols > 100 ? 1e-4 : 1e-5))
            fail_msg("(%d, %d, %d) back %d beta %g: element %d, %d is %g, expected %g", p->rows,
                     p->count, p->cols, p->back, (double)beta, row, col, (double)out[i], want);
    }
}

static void fill(void)
{
    support_fill(narrow, COUNT(narrow), "narrow", 0, 1);
    support_fill(w, COUNT(w), "w", 0, 1);
    support_fill(wide, COUNT(wide), "wide", 0, 1);
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
                    check(&(struct product){rows[r], counts[n], cols[c], b % 2}, betas[b / 2]);
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
                check(&(struct product){rows[r], 9, cols[c], back}, 1);
}

static void test_rows_are_alone(void **state)
{
    static real all[ROWS * MOST_COLS], some[ROWS * MOST_COLS];
    (void)state;
    if (!served())
        skip();
    fill();
    for (int back = 0; back < 2; back++) {
        size_t stride = back ? MOST_COLS : WIDE, cols = back ? MOST_COLS : MOST_COUNT;
        multiply(&(struct product){ROWS, MOST_COUNT, MOST_COLS, back}, 0, all);
        for (int rows = 1; rows < ROWS; rows += 6) {
            multiply(&(struct product){rows, MOST_COUNT, MOST_COLS, back}, 0, some);
            for (size_t r = 0; r < (size_t)rows; r++)
                assert_memory_equal(all + r * stride, some + r * stride, cols * sizeof(real));
        }
    }
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
        cmocka_unit_test(test_products),
        cmocka_unit_test(test_long_rows),
        cmocka_unit_test(test_rows_are_alone),
        cmocka_unit_test(test_serves),
    };
    return cmocka_run_group_tests_name("few_rows", tests, NULL, NULL);
}
