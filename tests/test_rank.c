/* SPDX-License-Identifier: Apache-2.0
 *
 * The ranking of what was measured: the recommendation, its order, ties and probabilities, the
 * front of cost and quality, several sizes and seeds of a technique, and rules.
 */
#define _XOPEN_SOURCE 700
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/rank_support.h"

/* ---- The recommendation --------------------------------------------------------------------- */

static void test_recommendation(void **state)
{
    (void)state;
    static const struct {
        const char *words;
        int zero_shot, few_shot, lora;
        const char *technique;
        enum outcome_status outcome;
        const char *reason;
    } cases[] = {
        /* P(accuracy >= 0.8) of 180 / 200 is near 1: the cheapest is enough. */
        {"--target 0.8", 180, 185, 195, "zero_shot", OUTCOME_MEETS_TARGET, "the cheapest of those"},
        /* of 164 / 200 about 0.77, which is enough for 0.7 but not for 0.8 */
        {"--target 0.8 --confidence 0.7", 164, 185, 195, "zero_shot", OUTCOME_MEETS_TARGET, "0.7"},
        {"--target 0.8", 164, 185, 195, "few_shot", OUTCOME_MEETS_TARGET, "few_shot reaches"},
        /* 45 tokens a request and no training against 40 and training: many requests pay it back */
        {"--target 0.8 --requests 1000", 164, 185, 195, "few_shot", OUTCOME_MEETS_TARGET, ""},
        {"--target 0.8 --requests 1M", 164, 185, 195, "lora", OUTCOME_MEETS_TARGET, ""},
        {"--target 0.95 --confidence 0.6", 100, 150, 193, "lora", OUTCOME_MEETS_TARGET, ""},
        {"--target 0.99", 100, 150, 193, "lora", OUTCOME_BEST_AVAILABLE,
         "No technique reaches the target accuracy of 0.99"},
        {"", 100, 150, 193, "lora", OUTCOME_BEST_AVAILABLE, "lora reaches accuracy 0.965"},
        /* within a point of the best, and cheaper */
        {"", 192, 150, 193, "zero_shot", OUTCOME_BEST_AVAILABLE, "cannot be told apart from: lora"},
        /* a tie two points apart: the better mean is the better bet */
        {"", 122, 122, 126, "lora", OUTCOME_BEST_AVAILABLE, "told apart from: zero_shot, few_shot"},
        {"", 60, 65, 70, NULL, OUTCOME_BEATS_NOTHING, "better than always giving the most"},
        {"--target 0.3", 60, 65, 70, NULL, OUTCOME_BEATS_NOTHING, "target of 0.3 already"},
        {"--target 0.9", 60, 65, 70, NULL, OUTCOME_BEATS_NOTHING, "No technique reaches"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct made_up m;
        begin(&m, cases[i].words);
        add_usual(&m, cases[i].zero_shot, cases[i].few_shot, cases[i].lora);
        rank(&m);
        const char *technique = m.report.technique ? m.report.technique : "nothing";
        const char *expected = cases[i].technique ? cases[i].technique : "nothing";
        if (strcmp(technique, expected) != 0)
            fail_msg("case %zu: %s is recommended, expected %s", i, technique, expected);
        assert_int_equal(m.report.outcome, cases[i].outcome);
        reasons_say(&m, cases[i].reason);
        if (cases[i].technique)
            assert_string_equal(m.report.ranking[0].technique, cases[i].technique);
        assert_true(m.report.complete);
        end(&m);
    }
}

/* Nobody wins by a chance that would come up in more than one case of twenty. */
static void test_chance_is_no_reason(void **state)
{
    (void)state;
    struct made_up m;
    begin(&m, "");
    add_usual(&m, 74, 70, 70); /* four examples better than the majority, never worse: p = 1 / 16 */
    rank(&m);
    assert_null(m.report.technique);
    end(&m);
    begin(&m, "");
    add_usual(&m, 75, 70, 70); /* five: p = 1 / 32 */
    rank(&m);
    assert_string_equal(m.report.technique, "zero_shot");
    end(&m);
}

/* Where the examples cannot tell and priors decide, that is said. */
static void test_a_prior_outweighs(void **state)
{
    (void)state;
    for (int ahead = 2; ahead <= 6; ahead += 4) { /* examples of 200 */
        struct made_up m;
        begin(&m, "--techniques majority,lora,full_finetune");
        add(&m, (struct play){.technique = "majority", .examples = 500, .right = 70});
        add(&m, (struct play){
                    .technique = "lora", .examples = 500, .right = 170 + ahead, .wide = 0.06});
        add(&m, (struct play){
                    .technique = "full_finetune", .examples = 500, .right = 170, .wide = 0.06});
        rank(&m);
        assert_string_equal(m.report.technique, ahead == 2 ? "full_finetune" : "lora");
        if (ahead == 2)
            reasons_say(&m,
                        "lora is 0.010 ahead of it on these examples, which chance explains; on "
                        "the recorded tasks full_finetune brought 3 points more");
        end(&m);
    }
}

/* The order: the recommended one, then by metric, then what was not run, then what cannot be. */
static void test_order(void **state)
{
    (void)state;
    static const char *const expected[] = {"zero_shot", "majority", "lora", "few_shot"};
    struct made_up m;
    begin(&m, "");
    add(&m, (struct play){.technique = "majority", .examples = 500, .right = 70});
    add(&m, (struct play){.technique = "zero_shot", .examples = 500, .right = 90, .tokens = 40});
    add(&m, (struct play){.technique = "few_shot", .examples = 500, .failed = "does not fit"});
    rank(&m);
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(m.report.ranking[i].technique, expected[i]);
    assert_false(m.report.complete);
    end(&m);
}

/* ---- Ties, probabilities, front ------------------------------------------------------------- */

static void test_ties_go_both_ways(void **state)
{
    (void)state;
    static const char *const all[] = {"majority", "zero_shot", "few_shot", "lora"};
    struct made_up m;
    begin(&m, "");
    add_usual(&m, 118, 150, 121); /* zero_shot and lora differ in three examples */
    rank(&m);
    for (size_t i = 0; i < 4; i++)
        for (size_t j = 0; j < 4; j++) {
            const struct ranked *a = row(&m, all[i]), *b = row(&m, all[j]);
            bool tied = (i == 1 && j == 3) || (i == 3 && j == 1);
            assert_int_equal(names(a->tied_with, a->tied_count, b->technique), tied);
            assert_int_equal(names(b->tied_with, b->tied_count, a->technique), tied);
        }
    end(&m);
}

static void test_probabilities(void **state)
{
    (void)state;
    struct made_up m;
    begin(&m, "--target 0.6");
    add_usual(&m, 118, 126, 121);
    rank(&m);
    double best = 0;
    for (size_t i = 0; i < m.report.ranking_count; i++) {
        const struct ranked *r = &m.report.ranking[i];
        assert_true(r->probability_best.known && r->probability_meets_target.known);
        assert_in_range(r->probability_best.value * 1000, 0, 1000);
        assert_in_range(r->probability_meets_target.value * 1000, 0, 1000);
        best += r->probability_best.value;
    }
    assert_true(fabs(best - 1) < 1e-9);
    /* A binomial with p = 0.63 against 0.6 of 200: 0.81 +- 0.02 */
    assert_true(fabs(row(&m, "few_shot")->probability_meets_target.value - 0.82) < 0.04);
    assert_true(row(&m, "majority")->probability_meets_target.value < 0.001);
    assert_true(row(&m, "few_shot")->probability_best.value > 0.9);
    end(&m);
    begin(&m, "");
    add_usual(&m, 118, 126, 121);
    rank(&m);
    assert_false(row(&m, "lora")->probability_meets_target.known);
    end(&m);
}

static void test_front(void **state)
{
    (void)state;
    struct made_up m;
    begin(&m, "");
    add_usual(&m, 150, 140, 160); /* few_shot is worse and dearer than zero_shot */
    rank(&m);
    assert_int_equal(m.report.pareto_count, 3);
    assert_true(names(m.report.pareto, 3, "majority")); /* costs nothing */
    assert_true(names(m.report.pareto, 3, "zero_shot"));
    assert_true(names(m.report.pareto, 3, "lora"));
    end(&m);
    begin(&m, "");
    add_usual(&m, 150, 155, 150); /* lora trains for nothing */
    rank(&m);
    assert_int_equal(m.report.pareto_count, 3);
    assert_false(names(m.report.pareto, 3, "lora"));
    end(&m);
}

/* The cost of training is passes over the examples, not examples. */
static void test_front_counts_passes(void **state)
{
    (void)state;
    struct made_up m;
    begin(&m, "--techniques lora,ia3");
    add(&m, (struct play){.technique = "lora",
                          .setting = "{\"num_epochs\":2}",
                          .examples = 64,
                          .right = 150,
                          .tokens = 40});
    add(&m, (struct play){.technique = "ia3",
                          .setting = "{\"num_epochs\":20}",
                          .examples = 64,
                          .right = 150,
                          .tokens = 40});
    rank(&m);
    assert_int_equal(m.report.pareto_count, 1);
    assert_string_equal(m.report.pareto[0], "lora");
    assert_true(row(&m, "lora")->training_tokens.value == 3.0 * 64 * 2 * 40);
    end(&m);
}

/* ---- Other metrics -------------------------------------------------------------------------- */

/* Always the large class, and the small ones by chance of three in ten. */
static int large_class(int example)
{
    return example % 10 < 7 || example % 3 ? 0 : truth_of(example);
}

/* Right in every class alike. */
static int every_class(int example)
{
    return example % 5 ? truth_of(example) : (truth_of(example) + 1) % CLASSES;
}

/* Both are right in eight cases of ten, but the classes count alike in the macro F1. */
static void test_the_metric_itself_is_compared(void **state)
{
    (void)state;
    struct made_up m;
    begin(&m, "--metric macro_f1 --target 0.65");
    add(&m, (struct play){.technique = "majority", .examples = 500, .answer = large_class});
    add(&m, (struct play){
                .technique = "zero_shot", .examples = 500, .tokens = 40, .answer = every_class});
    add(&m, (struct play){
                .technique = "few_shot", .examples = 500, .tokens = 30, .answer = large_class});
    add(&m, (struct play){.technique = "lora", .examples = 64, .failed = "no"});
    rank(&m);
    assert_string_equal(m.report.technique, "zero_shot");
    assert_int_equal(m.report.outcome, OUTCOME_MEETS_TARGET);
    assert_true(row(&m, "zero_shot")->probability_meets_target.value > 0.8);
    assert_true(row(&m, "few_shot")->probability_meets_target.value < 0.25);
    assert_int_equal(row(&m, "zero_shot")->tied_count, 0);
    assert_true(names(row(&m, "few_shot")->tied_with, row(&m, "few_shot")->tied_count, "majority"));
    double best = 0;
    for (size_t i = 0; i < 3; i++)
        best += m.report.ranking[i].probability_best.value;
    assert_true(fabs(best - 1) < 1e-9);
    end(&m);
    /* By accuracy the same predictions tie. */
    begin(&m, "--target 0.9");
    add(&m, (struct play){
                .technique = "zero_shot", .examples = 500, .tokens = 40, .answer = every_class});
    add(&m, (struct play){
                .technique = "few_shot", .examples = 500, .tokens = 30, .answer = large_class});
    rank(&m);
    assert_int_equal(row(&m, "zero_shot")->tied_count, 1);
    end(&m);
}

/* ---- The trial that stands for a technique -------------------------------------------------- */

static void test_best_trial(void **state)
{
    (void)state;
    static const struct {
        int right[4]; /* of 200, at 64, 128, 256 and 500 examples */
        int64_t stands;
    } cases[] = {
        {{100, 130, 130, 135}, 500}, {{100, 130, 130, 120}, 500}, /* 19 of 200 may be chance */
        {{100, 130, 130, 110}, 256}, {{150, 130, 130, 110}, 64},  /* 20 may not be */
        {{150, 135, 130, 110}, 128}, {{0, 0, 0, 0}, 500},
    };
    static const int64_t sizes[] = {64, 128, 256, 500};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct made_up m;
        begin(&m, "");
        for (size_t i = 0; i < 4; i++)
            add(&m, (struct play){.technique = "lora",
                                  .examples = sizes[i],
                                  .right = cases[c].right[i],
                                  .tokens = 40});
        rank(&m);
        assert_int_equal(row(&m, "lora")->examples, cases[c].stands);
        end(&m);
    }
}

/* ---- Several seeds -------------------------------------------------------------------------- */

/* The metric is the mean over the seeds, its interval wider where they differ, and the best setting
 * the one with the best mean; what is tested is the first seed. */
static void test_seeds(void **state)
{
    (void)state;
    struct made_up m;
    begin(&m, "--techniques majority,lora,ia3");
    add(&m, (struct play){.technique = "majority", .examples = 500, .right = 70});
    static const int lora[] = {120, 140}, ia3[] = {130, 130, 130};
    for (size_t i = 0; i < 2; i++)
        add(&m,
            (struct play){
                .technique = "lora", .examples = 500, .right = lora[i], .tokens = 40, .seed = i});
    add(&m, (struct play){.technique = "lora",
                          .setting = "{\"learning_rate\":0.01}",
                          .examples = 500,
                          .right = 129, /* less than the mean, more than the first seed */
                          .tokens = 40});
    for (size_t i = 0; i < 3; i++)
        add(&m, (struct play){
                    .technique = "ia3", .examples = 500, .right = ia3[i], .tokens = 40, .seed = i});
    rank(&m);
    const struct ranked *wide = row(&m, "lora"), *narrow = row(&m, "ia3");
    assert_int_equal(wide->seeds, 2);
    assert_int_equal(narrow->seeds, 3);
    assert_int_equal(row(&m, "majority")->seeds, 1);
    assert_float_equal(wide->metric.value, 0.65, 1e-6);
    assert_float_equal(narrow->metric.value, 0.65, 1e-6);
    /* 0.01 of the examples; over the seeds 1.96 * 0.0707 / sqrt(2) */
    assert_float_equal(wide->metric.value - wide->low.value, hypot(0.01, 0.0979982), 1e-6);
    assert_float_equal(wide->high.value - wide->metric.value, hypot(0.01, 0.0979982), 1e-6);
    assert_float_equal(narrow->metric.value - narrow->low.value, 0.01, 1e-6);
    assert_int_equal(wide->tied_count, 1);
    reasons_say(&m, "as the mean of");
    assert_true(wide->probability_best.value > 0.3 && wide->probability_best.value < 0.7);
    end(&m);
}

/* One lucky seed of two is no proof: drawing the seeds too keeps both in the race. */
static void test_a_lucky_seed(void **state)
{
    (void)state;
    struct made_up m;
    begin(&m, "--techniques majority,lora,ia3");
    add(&m, (struct play){.technique = "majority", .examples = 500, .right = 70});
    add(&m, (struct play){.technique = "lora", .examples = 500, .right = 150, .tokens = 40});
    add(&m, (struct play){.technique = "ia3", .examples = 500, .right = 125, .tokens = 40});
    rank(&m);
    assert_int_equal(row(&m, "lora")->tied_count, 0); /* 25 examples, one way */
    m.report = (struct report){0};
    add(&m,
        (struct play){.technique = "lora", .examples = 500, .right = 110, .tokens = 40, .seed = 1});
    rank(&m);
    assert_int_equal(row(&m, "lora")->tied_count, 1);
    end(&m);
}

/* ---- Rules at equal size -------------------------------------------------------------------- */

/* What a technique reached with all examples says nothing about another one that had 64. */
static void test_rules_at_equal_size(void **state)
{
    (void)state;
    struct made_up m;
    char rules[BENCH_PATH];
    struct facts facts = {0};
    begin(&m, "--techniques majority,zero_shot,lora,ia3,adapter");
    struct study *study = &m.desk.study;
    snprintf(rules, sizeof rules, "%s/rules.csv", m.bench.folder);
    bench_write(rules, "rule,condition,techniques,effect,strength,reason,source\n"
                       "X1,1,adapter,lower,1,Text.,me\n");
    add(&m, (struct play){.technique = "zero_shot", .examples = 500, .right = 60, .tokens = 40});
    add(&m, (struct play){.technique = "lora", .examples = 64, .right = 90, .tokens = 40});
    add(&m, (struct play){.technique = "lora", .examples = 500, .right = 160, .tokens = 40});
    add(&m, (struct play){.technique = "ia3", .examples = 500, .right = 170, .tokens = 40});
    add(&m, (struct play){.technique = "adapter", .examples = 64, .right = 100, .tokens = 40});
    desk_must(rules_open(&study->rules, rules, &m.err), &m.err);
    desk_must(rules_judge(study->rules, &facts, NULL, m.desk.options.techniques,
                          m.desk.options.technique_count, &study->arena, &study->judgements,
                          &m.err),
              &m.err);
    rank(&m);
    const struct ranked *adapter = row(&m, "adapter");
    bool found = false;
    for (size_t i = 0; i < adapter->reason_count; i++) {
        if (strcmp(adapter->reasons[i].rule, "X1") != 0)
            continue;
        found = true;
        assert_int_equal(adapter->reasons[i].verdict, VERDICT_OVERRIDDEN);
        assert_string_equal(adapter->reasons[i].evidence,
                            "0.500 against 0.450 of lora with 64 examples");
    }
    assert_true(found);
    rules_free(study->rules);
    end(&m);
}

/* Another run of the ranking over the same store. */
static void test_the_same_again(void **state)
{
    (void)state;
    struct made_up m;
    begin(&m, "--target 0.6");
    add_usual(&m, 118, 126, 121);
    rank(&m);
    struct report first = m.report;
    m.report = (struct report){0};
    rank(&m);
    for (size_t i = 0; i < first.ranking_count; i++) {
        assert_string_equal(first.ranking[i].technique, m.report.ranking[i].technique);
        assert_true(first.ranking[i].probability_best.value ==
                    m.report.ranking[i].probability_best.value);
    }
    end(&m);
}

/* Trials that answered different examples cannot be compared. */
static void test_different_examples(void **state)
{
    (void)state;
    struct made_up m;
    struct prediction few[50];
    struct prediction all[DEV];
    struct error err = {0};
    int64_t id;
    enum claim claim;
    begin(&m, "");
    add(&m, (struct play){.technique = "majority", .examples = 500, .right = 70});
    struct play play = {.technique = "zero_shot", .right = 50};
    fill_predictions(&m, &play, all);
    memcpy(few, all, sizeof few);
    struct trial_key key = {"zero_shot", "{}", 500, 0, PURPOSE_RUNG};
    desk_must(trial_plan(m.desk.study.store, &key, &id, &err), &err);
    desk_must(trial_claim(m.desk.study.store, id, &claim, &err), &err);
    struct trial_record record = result_of(&m, id, &play, all);
    struct trial_predictions predictions = {.dev = few, .dev_count = 50};
    desk_must(trial_finish(m.desk.study.store, &record, &predictions, &err), &err);
    desk_refused(rank_study(&m.desk.study, &m.report, &err), FAILED, &err, "--fresh");
    end(&m);
}

/* What the development examples chose is not taken back, but when the test examples find another
 * technique better by more than chance, that is said. */
static void test_the_test_examples_disagree(void **state)
{
    (void)state;
    static const struct {
        int first, other; /* where the right answers of the recommended one begin, and lora's */
        bool untested;
        const char *words; /* NULL: none */
    } cases[] = {
        {50, 0, false, "The 50 test examples disagree: there lora is better, with 1.000 against"},
        {6, 0, false, "with 1.000 against 0.880"}, /* six of six: p = 1 / 32 */
        {5, 0, false, NULL},                       /* five of five: p = 1 / 16 */
        {0, 50, false, NULL},                      /* worse */
        {50, 0, true, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct made_up m;
        begin(&m, "");
        add(&m, (struct play){.technique = "majority", .examples = 500, .right = 2});
        add(&m,
            (struct play){
                .technique = "zero_shot", .examples = 500, .first = cases[i].first, .right = 150});
        add(&m, (struct play){.technique = "lora",
                              .examples = 64,
                              .first = cases[i].other,
                              .right = 140,
                              .untested = cases[i].untested});
        rank(&m);
        assert_string_equal(m.report.technique, "zero_shot");
        bool said = false;
        for (size_t k = 0; k < m.report.reason_count; k++)
            said |= strstr(m.report.reasons[k], "test examples disagree") != NULL;
        assert_int_equal(said, cases[i].words != NULL);
        if (said)
            reasons_say(&m, cases[i].words);
        end(&m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recommendation),
        cmocka_unit_test(test_chance_is_no_reason),
        cmocka_unit_test(test_the_test_examples_disagree),
        cmocka_unit_test(test_ties_go_both_ways),
        cmocka_unit_test(test_probabilities),
        cmocka_unit_test(test_front),
        cmocka_unit_test(test_front_counts_passes),
        cmocka_unit_test(test_a_prior_outweighs),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_the_metric_itself_is_compared),
        cmocka_unit_test(test_best_trial),
        cmocka_unit_test(test_seeds),
        cmocka_unit_test(test_a_lucky_seed),
        cmocka_unit_test(test_rules_at_equal_size),
        cmocka_unit_test(test_the_same_again),
        cmocka_unit_test(test_different_examples),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
