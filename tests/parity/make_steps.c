/* SPDX-License-Identifier: Apache-2.0
 *
 * The first training steps of a technique on a real model, for check_steps.py to repeat.
 *
 *     build/parity/make_steps MODEL DATA.csv TECHNIQUE FOLDER
 *
 * Trains on the first eight rows, all of them in each of twelve steps, so that no order matters.
 * FOLDER/steps.json gets the parameters' names and shapes and each step's loss, gradient norm and
 * learning rate; FOLDER/start.bin the values before the first step, float32, in the same order.
 */
#include <stdio.h>
#include <sys/stat.h>

#include "techniques/registry.h"
#include "techniques/trainer.h"

enum { ROWS = 8, STEPS = 12, PATH = 4096 };

static const char setting_text_json[] =
    "{\"batch_size\":8,\"learning_rate\":0.003,\"num_epochs\":12}";

static enum status write_step(void *context, const struct training_step *step, size_t total,
                              struct error *err)
{
    (void)err;
    fprintf(context, "    {\"loss\": %.9g, \"grad_norm\": %.9g, \"rate\": %.9g}%s\n", step->loss,
            step->grad_norm, step->rate, step->step < total ? "," : "");
    return OK;
}

static void write_start(const struct adapted *adapted, FILE *json, FILE *values)
{
    const struct parameters *p = &adapted->parameters;
    fprintf(json, "{\n  \"technique\": \"%s\",\n  \"rows\": %d,\n  \"parameters\": [\n",
            adapted->technique->name, ROWS);
    for (int i = 0; i < p->n_items; i++)
        fprintf(json, "    [\"%s\", %d, %d]%s\n", p->items[i].name, p->items[i].rows,
                p->items[i].cols, i + 1 < p->n_items ? "," : "");
    fprintf(json, "  ],\n  \"steps\": [\n");
    fwrite(p->values, sizeof *p->values, p->count, values);
}

static enum status run(struct engine *engine, const struct dataset *data, const char *technique,
                       FILE *json, FILE *values, struct error *err)
{
    static const size_t rows[ROWS] = {0, 1, 2, 3, 4, 5, 6, 7};
    const struct material material = {.data = data, .rows = rows, .count = ROWS, .seed = 1};
    struct training_hooks hooks = {.context = json, .step = write_step};
    struct training_report report;
    struct setting setting;
    struct adapted *adapted = NULL;
    struct arena arena;
    arena_init(&arena, NULL);
    enum status status =
        setting_parse(technique_find(technique), setting_text_json, &setting, &arena, err);
    if (status == OK)
        status = adapted_create(&adapted, engine, &setting, &material, err);
    if (status == OK) {
        write_start(adapted, json, values);
        status = trainer_run(adapted, &material, &hooks, NULL, &report, err);
    }
    fprintf(json, "  ]\n}\n");
    adapted_release(adapted);
    arena_release(&arena);
    return status;
}

static FILE *open_in(const char *folder, const char *name)
{
    char path[PATH];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return fopen(path, "wb");
}

int main(int argc, char **argv)
{
    struct model *model = NULL;
    struct dataset data = {0};
    struct error err;
    if (argc != 5 || !technique_find(argv[3])) {
        fprintf(stderr, "usage: make_steps MODEL DATA.csv TECHNIQUE FOLDER\n");
        return USAGE;
    }
    mkdir(argv[4], 0777);
    FILE *json = open_in(argv[4], "steps.json"), *values = open_in(argv[4], "start.bin");
    if (!json || !values) {
        fprintf(stderr, "make_steps: %s cannot be written to\n", argv[4]);
        return FAILED;
    }
    enum status status = dataset_load(argv[2], NULL, &data, &err);
    if (status == OK)
        status = model_load(&model, argv[1], &err);
    if (status == OK) {
        struct engine *engine = engine_create(model, 1);
        status = run(engine, &data, argv[3], json, values, &err);
        engine_free(engine);
    }
    if (fclose(json) || fclose(values) || status != OK)
        fprintf(stderr, "make_steps: %s\n", status == OK ? "writing failed" : err.text);
    model_free(model);
    dataset_release(&data);
    return (int)status;
}
