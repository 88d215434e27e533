/* SPDX-License-Identifier: Apache-2.0 */
#include "base/random.h"

#include <math.h>

static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

struct random random_stream(uint64_t seed, const char *purpose, uint64_t index)
{
    uint64_t name = 0xCBF29CE484222325u; /* FNV-1a of the purpose */
    for (const char *c = purpose; *c; c++)
        name = (name ^ (unsigned char)*c) * 0x100000001B3u;
    return (struct random){mix(mix(mix(seed + 0x9E3779B97F4A7C15u) ^ name) + index)};
}

uint64_t random_next(struct random *random)
{
    random->state += 0x9E3779B97F4A7C15u;
    return mix(random->state);
}

double random_uniform(struct random *random)
{
    return (double)(random_next(random) >> 11) * 0x1p-53;
}

/* Box-Muller; one value of the pair is dropped so that a stream has no hidden state. */
double random_normal(struct random *random)
{
    double radius = sqrt(-2 * log(1 - random_uniform(random)));
    return radius * cos(6.283185307179586 * random_uniform(random));
}

size_t random_below(struct random *random, size_t limit)
{
    uint64_t bound = UINT64_MAX - UINT64_MAX % limit;
    uint64_t value;
    do
        value = random_next(random);
    while (value >= bound);
    return (size_t)(value % limit);
}

void random_shuffle(struct random *random, size_t *items, size_t count)
{
    for (size_t i = count; i > 1; i--) {
        size_t j = random_below(random, i);
        size_t swap = items[i - 1];
        items[i - 1] = items[j];
        items[j] = swap;
    }
}
