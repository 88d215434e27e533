/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "evaluators/store_private.h"

/* ---- The study row -------------------------------------------------------------------------- */

static const struct column STUDY_COLUMNS[] = {
    COLUMN(COLUMN_TEXT, study_record, name),
    COLUMN(COLUMN_INTEGER, study_record, created_ms),
    COLUMN(COLUMN_TEXT, study_record, model_name),
    COLUMN(COLUMN_TEXT, study_record, model_sha256),
    COLUMN(COLUMN_TEXT, study_record, model_facts),
    COLUMN(COLUMN_TEXT, study_record, data_path),
    COLUMN(COLUMN_TEXT, study_record, data_sha256),
    COLUMN(COLUMN_TEXT, study_record, test_path),
    COLUMN(COLUMN_TEXT, study_record, test_sha256),
    COLUMN(COLUMN_TEXT, study_record, constraints),
    COLUMN(COLUMN_SEED, study_record, seed),
    COLUMN(COLUMN_TEXT, study_record, profile),
    COLUMN(COLUMN_TEXT, study_record, program_version),
    COLUMN(COLUMN_BOOL, study_record, done),
    COLUMN(COLUMN_TEXT, study_record, recommendation),
    COLUMN(COLUMN_REAL, study_record, spent_seconds),
};

enum {
    STUDY_READ = sizeof STUDY_COLUMNS / sizeof *STUDY_COLUMNS,
    STUDY_WRITTEN = STUDY_READ - 1 /* the seconds spent are only added to */
};

static const struct table STUDY = {sizeof(struct study_record), STUDY_COLUMNS, STUDY_READ};

static enum status check_texts(struct store *store, const struct study_record *study,
                               struct error *err)
{
    enum status status = store_check_json(store, "model_facts", study->model_facts, err);
    if (!status)
        status = store_check_json(store, "constraints", study->constraints, err);
    if (!status)
        status = store_check_json(store, "profile", study->profile, err);
    if (!status)
        status = store_check_json(store, "recommendation", study->recommendation, err);
    return status;
}

/* Inside a transaction. The first row of an empty table gets id 1, the only one allowed. */
static enum status put_row(struct store *store, const struct sql_value *values, struct error *err)
{
    struct text statement = {0};
    int64_t changes = 0;
    text_add(&statement, "UPDATE study SET ");
    columns_settings(STUDY_COLUMNS, STUDY_WRITTEN, 1, &statement);
    enum status status =
        sql_run(store->sql, text_string(&statement), values, STUDY_WRITTEN, &changes, err);
    if (!status && changes == 0) {
        text_clear(&statement);
        table_insertion(&STUDY, "study", STUDY_WRITTEN, &statement);
        status = sql_run(store->sql, text_string(&statement), values, STUDY_WRITTEN, NULL, err);
    }
    text_release(&statement);
    return status;
}

enum status store_study_put(struct store *store, const struct study_record *study,
                            struct error *err)
{
    struct study_record dated = *study;
    if (dated.created_ms == 0)
        dated.created_ms = clock_unix_ms();
    struct sql_value values[STUDY_WRITTEN];
    enum status status = check_texts(store, study, err);
    if (!status)
        status = columns_values(STUDY_COLUMNS, STUDY_WRITTEN, &dated, values, err);
    if (status)
        return status;
    status = store_begin(store, err);
    return status ? status : sql_end(store->sql, put_row(store, values, err), err);
}

enum status store_study_get(struct store *store, struct arena *arena, struct study_record *study,
                            bool *found, struct error *err)
{
    void *records;
    size_t count;
    *study = (struct study_record){0};
    *found = false;
    enum status status =
        table_read(store->sql, &STUDY, "study", NULL, 0, arena, &records, &count, err);
    if (!status && count > 0) {
        *study = *(struct study_record *)records;
        *found = true;
    }
    return status;
}

static enum status read_spent(struct store *store, double *total, struct error *err)
{
    struct query query = {0};
    bool row = false;
    enum status status = query_prepare(&query, store->sql, "SELECT spent_seconds FROM study", err);
    if (!status)
        status = query_next(&query, &row, err);
    if (!status && !row)
        status = error_set(err, FAILED, "%s: there is no study in the file yet", store->path);
    if (!status)
        *total = query_value(&query, 0).real;
    query_release(&query);
    return status;
}

enum status store_add_spent(struct store *store, double seconds, double *total, struct error *err)
{
    if (!(seconds >= 0) || !isfinite(seconds))
        return error_set(err, FAILED, "%s: the time spent must be a finite number of seconds >= 0",
                         store->path);
    enum status status = store_begin(store, err);
    if (status)
        return status;
    struct sql_value value = sql_real(seconds);
    status = sql_run(store->sql, "UPDATE study SET spent_seconds = spent_seconds + ?1", &value, 1,
                     NULL, err);
    double sum = 0;
    if (!status)
        status = read_spent(store, &sum, err);
    status = sql_end(store->sql, status, err);
    if (!status && total)
        *total = sum;
    return status;
}

/* ---- Log ------------------------------------------------------------------------------------ */

static const struct column EVENT_COLUMNS[] = {
    COLUMN(COLUMN_INTEGER, event, time_ms),
    COLUMN(COLUMN_TEXT, event, kind),
    COLUMN(COLUMN_TEXT, event, text),
};

static const struct table EVENT = {sizeof(struct event), EVENT_COLUMNS,
                                   sizeof EVENT_COLUMNS / sizeof *EVENT_COLUMNS};

enum status store_log_row(struct store *store, const char *kind, const char *text,
                          struct error *err)
{
    struct sql_value values[] = {sql_integer(clock_unix_ms()), sql_text(kind), sql_text(text)};
    return sql_run(store->sql, "INSERT INTO event (time_ms, kind, text) VALUES (?1, ?2, ?3)",
                   values, 3, NULL, err);
}

enum status store_log(struct store *store, const char *kind, const char *text, struct error *err)
{
    enum status status = store_begin(store, err);
    if (status)
        return status;
    return sql_end(store->sql, store_log_row(store, kind, text, err), err);
}

enum status store_events(struct store *store, struct arena *arena, struct event **events,
                         size_t *count, struct error *err)
{
    void *records;
    enum status status =
        table_read(store->sql, &EVENT, "event ORDER BY id", NULL, 0, arena, &records, count, err);
    *events = records;
    return status;
}

/* ---- Check ---------------------------------------------------------------------------------- */

/* Queries that give one line for each thing that is wrong. */
static const char *const CHECKS[] = {
    "SELECT integrity_check FROM pragma_integrity_check WHERE integrity_check <> 'ok'",

    "SELECT printf('row %d of table %s names a row of table %s that is not there', rowid, "
    "\"table\", parent) FROM pragma_foreign_key_check",

    "SELECT printf('trial %d is done with %d and %d predictions (development, test), stored are "
    "%d and %d', id, dev_predictions, test_predictions, dev, test) FROM (SELECT trial.*, "
    "(SELECT count(*) FROM prediction WHERE trial_id = id AND split = 'dev') AS dev, "
    "(SELECT count(*) FROM prediction WHERE trial_id = id AND split = 'test') AS test FROM trial) "
    "WHERE status = 'done' AND (dev <> dev_predictions OR test <> test_predictions)",

    "SELECT printf('trial %d is %s, yet has predictions', id, status) FROM trial "
    "WHERE status <> 'done' AND (dev_predictions > 0 OR test_predictions > 0 OR EXISTS "
    "(SELECT * FROM prediction WHERE trial_id = id))",

    "SELECT printf('trial %d is %s, yet has a result', id, status) FROM trial "
    "WHERE status <> 'done' AND (metric IS NOT NULL OR test_metric IS NOT NULL "
    "OR finished_ms IS NOT NULL)",

    "SELECT printf('trial %d is done without a time', id) FROM trial "
    "WHERE status = 'done' AND (finished_ms IS NULL OR started_ms IS NULL)",

    "SELECT printf('trial %d is running, yet nobody is named who runs it', id) FROM trial "
    "WHERE status = 'running' AND (host IS NULL OR pid IS NULL OR heartbeat_ms IS NULL)",

    "SELECT printf('trial %d: the %s of %g is outside its interval %g to %g', id, metric_name, "
    "metric, low, high) FROM trial WHERE metric < low OR metric > high",

    "SELECT printf('trial %d is %s, yet has a checkpoint', id, status) FROM trial "
    "JOIN checkpoint ON trial_id = id WHERE status NOT IN ('running', 'interrupted')",

    "SELECT printf('the setting of trial %d is not valid JSON', id) FROM trial "
    "WHERE NOT json_valid(setting)",

    "SELECT 'a JSON text of the study is not valid' FROM study WHERE NOT (json_valid(model_facts) "
    "AND json_valid(constraints) AND json_valid(profile) "
    "AND (recommendation IS NULL OR json_valid(recommendation)))",

    "SELECT printf('trial %d, %s, example %d: answer %d and truth %d, yet correct is %d', "
    "trial_id, split, example, label, truth, correct) FROM prediction "
    "WHERE label IS NOT NULL AND truth IS NOT NULL AND correct <> (label = truth)",
};

static enum status run_check(struct store *store, const char *text, size_t *count,
                             struct text *findings, struct error *err)
{
    struct query query = {0};
    bool row = false;
    enum status status = query_prepare(&query, store->sql, text, err);
    while (!status && (status = query_next(&query, &row, err)) == OK && row) {
        struct sql_value line = query_value(&query, 0);
        text_append(findings, line.bytes, line.length);
        text_add(findings, "\n");
        (*count)++;
    }
    query_release(&query);
    return status;
}

enum status store_check(struct store *store, struct text *findings, struct error *err)
{
    size_t count = 0;
    for (size_t i = 0; i < sizeof CHECKS / sizeof *CHECKS; i++) {
        enum status status = run_check(store, CHECKS[i], &count, findings, err);
        if (status)
            return status;
    }
    if (count == 0)
        return OK;
    return error_set(err, FAILED, "%s: the check of the file found %zu fault%s", store->path, count,
                     count == 1 ? "" : "s");
}
