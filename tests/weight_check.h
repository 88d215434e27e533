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

/* out = 0.5 * x w^T + out and its reverse, one product at a time. */
static inline double plain_product(const struct twins *t, const real *x, int r, int o)
{
    double sum = 0;
    int cols = t->expanded.cols;
    for (int c = 0; c < cols; c++)
        sum += (double)x[r * cols + c] *
               (double)t->expanded.data[(size_t)o * (size_t)cols + (size_t)c];
    return 0.5 * sum + 1;
}

static inline double plain_back(const struct twins *t, const real *dy, int r, int c)
{
    double sum = 0;
    int cols = t->expanded.cols, rows = t->expanded.rows;
    for (int o = 0; o < rows; o++)
        sum += (double)dy[r * rows + o] *
               (double)t->expanded.data[(size_t)o * (size_t)cols + (size_t)c];
    return 0.5 * sum + 1;
}

static inline real *ones(struct arena *arena, size_t count)
{
    real *values = arena_alloc(arena, count * sizeof *values);
    for (size_t i = 0; i < count; i++)
        values[i] = 1;
    return values;
}

static inline void check_products(struct twins *t, int n)
{
    int rows = t->packed.rows, cols = t->packed.cols;
    size_t wide = (size_t)n * (size_t)rows, narrow = (size_t)n * (size_t)cols;
    real *x = ones(&t->arena, narrow), *dy = ones(&t->arena, wide);
    real *y[2] = {ones(&t->arena, wide), ones(&t->arena, wide)};
    real *dx[2] = {ones(&t->arena, narrow), ones(&t->arena, narrow)};
    support_fill(x, narrow, "x", 0, 1);
    support_fill(dy, wide, "dy", 0, 1);
    for (int i = 0; i < 2; i++) {
        const struct tensor *w = i ? &t->packed : &t->expanded;
        weight_multiply(w, (struct factor){x, n}, (real)0.5, 1, y[i], &t->arena);
        weight_multiply_back(w, (struct factor){dy, n}, (real)0.5, 1, dx[i], &t->arena);
    }
    assert_memory_equal(y[0], y[1], wide * sizeof(real));
    assert_memory_equal(dx[0], dx[1], narrow * sizeof(real));
    for (int r = 0; r < n; r++) {
        for (int o = 0; o < rows; o += 97)
            assert_true(support_near((double)y[0][(size_t)r * (size_t)rows + (size_t)o],
                                     plain_product(t, x, r, o), 1e-4));
        for (int c = 0; c < cols; c++)
            assert_true(support_near((double)dx[0][r * cols + c], plain_back(t, dy, r, c), 1e-4));
    }
}

static void test_products(void **state)
{
    static const int types[] = {TYPE_F16, TYPE_Q4_1, TYPE_Q8_0};
    static const int heights[] = {1, 40, WEIGHT_TILE, 2 * WEIGHT_TILE + 40};
    (void)state;
    for (size_t i = 0; i < COUNT(types); i++)
        for (size_t h = 0; h < COUNT(heights); h++)
            for (int n = 1; n <= 17; n += 16) {
                struct twins t;
                twins_make(&t, types[i], heights[h], 64);
                check_products(&t, n);
                twins_release(&t);
            }
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
