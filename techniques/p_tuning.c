/* SPDX-License-Identifier: Apache-2.0
 *
 * P-tuning (Liu et al. 2021): virtual tokens in front of the prompt come out of a small trained
 * encoder while the model is frozen. The encoder is PEFT's: an embedding for each virtual token,
 * then a perceptron of three layers, or a bidirectional LSTM and a perceptron of two. It starts as
 * PyTorch starts it: normal embeddings, weights and biases uniform in +-1 / sqrt(in), those of the
 * LSTM in +-1 / sqrt(hidden).
 *
 * The encoder only serves the training. Its output is the same for every request, so afterwards
 * only that is kept, (num_virtual_tokens, n_embd), as for prompt tuning.
 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/random.h"
#include "model/operators.h"
#include "techniques/interchange.h"
#include "techniques/memory.h"
#include "techniques/registry.h"
#include "techniques/virtual_tokens.h"

enum { MOST_LAYERS = 8, USUAL_LAYERS = 2, MLP_LINEARS = 3, LSTM_LINEARS = 2 };

static const struct hyperparameter hyperparameters[] = {
    NUM_VIRTUAL_TOKENS,
    {.name = "encoder_reparameterization_type",
     .summary = "the encoder of the virtual tokens",
     .kind = VALUE_CHOICE,
     .choices = "MLP|LSTM",
     .fallback = "MLP"},
    {.name = "encoder_hidden_size",
     .summary = "width of the encoder's hidden layers; 0: that of the model",
     .kind = VALUE_INTEGER,
     .low = 0,
     .high = 8192,
     .fallback = "0"},
    {.name = "encoder_num_layers",
     .summary = "layers of the LSTM",
     .kind = VALUE_INTEGER,
     .low = 1,
     .high = MOST_LAYERS,
     .fallback = "2"},
    {0}};

static bool is_lstm(const struct setting *setting)
{
    return !strcmp(setting_text(setting, "encoder_reparameterization_type"), "LSTM");
}

static enum status check(const struct setting *setting, const struct model *model,
                         const struct material *material, struct error *err)
{
    int layers = setting_integer(setting, "encoder_num_layers");
    if (!is_lstm(setting) && layers != USUAL_LAYERS)
        return error_set(err, USAGE,
                         "p_tuning: encoder_num_layers=%d is not possible with "
                         "encoder_reparameterization_type=MLP, whose layers are fixed; expected "
                         "LSTM, or to leave it at %d",
                         layers, USUAL_LAYERS);
    return virtual_tokens_check(setting, model, material, err);
}

/* One parameter of the encoder. */
struct part {
    char name[48]; /* as PEFT names it */
    int rows, cols;
    double bound; /* of the uniform values it starts with; 0: normal ones */
};

/* The embedding; for each layer and direction of the LSTM its weights and their biases; of each
 * linear layer its weight and its bias. */
enum { LSTM_PARTS = 4, MOST_PARTS = 1 + 2 * LSTM_PARTS * MOST_LAYERS + 2 * MLP_LINEARS };

__attribute__((format(printf, 4, 5))) static struct part part_of(int rows, int cols, double bound,
                                                                 const char *format, ...)
{
    struct part part = {.rows = rows, .cols = cols, .bound = bound};
    va_list args;
    va_start(args, format);
    vsnprintf(part.name, sizeof part.name, format, args);
    va_end(args);
    return part;
}

static int list_lstm(int layer, const char *direction, int in, int hidden, struct part *parts)
{
    double bound = 1 / sqrt(hidden);
    parts[0] = part_of(4 * hidden, in, bound, "lstm_head.weight_ih_l%d%s", layer, direction);
    parts[1] = part_of(4 * hidden, hidden, bound, "lstm_head.weight_hh_l%d%s", layer, direction);
    parts[2] = part_of(1, 4 * hidden, bound, "lstm_head.bias_ih_l%d%s", layer, direction);
    parts[3] = part_of(1, 4 * hidden, bound, "lstm_head.bias_hh_l%d%s", layer, direction);
    return LSTM_PARTS;
}

/* The encoder of a setting, which every pass sees. */
struct encoder {
    int layers;  /* of the LSTM; 0: there is none */
    int linears; /* of the perceptron */
    int count;
    struct part parts[MOST_PARTS];
};

static void describe(const struct setting *setting, const struct model *model, struct encoder *e)
{
    bool lstm = is_lstm(setting);
    int width = model->n_embd, hidden = setting_integer(setting, "encoder_hidden_size");
    hidden = hidden ? hidden : width;
    *e = (struct encoder){.layers = lstm ? setting_integer(setting, "encoder_num_layers") : 0,
                          .linears = lstm ? LSTM_LINEARS : MLP_LINEARS};
    e->parts[e->count++] =
        part_of(setting_integer(setting, "num_virtual_tokens"), width, 0, "embedding.weight");
    for (int layer = 0; layer < e->layers; layer++) {
        int in = layer ? 2 * hidden : width;
        e->count += list_lstm(layer, "", in, hidden, e->parts + e->count);
        e->count += list_lstm(layer, "_reverse", in, hidden, e->parts + e->count);
    }
    int between = lstm ? 2 * hidden : hidden, in = lstm ? between : width;
    for (int i = 0; i < e->linears; i++) { /* PyTorch counts the ReLUs in between, too */
        int out = i + 1 < e->linears ? between : width;
        double bound = 1 / sqrt(in);
        e->parts[e->count++] = part_of(out, in, bound, "mlp_head.%d.weight", 2 * i);
        e->parts[e->count++] = part_of(1, out, bound, "mlp_head.%d.bias", 2 * i);
        in = out;
    }
}

static struct tensor *encode(struct pass *pass)
{
    const struct encoder *e = pass->self;
    struct tensor *x = pass->parameters, *part = x + 1;
    for (int layer = 0; layer < e->layers; layer++) {
        struct tensor *sides[2];
        for (int reverse = 0; reverse < 2; reverse++, part += LSTM_PARTS) {
            const struct lstm_weights weights = {&part[0], &part[1], &part[2], &part[3]};
            sides[reverse] = op_lstm(pass->tape, x, &weights, reverse);
        }
        x = op_beside(pass->tape, sides[0], sides[1]);
    }
    for (int i = 0; i < e->linears; i++, part += 2) {
        x = op_linear(pass->tape, x, &part[0], &part[1]);
        if (i + 1 < e->linears)
            x = op_relu(pass->tape, x);
    }
    return x;
}

static void initialise(struct adapted *adapted, const struct encoder *e, uint64_t seed)
{
    for (int i = 0; i < e->count; i++) {
        struct random random = random_stream(seed, "p_tuning", (uint64_t)i);
        real *values = adapted_parameter(adapted, i);
        double bound = e->parts[i].bound;
        for (int v = 0; v < e->parts[i].rows * e->parts[i].cols; v++)
            values[v] = (real)(bound > 0 ? bound * (2 * random_uniform(&random) - 1)
                                         : random_normal(&random));
    }
}

static enum status attach(struct adapted *adapted, const struct material *material,
                          struct error *err)
{
    (void)err;
    static const struct attachment attachment = {.virtual_tokens = encode};
    struct encoder *e = arena_alloc(&adapted->arena, sizeof *e);
    describe(&adapted->setting, adapted->engine->model, e);
    for (int i = 0; i < e->count; i++)
        adapted_declare(adapted, e->parts[i].rows, e->parts[i].cols, "%s", e->parts[i].name);
    adapted_allocate(adapted);
    initialise(adapted, e, material->seed);
    adapted->attachment = &attachment;
    adapted->self = e;
    return OK;
}

static void settle(struct adapted *adapted)
{
    struct workspace *workspace = engine_workspace(adapted->engine, 0, false);
    struct pass pass = adapted_pass(adapted, &workspace->tape, NULL,
                                    adapted_views(adapted, NULL, &workspace->arena));
    const struct tensor *tokens = encode(&pass);
    adapted->parameters = (struct parameters){0};
    memcpy(virtual_tokens_declare(adapted), tokens->data, tensor_size(tokens) * sizeof(real));
}

static void predict(const struct setting *setting, const struct workload *workload,
                    struct cost *cost)
{
    struct encoder e;
    describe(setting, workload->model, &e);
    cost->trainable_parameters = 0;
    for (int i = 0; i < e.count; i++)
        cost->trainable_parameters += (size_t)e.parts[i].rows * (size_t)e.parts[i].cols;
    cost->shared_tokens += setting_number(setting, "num_virtual_tokens");
    memory_predict_training(setting, workload, cost);
}

static void peft_config(const struct adapted *adapted, struct json_t *config)
{
    const struct setting *setting = &adapted->setting;
    const struct model *model = adapted->engine->model;
    int hidden = setting_integer(setting, "encoder_hidden_size");
    peft_config_prompt(config, adapted, setting_integer(setting, "num_virtual_tokens"),
                       model->n_embd, model->n_head);
    peft_config_string(config, "encoder_reparameterization_type",
                       setting_text(setting, "encoder_reparameterization_type"));
    peft_config_integer(config, "encoder_hidden_size", hidden ? hidden : model->n_embd);
    peft_config_integer(config, "encoder_num_layers",
                        setting_integer(setting, "encoder_num_layers"));
    peft_config_number(config, "encoder_dropout", 0);
}

static void peft_tensors(const struct adapted *adapted, struct peft_map *map)
{
    (void)adapted;
    peft_map_whole(map, 0, "prompt_embeddings");
}

static const struct interchange interchange = {
    .peft_type = "P_TUNING", .config = peft_config, .tensors = peft_tensors};

const struct technique p_tuning = {
    .name = "p_tuning",
    .family = "prompt_learning",
    .summary = "virtual tokens in front of the prompt, made by a trained encoder",
    .needs = NEEDS_MODEL | NEEDS_GRADIENT,
    .minimum_examples = 8,
    .prior = 10,
    .hyperparameters = hyperparameters,
    .learning_rates = "1e-3,3e-3,1e-2",
    .check = check,
    .predict = predict,
    .prompt = virtual_tokens_prompt,
    .attach = attach,
    .settle = settle,
    .interchange = &interchange,
};
