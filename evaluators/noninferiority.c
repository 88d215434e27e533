/* SPDX-License-Identifier: Apache-2.0 */
#include "evaluators/noninferiority.h"

#include <math.h>
#include <stdbool.h>

enum { HALVINGS = 60 }; /* of an interval no longer than 2: below the spacing of doubles */

/* ---- Paired ---------------------------------------------------------------------------------- */

struct pairs {
    double lost, gained, examples;
};

/* The likeliest probability of a loss when the difference is `delta`: the root of Tango's quadratic
 * a q^2 + b q + c, in the form that loses no digits. */
static double likeliest_loss(struct pairs p, double delta)
{
    double a = 2 * p.examples;
    double b = (2 * p.examples - p.gained + p.lost) * delta - p.gained - p.lost;
    double c = -p.lost * delta * (1 - delta);
    double root = sqrt(fmax(0, b * b - 4 * a * c));
    double q = b > 0 ? -2 * c / (b + root) : (root - b) / (2 * a);
    return fmin(fmax(q, fmax(0, -delta)), (1 - delta) / 2);
}

/* Standard errors by which what was seen lies above `delta`; falls as delta grows. */
static double score(struct pairs p, double delta)
{
    double miss = p.gained - p.lost - p.examples * delta;
    double variance = p.examples * (2 * likeliest_loss(p, delta) + delta * (1 - delta));
    if (miss == 0)
        return 0;
    return variance > 0 ? miss / sqrt(variance) : copysign(INFINITY, miss);
}

/* The `delta` between `low` and `high` whose score is `z`. */
static double solve(struct pairs p, double z, double low, double high)
{
    for (int i = 0; i < HALVINGS; i++) {
        double middle = 0.5 * (low + high);
        if (score(p, middle) > z)
            low = middle;
        else
            high = middle;
    }
    return 0.5 * (low + high);
}

struct interval paired_difference_interval(int64_t lost, int64_t gained, int64_t examples,
                                           double confidence)
{
    bool valid = lost >= 0 && gained >= 0 && examples >= 1 && lost <= examples &&
                 gained <= examples - lost && confidence > 0 && confidence < 1;
    if (!valid)
        return (struct interval){NAN, NAN};
    struct pairs p = {(double)lost, (double)gained, (double)examples};
    double z = normal_quantile(0.5 + 0.5 * confidence);
    double seen = (p.gained - p.lost) / p.examples;
    return (struct interval){.low = lost == examples ? -1 : solve(p, z, -1, seen),
                             .high = gained == examples ? 1 : solve(p, -z, seen, 1)};
}

/* ---- Unpaired -------------------------------------------------------------------------------- */

static bool are_shares(int64_t before, int64_t before_examples, int64_t after,
                       int64_t after_examples)
{
    return before_examples >= 1 && after_examples >= 1 && before >= 0 && after >= 0 &&
           before <= before_examples && after <= after_examples;
}

struct interval unpaired_difference_interval(int64_t before, int64_t before_examples, int64_t after,
                                             int64_t after_examples, double confidence)
{
    if (!are_shares(before, before_examples, after, after_examples))
        return (struct interval){NAN, NAN};
    double old = (double)before / (double)before_examples;
    double new = (double)after / (double)after_examples;
    struct interval a = wilson_interval(before, before_examples, confidence);
    struct interval b = wilson_interval(after, after_examples, confidence);
    return (struct interval){.low = new - old - hypot(new - b.low, a.high - old),
                             .high = new - old + hypot(b.high - new, old - a.low)};
}

static double log_choose(double n, double k)
{
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1);
}

/* The right answers are dealt to both sides at random: the chance that the second gets as few. */
double fisher_second_worse(int64_t before, int64_t before_examples, int64_t after,
                           int64_t after_examples)
{
    if (!are_shares(before, before_examples, after, after_examples))
        return NAN;
    double m = (double)before_examples, n = (double)after_examples;
    double right = (double)before + (double)after, sum = 0;
    int64_t fewest = before + after > before_examples ? before + after - before_examples : 0;
    double all = log_choose(m + n, right);
    for (int64_t count = after; count >= fewest; count--) {
        double k = (double)count;
        double term = exp(log_choose(n, k) + log_choose(m, right - k) - all);
        sum += term;
        /* Left of the mode each term is smaller than the one before. */
        if (term < 1e-18 * sum && k < right * n / (m + n))
            break;
    }
    return fmin(1, sum);
}

/* ---- How many -------------------------------------------------------------------------------- */

double pairs_needed(double discordant, double difference, double margin, double alpha, double power)
{
    double spread = discordant - difference * difference;
    double distance = margin + difference;
    if (!(discordant <= 1 && spread >= 0 && distance > 0 && alpha > 0 && alpha < 1 && power > 0 &&
          power < 1))
        return NAN;
    double sum =
        normal_quantile(1 - alpha) * sqrt(discordant) + normal_quantile(power) * sqrt(spread);
    return sum * sum / (distance * distance);
}
