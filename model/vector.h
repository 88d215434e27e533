/* SPDX-License-Identifier: Apache-2.0
 *
 * Exponential and sigmoid that compilers turn into vector code. The library's expf is a call per
 * element, of which a feed-forward layer makes one for every hidden feature of every token.
 */
#ifndef MODEL_VECTOR_H
#define MODEL_VECTOR_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "model/real.h"

#ifdef ADVISOR_DOUBLE

static inline real vector_exp(real x)
{
    return exp(x);
}

#else

/* exp(x) within 2 units in the last place on [-87, 88]; clamped outside. Range reduction by ln 2 in
 * two parts, then the Taylor polynomial of degree 7 on [-ln2 / 2, ln2 / 2]. */
static inline real vector_exp(real x)
{
    const float round = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer */
    x = x < -87.0f ? -87.0f : x;
    x = x > 88.0f ? 88.0f : x;
    float shifted = x * 1.44269504f + round;
    float n = shifted - round;
    float r = x - n * 0.693359375f + n * 2.12194440e-4f;
    float p = 1.0f / 5040;
    p = p * r + 1.0f / 720;
    p = p * r + 1.0f / 120;
    p = p * r + 1.0f / 24;
    p = p * r + 1.0f / 6;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    uint32_t bits; /* n stands in the low bits of `shifted`; read this way, NaN passes through */
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits + 127) << 23;
    float scale;
    memcpy(&scale, &bits, sizeof scale);
    return p * scale;
}

#endif

static inline real vector_sigmoid(real x)
{
    return 1 / (1 + vector_exp(-x));
}

#endif
