/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/rates.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/default_model.h"

void bench_open(struct bench *bench, const char *path, int threads)
{
    struct error err;
    char usual[MODEL_PATH];
    bool given = path && *path;
    *bench = (struct bench){0};
    if (!given && !default_model(usual))
        exit(BAD_MODEL);
    must(model_load(&bench->model, given ? path : usual, &err), &err);
    must(dataset_load("demo:tickets", NULL, &bench->data, &err), &err);
    bench->engine =
        engine_create(bench->model, threads > 0 ? threads : (int)sysconf(_SC_NPROCESSORS_ONLN));
    arena_init(&bench->arena, NULL);
}

void bench_close(struct bench *bench)
{
    engine_free(bench->engine);
    model_free(bench->model);
    dataset_release(&bench->data);
    arena_release(&bench->arena);
}

struct adapted *bench_adapt(struct bench *bench, const char *technique, const char *change,
                            struct rows rows)
{
    struct setting setting = setting_default(technique_find(technique));
    struct material material = {.data = &bench->data, .rows = rows.at, .count = rows.count};
    struct adapted *adapted;
    struct error err;
    if (setting_has(&setting, "num_epochs")) {
        setting_set_number(&setting, "num_epochs", 1, &bench->arena);
        setting_set_number(&setting, "batch_size", 16, &bench->arena);
    }
    if (change)
        must(setting_set(&setting, change, &bench->arena, &err), &err);
    must(adapted_create(&adapted, bench->engine, &setting, &material, &err), &err);
    return adapted;
}

struct measured bench_score(struct bench *bench, struct adapted *adapted, struct rows rows,
                            float *probabilities)
{
    struct arena_mark mark = arena_mark(&bench->arena);
    const struct example **examples = arena_alloc(&bench->arena, rows.count * sizeof *examples);
    struct outcome *outcomes = arena_alloc(&bench->arena, rows.count * sizeof *outcomes);
    struct measured measured = {0};
    struct error err;
    size_t labels = bench->data.label_count;
    for (size_t i = 0; i < rows.count; i++)
        examples[i] = &bench->data.examples[rows.at[i]];
    must(adapted_warm(adapted, &err), &err);
    double start = clock_seconds(), before = processor_seconds();
    must(adapted_answer(adapted, examples, rows.count, outcomes, &bench->arena, NULL, &err), &err);
    measured.seconds = clock_seconds() - start;
    measured.processor = processor_seconds() - before;
    for (size_t i = 0; i < rows.count; i++) {
        measured.tokens += outcomes[i].request_tokens;
        if (probabilities)
            memcpy(probabilities + i * labels, outcomes[i].probabilities, labels * sizeof(float));
    }
    arena_rewind(&bench->arena, mark);
    return measured;
}

static enum status keep_first(void *context, const struct training_step *step, size_t total_steps,
                              struct error *err)
{
    double *first_loss = context;
    (void)total_steps;
    (void)err;
    if (first_loss && step->step == 1)
        *first_loss = step->loss;
    return OK;
}

struct measured bench_train(struct adapted *adapted, const struct material *material,
                            double *first_loss)
{
    const struct training_hooks hooks = {.context = first_loss, .step = keep_first};
    struct training_report report;
    struct error err;
    must(trainer_run(adapted, material, &hooks, NULL, &report, &err), &err);
    return (struct measured){.tokens = (double)report.tokens, .seconds = report.seconds};
}
