/* SPDX-License-Identifier: Apache-2.0 */
#include "advisor/option_readers.h"

#include <string.h>

#include "advisor/command.h"
#include "advisor/facts.h"
#include "advisor/values.h"

static void *field(struct options *options, const struct option *option)
{
    return (char *)options + option->at;
}

static enum status out_of_range(const struct option *option, const char *name, const char *value,
                                struct error *err)
{
    return error_set(err, USAGE, "%s: %s is out of range; expected %s", name, value, option->range);
}

enum status read_string(struct options *options, const struct option *option, const char *name,
                        const char *value, struct error *err)
{
    (void)name;
    (void)err;
    *(const char **)field(options, option) = value;
    return OK;
}

enum status read_flag(struct options *options, const struct option *option, const char *name,
                      const char *value, struct error *err)
{
    (void)name;
    (void)value;
    (void)err;
    *(bool *)field(options, option) = true;
    return OK;
}

enum status read_model(struct options *options, const struct option *option, const char *name,
                       const char *value, struct error *err)
{
    options->model_given = true;
    return read_string(options, option, name, value, err);
}

enum status read_int64(struct options *options, const struct option *option, const char *name,
                       const char *value, struct error *err)
{
    /* The double just below 2^63 cannot hold INT64_MAX. */
    int64_t high = option->high < 0x1p63 ? (int64_t)option->high : INT64_MAX;
    return read_whole(name, value, (int64_t)option->low, high, field(options, option), err);
}

enum status read_threads(struct options *options, const struct option *option, const char *name,
                         const char *value, struct error *err)
{
    (void)option;
    int64_t threads;
    enum status status = read_whole(name, value, 1, MOST_THREADS, &threads, err);
    if (status == OK)
        options->threads = (int)threads;
    return status;
}

enum status read_budget(struct options *options, const struct option *option, const char *name,
                        const char *value, struct error *err)
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

enum status read_latency(struct options *options, const struct option *option, const char *name,
                         const char *value, struct error *err)
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

enum status read_memory(struct options *options, const struct option *option, const char *name,
                        const char *value, struct error *err)
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
enum status read_quantity(struct options *options, const struct option *option, const char *name,
                          const char *value, struct error *err)
{
    double count;
    enum status status = read_count(name, value, &count, err);
    if (status == OK && (count < option->low || count > option->high))
        return out_of_range(option, name, value, err);
    if (status == OK)
        *(struct measured *)field(options, option) = measured(count);
    return status;
}

enum status read_confidence(struct options *options, const struct option *option, const char *name,
                            const char *value, struct error *err)
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

enum status read_metric(struct options *options, const struct option *option, const char *name,
                        const char *value, struct error *err)
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

enum status read_task(struct options *options, const struct option *option, const char *name,
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

enum status read_type(struct options *options, const struct option *option, const char *name,
                      const char *value, struct error *err)
{
    (void)option;
    return read_choice(options, name, value, "type", "f16|f32", &options->weight_type, err);
}

enum status read_format(struct options *options, const struct option *option, const char *name,
                        const char *value, struct error *err)
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
enum status read_json(struct options *options, const struct option *option, const char *name,
                      const char *value, struct error *err)
{
    (void)value;
    const char *own = options->command->formats;
    options->json = true;
    if (own && read_choice(options, name, "json", "format", own, &options->format_name, NULL) != OK)
        return OK; /* what the command tells, not what it writes, is JSON then */
    return own ? OK : read_format(options, option, name, "json", err);
}

enum status read_color(struct options *options, const struct option *option, const char *name,
                       const char *value, struct error *err)
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

enum status read_on_bad_row(struct options *options, const struct option *option, const char *name,
                            const char *value, struct error *err)
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

enum status read_delimiter(struct options *options, const struct option *option, const char *name,
                           const char *value, struct error *err)
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

enum status read_label_names(struct options *options, const struct option *option, const char *name,
                             const char *value, struct error *err)
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

enum status read_techniques(struct options *options, const struct option *option, const char *name,
                            const char *value, struct error *err)
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
enum status read_set(struct options *options, const struct option *option, const char *name,
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

enum status read_fact(struct options *options, const struct option *option, const char *name,
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

enum status read_technique(struct options *options, const struct option *option, const char *name,
                           const char *value, struct error *err)
{
    (void)option;
    return options_technique(name, value, &options->technique, err);
}

/* "2pt", "2%" or "0.02". A bare 2 could be meant either way. */
enum status read_margin(struct options *options, const struct option *option, const char *name,
                        const char *value, struct error *err)
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
enum status read_also(struct options *options, const struct option *option, const char *name,
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
