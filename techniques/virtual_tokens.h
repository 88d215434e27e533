/* SPDX-License-Identifier: Apache-2.0
 *
 * num_virtual_tokens: what the techniques with virtual tokens or keys share.
 */
#ifndef TECHNIQUES_VIRTUAL_TOKENS_H
#define TECHNIQUES_VIRTUAL_TOKENS_H

#include "techniques/adapted.h"

/* Their row of the table of hyper-parameters; an initialiser cannot be a function. */
#define NUM_VIRTUAL_TOKENS                                                                         \
    {                                                                                              \
        .name = "num_virtual_tokens", .summary = "virtual tokens in front of the prompt",          \
        .kind = VALUE_INTEGER, .low = 1, .high = 1000, .fallback = "20"                            \
    }

/* A technique's `check`: USAGE when num_virtual_tokens leave no room in the model's context. */
enum status virtual_tokens_check(const struct setting *setting, const struct model *model,
                                 const struct material *material, struct error *err);

/* A technique's `prompt`: the virtual tokens, then the instruction. In front of everything, as in
 * PEFT. */
enum status virtual_tokens_prompt(struct adapted *adapted, const struct material *material,
                                  struct error *err);

/* Declares, allocates and attaches the embeddings of the virtual tokens as the one parameter,
 * "prompt_embeddings" (num_virtual_tokens, n_embd), and returns its values, zero. */
real *virtual_tokens_declare(struct adapted *adapted);

/* Whether a technique learns rows of embeddings in front of its prompt and nothing else, which is
 * what a prompt table holds (techniques/prompt_table.h). */
bool virtual_tokens_alone(const struct technique *technique);

#endif
