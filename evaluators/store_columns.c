/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "evaluators/store_private.h"

struct measured measured(double value)
{
    return (struct measured){true, value};
}

/* Rows in the order of enum trial_status; the names are part of the file format. */
static const char *const STATUS_NAMES[TRIAL_STATUSES] = {
    [TRIAL_PLANNED] = "planned",
    [TRIAL_RUNNING] = "running",
    [TRIAL_DONE] = "done",
    [TRIAL_FAILED] = "failed",
    [TRIAL_INTERRUPTED] = "interrupted",
    [TRIAL_ELIMINATED] = "eliminated",
    [TRIAL_REFUSED] = "refused",
};

const char *trial_status_name(enum trial_status status)
{
    return STATUS_NAMES[status];
}

bool trial_is_settled(enum trial_status status)
{
    return status == TRIAL_DONE || status == TRIAL_FAILED || status == TRIAL_ELIMINATED ||
           status == TRIAL_REFUSED;
}

/* The schema admits no other name. */
static enum trial_status status_named(const char *name)
{
    for (int i = 0; i < TRIAL_STATUSES; i++)
        if (strcmp(STATUS_NAMES[i], name) == 0)
            return (enum trial_status)i;
    return TRIAL_FAILED;
}

void columns_settings(const struct column *columns, size_t count, int place, struct text *out)
{
    for (size_t i = 0; i < count; i++)
        text_printf(out, "%s%s = ?%d", i ? ", " : "", columns[i].name, place + (int)i);
}

static struct sql_value value_of(const struct column *column, const void *record)
{
    const void *field = (const char *)record + column->offset;
    switch (column->kind) {
    case COLUMN_TEXT:
        return sql_text(*(const char *const *)field);
    case COLUMN_INTEGER:
        return sql_integer(*(const int64_t *)field);
    case COLUMN_SEED:
        return sql_integer((int64_t) * (const uint64_t *)field);
    case COLUMN_LABEL: {
        int label = *(const int *)field;
        return label == NO_LABEL ? sql_null() : sql_integer(label);
    }
    case COLUMN_REAL:
        return sql_real(*(const double *)field);
    case COLUMN_BOOL:
        return sql_integer(*(const bool *)field);
    case COLUMN_STATUS:
        return sql_text(STATUS_NAMES[*(const enum trial_status *)field]);
    case COLUMN_MEASURED: {
        const struct measured *number = field;
        return number->known ? sql_real(number->value) : sql_null();
    }
    }
    return sql_null();
}

enum status columns_values(const struct column *columns, size_t count, const void *record,
                           struct sql_value *values, struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        values[i] = value_of(&columns[i], record);
        if (values[i].type == SQL_REAL && !isfinite(values[i].real))
            return error_set(err, FAILED,
                             "%s is not a finite number; a result without one is to be recorded as "
                             "failed",
                             columns[i].name);
    }
    return OK;
}

static const char *copy_text(struct sql_value value, struct arena *arena)
{
    if (value.type != SQL_TEXT)
        return NULL;
    return arena_strndup(arena, value.bytes, value.length);
}

static void fill_field(const struct column *column, struct sql_value value, struct arena *arena,
                       void *record)
{
    void *field = (char *)record + column->offset;
    switch (column->kind) {
    case COLUMN_TEXT:
        *(const char **)field = copy_text(value, arena);
        break;
    case COLUMN_INTEGER:
        *(int64_t *)field = value.integer;
        break;
    case COLUMN_SEED:
        *(uint64_t *)field = (uint64_t)value.integer;
        break;
    case COLUMN_LABEL:
        *(int *)field = value.type == SQL_NULL ? NO_LABEL : (int)value.integer;
        break;
    case COLUMN_REAL:
        *(double *)field = value.real;
        break;
    case COLUMN_BOOL:
        *(bool *)field = value.integer != 0;
        break;
    case COLUMN_STATUS:
        *(enum trial_status *)field = status_named(value.bytes);
        break;
    case COLUMN_MEASURED:
        *(struct measured *)field = (struct measured){value.type != SQL_NULL, value.real};
        break;
    }
}

/* ---- Tables --------------------------------------------------------------------------------- */

void table_insertion(const struct table *table, const char *name, size_t count, struct text *out)
{
    text_printf(out, "INSERT INTO %s (", name);
    for (size_t i = 0; i < count; i++)
        text_printf(out, "%s%s", i ? ", " : "", table->columns[i].name);
    text_add(out, ") VALUES (");
    for (size_t i = 0; i < count; i++)
        text_printf(out, "%s?%zu", i ? ", " : "", i + 1);
    text_add(out, ")");
}

static enum status prepare_reading(struct query *query, struct sql *sql, const struct table *table,
                                   const char *from, struct error *err)
{
    struct text statement = {0};
    for (size_t i = 0; i < table->column_count; i++)
        text_printf(&statement, "%s%s", i ? ", " : "SELECT ", table->columns[i].name);
    text_printf(&statement, " FROM %s", from);
    enum status status = query_prepare(query, sql, text_string(&statement), err);
    text_release(&statement);
    return status;
}

/* The records are collected outside the arena, since its blocks cannot grow. */
enum status table_read(struct sql *sql, const struct table *table, const char *from,
                       const struct sql_value *values, size_t value_count, struct arena *arena,
                       void **records, size_t *count, struct error *err)
{
    struct query query = {0};
    struct text collected = {0};
    char *record = memory_alloc(table->record_bytes);
    bool row = false;
    *records = NULL;
    *count = 0;
    enum status status = prepare_reading(&query, sql, table, from, err);
    if (!status)
        status = query_bind(&query, values, value_count, err);
    while (!status && (status = query_next(&query, &row, err)) == OK && row) {
        memset(record, 0, table->record_bytes);
        for (size_t i = 0; i < table->column_count; i++)
            fill_field(&table->columns[i], query_value(&query, (int)i), arena, record);
        text_append(&collected, record, table->record_bytes);
        (*count)++;
    }
    query_release(&query);
    if (!status) {
        *records = arena_alloc(arena, collected.length);
        memcpy(*records, text_string(&collected), collected.length);
    }
    text_release(&collected);
    free(record);
    return status;
}
