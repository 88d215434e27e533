/* SPDX-License-Identifier: Apache-2.0
 *
 * Techniques that the ranking leaves out, and what it says of them: given up, beyond a limit,
 * failed, not run for want of time, unsuitable.
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

/* ---- Giving up ------------------------------------------------------------------------------ */

/* Two techniques with 64 examples, of which only lora goes on. */
static void add_race(struct made_up *m, int lora, int ia3, int better_rate, bool third_rate)
{
    add(m, (struct play){.technique = "majority", .examples = 500, .right = 70});
    add(m, (struct play){.technique = "lora", .examples = 64, .right = lora, .tokens = 40});
    add(m, (struct play){.technique = "lora", .examples = 500, .right = lora + 10, .tokens = 40});
    add(m, (struct play){.technique = "ia3", .examples = 64, .right = ia3, .tokens = 40});
    add(m, (struct play){.technique = "ia3",
                         .setting = "{\"learning_rate\":0.5}",
                         .examples = 64,
                         .right = better_rate,
                         .tokens = 40});
    if (third_rate)
        add(m, (struct play){.technique = "ia3",
                             .setting = "{\"learning_rate\":0.25}",
                             .examples = 64,
                             .right = ia3,
                             .tokens = 40});
}

static void test_giving_up(void **state)
{
    (void)state;
    static const struct {
        const char *words;
        int lora, ia3, better_rate;
        bool given_up, two_rates;
    } cases[] = {
        {"", 160, 90, 90, false, true}, /* another learning rate might have done better */
        {"", 160, 90, 90, true, false},
        {"", 160, 155, 155, false, false},           /* no proof on 200 examples */
        {"", 160, 90, 155, false, false},            /* nor is the better rate to be given up */
        {"", 90, 160, 160, false, false},            /* it only had no more time */
        {"--target 0.4", 160, 90, 90, false, false}, /* behind, but enough */
        {"--target 0.6", 160, 90, 90, true, false},
        {"--metric macro_f1", 160, 90, 90, false, false}, /* no test for that */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct made_up m;
        char words[128];
        snprintf(words, sizeof words, "--techniques majority,lora,ia3 %s", cases[i].words);
        begin(&m, words);
        add_race(&m, cases[i].lora, cases[i].ia3, cases[i].better_rate, !cases[i].two_rates);
        rank(&m);
        const struct ranked *ia3 = row(&m, "ia3");
        if ((ia3->status == STANDING_ELIMINATED) != cases[i].given_up)
            fail_msg("case %zu: ia3 is %s", i, standing_status_name(ia3->status));
        assert_int_equal(row(&m, "lora")->status, STANDING_MEASURED);
        if (cases[i].given_up) {
            says(ia3->note,
                 "behind lora with 64 examples each, 0.450 against 0.800 on the same 200");
            assert_int_equal(ia3->rank, 3);
            assert_int_equal(ia3->tied_count, 0);
            assert_true(ia3->metric.known);
            assert_false(names(m.report.pareto, m.report.pareto_count, "ia3"));
        }
        end(&m);
    }
}

/* ---- Limits --------------------------------------------------------------------------------- */

static void test_limits_exclude(void **state)
{
    (void)state;
    static const struct {
        const char *words, *note;
    } cases[] = {
        {"--max-memory 5M", "takes 9.5M of memory, more than --max-memory 5.0M"},
        {"--max-latency 50ms", "takes 80 ms for a request, more than --max-latency 50 ms"},
    };
    for (size_t i = 0; i < 2; i++) {
        struct made_up m;
        begin(&m, cases[i].words);
        add(&m, (struct play){.technique = "majority", .examples = 500, .right = 70});
        add(&m,
            (struct play){.technique = "zero_shot", .examples = 500, .right = 120, .tokens = 40});
        add(&m, (struct play){.technique = "lora",
                              .examples = 64,
                              .right = 190,
                              .tokens = 40,
                              .memory = 1e7,
                              .latency_ms = 80});
        rank(&m);
        const struct ranked *lora = row(&m, "lora");
        assert_string_equal(m.report.technique, "zero_shot");
        assert_int_equal(lora->status, STANDING_EXCLUDED);
        says(lora->note, cases[i].note);
        assert_true(lora->metric.known); /* what was measured is told */
        assert_false(lora->probability_best.known);
        assert_false(names(m.report.pareto, m.report.pareto_count, "lora"));
        double best = row(&m, "zero_shot")->probability_best.value +
                      row(&m, "majority")->probability_best.value;
        assert_true(fabs(best - 1) < 1e-9);
        end(&m);
    }
}

static void test_nothing_within_the_limits(void **state)
{
    (void)state;
    struct made_up m;
    begin(&m, "--max-latency 1ms");
    add(&m, (struct play){.technique = "zero_shot", .examples = 500, .right = 190, .tokens = 40});
    add(&m, (struct play){.technique = "few_shot", .examples = 500, .right = 190, .tokens = 40});
    rank(&m);
    assert_null(m.report.technique);
    reasons_say(&m, "beyond --max-memory or --max-latency");
    end(&m);
}

/* ---- What was not measured ------------------------------------------------------------------ */

static void test_failures(void **state)
{
    (void)state;
    struct made_up m;
    begin(&m, "");
    add(&m, (struct play){.technique = "majority", .examples = 500, .right = 70});
    add(&m, (struct play){.technique = "zero_shot", .examples = 500, .right = 120, .tokens = 40});
    /* eight worked examples do not fit, four do */
    add(&m, (struct play){.technique = "few_shot", .examples = 500, .failed = "k=8 is too many"});
    add(&m, (struct play){.technique = "few_shot",
                          .setting = "{\"k\":4}",
                          .examples = 500,
                          .right = 130,
                          .tokens = 40});
    add(&m, (struct play){.technique = "lora", .examples = 64, .failed = "the loss is not finite"});
    rank(&m);
    assert_int_equal(row(&m, "few_shot")->status, STANDING_MEASURED);
    assert_string_equal(row(&m, "few_shot")->setting, "{\"k\":4}");
    assert_int_equal(row(&m, "lora")->status, STANDING_EXCLUDED);
    assert_string_equal(row(&m, "lora")->note, "the loss is not finite");
    assert_string_equal(m.report.technique, "few_shot");
    assert_true(m.report.complete);
    end(&m);
}

/* One learning rate of two diverged: the technique is not excluded for that. */
static void test_one_rate_fails(void **state)
{
    (void)state;
    struct made_up m;
    begin(&m, "");
    add(&m, (struct play){.technique = "lora", .examples = 64, .right = 100, .tokens = 40});
    add(&m, (struct play){.technique = "lora",
                          .setting = "{\"learning_rate\":0.5}",
                          .examples = 64,
                          .failed = "the loss is not finite"});
    rank(&m);
    assert_int_equal(row(&m, "lora")->status, STANDING_MEASURED);
    end(&m);
}

static void test_what_it_would_take(void **state)
{
    (void)state;
    struct made_up m;
    begin(&m, "--budget 2m");
    add(&m, (struct play){.technique = "majority", .examples = 500, .right = 70});
    add(&m, (struct play){.technique = "zero_shot", .examples = 500, .right = 120, .tokens = 40});
    add(&m, (struct play){.technique = "few_shot", .examples = 500, .interrupted = "no time"});
    rank(&m);
    /* lora is guessed at 2.15 times what reading 0.01 s an answer takes: 64 examples four times
     * over, 22 rows more for each of 128 micro-batches, 64 steps of the optimiser, and 250 answers,
     * with 15 % of caution: 14 s, which is the 45 % of the time for training that are for
     * screening. few_shot: 250 answers, 2.9 s. Together with the 100 s spent and a fifth more: 163
     * s, or 125 s for few_shot alone. */
    assert_int_equal(row(&m, "lora")->status, STANDING_NOT_RUN);
    says(row(&m, "lora")->note, "needs about 32 s more (500 examples); use --budget 4m");
    assert_int_equal(row(&m, "few_shot")->status, STANDING_NOT_RUN);
    says(row(&m, "few_shot")->note, "needs about 2.9 s more; use --budget 3m");
    assert_false(m.report.complete);
    end(&m);
}

static void test_a_budget_for_nothing(void **state)
{
    (void)state;
    struct made_up m;
    begin(&m, "--budget 5s");
    m.desk.study.spent_before = m.desk.study.spent_saved = 5;
    m.desk.study.seconds_per_answer = 0;
    rank(&m);
    assert_null(m.report.technique);
    assert_int_equal(m.report.ranking_count, 4);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(m.report.ranking[i].status, STANDING_NOT_RUN);
    says(row(&m, "zero_shot")->note, "before the first answer; use --budget 90s");
    reasons_say(
        &m,
        "The budget of 5 s was too small to measure any technique; zero_shot takes --budget 90s");
    end(&m);
}

static void test_remarks(void **state)
{
    (void)state;
    struct made_up m;
    begin(&m, "");
    add(&m, (struct play){.technique = "majority", .examples = 500, .right = 70});
    add(&m, (struct play){.technique = "lora", .examples = 64, .right = 120, .tokens = 40});
    add(&m, (struct play){.technique = "few_shot",
                          .examples = 500,
                          .right = 120,
                          .tokens = 40,
                          .untested = true});
    rank(&m);
    says(row(&m, "lora")->note, "judged on one learning rate");
    says(row(&m, "few_shot")->note, "not tested");
    assert_string_equal(row(&m, "majority")->note, "");
    end(&m);
    begin(&m, "");
    add_usual(&m, 100, 110, 120); /* two rates */
    rank(&m);
    assert_string_equal(row(&m, "lora")->note, "");
    end(&m);
}

/* The data lack what a technique needs. */
static void test_unsuitable_data(void **state)
{
    (void)state;
    struct made_up m;
    begin(&m, "");
    m.desk.study.split.train_count = 5;
    add(&m, (struct play){.technique = "majority", .examples = 5, .right = 70});
    rank(&m);
    assert_int_equal(row(&m, "lora")->status, STANDING_EXCLUDED);
    says(row(&m, "lora")->note, "at least 8 training examples, and there are 5");
    end(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_giving_up),
        cmocka_unit_test(test_limits_exclude),
        cmocka_unit_test(test_nothing_within_the_limits),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_one_rate_fails),
        cmocka_unit_test(test_what_it_would_take),
        cmocka_unit_test(test_a_budget_for_nothing),
        cmocka_unit_test(test_remarks),
        cmocka_unit_test(test_unsuitable_data),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
