/* SPDX-License-Identifier: Apache-2.0 */
#include "model/blas.h"

#include <cblas.h>
#include <stddef.h>

void blas_single_thread(void)
{
    openblas_set_num_threads(1);
}

const char *blas_version(void)
{
    return openblas_get_config();
}

static CBLAS_TRANSPOSE transpose(enum blas_op op)
{
    return op == TRANSPOSED ? CblasTrans : CblasNoTrans;
}

#ifdef ADVISOR_DOUBLE

void blas_gemm(enum blas_op a_op, enum blas_op b_op, int m, int n, int k, real alpha, const real *a,
               int lda, const real *b, int ldb, real beta, real *c, int ldc)
{
    cblas_dgemm(CblasRowMajor, transpose(a_op), transpose(b_op), m, n, k, alpha, a, lda, b, ldb,
                beta, c, ldc);
}

real blas_dot(int n, const real *x, const real *y)
{
    return cblas_ddot(n, x, 1, y, 1);
}

void blas_axpy(int n, real alpha, const real *x, real *y)
{
    cblas_daxpy(n, alpha, x, 1, y, 1);
}

#else

/* OpenBLAS has kernels that copy nothing, for products of up to a million multiplications. A thin
 * result, as of LoRA's matrices, is computed in pieces for them, of THIN rows at least: twice as
 * fast as in one. */
enum { THIN = 16, SMALL = 500 * 1000 };

/* How many rows (columns) of a result a piece has; others are the columns (rows). */
static int piece_length(int length, int others, int k)
{
    long long fitting = SMALL / ((long long)others * k + 1);
    return others > THIN || length <= fitting || fitting < THIN ? length
                                                                : (int)(fitting / THIN * THIN);
}

void blas_gemm(enum blas_op a_op, enum blas_op b_op, int m, int n, int k, real alpha, const real *a,
               int lda, const real *b, int ldb, real beta, real *c, int ldc)
{
    if (m == 1 && k > 0 &&
        a_op == AS_IS) { /* one row: reading B once is all the work, so skip packing */
        cblas_sgemv(CblasRowMajor, b_op == TRANSPOSED ? CblasNoTrans : CblasTrans,
                    b_op == TRANSPOSED ? n : k, b_op == TRANSPOSED ? k : n, alpha, b, ldb, a, 1,
                    beta, c, 1);
        return;
    }
    int rows = piece_length(m, n, k), cols = piece_length(n, m, k);
    for (int r = 0; r < m; r += rows)
        for (int s = 0; s < n; s += cols)
            cblas_sgemm(CblasRowMajor, transpose(a_op), transpose(b_op),
                        m - r < rows ? m - r : rows, n - s < cols ? n - s : cols, k, alpha,
                        a + (a_op == AS_IS ? (size_t)r * (size_t)lda : (size_t)r), lda,
                        b + (b_op == AS_IS ? (size_t)s : (size_t)s * (size_t)ldb), ldb, beta,
                        c + (size_t)r * (size_t)ldc + s, ldc);
}

real blas_dot(int n, const real *x, const real *y)
{
    return cblas_sdot(n, x, 1, y, 1);
}

void blas_axpy(int n, real alpha, const real *x, real *y)
{
    cblas_saxpy(n, alpha, x, 1, y, 1);
}

#endif
