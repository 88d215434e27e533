/* SPDX-License-Identifier: Apache-2.0
 *
 * Features: the model's final state at the end of each request, where the answer would begin.
 */
#ifndef TECHNIQUES_FEATURES_H
#define TECHNIQUES_FEATURES_H

#include "base/clock.h"
#include "techniques/adapted.h"

/* Fills `features` (count, n_embd), row i for example i, behind the adapted model's prompt, and
 * `tokens` (count; NULL: not wanted) with the tokens read for each. Errors: BAD_DATA for an example
 * that does not fit the context, and what the deadline says. */
enum status features_compute(struct adapted *adapted, const struct example *const *examples,
                             size_t count, real *features, int *tokens,
                             const struct deadline *deadline, struct error *err);

#endif
