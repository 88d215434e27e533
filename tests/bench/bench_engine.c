/* SPDX-License-Identifier: Apache-2.0
 *
 * Speed of the engine beside the speed of the matrix products it is made of.
 *
 *     build/bench/bench_engine [MODEL [THREADS]]
 *
 * Prints lines `figure value goal met|missed`, and comments after #. Every figure is a ratio within
 * this run, of rounds that alternate, since machines drift; medians over the rounds.
 *
 * The operations per second of the products that scoring and training cannot do without are
 * compared with the sgemm rate at the model's own shapes, one product for each thread; two threads
 * with one; packed weights with expanded ones; a prompt that requests
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
    TRAINED = 48, /* three steps, the first of which is not counted */
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
    size_t size = (size_t)GEMM_ROWS * (size_t)widest;
    real *x = arena_alloc(arena, size * sizeof *x), *y = arena_alloc(arena, size * sizeof *y);
    for (size_t i = 0; i < size; i++)
        x[i] = (real)(i % 7) - 3; /* zeros may be multiplied faster */
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

/* ---- The engine beside its products --------------------------------------------------------- */

/* Passes are products for each one of a forward pass: a LoRA step has the gradient of the
 * activations too, and a step of all weights theirs. */
static const struct work {
    const char *name, *technique;
    int passes;
    bool alone; /* measured on one thread too */
} works[] = {{"scoring", "zero_shot", 1, true},
             {"lora", "lora", 2, true},
             {"full", "full_finetune", 3, false}};

enum { WORKS = sizeof works / sizeof *works };

/* What was run in how much time. */
struct run {
    double rows;     /* prefixes included */
    double scored;   /* rows whose state behind the last layer is read */
    double examples; /* requests */
    double prefixes; /* times that the shared prefix was run */
    double seconds;
    double first; /* seconds of the first step over those of the others; 0: there are no steps */
};

static struct run run_scoring(struct bench *b, struct adapted *adapted)
{
    size_t at[SCORED];
    first_rows(at, SCORED);
    struct measured measured = bench_score(b, adapted, (struct rows){at, SCORED}, NULL);
    return (struct run){.rows = measured.tokens,
                        .scored = (double)SCORED * adapted->labels->n_forks,
                        .examples = SCORED,
                        .seconds = measured.seconds};
}

/* Steps as they come in a training: the first one apart, since it is also the first to touch the
 * memory. */
struct stopwatch {
    double start, first, end; /* seconds on the clock */
    size_t steps, examples, answers, first_examples, first_answers;
};

static enum status note_step(void *context, const struct training_step *step, size_t total_steps,
                             struct error *err)
{
    struct stopwatch *watch = context;
    (void)total_steps;
    (void)err;
    watch->end = clock_seconds();
    watch->steps = step->step;
    watch->examples = step->examples;
    watch->answers = step->tokens;
    if (step->step > 1)
        return OK;
    watch->first = watch->end;
    watch->first_examples = step->examples;
    watch->first_answers = step->tokens;
    return OK;
}

static double train(struct adapted *adapted, size_t count, struct stopwatch *watch)
{
    size_t at[TRAINED];
    struct training_report report;
    struct error err;
    first_rows(at, TRAINED);
    const struct material material = {.data = adapted->data, .rows = at, .count = count};
    const struct training_hooks hooks = {.context = watch, .step = note_step};
    *watch = (struct stopwatch){.start = clock_seconds()};
    must(trainer_run(adapted, &material, &hooks, NULL, &report, &err), &err);
    return (double)report.tokens;
}

/* Rows of a training, which are the same each time. */
struct known {
    double first; /* of the first step */
    double own;   /* of the examples of the others, without the prefix */
};

static struct known know(struct bench *b, const struct work *work, struct adapted *adapted)
{
    const struct example *examples[TRAINED];
    struct sequence *sequences;
    struct stopwatch watch;
    struct error err;
    struct known known = {0};
    if (work->passes == 1)
        return known;
    for (size_t i = 0; i < TRAINED; i++)
        examples[i] = &adapted->data->examples[i];
    must(prompt_encode(adapted, examples, TRAINED, true, &b->arena, &sequences, &err), &err);
    for (size_t i = TRAINED / 3; i < TRAINED; i++)
        known.own += sequences[i].request + sequences[i].answer - 1;
    known.first = train(adapted, TRAINED / 3, &watch);
    return known;
}

static struct run run_training(struct adapted *adapted, struct known known)
{
    struct stopwatch w;
    struct run run = {.rows = train(adapted, TRAINED, &w) - known.first};
    double steps = (double)(w.steps - 1), prefix = (double)adapted->prefix.count;
    run.scored = (double)(w.answers - w.first_answers);
    run.examples = (double)(w.examples - w.first_examples);
    run.prefixes = prefix > 0 ? (run.rows - known.own) / prefix : 0;
    run.seconds = w.end - w.first;
    run.first = (w.first - w.start) / (run.seconds / steps);
    return run;
}

static struct run run_work(struct bench *b, const struct work *work, struct adapted *adapted,
                           struct known known)
{
    return work->passes > 1 ? run_training(adapted, known) : run_scoring(b, adapted);
}

/* Floating-point operations of the products that the work needs; what the engine does beyond them,
 * or computes twice, counts as nothing done.
 *
 * Linear layers: two for each weight and row, in the last layer for keys and values only, and for
 * the rest in the scored rows. The output head in training: two for each of its weights and scored
 * row; scoring reads a few of its rows. All this as often as `passes` says; LoRA needs no gradient
 * of what enters the first layer. LoRA's own matrices: two for each value and row forward, two for
 * the gradient of their input and two for their own. Attention (but in the last layer, where few
 * rows need it): scores and mix, four for each feature and row that a row sees, and twice as many
 * on the way back; how many are seen is taken from the mean length, which makes it a little less
 * than it is. Norms, rotation, activations, softmax, AdamW: none. */
static double needed(const struct adapted *adapted, const struct work *work, const struct run *run)
{
    const struct model *m = adapted->engine->model;
    double all = 0, early = 0, keys = 0;
    for (int site = 0; site < N_SITES; site++) {
        double operations = 2.0 * (double)tensor_size(&m->layers[0].linear[site]);
        all += operations;
        keys += site == SITE_K || site == SITE_V ? operations : 0;
        early += site == SITE_Q || site == SITE_K || site == SITE_V ? operations : 0;
    }
    double between = m->n_layer - 1.0, prefix = (double)adapted->prefix.count;
    double linear = (between * all + keys) * run->rows + (all - keys) * run->scored;
    double own = (run->rows - run->prefixes * prefix) / run->examples;
    double seen =
        run->examples * own * (prefix + (own + 1) / 2) + run->prefixes * prefix * (prefix + 1) / 2;
    double attention = 4.0 * m->n_head * m->head_dim * between * seen;
    if (work->passes == 1)
        return linear + attention;
    double head = 2.0 * (double)tensor_size(&m->output) * run->scored;
    double operations = work->passes * (linear + head) + 3 * attention;
    if (work->passes == 2)
        operations += (6.0 * (double)adapted->parameters.count - early) * run->rows;
    return operations;
}

static double rate(struct run run)
{
    return run.rows / run.seconds;
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
    double gemm[ROUNDS], rates[ROUNDS], shares[ROUNDS], gains[ROUNDS], firsts[ROUNDS];
    struct adapted *adapted = work_adapt(b, work);
    struct adapted *alone = work->alone ? work_adapt(one, work) : NULL;
    struct known known = know(b, work, adapted);
    for (int i = 0; i < ROUNDS; i++) {
        double before = gemm_rate(b->engine);
        struct run run = run_work(b, work, adapted, known);
        gemm[i] = (before + gemm_rate(b->engine)) / 2;
        rates[i] = rate(run);
        firsts[i] = run.first;
        shares[i] = 100 * needed(adapted, work, &run) / run.seconds / gemm[i];
        if (alone)
            gains[i] = rates[i] / rate(run_work(one, work, alone, known));
    }
    printf(
        "# %s: %.0f tokens/s; sgemm at the model's shapes, %d rows: %.1f GFLOP/s on %d threads\n",
        work->name, median(rates, ROUNDS), GEMM_ROWS, median(gemm, ROUNDS) / 1e9,
        pool_threads(b->engine->pool));
    if (work->passes > 1)
        printf("# %s: the first step, not counted above, takes %.2f times as long as others\n",
               work->name, median(firsts, ROUNDS));
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
        struct known known = know(b, &works[w], fast);
        for (int i = 0; i < ROUNDS; i++) {
            double slow = rate(run_work(&packed, &works[w], small, known));
            costs[i] = 100 - 100 * slow / rate(run_work(b, &works[w], fast, known));
        }
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
