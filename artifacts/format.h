/* SPDX-License-Identifier: Apache-2.0
 *
 * The contract of an export format, and the table of those there are.
 *
 * A format is one file and one row in format.c: it writes what a technique learned into a folder
 * and reads it back. Prompt, labels and everything else that does not depend on the format are in
 * the manifest, which is common, and so is the proof that the export answers like the original.
 */
#ifndef ARTIFACTS_FORMAT_H
#define ARTIFACTS_FORMAT_H

#include <stdbool.h>

#include "artifacts/folder.h"
#include "base/error.h"
#include "techniques/adapted.h"

/* How the weights of a whole model are written. */
enum weight_type { WEIGHTS_F16, WEIGHTS_F32 };

struct export_format {
    const char *name;    /* "peft" */
    const char *summary; /* one line: what reads it */
    bool whole_model;    /* it holds the model, with the parameters folded in */
    bool one_file;       /* it is a file of many tasks by name, no folder, written and read by
                            artifacts/task_table.h; `write` and `read` are missing */

    /* NULL when it can hold what a technique learns in this setting, else why not: a phrase that
     * goes on "NAME cannot hold it: ...". `kept` is what its prompt is made of; NULL while that is
     * not known. */
    const char *(*refuses)(const struct setting *setting, const struct kept *kept);

    /* Writes the files, all but the manifest. The parameters are settled (technique.h). */
    enum status (*write)(const struct adapted *adapted, enum weight_type type,
                         struct folder *folder, struct error *err);

    /* Fills the parameters of a recalled model from the files, and checks whatever else they say
     * against it. BAD_DATA, or BAD_MODEL for a damaged file. */
    enum status (*read)(const char *folder, struct adapted *adapted, struct error *err);
};

/* The formats in turn; NULL when `index` is past the last. */
const struct export_format *export_format_at(size_t index);
const struct export_format *export_format_find(const char *name); /* or NULL */

/* The first format of the table that can hold it. The last one holds everything. */
const struct export_format *export_format_for(const struct setting *setting,
                                              const struct kept *kept);

/* ---- The formats; for the table ------------------------------------------------------------- */

extern const struct export_format export_peft, export_gguf, export_merged_gguf, export_prompt,
    export_prompt_table, export_adapter;

/* Names of the files, for those who look at them from outside. */
#define ADAPTER_GGUF_FILE "adapter.gguf"
#define MODEL_GGUF_FILE   "model.gguf"

/* ---- What formats share --------------------------------------------------------------------- */

/* The values of a parameter as float32, (rows * cols); and back. */
void parameter_floats(const struct adapted *adapted, int index, float *out);
void parameter_take(struct adapted *adapted, int index, const float *values);

#endif
