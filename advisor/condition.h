/* SPDX-License-Identifier: Apache-2.0
 *
 * Conditions: SQL expressions over one row of facts, which may come from a stranger.
 *
 * SQLite evaluates them in a database of its own in memory. A condition may name the facts, use
 * operators, CASE, and these functions: abs, coalesce, exp, floor, ceil, ifnull, iif, instr,
 * length, like, ln, log10, log2, lower, max, min, nullif, pow, power, round, sqrt, substr, upper.
 * Everything else is refused before it runs: statements, subqueries, other tables, parameters,
 * comments, pragmas, extensions, and whatever is too long or too deep. What runs is stopped after a
 * fixed number of steps. A comparison with an unknown fact (NULL) does not hold.
 */
#ifndef ADVISOR_CONDITION_H
#define ADVISOR_CONDITION_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

enum { CONDITION_BYTES = 1000, CONDITION_DEPTH = 40 };

struct fact_value {
    bool known;
    double number;    /* when `text` is NULL */
    const char *text; /* or NULL */
};

struct conditions; /* the database and the conditions prepared in it */

/* `names` (count, at most 128): the facts, lower-case letters, digits and underscores. */
enum status conditions_open(struct conditions **conditions, const char *const *names, size_t count,
                            struct error *err);
void conditions_close(struct conditions *conditions); /* NULL is fine */

/* Checks a condition and keeps it; `*id` names it. USAGE with a phrase that goes on after a place
 * and a colon: "the condition is no SQL expression: near ...". */
enum status conditions_add(struct conditions *conditions, const char *condition, size_t *id,
                           struct error *err);

/* Sets the row, all facts of it. */
enum status conditions_set(struct conditions *conditions, const struct fact_value *values,
                           struct error *err);

/* Whether a condition holds on the row. USAGE as above when it fails while it runs. */
enum status conditions_hold(struct conditions *conditions, size_t id, bool *holds,
                            struct error *err);

#endif
