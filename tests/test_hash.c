/* SPDX-License-Identifier: Apache-2.0 */
#define _XOPEN_SOURCE 700
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/memory.h"

/* Examples of FIPS 180-2, appendix B, and of NIST's test vectors for the empty message. */
static const struct {
    const char *unit; /* repeated */
    size_t times;
    const char *hex;
} vectors[] = {
    {"", 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    {"a", 1000000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
    {"0123456701234567012345670123456701234567012345670123456701234567", 10,
     "594847328451bdfa85056225462cc1d867d877fb388df0ce35f25ab5562bfbb5"},
};

static char *repeat(const char *unit, size_t times, size_t *size)
{
    size_t length = strlen(unit);
    char *bytes = memory_alloc(length * times);
    for (size_t i = 0; i < times; i++)
        memcpy(bytes + i * length, unit, length);
    *size = length * times;
    return bytes;
}

static void test_bytes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        char hex[HASH_HEX];
        size_t size;
        char *bytes = repeat(vectors[i].unit, vectors[i].times, &size);
        assert_int_equal(hash_bytes(bytes, size, hex, NULL), OK);
        assert_string_equal(hex, vectors[i].hex);
        free(bytes);
    }
}

static void test_file(void **state)
{
    (void)state;
    char folder[256], path[300];
    const char *base = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/test_hash.XXXXXX", base && *base ? base : "/tmp");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/bytes", folder);
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
    assert_true(fd >= 0);
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        char hex[HASH_HEX];
        struct error err = {0};
        size_t size;
        char *bytes = repeat(vectors[i].unit, vectors[i].times, &size);
        assert_int_equal(ftruncate(fd, 0), 0);
        assert_int_equal(pwrite(fd, bytes, size, 0), size);
        assert_int_equal(hash_file(path, hex, &err), OK);
        assert_string_equal(hex, vectors[i].hex);
        free(bytes);
    }
    close(fd);
    unlink(path);
    rmdir(folder);
}

static void test_unreadable(void **state)
{
    (void)state;
    char hex[HASH_HEX];
    struct error err = {0};
    assert_int_equal(hash_file("/nonexistent/model.gguf", hex, &err), FAILED);
    assert_non_null(strstr(err.text, "/nonexistent/model.gguf: cannot open"));
    assert_int_equal(hash_file("/", hex, &err), FAILED);
    assert_non_null(strstr(err.text, "cannot read"));
}

/* Close keys must differ in the low bits, which the tables use. */
static void test_quick(void **state)
{
    (void)state;
    enum { KEYS = 4096, SLOTS = 65536 };
    static unsigned char used[SLOTS];
    size_t collisions = 0;
    for (unsigned i = 0; i < KEYS; i++) {
        char key[24];
        int length = snprintf(key, sizeof key, "blk.%u.attn_q.weight", i);
        unsigned char *slot = &used[hash_quick(key, (size_t)length) % SLOTS];
        collisions += *slot;
        *slot = 1;
    }
    assert_in_range(collisions, 0, 2 * KEYS * (KEYS / 2) / SLOTS); /* twice the expected 128 */
    assert_int_equal(hash_quick("abc", 3), hash_quick("abc", 3));
    assert_int_not_equal(hash_quick("abc", 3), hash_quick("abc\0", 4));
    assert_int_not_equal(hash_quick_u64(1), hash_quick_u64(2));
}

/* A table is never more than half full, and no larger than that takes. */
static void test_table_size(void **state)
{
    static const struct {
        size_t entries, size;
    } cases[] = {{0, 16}, {1, 16}, {8, 16}, {9, 32}, {16, 32}, {17, 64}, {49152, 131072}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(hash_table_size(cases[i].entries), cases[i].size);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes),      cmocka_unit_test(test_file),
        cmocka_unit_test(test_unreadable), cmocka_unit_test(test_quick),
        cmocka_unit_test(test_table_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
