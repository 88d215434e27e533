/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of the ranking share: made-up studies, whose trials with known predictions are
 * written through the store. To be included after cmocka.h; the including file defines
 * _XOPEN_SOURCE 700.
 */
#ifndef TESTS_RANK_SUPPORT_H
#define TESTS_RANK_SUPPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "advisor/allocate.h"
#include "advisor/rank.h"
#include "tests/fixture.h"
#include "tests/study_support.h"

enum { DEV = 200, TEST = 50, CLASSES = 4 };

/* A study without model and data: what the ranking reads is the store and a few numbers. */
struct made_up {
    struct bench bench;
    struct desk desk;
    struct report report;
    struct error err;
};

static inline void begin(struct made_up *m, const char *words)
{
    char all[512];
    *m = (struct made_up){0};
    bench_enter(&m->bench);
    snprintf(all, sizeof all, "data.csv %s %s",
             strstr(words, "--techniques") ? "" : "--techniques majority,zero_shot,few_shot,lora",
             words);
    desk_options(&m->desk, all);
    struct study *study = &m->desk.study;
    *study = (struct study){
        .options = &m->desk.options, .lock = -1, .seconds_per_answer = 0.01, .example_tokens = 20};
    arena_init(&study->arena, NULL);
    study->data.label_count = CLASSES;
    study->data.task = TASK_CLASSIFICATION;
    study->split.train_count = 500;
    study->split.dev_count = study->evaluator.dev_count = DEV;
    study->split.test_count = study->evaluator.test_count = TEST;
    study->evaluator.data = &study->data;
    study->evaluator.metric =
        m->desk.options.metric ? m->desk.options.metric : metric_find("accuracy");
    study->model = fixture_model(FIXTURES "tiny.gguf");
    study->path = arena_strdup(&study->arena, m->bench.data);
    study->spent_before = study->spent_saved = 100;
    desk_must(store_open(study->path, STORE_CREATE, &study->store, &m->err), &m->err);
}

static inline void end(struct made_up *m)
{
    store_close(m->desk.study.store);
    model_free(m->desk.study.model);
    arena_release(&m->desk.study.arena);
    options_release(&m->desk.options);
    bench_leave(&m->bench);
}

/* A trial: right on examples `first` .. `first + right - 1` of the development side. Its answers to
 * the test side are the first TEST of these. */
struct play {
    const char *technique;
    const char *setting; /* NULL: the default */
    int64_t examples;
    int first, right;
    double tokens;             /* per request */
    double latency_ms, memory; /* 0: 10 ms, 1 MB */
    double seconds, train;     /* 0: 2 s, of which none for training */
    const char *failed;        /* a reason instead of a result */
    const char *interrupted;   /* likewise */
    bool untested;
    uint64_t seed;
    double wide;                /* the metric's interval to either side; 0: 0.01 */
    int (*answer)(int example); /* answers of its own instead of `first` and `right` */
};

static inline int truth_of(int example)
{
    return example % 10 < 7 ? 0 : example % 10 - 6; /* 70 % of one class, 10 % of three */
}

static inline void fill_predictions(const struct made_up *m, const struct play *play,
                                    struct prediction predictions[DEV])
{
    for (int i = 0; i < DEV; i++) {
        bool right = i >= play->first && i < play->first + play->right;
        int truth = truth_of(i), answer = right ? truth : (truth + 1) % CLASSES;
        predictions[i] = (struct prediction){.example = i,
                                             .truth = truth,
                                             .label = play->answer ? play->answer(i) : answer,
                                             .text = "",
                                             .target = ""};
    }
    predictions_judge(m->desk.study.evaluator.metric, predictions, DEV);
}

static inline struct trial_record result_of(const struct made_up *m, int64_t id,
                                            const struct play *play,
                                            const struct prediction *predictions)
{
    const struct metric *metric = m->desk.study.evaluator.metric;
    struct trial_record record = {.id = id};
    record.trial_seconds = measured(play->seconds > 0 ? play->seconds : 2);
    record.train_seconds = (struct measured){play->train > 0, play->train};
    double value = metric->value(predictions, DEV, CLASSES);
    record.metric_name = metric->name;
    record.metric = measured(value);
    double wide = play->wide > 0 ? play->wide : 0.01;
    record.low = measured(value - wide);
    record.high = measured(value + wide);
    record.tokens_per_request = measured(play->tokens);
    record.latency_ms = measured(play->latency_ms > 0 ? play->latency_ms : 10);
    record.peak_memory_bytes = measured(play->memory > 0 ? play->memory : 1e6);
    return record;
}

static inline void add(struct made_up *m, struct play play)
{
    struct store *store = m->desk.study.store;
    struct text json = {0};
    struct prediction predictions[DEV];
    struct setting setting = setting_default(technique_find(play.technique));
    enum claim claim;
    int64_t id;
    setting_json(&setting, &json);
    struct trial_key key = {.technique = play.technique,
                            .setting = play.setting ? play.setting : text_string(&json),
                            .examples = play.examples,
                            .seed = play.seed,
                            .purpose = PURPOSE_RUNG};
    desk_must(trial_plan(store, &key, &id, &m->err), &m->err);
    desk_must(trial_claim(store, id, &claim, &m->err), &m->err);
    text_release(&json);
    if (play.failed || play.interrupted) {
        desk_must(trial_settle(store, id, play.failed ? TRIAL_FAILED : TRIAL_INTERRUPTED,
                               play.failed ? play.failed : play.interrupted, &m->err),
                  &m->err);
        return;
    }
    fill_predictions(m, &play, predictions);
    struct trial_record record = result_of(m, id, &play, predictions);
    struct trial_predictions all = {.dev = predictions, .dev_count = DEV};
    desk_must(trial_finish(store, &record, &all, &m->err), &m->err);
    if (!play.untested)
        desk_must(trial_test(store, id,
                             m->desk.study.evaluator.metric->value(predictions, TEST, CLASSES),
                             predictions, TEST, &m->err),
                  &m->err);
}

static inline void rank(struct made_up *m)
{
    m->report.complete = true;
    desk_must(rank_study(&m->desk.study, &m->report, &m->err), &m->err);
    for (size_t i = 0; i < m->report.ranking_count; i++)
        assert_int_equal(m->report.ranking[i].rank, i + 1);
}

static inline const struct ranked *row(const struct made_up *m, const char *technique)
{
    for (size_t i = 0; i < m->report.ranking_count; i++)
        if (!strcmp(m->report.ranking[i].technique, technique))
            return &m->report.ranking[i];
    fail_msg("%s is not in the ranking", technique);
    return NULL;
}

static inline void says(const char *sentence, const char *words)
{
    if (!sentence || !strstr(sentence, words))
        fail_msg("\"%s\" does not say \"%s\"", sentence ? sentence : "", words);
}

static inline void reasons_say(const struct made_up *m, const char *words)
{
    struct text all = {0};
    for (size_t i = 0; i < m->report.reason_count; i++)
        text_printf(&all, "%s ", m->report.reasons[i]);
    says(text_string(&all), words);
    text_release(&all);
}

static inline bool names(const char *const *list, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (!strcmp(list[i], name))
            return true;
    return false;
}

/* majority 35 %, and three techniques whose right answers are nested. */
static inline void add_usual(struct made_up *m, int zero_shot, int few_shot, int lora)
{
    add(m, (struct play){.technique = "majority", .examples = 500, .right = 70});
    add(m,
        (struct play){.technique = "zero_shot", .examples = 500, .right = zero_shot, .tokens = 40});
    add(m,
        (struct play){.technique = "few_shot", .examples = 500, .right = few_shot, .tokens = 42});
    add(m, (struct play){.technique = "lora",
                         .setting = "{\"learning_rate\":0.01}",
                         .examples = 64,
                         .tokens = 40,
                         .train = 1});
    add(m, (struct play){.technique = "lora", .examples = 64, .right = lora, .tokens = 40});
}

#endif
