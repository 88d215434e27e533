/* SPDX-License-Identifier: Apache-2.0
 *
 * Speed of the engine beside the speed of the matrix products it is made of.
 *
 *     build/bench/bench_engine [MODEL [THREADS]]
 *
 * Everything is measured in one run, in rounds that alternate, since machines drift: the sgemm rate
 * at the model's own shapes with one product per thread, then scoring of packed requests, then LoRA
 * steps. The ratio compares the floating-point operations of the model's linear layers per second
 * with that rate; medians over the rounds.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "datasets/dataset.h"
#include "model/blas.h"
#include "techniques/adapted.h"
#include "techniques/trainer.h"
#include "tests/default_model.h"

enum { ROUNDS = 5, GEMM_ROWS = 512, SCORED = 96, TRAINED = 32, GEMM_REPEATS = 2 };

struct bench {
    struct engine *engine;
    struct dataset data;
    size_t rows[SCORED];
    struct arena arena;
    double layer_operations; /* of the linear layers, for one row */
};

/* All seven products of one layer, a few times over, as one task. */
static enum status gemm_task(void *context, size_t task, int worker, struct error *err)
{
    (void)task;
    (void)err;
    const struct bench *b = context;
    const struct model *model = b->engine->model;
    struct arena *arena = &engine_workspace(b->engine, worker, false)->arena;
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

/* Operations per second of the products alone. */
static double gemm_rate(struct bench *b)
{
    size_t tasks = (size_t)pool_threads(b->engine->pool);
    double start = clock_seconds();
    pool_run(b->engine->pool, tasks, gemm_task, b, NULL);
    return (double)(tasks * GEMM_REPEATS * GEMM_ROWS) * b->layer_operations /
           (clock_seconds() - start);
}

static void must(enum status status, const struct error *err)
{
    if (status == OK)
        return;
    fprintf(stderr, "bench: %s\n", err->text);
    exit((int)status);
}

/* Tokens per second of scoring requests behind a warm prefix. */
static double scoring_rate(struct bench *b, struct adapted *adapted)
{
    const struct example *examples[SCORED];
    struct outcome outcomes[SCORED];
    struct error err;
    size_t tokens = 0;
    for (size_t i = 0; i < SCORED; i++)
        examples[i] = &b->data.examples[b->rows[i]];
    must(adapted_warm(adapted, &err), &err);
    struct arena_mark mark = arena_mark(&b->arena);
    double start = clock_seconds();
    must(adapted_answer(adapted, examples, SCORED, outcomes, &b->arena, NULL, &err), &err);
    double seconds = clock_seconds() - start;
    for (size_t i = 0; i < SCORED; i++)
        tokens += (size_t)outcomes[i].request_tokens;
    arena_rewind(&b->arena, mark);
    return (double)tokens / seconds;
}

/* Tokens per second of LoRA steps, forward, backward and update. */
static double training_rate(struct bench *b, struct adapted *adapted)
{
    struct material material = {.data = &b->data, .rows = b->rows, .count = TRAINED};
    struct training_report report;
    struct error err;
    must(trainer_run(adapted, &material, NULL, NULL, &report, &err), &err);
    return (double)report.tokens / report.seconds;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, compare);
    return values[count / 2];
}

static struct adapted *adapt(struct bench *b, const char *technique)
{
    struct setting setting = setting_default(technique_find(technique));
    struct material material = {.data = &b->data, .rows = b->rows, .count = TRAINED};
    struct adapted *adapted;
    struct error err;
    if (setting_has(&setting, "num_epochs")) {
        setting_set_number(&setting, "num_epochs", 1, &b->arena);
        setting_set_number(&setting, "batch_size", 16, &b->arena);
    }
    must(adapted_create(&adapted, b->engine, &setting, &material, &err), &err);
    return adapted;
}

static void report(const char *what, double *tokens, double *ratios, double passes)
{
    double share = median(ratios, ROUNDS);
    printf("%-28s %8.0f tokens/s   %4.0f %% of the sgemm rate (%g passes)\n", what,
           median(tokens, ROUNDS), 100 * share, passes);
}

static void run(struct bench *b)
{
    /* A LoRA step runs forward and the gradient of the activations: two products for each one of
     * the forward pass; no gradient of a frozen weight. */
    const double training_passes = 2;
    struct adapted *scored = adapt(b, "zero_shot"), *trained = adapt(b, "lora");
    double gemm[ROUNDS], score[ROUNDS], train[ROUNDS], score_ratio[ROUNDS], train_ratio[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        double before = gemm_rate(b);
        score[i] = scoring_rate(b, scored);
        train[i] = training_rate(b, trained);
        double after = gemm_rate(b);
        gemm[i] = (before + after) / 2;
        score_ratio[i] = score[i] * b->layer_operations / gemm[i];
        train_ratio[i] = training_passes * train[i] * b->layer_operations / gemm[i];
    }
    printf("sgemm at the model's shapes  %8.1f GFLOP/s on %d threads, %d rows\n",
           median(gemm, ROUNDS) / 1e9, pool_threads(b->engine->pool), GEMM_ROWS);
    report("scoring, packed requests", score, score_ratio, 1);
    report("LoRA step, r 8 on q and v", train, train_ratio, training_passes);
    adapted_release(scored);
    adapted_release(trained);
}

int main(int argc, char **argv)
{
    struct bench b = {0};
    struct model *model;
    struct error err;
    char path[MODEL_PATH];
    bool given = argc > 1 && *argv[1];
    if (!given && !default_model(path))
        return BAD_MODEL;
    must(model_load(&model, given ? argv[1] : path, &err), &err);
    must(dataset_load("demo:tickets", NULL, &b.data, &err), &err);
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    b.engine = engine_create(model, argc > 2 ? atoi(argv[2]) : (int)cores);
    arena_init(&b.arena, NULL);
    for (size_t i = 0; i < SCORED; i++)
        b.rows[i] = i;
    for (int site = 0; site < N_SITES; site++)
        b.layer_operations +=
            2.0 * model->n_layer * (double)tensor_size(&model->layers[0].linear[site]);
    printf("%s, %s\n", model->name, blas_version());
    run(&b);
    engine_free(b.engine);
    model_free(model);
    dataset_release(&b.data);
    arena_release(&b.arena);
    return 0;
}
