/* SPDX-License-Identifier: Apache-2.0
 *
 * The operators of a transformer. Each computes its result and records its backward on the tape,
 * and each is checked against finite differences in double precision and against a plain version
 * (tests/test_operators_double.c).
 *
 * Shapes are (rows, cols): a row is a token, a column a feature. An operator marked "in place"
 * hands on the data of its first operand, which must have no other reader.
 */
#ifndef MODEL_OPERATORS_H
#define MODEL_OPERATORS_H

#include <stdint.h>

#include "model/layout.h"
#include "model/tape.h"

/* Rows of `table` (vocabulary, n) picked by `ids`; id -1 - i picks row i of `extra` (may be NULL).
 */
struct tensor *op_embedding(struct tape *tape, struct tensor *table, struct tensor *extra,
                            const int32_t *ids, int rows);

/* x (rows, in) times the transpose of w (out, in), plus bias (1, out) unless NULL. */
struct tensor *op_linear(struct tape *tape, struct tensor *x, struct tensor *w,
                         struct tensor *bias);

/* What is added to a weight (out, in): scale * b a, of low rank (Hu et al. 2021, equation 3). */
struct low_rank {
    struct tensor *a; /* (r, in) */
    struct tensor *b; /* (out, r) */
    real scale;
};

/* The same with w + scale * b a instead of w; that sum is never computed. */
struct tensor *op_linear_low_rank(struct tape *tape, struct tensor *x, struct tensor *w,
                                  struct tensor *bias, const struct low_rank *low);

/* x / rms(x) * gain (1, cols), rms(x) = sqrt(mean(x^2) + epsilon) (Zhang and Sennrich 2019). */
struct tensor *op_rms_norm(struct tape *tape, struct tensor *x, struct tensor *gain, real epsilon);

/* The same with a result in `place`. */
struct tensor *op_rms_norm_at(struct tape *tape, struct place *place, struct tensor *x,
                              struct tensor *gain, real epsilon);

/* Which two of the `rotated` features of a head turn together. */
enum rope_pairs {
    ROPE_NEIGHBOURS, /* 2i and 2i + 1 */
    ROPE_HALVES      /* i and rotated / 2 + i */
};

/* Rotates the pairs of the first `rotated` features of each head of row r, pair i by the angle
 * position(r) * frequencies[i] (Su et al. 2021, equation 34). In place.
 * `cos_sin` is (rows, rotated): cos and sin of each pair, from rope_table. */
struct tensor *op_rope(struct tape *tape, struct tensor *x, const struct tensor *cos_sin,
                       int head_dim, enum rope_pairs pairs);

/* Fills `cos_sin` (layout->rows, rotated) for op_rope; `frequencies` has rotated / 2 entries. */
void rope_table(const struct layout *layout, const double *frequencies, struct tensor *cos_sin);

/* What attention needs to know besides q, k and v. */
struct attention {
    const struct layout *layout;
    int layer, head_dim;
    struct tensor *past_keys,
        *past_values; /* (n, n_head_kv * head_dim) seen by every row, trainable
                         (prefix tuning); NULL when there are none */
};

/* softmax(q k^T / sqrt(head_dim)) v within what each row may see. q is (rows, n_head * head_dim), k
 * and v are (rows, n_head_kv * head_dim); consecutive query heads share a key head (Ainslie et al.
 * 2023). The weights are computed anew in the backward pass instead of being stored. */
struct tensor *op_attention(struct tape *tape, struct tensor *q, struct tensor *k, struct tensor *v,
                            const struct attention *attention);

/* silu(gate) * up (Shazeer 2020, equation 6). */
struct tensor *op_swiglu(struct tape *tape, struct tensor *gate, struct tensor *up);

/* The same with a result in `place`. */
struct tensor *op_swiglu_at(struct tape *tape, struct place *place, struct tensor *gate,
                            struct tensor *up);

/* max(x, 0). In place. */
struct tensor *op_relu(struct tape *tape, struct tensor *x);

/* tanh(x). In place. */
struct tensor *op_tanh(struct tape *tape, struct tensor *x);

/* The columns of `left`, then those of `right`, which has as many rows. */
struct tensor *op_beside(struct tape *tape, struct tensor *left, struct tensor *right);

/* What an LSTM trains, in PyTorch's names: input is weight_ih (4 * hidden, in), hidden weight_hh
 * (4 * hidden, hidden), and their biases (1, 4 * hidden). The four parts of the rows are the input
 * gate, the forget gate, the cell and the output gate. */
struct lstm_weights {
    struct tensor *input, *hidden, *input_bias, *hidden_bias;
};

/* One layer of long short-term memory over the rows of x (rows, in), which begins with a state of
 * zero (Hochreiter and Schmidhuber 1997 with the forget gate of Gers et al. 2000). `reverse` begins
 * at the last row. The result is (rows, hidden). */
struct tensor *op_lstm(struct tape *tape, struct tensor *x, const struct lstm_weights *weights,
                       bool reverse);

struct tensor *op_add(struct tape *tape, struct tensor *x, struct tensor *y);

/* x + y in place of y, which must have no reader to come; where its values are needed on the way
 * back the sum has memory of its own. */
struct tensor *op_add_onto(struct tape *tape, struct tensor *x, struct tensor *y);

/* Each row of x times the vector `scale` (1, cols): IA3 (Liu et al. 2022, equation 1). */
struct tensor *op_scale(struct tape *tape, struct tensor *x, struct tensor *scale);

/* (x - offset) * scale / divisor + offset, all three (1, cols): the magnitudes of DoRA (Liu et al.
 * 2024, equation 5) over the lengths of the rows, past a bias that x has already. Divisor and
 * offset are constants that outlive the tape; an offset of NULL is zero. */
struct tensor *op_scale_over(struct tape *tape, struct tensor *x, struct tensor *scale,
                             const real *divisor, const real *offset);

/* Rows `rows[0 .. count - 1]` of x, in that order. */
struct tensor *op_gather(struct tape *tape, struct tensor *x, const int *rows, int count);

/* Sum over rows of weight[r] * -log softmax(x[r] w^T)[target[r]]: output head and cross-entropy in
 * one, a block of rows at a time, so that logits of (rows, vocabulary) never exist as a whole.
 * `nll` (rows) receives each row's loss without its weight, unless NULL. The result is (1, 1) and
 * must be the last operator of its tape. */
struct tensor *op_cross_entropy(struct tape *tape, struct tensor *x, struct tensor *w,
                                const int32_t *targets, const real *weights, double *nll);

#endif
