/* SPDX-License-Identifier: Apache-2.0
 *
 * GGUF files on a disk: those that change, are no files, or are larger than memory, and one by an
 * independent writer.
 */
#define _XOPEN_SOURCE 700
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/files.h"
#include "tests/gguf_support.h"

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
    files_write(folder.model, file.bytes, file.length);
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
    files_write(folder.model, "", 0);
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
    files_write(folder.model, file.bytes, file.length);
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
        cmocka_unit_test(test_changed_file),  cmocka_unit_test(test_strange_files),
        cmocka_unit_test(test_file_of_holes), cmocka_unit_test(test_long_path),
        cmocka_unit_test(test_tiny_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
