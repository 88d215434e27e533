/* SPDX-License-Identifier: Apache-2.0
 *
 * Worker threads for independent tasks.
 *
 * The pool hands out task numbers in increasing order to whichever worker is free. What a task
 * computes must depend on its number alone, never on its worker; then results are the same to the
 * bit with any number of threads. Where results have to be added up, a task waits for its turn with
 * pool_turn, so that the sum has one order.
 */
#ifndef BASE_POOL_H
#define BASE_POOL_H

#include <stddef.h>

#include "base/error.h"

struct pool;

/* A task. `worker` is 0 .. pool_threads - 1: use it to pick a workspace, for nothing else. A status
 * other than OK keeps further tasks from starting. Several tasks can fail; the error reported is
 * that of the lowest task number. */
typedef enum status pool_task(void *context, size_t task, int worker, struct error *err);

/* `threads` >= 1. The calling thread is worker 0, so `threads` - 1 are started. */
struct pool *pool_create(int threads);
void pool_free(struct pool *pool); /* NULL is fine */
int pool_threads(const struct pool *pool);

/* Runs tasks 0 .. count - 1 and returns when all that were started have ended. */
enum status pool_run(struct pool *pool, size_t count, pool_task *run, void *context,
                     struct error *err);

/* Inside a task: returns once every task with a lower number has called pool_turn_done or ended.
 * Call pool_turn_done as soon as the ordered part is over; it is implied at the end of a task. */
void pool_turn(struct pool *pool, size_t task);
void pool_turn_done(struct pool *pool, size_t task);

#endif
