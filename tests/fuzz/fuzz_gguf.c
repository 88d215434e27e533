/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzzes the readers of model files: the header, every tensor, the tokenizer and the chat format.
 * `make fuzz` builds and runs it; the files in tests/fuzz/fuzz_gguf start it off. No allocation may
 * be larger than what the file backs, so -malloc_limit_mb=16 must find nothing either.
 */
#include <stdint.h>
#include <stdlib.h>

#include "model/chat.h"
#include "model/gguf.h"
#include "model/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void insist(bool holds)
{
    if (!holds)
        abort();
}

static void read_tensors(const struct gguf *gguf)
{
    for (size_t i = 0; i < gguf_tensor_count(gguf); i++) {
        const struct gguf_tensor *tensor = gguf_tensor_at(gguf, i);
        struct error err;
        insist(gguf_tensor(gguf, tensor->name) == tensor);
        insist(tensor->offset + tensor->bytes <= gguf_file_bytes(gguf));
        enum status status = gguf_expand(gguf, tensor, 0, tensor->rows, NULL, &err);
        insist(status == OK || status == BAD_MODEL);
    }
}

static void encode(const struct gguf *gguf, const struct tokenizer *tokenizer)
{
    static const char text[] = "Hello  world's <|im_end|> 123\n\n caf\xC3\xA9 \xFF";
    struct tokens ids = {0};
    struct text back = {0};
    struct error err;
    const struct chat_format *format;
    insist(!tokenizer_encode(tokenizer, text, sizeof text - 1, &ids, NULL, &err));
    insist(!tokenizer_decode(tokenizer, ids.ids, ids.count, true, &back, &err));
    if (!chat_format_find(&format, gguf, tokenizer, NULL, &err))
        insist(!chat_turn(format, tokenizer, CHAT_USER, text, sizeof text - 1, &ids, &err));
    text_release(&back);
    tokens_release(&ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gguf *gguf;
    struct tokenizer *tokenizer;
    struct error err;
    enum status status = gguf_from_bytes(&gguf, data, size, "fuzz.gguf", &err);
    insist(status == OK || status == BAD_MODEL);
    if (status)
        return 0;
    read_tensors(gguf);
    status = tokenizer_load(&tokenizer, gguf, "gpt-2", &err);
    insist(status == OK || status == BAD_MODEL);
    if (!status)
        encode(gguf, tokenizer);
    tokenizer_free(tokenizer);
    gguf_free(gguf);
    return 0;
}
