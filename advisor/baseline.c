/* SPDX-License-Identifier: Apache-2.0 */
#include "advisor/baseline.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SCHEMA = 1, DIGITS = 12 };

static const char KIND[] = "advisor baseline";
static const char AGAIN[] = "restore the file from version control, or make it anew with `advisor "
                            "bless`";

/* ---- Keys ----------------------------------------------------------------------------------- */

enum status baseline_key(const char *text, char key[BASELINE_KEY], struct error *err)
{
    char hex[HASH_HEX];
    enum status status = hash_bytes(text, strlen(text), hex, err);
    if (status != OK)
        return status;
    memcpy(key, hex, BASELINE_KEY - 1);
    key[BASELINE_KEY - 1] = '\0';
    return OK;
}

enum status baseline_text(const char *text, struct arena *arena, const char **value,
                          struct error *err)
{
    char key[BASELINE_KEY];
    enum status status = baseline_key(text, key, err);
    if (status == OK)
        *value = arena_printf(arena, "sha256:%s", key);
    return status;
}

int baseline_compare(const void *a, const void *b)
{
    const struct baseline_answer *x = a, *y = b;
    int order = strcmp(x->input, y->input);
    return order ? order : strcmp(x->target, y->target);
}

/* ---- Writing -------------------------------------------------------------------------------- */

/* Six decimals: more than a verdict needs, and short. */
static json_t *rounded(double value)
{
    return json_real(round(value * 1e6) / 1e6);
}

static json_t *measured_or_null(struct measured value)
{
    return value.known ? json_real(value.value) : json_null();
}

static json_t *string_or_null(const char *value)
{
    return value ? json_string(value) : json_null();
}

static json_t *file_of(const char *path, const char *sha256)
{
    return sha256 ? json_pack("{so,ss}", "path", string_or_null(path), "sha256", sha256)
                  : json_null();
}

static json_t *labels_of(const struct baseline *b)
{
    json_t *labels = json_array();
    for (size_t i = 0; i < b->label_count; i++)
        json_array_append_new(labels, json_string(b->labels[i]));
    return labels;
}

static json_t *artifact_of(const struct baseline *b)
{
    if (!b->artifact_file)
        return json_null();
    return json_pack("{ss,ss,sI}", "file", b->artifact_file, "sha256", b->artifact_sha256, "bytes",
                     (json_int_t)b->artifact_bytes);
}

static json_t *answers_of(const struct baseline *b)
{
    json_t *answers = json_array();
    for (size_t i = 0; i < b->answer_count; i++) {
        const struct baseline_answer *a = &b->answers[i];
        json_t *chance = a->probability.known ? rounded(a->probability.value) : json_null();
        json_array_append_new(answers,
                              json_pack("{ss,ss,so,sb,so}", "input", a->input, "target", a->target,
                                        "answer", string_or_null(a->answer), "correct",
                                        (int)a->correct, "probability", chance));
    }
    return answers;
}

/* Everything but the sum; NULL when some text is no UTF-8. */
static json_t *object_of(const struct baseline *b)
{
    json_t *data = json_pack("{ss,ss,so,ss,sb}", "path", b->data_path, "sha256", b->data_sha256,
                             "reading", json_loads(b->reading, 0, NULL), "task", b->task,
                             "test_apart", (int)b->test_apart);
    json_t *metric = json_pack("{ss,sf,sf,sf}", "name", b->metric, "value", b->value, "low", b->low,
                               "high", b->high);
    json_t *cost =
        json_pack("{so,so,so}", "tokens_per_request", measured_or_null(b->tokens_per_request),
                  "latency_ms", measured_or_null(b->latency_ms), "peak_memory_bytes",
                  measured_or_null(b->peak_memory_bytes));
    json_t *model = json_pack("{ss,so,ss}", "name", b->model_name, "path",
                              string_or_null(b->model_path), "sha256", b->model_sha256);
    return json_pack("{ss,si,ss,ss,ss,ss,so,sI,sI,so,so,so,so,so,so,so,so}", "kind", KIND, "schema",
                     SCHEMA, "program", b->program, "engine", b->engine, "study", b->study,
                     "technique", b->technique, "setting", json_loads(b->setting, 0, NULL),
                     "examples", (json_int_t)b->examples, "seed", (json_int_t)b->seed, "model",
                     model, "data", data, "test", file_of(b->test_path, b->test_sha256), "labels",
                     labels_of(b), "artifact", artifact_of(b), "metric", metric, "cost", cost,
                     "answers", answers_of(b));
}

static enum status sum_of(json_t *object, char hex[HASH_HEX], struct error *err)
{
    char *text = json_dumps(object, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(DIGITS));
    if (!text)
        return error_set(err, FAILED, "the baseline is no valid JSON");
    enum status status = hash_bytes(text, strlen(text), hex, err);
    free(text);
    return status;
}

static void add_value(struct text *out, json_t *value, size_t flags)
{
    char *text = json_dumps(value, flags | JSON_ENCODE_ANY | JSON_REAL_PRECISION(DIGITS));
    text_add(out, text ? text : "null");
    free(text);
}

/* A member a line, and an answer a line. */
static void lay_out(json_t *object, const char *sum, struct text *out)
{
    const char *key;
    json_t *value;
    text_add(out, "{\n");
    json_object_foreach(object, key, value)
    {
        text_printf(out, "  \"%s\": ", key);
        if (strcmp(key, "answers") != 0) {
            add_value(out, value, 0);
            text_add(out, ",\n");
            continue;
        }
        text_add(out, "[");
        for (size_t i = 0; i < json_array_size(value); i++) {
            text_add(out, i ? ",\n    " : "\n    ");
            add_value(out, json_array_get(value, i), 0);
        }
        text_add(out, "\n  ],\n");
    }
    text_printf(out, "  \"sha256\": \"%s\"\n}\n", sum);
}

enum status baseline_write(const struct baseline *baseline, struct text *out, struct error *err)
{
    char sum[HASH_HEX];
    json_t *object = object_of(baseline);
    if (!object)
        return error_set(err, FAILED,
                         "the baseline cannot be written as JSON: a name in it is no "
                         "valid UTF-8");
    enum status status = sum_of(object, sum, err);
    if (status == OK)
        lay_out(object, sum, out);
    json_decref(object);
    return status;
}

/* ---- Reading: values ------------------------------------------------------------------------ */

/* The first complaint stays; after it all values are empty. */
struct reader {
    const char *path;
    struct arena *arena;
    struct error *err;
    enum status status;
};

static void __attribute__((format(printf, 2, 3)))
complain(struct reader *r, const char *format, ...)
{
    va_list args;
    if (r->status != OK)
        return;
    va_start(args, format);
    const char *problem = arena_vprintf(r->arena, format, args);
    va_end(args);
    r->status = error_set(r->err, BAD_DATA, "%s: the baseline %s; %s", r->path, problem, AGAIN);
}

static const json_t *take(struct reader *r, const json_t *object, const char *key)
{
    const json_t *found = json_object_get(object, key);
    if (!found)
        complain(r, "has no \"%s\"", key);
    return found;
}

static const char *take_string(struct reader *r, const json_t *object, const char *key, bool null)
{
    const json_t *found = take(r, object, key);
    if (json_is_string(found))
        return arena_strdup(r->arena, json_string_value(found));
    if (!null || !json_is_null(found))
        complain(r, "has a \"%s\" that is no text", key);
    return null ? NULL : "";
}

static bool is_hex(const char *text, size_t length)
{
    return strlen(text) == length && strspn(text, "0123456789abcdef") == length;
}

static const char *take_hash(struct reader *r, const json_t *object, const char *key, size_t length)
{
    const char *text = take_string(r, object, key, false);
    if (!is_hex(text, length))
        complain(r, "has a \"%s\" that is no hash", key);
    return text;
}

static int64_t take_whole(struct reader *r, const json_t *object, const char *key)
{
    const json_t *found = take(r, object, key);
    if (!json_is_integer(found) || json_integer_value(found) < 0)
        complain(r, "has a \"%s\" that is no whole number", key);
    return json_integer_value(found);
}

static struct measured take_number(struct reader *r, const json_t *object, const char *key,
                                   double low, double high, bool null)
{
    const json_t *found = take(r, object, key);
    double value = json_number_value(found);
    if (null && json_is_null(found))
        return (struct measured){0};
    if (!json_is_number(found) || !(value >= low && value <= high))
        complain(r, "has a \"%s\" that is no number from %g to %g", key, low, high);
    return measured(value);
}

static bool take_bool(struct reader *r, const json_t *object, const char *key)
{
    const json_t *found = take(r, object, key);
    if (!json_is_boolean(found))
        complain(r, "has a \"%s\" that is neither true nor false", key);
    return json_is_true(found);
}

static const char *take_json(struct reader *r, const json_t *object, const char *key)
{
    const json_t *found = take(r, object, key);
    if (!json_is_object(found))
        complain(r, "has a \"%s\" that is no object", key);
    char *text = json_dumps(found, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(DIGITS));
    const char *copy = arena_strdup(r->arena, text ? text : "{}");
    free(text);
    return copy;
}

/* ---- Reading: parts ------------------------------------------------------------------------- */

static void read_model_and_data(struct reader *r, const json_t *object, struct baseline *b)
{
    const json_t *model = take(r, object, "model"), *data = take(r, object, "data");
    const json_t *test = take(r, object, "test");
    b->model_name = take_string(r, model, "name", false);
    b->model_path = take_string(r, model, "path", true);
    b->model_sha256 = take_hash(r, model, "sha256", HASH_HEX - 1);
    b->data_path = take_string(r, data, "path", false);
    b->data_sha256 = take_hash(r, data, "sha256", HASH_HEX - 1);
    b->reading = take_json(r, data, "reading");
    b->task = take_string(r, data, "task", false);
    b->test_apart = take_bool(r, data, "test_apart");
    if (json_is_null(test))
        return;
    b->test_path = take_string(r, test, "path", false);
    b->test_sha256 = take_hash(r, test, "sha256", HASH_HEX - 1);
}

static void read_labels(struct reader *r, const json_t *object, struct baseline *b)
{
    const json_t *labels = take(r, object, "labels");
    b->label_count = json_array_size(labels);
    const char **names = arena_alloc(r->arena, b->label_count * sizeof *names + 1);
    if (!json_is_array(labels))
        complain(r, "has \"labels\" that are no list");
    for (size_t i = 0; i < b->label_count; i++) {
        const char *name = json_string_value(json_array_get(labels, i));
        names[i] = arena_strdup(r->arena, name ? name : "");
        if (!name || (i && strcmp(names[i - 1], name) >= 0))
            complain(r, "has labels that are not in order, at number %zu", i + 1);
    }
    b->labels = names;
}

static void read_artifact(struct reader *r, const json_t *object, struct baseline *b)
{
    const json_t *artifact = take(r, object, "artifact");
    if (!artifact || json_is_null(artifact))
        return;
    b->artifact_file = take_string(r, artifact, "file", false);
    b->artifact_sha256 = take_hash(r, artifact, "sha256", HASH_HEX - 1);
    b->artifact_bytes = take_whole(r, artifact, "bytes");
    if (strchr(b->artifact_file, '/') || !*b->artifact_file)
        complain(r, "names an artifact that does not stand beside it");
}

static void read_results(struct reader *r, const json_t *object, struct baseline *b)
{
    const json_t *metric = take(r, object, "metric"), *cost = take(r, object, "cost");
    b->metric = take_string(r, metric, "name", false);
    b->value = take_number(r, metric, "value", -1, 1, false).value;
    b->low = take_number(r, metric, "low", -1, 1, false).value;
    b->high = take_number(r, metric, "high", -1, 1, false).value;
    b->tokens_per_request = take_number(r, cost, "tokens_per_request", 0, 1e12, true);
    b->latency_ms = take_number(r, cost, "latency_ms", 0, 1e12, true);
    b->peak_memory_bytes = take_number(r, cost, "peak_memory_bytes", 0, 1e18, true);
}

static bool is_label(const struct baseline *b, const char *name)
{
    for (size_t i = 0; i < b->label_count; i++)
        if (!strcmp(b->labels[i], name))
            return true;
    return false;
}

/* Whether a target or an answer is what the task has: a label, or the hash of a text. */
static bool fits(const struct baseline *b, const char *value)
{
    if (b->label_count)
        return is_label(b, value);
    return !strncmp(value, "sha256:", 7) && is_hex(value + 7, BASELINE_KEY - 1);
}

static void read_answer(struct reader *r, const json_t *row, const struct baseline *b,
                        struct baseline_answer *a)
{
    a->input = take_hash(r, row, "input", BASELINE_KEY - 1);
    a->target = take_string(r, row, "target", false);
    a->answer = take_string(r, row, "answer", true);
    a->probability = take_number(r, row, "probability", 0, 1, true);
    a->correct = take_bool(r, row, "correct");
    if (!fits(b, a->target) || (a->answer && !fits(b, a->answer)))
        complain(r, "has an answer to %s that is none of its labels", a->input);
    if (b->label_count && a->correct != (a->answer && !strcmp(a->answer, a->target)))
        complain(r, "calls the answer to %s %s, which it is not", a->input,
                 a->correct ? "correct" : "wrong");
}

static void read_answers(struct reader *r, const json_t *object, struct baseline *b)
{
    const json_t *answers = take(r, object, "answers");
    b->answer_count = json_array_size(answers);
    if (!b->answer_count)
        complain(r, "has no answers");
    b->answers = arena_zalloc(r->arena, b->answer_count * sizeof *b->answers + 1);
    for (size_t i = 0; i < b->answer_count && r->status == OK; i++) {
        read_answer(r, json_array_get(answers, i), b, &b->answers[i]);
        if (r->status == OK && i && baseline_compare(&b->answers[i - 1], &b->answers[i]) > 0)
            complain(r, "has answers that are not in order, at number %zu", i + 1);
    }
}

/* ---- Reading: the file ---------------------------------------------------------------------- */

static void check_kind(struct reader *r, const json_t *object)
{
    const char *kind = json_string_value(json_object_get(object, "kind"));
    json_int_t schema = json_integer_value(json_object_get(object, "schema"));
    if (!kind || strcmp(kind, KIND) != 0)
        r->status = error_set(r->err, BAD_DATA,
                              "%s is no baseline: its \"kind\" is not \"%s\"; expected a file that "
                              "`advisor bless` wrote",
                              r->path, KIND);
    else if (schema > SCHEMA)
        r->status = error_set(r->err, BAD_DATA,
                              "%s: the baseline has schema %d, and this program knows %d; use a "
                              "newer advisor, or bless again with this one",
                              r->path, (int)schema, SCHEMA);
    else if (schema != SCHEMA)
        complain(r, "has no schema that there ever was");
}

static void check_sum(struct reader *r, json_t *object)
{
    char sum[HASH_HEX] = "";
    const char *said = take_hash(r, object, "sha256", HASH_HEX - 1);
    json_object_del(object, "sha256");
    if (r->status == OK)
        r->status = sum_of(object, sum, r->err);
    if (r->status == OK && strcmp(sum, said) != 0)
        complain(r, "was changed since it was written: its content does not have the hash at its "
                    "end");
}

static void read_all(struct reader *r, json_t *object, struct baseline *b)
{
    check_kind(r, object);
    if (r->status != OK)
        return;
    check_sum(r, object);
    b->program = take_string(r, object, "program", false);
    b->engine = take_string(r, object, "engine", false);
    b->study = take_string(r, object, "study", false);
    b->technique = take_string(r, object, "technique", false);
    b->setting = take_json(r, object, "setting");
    b->examples = take_whole(r, object, "examples");
    b->seed = (uint64_t)take_whole(r, object, "seed");
    read_model_and_data(r, object, b);
    read_labels(r, object, b);
    read_artifact(r, object, b);
    read_results(r, object, b);
    read_answers(r, object, b);
}

enum status baseline_load_bytes(const char *path, struct arena *arena, const void **bytes,
                                size_t *length, struct error *err)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return error_set(err, errno == ENOENT ? USAGE : FAILED, "%s: cannot be read: %s", path,
                         strerror(errno));
    struct text text = {0};
    char buffer[65536];
    size_t n;
    while ((n = fread(buffer, 1, sizeof buffer, file)) > 0)
        text_append(&text, buffer, n);
    bool good = !ferror(file);
    int why = errno;
    fclose(file);
    char *copy = arena_alloc(arena, text.length + 1);
    memcpy(copy, text_string(&text), text.length + 1);
    *bytes = copy;
    *length = text.length;
    text_release(&text);
    return good ? OK : error_set(err, FAILED, "%s: cannot be read: %s", path, strerror(why));
}

enum status baseline_read(const char *path, struct arena *arena, struct baseline *baseline,
                          struct error *err)
{
    struct reader reader = {.path = path, .arena = arena, .err = err};
    const void *bytes;
    size_t length;
    json_error_t problem;
    *baseline = (struct baseline){0};
    enum status status = baseline_load_bytes(path, arena, &bytes, &length, err);
    if (status == USAGE)
        return error_set(err, USAGE,
                         "there is no baseline %s; make one with `advisor bless STUDY -o %s`, or "
                         "name another one",
                         path, path);
    if (status != OK)
        return status;
    json_t *object = json_loadb(bytes, length, JSON_REJECT_DUPLICATES, &problem);
    if (!object)
        complain(&reader, "is no valid JSON: line %d: %s", problem.line, problem.text);
    else
        read_all(&reader, object, baseline);
    json_decref(object);
    if (reader.status != OK)
        *baseline = (struct baseline){0};
    return reader.status;
}

/* ---- The setting -------------------------------------------------------------------------------
 */

/* setting_parse passes over names that it does not know, which is no way to run the same again. */
static const char *unknown_name(const char *json, const struct setting *setting,
                                struct arena *arena)
{
    json_t *object = json_loads(json, 0, NULL), *value;
    const char *key, *unknown = NULL;
    json_object_foreach(object, key, value)
    {
        if (!setting_has(setting, key))
            unknown = arena_strdup(arena, key);
    }
    json_decref(object);
    return unknown;
}

enum status baseline_setting(const struct baseline *baseline, const char *path,
                             const struct technique *technique, struct arena *arena,
                             struct setting *setting, struct error *err)
{
    struct error problem = {0};
    if (setting_parse(technique, baseline->setting, setting, arena, &problem) != OK)
        return error_set(err, BAD_DATA,
                         "%s: the setting of the baseline is not one of this program: %s", path,
                         problem.text);
    const char *unknown = unknown_name(baseline->setting, setting, arena);
    if (unknown)
        return error_set(err, BAD_DATA,
                         "%s: the setting of the baseline has \"%s\", which %s of this program "
                         "does not; use the version that wrote it, %s, or bless again",
                         path, unknown, technique->name, baseline->program);
    return OK;
}

/* ---- The artifact --------------------------------------------------------------------------- */

void baseline_beside(const char *path, const char *file, struct text *out)
{
    const char *slash = strrchr(path, '/');
    if (slash)
        text_append(out, path, (size_t)(slash - path) + 1);
    text_add(out, file);
}

enum status baseline_artifact(const struct baseline *baseline, const char *path,
                              struct arena *arena, const void **bytes, size_t *length,
                              struct error *err)
{
    struct text beside = {0};
    char hex[HASH_HEX];
    *bytes = NULL;
    *length = 0;
    if (!baseline->artifact_file)
        return OK;
    baseline_beside(path, baseline->artifact_file, &beside);
    enum status status = baseline_load_bytes(text_string(&beside), arena, bytes, length, err);
    if (status == USAGE)
        status = error_set(err, BAD_DATA,
                           "%s: what %s learned for the baseline is not there; it belongs beside "
                           "%s, so commit both",
                           text_string(&beside), baseline->technique, path);
    if (status == OK)
        status = hash_bytes(*bytes, *length, hex, err);
    if (status == OK && strcmp(hex, baseline->artifact_sha256) != 0)
        status = error_set(err, BAD_DATA,
                           "%s: this is not what %s learned for the baseline %s: its hash is "
                           "%.12s..., expected %.12s...; %s",
                           text_string(&beside), baseline->technique, path, hex,
                           baseline->artifact_sha256, AGAIN);
    text_release(&beside);
    return status;
}
