/* SPDX-License-Identifier: Apache-2.0
 *
 * BitFit (Ben Zaken et al. 2022): the biases of the model are trained and everything else is
 * frozen. They start as the model has them. A model without biases, as most of the llama
 * architecture are, is refused; qwen2 has those of queries, keys and values.
 *
 * Nothing here is measured, since the model of the recorded trials has no biases: the learning
 * rates are of the size that the literature uses, and the prior is that of norm_tuning, which
 * trains about as few values.
 */
#include "techniques/memory.h"
#include "techniques/registry.h"
#include "techniques/weights.h"

static bool is_bias(const struct model *model, int number)
{
    return weight_name_ends(model, number, ".bias");
}

static enum status check(const struct setting *setting, const struct model *model,
                         const struct material *material, struct error *err)
{
    (void)setting;
    (void)material;
    if (weights_count(model, is_bias))
        return OK;
    return error_set(err, USAGE,
                     "bitfit: %s has no biases, so there is nothing to train; expected a model "
                     "that has some, or another technique, such as norm_tuning or lora",
                     model->name);
}

static enum status attach(struct adapted *adapted, const struct material *material,
                          struct error *err)
{
    (void)material;
    (void)err;
    weights_attach(adapted, is_bias);
    return OK;
}

static void predict(const struct setting *setting, const struct workload *workload,
                    struct cost *cost)
{
    cost->trainable_parameters = weights_count(workload->model, is_bias);
    memory_predict_training(setting, workload, cost);
}

const struct technique bitfit = {
    .name = "bitfit",
    .family = "peft",
    .summary = "the biases of the model are trained",
    .needs = NEEDS_MODEL | NEEDS_GRADIENT,
    .minimum_examples = 8,
    .prior = 24,
    .learning_rates = "1e-3,3e-3,1e-2",
    .check = check,
    .predict = predict,
    .attach = attach,
    .merge = weights_merge,
};
