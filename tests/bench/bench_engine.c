/* SPDX-License-Identifier: Apache-2.0
 *
 * Speed of the engine beside the speed of the matrix products it is made of.
 *
 *     build/bench/bench_engine [MODEL [THREADS]]
 *
 * Everything is measured in one run, in rounds that alternate, since machines drift: the sgemm rate
 * at the model's own shapes with one product per thread, then scoring of packed requests, then LoRA
 * steps. The ratio compares the floating-point operations of the model's linear layers per second
 * with that rate; medians over the rounds. Then what it saves that many requests share a prompt.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "model/blas.h"
#include "techniques/score.h"
#include "tests/bench/rates.h"

enum {
    ROUNDS = 5,
    GEMM_ROWS = 512,
    SCORED = 96,
    TRAINED = 32,
    GEMM_REPEATS = 2,
    PREFIX = 300,  /* tokens of the few-shot prompt, at least */
    REQUESTS = 24, /* behind it */
    PREFIX_ROUNDS = 3
};

/* All seven products of one layer, a few times over, as one task. */
static enum status gemm_task(void *context, size_t task, int worker, struct error *err)
{
    (void)task;
    (void)err;
    struct engine *engine = context;
    const struct model *model = engine->model;
    struct arena *arena = &engine_workspace(engine, worker, false)->arena;
    int widest = model->n_ff > model->n_embd ? model->n_ff : model->n_embd;
    real *x = arena_zalloc(arena, (size_t)GEMM_ROWS * (size_t)widest * sizeof *x);
    real *y = arena_zalloc(arena, (size_t)GEMM_ROWS * (size_t)widest * sizeof *y);
    for (int repeat = 0; repeat < GEMM_REPEATS; repeat++)
        for (int layer = 0; layer < model->n_layer; layer++)
            for (int site = 0; site < N_SITES; site++) {
                const struct tensor *w = &model->layers[layer].linear[site];
                blas_gemm(AS_IS, TRANSPOSED, GEMM_ROWS, w->rows, w->cols, 1, x, w->cols, w->data,
                          w->cols, 0, y, w->rows);
            }
    return OK;
}

/* Floating-point operations of the linear layers for one row. */
static double layer_operations(const struct model *model)
{
    double operations = 0;
    for (int site = 0; site < N_SITES; site++)
        operations += 2.0 * model->n_layer * (double)tensor_size(&model->layers[0].linear[site]);
    return operations;
}

/* Operations per second of the products alone. */
static double gemm_rate(struct engine *engine)
{
    size_t tasks = (size_t)pool_threads(engine->pool);
    double start = clock_seconds();
    pool_run(engine->pool, tasks, gemm_task, engine, NULL);
    return (double)(tasks * GEMM_REPEATS * GEMM_ROWS) * layer_operations(engine->model) /
           (clock_seconds() - start);
}

static void report(const char *what, double *tokens, double *ratios, double passes)
{
    double share = median(ratios, ROUNDS);
    printf("%-28s %8.0f tokens/s   %4.0f %% of the sgemm rate (%g passes)\n", what,
           median(tokens, ROUNDS), 100 * share, passes);
}

static double rate(struct measured measured)
{
    return measured.tokens / measured.seconds;
}

static void run(struct bench *b)
{
    /* A LoRA step runs forward and the gradient of the activations: two products for each one of
     * the forward pass; no gradient of a frozen weight. */
    const double training_passes = 2, operations = layer_operations(b->model);
    size_t first[SCORED];
    for (size_t i = 0; i < SCORED; i++)
        first[i] = i;
    const struct rows few = {first, TRAINED}, all = {first, SCORED};
    const struct material material = {.data = &b->data, .rows = few.at, .count = few.count};
    struct adapted *scored = bench_adapt(b, "zero_shot", NULL, few),
                   *trained = bench_adapt(b, "lora", NULL, few);
    double gemm[ROUNDS], score[ROUNDS], train[ROUNDS], score_ratio[ROUNDS], train_ratio[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        double before = gemm_rate(b->engine);
        score[i] = rate(bench_score(b, scored, all, NULL));
        train[i] = rate(bench_train(trained, &material, NULL));
        double after = gemm_rate(b->engine);
        gemm[i] = (before + after) / 2;
        score_ratio[i] = score[i] * operations / gemm[i];
        train_ratio[i] = training_passes * train[i] * operations / gemm[i];
    }
    printf("sgemm at the model's shapes  %8.1f GFLOP/s on %d threads, %d rows\n",
           median(gemm, ROUNDS) / 1e9, pool_threads(b->engine->pool), GEMM_ROWS);
    report("scoring, packed requests", score, score_ratio, 1);
    report("LoRA step, r 8 on q and v", train, train_ratio, training_passes);
    adapted_release(scored);
    adapted_release(trained);
}

/* ---- A shared prefix ------------------------------------------------------------------------ */

/* Few-shot with as many worked examples as make a prompt of PREFIX tokens. */
static struct adapted *few_shot(struct bench *b, struct rows shown)
{
    struct adapted *adapted = NULL;
    for (int k = 1; !adapted || adapted->prefix.count < PREFIX; k++) {
        char change[16];
        snprintf(change, sizeof change, "k=%d", k);
        adapted_release(adapted);
        adapted = bench_adapt(b, "few_shot", change, shown);
    }
    return adapted;
}

/* Labels behind each sequence, as their probabilities' logarithms; returns the seconds. */
static double score_seconds(struct bench *b, struct adapted *adapted, struct sequence *sequences,
                            struct scores *scores)
{
    struct error err;
    must(adapted_warm(adapted, &err), &err);
    double start = clock_seconds();
    must(score_labels(adapted, SCORE_WHOLE, sequences, REQUESTS, scores, &b->arena, NULL, &err),
         &err);
    return clock_seconds() - start;
}

static double largest_difference(const double *a, const double *b, size_t count)
{
    double largest = 0;
    for (size_t i = 0; i < count; i++)
        largest = fmax(largest, fabs(a[i] - b[i]));
    return largest;
}

/* The same requests behind the cached prompt, and each with all of the prompt in front. */
static void bench_prefix(struct bench *b)
{
    size_t at[REQUESTS + TRAINED];
    const struct example *examples[REQUESTS];
    struct sequence *requests, whole[REQUESTS];
    struct scores shared, alone;
    struct error err;
    double gains[PREFIX_ROUNDS];
    for (size_t i = 0; i < REQUESTS + TRAINED; i++)
        at[i] = i;
    struct adapted *adapted = few_shot(b, (struct rows){at + REQUESTS, TRAINED});
    struct tokens prefix = adapted->prefix;
    const struct retrieved all = {.ids = prefix.ids, .count = (int)prefix.count};
    for (size_t i = 0; i < REQUESTS; i++)
        examples[i] = &b->data.examples[at[i]];
    must(prompt_encode(adapted, examples, REQUESTS, false, &b->arena, &requests, &err), &err);
    for (size_t i = 0; i < REQUESTS; i++)
        whole[i] = prompt_behind(&all, &requests[i], &b->arena);
    for (int i = 0; i < PREFIX_ROUNDS; i++) {
        double fast = score_seconds(b, adapted, requests, &shared);
        adapted_cool(adapted);
        adapted->prefix.count = 0;
        double slow = score_seconds(b, adapted, whole, &alone);
        adapted->prefix = prefix;
        gains[i] = slow / fast;
    }
    printf("# few-shot, a prompt of %zu tokens: logarithms of the probabilities differ by %.1e\n",
           prefix.count,
           largest_difference(shared.log_probabilities, alone.log_probabilities,
                              REQUESTS * b->data.label_count));
    double gain = median(gains, PREFIX_ROUNDS);
    printf("shared_prefix_gain %.3g >=7 %s\n", gain, gain >= 7 ? "met" : "missed");
    adapted_release(adapted);
}

int main(int argc, char **argv)
{
    struct bench b;
    bench_open(&b, argc > 1 ? argv[1] : NULL, argc > 2 ? atoi(argv[2]) : 0);
    printf("%s, %s\n", b.model->name, blas_version());
    run(&b);
    bench_prefix(&b);
    bench_close(&b);
    return 0;
}
