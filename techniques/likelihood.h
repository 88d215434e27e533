/* SPDX-License-Identifier: Apache-2.0
 *
 * How likely a customised model finds texts that are given.
 */
#ifndef TECHNIQUES_LIKELIHOOD_H
#define TECHNIQUES_LIKELIHOOD_H

#include "techniques/adapted.h"
#include "techniques/prompt.h"

/* What the model has read before each sequence, besides keys and values that are attached. */
enum likelihood_context {
    AFTER_PROMPT,        /* the whole shared start of the prompts */
    AFTER_VIRTUAL_TOKENS /* of it only the virtual tokens, which are parameters */
};

/* Fills nll (count) with the sums over the answer tokens of each sequence of -log p(token | what
 * stands before it), in nats; tokens of the request are read, not scored. The same numbers with any
 * number of threads. Each sequence must fit the model's context. Errors: what the deadline says. */
enum status likelihood_score(struct adapted *adapted, enum likelihood_context context,
                             const struct sequence *sequences, size_t count,
                             const struct deadline *deadline, double *nll, struct error *err);

#endif
