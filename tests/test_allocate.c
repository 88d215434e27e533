/* SPDX-License-Identifier: Apache-2.0 */
#define _XOPEN_SOURCE 700
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "advisor/allocate.h"
#include "advisor/pace.h"
#include "advisor/rank.h"
#include "advisor/study_file.h"
#include "advisor/summary.h"
#include "techniques/trainer.h"
#include "tests/study_support.h"

/* A study of `rows` rows, sized, with the four first techniques. */
struct work {
    struct bench bench;
    struct desk desk;
    struct trials trials;
    struct error err;
};

static void reopen(struct work *w, const char *more)
{
    char words[2048];
    bool named = strstr(more, "--techniques") != NULL;
    snprintf(words, sizeof words, "%s %s %s", w->bench.data,
             named ? "" : "--techniques majority,zero_shot,few_shot,lora", more);
    desk_must(desk_open(&w->desk, words, &w->err), &w->err);
    desk_must(study_size(&w->desk.study, &w->err), &w->err);
}

static void begin(struct work *w, size_t rows, const char *more)
{
    *w = (struct work){0};
    bench_enter(&w->bench);
    bench_rows(w->bench.data, rows, 2, 3);
    reopen(w, more);
}

static void end(struct work *w)
{
    desk_close(&w->desk);
    bench_leave(&w->bench);
}

static void run(struct work *w)
{
    desk_must(allocate_run(&w->desk.study, &w->err), &w->err);
    desk_must(trials_read(&w->desk.study, &w->desk.study.arena, &w->trials, &w->err), &w->err);
}

/* Trials of a technique (NULL: all) that ended in `status`. */
static size_t count(const struct work *w, const char *technique, enum trial_status status)
{
    size_t n = 0;
    for (size_t i = 0; i < w->trials.count; i++) {
        const struct trial_record *t = &w->trials.items[i];
        n += (!technique || !strcmp(t->key.technique, technique)) && t->status == status;
    }
    return n;
}

/* Writes a trial as an earlier run would have left it: done, and slow. */
static void add_slow(struct work *w, const char *technique, size_t examples, double train_seconds)
{
    struct store *store = w->desk.study.store;
    struct text json = {0};
    struct setting setting = setting_default(technique_find(technique));
    int64_t id;
    enum claim claim;
    setting_set_number(&setting, "learning_rate", 3e-3, &w->desk.study.arena);
    setting_json(&setting, &json);
    struct trial_key key = {technique, text_string(&json), (int64_t)examples, w->desk.options.seed,
                            PURPOSE_RUNG};
    desk_must(trial_plan(store, &key, &id, &w->err), &w->err);
    desk_must(trial_claim(store, id, &claim, &w->err), &w->err);
    text_release(&json);
    const struct evaluator *evaluator = &w->desk.study.evaluator;
    size_t n = evaluator->dev_count;
    struct prediction *dev = arena_zalloc(&w->desk.study.arena, n * sizeof *dev);
    for (size_t i = 0; i < n; i++) {
        const size_t row = evaluator->split->dev[i];
        dev[i] = (struct prediction){
            .example = (int64_t)row, .truth = evaluator->data->examples[row].label, .text = ""};
        dev[i].correct = dev[i].truth == dev[i].label;
    }
    struct trial_record record = {.id = id,
                                  .metric_name = "accuracy",
                                  .metric = measured(0.5),
                                  .low = measured(0.4),
                                  .high = measured(0.6),
                                  .train_seconds = measured(train_seconds),
                                  .trial_seconds = measured(train_seconds)};
    struct trial_predictions predictions = {.dev = dev, .dev_count = n};
    desk_must(trial_finish(store, &record, &predictions, &w->err), &w->err);
}

static double rate_of(struct work *w, const struct trial_record *trial)
{
    struct setting setting;
    struct error err;
    desk_must(setting_parse(technique_find(trial->key.technique), trial->key.setting, &setting,
                            &w->desk.study.arena, &err),
              &err);
    return setting_number(&setting, "learning_rate");
}

/* ---- All of it ------------------------------------------------------------------------------ */

static void test_everything_is_tried(void **state)
{
    (void)state;
    struct work w;
    begin(&w, 400, "--budget 5m");
    size_t all = w.desk.study.split.train_count, dev = w.desk.study.split.dev_count;
    int64_t middle = lround(sqrt(64.0 * (double)all)); /* the third size of a learning curve */
    run(&w);
    assert_int_equal(count(&w, "majority", TRIAL_DONE), 1);
    assert_int_equal(count(&w, "zero_shot", TRIAL_DONE), 1);
    assert_int_equal(count(&w, "few_shot", TRIAL_DONE), 1);
    const struct trial_record *last = &w.trials.items[w.trials.count - 1];
    size_t middles = 0;
    assert_true(count(&w, "lora", TRIAL_DONE) >= 4); /* two rates with all at least, two sizes */
    for (const struct trial_record *t = w.trials.items; t <= last; t++) {
        bool trained = !strcmp(t->key.technique, "lora");
        assert_true(t->key.examples == (int64_t)all ||
                    (trained && (t->key.examples == 64 || t->key.examples == middle)));
        middles += t->key.examples == middle;
        if (strcmp(t->key.technique, "few_shot") != 0) /* whose prompt is too long at first */
            assert_int_equal(t->status, TRIAL_DONE);
        if (t->status == TRIAL_DONE)
            assert_int_equal(t->dev_predictions, dev);
        assert_false(t->test_metric.known);
    }
    assert_int_equal(middles, 1);
    end(&w);
}

/* The first trial with more examples has the best rate of the first size. */
static void test_the_best_rate_goes_on(void **state)
{
    (void)state;
    struct work w;
    begin(&w, 1800, "--budget 5m --techniques lora");
    run(&w);
    const struct trial_record *best = NULL, *next = NULL;
    for (size_t i = 0; i < w.trials.count && !next; i++) {
        const struct trial_record *t = &w.trials.items[i];
        if (t->key.examples > 512)
            next = t;
        else if (!best || t->metric.value > best->metric.value ||
                 (t->metric.value >= best->metric.value && t->nll.value < best->nll.value))
            best = t;
    }
    assert_non_null(next);
    assert_non_null(best);
    assert_float_equal(rate_of(&w, next), rate_of(&w, best), 1e-9);
    end(&w);
}

static void test_sizes_grow_to_all(void **state)
{
    (void)state;
    struct work w;
    begin(&w, 3000, "--budget 5m --techniques lora");
    size_t all = w.desk.study.split.train_count, largest = 0, sizes = 0;
    assert_true(all >= 1536 && all < 6144);
    run(&w);
    for (size_t i = 0; i < w.trials.count; i++) {
        size_t size = (size_t)w.trials.items[i].key.examples;
        assert_true(size == 512 || size == all || largest == all); /* then those of a curve */
        sizes += size > largest;
        largest = size > largest ? size : largest;
    }
    assert_int_equal(sizes, 2);
    end(&w);
}

static void test_the_loss_log_is_whole(void **state)
{
    (void)state;
    struct work w;
    begin(&w, 300, "--budget 5m --techniques lora");
    run(&w);
    for (size_t i = 0; i < w.trials.count; i++) {
        const struct trial_record *t = &w.trials.items[i];
        struct loss_row *rows;
        size_t n;
        struct setting setting;
        desk_must(setting_parse(technique_find("lora"), t->key.setting, &setting,
                                &w.desk.study.arena, &w.err),
                  &w.err);
        size_t examples = (size_t)t->key.examples, batch = trainer_batch(&setting, examples);
        size_t a_pass = (examples + batch - 1) / batch;
        desk_must(trial_loss_get(w.desk.study.store, t->id, &w.desk.study.arena, &rows, &n, &w.err),
                  &w.err);
        assert_true(n > a_pass && n % a_pass == 0);
        for (size_t r = 0; r < n; r++)
            assert_int_equal(rows[r].step, r + 1);
    }
    end(&w);
}

/* ---- The test side -------------------------------------------------------------------------- */

static void test_the_test_side_is_opened_at_the_end(void **state)
{
    (void)state;
    struct work w;
    begin(&w, 200, "--budget 5m");
    struct split *split = &w.desk.study.split;
    size_t *test = split->test;
    const struct dataset *from = split->test_from;
    split->test = (size_t *)(uintptr_t)64; /* nothing may be read there */
    split->test_from = (const struct dataset *)(uintptr_t)64;
    run(&w);
    split->test = test;
    split->test_from = from;
    desk_must(allocate_test(&w.desk.study, &w.err), &w.err);
    run(&w); /* nothing is left to run */
    size_t tested = 0;
    for (size_t i = 0; i < w.trials.count; i++)
        tested += w.trials.items[i].test_metric.known;
    assert_int_equal(tested, 4); /* one of each technique */
    assert_int_equal(count(&w, NULL, TRIAL_RUNNING), 0);
    end(&w);
}

/* ---- Going on ------------------------------------------------------------------------------- */

static void test_nothing_runs_twice(void **state)
{
    (void)state;
    struct work w;
    begin(&w, 200, "--budget 5m");
    run(&w);
    desk_must(allocate_test(&w.desk.study, &w.err), &w.err);
    desk_must(study_file_finish(&w.desk.study, &w.err), &w.err);
    size_t trials = w.trials.count;
    desk_close(&w.desk);
    reopen(&w, "--budget 5m");
    run(&w);
    desk_must(allocate_test(&w.desk.study, &w.err), &w.err);
    assert_false(w.desk.study.worked);
    assert_int_equal(w.trials.count, trials);
    desk_close(&w.desk);
    reopen(&w, "--budget 6m"); /* more time, and still nothing to do with it */
    run(&w);
    assert_false(w.desk.study.worked);
    assert_int_equal(w.trials.count, trials);
    end(&w);
}

/* A study goes on with further techniques, and with what an earlier run had no time for. */
static void test_more_is_asked_for(void **state)
{
    (void)state;
    struct work w;
    begin(&w, 200, "--budget 5m --techniques majority,zero_shot");
    run(&w);
    desk_must(study_file_finish(&w.desk.study, &w.err), &w.err);
    assert_int_equal(w.trials.count, 2);
    desk_close(&w.desk);
    reopen(&w, "--budget 5m --techniques zero_shot,lora");
    run(&w);
    assert_true(w.desk.study.worked);
    assert_int_equal(count(&w, "zero_shot", TRIAL_DONE), 1);
    assert_true(count(&w, "lora", TRIAL_DONE) > 1);
    end(&w);
}

/* What an earlier run did with one rate is not done again, and the others join it. */
static void test_rates_join_an_earlier_one(void **state)
{
    (void)state;
    struct work w;
    begin(&w, 1800, "--budget 5m --techniques lora");
    add_slow(&w, "lora", 512, 0.01);
    run(&w);
    size_t usual = 0, others = 0;
    for (size_t i = 0; i < w.trials.count; i++) {
        const struct trial_record *t = &w.trials.items[i];
        if (t->key.examples != 512)
            continue;
        usual += fabs(rate_of(&w, t) - 3e-3) < 1e-9;
        others += fabs(rate_of(&w, t) - 3e-3) > 1e-9;
    }
    assert_int_equal(usual, 1);
    assert_true(others >= 1);
    end(&w);
}

static void test_interrupted(void **state)
{
    (void)state;
    struct work w;
    volatile sig_atomic_t signal = 1;
    begin(&w, 200, "--budget 5m");
    const volatile sig_atomic_t *own = w.desk.study.deadline.signal;
    w.desk.study.deadline.signal = &signal;
    assert_int_equal(allocate_run(&w.desk.study, &w.err), INTERRUPTED);
    assert_int_equal(allocate_test(&w.desk.study, &w.err), OK); /* there is nothing to test */
    w.desk.study.deadline.signal = own;
    run(&w);
    assert_int_equal(count(&w, NULL, TRIAL_DONE) + count(&w, NULL, TRIAL_FAILED), w.trials.count);
    assert_true(count(&w, "lora", TRIAL_DONE) > 0);
    end(&w);
}

/* ---- Little time ---------------------------------------------------------------------------- */

/* Pretends such a speed that the usual trial with 64 examples is expected to take `seconds`. */
static void make_it_take(struct work *w, const char *technique, double seconds)
{
    struct study *study = &w->desk.study;
    struct setting setting = setting_default(technique_find(technique));
    struct trials none = {0};
    study->seconds_per_answer = 1;
    struct pace pace = pace_of(study, setting.technique, &none);
    study->seconds_per_answer = seconds / pace_trial(study, &setting, &pace, 64);
}

/* The guess from the probe says that the usual passes do not fit, but fewer do: they are tried, and
 * their true pace decides. */
static void test_a_slow_guess_does_not_decide(void **state)
{
    (void)state;
    struct work w;
    begin(&w, 400, "--budget 60s --techniques lora");
    struct study *study = &w.desk.study;
    study->evaluator.dev_count = study->evaluator.test_count = 10;
    make_it_take(&w, "lora", 100); /* the truth is far below */
    run(&w);
    const struct trial_record *first = &w.trials.items[0];
    assert_int_equal(first->key.examples, 64);
    assert_non_null(strstr(first->key.setting, "\"num_epochs\":2"));
    assert_true(count(&w, "lora", TRIAL_DONE) > 1);
    end(&w);
}

static void test_no_time_to_train(void **state)
{
    (void)state;
    struct work w;
    begin(&w, 300, "--budget 40s --techniques lora");
    w.desk.study.seconds_per_answer = 1; /* 384 s for two passes */
    run(&w);
    assert_int_equal(w.trials.count, 0);
    end(&w);
}

/* One rate was tried and took long: nothing else is, and the ranking says so. */
static void test_a_true_pace_decides(void **state)
{
    (void)state;
    struct work w;
    struct report report = {0};
    begin(&w, 300, "--budget 60s --techniques lora");
    add_slow(&w, "lora", 64, 320); /* half a second for each of 640 passes */
    run(&w);
    assert_int_equal(w.trials.count, 1);
    desk_must(rank_study(&w.desk.study, &report, &w.err), &w.err);
    assert_int_equal(report.ranking[0].status, STANDING_MEASURED);
    assert_non_null(strstr(report.ranking[0].note, "judged on one learning rate"));
    end(&w);
}

/* The budget that the ranking names is enough. */
static void test_the_budget_named_is_enough(void **state)
{
    (void)state;
    struct work w;
    struct report report = {0};
    begin(&w, 300, "--budget 60s --techniques lora");
    w.desk.study.seconds_per_answer = 0.5;
    run(&w);
    assert_int_equal(w.trials.count, 0);
    desk_must(rank_study(&w.desk.study, &report, &w.err), &w.err);
    assert_int_equal(report.ranking[0].status, STANDING_NOT_RUN);
    const char *budget = strstr(report.ranking[0].note, "use --budget ");
    assert_non_null(budget);
    char words[128];
    snprintf(words, sizeof words, "--techniques lora %s", strstr(budget, "--budget"));
    desk_close(&w.desk);
    reopen(&w, words);
    w.desk.study.seconds_per_answer = 0.5;
    run(&w);
    assert_true(count(&w, "lora", TRIAL_DONE) > 0);
    end(&w);
}

static void test_a_used_up_budget(void **state)
{
    (void)state;
    struct work w;
    begin(&w, 200, "--budget 60s");
    w.desk.study.began -= 61;
    run(&w);
    assert_int_equal(count(&w, NULL, TRIAL_DONE), 1); /* the baseline costs nothing */
    assert_int_equal(count(&w, "majority", TRIAL_DONE), 1);
    assert_int_equal(w.trials.count, 1);
    end(&w);
}

/* What is measured is tested: the test answers are kept free. */
static void test_the_end_is_kept_free(void **state)
{
    (void)state;
    struct work w;
    begin(&w, 200, "--budget 60s --techniques zero_shot,few_shot");
    struct study *study = &w.desk.study;
    /* 40 answers of 0.4 s and as many to test: 37 s with caution for the first technique. */
    study->seconds_per_answer = 0.4;
    study->evaluator.dev_count = study->evaluator.test_count = 40;
    study->began -= 25;
    run(&w);
    assert_int_equal(w.trials.count, 0); /* 60 - 25 is less than 37 */
    study->began += 5;
    run(&w);
    assert_int_equal(count(&w, "zero_shot", TRIAL_DONE), 1);
    end(&w);
}

/* A run without time for the test answers has measured nothing, and does not count. */
static void test_no_time_to_test(void **state)
{
    (void)state;
    struct work w;
    begin(&w, 200, "--budget 60s --techniques majority,zero_shot");
    run(&w);
    w.desk.study.worked = false;
    w.desk.study.began -= 61;
    desk_must(allocate_test(&w.desk.study, &w.err), &w.err);
    assert_false(w.desk.study.worked);
    run(&w);
    for (size_t i = 0; i < w.trials.count; i++)
        assert_false(w.trials.items[i].test_metric.known);
    end(&w);
}

/* Of what trains no answers: how many times the seconds of IA3 all weights are expected to take.
 */
static double times_ia3(struct study *study, const struct trials *trials, size_t examples)
{
    double seconds[2];
    static const char *const names[] = {"ia3", "full_finetune"};
    for (size_t i = 0; i < 2; i++) {
        struct setting setting = setting_default(technique_find(names[i]));
        struct pace pace = pace_of(study, setting.technique, trials);
        pace.answer = 0;
        seconds[i] = pace_expected(study, &setting, &pace, examples);
    }
    return seconds[1] / seconds[0];
}

/* Training every weight takes longer, and the more so the smaller the batches, since each step of
 * the optimiser goes over all of them. That is known before it was tried: from the speed of the
 * bare model, and from what another technique took. */
static void test_all_weights_take_longer(void **state)
{
    (void)state;
    struct work w;
    begin(&w, 300, "--budget 60s --techniques ia3,full_finetune");
    struct study *study = &w.desk.study;
    struct trials none = {0}, one;
    double few = times_ia3(study, &none, 64), many = times_ia3(study, &none, 300);
    assert_true(few > 1.05 * many && many > 1.3 && few < 3);
    add_slow(&w, "ia3", 64, 320);
    desk_must(trials_read(study, &study->arena, &one, &w.err), &w.err);
    assert_float_equal(times_ia3(study, &one, 64), few, 1e-6);
    end(&w);
}

/* What a trial is expected to take is what its own setting takes. */
static void test_settings_count(void **state)
{
    (void)state;
    static const char *const settings[] = {"{\"target_modules\":\"q_proj,v_proj\"}", "{}",
                                           "{\"r\":256}"};
    struct work w;
    double last = 0;
    begin(&w, 300, "--budget 60s --techniques lora");
    struct study *study = &w.desk.study;
    struct trials none = {0};
    struct pace pace = pace_of(study, technique_find("lora"), &none);
    pace.answer = 0;
    for (size_t i = 0; i < 3; i++) {
        struct setting setting;
        desk_must(
            setting_parse(technique_find("lora"), settings[i], &setting, &study->arena, &w.err),
            &w.err);
        double seconds = pace_expected(study, &setting, &pace, 300);
        assert_true(seconds > 1.01 * last);
        last = seconds;
    }
    end(&w);
}

/* ---- What fails ----------------------------------------------------------------------------- */

static enum status refuse(const struct setting *setting, const struct model *model,
                          const struct material *material, struct error *err)
{
    (void)setting;
    (void)model;
    (void)material;
    return error_set(err, USAGE, "it cannot work with this model");
}

static enum status diverge(struct adapted *adapted, const struct material *material,
                           struct error *err)
{
    (void)adapted;
    (void)material;
    return error_set(err, FAILED, "it came apart");
}

static enum status too_long(struct adapted *adapted, const struct material *material,
                            struct error *err)
{
    (void)adapted;
    (void)material;
    return error_set(err, BAD_DATA, "line 7: its prompt is too long");
}

/* A technique that fails is passed over with its reason, and the others go on. */
static void test_failures_are_settled(void **state)
{
    (void)state;
    static const struct technique refused = {
        .name = "refused", .family = "prompt", .needs = NEEDS_MODEL, .check = refuse};
    static const struct technique diverged = {.name = "diverged",
                                              .family = "peft",
                                              .needs = NEEDS_MODEL | NEEDS_GRADIENT,
                                              .learning_rates = "1e-3,1e-2",
                                              .attach = diverge};
    static const struct technique wordy = {
        .name = "wordy", .family = "prompt", .needs = NEEDS_MODEL, .prompt = too_long};
    const struct technique *techniques[] = {&refused, &diverged, &wordy,
                                            technique_find("zero_shot")};
    struct work w;
    struct report report = {0};
    begin(&w, 200, "--budget 5m");
    w.desk.options.techniques = techniques;
    w.desk.options.technique_count = 4;
    run(&w);
    assert_int_equal(count(&w, "refused", TRIAL_FAILED), 1);
    assert_int_equal(count(&w, "diverged", TRIAL_FAILED), 2); /* the usual rate and the lower one */
    assert_int_equal(count(&w, "diverged", TRIAL_DONE), 0);
    assert_int_equal(count(&w, "wordy", TRIAL_FAILED), 1);
    assert_int_equal(count(&w, "zero_shot", TRIAL_DONE), 1);
    desk_must(rank_study(&w.desk.study, &report, &w.err), &w.err);
    assert_string_equal(report.ranking[0].technique, "zero_shot");
    for (size_t i = 1; i < 4; i++) {
        assert_int_equal(report.ranking[i].status, STANDING_EXCLUDED);
        assert_true(strlen(report.ranking[i].note) > 5);
    }
    w.desk.options.techniques = NULL; /* not the parser's to release */
    w.desk.options.technique_count = 0;
    end(&w);
}

/* Eight worked examples do not fit the tiny model; as many as fit are taken at once. */
static void test_fewer_worked_examples(void **state)
{
    (void)state;
    struct work w;
    struct bench *bench = &w.bench;
    w = (struct work){0};
    bench_enter(bench);
    bench_rows(bench->data, 200, 5, 3);
    reopen(&w, "--budget 5m --techniques few_shot");
    run(&w);
    assert_int_equal(count(&w, "few_shot", TRIAL_FAILED), 0);
    assert_int_equal(count(&w, "few_shot", TRIAL_DONE), 1);
    assert_int_equal(w.trials.count, 1);
    end(&w);
}

static void test_few_examples(void **state)
{
    (void)state;
    struct work w;
    begin(&w, 12, "--budget 5m --task classification");
    assert_true(w.desk.study.split.train_count < 12);
    run(&w);
    assert_int_equal(count(&w, "majority", TRIAL_DONE), 1);
    assert_int_equal(count(&w, "zero_shot", TRIAL_DONE), 1);
    assert_int_equal(count(&w, NULL, TRIAL_RUNNING), 0);
    end(&w);
}

/* ---- Warnings ------------------------------------------------------------------------------- */

static bool warns(struct work *w, const char *words)
{
    struct report report = {0};
    desk_must(summarise_study(&w->desk.study, &report, &w->err), &w->err);
    for (size_t i = 0; i < report.warning_count; i++)
        if (strstr(report.warnings[i], words))
            return true;
    return false;
}

static void test_a_short_development_side(void **state)
{
    (void)state;
    struct work w;
    begin(&w, 500, "--budget 5m");
    struct evaluator *evaluator = &w.desk.study.evaluator;
    assert_true(evaluator->dev_count >= 64);
    assert_false(warns(&w, "development"));
    evaluator->dev_count = 50;
    assert_true(warns(&w, "only 50 of 80 development and 100 of 100 test examples"));
    assert_false(warns(&w, "weak evidence"));
    evaluator->dev_count = 20;
    assert_true(warns(&w, "only 20 development examples: weak evidence"));
    end(&w);
}

/* ---- Budgets -------------------------------------------------------------------------------- */

static void test_round_budgets(void **state)
{
    (void)state;
    static const struct {
        double seconds;
        const char *budget;
    } cases[] = {{0.1, "5s"},  {5, "5s"},     {5.1, "10s"},  {60, "60s"},   {61, "90s"},
                 {91, "2m"},   {301, "7m"},   {599, "10m"},  {3601, "90m"}, {5401, "2h"},
                 {7201, "3h"}, {10801, "4h"}, {86401, "25h"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct text out = {0};
        pace_budget(cases[i].seconds, &out);
        assert_string_equal(text_string(&out), cases[i].budget);
        text_release(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everything_is_tried),
        cmocka_unit_test(test_the_best_rate_goes_on),
        cmocka_unit_test(test_sizes_grow_to_all),
        cmocka_unit_test(test_the_loss_log_is_whole),
        cmocka_unit_test(test_the_test_side_is_opened_at_the_end),
        cmocka_unit_test(test_nothing_runs_twice),
        cmocka_unit_test(test_more_is_asked_for),
        cmocka_unit_test(test_rates_join_an_earlier_one),
        cmocka_unit_test(test_interrupted),
        cmocka_unit_test(test_a_slow_guess_does_not_decide),
        cmocka_unit_test(test_no_time_to_train),
        cmocka_unit_test(test_a_true_pace_decides),
        cmocka_unit_test(test_the_budget_named_is_enough),
        cmocka_unit_test(test_a_used_up_budget),
        cmocka_unit_test(test_the_end_is_kept_free),
        cmocka_unit_test(test_no_time_to_test),
        cmocka_unit_test(test_all_weights_take_longer),
        cmocka_unit_test(test_settings_count),
        cmocka_unit_test(test_failures_are_settled),
        cmocka_unit_test(test_fewer_worked_examples),
        cmocka_unit_test(test_few_examples),
        cmocka_unit_test(test_a_short_development_side),
        cmocka_unit_test(test_round_budgets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
