/* SPDX-License-Identifier: Apache-2.0
 *
 * Training weights of the model itself: a copy of each chosen weight is trained and stands in for
 * the frozen one, which never changes and never gets a gradient.
 */
#ifndef TECHNIQUES_WEIGHTS_H
#define TECHNIQUES_WEIGHTS_H

#include <stdbool.h>

#include "techniques/adapted.h"

/* Whether a weight of the model is to be trained. */
typedef bool weight_choice(const struct tensor *weight);

/* Declares and copies the chosen weights, tied ones once, and attaches them. */
void weights_attach(struct adapted *adapted, weight_choice *chosen);

/* How many values that are. */
size_t weights_count(const struct model *model, weight_choice *chosen);

#endif
