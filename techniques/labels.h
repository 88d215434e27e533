/* SPDX-License-Identifier: Apache-2.0
 *
 * How labels are scored: along the trie of their tokens.
 *
 * Labels that begin with the same tokens share them, and only where labels part (a fork) is there
 * anything to decide. The probability of a label is the product, over the forks on its way, of the
 * softmax among the tokens that continue some label there: the distribution the model has when it
 * may say nothing but a label. Tokens behind a label's last fork cost nothing.
 */
#ifndef TECHNIQUES_LABELS_H
#define TECHNIQUES_LABELS_H

#include "techniques/adapted.h"

struct choice {
    int32_t token;
    int fork;  /* where it leads; -1 when only one label is left */
    int label; /* that label, or -1 */
};

struct fork {
    int parent;          /* earlier fork, or -1 for the first */
    int parent_choice;   /* which of the parent's choices (an index of `choices`) leads here */
    const int32_t *path; /* tokens from behind the parent fork to this one, its choice included */
    int path_length;
    int first_choice, n_choices;
    int labels; /* how many it leads to */
};

struct label_trie {
    struct fork *forks; /* parents before children; [0] is the first */
    int n_forks;
    struct choice *choices;
    int n_choices;
    int n_labels;
    int tokens; /* rows that scoring adds to each request: the sum of the path lengths */
};

/* The trie of adapted->data's labels, each followed by the end token; memory in adapted->arena.
 * BAD_DATA when two labels have the same tokens, or one has none. */
enum status label_trie_create(struct label_trie **trie, const struct adapted *adapted,
                              struct error *err);

/* The part of it that one fork has: from the logits of its choices (n_choices) and
 * reached[fork], the logarithm of the probability of coming there, to reached[] of the forks and
 * log_probabilities[] of the labels that its choices lead to. */
void label_trie_visit(const struct label_trie *trie, int fork, const real *logits, double *reached,
                      double *log_probabilities);

/* For a fork that is not visited: every label behind it gets the same share of reached[fork]. */
void label_trie_share(const struct label_trie *trie, int fork, const double *reached,
                      double *log_probabilities);

/* From the logits of all choices (n_choices, in their order) to the natural logarithms of the
 * label probabilities (n_labels), which sum to 1. `reached` is scratch of n_forks. */
void label_trie_distribution(const struct label_trie *trie, const real *logits, double *reached,
                             double *log_probabilities);

/* The natural logarithm of the sum of the exponentials of `count` values, `stride` apart. */
double log_sum_exp(const double *values, size_t count, size_t stride);

#endif
