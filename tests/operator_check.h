/* SPDX-License-Identifier: Apache-2.0
 *
 * One checker for every operator: its result against a plain version, and the gradient of every
 * operand against finite differences of the plain version, for every choice of operands that need a
 * gradient, whatever else reads them.
 */
#ifndef TESTS_OPERATOR_CHECK_H
#define TESTS_OPERATOR_CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "model/operators.h"
#include "model/tape.h"
#include "tests/support.h"

enum { MOST_OPERANDS = 5, PROBLEM_BYTES = 200 };

/* What an operator gets besides its operands; each reads the members it knows. */
struct extra {
    const struct layout *layout;
    const double *frequencies;
    int layer, head_dim, rotated;
    enum rope_pairs pairs;
    double number; /* a scale or an epsilon */
    const int32_t *ids;
    const int *rows;
    int count;
    const real *weights, *offset;
};

struct operator
{
    const char *name;
    struct tensor *(*run)(struct tape * tape, struct tensor * *x, const struct extra *extra);
    void (*plain)(struct tensor * *x, const struct extra *extra, struct tensor *out);
    bool in_place; /* the result takes the memory of operand 0 */
    bool is_loss;  /* the result is (1, 1) and nothing follows it */
};

/* `rows` 0: the operand is left out. `same` n > 0: it is the tensor of operand n - 1. */
struct operand {
    int rows, cols, same;
};

struct operator_case {
    const struct operator* op;
    const char *name;
    struct operand operands[MOST_OPERANDS];
    int rows, cols; /* of the result */
    struct extra extra;
};

/* Who else has a hand in the gradient of an operand. */
enum company {
    ALONE,        /* nobody */
    OWNED,        /* it is a parameter whose owner already has a gradient */
    READ_EARLIER, /* another node reads it before the operator does */
    READ_LATER,   /* another node reads it after the operator does */
    N_COMPANIES
};

/* The numbers a case is checked with; arrays are (rows, cols) of operand or result. */
struct numbers {
    const struct operator_case *c;
    struct arena arena;
    struct tensor x[MOST_OPERANDS];   /* values */
    struct tensor *as[MOST_OPERANDS]; /* as the operator gets them */
    real *slope[MOST_OPERANDS];       /* numeric gradient of `weights` times the result */
    real *side[MOST_OPERANDS];        /* gradient that the company of an operand contributes */
    struct tensor out;                /* result of the plain version */
    real *weights;                    /* of the result in the loss */
};

/* One run of the operator. */
struct run {
    struct arena arena;
    struct tape tape;
    struct tensor x[MOST_OPERANDS];
    struct tensor *as[MOST_OPERANDS];
    struct tensor *out;
    char problem[PROBLEM_BYTES];
};

/* sum(weights * x) as an operator, to make a loss of any result. */
struct dot {
    struct node node;
    struct tensor *x;
    const real *weights;
};

static inline void dot_backward(struct tape *tape, struct node *node)
{
    struct dot *n = (struct dot *)node;
    real *grad = tape_grad(tape, n->x);
    for (size_t i = 0; i < tensor_size(n->x); i++)
        grad[i] += *node->out->grad * n->weights[i];
}

static inline struct tensor *dot(struct tape *tape, struct tensor *x, const real *weights)
{
    struct tensor *out = tape_tensor(tape, 1, 1);
    *out->data = 0;
    for (size_t i = 0; i < tensor_size(x); i++)
        *out->data += weights[i] * x->data[i];
    struct dot *n = tape_record(tape, sizeof *n, out, x->needs_grad, dot_backward);
    if (n) {
        n->x = x;
        n->weights = weights;
    }
    return out;
}

static inline bool is_own(const struct operator_case *c, int i)
{
    return c->operands[i].rows > 0 && c->operands[i].same == 0;
}

static inline double plain_loss(void *context)
{
    struct numbers *n = context;
    n->c->op->plain(n->as, &n->c->extra, &n->out);
    double loss = 0;
    for (size_t i = 0; i < tensor_size(&n->out); i++)
        loss += n->weights[i] * n->out.data[i];
    return loss;
}

static inline real *random_values(struct arena *arena, size_t size, const char *purpose, int index)
{
    real *data = arena_alloc(arena, size * sizeof *data);
    support_fill(data, size, purpose, (uint64_t)index, 1);
    return data;
}

static inline void numbers_init(struct numbers *n, const struct operator_case *c)
{
    *n = (struct numbers){.c = c, .out = {.rows = c->rows, .cols = c->cols}};
    arena_init(&n->arena, NULL);
    n->out.data = arena_zalloc(&n->arena, tensor_size(&n->out) * sizeof(real));
    n->weights = random_values(&n->arena, tensor_size(&n->out), "weights", 0);
    if (c->op->is_loss)
        *n->weights = 1;
    for (int i = 0; i < MOST_OPERANDS; i++) {
        struct operand shape = c->operands[i];
        if (!is_own(c, i)) {
            n->as[i] = shape.same ? n->as[shape.same - 1] : NULL;
            continue;
        }
        n->x[i] = (struct tensor){.rows = shape.rows, .cols = shape.cols};
        size_t size = tensor_size(&n->x[i]);
        n->x[i].data = random_values(&n->arena, size, c->name, i);
        n->side[i] = random_values(&n->arena, size, "side", i);
        n->slope[i] = arena_alloc(&n->arena, size * sizeof(real));
        n->as[i] = &n->x[i];
    }
    for (int i = 0; i < MOST_OPERANDS; i++)
        for (size_t j = 0; is_own(c, i) && j < tensor_size(&n->x[i]); j++)
            n->slope[i][j] = support_slope(plain_loss, n, &n->x[i].data[j]);
    plain_loss(n); /* leaves the result at the values themselves */
}

/* Fresh operands; those in `trained`, a set of bits, need a gradient. */
static inline void run_init(struct run *run, const struct numbers *n, unsigned trained,
                            enum company company)
{
    for (int i = 0; i < MOST_OPERANDS; i++) {
        if (!is_own(n->c, i)) {
            int same = n->c->operands[i].same;
            run->as[i] = same ? run->as[same - 1] : NULL;
            continue;
        }
        struct tensor *x = &run->x[i];
        *x = (struct tensor){.rows = n->x[i].rows, .cols = n->x[i].cols};
        size_t bytes = tensor_size(x) * sizeof(real);
        x->data = memcpy(arena_alloc(&run->arena, bytes), n->x[i].data, bytes);
        x->needs_grad = trained >> i & 1;
        if (company == OWNED) { /* a frozen parameter may have a gradient, which stays as it is */
            x->parameter = true;
            x->grad = memcpy(arena_alloc(&run->arena, bytes), n->side[i], bytes);
        }
        run->as[i] = x;
    }
}

/* `loss` plus a reader of each trained operand. */
static inline struct tensor *add_readers(struct run *run, const struct numbers *n,
                                         struct tensor *loss)
{
    for (int i = 0; i < MOST_OPERANDS; i++) {
        if (!is_own(n->c, i) || !run->x[i].needs_grad)
            continue;
        struct tensor *read = dot(&run->tape, &run->x[i], n->side[i]);
        loss = loss ? op_add(&run->tape, loss, read) : read;
    }
    return loss;
}

static inline const char *compare(struct run *run, const char *what, const real *found,
                                  const real *expected, const real *plus, size_t size,
                                  double tolerance)
{
    for (size_t i = 0; i < size; i++) {
        double want = (double)expected[i] + (plus ? (double)plus[i] : 0);
        if (support_near((double)found[i], want, tolerance))
            continue;
        snprintf(run->problem, sizeof run->problem, "%s: element %zu is %.15g, expected %.15g",
                 what, i, (double)found[i], want);
        return run->problem;
    }
    return NULL;
}

static inline const char *check_forward(struct run *run, const struct numbers *n, bool recorded)
{
    const struct tensor *out = run->out;
    if (out->rows != n->c->rows || out->cols != n->c->cols)
        return "the result has the wrong shape";
    if (out->needs_grad != recorded)
        return "needs_grad of the result is wrong";
    if (n->c->op->in_place != (out->data == run->x[0].data))
        return "in place is not what was promised";
    for (int i = n->c->op->in_place; i < MOST_OPERANDS; i++)
        if (is_own(n->c, i) &&
            memcmp(run->x[i].data, n->x[i].data, tensor_size(&n->x[i]) * sizeof(real)))
            return "an operand was changed";
    return compare(run, "result", out->data, n->out.data, NULL, tensor_size(out), 1e-12);
}

static inline const char *check_gradients(struct run *run, const struct numbers *n,
                                          enum company company)
{
    static const char *const names[] = {"gradient of operand 0", "gradient of operand 1",
                                        "gradient of operand 2", "gradient of operand 3",
                                        "gradient of operand 4"};
    const char *problem = NULL;
    for (int i = 0; i < MOST_OPERANDS && !problem; i++) {
        const struct tensor *x = &run->x[i];
        if (!is_own(n->c, i))
            continue;
        size_t bytes = tensor_size(x) * sizeof(real);
        if (!x->needs_grad) {
            if (company == OWNED ? memcmp(x->grad, n->side[i], bytes) != 0 : x->grad != NULL)
                return "an operand that needs no gradient got one";
            continue;
        }
        if (!x->grad)
            return "a gradient is missing";
        problem = compare(run, names[i], x->grad, n->slope[i], company == ALONE ? NULL : n->side[i],
                          tensor_size(x), 1e-9);
    }
    return problem;
}

/* Runs the operator with the operands of `trained` needing a gradient. */
static inline const char *check_run(struct run *run, const struct numbers *n, unsigned trained,
                                    enum company company)
{
    arena_clear(&run->arena);
    tape_start(&run->tape, true);
    support_dirty(&run->arena);
    support_dirty(&run->tape.grads);
    run_init(run, n, trained, company);
    struct tensor *early = company == READ_EARLIER ? add_readers(run, n, NULL) : NULL;
    const struct node *before = run->tape.last;
    run->out = n->c->op->run(&run->tape, run->as, &n->c->extra);
    const char *problem = check_forward(run, n, trained != 0);
    if (problem)
        return problem;
    if ((run->tape.last != before) != (trained != 0))
        return trained ? "no node was recorded" : "a node was recorded though nothing needs it";
    struct tensor *loss = n->c->op->is_loss ? run->out : dot(&run->tape, run->out, n->weights);
    if (early)
        loss = op_add(&run->tape, loss, early);
    if (company == READ_LATER)
        loss = add_readers(run, n, loss);
    tape_backward(&run->tape, loss);
    if (run->out->grad)
        return "the gradient of the result was not given back";
    return check_gradients(run, n, company);
}

/* Without recording, an operator gives the same bits, records nothing and touches no gradient. */
static inline const char *check_silent(struct run *run, const struct numbers *n)
{
    arena_clear(&run->arena);
    tape_start(&run->tape, true);
    run_init(run, n, ~0u, ALONE);
    struct tensor *out = n->c->op->run(&run->tape, run->as, &n->c->extra);
    size_t bytes = tensor_size(out) * sizeof(real);
    real *recorded = memcpy(memory_alloc(bytes), out->data, bytes);
    tape_start(&run->tape, false);
    run_init(run, n, ~0u, ALONE);
    run->out = n->c->op->run(&run->tape, run->as, &n->c->extra);
    bool same = !memcmp(run->out->data, recorded, bytes);
    free(recorded);
    if (!same)
        return "the result depends on whether the tape records";
    if (run->tape.last || run->out->needs_grad)
        return "a tape that does not record did";
    for (int i = 0; i < MOST_OPERANDS; i++)
        if (run->x[i].grad)
            return "a tape that does not record made a gradient";
    return NULL;
}

/* True when the operator passes, else `problem` is the first one. */
static inline bool check_operator(const struct operator_case *c, char problem[PROBLEM_BYTES])
{
    struct numbers n;
    struct run run = {.out = NULL};
    numbers_init(&n, c);
    arena_init(&run.arena, NULL);
    tape_init(&run.tape, &run.arena, NULL);
    const char *first = check_silent(&run, &n);
    unsigned own = 0;
    for (int i = 0; i < MOST_OPERANDS; i++)
        own |= (unsigned)is_own(c, i) << i;
    for (unsigned trained = 0; trained <= own && !first; trained++)
        for (int company = 0; company < N_COMPANIES && !first; company++)
            if ((trained & ~own) == 0)
                first = check_run(&run, &n, trained, (enum company)company);
    snprintf(problem, PROBLEM_BYTES, "%s", first ? first : "");
    tape_release(&run.tape);
    arena_release(&run.arena);
    arena_release(&n.arena);
    return !first;
}

#endif
