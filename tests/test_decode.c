/* SPDX-License-Identifier: Apache-2.0
 *
 * Decoding on the tiny model: against computing the whole text anew for every token, many streams
 * at a time against one, ends and limits, and the frequencies of sampling.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/decode.h"
#include "tests/fixture.h"

enum { STREAMS = 9, LONGEST = 12, PREFIX = 6, NO_END = -1, MOST_ROWS = 128, VOCABULARY = 319 };

struct bench {
    struct model *model;
    struct engine *engine;
    struct arena arena;
    struct cache *prefix; /* of prefix_ids, or NULL */
    int32_t prefix_ids[PREFIX];
    int32_t prompts[STREAMS][24];
    struct stream streams[STREAMS];
};

/* Prompts of 1 to 17 random tokens. */
static void open_bench(struct bench *b)
{
    *b = (struct bench){.model = fixture_model(FIXTURES "tiny.gguf")};
    b->engine = engine_create(b->model, 1);
    arena_init(&b->arena, NULL);
    struct random random = random_stream(3, "prompts", 0);
    for (int i = 0; i < PREFIX; i++)
        b->prefix_ids[i] = (int32_t)random_below(&random, VOCABULARY);
    for (int s = 0; s < STREAMS; s++) {
        int length = 1 + 2 * ((s * 4) % STREAMS);
        for (int i = 0; i < length; i++)
            b->prompts[s][i] = (int32_t)random_below(&random, VOCABULARY);
        b->streams[s] = (struct stream){
            .prompt = b->prompts[s],
            .prompt_length = length,
            .ids = arena_alloc(&b->arena, LONGEST * sizeof(int32_t)),
        };
    }
}

static void close_bench(struct bench *b)
{
    arena_release(&b->arena);
    engine_trim(b->engine);
    assert_int_equal(b->engine->meter.now, 0);
    engine_free(b->engine);
    model_free(b->model);
}

/* Computes the keys and values of prefix_ids. */
static void make_prefix(struct bench *b)
{
    struct workspace *w = engine_workspace(b->engine, 0, false);
    b->prefix = cache_create(&b->arena, b->model, NULL, PREFIX);
    struct segment segment = {.length = PREFIX, .parent = -1, .capture = b->prefix};
    struct layout layout = {
        .rows = PREFIX, .tokens = b->prefix_ids, .segments = &segment, .n_segments = 1};
    struct pass pass = {.model = b->model, .tape = &w->tape, .layout = &layout};
    transformer_forward(&pass);
    assert_int_equal(b->prefix->length, PREFIX);
}

static struct decoding greedy(const struct bench *b, int together)
{
    return (struct decoding){.pass = {.model = b->model},
                             .prefix = b->prefix,
                             .position = b->prefix ? PREFIX : 0,
                             .end = NO_END,
                             .longest = LONGEST,
                             .together = together};
}

static void run(struct bench *b, const struct decoding *how, struct stream *streams, int count)
{
    struct error err;
    struct workspace *workspace = engine_workspace(b->engine, 0, false);
    if (decode(how, workspace, streams, count, NULL, &err) != OK)
        fail_msg("%s", err.text);
}

/* Logits that follow prefix, prompt and the first `length` tokens of the answer, computed without a
 * cache. They live until the next call. */
static const real *anew(struct bench *b, const struct stream *stream, int length)
{
    int32_t ids[MOST_ROWS];
    int rows = 0;
    for (int i = 0; b->prefix && i < PREFIX; i++)
        ids[rows++] = b->prefix_ids[i];
    for (int i = 0; i < stream->prompt_length; i++)
        ids[rows++] = stream->prompt[i];
    for (int i = 0; i < length; i++)
        ids[rows++] = stream->ids[i];
    int last = rows - 1;
    struct segment segment = {.length = rows, .parent = -1};
    struct layout layout = {.rows = rows,
                            .tokens = ids,
                            .segments = &segment,
                            .n_segments = 1,
                            .scored = &last,
                            .n_scored = 1};
    return fixture_logits(b->model, &engine_workspace(b->engine, 0, false)->tape, &layout);
}

static int32_t largest(const real *logits)
{
    int32_t best = 0;
    for (int32_t v = 1; v < VOCABULARY; v++)
        if (logits[v] > logits[best])
            best = v;
    return best;
}

static void check_against_anew(struct bench *b, int together)
{
    struct decoding how = greedy(b, together);
    run(b, &how, b->streams, STREAMS);
    for (int s = 0; s < STREAMS; s++) {
        assert_int_equal(b->streams[s].length, LONGEST);
        assert_false(b->streams[s].ended);
        for (int t = 0; t < LONGEST; t++)
            assert_int_equal(b->streams[s].ids[t], largest(anew(b, &b->streams[s], t)));
    }
}

/* One at a time, fewer places than streams, and more. */
static void test_greedy(void **state)
{
    (void)state;
    static const int together[] = {1, 2, 4, STREAMS, 50};
    for (int prefix = 0; prefix < 2; prefix++)
        for (size_t i = 0; i < sizeof together / sizeof *together; i++) {
            struct bench b;
            open_bench(&b);
            if (prefix)
                make_prefix(&b);
            check_against_anew(&b, together[i]);
            if (prefix) /* what all streams share is left as it was */
                assert_int_equal(b.prefix->length, PREFIX);
            close_bench(&b);
        }
}

/* Streams end at different lengths, so that later ones join while others run. */
static void test_end(void **state)
{
    (void)state;
    for (int place = 0; place < LONGEST; place += 5) {
        struct bench b;
        int32_t expected[STREAMS][LONGEST];
        open_bench(&b);
        struct decoding how = greedy(&b, 3);
        run(&b, &how, b.streams, STREAMS);
        for (int s = 0; s < STREAMS; s++)
            memcpy(expected[s], b.streams[s].ids, sizeof expected[s]);
        how.end = expected[0][place]; /* whatever stream 0 says there ends every stream */
        run(&b, &how, b.streams, STREAMS);
        for (int s = 0; s < STREAMS; s++) {
            const struct stream *stream = &b.streams[s];
            int length = 0;
            while (length < LONGEST && expected[s][length] != how.end)
                length++;
            assert_int_equal(stream->length, length);
            assert_int_equal(stream->ended, length < LONGEST);
            assert_memory_equal(stream->ids, expected[s], (size_t)length * sizeof(int32_t));
        }
        assert_true(b.streams[0].ended);
        close_bench(&b);
    }
}

static void test_longest(void **state)
{
    (void)state;
    struct bench b;
    open_bench(&b);
    for (int longest = 1; longest <= 3; longest++) {
        struct decoding how = greedy(&b, 2);
        how.longest = longest;
        run(&b, &how, b.streams, STREAMS);
        for (int s = 0; s < STREAMS; s++) {
            assert_int_equal(b.streams[s].length, longest);
            assert_int_equal(b.streams[s].ids[longest - 1],
                             largest(anew(&b, &b.streams[s], longest - 1)));
        }
    }
    struct decoding how = greedy(&b, 2);
    run(&b, &how, b.streams, 0); /* nothing to do */
    close_bench(&b);
}

static void test_deadline(void **state)
{
    (void)state;
    struct bench b;
    struct error err = {0};
    volatile sig_atomic_t pressed = 1;
    open_bench(&b);
    struct decoding how = greedy(&b, 2);
    struct deadline past = {.at = clock_seconds() - 1}, interrupt = {.signal = &pressed};
    struct workspace *workspace = engine_workspace(b.engine, 0, false);
    assert_int_equal(decode(&how, workspace, b.streams, STREAMS, &past, &err), OUT_OF_TIME);
    assert_int_equal(decode(&how, workspace, b.streams, STREAMS, &interrupt, &err), INTERRUPTED);
    assert_true(strlen(err.text) > 0);
    close_bench(&b);
}

/* ---- sampling ---- */

enum { DRAWS = 3000 };

static void draw(struct bench *b, struct stream *streams, double temperature, uint64_t seed,
                 int longest)
{
    for (int i = 0; i < DRAWS; i++)
        streams[i] = (struct stream){.prompt = b->prompts[0],
                                     .prompt_length = b->streams[0].prompt_length,
                                     .random = random_stream(seed, "draws", (uint64_t)i),
                                     .ids = arena_alloc(&b->arena, LONGEST * sizeof(int32_t))};
    struct decoding how = greedy(b, 250);
    how.temperature = temperature;
    how.longest = longest;
    run(b, &how, streams, DRAWS);
}

/* Pearson's statistic over the tokens expected at least 5 times, the others taken together; its
 * mean is the degrees of freedom and its variance twice that. */
static void check_frequencies(struct bench *b, double temperature)
{
    struct stream *streams = arena_alloc(&b->arena, DRAWS * sizeof *streams);
    double expected[VOCABULARY], found[VOCABULARY] = {0}, total = 0;
    const real *logits = anew(b, &b->streams[0], 0);
    for (int v = 0; v < VOCABULARY; v++)
        total += expected[v] = exp((double)logits[v] / temperature);
    draw(b, streams, temperature, 5, 1);
    for (int i = 0; i < DRAWS; i++)
        found[streams[i].ids[0]]++;
    double statistic = 0, rest = 0, rest_found = 0;
    int degrees = -1;
    for (int v = 0; v < VOCABULARY; v++) {
        expected[v] *= DRAWS / total;
        if (expected[v] < 5) {
            rest += expected[v];
            rest_found += found[v];
            continue;
        }
        statistic += (found[v] - expected[v]) * (found[v] - expected[v]) / expected[v];
        degrees++;
    }
    if (rest >= 5) {
        statistic += (rest_found - rest) * (rest_found - rest) / rest;
        degrees++;
    }
    assert_true(degrees >= 3);
    if (!(fabs(statistic - degrees) < 4 * sqrt(2.0 * degrees)))
        fail_msg("temperature %g: %g with %d degrees of freedom", temperature, statistic, degrees);
}

static void test_frequencies(void **state)
{
    (void)state;
    struct bench b;
    open_bench(&b);
    check_frequencies(&b, 1);
    check_frequencies(&b, 0.5);
    check_frequencies(&b, 3);
    close_bench(&b);
}

static void test_sampling(void **state)
{
    (void)state;
    struct bench b;
    open_bench(&b);
    struct stream *once = arena_alloc(&b.arena, DRAWS * sizeof *once);
    struct stream *again = arena_alloc(&b.arena, DRAWS * sizeof *again);
    int same = 0;
    draw(&b, once, 1, 5, 2);
    draw(&b, again, 1, 5, 2);
    for (int i = 0; i < DRAWS; i++)
        assert_memory_equal(once[i].ids, again[i].ids, 2 * sizeof(int32_t));
    draw(&b, again, 1, 6, 2);
    for (int i = 0; i < DRAWS; i++)
        same += !memcmp(once[i].ids, again[i].ids, 2 * sizeof(int32_t));
    assert_true(same < DRAWS / 2);
    draw(&b, again, 1e-4, 6, 1); /* so cold that only the most probable token is left */
    int32_t expected = largest(anew(&b, &b.streams[0], 0));
    for (int i = 0; i < DRAWS; i++)
        assert_int_equal(again[i].ids[0], expected);
    close_bench(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_greedy),      cmocka_unit_test(test_end),
        cmocka_unit_test(test_longest),     cmocka_unit_test(test_deadline),
        cmocka_unit_test(test_frequencies), cmocka_unit_test(test_sampling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
