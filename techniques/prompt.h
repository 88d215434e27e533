/* SPDX-License-Identifier: Apache-2.0
 *
 * Prompts: the instruction, the shared start, one request and its answer, as token ids.
 *
 * A prompt is a conversation in the model's own chat format (model/chat.h): a system turn with the
 * instruction, worked examples as turns, then the user's text; the model answers. Each part is
 * tokenised on its own, so the shared start can be computed once for all requests.
 */
#ifndef TECHNIQUES_PROMPT_H
#define TECHNIQUES_PROMPT_H

#include "techniques/adapted.h"

/* The hyper-parameters that every technique with a prompt has: `instruction`, `system_prompt`. */
const struct hyperparameter *prompt_hyperparameters(void);

/* The instruction of a setting, or the one that follows from the task when it is empty. */
void prompt_write_instruction(const struct setting *setting, const struct dataset *data,
                              struct text *out);

/* Its last sentence, which names the labels of a classification, or says that there are labels
 * where they are many. What is trained by steps does without: it learns the labels from the
 * examples, was better so, and is cheaper, since the prompt runs anew in each step
 * (tests/parity/README.md, "The list of labels"). */
void prompt_write_list(const struct dataset *data, struct text *out);

/* Appends to adapted->prefix: the instruction, and the opening of the user's turn. */
enum status prompt_instruction(struct adapted *adapted, const struct material *material,
                               struct error *err);

/* The pieces of it, for techniques that put worked examples in between. */
enum status prompt_begin(struct adapted *adapted, struct error *err);
enum status prompt_begin_with(struct adapted *adapted, const char *instruction, struct error *err);
enum status prompt_worked_example(struct adapted *adapted, const struct example *example,
                                  const char *answer, struct error *err);
enum status prompt_open_request(struct adapted *adapted, struct error *err);

/* The same on any list of tokens. The system turn holds the setting's system prompt, an empty line
 * and `instruction`; USAGE when that alone fills the model's context. A worked example is a turn of
 * the user and one of the assistant. */
enum status prompt_add_instruction(const struct model *model, const struct setting *setting,
                                   const char *instruction, struct tokens *ids, struct error *err);
enum status prompt_add_example(const struct model *model, const char *input, const char *answer,
                               struct tokens *ids, struct error *err);

/* A worked example where the user's turn is open already; opens the next one. */
enum status prompt_insert_example(const struct model *model, const char *input, const char *answer,
                                  struct tokens *ids, struct error *err);

/* Appends one request: the example's text and the opening of the answer. */
enum status prompt_request(const struct adapted *adapted, const struct example *example,
                           struct tokens *ids, struct error *err);

/* Appends an answer with its end token. */
enum status prompt_answer(const struct adapted *adapted, const char *answer, struct tokens *ids,
                          struct error *err);

/* One example as token ids: the request and then the answer. */
struct sequence {
    const int32_t *ids;
    int request; /* ids of the request */
    int answer;  /* ids of the true answer, end token included; 0 when not asked for */
};

/* `sequence` behind what was retrieved for it: its request begins with that. Memory in `arena`. */
struct sequence prompt_behind(const struct retrieved *retrieved, const struct sequence *sequence,
                              struct arena *arena);

/* Encodes examples in parallel order; memory in `arena`. An example that with the prefix and its
 * answer does not fit the model's context is BAD_DATA, with its line. */
enum status prompt_encode(const struct adapted *adapted, const struct example *const *examples,
                          size_t count, bool with_answer, struct arena *arena,
                          struct sequence **sequences, struct error *err);

#endif
