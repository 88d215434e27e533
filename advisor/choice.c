/* SPDX-License-Identifier: Apache-2.0 */
#include "advisor/choice.h"

#include <math.h>

/* A difference is real when chance makes one as large in fewer than this share of cases. */
static const double significance = 0.05;

/* Techniques that tie count as equally good, and the cheaper one is preferred, when their metrics
 * are this close. */
static const double close_enough = 0.01;

/* Of what a technique brings, from one task to another, as a share. */
static const double spread = 0.03;

/* Of the variance by the examples, what two techniques do not share. */
static const double own_part = 0.5;

/* p-value of "b is better than a". */
static double p_better(const struct choice *choice, size_t a, size_t b)
{
    return choice->p[a * choice->count + b];
}

bool choice_tie(const struct choice *choice, size_t a, size_t b)
{
    return 2 * p_better(choice, a, b) > significance && 2 * p_better(choice, b, a) > significance;
}

double choice_weighed(const struct choice *choice, size_t leader, size_t i)
{
    const struct contender *a = &choice->contenders[leader], *b = &choice->contenders[i];
    double task = spread * spread, chance = own_part * fmax(a->variance, b->variance);
    if (!a->trained || !b->trained || !choice_tie(choice, leader, i))
        return b->metric;
    return a->metric +
           (task * (b->metric - a->metric) + chance * (b->prior - a->prior)) / (task + chance);
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

/* The one with the best metric; `count` when nothing is eligible. */
static size_t leader_of(const struct choice *choice)
{
    const struct contender *all = choice->contenders;
    size_t leader = choice->count;
    for (size_t i = 0; i < choice->count; i++)
        if (eligible(choice, i) && (leader == choice->count || all[i].metric > all[leader].metric))
            leader = i;
    return leader;
}

/* The best bet, or the cheapest of those that equal it; `count` when nothing is eligible. */
static size_t best_available(const struct choice *choice)
{
    size_t leader = leader_of(choice), bet = leader, chosen;
    for (size_t i = 0; leader < choice->count && i < choice->count; i++)
        if (eligible(choice, i) &&
            choice_weighed(choice, leader, i) > choice_weighed(choice, leader, bet))
            bet = i;
    chosen = bet;
    for (size_t i = 0; leader < choice->count && i < choice->count; i++) {
        double behind = choice_weighed(choice, leader, bet) - choice_weighed(choice, leader, i);
        bool equal = eligible(choice, i) && choice_tie(choice, i, bet) && behind <= close_enough;
        if (equal && choice->contenders[i].tokens < choice->contenders[chosen].tokens)
            chosen = i;
    }
    return chosen;
}

size_t choice_make(const struct choice *choice)
{
    size_t chosen = cheapest(choice);
    return chosen < choice->count ? chosen : best_available(choice);
}
