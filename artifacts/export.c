/* SPDX-License-Identifier: Apache-2.0 */
#include "artifacts/export.h"

#include <stdlib.h>
#include <string.h>

#include "artifacts/examples.h"
#include "artifacts/prompt_text.h"
#include "artifacts/recall.h"
#include "artifacts/task_table.h"
#include "model/blas.h"
#include "model/chat.h"

/* Differences of a probability that rounding weights to 11 significant bits explains. */
static const double rounded_tolerance = 2e-2;

/* ---- The manifest --------------------------------------------------------------------------- */

/* Everything behind the last slash. */
static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The most frequent target of the material; the first in byte order on ties. */
static struct training_answer most_frequent(const struct material *material, struct arena *arena)
{
    struct training_answer best = {"", 0};
    const char **targets = arena_alloc(arena, (material->count + 1) * sizeof *targets);
    for (size_t i = 0; i < material->count; i++)
        targets[i] = material->data->examples[material->rows[i]].target;
    qsort(targets, material->count, sizeof *targets, by_text);
    for (size_t i = 0, run = 0; i < material->count; i++) {
        run = i && !strcmp(targets[i], targets[i - 1]) ? run + 1 : 1;
        if (run > best.count)
            best = (struct training_answer){targets[i], run};
    }
    return best;
}

static void describe_data(const struct material *material, struct arena *arena, struct manifest *m)
{
    const struct dataset *data = material->data;
    size_t labels = data->label_count;
    const char **names = arena_alloc(arena, (labels + 1) * sizeof *names);
    struct training_answer *answers = arena_zalloc(arena, (labels + 1) * sizeof *answers);
    for (size_t i = 0; i < labels; i++)
        answers[i].text = names[i] = data->labels[i].name;
    for (size_t i = 0; i < material->count && labels; i++)
        answers[data->examples[material->rows[i]].label].count++;
    if (!labels)
        answers[0] = most_frequent(material, arena);
    m->data_name = base_name(data->path);
    m->data_sha256 = data->sha256;
    m->input = data->shape == SHAPE_COLUMNS ? data->input_column : NULL;
    m->task = data->task;
    m->labels = names;
    m->label_count = labels;
    m->answers = answers;
    m->answer_count = labels ? labels : 1;
}

static enum status describe_prompt(const struct adapted *adapted, struct arena *arena,
                                   struct manifest *m, struct error *err)
{
    struct prompt_text text = {0};
    if (!(adapted->technique->needs & NEEDS_MODEL))
        return OK;
    enum status status = prompt_text_make(adapted, &text, err);
    if (status == OK)
        status = messages_of(adapted, arena, &m->turns, err);
    m->chat_format = adapted->engine->model->chat->name;
    m->virtual_tokens = prompt_text_virtual(adapted);
    m->longest_answer = adapted->labels ? 0 : adapted->longest_answer;
    m->before = arena_strdup(arena, text_string(&text.before));
    m->after = arena_strdup(arena, text_string(&text.after));
    m->end = arena_strdup(arena, text_string(&text.end));
    prompt_text_release(&text);
    return status;
}

enum status export_manifest(const struct export_request *request, const struct folder_file *files,
                            size_t file_count, char **out, struct error *err)
{
    const struct adapted *adapted = request->adapted;
    const struct model *model = adapted->engine->model;
    struct manifest m = request->facts;
    struct manifest_file listed[FOLDER_FILES];
    struct text setting = {0};
    struct arena arena;
    arena_init(&arena, NULL);
    setting_json(&adapted->setting, &setting);
    m.format = request->format->name;
    m.technique = adapted->technique->name;
    m.setting = text_string(&setting);
    m.examples = (int64_t)request->material->count;
    m.seed = request->material->seed;
    m.model_name = model->name;
    m.model_file = base_name(model->path);
    m.model_sha256 = model->sha256;
    m.blas = blas_version();
    m.files = listed;
    m.file_count = file_count;
    for (size_t i = 0; i < file_count; i++)
        listed[i] = (struct manifest_file){files[i].name, files[i].bytes, files[i].sha256};
    describe_data(request->material, &arena, &m);
    enum status status = describe_prompt(adapted, &arena, &m, err);
    *out = status == OK ? manifest_write(&m) : NULL;
    if (status == OK && !*out)
        status = error_set(err, FAILED,
                           "the manifest cannot be written: a name or the prompt is not valid "
                           "UTF-8, or a number is not finite");
    text_release(&setting);
    arena_release(&arena);
    return status;
}

static enum status write_manifest(const struct export_request *request, struct folder *folder,
                                  struct error *err)
{
    char *text;
    enum status status = export_manifest(request, folder->files, folder->file_count, &text, err);
    if (status == OK)
        status = folder_add(folder, MANIFEST_FILE, text, strlen(text), err);
    free(text);
    return status;
}

/* ---- The proof ------------------------------------------------------------------------------ */

static enum status differs(const char *what, struct error *err)
{
    return error_set(err, FAILED,
                     "the export was read back and its %s differ from the original; nothing was "
                     "kept",
                     what);
}

static bool same_tokens(const struct tokens *a, const struct tokens *b)
{
    return a->count == b->count &&
           (!a->count || !memcmp(a->ids, b->ids, a->count * sizeof *a->ids));
}

/* What must be the same to the bit: the prompts, and parameters that are not folded in. */
static enum status compare_parts(const struct adapted *original, const struct adapted *recalled,
                                 bool folded, struct error *err)
{
    const struct parameters *a = &original->parameters, *b = &recalled->parameters;
    bool same = same_tokens(&original->prefix, &recalled->prefix) &&
                original->member_count == recalled->member_count;
    for (int i = 0; same && i < original->member_count; i++)
        same = same_tokens(&original->members[i]->prefix, &recalled->members[i]->prefix);
    if (!same)
        return differs("prompt tokens", err);
    same = folded || a->count == b->count;
    for (size_t i = 0; !folded && same && i < a->count; i++)
        same = (float)a->values[i] == (float)b->values[i];
    return same ? OK : differs("parameters", err);
}

static enum status answer(struct recalled *recalled, const struct export_request *request,
                          struct agreement *agreement, struct error *err)
{
    const struct proof *replay = &request->replay;
    struct arena arena;
    arena_init(&arena, NULL);
    struct outcome *outcomes = arena_zalloc(&arena, (replay->count + 1) * sizeof *outcomes);
    enum status status = adapted_answer(recalled->adapted, replay->examples, replay->count,
                                        outcomes, &arena, request->deadline, err);
    bool rounded = request->format->whole_model && request->type != WEIGHTS_F32;
    if (status == OK)
        status = proof_judge(
            replay, outcomes,
            rounded ? ". The weights were rounded to F16; --type f32 does not round" : "",
            agreement, err);
    arena_release(&arena);
    return status;
}

static enum status prove(const struct export_request *request, const char *folder,
                         struct agreement *agreement, struct error *err)
{
    struct recalled recalled;
    bool folded = request->format->whole_model;
    bool rounded = folded && request->type != WEIGHTS_F32;
    *agreement = (struct agreement){.count = request->replay.count,
                                    .labels = request->adapted->data->label_count > 0,
                                    .tolerance = rounded ? rounded_tolerance : PROOF_TOLERANCE};
    enum status status = recall_open(&recalled, folder, err);
    if (status != OK)
        return status;
    status = recall_model(&recalled, request->adapted->engine, request->threads, err);
    if (status == OK)
        status = compare_parts(request->adapted, recalled.adapted, folded, err);
    if (status == OK)
        status = answer(&recalled, request, agreement, err);
    recall_close(&recalled);
    return status;
}

/* An export of this program that cannot be read back is its own fault, whatever the reader says. */
static enum status not_proven(enum status status, const char *folder, struct error *err)
{
    if (status != BAD_DATA && status != BAD_MODEL)
        return status;
    struct error reason = *err;
    return error_set(err, FAILED, "%s: the export could not be read back, and nothing was kept: %s",
                     folder, reason.text);
}

enum status export_make(const struct export_request *request, struct agreement *agreement,
                        struct error *err)
{
    struct folder folder;
    *agreement = (struct agreement){0};
    if (request->format->one_file)
        return task_table_export(request, agreement, err);
    enum status status = folder_begin(&folder, request->folder, request->replace, err);
    if (status != OK)
        return status;
    adapted_settle(request->adapted);
    status = request->format->write(request->adapted, request->type, &folder, err);
    if (status == OK && request->kept.count)
        status = examples_write(request->material->data, &request->kept, &folder, err);
    if (status == OK)
        status = write_manifest(request, &folder, err);
    if (status == OK && request->written)
        request->written(request->context, folder.path);
    if (status == OK) {
        status = prove(request, folder.path, agreement, err);
        status = status == OK ? OK : not_proven(status, request->folder, err);
    }
    if (status == OK)
        status = folder_finish(&folder, err);
    folder_discard(&folder);
    return status;
}
