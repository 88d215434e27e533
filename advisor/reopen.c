/* SPDX-License-Identifier: Apache-2.0 */
#include "advisor/reopen.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "advisor/allocate.h"
#include "advisor/reading.h"
#include "advisor/study_file.h"
#include "datasets/demo.h"

/* ---- The record ----------------------------------------------------------------------------- */

static enum status read_record(struct reopened *r, const char *path, struct error *err)
{
    struct store *store;
    bool found = false;
    enum status status = store_open(path, STORE_EXISTING | STORE_READ, &store, err);
    if (status == OK)
        status = store_study_get(store, &r->arena, &r->record, &found, err);
    if (status == OK && !found)
        status = error_set(err, USAGE, "%s: the file holds no study", path);
    if (status == OK)
        status = store_trials(store, &r->arena, &r->trials, &r->trial_count, err);
    store_close(store);
    return status;
}

/* How the data were read; files of before this was kept have the default. */
static enum status read_reading(struct reopened *r, struct error *err)
{
    json_t *profile = json_loads(r->record.profile, 0, NULL);
    json_t *reading = json_object_get(profile, "reading");
    enum status status = OK;
    if (reading) {
        char *text = json_dumps(reading, JSON_COMPACT);
        status = reading_parse(text ? text : "", &r->arena, &r->options.reading, err);
        free(text);
    }
    json_decref(profile);
    return status;
}

static const struct metric *metric_of(const struct reopened *r)
{
    for (size_t i = 0; i < r->trial_count; i++)
        if (r->trials[i].metric_name && r->trials[i].metric.known)
            return metric_find(r->trials[i].metric_name);
    return NULL;
}

static enum status check_data(const struct reopened *r, const char *path, struct error *err)
{
    struct demo demo;
    const char *data = r->options.operands[0];
    if (demo_find(data, &demo) || !access(data, R_OK))
        return OK;
    return error_set(err, USAGE,
                     "%s: the data of the study, %s, cannot be read: %s; name the file with --data "
                     "FILE",
                     path, data, strerror(errno));
}

/* The model that was named, else that of the study where it still is, else the default one. */
static void choose_model(struct reopened *r)
{
    json_t *facts = json_loads(r->record.model_facts, 0, NULL);
    const char *path = json_string_value(json_object_get(facts, "path"));
    if (!r->options.model_given && path && !access(path, R_OK)) {
        r->options.model = arena_strdup(&r->arena, path);
        r->options.model_given = true;
    }
    json_decref(facts);
}

static enum status restore_options(struct reopened *r, const struct options *options,
                                   const char *path, struct error *err)
{
    r->options = *options;
    r->options.operands[0] = options->data_path ? options->data_path : r->record.data_path;
    r->options.operand_count = 1;
    r->options.test_path = r->record.test_path;
    r->options.metric = metric_of(r);
    r->options.seed = r->record.seed;
    r->options.study = arena_strdup(&r->arena, path);
    r->options.fresh = false;
    r->options.reading = (struct dataset_options){0};
    choose_model(r);
    enum status status = read_reading(r, err);
    return status == OK ? check_data(r, path, err) : error_prefix(err, "%s", path);
}

enum status study_reopen(const char *name, const struct options *options, struct progress *progress,
                         struct reopened *r, struct error *err)
{
    struct text path = {0};
    *r = (struct reopened){.study = {.lock = -1}};
    arena_init(&r->arena, NULL);
    enum status status = study_file_named(name, &path, err);
    if (status == OK)
        status = read_record(r, text_string(&path), err);
    if (status == OK)
        status = restore_options(r, options, text_string(&path), err);
    if (status == OK)
        status = study_open(&r->study, &r->options, progress, true, err);
    text_release(&path);
    return status;
}

void reopened_close(struct reopened *reopened)
{
    if (reopened->study.options)
        study_close(&reopened->study);
    arena_release(&reopened->arena);
}

/* ---- A result ------------------------------------------------------------------------------- */

/* "technique" of the recommendation in the report of the study; NULL when it recommends none. */
static enum status recommended(struct reopened *r, const struct technique **technique,
                               struct error *err)
{
    const char *path = r->study.path;
    json_t *report = json_loads(r->record.recommendation ? r->record.recommendation : "", 0, NULL);
    json_t *found = json_object_get(json_object_get(report, "recommendation"), "technique");
    const char *name = json_string_value(found);
    enum status status = OK;
    *technique = name ? technique_find(name) : NULL;
    if (!report)
        status = error_set(err, USAGE,
                           "%s: the study has no recommendation yet; run the same `advisor "
                           "recommend` to its end, or name a technique",
                           path);
    else if (!name)
        status = error_set(err, USAGE,
                           "%s: the study recommends no technique, since none beats the most "
                           "frequent answer; name one to take it all the same",
                           path);
    else if (!*technique)
        status = error_set(err, USAGE,
                           "%s: the study recommends %s, which this program does not have; use the "
                           "one that made it",
                           path, name);
    json_decref(report);
    return status;
}

static enum status not_measured(const struct reopened *r, const struct technique *technique,
                                struct error *err)
{
    struct text names = {0};
    const struct technique *other;
    for (size_t i = 0; (other = technique_at(i)); i++)
        if (best_trial(other, r->trials, r->trial_count))
            text_printf(&names, "%s%s", names.length ? ", " : "", other->name);
    enum status status = error_set(
        err, USAGE, "%s: the study has not measured %s; expected one of: %s", r->study.path,
        technique->name, names.length ? text_string(&names) : "none, it has measured nothing");
    text_release(&names);
    return status;
}

enum status reopened_result(struct reopened *r, const struct technique *technique,
                            struct result *result, struct error *err)
{
    enum status status = OK;
    *result = (struct result){0};
    if (!technique)
        status = recommended(r, &technique, err);
    if (status != OK)
        return status;
    result->trial = best_trial(technique, r->trials, r->trial_count);
    if (!result->trial)
        return not_measured(r, technique, err);
    status = setting_parse(technique, result->trial->key.setting, &result->setting, &r->arena, err);
    if (status == OK)
        status = trial_artifact_load(r->study.store, result->trial->id, &r->arena,
                                     &result->artifact, &result->artifact_length, err);
    return status;
}
