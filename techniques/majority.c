/* SPDX-License-Identifier: Apache-2.0
 *
 * The null baseline: always the most frequent answer of the training examples. What it reaches is
 * the floor that any customisation has to beat.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "techniques/adapted.h"
#include "techniques/registry.h"

struct majority {
    int label;        /* the most frequent label, or -1 for free text */
    const char *text; /* the most frequent target */
    double share;     /* its share of the examples, with one added to each label's count */
    float *shares;    /* (labels) the same for each label; NULL for free text */
};

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The most frequent target; the first in byte order on ties. */
static void count_texts(struct majority *m, const struct material *material, struct arena *arena)
{
    const char **targets = arena_alloc(arena, material->count * sizeof *targets);
    for (size_t i = 0; i < material->count; i++)
        targets[i] = material->data->examples[material->rows[i]].target;
    qsort(targets, material->count, sizeof *targets, compare_texts);
    size_t best = 0;
    for (size_t i = 0, run = 0; i < material->count; i++) {
        run = i && !strcmp(targets[i], targets[i - 1]) ? run + 1 : 1;
        if (run > best) {
            best = run;
            m->text = targets[i];
        }
    }
    m->share = (double)best / (double)material->count;
}

static void count_labels(struct majority *m, const struct material *material, struct arena *arena)
{
    size_t labels = material->data->label_count;
    m->shares = arena_alloc(arena, labels * sizeof *m->shares);
    for (size_t l = 0; l < labels; l++)
        m->shares[l] = 1; /* Laplace: a label not seen yet is not impossible */
    for (size_t i = 0; i < material->count; i++)
        m->shares[material->data->examples[material->rows[i]].label]++;
    m->label = 0;
    for (size_t l = 0; l < labels; l++) {
        if (m->shares[l] > m->shares[m->label])
            m->label = (int)l;
    }
    for (size_t l = 0; l < labels; l++)
        m->shares[l] /= (float)(material->count + labels);
    m->share = (double)m->shares[m->label];
    m->text = material->data->labels[m->label].name;
}

static enum status attach(struct adapted *adapted, const struct material *material,
                          struct error *err)
{
    (void)err;
    struct majority *m = arena_zalloc(&adapted->arena, sizeof *m);
    m->label = -1;
    if (material->data->label_count)
        count_labels(m, material, &adapted->arena);
    else
        count_texts(m, material, &adapted->arena);
    adapted->self = m;
    return OK;
}

static enum status answer(struct adapted *adapted, const struct example *const *examples,
                          size_t count, struct outcome *outcomes, struct arena *arena,
                          const struct deadline *deadline, struct error *err)
{
    (void)deadline;
    (void)err;
    const struct majority *m = adapted->self;
    size_t bytes = adapted->data->label_count * sizeof *m->shares;
    float *shares = m->shares ? memcpy(arena_alloc(arena, bytes), m->shares, bytes) : NULL;
    for (size_t i = 0; i < count; i++) {
        outcomes[i].label = m->label;
        outcomes[i].text = shares ? NULL : m->text;
        outcomes[i].probability = m->share;
        outcomes[i].probabilities = shares;
        outcomes[i].scored = shares && examples[i]->label >= 0;
        if (outcomes[i].scored)
            outcomes[i].nll = -log((double)shares[examples[i]->label]);
    }
    return OK;
}

static void predict(const struct setting *setting, const struct workload *workload,
                    struct cost *cost)
{
    (void)setting;
    (void)workload;
    *cost = (struct cost){0};
}

const struct technique majority = {
    .name = "majority",
    .family = "baseline",
    .summary = "always the most frequent answer; the floor for everything else",
    .minimum_examples = 1,
    .predict = predict,
    .attach = attach,
    .answer = answer,
};
