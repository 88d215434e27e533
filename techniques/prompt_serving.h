/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers to requests of many tasks, from one model and a prompt table.
 *
 * The prompt of each task, virtual tokens included, is computed once and kept as keys and values;
 * a request continues that of its task. So one batch of the engine holds requests of different
 * tasks, one beside the other, and what each reads and answers is what it would alone.
 */
#ifndef TECHNIQUES_PROMPT_SERVING_H
#define TECHNIQUES_PROMPT_SERVING_H

#include "techniques/prompt_table.h"

struct prompt_request {
    const char *task;  /* by name */
    const char *input; /* the user's text */
    size_t line;       /* said in errors; 0: the number of the request, from 1 */
};

struct prompt_server;

/* The engine must outlive the server; of the table nothing is kept. USAGE when it was made for
 * another model, BAD_MODEL when a prompt has tokens that the model does not have or fills its
 * context. `*server` is NULL after an error. */
enum status prompt_server_create(struct prompt_server **server, struct engine *engine,
                                 const struct prompt_table *table, struct error *err);
void prompt_server_release(struct prompt_server *server); /* NULL is fine */

/* The labels of a task, in the order that outcomes count them, and how many; NULL and 0 when its
 * answers are free text, or there is no such task. */
const struct label *prompt_server_labels(const struct prompt_server *server, const char *task,
                                         size_t *count);

/* Whether the request is of a task that the server has, and fits the context. */
bool prompt_server_reads(struct prompt_server *server, const struct prompt_request *request);

/* Answers all requests in one go; `outcomes` (count), whose arrays and texts live in `arena`.
 * Without a true answer `nll` stays 0. USAGE for a task that the server does not have, BAD_DATA for
 * a text that does not fit the context (with the line of the request), and what
 * the deadline says. */
enum status prompt_server_answer(struct prompt_server *server,
                                 const struct prompt_request *requests, size_t count,
                                 struct outcome *outcomes, struct arena *arena,
                                 const struct deadline *deadline, struct error *err);

#endif
