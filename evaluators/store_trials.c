/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/clock.h"
#include "evaluators/store_private.h"

enum {
    SILENCE_MS = 60 * 1000, /* without a sign of life a trial counts as left behind */
    BEAT_SECONDS = 10       /* between two signs of life */
};

/* ---- Columns -------------------------------------------------------------------------------- */

static const struct column KEY_COLUMNS[] = {
    COLUMN(COLUMN_TEXT, trial_key, technique),   COLUMN(COLUMN_TEXT, trial_key, setting),
    COLUMN(COLUMN_INTEGER, trial_key, examples), COLUMN(COLUMN_SEED, trial_key, seed),
    COLUMN(COLUMN_TEXT, trial_key, purpose),
};

enum { KEY_COUNT = sizeof KEY_COLUMNS / sizeof *KEY_COLUMNS };

static const struct table KEY = {sizeof(struct trial_key), KEY_COLUMNS, KEY_COUNT};

/* The results and costs come first: trial_finish writes these. */
static const struct column TRIAL_COLUMNS[] = {
    COLUMN(COLUMN_TEXT, trial_record, metric_name),
    COLUMN(COLUMN_MEASURED, trial_record, metric),
    COLUMN(COLUMN_MEASURED, trial_record, low),
    COLUMN(COLUMN_MEASURED, trial_record, high),
    COLUMN(COLUMN_MEASURED, trial_record, test_metric),
    COLUMN(COLUMN_MEASURED, trial_record, nll),
    COLUMN(COLUMN_MEASURED, trial_record, prequential_nll),
    COLUMN(COLUMN_TEXT, trial_record, metrics),
    COLUMN(COLUMN_MEASURED, trial_record, forgetting),
    COLUMN(COLUMN_MEASURED, trial_record, trial_seconds),
    COLUMN(COLUMN_MEASURED, trial_record, train_seconds),
    COLUMN(COLUMN_MEASURED, trial_record, tokens_per_second_train),
    COLUMN(COLUMN_MEASURED, trial_record, tokens_per_second_forward),
    COLUMN(COLUMN_MEASURED, trial_record, tokens_per_request),
    COLUMN(COLUMN_MEASURED, trial_record, latency_ms),
    COLUMN(COLUMN_MEASURED, trial_record, trainable_parameters),
    COLUMN(COLUMN_MEASURED, trial_record, peak_memory_bytes),
    COLUMN(COLUMN_MEASURED, trial_record, artifact_bytes),
    COLUMN(COLUMN_INTEGER, trial_record, id),
    {"technique", COLUMN_TEXT, offsetof(struct trial_record, key.technique)},
    {"setting", COLUMN_TEXT, offsetof(struct trial_record, key.setting)},
    {"examples", COLUMN_INTEGER, offsetof(struct trial_record, key.examples)},
    {"seed", COLUMN_SEED, offsetof(struct trial_record, key.seed)},
    {"purpose", COLUMN_TEXT, offsetof(struct trial_record, key.purpose)},
    COLUMN(COLUMN_STATUS, trial_record, status),
    COLUMN(COLUMN_TEXT, trial_record, reason),
    COLUMN(COLUMN_TEXT, trial_record, host),
    COLUMN(COLUMN_INTEGER, trial_record, pid),
    COLUMN(COLUMN_INTEGER, trial_record, started_ms),
    COLUMN(COLUMN_INTEGER, trial_record, heartbeat_ms),
    COLUMN(COLUMN_INTEGER, trial_record, finished_ms),
    COLUMN(COLUMN_INTEGER, trial_record, dev_predictions),
    COLUMN(COLUMN_INTEGER, trial_record, test_predictions),
};

enum { RESULT_COUNT = 18 };

static const struct table TRIAL = {sizeof(struct trial_record), TRIAL_COLUMNS,
                                   sizeof TRIAL_COLUMNS / sizeof *TRIAL_COLUMNS};

/* ---- Who runs it ---------------------------------------------------------------------------- */

/* Status and owner of one trial. */
struct holding {
    int64_t id;
    enum trial_status status;
    const char *host;
    const char *boot_id;
    int64_t pid;
    int64_t process_start;
    int64_t heartbeat_ms;
};

static const struct column HOLDING_COLUMNS[] = {
    COLUMN(COLUMN_INTEGER, holding, id),
    COLUMN(COLUMN_STATUS, holding, status),
    COLUMN(COLUMN_TEXT, holding, host),
    COLUMN(COLUMN_TEXT, holding, boot_id),
    COLUMN(COLUMN_INTEGER, holding, pid),
    COLUMN(COLUMN_INTEGER, holding, process_start),
    COLUMN(COLUMN_INTEGER, holding, heartbeat_ms),
};

static const struct table HOLDING = {sizeof(struct holding), HOLDING_COLUMNS,
                                     sizeof HOLDING_COLUMNS / sizeof *HOLDING_COLUMNS};

static enum status missing(const struct store *store, int64_t id, struct error *err)
{
    return error_set(err, FAILED, "%s: there is no trial %lld in the study", store->path,
                     (long long)id);
}

static enum status read_holding(struct store *store, int64_t id, struct arena *arena,
                                struct holding *holding, struct error *err)
{
    struct sql_value value = sql_integer(id);
    void *records;
    size_t count;
    enum status status = table_read(store->sql, &HOLDING, "trial WHERE id = ?1", &value, 1, arena,
                                    &records, &count, err);
    if (!status && count == 0)
        return missing(store, id, err);
    if (!status)
        *holding = *(struct holding *)records;
    return status;
}

static void copy_string(char *out, size_t size, const char *text)
{
    size_t length = strlen(text);
    if (length >= size)
        length = size - 1;
    memcpy(out, text, length);
    out[length] = '\0';
}

static struct process process_of(const struct holding *holding)
{
    struct process process = {.pid = holding->pid, .start = holding->process_start};
    copy_string(process.host, sizeof process.host, holding->host ? holding->host : "");
    copy_string(process.boot_id, sizeof process.boot_id, holding->boot_id ? holding->boot_id : "");
    return process;
}

static bool is_ours(const struct store *store, const struct holding *holding)
{
    struct process owner = process_of(holding);
    return holding->status == TRIAL_RUNNING && strcmp(owner.host, store->self.host) == 0 &&
           strcmp(owner.boot_id, store->self.boot_id) == 0 && owner.pid == store->self.pid &&
           owner.start == store->self.start;
}

/* A process that lives for sure may be silent for long: it may answer a hundred questions without a
 * pause, or be stopped by Ctrl-Z. */
static bool is_left_behind(const struct store *store, const struct holding *holding)
{
    if (holding->status != TRIAL_RUNNING)
        return false;
    struct process owner = process_of(holding);
    enum life life = process_life(&store->self, &owner);
    bool silent = clock_unix_ms() - holding->heartbeat_ms > SILENCE_MS;
    return life == LIFE_GONE || (life == LIFE_UNKNOWN && silent);
}

enum status trial_status_of(struct store *store, int64_t id, enum trial_status *status,
                            struct error *err)
{
    struct arena arena;
    struct holding holding = {0};
    arena_init(&arena, NULL);
    enum status result = read_holding(store, id, &arena, &holding, err);
    *status = holding.status;
    arena_release(&arena);
    return result;
}

enum status trial_own(struct store *store, int64_t id, struct error *err)
{
    struct arena arena;
    struct holding holding = {0};
    arena_init(&arena, NULL);
    enum status status = read_holding(store, id, &arena, &holding, err);
    if (!status && holding.status != TRIAL_RUNNING)
        status = error_set(err, FAILED, "%s: trial %lld is %s, so it is not running here",
                           store->path, (long long)id, trial_status_name(holding.status));
    if (!status && !is_ours(store, &holding))
        status = error_set(err, FAILED, "%s: trial %lld belongs to process %lld on %s by now",
                           store->path, (long long)id, (long long)holding.pid,
                           holding.host ? holding.host : "an unknown machine");
    arena_release(&arena);
    return status;
}

/* ---- Recovery ------------------------------------------------------------------------------- */

static enum status interrupt(struct store *store, const struct holding *holding, struct error *err)
{
    struct text reason = {0};
    text_printf(&reason, "process %lld on %s ended without finishing it", (long long)holding->pid,
                holding->host ? holding->host : "an unknown machine");
    struct sql_value values[] = {sql_integer(holding->id), sql_text(text_string(&reason))};
    enum status status =
        sql_run(store->sql, "UPDATE trial SET status = 'interrupted', reason = ?2 WHERE id = ?1",
                values, 2, NULL, err);
    struct text note = {0};
    text_printf(&note, "trial %lld: %s", (long long)holding->id, text_string(&reason));
    if (!status)
        status = store_log_row(store, "interrupted", text_string(&note), err);
    text_release(&note);
    text_release(&reason);
    return status;
}

/* `holdings` are the trials that run now. */
static enum status interrupt_left_behind(struct store *store, struct arena *arena,
                                         struct error *err)
{
    void *records;
    size_t count;
    enum status status = table_read(store->sql, &HOLDING, "trial WHERE status = 'running'", NULL, 0,
                                    arena, &records, &count, err);
    const struct holding *holdings = records;
    for (size_t i = 0; !status && i < count; i++)
        if (is_left_behind(store, &holdings[i]))
            status = interrupt(store, &holdings[i], err);
    return status;
}

enum status trials_recover(struct store *store, struct error *err)
{
    enum status status = store_begin(store, err);
    if (status)
        return status;
    struct arena arena;
    arena_init(&arena, NULL);
    status = interrupt_left_behind(store, &arena, err);
    arena_release(&arena);
    return sql_end(store->sql, status, err);
}

/* ---- Planning and claiming ------------------------------------------------------------------ */

static enum status find_trial(struct store *store, const struct sql_value *key, int64_t *id,
                              struct error *err)
{
    struct query query = {0};
    bool row = false;
    enum status status = query_prepare(&query, store->sql,
                                       "SELECT id FROM trial WHERE technique = ?1 AND setting = ?2 "
                                       "AND examples = ?3 AND seed = ?4 AND purpose = ?5",
                                       err);
    if (!status)
        status = query_bind(&query, key, KEY_COUNT, err);
    if (!status)
        status = query_next(&query, &row, err);
    if (!status)
        *id = row ? query_value(&query, 0).integer : 0;
    query_release(&query);
    return status;
}

static enum status insert_trial(struct store *store, const struct sql_value *key, int64_t *id,
                                struct error *err)
{
    struct text statement = {0};
    table_insertion(&KEY, "trial", KEY_COUNT, &statement);
    enum status status = sql_run(store->sql, text_string(&statement), key, KEY_COUNT, NULL, err);
    text_release(&statement);
    if (!status)
        *id = sql_last_id(store->sql);
    return status;
}

enum status trial_plan(struct store *store, const struct trial_key *key, int64_t *id,
                       struct error *err)
{
    struct sql_value values[KEY_COUNT];
    enum status status = store_check_json(store, "setting", key->setting, err);
    if (!status)
        status = columns_values(KEY_COLUMNS, KEY_COUNT, key, values, err);
    if (!status)
        status = store_begin(store, err);
    if (status)
        return status;
    int64_t found = 0;
    status = find_trial(store, values, &found, err);
    if (!status && found == 0)
        status = insert_trial(store, values, &found, err);
    status = sql_end(store->sql, status, err);
    if (!status)
        *id = found;
    return status;
}

/* Inside a transaction. Loss rows beyond the checkpoint will be written again. */
static enum status take(struct store *store, int64_t id, struct error *err)
{
    const struct process *self = &store->self;
    struct sql_value values[] = {
        sql_integer(id),        sql_text(self->host),     sql_text(self->boot_id),
        sql_integer(self->pid), sql_integer(self->start), sql_integer(clock_unix_ms()),
    };
    enum status status =
        sql_run(store->sql,
                "UPDATE trial SET status = 'running', reason = '', host = ?2, boot_id = ?3, "
                "pid = ?4, process_start = ?5, started_ms = ?6, heartbeat_ms = ?6 WHERE id = ?1",
                values, 6, NULL, err);
    if (!status)
        status = sql_run(store->sql,
                         "DELETE FROM loss_log WHERE trial_id = ?1 AND step > coalesce("
                         "(SELECT step FROM checkpoint WHERE trial_id = ?1), -1)",
                         values, 1, NULL, err);
    return status;
}

static enum status claim_held(struct store *store, int64_t id, const struct holding *holding,
                              enum claim *claim, struct error *err)
{
    bool open = holding->status == TRIAL_PLANNED || holding->status == TRIAL_INTERRUPTED;
    if (open || is_left_behind(store, holding)) {
        *claim = CLAIM_OURS;
        return take(store, id, err);
    }
    *claim = holding->status == TRIAL_RUNNING ? CLAIM_OTHER : CLAIM_SETTLED;
    return OK;
}

enum status trial_claim(struct store *store, int64_t id, enum claim *claim, struct error *err)
{
    *claim = CLAIM_OTHER;
    enum status status = store_begin(store, err);
    if (status)
        return status;
    struct arena arena;
    struct holding holding = {0};
    arena_init(&arena, NULL);
    enum claim found = CLAIM_OTHER;
    status = read_holding(store, id, &arena, &holding, err);
    if (!status)
        status = claim_held(store, id, &holding, &found, err);
    arena_release(&arena);
    status = sql_end(store->sql, status, err);
    if (!status)
        *claim = found;
    return status;
}

enum status trial_heartbeat(struct store *store, int64_t id, struct error *err)
{
    double now = clock_seconds();
    if (store->beat_trial == id && now - store->beat < BEAT_SECONDS)
        return OK;
    enum status status = store_begin(store, err);
    if (status)
        return status;
    struct sql_value values[] = {sql_integer(id), sql_integer(clock_unix_ms())};
    status = trial_own(store, id, err);
    if (!status)
        status = sql_run(store->sql, "UPDATE trial SET heartbeat_ms = ?2 WHERE id = ?1", values, 2,
                         NULL, err);
    status = sql_end(store->sql, status, err);
    if (!status) {
        store->beat = now;
        store->beat_trial = id;
    }
    return status;
}

/* ---- Ending --------------------------------------------------------------------------------- */

/* Adds the file and the trial to a sentence that names neither. */
static enum status name_trial(const struct store *store, int64_t id, struct error *err)
{
    return error_prefix(err, "%s: trial %lld", store->path, (long long)id);
}

static enum status check_result(const struct store *store, const struct trial_record *record,
                                struct error *err)
{
    const char *fault = NULL;
    if (record->metric.known && !record->metric_name)
        fault = "has a value of a metric without a name";
    else if (record->metric.known && (!record->low.known || !record->high.known))
        fault = "has a metric without an interval";
    else if (record->metric.known && (record->low.value > record->metric.value ||
                                      record->high.value < record->metric.value))
        fault = "has a metric outside its interval";
    if (fault)
        return error_set(err, FAILED, "%s: trial %lld %s", store->path, (long long)record->id,
                         fault);
    return OK;
}

/* Inside a transaction, for a trial that is ours. */
static enum status write_result(struct store *store, int64_t id, const struct sql_value *results,
                                const char *note, const struct trial_predictions *predictions,
                                struct error *err)
{
    struct sql_value values[RESULT_COUNT + 5];
    memcpy(values, results, RESULT_COUNT * sizeof *values);
    values[RESULT_COUNT] = sql_integer(id);
    values[RESULT_COUNT + 1] = sql_integer(clock_unix_ms());
    values[RESULT_COUNT + 2] = sql_integer((int64_t)predictions->dev_count);
    values[RESULT_COUNT + 3] = sql_integer((int64_t)predictions->test_count);
    values[RESULT_COUNT + 4] = sql_text(note ? note : "");
    struct text statement = {0};
    text_add(&statement, "UPDATE trial SET ");
    columns_settings(TRIAL_COLUMNS, RESULT_COUNT, 1, &statement);
    text_printf(&statement,
                ", status = 'done', reason = ?%d, finished_ms = ?%d, heartbeat_ms = ?%d, "
                "dev_predictions = ?%d, test_predictions = ?%d WHERE id = ?%d",
                RESULT_COUNT + 5, RESULT_COUNT + 2, RESULT_COUNT + 2, RESULT_COUNT + 3,
                RESULT_COUNT + 4, RESULT_COUNT + 1);
    enum status status =
        sql_run(store->sql, text_string(&statement), values, RESULT_COUNT + 5, NULL, err);
    text_release(&statement);
    return status;
}

static enum status drop_checkpoint(struct store *store, int64_t id, struct error *err)
{
    struct sql_value value = sql_integer(id);
    return sql_run(store->sql, "DELETE FROM checkpoint WHERE trial_id = ?1", &value, 1, NULL, err);
}

enum status trial_finish(struct store *store, const struct trial_record *record,
                         const struct trial_predictions *predictions, struct error *err)
{
    int64_t id = record->id;
    struct sql_value results[RESULT_COUNT];
    if (columns_values(TRIAL_COLUMNS, RESULT_COUNT, record, results, err))
        return name_trial(store, id, err);
    enum status status = check_result(store, record, err);
    if (!status)
        status = store_check_json(store, "metrics", record->metrics, err);
    if (!status)
        status = store_begin(store, err);
    if (status)
        return status;
    status = trial_own(store, id, err);
    if (!status)
        status = write_result(store, id, results, record->reason, predictions, err);
    if (!status)
        status =
            predictions_insert(store, id, SIDE_DEV, predictions->dev, predictions->dev_count, err);
    if (!status)
        status = predictions_insert(store, id, SIDE_TEST, predictions->test,
                                    predictions->test_count, err);
    if (!status)
        status = drop_checkpoint(store, id, err);
    return sql_end(store->sql, status, err);
}

/* Inside a transaction. */
static enum status write_test(struct store *store, int64_t id, double test_metric,
                              const struct prediction *predictions, size_t count, struct error *err)
{
    struct sql_value values[] = {sql_integer(id), sql_real(test_metric),
                                 sql_integer((int64_t)count)};
    int64_t changes = 0;
    enum status status = sql_run(store->sql,
                                 "UPDATE trial SET test_metric = ?2, test_predictions = ?3 "
                                 "WHERE id = ?1 AND status = 'done' AND test_metric IS NULL "
                                 "AND test_predictions = 0",
                                 values, 3, &changes, err);
    if (!status && changes == 0)
        return error_set(err, FAILED,
                         "%s: trial %lld takes no test predictions: it is not done, or has some",
                         store->path, (long long)id);
    return status ? status : predictions_insert(store, id, SIDE_TEST, predictions, count, err);
}

enum status trial_test(struct store *store, int64_t id, double test_metric,
                       const struct prediction *predictions, size_t count, struct error *err)
{
    static const struct column column = {"test_metric", COLUMN_REAL, 0};
    struct sql_value value;
    if (columns_values(&column, 1, &test_metric, &value, err))
        return name_trial(store, id, err);
    enum status status = store_begin(store, err);
    if (status)
        return status;
    status = write_test(store, id, test_metric, predictions, count, err);
    return sql_end(store->sql, status, err);
}

/* What trial_settle may do: rows are the status now, columns the status asked for. */
static bool may_become(enum trial_status now, enum trial_status next)
{
    switch (now) {
    case TRIAL_PLANNED:
    case TRIAL_INTERRUPTED:
        return next == TRIAL_FAILED || next == TRIAL_ELIMINATED || next == TRIAL_REFUSED;
    case TRIAL_RUNNING:
        return next == TRIAL_FAILED || next == TRIAL_INTERRUPTED;
    case TRIAL_FAILED:
    case TRIAL_ELIMINATED:
    case TRIAL_REFUSED:
        return next == TRIAL_PLANNED || next == now;
    default:
        return false;
    }
}

/* Inside a transaction. */
static enum status settle(struct store *store, int64_t id, enum trial_status next,
                          const char *reason, struct error *err)
{
    enum trial_status now;
    enum status status = trial_status_of(store, id, &now, err);
    if (!status && now == TRIAL_RUNNING)
        status = trial_own(store, id, err);
    if (!status && !may_become(now, next))
        status = error_set(err, FAILED, "%s: trial %lld is %s and cannot become %s", store->path,
                           (long long)id, trial_status_name(now), trial_status_name(next));
    if (status)
        return status;
    struct sql_value values[] = {sql_integer(id), sql_text(trial_status_name(next)),
                                 sql_text(reason)};
    status = sql_run(store->sql, "UPDATE trial SET status = ?2, reason = ?3 WHERE id = ?1", values,
                     3, NULL, err);
    if (!status && next != TRIAL_INTERRUPTED)
        status = drop_checkpoint(store, id, err);
    return status;
}

enum status trial_settle(struct store *store, int64_t id, enum trial_status status,
                         const char *reason, struct error *err)
{
    enum status result = store_begin(store, err);
    if (result)
        return result;
    result = settle(store, id, status, reason ? reason : "", err);
    return sql_end(store->sql, result, err);
}

/* ---- Reading -------------------------------------------------------------------------------- */

enum status store_trials(struct store *store, struct arena *arena, struct trial_record **records,
                         size_t *count, struct error *err)
{
    void *found;
    enum status status =
        table_read(store->sql, &TRIAL, "trial ORDER BY id", NULL, 0, arena, &found, count, err);
    *records = found;
    return status;
}

enum status store_trial(struct store *store, int64_t id, struct arena *arena,
                        struct trial_record *record, struct error *err)
{
    struct sql_value value = sql_integer(id);
    void *found;
    size_t count;
    *record = (struct trial_record){0};
    enum status status = table_read(store->sql, &TRIAL, "trial WHERE id = ?1", &value, 1, arena,
                                    &found, &count, err);
    if (!status && count == 0)
        return missing(store, id, err);
    if (!status)
        *record = *(struct trial_record *)found;
    return status;
}
