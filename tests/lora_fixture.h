/* SPDX-License-Identifier: Apache-2.0
 *
 * LoRA trained as peft did it (tests/parity/make_lora_tiny.py): shared by the float and the double
 * test of the trainer. To be included after techniques/trainer.c, whose steps it takes one by one,
 * since the fixture's sequences are no texts.
 */
#ifndef TESTS_LORA_FIXTURE_H
#define TESTS_LORA_FIXTURE_H

#include "tests/adapting.h"

enum { FIXTURE_STEPS = 10, FIXTURE_SEQUENCES = 2, FIXTURE_LENGTH = 32 };

struct lora_tolerance {
    double loss;     /* relative */
    double gradient; /* of the largest entry */
    double value;    /* of a parameter after ten steps, absolute */
};

struct fixture_sequences {
    int32_t ids[FIXTURE_SEQUENCES][FIXTURE_LENGTH];
    struct sequence sequences[FIXTURE_SEQUENCES];
};

/* Targets are the next ids from some position to the end: request and answer. */
static inline void fixture_read_sequences(const json_t *document, struct fixture_sequences *out)
{
    const json_t *sequences = json_object_get(document, "sequences");
    assert_int_equal(json_array_size(sequences), FIXTURE_SEQUENCES);
    for (size_t s = 0; s < FIXTURE_SEQUENCES; s++) {
        const json_t *one = json_array_get(sequences, s);
        const json_t *targets = json_object_get(one, "targets");
        int count = fixture_ids(json_object_get(one, "ids"), out->ids[s], FIXTURE_LENGTH);
        int request = 1;
        while (json_integer_value(json_array_get(targets, (size_t)request - 1)) < 0)
            request++;
        for (int i = request; i < count; i++)
            assert_int_equal(json_integer_value(json_array_get(targets, (size_t)i - 1)),
                             out->ids[s][i]);
        out->sequences[s] =
            (struct sequence){.ids = out->ids[s], .request = request, .answer = count - request};
    }
}

/* The numbers of the fixture for parameter `item`, such as "final" of "blk.0.attn_q.lora_a". */
static inline const json_t *fixture_values(const json_t *lora, const struct parameter *item,
                                           const char *prefix)
{
    char tensor[64], key[32];
    const char *end = strstr(item->name, ".lora_");
    assert_non_null(end);
    snprintf(tensor, sizeof tensor, "%.*s.weight", (int)(end - item->name), item->name);
    snprintf(key, sizeof key, "%s%c", prefix, item->name[strlen(item->name) - 1]);
    const json_t *values = json_object_get(json_object_get(lora, tensor), key);
    assert_int_equal(json_array_size(values), item->rows * item->cols);
    return values;
}

/* Compares `found`, laid out like the parameters, with the fixture. */
static inline void fixture_compare(const struct parameters *p, const real *found,
                                   const json_t *lora, const char *prefix, double tolerance)
{
    for (int i = 0; i < p->n_items; i++) {
        const json_t *expected = fixture_values(lora, &p->items[i], prefix);
        for (size_t v = 0; v < json_array_size(expected); v++) {
            double want = json_number_value(json_array_get(expected, v));
            double got = (double)found[p->items[i].offset + v];
            if (!(fabs(got - want) <= tolerance))
                fail_msg("%s%s, %zu: %.12g, expected %.12g", prefix, p->items[i].name, v, got,
                         want);
        }
    }
}

static inline void fixture_set_parameters(struct parameters *p, const json_t *lora)
{
    for (int i = 0; i < p->n_items; i++) {
        const json_t *values = fixture_values(lora, &p->items[i], "");
        for (size_t v = 0; v < json_array_size(values); v++)
            p->values[p->items[i].offset + v] = (real)json_number_value(json_array_get(values, v));
    }
}

/* What each step is compared with. */
struct fixture_expected {
    const json_t *losses, *norms;
    const struct lora_tolerance *tolerance;
};

static inline void fixture_near(double found, const json_t *expected, double tolerance,
                                const char *what)
{
    double want = json_number_value(expected);
    if (!(fabs(found - want) <= tolerance * fabs(want)))
        fail_msg("%s: %.12g, expected %.12g", what, found, want);
}

static inline enum status fixture_step(void *context, const struct training_step *step,
                                       size_t total, struct error *err)
{
    (void)err;
    const struct fixture_expected *expected = context;
    assert_int_equal(total, FIXTURE_STEPS);
    fixture_near(step->loss, json_array_get(expected->losses, step->step - 1),
                 expected->tolerance->loss, "loss");
    fixture_near(step->grad_norm, json_array_get(expected->norms, step->step - 1),
                 expected->tolerance->loss, "gradient norm");
    return OK;
}

static inline double fixture_largest(const json_t *lora, const struct parameters *p)
{
    double largest = 0;
    for (int i = 0; i < p->n_items; i++) {
        const json_t *values = fixture_values(lora, &p->items[i], "grad_");
        for (size_t v = 0; v < json_array_size(values); v++)
            largest = fmax(largest, fabs(json_number_value(json_array_get(values, v))));
    }
    return largest;
}

static inline void fixture_train(struct training *t, const json_t *one,
                                 const struct lora_tolerance *tolerance)
{
    const json_t *lora = json_object_get(one, "lora");
    const struct parameters *p = &t->adapted->parameters;
    struct training_step step = {0};
    struct training_report report = {0};
    struct error err;
    size_t rows = 0;
    struct sequence batch[FIXTURE_SEQUENCES]; /* a step changes their order */
    memcpy(batch, t->sequences, sizeof batch);
    assert_int_equal(run_step(t, batch, FIXTURE_SEQUENCES, &step, &rows, &err), OK);
    fixture_compare(p, t->gradient, lora, "grad_", tolerance->gradient * fixture_largest(lora, p));
    fixture_near(step.loss, json_object_get(one, "loss"), tolerance->loss, "first loss");
    struct fixture_expected expected = {.losses = json_object_get(one, "losses"),
                                        .norms = json_object_get(one, "grad_norms"),
                                        .tolerance = tolerance};
    struct training_hooks hooks = {.context = &expected, .step = fixture_step};
    assert_int_equal(run_epochs(t, FIXTURE_SEQUENCES, 1, &hooks, &report, &err), OK);
    assert_int_equal(report.steps, FIXTURE_STEPS);
    fixture_compare(p, p->values, lora, "final_", tolerance->value);
    assert_int_equal(run_step(t, batch, FIXTURE_SEQUENCES, &step, &rows, &err), OK);
    fixture_near(step.loss, json_object_get(one, "final_loss"), tolerance->loss, "final loss");
}

/* Every case of the fixture, with that many threads. */
static inline void check_lora_fixture(int threads, const struct lora_tolerance *tolerance)
{
    static const char *const modules[] = {"all-linear", "q_proj,v_proj"};
    json_t *document = fixture_json("lora_tiny.json");
    const json_t *cases = json_object_get(document, "cases");
    assert_int_equal(json_array_size(cases), 2);
    for (size_t c = 0; c < 2; c++) {
        struct subject s;
        struct fixture_sequences sequences;
        char assignments[256];
        snprintf(assignments, sizeof assignments,
                 "target_modules=%s;r=4;lora_alpha=8;learning_rate=0.01;num_epochs=10;batch_size=2;"
                 "lr_scheduler_type=constant;warmup_ratio=0;weight_decay=0.01;max_grad_norm=0",
                 modules[c]);
        subject_open(&s, data_two_labels, TASK_CLASSIFICATION, threads);
        struct adapted *adapted = subject_adapt(&s, technique_find("lora"), assignments);
        tokens_clear(&adapted->prefix);
        fixture_read_sequences(document, &sequences);
        const json_t *one = json_array_get(cases, c);
        assert_int_equal(json_object_size(json_object_get(one, "lora")) * 2,
                         adapted->parameters.n_items);
        fixture_set_parameters(&adapted->parameters, json_object_get(one, "lora"));
        struct training t = {.adapted = adapted, .sequences = sequences.sequences};
        arena_init(&t.arena, NULL);
        prepare(&t);
        fixture_train(&t, one, tolerance);
        arena_release(&t.arena);
        adapted_release(adapted);
        subject_close(&s);
    }
    json_decref(document);
}

#endif
