/* SPDX-License-Identifier: Apache-2.0 */
#include "model/tokenizer.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "model/merges.h"
#include "model/pretokenizer.h"
#include "model/vocab.h"

static const size_t LONGEST_TEXT = UINT32_MAX / 4; /* bytes; positions are 32 bits wide */

/* User-defined tokens, sorted by first byte and then longest first; those that start with byte b
 * are ids[start[b]] .. ids[start[b + 1] - 1]. */
struct user_tokens {
    int32_t *ids;
    size_t count;
    uint32_t start[257];
};

struct tokenizer {
    struct pretokenizer pre;
    struct vocab vocab;
    struct merges merges;
    struct user_tokens user;
    int32_t bos, eos, eot;
    bool adds_bos;
};

/* ---- Lists of ids --------------------------------------------------------------------------- */

void tokens_add(struct tokens *tokens, int32_t id)
{
    tokens_append(tokens, &id, 1);
}

void tokens_append(struct tokens *tokens, const int32_t *ids, size_t count)
{
    size_t needed = tokens->count + count;
    if (needed > tokens->capacity) {
        size_t capacity = tokens->capacity ? 2 * tokens->capacity : 64;
        tokens->capacity = capacity < needed ? needed : capacity;
        tokens->ids = memory_realloc(tokens->ids, tokens->capacity * sizeof *tokens->ids);
    }
    if (count)
        memcpy(tokens->ids + tokens->count, ids, count * sizeof *ids);
    tokens->count = needed;
}

void tokens_clear(struct tokens *tokens)
{
    tokens->count = 0;
}

void tokens_release(struct tokens *tokens)
{
    free(tokens->ids);
    *tokens = (struct tokens){0};
}

/* ---- Text to ids ---------------------------------------------------------------------------- */

/* What one call of tokenizer_encode works with. */
struct encoder {
    const struct tokenizer *t;
    struct tokens *ids;
    struct merger merger;
    struct error *err;
};

/* Appends the tokens of a piece; see pretokenizer_take. */
static void encode_piece(void *context, const char *bytes, size_t length)
{
    struct encoder *e = context;
    const struct vocab *vocab = &e->t->vocab;
    int32_t id = vocab_by_bytes(vocab, bytes, length);
    if (id >= 0 && vocab->tokens[id].whole)
        tokens_add(e->ids, id);
    else
        merge_piece(&e->merger, bytes, (uint32_t)length, e->ids);
}

static enum status cut(struct encoder *e, const char *text, size_t length)
{
    return pretokenizer_cut(&e->t->pre, text, length, encode_piece, e, e->err);
}

/* The longest user-defined token at the start of `text`, or -1. */
static int32_t user_token_at(const struct tokenizer *t, const char *text, size_t length)
{
    unsigned first = (unsigned char)*text;
    for (uint32_t i = t->user.start[first]; i < t->user.start[first + 1]; i++) {
        const struct token *token = &t->vocab.tokens[t->user.ids[i]];
        if (token->length <= length && memcmp(token->bytes, text, token->length) == 0)
            return t->user.ids[i];
    }
    return -1;
}

static enum status encode_valid(struct encoder *e, const char *text, size_t length)
{
    const struct tokenizer *t = e->t;
    size_t done = 0;
    enum status status = OK;
    for (size_t i = 0; t->user.count && i < length && !status;) {
        int32_t id = user_token_at(t, text + i, length - i);
        if (id < 0) {
            i++;
            continue;
        }
        status = cut(e, text + done, i - done);
        tokens_add(e->ids, id);
        i += t->vocab.tokens[id].length;
        done = i;
    }
    return status ? status : cut(e, text + done, length - done);
}

/* Copies `text` with U+FFFD in place of what is not UTF-8. */
static size_t repair(const char *text, size_t length, struct text *out)
{
    size_t replaced = 0;
    for (size_t i = 0; i < length;) {
        uint32_t code;
        int skip = 1;
        int used = utf8_decode(text + i, length - i, &code, &skip);
        if (used) {
            text_append(out, text + i, (size_t)used);
            i += (size_t)used;
        } else {
            text_add(out, "\xEF\xBF\xBD");
            replaced++;
            i += (size_t)skip;
        }
    }
    return replaced;
}

enum status tokenizer_encode(const struct tokenizer *tokenizer, const char *text, size_t length,
                             struct tokens *ids, size_t *replaced, struct error *err)
{
    struct text repaired = {0};
    size_t before = ids->count;
    if (length == 0)
        return OK;
    if (!utf8_valid(text, length, NULL)) {
        size_t count = repair(text, length, &repaired);
        if (replaced)
            *replaced += count;
        text = repaired.bytes;
        length = repaired.length;
    }
    enum status status = OK;
    if (length > LONGEST_TEXT)
        status =
            error_set(err, BAD_DATA, "a text of %zu bytes is too long; at most %zu are accepted",
                      length, LONGEST_TEXT);
    if (!status) {
        struct encoder e = {.t = tokenizer, .ids = ids, .err = err};
        e.merger = (struct merger){.merges = &tokenizer->merges, .vocab = &tokenizer->vocab};
        status = encode_valid(&e, text, length);
        merger_release(&e.merger);
    }
    if (status)
        ids->count = before;
    text_release(&repaired);
    return status;
}

/* ---- Loading -------------------------------------------------------------------------------- */

/* Finds the tokens whose bytes the merges build up to exactly that token, so that encoding can skip
 * the merges for them. */
static void find_whole(struct tokenizer *t)
{
    struct tokens ids = {0};
    struct merger merger = {.merges = &t->merges, .vocab = &t->vocab};
    for (size_t i = 0; i < t->vocab.count; i++) {
        struct token *token = &t->vocab.tokens[i];
        if (!token->encodes)
            continue;
        tokens_clear(&ids);
        if (!t->pre.ignore_merges)
            merge_piece(&merger, token->bytes, token->length, &ids);
        token->whole = t->pre.ignore_merges || (ids.count == 1 && ids.ids[0] == (int32_t)i);
    }
    merger_release(&merger);
    tokens_release(&ids);
}

struct user_key {
    unsigned char first;
    uint32_t length;
    int32_t id;
};

static int compare_user_keys(const void *a, const void *b)
{
    const struct user_key *x = a, *y = b;
    if (x->first != y->first)
        return x->first < y->first ? -1 : 1;
    if (x->length != y->length)
        return x->length > y->length ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

static void load_user_tokens(struct tokenizer *t)
{
    struct user_tokens *user = &t->user;
    for (size_t i = 0; i < t->vocab.count; i++)
        user->count += t->vocab.tokens[i].type == TOKEN_USER_DEFINED;
    struct user_key *keys = memory_alloc(user->count * sizeof *keys);
    size_t n = 0;
    for (size_t i = 0; i < t->vocab.count; i++)
        if (t->vocab.tokens[i].type == TOKEN_USER_DEFINED)
            keys[n++] = (struct user_key){(unsigned char)*t->vocab.tokens[i].bytes,
                                          t->vocab.tokens[i].length, (int32_t)i};
    qsort(keys, n, sizeof *keys, compare_user_keys);
    user->ids = memory_alloc(n * sizeof *user->ids);
    for (size_t i = 0; i < n; i++) {
        user->ids[i] = keys[i].id;
        user->start[keys[i].first + 1]++;
    }
    for (int byte = 0; byte < 256; byte++)
        user->start[byte + 1] += user->start[byte];
    free(keys);
}

static enum status load_special(struct tokenizer *t, const struct gguf *gguf, struct error *err)
{
    const struct {
        const char *key;
        int32_t *id; /* NULL: only checked */
    } special[] = {
        {"tokenizer.ggml.bos_token_id", &t->bos},    {"tokenizer.ggml.eos_token_id", &t->eos},
        {"tokenizer.ggml.eot_token_id", &t->eot},    {"tokenizer.ggml.unknown_token_id", NULL},
        {"tokenizer.ggml.seperator_token_id", NULL}, {"tokenizer.ggml.padding_token_id", NULL},
    };
    for (size_t i = 0; i < sizeof special / sizeof *special; i++) {
        uint64_t id;
        enum status status =
            gguf_unsigned_or(gguf, special[i].key, 0, t->vocab.count - 1, UINT64_MAX, &id, err);
        if (status)
            return status;
        if (special[i].id)
            *special[i].id = id == UINT64_MAX ? -1 : (int32_t)id;
    }
    return gguf_bool_or(gguf, "tokenizer.ggml.add_bos_token", t->pre.adds_bos, &t->adds_bos, err);
}

static enum status load(struct tokenizer *t, const struct gguf *gguf, const char *pre,
                        struct error *err)
{
    const char *model;
    enum status status = gguf_string(gguf, "tokenizer.ggml.model", &model, err);
    if (!status && strcmp(model, "gpt2"))
        return gguf_reject_key(gguf, "tokenizer.ggml.model", err,
                               "the tokenizer is not of the supported kind \"gpt2\" "
                               "(byte-level BPE)");
    if (!status)
        status = pretokenizer_load(&t->pre, gguf, pre, err);
    if (!status)
        status = vocab_load(&t->vocab, gguf, err);
    if (!status)
        status = load_special(t, gguf, err);
    if (!status)
        status = merges_load(&t->merges, gguf, &t->vocab, err);
    if (!status) {
        load_user_tokens(t);
        find_whole(t);
    }
    return status;
}

enum status tokenizer_load(struct tokenizer **out, const struct gguf *gguf, const char *pre,
                           struct error *err)
{
    struct tokenizer *t = memory_zalloc(sizeof *t);
    enum status status = load(t, gguf, pre, err);
    *out = status ? NULL : t;
    if (status)
        tokenizer_free(t);
    return status;
}

void tokenizer_free(struct tokenizer *tokenizer)
{
    if (!tokenizer)
        return;
    pretokenizer_release(&tokenizer->pre);
    vocab_release(&tokenizer->vocab);
    merges_release(&tokenizer->merges);
    free(tokenizer->user.ids);
    free(tokenizer);
}

/* ---- Ids to text, and what there is to know of tokens --------------------------------------- */

enum status tokenizer_decode(const struct tokenizer *tokenizer, const int32_t *ids, size_t count,
                             bool with_control, struct text *text, struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        if (ids[i] < 0 || (size_t)ids[i] >= tokenizer->vocab.count)
            return error_set(err, FAILED, "token id %d is outside the vocabulary of %zu tokens",
                             (int)ids[i], tokenizer->vocab.count);
        const struct token *token = &tokenizer->vocab.tokens[ids[i]];
        if (token->type != TOKEN_CONTROL || with_control)
            text_append(text, token->bytes, token->length);
    }
    return OK;
}

size_t tokenizer_size(const struct tokenizer *tokenizer)
{
    return tokenizer->vocab.count;
}

int32_t tokenizer_token(const struct tokenizer *tokenizer, const char *name)
{
    return vocab_by_name(&tokenizer->vocab, name, strlen(name));
}

const char *tokenizer_name(const struct tokenizer *tokenizer, int32_t id)
{
    return tokenizer->vocab.tokens[id].name;
}

enum token_type tokenizer_type(const struct tokenizer *tokenizer, int32_t id)
{
    return tokenizer->vocab.tokens[id].type;
}

int32_t tokenizer_bos(const struct tokenizer *tokenizer)
{
    return tokenizer->bos;
}

int32_t tokenizer_eos(const struct tokenizer *tokenizer)
{
    return tokenizer->eos;
}

int32_t tokenizer_eot(const struct tokenizer *tokenizer)
{
    return tokenizer->eot;
}

bool tokenizer_adds_bos(const struct tokenizer *tokenizer)
{
    return tokenizer->adds_bos;
}

const char *tokenizer_pre(const struct tokenizer *tokenizer)
{
    return tokenizer->pre.name;
}
