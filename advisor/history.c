/* SPDX-License-Identifier: Apache-2.0 */
#define _XOPEN_SOURCE 700
#include "advisor/history.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "advisor/study_file.h"
#include "evaluators/statistics.h"

enum { MOST_FILES = 4096 };

/* Points by which a technique's lead differs from task to task, and from run to run. */
static const double between_tasks = 8, within_data = 3;

/* ---- Files ------------------------------------------------------------------------------------
 */

struct file {
    char *path;
    time_t changed;
};

static int newest_first(const void *a, const void *b)
{
    const struct file *x = a, *y = b;
    if (x->changed != y->changed)
        return x->changed < y->changed ? 1 : -1;
    return strcmp(x->path, y->path);
}

static bool is_study(const char *name)
{
    size_t length = strlen(name);
    return length > 3 && !strcmp(name + length - 3, ".db");
}

/* The study files of the user, the newest first. */
static size_t list_files(struct arena *arena, struct file **files)
{
    struct text folder = {0};
    size_t count = 0;
    DIR *open = study_file_folder(&folder, NULL) == OK ? opendir(text_string(&folder)) : NULL;
    struct dirent *entry;
    *files = arena_alloc(arena, MOST_FILES * sizeof **files);
    while (open && count < MOST_FILES && (entry = readdir(open))) {
        struct stat facts;
        if (!is_study(entry->d_name))
            continue;
        char *path = arena_printf(arena, "%s%s", text_string(&folder), entry->d_name);
        if (!stat(path, &facts) && S_ISREG(facts.st_mode))
            (*files)[count++] = (struct file){path, facts.st_mtime};
    }
    if (open)
        closedir(open);
    text_release(&folder);
    qsort(*files, count, sizeof **files, newest_first);
    return count;
}

/* ---- One study --------------------------------------------------------------------------------
 */

/* A number of the profile that study_file.c writes without spaces; 0 when it is not there. */
static double profile_number(const char *profile, const char *key)
{
    char pattern[40];
    snprintf(pattern, sizeof pattern, "\"%s\":", key);
    const char *at = strstr(profile, pattern);
    double value = at ? strtod(at + strlen(pattern), NULL) : 0;
    return isfinite(value) && value > 0 ? value : 0;
}

static const char *profile_text(const char *profile, const char *key, struct arena *arena)
{
    char pattern[40];
    snprintf(pattern, sizeof pattern, "\"%s\":\"", key);
    const char *at = strstr(profile, pattern);
    return at ? arena_strndup(arena, at + strlen(pattern), strcspn(at + strlen(pattern), "\""))
              : "";
}

static void take_result(const struct trial_record *trial, struct past_study *study,
                        struct past_result *results)
{
    size_t i = 0;
    if (trial->status != TRIAL_DONE || !trial->metric.known)
        return;
    while (i < study->result_count && strcmp(results[i].technique, trial->key.technique) != 0)
        i++;
    if (i == study->result_count)
        results[study->result_count++] =
            (struct past_result){.technique = trial->key.technique, .metric = -INFINITY};
    if (trial->metric.value > results[i].metric) {
        results[i].metric = trial->metric.value;
        results[i].examples = trial->key.examples;
        study->metric = trial->metric_name;
    }
}

/* A trained token takes four operations for each parameter where the weights are frozen, which is
 * taken for all: too little for what trains every weight, so that the fastest trial is the one that
 * tells. Only trials of this machine count. */
static void take_speed(const struct trial_record *trial, const char *host, struct past_study *study)
{
    double operations = 4 * study->parameters * trial->tokens_per_second_train.value;
    if (!trial->tokens_per_second_train.known || !trial->host || strcmp(trial->host, host) != 0 ||
        operations <= 0)
        return;
    if (!study->operations_per_second.known || operations > study->operations_per_second.value)
        study->operations_per_second = measured(operations);
}

static enum status read_trials(struct store *store, struct arena *arena, struct past_study *study)
{
    struct trial_record *trials;
    size_t count;
    char host[256] = "";
    enum status status = store_trials(store, arena, &trials, &count, NULL);
    if (status != OK)
        return status;
    gethostname(host, sizeof host - 1);
    struct past_result *results = arena_alloc(arena, (count + 1) * sizeof *results);
    for (size_t i = 0; i < count; i++) {
        take_result(&trials[i], study, results);
        take_speed(&trials[i], host, study);
    }
    study->results = results;
    return OK;
}

static bool read_study(const char *path, struct arena *arena, struct past_study *study)
{
    struct store *store;
    struct study_record record;
    bool found = false;
    *study = (struct past_study){0};
    if (store_open(path, STORE_READ, &store, NULL) != OK)
        return false;
    if (store_study_get(store, arena, &record, &found, NULL) != OK || !record.done)
        found = false;
    if (found) {
        *study = (struct past_study){.name = record.name,
                                     .model_name = record.model_name,
                                     .data_path = record.data_path,
                                     .data_sha256 = record.data_sha256,
                                     .task = profile_text(record.profile, "task", arena),
                                     .examples = profile_number(record.profile, "examples"),
                                     .labels = profile_number(record.profile, "labels"),
                                     .parameters = profile_number(record.profile, "parameters"),
                                     .metric = ""};
        found = read_trials(store, arena, study) == OK;
    }
    store_close(store);
    return found;
}

/* ---- Which are similar ------------------------------------------------------------------------
 */

static bool within(double a, double b, double factor)
{
    return a <= 0 || b <= 0 || (a <= b * factor && b <= a * factor);
}

static bool is_similar(const struct past_study *study, const struct facts *facts)
{
    const struct fact_value *task = &facts->values[FACT_TASK];
    return task->known && !strcmp(task->text, study->task) && study->result_count > 0 &&
           within(facts_number(facts, FACT_EXAMPLES, 0), study->examples, HISTORY_EXAMPLES) &&
           within(facts_number(facts, FACT_LABELS, 0), study->labels, HISTORY_LABELS) &&
           within(facts_number(facts, FACT_PARAMETERS, 0), study->parameters, HISTORY_PARAMETERS);
}

void history_read(const struct facts *facts, const char *data_sha256, struct arena *arena,
                  struct history *history)
{
    struct file *files;
    size_t count = list_files(arena, &files);
    struct past_study *studies = arena_alloc(arena, HISTORY_STUDIES * sizeof *studies);
    *history = (struct history){.studies = studies};
    for (size_t i = 0; i < count && history->looked_at < HISTORY_STUDIES; i++) {
        struct past_study *study = &studies[history->count];
        history->looked_at++;
        if (!read_study(files[i].path, arena, study))
            continue;
        if (!history->throughput.known)
            history->throughput = study->operations_per_second;
        study->same_data = data_sha256 && !strcmp(data_sha256, study->data_sha256);
        history->count += is_similar(study, facts);
    }
}

/* ---- Beliefs ----------------------------------------------------------------------------------
 */

static const struct past_result *result_of(const struct past_study *study,
                                           const struct technique *technique)
{
    for (size_t i = 0; i < study->result_count; i++)
        if (!strcmp(study->results[i].technique, technique->name))
            return &study->results[i];
    return NULL;
}

/* What separates the study's metrics from the scale of points: the mean difference over its
 * techniques. Returns how many there are, baselines apart. */
static size_t level_of(const struct past_study *study, const struct judgements *judgements,
                       const struct belief *beliefs, double *level)
{
    size_t count = 0;
    *level = 0;
    for (size_t i = 0; i < judgements->count; i++) {
        const struct technique *technique = judgements->items[i].technique;
        const struct past_result *result = result_of(study, technique);
        if (!result || !(technique->needs & NEEDS_MODEL))
            continue;
        *level += 100 * result->metric - beliefs[i].points;
        count++;
    }
    *level /= count ? (double)count : 1;
    return count;
}

/* Two normal distributions of one quantity become one (precisions add up). */
static void combine(struct belief *belief, double points, double sd)
{
    double own = 1 / (belief->sd * belief->sd), other = 1 / (sd * sd);
    belief->points = (own * belief->points + other * points) / (own + other);
    belief->sd = sqrt(1 / (own + other));
}

static void learn_from(const struct past_study *study, const struct judgements *judgements,
                       struct belief *beliefs)
{
    double level, sd = study->same_data ? within_data : between_tasks;
    if (level_of(study, judgements, beliefs, &level) < 2)
        return;
    for (size_t i = 0; i < judgements->count; i++) {
        const struct technique *technique = judgements->items[i].technique;
        const struct past_result *result = result_of(study, technique);
        if (!result || !(technique->needs & NEEDS_MODEL))
            continue;
        combine(&beliefs[i], 100 * result->metric - level, sd);
        beliefs[i].studies++;
    }
}

/* P(i is the largest) for independent normals: the integral over its own density of the
 * probabilities that each other is smaller, by the midpoint rule. */
static double probability_best(const struct judgements *judgements, const struct belief *beliefs,
                               size_t which)
{
    enum { POINTS = 120 };
    const double reach = 5, pi = 3.141592653589793;
    double sum = 0;
    for (size_t k = 0; k < POINTS; k++) {
        double z = reach * (2 * ((double)k + 0.5) / POINTS - 1);
        double x = beliefs[which].points + z * beliefs[which].sd;
        double product = exp(-z * z / 2) / sqrt(2 * pi) * 2 * reach / POINTS;
        for (size_t i = 0; i < judgements->count; i++)
            if (i != which && !judgements->items[i].excluded)
                product *= normal_cdf((x - beliefs[i].points) / beliefs[i].sd);
        sum += product;
    }
    return sum;
}

void history_believe(const struct history *history, const struct judgements *judgements,
                     struct belief *beliefs)
{
    for (size_t i = 0; i < judgements->count; i++)
        beliefs[i] =
            (struct belief){.points = judgements->items[i].prior, .sd = judgements->items[i].sd};
    for (size_t s = 0; history && s < history->count; s++)
        learn_from(&history->studies[s], judgements, beliefs);
    for (size_t i = 0; i < judgements->count; i++)
        if (!judgements->items[i].excluded)
            beliefs[i].probability_best = probability_best(judgements, beliefs, i);
}
