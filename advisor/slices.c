/* SPDX-License-Identifier: Apache-2.0 */
#include "advisor/slices.h"

#include <stdlib.h>
#include <string.h>

/* The column is read as if it were the input, so it is found, and checked, as any other; a row
 * without a value is no row then, which is told from the number of its line. */
static enum status read_column(const struct exam *exam, const struct dataset_options *reading,
                               const char *column, struct dataset *values, struct error *err)
{
    struct dataset_options how = {.input = column,
                                  .rationale = "",
                                  .task = TASK_GENERATION,
                                  .delimiter = reading->delimiter,
                                  .on_bad_row = BAD_ROW_SKIP,
                                  .inputs_only = true};
    if (strchr(column, ','))
        return error_set(err, USAGE, "--slice: \"%s\" are several columns; expected one", column);
    return dataset_load(exam->path, &how, values, err) == OK ? OK : error_prefix(err, "--slice");
}

static const char *value_at(const struct dataset *values, size_t line)
{
    size_t low = 0, high = values->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (values->examples[middle].line < line)
            low = middle + 1;
        else
            high = middle;
    }
    return low < values->count && values->examples[low].line == line ? values->examples[low].input
                                                                     : "";
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorts `names` and drops those that occur again. */
static size_t unique(const char **names, size_t count)
{
    size_t kept = 0;
    qsort(names, count, sizeof *names, compare_names);
    for (size_t i = 0; i < count; i++)
        if (!kept || strcmp(names[kept - 1], names[i]) != 0)
            names[kept++] = names[i];
    return kept;
}

enum status slices_read(const struct exam *exam, const struct dataset_options *reading,
                        const char *column, const size_t *chosen, size_t count, struct arena *arena,
                        struct slices *slices, struct error *err)
{
    struct dataset values = {0};
    const char **each = arena_alloc(arena, count * sizeof *each + 1);
    *slices = (struct slices){.names = arena_alloc(arena, count * sizeof(const char *) + 1),
                              .of = arena_alloc(arena, count * sizeof *slices->of + 1)};
    enum status status = read_column(exam, reading, column, &values, err);
    if (status != OK)
        return status;
    for (size_t i = 0; i < count; i++) {
        const char *value = value_at(&values, exam_example(exam, chosen[i])->line);
        each[i] = arena_printf(arena, "%s=%s", column, value);
    }
    dataset_release(&values);
    memcpy(slices->names, each, count * sizeof *each);
    slices->count = unique(slices->names, count);
    if (slices->count > MOST_SLICES)
        return error_set(err, USAGE,
                         "--slice: the column \"%s\" has %zu different values; expected at most "
                         "%d, since each is compared by itself",
                         column, slices->count, MOST_SLICES);
    for (size_t i = 0; i < count; i++) {
        const char **found =
            bsearch(&each[i], slices->names, slices->count, sizeof *slices->names, compare_names);
        slices->of[i] = (int)(found - slices->names);
    }
    return OK;
}
