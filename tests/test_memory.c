/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"

#define COUNT(table) (sizeof(table) / sizeof *(table))

enum { CHUNK = 256 * 1024, SOME = 1000 };

static void test_plain(void **state)
{
    (void)state;
    char *block = memory_zalloc(SOME);
    for (int i = 0; i < SOME; i++)
        assert_int_equal(block[i], 0);
    memset(block, 7, SOME);
    block = memory_realloc(block, 10 * SOME);
    assert_int_equal(block[SOME - 1], 7);
    free(block);
    free(memory_alloc(0));
    free(memory_zalloc(0));
    free(memory_realloc(NULL, 0));
    char *copy = memory_strdup("");
    assert_string_equal(copy, "");
    free(copy);
}

static void test_try(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 63, 64, 65, SOME, 10 * CHUNK};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        char *block = memory_try(sizes[i]);
        assert_non_null(block);
        assert_int_equal((uintptr_t)block % MEMORY_ALIGNMENT, 0);
        memset(block, 1, sizes[i]);
        free(block);
    }
    assert_null(memory_try(SIZE_MAX));
    assert_null(memory_try(SIZE_MAX - MEMORY_ALIGNMENT));
    assert_null(memory_try(SIZE_MAX / 2 + 1));
#ifndef __SANITIZE_ADDRESS__ /* which ends the program instead of refusing */
    assert_null(memory_try(SIZE_MAX / 2 - MEMORY_ALIGNMENT));
#endif
}

/* Blocks of all sizes, small and beyond a chunk, are aligned, apart from each other and writable.
 */
static void test_arena_blocks(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 64,         0,         65, 63, CHUNK,
                                   3, CHUNK - 64, CHUNK + 1, 5,  0,  5 * CHUNK};
    struct arena arena;
    unsigned char *blocks[COUNT(sizes)];
    arena_init(&arena, NULL);
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < COUNT(sizes); i++) {
            blocks[i] = arena_alloc(&arena, sizes[i]);
            assert_int_equal((uintptr_t)blocks[i] % MEMORY_ALIGNMENT, 0);
            memset(blocks[i], (int)i + round, sizes[i]);
        }
        for (size_t i = 0; i < COUNT(sizes); i++)
            for (size_t b = 0; b < sizes[i]; b++)
                if (blocks[i][b] != i + (size_t)round)
                    fail_msg("block %zu was overwritten at %zu", i, b);
        for (size_t i = 1; i < COUNT(sizes); i++) /* even without bytes, each its own */
            assert_ptr_not_equal(blocks[i], blocks[i - 1]);
        if (round == 1)
            arena_release(&arena);
        arena_clear(&arena);
    }
    arena_release(&arena);
}

static void test_arena_strings(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, NULL);
    memset(arena_alloc(&arena, SOME), 0xFF, SOME);
    arena_clear(&arena);
    unsigned char *zero = arena_zalloc(&arena, SOME);
    for (int i = 0; i < SOME; i++)
        assert_int_equal(zero[i], 0);
    assert_string_equal(arena_strdup(&arena, "grün"), "grün");
    assert_string_equal(arena_strdup(&arena, ""), "");
    assert_string_equal(arena_strndup(&arena, "abcdef", 3), "abc");
    assert_string_equal(arena_strndup(&arena, "abc", 0), "");
    assert_memory_equal(arena_strndup(&arena, "a\0b", 3), "a\0b", 4);
    arena_release(&arena);
}

/* After a rewind the same blocks come again, what is older is untouched, and nothing is asked from
 * the system. */
static void test_arena_marks(void **state)
{
    (void)state;
    static const size_t sizes[] = {100, CHUNK / 2, CHUNK, 3 * CHUNK, 100};
    struct arena arena;
    arena_init(&arena, NULL);
    struct arena_mark empty = arena_mark(&arena);
    char *old = arena_strdup(&arena, "old");
    struct arena_mark mark = arena_mark(&arena);
    void *first[COUNT(sizes)];
    size_t held = 0;
    for (int round = 0; round < 4; round++) {
        for (size_t i = 0; i < COUNT(sizes); i++) {
            char *block = arena_alloc(&arena, sizes[i]);
            memset(block, 1, sizes[i]);
            if (round == 0)
                first[i] = block;
            assert_ptr_equal(block, first[i]);
        }
        if (round == 0)
            held = arena_held(&arena);
        assert_int_equal(arena_held(&arena), held);
        assert_string_equal(old, "old");
        arena_rewind(&arena, mark);
    }
    struct arena_mark inner = mark; /* marks nest */
    arena_alloc(&arena, CHUNK);
    inner = arena_mark(&arena);
    void *a = arena_alloc(&arena, 10);
    arena_rewind(&arena, inner);
    assert_ptr_equal(arena_alloc(&arena, 10), a);
    arena_rewind(&arena, mark);
    assert_ptr_equal(arena_alloc(&arena, sizes[0]), first[0]);
    arena_rewind(&arena, empty); /* the mark of an arena without chunks */
    assert_ptr_equal(arena_strdup(&arena, "new"), old);
    assert_int_equal(arena_held(&arena), held);
    arena_release(&arena);
    assert_int_equal(arena_held(&arena), 0);
}

static void check_reserve(void (*reserve)(struct arena *arena, size_t bytes))
{
    struct meter meter = {0};
    struct arena arena;
    arena_init(&arena, &meter);
    reserve(&arena, 10 * CHUNK);
    size_t held = arena_held(&arena);
    assert_true(held >= 10 * CHUNK && held < 11 * CHUNK);
    char *before = NULL;
    for (int i = 0; i < 10; i++) {
        char *block = arena_alloc(&arena, CHUNK);
        if (before)
            assert_ptr_equal(block, before + CHUNK);
        before = block;
    }
    assert_int_equal(arena_held(&arena), held);
    arena_alloc(&arena, CHUNK);
    assert_true(arena_held(&arena) > held);
    arena_release(&arena);
    assert_int_equal(atomic_load(&meter.now), 0);
}

static void test_arena_reserve(void **state)
{
    (void)state;
    check_reserve(arena_reserve);
    check_reserve(arena_reserve_filled);
}

/* One piece for all that follows, once; more than any system has is done without. */
static void test_arena_room(void **state)
{
    (void)state;
    enum { ROOM = 1 << 28, PIECE = 1 << 20 };
    struct meter meter = {0};
    struct arena arena;
    arena_init(&arena, &meter);
    arena_reserve_room(&arena, SIZE_MAX / 4);
    assert_null(arena.first);
    arena_reserve_room(&arena, ROOM);
    size_t held = arena_held(&arena);
    assert_true(held == 0 || held >= ROOM); /* 0: the sanitizer would write all over it */
    assert_int_equal(meter.now, held);
    arena_reserve_room(&arena, 2 * (size_t)ROOM);
    assert_true(arena_held(&arena) == held || !held);
    for (int i = 0; i < 8; i++)
        memset(arena_alloc(&arena, PIECE), 1, PIECE);
    assert_true(arena_held(&arena) == held || !held);
    assert_int_equal(arena.most, 8 * PIECE);
    arena_release(&arena);
    assert_int_equal(meter.now, 0);
}

/* A block that no kept chunk can hold takes the place of those that are too small. */
static void test_arena_grows_in_between(void **state)
{
    (void)state;
    struct meter meter = {0};
    struct arena arena;
    arena_init(&arena, &meter);
    for (int i = 0; i < 4; i++)
        arena_alloc(&arena, CHUNK);
    size_t one = arena_held(&arena) / 4;
    for (int i = 2; i < 5; i++) {
        arena_clear(&arena);
        arena_alloc(&arena, 1);
        size_t size = (size_t)i * CHUNK;
        memset(arena_alloc(&arena, size), 1, size);
        assert_true(arena_held(&arena) >= one + size);
        assert_true(arena_held(&arena) <= one + size + CHUNK / 64);
        assert_int_equal(atomic_load(&meter.now), arena_held(&arena));
    }
    arena_release(&arena);
    assert_int_equal(atomic_load(&meter.now), 0);
}

/* An arena of many chunks becomes one that holds the same rounds in one piece. */
static void test_arena_consolidate(void **state)
{
    (void)state;
    struct meter meter = {0};
    struct arena arena;
    arena_init(&arena, &meter);
    arena_consolidate(&arena);
    assert_int_equal(arena_held(&arena), 0);
    for (int round = 1; round <= 20; round++) { /* ever larger: must not keep outgrown chunks */
        for (int i = 0; i < 8; i++)
            memset(arena_alloc(&arena, (size_t)round * CHUNK / 4), 1, (size_t)round * CHUNK / 4);
        arena_consolidate(&arena);
        size_t needed = (size_t)round * 2 * CHUNK;
        assert_true(arena_held(&arena) >= needed && arena_held(&arena) <= 2 * needed);
        assert_int_equal(atomic_load(&meter.now), arena_held(&arena));
    }
    size_t held = arena_held(&arena);
    void *first = arena_alloc(&arena, 1);
    arena_alloc(&arena, 39 * CHUNK);
    assert_int_equal(arena_held(&arena), held);
    arena_consolidate(&arena); /* one chunk already: kept as it is */
    assert_ptr_equal(arena_alloc(&arena, 1), first);
    assert_int_equal(arena_held(&arena), held);
    arena_release(&arena);
    assert_int_equal(atomic_load(&meter.now), 0);
}

static void test_meter(void **state)
{
    (void)state;
    struct meter meter = {0};
    struct arena a, b;
    arena_init(&a, &meter);
    arena_init(&b, &meter);
    arena_alloc(&a, 1);
    arena_alloc(&b, 3 * CHUNK);
    size_t both = arena_held(&a) + arena_held(&b);
    assert_int_equal(atomic_load(&meter.now), both);
    arena_clear(&b); /* kept chunks are still held */
    assert_int_equal(atomic_load(&meter.now), both);
    arena_release(&b);
    assert_int_equal(atomic_load(&meter.now), arena_held(&a));
    assert_int_equal(atomic_load(&meter.peak), both);
    meter_restart(&meter);
    assert_int_equal(atomic_load(&meter.peak), arena_held(&a));
    meter_add(&meter, 10);
    meter_subtract(&meter, 4);
    assert_int_equal(atomic_load(&meter.now), arena_held(&a) + 6);
    assert_int_equal(atomic_load(&meter.peak), arena_held(&a) + 10);
    meter_subtract(&meter, 6);
    arena_release(&a);
    assert_int_equal(atomic_load(&meter.now), 0);
    meter_add(NULL, 1);
    meter_subtract(NULL, 1);
    meter_restart(NULL);
}

/* Longer than any buffer on the stack: nothing is cut. */
static void test_formatted_text_of_any_length(void **state)
{
    (void)state;
    struct arena arena;
    char longer[5000];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    arena_init(&arena, NULL);
    const char *text = arena_printf(&arena, "%d %s.", 7, longer);
    assert_int_equal(strlen(text), sizeof longer - 1 + 3);
    assert_memory_equal(text, "7 xx", 4);
    assert_string_equal(text + strlen(text) - 2, "x.");
    arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formatted_text_of_any_length),
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_try),
        cmocka_unit_test(test_arena_blocks),
        cmocka_unit_test(test_arena_strings),
        cmocka_unit_test(test_arena_marks),
        cmocka_unit_test(test_arena_reserve),
        cmocka_unit_test(test_arena_room),
        cmocka_unit_test(test_arena_grows_in_between),
        cmocka_unit_test(test_arena_consolidate),
        cmocka_unit_test(test_meter),
    };
    return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
