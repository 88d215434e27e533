/* SPDX-License-Identifier: Apache-2.0
 *
 * What every command that prints a result has in common: --json is one JSON text (or one a line)
 * that its schema in reports/schema describes to the last key, --quiet leaves standard error empty,
 * --verbose says no less, and NO_COLOR, --color=never and a pipe keep the bytes free of escapes.
 * The program itself runs, also under a terminal.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/text.h"
#include "tests/json_schema.h"
#include "tests/study_support.h"

#define COUNT(list) (sizeof(list) / sizeof *(list))

/* A command, and words that make it print a result in the bench's folder. In this order: some use
 * what others wrote. */
static const struct row {
    const char *name, *words, *schema;
    bool lines;   /* --json writes an object a line */
    bool colored; /* its text has colours on a terminal */
} rows[] = {
    {"recommend", "data.csv --techniques majority,few_shot --budget 30s --study made", "report",
     false, true},
    {"profile", "data.csv", "profile", false, true},
    {"advise", "data.csv --no-history", "advice", false, true},
    {"trial", "majority data.csv", "trial", false, true},
    {"report", "made", "report", false, true},
    {"bless", "made majority --force", "bless", false, false},
    {"check", "", "check", false, true},
    {"export", "made majority -o export --force", "export", false, false},
    {"predict", "export data.csv", "prediction", true, false},
    {"list", "techniques", "list", false, false},
};

/* Words of the same commands that print other parts of their schemas, or others. */
static const struct row variants[] = {
    {.name = "recommend", .words = "data.csv --budget 30s --study x --dry-run", .schema = "plan"},
    {.name = "profile", .words = "data.csv --test data.csv", .schema = "profile"},
    {.name = "advise", .words = "--examples 400 --parameters 7B", .schema = "advice"},
    {.name = "list", .words = "formats", .schema = "list"},
    {.name = "list", .words = "metrics", .schema = "list"},
    {.name = "list", .words = "rules", .schema = "list"},
    {.name = "list", .words = "facts", .schema = "list"},
    {.name = "list", .words = "techniques lora", .schema = "list"},
    {.name = "list", .words = "techniques majority", .schema = "list"},
};

static struct bench bench;
static char home[BENCH_PATH], program[2 * BENCH_PATH];

static int enter(void **state)
{
    (void)state;
    char model[2 * BENCH_PATH];
    const char *advisor = getenv("ADVISOR");
    assert_non_null(getcwd(home, sizeof home));
    snprintf(program, sizeof program, "%s/%s", home, advisor ? advisor : "build/advisor");
    if (advisor && *advisor == '/')
        snprintf(program, sizeof program, "%s", advisor);
    bench_enter(&bench);
    bench_rows(bench.data, 120, 4, 3);
    snprintf(model, sizeof model, "%s/%s", home, TINY_MODEL);
    setenv("ADVISOR_MODEL", model, 1);
    setenv("ADVISOR_THREADS", "2", 1);
    setenv("TERM", "xterm", 1);
    unsetenv("NO_COLOR");
    unsetenv("COLUMNS");
    return chdir(bench.folder);
}

/* A test that failed may have left it. */
static int in_bench(void **state)
{
    (void)state;
    return chdir(bench.folder);
}

static int leave(void **state)
{
    (void)state;
    assert_int_equal(chdir(home), 0);
    bench_leave(&bench);
    return 0;
}

/* ---- Running the program -------------------------------------------------------------------- */

struct run {
    int status;
    struct text out, err;
};

static void release(struct run *run)
{
    text_release(&run->out);
    text_release(&run->err);
}

static void child(const char *line, int out, int err)
{
    char copy[1024], *list[BENCH_WORDS] = {program};
    int count = 1;
    snprintf(copy, sizeof copy, "%s", line);
    for (char *word = strtok(copy, " "); word && count < BENCH_WORDS - 1; word = strtok(NULL, " "))
        list[count++] = word;
    if (dup2(out, STDOUT_FILENO) < 0 || dup2(err, STDERR_FILENO) < 0)
        _exit(126);
    execv(program, list);
    _exit(127);
}

static void drain(int file, struct text *out)
{
    char buffer[4096];
    for (;;) {
        ssize_t got = read(file, buffer, sizeof buffer);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) /* a terminal whose other side went away says EIO */
            return;
        text_append(out, buffer, (size_t)got);
    }
}

static void slurp(const char *path, struct text *out)
{
    int file = open(path, O_RDONLY);
    assert_true(file >= 0);
    drain(file, out);
    close(file);
}

static int finish(pid_t pid)
{
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

/* `advisor LINE` with both outputs in files. */
static struct run run(const char *line)
{
    struct run run = {0};
    int out = open("out.txt", O_RDWR | O_CREAT | O_TRUNC, 0600);
    int err = open("err.txt", O_RDWR | O_CREAT | O_TRUNC, 0600);
    assert_true(out >= 0 && err >= 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (!pid)
        child(line, out, err);
    run.status = finish(pid);
    close(out);
    close(err);
    slurp("out.txt", &run.out);
    slurp("err.txt", &run.err);
    return run;
}

/* The same with standard output on a terminal, standard error in a file. */
static struct run run_on_terminal(const char *line)
{
    struct run run = {0};
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    assert_true(master >= 0 && !grantpt(master) && !unlockpt(master));
    int terminal = open(ptsname(master), O_RDWR | O_NOCTTY);
    int err = open("err.txt", O_RDWR | O_CREAT | O_TRUNC, 0600);
    assert_true(terminal >= 0 && err >= 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (!pid)
        child(line, terminal, err);
    close(terminal);
    close(err);
    drain(master, &run.out);
    close(master);
    run.status = finish(pid);
    slurp("err.txt", &run.err);
    return run;
}

static void line_of(const struct row *row, const char *more, char line[1024])
{
    snprintf(line, 1024, "%s %s %s", row->name, row->words, more);
}

/* Runs the row with further words; it has to succeed and print something. */
static struct run must(const struct row *row, const char *more, bool terminal)
{
    char line[1024];
    line_of(row, more, line);
    struct run found = terminal ? run_on_terminal(line) : run(line);
    if (found.status || !found.out.length)
        fail_msg("advisor %s: status %d, %zu bytes; %s", line, found.status, found.out.length,
                 text_string(&found.err));
    return found;
}

static bool has_escapes(const struct text *out)
{
    return memchr(text_string(out), '\033', out->length) != NULL;
}

/* ---- The tests ------------------------------------------------------------------------------ */

/* Whoever adds a command adds a row here, and the options that every one of them takes. */
static void every_command_is_here(void **state)
{
    (void)state;
    static const char *const common[] = {"json", "format", "output", "color", "quiet", "verbose"};
    const struct command *command;
    for (size_t i = 0; (command = command_at(i)); i++) {
        size_t row = 0;
        if (!strcmp(command->name, "help")) /* prints no result */
            continue;
        while (row < COUNT(rows) && strcmp(rows[row].name, command->name) != 0)
            row++;
        if (row == COUNT(rows))
            fail_msg("no row for %s", command->name);
        for (size_t c = 0; c < COUNT(common); c++)
            if (!command_takes(command, common[c]))
                fail_msg("advisor %s takes no --%s", command->name, common[c]);
    }
}

/* Neither a key that no schema tells of, nor one that it tells of and is not there. */
static void assert_schema(const struct row *row, const char *json)
{
    static const char *const data[] = {"setting", "metrics", "probabilities", NULL};
    static const char *const none[] = {NULL};
    static const char *const optional[] = {"task", "probabilities", NULL};
    bool some = !strcmp(row->schema, "export") || !strcmp(row->schema, "prediction");
    schema_must_be_strict(row->schema, json, data, some ? optional : none);
}

static void assert_json(const struct row *row, const struct text *out)
{
    const char *at = text_string(out);
    size_t objects = 0;
    while (*at) {
        size_t length = row->lines ? strcspn(at, "\n") + 1 : strlen(at);
        struct text json = {0};
        text_append(&json, at, length);
        assert_schema(row, text_string(&json));
        text_release(&json);
        at += length;
        objects++;
    }
    assert_true(row->lines ? objects > 1 : objects == 1);
}

static void json_and_quiet(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows) + COUNT(variants); i++) {
        const struct row *row = i < COUNT(rows) ? &rows[i] : &variants[i - COUNT(rows)];
        struct run found = must(row, "--json --quiet", false);
        assert_int_equal(chdir(home), 0); /* where the schemas are */
        assert_json(row, &found.out);
        assert_int_equal(chdir(bench.folder), 0);
        if (found.err.length)
            fail_msg("advisor %s --quiet: %s", row->name, found.err.bytes);
        release(&found);
    }
}

/* --verbose says no less than nothing given, on both outputs together, and --quiet no more. */
static void verbose_and_quiet(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct run quiet = must(&rows[i], "--quiet", false);
        struct run usual = must(&rows[i], "", false);
        struct run verbose = must(&rows[i], "--verbose", false);
        if (quiet.err.length)
            fail_msg("advisor %s --quiet: %s", rows[i].name, quiet.err.bytes);
        assert_true(quiet.err.length <= usual.err.length);
        assert_true(verbose.out.length + verbose.err.length + 64 >=
                    usual.out.length + usual.err.length); /* measured times differ in length */
        release(&quiet);
        release(&usual);
        release(&verbose);
    }
}

static void no_color(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct run plain = must(&rows[i], "-q", false), terminal = must(&rows[i], "-q", true);
        if (has_escapes(&plain.out))
            fail_msg("advisor %s: escapes in a file", rows[i].name);
        if (has_escapes(&terminal.out) != rows[i].colored)
            fail_msg("advisor %s: on a terminal %s", rows[i].name, text_string(&terminal.out));
        release(&plain);
        release(&terminal);
        terminal = must(&rows[i], "-q --color never", true);
        assert_false(has_escapes(&terminal.out));
        release(&terminal);
        setenv("NO_COLOR", "1", 1);
        terminal = must(&rows[i], "-q", true);
        unsetenv("NO_COLOR");
        if (has_escapes(&terminal.out))
            fail_msg("advisor %s: escapes in spite of NO_COLOR", rows[i].name);
        release(&terminal);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_command_is_here),
        cmocka_unit_test(json_and_quiet),
        cmocka_unit_test_setup(verbose_and_quiet, in_bench),
        cmocka_unit_test_setup(no_color, in_bench),
    };
    return cmocka_run_group_tests(tests, enter, leave);
}
