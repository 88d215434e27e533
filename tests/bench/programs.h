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

/* A folder of its own below /tmp, where the studies of the commands go too. */
void bench_folder(char folder[BENCH_PATH]);
void bench_folder_remove(const char *folder);

/* Its output goes nowhere. Ends the bench when the command fails. */
struct used run_command(const char *program, const struct command *command);

/* A table of random words out of 3,000, with one of two labels. */
void write_rows(const char *path, size_t rows, size_t words);

#endif
