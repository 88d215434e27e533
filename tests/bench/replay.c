/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/replay.h"

#include <math.h>
#include <string.h>

#include "advisor/allocate.h"
#include "advisor/choice.h"
#include "advisor/cost.h"
#include "advisor/pace.h"
#include "base/random.h"

enum { TOP = 3, HALVINGS = 40 };

/* ---- Answers as dealt ------------------------------------------------------------------------ */

/* Whether the trial has the answer dealt to this place, and whether that is right. */
static bool has(const struct rerun *r, const struct recorded *row, size_t place)
{
    size_t i = r->deal[place], dev = r->q->dev;
    return i < dev ? i < (size_t)row->dev : i - dev < (size_t)row->test;
}

static bool right(const struct rerun *r, const struct recorded *row, size_t place)
{
    size_t i = r->deal[place];
    return i < r->q->dev ? row->dev_right[i] : row->test_right[i - r->q->dev];
}

/* Of the answers dealt to these places (NULL: `from` and on) that it has; 0 when it has none. */
static double share_right(const struct rerun *r, const struct recorded *row, const size_t *places,
                          size_t from, size_t count)
{
    double sum = 0, there = 0;
    for (size_t i = 0; i < count; i++) {
        size_t place = places ? places[from + i] : from + i;
        if (!has(r, row, place))
            continue;
        sum += right(r, row, place);
        there++;
    }
    return there > 0 ? sum / there : 0;
}

double replay_dev(const struct rerun *r, const struct recorded *row)
{
    return share_right(r, row, NULL, 0, r->q->dev);
}

double replay_test(const struct rerun *r, const struct recorded *row)
{
    return share_right(r, row, NULL, r->q->dev, r->q->test);
}

/* McNemar's test of two trials on answers `from` .. `from + count - 1`. */
static struct mcnemar test_pair(const struct rerun *r, const struct recorded *a,
                                const struct recorded *b, size_t from, size_t count)
{
    int64_t only_a = 0, only_b = 0;
    for (size_t i = from; i < from + count; i++) {
        if (!has(r, a, i) || !has(r, b, i))
            continue;
        bool x = right(r, a, i), y = right(r, b, i);
        only_a += x && !y;
        only_b += y && !x;
    }
    return mcnemar_exact(only_a, only_b);
}

/* ---- Setting up ------------------------------------------------------------------------------ */

/* A study that knows of its data and model what predicting its pace takes. */
static void pretend_study(struct rerun *r)
{
    const struct question *q = r->q;
    const struct technique **techniques =
        arena_alloc(&r->arena, (q->offer_count + 1) * sizeof *techniques);
    for (size_t i = 0; i < q->offer_count; i++)
        techniques[i] = q->offers[i].technique;
    r->options = (struct options){.techniques = techniques, .technique_count = q->offer_count};
    r->study.options = &r->options;
    r->study.model = q->model;
    r->study.split.train_count = q->rungs[q->rung_count - 1].examples;
    r->study.data.label_count = (size_t)q->task->labels;
    r->study.evaluator.dev_count = q->dev;
    r->study.evaluator.test_count = q->test;
    r->study.example_tokens = q->task->example_tokens;
    r->study.prefix_tokens = q->task->instruction_tokens;
    r->study.list_tokens = q->task->list_tokens;
    r->study.tokens_answer = q->task->answer_tokens;
    r->study.tokens_rationale = q->task->rationale_tokens;
    r->study.seconds_per_answer = q->answer_seconds;
    r->study.seconds_per_reading = q->reading_seconds;
}

static void make_arms(struct rerun *r)
{
    for (size_t i = 0; i < r->q->offer_count; i++) {
        const struct offer *offer = &r->q->offers[i];
        r->arms[i] = (struct arm){.trained = offer->technique->learning_rates != NULL,
                                  .prior = offer->prior + offer->rules,
                                  .rates = offer->rates,
                                  .rate_count = offer->rate_count,
                                  .usual_rate = offer->usual_rate,
                                  .least = (size_t)offer->technique->minimum_examples};
        if (offer->excluded)
            r->arms[i].least = SIZE_MAX;
    }
}

static void look(struct rerun *r)
{
    const struct trials trials = {r->records, r->run_count};
    for (size_t i = 0; i < r->q->offer_count; i++)
        r->paces[i] = pace_of(&r->study, r->q->offers[i].technique, &trials);
}

void replay_begin(struct rerun *r, const struct question *q, uint64_t number, double share)
{
    size_t answers = q->dev + q->test;
    *r = (struct rerun){.q = q, .number = number};
    arena_init(&r->arena, NULL);
    r->deal = arena_alloc(&r->arena, answers * sizeof *r->deal);
    for (size_t i = 0; i < answers; i++)
        r->deal[i] = i;
    struct random random = random_stream(number, "deal", 0);
    random_shuffle(&random, r->deal, answers);
    r->exhaustive = question_exhaustive(q);
    r->budget = share * r->exhaustive;
    pretend_study(r);
    make_arms(r);
    look(r);
}

void replay_end(struct rerun *r)
{
    arena_release(&r->arena);
}

/* ---- Running trials -------------------------------------------------------------------------- */

static const struct recorded *trial_of(const struct rerun *r, size_t offer, size_t rate,
                                       size_t size, bool *substitute)
{
    const struct asked asked = {offer, rate, size, (size_t)r->number, 0};
    return question_trial(r->q, asked, substitute);
}

static size_t rung_of(const struct question *q, size_t size)
{
    return size + 1 < q->rung_count ? q->rungs[size].examples : q->told;
}

/* The size a rung of the policy stands for; rung_count when it stands for none. */
static size_t size_of(const struct question *q, size_t rung)
{
    size_t size = 0;
    while (size < q->rung_count && rung_of(q, size) != rung)
        size++;
    return size;
}

static double predict(struct rerun *r, size_t offer, size_t examples, int epochs, bool cautious)
{
    struct setting setting = setting_default(r->q->offers[offer].technique);
    if (!(setting.technique->needs & NEEDS_MODEL))
        return 0;
    if (epochs)
        setting_set_number(&setting, "num_epochs", epochs, &r->arena);
    return cautious ? pace_trial(&r->study, &setting, &r->paces[offer], examples)
                    : pace_expected(&r->study, &setting, &r->paces[offer], examples);
}

static void note(struct rerun *r, const struct run *run)
{
    const struct recorded *row = run->row;
    double scoring = run->seconds - row->train_seconds;
    r->trials[r->trial_count++] = (struct arm_trial){.arm = run->offer,
                                                     .rate = run->rate,
                                                     .examples = rung_of(r->q, run->size),
                                                     .seed = run->seed,
                                                     .done = true,
                                                     .metric = replay_dev(r, row),
                                                     .nll = row->dev_nll,
                                                     .seconds = run->seconds};
    r->records[r->run_count] =
        (struct trial_record){.key = {.technique = row->technique->name,
                                      .setting = row->setting,
                                      .examples = (int64_t)row->examples,
                                      .seed = (uint64_t)row->seed},
                              .status = TRIAL_DONE,
                              .metric = measured(replay_dev(r, row)),
                              .train_seconds = measured(row->train_seconds),
                              .trial_seconds = measured(row->train_seconds + scoring),
                              .tokens_per_request = measured(row->request_tokens),
                              .dev_predictions = (int64_t)r->q->dev};
    r->runs[r->run_count++] = *run;
}

static bool was_run(const struct rerun *r, const struct recorded *row)
{
    for (size_t i = 0; i < r->run_count; i++)
        if (r->runs[i].row == row)
            return true;
    return false;
}

/* Runs what of `run` its offer, rate, size, seed and passes say. False when the budget ends before
 * it. */
static bool run_it(struct rerun *r, struct run run)
{
    bool substitute = false;
    run.row = question_trial(
        r->q,
        (struct asked){run.offer, run.rate, run.size, (size_t)r->number + run.seed, run.epochs},
        &substitute);
    if (!run.row || r->trial_count == MOST_RUNS)
        return false;
    if (was_run(r, run.row)) { /* as if it had failed, at no cost */
        r->trials[r->trial_count++] = (struct arm_trial){.arm = run.offer,
                                                         .rate = run.rate,
                                                         .examples = rung_of(r->q, run.size),
                                                         .seed = run.seed};
        r->refused++;
        return true;
    }
    run.predicted = predict(r, run.offer, (size_t)run.row->examples, run.epochs, false);
    run.seconds = question_seconds(r->q, run.row);
    if (r->spent + run.seconds > r->budget) {
        r->spent = r->budget;
        return false;
    }
    r->spent += run.seconds;
    r->substitutes += substitute;
    note(r, &run);
    return true;
}

static bool run_trial(struct rerun *r, size_t offer, size_t rate, size_t size)
{
    return run_it(r, (struct run){.offer = offer, .rate = rate, .size = size});
}

/* ---- Choosing -------------------------------------------------------------------------------- */

/* Model tokens of a lifetime, as advisor/rank.h counts them. */
static double lifetime(const struct recorded *row)
{
    double passes = row->technique->fit ? row->examples : 3 * row->examples * row->epochs;
    return (passes + USUAL_REQUESTS) * row->request_tokens;
}

static double *compare(struct rerun *r, const struct recorded *const *rows, size_t count)
{
    double *p = arena_alloc(&r->arena, count * count * sizeof *p + 1);
    for (size_t a = 0; a < count; a++)
        for (size_t b = 0; b < count; b++)
            p[a * count + b] =
                a == b ? 1 : test_pair(r, rows[a], rows[b], 0, r->q->dev).second_better;
    return p;
}

static double mean_over_seeds(struct rerun *r, const struct trial_record *best)
{
    struct seeds seeds = trial_seeds(best, r->records, r->run_count, &r->arena);
    double sum = 0;
    for (size_t i = 0; i < seeds.count; i++)
        sum += seeds.trials[i]->metric.value;
    return sum / (double)seeds.count;
}

/* Among the best trials of all techniques. Their p-values are those of the first seeds. */
static void choose(struct rerun *r)
{
    struct contender contenders[MOST_ARMS];
    const struct recorded *rows[MOST_ARMS];
    size_t count = 0;
    for (size_t i = 0; i < r->q->offer_count; i++) {
        const struct technique *technique = r->q->offers[i].technique;
        const struct trial_record *best = best_trial(technique, r->records, r->run_count);
        if (!best)
            continue;
        double dev = (double)r->q->dev;
        const struct arm *arm = &r->arms[i];
        int64_t right = (int64_t)llround(best->metric.value * dev);
        rows[count] = r->runs[best - r->records].row;
        contenders[count++] = (struct contender){
            .metric = mean_over_seeds(r, best),
            .variance = interval_variance(wilson_interval(right, (int64_t)dev, 0.95)),
            .prior = arm->prior / 100,
            .trained = technique->learning_rates || technique->fit,
            .tokens = lifetime(r->runs[best - r->records].row),
            .baseline = !strcmp(technique->family, "baseline"),
            .stands = true};
    }
    struct choice choice = {contenders, count, compare(r, rows, count)};
    size_t chosen = choice_make(&choice);
    r->chosen = chosen < count ? rows[chosen] : NULL;
}

/* ---- Policies -------------------------------------------------------------------------------- */

/* What the policy's question about seconds comes back with. */
struct looking {
    struct rerun *r;
};

static double expected_seconds(const void *context, size_t arm, size_t rung, int epochs)
{
    struct rerun *r = ((const struct looking *)context)->r;
    struct asked asked = {.offer = arm,
                          .rate = r->arms[arm].usual_rate,
                          .size = size_of(r->q, rung),
                          .epochs = epochs};
    bool substitute;
    const struct recorded *row = NULL;
    if (asked.size < r->q->rung_count)
        row = question_trial(r->q, asked, &substitute);
    return row ? predict(r, arm, (size_t)row->examples, epochs, true) : (double)INFINITY;
}

static void follow_policy(struct rerun *r)
{
    struct policy_action action;
    const struct looking looking = {r};
    struct policy_view view = {.arms = r->arms,
                               .arm_count = r->q->offer_count,
                               .trials = r->trials,
                               .examples = r->q->told,
                               .answers = r->q->dev,
                               .seconds = expected_seconds,
                               .context = &looking};
    do {
        look(r);
        view.trial_count = r->trial_count;
        view.left = r->budget - r->spent;
    } while (policy_next(&view, &action) &&
             run_it(r, (struct run){.offer = action.arm,
                                    .rate = action.rate,
                                    .size = size_of(r->q, action.examples),
                                    .seed = action.seed,
                                    .epochs = action.epochs}));
    choose(r);
}

static void run_blind(struct rerun *r)
{
    struct random random = random_stream(r->number, "priors", 0);
    for (size_t i = 0; i < r->q->offer_count; i++)
        r->arms[i].prior = 1e-3 + random_uniform(&random);
    follow_policy(r);
}

/* A technique with a rate. */
struct pair {
    size_t offer, rate;
};

/* All that are recorded with all examples. */
static size_t list_pairs(const struct rerun *r, struct pair pairs[MOST_ARMS * MOST_RATES])
{
    size_t count = 0;
    bool substitute;
    for (size_t i = 0; i < r->q->offer_count; i++)
        for (size_t rate = 0; !rate || rate < r->q->offers[i].rate_count; rate++) {
            trial_of(r, i, rate, r->q->rung_count - 1, &substitute);
            if (!substitute || !r->arms[i].trained)
                pairs[count++] = (struct pair){i, rate};
        }
    return count;
}

static void run_random(struct rerun *r)
{
    struct pair pairs[MOST_ARMS * MOST_RATES];
    size_t order[MOST_ARMS * MOST_RATES], count = list_pairs(r, pairs), last = r->q->rung_count - 1;
    bool substitute;
    struct random random = random_stream(r->number, "random search", 0);
    for (size_t i = 0; i < count; i++)
        order[i] = i;
    random_shuffle(&random, order, count);
    for (size_t i = 0; i < count; i++) {
        const struct pair *pair = &pairs[order[i]];
        double seconds =
            question_seconds(r->q, trial_of(r, pair->offer, pair->rate, last, &substitute));
        if (r->spent + seconds <= r->budget)
            run_trial(r, pair->offer, pair->rate, last);
    }
    choose(r);
}

static void run_exhaustive(struct rerun *r)
{
    struct pair pairs[MOST_ARMS * MOST_RATES];
    size_t count = list_pairs(r, pairs);
    for (size_t i = 0; i < count; i++)
        run_trial(r, pairs[i].offer, pairs[i].rate, r->q->rung_count - 1);
    r->spent = r->exhaustive;
    choose(r);
}

/* One technique with its usual rate and all examples, whatever comes out. */
static void run_one(struct rerun *r, size_t offer)
{
    if (offer < r->q->offer_count &&
        run_trial(r, offer, r->q->offers[offer].usual_rate, r->q->rung_count - 1))
        r->chosen = r->runs[0].row;
}

static void run_lora(struct rerun *r)
{
    size_t i = 0;
    while (i < r->q->offer_count && strcmp(r->q->offers[i].technique->name, "lora") != 0)
        i++;
    run_one(r, i);
}

/* The order of advisor/advise.h: points, then lifetime cost. */
static void run_rules(struct rerun *r)
{
    const struct offer *offers = r->q->offers;
    size_t best = r->q->offer_count;
    for (size_t i = 0; i < r->q->offer_count; i++) {
        if (offers[i].excluded)
            continue;
        double ahead = best == r->q->offer_count ? 1 : offers[i].rules - offers[best].rules;
        if (ahead > 0 || (!(ahead < 0) && offers[i].lifetime < offers[best].lifetime))
            best = i;
    }
    run_one(r, best);
}

static void run_prompts(struct rerun *r)
{
    for (size_t i = 0; i < r->q->offer_count; i++)
        if (!r->arms[i].trained && !r->q->offers[i].technique->fit)
            run_trial(r, i, 0, r->q->rung_count - 1);
    choose(r);
}

/* Number `place` (from 0) of the trained ones among the first `count` runs; `count`: there are not
 * so many. */
static size_t in_place(const struct rerun *r, size_t count, size_t place)
{
    for (size_t i = 0; i < count; i++) {
        size_t ahead = 0;
        for (size_t k = 0; k < count; k++)
            ahead += r->arms[r->runs[k].offer].trained &&
                     (r->records[k].metric.value > r->records[i].metric.value ||
                      (k < i && r->records[k].metric.value >= r->records[i].metric.value));
        if (r->arms[r->runs[i].offer].trained && ahead == place)
            return i;
    }
    return count;
}

static void run_top(struct rerun *r)
{
    for (size_t i = 0; i < r->q->offer_count; i++)
        run_trial(r, i, r->q->offers[i].usual_rate, r->arms[i].trained ? 0 : r->q->rung_count - 1);
    size_t screened = r->run_count;
    for (size_t place = 0; place < TOP && r->q->rung_count > 1; place++) {
        size_t i = in_place(r, screened, place);
        if (i < screened)
            run_trial(r, r->runs[i].offer, r->runs[i].rate, r->q->rung_count - 1);
    }
    choose(r);
}

static const struct replay_policy policies[] = {
    {"advisor", true, follow_policy},
    {"trials", true, run_blind},
    {"random", true, run_random},
    {"always_lora", false, run_lora},
    {"zero_shot_rank", false, run_prompts},
    {"rules", false, run_rules},
    {"smallest_rung_top_3", false, run_top},
    {"exhaustive", false, run_exhaustive},
};

const struct replay_policy *replay_policy_at(size_t index)
{
    return index < sizeof policies / sizeof *policies ? &policies[index] : NULL;
}

/* ---- Judging --------------------------------------------------------------------------------- */

bool interval_holds(double right_share, double count, double share, double others)
{
    struct interval wilson =
        wilson_interval((int64_t)llround(right_share * count), (int64_t)count, 0.8);
    double wider = sqrt(1 + count / others);
    return share >= right_share - wider * (right_share - wilson.low) &&
           share <= right_share + wider * (wilson.high - right_share);
}

/* The rows that an oracle may choose from. */
static size_t list_rows(const struct rerun *r, const struct recorded **rows)
{
    struct pair pairs[MOST_ARMS * MOST_RATES];
    size_t count = list_pairs(r, pairs);
    bool substitute;
    for (size_t i = 0; i < count; i++)
        rows[i] = trial_of(r, pairs[i].offer, pairs[i].rate, r->q->rung_count - 1, &substitute);
    return count;
}

/* The test metric of the best trial by one half of the test answers on the other half. */
static double halved_best(struct rerun *r, const struct recorded *const *rows, size_t count)
{
    size_t test = r->q->test, half = test / 2;
    size_t *order = arena_alloc(&r->arena, test * sizeof *order);
    double sum = 0;
    struct random random = random_stream(r->number, "halvings", 0);
    for (size_t i = 0; i < test; i++)
        order[i] = r->q->dev + i;
    for (size_t h = 0; h < HALVINGS; h++) {
        double best = -1, then = 0;
        random_shuffle(&random, order, test);
        for (size_t i = 0; i < count; i++) {
            double first = share_right(r, rows[i], order, 0, half);
            if (first <= best)
                continue;
            best = first;
            then = share_right(r, rows[i], order, half, test - half);
        }
        sum += then;
    }
    return sum / HALVINGS;
}

/* What is left when nothing was chosen: the majority answer, or NULL when that is not recorded. */
static const struct recorded *floor_of(const struct recorded *const *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!strcmp(rows[i]->technique->family, "baseline"))
            return rows[i];
    return NULL;
}

struct judged replay_judge(struct rerun *r)
{
    const struct recorded *rows[MOST_ARMS * MOST_RATES], *best = NULL;
    size_t count = list_rows(r, rows);
    struct judged v = {.share = r->spent / r->exhaustive};
    for (size_t i = 0; i < count; i++)
        if (!best || replay_test(r, rows[i]) > replay_test(r, best))
            best = rows[i];
    const struct recorded *taken = r->chosen ? r->chosen : floor_of(rows, count);
    v.metric = taken ? replay_test(r, taken) : 0;
    v.regret = replay_test(r, best) - v.metric;
    v.fair_regret = halved_best(r, rows, count) - v.metric;
    v.hit = v.regret <= 1e-12 || (r->chosen && r->chosen->technique == best->technique);
    v.tied = v.regret <= 1e-12 ||
             (taken && test_pair(r, best, taken, r->q->dev, r->q->test).two_sided > 0.05);
    v.covered = taken && interval_holds(replay_dev(r, taken), (double)r->q->dev, v.metric,
                                        (double)r->q->test);
    return v;
}
