/* SPDX-License-Identifier: Apache-2.0
 *
 * num_virtual_tokens: what the techniques with virtual tokens or keys share.
 */
#ifndef TECHNIQUES_VIRTUAL_TOKENS_H
#define TECHNIQUES_VIRTUAL_TOKENS_H

#include "techniques/technique.h"

/* A technique's `check`: USAGE when num_virtual_tokens leave no room in the model's context. */
enum status virtual_tokens_check(const struct setting *setting, const struct model *model,
                                 const struct material *material, struct error *err);

/* A technique's `prompt`: the virtual tokens, then the instruction. In front of everything, as in
 * PEFT. */
enum status virtual_tokens_prompt(struct adapted *adapted, const struct material *material,
                                  struct error *err);

#endif
