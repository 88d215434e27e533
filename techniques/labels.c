/* SPDX-License-Identifier: Apache-2.0 */
#include "techniques/labels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "techniques/prompt.h"

struct spelling {
    struct tokens tokens;
    int label;
};

static int compare_spellings(const void *a, const void *b)
{
    const struct spelling *x = a, *y = b;
    size_t shorter = x->tokens.count < y->tokens.count ? x->tokens.count : y->tokens.count;
    for (size_t i = 0; i < shorter; i++)
        if (x->tokens.ids[i] != y->tokens.ids[i])
            return x->tokens.ids[i] < y->tokens.ids[i] ? -1 : 1;
    return (x->tokens.count > y->tokens.count) - (x->tokens.count < y->tokens.count);
}

/* How many tokens all spellings of [first, last) share, from `depth` on. They part before the end,
 * since each ends with the end token; one that is alone has nothing to part from. */
static size_t shared(const struct spelling *spellings, int first, int last, size_t depth)
{
    const struct tokens *a = &spellings[first].tokens, *b = &spellings[last - 1].tokens;
    size_t at = depth;
    while (a != b && at < a->count && at < b->count && a->ids[at] == b->ids[at])
        at++;
    return at - depth;
}

/* Adds the fork of the sorted spellings [first, last), which share their first `depth` tokens;
 * `from` is where the path behind the parent fork starts. Returns its index. */
static int add_fork(struct label_trie *trie, const struct spelling *spellings, int first, int last,
                    size_t from, size_t depth, int parent, int parent_choice)
{
    depth += shared(spellings, first, last, depth);
    int index = trie->n_forks++;
    struct fork *fork = &trie->forks[index];
    *fork = (struct fork){.parent = parent,
                          .parent_choice = parent_choice,
                          .path = spellings[first].tokens.ids + from,
                          .path_length = (int)(depth - from),
                          .labels = last - first,
                          .first_choice = trie->n_choices};
    trie->tokens += fork->path_length;
    for (int i = first; i < last; i++)
        if (i == first || spellings[i].tokens.ids[depth] != spellings[i - 1].tokens.ids[depth])
            trie->choices[trie->n_choices++] =
                (struct choice){.token = spellings[i].tokens.ids[depth], .fork = -1, .label = -1};
    fork->n_choices = trie->n_choices - fork->first_choice;
    int at = first;
    for (int b = fork->first_choice; b < fork->first_choice + fork->n_choices; b++) {
        int end = at;
        while (end < last && spellings[end].tokens.ids[depth] == trie->choices[b].token)
            end++;
        if (end - at == 1)
            trie->choices[b].label = spellings[at].label;
        else
            trie->choices[b].fork = add_fork(trie, spellings, at, end, depth, depth + 1, index, b);
        at = end;
        fork = &trie->forks[index];
    }
    return index;
}

static enum status spell(const struct adapted *adapted, struct spelling *spellings,
                         struct error *err)
{
    const struct dataset *data = adapted->data;
    enum status status = OK;
    for (size_t i = 0; i < data->label_count && status == OK; i++) {
        spellings[i].label = (int)i;
        status = prompt_answer(adapted, data->labels[i].name, &spellings[i].tokens, err);
        if (status == OK && spellings[i].tokens.count <= 1) /* the end token */
            status = error_set(err, BAD_DATA,
                               "the label \"%s\" is empty for this model, whose vocabulary has no "
                               "token for any part of it; rename it",
                               data->labels[i].name);
    }
    if (status != OK)
        return status;
    qsort(spellings, data->label_count, sizeof *spellings, compare_spellings);
    for (size_t i = 1; i < data->label_count; i++)
        if (!compare_spellings(&spellings[i - 1], &spellings[i]))
            return error_set(err, BAD_DATA,
                             "the labels \"%s\" and \"%s\" have the same tokens, so the model "
                             "cannot tell them apart; rename one",
                             data->labels[spellings[i - 1].label].name,
                             data->labels[spellings[i].label].name);
    return OK;
}

/* Paths point into the spellings; this gives the trie copies of its own. */
static void own_paths(struct label_trie *trie, struct arena *arena)
{
    for (int f = 0; f < trie->n_forks; f++) {
        struct fork *fork = &trie->forks[f];
        size_t bytes = (size_t)fork->path_length * sizeof *fork->path;
        fork->path = memcpy(arena_alloc(arena, bytes), fork->path, bytes);
    }
}

enum status label_trie_create(struct label_trie **out, const struct adapted *adapted,
                              struct error *err)
{
    size_t n = adapted->data->label_count;
    struct arena *arena = (struct arena *)&adapted->arena;
    struct spelling *spellings = memory_zalloc(n * sizeof *spellings);
    enum status status = spell(adapted, spellings, err);
    if (status == OK) {
        struct label_trie *trie = arena_zalloc(arena, sizeof *trie);
        trie->forks = arena_alloc(arena, n * sizeof *trie->forks);
        trie->choices = arena_alloc(arena, 2 * n * sizeof *trie->choices);
        trie->n_labels = (int)n;
        add_fork(trie, spellings, 0, (int)n, 0, 0, -1, -1);
        own_paths(trie, arena);
        *out = trie;
    }
    for (size_t i = 0; i < n; i++)
        tokens_release(&spellings[i].tokens);
    free(spellings);
    return status;
}

void label_trie_visit(const struct label_trie *trie, int fork, const real *logits, double *reached,
                      double *log_probabilities)
{
    const struct fork *at = &trie->forks[fork];
    double peak = -INFINITY, sum = 0;
    for (int b = 0; b < at->n_choices; b++)
        peak = logits[b] > peak ? (double)logits[b] : peak;
    for (int b = 0; b < at->n_choices; b++)
        sum += exp((double)logits[b] - peak);
    for (int b = 0; b < at->n_choices; b++) {
        const struct choice *choice = &trie->choices[at->first_choice + b];
        double here = reached[fork] + (double)logits[b] - peak - log(sum);
        if (choice->fork >= 0)
            reached[choice->fork] = here;
        else
            log_probabilities[choice->label] = here;
    }
}

static void set_labels(const struct label_trie *trie, int fork, double log_probability,
                       double *log_probabilities)
{
    const struct fork *at = &trie->forks[fork];
    for (int b = at->first_choice; b < at->first_choice + at->n_choices; b++) {
        const struct choice *choice = &trie->choices[b];
        if (choice->fork >= 0)
            set_labels(trie, choice->fork, log_probability, log_probabilities);
        else
            log_probabilities[choice->label] = log_probability;
    }
}

void label_trie_share(const struct label_trie *trie, int fork, const double *reached,
                      double *log_probabilities)
{
    double share = reached[fork] - log(trie->forks[fork].labels);
    set_labels(trie, fork, share, log_probabilities);
}

void label_trie_distribution(const struct label_trie *trie, const real *logits, double *reached,
                             double *log_probabilities)
{
    reached[0] = 0; /* log-probability of coming to each fork */
    for (int f = 0; f < trie->n_forks; f++)
        label_trie_visit(trie, f, logits + trie->forks[f].first_choice, reached, log_probabilities);
}

double log_sum_exp(const double *values, size_t count, size_t stride)
{
    double peak = -INFINITY, sum = 0;
    for (size_t i = 0; i < count; i++)
        peak = fmax(peak, values[i * stride]);
    for (size_t i = 0; i < count; i++)
        sum += exp(values[i * stride] - peak);
    return peak + log(sum);
}
