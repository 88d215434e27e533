/* SPDX-License-Identifier: Apache-2.0
 *
 * Chain of thought: the vote, what is drawn for whom, what it costs, and what is refused. Its
 * prompts are in test_prompts.c, the rules by which answers are found in test_extract.c. The file
 * itself is included for its parts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "techniques/chain_of_thought.c"
#include "tests/adapting.h"

#define COUNT(list) (sizeof(list) / sizeof *(list))

enum { CHAIN = 24, ROOMY = 2048 };

/* ---- The vote ------------------------------------------------------------------------------- */

/* Letters are labels, digits texts, a dash stands for no answer. */
static int vote(const char *word)
{
    static const char *const texts[] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
    struct extracted answers[MOST_SAMPLES];
    int count = (int)strlen(word);
    for (int i = 0; i < count; i++) {
        answers[i] = (struct extracted){.label = -1};
        if (word[i] >= 'a')
            answers[i].label = word[i] - 'a';
        else if (word[i] != '-')
            answers[i].text = texts[word[i] - '0'];
    }
    return elect(answers, count);
}

static void test_vote(void **state)
{
    (void)state;
    static const struct {
        const char *answers;
        int elected;
    } cases[] = {
        {"a", 0},    {"-", -1},    {"---", -1},  {"ba", 0},       {"abb", 1},  {"-ab", 1},
        {"abab", 0}, {"baab", 0},  {"1", 0},     {"12233", 1},    {"---1", 3}, {"--a-", 2},
        {"1323", 1}, {"cabab", 1}, {"00112", 0}, {"-----a--", 5},
    };
    for (size_t c = 0; c < COUNT(cases); c++)
        if (vote(cases[c].answers) != cases[c].elected)
            fail_msg("%s: %d", cases[c].answers, vote(cases[c].answers));
}

static void test_shares(void **state)
{
    (void)state;
    struct subject s;
    subject_open(&s, data_two_labels, TASK_CLASSIFICATION, 1);
    struct adapted *adapted = subject_adapt(&s, &chain_of_thought, "max_new_tokens=20");
    struct chains chains = {.adapted = adapted, .examples = s.examples, .arena = &s.arena};
    struct extracted answers[] = {{.label = 1}, {.label = -1}, {.label = 0}, {.label = 1}};
    struct outcome outcome = {.label = -1};
    share_votes(&chains, 0, answers, 4, 0, &outcome);
    assert_int_equal(outcome.label, 1);
    assert_float_equal(outcome.probability, 2.5 / 4, 1e-9);
    assert_float_equal(outcome.probabilities[0], 1.5 / 4, 1e-6);
    assert_float_equal(exp(-outcome.nll), 2.5 / 4, 1e-9); /* example 0 is positive */
    share_votes(&chains, 1, answers + 2, 2, 1, &outcome); /* a tie that label 1 won */
    assert_int_equal(outcome.label, 1);
    assert_float_equal(outcome.probability, 0.5, 1e-9);
    adapted_release(adapted);
    subject_close(&s);
}

/* ---- Answers -------------------------------------------------------------------------------- */

static struct adapted *think(struct subject *s, const char *csv, enum task task, int threads,
                             const char *assignments)
{
    subject_open(s, csv, task, threads);
    s->model->n_context = ROOMY;
    return subject_adapt(s, &chain_of_thought, assignments);
}

static const char several[] = "k=0;samples=5;temperature=1;max_new_tokens=24";

static void check_same(const struct outcome *a, const struct outcome *b)
{
    assert_int_equal(a->label, b->label);
    assert_int_equal(a->request_tokens, b->request_tokens);
    assert_int_equal(a->answer_tokens, b->answer_tokens);
    assert_true(a->nll == b->nll);
    if (a->text || b->text)
        assert_string_equal(a->text, b->text);
}

static const struct {
    const char *csv;
    enum task task;
} tasks[] = {
    {data_two_labels, TASK_CLASSIFICATION},
    {data_seven_labels, TASK_CLASSIFICATION},
    {data_worked, TASK_NUMERIC_ANSWER},
    {data_texts, TASK_GENERATION},
};

static void test_threads(void **state)
{
    (void)state;
    for (size_t t = 0; t < COUNT(tasks); t++) {
        struct subject one, three;
        struct adapted *a = think(&one, tasks[t].csv, tasks[t].task, 1, several);
        struct adapted *b = think(&three, tasks[t].csv, tasks[t].task, 3, several);
        const struct outcome *first = subject_answer(&one, a), *second = subject_answer(&three, b);
        for (size_t i = 0; i < one.data.count; i++)
            check_same(&first[i], &second[i]);
        adapted_release(a);
        adapted_release(b);
        subject_close(&one);
        subject_close(&three);
    }
}

/* What is drawn for a request depends on the seed and on itself, not on its place. */
static void test_keys(void **state)
{
    (void)state;
    struct subject s;
    struct error err;
    struct outcome alone;
    struct adapted *adapted = think(&s, data_texts, TASK_GENERATION, 1, several);
    const struct outcome *all = subject_answer(&s, adapted);
    for (size_t i = 0; i < s.data.count; i += 3) {
        assert_int_equal(adapted_answer(adapted, &s.examples[i], 1, &alone, &s.arena, NULL, &err),
                         OK);
        check_same(&alone, &all[i]);
    }
    adapted_release(adapted);
    s.material.seed++;
    adapted = subject_adapt(&s, &chain_of_thought, several);
    const struct outcome *other = subject_answer(&s, adapted);
    int same = 0;
    for (size_t i = 0; i < s.data.count; i++)
        same += !strcmp(other[i].text, all[i].text);
    assert_true(same < (int)s.data.count);
    adapted_release(adapted);
    subject_close(&s);
}

/* No two chains draw the same. */
static void test_streams(void **state)
{
    (void)state;
    struct subject s;
    struct sequence *sequences;
    struct error err;
    struct adapted *adapted = think(&s, data_texts, TASK_GENERATION, 1, several);
    assert_int_equal(
        prompt_encode(adapted, s.examples, s.data.count, false, &s.arena, &sequences, &err), OK);
    const struct stream *streams =
        open_streams(adapted, s.examples, sequences, s.data.count, &s.arena);
    for (size_t i = 0; i < 5 * s.data.count; i++) {
        assert_ptr_equal(streams[i].prompt, sequences[i / 5].ids);
        for (size_t j = 0; j < i; j++)
            assert_true(streams[i].random.state != streams[j].random.state);
    }
    adapted_release(adapted);
    subject_close(&s);
}

/* All chains of one request, and the longest they can be. */
static void test_costs(void **state)
{
    (void)state;
    for (int samples = 1; samples <= 7; samples += 3) {
        struct subject s;
        struct sequence *sequences;
        struct error err;
        subject_open(&s, data_texts, TASK_GENERATION, 1);
        const char *setting =
            arena_printf(&s.arena, "k=0;samples=%d;max_new_tokens=%d", samples, CHAIN);
        s.model->n_context = ROOMY;
        struct adapted *adapted = subject_adapt(&s, &chain_of_thought, setting);
        const struct outcome *outcomes = subject_answer(&s, adapted);
        assert_int_equal(
            prompt_encode(adapted, s.examples, s.data.count, false, &s.arena, &sequences, &err),
            OK);
        for (size_t i = 0; i < s.data.count; i++) {
            assert_int_equal(outcomes[i].request_tokens, samples * sequences[i].request);
            assert_in_range(outcomes[i].answer_tokens, samples, samples * CHAIN);
        }
        adapted_release(adapted);
        subject_close(&s);
    }
}

/* Where no chain names a label, they are scored behind the first chain and the cue. */
static void test_undecided(void **state)
{
    (void)state;
    struct subject s;
    struct sequence *sequences;
    struct error err;
    struct adapted *adapted =
        think(&s, data_two_labels, TASK_CLASSIFICATION, 1, "max_new_tokens=3");
    const struct outcome *outcomes = subject_answer(&s, adapted);
    assert_int_equal(
        prompt_encode(adapted, s.examples, s.data.count, false, &s.arena, &sequences, &err), OK);
    for (size_t i = 0; i < s.data.count; i++) {
        struct stream stream = generate_stream(adapted, &sequences[i], 3, &s.arena);
        struct tokens ids = {0};
        assert_int_equal(generate_run(adapted, &stream, 1, 3, 0, NULL, &err), OK);
        tokens_append(&ids, adapted->prefix.ids, adapted->prefix.count);
        tokens_append(&ids, sequences[i].ids, (size_t)sequences[i].request);
        tokens_append(&ids, stream.ids, (size_t)stream.length);
        static const char cue[] = "\nThe answer is:\n";
        assert_int_equal(tokenizer_encode(s.model->tokenizer, cue, strlen(cue), &ids, NULL, &err),
                         OK);
        const struct choice *choices = adapted->labels->choices;
        const real *logits = subject_logits(adapted, &ids);
        double gap = (double)logits[choices[1].token] - (double)logits[choices[0].token];
        assert_float_equal(outcomes[i].probabilities[choices[0].label], 1 / (1 + exp(gap)), 1e-5);
        assert_int_equal(outcomes[i].request_tokens,
                         sequences[i].request + (int)(ids.count - adapted->prefix.count));
        tokens_release(&ids);
    }
    adapted_release(adapted);
    subject_close(&s);
}

/* Requests near the end of the context: the chain is cut, and the cue still fits. */
static void test_context(void **state)
{
    (void)state;
    for (int spare = 0; spare < 40; spare += 3) {
        struct subject s;
        struct sequence *sequences;
        struct error err;
        struct adapted *adapted =
            think(&s, data_two_labels, TASK_CLASSIFICATION, 1, "samples=2;max_new_tokens=30");
        int longest = 0;
        assert_int_equal(
            prompt_encode(adapted, s.examples, s.data.count, false, &s.arena, &sequences, &err),
            OK);
        for (size_t i = 0; i < s.data.count; i++)
            longest = sequences[i].request > longest ? sequences[i].request : longest;
        s.model->n_context = (int)adapted->prefix.count + longest + spare;
        const struct outcome *outcomes = subject_answer(&s, adapted);
        for (size_t i = 0; i < s.data.count; i++)
            assert_in_range(outcomes[i].label, 0, 1);
        adapted_release(adapted);
        subject_close(&s);
    }
}

/* ---- Refusals ------------------------------------------------------------------------------- */

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *csv, *setting, *sentence;
    } cases[] = {
        {data_numbers, "k=2",
         "chain_of_thought: k=2 is not possible, since the data have no worked solutions; expected "
         "0, or a column named with --rationale"},
        {data_worked, "k=9;max_new_tokens=20",
         "chain_of_thought: k=9 is more than the 8 training examples with a worked solution; "
         "expected 1 to 8, or -1 for as many as suit"},
        {data_worked, "k=8;max_new_tokens=20", "expected at most half of it, which k=1 do"},
        {data_worked, "max_new_tokens=256",
         "chain_of_thought: max_new_tokens=256 leaves no room for a request in a context of 256 "
         "tokens; expected 1 to 255"},
        {data_worked, "samples=3;temperature=0;max_new_tokens=20",
         "chain_of_thought: temperature=0 would draw the same chain 3 times; expected more than 0 "
         "with samples=3"},
    };
    for (size_t c = 0; c < COUNT(cases); c++) {
        struct subject s;
        struct error err = {0};
        subject_open(&s, cases[c].csv, TASK_NUMERIC_ANSWER, 1);
        struct setting setting = subject_setting(&s, &chain_of_thought, cases[c].setting);
        assert_int_equal(check(&setting, s.model, &s.material, &err), USAGE);
        if (!strstr(err.text, cases[c].sentence))
            fail_msg("%s", err.text);
        subject_close(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vote),      cmocka_unit_test(test_shares),
        cmocka_unit_test(test_threads),   cmocka_unit_test(test_keys),
        cmocka_unit_test(test_streams),   cmocka_unit_test(test_costs),
        cmocka_unit_test(test_undecided), cmocka_unit_test(test_context),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
