/* SPDX-License-Identifier: Apache-2.0
 *
 * The manual page and the completion for bash, made from the tables of commands and options, so
 * that they cannot fall behind; declared in advisor/command.h.
 */
#include <string.h>

#include "advisor/command.h"

/* ---- The manual page ---------------------------------------------------------------------------
 */

/* Text for groff_man(7): a backslash, a dash, and a dot or quote at the start of a line say more
 * than themselves. */
static void add_roff(struct text *out, const char *string)
{
    bool start = !out->length || out->bytes[out->length - 1] == '\n';
    for (const char *c = string; *c; c++) {
        if (start && (*c == '.' || *c == '\''))
            text_add(out, "\\&");
        if (*c == '\\')
            text_add(out, "\\e");
        else if (*c == '-')
            text_add(out, "\\-");
        else
            text_append(out, c, 1);
        start = *c == '\n';
    }
}

/* Help has an empty line between paragraphs, where the page has a macro. */
static void add_paragraphs(struct text *out, const char *string)
{
    for (const char *line = string; *line;) {
        size_t length = strcspn(line, "\n");
        struct text one = {0};
        text_append(&one, line, length);
        if (length) {
            add_roff(out, text_string(&one));
            text_add(out, "\n");
        } else {
            text_add(out, ".PP\n");
        }
        text_release(&one);
        line += length + (line[length] == '\n');
    }
}

static void add_options_of(struct text *out, const struct command *command)
{
    text_add(out, ".PP\nOptions:");
    for (const char *const *at = command->options; *at; at++) {
        text_add(out, at == command->options ? " \\fB\\-\\-" : ", \\fB\\-\\-");
        add_roff(out, *at);
        text_add(out, "\\fR");
    }
    text_add(out, *command->options ? ", \\fB\\-\\-help\\fR.\n" : " \\fB\\-\\-help\\fR.\n");
}

static void add_command(struct text *out, const struct command *command)
{
    text_printf(out, ".SS %s\n.B advisor %s", command->name, command->name);
    text_add(out, *command->options ? "\n[\\fIOPTION\\fR]... \\fI" : "\n\\fI");
    add_roff(out, command->operands);
    text_add(out, "\\fR\n.PP\n");
    add_paragraphs(out, command->help);
    add_options_of(out, command);
    text_add(out, ".PP\n.nf\n");
    add_roff(out, command->examples);
    text_add(out, ".fi\n");
}

static void add_option(struct text *out, const struct option *option)
{
    text_add(out, ".TP\n");
    if (option->letter)
        text_printf(out, "\\fB\\-%c\\fR, ", option->letter);
    text_add(out, "\\fB\\-\\-");
    add_roff(out, option->name);
    text_add(out, "\\fR");
    if (option->argument) {
        text_add(out, " \\fI");
        add_roff(out, option->argument);
        text_add(out, "\\fR");
    }
    text_add(out, "\n");
    add_roff(out, option->help);
    text_add(out, "\n");
}

static void add_all_options(struct text *out)
{
    const struct option *option;
    const char *group = "";
    text_add(out, ".SH OPTIONS\n");
    for (size_t i = 0; (option = option_at(i)); i++) {
        if (strcmp(group, option->group) != 0)
            text_printf(out, ".SS %s\n", option->group);
        group = option->group;
        add_option(out, option);
    }
    text_add(out, ".TP\n\\fB\\-h\\fR, \\fB\\-\\-help\\fR\nwhat a command does, with examples\n"
                  ".TP\n\\fB\\-\\-version\\fR\nthe versions of the program and its libraries\n");
}

static const char SURROUNDINGS[] =
    ".SH ENVIRONMENT\n"
    ".TP\n.B ADVISOR_MODEL\nthe model, where \\fB\\-\\-model\\fR names none\n"
    ".TP\n.B ADVISOR_THREADS\nthe threads, where \\fB\\-\\-threads\\fR says nothing\n"
    ".TP\n.B NO_COLOR\nno colour when it is set and not empty (see no\\-color.org)\n"
    ".TP\n.B XDG_DATA_HOME\nwhere studies are kept, in \\fIadvisor/studies\\fR below it; default\n"
    "\\fI~/.local/share\\fR\n"
    ".TP\n.B XDG_CACHE_HOME\nwhere the default model is, in \\fIadvisor/models\\fR below it; "
    "default\n\\fI~/.cache\\fR\n"
    ".SH EXIT STATUS\n"
    ".TP\n0\ndone\n.TP\n1\nthe machine failed: no space, no permission, no memory\n"
    ".TP\n2\nthe command line asks for something impossible\n"
    ".TP\n3\na regression was found\n.TP\n4\nthe data file is at fault\n"
    ".TP\n5\nthe model file is at fault\n"
    ".TP\n130\ninterrupted; what was measured is kept, and the same command goes on\n";

void manual_page(struct text *out)
{
    const struct command *command;
    text_add(out, ".\\\" SPDX-License-Identifier: Apache-2.0\n"
                  ".TH ADVISOR 1 \"\" \"advisor " ADVISOR_VERSION "\" \"User Commands\"\n"
                  ".SH NAME\n"
                  "advisor \\- which technique to customise a language model with, measured\n"
                  ".SH SYNOPSIS\n.B advisor\n"
                  "\\fICOMMAND\\fR [\\fIOPTION\\fR]... [\\fIOPERAND\\fR]...\n"
                  ".SH DESCRIPTION\n"
                  "Tells which technique to customise a language model with, on your own data, "
                  "and what\neach one costs, from small measured trials.\n"
                  ".SH COMMANDS\n");
    for (size_t i = 0; (command = command_at(i)); i++)
        add_command(out, command);
    add_all_options(out);
    text_add(out, SURROUNDINGS);
}

/* ---- Completion --------------------------------------------------------------------------------
 */

static void add_word(struct text *out, const char *word)
{
    text_printf(out, "%s%s", out->length && out->bytes[out->length - 1] != '"' ? " " : "", word);
}

static void add_formats(struct text *out)
{
    const struct command *command;
    for (size_t i = 0; report_format_at(i); i++)
        add_word(out, report_format_at(i)->name);
    for (size_t i = 0; (command = command_at(i)); i++) {
        const char *names = command->formats ? command->formats : "";
        for (size_t length; *names; names += length + (names[length] == '|')) {
            length = strcspn(names, "|");
            text_printf(out, " %.*s", (int)length, names);
        }
    }
}

static void add_metrics(struct text *out)
{
    for (size_t i = 0; i < metric_count(); i++)
        add_word(out, metric_at(i)->name);
}

static void add_techniques(struct text *out)
{
    for (size_t i = 0; technique_at(i); i++)
        add_word(out, technique_at(i)->name);
}

static void add_tasks(struct text *out)
{
    for (enum task task = TASK_CLASSIFICATION; task <= TASK_GENERATION; task++)
        add_word(out, task_name(task));
}

static void add_colors(struct text *out)
{
    add_word(out, "auto always never");
}

static void add_bad_rows(struct text *out)
{
    add_word(out, "error skip");
}

static void add_commands(struct text *out)
{
    for (size_t i = 0; command_at(i); i++)
        add_word(out, command_at(i)->name);
}

static void add_topics(struct text *out)
{
    add_word(out, "techniques formats metrics");
}

/* Options whose values are words; other values are completed as files. */
static const struct {
    const char *option;
    void (*words)(struct text *out);
} values[] = {{"format", add_formats}, {"metric", add_metrics},      {"techniques", add_techniques},
              {"task", add_tasks},     {"on-bad-row", add_bad_rows}, {"color", add_colors}};

/* Commands whose operands are words, or studies. */
static const struct {
    const char *command;
    void (*words)(struct text *out);
} operands[] = {{"trial", add_techniques}, {"list", add_topics}, {"help", add_commands}};

static void add_values(struct text *out)
{
    text_add(out, "    case $previous in\n");
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        text_printf(out, "    --%s) words=\"", values[i].option);
        values[i].words(out);
        text_add(out, "\" ;;\n");
    }
    text_add(out, "    --study) words=$(_advisor_studies) ;;\n    esac\n");
}

static void add_takes_value(struct text *out)
{
    const struct option *option;
    bool any = false;
    text_add(out, "    case $previous in\n    ");
    for (size_t i = 0; (option = option_at(i)); i++) {
        if (!option->argument)
            continue;
        text_printf(out, "%s--%s", any ? " | " : "", option->name);
        if (option->letter)
            text_printf(out, " | -%c", option->letter);
        any = true;
    }
    text_add(out, ")\n        return ;; # a file, or nothing that can be known\n    esac\n");
}

static void add_command_words(struct text *out)
{
    const struct command *command;
    text_add(out, "    case ${COMP_WORDS[1]} in\n");
    for (size_t i = 0; (command = command_at(i)); i++) {
        text_printf(out, "    %s)\n        options=\"", command->name);
        for (const char *const *at = command->options; *at; at++)
            text_printf(out, "%s--%s", at == command->options ? "" : " ", *at);
        text_printf(out, "%s--help\"\n", *command->options ? " " : "");
        for (size_t j = 0; j < sizeof operands / sizeof *operands; j++) {
            if (strcmp(operands[j].command, command->name) != 0)
                continue;
            text_add(out, "        words=\"");
            operands[j].words(out);
            text_add(out, "\"\n");
        }
        if (!strncmp(command->operands, "[STUDY]", 7) || !strncmp(command->operands, "STUDY", 5))
            text_add(out, "        words=$(_advisor_studies)\n");
        text_add(out, "        ;;\n");
    }
    text_add(out, "    esac\n");
}

void completion_script(struct text *out)
{
    text_add(out,
             "# SPDX-License-Identifier: Apache-2.0\n"
             "# Completion of advisor " ADVISOR_VERSION " for bash.\n"
             "\n"
             "_advisor_studies() {\n"
             "    local file\n"
             "    for file in \"${XDG_DATA_HOME:-$HOME/.local/share}\"/advisor/studies/*.db; do\n"
             "        [ -e \"$file\" ] && file=${file##*/} && printf '%s\\n' \"${file%.db}\"\n"
             "    done\n"
             "}\n"
             "\n"
             "_advisor() {\n"
             "    local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}\n"
             "    local words=\"\" options=\"\"\n"
             "    COMPREPLY=()\n"
             "    if [ \"$word\" = \"=\" ]; then # --name=, which bash cuts into words\n"
             "        word=\"\"\n"
             "    elif [ \"$previous\" = \"=\" ] && [ \"$COMP_CWORD\" -gt 2 ]; then\n"
             "        previous=${COMP_WORDS[COMP_CWORD - 2]}\n"
             "    fi\n"
             "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
             "        mapfile -t COMPREPLY < <(compgen -W \"");
    struct text commands = {0};
    add_commands(&commands);
    text_printf(out, "%s --help --version\" -- \"$word\")\n        return\n    fi\n",
                text_string(&commands));
    text_release(&commands);
    add_values(out);
    text_add(out, "    if [ -n \"$words\" ]; then\n"
                  "        local before=\"\"\n"
                  "        case $word in # a list: the last one of it\n"
                  "        *,*) before=${word%,*}, ;;\n"
                  "        esac\n"
                  "        mapfile -t COMPREPLY < <(compgen -P \"$before\" -W \"$words\" -- "
                  "\"${word##*,}\")\n"
                  "        return\n    fi\n");
    add_takes_value(out);
    add_command_words(out);
    text_add(out, "    case $word in\n    -*) words=$options ;;\n    esac\n"
                  "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n"
                  "}\n"
                  "\n"
                  "complete -o bashdefault -o default -F _advisor advisor\n");
}
