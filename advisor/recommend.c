/* SPDX-License-Identifier: Apache-2.0
 *
 * advisor recommend: the main job, from a labelled file to a ranked recommendation.
 */
#include <string.h>

#include "advisor/allocate.h"
#include "advisor/command.h"
#include "advisor/evidence.h"
#include "advisor/interrupt.h"
#include "advisor/output.h"
#include "advisor/plan.h"
#include "advisor/rank.h"
#include "advisor/study.h"
#include "advisor/study_file.h"
#include "advisor/summary.h"

/* Says what begins, or goes on. */
static void announce(const struct study *study)
{
    if (study->spent_before > 0)
        progress_note(study->progress, "going on with %s: %.0f of %.0f s spent so far", study->path,
                      study->spent_before, study->options->budget_seconds);
    else
        progress_note(study->progress, "study %s", study->path);
}

/* Keeps the report in the study file, and takes from there what it shows besides its numbers. */
static enum status keep(struct study *study, struct report *report, struct error *err)
{
    struct text json = {0};
    struct report_style style = {0};
    report_format_find("json")->write(report, style, &json);
    enum status status = study_file_remember(study, text_string(&json), err);
    text_release(&json);
    return status == OK ? evidence_fill(study->store, &study->arena, report, err) : status;
}

static enum status run(struct study *study, struct report *report, struct error *err)
{
    enum status status;
    announce(study);
    if ((status = study_judge(study, err)) || (status = study_size(study, err)) ||
        (status = allocate_run(study, err)) || (status = allocate_test(study, err)) ||
        (status = study_file_finish(study, err)) || (status = study_save_time(study, true, err)) ||
        (status = summarise_study(study, report, err)) || (status = rank_study(study, report, err)))
        return status;
    return keep(study, report, err);
}

/* Time already used is kept even when the run ends badly; the first error is the one to tell. */
static enum status save_on_the_way_out(struct study *study, enum status status, struct error *err)
{
    struct error second = {0};
    study_save_time(study, true, &second);
    if (status == INTERRUPTED && !study->store)
        return error_set(err, INTERRUPTED,
                         "interrupted before anything was measured; the same command begins again");
    if (status == INTERRUPTED)
        return error_set(err, INTERRUPTED,
                         "interrupted; what was measured is in %s, and the same command goes on",
                         study->path);
    return status;
}

/* ---- --dry-run ------------------------------------------------------------------------------ */

static enum status write_plan(const struct study *study, const struct plan *plan, bool json,
                              struct error *err)
{
    struct text out = {0};
    if (json)
        plan_json(study, plan, &out);
    else
        plan_text(study, plan, output_style(study->options), &out);
    enum status status = output_write(study->options, &out, err);
    text_release(&out);
    return status;
}

static enum status dry_run(const struct options *options, struct error *err)
{
    struct progress progress;
    struct study study;
    struct plan plan;
    bool json;
    enum status status = output_text_or_json(options, &json, err);
    if (status != OK)
        return error_set(err, USAGE, "--dry-run prints no --format %s; expected text or json",
                         options->format->name);
    interrupt_install();
    progress_open(&progress, options);
    if ((status = study_open(&study, options, &progress, false, err)) == OK &&
        (status = study_file_look(&study, err)) == OK &&
        (status = study_judge(&study, err)) == OK && (status = study_measure(&study, err)) == OK &&
        (status = plan_make(&study, &plan, err)) == OK) {
        progress_clear(&progress);
        status = write_plan(&study, &plan, json, err);
    }
    progress_clear(&progress);
    study_close(&study);
    return status;
}

static enum status measure(const struct options *options, struct error *err)
{
    struct progress progress;
    struct study study;
    struct report report = {0};
    interrupt_install();
    progress_open(&progress, options);
    enum status status = study_open(&study, options, &progress, true, err);
    if (status == OK) {
        status = run(&study, &report, err);
        progress_clear(&progress);
        status = status == OK ? output_report(options, &report, err)
                              : save_on_the_way_out(&study, status, err);
    }
    study_close(&study);
    return status;
}

static bool asks_for(const struct options *options, const struct technique *technique)
{
    for (size_t i = 0; i < options->technique_count; i++)
        if (options->techniques[i] == technique)
            return true;
    return false;
}

/* Baselines are added to what was asked for: they cost nothing, and without them nobody knows
 * whether what is recommended beats always giving the most frequent answer. */
static void include_baselines(struct options *options, struct arena *arena)
{
    const struct technique *technique;
    size_t asked = options->technique_count, count = 0;
    while (technique_at(count))
        count++;
    const struct technique **all = arena_alloc(arena, (asked + count) * sizeof *all);
    memcpy(all, options->techniques, asked * sizeof *all);
    for (size_t i = 0; (technique = technique_at(i)); i++)
        if (technique_is_baseline(technique) && !asks_for(options, technique))
            all[options->technique_count++] = technique;
    options->techniques = all;
}

enum status recommend_run(const struct options *options, struct error *err)
{
    struct options all = *options;
    struct arena arena;
    arena_init(&arena, NULL);
    if (all.techniques)
        include_baselines(&all, &arena);
    enum status status = all.dry_run ? dry_run(&all, err) : measure(&all, err);
    arena_release(&arena);
    return status;
}
