/* SPDX-License-Identifier: Apache-2.0 */
#include "artifacts/messages.h"

#include <jansson.h>
#include <string.h>

#include "artifacts/prompt_text.h"
#include "model/tokenizer.h"

static const char *const roles[CHAT_ROLES] = {
    [CHAT_SYSTEM] = "system", [CHAT_USER] = "user", [CHAT_ASSISTANT] = "assistant"};

/* ---- From tokens ---------------------------------------------------------------------------- */

/* The ids of a role's marks. */
struct frame {
    struct tokens open, close;
};

/* A prompt that is being cut into turns. */
struct cutting {
    const struct model *model;
    const int32_t *ids;
    size_t count, at;
    struct frame frames[CHAT_ROLES];
    struct arena *arena;
    struct turns *turns;
};

static enum status make_frames(struct cutting *c, struct error *err)
{
    const struct chat_format *chat = c->model->chat;
    enum status status = OK;
    for (int r = 0; r < CHAT_ROLES && status == OK; r++) {
        status = chat_open(chat, c->model->tokenizer, (enum chat_role)r, &c->frames[r].open, err);
        if (status == OK)
            status =
                chat_close(chat, c->model->tokenizer, (enum chat_role)r, &c->frames[r].close, err);
    }
    return status;
}

static bool stands_at(const struct cutting *c, const struct tokens *ids, size_t at)
{
    if (!ids->count || ids->count > c->count - at)
        return !ids->count; /* nothing stands everywhere */
    return !memcmp(c->ids + at, ids->ids, ids->count * sizeof *ids->ids);
}

/* The role whose opening stands here; -1 when there is none. */
static int role_at(const struct cutting *c)
{
    for (int r = 0; r < CHAT_ROLES; r++)
        if (stands_at(c, &c->frames[r].open, c->at))
            return r;
    return -1;
}

/* Marks begin with control tokens, which no text has, so the first closing ends the turn. */
static enum status cut_turn(struct cutting *c, int role, struct error *err)
{
    size_t start = c->at + c->frames[role].open.count, end = start;
    const struct tokens *close = &c->frames[role].close;
    struct text text = {0};
    while (end < c->count && !stands_at(c, close, end))
        end++;
    enum status status =
        tokenizer_decode(c->model->tokenizer, c->ids + start, end - start, false, &text, err);
    c->turns->items[c->turns->count++] =
        (struct turn){(enum chat_role)role, arena_strdup(c->arena, text_string(&text))};
    c->at = end + close->count;
    text_release(&text);
    return status;
}

static enum status cut(struct cutting *c, struct error *err)
{
    struct tokens begin = {0};
    enum status status = chat_begin(c->model->chat, c->model->tokenizer, &begin, err);
    bool good = status == OK && stands_at(c, &begin, 0);
    c->at = begin.count;
    tokens_release(&begin);
    while (good && status == OK) {
        int role = c->at < c->count ? role_at(c) : -1;
        good = role >= 0;
        if (role == CHAT_USER && c->at + c->frames[role].open.count == c->count)
            return OK; /* what is left is open for the request */
        if (good)
            status = cut_turn(c, role, err);
    }
    if (status != OK)
        return status;
    return error_set(err, FAILED, "the prompt is no conversation; please report this");
}

enum status messages_of(const struct adapted *adapted, struct arena *arena, struct turns *turns,
                        struct error *err)
{
    const struct tokens *prefix = &adapted->prefix;
    size_t virtual = (size_t)prompt_text_virtual(adapted);
    *turns = (struct turns){0};
    if (!adapted->engine->model->chat->markers[0])
        return OK;
    turns->items = arena_alloc(arena, (prefix->count + 1) * sizeof *turns->items);
    struct cutting c = {.model = adapted->engine->model,
                        .ids = prefix->ids + virtual,
                        .count = prefix->count - virtual,
                        .arena = arena,
                        .turns = turns};
    enum status status = make_frames(&c, err);
    if (status == OK)
        status = cut(&c, err);
    for (int r = 0; r < CHAT_ROLES; r++) {
        tokens_release(&c.frames[r].open);
        tokens_release(&c.frames[r].close);
    }
    return status;
}

/* ---- JSON ----------------------------------------------------------------------------------- */

struct json_t *messages_json(const struct turns *turns)
{
    json_t *array = json_array();
    for (size_t i = 0; i < turns->count; i++) {
        const struct turn *turn = &turns->items[i];
        json_t *message = json_pack("{s:s, s:s}", "role", roles[turn->role], "content", turn->text);
        if (!message) {
            json_decref(array);
            return NULL;
        }
        json_array_append_new(array, message);
    }
    return array;
}

static bool take_role(const char *name, enum chat_role *role)
{
    for (int r = 0; name && r < CHAT_ROLES; r++)
        if (!strcmp(name, roles[r])) {
            *role = (enum chat_role)r;
            return true;
        }
    return false;
}

enum status messages_parse(const struct json_t *messages, const char *where, struct arena *arena,
                           struct turns *turns, struct error *err)
{
    size_t count = json_array_size(messages);
    *turns = (struct turns){.items = arena_alloc(arena, (count + 1) * sizeof *turns->items)};
    if (!json_is_array(messages))
        return error_set(err, BAD_DATA, "%s: the messages are not a list", where);
    for (size_t i = 0; i < count; i++) {
        const json_t *message = json_array_get(messages, i);
        const char *content = json_string_value(json_object_get(message, "content"));
        struct turn *turn = &turns->items[turns->count++];
        if (!content ||
            !take_role(json_string_value(json_object_get(message, "role")), &turn->role))
            return error_set(err, BAD_DATA,
                             "%s: message %zu has no content or no role; expected the role system, "
                             "user or assistant",
                             where, i + 1);
        turn->text = arena_strdup(arena, content);
    }
    return OK;
}

bool messages_equal(const struct turns *a, const struct turns *b)
{
    bool same = a->count == b->count;
    for (size_t i = 0; same && i < a->count; i++)
        same = a->items[i].role == b->items[i].role && !strcmp(a->items[i].text, b->items[i].text);
    return same;
}
