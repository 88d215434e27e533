/* SPDX-License-Identifier: Apache-2.0
 *
 * Rules: the built-in table, files of strangers, judging, and verdicts after measuring.
 */
#define _XOPEN_SOURCE 700
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "advisor/rules.h"
#include "model/transformer.h"
#include "tests/study_support.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define HEADER       "rule,condition,techniques,effect,strength,reason,source\n"

/* ---- The sandbox ------------------------------------------------------------------------------
 */

static const char *const fact_names[] = {"examples", "task", "memory"};

static struct conditions *open_conditions(void)
{
    struct conditions *conditions;
    struct error err = {0};
    if (conditions_open(&conditions, fact_names, COUNT(fact_names), &err) != OK)
        fail_msg("%s", err.text);
    return conditions;
}

static void test_conditions_hold(void **state)
{
    static const struct {
        const char *condition;
        bool holds;
    } rows[] = {
        {"1", true},
        {"0", false},
        {"NULL", false},
        {"examples = 400", true},
        {"examples > 400", false},
        {"examples BETWEEN 100 AND 1000 AND task = 'classification'", true},
        {"memory < 5", false}, /* not known */
        {"memory IS NULL", true},
        {"NOT (memory < 5)", false},
        {"coalesce(memory, 7) = 7", true},
        {"task IN ('extraction', 'classification')", true},
        {"task LIKE 'class%'", true},
        {"CASE WHEN examples > 1 THEN task = 'x' ELSE 1 END", false},
        {"max(examples, 1000) = 1000 AND round(sqrt(examples)) = 20", true},
        {"instr(task, ';--') = 0", true}, /* in quotes they are text */
        {"'text'", false},
        {"examples / 0 IS NULL", true},
    };
    (void)state;
    struct conditions *conditions = open_conditions();
    struct error err = {0};
    struct fact_value values[] = {{true, 400, NULL}, {true, 0, "classification"}, {false, 0, NULL}};
    assert_int_equal(conditions_set(conditions, values, &err), OK);
    for (size_t i = 0; i < COUNT(rows); i++) {
        size_t id;
        bool holds = false;
        if (conditions_add(conditions, rows[i].condition, &id, &err) != OK ||
            conditions_hold(conditions, id, &holds, &err) != OK)
            fail_msg("%s: %s", rows[i].condition, err.text);
        if (holds != rows[i].holds)
            fail_msg("%s %s", rows[i].condition, holds ? "holds" : "does not hold");
    }
    conditions_close(conditions);
}

/* The row can be set anew, and the same conditions see it. */
static void test_conditions_follow_the_row(void **state)
{
    (void)state;
    struct conditions *conditions = open_conditions();
    struct error err = {0};
    size_t id;
    bool holds;
    assert_int_equal(conditions_add(conditions, "examples > 10", &id, &err), OK);
    for (int n = 0; n <= 20; n += 10) {
        struct fact_value values[3] = {{true, n, NULL}};
        assert_int_equal(conditions_set(conditions, values, &err), OK);
        assert_int_equal(conditions_hold(conditions, id, &holds, &err), OK);
        assert_int_equal(holds, n > 10);
    }
    conditions_close(conditions);
}

static const char *const hostile[] = {
    "",
    "  ",
    "examples >",
    "nonsense > 1",
    "\"nonsense\" = 1",
    "1; DROP TABLE profile",
    "1); DROP TABLE profile; --",
    "1 -- x",
    "1 /* x",
    "1) OR (1",
    "(1",
    "'1",
    "1, 2",
    "SELECT 1",
    "(SELECT 1)",
    "(SELECT count(*) FROM profile)",
    "EXISTS (SELECT 1 FROM sqlite_master)",
    "examples IN (SELECT 1 UNION SELECT 2)",
    "(WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT max(x) FROM c)",
    "INSERT INTO profile VALUES (1)",
    "UPDATE profile SET examples = 1",
    "DELETE FROM profile",
    "ATTACH '/tmp/x' AS y",
    "PRAGMA user_version",
    "PRAGMA_TABLE_INFO('profile')",
    "load_extension('/tmp/x')",
    "readfile('/etc/passwd')",
    "writefile('/tmp/x', 'y')",
    "random() > 0",
    "randomblob(1000000000) = 1",
    "zeroblob(1000000000) = 1",
    "printf('%1000000d', 1) = 1",
    "replace(task, 'a', task) = 1",
    "hex(task) = 1",
    "sqlite_version() > 1",
    "current_timestamp > 1",
    "date('now') > 1",
    "count(*) > 1",
    "sum(examples) > 1",
    "row_number() OVER () = 1",
    "sqlite_master.name = 1",
    "temp.profile.examples = 1",
    "task REGEXP 'x'",
    "task MATCH 'x'",
    "examples = ?",
    "examples = ?1",
    "examples = :x",
    "examples = @x",
    "examples = $x",
    "RAISE(ABORT, 'x')",
    "1) GROUP BY (examples",
    "1) LIMIT (1",
};

static void test_hostile_conditions(void **state)
{
    (void)state;
    struct conditions *conditions = open_conditions();
    for (size_t i = 0; i < COUNT(hostile); i++) {
        struct error err = {0};
        size_t id;
        enum status status = conditions_add(conditions, hostile[i], &id, &err);
        if (status != USAGE || strncmp(err.text, "the condition ", 14) != 0)
            fail_msg("%s: status %d: %s", hostile[i], (int)status, err.text);
    }
    conditions_close(conditions);
}

/* "((((1))))", "1+1+1...", and a long text. */
static void test_huge_conditions(void **state)
{
    (void)state;
    struct conditions *conditions = open_conditions();
    struct text text = {0};
    struct error err = {0};
    size_t id;
    for (int i = 0; i < 200; i++)
        text_add(&text, "NOT ");
    text_add(&text, "1");
    assert_int_equal(conditions_add(conditions, text_string(&text), &id, &err), USAGE);
    text_clear(&text);
    for (int i = 0; i < 400; i++)
        text_add(&text, i ? "+1" : "1");
    assert_int_equal(conditions_add(conditions, text_string(&text), &id, &err), USAGE);
    text_clear(&text);
    text_repeat(&text, "1 OR ", 400);
    text_add(&text, "1");
    assert_int_equal(conditions_add(conditions, text_string(&text), &id, &err), USAGE);
    assert_non_null(strstr(err.text, "longer than 1000 bytes"));
    text_release(&text);
    conditions_close(conditions);
}

/* ---- Files of rules ---------------------------------------------------------------------------
 */

static struct bench bench;

static int enter(void **state)
{
    (void)state;
    bench_enter(&bench);
    return 0;
}

static int leave(void **state)
{
    (void)state;
    bench_leave(&bench);
    return 0;
}

static enum status open_file(const char *bytes, struct rules **rules, struct error *err)
{
    *err = (struct error){0};
    bench_write(bench.data, bytes);
    return rules_open(rules, bench.data, err);
}

static void test_own_rules(void **state)
{
    (void)state;
    struct rules *built_in, *rules;
    struct error err = {0};
    size_t before = 0, after = 0;
    assert_int_equal(rules_open(&built_in, NULL, &err), OK);
    while (rules_at(built_in, before))
        before++;
    if (open_file(HEADER "X-1,examples > 3,lora peft,raise,2.5,\"{examples}, so there.\",me\n"
                         "X_2,1,*,warn,,Take care.,me\r\n",
                  &rules, &err) != OK)
        fail_msg("%s", err.text);
    while (rules_at(rules, after))
        after++;
    assert_int_equal(after, before + 2);
    const struct rule *rule = rules_at(rules, before);
    assert_string_equal(rule->id, "X-1");
    assert_int_equal(rule->effect, EFFECT_RAISE);
    assert_true(rule->strength > 2.4 && rule->strength < 2.6);
    assert_int_equal(rule->line, 2);
    assert_string_equal(rule->file, bench.data);
    assert_true(rule_names(rule, technique_find("lora")));
    assert_true(rule_names(rule, technique_find("ia3")));
    assert_false(rule_names(rule, technique_find("majority")));
    assert_true(rule_names(rules_at(rules, before + 1), technique_find("majority")));
    rules_free(rules);
    rules_free(built_in);
}

static const struct {
    const char *bytes;
    enum status status;
    const char *words, *place;
} bad_files[] = {
    {"", BAD_DATA, "", ""},
    {"rule,condition\nX,1\n", USAGE, "not the columns of rules", ":1: "},
    {"condition,rule,techniques,effect,strength,reason,source\n", USAGE, "not the columns", ":1: "},
    {HEADER "X,1,*,warn,,Text.\n", BAD_DATA, "", ":2"},
    {HEADER "X,1,*,warn,,Text.,me,more\n", BAD_DATA, "", ":2"},
    {HEADER "X,1,*,warn,,\"Text.,me\n", BAD_DATA, "", ":2"},
    {HEADER "Y,1,*,warn,,Text.,me\nX,examples >,*,warn,,Text.,me\n", USAGE, "no SQL expression",
     ":3: "},
    {HEADER "X,nonsense = 1,*,warn,,Text.,me\n", USAGE, "no such column", ":2: "},
    {HEADER "X,1; DELETE FROM profile,*,warn,,Text.,me\n", USAGE, "semicolon", ":2: "},
    {HEADER "X,(SELECT 1),*,warn,,Text.,me\n", USAGE, "asks for a SELECT", ":2: "},
    {HEADER "X,load_extension('x'),*,warn,,Text.,me\n", USAGE, "", ":2: "},
    {HEADER "X,1,lorra,warn,,Text.,me\n", USAGE, "no technique or family 'lorra'", ":2: "},
    {HEADER "X,1,\"lora,ia3\",warn,,Text.,me\n", USAGE, "no technique or family", ":2: "},
    {HEADER "X,1,,warn,,Text.,me\n", USAGE, "no technique is named", ":2: "},
    {HEADER "X,1,*,forbid,,Text.,me\n", USAGE, "no effect 'forbid'", ":2: "},
    {HEADER "X,1,*,,,Text.,me\n", USAGE, "no effect", ":2: "},
    {HEADER "X,1,*,raise,,Text.,me\n", USAGE, "strength", ":2: "},
    {HEADER "X,1,*,raise,0,Text.,me\n", USAGE, "strength is 0", ":2: "},
    {HEADER "X,1,*,raise,-3,Text.,me\n", USAGE, "strength", ":2: "},
    {HEADER "X,1,*,lower,51,Text.,me\n", USAGE, "strength", ":2: "},
    {HEADER "X,1,*,lower,nan,Text.,me\n", USAGE, "strength", ":2: "},
    {HEADER "X,1,*,exclude,3,Text.,me\n", USAGE, "takes no strength", ":2: "},
    {HEADER "X,1,*,warn,,,me\n", USAGE, "no reason", ":2: "},
    {HEADER "X,1,*,warn,,Text.,\n", USAGE, "no source", ":2: "},
    {HEADER "X,1,*,warn,,{nonsense} is.,me\n", USAGE, "which is no fact", ":2: "},
    {HEADER "X,1,*,warn,,{examples is.,me\n", USAGE, "which is no fact", ":2: "},
    {HEADER "X,1,*,warn,,examples} is.,me\n", USAGE, "which is no fact", ":2: "},
    {HEADER "X,1,*,warn,,{} is.,me\n", USAGE, "which is no fact", ":2: "},
    {HEADER ",1,*,warn,,Text.,me\n", USAGE, "identifier", ":2: "},
    {HEADER "X 1,1,*,warn,,Text.,me\n", USAGE, "identifier", ":2: "},
    {HEADER "much-too-long-for-it,1,*,warn,,Text.,me\n", USAGE, "identifier", ":2: "},
    {HEADER "X,1,*,warn,,Text.,me\nX,1,*,warn,,Text.,me\n", USAGE, "used already", ":3: "},
    {HEADER "R09,1,*,warn,,Text.,me\n", USAGE, "used already, in built-in rules:", ":2: "},
    {HEADER "X,1,*,warn,,\xFF\xFE,me\n", BAD_DATA, "", ":2"},
};

static void test_bad_files(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(bad_files); i++) {
        struct rules *rules;
        struct error err;
        enum status status = open_file(bad_files[i].bytes, &rules, &err);
        char place[BENCH_PATH + 20];
        snprintf(place, sizeof place, "%s%s", bench.data, bad_files[i].place);
        if (status != bad_files[i].status || rules || !strstr(err.text, bad_files[i].words) ||
            strncmp(err.text, place, strlen(place)) != 0)
            fail_msg("%s: status %d: %s", bad_files[i].bytes, (int)status, err.text);
    }
}

static void test_no_file(void **state)
{
    (void)state;
    struct rules *rules;
    struct error err = {0};
    assert_int_equal(rules_open(&rules, "/nowhere/rules.csv", &err), FAILED);
    assert_non_null(strstr(err.text, "/nowhere/rules.csv"));
    assert_null(rules);
}

/* ---- The built-in rules ------------------------------------------------------------------------
 */

static bool is_planned(const char *word, size_t length)
{
    static const char *const names[] = {"chain_of_thought", "bitfit"};
    for (size_t i = 0; i < COUNT(names); i++)
        if (strlen(names[i]) == length && !memcmp(names[i], word, length))
            return true;
    return false;
}

static bool is_registered(const char *word, size_t length)
{
    const struct technique *technique;
    for (size_t i = 0; (technique = technique_at(i)); i++) {
        const char *names[] = {technique->name, technique->family, "*"};
        for (size_t k = 0; k < COUNT(names); k++)
            if (strlen(names[k]) == length && !memcmp(names[k], word, length))
                return true;
    }
    return false;
}

/* A misspelt name would make a rule of no effect. */
static void test_built_in_names(void **state)
{
    (void)state;
    struct rules *rules;
    struct error err = {0};
    const struct rule *rule;
    size_t count = 0;
    assert_int_equal(rules_open(&rules, NULL, &err), OK);
    for (; (rule = rules_at(rules, count)); count++) {
        for (const char *at = rule->techniques; *at; at += strspn(at, " ")) {
            size_t length = strcspn(at, " ");
            if (!is_registered(at, length) && !is_planned(at, length))
                fail_msg("%s: there is no technique %.*s", rule->id, (int)length, at);
            at += length;
        }
        assert_true(strlen(rule->reason) > 20);
        assert_true(rule->reason[strlen(rule->reason) - 1] == '.');
    }
    assert_true(count >= 35);
    rules_free(rules);
}

/* ---- Judging ----------------------------------------------------------------------------------
 */

struct judged {
    struct rules *rules;
    struct arena arena;
    struct model *model;
    struct facts facts;
    struct judgements judgements;
};

static void judge(struct judged *j, const char *own, double parameters, double train, double memory)
{
    struct error err = {0};
    *j = (struct judged){0};
    arena_init(&j->arena, NULL);
    if (own)
        bench_write(bench.data, own);
    if (rules_open(&j->rules, own ? bench.data : NULL, &err) != OK)
        fail_msg("%s", err.text);
    struct model_numbers numbers = {.parameters = parameters, .context = 2048};
    j->model = model_sketch(&numbers);
    facts_set_text(&j->facts, FACT_TASK, "classification");
    facts_set(&j->facts, FACT_EXAMPLES, train);
    facts_set(&j->facts, FACT_TRAIN, train);
    facts_set(&j->facts, FACT_LABELS, 4);
    facts_set(&j->facts, FACT_REASONING, 0);
    facts_set(&j->facts, FACT_INPUT_TOKENS, 60);
    facts_set(&j->facts, FACT_ANSWER_TOKENS, 3);
    facts_set(&j->facts, FACT_PARAMETERS, parameters);
    facts_set(&j->facts, FACT_WEIGHT_BITS, 16);
    facts_set(&j->facts, FACT_MEMORY, memory);
    if (rules_judge(j->rules, &j->facts, j->model, NULL, 0, &j->arena, &j->judgements, &err) != OK)
        fail_msg("%s", err.text);
}

static void forget(struct judged *j)
{
    model_free(j->model);
    rules_free(j->rules);
    arena_release(&j->arena);
}

static const struct judgement *of(const struct judged *j, const char *name)
{
    const struct judgement *judgement = judgement_find(&j->judgements, technique_find(name));
    assert_non_null(judgement);
    return judgement;
}

static bool fired(const struct judgement *j, const char *rule)
{
    for (size_t i = 0; i < j->fired_count; i++)
        if (!strcmp(j->fired[i].rule->id, rule))
            return true;
    return false;
}

/* What the reference says about some situations. */
static const struct {
    double parameters, train, memory; /* memory in GB */
    const char *technique, *rule;
    bool fires;
} situations[] = {
    {7e9, 0, 1000, "lora", "R01", true},
    {7e9, 0, 1000, "zero_shot", "R01", false},
    {7e9, 8, 1000, "lora", "R01", false},
    {7e9, 80, 1000, "ia3", "R02a", true},
    {7e9, 101, 1000, "ia3", "R02a", false},
    {7e9, 80, 1000, "prompt_tuning", "R02e", true},
    {7e9, 80, 1000, "prefix_tuning", "R03a", true},
    {7e9, 5000, 1000, "prefix_tuning", "R04a", true},
    {7e9, 5000, 1000, "lora", "R06b", true},
    {135e6, 500, 1000, "prompt_tuning", "R09", true},
    {7e9, 500, 1000, "prompt_tuning", "R09", false},
    {7e9, 20000, 1000, "ia3", "R11", true},
    {7e9, 500, 24, "full_finetune", "R19", true},
    {7e9, 500, 120, "full_finetune", "R19", false},
    {7e9, 500, 24, "lora", "R19", false},
    {7e9, 500, 10, "lora", "R19", true},
    {7e9, 500, 10, "zero_shot", "R19", true},
    {7e9, 500, 24, "zero_shot", "R24", true},
    {7e9, 100, 24, "zero_shot", "R24", false},
    {7e9, 500, 24, "linear_probe", "R26", true},
    {7e9, 5000, 24, "linear_probe", "R26", false},
    {7e9, 500, 24, "majority", "R39", true},
};

static void test_situations(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(situations); i++) {
        struct judged j;
        judge(&j, NULL, situations[i].parameters, situations[i].train,
              situations[i].memory * 0x1p30);
        const struct judgement *judgement = of(&j, situations[i].technique);
        if (fired(judgement, situations[i].rule) != situations[i].fires)
            fail_msg("row %zu: %s %s for %s", i, situations[i].rule,
                     situations[i].fires ? "does not fire" : "fires", situations[i].technique);
        if (judgement->excluded)
            assert_true(judgement->why && *judgement->why);
        forget(&j);
    }
}

/* The arithmetic of R19 stands in its reason: 7e9 parameters of 16 bytes are 104.3 GiB. */
static void test_arithmetic_is_shown(void **state)
{
    (void)state;
    struct judged j;
    judge(&j, NULL, 7e9, 500, 24 * 0x1p30);
    const struct judgement *full = of(&j, "full_finetune");
    assert_true(full->excluded);
    assert_non_null(strstr(full->why, "104G"));
    assert_non_null(strstr(full->why, "24G"));
    assert_null(strchr(full->why, '{'));
    forget(&j);
}

static void test_strengths_add_up(void **state)
{
    (void)state;
    struct judged before, after;
    judge(&before, NULL, 7e9, 500, 24 * 0x1p30);
    judge(&after,
          HEADER "X1,1,lora,raise,7,Text one.,me\nX2,family = 'peft',*,lower,2,Text two.,me\n"
                 "X3,technique = 'ia3',*,exclude,,It has {trained_parameters}.,me\n"
                 "X4,examples < 10,*,exclude,,Never.,me\nX5,1,lora,warn,,Take care.,me\n",
          7e9, 500, 24 * 0x1p30);
    double change = of(&after, "lora")->prior - of(&before, "lora")->prior;
    assert_true(fabs(change - 5) < 1e-9);
    assert_true(fabs(of(&after, "adapter")->prior - of(&before, "adapter")->prior + 2) < 1e-9);
    assert_true(fabs(of(&after, "zero_shot")->prior - of(&before, "zero_shot")->prior) < 1e-9);
    assert_true(of(&after, "ia3")->excluded);
    assert_int_equal(strncmp(of(&after, "ia3")->why, "It has ", 7), 0);
    assert_false(of(&after, "lora")->excluded);
    assert_true(fired(of(&after, "lora"), "X5"));
    assert_true(of(&after, "lora")->sd >= PRIOR_SD && of(&after, "lora")->sd < 2 * PRIOR_SD);
    forget(&after);
    forget(&before);
}

/* A condition that fails while it runs is told with its place. */
static void test_a_condition_fails(void **state)
{
    (void)state;
    struct judged j = {0};
    struct error err = {0};
    arena_init(&j.arena, NULL);
    bench_write(bench.data, HEADER "X1,abs(-9223372036854775807 - 1) > 1,*,warn,,Text.,me\n");
    assert_int_equal(rules_open(&j.rules, bench.data, &err), OK);
    enum status status =
        rules_judge(j.rules, &j.facts, NULL, NULL, 0, &j.arena, &j.judgements, &err);
    desk_refused(status, USAGE, &err, "data.csv:2: the condition cannot be evaluated");
    forget(&j);
}

/* Nothing is known: nothing may fire but what always holds. */
static void test_nothing_known(void **state)
{
    (void)state;
    struct judged j = {0};
    struct error err = {0};
    arena_init(&j.arena, NULL);
    assert_int_equal(rules_open(&j.rules, NULL, &err), OK);
    assert_int_equal(rules_judge(j.rules, &j.facts, NULL, NULL, 0, &j.arena, &j.judgements, &err),
                     OK);
    for (size_t i = 0; i < j.judgements.count; i++)
        assert_false(j.judgements.items[i].excluded);
    forget(&j);
}

/* ---- Verdicts ---------------------------------------------------------------------------------
 */

/* lora and ia3 measured, others not: p[lora -> ia3] and back. */
static const struct {
    enum effect effect;
    double own, rival, p_rival_better; /* p of "the rival is better" */
    enum verdict verdict;
} verdicts[] = {
    {EFFECT_LOWER, 0.5, 0.7, 0.01, VERDICT_CONFIRMED},
    {EFFECT_LOWER, 0.5, 0.6, 0.20, VERDICT_UNTESTED},
    {EFFECT_LOWER, 0.7, 0.5, 0.99, VERDICT_OVERRIDDEN},
    {EFFECT_LOWER, 0.5, 0.5, 0.50, VERDICT_OVERRIDDEN},
    {EFFECT_RAISE, 0.7, 0.5, 0.99, VERDICT_CONFIRMED},
    {EFFECT_RAISE, 0.5, 0.6, 0.20, VERDICT_UNTESTED},
    {EFFECT_RAISE, 0.5, 0.7, 0.01, VERDICT_OVERRIDDEN},
    {EFFECT_EXCLUDE, 0.5, 0.7, 0.01, VERDICT_OVERRIDDEN},
    {EFFECT_WARN, 0.5, 0.7, 0.01, VERDICT_UNTESTED},
    {EFFECT_LOWER, NAN, 0.7, 0.01, VERDICT_UNTESTED},
    {EFFECT_LOWER, 0.5, NAN, 1, VERDICT_UNTESTED},
};

static void check_verdict(const struct judged *j, size_t row)
{
    size_t count = j->judgements.count;
    size_t own = (size_t)(of(j, "lora") - j->judgements.items);
    size_t rival = (size_t)(of(j, "ia3") - j->judgements.items);
    struct measured *metrics = test_calloc(count, sizeof *metrics);
    struct bout *bouts = test_calloc(count * count, sizeof *bouts);
    const char *evidence;
    struct arena arena;
    arena_init(&arena, NULL);
    if (isfinite(verdicts[row].own))
        metrics[own] = measured(verdicts[row].own);
    bouts[own * count + rival] =
        (struct bout){isfinite(verdicts[row].rival), verdicts[row].own, verdicts[row].rival,
                      verdicts[row].p_rival_better, 64};
    /* A baseline is no rival. */
    bouts[own * count + (size_t)(of(j, "majority") - j->judgements.items)] =
        (struct bout){true, verdicts[row].own, 0.99, 0.01, 64};
    struct rule rule = *of(j, "lora")->fired[0].rule;
    rule.effect = verdicts[row].effect;
    struct contest contest = {metrics, bouts};
    enum verdict found = rules_verdict(&j->judgements, own, &rule, &contest, &arena, &evidence);
    if (found != verdicts[row].verdict)
        fail_msg("row %zu: %s (%s)", row, verdict_name(found), evidence);
    assert_true(found == VERDICT_UNTESTED || rule.effect == EFFECT_EXCLUDE ||
                strstr(evidence, " of ia3 with 64 examples"));
    arena_release(&arena);
    test_free(bouts);
    test_free(metrics);
}

static void test_verdicts(void **state)
{
    (void)state;
    struct judged j;
    judge(&j, HEADER "X1,1,lora,lower,1,Text.,me\n", 7e9, 500, 1000 * 0x1p30);
    assert_true(fired(of(&j, "lora"), "X1"));
    for (size_t row = 0; row < COUNT(verdicts); row++)
        check_verdict(&j, row);
    forget(&j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conditions_hold),
        cmocka_unit_test(test_conditions_follow_the_row),
        cmocka_unit_test(test_hostile_conditions),
        cmocka_unit_test(test_huge_conditions),
        cmocka_unit_test(test_own_rules),
        cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_no_file),
        cmocka_unit_test(test_built_in_names),
        cmocka_unit_test(test_situations),
        cmocka_unit_test(test_arithmetic_is_shown),
        cmocka_unit_test(test_strengths_add_up),
        cmocka_unit_test(test_a_condition_fails),
        cmocka_unit_test(test_nothing_known),
        cmocka_unit_test(test_verdicts),
    };
    return cmocka_run_group_tests(tests, enter, leave);
}
