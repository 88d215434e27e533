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

/* Creates the file when there is none (with --fresh in place of the old one) and writes what the
 * study is. */
enum status study_file_write(struct study *study, struct error *err);

/* Whether an earlier run came to its end with the same budget and techniques, so that there is
 * nothing to run; and notes that this one did. */
bool study_file_finished(struct study *study);
enum status study_file_finish(struct study *study, struct error *err);

/* Appends the folder of the user's studies, with a slash at its end:
 * ${XDG_DATA_HOME:-~/.local/share}/advisor/studies/. USAGE when there is none. */
enum status study_folder(struct text *out, struct error *err);

void study_file_close(struct study *study); /* gives the lock back */

#endif
