/* SPDX-License-Identifier: Apache-2.0
 *
 * How much memory training takes, before it starts.
 */
#ifndef TECHNIQUES_MEMORY_H
#define TECHNIQUES_MEMORY_H

#include "techniques/technique.h"

/* The end of the `predict` of every technique that the common trainer trains: adds to
 * cost->memory_bytes what training holds at once, as engine_peak counts it. Reads the trainable
 * parameters and the shared tokens of `cost`. Exact in the blocks as large as the parameters;
 * lengths of texts enter as means, so a task whose lengths vary much takes more, and the few
 * activations that a technique adds to the model's own are left out. */
void memory_predict_training(const struct setting *setting, const struct workload *workload,
                             struct cost *cost);

/* The largest micro-batch of a training. */
struct micro_batch {
    double rows;   /* prefix included */
    double scored; /* answer tokens */
    double seen;   /* rows times rows seen of the example with the most of both */
};

/* The same once the micro-batches are known. Of `workload` counts the model, the threads, and how
 * it runs. */
double memory_of_training(const struct workload *workload, size_t trainable_parameters,
                          size_t added_in_place, const struct micro_batch *largest);

/* Bytes of that which are in the arena of one workspace. */
double memory_of_arena(const struct workload *workload, const struct micro_batch *largest);

#endif
