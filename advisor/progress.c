/* SPDX-License-Identifier: Apache-2.0 */
#define _DEFAULT_SOURCE /* struct winsize */
#include "advisor/progress.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "advisor/interrupt.h"
#include "advisor/options.h"
#include "base/clock.h"
#include "reports/plain.h"

enum { LEAST_COLUMNS = 40, MOST_COLUMNS = 1000, USUAL_COLUMNS = 80, BAR_CELLS = 12 };

static const double REDRAW_SECONDS = 0.1;

int terminal_columns(FILE *stream)
{
    struct winsize size;
    const char *variable = getenv("COLUMNS");
    long columns = variable ? strtol(variable, NULL, 10) : 0;
    if (columns <= 0 && !ioctl(fileno(stream), TIOCGWINSZ, &size))
        columns = size.ws_col;
    if (columns <= 0)
        columns = USUAL_COLUMNS;
    if (columns > MOST_COLUMNS)
        columns = MOST_COLUMNS;
    return columns < LEAST_COLUMNS ? LEAST_COLUMNS : (int)columns;
}

void progress_init(struct progress *progress, FILE *stream, int columns, enum progress_mode mode)
{
    *progress =
        (struct progress){.stream = stream, .mode = mode, .columns = columns, .now = clock_seconds};
}

void progress_open(struct progress *progress, const struct options *options)
{
    const char *terminal = getenv("TERM");
    bool live = isatty(STDERR_FILENO) && !options->no_progress && terminal &&
                strcmp(terminal, "dumb") != 0; /* a dumb one cannot erase */
    enum progress_mode mode = live ? PROGRESS_LINE : PROGRESS_NOTES;
    progress_init(progress, stderr, 0, options->quiet ? PROGRESS_NONE : mode);
    progress->interrupted = interrupt_flag();
}

/* ---- The line ---------------------------------------------------------------------------------
 */

void progress_clock(double seconds, struct text *out)
{
    const double longest = 1e9;
    if (!(seconds > 0))
        seconds = 0;
    long long whole = (long long)floor(fmin(seconds, longest));
    if (whole >= 3600)
        text_printf(out, "%lld:%02lld:%02lld", whole / 3600, whole / 60 % 60, whole % 60);
    else
        text_printf(out, "%lld:%02lld", whole / 60, whole % 60);
}

static double share_done(const struct progress_state *state)
{
    if (!(state->total > 0))
        return 0;
    return fmin(1, fmax(0, state->done / state->total));
}

static void add_bar(const struct progress_state *state, struct text *out)
{
    int filled = (int)(share_done(state) * BAR_CELLS);
    text_add(out, "[");
    text_repeat(out, "#", filled);
    text_repeat(out, "-", BAR_CELLS - filled);
    text_add(out, "]");
}

static void add_count(const struct progress_state *state, struct text *out)
{
    if (state->total > 0)
        text_printf(out, " %.0f/%.0f", fmax(0, state->done), state->total);
    else if (state->done > 0)
        text_printf(out, " %.0f", state->done);
}

static void add_time(const struct progress_state *state, bool words, struct text *out)
{
    progress_clock(state->spent, out);
    if (state->budget > 0) {
        text_add(out, words ? " of " : "/");
        progress_clock(state->budget, out);
        text_add(out, words ? " budget" : "");
    }
}

static void add_left(const struct progress_state *state, struct text *out)
{
    if (state->left < 0)
        return;
    text_add(out, ", about ");
    progress_clock(ceil(state->left), out);
    text_add(out, " left");
}

/* The line with more or less in it; level 0 says most. */
static void format_level(const struct progress_state *state, int level, struct text *out)
{
    plain_add(out, state->what);
    text_add(out, "  ");
    text_add(out, state->stopping ? "stopping after this step" : state->stage);
    if (!state->stopping)
        add_count(state, out);
    text_add(out, "  ");
    if (level < 3 && state->total > 0) {
        add_bar(state, out);
        text_add(out, "  ");
    }
    add_time(state, level < 2, out);
    if (level < 1)
        add_left(state, out);
}

void progress_format(const struct progress_state *state, int columns, struct text *out)
{
    enum { LEVELS = 4 };
    struct text line = {0};
    for (int level = 0; level < LEVELS; level++) {
        text_clear(&line);
        format_level(state, level, &line);
        if (utf8_columns(text_string(&line)) <= columns)
            break;
    }
    plain_cut(out, text_string(&line), columns);
    text_release(&line);
}

/* ---- Drawing ----------------------------------------------------------------------------------
 */

/* Notices a new stage, from which the speed of the work is then taken. */
static void note_stage(struct progress *progress, const char *what, const char *stage, double done,
                       double now)
{
    char name[sizeof progress->stage];
    snprintf(name, sizeof name, "%s %s", what, stage);
    if (!strcmp(name, progress->stage) && done >= progress->stage_from)
        return;
    memcpy(progress->stage, name, sizeof name);
    progress->stage_since = now;
    progress->stage_from = done;
}

/* Seconds until the stage is done at the speed so far, or -1 while that says nothing. */
static double estimate_left(const struct progress *progress, double done, double total, double now)
{
    const double soonest = 1; /* second */
    double elapsed = now - progress->stage_since;
    double gained = done - progress->stage_from;
    if (!(total > 0) || !(gained > 0) || elapsed < soonest)
        return -1;
    return fmax(0, (total - done) * elapsed / gained);
}

static void draw(struct progress *progress, const struct progress_state *state)
{
    struct text line = {0};
    int columns = progress->columns ? progress->columns : terminal_columns(progress->stream);
    /* The last column stays free: some terminals wrap as soon as it is filled. */
    progress_format(state, columns - 1, &line);
    fprintf(progress->stream, "\r%s\033[K", text_string(&line));
    fflush(progress->stream);
    text_release(&line);
    progress->drawn = true;
}

void progress_update(struct progress *progress, const char *what, const char *stage, double done,
                     double total, double spent, double budget)
{
    if (progress->mode != PROGRESS_LINE)
        return;
    double now = progress->now();
    note_stage(progress, what, stage, done, now);
    if (progress->drawn && now - progress->drawn_at < REDRAW_SECONDS)
        return;
    progress->drawn_at = now;
    struct progress_state state = {.what = what,
                                   .stage = stage,
                                   .done = done,
                                   .total = total,
                                   .spent = spent,
                                   .budget = budget,
                                   .left = estimate_left(progress, done, total, now),
                                   .stopping = progress->interrupted && *progress->interrupted};
    draw(progress, &state);
}

void progress_clear(struct progress *progress)
{
    if (!progress->drawn)
        return;
    fputs("\r\033[K", progress->stream);
    fflush(progress->stream);
    progress->drawn = false;
}

void progress_note(struct progress *progress, const char *format, ...)
{
    if (progress->mode == PROGRESS_NONE)
        return;
    char sentence[2048];
    struct text line = {0};
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    plain_add(&line, sentence);
    progress_clear(progress);
    fprintf(progress->stream, "%s\n", text_string(&line));
    fflush(progress->stream);
    text_release(&line);
}
