/* SPDX-License-Identifier: Apache-2.0
 *
 * The promise of the study file: a process may be killed at any moment, the disk may fill up, two
 * processes may work at once, and still no finished trial is lost and none is counted twice.
 */
#define _DEFAULT_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#include "base/random.h"
#include "tests/store_faults.h"
#include "tests/store_support.h"

enum { MOST_TRIALS = 200 };

/* Which trials were reported as finished, and how often, by their number. */
struct reports {
    int pipe[2];
    int finished[MOST_TRIALS + 1];
};

static void reports_open(struct reports *reports)
{
    if (pipe(reports->pipe) != 0)
        fail_msg("no pipe");
}

/* In the child: trial_finish has said OK. One write of a few bytes is atomic. */
static bool report(const struct reports *reports, int64_t id)
{
    return write(reports->pipe[1], &id, sizeof id) == sizeof id;
}

/* In the parent, when no child writes any more. */
static void reports_read(struct reports *reports)
{
    int64_t id;
    close(reports->pipe[1]);
    while (read(reports->pipe[0], &id, sizeof id) == sizeof id) {
        assert_in_range(id, 1, MOST_TRIALS);
        reports->finished[id]++;
    }
    close(reports->pipe[0]);
}

/* ---- What a worker does --------------------------------------------------------------------- */

/* Everything that is written for one trial. */
static bool run_trial(struct store *store, int64_t id)
{
    struct error err = {0};
    struct loss_row rows[3] = {{1, 4, 9, 1.5, 0.1}, {2, 8, 18, 1.2, 0.1}, {3, 12, 27, 1.1, 0.1}};
    bool good = trial_loss_add(store, id, rows, 3, &err) == OK &&
                trial_checkpoint_save(store, id, 2, "half-way", 8, &err) == OK &&
                trial_artifact_save(store, id, "learned", 7, &err) == OK &&
                small_finish(store, id, &err) == OK;
    if (!good)
        fprintf(stderr, "trial %lld: %s\n", (long long)id, err.text);
    return good;
}

/* Plans and runs trials 1 .. count, as every start of the program does. */
static bool work(struct store *store, int count, const struct reports *reports)
{
    struct error err = {0};
    struct study_record study = small_study();
    if (store_study_put(store, &study, &err))
        return false;
    for (int i = 0; i < count; i++) {
        struct trial_key key = small_key(i);
        enum claim claim;
        int64_t id;
        if (trial_plan(store, &key, &id, &err) || trial_claim(store, id, &claim, &err)) {
            fprintf(stderr, "%s\n", err.text);
            return false;
        }
        if (claim == CLAIM_OURS && (!run_trial(store, id) || !report(reports, id)))
            return false;
    }
    return true;
}

static _Noreturn void child_works(const char *path, int count, const struct reports *reports)
{
    struct store *store;
    struct error err = {0};
    bool good = store_open(path, STORE_CREATE, &store, &err) == OK && work(store, count, reports);
    if (err.status)
        fprintf(stderr, "%s\n", err.text);
    store_close(store);
    _exit(good ? 0 : 1);
}

/* True when it ended by itself, false when it was killed. */
static bool child_ended(pid_t child)
{
    int state;
    assert_int_equal(waitpid(child, &state, 0), child);
    if (WIFSIGNALED(state) && WTERMSIG(state) == SIGKILL)
        return false;
    assert_true(WIFEXITED(state));
    assert_int_equal(WEXITSTATUS(state), 0);
    return true;
}

/* What has to hold after every end: the file is sound, reported trials are done, and whatever is
 * done is done completely. */
static size_t check_file(const struct study_place *place, const struct reports *reports)
{
    struct error err = {0};
    struct arena arena;
    struct trial_record *records;
    size_t count, done = 0;
    arena_init(&arena, NULL);
    struct store *store = must_open(place->file, STORE_CREATE);
    must_be_sound(store);
    must(store_trials(store, &arena, &records, &count, &err), &err);
    for (size_t i = 0; i < count; i++) {
        bool is_done = records[i].status == TRIAL_DONE;
        assert_true(is_done || !reports->finished[records[i].id]);
        assert_true(records[i].status != TRIAL_RUNNING); /* its process is gone */
        assert_int_equal(records[i].dev_predictions, is_done ? SMALL_DEV : 0);
        done += is_done;
    }
    for (int id = (int)count + 1; id <= MOST_TRIALS; id++)
        assert_int_equal(reports->finished[id], 0);
    store_close(store);
    arena_release(&arena);
    return done;
}

static void add_reports(struct reports *sum, const struct reports *more)
{
    for (int id = 1; id <= MOST_TRIALS; id++) {
        sum->finished[id] += more->finished[id];
        assert_in_range(sum->finished[id], 0, 1); /* never finished twice */
    }
}

/* ---- Kill at every write -------------------------------------------------------------------- */

/* A child that is killed at its write number `at`; then another one that finishes the work. */
static bool killed_at(const struct study_place *place, int flags, long at)
{
    enum { TRIALS = 2 };
    struct reports reports = {0}, later = {0};
    reports_open(&reports);
    pid_t child = fork();
    if (child == 0) {
        disk_set(FAULT_KILL, at);
        struct store *store;
        bool good =
            store_open(place->file, flags, &store, NULL) == OK && work(store, TRIALS, &reports);
        store_close(store);
        _exit(good ? 0 : 1);
    }
    bool ended = child_ended(child);
    reports_read(&reports);
    check_file(place, &reports);
    reports_open(&later);
    child = fork();
    if (child == 0)
        child_works(place->file, TRIALS, &later);
    assert_true(child_ended(child));
    reports_read(&later);
    add_reports(&reports, &later);
    assert_int_equal(check_file(place, &reports), TRIALS);
    place_empty(place);
    return ended;
}

static void kill_everywhere(int flags)
{
    struct study_place place;
    place_enter(&place);
    long at = 1;
    while (!killed_at(&place, flags, at))
        at += at < 40 ? 1 : 3; /* all of the creation, a third of the rest */
    assert_true(at > 80);
    place_leave(&place);
}

static void test_kill_at_every_write(void **state)
{
    (void)state;
    kill_everywhere(STORE_CREATE);
}

static void test_kill_at_every_write_one_writer(void **state)
{
    (void)state;
    kill_everywhere(STORE_CREATE | STORE_ONE_WRITER);
}

/* ---- Kill at any time ----------------------------------------------------------------------- */

static void pause_ms(double ms)
{
    struct timespec time = {.tv_sec = 0, .tv_nsec = (long)(1e6 * ms)};
    nanosleep(&time, NULL);
}

/* Twenty kills, then one run to the end. */
static void test_kill_at_any_time(void **state)
{
    (void)state;
    enum { KILLS = 20, TRIALS = MOST_TRIALS };
    struct study_place place;
    struct reports all = {0};
    struct random random = random_stream(1, "kill", 0);
    place_enter(&place);
    size_t done = 0;
    int kills = 0;
    for (int round = 0; round <= KILLS; round++) {
        struct reports reports = {0};
        reports_open(&reports);
        pid_t child = fork();
        if (child == 0)
            child_works(place.file, TRIALS, &reports);
        if (round < KILLS) {
            pause_ms(1 + 8 * random_uniform(&random));
            kill(child, SIGKILL);
        }
        kills += !child_ended(child);
        reports_read(&reports);
        add_reports(&all, &reports);
        size_t before = done;
        done = check_file(&place, &all);
        assert_true(done >= before);
    }
    assert_int_equal(done, TRIALS);
    assert_true(kills >= KILLS / 2);
    place_leave(&place);
}

/* ---- Two at once ---------------------------------------------------------------------------- */

static _Noreturn void child_adds(const char *path, int count, const struct reports *reports)
{
    struct store *store;
    struct error err = {0};
    bool good = store_open(path, STORE_CREATE, &store, &err) == OK;
    for (int i = 0; good && i < count; i++) {
        struct trial_key key = small_key(i);
        enum claim claim;
        int64_t id;
        good =
            trial_plan(store, &key, &id, &err) == OK && trial_claim(store, id, &claim, &err) == OK;
        if (good && claim == CLAIM_OURS) {
            pause_ms(1); /* long enough for the other to come upon it */
            good = run_trial(store, id) && report(reports, id);
        }
        if (good)
            good = store_add_spent(store, 0.5, NULL, &err) == OK &&
                   store_log(store, "note", "done", &err) == OK;
    }
    if (!good)
        fprintf(stderr, "%s\n", err.text);
    store_close(store);
    _exit(good ? 0 : 1);
}

static void test_two_writers(void **state)
{
    (void)state;
    enum { WRITERS = 2, TRIALS = MOST_TRIALS };
    struct study_place place;
    struct error err = {0};
    struct reports reports = {0};
    struct study_record study = small_study();
    place_enter(&place);
    struct store *store = must_open(place.file, STORE_CREATE);
    must(store_study_put(store, &study, &err), &err);
    store_close(store);
    reports_open(&reports);
    pid_t children[WRITERS];
    for (int i = 0; i < WRITERS; i++)
        if ((children[i] = fork()) == 0)
            child_adds(place.file, TRIALS, &reports);
    for (int i = 0; i < WRITERS; i++)
        assert_true(child_ended(children[i]));
    reports_read(&reports);
    for (int id = 1; id <= TRIALS; id++)
        assert_int_equal(reports.finished[id], 1);
    assert_int_equal(check_file(&place, &reports), TRIALS);

    bool found;
    struct event *events;
    size_t count;
    store = must_open(place.file, STORE_EXISTING);
    must(store_study_get(store, &place.arena, &study, &found, &err), &err);
    assert_true(study.spent_seconds == 0.5 * WRITERS * TRIALS);
    must(store_events(store, &place.arena, &events, &count, &err), &err);
    assert_int_equal(count, WRITERS * TRIALS);
    store_close(store);
    place_leave(&place);
}

/* Both make the file. */
static void test_two_creators(void **state)
{
    (void)state;
    struct study_place place;
    place_enter(&place);
    for (int round = 0; round < 20; round++) {
        struct reports reports = {0};
        pid_t children[2];
        reports_open(&reports);
        for (int i = 0; i < 2; i++)
            if ((children[i] = fork()) == 0)
                child_works(place.file, 2, &reports);
        for (int i = 0; i < 2; i++)
            assert_true(child_ended(children[i]));
        reports_read(&reports);
        assert_true(reports.finished[1] == 1 && reports.finished[2] == 1);
        assert_int_equal(check_file(&place, &reports), 2);
        place_empty(&place);
    }
    place_leave(&place);
}

/* ---- A disk that fails ---------------------------------------------------------------------- */

/* The disk fails at write `at` and from then on. True when it did so before the work was done. */
static bool fails_at(const struct study_place *place, enum fault fault, const char *words, long at)
{
    struct error err = {0};
    struct store *store = must_open(place->file, STORE_CREATE);
    struct trial_key key = small_key(0);
    enum claim claim;
    int64_t id;
    must(trial_plan(store, &key, &id, &err), &err);
    must(trial_claim(store, id, &claim, &err), &err);
    disk_set(fault, at);
    enum status status = small_finish(store, id, &err);
    disk_set(FAULT_NONE, 0);
    if (status) {
        must_refuse(status, FAILED, &err, words);
        must_refuse(status, FAILED, &err, place->file);
        must_be_sound(store);
        must(small_finish(store, id, &err), &err); /* the disk has space again */
    }
    must_be_sound(store);
    store_close(store);
    place_empty(place);
    return status != OK;
}

static void test_full_disk(void **state)
{
    (void)state;
    struct study_place place;
    long at = 1;
    place_enter(&place);
    while (fails_at(&place, FAULT_FULL, "the disk is full", at) && at < 1000)
        at++;
    assert_in_range(at, 4, 999);
    place_leave(&place);
}

static void test_broken_disk(void **state)
{
    (void)state;
    struct study_place place;
    long at = 1;
    place_enter(&place);
    while (fails_at(&place, FAULT_BROKEN, "writing the disk failed", at) && at < 1000)
        at++;
    assert_in_range(at, 4, 999);
    place_leave(&place);
}

/* A finished trial has reached the platter before trial_finish returns: a power cut is no kill. */
static void test_finish_is_synced(void **state)
{
    (void)state;
    struct study_place place;
    struct error err = {0};
    place_enter(&place);
    for (int flags = STORE_CREATE; flags < STORE_CREATE + 2 * STORE_ONE_WRITER;
         flags += STORE_ONE_WRITER) {
        struct store *store = must_open(place.file, flags);
        struct trial_key key = small_key(flags);
        enum claim claim;
        int64_t id;
        must(trial_plan(store, &key, &id, &err), &err);
        must(trial_claim(store, id, &claim, &err), &err);
        disk_set(FAULT_NONE, 0);
        must(small_finish(store, id, &err), &err);
        assert_true(disk.syncs >= 1 && disk.writes > disk.syncs);
        store_close(store);
    }
    place_leave(&place);
}

int main(void)
{
    disk_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kill_at_every_write),
        cmocka_unit_test(test_kill_at_every_write_one_writer),
        cmocka_unit_test(test_kill_at_any_time),
        cmocka_unit_test(test_two_writers),
        cmocka_unit_test(test_two_creators),
        cmocka_unit_test(test_finish_is_synced),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_broken_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
