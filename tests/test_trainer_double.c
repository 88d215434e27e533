/* SPDX-License-Identifier: Apache-2.0
 *
 * The trainer in double precision against peft in double precision: losses, gradients and
 * parameters of ten steps.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "techniques/trainer.c"
#include "tests/lora_fixture.h"

static void test_lora(void **state)
{
    (void)state;
    static const struct lora_tolerance tolerance = {.loss = 1e-8, .gradient = 1e-8, .value = 1e-8};
    check_lora_fixture(1, &tolerance);
    check_lora_fixture(2, &tolerance);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_lora)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
