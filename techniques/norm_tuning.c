/* SPDX-License-Identifier: Apache-2.0
 *
 * Norm tuning (Zhao et al. 2023, "Tuning LayerNorm in Attention"): the gains of all norms are
 * trained and everything else is frozen. They start as the model has them.
 */
#include "techniques/memory.h"
#include "techniques/registry.h"
#include "techniques/weights.h"

static bool is_gain(const struct model *model, int number)
{
    return weight_name_ends(model, number, "norm.weight");
}

static enum status check(const struct setting *setting, const struct model *model,
                         const struct material *material, struct error *err)
{
    (void)setting;
    (void)material;
    if (weights_count(model, is_gain))
        return OK;
    return error_set(err, USAGE,
                     "norm_tuning: %s has no norms with gains; expected a model that has some, "
                     "or another technique, such as lora",
                     model->name);
}

static enum status attach(struct adapted *adapted, const struct material *material,
                          struct error *err)
{
    (void)material;
    (void)err;
    weights_attach(adapted, is_gain);
    return OK;
}

static void predict(const struct setting *setting, const struct workload *workload,
                    struct cost *cost)
{
    cost->trainable_parameters = weights_count(workload->model, is_gain);
    memory_predict_training(setting, workload, cost);
}

const struct technique norm_tuning = {
    .name = "norm_tuning",
    .family = "peft",
    .summary = "the gains of the norms are trained",
    .needs = NEEDS_MODEL | NEEDS_GRADIENT,
    .minimum_examples = 8,
    .prior = 24,
    .learning_rates = "3e-3,1e-2,3e-2",
    .check = check,
    .predict = predict,
    .attach = attach,
    .merge = weights_merge,
};
