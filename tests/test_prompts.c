/* SPDX-License-Identifier: Apache-2.0
 *
 * What every prompt technique sends, id by id, and what contextual calibration and the most similar
 * examples come to: against tests/parity/make_prompts.py, which writes out the turns and computes
 * in float64 with transformers.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "techniques/features.h"
#include "techniques/prompt.h"
#include "techniques/technique.h"
#include "tests/adapting.h"

enum { MOST_IDS = 256 };

static const char *word(const json_t *object, const char *key)
{
    const char *value = json_string_value(json_object_get(object, key));
    assert_non_null(value);
    return value;
}

static const struct chat_format *format_named(const char *name)
{
    const struct chat_format *format;
    for (size_t i = 0; (format = chat_format_at(i)); i++)
        if (!strcmp(format->name, name))
            return format;
    fail_msg("no format %s", name);
    return NULL;
}

/* Opens the data called `name` of the fixture. */
static void open_data(struct subject *s, const json_t *document, const char *name, int threads)
{
    const json_t *data = json_object_get(json_object_get(document, "data"), name);
    struct dataset_options options = {0};
    struct error err;
    const char *lines = word(data, "jsonl");
    assert_true(task_from_name(word(data, "task"), &options.task));
    subject_open(s, data_two_labels, TASK_CLASSIFICATION, threads);
    dataset_release(&s->data);
    if (dataset_parse("data.jsonl", lines, strlen(lines), &options, &s->data, &err) != OK)
        fail_msg("%s", err.text);
    for (size_t i = 0; i < s->data.count; i++)
        s->examples[i] = &s->data.examples[i];
    s->material.count = s->data.count;
    s->model->n_context = 2048;
}

static void check_ids(struct subject *s, const char *name, const json_t *expected,
                      const int32_t *ids, size_t count)
{
    int32_t want[MOST_IDS];
    size_t n = (size_t)fixture_ids(expected, want, MOST_IDS);
    if (n != count || memcmp(want, ids, n * sizeof *ids) != 0)
        fail_msg("%s:\n%s\nexpected\n%s", name, subject_names(s, ids, count),
                 subject_names(s, want, n));
}

static void check_probabilities(const char *name, const struct outcome *outcome,
                                const json_t *expected)
{
    for (size_t l = 0; l < 2; l++) {
        double want = json_number_value(json_array_get(expected, l));
        double found = (double)outcome->probabilities[l];
        if (!(fabs(found - want) < 2e-5))
            fail_msg("%s, label %zu: %g, expected %g", name, l, found, want);
    }
}

/* The setting of a case, and `more`. */
static struct adapted *adapt(struct subject *s, const json_t *c, const char *more)
{
    const char *setting = word(c, "setting");
    const char *all =
        arena_printf(&s->arena, "%s%s%s", setting, *setting && *more ? ";" : "", more);
    return subject_adapt(s, technique_find(word(c, "technique")), all);
}

static void check_answers(struct subject *s, const json_t *c, const char *calibration,
                          const char *key)
{
    struct adapted *adapted = adapt(s, c, calibration);
    const struct outcome *outcomes = subject_answer(s, adapted);
    const json_t *rows = json_object_get(c, key);
    assert_int_equal(json_array_size(rows), s->data.count);
    for (size_t i = 0; i < s->data.count; i++)
        check_probabilities(word(c, "name"), &outcomes[i], json_array_get(rows, i));
    adapted_release(adapted);
}

static void check_case(const json_t *document, const json_t *c)
{
    struct subject s;
    struct sequence *sequences;
    struct error err;
    struct text text = {0};
    const char *name = word(c, "name");
    open_data(&s, document, word(c, "data"), 1);
    s.model->chat = format_named(word(c, "format"));
    struct adapted *adapted = adapt(&s, c, "");
    check_ids(&s, name, json_object_get(c, "ids"), adapted->prefix.ids, adapted->prefix.count);
    assert_int_equal(tokenizer_decode(s.model->tokenizer, adapted->prefix.ids,
                                      adapted->prefix.count, true, &text, &err),
                     OK);
    assert_string_equal(text_string(&text), word(c, "text"));
    assert_int_equal(prompt_encode(adapted, s.examples, 1, false, &s.arena, &sequences, &err), OK);
    check_ids(&s, name, json_object_get(c, "request"), sequences[0].ids,
              (size_t)sequences[0].request);
    adapted_release(adapted);
    if (json_object_get(c, "plain")) {
        check_answers(&s, c, "calibration=none", "plain");
        check_answers(&s, c, "calibration=contextual", "calibrated");
    }
    text_release(&text);
    subject_close(&s);
}

static void test_cases(void **state)
{
    (void)state;
    json_t *document = fixture_json("prompts.json");
    const json_t *cases = json_object_get(document, "cases");
    assert_true(json_array_size(cases) >= 12);
    for (size_t i = 0; i < json_array_size(cases); i++)
        check_case(document, json_array_get(cases, i));
    json_decref(document);
}

/* ---- The most similar examples -------------------------------------------------------------- */

static void check_nearest(const json_t *document, const char *calibration, const char *key,
                          int threads)
{
    const json_t *nearest = json_object_get(document, "nearest");
    struct subject s;
    open_data(&s, document, "films", threads);
    const char *setting = arena_printf(&s.arena, "selection=nearest;k=%d;calibration=%s",
                                       (int)fixture_number(nearest, "k"), calibration);
    struct adapted *adapted = subject_adapt(&s, technique_find("few_shot"), setting);
    struct outcome *outcomes = subject_answer(&s, adapted);
    for (size_t i = 0; i < s.data.count; i++) {
        const json_t *row = json_array_get(json_object_get(nearest, "rows"), i);
        int tokens = (int)fixture_number(row, "tokens"), free_tokens = 0;
        int sent = (int)json_array_size(json_object_get(row, "ids"));
        check_probabilities(calibration, &outcomes[i], json_object_get(row, key));
        if (!strcmp(key, "calibrated")) /* three more prompts, which say less than the request */
            free_tokens = outcomes[i].request_tokens - sent - tokens;
        assert_in_range(free_tokens, 0, 3 * sent);
        assert_int_equal(outcomes[i].request_tokens, sent + tokens + free_tokens);
    }
    adapted_release(adapted);
    subject_close(&s);
}

static void check_retrieved(const json_t *document)
{
    const json_t *nearest = json_object_get(document, "nearest");
    struct subject s;
    struct sequence *sequences;
    struct error err;
    open_data(&s, document, "films", 1);
    struct adapted *adapted =
        subject_adapt(&s, technique_find("few_shot"), "selection=nearest;k=2");
    struct retrieved *found = arena_zalloc(&s.arena, s.data.count * sizeof *found);
    assert_int_equal(
        prompt_encode(adapted, s.examples, s.data.count, false, &s.arena, &sequences, &err), OK);
    assert_int_equal(adapted->technique->retrieve(adapted, s.examples, sequences, s.data.count,
                                                  found, &s.arena, NULL, &err),
                     OK);
    for (size_t i = 0; i < s.data.count; i++) {
        const json_t *row = json_array_get(json_object_get(nearest, "rows"), i);
        struct tokens ids = {0};
        tokens_append(&ids, found[i].ids, (size_t)found[i].count);
        tokens_append(&ids, sequences[i].ids, (size_t)sequences[i].request);
        check_ids(&s, "nearest", json_object_get(row, "ids"), ids.ids, ids.count);
        tokens_release(&ids);
    }
    adapted_release(adapted);
    subject_close(&s);
}

static void test_nearest(void **state)
{
    (void)state;
    json_t *document = fixture_json("prompts.json");
    check_retrieved(document);
    for (int threads = 1; threads <= 3; threads += 2) {
        check_nearest(document, "none", "plain", threads);
        check_nearest(document, "contextual", "calibrated", threads);
    }
    json_decref(document);
}

/* ---- The linear probe ------------------------------------------------------------------------ */

static void check_parameter(struct adapted *adapted, int number, const json_t *expected,
                            double tolerance)
{
    const real *found = adapted_parameter(adapted, number);
    assert_int_equal(adapted->parameters.items[number].rows *
                         adapted->parameters.items[number].cols,
                     json_array_size(expected));
    for (size_t i = 0; i < json_array_size(expected); i++) {
        double want = json_number_value(json_array_get(expected, i));
        if (!(fabs((double)found[i] - want) <= tolerance * fmax(fabs(want), 1)))
            fail_msg("parameter %d: %zu is %g, expected %g", number, i, (double)found[i], want);
    }
}

/* The tiny model is too shallow to tell the depths apart. */
static void test_depths(void **state)
{
    (void)state;
    static const int cases[][3] = {{1, 0, 0}, {2, 1, 1}, {3, 2, 2}, {5, 3, 4}, {30, 18, 24}};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        int depths[FEATURE_DEPTHS];
        features_depths(cases[c][0], depths);
        assert_int_equal(depths[0], cases[c][1]);
        assert_int_equal(depths[1], cases[c][2]);
    }
}

/* The states it reads are those of transformers, and the regression is at its optimum. */
static void test_probe(void **state)
{
    (void)state;
    json_t *document = fixture_json("prompts.json");
    const json_t *probe = json_object_get(document, "probe");
    const struct technique *technique = technique_find("linear_probe");
    struct subject s;
    struct error err;
    for (int threads = 1; threads <= 3; threads += 2) {
        open_data(&s, document, "films", threads);
        struct adapted *adapted = subject_adapt(&s, technique, "max_iter=100000");
        assert_int_equal(technique->fit(adapted, &s.material, NULL, &err), OK);
        check_parameter(adapted, 0, json_object_get(probe, "mean"), 1e-5);
        check_parameter(adapted, 1, json_object_get(probe, "scale"), 1e-3);
        struct outcome *outcomes = subject_answer(&s, adapted);
        for (size_t i = 0; i < s.data.count; i++)
            check_probabilities("probe", &outcomes[i],
                                json_array_get(json_object_get(probe, "p"), i));
        adapted_release(adapted);
        subject_close(&s);
    }
    json_decref(document);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_depths),
        cmocka_unit_test(test_probe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
