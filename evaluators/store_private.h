/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the store share; nobody else includes this.
 *
 *   store.c          the file: open, close, schema
 *   store_study.c    the study row, the log, the check of the whole file
 *   store_trials.c   the life of a trial: plan, claim, heartbeat, finish, settle, read
 *   store_parts.c    what belongs to a trial: predictions, loss rows, checkpoint, artifact
 *   store_examples.c the texts behind the predictions
 *   store_columns.c  between records and rows
 *   store_process.c  who runs a trial, and whether it still lives
 *   store_sql.c      the only file that includes sqlite3.h
 */
#ifndef EVALUATORS_STORE_PRIVATE_H
#define EVALUATORS_STORE_PRIVATE_H

#include "evaluators/store.h"
#include "evaluators/store_sql.h"

/* ---- store_process.c ------------------------------------------------------------------------ */

/* Names one run of one program: a process number alone comes again. */
struct process {
    char host[256];
    char boot_id[64]; /* changes with every start of the machine; "" when unknown */
    int64_t pid;
    int64_t start; /* clock ticks from boot to the start of the process; 0 when unknown */
};

struct process process_self(void);

enum life {
    LIFE_GONE,    /* it has ended for sure */
    LIFE_ALIVE,   /* it runs for sure */
    LIFE_UNKNOWN, /* it ran on another machine, or cannot be told from a later process */
};

enum life process_life(const struct process *self, const struct process *other);

/* ---- store.c -------------------------------------------------------------------------------- */

struct store {
    struct sql *sql;
    char *path;
    bool read_only;
    struct process self;
    double beat; /* clock_seconds of the last heartbeat written, 0 before the first */
    int64_t beat_trial;
};

/* Begins a transaction that writes; ends with sql_end. FAILED when the store was opened for reading
 * or by another process (before a fork). */
enum status store_begin(struct store *store, struct error *err);

/* OK when `text` is valid JSON or NULL; otherwise FAILED, and the sentence calls it `name`. */
enum status store_check_json(struct store *store, const char *name, const char *text,
                             struct error *err);

/* ---- store_study.c -------------------------------------------------------------------------- */

/* Adds a row to the log, inside the caller's transaction. */
enum status store_log_row(struct store *store, const char *kind, const char *text,
                          struct error *err);

/* ---- store_trials.c ------------------------------------------------------------------------- */

/* Trials that were left behind become `interrupted`. */
enum status trials_recover(struct store *store, struct error *err);

/* Inside a transaction: OK when the trial is running and ours, otherwise FAILED with the reason. */
enum status trial_own(struct store *store, int64_t id, struct error *err);

/* Inside a transaction: the status of a trial; FAILED when there is none with this number. */
enum status trial_status_of(struct store *store, int64_t id, enum trial_status *status,
                            struct error *err);

/* ---- store_parts.c -------------------------------------------------------------------------- */

/* Inside a transaction: writes all predictions of one split of a trial. */
enum status predictions_insert(struct store *store, int64_t id, enum side side,
                               const struct prediction *predictions, size_t count,
                               struct error *err);

/* ---- store_columns.c ------------------------------------------------------------------------ */

enum column_kind {
    COLUMN_TEXT,     /* const char *; NULL is NULL */
    COLUMN_INTEGER,  /* int64_t; NULL reads as 0 */
    COLUMN_SEED,     /* uint64_t, stored as the signed number of the same bits */
    COLUMN_LABEL,    /* int; NO_LABEL is NULL */
    COLUMN_REAL,     /* double; NULL reads as 0 */
    COLUMN_BOOL,     /* bool */
    COLUMN_STATUS,   /* enum trial_status, stored by name */
    COLUMN_MEASURED, /* struct measured; unknown is NULL */
};

/* One field of a record and the column, or when only read the expression, it comes from. */
struct column {
    const char *name;
    enum column_kind kind;
    size_t offset;
};

#define COLUMN(kind, record, field)                                                                \
    {                                                                                              \
#field, kind, offsetof(struct record, field)                                               \
    }

/* "a = ?place, b = ?place+1, ..." */
void columns_settings(const struct column *columns, size_t count, int place, struct text *out);

/* Values of a record; FAILED for a number that is not finite. */
enum status columns_values(const struct column *columns, size_t count, const void *record,
                           struct sql_value *values, struct error *err);

struct table {
    size_t record_bytes;
    const struct column *columns;
    size_t column_count;
};

/* "INSERT INTO name (a, b, ...) VALUES (?1, ?2, ...)" of the first `count` columns. */
void table_insertion(const struct table *table, const char *name, size_t count, struct text *out);

/* All rows of "SELECT columns FROM `from`" as an array of records in the arena, whose other bytes
 * are zero. `from` may end in WHERE and ORDER BY, with values for ?1 ... */
enum status table_read(struct sql *sql, const struct table *table, const char *from,
                       const struct sql_value *values, size_t value_count, struct arena *arena,
                       void **records, size_t *count, struct error *err);

#endif
