/* SPDX-License-Identifier: Apache-2.0
 *
 * How other programs call what a technique learned: the folders of PEFT and the adapters of GGUF.
 *
 * A technique that other programs know fills in a `struct interchange`; its file is the only place
 * that knows both its own parameters and their names elsewhere. Writing and reading files with them
 * is common (artifacts/). A technique without one can still be saved in the layout of this program,
 * which needs nothing from it.
 */
#ifndef TECHNIQUES_INTERCHANGE_H
#define TECHNIQUES_INTERCHANGE_H

#include <stdbool.h>

#include "techniques/adapted.h"

/* A tensor of a PEFT folder, or a block of its columns, and the parameter that holds its values.
 * The values are those of the parameter, row by row; where they are features of rotated heads
 * (`heads` > 0), along the rows or the columns, the files of Hugging Face order them otherwise;
 * with some models only, `heads` being 0 for the others. */
struct peft_tensor {
    const char *name;
    int rows, cols;       /* shape of the whole tensor; one dimension, `rows`, when cols is 0 */
    int first_col, width; /* the block: columns of it; the whole width when it is not shared */
    int parameter;
    int heads;          /* 0: the order is the same */
    bool heads_in_cols; /* the heads lie along the columns of the block */
};

/* The tensors of a PEFT folder; memory in `arena`. */
struct peft_map {
    const struct adapted *adapted;
    struct arena *arena;
    struct peft_tensor *items;
    int count, capacity;
};

/* What the values of a parameter are to the projection it belongs to. */
enum peft_axis {
    PEFT_INPUTS,        /* each row goes over the inputs of the projection: as it is */
    PEFT_OUTPUT_ROWS,   /* a row for each output */
    PEFT_OUTPUT_COLUMN, /* one value for each output, as a tensor (out, 1) */
    PEFT_OUTPUT_VECTOR, /* one value for each output, as a tensor (out) */
};

/* For a parameter whose name is "blk.N.PROJECTION.anything": its tensor is
 * base_model.model.model.layers.N.MODULE.`leaf`. */
void peft_map_projection(struct peft_map *map, int parameter, const char *leaf,
                         enum peft_axis axis);

/* A tensor of its own, of the parameter's shape. */
void peft_map_whole(struct peft_map *map, int parameter, const char *name);

/* A block of `width` columns from `first_col` of the tensor `name`, which has `cols`; `heads` > 0:
 * the columns are features of that many rotated heads. */
void peft_map_columns(struct peft_map *map, int parameter, const char *name, int cols,
                      int first_col, int heads);

/* Which row or column of a rotated head's features in the order of Hugging Face is number `index`
 * here: there the first halves of all pairs come first (formats of llama.cpp's converter). For
 * models with ROPE_NEIGHBOURS; the others have that order already. */
int peft_rotated_index(int index, int head_dim);

/* ---- adapter_config.json -------------------------------------------------------------------- */

struct json_t;

void peft_config_integer(struct json_t *config, const char *key, long long value);
void peft_config_number(struct json_t *config, const char *key, double value); /* whole: integer */
void peft_config_bool(struct json_t *config, const char *key, bool value);
void peft_config_string(struct json_t *config, const char *key, const char *value);
void peft_config_json(struct json_t *config, const char *key, const char *json);

/* A list from names with commas; "all-linear" becomes the names of all projections. */
void peft_config_modules(struct json_t *config, const char *key, const char *names);

/* The sizes that PEFT wants of every prompt-learning method, for `tokens` virtual tokens. */
void peft_config_prompt(struct json_t *config, const struct adapted *adapted, int tokens,
                        int token_dim, int heads);

struct interchange {
    const char *peft_type; /* "LORA" */

    /* Adds the keys of adapter_config.json beyond those that every type has. */
    void (*config)(const struct adapted *adapted, struct json_t *config);

    /* Adds every tensor of adapter_model.safetensors. */
    void (*tensors)(const struct adapted *adapted, struct peft_map *map);

    /* For an update W + scale B A of each projection, whose parameters are "<projection>.lora_a"
     * and "<projection>.lora_b" in turn: the scale, or 0 when the setting adds something else. A
     * GGUF adapter can hold it then. NULL: it is no such update. */
    double (*low_rank_scale)(const struct setting *setting);
};

#endif
