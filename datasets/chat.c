/* SPDX-License-Identifier: Apache-2.0 */
#include "datasets/chat.h"

#include <string.h>

#include "datasets/excerpt.h"

enum speaker { SYSTEM, USER, ASSISTANT, NOBODY };

/* Where the two shapes keep the parts of a message. */
struct keys {
    const char *list;
    const char *speaker;
    const char *text;
};

static const struct keys openai = {"messages", "role", "content"};
static const struct keys sharegpt = {"conversations", "from", "value"};

static const struct {
    const char *name;
    enum speaker speaker;
} speakers[] = {{"system", SYSTEM},     {"developer", SYSTEM},    {"user", USER},
                {"human", USER},        {"assistant", ASSISTANT}, {"gpt", ASSISTANT},
                {"chatgpt", ASSISTANT}, {"model", ASSISTANT}};

enum data_shape chat_shape(const json_t *record)
{
    if (json_is_array(json_object_get(record, openai.list)))
        return SHAPE_MESSAGES;
    if (json_is_array(json_object_get(record, sharegpt.list)))
        return SHAPE_CONVERSATIONS;
    return SHAPE_COLUMNS;
}

static enum speaker speaker_of(const json_t *message, const struct keys *keys)
{
    const char *name = json_string_value(json_object_get(message, keys->speaker));
    for (size_t i = 0; name && i < sizeof speakers / sizeof *speakers; i++)
        if (strcmp(name, speakers[i].name) == 0)
            return speakers[i].speaker;
    return NOBODY;
}

static const char *text_of(const json_t *message, const struct keys *keys)
{
    return json_string_value(json_object_get(message, keys->text));
}

/* OpenAI lets an answer with weight 0 stand in a conversation without being trained on. */
static bool is_trained_on(const json_t *message)
{
    const json_t *weight = json_object_get(message, "weight");
    return !weight || json_number_value(weight) != 0;
}

static enum status check_message(const json_t *message, size_t number, const struct keys *keys,
                                 struct error *err)
{
    if (!json_is_object(message))
        return error_set(err, BAD_DATA, "message %zu of '%s' is not an object", number, keys->list);
    if (!json_is_string(json_object_get(message, keys->speaker)))
        return error_set(err, BAD_DATA, "message %zu of '%s' has no text under '%s'", number,
                         keys->list, keys->speaker);
    if (speaker_of(message, keys) == NOBODY)
        return error_set(
            err, BAD_DATA, "message %zu of '%s' is by %s; only system, user and assistant are read",
            number, keys->list,
            excerpt_string(json_string_value(json_object_get(message, keys->speaker))).text);
    if (!json_is_string(json_object_get(message, keys->text)))
        return error_set(err, BAD_DATA,
                         "message %zu of '%s' has no text under '%s'; calls of tools and content "
                         "in parts are not read",
                         number, keys->list, keys->text);
    const json_t *weight = json_object_get(message, "weight");
    if (weight && (!json_is_number(weight) ||
                   (json_number_value(weight) != 0 && json_number_value(weight) != 1)))
        return error_set(err, BAD_DATA, "message %zu of '%s' has a weight that is neither 0 nor 1",
                         number, keys->list);
    return OK;
}

/* The message that is the target: the last answer trained on; `count` when there is none. */
static size_t find_answer(const json_t *messages, size_t count, const struct keys *keys)
{
    for (size_t i = count; i > 0; i--) {
        const json_t *message = json_array_get(messages, i - 1);
        if (speaker_of(message, keys) == ASSISTANT && is_trained_on(message))
            return i - 1;
    }
    return count;
}

/* The system text, an empty line, and the only user message. */
static void write_single(const json_t *messages, size_t count, const struct keys *keys,
                         struct text *out)
{
    for (size_t i = 0; i < count; i++) {
        if (i || out->length)
            text_add(out, "\n\n");
        text_add(out, text_of(json_array_get(messages, i), keys));
    }
}

/* One "User: ..." or "Assistant: ..." a message; system text at the start stands bare. */
static void write_turns(const json_t *messages, size_t count, const struct keys *keys,
                        struct text *out)
{
    static const char *const names[] = {"System: ", "User: ", "Assistant: "};
    for (size_t i = 0; i < count; i++) {
        const json_t *message = json_array_get(messages, i);
        enum speaker speaker = speaker_of(message, keys);
        bool opening = speaker == SYSTEM && i == 0 && !out->length;
        if (i || out->length)
            text_add(out, "\n");
        if (!opening)
            text_add(out, names[speaker]);
        text_add(out, text_of(message, keys));
    }
}

static enum status write_input(const json_t *messages, size_t count, const struct keys *keys,
                               struct text *input, struct error *err)
{
    size_t seen[NOBODY] = {0};
    for (size_t i = 0; i < count; i++)
        seen[speaker_of(json_array_get(messages, i), keys)]++;
    if (seen[USER] == 0)
        return error_set(err, BAD_DATA, "'%s' has no message by the user in front of the answer",
                         keys->list);
    if (seen[USER] == 1 && seen[ASSISTANT] == 0)
        write_single(messages, count, keys, input);
    else
        write_turns(messages, count, keys, input);
    return OK;
}

enum status chat_read(const json_t *record, enum data_shape shape, bool inputs_only,
                      struct text *input, struct text *target, struct error *err)
{
    const struct keys *keys = shape == SHAPE_MESSAGES ? &openai : &sharegpt;
    const json_t *messages = json_object_get(record, keys->list);
    size_t count = json_array_size(messages);
    for (size_t i = 0; i < count; i++)
        if (check_message(json_array_get(messages, i), i + 1, keys, err))
            return BAD_DATA;
    size_t answer = find_answer(messages, count, keys);
    if (answer == count && !inputs_only)
        return error_set(err, BAD_DATA, "'%s' has no answer by the assistant%s", keys->list,
                         count ? " whose weight is not 0" : "");
    if (inputs_only && answer + 1 != count)
        answer = count;
    if (json_is_string(json_object_get(record, "system")))
        text_add(input, json_string_value(json_object_get(record, "system")));
    if (answer < count)
        text_add(target, text_of(json_array_get(messages, answer), keys));
    return write_input(messages, answer, keys, input, err);
}
