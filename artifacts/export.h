/* SPDX-License-Identifier: Apache-2.0
 *
 * Making an export: write it, read it back, let it answer, compare, and only then give it its name.
 */
#ifndef ARTIFACTS_EXPORT_H
#define ARTIFACTS_EXPORT_H

#include "artifacts/format.h"
#include "artifacts/manifest.h"
#include "artifacts/proof.h"
#include "base/clock.h"
#include "base/error.h"
#include "techniques/adapted.h"

struct export_request {
    const struct export_format *format;
    struct adapted *adapted;         /* with what was learned; it is settled */
    const struct material *material; /* what it learned from */
    struct kept kept;                /* of the material, what its prompt is made of */
    enum weight_type type;
    struct manifest facts; /* model, data and prompt are filled in; metric, value, low, high, test,
                              measured_on, tested_on and advisor are the caller's */
    struct proof replay;
    const char *folder; /* or file, of a format that is one */
    const char *task;   /* then its name among those in the file */
    bool replace;       /* an earlier export of that name */
    double patience;    /* seconds to wait for another process that adds to the same file */
    int threads;
    const struct deadline *deadline; /* or NULL */

    /* Called between writing and proving, with the folder as it is then; for tests. May be NULL. */
    void (*written)(void *context, const char *folder);
    void *context;
};

/* Writes FOLDER. FAILED, and nothing is left, when the export does not answer like the original;
 * `agreement` is set as far as it came to that. */
enum status export_make(const struct export_request *request, struct agreement *agreement,
                        struct error *err);

/* The manifest as text; release with free(). FAILED when it cannot be written. */
enum status export_manifest(const struct export_request *request, const struct folder_file *files,
                            size_t file_count, char **text, struct error *err);

#endif
