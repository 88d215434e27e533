/* SPDX-License-Identifier: Apache-2.0 */
#include "base/turns.h"

#include <pthread.h>
#include <string.h>

struct turns {
    pthread_mutex_t lock;
    pthread_cond_t passed;
    size_t sections;
    size_t *next; /* (sections) the lowest task that has not passed */
    bool over;    /* a task gave up */
};

struct turns *turns_create(struct arena *arena, size_t sections)
{
    struct turns *turns = arena_zalloc(arena, sizeof *turns);
    pthread_mutex_init(&turns->lock, NULL);
    pthread_cond_init(&turns->passed, NULL);
    turns->sections = sections;
    turns->next = arena_zalloc(arena, sections * sizeof *turns->next);
    return turns;
}

void turns_end(struct turns *turns)
{
    if (!turns)
        return;
    pthread_cond_destroy(&turns->passed);
    pthread_mutex_destroy(&turns->lock);
}

void turns_restart(struct turns *turns)
{
    pthread_mutex_lock(&turns->lock);
    memset(turns->next, 0, turns->sections * sizeof *turns->next);
    turns->over = false;
    pthread_mutex_unlock(&turns->lock);
}

bool turns_wait(struct turns *turns, size_t section, size_t task)
{
    pthread_mutex_lock(&turns->lock);
    while (turns->next[section] < task && !turns->over)
        pthread_cond_wait(&turns->passed, &turns->lock);
    bool mine = !turns->over;
    pthread_mutex_unlock(&turns->lock);
    return mine;
}

void turns_pass(struct turns *turns, size_t section)
{
    pthread_mutex_lock(&turns->lock);
    turns->next[section]++;
    pthread_cond_broadcast(&turns->passed);
    pthread_mutex_unlock(&turns->lock);
}

bool turns_passed(struct turns *turns, size_t section, size_t task)
{
    pthread_mutex_lock(&turns->lock);
    bool passed = turns->next[section] > task;
    pthread_mutex_unlock(&turns->lock);
    return passed;
}

void turns_give_up(struct turns *turns)
{
    pthread_mutex_lock(&turns->lock);
    turns->over = true;
    pthread_cond_broadcast(&turns->passed);
    pthread_mutex_unlock(&turns->lock);
}
