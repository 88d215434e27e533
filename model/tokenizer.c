/* SPDX-License-Identifier: Apache-2.0 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "model/tokenizer.h"

#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/memory.h"

enum {
    PATTERNS = 2,       /* most regular expressions in a row */
    ALPHABET = 256 + 68 /* characters of the byte alphabet are below this code */
};
static const uint32_t NONE = UINT32_MAX;           /* no neighbour, no rank */
static const size_t LONGEST_TEXT = UINT32_MAX / 4; /* bytes; positions are 32 bits wide */

/* ---- Pre-tokenizers ------------------------------------------------------------------------- */

/* White space, for use within [ ]. \s would do but for U+180E, which PCRE2 counts as white space
 * though Unicode no longer does. */
#define SPACE "\\t-\\r\\x{85}\\p{Z}"

/* The expressions are applied in order, each to the pieces the one before left. */
struct pre_tokenizer {
    const char *names; /* each between spaces; the first is the row's own */
    const char *patterns[PATTERNS];
    bool ignore_merges; /* a piece that is a token is taken whole, whatever the merges say */
    bool adds_bos;      /* unless the file says otherwise */
};

static const struct pre_tokenizer pre_tokenizers[] = {
    {" gpt-2 mpt olmo ",
     {"'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^" SPACE "\\p{L}\\p{N}]+|[" SPACE
      "]+(?![^" SPACE "])"},
     false,
     false},
    {" smollm starcoder refact command-r codeshell exaone ",
     {"\\p{N}", "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^" SPACE "\\p{L}\\p{N}]+|[" SPACE
                "]+(?![^" SPACE "])"},
     false,
     false},
    {" qwen2 stablelm2 deepseek-r1-qwen megrez ",
     {"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+"
      "|\\p{N}| ?[^" SPACE "\\p{L}\\p{N}]+[\\r\\n]*|[" SPACE "]*[\\r\\n]+|[" SPACE "]+(?![^" SPACE
      "])|[" SPACE "]+"},
     false,
     false},
    {" qwen35 ",
     {"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"
      "|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+"
      "|\\p{N}| ?[^" SPACE "\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|[" SPACE "]*[\\r\\n]+|[" SPACE
      "]+(?![^" SPACE "])|[" SPACE "]+"},
     false,
     false},
    {" llama-bpe llama3 llama-v3 falcon3 ",
     {"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+"
      "|\\p{N}{1,3}| ?[^" SPACE "\\p{L}\\p{N}]+[\\r\\n]*|[" SPACE "]*[\\r\\n]+|[" SPACE
      "]+(?![^" SPACE "])|[" SPACE "]+"},
     true,
     true},
};

const char *tokenizer_known_pres(void)
{
    return "gpt-2, mpt, olmo, smollm, starcoder, refact, command-r, codeshell, exaone, qwen2, "
           "stablelm2, deepseek-r1-qwen, megrez, qwen35, llama-bpe, llama3, llama-v3, falcon3";
}

static const struct pre_tokenizer *find_pre_tokenizer(const char *name)
{
    size_t length = strlen(name);
    if (length == 0 || strchr(name, ' '))
        return NULL;
    for (size_t i = 0; i < sizeof pre_tokenizers / sizeof *pre_tokenizers; i++) {
        const char *at = pre_tokenizers[i].names;
        while ((at = strstr(at, name)) && !(at[-1] == ' ' && at[length] == ' '))
            at++;
        if (at)
            return &pre_tokenizers[i];
    }
    return NULL;
}

/* ---- The tokenizer -------------------------------------------------------------------------- */

struct token {
    const char *name;  /* as stored in the file, terminated */
    const char *bytes; /* what it stands for: the name out of the byte alphabet */
    uint32_t name_length;
    uint32_t length; /* of bytes */
    uint8_t type;    /* enum token_type */
    bool encodes;    /* an ordinary token, which a piece of text can become */
    bool whole;      /* a piece with these bytes always becomes this one token */
};

/* Finds tokens by name or by bytes. */
struct index {
    struct entry {
        uint32_t hash;
        int32_t id; /* -1: free */
    } * entries;
    size_t mask; /* capacity - 1 */
};

struct merge {
    uint64_t pair; /* left id << 32 | right id; UINT64_MAX: free */
    uint32_t rank;
    int32_t result;
};

/* User-defined tokens, sorted by first byte and then longest first; those that start with byte b
 * are ids[start[b]] .. ids[start[b + 1] - 1]. */
struct user_tokens {
    int32_t *ids;
    size_t count;
    uint32_t start[257];
};

struct tokenizer {
    const struct pre_tokenizer *pre;
    char pre_name[32];
    pcre2_code *patterns[PATTERNS]; /* NULL after the last */
    struct arena arena;             /* texts of the tokens */
    struct token *tokens;
    size_t count;
    size_t longest; /* bytes of the longest ordinary token */
    struct index by_name;
    struct index by_bytes; /* ordinary tokens only */
    struct merge *merges;
    size_t merge_mask;
    struct user_tokens user;
    uint16_t code_of[256];     /* byte -> character of the byte alphabet */
    int16_t byte_of[ALPHABET]; /* and back, or -1 */
    int32_t byte_id[256];      /* the token of a single byte, or -1 */
    int32_t bos, eos, eot;
    bool adds_bos;
};

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

/* ---- Tables --------------------------------------------------------------------------------- */

static void index_create(struct index *index, size_t count)
{
    size_t capacity = hash_table_size(count);
    index->entries = memory_alloc(capacity * sizeof *index->entries);
    index->mask = capacity - 1;
    for (size_t i = 0; i < capacity; i++)
        index->entries[i] = (struct entry){0, -1};
}

/* The entry that has this text, or the free one where it belongs. */
static struct entry *find_entry(const struct tokenizer *t, const struct index *index,
                                const char *bytes, size_t length, uint32_t hash)
{
    bool by_name = index == &t->by_name;
    size_t i = hash & index->mask;
    for (;; i = (i + 1) & index->mask) {
        struct entry *entry = &index->entries[i];
        if (entry->id < 0)
            return entry;
        if (entry->hash != hash)
            continue;
        const struct token *token = &t->tokens[entry->id];
        if ((by_name ? token->name_length : token->length) == length &&
            memcmp(by_name ? token->name : token->bytes, bytes, length) == 0)
            return entry;
    }
}

static int32_t index_find(const struct tokenizer *t, const struct index *index, const char *bytes,
                          size_t length)
{
    return find_entry(t, index, bytes, length, (uint32_t)hash_quick(bytes, length))->id;
}

/* False when the text is there already. */
static bool index_add(struct tokenizer *t, struct index *index, const char *bytes, size_t length,
                      int32_t id)
{
    uint32_t hash = (uint32_t)hash_quick(bytes, length);
    struct entry *entry = find_entry(t, index, bytes, length, hash);
    if (entry->id >= 0)
        return false;
    *entry = (struct entry){hash, id};
    return true;
}

/* The slot of a pair, or the free one where it belongs. */
static struct merge *find_merge(const struct tokenizer *t, int32_t left, int32_t right)
{
    uint64_t pair = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    size_t i = hash_quick_u64(pair) & t->merge_mask;
    while (t->merges[i].pair != pair && t->merges[i].pair != UINT64_MAX)
        i = (i + 1) & t->merge_mask;
    return &t->merges[i];
}

/* ---- Merging a piece ------------------------------------------------------------------------ */

/* A part of the piece; the parts form a list in text order. */
struct part {
    int32_t id;
    uint32_t previous, next;
    uint32_t rank; /* of the merge with the next part; NONE: no such merge */
};

/* What one call of tokenizer_encode works with. */
struct encoder {
    const struct tokenizer *t;
    struct tokens *ids;
    pcre2_match_data *match[PATTERNS];
    struct part *parts;
    size_t parts_capacity;
    uint64_t *heap; /* rank << 32 | position of the left part; the smallest is the next merge */
    size_t heap_count, heap_capacity;
    struct error *err;
};

static void heap_push(struct encoder *e, uint64_t item)
{
    if (e->heap_count == e->heap_capacity) {
        e->heap_capacity = e->heap_capacity ? 2 * e->heap_capacity : 64;
        e->heap = memory_realloc(e->heap, e->heap_capacity * sizeof *e->heap);
    }
    size_t i = e->heap_count++;
    for (; i > 0 && e->heap[(i - 1) / 2] > item; i = (i - 1) / 2)
        e->heap[i] = e->heap[(i - 1) / 2];
    e->heap[i] = item;
}

static uint64_t heap_pop(struct encoder *e)
{
    uint64_t least = e->heap[0];
    uint64_t item = e->heap[--e->heap_count];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= e->heap_count)
            break;
        if (child + 1 < e->heap_count && e->heap[child + 1] < e->heap[child])
            child++;
        if (e->heap[child] >= item)
            break;
        e->heap[i] = e->heap[child];
        i = child;
    }
    e->heap[i] = item;
    return least;
}

/* Looks up the merge of part `i` with its right neighbour and queues it. */
static void queue_merge(struct encoder *e, uint32_t i)
{
    struct part *part = &e->parts[i];
    part->rank = NONE;
    if (part->next == NONE)
        return;
    const struct merge *merge = find_merge(e->t, part->id, e->parts[part->next].id);
    if (merge->pair == UINT64_MAX)
        return;
    part->rank = merge->rank;
    heap_push(e, (uint64_t)merge->rank << 32 | i);
}

/* One part for each byte; returns how many. A byte without a token is left out, as the reference
 * implementation does, so that its neighbours may merge. (The first part's `previous` wraps to
 * NONE.) */
static uint32_t start_parts(struct encoder *e, const char *bytes, uint32_t length)
{
    if (length > e->parts_capacity) {
        size_t capacity = 2 * e->parts_capacity;
        e->parts_capacity = capacity < length ? (length < 64 ? 64 : length) : capacity;
        e->parts = memory_realloc(e->parts, e->parts_capacity * sizeof *e->parts);
    }
    uint32_t count = 0;
    for (uint32_t i = 0; i < length; i++) {
        int32_t id = e->t->byte_id[(unsigned char)bytes[i]];
        if (id >= 0) {
            e->parts[count] = (struct part){id, count - 1, count + 1, NONE};
            count++;
        }
    }
    if (count)
        e->parts[count - 1].next = NONE;
    e->heap_count = 0;
    for (uint32_t i = 0; i < count; i++)
        queue_merge(e, i);
    return count;
}

/* Byte-pair encoding. A queued merge is stale when its left part has another rank by now: either
 * part was merged away meanwhile. */
static void merge_piece(struct encoder *e, const char *bytes, uint32_t length)
{
    uint32_t count = start_parts(e, bytes, length);
    while (e->heap_count) {
        uint64_t item = heap_pop(e);
        uint32_t i = (uint32_t)item;
        struct part *left = &e->parts[i];
        if (left->rank != item >> 32)
            continue;
        struct part *right = &e->parts[left->next];
        left->id = find_merge(e->t, left->id, right->id)->result;
        left->next = right->next;
        right->rank = NONE;
        if (left->next != NONE)
            e->parts[left->next].previous = i;
        queue_merge(e, i);
        if (left->previous != NONE)
            queue_merge(e, left->previous);
    }
    for (uint32_t i = count ? 0 : NONE; i != NONE; i = e->parts[i].next)
        tokens_add(e->ids, e->parts[i].id);
}

static void encode_piece(struct encoder *e, const char *bytes, size_t length)
{
    const struct tokenizer *t = e->t;
    if (length <= t->longest) {
        int32_t id = index_find(t, &t->by_bytes, bytes, length);
        if (id >= 0 && t->tokens[id].whole) {
            tokens_add(e->ids, id);
            return;
        }
    }
    merge_piece(e, bytes, (uint32_t)length);
}

/* ---- Cutting text into pieces --------------------------------------------------------------- */

static enum status match_failed(struct encoder *e, int code)
{
    char message[128] = "unknown error";
    pcre2_get_error_message(code, (PCRE2_UCHAR *)message, sizeof message);
    return error_set(e->err, FAILED, "cutting text into pieces with pre-tokenizer %s: PCRE2: %s",
                     e->t->pre_name, message);
}

/* The next match at or after `*start`. `*found` is false when there is none. */
static enum status next_match(struct encoder *e, int level, const char *text, size_t length,
                              size_t *start, size_t *end, bool *found)
{
    const pcre2_code *pattern = e->t->patterns[level];
    pcre2_match_data *match = e->match[level];
    PCRE2_SPTR subject = (PCRE2_SPTR)text;
    int code = pcre2_match(pattern, subject, length, *start, PCRE2_NO_UTF_CHECK, match, NULL);
    if (code == PCRE2_ERROR_JIT_STACKLIMIT)
        code = pcre2_match(pattern, subject, length, *start, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT,
                           match, NULL);
    *found = code >= 0;
    if (code < 0)
        return code == PCRE2_ERROR_NOMATCH ? OK : match_failed(e, code);
    const PCRE2_SIZE *range = pcre2_get_ovector_pointer(match);
    if (range[1] <= range[0] || range[0] < *start) /* would never advance */
        return match_failed(e, PCRE2_ERROR_INTERNAL);
    *start = range[0];
    *end = range[1];
    return OK;
}

/* Matches and the stretches between them are pieces, which the next expression gets as subjects of
 * their own: a look-ahead must not see what follows. `text` is valid UTF-8. */
static enum status split(struct encoder *e, int level, const char *text, size_t length)
{
    if (level == PATTERNS || !e->t->patterns[level]) {
        if (length)
            encode_piece(e, text, length);
        return OK;
    }
    size_t done = 0;
    enum status status = OK;
    while (done < length && !status) {
        size_t start = done, end = length;
        bool found;
        status = next_match(e, level, text, length, &start, &end, &found);
        if (!status && !found)
            return split(e, level + 1, text + done, length - done);
        if (!status && start > done)
            status = split(e, level + 1, text + done, start - done);
        if (!status)
            status = split(e, level + 1, text + start, end - start);
        done = end;
    }
    return status;
}

/* The longest user-defined token at the start of `text`, or -1. */
static int32_t user_token_at(const struct tokenizer *t, const char *text, size_t length)
{
    unsigned first = (unsigned char)*text;
    for (uint32_t i = t->user.start[first]; i < t->user.start[first + 1]; i++) {
        const struct token *token = &t->tokens[t->user.ids[i]];
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
        status = split(e, 0, text + done, i - done);
        tokens_add(e->ids, id);
        i += t->tokens[id].length;
        done = i;
    }
    return status ? status : split(e, 0, text + done, length - done);
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

static void encoder_release(struct encoder *e)
{
    for (int i = 0; i < PATTERNS; i++)
        pcre2_match_data_free(e->match[i]);
    free(e->parts);
    free(e->heap);
}

static enum status encoder_init(struct encoder *e, const struct tokenizer *t, struct tokens *ids,
                                struct error *err)
{
    *e = (struct encoder){.t = t, .ids = ids, .err = err};
    for (int i = 0; i < PATTERNS && t->patterns[i]; i++) {
        e->match[i] = pcre2_match_data_create(1, NULL);
        if (!e->match[i])
            return match_failed(e, PCRE2_ERROR_NOMEMORY);
    }
    return OK;
}

enum status tokenizer_encode(const struct tokenizer *tokenizer, const char *text, size_t length,
                             struct tokens *ids, size_t *replaced, struct error *err)
{
    struct encoder e;
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
        status = encoder_init(&e, tokenizer, ids, err);
        if (!status)
            status = encode_valid(&e, text, length);
        encoder_release(&e);
    }
    if (status)
        ids->count = before;
    text_release(&repaired);
    return status;
}

/* ---- Loading -------------------------------------------------------------------------------- */

/* Printable bytes that are no space stand for themselves, the others for U+0100 upwards. */
static void fill_alphabet(struct tokenizer *t)
{
    int extra = 256;
    for (int code = 0; code < ALPHABET; code++)
        t->byte_of[code] = -1;
    for (int byte = 0; byte < 256; byte++) {
        bool itself = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
        t->code_of[byte] = (uint16_t)(itself ? byte : extra++);
        t->byte_of[t->code_of[byte]] = (int16_t)byte;
    }
}

/* Writes the bytes that `name` stands for in the byte alphabet; at most `length` of them. False
 * when it has characters outside of it. */
static bool bytes_of_name(const struct tokenizer *t, const char *name, size_t length, char *out,
                          uint32_t *out_length)
{
    *out_length = 0;
    for (size_t i = 0; i < length;) {
        uint32_t code;
        int used = utf8_decode(name + i, length - i, &code, NULL);
        if (!used || code >= ALPHABET || t->byte_of[code] < 0)
            return false;
        out[(*out_length)++] = (char)t->byte_of[code];
        i += (size_t)used;
    }
    return true;
}

static enum status load_types(struct tokenizer *t, const struct gguf *gguf, struct error *err)
{
    static const char key[] = "tokenizer.ggml.token_type";
    const int32_t *types;
    size_t count;
    for (size_t i = 0; i < t->count; i++)
        t->tokens[i].type = TOKEN_NORMAL;
    if (!gguf_has(gguf, key))
        return OK;
    enum status status = gguf_i32_array(gguf, key, &types, &count, err);
    if (status)
        return status;
    if (count != t->count)
        return gguf_reject_key(gguf, key, err, "%s has %zu items; expected %zu, one for each token",
                               key, count, t->count);
    for (size_t i = 0; i < count; i++) {
        if (types[i] < TOKEN_NORMAL || types[i] > TOKEN_BYTE)
            return gguf_reject_key(gguf, key, err, "%s: token %zu has type %d; expected %d to %d",
                                   key, i, (int)types[i], TOKEN_NORMAL, TOKEN_BYTE);
        t->tokens[i].type = (uint8_t)types[i];
    }
    return OK;
}

static enum status check_scores(const struct tokenizer *t, const struct gguf *gguf,
                                struct error *err)
{
    static const char key[] = "tokenizer.ggml.scores";
    const float *scores;
    size_t count;
    if (!gguf_has(gguf, key))
        return OK;
    enum status status = gguf_f32_array(gguf, key, &scores, &count, err);
    if (!status && count != t->count)
        return gguf_reject_key(gguf, key, err, "%s has %zu items; expected %zu, one for each token",
                               key, count, t->count);
    return status;
}

/* Copies the names into one block and indexes them. */
static enum status load_names(struct tokenizer *t, const struct gguf *gguf, struct error *err)
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
    t->count = names.count;
    t->tokens = memory_zalloc(t->count * sizeof *t->tokens);
    index_create(&t->by_name, t->count);
    char *copy = arena_alloc(&t->arena, bytes);
    for (size_t i = 0; i < t->count; i++) {
        const struct gguf_string *name = &names.items[i];
        if (name->length == 0 || memchr(name->bytes, '\0', name->length))
            return gguf_reject_key(gguf, key, err, "%s: token %zu is empty or contains a NUL byte",
                                   key, i);
        memcpy(copy, name->bytes, name->length + 1);
        t->tokens[i].name = copy;
        t->tokens[i].name_length = (uint32_t)name->length;
        copy += name->length + 1;
        if (!index_add(t, &t->by_name, t->tokens[i].name, name->length, (int32_t)i))
            return gguf_reject_key(gguf, key, err, "%s: token %zu repeats the text of token %d",
                                   key, i,
                                   (int)index_find(t, &t->by_name, name->bytes, name->length));
    }
    return OK;
}

/* Works out what each token stands for and indexes the ordinary ones by that. */
static void load_bytes(struct tokenizer *t)
{
    size_t bytes = 0;
    for (size_t i = 0; i < t->count; i++)
        bytes += t->tokens[i].name_length;
    char *out = arena_alloc(&t->arena, bytes);
    index_create(&t->by_bytes, t->count);
    for (size_t i = 0; i < t->count; i++) {
        struct token *token = &t->tokens[i];
        token->encodes = token->type == TOKEN_NORMAL &&
                         bytes_of_name(t, token->name, token->name_length, out, &token->length);
        if (!token->encodes) {
            token->bytes = token->name;
            token->length = token->name_length;
            continue;
        }
        token->bytes = out;
        out += token->length;
        index_add(t, &t->by_bytes, token->bytes, token->length, (int32_t)i);
        if (token->length > t->longest)
            t->longest = token->length;
    }
    for (int byte = 0; byte < 256; byte++) {
        char single = (char)byte;
        t->byte_id[byte] = index_find(t, &t->by_bytes, &single, 1);
    }
}

/* Splits "a b" and finds the three tokens. False when one does not exist. */
static bool parse_merge(const struct tokenizer *t, const struct gguf_string *merge,
                        struct text *joined, int32_t *left, int32_t *right, int32_t *result)
{
    const char *end = merge->bytes + merge->length;
    const char *space = memchr(merge->bytes, ' ', merge->length);
    if (!space || memchr(space + 1, ' ', (size_t)(end - space - 1)))
        return false;
    size_t left_length = (size_t)(space - merge->bytes);
    size_t right_length = (size_t)(end - space) - 1;
    text_clear(joined);
    text_append(joined, merge->bytes, left_length);
    text_append(joined, space + 1, right_length);
    *left = index_find(t, &t->by_name, merge->bytes, left_length);
    *right = index_find(t, &t->by_name, space + 1, right_length);
    *result = index_find(t, &t->by_name, joined->bytes, joined->length);
    return *left >= 0 && *right >= 0 && *result >= 0;
}

static enum status load_merges(struct tokenizer *t, const struct gguf *gguf, struct error *err)
{
    static const char key[] = "tokenizer.ggml.merges";
    struct gguf_strings merges;
    enum status status = gguf_string_array(gguf, key, &merges, err);
    if (status)
        return status;
    size_t capacity = hash_table_size(merges.count);
    t->merges = memory_alloc(capacity * sizeof *t->merges);
    t->merge_mask = capacity - 1;
    for (size_t i = 0; i < capacity; i++)
        t->merges[i].pair = UINT64_MAX;
    struct text joined = {0};
    for (size_t i = 0; i < merges.count && !status; i++) {
        int32_t left, right, result;
        if (!parse_merge(t, &merges.items[i], &joined, &left, &right, &result)) {
            status = gguf_reject_key(gguf, key, err,
                                     "%s: merge %zu is not of the form \"a b\" with a, b and ab "
                                     "in the vocabulary",
                                     key, i);
            break;
        }
        /* Text must never become a control token, whatever the file says. */
        struct merge *merge = find_merge(t, left, right);
        if (merge->pair == UINT64_MAX && t->tokens[result].type != TOKEN_CONTROL)
            *merge = (struct merge){(uint64_t)(uint32_t)left << 32 | (uint32_t)right, (uint32_t)i,
                                    result};
    }
    text_release(&joined);
    return status;
}

/* Finds the tokens whose bytes the merges build up to exactly that token, so that encoding can skip
 * the merges for them. */
static enum status find_whole(struct tokenizer *t, struct error *err)
{
    struct tokens ids = {0};
    struct encoder e;
    enum status status = encoder_init(&e, t, &ids, err);
    for (size_t i = 0; i < t->count && !status; i++) {
        struct token *token = &t->tokens[i];
        if (!token->encodes)
            continue;
        tokens_clear(&ids);
        if (!t->pre->ignore_merges)
            merge_piece(&e, token->bytes, token->length);
        token->whole = t->pre->ignore_merges || (ids.count == 1 && ids.ids[0] == (int32_t)i);
    }
    encoder_release(&e);
    tokens_release(&ids);
    return status;
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
    for (size_t i = 0; i < t->count; i++)
        user->count += t->tokens[i].type == TOKEN_USER_DEFINED;
    struct user_key *keys = memory_alloc(user->count * sizeof *keys);
    size_t n = 0;
    for (size_t i = 0; i < t->count; i++)
        if (t->tokens[i].type == TOKEN_USER_DEFINED)
            keys[n++] = (struct user_key){(unsigned char)*t->tokens[i].bytes, t->tokens[i].length,
                                          (int32_t)i};
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
            gguf_unsigned_or(gguf, special[i].key, 0, t->count - 1, UINT64_MAX, &id, err);
        if (status)
            return status;
        if (special[i].id)
            *special[i].id = id == UINT64_MAX ? -1 : (int32_t)id;
    }
    return gguf_bool_or(gguf, "tokenizer.ggml.add_bos_token", t->pre->adds_bos, &t->adds_bos, err);
}

static enum status choose_pre_tokenizer(struct tokenizer *t, const struct gguf *gguf,
                                        const char *name, struct error *err)
{
    static const char key[] = "tokenizer.ggml.pre";
    const char *advice = "name one of these explicitly if you know that it fits:";
    bool from_file = !name;
    if (from_file) {
        enum status status = gguf_string_or(gguf, key, NULL, &name, err);
        if (status)
            return status;
        if (!name)
            return gguf_reject_key(gguf, key, err,
                                   "%s is missing, so the way text is cut is unknown; %s %s", key,
                                   advice, tokenizer_known_pres());
    }
    t->pre = find_pre_tokenizer(name);
    if (t->pre) {
        memcpy(t->pre_name, name, strlen(name) + 1); /* fits: the longest known name is shorter */
        return OK;
    }
    if (!from_file)
        return error_set(err, USAGE, "the pre-tokenizer \"%.40s\" is not known; known are %s", name,
                         tokenizer_known_pres());
    struct text shown = {0};
    for (const char *c = name; *c && shown.length < 40; c++)
        text_append(&shown, *c >= ' ' && *c <= '~' ? c : "?", 1);
    enum status status = gguf_reject_key(gguf, key, err, "%s is \"%s\", which is not known; %s %s",
                                         key, text_string(&shown), advice, tokenizer_known_pres());
    text_release(&shown);
    return status;
}

static enum status compile_patterns(struct tokenizer *t, struct error *err)
{
    for (int i = 0; i < PATTERNS && t->pre->patterns[i]; i++) {
        int code;
        PCRE2_SIZE offset;
        t->patterns[i] = pcre2_compile((PCRE2_SPTR)t->pre->patterns[i], PCRE2_ZERO_TERMINATED,
                                       PCRE2_UTF | PCRE2_UCP, &code, &offset, NULL);
        if (!t->patterns[i]) {
            char message[128] = "unknown error";
            pcre2_get_error_message(code, (PCRE2_UCHAR *)message, sizeof message);
            return error_set(err, FAILED, "pre-tokenizer %s: PCRE2 cannot compile it: %s",
                             t->pre_name, message);
        }
        /* Where code cannot be generated (a hardened system) matching is slower, nothing else. */
        code = pcre2_jit_compile(t->patterns[i], PCRE2_JIT_COMPLETE);
        if (code == PCRE2_ERROR_NULL)
            return error_set(err, FAILED, "pre-tokenizer %s: PCRE2 refused to prepare it",
                             t->pre_name);
    }
    return OK;
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
    fill_alphabet(t);
    if (!status)
        status = choose_pre_tokenizer(t, gguf, pre, err);
    if (!status)
        status = compile_patterns(t, err);
    if (!status)
        status = load_names(t, gguf, err);
    if (!status)
        status = load_types(t, gguf, err);
    if (!status)
        status = check_scores(t, gguf, err);
    if (!status)
        status = load_special(t, gguf, err);
    if (!status) {
        load_bytes(t);
        load_user_tokens(t);
        status = load_merges(t, gguf, err);
    }
    return status ? status : find_whole(t, err);
}

enum status tokenizer_load(struct tokenizer **out, const struct gguf *gguf, const char *pre,
                           struct error *err)
{
    struct tokenizer *t = memory_zalloc(sizeof *t);
    arena_init(&t->arena, NULL);
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
    for (int i = 0; i < PATTERNS; i++)
        pcre2_code_free(tokenizer->patterns[i]);
    arena_release(&tokenizer->arena);
    free(tokenizer->tokens);
    free(tokenizer->by_name.entries);
    free(tokenizer->by_bytes.entries);
    free(tokenizer->merges);
    free(tokenizer->user.ids);
    free(tokenizer);
}

/* ---- Reading the vocabulary ----------------------------------------------------------------- */

enum status tokenizer_decode(const struct tokenizer *tokenizer, const int32_t *ids, size_t count,
                             bool with_control, struct text *text, struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        if (ids[i] < 0 || (size_t)ids[i] >= tokenizer->count)
            return error_set(err, FAILED, "token id %d is outside the vocabulary of %zu tokens",
                             (int)ids[i], tokenizer->count);
        const struct token *token = &tokenizer->tokens[ids[i]];
        if (token->type != TOKEN_CONTROL || with_control)
            text_append(text, token->bytes, token->length);
    }
    return OK;
}

size_t tokenizer_size(const struct tokenizer *tokenizer)
{
    return tokenizer->count;
}

int32_t tokenizer_token(const struct tokenizer *tokenizer, const char *name)
{
    return index_find(tokenizer, &tokenizer->by_name, name, strlen(name));
}

const char *tokenizer_name(const struct tokenizer *tokenizer, int32_t id)
{
    return tokenizer->tokens[id].name;
}

enum token_type tokenizer_type(const struct tokenizer *tokenizer, int32_t id)
{
    return tokenizer->tokens[id].type;
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
    return tokenizer->pre_name;
}
