/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "base/clock.h"
#include "evaluators/store_private.h"

/* ---- Predictions ---------------------------------------------------------------------------- */

static const struct column PREDICTION_COLUMNS[] = {
    COLUMN(COLUMN_INTEGER, prediction, example),
    COLUMN(COLUMN_LABEL, prediction, truth),
    COLUMN(COLUMN_LABEL, prediction, label),
    COLUMN(COLUMN_BOOL, prediction, correct),
    COLUMN(COLUMN_REAL, prediction, probability),
    COLUMN(COLUMN_REAL, prediction, nll),
    COLUMN(COLUMN_TEXT, prediction, text),
    {"nll IS NOT NULL", COLUMN_BOOL, offsetof(struct prediction, scored)},
};

enum {
    PROBABILITY = 4, /* places in PREDICTION_COLUMNS */
    NLL = 5,
    PREDICTION_READ = sizeof PREDICTION_COLUMNS / sizeof *PREDICTION_COLUMNS,
    PREDICTION_WRITTEN = PREDICTION_READ - 1
};

static const struct table PREDICTION = {sizeof(struct prediction), PREDICTION_COLUMNS,
                                        PREDICTION_READ};

static const char *side_name(enum side side)
{
    return side == SIDE_DEV ? "dev" : "test";
}

/* A prediction without scores may hold anything in their place. */
static enum status check_scores(const struct store *store, int64_t id, struct prediction *copy,
                                struct error *err)
{
    if (!copy->scored)
        copy->probability = copy->nll = 0;
    if (isfinite(copy->probability) && isfinite(copy->nll))
        return OK;
    return error_set(err, FAILED,
                     "%s: trial %lld: the probability or log-likelihood for example %lld is not a "
                     "finite number; such a trial is to be recorded as failed",
                     store->path, (long long)id, (long long)copy->example);
}

static enum status insert_one(struct store *store, struct query *query, int64_t id, enum side side,
                              const struct prediction *prediction, struct error *err)
{
    struct sql_value values[PREDICTION_WRITTEN + 2];
    struct prediction copy = *prediction;
    bool row;
    enum status status = check_scores(store, id, &copy, err);
    if (!status)
        status = columns_values(PREDICTION_COLUMNS, PREDICTION_WRITTEN, &copy, values, err);
    if (status)
        return status;
    if (!copy.scored)
        values[PROBABILITY] = values[NLL] = sql_null();
    values[PREDICTION_WRITTEN] = sql_integer(id);
    values[PREDICTION_WRITTEN + 1] = sql_text(side_name(side));
    status = query_bind(query, values, PREDICTION_WRITTEN + 2, err);
    return status ? status : query_next(query, &row, err);
}

enum status predictions_insert(struct store *store, int64_t id, enum side side,
                               const struct prediction *predictions, size_t count,
                               struct error *err)
{
    struct query query = {0};
    enum status status =
        query_prepare(&query, store->sql,
                      "INSERT INTO prediction (example, truth, label, correct, probability, nll, "
                      "text, trial_id, split) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                      err);
    for (size_t i = 0; !status && i < count; i++)
        status = insert_one(store, &query, id, side, &predictions[i], err);
    query_release(&query);
    return status;
}

enum status trial_predictions_get(struct store *store, int64_t id, enum side side,
                                  struct arena *arena, struct prediction **predictions,
                                  size_t *count, struct error *err)
{
    struct sql_value values[] = {sql_integer(id), sql_text(side_name(side))};
    void *records;
    enum status status = table_read(store->sql, &PREDICTION,
                                    "prediction WHERE trial_id = ?1 AND split = ?2 "
                                    "ORDER BY example",
                                    values, 2, arena, &records, count, err);
    *predictions = records;
    return status;
}

/* ---- Loss rows ------------------------------------------------------------------------------ */

static const struct column LOSS_COLUMNS[] = {
    COLUMN(COLUMN_INTEGER, loss_row, step),   COLUMN(COLUMN_INTEGER, loss_row, examples_seen),
    COLUMN(COLUMN_INTEGER, loss_row, tokens), COLUMN(COLUMN_REAL, loss_row, loss),
    COLUMN(COLUMN_REAL, loss_row, rate),
};

enum { LOSS_COUNT = sizeof LOSS_COLUMNS / sizeof *LOSS_COLUMNS };

static const struct table LOSS = {sizeof(struct loss_row), LOSS_COLUMNS, LOSS_COUNT};

static enum status insert_losses(struct store *store, int64_t id, const struct loss_row *rows,
                                 size_t count, struct error *err)
{
    struct query query = {0};
    enum status status =
        query_prepare(&query, store->sql,
                      "INSERT OR REPLACE INTO loss_log (step, examples_seen, tokens, loss, rate, "
                      "trial_id) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                      err);
    for (size_t i = 0; !status && i < count; i++) {
        struct sql_value values[LOSS_COUNT + 1];
        bool row;
        status = columns_values(LOSS_COLUMNS, LOSS_COUNT, &rows[i], values, err);
        if (status)
            error_prefix(err, "%s: trial %lld, step %lld", store->path, (long long)id,
                         (long long)rows[i].step);
        values[LOSS_COUNT] = sql_integer(id);
        if (!status)
            status = query_bind(&query, values, LOSS_COUNT + 1, err);
        if (!status)
            status = query_next(&query, &row, err);
    }
    query_release(&query);
    return status;
}

/* Inside a transaction: whoever writes for a trial shows that it lives. */
static enum status beat(struct store *store, int64_t id, struct error *err)
{
    struct sql_value values[] = {sql_integer(id), sql_integer(clock_unix_ms())};
    enum status status = trial_own(store, id, err);
    if (!status)
        status = sql_run(store->sql, "UPDATE trial SET heartbeat_ms = ?2 WHERE id = ?1", values, 2,
                         NULL, err);
    return status;
}

enum status trial_loss_add(struct store *store, int64_t id, const struct loss_row *rows,
                           size_t count, struct error *err)
{
    enum status status = store_begin(store, err);
    if (status)
        return status;
    status = beat(store, id, err);
    if (!status)
        status = insert_losses(store, id, rows, count, err);
    return sql_end(store->sql, status, err);
}

enum status trial_loss_get(struct store *store, int64_t id, struct arena *arena,
                           struct loss_row **rows, size_t *count, struct error *err)
{
    struct sql_value value = sql_integer(id);
    void *records;
    enum status status = table_read(store->sql, &LOSS, "loss_log WHERE trial_id = ?1 ORDER BY step",
                                    &value, 1, arena, &records, count, err);
    *rows = records;
    return status;
}

/* ---- Checkpoint and artifact ---------------------------------------------------------------- */

enum status trial_checkpoint_save(struct store *store, int64_t id, int64_t step, const void *bytes,
                                  size_t length, struct error *err)
{
    enum status status = store_begin(store, err);
    if (status)
        return status;
    struct sql_value values[] = {sql_integer(id), sql_integer(step), sql_blob(bytes, length)};
    status = beat(store, id, err);
    if (!status)
        status = sql_run(store->sql,
                         "INSERT OR REPLACE INTO checkpoint (trial_id, step, state) "
                         "VALUES (?1, ?2, ?3)",
                         values, 3, NULL, err);
    return sql_end(store->sql, status, err);
}

/* First row of a query for one trial: a number, then a block of bytes copied into the arena. */
static enum status read_block(struct store *store, const char *text, int64_t id,
                              struct arena *arena, int64_t *number, const void **bytes,
                              size_t *length, struct error *err)
{
    struct query query = {0};
    struct sql_value value = sql_integer(id);
    bool row = false;
    *bytes = NULL;
    *length = 0;
    *number = 0;
    enum status status = query_prepare(&query, store->sql, text, err);
    if (!status)
        status = query_bind(&query, &value, 1, err);
    if (!status)
        status = query_next(&query, &row, err);
    if (!status && row) {
        struct sql_value block = query_value(&query, 1);
        *number = query_value(&query, 0).integer;
        *bytes = arena_strndup(arena, block.length ? block.bytes : "", block.length);
        *length = block.length;
    }
    query_release(&query);
    return status;
}

enum status trial_checkpoint_load(struct store *store, int64_t id, struct arena *arena,
                                  int64_t *step, const void **bytes, size_t *length,
                                  struct error *err)
{
    return read_block(store, "SELECT step, state FROM checkpoint WHERE trial_id = ?1", id, arena,
                      step, bytes, length, err);
}

/* Inside a transaction: a trial that is ours, or done. */
static enum status may_learn(struct store *store, int64_t id, struct error *err)
{
    enum trial_status now;
    enum status status = trial_status_of(store, id, &now, err);
    if (status || now == TRIAL_DONE)
        return status;
    return trial_own(store, id, err);
}

enum status trial_artifact_save(struct store *store, int64_t id, const void *bytes, size_t length,
                                struct error *err)
{
    enum status status = store_begin(store, err);
    if (status)
        return status;
    struct sql_value values[] = {sql_integer(id), sql_blob(bytes, length)};
    status = may_learn(store, id, err);
    if (!status)
        status = sql_run(store->sql,
                         "INSERT OR REPLACE INTO artifact (trial_id, parameters) VALUES (?1, ?2)",
                         values, 2, NULL, err);
    return sql_end(store->sql, status, err);
}

enum status trial_artifact_load(struct store *store, int64_t id, struct arena *arena,
                                const void **bytes, size_t *length, struct error *err)
{
    int64_t number;
    return read_block(store, "SELECT trial_id, parameters FROM artifact WHERE trial_id = ?1", id,
                      arena, &number, bytes, length, err);
}
