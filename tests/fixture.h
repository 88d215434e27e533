/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading the fixtures of tests/parity, and the comparison of logits that the float and the double
 * tests of the transformer share. To be included after cmocka.h.
 */
#ifndef TESTS_FIXTURE_H
#define TESTS_FIXTURE_H

#include <jansson.h>

#include "model/blas.h"
#include "tests/small_model.h"

#define FIXTURES "tests/parity/fixtures/"

static inline json_t *fixture_json(const char *name)
{
    char path[256];
    json_error_t error;
    snprintf(path, sizeof path, FIXTURES "%s", name);
    json_t *document = json_load_file(path, 0, &error);
    if (!document)
        fail_msg("%s:%d: %s", path, error.line, error.text);
    return document;
}

static inline struct model *fixture_model(const char *path)
{
    struct model *model;
    struct error err;
    if (model_load(&model, path, &err) != OK)
        fail_msg("%s", err.text);
    return model;
}

static inline double fixture_number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    assert_true(json_is_number(value));
    return json_number_value(value);
}

/* Copies an array of ids and returns its length, which must not exceed `most`. */
static inline int fixture_ids(const json_t *array, int32_t *ids, int most)
{
    size_t count = json_array_size(array);
    assert_in_range(count, 1, most);
    for (size_t i = 0; i < count; i++)
        ids[i] = (int32_t)json_integer_value(json_array_get(array, i));
    return (int)count;
}

/* Logits of the scored rows, (n_scored, n_vocab), in the tape's arena. */
static inline const real *fixture_logits(const struct model *model, struct tape *tape,
                                         const struct layout *layout)
{
    tape_start(tape, false);
    struct pass pass = {.model = model, .tape = tape, .layout = layout};
    struct tensor *x = transformer_forward(&pass);
    return op_linear(tape, x, transformer_head(&pass), NULL)->data;
}

/* Compares logits of NAME.gguf, all sequences in one batch, with those of NAME_logits.json. */
static inline void check_tiny_logits(const char *name, double tolerance)
{
    char path[256], logits_name[64];
    snprintf(path, sizeof path, FIXTURES "%s.gguf", name);
    snprintf(logits_name, sizeof logits_name, "%s_logits.json", name);
    struct model *model = fixture_model(path);
    json_t *document = fixture_json(logits_name);
    const json_t *sequences = json_object_get(document, "sequences");
    struct arena arena;
    struct tape tape;
    struct batch batch;
    arena_init(&arena, NULL);
    tape_init(&tape, &arena, NULL);
    batch_init(&batch);
    for (size_t s = 0; s < json_array_size(sequences); s++) {
        int32_t ids[BATCH_ROWS];
        const json_t *array = json_object_get(json_array_get(sequences, s), "ids");
        batch_add(&batch, -1, NULL, ids, fixture_ids(array, ids, BATCH_ROWS), 2);
    }
    assert_true(batch.layout.n_scored >= 2);
    const real *logits = fixture_logits(model, &tape, &batch.layout);
    for (int r = 0; r < batch.layout.n_scored; r++) {
        const json_t *rows = json_object_get(json_array_get(sequences, (size_t)r / 2), "logits");
        const json_t *row = json_array_get(rows, (size_t)r % 2);
        assert_int_equal(json_array_size(row), model->n_vocab);
        for (int v = 0; v < model->n_vocab; v++) {
            double want = json_number_value(json_array_get(row, (size_t)v));
            double found = (double)logits[(size_t)r * (size_t)model->n_vocab + (size_t)v];
            if (!(fabs(found - want) <= tolerance))
                fail_msg("row %d, token %d: %.9g, expected %.9g", r, v, found, want);
        }
    }
    tape_release(&tape);
    arena_release(&arena);
    json_decref(document);
    model_free(model);
}

#endif
