/* SPDX-License-Identifier: Apache-2.0 */
#include "techniques/nearest.h"

#include <math.h>
#include <string.h>

#include "model/blas.h"
#include "techniques/features.h"

struct nearest {
    const size_t *rows; /* (count) */
    size_t count;
    size_t width;
    real *states;       /* (count, width) of length 1; NULL until asked */
    real *mean, *scale; /* (width) */
};

struct nearest *nearest_create(struct adapted *adapted, const struct material *material)
{
    struct arena *arena = &adapted->arena;
    struct nearest *nearest = arena_zalloc(arena, sizeof *nearest);
    size_t bytes = material->count * sizeof *material->rows;
    nearest->rows = memcpy(arena_alloc(arena, bytes), material->rows, bytes);
    nearest->count = material->count;
    nearest->width = (size_t)adapted->engine->model->n_embd;
    return nearest;
}

/* Mean and inverse deviation of every feature; 0 for one that never varies. */
static void measure(struct nearest *n, struct arena *arena)
{
    n->mean = arena_alloc(arena, n->width * sizeof *n->mean);
    n->scale = arena_alloc(arena, n->width * sizeof *n->scale);
    for (size_t c = 0; c < n->width; c++) {
        double sum = 0, square = 0;
        for (size_t r = 0; r < n->count; r++)
            sum += (double)n->states[r * n->width + c];
        double mean = sum / (double)n->count;
        for (size_t r = 0; r < n->count; r++) {
            double distance = (double)n->states[r * n->width + c] - mean;
            square += distance * distance;
        }
        double variance = square / (double)n->count;
        n->mean[c] = (real)mean;
        n->scale[c] = (real)(variance > 1e-12 ? 1 / sqrt(variance) : 0);
    }
}

static void standardise(const struct nearest *n, real *states, size_t count)
{
    for (size_t r = 0; r < count; r++) {
        real *state = states + r * n->width;
        double square = 0;
        for (size_t c = 0; c < n->width; c++) {
            state[c] = (state[c] - n->mean[c]) * n->scale[c];
            square += (double)state[c] * (double)state[c];
        }
        for (size_t c = 0; c < n->width && square > 0; c++)
            state[c] = (real)((double)state[c] / sqrt(square));
    }
}

static enum status read_all(struct nearest *n, struct adapted *adapted,
                            const struct deadline *deadline, struct error *err)
{
    struct arena arena;
    arena_init(&arena, &adapted->engine->meter);
    const struct example **all = arena_alloc(&arena, n->count * sizeof *all);
    for (size_t i = 0; i < n->count; i++)
        all[i] = &adapted->data->examples[n->rows[i]];
    real *states = arena_alloc(&adapted->arena, n->count * n->width * sizeof *states);
    enum status status =
        features_compute(adapted, FINAL_STATE, all, n->count, states, NULL, deadline, err);
    if (status == OK) {
        n->states = states;
        measure(n, &adapted->arena);
        standardise(n, states, n->count);
    }
    arena_release(&arena);
    return status;
}

/* The k largest of `scores`, in falling order; an example is not among its own neighbours. */
static size_t pick(const struct nearest *n, const struct adapted *adapted,
                   const struct example *example, const real *scores, size_t k, size_t *rows,
                   real *best)
{
    size_t found = 0;
    for (size_t i = 0; i < n->count; i++) {
        size_t at = found;
        if (&adapted->data->examples[n->rows[i]] == example)
            continue;
        while (at > 0 && scores[i] > best[at - 1])
            at--;
        if (at == k)
            continue;
        found += found < k;
        for (size_t j = found - 1; j > at; j--) {
            best[j] = best[j - 1];
            rows[j] = rows[j - 1];
        }
        best[at] = scores[i];
        rows[at] = n->rows[i];
    }
    return found;
}

enum status nearest_find(struct nearest *n, struct adapted *adapted,
                         const struct example *const *examples, size_t count, size_t k,
                         size_t *rows, size_t *found, int *tokens, struct arena *arena,
                         const struct deadline *deadline, struct error *err)
{
    enum status status = n->states ? OK : read_all(n, adapted, deadline, err);
    real *states = arena_alloc(arena, count * n->width * sizeof *states);
    real *scores = arena_alloc(arena, n->count * sizeof *scores);
    real *best = arena_alloc(arena, k * sizeof *best);
    if (status == OK)
        status =
            features_compute(adapted, FINAL_STATE, examples, count, states, tokens, deadline, err);
    if (status != OK)
        return status;
    standardise(n, states, count);
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < n->count; j++)
            scores[j] = blas_dot((int)n->width, states + i * n->width, n->states + j * n->width);
        found[i] = pick(n, adapted, examples[i], scores, k, rows + i * k, best);
    }
    return OK;
}
