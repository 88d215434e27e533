/* SPDX-License-Identifier: Apache-2.0 */
#include "model/engine.h"

#include <malloc.h>
#include <stdlib.h>

#include "model/blas.h"

enum { OWN_MAPPING_BYTES = 1 << 20 };

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

static void empty(struct arena *arena)
{
    arena_release(arena);
    arena_init(arena, arena->meter);
}

void engine_trim(struct engine *engine)
{
    for (int i = 0; i < pool_threads(engine->pool); i++) {
        tape_start(&engine->workspaces[i].tape, false);
        empty(&engine->workspaces[i].tape.grads);
        empty(&engine->workspaces[i].lasting);
        empty(&engine->workspaces[i].arena);
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

struct workspace *engine_workspace(struct engine *engine, int worker, bool recording)
{
    struct workspace *workspace = &engine->workspaces[worker];
    arena_consolidate(&workspace->arena);
    arena_consolidate(&workspace->lasting);
    tape_start(&workspace->tape, recording);
    return workspace;
}
