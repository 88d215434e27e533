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
    for (int m = 0; m < adapted->member_count; m++)
        adapted_release(adapted->members[m]);
    free(adapted->members);
    tokens_release(&adapted->prefix);
    arena_release(&adapted->cache_arena);
    arena_release(&adapted->arena);
    free(adapted);
}

enum status adapted_add_member(struct adapted *adapted, const struct setting *setting,
                               const struct material *material, struct error *err)
{
    struct adapted *member;
    enum status status = adapted_create(&member, adapted->engine, setting, material, err);
    if (status != OK)
        return status;
    size_t count = (size_t)adapted->member_count + 1;
    adapted->members = memory_realloc(adapted->members, count * sizeof *adapted->members);
    adapted->members[adapted->member_count++] = member;
    return OK;
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
    if (!adapted->settled)
        adapted->trained = p->count;
}

real *adapted_parameter(const struct adapted *adapted, int index)
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
    adapted->prior = NULL; /* it was measured behind that prefix */
}

void adapted_settle(struct adapted *adapted)
{
    if (adapted->settled)
        return;
    adapted->settled = true;
    if (adapted->technique->settle)
        adapted->technique->settle(adapted);
}

bool adapted_can_merge(const struct adapted *adapted)
{
    return adapted->technique->merge != NULL;
}

bool adapted_merge(const struct adapted *adapted, int number, real *values)
{
    return adapted->technique->merge && adapted->technique->merge(adapted, number, values);
}

/* The saved form: a mark, the number of items, then for each its rows and columns, the length of
 * the origin, all int32; the origin, which is the name of the technique, a space and its setting
 * as JSON, padded with zeros to a multiple of four; the values as float32. */
enum { SAVED_MARK = 0x32564441, FIXED_WORDS = 3 };

static const char *write_origin(const struct adapted *adapted, struct arena *arena)
{
    struct text json = {0};
    setting_json(&adapted->setting, &json);
    const char *origin = arena_printf(arena, "%s %s", adapted->technique->name, text_string(&json));
    text_release(&json);
    return origin;
}

static size_t padded(size_t bytes)
{
    return (bytes + sizeof(int32_t) - 1) & ~(sizeof(int32_t) - 1);
}

void adapted_save(struct adapted *adapted, struct arena *arena, const void **bytes, size_t *length)
{
    adapted_settle(adapted);
    const struct parameters *p = &adapted->parameters;
    const char *origin = write_origin(adapted, arena);
    size_t words = FIXED_WORDS + 2 * (size_t)p->n_items, text = padded(strlen(origin));
    *length = words * sizeof(int32_t) + text + p->count * sizeof(float);
    int32_t *head = arena_zalloc(arena, *length);
    head[0] = SAVED_MARK;
    head[1] = p->n_items;
    for (int i = 0; i < p->n_items; i++) {
        head[2 + 2 * i] = p->items[i].rows;
        head[3 + 2 * i] = p->items[i].cols;
    }
    head[words - 1] = (int32_t)strlen(origin);
    memcpy(head + words, origin, strlen(origin));
    float *values = (float *)(void *)((char *)(head + words) + text);
    for (size_t i = 0; i < p->count; i++)
        values[i] = (float)p->values[i];
    *bytes = head;
}

/* What of a saved form tells whether it fits; words by number. */
struct saved {
    const char *bytes;
    size_t length;
};

static int32_t saved_word(const struct saved *saved, size_t index)
{
    int32_t word = -1;
    if (index < saved->length / sizeof word)
        memcpy(&word, saved->bytes + index * sizeof word, sizeof word);
    return word;
}

/* Whether the values were learned by this technique with this setting. */
static enum status check_origin(const struct adapted *adapted, const char *origin,
                                struct error *err)
{
    const char *name = adapted->technique->name;
    size_t length = strlen(name);
    if (strncmp(origin, name, length) || origin[length] != ' ')
        return error_set(err, FAILED,
                         "the saved parameters were learned by %.*s, expected %s; train it again",
                         (int)strcspn(origin, " "), origin, name);
    struct setting setting;
    struct arena arena;
    arena_init(&arena, NULL);
    enum status status =
        setting_parse(adapted->technique, origin + length + 1, &setting, &arena, err);
    const char *differs = status == OK ? setting_difference(&setting, &adapted->setting) : NULL;
    if (status != OK)
        status =
            error_set(err, FAILED,
                      "the saved parameters of %s have no readable setting; train it again", name);
    else if (differs)
        status = error_set(err, FAILED,
                           "the saved parameters of %s were learned with %s=%s, expected %s; set "
                           "that, or train it again",
                           name, differs, setting_text(&setting, differs),
                           setting_text(&adapted->setting, differs));
    arena_release(&arena);
    return status;
}

/* Checks shapes, length and origin; `*at` is where the values begin. */
static enum status check_saved(const struct adapted *adapted, const struct saved *saved, size_t *at,
                               struct error *err)
{
    const struct parameters *p = &adapted->parameters;
    size_t words = FIXED_WORDS + 2 * (size_t)p->n_items;
    bool same = saved_word(saved, 0) == SAVED_MARK && saved_word(saved, 1) == p->n_items;
    for (int i = 0; same && i < p->n_items; i++)
        same = saved_word(saved, 2 + 2 * (size_t)i) == p->items[i].rows &&
               saved_word(saved, 3 + 2 * (size_t)i) == p->items[i].cols;
    int32_t text = same ? saved_word(saved, words - 1) : -1;
    size_t start = words * sizeof(int32_t), room = saved->length - start;
    same = same && text >= 0 && saved->length >= start && padded((size_t)text) <= room &&
           room - padded((size_t)text) == p->count * sizeof(float);
    if (!same)
        return error_set(err, FAILED,
                         "the saved parameters of %s are not those of its setting (%zu bytes for "
                         "%zu values); train it again",
                         adapted->technique->name, saved->length, p->count);
    char *origin = memory_zalloc((size_t)text + 1);
    memcpy(origin, saved->bytes + start, (size_t)text);
    enum status status = check_origin(adapted, origin, err);
    free(origin);
    *at = start + padded((size_t)text);
    return status;
}

enum status adapted_load(struct adapted *adapted, const void *bytes, size_t length,
                         struct error *err)
{
    const struct adapted before = *adapted;
    const struct saved saved = {bytes, length};
    size_t at = 0;
    adapted_settle(adapted);
    enum status status = check_saved(adapted, &saved, &at, err);
    if (status != OK) {
        adapted->parameters = before.parameters;
        adapted->attachment = before.attachment;
        adapted->self = before.self;
        adapted->settled = before.settled;
        return status;
    }
    const struct parameters *p = &adapted->parameters;
    for (size_t i = 0; i < p->count; i++) {
        float value;
        memcpy(&value, saved.bytes + at + i * sizeof value, sizeof value);
        p->values[i] = value;
    }
    adapted_cool(adapted);
    return OK;
}
