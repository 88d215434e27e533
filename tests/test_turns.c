/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "base/pool.h"
#include "base/random.h"
#include "base/turns.h"

#define COUNT(table) (sizeof(table) / sizeof *(table))

static const int threads[] = {1, 2, 5};

enum { TASKS = 40, SECTIONS = 9 };

struct job {
    struct turns *turns;
    size_t order[SECTIONS][TASKS]; /* tasks in the order in which they passed */
    size_t passed[SECTIONS];
    size_t failing;        /* the task that gives up; TASKS: none does */
    atomic_size_t refused; /* waits that ended because of it */
};

static void pause_some(size_t task, size_t section)
{
    struct random random = random_stream(3, "pause", task * SECTIONS + section);
    struct timespec time = {.tv_nsec = (long)random_below(&random, 40) * 1000};
    nanosleep(&time, NULL);
}

/* Passes every section, some of them in another order than others. */
static enum status pass_all(void *context, size_t task, int worker, struct error *err)
{
    (void)worker;
    struct job *job = context;
    if (task == job->failing) {
        turns_give_up(job->turns);
        return error_set(err, FAILED, "task %zu failed", task);
    }
    for (size_t i = 0; i < SECTIONS; i++) {
        size_t section = SECTIONS - 1 - i;
        pause_some(task, section);
        if (!turns_wait(job->turns, section, task)) {
            atomic_fetch_add(&job->refused, 1);
            continue;
        }
        job->order[section][job->passed[section]++] = task;
        if (turns_passed(job->turns, section, task))
            return error_set(err, FAILED, "task %zu passed too early", task);
        turns_pass(job->turns, section);
        if (!turns_passed(job->turns, section, task))
            return error_set(err, FAILED, "task %zu did not pass", task);
    }
    return OK;
}

static void test_order(void **state)
{
    (void)state;
    for (size_t t = 0; t < COUNT(threads); t++) {
        struct arena arena;
        struct error err;
        arena_init(&arena, NULL);
        struct pool *pool = pool_create(threads[t]);
        struct job job = {.turns = turns_create(&arena, SECTIONS), .failing = TASKS};
        for (int round = 0; round < 3; round++) {
            turns_restart(job.turns);
            for (size_t s = 0; s < SECTIONS; s++)
                job.passed[s] = 0;
            assert_int_equal(pool_run(pool, TASKS, pass_all, &job, &err), OK);
            for (size_t s = 0; s < SECTIONS; s++) {
                assert_int_equal(job.passed[s], TASKS);
                for (size_t i = 0; i < TASKS; i++)
                    assert_int_equal(job.order[s][i], i);
            }
        }
        assert_int_equal(atomic_load(&job.refused), 0);
        pool_free(pool);
        turns_end(job.turns);
        arena_release(&arena);
    }
}

/* Nobody waits for a task that failed, and the next round begins anew. */
static void test_giving_up(void **state)
{
    (void)state;
    static const size_t failing[] = {0, 1, 7, TASKS - 1};
    for (size_t t = 0; t < COUNT(threads); t++)
        for (size_t f = 0; f < COUNT(failing); f++) {
            struct arena arena;
            struct error err;
            arena_init(&arena, NULL);
            struct pool *pool = pool_create(threads[t]);
            struct job job = {.turns = turns_create(&arena, SECTIONS), .failing = failing[f]};
            assert_int_equal(pool_run(pool, TASKS, pass_all, &job, &err), FAILED);
            turns_restart(job.turns);
            job.failing = TASKS;
            for (size_t s = 0; s < SECTIONS; s++)
                job.passed[s] = 0;
            atomic_store(&job.refused, 0);
            assert_int_equal(pool_run(pool, TASKS, pass_all, &job, &err), OK);
            assert_int_equal(job.passed[0], TASKS);
            assert_int_equal(atomic_load(&job.refused), 0);
            pool_free(pool);
            turns_end(job.turns);
            arena_release(&arena);
        }
    turns_end(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_giving_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
