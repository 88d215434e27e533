/* SPDX-License-Identifier: Apache-2.0
 *
 * GGUF files as they are written are what the reader accepts, and pairs are copied byte by byte.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "model/gguf.h"
#include "model/gguf_write.h"
#include "model/quant.h"

static enum status sink(void *context, const void *bytes, size_t length, struct error *err)
{
    (void)err;
    text_append(context, bytes, length);
    return OK;
}

static void writes_what_is_read(void **state)
{
    (void)state;
    struct text bytes = {0};
    struct error err;
    struct gguf *gguf;
    double alpha;
    float values[6];
    static const float a[] = {1, 2, 3, 4, 5, 6};
    static const uint16_t b[] = {0x3C00, 0xC000, 0x0001};
    struct gguf_writer writer = {.sink = sink, .context = &bytes};
    gguf_writer_string(&writer, "general.architecture", "llama");
    gguf_writer_f32(&writer, "some.number", 16);
    gguf_writer_u32(&writer, "some.count", 3);
    gguf_writer_tensor(&writer, "a", 2, (int64_t[]){3, 2}, 0, sizeof a);
    gguf_writer_tensor(&writer, "b", 1, (int64_t[]){3}, 1, sizeof b);
    assert_int_equal(gguf_writer_begin(&writer, &err), OK);
    /* In pieces that do not fit the tensors. */
    assert_int_equal(gguf_writer_data(&writer, a, 5, &err), OK);
    assert_int_equal(gguf_writer_data(&writer, (const char *)a + 5, sizeof a - 5, &err), OK);
    assert_int_equal(gguf_writer_end(&writer, &err), FAILED);
    assert_int_equal(gguf_writer_data(&writer, b, sizeof b, &err), OK);
    assert_int_equal(gguf_writer_end(&writer, &err), OK);
    assert_int_equal(gguf_writer_data(&writer, b, 1, &err), FAILED);
    gguf_writer_release(&writer);

    if (gguf_from_bytes(&gguf, bytes.bytes, bytes.length, "file", &err) != OK)
        fail_msg("%s", err.text);
    assert_null(gguf_warning(gguf, 0));
    assert_int_equal(gguf_float(gguf, "some.number", &alpha, &err), OK);
    assert_true(alpha == 16);
    assert_int_equal(gguf_tensor(gguf, "a")->rows, 2);
    assert_int_equal(gguf_expand(gguf, gguf_tensor(gguf, "a"), 0, 2, values, &err), OK);
    assert_memory_equal(values, a, sizeof a);
    assert_int_equal(gguf_expand(gguf, gguf_tensor(gguf, "b"), 0, 1, values, &err), OK);
    assert_true(values[0] == 1 && values[1] == -2 && values[2] == 0x1p-24f);
    gguf_free(gguf);
    text_release(&bytes);
}

static void copies_pairs(void **state)
{
    (void)state;
    struct gguf *from, *to;
    struct error err;
    struct text bytes = {0}, pair = {0}, copy = {0};
    struct gguf_writer writer = {.sink = sink, .context = &bytes};
    assert_int_equal(gguf_open(&from, "tests/parity/fixtures/tiny.gguf", &err), OK);
    size_t count = gguf_pair_count(from);
    assert_true(count > 10);
    for (size_t i = 0; i < count; i++) {
        text_clear(&pair);
        assert_int_equal(gguf_pair_bytes(from, i, &pair, &err), OK);
        gguf_writer_pair(&writer, pair.bytes, pair.length);
    }
    assert_int_equal(gguf_writer_begin(&writer, &err), OK);
    gguf_writer_release(&writer);
    assert_int_equal(gguf_from_bytes(&to, bytes.bytes, bytes.length, "copy", &err), OK);
    assert_int_equal(gguf_pair_count(to), count);
    for (size_t i = 0; i < count; i++) {
        text_clear(&pair);
        text_clear(&copy);
        assert_string_equal(gguf_pair_key(to, i), gguf_pair_key(from, i));
        assert_int_equal(gguf_pair_bytes(from, i, &pair, &err), OK);
        assert_int_equal(gguf_pair_bytes(to, i, &copy, &err), OK);
        assert_int_equal(pair.length, copy.length);
        assert_memory_equal(pair.bytes, copy.bytes, pair.length);
    }
    gguf_free(from);
    gguf_free(to);
    text_release(&bytes);
    text_release(&pair);
    text_release(&copy);
}

static enum status full_disk(void *context, const void *bytes, size_t length, struct error *err)
{
    (void)bytes;
    size_t *room = context;
    if (*room < length)
        return error_set(err, FAILED, "the disk is full");
    *room -= length;
    return OK;
}

static void hands_on_failures(void **state)
{
    (void)state;
    static const float a[8];
    for (size_t room = 0; room < 200; room++) {
        size_t left = room;
        struct error err;
        struct gguf_writer writer = {.sink = full_disk, .context = &left};
        gguf_writer_string(&writer, "general.architecture", "llama");
        gguf_writer_tensor(&writer, "a", 1, (int64_t[]){8}, 0, sizeof a);
        enum status status = gguf_writer_begin(&writer, &err);
        if (status == OK)
            status = gguf_writer_data(&writer, a, sizeof a, &err);
        assert_int_equal(status, room >= 160 ? OK : FAILED);
        gguf_writer_release(&writer);
    }
}

/* Every half comes back, and what lies between two is rounded to the nearer one, ties to even. */
static void rounds_to_halves(void **state)
{
    (void)state;
    for (uint32_t half = 0; half < 0x7C00; half++) {
        float value = quant_half_to_float((uint16_t)half);
        assert_int_equal(quant_float_to_half(value), half);
        assert_int_equal(quant_float_to_half(-value), half | 0x8000u);
        float next = half + 1 < 0x7C00 ? quant_half_to_float((uint16_t)(half + 1)) : 65536;
        float middle = value + (next - value) / 2;
        assert_int_equal(quant_float_to_half(middle), half + (half & 1));
        assert_int_equal(quant_float_to_half(nextafterf(middle, 0)), half);
        assert_int_equal(quant_float_to_half(nextafterf(middle, INFINITY)), half + 1);
    }
    assert_int_equal(quant_float_to_half(1e30f), 0x7C00);
    assert_int_equal(quant_float_to_half(-INFINITY), 0xFC00);
    assert_int_equal(quant_float_to_half(1e-30f), 0);
    assert_true(isnan(quant_half_to_float(quant_float_to_half(NAN))));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_what_is_read),
        cmocka_unit_test(copies_pairs),
        cmocka_unit_test(hands_on_failures),
        cmocka_unit_test(rounds_to_halves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
