/* SPDX-License-Identifier: Apache-2.0
 *
 * Training weights of the model itself: a copy of each chosen weight is trained and stands in for
 * the frozen one, which never changes and never gets a gradient.
 */
#ifndef TECHNIQUES_WEIGHTS_H
#define TECHNIQUES_WEIGHTS_H

#include <stdbool.h>

#include "techniques/adapted.h"

/* Whether weight `number` of the model (model_weight) is to be trained. */
typedef bool weight_choice(const struct model *model, int number);

/* A choice by the end of the weight's name in a GGUF file, "_norm.weight". */
bool weight_name_ends(const struct model *model, int number, const char *end);

/* Declares and copies the chosen weights, tied ones once, and attaches them. */
void weights_attach(struct adapted *adapted, weight_choice *chosen);

/* A technique's `merge`: the trained weight takes the place of the model's. */
bool weights_merge(const struct adapted *adapted, int number, real *values);

/* How many values are chosen. */
size_t weights_count(const struct model *model, weight_choice *chosen);

/* How many of them are of projections (struct cost, added_in_place). */
size_t weights_read_once(const struct model *model, weight_choice *chosen);

#endif
