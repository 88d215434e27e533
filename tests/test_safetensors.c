/* SPDX-License-Identifier: Apache-2.0
 *
 * safetensors files: what is written is read back, and what is wrong is refused by name.
 */
#define _XOPEN_SOURCE 700
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "artifacts/safetensors.h"
#include "base/text.h"

struct bench {
    char path[64];
};

static int enter(void **state)
{
    struct bench *bench = calloc(1, sizeof *bench);
    snprintf(bench->path, sizeof bench->path, "/tmp/safetensors-XXXXXX");
    int file = mkstemp(bench->path);
    assert_true(file >= 0);
    close(file);
    *state = bench;
    return 0;
}

static int leave(void **state)
{
    struct bench *bench = *state;
    unlink(bench->path);
    free(bench);
    return 0;
}

static enum status sink(void *context, const void *bytes, size_t length, struct error *err)
{
    (void)err;
    text_append(context, bytes, length);
    return OK;
}

static void put(const struct bench *bench, const char *bytes, size_t length)
{
    FILE *file = fopen(bench->path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

/* ---- Round trip ----------------------------------------------------------------------------- */

static void writes_and_reads(void **state)
{
    const struct bench *bench = *state;
    static const float a[] = {1, -2.5f, 3e-30f, 0, 65504, -0.1f}, b[] = {7}, c[] = {1, 2, 3};
    const struct float_tensor tensors[] = {
        {.name = "a.weight", .n_dims = 2, .shape = {2, 3}, .values = a},
        {.name = "scalar \"quoted\" \xC3\xA9", .n_dims = 0, .values = b},
        {.name = "vector", .n_dims = 1, .shape = {3}, .values = c},
        {.name = "nothing", .n_dims = 2, .shape = {0, 4}, .values = c},
    };
    struct text bytes = {0};
    struct error err;
    struct safetensors *file;
    float values[6];
    assert_int_equal(safetensors_write(tensors, 4, "pt", sink, &bytes, &err), OK);
    put(bench, bytes.bytes, bytes.length);
    uint64_t header;
    memcpy(&header, bytes.bytes, sizeof header);
    assert_int_equal(header % 8, 0);
    assert_int_equal(bytes.length, 8 + header + 10 * sizeof(float));
    assert_int_equal(safetensors_open(&file, bench->path, &err), OK);
    assert_int_equal(safetensors_count(file), 4);
    assert_string_equal(safetensors_find(file, "a.weight")->dtype, "F32");
    assert_null(safetensors_find(file, "b"));
    assert_int_equal(safetensors_values(file, "a.weight", 2, (int64_t[]){2, 3}, values, &err), OK);
    assert_memory_equal(values, a, sizeof a);
    assert_int_equal(safetensors_values(file, tensors[1].name, 0, NULL, values, &err), OK);
    assert_true(values[0] == 7);
    assert_int_equal(safetensors_values(file, "nothing", 2, (int64_t[]){0, 4}, values, &err), OK);
    safetensors_close(file);
    text_release(&bytes);
}

/* ---- Malformed ------------------------------------------------------------------------------ */

struct malformed {
    const char *header; /* JSON */
    size_t data;        /* bytes behind it */
    const char *says;
};

#define F32_4 "{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]}"

static const struct malformed cases[] = {
    {"", 0, "too short"},
    {"{", 0, "not valid JSON"},
    {" {}", 0, "does not begin with {"},
    {"[]", 0, "does not begin with {"},
    {"{} x", 0, "not valid JSON"},
    {"{\"a\":" F32_4 ",\"a\":" F32_4 "}", 16, "not valid JSON: duplicate"},
    {"{\"a\":3}", 0, "its entry is not an object"},
    {"{\"a\":{\"shape\":[4],\"data_offsets\":[0,16]}}", 16, "dtype is missing"},
    {"{\"a\":{\"dtype\":\"F31\",\"shape\":[4],\"data_offsets\":[0,16]}}", 16, "dtype is missing"},
    {"{\"a\":{\"dtype\":32,\"shape\":[4],\"data_offsets\":[0,16]}}", 16, "dtype is missing"},
    {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,16]}}", 16, "shape is missing"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":4,\"data_offsets\":[0,16]}}", 16, "shape is missing"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,4],\"data_offsets\":[0,16]}}", 16,
     "more than 8 dimensions"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-4],\"data_offsets\":[0,16]}}", 16,
     "not a number from 0 on"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4.0],\"data_offsets\":[0,16]}}", 16,
     "not a number from 0 on"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,16]}}", 16,
     "shape is too large"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904,8,0],\"data_offsets\":[0,0]}}", 0,
     "not a number from 0 on"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4]}}", 16, "data_offsets are not two numbers"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16,16]}}", 16,
     "data_offsets are not two numbers"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[-16,0]}}", 16,
     "data_offsets are not two numbers"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[16,0]}}", 16, "do not fit"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,15]}}", 15, "do not fit"},
    {"{\"a\":" F32_4 "}", 15, "take 16 bytes, but 15 bytes"},
    {"{\"a\":" F32_4 "}", 17, "take 16 bytes, but 17 bytes"},
    {"{\"a\":" F32_4 ",\"b\":" F32_4 "}", 16, "do not begin where"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[4,20]}}", 20, "do not begin where"},
    {"{\"a\":" F32_4 ",\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[12,16]}}", 16,
     "do not begin where"},
    {"{\"__metadata__\":[]}", 0, "__metadata__ is not an object"},
    {"{\"__metadata__\":{\"a\":1}}", 0, "other than strings"},
    {"{\"a\xFF\":" F32_4 "}", 16, "not valid JSON"},
};

static void refuses_malformed(void **state)
{
    const struct bench *bench = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct text bytes = {0};
        struct error err = {0};
        struct safetensors *file;
        uint64_t length = strlen(cases[i].header);
        if (length)
            text_append(&bytes, (const char *)&length, sizeof length);
        text_add(&bytes, cases[i].header);
        text_repeat(&bytes, "x", (int)cases[i].data);
        put(bench, text_string(&bytes), bytes.length);
        if (safetensors_open(&file, bench->path, &err) != BAD_MODEL)
            fail_msg("case %zu was not refused", i);
        assert_null(file);
        if (!strstr(err.text, cases[i].says) || !strstr(err.text, bench->path))
            fail_msg("case %zu: \"%s\" does not say \"%s\"", i, err.text, cases[i].says);
        text_release(&bytes);
    }
}

static void refuses_header_lengths(void **state)
{
    const struct bench *bench = *state;
    static const uint64_t lengths[] = {0, 3, 100000001, UINT64_MAX, (uint64_t)1 << 63};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        char bytes[10] = "";
        struct error err;
        struct safetensors *file;
        memcpy(bytes, &lengths[i], sizeof lengths[i]);
        memcpy(bytes + 8, "{}", 2);
        put(bench, bytes, sizeof bytes);
        assert_int_equal(safetensors_open(&file, bench->path, &err), BAD_MODEL);
        assert_non_null(strstr(err.text, "the header claims"));
    }
}

static void refuses_what_is_not_asked_for(void **state)
{
    const struct bench *bench = *state;
    static const char header[] =
        "{\"a\":" F32_4 ",\"h\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[16,20]},"
        "\"i\":{\"dtype\":\"I32\",\"shape\":[1],\"data_offsets\":[20,24]}}";
    static const unsigned char data[24] = {0, 0, 0xC0, 0x7F, [16] = 0x00, 0x3C, 0x00, 0xC0};
    struct text bytes = {0};
    struct error err;
    struct safetensors *file;
    float values[4];
    uint64_t length = strlen(header);
    text_append(&bytes, (const char *)&length, sizeof length);
    text_add(&bytes, header);
    text_append(&bytes, (const char *)data, sizeof data);
    put(bench, bytes.bytes, bytes.length);
    assert_int_equal(safetensors_open(&file, bench->path, &err), OK);
    const struct {
        const char *name;
        int n_dims;
        int64_t shape[2];
        const char *says; /* NULL: fine */
    } asked[] = {
        {"b", 1, {4}, "there is no tensor b"},     {"a", 1, {5}, "of shape (4); expected (5)"},
        {"a", 2, {2, 2}, "expected (2, 2)"},       {"a", 1, {4}, "value 0 is not finite"},
        {"i", 1, {1}, "type I32; expected F32, "}, {"h", 1, {2}, NULL},
    };
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        enum status status =
            safetensors_values(file, asked[i].name, asked[i].n_dims, asked[i].shape, values, &err);
        assert_int_equal(status, asked[i].says ? BAD_MODEL : OK);
        if (asked[i].says && !strstr(err.text, asked[i].says))
            fail_msg("\"%s\" does not say \"%s\"", err.text, asked[i].says);
    }
    assert_true(values[0] == 1 && values[1] == -2); /* halves */
    safetensors_close(file);
    text_release(&bytes);
}

static void tells_what_cannot_be_opened(void **state)
{
    (void)state;
    struct error err;
    struct safetensors *file;
    assert_int_equal(safetensors_open(&file, "/nonexistent/file", &err), FAILED);
    assert_null(file);
    safetensors_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(writes_and_reads, enter, leave),
        cmocka_unit_test_setup_teardown(refuses_malformed, enter, leave),
        cmocka_unit_test_setup_teardown(refuses_header_lengths, enter, leave),
        cmocka_unit_test_setup_teardown(refuses_what_is_not_asked_for, enter, leave),
        cmocka_unit_test(tells_what_cannot_be_opened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
