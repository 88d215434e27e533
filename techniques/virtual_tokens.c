/* SPDX-License-Identifier: Apache-2.0 */
#include "techniques/virtual_tokens.h"

#include "techniques/prompt.h"

enum status virtual_tokens_check(const struct setting *setting, const struct model *model,
                                 const struct material *material, struct error *err)
{
    (void)material;
    int n = setting_integer(setting, "num_virtual_tokens");
    if (n < model->n_context)
        return OK;
    return error_set(err, USAGE,
                     "%s: num_virtual_tokens=%d is not possible: the model's context holds %d "
                     "tokens, prompt and answer included; set fewer",
                     setting->technique->name, n, model->n_context);
}

enum status virtual_tokens_prompt(struct adapted *adapted, const struct material *material,
                                  struct error *err)
{
    int n = setting_integer(&adapted->setting, "num_virtual_tokens");
    for (int i = 0; i < n; i++)
        tokens_add(&adapted->prefix, -1 - i);
    return prompt_instruction(adapted, material, err);
}

static struct tensor *embeddings(struct pass *pass)
{
    return pass->parameters;
}

real *virtual_tokens_declare(struct adapted *adapted)
{
    static const struct attachment attachment = {.virtual_tokens = embeddings};
    int index = adapted_declare(adapted, setting_integer(&adapted->setting, "num_virtual_tokens"),
                                adapted->engine->model->n_embd, "prompt_embeddings");
    adapted_allocate(adapted);
    adapted->attachment = &attachment;
    return adapted_parameter(adapted, index);
}

bool virtual_tokens_alone(const struct technique *technique)
{
    return technique->prompt == virtual_tokens_prompt;
}
