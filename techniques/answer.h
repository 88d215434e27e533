/* SPDX-License-Identifier: Apache-2.0
 *
 * Scoring labels, for techniques that answer in their own way; adapted_answer is what others use.
 */
#ifndef TECHNIQUES_ANSWER_H
#define TECHNIQUES_ANSWER_H

#include "techniques/adapted.h"
#include "techniques/prompt.h"

/* The natural logarithms of the probabilities of all labels behind the request of each sequence,
 * (count, labels), in `arena`. */
enum status answer_score_labels(struct adapted *adapted, const struct sequence *sequences,
                                size_t count, double **log_probabilities, struct arena *arena,
                                const struct deadline *deadline, struct error *err);

/* Fills what an outcome says of labels from their log-probabilities; its arrays live in `arena`. */
void answer_fill_label(const struct adapted *adapted, const struct example *example,
                       const double *log_probabilities, struct outcome *outcome,
                       struct arena *arena);

#endif
