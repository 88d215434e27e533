/* SPDX-License-Identifier: Apache-2.0
 *
 * Suspected label noise: how many labels are probably wrong, told from the data alone.
 *
 * A naive Bayes classifier of words and pairs of words (complement naive Bayes, Rennie et al. 2003,
 * "Tackling the poor assumptions of naive Bayes text classifiers") scores every text from the other
 * nine tenths of the data. Its scores z become probabilities with one temperature T, and a label is
 * taken to be wrong with probability r, then any of the other K - 1 with the same chance:
 *
 *   P(label) = (1 - r) softmax(T z)[label] + r (1 - softmax(T z)[label]) / (K - 1)
 *
 * T takes care of how little the words say; r is what remains however sure the words are (a lapse
 * rate, as in Wichmann and Hill 2001, "The psychometric function"). Both are fitted by maximum
 * likelihood; the interval of r is where the profile likelihood is within 3.84 of its maximum,
 * twice the usual 1.92, since texts are more unlike each other than the formula knows, and its
 * lower end is a further 0.02 down, since a classifier of words is sure and wrong now and then.
 *
 * Measured on six sets of texts (SMS spam, TREC, SST-2, AG News, Banking77 and the demo tickets;
 * 250 to 2,000 of them, 0, 3, 10 or 20 % of the labels spoilt at random, two seeds): of 192 cases
 * it was silent in 46, and the interval held the share in 144 of the other 146.
 *
 * What it cannot see: noise that follows the words (an annotator who always mistakes one phrase),
 * and the difference between a wrong label and a text that words cannot judge (irony). It is a
 * reason to look at the rows listed, no verdict on them.
 */
#ifndef DATASETS_NOISE_H
#define DATASETS_NOISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/memory.h"
#include "datasets/dataset.h"

enum {
    NOISE_LEAST = 200, /* different texts below which nothing is claimed */
    NOISE_SUSPECTS = 5
};

/* A label that is wrong more likely than right. */
struct suspect {
    size_t example; /* index into data->examples */
    int label;      /* what the words say */
    double probability;
};

struct noise {
    bool known;
    const char *why;      /* when it is not known: a phrase, such as "fewer than 200 ..." */
    size_t examples;      /* different texts looked at; a sample of large data */
    double accuracy;      /* share of them that the words get right, 0 .. 1 */
    double rate;          /* most likely share of wrong labels, 0 .. 0.5 */
    double low, high;     /* about 95 %; 0 .. 0.5 */
    size_t suspect_count; /* labels wrong more likely than right */
    struct suspect suspects[NOISE_SUSPECTS]; /* the first of them, the most likely first */
};

/* `group` (count) as duplicates_find gives it: one text of each group is looked at, at most `most`
 * of them (0: 5000, which is the limit). The same data and seed give the same result.
 * Classification only; for other tasks it is not known. */
void noise_estimate(const struct dataset *data, const size_t *group, size_t most, uint64_t seed,
                    struct noise *noise);

#endif
