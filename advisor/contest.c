/* SPDX-License-Identifier: Apache-2.0 */
#include "advisor/contest.h"

#include <string.h>

/* ---- What was answered ---------------------------------------------------------------------- */

/* The store keeps no targets, and a metric of texts that is no share of right ones reads them. */
static void restore_targets(const struct metric *metric, const struct dataset *data,
                            struct prediction *predictions, size_t count)
{
    bool texts = metric->input == INPUT_TEXT || metric->input == INPUT_JSON;
    for (size_t i = 0; texts && !metric->proportion && i < count; i++)
        predictions[i].target = data->examples[predictions[i].example].target;
}

static enum status read_one(struct study *study, enum side side, struct comparison *how,
                            const struct trial_record *trial, const struct prediction **out,
                            struct error *err)
{
    struct prediction *predictions;
    size_t count;
    enum status status = trial_predictions_get(study->store, trial->id, side, &study->arena,
                                               &predictions, &count, err);
    if (status != OK)
        return status;
    restore_targets(how->metric, side == SIDE_DEV ? &study->data : study->split.test_from,
                    predictions, count);
    if (how->examples && count != how->examples)
        return error_set(err, FAILED,
                         "%s: the trials of %s answered %zu %s examples and others %zu; "
                         "begin the study anew with --fresh",
                         study->path, trial->key.technique, count,
                         side == SIDE_DEV ? "development" : "test", how->examples);
    how->examples = count;
    *out = predictions;
    return OK;
}

enum status answers_read(struct study *study, enum side side, struct comparison *how,
                         const struct seeds *seeds, struct answers *answers, struct error *err)
{
    const struct prediction **predictions =
        arena_alloc(&study->arena, (seeds->count + 1) * sizeof *predictions);
    enum status status = OK;
    for (size_t i = 0; i < seeds->count && status == OK; i++)
        status = read_one(study, side, how, seeds->trials[i], &predictions[i], err);
    *answers = (struct answers){predictions, seeds->count};
    return status;
}

/* ---- Who meets whom, and where -------------------------------------------------------------- */

struct meeting {
    struct study *study;
    const struct trials *trials;
    struct comparison *how;
    const bool *takes_part;
    size_t count;       /* techniques */
    struct bout *bouts; /* (count, count) */

    /* Those that meet at one size. */
    size_t *present; /* numbers of techniques */
    double *metrics; /* mean over the seeds */
    struct answers *answers;
    size_t present_count;
};

/* The largest size of a trial of a technique that learns which is below `below`; 0: none. */
static int64_t size_below(const struct meeting *m, int64_t below)
{
    int64_t largest = 0;
    for (size_t i = 0; i < m->trials->count; i++) {
        const struct trial_record *t = &m->trials->items[i];
        const struct technique *technique = technique_find(t->key.technique);
        if (technique && technique_learns(technique) && t->status == TRIAL_DONE &&
            t->metric.known && t->key.examples < below && t->key.examples > largest)
            largest = t->key.examples;
    }
    return largest;
}

static enum status bring(struct meeting *m, size_t number, int64_t examples, struct error *err)
{
    const struct trials *trials = m->trials;
    const struct technique *technique = study_technique(m->study, number);
    const struct trial_record *best =
        technique_learns(technique)
            ? best_trial_at(technique, examples, trials->items, trials->count)
            : best_trial(technique, trials->items, trials->count);
    if (!best || !m->takes_part[number])
        return OK;
    struct seeds seeds = trial_seeds(best, trials->items, trials->count, &m->study->arena);
    double sum = 0;
    for (size_t i = 0; i < seeds.count; i++)
        sum += seeds.trials[i]->metric.value;
    m->present[m->present_count] = number;
    m->metrics[m->present_count] = sum / (double)seeds.count;
    return answers_read(m->study, SIDE_DEV, m->how, &seeds, &m->answers[m->present_count++], err);
}

/* Fills in the bouts at one size of those that have not met at a larger one. */
static void compare_present(struct meeting *m, int64_t examples)
{
    const double *p = compare_pairs(m->how, m->answers, m->present_count, &m->study->arena);
    for (size_t i = 0; i < m->present_count; i++)
        for (size_t k = 0; k < m->present_count; k++) {
            size_t a = m->present[i], b = m->present[k];
            bool sized = technique_learns(study_technique(m->study, a)) ||
                         technique_learns(study_technique(m->study, b));
            struct bout *bout = &m->bouts[a * m->count + b];
            if (i != k && !bout->known)
                *bout = (struct bout){.known = true,
                                      .own = m->metrics[i],
                                      .rival = m->metrics[k],
                                      .p = p[i * m->present_count + k],
                                      .examples = sized ? examples : 0};
        }
}

static enum status meet_at(struct meeting *m, int64_t examples, struct error *err)
{
    enum status status = OK;
    m->present_count = 0;
    for (size_t i = 0; i < m->count && status == OK; i++)
        status = bring(m, i, examples, err);
    if (status == OK)
        compare_present(m, examples);
    return status;
}

enum status contest_make(struct study *study, const struct trials *trials, struct comparison *how,
                         const bool *takes_part, struct contest *contest, struct error *err)
{
    struct arena *arena = &study->arena;
    size_t count = study_technique_count(study);
    struct meeting m = {.study = study,
                        .trials = trials,
                        .how = how,
                        .takes_part = takes_part,
                        .count = count,
                        .bouts = arena_zalloc(arena, (count * count + 1) * sizeof *m.bouts),
                        .present = arena_alloc(arena, (count + 1) * sizeof *m.present),
                        .metrics = arena_alloc(arena, (count + 1) * sizeof *m.metrics),
                        .answers = arena_alloc(arena, (count + 1) * sizeof *m.answers)};
    struct measured *measurements = arena_zalloc(arena, (count + 1) * sizeof *measurements);
    int64_t size = size_below(&m, INT64_MAX);
    enum status status = meet_at(&m, size, err); /* at 0 those that learn nothing */
    while (status == OK && size && (size = size_below(&m, size)))
        status = meet_at(&m, size, err);
    for (size_t i = 0; i < count; i++) {
        const struct trial_record *best =
            best_trial(study_technique(study, i), trials->items, trials->count);
        if (best && takes_part[i])
            measurements[i] = best->metric;
    }
    *contest = (struct contest){measurements, m.bouts};
    return status;
}
