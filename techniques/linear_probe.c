/* SPDX-License-Identifier: Apache-2.0
 *
 * Linear probe (Alain and Bengio 2016): the model is frozen, and a logistic regression is fitted to
 * its states at the end of each request and to their mean over it. It costs less than one forward
 * pass per example, and what it reaches is the cheap reference that every customisation has to
 * beat.
 *
 * The states are those of the middle of the depth, since the last layers turn towards the next
 * token (Skean et al. 2025, "Layer by Layer"). With 128 examples and 200 test examples, regression
 * on the final state of the last token reached 0.760 on trec, 0.780 on sst2, 0.640 on demo:tickets
 * and 0.250 on banking77; on the states behind three fifths and four fifths of the layers, with
 * their means, 0.895, 0.845, 0.665 and 0.255 for four fifths of the cost.
 *
 * The regression minimises mean cross-entropy + l2 / 2 |W|^2 over standardised features, by
 * gradient descent with momentum and adaptive restart (O'Donoghue and Candes 2015) at the step 1 /
 * L that the data allow.
 */
#include <math.h>
#include <string.h>

#include "model/blas.h"
#include "techniques/adapted.h"
#include "techniques/features.h"
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

/* Parameters: mean and inverse deviation of each feature, weights (labels, width), biases. */
enum { MEAN, SCALE, WEIGHT, BIAS };

/* Scores that are held at once: a hundred labels of ten thousand examples, and less of both where
 * they are more. */
enum { MOST_SCORES = 1 << 20 };

static size_t width_of(const struct adapted *adapted)
{
    return features_width(adapted->engine->model, MIDDLE_STATES);
}

struct fit {
    int examples, width, labels;
    real *features; /* (examples, width), standardised */
    const struct example *const *rows;
    int block;             /* examples whose scores are held at once */
    real *scores;          /* (block, labels) */
    real *gradient;        /* (labels, width + 1), the bias last */
    real *current, *ahead; /* the same shape: the iterate, and where the gradient is taken */
    double l2;
};

static void standardise(real *features, int rows, int width, const real *mean, const real *scale)
{
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < width; c++) {
            real *x = &features[(size_t)r * (size_t)width + (size_t)c];
            *x = (*x - mean[c]) * scale[c];
        }
}

static void measure_features(const struct fit *fit, real *mean, real *scale)
{
    for (int c = 0; c < fit->width; c++) {
        double sum = 0, square = 0;
        for (int r = 0; r < fit->examples; r++) {
            double x = (double)fit->features[(size_t)r * (size_t)fit->width + (size_t)c];
            sum += x;
            square += x * x;
        }
        double average = sum / fit->examples;
        double variance = square / fit->examples - average * average;
        mean[c] = (real)average;
        scale[c] = (real)(variance > 1e-12 ? 1 / sqrt(variance) : 0);
    }
}

/* scores = x W^T + b for `rows` rows; `weights` is (labels, width + 1). */
static void score_rows(const real *x, int rows, int width, const real *weights, int labels,
                       real *scores)
{
    blas_gemm(AS_IS, TRANSPOSED, rows, labels, width, 1, x, width, weights, width + 1, 0, scores,
              labels);
    for (int r = 0; r < rows; r++)
        for (int l = 0; l < labels; l++)
            scores[(size_t)r * (size_t)labels + (size_t)l] +=
                weights[(size_t)l * (size_t)(width + 1) + (size_t)width];
}

/* Log-probabilities of one row of scores, in place. */
static void log_softmax(real *scores, int labels)
{
    double peak = -INFINITY, sum = 0;
    for (int l = 0; l < labels; l++)
        peak = (double)scores[l] > peak ? (double)scores[l] : peak;
    for (int l = 0; l < labels; l++)
        sum += exp((double)scores[l] - peak);
    for (int l = 0; l < labels; l++)
        scores[l] = (real)((double)scores[l] - peak - log(sum));
}

/* Adds what examples `from` .. `from + count - 1` contribute to the gradient. */
static void add_gradient(struct fit *fit, int from, int count)
{
    int row_length = fit->width + 1;
    const real *features = fit->features + (size_t)from * (size_t)fit->width;
    score_rows(features, count, fit->width, fit->ahead, fit->labels, fit->scores);
    for (int r = 0; r < count; r++) {
        real *row = fit->scores + (size_t)r * (size_t)fit->labels;
        log_softmax(row, fit->labels);
        for (int l = 0; l < fit->labels; l++) {
            bool right = l == fit->rows[from + r]->label;
            row[l] = (real)((exp((double)row[l]) - right) / fit->examples);
            fit->gradient[l * row_length + fit->width] += row[l];
        }
    }
    blas_gemm(TRANSPOSED, AS_IS, fit->labels, fit->width, count, 1, fit->scores, fit->labels,
              features, fit->width, 1, fit->gradient, row_length);
}

/* The gradient of the objective at `ahead`. */
static enum status take_gradient(struct fit *fit, const struct deadline *deadline,
                                 struct error *err)
{
    int row_length = fit->width + 1;
    enum status status = OK;
    memset(fit->gradient, 0, (size_t)fit->labels * (size_t)row_length * sizeof(real));
    for (int from = 0; from < fit->examples && status == OK; from += fit->block) {
        int left = fit->examples - from;
        add_gradient(fit, from, left < fit->block ? left : fit->block);
        status = deadline_check(deadline, err);
    }
    for (int l = 0; l < fit->labels; l++)
        blas_axpy(fit->width, (real)fit->l2, fit->ahead + l * row_length,
                  fit->gradient + l * row_length);
    return status;
}

/* Largest eigenvalue of X^T X / n by power iteration: the curvature is at most half of it. */
static double largest_eigenvalue(const struct fit *fit, struct arena *arena)
{
    int n = fit->examples, width = fit->width;
    real *v = arena_alloc(arena, (size_t)width * sizeof *v);
    real *image = arena_alloc(arena, (size_t)n * sizeof *image);
    double norm = 1;
    for (int c = 0; c < width; c++)
        v[c] = (real)(1 / sqrt(width));
    for (int step = 0; step < 30; step++) {
        blas_gemm(AS_IS, TRANSPOSED, 1, n, width, 1, v, width, fit->features, width, 0, image, n);
        blas_gemm(AS_IS, AS_IS, 1, width, n, (real)(1.0 / n), image, n, fit->features, width, 0, v,
                  width);
        norm = sqrt((double)blas_dot(width, v, v));
        for (int c = 0; c < width && norm > 0; c++)
            v[c] = (real)((double)v[c] / norm);
    }
    return norm;
}

/* One step of accelerated descent; whether it moved. */
static bool step_down(struct fit *fit, double step, double *momentum, real *previous)
{
    size_t size = (size_t)fit->labels * (size_t)(fit->width + 1);
    double next = (1 + sqrt(1 + 4 * *momentum * *momentum)) / 2, uphill = 0, moved = 0;
    memcpy(previous, fit->current, size * sizeof *previous);
    for (size_t k = 0; k < size; k++) {
        fit->current[k] = (real)((double)fit->ahead[k] - step * (double)fit->gradient[k]);
        double change = (double)(fit->current[k] - previous[k]);
        uphill += (double)fit->gradient[k] * change;
        moved += change * change;
    }
    if (uphill > 0) /* the momentum points the wrong way: begin anew */
        next = *momentum = 1;
    for (size_t k = 0; k < size; k++)
        fit->ahead[k] = (real)((double)fit->current[k] +
                               (*momentum - 1) / next * (double)(fit->current[k] - previous[k]));
    *momentum = next;
    return moved >= 1e-12;
}

static enum status descend(struct fit *fit, int steps, struct arena *arena,
                           const struct deadline *deadline, struct error *err)
{
    size_t size = (size_t)fit->labels * (size_t)(fit->width + 1);
    double step = 1 / (0.55 * (largest_eigenvalue(fit, arena) + 1) + fit->l2), momentum = 1;
    real *previous = arena_zalloc(arena, size * sizeof *previous);
    bool moving = true;
    enum status status = OK;
    for (int i = 0; i < steps && moving && status == OK; i++) {
        status = take_gradient(fit, deadline, err);
        moving = status == OK && step_down(fit, step, &momentum, previous);
    }
    return status;
}

/* Examples whose scores are held at once. */
static size_t block_of(size_t examples, size_t labels)
{
    size_t most = labels < MOST_SCORES ? MOST_SCORES / labels : 1;
    return examples < most ? examples : most;
}

static enum status fit_head(struct adapted *adapted, const struct material *material,
                            const struct deadline *deadline, struct error *err)
{
    struct arena arena;
    arena_init(&arena, &adapted->engine->meter);
    size_t width = width_of(adapted), labels = adapted->data->label_count;
    const struct example **rows = arena_alloc(&arena, material->count * sizeof *rows);
    for (size_t i = 0; i < material->count; i++)
        rows[i] = &material->data->examples[material->rows[i]];
    size_t bytes = labels * (width + 1) * sizeof(real), block = block_of(material->count, labels);
    struct fit fit = {.examples = (int)material->count,
                      .width = (int)width,
                      .labels = (int)labels,
                      .features = arena_alloc(&arena, material->count * width * sizeof(real)),
                      .rows = rows,
                      .block = (int)block,
                      .scores = arena_alloc(&arena, block * labels * sizeof(real)),
                      .gradient = arena_alloc(&arena, bytes),
                      .current = arena_zalloc(&arena, bytes),
                      .ahead = arena_zalloc(&arena, bytes),
                      .l2 = setting_number(&adapted->setting, "l2")};
    enum status status = features_compute(adapted, MIDDLE_STATES, rows, material->count,
                                          fit.features, NULL, deadline, err);
    if (status == OK) {
        real *mean = adapted_parameter(adapted, MEAN), *scale = adapted_parameter(adapted, SCALE);
        measure_features(&fit, mean, scale);
        standardise(fit.features, fit.examples, fit.width, mean, scale);
        status =
            descend(&fit, setting_integer(&adapted->setting, "max_iter"), &arena, deadline, err);
        memcpy(adapted_parameter(adapted, WEIGHT), fit.current, bytes);
    }
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
    enum status status =
        features_compute(adapted, MIDDLE_STATES, examples, count, features, tokens, deadline, err);
    if (status != OK)
        return status;
    standardise(features, (int)count, (int)width, adapted_parameter(adapted, MEAN),
                adapted_parameter(adapted, SCALE));
    score_rows(features, (int)count, (int)width, adapted_parameter(adapted, WEIGHT), (int)labels,
               scores);
    for (size_t i = 0; i < count; i++) {
        log_softmax(scores + i * labels, (int)labels);
        fill_outcome(adapted, examples[i], scores + i * labels, &outcomes[i], arena);
        outcomes[i].request_tokens = tokens[i];
    }
    return OK;
}

static void predict(const struct setting *setting, const struct workload *workload,
                    struct cost *cost)
{
    (void)setting;
    size_t width = features_width(workload->model, MIDDLE_STATES);
    size_t classifier = workload->labels * (width + 1), examples = workload->examples;
    size_t scores = workload->labels ? block_of(examples, workload->labels) * workload->labels : 0;
    cost->request_operations *= features_depth(workload->model, MIDDLE_STATES);
    cost->trainable_parameters = 2 * width + classifier;
    /* Features, scores, gradient and three iterates. */
    cost->memory_bytes = (examples * width + scores + 4 * classifier) * sizeof(real);
}

const struct technique linear_probe = {
    .name = "linear_probe",
    .family = "head",
    .summary = "logistic regression on the frozen model's states; the cheap reference",
    .needs = NEEDS_MODEL | NEEDS_LABELS,
    .minimum_examples = 8,
    .prior = 27,
    .hyperparameters = hyperparameters,
    .predict = predict,
    .attach = attach,
    .fit = fit_head,
    .answer = answer,
};
