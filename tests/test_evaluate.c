/* SPDX-License-Identifier: Apache-2.0 */
#define _XOPEN_SOURCE 700
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "techniques/likelihood.h"
#include "tests/study_support.h"

enum { DEV = 40, TEST = 30 };

struct fixture {
    struct dataset data;
    struct split split;
    struct model *model;
    struct engine *engine;
    struct evaluator evaluator;
    struct arena arena;
};

static void fixture_open(struct fixture *f, const char *name, const char *bytes, int threads)
{
    struct error err = {0};
    struct split_options how = {.seed = 3};
    *f = (struct fixture){0};
    desk_must(dataset_parse(name, bytes, strlen(bytes), NULL, &f->data, &err), &err);
    desk_must(split_make(&f->data, NULL, &how, &f->split, &err), &err);
    desk_must(model_load(&f->model, TINY_MODEL, &err), &err);
    f->engine = engine_create(f->model, threads);
    f->evaluator =
        (struct evaluator){.engine = f->engine,
                           .data = &f->data,
                           .split = &f->split,
                           .dev_count = f->split.dev_count < DEV ? f->split.dev_count : DEV,
                           .test_count = f->split.test_count < TEST ? f->split.test_count : TEST,
                           .metric = metric_for_task(f->data.task)};
    arena_init(&f->arena, NULL);
}

static void fixture_close(struct fixture *f)
{
    arena_release(&f->arena);
    engine_free(f->engine);
    model_free(f->model);
    split_release(&f->split);
    dataset_release(&f->data);
}

/* 240 short rows in four classes. */
static void open_classes(struct fixture *f, int threads)
{
    struct bench bench;
    struct text bytes = {0};
    char line[512];
    bench_enter(&bench);
    bench_rows(bench.data, 240, 4, 4);
    FILE *file = fopen(bench.data, "r");
    while (file && fgets(line, sizeof line, file))
        text_add(&bytes, line);
    fclose(file);
    bench_leave(&bench);
    fixture_open(f, "data.csv", text_string(&bytes), threads);
    text_release(&bytes);
    assert_int_equal(f->data.label_count, 4);
}

/* Sums to work out, with a solution. */
static void open_numbers(struct fixture *f)
{
    struct text bytes = {0};
    for (int i = 0; i < 90; i++)
        text_printf(&bytes,
                    "{\"question\": \"Ann has %d pears and buys %d. How many?\", "
                    "\"answer\": \"%d\", \"rationale\": \"%d + %d = %d.\"}\n",
                    i, 3 * i + 1, 4 * i + 1, i, 3 * i + 1, 4 * i + 1);
    fixture_open(f, "sums.jsonl", text_string(&bytes), 2);
    text_release(&bytes);
    assert_int_equal(f->data.task, TASK_NUMERIC_ANSWER);
}

static struct setting setting_of(const char *name)
{
    const struct technique *technique = technique_find(name);
    assert_non_null(technique);
    return setting_default(technique);
}

static struct setting quick_lora(struct fixture *f)
{
    struct setting setting = setting_of("lora");
    setting_set_number(&setting, "num_epochs", 2, &f->arena);
    setting_set_number(&setting, "batch_size", 16, &f->arena);
    return setting;
}

static struct trial_outcome must_run(struct fixture *f, const struct setting *setting,
                                     size_t examples)
{
    struct trial_outcome outcome;
    struct error err = {0};
    desk_must(
        evaluate_trial(&f->evaluator, setting, examples, 5, NULL, NULL, &f->arena, &outcome, &err),
        &err);
    return outcome;
}

/* ---- Predictions ---------------------------------------------------------------------------- */

/* What the model answers when it is asked without the evaluator. */
static struct outcome *ask(struct fixture *f, const struct setting *setting, size_t examples,
                           const struct trial_outcome *trial)
{
    struct material material = {
        .data = &f->data, .rows = f->split.train, .count = examples, .seed = 5};
    struct adapted *adapted;
    struct error err = {0};
    const struct example *rows[DEV];
    struct outcome *outcomes = arena_alloc(&f->arena, DEV * sizeof *outcomes);
    for (size_t i = 0; i < f->evaluator.dev_count; i++)
        rows[i] = &f->data.examples[f->split.dev[i]];
    desk_must(adapted_create(&adapted, f->engine, setting, &material, &err), &err);
    if (trial->artifact)
        desk_must(adapted_load(adapted, trial->artifact, trial->artifact_length, &err), &err);
    desk_must(
        adapted_answer(adapted, rows, f->evaluator.dev_count, outcomes, &f->arena, NULL, &err),
        &err);
    adapted_release(adapted);
    return outcomes;
}

static void check_predictions(struct fixture *f, const struct setting *setting)
{
    struct trial_outcome trial = must_run(f, setting, 48);
    const struct outcome *direct = ask(f, setting, 48, &trial);
    double right = 0;
    assert_int_equal(trial.count, f->evaluator.dev_count);
    for (size_t i = 0; i < trial.count; i++) {
        const struct prediction *p = &trial.predictions[i];
        const struct example *example = &f->data.examples[f->split.dev[i]];
        assert_int_equal(p->example, f->split.dev[i]);
        assert_int_equal(p->truth, example->label);
        assert_int_equal(p->label, direct[i].label);
        assert_string_equal(p->target, example->target);
        assert_int_equal(p->correct, p->label == p->truth);
        assert_true(fabs(p->probability - direct[i].probability) < 1e-5);
        assert_true(fabs(p->nll - direct[i].nll) < 1e-5 * (1 + p->nll));
        right += p->correct;
    }
    const struct trial_record *record = &trial.record;
    assert_true(fabs(record->metric.value - right / (double)trial.count) < 1e-12);
    assert_true(record->low.value <= record->metric.value);
    assert_true(record->high.value >= record->metric.value);
    assert_string_equal(record->metric_name, "accuracy");
}

static void test_predictions_are_those_of_the_model(void **state)
{
    (void)state;
    struct fixture f;
    open_classes(&f, 2);
    struct setting plain = setting_of("zero_shot"), trained = quick_lora(&f);
    struct setting baseline = setting_of("majority");
    check_predictions(&f, &plain);
    check_predictions(&f, &trained);
    check_predictions(&f, &baseline);
    fixture_close(&f);
}

static void test_costs_are_measured(void **state)
{
    (void)state;
    struct fixture f;
    open_classes(&f, 1);
    struct setting setting = quick_lora(&f);
    struct trial_outcome trial = must_run(&f, &setting, 32);
    const struct trial_record *r = &trial.record;
    assert_true(r->train_seconds.known && r->train_seconds.value > 0);
    assert_true(r->trial_seconds.value > r->train_seconds.value);
    assert_true(r->latency_ms.known && r->latency_ms.value > 0);
    assert_true(r->tokens_per_second_train.value > 0 && r->tokens_per_second_forward.value > 0);
    assert_true(r->prequential_nll.known && r->nll.known);
    /* r = 8 on q and o (32 to 32), k and v (32 to 16), gate, up and down (32 to 64 and back) of two
     * layers */
    const int widths = 2 * (32 + 32) + 2 * (32 + 16) + 3 * (32 + 64);
    assert_int_equal((int)r->trainable_parameters.value, 2 * 8 * widths);
    assert_true(r->artifact_bytes.value >= 4 * r->trainable_parameters.value);
    assert_int_equal(trial.training.steps, 4);
    double tokens = r->tokens_per_request.value; /* words, number and the marks of a turn */
    assert_true(tokens > 10 && tokens < 80);
    fixture_close(&f);
}

/* ---- The test side -------------------------------------------------------------------------- */

static void test_trials_never_see_the_test_side(void **state)
{
    (void)state;
    static const char *const names[] = {"majority", "zero_shot", "lora"};
    struct fixture f;
    open_classes(&f, 2);
    size_t *test = f.split.test;
    const struct dataset *from = f.split.test_from;
    f.split.test = (size_t *)(uintptr_t)64; /* nothing may be read there */
    f.split.test_from = (const struct dataset *)(uintptr_t)64;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct setting setting = setting_of(names[i]);
        must_run(&f, &setting, 32);
        must_run(&f, &setting, 32);
    }
    f.split.test = test;
    f.split.test_from = from;
    fixture_close(&f);
}

static void test_final_answers(void **state)
{
    (void)state;
    struct fixture f;
    struct error err = {0};
    struct prediction *predictions;
    struct metric_value value;
    open_classes(&f, 2);
    struct setting setting = quick_lora(&f);
    struct trial_outcome trial = must_run(&f, &setting, 48);
    desk_must(evaluate_test(&f.evaluator, &setting, 48, 5, trial.artifact, trial.artifact_length,
                            NULL, &f.arena, &predictions, &value, &err),
              &err);
    double right = 0;
    for (size_t i = 0; i < f.evaluator.test_count; i++) {
        assert_int_equal(predictions[i].example, f.split.test[i]);
        assert_int_equal(predictions[i].truth, f.data.examples[f.split.test[i]].label);
        right += predictions[i].correct;
    }
    assert_true(fabs(value.value - right / (double)f.evaluator.test_count) < 1e-12);
    enum status status =
        evaluate_test(&f.evaluator, &setting, 48, 5, trial.artifact, trial.artifact_length - 4,
                      NULL, &f.arena, &predictions, &value, &err);
    desk_refused(status, FAILED, &err, "saved parameters of lora");
    fixture_close(&f);
}

/* The development side scored by evaluate_test with what the trial saved gives what it found. */
static void test_saved_parameters_answer_alike(void **state)
{
    (void)state;
    struct fixture f;
    struct error err = {0};
    struct prediction *predictions;
    struct metric_value value;
    open_classes(&f, 2);
    struct setting setting = quick_lora(&f);
    struct trial_outcome trial = must_run(&f, &setting, 48);
    struct evaluator swapped = f.evaluator;
    struct split split = f.split;
    split.test = f.split.dev;
    swapped.split = &split;
    swapped.test_count = f.evaluator.dev_count;
    desk_must(evaluate_test(&swapped, &setting, 48, 5, trial.artifact, trial.artifact_length, NULL,
                            &f.arena, &predictions, &value, &err),
              &err);
    for (size_t i = 0; i < trial.count; i++) {
        assert_int_equal(predictions[i].label, trial.predictions[i].label);
        assert_true(predictions[i].nll == trial.predictions[i].nll);
    }
    fixture_close(&f);
}

/* ---- Beside the metric ---------------------------------------------------------------------- */

static void has_metrics(const char *json, const char *const *names)
{
    for (; *names; names++) {
        char key[64];
        snprintf(key, sizeof key, "\"%s\":", *names);
        if (!strstr(json, key))
            fail_msg("%s is not in %s", *names, json);
    }
}

/* What changes the model has a number for forgetting, measured beside the trial; all metrics of the
 * task are in the record, the first the study's own. */
static void test_forgetting_and_all_metrics(void **state)
{
    (void)state;
    static const char *const of_labels[] = {
        "accuracy", "balanced_accuracy", "macro_f1", "matthews", "brier", "calibration_error",
        "nll",      "perplexity",        NULL};
    static const char *const of_numbers[] = {"exact_match", "numeric_match", "nll", "perplexity",
                                             NULL};
    struct fixture f;
    struct bare_loss bare = {0};
    char accuracy[64];
    open_classes(&f, 2);
    f.evaluator.bare = &bare;
    struct setting setting = setting_of("zero_shot");
    struct trial_outcome trial = must_run(&f, &setting, 16);
    assert_false(trial.record.forgetting.known || bare.known);
    has_metrics(trial.record.metrics, of_labels);
    snprintf(accuracy, sizeof accuracy, "{\"accuracy\":%.12g,", trial.record.metric.value);
    assert_true(!strncmp(trial.record.metrics, accuracy, strlen(accuracy)));
    assert_null(strstr(trial.record.metrics, "exact_match"));
    setting = quick_lora(&f);
    trial = must_run(&f, &setting, 48);
    assert_true(trial.record.forgetting.known && bare.known);
    assert_true(isfinite(trial.record.forgetting.value) && trial.record.forgetting.value != 0);
    double first = trial.record.forgetting.value;
    trial = must_run(&f, &setting, 48);
    assert_true(trial.record.forgetting.value == first);
    fixture_close(&f);
    open_numbers(&f);
    setting = setting_of("zero_shot");
    trial = must_run(&f, &setting, 16);
    has_metrics(trial.record.metrics, of_numbers);
    assert_null(strstr(trial.record.metrics, "accuracy"));
    assert_true(trial.record.nll.known && trial.record.nll.value > 0);
    setting = setting_of("majority");
    trial = must_run(&f, &setting, 16);
    assert_false(trial.record.nll.known);
    assert_null(strstr(trial.record.metrics, "nll"));
    fixture_close(&f);
}

/* The likelihood of a true answer behind the examples retrieved for its request; of several prompts
 * together there is none. */
static void test_likelihood_behind_retrieved_examples(void **state)
{
    (void)state;
    struct fixture f;
    struct error err = {0};
    open_numbers(&f);
    struct setting setting = setting_of("few_shot");
    desk_must(setting_set(&setting, "k=1", &f.arena, &err), &err);
    desk_must(setting_set(&setting, "instruction=Add.", &f.arena, &err), &err);
    desk_must(setting_set(&setting, "selection=nearest", &f.arena, &err), &err);
    struct trial_outcome trial = must_run(&f, &setting, 16);
    assert_true(trial.record.nll.known);
    struct material material = {.data = &f.data, .rows = f.split.train, .count = 16, .seed = 5};
    const struct example *example = &f.data.examples[f.split.dev[2]];
    struct adapted *adapted;
    struct sequence *sequence, whole = {0};
    struct retrieved front = {0};
    double nll;
    desk_must(adapted_create(&adapted, f.engine, &setting, &material, &err), &err);
    desk_must(prompt_encode(adapted, &example, 1, false, &f.arena, &sequence, &err), &err);
    desk_must(
        setting.technique->retrieve(adapted, &example, sequence, 1, &front, &f.arena, NULL, &err),
        &err);
    assert_true(front.count > 0);
    desk_must(prompt_encode(adapted, &example, 1, true, &f.arena, &sequence, &err), &err);
    struct tokens ids = {0};
    tokens_append(&ids, front.ids, (size_t)front.count);
    tokens_append(&ids, sequence->ids, (size_t)(sequence->request + sequence->answer));
    whole = (struct sequence){
        .ids = ids.ids, .request = front.count + sequence->request, .answer = sequence->answer};
    desk_must(likelihood_score(adapted, AFTER_PROMPT, &whole, 1, NULL, &nll, &err), &err);
    assert_int_equal(trial.predictions[2].nll_tokens, whole.answer);
    assert_true(fabs(trial.predictions[2].nll * whole.answer - nll) < 1e-4);
    desk_must(likelihood_score(adapted, AFTER_PROMPT, sequence, 1, NULL, &nll, &err), &err);
    assert_true(fabs(trial.predictions[2].nll * whole.answer - nll) > 1e-3);
    adapted_release(adapted);
    tokens_release(&ids);
    desk_must(setting_set(&setting, "orders=2", &f.arena, &err), &err);
    trial = must_run(&f, &setting, 16);
    assert_false(trial.record.nll.known);
    fixture_close(&f);
}

static void test_metrics_suit_tasks(void **state)
{
    (void)state;
    for (enum task task = TASK_CLASSIFICATION; task <= TASK_GENERATION; task++) {
        assert_true(metric_suits_task(metric_for_task(task), task));
        assert_true(metric_suits_task(metric_find("perplexity"), task));
        assert_true(metric_suits_task(metric_find("slot_f1"), task) == (task == TASK_EXTRACTION));
        assert_true(metric_suits_task(metric_find("chrf"), task) == (task == TASK_GENERATION));
        assert_true(metric_suits_task(metric_find("brier"), task) ==
                    (task <= TASK_MULTIPLE_CHOICE));
    }
}

/* ---- Free answers --------------------------------------------------------------------------- */

static void test_numeric_answers(void **state)
{
    (void)state;
    static const char *const names[] = {"majority", "zero_shot", "lora"};
    struct fixture f;
    open_numbers(&f);
    for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
        struct setting setting = setting_of(names[n]);
        if (setting.technique->learning_rates)
            setting_set_number(&setting, "num_epochs", 2, &f.arena);
        struct trial_outcome trial = must_run(&f, &setting, 32);
        assert_string_equal(trial.record.metric_name, "numeric_match");
        for (size_t i = 0; i < trial.count; i++) {
            const struct prediction *p = &trial.predictions[i];
            assert_int_equal(p->truth, NO_LABEL);
            assert_int_equal(p->label, NO_LABEL);
            assert_non_null(p->text);
            assert_true(utf8_valid(p->text, strlen(p->text), NULL));
            assert_false(p->scored);
            assert_true((p->nll_tokens > 0) == (n > 0));
        }
        assert_true(trial.record.nll.known == (n > 0)); /* the model alone says how likely */
    }
    fixture_close(&f);
}

static void test_metric_of_a_task(void **state)
{
    (void)state;
    static const struct {
        enum task task;
        const char *metric;
    } cases[] = {{TASK_CLASSIFICATION, "accuracy"},
                 {TASK_MULTIPLE_CHOICE, "accuracy"},
                 {TASK_NUMERIC_ANSWER, "numeric_match"},
                 {TASK_EXTRACTION, "slot_f1"},
                 {TASK_GENERATION, "chrf"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(metric_for_task(cases[i].task)->name, cases[i].metric);
}

/* ---- Telling and stopping ------------------------------------------------------------------- */

struct listener {
    size_t training, scoring, steps;
    size_t scored; /* `done` of the last sign of scoring */
    bool backwards;
    size_t stop_after; /* signs; 0: never */
};

static enum status hear(void *context, const char *stage, size_t done, size_t total,
                        struct error *err)
{
    struct listener *l = context;
    bool training = !strcmp(stage, "training");
    assert_true(training || !strcmp(stage, "scoring"));
    assert_true(done <= total);
    *(training ? &l->training : &l->scoring) += 1;
    l->backwards |= training ? l->scoring > 0 : done < l->scored;
    l->scored = training ? 0 : done;
    if (l->stop_after && l->training + l->scoring >= l->stop_after)
        return error_set(err, FAILED, "the listener has heard enough");
    return OK;
}

static enum status hear_step(void *context, const struct training_step *step, struct error *err)
{
    (void)err;
    struct listener *l = context;
    assert_int_equal(step->step, ++l->steps);
    return OK;
}

static enum status listen(struct fixture *f, struct listener *l, struct error *err)
{
    struct setting setting = quick_lora(f);
    struct trial_hooks hooks = {.context = l, .progress = hear, .step = hear_step};
    struct trial_outcome outcome;
    return evaluate_trial(&f->evaluator, &setting, 48, 5, &hooks, NULL, &f->arena, &outcome, err);
}

static void test_progress(void **state)
{
    (void)state;
    struct fixture f;
    struct error err = {0};
    open_classes(&f, 2);
    struct listener all = {0};
    desk_must(listen(&f, &all, &err), &err);
    assert_int_equal(all.steps, 6); /* 48 examples in batches of 16, twice */
    assert_int_equal(all.training, 6);
    assert_true(all.scoring >= 1);
    assert_false(all.backwards);
    for (size_t stop = 1; stop <= all.training + all.scoring; stop += 3) {
        struct listener some = {.stop_after = stop};
        desk_refused(listen(&f, &some, &err), FAILED, &err, "heard enough");
        assert_int_equal(some.training + some.scoring, stop);
    }
    fixture_close(&f);
}

/* More development examples than are answered at once: what is scored does not change. */
static void test_many_answers(void **state)
{
    (void)state;
    struct fixture f;
    struct error err = {0};
    struct trial_outcome few, many;
    struct listener l = {0};
    struct trial_hooks hooks = {.context = &l, .progress = hear};
    open_classes(&f, 2);
    struct setting setting = setting_of("zero_shot");
    f.evaluator.dev_count = f.split.dev_count;
    few = must_run(&f, &setting, 32);
    f.evaluator.split = &(struct split){.train = f.split.train,
                                        .train_count = f.split.train_count,
                                        .dev = f.split.train, /* there are more of them */
                                        .dev_count = f.split.train_count};
    f.evaluator.dev_count = f.split.train_count;
    assert_true(f.evaluator.dev_count > 128);
    desk_must(evaluate_trial(&f.evaluator, &setting, 32, 5, &hooks, NULL, &f.arena, &many, &err),
              &err);
    assert_int_equal(many.count, f.split.train_count);
    assert_int_equal(l.scoring, (f.split.train_count + 127) / 128);
    for (size_t i = 0; i < many.count; i++)
        assert_int_equal(many.predictions[i].example, f.split.train[i]);
    assert_true(few.count < many.count);
    fixture_close(&f);
}

static void test_deadline(void **state)
{
    (void)state;
    static const char *const names[] = {"zero_shot", "lora"};
    volatile sig_atomic_t signal = 1;
    struct deadline past = {.at = 1e-9}, interrupted = {.signal = &signal};
    struct fixture f;
    struct trial_outcome outcome;
    struct error err = {0};
    open_classes(&f, 2);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct setting setting = setting_of(names[i]);
        assert_int_equal(
            evaluate_trial(&f.evaluator, &setting, 32, 5, NULL, &past, &f.arena, &outcome, &err),
            OUT_OF_TIME);
        assert_int_equal(evaluate_trial(&f.evaluator, &setting, 32, 5, NULL, &interrupted, &f.arena,
                                        &outcome, &err),
                         INTERRUPTED);
    }
    fixture_close(&f);
}

static void test_a_setting_that_cannot_work(void **state)
{
    (void)state;
    struct fixture f;
    struct trial_outcome outcome;
    struct error err = {0};
    open_classes(&f, 1);
    struct setting setting = setting_of("few_shot");
    setting_set_number(&setting, "k", 30, &f.arena);
    desk_refused(
        evaluate_trial(&f.evaluator, &setting, 16, 5, NULL, NULL, &f.arena, &outcome, &err), USAGE,
        &err, "k=30 is more than the 16 training examples");
    fixture_close(&f);
}

/* Several prompts that answer together: the note says how each would have done, and the metric of
 * one asked for alone lies between. */
static void test_spread_is_noted(void **state)
{
    (void)state;
    struct fixture f;
    open_classes(&f, 2);
    f.model->n_context = 1024; /* room for three examples */
    struct setting setting = setting_of("few_shot");
    setting_set_number(&setting, "k", 3, &f.arena);
    struct trial_outcome one = must_run(&f, &setting, 16);
    assert_null(one.record.reason);
    setting_set_number(&setting, "orders", 4, &f.arena);
    struct trial_outcome four = must_run(&f, &setting, 16);
    double low, high;
    assert_int_equal(sscanf(four.record.reason,
                            "each of its 4 prompts alone reaches accuracy %lf to %lf", &low, &high),
                     2);
    assert_true(low <= one.record.metric.value + 5e-4 && one.record.metric.value <= high + 5e-4);
    assert_true(four.record.tokens_per_request.value == 4 * one.record.tokens_per_request.value);
    fixture_close(&f);
}

/* ---- Memory --------------------------------------------------------------------------------- */

static double peak_of(struct fixture *f, const char *name)
{
    struct setting setting = setting_of(name);
    if (setting.technique->learning_rates)
        setting_set_number(&setting, "num_epochs", 2, &f->arena);
    size_t examples = f->split.train_count < 64 ? f->split.train_count : 64;
    return must_run(f, &setting, examples).record.peak_memory_bytes.value;
}

/* The peak is a fact of the work: the same again, after other work, and in a new engine. */
static void test_peak_memory_is_repeatable(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 3; threads += 2) {
        struct fixture f, again;
        open_classes(&f, threads);
        double lora = peak_of(&f, "lora"), zero = peak_of(&f, "zero_shot");
        assert_true(lora > zero);
        assert_true(zero > (double)f.model->bytes);
        for (int i = 0; i < 4; i++) {
            assert_true(peak_of(&f, "lora") == lora);
            assert_true(peak_of(&f, "zero_shot") == zero);
        }
        fixture_close(&f);
        open_classes(&again, threads);
        assert_true(peak_of(&again, "lora") == lora);
        fixture_close(&again);
    }
    struct fixture f;
    open_numbers(&f);
    double free_text = peak_of(&f, "zero_shot");
    for (int i = 0; i < 4; i++)
        assert_true(peak_of(&f, "zero_shot") == free_text);
    fixture_close(&f);
}

/* ---- Threads -------------------------------------------------------------------------------- */

static void test_threads_make_no_difference(void **state)
{
    (void)state;
    struct fixture one, three;
    open_classes(&one, 1);
    open_classes(&three, 3);
    struct setting setting = quick_lora(&one);
    struct trial_outcome a = must_run(&one, &setting, 64);
    struct trial_outcome b = must_run(&three, &setting, 64);
    assert_int_equal(a.artifact_length, b.artifact_length);
    assert_memory_equal(a.artifact, b.artifact, a.artifact_length);
    assert_true(a.record.prequential_nll.value == b.record.prequential_nll.value);
    for (size_t i = 0; i < a.count; i++) {
        assert_int_equal(a.predictions[i].label, b.predictions[i].label);
        assert_true(a.predictions[i].nll == b.predictions[i].nll);
    }
    fixture_close(&one);
    fixture_close(&three);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forgetting_and_all_metrics),
        cmocka_unit_test(test_metrics_suit_tasks),
        cmocka_unit_test(test_likelihood_behind_retrieved_examples),
        cmocka_unit_test(test_predictions_are_those_of_the_model),
        cmocka_unit_test(test_costs_are_measured),
        cmocka_unit_test(test_trials_never_see_the_test_side),
        cmocka_unit_test(test_final_answers),
        cmocka_unit_test(test_saved_parameters_answer_alike),
        cmocka_unit_test(test_numeric_answers),
        cmocka_unit_test(test_metric_of_a_task),
        cmocka_unit_test(test_progress),
        cmocka_unit_test(test_many_answers),
        cmocka_unit_test(test_deadline),
        cmocka_unit_test(test_a_setting_that_cannot_work),
        cmocka_unit_test(test_spread_is_noted),
        cmocka_unit_test(test_peak_memory_is_repeatable),
        cmocka_unit_test(test_threads_make_no_difference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
