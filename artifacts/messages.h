/* SPDX-License-Identifier: Apache-2.0
 *
 * The conversation in front of every request, as JSON: [{"role": "system", "content": "..."}, ...],
 * as the chat interfaces of most servers take it.
 */
#ifndef ARTIFACTS_MESSAGES_H
#define ARTIFACTS_MESSAGES_H

#include "base/error.h"
#include "base/memory.h"
#include "model/chat.h"
#include "techniques/adapted.h"

struct turn {
    enum chat_role role;
    const char *text;
};

struct turns {
    struct turn *items;
    size_t count;
};

/* The turns that the shared prompt of an adapted model consists of, in `arena`; none where the chat
 * format has no marks, since then nothing tells where one ends. FAILED when the prompt is anything
 * else than virtual tokens, turns, and the opening of the user's. */
enum status messages_of(const struct adapted *adapted, struct arena *arena, struct turns *turns,
                        struct error *err);

struct json_t;

/* A new array; NULL when a text is not valid UTF-8. */
struct json_t *messages_json(const struct turns *turns);

/* Reads such an array; texts live in `arena`. `where` begins the sentence of an error (BAD_DATA).
 */
enum status messages_parse(const struct json_t *messages, const char *where, struct arena *arena,
                           struct turns *turns, struct error *err);

bool messages_equal(const struct turns *a, const struct turns *b);

#endif
