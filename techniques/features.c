/* SPDX-License-Identifier: Apache-2.0 */
#include "techniques/features.h"

#include <string.h>

#include "techniques/pack.h"
#include "techniques/prompt.h"

struct reading {
    struct adapted *adapted;
    enum features what;
    const struct sequence *sequences;
    const struct span *spans;
    real *features;
    const struct deadline *deadline;
};

void features_depths(int layers, int depths[FEATURE_DEPTHS])
{
    for (int d = 0; d < FEATURE_DEPTHS; d++) {
        int depth = ((3 + d) * layers + 2) / 5;
        depths[d] = depth < layers ? depth : layers - 1;
    }
}

size_t features_width(const struct model *model, enum features what)
{
    return (what == ALL_STATES ? FEATURE_PARTS : 1) * (size_t)model->n_embd;
}

/* One pass whose middle states are read. */
struct look {
    int depths[FEATURE_DEPTHS];
    const struct layout *layout;
    size_t width;
    real *features; /* (n_segments, width) */
};

/* The last row of a segment, then the mean of its rows. */
static void summarise(const struct tensor *states, const struct segment *segment, real *features)
{
    size_t width = (size_t)states->cols, rows = (size_t)segment->length;
    const real *first = states->data + (size_t)segment->start * width;
    memcpy(features, first + (rows - 1) * width, width * sizeof *features);
    for (size_t c = 0; c < width; c++) {
        double sum = 0;
        for (size_t r = 0; r < rows; r++)
            sum += (double)first[r * width + c];
        features[width + c] = (real)(sum / (double)rows);
    }
}

static void see(void *context, int layer, const struct tensor *states)
{
    const struct look *look = context;
    size_t part = 2 * (size_t)states->cols;
    for (size_t d = 0; d < FEATURE_DEPTHS; d++)
        for (int s = 0; s < look->layout->n_segments && look->depths[d] == layer; s++)
            summarise(states, &look->layout->segments[s],
                      look->features + (size_t)s * look->width + (size_t)states->cols + d * part);
}

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
    size_t width = features_width(pass.model, r->what), final = (size_t)pass.model->n_embd;
    real *features = r->features + span->first * width;
    struct look look = {.layout = &layout, .width = width, .features = features};
    const struct tap tap = {see, &look};
    features_depths(pass.model->n_layer, look.depths);
    memset(features, 0, (size_t)layout.n_segments * width * sizeof *features);
    pass.tap = r->what == ALL_STATES ? &tap : NULL;
    const struct tensor *states = transformer_forward(&pass);
    for (int s = 0; s < layout.n_segments; s++)
        memcpy(features + (size_t)s * width, states->data + (size_t)s * final,
               final * sizeof *features);
    return OK;
}

enum status features_compute(struct adapted *adapted, enum features what,
                             const struct example *const *examples, size_t count, real *features,
                             int *tokens, const struct deadline *deadline, struct error *err)
{
    struct reading r = {
        .adapted = adapted, .what = what, .features = features, .deadline = deadline};
    struct sequence *sequences;
    struct span *spans;
    struct arena arena;
    arena_init(&arena, &adapted->engine->meter);
    enum status status = adapted_warm(adapted, err);
    if (status == OK)
        status = prompt_encode(adapted, examples, count, false, &arena, &sequences, err);
    if (status == OK) {
        size_t n = pack_cut(sequences, count, 0, 0, PACK_ROWS, PACK_WORKERS, &arena, &spans);
        r.sequences = sequences;
        r.spans = spans;
        status = pool_run(adapted->engine->pool, n, read_span, &r, err);
        for (size_t i = 0; i < count && tokens; i++)
            tokens[i] = sequences[i].request;
    }
    arena_release(&arena);
    return status;
}
