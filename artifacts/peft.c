/* SPDX-License-Identifier: Apache-2.0
 *
 * A folder for PEFT: adapter_config.json and adapter_model.safetensors (huggingface/peft, "PEFT
 * checkpoint format"). What the tensors are called is the technique's matter
 * (techniques/interchange.h). Features of rotated heads are brought into the order of Hugging Face:
 * GGUF files of the llama architecture keep the two halves of a pair side by side, Hugging Face
 * half a head apart. Of qwen2 both have the same order.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "artifacts/format.h"
#include "artifacts/safetensors.h"
#include "datasets/excerpt.h"
#include "techniques/interchange.h"

static const char config_name[] = "adapter_config.json";
static const char tensors_name[] = "adapter_model.safetensors";

static const char *refuses(const struct setting *setting, const struct kept *kept)
{
    (void)kept;
    const struct interchange *interchange = setting->technique->interchange;
    return interchange && interchange->peft_type ? NULL : "PEFT knows no such technique";
}

/* ---- The configuration ---------------------------------------------------------------------- */

static json_t *make_config(const struct adapted *adapted)
{
    const struct interchange *interchange = adapted->technique->interchange;
    const char *path = adapted->engine->model->path;
    const char *slash = strrchr(path, '/');
    json_t *config = json_object();
    json_object_set_new(config, "peft_type", json_string(interchange->peft_type));
    json_object_set_new(config, "task_type", json_string("CAUSAL_LM"));
    json_object_set_new(config, "base_model_name_or_path", json_string(slash ? slash + 1 : path));
    json_object_set_new(config, "revision", json_null());
    json_object_set_new(config, "inference_mode", json_true());
    interchange->config(adapted, config);
    return config;
}

static enum status write_config(const struct adapted *adapted, struct folder *folder,
                                struct error *err)
{
    json_t *config = make_config(adapted);
    char *text = json_dumps(config, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
    enum status status =
        text ? folder_add(folder, config_name, text, strlen(text), err)
             : error_set(err, FAILED, "%s cannot be written; please report this", config_name);
    free(text);
    json_decref(config);
    return status;
}

/* The file must say what would be written for this setting. */
static enum status check_config(const char *folder, const struct adapted *adapted,
                                struct error *err)
{
    char *path = folder_join(folder, config_name);
    json_error_t fault;
    json_t *found = json_load_file(path, JSON_REJECT_DUPLICATES, &fault);
    json_t *expected = make_config(adapted);
    enum status status = OK;
    const char *key;
    json_t *value;
    /* The model may have another name by now. */
    json_object_del(expected, "base_model_name_or_path");
    if (!found)
        status = error_set(err, BAD_DATA, "%s:%d: this is not valid JSON: %s", path, fault.line,
                           excerpt_clean(fault.text).text);
    json_object_foreach(expected, key,
                        value) if (status == OK && !json_equal(value, json_object_get(found, key)))
        status = error_set(err, BAD_DATA, "%s: %s is not what %s in this setting needs", path, key,
                           adapted->technique->name);
    json_decref(found);
    json_decref(expected);
    free(path);
    return status;
}

/* ---- The tensors ---------------------------------------------------------------------------- */

static struct peft_map make_map(const struct adapted *adapted, struct arena *arena)
{
    struct peft_map map = {.adapted = adapted, .arena = arena};
    adapted->technique->interchange->tensors(adapted, &map);
    return map;
}

/* Where value `column` of row `row` of the parameter stands in the tensor. */
static size_t place(const struct peft_tensor *tensor, int row, int column, int head_dim)
{
    if (tensor->heads && tensor->heads_in_cols)
        column = peft_rotated_index(column, head_dim);
    else if (tensor->heads)
        row = peft_rotated_index(row, head_dim);
    size_t columns = tensor->cols ? (size_t)tensor->cols : 1;
    return (size_t)row * columns + (size_t)tensor->first_col + (size_t)column;
}

/* Copies between the values of a parameter and those of its tensor. */
static void exchange(const struct peft_tensor *tensor, int head_dim, float *parameter, float *out,
                     bool reading)
{
    for (int r = 0; r < tensor->rows; r++)
        for (int c = 0; c < tensor->width; c++) {
            float *own = &parameter[(size_t)r * (size_t)tensor->width + (size_t)c];
            float *other = &out[place(tensor, r, c, head_dim)];
            *(reading ? own : other) = *(reading ? other : own);
        }
}

static size_t tensor_values(const struct peft_tensor *tensor)
{
    return (size_t)tensor->rows * (tensor->cols ? (size_t)tensor->cols : 1);
}

/* Entries of the map that share one tensor follow each other; returns the first one behind them. */
static int group_end(const struct peft_map *map, int first)
{
    int end = first + 1;
    while (end < map->count && !strcmp(map->items[end].name, map->items[first].name))
        end++;
    return end;
}

/* Memory for the values of the parameter of an entry. */
static float *parameter_memory(const struct peft_map *map, int item)
{
    const struct parameter *p = &map->adapted->parameters.items[map->items[item].parameter];
    return arena_alloc(map->arena, (size_t)p->rows * (size_t)p->cols * sizeof(float));
}

static struct float_tensor describe(const struct peft_tensor *tensor, const float *values)
{
    return (struct float_tensor){.name = tensor->name,
                                 .n_dims = tensor->cols ? 2 : 1,
                                 .shape = {tensor->rows, tensor->cols},
                                 .values = values};
}

static size_t gather(const struct peft_map *map, struct float_tensor *tensors)
{
    const struct adapted *adapted = map->adapted;
    size_t count = 0;
    for (int first = 0, end; first < map->count; first = end) {
        end = group_end(map, first);
        float *values =
            arena_zalloc(map->arena, tensor_values(&map->items[first]) * sizeof *values);
        for (int i = first; i < end; i++) {
            float *own = parameter_memory(map, i);
            parameter_floats(adapted, map->items[i].parameter, own);
            exchange(&map->items[i], adapted->engine->model->head_dim, own, values, false);
        }
        tensors[count++] = describe(&map->items[first], values);
    }
    return count;
}

static enum status write_folder(const struct adapted *adapted, enum weight_type type,
                                struct folder *folder, struct error *err)
{
    (void)type;
    struct arena arena;
    arena_init(&arena, NULL);
    struct peft_map map = make_map(adapted, &arena);
    struct float_tensor *tensors = arena_zalloc(&arena, (size_t)(map.count + 1) * sizeof *tensors);
    size_t count = gather(&map, tensors);
    enum status status = write_config(adapted, folder, err);
    if (status == OK)
        status = folder_open_file(folder, tensors_name, err);
    if (status == OK)
        status = safetensors_write(tensors, count, "pt", folder_write, folder, err);
    if (status == OK)
        status = folder_close_file(folder, err);
    arena_release(&arena);
    return status;
}

static enum status scatter(const struct safetensors *file, const struct peft_map *map,
                           struct adapted *adapted, struct error *err)
{
    enum status status = OK;
    size_t tensors = 0;
    for (int first = 0, end; first < map->count && status == OK; first = end, tensors++) {
        end = group_end(map, first);
        float *values = arena_alloc(map->arena, tensor_values(&map->items[first]) * sizeof *values);
        struct float_tensor shape = describe(&map->items[first], values);
        status = safetensors_values(file, shape.name, shape.n_dims, shape.shape, values, err);
        for (int i = first; i < end && status == OK; i++) {
            float *own = parameter_memory(map, i);
            exchange(&map->items[i], adapted->engine->model->head_dim, own, values, true);
            parameter_take(adapted, map->items[i].parameter, own);
        }
    }
    if (status == OK && tensors != safetensors_count(file))
        return error_set(err, BAD_DATA, "%s holds %zu tensors; expected the %zu of %s",
                         tensors_name, safetensors_count(file), tensors, adapted->technique->name);
    return status;
}

static enum status read_folder(const char *folder, struct adapted *adapted, struct error *err)
{
    struct arena arena;
    struct safetensors *file = NULL;
    arena_init(&arena, NULL);
    char *path = folder_join(folder, tensors_name);
    enum status status = check_config(folder, adapted, err);
    if (status == OK)
        status = safetensors_open(&file, path, err);
    if (status == OK) {
        struct peft_map map = make_map(adapted, &arena);
        status = scatter(file, &map, adapted, err);
    }
    safetensors_close(file);
    free(path);
    arena_release(&arena);
    return status;
}

const struct export_format export_peft = {
    .name = "peft",
    .summary = "a folder for PEFT, transformers and vLLM",
    .refuses = refuses,
    .write = write_folder,
    .read = read_folder,
};
