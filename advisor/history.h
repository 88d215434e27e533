/* SPDX-License-Identifier: Apache-2.0
 *
 * Finished studies of this user as evidence for new questions.
 *
 * Read from the folder of studies (advisor/study_file.h), nothing is changed. A study is similar
 * when its task is the same, and its examples, its labels and the parameters of its model differ by
 * at most the factors below, where both sides know them.
 */
#ifndef ADVISOR_HISTORY_H
#define ADVISOR_HISTORY_H

#include "advisor/rules.h"

enum {
    HISTORY_STUDIES = 32, /* the newest ones are looked at */
    HISTORY_EXAMPLES = 8, /* times as many, or as few */
    HISTORY_LABELS = 3,
    HISTORY_PARAMETERS = 4
};

/* The best finished trial of a technique in a study. */
struct past_result {
    const char *technique;
    double metric;
    int64_t examples;
};

struct past_study {
    const char *name, *model_name, *data_path, *metric;
    const char *data_sha256;
    const char *task;
    double examples, labels, parameters; /* 0: not known */
    bool same_data;                      /* these very data, by their hash */
    const struct past_result *results;
    size_t result_count;
    struct measured operations_per_second; /* of this machine in training, told by its trials */
};

struct history {
    const struct past_study *studies; /* similar ones, the newest first */
    size_t count;
    size_t looked_at;
    struct measured throughput; /* operations a second; of the newest study that tells */
};

/* Reads what is similar to `facts`; `data_sha256` (NULL: none) names the data. A file that cannot
 * be read is passed over. Everything lives in `arena`. */
void history_read(const struct facts *facts, const char *data_sha256, struct arena *arena,
                  struct history *history);

/* What rules and similar studies say together about one technique. */
struct belief {
    double points, sd;       /* of accuracy, on the scale of the priors */
    double probability_best; /* among the techniques that are not excluded */
    size_t studies;          /* that measured it */
};

/* Updates the priors of `judgements` by the results: in each study that measured two techniques or
 * more besides baselines, every result counts as one normal observation of the technique's points,
 * up to a constant of the study, with a standard deviation of 8 points between tasks (3 for the
 * same data). `history` may be NULL. `beliefs` (judgements->count). */
void history_believe(const struct history *history, const struct judgements *judgements,
                     struct belief *beliefs);

#endif
