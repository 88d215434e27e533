/* SPDX-License-Identifier: Apache-2.0 */
#include "advisor/giving_up.h"

#include <string.h>

#include "advisor/allocate.h"
#include "evaluators/elimination.h"

static const double alpha = 0.1;

/* Learning rates that a technique is judged on at least; settings of one technique differ as much
 * as techniques do. */
enum { LEAST_RATES = 3 };

/* A trial that takes part, and what it answered. */
struct entrant {
    size_t arm; /* number of its technique in the study */
    const struct trial_record *trial;
    const double *losses;
    double rate; /* learning rate */
};

struct field {
    struct entrant *items;
    size_t count, examples;
    struct arena scratch;
};

static size_t arm_of(const struct study *study, const struct trial_record *trial)
{
    const struct technique *technique;
    size_t i = 0;
    while ((technique = study_technique(study, i)) &&
           (!technique->learning_rates || strcmp(technique->name, trial->key.technique) != 0))
        i++;
    return i;
}

static enum status read_losses(struct study *study, struct field *field, struct entrant *entrant,
                               struct error *err)
{
    struct prediction *predictions;
    size_t count;
    enum status status = trial_predictions_get(study->store, entrant->trial->id, SIDE_DEV,
                                               &field->scratch, &predictions, &count, err);
    if (status != OK)
        return status;
    double *losses = arena_alloc(&field->scratch, count * sizeof *losses + 1);
    for (size_t i = 0; i < count; i++)
        losses[i] = !predictions[i].correct;
    entrant->losses = losses;
    field->examples = count < field->examples ? count : field->examples;
    return OK;
}

static double rate_of(struct study *study, size_t arm, const struct trial_record *trial)
{
    struct setting setting;
    const struct technique *technique = study_technique(study, arm);
    if (setting_parse(technique, trial->key.setting, &setting, &study->arena, NULL) != OK)
        return 0;
    return setting_number(&setting, "learning_rate");
}

static enum status gather(struct study *study, const struct trials *trials, struct field *field,
                          struct error *err)
{
    enum status status = OK;
    field->examples = SIZE_MAX;
    field->items = arena_alloc(&field->scratch, trials->count * sizeof *field->items + 1);
    for (size_t i = 0; status == OK && i < trials->count; i++) {
        const struct trial_record *t = &trials->items[i];
        size_t arm = arm_of(study, t);
        if (t->status != TRIAL_DONE || !t->metric.known || !study_technique(study, arm))
            continue;
        field->items[field->count] =
            (struct entrant){.arm = arm, .trial = t, .rate = rate_of(study, arm, t)};
        status = read_losses(study, field, &field->items[field->count++], err);
    }
    return status;
}

/* The largest size of an arm; 0 when it has no trial. `others`: of all but this arm. */
static int64_t largest(const struct field *field, size_t arm, bool others)
{
    int64_t size = 0;
    for (size_t i = 0; i < field->count; i++) {
        int64_t examples = field->items[i].trial->key.examples;
        if ((field->items[i].arm == arm) != others && examples > size)
            size = examples;
    }
    return size;
}

/* Whether the arm was tried with three learning rates at this size, or with all it has. */
static bool fairly_tried(const struct study *study, const struct field *field, size_t arm,
                         int64_t examples)
{
    size_t tried = 0, known = 1;
    for (const char *at = study_technique(study, arm)->learning_rates; *at; at++)
        known += *at == ',';
    for (size_t i = 0; i < field->count; i++) {
        const struct entrant *e = &field->items[i];
        size_t first = 0;
        if (e->arm != arm || e->trial->key.examples != examples)
            continue;
        while (field->items[first].arm != arm ||
               field->items[first].trial->key.examples != examples ||
               field->items[first].rate < e->rate || field->items[first].rate > e->rate)
            first++;
        tried += first == i;
    }
    return tried >= (known < LEAST_RATES ? known : LEAST_RATES);
}

/* Comparisons that could be made: each arm once at each size that it was tried at. */
static size_t comparisons(const struct field *field)
{
    size_t count = 0;
    for (size_t i = 0; i < field->count; i++) {
        size_t first = 0;
        while (field->items[first].arm != field->items[i].arm ||
               field->items[first].trial->key.examples != field->items[i].trial->key.examples)
            first++;
        count += first == i;
    }
    return count;
}

static const struct trial_record *best_at(const struct field *field, int64_t examples, size_t arm,
                                          bool others)
{
    const struct trial_record *best = NULL;
    for (size_t i = 0; i < field->count; i++) {
        const struct trial_record *t = field->items[i].trial;
        if ((field->items[i].arm == arm) != others && t->key.examples == examples &&
            (!best || t->metric.value > best->metric.value))
            best = t;
    }
    return best;
}

/* Whether the arm has lost with so many examples. */
static bool has_lost(struct field *field, size_t arm, int64_t examples)
{
    struct race_entry *entries = arena_alloc(&field->scratch, field->count * sizeof *entries + 1);
    struct race race = {.entries = entries, .examples = field->examples, .clip = 1};
    for (size_t i = 0; i < field->count; i++)
        if (field->items[i].trial->key.examples == examples)
            entries[race.count++] =
                (struct race_entry){field->items[i].arm, field->items[i].losses};
    return elimination_enough(race_evidence(&race, arm), comparisons(field), alpha);
}

static const char *note_of(struct study *study, struct field *field, size_t arm)
{
    int64_t size = largest(field, arm, false);
    if (!size || size >= largest(field, arm, true) || !fairly_tried(study, field, arm, size) ||
        !has_lost(field, arm, size))
        return NULL;
    const struct trial_record *own = best_at(field, size, arm, false);
    const struct trial_record *leader = best_at(field, size, arm, true);
    return arena_printf(&study->arena,
                        "behind %s with %lld examples each, %.3f against %.3f on the same %zu "
                        "development examples",
                        leader->key.technique, (long long)size, own->metric.value,
                        leader->metric.value, field->examples);
}

enum status giving_up_notes(struct study *study, const struct trials *trials, const char **notes,
                            struct error *err)
{
    struct field field = {0};
    for (size_t i = 0; study_technique(study, i); i++)
        notes[i] = NULL;
    if (!study->evaluator.metric->proportion)
        return OK;
    arena_init(&field.scratch, NULL);
    enum status status = gather(study, trials, &field, err);
    for (size_t i = 0; status == OK && study_technique(study, i); i++)
        notes[i] = note_of(study, &field, i);
    arena_release(&field.scratch);
    return status;
}
