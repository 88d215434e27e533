/* SPDX-License-Identifier: Apache-2.0
 *
 * This program's own layout, for every technique: adapter.safetensors holds each parameter as a
 * float32 tensor under the name that the technique gave it, in the order of GGUF where heads rotate
 * ("blk.0.ffn.adapter_down", shape (rows, cols)). With the technique and the setting in the
 * manifest that is all there is to know. A technique that learns no parameters has no such file.
 */
#include <stdlib.h>

#include "artifacts/format.h"
#include "artifacts/safetensors.h"

static const char file_name[] = "adapter.safetensors";

static const char *refuses(const struct setting *setting, const struct kept *kept)
{
    (void)kept;
    (void)setting;
    return NULL;
}

static enum status write_parameters(const struct adapted *adapted, enum weight_type type,
                                    struct folder *folder, struct error *err)
{
    (void)type;
    const struct parameters *p = &adapted->parameters;
    struct arena arena;
    if (!p->count)
        return OK;
    arena_init(&arena, NULL);
    struct float_tensor *tensors = arena_zalloc(&arena, (size_t)p->n_items * sizeof *tensors);
    float *values = arena_alloc(&arena, p->count * sizeof *values);
    for (int i = 0; i < p->n_items; i++) {
        const struct parameter *item = &p->items[i];
        parameter_floats(adapted, i, values + item->offset);
        tensors[i] = (struct float_tensor){.name = item->name,
                                           .n_dims = 2,
                                           .shape = {item->rows, item->cols},
                                           .values = values + item->offset};
    }
    enum status status = folder_open_file(folder, file_name, err);
    if (status == OK)
        status =
            safetensors_write(tensors, (size_t)p->n_items, "advisor", folder_write, folder, err);
    if (status == OK)
        status = folder_close_file(folder, err);
    arena_release(&arena);
    return status;
}

static enum status read_all(const struct safetensors *file, struct adapted *adapted,
                            struct error *err)
{
    const struct parameters *p = &adapted->parameters;
    float *values = memory_alloc(p->count * sizeof *values);
    enum status status = OK;
    if (safetensors_count(file) != (size_t)p->n_items)
        status = error_set(err, BAD_DATA, "%s holds %zu tensors; expected the %d of %s", file_name,
                           safetensors_count(file), p->n_items, adapted->technique->name);
    for (int i = 0; i < p->n_items && status == OK; i++) {
        const struct parameter *item = &p->items[i];
        int64_t shape[] = {item->rows, item->cols};
        status = safetensors_values(file, item->name, 2, shape, values, err);
        if (status == OK)
            parameter_take(adapted, i, values);
    }
    free(values);
    return status;
}

static enum status read_parameters(const char *folder, struct adapted *adapted, struct error *err)
{
    if (!adapted->parameters.count)
        return OK;
    char *path = folder_join(folder, file_name);
    struct safetensors *file;
    enum status status = safetensors_open(&file, path, err);
    if (status == OK)
        status = read_all(file, adapted, err);
    safetensors_close(file);
    free(path);
    return status;
}

const struct export_format export_adapter = {
    .name = "adapter",
    .summary = "safetensors in this program's own layout, for every technique",
    .refuses = refuses,
    .write = write_parameters,
    .read = read_parameters,
};
