/* SPDX-License-Identifier: Apache-2.0
 *
 * Packed weights give the bytes of expanded ones, in double precision.
 */
#define _XOPEN_SOURCE 700
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/weight_check.h"

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_products),     cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_copies),       cmocka_unit_test(test_forms),
        cmocka_unit_test(test_changed_file),

    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
