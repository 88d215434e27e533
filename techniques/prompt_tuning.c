/* SPDX-License-Identifier: Apache-2.0
 *
 * Prompt tuning (Lester et al. 2021): virtual tokens in front of the prompt, whose embeddings are
 * trained while the model is frozen.
 */
#include <string.h>

#include "base/random.h"
#include "base/text.h"
#include "model/weight.h"
#include "techniques/interchange.h"
#include "techniques/memory.h"
#include "techniques/prompt.h"
#include "techniques/registry.h"
#include "techniques/virtual_tokens.h"

static const struct hyperparameter hyperparameters[] = {
    NUM_VIRTUAL_TOKENS,
    {.name = "prompt_tuning_init",
     .summary = "how they start: at random, as words of the vocabulary, or as a text",
     .kind = VALUE_CHOICE,
     .choices = "RANDOM|SAMPLE_VOCAB|TEXT",
     .fallback = "TEXT"},
    {.name = "prompt_tuning_init_text",
     .summary = "the text they start as, repeated as needed; empty: the labels",
     .kind = VALUE_TEXT,
     .fallback = ""},
    {0}};

/* Token ids whose embeddings the virtual tokens start from. */
static enum status starting_ids(const struct adapted *adapted, struct tokens *ids,
                                struct error *err)
{
    const char *own = setting_text(&adapted->setting, "prompt_tuning_init_text");
    const struct dataset *data = adapted->data;
    struct text text = {0};
    text_add(&text, own);
    for (size_t i = 0; !*own && i < data->label_count; i++)
        text_printf(&text, "%s%s", i ? ", " : "", data->labels[i].name);
    if (!text.length)
        prompt_write_instruction(&adapted->setting, data, &text);
    enum status status = tokenizer_encode(adapted->engine->model->tokenizer, text_string(&text),
                                          text.length, ids, NULL, err);
    text_release(&text);
    if (status == OK && !ids->count) /* bytes that the vocabulary does not have vanish */
        status = error_set(err, USAGE,
                           "prompt_tuning: prompt_tuning_init_text=%s has no token in the model's "
                           "vocabulary; expected words, or nothing for the labels",
                           own);
    return status;
}

static enum status start_as_text(struct adapted *adapted, real *values, int n, struct error *err)
{
    const struct tensor *table = &adapted->engine->model->embedding;
    size_t width = (size_t)table->cols;
    struct tokens ids = {0};
    enum status status = starting_ids(adapted, &ids, err);
    for (int i = 0; i < n && status == OK; i++)
        weight_copy(table, ids.ids[(size_t)i % ids.count], 1, values + (size_t)i * width);
    tokens_release(&ids);
    return status;
}

static void start_at_random(struct adapted *adapted, real *values, int n, uint64_t seed)
{
    const struct tensor *table = &adapted->engine->model->embedding;
    size_t width = (size_t)table->cols;
    struct random random = random_stream(seed, "prompt_tuning", 0);
    bool words = !strcmp(setting_text(&adapted->setting, "prompt_tuning_init"), "SAMPLE_VOCAB");
    for (int i = 0; i < n; i++) {
        int word = (int)random_below(&random, (size_t)table->rows);
        real *row = values + (size_t)i * width;
        if (words)
            weight_copy(table, word, 1, row);
        for (size_t c = 0; c < width && !words; c++)
            row[c] = (real)random_normal(&random);
    }
}

static enum status attach(struct adapted *adapted, const struct material *material,
                          struct error *err)
{
    int n = setting_integer(&adapted->setting, "num_virtual_tokens");
    real *values = virtual_tokens_declare(adapted);
    if (!strcmp(setting_text(&adapted->setting, "prompt_tuning_init"), "TEXT"))
        return start_as_text(adapted, values, n, err);
    start_at_random(adapted, values, n, material->seed);
    return OK;
}

static void predict(const struct setting *setting, const struct workload *workload,
                    struct cost *cost)
{
    double n = setting_number(setting, "num_virtual_tokens");
    cost->trainable_parameters = (size_t)n * (size_t)workload->model->n_embd;
    cost->shared_tokens += n;
    memory_predict_training(setting, workload, cost);
}

static void peft_config(const struct adapted *adapted, struct json_t *config)
{
    const struct setting *setting = &adapted->setting;
    const struct model *model = adapted->engine->model;
    peft_config_prompt(config, adapted, setting_integer(setting, "num_virtual_tokens"),
                       model->n_embd, model->n_head);
    /* How they started does not matter any more, and with TEXT peft asks for a tokenizer. */
    peft_config_string(config, "prompt_tuning_init", "RANDOM");
}

static void peft_tensors(const struct adapted *adapted, struct peft_map *map)
{
    (void)adapted;
    peft_map_whole(map, 0, "prompt_embeddings");
}

static const struct interchange interchange = {
    .peft_type = "PROMPT_TUNING", .config = peft_config, .tensors = peft_tensors};

const struct technique prompt_tuning = {
    .name = "prompt_tuning",
    .family = "prompt_learning",
    .summary = "trained virtual tokens in front of the prompt",
    .needs = NEEDS_MODEL | NEEDS_GRADIENT,
    .minimum_examples = 8,
    .prior = 15,
    .hyperparameters = hyperparameters,
    .learning_rates = "1e-2,3e-2,1e-1",
    .check = virtual_tokens_check,
    .predict = predict,
    .prompt = virtual_tokens_prompt,
    .attach = attach,
    .interchange = &interchange,
};
