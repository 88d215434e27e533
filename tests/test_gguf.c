/* SPDX-License-Identifier: Apache-2.0
 *
 * What is read of good GGUF files: values, tensors and their rows, and oddities that are accepted.
 */
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/random.h"
#include "tests/gguf_support.h"

/* ---- Reading -------------------------------------------------------------------------------- */

static void add_values(struct builder *b)
{
    static const int8_t i8 = -5;
    static const uint16_t u16 = 65535;
    static const int64_t i64 = INT64_MAX;
    static const uint64_t u64 = UINT64_MAX;
    static const uint32_t same[] = {9, 9, 9}, different[] = {9, 8};
    static const int32_t i32s[] = {1, -2, 3};
    static const float f32 = 0.25f, infinite = INFINITY, f32s[] = {0.5f, -1};
    static const double f64 = 1e-5, nan = NAN;
    static const char *const strings[] = {"x", "", "three"};
    pair_bytes(b, "i8", 1, &i8, 1);
    pair_bytes(b, "u16", GGUF_U16, &u16, 2);
    pair_bytes(b, "i64", GGUF_I64, &i64, 8);
    pair_bytes(b, "u64", GGUF_U64, &u64, 8);
    pair_bytes(b, "f32", GGUF_F32, &f32, 4);
    pair_bytes(b, "f64", GGUF_F64, &f64, 8);
    pair_bytes(b, "inf", GGUF_F32, &infinite, 4);
    pair_bytes(b, "nan", GGUF_F64, &nan, 8);
    pair_bytes(b, "yes", GGUF_BOOL, "\1", 1);
    pair_bytes(b, "no", GGUF_BOOL, "", 1);
    pair_numbers(b, "same", GGUF_U32, same, 3, 4);
    pair_numbers(b, "different", GGUF_U32, different, 2, 4);
    pair_numbers(b, "i32s", GGUF_I32, i32s, 3, 4);
    pair_numbers(b, "f32s", GGUF_F32, f32s, 2, 4);
    pair_strings(b, "strings", strings, 3);
}

static struct gguf *values_file(struct text *file)
{
    struct builder b = {0};
    good_file(&b);
    add_values(&b);
    builder_finish(&b, file);
    return open_bytes(file);
}

static void test_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        uint64_t minimum, maximum, value;
        const char *rejected;
    } cases[] = {
        {"general.quantization_version", 0, 9, 2, NULL},
        {"u16", 0, UINT64_MAX, 65535, NULL},
        {"i64", 0, UINT64_MAX, INT64_MAX, NULL},
        {"u64", 0, UINT64_MAX, UINT64_MAX, NULL},
        {"same", 9, 9, 9, NULL},
        {"same", 10, 20, 0, "\"same\" is 9; expected 10 to 20"},
        {"u16", 0, 65534, 0, "is 65535; expected 0 to 65534"},
        {"i8", 0, 9, 0, "\"i8\" is negative; expected 0 to 9"},
        {"different", 0, 9, 0, "array of different numbers"},
        {"f32", 0, 9, 0, "is of type f32; expected an unsigned integer"},
        {"strings", 0, 9, 0, "is an array of string; expected an unsigned integer"},
        {"absent", 0, 9, 0, "\"absent\" is missing (expected an unsigned integer)"},
    };
    struct text file = {0};
    struct gguf *gguf = values_file(&file);
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint64_t value = 0;
        struct error err = {0};
        enum status status =
            gguf_unsigned(gguf, cases[i].key, cases[i].minimum, cases[i].maximum, &value, &err);
        assert_int_equal(status, cases[i].rejected ? BAD_MODEL : OK);
        assert_true(value == cases[i].value);
        if (cases[i].rejected && !strstr(err.text, cases[i].rejected))
            fail_msg("%s: %s", cases[i].key, err.text);
    }
    uint64_t value = 0;
    assert_int_equal(gguf_unsigned_or(gguf, "absent", 5, 9, 77, &value, NULL), OK);
    assert_int_equal(value, 77); /* the fallback need not lie in the range */
    assert_int_equal(gguf_unsigned_or(gguf, "u16", 5, 9, 77, &value, NULL), BAD_MODEL);
    gguf_free(gguf);
    text_release(&file);
}

static void test_other_values(void **state)
{
    (void)state;
    struct text file = {0};
    struct gguf *gguf = values_file(&file);
    struct error err = {0};
    double number;
    bool truth;
    const char *string;
    assert_int_equal(gguf_float(gguf, "f32", &number, &err), OK);
    assert_true(number == 0.25);
    assert_int_equal(gguf_float(gguf, "f64", &number, &err), OK);
    assert_true(number == 1e-5);
    assert_int_equal(gguf_float_or(gguf, "absent", 7, &number, &err), OK);
    assert_true(number == 7);
    assert_int_equal(gguf_float(gguf, "absent", &number, &err), BAD_MODEL);
    assert_int_equal(gguf_float(gguf, "u16", &number, &err), BAD_MODEL);
    assert_int_equal(gguf_float(gguf, "f32s", &number, &err), BAD_MODEL);
    assert_int_equal(gguf_float(gguf, "inf", &number, &err), BAD_MODEL);
    assert_non_null(strstr(err.text, "is infinite; expected a finite number"));
    assert_int_equal(gguf_float_or(gguf, "nan", 7, &number, &err), BAD_MODEL);
    assert_non_null(strstr(err.text, "is NaN; expected a finite number"));
    assert_int_equal(gguf_bool_or(gguf, "yes", false, &truth, &err), OK);
    assert_true(truth);
    assert_int_equal(gguf_bool_or(gguf, "no", true, &truth, &err), OK);
    assert_false(truth);
    assert_int_equal(gguf_bool_or(gguf, "absent", true, &truth, &err), OK);
    assert_true(truth);
    assert_int_equal(gguf_bool_or(gguf, "u16", true, &truth, &err), BAD_MODEL);
    assert_int_equal(gguf_string_or(gguf, "absent", "fallback", &string, &err), OK);
    assert_string_equal(string, "fallback");
    assert_int_equal(gguf_string(gguf, "strings", &string, &err), BAD_MODEL);
    assert_true(gguf_has(gguf, "strings"));
    assert_false(gguf_has(gguf, "absent"));
    gguf_free(gguf);
    text_release(&file);
}

static void test_arrays(void **state)
{
    (void)state;
    struct text file = {0};
    struct gguf *gguf = values_file(&file);
    struct error err = {0};
    struct gguf_strings strings;
    const int32_t *i32s;
    const float *f32s;
    size_t count;
    assert_int_equal(gguf_string_array(gguf, "strings", &strings, &err), OK);
    assert_int_equal(strings.count, 3);
    assert_string_equal(strings.items[0].bytes, "x");
    assert_int_equal(strings.items[1].length, 0);
    assert_string_equal(strings.items[2].bytes, "three");
    assert_int_equal(strings.items[2].length, 5);
    assert_int_equal(gguf_i32_array(gguf, "i32s", &i32s, &count, &err), OK);
    assert_int_equal(count, 3);
    assert_int_equal(i32s[1], -2);
    assert_int_equal(gguf_f32_array(gguf, "f32s", &f32s, &count, &err), OK);
    assert_int_equal(count, 2);
    assert_true(f32s[0] == 0.5f && f32s[1] == -1);
    assert_int_equal(gguf_i32_array(gguf, "same", &i32s, &count, &err), BAD_MODEL);
    assert_non_null(strstr(err.text, "is an array of u32; expected an array of i32"));
    assert_int_equal(gguf_string_array(gguf, "general.architecture", &strings, &err), BAD_MODEL);
    assert_int_equal(gguf_f32_array(gguf, "absent", &f32s, &count, &err), BAD_MODEL);
    gguf_free(gguf);
    text_release(&file);
}

/* Many pairs of random types under random keys are found again. */
static void test_random_pairs(void **state)
{
    (void)state;
    enum { PAIRS = 2000 };
    struct random random = random_stream(1, "test_gguf.pairs", 0);
    struct builder b = {0};
    struct text file = {0};
    uint64_t values[PAIRS];
    pair_string(&b, "general.architecture", "llama");
    for (size_t i = 0; i < PAIRS; i++) {
        static const struct {
            uint32_t type;
            size_t bytes;
        } types[] = {{GGUF_U8, 1}, {GGUF_U16, 2}, {GGUF_U32, 4}, {GGUF_U64, 8}};
        size_t type = random_below(&random, 4);
        char key[32];
        values[i] = random_next(&random) >> (64 - 8 * types[type].bytes);
        snprintf(key, sizeof key, "key.%zu", i);
        pair_bytes(&b, key, types[type].type, &values[i], types[type].bytes);
    }
    builder_finish(&b, &file);
    struct gguf *gguf = open_bytes(&file);
    for (size_t i = PAIRS; i-- > 0;) {
        char key[32];
        uint64_t value;
        snprintf(key, sizeof key, "key.%zu", i);
        assert_int_equal(gguf_unsigned(gguf, key, 0, UINT64_MAX, &value, NULL), OK);
        assert_true(value == values[i]);
    }
    assert_null(gguf_warning(gguf, 0));
    gguf_free(gguf);
    text_release(&file);
}

static void test_tensors(void **state)
{
    (void)state;
    struct text file = {0};
    struct gguf *gguf = values_file(&file);
    const struct gguf_tensor *a = gguf_tensor(gguf, "a"), *b = gguf_tensor(gguf, "b");
    const struct gguf_tensor *found = NULL;
    struct error err = {0};
    assert_int_equal(gguf_tensor_count(gguf), 2);
    assert_ptr_equal(gguf_tensor_at(gguf, 1), b);
    assert_null(gguf_tensor(gguf, "c"));
    assert_string_equal(b->type->name, "Q4_1");
    assert_int_equal(b->rows, 3);
    assert_int_equal(b->row_bytes, 20);
    assert_int_equal(b->bytes, 60);
    assert_int_equal(b->offset, file.length - 60);
    assert_int_equal(a->offset % 32, 0);
    assert_int_equal(gguf_tensor_expect(gguf, "b", 32, 3, &found, &err), OK);
    assert_ptr_equal(found, b);
    assert_int_equal(gguf_tensor_expect(gguf, "b", 3, 32, &found, &err), BAD_MODEL);
    assert_non_null(strstr(err.text, "tensor \"b\" has shape [32, 3]; the metadata say [3, 32]"));
    assert_int_equal(gguf_tensor_expect(gguf, "c", 32, 1, &found, &err), BAD_MODEL);
    assert_non_null(strstr(err.text, "tensor \"c\" is missing (expected shape [32])"));
    gguf_free(gguf);
    text_release(&file);
}

static void test_rows(void **state)
{
    (void)state;
    struct text file = {0};
    struct gguf *gguf = values_file(&file);
    const struct gguf_tensor *a = gguf_tensor(gguf, "a"), *b = gguf_tensor(gguf, "b");
    struct error err = {0};
    float values[96];
    unsigned char raw[40];
    assert_int_equal(gguf_expand(gguf, a, 0, 2, values, &err), OK);
    assert_memory_equal(values, a_values, sizeof a_values);
    assert_int_equal(gguf_expand(gguf, a, 1, 1, values, &err), OK);
    assert_memory_equal(values, a_values + 4, sizeof a_values / 2);
    assert_int_equal(gguf_expand(gguf, b, 0, 3, values, &err), OK);
    for (int i = 0; i < 96; i++) {
        int row = i / 32;
        assert_true(values[i] == 10.0f * (float)row);
    }
    assert_int_equal(gguf_expand(gguf, b, 2, 1, values, &err), OK);
    assert_true(values[0] == 20 && values[31] == 20);
    assert_int_equal(gguf_read(gguf, b, 1, 2, raw, &err), OK);
    assert_memory_equal(raw, file.bytes + file.length - 40, 40);
    assert_int_equal(gguf_read(gguf, b, 3, 0, raw, &err), OK);
    assert_int_equal(gguf_read(gguf, b, 2, 2, raw, &err), FAILED);
    assert_int_equal(gguf_read(gguf, b, -1, 1, raw, &err), FAILED);
    assert_int_equal(gguf_expand(gguf, b, 4, 0, values, &err), FAILED);
    assert_int_equal(gguf_expand(gguf, b, 1, INT64_MAX, values, &err), FAILED);
    gguf_free(gguf);
    text_release(&file);
}

/* More than one window of blocks, and rows that start inside one. */
static void test_long_tensor(void **state)
{
    (void)state;
    enum { ROWS = 1000, WIDTH = 128 };
    static const int64_t shape[] = {WIDTH, ROWS};
    float *values = memory_alloc(ROWS * WIDTH * sizeof *values);
    float *out = memory_alloc(ROWS * WIDTH * sizeof *out);
    struct random random = random_stream(1, "test_gguf.long", 0);
    for (size_t i = 0; i < ROWS * WIDTH; i++)
        values[i] = (float)random_normal(&random);
    struct builder b = {0};
    struct text file = {0};
    pair_string(&b, "general.architecture", "llama");
    add_tensor(&b, "x", 2, shape, 0, values, ROWS * WIDTH * sizeof *values);
    builder_finish(&b, &file);
    struct gguf *gguf = open_bytes(&file);
    const struct gguf_tensor *x = gguf_tensor(gguf, "x");
    assert_int_equal(gguf_expand(gguf, x, 0, ROWS, out, NULL), OK);
    assert_memory_equal(out, values, ROWS * WIDTH * sizeof *values);
    assert_int_equal(gguf_expand(gguf, x, 129, 700, out, NULL), OK);
    assert_memory_equal(out, values + 129 * WIDTH, 700 * WIDTH * sizeof *values);
    gguf_free(gguf);
    text_release(&file);
    free(values);
    free(out);
}

static void test_not_finite(void **state)
{
    (void)state;
    enum { ROWS = 300, WIDTH = 128, BAD_ROW = 257, BAD_COLUMN = 3 };
    static const int64_t shape[] = {WIDTH, ROWS};
    float *values = memory_zalloc(ROWS * WIDTH * sizeof *values);
    float *out = memory_alloc(ROWS * WIDTH * sizeof *out);
    values[BAD_ROW * WIDTH + BAD_COLUMN] = NAN;
    struct builder b = {0};
    struct text file = {0};
    pair_string(&b, "general.architecture", "llama");
    add_tensor(&b, "x", 2, shape, 0, values, ROWS * WIDTH * sizeof *values);
    builder_finish(&b, &file);
    struct gguf *gguf = open_bytes(&file);
    const struct gguf_tensor *x = gguf_tensor(gguf, "x");
    float *targets[] = {NULL, out};
    for (size_t i = 0; i < 2; i++) {
        struct error err = {0};
        char where[64];
        assert_int_equal(gguf_expand(gguf, x, 0, BAD_ROW, targets[i], &err), OK);
        assert_int_equal(gguf_expand(gguf, x, BAD_ROW, 1, targets[i], &err), BAD_MODEL);
        assert_int_equal(gguf_expand(gguf, x, 0, ROWS, targets[i], &err), BAD_MODEL);
        assert_non_null(strstr(err.text, "NaN or infinite weight in row 257, column 3"));
        snprintf(where, sizeof where, "byte %" PRIu64 ":",
                 x->offset + 4 * (BAD_ROW * WIDTH + BAD_COLUMN));
        assert_non_null(strstr(err.text, where));
    }
    gguf_free(gguf);
    text_release(&file);
    free(values);
    free(out);
}

/* ---- Accepted oddities ---------------------------------------------------------------------- */

static void test_warnings(void **state)
{
    (void)state;
    unsigned char block[20];
    const int64_t shape[] = {32};
    struct builder b = {0};
    struct text file = {0};
    q4_1_block(block, 0, 1);
    pair_string(&b, "general.architecture", "llama");
    pair_u32(&b, "Odd-Key", 1);
    add_tensor(&b, "x", 1, shape, 3, block, sizeof block);
    builder_finish(&b, &file);
    for (int i = 0; i < 100; i++)
        text_append(&file, "", 1);
    struct gguf *gguf = open_bytes(&file);
    assert_non_null(strstr(gguf_warning(gguf, 0), "Odd-Key"));
    assert_non_null(strstr(gguf_warning(gguf, 1), "100 bytes follow the last tensor"));
    assert_non_null(strstr(gguf_warning(gguf, 2), "general.quantization_version is missing"));
    assert_null(gguf_warning(gguf, 3));
    gguf_free(gguf);
    text_release(&file);
}

static void test_alignments(void **state)
{
    (void)state;
    static const uint32_t alignments[] = {1, 2, 8, 64, 4096, 1 << 20};
    for (size_t i = 0; i < COUNT(alignments); i++) {
        struct builder b = {.alignment = alignments[i]};
        struct text file = {0};
        float values[8];
        pair_u32(&b, "general.alignment", alignments[i]);
        good_file(&b);
        builder_finish(&b, &file);
        struct gguf *gguf = open_bytes(&file);
        const struct gguf_tensor *tensor = gguf_tensor(gguf, "b");
        assert_int_equal(tensor->offset % alignments[i], 0);
        assert_int_equal(gguf_expand(gguf, gguf_tensor(gguf, "a"), 0, 2, values, NULL), OK);
        assert_memory_equal(values, a_values, sizeof values);
        gguf_free(gguf);
        text_release(&file);
    }
}

static void test_empty_tensor(void **state)
{
    (void)state;
    const int64_t none[] = {32, 0};
    struct builder b = {0};
    struct text file = {0};
    const struct gguf_tensor *found;
    pair_string(&b, "general.architecture", "llama");
    add_tensor(&b, "none", 2, none, 0, "", 0);
    add_tensor(&b, "a", 2, a_shape, 0, a_values, sizeof a_values);
    builder_finish(&b, &file);
    struct gguf *gguf = open_bytes(&file);
    assert_int_equal(gguf_expand(gguf, gguf_tensor(gguf, "none"), 0, 0, NULL, NULL), OK);
    assert_int_equal(gguf_tensor_expect(gguf, "none", 32, 4, &found, NULL), BAD_MODEL);
    gguf_free(gguf);
    text_release(&file);
}

static void test_file_types(void **state)
{
    (void)state;
    struct builder b = {0};
    struct text file = {0};
    struct error err = {0};
    struct gguf *gguf = values_file(&file);
    assert_string_equal(gguf_type(gguf), "model");
    assert_string_equal(gguf_architecture(gguf), "llama");
    assert_int_equal(gguf_expect_type(gguf, "model", &err), OK);
    assert_int_equal(gguf_expect_type(gguf, "adapter", &err), BAD_MODEL);
    gguf_free(gguf);
    text_clear(&file);
    pair_string(&b, "general.architecture", "llama");
    pair_string(&b, "general.type", "adapter");
    builder_finish(&b, &file);
    gguf = open_bytes(&file);
    assert_int_equal(gguf_expect_type(gguf, "adapter", &err), OK);
    assert_int_equal(gguf_expect_type(gguf, "model", &err), BAD_MODEL);
    assert_non_null(strstr(err.text, "the file is of type \"adapter\"; expected \"model\""));
    gguf_free(gguf);
    text_release(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),      cmocka_unit_test(test_other_values),
        cmocka_unit_test(test_arrays),       cmocka_unit_test(test_random_pairs),
        cmocka_unit_test(test_tensors),      cmocka_unit_test(test_rows),
        cmocka_unit_test(test_long_tensor),  cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_warnings),     cmocka_unit_test(test_alignments),
        cmocka_unit_test(test_empty_tensor), cmocka_unit_test(test_file_types),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
