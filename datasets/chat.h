/* SPDX-License-Identifier: Apache-2.0
 *
 * Conversations as OpenAI ("messages") and ShareGPT ("conversations") write them; see
 * datasets/dataset.h for what becomes the input and the target.
 */
#ifndef DATASETS_CHAT_H
#define DATASETS_CHAT_H

#include <jansson.h>
#include <stdbool.h>

#include "base/error.h"
#include "base/text.h"
#include "datasets/dataset.h"

/* The chat shape of a record, or SHAPE_COLUMNS when it has none. */
enum data_shape chat_shape(const json_t *record);

/* Appends the input and the target of a record of that shape. With `inputs_only` an answer at the
 * end is left out, and none is needed. Status BAD_DATA with a sentence that has no place in front;
 * nothing useful is in the texts then. */
enum status chat_read(const json_t *record, enum data_shape shape, bool inputs_only,
                      struct text *input, struct text *target, struct error *err);

#endif
