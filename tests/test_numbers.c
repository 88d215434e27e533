/* SPDX-License-Identifier: Apache-2.0
 *
 * Numbers in running text: which is the first, which the last, and what is none. How they compare
 * is tested with evaluators/answers.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "datasets/numbers.h"

#define COUNT(list) (sizeof(list) / sizeof *(list))

static void test_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t count;
        double first, last;
    } cases[] = {
        {"", 0, 0, 0},
        {"none at all", 0, 0, 0},
        {"12", 1, 12, 12},
        {"3 apples and 4 pears are 7", 3, 3, 7},
        {"from -2.5 to $1,250.75", 2, -2.5, 1250.75},
        {"on 2024-05-12 at 10:30, version 1.2.3", 0, 0, 0},
        {"H2O costs 0,125 euros, 5-10 people paid 1e3", 2, 0.125, 1000},
        {"1e999", 0, 0, 0},
        {"7,", 1, 7, 7},
    };
    for (size_t c = 0; c < COUNT(cases); c++) {
        struct numbers found = numbers_in(cases[c].text);
        if (found.count != cases[c].count || found.first != cases[c].first ||
            found.last != cases[c].last)
            fail_msg("\"%s\": %zu numbers, %g to %g", cases[c].text, found.count, found.first,
                     found.last);
    }
}

static void test_final_part(void **state)
{
    (void)state;
    static const struct {
        const char *text, *part;
    } cases[] = {
        {"", ""},
        {"4 + 4 = 8", "4 + 4 = 8"},
        {"4 + 4 = 8\n#### 8", " 8"},
        {"#### 1 #### 2", " 2"},
        {"####", ""},
        {"### 8", "### 8"},
    };
    for (size_t c = 0; c < COUNT(cases); c++)
        assert_string_equal(numbers_final_part(cases[c].text), cases[c].part);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_final_part),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
