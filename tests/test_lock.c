/* SPDX-License-Identifier: Apache-2.0
 *
 * The lock file: one holder, none that outlives its process, none left behind.
 */
#define _XOPEN_SOURCE 700
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/lock.h"

struct place {
    char folder[64], path[80];
};

static int enter(void **state)
{
    static struct place place;
    snprintf(place.folder, sizeof place.folder, "/tmp/lock-XXXXXX");
    assert_non_null(mkdtemp(place.folder));
    snprintf(place.path, sizeof place.path, "%s/x-lock", place.folder);
    *state = &place;
    return 0;
}

static int leave(void **state)
{
    const struct place *place = *state;
    return rmdir(place->folder); /* fails when a lock is left */
}

static void one_holder(void **state)
{
    const struct place *place = *state;
    int first, second;
    assert_int_equal(lock_try(place->path, &first), LOCK_TAKEN);
    assert_int_equal(lock_try(place->path, &second), LOCK_BUSY);
    assert_int_equal(second, -1);
    lock_release(place->path, &first);
    assert_int_equal(first, -1);
    assert_int_equal(access(place->path, F_OK), -1);
    assert_int_equal(lock_try(place->path, &second), LOCK_TAKEN);
    lock_release(place->path, &first); /* of nothing */
    assert_int_equal(access(place->path, F_OK), 0);
    lock_release(place->path, &second);
}

static void goes_with_its_process(void **state)
{
    const struct place *place = *state;
    int lock, status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (!child)
        _exit(lock_try(place->path, &lock) == LOCK_TAKEN ? 0 : 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_int_equal(access(place->path, F_OK), 0); /* the file is left, the lock is not */
    assert_int_equal(lock_try(place->path, &lock), LOCK_TAKEN);
    lock_release(place->path, &lock);
}

static void needs_its_folder(void **state)
{
    (void)state;
    int lock = 7;
    assert_int_equal(lock_try("/no/such/folder/lock", &lock), LOCK_IMPOSSIBLE);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(lock, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_holder, enter, leave),
        cmocka_unit_test_setup_teardown(goes_with_its_process, enter, leave),
        cmocka_unit_test(needs_its_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
