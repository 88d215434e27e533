/* SPDX-License-Identifier: Apache-2.0
 *
 * Errors climb as a status code and one finished sentence.
 *
 * Every function that can fail returns `enum status` (0 is success) and takes a `struct error *` as
 * its last argument. The sentence says what went wrong, where, what was expected and found, and
 * what to do about it; only the command line prints it. A status is at the same time the exit
 * status of the program, so nothing is translated on the way up.
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

enum status {
    OK = 0,
    FAILED = 1,        /* the machine or the program failed: no space, no permission, no memory */
    USAGE = 2,         /* the command line asks for something impossible */
    REGRESSION = 3,    /* `check` found a regression */
    BAD_DATA = 4,      /* the user's data file is at fault */
    BAD_MODEL = 5,     /* the model file is at fault */
    INCONCLUSIVE = 6,  /* `check` cannot tell: too few examples */
    OUT_OF_TIME = 124, /* the deadline passed; never an exit status, the caller decides */
    INTERRUPTED = 130  /* the user pressed Ctrl-C; state is saved */
};

struct error {
    enum status status;
    char text[1024]; /* a finished sentence, UTF-8, no newline at the end */
};

/* Sets the error and returns `status`, so that a caller can write `return error_set(...)`.
 * A sentence longer than the buffer is cut at a UTF-8 boundary. `err` may be NULL. */
enum status error_set(struct error *err, enum status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "prefix: " in front of the sentence `err` already holds, and returns its status. */
enum status error_prefix(struct error *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
