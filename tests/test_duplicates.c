/* SPDX-License-Identifier: Apache-2.0
 *
 * Near duplicates among many texts whose words are all frequent; tests/test_split.c has the small
 * cases.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/random.h"
#include "base/text.h"
#include "datasets/duplicates.h"

enum { MOST_WORDS = 180 };

struct collection {
    struct arena arena;
    struct random random;
    const char **texts;
    size_t count, words, vocabulary;
};

/* Text `number` of different random words, of which the first `replaced` are words of no other. */
static const char *compose(struct collection *c, const size_t *words, size_t replaced,
                           size_t number)
{
    struct text text = {0};
    for (size_t i = 0; i < c->words; i++)
        if (i < replaced)
            text_printf(&text, "own%zux%zu ", number, i);
        else
            text_printf(&text, "w%zu ", words[i]);
    const char *kept = arena_strdup(&c->arena, text.bytes);
    text_release(&text);
    return kept;
}

static void draw_words(struct collection *c, size_t *words)
{
    for (size_t i = 0; i < c->words; i++) {
        bool again = true;
        while (again) {
            words[i] = random_below(&c->random, c->vocabulary);
            again = false;
            for (size_t j = 0; j < i; j++)
                again = again || words[j] == words[i];
        }
    }
}

/* Every tenth text has a twin behind all others with so many of its words replaced. Texts of n
 * words of which r differ share n - r of n + r. */
static void fill(struct collection *c, size_t count, size_t words, size_t vocabulary,
                 size_t replaced)
{
    size_t drawn[MOST_WORDS], twins = count / 10;
    *c = (struct collection){.words = words, .vocabulary = vocabulary};
    arena_init(&c->arena, NULL);
    c->random = random_stream(5, "twins", words);
    c->count = count + twins;
    c->texts = arena_alloc(&c->arena, c->count * sizeof *c->texts);
    for (size_t i = 0; i < count; i++) {
        draw_words(c, drawn);
        c->texts[i] = compose(c, drawn, 0, i);
        if (i % 10 == 0)
            c->texts[count + i / 10] = compose(c, drawn, replaced, i);
    }
}

static void test_twins(void **state)
{
    static const struct {
        size_t count, words, vocabulary, replaced;
        bool near;
    } cases[] = {
        {5000, 14, 3000, 1, true},   /* 13 of 15 */
        {5000, 14, 3000, 2, false},  /* 12 of 16 */
        {1000, 90, 2000, 10, true},  /* exactly 0.8 */
        {1000, 90, 2000, 11, false}, /* 79 of 101 */
        {400, 180, 1500, 20, true}, /* exactly 0.8, with far more words than a signature has bits */
        {400, 180, 1500, 21, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct collection c;
        struct duplicates found;
        size_t count = cases[i].count;
        fill(&c, count, cases[i].words, cases[i].vocabulary, cases[i].replaced);
        duplicates_find(c.texts, c.count, &c.arena, &found);
        for (size_t k = 0; k < c.count; k++) {
            size_t expected = k >= count && cases[i].near ? 10 * (k - count) : k;
            if (found.group[k] != expected)
                fail_msg("case %zu: text %zu is with %zu, not %zu", i, k, found.group[k], expected);
        }
        arena_release(&c.arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_twins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
