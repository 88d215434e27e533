/* SPDX-License-Identifier: Apache-2.0
 *
 * Worked examples: how many when nobody says, several orders together, examples for each request
 * that have to fit, and what all that costs. Which tokens are sent is tested in test_prompts.c.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "techniques/calibrate.h"
#include "techniques/prompt.h"
#include "techniques/score.h"
#include "techniques/technique.h"
#include "techniques/worked.h"
#include "tests/adapting.h"

#define COUNT(list) (sizeof(list) / sizeof *(list))

static const struct technique *few_shot(void)
{
    return technique_find("few_shot");
}

static size_t count_token(const struct adapted *adapted, const char *name)
{
    int32_t token = tokenizer_token(adapted->engine->model->tokenizer, name);
    size_t count = 0;
    for (size_t i = 0; i < adapted->prefix.count; i++)
        count += adapted->prefix.ids[i] == token;
    return count;
}

/* Each worked example closes two turns, the instruction one. */
static size_t examples_in(const struct adapted *adapted)
{
    return (count_token(adapted, "<|im_end|>") - 1) / 2;
}

/* ---- How many ------------------------------------------------------------------------------- */

static void test_automatic(void **state)
{
    (void)state;
    static const struct {
        const char *csv;
        enum task task;
        int context;
        size_t material, k;
    } cases[] = {
        {data_two_labels, TASK_CLASSIFICATION, 2048, 12, 8},
        {data_two_labels, TASK_CLASSIFICATION, 2048, 5, 5}, /* no more than there are */
        {data_seven_labels, TASK_CLASSIFICATION, 2048, 10, 10},
        {data_choices, TASK_MULTIPLE_CHOICE, 2048, 8, 8},
        {data_texts, TASK_GENERATION, 2048, 8, 8},
        {data_two_labels, TASK_CLASSIFICATION, 256, 12, 2}, /* three fit, and two are even */
        {data_texts, TASK_GENERATION, 200, 8, 2},
    };
    for (size_t c = 0; c < COUNT(cases); c++) {
        struct subject s;
        subject_open(&s, cases[c].csv, cases[c].task, 1);
        s.model->n_context = cases[c].context;
        s.material.count = cases[c].material;
        struct adapted *adapted = subject_adapt(&s, few_shot(), "");
        if (examples_in(adapted) != cases[c].k)
            fail_msg("case %zu: %zu examples", c, examples_in(adapted));
        assert_true(adapted->prefix.count <= (size_t)cases[c].context / 2);
        adapted_release(adapted);
        subject_close(&s);
    }
}

static void test_none_fits(void **state)
{
    (void)state;
    struct subject s;
    struct adapted *adapted;
    struct error err = {0};
    subject_open(&s, data_two_labels, TASK_CLASSIFICATION, 1);
    s.model->n_context = 110;
    struct setting setting = setting_default(few_shot());
    assert_int_equal(adapted_create(&adapted, s.engine, &setting, &s.material, &err), USAGE);
    assert_string_equal(err.text,
                        "few_shot: k=-1 finds no worked example that fits into half of the context "
                        "of 110 tokens; expected shorter texts or a larger context");
    setting = subject_setting(&s, few_shot(), "k=1");
    assert_int_equal(adapted_create(&adapted, s.engine, &setting, &s.material, &err), USAGE);
    assert_non_null(
        strstr(err.text, "expected at most half of it, which not even the first one does"));
    subject_close(&s);
}

/* An instruction that fills the context is refused by name. */
static void test_instruction(void **state)
{
    (void)state;
    static const char *const names[] = {"zero_shot", "few_shot", "chain_of_thought"};
    for (size_t i = 0; i < COUNT(names); i++) {
        struct subject s;
        struct adapted *adapted;
        struct error err = {0};
        subject_open(&s, data_two_labels, TASK_CLASSIFICATION, 1);
        s.model->n_context = 60;
        struct setting setting = subject_setting(
            &s, technique_find(names[i]),
            strcmp(names[i], "chain_of_thought") ? "system_prompt=Be as brief as you can be. Be so."
                                                 : "max_new_tokens=9");
        assert_int_equal(adapted_create(&adapted, s.engine, &setting, &s.material, &err), USAGE);
        if (!strstr(err.text, ": instruction and system_prompt take ") ||
            !strstr(err.text, "expected fewer than the 60 of the model's context"))
            fail_msg("%s", err.text);
        subject_close(&s);
    }
}

/* ---- Several orders ------------------------------------------------------------------------- */

static void check_members(struct subject *s, const char *setting, int orders)
{
    const char *together = arena_printf(&s->arena, "%s;order_seed=5;orders=%d", setting, orders);
    struct adapted *adapted = subject_adapt(s, few_shot(), together);
    assert_int_equal(adapted->member_count, orders - 1);
    const struct outcome *all = subject_answer(s, adapted);
    int request[SUBJECT_ROWS] = {0}, said[SUBJECT_ROWS] = {0};
    for (int m = 0; m < orders; m++) {
        const char *alone = arena_printf(&s->arena, "%s;order_seed=%d", setting, 5 + m);
        struct adapted *one = subject_adapt(s, few_shot(), alone);
        const struct outcome *single = subject_answer(s, one);
        for (size_t i = 0; i < s->data.count; i++) {
            const struct outcome *member = &all[i].members[m];
            assert_int_equal(member->label, single[i].label);
            assert_true(member->nll == single[i].nll);
            if (member->text)
                assert_string_equal(member->text, single[i].text);
            request[i] += single[i].request_tokens;
            said[i] += single[i].answer_tokens;
        }
        adapted_release(one);
    }
    for (size_t i = 0; i < s->data.count; i++) {
        assert_int_equal(all[i].request_tokens, request[i]);
        assert_int_equal(all[i].answer_tokens, said[i]);
        for (size_t l = 0; l < s->data.label_count; l++) {
            double mean = 0;
            for (int m = 0; m < orders; m++)
                mean += (double)all[i].members[m].probabilities[l] / orders;
            assert_true(fabs(mean - (double)all[i].probabilities[l]) < 1e-6);
        }
    }
    adapted_release(adapted);
}

static void test_orders(void **state)
{
    (void)state;
    static const char *const settings[] = {"k=6", "k=4;calibration=none", "k=3;selection=nearest"};
    for (size_t i = 0; i < COUNT(settings); i++) {
        struct subject s;
        subject_open(&s, data_two_labels, TASK_CLASSIFICATION, 2);
        s.model->n_context = 2048;
        check_members(&s, settings[i], 3);
        subject_close(&s);
        subject_open(&s, data_texts, TASK_GENERATION, 2);
        s.model->n_context = 2048;
        check_members(&s, settings[i], 3);
        subject_close(&s);
    }
}

/* ---- Calibration with many labels ----------------------------------------------------------- */

static void encode_all(struct subject *s, struct adapted *adapted, struct sequence **requests,
                       struct sequence **nothing)
{
    const struct example *free_examples[CONTENT_FREE];
    struct error err;
    for (size_t i = 0; i < CONTENT_FREE; i++)
        free_examples[i] = &content_free_examples()[i];
    assert_int_equal(
        prompt_encode(adapted, s->examples, s->data.count, false, &s->arena, requests, &err), OK);
    assert_int_equal(
        prompt_encode(adapted, free_examples, CONTENT_FREE, false, &s->arena, nothing, &err), OK);
}

/* Where labels are so many that they are searched, calibration still weighs all of them. */
static void test_many_labels(void **state)
{
    (void)state;
    enum { MANY = 100 };
    struct subject s;
    struct text csv = {0};
    struct sequence *requests, *nothing;
    struct scores scores, free_scores;
    struct error err;
    text_add(&csv, "text,label\n");
    for (int l = 0; l < MANY; l++)
        text_printf(&csv, "row %d,%c%c label\n", l, 'a' + l % 20, 'f' + l / 20);
    subject_open(&s, text_string(&csv), TASK_CLASSIFICATION, 2);
    s.model->n_context = 2048;
    for (int c = 0; c < s.model->output_norm.cols;
         c++) /* surer, so that a search leaves out more */
        s.model->output_norm.data[c] *= 4;
    struct adapted *adapted =
        subject_adapt(&s, technique_find("zero_shot"), "instruction=x;calibration=contextual");
    const struct outcome *outcomes = subject_answer(&s, adapted);
    encode_all(&s, adapted, &requests, &nothing);
    assert_int_equal(
        score_labels(adapted, SCORE_WHOLE, requests, s.data.count, &scores, &s.arena, NULL, &err),
        OK);
    assert_int_equal(score_labels(adapted, SCORE_WHOLE, nothing, CONTENT_FREE, &free_scores,
                                  &s.arena, NULL, &err),
                     OK);
    size_t labels = s.data.label_count;
    assert_int_equal(labels, MANY);
    for (size_t i = 0; i < s.data.count; i++) {
        double want[MANY], total = 0;
        for (size_t l = 0; l < labels; l++) {
            double prior = 0;
            for (size_t f = 0; f < CONTENT_FREE; f++)
                prior += exp(free_scores.log_probabilities[f * labels + l]) / CONTENT_FREE;
            total += want[l] = exp(scores.log_probabilities[i * labels + l]) / prior;
        }
        for (size_t l = 0; l < labels; l++)
            assert_true(fabs(want[l] / total - (double)outcomes[i].probabilities[l]) < 1e-5);
    }
    adapted_release(adapted);
    subject_close(&s);
    text_release(&csv);
}

/* ---- Examples for each request -------------------------------------------------------------- */

/* Whatever is found has to fit into half of the context, and beside the request. */
static void test_room(void **state)
{
    (void)state;
    for (int context = 120; context <= 300; context += 20) {
        struct subject s;
        struct sequence *sequences;
        struct error err;
        subject_open(&s, data_two_labels, TASK_CLASSIFICATION, 1);
        s.model->n_context = 2048;
        struct adapted *adapted = subject_adapt(&s, few_shot(), "selection=nearest;k=6");
        s.model->n_context = context;
        struct retrieved *found = arena_zalloc(&s.arena, s.data.count * sizeof *found);
        assert_int_equal(
            prompt_encode(adapted, s.examples, s.data.count, false, &s.arena, &sequences, &err),
            OK);
        assert_int_equal(few_shot()->retrieve(adapted, s.examples, sequences, s.data.count, found,
                                              &s.arena, NULL, &err),
                         OK);
        for (size_t i = 0; i < s.data.count; i++) {
            int used = (int)adapted->prefix.count + found[i].count;
            assert_true(!found[i].count || used <= context / 2);
            assert_true(used + sequences[i].request <= context);
            assert_true(found[i].tokens == sequences[i].request);
        }
        subject_answer(&s, adapted);
        adapted_release(adapted);
        subject_close(&s);
    }
}

/* ---- Costs ---------------------------------------------------------------------------------- */

static struct cost cost_of(struct subject *s, const char *assignments, size_t labels)
{
    struct workload w = {.model = s->model,
                         .examples = 100,
                         .input_tokens = 10,
                         .instruction_tokens = 20,
                         .answer_tokens = 2,
                         .labels = labels};
    struct cost cost = {.shared_tokens = 20, .request_tokens = 12, .request_operations = 1200};
    struct setting setting = subject_setting(s, few_shot(), assignments);
    few_shot()->predict(&setting, &w, &cost);
    return cost;
}

static void test_costs(void **state)
{
    (void)state;
    static const struct {
        const char *setting;
        size_t labels;
        double shared, request;
    } cases[] = {
        {"k=4", 2, 20 + 4 * 12, 12},
        {"", 2, 20 + 8 * 12, 12},
        {"", 7, 20 + 14 * 12, 12},
        {"", 0, 20 + 8 * 12, 12},
        {"", 150, 20 + 83 * 12, 12}, /* as many as fit */
        {"k=4;orders=3", 2, 3 * (20 + 4 * 12), 36},
        {"k=4;selection=nearest", 2, 20, 12 + 10 + 4 * (4 * 12)},
        {"k=4;selection=nearest", 0, 20, 12 + 10 + 4 * 12},
        {"k=4;selection=nearest;calibration=none", 2, 20, 12 + 10 + 4 * 12},
        {"k=4;selection=nearest;orders=2", 2, 40, 2 * (12 + 10 + 4 * (4 * 12))},
    };
    struct subject s;
    subject_open(&s, data_two_labels, TASK_CLASSIFICATION, 1);
    s.model->n_context = 2048;
    for (size_t c = 0; c < COUNT(cases); c++) {
        struct cost cost = cost_of(&s, cases[c].setting, cases[c].labels);
        assert_true(cost.shared_tokens == cases[c].shared);
        assert_true(cost.request_tokens == cases[c].request);
        assert_true(cost.request_operations == 100 * cases[c].request);
        assert_int_equal(cost.trainable_parameters, 0);
    }
    subject_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_automatic),   cmocka_unit_test(test_none_fits),
        cmocka_unit_test(test_instruction), cmocka_unit_test(test_orders),
        cmocka_unit_test(test_many_labels), cmocka_unit_test(test_room),
        cmocka_unit_test(test_costs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
