/* SPDX-License-Identifier: Apache-2.0
 *
 * The exact text around the user's input, markers included, as a program without this tokenizer has
 * to send it.
 */
#ifndef ARTIFACTS_PROMPT_TEXT_H
#define ARTIFACTS_PROMPT_TEXT_H

#include "base/error.h"
#include "base/text.h"
#include "techniques/adapted.h"

struct prompt_text {
    struct text before; /* up to the input; virtual tokens have no text */
    struct text after;  /* from the input to where the answer begins */
    struct text end;    /* the marker that ends the answer */
};

/* Start from {0}; release also after an error. */
enum status prompt_text_make(const struct adapted *adapted, struct prompt_text *text,
                             struct error *err);
/* How many virtual tokens stand in front of it. */
int prompt_text_virtual(const struct adapted *adapted);

void prompt_text_release(struct prompt_text *text);

#endif
