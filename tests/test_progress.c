/* SPDX-License-Identifier: Apache-2.0
 *
 * The progress line and the handling of Ctrl-C.
 */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "advisor/interrupt.h"
#include "advisor/progress.h"
#include "base/error.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* ---- The line ---------------------------------------------------------------------------------
 */

static const struct progress_state usual = {.what = "few_shot",
                                            .stage = "scoring",
                                            .done = 120,
                                            .total = 200,
                                            .spent = 42,
                                            .budget = 300,
                                            .left = 69.2};

static void test_line(void **state)
{
    (void)state;
    struct progress_state unknown = {.what = "lora", .stage = "training", .left = -1};
    struct progress_state stopping = usual;
    struct progress_state over = usual;
    stopping.stopping = true;
    over.done = 250;
    over.left = 0;
    const struct {
        const struct progress_state *state;
        int columns;
        const char *expected;
    } rows[] = {
        {&usual, 100,
         "few_shot  scoring 120/200  [#######-----]  0:42 of 5:00 budget, about 1:10 left"},
        {&usual, 79,
         "few_shot  scoring 120/200  [#######-----]  0:42 of 5:00 budget, about 1:10 left"},
        {&usual, 78, "few_shot  scoring 120/200  [#######-----]  0:42 of 5:00 budget"},
        {&usual, 60, "few_shot  scoring 120/200  [#######-----]  0:42/5:00"},
        {&usual, 40, "few_shot  scoring 120/200  0:42/5:00"},
        {&usual, 20, "few_shot  scoring 1\u2026"},
        {&unknown, 80, "lora  training  0:00"},
        {&stopping, 80, "few_shot  stopping after this step  [#######-----]  0:42 of 5:00 budget"},
        {&over, 100,
         "few_shot  scoring 250/200  [############]  0:42 of 5:00 budget, about 0:00 left"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct text out = {0};
        progress_format(rows[i].state, rows[i].columns, &out);
        assert_string_equal(text_string(&out), rows[i].expected);
        text_release(&out);
    }
}

static void test_line_fits_any_width(void **state)
{
    (void)state;
    struct progress_state hostile = usual;
    hostile.what = "\033[31m\u6F22\u5B57 a name that is much longer than any technique has\n";
    for (int columns = 1; columns <= 200; columns++) {
        struct text out = {0};
        progress_format(&usual, columns, &out);
        assert_true(utf8_columns(text_string(&out)) <= columns);
        text_clear(&out);
        progress_format(&hostile, columns, &out);
        assert_true(utf8_columns(text_string(&out)) <= columns);
        assert_null(strpbrk(text_string(&out), "\033\n"));
        text_release(&out);
    }
}

static void test_clock(void **state)
{
    (void)state;
    static const struct {
        double seconds;
        const char *expected;
    } rows[] = {{0, "0:00"},     {-5, "0:00"},      {42.9, "0:42"},        {300, "5:00"},
                {3599, "59:59"}, {3600, "1:00:00"}, {360000, "100:00:00"}, {1e300, "277777:46:40"}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct text out = {0};
        progress_clock(rows[i].seconds, &out);
        assert_string_equal(text_string(&out), rows[i].expected);
        text_release(&out);
    }
}

/* ---- Drawing ----------------------------------------------------------------------------------
 */

static double pretended; /* seconds */

static double pretended_now(void)
{
    return pretended;
}

struct stage {
    char *bytes;
    size_t length;
    struct progress progress;
};

static void begin(struct stage *stage, enum progress_mode mode)
{
    memset(stage, 0, sizeof *stage);
    FILE *stream = open_memstream(&stage->bytes, &stage->length);
    assert_non_null(stream);
    progress_init(&stage->progress, stream, 90, mode);
    stage->progress.now = pretended_now;
    pretended = 1000;
}

static void end(struct stage *stage)
{
    fclose(stage->progress.stream);
    free(stage->bytes);
}

static size_t count_drawings(const struct stage *stage)
{
    size_t count = 0;
    fflush(stage->progress.stream);
    for (size_t i = 0; i < stage->length; i++)
        count += stage->bytes[i] == '\r';
    return count;
}

static void test_redrawn_ten_times_a_second(void **state)
{
    (void)state;
    struct stage stage;
    begin(&stage, PROGRESS_LINE);
    for (int i = 0; i < 2000; i++) { /* one second */
        progress_update(&stage.progress, "lora", "training", i, 2000, i / 2000.0, 60);
        pretended += 1 / 2000.0;
    }
    assert_in_range(count_drawings(&stage), 9, 11);
    end(&stage);
}

static void test_estimate(void **state)
{
    (void)state;
    struct stage stage;
    begin(&stage, PROGRESS_LINE);
    progress_update(&stage.progress, "lora", "training", 100, 200, 0, 60); /* resumed at 100 */
    pretended += 0.5;
    progress_update(&stage.progress, "lora", "training", 105, 200, 0, 60);
    fflush(stage.progress.stream);
    assert_null(strstr(stage.bytes, "left")); /* too early to say */
    pretended += 9.5;
    progress_update(&stage.progress, "lora", "training", 150, 200, 10, 60);
    fflush(stage.progress.stream);
    assert_non_null(strstr(stage.bytes, "about 0:10 left"));
    progress_clear(&stage.progress);
    size_t before = stage.length;
    progress_update(&stage.progress, "lora", "scoring", 50, 100, 10, 60); /* begins anew */
    fflush(stage.progress.stream);
    assert_null(strstr(stage.bytes + before, "left"));
    end(&stage);
}

static void test_notes_stay(void **state)
{
    (void)state;
    struct stage stage;
    begin(&stage, PROGRESS_LINE);
    progress_update(&stage.progress, "lora", "training", 1, 2, 0, 0);
    progress_note(&stage.progress, "%s: accuracy %.2f", "lora", 0.5);
    progress_update(&stage.progress, "lora", "scoring", 1, 2, 0, 0);
    progress_clear(&stage.progress);
    progress_clear(&stage.progress);
    fflush(stage.progress.stream);
    assert_string_equal(stage.bytes, "\rlora  training 1/2  [######------]  0:00\033[K"
                                     "\r\033[K"
                                     "lora: accuracy 0.50\n"
                                     "\rlora  scoring 1/2  [######------]  0:00\033[K"
                                     "\r\033[K");
    end(&stage);
}

static void test_no_terminal(void **state)
{
    (void)state;
    struct stage stage;
    begin(&stage, PROGRESS_NOTES);
    progress_update(&stage.progress, "lora", "training", 1, 2, 0, 0);
    progress_note(&stage.progress, "done: \033[31m%s", "a\nb");
    progress_clear(&stage.progress);
    fflush(stage.progress.stream);
    assert_string_equal(stage.bytes, "done: <U+001B>[31ma b\n");
    end(&stage);
    begin(&stage, PROGRESS_NONE);
    progress_update(&stage.progress, "lora", "training", 1, 2, 0, 0);
    progress_note(&stage.progress, "done");
    progress_clear(&stage.progress);
    fflush(stage.progress.stream);
    assert_int_equal(stage.length, 0);
    end(&stage);
}

static void test_interrupted_line(void **state)
{
    (void)state;
    struct stage stage;
    volatile sig_atomic_t flag = 0;
    begin(&stage, PROGRESS_LINE);
    stage.progress.interrupted = &flag;
    progress_update(&stage.progress, "lora", "training", 1, 2, 0, 0);
    flag = SIGINT;
    pretended += 1;
    progress_update(&stage.progress, "lora", "training", 1, 2, 0, 0);
    fflush(stage.progress.stream);
    assert_non_null(strstr(stage.bytes, "stopping after this step"));
    end(&stage);
}

static void test_columns(void **state)
{
    (void)state;
    static const struct {
        const char *variable;
        int expected;
    } rows[] = {{"132", 132}, {"10", 40}, {"nonsense", 80}, {"-5", 80}, {"99999999", 1000}};
    FILE *file = fopen("/dev/null", "w"); /* no terminal to ask */
    assert_non_null(file);
    for (size_t i = 0; i < COUNT(rows); i++) {
        setenv("COLUMNS", rows[i].variable, 1);
        assert_int_equal(terminal_columns(file), rows[i].expected);
    }
    unsetenv("COLUMNS");
    assert_int_equal(terminal_columns(file), 80);
    fclose(file);
}

/* ---- Signals ----------------------------------------------------------------------------------
 */

/* Runs `body` in a child process and returns how it ended, as a shell would say it. */
static int status_of(void (*body)(void))
{
    int status;
    fflush(NULL);
    pid_t child = fork();
    if (!child) {
        interrupt_install();
        body();
        _exit(7);
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void one_interrupt(void)
{
    if (*interrupt_flag())
        _exit(1);
    raise(SIGINT);
    if (*interrupt_flag() != SIGINT)
        _exit(2);
}

static void two_interrupts(void)
{
    raise(SIGINT);
    raise(SIGINT);
}

static void terminate(void)
{
    raise(SIGTERM);
    raise(SIGTERM); /* a service manager may repeat itself: still an orderly end */
    if (*interrupt_flag() != SIGTERM)
        _exit(2);
}

static void broken_pipe(void)
{
    int ends[2];
    if (pipe(ends) || close(ends[0]) || write(ends[1], "x", 1) != -1)
        _exit(2);
}

static void test_signals(void **state)
{
    (void)state;
    assert_int_equal(status_of(one_interrupt), 7);
    assert_int_equal(status_of(two_interrupts), INTERRUPTED);
    assert_int_equal(status_of(terminate), 7);
    assert_int_equal(status_of(broken_pipe), 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_line),        cmocka_unit_test(test_line_fits_any_width),
        cmocka_unit_test(test_clock),       cmocka_unit_test(test_redrawn_ten_times_a_second),
        cmocka_unit_test(test_estimate),    cmocka_unit_test(test_notes_stay),
        cmocka_unit_test(test_no_terminal), cmocka_unit_test(test_interrupted_line),
        cmocka_unit_test(test_columns),     cmocka_unit_test(test_signals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
