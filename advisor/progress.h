/* SPDX-License-Identifier: Apache-2.0
 *
 * What the user sees while waiting, on standard error.
 *
 * On a terminal: one line, redrawn in place at most ten times a second, that never wraps:
 *
 *   few_shot  scoring 120/200  [######----]  0:42 of 5:00 budget, about 1:10 left
 *
 * and notes, which stay, above it. Elsewhere (a log file) only the notes. With --quiet nothing.
 * Use by one thread at a time. Results never go through here.
 */
#ifndef ADVISOR_PROGRESS_H
#define ADVISOR_PROGRESS_H

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/text.h"

struct options;

enum progress_mode {
    PROGRESS_NONE,  /* say nothing */
    PROGRESS_NOTES, /* notes only */
    PROGRESS_LINE   /* notes and the line */
};

struct progress {
    FILE *stream; /* not owned */
    enum progress_mode mode;
    int columns;                              /* of the terminal; 0: asked for at each drawing */
    const volatile sig_atomic_t *interrupted; /* or NULL; once nonzero the line says so */

    /* Of the line on the screen. */
    bool drawn;
    double drawn_at;
    double (*now)(void); /* clock_seconds; another one in tests */

    /* Of the stage under way, for the estimate of what is left of it. */
    char stage[96];
    double stage_since;
    double stage_from; /* `done` at that time: a resumed stage does not begin at 0 */
};

/* `columns` 0: those of the terminal behind `stream`. */
void progress_init(struct progress *progress, FILE *stream, int columns, enum progress_mode mode);

/* On standard error, as --quiet, --no-progress and --color say. */
void progress_open(struct progress *progress, const struct options *options);

/* Where the work is. `what` is the technique, `stage` a short word ("scoring", "training"), `done`
 * of `total` in any unit, total 0 when unknown; `spent` of `budget` seconds, budget 0 for none.
 * Cheap: call it as often as there is something new. */
void progress_update(struct progress *progress, const char *what, const char *stage, double done,
                     double total, double spent, double budget);

/* A line that stays; no newline at its end. What is not printable in it is made visible. */
void progress_note(struct progress *progress, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Takes the line off the screen; call it before anything else is written. */
void progress_clear(struct progress *progress);

/* The line itself, as long as fits into `columns` (at least 40), without colour or newline;
 * `left` < 0: not known. */
struct progress_state {
    const char *what, *stage;
    double done, total, spent, budget, left;
    bool stopping;
};
void progress_format(const struct progress_state *state, int columns, struct text *out);

/* "0:42", "5:00", "1:02:03". */
void progress_clock(double seconds, struct text *out);

/* Columns of the terminal behind `stream`: COLUMNS, else what the terminal says, else 80; at least
 * 40. */
int terminal_columns(FILE *stream);

#endif
