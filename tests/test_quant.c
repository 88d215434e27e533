/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/memory.h"
#include "model/quant.h"

static const struct {
    int id;
    const char *name;
    int elements, bytes;
} expected_types[] = {
    {0, "F32", 1, 4},       {1, "F16", 1, 2},       {2, "Q4_0", 32, 18}, {3, "Q4_1", 32, 20},
    {6, "Q5_0", 32, 22},    {7, "Q5_1", 32, 24},    {8, "Q8_0", 32, 34}, {12, "Q4_K", 256, 144},
    {13, "Q5_K", 256, 176}, {14, "Q6_K", 256, 210}, {30, "BF16", 1, 2},
};

static const struct quant_type *type_by_name(const char *name)
{
    for (size_t i = 0; i < sizeof expected_types / sizeof *expected_types; i++)
        if (strcmp(expected_types[i].name, name) == 0)
            return quant_type(expected_types[i].id);
    return NULL;
}

static void test_types(void **state)
{
    (void)state;
    size_t supported = 0;
    for (int id = -1; id < 1000; id++)
        supported += quant_type(id) != NULL;
    assert_int_equal(supported, sizeof expected_types / sizeof *expected_types);
    for (size_t i = 0; i < supported; i++) {
        const struct quant_type *type = quant_type(expected_types[i].id);
        assert_non_null(type);
        assert_int_equal(type->id, expected_types[i].id);
        assert_string_equal(type->name, expected_types[i].name);
        assert_int_equal(type->block_elements, expected_types[i].elements);
        assert_int_equal(type->block_bytes, expected_types[i].bytes);
        assert_non_null(strstr(quant_supported(), type->name));
    }
}

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(quant_name(12), "Q4_K");
    assert_string_equal(quant_name(10), "Q2_K");
    assert_string_equal(quant_name(24), "I8");
    assert_string_equal(quant_name(39), "MXFP4");
    assert_string_equal(quant_name(4), "a removed type");
    assert_string_equal(quant_name(38), "a removed type");
    assert_string_equal(quant_name(43), "an unknown type");
    assert_string_equal(quant_name(-1), "an unknown type");
}

static unsigned char *from_hex(const char *hex, size_t *size)
{
    *size = strlen(hex) / 2;
    unsigned char *bytes = memory_alloc(*size);
    for (size_t i = 0; i < *size; i++) {
        const char digits[3] = {hex[2 * i], hex[2 * i + 1], '\0'};
        bytes[i] = (unsigned char)strtoul(digits, NULL, 16);
    }
    return bytes;
}

/* `shift` moves the blocks to an odd address. */
static void check_block(const struct quant_type *type, const json_t *block, size_t shift)
{
    size_t size;
    unsigned char *bytes = from_hex(json_string_value(json_object_get(block, "hex")), &size);
    const json_t *values = json_object_get(block, "values");
    size_t count = json_array_size(values);
    assert_int_equal(size % (size_t)type->block_bytes, 0);
    size_t blocks = size / (size_t)type->block_bytes;
    assert_int_equal(blocks * (size_t)type->block_elements, count);
    unsigned char *moved = memory_alloc(size + shift);
    memcpy(moved + shift, bytes, size);
    float *out = memory_alloc(count * sizeof *out);
    type->expand(moved + shift, out, blocks);
    for (size_t i = 0; i < count; i++)
        if (out[i] != (float)json_number_value(json_array_get(values, i)))
            fail_msg("%s, value %zu: got %.9g, expected %.9g", type->name, i, (double)out[i],
                     json_number_value(json_array_get(values, i)));
    free(out);
    free(moved);
    free(bytes);
}

/* Values by an independent implementation (tests/parity/make_blocks.py), equal to the bit. */
static void test_blocks(void **state)
{
    (void)state;
    json_error_t error;
    json_t *root =
        json_load_file("tests/parity/fixtures/blocks.json", JSON_REJECT_DUPLICATES, &error);
    if (!root)
        fail_msg("blocks.json: %s", error.text);
    assert_int_equal(json_object_size(root), 10); /* all but F32 */
    const char *name;
    json_t *blocks;
    json_object_foreach(root, name, blocks)
    {
        const struct quant_type *type = type_by_name(name);
        assert_non_null(type);
        assert_true(json_array_size(blocks) > 0);
        for (size_t i = 0; i < json_array_size(blocks); i++) {
            check_block(type, json_array_get(blocks, i), 0);
            check_block(type, json_array_get(blocks, i), 1);
        }
    }
    json_decref(root);
}

static void test_f32(void **state)
{
    (void)state;
    const float values[] = {0, -0.0f, 1.5f, -3e38f, 1e-45f};
    float out[5];
    quant_type(0)->expand(values, out, 5);
    assert_memory_equal(out, values, sizeof out);
}

/* The definition of IEEE 754 binary16, through ldexp. */
static double half_by_definition(unsigned half)
{
    double sign = half & 0x8000 ? -1 : 1;
    int exponent = (int)(half >> 10 & 31);
    double fraction = half & 1023;
    if (exponent == 31)
        return fraction > 0 ? NAN : sign * INFINITY;
    if (exponent == 0)
        return sign * ldexp(fraction, -24);
    return sign * ldexp(1024 + fraction, exponent - 25);
}

static void check_half(unsigned half, float value)
{
    double expected = half_by_definition(half);
    bool equal = isnan(expected) ? isnan(value) : (double)value == expected;
    if (!equal || (!isnan(expected) && !signbit(value) != !signbit(expected)))
        fail_msg("half %04x: got %.9g, expected %.9g", half, (double)value, expected);
}

static void test_every_half(void **state)
{
    (void)state;
    uint16_t *halves = memory_alloc(65536 * sizeof *halves);
    float *out = memory_alloc(65536 * sizeof *out);
    for (unsigned i = 0; i < 65536; i++)
        halves[i] = (uint16_t)i;
    quant_type(1)->expand(halves, out, 65535); /* no multiple of 8 */
    for (unsigned i = 0; i < 65536; i++) {
        if (i < 65535)
            check_half(i, out[i]);
        check_half(i, quant_half_to_float((uint16_t)i));
    }
    free(out);
    free(halves);
}

static void test_finite(void **state)
{
    (void)state;
    enum { COUNT = 3000 };
    static float values[COUNT];
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    static const size_t places[] = {0, 1, 1023, 1024, 2047, COUNT - 1};
    size_t first = 99;
    values[5] = 3.4e38f;
    values[6] = 1e-45f;
    assert_true(quant_finite(values, COUNT, &first));
    assert_true(quant_finite(values, 0, NULL));
    for (size_t i = 0; i < 3; i++)
        for (size_t j = 0; j < sizeof places / sizeof *places; j++) {
            values[places[j]] = bad[i];
            assert_false(quant_finite(values, COUNT, &first));
            assert_int_equal(first, places[j]);
            assert_false(quant_finite(values, COUNT, NULL));
            values[places[j]] = 0;
        }
}

/* An infinite or NaN scale shows in every type that has one, even when all quants are 0. */
static void test_bad_scales(void **state)
{
    (void)state;
    static const struct {
        int id;
        int scale_at;
    } cases[] = {{2, 0}, {3, 0},  {3, 2},  {6, 0},  {7, 0},  {7, 2},
                 {8, 0}, {12, 0}, {12, 2}, {13, 0}, {13, 2}, {14, 208}};
    static const uint16_t scales[] = {0x7C00, 0xFC00, 0x7E00};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t j = 0; j < 3; j++) {
            const struct quant_type *type = quant_type(cases[i].id);
            unsigned char block[256] = {0};
            float out[256];
            memcpy(block + cases[i].scale_at, &scales[j], 2);
            type->expand(block, out, 1);
            assert_false(quant_finite(out, (size_t)type->block_elements, NULL));
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),      cmocka_unit_test(test_names),
        cmocka_unit_test(test_blocks),     cmocka_unit_test(test_f32),
        cmocka_unit_test(test_every_half), cmocka_unit_test(test_finite),
        cmocka_unit_test(test_bad_scales),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
