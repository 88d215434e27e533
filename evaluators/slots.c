/* SPDX-License-Identifier: Apache-2.0 */
#include "evaluators/slots.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "evaluators/answers.h"

/* Slots as texts: the key, a new line, the value, which as a normalised text has none. */
struct slots {
    char **items; /* (count), each and the list to be freed */
    size_t count, room;
};

static void add_slot(struct slots *slots, const char *key, const char *value)
{
    struct text normal = {0}, slot = {0};
    answer_normalise(value, &normal);
    text_printf(&slot, "%s\n%s", key, text_string(&normal));
    if (slots->count == slots->room) {
        slots->room = slots->room ? 2 * slots->room : 8;
        slots->items = memory_realloc(slots->items, slots->room * sizeof *slots->items);
    }
    slots->items[slots->count++] = memory_strdup(text_string(&slot));
    text_release(&normal);
    text_release(&slot);
}

static void add_scalar(struct slots *slots, const char *key, const json_t *value)
{
    struct text number = {0};
    if (json_is_string(value)) {
        add_slot(slots, key, json_string_value(value));
    } else if (json_is_number(value)) {
        double real = json_number_value(value);
        if (json_is_integer(value))
            text_printf(&number, "%lld", (long long)json_integer_value(value));
        else
            text_printf(&number, "%.*g", real == floor(real) && fabs(real) < 1e15 ? 15 : 17, real);
        add_slot(slots, key, text_string(&number));
    } else {
        add_slot(slots, key, json_is_null(value) ? "null" : json_is_true(value) ? "true" : "false");
    }
    text_release(&number);
}

static void add_item(struct slots *slots, const char *key, const json_t *value)
{
    if (!json_is_object(value) && !json_is_array(value)) {
        add_scalar(slots, key, value);
        return;
    }
    char *whole = json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS);
    add_slot(slots, key, whole ? whole : "");
    free(whole);
}

static void add_value(struct slots *slots, const char *key, const json_t *value)
{
    const char *name;
    json_t *part;
    size_t index;
    if (json_is_array(value))
        json_array_foreach(value, index, part) add_item(slots, key, part);
    else if (!json_is_object(value))
        add_scalar(slots, key, value);
    else
        json_object_foreach((json_t *)value, name, part)
        {
            struct text path = {0};
            text_printf(&path, "%s%s%s", key, *key ? "." : "", name);
            add_value(slots, text_string(&path), part);
            text_release(&path);
        }
}

static json_t *parse(const char *text)
{
    return json_loads(text, JSON_REJECT_DUPLICATES, NULL); /* an object or a list only */
}

bool slots_valid(const char *text)
{
    json_t *value = parse(text);
    json_decref(value);
    return value != NULL;
}

static int compare_slots(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorted; none when the text is not valid, which is returned. */
static bool read_slots(const char *text, struct slots *slots)
{
    json_t *value = parse(text);
    if (!value)
        return false;
    add_value(slots, "", value);
    json_decref(value);
    if (slots->count)
        qsort(slots->items, slots->count, sizeof *slots->items, compare_slots);
    return true;
}

static void release_slots(struct slots *slots)
{
    for (size_t i = 0; i < slots->count; i++)
        free(slots->items[i]);
    free(slots->items);
}

struct slot_counts slots_compare(const char *answer, const char *target)
{
    struct slots a = {0}, b = {0};
    bool valid = read_slots(answer, &a);
    read_slots(target, &b);
    struct slot_counts counts = {.answered = a.count, .expected = b.count, .valid = valid};
    for (size_t i = 0, k = 0; i < a.count && k < b.count;) {
        int order = strcmp(a.items[i], b.items[k]);
        counts.hits += order == 0;
        i += order <= 0;
        k += order >= 0;
    }
    release_slots(&a);
    release_slots(&b);
    return counts;
}

bool slots_equal(const char *answer, const char *target)
{
    struct slot_counts counts = slots_compare(answer, target);
    return counts.valid && counts.hits == counts.answered && counts.hits == counts.expected;
}
