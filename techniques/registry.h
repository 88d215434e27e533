/* SPDX-License-Identifier: Apache-2.0
 *
 * One line for each technique; registry.c has the other one.
 */
#ifndef TECHNIQUES_REGISTRY_H
#define TECHNIQUES_REGISTRY_H

#include "techniques/technique.h"

extern const struct technique majority;
extern const struct technique zero_shot;
extern const struct technique few_shot;
extern const struct technique chain_of_thought;
extern const struct technique linear_probe;
extern const struct technique prompt_tuning;
extern const struct technique p_tuning;
extern const struct technique prefix_tuning;
extern const struct technique ia3;
extern const struct technique norm_tuning;
extern const struct technique bitfit;
extern const struct technique lora;
extern const struct technique adapter;
extern const struct technique full_finetune;

#endif
