/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether something got worse: one verdict from the answers before and after.
 *
 * The rule, with a margin m of what may be lost and difference = after - before:
 *
 *   pass          the lower bound of the difference, one-sided at 95 %, lies above -m, and no class
 *                 or slice is a regression
 *   regression    the whole: not shown to be within the margin (its lower bound is at or below -m),
 *                 and worse by an exact one-sided test at 4 %; or some class or slice: the same,
 *                 where the tests of all classes and slices together have 1 % (Holm 1979)
 *   inconclusive  neither: more examples are needed. It is not a pass
 *
 * Error rates. What is no worse than before is called a regression with a probability of at most
 * 4 % + 1 % = 5 %: all tests are exact and Holm's correction holds for dependent tests. What is
 * worse by m or more passes with a probability of about 5 % (at most 5.8 % from 20 pairs on; see
 * evaluators/noninferiority.h). A loss that is real and shown to be smaller than m passes: that is
 * what a margin is for. What the error rates cover is the choice of the examples; that training
 * again gives another model is not in them.
 *
 * The same examples on both sides (`paired`): exact McNemar test and Tango's interval. Different
 * examples: Fisher's exact test and Newcombe's interval, which need several times as many. A metric
 * that is no share of right answers (macro F1, say) is judged by a bootstrap over the pairs, whose
 * 4 % is approximate. A bootstrap knows no difference that it has not seen, so the lower bound is
 * then the lower one of its own and of that of the share of right answers. Classes and slices are
 * judged by right answers under every metric.
 *
 * A class is that of the true answer, so its share is the recall. Classes and slices with so few
 * examples that even losing all of them would prove nothing are left out of the correction.
 */
#ifndef EVALUATORS_GUARD_H
#define EVALUATORS_GUARD_H

#include "base/memory.h"
#include "evaluators/metrics.h"

#define GUARD_CONFIDENCE 0.95 /* of the one-sided bounds */
#define GUARD_WHOLE      0.04 /* level of the test of the whole */
#define GUARD_GROUPS     0.01 /* level of all tests of classes and slices together */
#define GUARD_POWER      0.8  /* of the numbers of examples needed */

enum guard_verdict { GUARD_PASS, GUARD_REGRESSION, GUARD_INCONCLUSIVE };

const char *guard_verdict_name(enum guard_verdict verdict); /* "pass" ... */

struct guard_question {
    const struct metric *metric;             /* higher is better */
    size_t classes;                          /* labels; 0 when the task has none */
    double margin;                           /* in the unit of the metric, >= 0 */
    bool paired;                             /* before[i] and after[i] answer the same example */
    const struct prediction *before, *after; /* `correct` is set */
    size_t before_count, after_count;        /* >= 1; equal when paired */
    const int *slice;   /* (after_count) slice of each, 0 .. slice_count - 1; NULL: none. Slices
                           need pairs, since the baseline knows none */
    size_t slice_count; /* 0: none */
    uint64_t seed;      /* of the bootstrap */
};

enum guard_part { GUARD_PART_WHOLE, GUARD_PART_CLASS, GUARD_PART_SLICE };

/* The whole, a class or a slice. */
struct guard_group {
    enum guard_part part;
    size_t index;               /* of the class or slice */
    size_t before, after;       /* examples */
    double was, is;             /* the metric (the whole) or the share of right answers */
    double difference;          /* is - was */
    double low, high;           /* one-sided bounds of it at 95 % each */
    int64_t lost, gained;       /* pairs right before only, after only; 0 unpaired */
    double p, adjusted;         /* that it is worse; adjusted (Holm) for classes and slices */
    bool tested;                /* enough examples that a loss could show at all */
    enum guard_verdict verdict; /* of this group by itself */
};

struct guard_result {
    enum guard_verdict verdict;
    struct guard_group whole;
    struct guard_group *groups; /* classes that occur, in their order, then slices; in the arena */
    size_t group_count;

    /* How many examples, of the same kind and in all, would give a verdict with probability 80 %:
     * a pass, if the true difference is the one seen or 0, whichever is worse; and a regression, if
     * it is the one seen. NAN where no number would. */
    double examples_to_pass, examples_to_show_drop;
};

/* FAILED when the metric cannot be computed from the predictions, USAGE for unpaired examples with
 * a metric that is no share. */
enum status guard_decide(const struct guard_question *question, struct arena *arena,
                         struct guard_result *result, struct error *err);

#endif
