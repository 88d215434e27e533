/* SPDX-License-Identifier: Apache-2.0
 *
 * The training examples most similar to a request, by the model's own hidden state (Liu et al.
 * 2022, "What Makes Good In-Context Examples for GPT-3?", kNN by similarity).
 *
 * The similarity is the cosine of the final states at the end of both requests, each feature
 * standardised over the training examples, since a few features would otherwise outweigh all
 * others.
 */
#ifndef TECHNIQUES_NEAREST_H
#define TECHNIQUES_NEAREST_H

#include "techniques/adapted.h"

struct nearest;

/* An index of the material's examples, in adapted->arena. Nothing is computed until it is asked. */
struct nearest *nearest_create(struct adapted *adapted, const struct material *material);

/* For each of `count` examples the rows of the k most similar ones, `rows` (count, k), the most
 * similar first, ties in the order of the study; the example itself is never among them. `found`
 * (count) is how many each has, at most k. `tokens` (count) is what was read for each. The first
 * call reads all training examples once. */
enum status nearest_find(struct nearest *nearest, struct adapted *adapted,
                         const struct example *const *examples, size_t count, size_t k,
                         size_t *rows, size_t *found, int *tokens, struct arena *arena,
                         const struct deadline *deadline, struct error *err);

#endif
