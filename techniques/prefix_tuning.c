/* SPDX-License-Identifier: Apache-2.0
 *
 * Prefix tuning (Li and Liang 2021): trained keys and values in front of every layer's own. They
 * enter the attention as they are, without rotation, and the prompt's positions begin behind them,
 * as in PEFT.
 */
#include <string.h>

#include "base/random.h"
#include "model/operators.h"
#include "techniques/adapted.h"
#include "techniques/registry.h"
#include "techniques/virtual_tokens.h"

static const struct hyperparameter hyperparameters[] = {
    {.name = "num_virtual_tokens",
     .summary = "keys and values in front of each layer",
     .kind = VALUE_INTEGER,
     .low = 1,
     .high = 1000,
     .fallback = "20"},
    {.name = "init_weights",
     .summary = "how they start: as the model's own keys and values of the instruction, at random "
                "or at zero",
     .kind = VALUE_CHOICE,
     .choices = "text|random|zero",
     .fallback = "text"},
    {0}};

/* The parameters are keys of layer 0, values of layer 0, keys of layer 1, and so on. */
static void past(struct pass *pass, int layer, struct tensor **keys, struct tensor **values)
{
    *keys = &pass->parameters[2 * layer];
    *values = &pass->parameters[2 * layer + 1];
}

static void start_at_random(struct adapted *adapted, uint64_t seed)
{
    struct random random = random_stream(seed, "prefix_tuning", 0);
    for (size_t i = 0; i < adapted->parameters.count; i++)
        adapted->parameters.values[i] = (real)random_normal(&random);
}

/* Runs the bare model over the first tokens of the prompt, repeated as needed. */
static struct cache *read_text(const struct adapted *adapted, int n, struct arena *arena)
{
    struct cache *cache = cache_create(arena, adapted->engine->model, NULL, n);
    int32_t *ids = arena_alloc(arena, (size_t)n * sizeof *ids);
    for (int i = 0; i < n; i++)
        ids[i] = adapted->prefix.ids[(size_t)i % adapted->prefix.count];
    struct segment segment = {.length = n, .parent = -1, .capture = cache};
    struct layout layout = {.rows = n, .tokens = ids, .segments = &segment, .n_segments = 1};
    struct workspace *workspace = engine_workspace(adapted->engine, 0, false);
    struct pass pass = {
        .model = adapted->engine->model, .tape = &workspace->tape, .layout = &layout};
    transformer_forward(&pass);
    return cache;
}

static void start_as_text(struct adapted *adapted, int n)
{
    struct arena arena;
    arena_init(&arena, &adapted->engine->meter);
    const struct cache *cache = read_text(adapted, n, &arena);
    size_t rows = (size_t)n * (size_t)cache->width;
    for (int layer = 0; layer < adapted->engine->model->n_layer; layer++) {
        size_t at = (size_t)layer * rows;
        memcpy(adapted_parameter(adapted, 2 * layer), cache->keys + at, rows * sizeof(real));
        memcpy(adapted_parameter(adapted, 2 * layer + 1), cache->values + at, rows * sizeof(real));
    }
    arena_release(&arena);
}

static enum status attach(struct adapted *adapted, const struct material *material,
                          struct error *err)
{
    (void)err;
    static const struct attachment attachment = {.past = past};
    const struct model *model = adapted->engine->model;
    int n = setting_integer(&adapted->setting, "num_virtual_tokens");
    int width = model->n_head_kv * model->head_dim;
    for (int layer = 0; layer < model->n_layer; layer++) {
        adapted_declare(adapted, n, width, "blk.%d.prefix_k", layer);
        adapted_declare(adapted, n, width, "blk.%d.prefix_v", layer);
    }
    adapted_allocate(adapted);
    const char *how = setting_text(&adapted->setting, "init_weights");
    if (!strcmp(how, "text"))
        start_as_text(adapted, n);
    else if (!strcmp(how, "random"))
        start_at_random(adapted, material->seed);
    adapted->past_rows = n;
    adapted->attachment = &attachment;
    return OK;
}

static void predict(const struct setting *setting, const struct workload *workload,
                    struct cost *cost)
{
    const struct model *model = workload->model;
    size_t n = (size_t)setting_integer(setting, "num_virtual_tokens");
    cost->trainable_parameters =
        2 * n * (size_t)model->n_layer * (size_t)(model->n_head_kv * model->head_dim);
}

const struct technique prefix_tuning = {
    .name = "prefix_tuning",
    .family = "prompt_learning",
    .summary = "trained keys and values in front of every layer",
    .needs = NEEDS_MODEL | NEEDS_GRADIENT,
    .minimum_examples = 8,
    .hyperparameters = hyperparameters,
    .learning_rates = "3e-3,1e-2,3e-2",
    .check = virtual_tokens_check,
    .predict = predict,
    .attach = attach,
};
