/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON Schema, as much of draft 2020-12 as reports/schema/ uses: type, enum, const, properties,
 * required, additionalProperties, items, minimum, maximum, minLength, pattern (a POSIX
 * expression) and $ref into $defs. A keyword besides these, and those that only describe, is a
 * fault of the schema. To be included after cmocka.h.
 */
#ifndef TESTS_JSON_SCHEMA_H
#define TESTS_JSON_SCHEMA_H

#include <jansson.h>
#include <regex.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

struct schema {
    json_t *root;
    struct text fault; /* the first one: where it is, and which keyword says so */
};

static inline bool schema_check(struct schema *schema, const json_t *rule, const json_t *value,
                                const char *where);

static inline bool schema_refuse(struct schema *schema, const char *where, const char *keyword)
{
    if (!schema->fault.length)
        text_printf(&schema->fault, "%s: %s", where, keyword);
    return false;
}

static inline bool schema_has_type(const char *type, const json_t *value)
{
    bool whole =
        json_is_real(value) && json_real_value(value) == (double)(json_int_t)json_real_value(value);
    return (!strcmp(type, "object") && json_is_object(value)) ||
           (!strcmp(type, "array") && json_is_array(value)) ||
           (!strcmp(type, "string") && json_is_string(value)) ||
           (!strcmp(type, "boolean") && json_is_boolean(value)) ||
           (!strcmp(type, "null") && json_is_null(value)) ||
           (!strcmp(type, "number") && json_is_number(value)) ||
           (!strcmp(type, "integer") && (json_is_integer(value) || whole));
}

static inline bool schema_type(const json_t *types, const json_t *value)
{
    size_t i;
    json_t *type;
    if (json_is_string(types))
        return schema_has_type(json_string_value(types), value);
    json_array_foreach(types, i,
                       type) if (schema_has_type(json_string_value(type), value)) return true;
    return false;
}

static inline bool schema_enum(const json_t *values, const json_t *value)
{
    size_t i;
    json_t *one;
    json_array_foreach(values, i, one) if (json_equal(one, value)) return true;
    return false;
}

static inline bool schema_pattern(const char *pattern, const char *string)
{
    regex_t expression;
    assert_int_equal(regcomp(&expression, pattern, REG_EXTENDED | REG_NOSUB), 0);
    bool good = regexec(&expression, string, 0, NULL, 0) == 0;
    regfree(&expression);
    return good;
}

static inline bool schema_members(struct schema *schema, const json_t *rule, const json_t *value,
                                  const char *where)
{
    const json_t *properties = json_object_get(rule, "properties");
    const char *key;
    json_t *member, *name;
    size_t i;
    char path[512];
    json_array_foreach(json_object_get(rule, "required"), i, name)
    {
        snprintf(path, sizeof path, "%s/%s", where, json_string_value(name));
        if (!json_object_get(value, json_string_value(name)))
            return schema_refuse(schema, path, "required");
    }
    json_object_foreach((json_t *)value, key, member)
    {
        const json_t *inner = json_object_get(properties, key);
        snprintf(path, sizeof path, "%s/%s", where, key);
        if (!inner)
            inner = json_object_get(rule, "additionalProperties");
        if (json_is_false(inner))
            return schema_refuse(schema, path, "additionalProperties");
        if (json_is_object(inner) && !schema_check(schema, inner, member, path))
            return false;
    }
    return true;
}

static inline bool schema_items(struct schema *schema, const json_t *rule, const json_t *value,
                                const char *where)
{
    const json_t *inner = json_object_get(rule, "items");
    size_t i;
    json_t *item;
    char path[512];
    if (!inner)
        return true;
    json_array_foreach(value, i, item)
    {
        snprintf(path, sizeof path, "%s/%zu", where, i);
        if (!schema_check(schema, inner, item, path))
            return false;
    }
    return true;
}

/* One keyword with its argument. */
static inline bool schema_keyword(const char *keyword, const json_t *argument, const json_t *value)
{
    double number = json_number_value(value), limit = json_number_value(argument);
    const char *string = json_string_value(value);
    if (!strcmp(keyword, "type"))
        return schema_type(argument, value);
    if (!strcmp(keyword, "enum"))
        return schema_enum(argument, value);
    if (!strcmp(keyword, "const"))
        return json_equal(argument, value);
    if (!strcmp(keyword, "minimum"))
        return !json_is_number(value) || number >= limit;
    if (!strcmp(keyword, "maximum"))
        return !json_is_number(value) || number <= limit;
    if (!strcmp(keyword, "minLength"))
        return !string || (double)strlen(string) >= limit;
    if (!strcmp(keyword, "pattern"))
        return !string || schema_pattern(json_string_value(argument), string);
    static const char *const others[] = {"$schema",    "$defs",    "title", "description",
                                         "properties", "required", "items", "additionalProperties"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (!strcmp(keyword, others[i]))
            return true;
    fail_msg("the schema uses \"%s\", which this reader does not know", keyword);
    return false;
}

static inline bool schema_check(struct schema *schema, const json_t *rule, const json_t *value,
                                const char *where)
{
    const char *keyword, *name = json_string_value(json_object_get(rule, "$ref"));
    json_t *argument;
    if (name) {
        assert_int_equal(strncmp(name, "#/$defs/", 8), 0);
        rule = json_object_get(json_object_get(schema->root, "$defs"), name + 8);
        assert_non_null(rule);
    }
    json_object_foreach(
        (json_t *)rule, keyword,
        argument) if (!schema_keyword(keyword, argument, value)) return schema_refuse(schema, where,
                                                                                      keyword);
    if (json_is_object(value))
        return schema_members(schema, rule, value, where);
    return json_is_array(value) ? schema_items(schema, rule, value, where) : true;
}

/* Whether `json` is valid by reports/schema/NAME.schema.json; otherwise `fault`, when not NULL,
 * gets the first reason. */
static inline bool schema_accepts(const char *name, const char *json, struct text *fault)
{
    char path[128];
    json_error_t problem;
    snprintf(path, sizeof path, "reports/schema/%s.schema.json", name);
    struct schema schema = {.root = json_load_file(path, JSON_REJECT_DUPLICATES, &problem)};
    if (!schema.root)
        fail_msg("%s: %s on line %d", path, problem.text, problem.line);
    json_t *value = json_loads(json, JSON_REJECT_DUPLICATES, &problem);
    bool good = value ? schema_check(&schema, schema.root, value, "")
                      : schema_refuse(&schema, "", problem.text);
    if (fault)
        text_add(fault, text_string(&schema.fault));
    text_release(&schema.fault);
    json_decref(value);
    json_decref(schema.root);
    return good;
}

static inline void schema_must_accept(const char *name, const char *json)
{
    struct text fault = {0};
    if (!schema_accepts(name, json, &fault))
        fail_msg("not valid by %s: %s", name, text_string(&fault));
    text_release(&fault);
}

#endif
