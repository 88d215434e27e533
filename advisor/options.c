/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* sched_getaffinity */
#include "advisor/options.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "advisor/command.h"
#include "advisor/facts.h"
#include "advisor/output.h"
#include "advisor/values.h"

enum { MOST_THREADS = 256 };

static const char DEFAULT_MODEL[] = "SmolLM2-135M-Instruct.Q4_1.gguf";

/* ---- Readers ----------------------------------------------------------------------------------
 */

static void *field(struct options *options, const struct option *option)
{
    return (char *)options + option->at;
}

static enum status out_of_range(const struct option *option, const char *name, const char *value,
                                struct error *err)
{
    return error_set(err, USAGE, "%s: %s is out of range; expected %s", name, value, option->range);
}

static enum status read_string(struct options *options, const struct option *option,
                               const char *name, const char *value, struct error *err)
{
    (void)name;
    (void)err;
    *(const char **)field(options, option) = value;
    return OK;
}

static enum status read_flag(struct options *options, const struct option *option, const char *name,
                             const char *value, struct error *err)
{
    (void)name;
    (void)value;
    (void)err;
    *(bool *)field(options, option) = true;
    return OK;
}

static enum status read_model(struct options *options, const struct option *option,
                              const char *name, const char *value, struct error *err)
{
    options->model_given = true;
    return read_string(options, option, name, value, err);
}

static enum status read_int64(struct options *options, const struct option *option,
                              const char *name, const char *value, struct error *err)
{
    /* The double just below 2^63 cannot hold INT64_MAX. */
    int64_t high = option->high < 0x1p63 ? (int64_t)option->high : INT64_MAX;
    return read_whole(name, value, (int64_t)option->low, high, field(options, option), err);
}

static enum status read_threads(struct options *options, const struct option *option,
                                const char *name, const char *value, struct error *err)
{
    (void)option;
    int64_t threads;
    enum status status = read_whole(name, value, 1, MOST_THREADS, &threads, err);
    if (status == OK)
        options->threads = (int)threads;
    return status;
}

static enum status read_budget(struct options *options, const struct option *option,
                               const char *name, const char *value, struct error *err)
{
    double seconds;
    enum status status = read_duration(name, value, &seconds, err);
    if (status == OK && (seconds < option->low || seconds > option->high))
        return out_of_range(option, name, value, err);
    if (status == OK) {
        options->budget_seconds = seconds;
        options->budget_given = true;
    }
    return status;
}

static enum status read_latency(struct options *options, const struct option *option,
                                const char *name, const char *value, struct error *err)
{
    double seconds;
    enum status status = read_duration(name, value, &seconds, err);
    if (status != OK)
        return status;
    if (!value[strspn(value, "0123456789.")])
        return error_set(err, USAGE, "%s: %s needs a unit; expected %sms or %ss", name, value,
                         value, value);
    if (seconds * 1e3 < option->low || seconds * 1e3 > option->high)
        return out_of_range(option, name, value, err);
    options->max_latency_ms = measured(seconds * 1e3);
    return OK;
}

static enum status read_memory(struct options *options, const struct option *option,
                               const char *name, const char *value, struct error *err)
{
    double bytes;
    enum status status = read_size(name, value, &bytes, err);
    if (status == OK && (bytes < option->low || bytes > option->high))
        return out_of_range(option, name, value, err);
    if (status == OK)
        *(struct measured *)field(options, option) = measured(bytes);
    return status;
}

/* A whole number such as 10k or 7B into a struct measured. */
static enum status read_quantity(struct options *options, const struct option *option,
                                 const char *name, const char *value, struct error *err)
{
    double count;
    enum status status = read_count(name, value, &count, err);
    if (status == OK && (count < option->low || count > option->high))
        return out_of_range(option, name, value, err);
    if (status == OK)
        *(struct measured *)field(options, option) = measured(count);
    return status;
}

static enum status read_confidence(struct options *options, const struct option *option,
                                   const char *name, const char *value, struct error *err)
{
    double share;
    enum status status = read_share(name, value, &share, err);
    if (status == OK && (share < option->low || share > option->high))
        return out_of_range(option, name, value, err);
    if (status == OK)
        options->confidence = share;
    return status;
}

/* USAGE: `value` is none of the names; gives all of them, and the one that was probably meant. */
static enum status unknown_name(const char *name, const char *value, const char *what,
                                const char *const *names, size_t count, struct error *err)
{
    struct text list = {0};
    for (size_t i = 0; i < count; i++)
        text_printf(&list, "%s%s", i ? ", " : "", names[i]);
    const char *meant = nearest(value, names, count);
    struct text hint = {0};
    if (meant)
        text_printf(&hint, " (did you mean %s?)", meant);
    enum status status = error_set(err, USAGE, "%s: there is no %s \"%s\"%s; expected one of %s",
                                   name, what, value, text_string(&hint), text_string(&list));
    text_release(&hint);
    text_release(&list);
    return status;
}

enum { MOST_NAMES = 64 };

static enum status read_metric(struct options *options, const struct option *option,
                               const char *name, const char *value, struct error *err)
{
    (void)option;
    options->metric = metric_find(value);
    if (options->metric)
        return OK;
    const char *names[MOST_NAMES];
    size_t count = metric_count() < MOST_NAMES ? metric_count() : MOST_NAMES;
    for (size_t i = 0; i < count; i++)
        names[i] = metric_at(i)->name;
    return unknown_name(name, value, "metric", names, count, err);
}

static enum status read_task(struct options *options, const struct option *option, const char *name,
                             const char *value, struct error *err)
{
    (void)option;
    if (task_from_name(value, &options->reading.task))
        return OK;
    const char *names[MOST_NAMES];
    size_t count = 0;
    for (enum task task = TASK_CLASSIFICATION; task <= TASK_GENERATION; task++)
        names[count++] = task_name(task);
    return unknown_name(name, value, "task", names, count, err);
}

/* One of the words in `choices`, "a|b", into a field of `options`. */
static enum status read_choice(struct options *options, const char *name, const char *value,
                               const char *what, const char *choices, const char **field,
                               struct error *err)
{
    const char *names[MOST_NAMES];
    size_t count = 0;
    for (const char *at = choices; *at && count < MOST_NAMES; count++) {
        size_t length = strcspn(at, "|");
        names[count] = arena_strndup(&options->arena, at, length);
        if (!strcmp(names[count], value)) {
            *field = names[count];
            return OK;
        }
        at += length + (at[length] == '|');
    }
    return unknown_name(name, value, what, names, count, err);
}

static enum status read_type(struct options *options, const struct option *option, const char *name,
                             const char *value, struct error *err)
{
    (void)option;
    return read_choice(options, name, value, "type", "f16|f32", &options->weight_type, err);
}

static enum status read_format(struct options *options, const struct option *option,
                               const char *name, const char *value, struct error *err)
{
    (void)option;
    if (options->command->formats)
        return read_choice(options, name, value, "format", options->command->formats,
                           &options->format_name, err);
    options->format = report_format_find(value);
    if (options->format)
        return OK;
    const char *names[MOST_NAMES];
    size_t count = 0;
    for (; report_format_at(count) && count < MOST_NAMES; count++)
        names[count] = report_format_at(count)->name;
    return unknown_name(name, value, "format", names, count, err);
}

/* --json */
static enum status read_json(struct options *options, const struct option *option, const char *name,
                             const char *value, struct error *err)
{
    (void)value;
    const char *own = options->command->formats;
    options->json = true;
    if (own && read_choice(options, name, "json", "format", own, &options->format_name, NULL) != OK)
        return OK; /* what the command tells, not what it writes, is JSON then */
    return own ? OK : read_format(options, option, name, "json", err);
}

static enum status read_color(struct options *options, const struct option *option,
                              const char *name, const char *value, struct error *err)
{
    static const char *const names[] = {
        [COLOR_AUTO] = "auto", [COLOR_ALWAYS] = "always", [COLOR_NEVER] = "never"};
    (void)option;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!strcmp(value, names[i])) {
            options->color = (enum color)i;
            return OK;
        }
    }
    return unknown_name(name, value, "way", names, sizeof names / sizeof *names, err);
}

static enum status read_on_bad_row(struct options *options, const struct option *option,
                                   const char *name, const char *value, struct error *err)
{
    static const char *const names[] = {[BAD_ROW_ERROR] = "error", [BAD_ROW_SKIP] = "skip"};
    (void)option;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!strcmp(value, names[i])) {
            options->reading.on_bad_row = (enum on_bad_row)i;
            return OK;
        }
    }
    return unknown_name(name, value, "way", names, sizeof names / sizeof *names, err);
}

static enum status read_delimiter(struct options *options, const struct option *option,
                                  const char *name, const char *value, struct error *err)
{
    (void)option;
    if (!strcmp(value, "tab") || !strcmp(value, "\\t"))
        value = "\t";
    bool usable = strlen(value) == 1 && (*value == '\t' || strchr(",;|:~^!#$%&*+/@ ", *value));
    if (!usable)
        return error_set(err, USAGE,
                         "%s: \"%s\" cannot separate columns; expected one character such as , ; | "
                         "or the word tab",
                         name, value);
    options->reading.delimiter = *value;
    return OK;
}

static enum status read_label_names(struct options *options, const struct option *option,
                                    const char *name, const char *value, struct error *err)
{
    (void)option;
    struct label_name *map;
    size_t count;
    if (label_map_parse(value, &options->arena, &map, &count, err) != OK)
        return error_prefix(err, "%s", name);
    options->reading.label_map = map;
    options->reading.label_map_count = count;
    return OK;
}

enum status options_technique(const char *name, const char *word, const struct technique **found,
                              struct error *err)
{
    *found = technique_find(word);
    if (*found)
        return OK;
    const char *names[MOST_NAMES];
    size_t count = 0;
    for (; technique_at(count) && count < MOST_NAMES; count++)
        names[count] = technique_at(count)->name;
    return unknown_name(name, word, "technique", names, count, err);
}

static void add_technique(struct options *options, const struct technique *technique)
{
    for (size_t i = 0; i < options->technique_count; i++)
        if (options->techniques[i] == technique)
            return;
    options->techniques[options->technique_count++] = technique;
}

static enum status read_techniques(struct options *options, const struct option *option,
                                   const char *name, const char *value, struct error *err)
{
    (void)option;
    size_t most = 1;
    for (const char *at = value; *at; at++)
        most += *at == ',';
    options->techniques = arena_zalloc(&options->arena, most * sizeof *options->techniques);
    options->technique_count = 0;
    for (const char *at = value;;) {
        at += strspn(at, " ");
        size_t length = strcspn(at, ",");
        size_t word = length;
        while (word && at[word - 1] == ' ')
            word--;
        const struct technique *technique;
        enum status status =
            options_technique(name, arena_strndup(&options->arena, at, word), &technique, err);
        if (status != OK)
            return status;
        add_technique(options, technique);
        if (!at[length])
            return OK;
        at += length + 1;
    }
}

/* options_parse has made room for as many as there are words. */
static enum status read_set(struct options *options, const struct option *option, const char *name,
                            const char *value, struct error *err)
{
    (void)option;
    const char *equals = strchr(value, '=');
    if (!equals || equals == value)
        return error_set(err, USAGE, "%s: \"%s\" sets nothing; expected name=value, such as r=16",
                         name, value);
    options->settings[options->setting_count++] = value;
    return OK;
}

static enum status read_fact(struct options *options, const struct option *option, const char *name,
                             const char *value, struct error *err)
{
    (void)option;
    struct facts facts = {0};
    enum status status = facts_assign(&facts, value, err);
    (void)name;
    if (status == OK)
        options->facts[options->fact_count++] = value;
    return status;
}

static enum status read_technique(struct options *options, const struct option *option,
                                  const char *name, const char *value, struct error *err)
{
    (void)option;
    return options_technique(name, value, &options->technique, err);
}

/* "2pt", "2%" or "0.02". A bare 2 could be meant either way. */
static enum status read_margin(struct options *options, const struct option *option,
                               const char *name, const char *value, struct error *err)
{
    size_t length = strlen(value);
    bool points = length > 2 && !strcmp(value + length - 2, "pt");
    bool cent = length > 1 && value[length - 1] == '%';
    char *number = arena_strndup(&options->arena, value, length - (points ? 2 : cent ? 1 : 0));
    double margin = 0;
    if (read_real(name, number, 0, points || cent ? 100 : 1e9, &margin, err) != OK)
        return error_set(err, USAGE, "%s: \"%s\" is no margin; expected %s", name, value,
                         option->range);
    if (points || cent)
        margin /= 100;
    else if (margin >= 1)
        return error_set(err, USAGE, "%s: %s needs a unit; expected %spt, or a share such as 0.02",
                         name, value, value);
    if (margin > option->high)
        return out_of_range(option, name, value, err);
    options->margin = margin;
    return OK;
}

/* options_parse has made room for as many as there are words. */
static enum status read_also(struct options *options, const struct option *option, const char *name,
                             const char *value, struct error *err)
{
    (void)option;
    const char *equals = strchr(value, '=');
    if (!equals || equals == value || !equals[1])
        return error_set(err, USAGE,
                         "%s: \"%s\" names no file; expected FORMAT=FILE, such as "
                         "junit=report.xml",
                         name, value);
    options->also[options->also_count++] = value;
    return OK;
}

/* ---- The table --------------------------------------------------------------------------------
 */

static const char CHECK[] = "Check";
static const char MODEL[] = "Model";
static const char DATA[] = "Data";
static const char GOAL[] = "Goal";
static const char TRIAL[] = "Trial";
static const char STUDY[] = "Study";
static const char NUMBERS[] = "Described by numbers";
static const char OUTPUT[] = "Output";

#define AT(member) .at = offsetof(struct options, member)

static const struct option table[] = {
    {.name = "set",
     .argument = "NAME=VALUE",
     .group = TRIAL,
     .help = "a hyper-parameter of the technique; may be given several times",
     .read = read_set},
    {.name = "examples",
     .argument = "N",
     .group = TRIAL,
     .help = "training examples to use, or for advise the labelled ones there are; default: "
             "all",
     .read = read_int64,
     .low = 0,
     .high = 1e9,
     AT(examples)},

    {.name = "margin",
     .argument = "LOSS",
     .group = CHECK,
     .help = "how much may be lost: 2pt, 2% or 0.02; default 2pt",
     .read = read_margin,
     .high = 0.5,
     .range = "0pt to 50pt, such as 2pt, 2% or 0.02"},
    {.name = "slice",
     .argument = "COLUMN",
     .group = CHECK,
     .help = "also compare by the values of this column of the examples, such as language",
     .read = read_string,
     AT(slice)},
    {.name = "shared",
     .group = CHECK,
     .help =
         "compare on the examples that baseline and file share; default: the file must have all "
         "of the baseline's",
     .read = read_flag,
     AT(shared)},
    {.name = "technique",
     .argument = "NAME",
     .group = CHECK,
     .help = "what to check instead; default: of the baseline, or what --study recommends",
     .read = read_technique},
    {.name = "artifact",
     .argument = "FILE",
     .group = CHECK,
     .help = "what was learned, in place of the baseline's: a file that `advisor bless` wrote",
     .read = read_string,
     AT(artifact_path)},

    {.name = "target",
     .argument = "SHARE",
     .group = GOAL,
     .help = "what the metric has to reach: 0.90, 90% or 90",
     .read = read_string, /* its unit depends on --metric: see options_settle */
     AT(target_text)},
    {.name = "confidence",
     .argument = "SHARE",
     .group = GOAL,
     .help = "how sure to be that the target is met, 50% to 99.9%; default 80%",
     .read = read_confidence,
     .low = 0.5,
     .high = 0.999,
     .range = "50% to 99.9%"},
    {.name = "metric",
     .argument = "NAME",
     .group = GOAL,
     .help = "what is compared (see `advisor list metrics`); default: that of the task",
     .read = read_metric},
    {.name = "budget",
     .argument = "TIME",
     .group = GOAL,
     .help = "time for all trials, such as 30s, 10m, 1h30m, or 600 for seconds; default 10m",
     .read = read_budget,
     .low = 1,
     .high = 30 * 86400.0,
     .range = "1s to 30d"},
    {.name = "max-memory",
     .argument = "SIZE",
     .group = GOAL,
     .help = "most memory, such as 512M or 4G, for training and use",
     .read = read_memory,
     .low = 0x1p20,
     .high = 0x1p50,
     .range = "1M to 1024T, such as 4G",
     AT(max_memory_bytes)},
    {.name = "max-latency",
     .argument = "TIME",
     .group = GOAL,
     .help = "longest time per request on this machine, such as 50ms or 0.2s",
     .read = read_latency,
     .low = 0.001,
     .high = 3600e3,
     .range = "0.001ms to 1h"},
    {.name = "requests",
     .argument = "N",
     .group = GOAL,
     .help = "requests in the lifetime of the model, such as 10k or 1M: ties go to what costs "
             "least over all of them",
     .read = read_quantity,
     .low = 1,
     .high = 1e15,
     .range = "1 to 1000000G",
     AT(requests)},
    {.name = "techniques",
     .argument = "LIST",
     .group = GOAL,
     .help = "only these, with commas (see `advisor list techniques`); default: all",
     .read = read_techniques},

    {.name = "test",
     .argument = "FILE",
     .group = DATA,
     .help = "labelled test data, opened once at the end; default: a part of DATA kept apart",
     .read = read_string,
     AT(test_path)},
    {.name = "data",
     .argument = "FILE",
     .group = DATA,
     .help = "where the data are now; default: where they were",
     .read = read_string,
     AT(data_path)},
    {.name = "input",
     .argument = "NAMES",
     .group = DATA,
     .help = "columns of the input, with commas; default: found by name",
     .read = read_string,
     AT(reading.input)},
    {.name = "label",
     .argument = "NAME",
     .group = DATA,
     .help = "column of the right answer; default: found by name",
     .read = read_string,
     AT(reading.target)},
    {.name = "rationale",
     .argument = "NAME",
     .group = DATA,
     .help = "column of worked solutions, or \"\" for none; default: found by name",
     .read = read_string,
     .may_be_empty = true,
     AT(reading.rationale)},
    {.name = "task",
     .argument = "TASK",
     .group = DATA,
     .help = "classification, multiple_choice, numeric_answer, extraction or generation; default: "
             "inferred",
     .read = read_task},
    {.name = "task-column",
     .argument = "COLUMN",
     .group = DATA,
     .help = "where each row names its task in the prompt table",
     .read = read_string,
     AT(task_column)},
    {.name = "delimiter",
     .argument = "CHAR",
     .group = DATA,
     .help = "what separates the columns of a table, or the word tab; default: comma, or tab in "
             ".tsv files",
     .read = read_delimiter},
    {.name = "label-names",
     .argument = "MAP",
     .group = DATA,
     .help = "names of the classes behind numbers, such as 0=negative,1=positive",
     .read = read_label_names},
    {.name = "on-bad-row",
     .argument = "error|skip",
     .group = DATA,
     .help = "stop at a row that cannot be used, or leave it out and count it; default error",
     .read = read_on_bad_row},

    {.name = "model",
     .argument = "FILE",
     .group = MODEL,
     .help = "a GGUF model; default $ADVISOR_MODEL, else the model that `make model` brings",
     .read = read_model,
     AT(model)},
    {.name = "threads",
     .argument = "N",
     .group = MODEL,
     .help = "threads, 1 to 256, which do not change results; default $ADVISOR_THREADS, else the "
             "cores this process may use",
     .read = read_threads},

    {.name = "parameters",
     .argument = "N",
     .group = NUMBERS,
     .help = "parameters of the model, such as 135M or 7B, instead of a file",
     .read = read_quantity,
     .low = 1e5,
     .high = 1e13,
     .range = "100k to 10000B",
     AT(parameters)},
    {.name = "context",
     .argument = "N",
     .group = NUMBERS,
     .help = "tokens the model can read at once; default: that of the model file, if there is one",
     .read = read_quantity,
     .low = 16,
     .high = 1e9,
     .range = "16 to 1G",
     AT(context)},
    {.name = "memory",
     .argument = "SIZE",
     .group = NUMBERS,
     .help = "memory of the machine, such as 24G; default: what this one has available",
     .read = read_memory,
     .low = 0x1p20,
     .high = 0x1p50,
     .range = "1M to 1024T, such as 24G",
     AT(memory)},
    {.name = "throughput",
     .argument = "N",
     .group = NUMBERS,
     .help = "floating-point operations a second in practice, such as 40G; default: told by "
             "studies of this machine, else not known",
     .read = read_quantity,
     .low = 1e6,
     .high = 1e18,
     .range = "1M to 1e18",
     AT(throughput)},
    {.name = "labels",
     .argument = "N",
     .group = NUMBERS,
     .help = "classes, instead of data",
     .read = read_quantity,
     .low = 2,
     .high = 1e6,
     .range = "2 to 1M",
     AT(labels)},
    {.name = "tokens",
     .argument = "N",
     .group = NUMBERS,
     .help = "tokens of an input, instead of data",
     .read = read_quantity,
     .low = 1,
     .high = 1e7,
     .range = "1 to 10M",
     AT(tokens)},
    {.name = "fact",
     .argument = "NAME=VALUE",
     .group = NUMBERS,
     .help = "any other fact of `advisor list facts`, such as keep_skills=yes; may be given "
             "several times",
     .read = read_fact},
    {.name = "rules",
     .argument = "FILE",
     .group = NUMBERS,
     .help = "a CSV file with further rules (see `advisor list rules`)",
     .read = read_string,
     AT(rules_path)},
    {.name = "no-history",
     .group = NUMBERS,
     .help = "no evidence from finished studies",
     .read = read_flag,
     AT(no_history)},

    {.name = "seed",
     .argument = "N",
     .group = STUDY,
     .help = "start of all random choices: the same seed gives the same results; default 0",
     .read = read_int64,
     .low = 0,
     .high = 0x1p63,
     AT(seed)},
    {.name = "study",
     .argument = "STUDY",
     .group = STUDY,
     .help = "file or name of the study; default: named after model, data and options",
     .read = read_string,
     AT(study)},
    {.name = "fresh",
     .group = STUDY,
     .help = "begin the study anew instead of going on where it stopped",
     .read = read_flag,
     AT(fresh)},
    {.name = "dry-run",
     .group = STUDY,
     .help = "only print the plan: times, memory, what is refused and why, the order of trials",
     .read = read_flag,
     AT(dry_run)},

    {.name = "type",
     .argument = "f16|f32",
     .group = OUTPUT,
     .help = "how the weights of a whole model are written; default f16",
     .read = read_type},
    {.name = "task-name",
     .argument = "NAME",
     .group = OUTPUT,
     .help = "the task's name in a prompt table; default: the data file's for export, the only one "
             "for predict",
     .read = read_string,
     AT(task_name)},
    {.name = "force",
     .group = OUTPUT,
     .help = "replace what is there by that name",
     .read = read_flag,
     AT(force)},
    {.name = "format",
     .argument = "NAME",
     .group = OUTPUT,
     .help =
         "form of the result (see `advisor list formats`; bless, check, export and predict have "
         "their own); default text",
     .read = read_format},
    {.name = "json", .group = OUTPUT, .help = "the same as --format json", .read = read_json},
    {.name = "output",
     .letter = 'o',
     .argument = "FILE",
     .group = OUTPUT,
     .help = "where the result goes, for --format lm-eval a folder; default: standard output",
     .read = read_string,
     AT(output)},
    {.name = "also",
     .argument = "FORMAT=FILE",
     .group = OUTPUT,
     .help = "write the result in this format too; may be given several times",
     .read = read_also},
    {.name = "color",
     .argument = "WHEN",
     .group = OUTPUT,
     .help = "auto, always or never; default auto: on a terminal, unless $NO_COLOR is set",
     .read = read_color},
    {.name = "no-progress",
     .group = OUTPUT,
     .help = "no progress line on a terminal",
     .read = read_flag,
     AT(no_progress)},
    {.name = "quiet",
     .letter = 'q',
     .group = OUTPUT,
     .help = "nothing but the result and errors",
     .read = read_flag,
     AT(quiet)},
    {.name = "verbose",
     .letter = 'v',
     .group = OUTPUT,
     .help = "also say what is of interest to few, such as how each learning rate did",
     .read = read_flag,
     AT(verbose)},
};

const struct option *option_at(size_t index)
{
    return index < sizeof table / sizeof *table ? &table[index] : NULL;
}

const struct option *option_find(const char *name)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (!strcmp(table[i].name, name))
            return &table[i];
    return NULL;
}

/* ---- Defaults ---------------------------------------------------------------------------------
 */

/* Cores this process may use: less than the machine has under taskset or in a container. */
static int usable_cores(void)
{
    cpu_set_t set;
    int cores = 0;
    if (!sched_getaffinity(0, sizeof set, &set))
        cores = CPU_COUNT(&set);
    if (cores < 1) /* more than CPU_SETSIZE processors */
        cores = (int)sysconf(_SC_NPROCESSORS_ONLN);
    return cores < 1 ? 1 : cores > MOST_THREADS ? MOST_THREADS : cores;
}

/* Where scripts/fetch-model.sh keeps it. */
static const char *default_model(struct arena *arena)
{
    const char *cache = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");
    struct text path = {0};
    if (cache && *cache == '/')
        text_printf(&path, "%s/advisor/models/%s", cache, DEFAULT_MODEL);
    else
        text_printf(&path, "%s/.cache/advisor/models/%s", home ? home : "", DEFAULT_MODEL);
    const char *copy = arena_strdup(arena, text_string(&path));
    text_release(&path);
    return copy;
}

void options_default(const struct command *command, struct options *options)
{
    *options = (struct options){.command = command,
                                .confidence = 0.8,
                                .budget_seconds = 600,
                                .examples = -1,
                                .margin = 0.02,
                                .weight_type = "f16",
                                .format = report_format_at(0)};
    arena_init(&options->arena, NULL);
    options->model = default_model(&options->arena);
}

/* The target in the unit of the metric: a share unless the metric says otherwise. */
static enum status settle_target(struct options *options, struct error *err)
{
    const struct metric *metric = options->metric;
    double number;
    enum status status;
    if (!options->target_text)
        return OK;
    if (metric && !metric->higher_is_better)
        return error_set(err, USAGE,
                         "--target: %s is better the lower it is, and a target is something to "
                         "reach; choose another --metric or leave --target out",
                         metric->name);
    if (metric && strcmp(metric->unit, "share") != 0)
        status = read_real("--target", options->target_text, -1, 1, &number, err);
    else
        status = read_share("--target", options->target_text, &number, err);
    if (status == OK)
        options->target = measured(number);
    return status;
}

enum status options_settle(struct options *options, struct error *err)
{
    if (options->quiet && options->verbose)
        return error_set(err, USAGE, "--quiet and --verbose contradict each other; give one");
    if (!options->threads)
        options->threads = usable_cores();
    enum status status = settle_target(options, err);
    if (status == OK && options->output && !options->command->folder)
        status = options->format->write_files ? output_check_folder(options->output, err)
                                              : output_check(options->output, err);
    return status;
}

void options_release(struct options *options)
{
    arena_release(&options->arena);
    *options = (struct options){0};
}

enum status options_check_model(const struct options *options, struct error *err)
{
    if (!access(options->model, R_OK))
        return OK;
    const char *why = strerror(errno);
    if (options->model_given)
        return error_set(err, BAD_MODEL, "%s: the model cannot be read: %s", options->model, why);
    return error_set(err, BAD_MODEL,
                     "there is no model: the default one would be %s (%s); bring it with `make "
                     "model`, or name a GGUF file of your own with --model FILE",
                     options->model, why);
}
