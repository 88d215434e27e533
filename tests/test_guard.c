/* SPDX-License-Identifier: Apache-2.0
 *
 * The verdict: tables with a known answer, and how often it is wrong, by simulation with a seed.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "evaluators/guard.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { CLASSES = 6, SLICES = 4, MOST = 2000 };

/* One question with its answers. */
struct scene {
    struct guard_question question;
    struct prediction before[MOST], after[MOST];
    int slice[MOST];
    struct arena arena;
    struct guard_result result;
};

static void set_answer(struct prediction *p, int truth, bool correct)
{
    *p = (struct prediction){
        .truth = truth, .label = correct ? truth : (truth + 1) % CLASSES, .correct = correct};
}

static void scene_begin(struct scene *scene, size_t count, double margin)
{
    arena_init(&scene->arena, NULL);
    scene->question = (struct guard_question){.metric = metric_find("accuracy"),
                                              .classes = CLASSES,
                                              .margin = margin,
                                              .paired = true,
                                              .before = scene->before,
                                              .after = scene->after,
                                              .before_count = count,
                                              .after_count = count,
                                              .slice = scene->slice,
                                              .slice_count = SLICES};
}

static void scene_decide(struct scene *scene)
{
    struct error err = {0};
    arena_clear(&scene->arena);
    if (guard_decide(&scene->question, &scene->arena, &scene->result, &err) != OK)
        fail_msg("%s", err.text);
}

/* ---- Tables --------------------------------------------------------------------------------- */

static void fill_table(struct scene *scene, size_t lost, size_t gained, size_t wrong)
{
    for (size_t i = 0; i < scene->question.before_count; i++) {
        int truth = (int)(i * 7 % CLASSES);
        bool was = i < lost || i >= lost + gained + wrong;
        bool is = i >= lost && (i < lost + gained || i >= lost + gained + wrong);
        set_answer(&scene->before[i], truth, was);
        set_answer(&scene->after[i], truth, is);
        scene->slice[i] = (int)(i * 11 % SLICES);
    }
}

static const struct {
    const char *what;
    size_t examples, lost, gained, wrong;
    double margin;
    enum guard_verdict expected;
} tables[] = {
    {"nothing differs, many", 1000, 0, 0, 100, 0.02, GUARD_PASS},
    {"nothing differs, few", 50, 0, 0, 5, 0.02, GUARD_INCONCLUSIVE},
    {"nothing differs, few, wide margin", 60, 0, 0, 5, 0.05, GUARD_PASS},
    {"five points of a thousand", 1000, 75, 25, 100, 0.02, GUARD_REGRESSION},
    {"as much noise without a drop", 1000, 50, 50, 100, 0.02, GUARD_PASS},
    {"a small drop, shown to be small", 2000, 12, 0, 100, 0.02, GUARD_PASS},
    {"the same drop and no margin", 2000, 12, 0, 100, 0, GUARD_REGRESSION},
    {"three lost of fifty", 50, 3, 0, 5, 0.02, GUARD_INCONCLUSIVE},
    {"five lost of fifty", 50, 5, 0, 5, 0.02, GUARD_REGRESSION}, /* 1 / 32 */
    {"better by far", 200, 2, 40, 20, 0.02, GUARD_PASS},
    {"everything lost", 30, 30, 0, 0, 0.02, GUARD_REGRESSION},
    {"one example, lost", 1, 1, 0, 0, 0.02, GUARD_INCONCLUSIVE},
    {"one example, kept", 1, 0, 0, 0, 0.02, GUARD_INCONCLUSIVE},
    {"all lost but within a huge margin", 20, 20, 0, 0, 1, GUARD_REGRESSION},
};

static void test_tables(void **state)
{
    (void)state;
    static struct scene scene;
    for (size_t i = 0; i < COUNT(tables); i++) {
        scene_begin(&scene, tables[i].examples, tables[i].margin);
        scene.question.classes = 0;
        scene.question.slice_count = 0;
        fill_table(&scene, tables[i].lost, tables[i].gained, tables[i].wrong);
        scene_decide(&scene);
        const struct guard_group *whole = &scene.result.whole;
        if (scene.result.verdict != tables[i].expected)
            fail_msg("%s: %s, expected %s (%g [%g, %g], p %g)", tables[i].what,
                     guard_verdict_name(scene.result.verdict),
                     guard_verdict_name(tables[i].expected), whole->difference, whole->low,
                     whole->high, whole->p);
        assert_int_equal(whole->lost, tables[i].lost);
        assert_int_equal(whole->gained, tables[i].gained);
        assert_true(whole->low <= whole->difference && whole->difference <= whole->high);
        arena_release(&scene.arena);
    }
}

/* A class that breaks down while the others gain as much: the whole does not show it. */
static void test_hidden_class(void **state)
{
    (void)state;
    static struct scene scene;
    scene_begin(&scene, 1200, 0.02);
    for (size_t i = 0; i < 1200; i++) {
        int truth = (int)(i % CLASSES);
        bool broken = truth == 3 && i < 240, mended = truth != 3 && i % 31 == 0;
        set_answer(&scene.before[i], truth, !mended);
        set_answer(&scene.after[i], truth, !broken);
        scene.slice[i] = (int)(i / 6 % SLICES);
    }
    scene_decide(&scene);
    assert_int_equal(scene.result.whole.verdict, GUARD_PASS);
    assert_int_equal(scene.result.verdict, GUARD_REGRESSION);
    assert_int_equal(scene.result.group_count, CLASSES + SLICES);
    for (size_t i = 0; i < scene.result.group_count; i++) {
        const struct guard_group *group = &scene.result.groups[i];
        bool is_it = group->part == GUARD_PART_CLASS && group->index == 3;
        assert_int_equal(group->verdict == GUARD_REGRESSION, is_it);
        if (is_it) {
            assert_int_equal(group->before, 200);
            assert_int_equal(group->lost, 40);
            assert_true(group->adjusted >= group->p && group->was == 1 && group->is == 0.8);
        }
    }
    arena_release(&scene.arena);
}

/* A slice of its own, across all classes. */
static void test_hidden_slice(void **state)
{
    (void)state;
    static struct scene scene;
    scene_begin(&scene, 1200, 0.02);
    for (size_t i = 0; i < 1200; i++) {
        scene.slice[i] = i < 60 ? 2 : (int)(i % 2);
        bool broken = i < 20, mended = i >= 60 && i < 80;
        set_answer(&scene.before[i], (int)(i % CLASSES), !mended);
        set_answer(&scene.after[i], (int)(i % CLASSES), !broken);
    }
    scene_decide(&scene);
    assert_int_equal(scene.result.whole.verdict, GUARD_PASS);
    assert_int_equal(scene.result.verdict, GUARD_REGRESSION);
    assert_int_equal(scene.result.group_count, CLASSES + 3); /* slice 3 does not occur */
    const struct guard_group *last = &scene.result.groups[scene.result.group_count - 1];
    assert_int_equal(last->part, GUARD_PART_SLICE);
    assert_int_equal(last->index, 2);
    assert_int_equal(last->verdict, GUARD_REGRESSION);
    arena_release(&scene.arena);
}

/* Six of six lost prove nothing at 1 %, so such a class is not counted among the tests. */
static void test_tiny_class(void **state)
{
    (void)state;
    static struct scene scene;
    scene_begin(&scene, 400, 0.02);
    scene.question.slice_count = 0;
    for (size_t i = 0; i < 400; i++) {
        set_answer(&scene.before[i], i < 6 ? 0 : 1, true);
        set_answer(&scene.after[i], i < 6 ? 0 : 1, i >= 6);
    }
    scene_decide(&scene);
    assert_int_equal(scene.result.group_count, 2);
    assert_false(scene.result.groups[0].tested);
    assert_true(scene.result.groups[1].tested);
    assert_int_equal(scene.result.groups[0].verdict, GUARD_INCONCLUSIVE);
    assert_true(scene.result.groups[0].adjusted == 1);
    arena_release(&scene.arena);
}

/* ---- How many examples ---------------------------------------------------------------------- */

static void test_how_many(void **state)
{
    (void)state;
    static struct scene scene;
    scene_begin(&scene, 999, 0.02);
    fill_table(&scene, 50, 49, 100);
    scene_decide(&scene);
    /* 10 % of the pairs differ; the true difference is taken to be the -0.1 point seen. */
    assert_true(fabs(scene.result.examples_to_pass - 1713) <= 2);
    arena_release(&scene.arena);
    scene_begin(&scene, 100, 0.02);
    fill_table(&scene, 8, 3, 10);
    scene_decide(&scene);
    assert_int_equal(scene.result.verdict, GUARD_INCONCLUSIVE);
    assert_true(isnan(scene.result.examples_to_pass)); /* worse than the margin so far */
    assert_true(scene.result.examples_to_show_drop > 100 &&
                scene.result.examples_to_show_drop < 600);
    arena_release(&scene.arena);
}

/* An inconclusive result never asks for fewer examples than there were. */
static void test_how_many_is_more(void **state)
{
    (void)state;
    static struct scene scene;
    size_t inconclusive = 0;
    for (size_t n = 20; n <= 2000; n += n < 100 ? 16 : 190) {
        for (size_t lost = 0; lost < n / 4; lost += 1 + n / 40) {
            for (size_t gained = 0; gained < n / 4; gained += 1 + n / 30) {
                scene_begin(&scene, n, 0.02);
                scene.question.classes = scene.question.slice_count = 0;
                fill_table(&scene, lost, gained, n / 10);
                scene_decide(&scene);
                const struct guard_result *r = &scene.result;
                if (r->verdict == GUARD_INCONCLUSIVE) {
                    inconclusive++;
                    assert_true(isfinite(r->examples_to_pass) ||
                                isfinite(r->examples_to_show_drop));
                    if (r->examples_to_pass <= (double)n)
                        fail_msg("%zu lost, %zu gained of %zu: %g examples", lost, gained, n,
                                 r->examples_to_pass);
                }
                arena_release(&scene.arena);
            }
        }
    }
    assert_true(inconclusive > 100);
}

/* ---- Other metrics -------------------------------------------------------------------------- */

static void test_macro_f1(void **state)
{
    (void)state;
    static struct scene scene;
    static const struct {
        size_t lost, gained;
        enum guard_verdict expected;
    } rows[] = {{80, 20, GUARD_REGRESSION}, {3, 3, GUARD_PASS}, {30, 30, GUARD_PASS}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        scene_begin(&scene, 1500, 0.03);
        scene.question.metric = metric_find("macro_f1");
        fill_table(&scene, rows[i].lost, rows[i].gained, 100);
        scene_decide(&scene);
        const struct guard_group *whole = &scene.result.whole;
        if (scene.result.verdict != rows[i].expected)
            fail_msg("%zu lost, %zu gained: %s, %g [%g, %g]", rows[i].lost, rows[i].gained,
                     guard_verdict_name(scene.result.verdict), whole->difference, whole->low,
                     whole->high);
        double was = metric_find("macro_f1")->value(scene.before, 1500, CLASSES);
        assert_true(whole->was == was);
        arena_release(&scene.arena);
    }
    scene_begin(&scene, 20, 0.02); /* a bootstrap of equal pairs is a point, and no proof */
    scene.question.metric = metric_find("macro_f1");
    fill_table(&scene, 0, 0, 3);
    scene_decide(&scene);
    assert_int_equal(scene.result.verdict, GUARD_INCONCLUSIVE);
    arena_release(&scene.arena);
}

static void test_refused(void **state)
{
    (void)state;
    static struct scene scene;
    struct error err = {0};
    scene_begin(&scene, 100, 0.02);
    fill_table(&scene, 1, 1, 10);
    scene.question.metric = metric_find("macro_f1");
    scene.question.paired = false;
    assert_int_equal(guard_decide(&scene.question, &scene.arena, &scene.result, &err), USAGE);
    assert_non_null(strstr(err.text, "macro_f1"));
    scene_begin(&scene, 100, 0.02);
    scene.question.after_count = 99;
    assert_int_equal(guard_decide(&scene.question, &scene.arena, &scene.result, &err), FAILED);
    scene.question.before_count = scene.question.after_count = 0;
    assert_int_equal(guard_decide(&scene.question, &scene.arena, &scene.result, &err), FAILED);
    arena_release(&scene.arena);
}

/* ---- Error rates ---------------------------------------------------------------------------- */

struct rates {
    double pass, regression;
};

/* Pairs of which `discordant` differ, with the difference `difference` in the mean; classes and
 * slices of uneven size. */
static struct rates simulate(struct scene *scene, double discordant, double difference, bool paired,
                             int repetitions)
{
    struct rates rates = {0};
    size_t n = scene->question.before_count;
    double loss = 0.5 * (discordant - difference);
    for (int r = 0; r < repetitions; r++) {
        struct random random = random_stream(11, "guard simulation", (uint64_t)r);
        for (size_t i = 0; i < n; i++) {
            size_t a = random_below(&random, CLASSES), b = random_below(&random, CLASSES);
            int truth = (int)(a < b ? a : b);
            double u = random_uniform(&random);
            bool was = paired ? u < loss || u > 0.1 + discordant
                              : random_uniform(&random) < 0.9 - 0.5 * difference;
            bool is = paired ? (u > loss && u < discordant) || u > 0.1 + discordant
                             : random_uniform(&random) < 0.9 + 0.5 * difference;
            set_answer(&scene->before[i], truth, was);
            set_answer(&scene->after[i], truth, is);
            scene->slice[i] = (int)random_below(&random, SLICES);
        }
        scene_decide(scene);
        rates.pass += scene->result.verdict == GUARD_PASS;
        rates.regression += scene->result.verdict == GUARD_REGRESSION;
    }
    rates.pass /= repetitions;
    rates.regression /= repetitions;
    return rates;
}

/* What was asked for: a drop of 5 points on 1,000 examples is caught, and the same amount of
 * changed answers without a drop is not. 2,000 repetitions have a standard error of 0.4 points at
 * 4 %. */
static void test_planted_drop_and_noise(void **state)
{
    (void)state;
    static struct scene scene;
    static const double discordant[] = {0.06, 0.1, 0.2};
    for (size_t i = 0; i < COUNT(discordant); i++) {
        scene_begin(&scene, 1000, 0.02);
        struct rates drop = simulate(&scene, discordant[i], -0.05, true, 500);
        struct rates noise = simulate(&scene, discordant[i], 0, true, 2000);
        printf("%2.0f %% of the pairs differ: a drop of 5 points is caught %.3f, passes %.3f; "
               "without one false alarms %.4f, passes %.3f\n",
               100 * discordant[i], drop.regression, drop.pass, noise.regression, noise.pass);
        assert_true(drop.regression >= (discordant[i] > 0.15 ? 0.9 : 0.99));
        assert_true(drop.pass <= 0.005);
        assert_true(noise.regression <= 0.05);
        assert_true(noise.pass >= 0.3);
        arena_release(&scene.arena);
    }
}

/* Small and large samples: false alarms stay below 5 %, and what is worse by the margin passes in
 * hardly more than 5 %. */
static void test_error_rates(void **state)
{
    (void)state;
    static struct scene scene;
    static const size_t sizes[] = {30, 100, 300, 2000};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        for (int paired = 0; paired <= 1; paired++) {
            scene_begin(&scene, sizes[i], 0.05);
            scene.question.paired = paired;
            if (!paired)
                scene.question.slice_count = 0;
            struct rates noise = simulate(&scene, 0.15, 0, paired, 1000);
            struct rates worse = simulate(&scene, 0.15, -0.05, paired, 1000);
            printf("%4zu %s: false alarms %.4f, false passes %.4f\n", sizes[i],
                   paired ? "pairs   " : "unpaired", noise.regression, worse.pass);
            assert_true(noise.regression <= 0.05);
            assert_true(worse.pass <= 0.08); /* 5.8 % and three standard errors */
            arena_release(&scene.arena);
        }
    }
}

static void test_same_seed_same_bytes(void **state)
{
    (void)state;
    static struct scene scene;
    struct guard_group first;
    scene_begin(&scene, 300, 0.02);
    scene.question.metric = metric_find("matthews");
    fill_table(&scene, 9, 6, 30);
    scene_decide(&scene);
    first = scene.result.whole;
    scene_decide(&scene);
    assert_memory_equal(&first, &scene.result.whole, sizeof first);
    arena_release(&scene.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables),
        cmocka_unit_test(test_hidden_class),
        cmocka_unit_test(test_hidden_slice),
        cmocka_unit_test(test_tiny_class),
        cmocka_unit_test(test_how_many),
        cmocka_unit_test(test_how_many_is_more),
        cmocka_unit_test(test_macro_f1),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_planted_drop_and_noise),
        cmocka_unit_test(test_error_rates),
        cmocka_unit_test(test_same_seed_same_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
