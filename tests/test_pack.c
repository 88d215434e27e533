/* SPDX-License-Identifier: Apache-2.0
 *
 * Packing: where batches are cut, what a batch holds row by row, and that a packed batch computes
 * what each example alone does.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/operators.h"
#include "techniques/pack.h"
#include "tests/adapting.h"

#define COUNT(list) (sizeof(list) / sizeof *(list))

/* ---- the cut ---- */

static void test_cut_by_hand(void **state)
{
    (void)state;
    static const struct {
        int lengths[8]; /* rows of the sequences, 0 after the last */
        int extra, once, rows;
        size_t workers;
        const char *spans; /* examples in each */
    } cases[] = {
        {{0}, 0, 0, 100, 1, ""},
        {{0}, 0, 0, 100, 2, ""},
        {{10}, 0, 0, 100, 1, "1 "},
        {{10}, 0, 0, 100, 2, "1 "},
        {{10, 10}, 0, 0, 100, 1, "2 "},
        {{10, 10}, 0, 0, 100, 2, "1 1 "},
        {{10, 10, 10, 10}, 0, 0, 20, 1, "2 2 "},
        {{10, 10, 10, 10}, 10, 0, 20, 1, "1 1 1 1 "},
        {{10, 10, 10, 10}, 0, 10, 30, 1, "2 2 "},
        {{10, 10, 10, 10}, 0, 1000, 40, 1, "1 1 1 1 "}, /* a quarter of the rows at least */
        {{90, 10, 10, 10}, 0, 0, 60, 1, "1 3 "},
        {{10, 10, 10, 90}, 0, 0, 60, 1, "3 1 "},
        {{300, 1, 1}, 0, 0, 100, 1, "1 1 1 "},
        {{1, 1, 300}, 0, 0, 100, 1, "1 1 1 "},
        {{10, 20, 30, 40, 50, 60}, 0, 0, 70, 1, "4 1 1 "},
        {{10, 10, 10, 10, 10, 10}, 0, 0, 20, 2, "2 1 2 1 "}, /* three made four */
        {{10, 10, 10}, 0, 0, 10, 2, "1 1 1 "},
    };
    struct arena arena;
    arena_init(&arena, NULL);
    for (size_t c = 0; c < COUNT(cases); c++) {
        struct sequence sequences[8] = {{0}};
        size_t count = 0;
        for (; count < 8 && cases[c].lengths[count]; count++)
            sequences[count] = (struct sequence){.request = cases[c].lengths[count]};
        struct span *spans;
        size_t n = pack_cut(sequences, count, cases[c].extra, cases[c].once, cases[c].rows,
                            cases[c].workers, &arena, &spans);
        char found[64] = "";
        for (size_t i = 0; i < n; i++)
            snprintf(found + strlen(found), sizeof found - strlen(found), "%zu ",
                     spans[i].last - spans[i].first);
        if (strcmp(found, cases[c].spans) != 0)
            fail_msg("case %zu: %s", c, found);
    }
    arena_release(&arena);
}

static void check_cut(const struct sequence *sequences, size_t count, int extra, int once, int rows,
                      size_t workers, struct arena *arena)
{
    struct span *spans;
    size_t n = pack_cut(sequences, count, extra, once, rows, workers, arena, &spans);
    size_t at = 0, longest = 0, total = 0;
    for (size_t i = 0; i < count; i++) {
        const struct sequence *s = &sequences[i];
        size_t size = (size_t)(s->request + extra + (s->answer ? s->answer - 1 : 0));
        longest = size > longest ? size : longest;
        total += size;
    }
    size_t room = (size_t)(rows - once > rows / 4 ? rows - once : rows / 4);
    assert_true(n == count || (n < count && n % workers == 0));
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(spans[i].first, at);
        assert_true(spans[i].last > at);
        size_t size = 0;
        for (; at < spans[i].last; at++)
            size += (size_t)(sequences[at].request + extra +
                             (sequences[at].answer ? sequences[at].answer - 1 : 0));
        assert_true(size <= room + longest);
        assert_true(size <= total / n + 1 + longest);
    }
    assert_int_equal(at, count);
}

static void test_cut_properties(void **state)
{
    (void)state;
    enum { MOST = 60, ROUNDS = 400 };
    struct random random = random_stream(7, "cuts", 0);
    struct arena arena;
    arena_init(&arena, NULL);
    for (int round = 0; round < ROUNDS; round++) {
        struct sequence sequences[MOST];
        size_t count = random_below(&random, MOST + 1);
        bool uneven = random_below(&random, 2);
        for (size_t i = 0; i < count; i++)
            sequences[i] = (struct sequence){
                .request = 1 + (int)random_below(&random, uneven && i % 7 == 3 ? 400 : 30),
                .answer = (int)random_below(&random, 5)};
        check_cut(sequences, count, (int)random_below(&random, 20), (int)random_below(&random, 300),
                  64 + (int)random_below(&random, 400), 1 + random_below(&random, 3), &arena);
        arena_clear(&arena);
    }
    arena_release(&arena);
}

/* ---- sharing out ---- */

static void test_share_by_hand(void **state)
{
    (void)state;
    static const struct {
        int lengths[8]; /* rows of the sequences, 0 after the last */
        int once, rows;
        size_t workers;
        const char *spans; /* their lengths, those of a span together */
    } cases[] = {
        {{0}, 0, 100, 2, ""},
        {{10}, 0, 100, 2, "10 | "},
        {{10, 20}, 0, 100, 2, "20 | 10 | "},
        {{10, 20, 30}, 0, 100, 2, "30 | 20 10 | "},
        {{10, 10, 10, 30}, 0, 100, 2, "30 | 10 10 10 | "},
        {{10, 10, 10, 30}, 0, 100, 1, "30 10 10 10 | "},
        {{40, 40, 40, 40, 10}, 0, 60, 1, "40 40 | 40 10 | 40 | "},
        {{40, 40, 40, 40, 10, 10}, 0, 60, 2, "40 10 | 40 10 | 40 | 40 | "}, /* three made four */
        {{40, 40, 40, 40, 10, 10}, 20, 60, 3, "40 | 40 | 40 | 40 | 10 | 10 | "},
        {{10, 20, 30}, 1000, 40, 1, "30 | 20 | 10 | "}, /* a quarter of the rows at least */
        {{300, 1, 1}, 0, 100, 2, "300 | 1 | 1 | "},
    };
    struct arena arena;
    arena_init(&arena, NULL);
    for (size_t c = 0; c < COUNT(cases); c++) {
        struct sequence sequences[8] = {{0}};
        size_t count = 0;
        for (; count < 8 && cases[c].lengths[count]; count++)
            sequences[count] = (struct sequence){.request = cases[c].lengths[count]};
        struct span *spans;
        size_t n = pack_share(sequences, count, cases[c].once, cases[c].rows, cases[c].workers,
                              &arena, &spans);
        char found[128] = "";
        for (size_t s = 0; s < n; s++) {
            for (size_t i = spans[s].first; i < spans[s].last; i++)
                snprintf(found + strlen(found), sizeof found - strlen(found), "%d ",
                         sequences[i].request);
            snprintf(found + strlen(found), sizeof found - strlen(found), "| ");
        }
        if (strcmp(found, cases[c].spans) != 0)
            fail_msg("case %zu: %s", c, found);
    }
    arena_release(&arena);
}

/* Every sequence is in one span, none is empty, and no span is longer than the shortest and one
 * sequence more. */
static void check_share(struct sequence *sequences, const int32_t *numbered, size_t count, int once,
                        int rows, size_t workers, struct arena *arena)
{
    struct span *spans;
    size_t n = pack_share(sequences, count, once, rows, workers, arena, &spans);
    size_t shortest = SIZE_MAX, longest = 0, at = 0;
    int most = 0;
    bool *seen = arena_zalloc(arena, (count + 1) * sizeof *seen);
    assert_true(n % workers == 0 || n == count);
    for (size_t s = 0; s < n; s++) {
        size_t length = 0;
        assert_int_equal(spans[s].first, at);
        assert_true(spans[s].last > at);
        for (; at < spans[s].last; at++) {
            size_t place = (size_t)(sequences[at].ids - numbered);
            assert_false(seen[place]);
            seen[place] = true;
            length += (size_t)sequences[at].request;
            most = sequences[at].request > most ? sequences[at].request : most;
        }
        shortest = length < shortest ? length : shortest;
        longest = length > longest ? length : longest;
    }
    assert_int_equal(at, count);
    assert_true(!n || longest <= shortest + (size_t)most);
}

static void test_share_properties(void **state)
{
    (void)state;
    enum { MOST = 40, ROUNDS = 400 };
    static const int32_t numbered[MOST]; /* stands for ids: tells the sequences apart */
    struct random random = random_stream(8, "shares", 0);
    struct arena arena;
    arena_init(&arena, NULL);
    for (int round = 0; round < ROUNDS; round++) {
        struct sequence sequences[MOST];
        size_t count = random_below(&random, MOST + 1);
        for (size_t i = 0; i < count; i++)
            sequences[i] =
                (struct sequence){.ids = numbered + i,
                                  .request = 1 + (int)random_below(&random, i % 7 == 3 ? 400 : 30)};
        check_share(sequences, numbered, count, (int)random_below(&random, 300),
                    64 + (int)random_below(&random, 400), 1 + random_below(&random, 3), &arena);
        arena_clear(&arena);
    }
    arena_release(&arena);
}

/* ---- layouts by hand ---- */

static void check_segment(const struct layout *layout, int index, struct segment expected)
{
    const struct segment *found = &layout->segments[index];
    assert_int_equal(found->start, expected.start);
    assert_int_equal(found->length, expected.length);
    assert_int_equal(found->parent, expected.parent);
    assert_int_equal(found->position, expected.position);
    assert_ptr_equal(found->cache, expected.cache);
    assert_null(found->capture);
}

static void check_numbers(const int32_t *found, size_t count, const char *expected)
{
    char line[256] = "";
    for (size_t i = 0; i < count; i++)
        snprintf(line + strlen(line), sizeof line - strlen(line), "%d ", (int)found[i]);
    assert_string_equal(line, expected);
}

static void test_training_layout(void **state)
{
    (void)state;
    static const int32_t first[] = {11, 12, 13, 91, 92}, second[] = {21, 81, 82, 83};
    static const struct sequence sequences[] = {{first, 3, 2}, {second, 1, 3}};
    int32_t prefix[] = {-1, 5, 6};
    struct adapted adapted = {.prefix = {.ids = prefix, .count = 3}, .past_rows = 7};
    struct training_pack pack;
    struct arena arena;
    arena_init(&arena, NULL);
    pack_training(&adapted, sequences, 2, &arena, &pack);
    assert_int_equal(pack.layout.rows, 10);
    check_numbers(pack.layout.tokens, 10, "-1 5 6 11 12 13 91 21 81 82 ");
    assert_int_equal(pack.layout.n_segments, 3);
    check_segment(&pack.layout, 0, (struct segment){.length = 3, .parent = -1, .position = 7});
    check_segment(&pack.layout, 1, (struct segment){.start = 3, .length = 4, .position = 10});
    check_segment(&pack.layout, 2, (struct segment){.start = 7, .length = 3, .position = 10});
    assert_int_equal(pack.layout.n_scored, 5);
    check_numbers(pack.layout.scored, 5, "5 6 7 8 9 ");
    check_numbers(pack.targets, 5, "91 92 81 82 83 ");

    adapted.prefix.count = 0; /* without a prefix every example is a root */
    pack_training(&adapted, sequences, 2, &arena, &pack);
    assert_int_equal(pack.layout.n_segments, 2);
    check_segment(&pack.layout, 0, (struct segment){.length = 4, .parent = -1, .position = 7});
    check_segment(&pack.layout, 1,
                  (struct segment){.start = 4, .length = 3, .parent = -1, .position = 7});
    check_numbers(pack.layout.scored, 5, "2 3 4 5 6 ");
    arena_release(&arena);
}

static void test_scoring_layout(void **state)
{
    (void)state;
    /* c(d(.. .. ) e f(.. ..)): two tokens to the first fork, then one and two more */
    static const int32_t path[] = {50, 51}, left[] = {60}, right[] = {70, 71};
    struct fork forks[] = {{.parent = -1, .path = path, .path_length = 2, .n_choices = 2},
                           {.parent = 0, .path = left, .path_length = 1, .n_choices = 2},
                           {.parent = 0, .path = right, .path_length = 2, .n_choices = 2}};
    struct label_trie trie = {.forks = forks, .n_forks = 3, .n_choices = 6, .tokens = 5};
    static const int32_t first[] = {11, 12, 13}, second[] = {21};
    static const struct sequence sequences[] = {{first, 3, 0}, {second, 1, 0}};
    struct cache cache = {0};
    struct adapted adapted = {
        .prefix = {.count = 4}, .past_rows = 2, .labels = &trie, .prefix_cache = &cache};
    struct layout layout;
    struct arena arena;
    arena_init(&arena, NULL);
    pack_scoring(&adapted, sequences, 2, &arena, &layout);
    assert_int_equal(layout.rows, 14);
    check_numbers(layout.tokens, 14, "11 12 13 50 51 60 70 71 21 50 51 60 70 71 ");
    assert_int_equal(layout.n_segments, 6);
    check_segment(&layout, 0,
                  (struct segment){.length = 5, .parent = -1, .cache = &cache, .position = 6});
    check_segment(&layout, 1, (struct segment){.start = 5, .length = 1, .position = 11});
    check_segment(&layout, 2, (struct segment){.start = 6, .length = 2, .position = 11});
    check_segment(
        &layout, 3,
        (struct segment){.start = 8, .length = 3, .parent = -1, .cache = &cache, .position = 6});
    check_segment(&layout, 4,
                  (struct segment){.start = 11, .length = 1, .parent = 3, .position = 9});
    check_segment(&layout, 5,
                  (struct segment){.start = 12, .length = 2, .parent = 3, .position = 9});
    assert_int_equal(layout.n_scored, 6);
    check_numbers(layout.scored, 6, "4 5 7 10 11 13 ");
    arena_release(&arena);
}

/* ---- packed and alone ---- */

/* Losses of the answers' tokens of a batch; returns how many. */
static int losses_of(const struct adapted *adapted, const struct sequence *sequences, size_t count,
                     struct tape *tape, double *nll)
{
    struct training_pack pack;
    struct arena *arena = tape->arena;
    arena_clear(arena);
    support_dirty(arena);
    tape_start(tape, false);
    pack_training(adapted, sequences, count, arena, &pack);
    struct pass pass =
        adapted_pass(adapted, tape, &pack.layout, adapted_views(adapted, NULL, arena));
    struct tensor *states = transformer_forward(&pass);
    real weights[256];
    assert_true(pack.layout.n_scored <= 256);
    for (int i = 0; i < pack.layout.n_scored; i++)
        weights[i] = 1;
    op_cross_entropy(tape, states, transformer_head(&pass), pack.targets, weights, nll);
    return pack.layout.n_scored;
}

static void test_training_alone(void **state)
{
    (void)state;
    struct subject s;
    struct sequence *sequences;
    struct error err;
    struct arena arena;
    struct tape tape;
    double together[256], alone[256];
    arena_init(&arena, NULL);
    tape_init(&tape, &arena, NULL);
    subject_open(&s, data_seven_labels, TASK_CLASSIFICATION, 1);
    struct adapted *adapted = subject_adapt(&s, technique_find("zero_shot"), "instruction=Pick.");
    assert_int_equal(
        prompt_encode(adapted, s.examples, s.data.count, true, &s.arena, &sequences, &err), OK);
    int scored = losses_of(adapted, sequences, s.data.count, &tape, together), at = 0;
    for (size_t i = 0; i < s.data.count; i++) {
        int n = losses_of(adapted, &sequences[i], 1, &tape, alone);
        assert_int_equal(n, sequences[i].answer);
        for (int t = 0; t < n; t++)
            assert_true(fabs(together[at + t] - alone[t]) < 1e-5 * (1 + fabs(alone[t])));
        at += n;
    }
    assert_int_equal(at, scored);
    adapted_release(adapted);
    subject_close(&s);
    tape_release(&tape);
    arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cut_by_hand),     cmocka_unit_test(test_cut_properties),
        cmocka_unit_test(test_share_by_hand),   cmocka_unit_test(test_share_properties),
        cmocka_unit_test(test_training_layout), cmocka_unit_test(test_scoring_layout),
        cmocka_unit_test(test_training_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
