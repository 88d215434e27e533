/* SPDX-License-Identifier: Apache-2.0
 *
 * The exponential of the float build against the library's in double precision.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/vector.h"

static double ulp_of(double value)
{
    int exponent;
    frexp(value, &exponent);
    return ldexp(1, exponent - 24);
}

/* Some 3.7 million arguments over the whole promised range, both ends included. */
static void test_exp(void **state)
{
    (void)state;
    double worst = 0;
    for (int32_t step = 0; step <= 175 * 21000; step++) {
        float x = -87.0f + (float)step / 21000.0f;
        double expected = exp((double)x);
        double error = fabs((double)vector_exp(x) - expected) / ulp_of(expected);
        worst = error > worst ? error : worst;
    }
    if (!(worst <= 2))
        fail_msg("wrong by %g units in the last place", worst);
}

static void test_exp_near_zero(void **state)
{
    (void)state;
    for (float x = 1e-30f; x < 0.1f; x *= 1.7f)
        for (int sign = -1; sign <= 1; sign += 2) {
            double expected = exp((double)x * sign);
            double error = fabs((double)vector_exp(x * (float)sign) - expected);
            assert_true(error <= 2 * ulp_of(expected));
        }
    assert_true(vector_exp(0) == 1);
    assert_true(vector_exp(-0.0f) == 1);
}

/* Outside the range the ends stand in: finite above, next to nothing below. */
static void test_exp_clamped(void **state)
{
    (void)state;
    static const float beyond[] = {88.1f, 1e3f, 3e38f, INFINITY};
    for (size_t i = 0; i < sizeof beyond / sizeof *beyond; i++) {
        assert_true(vector_exp(beyond[i]) == vector_exp(88));
        assert_true(vector_exp(-beyond[i]) == vector_exp(-87));
    }
    assert_true(isfinite(vector_exp(88)));
    assert_true(vector_exp(-87) > 0 && vector_exp(-87) < 2e-38f);
}

static void test_sigmoid(void **state)
{
    (void)state;
    for (int i = -8000; i <= 8000; i++) {
        float x = (float)i / 100;
        double expected = 1 / (1 + exp(-(double)x));
        assert_true(fabs((double)vector_sigmoid(x) - expected) <= 4 * ulp_of(expected));
    }
    assert_true(vector_sigmoid(1e9f) == 1);
    assert_true(vector_sigmoid(-1e9f) >= 0 && vector_sigmoid(-1e9f) < 1e-37f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exp),
        cmocka_unit_test(test_exp_near_zero),
        cmocka_unit_test(test_exp_clamped),
        cmocka_unit_test(test_sigmoid),
    };
    return cmocka_run_group_tests_name("vector", tests, NULL, NULL);
}
