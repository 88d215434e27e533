/* SPDX-License-Identifier: Apache-2.0
 *
 * The techniques in double precision: loss, gradients and ten steps against an independent
 * implementation (tests/parity/fixtures/peft_tiny.json), how they start, and that the model they
 * share stays as it is.
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
    check_parity((struct tolerance){.loss = 1e-9, .gradient = 1e-8, .steps = 1e-8});
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_parity)};
    return cmocka_run_group_tests_name("peft", tests, NULL, NULL);
}
