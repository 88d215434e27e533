/* SPDX-License-Identifier: Apache-2.0
 *
 * The cases of tests/parity/fixtures/peft_tiny*.json, run through a technique's attachment and the
 * steps of the trainer, in float as in double. Includes the trainer's source, whose steps take
 * batches of token ids that no text encodes to. To be included after cmocka.h.
 */
#ifndef TESTS_PEFT_PARITY_H
#define TESTS_PEFT_PARITY_H

#include <math.h>
#include <stdarg.h>

#include "techniques/registry.h"
#include "techniques/trainer.c"
#include "tests/adapting.h"

static const struct technique *const peft_techniques[] = {
    &lora,    &ia3,         &prompt_tuning, &prefix_tuning, &p_tuning,
    &adapter, &norm_tuning, &full_finetune, &bitfit};

enum { PEFT_TECHNIQUES = sizeof peft_techniques / sizeof *peft_techniques };

/* What may differ, all of it relative: the loss and the gradient before the first step, losses and
 * norms while it learns, and the values that it leads to, where the fixture has them. */
struct tolerance {
    double loss, gradient, steps, values;
};

static inline const struct technique *peft_technique(const char *name)
{
    for (int i = 0; i < PEFT_TECHNIQUES; i++)
        if (!strcmp(peft_techniques[i]->name, name))
            return peft_techniques[i];
    fail_msg("no technique %s", name);
    return NULL;
}

static inline const json_t *get(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (!value)
        fail_msg("the fixture has no \"%s\"", key);
    return value;
}

/* Each sequence is a request and, from the first target on, its answer. */
static inline size_t peft_sequences(const json_t *document, struct sequence *sequences,
                                    struct arena *arena)
{
    const json_t *rows = get(document, "sequences");
    size_t count = json_array_size(rows);
    for (size_t s = 0; s < count; s++) {
        const json_t *row = json_array_get(rows, s), *targets = get(row, "targets");
        int32_t *ids = arena_alloc(arena, BATCH_ROWS * sizeof *ids);
        int length = fixture_ids(get(row, "ids"), ids, BATCH_ROWS), request = 1;
        while (json_integer_value(json_array_get(targets, (size_t)request - 1)) < 0)
            request++;
        for (int i = request; i < length; i++)
            assert_int_equal(json_integer_value(json_array_get(targets, (size_t)i - 1)), ids[i]);
        sequences[s] =
            (struct sequence){.ids = ids, .request = request, .answer = length - request};
    }
    return count;
}

/* The fixture reads no instruction: only the virtual tokens stay in front. */
static inline void drop_instruction(struct adapted *adapted)
{
    size_t virtual_tokens = 0;
    while (adapted->prefix.ids[virtual_tokens] < 0)
        virtual_tokens++;
    adapted->prefix.count = virtual_tokens;
}

/* Gives the parameters their values; those that the fixture has none for keep theirs. */
static inline void set_parameters(struct adapted *adapted, const json_t *parameters)
{
    const struct parameters *p = &adapted->parameters;
    assert_int_equal(p->n_items, json_object_size(parameters));
    for (int i = 0; i < p->n_items; i++) {
        const struct parameter *item = &p->items[i];
        const json_t *row = get(parameters, item->name);
        assert_int_equal(item->rows, json_integer_value(get(row, "rows")));
        assert_int_equal(item->cols, json_integer_value(get(row, "cols")));
        const json_t *values = json_object_get(row, "values");
        size_t size = (size_t)item->rows * (size_t)item->cols;
        assert_int_equal(json_array_size(values), values ? size : 0);
        for (size_t v = 0; values && v < size; v++)
            adapted_parameter(adapted, i)[v] = (real)json_number_value(json_array_get(values, v));
    }
}

/* One case under comparison, and where it differs first. */
struct parity {
    const char *name;
    struct tolerance tolerance;
    struct text difference; /* empty: nowhere yet */
};

static inline void __attribute__((format(printf, 2, 3)))
differs(struct parity *p, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (!p->difference.length)
        text_printf(&p->difference, "%s: %s", p->name, text);
}

static inline void check_near(struct parity *p, const char *what, size_t step, double found,
                              double want, double tolerance)
{
    if (!(fabs(found - want) <= tolerance * fabs(want)))
        differs(p, "%s of step %zu is %.12g, expected %.12g", what, step, found, want);
}

/* Compares `gradient`, or every grad_step-th row of it, as one vector, and its norm. */
static inline void check_gradient(struct parity *p, const struct parameter *item,
                                  const real *gradient, const json_t *row)
{
    const json_t *step = json_object_get(row, "grad_step"), *expected = get(row, "grad");
    size_t cols = (size_t)item->cols, skip = step ? (size_t)json_integer_value(step) : 1;
    double size = 0, difference = 0;
    size_t at = 0;
    for (size_t r = 0; r < (size_t)item->rows; r += skip)
        for (size_t c = 0; c < cols; c++) {
            double want = json_number_value(json_array_get(expected, at++));
            size += want * want;
            difference += pow((double)gradient[r * cols + c] - want, 2);
        }
    assert_int_equal(json_array_size(expected), at);
    assert_true(size > 0);
    if (!(sqrt(difference / size) <= p->tolerance.gradient))
        differs(p, "the gradient of %s differs by %g", item->name, sqrt(difference / size));
    double length = sqrt(sum_of_squares(gradient, cols * (size_t)item->rows));
    check_near(p, item->name, 1, length, fixture_number(row, "grad_norm"), p->tolerance.gradient);
}

/* Where they are known, the values behind the last step. */
static inline void check_final(struct parity *p, const struct parameters *parameters,
                               const json_t *rows)
{
    for (int i = 0; i < parameters->n_items; i++) {
        const struct parameter *item = &parameters->items[i];
        const json_t *final = json_object_get(get(rows, item->name), "final");
        for (size_t v = 0; v < json_array_size(final); v++)
            check_near(p, item->name, 10, (double)parameters->values[item->offset + v],
                       json_number_value(json_array_get(final, v)), p->tolerance.values);
    }
}

/* Ten steps of the trainer. */
static inline void check_steps(struct parity *p, struct training *t, struct sequence *batch,
                               size_t count, double rate, const json_t *row)
{
    const struct adapted *adapted = t->adapted;
    const struct tolerance *tolerance = &p->tolerance;
    const json_t *losses = get(row, "losses"), *norms = get(row, "grad_norms");
    struct training_step step = {.rate = rate};
    struct error err;
    size_t rows = 0, steps = json_array_size(losses);
    for (size_t s = 0; s <= steps && !p->difference.length; s++) {
        if (run_step(t, batch, count, &step, &rows, &err) != OK)
            fail_msg("%s", err.text);
        const json_t *want = s < steps ? json_array_get(losses, s) : get(row, "final_loss");
        check_near(p, "the loss", s + 1, step.loss, json_number_value(want),
                   s ? tolerance->steps : tolerance->loss);
        for (int i = 0; s == 0 && i < adapted->parameters.n_items; i++) {
            const struct parameter *item = &adapted->parameters.items[i];
            check_gradient(p, item, t->gradient + item->offset,
                           get(get(row, "parameters"), item->name));
        }
        if (s < steps)
            check_near(p, "the gradient norm", s + 1, step.grad_norm,
                       json_number_value(json_array_get(norms, s)),
                       s ? tolerance->steps : tolerance->gradient);
        if (s == steps)
            check_final(p, &adapted->parameters, get(row, "parameters"));
        assert_int_equal(update(t, &step, NULL), OK);
    }
}

static inline void check_case(struct parity *p, struct subject *s, const json_t *document,
                              const json_t *row)
{
    const json_t *optimiser = get(document, "optimiser");
    const struct technique *technique = peft_technique(json_string_value(get(row, "technique")));
    char assignments[256];
    const char *own = json_string_value(get(row, "setting"));
    snprintf(assignments, sizeof assignments, "max_grad_norm=0;weight_decay=%g%s%s",
             fixture_number(optimiser, "weight_decay"), *own ? ";" : "", own);
    struct adapted *adapted = subject_adapt(s, technique, assignments);
    set_parameters(adapted, get(row, "parameters"));
    drop_instruction(adapted);
    struct sequence sequences[BATCH_SEGMENTS];
    size_t count = peft_sequences(document, sequences, &s->arena);
    struct training t = {.adapted = adapted};
    arena_init(&t.arena, NULL);
    prepare(&t);
    check_steps(p, &t, sequences, count, fixture_number(optimiser, "lr"), row);
    arena_release(&t.arena);
    adapted_release(adapted);
}

/* Where a case differs first, in `p->difference`, which the caller releases. */
static inline void parity_run(struct parity *p, const char *model, const json_t *document,
                              const json_t *row)
{
    struct subject s;
    p->name = json_string_value(get(row, "name"));
    subject_open_model(&s, model, data_two_labels, TASK_CLASSIFICATION, 2);
    check_case(p, &s, document, row);
    subject_close(&s);
}

static inline void check_parity_of(const char *model, const char *fixture, size_t count,
                                   struct tolerance tolerance)
{
    json_t *document = fixture_json(fixture);
    const json_t *cases = get(document, "cases");
    assert_int_equal(json_array_size(cases), count);
    for (size_t i = 0; i < count; i++) {
        struct parity p = {.tolerance = tolerance};
        parity_run(&p, model, document, json_array_get(cases, i));
        if (p.difference.length)
            fail_msg("%s", text_string(&p.difference));
    }
    json_decref(document);
}

static inline void check_parity(struct tolerance tolerance)
{
    check_parity_of(tiny_llama, "peft_tiny.json", 14, tolerance);
    check_parity_of(tiny_qwen2, "peft_tiny_qwen2.json", 8, tolerance);
}

#endif
