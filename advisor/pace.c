/* SPDX-License-Identifier: Apache-2.0 */
#include "advisor/pace.h"

#include <math.h>
#include <string.h>

#include "advisor/allocate.h"
#include "advisor/policy.h"
#include "techniques/trainer.h"

/* A prediction is made from earlier trials; this much more is kept free for being wrong. */
static const double caution = 1.15;

/* Training costs about this many times an answer to the same text while unmeasured. */
static const double training_factor = 3;

enum status trials_read(const struct study *study, struct arena *arena, struct trials *trials,
                        struct error *err)
{
    *trials = (struct trials){0};
    if (!study->store)
        return OK;
    return store_trials(study->store, arena, &trials->items, &trials->count, err);
}

/* Passes over single examples that a trial with training made. */
static double passes_of(const struct technique *technique, const struct trial_record *trial)
{
    struct setting setting;
    struct arena arena;
    size_t examples = (size_t)trial->key.examples;
    double passes = (double)examples;
    arena_init(&arena, NULL);
    if (technique->learning_rates &&
        setting_parse(technique, trial->key.setting, &setting, &arena, NULL) == OK)
        passes *= trainer_epochs(&setting, examples);
    arena_release(&arena);
    return passes;
}

/* Seconds of one pass in the latest trial that trained by steps, whichever its technique; 0 when
 * there is none. */
static double any_pass(const struct study *study, const struct trials *trials)
{
    double pass = 0;
    const struct technique *technique;
    for (size_t i = 0; i < trials->count; i++) {
        const struct trial_record *t = &trials->items[i];
        for (size_t k = 0; (technique = study_technique(study, k)); k++)
            if (t->status == TRIAL_DONE && t->train_seconds.known && technique->learning_rates &&
                !strcmp(t->key.technique, technique->name))
                pass = t->train_seconds.value / passes_of(technique, t);
    }
    return pass;
}

struct pace pace_of(const struct study *study, const struct technique *technique,
                    const struct trials *trials)
{
    double each = study->seconds_per_answer, pass = any_pass(study, trials);
    struct pace pace = {.pass = each, .answer = each};
    if (technique->learning_rates)
        pace.pass = pass > 0 ? pass : training_factor * each;
    for (size_t i = 0; i < trials->count; i++) {
        const struct trial_record *t = &trials->items[i];
        if (t->status != TRIAL_DONE || strcmp(t->key.technique, technique->name) != 0)
            continue;
        if (t->train_seconds.known)
            pace.pass = t->train_seconds.value / passes_of(technique, t);
        if (t->metric.known && t->dev_predictions)
            pace.answer =
                (t->trial_seconds.value - t->train_seconds.value) / (double)t->dev_predictions;
    }
    return pace;
}

double pace_trial(const struct study *study, const struct setting *setting, const struct pace *pace,
                  size_t examples, int epochs)
{
    double seconds = pace->answer * (double)study->evaluator.dev_count;
    if (setting->technique->fit)
        seconds += (double)examples * pace->pass;
    else if (setting->technique->learning_rates)
        seconds +=
            (double)examples * (epochs ? epochs : trainer_epochs(setting, examples)) * pace->pass;
    return caution * seconds;
}

double pace_test(const struct study *study, const struct pace *pace)
{
    return caution * pace->answer * (double)study->evaluator.test_count;
}

static size_t count_rates(const struct technique *technique)
{
    size_t rates = 1;
    for (const char *c = technique->learning_rates; c && *c; c++)
        rates += *c == ',';
    return rates;
}

double pace_missing(const struct study *study, const struct technique *technique,
                    const struct trials *trials)
{
    struct pace pace = pace_of(study, technique, trials);
    struct setting setting = setting_default(technique);
    size_t all = study->split.train_count;
    size_t least = technique->learning_rates ? policy_first_rung(all) : all;
    return pace_trial(study, &setting, &pace, least, 0) + pace_test(study, &pace);
}

double pace_exhaustive(const struct study *study, const struct trials *trials)
{
    const struct split *split = &study->split;
    double seconds = 0;
    const struct technique *technique;
    for (size_t i = 0; (technique = study_technique(study, i)); i++) {
        if (!(technique->needs & NEEDS_MODEL))
            continue;
        struct pace pace = pace_of(study, technique, trials);
        struct setting setting = setting_default(technique);
        double rates = (double)count_rates(technique);
        seconds += rates * pace.answer * (double)(split->dev_count + split->test_count);
        if (technique->fit)
            seconds += pace.pass * (double)split->train_count;
        else if (technique->learning_rates)
            seconds += rates * pace.pass * (double)split->train_count *
                       trainer_epochs(&setting, split->train_count);
    }
    return seconds;
}

void pace_budget(double seconds, struct text *out)
{
    static const double round[] = {5,   10,  15,  20,  30,   45,   60,   90,   120,  180,  240,
                                   300, 420, 600, 900, 1200, 1800, 2700, 3600, 5400, 7200, 10800};
    enum { COUNT = sizeof round / sizeof *round };
    size_t i = 0;
    while (i < COUNT && round[i] < seconds)
        i++;
    double chosen = i < COUNT ? round[i] : 3600 * ceil(seconds / 3600);
    if (chosen < 120)
        text_printf(out, "%.0fs", chosen);
    else if (chosen < 7200)
        text_printf(out, "%.0fm", chosen / 60);
    else
        text_printf(out, "%.0fh", chosen / 3600);
}
