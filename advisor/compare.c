/* SPDX-License-Identifier: Apache-2.0 */
#include "advisor/compare.h"

#include <stdlib.h>

#include "base/random.h"

enum { RESAMPLES = 4000 };

/* Values of several techniques in every resample. */
struct resamples {
    size_t count;   /* techniques */
    double *values; /* (RESAMPLES, count) */
};

/* What one training answered, ready to be resampled. */
struct sample {
    const struct metric_sample *metric;   /* NULL for a share of right answers: */
    const struct prediction *predictions; /* the mean of `correct` */
};

/* One for each seed of a technique. */
static const struct sample *sample_seeds(const struct comparison *how,
                                         const struct answers *answers, struct arena *arena)
{
    struct sample *samples = arena_zalloc(arena, answers->seeds * sizeof *samples);
    for (size_t s = 0; s < answers->seeds; s++) {
        samples[s].predictions = answers->predictions[s];
        if (!how->metric->proportion)
            samples[s].metric = metric_sample_create(how->metric, answers->predictions[s],
                                                     how->examples, how->classes, arena);
    }
    return samples;
}

static double sample_value(const struct sample *sample, const size_t *index, size_t count)
{
    size_t right = 0;
    if (sample->metric)
        return metric_sample_value(sample->metric, index, count);
    for (size_t i = 0; i < count; i++)
        right += sample->predictions[index[i]].correct;
    return (double)right / (double)count;
}

/* The mean over as many seeds as there are, drawn from them. */
static double draw_seeds(const struct sample *samples, size_t seeds, const size_t *index,
                         size_t examples, struct random *random)
{
    double sum = 0;
    for (size_t s = 0; s < seeds; s++)
        sum += sample_value(&samples[seeds > 1 ? random_below(random, seeds) : 0], index, examples);
    return sum / (double)seeds;
}

static struct resamples resample(const struct comparison *how, const struct answers *answers,
                                 size_t count, struct arena *arena)
{
    struct resamples all = {.count = count,
                            .values = arena_alloc(arena, RESAMPLES * count * sizeof(double))};
    const struct sample **samples = arena_alloc(arena, count * sizeof *samples);
    for (size_t t = 0; t < count; t++)
        samples[t] = sample_seeds(how, &answers[t], arena);
    size_t *index = arena_alloc(arena, how->examples * sizeof *index);
    struct random random = random_stream(how->seed, "comparison", 0);
    struct random seeds = random_stream(how->seed, "comparison of seeds", 0);
    for (size_t r = 0; r < RESAMPLES; r++) {
        for (size_t i = 0; i < how->examples; i++)
            index[i] = random_below(&random, how->examples);
        for (size_t t = 0; t < count; t++)
            all.values[r * count + t] =
                draw_seeds(samples[t], answers[t].seeds, index, how->examples, &seeds);
    }
    return all;
}

static double mcnemar_better(const struct comparison *how, const struct prediction *a,
                             const struct prediction *b)
{
    int64_t only_a = 0, only_b = 0;
    for (size_t i = 0; i < how->examples; i++) {
        only_a += a[i].correct && !b[i].correct;
        only_b += b[i].correct && !a[i].correct;
    }
    return mcnemar_exact(only_a, only_b).second_better;
}

/* From resamples. Never 0: that many cannot tell a smaller chance than one in as many. */
static double resampled_better(const struct resamples *all, size_t a, size_t b)
{
    double against = 0;
    for (size_t r = 0; r < RESAMPLES; r++) {
        double gain = all->values[r * all->count + b] - all->values[r * all->count + a];
        against += gain < 0 ? 1 : gain > 0 ? 0 : 0.5;
    }
    double p = (against + 1) / (RESAMPLES + 1);
    return p < 1 ? p : 1;
}

/* Whether shares have to be resampled, since a technique was trained more than once. */
static bool has_seeds(const struct answers *answers, size_t count)
{
    bool several = false;
    for (size_t t = 0; t < count; t++)
        several |= answers[t].seeds > 1;
    return several;
}

double *compare_pairs(const struct comparison *how, const struct answers *answers, size_t count,
                      struct arena *arena)
{
    double *p = arena_alloc(arena, count * count * sizeof *p + 1);
    struct arena scratch;
    arena_init(&scratch, NULL);
    struct resamples all = {0};
    if (count > 1 && (!how->metric->proportion || has_seeds(answers, count)))
        all = resample(how, answers, count, &scratch);
    for (size_t a = 0; a < count; a++)
        for (size_t b = 0; b < count; b++) {
            bool exact = how->metric->proportion && answers[a].seeds == 1 && answers[b].seeds == 1;
            p[a * count + b] =
                a == b  ? 1
                : exact ? mcnemar_better(how, answers[a].predictions[0], answers[b].predictions[0])
                        : resampled_better(&all, a, b);
        }
    arena_release(&scratch);
    return p;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The middle 95 % of one technique's values. */
static void fill_interval(const struct resamples *all, size_t t, double *column,
                          struct standing *standing)
{
    for (size_t r = 0; r < RESAMPLES; r++)
        column[r] = all->values[r * all->count + t];
    qsort(column, RESAMPLES, sizeof *column, compare_doubles);
    standing->low = column[RESAMPLES / 40];
    standing->high = column[RESAMPLES - 1 - RESAMPLES / 40];
}

/* Adds what one resample says of every technique. */
static void count_resample(const double *values, size_t count, double target,
                           struct standing *standings)
{
    double best = values[0];
    size_t leaders = 0;
    for (size_t t = 0; t < count; t++)
        best = values[t] > best ? values[t] : best;
    for (size_t t = 0; t < count; t++)
        leaders += values[t] >= best;
    for (size_t t = 0; t < count; t++) {
        if (values[t] >= best)
            standings[t].probability_best += 1.0 / (double)leaders / RESAMPLES;
        if (values[t] >= target)
            standings[t].probability_target += 1.0 / RESAMPLES;
        standings[t].opportunity_cost += (best - values[t]) / RESAMPLES;
    }
}

/* A share of right answers: the mean of `correct`. */
static void compare_shares(const struct comparison *how, const struct answers *answers,
                           size_t count, double target, struct arena *arena,
                           struct standing *standings)
{
    size_t row = 0, *rows = arena_alloc(arena, count * sizeof *rows);
    for (size_t t = 0; t < count; t++)
        row += rows[t] = answers[t].seeds;
    double *scores = arena_alloc(arena, row * how->examples * sizeof *scores + 1), *at = scores;
    for (size_t t = 0; t < count; t++)
        for (size_t s = 0; s < rows[t]; s++)
            for (size_t i = 0; i < how->examples; i++)
                *at++ = answers[t].predictions[s][i].correct;
    struct score_matrix matrix = {
        .scores = scores, .examples = how->examples, .techniques = count, .rows = rows};
    struct bootstrap options = {.resamples = RESAMPLES, .seed = how->seed, .confidence = 0.95};
    joint_bootstrap(&matrix, target, options, standings);
}

static double mean_value(const struct comparison *how, const struct answers *answers)
{
    double sum = 0;
    for (size_t s = 0; s < answers->seeds; s++)
        sum += how->metric->value(answers->predictions[s], how->examples, how->classes);
    return sum / (double)answers->seeds;
}

/* Any other metric, computed on every resample. */
static void compare_values(const struct comparison *how, const struct answers *answers,
                           size_t count, double target, struct arena *arena,
                           struct standing *standings)
{
    struct resamples all = resample(how, answers, count, arena);
    double *column = arena_alloc(arena, RESAMPLES * sizeof *column);
    for (size_t t = 0; t < count; t++) {
        standings[t] = (struct standing){.mean = mean_value(how, &answers[t])};
        fill_interval(&all, t, column, &standings[t]);
    }
    for (size_t r = 0; r < RESAMPLES; r++)
        count_resample(all.values + r * count, count, target, standings);
}

void compare_all(const struct comparison *how, const struct answers *answers, size_t count,
                 double target, struct arena *arena, struct standing *standings)
{
    if (!count || !how->examples)
        return;
    struct arena_mark mark = arena_mark(arena);
    if (how->metric->proportion)
        compare_shares(how, answers, count, target, arena, standings);
    else
        compare_values(how, answers, count, target, arena, standings);
    arena_rewind(arena, mark);
}
