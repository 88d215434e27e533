/* SPDX-License-Identifier: Apache-2.0
 *
 * The command line: values, options, commands, help, and where results go.
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
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "advisor/command.h"
#include "advisor/options.h"
#include "advisor/output.h"
#include "advisor/values.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static char folder[64]; /* temporary; removed at the end */

/* ---- Values -----------------------------------------------------------------------------------
 */

typedef enum status read_value(const char *, const char *, double *, struct error *);

static const struct {
    read_value *read;
    const char *value;
    double expected; /* below 0: refused */
} values[] = {
    {read_duration, "600", 600},   {read_duration, "0.5", 0.5},
    {read_duration, "30s", 30},    {read_duration, "10m", 600},
    {read_duration, "10min", 600}, {read_duration, "1h30m", 5400},
    {read_duration, "1.5h", 5400}, {read_duration, "1d2h3m4s5ms", 93784.005},
    {read_duration, "50ms", 0.05}, {read_duration, "1m30", -1},
    {read_duration, "30m1h", -1},  {read_duration, "1m1m", -1},
    {read_duration, "", -1},       {read_duration, "m", -1},
    {read_duration, "5x", -1},     {read_duration, "-5", -1},
    {read_duration, "+5", -1},     {read_duration, " 5", -1},
    {read_duration, "5 m", -1},    {read_duration, "1e400", -1},
    {read_duration, "inf", -1},    {read_duration, "nan", -1},
    {read_duration, "0x10", -1},   {read_duration, "1.2.3", -1},
    {read_duration, ".", -1},      {read_duration, "10M", -1},
    {read_size, "4G", 4294967296}, {read_size, "4GiB", 4294967296},
    {read_size, "4GB", 4e9},       {read_size, "512M", 536870912},
    {read_size, "1.5K", 1536},     {read_size, "1000", 1000},
    {read_size, "12B", 12},        {read_size, "4g", -1},
    {read_size, "4GG", -1},        {read_size, "-4G", -1},
    {read_size, "4 G", -1},        {read_size, "G", -1},
    {read_count, "1000", 1000},    {read_count, "10k", 10000},
    {read_count, "1.5M", 1500000}, {read_count, "1e6", 1000000},
    {read_count, "0", 0},          {read_count, "1.5", -1},
    {read_count, "1,000", -1},     {read_count, "ten", -1},
    {read_count, "1e-3", -1},      {read_share, "0.90", 0.9},
    {read_share, "90%", 0.9},      {read_share, "90", 0.9},
    {read_share, "1", 1},          {read_share, "100", 1},
    {read_share, "0.5%", 0.005},   {read_share, ".9", 0.9},
    {read_share, "1%", 0.01},      {read_share, "0", -1},
    {read_share, "0%", -1},        {read_share, "101", -1},
    {read_share, "101%", -1},      {read_share, "-0.5", -1},
    {read_share, "0,9", -1},       {read_share, "high", -1},
    {read_share, "%", -1},         {read_share, "90%%", -1},
};

static void test_values(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(values); i++) {
        struct error err = {0};
        double found = -1;
        enum status status = values[i].read("--it", values[i].value, &found, &err);
        bool good = values[i].expected >= 0;
        double slack = 1e-12 * (1 + values[i].expected);
        if (good != (status == OK) || (good && !(found - values[i].expected < slack)) ||
            (good && !(values[i].expected - found < slack)))
            fail_msg("\"%s\": status %d, value %.17g", values[i].value, status, found);
        if (!good) {
            assert_int_equal(status, USAGE);
            assert_int_equal(strncmp(err.text, "--it: ", 6), 0);
            assert_non_null(strstr(err.text, "expected"));
        }
    }
}

static void test_whole_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        int64_t low, high, expected; /* below 0: refused */
    } rows[] = {{"0", 0, 5, 0},
                {"5", 0, 5, 5},
                {"007", 0, 10, 7},
                {"9223372036854775807", 0, INT64_MAX, INT64_MAX},
                {"9223372036854775808", 0, INT64_MAX, -1},
                {"99999999999999999999999999", 0, INT64_MAX, -1},
                {"6", 0, 5, -1},
                {"0", 1, 5, -1},
                {"", 0, 5, -1},
                {"-1", 0, 5, -1},
                {"+1", 0, 5, -1},
                {"1.0", 0, 5, -1},
                {"1k", 0, 5000, -1},
                {" 1", 0, 5, -1}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct error err = {0};
        int64_t found;
        enum status status =
            read_whole("--n", rows[i].value, rows[i].low, rows[i].high, &found, &err);
        assert_int_equal(status, rows[i].expected < 0 ? USAGE : OK);
        if (status == OK)
            assert_int_equal(found, rows[i].expected);
    }
    double number;
    assert_int_equal(read_real("--x", "-0.5", -1, 1, &number, NULL), OK);
    assert_true(number == -0.5);
    assert_int_equal(read_real("--x", "1.5", -1, 1, &number, NULL), USAGE);
    assert_int_equal(read_real("--x", "--5", -10, 10, &number, NULL), USAGE);
}

static void test_nearest(void **state)
{
    (void)state;
    static const char *const names[] = {"budget", "threads", "techniques", "seed", "set"};
    static const struct {
        const char *word, *expected;
    } rows[] = {{"bugdet", "budget"},
                {"thread", "threads"},
                {"thr", "threads"},
                {"time-budget", "budget"},
                {"technique", "techniques"},
                {"sed", "seed"},
                {"xyzzy", NULL},
                {"q", NULL},
                {"", NULL},
                {"a-very-long-word-that-fits-nowhere-at-all", NULL}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *found = nearest(rows[i].word, names, COUNT(names));
        if (rows[i].expected)
            assert_string_equal(found ? found : "nothing", rows[i].expected);
        else
            assert_null(found);
    }
}

/* ---- Options ----------------------------------------------------------------------------------
 */

enum { MOST_WORDS = 24 };

/* Splits at spaces; '' is an empty word. The words point into `line`. */
static int split_words(char *line, char **words)
{
    int count = 0;
    for (char *at = strtok(line, " "); at && count < MOST_WORDS; at = strtok(NULL, " "))
        words[count++] = strcmp(at, "''") ? at : at + 2;
    return count;
}

/* `line` begins with the command. */
static enum status parse_line(const char *line, struct options *options, struct error *err)
{
    static char copy[1024];
    char *words[MOST_WORDS];
    snprintf(copy, sizeof copy, "%s", line);
    int count = split_words(copy, words);
    const struct command *command = command_find(words[0]);
    assert_non_null(command);
    return options_parse(command, count - 1, words + 1, options, err);
}

/* What the sentence has to hold; every one of these is refused. */
static const struct {
    const char *line, *part;
} refused[] = {
    {"recommend", "needs DATA"},
    {"recommend a b", "cannot use \"b\""},
    {"trial lora", "needs TECHNIQUE DATA"},
    {"recommend x --bugdet 5", "did you mean --budget?"},
    {"recommend x --time-budget 5", "did you mean --budget?"},
    {"recommend x --thr 2", "did you mean --threads?"},
    {"recommend x -model y", "did you mean --model?"},
    {"recommend x --zzzzzzzzz", "see `advisor recommend --help`"},
    {"recommend x -z", "no option -z"},
    {"recommend x -", "cannot use \"-\""},
    {"recommend x --=5", "no option --"},
    {"list --budget 5m", "belongs to recommend, advise and trial"},
    {"recommend x --set r=1", "belongs to trial"},
    {"trial lora x --study s", "belongs to recommend"},
    {"help --format json", "belongs to"},
    {"recommend x --budget", "--budget needs a value: --budget TIME"},
    {"recommend x -o", "--output needs a value: --output FILE"},
    {"recommend x --budget --seed 1", "--seed is an option"},
    {"recommend x --budget=", "the value is empty; expected TIME"},
    {"recommend x --model ''", "the value is empty; expected FILE"},
    {"recommend x --quiet=yes", "--quiet takes no value"},
    {"recommend x --quiet --verbose", "contradict"},
    {"recommend x --budget 0.9s", "out of range; expected 1s to 30d"},
    {"recommend x --budget 31d", "out of range"},
    {"recommend x --budget soon", "not a duration"},
    {"recommend x --max-memory 4", "out of range; expected 1M"},
    {"recommend x --max-memory lots", "not a size"},
    {"recommend x --max-latency 50", "needs a unit; expected 50ms or 50s"},
    {"recommend x --max-latency 2h", "out of range"},
    {"recommend x --requests 0", "out of range"},
    {"recommend x --requests 1.5", "not a whole number"},
    {"recommend x --target 120", "not a share"},
    {"recommend x --target 0.4 --metric nll", "better the lower"},
    {"recommend x --target 1.4 --metric matthews", "number from -1 to 1"},
    {"recommend x --confidence 0.2", "out of range; expected 50%"},
    {"recommend x --confidence 1", "out of range"},
    {"recommend x --metric acuracy", "did you mean accuracy?"},
    {"recommend x --metric bleu", "expected one of accuracy, balanced_accuracy"},
    {"recommend x --techniques lora,fewshot", "did you mean few_shot?"},
    {"recommend x --techniques lora,", "no technique \"\""},
    {"recommend x --task sorting", "expected one of classification, multiple_choice"},
    {"recommend x --threads 0", "from 1 to 256"},
    {"recommend x --threads 257", "from 1 to 256"},
    {"recommend x --seed -1", "from 0 to 9223372036854775807"},
    {"recommend x --seed 9223372036854775808", "from 0 to"},
    {"recommend x --format xml", "expected one of text, json"},
    {"recommend x --color yes", "expected one of auto, always, never"},
    {"recommend x --on-bad-row ignore", "expected one of error, skip"},
    {"recommend x --delimiter ab", "one character"},
    {"recommend x --delimiter x", "one character"},
    {"recommend x --label-names 0", "--label-names: "},
    {"recommend x --output /no/such/folder/file", "/no/such/folder: No such file"},
    {"recommend x --output /tmp", "is a folder"},
    {"trial lora x --set r", "expected name=value"},
    {"trial lora x --set =1", "expected name=value"},
    {"trial lora x --examples 1.5", "whole number from 0 to 1000000000"},
};

static void test_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(refused); i++) {
        struct options options;
        struct error err = {0};
        enum status status = parse_line(refused[i].line, &options, &err);
        if (status != USAGE || !strstr(err.text, refused[i].part))
            fail_msg("%s: status %d: %s", refused[i].line, status, err.text);
    }
}

static struct options accepted(const char *line)
{
    struct options options;
    struct error err = {0};
    if (parse_line(line, &options, &err) != OK)
        fail_msg("%s: %s", line, err.text);
    return options;
}

static void test_defaults(void **state)
{
    (void)state;
    struct options options = accepted("recommend data.csv");
    assert_string_equal(options.operands[0], "data.csv");
    assert_int_equal(options.operand_count, 1);
    assert_null(options.operands[1]);
    assert_false(options.model_given);
    assert_in_range(options.threads, 1, 256);
    assert_null(options.metric);
    assert_false(options.target.known || options.max_memory_bytes.known || options.requests.known);
    assert_true(options.confidence == 0.8 && options.budget_seconds == 600);
    assert_null(options.techniques);
    assert_int_equal(options.seed, 0);
    assert_int_equal(options.examples, -1);
    assert_string_equal(options.format->name, "text");
    assert_null(options.output);
    assert_null(options.reading.input);
    assert_int_equal(options.reading.task, TASK_INFER);
    assert_false(options.quiet || options.verbose || options.fresh || options.help);
    options_release(&options);
    options_release(&options);
}

static void test_all_of_recommend(void **state)
{
    (void)state;
    struct options options =
        accepted("recommend --model m.gguf --test=t.csv --target 90% --metric macro_f1 data.csv "
                 "--budget=1h30m --max-memory 4G --max-latency 0.2s --requests 10k");
    assert_string_equal(options.operands[0], "data.csv");
    assert_string_equal(options.model, "m.gguf");
    assert_true(options.model_given);
    assert_string_equal(options.test_path, "t.csv");
    assert_true(options.target.known && options.target.value == 0.9);
    assert_string_equal(options.metric->name, "macro_f1");
    assert_true(options.budget_seconds == 5400);
    assert_true(options.max_memory_bytes.value == 0x1p32);
    assert_true(options.max_latency_ms.known && options.max_latency_ms.value == 200);
    assert_true(options.requests.value == 10000);
    options_release(&options);

    options = accepted("recommend d --techniques lora,majority,lora --seed 9223372036854775807 "
                       "--threads 2 --study s.db --fresh --format json --color always -q");
    assert_int_equal(options.technique_count, 2);
    assert_string_equal(options.techniques[0]->name, "lora");
    assert_string_equal(options.techniques[1]->name, "majority");
    assert_int_equal(options.seed, INT64_MAX);
    assert_int_equal(options.threads, 2);
    assert_string_equal(options.study, "s.db");
    assert_true(options.fresh && options.quiet);
    assert_string_equal(options.format->name, "json");
    assert_int_equal(options.color, COLOR_ALWAYS);
    options_release(&options);
}

static void test_how_data_are_read(void **state)
{
    (void)state;
    struct options options =
        accepted("recommend d --input a,b --label c --rationale= --task generation --delimiter tab "
                 "--label-names 0=bad,1=good --on-bad-row=skip --confidence 95");
    assert_string_equal(options.reading.input, "a,b");
    assert_string_equal(options.reading.target, "c");
    assert_string_equal(options.reading.rationale, "");
    assert_int_equal(options.reading.task, TASK_GENERATION);
    assert_int_equal(options.reading.delimiter, '\t');
    assert_int_equal(options.reading.label_map_count, 2);
    assert_string_equal(options.reading.label_map[1].to, "good");
    assert_int_equal(options.reading.on_bad_row, BAD_ROW_SKIP);
    assert_true(options.confidence == 0.95);
    options_release(&options);
}

static void test_trial_options(void **state)
{
    (void)state;
    struct options options =
        accepted("trial lora data.csv --set r=16 --set=lora_alpha=32 --examples 256 -v");
    assert_string_equal(options.operands[0], "lora");
    assert_string_equal(options.operands[1], "data.csv");
    assert_int_equal(options.setting_count, 2);
    assert_string_equal(options.settings[0], "r=16");
    assert_string_equal(options.settings[1], "lora_alpha=32");
    assert_int_equal(options.examples, 256);
    assert_true(options.verbose);
    options_release(&options);
}

static void test_forms(void **state)
{
    (void)state;
    char line[256];
    snprintf(line, sizeof line, "recommend -qo%s/x -- --data", folder);
    struct options options = accepted(line);
    assert_true(options.quiet);
    assert_non_null(strstr(options.output, "/x"));
    assert_string_equal(options.operands[0], "--data");
    options_release(&options);

    options = accepted("recommend d --seed 1 --seed 2"); /* the last one counts */
    assert_int_equal(options.seed, 2);
    options_release(&options);

    options = accepted("recommend --budget nonsense --help");
    assert_true(options.help);
    options_release(&options);

    struct error err = {0};
    assert_int_equal(parse_line("recommend -- a --help", &options, &err), USAGE);

    options = accepted("recommend d --metric matthews --target -0.25");
    assert_true(options.target.value == -0.25);
    options_release(&options);
}

static void test_environment(void **state)
{
    (void)state;
    setenv("ADVISOR_MODEL", "from-environment.gguf", 1);
    setenv("ADVISOR_THREADS", "3", 1);
    struct options options = accepted("recommend d");
    assert_string_equal(options.model, "from-environment.gguf");
    assert_true(options.model_given);
    assert_int_equal(options.threads, 3);
    options_release(&options);

    options = accepted("recommend d --model flag.gguf --threads 1");
    assert_string_equal(options.model, "flag.gguf");
    assert_int_equal(options.threads, 1);
    options_release(&options);

    setenv("ADVISOR_THREADS", "many", 1);
    struct error err = {0};
    assert_int_equal(parse_line("recommend d", &options, &err), USAGE);
    assert_int_equal(strncmp(err.text, "ADVISOR_THREADS: ", 17), 0);
    options = accepted("recommend d --threads 1");
    options_release(&options);
    options = accepted("list"); /* has no threads */
    options_release(&options);

    setenv("ADVISOR_MODEL", "", 1);
    unsetenv("ADVISOR_THREADS");
    options = accepted("recommend d");
    assert_false(options.model_given);
    options_release(&options);
    unsetenv("ADVISOR_MODEL");
}

static void test_default_model(void **state)
{
    (void)state;
    const char *variable = getenv("HOME");
    char *home = variable ? strdup(variable) : NULL;
    variable = getenv("XDG_CACHE_HOME");
    char *cache = variable ? strdup(variable) : NULL;
    struct error err = {0};

    setenv("XDG_CACHE_HOME", folder, 1);
    struct options options = accepted("recommend d");
    assert_int_equal(strncmp(options.model, folder, strlen(folder)), 0);
    assert_int_equal(options_check_model(&options, &err), BAD_MODEL);
    assert_non_null(strstr(err.text, "make model"));
    assert_non_null(strstr(err.text, "--model FILE"));
    options_release(&options);

    setenv("XDG_CACHE_HOME", "relative", 1); /* to be ignored, says the XDG specification */
    setenv("HOME", "/home/somebody", 1);
    options = accepted("recommend d");
    assert_string_equal(options.model, "/home/somebody/.cache/advisor/models/"
                                       "SmolLM2-135M-Instruct.Q4_1.gguf");
    options_release(&options);

    options = accepted("recommend d --model /no/such.gguf");
    assert_int_equal(options_check_model(&options, &err), BAD_MODEL);
    assert_non_null(strstr(err.text, "/no/such.gguf"));
    options_release(&options);
    options = accepted("recommend d --model /dev/null");
    assert_int_equal(options_check_model(&options, &err), OK);
    options_release(&options);

    home ? setenv("HOME", home, 1) : unsetenv("HOME");
    cache ? setenv("XDG_CACHE_HOME", cache, 1) : unsetenv("XDG_CACHE_HOME");
    free(home);
    free(cache);
}

/* ---- The tables -------------------------------------------------------------------------------
 */

static void test_tables_agree(void **state)
{
    (void)state;
    const struct option *option;
    const struct command *command;
    for (size_t i = 0; (option = option_at(i)); i++) {
        size_t takers = 0;
        assert_ptr_equal(option_find(option->name), option);
        for (size_t j = 0; j < i; j++)
            assert_true(!option->letter || option_at(j)->letter != option->letter);
        for (size_t c = 0; (command = command_at(c)); c++)
            takers += command_takes(command, option->name);
        assert_true(takers > 0);
    }
    for (size_t c = 0; (command = command_at(c)); c++) {
        assert_ptr_equal(command_find(command->name), command);
        assert_true(command->fewest <= command->most && command->most <= MOST_OPERANDS);
        assert_non_null(command->run);
        for (const char *const *at = command->options; *at; at++) {
            assert_non_null(option_find(*at));
            for (const char *const *other = command->options; other < at; other++)
                assert_string_not_equal(*at, *other);
        }
    }
}

/* ---- Help -------------------------------------------------------------------------------------
 */

static void check_fits(const char *text)
{
    while (*text) {
        size_t length = strcspn(text, "\n");
        if (length > 80)
            fail_msg("longer than 80 columns: %.*s", (int)length, text);
        assert_true(!length || text[length - 1] != ' ');
        text += length + (text[length] == '\n');
    }
}

/* Every "  advisor ..." of an example, with its continued lines, is a good command line. */
static int check_examples(const char *examples)
{
    int count = 0;
    for (const char *at = strstr(examples, "  advisor "); at; at = strstr(at, "  advisor ")) {
        char line[512] = "";
        size_t length = 0;
        at += strlen("  advisor ");
        for (; *at && *at != '\n' && length + 1 < sizeof line; at++) {
            bool goes_on = at[0] == '\\' && at[1] == '\n';
            line[length++] = goes_on ? ' ' : *at;
            at += goes_on;
        }
        line[length] = '\0';
        struct options options = accepted(line);
        options_release(&options);
        count++;
    }
    return count;
}

static void test_help_of_each_command(void **state)
{
    (void)state;
    const struct command *command;
    for (size_t i = 0; (command = command_at(i)); i++) {
        struct text out = {0};
        help_command(command, &out);
        check_fits(text_string(&out));
        assert_true(check_examples(command->examples) >= 2);
        assert_non_null(strstr(text_string(&out), command->examples));
        assert_non_null(strstr(text_string(&out), "--help"));
        for (const char *const *at = command->options; *at; at++)
            assert_non_null(strstr(text_string(&out), *at));
        text_release(&out);
    }
}

static void test_overview_and_version(void **state)
{
    (void)state;
    struct text out = {0};
    const struct command *command;
    help_overview(&out);
    check_fits(text_string(&out));
    for (size_t i = 0; (command = command_at(i)); i++)
        assert_non_null(strstr(text_string(&out), command->summary));
    text_clear(&out);
    help_version(&out);
    assert_int_equal(strncmp(text_string(&out), "advisor ", 8), 0);
    assert_non_null(strstr(text_string(&out), "OpenBLAS"));
    assert_non_null(strstr(text_string(&out), "SQLite 3."));
    text_release(&out);
}

/* ---- Commands ---------------------------------------------------------------------------------
 */

static enum status dispatch(const char *line, struct error *err)
{
    static char copy[1024];
    char *words[MOST_WORDS + 2] = {"advisor"};
    snprintf(copy, sizeof copy, "%s", line);
    int count = split_words(copy, words + 1);
    return command_dispatch(count + 1, words, err);
}

static void test_unknown_commands(void **state)
{
    (void)state;
    static const struct {
        const char *line, *part;
    } rows[] = {{"recomend x", "did you mean recommend?"},
                {"frobnicate", "`advisor --help` lists them"},
                {"--budget 5m recommend", "options come behind it"},
                {"help frobnicate", "there is no command"},
                {"list techniqes", "did you mean techniques?"},
                {"list techniques lra", "did you mean lora?"},
                {"list formats text", "only techniques have details"},
                {"list --format csv", "expected text or json"}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct error err = {0};
        assert_int_equal(dispatch(rows[i].line, &err), USAGE);
        if (!strstr(err.text, rows[i].part))
            fail_msg("%s: %s", rows[i].line, err.text);
    }
}

/* What a command writes with --output. */
static char *output_of(const char *line)
{
    static char bytes[1 << 17];
    char path[128], whole[512];
    struct error err = {0};
    snprintf(path, sizeof path, "%s/output", folder);
    snprintf(whole, sizeof whole, "%s -o %s", line, path);
    if (dispatch(whole, &err) != OK)
        fail_msg("%s: %s", line, err.text);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    bytes[fread(bytes, 1, sizeof bytes - 1, file)] = '\0';
    fclose(file);
    unlink(path);
    return bytes;
}

static void test_lists(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "list",         "list techniques",      "list formats",
        "list metrics", "list techniques lora", "list techniques majority"};
    for (size_t i = 0; i < COUNT(lines); i++) {
        char json[128];
        check_fits(output_of(lines[i]));
        snprintf(json, sizeof json, "%s --format json", lines[i]);
        json_t *root = json_loads(output_of(json), JSON_REJECT_DUPLICATES, NULL);
        assert_true(json_is_object(root));
        json_decref(root);
    }
    const struct technique *technique;
    char *all = output_of("list techniques");
    for (size_t i = 0; (technique = technique_at(i)); i++)
        assert_non_null(strstr(all, technique->name));
    char *lora = output_of("list techniques lora");
    assert_non_null(strstr(lora, "rank of the update; a whole number from 1 to"));
    assert_non_null(strstr(lora, "learning_rate"));
    assert_non_null(strstr(output_of("list techniques majority"), "nothing to set"));
}

static void test_lists_quiet_and_verbose(void **state)
{
    (void)state;
    assert_string_equal(output_of("list metrics --quiet"),
                        "accuracy\nbalanced_accuracy\nmacro_f1\nmatthews\nexact_match\n"
                        "numeric_match\njson_match\nslot_f1\ntoken_f1\nrouge_l\nchrf\nbrier\n"
                        "calibration_error\nnll\nperplexity\n");
    assert_non_null(strstr(output_of("list formats -q"), "text\njson\ncsv\nmarkdown\nhtml\n"));
    assert_non_null(strstr(output_of("list techniques lora -q"), "\nlearning_rate\n"));
    check_fits(output_of("list --verbose"));
    assert_non_null(strstr(output_of("list --verbose"), "rank of the update"));
    char copy[1 << 16];
    snprintf(copy, sizeof copy, "%s", output_of("list --format json"));
    assert_string_equal(output_of("list --json"), copy);
    assert_string_equal(output_of("list --json --verbose"), copy);
}

/* What prints a result takes all of these. */
static void test_options_of_results(void **state)
{
    (void)state;
    static const char *const names[] = {"format", "json", "output", "color", "quiet", "verbose"};
    const struct command *command;
    for (size_t i = 0; (command = command_at(i)); i++)
        for (size_t j = 0; command_takes(command, "format") && j < COUNT(names); j++)
            if (!command_takes(command, names[j]))
                fail_msg("%s has no --%s", command->name, names[j]);
}

/* ---- Output -----------------------------------------------------------------------------------
 */

static void write_to(const char *path, const char *bytes, enum status expected)
{
    struct options options = {.output = path};
    struct text out = {0};
    struct error err = {0};
    text_add(&out, bytes);
    enum status status = output_write(&options, &out, &err);
    if (status != expected)
        fail_msg("%s: status %d: %s", path, status, err.text);
    if (status != OK)
        assert_non_null(strstr(err.text, path));
    text_release(&out);
}

static void check_file(const char *path, const char *expected)
{
    char found[64] = "";
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    found[fread(found, 1, sizeof found - 1, file)] = '\0';
    fclose(file);
    assert_string_equal(found, expected);
}

static void test_output_files(void **state)
{
    (void)state;
    char path[128], link[128];
    struct stat facts;
    snprintf(path, sizeof path, "%s/result", folder);
    snprintf(link, sizeof link, "%s/link", folder);
    write_to(path, "first", OK);
    check_file(path, "first");
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(symlink("result", link), 0);
    write_to(link, "second", OK);
    check_file(path, "second");
    assert_int_equal(lstat(link, &facts), 0);
    assert_true(S_ISLNK(facts.st_mode)); /* still one */
    assert_int_equal(stat(path, &facts), 0);
    assert_int_equal(facts.st_mode & 0777, 0640);
    unlink(link);
    unlink(path);
    write_to("/dev/full", "x", FAILED);
    write_to("/dev/null", "x", OK);
    write_to("/no/such/folder/file", "x", FAILED);
}

/* Standard output: in a child process, since it is shared with the test's own. */
static int exit_of_stdout(const char *path, int flags)
{
    int status;
    fflush(stdout);
    pid_t child = fork();
    if (!child) {
        struct options options = {0};
        struct text out = {0};
        struct error err = {0};
        bool closed = !path && !fclose(stdout);
        if (!closed && path && !freopen(path, flags ? "w" : "r", stdout))
            _exit(99);
        text_add(&out, "some text\n");
        status = closed ? FAILED : (int)output_write(&options, &out, &err);
        text_release(&out);
        _exit(status);
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void test_standard_output(void **state)
{
    (void)state;
    assert_int_equal(exit_of_stdout("/dev/null", 1), OK);
    assert_int_equal(exit_of_stdout("/dev/full", 1), FAILED);
    assert_int_equal(exit_of_stdout("/dev/null", 0), FAILED); /* open for reading only */
}

static void test_color(void **state)
{
    (void)state;
    struct options options = {.color = COLOR_AUTO};
    FILE *file = fopen("/dev/null", "w");
    assert_non_null(file);
    assert_false(output_color(&options, file)); /* no terminal */
    options.color = COLOR_ALWAYS;
    setenv("NO_COLOR", "1", 1);
    assert_true(output_color(&options, file)); /* the flag comes first */
    unsetenv("NO_COLOR");
    options.color = COLOR_NEVER;
    assert_false(output_color(&options, file));
    fclose(file);
}

/* ---- All --------------------------------------------------------------------------------------
 */

static int make_folder(void **state)
{
    const char *temporary = getenv("TMPDIR");
    (void)state;
    snprintf(folder, sizeof folder, "%s/test_options.XXXXXX",
             temporary && strlen(temporary) < 32 ? temporary : "/tmp");
    unsetenv("ADVISOR_MODEL");
    unsetenv("ADVISOR_THREADS");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_whole_numbers),
        cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_all_of_recommend),
        cmocka_unit_test(test_how_data_are_read),
        cmocka_unit_test(test_trial_options),
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_default_model),
        cmocka_unit_test(test_tables_agree),
        cmocka_unit_test(test_help_of_each_command),
        cmocka_unit_test(test_overview_and_version),
        cmocka_unit_test(test_unknown_commands),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_lists_quiet_and_verbose),
        cmocka_unit_test(test_options_of_results),
        cmocka_unit_test(test_output_files),
        cmocka_unit_test(test_standard_output),
        cmocka_unit_test(test_color),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
