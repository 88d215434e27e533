/* SPDX-License-Identifier: Apache-2.0
 *
 * Before and after the words of the command line: defaults, and what can only be checked once all
 * options are read; declared in advisor/options.h.
 */
#define _GNU_SOURCE /* sched_getaffinity */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "advisor/command.h"
#include "advisor/options.h"
#include "advisor/output.h"
#include "advisor/values.h"

static const char DEFAULT_MODEL[] = "SmolLM2-135M-Instruct.Q4_1.gguf";

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
