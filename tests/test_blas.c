/* SPDX-License-Identifier: Apache-2.0
 *
 * Matrix products of all shapes the engine uses against plain loops, within larger matrices, with
 * undefined results beforehand where that is allowed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "model/blas.h"
#include "tests/support.h"

#define COUNT(table) (sizeof(table) / sizeof *(table))

enum { MOST = 40, GAP = 3, ROOM = MOST * (MOST + GAP) };

struct shape {
    int m, n, k;
};

static double plain(const struct shape *s, enum blas_op a_op, enum blas_op b_op, const real *a,
                    int lda, const real *b, int ldb, int row, int col)
{
    double sum = 0;
    for (int i = 0; i < s->k; i++)
        sum += (double)(a_op == AS_IS ? a[row * lda + i] : a[i * lda + row]) *
               (double)(b_op == AS_IS ? b[i * ldb + col] : b[col * ldb + i]);
    return sum;
}

static void check(const struct shape *s, enum blas_op a_op, enum blas_op b_op, real beta)
{
    static real a[ROOM], b[ROOM], c[ROOM], before[ROOM];
    int lda = (a_op == AS_IS ? s->k : s->m) + GAP, ldb = (b_op == AS_IS ? s->n : s->k) + GAP;
    int ldc = s->n + GAP;
    support_fill(a, ROOM, "a", 0, 1);
    support_fill(b, ROOM, "b", 0, 1);
    support_fill(before, ROOM, "c", 0, 1);
    memcpy(c, before, sizeof c);
    if (beta == 0)
        for (int r = 0; r < s->m; r++)
            memset(c + r * ldc, 0xFF, (size_t)s->n * sizeof *c); /* not a number */
    blas_gemm(a_op, b_op, s->m, s->n, s->k, (real)0.5, a, lda, b, ldb, beta, c, ldc);
    for (int i = 0; i < ROOM; i++) {
        int row = i / ldc, col = i % ldc;
        if (row >= s->m || col >= s->n) {
            assert_memory_equal(&c[i], &before[i],
                                sizeof *c); /* what lies between is not touched */
            continue;
        }
        double want = 0.5 * plain(s, a_op, b_op, a, lda, b, ldb, row, col);
        want += beta == 0 ? 0 : (double)beta * (double)before[i];
        if (!support_near((double)c[i], want, 1e-5))
            fail_msg("(%d, %d, %d) %d %d beta %g: element %d, %d is %g, expected %g", s->m, s->n,
                     s->k, a_op, b_op, (double)beta, row, col, (double)c[i], want);
    }
}

static void test_gemm(void **state)
{
    (void)state;
    static const struct shape shapes[] = {{1, 1, 1},    {1, 7, 5},  {1, 40, 33}, {5, 1, 7},
                                          {2, 2, 1},    {3, 17, 9}, {16, 8, 40}, {33, 31, 32},
                                          {40, 40, 40}, {1, 1, 40}, {40, 1, 1}};
    static const real betas[] = {0, 1, (real)-0.25};
    for (size_t s = 0; s < COUNT(shapes); s++)
        for (size_t i = 0; i < COUNT(betas); i++)
            for (int ops = 0; ops < 4; ops++)
                check(&shapes[s], ops & 1 ? TRANSPOSED : AS_IS, ops & 2 ? TRANSPOSED : AS_IS,
                      betas[i]);
}

/* So long that they are computed in pieces, some with a rest of one row. */
static void test_thin(void **state)
{
    (void)state;
    static const struct shape shapes[] = {{8, 401, 300},  {401, 8, 300}, {1, 1001, 600},
                                          {16, 49, 2000}, {600, 3, 700}, {9, 9, 9000}};
    static real a[900 * 1000], b[900 * 1000], c[8 * 1000];
    support_fill(a, COUNT(a), "a", 0, 1);
    support_fill(b, COUNT(b), "b", 0, 1);
    for (size_t i = 0; i < COUNT(shapes); i++)
        for (int ops = 0; ops < 4; ops++) {
            const struct shape *s = &shapes[i];
            enum blas_op a_op = ops & 1 ? TRANSPOSED : AS_IS, b_op = ops & 2 ? TRANSPOSED : AS_IS;
            int lda = a_op == AS_IS ? s->k : s->m, ldb = b_op == AS_IS ? s->n : s->k;
            memset(c, 0xFF, sizeof c); /* not a number */
            blas_gemm(a_op, b_op, s->m, s->n, s->k, 1, a, lda, b, ldb, 0, c, s->n);
            for (int e = 0; e < s->m * s->n; e++)
                assert_true(support_near(
                    (double)c[e], plain(s, a_op, b_op, a, lda, b, ldb, e / s->n, e % s->n), 1e-4));
        }
}

static void test_vectors(void **state)
{
    (void)state;
    real x[MOST], y[MOST], z[MOST];
    support_fill(x, MOST, "x", 0, 1);
    support_fill(y, MOST, "y", 0, 1);
    for (int n = 0; n <= MOST; n++) {
        double dot = 0;
        for (int i = 0; i < n; i++)
            dot += (double)x[i] * (double)y[i];
        assert_true(support_near((double)blas_dot(n, x, y), dot, 1e-5));
        memcpy(z, y, sizeof z);
        blas_axpy(n, 2, x, z);
        for (int i = 0; i < MOST; i++)
            assert_true(
                support_near((double)z[i], (double)y[i] + (i < n ? 2 * (double)x[i] : 0), 1e-6));
    }
}

static void test_version(void **state)
{
    (void)state;
    assert_non_null(strstr(blas_version(), "OpenBLAS"));
}

int main(void)
{
    blas_single_thread();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gemm),
        cmocka_unit_test(test_thin),
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_version),
    };
    return cmocka_run_group_tests_name("blas", tests, NULL, NULL);
}
