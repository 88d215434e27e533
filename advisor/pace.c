/* SPDX-License-Identifier: Apache-2.0 */
#include "advisor/pace.h"

#include <math.h>
#include <string.h>

#include "advisor/allocate.h"
#include "advisor/cost.h"
#include "advisor/policy.h"
#include "techniques/trainer.h"

/* A prediction is made from earlier trials; this much more is kept free for being wrong. */
static const double caution = 1.15;

/* A row of training takes about this many times what reading a token takes, while unmeasured. */
static const double training_factor = 2.15;

enum status trials_read(const struct study *study, struct arena *arena, struct trials *trials,
                        struct error *err)
{
    *trials = (struct trials){0};
    if (!study->store)
        return OK;
    return store_trials(study->store, arena, &trials->items, &trials->count, err);
}

/* What training takes besides its rows, fitted to the recorded trials of seven tasks and two sizes,
 * with a median error of 4.5 %. A micro-batch takes as long as so many rows more, whatever it
 * holds, since all weights pass by. An operation of the output head takes this many times as long
 * as one of the layers. Training every weight: of the operations that their gradients add, this
 * share of their time; and of a step of the optimiser the time of so many operations for each
 * value. */
static const double pass_rows = 22, head_factor = 1.9, gradient_share = 0.9,
                    optimiser_operations = 193;

/* What a setting costs by arithmetic. */
static struct cost cost_of(const struct study *study, const struct setting *setting)
{
    const struct site_facts site = {.threads = 1, .weight_bits = 8 * sizeof(real)};
    const struct workload workload = study_workload(study, study->split.train_count);
    return estimate_cost(setting, &workload, &site).cost;
}

static struct cost usual_cost(const struct study *study, const struct technique *technique)
{
    const struct setting setting = setting_default(technique);
    return cost_of(study, &setting);
}

/* Operations of training on a token with frozen weights. */
static double frozen_operations(const struct cost *cost)
{
    return 2 * cost->request_operations / cost->request_tokens;
}

/* A training's work, in rows with frozen weights. */
static double training_work(const struct study *study, const struct setting *setting,
                            size_t examples)
{
    const struct cost cost = cost_of(study, setting);
    const struct model *model = study->model;
    double frozen = frozen_operations(&cost), batch = (double)trainer_batch(setting, examples);
    double extra = cost.training_operations / cost.training_tokens / frozen - 1;
    double epochs = trainer_epochs(setting, examples), prefix = cost.shared_tokens;
    double steps = epochs * ceil((double)examples / batch);
    double passes = steps * trainer_micro_batches(batch, study->example_tokens, prefix);
    double rows = trainer_tokens(setting, examples, study->example_tokens, prefix);
    double head = 2 * 2.0 * model->n_vocab * model->n_embd / frozen; /* forward and back */
    return rows * (1 + gradient_share * extra) + passes * pass_rows +
           epochs * (double)examples * study->tokens_answer * head * head_factor +
           steps * (double)cost.trainable_parameters * optimiser_operations / frozen;
}

/* Seconds of a trial for each token of work; 0 when it did not train by steps. */
static double token_seconds(const struct study *study, const struct technique *technique,
                            const struct trial_record *trial)
{
    struct setting setting;
    struct arena arena;
    double seconds = 0;
    if (!technique->learning_rates || trial->status != TRIAL_DONE || !trial->train_seconds.known)
        return 0;
    arena_init(&arena, NULL);
    if (setting_parse(technique, trial->key.setting, &setting, &arena, NULL) == OK)
        seconds = trial->train_seconds.value /
                  training_work(study, &setting, (size_t)trial->key.examples);
    arena_release(&arena);
    return seconds;
}

static const struct technique *technique_of(const struct study *study,
                                            const struct trial_record *trial)
{
    const struct technique *technique;
    size_t i = 0;
    while ((technique = study_technique(study, i)) &&
           strcmp(trial->key.technique, technique->name) != 0)
        i++;
    return technique;
}

/* Seconds for each token of work, by the latest trial that trained by steps, whichever its
 * technique; 0 when there is none. */
static double any_token_seconds(const struct study *study, const struct trials *trials)
{
    for (size_t i = trials->count; i--;) {
        const struct technique *technique = technique_of(study, &trials->items[i]);
        double seconds = technique ? token_seconds(study, technique, &trials->items[i]) : 0;
        if (seconds > 0)
            return seconds;
    }
    return 0;
}

/* How many times the tokens of the bare model's request an answer of the technique takes, at least
 * 1. */
static double relative_cost(const struct study *study, const struct technique *technique)
{
    double bare = study->example_tokens + 1;
    return fmax(usual_cost(study, technique).request_tokens / bare, 1);
}

/* What a finished trial of the technique itself tells. */
static void learn_pace(const struct study *study, const struct technique *technique,
                       const struct trial_record *t, struct pace *pace)
{
    double token = token_seconds(study, technique, t);
    if (token > 0)
        pace->token = token;
    if (technique->fit && t->train_seconds.known)
        pace->read = t->train_seconds.value / (double)t->key.examples;
    if (t->metric.known && t->dev_predictions)
        pace->answer =
            (t->trial_seconds.value - t->train_seconds.value) / (double)t->dev_predictions;
}

/* Seconds that the bare model takes to read a token. */
static double reading_seconds(const struct study *study)
{
    if (!(study->seconds_per_reading > 0))
        return study->seconds_per_answer / study->example_tokens;
    return study->seconds_per_reading / study_workload(study, 1).input_tokens;
}

/* A fit multiplies narrow matrices, which takes about this many times as long as the products of
 * the model: twice with 77 labels, ten times with 6. */
static const double fit_factor = 5;

/* Seconds of reading an example and of its share of the fit, from those of an answer. */
static double learning_seconds(const struct study *study, const struct technique *technique)
{
    double each = study->seconds_per_answer;
    const struct cost cost = usual_cost(study, technique);
    if (!(cost.request_operations > 0))
        return each;
    return each + fit_factor * each / cost.request_operations * cost.fit_operations /
                      (double)study->split.train_count;
}

/* Seconds of an answer of the model, in the length that it would have of itself, or once it has
 * learned from the examples how long answers are. */
static double answer_seconds(const struct study *study, bool learned)
{
    double each = study->seconds_per_answer, reading = study->seconds_per_reading;
    if (!learned || !(reading > 0) || !(study->tokens_written > 0))
        return each;
    return reading + (each - reading) * fmin(study->tokens_answer / study->tokens_written, 1);
}

struct pace pace_of(const struct study *study, const struct technique *technique,
                    const struct trials *trials)
{
    double each = study->seconds_per_answer, token = any_token_seconds(study, trials);
    struct pace pace = {.read = each, .answer = each};
    if (!(technique->needs & NEEDS_MODEL))
        return pace;
    if (!(token > 0))
        token = training_factor * reading_seconds(study);
    if (technique->learning_rates)
        pace.token = token;
    if (technique->fit)
        pace.read = learning_seconds(study, technique);
    pace.answer =
        answer_seconds(study, technique->learning_rates) * relative_cost(study, technique);
    for (size_t i = 0; i < trials->count; i++)
        if (trials->items[i].status == TRIAL_DONE &&
            !strcmp(trials->items[i].key.technique, technique->name))
            learn_pace(study, technique, &trials->items[i], &pace);
    return pace;
}

double pace_expected(const struct study *study, const struct setting *setting,
                     const struct pace *pace, size_t examples)
{
    double seconds = pace->answer * (double)study->evaluator.dev_count;
    if (setting->technique->fit)
        seconds += (double)examples * pace->read;
    else if (setting->technique->learning_rates)
        seconds += pace->token * training_work(study, setting, examples);
    return seconds;
}

double pace_trial(const struct study *study, const struct setting *setting, const struct pace *pace,
                  size_t examples)
{
    return caution * pace_expected(study, setting, pace, examples);
}

double pace_test(const struct study *study, const struct pace *pace)
{
    return caution * pace->answer * (double)study->evaluator.test_count;
}

double pace_missing(const struct study *study, const struct technique *technique,
                    const struct trials *trials)
{
    struct pace pace = pace_of(study, technique, trials);
    struct setting setting = setting_default(technique);
    size_t all = study->split.train_count, least = all;
    struct arena arena;
    arena_init(&arena, NULL);
    if (technique->learning_rates) {
        least = policy_first_rung(all);
        setting_set_number(&setting, "num_epochs", policy_first_passes(all), &arena);
    }
    double seconds = pace_trial(study, &setting, &pace, least) + pace_test(study, &pace);
    arena_release(&arena);
    return seconds;
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
        double rates = fmax((double)technique_rate_count(technique), 1);
        seconds += rates * pace.answer * (double)(split->dev_count + split->test_count);
        if (technique->fit)
            seconds += pace.read * (double)split->train_count;
        else if (technique->learning_rates)
            seconds += rates * pace.token * training_work(study, &setting, split->train_count);
    }
    return seconds;
}

double pace_round(double seconds)
{
    static const double round[] = {5,   10,  15,  20,  30,   45,   60,   90,   120,  180,  240,
                                   300, 420, 600, 900, 1200, 1800, 2700, 3600, 5400, 7200, 10800};
    enum { COUNT = sizeof round / sizeof *round };
    size_t i = 0;
    while (i < COUNT && round[i] < seconds)
        i++;
    return i < COUNT ? round[i] : 3600 * ceil(seconds / 3600);
}

void pace_budget(double seconds, struct text *out)
{
    double chosen = pace_round(seconds);
    if (chosen < 120)
        text_printf(out, "%.0fs", chosen);
    else if (chosen < 7200)
        text_printf(out, "%.0fm", chosen / 60);
    else
        text_printf(out, "%.0fh", chosen / 3600);
}
