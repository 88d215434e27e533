/* SPDX-License-Identifier: Apache-2.0
 *
 * The policy on made-up worlds, whose accuracies and times are formulas.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "advisor/policy.h"
#include "base/random.h"
#include "techniques/trainer.h"

enum { MOST_ARMS = 12, MOST_TRIALS = 400, RATES = 3 };

static const double rates[RATES] = {1e-3, 3e-3, 1e-2};

/* An arm with the accuracy top - slope / sqrt(examples), less a loss for a rate that is not its
 * best one. */
struct truth {
    double top, slope;
    size_t best_rate;
    double seconds_per_example; /* of one pass */
    double slow_answers;        /* seconds that its answers take more than those of others */
    bool fails;
};

struct world {
    struct arm arms[MOST_ARMS];
    struct truth truths[MOST_ARMS];
    size_t count, examples;
    double budget, spent, answer_seconds;
    size_t answers;
    struct arm_trial trials[MOST_TRIALS];
    size_t trial_count;
    double noise; /* of the measured metric */
    struct random random;
};

/* Time goes as it does with real trials, which take a least number of steps. */
static double seconds(const void *context, size_t arm, size_t examples, int epochs)
{
    const struct world *w = context;
    const struct setting setting = setting_default(technique_find("lora"));
    double passes = 1;
    if (w->arms[arm].trained)
        passes = epochs ? epochs : trainer_epochs(&setting, examples);
    return w->answer_seconds + w->truths[arm].slow_answers +
           passes * (double)examples * w->truths[arm].seconds_per_example;
}

/* `epochs` 0: as many passes as usual; half of them are as good as half of the examples. */
static double accuracy(const struct truth *truth, size_t rate, size_t examples, int epochs)
{
    const struct setting setting = setting_default(technique_find("lora"));
    double off = fabs((double)rate - (double)truth->best_rate), seen = (double)examples;
    if (epochs)
        seen *= fmin(1, epochs / (double)trainer_epochs(&setting, examples));
    return truth->top - truth->slope / sqrt(seen) - 0.05 * off;
}

static void add(struct world *w, bool trained, struct truth truth, double prior)
{
    w->truths[w->count] = truth;
    w->arms[w->count++] = (struct arm){.trained = trained,
                                       .prior = prior,
                                       .rates = trained ? rates : NULL,
                                       .rate_count = trained ? RATES : 0,
                                       .usual_rate = trained ? 1 : 0,
                                       .least = trained ? 8 : 0};
}

static struct policy_view view_of(const struct world *w)
{
    return (struct policy_view){.arms = w->arms,
                                .arm_count = w->count,
                                .trials = w->trials,
                                .trial_count = w->trial_count,
                                .examples = w->examples,
                                .answers = w->answers,
                                .left = w->budget - w->spent,
                                .seconds = seconds,
                                .context = w};
}

/* One trial, if the policy wants one. */
static bool step(struct world *w)
{
    struct policy_view view = view_of(w);
    struct policy_action action;
    if (!policy_next(&view, &action))
        return false;
    const struct truth *truth = &w->truths[action.arm];
    double took = seconds(w, action.arm, action.examples, action.epochs);
    double metric = accuracy(truth, action.rate, action.examples, action.epochs);
    metric += w->noise * (random_uniform(&w->random) - 0.5);
    assert_true(action.arm < w->count && action.examples <= w->examples);
    assert_true(took <= w->budget - w->spent + 1e-9); /* never beyond the budget */
    for (size_t i = 0; i < w->trial_count; i++)       /* nothing twice */
        assert_false(w->trials[i].arm == action.arm && w->trials[i].rate == action.rate &&
                     w->trials[i].examples == action.examples && w->trials[i].seed == action.seed);
    assert_true(w->trial_count < MOST_TRIALS);
    w->trials[w->trial_count++] = (struct arm_trial){.arm = action.arm,
                                                     .rate = action.rate,
                                                     .examples = action.examples,
                                                     .seed = action.seed,
                                                     .done = !truth->fails,
                                                     .metric = metric,
                                                     .nll = 1 - metric,
                                                     .seconds = took};
    w->spent += took;
    return true;
}

static void run(struct world *w)
{
    while (step(w))
        ;
}

static double exhaustive(const struct world *w)
{
    double sum = 0;
    for (size_t arm = 0; arm < w->count; arm++)
        sum += (w->arms[arm].trained ? RATES : 1) * seconds(w, arm, w->examples, 0);
    return sum;
}

static const struct arm_trial *best(const struct world *w)
{
    const struct arm_trial *best = NULL;
    for (size_t i = 0; i < w->trial_count; i++)
        if (w->trials[i].done && (!best || w->trials[i].metric > best->metric))
            best = &w->trials[i];
    return best;
}

/* Two arms that train nothing and eight that do; number 2 is the best at all sizes. */
static struct world usual_world(size_t examples, double share)
{
    struct world w = {
        .examples = examples, .answer_seconds = 1, .random = random_stream(7, "w", 0)};
    add(&w, false, (struct truth){.top = 0.3, .seconds_per_example = 0}, 0);
    add(&w, false, (struct truth){.top = 0.5, .seconds_per_example = 0.01}, 0);
    for (size_t i = 0; i < 8; i++)
        add(&w, true,
            (struct truth){.top = 0.95 - 0.02 * (double)i,
                           .slope = 1,
                           .best_rate = i % RATES,
                           .seconds_per_example = 0.1},
            (double)((i * 5) % 8)); /* the priors know nothing */
    w.budget = share * exhaustive(&w);
    return w;
}

static size_t count_of(const struct world *w, size_t arm, size_t examples, size_t seed)
{
    size_t count = 0;
    for (size_t i = 0; i < w->trial_count; i++)
        count += w->trials[i].arm == arm && w->trials[i].examples == examples &&
                 w->trials[i].seed == seed;
    return count;
}

/* Two arms that are far ahead of a third one, and differ by `gap`. */
static struct world duel(size_t examples, double gap)
{
    struct world w = {.examples = examples,
                      .answer_seconds = 1,
                      .budget = 1e6,
                      .answers = 200,
                      .random = random_stream(7, "duel", 0)};
    for (size_t i = 0; i < 3; i++)
        add(&w, true,
            (struct truth){.top = i == 2 ? 0.3 : 0.8 - gap * (double)i,
                           .best_rate = 1,
                           .seconds_per_example = 0.1},
            0);
    return w;
}

static void test_the_best_arm_wins(void **state)
{
    (void)state;
    struct world w = usual_world(1024, 0.4);
    run(&w);
    assert_int_equal(best(&w)->arm, 2);
    assert_int_equal(best(&w)->examples, 1024);
}

static void test_with_all_the_time_everything_is_tried(void **state)
{
    (void)state;
    struct world w = usual_world(1024, 10);
    run(&w);
    for (size_t arm = 2; arm < w.count; arm++) {
        size_t tried = 0;
        for (size_t i = 0; i < w.trial_count; i++)
            tried += w.trials[i].arm == arm && w.trials[i].examples == 512;
        assert_in_range(tried, 2, RATES); /* the best rate and its neighbours */
    }
    assert_int_equal(best(&w)->arm, 2);
    assert_int_equal(best(&w)->rate, w.truths[2].best_rate);
}

/* The order of the arms' turns is that of their priors. */
static void test_priors_come_first(void **state)
{
    (void)state;
    struct world w = usual_world(1024, 10);
    double last = INFINITY;
    size_t seen = 0;
    while (seen < 3 && step(&w)) {
        const struct arm_trial *t = &w.trials[w.trial_count - 1];
        if (!w.arms[t->arm].trained)
            continue;
        assert_int_equal(t->rate, 1);
        assert_int_equal(t->examples, 512);
        assert_float_equal(t->seconds, seconds(&w, t->arm, 512, 1), 1e-9);
        assert_true(w.arms[t->arm].prior < last);
        last = w.arms[t->arm].prior;
        seen++;
    }
    assert_int_equal(seen, 3);
}

/* 1024 examples, and answers that take much of the time of a trial with 512. */
static struct world slow_duel(void)
{
    struct world w = duel(1024, 0.1);
    w.answer_seconds = 40;
    return w;
}

/* Without the time to screen two arms and train one on all examples, one is trained on all at once,
 * with one pass if need be; when that fails, others are screened. */
static void test_straight_to_all(void **state)
{
    (void)state;
    static const struct {
        double budget;
        size_t first; /* examples of the first trial */
    } cases[] = {{142, 512}, {143, 1024}, {324, 1024}, {326, 512}, {1000, 512}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct world w = slow_duel(); /* 91.2 s for 512, for all 142.4 with one pass of two */
        w.budget = cases[i].budget;
        assert_true(step(&w));
        assert_int_equal(w.trials[0].examples, cases[i].first);
    }
    struct world w = slow_duel();
    w.budget = 246;
    run(&w);
    assert_int_equal(w.trial_count, 1);
    w.budget = 1e6; /* with more time, other rates and the other arms have their turn */
    run(&w);
    assert_int_equal(count_of(&w, 1, 512, 0), RATES);
    size_t rates_tried = 0;
    for (size_t i = 0; i < w.trial_count; i++)
        rates_tried += w.trials[i].arm == 0 && w.trials[i].examples == 1024 && !w.trials[i].seed;
    assert_int_equal(rates_tried, RATES);
    w = slow_duel();
    w.count = 1; /* nobody else climbs to that size */
    w.budget = 246;
    run(&w);
    w.budget = 1e6;
    run(&w);
    rates_tried = 0;
    for (size_t i = 0; i < w.trial_count; i++)
        rates_tried += w.trials[i].examples == 1024 && !w.trials[i].seed;
    assert_int_equal(rates_tried, RATES);
    w = slow_duel();
    w.budget = 240;
    w.truths[0].fails = true;
    run(&w);
    assert_int_equal(w.trials[0].examples, 1024);
    assert_int_equal(w.trials[1].examples, 512);
    assert_int_not_equal(w.trials[1].arm, 0);
}

/* Of two arms that promise about as much, the dear one comes first only where there is time to see
 * it through. */
static void test_dear_arms_wait(void **state)
{
    (void)state;
    static const struct {
        double budget, prior; /* of the dear arm; the other one's is 25 */
        size_t first;
    } cases[] = {{300, 26, 1}, {3000, 26, 0}, {300, 60, 0}, {3000, 24, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct world w = {.examples = 363, .budget = cases[i].budget};
        add(&w, true, (struct truth){.top = 0.8, .seconds_per_example = 0.2}, cases[i].prior);
        add(&w, true, (struct truth){.top = 0.8, .seconds_per_example = 0.1}, 25);
        assert_true(step(&w));
        assert_int_equal(w.trials[0].arm, cases[i].first);
    }
}

/* Half a budget spent on screening, and the largest size reached by somebody. */
static void test_the_budget_is_used_at_all_sizes(void **state)
{
    (void)state;
    static const double shares[] = {0.15, 0.25, 0.5, 1};
    for (size_t s = 0; s < sizeof shares / sizeof *shares; s++) {
        struct world w = usual_world(2048, shares[s]);
        size_t largest = 0;
        run(&w);
        for (size_t i = 0; i < w.trial_count; i++)
            if (w.arms[w.trials[i].arm].trained && w.trials[i].examples > largest)
                largest = w.trials[i].examples;
        assert_int_equal(largest, 2048);
    }
}

/* No time for the usual passes: fewer; no time for two: nothing. */
static void test_small_budgets(void **state)
{
    (void)state;
    struct world w = usual_world(512, 1);
    struct policy_action action;
    struct policy_view view;
    w.arms[0].least = w.arms[1].least = SIZE_MAX; /* the untrained ones are out of the way */
    w.budget = seconds(&w, 2, 64, 3) + 0.01;
    view = view_of(&w);
    assert_true(policy_next(&view, &action));
    assert_int_equal(action.epochs, 3);
    assert_int_equal(action.examples, 64);
    w.budget = seconds(&w, 2, 64, 2) - 0.01;
    view = view_of(&w);
    assert_false(policy_next(&view, &action));
    w.budget = -5;
    view = view_of(&w);
    assert_false(policy_next(&view, &action));
    w.budget = NAN;
    view = view_of(&w);
    assert_false(policy_next(&view, &action));
}

/* A failed trial is not tried again: a lower rate is, and then the arm is out. */
static void test_failures(void **state)
{
    (void)state;
    struct world w = usual_world(512, 10);
    w.truths[2].fails = true;
    run(&w);
    size_t tried = 0;
    for (size_t i = 0; i < w.trial_count; i++)
        if (w.trials[i].arm == 2) {
            assert_int_equal(w.trials[i].examples, 512);
            assert_int_equal(w.trials[i].rate, 1 - tried);
            tried++;
        }
    assert_int_equal(tried, 2);
    assert_int_equal(best(&w)->arm, 3);
}

/* An arm that learns without steps takes fewer examples when all would take too long, and more as
 * soon as there is time. */
static void test_an_arm_without_steps_reads_less(void **state)
{
    (void)state;
    struct world w = {.examples = 4000, .budget = 40, .answer_seconds = 1};
    add(&w, false, (struct truth){.top = 0.8, .seconds_per_example = 0.01}, 1);
    run(&w);
    assert_int_equal(w.trial_count, 2);
    assert_int_equal(w.trials[0].examples, 1000); /* 1 + 10 s of 12 */
    assert_int_equal(w.trials[1].examples, 2000); /* with the 29 s that nothing else wants */
    w.budget += 100;                              /* a larger budget goes on from there */
    run(&w);
    assert_int_equal(w.trials[w.trial_count - 1].examples, 4000);
}

/* An arm that answers slowly waits until the others had their share, unless much is expected of it.
 */
/* ---- Making sure ---------------------------------------------------------------------------- */

/* Finalists that tie are trained again, all with as many examples as there are. */
static void test_ties_get_seeds(void **state)
{
    (void)state;
    struct world w = duel(2048, 0.02);
    run(&w);
    for (size_t seed = 1; seed < 3; seed++) {
        assert_int_equal(count_of(&w, 0, 2048, seed), 1);
        assert_int_equal(count_of(&w, 1, 2048, seed), 1);
        assert_int_equal(count_of(&w, 2, 2048, seed), 0);
        assert_int_equal(count_of(&w, 0, 64, seed), 0);
    }
    size_t second = 0, further = 0;
    for (size_t i = 0; i < w.trial_count; i++) { /* before further rates of the winner */
        if (w.trials[i].seed == 1)
            second = i;
        if (w.trials[i].examples == 2048 && w.trials[i].rate != 1 && !further)
            further = i;
    }
    assert_true(second && further && second < further);
    w = duel(2048, 0.15); /* 0.8 against 0.65 on 200 examples is no tie */
    run(&w);
    assert_int_equal(count_of(&w, 0, 2048, 1), 0);
    w = duel(2048, 0.02);
    w.answers = 20000; /* and neither is this */
    run(&w);
    assert_int_equal(count_of(&w, 0, 2048, 1), 0);
}

/* The sizes of a ladder. */
static void test_rungs(void **state)
{
    (void)state;
    static const size_t ladders[][5] = {{20},
                                        {255},
                                        {1023},
                                        {512, 1024},
                                        {512, 6143},
                                        {512, 2048, 6144},
                                        {512, 2048, 24575},
                                        {512, 2048, 8192, 24576}};
    for (size_t i = 0; i < sizeof ladders / sizeof *ladders; i++) {
        size_t all = 0, size;
        for (size_t k = 0; ladders[i][k]; k++)
            all = ladders[i][k];
        size = policy_first_rung(all);
        for (size_t k = 0; ladders[i][k]; k++, size = policy_next_rung(all, size))
            assert_int_equal(size, ladders[i][k]);
    }
}

/* The winner has three sizes or more whenever there is time for them. */
static void test_three_sizes(void **state)
{
    (void)state;
    static const struct {
        size_t examples, middle; /* 0: no third size */
    } cases[] = {{363, 152}, {128, 91}, {511, 181}, {127, 0}, {64, 0}, {20, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct world w = duel(cases[i].examples, 0.15);
        size_t others = 0;
        run(&w);
        for (size_t k = 0; k < w.trial_count; k++)
            others += w.trials[k].examples != cases[i].examples && w.trials[k].examples != 64;
        assert_int_equal(others, cases[i].middle ? 1 : 0);
        if (cases[i].middle)
            assert_int_equal(count_of(&w, 0, cases[i].middle, 0), 1);
    }
    /* Screening with one pass over 512 is no point of a curve. */
    static const size_t sizes[][4] = {{64, 256, 512, 1024}, {64, 362, 512, 2048}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct world w = duel(sizes[i][3], 0.15);
        run(&w);
        assert_int_equal(count_of(&w, 0, sizes[i][0], 0), 1);
        assert_int_equal(count_of(&w, 0, sizes[i][1], 0), 1);
        for (size_t k = 0; k < w.trial_count; k++)
            assert_true(w.trials[k].examples == sizes[i][0] ||
                        w.trials[k].examples == sizes[i][1] ||
                        w.trials[k].examples == sizes[i][2] || w.trials[k].examples == sizes[i][3]);
    }
}

/* Where there is no time for all examples, the winner gets as many as there is time for with one
 * pass; once. */
static void test_part_of_the_examples(void **state)
{
    (void)state;
    static const struct {
        double budget;
        size_t size; /* 0: nothing above the first rung */
    } cases[] = {{150, 0}, {300, 1406}, {350, 1230}, {400, 1837}, {600, 3136}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct world w = duel(4096, 0.15);
        size_t above = 0;
        w.budget = cases[i].budget;
        run(&w);
        for (size_t k = 0; k < w.trial_count; k++) {
            const struct arm_trial *t = &w.trials[k];
            if (t->examples <= 512)
                continue;
            above++;
            assert_int_equal(t->arm, 0);
            assert_int_equal(t->examples, cases[i].size);
            assert_float_equal(t->seconds, seconds(&w, 0, t->examples, 1), 1e-9);
        }
        assert_int_equal(above, cases[i].size ? 1 : 0);
    }
    struct world w = duel(100000, 0.15); /* 512, and then 2048 does not fit */
    w.budget = 400;
    run(&w);
    size_t between = 0, others = 0;
    for (size_t k = 0; k < w.trial_count; k++) {
        between += w.trials[k].examples > 512 && w.trials[k].arm == 0;
        others += w.trials[k].examples > 512 && w.trials[k].arm != 0;
    }
    assert_int_equal(between, 1);
    assert_int_equal(others, 0);
}

/* Where there is no time to train one arm on all examples, it gets fewer passes over them, two at
 * least, and where there is no time for these, half of them, or a quarter. */
static void test_less_than_one_trial(void **state)
{
    (void)state;
    static const struct {
        double budget; /* 121 s for all three passes over all examples */
        size_t size;
        int epochs;
    } cases[] = {{122, 400, 0}, {120, 400, 2}, {82, 400, 2}, {80, 200, 3},
                 {60, 100, 0},  {40, 100, 3},  {25, 100, 2}, {20, 0, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct world w = duel(400, 0.15);
        w.budget = cases[i].budget;
        bool trained = step(&w);
        assert_int_equal(trained, cases[i].size > 0);
        if (!trained)
            continue;
        assert_int_equal(w.trials[0].examples, cases[i].size);
        assert_float_equal(w.trials[0].seconds, seconds(&w, 0, cases[i].size, cases[i].epochs),
                           1e-9);
    }
}

/* Seeds decide nothing before the end: what follows is as without them. */
static void test_seeds_do_not_promote(void **state)
{
    (void)state;
    struct world w = duel(2048, 0.02);
    struct policy_action plain, lucky;
    for (size_t i = 0; i < 4; i++)
        assert_true(step(&w));
    struct policy_view view = view_of(&w);
    assert_true(policy_next(&view, &plain));
    w.trials[w.trial_count++] = (struct arm_trial){
        .arm = 2, .rate = 1, .examples = 64, .seed = 1, .done = true, .metric = 1, .seconds = 0};
    view = view_of(&w);
    assert_true(policy_next(&view, &lucky));
    assert_true(plain.arm == lucky.arm && plain.rate == lucky.rate &&
                plain.examples == lucky.examples && plain.seed == lucky.seed);
}

/* An arm without steps has its turn only where what is left still trains the first arm that does,
 * if more is expected of that. */
static void test_time_is_kept_for_training(void **state)
{
    (void)state;
    static const struct {
        double times, prior; /* budget, in trainings; of the arm without steps */
        size_t first;
    } cases[] = {{1.25, 20, 1}, {1.25, 40, 0}, {1.4, 20, 0}, {1.1, 20, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct world w = {.examples = 128};
        add(&w, false, (struct truth){.top = 0.5, .seconds_per_example = 0.08}, cases[i].prior);
        add(&w, true, (struct truth){.top = 0.8, .seconds_per_example = 0.1}, 30);
        w.budget = cases[i].times * seconds(&w, 1, 128, 0);
        assert_true(step(&w));
        assert_int_equal(w.trials[0].arm, cases[i].first);
    }
}

static void test_slow_answers_wait(void **state)
{
    (void)state;
    for (int expected = 0; expected < 2; expected++) {
        struct world w = usual_world(512, 1);
        w.truths[1].slow_answers = 0.15 * w.budget;
        w.arms[1].prior = expected;
        size_t trained = 0;
        while (step(&w) && w.trials[w.trial_count - 1].arm != 1)
            trained += w.arms[w.trials[w.trial_count - 1].arm].trained;
        if (expected)
            assert_int_equal(trained, 0);
        else
            assert_true(trained > 3);
    }
}

static bool was_tried(const struct world *w, size_t arm)
{
    for (size_t i = 0; i < w->trial_count; i++)
        if (w->trials[i].arm == arm)
            return true;
    return false;
}

/* What is left when the leaders have had theirs goes to the arm of which most is expected, not to
 * slow answers of which nothing is. */
static void test_the_rest_goes_by_prior(void **state)
{
    (void)state;
    static const double shares[] = {0.06, 0.08, 0.1, 0.12, 0.15};
    size_t ran = 0;
    for (size_t s = 0; s < sizeof shares / sizeof *shares; s++) {
        struct world w = usual_world(512, shares[s]);
        bool slow = false;
        w.truths[1].slow_answers = 0.1 * w.budget;
        w.arms[1].prior = -5;
        while (!slow && step(&w))
            slow = w.trials[w.trial_count - 1].arm == 1;
        ran += slow;
        for (size_t arm = 2; arm < w.count && slow; arm++) {
            double left = w.budget - w.spent + w.trials[w.trial_count - 1].seconds;
            assert_true(was_tried(&w, arm) || seconds(&w, arm, 512, 0) > left);
        }
    }
    assert_true(ran > 0);
}

/* Where screening one arm took so long that nothing larger fits, a second one has its turn before
 * the first one's other rates. */
static void test_two_arms_before_two_rates(void **state)
{
    (void)state;
    struct world w = {.examples = 1024, .budget = 400};
    add(&w, true, (struct truth){.top = 0.8, .slope = 1, .seconds_per_example = 0.4}, 30);
    add(&w, true, (struct truth){.top = 0.9, .slope = 1, .seconds_per_example = 0.38}, 20);
    run(&w);
    assert_int_equal(w.trial_count, 2);
    assert_int_equal(w.trials[0].arm, 0);
    assert_int_equal(w.trials[1].arm, 1);
}

/* With one size and no time for another rate, a third arm of which something is expected has its
 * turn before another seed of two that tie. */
static void test_three_arms_before_two_seeds(void **state)
{
    (void)state;
    for (int expected = 0; expected < 2; expected++) {
        struct world w = duel(512, 0.02);
        w.arms[0].prior = w.arms[1].prior = 2;
        w.arms[2].prior = expected;
        w.budget = 3.4 * seconds(&w, 0, 512, 0);
        run(&w);
        assert_int_equal(w.trials[2].arm == 2, expected);
        assert_int_equal(w.trials[2].seed, !expected);
    }
}

/* Where the third arm has no time for the usual three passes over 363 examples, it gets two. */
static void test_a_third_arm_with_fewer_passes(void **state)
{
    (void)state;
    static const struct {
        double times; /* of what the usual passes take */
        int epochs;   /* of the third arm; -1: it has no turn */
    } cases[] = {{3.1, 0}, {2.8, 2}, {2.6, -1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct world w = duel(363, 0.02);
        for (size_t arm = 0; arm < 3; arm++)
            w.arms[arm].prior = 3 - (double)arm;
        w.budget = cases[i].times * seconds(&w, 0, 363, 0);
        run(&w);
        assert_int_equal(was_tried(&w, 2), cases[i].epochs >= 0);
        if (cases[i].epochs >= 0)
            assert_float_equal(w.trials[2].seconds, seconds(&w, 2, 363, cases[i].epochs), 1e-9);
    }
}

/* Where there is no larger size to climb to, nothing is kept for it. */
static void test_one_size_is_screened(void **state)
{
    (void)state;
    struct world w = usual_world(64, 0.45);
    while (step(&w))
        if (w.arms[w.trials[w.trial_count - 1].arm].trained &&
            w.trials[w.trial_count - 1].rate != 1)
            break;
    for (size_t arm = 2; arm < w.count; arm++) /* before any other rate */
        assert_true(was_tried(&w, arm));
}

/* Fewer examples than the first rung: that is the only size. */
static void test_few_examples(void **state)
{
    (void)state;
    struct world w = usual_world(40, 10);
    run(&w);
    for (size_t i = 0; i < w.trial_count; i++)
        assert_int_equal(w.trials[i].examples, 40);
    w = usual_world(4, 10); /* fewer than a trained arm needs */
    run(&w);
    assert_int_equal(w.trial_count, 2);
}

/* Stopped after any trial and begun again, it does the same: it remembers nothing. Here the trials
 * are also given in another order. */
static void test_it_remembers_nothing(void **state)
{
    (void)state;
    struct world w = usual_world(512, 0.5);
    for (size_t done = 0; step(&w); done++) {
        struct world turned = w;
        struct policy_view view = view_of(&w), other = view_of(&turned);
        struct policy_action a, b;
        for (size_t i = 0; i < w.trial_count; i++)
            turned.trials[i] = w.trials[w.trial_count - 1 - i];
        bool more = policy_next(&view, &a);
        assert_int_equal(more, policy_next(&other, &b));
        assert_true(!more || (a.arm == b.arm && a.rate == b.rate && a.examples == b.examples &&
                              a.epochs == b.epochs));
    }
}

/* Much as in the recorded trials: what arms do with 512 examples spreads by six points (standard
 * deviation) and has a correlation of 0.7 with their priors; with 64 they lack between nothing and
 * 16 points of that, each its own number. Of five arms three are at their best with the usual rate.
 */
static struct world drawn_world(uint64_t number, size_t examples, double share)
{
    struct random random = random_stream(number, "world", 0);
    struct world w = usual_world(examples, share);
    w.random = random_stream(number, "noise", 0);
    w.noise = 0.06;
    for (size_t arm = 2; arm < w.count; arm++) {
        struct truth *truth = &w.truths[arm];
        truth->slope = 2 * random_uniform(&random);
        truth->top = 0.75 + 0.2 * random_uniform(&random) + truth->slope / sqrt(512);
        truth->best_rate = 1;
        if (random_uniform(&random) > 0.6)
            truth->best_rate = 2 * (size_t)(2 * random_uniform(&random));
        w.arms[arm].prior = 100 * (accuracy(truth, truth->best_rate, 512, 0) +
                                   0.2 * (random_uniform(&random) - 0.5));
    }
    return w;
}

/* By how much the choice falls short of the best arm with its best rate. */
static double regret_in(struct world *w)
{
    double top = 0;
    for (size_t arm = 2; arm < w->count; arm++)
        top = fmax(top, accuracy(&w->truths[arm], w->truths[arm].best_rate, w->examples, 0));
    run(w);
    const struct arm_trial *chosen = best(w);
    return top - accuracy(&w->truths[chosen->arm], chosen->rate, chosen->examples, 0);
}

/* With noise of a few points and a quarter of the exhaustive cost, the choice is near the best. */
static void test_regret_is_small(void **state)
{
    (void)state;
    enum { WORLDS = 200 };
    for (size_t examples = 512; examples <= 2048; examples *= 2) {
        double regret = 0;
        for (uint64_t n = 0; n < WORLDS; n++) {
            struct world w = drawn_world(n, examples, 0.25);
            regret += regret_in(&w) / WORLDS;
        }
        print_message("%zu examples: mean regret %.4f\n", examples, regret);
        assert_true(regret < 0.015);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_best_arm_wins),
        cmocka_unit_test(test_with_all_the_time_everything_is_tried),
        cmocka_unit_test(test_priors_come_first),
        cmocka_unit_test(test_straight_to_all),
        cmocka_unit_test(test_dear_arms_wait),
        cmocka_unit_test(test_the_budget_is_used_at_all_sizes),
        cmocka_unit_test(test_small_budgets),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_an_arm_without_steps_reads_less),
        cmocka_unit_test(test_ties_get_seeds),
        cmocka_unit_test(test_rungs),
        cmocka_unit_test(test_three_sizes),
        cmocka_unit_test(test_part_of_the_examples),
        cmocka_unit_test(test_less_than_one_trial),
        cmocka_unit_test(test_seeds_do_not_promote),
        cmocka_unit_test(test_time_is_kept_for_training),
        cmocka_unit_test(test_slow_answers_wait),
        cmocka_unit_test(test_the_rest_goes_by_prior),
        cmocka_unit_test(test_two_arms_before_two_rates),
        cmocka_unit_test(test_three_arms_before_two_seeds),
        cmocka_unit_test(test_a_third_arm_with_fewer_passes),
        cmocka_unit_test(test_one_size_is_screened),
        cmocka_unit_test(test_few_examples),
        cmocka_unit_test(test_it_remembers_nothing),
        cmocka_unit_test(test_regret_is_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
