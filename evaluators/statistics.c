/* SPDX-License-Identifier: Apache-2.0 */
#include "evaluators/statistics.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/random.h"

static const double PI = 3.14159265358979323846;

/* ---- Normal distribution -------------------------------------------------------------------- */

double normal_cdf(double z)
{
    return 0.5 * erfc(-z / sqrt(2));
}

/* Start for the lower tail, p <= 1/4: Abramowitz and Stegun 26.2.23, within 4.5e-4. */
static double normal_tail_start(double p)
{
    double t = sqrt(-2 * log(p));
    double above = 2.515517 + t * (0.802853 + t * 0.010328);
    double below = 1 + t * (1.432788 + t * (0.189269 + t * 0.001308));
    return above / below - t;
}

/* Solves `miss` = 0 by Halley's steps, which triple the number of right digits each time. In the
 * middle the miss is taken from erf and p - 1/2, so that quantiles near 0 keep all their digits. */
static double normal_refine(double z, double p, bool middle)
{
    for (int step = 0; step < 4; step++) {
        double miss = middle ? 0.5 * erf(z / sqrt(2)) - (p - 0.5) : normal_cdf(z) - p;
        double newton = miss * sqrt(2 * PI) * exp(0.5 * z * z);
        z -= newton / (1 + 0.5 * z * newton);
    }
    return z;
}

double normal_quantile(double p)
{
    if (!(p >= 0 && p <= 1))
        return NAN;
    if (p == 0 || p == 1)
        return p == 0 ? -INFINITY : INFINITY;
    if (p > 0.75)
        return -normal_quantile(1 - p);
    if (p < 0.25)
        return normal_refine(normal_tail_start(p), p, false);
    return normal_refine((p - 0.5) * sqrt(2 * PI), p, true);
}

/* ---- Incomplete beta function --------------------------------------------------------------- */

/* log Gamma(z) minus Stirling's (z - 1/2) log z - z + log(2 pi) / 2; z > 0. */
static double stirling_error(double z)
{
    double sum = 0;
    while (z < 16) {
        sum += (z + 0.5) * log1p(1 / z) - 1;
        z += 1;
    }
    double s = 1 / (z * z);
    return sum + (1.0 / 12 - s * (1.0 / 360 -
                                  s * (1.0 / 1260 -
                                       s * (1.0 / 1680 - s * (1.0 / 1188 - s * 691.0 / 360360))))) /
                     z;
}

/* a log(1 + d/a), given the ratio (a + d) / a as well for where the sum would lose digits. */
static double scaled_log(double a, double d, double ratio)
{
    return fabs(d) < 0.5 * a ? a * log1p(d / a) : a * log(ratio);
}

/* Logarithm of x^a y^b / B(a, b), where y = 1 - x is given with its own digits. */
static double beta_log_prefactor(double a, double b, double x, double y)
{
    double n = a + b;
    double d = x * b - y * a;
    return scaled_log(a, d, x * n / a) + scaled_log(b, -d, y * n / b) + stirling_error(n) -
           stirling_error(a) - stirling_error(b) + 0.5 * log(a / n * b / (2 * PI));
}

/* The continued fraction by the modified Lentz method; quick where x < (a + 1) / (a + b + 2). */
static double beta_fraction(double a, double b, double x)
{
    const double tiny = 1e-300;
    double c = 1;
    double d = 1 / fmax(1 - (a + b) * x / (a + 1), tiny);
    double value = d;
    for (int m = 1; m < 1000000; m++) {
        double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        d = 1 + even * d;
        c = 1 + even / c;
        d = 1 / (fabs(d) < tiny ? tiny : d);
        c = fabs(c) < tiny ? tiny : c;
        value *= c * d;
        double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        d = 1 + odd * d;
        c = 1 + odd / c;
        d = 1 / (fabs(d) < tiny ? tiny : d);
        c = fabs(c) < tiny ? tiny : c;
        value *= c * d;
        if (fabs(c * d - 1) < 4 * DBL_EPSILON)
            break;
    }
    return value;
}

/* I_x(a, b) for a pair x + y = 1, so that neither end loses digits. */
static double beta_of_pair(double a, double b, double x, double y)
{
    if (x <= 0 || y <= 0)
        return x <= 0 ? 0 : 1;
    double prefactor = exp(beta_log_prefactor(a, b, x, y));
    if (x < (a + 1) / (a + b + 2))
        return prefactor * beta_fraction(a, b, x) / a;
    return 1 - prefactor * beta_fraction(b, a, y) / b;
}

/* Its logarithm, which does not underflow; `prefactor` is that of beta_log_prefactor. */
static double beta_log_of_pair(double a, double b, double x, double y, double prefactor)
{
    if (x < (a + 1) / (a + b + 2))
        return prefactor + log(beta_fraction(a, b, x) / a);
    return log1p(-exp(prefactor) * beta_fraction(b, a, y) / b);
}

double beta_regularised(double a, double b, double x)
{
    if (!(a > 0 && b > 0 && x >= 0 && x <= 1) || isinf(a) || isinf(b))
        return NAN;
    return beta_of_pair(a, b, x, 1 - x);
}

struct pair {
    double x;
    double y; /* 1 - x */
};

/* The pair with I_x(a, b) = p for 0 < p <= 1/2, by Newton's method for log I over the log-odds t of
 * x. There log I is concave, so every step but the first comes from below and none overshoots. */
static struct pair beta_lower_quantile(double a, double b, double p)
{
    const double far = 700; /* x and y stay above the smallest normal number */
    double t = fmin(fmax(log(a / b), -far), far);
    for (int step = 0; step < 200; step++) {
        double x = 1 / (1 + exp(-t));
        double y = 1 / (1 + exp(t));
        double prefactor = beta_log_prefactor(a, b, x, y);
        double value = beta_log_of_pair(a, b, x, y, prefactor);
        double change = (log(p) - value) / exp(prefactor - value);
        double next = fmin(fmax(t + change, -far), far);
        bool settled = fabs(next - t) <= 4 * DBL_EPSILON * fmax(1, fabs(t));
        t = next;
        if (settled)
            break;
    }
    if (t <= -far)
        return (struct pair){0, 1};
    return (struct pair){1 / (1 + exp(-t)), 1 / (1 + exp(t))};
}

/* As above for any p with 0 < p < 1; q = 1 - p is given with its own digits. */
static struct pair beta_quantile(double a, double b, double p, double q)
{
    if (p <= 0.5)
        return beta_lower_quantile(a, b, p);
    struct pair mirror = beta_lower_quantile(b, a, q);
    return (struct pair){mirror.y, mirror.x};
}

double beta_regularised_inverse(double a, double b, double p)
{
    if (!(a > 0 && b > 0 && p >= 0 && p <= 1) || isinf(a) || isinf(b))
        return NAN;
    if (p == 0 || p == 1)
        return p;
    return beta_quantile(a, b, p, 1 - p).x;
}

/* ---- Student's t ---------------------------------------------------------------------------- */

double student_t_cdf(double t, double freedom)
{
    if (!(freedom > 0) || isnan(t))
        return NAN;
    if (isinf(freedom))
        return normal_cdf(t);
    double ratio = fabs(t) / sqrt(freedom);
    double square = ratio > 1 ? 1 / ratio / ratio : ratio * ratio;
    double small = square / (1 + square);
    double large = 1 / (1 + square);
    double tail = ratio > 1 ? beta_of_pair(freedom / 2, 0.5, small, large)
                            : beta_of_pair(freedom / 2, 0.5, large, small);
    return t < 0 ? tail / 2 : 1 - tail / 2;
}

double student_t_quantile(double p, double freedom)
{
    if (!(p >= 0 && p <= 1 && freedom > 0))
        return NAN;
    if (p == 0 || p == 1)
        return p == 0 ? -INFINITY : INFINITY;
    if (isinf(freedom))
        return normal_quantile(p);
    if (p == 0.5)
        return 0;
    double tail = p < 0.5 ? p : 1 - p;
    struct pair pair = beta_quantile(freedom / 2, 0.5, 2 * tail, 2 * (0.5 - tail));
    double t = sqrt(freedom * (pair.y / pair.x));
    return p < 0.5 ? -t : t;
}

/* ---- Proportions ---------------------------------------------------------------------------- */

static bool is_share(int64_t k, int64_t n, double confidence)
{
    return n >= 0 && k >= 0 && k <= n && confidence > 0 && confidence < 1;
}

/* The two bounds solve (1 + z^2/n) x^2 - (2 k/n + z^2/n) x + (k/n)^2 = 0; the lower one is taken
 * from their product, since the difference would lose digits for small k. */
struct interval wilson_interval(int64_t k, int64_t n, double confidence)
{
    if (!is_share(k, n, confidence))
        return (struct interval){NAN, NAN};
    if (n == 0)
        return (struct interval){0, 1};
    double z = normal_quantile(0.5 * (1 - confidence));
    double share = (double)k / (double)n;
    double pull = z * z / (double)n;
    double half = sqrt(pull * (share * (1 - share) + pull / 4));
    double high = k == n ? 1 : (share + pull / 2 + half) / (1 + pull);
    double low = k == 0 ? 0 : share * share / ((1 + pull) * high);
    return (struct interval){low, high};
}

double interval_variance(struct interval interval)
{
    double deviation = (interval.high - interval.low) / (2 * normal_quantile(0.975));
    return deviation * deviation;
}

double share_by_chance(double a, double b, double n)
{
    double share = fmin(fmax((a + b) / 2, 0), 1);
    return n > 0 ? 2 * sqrt(2 * share * (1 - share) / n) : INFINITY;
}

struct interval clopper_pearson_interval(int64_t k, int64_t n, double confidence)
{
    if (!is_share(k, n, confidence))
        return (struct interval){NAN, NAN};
    double tail = 0.5 * (1 - confidence);
    double hits = (double)k;
    double misses = (double)(n - k);
    struct interval bounds = {0, 1};
    if (k > 0)
        bounds.low = beta_quantile(hits, misses + 1, tail, 1 - tail).x;
    if (k < n)
        bounds.high = beta_quantile(hits + 1, misses, 1 - tail, tail).x;
    return bounds;
}

/* ---- Means and ranks ------------------------------------------------------------------------ */

struct moments moments_of(const double *values, size_t count)
{
    struct moments result = {count, NAN, NAN};
    if (count == 0)
        return result;
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += values[i];
    double mean = sum / (double)count;
    double rest = 0;
    double squares = 0;
    for (size_t i = 0; i < count; i++) {
        double difference = values[i] - mean;
        rest += difference;
        squares += difference * difference;
    }
    result.mean = mean + rest / (double)count;
    if (count > 1)
        result.variance = (squares - rest * rest / (double)count) / (double)(count - 1);
    return result;
}

struct interval mean_interval(struct moments moments, double confidence)
{
    if (moments.count < 2 || !(confidence > 0 && confidence < 1))
        return (struct interval){NAN, NAN};
    double n = (double)moments.count;
    double t = -student_t_quantile(0.5 * (1 - confidence), n - 1);
    double half = t * sqrt(moments.variance / n);
    return (struct interval){moments.mean - half, moments.mean + half};
}

struct ranked {
    double value;
    size_t index;
};

static int compare_ranked(const void *a, const void *b)
{
    double x = ((const struct ranked *)a)->value;
    double y = ((const struct ranked *)b)->value;
    return (x > y) - (x < y);
}

static void ranks_of(const double *values, size_t count, double *ranks)
{
    struct ranked *sorted = memory_alloc(count * sizeof *sorted);
    for (size_t i = 0; i < count; i++)
        sorted[i] = (struct ranked){values[i], i};
    qsort(sorted, count, sizeof *sorted, compare_ranked);
    for (size_t start = 0, end; start < count; start = end) {
        for (end = start + 1; end < count && sorted[end].value == sorted[start].value;)
            end++;
        double rank = 0.5 * (double)(start + end + 1); /* mean of start + 1 .. end */
        for (size_t i = start; i < end; i++)
            ranks[sorted[i].index] = rank;
    }
    free(sorted);
}

static double correlation(const double *x, const double *y, size_t count)
{
    double mean_x = moments_of(x, count).mean;
    double mean_y = moments_of(y, count).mean;
    double xx = 0, yy = 0, xy = 0;
    for (size_t i = 0; i < count; i++) {
        xx += (x[i] - mean_x) * (x[i] - mean_x);
        yy += (y[i] - mean_y) * (y[i] - mean_y);
        xy += (x[i] - mean_x) * (y[i] - mean_y);
    }
    return xx > 0 && yy > 0 ? fmin(fmax(xy / sqrt(xx * yy), -1), 1) : NAN;
}

double spearman(const double *x, const double *y, size_t count)
{
    if (count < 2)
        return NAN;
    for (size_t i = 0; i < count; i++)
        if (isnan(x[i]) || isnan(y[i]))
            return NAN;
    double *ranks = memory_alloc(2 * count * sizeof *ranks);
    ranks_of(x, count, ranks);
    ranks_of(y, count, ranks + count);
    double result = correlation(ranks, ranks + count, count);
    free(ranks);
    return result;
}

/* ---- Paired tests --------------------------------------------------------------------------- */

/* P(X <= k) for X binomial with n tries of chance 1/2; 0 <= k <= n. */
static double coin_cdf(int64_t k, int64_t n)
{
    return k >= n ? 1 : beta_of_pair((double)(n - k), (double)k + 1, 0.5, 0.5);
}

static double coin_probability(int64_t k, int64_t n)
{
    double prefactor = beta_log_prefactor((double)k + 1, (double)(n - k) + 1, 0.5, 0.5);
    return 4 * exp(prefactor) / ((double)n + 1);
}

struct mcnemar mcnemar_exact(int64_t first_only, int64_t second_only)
{
    if (first_only < 0 || second_only < 0)
        return (struct mcnemar){NAN, NAN, NAN, NAN};
    int64_t n = first_only + second_only;
    if (n == 0)
        return (struct mcnemar){1, 1, 1, 1};
    int64_t fewer = first_only < second_only ? first_only : second_only;
    double tail = coin_cdf(fewer, n);
    return (struct mcnemar){
        .two_sided = fmin(1, 2 * tail),
        .second_worse = coin_cdf(second_only, n),
        .second_better = coin_cdf(first_only, n),
        .mid_p = fmin(1, 2 * tail - coin_probability(fewer, n)),
    };
}

void holm_adjust(const double *p, size_t count, double *adjusted)
{
    struct ranked *sorted = memory_alloc(count * sizeof *sorted);
    for (size_t i = 0; i < count; i++)
        sorted[i] = (struct ranked){p[i], i};
    qsort(sorted, count, sizeof *sorted, compare_ranked);
    double largest = 0;
    for (size_t i = 0; i < count; i++) {
        largest = fmax(largest, (double)(count - i) * sorted[i].value);
        adjusted[sorted[i].index] = fmin(1, largest);
    }
    free(sorted);
}

/* ---- Bootstrap ------------------------------------------------------------------------------ */

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Linear interpolation between order statistics; position 0 is the smallest, 1 the largest. */
static double sorted_quantile(const double *sorted, size_t count, double position)
{
    double place = position * (double)(count - 1);
    size_t below = (size_t)place;
    if (below + 1 >= count)
        return sorted[count - 1];
    return sorted[below] + (place - (double)below) * (sorted[below + 1] - sorted[below]);
}

/* Sorts `values`. */
static struct interval percentile_interval(double *values, size_t count, double confidence)
{
    for (size_t i = 0; i < count; i++)
        if (isnan(values[i]))
            return (struct interval){NAN, NAN};
    qsort(values, count, sizeof *values, compare_doubles);
    double tail = 0.5 * (1 - confidence);
    return (struct interval){sorted_quantile(values, count, tail),
                             sorted_quantile(values, count, 1 - tail)};
}

static bool is_valid(struct bootstrap options)
{
    return options.resamples > 0 && options.confidence > 0 && options.confidence < 1;
}

struct interval bootstrap_interval(bootstrap_statistic *statistic, const void *context,
                                   size_t count, struct bootstrap options)
{
    if (count == 0 || !is_valid(options))
        return (struct interval){NAN, NAN};
    size_t *index = memory_alloc(count * sizeof *index);
    double *values = memory_alloc(options.resamples * sizeof *values);
    struct random random = random_stream(options.seed, "bootstrap", 0);
    for (size_t r = 0; r < options.resamples; r++) {
        for (size_t i = 0; i < count; i++)
            index[i] = random_below(&random, count);
        values[r] = statistic(context, index, count);
    }
    struct interval result = percentile_interval(values, options.resamples, options.confidence);
    free(values);
    free(index);
    return result;
}

/* Sum of the differences of one group of examples, and how many they are. */
struct group {
    int64_t cluster;
    double sum;
    double size;
};

static int compare_groups(const void *a, const void *b)
{
    int64_t x = ((const struct group *)a)->cluster;
    int64_t y = ((const struct group *)b)->cluster;
    return (x > y) - (x < y);
}

/* One group for each cluster, or for each example without clusters. Returns how many. */
static size_t groups_of(const double *first, const double *second, const int64_t *cluster,
                        size_t count, struct group *groups)
{
    for (size_t i = 0; i < count; i++)
        groups[i] = (struct group){cluster ? cluster[i] : (int64_t)i, second[i] - first[i], 1};
    if (!cluster)
        return count;
    qsort(groups, count, sizeof *groups, compare_groups);
    size_t last = 0;
    for (size_t i = 1; i < count; i++) {
        if (groups[i].cluster == groups[last].cluster) {
            groups[last].sum += groups[i].sum;
            groups[last].size += 1;
        } else {
            groups[++last] = groups[i];
        }
    }
    return last + 1;
}

static double resampled_mean(const struct group *groups, size_t count, struct random *random)
{
    double sum = 0, size = 0;
    for (size_t i = 0; i < count; i++) {
        const struct group *drawn = &groups[random_below(random, count)];
        sum += drawn->sum;
        size += drawn->size;
    }
    return sum / size;
}

static double mean_of_groups(const struct group *groups, size_t count)
{
    double sum = 0, size = 0;
    for (size_t i = 0; i < count; i++) {
        sum += groups[i].sum;
        size += groups[i].size;
    }
    return sum / size;
}

struct paired_difference paired_bootstrap(const double *first, const double *second,
                                          const int64_t *cluster, size_t count,
                                          struct bootstrap options)
{
    if (count == 0 || !is_valid(options))
        return (struct paired_difference){NAN, NAN, NAN, NAN};
    struct group *groups = memory_alloc(count * sizeof *groups);
    size_t group_count = groups_of(first, second, cluster, count, groups);
    double *means = memory_alloc(options.resamples * sizeof *means);
    struct random random = random_stream(options.seed, "paired bootstrap", 0);
    double below = 0;
    for (size_t r = 0; r < options.resamples; r++) {
        means[r] = resampled_mean(groups, group_count, &random);
        below += means[r] < 0 ? 1 : means[r] == 0 ? 0.5 : 0;
    }
    struct interval interval = percentile_interval(means, options.resamples, options.confidence);
    double mean = mean_of_groups(groups, group_count);
    free(means);
    free(groups);
    if (isnan(mean))
        below = NAN;
    return (struct paired_difference){mean, interval.low, interval.high,
                                      below / (double)options.resamples};
}

/* ---- Joint bootstrap ------------------------------------------------------------------------ */

static size_t rows_of(const struct score_matrix *matrix, size_t technique)
{
    return matrix->rows ? matrix->rows[technique] : 1;
}

static double weighted_sum(const double *scores, const double *weights, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += weights[i] * scores[i];
    return sum;
}

/* How often each example is drawn in one resample. */
static void draw_examples(struct random *random, size_t count, double *weights)
{
    for (size_t i = 0; i < count; i++)
        weights[i] = 0;
    for (size_t i = 0; i < count; i++)
        weights[random_below(random, count)] += 1;
}

/* Mean of each technique in one resample; drawn rows, weighted examples. */
static void resample_means(const struct score_matrix *matrix, struct random *random,
                           double *weights, double *means)
{
    draw_examples(random, matrix->examples, weights);
    const double *first_row = matrix->scores;
    for (size_t t = 0; t < matrix->techniques; t++) {
        size_t rows = rows_of(matrix, t);
        double sum = 0;
        for (size_t i = 0; i < rows; i++) {
            size_t row = rows == 1 ? 0 : random_below(random, rows);
            sum += weighted_sum(first_row + row * matrix->examples, weights, matrix->examples);
        }
        means[t] = sum / ((double)rows * (double)matrix->examples);
        first_row += rows * matrix->examples;
    }
}

/* Adds what one resample says to the sums in `standings`. */
static void count_resample(const double *means, size_t techniques, double target,
                           struct standing *standings)
{
    double best = -INFINITY;
    for (size_t t = 0; t < techniques; t++)
        best = fmax(best, means[t]);
    double leaders = 0;
    for (size_t t = 0; t < techniques; t++)
        leaders += means[t] == best;
    for (size_t t = 0; t < techniques; t++) {
        standings[t].probability_best += means[t] == best ? 1 / leaders : 0;
        standings[t].probability_target += means[t] >= target;
        standings[t].opportunity_cost += best - means[t];
    }
}

/* Means of the scores themselves, and NAN or zero in the rest. */
static void start_standings(const struct score_matrix *matrix, bool valid,
                            struct standing *standings)
{
    const double *scores = matrix->scores;
    for (size_t t = 0; t < matrix->techniques; t++) {
        double fill = valid ? 0 : NAN;
        standings[t] = (struct standing){NAN, NAN, NAN, fill, fill, fill};
        size_t elements = rows_of(matrix, t) * matrix->examples;
        if (valid)
            standings[t].mean = moments_of(scores, elements).mean;
        scores += elements;
    }
}

void joint_bootstrap(const struct score_matrix *matrix, double target, struct bootstrap options,
                     struct standing *standings)
{
    size_t techniques = matrix->techniques;
    bool valid = matrix->examples > 0 && is_valid(options);
    start_standings(matrix, valid, standings);
    if (!valid)
        return;
    double *weights = memory_alloc(matrix->examples * sizeof *weights);
    double *means = memory_alloc(techniques * sizeof *means);
    double *all = memory_alloc(techniques * options.resamples * sizeof *all);
    struct random random = random_stream(options.seed, "joint bootstrap", 0);
    for (size_t r = 0; r < options.resamples; r++) {
        resample_means(matrix, &random, weights, means);
        count_resample(means, techniques, target, standings);
        for (size_t t = 0; t < techniques; t++)
            all[t * options.resamples + r] = means[t];
    }
    double share = 1 / (double)options.resamples;
    for (size_t t = 0; t < techniques; t++) {
        double *mine = all + t * options.resamples;
        struct interval interval = percentile_interval(mine, options.resamples, options.confidence);
        standings[t].low = interval.low;
        standings[t].high = interval.high;
        standings[t].probability_best *= share;
        standings[t].probability_target *= share;
        standings[t].opportunity_cost *= share;
        if (isnan(standings[t].mean))
            standings[t] = (struct standing){NAN, NAN, NAN, NAN, NAN, NAN};
    }
    free(all);
    free(means);
    free(weights);
}
