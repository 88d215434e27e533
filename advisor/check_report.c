/* SPDX-License-Identifier: Apache-2.0
 *
 * From the verdict of a check to its report: sentences, names, changed answers, costs.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "advisor/check.h"
#include "base/clock.h"
#include "base/sentences.h"
#include "model/blas.h"
#include "reports/human.h"

enum { MOST_CHANGES = 8, MOST_NAMED = 4 };

/* ---- Why ------------------------------------------------------------------------------------- */

/* "2 points" of a share, "0.02" of another unit. */
static const char *loss(struct check *c, double amount)
{
    if (strcmp(c->study->evaluator.metric->unit, "share") != 0)
        return arena_printf(&c->arena, "%.3g", amount);
    return arena_printf(&c->arena, "%.3g point%s", 100 * amount, 100 * amount == 1 ? "" : "s");
}

static const char *examples(struct check *c)
{
    const struct guard_group *whole = &c->result.whole;
    if (c->paired)
        return arena_printf(&c->arena, "on %zu examples", whole->after);
    return arena_printf(&c->arena, "on %zu new examples (the baseline has %zu others)",
                        whole->after, whole->before);
}

static void say_change(struct check *c, struct sentences *why, const char *rest)
{
    const struct guard_group *whole = &c->result.whole;
    say(why, "%s was %.3f and is %.3f %s%s", c->baseline.metric, whole->was, whole->is, examples(c),
        rest);
}

static void say_pass(struct check *c, struct sentences *why)
{
    const struct guard_group *whole = &c->result.whole;
    if (c->identical) {
        say(why, "nothing changed, and all %zu answers are the same.", c->count);
        return;
    }
    say_change(c, why,
               arena_printf(&c->arena, "; a loss of %s or more is ruled out.",
                            loss(c, c->options->margin)));
    if (whole->high < 0)
        say(why, "It did get worse, but by less than the margin.");
}

static void say_regression(struct check *c, struct sentences *why)
{
    const struct guard_group *whole = &c->result.whole;
    size_t named = 0;
    if (whole->verdict == GUARD_REGRESSION)
        say_change(c, why,
                   arena_printf(&c->arena,
                                ": it is worse (p = %.2g), and a loss of %s or more is not ruled "
                                "out.",
                                whole->p, loss(c, c->options->margin)));
    else
        say_change(c, why, ", but a part of it is worse.");
    for (size_t i = 0; i < c->result.group_count; i++) {
        const struct guard_group *group = &c->result.groups[i];
        const char *name = group->part == GUARD_PART_CLASS
                               ? c->study->data.labels[group->index].name
                               : c->slices.names[group->index];
        if (group->verdict != GUARD_REGRESSION || named++ >= MOST_NAMED)
            continue;
        say(why, "The %s %s had %.3f right and has %.3f of %zu examples (p = %.2g, corrected).",
            group->part == GUARD_PART_CLASS ? "class" : "slice", name, group->was, group->is,
            group->after, group->adjusted);
    }
    if (named > MOST_NAMED)
        say(why, "%zu more classes and slices are worse.", named - MOST_NAMED);
}

static void say_inconclusive(struct check *c, struct sentences *why)
{
    const struct guard_result *r = &c->result;
    const struct guard_group *whole = &r->whole;
    bool share = !strcmp(c->study->evaluator.metric->unit, "share");
    say_change(c, why, ", which is too few to tell.");
    say(why, "The change lies between %+.3g and %+.3g%s; a pass takes more than -%s.",
        whole->low * (share ? 100 : 1), whole->high * (share ? 100 : 1), share ? " points" : "",
        loss(c, c->options->margin));
    if (isfinite(r->examples_to_pass))
        say(why,
            "About %.0f examples of this kind would give a pass with a probability of 80 %% if the "
            "true change is %s.",
            r->examples_to_pass, whole->difference < 0 ? "the one seen" : "none");
    else
        say(why, "So far it is worse by the margin, and no number of examples like these would "
                 "give a pass.");
    if (isfinite(r->examples_to_show_drop))
        say(why, "About %.0f would show the loss, if it is as large as it looks.",
            r->examples_to_show_drop);
}

static void fill_reasons(struct check *c, struct guard_report *report)
{
    struct sentences why = {.arena = &c->arena};
    if (c->result.verdict == GUARD_PASS)
        say_pass(c, &why);
    else if (c->result.verdict == GUARD_REGRESSION)
        say_regression(c, &why);
    else
        say_inconclusive(c, &why);
    report->reasons = why.items;
    report->reason_count = why.count;
}

/* ---- Warnings -------------------------------------------------------------------------------- */

static size_t count_different(const struct check *c)
{
    size_t different = 0;
    for (size_t i = 0; i < c->count; i++) {
        const char *before = check_before(c, i)->answer, *after = c->answers[i];
        different += !before != !after || (before && strcmp(before, after) != 0);
    }
    return different;
}

/* What should have been identical and is not. */
static void warn_about_engine(struct check *c, struct sentences *warnings)
{
    const struct baseline *b = &c->baseline;
    if (!c->paired || c->identical || check_change(c, 0))
        return;
    say(warnings,
        "nothing that decides the answers has changed, yet %zu of %zu differ%s: the baseline was "
        "made by advisor %s with %s, this is advisor %s with %s.",
        count_different(c), c->count, count_different(c) ? "" : ", and their probabilities do",
        b->program, b->engine, ADVISOR_VERSION, blas_version());
}

static void warn_about_examples(struct check *c, struct sentences *warnings)
{
    const struct split_facts *facts = &c->study->split.facts;
    size_t leaked = facts->leakage.count + facts->near_leakage.count;
    if (c->paired && c->pairing.missing)
        say(warnings, "%zu examples of the baseline are not in %s and left out, as --shared says.",
            c->pairing.missing, c->exam.path);
    if (c->paired && c->pairing.extra)
        say(warnings, "%zu examples of %s are not in the baseline and left out.", c->pairing.extra,
            c->exam.path);
    if (leaked && c->exam.from == &c->study->test_data)
        say(warnings,
            "%zu examples are in the training data too, or nearly: what was trained on them may "
            "know them by heart.",
            leaked);
    for (size_t i = 0; i < c->exam.own.note_count; i++)
        say(warnings, "%s", c->exam.own.notes[i]);
    if (c->exam.own.skipped_count)
        say(warnings, "%zu bad rows of %s were skipped.", c->exam.own.skipped_count, c->exam.path);
}

static void warn_about_cost(const struct guard_report *report, struct sentences *warnings)
{
    for (size_t i = 0; i < report->cost_count; i++) {
        struct text text = {0};
        guard_add_cost(&text, &report->costs[i]);
        if (guard_is_dearer(&report->costs[i]))
            say(warnings, "it costs more: %s.", text_string(&text));
        text_release(&text);
    }
}

static void fill_warnings(struct check *c, struct guard_report *report)
{
    struct sentences warnings = {.arena = &c->arena};
    warn_about_engine(c, &warnings);
    warn_about_examples(c, &warnings);
    warn_about_cost(report, &warnings);
    report->warnings = warnings.items;
    report->warning_count = warnings.count;
}

/* ---- Tables ---------------------------------------------------------------------------------- */

static struct guard_row row_of(const struct check *c, const struct guard_group *group)
{
    static const char *const parts[] = {
        [GUARD_PART_WHOLE] = "metric", [GUARD_PART_CLASS] = "class", [GUARD_PART_SLICE] = "slice"};
    const char *name = c->baseline.metric;
    if (group->part == GUARD_PART_CLASS)
        name = c->study->data.labels[group->index].name;
    else if (group->part == GUARD_PART_SLICE)
        name = c->slices.names[group->index];
    return (struct guard_row){.part = parts[group->part], .name = name, .group = *group};
}

static void fill_rows(struct check *c, struct guard_report *report)
{
    size_t count = c->result.group_count + 1;
    struct guard_row *rows = arena_alloc(&c->arena, count * sizeof *rows);
    rows[0] = row_of(c, &c->result.whole);
    for (size_t i = 1; i < count; i++)
        rows[i] = row_of(c, &c->result.groups[i - 1]);
    report->rows = rows;
    report->row_count = count;
}

static int compare_flips(const void *a, const void *b)
{
    const struct guard_flip *x = a, *y = b;
    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    return (x->line > y->line) - (x->line < y->line);
}

/* Free text was kept as a hash, so what it was cannot be shown. */
static void fill_flips(struct check *c, struct guard_report *report)
{
    bool labels = c->study->data.label_count > 0;
    struct guard_flip *flips = arena_alloc(&c->arena, c->count * sizeof *flips + 1);
    size_t count = 0;
    for (size_t i = 0; c->paired && i < c->count; i++) {
        const struct baseline_answer *before = check_before(c, i);
        const struct prediction *after = &c->outcome.predictions[i];
        const struct example *example = exam_example(&c->exam, c->chosen[i]);
        const char *was = before->answer, *is = c->answers[i];
        bool same = was == is || (was && is && !strcmp(was, is));
        if (before->correct == after->correct && (same || after->correct))
            continue;
        flips[count++] = (struct guard_flip){.kind = before->correct  ? FLIP_LOST
                                                     : after->correct ? FLIP_GAINED
                                                                      : FLIP_WRONG,
                                             .line = example->line,
                                             .text = example->input,
                                             .target = example->target,
                                             .before = labels ? was : NULL,
                                             .after = labels ? is : after->text};
    }
    qsort(flips, count, sizeof *flips, compare_flips);
    report->flips = flips;
    report->flip_count = count;
}

static void human_tokens(struct text *out, struct measured tokens)
{
    if (tokens.known)
        text_printf(out, "%.1f", tokens.value);
    else
        text_add(out, "-");
}

/* Tokens are counted and have to agree (up to the digits a baseline keeps); time is measured on a
 * machine that does other things too. */
static void fill_costs(struct check *c, struct guard_report *report)
{
    const struct baseline *b = &c->baseline;
    const struct trial_record *now = &c->outcome.record;
    const struct guard_cost all[] = {
        {"tokens_per_request", "tokens per request", b->tokens_per_request, now->tokens_per_request,
         1 + 1e-9, human_tokens},
        {"latency_ms", "latency", b->latency_ms, now->latency_ms, 1.5, human_milliseconds},
        {"peak_memory_bytes", "memory", b->peak_memory_bytes, now->peak_memory_bytes, 1.1,
         human_bytes},
    };
    report->costs = memcpy(arena_alloc(&c->arena, sizeof all), all, sizeof all);
    report->cost_count = sizeof all / sizeof *all;
}

/* ---- The whole ------------------------------------------------------------------------------- */

static void fill_sides(struct check *c, struct guard_report *report)
{
    const struct baseline *b = &c->baseline;
    report->before = (struct guard_side){.technique = b->technique,
                                         .setting = b->setting,
                                         .model = b->model_name,
                                         .model_sha256 = b->model_sha256,
                                         .artifact_sha256 = b->artifact_sha256,
                                         .program = b->program};
    report->after = (struct guard_side){.technique = c->replay.setting.technique->name,
                                        .setting = c->setting,
                                        .model = c->study->model->name,
                                        .model_sha256 = c->study->model->sha256,
                                        .artifact_sha256 = c->artifact_sha256,
                                        .program = ADVISOR_VERSION};
    const char **changed = arena_alloc(&c->arena, MOST_CHANGES * sizeof *changed);
    while (report->changed_count < MOST_CHANGES &&
           (changed[report->changed_count] = check_change(c, report->changed_count)))
        report->changed_count++;
    report->changed = changed;
}

static struct measured finite(double value)
{
    return isfinite(value) ? measured(value) : (struct measured){0};
}

void check_report(struct check *c, struct guard_report *report)
{
    bool open = c->result.verdict == GUARD_INCONCLUSIVE;
    *report = (struct guard_report){.verdict = c->result.verdict,
                                    .identical = c->identical,
                                    .paired = c->paired,
                                    .baseline_path = c->path,
                                    .study = c->options->study ? c->study->name : c->baseline.study,
                                    .examples_path = c->exam.path,
                                    .missing = c->pairing.missing,
                                    .extra = c->pairing.extra,
                                    .metric = c->baseline.metric,
                                    .margin = c->options->margin};
    if (open) {
        report->examples_to_pass = finite(c->result.examples_to_pass);
        report->examples_to_show_drop = finite(c->result.examples_to_show_drop);
    }
    fill_sides(c, report);
    fill_rows(c, report);
    fill_flips(c, report);
    fill_costs(c, report);
    fill_reasons(c, report);
    fill_warnings(c, report);
    report->seconds = clock_seconds() - c->began;
}
