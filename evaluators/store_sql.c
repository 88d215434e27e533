/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "evaluators/store_sql.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"

struct sql {
    sqlite3 *database;
    char *path;
    double patience;
};

/* ---- Errors --------------------------------------------------------------------------------- */

struct sentence {
    int code; /* primary result code */
    enum status status;
    bool detail; /* SQLite's own words say more */
    const char *text;
};

static const struct sentence SENTENCES[] = {
    {SQLITE_FULL, FAILED, false,
     "the disk is full; free some space and run the same command again, what was finished is kept"},
    {SQLITE_BUSY, FAILED, false,
     "another program keeps the file locked; end that program and try again"},
    {SQLITE_LOCKED, FAILED, false, "the file is locked by another part of this program"},
    {SQLITE_READONLY, FAILED, false,
     "the file or its folder cannot be written; check the permissions"},
    {SQLITE_PERM, FAILED, false, "the file cannot be opened for lack of permission"},
    {SQLITE_AUTH, FAILED, true, "the access was refused"},
    {SQLITE_CANTOPEN, FAILED, true,
     "the file cannot be opened; check that its folder exists and can be written"},
    {SQLITE_IOERR, FAILED, true, "reading or writing the disk failed"},
    {SQLITE_CORRUPT, FAILED, true,
     "the file is damaged; restore it from a copy, or begin a new study"},
    {SQLITE_NOTADB, USAGE, false, "the file is not a database, so it is no study file"},
    {SQLITE_TOOBIG, FAILED, false, "a value is larger than the file can hold (about 1 GB)"},
    {SQLITE_NOMEM, FAILED, false, "there is not enough memory for the database"},
    {SQLITE_CONSTRAINT, FAILED, true, "the data break a rule of the file"},
};

static bool no_space(int system_error)
{
    return system_error == ENOSPC || system_error == EDQUOT;
}

static enum status set_error(struct sql *sql, int code, struct error *err)
{
    int primary = code & 0xFF;
    int system_error = sqlite3_system_errno(sql->database);
    if (primary == SQLITE_IOERR && no_space(system_error))
        primary = SQLITE_FULL;
    const char *words = sqlite3_errmsg(sql->database);
    for (size_t i = 0; i < sizeof SENTENCES / sizeof *SENTENCES; i++) {
        const struct sentence *sentence = &SENTENCES[i];
        if (sentence->code != primary)
            continue;
        if (!sentence->detail)
            return error_set(err, sentence->status, "%s: %s", sql->path, sentence->text);
        return error_set(err, sentence->status, "%s: %s (%s, code %d)", sql->path, sentence->text,
                         words, code);
    }
    return error_set(err, FAILED, "%s: the database reports: %s (code %d)", sql->path, words, code);
}

/* ---- Opening -------------------------------------------------------------------------------- */

/* "file:" name of a path, for the one option that cannot be given otherwise. */
static void add_unchanging_name(struct text *name, const char *path)
{
    text_add(name, "file:");
    for (const char *c = path; *c; c++) {
        if (strchr("?#%", *c))
            text_printf(name, "%%%02X", (unsigned)(unsigned char)*c);
        else
            text_append(name, c, 1);
    }
    text_add(name, "?immutable=1");
}

enum status sql_open(const char *path, int flags, struct sql **sql, struct error *err)
{
    struct sql *opened = memory_zalloc(sizeof *opened);
    opened->path = memory_strdup(path);
    struct text name = {0};
    int mode =
        SQLITE_OPEN_EXRESCODE | (flags & SQL_READ ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE);
    if (flags & SQL_CREATE)
        mode |= SQLITE_OPEN_CREATE;
    if (flags & SQL_UNCHANGING) {
        mode |= SQLITE_OPEN_URI;
        add_unchanging_name(&name, path);
    } else {
        text_add(&name, path);
    }
    int code = sqlite3_open_v2(text_string(&name), &opened->database, mode, NULL);
    text_release(&name);
    *sql = NULL;
    if (code != SQLITE_OK) {
        enum status status = set_error(opened, code, err);
        sql_close(opened);
        return status;
    }
    sqlite3_db_config(opened->database, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sql_set_patience(opened, 60);
    *sql = opened;
    return OK;
}

void sql_close(struct sql *sql)
{
    if (!sql)
        return;
    sqlite3_close_v2(sql->database);
    free(sql->path);
    free(sql);
}

/* SQLite waits by itself, but not in every case, so that step() goes on waiting. */
void sql_set_patience(struct sql *sql, double seconds)
{
    const double own_wait = 10;
    sql->patience = seconds;
    double wait = seconds < own_wait ? seconds : own_wait;
    sqlite3_busy_timeout(sql->database, (int)(1000 * wait));
}

const char *sql_version(void)
{
    return sqlite3_libversion();
}

/* ---- Values --------------------------------------------------------------------------------- */

struct sql_value sql_null(void)
{
    return (struct sql_value){.type = SQL_NULL};
}

struct sql_value sql_integer(int64_t value)
{
    return (struct sql_value){.type = SQL_INTEGER, .integer = value};
}

struct sql_value sql_real(double value)
{
    return (struct sql_value){.type = SQL_REAL, .real = value};
}

struct sql_value sql_text(const char *text)
{
    if (!text)
        return sql_null();
    return (struct sql_value){.type = SQL_TEXT, .bytes = text, .length = strlen(text)};
}

struct sql_value sql_blob(const void *bytes, size_t length)
{
    return (struct sql_value){.type = SQL_BLOB, .bytes = bytes, .length = length};
}

/* ---- Statements ----------------------------------------------------------------------------- */

static void rest(void)
{
    struct timespec pause = {.tv_nsec = 20 * 1000 * 1000};
    nanosleep(&pause, NULL);
}

/* One step, waiting for locks as long as patience lasts. */
static int step(struct sql *sql, sqlite3_stmt *statement)
{
    double begin = clock_seconds();
    for (;;) {
        int code = sqlite3_step(statement);
        if ((code & 0xFF) != SQLITE_BUSY || clock_seconds() - begin >= sql->patience)
            return code;
        sqlite3_reset(statement);
        rest();
    }
}

enum status query_prepare(struct query *query, struct sql *sql, const char *text, struct error *err)
{
    *query = (struct query){.sql = sql};
    double begin = clock_seconds();
    int code;
    while ((code = sqlite3_prepare_v2(sql->database, text, -1, &query->statement, NULL)),
           (code & 0xFF) == SQLITE_BUSY && clock_seconds() - begin < sql->patience)
        rest();
    return code == SQLITE_OK ? OK : set_error(sql, code, err);
}

static int bind_one(sqlite3_stmt *statement, int place, const struct sql_value *value)
{
    switch (value->type) {
    case SQL_NULL:
        return sqlite3_bind_null(statement, place);
    case SQL_INTEGER:
        return sqlite3_bind_int64(statement, place, value->integer);
    case SQL_REAL:
        return sqlite3_bind_double(statement, place, value->real);
    case SQL_TEXT:
        return sqlite3_bind_text64(statement, place, value->bytes, value->length, SQLITE_STATIC,
                                   SQLITE_UTF8);
    case SQL_BLOB:
        if (value->length == 0) /* a NULL pointer would become NULL, not an empty value */
            return sqlite3_bind_zeroblob(statement, place, 0);
        return sqlite3_bind_blob64(statement, place, value->bytes, value->length, SQLITE_STATIC);
    }
    return SQLITE_MISUSE;
}

enum status query_bind(struct query *query, const struct sql_value *values, size_t count,
                       struct error *err)
{
    sqlite3_reset(query->statement);
    sqlite3_clear_bindings(query->statement);
    for (size_t i = 0; i < count; i++) {
        int code = bind_one(query->statement, (int)i + 1, &values[i]);
        if (code != SQLITE_OK)
            return set_error(query->sql, code, err);
    }
    return OK;
}

enum status query_next(struct query *query, bool *row, struct error *err)
{
    int code = step(query->sql, query->statement);
    *row = code == SQLITE_ROW;
    if (code == SQLITE_ROW || code == SQLITE_DONE)
        return OK;
    return set_error(query->sql, code, err);
}

struct sql_value query_value(const struct query *query, int column)
{
    sqlite3_stmt *statement = query->statement;
    switch (sqlite3_column_type(statement, column)) {
    case SQLITE_INTEGER:
        return (struct sql_value){.type = SQL_INTEGER,
                                  .integer = sqlite3_column_int64(statement, column),
                                  .real = sqlite3_column_double(statement, column)};
    case SQLITE_FLOAT:
        return sql_real(sqlite3_column_double(statement, column));
    case SQLITE_TEXT: {
        const void *bytes = sqlite3_column_text(statement, column);
        size_t length = (size_t)sqlite3_column_bytes(statement, column);
        return (struct sql_value){.type = SQL_TEXT, .bytes = bytes, .length = length};
    }
    case SQLITE_BLOB: {
        const void *bytes = sqlite3_column_blob(statement, column);
        return sql_blob(bytes, (size_t)sqlite3_column_bytes(statement, column));
    }
    default:
        return sql_null();
    }
}

int query_columns(const struct query *query)
{
    return sqlite3_column_count(query->statement);
}

void query_release(struct query *query)
{
    sqlite3_finalize(query->statement);
    query->statement = NULL;
}

enum status sql_run(struct sql *sql, const char *text, const struct sql_value *values, size_t count,
                    int64_t *changes, struct error *err)
{
    struct query query = {0};
    bool row = true;
    enum status status = query_prepare(&query, sql, text, err);
    if (!status)
        status = query_bind(&query, values, count, err);
    while (!status && row)
        status = query_next(&query, &row, err);
    query_release(&query);
    if (changes)
        *changes = sqlite3_changes64(sql->database);
    return status;
}

enum status sql_script(struct sql *sql, const char *text, struct error *err)
{
    while (*text) {
        sqlite3_stmt *statement = NULL;
        const char *next = text;
        int code = sqlite3_prepare_v2(sql->database, text, -1, &statement, &next);
        while (code == SQLITE_OK && statement && step(sql, statement) == SQLITE_ROW)
            ;
        if (code == SQLITE_OK)
            code = statement ? sqlite3_reset(statement) : SQLITE_OK;
        enum status status = code == SQLITE_OK ? OK : set_error(sql, code, err);
        sqlite3_finalize(statement);
        if (status)
            return status;
        text = next;
    }
    return OK;
}

int64_t sql_last_id(const struct sql *sql)
{
    return sqlite3_last_insert_rowid(sql->database);
}

/* ---- Transactions --------------------------------------------------------------------------- */

enum status sql_begin(struct sql *sql, struct error *err)
{
    return sql_run(sql, "BEGIN IMMEDIATE", NULL, 0, NULL, err);
}

enum status sql_end(struct sql *sql, enum status status, struct error *err)
{
    if (!status)
        status = sql_run(sql, "COMMIT", NULL, 0, NULL, err);
    /* SQLite ends the transaction by itself after some errors, such as a full disk. */
    if (status && !sqlite3_get_autocommit(sql->database))
        sql_run(sql, "ROLLBACK", NULL, 0, NULL, NULL);
    return status;
}
