/* SPDX-License-Identifier: Apache-2.0
 *
 * Answering: labels are scored along their trie, free text is decoded, and the answers behind
 * several prompts become one.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/blas.h"
#include "techniques/answer.h"
#include "techniques/calibrate.h"
#include "techniques/generate.h"
#include "techniques/labels.h"
#include "techniques/pack.h"

/* ---- Labels --------------------------------------------------------------------------------- */

/* What the tasks of one answer_score_labels share. */
struct scoring {
    struct adapted *adapted;
    const struct sequence *sequences;
    const struct span *spans;
    double *log_probabilities; /* (sequences, labels) */
    const struct deadline *deadline;
};

/* Logits of the tokens that may follow at each fork of one example. `states` is (forks, n_embd). */
static void fork_logits(const struct label_trie *trie, const real *states,
                        const struct tensor *head, real *logits)
{
    for (int f = 0; f < trie->n_forks; f++) {
        const struct fork *fork = &trie->forks[f];
        const real *state = states + (size_t)f * (size_t)head->cols;
        for (int b = fork->first_choice; b < fork->first_choice + fork->n_choices; b++)
            logits[b] = blas_dot(head->cols, state,
                                 head->data + (size_t)trie->choices[b].token * (size_t)head->cols);
    }
}

static enum status score_span(void *context, size_t task, int worker, struct error *err)
{
    const struct scoring *g = context;
    const struct label_trie *trie = g->adapted->labels;
    const struct span *span = &g->spans[task];
    enum status status = deadline_check(g->deadline, err);
    if (status != OK)
        return status;
    struct workspace *workspace = engine_workspace(g->adapted->engine, worker, false);
    struct arena *arena = &workspace->arena;
    struct layout layout;
    pack_scoring(g->adapted, g->sequences + span->first, span->last - span->first, arena, &layout);
    struct pass pass =
        adapted_pass(g->adapted, &workspace->tape, &layout, adapted_views(g->adapted, NULL, arena));
    const struct tensor *states = transformer_forward(&pass);
    const struct tensor *head = transformer_head(&pass);
    real *logits = arena_alloc(arena, (size_t)trie->n_choices * sizeof *logits);
    double *reached = arena_alloc(arena, (size_t)trie->n_forks * sizeof *reached);
    for (size_t i = span->first; i < span->last; i++) {
        size_t row = (i - span->first) * (size_t)trie->n_forks;
        fork_logits(trie, states->data + row * (size_t)states->cols, head, logits);
        label_trie_distribution(trie, logits, reached,
                                g->log_probabilities + i * (size_t)trie->n_labels);
    }
    return OK;
}

enum status answer_score_labels(struct adapted *adapted, const struct sequence *sequences,
                                size_t count, double **log_probabilities, struct arena *arena,
                                const struct deadline *deadline, struct error *err)
{
    enum status status = adapted_warm(adapted, err);
    if (status != OK)
        return status;
    struct span *spans;
    size_t n = pack_cut(sequences, count, adapted->labels->tokens, 0, PACK_ROWS, 1, arena, &spans);
    *log_probabilities =
        arena_alloc(arena, count * (size_t)adapted->labels->n_labels * sizeof(double));
    struct scoring scoring = {.adapted = adapted,
                              .sequences = sequences,
                              .spans = spans,
                              .log_probabilities = *log_probabilities,
                              .deadline = deadline};
    return pool_run(adapted->engine->pool, n, score_span, &scoring, err);
}

void answer_fill_label(const struct adapted *adapted, const struct example *example,
                       const double *log_probabilities, struct outcome *outcome,
                       struct arena *arena)
{
    int labels = (int)adapted->data->label_count, best = 0;
    outcome->probabilities = arena_alloc(arena, (size_t)labels * sizeof(float));
    for (int l = 0; l < labels; l++) {
        if (log_probabilities[l] > log_probabilities[best])
            best = l;
        outcome->probabilities[l] = (float)exp(log_probabilities[l]);
    }
    outcome->label = best;
    outcome->scored = true;
    outcome->probability = exp(log_probabilities[best]);
    outcome->nll = example->label >= 0 ? -log_probabilities[example->label] : 0;
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

/* `sequence` behind what was retrieved for it. */
static struct sequence join(const struct retrieved *retrieved, const struct sequence *sequence,
                            struct arena *arena)
{
    size_t front = (size_t)retrieved->count, own = (size_t)sequence->request;
    int32_t *ids = arena_alloc(arena, (front + own) * sizeof *ids);
    memcpy(ids, retrieved->ids, front * sizeof *ids);
    memcpy(ids + front, sequence->ids, own * sizeof *ids);
    return (struct sequence){.ids = ids, .request = (int)(front + own)};
}

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
        a->sequences[i] = join(&found[i], &a->sequences[i], a->arena);
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
    double *answers;
    enum status status =
        prompt_encode(a->adapted, free_examples, CONTENT_FREE, false, a->arena, &requests, err);
    if (status != OK)
        return status;
    for (size_t i = 0; i < count * CONTENT_FREE; i++) {
        const struct sequence *request = &requests[i % CONTENT_FREE];
        all[i] = retrieved ? join(&retrieved[i / CONTENT_FREE], request, a->arena) : *request;
        if (tokens)
            tokens[i / CONTENT_FREE] += all[i].request + a->adapted->labels->tokens;
    }
    status = answer_score_labels(a->adapted, all, count * CONTENT_FREE, &answers, a->arena,
                                 a->deadline, err);
    for (size_t i = 0; i < count && status == OK; i++)
        calibration_prior(answers + i * CONTENT_FREE * labels, labels, priors + i * labels);
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
    double *found;
    enum status status =
        answer_score_labels(adapted, a->sequences, a->count, &found, a->arena, a->deadline, err);
    if (status == OK && calibration_wanted(&adapted->setting))
        status = calibrate(a, found, tokens, err);
    for (size_t i = 0; i < a->count && status == OK; i++) {
        answer_fill_label(adapted, a->examples[i], found + i * labels, &a->outcomes[i], a->arena);
        a->outcomes[i].request_tokens =
            a->sequences[i].request + adapted->labels->tokens + tokens[i];
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
    answer_fill_label(adapted, example, mean, outcome, arena);
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
        return adapted->technique->answer(adapted, examples, count, outcomes, arena, deadline, err);
    struct asking a = {.adapted = adapted,
                       .examples = examples,
                       .count = count,
                       .outcomes = outcomes,
                       .arena = arena,
                       .deadline = deadline};
    return adapted->member_count ? answer_together(&a, err) : answer_behind_prompt(&a, err);
}
