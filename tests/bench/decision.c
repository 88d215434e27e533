/* SPDX-License-Identifier: Apache-2.0
 *
 * Judges the decision: policies of allocation, ours among them, replayed on recorded trials.
 *
 *     build/bench/decision [--detail] [TASKS FOLDER]
 *
 * Prints one line a figure, `policy figure value goal met|missed`, with `-` where there is no goal,
 * and `none`, which misses every goal, where the record holds nothing to judge by. Lines that begin
 * with # say what the record holds. Rates and shares are in per cent, regrets in points of the
 * share of right answers. The same record gives the same lines. What can be answered from an
 * incomplete record, and how, is said in question.h; which policies there are and how they are
 * judged in replay.h.
 *
 * A figure of a policy is the mean over questions of the mean over replays; the 95th percentile is
 * over all replays of all questions. Figures without @ are at 25 % of the exhaustive cost. Whatever
 * a policy knows of techniques beforehand was measured on the other tasks.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/figures.h"
#include "tests/bench/replay.h"

/* With fewer techniques that train, a quarter of the exhaustive cost does not pay for two trials.
 */
enum { REPLAYS = 40, LEAST_TRAINED = 6, GOAL_SHARE = 25 };

static const int budgets[] = {5, 10, 25, 50, 100}; /* per cent of the exhaustive cost */

/* Of the default model, with which the trials were recorded. */
static const struct model_numbers shape = {
    .parameters = 134515008, .context = 8192, .n_layer = 30, .n_embd = 576};

struct bench {
    struct record record;
    struct arena arena;
    struct model *model;
    struct question *questions;
    size_t question_count;
    bool detail;
};

/* ---- Lines ----------------------------------------------------------------------------------- */

/* What a figure should be: from `low` to `high`; both 0: no goal. */
struct goal {
    double low, high;
};

/* A figure that equals its goal but for rounding meets it. */
static bool is_met(double value, struct goal goal)
{
    const double rounding = 1e-9;
    return (value >= goal.low - rounding || !(goal.low > 0)) && value <= goal.high + rounding;
}

static void print_figure(const char *policy, const char *figure, double value, struct goal goal)
{
    bool wanted = goal.low > 0 || goal.high > 0;
    printf("%s %s ", policy, figure);
    if (isnan(value))
        printf("none");
    else
        printf("%.1f", fabs(value) < 0.05 ? 0 : value); /* no "-0.0" */
    if (!wanted)
        printf(" - -\n");
    else if (isinf(goal.high))
        printf(" >=%g", goal.low);
    else if (!(goal.low > 0))
        printf(" <=%g", goal.high);
    else
        printf(" %g..%g", goal.low, goal.high);
    if (wanted)
        printf(" %s\n", is_met(value, goal) ? "met" : "missed");
}

/* ---- The record ------------------------------------------------------------------------------ */

/* Trials of a whole grid: every technique that the task allows, every learning rate, 64 to 512
 * examples, two seeds of what is trained. */
static size_t count_grid(const struct task_numbers *task)
{
    enum { SIZES = 4, SEEDS = 2 };
    const struct technique *technique;
    size_t cells = 0;
    for (size_t i = 0; (technique = technique_at(i)); i++) {
        if ((technique->needs & NEEDS_LABELS && !(task->labels > 0)) ||
            (technique->needs & NEEDS_RATIONALE && !(task->rationales > 0)))
            continue;
        cells += SIZES * (technique->learning_rates ? SEEDS * technique_rate_count(technique) : 1);
    }
    return cells;
}

static void print_task(const struct bench *b, const struct task_numbers *task)
{
    size_t recorded = 0, unusual = 0, failed = 0, cells = count_grid(task);
    for (size_t i = 0; i < b->record.count; i++) {
        const struct recorded *row = &b->record.rows[i];
        if (strcmp(row->task, task->name) != 0)
            continue;
        unusual += !row->usual;
        failed += *row->failure != 0;
        recorded += row->usual && !*row->failure;
    }
    if (recorded + unusual + failed)
        printf("# record %s: %zu trials, %.0f %% of a grid of %zu; left out: %zu failed, %zu with "
               "settings that are no defaults\n",
               task->name, recorded, 100.0 * (double)recorded / (double)cells, cells, failed,
               unusual);
}

static void print_question(const struct question *q)
{
    printf("# question %s/%zu: sizes", q->task->name, q->rungs[q->rung_count - 1].examples);
    for (size_t i = 0; i < q->rung_count; i++)
        printf(" %zu", q->rungs[i].examples);
    printf("; %zu development and %zu test answers; techniques", q->dev, q->test);
    for (size_t i = 0; i < q->offer_count; i++) {
        printf(" %s", q->offers[i].technique->name);
        if (q->offers[i].rate_count > 1)
            printf("(%zu)", q->offers[i].rate_count);
    }
    printf("\n");
}

static void print_record(const struct bench *b)
{
    size_t tasks = 0;
    for (size_t i = 0; i < b->record.task_count; i++)
        print_task(b, &b->record.tasks[i]);
    for (size_t i = 0; i < b->question_count; i++) {
        size_t first = 0;
        while (b->questions[first].task != b->questions[i].task)
            first++;
        tasks += first == i;
        print_question(&b->questions[i]);
    }
    printf("# %zu questions on %zu tasks, %d replays of each\n", b->question_count, tasks, REPLAYS);
}

/* ---- Policies -------------------------------------------------------------------------------- */

static bool is_ours(const struct replay_policy *policy)
{
    return !strcmp(policy->name, "advisor");
}

/* What a policy did, over all questions. Figures of a question are means over its replays. */
struct tally {
    struct sample hits, ties, regrets, fair, shares, covered, substitutes; /* by question */
    struct sample all_regrets, errors, own_errors;                         /* by replay or trial */
};

static void release(struct tally *t)
{
    struct sample *samples[] = {&t->hits,   &t->ties,      &t->regrets,     &t->fair,
                                &t->shares, &t->covered,   &t->substitutes, &t->all_regrets,
                                &t->errors, &t->own_errors};
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++)
        free(samples[i]->values);
}

/* Errors of the seconds predicted, where training was to be predicted. */
static void count_errors(const struct rerun *r, struct tally *tally)
{
    for (size_t i = 0; i < r->run_count; i++) {
        const struct run *run = &r->runs[i];
        double error = fabs(run->predicted / run->seconds - 1);
        bool known = false;
        if (!r->arms[run->offer].trained)
            continue;
        for (size_t k = 0; k < i; k++)
            known |= r->runs[k].offer == run->offer;
        sample_add(&tally->errors, 100 * error);
        if (known)
            sample_add(&tally->own_errors, 100 * error);
    }
}

static void print_choice(const struct rerun *r, const char *policy, const struct judged *judged)
{
    printf("# %s/%zu %" PRIu64 " %s: %s %s %s: %.1f, regret %.1f (%.1f), %zu trials, %.0f %%;",
           r->q->task->name, r->q->rungs[r->q->rung_count - 1].examples, r->number, policy,
           r->chosen ? r->chosen->technique->name : "nothing",
           r->chosen ? r->chosen->rate_text : "",
           judged->hit    ? "hit"
           : judged->tied ? "tie"
                          : "miss",
           100 * judged->metric, 100 * judged->regret, 100 * judged->fair_regret, r->run_count,
           100 * judged->share);
    for (size_t i = 0; i < r->run_count; i++)
        printf(" %s:%g:%s=%.0f", r->runs[i].row->technique->name, r->runs[i].row->examples,
               r->runs[i].row->rate_text, 100 * replay_dev(r, r->runs[i].row));
    printf("\n");
}

/* All replays of one question. */
static void replay_question(const struct bench *b, const struct replay_policy *policy,
                            const struct question *q, double share, struct tally *tally)
{
    double sums[7] = {0};
    struct rerun *r = memory_alloc(sizeof *r);
    for (uint64_t number = 0; number < REPLAYS; number++) {
        replay_begin(r, q, number, policy->budgeted ? share : (double)INFINITY);
        policy->run(r);
        struct judged judged = replay_judge(r);
        double values[] = {judged.hit,
                           judged.tied,
                           judged.regret,
                           judged.fair_regret,
                           judged.share,
                           judged.covered,
                           (double)r->substitutes / fmax((double)r->run_count, 1)};
        for (size_t i = 0; i < 7; i++)
            sums[i] += 100 * values[i] / REPLAYS;
        sample_add(&tally->all_regrets, 100 * judged.regret);
        count_errors(r, tally);
        if (b->detail && number < 3)
            print_choice(r, policy->name, &judged);
        replay_end(r);
    }
    struct sample *samples[] = {&tally->hits,   &tally->ties,    &tally->regrets,    &tally->fair,
                                &tally->shares, &tally->covered, &tally->substitutes};
    for (size_t i = 0; i < 7; i++)
        sample_add(samples[i], sums[i]);
    free(r);
}

static void print_tally(const struct replay_policy *policy, int budget, const struct tally *tally)
{
    bool ours = is_ours(policy) && budget == GOAL_SHARE;
    char at[16] = "", name[64];
    if (policy->budgeted && budget != GOAL_SHARE)
        snprintf(at, sizeof at, "@%d", budget);
    const struct {
        const char *name;
        double value;
        struct goal goal;
    } rows[] = {
        {"hit_rate_exact", sample_mean(&tally->hits), {70, INFINITY}},
        {"hit_rate_tied", sample_mean(&tally->ties), {90, INFINITY}},
        {"regret_mean", sample_mean(&tally->regrets), {0, 1}},
        {"regret_p95", sample_quantile(&tally->all_regrets, 0.95), {0, 4}},
        {"fair_regret_mean", sample_mean(&tally->fair), {0, 1}},
        {"share_of_exhaustive", sample_mean(&tally->shares), {0, 25}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        snprintf(name, sizeof name, "%s%s", rows[i].name, at);
        print_figure(policy->name, name, rows[i].value, ours ? rows[i].goal : (struct goal){0, 0});
    }
}

static void print_ours(const struct tally *tally)
{
    print_figure("advisor", "substitutes", sample_mean(&tally->substitutes), (struct goal){0, 0});
    print_figure("advisor", "choice_interval_coverage", sample_mean(&tally->covered),
                 (struct goal){75, 88});
    print_figure("advisor", "time_error_median", sample_quantile(&tally->errors, 0.5),
                 (struct goal){0, 10});
}

/* A second trial of a technique comes late, so this is judged where the budget pays for many. */
static void print_ours_in_full(const struct tally *tally)
{
    print_figure("advisor", "time_error_median_after_first@100",
                 sample_quantile(&tally->own_errors, 0.5), (struct goal){0, 10});
}

static void replay_policy(const struct bench *b, const struct replay_policy *policy, int budget)
{
    struct tally tally = {0};
    for (size_t i = 0; i < b->question_count; i++)
        replay_question(b, policy, &b->questions[i], budget / 100.0, &tally);
    print_tally(policy, budget, &tally);
    if (is_ours(policy) && budget == GOAL_SHARE)
        print_ours(&tally);
    if (is_ours(policy) && budget == 100)
        print_ours_in_full(&tally);
    release(&tally);
}

static void replay_all(const struct bench *b)
{
    const struct replay_policy *policy;
    for (size_t i = 0; (policy = replay_policy_at(i)); i++) {
        for (size_t k = 0; k < sizeof budgets / sizeof *budgets; k++)
            if (policy->budgeted || budgets[k] == GOAL_SHARE)
                replay_policy(b, policy, budgets[k]);
    }
}

/* ---- The rest -------------------------------------------------------------------------------- */

static enum status print_figures(const struct bench *b, struct error *err)
{
    struct sample intervals = {0}, forecasts = {0}, memory = {0};
    figures_intervals(&b->record, &intervals);
    figures_memory(&b->record, b->model, &memory);
    enum status status = figures_forecasts(&b->record, &forecasts, err);
    print_figure("advisor", "interval_coverage", 100 * sample_mean(&intervals),
                 (struct goal){75, 88});
    print_figure("advisor", "forecast_coverage", 100 * sample_mean(&forecasts),
                 (struct goal){75, 88});
    print_figure("advisor", "memory_error_median", 100 * sample_quantile(&memory, 0.5),
                 (struct goal){0, 10});
    print_figure("advisor", "memory_error_p95", 100 * sample_quantile(&memory, 0.95),
                 (struct goal){0, 0});
    printf("# %zu intervals, %zu forecasts, %zu peaks of memory\n", intervals.count,
           forecasts.count, memory.count);
    free(intervals.values);
    free(forecasts.values);
    free(memory.values);
    return status;
}

static enum status run(struct bench *b, const char *tasks, const char *folder, struct error *err)
{
    enum status status = record_read(&b->record, tasks, folder, err);
    if (status == OK)
        status = questions_make(&b->record, b->model, LEAST_TRAINED, &b->arena, &b->questions,
                                &b->question_count, err);
    if (status != OK)
        return status;
    print_record(b);
    replay_all(b);
    return print_figures(b, err);
}

int main(int argc, char **argv)
{
    struct bench bench = {.detail = argc > 1 && !strcmp(argv[1], "--detail")};
    struct error err;
    int first = bench.detail ? 2 : 1;
    if (argc != first && argc != first + 2) {
        fputs("usage: decision [--detail] [TASKS FOLDER]\n", stderr);
        return USAGE;
    }
    record_init(&bench.record);
    arena_init(&bench.arena, NULL);
    bench.model = model_sketch(&shape);
    enum status status = run(&bench, argc > first ? argv[first] : "tests/bench/tasks.csv",
                             argc > first ? argv[first + 1] : "tests/bench/recorded", &err);
    if (status != OK)
        fprintf(stderr, "decision: %s\n", err.text);
    model_free(bench.model);
    arena_release(&bench.arena);
    record_release(&bench.record);
    return (int)status;
}
