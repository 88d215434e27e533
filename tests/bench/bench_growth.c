/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether cost grows as the work does: tokens, long examples, rows of a file.
 *
 *     build/bench/bench_growth PROGRAM [MODEL [THREADS]]
 *
 * Prints lines `figure value goal met|missed`, and comments after #. Times are ratios within this
 * run.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/bench/programs.h"
#include "tests/bench/rates.h"

enum { FEW_TOKENS = 1000, MANY_TOKENS = 100000, ROWS = 100000, LONG = 1000, LONG_ONES = 4 };

static struct adapted *zero_shot(struct bench *b)
{
    size_t none = 0;
    return bench_adapt(b, "zero_shot", NULL, (struct rows){&none, 0});
}

/* ---- Tokens --------------------------------------------------------------------------------- */

/* Seconds a token, when as many requests are scored together as have so many tokens. */
static double seconds_a_token(struct bench *b, struct adapted *adapted, size_t tokens)
{
    struct arena_mark mark = arena_mark(&b->arena);
    size_t each = 25, count = tokens / each; /* roughly; what was read is counted */
    size_t *at = arena_alloc(&b->arena, count * sizeof *at);
    for (size_t i = 0; i < count; i++)
        at[i] = i % b->data.count;
    struct measured measured = bench_score(b, adapted, (struct rows){at, count}, NULL);
    arena_rewind(&b->arena, mark);
    return measured.seconds / measured.tokens;
}

static void grow_tokens(struct bench *b)
{
    enum { ROUNDS = 9 };
    struct adapted *adapted = zero_shot(b);
    double few[ROUNDS];
    for (int i = 0; i < ROUNDS / 2; i++)
        few[i] = seconds_a_token(b, adapted, FEW_TOKENS);
    double many = seconds_a_token(b, adapted, MANY_TOKENS);
    for (int i = ROUNDS / 2; i < ROUNDS; i++)
        few[i] = seconds_a_token(b, adapted, FEW_TOKENS);
    goal_at_most("seconds_a_token_100k_over_1k", many / median(few, ROUNDS), 1.1);
    adapted_release(adapted);
}

/* ---- Long examples -------------------------------------------------------------------------- */

/* Attention is quadratic within an example, and only there: several long ones on one thread take
 * as long as one does, so many times. */
static void grow_examples(struct bench *b, const char *path)
{
    enum { ROUNDS = 3 };
    struct bench one = {.engine = engine_create(b->model, 1)};
    struct error err;
    size_t at[LONG_ONES] = {0, 1, 2, 3};
    double ratios[ROUNDS];
    arena_init(&one.arena, NULL);
    write_rows(path, 2 * LONG_ONES, LONG / 4);
    must(dataset_load(path, NULL, &one.data, &err), &err);
    struct adapted *adapted = zero_shot(&one);
    for (int i = 0; i < ROUNDS; i++) {
        struct measured all = bench_score(&one, adapted, (struct rows){at, LONG_ONES}, NULL),
                        first = bench_score(&one, adapted, (struct rows){at, 1}, NULL);
        ratios[i] = all.seconds / all.tokens / (first.seconds / first.tokens);
        printf("# %d examples with %.0f tokens\n", LONG_ONES, all.tokens);
    }
    goal_at_most("seconds_a_token_of_4_long_examples_over_1", median(ratios, ROUNDS), 1.1);
    adapted_release(adapted);
    dataset_release(&one.data);
    engine_free(one.engine);
    arena_release(&one.arena);
}

/* ---- Memory --------------------------------------------------------------------------------- */

/* A trial whose examples are long keeps to the memory it is given. */
static void grow_training(const char *program, const char *model, const char *path)
{
    struct command trial = {"trial",
                            {"trial", "lora", path, "--examples=8", "--set=num_epochs=1",
                             "--max-memory=2G", "--quiet", model ? "--model" : NULL, model}};
    write_rows(path, 20, 2048 / 5); /* five tokens a word */
    double bytes = run_command(program, &trial).bytes;
    goal_at_most("peak_gigabytes_of_2048_tokens_under_2G", bytes / (1024.0 * 1024 * 1024), 2);
}

static void grow_rows(const char *program, const char *path)
{
    const struct command profile = {
        "profile", {"profile", path, "--model", "tests/parity/fixtures/tiny.gguf", "--quiet"}};
    write_rows(path, ROWS, 14);
    double bytes = run_command(program, &profile).bytes;
    goal_at_most("peak_megabytes_of_100k_rows", bytes / (1024.0 * 1024), 200);
}

int main(int argc, char **argv)
{
    struct bench b;
    char folder[BENCH_PATH], path[BENCH_PATH + 16];
    if (argc < 2) {
        fprintf(stderr, "Usage: bench_growth PROGRAM [MODEL [THREADS]]\n");
        return USAGE;
    }
    const char *model = argc > 2 && *argv[2] ? argv[2] : NULL;
    bench_folder(folder);
    snprintf(path, sizeof path, "%s/rows.csv", folder);
    /* Commands first: a process counts the memory of the one it was forked from as its own. */
    grow_rows(argv[1], path);
    grow_training(argv[1], model, path);
    bench_open(&b, model, argc > 3 ? atoi(argv[3]) : 0);
    grow_tokens(&b);
    grow_examples(&b, path);
    bench_close(&b);
    bench_folder_remove(folder);
    return 0;
}
