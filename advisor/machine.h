/* SPDX-License-Identifier: Apache-2.0
 *
 * What this machine has, and how fast a model runs on it.
 */
#ifndef ADVISOR_MACHINE_H
#define ADVISOR_MACHINE_H

#include "base/clock.h"
#include "datasets/dataset.h"
#include "evaluators/store.h"
#include "model/engine.h"

struct machine {
    int cores;                              /* that this process may use */
    struct measured memory_bytes;           /* installed, or the limit of the container */
    struct measured memory_available_bytes; /* that programs could still take */
};

struct machine machine_describe(int cores);

/* The speed at texts of one length. */
struct speed {
    int tokens;               /* of a text */
    struct measured forward;  /* tokens a second, reading requests and answering them */
    struct measured training; /* tokens a second, forward and backward with frozen weights */
};

enum { SPEEDS = 2 };

/* Runs the model for a few seconds on texts of two lengths made from those of `data`, through the
 * code that trials use. What the time until `deadline` does not reach stays unknown, and that is no
 * error. INTERRUPTED, and errors of the model. */
enum status machine_probe(struct engine *engine, const struct dataset *data,
                          const struct deadline *deadline, struct speed speeds[SPEEDS],
                          struct error *err);

#endif
