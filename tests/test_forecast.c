/* SPDX-License-Identifier: Apache-2.0
 *
 * Learning curves: against an independent implementation (tests/parity/make_forecast.py), and by
 * how often an interval holds what comes, on made-up curves whose truth is known.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/random.h"
#include "evaluators/forecast.h"
#include "evaluators/statistics.h"

enum { MOST_POINTS = 16 };

/* ---- The fixture ---------------------------------------------------------------------------- */

static double number_of(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

static void fit_case(const json_t *item, struct curve *curve)
{
    struct curve_point points[MOST_POINTS];
    struct error err = {0};
    const json_t *list = json_object_get(item, "points"),
                 *ceiling = json_object_get(item, "ceiling");
    size_t count = json_array_size(list);
    for (size_t i = 0; i < count && i < MOST_POINTS; i++) {
        const json_t *row = json_array_get(list, i);
        points[i] = (struct curve_point){json_number_value(json_array_get(row, 0)),
                                         json_number_value(json_array_get(row, 1)),
                                         json_number_value(json_array_get(row, 2))};
    }
    double most = json_is_null(ceiling) ? INFINITY : json_number_value(ceiling);
    if (curve_fit(points, count, most, curve, &err) != OK)
        fail_msg("%s", err.text);
}

static void near(const char *name, const char *what, double examples, double found, double expected,
                 double tolerance)
{
    if (!(fabs(found - expected) <= tolerance))
        fail_msg("%s, %s with %g examples: %.12g, expected %.12g", name, what, examples, found,
                 expected);
}

static void check_forecast(const char *name, const struct curve *curve, const json_t *row)
{
    struct forecast f;
    double examples = number_of(row, "examples"), variance = number_of(row, "variance");
    const double tolerance = 1e-7;
    assert_true(curve_at(curve, examples, variance, &f));
    near(name, "the median", examples, f.median, number_of(row, "median"), tolerance);
    near(name, "the low end", examples, f.low, number_of(row, "low"), tolerance);
    near(name, "the high end", examples, f.high, number_of(row, "high"), tolerance);
    for (size_t i = 0; i < json_array_size(json_object_get(row, "targets")); i++) {
        double target = json_number_value(json_array_get(json_object_get(row, "targets"), i));
        near(name, "a chance", examples, curve_chance(curve, examples, variance, target),
             json_number_value(json_array_get(json_object_get(row, "chances"), i)), tolerance);
    }
}

static json_t *read_fixture(void)
{
    json_error_t problem;
    json_t *root = json_load_file("tests/parity/fixtures/forecast.json", 0, &problem);
    if (!root)
        fail_msg("%s", problem.text);
    return root;
}

static void test_curves_agree(void **state)
{
    (void)state;
    json_t *root = read_fixture(), *curves = json_object_get(root, "curves");
    assert_int_equal(json_array_size(curves), 10);
    for (size_t i = 0; i < json_array_size(curves); i++) {
        const json_t *item = json_array_get(curves, i);
        const json_t *rows = json_object_get(item, "forecasts");
        struct curve curve;
        fit_case(item, &curve);
        for (size_t j = 0; j < json_array_size(rows); j++)
            check_forecast(json_string_value(json_object_get(item, "name")), &curve,
                           json_array_get(rows, j));
    }
    json_decref(root);
}

static void fit_named(const json_t *curves, const json_t *name, struct curve *curve)
{
    for (size_t i = 0; i < json_array_size(curves); i++)
        if (json_equal(json_object_get(json_array_get(curves, i), "name"), name)) {
            fit_case(json_array_get(curves, i), curve);
            return;
        }
    fail_msg("no curve \"%s\"", json_string_value(name));
}

static void test_pairs_agree(void **state)
{
    (void)state;
    json_t *root = read_fixture(), *pairs = json_object_get(root, "pairs");
    assert_int_equal(json_array_size(pairs), 12);
    for (size_t i = 0; i < json_array_size(pairs); i++) {
        const json_t *pair = json_array_get(pairs, i);
        const json_t *curves = json_object_get(root, "curves");
        struct curve a, b;
        fit_named(curves, json_object_get(pair, "first"), &a);
        fit_named(curves, json_object_get(pair, "second"), &b);
        double examples = number_of(pair, "examples");
        double chance = curve_chance_below(&a, &b, examples, number_of(pair, "variance"));
        near(json_string_value(json_object_get(pair, "first")), "below", examples, chance,
             number_of(pair, "below"), 1e-3);
    }
    json_decref(root);
}

/* ---- What is refused ------------------------------------------------------------------------ */

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        struct curve_point points[4];
        size_t count;
        double ceiling;
        const char *words;
    } cases[] = {
        {{{0}}, 0, 1, "at 3 sizes or more, and there are 0"},
        {{{64, 0.5, 0.01}}, 1, 1, "at 3 sizes or more, and there is 1"},
        {{{64, 0.5, 0.01}, {256, 0.4, 0.01}}, 2, 1, "at 3 sizes or more, and there are 2"},
        {{{64, 0.5, 0.01}, {256, 0.4, 0.01}, {64, 0.4, 0.01}, {256, 0.3, 0.01}},
         4,
         1,
         "at 3 sizes or more, and there are 2"},
        {{{64, 0.5, 0.01}, {256, 0.4, 0.01}, {500, 0.3, 0}}, 3, 1, "0.3 and 0"},
        {{{64, 0.5, 0.01}, {256, -0.4, 0.01}, {500, 0.3, 0.01}}, 3, 1, "not 256, -0.4"},
        {{{0, 0.5, 0.01}, {256, 0.4, 0.01}, {500, 0.3, 0.01}}, 3, 1, "not 0, 0.5"},
        {{{64, NAN, 0.01}, {256, 0.4, 0.01}, {500, 0.3, 0.01}}, 3, 1, "nan"},
        {{{64, 0.4, 0.01}, {256, INFINITY, 0.01}, {500, 0.3, 0.01}}, 3, 1, "inf"},
        {{{64, 0.5, 0.01}, {256, 0.4, 0.01}, {500, 0.3, 0.01}}, 3, 0, "a ceiling above 0"},
        {{{64, 0.5, 0.01}, {256, 0.4, 0.01}, {500, 0.3, 0.01}}, 3, NAN, "a ceiling above 0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct curve curve;
        struct error err = {0};
        assert_int_equal(curve_fit(cases[i].points, cases[i].count, cases[i].ceiling, &curve, &err),
                         FAILED);
        if (!strstr(err.text, cases[i].words))
            fail_msg("case %zu: \"%s\" does not say \"%s\"", i, err.text, cases[i].words);
    }
}

static struct curve usual(void)
{
    static const struct curve_point points[] = {
        {64, 0.42, 0.0021}, {256, 0.24, 0.0012}, {600, 0.19, 0.0009}};
    struct curve curve;
    struct error err = {0};
    assert_int_equal(curve_fit(points, 3, 1, &curve, &err), OK);
    return curve;
}

static void test_reach(void **state)
{
    (void)state;
    struct curve curve = usual();
    struct forecast f;
    assert_true(curve_at(&curve, 64, 0, &f));
    assert_true(curve_at(&curve, 32 * 600, 0, &f));
    static const double beyond[] = {63, 32 * 600 + 1, 0, -1, INFINITY};
    for (size_t i = 0; i < sizeof beyond / sizeof *beyond; i++) {
        assert_false(curve_at(&curve, beyond[i], 0, &f));
        assert_true(isnan(f.median) && isnan(f.low) && isnan(f.high));
        assert_true(isnan(curve_chance(&curve, beyond[i], 0, 0.2)));
        assert_true(isnan(curve_chance_below(&curve, &curve, beyond[i], 0)));
    }
    assert_false(curve_at(&curve, NAN, 0, &f));
    assert_false(curve_at(&curve, 600, -1, &f));
    assert_true(isnan(curve_chance(&curve, 600, 0, NAN)));
}

/* ---- Shape ---------------------------------------------------------------------------------- */

static void test_intervals_widen(void **state)
{
    (void)state;
    struct curve curve = usual();
    struct forecast near_by, far, farther, noisy;
    assert_true(curve_at(&curve, 4 * 600, 0, &near_by));
    assert_true(curve_at(&curve, 4 * 600 + 1, 0, &far));
    assert_true(fabs((far.high - far.median) / (near_by.high - near_by.median) - 1.5) < 0.01);
    assert_true(curve_at(&curve, 16 * 600, 0, &far));
    assert_true(curve_at(&curve, 16 * 600 + 1, 0, &farther));
    assert_true(fabs((farther.high - farther.median) / (far.high - far.median) - 2 / 1.5) < 0.01);
    assert_true(curve_at(&curve, 4 * 600, 0.01, &noisy));
    assert_true(noisy.high - noisy.low > near_by.high - near_by.low);
    assert_true(near_by.low < near_by.median && near_by.median < near_by.high);
    assert_true(far.low >= 0 && farther.low >= 0 && farther.high <= 1);
}

/* One interval's ends have the chances that they stand for. */
static void test_chances_fit_intervals(void **state)
{
    (void)state;
    struct curve curve = usual();
    for (double examples = 600; examples <= 16 * 600; examples *= 2) {
        struct forecast f;
        assert_true(curve_at(&curve, examples, 0.0004, &f));
        near("usual", "chance of the high end", examples,
             curve_chance(&curve, examples, 0.0004, f.high), 0.9, 1e-9);
        near("usual", "chance of the median", examples,
             curve_chance(&curve, examples, 0.0004, f.median), 0.5, 1e-9);
        if (f.low > 0)
            near("usual", "chance of the low end", examples,
                 curve_chance(&curve, examples, 0.0004, f.low), 0.1, 1e-9);
        assert_true(curve_chance(&curve, examples, 0.0004, -0.01) == 0);
        assert_true(curve_chance(&curve, examples, 0.0004, 1) == 1);
    }
}

static void test_examples_for_a_target(void **state)
{
    (void)state;
    struct curve curve = usual();
    assert_true(curve_examples_for(&curve, 0, 0.5, 0.8) == 600); /* reached already */
    assert_true(isnan(curve_examples_for(&curve, 0, 0.001, 0.8)));
    double before = 600;
    static const double targets[] = {0.20, 0.19, 0.18};
    for (size_t i = 0; i < 3; i++) {
        double n = curve_examples_for(&curve, 0, targets[i], 0.8);
        assert_true(n > before && n <= 32 * 600);
        assert_true(n >= floor(n) && n <= floor(n));
        assert_true(curve_chance(&curve, n, 0, targets[i]) >= 0.8);
        assert_true(curve_chance(&curve, n - 1, 0, targets[i]) < 0.8);
        assert_true(curve_examples_for(&curve, 0, targets[i], 0.5) < n);
        before = n;
    }
}

/* A late learner that is behind now, and one that has stopped learning. */
static void test_overtaking(void **state)
{
    (void)state;
    static const struct curve_point late[] = {
        {64, 0.60, 0.0002}, {128, 0.47, 0.0002}, {256, 0.36, 0.0002}, {512, 0.26, 0.0002}};
    static const struct curve_point early[] = {
        {64, 0.24, 0.0002}, {128, 0.23, 0.0002}, {256, 0.23, 0.0002}, {512, 0.23, 0.0002}};
    struct curve a, b;
    struct error err = {0};
    assert_int_equal(curve_fit(late, 4, 1, &a, &err), OK);
    assert_int_equal(curve_fit(early, 4, 1, &b, &err), OK);
    double n = curve_overtakes(&a, &b, 0, 0.8);
    assert_true(n > 512 && n <= 4096);
    assert_true(curve_chance_below(&a, &b, n, 0) >= 0.8);
    assert_true(curve_chance_below(&a, &b, n - 1, 0) < 0.8);
    assert_true(isnan(curve_overtakes(&b, &a, 0, 0.8)) || curve_overtakes(&b, &a, 0, 0.8) <= 512);
    near("late", "below itself", n, curve_chance_below(&a, &a, n, 0.0001), 0.5, 1e-3);
    near("late", "the other way round", n,
         curve_chance_below(&a, &b, n, 0) + curve_chance_below(&b, &a, n, 0), 1, 2e-3);
}

/* ---- Coverage ------------------------------------------------------------------------------- */

enum { SCORED = 200, CURVES = 450 };

/* Curves with a truth: the rectified power law; one that the model does not know, which falls
 * steeply in the middle; and no learning at all. ANY is each in turn. */
enum family { POWER, LOGISTIC, FLAT, ANY };

struct truth {
    enum family family;
    double floor, drop, exponent, knee;
};

static double truth_at(const struct truth *t, double examples)
{
    double power = pow(examples, t->exponent), knee = pow(t->knee, t->exponent);
    if (t->family == FLAT)
        return t->floor + t->drop;
    if (t->family == LOGISTIC)
        return t->floor + t->drop * knee / (knee + power);
    return t->floor + t->drop * (knee + pow(64, t->exponent)) / (knee + power);
}

/* What training with another seed varies by. */
static double seed_variance(double examples)
{
    return 0.03 * 0.03 * 64 / examples;
}

static double trained(const struct truth *t, double examples, struct random *random)
{
    double value = truth_at(t, examples) + sqrt(seed_variance(examples)) * random_normal(random);
    return fmin(fmax(value, 0), 1);
}

/* A trial: one training, scored on SCORED examples. */
static struct curve_point measure(const struct truth *t, double examples, struct random *random)
{
    double chance = trained(t, examples, random);
    int64_t wrong = 0;
    for (int i = 0; i < SCORED; i++)
        wrong += random_uniform(random) < chance;
    struct interval interval = wilson_interval(wrong, SCORED, 0.95);
    double deviation = (interval.high - interval.low) / (2 * 1.959963985);
    return (struct curve_point){examples, (double)wrong / SCORED,
                                deviation * deviation + seed_variance(examples)};
}

static struct truth draw_truth(struct random *random, enum family family)
{
    static const double knees[] = {0, 50, 200, 500};
    struct truth t = {.family = family,
                      .floor = 0.3 * random_uniform(random),
                      .drop = 0.05 + 0.45 * random_uniform(random),
                      .exponent = 0.1 + 0.9 * random_uniform(random),
                      .knee = knees[random_below(random, 4)]};
    if (family == LOGISTIC) {
        t.exponent = 0.7 + 1.3 * random_uniform(random);
        t.knee = 50 * pow(40, random_uniform(random)); /* 50 .. 2,000 */
    }
    return t;
}

/* The share of intervals that hold what another training at `ratio` times the largest size gives.
 */
static double coverage(const double *sizes, size_t count, double ratio, enum family family)
{
    struct random random = random_stream(1, "coverage", (uint64_t)count);
    int held = 0;
    for (int i = 0; i < CURVES; i++) {
        struct truth truth = draw_truth(&random, family == ANY ? (enum family)(i % ANY) : family);
        struct curve_point points[4];
        struct curve curve;
        struct error err = {0};
        struct forecast f;
        for (size_t j = 0; j < count; j++)
            points[j] = measure(&truth, sizes[j], &random);
        double examples = ratio * sizes[count - 1];
        assert_int_equal(curve_fit(points, count, 1, &curve, &err), OK);
        assert_true(curve_at(&curve, examples, seed_variance(examples), &f));
        double value = trained(&truth, examples, &random);
        held += f.low <= value && value <= f.high;
    }
    return (double)held / CURVES;
}

static void test_coverage(void **state)
{
    (void)state;
    static const double three[] = {64, 256, 600}, four[] = {64, 128, 256, 512};
    static const struct {
        const double *sizes;
        size_t count;
        double ratio;
        enum family family;
        double least, most;
    } cases[] = {
        {three, 3, 2, ANY, 0.75, 0.88},
        {three, 3, 4, ANY, 0.75, 0.88},
        {four, 4, 2, ANY, 0.75, 0.88},
        {four, 4, 4, ANY, 0.75, 0.88},
        /* Here the intervals are wider than these curves need. */
        {three, 3, 16, ANY, 0.75, 1},
        {four, 4, 16, ANY, 0.75, 1},
        /* No family alone is far off. */
        {three, 3, 2, POWER, 0.75, 0.88},
        {three, 3, 2, LOGISTIC, 0.7, 0.88},
        {three, 3, 2, FLAT, 0.7, 0.88},
        {four, 4, 4, POWER, 0.75, 0.92},
        {four, 4, 4, LOGISTIC, 0.7, 0.88},
        {four, 4, 4, FLAT, 0.7, 0.88},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double share = coverage(cases[i].sizes, cases[i].count, cases[i].ratio, cases[i].family);
        print_message("family %d, %zu sizes, %g times the largest: %.3f\n", (int)cases[i].family,
                      cases[i].count, cases[i].ratio, share);
        assert_true(share >= cases[i].least && share <= cases[i].most);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_curves_agree),
        cmocka_unit_test(test_pairs_agree),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_reach),
        cmocka_unit_test(test_intervals_widen),
        cmocka_unit_test(test_chances_fit_intervals),
        cmocka_unit_test(test_examples_for_a_target),
        cmocka_unit_test(test_overtaking),
        cmocka_unit_test(test_coverage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
