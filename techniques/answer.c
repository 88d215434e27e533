/* SPDX-License-Identifier: Apache-2.0
 *
 * Answering: labels are scored along their trie, free text is decoded, and the answers behind
 * several prompts become one.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "techniques/adapted.h"
#include "techniques/calibrate.h"
#include "techniques/generate.h"
#include "techniques/prompt.h"
#include "techniques/score.h"

/* Takes labels that the example does not offer out of a technique's own answer. */
static void keep_offered(const struct adapted *adapted, const struct example *example,
                         struct outcome *outcome, struct arena *arena)
{
    int labels = (int)adapted->data->label_count, offered = labels_offered(adapted->data, example);
    if (offered == labels)
        return;
    if (!outcome->probabilities) {
        outcome->label = outcome->label < offered ? outcome->label : -1;
        return;
    }
    double sum = 0;
    float *kept = arena_zalloc(arena, (size_t)labels * sizeof *kept);
    for (int l = 0; l < offered; l++)
        sum += (double)outcome->probabilities[l];
    outcome->label = 0;
    for (int l = 0; l < offered; l++) {
        kept[l] = sum > 0 ? (float)((double)outcome->probabilities[l] / sum) : 1 / (float)offered;
        outcome->label = kept[l] > kept[outcome->label] ? l : outcome->label;
    }
    outcome->probabilities = kept;
    outcome->probability = (double)kept[outcome->label];
    if (outcome->scored && example->label >= 0) /* far below what the technique tells apart */
        outcome->nll = -log(fmax((double)kept[example->label], 1e-30));
}

static enum status answer_itself(struct adapted *adapted, const struct example *const *examples,
                                 size_t count, struct outcome *outcomes, struct arena *arena,
                                 const struct deadline *deadline, struct error *err)
{
    enum status status =
        adapted->technique->answer(adapted, examples, count, outcomes, arena, deadline, err);
    for (size_t i = 0; i < count && status == OK; i++)
        keep_offered(adapted, examples[i], &outcomes[i], arena);
    return status;
}

/* ---- One prompt ----------------------------------------------------------------------------- */

/* The requests of one adapted_answer. */
struct asking {
    struct adapted *adapted;
    const struct example *const *examples;
    size_t count;
    struct sequence *sequences;  /* (count) with what was retrieved in front */
    struct retrieved *retrieved; /* (count); NULL: all have the same prompt */
    struct outcome *outcomes;
    struct arena *arena;
    const struct deadline *deadline;
};

static enum status retrieve(struct asking *a, struct error *err)
{
    const struct technique *technique = a->adapted->technique;
    if (!technique->retrieve)
        return OK;
    struct retrieved *found = arena_zalloc(a->arena, a->count * sizeof *found);
    enum status status = technique->retrieve(a->adapted, a->examples, a->sequences, a->count, found,
                                             a->arena, a->deadline, err);
    for (size_t i = 0; i < a->count && status == OK; i++) {
        if (!found[i].count && !found[i].tokens)
            continue;
        a->retrieved = found;
        a->sequences[i] = prompt_behind(&found[i], &a->sequences[i], a->arena);
    }
    return status;
}

/* Measures what `count` prompts prefer by themselves, `priors` (count, labels): those behind which
 * `retrieved` stands, or the shared one. With `tokens`, adds what was read for each. */
static enum status measure_priors(const struct asking *a, const struct retrieved *retrieved,
                                  size_t count, double *priors, int *tokens, struct error *err)
{
    size_t labels = a->adapted->data->label_count;
    const struct example *free_examples[CONTENT_FREE];
    for (size_t i = 0; i < CONTENT_FREE; i++)
        free_examples[i] = &content_free_examples()[i];
    struct sequence *requests, *all = arena_alloc(a->arena, count * CONTENT_FREE * sizeof *all);
    struct scores answers;
    enum status status =
        prompt_encode(a->adapted, free_examples, CONTENT_FREE, false, a->arena, &requests, err);
    if (status != OK)
        return status;
    for (size_t i = 0; i < count * CONTENT_FREE; i++) {
        const struct sequence *request = &requests[i % CONTENT_FREE];
        all[i] =
            retrieved ? prompt_behind(&retrieved[i / CONTENT_FREE], request, a->arena) : *request;
    }
    status = score_labels(a->adapted, SCORE_WHOLE, all, count * CONTENT_FREE, &answers, a->arena,
                          a->deadline, err);
    for (size_t i = 0; i < count * CONTENT_FREE && status == OK && tokens; i++)
        tokens[i / CONTENT_FREE] += all[i].request + answers.rows[i];
    for (size_t i = 0; i < count && status == OK; i++)
        calibration_prior(answers.log_probabilities + i * CONTENT_FREE * labels, labels,
                          priors + i * labels);
    return status;
}

/* Calibrates all answers: a shared prompt is measured once, prompts of their own each. */
static enum status calibrate(struct asking *a, double *log_probabilities, int *tokens,
                             struct error *err)
{
    struct adapted *adapted = a->adapted;
    size_t labels = adapted->data->label_count;
    double *priors = adapted->prior;
    enum status status = OK;
    if (a->retrieved) {
        priors = arena_alloc(a->arena, a->count * labels * sizeof *priors);
        status = measure_priors(a, a->retrieved, a->count, priors, tokens, err);
    } else if (!priors) {
        priors = arena_alloc(&adapted->arena, labels * sizeof *priors);
        status = measure_priors(a, NULL, 1, priors, NULL, err);
        if (status == OK)
            adapted->prior = priors;
    }
    for (size_t i = 0; i < a->count && status == OK; i++)
        calibration_apply(a->retrieved ? priors + i * labels : priors, labels,
                          log_probabilities + i * labels);
    return status;
}

static enum status answer_labels(struct asking *a, struct error *err)
{
    struct adapted *adapted = a->adapted;
    size_t labels = adapted->data->label_count;
    int *tokens = arena_zalloc(a->arena, a->count * sizeof *tokens);
    struct scores found;
    bool calibrated = calibration_wanted(&adapted->setting);
    /* Divided by its prior any label may win, so none may have but a share of its group. */
    enum score_how how = calibrated ? SCORE_WHOLE : SCORE_BY_SIZE;
    enum status status =
        score_labels(adapted, how, a->sequences, a->count, &found, a->arena, a->deadline, err);
    if (status == OK && calibrated)
        status = calibrate(a, found.log_probabilities, tokens, err);
    for (size_t i = 0; i < a->count && status == OK; i++) {
        score_fill(adapted, a->examples[i], found.log_probabilities + i * labels, &a->outcomes[i],
                   a->arena);
        a->outcomes[i].request_tokens = a->sequences[i].request + found.rows[i] + tokens[i];
    }
    return status;
}

static enum status answer_behind_prompt(struct asking *a, struct error *err)
{
    enum status status =
        prompt_encode(a->adapted, a->examples, a->count, false, a->arena, &a->sequences, err);
    if (status == OK)
        status = retrieve(a, err);
    if (status != OK)
        return status;
    status = a->adapted->labels ? answer_labels(a, err)
                                : generate_answers(a->adapted, a->sequences, a->count, a->outcomes,
                                                   a->arena, a->deadline, err);
    for (size_t i = 0; i < a->count && status == OK && a->retrieved; i++)
        a->outcomes[i].request_tokens += a->retrieved[i].tokens;
    return status;
}

/* ---- Several prompts ------------------------------------------------------------------------ */

/* The mean of the distributions. */
static void average(const struct adapted *adapted, const struct example *example,
                    const struct outcome *members, int count, struct outcome *outcome,
                    struct arena *arena)
{
    size_t labels = adapted->data->label_count;
    double *mean = arena_zalloc(arena, labels * sizeof *mean);
    for (size_t l = 0; l < labels; l++) {
        for (int m = 0; m < count; m++)
            mean[l] += (double)members[m].probabilities[l] / count;
        mean[l] = log(mean[l]);
    }
    score_fill(adapted, example, mean, outcome, arena);
}

/* The most frequent text, the earliest of those on a tie. */
static void elect(const struct outcome *members, int count, struct outcome *outcome)
{
    int most = 0;
    for (int m = 0; m < count; m++) {
        int votes = 0;
        for (int other = 0; other < count; other++)
            votes += !strcmp(members[m].text, members[other].text);
        if (votes > most) {
            most = votes;
            outcome->text = members[m].text;
        }
    }
}

static void combine(const struct asking *a, size_t i, struct outcome *members, int count)
{
    struct outcome *outcome = &a->outcomes[i];
    outcome->members = members;
    if (a->adapted->labels)
        average(a->adapted, a->examples[i], members, count, outcome, a->arena);
    else
        elect(members, count, outcome);
    for (int m = 0; m < count; m++) {
        outcome->request_tokens += members[m].request_tokens;
        outcome->answer_tokens += members[m].answer_tokens;
    }
}

static enum status answer_together(struct asking *a, struct error *err)
{
    int count = 1 + a->adapted->member_count;
    struct outcome *single = arena_zalloc(a->arena, a->count * sizeof *single);
    struct outcome *members = arena_alloc(a->arena, a->count * (size_t)count * sizeof *members);
    enum status status = OK;
    for (int m = 0; m < count && status == OK; m++) {
        struct asking one = *a;
        one.adapted = m ? a->adapted->members[m - 1] : a->adapted;
        one.outcomes = single;
        for (size_t i = 0; i < a->count; i++)
            single[i] = (struct outcome){.label = -1};
        status = answer_behind_prompt(&one, err);
        for (size_t i = 0; i < a->count; i++)
            members[i * (size_t)count + (size_t)m] = single[i];
    }
    for (size_t i = 0; i < a->count && status == OK; i++)
        combine(a, i, members + i * (size_t)count, count);
    return status;
}

enum status adapted_answer(struct adapted *adapted, const struct example *const *examples,
                           size_t count, struct outcome *outcomes, struct arena *arena,
                           const struct deadline *deadline, struct error *err)
{
    for (size_t i = 0; i < count; i++)
        outcomes[i] = (struct outcome){.label = -1};
    if (adapted->technique->answer)
        return answer_itself(adapted, examples, count, outcomes, arena, deadline, err);
    struct asking a = {.adapted = adapted,
                       .examples = examples,
                       .count = count,
                       .outcomes = outcomes,
                       .arena = arena,
                       .deadline = deadline};
    return adapted->member_count ? answer_together(&a, err) : answer_behind_prompt(&a, err);
}
