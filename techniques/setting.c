/* SPDX-License-Identifier: Apache-2.0 */
#include "techniques/setting.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "techniques/prompt.h"
#include "techniques/technique.h"
#include "techniques/trainer.h"

static size_t table_length(const struct hyperparameter *table)
{
    size_t length = 0;
    while (table && table[length].name)
        length++;
    return length;
}

const struct hyperparameter *setting_hyperparameter(const struct technique *technique, size_t index)
{
    const struct hyperparameter *tables[] = {
        technique->hyperparameters,
        technique->needs & NEEDS_MODEL ? prompt_hyperparameters() : NULL,
        technique->needs & NEEDS_GRADIENT ? trainer_hyperparameters() : NULL,
    };
    for (size_t t = 0; t < sizeof tables / sizeof *tables; t++) {
        size_t length = table_length(tables[t]);
        if (index < length)
            return &tables[t][index];
        index -= length;
    }
    return NULL;
}

/* Index of the hyper-parameter `name` (of `length` bytes), or -1. */
static int find(const struct technique *technique, const char *name, size_t length)
{
    const struct hyperparameter *h;
    for (size_t i = 0; (h = setting_hyperparameter(technique, i)); i++)
        if (strlen(h->name) == length && !memcmp(h->name, name, length))
            return (int)i;
    return -1;
}

/* The middle one of the technique's learning rates, or of any list "a,b,c". */
static double middle_of(const char *list)
{
    size_t commas = 0;
    for (const char *c = list; *c; c++)
        commas += *c == ',';
    const char *at = list;
    for (size_t i = 0; i < commas / 2; i++)
        at = strchr(at, ',') + 1;
    return strtod(at, NULL);
}

static struct value value_default(const struct technique *technique, const struct hyperparameter *h)
{
    struct value value = {.text = h->fallback};
    if (h->kind == VALUE_INTEGER || h->kind == VALUE_REAL)
        value.number = strtod(h->fallback, NULL);
    if (technique->learning_rates && !strcmp(h->name, "learning_rate"))
        value.number = middle_of(technique->learning_rates);
    return value;
}

struct setting setting_default(const struct technique *technique)
{
    struct setting setting = {.technique = technique};
    const struct hyperparameter *h;
    for (size_t i = 0; (h = setting_hyperparameter(technique, i)); i++)
        setting.values[i] = value_default(technique, h);
    return setting;
}

static bool is_choice(const char *choices, const char *text)
{
    size_t length = strcspn(text, "|");
    if (!length || text[length])
        return false;
    for (const char *at = choices; at; at = strchr(at, '|') ? strchr(at, '|') + 1 : NULL)
        if (!strncmp(at, text, length) && (at[length] == '|' || !at[length]))
            return true;
    return false;
}

static enum status refuse(const struct setting *setting, const struct hyperparameter *h,
                          const char *text, struct error *err)
{
    const char *name = setting->technique->name;
    if (h->kind == VALUE_CHOICE)
        return error_set(err, USAGE, "%s: %s=%s is not possible; expected one of %s", name, h->name,
                         text, h->choices);
    return error_set(err, USAGE, "%s: %s=%s is not possible; expected %s from %g to %g", name,
                     h->name, text, h->kind == VALUE_INTEGER ? "a whole number" : "a number",
                     h->low, h->high);
}

static enum status parse_value(const struct setting *setting, const struct hyperparameter *h,
                               const char *text, struct value *value, struct error *err)
{
    value->text = text;
    if (h->kind == VALUE_TEXT && !utf8_valid(text, strlen(text), NULL)) /* JSON could not keep it */
        return error_set(err, USAGE, "%s: %s is not valid UTF-8; expected text",
                         setting->technique->name, h->name);
    if (h->kind == VALUE_TEXT)
        return OK;
    if (h->kind == VALUE_CHOICE)
        return is_choice(h->choices, text) ? OK : refuse(setting, h, text, err);
    char *end;
    value->number = strtod(text, &end);
    bool whole = value->number == floor(value->number);
    if (end == text || *end || !isfinite(value->number) || value->number < h->low ||
        value->number > h->high || (h->kind == VALUE_INTEGER && !whole))
        return refuse(setting, h, text, err);
    return OK;
}

static enum status unknown(const struct setting *setting, const char *assignment, struct error *err)
{
    struct text names = {0};
    const struct hyperparameter *h;
    for (size_t i = 0; (h = setting_hyperparameter(setting->technique, i)); i++)
        text_printf(&names, "%s%s", i ? ", " : "", h->name);
    enum status status =
        error_set(err, USAGE, "%s: cannot set \"%s\"; expected name=value with one of the names %s",
                  setting->technique->name, assignment, text_string(&names));
    text_release(&names);
    return status;
}

enum status setting_set(struct setting *setting, const char *assignment, struct arena *arena,
                        struct error *err)
{
    const char *equals = strchr(assignment, '=');
    int index = equals ? find(setting->technique, assignment, (size_t)(equals - assignment)) : -1;
    if (index < 0)
        return unknown(setting, assignment, err);
    const struct hyperparameter *h = setting_hyperparameter(setting->technique, (size_t)index);
    struct value value = {0};
    enum status status = parse_value(setting, h, arena_strdup(arena, equals + 1), &value, err);
    if (status == OK)
        setting->values[index] = value;
    return status;
}

static int must_find(const struct setting *setting, const char *name)
{
    int index = find(setting->technique, name, strlen(name));
    return index < 0 ? 0 : index;
}

void setting_set_number(struct setting *setting, const char *name, double number,
                        struct arena *arena)
{
    char text[32];
    snprintf(text, sizeof text, "%.12g", number);
    setting->values[must_find(setting, name)] =
        (struct value){.number = number, .text = arena_strdup(arena, text)};
}

double setting_number(const struct setting *setting, const char *name)
{
    return setting->values[must_find(setting, name)].number;
}

int setting_integer(const struct setting *setting, const char *name)
{
    return (int)setting_number(setting, name);
}

const char *setting_text(const struct setting *setting, const char *name)
{
    return setting->values[must_find(setting, name)].text;
}

bool setting_has(const struct setting *setting, const char *name)
{
    return find(setting->technique, name, strlen(name)) >= 0;
}

const char *setting_difference(const struct setting *a, const struct setting *b)
{
    size_t count = table_length(a->technique->hyperparameters) +
                   (a->technique->needs & NEEDS_MODEL ? table_length(prompt_hyperparameters()) : 0);
    for (size_t i = 0; i < count; i++) {
        const struct hyperparameter *h = setting_hyperparameter(a->technique, i);
        double x = a->values[i].number, y = b->values[i].number;
        bool same = h->kind == VALUE_INTEGER || h->kind == VALUE_REAL
                        ? fabs(x - y) <= 1e-11 * fabs(x) /* as stored in JSON */
                        : !strcmp(a->values[i].text, b->values[i].text);
        if (!same)
            return h->name;
    }
    return NULL;
}

static json_t *value_json(const struct hyperparameter *h, const struct value *value)
{
    if (h->kind == VALUE_INTEGER)
        return json_integer((json_int_t)value->number);
    if (h->kind == VALUE_REAL)
        return json_real(value->number);
    return json_string(value->text);
}

void setting_json(const struct setting *setting, struct text *out)
{
    json_t *object = json_object();
    const struct hyperparameter *h;
    for (size_t i = 0; (h = setting_hyperparameter(setting->technique, i)); i++)
        json_object_set_new(object, h->name, value_json(h, &setting->values[i]));
    char *dump = json_dumps(object, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(12));
    text_add(out, dump);
    free(dump);
    json_decref(object);
}

/* The text a user would write for a JSON value, in `arena`; NULL for an array, object or null. */
static const char *as_written(const json_t *value, struct arena *arena)
{
    char number[40];
    if (json_is_string(value))
        return arena_strdup(arena, json_string_value(value));
    if (!json_is_number(value))
        return NULL;
    snprintf(number, sizeof number, "%.12g", json_number_value(value));
    return arena_strdup(arena, number);
}

enum status setting_parse(const struct technique *technique, const char *json,
                          struct setting *setting, struct arena *arena, struct error *err)
{
    json_error_t fault;
    json_t *object = json_loads(json, JSON_REJECT_DUPLICATES, &fault);
    if (!json_is_object(object)) {
        json_decref(object);
        return error_set(err, FAILED, "%s: a stored setting is not a JSON object: %s",
                         technique->name, json);
    }
    *setting = setting_default(technique);
    enum status status = OK;
    const struct hyperparameter *h;
    for (size_t i = 0; status == OK && (h = setting_hyperparameter(technique, i)); i++) {
        const json_t *value = json_object_get(object, h->name);
        const char *text = value ? as_written(value, arena) : NULL;
        if (text)
            status = parse_value(setting, h, text, &setting->values[i], err);
        else if (value)
            status = refuse(setting, h, "(no text or number)", err);
    }
    json_decref(object);
    return status;
}
