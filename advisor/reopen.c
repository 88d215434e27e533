/* SPDX-License-Identifier: Apache-2.0 */
#include "advisor/reopen.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "advisor/study_file.h"
#include "datasets/columns.h"

/* ---- How the data are read ------------------------------------------------------------------ */

static void set_text(json_t *object, const char *key, const char *text)
{
    if (text)
        json_object_set_new(object, key, json_string(text));
}

void study_reading(const struct options *options, struct text *out)
{
    const struct dataset_options *o = &options->reading;
    const char delimiter[] = {o->delimiter, '\0'};
    json_t *object = json_object(), *names = json_array();
    set_text(object, "input", o->input);
    set_text(object, "label", o->target);
    set_text(object, "rationale", o->rationale);
    set_text(object, "task", o->task ? task_name(o->task) : NULL);
    set_text(object, "delimiter", o->delimiter ? delimiter : NULL);
    set_text(object, "metric", options->metric ? options->metric->name : NULL);
    json_object_set_new(object, "skip_bad_rows", json_boolean(o->on_bad_row == BAD_ROW_SKIP));
    for (size_t i = 0; i < o->label_map_count; i++)
        json_array_append_new(names, json_pack("[s, s]", o->label_map[i].from, o->label_map[i].to));
    json_object_set_new(object, "label_names", names);
    char *dump = json_dumps(object, JSON_COMPACT);
    text_add(out, dump ? dump : "{}");
    free(dump);
    json_decref(object);
}

static const char *take_text(const json_t *object, const char *key, struct arena *arena)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? arena_strdup(arena, text) : NULL;
}

static void take_names(const json_t *names, struct arena *arena, struct dataset_options *o)
{
    size_t count = json_array_size(names);
    struct label_name *map = count ? arena_alloc(arena, count * sizeof *map) : NULL;
    for (size_t i = 0; i < count; i++) {
        const json_t *name = json_array_get(names, i);
        const char *from = json_string_value(json_array_get(name, 0));
        const char *to = json_string_value(json_array_get(name, 1));
        map[i] = (struct label_name){arena_strdup(arena, from ? from : ""),
                                     arena_strdup(arena, to ? to : "")};
    }
    o->label_map = map;
    o->label_map_count = count;
}

/* Studies of earlier versions do not say; their data were read by the defaults, or are refused
 * later because they differ. */
static void take_reading(const char *profile, struct arena *arena, struct options *options)
{
    struct dataset_options *o = &options->reading;
    json_t *root = json_loads(profile ? profile : "{}", 0, NULL);
    const json_t *reading = json_object_get(root, "reading");
    const char *task = json_string_value(json_object_get(reading, "task"));
    const char *delimiter = json_string_value(json_object_get(reading, "delimiter"));
    const char *metric = json_string_value(json_object_get(reading, "metric"));
    *o = (struct dataset_options){.input = take_text(reading, "input", arena),
                                  .target = take_text(reading, "label", arena),
                                  .rationale = take_text(reading, "rationale", arena),
                                  .delimiter = delimiter ? *delimiter : '\0'};
    if (task)
        task_from_name(task, &o->task);
    if (json_is_true(json_object_get(reading, "skip_bad_rows")))
        o->on_bad_row = BAD_ROW_SKIP;
    take_names(json_object_get(reading, "label_names"), arena, o);
    options->metric = metric ? metric_find(metric) : NULL;
    json_decref(root);
}

/* ---- Opening -------------------------------------------------------------------------------- */

static enum status open_file(struct reopened *r, const char *name, struct error *err)
{
    struct text path = {0};
    bool found = false;
    enum status status = study_file_named(name, &path, err);
    if (status == OK)
        status = store_open(text_string(&path), STORE_READ, &r->store, err);
    if (status == OK)
        status = store_study_get(r->store, &r->arena, &r->record, &found, err);
    if (status == OK && !found)
        status = error_set(err, USAGE, "%s: there is no study in this file", text_string(&path));
    text_release(&path);
    return status;
}

/* The options that the study was made with, as far as they decide what is read. */
static void take_options(struct reopened *r, const struct study_record *record,
                         const struct options *asked)
{
    struct options *o = &r->options;
    *o = *asked;
    take_reading(record->profile, &r->arena, o);
    o->operands[0] = asked->data_path ? asked->data_path : record->data_path;
    o->operands[1] = NULL;
    o->operand_count = 1;
    o->test_path = record->test_path && asked->test_path ? asked->test_path : record->test_path;
    o->seed = record->seed;
    o->study = NULL;
}

static enum status another(const char *what, const char *option, const char *path,
                           const char *found, const char *expected, struct error *err)
{
    return error_set(err, *what == 'm' ? BAD_MODEL : BAD_DATA,
                     "%s: this is not the %s of the study (SHA-256 %.12s..., %.12s... expected); "
                     "name the right file with %s",
                     path, what, found, expected, option);
}

static enum status check_same(const struct reopened *r, const struct study_record *record,
                              struct error *err)
{
    const struct study *study = &r->study;
    if (strcmp(study->model->sha256, record->model_sha256) != 0)
        return another("model", "--model", study->model->path, study->model->sha256,
                       record->model_sha256, err);
    if (strcmp(study->data.sha256, record->data_sha256) != 0)
        return another("data", "--data", study->data.path, study->data.sha256, record->data_sha256,
                       err);
    if (record->test_sha256 && strcmp(study->test_data.sha256, record->test_sha256) != 0)
        return another("test data", "--test", study->test_data.path, study->test_data.sha256,
                       record->test_sha256, err);
    return OK;
}

enum status study_reopen(struct reopened *r, const char *name, const struct options *options,
                         struct error *err)
{
    *r = (struct reopened){.study = {.lock = -1}};
    arena_init(&r->arena, NULL);
    enum status status = open_file(r, name, err);
    if (status == OK)
        take_options(r, &r->record, options);
    return status;
}

enum status study_reopen_load(struct reopened *r, struct progress *progress, struct error *err)
{
    enum status status = study_open(&r->study, &r->options, progress, false, err);
    return status == OK ? check_same(r, &r->record, err) : status;
}

void study_reopen_close(struct reopened *reopened)
{
    study_close(&reopened->study);
    store_close(reopened->store);
    arena_release(&reopened->arena);
    *reopened = (struct reopened){.study = {.lock = -1}};
}

const char *study_recommended(const struct reopened *reopened)
{
    const char *text = reopened->record.recommendation;
    json_t *root = json_loads(text ? text : "{}", 0, NULL);
    const json_t *answer = json_object_get(root, "recommendation");
    const char *name = json_string_value(json_object_get(answer, "technique"));
    const struct technique *technique = name ? technique_find(name) : NULL;
    json_decref(root);
    return technique ? technique->name : NULL;
}
