/* SPDX-License-Identifier: Apache-2.0
 *
 * Prefix tuning (Li and Liang 2021): trained keys and values in front of every layer's own. They
 * enter the attention as they are, without rotation, and the prompt's positions begin behind them,
 * as in PEFT.
 *
 * With prefix_projection they come out of an encoder while they are trained, PEFT's: an embedding
 * for each virtual token, a linear layer, tanh, and a linear layer for the keys and the values of
 * each layer of the model. Afterwards only its output is kept. The encoder starts as PyTorch starts
 * it: normal embeddings, weights and biases uniform in +-1 / sqrt(in).
 */
#include <math.h>
#include <string.h>

#include "base/random.h"
#include "model/operators.h"
#include "techniques/interchange.h"
#include "techniques/memory.h"
#include "techniques/registry.h"
#include "techniques/virtual_tokens.h"

static const struct hyperparameter hyperparameters[] = {
    NUM_VIRTUAL_TOKENS,
    {.name = "init_weights",
     .summary = "how they start: as the model's own keys and values of the instruction, at random "
                "or at zero",
     .kind = VALUE_CHOICE,
     .choices = "text|random|zero",
     .fallback = "text"},
    {.name = "prefix_projection",
     .summary = "whether an encoder makes them while they are trained",
     .kind = VALUE_CHOICE,
     .choices = "false|true",
     .fallback = "false"},
    {.name = "encoder_hidden_size",
     .summary = "width of the encoder's hidden layer; 0: that of the model",
     .kind = VALUE_INTEGER,
     .low = 0,
     .high = 8192,
     .fallback = "0"},
    {0}};

/* Of the encoder: the embedding, the first linear layer, then of each linear layer behind it, which
 * gives the keys of layer 0, its values, the keys of layer 1 and so on, the weight and the bias. */
enum { EMBEDDING, FIRST_WEIGHT, FIRST_BIAS, SECOND };

static bool is_projected(const struct setting *setting)
{
    return !strcmp(setting_text(setting, "prefix_projection"), "true");
}

/* Features of a layer's keys, and of its values; PEFT's embedding is as wide. */
static int key_width(const struct model *model)
{
    return model->n_head_kv * model->head_dim;
}

static int hidden_size(const struct setting *setting, const struct model *model)
{
    int hidden = setting_integer(setting, "encoder_hidden_size");
    return hidden ? hidden : model->n_embd;
}

static enum status check(const struct setting *setting, const struct model *model,
                         const struct material *material, struct error *err)
{
    const char *how = setting_text(setting, "init_weights");
    if (is_projected(setting) && !strcmp(how, "text"))
        return error_set(err, USAGE,
                         "prefix_tuning: init_weights=%s is not possible with "
                         "prefix_projection=true, whose encoder cannot be set to it; expected "
                         "random or zero",
                         how);
    return virtual_tokens_check(setting, model, material, err);
}

/* Without an encoder the parameters are keys of layer 0, values of layer 0, keys of layer 1 ... */
static void past(struct pass *pass, int layer, struct tensor **keys, struct tensor **values)
{
    *keys = &pass->parameters[2 * layer];
    *values = &pass->parameters[2 * layer + 1];
}

/* The hidden layer is computed anew in each layer of the model, which costs little beside it: what
 * a layer computes is forgotten behind it when nothing is trained. */
static void projected_past(struct pass *pass, int layer, struct tensor **keys,
                           struct tensor **values)
{
    struct tensor *p = pass->parameters, *second = &p[SECOND + 4 * layer];
    struct tensor *hidden = op_linear(pass->tape, &p[EMBEDDING], &p[FIRST_WEIGHT], &p[FIRST_BIAS]);
    hidden = op_tanh(pass->tape, hidden);
    *keys = op_linear(pass->tape, hidden, &second[0], &second[1]);
    *values = op_linear(pass->tape, hidden, &second[2], &second[3]);
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

static void declare_prefix(struct adapted *adapted)
{
    static const struct attachment attachment = {.past = past};
    int n = setting_integer(&adapted->setting, "num_virtual_tokens");
    int width = key_width(adapted->engine->model);
    for (int layer = 0; layer < adapted->engine->model->n_layer; layer++) {
        adapted_declare(adapted, n, width, "blk.%d.prefix_k", layer);
        adapted_declare(adapted, n, width, "blk.%d.prefix_v", layer);
    }
    adapted_allocate(adapted);
    adapted->attachment = &attachment;
}

static void declare_encoder(struct adapted *adapted)
{
    static const struct attachment attachment = {.past = projected_past};
    const struct model *model = adapted->engine->model;
    int n = setting_integer(&adapted->setting, "num_virtual_tokens");
    int width = key_width(model), hidden = hidden_size(&adapted->setting, model);
    adapted_declare(adapted, n, width, "embedding.weight");
    adapted_declare(adapted, hidden, width, "transform.0.weight");
    adapted_declare(adapted, 1, hidden, "transform.0.bias");
    for (int i = 0; i < 2 * model->n_layer; i++) {
        char part = "kv"[i % 2];
        adapted_declare(adapted, width, hidden, "blk.%d.prefix_%c.weight", i / 2, part);
        adapted_declare(adapted, 1, width, "blk.%d.prefix_%c.bias", i / 2, part);
    }
    adapted_allocate(adapted);
    adapted->attachment = &attachment;
}

/* With `zero` the last layer, and so what the encoder gives, stays zero. */
static void start_encoder(struct adapted *adapted, bool zero, uint64_t seed)
{
    const struct parameters *p = &adapted->parameters;
    for (int i = 0; i < (zero ? SECOND : p->n_items); i++) {
        struct random random = random_stream(seed, "prefix_tuning", (uint64_t)i);
        real *values = adapted_parameter(adapted, i);
        int in = i < SECOND ? p->items[FIRST_WEIGHT].cols : p->items[SECOND].cols;
        double bound = 1 / sqrt(in);
        for (int v = 0; v < p->items[i].rows * p->items[i].cols; v++)
            values[v] = (real)(i == EMBEDDING ? random_normal(&random)
                                              : bound * (2 * random_uniform(&random) - 1));
    }
}

static enum status attach(struct adapted *adapted, const struct material *material,
                          struct error *err)
{
    (void)err;
    const char *how = setting_text(&adapted->setting, "init_weights");
    adapted->past_rows = setting_integer(&adapted->setting, "num_virtual_tokens");
    if (is_projected(&adapted->setting)) {
        declare_encoder(adapted);
        start_encoder(adapted, !strcmp(how, "zero"), material->seed);
        return OK;
    }
    declare_prefix(adapted);
    if (!strcmp(how, "text"))
        start_as_text(adapted, adapted->past_rows);
    else if (!strcmp(how, "random"))
        start_at_random(adapted, material->seed);
    return OK;
}

static void settle(struct adapted *adapted)
{
    if (!is_projected(&adapted->setting))
        return;
    int layers = adapted->engine->model->n_layer;
    struct workspace *workspace = engine_workspace(adapted->engine, 0, false);
    struct arena *arena = &workspace->arena;
    struct pass pass =
        adapted_pass(adapted, &workspace->tape, NULL, adapted_views(adapted, NULL, arena));
    struct tensor **made = arena_alloc(arena, 2 * (size_t)layers * sizeof(struct tensor *));
    for (int layer = 0; layer < layers; layer++)
        projected_past(&pass, layer, &made[2 * layer], &made[2 * layer + 1]);
    adapted->parameters = (struct parameters){0};
    declare_prefix(adapted);
    for (int i = 0; i < 2 * layers; i++)
        memcpy(adapted_parameter(adapted, i), made[i]->data, tensor_size(made[i]) * sizeof(real));
}

static void predict(const struct setting *setting, const struct workload *workload,
                    struct cost *cost)
{
    const struct model *model = workload->model;
    size_t n = (size_t)setting_integer(setting, "num_virtual_tokens");
    size_t layers = (size_t)model->n_layer, width = (size_t)key_width(model);
    size_t hidden = (size_t)hidden_size(setting, model);
    cost->trainable_parameters =
        is_projected(setting) ? n * width + (width + 1) * hidden + 2 * layers * (hidden + 1) * width
                              : 2 * n * layers * width;
    memory_predict_training(setting, workload, cost);
}

/* A projection has served its purpose: what is stored are its outputs, as they enter the layers. */
static void peft_config(const struct adapted *adapted, struct json_t *config)
{
    const struct model *model = adapted->engine->model;
    peft_config_prompt(config, adapted, setting_integer(&adapted->setting, "num_virtual_tokens"),
                       key_width(model), model->n_head_kv);
    peft_config_bool(config, "prefix_projection", false);
    peft_config_integer(config, "encoder_hidden_size", key_width(model));
}

/* One tensor for all layers: for each token the keys of layer 0, its values, the keys of layer 1,
 * and so on. */
static void peft_tensors(const struct adapted *adapted, struct peft_map *map)
{
    const struct model *model = adapted->engine->model;
    int width = key_width(model);
    for (int i = 0; i < 2 * model->n_layer; i++)
        peft_map_columns(map, i, "prompt_embeddings", 2 * model->n_layer * width, i * width,
                         i % 2 ? 0 : model->n_head_kv);
}

static const struct interchange interchange = {
    .peft_type = "PREFIX_TUNING", .config = peft_config, .tensors = peft_tensors};

const struct technique prefix_tuning = {
    .name = "prefix_tuning",
    .family = "prompt_learning",
    .summary = "trained keys and values in front of every layer",
    .needs = NEEDS_MODEL | NEEDS_GRADIENT,
    .minimum_examples = 8,
    .prior = 16,
    .hyperparameters = hyperparameters,
    .learning_rates = "3e-3,1e-2,3e-2",
    .check = check,
    .predict = predict,
    .attach = attach,
    .settle = settle,
    .interchange = &interchange,
};
