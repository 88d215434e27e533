/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/pool.h"
#include "base/random.h"

#define COUNT(table) (sizeof(table) / sizeof *(table))

static const int threads[] = {1, 2, 5};

enum { TASKS = 200 };

struct job {
    struct pool *pool;
    double values[TASKS]; /* what each task computed */
    int runs[TASKS];      /* how often each ran */
    double sum;           /* added up in turn */
    size_t order[TASKS];  /* tasks in the order of their turns */
    size_t turns;
    int workers;
    atomic_bool busy[8]; /* a worker runs one task at a time */
    atomic_int mistakes;
};

/* A pause that depends on the task, so that tasks end in another order than they start. */
static void pause_some(size_t task)
{
    struct random random = random_stream(3, "pause", task);
    struct timespec time = {.tv_nsec = (long)random_below(&random, 100) * 1000};
    nanosleep(&time, NULL);
}

static enum status add_in_turn(void *context, size_t task, int worker, struct error *err)
{
    (void)err;
    struct job *job = context;
    if (worker < 0 || worker >= job->workers || atomic_exchange(&job->busy[worker], true))
        atomic_fetch_add(&job->mistakes, 1);
    pause_some(task);
    struct random random = random_stream(7, "task", task);
    job->values[task] = random_normal(&random) * (task % 7 == 0 ? 1e12 : 1e-3);
    job->runs[task]++;
    pool_turn(job->pool, task);
    job->sum += job->values[task];
    job->order[job->turns++] = task;
    if (task % 3)
        pool_turn_done(job->pool, task); /* else the end of the task implies it */
    atomic_store(&job->busy[worker], false);
    return OK;
}

static void test_same_results(void **state)
{
    (void)state;
    static struct job jobs[COUNT(threads)];
    for (size_t t = 0; t < COUNT(threads); t++) {
        struct job *job = &jobs[t];
        memset(job, 0, sizeof *job);
        job->pool = pool_create(threads[t]);
        job->workers = pool_threads(job->pool);
        assert_int_equal(job->workers, threads[t]);
        struct error err;
        assert_int_equal(pool_run(job->pool, TASKS, add_in_turn, job, &err), OK);
        assert_int_equal(atomic_load(&job->mistakes), 0);
        assert_int_equal(job->turns, TASKS);
        for (size_t i = 0; i < TASKS; i++) {
            assert_int_equal(job->runs[i], 1);
            assert_int_equal(job->order[i], i);
        }
        assert_memory_equal(&job->sum, &jobs[0].sum, sizeof job->sum); /* to the bit */
        assert_memory_equal(job->values, jobs[0].values, sizeof job->values);
        pool_free(job->pool);
    }
}

/* ---- failure ---- */

struct failing {
    struct pool *pool;
    size_t first, second; /* tasks that fail; the first one late */
    atomic_size_t started;
    bool turns;
};

static enum status fail_some(void *context, size_t task, int worker, struct error *err)
{
    (void)worker;
    struct failing *f = context;
    atomic_fetch_add(&f->started, 1);
    if (f->turns)
        pool_turn(f->pool, task); /* no task may wait for one that never ran */
    if (task == f->first) {
        struct timespec time = {.tv_nsec = 3000000};
        nanosleep(&time, NULL);
        return error_set(err, BAD_DATA, "task %zu failed", task);
    }
    if (task == f->second)
        return error_set(err, FAILED, "task %zu failed", task);
    return OK;
}

static void test_lowest_failure(void **state)
{
    (void)state;
    static const size_t pairs[][2] = {{0, 1}, {4, 5}, {7, TASKS}, {TASKS - 1, TASKS}};
    for (size_t t = 0; t < COUNT(threads); t++)
        for (size_t p = 0; p < COUNT(pairs); p++)
            for (int turns = 0; turns < 2; turns++) {
                struct pool *pool = pool_create(threads[t]);
                struct failing f = {
                    .pool = pool, .first = pairs[p][0], .second = pairs[p][1], .turns = turns};
                struct error err;
                char expected[64];
                snprintf(expected, sizeof expected, "task %zu failed", f.first);
                assert_int_equal(pool_run(pool, TASKS, fail_some, &f, &err), BAD_DATA);
                assert_int_equal(err.status, BAD_DATA);
                assert_string_equal(err.text, expected);
                assert_true(atomic_load(&f.started) > f.first);
                if (threads[t] == 1)
                    assert_int_equal(atomic_load(&f.started), f.first + 1);
                f = (struct failing){.pool = pool, .first = TASKS, .second = TASKS};
                assert_int_equal(pool_run(pool, TASKS, fail_some, &f, &err), OK); /* recovers */
                assert_int_equal(atomic_load(&f.started), TASKS);
                pool_free(pool);
            }
}

static enum status fail_silently(void *context, size_t task, int worker, struct error *err)
{
    (void)context;
    (void)worker;
    (void)err;
    return task == 2 ? OUT_OF_TIME : OK;
}

/* No task is started after a failure, and a status without a sentence is passed on. */
static void test_stops_early(void **state)
{
    (void)state;
    struct pool *pool = pool_create(2);
    struct error err;
    assert_int_equal(pool_run(pool, (size_t)1 << 24, fail_silently, NULL, &err), OUT_OF_TIME);
    assert_int_equal(err.status, OUT_OF_TIME);
    assert_int_equal(pool_run(pool, 5, fail_silently, NULL, NULL), OUT_OF_TIME);
    pool_free(pool);
}

/* ---- many small jobs ---- */

static enum status count(void *context, size_t task, int worker, struct error *err)
{
    (void)worker;
    (void)err;
    atomic_size_t *sum = context;
    atomic_fetch_add(sum, task + 1);
    return OK;
}

static void test_many_jobs(void **state)
{
    (void)state;
    for (size_t t = 0; t < COUNT(threads); t++) {
        struct pool *pool = pool_create(threads[t]);
        for (size_t i = 0; i < 4000; i++) {
            atomic_size_t sum = 0;
            size_t tasks = i % 8;
            assert_int_equal(pool_run(pool, tasks, count, &sum, NULL), OK);
            assert_int_equal(atomic_load(&sum), tasks * (tasks + 1) / 2);
        }
        pool_free(pool);
    }
}

static void test_lifetime(void **state)
{
    (void)state;
    pool_free(NULL);
    for (int i = 0; i < 200; i++)
        pool_free(pool_create(1 + i % 4)); /* threads that never saw a job */
}

/* Worker 0 is the caller, so a pool of one thread starts none. */
static enum status note_order(void *context, size_t task, int worker, struct error *err)
{
    (void)err;
    struct job *job = context;
    job->mistakes += worker != 0;
    job->order[job->turns++] = task;
    return OK;
}

static void test_one_thread(void **state)
{
    (void)state;
    static struct job job;
    struct pool *pool = pool_create(1);
    assert_int_equal(pool_run(pool, TASKS, note_order, &job, NULL), OK);
    assert_int_equal(job.turns, TASKS);
    for (size_t i = 0; i < TASKS; i++)
        assert_int_equal(job.order[i], i);
    assert_int_equal(atomic_load(&job.mistakes), 0);
    pool_free(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_results), cmocka_unit_test(test_lowest_failure),
        cmocka_unit_test(test_stops_early),  cmocka_unit_test(test_many_jobs),
        cmocka_unit_test(test_lifetime),     cmocka_unit_test(test_one_thread),
    };
    return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
