/* SPDX-License-Identifier: Apache-2.0 */
#include "model/vocab.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/text.h"
#include "model/tokenizer.h"

enum { ALPHABET = 256 + 68 }; /* characters of the byte alphabet are below this code */

/* ---- Finding tokens ------------------------------------------------------------------------- */

static void index_create(struct vocab_index *index, size_t count)
{
    size_t capacity = hash_table_size(count);
    index->entries = memory_alloc(capacity * sizeof *index->entries);
    index->mask = capacity - 1;
    for (size_t i = 0; i < capacity; i++)
        index->entries[i] = (struct vocab_entry){0, -1};
}

/* The entry that has this text, or the free one where it belongs. */
static struct vocab_entry *find_entry(const struct vocab *v, const struct vocab_index *index,
                                      const char *bytes, size_t length, uint32_t hash)
{
    bool by_name = index == &v->by_name;
    size_t i = hash & index->mask;
    for (;; i = (i + 1) & index->mask) {
        struct vocab_entry *entry = &index->entries[i];
        if (entry->id < 0)
            return entry;
        if (entry->hash != hash)
            continue;
        const struct token *token = &v->tokens[entry->id];
        if ((by_name ? token->name_length : token->length) == length &&
            memcmp(by_name ? token->name : token->bytes, bytes, length) == 0)
            return entry;
    }
}

static int32_t index_find(const struct vocab *v, const struct vocab_index *index, const char *bytes,
                          size_t length)
{
    return find_entry(v, index, bytes, length, (uint32_t)hash_quick(bytes, length))->id;
}

/* False when the text is there already. */
static bool index_add(struct vocab *v, struct vocab_index *index, const char *bytes, size_t length,
                      int32_t id)
{
    uint32_t hash = (uint32_t)hash_quick(bytes, length);
    struct vocab_entry *entry = find_entry(v, index, bytes, length, hash);
    if (entry->id >= 0)
        return false;
    *entry = (struct vocab_entry){hash, id};
    return true;
}

int32_t vocab_by_name(const struct vocab *vocab, const char *name, size_t length)
{
    return index_find(vocab, &vocab->by_name, name, length);
}

int32_t vocab_by_bytes(const struct vocab *vocab, const char *bytes, size_t length)
{
    return length > vocab->longest ? -1 : index_find(vocab, &vocab->by_bytes, bytes, length);
}

/* ---- Loading -------------------------------------------------------------------------------- */

/* Copies the names into one block and indexes them. */
static enum status load_names(struct vocab *v, const struct gguf *gguf, struct error *err)
{
    static const char key[] = "tokenizer.ggml.tokens";
    struct gguf_strings names;
    enum status status = gguf_string_array(gguf, key, &names, err);
    if (status)
        return status;
    if (names.count == 0 || names.count > INT32_MAX)
        return gguf_reject_key(gguf, key, err, "%s has %zu items; expected 1 to %d", key,
                               names.count, INT32_MAX);
    size_t bytes = 0;
    for (size_t i = 0; i < names.count; i++)
        bytes += names.items[i].length + 1;
    v->count = names.count;
    v->tokens = memory_zalloc(v->count * sizeof *v->tokens);
    index_create(&v->by_name, v->count);
    char *copy = arena_alloc(&v->arena, bytes);
    for (size_t i = 0; i < v->count; i++) {
        const struct gguf_string *name = &names.items[i];
        if (name->length == 0 || memchr(name->bytes, '\0', name->length))
            return gguf_reject_key(gguf, key, err, "%s: token %zu is empty or contains a NUL byte",
                                   key, i);
        memcpy(copy, name->bytes, name->length + 1);
        v->tokens[i].name = copy;
        v->tokens[i].name_length = (uint32_t)name->length;
        copy += name->length + 1;
        if (!index_add(v, &v->by_name, v->tokens[i].name, name->length, (int32_t)i))
            return gguf_reject_key(gguf, key, err, "%s: token %zu repeats the text of token %d",
                                   key, i,
                                   (int)index_find(v, &v->by_name, name->bytes, name->length));
    }
    return OK;
}

static enum status load_types(struct vocab *v, const struct gguf *gguf, struct error *err)
{
    static const char key[] = "tokenizer.ggml.token_type";
    const int32_t *types;
    size_t count;
    for (size_t i = 0; i < v->count; i++)
        v->tokens[i].type = TOKEN_NORMAL;
    if (!gguf_has(gguf, key))
        return OK;
    enum status status = gguf_i32_array(gguf, key, &types, &count, err);
    if (status)
        return status;
    if (count != v->count)
        return gguf_reject_key(gguf, key, err, "%s has %zu items; expected %zu, one for each token",
                               key, count, v->count);
    for (size_t i = 0; i < count; i++) {
        if (types[i] < TOKEN_NORMAL || types[i] > TOKEN_BYTE)
            return gguf_reject_key(gguf, key, err, "%s: token %zu has type %d; expected %d to %d",
                                   key, i, (int)types[i], TOKEN_NORMAL, TOKEN_BYTE);
        v->tokens[i].type = (uint8_t)types[i];
    }
    return OK;
}

static enum status check_scores(const struct vocab *v, const struct gguf *gguf, struct error *err)
{
    static const char key[] = "tokenizer.ggml.scores";
    const float *scores;
    size_t count;
    if (!gguf_has(gguf, key))
        return OK;
    enum status status = gguf_f32_array(gguf, key, &scores, &count, err);
    if (!status && count != v->count)
        return gguf_reject_key(gguf, key, err, "%s has %zu items; expected %zu, one for each token",
                               key, count, v->count);
    return status;
}

/* Printable bytes that are no space stand for themselves, the others for U+0100 upwards. */
static void fill_alphabet(int16_t byte_of[ALPHABET])
{
    int extra = 256;
    for (int code = 0; code < ALPHABET; code++)
        byte_of[code] = -1;
    for (int byte = 0; byte < 256; byte++) {
        bool itself = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
        byte_of[itself ? byte : extra++] = (int16_t)byte;
    }
}

/* Writes the bytes that `name` stands for in the byte alphabet; at most `length` of them. False
 * when it has characters outside of it. */
static bool bytes_of_name(const int16_t byte_of[ALPHABET], const char *name, size_t length,
                          char *out, uint32_t *out_length)
{
    *out_length = 0;
    for (size_t i = 0; i < length;) {
        uint32_t code;
        int used = utf8_decode(name + i, length - i, &code, NULL);
        if (!used || code >= ALPHABET || byte_of[code] < 0)
            return false;
        out[(*out_length)++] = (char)byte_of[code];
        i += (size_t)used;
    }
    return true;
}

/* Works out what each token stands for and indexes the ordinary ones by that. */
static void load_bytes(struct vocab *v)
{
    int16_t byte_of[ALPHABET];
    size_t bytes = 0;
    fill_alphabet(byte_of);
    for (size_t i = 0; i < v->count; i++)
        bytes += v->tokens[i].name_length;
    char *out = arena_alloc(&v->arena, bytes);
    index_create(&v->by_bytes, v->count);
    for (size_t i = 0; i < v->count; i++) {
        struct token *token = &v->tokens[i];
        token->encodes =
            token->type == TOKEN_NORMAL &&
            bytes_of_name(byte_of, token->name, token->name_length, out, &token->length);
        if (!token->encodes) {
            token->bytes = token->name;
            token->length = token->name_length;
            continue;
        }
        token->bytes = out;
        out += token->length;
        index_add(v, &v->by_bytes, token->bytes, token->length, (int32_t)i);
        if (token->length > v->longest)
            v->longest = token->length;
    }
    for (int byte = 0; byte < 256; byte++) {
        char single = (char)byte;
        v->byte_id[byte] = index_find(v, &v->by_bytes, &single, 1);
    }
}

enum status vocab_load(struct vocab *vocab, const struct gguf *gguf, struct error *err)
{
    *vocab = (struct vocab){.tokens = NULL};
    arena_init(&vocab->arena, NULL);
    enum status status = load_names(vocab, gguf, err);
    if (!status)
        status = load_types(vocab, gguf, err);
    if (!status)
        status = check_scores(vocab, gguf, err);
    if (!status)
        load_bytes(vocab);
    return status;
}

void vocab_release(struct vocab *vocab)
{
    arena_release(&vocab->arena);
    free(vocab->tokens);
    free(vocab->by_name.entries);
    free(vocab->by_bytes.entries);
    *vocab = (struct vocab){.tokens = NULL};
}
