/* SPDX-License-Identifier: Apache-2.0 */
#include "techniques/worked.h"

#include <string.h>

#include "model/chat.h"
#include "techniques/prompt.h"

const char *worked_target(const struct example *example, struct arena *arena)
{
    (void)arena;
    return example->target;
}

static const struct example *example_at(const struct worked *w, size_t index)
{
    return &w->material->data->examples[w->material->rows[index]];
}

static bool is_usable(const struct worked *w, size_t index, struct arena *arena)
{
    return w->answer(example_at(w, index), arena) != NULL;
}

size_t worked_usable(const struct worked *w)
{
    struct arena arena;
    size_t count = 0;
    arena_init(&arena, NULL);
    for (size_t i = 0; i < w->material->count; i++)
        count += is_usable(w, i, &arena);
    arena_release(&arena);
    return count;
}

/* Picks up to k rows in rounds over the classes. Returns how many. */
static size_t pick_balanced(const struct worked *w, size_t k, size_t *rows, struct arena *arena)
{
    const struct material *material = w->material;
    size_t classes = material->data->label_count ? material->data->label_count : 1, n = 0;
    size_t *next = arena_zalloc(arena, classes * sizeof *next); /* where to look on, by class */
    for (bool found = true; n < k && found;) {
        found = false;
        for (size_t c = 0; c < classes && n < k; c++) {
            while (next[c] < material->count &&
                   ((classes > 1 && example_at(w, next[c])->label != (int)c) ||
                    !is_usable(w, next[c], arena)))
                next[c]++;
            if (next[c] == material->count)
                continue;
            rows[n++] = material->rows[next[c]++];
            found = true;
        }
    }
    return n;
}

/* Tokens of the request with the most bytes. */
static enum status longest_request(const struct worked *w, size_t *tokens, struct error *err)
{
    const struct example *longest = example_at(w, 0);
    struct tokens ids = {0};
    for (size_t i = 1; i < w->material->count; i++)
        if (strlen(example_at(w, i)->input) > strlen(longest->input))
            longest = example_at(w, i);
    enum status status = prompt_add_example(w->model, longest->input, "", &ids, err);
    *tokens = ids.count;
    tokens_release(&ids);
    return status;
}

/* How many of the first `count` rows fit, and `*tokens`, what all of them take. `beside` is kept
 * free besides. */
static enum status count_fitting(const struct worked *w, const size_t *rows, size_t count,
                                 size_t beside, struct arena *arena, size_t *fitting,
                                 size_t *tokens, struct error *err)
{
    struct tokens ids = {0};
    size_t context = (size_t)w->model->n_context;
    const struct model *model = w->model;
    enum status status = prompt_add_instruction(model, w->setting, w->instruction, &ids, err);
    if (status == OK) /* it opens the request in the end, wherever it is counted */
        status = chat_open(model->chat, model->tokenizer, CHAT_USER, &ids, err);
    *fitting = 0;
    for (size_t i = 0; i < count && status == OK; i++) {
        const struct example *example = &w->material->data->examples[rows[i]];
        status = prompt_add_example(model, example->input, w->answer(example, arena), &ids, err);
        if (*fitting == i && ids.count <= context / 2 && ids.count + beside <= context)
            *fitting = i + 1;
    }
    *tokens = ids.count;
    tokens_release(&ids);
    return status;
}

static size_t automatic(int usual, size_t labels)
{
    size_t wanted = (size_t)usual;
    return labels ? (wanted + labels - 1) / labels * labels : wanted;
}

static enum status choose_automatic(const struct worked *w, struct arena *arena, size_t **rows,
                                    size_t *k, struct error *err)
{
    size_t labels = w->material->data->label_count, request, tokens;
    size_t wanted = automatic(w->usual, labels);
    *rows = arena_alloc(arena, wanted * sizeof **rows);
    *k = 0;
    size_t count = pick_balanced(w, wanted, *rows, arena);
    enum status status = longest_request(w, &request, err);
    if (status == OK)
        status =
            count_fitting(w, *rows, count, request + (size_t)w->reserve, arena, k, &tokens, err);
    if (status == OK && *k < count && labels && *k > labels)
        *k -= *k % labels;
    return status;
}

static enum status choose_given(const struct worked *w, size_t given, struct arena *arena,
                                size_t **rows, size_t *k, struct error *err)
{
    const char *name = w->setting->technique->name;
    size_t usable = worked_usable(w), fitting, tokens;
    if (!given || given > usable)
        return error_set(err, USAGE,
                         "%s: k=%zu is %s the %zu %s; expected 1 to %zu, or -1 for as many as suit",
                         name, given, given ? "more than" : "none of", usable, w->of, usable);
    *rows = arena_alloc(arena, given * sizeof **rows);
    *k = pick_balanced(w, given, *rows, arena);
    enum status status = count_fitting(w, *rows, *k, 0, arena, &fitting, &tokens, err);
    if (status != OK || fitting == *k)
        return status;
    if (!fitting)
        return error_set(
            err, USAGE,
            "%s: k=%zu worked examples take %zu tokens of a context of %d; expected at "
            "most half of it, which not even the first one does",
            name, given, tokens, w->model->n_context);
    return error_set(err, USAGE,
                     "%s: k=%zu worked examples take %zu tokens of a context of %d; expected at "
                     "most half of it, which %s%zu do",
                     name, given, tokens, w->model->n_context,
                     fitting > 1 ? "k=1 to " : "k=", fitting);
}

enum status worked_choose(const struct worked *w, struct arena *arena, size_t **rows, size_t *k,
                          struct error *err)
{
    int asked = setting_integer(w->setting, "k");
    if (asked == WORKED_AUTOMATIC)
        return choose_automatic(w, arena, rows, k, err);
    return choose_given(w, (size_t)asked, arena, rows, k, err);
}

double worked_expected(const struct setting *setting, const struct workload *workload, int usual,
                       double each)
{
    int asked = setting_integer(setting, "k");
    if (asked != WORKED_AUTOMATIC)
        return asked;
    double wanted = (double)automatic(usual, workload->labels);
    double fitting = (workload->model->n_context / 2 - workload->instruction_tokens) / each;
    wanted = wanted < fitting ? wanted : (double)(size_t)(fitting > 0 ? fitting : 0);
    return wanted < (double)workload->examples ? wanted : (double)workload->examples;
}
