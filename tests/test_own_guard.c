/* SPDX-License-Identifier: Apache-2.0
 *
 * The guard on the project itself: a small study of all embedded tickets, blessed and checked by
 * the program as a user's CI does it.
 */
#define _GNU_SOURCE
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

#include "tests/json_schema.h"
#include "tests/program_support.h"

static struct bench bench;
static struct call call;

/* The tiny model with a context that every ticket fits in. */
static void write_model(const char *path)
{
    static const char key[] = "llama.context_length";
    enum { CONTEXT = 512, TYPE_BYTES = 4 };
    struct text bytes = {0};
    files_read(TINY_MODEL, &bytes);
    char *at = memmem(bytes.bytes, bytes.length, key, sizeof key - 1);
    assert_non_null(at);
    unsigned char *value = (unsigned char *)at + sizeof key - 1 + TYPE_BYTES;
    value[0] = CONTEXT & 255; /* little endian, whatever the machine */
    value[1] = CONTEXT >> 8;
    files_write(path, bytes.bytes, bytes.length);
    text_release(&bytes);
}

static int enter(void **state)
{
    (void)state;
    char path[BENCH_PATH];
    bench_enter(&bench);
    snprintf(path, sizeof path, "%s/model.gguf", bench.folder);
    write_model(path);
    setenv("ADVISOR_MODEL", path, 1);
    setenv("ADVISOR_THREADS", "2", 1);
    return 0;
}

static int leave(void **state)
{
    (void)state;
    forget(&call);
    bench_leave(&bench);
    return 0;
}

/* `advisor WORDS` ends with `status`; "%" is the bench's folder. */
static void advisor(const char *words, int status)
{
    char line[2048];
    expand(words, bench.folder, line, sizeof line);
    forget(&call);
    run(&call, &bench, line);
    expect(&call, status, NULL);
}

static json_t *checked(const char *words, int status, const char *verdict)
{
    advisor(words, status);
    json_t *root = parse(&call);
    schema_must_accept_value("check", root);
    assert_string_equal(word(root, "verdict"), verdict);
    assert_int_equal(json_array_size(json_object_get(root, "groups")), 7); /* the teams */
    return root;
}

static void blessed_and_checked(void **state)
{
    (void)state;
    advisor("recommend demo:tickets --techniques majority,zero_shot,linear_probe --budget 60s -q "
            "--study %/tickets.db -o %/report.txt",
            0);
    advisor("bless %/tickets.db linear_probe --test demo:tickets -o %/tickets.json -q", 0);
    json_t *root = checked("check %/tickets.json --json --also junit=%/guard.xml -q", 0, "pass");
    assert_true(json_is_true(json_object_get(root, "identical")));
    assert_int_equal(json_array_size(json_object_get(root, "flips")), 0);
    json_decref(root);
}

/* What is worse is not let through: the model as it was, in place of what was learned. */
static void a_worse_one_is_stopped(void **state)
{
    (void)state;
    json_t *root = checked("check %/tickets.json --technique zero_shot --json -q", 3, "regression");
    const json_t *whole = json_object_get(root, "whole");
    assert_true(json_number_value(json_object_get(whole, "p_worse")) < 1e-6);
    assert_true(json_array_size(json_object_get(root, "flips")) > 0);
    json_decref(root);
    advisor("check %/nothing.json -q", 2);
    assert_int_equal(call.out.length, 0); /* no verdict without a baseline */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blessed_and_checked),
        cmocka_unit_test(a_worse_one_is_stopped),
    };
    return cmocka_run_group_tests(tests, enter, leave);
}
