/* SPDX-License-Identifier: Apache-2.0 */
#include "evaluators/guard.h"

#include <math.h>
#include <stdlib.h>

#include "evaluators/noninferiority.h"

enum { RESAMPLES = 10000 };

static const double both_sides = 2 * GUARD_CONFIDENCE - 1; /* two-sided, for one-sided bounds */

const char *guard_verdict_name(enum guard_verdict verdict)
{
    static const char *const names[] = {[GUARD_PASS] = "pass",
                                        [GUARD_REGRESSION] = "regression",
                                        [GUARD_INCONCLUSIVE] = "inconclusive"};
    return names[verdict];
}

/* ---- Counting ------------------------------------------------------------------------------- */

/* Whether example `i`, whose answer is `p`, belongs to the group. */
static bool belongs(const struct guard_question *q, const struct guard_group *group,
                    const struct prediction *p, size_t i)
{
    if (group->part == GUARD_PART_CLASS)
        return p->truth == (int)group->index;
    return group->part == GUARD_PART_WHOLE || q->slice[i] == (int)group->index;
}

/* Right answers of a group on both sides. */
struct tally {
    int64_t was, is;
};

static struct tally count(const struct guard_question *q, struct guard_group *group)
{
    struct tally right = {0};
    for (size_t i = 0; i < q->before_count; i++) {
        if (!belongs(q, group, &q->before[i], i))
            continue;
        group->before++;
        right.was += q->before[i].correct;
        if (q->paired) {
            group->lost += q->before[i].correct && !q->after[i].correct;
            group->gained += !q->before[i].correct && q->after[i].correct;
        }
    }
    for (size_t i = 0; i < q->after_count; i++) {
        if (!belongs(q, group, &q->after[i], i))
            continue;
        group->after++;
        right.is += q->after[i].correct;
    }
    return right;
}

/* Difference, bounds and test of shares of right answers. Both sides have an example. */
static void compare_shares(const struct guard_question *q, struct guard_group *group)
{
    struct tally right = count(q, group);
    int64_t before = (int64_t)group->before, after = (int64_t)group->after;
    struct interval bounds;
    group->was = (double)right.was / (double)before;
    group->is = (double)right.is / (double)after;
    group->difference = group->is - group->was;
    if (q->paired) {
        bounds = paired_difference_interval(group->lost, group->gained, before, both_sides);
        group->p = mcnemar_exact(group->lost, group->gained).second_worse;
    } else {
        bounds = unpaired_difference_interval(right.was, before, right.is, after, both_sides);
        group->p = fisher_second_worse(right.was, before, right.is, after);
    }
    group->low = bounds.low;
    group->high = bounds.high;
    group->adjusted = group->p;
}

/* ---- Metrics that are no share -------------------------------------------------------------- */

struct resampling {
    const struct guard_question *question;
    struct prediction *before, *after; /* scratch */
    size_t *not_worse;                 /* resamples so far with a difference of 0 or more */
};

static double resampled_difference(const void *context, const size_t *index, size_t count)
{
    const struct resampling *r = context;
    const struct guard_question *q = r->question;
    for (size_t i = 0; i < count; i++) {
        r->before[i] = q->before[index[i]];
        r->after[i] = q->after[index[i]];
    }
    double difference = q->metric->value(r->after, count, q->classes) -
                        q->metric->value(r->before, count, q->classes);
    *r->not_worse += difference >= 0;
    return difference;
}

static enum status compare_metric(const struct guard_question *q, struct guard_group *whole,
                                  struct arena *arena, struct error *err)
{
    size_t n = q->before_count, not_worse = 0;
    if (!q->paired || q->metric->input != INPUT_LABELS)
        return error_set(err, USAGE,
                         "%s can only be compared on the same examples, since it is no share of "
                         "right answers; give the examples of the baseline, or bless with the "
                         "metric accuracy",
                         q->metric->name);
    struct resampling r = {.question = q,
                           .before = arena_alloc(arena, n * sizeof *r.before),
                           .after = arena_alloc(arena, n * sizeof *r.after),
                           .not_worse = &not_worse};
    struct bootstrap options = {.resamples = RESAMPLES, .seed = q->seed, .confidence = both_sides};
    struct interval bounds = bootstrap_interval(resampled_difference, &r, n, options);
    whole->was = q->metric->value(q->before, n, q->classes);
    whole->is = q->metric->value(q->after, n, q->classes);
    whole->difference = whole->is - whole->was;
    whole->low = fmin(whole->low, bounds.low);
    whole->high = bounds.high;
    whole->p = (double)(not_worse + 1) / (RESAMPLES + 1);
    whole->adjusted = whole->p;
    if (!isfinite(whole->difference) || !isfinite(whole->low) || !isfinite(whole->high))
        return error_set(err, FAILED, "%s has no value on these examples", q->metric->name);
    return OK;
}

/* ---- Verdicts ------------------------------------------------------------------------------- */

static enum guard_verdict judge(const struct guard_group *group, double margin, double level)
{
    if (group->low > -margin)
        return GUARD_PASS;
    return group->tested && group->adjusted <= level ? GUARD_REGRESSION : GUARD_INCONCLUSIVE;
}

/* Whether a loss could show at all: that of every example of the class or slice. Depends on the
 * number of examples alone, so leaving the others out of the correction is no choice by result. */
static bool can_show(const struct guard_question *q, const struct guard_group *group)
{
    int64_t before = (int64_t)group->before, after = (int64_t)group->after;
    double least = q->paired ? mcnemar_exact(before, 0).second_worse
                             : fisher_second_worse(before, before, 0, after);
    return least <= GUARD_GROUPS;
}

static void add_group(const struct guard_question *q, enum guard_part part, size_t index,
                      struct guard_result *result)
{
    struct guard_group group = {.part = part, .index = index};
    count(q, &group);
    if (!group.before || !group.after)
        return;
    group = (struct guard_group){.part = part, .index = index};
    compare_shares(q, &group);
    group.tested = can_show(q, &group);
    result->groups[result->group_count++] = group;
}

static void judge_groups(const struct guard_question *q, struct arena *arena,
                         struct guard_result *result)
{
    double *p = arena_alloc(arena, result->group_count * sizeof *p + 1);
    size_t tests = 0;
    for (size_t i = 0; i < result->group_count; i++)
        if (result->groups[i].tested)
            p[tests++] = result->groups[i].p;
    holm_adjust(p, tests, p);
    tests = 0;
    for (size_t i = 0; i < result->group_count; i++) {
        struct guard_group *group = &result->groups[i];
        group->adjusted = group->tested ? p[tests++] : 1;
        group->verdict = judge(group, q->margin, GUARD_GROUPS);
    }
}

static bool any_regression(const struct guard_result *result)
{
    for (size_t i = 0; i < result->group_count; i++)
        if (result->groups[i].verdict == GUARD_REGRESSION)
            return true;
    return result->whole.verdict == GUARD_REGRESSION;
}

/* ---- How many examples ---------------------------------------------------------------------- */

/* Examples that bring the bound `distance` away from a difference. Pairs of shares have a formula;
 * otherwise the bounds of now shrink with the root of the number. */
static double needed(const struct guard_question *q, const struct guard_group *whole,
                     double difference, double margin, double level)
{
    double n = (double)whole->after;
    if (q->paired && q->metric->proportion) {
        /* One more of each kind, so that none seen is not taken for none there is. */
        double discordant = ((double)(whole->lost + whole->gained) + 1) / (n + 1);
        discordant = fmax(discordant, difference * difference);
        return ceil(pairs_needed(discordant, difference, margin, level, GUARD_POWER));
    }
    double distance = margin + difference;
    double error = (whole->high - whole->low) / (2 * normal_quantile(GUARD_CONFIDENCE));
    double sum = normal_quantile(1 - level) + normal_quantile(GUARD_POWER);
    return distance > 0 && error > 0 ? ceil(n * pow(sum * error / distance, 2)) : NAN;
}

static void say_how_many(const struct guard_question *q, struct guard_result *result)
{
    const struct guard_group *whole = &result->whole;
    double assumed = fmin(0, whole->difference);
    result->examples_to_pass = needed(q, whole, assumed, q->margin, 1 - GUARD_CONFIDENCE);
    result->examples_to_show_drop = NAN;
    if (whole->difference < 0)
        result->examples_to_show_drop = needed(q, whole, -whole->difference, 0, GUARD_WHOLE);
}

/* ---- The decision --------------------------------------------------------------------------- */

enum status guard_decide(const struct guard_question *q, struct arena *arena,
                         struct guard_result *result, struct error *err)
{
    *result = (struct guard_result){.whole = {.part = GUARD_PART_WHOLE, .tested = true}};
    if (!q->before_count || !q->after_count || (q->paired && q->before_count != q->after_count))
        return error_set(err, FAILED, "%zu examples before and %zu after cannot be compared",
                         q->before_count, q->after_count);
    compare_shares(q, &result->whole);
    enum status status = OK;
    if (!q->metric->proportion)
        status = compare_metric(q, &result->whole, arena, err);
    if (status != OK)
        return status;
    result->whole.verdict = judge(&result->whole, q->margin, GUARD_WHOLE);
    result->groups = arena_alloc(arena, (q->classes + q->slice_count) * sizeof *result->groups + 1);
    for (size_t i = 0; i < q->classes; i++)
        add_group(q, GUARD_PART_CLASS, i, result);
    for (size_t i = 0; i < q->slice_count; i++)
        add_group(q, GUARD_PART_SLICE, i, result);
    judge_groups(q, arena, result);
    say_how_many(q, result);
    result->verdict = any_regression(result) ? GUARD_REGRESSION : result->whole.verdict;
    return OK;
}
