/* SPDX-License-Identifier: Apache-2.0
 *
 * Speed of the engine beside the speed of the matrix products it is made of.
 *
 *     build/bench/bench_engine [MODEL [THREADS]]
 *
 * Prints lines `figure value goal met|missed`, and comments after #. Every figure is a ratio within
 * this run, of rounds that alternate, since machines drift; medians over the rounds.
 *
 * The operations per second of the model's linear layers, while requests are scored and while
 * techniques train, are compared with the sgemm rate at the model's own shapes, one product for
 * each thread; two threads with one; packed weights with expanded ones; a prompt that requests
 * share with the same in front of each; many labels with two.
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
    LABELLED = 154,
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

static void first_rows(size_t *at, size_t count)
{
    for (size_t i = 0; i < count; i++)
        at[i] = i;
}

static double rate(struct measured measured)
{
    return measured.tokens / measured.seconds;
}

/* ---- The engine beside its products --------------------------------------------------------- */

/* Passes are products for each one of a forward pass: a LoRA step has the gradient of the
 * activations too, and a step of all weights theirs. */
static const struct work {
    const char *name, *technique;
    double passes;
    bool alone; /* measured on one thread too */
} works[] = {{"scoring", "zero_shot", 1, true},
             {"lora", "lora", 2, true},
             {"full", "full_finetune", 3, false}};

enum { WORKS = sizeof works / sizeof *works };

static double work_rate(struct bench *b, const struct work *work, struct adapted *adapted)
{
    size_t at[SCORED];
    first_rows(at, SCORED);
    const struct material material = {.data = &b->data, .rows = at, .count = TRAINED};
    return rate(work->passes > 1 ? bench_train(adapted, &material, NULL)
                                 : bench_score(b, adapted, (struct rows){at, SCORED}, NULL));
}

static struct adapted *work_adapt(struct bench *b, const struct work *work)
{
    size_t at[TRAINED];
    first_rows(at, TRAINED);
    return bench_adapt(b, work->technique, NULL, (struct rows){at, TRAINED});
}

/* The same data behind another engine; end with beside_close. */
static struct bench beside(const struct bench *b, const struct model *model, int threads)
{
    struct bench other = {.data = b->data, .engine = engine_create(model, threads)};
    arena_init(&other.arena, NULL);
    return other;
}

static void beside_close(struct bench *other)
{
    engine_free(other->engine);
    arena_release(&other->arena);
}

static void print_ratio(const char *work, const char *what, double *values, double goal)
{
    char name[64];
    snprintf(name, sizeof name, "%s_%s", work, what);
    goal_at_least(name, median(values, ROUNDS), goal);
}

static void bench_work(struct bench *b, struct bench *one, const struct work *work)
{
    const double operations = layer_operations(b->model);
    double gemm[ROUNDS], rates[ROUNDS], shares[ROUNDS], gains[ROUNDS];
    struct adapted *adapted = work_adapt(b, work);
    struct adapted *alone = work->alone ? work_adapt(one, work) : NULL;
    for (int i = 0; i < ROUNDS; i++) {
        double before = gemm_rate(b->engine);
        rates[i] = work_rate(b, work, adapted);
        gemm[i] = (before + gemm_rate(b->engine)) / 2;
        shares[i] = 100 * work->passes * rates[i] * operations / gemm[i];
        if (alone)
            gains[i] = rates[i] / work_rate(one, work, alone);
    }
    printf(
        "# %s: %.0f tokens/s; sgemm at the model's shapes, %d rows: %.1f GFLOP/s on %d threads\n",
        work->name, median(rates, ROUNDS), GEMM_ROWS, median(gemm, ROUNDS) / 1e9,
        pool_threads(b->engine->pool));
    print_ratio(work->name, "percent_of_sgemm", shares, 90);
    if (alone && pool_threads(b->engine->pool) == 2)
        print_ratio(work->name, "two_threads_over_one", gains, 1.85);
    adapted_release(alone);
    adapted_release(adapted);
}

static void bench_works(struct bench *b)
{
    struct bench one = beside(b, b->model, 1);
    for (int i = 0; i < WORKS; i++)
        bench_work(b, &one, &works[i]);
    beside_close(&one);
}

/* ---- Packed weights ------------------------------------------------------------------------- */

/* What it costs to expand the weights for each product, in percent of the speed. */
static void bench_packed(struct bench *b)
{
    struct model *model;
    struct error err;
    int threads = pool_threads(b->engine->pool);
    must(model_load_as(&model, b->model->path, WEIGHTS_PACKED, threads, &err), &err);
    struct bench packed = beside(b, model, threads);
    for (int w = 0; w < WORKS; w++) {
        double costs[ROUNDS];
        char name[64];
        if (!works[w].alone)
            continue;
        struct adapted *fast = work_adapt(b, &works[w]), *small = work_adapt(&packed, &works[w]);
        for (int i = 0; i < ROUNDS; i++)
            costs[i] =
                100 - 100 * work_rate(&packed, &works[w], small) / work_rate(b, &works[w], fast);
        snprintf(name, sizeof name, "%s_percent_lost_with_packed_weights", works[w].name);
        goal_at_most(name, median(costs, ROUNDS), 15);
        adapted_release(small);
        adapted_release(fast);
    }
    beside_close(&packed);
    model_free(model);
}

/* ---- Many labels ---------------------------------------------------------------------------- */

/* The texts of demo:tickets with labels of two words that have nothing to do with them. */
static void write_labels(const struct dataset *from, size_t labels, struct dataset *data)
{
    static const char *const firsts[] = {"card", "cash", "rate", "fee", "limit", "app", "top-up"},
                             *const seconds[] = {"lost",    "late",   "wrong",   "missing",
                                                 "refused", "stolen", "pending", "doubled",
                                                 "unknown", "closed", "new"};
    struct text text = {0};
    struct error err;
    text_add(&text, "text,label\n");
    for (size_t i = 0; i < LABELLED; i++) {
        size_t label = i % labels;
        text_printf(&text, "\"%zu ", i);
        for (const char *c = from->examples[i].input; *c; c++)
            text_printf(&text, *c == '"' ? "\"\"" : "%c", *c);
        text_printf(&text, "\",%s %s\n", firsts[label % 7], seconds[label / 7]);
    }
    must(dataset_parse("labels.csv", text_string(&text), text.length, NULL, data, &err), &err);
    text_release(&text);
}

/* Seconds to score requests with so many labels. */
static double labels_seconds(struct bench *b, struct adapted *adapted)
{
    size_t at[SCORED];
    first_rows(at, SCORED);
    return bench_score(b, adapted, (struct rows){at, SCORED}, NULL).seconds;
}

static void bench_labels(struct bench *b)
{
    enum { FEW = 2, MANY = 77 };
    struct bench few = beside(b, b->model, pool_threads(b->engine->pool)),
                 many = beside(b, b->model, pool_threads(b->engine->pool));
    double ratios[ROUNDS];
    write_labels(&b->data, FEW, &few.data);
    write_labels(&b->data, MANY, &many.data);
    struct adapted *of_few = work_adapt(&few, &works[0]), *of_many = work_adapt(&many, &works[0]);
    for (int i = 0; i < ROUNDS; i++)
        ratios[i] = labels_seconds(&many, of_many) / labels_seconds(&few, of_few);
    goal_at_most("seconds_of_77_labels_over_2", median(ratios, ROUNDS), 3);
    adapted_release(of_many);
    adapted_release(of_few);
    dataset_release(&many.data);
    dataset_release(&few.data);
    beside_close(&many);
    beside_close(&few);
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
    first_rows(at, REQUESTS + TRAINED);
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
    goal_at_least("shared_prefix_gain", median(gains, PREFIX_ROUNDS), 7);
    adapted_release(adapted);
}

int main(int argc, char **argv)
{
    struct bench b;
    bench_open(&b, argc > 1 ? argv[1] : NULL, argc > 2 ? atoi(argv[2]) : 0);
    printf("# %s, %s\n", b.model->name, blas_version());
    bench_works(&b);
    bench_packed(&b);
    bench_prefix(&b);
    bench_labels(&b);
    bench_close(&b);
    return 0;
}
