/* SPDX-License-Identifier: Apache-2.0
 *
 * The manual page and the completion for bash: nothing is missing, and bash completes with it.
 */
#define _XOPEN_SOURCE 700
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "advisor/command.h"

/* ---- The manual page ---------------------------------------------------------------------------
 */

/* "max-memory" as the page has it. */
static void in_roff(const char *name, struct text *out)
{
    text_clear(out);
    for (const char *c = name; *c; c++)
        text_printf(out, *c == '-' ? "\\%c" : "%c", *c);
}

static void test_the_page_has_everything(void **state)
{
    (void)state;
    struct text page = {0}, name = {0};
    const struct command *command;
    const struct option *option;
    manual_page(&page);
    for (size_t i = 0; (command = command_at(i)); i++) {
        char heading[64];
        snprintf(heading, sizeof heading, "\n.SS %s\n", command->name);
        assert_non_null(strstr(text_string(&page), heading));
    }
    for (size_t i = 0; (option = option_at(i)); i++) {
        in_roff(option->name, &name);
        text_add(&name, "\\fR");
        const char *options = strstr(text_string(&page), "\n.SH OPTIONS\n");
        assert_non_null(options);
        if (!strstr(options, text_string(&name)))
            fail_msg("the options of the page have no --%s", option->name);
    }
    text_release(&name);
    text_release(&page);
}

/* Every line that starts with a dot or a quote is a macro that the page means. */
static void test_no_line_is_taken_for_a_macro(void **state)
{
    (void)state;
    static const char *const macros[] = {".TH ", ".SH ", ".SS ", ".TP",   ".B ",
                                         ".PP",  ".nf",  ".fi",  ".\\\" "};
    struct text page = {0};
    manual_page(&page);
    for (char *line = strtok(page.bytes, "\n"); line; line = strtok(NULL, "\n")) {
        bool known = line[0] != '.' && line[0] != '\'';
        for (size_t i = 0; i < sizeof macros / sizeof *macros; i++)
            known |= !strncmp(line, macros[i], strlen(macros[i]));
        if (!known)
            fail_msg("%s", line);
    }
    text_release(&page);
}

/* ---- Completion --------------------------------------------------------------------------------
 */

static char folder[] = "/tmp/manual-XXXXXX";
static char script[64];

static int make_script(void **state)
{
    (void)state;
    struct text text = {0};
    if (!mkdtemp(folder))
        return -1;
    snprintf(script, sizeof script, "%s/completion", folder);
    completion_script(&text);
    FILE *file = fopen(script, "w");
    fputs(text_string(&text), file);
    fclose(file);
    text_release(&text);
    return 0;
}

static int remove_script(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

/* What bash offers for the last of the words, a space around each. */
static void complete(const char *words, struct text *out)
{
    char command[1024], line[1024];
    snprintf(command, sizeof command,
             "XDG_DATA_HOME=%s bash --norc -c '. %s; COMP_WORDS=(%s); "
             "COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _advisor; printf \"%%s\\n\" "
             "\"${COMPREPLY[@]}\"'",
             folder, script, words);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    text_add(out, " ");
    while (fgets(line, sizeof line, pipe)) {
        line[strcspn(line, "\n")] = '\0';
        text_printf(out, "%s ", line);
    }
    assert_int_equal(pclose(pipe), 0);
}

static void test_bash_completes(void **state)
{
    (void)state;
    static const struct {
        const char *words, *offered, *never;
    } rows[] = {{"advisor re", " recommend ", " list "},
                {"advisor \"\"", " --version ", " --budget "},
                {"advisor recommend --bud", " --budget ", " --study "},
                {"advisor recommend --budget \"\"", " ", "-"},
                {"advisor report --format h", " html ", " text "},
                {"advisor report --format = h", " html ", " text "},
                {"advisor report --format = ", " html ", " --format "},
                {"advisor report --fresh x --f", " --format ", " --fresh "},
                {"advisor report t", " tickets-1 ", " technical "},
                {"advisor recommend d --study \"\"", " tickets-1 ", " other"},
                {"advisor trial lo", " lora ", " list "},
                {"advisor list m", " metrics ", " majority "},
                {"advisor help rep", " report ", " recommend "},
                {"advisor recommend x --techniques majority,lo", " majority,lora ", " lora "},
                {"advisor recommend x --metric acc", " accuracy ", " matthews "},
                {"advisor recommend x --task gen", " generation ", " classification "}};
    char studies[256];
    snprintf(studies, sizeof studies,
             "mkdir -p %s/advisor/studies && : >%s/advisor/studies/tickets-1.db", folder, folder);
    assert_int_equal(system(studies), 0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct text offered = {0};
        complete(rows[i].words, &offered);
        if (!strstr(text_string(&offered), rows[i].offered) ||
            strstr(text_string(&offered), rows[i].never))
            fail_msg("%s: offered \"%s\"", rows[i].words, text_string(&offered));
        text_release(&offered);
    }
}

static void test_every_option_is_offered(void **state)
{
    (void)state;
    const struct command *command;
    for (size_t i = 0; (command = command_at(i)); i++) {
        char words[128];
        struct text offered = {0};
        snprintf(words, sizeof words, "advisor %s x --", command->name);
        complete(words, &offered);
        for (const char *const *at = command->options; *at; at++) {
            char option[64];
            snprintf(option, sizeof option, " --%s ", *at);
            if (!strstr(text_string(&offered), option))
                fail_msg("%s: no%sin \"%s\"", command->name, option, text_string(&offered));
        }
        text_release(&offered);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_page_has_everything),
        cmocka_unit_test(test_no_line_is_taken_for_a_macro),
        cmocka_unit_test(test_bash_completes),
        cmocka_unit_test(test_every_option_is_offered),
    };
    return cmocka_run_group_tests(tests, make_script, remove_script);
}
