/* SPDX-License-Identifier: Apache-2.0 */
#include "model/engine.h"

#include <stdlib.h>

#include "model/blas.h"

struct engine *engine_create(const struct model *model, int threads)
{
    struct engine *engine = memory_zalloc(sizeof *engine);
    blas_single_thread();
    engine->model = model;
    engine->pool = pool_create(threads);
    size_t workers = (size_t)pool_threads(engine->pool);
    engine->workspaces = memory_zalloc(workers * sizeof *engine->workspaces);
    for (size_t i = 0; i < workers; i++) {
        struct workspace *workspace = &engine->workspaces[i];
        arena_init(&workspace->arena, &engine->meter);
        tape_init(&workspace->tape, &workspace->arena, &engine->meter);
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

void engine_trim(struct engine *engine)
{
    for (int i = 0; i < pool_threads(engine->pool); i++) {
        tape_start(&engine->workspaces[i].tape, false);
        arena_release(&engine->workspaces[i].tape.grads);
        arena_release(&engine->workspaces[i].arena);
    }
}

struct workspace *engine_workspace(struct engine *engine, int worker, bool recording)
{
    struct workspace *workspace = &engine->workspaces[worker];
    arena_consolidate(&workspace->arena);
    tape_start(&workspace->tape, recording);
    return workspace;
}
