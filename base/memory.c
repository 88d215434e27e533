/* SPDX-License-Identifier: Apache-2.0 */
#define _DEFAULT_SOURCE /* madvise */
#include "base/memory.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#define POISON(p, n)   ASAN_POISON_MEMORY_REGION(p, n)
#define UNPOISON(p, n) ASAN_UNPOISON_MEMORY_REGION(p, n)
#define POISONS        true
#else
#define POISON(p, n)   ((void)(p), (void)(n))
#define UNPOISON(p, n) ((void)(p), (void)(n))
#define POISONS        false
#endif

enum { CHUNK_BYTES = 256 * 1024 };

struct arena_chunk {
    struct arena_chunk *next;
    size_t size; /* bytes after the header */
    size_t used;
    char pad[MEMORY_ALIGNMENT - 3 * sizeof(size_t)];
    char data[];
};

void meter_add(struct meter *meter, size_t bytes)
{
    if (!meter)
        return;
    size_t now = atomic_fetch_add(&meter->now, bytes) + bytes;
    size_t peak = atomic_load(&meter->peak);
    while (now > peak && !atomic_compare_exchange_weak(&meter->peak, &peak, now))
        ;
}

void meter_subtract(struct meter *meter, size_t bytes)
{
    if (meter)
        atomic_fetch_sub(&meter->now, bytes);
}

void meter_restart(struct meter *meter)
{
    if (meter)
        atomic_store(&meter->peak, atomic_load(&meter->now));
}

static void *insist(void *block, size_t bytes)
{
    if (!block) {
        fprintf(stderr, "advisor: out of memory: the system refused %zu bytes\n", bytes);
        _Exit(1);
    }
    return block;
}

void *memory_alloc(size_t bytes)
{
    return insist(malloc(bytes ? bytes : 1), bytes);
}

void *memory_zalloc(size_t bytes)
{
    return insist(calloc(1, bytes ? bytes : 1), bytes);
}

void *memory_realloc(void *old, size_t bytes)
{
    return insist(realloc(old, bytes ? bytes : 1), bytes);
}

char *memory_strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    return memcpy(memory_alloc(size), text, size);
}

static size_t round_up(size_t bytes)
{
    return (bytes + MEMORY_ALIGNMENT - 1) & ~(size_t)(MEMORY_ALIGNMENT - 1);
}

void *memory_try(size_t bytes)
{
    if (bytes > SIZE_MAX / 2)
        return NULL;
    return aligned_alloc(MEMORY_ALIGNMENT, round_up(bytes ? bytes : 1));
}

void arena_init(struct arena *arena, struct meter *meter)
{
    *arena = (struct arena){.meter = meter};
}

/* Appends a chunk after the current one and makes it current. */
static struct arena_chunk *link_chunk(struct arena *arena, struct arena_chunk *chunk, size_t size)
{
    *chunk = (struct arena_chunk){.size = size};
    POISON(chunk->data, size);
    meter_add(arena->meter, sizeof *chunk + size);
    if (arena->current) {
        chunk->next = arena->current->next;
        arena->current->next = chunk;
    } else {
        chunk->next = arena->first;
        arena->first = chunk;
    }
    arena->current = chunk;
    return chunk;
}

static struct arena_chunk *add_chunk(struct arena *arena, size_t size)
{
    size_t bytes = sizeof(struct arena_chunk) + size;
    return link_chunk(arena, insist(memory_try(bytes), bytes), size);
}

static void drop_chunk(struct arena *arena, struct arena_chunk *chunk)
{
    meter_subtract(arena->meter, sizeof *chunk + chunk->size);
    UNPOISON(chunk->data, chunk->size);
    free(chunk);
}

/* Returns the chunks behind the current one that are too small for `bytes`: they are empty, and a
 * larger one takes their place. */
static void drop_small(struct arena *arena, size_t bytes)
{
    struct arena_chunk **link = arena->current ? &arena->current->next : &arena->first;
    while (*link && (*link)->size < bytes) {
        struct arena_chunk *small = *link;
        *link = small->next;
        drop_chunk(arena, small);
    }
}

/* The chunk that has room for `bytes`: the current one, the next kept one, or a new one. */
static struct arena_chunk *chunk_with_room(struct arena *arena, size_t bytes)
{
    struct arena_chunk *chunk = arena->current;
    if (chunk && chunk->size - chunk->used >= bytes)
        return chunk;
    drop_small(arena, bytes);
    struct arena_chunk *next = chunk ? chunk->next : arena->first;
    arena->behind += chunk ? chunk->used : 0;
    if (next) {
        next->used = 0;
        arena->current = next;
        return next;
    }
    return add_chunk(arena, bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES);
}

void arena_reserve(struct arena *arena, size_t bytes)
{
    chunk_with_room(arena, round_up(bytes));
}

void arena_reserve_room(struct arena *arena, size_t bytes)
{
    /* To mark memory as out of bounds is to write for each byte of it. */
    bool marked = POISONS;
    struct arena_chunk *chunk = arena->first || marked ? NULL : memory_try(sizeof *chunk + bytes);
    if (chunk)
        link_chunk(arena, chunk, bytes);
}

void arena_reserve_filled(struct arena *arena, size_t bytes)
{
    arena_reserve(arena, bytes);
#ifdef MADV_HUGEPAGE
    /* Whole pages only: the system knows no others. A refusal changes nothing but the time. */
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t start = (uintptr_t)(arena->current->data + arena->current->used);
    uintptr_t end = (start + bytes) / page * page;
    start = (start + page - 1) / page * page;
    if (end > start)
        (void)madvise((void *)start, end - start, MADV_HUGEPAGE);
#endif
}

void *arena_alloc(struct arena *arena, size_t bytes)
{
    size_t rounded = round_up(bytes ? bytes : 1);
    struct arena_chunk *chunk = chunk_with_room(arena, rounded);
    void *block = chunk->data + chunk->used;
    chunk->used += rounded;
    if (arena->behind + chunk->used > arena->most)
        arena->most = arena->behind + chunk->used;
    UNPOISON(block, bytes);
    return block;
}

void *arena_zalloc(struct arena *arena, size_t bytes)
{
    return memset(arena_alloc(arena, bytes), 0, bytes);
}

char *arena_strndup(struct arena *arena, const char *text, size_t length)
{
    char *copy = arena_alloc(arena, length + 1);
    memcpy(copy, text, length);
    copy[length] = '\0';
    return copy;
}

char *arena_strdup(struct arena *arena, const char *text)
{
    return arena_strndup(arena, text, strlen(text));
}

char *arena_vprintf(struct arena *arena, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    size_t size = length < 0 ? 1 : (size_t)length + 1;
    char *text = arena_zalloc(arena, size);
    vsnprintf(text, size, format, again);
    va_end(again);
    return text;
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = arena_vprintf(arena, format, args);
    va_end(args);
    return text;
}

struct arena_mark arena_mark(const struct arena *arena)
{
    struct arena_chunk *chunk = arena->current;
    return (struct arena_mark){chunk, chunk ? chunk->used : 0};
}

void arena_rewind(struct arena *arena, struct arena_mark mark)
{
    if (!mark.chunk) {
        arena_clear(arena);
        return;
    }
    arena->current = mark.chunk;
    mark.chunk->used = mark.used;
    arena->behind = 0;
    for (const struct arena_chunk *chunk = arena->first; chunk != mark.chunk; chunk = chunk->next)
        arena->behind += chunk->used;
    POISON(mark.chunk->data + mark.used, mark.chunk->size - mark.used);
}

void arena_clear(struct arena *arena)
{
    arena->current = arena->first;
    arena->behind = 0;
    if (arena->first) {
        arena->first->used = 0;
        POISON(arena->first->data, arena->first->size);
    }
}

void arena_release(struct arena *arena)
{
    struct arena_chunk *chunk = arena->first;
    while (chunk) {
        struct arena_chunk *next = chunk->next;
        drop_chunk(arena, chunk);
        chunk = next;
    }
    arena->first = arena->current = NULL;
    arena->behind = 0;
}

void arena_consolidate(struct arena *arena)
{
    if (arena->first && arena->first->next) {
        arena_release(arena);
        arena_reserve(arena, arena->most);
    }
    arena_clear(arena);
}

size_t arena_held(const struct arena *arena)
{
    size_t bytes = 0;
    for (const struct arena_chunk *chunk = arena->first; chunk; chunk = chunk->next)
        bytes += sizeof *chunk + chunk->size;
    return bytes;
}
