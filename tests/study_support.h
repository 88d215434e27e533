/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of studies share: a folder of their own with the user's store in it, small data
 * made up from a few words, options as the command line gives them, and an open study. To be
 * included after cmocka.h; the including file defines _XOPEN_SOURCE 700.
 */
#ifndef TESTS_STUDY_SUPPORT_H
#define TESTS_STUDY_SUPPORT_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "advisor/command.h"
#include "advisor/options.h"
#include "advisor/study.h"
#include "base/random.h"
#include "tests/files.h"

#define TINY_MODEL "tests/parity/fixtures/tiny.gguf"

enum { BENCH_PATH = 600, BENCH_WORDS = 40 };

/* ---- A folder ------------------------------------------------------------------------------- */

struct bench {
    char folder[256];
    char data[BENCH_PATH]; /* data.csv in it */
};

static inline void bench_enter(struct bench *bench)
{
    const char *root = getenv("TMPDIR");
    snprintf(bench->folder, sizeof bench->folder, "%s/study-XXXXXX", root && *root ? root : "/tmp");
    if (!mkdtemp(bench->folder))
        fail_msg("no temporary folder %s", bench->folder);
    snprintf(bench->data, sizeof bench->data, "%s/data.csv", bench->folder);
    setenv("XDG_DATA_HOME", bench->folder, 1);
}

static inline void bench_leave(struct bench *bench)
{
    files_remove(bench->folder);
}

static inline void bench_write(const char *path, const char *bytes)
{
    files_write(path, bytes, strlen(bytes));
}

/* ---- Data ----------------------------------------------------------------------------------- */

static inline const char *bench_word(struct random *random)
{
    static const char *const words[] = {"lamp",    "kettle", "parcel", "jacket", "cable", "driver",
                                        "invoice", "garden", "blue",   "broken", "late",  "lovely",
                                        "heavy",   "small",  "second", "green"};
    return words[random_below(random, sizeof words / sizeof *words)];
}

/* `rows` rows of about `length` words in `classes` uneven classes; in most rows a word that goes
 * with the class. */
static inline void bench_rows(const char *path, size_t rows, size_t length, size_t classes)
{
    struct random random = random_stream(7, "bench rows", rows);
    struct text out = {0};
    text_add(&out, "text,label\n");
    for (size_t i = 0; i < rows; i++) {
        size_t a = random_below(&random, classes), b = random_below(&random, classes);
        size_t class = a < b ? a : b;
        for (size_t w = 0; w < length; w++)
            text_printf(&out, "%s ", bench_word(&random));
        if (random_below(&random, 8))
            text_printf(&out, "%c%c%c ", (char)('a' + class), (char)('a' + class),
                        (char)('a' + class));
        text_printf(&out, "%zu,class%zu\n", i, class);
    }
    bench_write(path, text_string(&out));
    text_release(&out);
}

/* ---- Options and a study -------------------------------------------------------------------- */

struct desk {
    struct options options;
    struct progress progress;
    struct study study;
};

/* Options of `advisor recommend WORDS --model tiny`; the words are cut at spaces. */
static inline void desk_options(struct desk *desk, char *words)
{
    char *list[BENCH_WORDS] = {"--model", TINY_MODEL, "--threads", "2"};
    int count = 4;
    for (char *word = strtok(words, " "); word && count < BENCH_WORDS; word = strtok(NULL, " "))
        list[count++] = word;
    struct error err = {0};
    if (options_parse(command_find("recommend"), count, list, &desk->options, &err) != OK)
        fail_msg("%s", err.text);
    progress_init(&desk->progress, stderr, 80, PROGRESS_NONE);
}

/* Opens the study; on failure the status is returned and `err` is set. */
static inline enum status desk_open(struct desk *desk, char *words, struct error *err)
{
    desk_options(desk, words);
    *err = (struct error){0};
    return study_open(&desk->study, &desk->options, &desk->progress, true, err);
}

static inline void desk_close(struct desk *desk)
{
    study_close(&desk->study);
    options_release(&desk->options);
}

static inline void desk_must(enum status status, const struct error *err)
{
    if (status != OK)
        fail_msg("status %d: %s", (int)status, err->text);
}

/* The status is `expected` and the sentence says `words`. */
static inline void desk_refused(enum status found, enum status expected, const struct error *err,
                                const char *words)
{
    if (found != expected)
        fail_msg("status %d instead of %d: %s", (int)found, (int)expected, err->text);
    if (!strstr(err->text, words))
        fail_msg("\"%s\" does not say \"%s\"", err->text, words);
}

#endif
