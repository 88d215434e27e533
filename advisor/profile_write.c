/* SPDX-License-Identifier: Apache-2.0
 *
 * The profile for people and for programs; declared in advisor/profile.h.
 */
#include <stdlib.h>
#include <string.h>

#include "advisor/page.h"
#include "advisor/profile.h"
#include "model/transformer.h"
#include "reports/grid.h"
#include "reports/human.h"
#include "reports/plain.h"
#include "reports/writer.h"

enum { MOST_LABELS = 12, LABEL_COLUMNS = 24 };

/* ---- Data -------------------------------------------------------------------------------------
 */

static void add_examples(const struct page *page, const struct whole_profile *w)
{
    const struct data_profile *p = &w->profile;
    struct text facts = {0};
    text_printf(&facts, "%s: %s, ", w->data->path, task_name(w->data->task));
    page_count(&facts, p->examples, "example");
    page_facts(page, "Data", &facts);
    if (w->data->task_reason) {
        text_add(&facts, w->data->task_reason);
        page_facts(page, "", &facts);
    }
    if (p->divides)
        text_printf(&facts, "%zu to train, %zu development, %zu test%s%s", p->train, p->dev,
                    p->test, w->test ? " from " : "", w->test ? w->test->path : "");
    else
        text_add(&facts, p->why_not);
    page_facts(page, "Split", &facts);
}

/* Which columns are read as what; those that are not are told of in a note. */
static void add_columns(const struct page *page, const struct whole_profile *w)
{
    const struct dataset *data = w->data;
    struct text facts = {0};
    if (!data->input_column)
        return;
    text_add(&facts, "input ");
    plain_add(&facts, data->input_column);
    if (data->target_column) {
        text_add(&facts, "; target ");
        plain_add(&facts, data->target_column);
        text_add(&facts, data->worked ? " behind \"####\"" : "");
    }
    if (data->rationale_column) {
        text_add(&facts, "; rationale ");
        plain_add(&facts, data->rationale_column);
    } else if (data->worked && data->rationale_count) {
        text_add(&facts, "; rationale before it");
    }
    page_facts(page, "Columns", &facts);
}

static int compare_labels(const void *a, const void *b)
{
    const struct label *x = a, *y = b;
    if (x->count != y->count)
        return x->count < y->count ? 1 : -1;
    return strcmp(x->name, y->name);
}

/* The labels, the most frequent first; free() them. */
static struct label *sorted_labels(const struct dataset *data)
{
    struct label *labels = memory_alloc((data->label_count + 1) * sizeof *labels);
    if (data->label_count)
        memcpy(labels, data->labels, data->label_count * sizeof *labels);
    qsort(labels, data->label_count, sizeof *labels, compare_labels);
    return labels;
}

static void add_labels(const struct page *page, const struct whole_profile *w)
{
    const struct dataset *data = w->data;
    struct text facts = {0};
    if (!data->label_count)
        return;
    struct label *labels = sorted_labels(data);
    page_count(&facts, w->profile.classes, "label");
    for (size_t i = 0; i < data->label_count && i < MOST_LABELS; i++) {
        text_add(&facts, i ? ", " : ": ");
        plain_cut(&facts, labels[i].name, LABEL_COLUMNS);
        text_printf(&facts, " %zu", labels[i].count);
    }
    if (data->label_count > MOST_LABELS)
        text_printf(&facts, " and %zu more", data->label_count - MOST_LABELS);
    free(labels);
    text_printf(&facts, "; balance %.2f", w->profile.balance);
    page_facts(page, "Labels", &facts);
}

static void add_floor(const struct page *page, const struct whole_profile *w)
{
    struct text facts = {0};
    text_add(&facts, "always answering ");
    plain_cut(&facts, w->profile.majority_answer ? w->profile.majority_answer : "", LABEL_COLUMNS);
    text_printf(&facts, " is right in %.1f %% of the cases", 100 * w->profile.majority);
    page_facts(page, "Floor", &facts);
    text_printf(&facts, "%s: %s", w->metric->name, w->metric_reason);
    page_facts(page, "Metric", &facts);
}

/* "3 (lines 4 and 17 ...)" */
static void add_fact(struct text *out, const struct fact *fact, const char *word)
{
    page_count(out, fact->count, word);
    if (fact->count)
        text_printf(out, " (such as lines %zu and %zu)", fact->places[0].other,
                    fact->places[0].line);
}

static void add_duplicates(const struct page *page, const struct whole_profile *w)
{
    const struct split_facts *found = &w->profile.facts;
    struct text facts = {0};
    add_fact(&facts, &found->exact_duplicates, "exact duplicate");
    text_add(&facts, ", ");
    add_fact(&facts, &found->near_duplicates, "near duplicate");
    page_facts(page, "Repeats", &facts);
    add_fact(&facts, &found->conflicting_targets, "text");
    text_add(&facts, found->conflicting_targets.count == 1 ? " has" : " have");
    text_add(&facts, " more than one answer");
    page_facts(page, "Conflicts", &facts);
    if (!w->test)
        return;
    add_fact(&facts, &found->leakage, "test example");
    text_add(&facts, " also in the data, ");
    add_fact(&facts, &found->near_leakage, "more");
    text_add(&facts, " nearly");
    page_facts(page, "Leakage", &facts);
}

static void add_suspects(const struct whole_profile *w, struct text *facts)
{
    const struct noise *noise = &w->profile.noise;
    size_t listed = noise->suspect_count < NOISE_SUSPECTS ? noise->suspect_count : NOISE_SUSPECTS;
    for (size_t i = 0; i < listed; i++) {
        const struct suspect *suspect = &noise->suspects[i];
        const struct example *example = &w->data->examples[suspect->example];
        text_printf(facts, "%s%zu (", i ? ", " : "; look at lines ", example->line);
        plain_cut(facts, example->target, LABEL_COLUMNS);
        text_add(facts, " or ");
        plain_cut(facts, w->data->labels[suspect->label].name, LABEL_COLUMNS);
        text_add(facts, "?)");
    }
    if (noise->suspect_count > listed)
        text_printf(facts, " and %zu more", noise->suspect_count - listed);
}

static void add_noise(const struct page *page, const struct whole_profile *w)
{
    const struct noise *noise = &w->profile.noise;
    struct text facts = {0};
    if (noise->known) {
        text_printf(&facts,
                    "about %.1f %% of the labels are probably wrong [%.1f, %.1f], as far as words "
                    "tell, which get %.0f %% right",
                    100 * noise->rate, 100 * noise->low, 100 * noise->high, 100 * noise->accuracy);
        add_suspects(w, &facts);
    } else {
        text_printf(&facts, "not told: %s", noise->why);
    }
    page_facts(page, "Noise", &facts);
}

static void add_shift(const struct page *page, const struct whole_profile *w)
{
    const struct data_profile *p = &w->profile;
    struct text facts = {0};
    if (p->unseen_words < 0)
        return;
    text_printf(&facts, "%.1f %% of the words of development examples are new",
                100 * p->unseen_words);
    if (p->test_unseen_words >= 0)
        text_printf(&facts, ", %.1f %% of those of the test file", 100 * p->test_unseen_words);
    page_facts(page, "Words", &facts);
}

/* ---- Lengths ----------------------------------------------------------------------------------
 */

struct length_row {
    const char *name;
    const struct lengths *lengths;
};

enum { LENGTH_ROWS = 4, LENGTH_COLUMNS = 6 };

static void list_lengths(const struct whole_profile *w, struct length_row rows[LENGTH_ROWS])
{
    rows[0] = (struct length_row){"words of an input", &w->profile.input_words};
    rows[1] = (struct length_row){"words of an answer", &w->profile.target_words};
    rows[2] = (struct length_row){"tokens of an input", &w->input_tokens};
    rows[3] = (struct length_row){"tokens of an answer", &w->answer_tokens};
}

static void add_lengths(const struct page *page, const struct whole_profile *w)
{
    static const struct grid_column columns[LENGTH_COLUMNS] = {{"", false},    {"length", false},
                                                               {"mean", true}, {"half", true},
                                                               {"95 %", true}, {"all", true}};
    struct length_row rows[LENGTH_ROWS];
    struct grid grid;
    struct text note = {0};
    list_lengths(w, rows);
    grid_init(&grid, columns, LENGTH_COLUMNS, LENGTH_ROWS);
    for (size_t i = 0; i < LENGTH_ROWS; i++) {
        text_add(grid_cell(&grid, i, 1), rows[i].name);
        text_printf(grid_cell(&grid, i, 2), "%.1f", rows[i].lengths->mean);
        text_printf(grid_cell(&grid, i, 3), "%.0f", rows[i].lengths->p50);
        text_printf(grid_cell(&grid, i, 4), "%.0f", rows[i].lengths->p95);
        text_printf(grid_cell(&grid, i, 5), "%.0f", rows[i].lengths->max);
    }
    text_add(page->out, "\n");
    grid_write(&grid, page->style.columns, page->style.color, LENGTH_ROWS, page->out);
    grid_release(&grid);
    text_add(&note, "half, 95 %, all: as long or shorter are so many. ");
    if (w->counted)
        text_printf(&note, "The context is %d tokens; %zu examples do not fit.",
                    w->model->n_context, w->too_long);
    else
        text_add(&note, "Tokens are guessed at 4 bytes each; --model FILE counts them.");
    page_wrap(page, text_string(&note));
    text_release(&note);
    text_add(page->out, "\n");
}

/* ---- Machine ----------------------------------------------------------------------------------
 */

static void add_speed(struct text *out, const char *what, struct measured speed)
{
    if (speed.known)
        text_printf(out, "%s %.0f tokens/s", what, speed.value);
    else
        text_printf(out, "%s not measured in time", what);
}

static void add_machine(const struct page *page, const struct whole_profile *w)
{
    struct text facts = {0};
    page_count(&facts, (size_t)w->machine.cores, "core");
    text_add(&facts, ", ");
    human_bytes(&facts, w->machine.memory_bytes);
    text_add(&facts, " of memory, ");
    human_bytes(&facts, w->machine.memory_available_bytes);
    text_add(&facts, " available");
    page_facts(page, "Machine", &facts);
    if (!w->model)
        return;
    text_printf(&facts, "%s: ", w->model->name);
    human_count(&facts, measured((double)w->model->n_parameters));
    text_add(&facts, " parameters, ");
    human_bytes(&facts, measured((double)w->model->bytes));
    page_facts(page, "Model", &facts);
    for (size_t i = 0; i < SPEEDS; i++) {
        text_printf(&facts, "at %d tokens: ", w->speeds[i].tokens);
        add_speed(&facts, "reading", w->speeds[i].forward);
        add_speed(&facts, ", training", w->speeds[i].training);
        page_facts(page, i ? "" : "Speed", &facts);
    }
}

static void add_notes(const struct page *page, const struct whole_profile *w)
{
    const struct dataset *data = w->data;
    struct text note = {0};
    if (data->skipped_count)
        text_printf(&note, "%zu bad rows were skipped, the first on line %zu.", data->skipped_count,
                    data->skipped[0].line);
    if (note.length)
        page_facts(page, "Note", &note);
    for (size_t i = 0; i < data->note_count; i++) {
        text_add(&note, data->notes[i]);
        page_facts(page, "Note", &note);
    }
}

void profile_text(const struct whole_profile *w, struct report_style style, struct text *out)
{
    struct page page = page_begin(style, out);
    add_examples(&page, w);
    add_columns(&page, w);
    add_labels(&page, w);
    add_floor(&page, w);
    add_duplicates(&page, w);
    add_noise(&page, w);
    add_shift(&page, w);
    add_lengths(&page, w);
    add_machine(&page, w);
    add_notes(&page, w);
}

/* ---- JSON -------------------------------------------------------------------------------------
 */

static void write_lengths(struct writer *w, const char *key, const struct lengths *lengths)
{
    write_object(w, key);
    write_number(w, "mean", lengths->mean);
    write_number(w, "p50", lengths->p50);
    write_number(w, "p95", lengths->p95);
    write_number(w, "max", lengths->max);
    write_object_end(w);
}

static void write_fact(struct writer *w, const char *key, const struct fact *fact)
{
    size_t listed = fact->count < FACT_PLACES ? fact->count : FACT_PLACES;
    write_object(w, key);
    write_integer(w, "count", (int64_t)fact->count);
    write_array(w, "lines");
    for (size_t i = 0; i < listed; i++) {
        write_array(w, NULL);
        write_integer(w, NULL, (int64_t)fact->places[i].other);
        write_integer(w, NULL, (int64_t)fact->places[i].line);
        write_array_end(w);
    }
    write_array_end(w);
    write_object_end(w);
}

static void write_noise(struct writer *w, const struct whole_profile *whole)
{
    const struct noise *noise = &whole->profile.noise;
    size_t listed = noise->suspect_count < NOISE_SUSPECTS ? noise->suspect_count : NOISE_SUSPECTS;
    bool known = noise->known;
    write_object(w, "label_noise");
    write_measured(w, "rate", (struct measured){known, noise->rate});
    write_measured(w, "low", (struct measured){known, noise->low});
    write_measured(w, "high", (struct measured){known, noise->high});
    write_string(w, "why_not", noise->why);
    write_integer(w, "examples", (int64_t)noise->examples);
    write_measured(w, "accuracy_of_words", (struct measured){known, noise->accuracy});
    write_integer(w, "suspects", (int64_t)noise->suspect_count);
    write_array(w, "most_suspect");
    for (size_t i = 0; i < listed; i++) {
        const struct suspect *suspect = &noise->suspects[i];
        write_object(w, NULL);
        write_integer(w, "line", (int64_t)whole->data->examples[suspect->example].line);
        write_string(w, "label", whole->data->examples[suspect->example].target);
        write_string(w, "words_say", whole->data->labels[suspect->label].name);
        write_number(w, "probability", suspect->probability);
        write_object_end(w);
    }
    write_array_end(w);
    write_object_end(w);
}

static void write_labels(struct writer *w, const struct whole_profile *whole)
{
    struct label *labels = sorted_labels(whole->data);
    write_array(w, "labels");
    for (size_t i = 0; i < whole->data->label_count; i++) {
        write_object(w, NULL);
        write_string(w, "label", labels[i].name);
        write_integer(w, "count", (int64_t)labels[i].count);
        write_object_end(w);
    }
    write_array_end(w);
    free(labels);
}

static struct measured share_or_none(double share)
{
    return (struct measured){share >= 0, share >= 0 ? share : 0};
}

static void write_columns(struct writer *w, const struct dataset *data)
{
    write_object(w, "columns");
    write_string(w, "input", data->input_column);
    write_string(w, "target", data->target_column);
    write_string(w, "rationale",
                 data->worked && !data->rationale_column && data->rationale_count
                     ? data->target_column
                     : data->rationale_column);
    write_strings(w, "not_used", data->unused_columns, data->unused_count);
    write_object_end(w);
}

static void write_data(struct writer *w, const struct whole_profile *whole)
{
    const struct data_profile *p = &whole->profile;
    const struct dataset *data = whole->data;
    write_object(w, "data");
    write_string(w, "path", data->path);
    write_string(w, "sha256", data->sha256);
    write_string(w, "test_path", whole->test ? whole->test->path : NULL);
    write_string(w, "task", task_name(data->task));
    write_string(w, "task_reason", data->task_reason);
    write_columns(w, data);
    write_integer(w, "examples", (int64_t)p->examples);
    write_integer(w, "different", (int64_t)p->different);
    write_bool(w, "divides", p->divides);
    write_string(w, "why_not", p->why_not);
    write_integer(w, "train", (int64_t)p->train);
    write_integer(w, "dev", (int64_t)p->dev);
    write_integer(w, "test", (int64_t)p->test);
    write_labels(w, whole);
    write_number(w, "balance", p->balance);
    write_string(w, "majority_answer", p->majority_answer);
    write_number(w, "majority", p->majority);
    write_number(w, "rationales", p->rationale_share);
    write_fact(w, "exact_duplicates", &p->facts.exact_duplicates);
    write_fact(w, "near_duplicates", &p->facts.near_duplicates);
    write_fact(w, "conflicting", &p->facts.conflicting_targets);
    write_fact(w, "leaked", &p->facts.leakage);
    write_fact(w, "nearly_leaked", &p->facts.near_leakage);
    write_noise(w, whole);
    write_measured(w, "unseen_words", share_or_none(p->unseen_words));
    write_measured(w, "test_unseen_words", share_or_none(p->test_unseen_words));
    write_strings(w, "notes", data->notes, data->note_count);
    write_object_end(w);
}

static void write_all_lengths(struct writer *w, const struct whole_profile *whole)
{
    write_object(w, "lengths");
    write_lengths(w, "input_words", &whole->profile.input_words);
    write_lengths(w, "answer_words", &whole->profile.target_words);
    write_bool(w, "tokens_counted", whole->counted);
    write_lengths(w, "input_tokens", &whole->input_tokens);
    write_lengths(w, "answer_tokens", &whole->answer_tokens);
    if (whole->counted)
        write_integer(w, "too_long", (int64_t)whole->too_long);
    else
        write_null(w, "too_long");
    write_object_end(w);
}

static void write_machine(struct writer *w, const struct whole_profile *whole)
{
    write_object(w, "machine");
    write_integer(w, "cores", whole->machine.cores);
    write_measured(w, "memory_bytes", whole->machine.memory_bytes);
    write_measured(w, "memory_available_bytes", whole->machine.memory_available_bytes);
    write_object_end(w);
    if (!whole->model) {
        write_null(w, "model");
        return;
    }
    write_object(w, "model");
    write_string(w, "name", whole->model->name);
    write_string(w, "sha256", whole->model->sha256);
    write_integer(w, "parameters", (int64_t)whole->model->n_parameters);
    write_integer(w, "context_length", whole->model->n_context);
    write_array(w, "speeds");
    for (size_t i = 0; i < SPEEDS; i++) {
        write_object(w, NULL);
        write_integer(w, "tokens", whole->speeds[i].tokens);
        write_measured(w, "forward_tokens_per_second", whole->speeds[i].forward);
        write_measured(w, "training_tokens_per_second", whole->speeds[i].training);
        write_object_end(w);
    }
    write_array_end(w);
    write_object_end(w);
}

void profile_json(const struct whole_profile *whole, struct text *out)
{
    struct writer w = writer_begin(out);
    write_object(&w, NULL);
    write_integer(&w, "schema", 1);
    write_data(&w, whole);
    write_object(&w, "suggested_metric");
    write_string(&w, "name", whole->metric->name);
    write_string(&w, "reason", whole->metric_reason);
    write_object_end(&w);
    write_all_lengths(&w, whole);
    write_machine(&w, whole);
    write_object_end(&w);
    writer_end(&w);
}
