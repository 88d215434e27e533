/* SPDX-License-Identifier: Apache-2.0
 *
 * Whose a running trial is: what its process may do that others may not, and what happens to a
 * trial that was left behind.
 */
#define _DEFAULT_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/clock.h"
#include "tests/store_suite.h"

/* A running trial whose row says something else about who runs it. */
static void test_left_behind(void **state)
{
    struct study_place *place = *state;
    struct error err = {0};
    static const struct {
        const char *change;
        bool left;
    } rows[] = {
        {"heartbeat_ms = heartbeat_ms", false},
        {"boot_id = 'another start'", true},
        {"pid = 2147483647", true},
        {"process_start = process_start + 1", true},      /* the number was given out again */
        {"heartbeat_ms = heartbeat_ms - 3600000", false}, /* silent, but it lives */
        {"process_start = 0, heartbeat_ms = heartbeat_ms - 61000", true},
        {"process_start = 0, heartbeat_ms = heartbeat_ms - 50000", false},
        {"host = 'elsewhere', pid = 2147483647", false},
        {"host = 'elsewhere', heartbeat_ms = heartbeat_ms - 61000", true},
        {"host = 'elsewhere', boot_id = 'x'", false},
    };
    struct store *store = start(place, 1);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char script[300];
        enum claim claim;
        raw_sql(place->file, "UPDATE trial SET status = 'planned'");
        must_claim(store, 1, CLAIM_OURS);
        snprintf(script, sizeof script, "UPDATE trial SET %s", rows[i].change);
        raw_sql(place->file, script);
        store_close(store);
        store = must_open(place->file, STORE_READ); /* changes nothing */
        assert_int_equal(read_trial(place, store, 1).status, TRIAL_RUNNING);
        store_close(store);
        store = must_open(place->file, STORE_EXISTING);
        struct trial_record found = read_trial(place, store, 1);
        if (found.status != (rows[i].left ? TRIAL_INTERRUPTED : TRIAL_RUNNING))
            fail_msg("%s: %s", rows[i].change, trial_status_name(found.status));
        assert_true((strstr(found.reason, "without finishing") != NULL) == rows[i].left);
        must(trial_claim(store, 1, &claim, &err), &err);
        assert_int_equal(claim, rows[i].left ? CLAIM_OURS : CLAIM_OTHER);
    }
    struct event *events;
    size_t count;
    must(store_events(store, &place->arena, &events, &count, &err), &err);
    assert_int_equal(count, 5);
    assert_string_equal(events[0].kind, "interrupted");
    assert_non_null(strstr(events[0].text, "trial 1"));
    store_close(store);
}

/* Somebody else took the trial: the former owner may write nothing more. */
static void test_lost_trial(void **state)
{
    struct study_place *place = *state;
    struct error err = {0};
    struct store *store = start(place, 1);
    must_claim(store, 1, CLAIM_OURS);
    must(trial_heartbeat(store, 1, &err), &err);
    raw_sql(place->file, "UPDATE trial SET host = 'elsewhere', pid = 77");
    must(trial_heartbeat(store, 1, &err), &err); /* too soon after the last to look */
    struct loss_row row = {1, 2, 3, 0.5, 0.01};
    must_refuse(small_finish(store, 1, &err), FAILED, &err, "process 77 on elsewhere");
    must_refuse(trial_loss_add(store, 1, &row, 1, &err), FAILED, &err, "process 77");
    must_refuse(trial_checkpoint_save(store, 1, 1, "x", 1, &err), FAILED, &err, "process 77");
    must_refuse(trial_artifact_save(store, 1, "x", 1, &err), FAILED, &err, "process 77");
    must_refuse(trial_settle(store, 1, TRIAL_FAILED, "", &err), FAILED, &err, "process 77");
    must_be_sound(store);
    store_close(store);
    store = must_open(place->file, STORE_EXISTING);
    must_refuse(trial_heartbeat(store, 1, &err), FAILED, &err, "process 77");
    store_close(store);
}

/* All four parts of the owner's identity count. */
static void test_owner(void **state)
{
    struct study_place *place = *state;
    struct error err = {0};
    static const char *const changes[] = {"host = 'x'", "boot_id = 'x'", "pid = pid + 1",
                                          "process_start = process_start + 1"};
    struct store *store = start(place, 1);
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        char script[200];
        raw_sql(place->file, "UPDATE trial SET status = 'planned'");
        must_claim(store, 1, CLAIM_OURS);
        snprintf(script, sizeof script, "UPDATE trial SET %s", changes[i]);
        raw_sql(place->file, script);
        must_refuse(small_finish(store, 1, &err), FAILED, &err, "belongs to process");
    }
    store_close(store);
}

static void test_heartbeat(void **state)
{
    struct study_place *place = *state;
    struct error err = {0};
    struct store *store = start(place, 1);
    must_claim(store, 1, CLAIM_OURS);
    raw_sql(place->file, "UPDATE trial SET heartbeat_ms = 5");
    must(trial_heartbeat(store, 1, &err), &err);
    int64_t first = read_trial(place, store, 1).heartbeat_ms;
    assert_true(llabs(clock_unix_ms() - first) < 60000);
    raw_sql(place->file, "UPDATE trial SET heartbeat_ms = 6");
    must(trial_heartbeat(store, 1, &err), &err); /* within ten seconds: not written */
    assert_int_equal(read_trial(place, store, 1).heartbeat_ms, 6);
    store_close(store);
}

/* A child that is killed leaves its trial behind, checkpoint and all. */
static void test_dead_child(void **state)
{
    struct study_place *place = *state;
    struct error err = {0};
    store_close(start(place, 2));
    pid_t child = fork();
    if (child == 0) {
        struct store *mine;
        enum claim claim;
        bool good = store_open(place->file, STORE_EXISTING, &mine, &err) == OK &&
                    trial_claim(mine, 1, &claim, &err) == OK && claim == CLAIM_OURS &&
                    trial_checkpoint_save(mine, 1, 40, "state", 5, &err) == OK;
        if (good)
            raise(SIGKILL);
        _exit(1);
    }
    int ended;
    waitpid(child, &ended, 0);
    assert_true(WIFSIGNALED(ended) && WTERMSIG(ended) == SIGKILL);
    struct store *store = must_open(place->file, STORE_EXISTING);
    assert_int_equal(read_trial(place, store, 1).status, TRIAL_INTERRUPTED);
    must_claim(store, 1, CLAIM_OURS);
    int64_t step;
    const void *bytes;
    size_t length;
    must(trial_checkpoint_load(store, 1, &place->arena, &step, &bytes, &length, &err), &err);
    assert_true(step == 40 && length == 5 && memcmp(bytes, "state", 5) == 0);
    store_close(store);
}

/* A store of the parent is of no use in the child. When all is well the child kills itself, since a
 * leak checker would find what it may not close. */
static void test_fork_refused(void **state)
{
    struct study_place *place = *state;
    struct store *store = start(place, 1);
    pid_t child = fork();
    if (child == 0) {
        struct error err = {0};
        enum claim claim;
        if (trial_claim(store, 1, &claim, &err) == FAILED && strstr(err.text, "another process"))
            raise(SIGKILL);
        _exit(1);
    }
    int ended;
    waitpid(child, &ended, 0);
    assert_true(WIFSIGNALED(ended) && WTERMSIG(ended) == SIGKILL);
    store_close(store);
}

int main(void)
{
    disk_install(); /* without waiting for the platter */
    const struct CMUnitTest tests[] = {
        TEST(test_left_behind), TEST(test_lost_trial), TEST(test_owner),
        TEST(test_heartbeat),   TEST(test_dead_child), TEST(test_fork_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
