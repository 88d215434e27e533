/* SPDX-License-Identifier: Apache-2.0
 *
 * A study made up for reports: a dozen techniques with ties, learning curves, forecasts, rules and
 * a target, written into a study file with everything a report shows. With `hostile`, every text
 * that a user could choose tries to be something else than text. To be included after cmocka.h and
 * tests/store_support.h.
 */
#ifndef TESTS_REPORT_FIXTURE_H
#define TESTS_REPORT_FIXTURE_H

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/random.h"
#include "evaluators/statistics.h"
#include "reports/report.h"

enum { MADE_DEV = 180, MADE_TEST = 120, MADE_CLASSES = 7, MADE_SIZES = 4 };

/* What is made up of one technique. */
struct made {
    const char *technique, *family, *setting;
    double reached, start; /* metric at 512 examples and at 64; equal without training */
    double train_seconds, tokens, training_tokens, latency_ms, memory, parameters;
};

static const struct made made[] = {
    {"lora", "peft", "{\"learning_rate\":0.003,\"lora_alpha\":8,\"r\":8}", 0.89, 0.66, 84, 43,
     66048, 126, 1.30e9, 460800},
    {"full_finetune", "full", "{\"learning_rate\":3e-5}", 0.905, 0.58, 310, 43, 66048, 125, 2.9e9,
     134515008},
    {"adapter", "peft", "{\"adapter_dim\":32,\"learning_rate\":0.001}", 0.875, 0.62, 77, 43, 66048,
     131, 1.22e9, 1130000},
    {"ia3", "peft", "{\"learning_rate\":0.01}", 0.80, 0.52, 71, 43, 66048, 127, 1.18e9, 41472},
    {"linear_probe", "probe", "{\"l2\":0.01}", 0.79, 0.64, 6.2, 43, 22016, 118, 6.1e8, 4032},
    {"prefix_tuning", "peft", "{\"num_virtual_tokens\":20}", 0.74, 0.40, 90, 43, 66048, 139, 1.21e9,
     230400},
    {"p_tuning", "prompt", "{\"num_virtual_tokens\":20}", 0.71, 0.38, 118, 63, 96768, 171, 1.25e9,
     666000},
    {"prompt_tuning", "prompt", "{\"num_virtual_tokens\":20}", 0.64, 0.36, 112, 63, 96768, 170,
     1.2e9, 11520},
    {"few_shot", "prompt", "{\"k\":16}", 0.61, 0.61, 0, 402, 0, 144, 5.9e8, 0},
    {"chain_of_thought", "prompt", "{\"k\":4}", 0.52, 0.52, 0, 590, 0, 1840, 6.3e8, 0},
    {"zero_shot", "prompt", "{}", 0.34, 0.34, 0, 41, 0, 124, 5.6e8, 0},
    {"majority", "baseline", "{}", 0.275, 0.275, 0, 0, 0, 0.0004, 262144, 0},
};

enum { MADE = sizeof made / sizeof *made };

static const char *const made_classes[MADE_CLASSES] = {"billing",  "feature",  "login",    "refund",
                                                       "security", "shipping", "technical"};

static const char made_script[] =
    "<script>document.title='taken'</script><img src=x onerror=alert(1)>\"'><svg onload=alert(2)>";

static const char *const made_hostile_classes[MADE_CLASSES] = {
    "\"><script>alert(1)</script>",
    "\u202Eevitisop\u202C",
    "\u05E9\u05DC\u05D5\u05DD \u0645\u0631\u062D\u0628\u0627",
    "\U0001F469\u200D\U0001F4BB\U0001F525\U0001F1E9\U0001F1EA",
    "a_class_with_a_name_that_is_very_much_longer_than_any_page_is_wide_and_has_no_spaces_in_it",
    "z\u0351\u036B\u0343a\u0315lgo\u0322\u0489 \u6F22\u5B57\u6F22\u5B57",
    "{{7*7}} ${7*7} %s%n & &amp; ' <!-- </style>"};

struct made_study {
    struct arena *arena;
    bool hostile;
    const char *const *classes;
    struct report report;
    struct ranked *rows;
    int truths[MADE_DEV + MADE_TEST];
};

/* ---- Answers ----------------------------------------------------------------------------------
 */

/* Easy examples are easy for all techniques. */
static inline void made_answers(struct made_study *s, size_t which, double accuracy, bool test,
                                struct prediction *out)
{
    size_t first = test ? MADE_DEV : 0, count = test ? MADE_TEST : MADE_DEV;
    for (size_t i = 0; i < count; i++) {
        struct random hard = random_stream(5, "difficulty", first + i);
        struct random own = random_stream(5, made[which].technique, first + i);
        double ease = 0.7 * random_uniform(&hard) + 0.3 * random_uniform(&own);
        bool right = ease < accuracy * 0.62 + 0.19;
        int truth = s->truths[first + i], wrong = (truth + 1 + (int)random_below(&own, 2) * 3) % 7;
        out[i] = (struct prediction){.example = (int64_t)(3 * i + (test ? 1 : 0)),
                                     .truth = truth,
                                     .label = right ? truth : wrong,
                                     .correct = right,
                                     .scored = true,
                                     .probability = 0.35 + 0.6 * random_uniform(&own),
                                     .nll = right ? 0.3 : 1.9};
    }
}

static inline double made_share(const struct prediction *predictions, size_t count)
{
    size_t right = 0;
    for (size_t i = 0; i < count; i++)
        right += predictions[i].correct;
    return (double)right / (double)count;
}

/* ---- Trials -----------------------------------------------------------------------------------
 */

static inline struct trial_record made_result(const struct made *m, double share, double size)
{
    struct interval interval = wilson_interval(lround(share * MADE_DEV), MADE_DEV, 0.95);
    double time = m->train_seconds * size / 512;
    return (struct trial_record){
        .metric_name = "accuracy",
        .metric = measured(share),
        .low = measured(fmin(interval.low, share)),
        .high = measured(fmax(interval.high, share)),
        .trial_seconds = measured(time + 0.18 * m->latency_ms),
        .train_seconds = m->train_seconds > 0 ? measured(time) : (struct measured){0},
        .tokens_per_request = measured(m->tokens),
        .latency_ms = measured(m->latency_ms),
        .trainable_parameters = measured(m->parameters),
        .peak_memory_bytes = measured(m->memory),
        .artifact_bytes = measured(4 * m->parameters),
        .forgetting = time > 0 ? measured(0.01 + time / 1000) : (struct measured){0},
        .metrics = "{\"accuracy\":0.8,\"macro_f1\":0.75}",
    };
}

/* Plans, claims and finishes one trial; returns its number. */
static inline int64_t made_trial(struct store *store, const struct made *m, int64_t examples,
                                 const char *purpose, struct trial_record record,
                                 const struct trial_predictions *predictions)
{
    struct error err = {0};
    struct trial_key key = {m->technique, m->setting, examples, 0, purpose};
    enum claim claim;
    int64_t id;
    must(trial_plan(store, &key, &id, &err), &err);
    must(trial_claim(store, id, &claim, &err), &err);
    record.id = id;
    must(trial_finish(store, &record, predictions, &err), &err);
    return id;
}

static inline void made_race(struct store *store, const struct made *m)
{
    struct trial_record record = {.trial_seconds = measured(m->train_seconds / 8),
                                  .train_seconds = measured(m->train_seconds / 8),
                                  .prequential_nll = measured(1.4 - m->start / 2)};
    struct trial_predictions none = {0};
    made_trial(store, m, 64, "rate race", record, &none);
}

/* All trials of a technique; the last one stands for it. */
static inline void made_technique(struct made_study *s, struct store *store, size_t which)
{
    const struct made *m = &made[which];
    struct prediction dev[MADE_DEV], test[MADE_TEST];
    bool trains = m->train_seconds > 0;
    struct ranked *row = &s->rows[which];
    if (trains)
        made_race(store, m);
    for (int i = trains ? 0 : MADE_SIZES - 1; i < MADE_SIZES; i++) {
        bool last = i == MADE_SIZES - 1;
        double share = m->start + (m->reached - m->start) * pow((double)i / (MADE_SIZES - 1), 0.7);
        made_answers(s, which, trains ? share : m->reached, false, dev);
        made_answers(s, which, m->reached, true, test);
        struct trial_predictions predictions = {dev, MADE_DEV, test, last ? MADE_TEST : 0};
        struct trial_record record =
            made_result(m, made_share(dev, MADE_DEV), 64 * pow(2, (double)i));
        if (last)
            record.test_metric = measured(made_share(test, MADE_TEST));
        made_trial(store, m, 64 << i, "rung", record, &predictions);
        row->metric = record.metric;
        row->low = record.low;
        row->high = record.high;
        row->test_metric = record.test_metric;
        row->trial_seconds = record.trial_seconds;
        row->train_seconds = record.train_seconds;
        row->forgetting = record.forgetting;
        row->metrics = "{\"accuracy\":0.8,\"macro_f1\":0.75}";
    }
}

/* ---- Report -----------------------------------------------------------------------------------
 */

static inline void made_forecast(struct made_study *s, struct ranked *row)
{
    struct forecast_point *points = arena_alloc(s->arena, 3 * sizeof *points);
    for (int i = 0; i < 3; i++) {
        double metric = fmin(0.97, row->metric.value + 0.018 * (i + 1)), slack = 0.015 * (i + 2);
        points[i] = (struct forecast_point){.examples = 1024.0 * (1 << i),
                                            .metric = metric,
                                            .low = metric - slack,
                                            .high = fmin(1, metric + slack)};
    }
    row->forecast = (struct report_forecast){
        .level = 0.8, .points = points, .count = 3, .examples_to_target = measured(1480)};
}

static inline void made_rules(struct made_study *s)
{
    struct reason *reasons = arena_alloc(s->arena, 3 * sizeof *reasons);
    const char *text = s->hostile ? made_script : "low-rank updates need few examples";
    const char *evidence = s->hostile ? made_script : "0.889 against 0.806 of few_shot";
    reasons[0] = (struct reason){"R09", "Hu et al. 2021", text, VERDICT_CONFIRMED, evidence};
    reasons[1] = (struct reason){"R17", "Biderman et al. 2024",
                                 "changing all weights forgets more than low-rank updates do",
                                 VERDICT_UNTESTED, ""};
    reasons[2] =
        (struct reason){"R21", "Lester et al. 2021",
                        "on a model this small, prompt tuning stays behind changing weights",
                        VERDICT_OVERRIDDEN, "0.61 against 0.58 of lora"};
    s->rows[0].reasons = &reasons[0];
    s->rows[1].reasons = &reasons[1];
    s->rows[7].reasons = &reasons[2];
    s->rows[0].reason_count = s->rows[1].reason_count = s->rows[7].reason_count = 1;
}

static inline void made_row(struct made_study *s, size_t i)
{
    static const char *const ties[][2] = {
        {"full_finetune", "adapter"}, {"lora", "adapter"}, {"lora", "full_finetune"}};
    const struct made *m = &made[i];
    struct ranked *row = &s->rows[i];
    row->rank = (int)i + 1;
    row->technique = m->technique;
    row->family = m->family;
    row->note = s->hostile ? made_script : "";
    row->setting = m->setting;
    row->examples = 512;
    row->seeds = 1;
    row->tied_with = i < 3 ? ties[i] : NULL;
    row->tied_count = i < 3 ? 2 : 0;
    row->probability_best = measured(i < 3 ? 0.36 - 0.05 * (double)i : 0);
    row->probability_meets_target = measured(i < 3 ? 0.86 : 0.01);
    row->tokens_per_request = measured(m->tokens);
    row->latency_ms = measured(m->latency_ms);
    row->training_tokens = measured(m->training_tokens);
    row->trainable_parameters = measured(m->parameters);
    row->peak_memory_bytes = measured(m->memory);
    row->artifact_bytes = measured(4 * m->parameters);
}

static inline void made_facts(struct made_study *s)
{
    static const size_t counts[MADE_CLASSES] = {212, 151, 118, 104, 73, 50, 42};
    static const char *const reasons[] = {
        "lora reaches accuracy 0.889 [0.835, 0.927] on 180 development examples.",
        ("It is the cheapest of those that reach the target of 0.85 with a probability of at "
         "least 0.8."),
        "On 180 development examples it cannot be told apart from: full_finetune, adapter.",
        "Always giving the most frequent answer reaches 0.278."};
    static const char *const warnings[] = {
        "3 texts occur with more than one answer, first on lines 17 and 230: no model can get both "
        "right.",
        "the longest input has 4200 tokens, over half of the model's context of 8192."};
    static const char *const front[] = {"majority", "zero_shot", "linear_probe", "lora",
                                        "full_finetune"};
    struct label_count *labels = arena_alloc(s->arena, MADE_CLASSES * sizeof *labels);
    for (size_t i = 0; i < MADE_CLASSES; i++)
        labels[i] = (struct label_count){s->classes[(i * 3 + 6) % MADE_CLASSES], counts[i]};
    s->report = (struct report){
        .study = s->hostile ? made_script : "support-tickets-1f2e3d",
        .complete = true,
        .model_name = s->hostile ? made_script : "SmolLM2 135M Instruct",
        .model_path = s->hostile ? made_script : "/home/user/models/small.gguf",
        .model_sha256 = HASH,
        .model_parameters = 134515008,
        .model_bytes = 98362432,
        .model_context = 8192,
        .data_path = s->hostile ? made_script : "support-tickets.csv",
        .data_sha256 = HASH,
        .task = "classification",
        .examples = 750,
        .train = 450,
        .dev = 180,
        .test = 120,
        .dev_used = MADE_DEV,
        .test_used = MADE_TEST,
        .labels = labels,
        .label_count = MADE_CLASSES,
        .input_tokens_mean = measured(43.2),
        .input_tokens_max = measured(4200),
        .exact_duplicates = 1,
        .near_duplicates = 7,
        .conflicting = 3,
        .warnings = s->hostile ? made_hostile_classes : warnings,
        .warning_count = s->hostile ? MADE_CLASSES : 2,
        .metric = "accuracy",
        .target = measured(0.85),
        .confidence = 0.8,
        .budget_seconds = 1800,
        .max_memory_bytes = measured(4294967296),
        .requests = measured(100000),
        .technique = "lora",
        .outcome = OUTCOME_MEETS_TARGET,
        .reasons = s->hostile ? made_hostile_classes : reasons,
        .reason_count = s->hostile ? MADE_CLASSES : 4,
        .pareto = front,
        .pareto_count = 5,
        .spent_seconds = 1694.2,
        .exhaustive_seconds_estimate = 9120,
        .command = s->hostile
                       ? made_script
                       : "advisor recommend support-tickets.csv --target 0.85 --confidence 0.8 "
                         "--max-memory 4G --requests 100k --metric accuracy --budget 1800s "
                         "--seed 0",
        .program_version = "0.1.0",
    };
}

/* Rows of what was not measured come last. */
static inline void made_rest(struct made_study *s)
{
    static const struct winner_change changes[] = {{"full_finetune", 4096, 0.87}};
    s->report.winner_changes = changes;
    s->report.winner_change_count = 1;
    s->rows[MADE] =
        (struct ranked){.rank = MADE + 1,
                        .technique = "bitfit",
                        .family = "peft",
                        .status = STANDING_EXCLUDED,
                        .note = s->hostile ? made_script : "trains biases, and this model has none",
                        .setting = "{}"};
    s->rows[MADE + 1] =
        (struct ranked){.rank = MADE + 2,
                        .technique = "norm_tuning",
                        .family = "peft",
                        .status = STANDING_NOT_RUN,
                        .note = "needs about 1m20s more (64 examples); use --budget 35m",
                        .setting = "{}"};
}

/* ---- The file ---------------------------------------------------------------------------------
 */

static inline const char *made_input(struct made_study *s, size_t i)
{
    static const char *const starts[] = {"The invoice of March was charged twice",
                                         "I cannot log in since the update",
                                         "Where is my parcel, it was due on Monday",
                                         "Please give me my money back for the broken lamp",
                                         "Somebody else signed in with my password"};
    if (!s->hostile)
        return arena_printf(s->arena,
                            "%s. Order %zu was placed last week and nobody has answered my "
                            "questions about it so far, although I wrote to you several times and "
                            "called the number on your page.",
                            starts[i % 5], 1000 + i);
    if (i % 3)
        return arena_printf(s->arena, "%s \u202E%zu\u2066 %s", made_script, i,
                            made_hostile_classes[i % MADE_CLASSES]);
    char *cell = arena_alloc(s->arena, 10241); /* a cell of 10 KB without a space */
    memset(cell, 'W', 10240);
    cell[10240] = '\0';
    return cell;
}

static inline void made_examples(struct made_study *s, struct store *store, enum side side)
{
    size_t count = side == SIDE_DEV ? MADE_DEV : MADE_TEST, first = side == SIDE_DEV ? 0 : MADE_DEV;
    struct example_record *examples = arena_alloc(s->arena, count * sizeof *examples);
    struct error err = {0};
    for (size_t i = 0; i < count; i++) {
        int64_t number = (int64_t)(3 * i + (side == SIDE_TEST ? 1 : 0));
        examples[i] = (struct example_record){number, number + 2, made_input(s, first + i),
                                              s->classes[s->truths[first + i]]};
    }
    must(store_examples_put(store, side, examples, count, &err), &err);
}

static inline int made_by_bytes(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static inline void made_record(struct made_study *s, struct store *store)
{
    struct study_record record = small_study();
    struct text json = {0};
    struct error err = {0};
    report_format_find("json")->write(&s->report, (struct report_style){0}, &json);
    record.name = s->report.study;
    record.recommendation = text_string(&json);
    record.seed = 0;
    record.done = true;
    must(store_study_put(store, &record, &err), &err);
    text_release(&json);
}

/* Writes the study to `path`, a file that does not exist; everything lives in `arena`. The report
 * is what `advisor report` has to find there, without the evidence. */
static inline struct report made_write(const char *path, bool hostile, struct arena *arena)
{
    static const char *sorted[2][MADE_CLASSES];
    struct made_study s = {.arena = arena, .hostile = hostile, .classes = sorted[hostile]};
    struct store *store = must_open(path, STORE_CREATE);
    memcpy(sorted[hostile], hostile ? made_hostile_classes : made_classes, sizeof sorted[0]);
    qsort(sorted[hostile], MADE_CLASSES, sizeof *sorted[0], made_by_bytes);
    for (size_t i = 0; i < MADE_DEV + MADE_TEST; i++) {
        struct random random = random_stream(5, "truth", i);
        size_t a = random_below(&random, MADE_CLASSES), b = random_below(&random, MADE_CLASSES);
        s.truths[i] = (int)(a < b ? a : b);
    }
    s.rows = arena_zalloc(arena, (MADE + 2) * sizeof *s.rows);
    made_facts(&s);
    made_record(&s, store); /* trials need a study */
    for (size_t i = 0; i < MADE; i++) {
        made_row(&s, i);
        made_technique(&s, store, i);
    }
    for (size_t i = 0; i < 4; i++)
        made_forecast(&s, &s.rows[i]);
    made_rules(&s);
    made_rest(&s);
    s.report.ranking = s.rows;
    s.report.ranking_count = MADE + 2;
    s.report.complete = false;
    made_record(&s, store);
    made_examples(&s, store, SIDE_DEV);
    made_examples(&s, store, SIDE_TEST);
    store_close(store);
    return s.report;
}

#endif
