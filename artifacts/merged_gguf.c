/* SPDX-License-Identifier: Apache-2.0
 *
 * A whole model for llama.cpp and its relatives, with the parameters folded into the weights.
 * Metadata and tokenizer are those of the base model's file, byte by byte; only general.file_type
 * tells the new type, and general.quantization_version, which would say nothing, is left out.
 * Matrices become F16 or F32, vectors stay F32, and tensors that the engine does not know are
 * copied as they are.
 */
#include <stdlib.h>
#include <string.h>

#include "artifacts/format.h"
#include "model/gguf.h"
#include "model/gguf_write.h"
#include "model/weight.h"

enum { TYPE_F32 = 0, TYPE_F16 = 1, ROWS_AT_ONCE = 256 };

static const char *refuses(const struct setting *setting, const struct kept *kept)
{
    (void)kept;
    return setting->technique->merge ? NULL : "what it learned cannot be folded into the weights";
}

/* One export under way. */
struct merging {
    const struct adapted *adapted;
    const struct gguf *source;
    enum weight_type type;
    struct gguf_writer writer;
};

/* The number of the model's weight that a tensor of the file is, or -1. */
static int weight_number(const struct model *model, const char *name)
{
    for (int i = 0; i < model_weight_count(model); i++) {
        char known[WEIGHT_NAME_BYTES];
        model_weight_name(model, i, known);
        if (!strcmp(known, name))
            return i;
    }
    return -1;
}

static int type_of(const struct merging *m, const struct gguf_tensor *tensor)
{
    if (weight_number(m->adapted->engine->model, tensor->name) < 0)
        return tensor->type->id;
    return tensor->n_dims == 1 || m->type == WEIGHTS_F32 ? TYPE_F32 : TYPE_F16;
}

static uint64_t bytes_of(const struct merging *m, const struct gguf_tensor *tensor)
{
    if (weight_number(m->adapted->engine->model, tensor->name) < 0)
        return tensor->bytes;
    uint64_t values = (uint64_t)tensor->rows * (uint64_t)tensor->ne[0];
    return values * (type_of(m, tensor) == TYPE_F16 ? sizeof(uint16_t) : sizeof(float));
}

/* ---- The header ----------------------------------------------------------------------------- */

static enum status copy_pairs(struct merging *m, struct error *err)
{
    static const char *const replaced[] = {"general.file_type", "general.quantization_version"};
    struct text pair = {0};
    enum status status = OK;
    for (size_t i = 0; i < gguf_pair_count(m->source) && status == OK; i++) {
        const char *key = gguf_pair_key(m->source, i);
        if (!strcmp(key, replaced[0]) || !strcmp(key, replaced[1]))
            continue;
        text_clear(&pair);
        status = gguf_pair_bytes(m->source, i, &pair, err);
        if (status == OK)
            gguf_writer_pair(&m->writer, text_string(&pair), pair.length);
    }
    gguf_writer_u32(&m->writer, replaced[0], m->type == WEIGHTS_F32 ? 0 : 1);
    text_release(&pair);
    return status;
}

static enum status write_header(struct merging *m, struct error *err)
{
    enum status status = copy_pairs(m, err);
    if (status != OK)
        return status;
    for (size_t i = 0; i < gguf_tensor_count(m->source); i++) {
        const struct gguf_tensor *tensor = gguf_tensor_at(m->source, i);
        gguf_writer_tensor(&m->writer, tensor->name, tensor->n_dims, tensor->ne, type_of(m, tensor),
                           bytes_of(m, tensor));
    }
    return gguf_writer_begin(&m->writer, err);
}

/* ---- The tensors ---------------------------------------------------------------------------- */

static enum status copy_tensor(struct merging *m, const struct gguf_tensor *tensor,
                               struct error *err)
{
    char *rows = memory_alloc((size_t)tensor->row_bytes * ROWS_AT_ONCE);
    enum status status = OK;
    for (int64_t at = 0; at < tensor->rows && status == OK; at += ROWS_AT_ONCE) {
        int64_t n = tensor->rows - at < ROWS_AT_ONCE ? tensor->rows - at : ROWS_AT_ONCE;
        status = gguf_read(m->source, tensor, at, n, rows, err);
        if (status == OK)
            status = gguf_writer_data(&m->writer, rows, (size_t)n * (size_t)tensor->row_bytes, err);
    }
    free(rows);
    return status;
}

/* Rounds `count` values to halves in place. False when one is too large. */
static bool round_to_half(const float *values, size_t count, uint16_t *halves)
{
    bool fits = true;
    for (size_t i = 0; i < count; i++) {
        halves[i] = quant_float_to_half(values[i]);
        fits = fits && (halves[i] & 0x7C00u) != 0x7C00u;
    }
    return fits;
}

static enum status write_values(struct merging *m, const struct gguf_tensor *tensor,
                                const real *values, struct error *err)
{
    size_t width = (size_t)tensor->ne[0];
    float *row = memory_alloc(width * sizeof *row);
    uint16_t *halves = memory_alloc(width * sizeof *halves);
    bool half = type_of(m, tensor) == TYPE_F16;
    enum status status = OK;
    for (int64_t r = 0; r < tensor->rows && status == OK; r++) {
        for (size_t c = 0; c < width; c++)
            row[c] = (float)values[(size_t)r * width + c];
        if (half && !round_to_half(row, width, halves))
            status = error_set(err, FAILED,
                               "%s has values that F16 cannot hold (above 65504); write F32 with "
                               "--type f32",
                               tensor->name);
        else
            status = gguf_writer_data(&m->writer, half ? (const void *)halves : row,
                                      width * (half ? sizeof *halves : sizeof *row), err);
    }
    free(row);
    free(halves);
    return status;
}

static enum status write_tensor(struct merging *m, const struct gguf_tensor *tensor,
                                struct error *err)
{
    const struct model *model = m->adapted->engine->model;
    int number = weight_number(model, tensor->name);
    if (number < 0)
        return copy_tensor(m, tensor, err);
    const struct tensor *weight = model_weight(model, number);
    size_t bytes = tensor_size(weight) * sizeof(real);
    real *values = memory_try(bytes);
    if (!values)
        return error_set(err, FAILED, "%s: there is no memory to fold it", tensor->name);
    weight_copy(weight, 0, weight->rows, values);
    adapted_merge(m->adapted, number, values);
    enum status status = write_values(m, tensor, values, err);
    free(values);
    return status;
}

static enum status write_file(struct merging *m, struct folder *folder, struct error *err)
{
    enum status status = folder_open_file(folder, MODEL_GGUF_FILE, err);
    if (status == OK)
        status = write_header(m, err);
    for (size_t i = 0; i < gguf_tensor_count(m->source) && status == OK; i++)
        status = write_tensor(m, gguf_tensor_at(m->source, i), err);
    if (status == OK)
        status = gguf_writer_end(&m->writer, err);
    return status == OK ? folder_close_file(folder, err) : status;
}

static enum status write_model(const struct adapted *adapted, enum weight_type type,
                               struct folder *folder, struct error *err)
{
    const struct model *model = adapted->engine->model;
    char sha256[HASH_HEX];
    struct gguf *source = NULL;
    enum status status = hash_file(model->path, sha256, err);
    if (status == OK && strcmp(sha256, model->sha256) != 0)
        status =
            error_set(err, BAD_MODEL, "%s: the file has changed since it was read", model->path);
    if (status == OK)
        status = gguf_open(&source, model->path, err);
    if (status != OK)
        return status;
    struct merging merging = {
        .adapted = adapted,
        .source = source,
        .type = type,
        .writer = {.sink = folder_write, .context = folder, .alignment = gguf_alignment(source)}};
    status = write_file(&merging, folder, err);
    gguf_writer_release(&merging.writer);
    gguf_free(source);
    return status;
}

/* The model was read when it was loaded. */
static enum status read_model(const char *folder, struct adapted *adapted, struct error *err)
{
    (void)folder;
    (void)adapted;
    (void)err;
    return OK;
}

const struct export_format export_merged_gguf = {
    .name = "merged-gguf",
    .summary = "the whole model with what was learned folded in, as one GGUF file",
    .whole_model = true,
    .refuses = refuses,
    .write = write_model,
    .read = read_model,
};
