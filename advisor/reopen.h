/* SPDX-License-Identifier: Apache-2.0
 *
 * A study that was made before, opened again out of its file: for whoever runs its result.
 */
#ifndef ADVISOR_REOPEN_H
#define ADVISOR_REOPEN_H

#include "advisor/options.h"
#include "advisor/progress.h"
#include "advisor/study.h"
#include "techniques/setting.h"

struct reopened {
    struct options options; /* those the study was made with; a view, never released */
    struct study study;     /* open and locked */
    struct arena arena;
    struct study_record record;
    struct trial_record *trials;
    size_t trial_count;
};

/* Opens the study called `name` (a file, or a name in the user's store) with its data, its seed and
 * its way of reading. `options` has the model, the threads, and data_path where the data have moved
 * to. USAGE when there is no such study or its data are gone; otherwise the errors of study_open,
 * which refuses another model and data that have changed. */
enum status study_reopen(const char *name, const struct options *options, struct progress *progress,
                         struct reopened *reopened, struct error *err);
void reopened_close(struct reopened *reopened); /* safe on {0} and after a failure */

/* The result of one technique: what it takes to run it again. */
struct result {
    struct setting setting;
    const struct trial_record *trial;
    const void *artifact; /* NULL when nothing is trained */
    size_t artifact_length;
};

/* The best trial of `technique`, or of the one that the study recommends when that is NULL. USAGE
 * when there is none. Lives as long as `reopened`. */
enum status reopened_result(struct reopened *reopened, const struct technique *technique,
                            struct result *result, struct error *err);

#endif
