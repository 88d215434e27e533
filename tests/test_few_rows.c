/* SPDX-License-Identifier: Apache-2.0
 *
 * Products of few rows against plain loops, within larger results, with undefined results
 * beforehand where that is allowed; and the same bytes for a row whatever is beside it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "model/few_rows.h"
#include "tests/support.h"

#define COUNT(table) (sizeof(table) / sizeof *(table))

enum { ROWS = 100, MOST_COUNT = 140, MOST_COLS = 70, GAP = 5, WIDE = MOST_COUNT + GAP };

struct product {
    int rows, count, cols;
};

static real x[ROWS * MOST_COLS], w[MOST_COUNT * MOST_COLS], before[ROWS * WIDE];

static void multiply(const struct product *p, real beta, real *out)
{
    struct arena arena;
    arena_init(&arena, NULL);
    arena_reserve(&arena, few_rows_room(p->rows, p->cols) * sizeof(real));
    size_t held = arena_held(&arena);
    struct few_rows product = {.x = x,
                               .w = w,
                               .rows = p->rows,
                               .count = p->count,
                               .cols = p->cols,
                               .scale = (real)0.5,
                               .beta = beta,
                               .out = out,
                               .stride = WIDE};
    few_rows_multiply(&product, &arena);
    assert_true(arena_held(&arena) == held);
    arena_release(&arena);
}

static void check(const struct product *p, real beta)
{
    static real out[ROWS * WIDE];
    memcpy(out, before, sizeof out);
    if (beta == 0)
        for (int r = 0; r < p->rows; r++)
            memset(out + r * WIDE, 0xFF, (size_t)p->count * sizeof *out); /* not a number */
    multiply(p, beta, out);
    for (int i = 0; i < ROWS * WIDE; i++) {
        int row = i / WIDE, col = i % WIDE;
        if (row >= p->rows || col >= p->count) {
            assert_memory_equal(&out[i], &before[i], sizeof *out); /* what lies between */
            continue;
        }
        double want = beta == 0 ? 0 : (double)beta * (double)before[i];
        for (int c = 0; c < p->cols; c++)
            want += 0.5 * (double)x[row * p->cols + c] * (double)w[col * p->cols + c];
        if (!support_near((double)out[i], want, 1e-5))
            fail_msg("(%d, %d, %d) beta %g: element %d, %d is %g, expected %g", p->rows, p->count,
                     p->cols, (double)beta, row, col, (double)out[i], want);
    }
}

static void fill(void)
{
    support_fill(x, COUNT(x), "x", 0, 1);
    support_fill(w, COUNT(w), "w", 0, 1);
    support_fill(before, COUNT(before), "out", 0, 1);
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
    static const int counts[] = {1, 3, 4, 8, 11, 64, 65, 140}, cols[] = {1, 15, 16, 33, 70};
    static const real betas[] = {0, 1, (real)-0.25};
    (void)state;
    if (!served())
        skip();
    fill();
    for (size_t r = 0; r < COUNT(rows); r++)
        for (size_t n = 0; n < COUNT(counts); n++)
            for (size_t c = 0; c < COUNT(cols); c++)
                for (size_t b = 0; b < COUNT(betas); b++)
                    check(&(struct product){rows[r], counts[n], cols[c]}, betas[b]);
}

static void test_rows_are_alone(void **state)
{
    static real all[ROWS * WIDE], some[ROWS * WIDE];
    (void)state;
    if (!served())
        skip();
    fill();
    multiply(&(struct product){ROWS, MOST_COUNT, MOST_COLS}, 0, all);
    for (int rows = 1; rows < ROWS; rows += 6) {
        multiply(&(struct product){rows, MOST_COUNT, MOST_COLS}, 0, some);
        for (int r = 0; r < rows; r++)
            assert_memory_equal(all + r * WIDE, some + r * WIDE, MOST_COUNT * sizeof(real));
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
        cmocka_unit_test(test_rows_are_alone),
        cmocka_unit_test(test_serves),
    };
    return cmocka_run_group_tests_name("few_rows", tests, NULL, NULL);
}
