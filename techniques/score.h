/* SPDX-License-Identifier: Apache-2.0
 *
 * Scoring labels: how likely the customised model finds each of them behind a request.
 *
 * Where labels are few, the whole trie of their tokens is read behind every request, in one pass.
 * Where they are many, it is searched: the request is read first, and then, in waves, of the forks
 * that were come to at most LABEL_BEAM for each example, the most probable first. A fork is read
 * while it is come to with more probability than the best label found has, so that it could hold a
 * better one, or with at least 0.05. So the answer and its probability are those of the
 * whole trie, and so is the probability of every group of labels behind a fork that was not read;
 * within such a group the labels get equal shares of it. Probabilities add up to 1 either way.
 */
#ifndef TECHNIQUES_SCORE_H
#define TECHNIQUES_SCORE_H

#include "techniques/labels.h"
#include "techniques/prompt.h"

enum {
    LABEL_ROWS = 16, /* rows of a trie up to which reading all of it is cheaper than searching */
    LABEL_BEAM = 8   /* forks of an example that are read together */
};

enum score_how { SCORE_BY_SIZE, SCORE_WHOLE, SCORE_SEARCH };

/* How many labels an example offers: in multiple choice the first ones, as many as its input lists,
 * otherwise all. */
int labels_offered(const struct dataset *data, const struct example *example);

/* What was found behind the request of each sequence. */
struct scores {
    double *log_probabilities; /* (count, labels) natural logarithms, of all labels */
    int *rows;                 /* (count) read behind each request */
};

/* Scores all labels; arrays live in `arena`. By size means: the whole trie when it has at most
 * LABEL_ROWS rows and always in multiple choice, where not every label is offered. The same bytes
 * with any number of threads. */
enum status score_labels(struct adapted *adapted, enum score_how how,
                         const struct sequence *sequences, size_t count, struct scores *scores,
                         struct arena *arena, const struct deadline *deadline, struct error *err);

/* The log-probabilities of all labels, (labels), from the states behind all forks of a trie,
 * (forks, n_embd). Works in `scratch` and leaves it as it was. */
void score_forks(const struct label_trie *trie, const real *states, const struct tensor *head,
                 struct arena *scratch, double *log_probabilities);

/* Fills what an outcome says of labels from their log-probabilities; its arrays live in `arena`.
 * Labels the example does not offer have probability 0, and the others share theirs. */
void score_fill(const struct adapted *adapted, const struct example *example,
                const double *log_probabilities, struct outcome *outcome, struct arena *arena);

#endif
