/* SPDX-License-Identifier: Apache-2.0
 *
 * The options of the command line: one table, read into one struct.
 *
 * `--name value`, `--name=value`, `--` and the short forms -o, -q, -v and -h are understood;
 * options and operands may be mixed. Every value is checked as it is read, with its unit and its
 * range. The flag comes before the environment (ADVISOR_MODEL, ADVISOR_THREADS, NO_COLOR), which
 * comes before the default.
 */
#ifndef ADVISOR_OPTIONS_H
#define ADVISOR_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"
#include "datasets/dataset.h"
#include "evaluators/metrics.h"
#include "evaluators/store.h"
#include "reports/report.h"
#include "techniques/technique.h"

struct command;

enum color { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER };

enum { MOST_OPERANDS = 4, MOST_THREADS = 256 };

/* Strings are those of the command line and the environment, or live in `arena`. */
struct options {
    struct arena arena;
    const struct command *command;
    const char *operands[MOST_OPERANDS]; /* NULL behind the last */
    size_t operand_count;

    /* The model. */
    const char *model; /* path; never NULL for a command that takes it: see options_check_model */
    bool model_given;  /* by flag or environment; otherwise it is the default model */
    int threads;       /* 1 .. MOST_THREADS; default: the cores this process may use */

    /* How the data are read: columns, task, delimiter, label names, bad rows. Hand it to
     * dataset_load as it is. */
    struct dataset_options reading;
    const char *test_path; /* --test, or NULL */

    /* What is asked for. */
    const struct metric *metric; /* NULL: the metric of the task */
    struct measured target;      /* a share: 0 .. 1; a coefficient: -1 .. 1 */
    const char *target_text;     /* as given */
    double confidence;           /* 0.5 .. 0.999; default 0.8 */
    double budget_seconds;       /* >= 1; default 600 */
    struct measured max_memory_bytes, max_latency_ms, requests;
    const struct technique **techniques; /* as given, without repetitions; NULL: all */
    size_t technique_count;
    uint64_t seed; /* 0 .. 2^63 - 1; default 0 */

    /* One trial. */
    const char **settings; /* --set, in turn: "name=value", which setting_set checks */
    size_t setting_count;
    int64_t examples; /* training examples; -1: all there are */

    /* Advice without measuring: what is known in numbers. */
    struct measured parameters, context, memory, labels, tokens, throughput;
    bool budget_given;
    const char **facts; /* --fact, in turn: "name=value", which facts_assign checks */
    size_t fact_count;
    const char *rules_path; /* --rules, or NULL */
    bool no_history;
    /* What is blessed and checked. */
    const struct technique *technique; /* --technique, or NULL */
    const char *data_path;             /* --data: where the data have moved to, or NULL */
    const char *artifact_path;         /* --artifact, or NULL */
    const char *slice;                 /* --slice, or NULL */
    double margin;                     /* 0 .. 0.5, in the unit of the metric; default 0.02 */
    bool shared;
    const char **also; /* --also, in turn: "FORMAT=FILE", which the command checks */
    size_t also_count;
    /* An export. */
    const char *weight_type; /* "f16" or "f32" */
    bool force;              /* replace what is there */
    const char *task_name;   /* --task-name: a task of a prompt table, or NULL */
    const char *task_column; /* --task-column, or NULL */

    /* The study and the output. */
    const char *study;                  /* --study as given, or NULL */
    bool fresh;                         /* begin the study anew */
    bool dry_run;                       /* print the plan and stop */
    const struct report_format *format; /* default text */
    const char *format_name;            /* of a command with formats of its own, or NULL */
    bool json;                          /* --json */
    const char *output;                 /* -o FILE, or NULL: standard output */
    enum color color;
    bool no_progress, quiet, verbose;
    bool help; /* --help was given: nothing else is checked */
};

struct option;

/* Checks `value` and stores it in the field at option->at, or in one that the reader knows, within
 * option->low .. option->high where it is a number. `name` is "--budget" or wherever the value is
 * from. USAGE, with what is expected, when it cannot be taken. */
typedef enum status option_reader(struct options *options, const struct option *option,
                                  const char *name, const char *value, struct error *err);

/* One option: a row of the table. */
struct option {
    const char *name;     /* without the dashes */
    char letter;          /* short form, or 0 */
    bool may_be_empty;    /* the argument */
    const char *argument; /* "FILE"; NULL: takes none */
    const char *group;    /* heading in the help */
    const char *help;     /* lower-case phrase, with the default */

    option_reader *read; /* see advisor/option_readers.h */
    size_t at;           /* of its field in struct options */
    double low, high;
    const char *range; /* says `low` and `high` for people */
};

/* All options there are, by group; NULL when `index` is past the last. */
const struct option *option_at(size_t index);
const struct option *option_find(const char *name);

/* Reads the words behind the command's name. The sentence of an error names the option, what was
 * found and what is expected. After an error nothing has to be released. */
enum status options_parse(const struct command *command, int count, char *const *words,
                          struct options *options, struct error *err);
void options_release(struct options *options); /* safe on {0} and twice */

/* Every option's default, before anything is read. */
void options_default(const struct command *command, struct options *options);

/* What can only be checked once all options are read. */
enum status options_settle(struct options *options, struct error *err);

/* A technique by name; USAGE with the names there are. `name` says where the word is from. */
enum status options_technique(const char *name, const char *word, const struct technique **found,
                              struct error *err);

/* BAD_MODEL, with what to do about it, when options->model cannot be read. For a run that needs
 * the model. */
enum status options_check_model(const struct options *options, struct error *err);

#endif
