/* SPDX-License-Identifier: Apache-2.0
 *
 * Metrics against scikit-learn (tests/parity/make_statistics.py), their intervals, their scores for
 * single examples, and what they refuse.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/memory.h"
#include "base/random.h"
#include "evaluators/metrics.h"

static const struct bootstrap OPTIONS = {.resamples = 500, .seed = 1, .confidence = 0.95};

static double number_at(const json_t *array, size_t index)
{
    return json_number_value(json_array_get(array, index));
}

static bool near(double found, double expected)
{
    return fabs(found - expected) <= 1e-9 * fmax(1e-3, fabs(expected));
}

/* One case of the fixture. */
struct example_set {
    const char *name;
    const json_t *json;
    struct prediction *predictions;
    size_t count;
    size_t classes;
};

static void read_set(struct example_set *set, const json_t *json, struct arena *arena)
{
    set->json = json;
    set->name = json_string_value(json_object_get(json, "name"));
    set->classes = (size_t)json_integer_value(json_object_get(json, "classes"));
    const json_t *truth = json_object_get(json, "truth");
    const json_t *label = json_object_get(json, "label");
    const json_t *rows = json_object_get(json, "probabilities");
    set->count = json_array_size(truth);
    set->predictions = arena_zalloc(arena, set->count * sizeof *set->predictions);
    for (size_t i = 0; i < set->count; i++) {
        float *probabilities = arena_alloc(arena, set->classes * sizeof *probabilities);
        for (size_t c = 0; c < set->classes; c++)
            probabilities[c] = (float)number_at(json_array_get(rows, i), c);
        set->predictions[i] = (struct prediction){
            .example = (int64_t)i,
            .truth = (int)number_at(truth, i),
            .label = (int)number_at(label, i),
            .scored = true,
            .probability = number_at(json_object_get(json, "probability"), i),
            .nll = number_at(json_object_get(json, "nll"), i),
            .probabilities = probabilities,
        };
    }
    predictions_judge(metric_find("accuracy"), set->predictions, set->count);
}

static void each_set(void (*check)(const struct example_set *set))
{
    json_t *cases = json_load_file("tests/parity/fixtures/metrics.json", 0, NULL);
    assert_non_null(cases);
    assert_true(json_array_size(cases) >= 6);
    for (size_t i = 0; i < json_array_size(cases); i++) {
        struct arena arena;
        struct example_set set;
        arena_init(&arena, NULL);
        read_set(&set, json_array_get(cases, i), &arena);
        check(&set);
        arena_release(&arena);
    }
    json_decref(cases);
}

/* ---- Values --------------------------------------------------------------------------------- */

static void check_values(const struct example_set *set)
{
    const json_t *expected = json_object_get(set->json, "expected");
    const char *name;
    json_t *value;
    size_t checked = 0;
    json_object_foreach((json_t *)expected, name, value)
    {
        const struct metric *metric = metric_find(name);
        struct metric_value found;
        struct error err = {0};
        assert_non_null(metric);
        if (metric_measure(metric, set->predictions, set->count, set->classes, OPTIONS, &found,
                           &err))
            fail_msg("%s: %s", set->name, err.text);
        if (!near(found.value, json_number_value(value)))
            fail_msg("%s, %s: %.17g, expected %.17g", set->name, name, found.value,
                     json_number_value(value));
        assert_true(found.low <= found.value && found.value <= found.high);
        checked++;
    }
    assert_int_equal(checked, 8);
}

static void test_values(void **state)
{
    (void)state;
    each_set(check_values);
}

/* The mean of the scores is the value, wherever there are scores. */
static void check_scores(const struct example_set *set)
{
    double *scores = memory_alloc(set->count * sizeof *scores);
    for (size_t m = 0; m < metric_count(); m++) {
        const struct metric *metric = metric_at(m);
        if (!metric->scores || metric->input == INPUT_TEXT)
            continue;
        metric->scores(set->predictions, set->count, set->classes, scores);
        double value = metric->value(set->predictions, set->count, set->classes);
        if (!near(moments_of(scores, set->count).mean, value))
            fail_msg("%s, %s: mean score %.17g, value %.17g", set->name, metric->name,
                     moments_of(scores, set->count).mean, value);
    }
    free(scores);
}

static void test_scores(void **state)
{
    (void)state;
    each_set(check_scores);
}

static void check_classes(const struct example_set *set)
{
    size_t columns = set->classes + 1;
    int64_t *counts = memory_alloc(set->classes * columns * sizeof *counts);
    struct class_score *scores = memory_alloc(set->classes * sizeof *scores);
    confusion_count(set->predictions, set->count, set->classes, counts);
    class_scores(counts, set->classes, scores);
    const json_t *confusion = json_object_get(set->json, "confusion");
    for (size_t c = 0; c < set->classes; c++) {
        for (size_t answer = 0; answer < columns; answer++)
            assert_true((double)counts[c * columns + answer] ==
                        number_at(json_array_get(confusion, c), answer));
        assert_true(
            near(scores[c].precision, number_at(json_object_get(set->json, "precision"), c)));
        assert_true(near(scores[c].recall, number_at(json_object_get(set->json, "recall"), c)));
        assert_true(near(scores[c].f1, number_at(json_object_get(set->json, "f1"), c)));
        assert_true((double)scores[c].support ==
                    number_at(json_object_get(set->json, "support"), c));
    }
    free(scores);
    free(counts);
}

static void test_classes(void **state)
{
    (void)state;
    each_set(check_classes);
}

/* ---- Intervals ------------------------------------------------------------------------------ */

static void check_intervals(const struct example_set *set)
{
    struct metric_value found, again;
    const struct metric *accuracy = metric_find("accuracy");
    assert_int_equal(
        metric_measure(accuracy, set->predictions, set->count, set->classes, OPTIONS, &found, NULL),
        OK);
    int64_t hits = (int64_t)llround(found.value * (double)set->count);
    struct interval wilson = wilson_interval(hits, (int64_t)set->count, 0.95);
    assert_true(found.low == wilson.low && found.high == wilson.high);

    const struct metric *nll = metric_find("nll");
    assert_int_equal(
        metric_measure(nll, set->predictions, set->count, set->classes, OPTIONS, &found, NULL), OK);
    assert_int_equal(
        metric_measure(nll, set->predictions, set->count, set->classes, OPTIONS, &again, NULL), OK);
    assert_memory_equal(&found, &again, sizeof found);
    double *scores = memory_alloc(set->count * sizeof *scores);
    nll->scores(set->predictions, set->count, set->classes, scores);
    struct interval student = mean_interval(moments_of(scores, set->count), 0.95);
    double width = student.high - student.low;
    assert_true(fabs((found.high - found.low) / width - 1) < 0.25);
    free(scores);
}

static void test_intervals(void **state)
{
    (void)state;
    each_set(check_intervals);
}

/* Every bin counts by itself: neighbours that err in opposite directions do not make up for each
 * other. A limit belongs to the bin below it. */
static void test_calibration_bins(void **state)
{
    (void)state;
    static const struct {
        double probability[2];
        bool correct[2];
        double expected;
    } rows[] = {
        {{0.85, 0.95}, {true, false}, 0.55}, {{0.05, 0.15}, {true, false}, 0.55},
        {{0.9, 0.95}, {true, false}, 0.525}, {{0.85, 0.9}, {true, false}, 0.375},
        {{0, 0.1}, {true, false}, 0.45},     {{1, 1}, {true, true}, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct prediction predictions[2] = {{.scored = true}, {.scored = true}};
        for (int k = 0; k < 2; k++) {
            predictions[k].probability = rows[i].probability[k];
            predictions[k].correct = rows[i].correct[k];
        }
        double found = metric_find("calibration_error")->value(predictions, 2, 0);
        if (!near(found, rows[i].expected))
            fail_msg("row %zu: %.17g, expected %g", i, found, rows[i].expected);
    }
}

/* Resampling makes a perfect calibration error worse, never better; the interval holds the value
 * all the same. */
static void test_interval_holds_value(void **state)
{
    (void)state;
    struct prediction predictions[40];
    struct metric_value found;
    for (int i = 0; i < 40; i++)
        predictions[i] =
            (struct prediction){.scored = true, .probability = 0.5, .correct = i % 2 == 0};
    struct bootstrap options = {.resamples = 500, .seed = 1, .confidence = 0.5};
    assert_int_equal(
        metric_measure(metric_find("calibration_error"), predictions, 40, 0, options, &found, NULL),
        OK);
    assert_true(found.value == 0 && found.low == 0 && found.high > 0.02);
}

/* ---- Texts ---------------------------------------------------------------------------------- */

static void test_text_metrics(void **state)
{
    (void)state;
    struct prediction predictions[] = {
        {.example = 0, .truth = NO_LABEL, .label = NO_LABEL, .text = "Paris.", .target = "paris"},
        {.example = 1, .truth = NO_LABEL, .label = NO_LABEL, .text = "it is 12", .target = "12"},
        {.example = 2, .truth = NO_LABEL, .label = NO_LABEL, .text = "", .target = "7"},
        {.example = 3, .truth = NO_LABEL, .label = NO_LABEL, .text = "7.0", .target = "7"},
    };
    struct metric_value found;
    const struct metric *exact = metric_find("exact_match"),
                        *numeric = metric_find("numeric_match");
    assert_int_equal(metric_measure(exact, predictions, 4, 0, OPTIONS, &found, NULL), OK);
    assert_true(found.value == 0.25);
    assert_true(found.low == wilson_interval(1, 4, 0.95).low);
    assert_int_equal(metric_measure(numeric, predictions, 4, 0, OPTIONS, &found, NULL), OK);
    assert_true(found.value == 0.75);
    predictions_judge(exact, predictions, 4);
    assert_true(predictions[0].correct && !predictions[1].correct && !predictions[3].correct);
    predictions_judge(numeric, predictions, 4);
    assert_true(predictions[0].correct && predictions[1].correct && !predictions[2].correct &&
                predictions[3].correct);
    predictions_judge(metric_find("macro_f1"), predictions, 4);
    assert_false(predictions[0].correct); /* no answer is not the missing truth */
}

/* A free text counts by its tokens, a label as one. */
static void test_perplexity(void **state)
{
    (void)state;
    struct prediction predictions[] = {
        {.truth = NO_LABEL,
         .label = NO_LABEL,
         .nll = 1,
         .nll_tokens = 3,
         .text = "a",
         .target = "A"},
        {.truth = NO_LABEL,
         .label = NO_LABEL,
         .nll = 2,
         .nll_tokens = 1,
         .text = "a",
         .target = "b"},
        {.truth = 0, .label = 1, .nll = 4, .scored = true},
    };
    const struct metric *perplexity = metric_find("perplexity");
    struct metric_value found;
    assert_int_equal(metric_measure(perplexity, predictions, 2, 0, OPTIONS, &found, NULL), OK);
    assert_true(near(found.value, exp(5.0 / 4)));
    assert_int_equal(metric_measure(perplexity, predictions, 3, 2, OPTIONS, &found, NULL), OK);
    assert_true(near(found.value, exp(9.0 / 5)));
    assert_true(near(found.low, exp(1)) && near(found.high, exp(4)));
    predictions_judge(perplexity, predictions, 3);
    assert_true(predictions[0].correct && !predictions[1].correct && !predictions[2].correct);
}

/* A prepared sample gives on any draw what the metric gives on the predictions drawn. */
static void check_sample(const struct example_set *set)
{
    struct arena arena;
    struct random random = random_stream(3, "draws", set->count);
    arena_init(&arena, NULL);
    size_t *index = arena_alloc(&arena, set->count * sizeof *index);
    struct prediction *drawn = arena_alloc(&arena, set->count * sizeof *drawn);
    for (size_t i = 0; i < set->count; i++) {
        set->predictions[i].text = i % 3 ? "{\"a\": 1, \"b\": 2}" : "[1, 2]";
        set->predictions[i].target = i % 5 ? "{\"a\": 1}" : "[3, 1, 2]";
        index[i] = random_below(&random, set->count);
    }
    for (size_t i = 0; i < set->count; i++)
        drawn[i] = set->predictions[index[i]];
    for (size_t m = 0; m < metric_count(); m++) {
        const struct metric *metric = metric_at(m);
        const struct metric_sample *sample =
            metric_sample_create(metric, set->predictions, set->count, set->classes, &arena);
        double found = metric_sample_value(sample, index, set->count);
        if (!near(found, metric->value(drawn, set->count, set->classes)))
            fail_msg("%s, %s: %.17g, expected %.17g", set->name, metric->name, found,
                     metric->value(drawn, set->count, set->classes));
    }
    arena_release(&arena);
}

static void test_samples(void **state)
{
    (void)state;
    each_set(check_sample);
}

/* ---- The table and its refusals ------------------------------------------------------------- */

static void test_table(void **state)
{
    (void)state;
    assert_int_equal(metric_count(), 15);
    assert_null(metric_find("accuracy "));
    for (size_t i = 0; i < metric_count(); i++) {
        const struct metric *metric = metric_at(i);
        assert_ptr_equal(metric_find(metric->name), metric);
        assert_true(strlen(metric->title) > 0 && strlen(metric->unit) > 0);
        assert_true(!metric->proportion || metric->scores);
        bool loss = strcmp(metric->name, "nll") == 0 || strcmp(metric->name, "brier") == 0 ||
                    strcmp(metric->name, "calibration_error") == 0 ||
                    strcmp(metric->name, "perplexity") == 0;
        assert_true(metric->sum_count <= MOST_SUMS);
        assert_true(!metric->sum_count == !metric->contribute &&
                    !metric->sum_count == !metric->from_sums);
        assert_true(!metric->sum_count || !metric->scores);
        assert_true(metric->higher_is_better == !loss);
    }
}

struct refusal {
    const char *metric;
    struct prediction prediction;
    const char *words; /* part of the sentence */
};

static const float HALVES[] = {0.5F, 0.5F}, SHORT[] = {0.5F, 0.4F}, BROKEN[] = {NAN, 1.0F},
                   NEGATIVE[] = {-0.5F, 1.5F};

static void test_refusals(void **state)
{
    (void)state;
    const struct refusal rows[] = {
        {"accuracy", {.truth = NO_LABEL, .label = 1}, "true class"},
        {"accuracy", {.truth = 2, .label = 1}, "true class"},
        {"macro_f1", {.truth = 1, .label = 2}, "class answered"},
        {"matthews", {.truth = 1, .label = -2}, "class answered"},
        {"exact_match", {.text = "a"}, "lacks"},
        {"numeric_match", {.target = "a"}, "lacks"},
        {"chrf", {.text = "a"}, "lacks"},
        {"slot_f1", {.target = "{}"}, "lacks"},
        {"slot_f1", {.text = "{}", .target = "7"}, "not a JSON"},
        {"json_match", {.text = "{}", .target = "{"}, "not a JSON"},
        {"perplexity", {.nll = 1}, "no log-likelihood"},
        {"perplexity", {.scored = true, .nll = 1e6}, "too large"},
        {"calibration_error", {.probability = 0.5}, "no probability"},
        {"calibration_error", {.scored = true, .probability = 1.2}, "outside"},
        {"calibration_error", {.scored = true, .probability = NAN}, "not a number"},
        {"nll", {.nll = 1}, "no log-likelihood"},
        {"nll", {.scored = true, .nll = NAN}, "finite"},
        {"nll", {.scored = true, .nll = INFINITY}, "finite"},
        {"nll", {.scored = true, .nll = -0.1}, "above 0"},
        {"brier", {.truth = 1}, "no class probabilities"},
        {"brier", {.truth = -1, .probabilities = HALVES}, "true class"},
        {"brier", {.truth = 1, .probabilities = SHORT}, "add up"},
        {"brier", {.truth = 1, .probabilities = BROKEN}, "not a number"},
        {"brier", {.truth = 1, .probabilities = NEGATIVE}, "outside"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct prediction predictions[2] = {
            {.truth = 0, .scored = true, .text = "", .target = "{}", .probabilities = HALVES},
            rows[i].prediction,
        };
        predictions[1].example = 4711;
        struct metric_value found;
        struct error err = {0};
        assert_int_equal(
            metric_measure(metric_find(rows[i].metric), predictions, 2, 2, OPTIONS, &found, &err),
            FAILED);
        bool named = strstr(err.text, "4711") || !strcmp(rows[i].words, "too large");
        if (!strstr(err.text, rows[i].words) || !named || !strstr(err.text, rows[i].metric))
            fail_msg("row %zu: \"%s\" does not name %s", i, err.text, rows[i].words);
    }
}

static void test_refused_options(void **state)
{
    (void)state;
    struct prediction one = {.truth = 0, .label = 0};
    struct metric_value found;
    struct error err = {0};
    const struct metric *accuracy = metric_find("accuracy");
    assert_int_equal(metric_measure(accuracy, &one, 0, 2, OPTIONS, &found, &err), FAILED);
    assert_non_null(strstr(err.text, "no predictions"));
    const struct bootstrap wrong[] = {{0, 1, 0.95}, {10, 1, 0}, {10, 1, 1}, {10, 1, NAN}};
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(metric_measure(accuracy, &one, 1, 2, wrong[i], &found, &err), FAILED);
    assert_int_equal(metric_measure(accuracy, &one, 1, 2, OPTIONS, &found, &err), OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),           cmocka_unit_test(test_scores),
        cmocka_unit_test(test_classes),          cmocka_unit_test(test_intervals),
        cmocka_unit_test(test_calibration_bins), cmocka_unit_test(test_interval_holds_value),
        cmocka_unit_test(test_perplexity),       cmocka_unit_test(test_samples),
        cmocka_unit_test(test_text_metrics),     cmocka_unit_test(test_table),
        cmocka_unit_test(test_refusals),         cmocka_unit_test(test_refused_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
