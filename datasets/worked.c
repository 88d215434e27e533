/* SPDX-License-Identifier: Apache-2.0 */
#include "datasets/worked.h"

#include <string.h>

#include "datasets/labels.h"
#include "datasets/numbers.h"

static const char spaces[] = " \t\r\n";

/* The number behind the last "####" of a target, or NULL. (Targets have no white space around.) */
static const char *number_behind(const char *target)
{
    double value;
    const char *part = numbers_final_part(target);
    if (part == target)
        return NULL;
    part += strspn(part, spaces);
    return number_from_text(part, &value) ? part : NULL;
}

static bool wants_numbers(const struct dataset_options *options)
{
    enum task task = options->like ? options->like->task : options->task;
    return (task == TASK_INFER || task == TASK_NUMERIC_ANSWER) && !options->label_map;
}

/* What stands before the mark, without white space at its end; NULL when that is nothing. */
static const char *solution_before(struct arena *arena, const char *target)
{
    size_t length = (size_t)(numbers_final_part(target) - target) - strlen("####");
    while (length && strchr(spaces, target[length - 1]))
        length--;
    return length ? arena_strndup(arena, target, length) : NULL;
}

void worked_settle(struct rows *rows)
{
    struct dataset *dataset = rows->dataset;
    const char *wish = rows->options->rationale;
    size_t marked = 0, first_miss = 0;
    for (size_t i = 0; i < rows->count; i++) {
        bool hit = number_behind(rows->examples[i].target) != NULL;
        marked += hit;
        if (!hit && !first_miss)
            first_miss = rows->examples[i].line;
    }
    if (!marked || !wants_numbers(rows->options))
        return;
    if (marked < rows->count) {
        dataset_note(dataset,
                     "%zu of %zu targets end in \"#### number\", but not the one of line %zu, so "
                     "the numbers were not taken out.",
                     marked, rows->count, first_miss);
        return;
    }
    for (size_t i = 0; i < rows->count; i++) {
        struct example *example = &rows->examples[i];
        if (!example->rationale && !(wish && !*wish))
            example->rationale = solution_before(&dataset->arena, example->target);
        example->target = number_behind(example->target);
    }
    dataset->worked = true;
    dataset_note(dataset, "Every target ends in \"#### number\": the number is the target, and "
                          "what stands before it the rationale.");
}
