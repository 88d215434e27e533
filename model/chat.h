/* SPDX-License-Identifier: Apache-2.0
 *
 * Chat formats: how a model marks the turns of a conversation.
 *
 * A GGUF file carries its format as a program (a Jinja template). Running programs from a model
 * file is unsafe, so the text of the template is only compared with the known formats, never
 * executed. The parts of a prompt are made one by one, and their concatenation is the prompt:
 *
 *     shared prefix    chat_begin, chat_turn(SYSTEM, instruction), for every worked example
 *                      chat_turn(USER, input) and chat_turn(ASSISTANT, answer), chat_open(USER)
 *     one request      tokenizer_encode(input), chat_close(USER), chat_open(ASSISTANT)
 *     its answer       chat_answer(answer)
 *
 * With chatml that reads
 *
 *     <|im_start|>system\n{instruction}<|im_end|>\n<|im_start|>user\n{input}<|im_end|>\n
 *     <|im_start|>assistant\n{answer}<|im_end|>
 *
 * Markers are appended as control tokens; the texts between them go through tokenizer_encode, each
 * on its own, so that the ids of a part never depend on its neighbours and a text cannot forge a
 * marker. All functions append to `ids`; after a failure it is as before the call.
 */
#ifndef MODEL_CHAT_H
#define MODEL_CHAT_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "model/gguf.h"
#include "model/tokenizer.h"

enum chat_role { CHAT_SYSTEM, CHAT_USER, CHAT_ASSISTANT };
enum { CHAT_ROLES = 3, CHAT_MARKERS = 4 };

struct chat_frame {
    const char *open;  /* before the text of a turn */
    const char *close; /* after it */
};

struct chat_format {
    const char *name;                   /* "chatml" */
    const char *summary;                /* which models use it */
    const char *markers[CHAT_MARKERS];  /* control tokens it needs, NULL after the last */
    struct chat_frame role[CHAT_ROLES]; /* indexed by enum chat_role */
    const char *begin;                  /* marker before the first turn; NULL: BOS if the tokenizer
                                           adds one */
    const char *end;                    /* marker after the answer; NULL: the end-of-text token */
};

/* The format called `name`; or, when `name` is NULL, the one the file's tokenizer.chat_template
 * belongs to, "plain" when it has none. BAD_MODEL when the template is not known or the vocabulary
 * lacks a marker, USAGE when `name` is unknown. */
enum status chat_format_find(const struct chat_format **out, const struct gguf *gguf,
                             const struct tokenizer *tokenizer, const char *name,
                             struct error *err);

/* The known formats in turn; NULL when `index` is past the last. */
const struct chat_format *chat_format_at(size_t index);

/* What comes before the first turn: nothing with chatml. */
enum status chat_begin(const struct chat_format *format, const struct tokenizer *tokenizer,
                       struct tokens *ids, struct error *err);

enum status chat_open(const struct chat_format *format, const struct tokenizer *tokenizer,
                      enum chat_role role, struct tokens *ids, struct error *err);
enum status chat_close(const struct chat_format *format, const struct tokenizer *tokenizer,
                       enum chat_role role, struct tokens *ids, struct error *err);

/* A whole turn: chat_open, the text, chat_close. */
enum status chat_turn(const struct chat_format *format, const struct tokenizer *tokenizer,
                      enum chat_role role, const char *text, size_t length, struct tokens *ids,
                      struct error *err);

/* The answer to a request: the text and the end token. */
enum status chat_answer(const struct chat_format *format, const struct tokenizer *tokenizer,
                        const char *text, size_t length, struct tokens *ids, struct error *err);

/* The token that ends an answer: <|im_end|> with chatml. chat_format_find made sure it exists. */
int32_t chat_end_token(const struct chat_format *format, const struct tokenizer *tokenizer);

#endif
