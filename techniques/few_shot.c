/* SPDX-License-Identifier: Apache-2.0
 *
 * In-context learning (Brown et al. 2020): k worked examples stand before every request. They are
 * chosen balanced over the classes, in the order of the study, so that k examples are the same for
 * every trial; they are computed once and cost each request only the attention to them.
 */
#include <string.h>

#include "base/random.h"
#include "techniques/adapted.h"
#include "techniques/prompt.h"
#include "techniques/registry.h"

static const struct hyperparameter hyperparameters[] = {
    {.name = "k",
     .summary = "worked examples in the prompt",
     .kind = VALUE_INTEGER,
     .low = 1,
     .high = 1000,
     .fallback = "8",
     .search = "4,16"},
    {.name = "order_seed",
     .summary = "which order the worked examples stand in",
     .kind = VALUE_INTEGER,
     .low = 0,
     .high = 1e9,
     .fallback = "0"},
    {0}};

static enum status check(const struct setting *setting, const struct model *model,
                         const struct material *material, struct error *err)
{
    (void)model;
    size_t k = (size_t)setting_integer(setting, "k");
    if (k > material->count)
        return error_set(err, USAGE,
                         "few_shot: k=%zu is more than the %zu training examples; expected 1 to "
                         "%zu",
                         k, material->count, material->count);
    return OK;
}

/* Picks k rows in rounds, in each round the next unused example of every class; without classes the
 * first k. Returns how many were picked. */
static size_t pick_balanced(const struct material *material, size_t k, size_t *picked,
                            struct arena *arena)
{
    size_t labels = material->data->label_count, n = 0;
    if (!labels) {
        memcpy(picked, material->rows, k * sizeof *picked);
        return k;
    }
    size_t *next = arena_zalloc(arena, labels * sizeof *next); /* where to look on, by class */
    for (bool found = true; n < k && found;) {
        found = false;
        for (size_t l = 0; l < labels && n < k; l++) {
            while (next[l] < material->count &&
                   material->data->examples[material->rows[next[l]]].label != (int)l)
                next[l]++;
            if (next[l] == material->count)
                continue;
            picked[n++] = material->rows[next[l]++];
            found = true;
        }
    }
    return n;
}

/* The examples of the prompt may take at most half of the context. */
static enum status check_room(const struct adapted *adapted, size_t k, struct error *err)
{
    size_t room = (size_t)adapted->engine->model->n_context / 2;
    if (adapted->prefix.count <= room)
        return OK;
    return error_set(err, USAGE,
                     "few_shot: k=%zu worked examples take %zu tokens of a context of %d; expected "
                     "at most half of it, so choose a smaller k",
                     k, adapted->prefix.count, adapted->engine->model->n_context);
}

static enum status prompt(struct adapted *adapted, const struct material *material,
                          struct error *err)
{
    size_t k = (size_t)setting_integer(&adapted->setting, "k");
    size_t *picked = arena_alloc(&adapted->arena, k * sizeof *picked);
    k = pick_balanced(material, k, picked, &adapted->arena);
    uint64_t order = (uint64_t)setting_integer(&adapted->setting, "order_seed");
    struct random random = random_stream(material->seed, "few_shot order", order);
    random_shuffle(&random, picked, k);
    enum status status = prompt_begin(adapted, err);
    for (size_t i = 0; i < k && status == OK; i++) {
        const struct example *example = &material->data->examples[picked[i]];
        status = prompt_add_example(adapted->engine->model, example->input, example->target,
                                    &adapted->prefix, err);
    }
    if (status == OK)
        status = prompt_open_request(adapted, err);
    return status == OK ? check_room(adapted, k, err) : status;
}

static void predict(const struct setting *setting, const struct workload *workload,
                    struct cost *cost)
{
    double each = workload->input_tokens + workload->answer_tokens;
    cost->shared_tokens += setting_number(setting, "k") * each;
}

const struct technique few_shot = {
    .name = "few_shot",
    .family = "prompt",
    .summary = "worked examples from the data in front of every request",
    .needs = NEEDS_MODEL,
    .minimum_examples = 1,
    .hyperparameters = hyperparameters,
    .check = check,
    .predict = predict,
    .prompt = prompt,
};
