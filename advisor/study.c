/* SPDX-License-Identifier: Apache-2.0 */
#include "advisor/study.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "advisor/interrupt.h"
#include "advisor/memory_limit.h"
#include "advisor/study_file.h"
#include "model/tokenizer.h"
#include "techniques/prompt.h"

enum {
    PROBE_HALF = 8,   /* answers in each half of the probe */
    LEAST_TEXTS = 10, /* fewer different ones are refused where most are copies */
    LEAST_SIDE = 50,  /* examples below which an accuracy says little */
    SIDE_SHARE = 40,  /* one trial's answers take at most 1/40 of the budget */
    SAVE_SECONDS = 2
};

/* The probe may take this share of the budget that is left. */
static const double probe_share = 0.25;

/* ---- Time ----------------------------------------------------------------------------------- */

double study_spent(const struct study *study)
{
    return study->spent_before + clock_seconds() - study->began;
}

double study_left(const struct study *study)
{
    return study->options->budget_seconds - study_spent(study);
}

void study_set_deadline(struct study *study, double seconds)
{
    study->deadline.at = clock_seconds() + (seconds > 0 ? seconds : 0);
}

double study_cost(const struct study *study)
{
    return study->store ? study->spent_saved : study_spent(study);
}

enum status study_save_time(struct study *study, bool now, struct error *err)
{
    double unsaved = study_spent(study) - study->spent_saved;
    if (!study->store || !study->worked || (!now && unsaved < SAVE_SECONDS))
        return OK;
    study->spent_saved += unsaved;
    return store_add_spent(study->store, unsaved, NULL, err);
}

/* ---- Seeds ---------------------------------------------------------------------------------- */

static const uint64_t last_seed = INT64_MAX; /* behind it comes 0 */

uint64_t study_seed(const struct study *study, size_t replicate)
{
    return (study->options->seed + replicate) & last_seed;
}

size_t study_replicate(const struct study *study, uint64_t seed)
{
    return (size_t)((seed - study->options->seed) & last_seed);
}

/* ---- Data and model ------------------------------------------------------------------------- */

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

size_t study_different_texts(const struct study *study, size_t count)
{
    const char **texts = memory_alloc((count + 1) * sizeof *texts);
    size_t different = 0;
    for (size_t i = 0; i < count; i++)
        texts[i] = study->data.examples[study->split.dev[i]].input;
    qsort(texts, count, sizeof *texts, compare_texts);
    for (size_t i = 0; i < count; i++)
        different += !i || strcmp(texts[i], texts[i - 1]) != 0;
    free(texts);
    return different;
}

/* Copies of a few texts look like evidence and are none. */
static enum status check_repeats(const struct study *study, struct error *err)
{
    size_t count = study->split.dev_count, different = study_different_texts(study, count);
    if (different >= LEAST_TEXTS || count < 2 * LEAST_TEXTS)
        return OK; /* a small development side is warned about as it is */
    return error_set(err, BAD_DATA,
                     "%s: %zu examples are set aside for development, and they are copies of %zu "
                     "text%s, on which techniques cannot be told apart; leave the copies out, and "
                     "add different texts",
                     study->data.path, count, different, different == 1 ? "" : "s");
}

/* Every class may be too small to leave training. */
static enum status check_sides(const struct study *study, struct error *err)
{
    const struct split *split = &study->split;
    const char *path = study->data.path;
    if (!split->dev_count || !split->train_count)
        return error_set(err, BAD_DATA,
                         "%s: its %zu rows cannot be divided into training and development "
                         "examples, since a class needs two different texts for that; add rows, "
                         "or name the right column with --label",
                         path, study->data.count);
    if (!split->test_count)
        return error_set(err, BAD_DATA,
                         "%s: its %zu rows leave none to test with, since a class needs three "
                         "different texts for that; add rows, or give a file with --test",
                         path, study->data.count);
    return OK;
}

static enum status load_data(struct study *study, struct error *err)
{
    const struct options *options = study->options;
    const char *path = options->operands[options->operand_count - 1];
    enum status status = dataset_load(path, &options->reading, &study->data, err);
    if (status != OK)
        return status;
    if (options->test_path) {
        struct dataset_options reading = options->reading;
        reading.like = &study->data;
        status = dataset_load(options->test_path, &reading, &study->test_data, err);
    }
    if (status != OK)
        return status;
    struct split_options how = {.seed = options->seed};
    status = split_make(&study->data, options->test_path ? &study->test_data : NULL, &how,
                        &study->split, err);
    if (status == OK)
        status = check_sides(study, err);
    return status == OK ? check_repeats(study, err) : status;
}

static enum status load_model(struct study *study, struct error *err)
{
    enum status status = options_check_model(study->options, err);
    enum weight_form form;
    study->memory_limit = memory_limit(study->options);
    if (status == OK)
        status = memory_first_form(study, &form, err);
    if (status == OK)
        status =
            model_load_as(&study->model, study->options->model, form, study->options->threads, err);
    if (status == OK)
        study->engine = engine_create(study->model, study->options->threads);
    return status;
}

/* The model with nothing but an instruction: the first technique that asks the model and trains
 * nothing. */
static enum status bare_model(struct study *study, struct adapted **adapted, struct error *err)
{
    const struct technique *technique;
    *adapted = NULL;
    for (size_t i = 0; (technique = technique_at(i)); i++)
        if (technique->needs & NEEDS_MODEL && !technique->learning_rates)
            break;
    if (!technique)
        return error_set(err, FAILED, "no technique asks the model without training it");
    struct setting setting = setting_default(technique);
    struct material material = {
        .data = &study->data, .rows = study->split.train, .count = study->split.train_count};
    return adapted_create(adapted, study->engine, &setting, &material, err);
}

/* Adds the tokens of a text to `*sum`; NULL has none. */
static enum status add_tokens(const struct study *study, const char *text, double *sum,
                              struct error *err)
{
    struct tokens ids = {0};
    enum status status = OK;
    if (text)
        status = tokenizer_encode(study->model->tokenizer, text, strlen(text), &ids, NULL, err);
    *sum += (double)ids.count;
    tokens_release(&ids);
    return status;
}

/* Checks that each example of `data` fits the context, and takes its tokens. */
static enum status read_tokens(struct study *study, const struct adapted *adapted,
                               const struct dataset *data, struct error *err)
{
    struct arena arena;
    struct sequence *sequence;
    double sum = 0, answers = 0, rationales = 0;
    enum status status = OK;
    arena_init(&arena, NULL);
    study->example_tokens = 0;
    for (size_t i = 0; i < data->count && status == OK; i++) {
        const struct example *example = &data->examples[i];
        double before = sum;
        arena_clear(&arena);
        status = prompt_encode(adapted, &example, 1, true, &arena, &sequence, err);
        if (status == OK)
            status = add_tokens(study, example->input, &sum, err);
        if (status == OK)
            status = add_tokens(study, example->rationale, &rationales, err);
        if (status == OK) {
            answers += sequence->answer;
            study->example_tokens += (double)(sequence->request + sequence->answer - 1);
        }
        study->tokens_max = fmax(study->tokens_max, sum - before);
    }
    arena_release(&arena);
    study->tokens_mean = sum / (double)data->count;
    study->example_tokens /= (double)data->count;
    study->prefix_tokens = (double)adapted->prefix.count;
    study->tokens_answer = answers / (double)data->count;
    study->tokens_rationale =
        rationales / (double)(data->rationale_count ? data->rationale_count : 1);
    return status == OK ? OK : error_prefix(err, "%s", data->path);
}

static enum status count_list(struct study *study, struct error *err)
{
    struct text list = {0};
    prompt_write_list(&study->data, &list);
    study->list_tokens = 0;
    enum status status = add_tokens(study, text_string(&list), &study->list_tokens, err);
    text_release(&list);
    return status;
}

static enum status count_tokens(struct study *study, struct error *err)
{
    struct adapted *adapted = NULL;
    enum status status = bare_model(study, &adapted, err);
    if (status == OK && study->test_data.count)
        status = read_tokens(study, adapted, &study->test_data, err);
    if (status == OK)
        status = read_tokens(study, adapted, &study->data, err);
    adapted_release(adapted);
    return status == OK ? count_list(study, err) : status;
}

static enum status choose_metric(struct study *study, struct error *err)
{
    const struct metric *metric = study->options->metric;
    bool labels = study->data.label_count > 0;
    bool json = study->data.task == TASK_EXTRACTION;
    if (!metric)
        metric = metric_for_task(study->data.task);
    if (!labels && (metric->input == INPUT_LABELS || metric->input == INPUT_PROBABILITIES))
        return error_set(
            err, USAGE,
            "--metric %s needs labels, but the task is %s; expected %s, exact_match or "
            "numeric_match, or --task classification",
            metric->name, task_name(study->data.task), metric_for_task(study->data.task)->name);
    if (!json && metric->input == INPUT_JSON)
        return error_set(err, USAGE,
                         "--metric %s needs targets in JSON, but the task is %s; expected %s, or "
                         "--task extraction",
                         metric->name, task_name(study->data.task),
                         metric_for_task(study->data.task)->name);
    if (!metric->higher_is_better)
        return error_set(err, USAGE,
                         "--metric %s is lower for better models and cannot rank techniques; "
                         "expected accuracy, balanced_accuracy, macro_f1, matthews, exact_match, "
                         "numeric_match, json_match, slot_f1, token_f1, rouge_l or chrf",
                         metric->name);
    study->evaluator = (struct evaluator){.engine = study->engine,
                                          .data = &study->data,
                                          .split = &study->split,
                                          .dev_count = study->split.dev_count,
                                          .test_count = study->split.test_count,
                                          .metric = metric,
                                          .seed = study->options->seed,
                                          .bare = &study->bare};
    return OK;
}

/* ---- Opening -------------------------------------------------------------------------------- */

enum status study_open(struct study *study, const struct options *options,
                       struct progress *progress, bool keep, struct error *err)
{
    *study = (struct study){
        .options = options, .progress = progress, .began = clock_seconds(), .lock = -1};
    arena_init(&study->arena, NULL);
    study->deadline.signal = interrupt_flag();
    enum status status;
    if ((status = load_data(study, err)) || (status = load_model(study, err)) ||
        (status = choose_metric(study, err)) || (status = count_tokens(study, err)))
        return status;
    return keep ? study_file_open(study, err) : OK;
}

void study_close(struct study *study)
{
    study_file_close(study);
    rules_free(study->rules);
    engine_free(study->engine);
    model_free(study->model);
    split_release(&study->split);
    dataset_release(&study->test_data);
    dataset_release(&study->data);
    arena_release(&study->arena);
    *study = (struct study){.lock = -1};
}

struct workload study_workload(const struct study *study, size_t examples)
{
    return (struct workload){.model = study->model,
                             .examples = examples,
                             .input_tokens =
                                 study->example_tokens - fmax(study->tokens_answer - 1, 0),
                             .instruction_tokens = study->prefix_tokens,
                             .list_tokens = study->list_tokens,
                             .answer_tokens = study->tokens_answer,
                             .rationale_tokens = study->tokens_rationale,
                             .labels = study->data.label_count};
}

/* ---- Sizes ---------------------------------------------------------------------------------- */

/* Of an answer: seconds, and tokens that were written. */
struct timing {
    double seconds, tokens;
};

static void keep_faster(struct timing *best, const struct timing *other)
{
    if (other->seconds < best->seconds)
        *best = *other;
}

/* Of development examples `from` .. `from + count - 1`, mean. */
static enum status time_answers(struct study *study, struct adapted *adapted, size_t from,
                                size_t count, struct timing *timing, struct error *err)
{
    const struct example *examples[PROBE_HALF];
    struct outcome outcomes[PROBE_HALF];
    struct arena arena;
    for (size_t i = 0; i < count; i++)
        examples[i] = &study->data.examples[study->split.dev[from + i]];
    arena_init(&arena, NULL);
    double start = clock_seconds();
    enum status status =
        adapted_answer(adapted, examples, count, outcomes, &arena, &study->deadline, err);
    *timing = (struct timing){.seconds = (clock_seconds() - start) / (double)count};
    for (size_t i = 0; i < count && status == OK; i++)
        timing->tokens += outcomes[i].answer_tokens / (double)count;
    arena_release(&arena);
    return status;
}

static size_t probe_half(const struct study *study)
{
    size_t half = study->split.dev_count / 2;
    return half < PROBE_HALF ? half : PROBE_HALF;
}

/* The time of one answer: of the faster of two halves, since a busy machine can only make it look
 * slower. The first answer alone looks slow too, since it finds nothing in the caches and leaves
 * threads without work: where the halves would take too long by it, more and more answers are timed
 * until they do not, or the time is up. */
static enum status time_bare_model(struct study *study, struct adapted *adapted, struct error *err)
{
    size_t half = probe_half(study);
    double share = probe_share * study_left(study);
    struct timing best, timing;
    enum status status = adapted_warm(adapted, err);
    if (status == OK)
        status = time_answers(study, adapted, 0, 1, &best, err);
    if (status != OK)
        return status;
    for (size_t n = 2; n < half && status == OK && 2 * (double)half * best.seconds > share &&
                       (double)n * best.seconds <= share;
         n *= 2) {
        status = time_answers(study, adapted, 0, n, &timing, err);
        if (status == OK)
            keep_faster(&best, &timing);
    }
    bool affordable = 2 * (double)half * best.seconds <= share;
    for (size_t i = 0; i < 2 && half && affordable && status == OK; i++) {
        status = time_answers(study, adapted, i * half, half, &timing, err);
        if (status == OK)
            keep_faster(&best, &timing);
    }
    study->seconds_per_answer = best.seconds;
    study->tokens_written = best.tokens;
    return status == OUT_OF_TIME ? OK : status;
}

/* Training reads and writes nothing, so where answers are written, what they take says little about
 * it. */
static enum status time_reading(struct study *study, struct adapted *adapted, struct error *err)
{
    size_t half = probe_half(study);
    struct timing best = {.seconds = study->seconds_per_answer}, timing;
    enum status status = OK;
    if (!(study->tokens_written > 1) || !half)
        return OK;
    adapted->longest_answer = 1;
    for (size_t i = 0; i < 2 && status == OK; i++) {
        status = time_answers(study, adapted, i * half, half, &timing, err);
        if (status == OK)
            keep_faster(&best, &timing);
    }
    study->seconds_per_reading = best.seconds;
    return status;
}

/* Leaves seconds_per_answer at 0 when the budget does not reach the first answer. */
static enum status probe(struct study *study, struct error *err)
{
    struct adapted *adapted = NULL;
    study_set_deadline(study, study_left(study));
    enum status status = deadline_check(&study->deadline, err);
    if (status == OK) {
        status = bare_model(study, &adapted, err);
        if (status == OK)
            status = time_bare_model(study, adapted, err);
        if (status == OK && adapted && study->seconds_per_answer > 0)
            status = time_reading(study, adapted, err);
        adapted_release(adapted);
    }
    return status == OUT_OF_TIME ? OK : status;
}

/* How many of `there_are` examples fit into `seconds`, in powers of two so that the same machine
 * decides alike every time. */
static size_t affordable(size_t there_are, double seconds, double seconds_per_answer)
{
    size_t n = LEAST_SIDE;
    if ((double)there_are * seconds_per_answer <= seconds)
        return there_are;
    for (size_t next = 64; next < there_are; next *= 2)
        if ((double)next * seconds_per_answer <= seconds)
            n = next;
    return n < there_are ? n : there_are;
}

bool study_is_sized(const struct study *study)
{
    return study->record.created_ms && study->evaluator.dev_count && study->seconds_per_answer > 0;
}

void study_decide_sides(struct study *study, double budget)
{
    const struct split *split = &study->split;
    double each = study->seconds_per_answer, seconds = budget / SIDE_SHARE;
    bool known = each > 0; /* otherwise a later run decides, which has time for a probe */
    study->evaluator.dev_count = known ? affordable(split->dev_count, seconds, each) : 0;
    study->evaluator.test_count = known ? affordable(split->test_count, seconds, each) : 0;
}

enum status study_measure(struct study *study, struct error *err)
{
    if (study_is_sized(study))
        return OK;
    enum status status = probe(study, err);
    if (status == OK)
        study_decide_sides(study, study->options->budget_seconds);
    return status;
}

enum status study_size(struct study *study, struct error *err)
{
    if (study_is_sized(study))
        return OK;
    study->worked = true;
    enum status status = study_measure(study, err);
    return status == OK ? study_file_write(study, err) : status;
}
