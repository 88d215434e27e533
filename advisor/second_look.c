/* SPDX-License-Identifier: Apache-2.0 */
#include "advisor/second_look.h"

#include "advisor/contest.h"

static const double error_share = 0.05;

/* Whether it did better on the same test examples. */
static bool is_ahead(const struct candidate *c, const struct candidate *chosen)
{
    return candidate_stands(c) && c->best->test_metric.known &&
           c->best->test_predictions == chosen->best->test_predictions &&
           c->best->test_metric.value > chosen->best->test_metric.value;
}

/* The recommended technique first, and then those that are ahead of it. */
static size_t find_ahead(const struct ranking *r, const struct candidate *chosen,
                         const struct candidate **found)
{
    size_t count = 0;
    found[count++] = chosen;
    for (size_t i = 0; i < r->count; i++)
        if (&r->items[i] != chosen && is_ahead(&r->items[i], chosen))
            found[count++] = &r->items[i];
    return count;
}

static enum status read_answers(struct ranking *r, struct comparison *how,
                                const struct candidate *const *candidates, size_t count,
                                struct answers *answers, struct error *err)
{
    enum status status = OK;
    for (size_t i = 0; i < count && status == OK; i++) {
        const struct trial_record *trial = candidates[i]->best; /* alone was tested */
        const struct seeds one = {&trial, 1};
        status = answers_read(r->study, SIDE_TEST, how, &one, &answers[i], err);
    }
    return status;
}

/* The one with the best test metric of those that are better than the first one; 0: none is. */
static size_t best_of_better(const struct candidate *const *candidates, const double *p,
                             size_t count)
{
    size_t best = 0;
    for (size_t i = 1; i < count; i++)
        if (2 * p[i] * (double)(count - 1) <= error_share &&
            candidates[i]->best->test_metric.value > candidates[best]->best->test_metric.value)
            best = i;
    return best;
}

enum status second_look(struct ranking *r, const struct candidate *chosen,
                        struct sentences *reasons, struct error *err)
{
    struct arena *arena = &r->study->arena;
    struct comparison how = r->comparison;
    if (!chosen->best->test_metric.known)
        return OK;
    const struct candidate **found = arena_alloc(arena, (r->count + 1) * sizeof *found);
    struct answers *answers = arena_alloc(arena, (r->count + 1) * sizeof *answers);
    size_t count = find_ahead(r, chosen, found);
    how.examples = 0;
    enum status status = read_answers(r, &how, found, count, answers, err);
    if (status != OK || count == 1)
        return status;
    size_t best = best_of_better(found, compare_pairs(&how, answers, count, arena), count);
    if (best)
        say(reasons,
            "The %zu test examples disagree: there %s is better, with %.3f against %.3f. They "
            "choose nothing; the %zu development examples were too few to choose by.",
            how.examples, found[best]->technique->name, found[best]->best->test_metric.value,
            chosen->best->test_metric.value, r->comparison.examples);
    return OK;
}
