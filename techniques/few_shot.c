/* SPDX-License-Identifier: Apache-2.0
 *
 * In-context learning (Brown et al. 2020): k worked examples stand before every request.
 *
 * `balanced`: the same ones for every request, balanced over the classes in the order of the study,
 * so that k examples are the same for every trial; they are computed once and cost each request
 * only the attention to them. `nearest`: those most similar to the request, which has to read them.
 *
 * The order matters (Lu et al. 2022), so several can be asked for: answers are then the mean over
 * the orders, and what each order alone would have answered tells the spread.
 */
#include <string.h>

#include "base/random.h"
#include "techniques/adapted.h"
#include "techniques/calibrate.h"
#include "techniques/nearest.h"
#include "techniques/prompt.h"
#include "techniques/registry.h"
#include "techniques/worked.h"

static const struct hyperparameter hyperparameters[] = {
    {.name = "k",
     .summary = "worked examples in the prompt; -1: 8 or all classes, as far as they fit",
     .kind = VALUE_INTEGER,
     .low = WORKED_AUTOMATIC,
     .high = 1000,
     .fallback = "-1",
     .search = "4,16"},
    {.name = "selection",
     .summary = "the same for all requests, or most similar to each",
     .kind = VALUE_CHOICE,
     .choices = "balanced|nearest",
     .fallback = "balanced",
     .search = "nearest"},
    {.name = "order_seed",
     .summary = "which order the worked examples stand in; nearest: 0 is the most similar last",
     .kind = VALUE_INTEGER,
     .low = 0,
     .high = 1e9,
     .fallback = "0"},
    {.name = "orders",
     .summary = "orders that answer together, order_seed and those after it",
     .kind = VALUE_INTEGER,
     .low = 1,
     .high = 32,
     .fallback = "1",
     .search = "3"},
    CALIBRATION_HYPERPARAMETER,
    {0}};

enum { USUAL = 8 };

/* The technique's own state, for selection=nearest. */
struct retrieval {
    struct nearest *index;
    size_t k;
    uint64_t seed;
};

static bool is_nearest(const struct setting *setting)
{
    return !strcmp(setting_text(setting, "selection"), "nearest");
}

/* The worked examples of a setting, in the order in which they were chosen. */
static enum status choose(const struct setting *setting, const struct model *model,
                          const struct material *material, struct arena *arena, size_t **rows,
                          size_t *k, struct error *err)
{
    struct text instruction = {0};
    prompt_write_instruction(setting, material->data, &instruction);
    struct worked worked = {.setting = setting,
                            .model = model,
                            .material = material,
                            .instruction = text_string(&instruction),
                            .usual = USUAL,
                            .of = "training examples",
                            .answer = worked_target};
    enum status status = worked_choose(&worked, arena, rows, k, err);
    text_release(&instruction);
    if (status == OK && !*k)
        status = error_set(err, USAGE,
                           "few_shot: k=-1 finds no worked example that fits into half of the "
                           "context of %d tokens; expected shorter texts or a larger context",
                           model->n_context);
    return status;
}

static enum status check(const struct setting *setting, const struct model *model,
                         const struct material *material, struct error *err)
{
    struct arena arena;
    size_t *rows, k;
    arena_init(&arena, NULL);
    enum status status = choose(setting, model, material, &arena, &rows, &k, err);
    arena_release(&arena);
    return status;
}

static struct random order_stream(const struct setting *setting, uint64_t seed)
{
    return random_stream(seed, "few_shot order", (uint64_t)setting_number(setting, "order_seed"));
}

static enum status add_orders(struct adapted *adapted, const struct material *material,
                              struct error *err)
{
    int orders = setting_integer(&adapted->setting, "orders");
    enum status status = OK;
    for (int i = 1; i < orders && status == OK; i++) {
        struct setting other = adapted->setting;
        double first = setting_number(&adapted->setting, "order_seed");
        setting_set_number(&other, "orders", 1, &adapted->arena);
        setting_set_number(&other, "order_seed", first + i, &adapted->arena);
        status = adapted_add_member(adapted, &other, material, err);
    }
    return status;
}

static enum status add_examples(struct adapted *adapted, const struct material *material,
                                size_t *rows, size_t k, struct error *err)
{
    struct random random = order_stream(&adapted->setting, material->seed);
    random_shuffle(&random, rows, k);
    enum status status = OK;
    for (size_t i = 0; i < k && status == OK; i++) {
        const struct example *example = &material->data->examples[rows[i]];
        status = prompt_worked_example(adapted, example, example->target, err);
    }
    return status;
}

static enum status prompt(struct adapted *adapted, const struct material *material,
                          struct error *err)
{
    size_t *rows, k;
    enum status status = choose(&adapted->setting, adapted->engine->model, material,
                                &adapted->arena, &rows, &k, err);
    if (status == OK)
        status = prompt_begin(adapted, err);
    if (status == OK && is_nearest(&adapted->setting)) {
        struct retrieval *self = arena_alloc(&adapted->arena, sizeof *self);
        *self = (struct retrieval){nearest_create(adapted, material), k, material->seed};
        adapted->self = self;
    } else if (status == OK) {
        status = add_examples(adapted, material, rows, k, err);
    }
    if (status == OK)
        status = prompt_open_request(adapted, err);
    return status == OK ? add_orders(adapted, material, err) : status;
}

static enum status keep(const struct adapted *adapted, const struct material *material,
                        struct kept *kept, struct arena *arena, struct error *err)
{
    kept->for_each_request = is_nearest(&adapted->setting);
    kept->prompts = setting_integer(&adapted->setting, "orders");
    if (!kept->for_each_request)
        return choose(&adapted->setting, adapted->engine->model, material, arena, &kept->rows,
                      &kept->count, err);
    size_t bytes = material->count * sizeof *kept->rows;
    kept->rows = memcpy(arena_alloc(arena, bytes), material->rows, bytes);
    kept->count = material->count;
    return OK;
}

/* ---- Examples for each request -------------------------------------------------------------- */

/* Tokens that the worked examples of a request may take: half of the context, and what the request
 * and its answer leave. */
static size_t room_for(const struct adapted *adapted, const struct sequence *sequence)
{
    size_t context = (size_t)adapted->engine->model->n_context, prefix = adapted->prefix.count;
    size_t own = prefix + (size_t)sequence->request;
    if (!adapted->labels)
        own += (size_t)adapted->longest_answer;
    size_t left = own < context ? context - own : 0;
    size_t half = prefix < context / 2 ? context / 2 - prefix : 0;
    return left < half ? left : half;
}

/* Keeps those of `rows` that fit, the nearest first; returns how many. */
static enum status keep_fitting(const struct adapted *adapted, size_t *rows, size_t *count,
                                size_t room, struct tokens *scratch, struct error *err)
{
    size_t kept = 0, used = 0;
    for (size_t i = 0; i < *count; i++) {
        const struct example *example = &adapted->data->examples[rows[i]];
        tokens_clear(scratch);
        enum status status = prompt_insert_example(adapted->engine->model, example->input,
                                                   example->target, scratch, err);
        if (status != OK)
            return status;
        if (used + scratch->count > room)
            continue;
        used += scratch->count;
        rows[kept++] = rows[i];
    }
    *count = kept;
    return OK;
}

/* The most similar one stands next to the request, unless another order is asked for. */
static void put_in_order(const struct adapted *adapted, const struct retrieval *self, size_t *rows,
                         size_t count)
{
    for (size_t i = 0; i < count / 2; i++) {
        size_t other = rows[i];
        rows[i] = rows[count - 1 - i];
        rows[count - 1 - i] = other;
    }
    if (setting_number(&adapted->setting, "order_seed") > 0) {
        struct random random = order_stream(&adapted->setting, self->seed);
        random_shuffle(&random, rows, count);
    }
}

static enum status write_front(const struct adapted *adapted, const struct retrieval *self,
                               const struct sequence *sequence, size_t *rows, size_t count,
                               struct retrieved *retrieved, struct tokens *scratch,
                               struct arena *arena, struct error *err)
{
    enum status status =
        keep_fitting(adapted, rows, &count, room_for(adapted, sequence), scratch, err);
    put_in_order(adapted, self, rows, count);
    tokens_clear(scratch);
    for (size_t i = 0; i < count && status == OK; i++) {
        const struct example *example = &adapted->data->examples[rows[i]];
        status = prompt_insert_example(adapted->engine->model, example->input, example->target,
                                       scratch, err);
    }
    int32_t *ids = arena_alloc(arena, scratch->count * sizeof *ids);
    if (scratch->count)
        memcpy(ids, scratch->ids, scratch->count * sizeof *ids);
    retrieved->ids = ids;
    retrieved->count = (int)scratch->count;
    return status;
}

static enum status retrieve(struct adapted *adapted, const struct example *const *examples,
                            const struct sequence *sequences, size_t count,
                            struct retrieved *retrieved, struct arena *arena,
                            const struct deadline *deadline, struct error *err)
{
    const struct retrieval *self = adapted->self;
    if (!self)
        return OK;
    size_t *rows = arena_alloc(arena, count * self->k * sizeof *rows);
    size_t *found = arena_alloc(arena, count * sizeof *found);
    int *tokens = arena_alloc(arena, count * sizeof *tokens);
    struct tokens scratch = {0};
    enum status status = nearest_find(self->index, adapted, examples, count, self->k, rows, found,
                                      tokens, arena, deadline, err);
    for (size_t i = 0; i < count && status == OK; i++) {
        retrieved[i].tokens = tokens[i];
        status = write_front(adapted, self, &sequences[i], rows + i * self->k, found[i],
                             &retrieved[i], &scratch, arena, err);
    }
    tokens_release(&scratch);
    return status;
}

/* ---- Costs ---------------------------------------------------------------------------------- */

static void predict(const struct setting *setting, const struct workload *workload,
                    struct cost *cost)
{
    double each = workload->input_tokens + workload->answer_tokens;
    double k = worked_expected(setting, workload, USUAL, each);
    double orders = setting_number(setting, "orders"), before = cost->request_tokens;
    bool calibrated = workload->labels && calibration_wanted(setting);
    if (is_nearest(setting)) /* read to find the examples, behind them, and to calibrate each */
        cost->request_tokens +=
            workload->input_tokens + (calibrated ? 1 + CONTENT_FREE : 1) * k * each;
    else
        cost->shared_tokens += k * each;
    cost->shared_tokens *= orders;
    cost->request_tokens *= orders;
    if (before > 0)
        cost->request_operations *= cost->request_tokens / before;
}

const struct technique few_shot = {
    .name = "few_shot",
    .family = "prompt",
    .summary = "worked examples from the data in front of every request",
    .needs = NEEDS_MODEL,
    .minimum_examples = 1,
    .prior = 8,
    .hyperparameters = hyperparameters,
    .check = check,
    .predict = predict,
    .prompt = prompt,
    .keep = keep,
    .retrieve = retrieve,
};
