/* SPDX-License-Identifier: Apache-2.0 */
#include "artifacts/prompt_text.h"

#include "model/chat.h"
#include "model/tokenizer.h"

int prompt_text_virtual(const struct adapted *adapted)
{
    size_t count = 0;
    while (count < adapted->prefix.count && adapted->prefix.ids[count] < 0)
        count++;
    return (int)count;
}

enum status prompt_text_make(const struct adapted *adapted, struct prompt_text *text,
                             struct error *err)
{
    const struct model *model = adapted->engine->model;
    const struct tokens *prefix = &adapted->prefix;
    struct tokens after = {0};
    size_t virtual = (size_t)prompt_text_virtual(adapted);
    enum status status = tokenizer_decode(model->tokenizer, prefix->ids + virtual,
                                          prefix->count - virtual, true, &text->before, err);
    if (status == OK)
        status = chat_close(model->chat, model->tokenizer, CHAT_USER, &after, err);
    if (status == OK)
        status = chat_open(model->chat, model->tokenizer, CHAT_ASSISTANT, &after, err);
    if (status == OK)
        status =
            tokenizer_decode(model->tokenizer, after.ids, after.count, true, &text->after, err);
    int32_t end = chat_end_token(model->chat, model->tokenizer);
    if (status == OK)
        status = tokenizer_decode(model->tokenizer, &end, 1, true, &text->end, err);
    tokens_release(&after);
    return status;
}

void prompt_text_release(struct prompt_text *text)
{
    text_release(&text->before);
    text_release(&text->after);
    text_release(&text->end);
}
