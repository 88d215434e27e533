/* SPDX-License-Identifier: Apache-2.0
 *
 * The prompt table as an export: one file that holds the virtual tokens of many tasks by name, each
 * with its manifest (techniques/prompt_table.h). One loaded model answers requests of all of them,
 * also mixed in one batch.
 */
#ifndef ARTIFACTS_TASK_TABLE_H
#define ARTIFACTS_TASK_TABLE_H

#include "artifacts/export.h"
#include "artifacts/manifest.h"
#include "techniques/prompt_serving.h"
#include "techniques/prompt_table.h"

struct task_table {
    const char *path; /* as given; not owned */
    struct prompt_table table;
    struct manifest *manifests;   /* (table.count); {0} for a task that came without one */
    struct prompt_server *server; /* NULL before task_table_serve */
};

/* Whether `path` is a file, so that it can be no other export than a prompt table. */
bool task_table_is(const char *path);

/* Reads the table and the manifests in it. BAD_DATA or BAD_MODEL: it is none, or damaged. After an
 * error nothing has to be closed. */
enum status task_table_open(struct task_table *tasks, const char *path, struct error *err);

/* Gets it ready to answer. `engine` runs the model it was made for (BAD_MODEL otherwise) and must
 * outlive it. */
enum status task_table_serve(struct task_table *tasks, struct engine *engine, struct error *err);

void task_table_close(struct task_table *tasks); /* safe on {0} and twice */

/* The columns that the inputs of `task` had, or of all tasks alike when it is NULL; NULL when they
 * are found by name. */
const char *task_table_input(const struct task_table *tasks, const char *task);

/* Whether a task of this name may be written into the file, before any work is done for it: USAGE
 * when the file is no prompt table, or has such a task and `replace` is not set. */
enum status task_table_check(const char *path, const char *task, bool replace, struct error *err);

/* What export_make does for this format: adds request->task to the file request->folder, which is
 * made when it is not there. The new file is written beside it, read back and proved before it
 * takes its place; all other tasks stay as they are, to the bit. Of two processes that add to one
 * file, the second waits for the first, for request->patience seconds; then FAILED. */
enum status task_table_export(const struct export_request *request, struct agreement *agreement,
                              struct error *err);

#endif
