/* SPDX-License-Identifier: Apache-2.0
 *
 * How the best techniques do on each class, and what they take for what; declared in
 * reports/html_parts.h.
 */
#include <stdlib.h>
#include <string.h>

#include "reports/html_parts.h"

enum {
    MOST_MATRIX = 12,  /* classes up to which a matrix can be read */
    MOST_CLASSES = 20, /* rows of the table of classes */
    MOST_PAIRS = 10,   /* confusions listed where there is no matrix */
    NAME_COLUMNS = 32
};

bool html_has_classes(const struct report *report)
{
    const struct ranked_answers *finalists[FINALISTS];
    return report->label_count > 1 && html_finalists(report, finalists);
}

/* ---- Counting ---------------------------------------------------------------------------------
 */

/* All that is counted of one finalist. */
struct counted {
    const char *technique;
    int64_t *confusion;         /* (classes, classes + 1); see confusion_count */
    struct class_score *scores; /* (classes) */
};

struct place {
    size_t class;
    int64_t support;
    double f1;
};

struct classes {
    const struct report *report;
    struct arena arena;
    size_t count;
    const char *const *names;
    struct counted finalists[FINALISTS];
    size_t finalist_count;
    struct place *order; /* the hardest for the first finalist first; what does not occur last */
};

static int by_score(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    if (!x->support != !y->support)
        return x->support ? -1 : 1;
    if (x->f1 < y->f1 || x->f1 > y->f1)
        return x->f1 < y->f1 ? -1 : 1;
    return x->class < y->class ? -1 : x->class > y->class;
}

static struct counted count_one(struct classes *classes, const struct ranked_answers *answers)
{
    size_t n = classes->count;
    struct counted counted = {.technique = answers->technique};
    counted.confusion = arena_zalloc(&classes->arena, n * (n + 1) * sizeof(int64_t));
    counted.scores = arena_zalloc(&classes->arena, n * sizeof *counted.scores);
    confusion_count(answers->dev, answers->dev_count, n, counted.confusion);
    class_scores(counted.confusion, n, counted.scores);
    return counted;
}

/* Whether every class number has a name: the file may have been made by anybody. */
static bool fits(const struct ranked_answers *answers, size_t classes)
{
    for (size_t i = 0; i < answers->dev_count; i++)
        if (answers->dev[i].truth >= (int)classes || answers->dev[i].label >= (int)classes)
            return false;
    return true;
}

static struct classes count_all(const struct report *report)
{
    const struct ranked_answers *finalists[FINALISTS];
    struct classes classes = {.report = report, .count = report->label_count};
    arena_init(&classes.arena, NULL);
    classes.names = html_class_names(report, &classes.arena);
    size_t count = html_finalists(report, finalists);
    for (size_t i = 0; i < count; i++)
        if (fits(finalists[i], classes.count))
            classes.finalists[classes.finalist_count++] = count_one(&classes, finalists[i]);
    classes.order = arena_zalloc(&classes.arena, classes.count * sizeof *classes.order);
    for (size_t i = 0; i < classes.count; i++) {
        classes.order[i].class = i;
        if (!classes.finalist_count)
            continue;
        classes.order[i].support = classes.finalists[0].scores[i].support;
        classes.order[i].f1 = classes.finalists[0].scores[i].f1;
    }
    qsort(classes.order, classes.count, sizeof *classes.order, by_score);
    return classes;
}

/* ---- The table of classes ---------------------------------------------------------------------
 */

static void add_share(struct text *out, bool known, double share)
{
    if (known)
        text_printf(out, "<td class=\"n\">%.2f</td>", share);
    else
        text_add(out, "<td class=\"n\">-</td>");
}

static void add_class(const struct classes *classes, size_t class, struct text *out)
{
    text_add(out, "<tr><th scope=\"row\">");
    html_user_cut(out, classes->names[class], NAME_COLUMNS);
    text_printf(out, "</th><td class=\"n\">%lld</td>",
                (long long)classes->finalists[0].scores[class].support);
    for (size_t i = 0; i < classes->finalist_count; i++) {
        const struct class_score *score = &classes->finalists[i].scores[class];
        add_share(out, score->answered > 0, score->precision);
        add_share(out, score->support > 0, score->recall);
        add_share(out, score->support > 0 || score->answered > 0, score->f1);
    }
    text_add(out, "</tr>\n");
}

static void add_titles(const struct classes *classes, struct text *out)
{
    text_add(out, "<thead><tr><th scope=\"col\" rowspan=\"2\">class</th>"
                  "<th scope=\"col\" rowspan=\"2\" class=\"n\">examples</th>");
    for (size_t i = 0; i < classes->finalist_count; i++) {
        const struct ranked *ranked =
            report_ranked(classes->report, classes->finalists[i].technique);
        text_add(out, "<th scope=\"colgroup\" colspan=\"3\" class=\"group\">");
        if (ranked)
            html_technique(classes->report, ranked, out);
        text_add(out, "</th>");
    }
    text_add(out, "</tr>\n<tr>");
    for (size_t i = 0; i < classes->finalist_count; i++) {
        html_head(out, "n", "precision");
        html_head(out, "n", "recall");
        html_head(out, "n", "F1");
    }
    text_add(out, "</tr></thead>\n<tbody>\n");
}

static void add_classes(const struct classes *classes, struct text *out)
{
    html_table(out, "classes",
               "Precision, recall and F1 on the development examples, hardest class first");
    add_titles(classes, out);
    for (size_t i = 0; i < classes->count && i < MOST_CLASSES; i++)
        add_class(classes, classes->order[i].class, out);
    html_table_end(out);
    if (classes->count > MOST_CLASSES)
        text_printf(out, "<p class=\"legend\">The %d hardest of %zu classes.</p>\n", MOST_CLASSES,
                    classes->count);
}

/* ---- The matrix -------------------------------------------------------------------------------
 */

static int64_t at(const struct classes *classes, const struct counted *counted, size_t truth,
                  size_t answer)
{
    return counted->confusion[truth * (classes->count + 1) + answer];
}

static bool any_without_answer(const struct classes *classes, const struct counted *counted)
{
    for (size_t i = 0; i < classes->count; i++)
        if (at(classes, counted, i, classes->count))
            return true;
    return false;
}

static void add_matrix_cell(const struct classes *classes, const struct counted *counted,
                            size_t truth, size_t answer, struct text *out)
{
    int64_t count = at(classes, counted, truth, answer);
    int64_t support = counted->scores[truth].support;
    int heat = count && support ? 1 + (int)(8 * count / support) : 0;
    text_printf(out, "<td class=\"%s h%d\">", truth == answer ? "hit" : "miss", heat);
    if (count)
        text_printf(out, "%lld</td>", (long long)count);
    else
        text_add(out, "<span class=\"none\">0</span></td>");
}

static void add_matrix_titles(const struct classes *classes, bool none, struct text *out)
{
    text_add(out, "<thead><tr><th scope=\"col\">truth \u2193 answer \u2192</th>");
    for (size_t i = 0; i < classes->count; i++) {
        text_printf(out,
                    "<th scope=\"col\"><span aria-hidden=\"true\">%zu</span>"
                    "<span class=\"hidden\">",
                    i + 1);
        html_user_cut(out, classes->names[i], NAME_COLUMNS);
        text_add(out, "</span></th>");
    }
    text_printf(out, "%s</tr></thead>\n<tbody>\n", none ? "<th scope=\"col\">no answer</th>" : "");
}

static void add_matrix(const struct classes *classes, const struct counted *counted,
                       struct text *out)
{
    const struct ranked *ranked = report_ranked(classes->report, counted->technique);
    bool none = any_without_answer(classes, counted);
    text_add(out, "<div class=\"matrix-box\">\n<h4>");
    if (ranked)
        html_technique(classes->report, ranked, out);
    text_add(out, "</h4>\n");
    html_table(out, "matrix", "Truth in rows, answers in columns");
    add_matrix_titles(classes, none, out);
    for (size_t i = 0; i < classes->count; i++) {
        text_printf(out, "<tr><th scope=\"row\"><span aria-hidden=\"true\">%zu</span> ", i + 1);
        html_user_cut(out, classes->names[i], NAME_COLUMNS / 2);
        text_add(out, "</th>");
        for (size_t j = 0; j < classes->count + none; j++)
            add_matrix_cell(classes, counted, i, j, out);
        text_add(out, "</tr>\n");
    }
    html_table_end(out);
    text_add(out, "</div>\n");
}

/* ---- Pairs, where a matrix would be too large -------------------------------------------------
 */

struct pair {
    size_t truth, answer;
    int64_t count;
};

static int by_count(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    if (x->truth != y->truth)
        return x->truth < y->truth ? -1 : 1;
    return x->answer < y->answer ? -1 : x->answer > y->answer;
}

static size_t find_pairs(struct classes *classes, const struct counted *counted,
                         struct pair **pairs)
{
    size_t found = 0, n = classes->count;
    for (size_t i = 0; i < n * (n + 1); i++)
        found += counted->confusion[i] > 0;
    struct pair *items = arena_zalloc(&classes->arena, found * sizeof *items + 1);
    found = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j <= n; j++)
            if (i != j && at(classes, counted, i, j))
                items[found++] = (struct pair){i, j, at(classes, counted, i, j)};
    qsort(items, found, sizeof *items, by_count);
    *pairs = items;
    return found;
}

static void add_pairs(struct classes *classes, struct text *out)
{
    const struct counted *counted = &classes->finalists[0];
    struct pair *pairs;
    size_t count = find_pairs(classes, counted, &pairs);
    if (!count)
        return;
    html_table(out, "pairs", "Most frequent confusions of the first technique");
    text_add(out, "<thead><tr>");
    html_head(out, "", "truth");
    html_head(out, "", "answered");
    html_head(out, "n", "times");
    html_head(out, "n", "of");
    text_add(out, "</tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < count && i < MOST_PAIRS; i++) {
        bool none = pairs[i].answer == classes->count;
        text_add(out, "<tr><th scope=\"row\">");
        html_user_cut(out, classes->names[pairs[i].truth], NAME_COLUMNS);
        text_add(out, "</th><td>");
        html_user_cut(out, none ? "no answer" : classes->names[pairs[i].answer], NAME_COLUMNS);
        text_printf(out, "</td><td class=\"n\">%lld</td><td class=\"n\">%lld</td></tr>\n",
                    (long long)pairs[i].count, (long long)counted->scores[pairs[i].truth].support);
    }
    html_table_end(out);
}

/* ---- The section ------------------------------------------------------------------------------
 */

void html_classes(const struct report *report, struct text *out)
{
    struct classes classes = count_all(report);
    if (!classes.finalist_count) {
        text_add(out, "<p>The stored answers name classes that the report does not.</p>\n");
    } else {
        add_classes(&classes, out);
        text_add(out, "<h3>What is taken for what</h3>\n");
        if (classes.count > MOST_MATRIX) {
            add_pairs(&classes, out);
        } else {
            text_add(out, "<div class=\"matrices\">\n");
            for (size_t i = 0; i < classes.finalist_count; i++)
                add_matrix(&classes, &classes.finalists[i], out);
            text_add(out, "</div>\n");
        }
    }
    arena_release(&classes.arena);
}
