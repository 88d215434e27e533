/* SPDX-License-Identifier: Apache-2.0 */
#include "datasets/choices.h"

#include <stdlib.h>
#include <string.h>

#include "datasets/task.h"

static const char spaces[] = " \t\r\n\v\f";

void choices_clear(struct choices *choices)
{
    text_clear(&choices->bytes);
    choices->count = 0;
    choices->labelled = choices->numbers = false;
}

void choices_release(struct choices *choices)
{
    text_release(&choices->bytes);
    *choices = (struct choices){0};
}

/* Appends `text` in one line, without white space around it, and its end; returns its start. */
static size_t add_line(struct text *bytes, const char *text)
{
    size_t start = bytes->length;
    text += strspn(text, spaces);
    size_t length = strlen(text);
    while (length && strchr(spaces, text[length - 1]))
        length--;
    text_append(bytes, text, length);
    text_append(bytes, "", 1);
    for (char *c = bytes->bytes + start; *c; c++)
        if (strchr("\r\n\v\f", *c))
            *c = ' ';
    return start;
}

bool choices_add(struct choices *choices, const char *label, const char *text)
{
    if (choices->count == CHOICES_MOST)
        return false;
    choices->texts[choices->count] = add_line(&choices->bytes, text);
    choices->labelled = label != NULL;
    choices->labels[choices->count] = label ? add_line(&choices->bytes, label) : 0;
    choices->count++;
    return true;
}

static const char *text_at(const struct choices *choices, size_t i)
{
    return choices->bytes.bytes + choices->texts[i];
}

/* ---- From JSON ------------------------------------------------------------------------------ */

static enum status report_too_many(size_t count, struct error *err)
{
    return error_set(err, BAD_DATA, "are %zu, and at most %d (A to J) are read", count,
                     CHOICES_MOST);
}

static bool is_text(const json_t *value)
{
    return json_is_string(value) || json_is_number(value);
}

/* One choice from a string or a number. */
static enum status take(struct choices *choices, const json_t *label, const json_t *value,
                        struct error *err)
{
    if (!is_text(value) || (label && !is_text(label)))
        return error_set(err, BAD_DATA, "hold %s where text is expected",
                         jsonl_type_name(is_text(value) ? label : value));
    if (choices->count && choices->numbers != json_is_number(value))
        return error_set(err, BAD_DATA, "are partly texts and partly numbers");
    choices->numbers = json_is_number(value);
    char *number = json_is_number(value) ? jsonl_value_text(value) : NULL;
    char *mark = label && json_is_number(label) ? jsonl_value_text(label) : NULL;
    choices_add(choices, mark ? mark : json_string_value(label),
                number ? number : json_string_value(value));
    free(number);
    free(mark);
    return OK;
}

static enum status take_lists(struct choices *choices, const json_t *labels, const json_t *texts,
                              struct error *err)
{
    size_t count = json_array_size(texts);
    if (!json_is_array(texts) || (labels && !json_is_array(labels)))
        return error_set(err, BAD_DATA, "have no lists under 'label' and 'text'");
    if (labels && json_array_size(labels) != count)
        return error_set(err, BAD_DATA, "have %zu labels for %zu texts", json_array_size(labels),
                         count);
    if (count > CHOICES_MOST)
        return report_too_many(count, err);
    enum status status = OK;
    for (size_t i = 0; i < count && status == OK; i++)
        status = take(choices, json_array_get(labels, i), json_array_get(texts, i), err);
    return status;
}

/* An array of texts, or of objects with a label and a text. */
static enum status take_array(struct choices *choices, const json_t *list, struct error *err)
{
    size_t count = json_array_size(list);
    if (!json_is_object(json_array_get(list, 0)))
        return take_lists(choices, NULL, list, err);
    if (count > CHOICES_MOST)
        return report_too_many(count, err);
    for (size_t i = 0; i < count; i++) {
        const json_t *label = json_object_get(json_array_get(list, i), "label");
        const json_t *text = json_object_get(json_array_get(list, i), "text");
        if (!label || !text)
            return error_set(err, BAD_DATA, "have no 'label' and 'text' in choice %zu", i + 1);
        enum status status = take(choices, label, text, err);
        if (status != OK)
            return status;
    }
    return OK;
}

/* {"A": text, "B": text}: the keys are the letters, from A on and in order. */
static enum status take_letters(struct choices *choices, const json_t *object, struct error *err)
{
    size_t count = json_object_size(object);
    if (count > CHOICES_MOST)
        return report_too_many(count, err);
    for (size_t i = 0; i < count; i++) {
        const char letter[] = {(char)('A' + i), '\0'};
        const json_t *text = json_object_get(object, letter);
        if (!text)
            return error_set(err, BAD_DATA,
                             "are an object with neither 'label' and 'text' nor the keys A, B, C "
                             "without a gap");
        enum status status = take(choices, NULL, text, err);
        if (status != OK)
            return status;
    }
    return OK;
}

enum status choices_from_json(struct choices *choices, const json_t *value, struct error *err)
{
    choices_clear(choices);
    if (json_is_array(value))
        return take_array(choices, value, err);
    if (!json_is_object(value))
        return error_set(err, BAD_DATA, "are %s where a list such as [\"yes\", \"no\"] is expected",
                         jsonl_type_name(value));
    const json_t *texts = json_object_get(value, "text");
    return texts ? take_lists(choices, json_object_get(value, "label"), texts, err)
                 : take_letters(choices, value, err);
}

enum status choices_from_text(struct choices *choices, const char *json, struct error *err)
{
    json_t *value = json_loads(json, JSON_REJECT_DUPLICATES, NULL);
    enum status status = OK;
    if (value)
        status = choices_from_json(choices, value, err);
    else
        status = error_set(err, BAD_DATA, "are no JSON list such as [\"yes\", \"no\"]");
    json_decref(value);
    return status;
}

/* ---- In the input --------------------------------------------------------------------------- */

const char *choices_complaint(const struct choices *choices)
{
    if (choices->count == 0)
        return "are empty";
    if (choices->count == 1)
        return "are one only, and at least two are needed";
    for (size_t i = 0; i < choices->count; i++)
        if (!*text_at(choices, i))
            return "have an empty text among them";
    return NULL;
}

/* Behind the choice's own letter, where it begins with it: "A) ", "A)", "(A) ", "A. ". */
static const char *behind_letter(const char *text, size_t place)
{
    bool bracket = *text == '(';
    const char *at = text + bracket;
    if (at[0] != (char)('A' + (int)place) || !at[1])
        return text;
    bool mark = at[1] == ')' || (!bracket && strchr(".:", at[1]) && at[2] == ' ');
    if (!mark)
        return text;
    at += 2 + strspn(at + 2, spaces);
    return *at ? at : text;
}

/* Whether every choice begins with its own letter, which then is no part of it. */
static bool are_lettered(const struct choices *choices)
{
    for (size_t i = 0; i < choices->count; i++)
        if (behind_letter(text_at(choices, i), i) == text_at(choices, i))
            return false;
    return choices->count > 0;
}

bool choices_append(const struct choices *choices, struct text *input)
{
    int count = (int)choices->count;
    bool lettered = are_lettered(choices);
    if (task_count_options(text_string(input)) == count)
        return true;
    for (size_t i = 0; i < choices->count; i++) {
        const char *text = text_at(choices, i);
        text_printf(input, "\n%c) %s", 'A' + (int)i, lettered ? behind_letter(text, i) : text);
    }
    return task_count_options(text_string(input)) == count;
}

/* ---- The target ----------------------------------------------------------------------------- */

/* The place of the only choice of this text, or of this label; -1 when none or several are. */
static int place_of(const struct choices *choices, const size_t *starts, const char *wanted)
{
    int place = -1;
    for (size_t i = 0; i < choices->count; i++)
        if (strcmp(choices->bytes.bytes + starts[i], wanted) == 0) {
            if (place >= 0)
                return -1;
            place = (int)i;
        }
    return place;
}

/* "B", "b", "(B)", "B)" or "B." */
static int letter_of(const char *target)
{
    bool bracket = *target == '(';
    char c = target[bracket];
    int place = c >= 'a' && c <= 'z' ? c - 'a' : c >= 'A' && c <= 'Z' ? c - 'A' : -1;
    if (place < 0)
        return -1;
    const char *rest = target + bracket + 1;
    bool closed = strcmp(rest, ")") == 0;
    return closed || (!bracket && (*rest == '\0' || strcmp(rest, ".") == 0)) ? place : -1;
}

static int number_of(const char *target)
{
    size_t digits = strspn(target, "0123456789");
    return digits > 0 && digits < 4 && !target[digits] ? atoi(target) : -1;
}

struct choice_reading choices_read(const struct choices *choices, const char *target, bool integer)
{
    struct choice_reading reading = {-1, -1, -1, number_of(target), (int)choices->count};
    struct text line = {0};
    add_line(&line, target);
    reading.letter = letter_of(line.bytes);
    if (reading.letter >= reading.count)
        reading.letter = -1;
    if (!integer || choices->numbers)
        reading.text = place_of(choices, choices->texts, line.bytes);
    if (choices->labelled)
        reading.own = place_of(choices, choices->labels, line.bytes);
    text_release(&line);
    return reading;
}

int choice_place(const struct choice_reading *reading, enum choice_key key)
{
    int place = -1;
    switch (key) {
    case CHOICE_NONE:
        break;
    case CHOICE_OWN_LABEL:
        return reading->own;
    case CHOICE_LETTER:
        return reading->letter;
    case CHOICE_TEXT:
        return reading->text;
    case CHOICE_FROM_0:
        place = reading->number;
        break;
    case CHOICE_FROM_1:
        place = reading->number - 1;
        break;
    }
    return place >= 0 && place < reading->count ? place : -1;
}

static size_t count_read(const struct choice_reading *readings, size_t count, enum choice_key key)
{
    size_t hits = 0;
    for (size_t i = 0; i < count; i++)
        hits += choice_place(&readings[i], key) >= 0;
    return hits;
}

/* The first row that two keys read differently, or `count`. */
static size_t find_difference(const struct choice_reading *readings, size_t count,
                              enum choice_key one, enum choice_key other)
{
    for (size_t i = 0; i < count; i++) {
        int a = choice_place(&readings[i], one);
        int b = choice_place(&readings[i], other);
        if (a >= 0 && b >= 0 && a != b)
            return i;
    }
    return count;
}

enum choice_key choices_key(const struct choice_reading *readings, size_t count, size_t *doubt)
{
    enum choice_key best = CHOICE_OWN_LABEL;
    size_t most = count_read(readings, count, best);
    for (int k = CHOICE_LETTER; k <= CHOICE_FROM_1 && !(best == CHOICE_OWN_LABEL && most == count);
         k++) {
        enum choice_key key = (enum choice_key)k;
        size_t hits = count_read(readings, count, key);
        /* Numbers count from 0, unless that fits fewer rows. */
        if (key == CHOICE_FROM_1 && hits <= count_read(readings, count, CHOICE_FROM_0))
            break;
        if (hits == most && hits) {
            *doubt = find_difference(readings, count, best, key);
            if (*doubt < count)
                return CHOICE_NONE;
        }
        if (hits > most) {
            best = key;
            most = hits;
        }
    }
    return best;
}
