/* SPDX-License-Identifier: Apache-2.0
 *
 * Packed weights give the bytes of expanded ones.
 */
#define _XOPEN_SOURCE 700
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/default_model.h"
#include "tests/weight_check.h"

static void test_default_model(void **state)
{
    int32_t ids[64];
    char path[MODEL_PATH];
    (void)state;
    if (!default_model(path))
        skip();
    for (size_t i = 0; i < COUNT(ids); i++)
        ids[i] = (int32_t)(1000 + 37 * i);
    check_forms(path, ids, COUNT(ids));
}
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_products),     cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_copies),       cmocka_unit_test(test_forms),
        cmocka_unit_test(test_changed_file), cmocka_unit_test(test_default_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
