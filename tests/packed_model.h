/* SPDX-License-Identifier: Apache-2.0
 *
 * The tiny model with matrices in the types that a downloaded model has: a file made on the spot.
 * To be included after cmocka.h.
 */
#ifndef TESTS_PACKED_MODEL_H
#define TESTS_PACKED_MODEL_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/text.h"
#include "model/gguf.h"
#include "model/gguf_write.h"

enum { PACKED_PATH = 64, BLOCK = 32, TYPE_F16 = 1, TYPE_Q4_1 = 3, TYPE_Q8_0 = 8 };

static inline void put_half(struct text *out, float value)
{
    uint16_t half = quant_float_to_half(value);
    text_append(out, (const char *)&half, sizeof half);
}

/* 32 values as a block of 8-bit steps of the largest. */
static inline void put_q8_0(struct text *out, const float *values)
{
    float most = 0;
    for (int i = 0; i < BLOCK; i++)
        most = fmaxf(most, fabsf(values[i]));
    put_half(out, most / 127);
    for (int i = 0; i < BLOCK; i++) {
        signed char step = (signed char)(most > 0 ? lrintf(values[i] / most * 127) : 0);
        text_append(out, (const char *)&step, 1);
    }
}

/* 32 values as a block of 4-bit steps from the least to the largest. */
static inline void put_q4_1(struct text *out, const float *values)
{
    float low = values[0], high = values[0];
    for (int i = 1; i < BLOCK; i++) {
        low = fminf(low, values[i]);
        high = fmaxf(high, values[i]);
    }
    float step = high > low ? (high - low) / 15 : 1;
    put_half(out, step);
    put_half(out, low);
    for (int i = 0; i < BLOCK / 2; i++) {
        long a = lrintf((values[i] - low) / step), b = lrintf((values[i + BLOCK / 2] - low) / step);
        char both = (char)(a | b << 4);
        text_append(out, &both, 1);
    }
}

/* The values of a tensor in `type`; the types take turns. */
static inline void put_values(struct text *out, int type, const float *values, size_t count)
{
    for (size_t i = 0; i < count; i += BLOCK) {
        for (size_t k = i; type == TYPE_F16 && k < i + BLOCK; k++)
            put_half(out, values[k]);
        if (type == TYPE_Q8_0)
            put_q8_0(out, values + i);
        if (type == TYPE_Q4_1)
            put_q4_1(out, values + i);
    }
}

static inline enum status put_in_file(void *context, const void *bytes, size_t length,
                                      struct error *err)
{
    (void)err;
    assert_int_equal(fwrite(bytes, 1, length, context), length);
    return OK;
}

static inline void packed_must(enum status status, const struct error *err)
{
    if (status != OK)
        fail_msg("%s", err->text);
}

/* Copies a model of float32 to `path`, its matrices in types of fewer bytes. */
static inline void packed_write(const char *from, const char *path)
{
    static const int types[] = {TYPE_Q4_1, TYPE_Q8_0, TYPE_F16};
    struct error err;
    struct gguf *gguf;
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    packed_must(gguf_open(&gguf, from, &err), &err);
    struct gguf_writer writer = {.sink = put_in_file, .context = file};
    struct text *data = memory_zalloc(gguf_tensor_count(gguf) * sizeof *data);
    for (size_t i = 0; i < gguf_pair_count(gguf); i++) {
        struct text pair = {0};
        packed_must(gguf_pair_bytes(gguf, i, &pair, &err), &err);
        gguf_writer_pair(&writer, text_string(&pair), pair.length);
        text_release(&pair);
    }
    for (size_t i = 0; i < gguf_tensor_count(gguf); i++) {
        const struct gguf_tensor *t = gguf_tensor_at(gguf, i);
        size_t count = (size_t)(t->rows * t->ne[0]);
        float *values = memory_alloc(count * sizeof *values);
        packed_must(gguf_expand(gguf, t, 0, t->rows, values, &err), &err);
        int type = t->rows > 1 ? types[i % 3] : 0;
        if (type)
            put_values(&data[i], type, values, count);
        else
            text_append(&data[i], (const char *)values, count * sizeof *values);
        gguf_writer_tensor(&writer, t->name, t->n_dims, t->ne, type, data[i].length);
        free(values);
    }
    packed_must(gguf_writer_begin(&writer, &err), &err);
    for (size_t i = 0; i < gguf_tensor_count(gguf); i++) {
        packed_must(gguf_writer_data(&writer, text_string(&data[i]), data[i].length, &err), &err);
        text_release(&data[i]);
    }
    packed_must(gguf_writer_end(&writer, &err), &err);
    gguf_writer_release(&writer);
    gguf_free(gguf);
    free(data);
    assert_int_equal(fclose(file), 0);
}

/* The same in a new file; `path` gets its name. The caller removes it. */
static inline void packed_make(const char *from, char path[PACKED_PATH])
{
    snprintf(path, PACKED_PATH, "/tmp/packed-XXXXXX");
    int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    close(descriptor);
    packed_write(from, path);
}

#endif
