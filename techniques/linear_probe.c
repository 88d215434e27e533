/* SPDX-License-Identifier: Apache-2.0
 *
 * Linear probe (Alain and Bengio 2016): the model is frozen, and a logistic regression is fitted to
 * what it makes of each request. It costs one forward pass per example, and what it reaches is the
 * cheap reference that every customisation has to beat.
 *
 * The last layers turn towards the next token, and what a text is about may stand clearer in the
 * middle of the depth (Skean et al. 2025, "Layer by Layer"); but where the prompt lists many
 * labels, the final state knows of them. Cross-validation on the training examples decides which of
 * both is used, or both. With 128 examples, accuracy on 300 test examples: final state alone 0.827
 * on trec, 0.780 on sst2, 0.327 on banking77; middle states 0.897, 0.807, 0.247.
 */
#include <math.h>
#include <string.h>

#include "techniques/adapted.h"
#include "techniques/features.h"
#include "techniques/logistic.h"
#include "techniques/registry.h"

static const struct hyperparameter hyperparameters[] = {
    {.name = "l2",
     .summary = "weight of the squared norm of the classifier",
     .kind = VALUE_REAL,
     .low = 0,
     .high = 1e3,
     .fallback = "0.1",
     .search = "0.01,1"},
    {.name = "max_iter",
     .summary = "steps of the fit, at most",
     .kind = VALUE_INTEGER,
     .low = 1,
     .high = 100000,
     .fallback = "300"},
    {0}};

/* Parameters: mean and inverse deviation of each feature, 0 for one that is not used; weights
 * (labels, width), biases. */
enum { MEAN, SCALE, WEIGHT };

/* Parts of the features that a regression is tried on: the final state, those of the middle, all.
 */
static const struct columns {
    int first, count; /* in units of n_embd */
} candidates[] = {{0, 1}, {1, FEATURE_PARTS - 1}, {0, FEATURE_PARTS}};

enum {
    CANDIDATES = sizeof candidates / sizeof *candidates,
    FOLDS = 4,
    MOST_TRIED = 256 /* examples of the cross-validation */
};

static size_t width_of(const struct adapted *adapted)
{
    return features_width(adapted->engine->model, ALL_STATES);
}

static void standardise(real *features, int rows, int width, const real *mean, const real *scale)
{
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < width; c++) {
            real *x = &features[(size_t)r * (size_t)width + (size_t)c];
            *x = (*x - mean[c]) * scale[c];
        }
}

static void measure_features(const struct logistic *p, real *mean, real *scale)
{
    for (int c = 0; c < p->stride; c++) {
        double sum = 0, square = 0;
        for (int r = 0; r < p->examples; r++) {
            double x = (double)p->features[(size_t)r * (size_t)p->stride + (size_t)c];
            sum += x;
            square += x * x;
        }
        double average = sum / p->examples;
        double variance = square / p->examples - average * average;
        mean[c] = (real)average;
        scale[c] = (real)(variance > 1e-12 ? 1 / sqrt(variance) : 0);
    }
}

/* Adds the negative log-likelihood of the examples that were left out. */
static enum status try_fold(const struct logistic *p, struct arena *arena,
                            const struct deadline *deadline, double *nll, struct error *err)
{
    struct arena_mark mark = arena_mark(arena);
    size_t labels = (size_t)p->labels;
    int out = p->out_end - p->out_from;
    real *weights = arena_alloc(arena, labels * (size_t)(p->width + 1) * sizeof *weights);
    real *scores = arena_alloc(arena, (size_t)out * labels * sizeof *scores);
    enum status status = logistic_fit(p, weights, arena, deadline, err);
    const real *x = p->features + (size_t)p->out_from * (size_t)p->stride + p->first;
    logistic_apply(p, x, out, weights, scores);
    for (int i = 0; i < out; i++)
        *nll -= (double)scores[(size_t)i * labels + (size_t)p->targets[p->out_from + i]];
    arena_rewind(arena, mark);
    return status;
}

/* Has the problem use the columns that predict best what they were not fitted to. */
static enum status choose_columns(struct logistic *problem, int n_embd, struct arena *arena,
                                  const struct deadline *deadline, struct error *err)
{
    enum status status = OK;
    double least = INFINITY;
    struct logistic p = *problem;
    p.examples = p.examples < MOST_TRIED ? p.examples : MOST_TRIED;
    for (int c = 0; c < CANDIDATES && status == OK; c++) {
        double nll = 0;
        p.first = candidates[c].first * n_embd;
        p.width = candidates[c].count * n_embd;
        for (int fold = 0; fold < FOLDS && status == OK; fold++) {
            p.out_from = p.examples * fold / FOLDS;
            p.out_end = p.examples * (fold + 1) / FOLDS;
            status = try_fold(&p, arena, deadline, &nll, err);
        }
        if (!(nll < least))
            continue;
        least = nll;
        problem->first = p.first;
        problem->width = p.width;
    }
    return status;
}

/* Spreads the weights of the columns in use over all columns. */
static void keep(struct adapted *adapted, const struct logistic *p, const real *weights)
{
    real *all = adapted_parameter(adapted, WEIGHT), *scale = adapted_parameter(adapted, SCALE);
    for (int c = 0; c < p->stride; c++)
        if (c < p->first || c >= p->first + p->width)
            scale[c] = 0;
    memset(all, 0, (size_t)p->labels * (size_t)(p->stride + 1) * sizeof *all);
    for (int l = 0; l < p->labels; l++) {
        real *to = all + (size_t)l * (size_t)(p->stride + 1);
        const real *from = weights + (size_t)l * (size_t)(p->width + 1);
        memcpy(to + p->first, from, (size_t)p->width * sizeof *to);
        to[p->stride] = from[p->width];
    }
}

static enum status fit_columns(struct adapted *adapted, struct logistic *p, real *features,
                               struct arena *arena, const struct deadline *deadline,
                               struct error *err)
{
    real *mean = adapted_parameter(adapted, MEAN), *scale = adapted_parameter(adapted, SCALE);
    measure_features(p, mean, scale);
    standardise(features, p->examples, p->stride, mean, scale);
    enum status status = choose_columns(p, adapted->engine->model->n_embd, arena, deadline, err);
    size_t size = (size_t)p->labels * (size_t)(p->width + 1);
    real *weights = arena_alloc(arena, size * sizeof *weights);
    if (status == OK)
        status = logistic_fit(p, weights, arena, deadline, err);
    if (status == OK)
        keep(adapted, p, weights);
    return status;
}

static enum status fit_head(struct adapted *adapted, const struct material *material,
                            const struct deadline *deadline, struct error *err)
{
    struct arena arena;
    arena_init(&arena, &adapted->engine->meter);
    size_t width = width_of(adapted), count = material->count;
    const struct example **rows = arena_alloc(&arena, count * sizeof *rows);
    int *targets = arena_alloc(&arena, count * sizeof *targets);
    real *features = arena_alloc(&arena, count * width * sizeof *features);
    for (size_t i = 0; i < count; i++) {
        rows[i] = &material->data->examples[material->rows[i]];
        targets[i] = rows[i]->label;
    }
    struct logistic p = {.features = features,
                         .targets = targets,
                         .examples = (int)count,
                         .stride = (int)width,
                         .labels = (int)adapted->data->label_count,
                         .l2 = setting_number(&adapted->setting, "l2"),
                         .steps = setting_integer(&adapted->setting, "max_iter")};
    enum status status =
        features_compute(adapted, ALL_STATES, rows, count, features, NULL, deadline, err);
    if (status == OK)
        status = fit_columns(adapted, &p, features, &arena, deadline, err);
    arena_release(&arena);
    return status;
}

static enum status attach(struct adapted *adapted, const struct material *material,
                          struct error *err)
{
    (void)material;
    (void)err;
    int width = (int)width_of(adapted), labels = (int)adapted->data->label_count;
    adapted_declare(adapted, 1, width, "features.mean");
    adapted_declare(adapted, 1, width, "features.scale");
    adapted_declare(adapted, labels, width + 1, "classifier");
    adapted_allocate(adapted);
    return OK;
}

static void fill_outcome(const struct adapted *adapted, const struct example *example,
                         const real *log_probabilities, struct outcome *outcome,
                         struct arena *arena)
{
    int labels = (int)adapted->data->label_count, best = 0;
    outcome->probabilities = arena_alloc(arena, (size_t)labels * sizeof(float));
    for (int l = 0; l < labels; l++) {
        if (log_probabilities[l] > log_probabilities[best])
            best = l;
        outcome->probabilities[l] = (float)exp((double)log_probabilities[l]);
    }
    outcome->label = best;
    outcome->scored = true;
    outcome->probability = exp((double)log_probabilities[best]);
    outcome->nll = example->label >= 0 ? -(double)log_probabilities[example->label] : 0;
}

static enum status answer(struct adapted *adapted, const struct example *const *examples,
                          size_t count, struct outcome *outcomes, struct arena *arena,
                          const struct deadline *deadline, struct error *err)
{
    size_t width = width_of(adapted), labels = adapted->data->label_count;
    real *features = arena_alloc(arena, count * width * sizeof *features);
    real *scores = arena_alloc(arena, count * labels * sizeof *scores);
    int *tokens = arena_alloc(arena, count * sizeof *tokens);
    const struct logistic p = {.stride = (int)width, .width = (int)width, .labels = (int)labels};
    enum status status =
        features_compute(adapted, ALL_STATES, examples, count, features, tokens, deadline, err);
    if (status != OK)
        return status;
    standardise(features, (int)count, (int)width, adapted_parameter(adapted, MEAN),
                adapted_parameter(adapted, SCALE));
    logistic_apply(&p, features, (int)count, adapted_parameter(adapted, WEIGHT), scores);
    for (size_t i = 0; i < count; i++) {
        fill_outcome(adapted, examples[i], scores + i * labels, &outcomes[i], arena);
        outcomes[i].request_tokens = tokens[i];
    }
    return OK;
}

/* What the regressions take: of the cross-validation, and of the last one on all features. Each
 * step multiplies features and weights twice. */
static double fit_operations(const struct setting *setting, const struct workload *workload)
{
    double tried = fmin((double)workload->examples, MOST_TRIED) * (FOLDS - 1), parts = 0;
    for (int c = 0; c < CANDIDATES; c++)
        parts += candidates[c].count;
    double step = 4.0 * workload->model->n_embd * (double)workload->labels;
    return setting_integer(setting, "max_iter") * step *
           (tried * parts + (double)workload->examples * FEATURE_PARTS);
}

static void predict(const struct setting *setting, const struct workload *workload,
                    struct cost *cost)
{
    size_t width = features_width(workload->model, ALL_STATES), examples = workload->examples;
    size_t classifier = workload->labels * (width + 1);
    cost->trainable_parameters = 2 * width + classifier;
    cost->fit_operations = fit_operations(setting, workload);
    /* Features, scores, gradient, three iterates and the result. */
    cost->memory_bytes =
        (examples * width + logistic_scores(examples, workload->labels) + 5 * classifier) *
        sizeof(real);
}

const struct technique linear_probe = {
    .name = "linear_probe",
    .family = "head",
    .summary = "logistic regression on the frozen model's states; the cheap reference",
    .needs = NEEDS_MODEL | NEEDS_LABELS,
    .minimum_examples = 8,
    .prior = 25,
    .hyperparameters = hyperparameters,
    .predict = predict,
    .attach = attach,
    .fit = fit_head,
    .answer = answer,
};
