/* SPDX-License-Identifier: Apache-2.0 */
#include "techniques/adapted.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "techniques/labels.h"
#include "techniques/prompt.h"

enum { SHORTEST_LIMIT = 16, LONGEST_LIMIT = 512 };

/* A free answer may be twice as long as the longest one in the material, within bounds. */
static enum status limit_answers(struct adapted *adapted, const struct material *material,
                                 struct error *err)
{
    struct tokens ids = {0};
    size_t longest = SHORTEST_LIMIT;
    enum status status = OK;
    for (size_t i = 0; i < material->count && status == OK; i++) {
        tokens_clear(&ids);
        status =
            prompt_answer(adapted, material->data->examples[material->rows[i]].target, &ids, err);
        longest = 2 * ids.count > longest ? 2 * ids.count : longest;
    }
    tokens_release(&ids);
    adapted->longest_answer = (int)(longest < LONGEST_LIMIT ? longest : LONGEST_LIMIT);
    return status;
}

static enum status prepare(struct adapted *adapted, const struct material *material,
                           struct error *err)
{
    const struct technique *technique = adapted->technique;
    enum status status = OK;
    if (technique->check)
        status = technique->check(&adapted->setting, adapted->engine->model, material, err);
    if (status == OK && technique->needs & NEEDS_MODEL)
        status = technique->prompt ? technique->prompt(adapted, material, err)
                                   : prompt_instruction(adapted, material, err);
    if (status == OK && adapted->data->label_count && technique->needs & NEEDS_MODEL)
        status = label_trie_create(&adapted->labels, adapted, err);
    else if (status == OK && technique->needs & NEEDS_MODEL)
        status = limit_answers(adapted, material, err);
    if (status == OK && technique->attach)
        status = technique->attach(adapted, material, err);
    return status;
}

enum status adapted_create(struct adapted **out, struct engine *engine,
                           const struct setting *setting, const struct material *material,
                           struct error *err)
{
    struct adapted *adapted = memory_zalloc(sizeof *adapted);
    adapted->engine = engine;
    adapted->technique = setting->technique;
    adapted->setting = *setting;
    adapted->data = material->data;
    arena_init(&adapted->arena, &engine->meter);
    arena_init(&adapted->cache_arena, &engine->meter);
    enum status status = prepare(adapted, material, err);
    if (status != OK) {
        adapted_release(adapted);
        adapted = NULL;
    }
    *out = adapted;
    return status;
}

void adapted_release(struct adapted *adapted)
{
    if (!adapted)
        return;
    tokens_release(&adapted->prefix);
    arena_release(&adapted->cache_arena);
    arena_release(&adapted->arena);
    free(adapted);
}

int adapted_declare(struct adapted *adapted, int rows, int cols, const char *format, ...)
{
    struct parameters *p = &adapted->parameters;
    enum { STEP = 64 };
    if (p->n_items % STEP == 0) {
        struct parameter *larger =
            arena_alloc(&adapted->arena, (size_t)(p->n_items + STEP) * sizeof *larger);
        if (p->n_items)
            memcpy(larger, p->items, (size_t)p->n_items * sizeof *larger);
        p->items = larger;
    }
    va_list args;
    va_start(args, format);
    const char *name = arena_vprintf(&adapted->arena, format, args);
    va_end(args);
    p->items[p->n_items] =
        (struct parameter){.name = name, .rows = rows, .cols = cols, .offset = p->count};
    p->count += (size_t)rows * (size_t)cols;
    return p->n_items++;
}

void adapted_allocate(struct adapted *adapted)
{
    struct parameters *p = &adapted->parameters;
    p->values = arena_zalloc(&adapted->arena, p->count * sizeof *p->values);
}

real *adapted_parameter(struct adapted *adapted, int index)
{
    return adapted->parameters.values + adapted->parameters.items[index].offset;
}

struct tensor *adapted_views(const struct adapted *adapted, real *grads, struct arena *arena)
{
    const struct parameters *p = &adapted->parameters;
    struct tensor *views = arena_alloc(arena, (size_t)p->n_items * sizeof *views);
    for (int i = 0; i < p->n_items; i++) {
        const struct parameter *item = &p->items[i];
        views[i] = (struct tensor){.data = p->values + item->offset,
                                   .grad = grads ? grads + item->offset : NULL,
                                   .rows = item->rows,
                                   .cols = item->cols,
                                   .needs_grad = grads != NULL,
                                   .parameter = grads != NULL};
    }
    return views;
}

struct pass adapted_pass(const struct adapted *adapted, struct tape *tape,
                         const struct layout *layout, struct tensor *parameters)
{
    return (struct pass){.model = adapted->engine->model,
                         .tape = tape,
                         .layout = layout,
                         .attachment = adapted->attachment,
                         .self = adapted->self,
                         .parameters = parameters,
                         .recompute = adapted->engine->recompute};
}

static enum status compute_prefix(void *context, size_t task, int worker, struct error *err)
{
    (void)task;
    (void)err;
    struct adapted *adapted = context;
    struct workspace *workspace = engine_workspace(adapted->engine, worker, false);
    int rows = (int)adapted->prefix.count;
    struct segment segment = {.length = rows,
                              .parent = -1,
                              .capture = adapted->prefix_cache,
                              .position = adapted->past_rows};
    struct layout layout = {
        .rows = rows, .tokens = adapted->prefix.ids, .segments = &segment, .n_segments = 1};
    struct pass pass = adapted_pass(adapted, &workspace->tape, &layout,
                                    adapted_views(adapted, NULL, &workspace->arena));
    transformer_forward(&pass);
    return OK;
}

enum status adapted_warm(struct adapted *adapted, struct error *err)
{
    if (adapted->prefix_cache || !adapted->prefix.count)
        return OK;
    adapted->prefix_cache = cache_create(&adapted->cache_arena, adapted->engine->model, NULL,
                                         (int)adapted->prefix.count);
    adapted->prefix_cache->position = adapted->past_rows;
    return pool_run(adapted->engine->pool, 1, compute_prefix, adapted, err);
}

void adapted_cool(struct adapted *adapted)
{
    arena_release(&adapted->cache_arena);
    adapted->prefix_cache = NULL;
}

/* The saved form: magic, number of items, then for each rows, cols; then the values as float32. */
enum { SAVED_MAGIC = 0x31564441 };

void adapted_save(const struct adapted *adapted, struct arena *arena, const void **bytes,
                  size_t *length)
{
    const struct parameters *p = &adapted->parameters;
    size_t header = 2 + 2 * (size_t)p->n_items;
    *length = header * sizeof(int32_t) + p->count * sizeof(float);
    int32_t *head = arena_alloc(arena, *length);
    head[0] = SAVED_MAGIC;
    head[1] = p->n_items;
    for (int i = 0; i < p->n_items; i++) {
        head[2 + 2 * i] = p->items[i].rows;
        head[3 + 2 * i] = p->items[i].cols;
    }
    float *values = (float *)(void *)(head + header);
    for (size_t i = 0; i < p->count; i++)
        values[i] = (float)p->values[i];
    *bytes = head;
}

enum status adapted_load(struct adapted *adapted, const void *bytes, size_t length,
                         struct error *err)
{
    const struct parameters *p = &adapted->parameters;
    size_t header = 2 + 2 * (size_t)p->n_items;
    int32_t head[2] = {0};
    if (length >= sizeof head)
        memcpy(head, bytes, sizeof head);
    bool same = length == header * sizeof(int32_t) + p->count * sizeof(float) &&
                head[0] == SAVED_MAGIC && head[1] == p->n_items;
    const char *at = (const char *)bytes + sizeof head;
    for (int i = 0; same && i < p->n_items; i++, at += sizeof head) {
        int32_t shape[2];
        memcpy(shape, at, sizeof shape);
        same = shape[0] == p->items[i].rows && shape[1] == p->items[i].cols;
    }
    if (!same)
        return error_set(err, FAILED,
                         "the saved parameters of %s are not those of its setting (%zu bytes, %zu "
                         "expected); train it again",
                         adapted->technique->name, length,
                         header * sizeof(int32_t) + p->count * sizeof(float));
    for (size_t i = 0; i < p->count; i++) {
        float value;
        memcpy(&value, at + i * sizeof value, sizeof value);
        p->values[i] = value;
    }
    adapted_cool(adapted);
    return OK;
}
