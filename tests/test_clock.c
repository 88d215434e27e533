/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/clock.h"

static void test_monotonic(void **state)
{
    (void)state;
    double start = clock_seconds(), before = start;
    for (int i = 0; i < 1000; i++) {
        double now = clock_seconds();
        assert_true(now >= before);
        before = now;
    }
    struct timespec pause = {.tv_nsec = 20000000};
    nanosleep(&pause, NULL);
    double passed = clock_seconds() - start;
    assert_true(passed >= 0.02 && passed < 10); /* seconds, not another unit */
}

static void test_unix(void **state)
{
    (void)state;
    time_t before = time(NULL);
    int64_t now = clock_unix_ms();
    assert_true(now >= (int64_t)before * 1000 - 1000 && now <= (int64_t)before * 1000 + 60000);
}

static void test_deadline(void **state)
{
    (void)state;
    static volatile sig_atomic_t quiet, raised = 1;
    const double past = clock_seconds() - 1, future = past + 3600;
    const struct {
        struct deadline deadline;
        enum status expected;
    } rows[] = {
        {{0, NULL}, OK},
        {{past, NULL}, OUT_OF_TIME},
        {{future, NULL}, OK},
        {{0, &quiet}, OK},
        {{future, &quiet}, OK},
        {{past, &quiet}, OUT_OF_TIME},
        {{0, &raised}, INTERRUPTED},
        {{future, &raised}, INTERRUPTED},
        {{past, &raised}, INTERRUPTED}, /* what the user did comes first */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct error err = {.status = OK};
        assert_int_equal(deadline_check(&rows[i].deadline, &err), rows[i].expected);
        assert_int_equal(err.status, rows[i].expected);
        assert_int_equal(err.text[0] != '\0', rows[i].expected != OK);
        assert_int_equal(deadline_check(&rows[i].deadline, NULL), rows[i].expected);
    }
    assert_int_equal(deadline_check(NULL, NULL), OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_monotonic),
        cmocka_unit_test(test_unix),
        cmocka_unit_test(test_deadline),
    };
    return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
