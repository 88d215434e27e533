/* SPDX-License-Identifier: Apache-2.0
 *
 * Advice for people and for programs; declared in advisor/advise.h.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "advisor/advise.h"
#include "advisor/page.h"
#include "model/transformer.h"
#include "reports/grid.h"
#include "reports/human.h"
#include "reports/plain.h"
#include "reports/writer.h"

/* ---- What it is about -------------------------------------------------------------------------
 */

static void add_known(struct text *out, const struct facts *facts, enum fact_name fact,
                      const char *before, const char *behind)
{
    if (!facts->values[fact].known)
        return;
    text_printf(out, "%s%s", out->length ? ", " : "", before);
    facts_write(facts, fact, out);
    text_add(out, behind);
}

static void add_situation(const struct page *page, const struct advice *advice)
{
    const struct situation *s = advice->situation;
    const struct facts *facts = &s->facts;
    struct text line = {0};
    if (s->has_data)
        text_add(&line, s->data.path);
    add_known(&line, facts, FACT_TASK, "", "");
    add_known(&line, facts, FACT_EXAMPLES, "", " examples");
    add_known(&line, facts, FACT_LABELS, "", " labels");
    add_known(&line, facts, FACT_INPUT_TOKENS, "inputs of ", " tokens");
    page_facts(page, "Data", &line);
    text_add(&line, s->model_name);
    add_known(&line, facts, FACT_PARAMETERS, "", " parameters");
    add_known(&line, facts, FACT_CONTEXT, "context ", "");
    text_add(&line, line.length ? "" : "not known");
    page_facts(page, "Model", &line);
    add_known(&line, facts, FACT_TARGET, "target ", "");
    add_known(&line, facts, FACT_BUDGET, "budget ", "");
    add_known(&line, facts, FACT_MEMORY, "memory ", "");
    add_known(&line, facts, FACT_REQUESTS, "", " requests");
    page_facts(page, "Limits", &line);
}

static void add_preamble(const struct page *page, const struct advice *advice)
{
    struct text text = {0};
    double sd = advice->judgements.count ? advice->judgements.items[0].sd : PRIOR_SD;
    if (advice->history.count)
        text_printf(&text,
                    "Advice from rules, arithmetic and %zu past stud%s. Nothing was "
                    "measured now.",
                    advice->history.count, advice->history.count == 1 ? "y" : "ies");
    else
        text_add(&text, "Advice from rules and arithmetic. Nothing was measured.");
    page_title(page, text_string(&text));
    text_clear(&text);
    text_printf(&text,
                "Points are of accuracy, beside a technique that no rule moves, give or take %g: "
                "reasons where to begin, no results. `advisor recommend DATA` measures.",
                sd);
    page_wrap(page, text_string(&text));
    text_release(&text);
    text_add(page->out, "\n");
}

/* ---- The table --------------------------------------------------------------------------------
 */

enum advice_column {
    RANK,
    TECHNIQUE,
    POINTS,
    BEST,
    TRAINED,
    TRAINING,
    MEMORY,
    REQUEST,
    LIFETIME,
    COLUMNS
};

/* "3.1P": operations in steps of 1000. */
static void add_operations(struct text *out, double operations)
{
    static const char *const units[] = {"", "k", "M", "G", "T", "P", "E", "Z", "Y"};
    size_t unit = 0;
    while (operations >= 999.5 && unit + 1 < sizeof units / sizeof *units) {
        operations /= 1000;
        unit++;
    }
    text_printf(out, operations < 9.95 && unit ? "%.1f%s" : "%.0f%s", operations, units[unit]);
}

static void add_tokens(struct text *out, double tokens)
{
    if (tokens < 1e6)
        human_count(out, measured(round(tokens)));
    else
        add_operations(out, tokens);
}

static void add_training(struct text *out, const struct judgement *j)
{
    if (!j->technique->learning_rates && !j->technique->fit)
        text_add(out, "-");
    else if (j->facts.values[FACT_TRAINING_SECONDS].known)
        human_seconds(out, measured(facts_number(&j->facts, FACT_TRAINING_SECONDS, 0)));
    else if (j->facts.values[FACT_TRAINING_OPERATIONS].known)
        add_operations(out, facts_number(&j->facts, FACT_TRAINING_OPERATIONS, 0));
    else
        text_add(out, "?");
}

static void fill_row(const struct grid *grid, size_t row, const struct advice *advice, size_t item)
{
    const struct judgement *j = &advice->judgements.items[item];
    const struct belief *belief = &advice->beliefs[item];
    const struct estimate *e = &j->estimate;
    text_printf(grid_cell(grid, row, RANK), "%zu", row + 1);
    text_add(grid_cell(grid, row, TECHNIQUE), j->technique->name);
    text_printf(grid_cell(grid, row, POINTS), "%+.1f", belief->points);
    text_printf(grid_cell(grid, row, BEST), "%.0f %%", 100 * belief->probability_best);
    if (!advice->situation->model)
        return;
    human_count(grid_cell(grid, row, TRAINED), measured((double)e->cost.trainable_parameters));
    add_training(grid_cell(grid, row, TRAINING), j);
    human_bytes(grid_cell(grid, row, MEMORY), measured(e->memory_bytes));
    add_tokens(grid_cell(grid, row, REQUEST), e->cost.request_tokens);
    add_tokens(grid_cell(grid, row, LIFETIME), advice_lifetime(advice, j));
}

static size_t count_possible(const struct advice *advice)
{
    size_t count = 0;
    for (size_t i = 0; i < advice->judgements.count; i++)
        count += !advice->judgements.items[i].excluded;
    return count;
}

static void add_legend(const struct page *page, const struct advice *advice)
{
    bool seconds = advice->situation->facts.values[FACT_THROUGHPUT].known;
    double requests = facts_number(&advice->situation->facts, FACT_REQUESTS, USUAL_REQUESTS);
    struct text note = {0};
    text_add(&note, "best: chance of being the best, by the points alone. ");
    if (advice->situation->model) {
        text_printf(&note,
                    "params: trained. training: %s of one run. request: its tokens. lifetime: "
                    "tokens to train, where a pass counts three, and for ",
                    seconds ? "time" : "operations");
        human_count(&note, measured(requests));
        text_add(&note, " requests. ");
    }
    text_add(&note, advice->situation->assumptions);
    page_wrap(page, text_string(&note));
    text_release(&note);
    text_add(page->out, "\n");
}

static void add_table(const struct page *page, const struct advice *advice)
{
    static const struct grid_column columns[COLUMNS] = {
        {"", false},      {"technique", false}, {"points", true},
        {"best", true},   {"params", true},     {"training", true},
        {"memory", true}, {"request", true},    {"lifetime", true}};
    size_t rows = count_possible(advice);
    struct grid grid;
    grid_init(&grid, columns, advice->situation->model ? COLUMNS : TRAINED, rows);
    for (size_t i = 0; i < rows; i++)
        fill_row(&grid, i, advice, advice->order[i]);
    if (rows)
        grid_write(&grid, page->style.columns, page->style.color, 0, page->out);
    grid_release(&grid);
    add_legend(page, advice);
}

static void add_impossible(const struct page *page, const struct advice *advice)
{
    enum { COLUMN = 20 };
    size_t from = count_possible(advice);
    if (from == advice->judgements.count)
        return;
    page_title(page, "Not possible:");
    for (size_t i = from; i < advice->judgements.count; i++) {
        const struct judgement *j = &advice->judgements.items[advice->order[i]];
        page_item(page, j->technique->name, COLUMN, j->why);
    }
    text_add(page->out, "\n");
}

/* ---- Rules ------------------------------------------------------------------------------------
 */

static const struct fired *fired_of(const struct judgement *j, const struct rule *rule)
{
    for (size_t i = 0; i < j->fired_count; i++)
        if (j->fired[i].rule == rule)
            return &j->fired[i];
    return NULL;
}

/* The techniques for which the rule gave this very text from item `from` on, in the order of the
 * ranking; `done` marks them. */
static void name_techniques(const struct advice *advice, const struct rule *rule, const char *text,
                            size_t from, bool *done, struct text *out)
{
    size_t named = 0, all = advice->judgements.count;
    for (size_t i = from; i < all; i++) {
        const struct judgement *j = &advice->judgements.items[advice->order[i]];
        const struct fired *fired = fired_of(j, rule);
        if (done[i] || !fired || strcmp(fired->text, text) != 0)
            continue;
        done[i] = true;
        named++;
        text_printf(out, "%s%s", named > 1 ? ", " : "", j->technique->name);
    }
    if (named == all && all > 3) {
        text_clear(out);
        text_add(out, "all");
    }
}

static void add_effect(const struct rule *rule, struct text *out)
{
    if (rule->effect == EFFECT_RAISE)
        text_printf(out, " +%g", rule->strength);
    else if (rule->effect == EFFECT_LOWER)
        text_printf(out, " -%g", rule->strength);
}

enum { RULE_COLUMN = 8 };

static void add_rule(const struct page *page, const struct advice *advice, const struct rule *rule,
                     bool *done)
{
    for (size_t i = 0; i < advice->judgements.count; i++) {
        const struct judgement *j = &advice->judgements.items[advice->order[i]];
        const struct fired *fired = fired_of(j, rule);
        struct text names = {0}, line = {0};
        if (!fired || done[i])
            continue;
        name_techniques(advice, rule, fired->text, i, done, &names);
        text_add(&line, text_string(&names));
        add_effect(rule, &line);
        text_printf(&line, ": %s (%s)", fired->text, rule->source);
        page_item(page, rule->id, RULE_COLUMN, text_string(&line));
        text_release(&line);
        text_release(&names);
    }
}

static void add_rules(const struct page *page, const struct advice *advice, bool warnings)
{
    const struct judgements *all = &advice->judgements;
    bool any = false;
    bool *done = memory_alloc(all->count + 1);
    for (size_t i = 0; i < all->count; i++) {
        for (size_t f = 0; f < all->items[i].fired_count; f++) {
            const struct rule *rule = all->items[i].fired[f].rule;
            bool seen = false;
            for (size_t k = 0; k < i && !seen; k++)
                seen = fired_of(&all->items[k], rule);
            if (seen || rule->effect == EFFECT_EXCLUDE || (rule->effect == EFFECT_WARN) != warnings)
                continue;
            if (!any)
                page_title(page, warnings ? "Worth knowing:" : "Rules that moved the points:");
            any = true;
            memset(done, 0, all->count);
            add_rule(page, advice, rule, done);
        }
    }
    text_add(page->out, any ? "\n" : "");
    free(done);
}

/* ---- Past studies -----------------------------------------------------------------------------
 */

enum { STUDY_COLUMN = 28 };

static void add_study(const struct page *page, const struct past_study *study)
{
    struct text line = {0};
    if (study->same_data)
        text_add(&line, "these very data, ");
    text_printf(&line, "%s", study->task);
    if (study->examples > 0)
        text_printf(&line, ", %.0f examples", study->examples);
    if (study->labels > 0)
        text_printf(&line, ", %.0f labels", study->labels);
    text_printf(&line, ", %s; %s", study->model_name, study->metric);
    for (size_t i = 0; i < study->result_count; i++)
        text_printf(&line, "%s %s %.3f", i ? "," : "", study->results[i].technique,
                    study->results[i].metric);
    page_item(page, study->name, STUDY_COLUMN, text_string(&line));
    text_release(&line);
}

static void add_history(const struct page *page, const struct advice *advice)
{
    const struct history *history = &advice->history;
    if (!history->count)
        return;
    page_title(page, "Measured before, in similar studies (--no-history leaves them out):");
    for (size_t i = 0; i < history->count; i++)
        add_study(page, &history->studies[i]);
    text_add(page->out, "\n");
}

void advice_text(const struct advice *advice, struct report_style style, struct text *out)
{
    struct page page = page_begin(style, out);
    add_preamble(&page, advice);
    add_table(&page, advice);
    add_impossible(&page, advice);
    add_history(&page, advice);
    add_rules(&page, advice, false);
    add_rules(&page, advice, true);
    add_situation(&page, advice);
}

/* ---- JSON -------------------------------------------------------------------------------------
 */

static void write_facts(struct writer *w, const struct facts *facts)
{
    write_object(w, "facts");
    for (size_t i = 0; i < FACT_TECHNIQUE; i++) {
        const struct fact_value *value = &facts->values[i];
        const char *name = fact_row((enum fact_name)i)->name;
        if (value->known && value->text)
            write_string(w, name, value->text);
        else
            write_measured(w, name, (struct measured){value->known, value->number});
    }
    write_object_end(w);
}

static void write_fact(struct writer *w, const struct judgement *j, enum fact_name fact)
{
    const struct fact_value *value = &j->facts.values[fact];
    write_measured(w, fact_row(fact)->name, (struct measured){value->known, value->number});
}

static void write_cost(struct writer *w, const struct advice *advice, const struct judgement *j)
{
    static const enum fact_name facts[] = {
        FACT_TRAINED,       FACT_TRAINING_OPERATIONS, FACT_TRAINING_SECONDS, FACT_EPOCHS,
        FACT_MEMORY_NEEDED, FACT_MEMORY_LEAST,        FACT_PROMPT_TOKENS,    FACT_REQUEST_TOKENS};
    bool known = advice->situation->model != NULL;
    write_object(w, "cost");
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++)
        write_fact(w, j, facts[i]);
    write_measured(w, "request_operations",
                   (struct measured){known, j->estimate.cost.request_operations});
    write_measured(w, "lifetime_tokens",
                   (struct measured){known, known ? advice_lifetime(advice, j) : 0});
    write_object_end(w);
}

static void write_reasons(struct writer *w, const struct judgement *j)
{
    write_array(w, "reasons");
    for (size_t i = 0; i < j->fired_count; i++) {
        const struct fired *fired = &j->fired[i];
        write_object(w, NULL);
        write_string(w, "rule", fired->rule->id);
        write_string(w, "effect", effect_name(fired->rule->effect));
        write_number(w, "strength", fired->rule->strength);
        write_string(w, "source", fired->rule->source);
        write_string(w, "text", fired->text);
        write_string(w, "verdict", verdict_name(VERDICT_UNTESTED));
        write_object_end(w);
    }
    write_array_end(w);
}

static void write_technique(struct writer *w, const struct advice *advice, size_t place)
{
    size_t item = advice->order[place];
    const struct judgement *j = &advice->judgements.items[item];
    const struct belief *belief = &advice->beliefs[item];
    write_object(w, NULL);
    write_integer(w, "rank", (int64_t)place + 1);
    write_string(w, "technique", j->technique->name);
    write_string(w, "family", j->technique->family);
    write_bool(w, "possible", !j->excluded);
    write_string(w, "why_not", j->why);
    write_number(w, "prior_points", j->prior);
    write_number(w, "points", belief->points);
    write_number(w, "sd_points", belief->sd);
    write_number(w, "probability_best", belief->probability_best);
    write_integer(w, "studies", (int64_t)belief->studies);
    write_cost(w, advice, j);
    write_reasons(w, j);
    write_object_end(w);
}

static void write_study(struct writer *w, const struct past_study *study)
{
    write_object(w, NULL);
    write_string(w, "study", study->name);
    write_bool(w, "same_data", study->same_data);
    write_string(w, "data", study->data_path);
    write_string(w, "model", study->model_name);
    write_string(w, "task", study->task);
    write_measured(w, "examples", (struct measured){study->examples > 0, study->examples});
    write_measured(w, "labels", (struct measured){study->labels > 0, study->labels});
    write_string(w, "metric", study->metric);
    write_array(w, "results");
    for (size_t i = 0; i < study->result_count; i++) {
        write_object(w, NULL);
        write_string(w, "technique", study->results[i].technique);
        write_number(w, "metric", study->results[i].metric);
        write_integer(w, "examples", study->results[i].examples);
        write_object_end(w);
    }
    write_array_end(w);
    write_object_end(w);
}

void advice_json(const struct advice *advice, struct text *out)
{
    struct writer w = writer_begin(out);
    write_object(&w, NULL);
    write_integer(&w, "schema", 1);
    write_bool(&w, "measured", false);
    write_string(&w, "assumptions", advice->situation->assumptions);
    write_facts(&w, &advice->situation->facts);
    write_array(&w, "techniques");
    for (size_t i = 0; i < advice->judgements.count; i++)
        write_technique(&w, advice, i);
    write_array_end(&w);
    write_array(&w, "studies");
    for (size_t i = 0; i < advice->history.count; i++)
        write_study(&w, &advice->history.studies[i]);
    write_array_end(&w);
    write_object_end(&w);
    writer_end(&w);
}
