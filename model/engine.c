/* SPDX-License-Identifier: Apache-2.0 */
#include "model/engine.h"

#include <malloc.h>
#include <stdlib.h>

#include "model/blas.h"

enum { OWN_MAPPING_BYTES = 1 << 20, MOST_ROOM = 1 << 30 };

struct engine *engine_create(const struct model *model, int threads)
{
    struct engine *engine = memory_zalloc(sizeof *engine);
    /* Large blocks go back to the system when they are freed, whatever was freed before; left to
     * itself the C library begins to keep them, and then holds more than engine_peak says. */
    mallopt(M_MMAP_THRESHOLD, OWN_MAPPING_BYTES);
    blas_single_thread();
    engine->model = model;
    engine->pool = pool_create(threads);
    size_t workers = (size_t)pool_threads(engine->pool);
    engine->workspaces = memory_zalloc(workers * sizeof *engine->workspaces);
    for (size_t i = 0; i < workers; i++) {
        struct workspace *workspace = &engine->workspaces[i];
        arena_init(&workspace->arena, NULL);
        arena_init(&workspace->lasting, NULL);
        tape_init(&workspace->tape, &workspace->arena, NULL);
    }
    return engine;
}

void engine_free(struct engine *engine)
{
    if (!engine)
        return;
    engine_trim(engine);
    pool_free(engine->pool);
    free(engine->workspaces);
    free(engine);
}

void engine_release(struct engine *engine)
{
    for (int i = 0; i < pool_threads(engine->pool); i++) {
        struct workspace *workspace = &engine->workspaces[i];
        tape_start(&workspace->tape, false);
        arena_release(&workspace->tape.grads);
        arena_release(&workspace->lasting);
        arena_release(&workspace->arena);
    }
}

void engine_trim(struct engine *engine)
{
    engine_release(engine);
    for (int i = 0; i < pool_threads(engine->pool); i++) {
        struct workspace *workspace = &engine->workspaces[i];
        workspace->tape.grads.most = workspace->lasting.most = workspace->arena.most = 0;
    }
    meter_restart(&engine->meter);
}

void engine_reserve(struct engine *engine, size_t bytes)
{
    for (int i = 0; i < pool_threads(engine->pool); i++) {
        struct arena *arena = &engine->workspaces[i].arena;
        arena_consolidate(arena);
        if (arena_held(arena) >= bytes)
            continue;
        arena_release(arena);
        arena_reserve(arena, bytes);
    }
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

size_t engine_peak(const struct engine *engine)
{
    size_t threads = (size_t)pool_threads(engine->pool), arena = 0, lasting = 0, grads = 0;
    for (size_t i = 0; i < threads; i++) {
        arena = larger(arena, engine->workspaces[i].arena.most);
        lasting = larger(lasting, engine->workspaces[i].lasting.most);
        grads = larger(grads, engine->workspaces[i].tape.grads.most);
    }
    return engine->meter.peak + threads * (arena + lasting + grads);
}

/* All that is left for one worker in one piece: packs differ a little, and each that needs more
 * than those before would leave the end of a chunk unused, as large as a portion of a weight. */
static void make_room(const struct engine *engine, struct arena *arena)
{
    size_t share = engine->memory_limit / (size_t)pool_threads(engine->pool);
    if (share && !arena->first)
        arena_reserve_room(arena, share < MOST_ROOM ? share : MOST_ROOM);
}

struct workspace *engine_workspace(struct engine *engine, int worker, bool recording)
{
    struct workspace *workspace = &engine->workspaces[worker];
    arena_consolidate(&workspace->arena);
    make_room(engine, &workspace->arena);
    arena_consolidate(&workspace->lasting);
    tape_start(&workspace->tape, recording);
    return workspace;
}
