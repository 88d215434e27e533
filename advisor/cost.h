/* SPDX-License-Identifier: Apache-2.0
 *
 * What a setting costs, by arithmetic alone: from the shape of the model, the size of the data, and
 * what the technique itself predicts.
 *
 * Operations are floating-point operations. A weight costs two for each token that meets it
 * forward, and two more backward, since the gradient of the activations is needed also where the
 * weights are frozen (Kaplan et al. 2020, "Scaling laws for neural language models", section 2.1);
 * attention adds 4 * features of all query heads * keys seen for each token and layer. The output
 * head meets scored positions only. Training reads the shared start of the prompt once for each
 * micro-batch and not once for each example.
 */
#ifndef ADVISOR_COST_H
#define ADVISOR_COST_H

#include "base/memory.h"
#include "evaluators/store.h"
#include "techniques/technique.h"

/* A way in which a trial can run. The results are the same bytes, only memory and time differ. */
struct way {
    bool recompute;
    enum weight_form form;
    const char *words; /* behind the bytes it takes */
};

/* The fastest way first; NULL behind the last. */
const struct way *way_at(size_t index);

/* Where a run takes place. */
struct site_facts {
    int threads;                /* workers, each with a workspace of its own; >= 1 */
    double weight_bits;         /* of a frozen weight in memory */
    struct measured throughput; /* operations a second, if known */
};

/* One run of a setting: learning once from workload->examples, then answering. */
struct estimate {
    struct cost cost;           /* of one example or request; training_tokens with its share of
                                   the prompt; memory_bytes with all but the weights */
    double epochs;              /* passes over the examples; 0 when nothing is learned */
    double training_operations; /* of the whole run with one learning rate */
    double training_tokens;     /* likewise */
    double memory_bytes;        /* peak, weights included */
    double memory_least;        /* what no trainer that keeps two moments can do without: the
                                   weights, and 16 bytes for each trained value (value, gradient,
                                   two moments in single precision) */
    struct measured training_seconds, request_seconds; /* known with a throughput */
};

struct estimate estimate_cost(const struct setting *setting, const struct workload *workload,
                              const struct site_facts *site);

/* Model tokens of a lifetime: training, where a pass counts three, and requests. */
double estimate_lifetime(const struct estimate *estimate, double requests);

#endif
