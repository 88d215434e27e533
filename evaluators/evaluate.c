/* SPDX-License-Identifier: Apache-2.0 */
#include "evaluators/evaluate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "techniques/likelihood.h"

enum {
    LATENCY_REQUESTS = 5,
    INTERVAL_RESAMPLES = 2000,
    ANSWERS_AT_ONCE = 128 /* between two signs of progress; enough to keep all threads busy */
};

const struct metric *metric_for_task(enum task task)
{
    switch (task) {
    case TASK_CLASSIFICATION:
    case TASK_MULTIPLE_CHOICE:
        return metric_find("accuracy");
    case TASK_NUMERIC_ANSWER:
        return metric_find("numeric_match");
    case TASK_EXTRACTION:
        return metric_find("slot_f1");
    default:
        return metric_find("chrf");
    }
}

bool metric_suits_task(const struct metric *metric, enum task task)
{
    bool number = !strcmp(metric->name, "numeric_match");
    if (metric->input == INPUT_NLL)
        return true;
    switch (task) {
    case TASK_CLASSIFICATION:
    case TASK_MULTIPLE_CHOICE:
        return metric->input != INPUT_TEXT && metric->input != INPUT_JSON;
    case TASK_NUMERIC_ANSWER:
        return number || !strcmp(metric->name, "exact_match");
    case TASK_EXTRACTION:
        return metric->input == INPUT_JSON;
    default:
        return metric->input == INPUT_TEXT && !number;
    }
}

/* The trial under way. */
struct run {
    const struct evaluator *evaluator;
    struct adapted *adapted;
    const struct trial_hooks *hooks;
    const struct deadline *deadline;
    struct arena *arena;
    struct trial_outcome *outcome;
};

static enum status on_step(void *context, const struct training_step *step, size_t total,
                           struct error *err)
{
    const struct trial_hooks *hooks = context;
    enum status status = OK;
    if (hooks->step)
        status = hooks->step(hooks->context, step, err);
    if (status == OK && hooks->progress)
        status = hooks->progress(hooks->context, "training", step->step, total, err);
    return status;
}

/* Lets the technique learn in its own way, which counts as training without steps. */
static enum status fit(struct run *run, const struct material *material, struct error *err)
{
    double start = clock_seconds();
    enum status status = run->adapted->technique->fit(run->adapted, material, run->deadline, err);
    run->outcome->record.train_seconds = measured(clock_seconds() - start);
    return status;
}

static enum status train(struct run *run, const struct material *material, struct error *err)
{
    struct training_hooks hooks = {.context = (void *)run->hooks, .step = on_step};
    struct training_report *report = &run->outcome->training;
    enum status status =
        trainer_run(run->adapted, material, run->hooks ? &hooks : NULL, run->deadline, report, err);
    if (status != OK)
        return status;
    struct trial_record *record = &run->outcome->record;
    record->train_seconds = measured(report->seconds);
    record->tokens_per_second_train = measured((double)report->tokens / report->seconds);
    record->prequential_nll = measured(report->prequential_nll);
    return OK;
}

/* Learns what there is to learn and keeps it as bytes. */
static enum status learn(struct run *run, const struct material *material, struct error *err)
{
    struct trial_outcome *outcome = run->outcome;
    if (!run->adapted->parameters.count)
        return OK;
    enum status status =
        run->adapted->technique->fit ? fit(run, material, err) : train(run, material, err);
    if (status != OK)
        return status;
    adapted_save(run->adapted, run->arena, &outcome->artifact, &outcome->artifact_length);
    outcome->record.artifact_bytes = measured((double)outcome->artifact_length);
    return OK;
}

static const struct example **pick(const struct dataset *from, const size_t *rows, size_t count,
                                   struct arena *arena)
{
    const struct example **examples = arena_alloc(arena, (count + 1) * sizeof *examples);
    for (size_t i = 0; i < count; i++)
        examples[i] = &from->examples[rows[i]];
    return examples;
}

static void fill_predictions(const struct dataset *data, const struct dataset *from,
                             const size_t *rows, size_t count, const struct outcome *outcomes,
                             struct prediction *predictions)
{
    for (size_t i = 0; i < count; i++) {
        const struct outcome *o = &outcomes[i];
        const struct example *example = &from->examples[rows[i]];
        predictions[i] = (struct prediction){.example = (int64_t)rows[i],
                                             .truth = example->label,
                                             .label = o->label,
                                             .scored = o->scored,
                                             .probability = o->probability,
                                             .nll = o->nll,
                                             .text = o->text         ? o->text
                                                     : o->label >= 0 ? data->labels[o->label].name
                                                                     : "",
                                             .target = example->target,
                                             .probabilities = o->probabilities};
    }
}

/* Answers in portions, which are the same with any number of threads. */
static enum status answer_all(const struct run *run, const struct example *const *examples,
                              size_t count, struct outcome *outcomes, struct error *err)
{
    const struct trial_hooks *hooks = run->hooks;
    enum status status = OK;
    for (size_t at = 0; at < count && status == OK; at += ANSWERS_AT_ONCE) {
        size_t n = count - at < ANSWERS_AT_ONCE ? count - at : ANSWERS_AT_ONCE;
        if (hooks && hooks->progress)
            status = hooks->progress(hooks->context, "scoring", at, count, err);
        if (status == OK)
            status = adapted_answer(run->adapted, examples + at, n, outcomes + at, run->arena,
                                    run->deadline, err);
    }
    return status;
}

/* Answers one side (examples `rows` of `from`) and measures it. */
static enum status answer_side(const struct run *run, const struct dataset *from,
                               const size_t *rows, size_t count, struct outcome **outcomes,
                               struct prediction **predictions, struct metric_value *value,
                               struct error *err)
{
    const struct evaluator *e = run->evaluator;
    const struct example **examples = pick(from, rows, count, run->arena);
    *outcomes = arena_zalloc(run->arena, count * sizeof **outcomes);
    *predictions = arena_alloc(run->arena, count * sizeof **predictions);
    enum status status = answer_all(run, examples, count, *outcomes, err);
    if (status != OK)
        return status;
    fill_predictions(e->data, from, rows, count, *outcomes, *predictions);
    predictions_judge(e->metric, *predictions, count);
    struct bootstrap options = {
        .resamples = INTERVAL_RESAMPLES, .seed = e->seed, .confidence = 0.95};
    return metric_measure(e->metric, *predictions, count, e->data->label_count, options, value,
                          err);
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Examples to answer: rows of a dataset. */
struct examples {
    const struct dataset *from;
    const size_t *rows;
    size_t count;
};

/* Median time of single requests behind the warm prefix, as a server would see them. */
static enum status measure_latency(const struct run *run, struct examples side, struct error *err)
{
    size_t n = side.count < LATENCY_REQUESTS ? side.count : LATENCY_REQUESTS;
    double seconds[LATENCY_REQUESTS];
    const struct example **examples = pick(side.from, side.rows, n, run->arena);
    enum status status = OK;
    for (size_t i = 0; i < n && status == OK; i++) {
        struct outcome outcome;
        double start = clock_seconds();
        status =
            adapted_answer(run->adapted, &examples[i], 1, &outcome, run->arena, run->deadline, err);
        seconds[i] = clock_seconds() - start;
    }
    if (status != OK || !n)
        return status;
    qsort(seconds, n, sizeof *seconds, compare_doubles);
    run->outcome->record.latency_ms = measured(1e3 * seconds[n / 2]);
    return OK;
}

/* What the technique retrieves for each request, as when it answers it. */
static enum status put_in_front(const struct run *run, const struct example *const *examples,
                                struct sequence *sequences, size_t count, struct error *err)
{
    struct adapted *adapted = run->adapted;
    struct retrieved *found = arena_zalloc(run->arena, count * sizeof *found);
    struct sequence *requests = arena_alloc(run->arena, count * sizeof *requests);
    for (size_t i = 0; i < count; i++)
        requests[i] = (struct sequence){.ids = sequences[i].ids, .request = sequences[i].request};
    enum status status = adapted->technique->retrieve(adapted, examples, requests, count, found,
                                                      run->arena, run->deadline, err);
    for (size_t i = 0; i < count && status == OK; i++) {
        sequences[i] = prompt_behind(&found[i], &sequences[i], run->arena);
        size_t needed = adapted->prefix.count + (size_t)adapted->past_rows +
                        (size_t)sequences[i].request + (size_t)sequences[i].answer;
        if (needed > (size_t)adapted->engine->model->n_context)
            status =
                error_set(err, BAD_DATA, "line %zu: the true answer does not fit behind the prompt",
                          examples[i]->line);
    }
    return status;
}

/* Fills in how likely the model finds the true answers of a task of free text. It is worth little
 * time and no failure: where it cannot be had, as for an answer that does not fit behind the
 * prompt, the predictions stay without. */
static enum status score_truths(const struct run *run, struct examples side,
                                struct prediction *predictions, struct error *err)
{
    const struct evaluator *e = run->evaluator;
    const struct technique *technique = run->adapted->technique;
    bool several = run->adapted->member_count > 0; /* whose texts are elected, not averaged */
    if (e->data->label_count || technique->answer || !(technique->needs & NEEDS_MODEL) || several)
        return OK;
    const struct example **examples = pick(side.from, side.rows, side.count, run->arena);
    double *nll = arena_alloc(run->arena, side.count * sizeof *nll);
    struct sequence *sequences;
    enum status status =
        prompt_encode(run->adapted, examples, side.count, true, run->arena, &sequences, err);
    if (status == OK && technique->retrieve)
        status = put_in_front(run, examples, sequences, side.count, err);
    if (status == OK)
        status = likelihood_score(run->adapted, AFTER_PROMPT, sequences, side.count, run->deadline,
                                  nll, err);
    for (size_t i = 0; i < side.count && status == OK; i++) {
        predictions[i].nll = nll[i] / sequences[i].answer;
        predictions[i].nll_tokens = sequences[i].answer;
    }
    return status == OUT_OF_TIME || status == BAD_DATA ? OK : status;
}

/* All metrics that suit the task, {"accuracy":0.9,...}; what a technique does not give is left out.
 */
static const char *summarise(const struct run *run, const struct prediction *predictions,
                             size_t count)
{
    const struct dataset *data = run->evaluator->data;
    struct text json = {0};
    double value;
    for (size_t i = 0; i < metric_count(); i++)
        if (metric_suits_task(metric_at(i), data->task) &&
            metric_value_of(metric_at(i), predictions, count, data->label_count, &value))
            text_printf(&json, "%s\"%s\":%.12g", json.length ? "," : "{", metric_at(i)->name,
                        value);
    text_add(&json, json.length ? "}" : "{}");
    const char *copy = arena_strdup(run->arena, text_string(&json));
    text_release(&json);
    return copy;
}

/* Mean nats of the true answers, when every prediction has them. */
static struct measured mean_nll(const struct prediction *predictions, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        if (!predictions[i].scored && predictions[i].nll_tokens <= 0)
            return (struct measured){0};
        sum += predictions[i].nll;
    }
    return measured(sum / (double)count);
}

/* Says how the answers of the single prompts would have done, where several answered together. */
static enum status note_spread(const struct run *run, struct examples side,
                               const struct outcome *answers, struct error *err)
{
    const struct evaluator *e = run->evaluator;
    int members = run->adapted->member_count + 1;
    double low = INFINITY, high = -INFINITY;
    struct outcome *single = arena_alloc(run->arena, side.count * sizeof *single);
    struct prediction *predictions = arena_alloc(run->arena, side.count * sizeof *predictions);
    struct bootstrap options = {.resamples = 1, .seed = e->seed, .confidence = 0.95};
    enum status status = OK;
    for (int m = 0; m < members && status == OK; m++) {
        struct metric_value value;
        for (size_t i = 0; i < side.count; i++)
            single[i] = answers[i].members[m];
        fill_predictions(e->data, side.from, side.rows, side.count, single, predictions);
        predictions_judge(e->metric, predictions, side.count);
        status = metric_measure(e->metric, predictions, side.count, e->data->label_count, options,
                                &value, err);
        low = fmin(low, value.value);
        high = fmax(high, value.value);
    }
    if (status == OK)
        run->outcome->record.reason =
            arena_printf(run->arena, "each of its %d prompts alone reaches %s %.3f to %.3f",
                         members, e->metric->name, low, high);
    return status;
}

static enum status score(const struct run *run, struct examples side, struct error *err)
{
    const struct evaluator *e = run->evaluator;
    struct trial_outcome *outcome = run->outcome;
    struct outcome *answers;
    struct metric_value value;
    double start = clock_seconds();
    outcome->count = side.count;
    enum status status = answer_side(run, side.from, side.rows, side.count, &answers,
                                     &outcome->predictions, &value, err);
    if (status != OK)
        return status;
    double seconds = clock_seconds() - start;
    status = score_truths(run, side, outcome->predictions, err);
    if (status != OK)
        return status;
    double tokens = 0;
    for (size_t i = 0; i < side.count; i++)
        tokens += answers[i].request_tokens + answers[i].answer_tokens;
    struct trial_record *record = &outcome->record;
    record->metric_name = e->metric->name;
    record->metric = measured(value.value);
    record->low = measured(value.low);
    record->high = measured(value.high);
    record->metrics = summarise(run, outcome->predictions, outcome->count);
    record->nll = mean_nll(outcome->predictions, outcome->count);
    record->tokens_per_request = measured(tokens / (double)side.count);
    record->tokens_per_second_forward = measured(tokens / seconds);
    if (run->adapted->member_count)
        status = note_spread(run, side, answers, err);
    return status == OK ? measure_latency(run, side, err) : status;
}

/* After everything else and beside the clock of the trial. */
static enum status measure_forgetting(const struct run *run, struct error *err)
{
    struct bare_loss own = {0}, *bare = run->evaluator->bare ? run->evaluator->bare : &own;
    bool known;
    double nats;
    enum status status = forgetting_measure(run->adapted, bare, run->deadline, &known, &nats, err);
    if (status == OK && known)
        run->outcome->record.forgetting = measured(nats);
    return status;
}

/* The costs that are known at the end. */
static void close_account(const struct run *run, double start)
{
    struct trial_record *record = &run->outcome->record;
    const struct engine *engine = run->evaluator->engine;
    size_t weights = run->adapted->technique->needs & NEEDS_MODEL ? engine->model->bytes : 0;
    record->trainable_parameters = measured((double)run->adapted->trained);
    record->peak_memory_bytes = measured((double)(weights + engine_peak(engine)));
    record->trial_seconds = measured(clock_seconds() - start);
}

enum status evaluate_trial(const struct evaluator *evaluator, const struct setting *setting,
                           size_t examples, uint64_t seed, const struct trial_hooks *hooks,
                           const struct deadline *deadline, struct arena *arena,
                           struct trial_outcome *outcome, struct error *err)
{
    struct engine *engine = evaluator->engine;
    struct material material = {
        .data = evaluator->data, .rows = evaluator->split->train, .count = examples, .seed = seed};
    struct run run = {.evaluator = evaluator,
                      .hooks = hooks,
                      .deadline = deadline,
                      .arena = arena,
                      .outcome = outcome};
    struct examples dev = {evaluator->data, evaluator->split->dev, evaluator->dev_count};
    double start = clock_seconds();
    *outcome = (struct trial_outcome){0};
    engine_trim(engine);
    enum status status = adapted_create(&run.adapted, engine, setting, &material, err);
    if (status == OK)
        status = learn(&run, &material, err);
    if (status == OK)
        status = score(&run, dev, err);
    if (status == OK)
        close_account(&run, start);
    if (status == OK)
        status = measure_forgetting(&run, err);
    adapted_release(run.adapted);
    return status;
}

/* What was learned, from the artifact; nothing is trained. */
static enum status restore(struct adapted *adapted, const void *artifact, size_t length,
                           struct error *err)
{
    if (artifact)
        return adapted_load(adapted, artifact, length, err);
    if (!adapted->parameters.count)
        return OK;
    return error_set(err, FAILED, "%s is trained, and there is no artifact with what it learned",
                     adapted->technique->name);
}

enum status evaluate_replay(const struct evaluator *evaluator, const struct replay *replay,
                            const struct trial_hooks *hooks, const struct deadline *deadline,
                            struct arena *arena, struct trial_outcome *outcome, struct error *err)
{
    struct material material = {.data = evaluator->data,
                                .rows = evaluator->split->train,
                                .count = replay->examples,
                                .seed = replay->seed};
    struct run run = {.evaluator = evaluator,
                      .hooks = hooks,
                      .deadline = deadline,
                      .arena = arena,
                      .outcome = outcome};
    struct examples side = {replay->from, replay->rows, replay->count};
    double start = clock_seconds();
    *outcome = (struct trial_outcome){0};
    engine_trim(evaluator->engine);
    enum status status =
        adapted_create(&run.adapted, evaluator->engine, &replay->setting, &material, err);
    if (status == OK)
        status = restore(run.adapted, replay->artifact, replay->artifact_length, err);
    if (status == OK)
        status = score(&run, side, err);
    if (status == OK)
        close_account(&run, start);
    adapted_release(run.adapted);
    return status;
}

enum status evaluate_test(const struct evaluator *evaluator, const struct setting *setting,
                          size_t examples, uint64_t seed, const void *artifact, size_t length,
                          const struct deadline *deadline, struct arena *arena,
                          struct prediction **predictions, struct metric_value *value,
                          struct error *err)
{
    struct material material = {
        .data = evaluator->data, .rows = evaluator->split->train, .count = examples, .seed = seed};
    struct run run = {.evaluator = evaluator, .deadline = deadline, .arena = arena};
    struct outcome *outcomes;
    enum status status = adapted_create(&run.adapted, evaluator->engine, setting, &material, err);
    if (status == OK && artifact)
        status = adapted_load(run.adapted, artifact, length, err);
    if (status == OK)
        status = answer_side(&run, evaluator->split->test_from, evaluator->split->test,
                             evaluator->test_count, &outcomes, predictions, value, err);
    adapted_release(run.adapted);
    return status;
}
