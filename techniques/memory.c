/* SPDX-License-Identifier: Apache-2.0 */
#include "techniques/memory.h"

#include <math.h>

#include "model/few_rows.h"
#include "model/weight.h"
#include "techniques/trainer.h"

/* Blocks of the size of the parameters, beside their values, whatever the number of workers: the
 * sum of the gradients and the two moments of AdamW. Each worker has one more, its own gradient,
 * without what is added where the sum is. */
enum { TRAINER_BLOCKS = 3 };

/* What an arena holds at least: the adapted model has one, the trainer another. */
enum { LEAST_HELD = 256 * 1024 };

/* Rows whose logits exist at the same time (op_cross_entropy). */
enum { LOGIT_ROWS = 32 };

/* The largest micro-batch by means; that of a training is taken to be longer than the mean of all
 * by half an example, unless each one is alone. */
static struct micro_batch usual_micro_batch(const struct setting *setting, const struct workload *w,
                                            double prefix)
{
    double examples = fmax((double)w->examples, 1);
    double batch = fmin((double)trainer_batch(setting, (size_t)examples), examples);
    double each = w->input_tokens + fmax(w->answer_tokens - 1, 0);
    double count = trainer_micro_batches(batch, each, prefix);
    double together = count < batch ? batch / count + 0.5 : 1;
    return (struct micro_batch){.rows = prefix + together * each,
                                .scored = together * w->answer_tokens,
                                .seen = fmax(each * (prefix + each), prefix * prefix)};
}

/* Values that a recording pass keeps of each row of a layer: the scales of two norms, keys, values,
 * queries, attention, two sums, and the two sides of the feed-forward. */
static double layer_values(const struct model *m)
{
    double keys = m->n_head_kv * m->head_dim, queries = m->n_head * m->head_dim;
    return 2.0 * m->n_embd + 2 + 2 * keys + 2 * queries + 2.0 * m->n_ff;
}

/* Values of one portion of a weight (model/weight.h). */
static double portion(const struct tensor *w)
{
    return fmin(w->rows, WEIGHT_TILE) * w->cols;
}

/* Values of what exists for a moment on top of the activations: in a layer the weights of attention
 * with their gradients, or a portion of a packed weight and the rows it meets; behind the layers
 * the logits. */
static double layer_moment(const struct workload *w, const struct micro_batch *largest)
{
    const struct model *m = w->model;
    double moment = 2.0 * m->n_head / m->n_head_kv * largest->seen;
    for (int s = 0; s < N_SITES; s++) {
        const struct tensor *linear = &m->layers[0].linear[s];
        double packed = w->form == WEIGHTS_PACKED ? portion(linear) : 0;
        double all = (double)few_rows_room((int)ceil(largest->rows), linear->cols);
        double scored = (double)few_rows_room((int)ceil(largest->scored), linear->cols);
        moment = fmax(moment, packed + fmax(all, scored));
    }
    return moment;
}

static double head_moment(const struct workload *w, const struct micro_batch *largest)
{
    double packed = w->form == WEIGHTS_PACKED ? portion(&w->model->output) : 0;
    double rows = fmin(ceil(largest->scored), LOGIT_ROWS);
    double turned = (double)few_rows_room((int)rows, w->model->n_embd);
    return fmin(largest->scored, LOGIT_ROWS) * w->model->n_vocab + turned + packed;
}

/* Values that live in the arena of one worker: the activations, those of one layer and what is
 * between the layers when they are run again on the way back, and what exists for a moment. */
static double arena_values(const struct workload *w, const struct micro_batch *largest)
{
    const struct model *m = w->model;
    double rows = largest->rows, scored = largest->scored, each = layer_values(m);
    double keys = m->n_head_kv * m->head_dim, queries = m->n_head * m->head_dim;
    double last = rows * (1 + 2 * keys + 2 * queries) + scored * each;
    double shared = rows * (m->n_embd + m->n_ff); /* struct common of model/transformer.c */
    double around = rows * (m->n_embd + m->n_rotated) + 2 * scored * m->n_embd + shared;
    double in_layer = layer_moment(w, largest), behind = head_moment(w, largest);
    double between = (m->n_layer - 1.0) * rows;
    if (w->recompute) /* the logits are gone before a layer is run again */
        return between * m->n_embd + fmax(fmax(rows * each, last) + in_layer, behind) + around;
    return between * each + last + fmax(in_layer, behind) + around;
}

/* The gradients of the activations, of which a backward pass holds only a few at a time. */
static double gradient_values(const struct model *m, const struct micro_batch *largest)
{
    double keys = m->n_head_kv * m->head_dim;
    return (largest->rows + largest->scored) * (3.0 * m->n_ff + 4.0 * m->n_embd + 2 * keys);
}

double memory_of_arena(const struct workload *workload, const struct micro_batch *largest)
{
    return arena_values(workload, largest) * sizeof(real);
}

double memory_of_training(const struct workload *workload, size_t trainable_parameters,
                          size_t added_in_place, const struct micro_batch *largest)
{
    double threads = workload->threads > 1 ? workload->threads : 1;
    double block = (double)trainable_parameters * sizeof(real);
    double own = block - (double)added_in_place * sizeof(real);
    double held =
        fmax(block, LEAST_HELD) + fmax(TRAINER_BLOCKS * block + threads * own, LEAST_HELD);
    double values = arena_values(workload, largest) + gradient_values(workload->model, largest);
    return held + threads * values * sizeof(real);
}

void memory_predict_training(const struct setting *setting, const struct workload *workload,
                             struct cost *cost)
{
    struct micro_batch largest = usual_micro_batch(setting, workload, cost->shared_tokens);
    cost->memory_bytes += (size_t)memory_of_training(workload, cost->trainable_parameters,
                                                     cost->added_in_place, &largest);
}
