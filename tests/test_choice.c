/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "advisor/choice.h"

enum { COUNT = 3 }; /* the floor, and two that are compared */

/* p-values by which both beat the floor and tie with one another, but for `ahead`: how likely it is
 * by chance that the second one is so far ahead of the first. */
static size_t choose(const struct contender *all, double ahead)
{
    double p[COUNT * COUNT] = {1, 1e-6, 1e-6, 1, 1, ahead, 1, 1 - ahead, 1};
    const struct choice choice = {all, COUNT, p};
    return choice_make(&choice);
}

static double weighed(const struct contender *all, size_t leader, size_t i)
{
    const double p[COUNT * COUNT] = {1, 1e-6, 1e-6, 1, 1, 0.4, 1, 0.6, 1};
    const struct choice choice = {all, COUNT, p};
    return choice_weighed(&choice, leader, i);
}

/* Where two that were trained tie, a difference of their metrics is weighed against that of their
 * priors; the more examples there are, the less the priors say. */
static void test_priors_weigh_in_ties(void **state)
{
    (void)state;
    static const struct {
        struct contender first, second; /* the second has the better metric */
        double ahead;
        size_t chosen;
    } cases[] = {
        /* 80 examples, a point ahead, a prior three points behind */
        {{.metric = 0.90, .variance = 1.1e-3, .prior = 0.28, .trained = true},
         {.metric = 0.91, .variance = 1.0e-3, .prior = 0.25, .trained = true},
         0.4,
         1},
        /* the same with 800 */
        {{.metric = 0.90, .variance = 1.1e-4, .prior = 0.28, .trained = true},
         {.metric = 0.91, .variance = 1.0e-4, .prior = 0.25, .trained = true},
         0.2,
         2},
        /* three points ahead */
        {{.metric = 0.88, .variance = 1.1e-3, .prior = 0.28, .trained = true},
         {.metric = 0.91, .variance = 1.0e-3, .prior = 0.25, .trained = true},
         0.2,
         2},
        /* no tie */
        {{.metric = 0.90, .variance = 1.1e-3, .prior = 0.28, .trained = true},
         {.metric = 0.91, .variance = 1.0e-3, .prior = 0.25, .trained = true},
         0.02,
         2},
        /* one of them is a prompt */
        {{.metric = 0.90, .variance = 1.1e-3, .prior = 0.28, .trained = true},
         {.metric = 0.92, .variance = 1.0e-3, .prior = -0.04},
         0.4,
         2},
        /* a metric of which the priors say nothing */
        {{.metric = 0.90, .prior = 0.28, .trained = true},
         {.metric = 0.92, .prior = 0.25, .trained = true},
         0.4,
         2},
        /* the better metric has the better prior */
        {{.metric = 0.90, .variance = 1.1e-3, .prior = 0.25, .trained = true},
         {.metric = 0.91, .variance = 1.0e-3, .prior = 0.28, .trained = true},
         0.4,
         2},
        /* no prior says more of either */
        {{.metric = 0.90, .variance = 1.1e-3, .prior = 0.25, .trained = true},
         {.metric = 0.91, .variance = 1.0e-3, .prior = 0.25, .trained = true},
         0.4,
         2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct contender all[COUNT] = {
            {.metric = 0.3, .baseline = true, .stands = true}, cases[i].first, cases[i].second};
        all[1].stands = all[2].stands = true;
        size_t chosen = choose(all, cases[i].ahead);
        if (chosen != cases[i].chosen)
            fail_msg("case %zu: %zu is chosen, expected %zu", i, chosen, cases[i].chosen);
    }
}

/* (9e-4 x -0.01 + 5.5e-4 x 0.03) / (9e-4 + 5.5e-4), half of the larger variance. */
static void test_weights(void **state)
{
    (void)state;
    const struct contender all[COUNT] = {
        {.metric = 0.3, .baseline = true, .stands = true},
        {.metric = 0.90, .variance = 1.1e-3, .prior = 0.28, .trained = true, .stands = true},
        {.metric = 0.91, .variance = 1.0e-3, .prior = 0.25, .trained = true, .stands = true},
    };
    assert_float_equal(weighed(all, 2, 1), 0.91 + 7.5e-6 / 1.45e-3, 1e-9);
    assert_float_equal(weighed(all, 2, 2), 0.91, 1e-12);
    assert_float_equal(weighed(all, 2, 0), 0.3, 1e-12);
    assert_float_equal(weighed(all, 1, 2), 0.90 - 7.5e-6 / 1.45e-3, 1e-9);
}

/* Of two equal bets the cheaper one, whichever is ahead; priors do not decide who meets a target.
 */
static void test_cheaper_ones(void **state)
{
    (void)state;
    struct contender all[COUNT] = {
        {.metric = 0.3, .baseline = true, .stands = true},
        {.metric = 0.90,
         .variance = 1.1e-3,
         .prior = 0.28,
         .tokens = 2,
         .trained = true,
         .stands = true},
        {.metric = 0.91,
         .variance = 1.0e-3,
         .prior = 0.25,
         .tokens = 1,
         .trained = true,
         .stands = true},
    };
    assert_int_equal(choose(all, 0.4), 2); /* 0.0052 behind the bet */
    all[1].prior = 0.33;
    assert_int_equal(choose(all, 0.4), 1); /* and now 0.024 */
    all[1].meets_target = all[2].meets_target = true;
    assert_int_equal(choose(all, 0.4), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_priors_weigh_in_ties),
        cmocka_unit_test(test_weights),
        cmocka_unit_test(test_cheaper_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
