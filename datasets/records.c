/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows of a JSONL file or a JSON array.
 */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "datasets/chat.h"
#include "datasets/excerpt.h"
#include "datasets/jsonl.h"
#include "datasets/rows.h"

enum { MOST_NAMES = 64 };

/* The keys of a record, as an array to be freed; they live as long as the record. */
static const char **keys_of(const json_t *record, size_t *count)
{
    json_t *object = (json_t *)record; /* the iterator of jansson only reads */
    const char **keys = memory_alloc(json_object_size(record) * sizeof *keys);
    *count = 0;
    for (void *at = json_object_iter(object); at; at = json_object_iter_next(object, at))
        keys[(*count)++] = json_object_iter_key(at);
    return keys;
}

/* Adds the input columns that the options name to the keys of a record. In a later part of a file
 * they are known to exist, although the first record of the part may lack one. */
static const char **add_known(const struct rows *rows, const char **keys, size_t *count)
{
    const struct dataset_options *o = rows->options;
    struct arena *arena = &rows->dataset->arena;
    if (!o->part || !o->skipped_lines || !o->input)
        return keys;
    keys = memory_realloc(keys, (*count + strlen(o->input) + 1) * sizeof *keys);
    for (const char *name = o->input;; name++) {
        size_t length = strcspn(name, ",");
        const char *copy = arena_strndup(arena, name, length);
        size_t i = 0;
        while (i < *count && strcmp(keys[i], copy) != 0)
            i++;
        if (i == *count)
            keys[(*count)++] = copy;
        name += length;
        if (*name == '\0')
            return keys;
    }
}

static enum status find_columns(struct rows *rows, size_t line, const json_t *record,
                                struct columns *columns, struct error *err)
{
    size_t count;
    const char **keys = add_known(rows, keys_of(record, &count), &count);
    struct text where = {0};
    text_printf(&where, "%s:%zu", rows->name, line);
    enum status status = columns_find(text_string(&where), keys, count, rows->options,
                                      &rows->dataset->arena, columns, err);
    text_release(&where);
    free(keys);
    return status;
}

/* The first record that has a rationale decides which key it is. */
static enum status find_rationale(struct rows *rows, size_t line, const json_t *record,
                                  struct error *err)
{
    const char *wish = rows->options->rationale;
    if (rows->columns.rationale || (wish && !json_object_get(record, wish)))
        return OK;
    size_t count;
    const char **keys = keys_of(record, &count);
    struct text where = {0};
    text_printf(&where, "%s:%zu", rows->name, line);
    enum status status = columns_find_rationale(text_string(&where), keys, count, rows->options,
                                                &rows->dataset->arena, &rows->columns, err);
    text_release(&where);
    free(keys);
    return status;
}

static bool names_columns(const struct rows *rows)
{
    return rows->options->input || rows->options->target;
}

static enum data_shape shape_of(const struct rows *rows, const json_t *record)
{
    if (names_columns(rows))
        return SHAPE_COLUMNS;
    enum data_shape shape = chat_shape(record);
    if (shape != SHAPE_COLUMNS)
        return shape;
    size_t count;
    const char **keys = keys_of(record, &count);
    for (size_t i = 0; i < count; i++)
        if (columns_is_instruction(keys[i]))
            shape = SHAPE_ALPACA;
    free(keys);
    return shape;
}

static bool is_chat(enum data_shape shape)
{
    return shape == SHAPE_MESSAGES || shape == SHAPE_CONVERSATIONS;
}

/* Adds the keys of a record to the names, so that one which is not used can be told of. Those of
 * the first records will do where there is no end of them. */
static void add_names(struct rows *rows, const json_t *record)
{
    struct arena *arena = &rows->dataset->arena;
    if (!rows->names)
        rows->names = arena_alloc(arena, MOST_NAMES * sizeof *rows->names);
    json_t *object = (json_t *)record; /* the iterator of jansson only reads */
    for (void *at = json_object_iter(object); at; at = json_object_iter_next(object, at)) {
        const char *key = json_object_iter_key(at);
        size_t i = 0;
        while (i < rows->name_count && strcmp(rows->names[i], key) != 0)
            i++;
        if (i == rows->name_count && i < MOST_NAMES)
            rows->names[rows->name_count++] = arena_strdup(arena, key);
    }
}

static enum status take_first(struct rows *rows, size_t line, const json_t *record,
                              enum data_shape shape, struct error *err)
{
    rows->first_line = line;
    rows->shape = shape;
    return is_chat(shape) ? OK : find_columns(rows, line, record, &rows->columns, err);
}

static enum status report_mixed(const struct rows *rows, size_t line, const char *here,
                                const char *first, struct error *err)
{
    return error_set(err, BAD_DATA,
                     "%s:%zu: this record has the shape %s, but line %zu has the shape %s; one "
                     "file must have one shape, so convert these records or put them in a file of "
                     "their own.",
                     rows->name, line, here, rows->first_line, first);
}

/* A record that lacks the input key: is it laid out differently, or only incomplete? */
static enum status check_layout(struct rows *rows, size_t line, const json_t *record,
                                struct error *err)
{
    const struct columns *mine = &rows->columns;
    struct columns other;
    if (names_columns(rows) || json_object_get(record, mine->inputs[0]) ||
        (mine->target && json_object_get(record, mine->target)))
        return OK;
    if (find_columns(rows, line, record, &other, NULL))
        return OK;
    struct text here = {0};
    struct text first = {0};
    text_printf(&here, "%s -> %s", other.inputs[0], other.target ? other.target : "-");
    text_printf(&first, "%s -> %s", mine->inputs[0], mine->target ? mine->target : "-");
    enum status status = report_mixed(rows, line, excerpt_string(text_string(&here)).text,
                                      excerpt_string(text_string(&first)).text, err);
    text_release(&here);
    text_release(&first);
    return status;
}

/* "is missing", "is null", "is empty" or "is a number where text is expected". */
static enum status complain_of(struct rows *rows, size_t line, const char *what, const char *key,
                               const json_t *value, struct error *err)
{
    struct excerpt quoted = excerpt_string(key);
    const char *name = quoted.text;
    if (!value)
        return rows_complain(rows, line, err, "the %s (key %s) is missing", what, name);
    if (json_is_null(value) || json_is_string(value))
        return rows_complain(rows, line, err, "the %s (key %s) is %s", what, name,
                             json_is_null(value) ? "null" : "empty");
    return rows_complain(rows, line, err,
                         "the %s (key %s) is %s where text is expected (name other keys with "
                         "--input)",
                         what, name, jsonl_type_name(value));
}

static bool is_absent(const json_t *value)
{
    return !value || json_is_null(value) ||
           (json_is_string(value) && json_string_length(value) == 0);
}

static void add_value(const json_t *value, struct text *out)
{
    if (json_is_string(value)) {
        text_add(out, json_string_value(value));
        return;
    }
    char *text = jsonl_value_text(value);
    text_add(out, text ? text : "");
    free(text);
}

static bool is_list(const json_t *value)
{
    return json_is_array(value) || json_is_object(value);
}

/* The first value of what could be choices tells whether it is a list. */
static void settle_choices(struct rows *rows, const json_t *record)
{
    struct columns *columns = &rows->columns;
    const json_t *value = json_object_get(record, columns->inputs[columns->input_count - 1]);
    if (rows->choices_settled || is_absent(value))
        return;
    const char *text = json_string_value(value);
    columns_settle_choices(columns, is_list(value) || (text && (*text == '[' || *text == '{') &&
                                                       columns->choices == CHOICES_LISTED));
    rows->choices_settled = true;
}

/* Half a sentence on what is wrong, or NULL. */
static const char *read_choices(struct rows *rows, const json_t *record, struct error *reason)
{
    const struct columns *columns = &rows->columns;
    const json_t *value = json_object_get(record, columns->inputs[columns->text_count]);
    if (columns->choices == CHOICES_LISTED) {
        if (!value || json_is_null(value))
            return value ? "are null" : "are missing";
        enum status status =
            json_is_string(value)
                ? choices_from_text(&rows->choices, json_string_value(value), reason)
                : choices_from_json(&rows->choices, value, reason);
        return status == OK ? NULL : reason->text;
    }
    choices_clear(&rows->choices);
    size_t end = columns->input_count;
    while (end > columns->text_count &&
           is_absent(json_object_get(record, columns->inputs[end - 1])))
        end--;
    for (size_t i = columns->text_count; i < end; i++) {
        value = json_object_get(record, columns->inputs[i]);
        if (!is_absent(value) && !json_is_string(value) && !json_is_number(value))
            return "are not all texts";
        char *text = json_is_number(value) ? jsonl_value_text(value) : NULL;
        choices_add(&rows->choices, NULL,
                    text               ? text
                    : is_absent(value) ? ""
                                       : json_string_value(value));
        free(text);
    }
    return NULL;
}

/* The input; `*usable` is false when the row was bad and has been dealt with. */
static enum status read_input(struct rows *rows, size_t line, const json_t *record, bool *usable,
                              struct error *err)
{
    const struct columns *columns = &rows->columns;
    const char *values[INPUT_COLUMNS];
    *usable = false;
    settle_choices(rows, record);
    for (size_t i = 0; i < columns->text_count; i++) {
        const json_t *value = json_object_get(record, columns->inputs[i]);
        if (!is_absent(value) && !json_is_string(value))
            return complain_of(rows, line, "input", columns->inputs[i], value, err);
        values[i] = json_string_value(value);
    }
    const char *missing = columns_join(columns, values, &rows->input);
    if (missing)
        return complain_of(rows, line, "input", missing, json_object_get(record, missing), err);
    *usable = true;
    if (columns->choices == CHOICES_ABSENT)
        return OK;
    struct error reason;
    return rows_add_choices(rows, line, read_choices(rows, record, &reason), usable, err);
}

/* SQuAD keeps the answers to a question as {"text": [...], "answer_start": [...]}: the first of
 * them is the target. */
static const json_t *answer_of(struct rows *rows, const json_t *target)
{
    const json_t *texts = json_object_get(target, "text");
    if (!json_object_get(target, "answer_start") || !json_is_array(texts))
        return target;
    rows->several_answers = rows->several_answers || json_array_size(texts) > 1;
    return json_array_get(texts, 0);
}

/* The target and the rationale. */
static enum status read_rest(struct rows *rows, size_t line, const json_t *record, bool *usable,
                             struct error *err)
{
    const struct columns *columns = &rows->columns;
    if (rows->options->inputs_only)
        return OK;
    *usable = false;
    const json_t *target = answer_of(rows, json_object_get(record, columns->target));
    if (is_absent(target))
        return complain_of(rows, line, "target", columns->target, target, err);
    if (json_is_array(target) && name_is(columns->target, "labels"))
        return rows_complain(rows, line, err,
                             "the target (key %s) is a list of labels, and one label for each row "
                             "is read",
                             excerpt_string(columns->target).text);
    const json_t *rationale =
        columns->rationale ? json_object_get(record, columns->rationale) : NULL;
    if (!is_absent(rationale) && !json_is_string(rationale))
        return rows_complain(rows, line, err,
                             "the rationale (key %s) is %s where text is expected (name another "
                             "key with --rationale, or \"\" for none)",
                             excerpt_string(columns->rationale).text, jsonl_type_name(rationale));
    add_value(target, &rows->target);
    rows->integer = json_is_integer(target);
    if (rationale && json_is_string(rationale))
        text_add(&rows->rationale, json_string_value(rationale));
    *usable = true;
    return OK;
}

static enum status read_chat(struct rows *rows, size_t line, const json_t *record, bool *usable,
                             struct error *err)
{
    struct error reason;
    *usable = chat_read(record, rows->shape, rows->options->inputs_only, &rows->input,
                        &rows->target, &reason) == OK;
    return *usable ? OK : rows_complain(rows, line, err, "%s", reason.text);
}

static enum status read_columns(struct rows *rows, size_t line, const json_t *record, bool *usable,
                                struct error *err)
{
    enum status status = check_layout(rows, line, record, err);
    if (!status)
        status = find_rationale(rows, line, record, err);
    if (!status)
        status = read_input(rows, line, record, usable, err);
    return status || !*usable ? status : read_rest(rows, line, record, usable, err);
}

static enum status take_record(void *context, size_t line, const json_t *record, struct error *err)
{
    struct rows *rows = context;
    enum data_shape shape = shape_of(rows, record);
    enum status status = OK;
    if (!rows->first_line)
        status = take_first(rows, line, record, shape, err);
    else if (shape != rows->shape)
        status =
            report_mixed(rows, line, data_shape_name(shape), data_shape_name(rows->shape), err);
    if (status)
        return status;
    bool usable = false;
    add_names(rows, record);
    if (is_chat(shape))
        status = read_chat(rows, line, record, &usable, err);
    else
        status = read_columns(rows, line, record, &usable, err);
    if (!status && usable)
        return rows_add(rows, line, err);
    text_clear(&rows->input);
    text_clear(&rows->target);
    return status;
}

static enum status take_bad_record(void *context, size_t line, const char *reason,
                                   struct error *err)
{
    return rows_bad(context, line, reason, err);
}

enum status rows_read_json(struct rows *rows, const char *bytes, size_t size, struct error *err)
{
    struct jsonl_handler handler = {rows, take_record, take_bad_record,
                                    rows->options->skipped_lines};
    bool is_array = false;
    enum status status =
        jsonl_read(rows->name, bytes, size, rows->options->row_limit, &handler, &is_array, err);
    rows->dataset->format = is_array ? FORMAT_JSON : FORMAT_JSONL;
    const char *wish = rows->options->rationale;
    if (!status && rows->first_line && wish && *wish && !is_chat(rows->shape) &&
        !rows->columns.rationale)
        return error_set(err, USAGE, "%s: no record has the key %s that --rationale names.",
                         rows->name, excerpt_string(wish).text);
    return status;
}
