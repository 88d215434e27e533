/* SPDX-License-Identifier: Apache-2.0 */
#include "advisor/choice.h"

/* A difference is real when chance makes one as large in fewer than this share of cases. */
static const double significance = 0.05;

/* Techniques that tie count as equally good, and the cheaper one is preferred, when their metrics
 * are this close. */
static const double close_enough = 0.01;

/* p-value of "b is better than a". */
static double p_better(const struct choice *choice, size_t a, size_t b)
{
    return choice->p[a * choice->count + b];
}

bool choice_tie(const struct choice *choice, size_t a, size_t b)
{
    return 2 * p_better(choice, a, b) > significance && 2 * p_better(choice, b, a) > significance;
}

/* A candidate: it stands, and is better than the baseline. */
static bool eligible(const struct choice *choice, size_t i)
{
    size_t floor = 0;
    if (!choice->contenders[i].stands || choice->contenders[i].baseline)
        return false;
    while (floor < choice->count && !choice->contenders[floor].baseline)
        floor++;
    return floor == choice->count || p_better(choice, floor, i) <= significance;
}

/* Whether `a` is cheaper than `b`, or as cheap and better. */
static bool is_better_buy(const struct contender *a, const struct contender *b)
{
    if (a->tokens < b->tokens || a->tokens > b->tokens)
        return a->tokens < b->tokens;
    return a->metric > b->metric;
}

/* The cheapest one that meets the target; `count`: none. */
static size_t cheapest(const struct choice *choice)
{
    size_t chosen = choice->count;
    for (size_t i = 0; i < choice->count; i++)
        if (choice->contenders[i].meets_target && eligible(choice, i) &&
            (chosen == choice->count ||
             is_better_buy(&choice->contenders[i], &choice->contenders[chosen])))
            chosen = i;
    return chosen;
}

/* The best one, or the cheapest of those that equal it; `count` when nothing is eligible. */
static size_t best_available(const struct choice *choice)
{
    const struct contender *all = choice->contenders;
    size_t leader = choice->count, chosen;
    for (size_t i = 0; i < choice->count; i++)
        if (eligible(choice, i) && (leader == choice->count || all[i].metric > all[leader].metric))
            leader = i;
    chosen = leader;
    for (size_t i = 0; leader < choice->count && i < choice->count; i++) {
        bool equal = eligible(choice, i) && choice_tie(choice, i, leader) &&
                     all[leader].metric - all[i].metric <= close_enough;
        if (equal && is_better_buy(&all[i], &all[chosen]))
            chosen = i;
    }
    return chosen;
}

size_t choice_make(const struct choice *choice)
{
    size_t chosen = cheapest(choice);
    return chosen < choice->count ? chosen : best_available(choice);
}
