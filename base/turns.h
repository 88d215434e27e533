/* SPDX-License-Identifier: Apache-2.0
 *
 * Many ordered sections that the tasks of a pool pass, each one in the order of the task numbers:
 * what pool_turn is for a single one. A sum as large as a model is so added up in place, piece by
 * piece, while the tasks are under way, and has one order whatever the number of threads.
 */
#ifndef BASE_TURNS_H
#define BASE_TURNS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/memory.h"

struct turns;

/* Its memory is `arena`'s; end it before that goes. */
struct turns *turns_create(struct arena *arena, size_t sections);
void turns_end(struct turns *turns); /* NULL is fine */

/* Before a run of tasks, which have to pass every section: nobody has passed any. */
void turns_restart(struct turns *turns);

/* Inside a task: returns true once every task with a lower number has passed the section; from then
 * on it is this task's, until turns_pass. False: a task gave up, and the section must be left
 * alone. Tasks must start in the order of their numbers, as those of a pool do. */
bool turns_wait(struct turns *turns, size_t section, size_t task);
void turns_pass(struct turns *turns, size_t section);

bool turns_passed(struct turns *turns, size_t section, size_t task);

/* A task that fails passes nothing any more: nobody waits for it until turns_restart. */
void turns_give_up(struct turns *turns);

#endif
