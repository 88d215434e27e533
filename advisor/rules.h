/* SPDX-License-Identifier: Apache-2.0
 *
 * Rules: what papers, measurements and arithmetic say about techniques before anything is measured.
 *
 * advisor/rules.csv is built into the program; --rules FILE adds others of the same form, a CSV
 * file with these columns:
 *
 *   rule        identifier: letters, digits, - and _; at most 16
 *   condition   a SQL expression over the facts of a technique (advisor/condition.h, facts.h)
 *   techniques  names or families of techniques separated by spaces, or *
 *   effect      exclude: it is impossible, by logic or arithmetic
 *               raise, lower: it is expected to reach `strength` points of accuracy more or less
 *               warn: nothing changes, but somebody should know
 *   strength    points, 0 < strength <= 50, for raise and lower; empty for the others
 *   reason      one sentence; {fact} stands for the fact's value
 *   source      paper or measurement, short
 *
 * A rule fires for each technique it names on whose facts its condition holds. The prior of a
 * technique is the sum of the strengths: points of accuracy, to be read with a standard deviation
 * of at least PRIOR_SD, twice that for models below a billion parameters, since nearly all evidence
 * is about larger ones. Measurements always override it.
 */
#ifndef ADVISOR_RULES_H
#define ADVISOR_RULES_H

#include "advisor/facts.h"
#include "reports/report.h"

enum effect { EFFECT_EXCLUDE, EFFECT_RAISE, EFFECT_LOWER, EFFECT_WARN };

const char *effect_name(enum effect effect); /* "exclude" ... */

struct rule {
    const char *id, *condition, *techniques, *reason, *source;
    enum effect effect;
    double strength;  /* points; 0 for exclude and warn */
    const char *file; /* "built-in rules", or the path */
    size_t line;
    size_t condition_id;
};

struct rules;

/* The built-in rules and those of `path` (NULL: none). Errors name the file and the line: USAGE for
 * a rule at fault (bad SQL, unknown technique or effect, an identifier used before ...), BAD_DATA
 * for a file that is no CSV, FAILED when it cannot be read. A built-in rule may name techniques
 * that are not registered. `*rules` is NULL after an error. */
enum status rules_open(struct rules **rules, const char *path, struct error *err);
void rules_free(struct rules *rules); /* NULL is fine */

/* The rules in turn; NULL when `index` is past the last. */
const struct rule *rules_at(const struct rules *rules, size_t index);

bool rule_names(const struct rule *rule, const struct technique *technique);

/* ---- Judging ----------------------------------------------------------------------------------
 */

enum { PRIOR_SD = 6 };

struct fired {
    const struct rule *rule;
    const char *text; /* the reason with its values */
};

/* What the rules say about one technique. */
struct judgement {
    const struct technique *technique;
    struct facts facts;       /* all of them, as the conditions saw them */
    struct estimate estimate; /* with the default setting; zero without a model */
    bool excluded;
    const char *why;           /* when excluded: the reason of the first rule that excludes it */
    double prior;              /* points; 0 when no rule moved it */
    double sd;                 /* of the prior, points */
    const struct fired *fired; /* in the order of the rules */
    size_t fired_count;
};

struct judgements {
    struct judgement *items;
    size_t count;
};

/* Judges `count` techniques (NULL: all that are registered) on the facts of data, model, machine
 * and wishes; `model` may be a sketch, or NULL when nothing is known about it. Everything lives in
 * `arena`, but for the rules themselves. USAGE when a condition fails while it runs. */
enum status rules_judge(struct rules *rules, const struct facts *facts, const struct model *model,
                        const struct technique *const *techniques, size_t count,
                        struct arena *arena, struct judgements *judgements, struct error *err);

/* That of a technique; NULL when there is none. */
const struct judgement *judgement_find(const struct judgements *judgements,
                                       const struct technique *technique);

/* ---- After measuring --------------------------------------------------------------------------
 */

/* How a technique did against another one, on the same examples and trained with equally many. */
struct bout {
    bool known;        /* there are such trials */
    double own, rival; /* their metrics; higher is better */
    double p;          /* of "the rival is better" */
    int64_t examples;  /* they were trained with; 0: neither learns from examples */
};

/* The measured techniques, in the order of the judgements (count); see advisor/contest.h. */
struct contest {
    const struct measured *metrics; /* (count) not known: not measured */
    const struct bout *bouts;       /* (count, count) bouts[a * count + b]: a against b */
};

/* What the measurement says about a rule that fired for item `which`. It is compared with the
 * rivals, the measured techniques that the rule did not fire for, baselines apart: with the one
 * that did best against it at equal size.
 *
 *   lower    confirmed when a rival is better and chance hardly makes such a difference (p <=
 * 0.05); overridden when no rival has a better metric; otherwise untested raise    the reverse:
 * confirmed when no rival has a better metric, overridden when a rival is better with p <= 0.05
 *   exclude  overridden when it was measured after all; otherwise untested
 *   warn     untested: it claims nothing that the ranking could show
 *
 * Without rivals, or when the technique was not measured, everything is untested. `*evidence` is a
 * phrase in `arena` that says what was compared, or "". */
enum verdict rules_verdict(const struct judgements *judgements, size_t which,
                           const struct rule *rule, const struct contest *contest,
                           struct arena *arena, const char **evidence);

#endif
