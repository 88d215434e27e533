/* SPDX-License-Identifier: Apache-2.0
 *
 * Intervals of a difference and numbers of examples against independent implementations
 * (tests/parity/make_noninferiority.py), and how often the paired interval is wrong, computed by
 * adding up all the samples there can be.
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
#include "evaluators/noninferiority.h"

/* ---- Against scipy -------------------------------------------------------------------------- */

static double number_at(const json_t *array, size_t index)
{
    return json_number_value(json_array_get(array, index));
}

static int64_t count_at(const json_t *array, size_t index)
{
    return (int64_t)number_at(array, index);
}

static void run_paired(const json_t *a, double *out)
{
    struct interval interval =
        paired_difference_interval(count_at(a, 0), count_at(a, 1), count_at(a, 2), number_at(a, 3));
    out[0] = interval.low;
    out[1] = interval.high;
}

static void run_unpaired(const json_t *a, double *out)
{
    struct interval interval = unpaired_difference_interval(
        count_at(a, 0), count_at(a, 1), count_at(a, 2), count_at(a, 3), number_at(a, 4));
    out[0] = interval.low;
    out[1] = interval.high;
}

static void run_fisher(const json_t *a, double *out)
{
    out[0] = fisher_second_worse(count_at(a, 0), count_at(a, 1), count_at(a, 2), count_at(a, 3));
}

static void run_needed(const json_t *a, double *out)
{
    out[0] = pairs_needed(number_at(a, 0), number_at(a, 1), number_at(a, 2), number_at(a, 3),
                          number_at(a, 4));
}

struct runner {
    const char *name;
    void (*run)(const json_t *arguments, double *out);
    size_t cases;
};

static void check_case(struct runner *runner, const json_t *row)
{
    const json_t *expected = json_object_get(row, "expected");
    double found[2] = {0};
    runner->run(json_object_get(row, "arguments"), found);
    runner->cases++;
    for (size_t i = 0; i < json_array_size(expected); i++) {
        /* Both searches end some 1e-14 from the bound, however near to 0 that is. */
        double slack = 1e-9 * fabs(number_at(expected, i)) + 1e-12;
        if (!(fabs(found[i] - number_at(expected, i)) <= slack)) {
            char *arguments = json_dumps(json_object_get(row, "arguments"), 0);
            fail_msg("%s%.200s [%zu]: %.17g, expected %.17g", runner->name, arguments, i, found[i],
                     number_at(expected, i));
        }
    }
}

static void test_against_scipy(void **state)
{
    (void)state;
    struct runner runners[] = {{"paired", run_paired, 0},
                               {"unpaired", run_unpaired, 0},
                               {"fisher", run_fisher, 0},
                               {"needed", run_needed, 0}};
    json_t *rows = json_load_file("tests/parity/fixtures/noninferiority.json", 0, NULL);
    assert_non_null(rows);
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        const char *name = json_string_value(json_object_get(row, "function"));
        for (size_t r = 0; r < sizeof runners / sizeof *runners; r++)
            if (!strcmp(runners[r].name, name))
                check_case(&runners[r], row);
    }
    for (size_t r = 0; r < sizeof runners / sizeof *runners; r++)
        assert_true(runners[r].cases >= 6);
    json_decref(rows);
}

/* ---- Ends and nonsense ---------------------------------------------------------------------- */

static void test_ends(void **state)
{
    (void)state;
    double z = normal_quantile(0.95);
    for (int64_t n = 1; n <= 100000; n *= 10) {
        struct interval same = paired_difference_interval(0, 0, n, 0.9);
        double open = z * z / ((double)n + z * z);
        assert_true(fabs(same.low + open) < 1e-12 && fabs(same.high - open) < 1e-12);
        assert_true(paired_difference_interval(n, 0, n, 0.9).low == -1);
        assert_true(paired_difference_interval(0, n, n, 0.9).high == 1);
    }
    assert_true(fisher_second_worse(5, 10, 10, 10) == 1);
}

/* Sides exchanged: the interval is turned over. */
static void test_turned_over(void **state)
{
    (void)state;
    for (int64_t lost = 0; lost <= 30; lost += 3) {
        for (int64_t gained = 0; gained + lost <= 30; gained += 5) {
            struct interval a = paired_difference_interval(lost, gained, 30, 0.9);
            struct interval b = paired_difference_interval(gained, lost, 30, 0.9);
            double seen = (double)(gained - lost) / 30;
            assert_true(fabs(a.low + b.high) < 1e-12 && fabs(a.high + b.low) < 1e-12);
            assert_true(a.low <= seen && seen <= a.high);
        }
    }
}

static void test_nonsense_is_nan(void **state)
{
    (void)state;
    const double found[] = {
        paired_difference_interval(-1, 0, 5, 0.9).low,
        paired_difference_interval(0, -1, 5, 0.9).low,
        paired_difference_interval(3, 3, 5, 0.9).high,
        paired_difference_interval(INT64_MAX, INT64_MAX, 5, 0.9).high,
        paired_difference_interval(0, 0, 0, 0.9).low,
        paired_difference_interval(1, 1, 5, 1).low,
        paired_difference_interval(1, 1, 5, NAN).low,
        unpaired_difference_interval(3, 2, 1, 2, 0.9).low,
        unpaired_difference_interval(1, 2, 1, 0, 0.9).low,
        unpaired_difference_interval(1, 2, 1, 2, 0).high,
        fisher_second_worse(1, 0, 1, 2),
        fisher_second_worse(1, 2, 3, 2),
        pairs_needed(0.1, -0.02, 0.02, 0.05, 0.8),
        pairs_needed(0.1, 0.4, 0.02, 0.05, 0.8),
        pairs_needed(1.1, 0, 0.02, 0.05, 0.8),
        pairs_needed(NAN, 0, 0.02, 0.05, 0.8),
    };
    for (size_t i = 0; i < sizeof found / sizeof *found; i++)
        if (!isnan(found[i]))
            fail_msg("value %zu is %g, expected NAN", i, found[i]);
}

/* ---- How often the paired interval is wrong -------------------------------------------------- */

/* Which tables of `n` pairs have a lower bound above -margin: passes[lost * (n + 1) + gained]. */
static bool *tables_that_pass(int n, double margin)
{
    bool *passes = memory_zalloc((size_t)(n + 1) * (size_t)(n + 1));
    for (int lost = 0; lost <= n; lost++)
        for (int gained = 0; gained + lost <= n; gained++)
            passes[lost * (n + 1) + gained] =
                paired_difference_interval(lost, gained, n, 0.9).low > -margin;
    return passes;
}

/* The chance of a table that passes, when losses and gains have these probabilities. */
static double chance_to_pass(const bool *passes, int n, double loss, double gain)
{
    double sum = 0, all = lgamma(n + 1);
    for (int lost = 0; lost <= n; lost++) {
        for (int gained = 0; gained + lost <= n; gained++) {
            int same = n - lost - gained;
            if (!passes[lost * (n + 1) + gained] || (gained && gain <= 0))
                continue;
            sum += exp(all - lgamma(lost + 1) - lgamma(gained + 1) - lgamma(same + 1) +
                       lost * log(loss) + (gained ? gained * log(gain) : 0) +
                       same * log(1 - loss - gain));
        }
    }
    return sum;
}

/* The worst chance, over all shares of discordant pairs, to pass what is worse by the margin. */
static double worst_false_pass(int n, double margin)
{
    bool *passes = tables_that_pass(n, margin);
    double worst = 0;
    for (double discordant = margin; discordant < 0.6; discordant += discordant < 0.1 ? 0.01 : 0.04)
        worst = fmax(worst, chance_to_pass(passes, n, 0.5 * (discordant + margin),
                                           0.5 * (discordant - margin)));
    free(passes);
    return worst;
}

static void test_false_passes(void **state)
{
    (void)state;
    static const struct {
        int n;
        double margin, most;
    } rows[] = {{20, 0.02, 0.058}, {20, 0.05, 0.058},  {20, 0.1, 0.058},   {50, 0.02, 0.058},
                {50, 0.05, 0.058}, {50, 0.1, 0.058},   {100, 0.05, 0.058}, {100, 0.1, 0.058},
                {200, 0.1, 0.058}, {200, 0.02, 0.052}, {200, 0.05, 0.052}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        double worst = worst_false_pass(rows[i].n, rows[i].margin);
        if (!(worst <= rows[i].most))
            fail_msg("%d pairs, margin %g: passes %.4f of what is worse by the margin, expected at "
                     "most %g",
                     rows[i].n, rows[i].margin, worst, rows[i].most);
        if (rows[i].margin * rows[i].n > 5)
            assert_true(worst > 0.04); /* no bound so wide that nothing ever passes */
    }
}

/* The number of pairs that is promised gives the power that is promised. */
static void test_needed(void **state)
{
    (void)state;
    int n = (int)ceil(pairs_needed(0.1, 0, 0.05, 0.05, 0.8));
    bool *passes = tables_that_pass(n, 0.05);
    double power = chance_to_pass(passes, n, 0.05, 0.05);
    free(passes);
    if (!(power > 0.77 && power < 0.83))
        fail_msg("%d pairs pass with probability %.3f, expected 0.8", n, power);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_scipy), cmocka_unit_test(test_ends),
        cmocka_unit_test(test_turned_over),   cmocka_unit_test(test_nonsense_is_nan),
        cmocka_unit_test(test_false_passes),  cmocka_unit_test(test_needed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
