/* SPDX-License-Identifier: Apache-2.0
 *
 * advisor profile: what can be told about data and machine before anything is trained.
 */
#include "advisor/profile.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "advisor/command.h"
#include "advisor/facts.h"
#include "advisor/interrupt.h"
#include "advisor/output.h"
#include "advisor/progress.h"
#include "evaluators/evaluate.h"
#include "model/tokenizer.h"

static const double probe_seconds = 30; /* the probe gives up then */
static const double uneven = 0.85;      /* balance below which accuracy hides the small classes */

struct job {
    const struct options *options;
    struct progress progress;
    struct dataset data, test;
    struct model *model;
    struct engine *engine;
    struct whole_profile whole;
};

/* ---- Data -------------------------------------------------------------------------------------
 */

const struct metric *profile_metric(const struct dataset *data, const struct data_profile *profile,
                                    const char **reason)
{
    bool choice = data->task == TASK_CLASSIFICATION;
    if (choice && profile->majority > 0.5 && profile->balance < uneven) {
        *reason = "one class is more than half of the data, and accuracy would hide the others";
        return metric_find("macro_f1");
    }
    if (choice && profile->balance < uneven) {
        *reason = "the classes are uneven, and accuracy would hide the small ones";
        return metric_find("macro_f1");
    }
    *reason = choice ? "the classes are even enough" : "it is the usual one for this task";
    return metric_for_task(data->task);
}

static enum status load_data(struct job *job, struct error *err)
{
    const struct options *options = job->options;
    enum status status = dataset_load(options->operands[0], &options->reading, &job->data, err);
    if (status != OK || !options->test_path)
        return status;
    struct dataset_options reading = options->reading;
    reading.like = &job->data;
    return dataset_load(options->test_path, &reading, &job->test, err);
}

static struct lengths divided(struct lengths lengths, double by, double more)
{
    return (struct lengths){ceil(lengths.mean / by) + more, ceil(lengths.p50 / by) + more,
                            ceil(lengths.p95 / by) + more, ceil(lengths.max / by) + more};
}

static void guess_tokens(struct whole_profile *whole)
{
    whole->input_tokens = divided(whole->profile.input_bytes, BYTES_PER_TOKEN, 0);
    whole->answer_tokens = divided(whole->profile.target_bytes, BYTES_PER_TOKEN, 0);
}

/* ---- The model --------------------------------------------------------------------------------
 */

static enum status count(const struct model *model, const char *text, struct tokens *ids,
                         double *tokens, struct error *err)
{
    tokens_clear(ids);
    enum status status = tokenizer_encode(model->tokenizer, text, strlen(text), ids, NULL, err);
    *tokens = (double)ids->count;
    return status;
}

static enum status count_tokens(struct job *job, struct error *err)
{
    const struct dataset *data = &job->data;
    struct whole_profile *whole = &job->whole;
    double *inputs = memory_alloc((data->count + 1) * sizeof *inputs);
    double *answers = memory_alloc((data->count + 1) * sizeof *answers);
    struct tokens ids = {0};
    enum status status = OK;
    for (size_t i = 0; i < data->count && status == OK; i++) {
        status = count(job->model, data->examples[i].input, &ids, &inputs[i], err);
        if (status == OK)
            status = count(job->model, data->examples[i].target, &ids, &answers[i], err);
        whole->too_long += inputs[i] + answers[i] > job->model->n_context;
    }
    if (status == OK) {
        whole->counted = true;
        whole->input_tokens = lengths_of(inputs, data->count);
        whole->answer_tokens = lengths_of(answers, data->count);
    }
    tokens_release(&ids);
    free(answers);
    free(inputs);
    return status;
}

static enum status use_model(struct job *job, struct error *err)
{
    const struct options *options = job->options;
    struct deadline deadline = {.signal = interrupt_flag()};
    enum status status = options_check_model(options, err);
    if (status == OK)
        status =
            model_load_as(&job->model, options->model, WEIGHTS_EXPANDED, options->threads, err);
    if (status == OK)
        status = count_tokens(job, err);
    if (status != OK)
        return status;
    job->whole.model = job->model;
    job->engine = engine_create(job->model, options->threads);
    progress_update(&job->progress, "profile", "measuring the model's speed", 0, 0, 0, 0);
    deadline.at = clock_seconds() + probe_seconds;
    return machine_probe(job->engine, &job->data, &deadline, job->whole.speeds, err);
}

/* ---- The command ------------------------------------------------------------------------------
 */

static enum status run(struct job *job, struct error *err)
{
    struct whole_profile *whole = &job->whole;
    enum status status = load_data(job, err);
    if (status != OK)
        return status;
    whole->data = &job->data;
    whole->test = job->options->test_path ? &job->test : NULL;
    data_profile_make(&job->data, whole->test, job->options->seed, 0, &whole->profile);
    whole->metric = profile_metric(&job->data, &whole->profile, &whole->metric_reason);
    whole->machine = machine_describe(job->options->threads);
    guess_tokens(whole);
    return job->options->model_given ? use_model(job, err) : OK;
}

static enum status write(const struct job *job, bool json, struct error *err)
{
    struct text out = {0};
    if (json)
        profile_json(&job->whole, &out);
    else
        profile_text(&job->whole, output_style(job->options), &out);
    enum status status = output_write(job->options, &out, err);
    text_release(&out);
    return status;
}

enum status profile_run(const struct options *options, struct error *err)
{
    struct job job = {.options = options};
    bool json;
    enum status status = output_text_or_json(options, &json, err);
    if (status != OK)
        return status;
    interrupt_install();
    progress_open(&job.progress, options);
    status = run(&job, err);
    progress_clear(&job.progress);
    if (status == OK)
        status = write(&job, json, err);
    data_profile_release(&job.whole.profile);
    engine_free(job.engine);
    model_free(job.model);
    dataset_release(&job.test);
    dataset_release(&job.data);
    return status;
}
