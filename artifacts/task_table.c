/* SPDX-License-Identifier: Apache-2.0 */
#define _XOPEN_SOURCE 700
#include "artifacts/task_table.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/lock.h"
#include "techniques/virtual_tokens.h"

/* ---- The format ----------------------------------------------------------------------------- */

static const char *refuses(const struct setting *setting, const struct kept *kept)
{
    (void)kept;
    return virtual_tokens_alone(setting->technique) ? NULL
                                                    : "it learns no virtual tokens, or not alone";
}

const struct export_format export_prompt_table = {
    .name = "prompt-table",
    .summary = "one file with the virtual tokens of many tasks by name",
    .one_file = true,
    .refuses = refuses,
};

/* ---- Reading -------------------------------------------------------------------------------- */

bool task_table_is(const char *path)
{
    struct stat facts;
    return !stat(path, &facts) && S_ISREG(facts.st_mode);
}

static enum status read_manifests(struct task_table *tasks, struct error *err)
{
    size_t count = tasks->table.count;
    enum status status = OK;
    tasks->manifests = memory_zalloc((count + 1) * sizeof *tasks->manifests);
    for (size_t i = 0; i < count && status == OK; i++) {
        const struct prompt_task *task = &tasks->table.tasks[i];
        struct text where = {0};
        text_printf(&where, "%s: task %s", tasks->path, task->name);
        if (*task->about)
            status = manifest_parse(&tasks->manifests[i], text_string(&where), task->about, err);
        text_release(&where);
    }
    return status;
}

enum status task_table_open(struct task_table *tasks, const char *path, struct error *err)
{
    *tasks = (struct task_table){.path = path};
    enum status status = prompt_table_load(&tasks->table, path, err);
    if (status == OK)
        status = read_manifests(tasks, err);
    if (status != OK)
        task_table_close(tasks);
    return status;
}

enum status task_table_serve(struct task_table *tasks, struct engine *engine, struct error *err)
{
    const struct model *model = engine->model;
    if (strcmp(tasks->table.model_sha256, model->sha256) != 0)
        return error_set(err, BAD_MODEL,
                         "%s was made for another model (SHA-256 %.12s...) than %s (%.12s...); "
                         "name the right file with --model",
                         tasks->path, tasks->table.model_sha256, model->path, model->sha256);
    return prompt_server_create(&tasks->server, engine, &tasks->table, err);
}

void task_table_close(struct task_table *tasks)
{
    prompt_server_release(tasks->server);
    for (size_t i = 0; tasks->manifests && i < tasks->table.count; i++)
        manifest_release(&tasks->manifests[i]);
    free(tasks->manifests);
    prompt_table_release(&tasks->table);
    *tasks = (struct task_table){0};
}

const char *task_table_input(const struct task_table *tasks, const char *task)
{
    const char *common = NULL;
    for (size_t i = 0; i < tasks->table.count; i++) {
        const char *input = tasks->manifests[i].input;
        if (task && strcmp(task, tasks->table.tasks[i].name) != 0)
            continue;
        if (!input || (common && strcmp(common, input) != 0))
            return NULL;
        common = input;
    }
    return common;
}

/* ---- Adding a task -------------------------------------------------------------------------- */

static bool is_there(const char *path)
{
    return !access(path, F_OK);
}

enum status task_table_check(const char *path, const char *task, bool replace, struct error *err)
{
    struct prompt_table table;
    if (!is_there(path))
        return OK;
    if (!task_table_is(path))
        return error_set(err, USAGE,
                         "%s is there and is no prompt table; expected the name of a file", path);
    enum status status = prompt_table_load(&table, path, err);
    if (status == BAD_MODEL) {
        struct error reason = *err;
        return error_set(err, USAGE, "%s; expected another name", reason.text);
    }
    if (status != OK)
        return status;
    if (prompt_table_find(&table, task) && !replace)
        status = error_set(err, USAGE,
                           "%s has a task \"%s\" already; give --force to replace it, or another "
                           "name with --task-name",
                           path, task);
    prompt_table_release(&table);
    return status;
}

/* The file as it is, without an older task of that name. */
static enum status begin(const struct export_request *request, struct prompt_table *table,
                         struct error *err)
{
    const char *path = request->folder;
    prompt_table_init(table, request->adapted->engine->model);
    enum status status = task_table_check(path, request->task, request->replace, err);
    if (status != OK || !is_there(path))
        return status;
    prompt_table_release(table);
    status = prompt_table_load(table, path, err);
    if (status == OK && prompt_table_find(table, request->task))
        status = prompt_table_remove(table, request->task, err);
    return status;
}

/* Every task as it was to be written. */
static enum status compare_tables(const struct prompt_table *written,
                                  const struct prompt_table *found, struct error *err)
{
    bool same = written->count == found->count && written->width == found->width;
    for (size_t i = 0; same && i < written->count; i++)
        same = prompt_task_equal(&written->tasks[i], &found->tasks[i], written->width);
    return same ? OK
                : error_set(err, FAILED,
                            "the prompt table was read back and differs from what was written; "
                            "nothing was kept");
}

static enum status answer(const struct export_request *request, struct task_table *tasks,
                          struct agreement *agreement, struct error *err)
{
    const struct proof *replay = &request->replay;
    struct arena arena;
    arena_init(&arena, NULL);
    struct outcome *outcomes = arena_zalloc(&arena, (replay->count + 1) * sizeof *outcomes);
    struct prompt_request *requests = arena_alloc(&arena, (replay->count + 1) * sizeof *requests);
    for (size_t i = 0; i < replay->count; i++)
        requests[i] = (struct prompt_request){request->task, replay->examples[i]->input,
                                              replay->examples[i]->line};
    enum status status = prompt_server_answer(tasks->server, requests, replay->count, outcomes,
                                              &arena, request->deadline, err);
    if (status == OK)
        status = proof_judge(replay, outcomes, "", agreement, err);
    arena_release(&arena);
    return status;
}

static enum status prove(const struct export_request *request, const struct prompt_table *written,
                         const char *path, struct agreement *agreement, struct error *err)
{
    struct task_table tasks;
    *agreement = (struct agreement){.count = request->replay.count,
                                    .labels = request->adapted->data->label_count > 0,
                                    .tolerance = PROOF_TOLERANCE};
    enum status status = task_table_open(&tasks, path, err);
    if (status != OK)
        return status;
    status = compare_tables(written, &tasks.table, err);
    if (status == OK)
        status = task_table_serve(&tasks, request->adapted->engine, err);
    if (status == OK)
        status = answer(request, &tasks, agreement, err);
    task_table_close(&tasks);
    return status;
}

/* Writes `table` beside the file, proves it, and gives it the name. */
static enum status replace(const struct export_request *request, const struct prompt_table *table,
                           struct agreement *agreement, struct error *err)
{
    struct text beside = {0};
    text_printf(&beside, "%s.XXXXXX", request->folder);
    int file = mkstemp(beside.bytes);
    if (file < 0 || close(file)) {
        error_set(err, FAILED, "%s: cannot be written: %s", request->folder, strerror(errno));
        text_release(&beside);
        return FAILED;
    }
    enum status status = prompt_table_save(table, beside.bytes, err);
    if (status == OK && request->written)
        request->written(request->context, beside.bytes);
    if (status == OK)
        status = prove(request, table, beside.bytes, agreement, err);
    if (status == BAD_DATA || status == BAD_MODEL) {
        struct error reason = *err;
        status = error_set(err, FAILED,
                           "%s: the export could not be read back, and nothing was kept: %s",
                           request->folder, reason.text);
    }
    if (status == OK && rename(beside.bytes, request->folder))
        status =
            error_set(err, FAILED, "%s: cannot be written: %s", request->folder, strerror(errno));
    if (status != OK)
        unlink(beside.bytes);
    text_release(&beside);
    return status;
}

static enum status add_task(const struct export_request *request, struct agreement *agreement,
                            struct error *err)
{
    struct prompt_table table;
    char *about = NULL;
    enum status status = begin(request, &table, err);
    adapted_settle(request->adapted);
    if (status == OK)
        status = export_manifest(request, NULL, 0, &about, err);
    if (status == OK)
        status = prompt_table_add(&table, request->task, request->adapted, about, err);
    if (status == OK)
        status = replace(request, &table, agreement, err);
    free(about);
    prompt_table_release(&table);
    return status;
}

/* Waits while another process has the lock. */
static enum status take_lock(const struct export_request *request, const char *path, int *lock,
                             struct error *err)
{
    const struct timespec pause = {0, 20000000};
    double until = clock_seconds() + request->patience;
    enum lock_outcome outcome;
    enum status status = OK;
    while ((outcome = lock_try(path, lock)) == LOCK_BUSY && status == OK) {
        status = deadline_check(request->deadline, err);
        if (status == OK && clock_seconds() >= until)
            status = error_set(err, FAILED,
                               "%s: another advisor is adding a task to it, and did not end within "
                               "%.0f s; try again when it is done",
                               request->folder, request->patience);
        nanosleep(&pause, NULL);
    }
    return outcome == LOCK_IMPOSSIBLE
               ? error_set(err, FAILED, "%s: cannot be written: %s", path, strerror(errno))
               : status;
}

/* From reading to replacing the file nobody else may do the same: the later one of two would drop
 * the task of the earlier one. */
enum status task_table_export(const struct export_request *request, struct agreement *agreement,
                              struct error *err)
{
    int lock = -1;
    struct text path = {0};
    text_printf(&path, "%s-lock", request->folder);
    enum status status = take_lock(request, text_string(&path), &lock, err);
    if (status == OK)
        status = add_task(request, agreement, err);
    lock_release(text_string(&path), &lock);
    text_release(&path);
    return status;
}
