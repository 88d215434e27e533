/* SPDX-License-Identifier: Apache-2.0 */
#include "techniques/likelihood.h"

#include "model/operators.h"
#include "techniques/pack.h"

/* Rows of a batch: small enough that measuring takes less memory than answering or training. */
enum { LIKELIHOOD_ROWS = 256 };

struct scoring {
    struct adapted *adapted;
    const int32_t *prefix; /* read anew in every batch; the rest of the start is cached */
    int prefix_count;
    const struct cache *cache;
    const struct sequence *sequences;
    const struct span *spans;
    const struct deadline *deadline;
    double *nll;
};

static enum status score_span(void *context, size_t task, int worker, struct error *err)
{
    const struct scoring *s = context;
    const struct span *span = &s->spans[task];
    enum status status = deadline_check(s->deadline, err);
    if (status != OK)
        return status;
    struct workspace *workspace = engine_workspace(s->adapted->engine, worker, false);
    struct arena *arena = &workspace->arena;
    struct training_pack pack;
    pack_answers(s->adapted, s->prefix, s->prefix_count, s->cache, s->sequences + span->first,
                 span->last - span->first, arena, &pack);
    size_t scored = (size_t)pack.layout.n_scored;
    struct pass pass = adapted_pass(s->adapted, &workspace->tape, &pack.layout,
                                    adapted_views(s->adapted, NULL, arena));
    real *weights = arena_zalloc(arena, scored * sizeof *weights);
    double *nll = arena_alloc(arena, scored * sizeof *nll);
    struct tensor *states = transformer_forward(&pass);
    op_cross_entropy(&workspace->tape, states, transformer_head(&pass), pack.targets, weights, nll);
    for (size_t i = span->first; i < span->last; i++) {
        s->nll[i] = 0;
        for (int t = 0; t < s->sequences[i].answer; t++)
            s->nll[i] += *nll++;
    }
    return OK;
}

enum status likelihood_score(struct adapted *adapted, enum likelihood_context context,
                             const struct sequence *sequences, size_t count,
                             const struct deadline *deadline, double *nll, struct error *err)
{
    struct scoring s = {
        .adapted = adapted, .sequences = sequences, .deadline = deadline, .nll = nll};
    struct tokens virtual = {0};
    struct arena arena;
    struct span *spans;
    enum status status = OK;
    if (context == AFTER_PROMPT)
        status = adapted_warm(adapted, err);
    if (status != OK)
        return status;
    for (size_t i = 0; context == AFTER_VIRTUAL_TOKENS && i < adapted->prefix.count; i++)
        if (adapted->prefix.ids[i] < 0)
            tokens_add(&virtual, adapted->prefix.ids[i]);
    s.prefix = virtual.ids;
    s.prefix_count = (int)virtual.count;
    s.cache = context == AFTER_PROMPT ? adapted->prefix_cache : NULL;
    arena_init(&arena, &adapted->engine->meter);
    size_t n = pack_cut(sequences, count, 0, s.prefix_count, LIKELIHOOD_ROWS, PACK_WORKERS, &arena,
                        &spans);
    s.spans = spans;
    status = pool_run(adapted->engine->pool, n, score_span, &s, err);
    tokens_release(&virtual);
    arena_release(&arena);
    return status;
}
