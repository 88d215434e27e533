/* SPDX-License-Identifier: Apache-2.0
 *
 * Packed weights beside expanded ones, for the float and the double build. To be included after
 * cmocka.h.
 */
#ifndef TESTS_WEIGHT_CHECK_H
#define TESTS_WEIGHT_CHECK_H

#include "model/weight.h"
#include "tests/fixture.h"
#include "tests/packed_model.h"
#include "tests/support.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* A weight of random values in blocks, and the same expanded. */
struct twins {
    struct arena arena;
    struct text blocks;
    struct packed how;
    struct tensor packed, expanded;
};

static inline void twins_make(struct twins *t, int type, int rows, int cols)
{
    size_t count = (size_t)rows * (size_t)cols;
    *t = (struct twins){.packed = {.rows = rows, .cols = cols}};
    arena_init(&t->arena, NULL);
    float *values = arena_alloc(&t->arena, count * sizeof *values);
    struct random random = random_stream(1, "twins", (uint64_t)type);
    for (size_t i = 0; i < count; i++)
        values[i] = (float)random_normal(&random);
    put_values(&t->blocks, type, values, count);
    t->how = (struct packed){.type = quant_type(type),
                             .blocks = (const unsigned char *)text_string(&t->blocks),
                             .row_bytes = t->blocks.length / (size_t)rows};
    float *exact = arena_alloc(&t->arena, count * sizeof *exact);
    t->how.type->expand(t->how.blocks, exact, count / (size_t)t->how.type->block_elements);
    real *data = arena_alloc(&t->arena, count * sizeof *data);
    for (size_t i = 0; i < count; i++)
        data[i] = exact[i];
    t->packed.packed = &t->how;
    t->expanded = (struct tensor){.rows = rows, .cols = cols, .data = data};
}

static inline void twins_release(struct twins *t)
{
    text_release(&t->blocks);
    arena_release(&t->arena);
}

/* Thin matrices beside a weight, as tensors: a (rank, cols), b (rows, rank). Rank 0: none. */
struct beside {
    int rank;
    real scale, *a, *b;
};

static inline struct beside beside_make(struct twins *t, int rank)
{
    size_t in = (size_t)(rank * t->packed.cols), out = (size_t)(rank * t->packed.rows);
    struct beside beside = {.rank = rank,
                            .scale = (real)-0.5,
                            .a = arena_alloc(&t->arena, in * sizeof(real)),
                            .b = arena_alloc(&t->arena, out * sizeof(real))};
    support_fill(beside.a, in, "a", 0, 1);
    support_fill(beside.b, out, "b", 0, 1);
    return beside;
}

/* The weight with what is beside it added. */
static inline double plain_weight(const struct twins *t, const struct beside *beside, int o, int c)
{
    int cols = t->expanded.cols, rank = beside->rank;
    double sum = 0;
    for (int i = 0; i < rank; i++)
        sum += (double)beside->b[o * rank + i] * (double)beside->a[i * cols + c];
    return (double)t->expanded.data[(size_t)o * (size_t)cols + (size_t)c] +
           (double)beside->scale * sum;
}

/* out = x w^T + out and its reverse, one product at a time. */
static inline double plain_product(const struct twins *t, const struct beside *beside,
                                   const real *x, int r, int o)
{
    double sum = 0;
    int cols = t->expanded.cols;
    for (int c = 0; c < cols; c++)
        sum += (double)x[r * cols + c] * plain_weight(t, beside, o, c);
    return sum + 1;
}

static inline double plain_back(const struct twins *t, const struct beside *beside, const real *dy,
                                int r, int c)
{
    double sum = 0;
    int rows = t->expanded.rows;
    for (int o = 0; o < rows; o++)
        sum += (double)dy[r * rows + o] * plain_weight(t, beside, o, c);
    return sum + 1;
}

static inline real *ones(struct arena *arena, size_t count)
{
    real *values = arena_alloc(arena, count * sizeof *values);
    for (size_t i = 0; i < count; i++)
        values[i] = 1;
    return values;
}

/* Both ways with one of the twins, on top of what is there. */
struct products {
    real *y, *dx, *between[2]; /* of the way there, of the way back */
};

static inline void multiply(struct twins *t, const struct tensor *w, const struct beside *beside,
                            const real *x, const real *dy, int n, struct products *out)
{
    struct thin_pair pair = {
        .a = beside->a, .b = beside->b, .rank = beside->rank, .scale = beside->scale};
    const struct thin_pair *given = beside->rank > 0 ? &pair : NULL;
    pair.between = out->between[0];
    weight_multiply(w, (struct factor){x, n}, given, 1, out->y, &t->arena);
    pair.between = out->between[1];
    weight_multiply_back(w, (struct factor){dy, n}, given, 1, out->dx, &t->arena);
}

static inline void check_between(const struct twins *t, const struct beside *beside, const real *x,
                                 const real *dy, int n, const struct products *found)
{
    int rows = t->expanded.rows, cols = t->expanded.cols, rank = beside->rank;
    for (int at = 0; at < n * rank; at++) {
        int r = at / rank, i = at % rank;
        double there = 0, back = 0;
        for (int c = 0; c < cols; c++)
            there += (double)x[r * cols + c] * (double)beside->a[i * cols + c];
        for (int o = 0; o < rows; o++)
            back += (double)dy[r * rows + o] * (double)beside->b[o * rank + i];
        double scale = (double)beside->scale;
        assert_true(support_near((double)found->between[0][at], scale * there, 1e-4));
        assert_true(support_near((double)found->between[1][at], scale * back, 1e-4));
    }
}

static inline void check_products(struct twins *t, int n, int rank)
{
    int rows = t->packed.rows, cols = t->packed.cols;
    size_t wide = (size_t)n * (size_t)rows, narrow = (size_t)n * (size_t)cols;
    size_t ranks = (size_t)(n * rank) * sizeof(real);
    struct beside beside = beside_make(t, rank);
    real *x = ones(&t->arena, narrow), *dy = ones(&t->arena, wide);
    struct products found[2];
    support_fill(x, narrow, "x", 0, 1);
    support_fill(dy, wide, "dy", 0, 1);
    for (int i = 0; i < 2; i++) {
        found[i] = (struct products){
            ones(&t->arena, wide),
            ones(&t->arena, narrow),
            {ones(&t->arena, (size_t)(n * rank)), ones(&t->arena, (size_t)(n * rank))}};
        multiply(t, i ? &t->packed : &t->expanded, &beside, x, dy, n, &found[i]);
    }
    assert_memory_equal(found[0].y, found[1].y, wide * sizeof(real));
    assert_memory_equal(found[0].dx, found[1].dx, narrow * sizeof(real));
    assert_memory_equal(found[0].between[0], found[1].between[0], ranks);
    assert_memory_equal(found[0].between[1], found[1].between[1], ranks);
    check_between(t, &beside, x, dy, n, &found[0]);
    for (int r = 0; r < n; r++) {
        for (int o = 0; o < rows; o += 97)
            assert_true(support_near((double)found[0].y[(size_t)r * (size_t)rows + (size_t)o],
                                     plain_product(t, &beside, x, r, o), 1e-4));
        for (int c = 0; c < cols; c++)
            assert_true(support_near((double)found[0].dx[r * cols + c],
                                     plain_back(t, &beside, dy, r, c), 1e-4));
    }
}

static inline void check_twins(int type, int rows, int n, int rank)
{
    struct twins t;
    twins_make(&t, type, rows, 64);
    check_products(&t, n, rank);
    twins_release(&t);
}

static void test_products(void **state)
{
    static const int types[] = {TYPE_F16, TYPE_Q4_1, TYPE_Q8_0};
    static const int heights[] = {1, 40, WEIGHT_TILE, 2 * WEIGHT_TILE + 40};
    (void)state;
    for (size_t i = 0; i < COUNT(types); i++)
        for (size_t h = 0; h < COUNT(heights); h++)
            for (int n = 1; n <= 17; n += 16)
                check_twins(types[i], heights[h], n, 0);
}

/* With thin matrices beside the weight; of more rows than are few, and of few. */
static void test_pairs(void **state)
{
    static const int heights[] = {40, WEIGHT_TILE, 2 * WEIGHT_TILE + 40}, ranks[] = {1, 3, 8};
    enum { MANY = 700 };
    (void)state;
    assert_false(few_rows_serves(MANY));
    for (size_t k = 0; k < COUNT(ranks); k++) {
        for (size_t h = 0; h < COUNT(heights); h++)
            check_twins(TYPE_Q4_1, heights[h], k == 1 ? 1 : 17, ranks[k]);
        check_twins(TYPE_Q4_1, 40, MANY, ranks[k]);
        check_twins(TYPE_Q4_1, 5, 17, ranks[k]);
    }
    check_twins(TYPE_Q4_1, WEIGHT_TILE + 40, MANY, 1);
}

static void test_copies(void **state)
{
    (void)state;
    struct twins t;
    real copies[2][5 * 64];
    twins_make(&t, TYPE_Q4_1, 30, 64);
    weight_copy(&t.packed, 7, 5, copies[0]);
    weight_copy(&t.expanded, 7, 5, copies[1]);
    assert_memory_equal(copies[0], copies[1], sizeof copies[0]);
    assert_memory_equal(copies[0], t.expanded.data + 7 * 64, sizeof copies[0]);
    twins_release(&t);
}

/* Both forms of a model give the same logits, and the form can be changed. */
static inline void check_forms(const char *path, const int32_t *ids, int count)
{
    struct model *model;
    struct error err;
    struct arena arena;
    struct tape tape;
    const real *logits[3];
    arena_init(&arena, NULL);
    tape_init(&tape, &arena, NULL);
    struct segment segment = {.length = count, .parent = -1};
    int last[2] = {count / 2, count - 1};
    struct layout layout = {.rows = count,
                            .tokens = ids,
                            .segments = &segment,
                            .n_segments = 1,
                            .scored = last,
                            .n_scored = 2};
    packed_must(model_load(&model, path, &err), &err);
    size_t expanded = model->bytes, parameters = model->n_parameters;
    assert_true(model->form_bytes[WEIGHTS_PACKED] < model->form_bytes[WEIGHTS_EXPANDED] / 2);
    logits[0] = fixture_logits(model, &tape, &layout);
    packed_must(model_hold(model, WEIGHTS_PACKED, 2, &err), &err);
    if (expanded > 1 << 20) /* arenas of a small model have room to spare */
        assert_true(model->bytes < expanded / 2);
    logits[1] = fixture_logits(model, &tape, &layout);
    model_free(model);
    packed_must(model_load_as(&model, path, WEIGHTS_PACKED, 3, &err), &err);
    assert_int_equal(model->n_parameters, parameters);
    packed_must(model_hold(model, WEIGHTS_EXPANDED, 1, &err), &err);
    assert_int_equal(model->bytes, expanded);
    logits[2] = fixture_logits(model, &tape, &layout);
    size_t bytes = 2 * (size_t)model->n_vocab * sizeof(real);
    assert_memory_equal(logits[0], logits[1], bytes);
    assert_memory_equal(logits[0], logits[2], bytes);
    model_free(model);
    tape_release(&tape);
    arena_release(&arena);
}

static void test_forms(void **state)
{
    static const int32_t ids[] = {3, 1, 12, 0, 7, 7, 200, 31, 18};
    char path[PACKED_PATH];
    (void)state;
    packed_make(FIXTURES "tiny.gguf", path);
    check_forms(path, ids, COUNT(ids));
    unlink(path);
}

/* Another file in its place is refused. */
static void test_changed_file(void **state)
{
    char path[PACKED_PATH];
    struct model *model;
    struct error err;
    (void)state;
    packed_make(FIXTURES "tiny.gguf", path);
    packed_must(model_load(&model, path, &err), &err);
    FILE *file = fopen(path, "ab");
    assert_non_null(file);
    assert_true(fputs("more", file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(model_hold(model, WEIGHTS_PACKED, 2, &err), BAD_MODEL);
    assert_non_null(strstr(err.text, path));
    unlink(path);
    assert_int_equal(model_hold(model, WEIGHTS_PACKED, 2, &err), FAILED);
    model_free(model);
}

#endif
