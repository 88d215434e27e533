/* SPDX-License-Identifier: Apache-2.0
 *
 * How alike two texts are: the measures behind token_f1, rouge_l and chrf, of one answer and its
 * one target. Texts are UTF-8; bytes that are not count as U+FFFD.
 */
#ifndef EVALUATORS_TEXT_METRICS_H
#define EVALUATORS_TEXT_METRICS_H

/* F1 of the words that both have, as SQuAD counts them (Rajpurkar et al. 2018, evaluation script
 * 2.0): small letters (those that answer_normalise knows), without ASCII punctuation and the words
 * a, an, the; split at white space; 1 when neither has a word, 0 when one has none. */
double text_token_f1(const char *answer, const char *target);

/* ROUGE-L (Lin 2004): F1 of the longest common subsequence of words, as the package rouge-score
 * counts it without stemming: words are runs of a-z and 0-9 after making letters small, so texts in
 * other scripts have none; 0 when a side has none. */
double text_rouge_l(const char *answer, const char *target);

enum { CHRF_ORDER = 6, CHRF_COUNTS = 3 * CHRF_ORDER };

/* For n = 1 .. 6 in turn: the n-grams of characters of the answer (0 where the target has none), of
 * the target, and those that both have. White space is left out. */
void text_chrf_count(const char *answer, const char *target, double counts[CHRF_COUNTS]);

/* chrF2 (Popovic 2015) of counts that may be sums over many texts, 0 .. 1: the F score, with recall
 * twice as important as precision, of the mean precision and recall over the n that both sides
 * have. It is sacrebleu's figure with its default settings, divided by 100. */
double text_chrf(const double counts[CHRF_COUNTS]);

#endif
