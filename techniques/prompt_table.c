/* SPDX-License-Identifier: Apache-2.0 */
#define _XOPEN_SOURCE 700
#include "techniques/prompt_table.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"

enum {
    MARK_BYTES = 8,
    DIGEST_BYTES = 64,
    MOST_NAME_BYTES = 255,
    MOST_TASKS = 1 << 20,
    MOST_ANSWER = 1 << 24,
    MOST_WIDTH = 1 << 20
};

static const char mark[] = "PROMPTS1";

void prompt_table_init(struct prompt_table *table, const struct model *model)
{
    *table = (struct prompt_table){.width = model->n_embd};
    arena_init(&table->arena, NULL);
    memcpy(table->model_sha256, model->sha256, sizeof table->model_sha256);
}

void prompt_table_release(struct prompt_table *table)
{
    arena_release(&table->arena);
    *table = (struct prompt_table){0};
}

const struct prompt_task *prompt_table_find(const struct prompt_table *table, const char *name)
{
    for (size_t i = 0; i < table->count; i++)
        if (!strcmp(table->tasks[i].name, name))
            return &table->tasks[i];
    return NULL;
}

enum status prompt_table_unknown(const struct prompt_table *table, const char *name,
                                 struct error *err)
{
    struct text names = {0};
    for (size_t i = 0; i < table->count; i++)
        text_printf(&names, "%s%s", i ? ", " : "", table->tasks[i].name);
    enum status status =
        error_set(err, USAGE, "the prompt table has no task \"%s\"; expected one of: %s", name,
                  table->count ? text_string(&names) : "(it is empty)");
    text_release(&names);
    return status;
}

/* ---- Changing ------------------------------------------------------------------------------- */

static bool is_name(const char *name)
{
    size_t length = strlen(name);
    return length >= 1 && length <= MOST_NAME_BYTES && utf8_valid(name, length, NULL);
}

static enum status check_addition(const struct prompt_table *table, const char *name,
                                  const struct adapted *adapted, struct error *err)
{
    const struct model *model = adapted->engine->model;
    const struct attachment *attachment = adapted->attachment;
    if (!is_name(name))
        return error_set(err, USAGE,
                         "the task \"%s\" cannot be added to a prompt table; expected a name of 1 "
                         "to %d bytes of UTF-8",
                         name, MOST_NAME_BYTES);
    if (prompt_table_find(table, name))
        return error_set(err, USAGE,
                         "the prompt table already has a task \"%s\"; remove it first, or expected "
                         "another name",
                         name);
    if (!attachment || !attachment->virtual_tokens || adapted->parameters.n_items != 1)
        return error_set(err, USAGE,
                         "what %s has learned cannot be added to a prompt table; expected a "
                         "technique that learns virtual tokens and nothing else",
                         adapted->technique->name);
    if (table->width != model->n_embd || strcmp(table->model_sha256, model->sha256) != 0)
        return error_set(err, USAGE,
                         "the task \"%s\" was learned on another model than the prompt table is "
                         "for (%.12s, expected %.12s)",
                         name, model->sha256, table->model_sha256);
    return OK;
}

static void append(struct prompt_table *table, const struct prompt_task *task)
{
    if ((table->count & (table->count - 1)) == 0) { /* capacities are the powers of two */
        size_t capacity = table->count ? 2 * table->count : 1;
        struct prompt_task *larger = arena_alloc(&table->arena, capacity * sizeof *larger);
        if (table->count)
            memcpy(larger, table->tasks, table->count * sizeof *larger);
        table->tasks = larger;
    }
    table->tasks[table->count++] = *task;
}

enum status prompt_table_add(struct prompt_table *table, const char *name, struct adapted *adapted,
                             const char *about, struct error *err)
{
    adapted_settle(adapted);
    enum status status = check_addition(table, name, adapted, err);
    if (status != OK)
        return status;
    struct arena *arena = &table->arena;
    const struct dataset *data = adapted->data;
    const struct parameter *item = adapted->parameters.items;
    float *values = arena_alloc(arena, adapted->parameters.count * sizeof *values);
    for (size_t i = 0; i < adapted->parameters.count; i++)
        values[i] = (float)adapted->parameters.values[i];
    size_t bytes = adapted->prefix.count * sizeof(int32_t);
    struct prompt_task task = {
        .name = arena_strdup(arena, name),
        .task = data->task,
        .longest_answer = adapted->longest_answer ? adapted->longest_answer : 1,
        .labels = arena_alloc(arena, (data->label_count + 1) * sizeof *task.labels),
        .label_count = data->label_count,
        .rows = item->rows,
        .prompt_length = adapted->prefix.count,
        .prompt = memcpy(arena_alloc(arena, bytes), adapted->prefix.ids, bytes),
        .values = values,
        .about = about ? arena_strdup(arena, about) : NULL};
    for (size_t i = 0; i < data->label_count; i++)
        task.labels[i] = arena_strdup(arena, data->labels[i].name);
    append(table, &task);
    return OK;
}

enum status prompt_table_remove(struct prompt_table *table, const char *name, struct error *err)
{
    const struct prompt_task *task = prompt_table_find(table, name);
    if (!task)
        return prompt_table_unknown(table, name, err);
    size_t at = (size_t)(task - table->tasks), behind = table->count - 1 - at;
    memmove(&table->tasks[at], &table->tasks[at + 1], behind * sizeof *task);
    table->count--;
    return OK;
}

/* ---- Writing -------------------------------------------------------------------------------- */

static void put_word(struct text *out, uint32_t word)
{
    const char bytes[] = {(char)word, (char)(word >> 8), (char)(word >> 16), (char)(word >> 24)};
    text_append(out, bytes, sizeof bytes);
}

static void put_text(struct text *out, const char *text)
{
    put_word(out, (uint32_t)strlen(text));
    text_add(out, text);
}

static void put_task(struct text *out, const struct prompt_task *task, int width)
{
    put_text(out, task->name);
    put_text(out, task_name(task->task));
    put_word(out, (uint32_t)task->longest_answer);
    put_word(out, (uint32_t)task->label_count);
    for (size_t i = 0; i < task->label_count; i++)
        put_text(out, task->labels[i]);
    put_word(out, (uint32_t)task->rows);
    put_word(out, (uint32_t)task->prompt_length);
    for (size_t i = 0; i < task->prompt_length; i++)
        put_word(out, (uint32_t)task->prompt[i]);
    for (size_t i = 0; i < (size_t)task->rows * (size_t)width; i++) {
        uint32_t word;
        memcpy(&word, &task->values[i], sizeof word);
        put_word(out, word);
    }
    put_text(out, task->about ? task->about : "");
}

enum status prompt_table_write(const struct prompt_table *table, struct text *out,
                               struct error *err)
{
    size_t start = out->length;
    char digest[HASH_HEX];
    text_append(out, mark, MARK_BYTES);
    put_text(out, table->model_sha256);
    put_word(out, (uint32_t)table->width);
    put_word(out, (uint32_t)table->count);
    for (size_t i = 0; i < table->count; i++)
        put_task(out, &table->tasks[i], table->width);
    enum status status = hash_bytes(out->bytes + start, out->length - start, digest, err);
    text_append(out, digest, DIGEST_BYTES);
    return status;
}

bool prompt_task_equal(const struct prompt_task *a, const struct prompt_task *b, int width)
{
    struct text one = {0}, other = {0};
    put_task(&one, a, width);
    put_task(&other, b, width);
    bool equal = one.length == other.length && !memcmp(one.bytes, other.bytes, one.length);
    text_release(&one);
    text_release(&other);
    return equal;
}

static bool write_all(FILE *file, const struct text *bytes)
{
    return fwrite(bytes->bytes, 1, bytes->length, file) == bytes->length && !fflush(file) &&
           !fsync(fileno(file));
}

enum status prompt_table_save(const struct prompt_table *table, const char *path, struct error *err)
{
    struct text bytes = {0}, beside = {0};
    enum status status = prompt_table_write(table, &bytes, err);
    text_printf(&beside, "%s.part", path);
    FILE *file = status == OK ? fopen(beside.bytes, "wb") : NULL;
    if (status == OK) {
        bool good = file && write_all(file, &bytes);
        int why = errno;
        good = file && !fclose(file) && good;
        if (good && rename(beside.bytes, path)) {
            why = errno;
            good = false;
        }
        if (!good && file)
            remove(beside.bytes);
        if (!good)
            status = error_set(err, FAILED, "%s: the prompt table cannot be written: %s", path,
                               strerror(why));
    }
    text_release(&beside);
    text_release(&bytes);
    return status;
}

/* ---- Reading -------------------------------------------------------------------------------- */

struct reader {
    const char *where;
    const unsigned char *bytes;
    size_t length, at;
    struct arena *arena;
    struct error *err;
};

static enum status refuse(const struct reader *r, const char *expected)
{
    return error_set(r->err, BAD_MODEL, "%s: byte %zu: not a sound prompt table; expected %s",
                     r->where, r->at, expected);
}

static enum status take_word(struct reader *r, uint32_t low, uint32_t high, const char *expected,
                             uint32_t *word)
{
    *word = 0;
    if (r->length - r->at < 4)
        return refuse(r, expected);
    const unsigned char *b = r->bytes + r->at;
    *word = (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
    if (*word < low || *word > high)
        return refuse(r, expected);
    r->at += 4;
    return OK;
}

/* A text of at least `least` bytes. */
static enum status take_text(struct reader *r, size_t least, const char *expected,
                             const char **text)
{
    uint32_t length;
    *text = "";
    enum status status = take_word(r, (uint32_t)least, UINT32_MAX, expected, &length);
    if (status != OK)
        return status;
    const char *bytes = (const char *)r->bytes + r->at;
    if (length > r->length - r->at || memchr(bytes, 0, length) || !utf8_valid(bytes, length, NULL))
        return refuse(r, expected);
    *text = arena_strndup(r->arena, bytes, length);
    r->at += length;
    return OK;
}

static enum status take_labels(struct reader *r, struct prompt_task *task)
{
    static const char expected[] = "labels in rising order";
    uint32_t count;
    uint32_t most = (uint32_t)((r->length - r->at) / 5); /* each takes that much at least */
    enum status status = take_word(r, 0, most, expected, &count);
    if (status != OK)
        return status;
    task->label_count = count;
    task->labels = arena_alloc(r->arena, ((size_t)count + 1) * sizeof *task->labels);
    for (uint32_t i = 0; i < count && status == OK; i++) {
        status = take_text(r, 1, expected, &task->labels[i]);
        if (status == OK && i && strcmp(task->labels[i - 1], task->labels[i]) >= 0)
            status = refuse(r, expected);
    }
    bool labelled = task->task == TASK_CLASSIFICATION || task->task == TASK_MULTIPLE_CHOICE;
    if (status == OK && labelled != (count > 0))
        status = refuse(r, "labels where the task has some, and only there");
    return status;
}

static enum status take_prompt(struct reader *r, struct prompt_task *task)
{
    static const char expected[] = "the tokens of a prompt";
    uint32_t count, word;
    enum status status = take_word(r, 1, (uint32_t)((r->length - r->at) / 4), expected, &count);
    if (status != OK)
        return status;
    int32_t *prompt = arena_alloc(r->arena, (size_t)count * sizeof *prompt);
    for (uint32_t i = 0; i < count && status == OK; i++) {
        status = take_word(r, 0, UINT32_MAX, expected, &word);
        memcpy(&prompt[i], &word, sizeof word);
        if (status == OK && prompt[i] < -task->rows)
            status = refuse(r, "a token of the vocabulary, or a virtual one there is");
    }
    task->prompt = prompt;
    task->prompt_length = count;
    return status;
}

static enum status take_values(struct reader *r, struct prompt_task *task, int width)
{
    static const char expected[] = "finite values of the virtual tokens";
    size_t count = (size_t)task->rows * (size_t)width;
    if (count > (r->length - r->at) / 4)
        return refuse(r, expected);
    float *values = arena_alloc(r->arena, count * sizeof *values);
    enum status status = OK;
    for (size_t i = 0; i < count && status == OK; i++) {
        uint32_t word;
        status = take_word(r, 0, UINT32_MAX, expected, &word);
        memcpy(&values[i], &word, sizeof word);
        if (status == OK && !isfinite(values[i]))
            status = refuse(r, expected);
    }
    task->values = values;
    return status;
}

static enum status take_task(struct reader *r, struct prompt_table *table)
{
    struct prompt_task task = {0};
    const char *kind;
    uint32_t longest = 0, rows = 0;
    enum status status;
    if ((status = take_text(r, 1, "the name of a task", &task.name)) ||
        (status = take_text(r, 1, "a kind of task", &kind)))
        return status;
    if (!is_name(task.name) || prompt_table_find(table, task.name))
        return refuse(r, "a name of at most 255 bytes that no other task has");
    if (!task_from_name(kind, &task.task))
        return refuse(r, "a kind of task that this program knows");
    if ((status = take_word(r, 1, MOST_ANSWER, "the length of an answer", &longest)))
        return status;
    task.longest_answer = (int)longest;
    if ((status = take_labels(r, &task)) ||
        (status = take_word(r, 1, INT32_MAX, "the number of virtual tokens", &rows)))
        return status;
    task.rows = (int)rows;
    if ((status = take_prompt(r, &task)) || (status = take_values(r, &task, table->width)) ||
        (status = take_text(r, 0, "where the task came from", &task.about)))
        return status;
    append(table, &task);
    return OK;
}

static enum status take_table(struct reader *r, struct prompt_table *table)
{
    const char *model;
    uint32_t width, count = 0;
    enum status status;
    r->at = MARK_BYTES;
    if ((status = take_text(r, 0, "the SHA-256 of a model", &model)))
        return status;
    if (*model && strlen(model) != DIGEST_BYTES)
        return refuse(r, "the SHA-256 of a model");
    memcpy(table->model_sha256, model, strlen(model));
    if ((status = take_word(r, 1, MOST_WIDTH, "the width of the embeddings", &width)) ||
        (status = take_word(r, 0, MOST_TASKS, "the number of tasks", &count)))
        return status;
    table->width = (int)width;
    for (uint32_t i = 0; i < count && status == OK; i++)
        status = take_task(r, table);
    if (status == OK && r->at != r->length)
        status = refuse(r, "the end of the table");
    return status;
}

enum status prompt_table_read(struct prompt_table *table, const char *where, const void *bytes,
                              size_t length, struct error *err)
{
    struct reader r = {.where = where, .bytes = bytes, .err = err, .arena = &table->arena};
    char digest[HASH_HEX];
    *table = (struct prompt_table){0};
    arena_init(&table->arena, NULL);
    if (length < MARK_BYTES + DIGEST_BYTES || memcmp(bytes, mark, MARK_BYTES) != 0)
        return refuse(&r, "a file that begins with "
                          "PROMPTS1");
    r.length = length - DIGEST_BYTES;
    enum status status = hash_bytes(bytes, r.length, digest, err);
    if (status != OK)
        return status;
    if (memcmp(digest, r.bytes + r.length, DIGEST_BYTES) != 0) {
        r.at = r.length;
        return refuse(&r, "the SHA-256 of what is before; the file is damaged");
    }
    status = take_table(&r, table);
    if (status != OK)
        prompt_table_release(table);
    return status;
}

static enum status cannot_read(const char *path, FILE *file, struct error *err)
{
    int why = errno;
    if (file)
        fclose(file);
    return error_set(err, FAILED, "%s: the prompt table cannot be read: %s", path, strerror(why));
}

enum status prompt_table_load(struct prompt_table *table, const char *path, struct error *err)
{
    enum { PIECE = 1 << 16 };
    *table = (struct prompt_table){0};
    FILE *file = fopen(path, "rb");
    if (!file)
        return cannot_read(path, NULL, err);
    struct text bytes = {0};
    char *piece = memory_alloc(PIECE);
    size_t got;
    while ((got = fread(piece, 1, PIECE, file)))
        text_append(&bytes, piece, got);
    free(piece);
    enum status status = ferror(file) ? cannot_read(path, file, err) : OK;
    if (status == OK) {
        fclose(file);
        status = prompt_table_read(table, path, text_string(&bytes), bytes.length, err);
    }
    text_release(&bytes);
    return status;
}
