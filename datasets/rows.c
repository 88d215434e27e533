/* SPDX-License-Identifier: Apache-2.0 */
#include "datasets/rows.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "datasets/excerpt.h"
#include "datasets/labels.h"
#include "datasets/worked.h"

enum status rows_bad(struct rows *rows, size_t line, const char *reason, struct error *err)
{
    struct dataset *dataset = rows->dataset;
    if (rows->options->on_bad_row == BAD_ROW_ERROR)
        return error_set(err, BAD_DATA, "%s Or leave such rows out with --on-bad-row=skip.",
                         reason);
    if (dataset->skipped_count++ >= DATASET_SKIPPED_LISTED)
        return OK;
    if (dataset->skipped_listed == rows->skipped_capacity) {
        rows->skipped_capacity = rows->skipped_capacity ? 2 * rows->skipped_capacity : 16;
        rows->skipped =
            memory_realloc(rows->skipped, rows->skipped_capacity * sizeof *rows->skipped);
    }
    rows->skipped[dataset->skipped_listed++] =
        (struct skipped_row){line, arena_strdup(&dataset->arena, reason)};
    return OK;
}

enum status rows_complain(struct rows *rows, size_t line, struct error *err, const char *format,
                          ...)
{
    char what[600];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    struct error reason;
    error_set(&reason, BAD_DATA, "%s:%zu: %s; correct or remove the row.", rows->name, line, what);
    return rows_bad(rows, line, reason.text, err);
}

/* Removes white space around the text. */
static void trim(struct text *text)
{
    static const char spaces[] = " \t\r\n\v\f";
    const char *start = text_string(text) + strspn(text_string(text), spaces);
    size_t length = strlen(start);
    while (length && strchr(spaces, start[length - 1]))
        length--;
    if (text->bytes)
        memmove(text->bytes, start, length);
    text->length = length;
    text_append(text, "", 0);
}

/* Replaces the target by the class name that the label map gives for it. */
static enum status apply_label_map(struct rows *rows, size_t line, struct error *err)
{
    const struct dataset_options *o = rows->options;
    if (!o->label_map || o->inputs_only)
        return OK;
    for (size_t i = 0; i < o->label_map_count; i++)
        if (strcmp(o->label_map[i].from, text_string(&rows->target)) == 0) {
            text_clear(&rows->target);
            text_add(&rows->target, o->label_map[i].to);
            return OK;
        }
    return error_set(err, BAD_DATA,
                     "%s:%zu: the target %s is not in the label map given; add it to the map.",
                     rows->name, line, excerpt_string(text_string(&rows->target)).text);
}

static bool has_choices(const struct rows *rows)
{
    return rows->columns.choices != CHOICES_ABSENT;
}

enum status rows_add_choices(struct rows *rows, size_t line, const char *reason, bool *usable,
                             struct error *err)
{
    const char *first = rows->columns.inputs[rows->columns.text_count];
    *usable = true;
    if (!reason)
        reason = choices_complaint(&rows->choices);
    if (!reason && !choices_append(&rows->choices, &rows->input))
        reason = "do not go with an input that has lines like \"A) ...\" itself";
    if (!reason)
        return OK;
    *usable = false;
    text_clear(&rows->input);
    return rows_complain(
        rows, line, err,
        "the choices (column %s) %s (to read the rows without them, name the input "
        "with --input)",
        excerpt_string(first).text, reason);
}

/* One block of memory for all texts of the row. */
static void append_example(struct rows *rows, size_t line)
{
    bool has_target = !rows->options->inputs_only;
    size_t sizes[3] = {rows->input.length + 1, rows->target.length + 1, rows->rationale.length + 1};
    char *block = arena_alloc(&rows->dataset->arena, sizes[0] + sizes[1] + sizes[2]);
    memcpy(block, text_string(&rows->input), sizes[0]);
    memcpy(block + sizes[0], text_string(&rows->target), sizes[1]);
    memcpy(block + sizes[0] + sizes[1], text_string(&rows->rationale), sizes[2]);
    if (rows->count == rows->capacity) {
        rows->capacity = rows->capacity ? 2 * rows->capacity : 256;
        rows->examples = memory_realloc(rows->examples, rows->capacity * sizeof *rows->examples);
        rows->readings = memory_realloc(rows->readings, rows->capacity * sizeof *rows->readings);
    }
    rows->readings[rows->count] = (struct choice_reading){0};
    if (has_choices(rows) && has_target)
        rows->readings[rows->count] =
            choices_read(&rows->choices, text_string(&rows->target), rows->integer);
    rows->examples[rows->count++] = (struct example){
        .input = block,
        .target = has_target ? block + sizes[0] : NULL,
        .rationale = has_target && rows->rationale.length ? block + sizes[0] + sizes[1] : NULL,
        .line = line,
        .label = -1};
}

static void clear_texts(struct rows *rows)
{
    text_clear(&rows->input);
    text_clear(&rows->target);
    text_clear(&rows->rationale);
}

enum status rows_add(struct rows *rows, size_t line, struct error *err)
{
    trim(&rows->target);
    trim(&rows->rationale);
    enum status status = OK;
    const char *input = text_string(&rows->input);
    if (input[strspn(input, " \t\r\n")] == '\0')
        status = rows_complain(rows, line, err, "the input is empty");
    else if (!rows->target.length && !rows->options->inputs_only)
        status = rows->columns.target
                     ? rows_complain(rows, line, err, "the target (column %s) is empty",
                                     excerpt_string(rows->columns.target).text)
                     : rows_complain(rows, line, err, "the answer by the assistant is empty");
    else if ((status = apply_label_map(rows, line, err)) == OK)
        append_example(rows, line);
    clear_texts(rows);
    return status;
}

static bool is_used(const struct rows *rows, const char *name)
{
    const struct columns *columns = &rows->columns;
    if (rows->shape == SHAPE_MESSAGES || rows->shape == SHAPE_CONVERSATIONS)
        return strcmp(name, "system") == 0 || strcmp(name, rows->dataset->input_column) == 0;
    for (size_t i = 0; i < columns->input_count; i++)
        if (strcmp(name, columns->inputs[i]) == 0)
            return true;
    return (columns->target && strcmp(name, columns->target) == 0) ||
           (columns->rationale && strcmp(name, columns->rationale) == 0);
}

/* ---- What all rows together tell ------------------------------------------------------------ */

static enum status report_doubt(const struct rows *rows, size_t i, struct error *err)
{
    return error_set(err, BAD_DATA,
                     "%s:%zu: the target %s could be the text of one choice and the letter or the "
                     "number of another; write the letters of the right choices (A, B ...) in "
                     "column %s.",
                     rows->name, rows->examples[i].line,
                     excerpt_string(rows->examples[i].target).text,
                     excerpt_string(rows->columns.target).text);
}

/* The key of the data that these belong to, unless it fits no row here. */
static enum choice_key find_key(const struct rows *rows, size_t *doubt)
{
    const struct dataset *like = rows->options->like;
    if (like && like->choice_key != CHOICE_NONE)
        for (size_t i = 0; i < rows->count; i++)
            if (choice_place(&rows->readings[i], like->choice_key) >= 0)
                return like->choice_key;
    return choices_key(rows->readings, rows->count, doubt);
}

static enum status settle_choices(struct rows *rows, struct error *err)
{
    static const char letters[CHOICES_MOST][2] = {"A", "B", "C", "D", "E", "F", "G", "H", "I", "J"};
    size_t doubt = 0, kept = 0;
    enum choice_key key = find_key(rows, &doubt);
    if (key == CHOICE_NONE)
        return report_doubt(rows, doubt, err);
    rows->dataset->choice_key = key;
    for (size_t i = 0; i < rows->count; i++) {
        struct example example = rows->examples[i];
        int place = choice_place(&rows->readings[i], key);
        if (place >= 0) {
            example.target = letters[place];
            rows->examples[kept++] = example;
            continue;
        }
        enum status status = rows_complain(
            rows, example.line, err, "the target %s is none of the %d choices (column %s)",
            excerpt_string(example.target).text, rows->readings[i].count,
            excerpt_string(rows->columns.inputs[rows->columns.text_count]).text);
        if (status != OK)
            return status;
    }
    rows->count = kept;
    return OK;
}

/* Whether every target looks like the letter or the number of a choice. */
static bool could_be_choices(const struct rows *rows)
{
    for (size_t i = 0; i < rows->count; i++) {
        const char *target = rows->examples[i].target;
        if (!strchr("0123456789ABCDEFGHIJabcdefghij", *target) || target[1])
            return false;
    }
    return true;
}

/* Choices that are text and no list would leave their letters without a meaning. */
static enum status check_dropped(const struct rows *rows, struct error *err)
{
    const char *dropped = rows->columns.dropped;
    if (!dropped || !could_be_choices(rows))
        return OK;
    const char *input = columns_input_names(&rows->columns, &rows->dataset->arena);
    return error_set(
        err, BAD_DATA,
        "%s:%zu: the target %s could stand for one of the choices in column %s, which "
        "are not a list; write them as [\"yes\", \"no\"], or say --input %s,%s to read "
        "them as text or --input %s to leave them out.",
        rows->name, rows->examples[0].line, excerpt_string(rows->examples[0].target).text,
        excerpt_string(dropped).text, excerpt_clean(input).text, excerpt_clean(dropped).text,
        excerpt_clean(input).text);
}

enum status rows_settle(struct rows *rows, struct error *err)
{
    if (!rows->count || rows->options->inputs_only)
        return OK;
    enum status status = check_dropped(rows, err);
    if (status != OK)
        return status;
    if (has_choices(rows))
        return settle_choices(rows, err);
    worked_settle(rows);
    return OK;
}

/* ---- The columns ---------------------------------------------------------------------------- */

static void list_unused(struct rows *rows)
{
    struct dataset *dataset = rows->dataset;
    dataset->unused_columns =
        arena_alloc(&dataset->arena, (rows->name_count + 1) * sizeof *dataset->unused_columns);
    for (size_t i = 0; i < rows->name_count; i++)
        if (!is_used(rows, rows->names[i]))
            dataset->unused_columns[dataset->unused_count++] = rows->names[i];
}

/* Names the columns that nobody reads, but for the one with the numbers of the classes. */
static void note_unused(struct rows *rows)
{
    struct dataset *dataset = rows->dataset;
    const char *coded = rows->columns.coded;
    const char **unused = memory_alloc((dataset->unused_count + 1) * sizeof *unused);
    size_t count = 0;
    for (size_t i = 0; i < dataset->unused_count; i++)
        if (!coded || strcmp(dataset->unused_columns[i], coded) != 0)
            unused[count++] = dataset->unused_columns[i];
    struct text list = {0};
    columns_list(unused, count, &list);
    if (count && !rows->options->inputs_only)
        dataset_note(dataset, "Not used: column%s %s.", count == 1 ? "" : "s", text_string(&list));
    text_release(&list);
    free(unused);
}

static void note_columns(struct rows *rows)
{
    struct dataset *dataset = rows->dataset;
    note_unused(rows);
    if (rows->columns.coded)
        dataset_note(dataset, "The classes are named by column %s, so %s is not read.",
                     excerpt_string(rows->columns.target).text,
                     excerpt_string(rows->columns.coded).text);
    if (rows->several_answers)
        dataset_note(dataset, "Where a question has several answers, the first is the target.");
    if (dataset->choice_key == CHOICE_FROM_0)
        dataset_note(dataset, "The targets are the numbers of choices, from 0: 0 is A.");
    if (dataset->choice_key == CHOICE_FROM_1)
        dataset_note(dataset, "The targets are the numbers of choices, from 1: 1 is A.");
}

void rows_describe(struct rows *rows)
{
    struct dataset *dataset = rows->dataset;
    dataset->shape = rows->shape;
    if (rows->shape == SHAPE_MESSAGES || rows->shape == SHAPE_CONVERSATIONS) {
        dataset->input_column = rows->shape == SHAPE_MESSAGES ? "messages" : "conversations";
        dataset->target_column = dataset->input_column;
        list_unused(rows);
        note_columns(rows);
        return;
    }
    dataset->input_column = columns_input_names(&rows->columns, &dataset->arena);
    dataset->target_column = rows->columns.target;
    dataset->rationale_column = rows->columns.rationale;
    list_unused(rows);
    note_columns(rows);
}

void rows_release(struct rows *rows)
{
    free(rows->examples);
    free(rows->readings);
    choices_release(&rows->choices);
    free(rows->skipped);
    free(rows->indices);
    text_release(&rows->input);
    text_release(&rows->target);
    text_release(&rows->rationale);
}
