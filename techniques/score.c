/* SPDX-License-Identifier: Apache-2.0 */
#include "techniques/score.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/blas.h"
#include "model/weight.h"
#include "techniques/pack.h"

/* A fork come to with less probability is not read for its own sake. */
static const double least_share = 0.05;

/* What the tasks of one score_labels share. */
struct scoring {
    struct adapted *adapted;
    const struct sequence *sequences;
    const struct span *spans;
    const struct scores *scores;
    const struct deadline *deadline;
};

int labels_offered(const struct dataset *data, const struct example *example)
{
    int labels = (int)data->label_count;
    bool some = data->task == TASK_MULTIPLE_CHOICE && example->options > 0;
    return some && example->options < labels ? example->options : labels;
}

/* Logits of the tokens that may follow at a fork. */
static void fork_logits(const struct label_trie *trie, int fork, const real *state,
                        const struct tensor *head, struct arena *scratch, real *logits)
{
    const struct choice *choices = &trie->choices[trie->forks[fork].first_choice];
    struct arena_mark mark = arena_mark(scratch);
    real *room = arena_alloc(scratch, (size_t)head->cols * sizeof *room);
    for (int b = 0; b < trie->forks[fork].n_choices; b++)
        logits[b] = blas_dot(head->cols, state, weight_rows(head, choices[b].token, 1, room));
    arena_rewind(scratch, mark);
}

void score_fill(const struct adapted *adapted, const struct example *example,
                const double *log_probabilities, struct outcome *outcome, struct arena *arena)
{
    int labels = (int)adapted->data->label_count, best = 0;
    int offered = labels_offered(adapted->data, example);
    double all = offered < labels ? log_sum_exp(log_probabilities, (size_t)offered, 1) : 0;
    outcome->probabilities = arena_alloc(arena, (size_t)labels * sizeof(float));
    for (int l = 0; l < labels; l++) {
        bool possible = l < offered;
        if (possible && log_probabilities[l] > log_probabilities[best])
            best = l;
        outcome->probabilities[l] = possible ? (float)exp(log_probabilities[l] - all) : 0;
    }
    outcome->label = best;
    outcome->scored = true;
    outcome->probability = exp(log_probabilities[best] - all);
    outcome->nll = example->label >= 0 ? all - log_probabilities[example->label] : 0;
}

void score_forks(const struct label_trie *trie, const real *states, const struct tensor *head,
                 struct arena *scratch, double *log_probabilities)
{
    struct arena_mark mark = arena_mark(scratch);
    real *logits = arena_alloc(scratch, (size_t)trie->n_choices * sizeof *logits);
    double *reached = arena_alloc(scratch, (size_t)trie->n_forks * sizeof *reached);
    for (int f = 0; f < trie->n_forks; f++)
        fork_logits(trie, f, states + (size_t)f * (size_t)head->cols, head, scratch,
                    logits + trie->forks[f].first_choice);
    label_trie_distribution(trie, logits, reached, log_probabilities);
    arena_rewind(scratch, mark);
}

/* Where the log-probabilities of one example go. */
static double *place_of(const struct scoring *s, size_t i)
{
    return s->scores->log_probabilities + i * (size_t)s->adapted->labels->n_labels;
}

/* ---- The whole trie ------------------------------------------------------------------------- */

static enum status score_whole(void *context, size_t task, int worker, struct error *err)
{
    const struct scoring *s = context;
    const struct label_trie *trie = s->adapted->labels;
    const struct span *span = &s->spans[task];
    enum status status = deadline_check(s->deadline, err);
    if (status != OK)
        return status;
    struct workspace *workspace = engine_workspace(s->adapted->engine, worker, false);
    struct arena *arena = &workspace->arena;
    struct layout layout;
    pack_scoring(s->adapted, s->sequences + span->first, span->last - span->first, arena, &layout);
    struct pass pass =
        adapted_pass(s->adapted, &workspace->tape, &layout, adapted_views(s->adapted, NULL, arena));
    const struct tensor *states = transformer_forward(&pass);
    const struct tensor *head = transformer_head(&pass);
    const real *state = states->data;
    for (size_t i = span->first; i < span->last; i++) {
        score_forks(trie, state, head, arena, place_of(s, i));
        s->scores->rows[i] = trie->tokens;
        state += (size_t)trie->n_forks * (size_t)states->cols;
    }
    return OK;
}

/* ---- Search --------------------------------------------------------------------------------- */

enum fork_state { UNKNOWN, COME_TO, READ };

/* One example's way through the trie. */
struct walk {
    double *reached;           /* (forks) */
    double *log_probabilities; /* (labels) */
    unsigned char *states;     /* (forks) enum fork_state */
    struct cache **caches;     /* (forks) keys and values up to the end of its path */
    int rows;                  /* read behind the request */
    double best;               /* log-probability of the best label so far */
};

/* A fork that is read in the wave under way. */
struct visit {
    struct walk *walk;
    int fork;
};

struct search {
    const struct scoring *scoring;
    const struct span *span;
    struct workspace *workspace;
    struct tensor *views;
    struct walk *walks;                 /* (examples of the span) */
    struct visit *visits;               /* (examples of the span * LABEL_BEAM) */
    struct continuation *continuations; /* the same number */
    size_t n_visits;
    real *logits; /* room for one fork */
};

static struct walk new_walk(const struct label_trie *trie, double *log_probabilities,
                            struct arena *arena)
{
    size_t forks = (size_t)trie->n_forks;
    struct walk walk = {.reached = arena_zalloc(arena, forks * sizeof(double)),
                        .log_probabilities = log_probabilities,
                        .states = arena_zalloc(arena, forks),
                        .caches = arena_zalloc(arena, forks * sizeof(struct cache *)),
                        .best = -INFINITY};
    walk.states[0] = COME_TO;
    return walk;
}

static struct search new_search(const struct scoring *s, const struct span *span,
                                struct workspace *workspace)
{
    struct arena *arena = &workspace->lasting;
    const struct label_trie *trie = s->adapted->labels;
    size_t n = span->last - span->first;
    struct search search = {.scoring = s,
                            .span = span,
                            .workspace = workspace,
                            .views = adapted_views(s->adapted, NULL, arena),
                            .walks = arena_alloc(arena, n * sizeof(struct walk)),
                            .visits = arena_alloc(arena, n * LABEL_BEAM * sizeof(struct visit)),
                            .continuations =
                                arena_alloc(arena, n * LABEL_BEAM * sizeof(struct continuation)),
                            .logits = arena_alloc(arena, (size_t)trie->n_choices * sizeof(real))};
    for (size_t i = 0; i < n; i++)
        search.walks[i] = new_walk(trie, place_of(s, span->first + i), arena);
    return search;
}

/* The most probable fork that is worth reading, or -1. */
static int next_fork(const struct label_trie *trie, const struct walk *walk)
{
    int next = -1;
    for (int f = 0; f < trie->n_forks; f++) {
        double reached = walk->reached[f];
        if (walk->states[f] == COME_TO && (reached > walk->best || exp(reached) >= least_share) &&
            (next < 0 || reached > walk->reached[next]))
            next = f;
    }
    return next;
}

static bool leads_on(const struct label_trie *trie, const struct fork *fork)
{
    for (int b = fork->first_choice; b < fork->first_choice + fork->n_choices; b++)
        if (trie->choices[b].fork >= 0)
            return true;
    return false;
}

/* The rows that a visit reads: the request with the first fork's path, or another fork's path. */
static struct continuation rows_of_visit(struct search *search, const struct visit *visit)
{
    const struct adapted *adapted = search->scoring->adapted;
    const struct fork *fork = &adapted->labels->forks[visit->fork];
    struct continuation c = {.ids = fork->path, .length = fork->path_length};
    if (visit->fork) {
        c.cache = visit->walk->caches[fork->parent];
        visit->walk->rows += fork->path_length;
    } else {
        size_t i = search->span->first + (size_t)(visit->walk - search->walks);
        const struct sequence *sequence = &search->scoring->sequences[i];
        size_t request = (size_t)sequence->request, path = (size_t)fork->path_length;
        int32_t *ids = arena_alloc(&search->workspace->lasting, (request + path) * sizeof *ids);
        memcpy(ids, sequence->ids, request * sizeof *ids);
        memcpy(ids + request, fork->path, path * sizeof *ids);
        c = (struct continuation){
            .ids = ids, .length = (int)(request + path), .cache = adapted->prefix_cache};
        visit->walk->rows += fork->path_length;
    }
    c.position = c.cache ? c.cache->position + c.cache->length : adapted->past_rows;
    if (leads_on(adapted->labels, fork)) {
        c.capture =
            cache_create(&search->workspace->lasting, adapted->engine->model, c.cache, c.length);
        c.capture->position = c.position;
        visit->walk->caches[visit->fork] = c.capture;
    }
    return c;
}

/* Chooses what the next wave reads; false when nothing is worth it any more. */
static bool plan_wave(struct search *search)
{
    const struct label_trie *trie = search->scoring->adapted->labels;
    size_t n = search->span->last - search->span->first;
    search->n_visits = 0;
    for (size_t i = 0; i < n; i++) {
        struct walk *walk = &search->walks[i];
        for (int taken = 0, fork; taken < LABEL_BEAM && (fork = next_fork(trie, walk)) >= 0;
             taken++) {
            struct visit *visit = &search->visits[search->n_visits];
            *visit = (struct visit){walk, fork};
            walk->states[fork] = READ;
            search->continuations[search->n_visits++] = rows_of_visit(search, visit);
        }
    }
    return search->n_visits > 0;
}

/* What a fork that was read says of the forks and labels behind it. */
static void take_fork(const struct label_trie *trie, struct walk *walk, int fork,
                      const real *logits)
{
    label_trie_visit(trie, fork, logits, walk->reached, walk->log_probabilities);
    const struct fork *at = &trie->forks[fork];
    for (int b = at->first_choice; b < at->first_choice + at->n_choices; b++) {
        const struct choice *choice = &trie->choices[b];
        if (choice->fork >= 0)
            walk->states[choice->fork] = COME_TO;
        else if (walk->log_probabilities[choice->label] > walk->best)
            walk->best = walk->log_probabilities[choice->label];
    }
}

static void run_wave(struct search *search)
{
    struct workspace *workspace = search->workspace;
    const struct adapted *adapted = search->scoring->adapted;
    struct layout layout;
    arena_clear(&workspace->arena);
    tape_start(&workspace->tape, false);
    pack_continuations(search->continuations, search->n_visits, &workspace->arena, &layout);
    struct pass pass = adapted_pass(adapted, &workspace->tape, &layout, search->views);
    const struct tensor *states = transformer_forward(&pass);
    const struct tensor *head = transformer_head(&pass);
    for (size_t v = 0; v < search->n_visits; v++) {
        const struct visit *visit = &search->visits[v];
        fork_logits(adapted->labels, visit->fork, states->data + v * (size_t)states->cols, head,
                    &workspace->arena, search->logits);
        take_fork(adapted->labels, visit->walk, visit->fork, search->logits);
    }
}

static void finish_walk(const struct search *search, size_t index)
{
    const struct label_trie *trie = search->scoring->adapted->labels;
    struct walk *walk = &search->walks[index];
    for (int f = 0; f < trie->n_forks; f++)
        if (walk->states[f] == COME_TO)
            label_trie_share(trie, f, walk->reached, walk->log_probabilities);
    search->scoring->scores->rows[search->span->first + index] = walk->rows;
}

static enum status score_search(void *context, size_t task, int worker, struct error *err)
{
    const struct scoring *s = context;
    struct workspace *workspace = engine_workspace(s->adapted->engine, worker, false);
    struct arena_mark mark = arena_mark(&workspace->lasting);
    struct search search = new_search(s, &s->spans[task], workspace);
    enum status status = OK;
    while (status == OK && plan_wave(&search)) {
        status = deadline_check(s->deadline, err);
        if (status == OK)
            run_wave(&search);
    }
    for (size_t i = 0; i < search.span->last - search.span->first && status == OK; i++)
        finish_walk(&search, i);
    arena_rewind(&workspace->lasting, mark);
    return status;
}

/* ---- Both ----------------------------------------------------------------------------------- */

enum status score_labels(struct adapted *adapted, enum score_how how,
                         const struct sequence *sequences, size_t count, struct scores *scores,
                         struct arena *arena, const struct deadline *deadline, struct error *err)
{
    struct scoring s = {
        .adapted = adapted, .sequences = sequences, .scores = scores, .deadline = deadline};
    size_t labels = (size_t)adapted->labels->n_labels;
    enum status status = adapted_warm(adapted, err);
    if (status != OK)
        return status;
    if (how == SCORE_BY_SIZE)
        how = adapted->labels->tokens <= LABEL_ROWS || adapted->data->task == TASK_MULTIPLE_CHOICE
                  ? SCORE_WHOLE
                  : SCORE_SEARCH;
    int extra = how == SCORE_WHOLE ? adapted->labels->tokens : 0;
    struct span *spans;
    size_t n = pack_cut(sequences, count, extra, 0, PACK_ROWS, PACK_WORKERS, arena, &spans);
    s.spans = spans;
    scores->log_probabilities = arena_alloc(arena, count * labels * sizeof(double));
    scores->rows = arena_alloc(arena, count * sizeof *scores->rows);
    return pool_run(adapted->engine->pool, n, how == SCORE_WHOLE ? score_whole : score_search, &s,
                    err);
}
