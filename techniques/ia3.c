/* SPDX-License-Identifier: Apache-2.0
 *
 * IA3 (Liu et al. 2022, section 3.3): learned vectors rescale the keys, the values and the inner
 * activations of the feed-forward. As in PEFT, a vector multiplies the output of a target module,
 * or its input where the module is also a feedforward module. All vectors start at one, so training
 * begins with the unchanged model.
 */
#include <string.h>

#include "base/text.h"
#include "model/operators.h"
#include "techniques/adapted.h"
#include "techniques/interchange.h"
#include "techniques/memory.h"
#include "techniques/registry.h"
#include "techniques/targets.h"

static const char default_feedforward[] = "down_proj";

static const struct hyperparameter hyperparameters[] = {
    {.name = "target_modules",
     .summary = "projections to rescale, by name with commas, or all-linear",
     .kind = VALUE_TEXT,
     .fallback = "k_proj,v_proj,down_proj"},
    {.name = "feedforward_modules",
     .summary = "those of them whose input is rescaled instead of the output",
     .kind = VALUE_TEXT,
     .fallback = default_feedforward},
    {0}};

struct places {
    bool target[N_SITES], feedforward[N_SITES];
};

struct ia3 {
    int *index; /* (n_layer * N_SITES) which parameter; -1: this site is left alone */
    struct places places;
};

/* The default of feedforward_modules holds for the targets among it, as in PEFT; one that the user
 * wrote has to fit. */
static enum status read_places(const struct setting *setting, struct places *places,
                               struct error *err)
{
    *places = (struct places){0};
    const char *targets = setting_text(setting, "target_modules");
    const char *feedforward = setting_text(setting, "feedforward_modules");
    enum status status = targets_parse("ia3", targets, places->target, err);
    if (status != OK || !*feedforward)
        return status;
    bool fits = targets_parse("ia3", feedforward, places->feedforward, NULL) == OK;
    bool own = strcmp(feedforward, default_feedforward) != 0;
    for (int site = 0; site < N_SITES; site++) {
        if (own && places->feedforward[site] && !places->target[site])
            fits = false;
        places->feedforward[site] = places->feedforward[site] && places->target[site];
    }
    if (fits)
        return OK;
    return error_set(err, USAGE,
                     "ia3: feedforward_modules=%s is not possible with target_modules=%s; expected "
                     "some of those, separated by commas",
                     feedforward, targets);
}

static enum status check(const struct setting *setting, const struct model *model,
                         const struct material *material, struct error *err)
{
    (void)model;
    (void)material;
    struct places places;
    return read_places(setting, &places, err);
}

/* `x` is the input or the output of the site. */
static struct tensor *rescale(struct pass *pass, int layer, enum site site, bool input,
                              struct tensor *x)
{
    const struct ia3 *self = pass->self;
    int index = self->index[layer * N_SITES + (int)site];
    if (index < 0 || self->places.feedforward[site] != input)
        return x;
    return op_scale(pass->tape, x, &pass->parameters[index]);
}

static struct tensor *rescale_input(struct pass *pass, int layer, enum site site, struct tensor *x)
{
    return rescale(pass, layer, site, true, x);
}

static struct tensor *rescale_output(struct pass *pass, int layer, enum site site, struct tensor *x,
                                     struct tensor *y)
{
    (void)x;
    return rescale(pass, layer, site, false, y);
}

static int declare(struct adapted *adapted, const char *prefix, enum site site,
                   const struct tensor *weight)
{
    const struct ia3 *self = adapted->self;
    int size = self->places.feedforward[site] ? weight->cols : weight->rows;
    return adapted_declare(adapted, 1, size, "%s.ia3", prefix);
}

static enum status attach(struct adapted *adapted, const struct material *material,
                          struct error *err)
{
    (void)material;
    static const struct attachment attachment = {.linear_input = rescale_input,
                                                 .linear = rescale_output};
    struct ia3 *self = arena_alloc(&adapted->arena, sizeof *self);
    enum status status = read_places(&adapted->setting, &self->places, err);
    if (status != OK)
        return status;
    adapted->self = self;
    self->index = targets_declare(adapted, self->places.target, declare);
    adapted_allocate(adapted);
    for (size_t i = 0; i < adapted->parameters.count; i++)
        adapted->parameters.values[i] = 1;
    adapted->attachment = &attachment;
    return OK;
}

/* A factor of an output scales a row of the weights and a value of the bias, one of an input a
 * column of the weights. */
static bool merge(const struct adapted *adapted, int number, real *values)
{
    const struct ia3 *self = adapted->self;
    const struct model *model = adapted->engine->model;
    int bias = targets_bias_index(model, number);
    int at = bias < 0 ? targets_index(model, number) : bias;
    if (at < 0 || self->index[at] < 0)
        return false;
    const struct tensor *weight = model_weight(model, number);
    const real *factors = adapted_parameter(adapted, self->index[at]);
    bool input = self->places.feedforward[at % N_SITES];
    if (input && bias >= 0)
        return false;
    for (int r = 0; r < weight->rows; r++)
        for (int c = 0; c < weight->cols; c++)
            values[(size_t)r * (size_t)weight->cols + (size_t)c] *=
                factors[input || bias >= 0 ? c : r];
    return true;
}

static void predict(const struct setting *setting, const struct workload *workload,
                    struct cost *cost)
{
    struct places places;
    if (read_places(setting, &places, NULL) != OK)
        return;
    cost->trainable_parameters = 0;
    for (int site = 0; site < N_SITES; site++) {
        const struct tensor *w = &workload->model->layers[0].linear[site];
        if (places.target[site])
            cost->trainable_parameters += (size_t)workload->model->n_layer *
                                          (size_t)(places.feedforward[site] ? w->cols : w->rows);
    }
    memory_predict_training(setting, workload, cost);
}

static void peft_config(const struct adapted *adapted, struct json_t *config)
{
    const struct ia3 *self = adapted->self;
    struct text inputs = {0};
    for (int site = 0; site < N_SITES; site++)
        if (self->places.feedforward[site])
            text_printf(&inputs, "%s%s", inputs.length ? "," : "",
                        site_name((enum site)site)->peft);
    peft_config_modules(config, "target_modules",
                        setting_text(&adapted->setting, "target_modules"));
    peft_config_modules(config, "feedforward_modules", text_string(&inputs));
    peft_config_bool(config, "fan_in_fan_out", false);
    peft_config_json(config, "modules_to_save", "null");
    peft_config_bool(config, "init_ia3_weights", true);
    text_release(&inputs);
}

static void peft_tensors(const struct adapted *adapted, struct peft_map *map)
{
    const struct ia3 *self = adapted->self;
    for (int at = 0; at < adapted->engine->model->n_layer * N_SITES; at++) {
        bool input = self->places.feedforward[at % N_SITES];
        if (self->index[at] >= 0)
            peft_map_projection(map, self->index[at], "ia3_l",
                                input ? PEFT_INPUTS : PEFT_OUTPUT_COLUMN);
    }
}

static const struct interchange interchange = {
    .peft_type = "IA3", .config = peft_config, .tensors = peft_tensors};

const struct technique ia3 = {
    .name = "ia3",
    .family = "peft",
    .summary = "learned vectors that rescale keys, values and feed-forward activations",
    .needs = NEEDS_MODEL | NEEDS_GRADIENT,
    .minimum_examples = 8,
    .prior = 25,
    .hyperparameters = hyperparameters,
    .learning_rates = "1e-2,3e-2,1e-1",
    .check = check,
    .predict = predict,
    .attach = attach,
    .merge = merge,
    .interchange = &interchange,
};
