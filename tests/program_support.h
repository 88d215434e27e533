/* SPDX-License-Identifier: Apache-2.0
 *
 * What tests of the program share: starting it, waiting for it, and reading what it says. To be
 * included after cmocka.h; the including file defines _XOPEN_SOURCE 700.
 *
 * The program is $ADVISOR, else build/advisor; without it the tests are skipped.
 */
#ifndef TESTS_PROGRAM_SUPPORT_H
#define TESTS_PROGRAM_SUPPORT_H

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <time.h>

#include <jansson.h>

#include "base/clock.h"
#include "tests/program_path.h"
#include "tests/study_support.h"

/* ---- Running the program -------------------------------------------------------------------- */

/* One run of the program; its output is in files of the bench's folder. */
struct call {
    pid_t process;
    char out_path[BENCH_PATH], err_path[BENCH_PATH];
    double began, seconds;
    int status; /* exit status, or minus the signal that ended it */
    struct text out, err;
};

static inline void redirect(const char *path, int to)
{
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (file < 0 || dup2(file, to) < 0)
        _exit(99);
    close(file);
}

/* Starts `advisor WORDS`, which are cut at spaces. */
static inline void start(struct call *call, const struct bench *bench, const char *words)
{
    static int number;
    char *copy = strdup(words), *list[BENCH_WORDS] = {(char *)program()};
    int count = 1;
    *call = (struct call){.began = clock_seconds()};
    snprintf(call->out_path, sizeof call->out_path, "%s/out.%d", bench->folder, ++number);
    snprintf(call->err_path, sizeof call->err_path, "%s/err.%d", bench->folder, number);
    assert_non_null(copy);
    for (char *word = strtok(copy, " "); word && count < BENCH_WORDS - 1; word = strtok(NULL, " "))
        list[count++] = word;
    bench_write(call->err_path, ""); /* wait_for may be faster than the program */
    call->process = fork();
    assert_true(call->process >= 0);
    if (call->process == 0) {
        redirect(call->out_path, 1);
        redirect(call->err_path, 2);
        execv(list[0], list);
        _exit(98);
    }
    free(copy);
}

static inline void finish(struct call *call)
{
    int status;
    assert_int_equal(waitpid(call->process, &status, 0), call->process);
    call->seconds = clock_seconds() - call->began;
    call->status = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    files_read(call->out_path, &call->out);
    files_read(call->err_path, &call->err);
}

static inline void forget(struct call *call)
{
    text_release(&call->out);
    text_release(&call->err);
}

static inline void expect(const struct call *call, int status, const char *words)
{
    if (call->status != status)
        fail_msg("exit status %d, expected %d: %s", call->status, status, text_string(&call->err));
    if (words && !strstr(text_string(&call->err), words))
        fail_msg("\"%s\" does not say \"%s\"", text_string(&call->err), words);
}

static inline void pause_for(double seconds)
{
    struct timespec time = {(time_t)seconds, (long)(1e9 * (seconds - floor(seconds)))};
    while (nanosleep(&time, &time) && errno == EINTR)
        ;
}

/* Waits until the running program has said `words` on standard error. */
static inline void wait_for(struct call *call, const char *words)
{
    for (int i = 0; i < 6000; i++) {
        files_read(call->err_path, &call->err);
        if (strstr(text_string(&call->err), words))
            return;
        pause_for(0.01);
    }
    fail_msg("it does not say \"%s\": %s", words, text_string(&call->err));
}

/* `advisor recommend` on the bench's data with the tiny model. */
static inline const char *recommend(const struct bench *bench, const char *more)
{
    static char words[4096];
    snprintf(words, sizeof words,
             "recommend %s --model " TINY_MODEL " --study %s/study.db --format json %s",
             bench->data, bench->folder, more);
    return words;
}

static inline void run(struct call *call, const struct bench *bench, const char *words)
{
    start(call, bench, words);
    finish(call);
}

static inline void run_well(struct call *call, const struct bench *bench, const char *more)
{
    run(call, bench, recommend(bench, more));
    expect(call, 0, NULL);
}

/* ---- Reading the result --------------------------------------------------------------------- */

static inline json_t *parse(const struct call *call)
{
    json_error_t error;
    json_t *report = json_loads(text_string(&call->out), 0, &error);
    if (!report)
        fail_msg("not JSON: %s in %s", error.text, text_string(&call->out));
    return report;
}

static inline json_t *at(json_t *report, const char *section, const char *key)
{
    json_t *value = json_object_get(json_object_get(report, section), key);
    assert_non_null(value);
    return value;
}

static inline json_t *row(json_t *report, const char *technique)
{
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(report, "ranking"), i, item)
    {
        if (!strcmp(json_string_value(json_object_get(item, "technique")), technique))
            return item;
    }
    fail_msg("%s is not in the ranking", technique);
    return NULL;
}

static inline const char *word(const json_t *row, const char *key)
{
    return json_string_value(json_object_get(row, key));
}

/* "%" in the words of a case is the bench's folder. */
static inline void expand(const char *words, const char *folder, char *out, size_t size)
{
    struct text text = {0};
    for (const char *c = words; *c; c++) {
        if (*c == '%')
            text_add(&text, folder);
        else
            text_append(&text, c, 1);
    }
    snprintf(out, size, "%s", text_string(&text));
    text_release(&text);
}

#endif
