/* SPDX-License-Identifier: Apache-2.0 */
#define _DEFAULT_SOURCE
#include "evaluators/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "evaluators/store_private.h"

enum {
    APPLICATION_ID = 0x41445652, /* "ADVR"; shown by file(1) */
    SCHEMA_VERSION = 2           /* a change of SCHEMA raises it */
};

/* JSON is checked when it is written (store_check_json): with trusted_schema off, SQLite 3.40 does
 * not admit json_valid in a CHECK. */
static const char SCHEMA[] =
    "CREATE TABLE study ("
    "  id INTEGER PRIMARY KEY CHECK (id = 1),"
    "  name TEXT NOT NULL,"
    "  created_ms INTEGER NOT NULL,"
    "  model_name TEXT NOT NULL,"
    "  model_sha256 TEXT NOT NULL CHECK (length(model_sha256) = 64),"
    "  model_facts TEXT NOT NULL,"
    "  data_path TEXT NOT NULL,"
    "  data_sha256 TEXT NOT NULL CHECK (length(data_sha256) = 64),"
    "  test_path TEXT,"
    "  test_sha256 TEXT CHECK (length(test_sha256) = 64),"
    "  constraints TEXT NOT NULL,"
    "  seed INTEGER NOT NULL,"
    "  profile TEXT NOT NULL,"
    "  program_version TEXT NOT NULL,"
    "  spent_seconds REAL NOT NULL DEFAULT 0 CHECK (spent_seconds >= 0),"
    "  done INTEGER NOT NULL CHECK (done IN (0, 1)),"
    "  recommendation TEXT"
    ") STRICT;"

    "CREATE TABLE trial ("
    "  id INTEGER PRIMARY KEY,"
    "  technique TEXT NOT NULL,"
    "  setting TEXT NOT NULL,"
    "  examples INTEGER NOT NULL CHECK (examples >= 0),"
    "  seed INTEGER NOT NULL,"
    "  purpose TEXT NOT NULL,"
    "  status TEXT NOT NULL DEFAULT 'planned' CHECK (status IN ('planned', 'running', 'done',"
    "    'failed', 'interrupted', 'eliminated', 'refused')),"
    "  reason TEXT NOT NULL DEFAULT '',"
    "  host TEXT,"
    "  boot_id TEXT,"
    "  pid INTEGER,"
    "  process_start INTEGER,"
    "  started_ms INTEGER,"
    "  heartbeat_ms INTEGER,"
    "  finished_ms INTEGER,"
    "  metric_name TEXT,"
    "  metric REAL,"
    "  low REAL,"
    "  high REAL,"
    "  test_metric REAL,"
    "  nll REAL,"
    "  prequential_nll REAL,"
    "  metrics TEXT,"
    "  forgetting REAL,"
    "  trial_seconds REAL,"
    "  train_seconds REAL,"
    "  tokens_per_second_train REAL,"
    "  tokens_per_second_forward REAL,"
    "  tokens_per_request REAL,"
    "  latency_ms REAL,"
    "  trainable_parameters INTEGER,"
    "  peak_memory_bytes INTEGER,"
    "  artifact_bytes INTEGER,"
    "  dev_predictions INTEGER NOT NULL DEFAULT 0,"
    "  test_predictions INTEGER NOT NULL DEFAULT 0,"
    "  UNIQUE (technique, setting, examples, seed, purpose)"
    ") STRICT;"

    "CREATE TABLE prediction ("
    "  trial_id INTEGER NOT NULL REFERENCES trial (id),"
    "  split TEXT NOT NULL CHECK (split IN ('dev', 'test')),"
    "  example INTEGER NOT NULL CHECK (example >= 0),"
    "  truth INTEGER,"
    "  label INTEGER,"
    "  correct INTEGER NOT NULL CHECK (correct IN (0, 1)),"
    "  probability REAL,"
    "  nll REAL,"
    "  text TEXT,"
    "  PRIMARY KEY (trial_id, split, example)"
    ") STRICT, WITHOUT ROWID;"

    "CREATE TABLE loss_log ("
    "  trial_id INTEGER NOT NULL REFERENCES trial (id),"
    "  step INTEGER NOT NULL,"
    "  examples_seen INTEGER NOT NULL,"
    "  tokens INTEGER NOT NULL,"
    "  loss REAL NOT NULL,"
    "  rate REAL NOT NULL,"
    "  PRIMARY KEY (trial_id, step)"
    ") STRICT, WITHOUT ROWID;"

    "CREATE TABLE checkpoint ("
    "  trial_id INTEGER PRIMARY KEY REFERENCES trial (id),"
    "  step INTEGER NOT NULL,"
    "  state BLOB NOT NULL"
    ") STRICT;"

    "CREATE TABLE artifact ("
    "  trial_id INTEGER PRIMARY KEY REFERENCES trial (id),"
    "  parameters BLOB NOT NULL"
    ") STRICT;"

    "CREATE TABLE event ("
    "  id INTEGER PRIMARY KEY,"
    "  time_ms INTEGER NOT NULL,"
    "  kind TEXT NOT NULL,"
    "  text TEXT NOT NULL"
    ") STRICT;";

/* ---- Opening -------------------------------------------------------------------------------- */

static enum status read_integer(struct sql *sql, const char *text, int64_t *value,
                                struct error *err)
{
    struct query query = {0};
    bool row = false;
    enum status status = query_prepare(&query, sql, text, err);
    if (!status)
        status = query_next(&query, &row, err);
    if (!status)
        *value = row ? query_value(&query, 0).integer : 0;
    query_release(&query);
    return status;
}

/* File systems on which processes cannot share memory through a file, so that SQLite's write-ahead
 * log does not work; magic numbers from statfs(2). */
static bool lacks_shared_memory(const char *path)
{
    static const unsigned long SYSTEMS[] = {
        0x6969,     /* NFS */
        0x0BD00BD0, /* Lustre */
        0x517B,     /* SMB */
        0xFF534D42, /* CIFS */
        0xFE534D42, /* SMB2 */
        0x5346414F, /* AFS */
        0x00C36400, /* Ceph */
        0x47504653, /* GPFS */
        0x19830326, /* BeeGFS */
        0x01021997, /* 9P */
    };
    struct text folder = {0};
    const char *slash = strrchr(path, '/');
    text_append(&folder, path, slash ? (size_t)(slash - path) + 1 : 0);
    if (!slash)
        text_add(&folder, ".");
    struct statfs facts;
    bool known = statfs(text_string(&folder), &facts) == 0;
    text_release(&folder);
    for (size_t i = 0; known && i < sizeof SYSTEMS / sizeof *SYSTEMS; i++)
        if (((unsigned long)facts.f_type & 0xFFFFFFFF) == SYSTEMS[i])
            return true;
    return false;
}

/* True when the last writer left its journal behind: it ended uncleanly, or still runs. */
static bool has_journal(const char *path)
{
    static const char *const ENDINGS[] = {"-wal", "-journal"};
    bool found = false;
    for (size_t i = 0; i < 2; i++) {
        struct text name = {0};
        text_printf(&name, "%s%s", path, ENDINGS[i]);
        struct stat facts;
        found |= stat(text_string(&name), &facts) == 0 && facts.st_size > 0;
        text_release(&name);
    }
    return found;
}

static enum status check_path(const char *path, int flags, struct error *err)
{
    struct stat facts;
    if (path[0] == '\0' || strcmp(path, ":memory:") == 0)
        return error_set(err, USAGE, "the study file has no usable name (\"%s\")", path);
    if (stat(path, &facts) == 0) {
        if (S_ISREG(facts.st_mode))
            return OK;
        return error_set(err, USAGE,
                         "%s: a study file must be a regular file, not a folder or "
                         "device",
                         path);
    }
    if (errno != ENOENT)
        return error_set(err, FAILED, "%s: %s", path, strerror(errno));
    if (flags & STORE_CREATE)
        return OK;
    return error_set(err, USAGE, "%s: there is no such study file", path);
}

/* What a file says of itself. */
struct identity {
    int64_t application;
    int64_t version;
    int64_t tables;
};

static enum status read_identity(struct sql *sql, struct identity *identity, struct error *err)
{
    enum status status = read_integer(sql, "PRAGMA application_id", &identity->application, err);
    if (!status)
        status = read_integer(sql, "PRAGMA user_version", &identity->version, err);
    if (!status)
        status = read_integer(sql, "SELECT count(*) FROM sqlite_schema", &identity->tables, err);
    return status;
}

static bool is_empty(const struct identity *identity)
{
    return identity->application == 0 && identity->version == 0 && identity->tables == 0;
}

static enum status check_identity(const struct store *store, const struct identity *identity,
                                  struct error *err)
{
    if (is_empty(identity))
        return error_set(err, USAGE, "%s: the file is empty, it holds no study", store->path);
    if (identity->application != APPLICATION_ID)
        return error_set(err, USAGE,
                         "%s: the file is a database of another program (application id 0x%08llx, "
                         "expected 0x%08x); choose another file",
                         store->path, (long long)identity->application, APPLICATION_ID);
    if (identity->version > SCHEMA_VERSION)
        return error_set(err, USAGE,
                         "%s: the file was written by a newer version of this program (format "
                         "%lld, this program knows %d); use that version",
                         store->path, (long long)identity->version, SCHEMA_VERSION);
    if (identity->version < SCHEMA_VERSION)
        return error_set(err, USAGE,
                         "%s: the file has format %lld, which was never released; begin a new "
                         "study",
                         store->path, (long long)identity->version);
    return OK;
}

/* Everything in one transaction: a file is either empty or complete. Another process may have been
 * faster. */
static enum status create_schema(struct store *store, struct error *err)
{
    enum status status = sql_begin(store->sql, err);
    if (status)
        return status;
    struct identity identity = {0};
    status = read_identity(store->sql, &identity, err);
    if (!status && is_empty(&identity)) {
        struct text script = {0};
        text_printf(&script, "%s PRAGMA application_id = %d; PRAGMA user_version = %d;", SCHEMA,
                    APPLICATION_ID, SCHEMA_VERSION);
        status = sql_script(store->sql, text_string(&script), err);
        text_release(&script);
    }
    return sql_end(store->sql, status, err);
}

/* The write-ahead log, or where it cannot work one writer with a rollback journal. */
static enum status set_journal(struct store *store, bool one_writer, struct error *err)
{
    if (one_writer)
        return sql_script(store->sql, "PRAGMA journal_mode = DELETE", err);
    struct query query = {0};
    bool row = false;
    enum status status = query_prepare(&query, store->sql, "PRAGMA journal_mode = WAL", err);
    if (!status)
        status = query_next(&query, &row, err);
    bool wal = !status && row && strcmp(query_value(&query, 0).bytes, "wal") == 0;
    query_release(&query);
    if (status || wal)
        return status;
    return sql_script(store->sql, "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = DELETE",
                      err);
}

/* In one transaction, so that another process cannot make the file in between. */
static enum status identify(struct store *store, struct identity *identity, struct error *err)
{
    enum status status = sql_script(store->sql, "BEGIN", err);
    if (!status)
        status = read_identity(store->sql, identity, err);
    return sql_end(store->sql, status, err);
}

/* Opens the connection and finds out whether the file can be read at all. */
static enum status open_connection(struct store *store, int flags, struct identity *identity,
                                   struct error *err)
{
    int mode = flags & STORE_READ ? SQL_READ : flags & STORE_CREATE ? SQL_CREATE : SQL_WRITE;
    enum status status = sql_open(store->path, mode, &store->sql, err);
    if (!status && (flags & STORE_ONE_WRITER) && !(flags & STORE_READ))
        status = sql_script(store->sql, "PRAGMA locking_mode = EXCLUSIVE", err);
    if (!status)
        status = identify(store, identity, err);
    if (status == OK || !(flags & STORE_READ) || has_journal(store->path))
        return status;
    /* In a folder that cannot be written SQLite cannot make its lock files. */
    sql_close(store->sql);
    store->sql = NULL;
    status = sql_open(store->path, SQL_READ | SQL_UNCHANGING, &store->sql, err);
    return status ? status : identify(store, identity, err);
}

static enum status quick_check(struct store *store, struct error *err)
{
    struct query query = {0};
    bool row = false;
    enum status status = query_prepare(&query, store->sql, "PRAGMA quick_check(1)", err);
    if (!status)
        status = query_next(&query, &row, err);
    if (!status && row && strcmp(query_value(&query, 0).bytes, "ok") != 0)
        status = error_set(err, FAILED,
                           "%s: the file is damaged (%s); restore it from a copy, or begin a new "
                           "study",
                           store->path, (const char *)query_value(&query, 0).bytes);
    query_release(&query);
    return status;
}

static const char SAFETY[] = "PRAGMA synchronous = FULL;"
                             "PRAGMA foreign_keys = ON;"
                             "PRAGMA trusted_schema = OFF;"
                             "PRAGMA cell_size_check = ON;"
                             "PRAGMA journal_size_limit = 67108864;";

/* Nothing is written before the file is known to be ours. */
static enum status open_file(struct store *store, int flags, struct error *err)
{
    bool unclean = has_journal(store->path);
    struct identity identity = {0};
    enum status status = open_connection(store, flags, &identity, err);
    bool fresh = !status && (flags & STORE_CREATE) && is_empty(&identity);
    if (!status && !fresh)
        status = check_identity(store, &identity, err);
    if (!status)
        status = sql_script(store->sql, SAFETY, err);
    if (status || store->read_only)
        return status;
    status = set_journal(store, flags & STORE_ONE_WRITER, err);
    if (!status && fresh)
        status = create_schema(store, err);
    if (!status && unclean)
        status = quick_check(store, err);
    return status ? status : trials_recover(store, err);
}

enum status store_open(const char *path, int flags, struct store **store, struct error *err)
{
    *store = NULL;
    if (flags & STORE_READ)
        flags &= ~STORE_CREATE;
    enum status status = check_path(path, flags, err);
    if (status)
        return status;
    if (lacks_shared_memory(path))
        flags |= STORE_ONE_WRITER;
    struct store *opened = memory_zalloc(sizeof *opened);
    opened->path = memory_strdup(path);
    opened->read_only = flags & STORE_READ;
    opened->self = process_self();
    status = open_file(opened, flags, err);
    if (status) {
        store_close(opened);
        return status;
    }
    *store = opened;
    return OK;
}

void store_close(struct store *store)
{
    if (!store)
        return;
    sql_close(store->sql);
    free(store->path);
    free(store);
}

const char *store_path(const struct store *store)
{
    return store->path;
}

void store_set_patience(struct store *store, double seconds)
{
    sql_set_patience(store->sql, seconds);
}

/* ---- Writing -------------------------------------------------------------------------------- */

enum status store_begin(struct store *store, struct error *err)
{
    if (store->read_only)
        return error_set(err, FAILED, "%s: the study was opened for reading only", store->path);
    if (store->self.pid != getpid())
        return error_set(err, FAILED, "%s: the study was opened by another process", store->path);
    return sql_begin(store->sql, err);
}

enum status store_check_json(struct store *store, const char *name, const char *text,
                             struct error *err)
{
    struct query query = {0};
    struct sql_value value = sql_text(text);
    bool row = false;
    enum status status = query_prepare(&query, store->sql, "SELECT json_valid(?1)", err);
    if (!status)
        status = query_bind(&query, &value, 1, err);
    if (!status)
        status = query_next(&query, &row, err);
    if (!status && text && !query_value(&query, 0).integer)
        status =
            error_set(err, FAILED, "%s: the %s is not valid JSON: %.100s", store->path, name, text);
    query_release(&query);
    return status;
}
