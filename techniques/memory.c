/* SPDX-License-Identifier: Apache-2.0 */
#include "techniques/memory.h"

#include <math.h>

#include "techniques/trainer.h"

/* Blocks of the size of the parameters, beside their values, whatever the number of workers: the
 * sum of the gradients and the two moments of AdamW. Each worker has one more, its own gradient. */
enum { TRAINER_BLOCKS = 3 };

/* What an arena holds at least: the adapted model has one, the trainer another. */
enum { LEAST_HELD = 256 * 1024 };

/* Rows whose logits exist at the same time (op_cross_entropy). */
enum { LOGIT_ROWS = 32 };

/* The largest micro-batch, in rows. A cut falls behind the example that reaches an even share, so
 * that half an example is too much on average. */
static void micro_batch(const struct setting *setting, const struct workload *w, double prefix,
                        double *rows, double *scored)
{
    double examples = fmax((double)w->examples, 1);
    double batch = fmin((double)trainer_batch(setting, (size_t)examples), examples);
    double each = w->input_tokens + fmax(w->answer_tokens - 1, 0);
    double room = fmax(MICRO_ROWS - prefix, MICRO_ROWS / 4.0);
    double count = fmin(fmax(ceil(batch * each / room), MICRO_BATCHES), batch);
    double together = fmin(batch / count + 0.5, batch);
    *rows = prefix + together * each;
    *scored = together * w->answer_tokens;
}

/* Values that a recording pass keeps of each row of a layer: the scales of two norms, keys, values,
 * queries, attention, two sums, and the two sides of the feed-forward. */
static double layer_values(const struct model *m)
{
    double keys = m->n_head_kv * m->head_dim, queries = m->n_head * m->head_dim;
    return 2.0 * m->n_embd + 2 + 2 * keys + 2 * queries + 2.0 * m->n_ff;
}

/* Values that live in the workspace of one worker: the activations, those of one layer and what is
 * between the layers when they are run again on the way back; some logits; and the gradients of the
 * activations, of which a backward pass holds only a few at a time. */
static double workspace_values(const struct workload *w, double rows, double scored)
{
    const struct model *m = w->model;
    double keys = m->n_head_kv * m->head_dim, queries = m->n_head * m->head_dim;
    double last = rows * (m->n_embd + 1 + 2 * keys + 2 * queries) + scored * layer_values(m);
    double layers = w->recompute
                        ? (m->n_layer - 1.0) * rows * m->n_embd + fmax(rows * layer_values(m), last)
                        : (m->n_layer - 1.0) * rows * layer_values(m) + last;
    double shared = rows * (m->n_embd + m->n_ff); /* the places of struct common */
    double around = rows * (m->n_embd + m->n_rotated) + 2 * scored * m->n_embd + shared;
    double logits = fmin(scored, LOGIT_ROWS) * m->n_vocab;
    double gradients = (rows + scored) * (3.0 * m->n_ff + 4.0 * m->n_embd + 2 * keys);
    if (w->recompute) /* the logits are gone before a layer is run again */
        return layers + fmax(logits - rows * layer_values(m), 0) + around + gradients;
    return layers + around + logits + gradients;
}

void memory_predict_training(const struct setting *setting, const struct workload *workload,
                             struct cost *cost)
{
    double rows, scored, threads = workload->threads > 1 ? workload->threads : 1;
    micro_batch(setting, workload, cost->shared_tokens, &rows, &scored);
    double block = (double)cost->trainable_parameters * sizeof(real);
    double held = fmax(block, LEAST_HELD) + fmax((TRAINER_BLOCKS + threads) * block, LEAST_HELD);
    double workspace = workspace_values(workload, rows, scored) * sizeof(real);
    cost->memory_bytes += (size_t)(held + threads * workspace);
}
