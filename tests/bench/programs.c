/* SPDX-License-Identifier: Apache-2.0 */
#define _DEFAULT_SOURCE /* wait4 */
#include "tests/bench/programs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/random.h"

static const char data_home[] = "XDG_DATA_HOME", folder_start[] = "/tmp/advisor-bench-";

static int run_program(const char *const *arguments, struct rusage *used)
{
    int status;
    pid_t process = fork();
    if (process == 0) {
        int nowhere = open("/dev/null", O_WRONLY);
        if (nowhere >= 0 && dup2(nowhere, 1) >= 0)
            execv(arguments[0], (char *const *)arguments);
        _exit(98);
    }
    if (process < 0 || wait4(process, &status, 0, used) != process || !WIFEXITED(status))
        return -1;
    return WEXITSTATUS(status);
}

static struct used run(const char *program, const struct command *command, int expected)
{
    const char *list[MOST_ARGUMENTS + 2] = {program};
    struct rusage used;
    for (int i = 0; i < MOST_ARGUMENTS; i++)
        list[i + 1] = command->arguments[i];
    int status = run_program(list, &used);
    if (status != expected) {
        fprintf(stderr, "bench: advisor %s ended with %d; expected %d\n", command->name, status,
                expected);
        exit(FAILED);
    }
    return (struct used){1e3 * (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                             1e-3 * (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec),
                         1024 * (double)used.ru_maxrss};
}

struct used run_command(const char *program, const struct command *command)
{
    return run(program, command, OK);
}

struct used run_refused(const char *program, const struct command *command)
{
    return run(program, command, USAGE);
}

/* The folder is where the environment says that studies go. */
static void remove_folder(void)
{
    const char *folder = getenv(data_home);
    const char *const list[] = {"/bin/rm", "-rf", folder, NULL};
    struct rusage used;
    if (!folder || strncmp(folder, folder_start, strlen(folder_start)) != 0)
        return;
    if (run_program(list, &used) != 0)
        fprintf(stderr, "bench: %s is left behind\n", folder);
}

void bench_folder(char folder[BENCH_PATH])
{
    snprintf(folder, BENCH_PATH, "%sXXXXXX", folder_start);
    if (mkdtemp(folder) && !setenv(data_home, folder, 1) && !atexit(remove_folder))
        return;
    fprintf(stderr, "bench: no folder in /tmp: %s\n", strerror(errno));
    exit(FAILED);
}

void write_rows(const char *path, size_t rows, size_t words)
{
    struct random random = random_stream(1, "rows", rows);
    FILE *file = fopen(path, "w");
    if (file)
        fprintf(file, "text,label\n");
    for (size_t i = 0; file && i < rows; i++) {
        for (size_t w = 0; w < words; w++)
            fprintf(file, "w%zu ", random_below(&random, 3000));
        fprintf(file, ",%s\n", random_below(&random, 2) ? "yes" : "no");
    }
    if (!file || fclose(file)) {
        fprintf(stderr, "bench: %s: cannot write: %s\n", path, strerror(errno));
        exit(FAILED);
    }
}
