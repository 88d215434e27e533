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

/* The bout with the best of the rivals; NULL when there is none. */
static const struct bout *hardest_bout(const struct judgements *judgements, size_t which,
                                       const struct rule *rule, const struct contest *contest,
                                       const char **name)
{
    const struct bout *hardest = NULL;
    for (size_t i = 0; i < judgements->count; i++) {
        const struct judgement *j = &judgements->items[i];
        const struct bout *bout = &contest->bouts[which * judgements->count + i];
        bool baseline = !(j->technique->needs & NEEDS_MODEL);
        if (i == which || !bout->known || baseline || fired_for(j, rule) ||
            (hardest && bout->rival <= hardest->rival))
            continue;
        hardest = bout;
        *name = j->technique->name;
    }
    return hardest;
}

static enum verdict opposite(enum verdict verdict)
{
    return verdict == VERDICT_CONFIRMED    ? VERDICT_OVERRIDDEN
           : verdict == VERDICT_OVERRIDDEN ? VERDICT_CONFIRMED
                                           : VERDICT_UNTESTED;
}

/* Of "it is worse than the best rival". */
static enum verdict is_worse(const struct bout *bout)
{
    if (bout->own >= bout->rival)
        return VERDICT_OVERRIDDEN;
    return bout->p <= significance ? VERDICT_CONFIRMED : VERDICT_UNTESTED;
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
    const char *name = "";
    const struct bout *bout = hardest_bout(judgements, which, rule, contest, &name);
    if (!bout)
        return VERDICT_UNTESTED;
    enum verdict verdict = is_worse(bout);
    const char *size = "";
    if (bout->examples)
        size = arena_printf(arena, " with %lld examples", (long long)bout->examples);
    *evidence = arena_printf(arena, "%.3f against %.3f of %s%s%s", bout->own, bout->rival, name,
                             size, verdict == VERDICT_UNTESTED ? ", too close to tell" : "");
    return rule->effect == EFFECT_LOWER ? verdict : opposite(verdict);
}
