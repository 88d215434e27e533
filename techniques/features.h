/* SPDX-License-Identifier: Apache-2.0
 *
 * Features: what the model makes of a request, read from its states at the end of the request,
 * where the answer would begin, or from all of them.
 */
#ifndef TECHNIQUES_FEATURES_H
#define TECHNIQUES_FEATURES_H

#include "base/clock.h"
#include "techniques/adapted.h"

enum features {
    FINAL_STATE, /* the normalised state of the last token: (n_embd) */

    /* That; then behind three fifths of the layers the residual stream of the last token and its
     * mean over the tokens of the request, and the same behind four fifths: (FEATURE_PARTS *
     * n_embd). Not behind the last layer: a model of one has zeros there. */
    ALL_STATES
};

enum { FEATURE_PARTS = 5, FEATURE_DEPTHS = 2 };

/* The numbers of layers behind which the middle states are read; 0: none is. */
void features_depths(int layers, int depths[FEATURE_DEPTHS]);

size_t features_width(const struct model *model, enum features what);

/* Fills `features` (count, features_width), row i for example i, behind the adapted model's prompt,
 * and `tokens` (count; NULL: not wanted) with the tokens read for each. Errors: BAD_DATA for an
 * example that does not fit the context, and what the deadline says. */
enum status features_compute(struct adapted *adapted, enum features what,
                             const struct example *const *examples, size_t count, real *features,
                             int *tokens, const struct deadline *deadline, struct error *err);

#endif
