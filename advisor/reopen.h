/* SPDX-License-Identifier: Apache-2.0
 *
 * A study that was made, opened again to use what it found: its data and model are read as they
 * were then, and nothing is written.
 */
#ifndef ADVISOR_REOPEN_H
#define ADVISOR_REOPEN_H

#include "advisor/study.h"
#include "base/text.h"

struct reopened {
    struct arena arena;     /* of `options` */
    struct options options; /* those of the command, with the study's in place of its own */
    struct store *store;    /* for reading */
    struct study_record record;
    struct study study; /* data, split and model; without a file of its own */
};

/* Opens the file of the study `name`: a path when it has a '/' or '.', otherwise a name in the
 * user's store. USAGE when there is no such study. Close it also after an error. */
enum status study_reopen(struct reopened *reopened, const char *name, const struct options *options,
                         struct error *err);

/* Reads its data and model. The options of the command say where the model is and, with data_path
 * and test_path, where the data are by now. BAD_DATA or BAD_MODEL when these are not those of the
 * study. */
enum status study_reopen_load(struct reopened *reopened, struct progress *progress,
                              struct error *err);
void study_reopen_close(struct reopened *reopened);

/* Appends how the data of a study are read, as a JSON object: what the study file keeps for this.
 */
void study_reading(const struct options *options, struct text *out);

/* The technique that the study recommends, or NULL when its file does not say. */
const char *study_recommended(const struct reopened *reopened);

#endif
