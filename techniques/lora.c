/* SPDX-License-Identifier: Apache-2.0
 *
 * Low-rank adaptation (Hu et al. 2021): y = x W^T + (lora_alpha / r) (x A^T) B^T with A (r, in) and
 * B (out, r) trained and W frozen. A starts uniform in +-1 / sqrt(in), as PEFT does (Kaiming with
 * a = sqrt 5), B at zero, so training begins with the unchanged model.
 */
#include <math.h>
#include <string.h>

#include "base/random.h"
#include "model/operators.h"
#include "techniques/adapted.h"
#include "techniques/registry.h"
#include "techniques/targets.h"

static const struct hyperparameter hyperparameters[] = {
    {.name = "r",
     .summary = "rank of the update",
     .kind = VALUE_INTEGER,
     .low = 1,
     .high = 1024,
     .fallback = "8"},
    {.name = "lora_alpha",
     .summary = "the update is scaled by lora_alpha / r",
     .kind = VALUE_REAL,
     .low = 1e-6,
     .high = 1e6,
     .fallback = "8"},
    {.name = "target_modules",
     .summary = "projections to adapt, by name with commas, or all-linear",
     .kind = VALUE_TEXT,
     .fallback = "q_proj,v_proj"},
    {0}};

struct lora {
    real scale;
    int *first; /* (n_layer * N_SITES) index of A, B is the next one; -1: this site is left alone */
};

static enum status check(const struct setting *setting, const struct model *model,
                         const struct material *material, struct error *err)
{
    (void)model;
    (void)material;
    bool sites[N_SITES];
    return targets_parse("lora", setting_text(setting, "target_modules"), sites, err);
}

static struct tensor *update(struct pass *pass, int layer, enum site site, struct tensor *x,
                             struct tensor *y)
{
    const struct lora *self = pass->self;
    int first = self->first[layer * N_SITES + (int)site];
    if (first < 0)
        return y;
    struct tensor *down = op_linear(pass->tape, x, &pass->parameters[first], NULL);
    return op_linear_add(pass->tape, y, down, &pass->parameters[first + 1], self->scale);
}

static void initialise(struct adapted *adapted, uint64_t seed)
{
    const struct parameters *p = &adapted->parameters;
    for (int i = 0; i < p->n_items; i += 2) { /* A only: B stays zero */
        struct random random = random_stream(seed, "lora", (uint64_t)i);
        real *values = adapted_parameter(adapted, i);
        double bound = 1 / sqrt(p->items[i].cols);
        for (int v = 0; v < p->items[i].rows * p->items[i].cols; v++)
            values[v] = (real)(bound * (2 * random_uniform(&random) - 1));
    }
}

static enum status attach(struct adapted *adapted, const struct material *material,
                          struct error *err)
{
    static const struct attachment attachment = {.linear = update};
    const struct model *model = adapted->engine->model;
    bool sites[N_SITES];
    enum status status =
        targets_parse("lora", setting_text(&adapted->setting, "target_modules"), sites, err);
    if (status != OK)
        return status;
    struct lora *self = arena_alloc(&adapted->arena, sizeof *self);
    int rank = setting_integer(&adapted->setting, "r");
    self->scale = (real)(setting_number(&adapted->setting, "lora_alpha") / rank);
    self->first =
        arena_alloc(&adapted->arena, (size_t)model->n_layer * N_SITES * sizeof *self->first);
    for (int layer = 0; layer < model->n_layer; layer++)
        for (int site = 0; site < N_SITES; site++) {
            const struct tensor *w = &model->layers[layer].linear[site];
            const char *name = site_name((enum site)site)->gguf;
            int *first = &self->first[layer * N_SITES + site];
            *first = -1;
            if (!sites[site])
                continue;
            *first = adapted_declare(adapted, rank, w->cols, "blk.%d.%s.lora_a", layer, name);
            adapted_declare(adapted, w->rows, rank, "blk.%d.%s.lora_b", layer, name);
        }
    adapted_allocate(adapted);
    initialise(adapted, material->seed);
    adapted->attachment = &attachment;
    adapted->self = self;
    return OK;
}

static void predict(const struct setting *setting, const struct workload *workload,
                    struct cost *cost)
{
    bool sites[N_SITES];
    if (targets_parse("lora", setting_text(setting, "target_modules"), sites, NULL) != OK)
        return;
    cost->trainable_parameters = 0;
    for (int site = 0; site < N_SITES; site++) {
        const struct tensor *w = &workload->model->layers[0].linear[site];
        if (sites[site])
            cost->trainable_parameters += (size_t)workload->model->n_layer *
                                          (size_t)setting_integer(setting, "r") *
                                          (size_t)(w->rows + w->cols);
    }
}

const struct technique lora = {
    .name = "lora",
    .family = "peft",
    .summary = "low-rank updates of the frozen projections",
    .needs = NEEDS_MODEL | NEEDS_GRADIENT,
    .minimum_examples = 8,
    .hyperparameters = hyperparameters,
    .learning_rates = "1e-3,3e-3,1e-2",
    .check = check,
    .predict = predict,
    .attach = attach,
};
