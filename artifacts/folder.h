/* SPDX-License-Identifier: Apache-2.0
 *
 * A folder of files that appears whole or not at all.
 *
 * Files are written into a new folder beside the target, whose name nobody else uses, and reach the
 * disk before it takes the target's name. Whatever goes wrong before, folder_discard removes all of
 * it and the target is as it was. Names of files come from the program, never from data.
 *
 * An existing target is an error unless `replace` is set, and then it must be an earlier export: a
 * folder that holds nothing but the files its manifest lists. It is exchanged for the new one in
 * one step.
 */
#ifndef ARTIFACTS_FOLDER_H
#define ARTIFACTS_FOLDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/hash.h"

#define MANIFEST_FILE "manifest.json"

enum { FOLDER_FILES = 8 };

struct folder_file {
    const char *name; /* static */
    uint64_t bytes;
    char sha256[HASH_HEX]; /* of what was to be written */
};

struct folder {
    char *target;
    char *path; /* where the files are now; NULL before folder_begin and after the end */
    bool replace;
    int descriptor; /* of `path` */
    struct folder_file files[FOLDER_FILES];
    size_t file_count;

    int open_file; /* of the last of `files`, or -1 */
    struct hasher hasher;
};

/* Whether the target may be written, before any work is done for it: USAGE when it is there and may
 * not be replaced, or is no folder. */
enum status folder_check(const char *target, bool replace, struct error *err);

/* Errors of folder_check; FAILED: it cannot be made. After an error nothing is left and nothing has
 * to be discarded. */
enum status folder_begin(struct folder *folder, const char *target, bool replace,
                         struct error *err);

/* One file after the other: open, any number of writes, close, which brings it to the disk. */
enum status folder_open_file(struct folder *folder, const char *name, struct error *err);
enum status folder_write(void *folder, const void *bytes, size_t length, struct error *err);
enum status folder_close_file(struct folder *folder, struct error *err);

/* A whole file. */
enum status folder_add(struct folder *folder, const char *name, const void *bytes, size_t length,
                       struct error *err);

/* Gives the folder the target's name. On failure everything is discarded. */
enum status folder_finish(struct folder *folder, struct error *err);

void folder_discard(struct folder *folder); /* safe on {0}, twice and after folder_finish */

/* "FOLDER/NAME"; release with free(). */
char *folder_join(const char *folder, const char *name);

#endif
