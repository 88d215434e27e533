/* SPDX-License-Identifier: Apache-2.0 */
#include "base/pool.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/memory.h"

struct worker {
    struct pool *pool;
    pthread_t thread;
    int number;
};

struct pool {
    pthread_mutex_t lock;
    pthread_cond_t work;  /* a new job, or the end */
    pthread_cond_t idle;  /* a worker left the job */
    pthread_cond_t turns; /* `turn` moved on */
    struct worker *workers;
    int threads;
    bool ending;

    /* the job */
    uint64_t job; /* counts jobs, so that a worker joins each one once */
    pool_task *run;
    void *context;
    size_t count;
    size_t next; /* next task to hand out */
    size_t turn; /* lowest task whose ordered part is not over */
    bool *done;  /* per task: its ordered part is over */
    int busy;
    size_t failed_task;
    struct error failure;
};

/* Called with the lock held. */
static void end_turn(struct pool *pool, size_t task)
{
    pool->done[task] = true;
    size_t before = pool->turn;
    while (pool->turn < pool->count && pool->done[pool->turn])
        pool->turn++;
    if (pool->turn != before)
        pthread_cond_broadcast(&pool->turns);
}

/* Takes tasks until none is left. Called with the lock held; releases it around each task. */
static void take_tasks(struct pool *pool, int worker)
{
    pool->busy++;
    while (pool->next < pool->count && pool->failure.status == OK) {
        size_t task = pool->next++;
        pthread_mutex_unlock(&pool->lock);
        struct error err = {0};
        enum status status = pool->run(pool->context, task, worker, &err);
        pthread_mutex_lock(&pool->lock);
        if (status != OK && (pool->failure.status == OK || task < pool->failed_task)) {
            pool->failed_task = task;
            pool->failure = err;
            pool->failure.status = status;
        }
        end_turn(pool, task);
    }
    if (--pool->busy == 0)
        pthread_cond_broadcast(&pool->idle);
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    struct pool *pool = worker->pool;
    uint64_t seen = 0;
    pthread_mutex_lock(&pool->lock);
    while (!pool->ending) {
        if (pool->job == seen) {
            pthread_cond_wait(&pool->work, &pool->lock);
            continue;
        }
        seen = pool->job;
        take_tasks(pool, worker->number);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

struct pool *pool_create(int threads)
{
    struct pool *pool = memory_zalloc(sizeof *pool);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->work, NULL);
    pthread_cond_init(&pool->idle, NULL);
    pthread_cond_init(&pool->turns, NULL);
    pool->workers = memory_zalloc(sizeof *pool->workers * (size_t)threads);
    pool->threads = 1;
    for (int i = 1; i < threads; i++) {
        struct worker *worker = &pool->workers[i];
        *worker = (struct worker){.pool = pool, .number = i};
        if (pthread_create(&worker->thread, NULL, work, worker))
            break; /* fewer threads give the same results, only later */
        pool->threads++;
    }
    return pool;
}

void pool_free(struct pool *pool)
{
    if (!pool)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->ending = true;
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);
    for (int i = 1; i < pool->threads; i++)
        pthread_join(pool->workers[i].thread, NULL);
    pthread_cond_destroy(&pool->turns);
    pthread_cond_destroy(&pool->idle);
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->lock);
    free(pool->workers);
    free(pool);
}

int pool_threads(const struct pool *pool)
{
    return pool->threads;
}

enum status pool_run(struct pool *pool, size_t count, pool_task *run, void *context,
                     struct error *err)
{
    pthread_mutex_lock(&pool->lock);
    pool->run = run;
    pool->context = context;
    pool->count = count;
    pool->next = pool->turn = 0;
    pool->done = memory_zalloc(count * sizeof *pool->done);
    pool->failure = (struct error){.status = OK};
    pool->job++;
    pthread_cond_broadcast(&pool->work);
    take_tasks(pool, 0);
    while (pool->busy)
        pthread_cond_wait(&pool->idle, &pool->lock);
    enum status status = pool->failure.status;
    if (status != OK && err)
        *err = pool->failure;
    free(pool->done);
    pool->done = NULL;
    pthread_mutex_unlock(&pool->lock);
    return status;
}

void pool_turn(struct pool *pool, size_t task)
{
    pthread_mutex_lock(&pool->lock);
    while (pool->turn < task)
        pthread_cond_wait(&pool->turns, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
}

void pool_turn_done(struct pool *pool, size_t task)
{
    pthread_mutex_lock(&pool->lock);
    end_turn(pool, task);
    pthread_mutex_unlock(&pool->lock);
}
