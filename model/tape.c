/* SPDX-License-Identifier: Apache-2.0 */
#include "model/tape.h"

#include <string.h>

#include "base/turns.h"

struct spare {
    struct spare *next;
    size_t size; /* elements */
};

void tape_init(struct tape *tape, struct arena *arena, struct meter *meter)
{
    *tape = (struct tape){.arena = arena};
    arena_init(&tape->grads, meter);
}

void tape_release(struct tape *tape)
{
    arena_release(&tape->grads);
    *tape = (struct tape){0};
}

void tape_start(struct tape *tape, bool recording)
{
    arena_consolidate(&tape->grads);
    tape->spares = NULL;
    tape->last = NULL;
    tape->recording = recording;
}

struct tensor *tape_constant(struct tape *tape, real *data, int rows, int cols)
{
    struct tensor *t = arena_alloc(tape->arena, sizeof *t);
    *t = (struct tensor){.data = data, .rows = rows, .cols = cols};
    return t;
}

struct tensor *tape_tensor(struct tape *tape, int rows, int cols)
{
    size_t size = (size_t)rows * (size_t)cols;
    return tape_constant(tape, arena_alloc(tape->arena, size * sizeof(real)), rows, cols);
}

struct place *tape_place(struct tape *tape, size_t size)
{
    struct place *place = arena_alloc(tape->arena, sizeof *place);
    *place = (struct place){.data = arena_alloc(tape->arena, size * sizeof(real))};
    return place;
}

struct tensor *tape_brief(struct tape *tape, int rows, int cols, const struct again *again)
{
    struct tensor *t = tape_constant(tape, again->place->data, rows, cols);
    t->again = again;
    again->compute(again, t);
    again->place->holder = t;
    return t;
}

real *tape_values(struct tensor *t)
{
    if (t->again && t->again->place->holder != t) {
        t->again->compute(t->again, t);
        t->again->place->holder = t;
    }
    return t->data;
}

void *tape_record(struct tape *tape, size_t bytes, struct tensor *out, bool needed,
                  void (*backward)(struct tape *, struct node *))
{
    if (!tape->recording || !needed)
        return NULL;
    struct node *node = arena_zalloc(tape->arena, bytes);
    *node = (struct node){.previous = tape->last, .out = out, .backward = backward};
    tape->last = node;
    out->needs_grad = true;
    return node;
}

/* A buffer of `size` elements: a spare one of exactly that size (the sizes of a transformer repeat
 * in every layer), or a new one. */
static real *acquire(struct tape *tape, size_t size)
{
    size_t least = (sizeof(struct spare) + sizeof(real) - 1) / sizeof(real);
    if (size < least)
        size = least;
    for (struct spare **link = &tape->spares; *link; link = &(*link)->next) {
        struct spare *spare = *link;
        if (spare->size == size) {
            *link = spare->next;
            return (real *)spare;
        }
    }
    return arena_alloc(&tape->grads, size * sizeof(real));
}

static void give_back(struct tape *tape, struct tensor *t)
{
    if (!t->grad || t->parameter)
        return;
    size_t size = tensor_size(t);
    size_t least = (sizeof(struct spare) + sizeof(real) - 1) / sizeof(real);
    struct spare *spare = (struct spare *)(void *)t->grad;
    *spare = (struct spare){.next = tape->spares, .size = size < least ? least : size};
    tape->spares = spare;
    t->grad = NULL;
}

real *tape_grad_beta(struct tape *tape, struct tensor *t, real *beta)
{
    *beta = !t->grad || (t->shared && t->shared->task == 0) ? 0 : 1;
    if (!t->grad)
        t->grad = acquire(tape, tensor_size(t));
    return t->grad;
}

real *tape_grad(struct tape *tape, struct tensor *t)
{
    real beta;
    real *grad = tape_grad_beta(tape, t, &beta);
    if (beta == 0)
        memset(grad, 0, tensor_size(t) * sizeof *grad);
    return grad;
}

void tape_add_grad(struct tape *tape, struct tensor *t, const real *values)
{
    real beta, *grad = tape_grad_beta(tape, t, &beta);
    size_t size = tensor_size(t);
    if (beta == 0)
        memcpy(grad, values, size * sizeof *grad);
    else
        for (size_t i = 0; i < size; i++)
            grad[i] += values[i];
}

bool tape_turn(struct tensor *t)
{
    return !t->shared || turns_wait(t->shared->turns, t->shared->section, t->shared->task);
}

void tape_turn_done(struct tensor *t)
{
    if (t->shared)
        turns_pass(t->shared->turns, t->shared->section);
}

void tape_pass_grad(struct tape *tape, struct tensor *out, struct tensor *t)
{
    if (!t->needs_grad)
        return;
    if (t->grad || t->parameter) {
        tape_add_grad(tape, t, out->grad);
        return;
    }
    t->grad = out->grad;
    out->grad = NULL;
}

void tape_backward_to(struct tape *tape, struct node *stop)
{
    for (struct node *node = tape->last; node != stop; node = node->previous) {
        if (node->out->grad)
            node->backward(tape, node);
        give_back(tape, node->out);
    }
    tape->last = stop;
}

void tape_backward(struct tape *tape, struct tensor *loss)
{
    if (!loss->needs_grad)
        return;
    *tape_grad(tape, loss) = 1;
    tape_backward_to(tape, NULL);
}
