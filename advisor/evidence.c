/* SPDX-License-Identifier: Apache-2.0 */
#include "advisor/evidence.h"

#include <string.h>

/* The trial that stands for a row of the ranking, the first of its seeds, or NULL. */
static const struct trial_record *trial_of(const struct evidence *evidence,
                                           const struct ranked *ranked)
{
    for (size_t i = 0; i < evidence->trial_count; i++) {
        const struct trial_record *t = &evidence->trials[i];
        if (t->status == TRIAL_DONE && t->metric.known && t->key.examples == ranked->examples &&
            !strcmp(t->key.technique, ranked->technique) &&
            !strcmp(t->key.setting, ranked->setting))
            return t;
    }
    return NULL;
}

static enum status read_answers(struct store *store, const struct trial_record *trial,
                                struct arena *arena, struct ranked_answers *answers,
                                struct error *err)
{
    struct prediction *dev, *test;
    *answers = (struct ranked_answers){.technique = trial->key.technique, .trial = trial->id};
    enum status status =
        trial_predictions_get(store, trial->id, SIDE_DEV, arena, &dev, &answers->dev_count, err);
    if (status == OK)
        status = trial_predictions_get(store, trial->id, SIDE_TEST, arena, &test,
                                       &answers->test_count, err);
    if (status != OK)
        return status;
    answers->dev = dev;
    answers->test = test;
    return OK;
}

static enum status fill_answers(struct store *store, struct arena *arena, struct report *report,
                                struct error *err)
{
    struct evidence *evidence = &report->evidence;
    struct ranked_answers *answers =
        arena_zalloc(arena, report->ranking_count * sizeof *answers + 1);
    enum status status = OK;
    evidence->answers = answers;
    for (size_t i = 0; i < report->ranking_count && status == OK; i++) {
        const struct ranked *ranked = &report->ranking[i];
        const struct trial_record *trial = trial_of(evidence, ranked);
        if (ranked->status == STANDING_MEASURED && trial)
            status = read_answers(store, trial, arena, &answers[evidence->answers_count++], err);
    }
    return status;
}

static enum status fill_examples(struct store *store, struct arena *arena,
                                 struct evidence *evidence, struct error *err)
{
    struct example_record *dev, *test;
    enum status status =
        store_examples_get(store, SIDE_DEV, arena, &dev, &evidence->dev_count, err);
    if (status == OK)
        status = store_examples_get(store, SIDE_TEST, arena, &test, &evidence->test_count, err);
    if (status != OK)
        return status;
    evidence->dev = dev;
    evidence->test = test;
    return OK;
}

enum status evidence_fill(struct store *store, struct arena *arena, struct report *report,
                          struct error *err)
{
    struct evidence *evidence = &report->evidence;
    struct study_record record;
    struct trial_record *trials;
    bool found;
    *evidence = (struct evidence){0};
    enum status status = store_study_get(store, arena, &record, &found, err);
    if (status == OK)
        status = store_trials(store, arena, &trials, &evidence->trial_count, err);
    if (status != OK)
        return status;
    evidence->created_ms = record.created_ms;
    evidence->trials = trials;
    status = fill_answers(store, arena, report, err);
    return status == OK ? fill_examples(store, arena, evidence, err) : status;
}
