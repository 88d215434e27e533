/* SPDX-License-Identifier: Apache-2.0
 *
 * `help`, `--help` and `--version`; declared in advisor/command.h.
 */
#include <stdbool.h>
#include <string.h>

#include "advisor/command.h"
#include "advisor/output.h"
#include "evaluators/store_sql.h"
#include "model/blas.h"
#include "reports/plain.h"

enum { WIDTH = 80, TEXT_COLUMN = 29 };

/* Ends the line and begins the next one at `column`; a line that is short enough goes on. */
static void move_to(struct text *out, int used, int column)
{
    if (used + 2 > column) {
        text_add(out, "\n");
        used = 0;
    }
    text_repeat(out, " ", column - used);
}

void help_overview(struct text *out)
{
    const struct command *command;
    text_add(out,
             "Usage: advisor COMMAND [OPTION]... [OPERAND]...\n"
             "\n"
             "Tells which technique to customise a language model with, on your own data, and\n"
             "what each one costs, from small measured trials.\n"
             "\n"
             "Commands:\n");
    for (size_t i = 0; (command = command_at(i)); i++)
        text_printf(out, "  %-12s %s\n", command->name, command->summary);
    text_add(out, "\n"
                  "`advisor COMMAND --help` has the options of a command, with examples.\n"
                  "\n"
                  "Examples:\n"
                  "  # Try it on the built-in support tickets, in five minutes\n"
                  "  advisor recommend demo:tickets --target 0.85 --budget 5m\n"
                  "  # What there is to choose from\n"
                  "  advisor list techniques\n"
                  "\n"
                  "Exit status: 0 done, 1 failed, 2 wrong usage, 3 regression, 4 bad data,\n"
                  "5 bad model, 6 inconclusive check, 130 interrupted (what was measured is\n"
                  "kept).\n");
}

static void write_option(const struct option *option, const char *help, struct text *out)
{
    size_t start = out->length;
    if (option->letter)
        text_printf(out, "  -%c, ", option->letter);
    else
        text_add(out, "      ");
    text_printf(out, "--%s%s%s", option->name, option->argument ? " " : "",
                option->argument ? option->argument : "");
    move_to(out, (int)(out->length - start), TEXT_COLUMN);
    plain_wrap(out, help, TEXT_COLUMN, TEXT_COLUMN, WIDTH);
    text_add(out, "\n");
}

static void write_options(const struct command *command, struct text *out)
{
    const struct option *option;
    const char *group = "";
    for (size_t i = 0; (option = option_at(i)); i++) {
        if (!command_takes(command, option->name))
            continue;
        if (strcmp(group, option->group) != 0)
            text_printf(out, "\n%s:\n", option->group);
        group = option->group;
        const char *help = option->help;
        if (command->formats && !strcmp(option->name, "format"))
            help = command->format_help;
        else if (command->folder && !strcmp(option->name, "output"))
            help = "the folder to write; needed";
        write_option(option, help, out);
    }
    text_add(out, *group ? "" : "\nOptions:\n");
    text_add(out, "  -h, --help                 this text\n");
}

void help_command(const struct command *command, struct text *out)
{
    text_printf(out, "Usage: advisor %s%s%s%s\n\n", command->name,
                *command->options ? " [OPTION]..." : "", *command->operands ? " " : "",
                command->operands);
    text_add(out, command->help);
    text_printf(out, "\nExamples:\n%s", command->examples);
    write_options(command, out);
}

void help_version(struct text *out)
{
    text_add(out, "advisor " ADVISOR_VERSION "\n");
    text_printf(out, "%s\n", blas_version());
    text_printf(out, "SQLite %s\n", sql_version());
    text_printf(out, "built with %s\n",
#if defined(__clang__)
                "Clang " __clang_version__
#elif defined(__GNUC__)
                "GCC " __VERSION__
#else
                "an unknown compiler"
#endif
    );
}

enum status help_run(const struct options *options, struct error *err)
{
    struct text out = {0};
    const struct command *command = NULL;
    const char *name = options->operands[0];
    void (*page)(struct text *) = NULL;
    if (name && !strcmp(name, "manual"))
        page = manual_page;
    else if (name && !strcmp(name, "completion"))
        page = completion_script;
    else if (name && !(command = command_find(name)))
        return error_set(err, USAGE, "help: there is no command \"%s\"; `advisor help` lists them",
                         name);
    if (page)
        page(&out);
    else if (command)
        help_command(command, &out);
    else
        help_overview(&out);
    enum status status = output_write(options, &out, err);
    text_release(&out);
    return status;
}
