/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "artifacts/manifest.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "artifacts/folder.h"
#include "base/hash.h"
#include "datasets/excerpt.h"

/* ---- Writing -------------------------------------------------------------------------------- */

static json_t *write_data(const struct manifest *m)
{
    json_t *labels = json_array(), *answers = json_array();
    for (size_t i = 0; i < m->label_count; i++)
        json_array_append_new(labels, json_string(m->labels[i]));
    for (size_t i = 0; i < m->answer_count; i++)
        json_array_append_new(answers, json_pack("{s:s, s:I}", "text", m->answers[i].text, "count",
                                                 (json_int_t)m->answers[i].count));
    return json_pack("{s:s, s:s, s:s, s:s?, s:o, s:o}", "name", m->data_name, "sha256",
                     m->data_sha256, "task", task_name(m->task), "input", m->input, "labels",
                     labels, "answers", answers);
}

static json_t *write_prompt(const struct manifest *m)
{
    if (!m->chat_format)
        return json_null();
    return json_pack("{s:s, s:i, s:o, s:s, s:s, s:s, s:i}", "chat_format", m->chat_format,
                     "virtual_tokens", m->virtual_tokens, "messages", messages_json(&m->turns),
                     "before", m->before, "after", m->after, "end", m->end, "longest_answer",
                     m->longest_answer);
}

static json_t *write_measured(const struct manifest *m)
{
    if (!m->metric)
        return json_null();
    json_t *test = m->tested_on ? json_real(m->test) : json_null();
    return json_pack("{s:s, s:f, s:f, s:f, s:I, s:o, s:I}", "metric", m->metric, "value", m->value,
                     "low", m->low, "high", m->high, "examples", (json_int_t)m->measured_on, "test",
                     test, "test_examples", (json_int_t)m->tested_on);
}

static json_t *write_files(const struct manifest *m)
{
    json_t *files = json_object();
    for (size_t i = 0; i < m->file_count; i++)
        json_object_set_new(files, m->files[i].name,
                            json_pack("{s:I, s:s}", "bytes", (json_int_t)m->files[i].bytes,
                                      "sha256", m->files[i].sha256));
    return files;
}

/* Adds a member that must not be missing. */
static bool put(json_t *root, const char *key, json_t *value)
{
    return value && !json_object_set_new(root, key, value);
}

char *manifest_write(const struct manifest *m)
{
    json_t *root = json_object();
    bool good =
        put(root, "advisor_export", json_integer(MANIFEST_VERSION)) &&
        put(root, "format", json_string(m->format)) &&
        put(root, "technique", json_string(m->technique)) &&
        put(root, "setting", json_loads(m->setting, 0, NULL)) &&
        put(root, "examples", json_integer(m->examples)) &&
        put(root, "seed", json_integer((json_int_t)m->seed)) &&
        put(root, "model",
            json_pack("{s:s, s:s, s:s}", "name", m->model_name, "file", m->model_file, "sha256",
                      m->model_sha256)) &&
        put(root, "data", write_data(m)) && put(root, "prompt", write_prompt(m)) &&
        put(root, "measured", write_measured(m)) &&
        put(root, "versions", json_pack("{s:s, s:s}", "advisor", m->advisor, "blas", m->blas)) &&
        put(root, "files", write_files(m));
    char *dump = good ? json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(12)) : NULL;
    json_decref(root);
    if (!dump)
        return NULL;
    size_t length = strlen(dump);
    dump = memory_realloc(dump, length + 2);
    memcpy(dump + length, "\n", 2);
    return dump;
}

/* ---- Reading -------------------------------------------------------------------------------- */

/* What the sections share. Texts that json_unpack hands out live as long as `root`. */
struct reading {
    struct manifest *m;
    const char *path;
    json_t *root;
};

static enum status wrong(const struct reading *r, const char *what, struct error *err)
{
    return error_set(err, BAD_DATA, "%s: %s; the export is damaged, make it again", r->path, what);
}

static enum status unpacked(const struct reading *r, int result, const json_error_t *fault,
                            struct error *err)
{
    return result ? wrong(r, excerpt_clean(fault->text).text, err) : OK;
}

static const char *keep(const struct reading *r, const char *text)
{
    return text ? arena_strdup(&r->m->arena, text) : NULL;
}

static bool is_hash(const char *hex)
{
    return strlen(hex) == HASH_HEX - 1 && strspn(hex, "0123456789abcdef") == HASH_HEX - 1;
}

static enum status read_origin(const struct reading *r, struct error *err)
{
    struct manifest *m = r->m;
    json_error_t fault;
    const char *format, *technique, *name, *file, *sha256, *advisor, *blas;
    json_t *setting;
    json_int_t examples, seed;
    int result = json_unpack_ex(
        r->root, &fault, 0, "{s:s, s:s, s:o, s:I, s:I, s:{s:s, s:s, s:s}, s:{s:s, s:s}}", "format",
        &format, "technique", &technique, "setting", &setting, "examples", &examples, "seed", &seed,
        "model", "name", &name, "file", &file, "sha256", &sha256, "versions", "advisor", &advisor,
        "blas", &blas);
    if (result)
        return unpacked(r, result, &fault, err);
    if (!json_is_object(setting) || examples < 0 || examples > MOST_EXPORT_EXAMPLES || seed < 0 ||
        !is_hash(sha256))
        return wrong(r, "setting, examples, seed or the model's hash are not what they should be",
                     err);
    char *text = json_dumps(setting, JSON_COMPACT | JSON_SORT_KEYS);
    m->format = keep(r, format);
    m->technique = keep(r, technique);
    m->setting = keep(r, text);
    m->examples = examples;
    m->seed = (uint64_t)seed;
    m->model_name = keep(r, name);
    m->model_file = keep(r, file);
    m->model_sha256 = keep(r, sha256);
    m->advisor = keep(r, advisor);
    m->blas = keep(r, blas);
    free(text);
    return OK;
}

static enum status read_labels(const struct reading *r, const json_t *labels, struct error *err)
{
    size_t count = json_array_size(labels);
    const char **names = arena_alloc(&r->m->arena, (count + 1) * sizeof *names);
    if (!json_is_array(labels) || count > MOST_EXPORT_LABELS)
        return wrong(r, "the labels are not a list", err);
    for (size_t i = 0; i < count; i++) {
        const char *name = json_string_value(json_array_get(labels, i));
        if (!name || !*name || (i && strcmp(names[i - 1], name) >= 0))
            return wrong(r, "the labels are not different texts in order", err);
        names[i] = keep(r, name);
    }
    r->m->labels = names;
    r->m->label_count = count;
    return OK;
}

static enum status read_answers(const struct reading *r, const json_t *answers, struct error *err)
{
    size_t count = json_array_size(answers);
    struct training_answer *items = arena_alloc(&r->m->arena, (count + 1) * sizeof *items);
    json_int_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        const json_t *answer = json_array_get(answers, i);
        const char *text = json_string_value(json_object_get(answer, "text"));
        json_int_t number = json_integer_value(json_object_get(answer, "count"));
        if (!text || number < 0 || number > r->m->examples - sum)
            return wrong(r, "the answers do not fit the number of examples", err);
        sum += number;
        items[i] = (struct training_answer){keep(r, text), (size_t)number};
    }
    r->m->answers = items;
    r->m->answer_count = count;
    return OK;
}

/* Every label in its place, and every example counted. */
static enum status check_answers(const struct reading *r, struct error *err)
{
    const struct manifest *m = r->m;
    size_t sum = 0;
    for (size_t i = 0; i < m->answer_count; i++) {
        if (m->label_count &&
            (i >= m->label_count || strcmp(m->answers[i].text, m->labels[i]) != 0))
            return wrong(r, "the answers are not those of the labels", err);
        sum += m->answers[i].count;
    }
    if (m->label_count && (m->answer_count != m->label_count || sum != (size_t)m->examples))
        return wrong(r, "the answers do not cover the labels and the examples", err);
    if (!m->label_count && m->answer_count != 1)
        return wrong(r, "the most frequent answer is missing", err);
    return OK;
}

static enum status read_data(const struct reading *r, struct error *err)
{
    struct manifest *m = r->m;
    json_error_t fault;
    const char *name, *sha256, *task;
    json_t *input, *labels, *answers;
    int result = json_unpack_ex(r->root, &fault, 0, "{s:{s:s, s:s, s:s, s:o, s:o, s:o}}", "data",
                                "name", &name, "sha256", &sha256, "task", &task, "input", &input,
                                "labels", &labels, "answers", &answers);
    if (result)
        return unpacked(r, result, &fault, err);
    if (!task_from_name(task, &m->task) || !is_hash(sha256))
        return wrong(r, "the task or the hash of the data is not what it should be", err);
    m->data_name = keep(r, name);
    m->data_sha256 = keep(r, sha256);
    m->input = keep(r, json_string_value(input));
    enum status status = read_labels(r, labels, err);
    if (status == OK)
        status = read_answers(r, answers, err);
    return status == OK ? check_answers(r, err) : status;
}

static enum status read_prompt(const struct reading *r, struct error *err)
{
    enum { MOST = 1 << 20 };
    struct manifest *m = r->m;
    json_error_t fault;
    const char *format, *before, *after, *end;
    json_t *messages;
    if (json_is_null(json_object_get(r->root, "prompt")))
        return OK;
    int result = json_unpack_ex(r->root, &fault, 0, "{s:{s:s, s:i, s:o, s:s, s:s, s:s, s:i}}",
                                "prompt", "chat_format", &format, "virtual_tokens",
                                &m->virtual_tokens, "messages", &messages, "before", &before,
                                "after", &after, "end", &end, "longest_answer", &m->longest_answer);
    if (result)
        return unpacked(r, result, &fault, err);
    if (m->virtual_tokens < 0 || m->virtual_tokens > MOST || m->longest_answer < 0 ||
        m->longest_answer > MOST || (!m->label_count && !m->longest_answer))
        return wrong(r, "virtual_tokens or longest_answer is out of range", err);
    m->chat_format = keep(r, format);
    m->before = keep(r, before);
    m->after = keep(r, after);
    m->end = keep(r, end);
    return messages_parse(messages, r->path, &m->arena, &m->turns, err);
}

static enum status read_measured(const struct reading *r, struct error *err)
{
    struct manifest *m = r->m;
    json_error_t fault;
    const char *metric;
    json_int_t on = 0, tested_on = 0;
    json_t *test;
    if (json_is_null(json_object_get(r->root, "measured")))
        return OK;
    int result =
        json_unpack_ex(r->root, &fault, 0, "{s:{s:s, s:F, s:F, s:F, s:I, s:o, s:I}}", "measured",
                       "metric", &metric, "value", &m->value, "low", &m->low, "high", &m->high,
                       "examples", &on, "test", &test, "test_examples", &tested_on);
    if (result)
        return unpacked(r, result, &fault, err);
    if (on < 0 || tested_on < 0 || (tested_on && !json_is_number(test)))
        return wrong(r, "what was measured is out of range", err);
    m->metric = keep(r, metric);
    m->test = json_number_value(test);
    m->measured_on = (size_t)on;
    m->tested_on = (size_t)tested_on;
    return OK;
}

/* A name that stays inside the folder. */
static bool is_plain_name(const char *name)
{
    return *name && !strchr(name, '/') && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static enum status read_files(const struct reading *r, struct error *err)
{
    json_t *files = json_object_get(r->root, "files"), *file;
    const char *name;
    struct manifest_file *items =
        arena_alloc(&r->m->arena, (json_object_size(files) + 1) * sizeof *items);
    if (!json_is_object(files))
        return wrong(r, "the list of files is missing", err);
    json_object_foreach(files, name, file)
    {
        const char *sha256 = json_string_value(json_object_get(file, "sha256"));
        json_int_t bytes = json_integer_value(json_object_get(file, "bytes"));
        if (!is_plain_name(name) || !sha256 || !is_hash(sha256) || bytes < 0)
            return wrong(r, "a file has no name, size or hash that could be", err);
        items[r->m->file_count++] =
            (struct manifest_file){keep(r, name), (uint64_t)bytes, keep(r, sha256)};
    }
    r->m->files = items;
    return OK;
}

static enum status read_sections(const struct reading *r, struct error *err)
{
    enum status status;
    const json_t *version = json_object_get(r->root, "advisor_export");
    if (!json_is_integer(version))
        return error_set(err, BAD_DATA, "%s: this is no export of this program", r->path);
    if (json_integer_value(version) != MANIFEST_VERSION)
        return error_set(err, BAD_DATA,
                         "%s: the export is of version %lld, and this program reads %d; use the "
                         "program that made it",
                         r->path, (long long)json_integer_value(version), MANIFEST_VERSION);
    if ((status = read_origin(r, err)) || (status = read_data(r, err)) ||
        (status = read_prompt(r, err)) || (status = read_measured(r, err)))
        return status;
    return read_files(r, err);
}

/* Takes over `root`, which is NULL where `fault` says why. */
static enum status read_root(struct manifest *manifest, const char *path, json_t *root,
                             const json_error_t *fault, struct error *err)
{
    struct reading r = {manifest, path, root};
    enum status status = r.root ? read_sections(&r, err)
                                : error_set(err, BAD_DATA, "%s:%d: this is not valid JSON: %s",
                                            path, fault->line, excerpt_clean(fault->text).text);
    json_decref(r.root);
    if (status != OK)
        manifest_release(manifest);
    return status;
}

enum status manifest_read(struct manifest *manifest, const char *folder, struct error *err)
{
    *manifest = (struct manifest){0};
    char *path = folder_join(folder, MANIFEST_FILE);
    json_error_t fault;
    enum status status;
    FILE *stream = fopen(path, "rb");
    if (!stream) {
        status = error_set(err, errno == ENOENT || errno == ENOTDIR ? BAD_DATA : FAILED,
                           "%s: %s; expected a folder that `advisor export` made", path,
                           strerror(errno));
    } else {
        arena_init(&manifest->arena, NULL);
        json_t *root = json_loadf(stream, JSON_REJECT_DUPLICATES, &fault);
        fclose(stream);
        status = read_root(manifest, path, root, &fault, err);
    }
    free(path);
    return status;
}

enum status manifest_parse(struct manifest *manifest, const char *where, const char *text,
                           struct error *err)
{
    json_error_t fault;
    *manifest = (struct manifest){0};
    arena_init(&manifest->arena, NULL);
    json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, &fault);
    return read_root(manifest, where, root, &fault, err);
}

void manifest_release(struct manifest *manifest)
{
    arena_release(&manifest->arena);
    *manifest = (struct manifest){0};
}

/* ---- Files ---------------------------------------------------------------------------------- */

static enum status check_file(const char *path, const struct manifest_file *file, struct error *err)
{
    struct stat facts;
    char sha256[HASH_HEX];
    if (stat(path, &facts))
        return error_set(err, BAD_DATA, "%s: %s; the export is not whole, make it again", path,
                         strerror(errno));
    enum status status = hash_file(path, sha256, err);
    if (status == OK &&
        ((uint64_t)facts.st_size != file->bytes || strcmp(sha256, file->sha256) != 0))
        return error_set(err, BAD_DATA,
                         "%s: the file is not the one that was exported (%lld bytes, %llu "
                         "expected, SHA-256 %.12s, %.12s expected); make the export again",
                         path, (long long)facts.st_size, (unsigned long long)file->bytes, sha256,
                         file->sha256);
    return status;
}

bool manifest_lists(const struct manifest *manifest, const char *file)
{
    for (size_t i = 0; i < manifest->file_count; i++)
        if (!strcmp(manifest->files[i].name, file))
            return true;
    return false;
}

enum status manifest_check_files(const struct manifest *manifest, const char *folder,
                                 struct error *err)
{
    enum status status = OK;
    for (size_t i = 0; i < manifest->file_count && status == OK; i++) {
        char *path = folder_join(folder, manifest->files[i].name);
        status = check_file(path, &manifest->files[i], err);
        free(path);
    }
    return status;
}
