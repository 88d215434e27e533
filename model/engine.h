/* SPDX-License-Identifier: Apache-2.0
 *
 * A model together with the threads and the memory that run it.
 */
#ifndef MODEL_ENGINE_H
#define MODEL_ENGINE_H

#include "base/memory.h"
#include "base/pool.h"
#include "model/tape.h"
#include "model/transformer.h"

/* What one worker computes in. Nothing survives from one task to the next. */
struct workspace {
    struct arena arena;
    struct arena lasting; /* for what a task of many steps keeps, each of which empties `arena` */
    struct tape tape;
};

struct engine {
    const struct model *model; /* not owned */
    struct pool *pool;
    struct workspace *workspaces; /* (threads), indexed by the worker number of a task */
    struct meter meter;  /* memory beyond the weights and the workspaces: caches, parameters */
    size_t memory_limit; /* most bytes that engine_peak may come to, for training to keep to; 0:
                            there is no limit */
    bool recompute;      /* training runs layers again instead of keeping what they computed; set
                           it where memory is short (struct pass) */
};

/* `threads` >= 1. The engine itself cannot fail; it must be released before the model. */
struct engine *engine_create(const struct model *model, int threads);
void engine_free(struct engine *engine); /* NULL is fine */

/* Returns the memory of all workspaces to the system and starts the peak anew. */
void engine_trim(struct engine *engine);

/* Returns it alone: for work of another kind, since what one kind held and the other cannot use
 * would come on top of it. */
void engine_release(struct engine *engine);

/* Empties all workspaces and gives each an arena with room for `bytes` bytes in one piece, unless
 * it has it. */
void engine_reserve(struct engine *engine, size_t bytes);

/* Most bytes beyond the weights since engine_trim: what was held at once outside the workspaces,
 * and for every worker a workspace as large as the largest task needed. Which worker ran which task
 * makes no difference, so the same work has the same peak every time. */
size_t engine_peak(const struct engine *engine);

/* The workspace of `worker`, emptied, its tape recording or not. */
struct workspace *engine_workspace(struct engine *engine, int worker, bool recording);

#endif
