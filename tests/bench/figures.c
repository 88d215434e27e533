/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/figures.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "advisor/cost.h"
#include "advisor/outlook.h"
#include "evaluators/forecast.h"
#include "tests/bench/replay.h"

enum { MOST_SIZES = 16 };

/* ---- Samples --------------------------------------------------------------------------------- */

void sample_add(struct sample *sample, double value)
{
    sample->values = memory_realloc(sample->values, (sample->count + 1) * sizeof value);
    sample->values[sample->count++] = value;
}

double sample_mean(const struct sample *sample)
{
    return moments_of(sample->values, sample->count).mean;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double sample_quantile(const struct sample *sample, double share)
{
    if (!sample->count)
        return NAN;
    double *sorted = memory_alloc(sample->count * sizeof *sorted);
    memcpy(sorted, sample->values, sample->count * sizeof *sorted);
    qsort(sorted, sample->count, sizeof *sorted, ascending);
    double rank = ceil(share * (double)sample->count - 1e-9);
    double value = sorted[rank < 1 ? 0 : (size_t)rank - 1];
    free(sorted);
    return value;
}

/* ---- Intervals ------------------------------------------------------------------------------- */

static bool counts(const struct recorded *row)
{
    return row->usual && !*row->failure;
}

void figures_intervals(const struct record *record, struct sample *held)
{
    for (size_t i = 0; i < record->count; i++) {
        const struct recorded *row = &record->rows[i];
        if (counts(row))
            sample_add(held, interval_holds(share_of_right(row->dev_right, row->dev), row->dev,
                                            share_of_right(row->test_right, row->test), row->test));
    }
}

/* ---- Forecasts ------------------------------------------------------------------------------- */

/* The best trials of one technique on one task, ascending in size. */
struct path {
    const struct recorded *rows[MOST_SIZES];
    size_t count;
};

static struct path path_of(const struct record *record, const struct recorded *like)
{
    struct path path = {.count = 0};
    for (size_t i = 0; i < record->count; i++) {
        const struct recorded *row = &record->rows[i];
        size_t at = 0;
        if (!counts(row) || row->technique != like->technique || strcmp(row->task, like->task) != 0)
            continue;
        while (at < path.count && path.rows[at]->examples < row->examples)
            at++;
        if (at < path.count && path.rows[at]->examples <= row->examples) {
            if (share_of_right(row->dev_right, row->dev) >
                share_of_right(path.rows[at]->dev_right, path.rows[at]->dev))
                path.rows[at] = row;
        } else if (path.count < MOST_SIZES) {
            memmove(path.rows + at + 1, path.rows + at,
                    (path.count - at) * sizeof(struct recorded *));
            path.rows[at] = row;
            path.count++;
        }
    }
    return path;
}

/* Of the development answers. */
static double answer_variance(const struct recorded *row)
{
    double right = share_of_right(row->dev_right, row->dev);
    return interval_variance(
        wilson_interval((int64_t)llround(right * row->dev), (int64_t)row->dev, 0.95));
}

static struct curve_point point_of(const struct recorded *row)
{
    return (struct curve_point){row->examples, 1 - share_of_right(row->dev_right, row->dev),
                                outlook_point_variance(answer_variance(row), row->examples)};
}

/* The curve through the first `known` sizes against one beyond. */
static enum status forecast(const struct path *path, size_t known, const struct recorded *later,
                            struct sample *held, struct error *err)
{
    struct curve_point points[MOST_SIZES];
    struct curve curve;
    struct forecast f;
    for (size_t i = 0; i < known; i++)
        points[i] = point_of(path->rows[i]);
    enum status status = curve_fit(points, known, 1, &curve, err);
    double right = share_of_right(later->test_right, later->test);
    double variance =
        right * (1 - right) / later->test +
        outlook_forecast_variance(answer_variance(path->rows[known - 1]), later->examples);
    if (status == OK && curve_at(&curve, later->examples, variance, &f))
        sample_add(held, 1 - right >= f.low && 1 - right <= f.high);
    return status;
}

enum status figures_forecasts(const struct record *record, struct sample *held, struct error *err)
{
    enum status status = OK;
    for (size_t i = 0; i < record->count; i++) {
        const struct recorded *row = &record->rows[i];
        if (!counts(row) || !technique_learns(row->technique))
            continue;
        struct path path = path_of(record, row);
        if (path.rows[0] != row) /* once for each technique and task */
            continue;
        for (size_t known = CURVE_LEAST_SIZES; known < path.count; known++)
            for (size_t later = known; later < path.count && status == OK; later++)
                status = forecast(&path, known, path.rows[later], held, err);
    }
    return status;
}

/* ---- Memory ---------------------------------------------------------------------------------- */

void figures_memory(const struct record *record, const struct model *model, struct sample *errors)
{
    const struct site_facts site = {.threads = 1, .weight_bits = 8 * sizeof(real)};
    for (size_t i = 0; i < record->count; i++) {
        const struct recorded *row = &record->rows[i];
        if (!counts(row) || !row->technique->learning_rates || isnan(row->peak_bytes))
            continue;
        const struct task_numbers *t = record_task(record, row->task);
        const struct setting setting = setting_default(row->technique);
        const struct workload workload = {.model = model,
                                          .examples = (size_t)row->examples,
                                          .input_tokens =
                                              t->example_tokens - fmax(t->answer_tokens - 1, 0),
                                          .instruction_tokens = t->instruction_tokens,
                                          .list_tokens = t->list_tokens,
                                          .answer_tokens = t->answer_tokens,
                                          .rationale_tokens = t->rationale_tokens,
                                          .labels = (size_t)t->labels};
        double expected = estimate_cost(&setting, &workload, &site).memory_bytes;
        sample_add(errors, fabs(expected / row->peak_bytes - 1));
    }
}
