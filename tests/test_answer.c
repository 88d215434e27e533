/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers of a customised model: what an outcome holds, and that packing, the prefix cache and
 * threads change nothing. generate.c is included for its cleaning of texts.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "techniques/generate.c"
#include "techniques/labels.h"
#include "tests/adapting.h"

#define COUNT(list) (sizeof(list) / sizeof *(list))

enum { REPEATED = 4, MOST_ROWS = 512 };

static const struct {
    const char *csv;
    enum task task;
} tasks[] = {
    {data_two_labels, TASK_CLASSIFICATION}, {data_seven_labels, TASK_CLASSIFICATION},
    {data_choices, TASK_MULTIPLE_CHOICE},   {data_numbers, TASK_NUMERIC_ANSWER},
    {data_texts, TASK_GENERATION},
};

/* An adapted model in which every parameter matters. */
static struct adapted *disturbed(struct subject *s, size_t task, int threads)
{
    subject_open(s, tasks[task].csv, tasks[task].task, threads);
    struct adapted *adapted = subject_adapt(s, technique_find("lora"), "r=2");
    support_fill(adapted->parameters.values, adapted->parameters.count, "disturb", 0, 0.3);
    return adapted;
}

/* Answers all examples several times over, so that they fill more than one batch. */
static struct outcome *answer_repeatedly(struct subject *s, struct adapted *adapted, size_t *count)
{
    *count = REPEATED * s->data.count;
    const struct example **examples = arena_alloc(&s->arena, *count * sizeof(struct example *));
    struct outcome *outcomes = arena_alloc(&s->arena, *count * sizeof *outcomes);
    struct error err;
    for (size_t i = 0; i < *count; i++)
        examples[i] = s->examples[i % s->data.count];
    if (adapted_answer(adapted, examples, *count, outcomes, &s->arena, NULL, &err) != OK)
        fail_msg("%s", err.text);
    return outcomes;
}

static void check_alike(const struct outcome *a, const struct outcome *b, size_t labels,
                        double tolerance)
{
    assert_int_equal(a->label, b->label);
    assert_int_equal(a->request_tokens, b->request_tokens);
    assert_int_equal(a->answer_tokens, b->answer_tokens);
    for (size_t l = 0; l < labels; l++)
        if (!(fabs((double)a->probabilities[l] - (double)b->probabilities[l]) <= tolerance))
            fail_msg("%g and %g", (double)a->probabilities[l], (double)b->probabilities[l]);
    if (a->text || b->text)
        assert_string_equal(a->text, b->text);
}

static void test_packed(void **state)
{
    (void)state;
    for (size_t task = 0; task < COUNT(tasks); task++) {
        struct subject s;
        struct outcome alone;
        struct error err;
        size_t count;
        struct adapted *adapted = disturbed(&s, task, 1);
        const struct outcome *together = answer_repeatedly(&s, adapted, &count);
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(adapted_answer(adapted, &s.examples[i % s.data.count], 1, &alone,
                                            &s.arena, NULL, &err),
                             OK);
            check_alike(&together[i], &alone, s.data.label_count, 1e-5);
        }
        adapted_release(adapted);
        subject_close(&s);
    }
}

static void test_threads(void **state)
{
    (void)state;
    for (size_t task = 0; task < COUNT(tasks); task++) {
        struct subject one, many;
        size_t count;
        struct adapted *adapted = disturbed(&one, task, 1);
        const struct outcome *expected = answer_repeatedly(&one, adapted, &count);
        adapted_release(adapted);
        for (int threads = 2; threads <= 3; threads++) {
            adapted = disturbed(&many, task, threads);
            const struct outcome *found = answer_repeatedly(&many, adapted, &count);
            for (size_t i = 0; i < count; i++) {
                check_alike(&found[i], &expected[i], one.data.label_count, 0);
                assert_true(found[i].nll == expected[i].nll);
            }
            adapted_release(adapted);
            subject_close(&many);
        }
        subject_close(&one);
    }
}

/* ---- Options that are not offered ---- */

/* Three to five options each; E is the most frequent answer and often not offered. */
static const char *const data_mixed = "question,answer\n"
                                      "\"Which is first?\nA) a\nB) b\nC) c\nD) d\nE) e\",E\n"
                                      "\"Which is last?\nA) a\nB) b\nC) c\nD) d\nE) e\",E\n"
                                      "\"Which is red?\nA) a\nB) b\nC) c\nD) d\nE) e\",E\n"
                                      "\"Which is big?\nA) a\nB) b\nC) c\nD) d\nE) e\",E\n"
                                      "\"Which is wet?\nA) a\nB) b\nC) c\nD) d\",D\n"
                                      "\"Which is dry?\nA) a\nB) b\nC) c\nD) d\",D\n"
                                      "\"Which is hot?\nA) a\nB) b\nC) c\nD) d\",D\n"
                                      "\"Which is old? A) a B) b C) c\",B\n"
                                      "\"Which is new? A) a B) b C) c\",A\n"
                                      "\"Which is odd? A) a B) b C) c\",B\n";

static void check_offered(const struct subject *s, const struct technique *technique,
                          const struct outcome *outcomes)
{
    for (size_t i = 0; i < s->data.count; i++) {
        const struct outcome *o = &outcomes[i];
        int offered = s->data.examples[i].options;
        double sum = 0;
        if (o->label >= offered)
            fail_msg("%s: example %zu: label %d of %d offered", technique->name, i, o->label,
                     offered);
        for (int l = 0; o->probabilities && l < (int)s->data.label_count; l++) {
            assert_true(l < offered || o->probabilities[l] == 0);
            assert_true(o->probabilities[l] <= o->probabilities[o->label]);
            sum += (double)o->probabilities[l];
        }
        if (!o->probabilities)
            continue;
        assert_true(fabs(sum - 1) < 1e-5);
        assert_true(fabs(o->probability - (double)o->probabilities[o->label]) < 1e-6);
        double truth = (double)o->probabilities[s->data.examples[i].label];
        assert_true(!o->scored || fabs(exp(-o->nll) - truth) < 1e-6);
    }
}

static void test_only_what_is_offered(void **state)
{
    (void)state;
    const struct technique *technique;
    for (size_t t = 0; (technique = technique_at(t)); t++) {
        struct subject s;
        struct error err;
        subject_open(&s, data_mixed, TASK_INFER, 2);
        assert_int_equal(s.data.task, TASK_MULTIPLE_CHOICE);
        assert_int_equal(s.data.label_count, 5);
        assert_int_equal(s.data.examples[9].options, 3);
        s.model->n_context = 4096;
        if (!(technique->needs & NEEDS_RATIONALE) && subject_trains_on(technique, s.model)) {
            struct adapted *adapted = subject_adapt(&s, technique, "");
            if (technique->fit)
                assert_int_equal(technique->fit(adapted, &s.material, NULL, &err), OK);
            check_offered(&s, technique, subject_answer(&s, adapted));
            adapted_release(adapted);
        }
        subject_close(&s);
    }
}

/* The most frequent of the answers that are offered; and for what is scored, the distribution that
 * the model has among them. */
static void test_what_is_left(void **state)
{
    (void)state;
    struct subject s;
    subject_open(&s, data_mixed, TASK_INFER, 1);
    struct adapted *adapted = subject_adapt(&s, technique_find("majority"), "");
    const struct outcome *outcomes = subject_answer(&s, adapted);
    assert_int_equal(outcomes[0].label, 4);
    assert_int_equal(outcomes[4].label, 3);
    assert_int_equal(outcomes[7].label, 1);
    assert_true(fabs(outcomes[4].probability - 4 / 10.0) < 1e-6); /* 1+1, 2+1, 0+1, 3+1 of these */
    adapted_release(adapted);
    adapted = subject_adapt(&s, technique_find("zero_shot"), "");
    outcomes = subject_answer(&s, adapted);
    for (size_t i = 0; i < s.data.count; i++)
        s.data.examples[i].options = 5;
    const struct outcome *all = subject_answer(&s, adapted);
    for (int l = 0; l < 3; l++) {
        double three = (double)all[9].probabilities[0] + (double)all[9].probabilities[1] +
                       (double)all[9].probabilities[2];
        assert_true(fabs((double)outcomes[9].probabilities[l] -
                         (double)all[9].probabilities[l] / three) < 1e-6);
    }
    assert_memory_equal(outcomes[0].probabilities, all[0].probabilities, 5 * sizeof(float));
    adapted_release(adapted);
    subject_close(&s);
}

static void test_label_outcomes(void **state)
{
    (void)state;
    for (size_t task = 0; task < 3; task++) {
        struct subject s;
        struct sequence *sequences;
        struct error err;
        struct adapted *adapted = disturbed(&s, task, 1);
        const struct outcome *outcomes = subject_answer(&s, adapted);
        assert_int_equal(
            prompt_encode(adapted, s.examples, s.data.count, false, &s.arena, &sequences, &err),
            OK);
        for (size_t i = 0; i < s.data.count; i++) {
            const struct outcome *o = &outcomes[i];
            double sum = 0, largest = 0;
            for (size_t l = 0; l < s.data.label_count; l++) {
                sum += (double)o->probabilities[l];
                largest = fmax(largest, (double)o->probabilities[l]);
            }
            assert_true(fabs(sum - 1) < 1e-6);
            assert_true(o->scored);
            assert_true(fabs(o->probability - largest) < 1e-7);
            assert_true((double)o->probabilities[o->label] == largest);
            double truth = (double)o->probabilities[s.data.examples[i].label];
            assert_true(fabs(exp(-o->nll) - truth) < 1e-7);
            assert_null(o->text);
            assert_int_equal(o->answer_tokens, 0);
            assert_int_equal(o->request_tokens, sequences[i].request + adapted->labels->tokens);
        }
        adapted_release(adapted);
        subject_close(&s);
    }
}

/* ---- free text ---- */

static const struct {
    const char *bytes;
    size_t length;
    const char *text;
} cleaned[] = {
    {"", 0, ""},
    {"a", 1, "a"},
    {" \t\n a b \r\n", 9, "a b"},
    {" \n", 2, ""},
    {"a\xFF", 2, "a\xEF\xBF\xBD"},
    {"\xE2\x82", 2, "\xEF\xBF\xBD"},
    {"\xE2\x82"
     "b\x82",
     4,
     "\xEF\xBF\xBD"
     "b\xEF\xBF\xBD"},
    {"a\0b", 3,
     "a\xEF\xBF\xBD"
     "b"},
    {"\xC3\xA9 \xE4\xB8\xAD", 6, "\u00E9 \u4E2D"},
    {"\xC2\xA0x", 3, "\u00A0x"}, /* only white space of ASCII goes */
};

static void test_cleaning(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, NULL);
    for (size_t i = 0; i < COUNT(cleaned); i++) {
        struct text raw = {0};
        text_append(&raw, cleaned[i].bytes, cleaned[i].length);
        assert_string_equal(clean(&raw, &arena), cleaned[i].text);
        text_release(&raw);
    }
    arena_release(&arena);
}

/* The next token behind `ids`. */
static int32_t next_token(const struct adapted *adapted, const struct tokens *ids)
{
    const real *logits = subject_logits(adapted, ids);
    int32_t best = 0;
    for (int32_t v = 1; v < adapted->engine->model->n_vocab; v++)
        if (logits[v] > logits[best])
            best = v;
    return best;
}

static void check_text(struct subject *s, struct adapted *adapted, size_t i,
                       const struct outcome *outcome)
{
    const struct model *model = s->model;
    struct tokens ids = {0};
    struct error err;
    tokens_append(&ids, adapted->prefix.ids, adapted->prefix.count);
    assert_int_equal(prompt_request(adapted, s->examples[i], &ids, &err), OK);
    size_t start = ids.count;
    bool ended = false;
    while (!ended && ids.count - start < (size_t)adapted->longest_answer) {
        int32_t token = next_token(adapted, &ids);
        ended = token == chat_end_token(model->chat, model->tokenizer);
        if (!ended)
            tokens_add(&ids, token);
    }
    struct text raw = {0};
    assert_int_equal(
        tokenizer_decode(model->tokenizer, ids.ids + start, ids.count - start, false, &raw, &err),
        OK);
    assert_string_equal(outcome->text, clean(&raw, &s->arena));
    assert_int_equal(outcome->answer_tokens, ids.count - start + ended);
    assert_int_equal(outcome->request_tokens, start - adapted->prefix.count);
    assert_int_equal(outcome->label, -1);
    assert_false(outcome->scored);
    assert_null(outcome->probabilities);
    tokens_release(&ids);
    text_release(&raw);
}

static void test_text_outcomes(void **state)
{
    (void)state;
    for (size_t task = 3; task < COUNT(tasks); task++) {
        struct subject s;
        struct adapted *adapted = disturbed(&s, task, 1);
        assert_null(adapted->labels);
        const struct outcome *outcomes = subject_answer(&s, adapted);
        for (size_t i = 0; i < 3; i++)
            check_text(&s, adapted, i, &outcomes[i]);
        adapted_release(adapted);
        subject_close(&s);
    }
}

/* Twice the longest answer of the material with its end token, within bounds. */
static void test_longest_answer(void **state)
{
    (void)state;
    static const struct {
        int bytes, longest;
    } cases[] = {{1, 16}, {7, 16}, {8, 18}, {60, 122}, {254, 510}, {255, 512}, {400, 512}};
    for (size_t c = 0; c < COUNT(cases); c++) {
        char csv[512];
        struct subject s;
        snprintf(
            csv, sizeof csv, "prompt,response\nx,%.*s\ny,z\n", cases[c].bytes,
            "????????????????????????????????????????????????????????????????????????????????"
            "????????????????????????????????????????????????????????????????????????????????"
            "????????????????????????????????????????????????????????????????????????????????"
            "????????????????????????????????????????????????????????????????????????????????"
            "????????????????????????????????????????????????????????????????????????????????");
        subject_open(&s, csv, TASK_GENERATION, 1);
        struct adapted *adapted = subject_adapt(&s, technique_find("zero_shot"), "");
        assert_int_equal(adapted->longest_answer, cases[c].longest);
        adapted_release(adapted);
        subject_close(&s);
    }
}

/* ---- errors ---- */

static void test_errors(void **state)
{
    (void)state;
    for (size_t task = 0; task < COUNT(tasks); task += 3) {
        struct subject s;
        struct outcome outcomes[SUBJECT_ROWS];
        struct error err = {0};
        volatile sig_atomic_t pressed = 1;
        struct deadline past = {.at = clock_seconds() - 1}, interrupt = {.signal = &pressed};
        struct adapted *adapted = disturbed(&s, task, 2);
        assert_int_equal(
            adapted_answer(adapted, s.examples, s.data.count, outcomes, &s.arena, &past, &err),
            OUT_OF_TIME);
        assert_int_equal(
            adapted_answer(adapted, s.examples, s.data.count, outcomes, &s.arena, &interrupt, &err),
            INTERRUPTED);
        assert_int_equal(adapted_answer(adapted, s.examples, 0, outcomes, &s.arena, NULL, &err),
                         OK);
        s.model->n_context = (int)adapted->prefix.count;
        assert_int_equal(
            adapted_answer(adapted, s.examples, s.data.count, outcomes, &s.arena, NULL, &err),
            BAD_DATA);
        assert_non_null(strstr(err.text, "line 2: the prompt of lora for this example has "));
        adapted_release(adapted);
        subject_close(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_what_is_offered),
        cmocka_unit_test(test_what_is_left),
        cmocka_unit_test(test_packed),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_label_outcomes),
        cmocka_unit_test(test_cleaning),
        cmocka_unit_test(test_text_outcomes),
        cmocka_unit_test(test_longest_answer),
        cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
