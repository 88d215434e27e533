/* SPDX-License-Identifier: Apache-2.0
 *
 * Customised models to export, without training: a technique is attached and its parameters are
 * moved away from where they start, so that every one of them matters. What the original answers is
 * what its export has to answer.
 */
#ifndef TESTS_EXPORT_SUPPORT_H
#define TESTS_EXPORT_SUPPORT_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "artifacts/export.h"
#include "base/random.h"
#include "techniques/adapted.h"

enum { SHOP_ROWS = 128 };

/* A model, some labelled data, and one customised model. */
struct shop {
    struct model *model;
    struct engine *engine;
    struct dataset data;
    struct arena arena;
    size_t rows[SHOP_ROWS];
    const struct example *examples[SHOP_ROWS];
    struct material material; /* all rows */
    struct setting setting;
    struct adapted *adapted;
    struct prediction *predictions; /* of all rows */
};

/* Ends the program when a step of the preparation fails. */
static inline void shop_must(enum status status, const struct error *err)
{
    if (status != OK) {
        fprintf(stderr, "%s\n", err->text);
        abort();
    }
}

static inline void shop_open(struct shop *shop, const char *model, const char *csv, enum task task,
                             int threads)
{
    struct error err;
    struct dataset_options options = {.task = task};
    *shop = (struct shop){0};
    arena_init(&shop->arena, NULL);
    shop_must(model_load(&shop->model, model, &err), &err);
    shop->engine = engine_create(shop->model, threads);
    shop_must(dataset_parse("data.csv", csv, strlen(csv), &options, &shop->data, &err), &err);
    if (shop->data.count > SHOP_ROWS)
        abort();
    for (size_t i = 0; i < shop->data.count; i++) {
        shop->rows[i] = i;
        shop->examples[i] = &shop->data.examples[i];
    }
    shop->material = (struct material){
        .data = &shop->data, .rows = shop->rows, .count = shop->data.count, .seed = 1};
}

static inline void shop_close(struct shop *shop)
{
    adapted_release(shop->adapted);
    engine_free(shop->engine);
    dataset_release(&shop->data);
    model_free(shop->model);
    arena_release(&shop->arena);
}

/* Adds noise that is `share` of the usual size of each parameter, or of 1 / sqrt(columns) where a
 * parameter starts at zero. */
static inline void shop_disturb(struct adapted *adapted, double share)
{
    const struct parameters *p = &adapted->parameters;
    for (int i = 0; i < p->n_items; i++) {
        struct random random = random_stream(3, "disturb", (uint64_t)i);
        size_t count = (size_t)p->items[i].rows * (size_t)p->items[i].cols;
        real *values = p->values + p->items[i].offset;
        double square = 0;
        for (size_t v = 0; v < count; v++)
            square += (double)values[v] * (double)values[v];
        double size = square > 0 ? sqrt(square / (double)count) : 1 / sqrt(p->items[i].cols);
        for (size_t v = 0; v < count; v++)
            values[v] += (real)(share * size * random_normal(&random));
    }
}

static inline void shop_answer(struct shop *shop)
{
    struct error err;
    size_t count = shop->data.count;
    struct outcome *outcomes = arena_zalloc(&shop->arena, count * sizeof *outcomes);
    shop->predictions = arena_zalloc(&shop->arena, count * sizeof *shop->predictions);
    shop_must(
        adapted_answer(shop->adapted, shop->examples, count, outcomes, &shop->arena, NULL, &err),
        &err);
    for (size_t i = 0; i < count; i++)
        shop->predictions[i] = (struct prediction){.example = (int64_t)i,
                                                   .label = outcomes[i].label,
                                                   .scored = outcomes[i].scored,
                                                   .probability = outcomes[i].probability,
                                                   .text = outcomes[i].text};
}

/* Customises the model; `assignments` are "name=value;name=value". Techniques that fit their
 * parameters in their own way do so; for all others these are disturbed. */
static inline void shop_customise(struct shop *shop, const char *technique, const char *assignments,
                                  double share)
{
    struct error err;
    shop->setting = setting_default(technique_find(technique));
    for (const char *at = assignments; *at;) {
        size_t length = strcspn(at, ";");
        const char *one = arena_strndup(&shop->arena, at, length);
        shop_must(setting_set(&shop->setting, one, &shop->arena, &err), &err);
        at += length + (at[length] != 0);
    }
    adapted_release(shop->adapted);
    shop_must(adapted_create(&shop->adapted, shop->engine, &shop->setting, &shop->material, &err),
              &err);
    if (shop->setting.technique->fit)
        shop_must(shop->setting.technique->fit(shop->adapted, &shop->material, NULL, &err), &err);
    else
        shop_disturb(shop->adapted, share);
    shop_answer(shop);
}

/* What an export of it asks for; format and folder are the caller's. */
static inline struct export_request shop_request(struct shop *shop, const char *format,
                                                 const char *folder)
{
    struct error err;
    struct kept kept = {0};
    if (shop->setting.technique->keep)
        shop_must(shop->setting.technique->keep(shop->adapted, &shop->material, &kept, &shop->arena,
                                                &err),
                  &err);
    return (struct export_request){.format = export_format_find(format),
                                   .adapted = shop->adapted,
                                   .material = &shop->material,
                                   .kept = kept,
                                   .facts = {.metric = "accuracy",
                                             .value = 0.5,
                                             .low = 0.4,
                                             .high = 0.6,
                                             .measured_on = shop->data.count,
                                             .advisor = ADVISOR_VERSION},
                                   .replay = {shop->examples, shop->predictions, shop->data.count},
                                   .folder = folder,
                                   .threads = 2};
}

#endif
