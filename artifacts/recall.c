/* SPDX-License-Identifier: Apache-2.0 */
#include "artifacts/recall.h"

#include <stdlib.h>
#include <string.h>

#include "artifacts/examples.h"
#include "artifacts/prompt_text.h"

/* ---- What stands in for the data ------------------------------------------------------------ */

/* Examples with the training answers in their numbers. Where not all are listed, the rest are
 * answers that occur once, and come last in byte order, so that they are never the most frequent.
 */
static void fill_examples(struct recalled *r)
{
    const struct manifest *m = &r->manifest;
    size_t count = (size_t)m->examples, at = 0;
    r->data.examples = arena_zalloc(&r->arena, (count + 1) * sizeof *r->data.examples);
    for (size_t a = 0; a < m->answer_count; a++)
        for (size_t i = 0; i < m->answers[a].count; i++)
            r->data.examples[at++] = (struct example){
                .input = "", .target = m->answers[a].text, .label = m->label_count ? (int)a : -1};
    for (; at < count; at++)
        r->data.examples[at] = (struct example){
            .input = "", .target = arena_printf(&r->arena, "\xFF%zu", at), .label = -1};
    r->data.count = count;
}

static void fill_data(struct recalled *r)
{
    const struct manifest *m = &r->manifest;
    r->data.path = m->data_name;
    r->data.task = m->task;
    r->data.input_column = m->input;
    r->data.label_count = m->label_count;
    r->data.labels = arena_zalloc(&r->arena, (m->label_count + 1) * sizeof *r->data.labels);
    for (size_t i = 0; i < m->label_count; i++)
        r->data.labels[i] = (struct label){m->labels[i], m->answers[i].count};
    fill_examples(r);
}

/* ---- Opening -------------------------------------------------------------------------------- */

static enum status open_parts(struct recalled *r, struct error *err)
{
    const struct manifest *m = &r->manifest;
    const struct technique *technique = technique_find(m->technique);
    r->format = export_format_find(m->format);
    if (!technique || !r->format)
        return error_set(err, BAD_DATA,
                         "%s: the export is of technique \"%.60s\" and format \"%.60s\", and this "
                         "program does not know %s; use the program that made it (advisor %.20s)",
                         r->folder, m->technique, m->format,
                         technique ? "the format" : "the technique", m->advisor);
    if (technique->needs & NEEDS_MODEL && !m->chat_format)
        return error_set(err, BAD_DATA, "%s: the prompt of %s is missing; make the export again",
                         r->folder, technique->name);
    enum status status = setting_parse(technique, m->setting, &r->setting, &r->arena, err);
    if (status == OK)
        status = manifest_check_files(m, r->folder, err);
    if (status == OK)
        fill_data(r);
    if (status == OK && manifest_lists(m, EXAMPLES_FILE))
        status = examples_read(r->folder, &r->data, &r->kept, err);
    return status;
}

enum status recall_open(struct recalled *recalled, const char *folder, struct error *err)
{
    *recalled = (struct recalled){.folder = folder};
    arena_init(&recalled->arena, NULL);
    enum status status = manifest_read(&recalled->manifest, folder, err);
    if (status == OK)
        status = open_parts(recalled, err);
    if (status != OK)
        recall_close(recalled);
    return status;
}

/* ---- The model ------------------------------------------------------------------------------ */

static enum status load_own(struct recalled *r, int threads, struct error *err)
{
    char *path = folder_join(r->folder, MODEL_GGUF_FILE);
    enum status status = model_load_as(&r->model, path, WEIGHTS_EXPANDED, threads, err);
    free(path);
    if (status == OK)
        r->engine = engine_create(r->model, threads);
    return status;
}

static enum status check_base(const struct recalled *r, const struct model *model,
                              struct error *err)
{
    const struct manifest *m = &r->manifest;
    if (!strcmp(model->sha256, m->model_sha256))
        return OK;
    return error_set(err, BAD_MODEL,
                     "%s was made for the model %s (%s, SHA-256 %.12s...), and %s is another one "
                     "(%.12s...); name the right file with --model",
                     r->folder, m->model_name, m->model_file, m->model_sha256, model->path,
                     model->sha256);
}

/* The prompt that the technique makes must be the one that the manifest has. */
static enum status check_prompt(struct recalled *r, struct error *err)
{
    const struct manifest *m = &r->manifest;
    const struct adapted *adapted = r->adapted;
    struct prompt_text text = {0};
    if (!m->chat_format)
        return OK;
    struct turns turns = {0};
    enum status status = prompt_text_make(adapted, &text, err);
    if (status == OK)
        status = messages_of(adapted, &r->arena, &turns, err);
    bool same = messages_equal(&turns, &m->turns) &&
                !strcmp(m->chat_format, adapted->engine->model->chat->name) &&
                !strcmp(m->before, text_string(&text.before)) &&
                !strcmp(m->after, text_string(&text.after)) &&
                !strcmp(m->end, text_string(&text.end)) &&
                m->virtual_tokens == prompt_text_virtual(adapted);
    prompt_text_release(&text);
    if (status != OK || same)
        return status;
    return error_set(err, BAD_DATA,
                     "%s: the prompt that %s makes is not the one that was exported; use the "
                     "program that made the export (advisor %s)",
                     r->folder, adapted->technique->name, m->advisor);
}

/* The technique makes its prompts and its parameters again from what was kept of the data. Where
 * the parameters are folded into the weights, nothing is attached. */
static enum status create(struct recalled *r, struct engine *engine, struct error *err)
{
    struct dataset *data = r->kept.count ? &r->kept : &r->data;
    size_t *rows = arena_alloc(&r->arena, (data->count + 1) * sizeof *rows);
    for (size_t i = 0; i < data->count; i++)
        rows[i] = i;
    struct material material = {
        .data = data, .rows = rows, .count = data->count, .seed = r->manifest.seed};
    r->technique = *r->setting.technique;
    r->setting.technique = &r->technique;
    if (r->format->whole_model)
        r->technique.attach = NULL;
    enum status status = adapted_create(&r->adapted, engine, &r->setting, &material, err);
    if (status != OK)
        return status;
    r->adapted->longest_answer = r->manifest.longest_answer;
    for (int i = 0; i < r->adapted->member_count; i++)
        r->adapted->members[i]->longest_answer = r->manifest.longest_answer;
    if (!r->format->whole_model)
        adapted_settle(r->adapted);
    return check_prompt(r, err);
}

enum status recall_model(struct recalled *r, struct engine *base, int threads, struct error *err)
{
    enum status status =
        r->format->whole_model ? load_own(r, threads, err) : check_base(r, base->model, err);
    if (status != OK)
        return status;
    struct engine *engine = r->engine ? r->engine : base;
    status = create(r, engine, err);
    return status == OK ? r->format->read(r->folder, r->adapted, err) : status;
}

void recall_close(struct recalled *recalled)
{
    adapted_release(recalled->adapted);
    engine_free(recalled->engine);
    dataset_release(&recalled->kept);
    model_free(recalled->model);
    arena_release(&recalled->arena);
    manifest_release(&recalled->manifest);
    *recalled = (struct recalled){0};
}
