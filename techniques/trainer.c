/* SPDX-License-Identifier: Apache-2.0 */
#include "techniques/trainer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "base/turns.h"
#include "model/operators.h"
#include "techniques/memory.h"
#include "techniques/pack.h"
#include "techniques/prompt.h"

enum {
    USUAL_STEPS = 64,
    LEAST_EPOCHS = 2,
    USUAL_EPOCHS = 4,
    MOST_EPOCHS = 10,
    LEAST_BATCH = 4,
    MOST_BATCH = 16
};

const struct hyperparameter *trainer_hyperparameters(void)
{
    static const struct hyperparameter table[] = {
        {.name = "learning_rate",
         .summary = "highest learning rate",
         .kind = VALUE_REAL,
         .low = 1e-8,
         .high = 10,
         .fallback = "1e-3"},
        {.name = "num_epochs",
         .summary = "passes over the examples; 0: as many as make 64 steps, 2 to 10",
         .kind = VALUE_INTEGER,
         .low = 0,
         .high = 1000,
         .fallback = "0"},
        {.name = "batch_size",
         .summary = "examples per step; 0: as many as make 64 steps, 4 to 16",
         .kind = VALUE_INTEGER,
         .low = 0,
         .high = 1024,
         .fallback = "0"},
        {.name = "lr_scheduler_type",
         .summary = "how the rate falls after the warm-up",
         .kind = VALUE_CHOICE,
         .choices = "linear|cosine|constant",
         .fallback = "linear"},
        {.name = "warmup_ratio",
         .summary = "share of the steps in which the rate rises",
         .kind = VALUE_REAL,
         .low = 0,
         .high = 1,
         .fallback = "0.1"},
        {.name = "weight_decay",
         .summary = "decoupled decay per unit of learning rate",
         .kind = VALUE_REAL,
         .low = 0,
         .high = 10,
         .fallback = "0.01"},
        {.name = "max_grad_norm",
         .summary = "norm to which a gradient is clipped; 0: never",
         .kind = VALUE_REAL,
         .low = 0,
         .high = 1e6,
         .fallback = "1"},
        {0}};
    return table;
}

/* AdamW with the constants of PyTorch's defaults. */
struct adamw {
    real *mean, *square; /* (count) running first and second moments; the first step finds nothing
                            in them */
    double rate, weight_decay;
    size_t step;
};

static const double beta1 = 0.9, beta2 = 0.999, adam_epsilon = 1e-8;

/* Parameters that are summed up, or updated, as one task. */
enum { CHUNK = 1 << 13 };

struct training {
    struct adapted *adapted;
    const struct sequence *sequences; /* in training order */
    const struct deadline *deadline;
    struct arena arena; /* what lives as long as the run */
    struct adamw optimizer;
    real *gradient;         /* (count) sum over the micro-batches of a step */
    double *squares;        /* (chunks) sums of squares of the gradient */
    real **worker_gradient; /* one (count less what is added in place) for each worker */
    struct turns *turns;    /* one for each parameter that is added in place */

    /* the step under way */
    const struct sequence *batch; /* in the order of this epoch */
    const struct span *spans;
    double *losses; /* (spans) sums over answer tokens, unweighted */
    real weight;    /* 1 / answer tokens of the batch */
    double scale;   /* of the gradient, for its norm's sake */
};

/* Batches that make the usual steps out of so many passes. */
static size_t usual_batch(size_t examples, size_t epochs)
{
    size_t batch = examples * epochs / USUAL_STEPS;
    batch = batch < LEAST_BATCH ? LEAST_BATCH : batch;
    return batch > MOST_BATCH ? MOST_BATCH : batch;
}

int trainer_epochs(const struct setting *setting, size_t examples)
{
    int epochs = setting_integer(setting, "num_epochs");
    if (epochs > 0)
        return epochs;
    size_t batch = (size_t)setting_integer(setting, "batch_size");
    batch = batch ? batch : usual_batch(examples, USUAL_EPOCHS);
    size_t steps = (examples + batch - 1) / batch;
    size_t wanted = steps ? (USUAL_STEPS + steps - 1) / steps : 1;
    wanted = wanted < LEAST_EPOCHS ? LEAST_EPOCHS : wanted;
    return (int)(wanted > MOST_EPOCHS ? MOST_EPOCHS : wanted);
}

size_t trainer_batch(const struct setting *setting, size_t examples)
{
    size_t batch = (size_t)setting_integer(setting, "batch_size");
    int epochs = setting_integer(setting, "num_epochs");
    if (batch)
        return batch;
    return usual_batch(examples, epochs ? (size_t)epochs : USUAL_EPOCHS);
}

double trainer_micro_batches(double batch, double example_tokens, double prefix_tokens)
{
    double room = fmax(MICRO_ROWS - prefix_tokens, MICRO_ROWS / 4.0);
    double count = MICRO_BATCHES * ceil(batch * example_tokens / room / MICRO_BATCHES);
    return fmin(count, batch);
}

double trainer_tokens(const struct setting *setting, size_t examples, double example_tokens,
                      double prefix_tokens)
{
    size_t batch = trainer_batch(setting, examples);
    size_t epochs = (size_t)trainer_epochs(setting, examples);
    size_t steps = epochs * ((examples + batch - 1) / batch);
    double micro = trainer_micro_batches((double)batch, example_tokens, prefix_tokens);
    return (double)(epochs * examples) * example_tokens + (double)steps * micro * prefix_tokens;
}

/* Learning rate of step `step` (from 1) as a share of the highest. */
static double schedule(const struct setting *setting, size_t step, size_t total)
{
    double warmup = setting_number(setting, "warmup_ratio") * (double)total;
    if ((double)step <= warmup)
        return (double)step / warmup;
    double rest = (double)total - warmup;
    double done = rest > 0 ? ((double)step - 1 - warmup) / rest : 0;
    done = done < 0 ? 0 : done;
    const char *kind = setting_text(setting, "lr_scheduler_type");
    if (!strcmp(kind, "constant"))
        return 1;
    return !strcmp(kind, "cosine") ? 0.5 * (1 + cos(3.141592653589793 * done)) : 1 - done;
}

/* One step for the parameters from `first` to before `last`. */
static void adamw_step(const struct adamw *o, size_t first, size_t last, const real *gradient,
                       real *restrict values, double scale)
{
    double correct1 = 1 - pow(beta1, (double)o->step), correct2 = 1 - pow(beta2, (double)o->step);
    real keep = (real)(1 - o->rate * o->weight_decay);
    real size = (real)(o->rate / correct1), inverse2 = (real)(1 / sqrt(correct2));
    real b1 = (real)beta1, b2 = (real)beta2, epsilon = (real)adam_epsilon;
    real *restrict mean = o->mean, *restrict square = o->square;
    if (o->step == 1) { /* here each worker touches its part of the memory for the first time */
        memset(mean + first, 0, (last - first) * sizeof *mean);
        memset(square + first, 0, (last - first) * sizeof *square);
    }
    for (size_t i = first; i < last; i++) {
        real g = gradient[i] * (real)scale;
        mean[i] = b1 * mean[i] + (1 - b1) * g;
        square[i] = b2 * square[i] + (1 - b2) * g * g;
        real divisor = (real)sqrt((double)square[i]) * inverse2 + epsilon;
        values[i] = keep * values[i] - size * mean[i] / divisor;
    }
}

static double sum_of_squares(const real *values, size_t count)
{
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < count; i++)
        sum += (double)values[i] * (double)values[i];
    return sum;
}

/* The parameters as micro-batch `task` sees them. What a pass reads once is added to the sum by the
 * product itself, in its turn. The rest is added up in a block of the worker's own first; the first
 * micro-batch comes first in the sum as well, so that its block is there. */
static struct tensor *views_for(const struct training *t, size_t task, int worker,
                                struct arena *arena)
{
    const struct parameters *p = &t->adapted->parameters;
    struct tensor *views = adapted_views(t->adapted, t->gradient, arena);
    real *own = t->worker_gradient[worker];
    for (int i = 0; i < p->n_items; i++) {
        size_t size = tensor_size(&views[i]);
        if (p->items[i].once) {
            struct shared_gradient *shared = arena_alloc(arena, sizeof *shared);
            *shared =
                (struct shared_gradient){.turns = t->turns, .section = (size_t)i, .task = task};
            views[i].shared = shared;
            continue;
        }
        if (task) {
            views[i].grad = own;
            own += size;
        }
        memset(views[i].grad, 0, size * sizeof(real));
    }
    return views;
}

/* Called when all micro-batches before `task` are in the sum. */
static void add_up(const struct training *t, size_t task, struct tensor *views)
{
    const struct parameters *p = &t->adapted->parameters;
    for (int i = 0; i < p->n_items; i++) {
        size_t size = tensor_size(&views[i]);
        real *sum = t->gradient + p->items[i].offset;
        if (p->items[i].once) {
            if (turns_passed(t->turns, (size_t)i, task))
                continue; /* as always, unless no gradient came that far */
            if (task == 0)
                memset(sum, 0, size * sizeof *sum);
            tape_turn_done(&views[i]);
            continue;
        }
        for (size_t v = 0; v < size && task; v++)
            sum[v] += views[i].grad[v];
    }
}

/* Forward and backward of one micro-batch; its gradient is added when its turn comes. */
static enum status run_micro_batch(void *context, size_t task, int worker, struct error *err)
{
    struct training *t = context;
    struct adapted *adapted = t->adapted;
    enum status status = deadline_check(t->deadline, err);
    if (status != OK) {
        turns_give_up(t->turns);
        return status;
    }
    struct workspace *workspace = engine_workspace(adapted->engine, worker, true);
    struct arena *arena = &workspace->arena;
    const struct span *span = &t->spans[task];
    struct training_pack pack;
    pack_training(adapted, t->batch + span->first, span->last - span->first, arena, &pack);
    int scored = pack.layout.n_scored;
    struct tensor *views = views_for(t, task, worker, arena);
    struct pass pass = adapted_pass(adapted, &workspace->tape, &pack.layout, views);
    struct tensor *states = transformer_forward(&pass);
    real *weights = arena_alloc(arena, (size_t)scored * sizeof *weights);
    double *nll = arena_alloc(arena, (size_t)scored * sizeof *nll);
    for (int i = 0; i < scored; i++)
        weights[i] = t->weight;
    struct tensor *loss = op_cross_entropy(&workspace->tape, states, transformer_head(&pass),
                                           pack.targets, weights, nll);
    tape_backward(&workspace->tape, loss);
    t->losses[task] = 0;
    for (int i = 0; i < scored; i++)
        t->losses[task] += nll[i];
    pool_turn(adapted->engine->pool, task);
    add_up(t, task, views);
    return OK;
}

static size_t answer_tokens(const struct sequence *sequences, size_t count)
{
    size_t tokens = 0;
    for (size_t i = 0; i < count; i++)
        tokens += (size_t)sequences[i].answer;
    return tokens;
}

/* The parameters of one task of the sums and the updates over all of them. */
static struct span chunk_of(const struct training *t, size_t task)
{
    size_t first = task * CHUNK, count = t->adapted->parameters.count;
    return (struct span){.first = first, .last = count - first < CHUNK ? count : first + CHUNK};
}

static size_t chunk_count(const struct training *t)
{
    return (t->adapted->parameters.count + CHUNK - 1) / CHUNK;
}

static enum status square_chunk(void *context, size_t task, int worker, struct error *err)
{
    struct training *t = context;
    struct span span = chunk_of(t, task);
    (void)worker;
    (void)err;
    t->squares[task] = sum_of_squares(t->gradient + span.first, span.last - span.first);
    return OK;
}

static enum status gradient_norm(struct training *t, double *norm, struct error *err)
{
    double sum = 0;
    enum status status = pool_run(t->adapted->engine->pool, chunk_count(t), square_chunk, t, err);
    for (size_t i = 0; i < chunk_count(t); i++)
        sum += t->squares[i];
    *norm = sqrt(sum);
    return status;
}

/* One optimiser step over `count` examples, of which it changes the order. Fills in loss, tokens
 * and norm of `step`. */
static enum status run_step(struct training *t, struct sequence *batch, size_t count,
                            struct training_step *step, size_t *rows, struct error *err)
{
    struct adapted *adapted = t->adapted;
    struct arena_mark mark = arena_mark(&t->arena);
    struct span *spans;
    int prefix = (int)adapted->prefix.count;
    size_t n = pack_share(batch, count, prefix, MICRO_ROWS, MICRO_BATCHES, &t->arena, &spans);
    size_t answers = answer_tokens(batch, count);
    t->batch = batch;
    t->spans = spans;
    t->losses = arena_zalloc(&t->arena, n * sizeof *t->losses);
    t->weight = 1 / (real)answers;
    turns_restart(t->turns);
    enum status status = pool_run(adapted->engine->pool, n, run_micro_batch, t, err);
    double loss = 0;
    for (size_t i = 0; i < n; i++)
        loss += t->losses[i];
    for (size_t i = 0; i < count; i++)
        *rows += (size_t)(batch[i].request + batch[i].answer - 1);
    *rows += n * (size_t)prefix;
    arena_rewind(&t->arena, mark);
    if (status != OK)
        return status;
    step->loss = loss / (double)answers;
    step->tokens += answers;
    step->examples += count;
    status = gradient_norm(t, &step->grad_norm, err);
    if (status != OK)
        return status;
    if (!isfinite(step->loss) || !isfinite(step->grad_norm))
        return error_set(err, FAILED,
                         "the loss of %s is not finite at step %zu (loss %g, gradient norm %g, "
                         "learning rate %g); try a lower learning_rate",
                         adapted->technique->name, step->step, step->loss, step->grad_norm,
                         step->rate);
    return OK;
}

static enum status update_chunk(void *context, size_t task, int worker, struct error *err)
{
    struct training *t = context;
    struct span span = chunk_of(t, task);
    (void)worker;
    (void)err;
    adamw_step(&t->optimizer, span.first, span.last, t->gradient, t->adapted->parameters.values,
               t->scale);
    return OK;
}

static enum status update(struct training *t, const struct training_step *step, struct error *err)
{
    double limit = setting_number(&t->adapted->setting, "max_grad_norm");
    t->scale = limit > 0 && step->grad_norm > limit ? limit / (step->grad_norm + 1e-6) : 1;
    t->optimizer.rate = step->rate;
    t->optimizer.step++;
    return pool_run(t->adapted->engine->pool, chunk_count(t), update_chunk, t, err);
}

/* Loss sums that become the report's means. */
struct averages {
    double recent, recent_tokens; /* second half of the first epoch */
    double last, last_tokens;     /* last quarter of all steps */
};

static void average(struct averages *a, const struct training_step *step, size_t tokens,
                    size_t steps_per_epoch, size_t total)
{
    if (step->step <= steps_per_epoch && 2 * step->step > steps_per_epoch) {
        a->recent += step->loss * (double)tokens;
        a->recent_tokens += (double)tokens;
    }
    if (4 * step->step > 3 * total) {
        a->last += step->loss * (double)tokens;
        a->last_tokens += (double)tokens;
    }
}

static void shuffle(struct sequence *order, const struct sequence *sequences, size_t count,
                    uint64_t seed, size_t epoch, struct arena *arena)
{
    struct arena_mark mark = arena_mark(arena);
    size_t *index = arena_alloc(arena, count * sizeof *index);
    for (size_t i = 0; i < count; i++)
        index[i] = i;
    struct random random = random_stream(seed, "training order", epoch);
    if (epoch > 0) /* the first pass keeps the study's order, so that sizes stay paired */
        random_shuffle(&random, index, count);
    for (size_t i = 0; i < count; i++)
        order[i] = sequences[index[i]];
    arena_rewind(arena, mark);
}

static enum status run_epochs(struct training *t, size_t count, uint64_t seed,
                              const struct training_hooks *hooks, struct training_report *report,
                              struct error *err)
{
    const struct setting *setting = &t->adapted->setting;
    size_t batch = trainer_batch(setting, count);
    size_t per_epoch = (count + batch - 1) / batch;
    size_t epochs = (size_t)trainer_epochs(setting, count), total = per_epoch * epochs;
    struct sequence *order = arena_alloc(&t->arena, count * sizeof *order);
    struct training_step step = {0};
    struct averages averages = {0};
    enum status status = OK;
    for (size_t epoch = 0; epoch < epochs && status == OK; epoch++) {
        shuffle(order, t->sequences, count, seed, epoch, &t->arena);
        for (size_t at = 0; at < count && status == OK; at += batch) {
            size_t tokens = step.tokens;
            step.step++;
            step.rate =
                setting_number(setting, "learning_rate") * schedule(setting, step.step, total);
            status = run_step(t, order + at, count - at < batch ? count - at : batch, &step,
                              &report->tokens, err);
            if (status != OK)
                break;
            status = update(t, &step, err);
            if (status != OK)
                break;
            report->steps++;
            average(&averages, &step, step.tokens - tokens, per_epoch, total);
            if (hooks && hooks->step)
                status = hooks->step(hooks->context, &step, total, err);
        }
    }
    report->prequential_nll = averages.recent / averages.recent_tokens;
    report->final_loss = averages.last / averages.last_tokens;
    return status;
}

/* ---- Keeping to the memory that there is ------------------------------------------------------
 */

static double larger(double a, double b)
{
    return a > b ? a : b;
}

/* Makes `largest` large enough for the micro-batches of one step. */
static void see_step(const struct training *t, struct sequence *batch, size_t count,
                     struct arena *arena, struct micro_batch *largest)
{
    struct span *spans;
    int prefix = (int)t->adapted->prefix.count;
    size_t n = pack_share(batch, count, prefix, MICRO_ROWS, MICRO_BATCHES, arena, &spans);
    for (size_t s = 0; s < n; s++) {
        double rows = prefix, scored = 0;
        for (size_t i = spans[s].first; i < spans[s].last; i++) {
            double own = batch[i].request + batch[i].answer - 1;
            rows += own;
            scored += batch[i].answer;
            largest->seen = larger(largest->seen, own * (prefix + own));
        }
        largest->rows = larger(largest->rows, rows);
        largest->scored = larger(largest->scored, scored);
    }
    largest->seen = larger(largest->seen, (double)prefix * prefix);
}

static struct micro_batch see_all(struct training *t, const struct material *material)
{
    const struct setting *setting = &t->adapted->setting;
    size_t count = material->count, batch = trainer_batch(setting, count);
    size_t epochs = (size_t)trainer_epochs(setting, count);
    struct micro_batch largest = {0};
    struct arena arena;
    arena_init(&arena, NULL);
    struct sequence *order = arena_alloc(&arena, count * sizeof *order);
    for (size_t epoch = 0; epoch < epochs; epoch++) {
        shuffle(order, t->sequences, count, material->seed, epoch, &arena);
        for (size_t at = 0; at < count; at += batch) {
            struct arena_mark mark = arena_mark(&arena);
            see_step(t, order + at, count - at < batch ? count - at : batch, &arena, &largest);
            arena_rewind(&arena, mark);
        }
    }
    arena_release(&arena);
    return largest;
}

/* The arenas of all workers in one piece from the start: one that grew with the first task would
 * hold more than it uses, by a tenth and more. What is too much is never touched. */
static void reserve(struct engine *engine, const struct workload *w,
                    const struct micro_batch *largest)
{
    const double spare = 1.1; /* for what techniques add */
    engine_reserve(engine, (size_t)(spare * memory_of_arena(w, largest)));
}

static size_t added_in_place(const struct parameters *p)
{
    size_t count = 0;
    for (int i = 0; i < p->n_items; i++)
        if (p->items[i].once)
            count += (size_t)p->items[i].rows * (size_t)p->items[i].cols;
    return count;
}

/* Has layers run again where the memory is too short otherwise. FAILED when it is too short even
 * so. */
static enum status keep_to_limit(struct training *t, const struct material *material,
                                 struct error *err)
{
    struct engine *engine = t->adapted->engine;
    struct workload w = {.model = engine->model,
                         .threads = pool_threads(engine->pool),
                         .recompute = engine->recompute,
                         .form = engine->model->form};
    size_t count = t->adapted->parameters.count;
    size_t in_place = added_in_place(&t->adapted->parameters);
    struct micro_batch largest = see_all(t, material);
    double limit = engine->memory_limit ? (double)engine->memory_limit : INFINITY;
    double plain = memory_of_training(&w, count, in_place, &largest);
    w.recompute = engine->recompute = w.recompute || plain > limit;
    double least = memory_of_training(&w, count, in_place, &largest);
    if (least <= limit) {
        reserve(engine, &w, &largest);
        return OK;
    }
    return error_set(err, FAILED,
                     "training %s on %.0f tokens at once takes %.0f MB beside the model, %.0f MB "
                     "with layers that are run again, and %.0f MB are left; allow more with "
                     "--max-memory, or use fewer --threads or shorter examples",
                     t->adapted->technique->name, largest.rows, plain / 1e6, least / 1e6,
                     limit / 1e6);
}

static void prepare(struct training *t)
{
    struct engine *engine = t->adapted->engine;
    size_t count = t->adapted->parameters.count, bytes = count * sizeof(real);
    size_t workers = (size_t)pool_threads(engine->pool);
    size_t own = bytes - added_in_place(&t->adapted->parameters) * sizeof(real);
    t->optimizer.weight_decay = setting_number(&t->adapted->setting, "weight_decay");
    t->optimizer.mean = arena_alloc(&t->arena, bytes);
    t->optimizer.square = arena_alloc(&t->arena, bytes);
    t->turns = turns_create(&t->arena, (size_t)t->adapted->parameters.n_items);
    t->gradient = arena_alloc(&t->arena, bytes);
    t->squares = arena_alloc(&t->arena, chunk_count(t) * sizeof *t->squares);
    t->worker_gradient = arena_alloc(&t->arena, workers * sizeof *t->worker_gradient);
    for (size_t w = 0; w < workers; w++)
        t->worker_gradient[w] = arena_alloc(&t->arena, own);
}

enum status trainer_run(struct adapted *adapted, const struct material *material,
                        const struct training_hooks *hooks, const struct deadline *deadline,
                        struct training_report *report, struct error *err)
{
    *report = (struct training_report){0};
    struct training t = {.adapted = adapted, .deadline = deadline};
    double start = clock_seconds();
    bool recompute = adapted->engine->recompute;
    arena_init(&t.arena, &adapted->engine->meter);
    adapted_cool(adapted);
    const struct example **examples =
        arena_alloc(&t.arena, material->count * sizeof(struct example *));
    for (size_t i = 0; i < material->count; i++)
        examples[i] = &material->data->examples[material->rows[i]];
    struct sequence *sequences;
    enum status status =
        prompt_encode(adapted, examples, material->count, true, &t.arena, &sequences, err);
    if (status == OK) {
        t.sequences = sequences;
        status = keep_to_limit(&t, material, err);
    }
    if (status == OK) {
        prepare(&t);
        status = run_epochs(&t, material->count, material->seed, hooks, report, err);
    }
    adapted->engine->recompute = recompute;
    turns_end(t.turns);
    arena_release(&t.arena);
    if (adapted->engine->memory_limit)
        engine_release(adapted->engine);
    report->seconds = clock_seconds() - start;
    return status;
}
