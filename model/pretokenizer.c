/* SPDX-License-Identifier: Apache-2.0 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "model/pretokenizer.h"

#include <pcre2.h>
#include <string.h>

#include "base/text.h"
#include "model/tokenizer.h" /* tokenizer_known_pres */

/* ---- The known ones ------------------------------------------------------------------------- */

/* White space, for use within [ ]. \s would do but for U+180E, which PCRE2 counts as white space
 * though Unicode no longer does. */
#define SPACE "\\t-\\r\\x{85}\\p{Z}"

/* The expressions are applied in order, each to the pieces the one before left. */
struct known {
    const char *names; /* each between spaces; the first is the row's own */
    const char *patterns[PRETOKENIZER_PATTERNS];
    bool ignore_merges; /* this and the next: see struct pretokenizer */
    bool adds_bos;
};

static const struct known known[] = {
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

static const struct known *find_known(const char *name)
{
    size_t length = strlen(name);
    if (length == 0 || strchr(name, ' '))
        return NULL;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const char *at = known[i].names;
        while ((at = strstr(at, name)) && !(at[-1] == ' ' && at[length] == ' '))
            at++;
        if (at)
            return &known[i];
    }
    return NULL;
}

/* ---- Loading -------------------------------------------------------------------------------- */

/* The row that `name` or the file names, unless there is an error; keeps that name in `pre`. */
static enum status choose(struct pretokenizer *pre, const struct gguf *gguf, const char *name,
                          const struct known **row, struct error *err)
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
    *row = find_known(name);
    if (*row) {
        memcpy(pre->name, name, strlen(name) + 1); /* fits: the longest known name is shorter */
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

static enum status compile_patterns(struct pretokenizer *pre, const struct known *row,
                                    struct error *err)
{
    for (int i = 0; i < PRETOKENIZER_PATTERNS && row->patterns[i]; i++) {
        int code;
        PCRE2_SIZE offset;
        pre->patterns[i] = pcre2_compile((PCRE2_SPTR)row->patterns[i], PCRE2_ZERO_TERMINATED,
                                         PCRE2_UTF | PCRE2_UCP, &code, &offset, NULL);
        if (!pre->patterns[i]) {
            char message[128] = "unknown error";
            pcre2_get_error_message(code, (PCRE2_UCHAR *)message, sizeof message);
            return error_set(err, FAILED, "pre-tokenizer %s: PCRE2 cannot compile it: %s",
                             pre->name, message);
        }
        /* Where code cannot be generated (a hardened system) matching is slower, nothing else. */
        code = pcre2_jit_compile(pre->patterns[i], PCRE2_JIT_COMPLETE);
        if (code == PCRE2_ERROR_NULL)
            return error_set(err, FAILED, "pre-tokenizer %s: PCRE2 refused to prepare it",
                             pre->name);
    }
    return OK;
}

enum status pretokenizer_load(struct pretokenizer *pre, const struct gguf *gguf, const char *name,
                              struct error *err)
{
    const struct known *row = NULL;
    *pre = (struct pretokenizer){.name = ""};
    enum status status = choose(pre, gguf, name, &row, err);
    if (!row)
        return status;
    pre->ignore_merges = row->ignore_merges;
    pre->adds_bos = row->adds_bos;
    return compile_patterns(pre, row, err);
}

void pretokenizer_release(struct pretokenizer *pre)
{
    for (int i = 0; i < PRETOKENIZER_PATTERNS; i++)
        pcre2_code_free(pre->patterns[i]);
    *pre = (struct pretokenizer){.name = ""};
}

/* ---- Cutting text into pieces --------------------------------------------------------------- */

/* What one call of pretokenizer_cut works with. */
struct cutter {
    const struct pretokenizer *pre;
    pcre2_match_data *match[PRETOKENIZER_PATTERNS];
    pretokenizer_take *take;
    void *context;
    struct error *err;
};

static enum status match_failed(const struct cutter *c, int code)
{
    char message[128] = "unknown error";
    pcre2_get_error_message(code, (PCRE2_UCHAR *)message, sizeof message);
    return error_set(c->err, FAILED, "cutting text into pieces with pre-tokenizer %s: PCRE2: %s",
                     c->pre->name, message);
}

/* The next match at or after `*start`. `*found` is false when there is none. */
static enum status next_match(struct cutter *c, int level, const char *text, size_t length,
                              size_t *start, size_t *end, bool *found)
{
    const pcre2_code *pattern = c->pre->patterns[level];
    pcre2_match_data *match = c->match[level];
    PCRE2_SPTR subject = (PCRE2_SPTR)text;
    int code = pcre2_match(pattern, subject, length, *start, PCRE2_NO_UTF_CHECK, match, NULL);
    if (code == PCRE2_ERROR_JIT_STACKLIMIT)
        code = pcre2_match(pattern, subject, length, *start, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT,
                           match, NULL);
    *found = code >= 0;
    if (code < 0)
        return code == PCRE2_ERROR_NOMATCH ? OK : match_failed(c, code);
    const PCRE2_SIZE *range = pcre2_get_ovector_pointer(match);
    if (range[1] <= range[0] || range[0] < *start) /* would never advance */
        return match_failed(c, PCRE2_ERROR_INTERNAL);
    *start = range[0];
    *end = range[1];
    return OK;
}

/* Matches and the stretches between them are pieces, which the next expression gets as subjects of
 * their own: a look-ahead must not see what follows. `text` is valid UTF-8. */
static enum status split(struct cutter *c, int level, const char *text, size_t length)
{
    if (level == PRETOKENIZER_PATTERNS || !c->pre->patterns[level]) {
        if (length)
            c->take(c->context, text, length);
        return OK;
    }
    size_t done = 0;
    enum status status = OK;
    while (done < length && !status) {
        size_t start = done, end = length;
        bool found;
        status = next_match(c, level, text, length, &start, &end, &found);
        if (!status && !found)
            return split(c, level + 1, text + done, length - done);
        if (!status && start > done)
            status = split(c, level + 1, text + done, start - done);
        if (!status)
            status = split(c, level + 1, text + start, end - start);
        done = end;
    }
    return status;
}

enum status pretokenizer_cut(const struct pretokenizer *pre, const char *text, size_t length,
                             pretokenizer_take *take, void *context, struct error *err)
{
    struct cutter c = {.pre = pre, .take = take, .context = context, .err = err};
    enum status status = OK;
    for (int i = 0; i < PRETOKENIZER_PATTERNS && pre->patterns[i] && !status; i++) {
        c.match[i] = pcre2_match_data_create(1, NULL);
        if (!c.match[i])
            status = match_failed(&c, PCRE2_ERROR_NOMEMORY);
    }
    if (!status)
        status = split(&c, 0, text, length);
    for (int i = 0; i < PRETOKENIZER_PATTERNS; i++)
        pcre2_match_data_free(c.match[i]);
    return status;
}
