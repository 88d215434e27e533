/* SPDX-License-Identifier: Apache-2.0
 *
 * A check for programs. Keys and their order are part of the interface: "schema" is raised when one
 * changes its meaning or goes.
 */
#include "reports/guard.h"
#include "reports/writer.h"

enum { SCHEMA = 1 };

static void write_side(struct writer *w, const char *key, const struct guard_side *side)
{
    write_object(w, key);
    write_string(w, "technique", side->technique);
    write_json(w, "setting", side->setting);
    write_string(w, "model", side->model);
    write_string(w, "model_sha256", side->model_sha256);
    write_string(w, "artifact_sha256", side->artifact_sha256);
    write_string(w, "program_version", side->program);
    write_object_end(w);
}

static void write_row(struct writer *w, const char *key, const struct guard_row *row)
{
    const struct guard_group *group = &row->group;
    write_object(w, key);
    write_string(w, "part", row->part);
    write_string(w, "name", row->name);
    write_string(w, "verdict", guard_verdict_name(group->verdict));
    write_integer(w, "examples_before", (int64_t)group->before);
    write_integer(w, "examples", (int64_t)group->after);
    write_number(w, "before", group->was);
    write_number(w, "after", group->is);
    write_number(w, "difference", group->difference);
    write_number(w, "low", group->low);
    write_number(w, "high", group->high);
    write_integer(w, "lost", group->lost);
    write_integer(w, "gained", group->gained);
    write_number(w, "p_worse", group->p);
    write_number(w, "p_adjusted", group->adjusted);
    write_bool(w, "tested", group->tested);
    write_object_end(w);
}

static void write_flips(struct writer *w, const struct guard_report *report)
{
    write_array(w, "flips");
    for (size_t i = 0; i < report->flip_count; i++) {
        const struct guard_flip *flip = &report->flips[i];
        write_object(w, NULL);
        write_string(w, "kind", guard_flip_name(flip->kind));
        write_integer(w, "line", (int64_t)flip->line);
        write_string(w, "text", flip->text);
        write_string(w, "target", flip->target);
        write_string(w, "before", flip->before);
        write_string(w, "after", flip->after);
        write_object_end(w);
    }
    write_array_end(w);
}

static void write_costs(struct writer *w, const struct guard_report *report)
{
    write_object(w, "cost");
    for (size_t i = 0; i < report->cost_count; i++) {
        const struct guard_cost *cost = &report->costs[i];
        write_object(w, cost->name);
        write_measured(w, "before", cost->before);
        write_measured(w, "after", cost->after);
        write_measured(w, "ratio", guard_ratio(cost));
        write_bool(w, "warning", guard_is_dearer(cost));
        write_object_end(w);
    }
    write_object_end(w);
}

void write_json_guard(const struct guard_report *report, struct guard_style style, struct text *out)
{
    struct writer writer = writer_begin(out), *w = &writer;
    (void)style;
    write_object(w, NULL);
    write_string(w, "kind", "advisor check");
    write_integer(w, "schema", SCHEMA);
    write_string(w, "verdict", guard_verdict_name(report->verdict));
    write_strings(w, "reasons", report->reasons, report->reason_count);
    write_strings(w, "warnings", report->warnings, report->warning_count);
    write_bool(w, "identical", report->identical);
    write_bool(w, "paired", report->paired);
    write_string(w, "metric", report->metric);
    write_number(w, "margin", report->margin);
    write_number(w, "confidence", GUARD_CONFIDENCE);
    write_measured(w, "examples_to_pass", report->examples_to_pass);
    write_measured(w, "examples_to_show_drop", report->examples_to_show_drop);
    write_row(w, "whole", &report->rows[0]);
    write_array(w, "groups");
    for (size_t i = 1; i < report->row_count; i++)
        write_row(w, NULL, &report->rows[i]);
    write_array_end(w);
    write_flips(w, report);
    write_costs(w, report);
    write_string(w, "baseline", report->baseline_path);
    write_string(w, "study", report->study);
    write_string(w, "examples_path", report->examples_path);
    write_integer(w, "missing", (int64_t)report->missing);
    write_integer(w, "extra", (int64_t)report->extra);
    write_strings(w, "changed", report->changed, report->changed_count);
    write_side(w, "before", &report->before);
    write_side(w, "after", &report->after);
    write_object_end(w);
    writer_end(w);
}
