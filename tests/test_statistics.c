/* SPDX-License-Identifier: Apache-2.0
 *
 * The closed forms against scipy (tests/parity/make_statistics.py); the bootstraps against what is
 * known of them, since their random numbers are our own.
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
#include "evaluators/statistics.h"

enum { MOST_RESULTS = 8 };

static double number_at(const json_t *array, size_t index)
{
    return json_number_value(json_array_get(array, index));
}

static double *numbers_of(const json_t *array, size_t *count)
{
    *count = json_array_size(array);
    double *values = memory_alloc(*count * sizeof *values);
    for (size_t i = 0; i < *count; i++)
        values[i] = number_at(array, i);
    return values;
}

/* ---- Closed forms against scipy ------------------------------------------------------------- */

static void run_normal_cdf(const json_t *a, double *out)
{
    out[0] = normal_cdf(number_at(a, 0));
}

static void run_normal_quantile(const json_t *a, double *out)
{
    out[0] = normal_quantile(number_at(a, 0));
}

static void run_beta(const json_t *a, double *out)
{
    out[0] = beta_regularised(number_at(a, 0), number_at(a, 1), number_at(a, 2));
}

static void run_beta_inverse(const json_t *a, double *out)
{
    out[0] = beta_regularised_inverse(number_at(a, 0), number_at(a, 1), number_at(a, 2));
}

static void run_t_cdf(const json_t *a, double *out)
{
    out[0] = student_t_cdf(number_at(a, 0), number_at(a, 1));
}

static void run_t_quantile(const json_t *a, double *out)
{
    out[0] = student_t_quantile(number_at(a, 0), number_at(a, 1));
}

static void put_interval(struct interval interval, double *out)
{
    out[0] = interval.low;
    out[1] = interval.high;
}

static void run_wilson(const json_t *a, double *out)
{
    put_interval(
        wilson_interval((int64_t)number_at(a, 0), (int64_t)number_at(a, 1), number_at(a, 2)), out);
}

static void run_clopper_pearson(const json_t *a, double *out)
{
    put_interval(clopper_pearson_interval((int64_t)number_at(a, 0), (int64_t)number_at(a, 1),
                                          number_at(a, 2)),
                 out);
}

static void run_mcnemar(const json_t *a, double *out)
{
    struct mcnemar test = mcnemar_exact((int64_t)number_at(a, 0), (int64_t)number_at(a, 1));
    out[0] = test.two_sided;
    out[1] = test.second_worse;
    out[2] = test.second_better;
    out[3] = test.mid_p;
}

static void run_moments(const json_t *a, double *out)
{
    size_t count;
    double *values = numbers_of(json_array_get(a, 0), &count);
    struct moments moments = moments_of(values, count);
    out[0] = moments.mean;
    out[1] = moments.variance;
    free(values);
}

static void run_mean_interval(const json_t *a, double *out)
{
    size_t count;
    double *values = numbers_of(json_array_get(a, 0), &count);
    put_interval(mean_interval(moments_of(values, count), number_at(a, 1)), out);
    free(values);
}

static void run_spearman(const json_t *a, double *out)
{
    size_t count;
    double *x = numbers_of(json_array_get(a, 0), &count);
    double *y = numbers_of(json_array_get(a, 1), &count);
    out[0] = spearman(x, y, count);
    free(x);
    free(y);
}

static void run_holm(const json_t *a, double *out)
{
    size_t count;
    double *p = numbers_of(json_array_get(a, 0), &count);
    holm_adjust(p, count, out);
    free(p);
}

struct runner {
    const char *name;
    void (*run)(const json_t *arguments, double *out);
    size_t cases; /* met in the fixture */
};

static struct runner *find_runner(struct runner *runners, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(runners[i].name, name) == 0)
            return &runners[i];
    fail_msg("the fixture names the unknown function %s", name);
    return NULL;
}

/* 1e-9 relative, and nothing else: an expected 0 must be 0. */
static bool near(double found, double expected)
{
    return fabs(found - expected) <= 1e-9 * fabs(expected);
}

static void check_case(struct runner *runners, size_t count, const json_t *row)
{
    struct runner *runner =
        find_runner(runners, count, json_string_value(json_object_get(row, "function")));
    const json_t *expected = json_object_get(row, "expected");
    double found[MOST_RESULTS] = {0};
    assert_in_range(json_array_size(expected), 1, MOST_RESULTS);
    runner->run(json_object_get(row, "arguments"), found);
    runner->cases++;
    for (size_t i = 0; i < json_array_size(expected); i++) {
        if (near(found[i], number_at(expected, i)))
            continue;
        char *arguments = json_dumps(json_object_get(row, "arguments"), 0);
        fail_msg("%s%.200s [%zu]: %.17g, expected %.17g", runner->name, arguments, i, found[i],
                 number_at(expected, i));
    }
}

static void test_closed_forms(void **state)
{
    (void)state;
    struct runner runners[] = {
        {"normal_cdf", run_normal_cdf, 0},
        {"normal_quantile", run_normal_quantile, 0},
        {"beta_regularised", run_beta, 0},
        {"beta_regularised_inverse", run_beta_inverse, 0},
        {"student_t_cdf", run_t_cdf, 0},
        {"student_t_quantile", run_t_quantile, 0},
        {"wilson_interval", run_wilson, 0},
        {"clopper_pearson_interval", run_clopper_pearson, 0},
        {"mcnemar_exact", run_mcnemar, 0},
        {"moments", run_moments, 0},
        {"mean_interval", run_mean_interval, 0},
        {"spearman", run_spearman, 0},
        {"holm", run_holm, 0},
    };
    size_t count = sizeof runners / sizeof *runners;
    json_t *rows = json_load_file("tests/parity/fixtures/statistics.json", 0, NULL);
    assert_non_null(rows);
    for (size_t i = 0; i < json_array_size(rows); i++)
        check_case(runners, count, json_array_get(rows, i));
    for (size_t i = 0; i < count; i++)
        if (runners[i].cases < 4)
            fail_msg("only %zu cases of %s", runners[i].cases, runners[i].name);
    json_decref(rows);
}

/* ---- Ends and nonsense ---------------------------------------------------------------------- */

static void test_ends(void **state)
{
    (void)state;
    assert_true(normal_quantile(0) == -INFINITY && normal_quantile(1) == INFINITY);
    assert_true(normal_quantile(0.5) == 0);
    assert_true(beta_regularised(2, 3, 0) == 0 && beta_regularised(2, 3, 1) == 1);
    assert_true(beta_regularised_inverse(2, 3, 0) == 0 && beta_regularised_inverse(2, 3, 1) == 1);
    assert_true(student_t_quantile(0.5, 4) == 0 && student_t_quantile(0, 4) == -INFINITY);
    assert_true(student_t_cdf(INFINITY, 3) == 1 && student_t_cdf(-INFINITY, 3) == 0);
    assert_true(student_t_cdf(-1e200, 3) >= 0 && student_t_cdf(-1e200, 3) < 1e-100);
    assert_true(near(student_t_cdf(1.5, INFINITY), normal_cdf(1.5)));
    assert_true(wilson_interval(0, 0, 0.95).low == 0 && wilson_interval(0, 0, 0.95).high == 1);
    assert_float_equal(share_by_chance(0.5, 0.5, 200), 0.1, 1e-12);
    assert_float_equal(share_by_chance(1, 1, 200), 0, 0);
    assert_true(isinf(share_by_chance(0, 0, 0)));
    struct mcnemar none = mcnemar_exact(0, 0);
    assert_true(none.two_sided == 1 && none.second_worse == 1 && none.second_better == 1 &&
                none.mid_p == 1);
}

static void test_nonsense_is_nan(void **state)
{
    (void)state;
    const double constant[] = {2, 2, 2}, rising[] = {1, 2, 3}, broken[] = {1, NAN, 3};
    const double found[] = {
        normal_quantile(-0.1),
        normal_quantile(NAN),
        beta_regularised(0, 1, 0.5),
        beta_regularised(1, 1, 1.5),
        beta_regularised(NAN, 1, 0.5),
        beta_regularised_inverse(1, -1, 0.5),
        beta_regularised_inverse(1, 1, 2),
        student_t_cdf(1, 0),
        student_t_quantile(1.5, 3),
        wilson_interval(3, 2, 0.95).low,
        wilson_interval(-1, 2, 0.95).low,
        wilson_interval(1, 2, 1).high,
        clopper_pearson_interval(1, 2, 0).high,
        moments_of(NULL, 0).mean,
        moments_of(rising, 1).variance,
        mean_interval(moments_of(rising, 1), 0.95).low,
        spearman(constant, rising, 3),
        spearman(rising, broken, 3),
        spearman(rising, rising, 1),
        mcnemar_exact(-1, 2).two_sided,
    };
    for (size_t i = 0; i < sizeof found / sizeof *found; i++)
        if (!isnan(found[i]))
            fail_msg("value %zu is %g, expected NAN", i, found[i]);
}

/* The inverse undoes the function, up to what one unit in the last place of x makes of it. */
static void test_beta_round_trip(void **state)
{
    (void)state;
    struct random random = random_stream(3, "beta round trip", 0);
    for (int i = 0; i < 2000; i++) {
        double a = exp(8 * random_uniform(&random) - 2);
        double b = exp(8 * random_uniform(&random) - 2);
        double p = random_uniform(&random);
        double x = beta_regularised_inverse(a, b, p);
        double above = beta_regularised(a, b, fmin(1, nextafter(x, 2)));
        double below = beta_regularised(a, b, fmax(0, nextafter(x, -1)));
        if (!(p >= below - 1e-10 * p && p <= above + 1e-10 * p))
            fail_msg("a %g, b %g, p %.17g: x %.17g gives %.17g", a, b, p, x,
                     beta_regularised(a, b, x));
    }
}

/* ---- Bootstrap ------------------------------------------------------------------------------ */

static double mean_of_drawn(const void *context, const size_t *index, size_t count)
{
    const double *values = context;
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += values[index[i]];
    return sum / (double)count;
}

/* For a mean the percentile interval is near the normal one. */
static void test_bootstrap_interval(void **state)
{
    (void)state;
    enum { COUNT = 400 };
    double values[COUNT];
    struct random random = random_stream(5, "sample", 0);
    for (int i = 0; i < COUNT; i++)
        values[i] = random_normal(&random);
    struct bootstrap options = {4000, 1, 0.95};
    struct moments moments = moments_of(values, COUNT);
    double error = 1.959964 * sqrt(moments.variance / COUNT);
    struct interval found = bootstrap_interval(mean_of_drawn, values, COUNT, options);
    assert_true(fabs(found.low - (moments.mean - error)) < 0.1 * error);
    assert_true(fabs(found.high - (moments.mean + error)) < 0.1 * error);

    struct interval again = bootstrap_interval(mean_of_drawn, values, COUNT, options);
    assert_memory_equal(&found, &again, sizeof found);
    options.seed = 2;
    again = bootstrap_interval(mean_of_drawn, values, COUNT, options);
    assert_true(again.low != found.low);
    assert_true(isnan(bootstrap_interval(mean_of_drawn, values, 0, options).low));
    values[7] = NAN;
    assert_true(isnan(bootstrap_interval(mean_of_drawn, values, COUNT, options).high));
}

/* The 95 % interval of a paired difference holds the true difference about 95 times in 100. */
static void test_paired_coverage(void **state)
{
    (void)state;
    enum { COUNT = 150, ROUNDS = 400 };
    const double truth = 0.02;
    double first[COUNT], second[COUNT];
    int covered = 0;
    for (int round = 0; round < ROUNDS; round++) {
        struct random random = random_stream(9, "coverage", (uint64_t)round);
        for (int i = 0; i < COUNT; i++) {
            double common = random_normal(&random);
            first[i] = common + 0.3 * random_normal(&random);
            second[i] = common + truth + 0.3 * random_normal(&random);
        }
        struct bootstrap options = {500, (uint64_t)round, 0.95};
        struct paired_difference found = paired_bootstrap(first, second, NULL, COUNT, options);
        assert_true(found.low <= found.mean && found.mean <= found.high);
        covered += found.low <= truth && truth <= found.high;
    }
    assert_in_range(covered, ROUNDS * 90 / 100, ROUNDS * 98 / 100);
}

/* scipy's random numbers are others: the ends agree within a tenth of a standard error, or one step
 * of a mean of zeros and ones. */
static void test_paired_bootstrap_agrees(void **state)
{
    (void)state;
    json_t *rows = json_load_file("tests/parity/fixtures/bootstrap.json", 0, NULL);
    assert_int_equal(json_array_size(rows), 3);
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        size_t count, same;
        double *first = numbers_of(json_object_get(row, "first"), &count);
        double *second = numbers_of(json_object_get(row, "second"), &same);
        struct bootstrap options = {20000, 5,
                                    json_number_value(json_object_get(row, "confidence"))};
        struct paired_difference found = paired_bootstrap(first, second, NULL, count, options);
        double deviation = json_number_value(json_object_get(row, "deviation"));
        double tolerance = fmax(0.1 * deviation, 1.0 / (double)count) + 1e-12;
        assert_true(near(found.mean, json_number_value(json_object_get(row, "mean"))));
        assert_true(fabs(found.low - json_number_value(json_object_get(row, "low"))) <= tolerance);
        assert_true(fabs(found.high - json_number_value(json_object_get(row, "high"))) <=
                    tolerance);
        free(first);
        free(second);
    }
    json_decref(rows);
}

static void test_paired_bootstrap(void **state)
{
    (void)state;
    const double first[] = {1, 0, 1, 1, 0, 1, 0, 1}, second[] = {1, 1, 1, 1, 1, 1, 0, 1};
    struct bootstrap options = {2000, 1, 0.9};
    struct paired_difference up = paired_bootstrap(first, second, NULL, 8, options);
    assert_true(up.mean == 0.25 && up.low >= 0 && up.high > 0.25);
    struct paired_difference down = paired_bootstrap(second, first, NULL, 8, options);
    assert_true(down.mean == -0.25 && down.low == -up.high && down.high == -up.low);
    assert_true(fabs(up.share_below_zero + down.share_below_zero - 1) < 1e-12);
    struct paired_difference same = paired_bootstrap(first, first, NULL, 8, options);
    assert_true(same.mean == 0 && same.low == 0 && same.high == 0);
    assert_true(same.share_below_zero == 0.5);
    assert_true(isnan(paired_bootstrap(first, second, NULL, 0, options).mean));
    options.resamples = 0;
    assert_true(isnan(paired_bootstrap(first, second, NULL, 8, options).mean));
}

/* Ten copies of each example are no more evidence than one: without clusters the interval is about
 * sqrt(10) too narrow. */
static void test_clusters(void **state)
{
    (void)state;
    enum { GROUPS = 60, COPIES = 10, COUNT = GROUPS * COPIES };
    double first[COUNT], second[COUNT], one[GROUPS], other[GROUPS];
    int64_t cluster[COUNT];
    struct random random = random_stream(2, "clusters", 0);
    for (int i = 0; i < COUNT; i++) { /* members of a group do not stand together */
        int group = i % GROUPS;
        one[group] = i < GROUPS ? 0 : one[group];
        other[group] = i < GROUPS ? random_normal(&random) : other[group];
        first[i] = one[group];
        second[i] = other[group];
        cluster[i] = 1000 - 7 * group;
    }
    struct bootstrap options = {4000, 1, 0.95};
    struct paired_difference grouped = paired_bootstrap(first, second, cluster, COUNT, options);
    struct paired_difference naive = paired_bootstrap(first, second, NULL, COUNT, options);
    struct paired_difference single = paired_bootstrap(one, other, NULL, GROUPS, options);
    double width = single.high - single.low;
    assert_true(fabs((grouped.high - grouped.low) / width - 1) < 0.1);
    assert_true(fabs((naive.high - naive.low) / width - 1 / sqrt(10)) < 0.05);
    assert_true(fabs(grouped.mean - single.mean) < 1e-12);
}

/* ---- Joint bootstrap ------------------------------------------------------------------------ */

static void test_joint_bootstrap(void **state)
{
    (void)state;
    enum { EXAMPLES = 200, TECHNIQUES = 3 };
    double scores[TECHNIQUES * EXAMPLES];
    for (int i = 0; i < EXAMPLES; i++) {
        scores[i] = i % 10 != 0;               /* 0.9 */
        scores[EXAMPLES + i] = i % 10 != 0;    /* the same answers */
        scores[2 * EXAMPLES + i] = i % 2 == 0; /* 0.5 */
    }
    struct score_matrix matrix = {scores, EXAMPLES, TECHNIQUES, NULL};
    struct bootstrap options = {2000, 1, 0.95};
    struct standing found[TECHNIQUES], again[TECHNIQUES];
    joint_bootstrap(&matrix, 0.9, options, found);
    assert_true(found[0].mean == 0.9 && found[2].mean == 0.5);
    assert_true(fabs(found[0].probability_best - 0.5) < 1e-9); /* ties are shared */
    assert_true(fabs(found[1].probability_best - 0.5) < 1e-9);
    assert_true(found[2].probability_best == 0 && found[2].probability_target == 0);
    assert_true(found[0].probability_target > 0.45 && found[0].probability_target < 0.65);
    assert_true(found[0].opportunity_cost == 0);
    assert_true(fabs(found[2].opportunity_cost - 0.4) < 0.01);
    struct interval wilson = wilson_interval(180, 200, 0.95);
    assert_true(fabs(found[0].low - wilson.low) < 0.01);
    assert_true(fabs(found[0].high - wilson.high) < 0.01);
    joint_bootstrap(&matrix, 0.9, options, again);
    assert_memory_equal(found, again, sizeof found);
}

/* Two techniques with the same mean; one varies from seed to seed, and that must show. */
static void test_joint_seeds(void **state)
{
    (void)state;
    enum { EXAMPLES = 1000 };
    static double scores[4 * EXAMPLES];
    for (int i = 0; i < EXAMPLES; i++) {
        scores[i] = i % 10 < 7;                /* 0.7 */
        scores[EXAMPLES + i] = i % 10 < 9;     /* 0.9 */
        scores[2 * EXAMPLES + i] = i % 10 < 8; /* 0.8 */
        scores[3 * EXAMPLES + i] = i % 10 < 8;
    }
    const size_t rows[] = {2, 2};
    struct score_matrix matrix = {scores, EXAMPLES, 2, rows};
    struct standing found[2];
    joint_bootstrap(&matrix, 0.75, (struct bootstrap){4000, 1, 0.95}, found);
    assert_true(fabs(found[0].mean - 0.8) < 1e-12 && fabs(found[1].mean - 0.8) < 1e-12);
    assert_true(found[0].high - found[0].low > 0.19); /* both seeds 0.7 .. both 0.9 */
    assert_true(found[1].high - found[1].low < 0.06);
    assert_true(fabs(found[0].probability_target - 0.75) < 0.05);
    assert_true(found[1].probability_target > 0.99);
}

static void test_joint_nothing(void **state)
{
    (void)state;
    double scores[] = {0.5, NAN, 0.5, 0.5};
    struct standing found[2];
    struct score_matrix matrix = {scores, 0, 2, NULL};
    joint_bootstrap(&matrix, 0, (struct bootstrap){10, 1, 0.95}, found);
    assert_true(isnan(found[0].mean) && isnan(found[1].probability_best));
    matrix.examples = 2;
    joint_bootstrap(&matrix, 0, (struct bootstrap){10, 1, 0.95}, found);
    assert_true(isnan(found[0].probability_best) && isnan(found[0].low));
    assert_true(found[1].probability_best == 1 && found[1].mean == 0.5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_closed_forms),       cmocka_unit_test(test_ends),
        cmocka_unit_test(test_nonsense_is_nan),    cmocka_unit_test(test_beta_round_trip),
        cmocka_unit_test(test_bootstrap_interval), cmocka_unit_test(test_paired_coverage),
        cmocka_unit_test(test_paired_bootstrap),   cmocka_unit_test(test_paired_bootstrap_agrees),
        cmocka_unit_test(test_clusters),           cmocka_unit_test(test_joint_bootstrap),
        cmocka_unit_test(test_joint_seeds),        cmocka_unit_test(test_joint_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
