/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows of a CSV or TSV file.
 */
#include <stdint.h>
#include <string.h>

#include "base/memory.h"
#include "datasets/csv.h"
#include "datasets/excerpt.h"
#include "datasets/rows.h"

static const size_t absent = SIZE_MAX;

static size_t index_of(const struct rows *rows, const char *name)
{
    for (size_t i = 0; name && i < rows->name_count; i++)
        if (strcmp(rows->names[i], name) == 0)
            return i;
    return absent;
}

/* indices: the inputs, then the target, then the rationale */
static void find_indices(struct rows *rows)
{
    const struct columns *columns = &rows->columns;
    rows->indices = memory_alloc((INPUT_COLUMNS + 2) * sizeof *rows->indices);
    for (size_t i = 0; i < columns->input_count; i++)
        rows->indices[i] = index_of(rows, columns->inputs[i]);
    rows->indices[INPUT_COLUMNS] = index_of(rows, columns->target);
    rows->indices[INPUT_COLUMNS + 1] = index_of(rows, columns->rationale);
}

static enum status take_header(void *context, const struct csv_record *header, struct error *err)
{
    struct rows *rows = context;
    struct arena *arena = &rows->dataset->arena;
    rows->first_line = header->line;
    rows->name_count = header->count;
    rows->names = arena_alloc(arena, header->count * sizeof *rows->names);
    for (size_t i = 0; i < header->count; i++)
        rows->names[i] = arena_strdup(arena, header->fields[i].bytes);
    struct text where = {0};
    text_printf(&where, "%s:%zu", rows->name, header->line);
    enum status status = columns_find(text_string(&where), rows->names, rows->name_count,
                                      rows->options, arena, &rows->columns, err);
    if (!status)
        status = columns_find_rationale(text_string(&where), rows->names, rows->name_count,
                                        rows->options, arena, &rows->columns, err);
    text_release(&where);
    rows->shape = rows->columns.shape;
    find_indices(rows);
    return status;
}

static const char *value_at(const struct csv_record *record, size_t index)
{
    return index < record->count ? record->fields[index].bytes : "";
}

/* The first cell of what could be choices tells whether it is a list. */
static void settle_choices(struct rows *rows, const struct csv_record *record)
{
    struct columns *columns = &rows->columns;
    if (rows->choices_settled)
        return;
    const char *cell = value_at(record, rows->indices[columns->input_count - 1]);
    cell += strspn(cell, " \t\r\n");
    rows->choices_settled = *cell || columns->choices != CHOICES_LISTED;
    if (*cell && columns->choices == CHOICES_LISTED)
        columns_settle_choices(columns, *cell == '[' || *cell == '{');
}

/* Half a sentence on what is wrong, or NULL. */
static const char *read_choices(struct rows *rows, const struct csv_record *record,
                                struct error *reason)
{
    const struct columns *columns = &rows->columns;
    if (columns->choices == CHOICES_LISTED) {
        const char *cell = value_at(record, rows->indices[columns->text_count]);
        return choices_from_text(&rows->choices, cell, reason) == OK ? NULL : reason->text;
    }
    choices_clear(&rows->choices);
    size_t end = columns->input_count;
    while (end > columns->text_count && !*value_at(record, rows->indices[end - 1]))
        end--;
    for (size_t i = columns->text_count; i < end; i++)
        choices_add(&rows->choices, NULL, value_at(record, rows->indices[i]));
    return NULL;
}

static enum status take_record(void *context, const struct csv_record *record, struct error *err)
{
    struct rows *rows = context;
    const char *values[INPUT_COLUMNS];
    settle_choices(rows, record);
    for (size_t i = 0; i < rows->columns.text_count; i++)
        values[i] = value_at(record, rows->indices[i]);
    const char *missing = columns_join(&rows->columns, values, &rows->input);
    if (missing) {
        text_clear(&rows->input);
        return rows_complain(rows, record->line, err, "the input (column %s) is empty",
                             excerpt_string(missing).text);
    }
    if (rows->columns.choices != CHOICES_ABSENT) {
        struct error reason;
        bool usable;
        enum status status =
            rows_add_choices(rows, record->line, read_choices(rows, record, &reason), &usable, err);
        if (status != OK || !usable)
            return status;
    }
    text_add(&rows->target, value_at(record, rows->indices[INPUT_COLUMNS]));
    text_add(&rows->rationale, value_at(record, rows->indices[INPUT_COLUMNS + 1]));
    return rows_add(rows, record->line, err);
}

static enum status take_bad_record(void *context, size_t line, const char *reason,
                                   struct error *err)
{
    return rows_bad(context, line, reason, err);
}

enum status rows_read_table(struct rows *rows, const char *bytes, size_t size, char delimiter,
                            struct error *err)
{
    const struct dataset_options *o = rows->options;
    struct csv_options options = {delimiter, o->field_limit, o->row_limit, o->skipped_lines};
    struct csv_handler handler = {rows, take_header, take_record, take_bad_record};
    return csv_read(rows->name, bytes, size, &options, &handler, err);
}
