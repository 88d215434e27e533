/* SPDX-License-Identifier: Apache-2.0 */
#include "techniques/interchange.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

/* ---- Tensors -------------------------------------------------------------------------------- */

static struct peft_tensor *add(struct peft_map *map, int parameter, const char *name)
{
    enum { FIRST = 64 };
    if (map->count == map->capacity) {
        int capacity = map->capacity ? 2 * map->capacity : FIRST;
        struct peft_tensor *larger = arena_alloc(map->arena, (size_t)capacity * sizeof *larger);
        if (map->count)
            memcpy(larger, map->items, (size_t)map->count * sizeof *larger);
        map->items = larger;
        map->capacity = capacity;
    }
    const struct parameter *item = &map->adapted->parameters.items[parameter];
    struct peft_tensor *tensor = &map->items[map->count++];
    *tensor = (struct peft_tensor){.name = arena_strdup(map->arena, name),
                                   .rows = item->rows,
                                   .cols = item->cols,
                                   .width = item->cols,
                                   .parameter = parameter};
    return tensor;
}

/* Heads whose features have another order than in the files of Hugging Face, where the features
 * that rotate together are always half a head apart; of `heads` rotated ones. */
static int reordered(const struct model *model, int heads)
{
    return model->rope_pairs == ROPE_NEIGHBOURS ? heads : 0;
}

/* Heads whose features rotate, among the outputs of a projection. */
static int rotated_heads(const struct model *model, enum site site)
{
    return site == SITE_Q ? model->n_head : site == SITE_K ? model->n_head_kv : 0;
}

/* The projection that "blk.N.PROJECTION.anything" belongs to. */
static bool parse_name(const char *name, int *layer, enum site *site)
{
    static const char start[] = "blk.";
    char *at;
    if (strncmp(name, start, strlen(start)) != 0)
        return false;
    *layer = (int)strtol(name + strlen(start), &at, 10);
    if (*at++ != '.')
        return false;
    for (int s = 0; s < N_SITES; s++) {
        const char *known = site_name((enum site)s)->gguf;
        size_t length = strlen(known);
        if (!strncmp(at, known, length) && at[length] == '.') {
            *site = (enum site)s;
            return true;
        }
    }
    return false;
}

void peft_map_projection(struct peft_map *map, int parameter, const char *leaf, enum peft_axis axis)
{
    int layer;
    enum site site;
    struct text name = {0};
    if (!parse_name(map->adapted->parameters.items[parameter].name, &layer, &site))
        return;
    text_printf(&name, "base_model.model.model.layers.%d.%s.%s", layer, site_name(site)->module,
                leaf);
    struct peft_tensor *tensor = add(map, parameter, text_string(&name));
    text_release(&name);
    if (axis == PEFT_INPUTS)
        return;
    const struct model *model = map->adapted->engine->model;
    tensor->heads = reordered(model, rotated_heads(model, site));
    if (axis == PEFT_OUTPUT_ROWS)
        return;
    tensor->rows = tensor->rows * tensor->cols;
    tensor->width = 1;
    tensor->cols = axis == PEFT_OUTPUT_COLUMN;
}

void peft_map_whole(struct peft_map *map, int parameter, const char *name)
{
    add(map, parameter, name);
}

void peft_map_columns(struct peft_map *map, int parameter, const char *name, int cols,
                      int first_col, int heads)
{
    struct peft_tensor *tensor = add(map, parameter, name);
    tensor->cols = cols;
    tensor->first_col = first_col;
    tensor->heads = reordered(map->adapted->engine->model, heads);
    tensor->heads_in_cols = true;
}

int peft_rotated_index(int index, int head_dim)
{
    int head = index / head_dim, within = index % head_dim;
    return head * head_dim + within % 2 * (head_dim / 2) + within / 2;
}

/* ---- adapter_config.json -------------------------------------------------------------------- */

void peft_config_integer(struct json_t *config, const char *key, long long value)
{
    json_object_set_new(config, key, json_integer(value));
}

void peft_config_number(struct json_t *config, const char *key, double value)
{
    bool whole = value == (double)(json_int_t)value;
    json_object_set_new(config, key, whole ? json_integer((json_int_t)value) : json_real(value));
}

void peft_config_bool(struct json_t *config, const char *key, bool value)
{
    json_object_set_new(config, key, json_boolean(value));
}

void peft_config_string(struct json_t *config, const char *key, const char *value)
{
    json_object_set_new(config, key, json_string(value));
}

void peft_config_json(struct json_t *config, const char *key, const char *json)
{
    json_object_set_new(config, key, json_loads(json, JSON_DECODE_ANY, NULL));
}

void peft_config_modules(struct json_t *config, const char *key, const char *names)
{
    json_t *list = json_array();
    bool all = !strcmp(names, "all-linear");
    for (int s = 0; s < N_SITES && all; s++)
        json_array_append_new(list, json_string(site_name((enum site)s)->peft));
    for (const char *at = names; *at && !all;) {
        size_t length = strcspn(at, ",");
        json_array_append_new(list, json_stringn(at, length));
        at += length + (at[length] != '\0');
    }
    json_object_set_new(config, key, list);
}

void peft_config_prompt(struct json_t *config, const struct adapted *adapted, int tokens,
                        int token_dim, int heads)
{
    peft_config_integer(config, "num_virtual_tokens", tokens);
    peft_config_integer(config, "token_dim", token_dim);
    peft_config_integer(config, "num_transformer_submodules", 1);
    peft_config_integer(config, "num_attention_heads", heads);
    peft_config_integer(config, "num_layers", adapted->engine->model->n_layer);
}
