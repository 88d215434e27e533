/* SPDX-License-Identifier: Apache-2.0 */
#include "evaluators/store_private.h"

/* Files of before this table have none. Nobody else reads it, so that the version of the file stays
 * as it is: an older program leaves the table alone. */
static const char TABLE[] = "CREATE TABLE IF NOT EXISTS example ("
                            "  split TEXT NOT NULL CHECK (split IN ('dev', 'test')),"
                            "  example INTEGER NOT NULL CHECK (example >= 0),"
                            "  line INTEGER NOT NULL,"
                            "  input TEXT NOT NULL,"
                            "  target TEXT NOT NULL,"
                            "  PRIMARY KEY (split, example)"
                            ") STRICT, WITHOUT ROWID";

static const struct column COLUMNS[] = {
    COLUMN(COLUMN_INTEGER, example_record, example),
    COLUMN(COLUMN_INTEGER, example_record, line),
    COLUMN(COLUMN_TEXT, example_record, input),
    COLUMN(COLUMN_TEXT, example_record, target),
};

enum { COUNT = sizeof COLUMNS / sizeof *COLUMNS };

static const struct table EXAMPLE = {sizeof(struct example_record), COLUMNS, COUNT};

static const char *side_name(enum side side)
{
    return side == SIDE_DEV ? "dev" : "test";
}

/* Inside a transaction. */
static enum status insert_all(struct store *store, enum side side,
                              const struct example_record *examples, size_t count,
                              struct error *err)
{
    struct query query = {0};
    enum status status =
        query_prepare(&query, store->sql,
                      "INSERT OR IGNORE INTO example (example, line, input, target, split) "
                      "VALUES (?1, ?2, ?3, ?4, ?5)",
                      err);
    for (size_t i = 0; !status && i < count; i++) {
        struct sql_value values[COUNT + 1];
        bool row;
        status = columns_values(COLUMNS, COUNT, &examples[i], values, err);
        values[COUNT] = sql_text(side_name(side));
        if (!status)
            status = query_bind(&query, values, COUNT + 1, err);
        if (!status)
            status = query_next(&query, &row, err);
    }
    query_release(&query);
    return status;
}

enum status store_examples_put(struct store *store, enum side side,
                               const struct example_record *examples, size_t count,
                               struct error *err)
{
    enum status status = store_begin(store, err);
    if (status)
        return status;
    status = sql_script(store->sql, TABLE, err);
    if (!status)
        status = insert_all(store, side, examples, count, err);
    return sql_end(store->sql, status, err);
}

static enum status has_table(struct store *store, bool *found, struct error *err)
{
    struct query query = {0};
    *found = false;
    enum status status =
        query_prepare(&query, store->sql,
                      "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'example'", err);
    if (!status)
        status = query_next(&query, found, err);
    query_release(&query);
    return status;
}

enum status store_examples_get(struct store *store, enum side side, struct arena *arena,
                               struct example_record **examples, size_t *count, struct error *err)
{
    struct sql_value value = sql_text(side_name(side));
    void *records = NULL;
    bool found;
    *count = 0;
    enum status status = has_table(store, &found, err);
    if (!status && found)
        status = table_read(store->sql, &EXAMPLE, "example WHERE split = ?1 ORDER BY example",
                            &value, 1, arena, &records, count, err);
    *examples = records;
    return status;
}
