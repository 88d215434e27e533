/* SPDX-License-Identifier: Apache-2.0
 *
 * What the ranking expects of more examples: the curve of each technique, the target, and another
 * winner.
 */
#define _XOPEN_SOURCE 700
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/rank_support.h"

static void add_sizes(struct made_up *m, const char *technique, const int right[4], double tokens)
{
    static const int64_t sizes[] = {64, 128, 256, 500};
    for (size_t i = 0; i < 4; i++)
        if (right[i])
            add(m, (struct play){.technique = technique,
                                 .examples = sizes[i],
                                 .right = right[i],
                                 .tokens = tokens});
}

static void test_forecasts(void **state)
{
    (void)state;
    struct made_up m;
    begin(&m, "--techniques majority,zero_shot,lora,ia3,adapter --target 0.85");
    add(&m, (struct play){.technique = "majority", .examples = 500, .right = 70});
    add(&m, (struct play){.technique = "zero_shot", .examples = 500, .right = 80, .tokens = 40});
    add_sizes(&m, "lora", (const int[]){100, 130, 150, 163}, 40);
    add_sizes(&m, "ia3", (const int[]){100, 0, 150, 0}, 40);
    add_sizes(&m, "adapter", (const int[]){90, 110, 120, 0}, 40);
    rank(&m);
    assert_int_equal(row(&m, "zero_shot")->forecast.count, 0);
    assert_null(row(&m, "zero_shot")->forecast.note);
    says(row(&m, "ia3")->forecast.note, "it takes trials at 3 sizes or more, and there are 2");
    assert_int_equal(row(&m, "ia3")->forecast.count, 0);
    /* lora was trained with all 500; 16 times as many are within 32 times the largest size */
    const struct report_forecast *lora = &row(&m, "lora")->forecast;
    const struct report_forecast *adapter = &row(&m, "adapter")->forecast;
    assert_int_equal(lora->count, 3);
    assert_int_equal(adapter->count, 4);
    assert_true(adapter->points[0].examples == 500 && lora->points[0].examples == 1000);
    assert_true(lora->points[2].examples == 8000 && lora->level == 0.8);
    double before = row(&m, "lora")->metric.value;
    for (size_t i = 0; i < lora->count; i++) {
        const struct forecast_point *p = &lora->points[i];
        assert_true(p->low < p->metric && p->metric < p->high && p->high <= 1);
        assert_true(p->metric > before && p->probability_meets_target.known);
        before = p->metric;
    }
    assert_true(lora->examples_to_target.known && lora->examples_to_target.value > 500 &&
                lora->examples_to_target.value < 4000);
    assert_false(adapter->examples_to_target.known);
    end(&m);
}

/* What meets the target as measured needs no more examples, though the curve runs below the last
 * point. */
static void test_a_target_that_is_met(void **state)
{
    (void)state;
    struct made_up m;
    begin(&m, "--techniques majority,lora --target 0.83 --confidence 0.7");
    add(&m, (struct play){.technique = "majority", .examples = 500, .right = 70});
    add_sizes(&m, "lora", (const int[]){140, 142, 143, 170}, 40);
    rank(&m);
    const struct report_forecast *lora = &row(&m, "lora")->forecast;
    assert_true(row(&m, "lora")->probability_meets_target.value >= 0.7);
    assert_true(lora->count > 0 && lora->examples_to_target.known);
    assert_float_equal(lora->examples_to_target.value, 500, 0);
    end(&m);
}

/* The metric falls with the metric's own direction, and seeds of the best setting all count. */
static void test_forecasts_use_the_best_setting(void **state)
{
    (void)state;
    struct made_up m, same;
    static const int right[] = {100, 0, 150, 163};
    begin(&m, "--techniques lora");
    add_sizes(&m, "lora", right, 40);
    rank(&m);
    begin(&same, "--techniques lora");
    add_sizes(&same, "lora", right, 40);
    add(&same, (struct play){.technique = "lora", /* a bad rate is not part of the curve */
                             .setting = "{\"learning_rate\":0.5}",
                             .examples = 256,
                             .right = 60,
                             .tokens = 40});
    rank(&same);
    const struct forecast_point *a = row(&m, "lora")->forecast.points;
    const struct forecast_point *b = row(&same, "lora")->forecast.points;
    assert_true(a->metric == b->metric && a->low == b->low && a->high == b->high);
    assert_false(a->probability_meets_target.known); /* there is no target */
    assert_false(row(&m, "lora")->forecast.examples_to_target.known);
    end(&same);
    end(&m);
}

static void test_winner_changes(void **state)
{
    (void)state;
    struct made_up m;
    begin(&m, "--techniques lora,ia3,zero_shot");
    add(&m, (struct play){.technique = "zero_shot", .examples = 500, .right = 150, .tokens = 40});
    add_sizes(&m, "lora", (const int[]){40, 70, 106, 140}, 40);
    add_sizes(&m, "ia3", (const int[]){168, 168, 169, 169}, 40);
    rank(&m);
    assert_string_equal(m.report.technique, "ia3");
    assert_int_equal(m.report.winner_change_count, 1);
    assert_string_equal(m.report.winner_changes[0].technique, "lora");
    assert_true(m.report.winner_changes[0].examples > 500);
    assert_true(m.report.winner_changes[0].examples <= 32 * 500);
    end(&m);
    begin(&m, "--techniques lora,zero_shot"); /* one that does not learn is overtaken too */
    add(&m, (struct play){.technique = "zero_shot", .examples = 500, .right = 165, .tokens = 40});
    add_sizes(&m, "lora", (const int[]){60, 100, 130, 158}, 40);
    rank(&m);
    assert_string_equal(m.report.technique, "zero_shot");
    assert_int_equal(m.report.winner_change_count, 1);
    end(&m);
    begin(&m, "--techniques lora,ia3"); /* nothing is likely to change */
    add_sizes(&m, "lora", (const int[]){100, 120, 140, 160}, 40);
    add_sizes(&m, "ia3", (const int[]){90, 100, 105, 108}, 40);
    rank(&m);
    assert_int_equal(m.report.winner_change_count, 0);
    end(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forecasts),
        cmocka_unit_test(test_a_target_that_is_met),
        cmocka_unit_test(test_forecasts_use_the_best_setting),
        cmocka_unit_test(test_winner_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
