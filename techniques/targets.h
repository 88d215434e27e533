/* SPDX-License-Identifier: Apache-2.0
 *
 * target_modules: which projections a technique attaches to.
 */
#ifndef TECHNIQUES_TARGETS_H
#define TECHNIQUES_TARGETS_H

#include <stdbool.h>

#include "base/error.h"
#include "model/transformer.h"

/* Reads "q_proj,v_proj" or "all-linear". USAGE when a name is unknown or none is given: the
 * sentence names `technique`, the value and the names there are. */
enum status targets_parse(const char *technique, const char *text, bool sites[N_SITES],
                          struct error *err);

#endif
