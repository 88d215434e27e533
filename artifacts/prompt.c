/* SPDX-License-Identifier: Apache-2.0
 *
 * A prompt, for techniques that learn no parameters: messages.json is the conversation as chat
 * servers take it (not for a model without a chat format), and prompt.txt the exact text for
 * everything else. In both "{input}" stands, at the end, where the user's text goes.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "artifacts/format.h"
#include "artifacts/messages.h"
#include "artifacts/prompt_text.h"
#include "datasets/excerpt.h"

static const char messages_name[] = "messages.json";
static const char text_name[] = "prompt.txt";
static const char placeholder[] = "{input}";

static const char *refuses(const struct setting *setting, const struct kept *kept)
{
    if (technique_learns(setting->technique))
        return "what it learned are parameters, which a prompt cannot say";
    if (!(setting->technique->needs & NEEDS_MODEL))
        return "it answers without a prompt";
    if (kept && kept->for_each_request)
        return "each request has a prompt of its own";
    return kept && kept->prompts > 1 ? "it answers behind several prompts" : NULL;
}

static enum status write_messages(const struct turns *turns, struct folder *folder,
                                  struct error *err)
{
    json_t *messages = messages_json(turns);
    json_t *root = messages ? json_pack("{s:o}", "messages", messages) : NULL;
    if (!root)
        return error_set(err, FAILED, "the prompt is not valid UTF-8, so JSON cannot hold it");
    json_array_append_new(messages,
                          json_pack("{s:s, s:s}", "role", "user", "content", placeholder));
    char *text = json_dumps(root, JSON_INDENT(2));
    enum status status = folder_add(folder, messages_name, text, strlen(text), err);
    free(text);
    json_decref(root);
    return status;
}

/* The text of prompt.txt. */
static enum status whole_text(const struct adapted *adapted, struct text *out, struct error *err)
{
    struct prompt_text parts = {0};
    enum status status = prompt_text_make(adapted, &parts, err);
    if (status == OK)
        text_printf(out, "%s%s%s", text_string(&parts.before), placeholder,
                    text_string(&parts.after));
    prompt_text_release(&parts);
    return status;
}

static enum status write_prompt(const struct adapted *adapted, enum weight_type type,
                                struct folder *folder, struct error *err)
{
    (void)type;
    struct text text = {0};
    struct arena arena;
    struct turns turns;
    arena_init(&arena, NULL);
    enum status status = whole_text(adapted, &text, err);
    if (status == OK)
        status = folder_add(folder, text_name, text_string(&text), text.length, err);
    if (status == OK)
        status = messages_of(adapted, &arena, &turns, err);
    if (status == OK && turns.count)
        status = write_messages(&turns, folder, err);
    arena_release(&arena);
    text_release(&text);
    return status;
}

/* The conversation of the file, without the placeholder at its end. */
static enum status parse_messages(const char *path, struct arena *arena, struct turns *turns,
                                  struct error *err)
{
    json_error_t fault;
    json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &fault);
    enum status status =
        root ? messages_parse(json_object_get(root, "messages"), path, arena, turns, err)
             : error_set(err, BAD_DATA, "%s:%d: this is not valid JSON: %s", path, fault.line,
                         excerpt_clean(fault.text).text);
    json_decref(root);
    if (status != OK)
        return status;
    if (!turns->count || turns->items[turns->count - 1].role != CHAT_USER ||
        strcmp(turns->items[turns->count - 1].text, placeholder) != 0)
        return error_set(err, BAD_DATA, "%s: the last message is not \"%s\"", path, placeholder);
    turns->count--;
    return OK;
}

static enum status read_messages(const char *folder, const struct adapted *adapted,
                                 struct error *err)
{
    char *path = folder_join(folder, messages_name);
    struct arena arena;
    struct turns expected, found;
    arena_init(&arena, NULL);
    enum status status = messages_of(adapted, &arena, &expected, err);
    if (status == OK && expected.count)
        status = parse_messages(path, &arena, &found, err);
    if (status == OK && expected.count && !messages_equal(&found, &expected))
        status = error_set(err, BAD_DATA, "%s: the messages are not those of the prompt", path);
    arena_release(&arena);
    free(path);
    return status;
}

static enum status read_text(const char *path, struct text *out, struct error *err)
{
    char buffer[4096];
    size_t got;
    FILE *stream = fopen(path, "rb");
    if (!stream)
        return error_set(err, BAD_DATA, "%s: %s", path, strerror(errno));
    while ((got = fread(buffer, 1, sizeof buffer, stream)) > 0)
        text_append(out, buffer, got);
    bool bad = ferror(stream);
    fclose(stream);
    return bad ? error_set(err, FAILED, "%s: cannot read", path) : OK;
}

static enum status read_prompt(const char *folder, struct adapted *adapted, struct error *err)
{
    char *path = folder_join(folder, text_name);
    struct text found = {0}, expected = {0};
    enum status status = read_messages(folder, adapted, err);
    if (status == OK)
        status = read_text(path, &found, err);
    if (status == OK)
        status = whole_text(adapted, &expected, err);
    if (status == OK && (found.length != expected.length ||
                         memcmp(text_string(&found), text_string(&expected), found.length) != 0))
        status = error_set(err, BAD_DATA, "%s: the text is not the prompt of the technique", path);
    text_release(&found);
    text_release(&expected);
    free(path);
    return status;
}

const struct export_format export_prompt = {
    .name = "prompt",
    .summary = "the prompt as text and as messages.json for chat servers",
    .refuses = refuses,
    .write = write_prompt,
    .read = read_prompt,
};
