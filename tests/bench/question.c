/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/question.h"

#include <math.h>
#include <string.h>

#include "advisor/policy.h"

/* The machine of the record, as far as rules ask for it. */
static const double memory = 8e9;

static bool learns(const struct technique *technique)
{
    return technique->learning_rates || technique->fit || technique->keep;
}

/* A row that may answer for its technique in this question, with so many passes (0: as usual). */
static bool counts_with(const struct question *q, const struct recorded *row,
                        const struct technique *technique, int epochs)
{
    bool passes = epochs ? row->brief && row->epochs == epochs : row->usual;
    return row->technique == technique && passes && !*row->failure &&
           !strcmp(row->task, q->task->name);
}

static bool counts(const struct question *q, const struct recorded *row,
                   const struct technique *technique)
{
    return counts_with(q, row, technique, 0);
}

/* ---- One trial ------------------------------------------------------------------------------- */

/* How far a row is from what is asked for; INFINITY: it cannot answer for it. */
static double distance(const struct question *q, const struct asked *asked,
                       const struct recorded *row)
{
    const struct offer *offer = &q->offers[asked->offer];
    double rate = offer->rate_count ? offer->rates[asked->rate] : 1;
    double examples = (double)q->rungs[asked->size].examples;
    int epochs = asked->epochs ? asked->epochs : q->rungs[asked->size].epochs;
    if (!offer->technique->learning_rates)
        epochs = 0;
    if (!counts_with(q, row, offer->technique, epochs))
        return INFINITY;
    if (offer->technique->learning_rates)
        return row->examples < examples || row->examples > examples ? (double)INFINITY
                                                                    : fabs(log(row->rate / rate));
    if (row->examples <= examples)
        return examples - row->examples;
    return learns(offer->technique) ? (double)INFINITY : 1e9 + row->examples;
}

const struct recorded *question_trial(const struct question *q, struct asked asked,
                                      bool *substitute)
{
    double nearest = INFINITY;
    const struct recorded *found = NULL;
    size_t seeds = 0, skip;
    for (size_t i = 0; i < q->record->count; i++)
        nearest = fmin(nearest, distance(q, &asked, &q->record->rows[i]));
    for (size_t i = 0; i < q->record->count; i++)
        seeds += distance(q, &asked, &q->record->rows[i]) <= nearest;
    if (isinf(nearest))
        return NULL;
    skip = asked.turn % seeds;
    for (size_t i = 0; i < q->record->count && !found; i++)
        if (distance(q, &asked, &q->record->rows[i]) <= nearest && !skip--)
            found = &q->record->rows[i];
    *substitute = nearest > 1e-9 && learns(q->offers[asked.offer].technique);
    return found;
}

/* With all examples, and the first seed. */
static const struct recorded *whole_trial(const struct question *q, size_t offer, size_t rate)
{
    bool substitute;
    const struct asked asked = {.offer = offer, .rate = rate, .size = q->rung_count - 1};
    return question_trial(q, asked, &substitute);
}

double question_seconds(const struct question *q, const struct recorded *row)
{
    return row->train_seconds + row->score_seconds * (double)q->dev / row->dev;
}

double question_exhaustive(const struct question *q)
{
    double seconds = 0;
    for (size_t i = 0; i < q->offer_count; i++)
        for (size_t rate = 0; !rate || rate < q->offers[i].rate_count; rate++)
            seconds += question_seconds(q, whole_trial(q, i, rate));
    return seconds;
}

/* ---- What is offered ------------------------------------------------------------------------- */

static bool is_recorded(const struct question *q, const struct technique *technique, size_t size,
                        int epochs)
{
    for (size_t i = 0; i < q->record->count; i++)
        if (counts_with(q, &q->record->rows[i], technique, epochs) &&
            (size_t)q->record->rows[i].examples == size)
            return true;
    return false;
}

static size_t count_complete(const struct question *q)
{
    const struct technique *technique;
    size_t complete = 0;
    for (size_t t = 0; (technique = technique_at(t)); t++) {
        size_t size = 0;
        while (technique->learning_rates && size < q->rung_count &&
               is_recorded(q, technique, q->rungs[size].examples, q->rungs[size].epochs))
            size++;
        complete += size == q->rung_count;
    }
    return complete;
}

/* The sizes through which the policy goes when told of so many examples; the last is all. */
static void lay_ladder(struct question *q, size_t all, size_t told)
{
    size_t size = policy_first_rung(told);
    int epochs = policy_first_passes(told);
    q->rung_count = 0;
    q->told = told;
    for (; size < told && q->rung_count < MOST_RUNGS - 1; size = policy_next_rung(told, size)) {
        q->rungs[q->rung_count].examples = size;
        q->rungs[q->rung_count++].epochs = epochs;
        epochs = 0;
    }
    q->rungs[q->rung_count].examples = all;
    q->rungs[q->rung_count++].epochs = 0;
}

/* The ladder with the largest recorded block. Returns how many techniques it has. */
static size_t choose_ladder(struct question *q, size_t all)
{
    const size_t numbers[] = {all, all - 1};
    size_t best = 0, techniques = 0;
    struct question chosen = *q;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        lay_ladder(q, all, numbers[i]);
        size_t complete = count_complete(q);
        if (complete * q->rung_count <= best)
            continue;
        best = complete * q->rung_count;
        techniques = complete;
        chosen = *q;
    }
    *q = chosen;
    return techniques;
}

/* Halves of the smallest size, and halves of those, where all that is offered is recorded: what the
 * policy falls back on when not even one trial of that size fits. */
static void add_halves(struct question *q)
{
    for (size_t half = q->rungs[0].examples / 2; half >= LEAST_ASKED && q->rung_count < MOST_RUNGS;
         half /= 2) {
        bool whole = true;
        for (size_t i = 0; i < q->offer_count && whole; i++)
            whole = !q->offers[i].technique->learning_rates ||
                    is_recorded(q, q->offers[i].technique, half, 0);
        if (!whole)
            continue;
        memmove(q->rungs + 1, q->rungs, q->rung_count * sizeof *q->rungs);
        q->rungs[0].examples = half;
        q->rungs[0].epochs = 0;
        q->rung_count++;
    }
}

static void add_rate(struct offer *offer, double rate)
{
    size_t at = 0;
    while (at < offer->rate_count && offer->rates[at] < rate * (1 - 1e-9))
        at++;
    if ((at < offer->rate_count && offer->rates[at] < rate * (1 + 1e-9)) ||
        offer->rate_count == MOST_RATES)
        return;
    memmove(offer->rates + at + 1, offer->rates + at,
            (offer->rate_count - at) * sizeof *offer->rates);
    offer->rates[at] = rate;
    offer->rate_count++;
}

/* The rates on offer; the usual one is the one next to the technique's default. */
static void offer_rates(const struct question *q, struct offer *offer)
{
    struct setting setting = setting_default(offer->technique);
    double usual = log(setting_number(&setting, "learning_rate"));
    for (size_t i = 0; i < q->record->count; i++)
        for (size_t size = 0; size < q->rung_count; size++)
            if (counts_with(q, &q->record->rows[i], offer->technique, q->rungs[size].epochs) &&
                (size_t)q->record->rows[i].examples == q->rungs[size].examples)
                add_rate(offer, q->record->rows[i].rate);
    for (size_t i = 0; i < offer->rate_count; i++)
        if (fabs(log(offer->rates[i]) - usual) < fabs(log(offer->rates[offer->usual_rate]) - usual))
            offer->usual_rate = i;
}

static bool is_offered(const struct question *q, const struct technique *technique)
{
    struct question one = *q;
    if (technique->learning_rates) {
        for (size_t size = 0; size < q->rung_count; size++)
            if (!is_recorded(q, technique, q->rungs[size].examples, q->rungs[size].epochs))
                return false;
        return true;
    }
    one.offers[0] = (struct offer){.technique = technique};
    return whole_trial(&one, 0, 0) != NULL;
}

static double prior_elsewhere(const struct question *q, const struct technique *technique)
{
    double points = record_points(q->record, technique, q->task->name);
    return isnan(points) ? technique->prior : points;
}

static void make_offers(struct question *q)
{
    const struct technique *technique;
    for (size_t t = 0; (technique = technique_at(t)) && q->offer_count < MOST_ARMS; t++) {
        if (!is_offered(q, technique))
            continue;
        struct offer *offer = &q->offers[q->offer_count++];
        *offer = (struct offer){.technique = technique, .prior = prior_elsewhere(q, technique)};
        if (technique->learning_rates)
            offer_rates(q, offer);
    }
}

/* ---- What is known about it ------------------------------------------------------------------ */

/* Of those that train by steps, with all examples. */
static void count_answers(struct question *q)
{
    double dev = INFINITY, test = INFINITY;
    for (size_t i = 0; i < q->offer_count; i++)
        for (size_t rate = 0; rate < q->offers[i].rate_count; rate++) {
            const struct recorded *row = whole_trial(q, i, rate);
            dev = fmin(dev, row->dev);
            test = fmin(test, row->test);
        }
    q->dev = (size_t)dev;
    q->test = (size_t)test;
}

/* As the fastest of them answers. */
static void time_answers(struct question *q)
{
    q->answer_seconds = INFINITY;
    for (size_t i = 0; i < q->record->count; i++) {
        const struct recorded *row = &q->record->rows[i];
        if (counts(q, row, row->technique) && row->technique->needs & NEEDS_MODEL)
            q->answer_seconds = fmin(q->answer_seconds, row->score_seconds / row->dev);
    }
}

/* Where answers are written, reading is what a token takes on the fastest task where they are not:
 * the record has no other measurement of it. */
static void time_reading(struct question *q)
{
    double token = INFINITY;
    if (q->task->labels > 0)
        return;
    for (size_t i = 0; i < q->record->count; i++) {
        const struct recorded *row = &q->record->rows[i];
        const struct task_numbers *task = record_task(q->record, row->task);
        if (row->usual && !*row->failure && row->technique->needs & NEEDS_MODEL && task->labels > 0)
            token = fmin(token, row->score_seconds / row->dev / task->example_tokens);
    }
    if (!isinf(token))
        q->reading_seconds = token * (q->task->example_tokens - q->task->answer_tokens + 1);
}

static void state_facts(const struct question *q, struct facts *facts)
{
    const struct task_numbers *t = q->task;
    double train = (double)q->rungs[q->rung_count - 1].examples;
    *facts = (struct facts){0};
    facts_set_text(facts, FACT_TASK, t->kind);
    facts_set(facts, FACT_EXAMPLES, train + (double)(q->dev + q->test));
    facts_set(facts, FACT_TRAIN, train);
    facts_set(facts, FACT_DEV, (double)q->dev);
    facts_set(facts, FACT_LABELS, t->labels > 0 ? t->labels : (double)NAN);
    facts_set(facts, FACT_INPUT_TOKENS, t->input_tokens);
    facts_set(facts, FACT_INPUT_TOKENS_MAX, t->input_tokens_max);
    facts_set(facts, FACT_ANSWER_TOKENS, t->answer_tokens);
    facts_set(facts, FACT_ANSWER_TOKENS_MAX, t->answer_tokens);
    facts_set(facts, FACT_INSTRUCTION_TOKENS, t->instruction_tokens);
    facts_set(facts, FACT_LIST_TOKENS, t->list_tokens);
    facts_set(facts, FACT_TARGET_TOKENS, train * t->answer_tokens);
    facts_set(facts, FACT_RATIONALES, t->rationales);
    if (t->rationale_tokens > 0)
        facts_set(facts, FACT_RATIONALE_TOKENS, t->rationale_tokens);
    facts_set(facts, FACT_REASONING, t->reasoning);
    facts_set(facts, FACT_NOISE_LOW, t->noise_low);
    facts_set(facts, FACT_UNSEEN_WORDS, t->unseen_words);
    facts_set(facts, FACT_TEST_UNSEEN_WORDS, t->test_unseen_words);
    facts_set(facts, FACT_PARAMETERS, (double)q->model->n_parameters);
    facts_set(facts, FACT_CONTEXT, q->model->n_context);
    facts_set(facts, FACT_BIAS_TERMS, 0);
    facts_set(facts, FACT_WEIGHT_BITS, 8 * sizeof(real));
    facts_set(facts, FACT_MEMORY, memory);
    facts_set(facts, FACT_CORES, 1);
}

static enum status ask_rules(struct question *q, struct rules *rules, struct arena *arena,
                             struct error *err)
{
    struct facts facts;
    struct judgements judgements;
    const struct technique *techniques[MOST_ARMS];
    for (size_t i = 0; i < q->offer_count; i++)
        techniques[i] = q->offers[i].technique;
    state_facts(q, &facts);
    enum status status =
        rules_judge(rules, &facts, q->model, techniques, q->offer_count, arena, &judgements, err);
    for (size_t i = 0; i < q->offer_count && status == OK; i++) {
        q->offers[i].rules = judgements.items[i].prior;
        q->offers[i].excluded = judgements.items[i].excluded;
        q->offers[i].lifetime = estimate_lifetime(&judgements.items[i].estimate, USUAL_REQUESTS);
    }
    return status;
}

/* ---- All of them ----------------------------------------------------------------------------- */

/* Whether this row is the first one with its task and size. */
static bool is_first(const struct record *record, size_t index)
{
    const struct recorded *row = &record->rows[index];
    for (size_t i = 0; i < index; i++)
        if (!strcmp(record->rows[i].task, row->task) &&
            (size_t)record->rows[i].examples == (size_t)row->examples)
            return false;
    return true;
}

static enum status make_all(const struct record *record, struct model *model, size_t least,
                            struct rules *rules, struct arena *arena, struct question *questions,
                            size_t *count, struct error *err)
{
    enum status status = OK;
    for (size_t i = 0; i < record->count && status == OK; i++) {
        const struct recorded *row = &record->rows[i];
        struct question q = {
            .record = record, .task = record_task(record, row->task), .model = model};
        if (row->examples < LEAST_ASKED || !is_first(record, i) ||
            choose_ladder(&q, (size_t)row->examples) < least)
            continue;
        make_offers(&q);
        add_halves(&q);
        count_answers(&q);
        time_answers(&q);
        time_reading(&q);
        status = ask_rules(&q, rules, arena, err);
        questions[(*count)++] = q;
    }
    return status;
}

enum status questions_make(const struct record *record, struct model *model, size_t least,
                           struct arena *arena, struct question **questions, size_t *count,
                           struct error *err)
{
    struct rules *rules;
    *questions = arena_alloc(arena, (record->count + 1) * sizeof **questions);
    *count = 0;
    enum status status = rules_open(&rules, NULL, err);
    if (status == OK)
        status = make_all(record, model, least, rules, arena, *questions, count, err);
    rules_free(rules);
    return status;
}
