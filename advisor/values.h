/* SPDX-License-Identifier: Apache-2.0
 *
 * Values of options: text to numbers, with units and ranges.
 *
 * Each function takes the whole of `value` or none of it. On failure the status is USAGE and the
 * sentence starts with `name`, the option, and says what is expected.
 */
#ifndef ADVISOR_VALUES_H
#define ADVISOR_VALUES_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* "600", "30s", "10m", "1h30m", "1.5h", "50ms"; a number without unit is seconds. */
enum status read_duration(const char *name, const char *value, double *seconds, struct error *err);

/* "512M", "4G", "4GiB" in steps of 1024; "4GB" in steps of 1000; without unit bytes. */
enum status read_size(const char *name, const char *value, double *bytes, struct error *err);

/* A whole number: "1000", "10k", "1.5M". */
enum status read_count(const char *name, const char *value, double *count, struct error *err);

/* "0.90", "90%" or "90": 0.9. A number above 1 is in per cent. */
enum status read_share(const char *name, const char *value, double *share, struct error *err);

/* A whole number from `low` to `high`, digits only. */
enum status read_whole(const char *name, const char *value, int64_t low, int64_t high,
                       int64_t *number, struct error *err);

/* A number from `low` to `high`. */
enum status read_real(const char *name, const char *value, double low, double high, double *number,
                      struct error *err);

/* The candidate most like `word` when it is close enough to be what was meant, else NULL: a few
 * letters wrong, missing or swapped, or one a part of the other. */
const char *nearest(const char *word, const char *const *candidates, size_t count);

#endif
