/* SPDX-License-Identifier: Apache-2.0
 *
 * Full fine-tuning: every weight is trained, on a copy, so that the model can be shared with other
 * techniques. An output head that is tied to the embedding stays tied.
 */
#include "techniques/memory.h"
#include "techniques/registry.h"
#include "techniques/weights.h"

static bool any(const struct model *model, int number)
{
    (void)model;
    (void)number;
    return true;
}

static enum status attach(struct adapted *adapted, const struct material *material,
                          struct error *err)
{
    (void)material;
    (void)err;
    weights_attach(adapted, any);
    return OK;
}

static void predict(const struct setting *setting, const struct workload *workload,
                    struct cost *cost)
{
    cost->trainable_parameters = weights_count(workload->model, any);
    cost->added_in_place = weights_read_once(workload->model, any);
    memory_predict_training(setting, workload, cost);
    /* The forward pass and the gradients of the activations take two operations for each weight and
     * token; the gradients of the weights take as many again. */
    cost->training_operations *= 1.5;
}

const struct technique full_finetune = {
    .name = "full_finetune",
    .family = "full",
    .summary = "every weight of the model is trained",
    .needs = NEEDS_MODEL | NEEDS_GRADIENT,
    .minimum_examples = 8,
    .prior = 28,
    .learning_rates = "3e-5,1e-4,3e-4",
    .predict = predict,
    .attach = attach,
    .merge = weights_merge,
};
