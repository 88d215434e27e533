/* SPDX-License-Identifier: Apache-2.0
 *
 * The common trainer: every technique with parameters is trained by it, on equal terms.
 *
 * Batches of `batch_size` examples in an order that depends on the seed alone; each batch is cut
 * into micro-batches by its tokens, which run in parallel and whose gradients are added in a fixed
 * order, so the result is the same to the bit with any number of threads. The loss is the mean over
 * the answers' tokens of a batch. AdamW (Loshchilov and Hutter 2019, algorithm 2), linear warm-up,
 * then linear or cosine decay to 0 or a constant rate, gradient norm clipped.
 */
#ifndef TECHNIQUES_TRAINER_H
#define TECHNIQUES_TRAINER_H

#include "base/clock.h"
#include "techniques/adapted.h"

/* learning_rate, num_epochs, batch_size, lr_scheduler_type, warmup_ratio, weight_decay,
 * max_grad_norm: names of transformers. */
const struct hyperparameter *trainer_hyperparameters(void);

/* One step, as it is logged. */
struct training_step {
    size_t step;      /* from 1 */
    size_t examples;  /* seen so far, repetitions counted */
    size_t tokens;    /* answer tokens so far */
    double loss;      /* of this batch before training on it, nats per answer token */
    double rate;      /* learning rate */
    double grad_norm; /* before clipping */
};

/* Who wants to know. */
struct training_hooks {
    void *context;
    /* After every step; may be NULL. A status other than OK ends the training with it. */
    enum status (*step)(void *context, const struct training_step *step, size_t total_steps,
                        struct error *err);
};

struct training_report {
    size_t steps;  /* completed */
    size_t tokens; /* rows run forward and backward, prefix included */
    double seconds;
    double prequential_nll; /* mean loss per answer token, before training on it, over the recent
                               half of the first epoch */
    double final_loss;      /* mean over the last quarter of the steps */
};

/* A batch is shared out among micro-batches of about MICRO_ROWS rows, a multiple of MICRO_BATCHES
 * so that two threads have as much work (pack_share). */
enum { MICRO_ROWS = 320, MICRO_BATCHES = 2 };

/* What a setting amounts to with so many examples. Without num_epochs and batch_size it is about 64
 * steps: of as many examples as four passes need for that, but 4 to 16, and then 2 to 10 passes;
 * when one of them is given, the other makes about 64 steps within these limits.
 * Steps are what small data need: 64 examples of trec, LoRA at 3e-3, gave an accuracy of 0.69 with
 * 64 steps of 4, and 0.585 with 40 steps of 16, which cost more (200 test examples). Four passes
 * rather than two: tests/parity/README.md, "Passes". */
int trainer_epochs(const struct setting *setting, size_t examples);
size_t trainer_batch(const struct setting *setting, size_t examples);

/* How many micro-batches that makes of `batch` examples of so many tokens behind the prefix, about.
 */
double trainer_micro_batches(double batch, double example_tokens, double prefix_tokens);

/* Rows that the training will run forward and backward, about: those of the examples (request and
 * answer, mean), and of the shared prefix once for each micro-batch. */
double trainer_tokens(const struct setting *setting, size_t examples, double example_tokens,
                      double prefix_tokens);

/* Trains adapted->parameters on the material. FAILED when the loss is not finite (the sentence says
 * at which step), BAD_DATA for examples that do not fit, OUT_OF_TIME and INTERRUPTED. `hooks` and
 * `deadline` may be NULL. */
enum status trainer_run(struct adapted *adapted, const struct material *material,
                        const struct training_hooks *hooks, const struct deadline *deadline,
                        struct training_report *report, struct error *err);

#endif
