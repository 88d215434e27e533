/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of `advisor bless` and `advisor check` share: a folder with two studies on a tiny
 * model and made-up data, running the program's commands in it, and reading what they wrote. To be
 * included after cmocka.h; the including file defines _XOPEN_SOURCE 700.
 */
#ifndef TESTS_CHECK_SUPPORT_H
#define TESTS_CHECK_SUPPORT_H

#include <jansson.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>

#include "tests/json_schema.h"
#include "tests/study_support.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { TEST_ROWS = 1000 };

/* `study.db` has zero_shot, judged on the 1,000 rows of test.csv; `split.db` has lora, judged on a
 * part of its own data. */
static struct bench bench;

static inline const char *in_bench(const char *name)
{
    static char paths[8][BENCH_PATH];
    static int next;
    char *path = paths[next++ % 8];
    snprintf(path, BENCH_PATH, "%s/%s", bench.folder, name);
    return path;
}

/* Runs `advisor WORDS` in this process; "@name" is a file of the bench. */
static inline enum status advisor(struct error *err, const char *format, ...)
{
    char words[4096], *list[64] = {"advisor"};
    int count = 1;
    va_list args;
    va_start(args, format);
    vsnprintf(words, sizeof words, format, args);
    va_end(args);
    struct arena arena;
    arena_init(&arena, NULL);
    for (char *word = strtok(words, " "); word; word = strtok(NULL, " ")) {
        char *at = strchr(word, '@');
        list[count++] = word;
        if (at)
            list[count - 1] =
                arena_printf(&arena, "%.*s%s/%s", (int)(at - word), word, bench.folder, at + 1);
    }
    *err = (struct error){0};
    enum status status = command_dispatch(count, list, err);
    arena_release(&arena);
    return status;
}

static inline void must(enum status status, const struct error *err)
{
    desk_must(status, err);
}

static inline json_t *read_json(const char *name)
{
    json_error_t problem;
    json_t *root = json_load_file(in_bench(name), 0, &problem);
    if (!root)
        fail_msg("%s: %s", name, problem.text);
    return root;
}

static inline const char *string_of(const json_t *root, const char *key)
{
    const char *value = json_string_value(json_object_get(root, key));
    return value ? value : "";
}

static inline double number_of(const json_t *root, const char *key)
{
    return json_number_value(json_object_get(root, key));
}

static inline bool exists(const char *name)
{
    return !access(in_bench(name), F_OK);
}

/* Makes both studies, and baselines of them: base.json of study.db, lora.json of split.db. */
static inline int enter(void **state)
{
    (void)state;
    struct error err;
    unsetenv("ADVISOR_MODEL"); /* the models are given or those of the baselines */
    bench_enter(&bench);
    bench_rows(bench.data, 300, 3, 3);
    bench_rows(in_bench("test.csv"), TEST_ROWS, 3, 3);
    must(advisor(&err,
                 "recommend @data.csv --test @test.csv --model " TINY_MODEL
                 " --techniques majority,zero_shot --study @study.db --budget 10m -q -o @out"),
         &err);
    must(advisor(&err, "recommend @data.csv --model " TINY_MODEL
                       " --techniques majority,lora --study @split.db --budget 20s -q -o @out"),
         &err);
    must(advisor(&err, "bless @study.db zero_shot --model " TINY_MODEL " -o @base.json -q"), &err);
    must(advisor(&err, "bless @split.db lora --model " TINY_MODEL " -o @lora.json -q"), &err);
    return 0;
}

static inline int leave(void **state)
{
    (void)state;
    bench_leave(&bench);
    return 0;
}

/* Checks, as JSON; the verdict and its exit status must be `expected`. */
static inline json_t *check(enum status expected, const char *words)
{
    static const char *const names[] = {
        [OK] = "pass", [REGRESSION] = "regression", [INCONCLUSIVE] = "inconclusive"};
    struct error err;
    unlink(in_bench("check.json"));
    enum status status = advisor(&err, "check %s --format json -o @check.json -q", words);
    if (status != expected)
        fail_msg("check %s: status %d, expected %d: %s", words, (int)status, (int)expected,
                 err.text);
    json_t *root = read_json("check.json");
    schema_must_accept_value("check", root);
    assert_string_equal(string_of(root, "verdict"), names[expected]);
    return root;
}

/* The check must be refused with status `expected` and a sentence with `says`. */
static inline void refused(enum status expected, const char *says, const char *words)
{
    struct error err;
    unlink(in_bench("check.json"));
    enum status status = advisor(&err, "check %s --format json -o @check.json -q", words);
    if (status != expected || !strstr(err.text, says))
        fail_msg("check %s: status %d, expected %d, and \"%s\" in \"%s\"", words, (int)status,
                 (int)expected, says, err.text);
    assert_false(exists("check.json")); /* never a verdict */
}

/* A string of the list `key` has `words` in it. */
static inline bool says(const json_t *root, const char *key, const char *words)
{
    const json_t *list = json_object_get(root, key);
    for (size_t i = 0; i < json_array_size(list); i++)
        if (strstr(json_string_value(json_array_get(list, i)), words))
            return true;
    return false;
}

/* Copies lines `from` .. `to` - 1 of the CSV file `name`, and the header. */
static inline void copy_rows(const char *name, size_t from, size_t to, const char *copy)
{
    struct text text = {0}, out = {0};
    size_t row = 0;
    files_read(in_bench(name), &text);
    for (char *line = strtok(text.bytes, "\n"); line; line = strtok(NULL, "\n"), row++)
        if (!row || (row > from && row <= to))
            text_printf(&out, "%s\n", line);
    bench_write(in_bench(copy), text_string(&out));
    text_release(&text);
    text_release(&out);
}

static inline void append(const char *name, const char *rows)
{
    FILE *file = fopen(in_bench(name), "a");
    fputs(rows, file);
    fclose(file);
}

#endif
