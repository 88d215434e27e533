/* SPDX-License-Identifier: Apache-2.0
 *
 * The errors of the first technique that teach most; declared in reports/html_parts.h.
 *
 * First those it is most sure of, one for each kind of confusion: what a model is sure of and wrong
 * about is a wrong label, a class that is not what its name says, or a gap in the training data.
 */
#include <stdlib.h>
#include <string.h>

#include "reports/html_parts.h"

enum { MOST_ERRORS = 6, NAME_COLUMNS = 60, INPUT_COLUMNS = 320 };

static const struct example_record *find_example(const struct report *report, int64_t example)
{
    const struct evidence *evidence = &report->evidence;
    size_t low = 0, high = evidence->dev_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (evidence->dev[middle].example < example)
            low = middle + 1;
        else
            high = middle;
    }
    bool found = low < evidence->dev_count && evidence->dev[low].example == example;
    return found ? &evidence->dev[low] : NULL;
}

bool html_has_errors(const struct report *report)
{
    const struct ranked_answers *finalists[FINALISTS];
    if (!report->evidence.dev_count || !html_finalists(report, finalists))
        return false;
    for (size_t i = 0; i < finalists[0]->dev_count; i++)
        if (!finalists[0]->dev[i].correct)
            return true;
    return false;
}

/* ---- Choosing ---------------------------------------------------------------------------------
 */

static int by_sureness(const void *a, const void *b)
{
    const struct prediction *x = *(const struct prediction *const *)a;
    const struct prediction *y = *(const struct prediction *const *)b;
    double p = x->scored ? x->probability : 0, q = y->scored ? y->probability : 0;
    if (p < q || p > q)
        return p > q ? -1 : 1;
    return x->example < y->example ? -1 : x->example > y->example;
}

static bool same_kind(const struct prediction *a, const struct prediction *b)
{
    return a->truth != NO_LABEL && a->truth == b->truth && a->label == b->label;
}

static bool is_taken(const struct prediction *const *chosen, size_t count,
                     const struct prediction *error, bool kind)
{
    for (size_t i = 0; i < count; i++)
        if (chosen[i] == error || (kind && same_kind(chosen[i], error)))
            return true;
    return false;
}

/* The surest errors, of different kinds as long as there are any. */
static size_t choose(const struct ranked_answers *answers, const struct prediction **chosen)
{
    size_t errors = 0, count = 0;
    const struct prediction **all = memory_alloc(answers->dev_count * sizeof *all + 1);
    for (size_t i = 0; i < answers->dev_count; i++)
        if (!answers->dev[i].correct)
            all[errors++] = &answers->dev[i];
    qsort(all, errors, sizeof *all, by_sureness);
    for (int kind = 1; kind >= 0; kind--)
        for (size_t i = 0; i < errors && count < MOST_ERRORS; i++)
            if (!is_taken(chosen, count, all[i], kind))
                chosen[count++] = all[i];
    free(all);
    return count;
}

/* ---- Writing ----------------------------------------------------------------------------------
 */

static void add_answer(const struct report *report, const struct prediction *error,
                       const char *const *names, struct text *out)
{
    bool label = error->label != NO_LABEL && error->label < (int)report->label_count;
    if (label)
        html_user_cut(out, names[error->label], NAME_COLUMNS);
    else if (error->text)
        html_user_cut(out, error->text, NAME_COLUMNS);
    else
        text_add(out, "<em>no answer</em>");
    if (error->scored)
        text_printf(out, " <small>%.0f&nbsp;%% sure</small>", 100 * error->probability);
}

/* How many of the other measured techniques are wrong here too. */
static void add_others(const struct report *report, const struct prediction *error,
                       struct text *out)
{
    const struct evidence *evidence = &report->evidence;
    size_t wrong = 0, others = 0;
    for (size_t i = 0; i < evidence->answers_count; i++) {
        const struct ranked_answers *answers = &evidence->answers[i];
        for (size_t j = 0; j < answers->dev_count; j++) {
            const struct prediction *other = &answers->dev[j];
            if (other == error || other->example != error->example)
                continue;
            others++;
            wrong += !other->correct;
        }
    }
    if (others)
        text_printf(out, "</dd></div>\n<div><dt>Others</dt><dd>%zu of %zu techniques are wrong too",
                    wrong, others);
}

static void add_error(const struct report *report, const struct prediction *error,
                      const char *const *names, struct text *out)
{
    const struct example_record *example = find_example(report, error->example);
    if (!example)
        return;
    text_add(out, "<li>\n<blockquote>");
    html_user_cut(out, example->input, INPUT_COLUMNS);
    text_add(out, "</blockquote>\n<dl class=\"verdicts\">\n<div><dt>Truth</dt><dd>");
    html_user_cut(out, example->target, NAME_COLUMNS);
    text_add(out, "</dd></div>\n<div><dt>Answer</dt><dd>");
    add_answer(report, error, names, out);
    text_printf(out, "</dd></div>\n<div><dt>Line</dt><dd>%lld", (long long)example->line);
    add_others(report, error, out);
    text_add(out, "</dd></div>\n</dl>\n</li>\n");
}

void html_errors(const struct report *report, struct text *out)
{
    const struct ranked_answers *finalists[FINALISTS];
    const struct prediction *chosen[MOST_ERRORS];
    struct arena arena;
    if (!html_finalists(report, finalists))
        return;
    arena_init(&arena, NULL);
    const char *const *names = html_class_names(report, &arena);
    size_t count = choose(finalists[0], chosen), wrong = 0;
    for (size_t i = 0; i < finalists[0]->dev_count; i++)
        wrong += !finalists[0]->dev[i].correct;
    text_printf(out,
                "<p>%s is wrong on %zu of %zu development examples; these it is most sure "
                "of.</p>\n<ol class=\"errors\">\n",
                finalists[0]->technique, wrong, finalists[0]->dev_count);
    for (size_t i = 0; i < count; i++)
        add_error(report, chosen[i], names, out);
    text_add(out, "</ol>\n");
    arena_release(&arena);
}
