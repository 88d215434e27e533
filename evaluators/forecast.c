/* SPDX-License-Identifier: Apache-2.0 */
#include "evaluators/forecast.h"

#include <math.h>

#include "evaluators/statistics.h"

/* Exponents of losses are small (Zhang et al. 2024: 0.015 to 0.15), those of errors of
 * classification are not. */
static const double exponents[CURVE_EXPONENTS] = {0.03, 0.06, 0.1, 0.15, 0.2, 0.3, 0.4,
                                                  0.5,  0.65, 0.8, 1,    1.5, 2};
static const double knees[CURVE_KNEES] = {0, 30, 100, 300, 1000, 3000};

/* Prior; see the header. */
static const double floor_mean = 0.25, drop_mean = 0.75, prior_deviation = 0.5;
static const double flat_share = 0.2;
static const double prior_shape = 2, prior_scale = 2;

/* Of the search for a size, each that much larger than the one before. */
static const double step = 1.189207115002721; /* 2^(1/4) */

/* ---- Fitting -------------------------------------------------------------------------------- */

/* What can still be learned with so many examples, 1 at the smallest size. */
static double shape(const struct curve *curve, const struct curve_cell *cell, double examples)
{
    double knee = cell->knee > 0 ? pow(cell->knee, cell->exponent) : 0;
    return (knee + pow(curve->first, cell->exponent)) / (knee + pow(examples, cell->exponent));
}

/* Sums over the points, each with the weight 1 / variance. */
struct sums {
    double weight;
    double h, y;   /* weighted means of shape and value */
    double hh, hy; /* weighted sums of squares and products about these means */
};

static struct sums sum_up(const struct curve *curve, const struct curve_cell *cell,
                          const struct curve_point *points, size_t count)
{
    struct sums s = {0};
    for (size_t i = 0; i < count; i++) {
        double weight = 1 / points[i].variance;
        s.weight += weight;
        s.h += weight * shape(curve, cell, points[i].examples);
        s.y += weight * points[i].value;
    }
    s.h /= s.weight;
    s.y /= s.weight;
    for (size_t i = 0; i < count; i++) {
        double weight = 1 / points[i].variance;
        double h = shape(curve, cell, points[i].examples) - s.h;
        s.hh += weight * h * h;
        s.hy += weight * h * (points[i].value - s.y);
    }
    return s;
}

/* Sum of squares of what posterior means leave over, in points and prior. */
static double misfit(const struct curve *curve, const struct curve_cell *cell,
                     const struct curve_point *points, size_t count, double level)
{
    double deviation = prior_deviation * level;
    double floor_miss = (cell->floor - floor_mean * level) / deviation;
    double drop_miss = (cell->drop - drop_mean * level) / deviation;
    double sum = floor_miss * floor_miss + drop_miss * drop_miss;
    for (size_t i = 0; i < count; i++) {
        double h = shape(curve, cell, points[i].examples);
        double miss = points[i].value - cell->floor - cell->drop * h;
        sum += miss * miss / points[i].variance;
    }
    return sum;
}

/* The posterior of one cell by the normal equations of the two unknowns. Sums are about the means,
 * so that shapes that hardly differ cost no digits. Leaves the logarithm of the evidence, up to
 * what all cells share, in `weight`. */
static void fit_cell(struct curve *curve, struct curve_cell *cell, const struct curve_point *points,
                     size_t count, double level)
{
    struct sums s = sum_up(curve, cell, points, count);
    double prior = 1 / (prior_deviation * level * prior_deviation * level);
    double ff = prior + s.weight, fd = s.weight * s.h, dd = prior + s.weight * s.h * s.h + s.hh;
    double determinant = prior * dd + s.weight * (prior + s.hh);
    /* The right-hand sides less those of the prior means, which are added again below. */
    double floor0 = floor_mean * level, drop0 = drop_mean * level;
    double mean_miss = s.y - floor0 - drop0 * s.h, slope_miss = s.hy - drop0 * s.hh;
    double rf = s.weight * mean_miss, rd = s.weight * s.h * mean_miss + slope_miss;
    cell->floor = floor0 + (dd * rf - fd * rd) / determinant;
    cell->drop = drop0 + (ff * rd - fd * rf) / determinant;
    cell->floor_variance = dd / determinant;
    cell->drop_variance = ff / determinant;
    cell->covariance = -fd / determinant;
    double a = curve->freedom / 2;
    double b = prior_scale + 0.5 * misfit(curve, cell, points, count, level);
    cell->spread = b / a;
    cell->weight = log(prior) - 0.5 * log(determinant) - a * log(b);
}

static void fit_cells(struct curve *curve, const struct curve_point *points, size_t count,
                      double level)
{
    double most = -INFINITY, sum = 0;
    for (size_t i = 0; i < CURVE_CELLS; i++) {
        struct curve_cell *cell = &curve->cells[i];
        bool flat = i == CURVE_CELLS - 1; /* with the exponent 0 */
        cell->exponent = flat ? 0 : exponents[i / CURVE_KNEES];
        cell->knee = flat ? 0 : knees[i % CURVE_KNEES];
        fit_cell(curve, cell, points, count, level);
        cell->weight += log(flat ? flat_share : (1 - flat_share) / (CURVE_CELLS - 1));
        most = fmax(most, cell->weight);
    }
    for (size_t i = 0; i < CURVE_CELLS; i++)
        sum += curve->cells[i].weight = exp(curve->cells[i].weight - most);
    for (size_t i = 0; i < CURVE_CELLS; i++)
        curve->cells[i].weight /= sum;
}

static enum status check_points(const struct curve_point *points, size_t count, double ceiling,
                                struct error *err)
{
    size_t sizes = 0;
    if (!(ceiling > 0))
        return error_set(err, FAILED, "a learning curve has a ceiling above 0, not %g", ceiling);
    for (size_t i = 0; i < count; i++) {
        const struct curve_point *p = &points[i];
        if (!(p->examples >= 1 && p->value >= 0 && p->variance > 0) || isinf(p->examples) ||
            isinf(p->value) || isinf(p->variance))
            return error_set(err, FAILED,
                             "a point of a learning curve has at least 1 example, a value from 0 "
                             "and a variance above 0, not %g, %g and %g",
                             p->examples, p->value, p->variance);
        size_t same = 0;
        while (points[same].examples < p->examples || points[same].examples > p->examples)
            same++;
        sizes += same == i;
    }
    if (sizes < CURVE_LEAST_SIZES)
        return error_set(err, FAILED, "it takes trials at %d sizes or more, and there %s %zu",
                         CURVE_LEAST_SIZES, sizes == 1 ? "is" : "are", sizes);
    return OK;
}

enum status curve_fit(const struct curve_point *points, size_t count, double ceiling,
                      struct curve *curve, struct error *err)
{
    enum status status = check_points(points, count, ceiling, err);
    if (status != OK)
        return status;
    *curve = (struct curve){.first = points[0].examples,
                            .last = points[0].examples,
                            .ceiling = ceiling,
                            .freedom = 2 * prior_shape + (double)count};
    double level = 0;
    for (size_t i = 0; i < count; i++) {
        curve->first = fmin(curve->first, points[i].examples);
        curve->last = fmax(curve->last, points[i].examples);
        /* Without any error the deviation is the only unit there is. */
        level = fmax(level, fmax(points[i].value, sqrt(points[i].variance)));
    }
    fit_cells(curve, points, count, level);
    return OK;
}

/* ---- Predicting ----------------------------------------------------------------------------- */

/* The mixture at one size: Student t distributions of one freedom. */
struct mixture {
    double freedom;
    double density; /* of the standard Student t at 0 */
    size_t count;
    struct {
        double weight, middle, scale;
    } parts[CURVE_CELLS];
    double lowest, highest; /* ends within which every quantile of interest lies */
    double median, width;   /* predictions are stretched about the median */
    double ceiling;
};

/* Chance of a value of at most `y`, before stretching. */
static double mixture_cdf(const struct mixture *m, double y)
{
    double sum = 0;
    for (size_t i = 0; i < m->count; i++)
        sum += m->parts[i].weight *
               student_t_cdf((y - m->parts[i].middle) / m->parts[i].scale, m->freedom);
    return sum;
}

static double mixture_density(const struct mixture *m, double y)
{
    double sum = 0, power = -0.5 * (m->freedom + 1);
    for (size_t i = 0; i < m->count; i++) {
        double t = (y - m->parts[i].middle) / m->parts[i].scale;
        sum += m->parts[i].weight / m->parts[i].scale * pow(1 + t * t / m->freedom, power);
    }
    return sum * m->density;
}

/* Newton's method inside a bracket, which is halved where a step leaves it. */
static double mixture_quantile(const struct mixture *m, double p)
{
    double low = m->lowest, high = m->highest, y = 0.5 * (low + high);
    for (int round = 0; round < 100; round++) {
        double miss = mixture_cdf(m, y) - p;
        if (miss > 0)
            high = y;
        else
            low = y;
        double next = y - miss / mixture_density(m, y);
        if (!(next > low && next < high))
            next = 0.5 * (low + high);
        bool settled = fabs(next - y) <= 1e-12 * (m->highest - m->lowest);
        y = next;
        if (settled)
            break;
    }
    return y;
}

/* How much wider an interval is for what may happen beyond the sizes seen; NAN: beyond reach. */
static double widening(const struct curve *curve, double examples)
{
    double ratio = examples / curve->last;
    if (!(examples >= curve->first && ratio <= CURVE_REACH))
        return NAN;
    return ratio <= 4 ? 1 : ratio <= 16 ? 1.5 : 2;
}

/* False beyond reach. */
static bool mixture_at(const struct curve *curve, double examples, double variance,
                       struct mixture *m)
{
    const double tail = 60; /* scales; far beyond any quantile from 0.001 to 0.999 */
    *m = (struct mixture){.freedom = curve->freedom,
                          .width = widening(curve, examples),
                          .ceiling = curve->ceiling,
                          .lowest = INFINITY,
                          .highest = -INFINITY};
    if (isnan(m->width) || !(variance >= 0))
        return false;
    double f = m->freedom;
    m->density = exp(lgamma((f + 1) / 2) - lgamma(f / 2)) / sqrt(f * acos(-1));
    for (size_t i = 0; i < CURVE_CELLS; i++) {
        const struct curve_cell *cell = &curve->cells[i];
        if (cell->weight < 1e-9)
            continue;
        double h = shape(curve, cell, examples);
        double own = cell->floor_variance + 2 * h * cell->covariance + h * h * cell->drop_variance;
        double scale = sqrt(cell->spread * (variance + fmax(own, 0)));
        double middle = cell->floor + cell->drop * h;
        m->parts[m->count].weight = cell->weight;
        m->parts[m->count].middle = middle;
        m->parts[m->count++].scale = scale;
        m->lowest = fmin(m->lowest, middle - tail * scale);
        m->highest = fmax(m->highest, middle + tail * scale);
    }
    m->median = mixture_quantile(m, 0.5);
    return true;
}

/* Of the prediction, stretched and kept within its bounds. */
static double predicted_quantile(const struct mixture *m, double p)
{
    double y = m->median + m->width * (mixture_quantile(m, p) - m->median);
    return fmin(fmax(y, 0), m->ceiling);
}

static double predicted_cdf(const struct mixture *m, double y)
{
    if (y < 0 || y >= m->ceiling)
        return y < 0 ? 0 : 1;
    return fmin(mixture_cdf(m, m->median + (y - m->median) / m->width), 1);
}

bool curve_at(const struct curve *curve, double examples, double variance,
              struct forecast *forecast)
{
    struct mixture m;
    *forecast = (struct forecast){NAN, NAN, NAN};
    if (!mixture_at(curve, examples, variance, &m))
        return false;
    *forecast = (struct forecast){.median = fmin(fmax(m.median, 0), m.ceiling),
                                  .low = predicted_quantile(&m, 0.1),
                                  .high = predicted_quantile(&m, 0.9)};
    return true;
}

double curve_chance(const struct curve *curve, double examples, double variance, double target)
{
    struct mixture m;
    if (isnan(target) || !mixture_at(curve, examples, variance, &m))
        return NAN;
    return predicted_cdf(&m, target);
}

/* The integral of a's distribution over b's, on a grid over the middle of both. */
double curve_chance_below(const struct curve *a, const struct curve *b, double examples,
                          double variance)
{
    enum { PARTS = 64 };
    struct mixture ma, mb;
    if (!mixture_at(a, examples, variance, &ma) || !mixture_at(b, examples, variance, &mb))
        return NAN;
    double low = predicted_quantile(&mb, 0.001), high = predicted_quantile(&mb, 0.999);
    /* Both at 0 is neither below the other: such cases count half. */
    double below_a = low > 0 ? predicted_cdf(&ma, low) : 0, below_b = 0, sum = 0;
    for (int i = 0; i <= PARTS; i++) {
        double y = low + (high - low) * i / PARTS;
        double next_a = predicted_cdf(&ma, y), next_b = i < PARTS ? predicted_cdf(&mb, y) : 1;
        sum += (next_b - below_b) * 0.5 * (below_a + next_a);
        below_a = next_a;
        below_b = next_b;
    }
    return sum;
}

/* ---- Searching for a size ------------------------------------------------------------------- */

/* Something that becomes likelier with more examples. */
struct search {
    const struct curve *curve, *rival; /* rival: NULL for a target */
    double variance, target;
};

static double chance_with(const struct search *s, double examples)
{
    if (s->rival)
        return curve_chance_below(s->curve, s->rival, examples, s->variance);
    return curve_chance(s->curve, examples, s->variance, s->target);
}

/* The first size on a grid with the chance asked for, and then the least one since the one before.
 */
static double least_size(const struct search *s, double from, double to, double chance)
{
    double below = from, size = from;
    while (size <= to && !(chance_with(s, size) >= chance)) {
        below = size;
        size = size < to ? fmin(ceil(size * step), to) : INFINITY;
    }
    if (size > to)
        return NAN;
    while (size - below > 1) {
        double middle = floor(0.5 * (below + size));
        if (chance_with(s, middle) >= chance)
            size = middle;
        else
            below = middle;
    }
    return size;
}

double curve_examples_for(const struct curve *curve, double variance, double target, double chance)
{
    struct search s = {.curve = curve, .variance = variance, .target = target};
    double from = ceil(curve->last);
    return least_size(&s, from, fmax(from, floor(CURVE_REACH * curve->last)), chance);
}

double curve_overtakes(const struct curve *a, const struct curve *b, double variance, double chance)
{
    struct search s = {.curve = a, .rival = b, .variance = variance};
    return least_size(&s, ceil(fmax(a->last, b->last)), floor(CURVE_REACH * fmin(a->last, b->last)),
                      chance);
}
