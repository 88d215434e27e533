/* SPDX-License-Identifier: Apache-2.0
 *
 * The techniques in double precision: loss, gradients and ten steps against an independent
 * implementation (tests/parity/fixtures/peft_tiny*.json), how they start, what they refuse and
 * predict, and that the model they share stays as it is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "techniques/labels.h"
#include "tests/peft_parity.h"

#define COUNT(table) (sizeof(table) / sizeof *(table))

static const struct tolerance double_tolerance = {
    .loss = 1e-9, .gradient = 1e-8, .steps = 1e-8, .values = 1e-8};

static void test_parity(void **state)
{
    (void)state;
    check_parity(double_tolerance);
}

/* ---- what is wrong must be found ---- */

static const json_t *first_parameter(const json_t *row)
{
    return json_object_iter_value(json_object_iter((json_t *)get(row, "parameters")));
}

static void scale(const json_t *number, double factor)
{
    assert_int_equal(
        json_real_set((json_t *)number, factor * json_number_value(number) + factor - 1), 0);
}

static void spoil_loss(const json_t *document, const json_t *row)
{
    (void)document;
    scale(json_array_get(get(row, "losses"), 0), 1 + 1e-8);
}

static void spoil_later_loss(const json_t *document, const json_t *row)
{
    (void)document;
    scale(json_array_get(get(row, "losses"), 9), 1 + 1e-7);
}

static void spoil_gradient(const json_t *document, const json_t *row)
{
    (void)document;
    scale(json_array_get(get(first_parameter(row), "grad"), 0), 1.001);
}

static void spoil_rate(const json_t *document, const json_t *row)
{
    (void)row;
    scale(get(get(document, "optimiser"), "lr"), 1 + 1e-6);
}

static void spoil_decay(const json_t *document, const json_t *row)
{
    (void)row;
    scale(get(get(document, "optimiser"), "weight_decay"), 1.001);
}

/* Each case, with one number of the fixture changed by little. */
static void check_spoilt(const char *model, const char *fixture,
                         void (*spoil)(const json_t *, const json_t *), const char *expected)
{
    for (size_t i = 0;; i++) {
        struct parity p = {.tolerance = double_tolerance};
        json_t *document = fixture_json(fixture);
        const json_t *row = json_array_get(get(document, "cases"), i);
        if (!row) {
            json_decref(document);
            return;
        }
        spoil(document, row);
        parity_run(&p, model, document, row);
        if (!strstr(text_string(&p.difference), expected))
            fail_msg("%s: \"%s\" is not found: %s", p.name, expected, text_string(&p.difference));
        text_release(&p.difference);
        json_decref(document);
    }
}

static void test_wrong_is_found(void **state)
{
    (void)state;
    static const struct {
        void (*spoil)(const json_t *document, const json_t *row);
        const char *expected;
    } rows[] = {{spoil_loss, "the loss of step 1 "},
                {spoil_later_loss, "the loss of step 10 "},
                {spoil_gradient, "the gradient of "},
                {spoil_rate, " of step "},
                {spoil_decay, " of step "}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        check_spoilt(tiny_llama, "peft_tiny.json", rows[i].spoil, rows[i].expected);
        check_spoilt(tiny_qwen2, "peft_tiny_qwen2.json", rows[i].spoil, rows[i].expected);
    }
}

/* One row for each form of each technique, with few virtual tokens: the tiny model's context is
 * short. */
struct form {
    const struct technique *technique;
    const char *setting;
    bool starts_unchanged; /* untrained, it answers as the bare model does */
};

static const struct form forms[] = {
    {&lora, "", true},
    {&lora, "use_rslora=true;r=3;target_modules=all-linear", true},
    {&lora, "use_dora=true", true},
    {&lora, "use_dora=true;use_rslora=true;r=1;target_modules=all-linear", true},
    {&ia3, "", true},
    {&ia3, "target_modules=all-linear", true},
    {&ia3, "target_modules=q_proj,up_proj,o_proj;feedforward_modules=o_proj,up_proj", true},
    {&ia3, "target_modules=q_proj", true},
    {&ia3, "feedforward_modules=", true},
    {&prompt_tuning, "num_virtual_tokens=6", false},
    {&prompt_tuning, "num_virtual_tokens=1;prompt_tuning_init=RANDOM", false},
    {&prompt_tuning, "num_virtual_tokens=4;prompt_tuning_init=SAMPLE_VOCAB", false},
    {&prefix_tuning, "num_virtual_tokens=6", false},
    {&prefix_tuning, "num_virtual_tokens=1;init_weights=random", false},
    {&prefix_tuning, "num_virtual_tokens=3;init_weights=zero", false},
    {&prefix_tuning, "num_virtual_tokens=4;prefix_projection=true;init_weights=random", false},
    {&prefix_tuning,
     "num_virtual_tokens=1;prefix_projection=true;init_weights=zero;encoder_hidden_size=3", false},
    {&p_tuning, "num_virtual_tokens=6", false},
    {&p_tuning, "num_virtual_tokens=1;encoder_reparameterization_type=LSTM", false},
    {&p_tuning,
     "num_virtual_tokens=5;encoder_reparameterization_type=LSTM;encoder_num_layers=3;"
     "encoder_hidden_size=4",
     false},
    {&p_tuning, "num_virtual_tokens=3;encoder_hidden_size=7", false},
    {&adapter, "", true},
    {&adapter, "adapter_dim=3;adapter_form=houlsby", true},
    {&adapter, "adapter_dim=1;adapter_form=parallel", true},
    {&norm_tuning, "", true},
    {&bitfit, "", true},
    {&full_finetune, "", true},
};

enum { FORMS = COUNT(forms), FORMS_TWICE = 2 * FORMS };

static const struct form *form_at(size_t index)
{
    return &forms[index % FORMS];
}

/* The forms on the one model, then on the one with biases; false when there is nothing to train. */
static bool open_form(struct subject *s, size_t index, int threads)
{
    bool biased = index >= FORMS;
    if (form_at(index)->technique == &bitfit && !biased)
        return false;
    subject_open_model(s, biased ? tiny_qwen2 : tiny_llama, data_two_labels, TASK_CLASSIFICATION,
                       threads);
    return true;
}

static struct adapted *adapt(struct subject *s, const struct form *form)
{
    return subject_adapt(s, form->technique, form->setting);
}

/* The final states of the scored rows, in the subject's arena. */
static const real *states_of(struct subject *s, const struct adapted *adapted,
                             const struct layout *layout)
{
    struct workspace *workspace = engine_workspace(s->engine, 0, false);
    struct pass pass = {.model = s->model, .tape = &workspace->tape, .layout = layout};
    if (adapted)
        pass = adapted_pass(adapted, &workspace->tape, layout,
                            adapted_views(adapted, NULL, &workspace->arena));
    const struct tensor *x = transformer_forward(&pass);
    assert_int_equal(x->rows, layout->n_scored);
    real *copy = arena_alloc(&s->arena, tensor_size(x) * sizeof *copy);
    return memcpy(copy, x->data, tensor_size(x) * sizeof *copy);
}

static struct sequence *encode_all(struct subject *s, const struct adapted *adapted)
{
    struct sequence *sequences;
    struct error err;
    if (prompt_encode(adapted, s->examples, s->data.count, true, &s->arena, &sequences, &err) != OK)
        fail_msg("%s", err.text);
    return sequences;
}

/* States before each answer token, as training computes them. */
static const real *training_states(struct subject *s, const struct adapted *adapted, int *scored)
{
    struct training_pack pack;
    pack_training(adapted, encode_all(s, adapted), s->data.count, &s->arena, &pack);
    *scored = pack.layout.n_scored;
    return states_of(s, adapted, &pack.layout);
}

static void assert_close(const char *what, const real *a, const real *b, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (!support_near((double)a[i], (double)b[i], 1e-11))
            fail_msg("%s: element %zu is %.15g, expected %.15g", what, i, (double)a[i],
                     (double)b[i]);
}

/* Values other than those at the start, so that every part has a hand in the result. */
static void shake(struct adapted *adapted)
{
    struct random random = random_stream(1, "shake", 0);
    for (size_t i = 0; i < adapted->parameters.count; i++)
        adapted->parameters.values[i] += (real)(0.1 * random_normal(&random));
}

/* ---- how they start ---- */

static void test_unchanged_start(void **state)
{
    (void)state;
    for (size_t f = 0; f < FORMS_TWICE; f++) {
        struct subject s;
        if (!open_form(&s, f, 1))
            continue;
        struct adapted *adapted = adapt(&s, form_at(f));
        int scored;
        const real *found = training_states(&s, adapted, &scored);
        size_t bytes = (size_t)(scored * s.model->n_embd) * sizeof *found;
        const struct attachment *attachment = adapted->attachment;
        if (form_at(f)->starts_unchanged) {
            adapted->attachment = NULL;
            assert_memory_equal(found, training_states(&s, adapted, &scored), bytes);
            adapted->attachment = attachment;
        }
        shake(adapted); /* and what is attached does have an effect */
        assert_memory_not_equal(found, training_states(&s, adapted, &scored), bytes);
        adapted_release(adapted);
        subject_close(&s);
    }
}

static const real *bare_states(struct subject *s, struct adapted *adapted, int *scored)
{
    const struct attachment *attachment = adapted->attachment;
    adapted->attachment = NULL;
    const real *found = training_states(s, adapted, scored);
    adapted->attachment = attachment;
    return found;
}

/* Prompt tuning that starts from a text is the bare model reading that text. */
static void test_prompt_start(void **state)
{
    (void)state;
    static const struct {
        const char *setting, *text;
    } rows[] = {
        {"num_virtual_tokens=9;prompt_tuning_init_text=say what", "say what"},
        {"num_virtual_tokens=3;prompt_tuning_init_text=more than three words", "more than three"},
        {"num_virtual_tokens=5", "negative, positive"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct subject s;
        struct error err;
        subject_open(&s, data_two_labels, TASK_CLASSIFICATION, 1);
        struct adapted *adapted = subject_adapt(&s, &prompt_tuning, rows[i].setting);
        int scored, n = adapted->parameters.items[0].rows;
        const real *found = training_states(&s, adapted, &scored);
        struct tokens text = {0};
        assert_int_equal(tokenizer_encode(s.model->tokenizer, rows[i].text, strlen(rows[i].text),
                                          &text, NULL, &err),
                         OK);
        for (int t = 0; t < n; t++)
            adapted->prefix.ids[t] = text.ids[(size_t)t % text.count];
        assert_close(rows[i].setting, found, bare_states(&s, adapted, &scored),
                     (size_t)(scored * s.model->n_embd));
        tokens_release(&text);
        adapted_release(adapted);
        subject_close(&s);
    }
}

/* Prefix tuning that starts from a text is the bare model reading the first tokens of the prompt
 * before the prompt. */
static void test_prefix_start(void **state)
{
    (void)state;
    static const int sizes[] = {1, 4, 110}; /* the last one is longer than the prompt */
    for (size_t i = 0; i < COUNT(sizes); i++) {
        struct subject s;
        char setting[64];
        int n = sizes[i], scored;
        subject_open(&s, data_two_labels, TASK_CLASSIFICATION, 1);
        s.data.count = 3;
        snprintf(setting, sizeof setting, "num_virtual_tokens=%d", n);
        struct adapted *adapted = subject_adapt(&s, &prefix_tuning, setting);
        assert_true(adapted->prefix.count > 4 && adapted->prefix.count < 110);
        const real *found = training_states(&s, adapted, &scored);
        struct tokens longer = {0};
        for (int t = 0; t < n; t++)
            tokens_add(&longer, adapted->prefix.ids[(size_t)t % adapted->prefix.count]);
        for (size_t t = 0; t < adapted->prefix.count; t++)
            tokens_add(&longer, adapted->prefix.ids[t]);
        tokens_release(&adapted->prefix);
        adapted->prefix = longer;
        adapted->past_rows = 0;
        assert_close(setting, found, bare_states(&s, adapted, &scored),
                     (size_t)(scored * s.model->n_embd));
        adapted_release(adapted);
        subject_close(&s);
    }
}

static void variance_of(const struct adapted *adapted, int index, double *variance, double *largest)
{
    const struct parameter *item = &adapted->parameters.items[index];
    size_t size = (size_t)item->rows * (size_t)item->cols;
    const real *values = adapted->parameters.values + item->offset;
    double sum = 0;
    *largest = 0;
    for (size_t i = 0; i < size; i++) {
        sum += (double)values[i] * (double)values[i];
        *largest = fmax(*largest, fabs((double)values[i]));
    }
    *variance = sum / (double)size;
}

/* Random starts have the spread that PEFT (and for adapters NeMo) gives them. */
static void test_random_start(void **state)
{
    (void)state;
    static const struct {
        const struct technique *technique;
        const char *setting;
        int index;
        double bound; /* of a uniform distribution; 0: a normal one of variance 1; -1: all zero */
    } rows[] = {
        {&prompt_tuning, "num_virtual_tokens=100;prompt_tuning_init=RANDOM", 0, 0},
        {&prefix_tuning, "num_virtual_tokens=100;init_weights=random", 0, 0},
        {&prefix_tuning, "num_virtual_tokens=100;init_weights=random", 3, 0},
        {&prefix_tuning, "num_virtual_tokens=2;init_weights=zero", 0, -1},
        {&p_tuning, "num_virtual_tokens=100;encoder_hidden_size=64", 0, 0},
        {&p_tuning, "encoder_hidden_size=64", 1, 0.176776695296637}, /* 1 / sqrt(32) */
        {&p_tuning, "encoder_hidden_size=64", 2, 0.176776695296637},
        {&p_tuning, "encoder_hidden_size=64", 3, 0.125},
        {&p_tuning, "encoder_hidden_size=64", 6, 0.125},
        {&p_tuning, "encoder_hidden_size=16;encoder_reparameterization_type=LSTM", 1, 0.25},
        {&p_tuning, "encoder_hidden_size=16;encoder_reparameterization_type=LSTM", 4, 0.25},
        {&p_tuning, "encoder_hidden_size=16;encoder_reparameterization_type=LSTM", 13, 0.25},
        {&p_tuning, "encoder_hidden_size=8;encoder_reparameterization_type=LSTM", 17, 0.25},
        {&p_tuning, "encoder_hidden_size=8;encoder_reparameterization_type=LSTM", 19, 0.25},
        {&prefix_tuning, "num_virtual_tokens=100;prefix_projection=true;init_weights=random", 0, 0},
        {&prefix_tuning, "prefix_projection=true;init_weights=random", 1, 0.25},
        {&prefix_tuning, "prefix_projection=true;init_weights=random;encoder_hidden_size=64", 3,
         0.125},
        {&prefix_tuning, "prefix_projection=true;init_weights=zero", 3, -1},
        {&prefix_tuning, "prefix_projection=true;init_weights=zero", 4, -1},
        {&adapter, "adapter_dim=64", 0, 0.25}, /* sqrt(6 / (64 + 32)) */
        {&adapter, "adapter_dim=64", 1, -1},
        {&adapter, "adapter_dim=64", 2, -1},
        {&adapter, "adapter_dim=64", 3, -1},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct subject s;
        subject_open(&s, data_two_labels, TASK_CLASSIFICATION, 1);
        struct adapted *adapted = subject_adapt(&s, rows[i].technique, rows[i].setting);
        double variance, largest, bound = rows[i].bound;
        variance_of(adapted, rows[i].index, &variance, &largest);
        double want = bound > 0 ? bound * bound / 3 : bound == 0;
        double room = bound < 0 ? 0 : adapted->parameters.items[rows[i].index].rows > 1 ? 0.1 : 0.4;
        if (fabs(variance - want) > room * want || (bound > 0 && largest > bound))
            fail_msg("%s %s: variance %g, expected %g; largest value %g", rows[i].technique->name,
                     rows[i].setting, variance, want, largest);
        adapted_release(adapted);
        subject_close(&s);
    }
}

/* ---- one result, however it is computed ---- */

/* Behind the cached prompt a request leads to the same states as in training. */
static void test_cached_prompt(void **state)
{
    (void)state;
    for (size_t f = 0; f < FORMS_TWICE; f++) {
        struct subject s;
        struct error err;
        if (!open_form(&s, f, 2))
            continue;
        struct adapted *adapted = adapt(&s, form_at(f));
        shake(adapted);
        int scored;
        const real *whole = training_states(&s, adapted, &scored);
        assert_int_equal(adapted_warm(adapted, &err), OK);
        struct layout layout;
        const struct sequence *sequences = encode_all(&s, adapted);
        pack_scoring(adapted, sequences, s.data.count, &s.arena, &layout);
        const real *cached = states_of(&s, adapted, &layout);
        assert_int_equal(adapted->labels->forks[0].path_length, 0);
        size_t width = (size_t)s.model->n_embd, row = 0;
        for (size_t i = 0; i < s.data.count; i++) {
            assert_close(form_at(f)->technique->name,
                         cached + i * (size_t)adapted->labels->n_forks * width, whole + row * width,
                         width);
            row += (size_t)sequences[i].answer;
        }
        adapted_release(adapted);
        subject_close(&s);
    }
}

/* Settled parameters lead to the same states, to the bit, and cannot be settled again. */
static void test_settled(void **state)
{
    (void)state;
    for (size_t f = 0; f < FORMS_TWICE; f++) {
        struct subject s;
        int scored;
        if (!open_form(&s, f, 1))
            continue;
        struct adapted *adapted = adapt(&s, form_at(f));
        shake(adapted);
        size_t trained = adapted->parameters.count;
        const real *before = training_states(&s, adapted, &scored);
        adapted_settle(adapted);
        const real *values = adapted->parameters.values;
        adapted_settle(adapted);
        assert_ptr_equal(adapted->parameters.values, values);
        assert_int_equal(adapted->trained, trained);
        if (form_at(f)->technique == &p_tuning)
            assert_int_equal(adapted->parameters.count,
                             setting_integer(&adapted->setting, "num_virtual_tokens") *
                                 s.model->n_embd);
        else if (form_at(f)->technique == &prefix_tuning)
            assert_int_equal(adapted->parameters.n_items, 2 * s.model->n_layer);
        else
            assert_int_equal(adapted->parameters.count, trained);
        assert_memory_equal(before, training_states(&s, adapted, &scored),
                            (size_t)(scored * s.model->n_embd) * sizeof *before);
        adapted_release(adapted);
        subject_close(&s);
    }
}

/* ---- merged ---- */

/* Merges into the model itself; returns how many weights changed. */
static int merge_all(struct subject *s, const struct adapted *adapted)
{
    int changed = 0;
    for (int i = 0; i < model_weight_count(s->model); i++)
        changed += adapted_merge(adapted, i, model_weight(s->model, i)->data);
    return changed;
}

/* A model with merged weights is the model with the technique attached. */
static void test_merged(void **state)
{
    (void)state;
    int merged = 0;
    for (size_t f = 0; f < FORMS_TWICE; f++) {
        struct subject s;
        int scored;
        if (!open_form(&s, f, 1))
            continue;
        struct adapted *adapted = adapt(&s, form_at(f));
        shake(adapted);
        const struct technique *t = form_at(f)->technique;
        bool can =
            t == &lora || t == &ia3 || t == &norm_tuning || t == &bitfit || t == &full_finetune;
        assert_int_equal(adapted_can_merge(adapted), can);
        const real *attached = training_states(&s, adapted, &scored);
        int changed = merge_all(&s, adapted);
        assert_int_equal(changed > 0, can);
        if (t == &full_finetune)
            assert_int_equal(changed, model_weight_count(s.model));
        if (can)
            assert_close(form_at(f)->setting, bare_states(&s, adapted, &scored), attached,
                         (size_t)(scored * s.model->n_embd));
        merged += can;
        adapted_release(adapted);
        subject_close(&s);
    }
    assert_true(merged >= 11);
}

/* Rows of zeros have no direction: with DoRA they stay zero instead of becoming no number. */
static void test_dora_of_zeros(void **state)
{
    (void)state;
    struct subject s;
    int scored;
    subject_open(&s, data_two_labels, TASK_CLASSIFICATION, 1);
    struct tensor *weight = &s.model->layers[0].linear[SITE_V];
    memset(weight->data, 0, (size_t)weight->cols * sizeof(real));
    struct adapted *adapted = subject_adapt(&s, &lora, "use_dora=true");
    const real *found = training_states(&s, adapted, &scored);
    assert_memory_equal(found, bare_states(&s, adapted, &scored),
                        (size_t)(scored * s.model->n_embd) * sizeof *found);
    merge_all(&s, adapted);
    for (int i = 0; i < weight->cols; i++)
        assert_true(weight->data[i] == 0);
    adapted_release(adapted);
    subject_close(&s);
}

static struct tensor *must_not_be_asked(struct pass *pass)
{
    (void)pass;
    fail_msg("asked for virtual tokens that the layout does not have");
    return NULL;
}

static void test_no_virtual_tokens(void **state)
{
    (void)state;
    static const struct attachment hooks = {.virtual_tokens = must_not_be_asked};
    struct subject s;
    subject_open(&s, data_two_labels, TASK_CLASSIFICATION, 1);
    struct adapted *adapted = subject_adapt(&s, &norm_tuning, "");
    adapted->attachment = &hooks;
    int scored;
    assert_non_null(training_states(&s, adapted, &scored));
    adapted_release(adapted);
    subject_close(&s);
}

/* ---- the model they share ---- */

static real *copy_model(struct subject *s)
{
    real *copy = arena_alloc(&s->arena, s->model->n_parameters * sizeof *copy);
    size_t at = 0;
    for (int i = 0; i < model_weight_count(s->model); i++) {
        const struct tensor *weight = model_weight(s->model, i);
        assert_null(weight->grad);
        assert_false(weight->needs_grad);
        memcpy(copy + at, weight->data, tensor_size(weight) * sizeof *copy);
        at += tensor_size(weight);
    }
    assert_int_equal(at, s->model->n_parameters);
    assert_null(s->model->output.grad);
    return copy;
}

/* Training changes the parameters, lowers the loss, and leaves the model alone. */
static void test_training(void **state)
{
    (void)state;
    for (size_t f = 0; f < FORMS_TWICE; f++) {
        struct subject s;
        struct training_report report;
        struct error err;
        char setting[256];
        snprintf(setting, sizeof setting, "learning_rate=3e-2;num_epochs=24;batch_size=6%s%s",
                 *form_at(f)->setting ? ";" : "", form_at(f)->setting);
        if (!open_form(&s, f, 2))
            continue;
        const real *before = copy_model(&s);
        struct adapted *adapted = subject_adapt(&s, form_at(f)->technique, setting);
        if (trainer_run(adapted, &s.material, NULL, NULL, &report, &err) != OK)
            fail_msg("%s: %s", form_at(f)->technique->name, err.text);
        if (!(report.final_loss < report.prequential_nll))
            fail_msg("%s %s: the loss went from %g to %g", form_at(f)->technique->name, setting,
                     report.prequential_nll, report.final_loss);
        assert_memory_equal(before, copy_model(&s), s.model->n_parameters * sizeof *before);
        adapted_release(adapted);
        subject_close(&s);
    }
}

static void check_numbers(const struct model *model, int outside)
{
    int in_layer = 2 + N_SITES + model_bias_count(model);
    assert_int_equal(model_weight_count(model), outside + model->n_layer * in_layer);
    for (int i = 0; i < model_weight_count(model); i++)
        assert_int_equal(model_weight_number(model, model_weight(model, i)), i);
    assert_ptr_equal(model_weight(model, 0), &model->embedding);
    assert_ptr_equal(model_weight(model, 1), &model->output_norm);
    assert_int_equal(model_weight_number(model, &model->output), outside == 3 ? 2 : 0);
    for (int l = 0, i = outside; l < model->n_layer; l++) {
        assert_ptr_equal(model_weight(model, i++), &model->layers[l].attention_norm);
        assert_ptr_equal(model_weight(model, i++), &model->layers[l].feed_forward_norm);
        for (int site = 0; site < N_SITES; site++)
            assert_ptr_equal(model_weight(model, i++), &model->layers[l].linear[site]);
        for (int site = 0; site < N_SITES; site++)
            if (model->biased[site])
                assert_ptr_equal(model_weight(model, i++), &model->layers[l].bias[site]);
    }
}

/* A model where the projections whose bit is set have biases. */
static struct model *biased_model(struct arena *arena, int layers, bool tied, unsigned sites)
{
    struct model *model = small_model(arena, layers, 1, tied);
    for (int site = 0; site < N_SITES; site++)
        model->biased[site] = sites >> site & 1;
    return model;
}

static void test_weight_numbers(void **state)
{
    (void)state;
    static const struct {
        int number, untied;
        unsigned biased;
        const char *name;
    } names[] = {{0, 0, 0, "token_embd.weight"},
                 {1, 0, 0, "output_norm.weight"},
                 {2, 0, 0, "blk.0.attn_norm.weight"},
                 {2, 1, 0, "output.weight"},
                 {3, 1, 0, "blk.0.attn_norm.weight"},
                 {3, 0, 0, "blk.0.ffn_norm.weight"},
                 {4, 0, 0, "blk.0.attn_q.weight"},
                 {10, 0, 0, "blk.0.ffn_down.weight"},
                 {2 + 9 * 2, 0, 0, "blk.2.attn_norm.weight"},
                 {10, 0, 7, "blk.0.ffn_down.weight"},
                 {11, 0, 7, "blk.0.attn_q.bias"},
                 {13, 0, 7, "blk.0.attn_v.bias"},
                 {2 + 12 * 2, 0, 7, "blk.2.attn_norm.weight"},
                 {11, 0, 1 << SITE_O | 1 << SITE_DOWN, "blk.0.attn_output.bias"},
                 {12 + 11, 0, 1 << SITE_O | 1 << SITE_DOWN, "blk.1.ffn_down.bias"}};
    struct arena arena;
    arena_init(&arena, NULL);
    for (int layers = 1; layers <= 3; layers++)
        for (int untied = 0; untied < 2; untied++)
            for (unsigned sites = 0; sites < 1 << N_SITES; sites++)
                check_numbers(biased_model(&arena, layers, !untied, sites), 2 + untied);
    for (size_t i = 0; i < COUNT(names); i++) {
        char name[WEIGHT_NAME_BYTES];
        model_weight_name(biased_model(&arena, 3, !names[i].untied, names[i].biased),
                          names[i].number, name);
        assert_string_equal(name, names[i].name);
    }
    arena_release(&arena);
}

/* ---- what they say beforehand ---- */

static void test_predict(void **state)
{
    (void)state;
    for (size_t f = 0; f < FORMS_TWICE; f++) {
        struct subject s;
        if (!open_form(&s, f, 1))
            continue;
        struct adapted *adapted = adapt(&s, form_at(f));
        struct workload workload = {.model = s.model, .examples = 12};
        struct cost cost = {
            .trainable_parameters = 7, .shared_tokens = 30, .training_operations = 2};
        form_at(f)->technique->predict(&adapted->setting, &workload, &cost);
        assert_int_equal(cost.trainable_parameters, adapted->parameters.count);
        size_t in_front = 0;
        while (adapted->prefix.ids[in_front] < 0)
            in_front++;
        assert_true(cost.shared_tokens == 30 + (double)in_front);
        bool full = form_at(f)->technique == &full_finetune;
        assert_true(cost.training_operations == (full ? 3 : 2));
        size_t blocks = 5 * adapted->parameters.count * sizeof(real);
        assert_true(cost.memory_bytes >= blocks); /* how near it is: test_techniques */
        adapted_release(adapted);
        subject_close(&s);
    }
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        const struct technique *technique;
        const char *setting;
        const char *expected; /* part of the sentence */
    } rows[] = {
        {&ia3, "target_modules=k_proj,lm_head", "target_modules=k_proj,lm_head"},
        {&ia3, "target_modules=", "target_modules="},
        {&ia3, "feedforward_modules=up_proj",
         "feedforward_modules=up_proj is not possible with target_modules=k_proj,v_proj,down_proj"},
        {&ia3, "feedforward_modules=down_proj,down", "feedforward_modules=down_proj,down is not"},
        {&ia3, "target_modules=k_proj;feedforward_modules=all-linear", "all-linear is not"},
        {&prompt_tuning, "num_virtual_tokens=256",
         "num_virtual_tokens=256 is not possible: the "
         "model's context holds 256"},
        {&prefix_tuning, "num_virtual_tokens=300", "prefix_tuning: num_virtual_tokens=300"},
        {&p_tuning, "num_virtual_tokens=1000", "p_tuning: num_virtual_tokens=1000"},
        {&bitfit, "", "has no biases, so there is nothing to train; expected a model"},
        {&p_tuning, "encoder_num_layers=3",
         "encoder_num_layers=3 is not possible with encoder_reparameterization_type=MLP"},
        {&prefix_tuning, "prefix_projection=true",
         "init_weights=text is not possible with prefix_projection=true"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct subject s;
        struct adapted *adapted;
        struct error err = {.text = ""};
        subject_open(&s, data_two_labels, TASK_CLASSIFICATION, 1);
        struct setting setting = subject_setting(&s, rows[i].technique, rows[i].setting);
        assert_int_equal(adapted_create(&adapted, s.engine, &setting, &s.material, &err), USAGE);
        if (!strstr(err.text, rows[i].expected))
            fail_msg("%s: %s", rows[i].setting, err.text);
        subject_close(&s);
    }
}

/* A loss that diverged must not look like a dead unit. */
static void test_relu_keeps_nan(void **state)
{
    (void)state;
    struct arena arena;
    struct tape tape;
    arena_init(&arena, NULL);
    tape_init(&tape, &arena, NULL);
    real values[] = {NAN, -1, 2};
    const struct tensor *y = op_relu(&tape, tape_constant(&tape, values, 1, 3));
    assert_true(isnan(y->data[0]));
    assert_true(y->data[1] == 0 && y->data[2] == 2);
    tape_release(&tape);
    arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parity),         cmocka_unit_test(test_unchanged_start),
        cmocka_unit_test(test_prompt_start),   cmocka_unit_test(test_prefix_start),
        cmocka_unit_test(test_random_start),   cmocka_unit_test(test_cached_prompt),
        cmocka_unit_test(test_settled),        cmocka_unit_test(test_merged),
        cmocka_unit_test(test_dora_of_zeros),  cmocka_unit_test(test_no_virtual_tokens),
        cmocka_unit_test(test_training),       cmocka_unit_test(test_weight_numbers),
        cmocka_unit_test(test_predict),        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_relu_keeps_nan), cmocka_unit_test(test_wrong_is_found),
    };
    return cmocka_run_group_tests_name("peft", tests, NULL, NULL);
}
