/* SPDX-License-Identifier: Apache-2.0 */
#define _XOPEN_SOURCE 700
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/random.h"
#include "model/gguf.h"
#include "tests/gguf_builder.h"

#define COUNT(list) (sizeof(list) / sizeof *(list))

static const float a_values[8] = {1, 2, 3, 4, 5, 6, 7, 8};
static const int64_t a_shape[] = {4, 2};
static const int64_t b_shape[] = {32, 3};

/* A Q4_1 block with scale 1 and minimum `minimum` (a half), whose quants are all `quant`. */
static void q4_1_block(unsigned char out[20], uint16_t minimum, int quant)
{
    const uint16_t one = 0x3C00;
    memcpy(out, &one, 2);
    memcpy(out + 2, &minimum, 2);
    memset(out + 4, quant | quant << 4, 16);
}

/* Two pairs and two tensors: "a" F32 [4, 2] and "b" Q4_1 [32, 3], whose row r is all 10 * r. */
static void good_file(struct builder *b)
{
    unsigned char blocks[60];
    q4_1_block(blocks, 0, 0);
    q4_1_block(blocks + 20, 0, 10);
    q4_1_block(blocks + 40, 0x4900 /* 10 */, 10);
    pair_string(b, "general.architecture", "llama");
    pair_u32(b, "general.quantization_version", 2);
    add_tensor(b, "a", 2, a_shape, 0, a_values, sizeof a_values);
    add_tensor(b, "b", 2, b_shape, 3, blocks, sizeof blocks);
}

static struct gguf *open_bytes(const struct text *file)
{
    struct gguf *gguf;
    struct error err = {0};
    if (gguf_from_bytes(&gguf, file->bytes, file->length, "t.gguf", &err))
        fail_msg("%s", err.text);
    return gguf;
}

/* The file must be refused as a bad model, with its name, an offset, and `expected`. */
static void expect_rejected(const char *name, const struct text *file, const char *expected)
{
    struct gguf *gguf;
    struct error err = {0};
    enum status status = gguf_from_bytes(&gguf, file->bytes, file->length, "t.gguf", &err);
    if (status == OK)
        fail_msg("%s: accepted", name);
    assert_null(gguf);
    if (status != BAD_MODEL || err.status != BAD_MODEL || !strstr(err.text, "t.gguf: ") ||
        !strstr(err.text, expected))
        fail_msg("%s: status %d, \"%s\"; expected \"%s\"", name, status, err.text, expected);
}

/* ---- Rejections: header --------------------------------------------------------------------- */

static const struct {
    const char *name;
    size_t offset;
    const char *bytes;
    size_t length;
    const char *expected;
} header_cases[] = {
    {"bad magic", 0, "GGXF", 4, "byte 0: expected \"GGUF\" at the start, found \"GGXF\""},
    {"control characters in magic", 0, "\x1b[2J", 4, "found \"?[2J\""},
    {"old format", 0, "GGML", 4, "old format"},
    {"old format, as stored", 0, "tjgg", 4, "old format"},
    {"version 0", 4, "\0\0\0\0", 4, "byte 4: GGUF version 0 is not supported; expected version 3"},
    {"version 1", 4, "\1\0\0\0", 4, "version 1"},
    {"version 2", 4, "\2\0\0\0", 4, "version 2"},
    {"version 4", 4, "\4\0\0\0", 4, "newer than this program"},
    {"big-endian", 4, "\0\0\0\3", 4, "big-endian"},
    {"tensors -1", 8, "\xff\xff\xff\xff\xff\xff\xff\xff", 8,
     "byte 8: the number of tensors is neg"},
    {"pairs -1", 16, "\xff\xff\xff\xff\xff\xff\xff\xff", 8, "byte 16: the number of key-value pai"},
    {"many tensors", 8, "\xff\xff\xff\xff\xff\xff\xff\x7f", 8, "remaining bytes hold at most"},
    {"many pairs", 16, "\x00\x10\0\0\0\0\0\0", 8, "claims 4096 key-value pairs"},
};

static void test_bad_headers(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(header_cases); i++) {
        struct builder b = {0};
        struct text file = {0};
        good_file(&b);
        builder_finish(&b, &file);
        memcpy(file.bytes + header_cases[i].offset, header_cases[i].bytes, header_cases[i].length);
        expect_rejected(header_cases[i].name, &file, header_cases[i].expected);
        text_release(&file);
    }
    struct text nothing = {0};
    expect_rejected("empty", &nothing, "the file is empty");
    struct text tiny = {.bytes = (char[24]){"GGUF\3"}, .length = 23};
    expect_rejected("23 bytes", &tiny, "it has 23 bytes, expected at least 24");
    tiny.length = 24;
    expect_rejected("no pairs", &tiny, "\"general.architecture\" is missing");
}

/* ---- Rejections: key-value pairs --------------------------------------------------------------
 */

#define BYTES(literal) literal, sizeof(literal) - 1
#define LEN(n)         n "\0\0\0\0\0\0\0"

/* Raw bytes of one pair that follows good ones. */
static const struct {
    const char *name;
    const char *bytes;
    size_t length;
    const char *expected;
} pair_cases[] = {
    {"empty key", BYTES(LEN("\0") "\4\0\0\0abcd"), "a key is empty"},
    {"key of -1 bytes",
     BYTES("\xff\xff\xff\xff\xff\xff\xff\xff"
           "k\4\0\0\0abcd"),
     "a key claims to have 18446744073709551615 bytes"},
    {"key longer than the rest", BYTES("\0\x40\0\0\0\0\0\0k\4\0\0\0abcd"), "claims to have 16384"},
    {"NUL in key", BYTES(LEN("\3") "a\0b\4\0\0\0abcd"), "the key \"a?b\" contains a NUL byte"},
    {"value type 13", BYTES(LEN("\1") "k\x0d\0\0\0abcd"),
     "\"k\" has value type 13; expected 0 to 12"},
    {"value type -1",
     BYTES(LEN("\1") "k\xff\xff\xff\xff"
                     "abcd"),
     "has value type 4294967295"},
    {"array of type 13", BYTES(LEN("\1") "k\x09\0\0\0\x0d\0\0\0" LEN("\0")), "value type 13"},
    {"array of arrays", BYTES(LEN("\1") "k\x09\0\0\0\x09\0\0\0" LEN("\0")), "array of arrays"},
    {"array count overflow", BYTES(LEN("\1") "k\x09\0\0\0\x0a\0\0\0\1\0\0\0\0\0\0\x20"),
     "claims 2305843009213693953 items of type u64"},
    {"array longer than the rest", BYTES(LEN("\1") "k\x09\0\0\0\0\0\0\0\0\0\1\0\0\0\0\0"),
     "claims 65536 items of type u8"},
    {"strings more than the rest", BYTES(LEN("\1") "k\x09\0\0\0\x08\0\0\0\x80\0\0\0\0\0\0\0"),
     "claims 128 items of type string"},
    {"string of -1 bytes", BYTES(LEN("\1") "k\x08\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff"),
     "the value of \"k\" claims to have 18446744073709551615 bytes"},
    {"string longer than the rest", BYTES(LEN("\1") "k\x08\0\0\0\0\x40\0\0\0\0\0\0"), "claims to"},
    {"second string of an array",
     BYTES(LEN("\1") "k\x09\0\0\0\x08\0\0\0" LEN("\2") LEN("\1") "x"
                                                                 "\0\x40\0\0\0\0\0\0"),
     "claims to have 16384"},
    {"duplicate key", BYTES(LEN("\x14") "general.architecture\x07\0\0\0\0"),
     "\"general.architecture\" appears twice"},
    {"bool of 2", BYTES(LEN("\1") "k\x07\0\0\0\2"), "\"k\" has a bool of 2; expected 0 or 1"},
    {"bool of 255 in array", BYTES(LEN("\1") "k\x09\0\0\0\x07\0\0\0" LEN("\3") "\1\xff\0"),
     "a bool of 255"},
    {"alignment 13", BYTES(LEN("\x11") "general.alignment\4\0\0\0\x0d\0\0\0"),
     "general.alignment is 13; expected a power of two"},
    {"alignment 0", BYTES(LEN("\x11") "general.alignment\4\0\0\0\0\0\0\0"), "alignment is 0"},
    {"alignment 2 MiB", BYTES(LEN("\x11") "general.alignment\4\0\0\0\0\0\x20\0"), "is 2097152"},
    {"alignment of type u64", BYTES(LEN("\x11") "general.alignment\x0a\0\0\0" LEN("\x20")),
     "is of type u64; expected u32"},
    {"alignment an array", BYTES(LEN("\x11") "general.alignment\x09\0\0\0\4\0\0\0" LEN("\0")),
     "array of u32; expected u32"},
    {"general.type a number", BYTES(LEN("\x0c") "general.type\4\0\0\0\0\0\0\0"),
     "\"general.type\" is of type u32; expected a string"},
    {"general.type with NUL", BYTES(LEN("\x0c") "general.type\x08\0\0\0" LEN("\2") "a\0"),
     "contains a NUL byte"},
    {"two parts", BYTES(LEN("\x0b") "split.count\2\0\0\0\2\0"), "split into 2 files"},
    {"split count negative", BYTES(LEN("\x0b") "split.count\5\0\0\0\xff\xff\xff\xff"),
     "is negative"},
    {"split count empty", BYTES(LEN("\x0b") "split.count\x09\0\0\0\4\0\0\0" LEN("\0")),
     "empty array"},
    {"split count varies", BYTES(LEN("\x0b") "split.count\x09\0\0\0\2\0\0\0" LEN("\2") "\1\0\2\0"),
     "different numbers"},
};

static void test_bad_pairs(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(pair_cases); i++) {
        struct builder b = {0};
        struct text file = {0};
        good_file(&b);
        text_append(&b.pairs, pair_cases[i].bytes, pair_cases[i].length);
        b.n_pairs++;
        builder_finish(&b, &file);
        expect_rejected(pair_cases[i].name, &file, pair_cases[i].expected);
        text_release(&file);
    }
}

/* Files whose pairs are good by themselves, but not together. */
static void test_bad_metadata(void **state)
{
    (void)state;
    struct builder b = {0};
    struct text file = {0};
    pair_u32(&b, "general.architecture", 7);
    builder_finish(&b, &file);
    expect_rejected("architecture a number", &file, "is of type u32; expected a string");
    text_clear(&file);
    pair_string(&b, "general.name", "x");
    builder_finish(&b, &file);
    expect_rejected("no architecture", &file, "\"general.architecture\" is missing");
    text_clear(&file);
    pair_string(&b, "general.architecture", "llama");
    pair_u32(&b, "general.quantization_version", 1);
    builder_finish(&b, &file);
    expect_rejected("quantization version 1", &file, "is 1; expected 2 to 2");
    text_release(&file);
}

/* One string of `length` letters under `key`. */
static void file_with_long_string(const char *key, size_t length, bool as_key, struct text *file)
{
    struct builder b = {0};
    char *letters = memory_alloc(length + 1);
    memset(letters, 'x', length);
    letters[length] = '\0';
    pair_string(&b, "general.architecture", "llama");
    if (as_key)
        pair_u32(&b, letters, 1);
    else
        pair_string(&b, key, letters);
    builder_finish(&b, file);
    free(letters);
}

static void test_string_limits(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        size_t length;
        bool as_key, accepted;
    } cases[] = {
        {"k", 1 << 20, false, true},
        {"k", (1 << 20) + 1, false, false},
        {"tokenizer.chat_template", 1 << 24, false, true},
        {"tokenizer.chat_template", (1 << 24) + 1, false, false},
        {"", 65535, true, true},
        {"", 65536, true, false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct text file = {0};
        file_with_long_string(cases[i].key, cases[i].length, cases[i].as_key, &file);
        if (cases[i].accepted)
            gguf_free(open_bytes(&file));
        else
            expect_rejected(cases[i].key, &file, "are accepted");
        text_release(&file);
    }
}

/* ---- Rejections: tensors -------------------------------------------------------------------- */

#define TOP INT64_MAX

/* The entry of one tensor after the good ones "a" and "b"; the next offset is 96. */
static const struct {
    const char *name;
    const char *tensor;
    int64_t n_dims;
    int64_t ne[5];
    int64_t type;
    uint64_t offset;
    const char *expected;
} tensor_cases[] = {
    {"empty name", "", 1, {4}, 0, 96, "a tensor has an empty name"},
    {"name of 64 bytes",
     "0123456789012345678901234567890123456789012345678901234567890123",
     1,
     {4},
     0,
     96,
     "has 64 bytes; at most 63 are accepted"},
    {"duplicate name", "a", 1, {4}, 0, 96, "tensor \"a\" appears twice"},
    {"control character", "x\x1b[2J", 0, {0}, 0, 96, "tensor \"x?[2J\" has 0 dimensions"},
    {"0 dimensions", "x", 0, {0}, 0, 96, "has 0 dimensions; expected 1 to 4"},
    {"5 dimensions", "x", 5, {1, 1, 1, 1, 1}, 0, 96, "has 5 dimensions"},
    {"2^32 - 1 dimensions", "x", UINT32_MAX, {0}, 0, 96, "4294967295 dimensions"},
    {"negative dimension", "x", 2, {4, -1}, 0, 96, "dimension 1 is -1; expected 0 or more"},
    {"too many elements", "x", 2, {TOP, 2}, 0, 96, "more than 2^63 elements"},
    {"product wraps to 0", "x", 4, {1LL << 32, 1LL << 32, 1, 1}, 0, 96, "more than 2^63 elements"},
    {"0 hides the product", "x", 3, {1LL << 40, 1LL << 40, 0}, 0, 96, "more than 2^63 elements"},
    {"0 first hides it", "x", 3, {0, 1LL << 40, 1LL << 40}, 0, 96, "more than 2^63 elements"},
    {"too many bytes in a row", "x", 1, {TOP}, 0, 96, "claims more than 2^63 bytes"},
    {"too many bytes", "x", 2, {1LL << 31, 1LL << 31}, 0, 96, "claims more than 2^63 bytes"},
    {"unknown type", "x", 1, {4}, 43, 96, "has type 43 (an unknown type), which is not supported"},
    {"type -1", "x", 1, {4}, UINT32_MAX, 96, "has type 4294967295 (an unknown type)"},
    {"removed type", "x", 1, {32}, 4, 96, "(a removed type)"},
    {"unsupported type",
     "x",
     1,
     {256},
     10,
     96,
     "(Q2_K), which is not supported; supported are F32"},
    {"part of a block",
     "x",
     1,
     {33},
     3,
     96,
     "rows of 33 elements; type Q4_1 needs a multiple of 32"},
    {"misaligned", "x", 1, {4}, 0, 97, "starts at 97 of the data; expected 96"},
    {"gap", "x", 1, {4}, 0, 128, "starts at 128 of the data; expected 96"},
    {"overlap", "x", 1, {4}, 0, 32, "starts at 32 of the data; expected 96"},
    {"offset -1", "x", 1, {4}, 0, UINT64_MAX, "starts at 18446744073709551615"},
    {"past the end", "x", 1, {100}, 0, 96, "bytes are missing; download it again"},
    {"far past the end", "x", 2, {1 << 20, 1 << 20}, 0, 96, "bytes are missing"},
};

static void test_bad_tensors(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(tensor_cases); i++) {
        struct builder b = {0};
        struct text file = {0};
        good_file(&b);
        int64_t written = tensor_cases[i].n_dims <= 5 ? tensor_cases[i].n_dims : 0;
        put_string(&b.infos, tensor_cases[i].tensor);
        put_u32(&b.infos, (uint32_t)tensor_cases[i].n_dims);
        for (int64_t d = 0; d < written; d++)
            put_u64(&b.infos, (uint64_t)tensor_cases[i].ne[d]);
        put_u32(&b.infos, (uint32_t)tensor_cases[i].type);
        put_u64(&b.infos, tensor_cases[i].offset);
        b.n_tensors++;
        put_padding(&b.data, 32);
        builder_finish(&b, &file);
        expect_rejected(tensor_cases[i].name, &file, tensor_cases[i].expected);
        text_release(&file);
    }
}

static void test_bad_tensor_sums(void **state)
{
    (void)state;
    struct builder b = {0};
    struct text file = {0};
    /* Each fits into 63 bits; their padded sum wraps to a small number with 64. */
    const int64_t half[] = {0x3FFFFFFFFFFFFFE0};
    pair_string(&b, "general.architecture", "llama");
    put_info(&b, "x", 1, half, 1, 0);
    put_info(&b, "y", 1, half, 1, 0x7FFFFFFFFFFFFFC0);
    put_info(&b, "z", 1, half, 1, 0xFFFFFFFFFFFFFF80);
    builder_finish(&b, &file);
    expect_rejected("sum of bytes", &file, "claim more than 2^64 bytes");
    text_clear(&file);
    pair_string(&b, "general.architecture", "llama");
    put_u64(&b.infos, 3);
    text_append(&b.infos, "x\0y", 3);
    put_u32(&b.infos, 1);
    put_u64(&b.infos, 1);
    put_u32(&b.infos, 0);
    put_u64(&b.infos, 0);
    b.n_tensors++;
    builder_finish(&b, &file);
    expect_rejected("NUL in name", &file, "the tensor name \"x?y\" contains a NUL byte");
    text_release(&file);
}

/* ---- Rejections: every cut and many flips
 * -------------------------------------------------------- */

static void test_every_cut(void **state)
{
    (void)state;
    struct builder b = {0};
    struct text file = {0};
    good_file(&b);
    builder_finish(&b, &file);
    gguf_free(open_bytes(&file));
    for (size_t length = 0; length < file.length; length++) {
        /* A copy of exactly this size, so that a sanitizer sees the first byte read past it. */
        struct text cut = {.bytes = memory_alloc(length), .length = length};
        memcpy(cut.bytes, file.bytes, length);
        char name[64];
        snprintf(name, sizeof name, "cut to %zu bytes", length);
        expect_rejected(name, &cut, "byte ");
        free(cut.bytes);
    }
    text_release(&file);
}

static void read_all(const struct gguf *gguf)
{
    for (size_t i = 0; i < gguf_tensor_count(gguf); i++) {
        const struct gguf_tensor *tensor = gguf_tensor_at(gguf, i);
        struct error err = {0};
        enum status status = gguf_expand(gguf, tensor, 0, tensor->rows, NULL, &err);
        assert_true(status == OK || status == BAD_MODEL);
    }
}

static void test_every_flip(void **state)
{
    (void)state;
    static const unsigned char flips[] = {0x01, 0x10, 0x80, 0xFF};
    struct builder b = {0};
    struct text file = {0};
    size_t rejected = 0;
    good_file(&b);
    builder_finish(&b, &file);
    for (size_t i = 0; i < file.length; i++)
        for (size_t j = 0; j < COUNT(flips); j++) {
            struct gguf *gguf;
            struct error err = {0};
            file.bytes[i] = (char)(file.bytes[i] ^ flips[j]);
            enum status status = gguf_from_bytes(&gguf, file.bytes, file.length, "t.gguf", &err);
            if (status == OK) {
                read_all(gguf);
                gguf_free(gguf);
            } else {
                assert_int_equal(status, BAD_MODEL);
                assert_non_null(strstr(err.text, "t.gguf: "));
                rejected++;
            }
            file.bytes[i] = (char)(file.bytes[i] ^ flips[j]);
        }
    assert_true(rejected > file.length); /* most of the header matters */
    text_release(&file);
}

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

/* ---- Files ------------------------------------------------------------------------------------
 */

struct folder {
    char path[256], model[300];
};

static struct folder make_folder(void)
{
    struct folder folder;
    const char *base = getenv("TMPDIR");
    snprintf(folder.path, sizeof folder.path, "%s/test_gguf.XXXXXX", base && *base ? base : "/tmp");
    assert_non_null(mkdtemp(folder.path));
    snprintf(folder.model, sizeof folder.model, "%s/m.gguf", folder.path);
    return folder;
}

static void remove_folder(const struct folder *folder)
{
    unlink(folder->model);
    rmdir(folder->path);
}

static void write_file(const char *path, const struct text *bytes)
{
    FILE *out = fopen(path, "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(bytes->bytes, 1, bytes->length, out), bytes->length);
    assert_int_equal(fclose(out), 0);
}

static void test_changed_file(void **state)
{
    (void)state;
    struct folder folder = make_folder();
    struct builder b = {0};
    struct text file = {0};
    struct error err = {0};
    struct gguf *gguf;
    float values[96];
    good_file(&b);
    builder_finish(&b, &file);
    write_file(folder.model, &file);
    assert_int_equal(gguf_open(&gguf, folder.model, &err), OK);
    assert_int_equal(gguf_file_bytes(gguf), file.length);
    assert_string_equal(gguf_path(gguf), folder.model);
    const struct gguf_tensor *tensor = gguf_tensor(gguf, "b");
    assert_int_equal(gguf_expand(gguf, tensor, 0, 3, values, &err), OK);
    assert_true(values[95] == 20);
    assert_int_equal(truncate(folder.model, (off_t)file.length - 1), 0);
    assert_int_equal(gguf_expand(gguf, tensor, 0, 3, values, &err), BAD_MODEL);
    assert_non_null(strstr(err.text, "size changed while it was in use"));
    assert_int_equal(gguf_read(gguf, tensor, 0, 1, values, &err), BAD_MODEL);
    assert_int_equal(truncate(folder.model, (off_t)file.length + 1), 0);
    assert_int_equal(gguf_read(gguf, tensor, 0, 1, values, &err), BAD_MODEL);
    gguf_free(gguf);
    text_release(&file);
    remove_folder(&folder);
}

static void test_strange_files(void **state)
{
    (void)state;
    struct folder folder = make_folder();
    struct gguf *gguf;
    struct error err = {0};
    assert_int_equal(gguf_open(&gguf, folder.model, &err), FAILED);
    assert_non_null(strstr(err.text, "m.gguf: cannot open: No such file"));
    assert_int_equal(gguf_open(&gguf, folder.path, &err), BAD_MODEL);
    assert_non_null(strstr(err.text, "not a regular file"));
    assert_int_equal(mkfifo(folder.model, 0600), 0);
    assert_int_equal(gguf_open(&gguf, folder.model, &err), BAD_MODEL); /* and does not wait */
    assert_non_null(strstr(err.text, "not a regular file"));
    unlink(folder.model);
    struct text empty = {.bytes = (char[1]){""}};
    write_file(folder.model, &empty);
    assert_int_equal(gguf_open(&gguf, folder.model, &err), BAD_MODEL);
    assert_non_null(strstr(err.text, "the file is empty"));
    remove_folder(&folder);
}

/* A file with a hole of 8 GiB claims an array that large: refused without filling the memory. */
static void test_file_of_holes(void **state)
{
    (void)state;
    struct folder folder = make_folder();
    struct builder b = {0};
    struct text file = {0};
    struct gguf *gguf;
    struct error err = {0};
    pair_string(&b, "general.architecture", "llama");
    put_array(&b, "k", GGUF_U8, (uint64_t)1 << 33);
    builder_finish(&b, &file);
    write_file(folder.model, &file);
    if (truncate(folder.model, ((off_t)1 << 33) + 4096) == 0) {
        assert_int_equal(gguf_open(&gguf, folder.model, &err), BAD_MODEL);
        assert_non_null(strstr(err.text, "has 8589934592 items; at most 268435456 are accepted"));
    }
    text_release(&file);
    remove_folder(&folder);
}

static void test_long_path(void **state)
{
    (void)state;
    char path[3000];
    struct gguf *gguf;
    struct error err = {0};
    memset(path, 'x', sizeof path);
    memcpy(path + sizeof path - 8, "/m.gguf", 8);
    assert_int_equal(gguf_from_bytes(&gguf, "GGXF000000000000000000000000", 28, path, &err),
                     BAD_MODEL);
    assert_non_null(strstr(err.text, "/m.gguf: byte 0: expected \"GGUF\""));
}

/* A file by an independent writer. */
static void test_tiny_model(void **state)
{
    (void)state;
    struct gguf *gguf;
    struct error err = {0};
    const struct gguf_tensor *tensor;
    uint64_t width;
    if (gguf_open(&gguf, "tests/parity/fixtures/tiny.gguf", &err))
        fail_msg("%s", err.text);
    assert_string_equal(gguf_architecture(gguf), "llama");
    assert_int_equal(gguf_unsigned(gguf, "llama.embedding_length", 1, 4096, &width, &err), OK);
    assert_int_equal(
        gguf_tensor_expect(gguf, "output_norm.weight", (int64_t)width, 1, &tensor, &err), OK);
    read_all(gguf);
    gguf_free(gguf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_headers),   cmocka_unit_test(test_bad_pairs),
        cmocka_unit_test(test_bad_metadata),  cmocka_unit_test(test_string_limits),
        cmocka_unit_test(test_bad_tensors),   cmocka_unit_test(test_bad_tensor_sums),
        cmocka_unit_test(test_every_cut),     cmocka_unit_test(test_every_flip),
        cmocka_unit_test(test_numbers),       cmocka_unit_test(test_other_values),
        cmocka_unit_test(test_arrays),        cmocka_unit_test(test_random_pairs),
        cmocka_unit_test(test_tensors),       cmocka_unit_test(test_rows),
        cmocka_unit_test(test_long_tensor),   cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_warnings),      cmocka_unit_test(test_alignments),
        cmocka_unit_test(test_empty_tensor),  cmocka_unit_test(test_file_types),
        cmocka_unit_test(test_changed_file),  cmocka_unit_test(test_strange_files),
        cmocka_unit_test(test_file_of_holes), cmocka_unit_test(test_long_path),
        cmocka_unit_test(test_tiny_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
