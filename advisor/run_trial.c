/* SPDX-License-Identifier: Apache-2.0 */
#include "advisor/run_trial.h"

#include <math.h>
#include <string.h>

#include "advisor/allocate.h"
#include "advisor/memory_limit.h"
#include "advisor/pace.h"

enum { LOSS_ROWS = 64 };

/* Steps are logged in groups, since each writing waits for the disk. */
static const double log_seconds = 2;

struct running {
    struct study *study;
    const struct setting *setting;
    struct trial_key key;
    int64_t id;
    struct loss_row rows[LOSS_ROWS]; /* not written yet */
    size_t row_count;
    double written;          /* when rows were written last */
    enum status file_status; /* other than OK: the study file failed, not the trial */
};

static enum status write_rows(struct running *r, struct error *err)
{
    size_t count = r->row_count;
    r->row_count = 0;
    r->written = clock_seconds();
    return count ? trial_loss_add(r->study->store, r->id, r->rows, count, err) : OK;
}

static enum status on_step(void *context, const struct training_step *step, struct error *err)
{
    struct running *r = context;
    r->rows[r->row_count++] = (struct loss_row){.step = (int64_t)step->step,
                                                .examples_seen = (int64_t)step->examples,
                                                .tokens = (int64_t)step->tokens,
                                                .loss = step->loss,
                                                .rate = step->rate};
    if (r->row_count == LOSS_ROWS || clock_seconds() - r->written > log_seconds)
        r->file_status = write_rows(r, err);
    return r->file_status;
}

static enum status on_progress(void *context, const char *stage, size_t done, size_t total,
                               struct error *err)
{
    struct running *r = context;
    struct study *study = r->study;
    progress_update(study->progress, r->key.technique, stage, (double)done, (double)total,
                    study_spent(study), study->options->budget_seconds);
    r->file_status = study_save_time(study, false, err);
    if (r->file_status == OK)
        r->file_status = trial_heartbeat(study->store, r->id, err);
    return r->file_status;
}

/* What tells the trial from the technique's usual one: its learning rate, passes and seed. */
static void describe_trial(const struct study *study, const struct running *r, struct text *out)
{
    const struct setting *setting = r->setting;
    const struct setting usual = setting_default(setting->technique);
    if (setting->technique->learning_rates) {
        double rate = setting_number(setting, "learning_rate");
        double normal = setting_number(&usual, "learning_rate");
        if (fabs(rate - normal) > 1e-9 * normal)
            text_printf(out, ", rate %g", rate);
        int epochs = setting_integer(setting, "num_epochs");
        if (epochs != setting_integer(&usual, "num_epochs"))
            text_printf(out, ", %d pass%s", epochs, epochs == 1 ? "" : "es");
    }
    if (study_replicate(study, r->key.seed))
        text_add(out, ", another seed");
}

static void note_result(const struct running *r, const struct trial_record *record)
{
    struct study *study = r->study;
    const struct trial_key *key = &r->key;
    struct text how = {0};
    describe_trial(study, r, &how);
    if (record->metric.known)
        progress_note(study->progress, "%s: %lld examples%s, %s %.3f [%.3f, %.3f], %.1f s",
                      key->technique, (long long)key->examples, text_string(&how),
                      record->metric_name, record->metric.value, record->low.value,
                      record->high.value, record->trial_seconds.value);
    else if (study->options->verbose && record->prequential_nll.known)
        progress_note(study->progress, "%s: %s with %lld examples, loss %.4f, %.1f s: %s",
                      key->technique, key->purpose, (long long)key->examples,
                      record->prequential_nll.value, record->trial_seconds.value, key->setting);
    text_release(&how);
}

static enum status store_outcome(struct running *r, struct trial_outcome *outcome,
                                 struct error *err)
{
    struct study *study = r->study;
    struct trial_predictions predictions = {.dev = outcome->predictions,
                                            .dev_count = outcome->count};
    enum status status = write_rows(r, err);
    outcome->record.id = r->id;
    if (status == OK && outcome->artifact && outcome->record.metric.known)
        status = trial_artifact_save(study->store, r->id, outcome->artifact,
                                     outcome->artifact_length, err);
    if (status == OK)
        status = trial_finish(study->store, &outcome->record, &predictions, err);
    if (status == OK)
        note_result(r, &outcome->record);
    return status == OK ? study_save_time(study, true, err) : status;
}

/* What becomes of a trial that ended with `status`: the study goes on where only the trial is at
 * fault. That the data do not fit the model was found out before, so it is the technique that makes
 * them too long. */
static enum status settle(struct running *r, enum status status, struct error *err)
{
    bool at_fault = status == USAGE || status == BAD_DATA || status == FAILED;
    at_fault = at_fault && r->file_status == OK;
    struct error second = {0};
    enum status settled = trial_settle(
        r->study->store, r->id, at_fault ? TRIAL_FAILED : TRIAL_INTERRUPTED, err->text, &second);
    if (settled != OK && r->file_status == OK && status != INTERRUPTED) {
        *err = second;
        return settled;
    }
    if (at_fault)
        progress_note(r->study->progress, "%s: passed over: %s", r->key.technique, err->text);
    return at_fault || status == OUT_OF_TIME ? OK : status;
}

/* Runs a trial that is ours. */
static enum status run_claimed(struct running *r, const struct setting *setting, struct error *err)
{
    struct study *study = r->study;
    struct trial_hooks hooks = {.context = r, .progress = on_progress, .step = on_step};
    struct trial_outcome outcome;
    struct arena arena;
    arena_init(&arena, NULL);
    study->worked = true;
    r->written = clock_seconds();
    enum status status = memory_settle(study, setting, (size_t)r->key.examples, err);
    if (status == OK)
        status = evaluate_trial(&study->evaluator, setting, (size_t)r->key.examples, r->key.seed,
                                &hooks, &study->deadline, &arena, &outcome, err);
    status = status == OK ? store_outcome(r, &outcome, err) : settle(r, status, err);
    arena_release(&arena);
    return status;
}

static bool same_key(const struct trial_key *a, const struct trial_key *b)
{
    return !strcmp(a->technique, b->technique) && !strcmp(a->setting, b->setting) &&
           a->examples == b->examples && a->seed == b->seed && !strcmp(a->purpose, b->purpose);
}

/* Copies the trial of `key` to `record` if it is settled. */
static enum status look_up(struct study *study, const struct trial_key *key,
                           struct trial_record *record, struct error *err)
{
    struct trials trials;
    enum status status = trials_read(study, &study->arena, &trials, err);
    *record = (struct trial_record){.status = TRIAL_PLANNED};
    for (size_t i = 0; i < trials.count && status == OK; i++)
        if (same_key(&trials.items[i].key, key) && trial_is_settled(trials.items[i].status))
            *record = trials.items[i];
    return status;
}

static enum status claim_and_run(struct running *r, const struct setting *setting,
                                 struct trial_record *record, struct error *err)
{
    struct study *study = r->study;
    enum claim claim = CLAIM_SETTLED;
    enum status status = trial_plan(study->store, &r->key, &r->id, err);
    if (status == OK)
        status = trial_claim(study->store, r->id, &claim, err);
    if (status == OK && claim == CLAIM_OTHER)
        status = error_set(err, FAILED,
                           "%s: another advisor is running this study; wait for it, or "
                           "choose another --study",
                           study->path);
    if (status == OK && claim == CLAIM_OURS)
        status = run_claimed(r, setting, err);
    if (status == OK)
        status = store_trial(study->store, r->id, &study->arena, record, err);
    return status;
}

enum status run_trial(struct study *study, const struct setting *setting, size_t examples,
                      uint64_t seed, const char *purpose, bool may_run, struct trial_record *record,
                      struct error *err)
{
    struct text json = {0};
    setting_json(setting, &json);
    struct running running = {.study = study,
                              .setting = setting,
                              .key = {.technique = setting->technique->name,
                                      .setting = text_string(&json),
                                      .examples = (int64_t)examples,
                                      .seed = seed,
                                      .purpose = purpose}};
    enum status status = look_up(study, &running.key, record, err);
    if (status == OK)
        status = deadline_check(&(struct deadline){.signal = study->deadline.signal}, err);
    if (status == OK && may_run && record->status == TRIAL_PLANNED)
        status = claim_and_run(&running, setting, record, err);
    text_release(&json);
    return status;
}
