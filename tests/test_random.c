/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"

#define COUNT(table) (sizeof(table) / sizeof *(table))

/* The published generator: first values for state 1234567, as in the reference implementation. */
static void test_splitmix(void **state)
{
    (void)state;
    static const uint64_t expected[] = {6457827717110365317u, 3203168211198807973u,
                                        9817491932198370423u, 4593380528125082431u,
                                        16408922859458223821u};
    struct random random = {.state = 1234567};
    for (size_t i = 0; i < COUNT(expected); i++)
        assert_true(random_next(&random) == expected[i]);
}

/* Streams must never change: studies name their draws by seed. */
static void test_known_streams(void **state)
{
    (void)state;
    static const struct {
        uint64_t seed;
        const char *purpose;
        uint64_t index, first;
    } streams[] = {
        {0, "", 0, 0x41E5779B7CF5E194u},
        {1, "order", 0, 0x218E63CC3906E590u},
        {1, "order", 1, 0x2050A91B88B0ADB1u},
        {2, "order", 0, 0xE467A0708AB89756u},
        {1, "split", 0, 0x51A1B5DF97727A1Au},
        {UINT64_MAX, "order", UINT64_MAX, 0xCCCE976D36A128E3u},
    };
    for (size_t i = 0; i < COUNT(streams); i++) {
        struct random random = random_stream(streams[i].seed, streams[i].purpose, streams[i].index);
        uint64_t first = random_next(&random);
        if (first != streams[i].first)
            fail_msg("stream %zu starts with 0x%016llXu", i, (unsigned long long)first);
    }
}

static void test_known_values(void **state)
{
    (void)state;
    struct random random = random_stream(42, "values", 0);
    assert_true(random_uniform(&random) == 0x1.c4b83c7cfa4a2p-1);
    assert_true(fabs(random_normal(&random) - (-0.73911489629330607)) < 1e-14);
    assert_int_equal(random_below(&random, 1000), 566);
    size_t items[] = {0, 1, 2, 3, 4, 5, 6, 7};
    static const size_t shuffled[] = {3, 7, 6, 4, 1, 5, 2, 0};
    random_shuffle(&random, items, COUNT(items));
    assert_memory_equal(items, shuffled, sizeof items);
}

/* Neighbours in seed, purpose and index have nothing in common. */
static void test_independent(void **state)
{
    (void)state;
    enum { STREAMS_EACH = 40 };
    static const char *const purposes[] = {"", "a", "b", "aa", "ab", "ba", "order"};
    static uint64_t seen[COUNT(purposes) * STREAMS_EACH * STREAMS_EACH];
    size_t n = 0;
    for (uint64_t seed = 0; seed < STREAMS_EACH; seed++)
        for (size_t p = 0; p < COUNT(purposes); p++)
            for (uint64_t index = 0; index < STREAMS_EACH; index++) {
                struct random random = random_stream(seed, purposes[p], index);
                seen[n++] = random_next(&random);
            }
    int bits[64] = {0};
    for (size_t i = 0; i < n; i++)
        for (int b = 0; b < 64; b++)
            bits[b] += (int)(seen[i] >> b & 1);
    for (int b = 0; b < 64; b++) /* 5 standard deviations of a fair coin */
        assert_true(fabs(bits[b] - (double)n / 2) < 5 * sqrt((double)n) / 2);
    for (size_t i = 0; i < n; i += 7) /* no two first values are the same */
        for (size_t j = 0; j < n; j++)
            assert_true(i == j || seen[i] != seen[j]);
}

static void test_uniform(void **state)
{
    (void)state;
    enum { DRAWS = 100000, BINS = 20 };
    struct random random = random_stream(1, "uniform", 0);
    int bins[BINS] = {0};
    double sum = 0;
    for (int i = 0; i < DRAWS; i++) {
        double u = random_uniform(&random);
        assert_true(u >= 0 && u < 1);
        sum += u;
        bins[(int)(u * BINS)]++;
    }
    double chi_square = 0, expected = (double)DRAWS / BINS;
    for (int i = 0; i < BINS; i++)
        chi_square += pow(bins[i] - expected, 2) / expected;
    assert_true(chi_square < 43.8); /* 19 degrees of freedom, p = 0.001 */
    assert_true(fabs(sum / DRAWS - 0.5) < 0.005);
    struct random most = {.state = 0x31628AF67B2131ABu}, least = {.state = 0x61C8864680B583EBu};
    assert_true(random_next(&(struct random){most.state}) == UINT64_MAX);
    assert_true(random_next(&(struct random){least.state}) == 0);
    assert_true(isfinite(random_normal(&(struct random){most.state})));
    assert_true(isfinite(random_normal(&(struct random){least.state})));
    assert_true(random_uniform(&most) == 1 - 0x1p-53);
    assert_true(random_uniform(&least) == 0);
}

static void test_normal(void **state)
{
    (void)state;
    enum { DRAWS = 100000 };
    struct random random = random_stream(1, "normal", 0);
    double sum = 0, squares = 0, fourth = 0;
    int beyond_two = 0;
    for (int i = 0; i < DRAWS; i++) {
        double z = random_normal(&random);
        assert_true(isfinite(z));
        sum += z;
        squares += z * z;
        fourth += z * z * z * z;
        beyond_two += fabs(z) > 2;
    }
    assert_true(fabs(sum / DRAWS) < 0.015);
    assert_true(fabs(squares / DRAWS - 1) < 0.02);
    assert_true(fabs(fourth / DRAWS - 3) < 0.15);
    assert_true(fabs((double)beyond_two / DRAWS - 0.0455) < 0.003);
}

/* Counts of each value stay close to even; a plain remainder would favour the low ones for the
 * last limit, 2/3 of 2^64, by a factor of two. */
static void test_below(void **state)
{
    (void)state;
    enum { DRAWS = 60000 };
    static const size_t limits[] = {1, 2, 3, 6, 7, 10};
    struct random random = random_stream(1, "below", 0);
    for (size_t l = 0; l < COUNT(limits); l++) {
        int counts[10] = {0};
        for (int i = 0; i < DRAWS; i++) {
            size_t value = random_below(&random, limits[l]);
            assert_true(value < limits[l]);
            counts[value]++;
        }
        double expected = (double)DRAWS / (double)limits[l];
        for (size_t v = 0; v < limits[l]; v++)
            assert_true(fabs(counts[v] - expected) < 5 * sqrt(expected));
    }
    size_t limit = (size_t)(UINT64_MAX / 3 * 2);
    int low = 0;
    for (int i = 0; i < DRAWS; i++) {
        size_t value = random_below(&random, limit);
        assert_true(value < limit);
        low += value < limit / 2;
    }
    assert_true(fabs(low - DRAWS / 2.0) < 5 * sqrt(DRAWS) / 2);
}

/* Every order of four items comes equally often, and nothing is lost. */
static void test_shuffle(void **state)
{
    (void)state;
    enum { DRAWS = 24000, ORDERS = 256 };
    struct random random = random_stream(1, "shuffle", 0);
    static int counts[ORDERS];
    memset(counts, 0, sizeof counts);
    for (int i = 0; i < DRAWS; i++) {
        size_t items[] = {0, 1, 2, 3};
        random_shuffle(&random, items, 4);
        counts[items[0] | items[1] << 2 | items[2] << 4 | items[3] << 6]++;
    }
    int orders = 0;
    double chi_square = 0;
    for (int i = 0; i < ORDERS; i++)
        if (counts[i]) {
            orders++;
            chi_square += pow(counts[i] - 1000, 2) / 1000;
        }
    assert_int_equal(orders, 24);
    assert_true(chi_square < 49.7); /* 23 degrees of freedom, p = 0.001 */
    size_t one = 5;
    random_shuffle(&random, &one, 1);
    assert_int_equal(one, 5);
    random_shuffle(&random, NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_splitmix),     cmocka_unit_test(test_known_streams),
        cmocka_unit_test(test_known_values), cmocka_unit_test(test_independent),
        cmocka_unit_test(test_uniform),      cmocka_unit_test(test_normal),
        cmocka_unit_test(test_below),        cmocka_unit_test(test_shuffle),
    };
    return cmocka_run_group_tests_name("random", tests, NULL, NULL);
}
