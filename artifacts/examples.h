/* SPDX-License-Identifier: Apache-2.0
 *
 * examples.jsonl: the training examples that a prompt is made of, one object a line with "input",
 * "target" and, where there is one, "rationale". With them the technique makes its prompts again;
 * without, it needs nothing of the data but its labels.
 */
#ifndef ARTIFACTS_EXAMPLES_H
#define ARTIFACTS_EXAMPLES_H

#include "artifacts/folder.h"
#include "base/error.h"
#include "datasets/dataset.h"
#include "techniques/technique.h"

#define EXAMPLES_FILE "examples.jsonl"

/* Writes the rows of `data` that are kept, in their order. */
enum status examples_write(const struct dataset *data, const struct kept *kept,
                           struct folder *folder, struct error *err);

/* Reads them back, with the task and the labels of `like`; the caller ends with dataset_release. */
enum status examples_read(const char *folder, const struct dataset *like, struct dataset *data,
                          struct error *err);

#endif
