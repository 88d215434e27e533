/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory, grouped by lifetime.
 *
 * An arena is a list of chunks that is filled from the front and emptied at once; nothing is freed
 * piece by piece. A meter counts what the arenas attached to it hold, so that a trial can report
 * its peak memory as a fact of the program instead of a guess of the operating system.
 *
 * Small allocations do not fail: when the system has no memory left the program says so and ends (a
 * study is safe on disk at any moment). Sizes that come from a file or a setting are checked by
 * their reader first, and large ones go through `memory_try`, which can be refused.
 */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>

enum { MEMORY_ALIGNMENT = 64 }; /* bytes; a cache line, and wide enough for any vector unit */

struct meter {
    atomic_size_t now;  /* bytes held now */
    atomic_size_t peak; /* most bytes held since the last meter_restart */
};

void meter_add(struct meter *meter, size_t bytes); /* `meter` may be NULL, in all three */
void meter_subtract(struct meter *meter, size_t bytes);
void meter_restart(struct meter *meter); /* peak = now */

/* Never return NULL; `memory_alloc(0)` is valid. Release with free(). */
void *memory_alloc(size_t bytes);
void *memory_zalloc(size_t bytes);
void *memory_realloc(void *old, size_t bytes);
char *memory_strdup(const char *text);

/* Aligned block for large data, or NULL. Contents undefined. Release with free(). */
void *memory_try(size_t bytes);

struct arena_chunk;

struct arena {
    struct arena_chunk *first;
    struct arena_chunk *current;
    struct meter *meter; /* may be NULL; must outlive the arena */
    size_t behind;       /* bytes in use in the chunks before the current one */
    size_t most;         /* most bytes in use at once since arena_init */
};

struct arena_mark {
    struct arena_chunk *chunk;
    size_t used;
};

void arena_init(struct arena *arena, struct meter *meter);

/* Makes sure that the next `bytes` bytes fit without a further request to the system. */
void arena_reserve(struct arena *arena, size_t bytes);

/* The same for bytes that are all about to be written: the system may give large pages, which cost
 * it less time. What is reserved this way and left alone can take memory all the same. */
void arena_reserve_filled(struct arena *arena, size_t bytes);

/* One piece of `bytes` bytes for an arena that holds nothing yet, unless the system refuses it.
 * What is never written of it takes no memory, so that it may be much more than is needed: an arena
 * that grows leaves the ends of its chunks unused. */
void arena_reserve_room(struct arena *arena, size_t bytes);

void *arena_alloc(struct arena *arena, size_t bytes);  /* aligned, contents undefined */
void *arena_zalloc(struct arena *arena, size_t bytes); /* aligned, zero */
char *arena_strdup(struct arena *arena, const char *text);
char *arena_strndup(struct arena *arena, const char *text, size_t length);

/* A formatted string of any length. */
char *arena_printf(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
char *arena_vprintf(struct arena *arena, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

/* Everything allocated after the mark becomes invalid; the chunks stay for reuse. */
struct arena_mark arena_mark(const struct arena *arena);
void arena_rewind(struct arena *arena, struct arena_mark mark);
void arena_clear(struct arena *arena); /* empty, chunks kept */

/* Empties the arena and, when it has several chunks, replaces them by one as large as all that was
 * ever in use at once: the next round of the same work then fits without a further request. */
void arena_consolidate(struct arena *arena);

void arena_release(struct arena *arena);      /* all memory returned; the arena may be used again */
size_t arena_held(const struct arena *arena); /* bytes of all chunks */

#endif
