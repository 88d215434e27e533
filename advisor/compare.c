/* SPDX-License-Identifier: Apache-2.0 */
#include "advisor/compare.h"

#include <math.h>
#include <string.h>

#include "base/random.h"
#include "evaluators/statistics.h"

enum { RESAMPLES = 4000 };

/* A share of right answers: the mean of `correct`. */
static void run_shares(struct comparison *c, double target, uint64_t seed, struct arena *arena)
{
    double *scores = arena_alloc(arena, c->count * c->examples * sizeof *scores);
    struct standing *standings = arena_zalloc(arena, c->count * sizeof *standings);
    for (size_t t = 0; t < c->count; t++)
        for (size_t i = 0; i < c->examples; i++)
            scores[t * c->examples + i] = c->contenders[t].predictions[i].correct;
    struct score_matrix matrix = {
        .scores = scores, .examples = c->examples, .techniques = c->count};
    struct bootstrap how = {.resamples = RESAMPLES, .seed = seed, .confidence = 0.95};
    joint_bootstrap(&matrix, target, how, standings);
    for (size_t t = 0; t < c->count; t++) {
        c->contenders[t].probability_best = standings[t].probability_best;
        c->contenders[t].probability_target = standings[t].probability_target;
    }
}

/* The metric of every contender in resample number `r`, on the same examples. */
static void resample(struct comparison *c, size_t r, const size_t *drawn,
                     struct prediction *predictions)
{
    for (size_t t = 0; t < c->count; t++) {
        struct contender *contender = &c->contenders[t];
        for (size_t i = 0; i < c->examples; i++)
            predictions[i] = contender->predictions[drawn[i]];
        contender->values[r] = c->metric->value(predictions, c->examples, c->classes);
    }
}

/* Adds resample `r` to the counts; a shared lead is split. */
static void count_resample(struct comparison *c, size_t r, double target)
{
    double best = -INFINITY, leaders = 0;
    for (size_t t = 0; t < c->count; t++)
        best = fmax(best, c->contenders[t].values[r]);
    for (size_t t = 0; t < c->count; t++)
        leaders += c->contenders[t].values[r] >= best;
    for (size_t t = 0; t < c->count; t++) {
        struct contender *contender = &c->contenders[t];
        contender->probability_best += contender->values[r] >= best ? 1 / leaders : 0;
        contender->probability_target += contender->values[r] >= target;
    }
}

static void run_resamples(struct comparison *c, double target, uint64_t seed, struct arena *arena)
{
    struct random random = random_stream(seed, "comparison", 0);
    size_t *drawn = arena_alloc(arena, c->examples * sizeof *drawn);
    struct prediction *predictions = arena_alloc(arena, c->examples * sizeof *predictions);
    for (size_t t = 0; t < c->count; t++) {
        struct contender *contender = &c->contenders[t];
        contender->values = arena_alloc(arena, RESAMPLES * sizeof *contender->values);
        contender->probability_best = contender->probability_target = 0;
    }
    for (size_t r = 0; r < RESAMPLES; r++) {
        for (size_t i = 0; i < c->examples; i++)
            drawn[i] = random_below(&random, c->examples);
        resample(c, r, drawn, predictions);
        count_resample(c, r, target);
    }
    for (size_t t = 0; t < c->count; t++) {
        c->contenders[t].probability_best /= RESAMPLES;
        c->contenders[t].probability_target /= RESAMPLES;
    }
}

void comparison_run(struct comparison *comparison, double target, uint64_t seed,
                    struct arena *arena)
{
    if (!comparison->count || !comparison->examples)
        return;
    if (comparison->metric->proportion)
        run_shares(comparison, target, seed, arena);
    else
        run_resamples(comparison, target, seed, arena);
}

double comparison_better(const struct comparison *comparison, size_t a, size_t b)
{
    const struct contender *x = &comparison->contenders[a], *y = &comparison->contenders[b];
    if (comparison->metric->proportion) {
        int64_t only_x = 0, only_y = 0;
        for (size_t i = 0; i < comparison->examples; i++) {
            only_x += x->predictions[i].correct && !y->predictions[i].correct;
            only_y += y->predictions[i].correct && !x->predictions[i].correct;
        }
        return mcnemar_exact(only_x, only_y).second_better;
    }
    size_t not_better = 0;
    for (size_t r = 0; r < RESAMPLES; r++)
        not_better += y->values[r] <= x->values[r];
    return (double)not_better / RESAMPLES;
}
