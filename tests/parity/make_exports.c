/* SPDX-License-Identifier: Apache-2.0
 *
 * Exports for check_peft.py and check_llama.py: one folder for each technique and format, of the
 * model and with parameters that were disturbed instead of trained.
 *
 *     build/parity/make_exports MODEL FOLDER
 */
#include <stdio.h>
#include <sys/stat.h>

#include "tests/export_support.h"

static const char data[] = "text,label\n"
                           "the lamp came broken again,complaint\n"
                           "lovely kettle and so quick,praise\n"
                           "my parcel is late,complaint\n"
                           "the jacket was lost on the way,complaint\n"
                           "a fine cable at a fair price,praise\n"
                           "which driver do I need,question\n"
                           "when does the garden shop open,question\n"
                           "thank you for the tidy work,praise\n"
                           "nobody answers the telephone,complaint\n"
                           "is there a blue one,question\n"
                           "the best invoice I have ever seen,praise\n"
                           "can I send it back,question\n";

struct row {
    const char *name, *technique, *setting;
    double share;          /* of the disturbance */
    enum weight_type type; /* of a whole model */
    const char *formats[4];
};

static const struct row rows[] = {
    {"lora",
     "lora",
     "target_modules=all-linear;lora_alpha=16",
     0.5,
     WEIGHTS_F16,
     {"peft", "gguf", "merged-gguf"}},
    {"lora-f32",
     "lora",
     "target_modules=all-linear;lora_alpha=16",
     0.5,
     WEIGHTS_F32,
     {"merged-gguf"}},
    {"rslora", "lora", "r=4;use_rslora=true", 0.5, WEIGHTS_F16, {"peft"}},
    {"dora",
     "lora",
     "target_modules=q_proj,k_proj,up_proj;use_dora=true",
     0.3,
     WEIGHTS_F16,
     {"peft"}},
    {"base-f32", "lora", "", 0, WEIGHTS_F32, {"merged-gguf"}}, /* nothing is added to the weights */
    {"ia3", "ia3", "target_modules=q_proj,k_proj,v_proj,down_proj", 0.2, WEIGHTS_F16, {"peft"}},
    {"prompt", "prompt_tuning", "num_virtual_tokens=8", 0.5, WEIGHTS_F16, {"peft"}},
    {"p", "p_tuning", "num_virtual_tokens=8;encoder_hidden_size=32", 2, WEIGHTS_F16, {"peft"}},
    {"prefix", "prefix_tuning", "num_virtual_tokens=8", 0.2, WEIGHTS_F16, {"peft"}},
    {"bitfit", "bitfit", "", 0.5, WEIGHTS_F32, {"merged-gguf"}},
    {"few_shot", "few_shot", "k=3", 0, WEIGHTS_F16, {"prompt"}},
};

/* A model may have no biases, and a tiny one no room for examples. */
static bool fits(const struct model *model, const struct row *row)
{
    enum { ROOM = 512 };
    if (!strcmp(row->technique, "bitfit"))
        return model_bias_count(model) > 0;
    return strcmp(row->technique, "few_shot") != 0 || model->n_context >= ROOM;
}

static int export_one(struct shop *shop, const struct row *row, const char *format,
                      const char *folder)
{
    char path[4096];
    struct error err;
    struct agreement agreement;
    struct text line = {0};
    snprintf(path, sizeof path, "%s/%s-%s", folder, row->name, format);
    struct export_request request = shop_request(shop, format, path);
    request.replace = true;
    request.type = row->type;
    if (export_make(&request, &agreement, &err) != OK) {
        fprintf(stderr, "%s: %s\n", path, err.text);
        return 1;
    }
    agreement_text(&agreement, &line);
    printf("%s: %s\n", path, text_string(&line));
    text_release(&line);
    return 0;
}

int main(int argc, char **argv)
{
    struct shop shop;
    int failures = 0;
    if (argc != 3) {
        fprintf(stderr, "usage: make_exports MODEL FOLDER\n");
        return 2;
    }
    mkdir(argv[2], 0777);
    shop_open(&shop, argv[1], data, TASK_CLASSIFICATION, 2);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!fits(shop.model, &rows[i]))
            continue;
        shop_customise(&shop, rows[i].technique, rows[i].setting, rows[i].share);
        for (size_t f = 0; rows[i].formats[f]; f++)
            failures += export_one(&shop, &rows[i], rows[i].formats[f], argv[2]);
    }
    shop_close(&shop);
    return failures != 0;
}
