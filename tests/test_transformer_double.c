/* SPDX-License-Identifier: Apache-2.0
 *
 * The transformer in double precision: a packed batch gives what each example gives alone, the
 * gradients of whatever can be attached agree with finite differences, and nothing else gets one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/blas.h"
#include "model/transformer.h"
#include "tests/fixture.h"
#include "tests/small_model.h"

#define COUNT(table) (sizeof(table) / sizeof *(table))

enum { LAYERS = 2, EMBD = 8, KEY_WIDTH = 4, FF = 12 };

struct bench {
    struct arena arena; /* the model and what outlives a pass */
    struct arena pass;
    struct tape tape;
    struct model *model;
};

static void bench_open(struct bench *bench, int layers, bool tied)
{
    arena_init(&bench->arena, NULL);
    arena_init(&bench->pass, NULL);
    tape_init(&bench->tape, &bench->pass, NULL);
    bench->model = small_model(&bench->arena, layers, 1, tied);
}

static void bench_close(struct bench *bench)
{
    tape_release(&bench->tape);
    arena_release(&bench->pass);
    arena_release(&bench->arena);
}

/* The states of the scored rows, without recording, kept until the bench is closed. */
static const real *states_with(struct bench *bench, const struct batch *batch,
                               const struct attachment *attachment, struct tensor *parameters,
                               const void *self)
{
    arena_clear(&bench->pass);
    tape_start(&bench->tape, false);
    struct pass pass = {.model = bench->model,
                        .tape = &bench->tape,
                        .layout = &batch->layout,
                        .attachment = attachment,
                        .self = self,
                        .parameters = parameters};
    struct tensor *out = transformer_forward(&pass);
    if (!out)
        return NULL;
    assert_int_equal(out->rows, batch->layout.n_scored);
    assert_int_equal(out->cols, bench->model->n_embd);
    size_t bytes = tensor_size(out) * sizeof(real);
    return memcpy(arena_alloc(&bench->arena, bytes), out->data, bytes);
}

static const real *states(struct bench *bench, const struct batch *batch)
{
    return states_with(bench, batch, NULL, NULL, NULL);
}

static void assert_same(const real *found, const real *expected, int rows)
{
    for (int i = 0; i < rows * EMBD; i++)
        if (!support_near((double)found[i], (double)expected[i], 1e-12))
            fail_msg("row %d, feature %d: %.15g, expected %.15g", i / EMBD, i % EMBD,
                     (double)found[i], (double)expected[i]);
}

/* ---- packing ---- */

enum { PREFIX = 4, EXAMPLES = 3, EXAMPLE_ROWS = 9 }; /* rows of all examples together */

static const int32_t prefix[PREFIX] = {1, 12, 5, 5};
static const struct {
    int32_t tokens[5];
    int length;
} examples[EXAMPLES] = {{{2, 0, 7}, 3}, {{9}, 1}, {{2, 0, 3, 11, 4}, 5}};

/* Every example alone behind the prefix, one after the other. */
static const real *expected_states(struct bench *bench)
{
    real *all = arena_alloc(&bench->arena, EXAMPLE_ROWS * EMBD * sizeof *all);
    int rows = 0;
    for (int e = 0; e < EXAMPLES; e++) {
        struct batch batch;
        batch_init(&batch);
        int32_t tokens[PREFIX + 5];
        memcpy(tokens, prefix, sizeof prefix);
        memcpy(tokens + PREFIX, examples[e].tokens, sizeof examples[e].tokens);
        batch_add(&batch, -1, NULL, tokens, PREFIX + examples[e].length, examples[e].length);
        memcpy(all + rows * EMBD, states(bench, &batch),
               (size_t)(examples[e].length * EMBD) * sizeof *all);
        rows += examples[e].length;
    }
    return all;
}

static void add_examples(struct batch *batch, int parent, const struct cache *cache)
{
    for (int e = 0; e < EXAMPLES; e++)
        batch_add(batch, parent, cache, examples[e].tokens, examples[e].length, examples[e].length);
}

/* A cache of `length` tokens behind `parent`. */
static struct cache *captured(struct bench *bench, const struct cache *parent,
                              const int32_t *tokens, int length, int capacity)
{
    struct cache *cache = cache_create(&bench->arena, bench->model, parent, capacity);
    struct batch batch;
    batch_init(&batch);
    int segment = batch_add(&batch, -1, parent, tokens, length, 0);
    batch.segments[segment].capture = cache;
    assert_null(states(bench, &batch));
    assert_int_equal(cache->length, length);
    return cache;
}

static void test_packed(void **state)
{
    (void)state;
    struct bench bench;
    bench_open(&bench, LAYERS, true);
    const real *expected = expected_states(&bench);
    struct batch batch;
    batch_init(&batch);
    for (int e = 0; e < EXAMPLES; e++) { /* a parent each */
        int parent = batch_add(&batch, -1, NULL, prefix, PREFIX, 0);
        batch_add(&batch, parent, NULL, examples[e].tokens, examples[e].length, examples[e].length);
    }
    assert_same(states(&bench, &batch), expected, EXAMPLE_ROWS);
    bench_close(&bench);
}

static void test_shared_prefix(void **state)
{
    (void)state;
    struct bench bench;
    bench_open(&bench, LAYERS, true);
    const real *expected = expected_states(&bench);
    struct batch batch;
    batch_init(&batch);
    add_examples(&batch, batch_add(&batch, -1, NULL, prefix, PREFIX, 0), NULL);
    assert_same(states(&bench, &batch), expected, EXAMPLE_ROWS);
    batch_init(&batch); /* a prefix in two parts */
    int first = batch_add(&batch, -1, NULL, prefix, 1, 0);
    add_examples(&batch, batch_add(&batch, first, NULL, prefix + 1, PREFIX - 1, 0), NULL);
    assert_same(states(&bench, &batch), expected, EXAMPLE_ROWS);
    bench_close(&bench);
}

/* Examples 0 and 2 share their first two tokens. */
static void test_trie(void **state)
{
    (void)state;
    struct bench bench;
    bench_open(&bench, LAYERS, true);
    const real *expected = expected_states(&bench);
    struct batch batch;
    batch_init(&batch);
    int root =
        batch_add(&batch, -1, captured(&bench, NULL, prefix, 1, 1), prefix + 1, PREFIX - 1, 0);
    int shared = batch_add(&batch, root, NULL, examples[0].tokens, 2, 2);
    batch_add(&batch, shared, NULL, examples[0].tokens + 2, 1, 1);
    batch_add(&batch, root, NULL, examples[1].tokens, 1, 1);
    batch_add(&batch, shared, NULL, examples[2].tokens + 2, 3, 3);
    const real *found = states(&bench, &batch);
    assert_same(found, expected, 4);                       /* example 0 and example 1 */
    assert_same(found, expected + 4 * EMBD, 2);            /* what example 2 shares */
    assert_same(found + 4 * EMBD, expected + 6 * EMBD, 3); /* the rest of it */
    bench_close(&bench);
}

static void test_caches(void **state)
{
    (void)state;
    struct bench bench;
    bench_open(&bench, LAYERS, true);
    const real *expected = expected_states(&bench);
    struct cache *whole = captured(&bench, NULL, prefix, PREFIX, PREFIX + 3);
    struct cache *half = captured(&bench, NULL, prefix, 3, 3);
    struct cache *chain = captured(&bench, half, prefix + 3, PREFIX - 3, 7);
    struct cache *grown = cache_create(&bench.arena, bench.model, NULL, PREFIX);
    for (int r = 0; r < PREFIX; r++) { /* row by row, behind what it holds already */
        struct batch batch;
        batch_init(&batch);
        batch.segments[batch_add(&batch, -1, grown, prefix + r, 1, r % 2)].capture = grown;
        states(&bench, &batch);
    }
    const struct cache *const caches[] = {whole, chain, grown};
    for (size_t i = 0; i < COUNT(caches); i++) {
        struct batch batch;
        batch_init(&batch);
        add_examples(&batch, -1, caches[i]);
        assert_same(states(&bench, &batch), expected, EXAMPLE_ROWS);
    }
    struct batch batch; /* every example behind another of them, in one batch */
    batch_init(&batch);
    for (int e = 0; e < EXAMPLES; e++)
        batch_add(&batch, -1, caches[e], examples[e].tokens, examples[e].length,
                  examples[e].length);
    assert_same(states(&bench, &batch), expected, EXAMPLE_ROWS);
    bench_close(&bench);
}

/* One row a sequence, each behind its own cache, which is empty at first, all in one batch. */
static void test_decoding(void **state)
{
    (void)state;
    struct bench bench;
    bench_open(&bench, LAYERS, true);
    const real *expected = expected_states(&bench);
    struct cache *shared = captured(&bench, NULL, prefix, PREFIX, PREFIX), *own[EXAMPLES];
    for (int e = 0; e < EXAMPLES; e++)
        own[e] = cache_create(&bench.arena, bench.model, shared, 5);
    for (int t = 0; t < 5; t++) {
        struct batch batch;
        batch_init(&batch);
        for (int e = 0; e < EXAMPLES; e++)
            if (t < examples[e].length) {
                int segment = batch_add(&batch, -1, own[e], examples[e].tokens + t, 1, 1);
                batch.segments[segment].capture = own[e];
            }
        const real *found = states(&bench, &batch);
        int before = 0, row = 0;
        for (int e = 0; e < EXAMPLES; before += examples[e++].length)
            if (t < examples[e].length)
                assert_same(found + row++ * EMBD, expected + (before + t) * EMBD, 1);
    }
    for (int e = 0; e < EXAMPLES; e++)
        assert_int_equal(own[e]->length, examples[e].length);
    bench_close(&bench);
}

/* A prompt of its own for every sequence in one batch, each captured, then all at once again. */
static void test_captured_together(void **state)
{
    (void)state;
    struct bench bench;
    bench_open(&bench, LAYERS, true);
    const real *expected = expected_states(&bench);
    struct cache *own[EXAMPLES];
    for (int scored = 0; scored < 2; scored++) {
        struct batch batch;
        batch_init(&batch);
        int root = batch_add(&batch, -1, NULL, prefix, 1, 0);
        for (int e = 0; e < EXAMPLES; e++) {
            own[e] = cache_create(&bench.arena, bench.model, captured(&bench, NULL, prefix, 1, 1),
                                  PREFIX + e);
            int segment = batch_add(&batch, root, NULL, prefix + 1, PREFIX - 1, scored * e);
            batch.segments[segment].capture = own[e];
        }
        states(&bench, &batch);
        batch_init(&batch);
        for (int e = 0; e < EXAMPLES; e++)
            batch_add(&batch, -1, own[e], examples[e].tokens, examples[e].length,
                      examples[e].length);
        assert_same(states(&bench, &batch), expected, EXAMPLE_ROWS);
    }
    bench_close(&bench);
}

static void test_scored_rows(void **state)
{
    (void)state;
    struct bench bench;
    bench_open(&bench, LAYERS, true);
    struct batch batch;
    batch_init(&batch);
    batch_add(&batch, -1, NULL, prefix, PREFIX, PREFIX);
    add_examples(&batch, 0, NULL);
    const real *all = states(&bench, &batch);
    int rows = batch.layout.rows;
    for (int keep = 1; keep < 1 << 6; keep++) { /* subsets of the first six rows */
        batch.layout.n_scored = 0;
        for (int r = 0; r < rows; r++)
            if (keep >> r & 1)
                batch.scored[batch.layout.n_scored++] = r;
        const real *some = states(&bench, &batch);
        for (int i = 0; i < batch.layout.n_scored; i++)
            assert_same(some + i * EMBD, all + batch.scored[i] * EMBD, 1);
    }
    bench_close(&bench);
}

/* ---- attachments ---- */

/* The parameters of one attachment: what its hooks make of them, and the shapes they need. */
struct kind {
    const char *name;
    struct attachment hooks;
    int (*shapes)(const struct model *model, struct tensor *parameters); /* returns how many */
    int virtual_rows;
};

enum { MOST_PARAMETERS = 64, RANK = 2 };

static int shape(struct tensor *t, int rows, int cols)
{
    *t = (struct tensor){.rows = rows, .cols = cols};
    return 1;
}

static int lora_shapes(const struct model *model, struct tensor *parameters)
{
    int n = 0;
    for (int l = 0; l < model->n_layer; l++)
        for (int s = 0; s < N_SITES; s++) {
            n += shape(&parameters[n], RANK, model->layers[l].linear[s].cols);
            n += shape(&parameters[n], model->layers[l].linear[s].rows, RANK);
        }
    return n;
}

static bool lora_pair(struct pass *pass, int layer, enum site site, struct low_rank *low)
{
    struct tensor *pair = &pass->parameters[(layer * N_SITES + (int)site) * 2];
    *low = (struct low_rank){.a = &pair[0], .b = &pair[1], .scale = (real)1.5};
    return true;
}

static int scale_shapes(const struct model *model, struct tensor *parameters)
{
    int n = 0;
    for (int l = 0; l < model->n_layer; l++) {
        n += shape(&parameters[n], 1, KEY_WIDTH);
        n += shape(&parameters[n], 1, KEY_WIDTH);
        n += shape(&parameters[n], 1, FF);
    }
    return n;
}

static struct tensor *scale_linear(struct pass *pass, int layer, enum site site, struct tensor *x,
                                   struct tensor *y)
{
    (void)x;
    if (site != SITE_K && site != SITE_V)
        return y;
    return op_scale(pass->tape, y, &pass->parameters[3 * layer + (site == SITE_V)]);
}

static struct tensor *scale_input(struct pass *pass, int layer, enum site site, struct tensor *x)
{
    if (site != SITE_DOWN)
        return x;
    return op_scale(pass->tape, x, &pass->parameters[3 * layer + 2]);
}

static int branch_shapes(const struct model *model, struct tensor *parameters)
{
    int n = 0;
    for (int b = 0; b < 2 * model->n_layer; b++) {
        n += shape(&parameters[n], RANK, EMBD);
        n += shape(&parameters[n], 1, RANK);
        n += shape(&parameters[n], EMBD, RANK);
        n += shape(&parameters[n], 1, EMBD);
    }
    return n;
}

/* A bottleneck beside each branch that reads its input as well as its output. */
static struct tensor *bottleneck(struct pass *pass, int layer, enum branch branch, struct tensor *x,
                                 struct tensor *y)
{
    struct tensor *p = &pass->parameters[(2 * layer + (branch == BRANCH_FEED_FORWARD)) * 4];
    struct tensor *low = op_linear(pass->tape, op_add(pass->tape, x, y), &p[0], &p[1]);
    struct tensor *up = op_linear(pass->tape, op_swiglu(pass->tape, low, low), &p[2], &p[3]);
    return op_add(pass->tape, y, up);
}

enum { PAST_ROWS = 3, VIRTUAL_ROWS = 2 };

static int past_shapes(const struct model *model, struct tensor *parameters)
{
    int n = 0;
    for (int l = 0; l < 2 * model->n_layer; l++)
        n += shape(&parameters[n], PAST_ROWS, KEY_WIDTH);
    return n;
}

static void past(struct pass *pass, int layer, struct tensor **keys, struct tensor **values)
{
    *keys = &pass->parameters[2 * layer];
    *values = &pass->parameters[2 * layer + 1];
}

static int virtual_shapes(const struct model *model, struct tensor *parameters)
{
    (void)model;
    return shape(&parameters[0], VIRTUAL_ROWS, EMBD);
}

static struct tensor *virtual_rows(struct pass *pass)
{
    return &pass->parameters[0];
}

static struct tensor *reparametrised_rows(struct pass *pass)
{
    return op_linear(pass->tape, &pass->parameters[0], &pass->parameters[1], NULL);
}

static int reparametrised_shapes(const struct model *model, struct tensor *parameters)
{
    (void)model;
    return shape(&parameters[0], VIRTUAL_ROWS, 3) + shape(&parameters[1], EMBD, 3);
}

/* All weights of a model in one order; the output head only when it is not tied. */
static int list_weights(const struct model *model, struct tensor **weights)
{
    struct model *m = (struct model *)model;
    int n = 0;
    weights[n++] = &m->embedding;
    weights[n++] = &m->output_norm;
    for (int l = 0; l < m->n_layer; l++) {
        weights[n++] = &m->layers[l].attention_norm;
        weights[n++] = &m->layers[l].feed_forward_norm;
        for (int s = 0; s < N_SITES; s++)
            weights[n++] = &m->layers[l].linear[s];
    }
    if (m->output.data != m->embedding.data)
        weights[n++] = &m->output;
    return n;
}

static int weight_shapes(const struct model *model, struct tensor *parameters)
{
    struct tensor *weights[MOST_PARAMETERS];
    int n = list_weights(model, weights);
    for (int i = 0; i < n; i++)
        shape(&parameters[i], weights[i]->rows, weights[i]->cols);
    return n;
}

static struct tensor *every_weight(struct pass *pass, struct tensor *weight)
{
    struct tensor *weights[MOST_PARAMETERS];
    int n = list_weights(pass->model, weights);
    for (int i = 0; i < n; i++)
        if (weights[i]->data == weight->data)
            return &pass->parameters[i];
    fail_msg("a weight that the model does not have");
    return NULL;
}

static struct tensor *norms_only(struct pass *pass, struct tensor *weight)
{
    return weight->rows == 1 ? every_weight(pass, weight) : weight;
}

/* A batch with all that layouts know, virtual tokens in front when asked for. */
static void mixed_batch(struct batch *batch, const struct cache *cache, int virtual_count)
{
    static const int32_t virtual_ids[VIRTUAL_ROWS] = {-1, -2};
    batch_init(batch);
    int root = -1;
    if (virtual_count)
        root = batch_add(batch, -1, NULL, virtual_ids, virtual_count, 0);
    root = batch_add(batch, root, NULL, prefix, PREFIX, 1);
    int child = batch_add(batch, root, NULL, examples[0].tokens, 3, 2);
    batch_add(batch, child, NULL, examples[1].tokens, 1, 1);
    batch_add(batch, root, NULL, examples[1].tokens, 1, 1);
    batch_add(batch, -1, cache, examples[2].tokens, 5, 2);
}

/* One attachment on one model and batch, and the loss it gives. */
struct problem {
    struct bench *bench;
    const struct kind *kind;
    struct tensor parameters[MOST_PARAMETERS];
    struct batch batch;
    int n;
};

static struct tensor *loss_of(struct problem *p, bool recording)
{
    static const int32_t targets[] = {3, 0, 12, 7, 7, 1, 2, 5};
    static const real weights[] = {1, 0.5, 0.25, 1, 2, 0, 1, 1};
    struct bench *bench = p->bench;
    arena_clear(&bench->pass);
    tape_start(&bench->tape, recording);
    struct pass pass = {.model = bench->model,
                        .tape = &bench->tape,
                        .layout = &p->batch.layout,
                        .attachment = &p->kind->hooks,
                        .parameters = p->parameters};
    struct tensor *x = transformer_forward(&pass);
    return op_cross_entropy(&bench->tape, x, transformer_head(&pass), targets, weights, NULL);
}

static double silent_loss(void *context)
{
    return (double)*loss_of(context, false)->data;
}

static void problem_init(struct problem *p, struct bench *bench, const struct kind *kind)
{
    *p = (struct problem){.bench = bench, .kind = kind};
    p->n = kind->shapes(bench->model, p->parameters);
    for (int i = 0; i < p->n; i++) {
        struct tensor *t = &p->parameters[i];
        size_t bytes = tensor_size(t) * sizeof(real);
        t->data = arena_alloc(&bench->arena, bytes);
        t->grad = arena_zalloc(&bench->arena, bytes);
        t->needs_grad = t->parameter = true;
        support_fill(t->data, tensor_size(t), kind->name, (uint64_t)i, 0.2);
    }
    const struct cache *cache = captured(bench, NULL, prefix, 3, 5);
    mixed_batch(&p->batch, cache, kind->virtual_rows);
}

/* With weights as parameters: start from those of the model. */
static void copy_weights(struct problem *p)
{
    struct tensor *weights[MOST_PARAMETERS];
    list_weights(p->bench->model, weights);
    for (int i = 0; i < p->n; i++)
        memcpy(p->parameters[i].data, weights[i]->data, tensor_size(weights[i]) * sizeof(real));
}

static void assert_frozen(const struct model *model)
{
    struct tensor *weights[MOST_PARAMETERS];
    int n = list_weights(model, weights);
    for (int i = 0; i < n; i++) {
        assert_null(weights[i]->grad);
        assert_false(weights[i]->needs_grad);
    }
    assert_null(model->output.grad);
}

/* Gradients of `passes` passes over the same batch, which add up. */
static void check_slopes(struct problem *p, int passes)
{
    for (int i = 0; i < p->n; i++) {
        struct tensor *t = &p->parameters[i];
        double largest = 0;
        for (size_t j = 0; j < tensor_size(t); j++) {
            double want = passes * support_slope(silent_loss, p, &t->data[j]);
            largest = fmax(largest, fabs(want));
            if (!support_near((double)t->grad[j], want, 1e-8))
                fail_msg("%s: parameter %d, element %zu: gradient %.12g, expected %.12g",
                         p->kind->name, i, j, (double)t->grad[j], want);
        }
        bool idle = p->kind->hooks.weight == norms_only && t->rows > 1;
        assert_int_equal(largest > 1e-6, !idle); /* a hook that nobody calls must not pass */
    }
}

static const struct kind kinds[] = {
    {"low rank", {.low_rank = lora_pair}, lora_shapes, 0},
    {"scales", {.linear = scale_linear, .linear_input = scale_input}, scale_shapes, 0},
    {"branches", {.branch = bottleneck}, branch_shapes, 0},
    {"past", {.past = past}, past_shapes, 0},
    {"virtual tokens", {.virtual_tokens = virtual_rows}, virtual_shapes, VIRTUAL_ROWS},
    {"made virtual tokens",
     {.virtual_tokens = reparametrised_rows},
     reparametrised_shapes,
     VIRTUAL_ROWS},
    {"weights", {.weight = every_weight}, weight_shapes, 0},
    {"norms", {.weight = norms_only}, weight_shapes, 0},
};

static void test_attachments(void **state)
{
    (void)state;
    for (size_t k = 0; k < 2 * COUNT(kinds); k++) {
        const struct kind *kind = &kinds[k / 2];
        struct bench bench;
        struct problem p;
        bench_open(&bench, LAYERS, k % 2);
        problem_init(&p, &bench, kind);
        if (kind->hooks.weight)
            copy_weights(&p);
        double silent = silent_loss(&p);
        enum { PASSES = 2 };
        for (int i = 0; i < PASSES; i++) {
            struct tensor *loss = loss_of(&p, true);
            assert_true((double)*loss->data == silent); /* to the bit */
            tape_backward(&bench.tape, loss);
        }
        check_slopes(&p, PASSES);
        assert_frozen(bench.model);
        bench_close(&bench);
    }
}

/* ---- what the hooks mean: the same change made to the model itself ---- */

static void fold_low_rank(struct problem *p)
{
    for (int i = 0; i < p->n; i += 2) {
        const struct tensor *a = &p->parameters[i], *b = a + 1;
        struct tensor *w = &p->bench->model->layers[i / 2 / N_SITES].linear[i / 2 % N_SITES];
        for (int r = 0; r < w->rows; r++)
            for (int c = 0; c < w->cols; c++)
                for (int k = 0; k < RANK; k++)
                    w->data[r * w->cols + c] +=
                        (real)1.5 * b->data[r * RANK + k] * a->data[k * w->cols + c];
    }
}

static void fold_scales(struct problem *p)
{
    for (int l = 0; l < LAYERS; l++) {
        const struct tensor *scale = &p->parameters[3 * l];
        struct tensor *w = p->bench->model->layers[l].linear;
        for (int i = 0; i < KEY_WIDTH * EMBD; i++) {
            w[SITE_K].data[i] *= scale[0].data[i / EMBD];
            w[SITE_V].data[i] *= scale[1].data[i / EMBD];
        }
        for (int i = 0; i < EMBD * FF; i++)
            w[SITE_DOWN].data[i] *= scale[2].data[i % FF];
    }
}

/* The rows in front of every layer as a cache in front of everything, which shifts no position. */
static void fold_past(struct problem *p)
{
    struct cache *front = cache_create(&p->bench->arena, p->bench->model, NULL, PAST_ROWS);
    front->length = PAST_ROWS;
    size_t size = PAST_ROWS * KEY_WIDTH;
    for (size_t l = 0; l < LAYERS; l++) {
        memcpy(front->keys + l * size, p->parameters[2 * l].data, size * sizeof(real));
        memcpy(front->values + l * size, p->parameters[2 * l + 1].data, size * sizeof(real));
    }
    for (int s = 0; s < p->batch.layout.n_segments; s++) {
        struct segment *segment = &p->batch.segments[s];
        if (segment->cache)
            ((struct cache *)segment->cache)->parent = front;
        else if (segment->parent < 0)
            segment->cache = front;
    }
}

/* Virtual tokens as further rows of the embedding table. */
static void fold_virtual_tokens(struct problem *p)
{
    struct tensor *old = &p->bench->model->embedding, table = *old;
    size_t own = tensor_size(old), more = tensor_size(&p->parameters[0]);
    table.rows += VIRTUAL_ROWS;
    table.data = arena_alloc(&p->bench->arena, (own + more) * sizeof(real));
    memcpy(table.data, old->data, own * sizeof(real));
    memcpy(table.data + own, p->parameters[0].data, more * sizeof(real));
    *old = table;
    for (int r = 0; r < p->batch.layout.rows; r++)
        if (p->batch.tokens[r] < 0)
            p->batch.tokens[r] = SMALL_VOCAB - 1 - p->batch.tokens[r];
}

static void fold_weights(struct problem *p)
{
    struct tensor *weights[MOST_PARAMETERS];
    int n = list_weights(p->bench->model, weights);
    for (int i = 0; i < n; i++)
        if (p->kind->hooks.weight == every_weight || weights[i]->rows == 1)
            memcpy(weights[i]->data, p->parameters[i].data, tensor_size(weights[i]) * sizeof(real));
}

static void test_meaning(void **state)
{
    (void)state;
    static void (*const folds[COUNT(kinds)])(struct problem *) = {
        fold_low_rank,       fold_scales, NULL,         fold_past,
        fold_virtual_tokens, NULL,        fold_weights, fold_weights};
    for (size_t k = 0; k < COUNT(kinds); k++) {
        if (!folds[k])
            continue;
        struct bench bench;
        struct problem p;
        bench_open(&bench, LAYERS, true);
        problem_init(&p, &bench, &kinds[k]);
        const real *attached = states_with(&bench, &p.batch, &kinds[k].hooks, p.parameters, NULL);
        folds[k](&p);
        assert_same(attached, states(&bench, &p.batch), p.batch.layout.n_scored);
        bench_close(&bench);
    }
}

/* What passed through the sites of the layer that is running. */
struct spy {
    struct tensor *in[N_SITES], *x[N_SITES], *y[N_SITES];
    int branches, asked;
};

static struct spy *spy_of(const struct pass *pass)
{
    return *(struct spy *const *)pass->self;
}

static struct tensor *spy_input(struct pass *pass, int layer, enum site site, struct tensor *x)
{
    (void)layer;
    spy_of(pass)->in[site] = x;
    return x;
}

/* Has nothing to add. */
static bool spy_low_rank(struct pass *pass, int layer, enum site site, struct low_rank *low)
{
    (void)low;
    struct spy *spy = spy_of(pass);
    assert_int_equal(spy->branches / 2, layer);
    spy->asked += spy->in[site] != NULL;
    return false;
}

static struct tensor *spy_linear(struct pass *pass, int layer, enum site site, struct tensor *x,
                                 struct tensor *y)
{
    struct spy *spy = spy_of(pass);
    assert_ptr_equal(spy->in[site], x);
    assert_int_equal(x->cols, pass->model->layers[layer].linear[site].cols);
    assert_int_equal(y->cols, pass->model->layers[layer].linear[site].rows);
    spy->x[site] = x;
    spy->y[site] = y;
    return y;
}

/* A branch gets its normalised input, of the scored rows in the last layer, and its output. */
static struct tensor *spy_branch(struct pass *pass, int layer, enum branch branch, struct tensor *x,
                                 struct tensor *y)
{
    struct spy *spy = spy_of(pass);
    bool first = branch == BRANCH_ATTENTION;
    assert_int_equal(spy->branches++, 2 * layer + !first);
    assert_ptr_equal(y, spy->y[first ? SITE_O : SITE_DOWN]);
    const struct tensor *from = spy->x[first ? SITE_Q : SITE_UP];
    assert_ptr_equal(spy->x[SITE_Q], spy->x[SITE_K]);
    assert_ptr_equal(spy->x[SITE_Q], spy->x[SITE_V]);
    const struct layout *layout = pass->layout;
    bool gathered = first && layer == LAYERS - 1;
    assert_int_equal(x->rows, layer == LAYERS - 1 ? layout->n_scored : layout->rows);
    assert_int_equal(y->rows, x->rows);
    for (int r = 0; r < x->rows; r++)
        assert_memory_equal(x->data + r * EMBD,
                            from->data + (gathered ? layout->scored[r] : r) * EMBD,
                            EMBD * sizeof(real));
    return y;
}

static void test_hook_arguments(void **state)
{
    (void)state;
    struct bench bench;
    struct batch batch;
    bench_open(&bench, LAYERS, true);
    mixed_batch(&batch, captured(&bench, NULL, prefix, 3, 5), 0);
    struct spy spy = {.branches = 0}, *self = &spy;
    const struct attachment hooks = {.linear_input = spy_input,
                                     .low_rank = spy_low_rank,
                                     .linear = spy_linear,
                                     .branch = spy_branch};
    const real *with = states_with(&bench, &batch, &hooks, NULL, &self);
    assert_int_equal(spy.branches, 2 * LAYERS);
    assert_int_equal(spy.asked, N_SITES * LAYERS);
    assert_same(with, states(&bench, &batch), batch.layout.n_scored);
    bench_close(&bench);
}

static struct tensor *zero_branch(struct pass *pass, int layer, enum branch branch,
                                  struct tensor *x, struct tensor *y)
{
    (void)x;
    const int *which = pass->self;
    if (*which == 2 * layer + (branch == BRANCH_FEED_FORWARD))
        memset(y->data, 0, tensor_size(y) * sizeof(real));
    return y;
}

/* A branch that returns zero is the same as an output projection of zeros. */
static void test_branch_result(void **state)
{
    (void)state;
    for (int which = 0; which < 2 * LAYERS; which++) {
        struct bench bench;
        struct batch batch;
        bench_open(&bench, LAYERS, true);
        mixed_batch(&batch, captured(&bench, NULL, prefix, 3, 5), 0);
        const struct attachment hooks = {.branch = zero_branch};
        const real *with = states_with(&bench, &batch, &hooks, NULL, &which);
        struct tensor *w = &bench.model->layers[which / 2].linear[which % 2 ? SITE_DOWN : SITE_O];
        memset(w->data, 0, tensor_size(w) * sizeof(real));
        assert_same(with, states(&bench, &batch), batch.layout.n_scored);
        bench_close(&bench);
    }
}

/* What no attachment asks for is not recorded. */
static void test_nothing_recorded(void **state)
{
    (void)state;
    struct bench bench;
    struct problem p;
    bench_open(&bench, LAYERS, true);
    problem_init(&p, &bench, &kinds[0]);
    for (int i = 0; i < p.n; i++)
        p.parameters[i].needs_grad = false;
    struct tensor *loss = loss_of(&p, true);
    assert_null(bench.tape.last);
    assert_false(loss->needs_grad);
    tape_backward(&bench.tape, loss);
    assert_int_equal(arena_held(&bench.tape.grads), 0);
    for (int i = 0; i < p.n; i++)
        for (size_t j = 0; j < tensor_size(&p.parameters[i]); j++)
            assert_true(p.parameters[i].grad[j] == 0);
    bench_close(&bench);
}

/* Only the last layer's output projection is trained: all but its own gradients stay away. */
static void test_tape_is_short(void **state)
{
    (void)state;
    struct bench bench;
    struct problem p;
    bench_open(&bench, LAYERS, true);
    problem_init(&p, &bench, &kinds[0]);
    int trained = ((LAYERS - 1) * N_SITES + SITE_O) * 2 + 1;
    for (int i = 0; i < p.n; i++)
        p.parameters[i].needs_grad = i == trained;
    struct tensor *loss = loss_of(&p, true);
    int nodes = 0;
    for (const struct node *n = bench.tape.last; n; n = n->previous)
        nodes++;
    /* o, add, norm, gate and up, swiglu, down, add, norm, loss */
    assert_int_equal(nodes, 1 + 1 + 1 + 2 + 1 + 1 + 1 + 1 + 1);
    tape_backward(&bench.tape, loss);
    for (int i = 0; i < p.n; i++)
        for (size_t j = 0; j < tensor_size(&p.parameters[i]); j++)
            assert_true((p.parameters[i].grad[j] != 0) == (i == trained));
    bench_close(&bench);
}

/* ---- memory ---- */

/* Memory that passes over 16 segments of 32 rows need. */
static size_t held_after(int layers, bool recording)
{
    struct bench bench;
    bench_open(&bench, layers, true);
    struct batch batch;
    batch_init(&batch);
    static const int32_t tokens[32];
    for (int i = 0; i < 16; i++)
        batch_add(&batch, -1, NULL, tokens, 32, 1);
    struct pass pass = {.model = bench.model, .tape = &bench.tape, .layout = &batch.layout};
    size_t held = 0;
    for (int round = 0; round < 3; round++) {
        arena_clear(&bench.pass);
        arena_alloc(&bench.pass, 1000);
        struct arena_mark mark = arena_mark(&bench.pass);
        tape_start(&bench.tape, recording);
        transformer_forward(&pass);
        arena_rewind(&bench.pass, mark);
        if (round == 0)
            held = arena_held(&bench.pass);
        assert_int_equal(arena_held(&bench.pass), held);
        struct arena_mark after = arena_mark(&bench.pass);
        assert_ptr_equal(after.chunk, mark.chunk);
        assert_int_equal(after.used, mark.used);
    }
    bench_close(&bench);
    return held;
}

/* Without recording, depth costs no memory; with it, it does. */
static void test_memory(void **state)
{
    (void)state;
    size_t shallow = held_after(2, false);
    assert_int_equal(held_after(12, false), shallow);
    assert_true(held_after(12, true) > 3 * shallow);
}

/* ---- fixtures of an independent implementation ---- */

static void test_tiny_logits(void **state)
{
    (void)state;
    check_tiny_logits("tiny", 1e-7);
    check_tiny_logits("tiny_qwen2", 1e-7);
}

/* The two matrices of every adapted site; both NULL where there is none. */
struct lora_fixture {
    struct tensor pairs[LAYERS][N_SITES][2];
    real scale;
};

static bool fixture_low_rank(struct pass *pass, int layer, enum site site, struct low_rank *low)
{
    const struct lora_fixture *lora = pass->self;
    struct tensor *pair = (struct tensor *)lora->pairs[layer][site];
    *low = (struct low_rank){.a = &pair[0], .b = &pair[1], .scale = lora->scale};
    return pair[0].data != NULL;
}

static struct tensor read_parameter(struct arena *arena, const json_t *values, int rows, int cols)
{
    struct tensor t = {.rows = rows, .cols = cols, .needs_grad = true, .parameter = true};
    t.data = arena_alloc(arena, tensor_size(&t) * sizeof(real));
    t.grad = arena_zalloc(arena, tensor_size(&t) * sizeof(real));
    assert_int_equal(json_array_size(values), tensor_size(&t));
    for (size_t i = 0; i < tensor_size(&t); i++)
        t.data[i] = (real)json_number_value(json_array_get(values, i));
    return t;
}

/* Calls `visit` for both matrices of every adapted tensor in `document`. */
static void each_pair(struct lora_fixture *lora, const json_t *document,
                      void (*visit)(struct tensor *pair, const json_t *tensor, void *context),
                      void *context)
{
    int found = 0;
    for (int layer = 0; layer < LAYERS; layer++)
        for (int s = 0; s < N_SITES; s++) {
            char name[64];
            snprintf(name, sizeof name, "blk.%d.%s.weight", layer, site_name((enum site)s)->gguf);
            const json_t *tensor = json_object_get(document, name);
            if (!tensor)
                continue;
            visit(lora->pairs[layer][s], tensor, context);
            found++;
        }
    assert_int_equal(found, json_object_size(document));
}

static void read_pair(struct tensor *pair, const json_t *tensor, void *context)
{
    struct arena *arena = context;
    int in = (int)json_integer_value(json_object_get(tensor, "in"));
    int out = (int)json_integer_value(json_object_get(tensor, "out"));
    const json_t *a = json_object_get(tensor, "a");
    int rank = (int)json_array_size(a) / in;
    pair[0] = read_parameter(arena, a, rank, in);
    pair[1] = read_parameter(arena, json_object_get(tensor, "b"), out, rank);
}

static void compare_pair(struct tensor *pair, const json_t *tensor, void *context)
{
    double *largest = context;
    static const char *const keys[2] = {"grad_a", "grad_b"};
    for (int i = 0; i < 2; i++) {
        const json_t *expected = json_object_get(tensor, keys[i]);
        double norm = 0, error = 0;
        for (size_t j = 0; j < tensor_size(&pair[i]); j++) {
            double want = json_number_value(json_array_get(expected, j));
            norm += want * want;
            error += pow((double)pair[i].grad[j] - want, 2);
        }
        assert_true(norm > 0);
        *largest = fmax(*largest, sqrt(error / norm));
    }
}

/* Both sequences in one batch; the loss is the mean over all targets. */
static int lora_batch(const json_t *sequences, struct batch *batch, int32_t *targets)
{
    batch_init(batch);
    for (size_t s = 0; s < json_array_size(sequences); s++) {
        const json_t *sequence = json_array_get(sequences, s);
        int32_t ids[BATCH_ROWS];
        int length = fixture_ids(json_object_get(sequence, "ids"), ids, BATCH_ROWS);
        int start = batch->layout.rows;
        batch_add(batch, -1, NULL, ids, length, 0);
        const json_t *wanted = json_object_get(sequence, "targets");
        for (int t = 0; t < length; t++) {
            int target = (int)json_integer_value(json_array_get(wanted, (size_t)t));
            if (target < 0)
                continue;
            targets[batch->layout.n_scored] = target;
            batch->scored[batch->layout.n_scored++] = start + t;
        }
    }
    return batch->layout.n_scored;
}

static void check_lora_case(const struct model *model, const json_t *document, const json_t *row)
{
    struct bench bench;
    bench_open(&bench, LAYERS, true);
    struct lora_fixture lora = {
        .scale = (real)(fixture_number(document, "alpha") / fixture_number(document, "rank"))};
    each_pair(&lora, json_object_get(row, "lora"), read_pair, &bench.arena);
    struct batch batch;
    int32_t targets[BATCH_ROWS];
    real weights[BATCH_ROWS];
    int n = lora_batch(json_object_get(document, "sequences"), &batch, targets);
    for (int i = 0; i < n; i++)
        weights[i] = (real)1 / (real)n;
    const struct attachment hooks = {.low_rank = fixture_low_rank};
    struct pass pass = {.model = model,
                        .tape = &bench.tape,
                        .layout = &batch.layout,
                        .attachment = &hooks,
                        .self = &lora};
    tape_start(&bench.tape, true);
    struct tensor *x = transformer_forward(&pass);
    struct tensor *loss =
        op_cross_entropy(&bench.tape, x, transformer_head(&pass), targets, weights, NULL);
    assert_true(fabs((double)*loss->data - fixture_number(row, "loss")) < 1e-10);
    tape_backward(&bench.tape, loss);
    double largest = 0;
    each_pair(&lora, json_object_get(row, "lora"), compare_pair, &largest);
    if (!(largest < 1e-9))
        fail_msg("%s: gradients differ by %g", json_string_value(json_object_get(row, "name")),
                 largest);
    bench_close(&bench);
}

static void test_lora_fixture(void **state)
{
    (void)state;
    struct model *model = fixture_model(FIXTURES "tiny.gguf");
    json_t *document = fixture_json("lora_tiny.json");
    const json_t *cases = json_object_get(document, "cases");
    assert_int_equal(json_array_size(cases), 2);
    for (size_t i = 0; i < json_array_size(cases); i++)
        check_lora_case(model, document, json_array_get(cases, i));
    json_decref(document);
    model_free(model);
}

int main(void)
{
    blas_single_thread();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_packed),
        cmocka_unit_test(test_shared_prefix),
        cmocka_unit_test(test_trie),
        cmocka_unit_test(test_caches),
        cmocka_unit_test(test_decoding),
        cmocka_unit_test(test_scored_rows),
        cmocka_unit_test(test_captured_together),
        cmocka_unit_test(test_attachments),
        cmocka_unit_test(test_meaning),
        cmocka_unit_test(test_hook_arguments),
        cmocka_unit_test(test_branch_result),
        cmocka_unit_test(test_nothing_recorded),
        cmocka_unit_test(test_tape_is_short),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_tiny_logits),
        cmocka_unit_test(test_lora_fixture),
    };
    return cmocka_run_group_tests_name("transformer", tests, NULL, NULL);
}
