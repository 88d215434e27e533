/* SPDX-License-Identifier: Apache-2.0 */
#include "advisor/reading.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* ---- Writing -------------------------------------------------------------------------------- */

static void put(json_t *object, const char *key, const char *value)
{
    if (value)
        json_object_set_new(object, key, json_string(value));
}

static json_t *label_names(const struct dataset_options *reading)
{
    json_t *names = json_array();
    for (size_t i = 0; i < reading->label_map_count; i++)
        json_array_append_new(
            names, json_pack("[ss]", reading->label_map[i].from, reading->label_map[i].to));
    return names;
}

const char *reading_json(const struct dataset_options *reading, struct arena *arena)
{
    json_t *object = json_object();
    const char delimiter[] = {reading->delimiter, '\0'};
    put(object, "input", reading->input);
    put(object, "label", reading->target);
    put(object, "rationale", reading->rationale);
    put(object, "task", reading->task == TASK_INFER ? NULL : task_name(reading->task));
    put(object, "delimiter", reading->delimiter ? delimiter : NULL);
    put(object, "on_bad_row", reading->on_bad_row == BAD_ROW_SKIP ? "skip" : NULL);
    if (reading->label_map_count)
        json_object_set_new(object, "label_names", label_names(reading));
    char *text = json_dumps(object, JSON_COMPACT | JSON_SORT_KEYS);
    const char *copy = arena_strdup(arena, text ? text : "{}");
    free(text);
    json_decref(object);
    return copy;
}

/* ---- Reading -------------------------------------------------------------------------------- */

/* The string of `key`, or NULL. False when it is something else. */
static bool take(const json_t *object, const char *key, struct arena *arena, const char **value)
{
    const json_t *found = json_object_get(object, key);
    *value = json_is_string(found) ? arena_strdup(arena, json_string_value(found)) : NULL;
    return !found || *value;
}

static bool take_names(const json_t *object, struct arena *arena, struct dataset_options *reading)
{
    const json_t *found = json_object_get(object, "label_names");
    size_t count = json_array_size(found);
    if (!found)
        return true;
    struct label_name *names = arena_alloc(arena, count * sizeof *names + 1);
    for (size_t i = 0; i < count; i++) {
        const json_t *pair = json_array_get(found, i);
        const char *from = json_string_value(json_array_get(pair, 0));
        const char *to = json_string_value(json_array_get(pair, 1));
        if (!from || !to)
            return false;
        names[i] = (struct label_name){arena_strdup(arena, from), arena_strdup(arena, to)};
    }
    reading->label_map = names;
    reading->label_map_count = count;
    return count > 0;
}

static bool take_all(const json_t *object, struct arena *arena, struct dataset_options *reading)
{
    const char *task, *delimiter, *on_bad_row;
    if (!json_is_object(object) || !take(object, "input", arena, &reading->input) ||
        !take(object, "label", arena, &reading->target) ||
        !take(object, "rationale", arena, &reading->rationale) ||
        !take(object, "task", arena, &task) || !take(object, "delimiter", arena, &delimiter) ||
        !take(object, "on_bad_row", arena, &on_bad_row) || !take_names(object, arena, reading))
        return false;
    if (delimiter)
        reading->delimiter = *delimiter;
    if (on_bad_row)
        reading->on_bad_row = BAD_ROW_SKIP;
    return (!task || task_from_name(task, &reading->task)) &&
           (!delimiter || strlen(delimiter) == 1) && (!on_bad_row || !strcmp(on_bad_row, "skip"));
}

enum status reading_parse(const char *json, struct arena *arena, struct dataset_options *reading,
                          struct error *err)
{
    *reading = (struct dataset_options){0};
    json_t *object = json_loads(json, JSON_REJECT_DUPLICATES, NULL);
    bool good = take_all(object, arena, reading);
    json_decref(object);
    if (good)
        return OK;
    return error_set(err, FAILED, "\"%s\" does not say how data are read", json);
}
