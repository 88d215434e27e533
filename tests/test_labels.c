/* SPDX-License-Identifier: Apache-2.0
 *
 * The trie of the labels' tokens: its shape in cases made by hand, its arithmetic, and its scores
 * against spelling out every label on its own.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "techniques/labels.h"
#include "techniques/prompt.h"
#include "techniques/score.h"
#include "tests/adapting.h"

#define COUNT(list) (sizeof(list) / sizeof *(list))

enum { MOST_LABELS = 80, MOST_TOKENS = 64 };

/* A subject whose labels are `names`; its one example says "x". */
struct labelled {
    struct subject s;
    struct label labels[MOST_LABELS];
    struct adapted *adapted;
};

static enum status open_labels(struct labelled *l, const char *const *names, size_t count,
                               int threads, struct error *err)
{
    subject_open(&l->s, "text,label\nx,a\ny,b\n", TASK_CLASSIFICATION, threads);
    for (size_t i = 0; i < count; i++)
        l->labels[i] = (struct label){.name = names[i], .count = 1};
    l->s.data.labels = l->labels;
    l->s.data.label_count = count;
    l->s.data.examples[0].target = names[0];
    l->s.data.count = l->s.material.count = 1;
    struct setting setting =
        subject_setting(&l->s, technique_find("zero_shot"), "instruction=Pick.");
    return adapted_create(&l->adapted, l->s.engine, &setting, &l->s.material, err);
}

static void close_labels(struct labelled *l)
{
    adapted_release(l->adapted);
    subject_close(&l->s);
}

/* ---- shape ---- */

/* Writes a fork as its path, and in brackets each choice: token=label or token and a fork. */
static void write_fork(const struct labelled *l, int index, struct text *out)
{
    const struct label_trie *trie = l->adapted->labels;
    const struct fork *fork = &trie->forks[index];
    const struct tokenizer *tokenizer = l->s.model->tokenizer;
    int skip = index > 0; /* the parent wrote the token that leads here */
    for (int i = skip; i < fork->path_length; i++)
        text_printf(out, "%s%s", i > skip ? " " : "", tokenizer_name(tokenizer, fork->path[i]));
    text_add(out, "(");
    for (int b = fork->first_choice; b < fork->first_choice + fork->n_choices; b++) {
        const struct choice *choice = &trie->choices[b];
        text_printf(out, "%s%s", b > fork->first_choice ? " " : "",
                    tokenizer_name(tokenizer, choice->token));
        if (choice->fork < 0) {
            text_printf(out, "=%s", l->labels[choice->label].name);
            continue;
        }
        assert_int_equal(choice->label, -1);
        assert_int_equal(trie->forks[choice->fork].parent, index);
        assert_int_equal(trie->forks[choice->fork].parent_choice, b);
        assert_int_equal(trie->forks[choice->fork].path[0], choice->token);
        assert_true(choice->fork > index);
        text_add(out, trie->forks[choice->fork].path_length > 1 ? " " : "");
        write_fork(l, choice->fork, out);
    }
    text_add(out, ")");
}

static void test_shape(void **state)
{
    (void)state;
    static const struct {
        const char *names[8];
        const char *trie;
        int tokens;
    } cases[] = {
        {{"A", "B"}, "(A=A B=B)", 0},
        {{"B", "C", "A"}, "(A=A B=B C=C)", 0},
        {{"xA", "xB"}, "x(A=xA B=xB)", 1},
        {{"xA", "xxA", "y"}, "(x(A=xA x=xxA) y=y)", 1},
        {{"x", "xy"}, "x(<|im_end|>=x y=xy)", 1},
        {{"x", "xy", "xyxyA", "xyxyBBBB"},
         "x(<|im_end|>=x y(<|im_end|>=xy x y(A=xyxyA B=xyxyBBBB)))",
         4},
        {{"A", "xAA", "xAB", "xB", "z"}, "(A=A x(A(A=xAA B=xAB) B=xB) z=z)", 2},
        {{"negative", "positive"}, "(n=negative p=positive)", 0},
        {{"card", "card lost", "card stolen"},
         "c a r d(<|im_end|>=card \u0120(l=card lost st=card stolen))",
         5},
        {{"only"}, "(on=only)", 0},
        {{"<|im_end|>", "<|im_start|>"}, "< | i m _(e=<|im_end|> st=<|im_start|>)", 5},
    };
    for (size_t c = 0; c < COUNT(cases); c++) {
        struct labelled l;
        struct error err;
        struct text text = {0};
        size_t count = 0;
        while (count < COUNT(cases[c].names) && cases[c].names[count])
            count++;
        assert_int_equal(open_labels(&l, cases[c].names, count, 1, &err), OK);
        write_fork(&l, 0, &text);
        assert_string_equal(text_string(&text), cases[c].trie);
        assert_int_equal(l.adapted->labels->tokens, cases[c].tokens);
        assert_int_equal(l.adapted->labels->n_labels, count);
        assert_int_equal(l.adapted->labels->forks[0].parent, -1);
        text_release(&text);
        close_labels(&l);
    }
}

static void test_same_tokens(void **state)
{
    (void)state;
    static const char *const cases[][3] = {{"a", "b", "a"}, {"x\xFF", "b", "x\xFE"}};
    for (size_t c = 0; c < COUNT(cases); c++) {
        struct labelled l;
        struct error err = {0};
        char expected[64];
        assert_int_equal(open_labels(&l, cases[c], 3, 1, &err), BAD_DATA);
        assert_null(l.adapted);
        snprintf(expected, sizeof expected, "\"%s\"", cases[c][2]);
        assert_non_null(strstr(err.text, expected));
        assert_non_null(strstr(err.text, "have the same tokens"));
        close_labels(&l);
    }
}

static void test_empty(void **state)
{
    (void)state;
    static const char *const names[] = {"a", "", "b"};
    struct labelled l;
    struct error err = {0};
    assert_int_equal(open_labels(&l, names, 3, 1, &err), BAD_DATA);
    assert_non_null(strstr(err.text, "the label \"\" is empty"));
    close_labels(&l);
}

/* ---- arithmetic ---- */

static void test_distribution(void **state)
{
    (void)state;
    /* (A=0 x(A=1 B=2 y(..=3 ..=4))): the choices of a fork stand together */
    struct fork forks[] = {{.parent = -1, .first_choice = 0, .n_choices = 2},
                           {.parent = 0, .parent_choice = 1, .first_choice = 2, .n_choices = 3},
                           {.parent = 1, .parent_choice = 4, .first_choice = 5, .n_choices = 2}};
    struct choice choices[] = {{.fork = -1, .label = 0}, {.fork = 1, .label = -1},
                               {.fork = -1, .label = 1}, {.fork = -1, .label = 2},
                               {.fork = 2, .label = -1}, {.fork = -1, .label = 4},
                               {.fork = -1, .label = 3}};
    struct label_trie trie = {
        .forks = forks, .n_forks = 3, .choices = choices, .n_choices = 7, .n_labels = 5};
    static const struct {
        double logits[7];
        double probabilities[5];
    } cases[] = {
        {{0, 0, 0, 0, 0, 0, 0}, {0.5, 1 / 6.0, 1 / 6.0, 1 / 12.0, 1 / 12.0}},
        {{7, 7, -3, -3, -3, 90, 90}, {0.5, 1 / 6.0, 1 / 6.0, 1 / 12.0, 1 / 12.0}},
        /* weights 1:3, 1:2:5, 3:1 */
        {{0, 1.0986122886681098, 0, 0.6931471805599453, 1.6094379124341003, 1.0986122886681098, 0},
         {0.25, 0.75 / 8, 1.5 / 8, 0.75 * 5 / 8 / 4, 0.75 * 5 / 8 * 3 / 4}},
        {{4e4, -4e4, 1, 2, 3, 4, 5}, {1, 0, 0, 0, 0}},
        {{-4e4, 4e4, 4e4, -4e4, -4e4, 0, 0}, {0, 1, 0, 0, 0}},
    };
    for (size_t c = 0; c < COUNT(cases); c++) {
        real logits[7];
        double reached[3], found[5];
        for (int i = 0; i < 7; i++)
            logits[i] = (real)cases[c].logits[i];
        label_trie_distribution(&trie, logits, reached, found);
        for (int l = 0; l < 5; l++) {
            assert_true(isfinite(found[l])); /* even where the probability is 0 */
            assert_true(fabs(exp(found[l]) - cases[c].probabilities[l]) < 1e-7);
        }
    }
}

/* ---- against spelling out every label ---- */

struct spelt {
    int32_t ids[MOST_TOKENS];
    size_t count;
    real *logits; /* (count, vocabulary): before each of its tokens */
};

/* Logits before each token of `label`, from one pass over prefix, request and label. */
static void run_label(const struct labelled *l, const struct tokens *before, struct spelt *spelt,
                      struct tape *tape, struct arena *keep)
{
    int32_t ids[512];
    int scored[MOST_TOKENS];
    memcpy(ids, before->ids, before->count * sizeof *ids);
    memcpy(ids + before->count, spelt->ids, spelt->count * sizeof *ids);
    for (size_t i = 0; i < spelt->count; i++)
        scored[i] = (int)(before->count + i) - 1;
    struct segment segment = {.length = (int)(before->count + spelt->count), .parent = -1};
    struct layout layout = {.rows = segment.length,
                            .tokens = ids,
                            .segments = &segment,
                            .n_segments = 1,
                            .scored = scored,
                            .n_scored = (int)spelt->count};
    arena_clear(tape->arena);
    const real *logits = fixture_logits(l->s.model, tape, &layout);
    size_t bytes = spelt->count * (size_t)l->s.model->n_vocab * sizeof *logits;
    spelt->logits = memcpy(arena_alloc(keep, bytes), logits, bytes);
}

static bool begins_alike(const struct spelt *a, const struct spelt *b, size_t length)
{
    return a->count > length && b->count > length &&
           !memcmp(a->ids, b->ids, length * sizeof *a->ids);
}

/* log of the product, over the tokens of label `at`, of the softmax among the tokens with which any
 * label that began alike goes on. */
static double by_spelling(const struct spelt *spelt, size_t count, size_t at, size_t vocabulary)
{
    double sum = 0;
    for (size_t t = 0; t < spelt[at].count; t++) {
        const real *logits = spelt[at].logits + t * vocabulary;
        double total = 0;
        for (size_t v = 0; v < vocabulary; v++) {
            bool possible = false;
            for (size_t l = 0; l < count; l++)
                possible = possible || (begins_alike(&spelt[l], &spelt[at], t) &&
                                        spelt[l].ids[t] == (int32_t)v);
            if (possible)
                total += exp((double)logits[v]);
        }
        sum += (double)logits[spelt[at].ids[t]] - log(total);
    }
    return sum;
}

/* The outcomes of all examples, by the way asked for. They live until the subject is closed. */
static struct outcome *score(struct labelled *l, enum score_how how)
{
    struct subject *s = &l->s;
    struct sequence *sequences;
    struct error err;
    struct outcome *outcomes = arena_zalloc(&s->arena, s->data.count * sizeof *outcomes);
    assert_int_equal(
        prompt_encode(l->adapted, s->examples, s->data.count, false, &s->arena, &sequences, &err),
        OK);
    struct scores scores;
    assert_int_equal(
        score_labels(l->adapted, how, sequences, s->data.count, &scores, &s->arena, NULL, &err),
        OK);
    for (size_t i = 0; i < s->data.count; i++) {
        score_fill(l->adapted, s->examples[i], scores.log_probabilities + i * s->data.label_count,
                   &outcomes[i], &s->arena);
        outcomes[i].request_tokens = sequences[i].request + scores.rows[i];
    }
    return outcomes;
}

static void check_scores(const char *const *names, size_t count)
{
    struct labelled l;
    struct error err;
    struct arena arena;
    struct tape tape;
    struct spelt spelt[MOST_LABELS];
    struct tokens before = {0}, ids = {0};
    arena_init(&arena, NULL);
    tape_init(&tape, &arena, NULL);
    assert_int_equal(open_labels(&l, names, count, 1, &err), OK);
    const struct outcome *outcome = score(&l, SCORE_WHOLE);
    tokens_append(&before, l.adapted->prefix.ids, l.adapted->prefix.count);
    assert_int_equal(prompt_request(l.adapted, l.s.examples[0], &before, &err), OK);
    for (size_t i = 0; i < count; i++) {
        tokens_clear(&ids);
        assert_int_equal(prompt_answer(l.adapted, names[i], &ids, &err), OK);
        spelt[i].count = ids.count;
        memcpy(spelt[i].ids, ids.ids, ids.count * sizeof *ids.ids);
        run_label(&l, &before, &spelt[i], &tape, &l.s.arena);
    }
    double total = 0;
    for (size_t i = 0; i < count; i++) {
        double expected = exp(by_spelling(spelt, count, i, (size_t)l.s.model->n_vocab));
        double found = (double)outcome->probabilities[i];
        if (!(fabs(found - expected) < 1e-5 * expected + 1e-7))
            fail_msg("%s of %zu: %.9g, expected %.9g", names[i], count, found, expected);
        assert_true(found <= outcome->probability * (1 + 1e-6));
        total += found;
    }
    assert_true(fabs(total - 1) < 1e-6);
    tokens_release(&before);
    tokens_release(&ids);
    tape_release(&tape);
    arena_release(&arena);
    close_labels(&l);
}

static void test_scores(void **state)
{
    (void)state;
    static const char *const two[] = {"negative", "positive"};
    static const char *const seven[] = {"card",     "card lost",     "card stolen",        "fee",
                                        "transfer", "transfer late", "transfer late again"};
    static const char *const nested[] = {"x", "xx", "xxx", "xxxx", "y"};
    static const char *const one[] = {"alone"};
    check_scores(two, COUNT(two));
    check_scores(seven, COUNT(seven));
    check_scores(nested, COUNT(nested));
    check_scores(one, COUNT(one));
}

/* Labels of support requests, many of which begin alike. */
static void write_77(char texts[77][40], const char *names[77])
{
    static const char *const things[] = {"card",    "cash", "transfer", "top up",
                                         "account", "fee",  "refund"};
    static const char *const troubles[] = {
        "",       " lost",    " late",          " not working", " wrong", " twice",
        " limit", " pending", " pending again", " not here",    " charge"};
    for (size_t i = 0; i < 77; i++) {
        snprintf(texts[i], 40, "%s%s", things[i / 11], troubles[i % 11]);
        names[i] = texts[i];
    }
}

static void test_77_labels(void **state)
{
    (void)state;
    char texts[77][40];
    const char *names[77];
    write_77(texts, names);
    check_scores(names, COUNT(names));
}

/* ---- search against the whole trie ---- */

/* Sum of probabilities of the labels behind a fork, the least and the most of them. */
static double mass_behind(const struct label_trie *trie, int fork, const float *probabilities,
                          double *least, double *most)
{
    const struct fork *at = &trie->forks[fork];
    double sum = 0;
    for (int b = at->first_choice; b < at->first_choice + at->n_choices; b++) {
        const struct choice *choice = &trie->choices[b];
        if (choice->fork >= 0) {
            sum += mass_behind(trie, choice->fork, probabilities, least, most);
            continue;
        }
        double p = (double)probabilities[choice->label];
        *least = fmin(*least, p);
        *most = fmax(*most, p);
        sum += p;
    }
    return sum;
}

static int fork_of_label(const struct label_trie *trie, int label)
{
    for (int f = 0; f < trie->n_forks; f++)
        for (int b = 0; b < trie->forks[f].n_choices; b++)
            if (trie->choices[trie->forks[f].first_choice + b].label == label)
                return f;
    return -1;
}

static bool same(double a, double b)
{
    return fabs(a - b) < 1e-4 * fabs(b) + 1e-7; /* logits up to 30 times as large */
}

/* A label has its exact probability, or an equal share of the exact mass behind a fork that could
 * not hold the answer. Returns whether it is exact. */
static bool check_label(const struct label_trie *trie, int label, const struct outcome *found,
                        const struct outcome *exact)
{
    if (same((double)found->probabilities[label], (double)exact->probabilities[label]))
        return true;
    for (int f = fork_of_label(trie, label); f > 0; f = trie->forks[f].parent) {
        double least = 1, most = 0, ignored = 0;
        double mass = mass_behind(trie, f, found->probabilities, &least, &most);
        double whole = mass_behind(trie, f, exact->probabilities, &ignored, &ignored);
        if (same(mass, whole) && same(least, most)) {
            assert_true(mass <= exact->probability * (1 + 1e-4) && mass < 0.05);
            return false;
        }
    }
    fail_msg("label %d: %.9g, expected %.9g, and no group it could be a share of", label,
             (double)found->probabilities[label], (double)exact->probabilities[label]);
    return false;
}

/* One model, made `sharper` so that it is surer of its answers. Returns the share of labels that
 * got their exact probability, and in `*rows` the share of the trie's rows that were read. */
static double check_search(const char *const *names, size_t count, double sharper, double *rows)
{
    struct labelled l;
    struct error err;
    double exact_labels = 0, total = 0;
    assert_int_equal(open_labels(&l, names, count, 1, &err), OK);
    real *gain = l.s.model->output_norm.data;
    for (int i = 0; i < l.s.model->n_embd; i++)
        gain[i] *= (real)sharper;
    l.s.data.count = 2;
    l.s.data.examples[0].label = (int)(3 % count);
    l.s.data.examples[1].label = (int)(5 % count);
    const struct label_trie *trie = l.adapted->labels;
    const struct outcome *exact = score(&l, SCORE_WHOLE), *found = score(&l, SCORE_SEARCH);
    *rows = 0;
    for (size_t e = 0; e < l.s.data.count; e++) {
        int request = exact[e].request_tokens - trie->tokens;
        double sum = 0;
        assert_int_equal(found[e].label, exact[e].label);
        assert_true(same(found[e].probability, exact[e].probability));
        for (int label = 0; label < (int)count; label++) {
            exact_labels += check_label(trie, label, &found[e], &exact[e]);
            sum += (double)found[e].probabilities[label];
            total++;
        }
        assert_true(fabs(sum - 1) < 1e-5);
        double truth = (double)found[e].probabilities[l.s.data.examples[e].label];
        assert_true(fabs(exp(-found[e].nll) - truth) < 1e-6);
        assert_in_range(found[e].request_tokens, request, exact[e].request_tokens);
        *rows += (found[e].request_tokens - request) / (double)trie->tokens / 2;
    }
    close_labels(&l);
    return exact_labels / total;
}

static void test_search(void **state)
{
    (void)state;
    static const size_t counts[] = {2, 5, 11, 12, 22, 40, 77};
    static const double sharpness[] = {0.1, 0.5, 1, 2, 4, 10, 30};
    double least = 1, fewest = 1, most = 0, rows;
    char texts[77][40];
    const char *names[77];
    write_77(texts, names);
    for (size_t c = 0; c < COUNT(counts); c++)
        for (size_t k = 0; k < COUNT(sharpness); k++) {
            least = fmin(least, check_search(names, counts[c], sharpness[k], &rows));
            fewest = counts[c] == 77 ? fmin(fewest, rows) : fewest;
            most = fmax(most, rows);
        }
    assert_true(least < 0.7); /* something was left unread */
    assert_true(fewest < 0.5 && most > fewest);
}

/* So many beginnings, all alike, that none has a large share: even then the fork that is come to
 * with more than any label has is read. Each beginning is the fork in turn. */
static void test_search_when_all_are_alike(void **state)
{
    (void)state;
    enum { LETTERS = 26 };
    char texts[LETTERS + 1][4];
    const char *names[LETTERS + 1];
    double rows;
    for (int fork = 0; fork < LETTERS; fork++) {
        for (int i = 0; i < LETTERS; i++)
            snprintf(texts[i], sizeof *texts, "%c%s", 'A' + i, i == fork ? "Q" : "");
        snprintf(texts[LETTERS], sizeof *texts, "%cZ", 'A' + fork);
        for (int i = 0; i <= LETTERS; i++)
            names[i] = texts[i];
        check_search(names, LETTERS + 1, 0.05, &rows);
    }
}

/* Bytes of all probabilities of 77 labels behind `count` examples. */
static void search_with(int threads, float *probabilities, int *tokens)
{
    char texts[77][40];
    const char *names[77];
    struct labelled l;
    struct error err;
    write_77(texts, names);
    assert_int_equal(open_labels(&l, names, 77, threads, &err), OK);
    for (size_t i = 0; i < SUBJECT_ROWS; i++)
        l.s.examples[i] = &l.s.data.examples[i % 2];
    l.s.data.count = SUBJECT_ROWS;
    const struct outcome *found = score(&l, SCORE_BY_SIZE);
    for (size_t e = 0; e < SUBJECT_ROWS; e++) {
        memcpy(probabilities + e * 77, found[e].probabilities, 77 * sizeof *probabilities);
        tokens[e] = found[e].request_tokens;
    }
    l.s.data.count = 1;
    close_labels(&l);
}

static void test_search_threads(void **state)
{
    (void)state;
    static float one[SUBJECT_ROWS * 77], three[SUBJECT_ROWS * 77];
    static int tokens_one[SUBJECT_ROWS], tokens_three[SUBJECT_ROWS];
    search_with(1, one, tokens_one);
    search_with(3, three, tokens_three);
    assert_memory_equal(one, three, sizeof one);
    assert_memory_equal(tokens_one, tokens_three, sizeof tokens_one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shape),          cmocka_unit_test(test_same_tokens),
        cmocka_unit_test(test_empty),          cmocka_unit_test(test_distribution),
        cmocka_unit_test(test_scores),         cmocka_unit_test(test_77_labels),
        cmocka_unit_test(test_search),         cmocka_unit_test(test_search_when_all_are_alike),
        cmocka_unit_test(test_search_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
