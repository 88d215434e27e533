/* SPDX-License-Identifier: Apache-2.0 */
#include "base/sentences.h"

#include <stdarg.h>
#include <string.h>

enum { ROOM_AT_FIRST = 8 };

static void make_room(struct sentences *sentences)
{
    sentences->room = sentences->room ? 2 * sentences->room : ROOM_AT_FIRST;
    const char **items = arena_alloc(sentences->arena, sentences->room * sizeof *items);
    if (sentences->count)
        memcpy(items, sentences->items, sentences->count * sizeof *items);
    sentences->items = items;
}

void say(struct sentences *sentences, const char *format, ...)
{
    va_list args;
    if (sentences->count == sentences->room)
        make_room(sentences);
    va_start(args, format);
    sentences->items[sentences->count++] = arena_vprintf(sentences->arena, format, args);
    va_end(args);
}
