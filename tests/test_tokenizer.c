/* SPDX-License-Identifier: Apache-2.0 */
#define _XOPEN_SOURCE 700
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/pool.h"
#include "base/random.h"
#include "model/tokenizer.h"
#include "tests/default_model.h"
#include "tests/vocabulary.h"

#define COUNT(list)    (sizeof(list) / sizeof *(list))
#define BYTES(literal) literal, sizeof(literal) - 1

enum { B = VOCABULARY_BYTES, M = VOCABULARY_MERGED };

/* ---- Helpers -------------------------------------------------------------------------------- */

/* Loads from a builder, which it empties. */
static enum status load_builder(struct tokenizer **out, struct builder *b, const char *pre,
                                struct error *err)
{
    struct text file = {0};
    struct gguf *gguf;
    builder_finish(b, &file);
    if (gguf_from_bytes(&gguf, file.bytes, file.length, "t.gguf", err))
        fail_msg("%s", err->text);
    enum status status = tokenizer_load(out, gguf, pre, err);
    gguf_free(gguf);
    text_release(&file);
    return status;
}

static struct tokenizer *load_vocabulary(const struct vocabulary *v, const char *pre)
{
    struct builder b = {0};
    struct tokenizer *tokenizer;
    struct error err = {0};
    vocabulary_put(v, &b);
    if (load_builder(&tokenizer, &b, pre, &err))
        fail_msg("%s", err.text);
    return tokenizer;
}

static struct tokenizer *load_small(const char *pre)
{
    struct vocabulary v;
    vocabulary_init(&v);
    return load_vocabulary(&v, pre);
}

static void encode(const struct tokenizer *tokenizer, const char *text, size_t length,
                   struct tokens *ids)
{
    struct error err = {0};
    tokens_clear(ids);
    if (tokenizer_encode(tokenizer, text, length, ids, NULL, &err))
        fail_msg("%s", err.text);
}

static void expect_ids(const char *text, const struct tokens *found, const int32_t *ids,
                       size_t count)
{
    for (size_t i = 0; i < count || i < found->count; i++)
        if (i >= count || i >= found->count || found->ids[i] != ids[i])
            fail_msg("\"%s\": token %zu of %zu is %d; expected %d of %zu", text, i, found->count,
                     i < found->count ? (int)found->ids[i] : -1, i < count ? (int)ids[i] : -1,
                     count);
}

/* ---- The small vocabulary ---------------------------------------------------------------------
 */

static const struct {
    const char *text;
    size_t length;
    size_t replaced;
    int32_t ids[12]; /* ends with -1 */
} small_cases[] = {
    {BYTES(""), 0, {-1}},
    {BYTES("x"), 0, {B + 'x', -1}},
    {BYTES("\0"), 0, {B, -1}},
    {BYTES("ab"), 0, {M, -1}},
    {BYTES("abc"), 0, {M + 2, -1}}, /* "a b" ranks before "b c" */
    {BYTES("bc"), 0, {M + 1, -1}},
    {BYTES(" ab"), 0, {M + 3, -1}},
    {BYTES(" abc"), 0, {B + ' ', M + 2, -1}}, /* "ab c" ranks before "_ ab" */
    {BYTES("aaa"), 0, {M + 4, B + 'a', -1}},  /* leftmost first */
    {BYTES("aaaaa"), 0, {M + 5, B + 'a', -1}},
    {BYTES("aaab"), 0, {M + 4, M, -1}},                           /* "a b" before either "a a" */
    {BYTES("a  b"), 0, {B + 'a', B + ' ', B + ' ', B + 'b', -1}}, /* " " and " b" are two pieces */
    {BYTES("a   "), 0, {B + 'a', M + 6, B + ' ', -1}},
    {BYTES("a\nb"), 0, {B + 'a', B + '\n', B + 'b', -1}}, /* the gap is a piece */
    {BYTES("\xC3\xA9"), 0, {M + 7, -1}},
    {BYTES("<|im_end|>"),
     0, /* control tokens are only letters */
     {B + '<', B + '|', B + 'i', B + 'm', B + '_', B + 'e', B + 'n', B + 'd', B + '|', B + '>',
      -1}},
    {BYTES("a<tag>b"), 0, {B + 'a', VOCABULARY_USER, B + 'b', -1}},
    {BYTES("a<tag>>b"), 0, {B + 'a', VOCABULARY_USER_LONG, B + 'b', -1}},
    {BYTES("<tag><tag>"), 0, {VOCABULARY_USER, VOCABULARY_USER, -1}},
    {BYTES("<tag"), 0, {B + '<', B + 't', B + 'a', B + 'g', -1}},
    {BYTES("a <tag>"), 0, {B + 'a', B + ' ', VOCABULARY_USER, -1}},
    {BYTES("\xFF"), 1, {B + 0xEF, B + 0xBF, B + 0xBD, -1}},
    {BYTES("a\xE2\x82z\xC0"),
     2,
     {B + 'a', B + 0xEF, B + 0xBF, B + 0xBD, B + 'z', B + 0xEF, B + 0xBF, B + 0xBD, -1}},
};

static void test_small(void **state)
{
    (void)state;
    struct tokenizer *tokenizer = load_small(NULL);
    for (size_t i = 0; i < COUNT(small_cases); i++) {
        struct tokens ids = {0};
        size_t replaced = 0, count = 0;
        while (small_cases[i].ids[count] >= 0)
            count++;
        assert_int_equal(tokenizer_encode(tokenizer, small_cases[i].text, small_cases[i].length,
                                          &ids, &replaced, NULL),
                         OK);
        expect_ids(small_cases[i].text, &ids, small_cases[i].ids, count);
        assert_int_equal(replaced, small_cases[i].replaced);
        tokens_release(&ids);
    }
    tokenizer_free(tokenizer);
}

/* With ignore_merges a token is taken whole even where merges lead elsewhere; and three digits
 * stay together. */
static void test_ignore_merges(void **state)
{
    (void)state;
    struct vocabulary v;
    struct tokens ids = {0};
    vocabulary_init(&v);
    vocabulary_add(&v, "cab", 1); /* no merge makes it */
    int32_t cab = (int32_t)v.count - 1;
    struct tokenizer *merging = load_vocabulary(&v, NULL);
    struct tokenizer *whole = load_vocabulary(&v, "llama-bpe");
    encode(merging, BYTES("cab"), &ids);
    expect_ids("cab", &ids, (int32_t[]){B + 'c', M}, 2);
    encode(whole, BYTES("cab"), &ids);
    expect_ids("cab", &ids, &cab, 1);
    encode(whole, BYTES("cabc"), &ids);
    expect_ids("cabc", &ids, (int32_t[]){B + 'c', M + 2}, 2);
    assert_true(tokenizer_adds_bos(whole));
    assert_false(tokenizer_adds_bos(merging));
    tokenizer_free(whole);
    tokenizer_free(merging);
    tokens_release(&ids);
}

/* A merge that would turn text into a control token is left out. */
static void test_no_forged_control(void **state)
{
    (void)state;
    struct vocabulary v;
    struct tokens ids = {0};
    vocabulary_init(&v);
    v.types[M] = 3; /* "ab" */
    struct tokenizer *tokenizer = load_vocabulary(&v, NULL);
    encode(tokenizer, BYTES("ab"), &ids);
    expect_ids("ab", &ids, (int32_t[]){B + 'a', B + 'b'}, 2);
    tokenizer_free(tokenizer);
    struct tokenizer *whole = load_vocabulary(&v, "llama-bpe");
    encode(whole, BYTES("ab"), &ids);
    expect_ids("ab", &ids, (int32_t[]){B + 'a', B + 'b'}, 2);
    tokenizer_free(whole);
    tokens_release(&ids);
}

static void test_vocabulary(void **state)
{
    (void)state;
    struct builder b = {0};
    struct vocabulary v;
    struct tokenizer *t;
    struct error err = {0};
    vocabulary_init(&v);
    vocabulary_put(&v, &b);
    pair_u32(&b, "tokenizer.ggml.bos_token_id", 1);
    pair_u32(&b, "tokenizer.ggml.eos_token_id", 2);
    pair_bytes(&b, "tokenizer.ggml.add_bos_token", GGUF_BOOL, "\1", 1);
    assert_int_equal(load_builder(&t, &b, NULL, &err), OK);
    assert_int_equal(tokenizer_size(t), v.count);
    assert_int_equal(tokenizer_bos(t), 1);
    assert_int_equal(tokenizer_eos(t), 2);
    assert_int_equal(tokenizer_eot(t), -1);
    assert_true(tokenizer_adds_bos(t));
    assert_string_equal(tokenizer_pre(t), "gpt-2");
    assert_int_equal(tokenizer_token(t, "<|im_end|>"), VOCABULARY_IM_END);
    assert_int_equal(tokenizer_token(t, "\u0120ab"), M + 3);
    assert_int_equal(tokenizer_token(t, " ab"), -1);
    assert_int_equal(tokenizer_token(t, ""), -1);
    assert_string_equal(tokenizer_name(t, M + 3), "\u0120ab");
    assert_int_equal(tokenizer_type(t, VOCABULARY_IM_END), TOKEN_CONTROL);
    assert_int_equal(tokenizer_type(t, VOCABULARY_USER), TOKEN_USER_DEFINED);
    assert_int_equal(tokenizer_type(t, M), TOKEN_NORMAL);
    tokenizer_free(t);
}

static void test_decode(void **state)
{
    (void)state;
    struct tokenizer *t = load_small(NULL);
    struct text text = {0};
    struct error err = {0};
    const int32_t ids[] = {VOCABULARY_IM_START, M + 3, B + 0xC3,
                           VOCABULARY_USER,     M + 7, VOCABULARY_IM_END};
    assert_int_equal(tokenizer_decode(t, ids, 6, false, &text, &err), OK);
    assert_string_equal(text.bytes, " ab\xC3<tag>\xC3\xA9");
    text_clear(&text);
    assert_int_equal(tokenizer_decode(t, ids, 6, true, &text, &err), OK);
    assert_string_equal(text.bytes, "<|im_start|> ab\xC3<tag>\xC3\xA9<|im_end|>");
    assert_int_equal(tokenizer_decode(t, (int32_t[]){-1}, 1, true, &text, &err), FAILED);
    assert_int_equal(
        tokenizer_decode(t, (int32_t[]){(int32_t)tokenizer_size(t)}, 1, true, &text, &err), FAILED);
    assert_non_null(strstr(err.text, "is outside the vocabulary of 269 tokens"));
    text_release(&text);
    tokenizer_free(t);
}

/* ---- Against a plain implementation -----------------------------------------------------------
 */

/* Quadratic byte-pair encoding of one word: the pair of lowest rank, leftmost first. */
static void merge_plainly(const char *word, size_t length, struct tokens *ids)
{
    static const int pairs[][2] = {{B + 'a', B + 'b'}, {B + 'b', B + 'c'}, {M, B + 'c'},
                                   {B + ' ', M},       {B + 'a', B + 'a'}, {M + 4, M + 4}};
    tokens_clear(ids);
    for (size_t i = 0; i < length; i++)
        tokens_add(ids, B + (unsigned char)word[i]);
    for (;;) {
        size_t best = COUNT(pairs), at = 0;
        for (size_t i = 0; i + 1 < ids->count; i++)
            for (size_t rank = 0; rank < best; rank++)
                if (ids->ids[i] == pairs[rank][0] && ids->ids[i + 1] == pairs[rank][1]) {
                    best = rank;
                    at = i;
                }
        if (best == COUNT(pairs))
            return;
        ids->ids[at] = M + (int32_t)best;
        memmove(ids->ids + at + 1, ids->ids + at + 2, (ids->count - at - 2) * sizeof *ids->ids);
        ids->count--;
    }
}

static void test_random_words(void **state)
{
    (void)state;
    struct tokenizer *tokenizer = load_small(NULL);
    struct tokens found = {0}, expected = {0};
    struct random random = random_stream(1, "test_tokenizer.words", 0);
    for (int i = 0; i < 3000; i++) {
        char word[200] = {0};
        size_t length = 1 + random_below(&random, sizeof word - 1);
        for (size_t j = 0; j < length; j++)
            word[j] = "aaabbcd"[random_below(&random, 7)];
        word[0] = i % 2 ? ' ' : word[0];
        encode(tokenizer, word, length, &found);
        merge_plainly(word, length, &expected);
        word[length - 1] = '\0';
        expect_ids(word, &found, expected.ids, expected.count);
    }
    tokens_release(&found);
    tokens_release(&expected);
    tokenizer_free(tokenizer);
}

/* Any bytes that are valid UTF-8 come back; the pieces of random text join to the text. */
static void test_round_trip(void **state)
{
    (void)state;
    static const uint32_t tops[] = {0x80, 0x80, 0x800, 0x3000, 0xD800, 0x1F700};
    static const char *const pres[] = {"gpt-2", "smollm", "qwen2", "qwen35", "llama-bpe"};
    struct tokens ids = {0};
    struct text back = {0}, text = {0};
    struct random random = random_stream(1, "test_tokenizer.texts", 0);
    for (size_t pre = 0; pre < COUNT(pres); pre++) {
        struct tokenizer *tokenizer = load_small(pres[pre]);
        for (int i = 0; i < 500; i++) {
            text_clear(&text);
            text_clear(&back);
            for (size_t left = random_below(&random, 60); left > 0; left--) {
                char character[4];
                uint32_t top = tops[random_below(&random, COUNT(tops))];
                uint32_t code = (uint32_t)random_below(&random, top);
                code = code >= 0xD800 && code < 0xE000 ? ' ' : code;
                text_append(&text, character, (size_t)utf8_encode(code, character));
            }
            encode(tokenizer, text_string(&text), text.length, &ids);
            assert_int_equal(tokenizer_decode(tokenizer, ids.ids, ids.count, true, &back, NULL),
                             OK);
            assert_int_equal(back.length, text.length);
            assert_memory_equal(text_string(&back), text_string(&text), text.length);
        }
        tokenizer_free(tokenizer);
    }
    text_release(&text);
    text_release(&back);
    tokens_release(&ids);
}

/* ---- Size and threads -------------------------------------------------------------------------
 */

/* A word or a gap of 1 MiB takes a moment, not hours; the bound leaves room for sanitizers. */
static void test_long_words(void **state)
{
    (void)state;
    enum { LENGTH = 1 << 20 };
    static const char *const units[] = {"a", "ab", "abc", "abcd", " ", "\n", "a1", "\xC3\xA9"};
    char *text = memory_alloc(LENGTH);
    struct tokens ids = {0};
    struct text back = {0};
    struct tokenizer *tokenizer = load_small("smollm");
    for (size_t i = 0; i < COUNT(units); i++) {
        size_t unit = strlen(units[i]), length = LENGTH / unit * unit;
        for (size_t j = 0; j < length; j++)
            text[j] = units[i][j % unit];
        double start = clock_seconds();
        encode(tokenizer, text, length, &ids);
        assert_true(clock_seconds() - start < 60);
        text_clear(&back);
        assert_int_equal(tokenizer_decode(tokenizer, ids.ids, ids.count, true, &back, NULL), OK);
        assert_int_equal(back.length, length);
        assert_memory_equal(back.bytes, text, length);
    }
    tokenizer_free(tokenizer);
    text_release(&back);
    tokens_release(&ids);
    free(text);
}

struct parallel {
    const struct tokenizer *tokenizer;
    const char *text;
    size_t length;
    struct tokens ids[64];
};

static enum status encode_one(void *context, size_t task, int worker, struct error *err)
{
    struct parallel *p = context;
    (void)worker;
    return tokenizer_encode(p->tokenizer, p->text, p->length, &p->ids[task], NULL, err);
}

static void test_threads(void **state)
{
    (void)state;
    static const char text[] = "abc ab aab\xFF abcabc 123 <tag> \xC3\xA9t\xC3\xA9 aaaaaaaa";
    struct parallel p = {
        .tokenizer = load_small("smollm"), .text = text, .length = sizeof text - 1};
    struct pool *pool = pool_create(4);
    struct error err = {0};
    assert_int_equal(pool_run(pool, COUNT(p.ids), encode_one, &p, &err), OK);
    assert_true(p.ids[0].count > 10);
    for (size_t i = 0; i < COUNT(p.ids); i++) {
        expect_ids(text, &p.ids[i], p.ids[0].ids, p.ids[0].count);
        if (i)
            tokens_release(&p.ids[i]);
    }
    tokens_release(&p.ids[0]);
    pool_free(pool);
    tokenizer_free((struct tokenizer *)p.tokenizer);
}

/* ---- Rejections -------------------------------------------------------------------------------
 */

/* What a file gets wrong; each changes a good vocabulary or adds a pair to it. */
static void no_pre(struct vocabulary *v, struct builder *b)
{
    v->pre = NULL;
    vocabulary_put(v, b);
}

static void unknown_pre(struct vocabulary *v, struct builder *b)
{
    v->pre = "so\x1b[2Jon";
    vocabulary_put(v, b);
}

static void joined_pre(struct vocabulary *v, struct builder *b)
{
    v->pre = "gpt-2 mpt";
    vocabulary_put(v, b);
}

static void empty_token(struct vocabulary *v, struct builder *b)
{
    v->tokens[7] = "";
    vocabulary_put(v, b);
}

static void repeated_token(struct vocabulary *v, struct builder *b)
{
    v->tokens[7] = v->tokens[6];
    vocabulary_put(v, b);
}

static void put_types(const struct vocabulary *v, struct builder *b, uint32_t type, size_t count)
{
    pair_string(b, "general.architecture", "llama");
    pair_string(b, "tokenizer.ggml.model", "gpt2");
    pair_string(b, "tokenizer.ggml.pre", "gpt-2");
    pair_strings(b, "tokenizer.ggml.tokens", v->tokens, v->count);
    pair_numbers(b, "tokenizer.ggml.token_type", type, v->types, count, 4);
}

static void few_types(struct vocabulary *v, struct builder *b)
{
    put_types(v, b, GGUF_I32, v->count - 1);
}

static void float_types(struct vocabulary *v, struct builder *b)
{
    put_types(v, b, GGUF_F32, v->count);
}

static void wrong_type(struct vocabulary *v, struct builder *b)
{
    v->types[9] = 7;
    vocabulary_put(v, b);
}

static void few_scores(struct vocabulary *v, struct builder *b)
{
    vocabulary_put(v, b);
    pair_numbers(b, "tokenizer.ggml.scores", GGUF_F32, v->types, 3, 4);
}

static void no_tokens(struct vocabulary *v, struct builder *b)
{
    (void)v;
    pair_string(b, "general.architecture", "llama");
    pair_string(b, "tokenizer.ggml.model", "gpt2");
    pair_string(b, "tokenizer.ggml.pre", "gpt-2");
}

static void zero_tokens(struct vocabulary *v, struct builder *b)
{
    no_tokens(v, b);
    pair_strings(b, "tokenizer.ggml.tokens", v->tokens, 0);
}

static void tokens_are_numbers(struct vocabulary *v, struct builder *b)
{
    no_tokens(v, b);
    pair_numbers(b, "tokenizer.ggml.tokens", GGUF_I32, v->types, 3, 4);
}

static void other_model(struct vocabulary *v, struct builder *b)
{
    (void)v;
    pair_string(b, "general.architecture", "llama");
    pair_string(b, "tokenizer.ggml.model", "llama");
}

static void no_model(struct vocabulary *v, struct builder *b)
{
    (void)v;
    pair_string(b, "general.architecture", "llama");
}

static void no_merges(struct vocabulary *v, struct builder *b)
{
    vocabulary_put_most(v, b);
}

static void put_merge(struct vocabulary *v, struct builder *b, const char *merge)
{
    const char *merges[] = {"a b", merge};
    vocabulary_put_most(v, b);
    pair_strings(b, "tokenizer.ggml.merges", merges, 2);
}

static void merge_without_space(struct vocabulary *v, struct builder *b)
{
    put_merge(v, b, "ab");
}

static void merge_of_three(struct vocabulary *v, struct builder *b)
{
    put_merge(v, b, "a b c");
}

static void merge_of_nothing(struct vocabulary *v, struct builder *b)
{
    put_merge(v, b, " ");
}

static void merge_empty(struct vocabulary *v, struct builder *b)
{
    put_merge(v, b, "");
}

static void merge_of_unknown_part(struct vocabulary *v, struct builder *b)
{
    put_merge(v, b, "xyz a");
}

static void merge_to_unknown(struct vocabulary *v, struct builder *b)
{
    put_merge(v, b, "x y");
}

static void special_too_large(struct vocabulary *v, struct builder *b)
{
    vocabulary_put(v, b);
    pair_u32(b, "tokenizer.ggml.eos_token_id", (uint32_t)v->count);
}

static void padding_too_large(struct vocabulary *v, struct builder *b)
{
    vocabulary_put(v, b);
    pair_u32(b, "tokenizer.ggml.padding_token_id", UINT32_MAX);
}

static void special_negative(struct vocabulary *v, struct builder *b)
{
    vocabulary_put(v, b);
    pair_bytes(b, "tokenizer.ggml.bos_token_id", GGUF_I32, "\xff\xff\xff\xff", 4);
}

static void add_bos_a_number(struct vocabulary *v, struct builder *b)
{
    vocabulary_put(v, b);
    pair_u32(b, "tokenizer.ggml.add_bos_token", 1);
}

static const struct {
    void (*make)(struct vocabulary *, struct builder *);
    const char *expected;
} bad_files[] = {
    {no_pre, "tokenizer.ggml.pre is missing"},
    {unknown_pre, "tokenizer.ggml.pre is \"so?[2Jon\", which is not known"},
    {joined_pre, "tokenizer.ggml.pre is \"gpt-2 mpt\", which is not known"},
    {empty_token, "token 7 is empty"},
    {repeated_token, "token 7 repeats the text of token 6"},
    {few_types, "token_type has 268 items; expected 269"},
    {float_types, "expected an array of i32"},
    {wrong_type, "token 9 has type 7; expected 1 to 6"},
    {few_scores, "scores has 3 items; expected 269"},
    {no_tokens, "\"tokenizer.ggml.tokens\" is missing"},
    {zero_tokens, "tokens has 0 items"},
    {tokens_are_numbers, "is an array of i32; expected an array of string"},
    {other_model, "not of the supported kind \"gpt2\""},
    {no_model, "\"tokenizer.ggml.model\" is missing"},
    {no_merges, "\"tokenizer.ggml.merges\" is missing"},
    {merge_without_space, "merge 1 is not of the form \"a b\""},
    {merge_of_three, "merge 1 is not of the form"},
    {merge_of_nothing, "merge 1 is not of the form"},
    {merge_empty, "merge 1 is not of the form"},
    {merge_of_unknown_part, "merge 1 is not of the form"},
    {merge_to_unknown, "merge 1 is not of the form"},
    {special_too_large, "eos_token_id\" is 269; expected 0 to 268"},
    {padding_too_large, "padding_token_id\" is 4294967295"},
    {special_negative, "bos_token_id\" is negative"},
    {add_bos_a_number, "expected a bool"},
};

static void test_bad_files(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(bad_files); i++) {
        struct vocabulary v;
        struct builder b = {0};
        struct tokenizer *tokenizer;
        struct error err = {0};
        vocabulary_init(&v);
        bad_files[i].make(&v, &b);
        enum status status = load_builder(&tokenizer, &b, NULL, &err);
        if (status != BAD_MODEL || tokenizer || !strstr(err.text, "t.gguf: ") ||
            !strstr(err.text, bad_files[i].expected))
            fail_msg("status %d, \"%s\"; expected \"%s\"", status, err.text, bad_files[i].expected);
    }
}

static void test_override(void **state)
{
    (void)state;
    struct vocabulary v;
    struct builder b = {0};
    struct tokenizer *tokenizer;
    struct error err = {0};
    vocabulary_init(&v);
    no_pre(&v, &b);
    assert_int_equal(load_builder(&tokenizer, &b, "starcoder", &err), OK);
    assert_string_equal(tokenizer_pre(tokenizer), "starcoder");
    tokenizer_free(tokenizer);
    vocabulary_init(&v);
    unknown_pre(&v, &b);
    assert_int_equal(load_builder(&tokenizer, &b, "nothing", &err), USAGE);
    assert_non_null(strstr(err.text, "\"nothing\" is not known; known are gpt-2, "));
    vocabulary_put(&v, &b);
    assert_int_equal(load_builder(&tokenizer, &b, "", &err), USAGE);
}

/* Every name that is advertised works. */
static void test_known_pres(void **state)
{
    (void)state;
    char *names = memory_strdup(tokenizer_known_pres());
    size_t count = 0;
    for (char *name = strtok(names, ", "); name; name = strtok(NULL, ", ")) {
        struct tokenizer *tokenizer = load_small(name);
        assert_string_equal(tokenizer_pre(tokenizer), name);
        tokenizer_free(tokenizer);
        count++;
    }
    assert_int_equal(count, 18);
    free(names);
}

/* ---- The default model against an independent tokenizer -------------------------------------- */

static void text_of_row(const json_t *row, struct text *text)
{
    const json_t *plain = json_object_get(row, "text");
    text_clear(text);
    if (plain) {
        text_append(text, json_string_value(plain), json_string_length(plain));
        return;
    }
    const char *hex = json_string_value(json_object_get(row, "bytes_hex"));
    assert_non_null(hex);
    for (; *hex; hex += 2) {
        const char digits[3] = {hex[0], hex[1], '\0'};
        text_append(text, (char[]){(char)strtoul(digits, NULL, 16)}, 1);
    }
}

static void check_row(const struct tokenizer *tokenizer, const json_t *row, struct text *text)
{
    struct tokens found = {0}, expected = {0};
    const json_t *ids = json_object_get(row, "ids");
    size_t replaced = 0;
    text_of_row(row, text);
    assert_true(json_is_array(ids));
    for (size_t i = 0; i < json_array_size(ids); i++)
        tokens_add(&expected, (int32_t)json_integer_value(json_array_get(ids, i)));
    assert_int_equal(
        tokenizer_encode(tokenizer, text_string(text), text->length, &found, &replaced, NULL), OK);
    expect_ids(text_string(text), &found, expected.ids, expected.count);
    assert_true((replaced > 0) == !utf8_valid(text_string(text), text->length, NULL));
    tokens_release(&found);
    tokens_release(&expected);
}

static void check_fixture(const struct tokenizer *tokenizer, const char *name, size_t least)
{
    char path[128];
    char *line = NULL;
    size_t capacity = 0, rows = 0;
    struct text text = {0};
    snprintf(path, sizeof path, "tests/parity/fixtures/%s", name);
    FILE *in = fopen(path, "r");
    if (!in)
        fail_msg("%s: cannot open", path);
    while (getline(&line, &capacity, in) > 0) {
        json_t *row = json_loads(line, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
        if (!row)
            fail_msg("%s: line %zu is not JSON", path, rows + 1);
        check_row(tokenizer, row, &text);
        json_decref(row);
        rows++;
    }
    assert_in_range(rows, least, 1000000);
    fclose(in);
    free(line);
    text_release(&text);
}

static void test_parity(void **state)
{
    (void)state;
    static const struct {
        const char *pre, *fixture;
        size_t rows;
    } cases[] = {{NULL, "tokens_smollm.jsonl", 500},
                 {"gpt-2", "tokens_gpt2.jsonl", 200},
                 {"llama-bpe", "tokens_llama_bpe.jsonl", 200},
                 {"qwen2", "tokens_qwen2.jsonl", 200}};
    char path[MODEL_PATH];
    struct gguf *gguf;
    struct error err = {0};
    if (!default_model(path))
        skip();
    if (gguf_open(&gguf, path, &err))
        fail_msg("%s", err.text);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct tokenizer *tokenizer;
        if (tokenizer_load(&tokenizer, gguf, cases[i].pre, &err))
            fail_msg("%s", err.text);
        assert_int_equal(tokenizer_size(tokenizer), 49152);
        check_fixture(tokenizer, cases[i].fixture, cases[i].rows);
        tokenizer_free(tokenizer);
    }
    gguf_free(gguf);
}

/* The tiny model needs no download: its text and ids are in the fixture of its logits. */
static void test_tiny_model(void **state)
{
    (void)state;
    struct gguf *gguf = NULL;
    struct tokenizer *tokenizer = NULL;
    struct error err = {0};
    struct tokens ids = {0};
    struct text text = {0};
    json_t *root = json_load_file("tests/parity/fixtures/tiny_logits.json", 0, NULL);
    assert_non_null(root);
    if (gguf_open(&gguf, "tests/parity/fixtures/tiny.gguf", &err) ||
        tokenizer_load(&tokenizer, gguf, NULL, &err))
        fail_msg("%s", err.text);
    const json_t *sequences = json_object_get(root, "sequences");
    const json_t *row = json_object_get(json_array_get(sequences, 1), "ids");
    assert_true(json_array_size(row) > 10);
    for (size_t i = 1; i < json_array_size(row); i++) /* the first one is BOS */
        tokens_add(&ids, (int32_t)json_integer_value(json_array_get(row, i)));
    assert_int_equal(tokenizer_decode(tokenizer, ids.ids, ids.count, true, &text, &err), OK);
    struct tokens again = {0};
    encode(tokenizer, text.bytes, text.length, &again);
    expect_ids(text.bytes, &again, ids.ids, ids.count);
    tokens_release(&again);
    tokens_release(&ids);
    text_release(&text);
    tokenizer_free(tokenizer);
    gguf_free(gguf);
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small),
        cmocka_unit_test(test_ignore_merges),
        cmocka_unit_test(test_no_forged_control),
        cmocka_unit_test(test_vocabulary),
        cmocka_unit_test(test_decode),
        cmocka_unit_test(test_random_words),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_long_words),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_override),
        cmocka_unit_test(test_known_pres),
        cmocka_unit_test(test_parity),
        cmocka_unit_test(test_tiny_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
