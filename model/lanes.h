/* SPDX-License-Identifier: Apache-2.0
 *
 * Vectors of fused multiply-add, where the processor that is compiled for has them (HAVE_LANES):
 * AVX-512, or AVX2 with half as many numbers in a vector and half as many vectors in a tile.
 */
#ifndef MODEL_LANES_H
#define MODEL_LANES_H

#include "model/real.h"

#if defined __AVX512F__ || (defined __AVX2__ && defined __FMA__)
#define HAVE_LANES 1

#include <immintrin.h>
#include <string.h>

/* A kernel keeps LANE_TILE times MOST_VECTORS sums in registers. */
#if defined __AVX512F__ && defined ADVISOR_DOUBLE
typedef __m512d lanes;
enum { LANE_TILE = 8 };

static inline lanes lanes_all(real value)
{
    return _mm512_set1_pd(value);
}

static inline lanes lanes_add_product(lanes sum, lanes a, lanes b)
{
    return _mm512_fmadd_pd(a, b, sum);
}
#elif defined __AVX512F__
typedef __m512 lanes;
enum { LANE_TILE = 8 };

static inline lanes lanes_all(real value)
{
    return _mm512_set1_ps(value);
}

static inline lanes lanes_add_product(lanes sum, lanes a, lanes b)
{
    return _mm512_fmadd_ps(a, b, sum);
}
#elif defined ADVISOR_DOUBLE
typedef __m256d lanes;
enum { LANE_TILE = 4 };

static inline lanes lanes_all(real value)
{
    return _mm256_set1_pd(value);
}

static inline lanes lanes_add_product(lanes sum, lanes a, lanes b)
{
    return _mm256_fmadd_pd(a, b, sum);
}
#else
typedef __m256 lanes;
enum { LANE_TILE = 4 };

static inline lanes lanes_all(real value)
{
    return _mm256_set1_ps(value);
}

static inline lanes lanes_add_product(lanes sum, lanes a, lanes b)
{
    return _mm256_fmadd_ps(a, b, sum);
}
#endif

enum { LANES = sizeof(lanes) / sizeof(real), MOST_VECTORS = 3 };

static inline lanes lanes_load(const real *from)
{
    lanes values;
    memcpy(&values, from, sizeof values);
    return values;
}

static inline void lanes_store(real *to, lanes values)
{
    memcpy(to, &values, sizeof values);
}

/* The two halves first, then those of their sum. */
static inline real lanes_sum(lanes values)
{
    real parts[LANES];
    lanes_store(parts, values);
    for (int half = LANES / 2; half; half /= 2)
        for (int i = 0; i < half; i++)
            parts[i] += parts[i + half];
    return parts[0];
}

#endif
#endif
