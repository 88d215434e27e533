/* SPDX-License-Identifier: Apache-2.0
 *
 * The memory a study may take, and how its trials keep to it.
 *
 * A trial runs in the first of these ways that fits: plainly; with layers that are run again on the
 * way back; with weights that also stay as the file has them. The results are the same bytes, only
 * the time differs. One that fits in no way is refused with the arithmetic.
 */
#ifndef ADVISOR_MEMORY_LIMIT_H
#define ADVISOR_MEMORY_LIMIT_H

#include "advisor/study.h"

/* What the program takes beside the weights and the work: its code, libraries and their buffers,
 * the tokenizer. Found as the difference between the resident set of trials and their peak. */
enum { PROGRAM_BYTES = 56 << 20 };

/* --max-memory, or else what this machine has left; not known where the system does not tell. */
struct measured memory_limit(const struct options *options);

/* The form in which to read the model so that answering fits, if in any. */
enum status memory_first_form(const struct study *study, enum weight_form *form, struct error *err);

/* Whether a trial would fit in some way; otherwise `*why` is a sentence in the study's arena. */
bool memory_fits(struct study *study, const struct setting *setting, size_t examples,
                 const char **why);

/* Makes the model and the engine ready to run a trial in the way that fits. FAILED when none does;
 * BAD_MODEL when the file of the model has changed. */
enum status memory_settle(struct study *study, const struct setting *setting, size_t examples,
                          struct error *err);

#endif
