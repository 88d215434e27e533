/* SPDX-License-Identifier: Apache-2.0
 *
 * IA3 (Liu et al. 2022, section 3.3): learned vectors rescale the keys, the values and the inner
 * activations of the feed-forward. As in PEFT, a vector multiplies the output of a target module,
 * or its input where the module is also a feedforward module. All vectors start at one, so training
 * begins with the unchanged model.
 */
#include <string.h>

#include "model/operators.h"
#include "techniques/adapted.h"
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

struct ia3 {
    int *output; /* (n_layer * N_SITES) parameter that scales the output; -1: none */
    int *input;  /* the same for the input */
};

struct places {
    bool target[N_SITES], feedforward[N_SITES];
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

static struct tensor *rescale(struct pass *pass, int index, struct tensor *x)
{
    return index < 0 ? x : op_scale(pass->tape, x, &pass->parameters[index]);
}

static struct tensor *rescale_input(struct pass *pass, int layer, enum site site, struct tensor *x)
{
    const struct ia3 *self = pass->self;
    return rescale(pass, self->input[layer * N_SITES + (int)site], x);
}

static struct tensor *rescale_output(struct pass *pass, int layer, enum site site, struct tensor *x,
                                     struct tensor *y)
{
    (void)x;
    const struct ia3 *self = pass->self;
    return rescale(pass, self->output[layer * N_SITES + (int)site], y);
}

static void declare(struct adapted *adapted, const struct places *places, struct ia3 *self)
{
    const struct model *model = adapted->engine->model;
    for (int layer = 0; layer < model->n_layer; layer++)
        for (int site = 0; site < N_SITES; site++) {
            const struct tensor *w = &model->layers[layer].linear[site];
            int at = layer * N_SITES + site;
            self->input[at] = self->output[at] = -1;
            if (!places->target[site])
                continue;
            bool input = places->feedforward[site];
            int index = adapted_declare(adapted, 1, input ? w->cols : w->rows, "blk.%d.%s.ia3",
                                        layer, site_name((enum site)site)->gguf);
            *(input ? &self->input[at] : &self->output[at]) = index;
        }
}

static enum status attach(struct adapted *adapted, const struct material *material,
                          struct error *err)
{
    (void)material;
    static const struct attachment attachment = {.linear_input = rescale_input,
                                                 .linear = rescale_output};
    struct places places;
    enum status status = read_places(&adapted->setting, &places, err);
    if (status != OK)
        return status;
    size_t sites = (size_t)adapted->engine->model->n_layer * N_SITES;
    struct ia3 *self = arena_alloc(&adapted->arena, sizeof *self);
    self->output = arena_alloc(&adapted->arena, sites * sizeof *self->output);
    self->input = arena_alloc(&adapted->arena, sites * sizeof *self->input);
    declare(adapted, &places, self);
    adapted_allocate(adapted);
    for (size_t i = 0; i < adapted->parameters.count; i++)
        adapted->parameters.values[i] = 1;
    adapted->attachment = &attachment;
    adapted->self = self;
    return OK;
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
}

const struct technique ia3 = {
    .name = "ia3",
    .family = "peft",
    .summary = "learned vectors that rescale keys, values and feed-forward activations",
    .needs = NEEDS_MODEL | NEEDS_GRADIENT,
    .minimum_examples = 8,
    .hyperparameters = hyperparameters,
    .learning_rates = "3e-3,1e-2,3e-2",
    .check = check,
    .predict = predict,
    .attach = attach,
};
