/* SPDX-License-Identifier: Apache-2.0
 *
 * A LoRA adapter for llama.cpp: one GGUF file with general.type "adapter", the scale as
 * adapter.lora.alpha, and for every adapted weight the tensors NAME.weight.lora_a, ne (in, r), and
 * NAME.weight.lora_b, ne (r, out), which llama.cpp applies as alpha / r (llama-adapter.cpp). The
 * parameters are in the order of GGUF already.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "artifacts/format.h"
#include "model/gguf.h"
#include "model/gguf_write.h"
#include "techniques/interchange.h"

static const char alpha_key[] = "adapter.lora.alpha";

enum { TYPE_F32 = 0, NAME_BYTES = 64 };

static double scale_of(const struct setting *setting)
{
    const struct interchange *interchange = setting->technique->interchange;
    return interchange && interchange->low_rank_scale ? interchange->low_rank_scale(setting) : 0;
}

static const char *refuses(const struct setting *setting, const struct kept *kept)
{
    (void)kept;
    return scale_of(setting) > 0 ? NULL : "a GGUF adapter holds low-rank updates and nothing else";
}

/* "blk.0.attn_q.lora_a" becomes "blk.0.attn_q.weight.lora_a". */
static void name_of(const struct parameter *item, char name[NAME_BYTES])
{
    const char *suffix = strrchr(item->name, '.');
    int stem = suffix ? (int)(suffix - item->name) : 0;
    snprintf(name, NAME_BYTES, "%.*s.weight%s", stem, item->name, suffix ? suffix : "");
}

/* llama.cpp divides by the rank again. */
static double alpha_of(const struct adapted *adapted)
{
    return scale_of(&adapted->setting) * adapted->parameters.items[0].rows;
}

static void declare(const struct adapted *adapted, const char *architecture,
                    struct gguf_writer *writer)
{
    const struct parameters *p = &adapted->parameters;
    struct text name = {0};
    text_printf(&name, "%s of %s", adapted->technique->name, adapted->engine->model->name);
    gguf_writer_string(writer, "general.architecture", architecture);
    gguf_writer_string(writer, "general.type", "adapter");
    gguf_writer_string(writer, "adapter.type", "lora");
    gguf_writer_string(writer, "general.name", text_string(&name));
    gguf_writer_f32(writer, alpha_key, (float)alpha_of(adapted));
    for (int i = 0; i < p->n_items; i++) {
        const struct parameter *item = &p->items[i];
        char tensor[NAME_BYTES];
        name_of(item, tensor);
        gguf_writer_tensor(writer, tensor, 2, (int64_t[]){item->cols, item->rows}, TYPE_F32,
                           (uint64_t)item->rows * (uint64_t)item->cols * sizeof(float));
    }
    text_release(&name);
}

static enum status write_values(const struct adapted *adapted, struct gguf_writer *writer,
                                struct error *err)
{
    const struct parameters *p = &adapted->parameters;
    float *values = memory_alloc(p->count * sizeof *values);
    enum status status = gguf_writer_begin(writer, err);
    for (int i = 0; i < p->n_items && status == OK; i++) {
        const struct parameter *item = &p->items[i];
        parameter_floats(adapted, i, values);
        status = gguf_writer_data(writer, values,
                                  (size_t)item->rows * (size_t)item->cols * sizeof *values, err);
    }
    free(values);
    return status == OK ? gguf_writer_end(writer, err) : status;
}

static enum status write_adapter(const struct adapted *adapted, enum weight_type type,
                                 struct folder *folder, struct error *err)
{
    (void)type;
    struct gguf_writer writer = {.sink = folder_write, .context = folder};
    struct gguf *source;
    enum status status = gguf_open(&source, adapted->engine->model->path, err);
    if (status != OK)
        return status;
    declare(adapted, gguf_architecture(source), &writer);
    gguf_free(source);
    status = folder_open_file(folder, ADAPTER_GGUF_FILE, err);
    if (status == OK)
        status = write_values(adapted, &writer, err);
    gguf_writer_release(&writer);
    return status == OK ? folder_close_file(folder, err) : status;
}

static enum status check_scale(const struct gguf *gguf, const struct adapted *adapted,
                               struct error *err)
{
    double alpha = 0, expected = alpha_of(adapted);
    enum status status = gguf_expect_type(gguf, "adapter", err);
    if (status == OK)
        status = gguf_float(gguf, alpha_key, &alpha, err);
    if (status == OK && fabs(alpha - expected) > 1e-6 * expected)
        return gguf_reject_key(gguf, alpha_key, err, "%s is %g; expected %g", alpha_key, alpha,
                               expected);
    if (status == OK && gguf_tensor_count(gguf) != (size_t)adapted->parameters.n_items)
        return error_set(err, BAD_MODEL, "%s: it holds %zu tensors; expected the %d of %s",
                         gguf_path(gguf), gguf_tensor_count(gguf), adapted->parameters.n_items,
                         adapted->technique->name);
    return status;
}

static enum status take_values(const struct gguf *gguf, struct adapted *adapted, struct error *err)
{
    const struct parameters *p = &adapted->parameters;
    float *values = memory_alloc(p->count * sizeof *values);
    enum status status = OK;
    for (int i = 0; i < p->n_items && status == OK; i++) {
        const struct parameter *item = &p->items[i];
        const struct gguf_tensor *tensor;
        char name[NAME_BYTES];
        name_of(item, name);
        status = gguf_tensor_expect(gguf, name, item->cols, item->rows, &tensor, err);
        if (status == OK)
            status = gguf_expand(gguf, tensor, 0, tensor->rows, values, err);
        if (status == OK)
            parameter_take(adapted, i, values);
    }
    free(values);
    return status;
}

static enum status read_adapter(const char *folder, struct adapted *adapted, struct error *err)
{
    char *path = folder_join(folder, ADAPTER_GGUF_FILE);
    struct gguf *gguf;
    enum status status = gguf_open(&gguf, path, err);
    if (status == OK)
        status = check_scale(gguf, adapted, err);
    if (status == OK)
        status = take_values(gguf, adapted, err);
    gguf_free(gguf);
    free(path);
    return status;
}

const struct export_format export_gguf = {
    .name = "gguf",
    .summary = "a GGUF LoRA adapter for llama.cpp (--lora)",
    .refuses = refuses,
    .write = write_adapter,
    .read = read_adapter,
};
