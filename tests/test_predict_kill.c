/* SPDX-License-Identifier: Apache-2.0
 *
 * `advisor predict` killed in the middle, again and again: the same command goes on, and the output
 * is that of a run which nobody disturbed.
 */
#define _XOPEN_SOURCE 700
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/program_support.h"

enum { ROWS = 6000, KILLS = 3 };

static struct bench bench;
static struct call call;

static const char *line_of(const char *words)
{
    static char line[2048];
    expand(words, bench.folder, line, sizeof line);
    return line;
}

static void advisor(const char *words)
{
    forget(&call);
    run(&call, &bench, line_of(words));
    expect(&call, 0, NULL);
}

static int enter(void **state)
{
    (void)state;
    char path[BENCH_PATH];
    bench_enter(&bench);
    setenv("ADVISOR_MODEL", TINY_MODEL, 1);
    setenv("ADVISOR_THREADS", "1", 1);
    bench_rows(bench.data, 120, 4, 3);
    advisor("recommend %/data.csv --techniques zero_shot --budget 30s --study %/study.db -q");
    advisor("export %/study.db zero_shot -o %/export -q");
    snprintf(path, sizeof path, "%s/inputs.csv", bench.folder);
    bench_rows(path, ROWS, 6, 3);
    return 0;
}

static int leave(void **state)
{
    (void)state;
    forget(&call);
    bench_leave(&bench);
    return 0;
}

/* Pieces of the output that count as done, which stand beside it; 0 while there are none. */
static unsigned long pieces_done(void)
{
    struct text state = {0};
    unsigned long pieces = 0;
    const char *path = line_of("%/out.csv.partial.state");
    if (access(path, F_OK))
        return 0;
    files_read(path, &state);
    assert_int_equal(sscanf(text_string(&state), "advisor predict %*d %*s %lu", &pieces), 1);
    text_release(&state);
    return pieces;
}

/* As soon as one piece more is done. */
static void kill_it(unsigned long pieces)
{
    forget(&call);
    start(&call, &bench, line_of("predict %/export %/inputs.csv -o %/out.csv -q"));
    for (int i = 0; i < 60000 && pieces_done() <= pieces; i++)
        pause_for(0.001);
    kill(call.process, SIGKILL);
    finish(&call);
    assert_int_equal(call.status, -SIGKILL);
}

static void goes_on_after_a_kill(void **state)
{
    (void)state;
    struct text whole = {0}, found = {0};
    advisor("predict %/export %/inputs.csv -o %/whole.csv -q");
    for (size_t i = 0; i < KILLS; i++) {
        unsigned long before = pieces_done();
        kill_it(before);
        assert_true(access(line_of("%/out.csv"), F_OK)); /* only when it is whole */
        assert_true(pieces_done() > before);
    }
    advisor("predict %/export %/inputs.csv -o %/out.csv");
    expect(&call, 0, "6000 rows labelled, ");
    expect(&call, 0, " of them earlier");
    files_read(line_of("%/whole.csv"), &whole);
    files_read(line_of("%/out.csv"), &found);
    assert_string_equal(text_string(&found), text_string(&whole));
    assert_true(access(line_of("%/out.csv.partial"), F_OK));
    assert_true(access(line_of("%/out.csv.partial.state"), F_OK));
    text_release(&whole);
    text_release(&found);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(goes_on_after_a_kill)};
    return cmocka_run_group_tests(tests, enter, leave);
}
