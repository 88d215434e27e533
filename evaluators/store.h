/* SPDX-License-Identifier: Apache-2.0
 *
 * The study file: one SQLite database that holds a study, its trials, their predictions and costs.
 *
 * A study can be stopped at any moment, by Ctrl-C, kill -9 or a power cut, and the same command
 * again goes on. A trial that finished is never lost and none is counted twice: its record and all
 * its predictions are written in one transaction, and only by the process that claimed it.
 *
 * One `struct store` serves one thread at a time and never crosses a fork; several processes may
 * open one file. Strings in records that a function fills are copied into the caller's arena;
 * strings in records that a function takes are only read. A number that was not measured is
 * unknown (`struct measured`); a number that is not finite is refused, since a diverged trial is a
 * failed trial and not a value.
 *
 * Errors are FAILED for what the machine does (disk full, locked, read-only, corrupt) and USAGE for
 * a file that is no study or comes from a newer program; each sentence names the file.
 */
#ifndef EVALUATORS_STORE_H
#define EVALUATORS_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"
#include "evaluators/metrics.h"

/* ---- The file ------------------------------------------------------------------------------- */

struct store;

enum store_flags {
    STORE_EXISTING = 0,   /* the file must exist and hold a study file */
    STORE_CREATE = 1,     /* make it when it does not exist or is empty */
    STORE_READ = 2,       /* only read, also from a place that cannot be written */
    STORE_ONE_WRITER = 4, /* for file systems without shared memory; found out by itself on NFS,
                             Lustre and the like: rollback journal, and one process at a time */
};

/* Opens `path`. After an unclean end the file is checked first, and the trials of processes that
 * no longer run become `interrupted` (not with STORE_READ). `*store` is NULL on failure. */
enum status store_open(const char *path, int flags, struct store **store, struct error *err);
void store_close(struct store *store); /* NULL is fine */
const char *store_path(const struct store *store);

/* How long a call waits for another process that holds the file, before it fails; default 60 s. */
void store_set_patience(struct store *store, double seconds);

/* SQLite's integrity and foreign-key checks, and what this program promises of its own data (such
 * as: a done trial has as many predictions as it says). Appends one line per finding to `findings`;
 * OK when there is none, otherwise FAILED with their number in the sentence. */
enum status store_check(struct store *store, struct text *findings, struct error *err);

/* ---- Records -------------------------------------------------------------------------------- */

/* A number that may not have been measured. {0} is unknown. */
struct measured {
    bool known;
    double value; /* finite; 0 while unknown */
};

struct measured measured(double value); /* known, whatever the value is; the store refuses NAN */

/* Hashes are 64 lower-case hexadecimal digits. JSON texts must be valid JSON. */
struct study_record {
    const char *name;
    int64_t created_ms; /* since 1970; 0 in store_study_put = now */
    const char *model_name;
    const char *model_sha256;
    const char *model_facts; /* JSON */
    const char *data_path;
    const char *data_sha256;
    const char *test_path;   /* NULL when the test split is cut from the data */
    const char *test_sha256; /* NULL likewise */
    const char *constraints; /* JSON */
    uint64_t seed;
    const char *profile; /* JSON */
    const char *program_version;
    double spent_seconds; /* written by store_add_spent alone; ignored by store_study_put */
    bool done;
    const char *recommendation; /* JSON, or NULL while there is none */
};

/* Writes the one study row, new or again; the seconds spent stay. */
enum status store_study_put(struct store *store, const struct study_record *study,
                            struct error *err);

/* `*found` is false, and the record zero, while there is no study in the file. */
enum status store_study_get(struct store *store, struct arena *arena, struct study_record *study,
                            bool *found, struct error *err);

/* Adds to the time the study has used. `*total` (may be NULL) is the sum afterwards. */
enum status store_add_spent(struct store *store, double seconds, double *total, struct error *err);

/* What a trial is. No two trials of a file have the same key, so nothing is measured or counted
 * twice. */
struct trial_key {
    const char *technique;
    const char *setting; /* canonical JSON object: sorted keys, no spaces */
    int64_t examples;    /* training examples, >= 0 */
    uint64_t seed;
    const char *purpose; /* "rung" ... */
};

enum trial_status {
    TRIAL_PLANNED,
    TRIAL_RUNNING,
    TRIAL_DONE,
    TRIAL_FAILED,      /* tried, and gives no result; the reason says why */
    TRIAL_INTERRUPTED, /* begun; goes on from its checkpoint if it has one */
    TRIAL_ELIMINATED,  /* not run, since its technique lost before */
    TRIAL_REFUSED,     /* not run, since it cannot fit the constraints */
    TRIAL_STATUSES
};

const char *trial_status_name(enum trial_status status); /* "planned" ... */

/* Nothing more happens to it: done, failed, eliminated or refused. */
bool trial_is_settled(enum trial_status status);

struct trial_record {
    int64_t id; /* from 1, in the order of planning */
    struct trial_key key;
    enum trial_status status;
    const char *reason; /* why there is no result, or a note on it; "" when there is nothing to say
                           (NULL in trial_finish means the same) */

    /* Who runs or ran it; written by the store alone. */
    const char *host;
    int64_t pid;
    int64_t started_ms;   /* since 1970; 0 = never */
    int64_t heartbeat_ms; /* last sign of life */
    int64_t finished_ms;  /* 0 while not done */

    /* Results. */
    const char *metric_name; /* NULL while there is none */
    struct measured metric;  /* on the development split */
    struct measured low;     /* interval of `metric` */
    struct measured high;
    struct measured test_metric;
    struct measured nll; /* mean on the development split, nats for each token */
    const char
        *metrics; /* of the development split, all that suit the task: JSON object, or NULL */
    struct measured forgetting; /* rise of the model's loss on ordinary text, nats for each token */
    struct measured prequential_nll; /* mean on training batches before training on them, recent
                                        half, nats for each token */

    /* Costs. */
    struct measured trial_seconds; /* all of it, sum over resumed parts */
    struct measured train_seconds;
    struct measured tokens_per_second_train;
    struct measured tokens_per_second_forward;
    struct measured tokens_per_request;
    struct measured latency_ms;
    struct measured trainable_parameters;
    struct measured peak_memory_bytes;
    struct measured artifact_bytes;

    int64_t dev_predictions;  /* stored; filled in by trial_finish */
    int64_t test_predictions; /* stored; filled in by trial_finish and trial_test */
};

/* ---- Trials --------------------------------------------------------------------------------- */

/* Makes sure that the trial exists: writes it as `planned` when its key is new, otherwise leaves it
 * as it is. `*id` names it from now on. */
enum status trial_plan(struct store *store, const struct trial_key *key, int64_t *id,
                       struct error *err);

enum claim {
    CLAIM_OURS,   /* it is `running` now, and this process is to run it */
    CLAIM_OTHER,  /* a living process runs it */
    CLAIM_SETTLED /* done, failed, eliminated or refused: there is nothing to run */
};

/* Takes a trial that is planned, interrupted or left behind, atomically. Left behind means
 * `running` by a process of this machine that is gone (or of an earlier boot), or by one whose life
 * cannot be told (such as one on another machine) and that gave no sign of it for 60 s. */
enum status trial_claim(struct store *store, int64_t id, enum claim *claim, struct error *err);

/* A sign of life; call it between micro-batches, it writes at most every 10 s. FAILED when the
 * trial belongs to another process by now (this one slept too long): drop the work. */
enum status trial_heartbeat(struct store *store, int64_t id, struct error *err);

/* Ends a trial this process runs: writes the results and costs of `record` (its id says which
 * trial; key, status, owner, times and prediction counts are ignored) and all its predictions in
 * one transaction, and drops its checkpoint. `test` may be empty; then trial_test can add it later.
 * A record without `metric` is fine. FAILED, and nothing is written, when the
 * trial is not ours or a number is not finite. */
struct trial_predictions {
    const struct prediction *dev;
    size_t dev_count;
    const struct prediction *test;
    size_t test_count;
};

enum status trial_finish(struct store *store, const struct trial_record *record,
                         const struct trial_predictions *predictions, struct error *err);

/* Adds the test split to a done trial that has none, in one transaction. */
enum status trial_test(struct store *store, int64_t id, double test_metric,
                       const struct prediction *predictions, size_t count, struct error *err);

/* Settles a trial without a result: `failed` or `interrupted` for one this process runs, `failed`,
 * `eliminated` or `refused` for one that nobody runs, `planned` to try again what is failed,
 * eliminated or refused. A done trial never changes (FAILED). */
enum status trial_settle(struct store *store, int64_t id, enum trial_status status,
                         const char *reason, struct error *err);

/* All trials in the order of planning; `*records` lives in the arena. */
enum status store_trials(struct store *store, struct arena *arena, struct trial_record **records,
                         size_t *count, struct error *err);
enum status store_trial(struct store *store, int64_t id, struct arena *arena,
                        struct trial_record *record, struct error *err);

/* ---- What belongs to a trial ---------------------------------------------------------------- */

enum side { SIDE_DEV, SIDE_TEST };

/* The predictions of a done trial, by row of their example. `target` and `probabilities` are not
 * stored: they come back NULL. */
enum status trial_predictions_get(struct store *store, int64_t id, enum side side,
                                  struct arena *arena, struct prediction **predictions,
                                  size_t *count, struct error *err);

/* What stands behind the predictions of a side: the same for all trials. */
struct example_record {
    int64_t example; /* row in its data file, from 0, as in struct prediction */
    int64_t line;    /* where the row starts in the file, from 1 */
    const char *input;
    const char *target;
};

/* Adds examples of a side; those that are there stay as they are. */
enum status store_examples_put(struct store *store, enum side side,
                               const struct example_record *examples, size_t count,
                               struct error *err);

/* The examples of a side by `example`; none in a file of before they were kept. */
enum status store_examples_get(struct store *store, enum side side, struct arena *arena,
                               struct example_record **examples, size_t *count, struct error *err);

struct loss_row {
    int64_t step;
    int64_t examples_seen;
    int64_t tokens; /* target tokens so far */
    double loss;    /* of this batch before training on it, nats for each token */
    double rate;    /* learning rate */
};

/* Adds rows; a step that is there already is replaced, so a resumed trial may repeat some. */
enum status trial_loss_add(struct store *store, int64_t id, const struct loss_row *rows,
                           size_t count, struct error *err);
enum status trial_loss_get(struct store *store, int64_t id, struct arena *arena,
                           struct loss_row **rows, size_t *count, struct error *err);

/* The state of a trial this process runs, so that it can go on later; one is kept for each trial,
 * the newest. Loss rows after its step are dropped when the trial is claimed again. */
enum status trial_checkpoint_save(struct store *store, int64_t id, int64_t step, const void *bytes,
                                  size_t length, struct error *err);

/* `*bytes` (in the arena) is NULL when there is none. */
enum status trial_checkpoint_load(struct store *store, int64_t id, struct arena *arena,
                                  int64_t *step, const void **bytes, size_t *length,
                                  struct error *err);

/* What a trial learned, below 1 GB. Saving again replaces it. */
enum status trial_artifact_save(struct store *store, int64_t id, const void *bytes, size_t length,
                                struct error *err);
enum status trial_artifact_load(struct store *store, int64_t id, struct arena *arena,
                                const void **bytes, size_t *length, struct error *err);

/* ---- Log ------------------------------------------------------------------------------------ */

struct event {
    int64_t time_ms;  /* since 1970 */
    const char *kind; /* "open", "resume", "interrupted", "note" ... */
    const char *text;
};

enum status store_log(struct store *store, const char *kind, const char *text, struct error *err);
enum status store_events(struct store *store, struct arena *arena, struct event **events,
                         size_t *count, struct error *err);

#endif
