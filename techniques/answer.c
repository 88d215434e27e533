/* SPDX-License-Identifier: Apache-2.0
 *
 * Answering: labels are scored along their trie, free text is decoded.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/blas.h"
#include "techniques/adapted.h"
#include "techniques/generate.h"
#include "techniques/labels.h"
#include "techniques/pack.h"
#include "techniques/prompt.h"

/* What the tasks of one adapted_answer share. */
struct answering {
    struct adapted *adapted;
    const struct example *const *examples;
    const struct sequence *sequences;
    const struct span *spans;
    struct outcome *outcomes;
    float *probabilities; /* (examples, labels) */
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

static void fill_outcome(const struct answering *a, size_t i, const double *log_probabilities)
{
    struct outcome *outcome = &a->outcomes[i];
    int labels = a->adapted->labels->n_labels, best = 0;
    outcome->probabilities = a->probabilities + i * (size_t)labels;
    for (int l = 0; l < labels; l++) {
        if (log_probabilities[l] > log_probabilities[best])
            best = l;
        outcome->probabilities[l] = (float)exp(log_probabilities[l]);
    }
    int truth = a->examples[i]->label;
    outcome->label = best;
    outcome->scored = true;
    outcome->probability = exp(log_probabilities[best]);
    outcome->nll = truth >= 0 ? -log_probabilities[truth] : 0;
    outcome->request_tokens = a->sequences[i].request + a->adapted->labels->tokens;
}

static enum status score_span(void *context, size_t task, int worker, struct error *err)
{
    const struct answering *a = context;
    const struct label_trie *trie = a->adapted->labels;
    const struct span *span = &a->spans[task];
    enum status status = deadline_check(a->deadline, err);
    if (status != OK)
        return status;
    struct workspace *workspace = engine_workspace(a->adapted->engine, worker, false);
    struct arena *arena = &workspace->arena;
    struct layout layout;
    pack_scoring(a->adapted, a->sequences + span->first, span->last - span->first, arena, &layout);
    struct pass pass =
        adapted_pass(a->adapted, &workspace->tape, &layout, adapted_views(a->adapted, NULL, arena));
    const struct tensor *states = transformer_forward(&pass);
    const struct tensor *head = transformer_head(&pass);
    real *logits = arena_alloc(arena, (size_t)trie->n_choices * sizeof *logits);
    double *reached = arena_alloc(arena, (size_t)trie->n_forks * sizeof *reached);
    double *log_probabilities = arena_alloc(arena, (size_t)trie->n_labels * sizeof(double));
    for (size_t i = span->first; i < span->last; i++) {
        size_t row = (i - span->first) * (size_t)trie->n_forks;
        fork_logits(trie, states->data + row * (size_t)states->cols, head, logits);
        label_trie_distribution(trie, logits, reached, log_probabilities);
        fill_outcome(a, i, log_probabilities);
    }
    return OK;
}

static enum status score_labels(struct answering *a, size_t count, struct arena *arena,
                                struct error *err)
{
    struct adapted *adapted = a->adapted;
    enum status status = adapted_warm(adapted, err);
    if (status != OK)
        return status;
    struct span *spans;
    size_t n =
        pack_cut(a->sequences, count, adapted->labels->tokens, 0, PACK_ROWS, 1, arena, &spans);
    a->spans = spans;
    a->probabilities =
        arena_alloc(arena, count * (size_t)adapted->labels->n_labels * sizeof(float));
    return pool_run(adapted->engine->pool, n, score_span, a, err);
}

enum status adapted_answer(struct adapted *adapted, const struct example *const *examples,
                           size_t count, struct outcome *outcomes, struct arena *arena,
                           const struct deadline *deadline, struct error *err)
{
    for (size_t i = 0; i < count; i++)
        outcomes[i] = (struct outcome){.label = -1};
    if (adapted->technique->answer)
        return adapted->technique->answer(adapted, examples, count, outcomes, arena, deadline, err);
    struct sequence *sequences;
    enum status status = prompt_encode(adapted, examples, count, false, arena, &sequences, err);
    if (status != OK)
        return status;
    struct answering a = {.adapted = adapted,
                          .examples = examples,
                          .sequences = sequences,
                          .outcomes = outcomes,
                          .deadline = deadline};
    if (adapted->labels)
        return score_labels(&a, count, arena, err);
    return generate_answers(adapted, sequences, count, outcomes, arena, deadline, err);
}
