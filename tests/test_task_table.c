/* SPDX-License-Identifier: Apache-2.0
 *
 * The prompt table as an export: tasks are added one by one and proved, no task touches another,
 * and a file of rows of many tasks is answered as each task answers alone.
 */
#define _GNU_SOURCE
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "artifacts/predict.h"
#include "artifacts/task_table.h"
#include "base/hash.h"
#include "base/lock.h"
#include "tests/adapting.h"
#include "tests/export_support.h"
#include "tests/files.h"
#include "tests/json_schema.h"

#define TINY FIXTURES "tiny.gguf"

enum { PATH = 256, MIXED_ROWS = 600 /* three chunks */ };

struct bench {
    char folder[64], file[PATH], input[PATH], output[PATH];
};

static int enter(void **state)
{
    struct bench *bench = calloc(1, sizeof *bench);
    snprintf(bench->folder, sizeof bench->folder, "/tmp/tasks-XXXXXX");
    assert_non_null(mkdtemp(bench->folder));
    snprintf(bench->file, PATH, "%.63s/desk.prompts", bench->folder);
    snprintf(bench->input, PATH, "%.63s/in.csv", bench->folder);
    snprintf(bench->output, PATH, "%.63s/out.csv", bench->folder);
    *state = bench;
    return 0;
}

static int leave(void **state)
{
    struct bench *bench = *state;
    files_remove(bench->folder);
    free(bench);
    return 0;
}

/* ---- Tasks ---------------------------------------------------------------------------------- */

static const struct lesson {
    const char *name, *technique, *setting, *data;
    enum task task;
} lessons[] = {
    {"opinion", "prompt_tuning", "num_virtual_tokens=3", data_two_labels, TASK_CLASSIFICATION},
    {"bank", "p_tuning", "num_virtual_tokens=2", data_seven_labels, TASK_CLASSIFICATION},
    {"a reply, \"short\"", "prompt_tuning", "num_virtual_tokens=2", data_texts, TASK_GENERATION},
};

enum { LESSONS = sizeof lessons / sizeof *lessons };

static void learn(struct shop *shop, const struct lesson *lesson)
{
    shop_open(shop, TINY, lesson->data, lesson->task, 2);
    shop_customise(shop, lesson->technique, lesson->setting, 0.3);
}

static enum status export_as(struct shop *shop, const struct bench *bench, const char *name,
                             bool replace, struct agreement *agreement, struct error *err)
{
    struct export_request request = shop_request(shop, "prompt-table", bench->file);
    request.task = name;
    request.replace = replace;
    return export_make(&request, agreement, err);
}

static void export_all(const struct bench *bench)
{
    for (int i = 0; i < LESSONS; i++) {
        struct shop shop;
        struct error err;
        struct agreement agreement;
        learn(&shop, &lessons[i]);
        if (export_as(&shop, bench, lessons[i].name, false, &agreement, &err) != OK)
            fail_msg("%s: %s", lessons[i].name, err.text);
        assert_int_equal(agreement.count, shop.data.count);
        assert_int_equal(agreement.equal, shop.data.count);
        assert_true(agreement.largest < 1e-6);
        shop_close(&shop);
    }
    assert_int_equal(files_count(bench->folder), 1);
}

static void holds_many_tasks_with_their_manifests(void **state)
{
    const struct bench *bench = *state;
    struct task_table tasks;
    struct error err;
    export_all(bench);
    assert_true(task_table_is(bench->file));
    assert_false(task_table_is(bench->folder));
    assert_int_equal(task_table_open(&tasks, bench->file, &err), OK);
    assert_int_equal(tasks.table.count, LESSONS);
    for (int i = 0; i < LESSONS; i++) {
        const struct manifest *m = &tasks.manifests[i];
        assert_string_equal(tasks.table.tasks[i].name, lessons[i].name);
        assert_string_equal(m->format, "prompt-table");
        assert_string_equal(m->technique, lessons[i].technique);
        assert_string_equal(m->model_sha256, tasks.table.model_sha256);
        assert_string_equal(m->model_file, "tiny.gguf");
        assert_int_equal(strlen(m->data_sha256), 64);
        assert_non_null(strstr(m->setting, "\"num_virtual_tokens\":"));
        assert_string_equal(m->chat_format, "chatml");
        assert_true(m->value == 0.5 && m->measured_on > 0);
        assert_int_equal(m->file_count, 0);
    }
    assert_string_equal(task_table_input(&tasks, "bank"), "text");
    assert_string_equal(task_table_input(&tasks, lessons[2].name), "prompt");
    assert_null(task_table_input(&tasks, NULL)); /* they differ */
    task_table_close(&tasks);
}

static void replacing_needs_leave_and_touches_no_other(void **state)
{
    const struct bench *bench = *state;
    struct shop shop;
    struct error err;
    struct agreement agreement;
    struct prompt_table before, after;
    struct text old = {0}, same = {0};
    export_all(bench);
    files_read(bench->file, &old);
    assert_int_equal(prompt_table_load(&before, bench->file, &err), OK);
    learn(&shop, &lessons[0]);
    shop_customise(&shop, "prompt_tuning", "num_virtual_tokens=5", 0.4);
    assert_int_equal(export_as(&shop, bench, "opinion", false, &agreement, &err), USAGE);
    assert_non_null(strstr(err.text, "has a task \"opinion\" already; give --force"));
    files_read(bench->file, &same);
    assert_int_equal(same.length, old.length);
    assert_memory_equal(same.bytes, old.bytes, old.length);
    assert_int_equal(export_as(&shop, bench, "opinion", true, &agreement, &err), OK);
    assert_int_equal(prompt_table_load(&after, bench->file, &err), OK);
    assert_int_equal(after.count, LESSONS);
    assert_int_equal(prompt_table_find(&after, "opinion")->rows, 5);
    for (int i = 1; i < LESSONS; i++)
        assert_true(prompt_task_equal(prompt_table_find(&before, lessons[i].name),
                                      prompt_table_find(&after, lessons[i].name), before.width));
    assert_false(prompt_task_equal(prompt_table_find(&before, "opinion"),
                                   prompt_table_find(&after, "opinion"), before.width));
    assert_int_equal(files_count(bench->folder), 1);
    prompt_table_release(&before);
    prompt_table_release(&after);
    text_release(&old);
    text_release(&same);
    shop_close(&shop);
}

/* ---- What does not prove itself ------------------------------------------------------------- */

/* Changes a value of the last task, or a byte of the file with a digest that does not fit. */
static void damage(void *context, const char *path)
{
    const bool *sealed = context;
    struct text bytes = {0};
    struct error err;
    char digest[HASH_HEX];
    files_read(path, &bytes);
    const char *about = memmem(bytes.bytes, bytes.length, "{\n  \"advisor_export\"", 20);
    assert_non_null(about);
    bytes.bytes[(size_t)(about - bytes.bytes) - 4 - 2] ^= 0x10; /* of the last value before it */
    if (*sealed) {
        bytes.length -= 64;
        assert_int_equal(hash_bytes(bytes.bytes, bytes.length, digest, &err), OK);
        text_append(&bytes, digest, 64);
    }
    files_write(path, bytes.bytes, bytes.length);
    text_release(&bytes);
}

static void damage_leaves_the_old_file(void **state)
{
    const struct bench *bench = *state;
    struct shop shop;
    struct error err;
    struct agreement agreement;
    struct text old = {0}, same = {0};
    export_all(bench);
    files_read(bench->file, &old);
    learn(&shop, &lessons[0]);
    for (int i = 0; i < 2; i++) {
        bool sealed = i;
        struct export_request request = shop_request(&shop, "prompt-table", bench->file);
        request.task = "new";
        request.written = damage;
        request.context = &sealed;
        assert_int_equal(export_make(&request, &agreement, &err), FAILED);
        assert_non_null(
            strstr(err.text, sealed ? "differs from what was written" : "could not be read back"));
        assert_int_equal(files_count(bench->folder), 1);
    }
    struct export_request request = shop_request(&shop, "prompt-table", bench->file);
    request.task = "new"; /* answers that are not those of the study */
    shop.predictions[3].label = !shop.predictions[3].label;
    shop.predictions[3].probability = 0.999;
    assert_int_equal(export_make(&request, &agreement, &err), FAILED);
    assert_non_null(strstr(err.text, "does not answer like the original: "));
    files_read(bench->file, &same);
    assert_int_equal(same.length, old.length);
    assert_memory_equal(same.bytes, old.bytes, old.length);
    assert_int_equal(files_count(bench->folder), 1);
    text_release(&old);
    text_release(&same);
    shop_close(&shop);
}

static void refuses_what_is_no_table(void **state)
{
    const struct bench *bench = *state;
    struct error err;
    struct text bytes = {0};
    struct task_table tasks;
    assert_int_equal(task_table_check(bench->file, "t", false, &err), OK);
    assert_int_equal(task_table_check(bench->folder, "t", false, &err), USAGE);
    assert_non_null(strstr(err.text, "is there and is no prompt table"));
    text_add(&bytes, "text,label\na,b\n");
    files_write(bench->file, text_string(&bytes), bytes.length);
    for (int replace = 0; replace < 2; replace++) {
        assert_int_equal(task_table_check(bench->file, "t", replace, &err), USAGE);
        assert_non_null(strstr(err.text, "not a sound prompt table"));
    }
    assert_int_equal(task_table_open(&tasks, bench->file, &err), BAD_MODEL);
    assert_int_equal(
        export_format_find("prompt-table")
                ->refuses(&(struct setting){.technique = technique_find("lora")}, NULL) != NULL,
        1);
    text_release(&bytes);
}

/* ---- Two at once ----------------------------------------------------------------------------- */

enum { WRITERS = 2 };

/* Between reading the table and replacing it, long enough for the other one to begin. */
static void dawdle(void *context, const char *path)
{
    const struct timespec pause = {0, 300000000};
    (void)context;
    (void)path;
    nanosleep(&pause, NULL);
}

/* In a process of its own: says that it has learned, and exports when it is told to. */
static void add_when_told(const struct bench *bench, const struct lesson *lesson, int ready, int go)
{
    struct shop shop;
    struct error err = {0};
    struct agreement agreement;
    char byte = 0;
    alarm(60); /* the parent waits */
    learn(&shop, lesson);
    struct export_request request = shop_request(&shop, "prompt-table", bench->file);
    request.task = lesson->name;
    request.written = dawdle;
    request.patience = 60;
    bool told = write(ready, &byte, 1) == 1 && read(go, &byte, 1) == 1;
    enum status status = told ? export_make(&request, &agreement, &err) : FAILED;
    if (status != OK)
        fprintf(stderr, "%s: %s\n", lesson->name, err.text);
    shop_close(&shop);
    _exit(status == OK ? 0 : 1);
}

static void two_at_once_lose_no_task(void **state)
{
    const struct bench *bench = *state;
    int ready[2], go[2], status;
    pid_t writers[WRITERS];
    char bytes[WRITERS] = {0};
    struct prompt_table table;
    struct error err;
    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(go), 0);
    for (int i = 0; i < WRITERS; i++) {
        writers[i] = fork();
        assert_true(writers[i] >= 0);
        if (!writers[i])
            add_when_told(bench, &lessons[i], ready[1], go[0]);
    }
    close(ready[1]);
    close(go[0]);
    for (int i = 0; i < WRITERS; i++)
        assert_int_equal(read(ready[0], bytes, 1), 1);
    assert_int_equal(write(go[1], bytes, WRITERS), WRITERS);
    for (int i = 0; i < WRITERS; i++) {
        assert_int_equal(waitpid(writers[i], &status, 0), writers[i]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    close(ready[0]);
    close(go[1]);
    assert_int_equal(prompt_table_load(&table, bench->file, &err), OK);
    for (int i = 0; i < WRITERS; i++)
        assert_non_null(prompt_table_find(&table, lessons[i].name));
    assert_int_equal(files_count(bench->folder), 1); /* no lock is left */
    prompt_table_release(&table);
}

/* Who does not get its turn says so, and leaves all as it was. */
static void waiting_has_an_end(void **state)
{
    const struct bench *bench = *state;
    const struct deadline over = {.at = 1e-9};
    char path[PATH + 8];
    int lock;
    struct shop shop;
    struct error err;
    struct agreement agreement;
    learn(&shop, &lessons[0]);
    snprintf(path, sizeof path, "%s-lock", bench->file);
    assert_int_equal(lock_try(path, &lock), LOCK_TAKEN);
    struct export_request request = shop_request(&shop, "prompt-table", bench->file);
    request.task = "late";
    request.patience = 0.1;
    assert_int_equal(export_make(&request, &agreement, &err), FAILED);
    assert_non_null(strstr(err.text, "desk.prompts: another advisor is adding a task to it"));
    request.patience = 60;
    request.deadline = &over;
    assert_int_equal(export_make(&request, &agreement, &err), OUT_OF_TIME);
    assert_int_equal(files_count(bench->folder), 1); /* the lock of the other one */
    lock_release(path, &lock);
    assert_int_equal(files_count(bench->folder), 0);
    assert_int_equal(export_as(&shop, bench, "late", false, &agreement, &err), OK);
    assert_int_equal(files_count(bench->folder), 1);
    shop_close(&shop);
}

/* ---- Answers -------------------------------------------------------------------------------- */

static void write_mixed(const struct bench *bench)
{
    struct text out = {0};
    text_add(&out, "id,task,text\n");
    for (int i = 0; i < MIXED_ROWS; i++) {
        const char *name = lessons[i % LESSONS].name;
        text_printf(&out, "%d,%s,row %d of many%s\n", i,
                    i % LESSONS == 2 ? "\"a reply, \"\"short\"\"\"" : name, i,
                    i % 5 ? "" : ", and more");
        if (i % 5 == 0) { /* quote the text with the comma */
            char *comma = strrchr(out.bytes, ',');
            while (comma[-1] != ',' || comma[0] != 'r')
                comma--;
            struct text tail = {0};
            text_add(&tail, comma);
            out.length = (size_t)(comma - out.bytes);
            text_printf(&out, "\"%.*s\"\n", (int)tail.length - 1, tail.bytes);
            text_release(&tail);
        }
    }
    files_write(bench->input, text_string(&out), out.length);
    text_release(&out);
}

struct server {
    struct model *model;
    struct engine *engine;
    struct task_table tasks;
    enum prediction_format format;
};

static void serve(struct server *server, const struct bench *bench, int threads)
{
    struct error err;
    *server = (struct server){0};
    shop_must(model_load(&server->model, TINY, &err), &err);
    server->engine = engine_create(server->model, threads);
    shop_must(task_table_open(&server->tasks, bench->file, &err), &err);
    shop_must(task_table_serve(&server->tasks, server->engine, &err), &err);
}

static void dismiss(struct server *server)
{
    task_table_close(&server->tasks);
    engine_free(server->engine);
    model_free(server->model);
}

static enum status predict(struct server *server, const struct bench *bench, const char *task,
                           const char *column, struct predict_result *result, struct error *err)
{
    struct predict_request request = {.format = server->format,
                                      .tasks = &server->tasks,
                                      .task = task,
                                      .task_column = column,
                                      .input = bench->input,
                                      .output = bench->output,
                                      .replace = true};
    return predict_file(&request, result, err);
}

static json_t *row_of(const struct text *lines, int row)
{
    const char *at = lines->bytes;
    for (int i = 0; i < row; i++)
        at = strchr(at, '\n') + 1;
    json_t *parsed = json_loadb(at, strcspn(at, "\n"), 0, NULL);
    assert_non_null(parsed);
    schema_must_accept_value("prediction", parsed);
    return parsed;
}

static void assert_mixed_as_alone(const struct text *mixed, const struct text *alone, int task)
{
    for (int row = task; row < MIXED_ROWS; row += LESSONS) {
        json_t *one = row_of(mixed, row), *other = row_of(alone, row), *value;
        const char *name = json_string_value(json_object_get(one, "task")), *label;
        assert_string_equal(name, lessons[task].name);
        json_object_del(one, "task");
        json_t *here = json_object_get(one, "probabilities");
        json_object_foreach(json_object_get(other, "probabilities"), label, value)
        {
            double found = json_number_value(json_object_get(here, label));
            assert_true(fabs(found - json_number_value(value)) < 1e-6);
        }
        assert_int_equal(here != NULL, lessons[task].task == TASK_CLASSIFICATION);
        static const char *const rounded[] = {"probability", "probabilities"};
        for (int i = 0; i < 2; i++) {
            json_object_del(one, rounded[i]);
            json_object_del(other, rounded[i]);
        }
        assert_true(json_equal(one, other)); /* line, and label or answer */
        json_decref(one);
        json_decref(other);
    }
}

/* Rows of all tasks in one batch get the answers that each task gives to the whole file alone. */
static void mixed_rows_are_answered_as_alone(void **state)
{
    const struct bench *bench = *state;
    struct server server;
    struct error err;
    struct predict_result result;
    struct text mixed = {0}, alone = {0}, again = {0};
    export_all(bench);
    write_mixed(bench);
    serve(&server, bench, 2);
    server.format = PREDICTION_JSONL;
    if (predict(&server, bench, NULL, "task", &result, &err) != OK)
        fail_msg("%s", err.text);
    assert_int_equal(result.rows, MIXED_ROWS);
    files_read(bench->output, &mixed);
    for (int task = 0; task < LESSONS; task++) {
        assert_int_equal(predict(&server, bench, lessons[task].name, NULL, &result, &err), OK);
        files_read(bench->output, &alone);
        assert_mixed_as_alone(&mixed, &alone, task);
    }
    dismiss(&server);
    serve(&server, bench, 1);
    server.format = PREDICTION_JSONL;
    assert_int_equal(predict(&server, bench, NULL, "task", &result, &err), OK);
    files_read(bench->output, &again);
    assert_int_equal(again.length, mixed.length);
    assert_memory_equal(again.bytes, mixed.bytes, mixed.length);
    dismiss(&server);
    text_release(&mixed);
    text_release(&alone);
    text_release(&again);
}

/* Stopped again and again, the output is the same. */
static void goes_on_where_it_stopped(void **state)
{
    const struct bench *bench = *state;
    struct server server;
    struct error err;
    struct predict_result result;
    struct text whole = {0}, parts = {0};
    export_all(bench);
    write_mixed(bench);
    serve(&server, bench, 2);
    assert_int_equal(predict(&server, bench, NULL, "task", &result, &err), OK);
    files_read(bench->output, &whole);
    assert_int_equal(strncmp(whole.bytes, "line,task,answer,probability\r\n2,opinion,", 40), 0);
    assert_int_equal(remove(bench->output), 0);
    struct text rows = {0}, bad = {0};
    files_read(bench->input, &rows);
    text_append(&bad, rows.bytes, rows.length);
    memcpy(strstr(bad.bytes, "550,bank"), "550,bonk", 8); /* stops in the third chunk */
    files_write(bench->input, text_string(&bad), bad.length);
    assert_int_equal(predict(&server, bench, NULL, "task", &result, &err), BAD_DATA);
    assert_non_null(strstr(err.text, "in.csv:552: the prompt table has no task \"bonk\""));
    assert_int_equal(result.rows, 512);
    assert_int_equal(predict(&server, bench, NULL, "task", &result, &err), BAD_DATA);
    assert_int_equal(result.resumed, 512);
    files_write(bench->input, text_string(&rows), rows.length);
    assert_int_equal(predict(&server, bench, NULL, "task", &result, &err), OK);
    files_read(bench->output, &parts);
    assert_int_equal(parts.length, whole.length);
    assert_memory_equal(parts.bytes, whole.bytes, whole.length);
    dismiss(&server);
    text_release(&whole);
    text_release(&parts);
    text_release(&rows);
    text_release(&bad);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, enter, leave)
    const struct CMUnitTest tests[] = {
        TEST(holds_many_tasks_with_their_manifests),
        TEST(replacing_needs_leave_and_touches_no_other),
        TEST(damage_leaves_the_old_file),
        TEST(refuses_what_is_no_table),
        TEST(two_at_once_lose_no_task),
        TEST(waiting_has_an_end),
        TEST(mixed_rows_are_answered_as_alone),
        TEST(goes_on_where_it_stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
