/* SPDX-License-Identifier: Apache-2.0
 *
 * Forgetting: what a customisation costs the model's command of ordinary language.
 *
 * It is the rise of the loss, in nats for each token, on a fixed English text that is part of the
 * program (forgetting.txt: twelve passages of different kinds, written for this purpose): the loss
 * with the technique attached less that of the bare model. Of every passage the first 40 tokens are
 * read and all but the first of them scored. No prompt stands in front; virtual tokens, attached
 * keys and values, adapters and changed weights take part. Below 0 the model likes the text better
 * than before. Techniques that leave the model as it is (zero-shot, few-shot, heads on features)
 * have no such number.
 */
#ifndef EVALUATORS_FORGETTING_H
#define EVALUATORS_FORGETTING_H

#include <stdbool.h>
#include <stddef.h>

#include "base/clock.h"
#include "techniques/adapted.h"

enum { FORGETTING_TOKENS = 40 }; /* of each passage */

/* The text, UTF-8 and terminated, its passages separated by empty lines. */
const char *forgetting_text(size_t *length);

/* Loss of `adapted` on the text, in nats for each scored token. The same number with any number of
 * threads. Errors: those of the tokenizer, BAD_DATA when no two tokens fit the model's context, and
 * what the deadline says. */
enum status forgetting_loss(struct adapted *adapted, const struct deadline *deadline, double *loss,
                            struct error *err);

/* The loss of the bare model, measured when it is first asked for. {0} at the start; for one model
 * only. */
struct bare_loss {
    bool known;
    double loss;
    double seconds; /* that measuring it took */
};

/* Forgetting of `adapted`, in nats for each token. Left unmeasured, with `*measured` false and OK,
 * when nothing is attached to the model, when the text does not fit behind what is attached, when
 * the loss is not finite, or when what is left until the deadline is less than measuring may take:
 * it never uses up the time of anything else. */
enum status forgetting_measure(struct adapted *adapted, struct bare_loss *bare,
                               const struct deadline *deadline, bool *measured, double *forgetting,
                               struct error *err);

#endif
