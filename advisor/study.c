/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "advisor/study.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "advisor/interrupt.h"
#include "base/hash.h"
#include "model/tokenizer.h"

enum {
    PROBE_EXAMPLES = 16,
    LEAST_SIDE = 50, /* examples below which an accuracy says little */
    SIDE_SHARE = 20, /* one trial's answers take at most 1/20 of the budget */
    SAVE_SECONDS = 2
};

/* ---- Time ----------------------------------------------------------------------------------- */

double study_spent(const struct study *study)
{
    return study->spent_before + clock_seconds() - study->began;
}

double study_left(const struct study *study)
{
    return study->options->budget_seconds - study_spent(study);
}

enum status study_save_time(struct study *study, bool now, struct error *err)
{
    double unsaved = study_spent(study) - study->spent_saved;
    if (!study->store || (!now && unsaved < SAVE_SECONDS))
        return OK;
    study->spent_saved += unsaved;
    return store_add_spent(study->store, unsaved, NULL, err);
}

/* ---- Data and model ------------------------------------------------------------------------- */

static enum status load_data(struct study *study, struct error *err)
{
    const struct options *options = study->options;
    const char *path = options->operands[options->operand_count - 1];
    enum status status = dataset_load(path, &options->reading, &study->data, err);
    if (status != OK)
        return status;
    if (options->test_path) {
        struct dataset_options reading = options->reading;
        reading.like = &study->data;
        status = dataset_load(options->test_path, &reading, &study->test_data, err);
    }
    if (status != OK)
        return status;
    struct split_options how = {.seed = options->seed};
    return split_make(&study->data, options->test_path ? &study->test_data : NULL, &how,
                      &study->split, err);
}

static enum status load_model(struct study *study, struct error *err)
{
    enum status status = options_check_model(study->options, err);
    if (status == OK)
        status = model_load(&study->model, study->options->model, err);
    if (status == OK)
        study->engine = engine_create(study->model, study->options->threads);
    return status;
}

static enum status count_tokens(struct study *study, struct error *err)
{
    struct tokens ids = {0};
    double sum = 0;
    enum status status = OK;
    for (size_t i = 0; i < study->data.count && status == OK; i++) {
        const char *input = study->data.examples[i].input;
        tokens_clear(&ids);
        status = tokenizer_encode(study->model->tokenizer, input, strlen(input), &ids, NULL, err);
        sum += (double)ids.count;
        if ((double)ids.count > study->tokens_max)
            study->tokens_max = (double)ids.count;
    }
    tokens_release(&ids);
    study->tokens_mean = sum / (double)study->data.count;
    return status;
}

static enum status choose_metric(struct study *study, struct error *err)
{
    const struct metric *metric = study->options->metric;
    bool labels = study->data.label_count > 0;
    if (!metric)
        metric = metric_for_task(study->data.task);
    if (!labels && (metric->input == INPUT_LABELS || metric->input == INPUT_PROBABILITIES))
        return error_set(err, USAGE,
                         "--metric %s needs labels, but the task is %s; expected exact_match or "
                         "numeric_match, or --task classification",
                         metric->name, task_name(study->data.task));
    if (!metric->higher_is_better)
        return error_set(err, USAGE,
                         "--metric %s is lower for better models and cannot rank techniques; "
                         "expected accuracy, balanced_accuracy, macro_f1, matthews, exact_match "
                         "or numeric_match",
                         metric->name);
    study->evaluator = (struct evaluator){.engine = study->engine,
                                          .data = &study->data,
                                          .split = &study->split,
                                          .dev_count = study->split.dev_count,
                                          .test_count = study->split.test_count,
                                          .metric = metric,
                                          .seed = study->options->seed};
    return OK;
}

/* ---- The study file ------------------------------------------------------------------------- */

/* A hash of what makes it this study and no other. */
static enum status identify(const struct study *study, char hex[HASH_HEX], struct error *err)
{
    const struct dataset *data = &study->data;
    struct text text = {0};
    text_printf(&text, "%s %s %s %s %s %s %s %llu %s %d", study->model->sha256, data->sha256,
                study->test_data.count ? study->test_data.sha256 : "-", task_name(data->task),
                data->input_column, data->target_column,
                data->rationale_column ? data->rationale_column : "-",
                (unsigned long long)study->options->seed, study->evaluator.metric->name,
                (int)study->options->reading.on_bad_row);
    enum status status = hash_bytes(text.bytes, text.length, hex, err);
    text_release(&text);
    return status;
}

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
        strcpy(out, "data");
}

/* Creates the folders above `path`. */
static enum status make_folders(const char *path, struct error *err)
{
    char *copy = memory_strdup(path);
    enum status status = OK;
    for (char *at = strchr(copy + 1, '/'); at && status == OK; at = strchr(at + 1, '/')) {
        *at = '\0';
        if (mkdir(copy, 0777) && errno != EEXIST)
            status =
                error_set(err, FAILED, "cannot create the folder %s: %s", copy, strerror(errno));
        *at = '/';
    }
    free(copy);
    return status;
}

/* Where studies live: ${XDG_DATA_HOME:-~/.local/share}/advisor/studies. */
static enum status studies_folder(struct text *out, struct error *err)
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

/* Sets name and path from --study (a file, or a name in the user's store) or from the hash. */
static enum status locate(struct study *study, const char *hex, struct error *err)
{
    const char *given = study->options->study;
    struct text path = {0};
    char name[80], base[32];
    enum status status = OK;
    slug(study->data.path, base);
    snprintf(name, sizeof name, "%s-%.8s", base, hex);
    bool file = given && (strchr(given, '/') || strchr(given, '.'));
    if (file)
        text_add(&path, given);
    else
        status = studies_folder(&path, err);
    if (!file && status == OK)
        text_printf(&path, "%s.db", given ? given : name);
    if (status == OK) {
        study->name = arena_strdup(&study->arena, given && !file ? given : name);
        study->path = arena_strdup(&study->arena, text_string(&path));
        status = make_folders(study->path, err);
    }
    text_release(&path);
    return status;
}

static void remove_study(const char *path)
{
    static const char *const endings[] = {"", "-wal", "-shm", "-journal"};
    struct text name = {0};
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        text_clear(&name);
        text_printf(&name, "%s%s", path, endings[i]);
        unlink(text_string(&name));
    }
    text_release(&name);
}

static enum status check_same(const struct study *study, const char *hex, struct error *err)
{
    const struct study_record *record = &study->record;
    json_t *facts = json_loads(record->profile, 0, NULL);
    const char *identity = json_string_value(json_object_get(facts, "identity"));
    bool same = identity && !strcmp(identity, hex);
    json_decref(facts);
    if (same)
        return OK;
    return error_set(err, USAGE,
                     "%s is the study of %s with model %s and other data, model, columns, metric "
                     "or seed than now; choose another --study, or --fresh to begin it anew",
                     study->path, record->data_path, record->model_name);
}

static const char *profile_json(struct study *study, const char *hex)
{
    json_t *profile =
        json_pack("{s:s, s:s, s:I, s:I}", "identity", hex, "task", task_name(study->data.task),
                  "dev_used", (json_int_t)study->evaluator.dev_count, "test_used",
                  (json_int_t)study->evaluator.test_count);
    char *dump = json_dumps(profile, JSON_COMPACT);
    const char *copy = arena_strdup(&study->arena, dump);
    free(dump);
    json_decref(profile);
    return copy;
}

static void fill_record(struct study *study)
{
    const struct options *options = study->options;
    bool tested = study->test_data.count > 0;
    study->record = (struct study_record){
        .name = study->name,
        .model_name = study->model->name,
        .model_sha256 = study->model->sha256,
        .model_facts = "{}",
        .data_path = study->data.path,
        .data_sha256 = study->data.sha256,
        .test_path = tested ? options->test_path : NULL,
        .test_sha256 = tested ? study->test_data.sha256 : NULL,
        .constraints = "{}",
        .seed = options->seed,
        .program_version = ADVISOR_VERSION,
    };
}

static enum status open_store(struct study *study, struct error *err)
{
    char hex[HASH_HEX];
    bool found;
    enum status status;
    if ((status = identify(study, hex, err)) || (status = locate(study, hex, err)))
        return status;
    if (study->options->fresh)
        remove_study(study->path);
    if ((status = store_open(study->path, STORE_CREATE, &study->store, err)) ||
        (status = store_study_get(study->store, &study->arena, &study->record, &found, err)))
        return status;
    if (found) {
        study->spent_before = study->record.spent_seconds;
        study->spent_saved = study->spent_before;
        return check_same(study, hex, err);
    }
    fill_record(study);
    study->record.profile = profile_json(study, hex);
    return OK;
}

/* ---- Opening -------------------------------------------------------------------------------- */

enum status study_open(struct study *study, const struct options *options,
                       struct progress *progress, bool keep, struct error *err)
{
    *study = (struct study){.options = options, .progress = progress, .began = clock_seconds()};
    arena_init(&study->arena, NULL);
    study->deadline.signal = interrupt_flag();
    enum status status;
    if ((status = load_data(study, err)) || (status = load_model(study, err)) ||
        (status = choose_metric(study, err)) || (status = count_tokens(study, err)))
        return status;
    return keep ? open_store(study, err) : OK;
}

void study_close(struct study *study)
{
    store_close(study->store);
    engine_free(study->engine);
    model_free(study->model);
    split_release(&study->split);
    dataset_release(&study->test_data);
    dataset_release(&study->data);
    arena_release(&study->arena);
    *study = (struct study){0};
}

/* ---- Sizes ---------------------------------------------------------------------------------- */

/* Time the bare model takes for one answer on this data. */
static enum status probe(struct study *study, struct error *err)
{
    const struct split *split = &study->split;
    struct setting setting = setting_default(technique_find("zero_shot"));
    struct material material = {.data = &study->data, .rows = split->train, .count = 1};
    size_t n = split->dev_count < PROBE_EXAMPLES ? split->dev_count : PROBE_EXAMPLES;
    const struct example *examples[PROBE_EXAMPLES];
    struct outcome outcomes[PROBE_EXAMPLES];
    struct adapted *adapted;
    struct arena arena;
    for (size_t i = 0; i < n; i++)
        examples[i] = &study->data.examples[split->dev[i]];
    arena_init(&arena, NULL);
    enum status status = adapted_create(&adapted, study->engine, &setting, &material, err);
    if (status == OK)
        status = adapted_warm(adapted, err);
    double start = clock_seconds();
    if (status == OK)
        status = adapted_answer(adapted, examples, n, outcomes, &arena, &study->deadline, err);
    study->seconds_per_answer = (clock_seconds() - start) / (double)n;
    adapted_release(adapted);
    arena_release(&arena);
    return status;
}

/* How many of `there_are` examples fit into `seconds`, in powers of two so that the same machine
 * decides alike every time. */
static size_t affordable(size_t there_are, double seconds, double seconds_per_answer)
{
    size_t n = LEAST_SIDE;
    if ((double)there_are * seconds_per_answer <= seconds)
        return there_are;
    for (size_t next = 64; next < there_are; next *= 2)
        if ((double)next * seconds_per_answer <= seconds)
            n = next;
    return n < there_are ? n : there_are;
}

static enum status keep_sizes(struct study *study, struct error *err)
{
    char hex[HASH_HEX];
    enum status status = identify(study, hex, err);
    if (status != OK)
        return status;
    study->record.profile = profile_json(study, hex);
    return store_study_put(study->store, &study->record, err);
}

enum status study_size(struct study *study, struct error *err)
{
    enum status status = probe(study, err);
    if (status != OK)
        return status;
    json_t *profile = json_loads(study->record.profile, 0, NULL);
    json_int_t dev = json_integer_value(json_object_get(profile, "dev_used"));
    json_int_t test = json_integer_value(json_object_get(profile, "test_used"));
    json_decref(profile);
    if (study->record.created_ms) { /* resumed */
        study->evaluator.dev_count = (size_t)dev;
        study->evaluator.test_count = (size_t)test;
        return OK;
    }
    double seconds = study->options->budget_seconds / SIDE_SHARE;
    study->evaluator.dev_count =
        affordable(study->split.dev_count, seconds, study->seconds_per_answer);
    study->evaluator.test_count =
        affordable(study->split.test_count, seconds, study->seconds_per_answer);
    return keep_sizes(study, err);
}
