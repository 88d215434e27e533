/* SPDX-License-Identifier: Apache-2.0 */
#include "model/blas.h"

#include <cblas.h>

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
    cblas_sgemm(CblasRowMajor, transpose(a_op), transpose(b_op), m, n, k, alpha, a, lda, b, ldb,
                beta, c, ldc);
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
