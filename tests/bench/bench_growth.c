/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether cost grows as the work does: tokens, long examples, rows of a file.
 *
 *     build/bench/bench_growth PROGRAM [MODEL [THREADS]]
 *
 * Prints lines `figure value goal met|missed`, and comments after #. Times are those of the
 * processor, as ratios within this run, medians of several rounds. Tokens grow a hundredfold, and
 * examples are long, on a model so narrow that next to nothing is a matrix product: what would grow
 * faster than the work could hide behind those. MODEL shows what is left of it in use.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "tests/bench/made_model.h"
#include "tests/bench/programs.h"
#include "tests/bench/rates.h"
#include "tests/default_model.h"

enum { FEW_TOKENS = 1000, SOME_TOKENS = 10000, MANY_TOKENS = 100000, ROWS = 100000 };
enum { LONG_WORDS = 500, LONG_ONES = 4 }; /* some 2,500 tokens */

static struct adapted *zero_shot(struct bench *b)
{
    size_t none = 0;
    return bench_adapt(b, "zero_shot", NULL, (struct rows){&none, 0});
}

/* ---- Tokens --------------------------------------------------------------------------------- */

static double a_token(struct measured measured)
{
    return measured.processor / measured.tokens;
}

/* Seconds a token, when as many requests are scored together as have so many tokens. */
static double seconds_a_token(struct bench *b, struct adapted *adapted, size_t tokens)
{
    struct arena_mark mark = arena_mark(&b->arena);
    size_t each = 25, count = tokens / each; /* roughly; what was read is counted */
    size_t *at = arena_alloc(&b->arena, count * sizeof *at);
    for (size_t i = 0; i < count; i++)
        at[i] = i % b->data.count;
    double seconds = a_token(bench_score(b, adapted, (struct rows){at, count}, NULL));
    arena_rewind(&b->arena, mark);
    return seconds;
}

/* The few are measured before and behind the many. */
static void grow_tokens(struct bench *b, const char *figure, size_t many_tokens)
{
    enum { ROUNDS = 9 };
    struct adapted *adapted = zero_shot(b);
    double few[ROUNDS];
    seconds_a_token(b, adapted, FEW_TOKENS); /* the first run finds nothing in the caches */
    for (int i = 0; i < ROUNDS / 2; i++)
        few[i] = seconds_a_token(b, adapted, FEW_TOKENS);
    double many = seconds_a_token(b, adapted, many_tokens);
    for (int i = ROUNDS / 2; i < ROUNDS; i++)
        few[i] = seconds_a_token(b, adapted, FEW_TOKENS);
    goal_at_most(figure, many / median(few, ROUNDS), 1.1);
    adapted_release(adapted);
}

/* ---- Long examples -------------------------------------------------------------------------- */

/* The same engine with rows of so many words; end with long_close. */
static struct bench long_open(const struct bench *b, const char *path, size_t words)
{
    struct bench other = {.engine = b->engine};
    struct error err;
    arena_init(&other.arena, NULL);
    write_rows(path, 2 * LONG_ONES, words);
    must(dataset_load(path, NULL, &other.data, &err), &err);
    return other;
}

static void long_close(struct bench *other)
{
    dataset_release(&other->data);
    arena_release(&other->arena);
}

/* Of one example that is as long as LONG_ONES. */
static double whole_seconds(const struct bench *b, const char *path)
{
    const size_t first = 0;
    struct bench whole = long_open(b, path, (size_t)LONG_ONES * LONG_WORDS);
    struct adapted *adapted = zero_shot(&whole);
    double seconds = bench_score(&whole, adapted, (struct rows){&first, 1}, NULL).processor;
    adapted_release(adapted);
    long_close(&whole);
    return seconds;
}

/* Attention is quadratic within an example, and only there: several long ones take as long as each
 * alone. */
static void grow_examples(struct bench *b, const char *path)
{
    enum { ROUNDS = 5 };
    const size_t at[LONG_ONES] = {0, 1, 2, 3};
    double ratios[ROUNDS], alone = 0, tokens = 0;
    struct bench other = long_open(b, path, LONG_WORDS);
    struct adapted *adapted = zero_shot(&other);
    for (int i = 0; i < ROUNDS; i++) {
        alone = 0;
        for (size_t k = 0; k < LONG_ONES; k++)
            alone += bench_score(&other, adapted, (struct rows){&at[k], 1}, NULL).processor;
        struct measured all = bench_score(&other, adapted, (struct rows){at, LONG_ONES}, NULL);
        ratios[i] = all.processor / alone;
        tokens = all.tokens;
    }
    adapted_release(adapted);
    long_close(&other);
    printf("# %d examples of %.0f tokens; one as long as all of them takes %.1f times as long\n",
           LONG_ONES, tokens / LONG_ONES, whole_seconds(b, path) / alone);
    goal_at_most("seconds_of_4_long_examples_over_each_alone", median(ratios, ROUNDS), 1.1);
}

/* ---- Memory --------------------------------------------------------------------------------- */

/* A trial whose examples are long keeps to the memory it is given. */
static void grow_training(const char *program, const char *model, const char *path)
{
    struct command trial = {"trial",
                            {"trial", "lora", path, "--examples=8", "--set=num_epochs=1",
                             "--max-memory=2G", "--budget=10h", "--quiet", model ? "--model" : NULL,
                             model}};
    write_rows(path, 20, 2048 / 5); /* five tokens a word */
    double start = clock_seconds();
    struct used used = run_command(program, &trial);
    printf("# LoRA on 8 examples of 2,048 tokens, and scoring: %.0f s, %.0f s of the processor\n",
           clock_seconds() - start, used.milliseconds / 1e3);
    goal_at_most("peak_gigabytes_of_2048_tokens_under_2G", used.bytes / (1024.0 * 1024 * 1024), 2);
}

static void grow_rows(const char *program, const char *path)
{
    const struct command profile = {
        "profile", {"profile", path, "--model", "tests/parity/fixtures/tiny.gguf", "--quiet"}};
    write_rows(path, ROWS, 14);
    double bytes = run_command(program, &profile).bytes;
    goal_at_most("peak_megabytes_of_100k_rows", bytes / (1024.0 * 1024), 200);
}

static void grow_narrow(const char *tokenizer, const char *folder, int threads)
{
    char model[BENCH_PATH + 16], path[BENCH_PATH + 16];
    struct bench b;
    snprintf(model, sizeof model, "%s/narrow.gguf", folder);
    snprintf(path, sizeof path, "%s/rows.csv", folder);
    made_model_write(model, &narrow, tokenizer);
    bench_open(&b, model, threads);
    grow_tokens(&b, "seconds_a_token_100k_over_1k_narrow", MANY_TOKENS);
    grow_examples(&b, path);
    bench_close(&b);
}

int main(int argc, char **argv)
{
    struct bench b;
    char folder[BENCH_PATH], path[BENCH_PATH + 16], usual[MODEL_PATH];
    if (argc < 2) {
        fprintf(stderr, "Usage: bench_growth PROGRAM [MODEL [THREADS]]\n");
        return USAGE;
    }
    const char *model = argc > 2 && *argv[2] ? argv[2] : NULL;
    int threads = argc > 3 ? atoi(argv[3]) : 0;
    if (!model && !default_model(usual))
        return BAD_MODEL;
    bench_folder(folder);
    snprintf(path, sizeof path, "%s/rows.csv", folder);
    /* Commands first: a process counts the memory of the one it was forked from as its own. */
    grow_rows(argv[1], path);
    grow_training(argv[1], model, path);
    grow_narrow(model ? model : usual, folder, threads);
    bench_open(&b, model, threads);
    grow_tokens(&b, "seconds_a_token_10k_over_1k", SOME_TOKENS);
    bench_close(&b);
    return 0;
}
