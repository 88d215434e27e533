/* SPDX-License-Identifier: Apache-2.0
 *
 * The transformer as the program runs it, in single precision: logits of an independent
 * implementation for a tiny model and for the default model, and packing with one-row products.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/blas.h"
#include "model/transformer.h"
#include "tests/default_model.h"
#include "tests/fixture.h"
#include "tests/small_model.h"

enum { STEPS = 6, TOP = 16 };

static void test_tiny_logits(void **state)
{
    (void)state;
    check_tiny_logits("tiny", 1e-4);
    check_tiny_logits("tiny_qwen2", 1e-4);
}

/* ---- decoding row by row against the whole text at once ---- */

static struct tensor *forward(const struct model *model, struct tape *tape,
                              const struct layout *layout)
{
    arena_clear(tape->arena);
    support_dirty(tape->arena);
    tape_start(tape, false);
    struct pass pass = {.model = model, .tape = tape, .layout = layout};
    return transformer_forward(&pass);
}

static void check_decoding(const struct model *model, struct arena *keep, struct tape *tape)
{
    static const int32_t tokens[STEPS] = {3, 1, 12, 0, 7, 7};
    struct batch batch;
    batch_init(&batch);
    batch_add(&batch, -1, NULL, tokens, STEPS, STEPS);
    struct tensor *out = forward(model, tape, &batch.layout);
    size_t width = (size_t)model->n_embd;
    real *whole = arena_alloc(keep, tensor_size(out) * sizeof *whole);
    memcpy(whole, out->data, tensor_size(out) * sizeof *whole);
    struct cache *cache = cache_create(keep, model, NULL, STEPS);
    for (int t = 0; t < STEPS; t++) { /* the first row is behind a cache that is still empty */
        batch_init(&batch);
        batch.segments[batch_add(&batch, -1, cache, tokens + t, 1, 1)].capture = cache;
        out = forward(model, tape, &batch.layout);
        for (size_t i = 0; i < width; i++)
            if (!support_near((double)out->data[i], (double)whole[(size_t)t * width + i], 1e-5))
                fail_msg("row %d, feature %zu: %.9g, expected %.9g", t, i, (double)out->data[i],
                         (double)whole[(size_t)t * width + i]);
    }
}

static void test_decoding(void **state)
{
    (void)state;
    struct arena keep, arena;
    struct tape tape;
    arena_init(&keep, NULL);
    arena_init(&arena, NULL);
    tape_init(&tape, &arena, NULL);
    check_decoding(small_model(&keep, 2, 1, true), &keep, &tape);
    check_decoding(small_model(&keep, 3, 2, false), &keep, &tape);
    tape_release(&tape);
    arena_release(&arena);
    arena_release(&keep);
}

/* ---- the default model ---- */

static double log_sum_exp(const real *logits, int count)
{
    double peak = (double)logits[0], sum = 0;
    for (int i = 1; i < count; i++)
        peak = fmax(peak, (double)logits[i]);
    for (int i = 0; i < count; i++)
        sum += exp((double)logits[i] - peak);
    return peak + log(sum);
}

static int most_probable(const real *logits, int count)
{
    int best = 0;
    for (int i = 1; i < count; i++)
        best = logits[i] > logits[best] ? i : best;
    return best;
}

/* The largest difference between the logits of one row and what `position` tells about them. */
static double row_difference(const real *logits, int vocabulary, const json_t *position,
                             const json_t *sampled_ids)
{
    const json_t *top = json_object_get(position, "top");
    const json_t *sampled = json_object_get(position, "sampled");
    double worst = fabs(log_sum_exp(logits, vocabulary) - fixture_number(position, "logsumexp"));
    assert_int_equal(json_array_size(top), TOP);
    for (size_t i = 0; i < TOP; i++) {
        const json_t *pair = json_array_get(top, i);
        json_int_t id = json_integer_value(json_array_get(pair, 0));
        double want = json_number_value(json_array_get(pair, 1));
        worst = fmax(worst, fabs((double)logits[id] - want));
    }
    assert_int_equal(json_array_size(sampled), json_array_size(sampled_ids));
    for (size_t i = 0; i < json_array_size(sampled); i++) {
        json_int_t id = json_integer_value(json_array_get(sampled_ids, i));
        double want = json_number_value(json_array_get(sampled, i));
        worst = fmax(worst, fabs((double)logits[id] - want));
    }
    json_int_t first = json_integer_value(json_array_get(json_array_get(top, 0), 0));
    assert_int_equal(most_probable(logits, vocabulary), first);
    return worst;
}

/* All prompts in one batch; two rows of each are scored. */
static void pack_prompts(const json_t *prompts, struct batch *batch)
{
    batch_init(batch);
    for (size_t p = 0; p < json_array_size(prompts); p++) {
        const json_t *prompt = json_array_get(prompts, p);
        int32_t ids[BATCH_ROWS];
        int length = fixture_ids(json_object_get(prompt, "ids"), ids, BATCH_ROWS);
        int start = batch->layout.rows;
        assert_in_range(start + length, 1, BATCH_ROWS);
        batch_add(batch, -1, NULL, ids, length, 0);
        const json_t *positions = json_object_get(prompt, "positions");
        assert_int_equal(json_array_size(positions), 2);
        for (size_t i = 0; i < 2; i++)
            batch->scored[batch->layout.n_scored++] =
                start + (int)fixture_number(json_array_get(positions, i), "position");
    }
}

static void test_default_model(void **state)
{
    (void)state;
    char path[MODEL_PATH];
    if (!default_model(path))
        skip();
    struct model *model = fixture_model(path);
    json_t *document = fixture_json("smollm_logits.json");
    const json_t *prompts = json_object_get(document, "prompts");
    struct arena arena;
    struct tape tape;
    struct batch batch;
    arena_init(&arena, NULL);
    tape_init(&tape, &arena, NULL);
    pack_prompts(prompts, &batch);
    const real *logits = fixture_logits(model, &tape, &batch.layout);
    double worst = 0;
    for (int r = 0; r < batch.layout.n_scored; r++) {
        const json_t *prompt = json_array_get(prompts, (size_t)r / 2);
        const json_t *position =
            json_array_get(json_object_get(prompt, "positions"), (size_t)r % 2);
        worst =
            fmax(worst, row_difference(logits + (size_t)r * (size_t)model->n_vocab, model->n_vocab,
                                       position, json_object_get(document, "sampled_ids")));
    }
    if (!(worst < 2e-3))
        fail_msg("a logit differs by %g", worst);
    tape_release(&tape);
    arena_release(&arena);
    json_decref(document);
    model_free(model);
}

int main(void)
{
    blas_single_thread();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tiny_logits),
        cmocka_unit_test(test_decoding),
        cmocka_unit_test(test_default_model),
    };
    return cmocka_run_group_tests_name("transformer", tests, NULL, NULL);
}
