/* SPDX-License-Identifier: Apache-2.0
 *
 * The file of a study: where it lives, whose it is, and that one process works on it at a time.
 */
#ifndef ADVISOR_STUDY_FILE_H
#define ADVISOR_STUDY_FILE_H

#include "advisor/study.h"

/* Finds the study's place (--study, or the user's store), locks it, and opens the file when there
 * is one, unless --fresh says otherwise. The sizes and the speed it holds go into `study`. Nothing
 * is created but folders and the lock. USAGE for the file of another study, or of no study; FAILED
 * when the place cannot be written or another process works on the study. */
enum status study_file_open(struct study *study, struct error *err);

/* Finds the study's place and reads the file when there is one, without a lock: for a look that
 * changes nothing. Creates nothing. */
enum status study_file_look(struct study *study, struct error *err);

/* Creates the file when there is none (with --fresh in place of the old one) and writes what the
 * study is. */
enum status study_file_write(struct study *study, struct error *err);

/* Whether an earlier run came to its end with the same budget and techniques, so that there is
 * nothing to run; and notes that this one did. */
bool study_file_finished(struct study *study);
enum status study_file_finish(struct study *study, struct error *err);

/* Keeps the report of the study (`json`, see reports/json.c) and the examples behind its answers in
 * the file, so that `advisor report` needs neither data nor model. */
enum status study_file_remember(struct study *study, const char *json, struct error *err);

/* Appends the file of a study as a user names it: a path when it has a '/' or '.', otherwise a name
 * in the user's store. USAGE when there is no such store. */
enum status study_file_named(const char *given, struct text *path, struct error *err);

/* Appends the folder of the user's store, with a '/' at its end. */
enum status study_file_folder(struct text *out, struct error *err);

void study_file_close(struct study *study); /* gives the lock back */

#endif
