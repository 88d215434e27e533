/* SPDX-License-Identifier: Apache-2.0
 *
 * Prompts of the tiny model, token by token as they were reviewed, and the choice of the worked
 * examples.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "techniques/prompt.h"
#include "techniques/technique.h"
#include "tests/adapting.h"

#define COUNT(list) (sizeof(list) / sizeof *(list))

/* How turns begin and end, in the tokens of the tiny model. */
#define SYSTEM    "<|im_start|> s y st e m \u010A "
#define USER      "<|im_start|> u s er \u010A"
#define ASSISTANT "<|im_start|> assi st ant \u010A"
#define END       " <|im_end|> \u010A "

static const struct technique *technique(const char *name)
{
    const struct technique *found = technique_find(name);
    if (!found)
        fail_msg("no technique %s", name);
    return found;
}

static void check_prefix(const char *csv, enum task task, const char *name, const char *assignments,
                         const char *expected)
{
    struct subject s;
    subject_open(&s, csv, task, 1);
    struct adapted *adapted = subject_adapt(&s, technique(name), assignments);
    assert_string_equal(subject_names(&s, adapted->prefix.ids, adapted->prefix.count), expected);
    adapted_release(adapted);
    subject_close(&s);
}

static void test_prefixes(void **state)
{
    (void)state;
    check_prefix(data_two_labels, TASK_CLASSIFICATION, "zero_shot", "",
                 SYSTEM
                 "C l assi f y \u0120the \u0120 t e x t . \u0120 An s w er \u0120with \u0120on "
                 "e \u0120o f \u0120the se \u0120 l a b e l s : \u0120negative , \u0120positive "
                 "." END USER);
    check_prefix(data_two_labels, TASK_CLASSIFICATION, "zero_shot", "instruction=Is it <|im_end|>?",
                 SYSTEM "I s \u0120it \u0120 < | i m _ e n d | > ?" END USER);
    check_prefix(data_two_labels, TASK_CLASSIFICATION, "lora", "instruction=Pick.",
                 SYSTEM "P i c k ." END USER);
    check_prefix(data_two_labels, TASK_CLASSIFICATION, "few_shot",
                 "k=2;instruction=Pick.;order_seed=1",
                 SYSTEM "P i c k ." END USER " d u ll \u0120and \u0120 ti re d" END ASSISTANT
                        " n e gative" END USER " a \u0120w a r m \u0120f i l m" END ASSISTANT
                        " p ositive" END USER);
    check_prefix(data_texts, TASK_GENERATION, "few_shot", "k=1",
                 SYSTEM "An s w er \u0120the \u0120 re q u e st ." END USER
                        " g re e t" END ASSISTANT " g o o d \u0120 d a y" END USER);
}

static void test_sequences(void **state)
{
    (void)state;
    static const struct {
        const char *csv;
        enum task task;
        size_t example;
        const char *request, *answer;
    } cases[] = {
        {data_two_labels, TASK_CLASSIFICATION, 0, "a \u0120w a r m \u0120f i l m" END ASSISTANT,
         "p ositive <|im_end|>"},
        {data_seven_labels, TASK_CLASSIFICATION, 1,
         "s o m e b o d y \u0120to o k \u0120it" END ASSISTANT,
         "c a r d \u0120 st o le n <|im_end|>"},
        {data_choices, TASK_MULTIPLE_CHOICE, 0,
         "W h i c h \u0120is \u0120 re d ? \u010A A ) \u0120 b l o o d \u010A B ) \u0120s n o w "
         "\u010A C ) \u0120 c o a l" END ASSISTANT,
         "A <|im_end|>"},
        {data_numbers, TASK_NUMERIC_ANSWER, 5, "f i ve \u0120 ti m e s \u0120 t e n" END ASSISTANT,
         "5 0 <|im_end|>"},
        {"text,label\n\" <|im_end|>\n<|im_start|> \",yes\nb,no\n", TASK_CLASSIFICATION, 0,
         "\u0120 < | i m _ e n d | > \u010A < | i m _ st a r t | > \u0120" END ASSISTANT,
         "y e s <|im_end|>"},
    };
    for (size_t c = 0; c < COUNT(cases); c++) {
        struct subject s;
        struct sequence *with, *without;
        struct error err;
        subject_open(&s, cases[c].csv, cases[c].task, 1);
        struct adapted *adapted = subject_adapt(&s, technique("zero_shot"), "");
        assert_int_equal(
            prompt_encode(adapted, s.examples, s.data.count, true, &s.arena, &with, &err), OK);
        assert_int_equal(
            prompt_encode(adapted, s.examples, s.data.count, false, &s.arena, &without, &err), OK);
        const struct sequence *one = &with[cases[c].example], *bare = &without[cases[c].example];
        assert_string_equal(subject_names(&s, one->ids, (size_t)one->request), cases[c].request);
        assert_string_equal(subject_names(&s, one->ids + one->request, (size_t)one->answer),
                            cases[c].answer);
        assert_string_equal(subject_names(&s, bare->ids, (size_t)bare->request), cases[c].request);
        assert_int_equal(bare->answer, 0);
        adapted_release(adapted);
        subject_close(&s);
    }
}

static void test_instructions(void **state)
{
    (void)state;
    struct label labels[21] = {{.name = "no"}, {.name = "not sure"}, {.name = "yes"}};
    for (size_t i = 3; i < COUNT(labels); i++)
        labels[i].name = "x";
    static const struct {
        enum task task;
        size_t labels;
        const char *text;
    } cases[] = {
        {TASK_CLASSIFICATION, 3,
         "Classify the text. Answer with one of these labels: no, not sure, yes."},
        {TASK_CLASSIFICATION, 20,
         "Classify the text. Answer with one of these labels: no, not sure, yes, x, x, x, x, x, x, "
         "x, x, x, x, x, x, x, x, x, x, x."},
        {TASK_CLASSIFICATION, 21, "Classify the text. Answer with its label."},
        {TASK_MULTIPLE_CHOICE, 3, "Answer the question with the letter of the right option."},
        {TASK_NUMERIC_ANSWER, 0, "Solve the problem. Answer with the number only."},
        {TASK_EXTRACTION, 0, "Extract the information from the text. Answer with JSON only."},
        {TASK_GENERATION, 0, "Answer the request."},
    };
    struct setting setting = setting_default(technique("zero_shot"));
    struct text text = {0};
    for (size_t c = 0; c < COUNT(cases); c++) {
        struct dataset data = {
            .task = cases[c].task, .labels = labels, .label_count = cases[c].labels};
        text_clear(&text);
        prompt_write_instruction(&setting, &data, &text);
        assert_string_equal(text_string(&text), cases[c].text);
    }
    text_release(&text);
}

/* ---- the choice of worked examples ---- */

/* Where each example's text stands in the prompt, as digits: "31" when example 3 comes before
 * example 1. The inputs of the data are single letters from 'a'. */
static void read_order(struct subject *s, const struct adapted *adapted, char *order)
{
    struct text text = {0};
    assert_int_equal(tokenizer_decode(s->model->tokenizer, adapted->prefix.ids,
                                      adapted->prefix.count, true, &text, NULL),
                     OK);
    static const char mark[] = "<|im_start|>user\n";
    for (const char *at = strstr(text_string(&text), mark); at; at = strstr(at + 1, mark)) {
        const char *input = at + strlen(mark);
        if (*input)
            *order++ = (char)('0' + (*input - 'a'));
    }
    *order = 0;
    text_release(&text);
}

static void order_of(const char *csv, enum task task, int k, int order_seed, uint64_t seed,
                     char *order)
{
    struct subject s;
    char assignments[64];
    subject_open(&s, csv, task, 1);
    s.model->n_context = 1024; /* room for all of them */
    s.material.seed = seed;
    snprintf(assignments, sizeof assignments, "instruction=x;k=%d;order_seed=%d", k, order_seed);
    struct adapted *adapted = subject_adapt(&s, technique("few_shot"), assignments);
    read_order(&s, adapted, order);
    adapted_release(adapted);
    subject_close(&s);
}

static int compare_bytes(const void *a, const void *b)
{
    return *(const char *)a - *(const char *)b;
}

static void test_balance(void **state)
{
    (void)state;
    /* labels: a to d "x", e and h "y", f and g "z" */
    static const char *const csv = "text,label\na,x\nb,x\nc,x\nd,x\ne,y\nf,z\ng,z\nh,y\n";
    static const char *const free_text = "prompt,response\na,x y\nb,z\nc,x\nd,x\n";
    static const struct {
        const char *csv;
        enum task task;
        int k;
        const char *picked; /* in rising order */
    } cases[] = {
        {csv, TASK_CLASSIFICATION, 1, "0"},       {csv, TASK_CLASSIFICATION, 2, "04"},
        {csv, TASK_CLASSIFICATION, 3, "045"},     {csv, TASK_CLASSIFICATION, 4, "0145"},
        {csv, TASK_CLASSIFICATION, 5, "01457"},   {csv, TASK_CLASSIFICATION, 6, "014567"},
        {csv, TASK_CLASSIFICATION, 7, "0124567"}, {csv, TASK_CLASSIFICATION, 8, "01234567"},
        {free_text, TASK_GENERATION, 1, "0"},     {free_text, TASK_GENERATION, 3, "012"},
    };
    for (size_t c = 0; c < COUNT(cases); c++)
        for (uint64_t seed = 1; seed < 3; seed++) { /* the seed has no part in the choice */
            char order[SUBJECT_ROWS];
            order_of(cases[c].csv, cases[c].task, cases[c].k, 0, seed, order);
            qsort(order, strlen(order), 1, compare_bytes);
            assert_string_equal(order, cases[c].picked);
        }
}

static void test_order(void **state)
{
    (void)state;
    enum { SEEDS = 6 };
    static const char *const csv = "text,label\na,x\nb,y\nc,x\nd,y\ne,x\nf,y\n";
    char orders[SEEDS][SUBJECT_ROWS], again[SUBJECT_ROWS];
    int distinct = 0;
    for (int i = 0; i < SEEDS; i++) {
        order_of(csv, TASK_CLASSIFICATION, 5, i, 1, orders[i]);
        order_of(csv, TASK_CLASSIFICATION, 5, i, 1, again);
        assert_string_equal(again, orders[i]);
        bool seen = false;
        for (int j = 0; j < i; j++)
            seen = seen || !strcmp(orders[i], orders[j]);
        distinct += !seen;
        memcpy(again, orders[i], sizeof again);
        qsort(again, strlen(again), 1, compare_bytes);
        assert_string_equal(again, "01234");
    }
    assert_true(distinct >= SEEDS - 1);
    order_of(csv, TASK_CLASSIFICATION, 5, 0, 2, again);
    assert_string_not_equal(again, orders[0]);
}

/* ---- what does not fit ---- */

static void check_refused(struct subject *s, const char *name, const char *assignments,
                          enum status status, const char *sentence)
{
    struct setting setting = subject_setting(s, technique(name), assignments);
    struct adapted *adapted;
    struct error err = {0};
    assert_int_equal(adapted_create(&adapted, s->engine, &setting, &s->material, &err), status);
    assert_null(adapted);
    if (!strstr(err.text, sentence))
        fail_msg("%s", err.text);
}

static void test_few_shot_refusals(void **state)
{
    (void)state;
    struct subject s;
    subject_open(&s, data_two_labels, TASK_CLASSIFICATION, 1);
    check_refused(&s, "few_shot", "k=13", USAGE,
                  "few_shot: k=13 is more than the 12 training examples; expected 1 to 12");
    check_refused(&s, "few_shot", "k=0", USAGE,
                  "few_shot: k=0 is none of the 12 training examples; "
                  "expected 1 to 12, or -1 for as many as suit");
    s.material.count = 3;
    check_refused(&s, "few_shot", "k=4", USAGE, "k=4 is more than the 3 training examples");
    s.material.count = 12;
    check_refused(&s, "few_shot", "k=12", USAGE,
                  "few_shot: k=12 worked examples take 356 tokens of a context of 256; expected at "
                  "most half of it, which k=1 to 3 do");
    struct adapted *adapted = subject_adapt(&s, technique("few_shot"), "k=2");
    int half = (int)adapted->prefix.count;
    adapted_release(adapted);
    s.model->n_context = 2 * half; /* exactly half of it */
    adapted_release(subject_adapt(&s, technique("few_shot"), "k=2"));
    s.model->n_context = 2 * half - 1;
    check_refused(&s, "few_shot", "k=2", USAGE, "few_shot: k=2 worked examples take ");
    subject_close(&s);
}

static void test_context(void **state)
{
    (void)state;
    struct subject s;
    struct sequence *sequences;
    struct error err = {0};
    subject_open(&s, data_two_labels, TASK_CLASSIFICATION, 1);
    struct adapted *adapted = subject_adapt(&s, technique("zero_shot"), "");
    assert_int_equal(prompt_encode(adapted, s.examples, 1, true, &s.arena, &sequences, &err), OK);
    int whole = (int)adapted->prefix.count + sequences[0].request + sequences[0].answer;
    s.model->n_context = whole; /* the first example just fits, the third is longer */
    assert_int_equal(prompt_encode(adapted, s.examples, 1, true, &s.arena, &sequences, &err), OK);
    assert_int_equal(prompt_encode(adapted, s.examples, 3, true, &s.arena, &sequences, &err),
                     BAD_DATA);
    assert_string_equal(
        err.text,
        "line 4: the prompt of zero_shot for this example has 71 "
        "tokens, but the model's context holds 69; shorten the text or leave the row out");
    adapted->past_rows = 1;
    assert_int_equal(prompt_encode(adapted, s.examples, 1, true, &s.arena, &sequences, &err),
                     BAD_DATA);
    assert_non_null(strstr(err.text, "line 2: "));
    adapted_release(adapted);
    subject_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prefixes),     cmocka_unit_test(test_sequences),
        cmocka_unit_test(test_instructions), cmocka_unit_test(test_balance),
        cmocka_unit_test(test_order),        cmocka_unit_test(test_few_shot_refusals),
        cmocka_unit_test(test_context),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
