/* SPDX-License-Identifier: Apache-2.0
 *
 * From an export back to a customised model that answers: what `advisor predict` uses, and what
 * proves an export before it is called done. Nothing but the folder and the base model is read.
 */
#ifndef ARTIFACTS_RECALL_H
#define ARTIFACTS_RECALL_H

#include "artifacts/format.h"
#include "artifacts/manifest.h"
#include "base/error.h"
#include "model/engine.h"
#include "techniques/adapted.h"

struct recalled {
    const char *folder; /* as given; not owned */
    struct manifest manifest;
    const struct export_format *format;
    struct arena arena;         /* of the setting and of what stands in for the data */
    struct technique technique; /* what is attached may be missing, because it is folded in */
    struct setting setting;
    struct dataset data; /* task, labels, columns; examples with answers alone */
    struct dataset kept; /* the examples of the prompt; empty when it is made of none */

    struct model *model;   /* the export's own, or NULL */
    struct engine *engine; /* of that model, or NULL */
    struct adapted *adapted;
};

/* Reads the manifest and checks that the files are those it lists. BAD_DATA: no export, damaged, or
 * of a technique or format this program does not know. After an error nothing has to be released.
 */
enum status recall_open(struct recalled *recalled, const char *folder, struct error *err);

/* Makes the customised model. `base` runs the model that the export belongs to, whose SHA-256 must
 * be that of the manifest (BAD_MODEL otherwise), and must outlive the result; a format that holds
 * the whole model loads it instead, with `threads` threads, and ignores `base`. */
enum status recall_model(struct recalled *recalled, struct engine *base, int threads,
                         struct error *err);

void recall_close(struct recalled *recalled); /* safe on {0} and twice */

#endif
