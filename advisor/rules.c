/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading rules, and judging techniques by them; what measurements say about them is in verdict.c.
 */
#include "advisor/rules.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "advisor/values.h"
#include "datasets/csv.h"
#include "datasets/excerpt.h"

/* As in datasets/demo.c: the assembler copies the file into the object. */
__asm__(".pushsection .rodata\n"
        ".global advisor_rules_start\n"
        "advisor_rules_start:\n"
        ".incbin \"advisor/rules.csv\"\n"
        ".global advisor_rules_end\n"
        "advisor_rules_end:\n"
        ".byte 0\n"
        ".popsection\n");

extern const char advisor_rules_start[];
extern const char advisor_rules_end[];

static const char BUILT_IN[] = "built-in rules";

enum { MOST_RULES = 1000, LONGEST_ID = 16, MOST_FILE = 1 << 20 };

static const double strongest = 50;

struct rules {
    struct arena arena;
    struct conditions *conditions;
    struct rule *items; /* (MOST_RULES) */
    size_t count;
};

const char *effect_name(enum effect effect)
{
    static const char *const names[] = {[EFFECT_EXCLUDE] = "exclude",
                                        [EFFECT_RAISE] = "raise",
                                        [EFFECT_LOWER] = "lower",
                                        [EFFECT_WARN] = "warn"};
    return names[effect];
}

const struct rule *rules_at(const struct rules *rules, size_t index)
{
    return index < rules->count ? &rules->items[index] : NULL;
}

/* ---- Columns ----------------------------------------------------------------------------------
 */

enum column { ID, CONDITION, TECHNIQUES, EFFECT, STRENGTH, REASON, SOURCE, COLUMNS };

static const char *const titles[COLUMNS] = {"rule",     "condition", "techniques", "effect",
                                            "strength", "reason",    "source"};

/* A file under way. */
struct reader {
    struct rules *rules;
    const char *file;
    bool built_in;
};

static enum status read_header(void *context, const struct csv_record *header, struct error *err)
{
    const struct reader *r = context;
    bool right = header->count == COLUMNS;
    for (size_t i = 0; right && i < COLUMNS; i++)
        right = !strcmp(header->fields[i].bytes, titles[i]);
    if (right)
        return OK;
    return error_set(err, USAGE,
                     "%s:%zu: these are not the columns of rules; expected "
                     "rule,condition,techniques,effect,strength,reason,source",
                     r->file, header->line);
}

static const char *field(const struct reader *r, const struct csv_record *record,
                         enum column column)
{
    return arena_strdup(&r->rules->arena, record->fields[column].bytes);
}

static enum status read_id(const struct reader *r, struct rule *rule, struct error *err)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    size_t length = strlen(rule->id);
    if (!length || length > LONGEST_ID || strspn(rule->id, allowed) != length)
        return error_set(err, USAGE, "the identifier %s is not 1 to %d letters, digits, - and _",
                         excerpt_string(rule->id).text, LONGEST_ID);
    for (size_t i = 0; i < r->rules->count; i++) {
        const struct rule *other = &r->rules->items[i];
        if (!strcmp(other->id, rule->id))
            return error_set(err, USAGE, "the identifier %s is used already, in %s:%zu", rule->id,
                             other->file, other->line);
    }
    return OK;
}

static enum status read_effect(struct rule *rule, const char *effect, const char *strength,
                               struct error *err)
{
    static const enum effect all[] = {EFFECT_EXCLUDE, EFFECT_RAISE, EFFECT_LOWER, EFFECT_WARN};
    size_t i = 0;
    while (i < sizeof all / sizeof *all && strcmp(effect, effect_name(all[i])) != 0)
        i++;
    if (i == sizeof all / sizeof *all)
        return error_set(err, USAGE,
                         "there is no effect %s; expected exclude, raise, lower or warn",
                         excerpt_string(effect).text);
    rule->effect = all[i];
    bool moves = rule->effect == EFFECT_RAISE || rule->effect == EFFECT_LOWER;
    if (!moves && *strength)
        return error_set(err, USAGE, "%s takes no strength; leave it empty", effect);
    if (!moves)
        return OK;
    enum status status = read_real("the strength", strength, 0, strongest, &rule->strength, err);
    if (status == OK && rule->strength <= 0)
        return error_set(err, USAGE, "the strength is 0; expected points above 0, or warn");
    return status;
}

/* ---- Techniques by name -----------------------------------------------------------------------
 */

/* The word at `*at`, moved behind it; NULL at the end. */
static const char *next_word(const char **at, size_t *length)
{
    *at += strspn(*at, " ");
    *length = strcspn(*at, " ");
    const char *word = *at;
    *at += *length;
    return *length ? word : NULL;
}

static bool is_word(const char *word, size_t length, const char *name)
{
    return strlen(name) == length && !memcmp(word, name, length);
}

static bool word_names(const char *word, size_t length, const struct technique *technique)
{
    return is_word(word, length, "*") || is_word(word, length, technique->name) ||
           is_word(word, length, technique->family);
}

bool rule_names(const struct rule *rule, const struct technique *technique)
{
    const char *at = rule->techniques, *word;
    size_t length;
    while ((word = next_word(&at, &length)))
        if (word_names(word, length, technique))
            return true;
    return false;
}

static enum status check_techniques(const struct rule *rule, bool built_in, struct error *err)
{
    const char *at = rule->techniques, *word;
    size_t length, words = 0;
    for (; (word = next_word(&at, &length)); words++) {
        const struct technique *technique;
        size_t i = 0;
        while ((technique = technique_at(i)) && !word_names(word, length, technique))
            i++;
        if (!technique && !built_in)
            return error_set(err, USAGE,
                             "there is no technique or family %s; `advisor list techniques` has "
                             "them, and * means all",
                             excerpt(word, length).text);
    }
    return words ? OK : error_set(err, USAGE, "no technique is named; * means all");
}

/* ---- Reasons ----------------------------------------------------------------------------------
 */

/* Appends a reason with the values of `facts` (NULL: nothing is appended, only checked). Returns
 * the placeholder that is none, `*length` bytes of it, or NULL. */
static const char *fill_in(const char *reason, const struct facts *facts, struct text *out,
                           size_t *length)
{
    while (*reason) {
        size_t plain = strcspn(reason, "{}");
        enum fact_name fact;
        text_append(out, reason, plain);
        reason += plain;
        if (!*reason)
            break;
        *length = strcspn(reason, "}") + 1;
        if (*reason == '}' || !reason[*length - 1] || !fact_find(reason + 1, *length - 2, &fact)) {
            *length = strlen(reason) < *length ? strlen(reason) : *length;
            return reason;
        }
        if (facts)
            facts_write(facts, fact, out);
        reason += *length;
    }
    return NULL;
}

static enum status check_reason(const struct rule *rule, struct error *err)
{
    struct text out = {0};
    size_t length;
    const char *wrong = fill_in(rule->reason, NULL, &out, &length);
    text_release(&out);
    if (wrong)
        return error_set(err, USAGE,
                         "the reason holds %s, which is no fact; `advisor list facts` has them",
                         excerpt(wrong, length).text);
    if (!*rule->reason)
        return error_set(err, USAGE, "there is no reason; expected a sentence");
    return *rule->source ? OK : error_set(err, USAGE, "there is no source; expected a few words");
}

/* ---- Reading ----------------------------------------------------------------------------------
 */

static enum status take_rule(const struct reader *r, const struct csv_record *record,
                             struct rule *rule, struct error *err)
{
    *rule = (struct rule){.id = field(r, record, ID),
                          .condition = field(r, record, CONDITION),
                          .techniques = field(r, record, TECHNIQUES),
                          .reason = field(r, record, REASON),
                          .source = field(r, record, SOURCE),
                          .file = r->file,
                          .line = record->line};
    enum status status = read_id(r, rule, err);
    if (status == OK)
        status =
            read_effect(rule, record->fields[EFFECT].bytes, record->fields[STRENGTH].bytes, err);
    if (status == OK)
        status = check_techniques(rule, r->built_in, err);
    if (status == OK)
        status = check_reason(rule, err);
    if (status == OK)
        status = conditions_add(r->rules->conditions, rule->condition, &rule->condition_id, err);
    return status;
}

static enum status read_record(void *context, const struct csv_record *record, struct error *err)
{
    const struct reader *r = context;
    struct rules *rules = r->rules;
    if (rules->count == MOST_RULES)
        return error_set(err, USAGE, "%s:%zu: there are more than %d rules", r->file, record->line,
                         MOST_RULES);
    if (take_rule(r, record, &rules->items[rules->count], err) != OK)
        return error_prefix(err, "%s:%zu", r->file, record->line);
    rules->count++;
    return OK;
}

static enum status read_rules(struct rules *rules, const char *file, const char *bytes, size_t size,
                              bool built_in, struct error *err)
{
    struct reader reader = {.rules = rules, .file = file, .built_in = built_in};
    struct csv_handler handler = {.context = &reader, .header = read_header, .record = read_record};
    return csv_read(file, bytes, size, NULL, &handler, err);
}

static enum status read_file(struct rules *rules, const char *path, struct error *err)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return error_set(err, FAILED, "--rules: %s cannot be read: %s", path, strerror(errno));
    char *bytes = memory_alloc(MOST_FILE + 1);
    size_t size = fread(bytes, 1, MOST_FILE + 1, file);
    bool bad = ferror(file) != 0;
    fclose(file);
    enum status status;
    if (bad)
        status = error_set(err, FAILED, "--rules: %s cannot be read: %s", path, strerror(errno));
    else if (size > MOST_FILE)
        status =
            error_set(err, USAGE, "--rules: %s is larger than 1 MB; is it the right file?", path);
    else
        status = read_rules(rules, arena_strdup(&rules->arena, path), bytes, size, false, err);
    free(bytes);
    return status;
}

static enum status open_conditions(struct rules *rules, struct error *err)
{
    const char *names[FACTS];
    for (size_t i = 0; i < FACTS; i++)
        names[i] = fact_row((enum fact_name)i)->name;
    return conditions_open(&rules->conditions, names, FACTS, err);
}

enum status rules_open(struct rules **out, const char *path, struct error *err)
{
    struct rules *rules = memory_zalloc(sizeof *rules);
    arena_init(&rules->arena, NULL);
    rules->items = arena_alloc(&rules->arena, MOST_RULES * sizeof *rules->items);
    enum status status = open_conditions(rules, err);
    size_t size = (size_t)(advisor_rules_end - advisor_rules_start);
    if (status == OK)
        status = read_rules(rules, BUILT_IN, advisor_rules_start, size, true, err);
    if (status == OK && path)
        status = read_file(rules, path, err);
    if (status != OK) {
        rules_free(rules);
        rules = NULL;
    }
    *out = rules;
    return status;
}

void rules_free(struct rules *rules)
{
    if (!rules)
        return;
    conditions_close(rules->conditions);
    arena_release(&rules->arena);
    free(rules);
}

/* ---- Judging ----------------------------------------------------------------------------------
 */

static void fire(const struct rule *rule, struct judgement *j, struct fired *fired,
                 struct arena *arena)
{
    struct text text = {0};
    size_t length;
    fill_in(rule->reason, &j->facts, &text, &length);
    const char *reason = arena_strdup(arena, text_string(&text));
    text_release(&text);
    fired[j->fired_count++] = (struct fired){rule, reason};
    if (rule->effect == EFFECT_RAISE)
        j->prior += rule->strength;
    if (rule->effect == EFFECT_LOWER)
        j->prior -= rule->strength;
    if (rule->effect == EFFECT_EXCLUDE && !j->excluded) {
        j->excluded = true;
        j->why = reason;
    }
}

static enum status judge_one(struct rules *rules, struct judgement *j, struct arena *arena,
                             struct error *err)
{
    struct fired *fired = arena_alloc(arena, (rules->count + 1) * sizeof *fired);
    enum status status = conditions_set(rules->conditions, j->facts.values, err);
    j->fired = fired;
    for (size_t i = 0; i < rules->count && status == OK; i++) {
        const struct rule *rule = &rules->items[i];
        bool holds = false;
        if (!rule_names(rule, j->technique))
            continue;
        status = conditions_hold(rules->conditions, rule->condition_id, &holds, err);
        if (status != OK)
            return error_prefix(err, "%s:%zu", rule->file, rule->line);
        if (holds)
            fire(rule, j, fired, arena);
    }
    return status;
}

/* Requests after which the cheapest training costs less than the tokens a prompt adds. */
static void set_break_even(struct judgements *judgements, const struct model *model)
{
    double cheapest = INFINITY;
    for (size_t i = 0; i < judgements->count; i++) {
        const struct estimate *e = &judgements->items[i].estimate;
        if (judgements->items[i].technique->learning_rates && e->training_operations < cheapest)
            cheapest = e->training_operations;
    }
    for (size_t i = 0; i < judgements->count && isfinite(cheapest); i++) {
        struct facts *facts = &judgements->items[i].facts;
        double added = facts_number(facts, FACT_ADDED_TOKENS, 0);
        if (added > 0)
            facts_set(facts, FACT_BREAK_EVEN,
                      ceil(cheapest / (2 * (double)model->n_parameters * added)));
    }
}

static size_t count_techniques(void)
{
    size_t count = 0;
    while (technique_at(count))
        count++;
    return count;
}

enum status rules_judge(struct rules *rules, const struct facts *facts, const struct model *model,
                        const struct technique *const *techniques, size_t count,
                        struct arena *arena, struct judgements *judgements, struct error *err)
{
    struct workload workload = facts_workload(facts, model);
    bool small = facts_number(facts, FACT_PARAMETERS, 0) < 1e9;
    judgements->count = techniques ? count : count_techniques();
    judgements->items = arena_zalloc(arena, (judgements->count + 1) * sizeof *judgements->items);
    for (size_t i = 0; i < judgements->count; i++) {
        struct judgement *j = &judgements->items[i];
        j->technique = techniques ? techniques[i] : technique_at(i);
        j->facts = *facts;
        j->sd = small ? 2 * PRIOR_SD : PRIOR_SD;
        facts_of_technique(&j->facts, j->technique, &workload, &j->estimate);
    }
    if (model)
        set_break_even(judgements, model);
    enum status status = OK;
    for (size_t i = 0; i < judgements->count && status == OK; i++)
        status = judge_one(rules, &judgements->items[i], arena, err);
    return status;
}

const struct judgement *judgement_find(const struct judgements *judgements,
                                       const struct technique *technique)
{
    for (size_t i = 0; i < judgements->count; i++)
        if (judgements->items[i].technique == technique)
            return &judgements->items[i];
    return NULL;
}
