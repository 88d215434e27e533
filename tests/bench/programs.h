/* SPDX-License-Identifier: Apache-2.0
 *
 * Running advisor as a user does, and what it took; and data to run it on.
 */
#ifndef TESTS_BENCH_PROGRAMS_H
#define TESTS_BENCH_PROGRAMS_H

#include <stddef.h>

enum { MOST_ARGUMENTS = 13, BENCH_PATH = 256 };

struct command {
    const char *name;
    const char *arguments[MOST_ARGUMENTS]; /* behind the program's own path, ended by NULL */
};

struct used {
    double milliseconds; /* of the processor */
    double bytes;        /* peak memory, at least that of the process that starts it */
};

/* A folder of its own below /tmp, where the studies of the commands go too; removed when the
 * program ends, once. */
void bench_folder(char folder[BENCH_PATH]);

/* Its output goes nowhere. Ends the bench when the command does not end with 0. */
struct used run_command(const char *program, const struct command *command);

/* The same for one that has to be refused, with USAGE. */
struct used run_refused(const char *program, const struct command *command);

/* A table of random words out of 3,000, with one of two labels. */
void write_rows(const char *path, size_t rows, size_t words);

#endif
