/* SPDX-License-Identifier: Apache-2.0
 *
 * The techniques in float, as the program runs them, beside an independent implementation in
 * double. What is wrong beyond rounding shows in test_peft_double.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/peft_parity.h"

static void test_parity(void **state)
{
    (void)state;
    check_parity((struct tolerance){.loss = 1e-6, .gradient = 1e-4, .steps = 1e-4, .values = 1e-3});
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_parity)};
    return cmocka_run_group_tests_name("peft", tests, NULL, NULL);
}
