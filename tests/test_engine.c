/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/engine.h"

enum { KIB = 1024, THREADS = 3 };

/* ---- Bytes in use --------------------------------------------------------------------------- */

static void test_most_bytes_of_an_arena(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, NULL);
    arena_alloc(&arena, 100 * KIB);
    assert_int_equal(arena.most, 100 * KIB);
    struct arena_mark mark = arena_mark(&arena);
    arena_alloc(&arena, 300 * KIB); /* in a chunk of its own */
    arena_alloc(&arena, 300 * KIB); /* and another */
    assert_int_equal(arena.most, 700 * KIB);
    arena_rewind(&arena, mark);
    arena_alloc(&arena, 500 * KIB); /* 600 at once */
    assert_int_equal(arena.most, 700 * KIB);
    arena_alloc(&arena, 200 * KIB);
    assert_int_equal(arena.most, 800 * KIB);
    arena_clear(&arena);
    arena_alloc(&arena, 64);
    assert_int_equal(arena.most, 800 * KIB);
    arena_consolidate(&arena);
    arena_alloc(&arena, 900 * KIB);
    assert_int_equal(arena.most, 900 * KIB);
    arena_release(&arena);
    assert_int_equal(arena.most, 900 * KIB); /* what was held once stays known */
    arena_init(&arena, NULL);
    assert_int_equal(arena.most, 0);
}

/* A rewind into an earlier chunk counts what stands before it. */
static void test_rewind_over_chunks(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, NULL);
    arena_alloc(&arena, 200 * KIB);
    arena_alloc(&arena, 200 * KIB);
    struct arena_mark second = arena_mark(&arena);
    arena_alloc(&arena, 200 * KIB);
    arena_alloc(&arena, 200 * KIB);
    assert_int_equal(arena.most, 800 * KIB);
    arena_rewind(&arena, second);
    arena_alloc(&arena, 450 * KIB);
    assert_int_equal(arena.most, 850 * KIB);
    arena_release(&arena);
}

/* ---- The peak of an engine ------------------------------------------------------------------ */

struct job {
    struct engine *engine;
    const size_t *kib; /* of each task */
};

static enum status use(void *context, size_t task, int worker, struct error *err)
{
    (void)err;
    const struct job *job = context;
    struct workspace *workspace = engine_workspace(job->engine, worker, false);
    arena_alloc(&workspace->arena, job->kib[task] * KIB);
    arena_alloc(&workspace->lasting, 2 * KIB);
    return OK;
}

static size_t peak_of(struct engine *engine, const size_t *kib, size_t count)
{
    struct job job = {engine, kib};
    struct error err = {0};
    engine_trim(engine);
    assert_int_equal(pool_run(engine->pool, count, use, &job, &err), OK);
    return engine_peak(engine);
}

/* For every worker a workspace for the largest task, whoever ran it. */
static void test_peak(void **state)
{
    (void)state;
    static const size_t tasks[] = {10, 700, 20, 300, 40, 600, 30, 5};
    struct engine *engine = engine_create(NULL, THREADS);
    for (int i = 0; i < 20; i++)
        assert_int_equal(peak_of(engine, tasks, 8), THREADS * (700 + 2) * KIB);
    assert_int_equal(peak_of(engine, tasks, 1), THREADS * (10 + 2) * KIB); /* engine_trim forgets */
    struct arena shared;
    arena_init(&shared, &engine->meter);
    arena_alloc(&shared, 1000 * KIB);
    size_t held = arena_held(&shared);
    assert_int_equal(peak_of(engine, tasks, 1), held + THREADS * (10 + 2) * KIB);
    arena_release(&shared);
    assert_int_equal(engine_peak(engine), held + THREADS * (10 + 2) * KIB);
    assert_int_equal(peak_of(engine, tasks, 1), THREADS * (10 + 2) * KIB);
    engine_free(engine);
}

/* In a reserved workspace nothing is left over between what a task takes and gives back. */
static void test_reserve(void **state)
{
    (void)state;
    struct engine *engine = engine_create(NULL, 1);
    struct workspace *workspace = engine_workspace(engine, 0, false);
    arena_alloc(&workspace->arena, 300 * KIB);
    for (size_t kib = 2000; kib <= 4000; kib += 2000) {
        engine_reserve(engine, kib * KIB);
        size_t held = arena_held(&workspace->arena);
        assert_true(held >= kib * KIB && held < (kib + 1) * KIB);
        for (int task = 0; task < 3; task++) {
            workspace = engine_workspace(engine, 0, false);
            arena_alloc(&workspace->arena, 700 * KIB);
            struct arena_mark mark = arena_mark(&workspace->arena);
            arena_alloc(&workspace->arena, 300 * KIB);
            arena_rewind(&workspace->arena, mark);
            arena_alloc(&workspace->arena, 1200 * KIB);
            assert_int_equal(arena_held(&workspace->arena), held);
        }
        assert_int_equal(engine_peak(engine), 1900 * KIB);
    }
    engine_reserve(engine, 1000 * KIB); /* it has more */
    assert_true(arena_held(&workspace->arena) >= 4000 * KIB);
    engine_trim(engine);
    assert_int_equal(engine_peak(engine), 0);
    engine_free(engine);
}

/* With a limit a workspace is one piece, so that what it holds is what its tasks use, and released
 * it holds nothing and still knows its peak. */
static void test_limit(void **state)
{
    (void)state;
    static const size_t tasks[] = {700, 701, 705, 720, 300};
    struct engine *engine = engine_create(NULL, 1);
    const struct arena *arena = &engine->workspaces[0].arena;
    engine->memory_limit = 8000 * KIB;
    assert_int_equal(peak_of(engine, tasks, 5), (720 + 2) * KIB);
#ifndef __SANITIZE_ADDRESS__ /* which gets no room, since it would write all over it */
    assert_true(arena_held(arena) >= 8000 * KIB && arena_held(arena) < 8001 * KIB);
#endif
    engine_release(engine);
    assert_int_equal(arena_held(arena) + arena_held(&engine->workspaces[0].lasting), 0);
    assert_int_equal(engine_peak(engine), (720 + 2) * KIB);
    engine_trim(engine);
    assert_int_equal(engine_peak(engine), 0);
    engine_free(engine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_most_bytes_of_an_arena),
        cmocka_unit_test(test_rewind_over_chunks),
        cmocka_unit_test(test_peak),
        cmocka_unit_test(test_reserve),
        cmocka_unit_test(test_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
