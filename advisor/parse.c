/* SPDX-License-Identifier: Apache-2.0
 *
 * From the words of the command line to a struct options; declared in advisor/options.h.
 */
#define _POSIX_C_SOURCE 200809L
#include <stdlib.h>
#include <string.h>

#include "advisor/command.h"
#include "advisor/options.h"
#include "advisor/values.h"

enum { LONGEST_NAME = 64 };

struct words {
    char *const *items;
    int count;
    int next;
};

/* ---- What does not exist ----------------------------------------------------------------------
 */

static const char *option_like(const struct command *command, const char *name)
{
    enum { MOST_OPTIONS = 128 };
    const char *names[MOST_OPTIONS];
    size_t count = 0;
    for (const char *const *at = command->options; *at && count < MOST_OPTIONS - 1; at++)
        names[count++] = *at;
    names[count++] = "help";
    return nearest(name, names, count);
}

/* Appends the commands that take the option, "recommend and trial". */
static void list_takers(const char *option, struct text *out)
{
    const char *takers[LONGEST_NAME];
    const struct command *command;
    size_t count = 0;
    for (size_t i = 0; (command = command_at(i)) && count < LONGEST_NAME; i++)
        if (command_takes(command, option))
            takers[count++] = command->name;
    for (size_t i = 0; i < count; i++)
        text_printf(out, "%s%s", !i ? "" : i + 1 == count ? " and " : ", ", takers[i]);
}

/* `dashes` is how the user wrote it, for the message. */
static enum status no_such_option(const struct command *command, const char *dashes,
                                  const char *name, struct error *err)
{
    struct text tail = {0};
    const char *meant = option_like(command, name);
    bool elsewhere = option_find(name) && !command_takes(command, name);
    if (elsewhere) {
        text_add(&tail, "; it belongs to ");
        list_takers(name, &tail);
    } else if (meant) {
        text_printf(&tail, "; did you mean --%s?", meant);
    } else {
        text_printf(&tail, "; see `advisor %s --help`", command->name);
    }
    enum status status = error_set(err, USAGE, "%s has no option %s%s%s", command->name, dashes,
                                   name, text_string(&tail));
    text_release(&tail);
    return status;
}

/* ---- One option -------------------------------------------------------------------------------
 */

static enum status apply(struct options *options, const struct option *option, const char *name,
                         const char *value, struct error *err)
{
    if (value && !*value && !option->may_be_empty)
        return error_set(err, USAGE, "%s: the value is empty; expected %s", name, option->argument);
    return option->read(options, option, name, value, err);
}

/* Whether a word is an option of this command, so that it is hardly meant as a value. */
static bool looks_like_option(const struct command *command, const char *word)
{
    if (strncmp(word, "--", 2) != 0)
        return false;
    char name[LONGEST_NAME];
    size_t length = strcspn(word + 2, "=");
    if (length >= sizeof name)
        return false;
    memcpy(name, word + 2, length);
    name[length] = '\0';
    return command_takes(command, name);
}

/* `attached` is the value written in the same word, or NULL. */
static enum status take_option(struct options *options, const struct option *option,
                               const char *attached, struct words *words, struct error *err)
{
    char name[LONGEST_NAME + 2] = "--";
    strncat(name, option->name, LONGEST_NAME - 1);
    if (!option->argument) {
        if (attached)
            return error_set(err, USAGE, "%s takes no value; found \"%s\"", name, attached);
        return apply(options, option, name, NULL, err);
    }
    if (!attached && words->next >= words->count)
        return error_set(err, USAGE, "%s needs a value: %s %s", name, name, option->argument);
    const char *value = attached ? attached : words->items[words->next++];
    if (!attached && looks_like_option(options->command, value))
        return error_set(err, USAGE,
                         "%s needs a value (%s), and %s is an option; write %s=%s if it is meant",
                         name, option->argument, value, name, value);
    return apply(options, option, name, value, err);
}

/* `word` is "--name" or "--name=value". */
static enum status take_long(struct options *options, const char *word, struct words *words,
                             struct error *err)
{
    char name[LONGEST_NAME];
    size_t length = strcspn(word + 2, "=");
    if (length >= sizeof name)
        return error_set(err, USAGE, "%s has no option %s", options->command->name, word);
    memcpy(name, word + 2, length);
    name[length] = '\0';
    if (!command_takes(options->command, name))
        return no_such_option(options->command, "--", name, err);
    const char *attached = word[2 + length] ? word + 2 + length + 1 : NULL;
    return take_option(options, option_find(name), attached, words, err);
}

static const struct option *find_letter(const struct command *command, char letter)
{
    const struct option *option;
    for (size_t i = 0; (option = option_at(i)); i++)
        if (option->letter == letter && command_takes(command, option->name))
            return option;
    return NULL;
}

/* `word` is "-q", "-qv", "-oFILE" or "-o" with the value in the next word. */
static enum status take_short(struct options *options, const char *word, struct words *words,
                              struct error *err)
{
    for (const char *at = word + 1; *at; at++) {
        const struct option *option = find_letter(options->command, *at);
        if (!option) {
            char letter[2] = {*at, '\0'};
            bool one_dash = at == word + 1 && at[1];
            return no_such_option(options->command, "-", one_dash ? word + 1 : letter, err);
        }
        const char *attached = option->argument && at[1] ? at + 1 : NULL;
        enum status status = take_option(options, option, attached, words, err);
        if (status != OK || attached)
            return status;
    }
    return OK;
}

/* ---- Operands ---------------------------------------------------------------------------------
 */

static enum status take_operand(struct options *options, const char *word, struct error *err)
{
    const struct command *command = options->command;
    size_t most = command->most < MOST_OPERANDS ? command->most : MOST_OPERANDS;
    if (options->operand_count >= most)
        return error_set(err, USAGE, "%s cannot use \"%s\"; expected `advisor %s%s%s`",
                         command->name, word, command->name, *command->operands ? " " : "",
                         command->operands);
    options->operands[options->operand_count++] = word;
    return OK;
}

static enum status check_operands(const struct options *options, struct error *err)
{
    const struct command *command = options->command;
    if (options->operand_count >= command->fewest)
        return OK;
    return error_set(err, USAGE,
                     "%s needs %s; expected `advisor %s %s [OPTION]...` (see `advisor %s "
                     "--help`)",
                     command->name, command->operands, command->name, command->operands,
                     command->name);
}

/* ---- All of it --------------------------------------------------------------------------------
 */

static bool asks_for_help(const struct words *words)
{
    for (int i = 0; i < words->count && strcmp(words->items[i], "--") != 0; i++)
        if (!strcmp(words->items[i], "--help") || !strcmp(words->items[i], "-h"))
            return true;
    return false;
}

static enum status take_environment(struct options *options, const char *variable,
                                    const char *option, struct error *err)
{
    const char *value = getenv(variable);
    if (!value || !*value || !command_takes(options->command, option))
        return OK;
    return apply(options, option_find(option), variable, value, err);
}

static enum status take_words(struct options *options, struct words *words, struct error *err)
{
    enum status status = OK;
    bool operands_only = false;
    while (status == OK && words->next < words->count) {
        const char *word = words->items[words->next++];
        if (operands_only || *word != '-' || !word[1])
            status = take_operand(options, word, err);
        else if (!strcmp(word, "--"))
            operands_only = true;
        else if (word[1] == '-')
            status = take_long(options, word, words, err);
        else
            status = take_short(options, word, words, err);
    }
    return status;
}

enum status options_parse(const struct command *command, int count, char *const *words,
                          struct options *options, struct error *err)
{
    struct words rest = {words, count, 0};
    options_default(command, options);
    if (asks_for_help(&rest)) {
        options->help = true;
        return OK;
    }
    options->settings =
        arena_zalloc(&options->arena, ((size_t)count + 1) * sizeof *options->settings);
    options->facts = arena_zalloc(&options->arena, ((size_t)count + 1) * sizeof *options->facts);
    options->also = arena_zalloc(&options->arena, ((size_t)count + 1) * sizeof *options->also);
    enum status status = take_words(options, &rest, err);
    if (status == OK)
        status = check_operands(options, err);
    if (status == OK && !options->model_given)
        status = take_environment(options, "ADVISOR_MODEL", "model", err);
    if (status == OK && !options->threads)
        status = take_environment(options, "ADVISOR_THREADS", "threads", err);
    if (status == OK)
        status = options_settle(options, err);
    if (status != OK)
        options_release(options);
    return status;
}
