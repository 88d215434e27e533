/* SPDX-License-Identifier: Apache-2.0
 *
 * The plan for people and for programs; declared in advisor/plan.h.
 */
#include <math.h>

#include "advisor/pace.h"
#include "advisor/page.h"
#include "advisor/plan.h"
#include "model/transformer.h"
#include "reports/grid.h"
#include "reports/human.h"
#include "reports/writer.h"

/* ---- Techniques ----------------------------------------------------------------------------- */

enum technique_column { TECHNIQUE, PRIOR, FIRST, FIRST_TIME, ALL, ALL_TIME, MEMORY, TRIALS };

static const struct grid_column technique_columns[] = {
    {"technique", false}, {"points", true}, {"smallest", true}, {"time", true},
    {"largest", true},    {"time", true},   {"memory", true},   {"trials", true}};

enum { TECHNIQUE_COLUMNS = sizeof technique_columns / sizeof *technique_columns };

static void fill_technique(const struct grid *grid, size_t row, const struct planned_technique *t)
{
    text_add(grid_cell(grid, row, TECHNIQUE), t->technique->name);
    text_printf(grid_cell(grid, row, PRIOR), "%+.1f", t->prior);
    text_printf(grid_cell(grid, row, FIRST), "%zu", t->first);
    human_seconds(grid_cell(grid, row, FIRST_TIME), t->first_seconds);
    text_printf(grid_cell(grid, row, ALL), "%zu", t->all);
    human_seconds(grid_cell(grid, row, ALL_TIME), t->all_seconds);
    human_bytes(grid_cell(grid, row, MEMORY), t->memory_bytes);
    text_add(grid_cell(grid, row, MEMORY), t->memory_measured ? "*" : "");
    text_printf(grid_cell(grid, row, TRIALS), "%zu", t->planned);
}

static bool any_memory_measured(const struct plan *plan)
{
    for (size_t i = 0; i < plan->technique_count; i++)
        if (plan->techniques[i].memory_measured)
            return true;
    return false;
}

static void add_legend(const struct page *page, const struct study *study, const struct plan *plan)
{
    struct text note = {0};
    text_printf(&note,
                "points: prior. smallest, largest: training examples of a trial, and its expected "
                "time with one learning rate and %zu development answers. memory: peak%s",
                study->evaluator.dev_count,
                any_memory_measured(plan) ? ", * as measured in this study" : "");
    if (plan->memory.known) {
        text_add(&note, ", of which there may be ");
        human_bytes(&note, plan->memory);
    }
    text_add(&note, ". trials: planned now.");
    page_wrap(page, text_string(&note));
    text_release(&note);
    text_add(page->out, "\n");
}

static void add_techniques(const struct page *page, const struct study *study,
                           const struct plan *plan)
{
    size_t rows = 0, row = 0;
    struct grid grid;
    for (size_t i = 0; i < plan->technique_count; i++)
        rows += !plan->techniques[i].why_not;
    grid_init(&grid, technique_columns, TECHNIQUE_COLUMNS, rows);
    for (size_t i = 0; i < plan->technique_count; i++)
        if (!plan->techniques[i].why_not)
            fill_technique(&grid, row++, &plan->techniques[i]);
    if (rows)
        grid_write(&grid, page->style.columns, page->style.color, 0, page->out);
    grid_release(&grid);
    add_legend(page, study, plan);
}

static void add_refused(const struct page *page, const struct plan *plan)
{
    enum { COLUMN = 20 };
    bool any = false;
    for (size_t i = 0; i < plan->technique_count; i++) {
        const struct planned_technique *t = &plan->techniques[i];
        if (!t->why_not)
            continue;
        if (!any)
            page_title(page, "Refused:");
        any = true;
        page_item(page, t->technique->name, COLUMN, t->why_not);
    }
    text_add(page->out, any ? "\n" : "");
}

/* ---- Trials --------------------------------------------------------------------------------- */

enum trial_column { NUMBER, TRIAL, RATE, EXAMPLES, REMARK, SECONDS, UNTIL };

static const struct grid_column trial_columns[] = {
    {"", true},  {"trial", false}, {"rate", true}, {"examples", true},
    {"", false}, {"time", true},   {"until", true}};

enum { TRIAL_COLUMNS = sizeof trial_columns / sizeof *trial_columns };

static void fill_trial(const struct grid *grid, size_t row, const struct planned_trial *t)
{
    text_printf(grid_cell(grid, row, NUMBER), "%zu", row + 1);
    text_add(grid_cell(grid, row, TRIAL), t->technique->name);
    if (!isnan(t->rate))
        text_printf(grid_cell(grid, row, RATE), "%g", t->rate);
    text_printf(grid_cell(grid, row, EXAMPLES), "%zu", t->examples);
    if (t->seed)
        text_printf(grid_cell(grid, row, REMARK), "seed %zu", t->seed + 1);
    if (t->epochs)
        text_printf(grid_cell(grid, row, REMARK), "%d pass%s", t->epochs,
                    t->epochs == 1 ? "" : "es");
    human_seconds(grid_cell(grid, row, SECONDS), measured(t->seconds));
    human_seconds(grid_cell(grid, row, UNTIL), measured(t->until));
}

static void add_trials(const struct page *page, const struct plan *plan)
{
    struct grid grid;
    if (!plan->trial_count)
        return;
    page_title(page, "In this order, if results follow the priors (what is measured decides):");
    grid_init(&grid, trial_columns, TRIAL_COLUMNS, plan->trial_count);
    for (size_t i = 0; i < plan->trial_count; i++)
        fill_trial(&grid, i, &plan->trials[i]);
    grid_write(&grid, page->style.columns, page->style.color, 0, page->out);
    grid_release(&grid);
    text_add(page->out, "\n");
}

/* ---- The page ------------------------------------------------------------------------------- */

static void add_fairness(const struct page *page, const struct study *study,
                         const struct plan *plan)
{
    struct text line = {0};
    if (!plan->speed_known) {
        text_printf(&line,
                    "The budget of %.3g s is used up before the model gives its first answer: "
                    "%.1f s are gone by then. Nothing can be planned; use a larger --budget.",
                    study->options->budget_seconds, plan->spent);
    } else if (plan->fair) {
        text_add(&line, "That is enough for a fair answer: every technique that can work here has "
                        "its turn.");
    } else {
        text_add(&line, "That is too little for a fair answer, in which every technique that can "
                        "work here has its turn and the best one gets all examples");
        text_add(&line, plan->fair_budget.known ? "; use --budget " : ".");
        if (plan->fair_budget.known)
            pace_budget(plan->fair_budget.value, &line);
        text_add(&line, plan->fair_budget.known ? "." : "");
    }
    page_wrap(page, text_string(&line));
    text_release(&line);
    text_add(page->out, "\n");
}

static void add_facts(const struct page *page, const struct study *study, const struct plan *plan)
{
    struct text line = {0};
    text_printf(&line,
                "%s: %s, %zu examples (%zu to train, %zu of %zu development, %zu of %zu "
                "test)",
                study->data.path, task_name(study->data.task), study->data.count,
                study->split.train_count, study->evaluator.dev_count, study->split.dev_count,
                study->evaluator.test_count, study->split.test_count);
    page_facts(page, "Data", &line);
    text_printf(&line, "%s, ", study->model->name);
    human_count(&line, measured((double)study->model->n_parameters));
    text_add(&line, " parameters");
    if (plan->speed_known) {
        text_add(&line, ", ");
        human_milliseconds(&line, measured(1e3 * study->seconds_per_answer));
        text_printf(&line, " an answer, %s",
                    plan->speed_stored ? "as the study file says" : "measured now");
    }
    page_facts(page, "Model", &line);
    human_seconds(&line, measured(study->options->budget_seconds));
    text_add(&line, ", of which ");
    human_seconds(&line, measured(plan->spent));
    text_printf(&line, " are spent%s", plan->done ? "" : " on reading and measuring");
    if (plan->speed_known) {
        text_add(&line, " and ");
        human_seconds(&line, measured(plan->test_seconds));
        text_add(&line, " are kept for the test answers");
    }
    page_facts(page, "Budget", &line);
    if (plan->done) {
        page_count(&line, plan->done, "trial");
        text_printf(&line, " there already: %s", study->path);
        page_facts(page, "Study", &line);
    }
}

void plan_text(const struct study *study, const struct plan *plan, struct report_style style,
               struct text *out)
{
    struct page page = page_begin(style, out);
    page_title(&page, "A plan. Nothing was trained, and nothing is kept.");
    text_add(out, "\n");
    add_techniques(&page, study, plan);
    add_refused(&page, plan);
    add_trials(&page, plan);
    add_fairness(&page, study, plan);
    add_facts(&page, study, plan);
}

/* ---- JSON ----------------------------------------------------------------------------------- */

static void write_technique(struct writer *w, const struct planned_technique *t)
{
    write_object(w, NULL);
    write_string(w, "technique", t->technique->name);
    write_string(w, "family", t->technique->family);
    write_bool(w, "possible", !t->why_not);
    write_string(w, "why_not", t->why_not);
    write_number(w, "prior_points", t->prior);
    write_integer(w, "first_examples", (int64_t)t->first);
    write_measured(w, "first_seconds", t->first_seconds);
    write_integer(w, "all_examples", (int64_t)t->all);
    write_measured(w, "all_seconds", t->all_seconds);
    write_measured(w, "memory_bytes", t->memory_bytes);
    write_bool(w, "memory_measured", t->memory_measured);
    write_integer(w, "trials_done", (int64_t)t->done);
    write_integer(w, "trials_planned", (int64_t)t->planned);
    write_object_end(w);
}

static void write_trial(struct writer *w, const struct planned_trial *t, size_t number)
{
    write_object(w, NULL);
    write_integer(w, "trial", (int64_t)number);
    write_string(w, "technique", t->technique->name);
    write_measured(w, "learning_rate", (struct measured){!isnan(t->rate), t->rate});
    write_integer(w, "examples", (int64_t)t->examples);
    write_integer(w, "replicate", (int64_t)t->seed);
    write_measured(w, "epochs", (struct measured){t->epochs > 0, t->epochs});
    write_number(w, "seconds", t->seconds);
    write_number(w, "until_seconds", t->until);
    write_object_end(w);
}

void plan_json(const struct study *study, const struct plan *plan, struct text *out)
{
    struct writer w = writer_begin(out);
    write_object(&w, NULL);
    write_integer(&w, "schema", 1);
    write_bool(&w, "measured", false);
    write_string(&w, "data", study->data.path);
    write_string(&w, "task", task_name(study->data.task));
    write_integer(&w, "train", (int64_t)study->split.train_count);
    write_integer(&w, "dev_used", (int64_t)study->evaluator.dev_count);
    write_integer(&w, "test_used", (int64_t)study->evaluator.test_count);
    write_measured(&w, "seconds_per_answer",
                   (struct measured){plan->speed_known, study->seconds_per_answer});
    write_number(&w, "tokens_per_example", study->example_tokens);
    write_bool(&w, "speed_stored", plan->speed_stored);
    write_measured(&w, "memory_bytes", plan->memory);
    write_number(&w, "budget_seconds", study->options->budget_seconds);
    write_number(&w, "spent_seconds", plan->spent);
    write_number(&w, "test_seconds", plan->test_seconds);
    write_bool(&w, "fair", plan->fair);
    write_measured(&w, "fair_budget_seconds", plan->fair_budget);
    write_array(&w, "techniques");
    for (size_t i = 0; i < plan->technique_count; i++)
        write_technique(&w, &plan->techniques[i]);
    write_array_end(&w);
    write_array(&w, "trials");
    for (size_t i = 0; i < plan->trial_count; i++)
        write_trial(&w, &plan->trials[i], i + 1);
    write_array_end(&w);
    write_object_end(&w);
    writer_end(&w);
}
