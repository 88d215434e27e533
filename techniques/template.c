/* SPDX-License-Identifier: Apache-2.0
 *
 * The technique to copy. It works, is compiled in every build and tested like the others, but no
 * user meets it: it learns one factor for each feature of some projections' results, starting at 1.
 *
 * To add a technique:
 *
 *   1. Copy this file to techniques/NAME.c, and in it replace the word template by NAME. Where the
 *      literature has a name, take that, in the style of prompt_tuning.
 *   2. Say up here what is learned and how it starts, with the source of the formula.
 *   3. List what a user can set in `hyperparameters`, named as in PEFT; nothing to set: leave the
 *      table out. `instruction` and the settings of the trainer come by themselves.
 *   4. Refuse in `check` what the bounds of the table cannot: the sentence names the setting, its
 *      value and what is possible. It runs before anything else does.
 *   5. Declare the parameters in `attach`, allocate them, give them their first values from a
 *      random_stream named after the technique, and set `attachment` and `self`. The places to
 *      attach to are in model/transformer.h; what a hook may compute with is in model/operators.h.
 *      A technique that only changes what the model reads has `prompt` instead (few_shot.c).
 *   6. Say in `predict` what that costs beyond plain prompting. The parameters must be exact.
 *   7. Fill in the row at the end. `learning_rates`: three that work, a factor of about 3 apart.
 *   8. Add one line to registry.h and one to registry.c.
 *   9. Run tests/test_techniques.c: it takes every registered technique through its defaults,
 *      refusals, costs, training, saving and all kinds of tasks. If eight examples need other
 *      settings to be learned by heart, add a row to its table. Then compare the loss and the
 *      gradients with those of an independent implementation, as tests/parity does for LoRA.
 */
#include "model/operators.h"
#include "techniques/adapted.h"
#include "techniques/memory.h"
#include "techniques/registry.h"
#include "techniques/targets.h"

/* Step 8 puts this line into registry.h; the template stays out of it. */
extern const struct technique template;

static const struct hyperparameter hyperparameters[] = {
    {.name = "target_modules",
     .summary = "projections to rescale, by name with commas, or all-linear",
     .kind = VALUE_TEXT,
     .fallback = "v_proj,up_proj"},
    {0}};

/* The technique's own state: what the hooks need to know besides the parameters. */
struct scales {
    int *index; /* (n_layer * N_SITES) which parameter; -1: this site is left alone */
};

static enum status check(const struct setting *setting, const struct model *model,
                         const struct material *material, struct error *err)
{
    (void)model;
    (void)material;
    bool sites[N_SITES];
    return targets_parse("template", setting_text(setting, "target_modules"), sites, err);
}

/* The hook. Several workers run it at a time, so it changes nothing but the result. */
static struct tensor *rescale(struct pass *pass, int layer, enum site site, struct tensor *x,
                              struct tensor *y)
{
    (void)x;
    const struct scales *self = pass->self;
    int index = self->index[layer * N_SITES + (int)site];
    return index < 0 ? y : op_scale(pass->tape, y, &pass->parameters[index]);
}

/* The parameter of one chosen projection. */
static int declare(struct adapted *adapted, const char *prefix, enum site site,
                   const struct tensor *weight)
{
    (void)site;
    return adapted_declare(adapted, 1, weight->rows, "%s.scale", prefix);
}

static enum status attach(struct adapted *adapted, const struct material *material,
                          struct error *err)
{
    (void)material; /* its seed is for techniques that start at random */
    static const struct attachment attachment = {.linear = rescale};
    bool sites[N_SITES];
    enum status status =
        targets_parse("template", setting_text(&adapted->setting, "target_modules"), sites, err);
    if (status != OK)
        return status;
    struct scales *self = arena_alloc(&adapted->arena, sizeof *self);
    self->index = targets_declare(adapted, sites, declare);
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
    bool sites[N_SITES];
    if (targets_parse("template", setting_text(setting, "target_modules"), sites, NULL) != OK)
        return;
    const struct model *model = workload->model;
    cost->trainable_parameters = 0;
    for (int site = 0; site < N_SITES; site++)
        if (sites[site])
            cost->trainable_parameters +=
                (size_t)model->n_layer * (size_t)model->layers[0].linear[site].rows;
    memory_predict_training(setting, workload, cost);
}

const struct technique template = {
    .name = "template",
    .family = "peft",
    .summary = "a learned factor for each feature of some projections",
    .needs = NEEDS_MODEL | NEEDS_GRADIENT,
    .minimum_examples = 8,
    .hyperparameters = hyperparameters,
    .learning_rates = "1e-2,3e-2,1e-1",
    .check = check,
    .predict = predict,
    .attach = attach,
};
