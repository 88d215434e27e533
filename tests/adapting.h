/* SPDX-License-Identifier: Apache-2.0
 *
 * A tiny model, some data and an engine: what the suites of techniques/ share. To be included
 * after cmocka.h.
 */
#ifndef TESTS_ADAPTING_H
#define TESTS_ADAPTING_H

#include <stdio.h>
#include <string.h>

#include "datasets/dataset.h"
#include "model/chat.h"
#include "model/tokenizer.h"
#include "techniques/adapted.h"
#include "tests/fixture.h"

/* The first line names the columns. Texts are short: the tiny model reads 256 tokens. */
static const char *const data_two_labels = "text,label\n"
                                           "a warm film,positive\n"
                                           "dull and tired,negative\n"
                                           "no sense at all,negative\n"
                                           "a good story,positive\n"
                                           "well told,positive\n"
                                           "weak in the middle,negative\n"
                                           "funny and over too soon,positive\n"
                                           "not on anyone,negative\n"
                                           "rather pleasant,positive\n"
                                           "the plot was wrong,negative\n"
                                           "a surprise,positive\n"
                                           "never again,negative\n";

/* Labels that share beginnings, and labels that are the beginning of others. */
static const char *const data_seven_labels = "text,label\n"
                                             "I lost it,card lost\n"
                                             "somebody took it,card stolen\n"
                                             "my card,card\n"
                                             "where is the money,transfer\n"
                                             "it did not arrive,transfer late\n"
                                             "it was sent twice,transfer late again\n"
                                             "what does it cost,fee\n"
                                             "the card is gone,card lost\n"
                                             "how much is it,fee\n"
                                             "a transfer,transfer\n";

static const char *const data_choices = "question,answer\n"
                                        "\"Which is red?\nA) blood\nB) snow\nC) coal\",A\n"
                                        "\"Which is white?\nA) blood\nB) snow\nC) coal\",B\n"
                                        "\"Which is black?\nA) blood\nB) snow\nC) coal\",C\n"
                                        "\"Which is cold?\nA) fire\nB) ice\nC) sun\",B\n"
                                        "\"Which is hot?\nA) fire\nB) ice\nC) fog\",A\n"
                                        "\"Which is wet?\nA) fire\nB) dust\nC) rain\",C\n"
                                        "\"Which is dry?\nA) rain\nB) dust\nC) sea\",B\n"
                                        "\"Which flies?\nA) bird\nB) fish\nC) worm\",A\n";

static const char *const data_numbers = "question,answer\n"
                                        "two plus three,5\n"
                                        "four plus four,8\n"
                                        "ten plus one,11\n"
                                        "six plus one,7\n"
                                        "one plus one,2\n"
                                        "five times ten,50\n"
                                        "nine plus zero,9\n"
                                        "two times two,4\n";

static const char *const data_texts = "prompt,response\n"
                                      "greet,good day\n"
                                      "thank,many thanks\n"
                                      "leave,see you soon\n"
                                      "ask,how are you\n"
                                      "agree,that is so\n"
                                      "refuse,no thanks\n"
                                      "wait,one moment\n"
                                      "praise,well done\n";

/* The same with worked solutions. */
static const char *const data_worked = "question,rationale,answer\n"
                                       "two plus three,\"two, and three more\",5\n"
                                       "four plus four,twice four,8\n"
                                       "ten plus one,\"ten, and one more\",11\n"
                                       "six plus one,\"six, and one more\",7\n"
                                       "one plus one,twice one,2\n"
                                       "five times ten,\"ten, five times\",50\n"
                                       "nine plus zero,nothing is added,9\n"
                                       "two times two,twice two,4\n";

enum { SUBJECT_ROWS = 128 };

struct subject {
    struct model *model;
    struct engine *engine;
    struct dataset data;
    size_t rows[SUBJECT_ROWS];
    const struct example *examples[SUBJECT_ROWS];
    struct material material; /* all examples, in the order of the data */
    struct arena arena;
};

static const char tiny_llama[] = FIXTURES "tiny.gguf";
static const char tiny_qwen2[] = FIXTURES "tiny_qwen2.gguf"; /* with biases, and an untied head */

static inline void subject_open_model(struct subject *s, const char *path, const char *csv,
                                      enum task task, int threads)
{
    struct error err;
    struct dataset_options options = {.task = task};
    *s = (struct subject){.model = fixture_model(path)};
    s->engine = engine_create(s->model, threads);
    arena_init(&s->arena, NULL);
    if (dataset_parse("data.csv", csv, strlen(csv), &options, &s->data, &err) != OK)
        fail_msg("%s", err.text);
    assert_true(s->data.count <= SUBJECT_ROWS);
    for (size_t i = 0; i < s->data.count; i++) {
        s->rows[i] = i;
        s->examples[i] = &s->data.examples[i];
    }
    s->material =
        (struct material){.data = &s->data, .rows = s->rows, .count = s->data.count, .seed = 1};
}

static inline void subject_open(struct subject *s, const char *csv, enum task task, int threads)
{
    subject_open_model(s, tiny_llama, csv, task, threads);
}

/* Also checks that nothing counted by the engine was left behind. */
static inline void subject_close(struct subject *s)
{
    engine_trim(s->engine);
    assert_int_equal(s->engine->meter.now, 0);
    engine_free(s->engine);
    dataset_release(&s->data);
    arena_release(&s->arena);
    model_free(s->model);
}

/* A setting from "name=value;name=value"; an empty text means the defaults. */
static inline struct setting subject_setting(struct subject *s, const struct technique *technique,
                                             const char *assignments)
{
    struct setting setting = setting_default(technique);
    struct error err;
    for (const char *at = assignments; *at;) {
        size_t length = strcspn(at, ";");
        const char *one = arena_strndup(&s->arena, at, length);
        if (setting_set(&setting, one, &s->arena, &err) != OK)
            fail_msg("%s", err.text);
        at += length + (at[length] != 0);
    }
    return setting;
}

/* Whether the model has anything that the technique trains. */
static inline bool subject_trains_on(const struct technique *technique, const struct model *model)
{
    struct setting setting = setting_default(technique);
    struct workload workload = {.model = model, .examples = 8, .labels = 2};
    struct cost cost = {0};
    if (!(technique->needs & NEEDS_GRADIENT))
        return true;
    technique->predict(&setting, &workload, &cost);
    return cost.trainable_parameters > 0;
}

static inline struct adapted *subject_adapt(struct subject *s, const struct technique *technique,
                                            const char *assignments)
{
    struct adapted *adapted;
    struct error err;
    struct setting setting = subject_setting(s, technique, assignments);
    if (adapted_create(&adapted, s->engine, &setting, &s->material, &err) != OK)
        fail_msg("%s %s: %s", technique->name, assignments, err.text);
    return adapted;
}

/* The answers to all examples; they live until the subject is closed. */
static inline struct outcome *subject_answer(struct subject *s, struct adapted *adapted)
{
    struct outcome *outcomes = arena_alloc(&s->arena, s->data.count * sizeof *outcomes);
    struct error err;
    if (adapted_answer(adapted, s->examples, s->data.count, outcomes, &s->arena, NULL, &err) != OK)
        fail_msg("%s: %s", adapted->technique->name, err.text);
    return outcomes;
}

/* The stored names of tokens in one line, separated by spaces; a space itself reads \u0120, a new
 * line \u010A. The text lives until the subject is closed. */
static inline const char *subject_names(struct subject *s, const int32_t *ids, size_t count)
{
    struct text line = {0};
    for (size_t i = 0; i < count; i++)
        text_printf(&line, "%s%s", i ? " " : "", tokenizer_name(s->model->tokenizer, ids[i]));
    const char *copy = arena_strdup(&s->arena, text_string(&line));
    text_release(&line);
    return copy;
}

/* Logits behind `ids` (prefix included), computed in one go without any cache. They live until the
 * engine's first workspace is used again. */
static inline const real *subject_logits(const struct adapted *adapted, const struct tokens *ids)
{
    struct workspace *w = engine_workspace(adapted->engine, 0, false);
    int last = (int)ids->count - 1;
    struct segment segment = {
        .length = (int)ids->count, .parent = -1, .position = adapted->past_rows};
    struct layout layout = {.rows = segment.length,
                            .tokens = ids->ids,
                            .segments = &segment,
                            .n_segments = 1,
                            .scored = &last,
                            .n_scored = 1};
    struct pass pass =
        adapted_pass(adapted, &w->tape, &layout, adapted_views(adapted, NULL, &w->arena));
    struct tensor *x = transformer_forward(&pass);
    return op_linear(&w->tape, x, transformer_head(&pass), NULL)->data;
}

#endif
