/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/made_model.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "model/gguf.h"
#include "model/gguf_write.h"
#include "model/quant.h"
#include "model/transformer.h"
#include "tests/bench/goals.h"
#include "tests/gguf_builder.h"

enum { TYPE_F32 = 0, TYPE_Q4_1 = 3, TYPE_Q8_0 = 8, BLOCK = 32 };

enum { UNUSED = 5 }; /* the type of a token that is there for the count alone */

const struct made_shape llama_1b = {.name = "Llama 3.2 1B shape, random weights",
                                    .n_layer = 16,
                                    .n_embd = 2048,
                                    .n_head = 32,
                                    .n_head_kv = 8,
                                    .n_ff = 8192,
                                    .n_vocab = 128256,
                                    .n_context = 131072,
                                    .rope_base = 500000};

const struct made_shape narrow = {.name = "a narrow model, random weights",
                                  .n_layer = 4,
                                  .n_embd = 64,
                                  .n_head = 2,
                                  .n_head_kv = 1,
                                  .n_ff = 128,
                                  .n_vocab = 49152,
                                  .n_context = 16384,
                                  .rope_base = 100000};

static const double deviation = 0.02;

/* ---- Metadata ------------------------------------------------------------------------------- */

/* The shape of the model, as the keys of the llama architecture. */
static void add_shape(struct gguf_writer *writer, const struct made_shape *s)
{
    const struct {
        const char *key;
        int value;
    } numbers[] = {
        {"llama.block_count", s->n_layer},
        {"llama.context_length", s->n_context},
        {"llama.embedding_length", s->n_embd},
        {"llama.feed_forward_length", s->n_ff},
        {"llama.attention.head_count", s->n_head},
        {"llama.attention.head_count_kv", s->n_head_kv},
        {"llama.rope.dimension_count", s->n_embd / s->n_head},
        {"llama.vocab_size", s->n_vocab},
        {"general.file_type", 3}, /* mostly Q4_1 */
    };
    gguf_writer_string(writer, "general.architecture", "llama");
    gguf_writer_string(writer, "general.name", s->name);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        gguf_writer_u32(writer, numbers[i].key, (uint32_t)numbers[i].value);
    gguf_writer_f32(writer, "llama.rope.freq_base", (float)s->rope_base);
    gguf_writer_f32(writer, "llama.attention.layer_norm_rms_epsilon", 1e-5F);
}

/* The tokens of the file, and behind them those that fill up the vocabulary. */
static void add_tokens(struct gguf_writer *writer, const struct gguf *from, size_t n_vocab)
{
    struct builder names = {0}, types = {0};
    struct gguf_strings tokens;
    const int32_t *type;
    size_t count;
    struct error err;
    char filler[32];
    must(gguf_string_array(from, "tokenizer.ggml.tokens", &tokens, &err), &err);
    must(gguf_i32_array(from, "tokenizer.ggml.token_type", &type, &count, &err), &err);
    put_array(&names, "tokenizer.ggml.tokens", GGUF_STRING, n_vocab);
    put_array(&types, "tokenizer.ggml.token_type", GGUF_I32, n_vocab);
    for (size_t i = 0; i < n_vocab; i++) {
        snprintf(filler, sizeof filler, "<|unused %zu|>", i);
        put_string(&names.pairs, i < tokens.count ? tokens.items[i].bytes : filler);
        put_u32(&types.pairs, i < count ? (uint32_t)type[i] : UNUSED);
    }
    gguf_writer_pair(writer, names.pairs.bytes, names.pairs.length);
    gguf_writer_pair(writer, types.pairs.bytes, types.pairs.length);
    text_release(&names.pairs);
    text_release(&types.pairs);
}

static void add_tokenizer(struct gguf_writer *writer, const char *path, size_t n_vocab)
{
    static const char *const replaced[] = {"tokenizer.ggml.tokens", "tokenizer.ggml.token_type"};
    struct text pair = {0};
    struct gguf *from;
    struct error err;
    must(gguf_open(&from, path, &err), &err);
    add_tokens(writer, from, n_vocab);
    for (size_t i = 0; i < gguf_pair_count(from); i++) {
        const char *key = gguf_pair_key(from, i);
        if (strncmp(key, "tokenizer.", strlen("tokenizer.")) != 0 || !strcmp(key, replaced[0]) ||
            !strcmp(key, replaced[1]))
            continue;
        text_clear(&pair);
        must(gguf_pair_bytes(from, i, &pair, &err), &err);
        gguf_writer_pair(writer, pair.bytes, pair.length);
    }
    text_release(&pair);
    gguf_free(from);
}

/* ---- Tensors -------------------------------------------------------------------------------- */

/* Calls `see` for every tensor, in the order of the file. */
typedef void tensor_visitor(struct gguf_writer *writer, const char *name, const int64_t ne[2],
                            int type);

static void each_tensor(struct gguf_writer *writer, const struct made_shape *s, tensor_visitor *see)
{
    const int64_t wide = s->n_embd, keys = wide / s->n_head * s->n_head_kv, hidden = s->n_ff;
    const int64_t shapes[N_SITES][2] = {
        [SITE_Q] = {wide, wide},      [SITE_K] = {wide, keys},      [SITE_V] = {wide, keys},
        [SITE_O] = {wide, wide},      [SITE_GATE] = {wide, hidden}, [SITE_UP] = {wide, hidden},
        [SITE_DOWN] = {hidden, wide},
    };
    const int64_t head[2] = {wide, s->n_vocab}, norm[2] = {wide, 1};
    char name[WEIGHT_NAME_BYTES];
    see(writer, "token_embd.weight", head, TYPE_Q8_0);
    see(writer, "output_norm.weight", norm, TYPE_F32);
    for (int layer = 0; layer < s->n_layer; layer++) {
        snprintf(name, sizeof name, "blk.%d.attn_norm.weight", layer);
        see(writer, name, norm, TYPE_F32);
        snprintf(name, sizeof name, "blk.%d.ffn_norm.weight", layer);
        see(writer, name, norm, TYPE_F32);
        for (int site = 0; site < N_SITES; site++) {
            snprintf(name, sizeof name, "blk.%d.%s.weight", layer,
                     site_name((enum site)site)->gguf);
            see(writer, name, shapes[site], TYPE_Q4_1);
        }
    }
}

static uint64_t row_bytes(int64_t values, int type)
{
    const struct quant_type *t = quant_type(type);
    return (uint64_t)(values / t->block_elements * t->block_bytes);
}

static void declare(struct gguf_writer *writer, const char *name, const int64_t ne[2], int type)
{
    gguf_writer_tensor(writer, name, ne[1] > 1 ? 2 : 1, ne, type,
                       (uint64_t)ne[1] * row_bytes(ne[0], type));
}

static void put_half(unsigned char *at, double value)
{
    uint16_t half = quant_float_to_half((float)value);
    memcpy(at, &half, sizeof half);
}

/* One row: ones in F32, otherwise blocks whose numbers are random bits. Their values have a mean of
 * (nearly) 0: 4 bits are uniform over 16 steps and 8 over 256. */
static void fill_row(unsigned char *row, int64_t values, int type, struct random *random)
{
    const double step4 = deviation / 4.61, step8 = deviation / 73.9;
    const float one = 1;
    uint64_t bits;
    if (type == TYPE_F32)
        for (int64_t i = 0; i < values; i++)
            memcpy(row + i * (int64_t)sizeof one, &one, sizeof one);
    for (int64_t at = 0; at < values && type != TYPE_F32; at += BLOCK) {
        put_half(row, type == TYPE_Q4_1 ? step4 : step8);
        if (type == TYPE_Q4_1)
            put_half(row + 2, -7.5 * step4);
        row += type == TYPE_Q4_1 ? 4 : 2;
        for (int i = 0; i < (type == TYPE_Q4_1 ? BLOCK / 2 : BLOCK); i += (int)sizeof bits) {
            bits = random_next(random);
            memcpy(row, &bits, sizeof bits);
            row += sizeof bits;
        }
    }
}

static void fill(struct gguf_writer *writer, const char *name, const int64_t ne[2], int type)
{
    struct random random = random_stream(1, name, 0);
    size_t bytes = (size_t)row_bytes(ne[0], type);
    unsigned char *row = memory_alloc(bytes);
    struct error err;
    for (int64_t i = 0; i < ne[1]; i++) {
        fill_row(row, ne[0], type, &random);
        must(gguf_writer_data(writer, row, bytes, &err), &err);
    }
    free(row);
}

static enum status to_file(void *context, const void *bytes, size_t length, struct error *err)
{
    FILE *file = context;
    if (fwrite(bytes, 1, length, file) == length)
        return OK;
    return error_set(err, FAILED, "the made model cannot be written: %s", strerror(errno));
}

static double parameters(const struct made_shape *s)
{
    double wide = s->n_embd, keys = wide / s->n_head * s->n_head_kv;
    double layer = 2 * wide * wide + 2 * wide * keys + 3 * wide * s->n_ff + 2 * wide;
    return s->n_layer * layer + wide * s->n_vocab + wide;
}

double made_model_write(const char *path, const struct made_shape *shape, const char *tokenizer)
{
    FILE *file = fopen(path, "wb");
    struct gguf_writer writer = {.sink = to_file, .context = file};
    struct error err;
    if (!file)
        must(error_set(&err, FAILED, "%s: cannot write: %s", path, strerror(errno)), &err);
    add_shape(&writer, shape);
    add_tokenizer(&writer, tokenizer, (size_t)shape->n_vocab);
    each_tensor(&writer, shape, declare);
    must(gguf_writer_begin(&writer, &err), &err);
    each_tensor(&writer, shape, fill);
    must(gguf_writer_end(&writer, &err), &err);
    gguf_writer_release(&writer);
    if (fclose(file))
        must(error_set(&err, FAILED, "%s: cannot write: %s", path, strerror(errno)), &err);
    return parameters(shape);
}
