/* SPDX-License-Identifier: Apache-2.0
 *
 * P-tuning (Liu et al. 2021): virtual tokens in front of the prompt come out of a small trained
 * encoder while the model is frozen. The encoder is PEFT's: an embedding for each virtual token and
 * a perceptron of three layers. It starts as PyTorch starts it: normal embeddings, weights and
 * biases uniform in +-1 / sqrt(in).
 *
 * The encoder only serves the training. Its output is the same for every request, so to use or to
 * hand on the result only that has to be kept, (num_virtual_tokens, n_embd), as for prompt tuning.
 */
#include <math.h>

#include "base/random.h"
#include "model/operators.h"
#include "techniques/adapted.h"
#include "techniques/registry.h"
#include "techniques/virtual_tokens.h"

static const struct hyperparameter hyperparameters[] = {
    {.name = "num_virtual_tokens",
     .summary = "virtual tokens in front of the prompt",
     .kind = VALUE_INTEGER,
     .low = 1,
     .high = 1000,
     .fallback = "20"},
    {.name = "encoder_reparameterization_type",
     .summary = "the encoder of the virtual tokens",
     .kind = VALUE_CHOICE,
     .choices = "MLP",
     .fallback = "MLP"},
    {.name = "encoder_hidden_size",
     .summary = "width of the encoder's hidden layers; 0: that of the model",
     .kind = VALUE_INTEGER,
     .low = 0,
     .high = 8192,
     .fallback = "0"},
    {0}};

enum { LINEARS = 3 };

/* The parameters: the embedding, then of each linear layer its weight and its bias. */
enum { EMBEDDING, FIRST_LINEAR };

static struct tensor *encode(struct pass *pass)
{
    struct tensor *x = &pass->parameters[EMBEDDING];
    for (int i = 0; i < LINEARS; i++) {
        struct tensor *linear = &pass->parameters[FIRST_LINEAR + 2 * i];
        x = op_linear(pass->tape, x, &linear[0], &linear[1]);
        if (i + 1 < LINEARS)
            x = op_relu(pass->tape, x);
    }
    return x;
}

/* Widths between the layers: into the first, between, out of the last. */
static void read_widths(const struct setting *setting, const struct model *model,
                        int widths[LINEARS + 1])
{
    int hidden = setting_integer(setting, "encoder_hidden_size");
    for (int i = 0; i <= LINEARS; i++)
        widths[i] = i > 0 && i < LINEARS && hidden ? hidden : model->n_embd;
}

static void initialise(struct adapted *adapted, uint64_t seed)
{
    const struct parameters *p = &adapted->parameters;
    for (int i = 0; i < p->n_items; i++) {
        struct random random = random_stream(seed, "p_tuning", (uint64_t)i);
        real *values = adapted_parameter(adapted, i);
        int weight = (i - FIRST_LINEAR) / 2 * 2 + FIRST_LINEAR; /* a bias has its weight's bound */
        double bound = 1 / sqrt(p->items[i == EMBEDDING ? i : weight].cols);
        for (int v = 0; v < p->items[i].rows * p->items[i].cols; v++)
            values[v] = (real)(i == EMBEDDING ? random_normal(&random)
                                              : bound * (2 * random_uniform(&random) - 1));
    }
}

static enum status attach(struct adapted *adapted, const struct material *material,
                          struct error *err)
{
    (void)err;
    static const struct attachment attachment = {.virtual_tokens = encode};
    int widths[LINEARS + 1];
    read_widths(&adapted->setting, adapted->engine->model, widths);
    adapted_declare(adapted, setting_integer(&adapted->setting, "num_virtual_tokens"), widths[0],
                    "embedding.weight");
    for (int i = 0; i < LINEARS; i++) { /* PyTorch counts the ReLUs in between, too */
        adapted_declare(adapted, widths[i + 1], widths[i], "mlp_head.%d.weight", 2 * i);
        adapted_declare(adapted, 1, widths[i + 1], "mlp_head.%d.bias", 2 * i);
    }
    adapted_allocate(adapted);
    initialise(adapted, material->seed);
    adapted->attachment = &attachment;
    return OK;
}

static void predict(const struct setting *setting, const struct workload *workload,
                    struct cost *cost)
{
    int widths[LINEARS + 1];
    read_widths(setting, workload->model, widths);
    double n = setting_number(setting, "num_virtual_tokens");
    cost->trainable_parameters = (size_t)n * (size_t)widths[0];
    for (int i = 0; i < LINEARS; i++)
        cost->trainable_parameters += ((size_t)widths[i] + 1) * (size_t)widths[i + 1];
    cost->shared_tokens += n;
}

const struct technique p_tuning = {
    .name = "p_tuning",
    .family = "prompt_learning",
    .summary = "virtual tokens in front of the prompt, made by a trained encoder",
    .needs = NEEDS_MODEL | NEEDS_GRADIENT,
    .minimum_examples = 8,
    .hyperparameters = hyperparameters,
    .learning_rates = "1e-3,3e-3,1e-2",
    .check = virtual_tokens_check,
    .predict = predict,
    .prompt = virtual_tokens_prompt,
    .attach = attach,
};
