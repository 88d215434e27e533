/* SPDX-License-Identifier: Apache-2.0
 *
 * advisor advise: an answer at once, from rules, arithmetic and past studies.
 */
#include "advisor/advise.h"

#include <stdlib.h>

#include "advisor/command.h"
#include "advisor/output.h"

double advice_lifetime(const struct advice *advice, const struct judgement *judgement)
{
    double requests = facts_number(&advice->situation->facts, FACT_REQUESTS, USUAL_REQUESTS);
    return estimate_lifetime(&judgement->estimate, requests);
}

/* Whether judgement `a` stands before `b`. */
static bool before(const struct advice *advice, size_t a, size_t b)
{
    const struct judgement *x = &advice->judgements.items[a], *y = &advice->judgements.items[b];
    double difference = advice->beliefs[a].points - advice->beliefs[b].points;
    if (x->excluded != y->excluded)
        return y->excluded;
    if (difference > 0 || difference < 0)
        return difference > 0;
    return advice_lifetime(advice, x) < advice_lifetime(advice, y);
}

/* Insertion sort: equals keep the order of the registry. */
static void sort(struct advice *advice, struct arena *arena)
{
    size_t count = advice->judgements.count;
    advice->order = arena_alloc(arena, (count + 1) * sizeof *advice->order);
    for (size_t i = 0; i < count; i++) {
        size_t at = i;
        for (; at && before(advice, i, advice->order[at - 1]); at--)
            advice->order[at] = advice->order[at - 1];
        advice->order[at] = i;
    }
}

static void remember(struct situation *situation, const struct options *options,
                     struct advice *advice)
{
    const char *hash = situation->has_data ? situation->data.sha256 : NULL;
    if (options->no_history)
        return;
    history_read(&situation->facts, hash, &situation->arena, &advice->history);
    bool elsewhere = options->memory.known || situation->sketched;
    if (!situation->facts.values[FACT_THROUGHPUT].known && !elsewhere)
        facts_set_measured(&situation->facts, FACT_THROUGHPUT, advice->history.throughput);
}

static enum status advise(struct situation *situation, const struct options *options,
                          struct rules *rules, struct advice *advice, struct error *err)
{
    struct arena *arena = &situation->arena;
    *advice = (struct advice){.situation = situation};
    remember(situation, options, advice);
    enum status status =
        rules_judge(rules, &situation->facts, situation->model, options->techniques,
                    options->technique_count, arena, &advice->judgements, err);
    if (status != OK)
        return status;
    advice->beliefs = arena_alloc(arena, (advice->judgements.count + 1) * sizeof *advice->beliefs);
    history_believe(&advice->history, &advice->judgements, advice->beliefs);
    sort(advice, arena);
    return OK;
}

static enum status write(const struct options *options, const struct advice *advice, bool json,
                         struct error *err)
{
    struct text out = {0};
    if (json)
        advice_json(advice, &out);
    else
        advice_text(advice, output_style(options), &out);
    enum status status = output_write(options, &out, err);
    text_release(&out);
    return status;
}

/* Something to go by. */
static enum status check_options(const struct options *options, struct error *err)
{
    if (options->operand_count || options->examples >= 0 || options->reading.task != TASK_INFER ||
        options->labels.known)
        return OK;
    return error_set(err, USAGE,
                     "advise: there is nothing to go by; give DATA, or describe it with "
                     "--examples N --task TASK (and --labels N --tokens N)");
}

enum status advise_run(const struct options *options, struct error *err)
{
    struct situation situation = {0};
    struct rules *rules = NULL;
    struct advice advice;
    bool json;
    enum status status = output_text_or_json(options, &json, err);
    if (status == OK)
        status = check_options(options, err);
    if (status == OK)
        status = rules_open(&rules, options->rules_path, err);
    if (status == OK)
        status = situation_open(&situation, options, err);
    if (status == OK)
        status = advise(&situation, options, rules, &advice, err);
    if (status == OK)
        status = write(options, &advice, json, err);
    situation_close(&situation);
    rules_free(rules);
    return status;
}
