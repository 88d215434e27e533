/* SPDX-License-Identifier: Apache-2.0 */
#include "techniques/features.h"

#include <string.h>

#include "techniques/pack.h"
#include "techniques/prompt.h"

struct reading {
    struct adapted *adapted;
    const struct sequence *sequences;
    const struct span *spans;
    real *features;
    const struct deadline *deadline;
};

static enum status read_span(void *context, size_t task, int worker, struct error *err)
{
    const struct reading *r = context;
    const struct span *span = &r->spans[task];
    enum status status = deadline_check(r->deadline, err);
    if (status != OK)
        return status;
    struct workspace *workspace = engine_workspace(r->adapted->engine, worker, false);
    struct layout layout;
    pack_requests(r->adapted, r->sequences + span->first, span->last - span->first,
                  &workspace->arena, &layout);
    struct pass pass = adapted_pass(r->adapted, &workspace->tape, &layout,
                                    adapted_views(r->adapted, NULL, &workspace->arena));
    const struct tensor *states = transformer_forward(&pass);
    memcpy(r->features + span->first * (size_t)states->cols, states->data,
           tensor_size(states) * sizeof(real));
    return OK;
}

enum status features_compute(struct adapted *adapted, const struct example *const *examples,
                             size_t count, real *features, int *tokens,
                             const struct deadline *deadline, struct error *err)
{
    struct reading r = {.adapted = adapted, .features = features, .deadline = deadline};
    struct sequence *sequences;
    struct span *spans;
    struct arena arena;
    arena_init(&arena, &adapted->engine->meter);
    enum status status = adapted_warm(adapted, err);
    if (status == OK)
        status = prompt_encode(adapted, examples, count, false, &arena, &sequences, err);
    if (status == OK) {
        size_t n = pack_cut(sequences, count, 0, 0, PACK_ROWS, 1, &arena, &spans);
        r.sequences = sequences;
        r.spans = spans;
        status = pool_run(adapted->engine->pool, n, read_span, &r, err);
        for (size_t i = 0; i < count && tokens; i++)
            tokens[i] = sequences[i].request;
    }
    arena_release(&arena);
    return status;
}
