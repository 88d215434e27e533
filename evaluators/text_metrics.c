/* SPDX-License-Identifier: Apache-2.0 */
#include "evaluators/text_metrics.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "evaluators/answers.h"

/* ---- Characters and words ------------------------------------------------------------------- */

/* The characters of a text. `codes` is to be freed. */
struct characters {
    uint32_t *codes; /* (count) */
    size_t count;
};

static struct characters characters_of(const char *text)
{
    size_t length = strlen(text);
    struct characters characters = {.codes = memory_alloc((length + 1) * sizeof(uint32_t))};
    for (size_t i = 0; i < length;) {
        uint32_t code = 0;
        int skip = 1;
        int bytes = utf8_decode(text + i, length - i, &code, &skip);
        characters.codes[characters.count++] = bytes > 0 ? code : 0xFFFD;
        i += (size_t)(bytes > 0 ? bytes : skip);
    }
    return characters;
}

struct word {
    const uint32_t *codes;
    size_t length;
};

/* Words of `characters`, which must outlive them. `items` is to be freed. */
struct words {
    struct word *items;
    size_t count;
};

static struct words words_between(const struct characters *characters, bool (*belongs)(uint32_t))
{
    struct words words = {.items = memory_alloc((characters->count + 1) * sizeof(struct word))};
    for (size_t i = 0; i < characters->count;) {
        size_t end = i;
        while (end < characters->count && belongs(characters->codes[end]))
            end++;
        if (end > i)
            words.items[words.count++] = (struct word){characters->codes + i, end - i};
        i = end > i ? end : i + 1;
    }
    return words;
}

static int compare_words(const void *a, const void *b)
{
    const struct word *x = a, *y = b;
    for (size_t i = 0; i < x->length && i < y->length; i++)
        if (x->codes[i] != y->codes[i])
            return x->codes[i] < y->codes[i] ? -1 : 1;
    return (x->length > y->length) - (x->length < y->length);
}

/* F1 of `common` among `answered` and `expected`, none of which is 0. */
static double f1(size_t common, size_t answered, size_t expected)
{
    double precision = (double)common / (double)answered;
    double recall = (double)common / (double)expected;
    return common ? 2 * precision * recall / (precision + recall) : 0;
}

/* ---- Token F1 ------------------------------------------------------------------------------- */

static bool is_punctuation(uint32_t code)
{
    return code > ' ' && code < 0x7F &&
           !((code >= '0' && code <= '9') || (code >= 'A' && code <= 'Z') ||
             (code >= 'a' && code <= 'z'));
}

/* A letter or digit, near enough: what is neither a sign nor a mark that modifies a letter. */
static bool is_alphanumeric(uint32_t code)
{
    if (code < 0x80)
        return code > ' ' && code < 0x7F && !is_punctuation(code);
    if (code < 0xC0)
        return code == 0xAA || code == 0xB2 || code == 0xB3 || code == 0xB5 || code == 0xB9 ||
               code == 0xBA || (code >= 0xBC && code <= 0xBE);
    bool sign = code == 0xD7 || code == 0xF7 || (code >= 0x300 && code <= 0x36F) ||
                (code >= 0x2000 && code <= 0x2BFF) || (code >= 0x3000 && code <= 0x3020) ||
                (code >= 0xFE00 && code <= 0xFE2F) || code == 0xFFFD;
    return !sign;
}

static bool is_not_space(uint32_t code)
{
    return !answer_is_space(code);
}

/* Characters of the article at `at`, a whole word, or 0. */
static size_t article_at(const struct characters *c, size_t at)
{
    static const char *const articles[] = {"a", "an", "the"};
    if (at && is_alphanumeric(c->codes[at - 1]))
        return 0;
    for (size_t i = 0; i < sizeof articles / sizeof *articles; i++) {
        size_t length = 0;
        while (articles[i][length] && at + length < c->count &&
               c->codes[at + length] == (uint32_t)articles[i][length])
            length++;
        bool ends = at + length == c->count || !is_alphanumeric(c->codes[at + length]);
        if (!articles[i][length] && ends)
            return length;
    }
    return 0;
}

/* Small letters without punctuation; articles become spaces. */
static struct characters squad_characters(const char *text)
{
    struct characters c = characters_of(text);
    size_t kept = 0;
    for (size_t i = 0; i < c.count; i++)
        if (!is_punctuation(c.codes[i]))
            c.codes[kept++] = answer_lower(c.codes[i]);
    c.count = kept;
    for (size_t i = 0; i < c.count; i++)
        for (size_t length = article_at(&c, i); length; length--)
            c.codes[i + length - 1] = ' ';
    return c;
}

/* How many words two lists share, each as often as it is in both. Sorts them. */
static size_t count_shared(struct words *a, struct words *b)
{
    qsort(a->items, a->count, sizeof *a->items, compare_words);
    qsort(b->items, b->count, sizeof *b->items, compare_words);
    size_t shared = 0;
    for (size_t i = 0, k = 0; i < a->count && k < b->count;) {
        int order = compare_words(&a->items[i], &b->items[k]);
        shared += order == 0;
        i += order <= 0;
        k += order >= 0;
    }
    return shared;
}

double text_token_f1(const char *answer, const char *target)
{
    struct characters left = squad_characters(answer), right = squad_characters(target);
    struct words a = words_between(&left, is_not_space), b = words_between(&right, is_not_space);
    double score = a.count == 0 && b.count == 0;
    if (a.count && b.count)
        score = f1(count_shared(&a, &b), a.count, b.count);
    free(a.items);
    free(b.items);
    free(left.codes);
    free(right.codes);
    return score;
}

/* ---- ROUGE-L -------------------------------------------------------------------------------- */

static bool is_rouge_character(uint32_t code)
{
    return (code >= 'a' && code <= 'z') || (code >= '0' && code <= '9');
}

/* Small letters, as far as they end up among a-z: the Kelvin sign becomes a k, and the I with a dot
 * an i and a mark that no word holds. */
static struct characters rouge_characters(const char *text)
{
    struct characters c = characters_of(text);
    uint32_t *codes = memory_alloc((2 * c.count + 1) * sizeof *codes);
    size_t count = 0;
    for (size_t i = 0; i < c.count; i++) {
        uint32_t code = c.codes[i];
        codes[count++] = code == 0x212A ? 'k' : code == 0x130 ? 'i' : answer_lower(code);
        if (code == 0x130)
            codes[count++] = 0x307;
    }
    free(c.codes);
    return (struct characters){codes, count};
}

/* Length of the longest common subsequence, by the table of Wagner and Fischer (1974), of which one
 * row is kept. */
static size_t common_subsequence(const struct words *a, const struct words *b)
{
    size_t *row = memory_zalloc((b->count + 1) * sizeof *row); /* for the words of a so far */
    for (size_t i = 0; i < a->count; i++) {
        size_t diagonal = 0; /* row[k] before this word of a */
        for (size_t k = 0; k < b->count; k++) {
            size_t above = row[k + 1];
            if (compare_words(&a->items[i], &b->items[k]) == 0)
                row[k + 1] = diagonal + 1;
            else if (row[k] > above)
                row[k + 1] = row[k];
            diagonal = above;
        }
    }
    size_t length = row[b->count];
    free(row);
    return length;
}

double text_rouge_l(const char *answer, const char *target)
{
    struct characters left = rouge_characters(answer), right = rouge_characters(target);
    struct words a = words_between(&left, is_rouge_character);
    struct words b = words_between(&right, is_rouge_character);
    double score = 0;
    if (a.count && b.count)
        score = f1(common_subsequence(&a, &b), a.count, b.count);
    free(a.items);
    free(b.items);
    free(left.codes);
    free(right.codes);
    return score;
}

/* ---- chrF ----------------------------------------------------------------------------------- */

/* The six characters from a place on; 0 behind the end of the text. */
struct gram {
    uint32_t codes[CHRF_ORDER];
};

struct grams {
    struct gram *items; /* sorted, which sorts their beginnings too */
    size_t count;
};

/* By the first n characters. */
static int compare_beginnings(const struct gram *a, const struct gram *b, int n)
{
    for (int i = 0; i < n; i++)
        if (a->codes[i] != b->codes[i])
            return a->codes[i] < b->codes[i] ? -1 : 1;
    return 0;
}

static int compare_grams(const void *a, const void *b)
{
    return compare_beginnings(a, b, CHRF_ORDER);
}

static struct grams grams_of(const char *text)
{
    struct characters c = characters_of(text);
    size_t kept = 0;
    for (size_t i = 0; i < c.count; i++)
        if (!answer_is_space(c.codes[i]))
            c.codes[kept++] = c.codes[i];
    struct grams grams = {.items = memory_zalloc((kept + 1) * sizeof(struct gram)), .count = kept};
    for (size_t i = 0; i < kept; i++)
        for (size_t k = 0; k < CHRF_ORDER && i + k < kept; k++)
            grams.items[i].codes[k] = c.codes[i + k];
    free(c.codes);
    qsort(grams.items, grams.count, sizeof *grams.items, compare_grams);
    return grams;
}

/* n-grams that both texts have, each as often as it is in both. */
static size_t count_common(const struct grams *a, const struct grams *b, int n)
{
    size_t common = 0;
    for (size_t i = 0, k = 0; i < a->count && k < b->count;) {
        int order = compare_beginnings(&a->items[i], &b->items[k], n);
        common += order == 0 && a->items[i].codes[n - 1];
        i += order <= 0;
        k += order >= 0;
    }
    return common;
}

void text_chrf_count(const char *answer, const char *target, double counts[CHRF_COUNTS])
{
    struct grams a = grams_of(answer), b = grams_of(target);
    for (int n = 1; n <= CHRF_ORDER; n++) {
        size_t less = (size_t)n - 1;
        double answered = a.count > less ? (double)(a.count - less) : 0;
        double expected = b.count > less ? (double)(b.count - less) : 0;
        counts[3 * less] = expected > 0 ? answered : 0;
        counts[3 * less + 1] = expected;
        counts[3 * less + 2] = (double)count_common(&a, &b, n);
    }
    free(a.items);
    free(b.items);
}

double text_chrf(const double counts[CHRF_COUNTS])
{
    const double weight = 4; /* beta = 2, squared */
    double precision = 0, recall = 0, orders = 0;
    for (int n = 0; n < CHRF_ORDER; n++) {
        double answered = counts[3 * n], expected = counts[3 * n + 1], common = counts[3 * n + 2];
        if (!(answered > 0 && expected > 0))
            continue;
        precision += common / answered;
        recall += common / expected;
        orders++;
    }
    if (!(precision + recall > 0))
        return 0;
    precision /= orders;
    recall /= orders;
    return (1 + weight) * precision * recall / (weight * precision + recall);
}
