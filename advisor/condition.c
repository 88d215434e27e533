/* SPDX-License-Identifier: Apache-2.0 */
#include "advisor/condition.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"

enum { MOST_STEPS = 100000, STEPS_AT_ONCE = 1000, MOST_CONDITIONS = 2000, MOST_FACTS = 128 };

struct conditions {
    sqlite3 *database;
    sqlite3_stmt *insertion;
    sqlite3_stmt **items;
    size_t count, fact_count;
    bool trusted;       /* the statement under inspection is our own */
    int selects;        /* of the condition under inspection */
    const char *denied; /* what it asked for and may not have, or NULL */
    int steps_left;     /* in STEPS_AT_ONCE */
};

/* ---- What is allowed --------------------------------------------------------------------------
 */

static bool is_allowed(const char *function)
{
    static const char *const allowed[] = {
        "abs",    "ceil", "coalesce", "exp",   "floor", "ifnull", "iif",   "instr",
        "length", "like", "ln",       "log2",  "log10", "lower",  "max",   "min",
        "nullif", "pow",  "power",    "round", "sqrt",  "substr", "upper",
    };
    for (size_t i = 0; i < sizeof allowed / sizeof *allowed; i++)
        if (!sqlite3_stricmp(function, allowed[i]))
            return true;
    return false;
}

/* The one SELECT around the expression, columns of the one table, harmless functions. */
static int authorize(void *context, int action, const char *first, const char *second,
                     const char *database, const char *trigger)
{
    (void)database;
    (void)trigger;
    struct conditions *c = context;
    const char *denied = NULL;
    if (c->trusted)
        return SQLITE_OK;
    if (action == SQLITE_SELECT)
        denied = c->selects++ ? "a SELECT" : NULL;
    else if (action == SQLITE_READ)
        denied = first && !strcmp(first, "profile") ? NULL : "another table";
    else if (action == SQLITE_FUNCTION)
        denied = second && is_allowed(second) ? NULL : "a function that is not allowed";
    else
        denied = "something other than an expression";
    if (denied && !c->denied)
        c->denied = denied;
    return denied ? SQLITE_DENY : SQLITE_OK;
}

static int count_steps(void *context)
{
    struct conditions *c = context;
    return c->steps_left-- <= 0;
}

/* Behind a quotation mark at `at`: the end of the quoted text, or NULL when it never ends. */
static const char *skip_quoted(const char *at)
{
    char quote = *at == '[' ? ']' : *at;
    at = strchr(at + 1, quote);
    return at ? at + 1 : NULL;
}

/* An expression stands for itself: what ends or comments out the text around it is refused. */
static const char *complaint(const char *condition)
{
    size_t length = strlen(condition), depth = 0;
    if (length > CONDITION_BYTES)
        return "is longer than 1000 bytes";
    if (strspn(condition, " \t\r\n") == length)
        return "is empty; 1 always holds";
    for (const char *at = condition; *at;) {
        if (strchr("'\"`[", *at)) {
            at = skip_quoted(at);
            if (!at)
                return "has a quotation that never ends";
            continue;
        }
        if (*at == ';' || !strncmp(at, "--", 2) || !strncmp(at, "/*", 2))
            return "holds a semicolon or a comment; expected one expression";
        if (*at == '?' || *at == ':' || *at == '@' || *at == '$')
            return "holds a parameter; expected one expression over the facts";
        if (*at == ')' && !depth)
            return "closes a parenthesis that was never opened";
        depth += *at == '(';
        depth -= *at == ')';
        at++;
    }
    return depth ? "leaves a parenthesis open" : NULL;
}

/* ---- Opening ----------------------------------------------------------------------------------
 */

static enum status failed(const struct conditions *c, struct error *err)
{
    return error_set(err, FAILED, "the rules cannot be evaluated: %s",
                     c->database ? sqlite3_errmsg(c->database) : "there is no memory for SQLite");
}

static void set_limits(sqlite3 *database)
{
    static const struct {
        int id, most;
    } limits[] = {
        {SQLITE_LIMIT_LENGTH, 100000},
        {SQLITE_LIMIT_SQL_LENGTH, CONDITION_BYTES + 100},
        {SQLITE_LIMIT_EXPR_DEPTH, CONDITION_DEPTH},
        {SQLITE_LIMIT_COMPOUND_SELECT, 1},
        {SQLITE_LIMIT_VDBE_OP, 10000},
        {SQLITE_LIMIT_FUNCTION_ARG, 8},
        {SQLITE_LIMIT_ATTACHED, 0},
        {SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 100},
        {SQLITE_LIMIT_VARIABLE_NUMBER, 0},
        {SQLITE_LIMIT_TRIGGER_DEPTH, 0},
        {SQLITE_LIMIT_WORKER_THREADS, 0},
    };
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
        sqlite3_limit(database, limits[i].id, limits[i].most);
}

/* Has to come first: a change of these outdates what was prepared before. */
static void configure(sqlite3 *database)
{
    sqlite3_db_config(database, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(database, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_db_config(database, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
    sqlite3_db_config(database, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
}

static int make_table(struct conditions *c, const char *const *names)
{
    struct text create = {0}, insert = {0};
    text_add(&create, "CREATE TABLE profile (id INTEGER PRIMARY KEY");
    text_add(&insert, "INSERT OR REPLACE INTO profile VALUES (1");
    for (size_t i = 0; i < c->fact_count; i++) {
        text_printf(&create, ", \"%s\"", names[i]);
        text_printf(&insert, ", ?%zu", i + 1);
    }
    text_add(&create, ")");
    text_add(&insert, ")");
    c->trusted = true;
    sqlite3_set_authorizer(c->database, authorize, c); /* outdates what was prepared before */
    int code = sqlite3_exec(c->database, text_string(&create), NULL, NULL, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_prepare_v2(c->database, text_string(&insert), -1, &c->insertion, NULL);
    c->trusted = false;
    text_release(&create);
    text_release(&insert);
    return code;
}

enum status conditions_open(struct conditions **conditions, const char *const *names, size_t count,
                            struct error *err)
{
    struct conditions *c = memory_zalloc(sizeof *c);
    *conditions = NULL;
    c->fact_count = count;
    int code = count > MOST_FACTS ? SQLITE_TOOBIG : sqlite3_open(":memory:", &c->database);
    if (code == SQLITE_OK) {
        configure(c->database);
        code = make_table(c, names);
    }
    if (code != SQLITE_OK) {
        enum status status = failed(c, err);
        conditions_close(c);
        return status;
    }
    set_limits(c->database);
    sqlite3_progress_handler(c->database, STEPS_AT_ONCE, count_steps, c);
    *conditions = c;
    return OK;
}

void conditions_close(struct conditions *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->count; i++)
        sqlite3_finalize(c->items[i]);
    sqlite3_finalize(c->insertion);
    sqlite3_close_v2(c->database);
    free(c->items);
    free(c);
}

/* ---- Conditions -------------------------------------------------------------------------------
 */

static enum status refuse(const struct conditions *c, struct error *err)
{
    if (c->denied)
        return error_set(err, USAGE,
                         "the condition asks for %s; it may only be an expression over the facts "
                         "(`advisor list facts`)",
                         c->denied);
    return error_set(err, USAGE,
                     "the condition is no SQL expression over the facts (`advisor list facts`): %s",
                     sqlite3_errmsg(c->database));
}

static enum status prepare(struct conditions *c, const char *condition, sqlite3_stmt **statement,
                           struct error *err)
{
    struct text text = {0};
    const char *rest = NULL;
    text_printf(&text, "SELECT 1 FROM profile WHERE (%s\n)", condition);
    c->selects = 0;
    c->denied = NULL;
    int code = sqlite3_prepare_v2(c->database, text_string(&text), -1, statement, &rest);
    enum status status = OK;
    if (code != SQLITE_OK)
        status = refuse(c, err);
    else if (rest && *rest)
        status = error_set(err, USAGE, "the condition goes on behind its end");
    text_release(&text);
    return status;
}

enum status conditions_add(struct conditions *c, const char *condition, size_t *id,
                           struct error *err)
{
    const char *why = complaint(condition);
    if (why)
        return error_set(err, USAGE, "the condition %s", why);
    if (c->count == MOST_CONDITIONS)
        return error_set(err, USAGE, "there are more than %d conditions", MOST_CONDITIONS);
    c->items = memory_realloc(c->items, (c->count + 1) * sizeof(sqlite3_stmt *));
    c->items[c->count] = NULL;
    enum status status = prepare(c, condition, &c->items[c->count], err);
    if (status != OK) {
        sqlite3_finalize(c->items[c->count]);
        return status;
    }
    *id = c->count++;
    return OK;
}

static int bind(sqlite3_stmt *statement, int place, const struct fact_value *value)
{
    if (!value->known)
        return sqlite3_bind_null(statement, place);
    if (value->text)
        return sqlite3_bind_text(statement, place, value->text, -1, SQLITE_STATIC);
    return sqlite3_bind_double(statement, place, value->number);
}

enum status conditions_set(struct conditions *c, const struct fact_value *values, struct error *err)
{
    int code = SQLITE_OK;
    for (size_t i = 0; i < c->fact_count && code == SQLITE_OK; i++)
        code = bind(c->insertion, (int)i + 1, &values[i]);
    c->steps_left = MOST_STEPS / STEPS_AT_ONCE;
    if (code == SQLITE_OK) {
        sqlite3_step(c->insertion);
        code = sqlite3_reset(c->insertion);
    }
    return code == SQLITE_OK ? OK : failed(c, err);
}

enum status conditions_hold(struct conditions *c, size_t id, bool *holds, struct error *err)
{
    sqlite3_stmt *statement = c->items[id];
    c->steps_left = MOST_STEPS / STEPS_AT_ONCE;
    *holds = sqlite3_step(statement) == SQLITE_ROW;
    int code = sqlite3_reset(statement);
    if (code == SQLITE_OK)
        return OK;
    *holds = false;
    return error_set(err, USAGE, "the condition cannot be evaluated: %s",
                     sqlite3_errmsg(c->database));
}
