/* SPDX-License-Identifier: Apache-2.0
 *
 * The few matrix products of the engine, on one thread each: the engine is parallel over
 * micro-batches, and a product must give the same bits whatever the number of workers.
 */
#ifndef MODEL_BLAS_H
#define MODEL_BLAS_H

#include "model/real.h"

enum blas_op { AS_IS, TRANSPOSED };

/* Call once before any product: keeps the library from starting threads of its own. */
void blas_single_thread(void);

/* "OpenBLAS 0.3.21 ... Haswell", for records of what produced a number. Static storage. */
const char *blas_version(void);

/* C = alpha op(A) op(B) + beta C, row-major; op(A) is (m, k), op(B) is (k, n), C is (m, n); `lda`,
 * `ldb`, `ldc` are the row lengths in memory. With beta = 0, C may be uninitialised. */
void blas_gemm(enum blas_op a_op, enum blas_op b_op, int m, int n, int k, real alpha, const real *a,
               int lda, const real *b, int ldb, real beta, real *c, int ldc);

real blas_dot(int n, const real *x, const real *y);
void blas_axpy(int n, real alpha, const real *x, real *y); /* y += alpha x */

#endif
