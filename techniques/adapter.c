/* SPDX-License-Identifier: Apache-2.0
 *
 * Bottleneck adapters: y + up(relu(down(z))) with down (adapter_dim, n_embd) and up (n_embd,
 * adapter_dim), both with bias. `houlsby` (Houlsby et al. 2019) puts one behind each residual
 * branch (z is the branch's output), `pfeiffer` (Pfeiffer et al. 2020) only behind the
 * feed-forward, and `parallel` (He et al. 2022) beside the feed-forward (z is its input). `down`
 * starts uniform with Xavier bounds and `up` at zero, as in NeMo, so training begins with the
 * unchanged model.
 */
#include <math.h>
#include <string.h>

#include "base/random.h"
#include "model/operators.h"
#include "techniques/adapted.h"
#include "techniques/memory.h"
#include "techniques/registry.h"

static const struct hyperparameter hyperparameters[] = {{.name = "adapter_dim",
                                                         .summary = "width of the bottleneck",
                                                         .kind = VALUE_INTEGER,
                                                         .low = 1,
                                                         .high = 65536,
                                                         .fallback = "32"},
                                                        {.name = "adapter_form",
                                                         .summary = "where the adapters stand",
                                                         .kind = VALUE_CHOICE,
                                                         .choices = "houlsby|pfeiffer|parallel",
                                                         .fallback = "pfeiffer"},
                                                        {0}};

enum { BRANCHES = 2, PARTS = 4 }; /* parts: down, its bias, up, its bias */

struct adapter {
    bool parallel;
    int first[BRANCHES]; /* offset of a branch's parts within its layer; -1: no adapter there */
    int per_layer;       /* parameters of a layer */
};

static struct tensor *bottleneck(struct pass *pass, int layer, enum branch branch, struct tensor *x,
                                 struct tensor *y)
{
    const struct adapter *self = pass->self;
    if (self->first[branch] < 0)
        return y;
    struct tensor *part = &pass->parameters[layer * self->per_layer + self->first[branch]];
    struct tensor *z = self->parallel ? x : y;
    struct tensor *inner = op_relu(pass->tape, op_linear(pass->tape, z, &part[0], &part[1]));
    return op_add(pass->tape, y, op_linear(pass->tape, inner, &part[2], &part[3]));
}

static void initialise(struct adapted *adapted, uint64_t seed)
{
    const struct parameters *p = &adapted->parameters;
    for (int i = 0; i < p->n_items; i += PARTS) {
        struct random random = random_stream(seed, "adapter", (uint64_t)i);
        real *down = adapted_parameter(adapted, i);
        double bound = sqrt(6.0 / (p->items[i].rows + p->items[i].cols));
        for (int v = 0; v < p->items[i].rows * p->items[i].cols; v++)
            down[v] = (real)(bound * (2 * random_uniform(&random) - 1));
    }
}

static void declare(struct adapted *adapted, const struct adapter *self, int dim)
{
    static const char *const names[BRANCHES] = {"attn", "ffn"};
    int width = adapted->engine->model->n_embd;
    for (int layer = 0; layer < adapted->engine->model->n_layer; layer++)
        for (int b = 0; b < BRANCHES; b++) {
            if (self->first[b] < 0)
                continue;
            adapted_declare(adapted, dim, width, "blk.%d.%s.adapter_down", layer, names[b]);
            adapted_declare(adapted, 1, dim, "blk.%d.%s.adapter_down.bias", layer, names[b]);
            adapted_declare(adapted, width, dim, "blk.%d.%s.adapter_up", layer, names[b]);
            adapted_declare(adapted, 1, width, "blk.%d.%s.adapter_up.bias", layer, names[b]);
        }
}

static bool both_branches(const struct setting *setting)
{
    return !strcmp(setting_text(setting, "adapter_form"), "houlsby");
}

static enum status attach(struct adapted *adapted, const struct material *material,
                          struct error *err)
{
    (void)err;
    static const struct attachment attachment = {.branch = bottleneck};
    struct adapter *self = arena_alloc(&adapted->arena, sizeof *self);
    bool both = both_branches(&adapted->setting);
    *self = (struct adapter){
        .parallel = !strcmp(setting_text(&adapted->setting, "adapter_form"), "parallel"),
        .first = {[BRANCH_ATTENTION] = both ? 0 : -1, [BRANCH_FEED_FORWARD] = both ? PARTS : 0},
        .per_layer = both ? 2 * PARTS : PARTS};
    declare(adapted, self, setting_integer(&adapted->setting, "adapter_dim"));
    adapted_allocate(adapted);
    initialise(adapted, material->seed);
    adapted->attachment = &attachment;
    adapted->self = self;
    return OK;
}

static void predict(const struct setting *setting, const struct workload *workload,
                    struct cost *cost)
{
    size_t dim = (size_t)setting_integer(setting, "adapter_dim");
    size_t width = (size_t)workload->model->n_embd;
    cost->trainable_parameters = (size_t)workload->model->n_layer *
                                 (both_branches(setting) ? 2 : 1) * (2 * dim * width + dim + width);
    memory_predict_training(setting, workload, cost);
}

const struct technique adapter = {
    .name = "adapter",
    .family = "peft",
    .summary = "small bottleneck networks at the residual branches",
    .needs = NEEDS_MODEL | NEEDS_GRADIENT,
    .minimum_examples = 8,
    .prior = 24,
    .hyperparameters = hyperparameters,
    .learning_rates = "3e-4,1e-3,3e-3",
    .predict = predict,
    .attach = attach,
};
