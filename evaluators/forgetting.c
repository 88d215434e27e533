/* SPDX-License-Identifier: Apache-2.0 */
#include "evaluators/forgetting.h"

#include <math.h>
#include <string.h>

#include "techniques/likelihood.h"

/* Paths are relative to the folder in which make runs. */
__asm__(".pushsection .rodata\n"
        ".global forgetting_text_start\n"
        "forgetting_text_start:\n"
        ".incbin \"evaluators/forgetting.txt\"\n"
        ".global forgetting_text_end\n"
        "forgetting_text_end:\n"
        ".byte 0\n"
        ".popsection\n");

extern const char forgetting_text_start[];
extern const char forgetting_text_end[];

enum { MOST_PASSAGES = 32 };

const char *forgetting_text(size_t *length)
{
    *length = (size_t)(forgetting_text_end - forgetting_text_start);
    return forgetting_text_start;
}

/* The beginnings of the passages, each at most `longest` tokens long. */
static enum status read_passages(const struct tokenizer *tokenizer, size_t longest,
                                 struct arena *arena, struct sequence *passages, size_t *count,
                                 struct error *err)
{
    struct tokens ids = {0};
    enum status status = OK;
    size_t rest;
    *count = 0;
    for (const char *at = forgetting_text(&rest); *at && *count < MOST_PASSAGES && status == OK;) {
        const char *end = strstr(at, "\n\n");
        size_t bytes = end ? (size_t)(end - at) : strcspn(at, "\n");
        tokens_clear(&ids);
        status = tokenizer_encode(tokenizer, at, bytes, &ids, NULL, err);
        size_t used = ids.count < longest ? ids.count : longest;
        if (status == OK && used >= 2)
            passages[(*count)++] =
                (struct sequence){.ids = memcpy(arena_alloc(arena, used * sizeof *ids.ids), ids.ids,
                                                used * sizeof *ids.ids),
                                  .request = 1,
                                  .answer = (int)used - 1};
        at += bytes;
        at += strspn(at, "\n");
    }
    tokens_release(&ids);
    return status;
}

enum status forgetting_loss(struct adapted *adapted, const struct deadline *deadline, double *loss,
                            struct error *err)
{
    struct sequence passages[MOST_PASSAGES];
    double nll[MOST_PASSAGES], sum = 0, tokens = 0;
    struct arena arena;
    size_t count, start = (size_t)adapted->past_rows;
    const struct model *model = adapted->engine->model;
    for (size_t i = 0; i < adapted->prefix.count; i++)
        start += adapted->prefix.ids[i] < 0;
    size_t room = (size_t)model->n_context > start ? (size_t)model->n_context - start : 0;
    size_t longest = room < FORGETTING_TOKENS ? room : FORGETTING_TOKENS;
    arena_init(&arena, NULL);
    enum status status = read_passages(model->tokenizer, longest, &arena, passages, &count, err);
    if (status == OK && !count)
        status = error_set(err, BAD_DATA,
                           "the loss on ordinary text cannot be measured: the model's context of "
                           "%d tokens leaves no room for it",
                           model->n_context);
    if (status == OK)
        status =
            likelihood_score(adapted, AFTER_VIRTUAL_TOKENS, passages, count, deadline, nll, err);
    for (size_t i = 0; i < count && status == OK; i++) {
        sum += nll[i];
        tokens += passages[i].answer;
    }
    *loss = status == OK ? sum / tokens : 0;
    arena_release(&arena);
    return status;
}

static enum status measure_bare(struct engine *engine, struct bare_loss *bare,
                                const struct deadline *deadline, struct error *err)
{
    if (bare->known)
        return OK;
    struct adapted model = {.engine = engine};
    double start = clock_seconds();
    enum status status = forgetting_loss(&model, deadline, &bare->loss, err);
    bare->seconds = clock_seconds() - start;
    bare->known = status == OK;
    return status;
}

/* Whether it would be done before the deadline, even on a machine that has become busy. */
static bool has_time(const struct bare_loss *bare, const struct deadline *deadline)
{
    const double slow = 3, first = 10; /* the bare model's loss has to be measured as well */
    double seconds = bare->known ? slow * bare->seconds : first;
    return !deadline || !(deadline->at > 0) || deadline->at - clock_seconds() >= seconds;
}

enum status forgetting_measure(struct adapted *adapted, struct bare_loss *bare,
                               const struct deadline *deadline, bool *measured, double *forgetting,
                               struct error *err)
{
    double loss = 0;
    *measured = false;
    if (!adapted->attachment || !has_time(bare, deadline))
        return OK;
    enum status status = measure_bare(adapted->engine, bare, deadline, err);
    if (status == OK)
        status = forgetting_loss(adapted, deadline, &loss, err);
    *forgetting = loss - bare->loss;
    *measured = status == OK && isfinite(*forgetting);
    return status == OUT_OF_TIME || status == BAD_DATA ? OK : status;
}
