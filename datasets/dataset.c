/* SPDX-License-Identifier: Apache-2.0 */
#include "datasets/dataset.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/memory.h"
#include "base/text.h"
#include "datasets/demo.h"
#include "datasets/excerpt.h"
#include "datasets/labels.h"
#include "datasets/rows.h"
#include "datasets/task.h"

const char *data_format_name(enum data_format format)
{
    static const char *const names[] = {"CSV", "TSV", "JSONL", "JSON"};
    return names[format];
}

const char *data_shape_name(enum data_shape shape)
{
    static const char *const names[] = {"columns", "Alpaca", "messages", "conversations"};
    return names[shape];
}

static bool has_extension(const char *name, const char *extension)
{
    size_t length = strlen(name);
    size_t tail = strlen(extension);
    if (length < tail)
        return false;
    for (size_t i = 0; i < tail; i++) {
        char c = name[length - tail + i];
        if ((c >= 'A' && c <= 'Z' ? c + 'a' - 'A' : c) != extension[i])
            return false;
    }
    return true;
}

enum data_family data_family(const char *name, const char *bytes, size_t size, char delimiter)
{
    static const struct {
        const char *extension;
        enum data_family family;
    } known[] = {{".csv", FAMILY_CSV},    {".tsv", FAMILY_TSV},     {".tab", FAMILY_TSV},
                 {".jsonl", FAMILY_JSON}, {".ndjson", FAMILY_JSON}, {".json", FAMILY_JSON}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (has_extension(name, known[i].extension))
            return known[i].family;
    while (size && memchr(" \t\r\n\xEF\xBB\xBF", *bytes, 7)) {
        bytes++;
        size--;
    }
    if (size && (*bytes == '{' || *bytes == '['))
        return FAMILY_JSON;
    return delimiter == '\t' ? FAMILY_TSV : delimiter ? FAMILY_CSV : FAMILY_UNKNOWN;
}

enum status data_refuse_binary(const char *name, const char *bytes, size_t size, struct error *err)
{
    static const struct {
        const char *magic;
        const char *what;
    } known[] = {{"\x1F\x8B", "compressed with gzip; unpack it"},
                 {"BZh", "compressed with bzip2; unpack it"},
                 {"\xFD\x37zXZ", "compressed with xz; unpack it"},
                 {"\x28\xB5\x2F\xFD", "compressed with zstd; unpack it"},
                 {"PK\x03\x04", "a ZIP archive or an Excel workbook; unpack or save it as CSV"},
                 {"\xD0\xCF\x11\xE0", "an old Excel workbook; save it as CSV"},
                 {"PAR1", "a Parquet file; convert it to CSV or JSONL"},
                 {"SQLite format 3", "an SQLite database; export the table as CSV"}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        size_t length = strlen(known[i].magic);
        if (size >= length && memcmp(bytes, known[i].magic, length) == 0)
            return error_set(err, BAD_DATA, "%s: the file is %s first.", name, known[i].what);
    }
    return OK;
}

static enum status read_rows(struct rows *rows, const char *name, const char *bytes, size_t size,
                             struct error *err)
{
    struct dataset *dataset = rows->dataset;
    char delimiter = rows->options->delimiter;
    enum status status = data_refuse_binary(rows->name, bytes, size, err);
    if (status)
        return status;
    enum data_family family = data_family(name, bytes, size, delimiter);
    if (family == FAMILY_UNKNOWN)
        return error_set(err, BAD_DATA,
                         "%s: the name does not tell the format; rename the file to .csv, .tsv, "
                         ".jsonl or .json, or give the delimiter of a table with --delimiter.",
                         rows->name);
    if (family == FAMILY_JSON)
        return rows_read_json(rows, bytes, size, err);
    dataset->format = family == FAMILY_TSV ? FORMAT_TSV : FORMAT_CSV;
    if (!delimiter)
        delimiter = family == FAMILY_TSV ? '\t' : ',';
    return rows_read_table(rows, bytes, size, delimiter, err);
}

static enum status check_options(const struct dataset_options *o, struct error *err)
{
    if (o->like && o->task && o->task != o->like->task)
        return error_set(err, USAGE,
                         "The data to add are read as %s, like the data they belong to; they "
                         "cannot be read as %s.",
                         task_name(o->like->task), task_name(o->task));
    if (o->label_map && o->task && o->task != TASK_CLASSIFICATION)
        return error_set(err, USAGE,
                         "A label map makes the task a classification; it cannot be %s as well.",
                         task_name(o->task));
    return OK;
}

static enum status report_no_rows(const struct dataset *dataset, struct error *err)
{
    if (dataset->skipped_count)
        return error_set(err, BAD_DATA, "%s: all %zu rows had to be left out. The first one: %s",
                         dataset->path, dataset->skipped_count, dataset->skipped[0].reason);
    return error_set(err, BAD_DATA,
                     "%s: there are no examples in it; add at least one row below the header, or "
                     "one record.",
                     dataset->path);
}

static void settle_task(struct dataset *dataset, const struct dataset_options *o)
{
    dataset->task_forced = true;
    if (o->like) {
        dataset->task = o->like->task;
        dataset->task_reason = "The same task as the data it belongs to.";
    } else if (o->task) {
        dataset->task = o->task;
        dataset->task_reason = "The task was asked for.";
    } else if (o->label_map) {
        dataset->task = TASK_CLASSIFICATION;
        dataset->task_reason = "A label map was given.";
    } else if (o->inputs_only) {
        dataset->task = TASK_GENERATION;
        dataset->task_reason = "Only inputs were read.";
    } else {
        dataset->task_forced = false;
        dataset->task = dataset_infer_task(dataset->examples, dataset->count, &dataset->arena,
                                           &dataset->task_reason);
    }
}

/* Leaves out, or reports, the examples whose target does not fit the task. */
static enum status check_targets(struct rows *rows, struct error *err)
{
    struct dataset *dataset = rows->dataset;
    size_t kept = 0;
    for (size_t i = 0; i < dataset->count; i++) {
        const struct example *example = &dataset->examples[i];
        const char *complaint = example->target ? task_complaint(dataset->task, example) : NULL;
        if (!complaint) {
            dataset->examples[kept++] = *example;
            continue;
        }
        enum status status = rows_complain(
            rows, example->line, err, "the target %s %s, as the task %s wants",
            excerpt_string(example->target).text, complaint, task_name(dataset->task));
        if (status)
            return status;
    }
    dataset->count = kept;
    return OK;
}

/* Moves what has grown outside into the arena. */
static void hand_over(struct rows *rows)
{
    struct dataset *dataset = rows->dataset;
    struct arena *arena = &dataset->arena;
    dataset->count = rows->count;
    dataset->examples = arena_alloc(arena, rows->count * sizeof *rows->examples);
    if (rows->examples)
        memcpy(dataset->examples, rows->examples, rows->count * sizeof *rows->examples);
}

static void hand_over_skipped(struct rows *rows)
{
    struct dataset *dataset = rows->dataset;
    size_t bytes = dataset->skipped_listed * sizeof *rows->skipped;
    dataset->skipped = arena_alloc(&dataset->arena, bytes);
    if (rows->skipped)
        memcpy(dataset->skipped, rows->skipped, bytes);
}

static void write_notes(struct dataset *dataset, const struct dataset_options *o)
{
    for (size_t i = 0; i < dataset->count; i++)
        dataset->rationale_count += dataset->examples[i].rationale != NULL;
    if (dataset->skipped_count)
        dataset_note(dataset, "%zu bad row%s left out. The first one: %s", dataset->skipped_count,
                     dataset->skipped_count == 1 ? " was" : "s were", dataset->skipped[0].reason);
    if (dataset->count == 1)
        dataset_note(dataset, "There is one example only; nothing can be measured with it.");
    if (dataset->rationale_count && dataset->rationale_count < dataset->count)
        dataset_note(dataset, "%zu of %zu examples have a rationale.", dataset->rationale_count,
                     dataset->count);
    labels_note(dataset);
    if (!o->label_map && !o->like && !o->inputs_only)
        labels_note_numbers(dataset);
}

static enum status fill(struct rows *rows, const char *name, const char *bytes, size_t size,
                        struct error *err)
{
    struct dataset *dataset = rows->dataset;
    enum status status = check_options(rows->options, err);
    if (!status)
        status = hash_bytes(bytes, size, dataset->sha256, err);
    if (!status)
        status = read_rows(rows, name, bytes, size, err);
    if (!status)
        status = rows_settle(rows, err);
    if (status)
        return status;
    hand_over(rows);
    if (dataset->count) {
        settle_task(dataset, rows->options);
        status = check_targets(rows, err);
    }
    if (status)
        return status;
    hand_over_skipped(rows);
    if (dataset->count == 0)
        return rows->options->part ? OK : report_no_rows(dataset, err);
    status = labels_build(dataset, rows->options->like, err);
    if (status)
        return status;
    rows_describe(rows);
    write_notes(dataset, rows->options);
    return OK;
}

/* `path` stands in messages, `name` decides the format. */
static enum status parse(const char *path, const char *name, const char *bytes, size_t size,
                         const struct dataset_options *options, struct dataset *dataset,
                         struct error *err)
{
    static const struct dataset_options defaults;
    *dataset = (struct dataset){.bytes = size};
    arena_init(&dataset->arena, NULL);
    dataset->path = arena_strdup(&dataset->arena, path);
    struct rows rows = {
        .name = dataset->path, .options = options ? options : &defaults, .dataset = dataset};
    enum status status = fill(&rows, name, bytes, size, err);
    rows_release(&rows);
    if (status)
        dataset_release(dataset);
    return status;
}

enum status dataset_parse(const char *name, const char *bytes, size_t size,
                          const struct dataset_options *options, struct dataset *dataset,
                          struct error *err)
{
    return parse(name, name, bytes, size, options, dataset, err);
}

static enum status report_unreadable(const char *path, struct error *err)
{
    if (errno == ENOENT || errno == ENOTDIR || errno == EISDIR)
        return error_set(err, BAD_DATA,
                         "%s: %s; name a CSV, TSV, JSONL or JSON file, or demo:tickets or "
                         "demo:problems.",
                         path, errno == EISDIR ? "this is a folder" : "there is no such file");
    return error_set(err, FAILED, "%s: the file cannot be read: %s.", path, strerror(errno));
}

/* The whole file; the caller frees `*bytes`, also after an error. */
static enum status read_stream(FILE *stream, const char *path, char **bytes, size_t *size,
                               struct error *err)
{
    size_t capacity = 1 << 16;
    *bytes = malloc(capacity);
    *size = 0;
    for (;;) {
        if (!*bytes)
            return error_set(err, FAILED, "%s: there is no memory for this file.", path);
        *size += fread(*bytes + *size, 1, capacity - *size, stream);
        if (*size < capacity)
            break;
        capacity *= 2;
        char *larger = realloc(*bytes, capacity);
        if (!larger)
            free(*bytes);
        *bytes = larger;
    }
    return ferror(stream) ? report_unreadable(path, err) : OK;
}

static enum status load_demo(const char *path, const struct dataset_options *options,
                             struct dataset *dataset, struct error *err)
{
    struct demo demo;
    if (demo_find(path, &demo))
        return parse(path, demo.file, demo.bytes, demo.size, options, dataset, err);
    return error_set(err, USAGE,
                     "%s: there are no such data; demo:tickets and demo:problems exist.", path);
}

enum status dataset_load(const char *path, const struct dataset_options *options,
                         struct dataset *dataset, struct error *err)
{
    *dataset = (struct dataset){0};
    if (strncmp(path, "demo:", 5) == 0)
        return load_demo(path, options, dataset, err);
    FILE *stream = fopen(path, "rb");
    if (!stream)
        return report_unreadable(path, err);
    char *bytes = NULL;
    size_t size = 0;
    enum status status = read_stream(stream, path, &bytes, &size, err);
    fclose(stream);
    if (!status)
        status = parse(path, path, bytes, size, options, dataset, err);
    free(bytes);
    return status;
}

void dataset_release(struct dataset *dataset)
{
    arena_release(&dataset->arena);
    *dataset = (struct dataset){0};
}
