/* SPDX-License-Identifier: Apache-2.0
 *
 * Weights are read alike with any number of threads, and damage is told alike.
 */
#define _XOPEN_SOURCE 700
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
#include "base/random.h"
#include "model/gguf_write.h"
#include "model/reading.h"

/* More than two portions, the last of them smaller; and a tensor behind it. */
enum { COLUMNS = 1024, ROWS = 2500, BLOCKS = ROWS * (COLUMNS / 32), BLOCK = 34, Q8_0 = 8 };
enum { BYTES = BLOCKS * BLOCK, VALUES = ROWS * COLUMNS, MOST_THREADS = 3 };

static enum status sink(void *context, const void *bytes, size_t length, struct error *err)
{
    (void)err;
    text_append(context, bytes, length);
    return OK;
}

/* Two equal tensors of random blocks; the scale of each block is a half between 1 and 2. Scales of
 * the blocks `bad` are NaN. */
static void write_file(struct text *file, const size_t *bad, size_t bad_count)
{
    struct error err;
    struct random random = random_stream(1, "blocks", 0);
    unsigned char *blocks = memory_alloc(BYTES);
    struct gguf_writer writer = {.sink = sink, .context = file};
    for (size_t i = 0; i < BYTES; i++)
        blocks[i] = (unsigned char)(i % BLOCK == 1 ? 0x3C : random_below(&random, 256));
    for (size_t i = 0; i < bad_count; i++)
        blocks[bad[i] * BLOCK + 1] = 0x7E;
    gguf_writer_string(&writer, "general.architecture", "llama");
    gguf_writer_tensor(&writer, "a", 2, (int64_t[]){COLUMNS, ROWS}, Q8_0, BYTES);
    gguf_writer_tensor(&writer, "b", 2, (int64_t[]){COLUMNS, ROWS}, Q8_0, BYTES);
    assert_int_equal(gguf_writer_begin(&writer, &err), OK);
    for (int i = 0; i < 2; i++)
        assert_int_equal(gguf_writer_data(&writer, blocks, BYTES, &err), OK);
    assert_int_equal(gguf_writer_end(&writer, &err), OK);
    gguf_writer_release(&writer);
    free(blocks);
}

static struct gguf *open_file(const struct text *file)
{
    struct error err;
    struct gguf *gguf;
    if (gguf_from_bytes(&gguf, file->bytes, file->length, "file", &err) != OK)
        fail_msg("%s", err.text);
    return gguf;
}

/* Tensor a as values and tensor b as blocks, with `threads` threads. */
static enum status read_both(const struct gguf *gguf, int threads, real *values,
                             unsigned char *blocks, struct error *err)
{
    struct reading reading = {.gguf = gguf};
    memset(values, 0xFF, VALUES * sizeof *values);
    memset(blocks, 0xFF, BYTES);
    reading_add_values(&reading, gguf_tensor(gguf, "a"), values);
    reading_add_blocks(&reading, gguf_tensor(gguf, "b"), blocks);
    enum status status = reading_run(&reading, threads, NULL, err);
    reading_release(&reading);
    assert_null(reading.portions);
    return status;
}

static void test_same_bytes(void **state)
{
    (void)state;
    struct text file = {0};
    struct error err;
    write_file(&file, NULL, 0);
    struct gguf *gguf = open_file(&file);
    const struct gguf_tensor *a = gguf_tensor(gguf, "a"), *b = gguf_tensor(gguf, "b");
    float *plain = memory_alloc(VALUES * sizeof *plain);
    real *values = memory_alloc(VALUES * sizeof *values);
    unsigned char *blocks = memory_alloc(BYTES);
    assert_int_equal(gguf_expand(gguf, a, 0, ROWS, plain, &err), OK);
    for (int threads = 1; threads <= MOST_THREADS; threads++) {
        assert_int_equal(read_both(gguf, threads, values, blocks, &err), OK);
        assert_memory_equal(blocks, file.bytes + b->offset, BYTES);
        for (size_t i = 0; i < VALUES; i++)
            assert_true(values[i] == (real)plain[i]);
    }
    free(blocks);
    free(values);
    free(plain);
    gguf_free(gguf);
    text_release(&file);
}

/* Of damage in several portions the first is told, also where only the blocks are wanted. */
static void test_damage(void **state)
{
    static const size_t bad[] = {BLOCKS - 1, 1500 * 32 + 5, BLOCKS / 2 + 32000};
    (void)state;
    struct text file = {0};
    struct error err;
    write_file(&file, bad, sizeof bad / sizeof *bad);
    struct gguf *gguf = open_file(&file);
    real *values = memory_alloc(VALUES * sizeof *values);
    unsigned char *blocks = memory_alloc(BYTES);
    for (int threads = 1; threads <= MOST_THREADS; threads++) {
        assert_int_equal(read_both(gguf, threads, values, blocks, &err), BAD_MODEL);
        assert_non_null(strstr(err.text, "\"a\""));
        assert_non_null(strstr(err.text, "row 1500, column 160 "));
        struct reading reading = {.gguf = gguf};
        reading_add_blocks(&reading, gguf_tensor(gguf, "b"), blocks);
        assert_int_equal(reading_run(&reading, threads, NULL, &err), BAD_MODEL);
        assert_non_null(strstr(err.text, "\"b\""));
        assert_non_null(strstr(err.text, "row 1500, column 160 "));
        reading_release(&reading);
    }
    free(blocks);
    free(values);
    gguf_free(gguf);
    text_release(&file);
}

/* The hash is that of the whole file, and a file that is gone is an error. */
static void test_hash(void **state)
{
    static const char path[] = "tests/parity/fixtures/tiny.gguf";
    (void)state;
    char expected[HASH_HEX], found[HASH_HEX], folder[] = "/tmp/test_reading_XXXXXX", link[64];
    struct gguf *gguf;
    struct error err;
    assert_int_equal(hash_file(path, expected, &err), OK);
    assert_non_null(mkdtemp(folder));
    snprintf(link, sizeof link, "%s/model.gguf", folder);
    char *there = realpath(path, NULL);
    assert_int_equal(symlink(there, link), 0);
    free(there);
    assert_int_equal(gguf_open(&gguf, link, &err), OK);
    const struct gguf_tensor *tensor = gguf_tensor_at(gguf, 0);
    real *values = memory_alloc((size_t)(tensor->rows * tensor->ne[0]) * sizeof *values);
    struct reading reading = {.gguf = gguf};
    reading_add_values(&reading, tensor, values);
    for (int threads = 1; threads <= MOST_THREADS; threads++) {
        memset(found, 0, sizeof found);
        assert_int_equal(reading_run(&reading, threads, found, &err), OK);
        assert_string_equal(found, expected);
    }
    assert_int_equal(unlink(link), 0);
    assert_int_equal(reading_run(&reading, 2, found, &err), FAILED);
    assert_non_null(strstr(err.text, link));
    reading_release(&reading);
    free(values);
    gguf_free(gguf);
    assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bytes),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
