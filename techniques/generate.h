/* SPDX-License-Identifier: Apache-2.0
 *
 * Generated text: many streams decoded behind the prompt of an adapted model.
 */
#ifndef TECHNIQUES_GENERATE_H
#define TECHNIQUES_GENERATE_H

#include "model/decode.h"
#include "techniques/adapted.h"
#include "techniques/prompt.h"

/* A stream that answers `sequence` (its request) with at most `longest` tokens, fewer where the
 * context ends; `sequence` must outlive it. Its tokens live in `arena`. */
struct stream generate_stream(const struct adapted *adapted, const struct sequence *sequence,
                              int longest, struct arena *arena);

/* Decodes streams made with the same `longest`. `temperature` 0 is greedy; otherwise each stream
 * draws from its own `random`. The same streams give the same tokens with any number of threads. */
enum status generate_run(struct adapted *adapted, struct stream *streams, size_t count, int longest,
                         double temperature, const struct deadline *deadline, struct error *err);

/* Bytes that one worker holds for streams of `tokens` tokens, request and answer: the keys and
 * values of as many as are decoded together, and their logits. */
double generate_bytes(const struct model *model, double tokens);

/* What a stream says, in `arena`: white space around it removed, invalid UTF-8 replaced. */
enum status generate_text(const struct adapted *adapted, const struct stream *stream,
                          struct arena *arena, const char **text, struct error *err);

/* The tokens a stream cost besides its prompt: its answer, end token included. */
int generate_tokens(const struct stream *stream);

/* Free answers: fills `text`, `request_tokens` and `answer_tokens` of each outcome. */
enum status generate_answers(struct adapted *adapted, const struct sequence *sequences,
                             size_t count, struct outcome *outcomes, struct arena *arena,
                             const struct deadline *deadline, struct error *err);

#endif
