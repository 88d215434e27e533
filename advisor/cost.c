/* SPDX-License-Identifier: Apache-2.0 */
#include "advisor/cost.h"

#include <math.h>

#include "model/transformer.h"
#include "model/weight.h"
#include "techniques/generate.h"
#include "techniques/trainer.h"

enum {
    SCORING_ROWS = 512, /* rows of a batch of requests */
    TRAINED_BYTES = 16  /* of a trained value: itself, its gradient, two moments */
};

const struct way *way_at(size_t index)
{
    static const struct way ways[] = {
        {false, WEIGHTS_EXPANDED, ""},
        {true, WEIGHTS_EXPANDED, " with layers that are run again"},
        {true, WEIGHTS_PACKED, " with weights that also stay packed"},
    };
    return index < sizeof ways / sizeof *ways ? &ways[index] : NULL;
}

/* ---- Operations -------------------------------------------------------------------------------
 */

/* Values of the projections of all layers. */
static double projection_values(const struct model *model)
{
    double values = 0;
    for (int s = 0; s < N_SITES; s++) {
        const struct tensor *w = &model->layers[0].linear[s];
        values += (double)w->rows * (double)w->cols;
    }
    return values * model->n_layer;
}

/* Forward operations of `tokens` tokens behind `before` others, `scored` of them scored. */
static double forward(const struct model *model, double tokens, double before, double scored)
{
    double seen = before + tokens / 2;
    double attention = 4.0 * model->n_head * model->head_dim * model->n_layer * seen;
    double head = 2.0 * model->n_vocab * model->n_embd * scored;
    return tokens * (2 * projection_values(model) + attention) + head;
}

/* ---- Plain prompting, and training behind it ---------------------------------------------------
 */

static double tokens_of(const struct workload *w)
{
    return w->input_tokens + (w->answer_tokens > 1 ? w->answer_tokens - 1 : 0);
}

static struct cost plain_cost(const struct workload *w)
{
    double tokens = w->input_tokens + w->answer_tokens;
    struct cost cost = {.shared_tokens = w->instruction_tokens,
                        .request_tokens = tokens,
                        .stream_tokens = w->labels ? 0 : tokens};
    /* Labels: the head is asked at the forks of their names, about one for each answer. */
    double scored = w->labels ? 1 : w->answer_tokens;
    cost.request_operations = forward(w->model, tokens, w->instruction_tokens, scored);
    return cost;
}

/* Adds what a pass over one example takes to a cost whose prompt is settled. */
static void add_training(const struct setting *setting, const struct workload *w, struct cost *cost)
{
    double tokens = tokens_of(w), shared = 0;
    size_t examples = w->examples ? w->examples : 1;
    if (setting->technique->learning_rates)
        shared = trainer_tokens(setting, examples, tokens, cost->shared_tokens) /
                     ((double)examples * trainer_epochs(setting, examples)) -
                 tokens;
    double work = forward(w->model, tokens, cost->shared_tokens, w->answer_tokens) +
                  forward(w->model, shared, 0, 0);
    cost->training_tokens = tokens + shared;
    cost->training_operations = setting->technique->learning_rates ? 2 * work : work;
}

/* ---- Memory -----------------------------------------------------------------------------------
 */

/* Bytes of a batch of requests in one layer, whose memory the next one reuses. */
static double scoring_bytes(const struct workload *w)
{
    const struct layer *layer = &w->model->layers[0];
    double queries = layer->linear[SITE_Q].rows, keys = layer->linear[SITE_K].rows;
    double hidden = layer->linear[SITE_GATE].rows, width = w->model->n_embd;
    double rows = fmax(SCORING_ROWS, w->input_tokens + w->answer_tokens);
    double portion = 0; /* of a packed weight */
    for (int s = 0; s < N_SITES && w->form == WEIGHTS_PACKED; s++)
        portion = fmax(portion, fmin(layer->linear[s].rows, WEIGHT_TILE) * layer->linear[s].cols);
    return (double)sizeof(real) *
           (rows * (4 * width + 3 * queries + 3 * keys + 3 * hidden) + portion);
}

static double cache_bytes(const struct model *model, double tokens)
{
    return 2.0 * sizeof(real) * model->n_layer * model->n_head_kv * model->head_dim * tokens;
}

/* ---- The whole --------------------------------------------------------------------------------
 */

/* Training, as the technique predicted it, and answering do not overlap. */
static void add_memory(const struct setting *setting, const struct workload *w,
                       const struct site_facts *site, struct estimate *e)
{
    double weights = (double)w->model->n_parameters * site->weight_bits / 8;
    double trained = (double)e->cost.trainable_parameters;
    bool all = trained >= (double)w->model->n_parameters;
    double streams = e->cost.stream_tokens;
    double decoding = streams > 0 ? generate_bytes(w->model, streams) : 0;
    double answering = cache_bytes(w->model, e->cost.shared_tokens) +
                       site->threads * (scoring_bytes(w) + decoding) +
                       trained * (double)sizeof(real);
    double own = fmax((double)e->cost.memory_bytes, answering);
    e->cost.memory_bytes = (size_t)own;
    e->memory_bytes = weights + own;
    e->memory_least =
        (all ? 0 : weights) + (setting->technique->learning_rates ? TRAINED_BYTES * trained : 0);
}

static void add_seconds(const struct site_facts *site, struct estimate *e)
{
    if (!site->throughput.known)
        return;
    e->training_seconds = measured(e->training_operations / site->throughput.value);
    e->request_seconds = measured(e->cost.request_operations / site->throughput.value);
}

/* A longer prompt is seen by every token of a request and of an example. */
static void lengthen(const struct setting *setting, const struct workload *workload,
                     const struct cost *before, struct cost *cost)
{
    struct workload behind = *workload;
    behind.instruction_tokens = cost->shared_tokens;
    cost->request_operations *= plain_cost(&behind).request_operations / before->request_operations;
    if (!technique_learns(setting->technique))
        return;
    double factor = cost->training_operations / before->training_operations;
    add_training(setting, &behind, cost);
    cost->training_operations *= factor;
}

static struct cost predict(const struct setting *setting, const struct workload *workload)
{
    const struct technique *technique = setting->technique;
    struct cost cost = {0};
    if (technique->needs & NEEDS_MODEL)
        cost = plain_cost(workload);
    if (technique->needs & NEEDS_MODEL && technique_learns(technique))
        add_training(setting, workload, &cost);
    struct cost before = cost;
    if (technique->predict)
        technique->predict(setting, workload, &cost);
    if (cost.shared_tokens > before.shared_tokens)
        lengthen(setting, workload, &before, &cost);
    return cost;
}

struct estimate estimate_cost(const struct setting *setting, const struct workload *workload,
                              const struct site_facts *site)
{
    const struct technique *technique = setting->technique;
    struct workload here = *workload;
    here.threads = site->threads;
    if (technique->learning_rates)
        here.instruction_tokens -= here.list_tokens;
    struct estimate e = {.cost = predict(setting, &here)};
    double examples = (double)workload->examples;
    if (technique_learns(technique))
        e.epochs = technique->learning_rates ? trainer_epochs(setting, workload->examples) : 1;
    e.training_operations = e.epochs * examples * e.cost.training_operations;
    e.training_tokens = e.epochs * examples * e.cost.training_tokens;
    if (technique->needs & NEEDS_MODEL)
        add_memory(setting, workload, site, &e);
    add_seconds(site, &e);
    return e;
}

double estimate_lifetime(const struct estimate *estimate, double requests)
{
    return 3 * estimate->training_tokens + requests * estimate->cost.request_tokens;
}
