/* SPDX-License-Identifier: Apache-2.0
 *
 * GGUF files that are refused, with the place: header, pairs and tensors that cannot be, every cut
 * of a good file, and flips of each of its bytes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/memory.h"
#include "tests/gguf_support.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_headers),  cmocka_unit_test(test_bad_pairs),
        cmocka_unit_test(test_bad_metadata), cmocka_unit_test(test_string_limits),
        cmocka_unit_test(test_bad_tensors),  cmocka_unit_test(test_bad_tensor_sums),
        cmocka_unit_test(test_every_cut),    cmocka_unit_test(test_every_flip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
