/* SPDX-License-Identifier: Apache-2.0
 *
 * Suspected label noise: against an independent implementation, on made-up data whose noise is
 * known, and where nothing may be claimed.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/random.h"
#include "base/text.h"
#include "datasets/noise.h"
#include "datasets/words.h"
#include "tests/fixture.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* ---- Words ------------------------------------------------------------------------------------
 */

static void test_words(void **state)
{
    static const struct {
        const char *text;
        size_t count;
    } rows[] = {
        {"", 0},        {"...", 0},          {"one", 1},        {"One, two!  THREE", 3},
        {"a-b c_d", 4}, {"na\xC3\xAFve", 1}, {"3.5 litres", 3}, {"\xE6\xBC\xA2\xE5\xAD\x97", 1},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        if (words_count(rows[i].text) != rows[i].count)
            fail_msg("%s: %zu words, not %zu", rows[i].text, words_count(rows[i].text),
                     rows[i].count);
}

/* ---- Data -------------------------------------------------------------------------------------
 */

struct made_up {
    struct dataset data;
    size_t *group;
};

static void own_group(struct made_up *m)
{
    m->group = test_malloc((m->data.count + 1) * sizeof *m->group);
    for (size_t i = 0; i < m->data.count; i++)
        m->group[i] = i;
}

static void load(struct made_up *m, const char *path)
{
    struct error err = {0};
    if (dataset_load(path, NULL, &m->data, &err) != OK)
        fail_msg("%s", err.text);
    own_group(m);
}

/* `rows` texts of twelve words, each of which comes from its class with a probability that is 0 to
 * twice `clear`, another one for each text; then a share of the labels is spoilt. Returns the share
 * that was. */
static double make(struct made_up *m, size_t rows, size_t classes, double clear, double spoil,
                   uint64_t seed)
{
    struct random random = random_stream(seed, "noisy data", rows);
    struct text text = {0};
    struct error err = {0};
    size_t spoilt = 0;
    text_add(&text, "text,label\n");
    for (size_t i = 0; i < rows; i++) {
        size_t class = i % classes;
        double clarity = 2 * clear * random_uniform(&random);
        for (size_t w = 0; w < 12; w++) {
            bool own = random_uniform(&random) < clarity;
            text_printf(&text, "%c%c%zu ", (char)('a' + (own ? class : 20)), 'x',
                        random_below(&random, own ? 30 : 200));
        }
        bool wrong = random_uniform(&random) < spoil;
        spoilt += wrong;
        if (wrong)
            class = (class + 1 + random_below(&random, classes - 1)) % classes;
        text_printf(&text, ",class%zu\n", class);
    }
    if (dataset_parse("made_up.csv", text.bytes, text.length, NULL, &m->data, &err) != OK)
        fail_msg("%s", err.text);
    text_release(&text);
    own_group(m);
    return (double)spoilt / (double)rows;
}

static void drop(struct made_up *m)
{
    dataset_release(&m->data);
    test_free(m->group);
}

/* ---- Tests ------------------------------------------------------------------------------------
 */

static bool near(double a, double b, double tolerance)
{
    return fabs(a - b) <= tolerance;
}

/* A grid step is 0.01; the words of emoji are cut another way there. */
static void test_against_numpy(void **state)
{
    (void)state;
    json_t *fixture = fixture_json("noise.json"), *row;
    json_t *cases = json_object_get(fixture, "cases");
    size_t at;
    json_array_foreach(cases, at, row)
    {
        struct made_up m;
        struct noise noise;
        size_t every = (size_t)json_integer_value(json_object_get(row, "every"));
        load(&m, "demo:tickets");
        for (size_t i = 0; every && i < m.data.count; i++)
            if (i % every == every - 1)
                m.data.examples[i].label = (m.data.examples[i].label + 1) % (int)m.data.label_count;
        noise_estimate(&m.data, m.group, 0, 0, &noise);
        if (!near(noise.accuracy, fixture_number(row, "accuracy"), 0.006) ||
            !near(noise.rate, fixture_number(row, "rate"), 0.0101) ||
            !near(noise.low, fixture_number(row, "low"), 0.0101) ||
            !near(noise.high, fixture_number(row, "high"), 0.0101))
            fail_msg("every %zu: %g of %g [%g, %g]", every, noise.accuracy, noise.rate, noise.low,
                     noise.high);
        drop(&m);
    }
    json_decref(fixture);
}

/* The interval holds what was put in, in nearly all cases, and says something. */
static void test_known_noise(void **state)
{
    static const double shares[] = {0, 0.05, 0.15, 0.3};
    (void)state;
    int held = 0, tried = 0;
    double width = 0;
    for (size_t s = 0; s < COUNT(shares); s++) {
        for (uint64_t seed = 0; seed < 10; seed++) {
            struct made_up m;
            struct noise noise;
            double truth =
                make(&m, 300 + 60 * seed, 2 + seed % 5, 0.1 + 0.04 * (double)seed, shares[s], seed);
            noise_estimate(&m.data, m.group, 0, seed, &noise);
            assert_true(noise.low <= noise.rate && noise.rate <= noise.high);
            if (noise.known) {
                tried++;
                held += noise.low <= truth && truth <= noise.high;
                width += noise.high - noise.low;
            }
            drop(&m);
        }
    }
    printf("known noise: %d of %d intervals hold it, mean width %.3f\n", held, tried,
           width / tried);
    assert_true(tried >= 30);
    assert_true((double)held >= 0.9 * tried);
    assert_true(width / tried < 0.2);
}

/* The labels that were spoilt stand first. */
static void test_suspects(void **state)
{
    (void)state;
    struct made_up m;
    struct noise noise;
    make(&m, 600, 3, 0.5, 0, 1);
    for (size_t i = 0; i < 20; i++)
        m.data.examples[30 * i].label = (m.data.examples[30 * i].label + 1) % 3;
    noise_estimate(&m.data, m.group, 0, 0, &noise);
    assert_true(noise.known);
    assert_in_range(noise.suspect_count, 12, 24);
    for (size_t i = 0; i < NOISE_SUSPECTS; i++) {
        const struct suspect *suspect = &noise.suspects[i];
        assert_int_equal(suspect->example % 30, 0);
        assert_true(suspect->label != m.data.examples[suspect->example].label);
        assert_true(suspect->probability > 0.5 && suspect->probability <= 1);
        assert_true(i == 0 || suspect->probability <= noise.suspects[i - 1].probability);
    }
    drop(&m);
}

static void test_same_again(void **state)
{
    (void)state;
    struct made_up m;
    struct noise one, two;
    make(&m, 700, 4, 0.3, 0.1, 3);
    noise_estimate(&m.data, m.group, 400, 5, &one);
    noise_estimate(&m.data, m.group, 400, 5, &two);
    assert_int_equal(one.examples, 400);
    assert_memory_equal(&one, &two, sizeof one);
    drop(&m);
}

static void check_silence(struct made_up *m, const char *words)
{
    struct noise noise;
    noise_estimate(&m->data, m->group, 0, 0, &noise);
    assert_false(noise.known);
    if (!strstr(noise.why, words))
        fail_msg("\"%s\" does not say \"%s\"", noise.why, words);
    drop(m);
}

static void test_nothing_is_claimed(void **state)
{
    (void)state;
    struct made_up m;
    make(&m, 199, 2, 0.9, 0, 1);
    check_silence(&m, "fewer than 200");
    make(&m, 400, 2, 0.9, 0, 1);
    for (size_t i = 0; i < m.data.count; i++)
        m.group[i] = i / 3 * 3; /* three of each text */
    check_silence(&m, "fewer than 200");
    make(&m, 600, 200, 0, 0, 1);
    check_silence(&m, "too few texts for each class");
    make(&m, 400, 2, 0, 0, 1); /* the words say nothing */
    check_silence(&m, "words alone say too little");
    load(&m, "demo:problems");
    check_silence(&m, "classification");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),       cmocka_unit_test(test_against_numpy),
        cmocka_unit_test(test_known_noise), cmocka_unit_test(test_suspects),
        cmocka_unit_test(test_same_again),  cmocka_unit_test(test_nothing_is_claimed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
