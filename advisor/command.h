/* SPDX-License-Identifier: Apache-2.0
 *
 * The contract of a command, and the table of those there are.
 *
 * A command is one row in command.c, with its help, and one `run` function in a file of its own.
 * To add one: write the function, declare it below, add the row. Options come from the one table
 * in options.c; a row names those that it takes and all others are refused.
 *
 * A command writes results with advisor/output.h, never with printf, and everything else through a
 * `struct progress`.
 */
#ifndef ADVISOR_COMMAND_H
#define ADVISOR_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include "advisor/options.h"
#include "base/error.h"
#include "base/text.h"

struct command {
    const char *name;
    const char *summary;  /* one line, starts with a small letter */
    const char *operands; /* for the synopsis: "TECHNIQUE DATA", "[WHAT [NAME]]", "" */
    size_t fewest, most;  /* operands */
    const char *help;     /* paragraphs of at most 80 columns */
    const char *examples; /* two at least: lines "  # what for" and "  advisor ..." */
    const char *formats;  /* what --format takes here where that is no report: "a|b"; else NULL */
    const char *format_help;    /* then */
    bool folder;                /* --output names a folder, which the command looks after */
    const char *const *options; /* names of its options in options.c, ended by NULL; --help apart */
    enum status (*run)(const struct options *options, struct error *err);
};

/* The commands in the order of the help; NULL when `index` is past the last. */
const struct command *command_at(size_t index);
const struct command *command_find(const char *name); /* or NULL */

/* True when the command takes the option. */
bool command_takes(const struct command *command, const char *option);

/* Runs `advisor argv[1] ...`: finds the command, reads its options, runs it. `--help` and
 * `--version` are answered here. The error, if any, is for the caller to print; it may have an
 * empty text, when there is nobody left to tell (the reader of the output went away). */
enum status command_dispatch(int argc, char **argv, struct error *err);

/* Append the help: of all, of one command (synopsis, text, options, examples). */
void help_overview(struct text *out);
void help_command(const struct command *command, struct text *out);

/* Appends what `--version` prints: the version of the program and of the libraries. */
void help_version(struct text *out);

/* Append the manual page (groff_man(7)), and a script that completes command lines in bash. */
void manual_page(struct text *out);
void completion_script(struct text *out);

/* ---- What the rows of the table run --------------------------------------------------------- */

enum status recommend_run(const struct options *options, struct error *err);
enum status trial_run(const struct options *options, struct error *err);
enum status report_run(const struct options *options, struct error *err);
enum status profile_run(const struct options *options, struct error *err);
enum status advise_run(const struct options *options, struct error *err);
enum status bless_run(const struct options *options, struct error *err);
enum status check_run(const struct options *options, struct error *err);
enum status export_run(const struct options *options, struct error *err);
enum status predict_run(const struct options *options, struct error *err);
enum status list_run(const struct options *options, struct error *err);
enum status help_run(const struct options *options, struct error *err);

#endif
