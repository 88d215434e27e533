/* SPDX-License-Identifier: Apache-2.0 */
#include "datasets/labels.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "datasets/columns.h"
#include "datasets/excerpt.h"
#include "datasets/names.h"
#include "datasets/task.h"

enum { MAX_NOTES = 16 };

void dataset_note(struct dataset *dataset, const char *format, ...)
{
    char sentence[1024];
    if (!dataset->notes)
        dataset->notes = arena_alloc(&dataset->arena, MAX_NOTES * sizeof *dataset->notes);
    if (dataset->note_count == MAX_NOTES)
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    dataset->notes[dataset->note_count++] = arena_strdup(&dataset->arena, sentence);
}

static int compare_labels(const void *a, const void *b)
{
    return strcmp(((const struct label *)a)->name, ((const struct label *)b)->name);
}

int dataset_label_index(const struct dataset *dataset, const char *name)
{
    if (dataset->label_count == 0)
        return -1;
    struct label key = {name, 0};
    const struct label *found = bsearch(&key, dataset->labels, dataset->label_count,
                                        sizeof *dataset->labels, compare_labels);
    return found ? (int)(found - dataset->labels) : -1;
}

static void copy_labels(struct dataset *dataset, const struct dataset *like)
{
    struct arena *arena = &dataset->arena;
    dataset->label_count = like->label_count;
    dataset->labels = arena_alloc(arena, like->label_count * sizeof *dataset->labels);
    for (size_t i = 0; i < like->label_count; i++)
        dataset->labels[i] = (struct label){arena_strdup(arena, like->labels[i].name), 0};
}

/* Letters from A to the last option that any input lists. */
static void list_letters(struct dataset *dataset)
{
    int most = 0;
    for (size_t i = 0; i < dataset->count; i++)
        most = dataset->examples[i].options > most ? dataset->examples[i].options : most;
    dataset->label_count = (size_t)most;
    dataset->labels = arena_alloc(&dataset->arena, (size_t)most * sizeof *dataset->labels);
    for (int i = 0; i < most; i++) {
        const char letter[] = {(char)('A' + i), '\0'};
        dataset->labels[i] = (struct label){arena_strdup(&dataset->arena, letter), 0};
    }
}

static void list_targets(struct dataset *dataset)
{
    struct label *all = memory_alloc(dataset->count * sizeof *all);
    for (size_t i = 0; i < dataset->count; i++)
        all[i] = (struct label){dataset->examples[i].target, 0};
    qsort(all, dataset->count, sizeof *all, compare_labels);
    size_t distinct = 0;
    for (size_t i = 0; i < dataset->count; i++)
        if (distinct == 0 || strcmp(all[i].name, all[distinct - 1].name) != 0)
            all[distinct++] = all[i];
    dataset->label_count = distinct;
    dataset->labels = arena_alloc(&dataset->arena, distinct * sizeof *all);
    memcpy(dataset->labels, all, distinct * sizeof *all);
    free(all);
}

/* A character that shows nothing: controls, zero-width space, direction marks, soft hyphen.
 * (Zero-width joiners change the look of their neighbours.) */
static bool is_invisible(uint32_t code)
{
    return code < 0x20 || (code >= 0x7F && code < 0xA0) || code == 0xAD || code == 0x200B ||
           code == 0x200E || code == 0x200F || (code >= 0x202A && code <= 0x202E) ||
           (code >= 0x2060 && code <= 0x2064) || code == 0xFEFF;
}

static bool is_space(uint32_t code)
{
    return code == ' ' || (code >= '\t' && code <= '\r') || code == 0x85 || code == 0xA0 ||
           code == 0x1680 || (code >= 0x2000 && code <= 0x200A) || code == 0x2028 ||
           code == 0x2029 || code == 0x202F || code == 0x205F || code == 0x3000;
}

/* What can be seen of a label: single spaces, none at the ends, nothing invisible. */
static void add_visible(const char *name, struct text *out)
{
    size_t length = strlen(name);
    bool space = false;
    for (size_t i = 0; i < length;) {
        uint32_t code = 0;
        int skip = 1;
        int bytes = utf8_decode(name + i, length - i, &code, &skip);
        size_t used = (size_t)(bytes > 0 ? bytes : skip);
        if (bytes > 0 && is_space(code)) {
            space = out->length > 0;
        } else if (bytes <= 0 || !is_invisible(code)) {
            text_append(out, " ", space);
            text_append(out, name + i, used);
            space = false;
        }
        i += used;
    }
}

struct appearance {
    const char *seen; /* see add_visible */
    const char *name;
};

static int compare_appearances(const void *a, const void *b)
{
    return strcmp(((const struct appearance *)a)->seen, ((const struct appearance *)b)->seen);
}

static size_t line_of(const struct dataset *dataset, const char *target)
{
    for (size_t i = 0; i < dataset->count; i++)
        if (dataset->examples[i].target && strcmp(dataset->examples[i].target, target) == 0)
            return dataset->examples[i].line;
    return 0;
}

/* Every label has something to see, and no two look the same. */
static enum status check_appearances(const struct dataset *dataset, struct error *err)
{
    struct arena arena;
    arena_init(&arena, NULL);
    struct appearance *all = arena_alloc(&arena, dataset->label_count * sizeof *all);
    for (size_t i = 0; i < dataset->label_count; i++) {
        struct text seen = {0};
        add_visible(dataset->labels[i].name, &seen);
        all[i] =
            (struct appearance){arena_strdup(&arena, text_string(&seen)), dataset->labels[i].name};
        text_release(&seen);
    }
    qsort(all, dataset->label_count, sizeof *all, compare_appearances);
    enum status status = OK;
    if (!*all[0].seen)
        status = error_set(err, BAD_DATA,
                           "%s:%zu: the label %s is empty: it has no character that can be seen; "
                           "correct or remove the row.",
                           dataset->path, line_of(dataset, all[0].name),
                           excerpt_string(all[0].name).text);
    for (size_t i = 1; i < dataset->label_count && status == OK; i++)
        if (strcmp(all[i - 1].seen, all[i].seen) == 0)
            status = error_set(err, BAD_DATA,
                               "%s: the labels %s (line %zu) and %s (line %zu) look the same, but "
                               "differ in white space or in characters that cannot be seen; write "
                               "them the same way.",
                               dataset->path, excerpt_string(all[i - 1].name).text,
                               line_of(dataset, all[i - 1].name), excerpt_string(all[i].name).text,
                               line_of(dataset, all[i].name));
    arena_release(&arena);
    return status;
}

static enum status report_unknown(const struct dataset *dataset, const struct dataset *like,
                                  const struct example *example, struct error *err)
{
    struct text list = {0};
    const char **names = memory_alloc(like->label_count * sizeof *names);
    for (size_t i = 0; i < like->label_count; i++)
        names[i] = like->labels[i].name;
    columns_list(names, like->label_count, &list);
    free(names);
    error_set(err, BAD_DATA,
              "%s:%zu: the label %s does not occur in %s, so no technique can learn it; the labels "
              "there are %s. Correct it, or add training examples of it.",
              dataset->path, example->line, excerpt_string(example->target).text, like->path,
              text_string(&list));
    text_release(&list);
    return BAD_DATA;
}

static enum status count_labels(struct dataset *dataset, const struct dataset *like,
                                struct error *err)
{
    for (size_t i = 0; i < dataset->count; i++) {
        struct example *example = &dataset->examples[i];
        if (!example->target)
            continue;
        example->label = dataset_label_index(dataset, example->target);
        if (example->label >= 0)
            dataset->labels[example->label].count++;
        else if (like)
            return report_unknown(dataset, like, example, err);
    }
    return OK;
}

enum status labels_build(struct dataset *dataset, const struct dataset *like, struct error *err)
{
    bool choice = dataset->task == TASK_MULTIPLE_CHOICE;
    if (!choice && dataset->task != TASK_CLASSIFICATION)
        return OK;
    for (size_t i = 0; choice && i < dataset->count; i++)
        dataset->examples[i].options = task_count_options(dataset->examples[i].input);
    if (like)
        copy_labels(dataset, like);
    else if (choice)
        list_letters(dataset);
    else if (dataset->examples[0].target)
        list_targets(dataset);
    if (!like && !choice && dataset->label_count == 1)
        return error_set(err, BAD_DATA,
                         "%s: all examples (%zu) have the same label %s, so there is nothing to "
                         "learn or to measure; add examples of at least one other class, or name "
                         "another column with --label.",
                         dataset->path, dataset->count,
                         excerpt_string(dataset->labels[0].name).text);
    if (!like && !choice && dataset->label_count) {
        enum status status = check_appearances(dataset, err);
        if (status)
            return status;
    }
    return count_labels(dataset, like, err);
}

static int compare_folded(const void *a, const void *b)
{
    const char *x = (*(const struct label *const *)a)->name;
    const char *y = (*(const struct label *const *)b)->name;
    for (;; x++, y++) {
        int p = *x >= 'A' && *x <= 'Z' ? *x + 32 : (unsigned char)*x;
        int q = *y >= 'A' && *y <= 'Z' ? *y + 32 : (unsigned char)*y;
        if (p != q || p == 0)
            return p - q;
    }
}

static void note_case(struct dataset *dataset)
{
    const struct label **sorted = memory_alloc(dataset->label_count * sizeof *sorted);
    for (size_t i = 0; i < dataset->label_count; i++)
        sorted[i] = &dataset->labels[i];
    qsort(sorted, dataset->label_count, sizeof *sorted, compare_folded);
    for (size_t i = 1; i < dataset->label_count; i++)
        if (compare_folded(&sorted[i - 1], &sorted[i]) == 0) {
            dataset_note(dataset,
                         "The labels %s and %s differ in case only; if they mean the same class, "
                         "write them the same way.",
                         excerpt_string(sorted[i - 1]->name).text,
                         excerpt_string(sorted[i]->name).text);
            break;
        }
    free(sorted);
}

void labels_note(struct dataset *dataset)
{
    size_t single = 0;
    size_t first = 0;
    for (size_t i = 0; i < dataset->label_count; i++)
        if (dataset->labels[i].count == 1 && single++ == 0)
            first = i;
    if (single && dataset->task == TASK_CLASSIFICATION)
        dataset_note(dataset,
                     "%zu of %zu classes %s one example only (such as %s): trained on, but never "
                     "measured.",
                     single, dataset->label_count, single == 1 ? "has" : "have",
                     excerpt_string(dataset->labels[first].name).text);
    if (dataset->label_count)
        note_case(dataset);
}

void labels_note_numbers(struct dataset *dataset)
{
    if (dataset->task != TASK_CLASSIFICATION || name_is_scale(dataset->target_column))
        return;
    for (size_t i = 0; i < dataset->label_count; i++)
        if (dataset->labels[i].name[strspn(dataset->labels[i].name, "0123456789")])
            return;
    struct text map = {0};
    for (size_t i = 0; i < dataset->label_count && i < 4; i++)
        text_printf(&map, "%s%s=NAME", i ? "," : "", dataset->labels[i].name);
    dataset_note(dataset,
                 "The classes are numbers; where they stand for names, a model can use these: give "
                 "them with --label-names %s%s.",
                 text_string(&map), dataset->label_count > 4 ? " and so on" : "");
    text_release(&map);
}

static const char *copy_trimmed(struct arena *arena, const char *start, const char *end)
{
    while (start < end && *start == ' ')
        start++;
    while (end > start && end[-1] == ' ')
        end--;
    return arena_strndup(arena, start, (size_t)(end - start));
}

static enum status take_entry(const char *start, const char *end, struct arena *arena,
                              struct label_name *map, size_t count, struct error *err)
{
    const char *equals = memchr(start, '=', (size_t)(end - start));
    const char *from = equals ? copy_trimmed(arena, start, equals) : "";
    const char *to = equals ? copy_trimmed(arena, equals + 1, end) : "";
    if (!*from || !*to)
        return error_set(err, USAGE,
                         "The label map has the entry %s; write each one as value=name, separated "
                         "by commas, such as 0=negative,1=positive.",
                         excerpt(start, (size_t)(end - start)).text);
    for (size_t i = 0; i < count; i++)
        if (strcmp(map[i].from, from) == 0)
            return error_set(err, USAGE, "The label map has two entries for %s; keep one.",
                             excerpt_string(from).text);
    map[count] = (struct label_name){from, to};
    return OK;
}

enum status label_map_parse(const char *text, struct arena *arena, struct label_name **map,
                            size_t *count, struct error *err)
{
    size_t limit = 1;
    for (const char *c = text; *c; c++)
        limit += *c == ',';
    *map = arena_alloc(arena, limit * sizeof **map);
    for (*count = 0;; ++*count) {
        const char *end = text + strcspn(text, ",");
        enum status status = take_entry(text, end, arena, *map, *count, err);
        if (status)
            return status;
        if (*end == '\0')
            break;
        text = end + 1;
    }
    ++*count;
    return OK;
}
