/* SPDX-License-Identifier: Apache-2.0
 *
 * Reverse-mode automatic differentiation over a tape of operators.
 *
 * An operator computes its result at once. While the tape records and an operand needs a gradient,
 * it also appends a node that knows how to carry the gradient of the result back to its operands.
 * Whatever needs no gradient records none: below the first trainable parameter a tape stays empty,
 * and a frozen weight never gets a gradient.
 *
 * A tape belongs to one thread. Values live in its arena until the caller rewinds it; gradients of
 * intermediate results are taken from a pool and go back to it as soon as they are used up, so that
 * a backward pass holds only a few of them at a time.
 */
#ifndef MODEL_TAPE_H
#define MODEL_TAPE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/memory.h"
#include "model/real.h"

struct tensor;

/* Room that several results share in turn: each is computed anew when its values are asked for
 * while another one is there. For results that cost little beside the products that read them. */
struct place {
    real *data;
    const struct tensor *holder; /* whose values are there now; NULL: nobody's */
};

/* How to compute the values of a result again; operators extend it with their operands. The
 * operands' own values must stay where they are. */
struct again {
    struct place *place;
    void (*compute)(const struct again *again, struct tensor *out);
};

/* Whose turn it is to add to a gradient that the tapes of several tasks share (base/turns.h). */
struct shared_gradient {
    struct turns *turns;
    size_t section, task; /* task 0 finds no gradient there yet, and writes it */
};

/* A matrix of (rows, cols), row-major without gaps. Vectors have one row. */
struct tensor {
    real *data;
    real *grad; /* dLoss/ddata, or NULL. A parameter's is given by its owner and is added to */
    int rows, cols;
    bool needs_grad;
    bool parameter; /* `grad` is not from the pool */
    bool kept;      /* an operator reads its values on the way back, so they must not change */
    const struct packed *packed; /* a weight's values as the file has them (model/weight.h), and no
                                    `data`; NULL: they are in `data` */
    const struct again *again;   /* its values share a place; NULL: they stay where they are */
    /* Of a parameter that a pass reads once, as the weight of an op_linear: its gradient is added
     * in turn. NULL: at any time. */
    const struct shared_gradient *shared;
};

static inline size_t tensor_size(const struct tensor *t)
{
    return (size_t)t->rows * (size_t)t->cols;
}

struct tape;

/* One recorded operator; operators extend it with their operands (as first member). */
struct node {
    struct node *previous;
    struct tensor *out;
    void (*backward)(struct tape *tape, struct node *node); /* out->grad is set */
};

struct spare; /* a gradient buffer waiting in the pool */

struct tape {
    struct arena *arena; /* values and nodes; rewound by the caller */
    struct arena grads;  /* gradient buffers, reused through `spares` */
    struct spare *spares;
    struct node *last;
    bool recording;
};

void tape_init(struct tape *tape, struct arena *arena, struct meter *meter);
void tape_release(struct tape *tape);

/* Forgets all nodes and starts recording or not. The arena is the caller's to rewind. */
void tape_start(struct tape *tape, bool recording);

/* A new result of (rows, cols), contents undefined. */
struct tensor *tape_tensor(struct tape *tape, int rows, int cols);

/* A tensor over existing data that needs no gradient. */
struct tensor *tape_constant(struct tape *tape, real *data, int rows, int cols);

/* A place with room for `size` values, empty. */
struct place *tape_place(struct tape *tape, size_t size);

/* A new result of (rows, cols) in again->place, which must have room; computes it. `again` must
 * live as long as the result. */
struct tensor *tape_brief(struct tape *tape, int rows, int cols, const struct again *again);

/* The values of a result, computed anew where they share a place and are not there. Good until the
 * values of another result in that place are asked for. */
real *tape_values(struct tensor *t);

/* Appends a node of `bytes` bytes (at least sizeof(struct node)) whose result is `out`, and marks
 * `out` as needing a gradient. Returns NULL when nothing has to be recorded, that is when the tape
 * does not record or `needed` (some operand needs a gradient) is false. */
void *tape_record(struct tape *tape, size_t bytes, struct tensor *out, bool needed,
                  void (*backward)(struct tape *, struct node *));

/* The gradient buffer of `t`, for adding to: zero when nothing was added yet. */
real *tape_grad(struct tape *tape, struct tensor *t);

/* The same for a matrix product: `*beta` is 0 when the buffer is fresh and undefined, else 1. */
real *tape_grad_beta(struct tape *tape, struct tensor *t, real *beta);

/* Adds `values` (t->rows, t->cols) to the gradient of `t`. */
void tape_add_grad(struct tape *tape, struct tensor *t, const real *values);

/* Around what adds to the gradient of a parameter with `shared`; with any other they do nothing.
 * False: a task gave up, and nothing is to be added. */
bool tape_turn(struct tensor *t);
void tape_turn_done(struct tensor *t);

/* For a result that shares its data with operand `t`: hands the gradient of `out` over to it. */
void tape_pass_grad(struct tape *tape, struct tensor *out, struct tensor *t);

/* Fills in all gradients of `loss`, a (1, 1) result. */
void tape_backward(struct tape *tape, struct tensor *loss);

/* Walks back from the last node to the one after `stop`, which becomes the last one. For operators
 * that record a part anew; the result of that part has its gradient already. */
void tape_backward_to(struct tape *tape, struct node *stop);

#endif
