/* SPDX-License-Identifier: Apache-2.0
 *
 * A model customised by one technique in one setting: what it reads before each request, what was
 * attached to it, and the parameters it learned. The model itself is shared and never changes.
 */
#ifndef TECHNIQUES_ADAPTED_H
#define TECHNIQUES_ADAPTED_H

#include "base/clock.h"
#include "model/engine.h"
#include "model/tokenizer.h"
#include "techniques/technique.h"

/* A named matrix among the parameters. */
struct parameter {
    const char *name; /* "blk.0.attn_q.lora_a" */
    int rows, cols;
    size_t offset; /* of its first value in the block */
    bool once;     /* a pass reads it once, as the weight of an op_linear: the trainer adds up its
                      gradient where the sum is, rather than in a block for each thread */
};

/* All trainable values in one block, so that the optimiser, clipping and saving are one loop. */
struct parameters {
    real *values; /* (count); NULL when nothing is trained */
    size_t count;
    struct parameter *items;
    int n_items;
};

struct adapted {
    struct engine *engine; /* not owned */
    const struct technique *technique;
    struct setting setting;
    const struct dataset *data; /* for the task and the label table; not owned */
    struct arena arena;         /* of everything below, counted by the engine's meter */

    struct tokens prefix;      /* start of every prompt; ids below 0 are virtual tokens */
    int past_rows;             /* keys and values that `attachment->past` puts before everything */
    struct label_trie *labels; /* how the labels spell; NULL when the answer is free text */
    int longest_answer;        /* tokens at which a free answer is cut */
    double *prior; /* (labels) natural logarithms of what the prompt alone prefers; NULL: not
                      calibrated, or not measured yet */

    /* The same technique with further prompts: answers are the mean of all distributions, or the
     * most frequent text. Owned. */
    struct adapted **members;
    int member_count;

    struct parameters parameters;
    size_t trained; /* values that training changes: parameters.count before adapted_settle */
    bool settled;   /* it is ready for use and cannot be trained any more */
    const struct attachment *attachment; /* NULL: the bare model */
    void *self;                          /* the technique's own state */

    struct arena cache_arena;   /* of prefix_cache */
    struct cache *prefix_cache; /* keys and values of the prefix; NULL until asked for */
};

/* Makes the customised model, untrained: asks the technique for its prompt and its parameters.
 * `setting` is copied. `*adapted` is NULL after an error. */
enum status adapted_create(struct adapted **adapted, struct engine *engine,
                           const struct setting *setting, const struct material *material,
                           struct error *err);
void adapted_release(struct adapted *adapted); /* NULL is fine */

/* For techniques, inside prompt: adds a member with another setting of the same technique. */
enum status adapted_add_member(struct adapted *adapted, const struct setting *setting,
                               const struct material *material, struct error *err);

/* For techniques, inside attach: declares a parameter and returns its index; after the last one
 * adapted_allocate makes the block, all zero. adapted_parameter gives one parameter's values. */
int adapted_declare(struct adapted *adapted, int rows, int cols, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void adapted_allocate(struct adapted *adapted);
real *adapted_parameter(const struct adapted *adapted, int index);

/* The parameters as tensors for one worker: values shared, gradients in `grads` (count), or not
 * needed when `grads` is NULL. Allocated in `arena`. */
struct tensor *adapted_views(const struct adapted *adapted, real *grads, struct arena *arena);

/* A pass over `layout` with everything the technique attached. */
struct pass adapted_pass(const struct adapted *adapted, struct tape *tape,
                         const struct layout *layout, struct tensor *parameters);

/* Computes prefix_cache unless it is there. Training drops it. */
enum status adapted_warm(struct adapted *adapted, struct error *err);
void adapted_cool(struct adapted *adapted);

/* Ends the training: parameters that only served it are replaced by what they amount to. Answers
 * are the same to the bit. Saving does it, so that a second call does nothing. */
void adapted_settle(struct adapted *adapted);

/* Whether what was learned can be folded into the weights of the model. */
bool adapted_can_merge(const struct adapted *adapted);

/* Folds what was learned into weight `number` of the model (model_weight), whose values are in
 * `values`, (rows, cols) as in the model. False: this weight stays as it is. A model with all its
 * weights merged answers, without anything attached, as this one does, up to rounding. */
bool adapted_merge(const struct adapted *adapted, int number, real *values);

/* ---- Answers -------------------------------------------------------------------------------- */

/* What the customised model answers to one example. */
struct outcome {
    int label;          /* index in the label table; -1 when the answer is free text or no label */
    bool scored;        /* `probability` and `nll` are set */
    double probability; /* of the answer given */
    double nll;         /* of the true answer, nats; of one of many labels see score.h */
    float *probabilities;          /* (labels), sum 1; NULL when the answer is free text */
    const char *text;              /* free text, UTF-8; NULL for a label */
    int request_tokens;            /* new tokens read for this request, shared prefix excluded */
    int answer_tokens;             /* tokens generated */
    const struct outcome *members; /* (member_count + 1) what each prompt alone would have answered,
                                      adapted's own first; NULL when there is only one */
};

/* Answers `count` examples; the arrays and texts of the outcomes live in `arena`. The same examples
 * give the same answers with any number of threads. Errors: BAD_DATA for an example that does not
 * fit the context, and what the deadline says. */
enum status adapted_answer(struct adapted *adapted, const struct example *const *examples,
                           size_t count, struct outcome *outcomes, struct arena *arena,
                           const struct deadline *deadline, struct error *err);

/* ---- Saving --------------------------------------------------------------------------------- */

/* The parameters, settled, as bytes in `arena`, together with their shapes, the technique and the
 * setting; and back into an adapted model made with the same technique and setting (those of the
 * trainer apart). Loading anything else is FAILED and changes nothing. */
void adapted_save(struct adapted *adapted, struct arena *arena, const void **bytes, size_t *length);
enum status adapted_load(struct adapted *adapted, const void *bytes, size_t length,
                         struct error *err);

#endif
