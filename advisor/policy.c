/* SPDX-License-Identifier: Apache-2.0 */
#include "advisor/policy.h"

#include <math.h>

#include "evaluators/statistics.h"

enum {
    FEW = 1024, /* examples; all of fewer are one size */
    FIRST_RUNG = 512,
    GROWTH = 4,
    LEAST_SIZE = 64,  /* of a part of the examples, and of a learning curve */
    LEAST_EPOCHS = 2, /* where nothing else fits */
    LEAST_SEEN = 512, /* examples, those of all passes, of a training that is cut short */
    CURVE_SIZES = 3,  /* that a learning curve takes */
    SEEDS = 2,        /* of finalists that tie; one more when nothing else is left */
    FINALISTS = 2
};

static const double screening_share = 0.45, rate_share = 0.2;

/* Arms that do not train by steps may take this share of the time, and each one of which little is
 * expected this share, unless nothing else is left. */
static const double once_share = 0.3, doubtful_share = 0.03;

/* The time that is kept for the first training is so many times what that is expected to take: a
 * first guess can be wrong. */
static const double first_margin = 1.15;

/* Points that an arm loses in the order of screening when seeing it through would take all the time
 * there is: what is dear has to promise more, the more so the less time there is. */
static const double points_for_time = 3;

/* Training takes a least number of steps, and fewer passes over more examples: a trial with 64
 * takes 0.42 of the time of one with 512, and one pass over 512 as long as four over 128. With that
 * one pass LoRA, IA3, adapter and full fine-tuning had 52.8 % right on the seven recorded tasks,
 * with four over 128 51.3 %, and with two over 512 55.1 %; what tells the techniques of a task
 * apart correlated with these by 0.82 and by 0.69. */
size_t policy_first_rung(size_t examples)
{
    return examples < FEW ? examples : FIRST_RUNG;
}

int policy_first_passes(size_t examples)
{
    return examples < FEW ? 0 : 1;
}

size_t policy_next_rung(size_t examples, size_t size)
{
    size_t next = GROWTH * size;
    return examples < 3 * next ? examples : next;
}

double policy_screening_share(void)
{
    return screening_share;
}

/* ---- What is known -------------------------------------------------------------------------- */

static const struct arm_trial *find_seed(const struct policy_view *v, size_t arm, size_t rate,
                                         size_t examples, size_t seed)
{
    for (size_t i = 0; i < v->trial_count; i++) {
        const struct arm_trial *t = &v->trials[i];
        if (t->arm == arm && t->rate == rate && t->examples == examples && t->seed == seed)
            return t;
    }
    return NULL;
}

static const struct arm_trial *find(const struct policy_view *v, size_t arm, size_t rate,
                                    size_t examples)
{
    return find_seed(v, arm, rate, examples, 0);
}

static bool better(const struct arm_trial *a, const struct arm_trial *b)
{
    if (!b || !a)
        return a != NULL;
    if (a->metric > b->metric || a->metric < b->metric)
        return a->metric > b->metric;
    return a->nll < b->nll;
}

/* The arm's best done trial with `examples` examples and the first seed, or NULL. */
static const struct arm_trial *best_at(const struct policy_view *v, size_t arm, size_t examples)
{
    const struct arm_trial *best = NULL;
    for (size_t i = 0; i < v->trial_count; i++) {
        const struct arm_trial *t = &v->trials[i];
        if (t->arm == arm && t->examples == examples && !t->seed && t->done && better(t, best))
            best = t;
    }
    return best;
}

/* Seconds spent so far, and those that are left. */
static double total_seconds(const struct policy_view *v)
{
    double total = v->left;
    for (size_t i = 0; i < v->trial_count; i++)
        total += v->trials[i].seconds;
    return total;
}

/* The least passes over `n` examples of a training that is cut short. */
static int least_epochs(size_t n)
{
    return (int)((LEAST_SEEN + n - 1) / n);
}

/* Seconds of training it on so many examples, with fewer passes if need be. */
static double shortest(const struct policy_view *v, size_t arm, size_t examples)
{
    return fmin(v->seconds(v->context, arm, examples, 0),
                v->seconds(v->context, arm, examples, least_epochs(examples)));
}

/* Whether some arm was trained with so many examples, or can be in `total` seconds. */
static bool is_within_reach(const struct policy_view *v, size_t examples, double total)
{
    for (size_t i = 0; i < v->trial_count; i++)
        if (v->arms[v->trials[i].arm].trained && v->trials[i].examples == examples)
            return true;
    for (size_t arm = 0; arm < v->arm_count; arm++)
        if (v->arms[arm].trained && v->arms[arm].least <= examples &&
            shortest(v, arm, examples) <= total)
            return true;
    return false;
}

/* The examples on which arms are screened: the first rung, halved until the time for trials takes
 * one arm. */
static size_t first_size(const struct policy_view *v)
{
    double total = total_seconds(v);
    size_t size = policy_first_rung(v->examples);
    while (size >= 2 * LEAST_SIZE && !is_within_reach(v, size, total))
        size /= 2;
    return size;
}

/* Passes over the examples on which arms are screened: 0, the usual number. */
static int first_passes(const struct policy_view *v)
{
    return v->examples < FEW ? 0 : least_epochs(first_size(v));
}

/* Likewise of trials of this size. */
static int passes_at(const struct policy_view *v, size_t examples)
{
    return examples < v->examples && examples == first_size(v) ? first_passes(v) : 0;
}

/* Seconds spent on arms that run once, and on those that train: screening alone, on other rates at
 * the same size, or all. */
struct spent {
    double once, screening, rates, all;
};

static struct spent count_spent(const struct policy_view *v)
{
    struct spent spent = {0};
    size_t first = first_size(v);
    for (size_t i = 0; i < v->trial_count; i++) {
        const struct arm_trial *t = &v->trials[i];
        if (!v->arms[t->arm].trained) {
            spent.once += t->seconds;
            continue;
        }
        spent.all += t->seconds;
        if (t->examples != first || t->seed)
            continue;
        if (t->rate == v->arms[t->arm].usual_rate)
            spent.screening += t->seconds;
        else
            spent.rates += t->seconds;
    }
    return spent;
}

/* The arm in place `place` (from 0) among the trained ones with a result at `examples`, the best
 * first; arm_count when there are not so many. */
static size_t arm_in_place(const struct policy_view *v, size_t examples, size_t place)
{
    for (size_t arm = 0; arm < v->arm_count; arm++) {
        const struct arm_trial *own = best_at(v, arm, examples);
        size_t ahead = 0;
        if (!own || !v->arms[arm].trained)
            continue;
        for (size_t other = 0; other < v->arm_count; other++) {
            const struct arm_trial *theirs = best_at(v, other, examples);
            if (other == arm || !theirs || !v->arms[other].trained)
                continue;
            ahead += better(theirs, own) || (!better(own, theirs) && other < arm);
        }
        if (ahead == place)
            return arm;
    }
    return v->arm_count;
}

static size_t count_at(const struct policy_view *v, size_t examples)
{
    size_t count = 0;
    for (size_t arm = 0; arm < v->arm_count; arm++)
        count += v->arms[arm].trained && best_at(v, arm, examples);
    return count;
}

/* ---- Choosing ------------------------------------------------------------------------------- */

static bool act(struct policy_action *action, size_t arm, size_t rate, size_t examples, int epochs)
{
    *action = (struct policy_action){arm, rate, examples, epochs, 0};
    return true;
}

/* The most examples, halved as often as needed, with which an arm without steps takes at most
 * `allowed` seconds; 0 when there is no such size. Answering alone costs the same at any size. */
static size_t affordable_once(const struct policy_view *v, size_t arm, double allowed)
{
    for (size_t n = v->examples; n >= v->arms[arm].least; n /= 2) {
        if (v->seconds(v->context, arm, n, 0) <= allowed)
            return n;
        if (n < 2 * LEAST_SIZE)
            break;
    }
    return 0;
}

/* Whether the arm ran with at least so many examples. */
static bool was_tried(const struct policy_view *v, size_t arm, size_t examples)
{
    for (size_t i = 0; i < v->trial_count; i++)
        if (v->trials[i].arm == arm && v->trials[i].examples >= examples)
            return true;
    return false;
}

/* The rate an arm is to be screened with: the usual one, and after it failed the next lower one;
 * rate_count when it has been screened. */
static size_t screening_rate(const struct policy_view *v, size_t arm)
{
    const struct arm *a = &v->arms[arm];
    size_t first = first_size(v);
    for (size_t rate = a->usual_rate;; rate--) {
        const struct arm_trial *trial = find(v, arm, rate, first);
        if (!trial)
            return rate;
        if (trial->done || !rate)
            return a->rate_count;
    }
}

/* The arm's prior, less what it costs to screen it and to train it on all examples. */
static double promise(const struct policy_view *v, size_t arm, int epochs)
{
    size_t first = first_size(v);
    double seconds = v->seconds(v->context, arm, first, epochs);
    if (v->examples > first)
        seconds += shortest(v, arm, v->examples);
    return v->arms[arm].prior - points_for_time * seconds / v->left;
}

/* The most promising trained arm that has not been screened and can be, with so many passes (0: the
 * usual number), for `allowed` seconds, other than `but`; arm_count when there is none. */
static size_t next_to_screen(const struct policy_view *v, int epochs, double allowed, size_t but)
{
    size_t chosen = v->arm_count, first = first_size(v);
    double most = -INFINITY;
    for (size_t arm = 0; arm < v->arm_count; arm++) {
        const struct arm *a = &v->arms[arm];
        if (arm == but || !a->trained || a->least > first || was_tried(v, arm, first + 1) ||
            screening_rate(v, arm) == a->rate_count ||
            !(v->seconds(v->context, arm, first, epochs) <= allowed))
            continue;
        double own = promise(v, arm, epochs);
        if (chosen < v->arm_count && own <= most)
            continue;
        chosen = arm;
        most = own;
    }
    return chosen;
}

/* While nothing was trained: the arm that is to be trained first, and the time that is kept for it;
 * arm_count when none surely fits. */
static size_t first_to_train(const struct policy_view *v, double *seconds)
{
    const double surely = v->left / first_margin;
    size_t first = first_size(v), arm = v->arm_count;
    const int passes[] = {first_passes(v), least_epochs(first)};
    *seconds = 0;
    if (count_spent(v).all > 0)
        return arm;
    for (size_t i = 0; arm == v->arm_count && i < sizeof passes / sizeof *passes; i++)
        arm = next_to_screen(v, passes[i], surely, v->arm_count);
    if (arm < v->arm_count)
        *seconds = first_margin * shortest(v, arm, first);
    return arm;
}

/* Arms without steps, again only where there is time for more examples than before, those with the
 * highest prior first, as far as all of them together take a share of the time; what costs nothing
 * always. None takes the time of the first one to be trained, if more is expected of that. */
static bool run_once(const struct policy_view *v, double share, struct policy_action *action)
{
    struct spent spent = count_spent(v);
    double kept, total = spent.once + spent.all + v->left;
    double allowed = fmax(fmin(share * total - spent.once, v->left), 0);
    double little = share < 1 ? fmin(doubtful_share * total, allowed) : allowed;
    size_t trained = first_to_train(v, &kept), chosen = v->arm_count, size = 0;
    for (size_t arm = 0; arm < v->arm_count; arm++) {
        double prior = v->arms[arm].prior;
        bool waits = trained < v->arm_count && v->arms[trained].prior > prior;
        if (v->arms[arm].trained)
            continue;
        size_t n = affordable_once(v, arm, prior > 0 ? allowed : fmax(little, 0));
        if (!n || was_tried(v, arm, n) ||
            (waits && v->seconds(v->context, arm, n, 0) > v->left - kept))
            continue;
        if (chosen == v->arm_count || prior > v->arms[chosen].prior) {
            chosen = arm;
            size = n;
        }
    }
    return chosen < v->arm_count && act(action, chosen, 0, size, 0);
}

/* While nothing was trained, fewer passes are better than nothing. */
static bool screen_briefly(const struct policy_view *v, struct policy_action *action)
{
    size_t first = first_size(v);
    int epochs = least_epochs(first) < LEAST_EPOCHS ? least_epochs(first) : LEAST_EPOCHS;
    size_t arm = next_to_screen(v, epochs, v->left, v->arm_count);
    if (arm == v->arm_count)
        return false;
    while (v->seconds(v->context, arm, first, epochs + 1) <= v->left)
        epochs++;
    return act(action, arm, screening_rate(v, arm), first, epochs);
}

/* Passes over `n` examples for which there is time: 0, the usual number; else fewer; -1: none.
 *
 * Two passes over all of 363 examples did as well as four over half of them, or better (IA3 0.873
 * and 0.870, LoRA 0.850 and 0.817 on trec); but two over 128 did far worse than four (IA3 0.655 and
 * 0.853). */
static int affordable_epochs(const struct policy_view *v, size_t arm, size_t n)
{
    int epochs = least_epochs(n);
    if (v->seconds(v->context, arm, n, 0) <= v->left)
        return 0;
    if (v->seconds(v->context, arm, n, epochs) > v->left)
        return -1;
    while (v->seconds(v->context, arm, n, epochs + 1) <= v->left)
        epochs++;
    return epochs;
}

/* Where there is no time to screen two arms and train one of them on all examples, comparing them
 * would be all that is done: the most promising one is trained on all examples at once. */
static bool go_straight(const struct policy_view *v, struct policy_action *action)
{
    size_t first = first_size(v);
    int passes = first_passes(v);
    size_t arm = next_to_screen(v, passes, v->left, v->arm_count);
    if (first == v->examples || arm == v->arm_count || count_spent(v).all > 0)
        return false;
    int epochs = affordable_epochs(v, arm, v->examples);
    size_t other = next_to_screen(v, passes, v->left, arm);
    double screening = v->seconds(v->context, arm, first, passes);
    if (other < v->arm_count)
        screening += v->seconds(v->context, other, first, passes);
    if (epochs < 0 || screening + shortest(v, arm, v->examples) <= v->left)
        return false;
    return act(action, arm, screening_rate(v, arm), v->examples, epochs);
}

static bool screen(const struct policy_view *v, double share, struct policy_action *action)
{
    struct spent spent = count_spent(v);
    double allowed = share * (spent.all + v->left) - spent.screening;
    bool alone = !(spent.all > 0); /* the first one may take all there is */
    double most = alone || allowed > v->left ? v->left : allowed;
    size_t arm = next_to_screen(v, first_passes(v), most, v->arm_count);
    if (arm < v->arm_count)
        return act(action, arm, screening_rate(v, arm), first_size(v), first_passes(v));
    return alone && screen_briefly(v, action);
}

/* A rate next to the best one that was not tried at this size; rate_count when both were. */
static size_t next_rate(const struct policy_view *v, size_t arm, size_t examples)
{
    const struct arm *a = &v->arms[arm];
    size_t best = best_at(v, arm, examples)->rate;
    if (best + 1 < a->rate_count && !find(v, arm, best + 1, examples))
        return best + 1;
    return best > 0 && !find(v, arm, best - 1, examples) ? best - 1 : a->rate_count;
}

/* Other learning rates for the `most` best arms at this size. */
static bool vary_rates(const struct policy_view *v, size_t examples, size_t most, double allowed,
                       struct policy_action *action)
{
    for (size_t place = 0; place < most; place++) {
        size_t arm = arm_in_place(v, examples, place);
        if (arm == v->arm_count)
            break;
        size_t rate = next_rate(v, arm, examples);
        double seconds = v->seconds(v->context, arm, examples, passes_at(v, examples));
        if (rate < v->arms[arm].rate_count && seconds <= allowed && seconds <= v->left)
            return act(action, arm, rate, examples, passes_at(v, examples));
    }
    return false;
}

/* The arm with the most examples, at least twice `last`, in steps of an eighth, for which there is
 * time. */
static bool stretch(const struct policy_view *v, size_t arm, size_t last,
                    struct policy_action *action)
{
    size_t n = v->examples, rate = best_at(v, arm, last)->rate;
    int epochs = affordable_epochs(v, arm, n);
    while (epochs < 0 && n >= 2 * last) {
        n -= (n + 7) / 8;
        epochs = affordable_epochs(v, arm, n);
    }
    return n >= 2 * last && !find(v, arm, rate, n) && act(action, arm, rate, n, epochs);
}

/* The better half of the arms at `last` with `size` examples. Before the last size, time is kept
 * for the best arm with all of them. */
static bool halve(const struct policy_view *v, size_t last, size_t size,
                  struct policy_action *action)
{
    size_t most = (count_at(v, last) + 1) / 2, first_arm = arm_in_place(v, last, 0);
    double kept = 0;
    if (size < v->examples)
        kept = v->seconds(v->context, first_arm, v->examples, 0);
    if (kept > v->left)
        kept = 0;
    most = most < 2 ? 2 : most;
    for (size_t place = 0; place < most; place++) {
        size_t arm = arm_in_place(v, last, place);
        if (arm == v->arm_count)
            break;
        size_t rate = best_at(v, arm, last)->rate;
        if (!find(v, arm, rate, size) && v->seconds(v->context, arm, size, 0) + kept <= v->left)
            return act(action, arm, rate, size, 0);
    }
    return false;
}

/* The largest size between two rungs that some arm was trained with; 0 when there is none. */
static size_t size_between(const struct policy_view *v, size_t below, size_t above)
{
    size_t largest = 0;
    for (size_t i = 0; i < v->trial_count; i++) {
        const struct arm_trial *t = &v->trials[i];
        if (v->arms[t->arm].trained && t->examples > below && t->examples < above &&
            t->examples > largest)
            largest = t->examples;
    }
    return largest;
}

/* Between the rung `last` and one that is too large for the time left: the best arm with as many
 * examples as there is time for, and others with as many. */
static bool climb_partly(const struct policy_view *v, size_t last, size_t next, size_t *top,
                         struct policy_action *action)
{
    size_t size = size_between(v, last, next);
    if (!size)
        return stretch(v, arm_in_place(v, last, 0), last, action);
    if (halve(v, last, size, action))
        return true;
    if (count_at(v, size))
        *top = size;
    return false;
}

/* The rungs above the first; `*top` is the largest size that has a result. */
static bool climb(const struct policy_view *v, size_t *top, struct policy_action *action)
{
    size_t last = first_size(v), size;
    for (; last < v->examples && count_at(v, last); last = size) {
        size = policy_next_rung(v->examples, last);
        if (halve(v, last, size, action))
            return true;
        if (!count_at(v, size))
            return climb_partly(v, last, size, top, action);
        *top = size;
    }
    return false;
}

/* What is left goes to whom most is expected of: an arm that runs once, or one that was not
 * screened. */
static bool use_rest(const struct policy_view *v, struct policy_action *action)
{
    struct policy_action once;
    bool runs = run_once(v, 1, &once), screens = screen(v, 1, action);
    if (!runs || (screens && v->arms[action->arm].prior >= v->arms[once.arm].prior))
        return screens;
    *action = once;
    return true;
}

/* The share of the time for screening: where no larger size is planned, all but that for rates. */
static double share_to_screen(const struct policy_view *v)
{
    return v->examples < FEW ? 1 - rate_share : screening_share;
}

/* Without sizes to climb to, what the rates leave takes further arms of which something is
 * expected, with fewer passes if need be: they tell more than another seed. */
static bool screen_more(const struct policy_view *v, struct policy_action *action)
{
    size_t first = first_size(v);
    const int passes[] = {0, least_epochs(first)};
    for (size_t i = 0; v->examples < FEW && i < sizeof passes / sizeof *passes; i++) {
        size_t arm = next_to_screen(v, passes[i], v->left, v->arm_count);
        if (arm < v->arm_count && v->arms[arm].prior > 0)
            return act(action, arm, screening_rate(v, arm), first, passes[i]);
    }
    return false;
}

/* ---- Making sure ---------------------------------------------------------------------------- */

/* Whether chance makes a difference as large as that of two metrics. */
static bool within_chance(const struct policy_view *v, const struct arm_trial *a,
                          const struct arm_trial *b)
{
    return !v->answers ||
           fabs(a->metric - b->metric) <= share_by_chance(a->metric, b->metric, (double)v->answers);
}

/* The leader at `size` and the runner-up, while they are within chance, with up to `seeds` seeds
 * each; the second one of both comes before the third one of either. */
static bool repeat(const struct policy_view *v, size_t size, size_t seeds,
                   struct policy_action *action)
{
    const struct arm_trial *finalists[FINALISTS];
    for (size_t place = 0; place < FINALISTS; place++) {
        size_t arm = arm_in_place(v, size, place);
        if (arm == v->arm_count)
            return false;
        finalists[place] = best_at(v, arm, size);
    }
    if (!within_chance(v, finalists[0], finalists[1]))
        return false;
    for (size_t seed = 1; seed < seeds; seed++)
        for (size_t place = 0; place < FINALISTS; place++) {
            const struct arm_trial *t = finalists[place];
            if (find_seed(v, t->arm, t->rate, size, seed) ||
                v->seconds(v->context, t->arm, size, passes_at(v, size)) > v->left)
                continue;
            act(action, t->arm, t->rate, size, passes_at(v, size));
            action->seed = seed;
            return true;
        }
    return false;
}

/* Sizes at which an arm has a result with the usual passes. */
static size_t count_sizes(const struct policy_view *v, size_t arm)
{
    size_t count = 0;
    for (size_t i = 0; i < v->trial_count; i++) {
        const struct arm_trial *t = &v->trials[i];
        bool counts = t->arm == arm && t->done && !passes_at(v, t->examples);
        for (size_t k = 0; k < i && counts; k++)
            counts = v->trials[k].arm != arm || !v->trials[k].done ||
                     v->trials[k].examples != t->examples;
        count += counts;
    }
    return count;
}

/* The leader at `top`, when it has too few sizes for a learning curve and there is time for all
 * that are missing: with as many examples as lie in the middle of the smallest size of one and
 * `top`, by their ratio, and with that smallest size. */
static bool bend(const struct policy_view *v, size_t top, struct policy_action *action)
{
    size_t arm = arm_in_place(v, top, 0), next = 0;
    if (arm == v->arm_count || top < 2 * LEAST_SIZE)
        return false;
    size_t rate = best_at(v, arm, top)->rate, count = count_sizes(v, arm);
    const size_t sizes[] = {(size_t)lround(sqrt((double)LEAST_SIZE * (double)top)), LEAST_SIZE};
    double needed = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes && count < CURVE_SIZES; i++) {
        if (find(v, arm, rate, sizes[i]))
            continue;
        next = next ? next : sizes[i];
        needed += v->seconds(v->context, arm, sizes[i], 0);
        count++;
    }
    return next && count >= CURVE_SIZES && needed <= v->left && act(action, arm, rate, next, 0);
}

bool policy_next(const struct policy_view *v, struct policy_action *action)
{
    size_t first = first_size(v), top = first;
    if (run_once(v, once_share, action) || go_straight(v, action) ||
        screen(v, share_to_screen(v), action))
        return true;
    struct spent spent = count_spent(v);
    size_t half = (count_at(v, first) + 1) / 2;
    double allowed = rate_share * (spent.all + v->left) - spent.rates;
    if (vary_rates(v, first, half, allowed, action) || climb(v, &top, action) ||
        screen_more(v, action))
        return true;
    size_t straight = size_between(v, top, v->examples + 1); /* reached without the rungs below */
    top = straight && count_at(v, straight) ? straight : top;
    bool alone = count_at(v, first) < 2; /* a second arm tells more than a second trial of one */
    return (alone && use_rest(v, action)) || repeat(v, top, SEEDS, action) ||
           bend(v, top, action) || vary_rates(v, top, 1, INFINITY, action) || use_rest(v, action) ||
           vary_rates(v, first, v->arm_count, INFINITY, action) ||
           repeat(v, top, SEEDS + 1, action);
}
