/* SPDX-License-Identifier: Apache-2.0
 *
 * Random numbers: independent streams, each named by what it is for.
 *
 * A stream is keyed by (seed, purpose, index), so that a draw for one purpose never shifts the
 * draws of another: adding a technique or a thread changes nothing elsewhere. The generator is
 * SplitMix64 (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators").
 */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

struct random {
    uint64_t state;
};

struct random random_stream(uint64_t seed, const char *purpose, uint64_t index);
uint64_t random_next(struct random *random);
double random_uniform(struct random *random);             /* [0, 1) */
double random_normal(struct random *random);              /* mean 0, variance 1 */
size_t random_below(struct random *random, size_t limit); /* [0, limit), unbiased; limit > 0 */
void random_shuffle(struct random *random, size_t *items, size_t count);

#endif
