/* SPDX-License-Identifier: Apache-2.0
 *
 * How data files are read, as JSON: for whoever reads the same data again later.
 *
 * An object with those of the options input, label, rationale, task, delimiter, label_names (pairs)
 * and on_bad_row that were given; {} for none.
 */
#ifndef ADVISOR_READING_H
#define ADVISOR_READING_H

#include "base/error.h"
#include "base/memory.h"
#include "datasets/dataset.h"

/* Canonical: sorted keys, no spaces; in `arena`. */
const char *reading_json(const struct dataset_options *reading, struct arena *arena);

/* Reads that back; strings live in `arena`. FAILED, without naming a file, when it is not what
 * reading_json writes. */
enum status reading_parse(const char *json, struct arena *arena, struct dataset_options *reading,
                          struct error *err);

#endif
