/* SPDX-License-Identifier: Apache-2.0 */
#include "advisor/study_file.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "advisor/allocate.h"
#include "advisor/reading.h"
#include "base/lock.h"
#include "reports/writer.h"

/* ---- Which study it is ---------------------------------------------------------------------- */

/* A hash of what makes it this study and no other. */
static enum status identify(struct study *study, struct error *err)
{
    const struct dataset *data = &study->data;
    struct text text = {0};
    text_printf(&text, "%s %s %s %s %s %s %s %" PRIu64 " %s %d %zu", study->model->sha256,
                data->sha256, study->test_data.count ? study->test_data.sha256 : "-",
                task_name(data->task), data->input_column, data->target_column,
                data->rationale_column ? data->rationale_column : "-", study->options->seed,
                study->evaluator.metric->name, (int)study->options->reading.on_bad_row,
                data->count);
    for (size_t i = 0; i < data->label_count; i++)
        text_printf(&text, " %s", data->labels[i].name);
    enum status status = hash_bytes(text.bytes, text.length, study->identity, err);
    text_release(&text);
    return status;
}

/* What the profile of a study record holds. */
static void write_profile(struct study *study)
{
    struct text text = {0};
    const char *reading = reading_json(&study->options->reading, &study->arena);
    text_printf(&text,
                "{\"dev_used\":%zu,\"examples\":%zu,\"identity\":\"%s\",\"labels\":%zu,"
                "\"parameters\":%zu,\"reading\":%s,\"seconds_per_answer\":%.6g,"
                "\"seconds_per_reading\":%.6g,\"task\":\"%s\","
                "\"test_used\":%zu,\"tokens_written\":%.6g}",
                study->evaluator.dev_count, study->data.count, study->identity,
                study->data.label_count, study->model->n_parameters, reading,
                study->seconds_per_answer, study->seconds_per_reading, task_name(study->data.task),
                study->evaluator.test_count, study->tokens_written);
    study->record.profile = arena_strdup(&study->arena, text_string(&text));
    text_release(&text);
}

/* How the study of the file differs from the one asked for. */
static const char *difference(const struct study *study)
{
    const struct study_record *record = &study->record;
    const char *test = study->test_data.count ? study->test_data.sha256 : "-";
    if (strcmp(record->data_sha256, study->data.sha256) != 0)
        return "data";
    if (strcmp(record->model_sha256, study->model->sha256) != 0)
        return "model";
    if (strcmp(record->test_sha256 ? record->test_sha256 : "-", test) != 0)
        return "test file";
    return record->seed != study->options->seed ? "seed" : "task, columns, labels or metric";
}

/* A number of the profile, which this file writes without spaces. */
static bool read_number(const char *profile, const char *key, double *value)
{
    char pattern[40];
    snprintf(pattern, sizeof pattern, "\"%s\":", key);
    const char *at = strstr(profile, pattern);
    char *end = NULL;
    if (at)
        *value = strtod(at + strlen(pattern), &end);
    return at && end > at + strlen(pattern) && *value >= 0;
}

/* Reads the profile back and checks that it is the study asked for. */
static enum status read_profile(struct study *study, struct error *err)
{
    const struct study_record *record = &study->record;
    double dev = 0, test = 0;
    char identity[HASH_HEX + 20];
    snprintf(identity, sizeof identity, "\"identity\":\"%s\"", study->identity);
    if (!strstr(record->profile, identity))
        return error_set(err, USAGE,
                         "%s is the study of %s with the model %s, and differs in its %s from what "
                         "is asked for now; choose another --study, or --fresh to begin this one "
                         "anew",
                         study->path, record->data_path, record->model_name, difference(study));
    if (!read_number(record->profile, "dev_used", &dev) ||
        !read_number(record->profile, "test_used", &test) ||
        !read_number(record->profile, "seconds_per_answer", &study->seconds_per_answer) ||
        !read_number(record->profile, "seconds_per_reading", &study->seconds_per_reading) ||
        !read_number(record->profile, "tokens_written", &study->tokens_written) ||
        dev > (double)study->split.dev_count || test > (double)study->split.test_count)
        return error_set(err, FAILED,
                         "%s: its profile is not one of this version (%s); begin the study anew "
                         "with --fresh",
                         study->path, record->profile);
    study->evaluator.dev_count = (size_t)dev;
    study->evaluator.test_count = (size_t)test;
    return OK;
}

/* ---- Where it lives ------------------------------------------------------------------------- */

/* "tickets" from "/x/Tickets v2.csv": letters and digits of the base name, at most 24. */
static void slug(const char *path, char out[32])
{
    const char *base = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    size_t n = 0;
    for (const char *c = base; *c && *c != '.' && n < 24; c++)
        if (isalnum((unsigned char)*c))
            out[n++] = (char)tolower((unsigned char)*c);
        else if (n && out[n - 1] != '-')
            out[n++] = '-';
    while (n && out[n - 1] == '-')
        n--;
    out[n] = '\0';
    if (!n)
        memcpy(out, "data", sizeof "data");
}

/* Where studies live: ${XDG_DATA_HOME:-~/.local/share}/advisor/studies. */
enum status study_file_folder(struct text *out, struct error *err)
{
    const char *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    if (data && *data == '/')
        text_printf(out, "%s/advisor/studies/", data);
    else if (home && *home)
        text_printf(out, "%s/.local/share/advisor/studies/", home);
    else
        return error_set(err, USAGE,
                         "neither XDG_DATA_HOME nor HOME is set, so there is no place "
                         "for the study; give one with --study FILE");
    return OK;
}

static bool is_path(const char *given)
{
    return strchr(given, '/') || strchr(given, '.');
}

enum status study_file_named(const char *given, struct text *path, struct error *err)
{
    enum status status = OK;
    if (is_path(given)) {
        text_add(path, given);
        return OK;
    }
    status = study_file_folder(path, err);
    if (status == OK)
        text_printf(path, "%s.db", given);
    return status;
}

/* Sets name and path from --study (a file, or a name in the user's store) or from the hash. */
static enum status locate(struct study *study, struct error *err)
{
    const char *given = study->options->study;
    struct text path = {0};
    char name[80], base[32];
    slug(study->data.path, base);
    snprintf(name, sizeof name, "%s-%.8s", base, study->identity);
    enum status status = study_file_named(given ? given : name, &path, err);
    if (status == OK) {
        study->name = arena_strdup(&study->arena, given && !is_path(given) ? given : name);
        study->path = arena_strdup(&study->arena, text_string(&path));
    }
    text_release(&path);
    return status;
}

static enum status cannot_keep(const struct study *study, const char *what, struct error *err)
{
    return error_set(err, FAILED,
                     "%s: the study cannot be kept there: %s: %s; choose another place with "
                     "--study FILE",
                     study->path, what, strerror(errno));
}

/* Creates the folders above the study's path. */
static enum status make_folders(const struct study *study, struct error *err)
{
    char *copy = memory_strdup(study->path);
    enum status status = OK;
    for (char *at = strchr(copy + 1, '/'); at && status == OK; at = strchr(at + 1, '/')) {
        *at = '\0';
        if (mkdir(copy, 0777) && errno != EEXIST)
            status = cannot_keep(study, copy, err);
        *at = '/';
    }
    free(copy);
    return status;
}

/* ---- One process at a time ------------------------------------------------------------------ */

static const char *lock_path(struct study *study)
{
    struct text path = {0};
    text_printf(&path, "%s-lock", study->path);
    const char *copy = arena_strdup(&study->arena, text_string(&path));
    text_release(&path);
    return copy;
}

/* Where there are no locks, the store still keeps two from running one trial. */
static enum status take_lock(struct study *study, struct error *err)
{
    const char *path = lock_path(study);
    switch (lock_try(path, &study->lock)) {
    case LOCK_TAKEN:
        return OK;
    case LOCK_BUSY:
        return error_set(err, FAILED,
                         "%s: another advisor is working on this study; wait until it is done, or "
                         "choose another --study FILE",
                         study->path);
    case LOCK_IMPOSSIBLE:
        break;
    }
    return cannot_keep(study, path, err);
}

void study_file_close(struct study *study)
{
    store_close(study->store);
    study->store = NULL;
    if (study->lock < 0)
        return;
    lock_release(lock_path(study), &study->lock);
}

/* ---- The file itself ------------------------------------------------------------------------ */

static bool has_content(const char *path)
{
    struct stat facts;
    return !stat(path, &facts) && (!S_ISREG(facts.st_mode) || facts.st_size > 0);
}

/* With --fresh a study is replaced, but nothing else: the user's data may have been named by
 * mistake. */
static enum status check_replaceable(const struct study *study, struct error *err)
{
    struct store *store;
    enum status status = store_open(study->path, STORE_EXISTING, &store, err);
    store_close(store);
    return status == OK ? OK : error_prefix(err, "--fresh");
}

static enum status read_file(struct study *study, struct error *err)
{
    bool found;
    enum status status = store_open(study->path, STORE_EXISTING, &study->store, err);
    if (status == OK)
        status = store_study_get(study->store, &study->arena, &study->record, &found, err);
    if (status != OK || !found)
        return status;
    study->spent_before = study->record.spent_seconds;
    study->spent_saved = study->spent_before;
    return read_profile(study, err);
}

enum status study_file_open(struct study *study, struct error *err)
{
    enum status status;
    if ((status = identify(study, err)) || (status = locate(study, err)) ||
        (status = make_folders(study, err)) || (status = take_lock(study, err)) ||
        !has_content(study->path))
        return status;
    return study->options->fresh ? check_replaceable(study, err) : read_file(study, err);
}

enum status study_file_look(struct study *study, struct error *err)
{
    enum status status;
    if ((status = identify(study, err)) || (status = locate(study, err)) ||
        !has_content(study->path))
        return status;
    return study->options->fresh ? OK : read_file(study, err);
}

static void remove_file(const struct study *study)
{
    static const char *const endings[] = {"", "-wal", "-shm", "-journal"};
    struct text name = {0};
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        text_clear(&name);
        text_printf(&name, "%s%s", study->path, endings[i]);
        unlink(text_string(&name));
    }
    text_release(&name);
}

/* What decides how far a study is run. */
static const char *plan_json(struct study *study)
{
    const struct technique *technique;
    struct text text = {0};
    text_printf(&text, "{\"budget_seconds\":%.17g,\"techniques\":[",
                study->options->budget_seconds);
    for (size_t i = 0; (technique = study_technique(study, i)); i++)
        text_printf(&text, "%s\"%s\"", i ? "," : "", technique->name);
    text_add(&text, "]}");
    const char *copy = arena_strdup(&study->arena, text_string(&text));
    text_release(&text);
    return copy;
}

bool study_file_finished(struct study *study)
{
    const struct study_record *record = &study->record;
    return record->done && !strcmp(record->constraints, plan_json(study));
}

enum status study_file_finish(struct study *study, struct error *err)
{
    if (!study->store || study_file_finished(study))
        return OK;
    study->record.constraints = plan_json(study);
    study->record.done = true;
    return store_study_put(study->store, &study->record, err);
}

/* The first `count` of `rows`, which number the examples of `data`. */
static enum status keep_examples(struct study *study, enum side side, const struct dataset *data,
                                 const size_t *rows, size_t count, struct error *err)
{
    struct example_record *records = arena_alloc(&study->arena, count * sizeof *records + 1);
    for (size_t i = 0; i < count; i++) {
        const struct example *example = &data->examples[rows[i]];
        records[i] = (struct example_record){(int64_t)rows[i], (int64_t)example->line,
                                             example->input, example->target};
    }
    return store_examples_put(study->store, side, records, count, err);
}

enum status study_file_remember(struct study *study, const char *json, struct error *err)
{
    const struct split *split = &study->split;
    if (!study->store)
        return OK;
    if (study->record.recommendation && !strcmp(study->record.recommendation, json))
        return OK;
    enum status status =
        keep_examples(study, SIDE_DEV, &study->data, split->dev, study->evaluator.dev_count, err);
    if (status == OK)
        status = keep_examples(study, SIDE_TEST, split->test_from, split->test,
                               study->evaluator.test_count, err);
    study->record.recommendation = arena_strdup(&study->arena, json);
    return status == OK ? store_study_put(study->store, &study->record, err) : status;
}

/* Where the model was, unless it is the default one or has a name that JSON cannot hold. */
static const char *model_facts(struct study *study)
{
    const char *path = study->options->model;
    struct text text = {0};
    struct writer w = writer_begin(&text);
    write_object(&w, NULL);
    if (study->options->model_given && utf8_valid(path, strlen(path), NULL))
        write_string(&w, "path", path);
    write_object_end(&w);
    writer_end(&w);
    const char *copy = arena_strdup(&study->arena, text_string(&text));
    text_release(&text);
    return copy;
}

static void fill_record(struct study *study)
{
    const struct options *options = study->options;
    bool tested = study->test_data.count > 0;
    study->record = (struct study_record){
        .name = study->name,
        .created_ms = study->record.created_ms,
        .model_name = study->model->name,
        .model_sha256 = study->model->sha256,
        .model_facts = model_facts(study),
        .data_path = study->data.path,
        .data_sha256 = study->data.sha256,
        .test_path = tested ? options->test_path : NULL,
        .test_sha256 = tested ? study->test_data.sha256 : NULL,
        .constraints = plan_json(study),
        .seed = options->seed,
        .program_version = ADVISOR_VERSION,
    };
    write_profile(study);
}

enum status study_file_write(struct study *study, struct error *err)
{
    enum status status = OK;
    if (!study->store) {
        if (study->options->fresh)
            remove_file(study);
        status = store_open(study->path, STORE_CREATE, &study->store, err);
    }
    if (status != OK)
        return status;
    fill_record(study);
    return store_study_put(study->store, &study->record, err);
}
