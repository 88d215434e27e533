/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "reports/guard.h"

static const struct guard_format table[] = {
    {.name = "text", .summary = "for reading in a log", .write = write_text_guard},
    {.name = "json", .summary = "for programs; one object", .write = write_json_guard},
    {.name = "junit",
     .summary = "for GitLab, Jenkins and others; a test for the verdict, each class and slice",
     .writes_errors = true,
     .write = write_junit_guard},
    {.name = "markdown", .summary = "for a pull request", .write = write_markdown_guard},
};

const struct guard_format *guard_format_at(size_t index)
{
    return index < sizeof table / sizeof *table ? &table[index] : NULL;
}

const struct guard_format *guard_format_find(const char *name)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (!strcmp(table[i].name, name))
            return &table[i];
    return NULL;
}

const char *guard_flip_name(enum guard_flip_kind kind)
{
    static const char *const names[] = {
        [FLIP_LOST] = "lost", [FLIP_GAINED] = "gained", [FLIP_WRONG] = "wrong"};
    return names[kind];
}

size_t guard_flips(const struct guard_report *report, enum guard_flip_kind kind)
{
    size_t count = 0;
    for (size_t i = 0; i < report->flip_count; i++)
        count += report->flips[i].kind == kind;
    return count;
}

struct measured guard_ratio(const struct guard_cost *cost)
{
    if (!cost->before.known || !cost->after.known || cost->before.value <= 0)
        return (struct measured){0};
    return measured(cost->after.value / cost->before.value);
}

bool guard_is_dearer(const struct guard_cost *cost)
{
    struct measured ratio = guard_ratio(cost);
    bool from_nothing = cost->before.known && cost->after.known && !ratio.known;
    return ratio.known ? ratio.value > cost->tolerated : from_nothing && cost->after.value > 0;
}

void guard_add_change(struct text *out, const struct guard_group *group)
{
    text_printf(out, "%+.3f [%+.3f, %+.3f]", group->difference, group->low, group->high);
}

void guard_add_cost(struct text *out, const struct guard_cost *cost)
{
    struct measured ratio = guard_ratio(cost);
    text_printf(out, "%s ", cost->title);
    cost->human(out, cost->before);
    text_add(out, " -> ");
    cost->human(out, cost->after);
    if (ratio.known)
        text_printf(out, " (x%.2f)", ratio.value);
}

void guard_add_flips(struct text *out, const struct guard_report *report)
{
    static const char *const words[] = {
        [FLIP_LOST] = "lost", [FLIP_GAINED] = "gained", [FLIP_WRONG] = "wrong in another way"};
    bool any = false;
    for (int kind = FLIP_LOST; kind <= FLIP_WRONG; kind++) {
        size_t count = guard_flips(report, (enum guard_flip_kind)kind);
        if (count)
            text_printf(out, "%s%zu %s", any ? ", " : "", count, words[kind]);
        any |= count > 0;
    }
    text_add(out, any ? "" : "none");
}
