/* SPDX-License-Identifier: Apache-2.0
 *
 * What measurements say about rules; declared in advisor/rules.h.
 */
#include <string.h>

#include "advisor/rules.h"

/* As in the ranking: chance makes such a difference in fewer cases than this. */
static const double significance = 0.05;

static bool fired_for(const struct judgement *j, const struct rule *rule)
{
    for (size_t i = 0; i < j->fired_count; i++)
        if (j->fired[i].rule == rule)
            return true;
    return false;
}

/* The best of the measured techniques that the rule did not fire for; count when there is none. */
static size_t best_rival(const struct judgements *judgements, size_t which, const struct rule *rule,
                         const struct contest *contest)
{
    size_t best = judgements->count;
    for (size_t i = 0; i < judgements->count; i++) {
        const struct judgement *j = &judgements->items[i];
        bool baseline = !(j->technique->needs & NEEDS_MODEL);
        if (i == which || !contest->metrics[i].known || baseline || fired_for(j, rule))
            continue;
        if (best == judgements->count || contest->metrics[i].value > contest->metrics[best].value)
            best = i;
    }
    return best;
}

static enum verdict opposite(enum verdict verdict)
{
    return verdict == VERDICT_CONFIRMED    ? VERDICT_OVERRIDDEN
           : verdict == VERDICT_OVERRIDDEN ? VERDICT_CONFIRMED
                                           : VERDICT_UNTESTED;
}

/* Of "it is worse than the best rival". */
static enum verdict is_worse(size_t which, size_t rival, size_t count,
                             const struct contest *contest)
{
    if (contest->metrics[which].value >= contest->metrics[rival].value)
        return VERDICT_OVERRIDDEN;
    return contest->p[which * count + rival] <= significance ? VERDICT_CONFIRMED : VERDICT_UNTESTED;
}

enum verdict rules_verdict(const struct judgements *judgements, size_t which,
                           const struct rule *rule, const struct contest *contest,
                           struct arena *arena, const char **evidence)
{
    struct measured own = contest->metrics[which];
    *evidence = "";
    if (!own.known || rule->effect == EFFECT_WARN)
        return VERDICT_UNTESTED;
    if (rule->effect == EFFECT_EXCLUDE) {
        *evidence = arena_printf(arena, "measured %.3f", own.value);
        return VERDICT_OVERRIDDEN;
    }
    size_t rival = best_rival(judgements, which, rule, contest);
    if (rival == judgements->count)
        return VERDICT_UNTESTED;
    enum verdict verdict = is_worse(which, rival, judgements->count, contest);
    *evidence =
        arena_printf(arena, "%.3f against %.3f of %s%s", own.value, contest->metrics[rival].value,
                     judgements->items[rival].technique->name,
                     verdict == VERDICT_UNTESTED ? ", too close to tell" : "");
    return rule->effect == EFFECT_LOWER ? verdict : opposite(verdict);
}
