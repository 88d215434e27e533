/* SPDX-License-Identifier: Apache-2.0
 *
 * Every operator of operators.h in double precision: results against plain loops, gradients against
 * finite differences of those loops, and a tape that records no more than it must. Wrong operators
 * at the end show that the checker finds fault.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/blas.h"
#include "model/operators.h"
#include "tests/operator_check.h"

#define COUNT(table) (sizeof(table) / sizeof *(table))

static real *at(const struct tensor *t, int row, int col)
{
    return &t->data[(size_t)row * (size_t)t->cols + (size_t)col];
}

static void check_all(const struct operator_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char problem[PROBLEM_BYTES];
        if (!check_operator(&cases[i], problem))
            fail_msg("%s, %s: %s", cases[i].op->name, cases[i].name, problem);
    }
}

/* ---- embedding, gather ---- */

static struct tensor *run_embedding(struct tape *tape, struct tensor **x, const struct extra *extra)
{
    return op_embedding(tape, x[0], x[1], extra->ids, extra->count);
}

static void plain_embedding(struct tensor **x, const struct extra *extra, struct tensor *out)
{
    for (int r = 0; r < out->rows; r++)
        for (int c = 0; c < out->cols; c++) {
            int id = extra->ids[r];
            *at(out, r, c) = id >= 0 ? *at(x[0], id, c) : *at(x[1], -1 - id, c);
        }
}

static void test_embedding(void **state)
{
    (void)state;
    static const struct operator op = {"embedding", run_embedding, plain_embedding, false, false};
    static const int32_t repeated[] = {3, 0, 3, 3, 1};
    static const int32_t mixed[] = {-1, -2, 4, -1, 0, 4};
    static const int32_t virtual_only[] = {-2, -1};
    const struct operator_case cases[] = {
        {&op, "one row", {{4, 3, 0}}, 1, 3, {.ids = repeated, .count = 1}},
        {&op, "repeated ids", {{4, 3, 0}}, 5, 3, {.ids = repeated, .count = 5}},
        {&op, "one feature", {{4, 1, 0}}, 5, 1, {.ids = repeated, .count = 5}},
        {&op, "virtual rows", {{5, 2, 0}, {2, 2, 0}}, 6, 2, {.ids = mixed, .count = 6}},
        {&op, "table as extra", {{5, 2, 0}, {0, 0, 1}}, 6, 2, {.ids = mixed, .count = 6}},
    };
    check_all(cases, COUNT(cases));
    const struct operator_case only = {
        &op, "virtual rows only", {{1, 3, 0}, {2, 3, 0}}, 2, 3, {.ids = virtual_only, .count = 2}};
    char problem[PROBLEM_BYTES]; /* a table of which no row is read is not given a gradient */
    assert_false(check_operator(&only, problem));
    assert_string_equal(problem, "a gradient is missing");
}

static struct tensor *run_gather(struct tape *tape, struct tensor **x, const struct extra *extra)
{
    return op_gather(tape, x[0], extra->rows, extra->count);
}

static void plain_gather(struct tensor **x, const struct extra *extra, struct tensor *out)
{
    for (int r = 0; r < out->rows; r++)
        for (int c = 0; c < out->cols; c++)
            *at(out, r, c) = *at(x[0], extra->rows[r], c);
}

static void test_gather(void **state)
{
    (void)state;
    static const struct operator op = {"gather", run_gather, plain_gather, false, false};
    static const int rows[] = {1, 0, 3, 3};
    const struct operator_case cases[] = {
        {&op, "one of one", {{1, 5, 0}}, 1, 5, {.rows = rows + 1, .count = 1}},
        {&op, "any order, one twice", {{4, 3, 0}}, 4, 3, {.rows = rows, .count = 4}},
        {&op, "one feature", {{5, 1, 0}}, 3, 1, {.rows = rows, .count = 3}},
    };
    check_all(cases, COUNT(cases));
}

/* ---- linear ---- */

static struct tensor *run_linear(struct tape *tape, struct tensor **x, const struct extra *extra)
{
    (void)extra;
    return op_linear(tape, x[0], x[1], x[2]);
}

static void plain_linear(struct tensor **x, const struct extra *extra, struct tensor *out)
{
    (void)extra;
    for (int r = 0; r < out->rows; r++)
        for (int c = 0; c < out->cols; c++) {
            real sum = x[2] ? *at(x[2], 0, c) : 0;
            for (int i = 0; i < x[0]->cols; i++)
                sum += *at(x[0], r, i) * *at(x[1], c, i);
            *at(out, r, c) = sum;
        }
}

static void test_linear(void **state)
{
    (void)state;
    static const struct operator op = {"linear", run_linear, plain_linear, false, false};
    static const struct operator_case cases[] = {
        {&op, "one number", {{1, 1, 0}, {1, 1, 0}}, 1, 1, {0}},
        {&op, "one row", {{1, 5, 0}, {3, 5, 0}}, 1, 3, {0}},
        {&op, "one row, bias", {{1, 5, 0}, {3, 5, 0}, {1, 3, 0}}, 1, 3, {0}},
        {&op, "one output", {{6, 4, 0}, {1, 4, 0}}, 6, 1, {0}},
        {&op, "wide", {{4, 3, 0}, {9, 3, 0}}, 4, 9, {0}},
        {&op, "bias", {{7, 8, 0}, {5, 8, 0}, {1, 5, 0}}, 7, 5, {0}},
        {&op, "x as weight", {{4, 3, 0}, {0, 0, 1}}, 4, 4, {0}},
        {&op, "bias as x", {{1, 3, 0}, {3, 3, 0}, {0, 0, 1}}, 1, 3, {0}},
    };
    check_all(cases, COUNT(cases));
}

/* Operands are x, w, a, b and the bias. */
static struct tensor *run_low_rank(struct tape *tape, struct tensor **x, const struct extra *extra)
{
    const struct low_rank low = {.a = x[2], .b = x[3], .scale = (real)extra->number};
    return op_linear_low_rank(tape, x[0], x[1], x[4], &low);
}

static void plain_low_rank(struct tensor **x, const struct extra *extra, struct tensor *out)
{
    for (int r = 0; r < out->rows; r++)
        for (int c = 0; c < out->cols; c++)
            *at(out, r, c) = x[4] ? *at(x[4], 0, c) : 0;
    for (int r = 0; r < out->rows; r++)
        for (int k = 0; k < x[2]->rows; k++) {
            real down = 0;
            for (int i = 0; i < x[0]->cols; i++)
                down += *at(x[0], r, i) * *at(x[2], k, i);
            for (int c = 0; c < out->cols; c++)
                *at(out, r, c) += (real)extra->number * down * *at(x[3], c, k);
        }
    for (int r = 0; r < out->rows; r++)
        for (int c = 0; c < out->cols; c++)
            for (int i = 0; i < x[0]->cols; i++)
                *at(out, r, c) += *at(x[0], r, i) * *at(x[1], c, i);
}

static void test_low_rank(void **state)
{
    (void)state;
    static const struct operator op = {"linear_low_rank", run_low_rank, plain_low_rank, false,
                                       false};
    static const struct operator_case cases[] = {
        {&op, "one number", {{1, 1, 0}, {1, 1, 0}, {1, 1, 0}, {1, 1, 0}}, 1, 1, {.number = 1}},
        {&op, "one row", {{1, 4, 0}, {3, 4, 0}, {2, 4, 0}, {3, 2, 0}}, 1, 3, {.number = 2}},
        {&op, "rank 1", {{5, 3, 0}, {4, 3, 0}, {1, 3, 0}, {4, 1, 0}}, 5, 4, {.number = 0.5}},
        {&op,
         "bias",
         {{6, 5, 0}, {7, 5, 0}, {3, 5, 0}, {7, 3, 0}, {1, 7, 0}},
         6,
         7,
         {.number = -1.5}},
        {&op, "scale 0", {{2, 3, 0}, {3, 3, 0}, {2, 3, 0}, {3, 2, 0}}, 2, 3, {.number = 0}},
        {&op, "w as a", {{3, 4, 0}, {2, 4, 0}, {0, 0, 2}, {2, 2, 0}}, 3, 2, {.number = 0.7}},
        {&op, "x as a", {{3, 4, 0}, {5, 4, 0}, {0, 0, 1}, {5, 3, 0}}, 3, 5, {.number = 0.7}},
    };
    check_all(cases, COUNT(cases));
}

/* The operands of one large enough for the products of few rows, and of the loss `dy`. */
struct large {
    struct arena arena;
    struct tensor x, w, a, b, dy;
};

enum { LARGE_IN = 33, LARGE_OUT = 67 };

static struct tensor large_tensor(struct large *l, const char *name, int rows, int cols)
{
    struct tensor t = {.rows = rows, .cols = cols, .needs_grad = true};
    t.data = random_values(&l->arena, tensor_size(&t), name, 0);
    return t;
}

static void large_init(struct large *l, int rows, int rank)
{
    arena_init(&l->arena, NULL);
    l->x = large_tensor(l, "x", rows, LARGE_IN);
    l->w = large_tensor(l, "w", LARGE_OUT, LARGE_IN);
    l->a = large_tensor(l, "a", rank, LARGE_IN);
    l->b = large_tensor(l, "b", LARGE_OUT, rank);
    l->dy = large_tensor(l, "dy", rows, LARGE_OUT);
}

/* The product of two matrices, of the first or the second as it is or turned. */
static struct tensor plain_product(struct large *l, const struct tensor *p, bool p_turned,
                                   const struct tensor *q, bool q_turned, double scale)
{
    struct tensor out = {.rows = p_turned ? p->cols : p->rows,
                         .cols = q_turned ? q->rows : q->cols};
    int length = p_turned ? p->rows : p->cols;
    out.data = arena_zalloc(&l->arena, tensor_size(&out) * sizeof(real));
    for (int r = 0; r < out.rows; r++)
        for (int c = 0; c < out.cols; c++)
            for (int i = 0; i < length; i++)
                *at(&out, r, c) += (real)scale * (p_turned ? *at(p, i, r) : *at(p, r, i)) *
                                   (q_turned ? *at(q, c, i) : *at(q, i, c));
    return out;
}

static void assert_near(const char *what, const real *found, const struct tensor *want)
{
    for (size_t i = 0; i < tensor_size(want); i++)
        if (!support_near((double)found[i], (double)want->data[i], 1e-11))
            fail_msg("%s: element %zu is %.15g, expected %.15g", what, i, (double)found[i],
                     (double)want->data[i]);
}

/* Beside a weight to which the update was added, and its gradient. */
static void check_large(int rows, int rank, bool x_trained)
{
    enum { AS, TURNED };
    const double scale = -0.75;
    struct large l;
    struct tape tape;
    large_init(&l, rows, rank);
    tape_init(&tape, &l.arena, NULL);
    tape_start(&tape, true);
    struct tensor sum = plain_product(&l, &l.b, AS, &l.a, AS, scale);
    for (size_t i = 0; i < tensor_size(&sum); i++)
        sum.data[i] += l.w.data[i];
    struct tensor down = plain_product(&l, &l.x, AS, &l.a, TURNED, scale);
    struct tensor back = plain_product(&l, &l.dy, AS, &l.b, AS, scale);
    struct tensor want[] = {plain_product(&l, &l.x, AS, &sum, TURNED, 1),
                            plain_product(&l, &l.dy, AS, &sum, AS, 1),
                            plain_product(&l, &l.dy, TURNED, &l.x, AS, 1),
                            plain_product(&l, &back, TURNED, &l.x, AS, 1),
                            plain_product(&l, &l.dy, TURNED, &down, AS, 1)};
    l.x.needs_grad = x_trained;
    const struct low_rank low = {.a = &l.a, .b = &l.b, .scale = (real)scale};
    struct tensor *out = op_linear_low_rank(&tape, &l.x, &l.w, NULL, &low);
    tape_backward(&tape, dot(&tape, out, l.dy.data));
    assert_near("result", out->data, &want[0]);
    if (x_trained)
        assert_near("gradient of x", l.x.grad, &want[1]);
    assert_near("gradient of w", l.w.grad, &want[2]);
    assert_near("gradient of a", l.a.grad, &want[3]);
    assert_near("gradient of b", l.b.grad, &want[4]);
    tape_release(&tape);
    arena_release(&l.arena);
}

static void test_large_low_rank(void **state)
{
    static const int rows[] = {1, 23, 24, 25, 47, 48, 49, 700}, ranks[] = {1, 3, 8, 16};
    (void)state;
    for (size_t r = 0; r < COUNT(rows); r++)
        for (size_t k = 0; k < 2 * COUNT(ranks); k++)
            check_large(rows[r], ranks[k / 2], k % 2);
}

/* ---- row by row ---- */

static struct tensor *run_rms_norm(struct tape *tape, struct tensor **x, const struct extra *extra)
{
    return op_rms_norm(tape, x[0], x[1], (real)extra->number);
}

static void plain_rms_norm(struct tensor **x, const struct extra *extra, struct tensor *out)
{
    for (int r = 0; r < out->rows; r++) {
        double squares = 0;
        for (int c = 0; c < out->cols; c++)
            squares += pow((double)*at(x[0], r, c), 2);
        double rms = sqrt(squares / out->cols + extra->number);
        for (int c = 0; c < out->cols; c++)
            *at(out, r, c) = (real)((double)*at(x[0], r, c) / rms * (double)*at(x[1], 0, c));
    }
}

static void test_rms_norm(void **state)
{
    (void)state;
    static const struct operator op = {"rms_norm", run_rms_norm, plain_rms_norm, false, false};
    static const struct operator_case cases[] = {
        {&op, "one number", {{1, 1, 0}, {1, 1, 0}}, 1, 1, {.number = 0.5}},
        {&op, "one row", {{1, 6, 0}, {1, 6, 0}}, 1, 6, {.number = 1e-5}},
        {&op, "rows", {{5, 7, 0}, {1, 7, 0}}, 5, 7, {.number = 1e-5}},
        {&op, "large epsilon", {{3, 4, 0}, {1, 4, 0}}, 3, 4, {.number = 2}},
        {&op, "x as gain", {{1, 4, 0}, {0, 0, 1}}, 1, 4, {.number = 1e-5}},
    };
    check_all(cases, COUNT(cases));
}

static struct tensor *run_swiglu(struct tape *tape, struct tensor **x, const struct extra *extra)
{
    (void)extra;
    return op_swiglu(tape, x[0], x[1]);
}

static void plain_swiglu(struct tensor **x, const struct extra *extra, struct tensor *out)
{
    (void)extra;
    for (size_t i = 0; i < tensor_size(out); i++)
        out->data[i] = x[0]->data[i] / (1 + exp(-x[0]->data[i])) * x[1]->data[i];
}

static void test_swiglu(void **state)
{
    (void)state;
    static const struct operator op = {"swiglu", run_swiglu, plain_swiglu, false, false};
    static const struct operator_case cases[] = {
        {&op, "one number", {{1, 1, 0}, {1, 1, 0}}, 1, 1, {0}},
        {&op, "one row", {{1, 9, 0}, {1, 9, 0}}, 1, 9, {0}},
        {&op, "rows", {{4, 5, 0}, {4, 5, 0}}, 4, 5, {0}},
        {&op, "gate as up", {{3, 5, 0}, {0, 0, 1}}, 3, 5, {0}},
    };
    check_all(cases, COUNT(cases));
}

static struct tensor *run_relu(struct tape *tape, struct tensor **x, const struct extra *extra)
{
    (void)extra;
    return op_relu(tape, x[0]);
}

static void plain_relu(struct tensor **x, const struct extra *extra, struct tensor *out)
{
    (void)extra;
    for (size_t i = 0; i < tensor_size(out); i++)
        out->data[i] = x[0]->data[i] < 0 ? 0 : x[0]->data[i];
}

static void test_relu(void **state)
{
    (void)state;
    static const struct operator op = {"relu", run_relu, plain_relu, true, false};
    static const struct operator_case cases[] = {
        {&op, "one number", {{1, 1, 0}}, 1, 1, {0}},
        {&op, "one row", {{1, 9, 0}}, 1, 9, {0}},
        {&op, "rows", {{6, 7, 0}}, 6, 7, {0}},
    };
    check_all(cases, COUNT(cases));
}

static struct tensor *run_add(struct tape *tape, struct tensor **x, const struct extra *extra)
{
    (void)extra;
    return op_add(tape, x[0], x[1]);
}

static void plain_add(struct tensor **x, const struct extra *extra, struct tensor *out)
{
    (void)extra;
    for (size_t i = 0; i < tensor_size(out); i++)
        out->data[i] = x[0]->data[i] + x[1]->data[i];
}

static void test_add(void **state)
{
    (void)state;
    static const struct operator op = {"add", run_add, plain_add, false, false};
    static const struct operator_case cases[] = {
        {&op, "one number", {{1, 1, 0}, {1, 1, 0}}, 1, 1, {0}},
        {&op, "rows", {{4, 5, 0}, {4, 5, 0}}, 4, 5, {0}},
        {&op, "x twice", {{3, 5, 0}, {0, 0, 1}}, 3, 5, {0}},
    };
    check_all(cases, COUNT(cases));
}

static struct tensor *run_scale(struct tape *tape, struct tensor **x, const struct extra *extra)
{
    (void)extra;
    return op_scale(tape, x[0], x[1]);
}

static void plain_scale(struct tensor **x, const struct extra *extra, struct tensor *out)
{
    (void)extra;
    for (int r = 0; r < out->rows; r++)
        for (int c = 0; c < out->cols; c++)
            *at(out, r, c) = *at(x[0], r, c) * *at(x[1], 0, c);
}

static void test_scale(void **state)
{
    (void)state;
    static const struct operator op = {"scale", run_scale, plain_scale, false, false};
    static const struct operator_case cases[] = {
        {&op, "one number", {{1, 1, 0}, {1, 1, 0}}, 1, 1, {0}},
        {&op, "one row", {{1, 6, 0}, {1, 6, 0}}, 1, 6, {0}},
        {&op, "rows", {{4, 5, 0}, {1, 5, 0}}, 4, 5, {0}},
        {&op, "x as scale", {{1, 5, 0}, {0, 0, 1}}, 1, 5, {0}},
    };
    check_all(cases, COUNT(cases));
}

static struct tensor *run_scale_over(struct tape *tape, struct tensor **x,
                                     const struct extra *extra)
{
    return op_scale_over(tape, x[0], x[1], extra->weights, extra->offset);
}

static void plain_scale_over(struct tensor **x, const struct extra *extra, struct tensor *out)
{
    for (int r = 0; r < out->rows; r++)
        for (int c = 0; c < out->cols; c++) {
            real past = extra->offset ? extra->offset[c] : 0;
            *at(out, r, c) =
                (*at(x[0], r, c) - past) * (*at(x[1], 0, c) / extra->weights[c]) + past;
        }
}

static void test_scale_over(void **state)
{
    (void)state;
    static const struct operator op = {"scale_over", run_scale_over, plain_scale_over, false,
                                       false};
    static const real divisor[] = {0.5, 3, 1, 20, 0.1, 7}, offset[] = {-2, 0.25, 0, 5, 1, 0.125};
    static const struct operator_case cases[] = {
        {&op, "one number", {{1, 1, 0}, {1, 1, 0}}, 1, 1, {.weights = divisor}},
        {&op, "one row", {{1, 6, 0}, {1, 6, 0}}, 1, 6, {.weights = divisor}},
        {&op, "rows", {{4, 5, 0}, {1, 5, 0}}, 4, 5, {.weights = divisor}},
        {&op, "x as scale", {{1, 5, 0}, {0, 0, 1}}, 1, 5, {.weights = divisor}},
        {&op, "offset", {{4, 6, 0}, {1, 6, 0}}, 4, 6, {.weights = divisor, .offset = offset}},
        {&op, "x and offset", {{1, 5, 0}, {0, 0, 1}}, 1, 5, {.weights = divisor, .offset = offset}},
    };
    check_all(cases, COUNT(cases));
}

/* ---- encoders ---- */

static struct tensor *run_tanh(struct tape *tape, struct tensor **x, const struct extra *extra)
{
    (void)extra;
    return op_tanh(tape, x[0]);
}

static void plain_tanh(struct tensor **x, const struct extra *extra, struct tensor *out)
{
    (void)extra;
    for (size_t i = 0; i < tensor_size(out); i++)
        out->data[i] = tanh(x[0]->data[i]);
}

static struct tensor *run_beside(struct tape *tape, struct tensor **x, const struct extra *extra)
{
    (void)extra;
    return op_beside(tape, x[0], x[1]);
}

static void plain_beside(struct tensor **x, const struct extra *extra, struct tensor *out)
{
    (void)extra;
    for (int r = 0; r < out->rows; r++)
        for (int c = 0; c < out->cols; c++)
            *at(out, r, c) = c < x[0]->cols ? *at(x[0], r, c) : *at(x[1], r, c - x[0]->cols);
}

/* extra->number 1: from the last row to the first. */
static struct tensor *run_lstm(struct tape *tape, struct tensor **x, const struct extra *extra)
{
    const struct lstm_weights weights = {x[1], x[2], x[3], x[4]};
    return op_lstm(tape, x[0], &weights, extra->number > 0);
}

static double plain_gate(struct tensor **x, int row, const double *h, int gate)
{
    double sum = *at(x[3], 0, gate) + *at(x[4], 0, gate);
    for (int i = 0; i < x[0]->cols; i++)
        sum += *at(x[0], row, i) * *at(x[1], gate, i);
    for (int i = 0; i < x[2]->cols; i++)
        sum += h[i] * *at(x[2], gate, i);
    return sum;
}

static void plain_lstm(struct tensor **x, const struct extra *extra, struct tensor *out)
{
    double h[8] = {0}, c[8] = {0}, next[8];
    int hidden = out->cols;
    for (int t = 0; t < out->rows; t++) {
        int row = extra->number > 0 ? out->rows - 1 - t : t;
        for (int i = 0; i < hidden; i++) {
            double in = 1 / (1 + exp(-plain_gate(x, row, h, i)));
            double forget = 1 / (1 + exp(-plain_gate(x, row, h, hidden + i)));
            double o = 1 / (1 + exp(-plain_gate(x, row, h, 3 * hidden + i)));
            c[i] = forget * c[i] + in * tanh(plain_gate(x, row, h, 2 * hidden + i));
            next[i] = o * tanh(c[i]);
        }
        for (int i = 0; i < hidden; i++)
            *at(out, row, i) = h[i] = next[i];
    }
}

static void test_encoders(void **state)
{
    (void)state;
    static const struct operator bend = {"tanh", run_tanh, plain_tanh, true, false};
    static const struct operator both = {"beside", run_beside, plain_beside, false, false};
    static const struct operator lstm = {"lstm", run_lstm, plain_lstm, false, false};
    static const struct operator_case cases[] = {
        {&bend, "one number", {{1, 1, 0}}, 1, 1, {0}},
        {&bend, "rows", {{6, 7, 0}}, 6, 7, {0}},
        {&both, "one number", {{1, 1, 0}, {1, 1, 0}}, 1, 2, {0}},
        {&both, "rows", {{4, 3, 0}, {4, 5, 0}}, 4, 8, {0}},
        {&both, "the same twice", {{3, 2, 0}, {0, 0, 1}}, 3, 4, {0}},
        {&lstm, "one number", {{1, 1, 0}, {4, 1, 0}, {4, 1, 0}, {1, 4, 0}, {1, 4, 0}}, 1, 1, {0}},
        {&lstm, "one row", {{1, 3, 0}, {8, 3, 0}, {8, 2, 0}, {1, 8, 0}, {1, 8, 0}}, 1, 2, {0}},
        {&lstm, "rows", {{5, 3, 0}, {8, 3, 0}, {8, 2, 0}, {1, 8, 0}, {1, 8, 0}}, 5, 2, {0}},
        {&lstm,
         "two rows back",
         {{2, 2, 0}, {4, 2, 0}, {4, 1, 0}, {1, 4, 0}, {1, 4, 0}},
         2,
         1,
         {.number = 1}},
        {&lstm,
         "rows back",
         {{4, 2, 0}, {12, 2, 0}, {12, 3, 0}, {1, 12, 0}, {1, 12, 0}},
         4,
         3,
         {.number = 1}},
        {&lstm, "one bias", {{3, 2, 0}, {8, 2, 0}, {8, 2, 0}, {1, 8, 0}, {0, 0, 4}}, 3, 2, {0}},
        {&lstm, "one weight", {{3, 2, 0}, {8, 2, 0}, {0, 0, 2}, {1, 8, 0}, {1, 8, 0}}, 3, 2, {0}},
    };
    check_all(cases, COUNT(cases));
}

/* ---- layouts ---- */

enum { CACHE_WIDTH = 8, CACHE_LAYERS = 2, CACHE_ROWS = 5 };

/* Caches that the layouts below refer to: 1 behind 0, 2 on its own and empty. */
struct caches {
    struct cache cache[3];
    real keys[3][CACHE_LAYERS * CACHE_ROWS * CACHE_WIDTH];
    real values[3][CACHE_LAYERS * CACHE_ROWS * CACHE_WIDTH];
};

static void caches_init(struct caches *c, int width)
{
    static const int lengths[3] = {3, 1, 0};
    for (int i = 0; i < 3; i++) {
        support_fill(c->keys[i], COUNT(c->keys[i]), "cache keys", (uint64_t)i, 1);
        support_fill(c->values[i], COUNT(c->values[i]), "cache values", (uint64_t)i, 1);
        c->cache[i] = (struct cache){.length = lengths[i],
                                     .capacity = CACHE_ROWS,
                                     .width = width,
                                     .keys = c->keys[i],
                                     .values = c->values[i]};
    }
    c->cache[1].parent = &c->cache[0];
    c->cache[1].position = 3;
}

/* A segment of a test layout; `cache` n > 0 is cache n - 1. */
struct part {
    int length, parent, cache;
};

enum { MOST_PARTS = 8 };

struct layout_row {
    const char *name;
    struct part parts[MOST_PARTS];
};

static const struct layout_row layouts[] = {
    {"one row", {{1, -1, 0}}},
    {"one segment", {{5, -1, 0}}},
    {"packed", {{1, -1, 0}, {4, -1, 0}, {2, -1, 0}}},
    {"shared prefix", {{3, -1, 0}, {2, 0, 0}, {1, 0, 0}, {3, 0, 0}}},
    {"two tries", {{2, -1, 0}, {1, 0, 0}, {2, 1, 0}, {1, 1, 0}, {1, 0, 0}, {2, -1, 0}, {1, 5, 0}}},
    {"one cache", {{3, -1, 1}}},
    {"chain of caches", {{2, -1, 2}, {1, -1, 1}, {2, -1, 0}}},
    {"trie behind caches", {{2, -1, 2}, {1, 0, 0}, {2, 1, 0}, {1, 0, 0}}},
    {"decoding", {{1, -1, 1}, {1, -1, 2}, {1, -1, 3}}},
};

struct packed {
    struct layout layout;
    struct segment segments[MOST_PARTS];
};

static void pack(const struct layout_row *row, const struct caches *caches, struct packed *packed)
{
    int rows = 0, count = 0;
    for (const struct part *part = row->parts; count < MOST_PARTS && part->length; part++) {
        struct segment *s = &packed->segments[count++];
        *s = (struct segment){.start = rows, .length = part->length, .parent = part->parent};
        rows += part->length;
        if (part->parent >= 0) {
            const struct segment *parent = &packed->segments[part->parent];
            s->position = parent->position + parent->length;
        } else if (part->cache) {
            s->cache = &caches->cache[part->cache - 1];
            s->position = s->cache->position + s->cache->length;
        }
    }
    packed->layout =
        (struct layout){.rows = rows, .segments = packed->segments, .n_segments = count};
}

static int segment_of(const struct layout *layout, int row)
{
    int s = 0;
    while (row >= layout->segments[s].start + layout->segments[s].length)
        s++;
    return s;
}

/* ---- rotation ---- */

static struct tensor *run_rope(struct tape *tape, struct tensor **x, const struct extra *extra)
{
    struct tensor *cos_sin = tape_tensor(tape, x[0]->rows, extra->rotated);
    rope_table(extra->layout, extra->frequencies, cos_sin);
    return op_rope(tape, x[0], cos_sin, extra->head_dim, extra->pairs);
}

static void plain_rope(struct tensor **x, const struct extra *extra, struct tensor *out)
{
    for (int r = 0; r < out->rows; r++) {
        const struct segment *s = &extra->layout->segments[segment_of(extra->layout, r)];
        int position = s->position + r - s->start;
        for (int c = 0; c < out->cols; c++) {
            int feature = c % extra->head_dim, half = extra->rotated / 2;
            bool halves = extra->pairs == ROPE_HALVES, turns = feature < extra->rotated;
            bool second = halves ? feature >= half : feature % 2;
            double frequency = extra->frequencies[halves ? feature % half : feature / 2];
            double angle = turns ? position * frequency : 0;
            int other = (second ? -1 : 1) * (halves ? half : 1);
            double turned = turns ? (double)*at(x[0], r, c + other) : 0;
            *at(out, r, c) = (real)((double)*at(x[0], r, c) * cos(angle) -
                                    (second ? -1 : 1) * turned * sin(angle));
        }
    }
}

static void test_rope(void **state)
{
    (void)state;
    static const struct operator op = {"rope", run_rope, plain_rope, true, false};
    static const double frequencies[] = {1, 0.3, 0.01, 0};
    static const struct {
        int heads, head_dim, rotated;
        enum rope_pairs pairs;
    } shapes[] = {{1, 2, 2, ROPE_NEIGHBOURS}, {2, 4, 4, ROPE_NEIGHBOURS},
                  {3, 6, 4, ROPE_NEIGHBOURS}, {2, 6, 6, ROPE_NEIGHBOURS},
                  {1, 8, 2, ROPE_NEIGHBOURS}, {1, 2, 2, ROPE_HALVES},
                  {2, 4, 4, ROPE_HALVES},     {3, 6, 4, ROPE_HALVES},
                  {2, 6, 6, ROPE_HALVES},     {1, 8, 2, ROPE_HALVES}};
    struct caches caches;
    caches_init(&caches, CACHE_WIDTH);
    for (size_t l = 0; l < COUNT(layouts); l++)
        for (size_t s = 0; s < COUNT(shapes); s++) {
            struct packed packed;
            pack(&layouts[l], &caches, &packed);
            int rows = packed.layout.rows, cols = shapes[s].heads * shapes[s].head_dim;
            const struct operator_case c = {&op,
                                            layouts[l].name,
                                            {{rows, cols, 0}},
                                            rows,
                                            cols,
                                            {.layout = &packed.layout,
                                             .frequencies = frequencies,
                                             .head_dim = shapes[s].head_dim,
                                             .rotated = shapes[s].rotated,
                                             .pairs = shapes[s].pairs}};
            check_all(&c, 1);
        }
}

/* ---- attention ---- */

static struct tensor *run_attention(struct tape *tape, struct tensor **x, const struct extra *extra)
{
    const struct attention how = {.layout = extra->layout,
                                  .layer = extra->layer,
                                  .head_dim = extra->head_dim,
                                  .past_keys = x[3],
                                  .past_values = x[4]};
    return op_attention(tape, x[0], x[1], x[2], &how);
}

enum { MOST_SEEN = 40 };

/* Keys and values that one row sees, in any order. */
struct seen {
    const real *keys[MOST_SEEN], *values[MOST_SEEN];
    int count;
};

static void see(struct seen *seen, const real *keys, const real *values, int rows, int width)
{
    for (int r = 0; r < rows; r++) {
        seen->keys[seen->count] = keys + r * width;
        seen->values[seen->count++] = values + r * width;
    }
}

static struct seen seen_by(int row, struct tensor **x, const struct extra *extra)
{
    struct seen seen = {.count = 0};
    const struct layout *layout = extra->layout;
    int width = x[1]->cols, s = segment_of(layout, row), root = s;
    int last = row; /* last visible row of segment s */
    for (; s >= 0; s = layout->segments[s].parent) {
        const struct segment *segment = &layout->segments[s];
        see(&seen, at(x[1], segment->start, 0), at(x[2], segment->start, 0),
            last - segment->start + 1, width);
        root = s;
        if (segment->parent >= 0)
            last = layout->segments[segment->parent].start +
                   layout->segments[segment->parent].length - 1;
    }
    for (const struct cache *c = layout->segments[root].cache; c; c = c->parent)
        see(&seen, c->keys + extra->layer * c->capacity * width,
            c->values + extra->layer * c->capacity * width, c->length, width);
    if (x[3])
        see(&seen, x[3]->data, x[4]->data, x[3]->rows, width);
    return seen;
}

static void attend_plain(const real *q, const struct seen *seen, int offset, int head_dim,
                         real *out)
{
    double weights[MOST_SEEN], sum = 0;
    for (int i = 0; i < seen->count; i++) {
        double score = 0;
        for (int d = 0; d < head_dim; d++)
            score += (double)q[d] * (double)seen->keys[i][offset + d];
        weights[i] = exp(score / sqrt(head_dim));
        sum += weights[i];
    }
    for (int d = 0; d < head_dim; d++) {
        double mixed = 0;
        for (int i = 0; i < seen->count; i++)
            mixed += weights[i] / sum * (double)seen->values[i][offset + d];
        out[d] = (real)mixed;
    }
}

static void plain_attention(struct tensor **x, const struct extra *extra, struct tensor *out)
{
    int head_dim = extra->head_dim, heads = out->cols / head_dim;
    int shared = heads / (x[1]->cols / head_dim); /* query heads per key head */
    for (int r = 0; r < out->rows; r++) {
        struct seen seen = seen_by(r, x, extra);
        for (int h = 0; h < heads; h++)
            attend_plain(at(x[0], r, h * head_dim), &seen, h / shared * head_dim, head_dim,
                         at(out, r, h * head_dim));
    }
}

static const struct operator attention = {"attention", run_attention, plain_attention, false,
                                          false};

/* Runs one layout with `past` rows in front; `same` true: q, k and v are one tensor. */
static void check_attention(const struct layout_row *row, int heads, int key_heads, int head_dim,
                            int past, bool same)
{
    struct caches caches;
    struct packed packed;
    caches_init(&caches, key_heads * head_dim);
    pack(row, &caches, &packed);
    int rows = packed.layout.rows, cols = heads * head_dim, width = key_heads * head_dim;
    struct operator_case c = {
        &attention,
        row->name,
        {{rows, cols, 0}, {rows, width, 0}, {rows, width, 0}, {past, width, 0}, {past, width, 0}},
        rows,
        cols,
        {.layout = &packed.layout, .layer = 1, .head_dim = head_dim}};
    if (same)
        c.operands[1] = c.operands[2] = (struct operand){.same = 1};
    char problem[PROBLEM_BYTES];
    if (!check_operator(&c, problem))
        fail_msg("attention, %s, heads %d, key heads %d, head_dim %d, past %d%s: %s", row->name,
                 heads, key_heads, head_dim, past, same ? ", q = k = v" : "", problem);
}

static void test_attention(void **state)
{
    (void)state;
    static const struct {
        int heads, key_heads, head_dim;
    } shapes[] = {{1, 1, 1}, {1, 1, 4}, {2, 1, 2}, {4, 2, 2}, {3, 3, 2}, {6, 2, 4}};
    for (size_t l = 0; l < COUNT(layouts); l++)
        for (size_t s = 0; s < COUNT(shapes); s++)
            check_attention(&layouts[l], shapes[s].heads, shapes[s].key_heads, shapes[s].head_dim,
                            0, false);
}

static void test_attention_past(void **state)
{
    (void)state;
    for (size_t l = 0; l < COUNT(layouts); l++) {
        check_attention(&layouts[l], 1, 1, 2, 1, false);
        check_attention(&layouts[l], 4, 2, 2, 3, false);
    }
}

static void test_attention_one_tensor(void **state)
{
    (void)state;
    for (size_t l = 0; l < COUNT(layouts); l++)
        check_attention(&layouts[l], 2, 2, 3, l % 3, true);
}

/* Scores far apart or all equal must not overflow or lose the sum. */
static void test_attention_extreme(void **state)
{
    (void)state;
    struct arena arena;
    struct tape tape;
    arena_init(&arena, NULL);
    tape_init(&tape, &arena, NULL);
    tape_start(&tape, false);
    struct segment segment = {.length = 3, .parent = -1};
    struct layout layout = {.rows = 3, .segments = &segment, .n_segments = 1};
    const struct attention how = {.layout = &layout, .head_dim = 1};
    real q[] = {1e3, 1e3, 0}, k[] = {1e3, -1e3, 5}, v[] = {1, 2, 6};
    struct tensor *out =
        op_attention(&tape, tape_constant(&tape, q, 3, 1), tape_constant(&tape, k, 3, 1),
                     tape_constant(&tape, v, 3, 1), &how);
    assert_true(out->data[0] == 1);
    assert_true(out->data[1] == 1); /* 1e6 against -1e6: all weight on the first */
    assert_true(support_near((double)out->data[2], 3, 1e-15));
    tape_release(&tape);
    arena_release(&arena);
}

/* ---- cross-entropy ---- */

static struct tensor *run_cross_entropy(struct tape *tape, struct tensor **x,
                                        const struct extra *extra)
{
    return op_cross_entropy(tape, x[0], x[1], extra->ids, extra->weights, NULL);
}

static double plain_nll(struct tensor **x, int row, int target)
{
    double sum = 0, at_target = 0;
    for (int v = 0; v < x[1]->rows; v++) {
        double logit = 0;
        for (int c = 0; c < x[0]->cols; c++)
            logit += (double)*at(x[0], row, c) * (double)*at(x[1], v, c);
        sum += exp(logit);
        if (v == target)
            at_target = logit;
    }
    return log(sum) - at_target;
}

static void plain_cross_entropy(struct tensor **x, const struct extra *extra, struct tensor *out)
{
    double sum = 0;
    for (int r = 0; r < x[0]->rows; r++)
        sum += (double)extra->weights[r] * plain_nll(x, r, extra->ids[r]);
    *out->data = (real)sum;
}

enum { LOSS_ROWS = 70, LOSS_WORDS = 7 };

struct loss_input {
    int32_t targets[LOSS_ROWS];
    real weights[LOSS_ROWS];
};

static struct loss_input loss_input(void)
{
    struct loss_input input;
    for (int r = 0; r < LOSS_ROWS; r++) {
        input.targets[r] = r * 5 % LOSS_WORDS;
        input.weights[r] = (real)(r % 4 == 3 ? 0 : 1.0 / (r + 1));
    }
    return input;
}

static void test_cross_entropy(void **state)
{
    (void)state;
    static const struct operator op = {"cross_entropy", run_cross_entropy, plain_cross_entropy,
                                       false, true};
    const struct loss_input input = loss_input();
    const struct extra extra = {.ids = input.targets, .weights = input.weights};
    const struct operator_case cases[] = {
        {&op, "one row", {{1, 3, 0}, {LOSS_WORDS, 3, 0}}, 1, 1, extra},
        {&op, "rows", {{5, 4, 0}, {LOSS_WORDS, 4, 0}}, 1, 1, extra},
        {&op, "a full block", {{32, 2, 0}, {LOSS_WORDS, 2, 0}}, 1, 1, extra},
        {&op, "a block and a row", {{33, 2, 0}, {LOSS_WORDS, 2, 0}}, 1, 1, extra},
        {&op, "three blocks", {{LOSS_ROWS, 2, 0}, {LOSS_WORDS, 2, 0}}, 1, 1, extra},
        {&op, "x as weight", {{LOSS_WORDS, 3, 0}, {0, 0, 1}}, 1, 1, extra},
    };
    check_all(cases, COUNT(cases));
}

static void test_cross_entropy_rows(void **state)
{
    (void)state;
    struct arena arena;
    struct tape tape;
    arena_init(&arena, NULL);
    tape_init(&tape, &arena, NULL);
    tape_start(&tape, false);
    const struct loss_input input = loss_input();
    struct tensor *x = tape_tensor(&tape, LOSS_ROWS, 3), *w = tape_tensor(&tape, LOSS_WORDS, 3);
    support_fill(x->data, tensor_size(x), "states", 0, 1);
    support_fill(w->data, tensor_size(w), "head", 0, 1);
    double nll[LOSS_ROWS];
    op_cross_entropy(&tape, x, w, input.targets, input.weights, nll);
    for (int r = 0; r < LOSS_ROWS; r++)
        assert_true(
            support_near(nll[r], plain_nll((struct tensor *[]){x, w}, r, input.targets[r]), 1e-12));
    *at(x, 0, 0) = 1e4; /* logits beyond what exp can hold */
    op_cross_entropy(&tape, x, w, input.targets, input.weights, nll);
    double best = -1e30;
    for (int v = 0; v < LOSS_WORDS; v++)
        best = fmax(best, 1e4 * (double)*at(w, v, 0));
    assert_true(support_near(nll[0], best - 1e4 * (double)*at(w, input.targets[0], 0), 1e-2));
    tape_release(&tape);
    arena_release(&arena);
}

/* ---- the tape itself ---- */

struct fixture {
    struct arena arena;
    struct tape tape;
};

static struct tensor *leaf(struct fixture *f, int rows, int cols, bool trained)
{
    struct tensor *t = tape_tensor(&f->tape, rows, cols);
    support_fill(t->data, tensor_size(t), "leaf", 0, 1);
    t->needs_grad = trained;
    return t;
}

/* A long chain needs only a few gradient buffers, and none before backward runs. */
static void test_tape_reuses_gradients(void **state)
{
    (void)state;
    enum { ROWS = 100, LINKS = 200 };
    struct fixture f;
    arena_init(&f.arena, NULL);
    tape_init(&f.tape, &f.arena, NULL);
    static real ones[ROWS * ROWS];
    for (int i = 0; i < ROWS * ROWS; i++)
        ones[i] = 1;
    for (int round = 0; round < 3; round++) {
        arena_clear(&f.arena);
        tape_start(&f.tape, true);
        struct tensor *first = leaf(&f, ROWS, ROWS, true), *x = first;
        struct tensor *still = leaf(&f, 1, ROWS, false);
        for (int i = 0; i < LINKS; i++)
            x = op_add(&f.tape, op_scale(&f.tape, x, tape_constant(&f.tape, ones, 1, ROWS)), x);
        struct tensor *loss = dot(&f.tape, op_scale(&f.tape, x, still), ones);
        if (round == 0)
            assert_int_equal(arena_held(&f.tape.grads), 0);
        tape_backward(&f.tape, loss);
        assert_null(still->grad);
        assert_null(x->grad);
        assert_null(f.tape.last);
        double want = ldexp((double)still->data[1], LINKS);
        assert_true(fabs((double)first->grad[1] / want - 1) < 1e-12);
        assert_true(arena_held(&f.tape.grads) < 5 * sizeof ones);
    }
    tape_release(&f.tape);
    arena_release(&f.arena);
}

/* What does not reach the loss is left alone, and a loss without trained operands is no error. */
static void test_tape_dead_ends(void **state)
{
    (void)state;
    struct fixture f;
    arena_init(&f.arena, NULL);
    tape_init(&f.tape, &f.arena, NULL);
    tape_start(&f.tape, true);
    const real one = 1;
    struct tensor *x = leaf(&f, 1, 1, true), *y = leaf(&f, 1, 1, true), *z = leaf(&f, 1, 1, false);
    struct tensor *used = op_add(&f.tape, x, z);
    struct tensor *unused = op_add(&f.tape, x, y);
    tape_backward(&f.tape, dot(&f.tape, used, &one));
    assert_null(unused->grad);
    assert_null(y->grad);
    assert_null(z->grad);
    assert_true(*x->grad == 1);
    tape_start(&f.tape, true);
    tape_backward(&f.tape, dot(&f.tape, z, &one));
    assert_null(f.tape.last);
    assert_null(z->grad);
    tape_release(&f.tape);
    arena_release(&f.arena);
}

/* ---- wrong operators must be found ---- */

struct pair {
    struct node node;
    struct tensor *x, *y;
};

static struct tensor *record_pair(struct tape *tape, struct tensor **x, bool needed,
                                  void (*backward)(struct tape *, struct node *))
{
    struct tensor *out = tape_tensor(tape, x[0]->rows, x[0]->cols);
    plain_swiglu(x, NULL, out);
    struct pair *n = tape_record(tape, sizeof *n, out, needed, backward);
    if (n) {
        n->x = x[0];
        n->y = x[1];
    }
    return out;
}

static double sigmoid(real x)
{
    return 1 / (1 + exp(-(double)x));
}

/* The gradient of swiglu with a fault: `slip` is added to the derivative of the sigmoid. */
static void faulty_backward(struct tape *tape, struct node *node, double slip, bool frozen,
                            bool overwrite)
{
    struct pair *n = (struct pair *)node;
    real *dx = n->x->needs_grad || frozen ? tape_grad(tape, n->x) : NULL;
    real *dy = n->y->needs_grad || frozen ? tape_grad(tape, n->y) : NULL;
    for (size_t i = 0; i < tensor_size(n->x); i++) {
        real g = n->x->data[i], up = n->y->data[i], d = node->out->grad[i];
        double s = sigmoid(g);
        double down = (double)(d * up) * s * (1 + (double)g * (1 - s) + slip);
        if (dx)
            dx[i] = (overwrite ? 0 : dx[i]) + (real)down;
        if (dy)
            dy[i] += d * g * (real)s;
    }
}

static void right(struct tape *tape, struct node *node)
{
    faulty_backward(tape, node, 0, false, false);
}

static void slightly_off(struct tape *tape, struct node *node)
{
    faulty_backward(tape, node, 1e-6, false, false);
}

static void frozen_too(struct tape *tape, struct node *node)
{
    faulty_backward(tape, node, 0, true, false);
}

static void overwriting(struct tape *tape, struct node *node)
{
    faulty_backward(tape, node, 0, false, true);
}

static void forgetting(struct tape *tape, struct node *node)
{
    (void)tape;
    (void)node;
}

static bool any(struct tensor **x)
{
    return x[0]->needs_grad || x[1]->needs_grad;
}

static struct tensor *run_right(struct tape *tape, struct tensor **x, const struct extra *extra)
{
    (void)extra;
    return record_pair(tape, x, any(x), right);
}

static struct tensor *run_off(struct tape *tape, struct tensor **x, const struct extra *extra)
{
    (void)extra;
    return record_pair(tape, x, any(x), slightly_off);
}

static struct tensor *run_frozen(struct tape *tape, struct tensor **x, const struct extra *extra)
{
    (void)extra;
    return record_pair(tape, x, any(x), frozen_too);
}

static struct tensor *run_overwriting(struct tape *tape, struct tensor **x,
                                      const struct extra *extra)
{
    (void)extra;
    return record_pair(tape, x, any(x), overwriting);
}

static struct tensor *run_forgetting(struct tape *tape, struct tensor **x,
                                     const struct extra *extra)
{
    (void)extra;
    return record_pair(tape, x, any(x), forgetting);
}

static struct tensor *run_recording(struct tape *tape, struct tensor **x, const struct extra *extra)
{
    (void)extra;
    return record_pair(tape, x, true, right);
}

static struct tensor *run_sparing(struct tape *tape, struct tensor **x, const struct extra *extra)
{
    (void)extra;
    return record_pair(tape, x, x[0]->needs_grad, right);
}

static struct tensor *run_wrong_result(struct tape *tape, struct tensor **x,
                                       const struct extra *extra)
{
    (void)extra;
    struct tensor *out = record_pair(tape, x, any(x), right);
    out->data[tensor_size(out) - 1] += 1e-10;
    return out;
}

static struct tensor *run_meddling(struct tape *tape, struct tensor **x, const struct extra *extra)
{
    (void)extra;
    struct tensor *out = record_pair(tape, x, any(x), right);
    x[1]->data[0] += 1e-14;
    return out;
}

static void test_checker_finds_fault(void **state)
{
    (void)state;
    static const struct {
        const char *problem; /* its beginning; NULL: there is none */
        struct operator op;
    } faults[] = {
        {NULL, {"right", run_right, plain_swiglu, false, false}},
        {"gradient of operand 0", {"slightly off", run_off, plain_swiglu, false, false}},
        {"an operand that needs no", {"frozen too", run_frozen, plain_swiglu, false, false}},
        {"gradient of operand 0", {"overwriting", run_overwriting, plain_swiglu, false, false}},
        {"a gradient is missing", {"forgetting", run_forgetting, plain_swiglu, false, false}},
        {"needs_grad of the result", {"recording", run_recording, plain_swiglu, false, false}},
        {"needs_grad of the result", {"sparing", run_sparing, plain_swiglu, false, false}},
        {"result: element", {"wrong result", run_wrong_result, plain_swiglu, false, false}},
        {"an operand was changed", {"meddling", run_meddling, plain_swiglu, false, false}},
        {"in place is not", {"not in place", run_right, plain_swiglu, true, false}},
    };
    for (size_t i = 0; i < COUNT(faults); i++) {
        const struct operator_case c = {&faults[i].op, "faulty", {{2, 3, 0}, {2, 3, 0}}, 2, 3, {0}};
        char problem[PROBLEM_BYTES];
        bool passed = check_operator(&c, problem);
        assert_int_equal(passed, faults[i].problem == NULL);
        if (!passed)
            assert_memory_equal(problem, faults[i].problem, strlen(faults[i].problem));
    }
}

int main(void)
{
    blas_single_thread();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_embedding),
        cmocka_unit_test(test_gather),
        cmocka_unit_test(test_linear),
        cmocka_unit_test(test_low_rank),
        cmocka_unit_test(test_large_low_rank),
        cmocka_unit_test(test_rms_norm),
        cmocka_unit_test(test_swiglu),
        cmocka_unit_test(test_relu),
        cmocka_unit_test(test_add),
        cmocka_unit_test(test_scale),
        cmocka_unit_test(test_scale_over),
        cmocka_unit_test(test_encoders),
        cmocka_unit_test(test_rope),
        cmocka_unit_test(test_attention),
        cmocka_unit_test(test_attention_past),
        cmocka_unit_test(test_attention_one_tensor),
        cmocka_unit_test(test_attention_extreme),
        cmocka_unit_test(test_cross_entropy),
        cmocka_unit_test(test_cross_entropy_rows),
        cmocka_unit_test(test_tape_reuses_gradients),
        cmocka_unit_test(test_tape_dead_ends),
        cmocka_unit_test(test_checker_finds_fault),
    };
    return cmocka_run_group_tests_name("operators", tests, NULL, NULL);
}
