/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON Schema, as much of draft 2020-12 as reports/schema/ uses: type, enum, const, properties,
 * required, additionalProperties, items, oneOf, minimum, maximum, minLength, pattern (a POSIX
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
                                         "properties", "required", "items", "additionalProperties",
                                         "oneOf"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (!strcmp(keyword, others[i]))
            return true;
    fail_msg("the schema uses \"%s\", which this reader does not know", keyword);
    return false;
}

/* How many of the alternatives hold. */
static inline size_t schema_matches(struct schema *schema, const json_t *alternatives,
                                    const json_t *value, const char *where)
{
    size_t i, matches = 0;
    json_t *rule;
    json_array_foreach(alternatives, i, rule)
    {
        struct schema attempt = {.root = schema->root};
        matches += schema_check(&attempt, rule, value, where);
        text_release(&attempt.fault);
    }
    return matches;
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
    const json_t *alternatives = json_object_get(rule, "oneOf");
    if (alternatives && schema_matches(schema, alternatives, value, where) != 1)
        return schema_refuse(schema, where, "oneOf");
    if (json_is_object(value))
        return schema_members(schema, rule, value, where);
    return json_is_array(value) ? schema_items(schema, rule, value, where) : true;
}

static inline json_t *schema_load(const char *name)
{
    char path[128];
    json_error_t problem;
    snprintf(path, sizeof path, "reports/schema/%s.schema.json", name);
    json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &problem);
    if (!root)
        fail_msg("%s: %s on line %d", path, problem.text, problem.line);
    return root;
}

/* Whether `json` is valid by reports/schema/NAME.schema.json; otherwise `fault`, when not NULL,
 * gets the first reason. */
static inline bool schema_accepts(const char *name, const char *json, struct text *fault)
{
    json_error_t problem;
    struct schema schema = {.root = schema_load(name)};
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

static inline void schema_must_accept_value(const char *name, const json_t *value)
{
    struct schema schema = {.root = schema_load(name)};
    if (!schema_check(&schema, schema.root, value, ""))
        fail_msg("not valid by %s: %s", name, text_string(&schema.fault));
    json_decref(schema.root);
}

/* ---- A schema that lets nothing pass ----------------------------------------------------------
 */

struct strictness {
    json_t *root, *whole;        /* the schema, and a valid value that is changed and mended */
    const char *const *free_for; /* members whose keys are data, NULL at the end */
    const char *const *optional; /* members that may be missing, NULL at the end */
};

static inline bool schema_listed(const char *const *names, const char *name)
{
    while (*names && strcmp(*names, name) != 0)
        names++;
    return *names != NULL;
}

static inline void schema_refuses_now(const struct strictness *s, const char *what,
                                      const char *where)
{
    struct schema schema = {.root = s->root};
    if (schema_check(&schema, schema.root, s->whole, ""))
        fail_msg("%s %s is accepted", where, what);
    text_release(&schema.fault);
}

static inline void schema_is_strict(const struct strictness *s, json_t *value, const char *where);

static inline void schema_member_is_strict(const struct strictness *s, json_t *object,
                                           const char *key, json_t *member, const char *where)
{
    struct text path = {0};
    text_printf(&path, "%s/%s", where, key);
    json_object_del(object, key);
    if (!schema_listed(s->optional, key))
        schema_refuses_now(s, "missing", text_string(&path));
    json_object_set(object, key, member);
    if (!schema_listed(s->free_for, key))
        schema_is_strict(s, member, text_string(&path));
    text_release(&path);
}

static inline void schema_is_strict(const struct strictness *s, json_t *value, const char *where)
{
    enum { ITEMS = 4 }; /* of an array: they are alike */
    const char *key;
    json_t *member;
    for (size_t i = 0; i < json_array_size(value) && i < ITEMS; i++)
        schema_is_strict(s, json_array_get(value, i), where);
    if (!json_is_object(value))
        return;
    json_object_set_new(value, "planted", json_null());
    schema_refuses_now(s, "with a key more", where);
    json_object_del(value, "planted");
    json_t *copy = json_copy(value); /* what is walked does not change */
    json_object_foreach(copy, key, member) schema_member_is_strict(s, value, key, member, where);
    json_decref(copy);
}

/* `json` is valid, and is not with a key more or less anywhere in it; keys below the members
 * `free_for` are data, and the members `optional` may be missing. */
static inline void schema_must_be_strict(const char *name, const char *json,
                                         const char *const *free_for, const char *const *optional)
{
    schema_must_accept(name, json);
    struct strictness s = {schema_load(name), json_loads(json, 0, NULL), free_for, optional};
    schema_is_strict(&s, s.whole, name);
    json_decref(s.whole);
    json_decref(s.root);
}

#endif
