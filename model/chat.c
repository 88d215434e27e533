/* SPDX-License-Identifier: Apache-2.0 */
#include "model/chat.h"

#include <string.h>

static const struct chat_format formats[] = {
    {
        .name = "chatml",
        .summary = "SmolLM2, Qwen2 and relatives",
        .markers = {"<|im_start|>", "<|im_end|>"},
        .role = {[CHAT_SYSTEM] = {"<|im_start|>system\n", "<|im_end|>\n"},
                 [CHAT_USER] = {"<|im_start|>user\n", "<|im_end|>\n"},
                 [CHAT_ASSISTANT] = {"<|im_start|>assistant\n", "<|im_end|>\n"}},
        .end = "<|im_end|>",
    },
    {
        .name = "llama-3",
        .summary = "Llama 3 and its fine-tuned relatives",
        .markers = {"<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"},
        .role = {[CHAT_SYSTEM] = {"<|start_header_id|>system<|end_header_id|>\n\n", "<|eot_id|>"},
                 [CHAT_USER] = {"<|start_header_id|>user<|end_header_id|>\n\n", "<|eot_id|>"},
                 [CHAT_ASSISTANT] = {"<|start_header_id|>assistant<|end_header_id|>\n\n",
                                     "<|eot_id|>"}},
        .begin = "<|begin_of_text|>",
        .end = "<|eot_id|>",
    },
    {
        .name = "plain",
        .summary = "models without a chat format: paragraphs",
        .role = {[CHAT_SYSTEM] = {"", "\n\n"},
                 [CHAT_USER] = {"", "\n"},
                 [CHAT_ASSISTANT] = {"", "\n\n"}},
    },
};

enum { FORMATS = sizeof formats / sizeof *formats };

const struct chat_format *chat_format_at(size_t index)
{
    return index < FORMATS ? &formats[index] : NULL;
}

/* True when the template mentions every marker; what precedes the first turn may appear in it as a
 * variable instead. */
static bool template_matches(const struct chat_format *format, const char *template)
{
    if (!format->markers[0])
        return false;
    for (int i = 0; i < CHAT_MARKERS && format->markers[i]; i++) {
        bool begins = format->begin && strcmp(format->markers[i], format->begin) == 0;
        if (!begins && !strstr(template, format->markers[i]))
            return false;
    }
    return true;
}

static const struct chat_format *find_by_template(const char *template)
{
    for (size_t i = 0; i < FORMATS; i++)
        if (template_matches(&formats[i], template))
            return &formats[i];
    return NULL;
}

static const struct chat_format *find_by_name(const char *name)
{
    for (size_t i = 0; i < FORMATS; i++)
        if (strcmp(formats[i].name, name) == 0)
            return &formats[i];
    return NULL;
}

static enum status check_vocabulary(const struct chat_format *format, const struct gguf *gguf,
                                    const struct tokenizer *tokenizer, struct error *err)
{
    for (int i = 0; i < CHAT_MARKERS && format->markers[i]; i++)
        if (tokenizer_token(tokenizer, format->markers[i]) < 0)
            return gguf_reject_key(gguf, "tokenizer.ggml.tokens", err,
                                   "the chat format %s needs the token \"%s\", which the "
                                   "vocabulary lacks",
                                   format->name, format->markers[i]);
    if (chat_end_token(format, tokenizer) < 0)
        return gguf_reject_key(gguf, "tokenizer.ggml.eos_token_id", err,
                               "the chat format %s ends an answer with the end-of-text token, but "
                               "tokenizer.ggml.eos_token_id is missing",
                               format->name);
    return OK;
}

enum status chat_format_find(const struct chat_format **out, const struct gguf *gguf,
                             const struct tokenizer *tokenizer, const char *name, struct error *err)
{
    static const char key[] = "tokenizer.chat_template";
    const char *template = NULL;
    const struct chat_format *format;
    *out = NULL;
    if (name) {
        format = find_by_name(name);
        if (!format)
            return error_set(err, USAGE,
                             "the chat format \"%.40s\" is not known; known are chatml, llama-3 "
                             "and plain",
                             name);
    } else {
        enum status status = gguf_string_or(gguf, key, NULL, &template, err);
        if (status)
            return status;
        format = template ? find_by_template(template) : find_by_name("plain");
        if (!format)
            return gguf_reject_key(gguf, key, err,
                                   "the chat template belongs to no known format (templates are "
                                   "compared, never executed); name a format that fits: chatml, "
                                   "llama-3 or plain");
    }
    enum status status = check_vocabulary(format, gguf, tokenizer, err);
    if (!status)
        *out = format;
    return status;
}

/* The marker at the start of `text`, or NULL. */
static const char *marker_at(const struct chat_format *format, const char *text)
{
    for (int i = 0; i < CHAT_MARKERS && format->markers[i]; i++)
        if (strncmp(text, format->markers[i], strlen(format->markers[i])) == 0)
            return format->markers[i];
    return NULL;
}

static enum status append_frame(const struct chat_format *format, const struct tokenizer *tokenizer,
                                const char *frame, struct tokens *ids, struct error *err)
{
    size_t before = ids->count;
    enum status status = OK;
    while (*frame && !status) {
        const char *marker = marker_at(format, frame);
        if (marker) {
            tokens_add(ids, tokenizer_token(tokenizer, marker));
            frame += strlen(marker);
            continue;
        }
        size_t length = 1;
        while (frame[length] && !marker_at(format, frame + length))
            length++;
        status = tokenizer_encode(tokenizer, frame, length, ids, NULL, err);
        frame += length;
    }
    if (status)
        ids->count = before;
    return status;
}

enum status chat_begin(const struct chat_format *format, const struct tokenizer *tokenizer,
                       struct tokens *ids, struct error *err)
{
    if (format->begin)
        return append_frame(format, tokenizer, format->begin, ids, err);
    if (tokenizer_adds_bos(tokenizer) && tokenizer_bos(tokenizer) >= 0)
        tokens_add(ids, tokenizer_bos(tokenizer));
    return OK;
}

enum status chat_open(const struct chat_format *format, const struct tokenizer *tokenizer,
                      enum chat_role role, struct tokens *ids, struct error *err)
{
    return append_frame(format, tokenizer, format->role[role].open, ids, err);
}

enum status chat_close(const struct chat_format *format, const struct tokenizer *tokenizer,
                       enum chat_role role, struct tokens *ids, struct error *err)
{
    return append_frame(format, tokenizer, format->role[role].close, ids, err);
}

enum status chat_turn(const struct chat_format *format, const struct tokenizer *tokenizer,
                      enum chat_role role, const char *text, size_t length, struct tokens *ids,
                      struct error *err)
{
    size_t before = ids->count;
    enum status status = chat_open(format, tokenizer, role, ids, err);
    if (!status)
        status = tokenizer_encode(tokenizer, text, length, ids, NULL, err);
    if (!status)
        status = chat_close(format, tokenizer, role, ids, err);
    if (status)
        ids->count = before;
    return status;
}

enum status chat_answer(const struct chat_format *format, const struct tokenizer *tokenizer,
                        const char *text, size_t length, struct tokens *ids, struct error *err)
{
    enum status status = tokenizer_encode(tokenizer, text, length, ids, NULL, err);
    if (!status)
        tokens_add(ids, chat_end_token(format, tokenizer));
    return status;
}

int32_t chat_end_token(const struct chat_format *format, const struct tokenizer *tokenizer)
{
    return format->end ? tokenizer_token(tokenizer, format->end) : tokenizer_eos(tokenizer);
}
