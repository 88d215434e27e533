/* SPDX-License-Identifier: Apache-2.0
 *
 * Statistics of measured trials: how sure a number is, and whether two numbers differ.
 *
 * Pure functions of their arguments: nothing is allocated for the caller, nothing fails. Arguments
 * outside the stated range give NAN (never a plausible number). The closed forms agree with scipy
 * within 1e-9 relative (tests/parity/make_statistics.py). Bootstraps take a seed and give the same
 * bytes for the same seed on one machine type, whatever the number of threads around them.
 */
#ifndef EVALUATORS_STATISTICS_H
#define EVALUATORS_STATISTICS_H

#include <stddef.h>
#include <stdint.h>

struct interval {
    double low;
    double high;
};

/* ---- Distributions -------------------------------------------------------------------------- */

double normal_cdf(double z);
double normal_quantile(double p); /* 0 <= p <= 1; -inf at 0, +inf at 1 */

/* I_x(a, b), the regularised incomplete beta function; a, b > 0, 0 <= x <= 1. Continued fraction
 * 8.17.22 of the NIST Digital Library of Mathematical Functions, with the prefactor written as
 * deviances (Loader 2000), so that large a and b cost no digits. */
double beta_regularised(double a, double b, double x);
double beta_regularised_inverse(double a, double b, double p); /* the x with I_x(a, b) = p */

double student_t_cdf(double t, double freedom);      /* freedom > 0, need not be whole */
double student_t_quantile(double p, double freedom); /* 0 <= p <= 1 */

/* ---- Proportions: k successes of n, 0 <= k <= n, 0 < confidence < 1, two-sided --------------- */

/* Wilson 1927. [0, 1] for n = 0. The default interval of every reported share: honest for small n
 * and near 0 and 1, where k/n +- 2 standard errors is not. */
struct interval wilson_interval(int64_t k, int64_t n, double confidence);

/* Of what has this 95 % interval, taken to be normal. */
double interval_variance(struct interval interval);

/* By how much two shares of n answers differ by chance: two standard errors of the difference, as
 * if each had been given its own examples, which is too wide rather than too narrow where both had
 * the same. Infinite when n is 0. */
double share_by_chance(double a, double b, double n);

/* Clopper and Pearson 1934: never covers less than it says, hence wider. [0, 1] for n = 0. */
struct interval clopper_pearson_interval(int64_t k, int64_t n, double confidence);

/* ---- Means and ranks ------------------------------------------------------------------------ */

struct moments {
    size_t count;
    double mean;     /* NAN for count 0 */
    double variance; /* unbiased (divides by count - 1); NAN for count < 2 */
};

struct moments moments_of(const double *values, size_t count);

/* Student's t interval of a mean; NAN bounds for count < 2. */
struct interval mean_interval(struct moments moments, double confidence);

/* Spearman's rank correlation, ties get their mean rank; NAN when a side is constant or count < 2.
 */
double spearman(const double *x, const double *y, size_t count);

/* ---- Paired comparison of two techniques on the same examples ------------------------------- */

/* McNemar's test in its exact (binomial) form. `first_only` counts the examples that only the first
 * got right, `second_only` those that only the second did; examples on which they agree do not
 * matter. All values are p-values; each is 1 when there is no discordant pair. */
struct mcnemar {
    double two_sided;     /* they differ */
    double second_worse;  /* one-sided: the second is worse than the first */
    double second_better; /* one-sided: the second is better */
    double mid_p;         /* two-sided, half the weight on the observed table (Fagerland 2013) */
};

struct mcnemar mcnemar_exact(int64_t first_only, int64_t second_only);

/* Holm 1979: p-values adjusted for `count` tests, in the order given. A hypothesis is rejected at
 * level alpha when its adjusted value is <= alpha. `adjusted` may be `p` itself. */
void holm_adjust(const double *p, size_t count, double *adjusted);

/* ---- Bootstrap ------------------------------------------------------------------------------ */

struct bootstrap {
    size_t resamples;  /* >= 1; 10,000 is the choice for a verdict, 2,000 for a display */
    uint64_t seed;     /* same seed, same bytes */
    double confidence; /* of the two-sided percentile interval; 0.90 gives 95 % one-sided bounds */
};

/* A statistic of a resample: the items index[0 .. count - 1], with repetitions. */
typedef double bootstrap_statistic(const void *context, const size_t *index, size_t count);

/* Percentile interval of `statistic` over `count` items. NAN bounds for count 0 or when a resample
 * gives NAN. */
struct interval bootstrap_interval(bootstrap_statistic *statistic, const void *context,
                                   size_t count, struct bootstrap options);

struct paired_difference {
    double mean; /* of second - first */
    double low;  /* percentile interval of that mean */
    double high;
    double share_below_zero; /* of the resamples whose mean is < 0; ties at 0 count half */
};

/* Bootstrap of mean(second) - mean(first), resampling examples so that a pair stays together.
 * `cluster` (may be NULL) holds the group number of each example, any numbers; then whole groups
 * are resampled, which is right where examples of a group are near copies of each other. When all
 * pairs are equal the interval is a point: that is no evidence beyond this sample. NAN for count 0.
 */
struct paired_difference paired_bootstrap(const double *first, const double *second,
                                          const int64_t *cluster, size_t count,
                                          struct bootstrap options);

/* Scores of several techniques on the same examples; higher is better (negate a loss). A technique
 * may have several rows, one for each training seed; the rows of a technique follow each other. */
struct score_matrix {
    const double *scores; /* (rows, examples) */
    size_t examples;
    size_t techniques;
    const size_t *rows; /* (techniques) rows of each technique, >= 1; NULL = one each */
};

struct standing {
    double mean; /* over rows and examples */
    double low;  /* percentile interval of the mean */
    double high;
    double probability_best;   /* share of resamples in which it leads; shared leads are split */
    double probability_target; /* share of resamples in which its mean is >= target */
    double opportunity_cost;   /* mean over resamples of leader's mean - its mean, >= 0 */
};

/* Joint bootstrap: each resample draws examples once for all techniques, then for each technique as
 * many of its rows as it has, so that both example noise and seed noise count. Fills
 * `standings` (techniques). NAN fields when there are no examples, and for a technique with a NAN
 * score. */
void joint_bootstrap(const struct score_matrix *matrix, double target, struct bootstrap options,
                     struct standing *standings);

#endif
