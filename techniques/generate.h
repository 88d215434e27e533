/* SPDX-License-Identifier: Apache-2.0
 *
 * Free answers: greedy decoding behind the prompt of an adapted model.
 */
#ifndef TECHNIQUES_GENERATE_H
#define TECHNIQUES_GENERATE_H

#include "techniques/adapted.h"
#include "techniques/prompt.h"

/* Fills `text`, `request_tokens` and `answer_tokens` of each outcome; texts live in `arena`, with
 * white space around them removed and invalid UTF-8 replaced. */
enum status generate_answers(struct adapted *adapted, const struct sequence *sequences,
                             size_t count, struct outcome *outcomes, struct arena *arena,
                             const struct deadline *deadline, struct error *err);

#endif
