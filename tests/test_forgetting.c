/* SPDX-License-Identifier: Apache-2.0
 *
 * Likelihood of given texts, and forgetting: against PyTorch (tests/parity/make_forgetting.py),
 * against one token at a time without packing, and what is left unmeasured.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "evaluators/forgetting.h"
#include "techniques/likelihood.h"
#include "tests/adapting.h"

static void test_text(void **state)
{
    (void)state;
    size_t length, words = 0, passages = 1;
    const char *text = forgetting_text(&length);
    assert_int_equal(strlen(text), length);
    assert_true(utf8_valid(text, length, NULL));
    for (const char *at = text; *at; at++) {
        words += (*at == ' ' || *at == '\n') && at[1] && at[1] != '\n';
        passages += at[0] == '\n' && at[1] == '\n';
    }
    assert_in_range(words, 1500, 2500);
    assert_int_equal(passages, 12);
}

static double loss_of(struct adapted *adapted)
{
    double loss;
    struct error err;
    if (forgetting_loss(adapted, NULL, &loss, &err) != OK)
        fail_msg("%s", err.text);
    return loss;
}

static void close_to(double found, double expected, const char *what)
{
    if (!(fabs(found - expected) <= 1e-5 * fabs(expected)))
        fail_msg("%s: %.9g, expected %.9g", what, found, expected);
}

/* ---- against PyTorch ---- */

static void test_fixture(void **state)
{
    (void)state;
    json_t *document = fixture_json("forgetting.json");
    const json_t *rows = json_object_get(document, "virtual_tokens");
    double first_bare = 0, first_behind = 0;
    for (int threads = 1; threads <= 3; threads++) {
        struct subject s;
        subject_open(&s, data_two_labels, TASK_INFER, threads);
        struct adapted bare = {.engine = s.engine};
        double loss = loss_of(&bare);
        close_to(loss, fixture_number(document, "bare"), "bare");
        struct adapted *adapted =
            subject_adapt(&s, technique_find("prompt_tuning"), "num_virtual_tokens=3");
        real *values = adapted_parameter(adapted, 0);
        assert_int_equal(adapted->parameters.count, json_array_size(rows) * 32);
        for (size_t i = 0; i < adapted->parameters.count; i++)
            values[i] =
                (real)json_number_value(json_array_get(json_array_get(rows, i / 32), i % 32));
        double behind = loss_of(adapted);
        close_to(behind, fixture_number(document, "behind_virtual_tokens"), "virtual tokens");
        first_bare = threads == 1 ? loss : first_bare;
        first_behind = threads == 1 ? behind : first_behind;
        assert_true(loss == first_bare && behind == first_behind);
        adapted_release(adapted);
        subject_close(&s);
    }
    json_decref(document);
}

/* ---- against one token at a time ---- */

/* -log p(next | before), with everything computed anew. */
static double plain_nll(const struct adapted *adapted, const struct tokens *before, int32_t next)
{
    const real *logits = subject_logits(adapted, before);
    int vocabulary = adapted->engine->model->n_vocab;
    double sum = 0;
    for (int v = 0; v < vocabulary; v++)
        sum += exp((double)(logits[v] - logits[next]));
    return log(sum);
}

/* The sum over one passage, behind the virtual tokens alone. */
static double passage_loss(const struct adapted *adapted, const struct tokens *passage)
{
    struct tokens before = {0};
    double sum = 0;
    for (size_t i = 0; i < adapted->prefix.count; i++)
        if (adapted->prefix.ids[i] < 0)
            tokens_add(&before, adapted->prefix.ids[i]);
    tokens_add(&before, passage->ids[0]);
    for (size_t t = 1; t < FORGETTING_TOKENS; t++) {
        sum += plain_nll(adapted, &before, passage->ids[t]);
        tokens_add(&before, passage->ids[t]);
    }
    tokens_release(&before);
    return sum;
}

static double plain_text_loss(const struct adapted *adapted)
{
    struct tokens ids = {0};
    struct error err;
    size_t length;
    double sum = 0, passages = 0;
    const char *text = forgetting_text(&length);
    for (const char *at = text, *end; *at; at = end + strspn(end, "\n"), passages++) {
        end = strstr(at, "\n\n");
        end = end ? end : text + length - 1;
        tokens_clear(&ids);
        assert_int_equal(tokenizer_encode(adapted->engine->model->tokenizer, at, (size_t)(end - at),
                                          &ids, NULL, &err),
                         OK);
        sum += passage_loss(adapted, &ids);
    }
    tokens_release(&ids);
    return sum / passages / (FORGETTING_TOKENS - 1);
}

/* So that what starts as no change is one. */
static void disturb(struct adapted *adapted)
{
    struct random random = random_stream(5, "disturb", 0);
    for (size_t i = 0; i < adapted->parameters.count; i++)
        adapted->parameters.values[i] += (real)(0.05 * random_normal(&random));
}

static void test_techniques(void **state)
{
    (void)state;
    const struct technique *technique;
    size_t changing = 0;
    struct subject s;
    subject_open(&s, data_two_labels, TASK_INFER, 2);
    s.model->n_context = 4096; /* for worked examples */
    struct bare_loss bare = {0};
    for (size_t i = 0; (technique = technique_at(i)); i++) {
        if (!subject_trains_on(technique, s.model))
            continue;
        struct adapted *adapted = subject_adapt(&s, technique, "");
        struct error err;
        double forgetting;
        bool measured;
        disturb(adapted);
        assert_int_equal(forgetting_measure(adapted, &bare, NULL, &measured, &forgetting, &err),
                         OK);
        bool trained = technique->needs & NEEDS_GRADIENT;
        if (measured != trained)
            fail_msg("%s: %smeasured", technique->name, measured ? "" : "not ");
        if (measured) {
            double plain = plain_text_loss(adapted);
            close_to(forgetting + bare.loss, plain, technique->name);
            assert_true(fabs(forgetting) > 1e-4);
            changing++;
        }
        adapted_release(adapted);
    }
    assert_true(changing >= 6);
    subject_close(&s);
}

static void test_no_change_is_zero(void **state)
{
    (void)state;
    struct subject s;
    struct error err;
    struct bare_loss bare = {0};
    double forgetting = 1;
    bool measured;
    subject_open(&s, data_two_labels, TASK_INFER, 2);
    struct adapted *adapted = subject_adapt(&s, technique_find("lora"), "");
    assert_int_equal(forgetting_measure(adapted, &bare, NULL, &measured, &forgetting, &err), OK);
    assert_true(measured && forgetting == 0 && bare.known && bare.loss > 1);
    bare.loss -= 1; /* kept, not measured again */
    assert_int_equal(forgetting_measure(adapted, &bare, NULL, &measured, &forgetting, &err), OK);
    assert_true(measured && fabs(forgetting - 1) < 1e-12);
    adapted_release(adapted);
    subject_close(&s);
}

/* ---- left unmeasured ---- */

static void test_unmeasured(void **state)
{
    (void)state;
    struct subject s;
    struct error err = {0};
    struct bare_loss bare = {0};
    double forgetting;
    bool measured = true;
    volatile sig_atomic_t interrupted = 1;
    subject_open(&s, data_two_labels, TASK_INFER, 2);
    struct adapted *adapted = subject_adapt(&s, technique_find("lora"), "");
    struct deadline soon = {.at = clock_seconds() + 1};
    assert_int_equal(forgetting_measure(adapted, &bare, &soon, &measured, &forgetting, &err), OK);
    assert_false(measured || bare.known);
    bare = (struct bare_loss){.known = true, .loss = 3, .seconds = 0.5};
    assert_int_equal(forgetting_measure(adapted, &bare, &soon, &measured, &forgetting, &err), OK);
    assert_false(measured);
    bare = (struct bare_loss){0};
    struct deadline stopped = {.signal = &interrupted};
    assert_int_equal(forgetting_measure(adapted, &bare, &stopped, &measured, &forgetting, &err),
                     INTERRUPTED);
    int context = s.model->n_context;
    s.model->n_context = 1;
    assert_int_equal(forgetting_loss(adapted, NULL, &forgetting, &err), BAD_DATA);
    assert_non_null(strstr(err.text, "context of 1 "));
    assert_int_equal(forgetting_measure(adapted, &bare, NULL, &measured, &forgetting, &err), OK);
    assert_false(measured);
    s.model->n_context = context;
    adapted_parameter(adapted, 1)[0] = (real)NAN;
    assert_int_equal(forgetting_measure(adapted, &bare, NULL, &measured, &forgetting, &err), OK);
    assert_false(measured);
    adapted_release(adapted);
    subject_close(&s);
}

/* ---- likelihood of answers ---- */

static void check_answers(const char *name, const char *assignments)
{
    struct subject s;
    struct sequence *sequences;
    struct error err;
    double nll[SUBJECT_ROWS];
    subject_open(&s, data_texts, TASK_GENERATION, 2);
    struct adapted *adapted = subject_adapt(&s, technique_find(name), assignments);
    disturb(adapted);
    assert_int_equal(
        prompt_encode(adapted, s.examples, s.data.count, true, &s.arena, &sequences, &err), OK);
    assert_int_equal(
        likelihood_score(adapted, AFTER_PROMPT, sequences, s.data.count, NULL, nll, &err), OK);
    for (size_t i = 0; i < s.data.count; i++) {
        struct tokens before = {0};
        double expected = 0;
        tokens_append(&before, adapted->prefix.ids, adapted->prefix.count);
        tokens_append(&before, sequences[i].ids, (size_t)sequences[i].request);
        for (int t = 0; t < sequences[i].answer; t++) {
            int32_t next = sequences[i].ids[sequences[i].request + t];
            expected += plain_nll(adapted, &before, next);
            tokens_add(&before, next);
        }
        close_to(nll[i], expected, name);
        tokens_release(&before);
    }
    adapted_release(adapted);
    subject_close(&s);
}

static void test_answers(void **state)
{
    (void)state;
    check_answers("zero_shot", "instruction=Reply.");
    check_answers("few_shot", "instruction=Reply.;k=2");
    check_answers("lora", "instruction=Reply.");
    check_answers("prefix_tuning", "instruction=Reply.;num_virtual_tokens=4");
    check_answers("prompt_tuning", "instruction=Reply.;num_virtual_tokens=4");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),       cmocka_unit_test(test_fixture),
        cmocka_unit_test(test_techniques), cmocka_unit_test(test_no_change_is_zero),
        cmocka_unit_test(test_unmeasured), cmocka_unit_test(test_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
