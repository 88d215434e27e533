/* SPDX-License-Identifier: Apache-2.0
 *
 * A thin layer over SQLite: values in and out, transactions that wait for their turn, and errors as
 * sentences. For the files of the store and for whoever evaluates SQL expressions; nothing in it
 * knows about studies.
 *
 * Statuses: OK, USAGE when the file is no database, FAILED for everything else. Each sentence
 * begins with the path.
 */
#ifndef EVALUATORS_STORE_SQL_H
#define EVALUATORS_STORE_SQL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct sql; /* a connection; one thread at a time */

enum sql_flags {
    SQL_WRITE = 0,
    SQL_CREATE = 1,     /* write, and make the file when there is none */
    SQL_READ = 2,       /* only read */
    SQL_UNCHANGING = 4, /* with SQL_READ: nobody changes the file, so no lock files are needed */
};

/* Opens `path` (":memory:" for a database of its own in memory). SQLite reads the file only when
 * the first statement runs, so a file that is no database is found then. */
enum status sql_open(const char *path, int flags, struct sql **sql, struct error *err);
void sql_close(struct sql *sql); /* NULL is fine */

/* How long a statement waits for locks of other processes in all; default 60 s. */
void sql_set_patience(struct sql *sql, double seconds);

/* Versions for people, such as "3.40.1". */
const char *sql_version(void);

/* ---- Values --------------------------------------------------------------------------------- */

enum sql_type { SQL_NULL, SQL_INTEGER, SQL_REAL, SQL_TEXT, SQL_BLOB };

struct sql_value {
    enum sql_type type;
    int64_t integer;   /* SQL_INTEGER */
    double real;       /* SQL_REAL; also set for SQL_INTEGER when read */
    const void *bytes; /* SQL_TEXT (terminated) and SQL_BLOB */
    size_t length;     /* bytes, without the terminator */
};

struct sql_value sql_null(void);
struct sql_value sql_integer(int64_t value);
struct sql_value sql_real(double value);
struct sql_value sql_text(const char *text); /* NULL becomes SQL_NULL */
struct sql_value sql_blob(const void *bytes, size_t length);

/* ---- Statements ----------------------------------------------------------------------------- */

/* Runs statements that take no values; rows they give are ignored. */
enum status sql_script(struct sql *sql, const char *text, struct error *err);

/* Runs one statement with values for ?1, ?2 ...; rows are ignored. `*changes` (may be NULL) is the
 * number of rows it inserted, updated or deleted. */
enum status sql_run(struct sql *sql, const char *text, const struct sql_value *values, size_t count,
                    int64_t *changes, struct error *err);

int64_t sql_last_id(const struct sql *sql); /* row id of the last insert */

/* A statement whose rows are read, or that runs many times. Start from {0}; release is always fine.
 */
struct query {
    struct sql *sql;
    struct sqlite3_stmt *statement;
};

enum status query_prepare(struct query *query, struct sql *sql, const char *text,
                          struct error *err);

/* Starts it anew with these values; their bytes must stay until the query is done. */
enum status query_bind(struct query *query, const struct sql_value *values, size_t count,
                       struct error *err);
enum status query_next(struct query *query, bool *row, struct error *err);

/* Column 0 .. of the row at hand, valid until the next query_next, query_bind or query_release. */
struct sql_value query_value(const struct query *query, int column);
int query_columns(const struct query *query);
void query_release(struct query *query);

/* ---- Transactions --------------------------------------------------------------------------- */

/* BEGIN IMMEDIATE: takes the write lock at once, since a lock upgraded later cannot be waited for.
 */
enum status sql_begin(struct sql *sql, struct error *err);

/* Commits when `status` is OK, otherwise takes everything back. Returns the first status that is
 * not OK; the sentence of a failed `status` stays. */
enum status sql_end(struct sql *sql, enum status status, struct error *err);

#endif
