/* SPDX-License-Identifier: Apache-2.0
 *
 * What several tests of the engine share: random values, comparison and numeric derivatives. All of
 * it is static inline, since every test is one file linked with the library.
 */
#ifndef TESTS_SUPPORT_H
#define TESTS_SUPPORT_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "model/real.h"

/* Normal values times `spread`, the same for the same purpose and index. */
static inline void support_fill(real *data, size_t size, const char *purpose, uint64_t index,
                                double spread)
{
    struct random random = random_stream(1, purpose, index);
    for (size_t i = 0; i < size; i++)
        data[i] = (real)(spread * random_normal(&random));
}

/* Fills what the arena hands out next with NaN, so that reading undefined memory shows. */
static inline void support_dirty(struct arena *arena)
{
    enum { BYTES = 128 * 1024 };
    struct arena_mark mark = arena_mark(arena);
    memset(arena_alloc(arena, BYTES), 0xFF, BYTES);
    arena_rewind(arena, mark);
}

/* True when both are finite and equal up to `tolerance`, relative above 1 and absolute below. */
static inline bool support_near(double a, double b, double tolerance)
{
    double size = fmax(1, fmax(fabs(a), fabs(b)));
    return isfinite(a) && isfinite(b) && fabs(a - b) <= tolerance * size;
}

/* d f / d *at by central differences at two distances, whose error falls with the fourth power of
 * the distance (Abramowitz and Stegun 1964, 25.3.6). Meant for the double build. */
static inline double support_slope(double (*f)(void *context), void *context, real *at)
{
    const double step = 1e-4;
    real middle = *at;
    double value[4];
    for (int i = 0; i < 4; i++) {
        static const double steps[4] = {-2, -1, 1, 2};
        *at = (real)(middle + steps[i] * step);
        value[i] = f(context);
    }
    *at = middle;
    return (value[0] - 8 * value[1] + 8 * value[2] - value[3]) / (12 * step);
}

#endif
