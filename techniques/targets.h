/* SPDX-License-Identifier: Apache-2.0
 *
 * target_modules: which projections a technique attaches to, and its parameters there.
 */
#ifndef TECHNIQUES_TARGETS_H
#define TECHNIQUES_TARGETS_H

#include <stdbool.h>

#include "base/error.h"
#include "model/transformer.h"

struct adapted;

/* Reads "q_proj,v_proj" or "all-linear". USAGE when a name is unknown or none is given: the
 * sentence names `technique`, the value and the names there are. */
enum status targets_parse(const char *technique, const char *text, bool sites[N_SITES],
                          struct error *err);

/* Declares a technique's parameters for one projection and returns the index of the first.
 * `prefix` is the start of their names, "blk.0.attn_q"; `weight` is (out, in). */
typedef int target_declare(struct adapted *adapted, const char *prefix, enum site site,
                           const struct tensor *weight);

/* Calls `declare` for the chosen projections of every layer. Returns what it returned for each,
 * (n_layer * N_SITES) in the adapted model's arena; -1: left alone. */
int *targets_declare(struct adapted *adapted, const bool sites[N_SITES], target_declare *declare);

/* The index in such an array of the projection that is weight `number` of the model; -1 when that
 * weight is no projection. */
int targets_index(const struct model *model, int number);

/* The same for the projection whose bias is weight `number`. */
int targets_bias_index(const struct model *model, int number);

#endif
