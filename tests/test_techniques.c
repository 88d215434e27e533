/* SPDX-License-Identifier: Apache-2.0
 *
 * The contract of technique.h, over every registered technique and the template to copy, on a model
 * without biases and on one with them. A new technique is tested by being registered; a row in
 * `recipes` is needed when the common settings do not suffice to learn eight examples by heart.
 */
#define _XOPEN_SOURCE 700
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/tokenizer.h"
#include "techniques/labels.h"
#include "techniques/prompt.h"
#include "techniques/trainer.h"
#include "tests/adapting.h"
#include "tests/packed_model.h"

#define COUNT(list) (sizeof(list) / sizeof *(list))

/* Not registered, and tested like the others. */
extern const struct technique template;

/* What is known of a technique besides its row. */
struct recipe {
    const char *name;
    bool starts_bare;     /* untrained, it answers like the bare model, to the bit */
    const char *by_heart; /* settings with which eight examples are learned by heart */
    const char *variant;  /* other settings, for costs and saving */
    const char *refused;  /* a setting that `check` refuses */
};

#define LONG_BATCHES "num_epochs=1;batch_size=12"
#define BY_HEART     "learning_rate=0.3;num_epochs=60;batch_size=8"

static const struct recipe recipes[] = {
    {"zero_shot", false, "", "calibration=none", NULL},
    {"few_shot", false, "", "k=3;order_seed=2;calibration=none", "k=13"},
    {"chain_of_thought", false, "", "k=0;samples=3;temperature=0.9;max_new_tokens=20", "k=5"},
    {"prompt_tuning", false, BY_HEART, "num_virtual_tokens=5;prompt_tuning_init=RANDOM", NULL},
    {"p_tuning", false, "learning_rate=0.02;num_epochs=150;batch_size=8",
     "num_virtual_tokens=5;encoder_hidden_size=6;encoder_reparameterization_type=LSTM",
     "encoder_num_layers=3"},
    {"prefix_tuning", false, BY_HEART,
     "num_virtual_tokens=5;prefix_projection=true;init_weights=random;encoder_hidden_size=8",
     "prefix_projection=true"},
    {"ia3", true, BY_HEART, "target_modules=k_proj,down_proj,q_proj", "target_modules=head"},
    {"adapter", true, "learning_rate=0.1;num_epochs=60;batch_size=8", "adapter_dim=3", NULL},
    {"lora", true, "learning_rate=0.05;num_epochs=40;batch_size=8",
     "target_modules=all-linear;r=3;lora_alpha=5;use_dora=true", "target_modules=q_proj,head"},
    {"norm_tuning", true, BY_HEART, "", NULL},
    {"bitfit", true, "learning_rate=1;num_epochs=200;batch_size=8", "", NULL},
    {"full_finetune", true, "learning_rate=0.01;num_epochs=40;batch_size=8", "", NULL},
    {"template", true, "target_modules=all-linear;learning_rate=0.1;num_epochs=40;batch_size=8",
     "target_modules=down_proj,q_proj", "target_modules=v_proj,"},
};

static const struct recipe *recipe_of(const struct technique *technique)
{
    static const struct recipe usual = {.by_heart = "learning_rate=0.1;num_epochs=60;batch_size=8",
                                        .variant = ""};
    for (size_t i = 0; i < COUNT(recipes); i++)
        if (!strcmp(recipes[i].name, technique->name))
            return &recipes[i];
    return &usual;
}

/* The registered ones in turn, then the template, then NULL. */
static const struct technique *each(size_t index)
{
    const struct technique *technique = technique_at(index);
    if (technique)
        return technique;
    return index == 0 || technique_at(index - 1) ? &template : NULL;
}

static const struct {
    const char *csv;
    enum task task;
} tasks[] = {
    {data_two_labels, TASK_CLASSIFICATION}, {data_seven_labels, TASK_CLASSIFICATION},
    {data_choices, TASK_MULTIPLE_CHOICE},   {data_numbers, TASK_NUMERIC_ANSWER},
    {data_texts, TASK_GENERATION},          {data_worked, TASK_NUMERIC_ANSWER},
};

enum { TWO_LABELS = 0, TEXTS = 4, ROOMY = 2048 };

/* Opens the subject with a model and a task that the technique fits; false when it does not. */
static bool open_task(struct subject *s, const char *model, const struct technique *technique,
                      size_t task, int threads)
{
    subject_open_model(s, model, tasks[task].csv, tasks[task].task, threads);
    s->model->n_context = ROOMY;
    bool fits = (!(technique->needs & NEEDS_LABELS) || s->data.label_count) &&
                (!(technique->needs & NEEDS_RATIONALE) || s->data.rationale_count) &&
                subject_trains_on(technique, s->model);
    if (!fits)
        subject_close(s);
    return fits;
}

/* A task for tests that need only one. */
static bool open_any(struct subject *s, const char *model, const struct technique *technique,
                     int threads)
{
    for (size_t task = 0; task < COUNT(tasks); task++)
        if (open_task(s, model, technique, task, threads))
            return true;
    return false;
}

static enum status keep_loss(void *context, const struct training_step *step, size_t total,
                             struct error *err)
{
    (void)total;
    (void)err;
    *(double *)context = step->loss;
    return OK;
}

/* Learns in the technique's way; returns the loss of the last step, or 0 without steps. */
static double learn(struct subject *s, struct adapted *adapted)
{
    const struct technique *technique = adapted->technique;
    struct training_report report;
    struct error err;
    double loss = 0;
    struct training_hooks hooks = {.context = &loss, .step = keep_loss};
    enum status status = OK;
    if (technique->fit)
        status = technique->fit(adapted, &s->material, NULL, &err);
    else if (technique->needs & NEEDS_GRADIENT)
        status = trainer_run(adapted, &s->material, &hooks, NULL, &report, &err);
    if (status != OK)
        fail_msg("%s: %s", technique->name, err.text);
    return loss;
}

/* The technique's variant, trained for one pass where it is trained. */
static struct adapted *adapt_briefly(struct subject *s, const struct technique *technique)
{
    char assignments[256];
    snprintf(assignments, sizeof assignments, "%s%s", recipe_of(technique)->variant,
             technique->needs & NEEDS_GRADIENT ? ";num_epochs=1;batch_size=4" : "");
    return subject_adapt(s, technique, assignments + (*assignments == ';'));
}

/* ---- the row and the table ---- */

static bool is_name(const char *text)
{
    return text && *text && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(text);
}

static void check_row(const struct technique *t)
{
    static const char *const families[] = {"baseline",        "prompt", "head",
                                           "prompt_learning", "peft",   "full"};
    bool known = false;
    assert_true(is_name(t->name));
    assert_non_null(t->family);
    for (size_t i = 0; i < COUNT(families); i++)
        known = known || !strcmp(families[i], t->family);
    assert_true(known);
    assert_true(t->summary && strlen(t->summary) > 10 && strlen(t->summary) < 90);
    assert_true(t->summary[strlen(t->summary) - 1] != '.');
    assert_true(t->minimum_examples >= 0);
    assert_int_equal(t->learning_rates != NULL, (t->needs & NEEDS_GRADIENT) != 0);
    if (t->needs & NEEDS_GRADIENT)
        assert_true(t->attach && t->needs & NEEDS_MODEL && !t->fit);
    if (t->attach)
        assert_non_null(t->predict);
    for (size_t i = 0; each(i) != t; i++)
        assert_string_not_equal(each(i)->name, t->name);
}

static void test_rows(void **state)
{
    (void)state;
    const struct technique *t;
    for (size_t i = 0; (t = each(i)); i++) {
        check_row(t);
        if (t != &template)
            assert_ptr_equal(technique_find(t->name), t);
    }
    assert_null(technique_find("template")); /* no user meets it */
    assert_null(technique_find(""));
    assert_null(technique_find("LoRA"));
    assert_null(technique_at((size_t)-1));
}

static enum status try_value(struct subject *s, const struct technique *technique, const char *name,
                             const char *value, struct error *err)
{
    struct setting setting = setting_default(technique);
    struct text assignment = {0};
    text_printf(&assignment, "%s=%s", name, value);
    enum status status = setting_set(&setting, text_string(&assignment), &s->arena, err);
    text_release(&assignment);
    return status;
}

/* A number outside the bounds is refused, naming setting, value and range; the bounds are not. */
static void check_bounds(struct subject *s, const struct technique *t,
                         const struct hyperparameter *h)
{
    const double width = h->kind == VALUE_INTEGER ? 1 : 0.5;
    const double values[] = {h->low, h->high, h->low - width, h->high + width};
    assert_true(h->low < h->high);
    for (size_t i = 0; i < COUNT(values); i++) {
        char value[40], expected[128];
        struct error err = {0};
        snprintf(value, sizeof value, "%.12g", values[i]);
        enum status status = try_value(s, t, h->name, value, &err);
        assert_int_equal(status, i < 2 ? OK : USAGE);
        snprintf(expected, sizeof expected, "%s=%s ", h->name, value);
        if (status != OK && (!strstr(err.text, expected) || !strstr(err.text, t->name)))
            fail_msg("%s", err.text);
        snprintf(expected, sizeof expected, "from %g to %g", h->low, h->high);
        if (status != OK && !strstr(err.text, expected))
            fail_msg("%s", err.text);
    }
}

static void check_search(struct subject *s, const struct technique *t,
                         const struct hyperparameter *h)
{
    struct error err;
    for (const char *at = h->search; at && *at;) {
        size_t length = strcspn(at, ",");
        const char *value = arena_strndup(&s->arena, at, length);
        if (try_value(s, t, h->name, value, &err) != OK)
            fail_msg("%s: %s", t->name, err.text);
        assert_string_not_equal(value, h->fallback); /* besides the default */
        at += length + (at[length] != 0);
    }
}

static void check_table(struct subject *s, const struct technique *t)
{
    const struct hyperparameter *h, *earlier;
    struct error err;
    size_t count = 0;
    for (; (h = setting_hyperparameter(t, count)); count++) {
        assert_true(is_name(h->name));
        assert_true(h->summary && *h->summary >= 'a' && *h->summary <= 'z');
        assert_non_null(h->fallback);
        assert_int_equal(h->choices != NULL, h->kind == VALUE_CHOICE);
        if (try_value(s, t, h->name, h->fallback, &err) != OK)
            fail_msg("%s: the default: %s", t->name, err.text);
        if (h->kind == VALUE_INTEGER || h->kind == VALUE_REAL)
            check_bounds(s, t, h);
        check_search(s, t, h);
        for (size_t i = 0; (earlier = setting_hyperparameter(t, i)) != h; i++)
            assert_string_not_equal(earlier->name, h->name);
    }
    assert_true(count <= MOST_HYPERPARAMETERS);
}

/* Three or more rates, rising, of which the middle one is the default. */
static void check_rates(struct subject *s, const struct technique *t)
{
    double rates[16], before = 0;
    size_t n = 0;
    struct error err;
    for (const char *at = t->learning_rates; *at; n++) {
        size_t length = strcspn(at, ",");
        const char *rate = arena_strndup(&s->arena, at, length);
        assert_int_equal(try_value(s, t, "learning_rate", rate, &err), OK);
        assert_true(n < COUNT(rates));
        rates[n] = strtod(rate, NULL);
        assert_true(rates[n] > before);
        before = rates[n];
        at += length + (at[length] != 0);
    }
    assert_true(n >= 3 && n % 2 == 1);
    struct setting setting = setting_default(t);
    assert_true(setting_number(&setting, "learning_rate") == rates[n / 2]);
}

static void test_tables(void **state)
{
    (void)state;
    struct subject s;
    const struct technique *t;
    subject_open(&s, data_two_labels, TASK_CLASSIFICATION, 1);
    for (size_t i = 0; (t = each(i)); i++) {
        check_table(&s, t);
        if (t->learning_rates)
            check_rates(&s, t);
    }
    subject_close(&s);
}

static void check_json(struct subject *s, const struct setting *setting)
{
    struct text json = {0}, again = {0};
    struct setting copy;
    struct error err;
    const struct hyperparameter *h;
    setting_json(setting, &json);
    if (setting_parse(setting->technique, text_string(&json), &copy, &s->arena, &err) != OK)
        fail_msg("%s", err.text);
    setting_json(&copy, &again);
    assert_string_equal(text_string(&again), text_string(&json));
    for (size_t i = 0; (h = setting_hyperparameter(setting->technique, i)); i++) {
        assert_true(setting_number(&copy, h->name) == setting_number(setting, h->name));
        if (h->kind == VALUE_TEXT || h->kind == VALUE_CHOICE)
            assert_string_equal(setting_text(&copy, h->name), setting_text(setting, h->name));
    }
    text_release(&json);
    text_release(&again);
}

static void test_json(void **state)
{
    (void)state;
    struct subject s;
    const struct technique *t;
    subject_open(&s, data_two_labels, TASK_CLASSIFICATION, 1);
    for (size_t i = 0; (t = each(i)); i++) {
        struct setting setting = setting_default(t);
        check_json(&s, &setting);
        setting = subject_setting(&s, t, recipe_of(t)->variant);
        check_json(&s, &setting);
        if (t->needs & NEEDS_GRADIENT)
            setting_set_number(&setting, "learning_rate", 0.00123, &s.arena);
        check_json(&s, &setting);
    }
    subject_close(&s);
}

/* The model alone, with the prompt that technique `t` gives it by default. */
static struct adapted *bare_model(struct subject *s, const struct technique *t)
{
    bool spared = t->learning_rates && s->data.task == TASK_CLASSIFICATION;
    return subject_adapt(s, technique_find("zero_shot"),
                         spared ? "calibration=none;instruction=Classify the text."
                                : "calibration=none");
}

/* ---- costs ---- */

static struct workload workload_of(struct subject *s, const struct technique *t)
{
    struct sequence *sequences;
    struct error err;
    struct adapted *bare = bare_model(s, t);
    struct workload w = {.model = s->model,
                         .examples = s->data.count,
                         .instruction_tokens = (double)bare->prefix.count,
                         .labels = s->data.label_count};
    assert_int_equal(
        prompt_encode(bare, s->examples, s->data.count, true, &s->arena, &sequences, &err), OK);
    for (size_t i = 0; i < s->data.count; i++) {
        w.input_tokens += sequences[i].request / (double)s->data.count;
        w.answer_tokens += sequences[i].answer / (double)s->data.count;
        const char *rationale = s->data.examples[i].rationale;
        struct tokens ids = {0};
        if (rationale)
            assert_int_equal(tokenizer_encode(s->model->tokenizer, rationale, strlen(rationale),
                                              &ids, NULL, &err),
                             OK);
        w.rationale_tokens += (double)ids.count / (double)s->data.count;
        tokens_release(&ids);
    }
    adapted_release(bare);
    return w;
}

static void check_cost(struct subject *s, const struct technique *t, const char *assignments)
{
    struct workload w = workload_of(s, t);
    struct setting setting = subject_setting(s, t, assignments);
    struct cost cost = {.shared_tokens = w.instruction_tokens,
                        .request_tokens = w.input_tokens + w.answer_tokens};
    struct adapted *adapted = subject_adapt(s, t, assignments);
    if (t->predict)
        t->predict(&setting, &w, &cost);
    if (cost.trainable_parameters != adapted->parameters.count)
        fail_msg("%s %s: %zu parameters predicted, %zu found", t->name, assignments,
                 cost.trainable_parameters, adapted->parameters.count);
    double prefix = (double)adapted->prefix.count;
    if (fabs(cost.shared_tokens - prefix) > 0.25 * prefix)
        fail_msg("%s %s: %g shared tokens predicted, %g found", t->name, assignments,
                 cost.shared_tokens, prefix);
    adapted_release(adapted);
}

static void test_costs(void **state)
{
    const struct technique *t;
    struct subject s;
    for (size_t i = 0; (t = each(i)); i++)
        for (size_t task = 0; task < COUNT(tasks); task++)
            if (open_task(&s, *state, t, task, 1)) {
                check_cost(&s, t, "");
                check_cost(&s, t, recipe_of(t)->variant);
                subject_close(&s);
            }
}

/* Puts a model from a file in place of the subject's. */
static void exchange_model(struct subject *s, const char *path, enum weight_form form)
{
    struct error err;
    int threads = pool_threads(s->engine->pool), context = s->model->n_context;
    engine_free(s->engine);
    model_free(s->model);
    if (model_load_as(&s->model, path, form, 1, &err) != OK)
        fail_msg("%s", err.text);
    s->model->n_context = context;
    s->engine = engine_create(s->model, threads);
}

/* The peak that the engine's meter finds is near the one predicted, with the first model that the
 * technique fits. */
static void check_memory(const char *csv, const struct technique *t, const char *assignments,
                         int threads, bool recompute, bool packed, double tolerance)
{
    struct subject opened, *s = &opened;
    subject_open(s, csv, TASK_CLASSIFICATION, threads);
    bool fits = subject_trains_on(t, s->model);
    if (!fits) {
        subject_close(s);
        subject_open_model(s, tiny_qwen2, csv, TASK_CLASSIFICATION, threads);
    }
    if (packed) {
        char path[PACKED_PATH];
        packed_make(fits ? tiny_llama : tiny_qwen2, path);
        exchange_model(s, path, WEIGHTS_PACKED);
        unlink(path);
    }
    s->engine->recompute = recompute;
    struct workload w = workload_of(s, t);
    w.threads = threads;
    w.recompute = recompute;
    w.form = s->model->form;
    struct setting setting = subject_setting(s, t, assignments);
    struct cost cost = {.shared_tokens = w.instruction_tokens,
                        .request_tokens = w.input_tokens + w.answer_tokens};
    t->predict(&setting, &w, &cost);
    engine_trim(s->engine);
    struct adapted *adapted = subject_adapt(s, t, assignments);
    learn(s, adapted);
    double found = (double)engine_peak(s->engine), predicted = (double)cost.memory_bytes;
    if (!(fabs(predicted - found) <= tolerance * found))
        fail_msg("%s, %d threads, recompute %d, packed %d: %.0f bytes predicted, %.0f found",
                 t->name, threads, recompute, packed, predicted, found);
    adapted_release(adapted);
    subject_close(s);
}

static void test_memory(void **state)
{
    (void)state;
    const struct technique *t;
    struct text csv = {0};
    text_add(&csv, data_two_labels);
    for (int i = 0; i < 7; i++)
        text_add(&csv, strchr(data_two_labels, '\n') + 1);
    for (int how = 0; how < 8; how++) {
        int threads = how & 1 ? 3 : 1;
        bool packed = how & 4;
        for (size_t i = 0; (t = each(i)); i++)
            if (t->needs & NEEDS_GRADIENT)
                check_memory(text_string(&csv), t, "num_epochs=1;batch_size=32", threads, how & 2,
                             packed,
                             !strcmp(t->family, "full") || !strcmp(t->name, "lora") ? 0.1 : 0.2);
        check_memory(text_string(&csv), technique_find("p_tuning"), /* large blocks */
                     "num_epochs=1;encoder_hidden_size=1024", threads, how & 2, packed, 0.1);
    }
    text_release(&csv);
}

/* ---- the start ---- */

static void test_same_seed(void **state)
{
    const struct technique *t;
    struct subject s;
    for (size_t i = 0; (t = each(i)); i++) {
        if (!open_any(&s, *state, t, 1))
            continue;
        struct adapted *one = subject_adapt(&s, t, ""), *two = subject_adapt(&s, t, "");
        assert_int_equal(one->parameters.count, two->parameters.count);
        assert_memory_equal(one->parameters.values, two->parameters.values,
                            one->parameters.count * sizeof(real));
        assert_int_equal(one->prefix.count, two->prefix.count);
        assert_memory_equal(one->prefix.ids, two->prefix.ids,
                            one->prefix.count * sizeof *one->prefix.ids);
        for (size_t p = 0; p < one->parameters.count; p++)
            assert_true(isfinite((double)one->parameters.values[p]));
        adapted_release(one);
        adapted_release(two);
        subject_close(&s); /* looks at the meter */
    }
    adapted_release(NULL);
}

/* A uniform in +-1 / sqrt(in), B zero: what training starts from in PEFT, too. */
static void test_lora_start(void **state)
{
    (void)state;
    struct subject s;
    subject_open(&s, data_two_labels, TASK_CLASSIFICATION, 1);
    struct adapted *adapted =
        subject_adapt(&s, technique_find("lora"), "r=32;target_modules=down_proj,q_proj");
    const struct parameters *p = &adapted->parameters;
    assert_int_equal(p->n_items, 8);
    for (int i = 0; i < p->n_items; i++) {
        const real *values = p->values + p->items[i].offset;
        size_t size = (size_t)p->items[i].rows * (size_t)p->items[i].cols;
        double sum = 0, square = 0, bound = i % 2 ? 0 : 1 / sqrt(p->items[i].cols);
        for (size_t v = 0; v < size; v++) {
            assert_true(fabs((double)values[v]) <= bound * (1 + 1e-6));
            sum += (double)values[v];
            square += (double)values[v] * (double)values[v];
        }
        double n = (double)size; /* mean 0, variance bound^2 / 3, within four deviations */
        assert_true(fabs(sum) <= 4 * bound * sqrt(n / 3));
        assert_true(fabs(square / n - bound * bound / 3) <= 4 * bound * bound * sqrt(4 / 45.0 / n));
    }
    assert_string_equal(p->items[0].name, "blk.0.attn_q.lora_a");
    assert_string_equal(p->items[7].name, "blk.1.ffn_down.lora_b");
    adapted_release(adapted);
    subject_close(&s);
}

static void check_same_outcomes(const struct subject *s, const struct outcome *a,
                                const struct outcome *b)
{
    for (size_t i = 0; i < s->data.count; i++) {
        assert_int_equal(a[i].label, b[i].label);
        assert_true(a[i].nll == b[i].nll);
        assert_true(a[i].probability == b[i].probability);
        assert_int_equal(a[i].probabilities != NULL, b[i].probabilities != NULL);
        if (a[i].probabilities)
            assert_memory_equal(a[i].probabilities, b[i].probabilities,
                                s->data.label_count * sizeof(float));
        if (a[i].text || b[i].text)
            assert_string_equal(a[i].text, b[i].text);
    }
}

static void test_start(void **state)
{
    const struct technique *t;
    struct subject s;
    for (size_t i = 0; (t = each(i)); i++)
        for (size_t task = 0; recipe_of(t)->starts_bare && task < COUNT(tasks); task++) {
            if (!open_task(&s, *state, t, task, 1))
                continue;
            struct adapted *bare = bare_model(&s, t);
            struct adapted *adapted = subject_adapt(&s, t, recipe_of(t)->variant);
            assert_true(adapted->parameters.count > 0);
            check_same_outcomes(&s, subject_answer(&s, adapted), subject_answer(&s, bare));
            adapted_release(adapted);
            adapted_release(bare);
            subject_close(&s);
        }
}

/* With parameters that all matter, answers behind the cached prefix are those of one uncached pass
 * over everything: "negative" and "positive" part at their first token. */
static void test_uncached(void **state)
{
    const struct technique *t;
    struct subject s;
    for (size_t i = 0; (t = each(i)); i++) {
        if (t->answer || !open_task(&s, *state, t, TWO_LABELS, 1))
            continue;
        struct adapted *adapted = subject_adapt(&s, t, recipe_of(t)->variant);
        struct random random = random_stream(4, "disturb", 0);
        for (size_t p = 0; p < adapted->parameters.count; p++)
            adapted->parameters.values[p] += (real)(0.1 * random_normal(&random));
        const struct outcome *outcomes = subject_answer(&s, adapted);
        const struct label_trie *trie = adapted->labels;
        assert_int_equal(trie->n_forks, 1);
        assert_int_equal(trie->tokens, 0);
        for (size_t e = 0; e < s.data.count; e++) {
            struct tokens ids = {0};
            struct error err;
            tokens_append(&ids, adapted->prefix.ids, adapted->prefix.count);
            assert_int_equal(prompt_request(adapted, s.examples[e], &ids, &err), OK);
            const real *logits = subject_logits(adapted, &ids);
            double gap =
                (double)logits[trie->choices[1].token] - (double)logits[trie->choices[0].token];
            double found = (double)outcomes[e].probabilities[trie->choices[0].label];
            if (!(fabs(found - 1 / (1 + exp(gap))) < 1e-5))
                fail_msg("%s, example %zu: %g, expected %g", t->name, e, found, 1 / (1 + exp(gap)));
            tokens_release(&ids);
        }
        adapted_release(adapted);
        subject_close(&s);
    }
}

/* ---- learning ---- */

/* The tiny model's head cannot be sure of any token; with larger states it can. */
static void sharpen(struct subject *s)
{
    for (int c = 0; c < s->model->output_norm.cols; c++)
        s->model->output_norm.data[c] *= 4;
}

static void test_by_heart(void **state)
{
    const struct technique *t;
    struct subject s;
    for (size_t i = 0; (t = each(i)); i++) {
        if (!t->fit && !(t->needs & NEEDS_GRADIENT))
            continue;
        if (!open_any(&s, *state, t, 2))
            continue;
        sharpen(&s);
        s.data.count = s.material.count = 8;
        struct adapted *adapted = subject_adapt(&s, t, t->fit ? "" : recipe_of(t)->by_heart);
        double loss = learn(&s, adapted);
        if (!(loss < 0.1))
            fail_msg("%s: the loss of eight examples is still %g", t->name, loss);
        const struct outcome *outcomes = subject_answer(&s, adapted);
        for (size_t e = 0; e < s.data.count; e++)
            if (outcomes[e].label != s.data.examples[e].label)
                fail_msg("%s: example %zu was not learned", t->name, e);
        adapted_release(adapted);
        subject_close(&s);
    }
}

/* Training and answers are the same to the bit with three threads. */
static void test_threads(void **state)
{
    const struct technique *t;
    for (size_t i = 0; (t = each(i)); i++) {
        struct subject one, three;
        if (!open_any(&one, *state, t, 1))
            continue;
        if (!open_any(&three, *state, t, 3))
            continue;
        struct adapted *a = adapt_briefly(&one, t), *b = adapt_briefly(&three, t);
        learn(&one, a);
        learn(&three, b);
        assert_memory_equal(a->parameters.values, b->parameters.values,
                            a->parameters.count * sizeof(real));
        check_same_outcomes(&one, subject_answer(&one, a), subject_answer(&three, b));
        adapted_release(a);
        adapted_release(b);
        subject_close(&one);
        subject_close(&three);
    }
}

/* A training that would take too much runs its layers again and learns the same; one that takes too
 * much even so is refused before it begins. */
static void test_memory_limit(void **state)
{
    (void)state;
    struct subject s;
    struct error err;
    struct training_report report;
    const struct technique *technique = technique_find("lora");
    const void *bytes[3];
    size_t lengths[3], peaks[3];
    subject_open(&s, data_two_labels, TASK_CLASSIFICATION, 2);
    for (int i = 0; i < 3; i++) {
        s.engine->recompute = i == 1;
        s.engine->memory_limit = i == 2 ? (peaks[0] + peaks[1]) / 2 : 0;
        engine_trim(s.engine);
        struct adapted *adapted = subject_adapt(&s, technique, LONG_BATCHES);
        learn(&s, adapted);
        assert_int_equal(s.engine->recompute, i == 1);
        peaks[i] = engine_peak(s.engine);
        adapted_save(adapted, &s.arena, &bytes[i], &lengths[i]);
        adapted_release(adapted);
    }
    assert_true(peaks[1] < peaks[0]);
    assert_int_equal(peaks[2], peaks[1]);
    assert_int_equal(lengths[0], lengths[2]);
    assert_memory_equal(bytes[0], bytes[2], lengths[0]);
    s.engine->memory_limit = peaks[1] / 2;
    struct adapted *adapted = subject_adapt(&s, technique, LONG_BATCHES);
    assert_int_equal(trainer_run(adapted, &s.material, NULL, NULL, &report, &err), FAILED);
    assert_non_null(strstr(err.text, "with layers that are run again"));
    assert_non_null(strstr(err.text, "--max-memory"));
    adapted_release(adapted);
    subject_close(&s);
}

/* Training and answers are the same to the bit with weights that stay as the file has them. */
static void test_packed(void **state)
{
    const struct technique *t;
    const char *model = *state;
    char path[PACKED_PATH];
    packed_make(model, path);
    for (size_t i = 0; (t = each(i)); i++) {
        struct subject plain, packed;
        if (!open_any(&plain, model, t, 2))
            continue;
        assert_true(open_any(&packed, model, t, 2));
        exchange_model(&plain, path, WEIGHTS_EXPANDED);
        exchange_model(&packed, path, WEIGHTS_PACKED);
        packed.engine->recompute = true;
        struct adapted *a = adapt_briefly(&plain, t), *b = adapt_briefly(&packed, t);
        learn(&plain, a);
        learn(&packed, b);
        if (a->parameters.count)
            assert_memory_equal(a->parameters.values, b->parameters.values,
                                a->parameters.count * sizeof(real));
        check_same_outcomes(&plain, subject_answer(&plain, a), subject_answer(&packed, b));
        adapted_release(a);
        adapted_release(b);
        subject_close(&plain);
        subject_close(&packed);
    }
    unlink(path);
}

/* All weights of the model in a row. */
static size_t weights_of(const struct model *model, const struct tensor **weights)
{
    size_t n = 0;
    weights[n++] = &model->embedding;
    weights[n++] = &model->output_norm;
    weights[n++] = &model->output;
    for (int layer = 0; layer < model->n_layer; layer++) {
        weights[n++] = &model->layers[layer].attention_norm;
        weights[n++] = &model->layers[layer].feed_forward_norm;
        for (int site = 0; site < N_SITES; site++)
            weights[n++] = &model->layers[layer].linear[site];
        for (int site = 0; site < N_SITES; site++)
            if (model->biased[site])
                weights[n++] = &model->layers[layer].bias[site];
    }
    return n;
}

/* Layers that are run again on the way back teach the same, to the bit, in less memory. */
static void test_recompute(void **state)
{
    const struct technique *technique;
    for (size_t i = 0; (technique = each(i)); i++) {
        if (!(technique->needs & NEEDS_GRADIENT))
            continue;
        struct subject s;
        const void *bytes[2];
        size_t lengths[2], peaks[2];
        if (!open_any(&s, *state, technique, 2))
            continue;
        for (int recompute = 0; recompute < 2; recompute++) {
            s.engine->recompute = recompute;
            engine_trim(s.engine);
            struct adapted *adapted = adapt_briefly(&s, technique);
            learn(&s, adapted);
            peaks[recompute] = engine_peak(s.engine);
            adapted_save(adapted, &s.arena, &bytes[recompute], &lengths[recompute]);
            adapted_release(adapted);
        }
        assert_int_equal(lengths[0], lengths[1]);
        assert_memory_equal(bytes[0], bytes[1], lengths[0]);
        assert_true(peaks[1] < peaks[0]);
        subject_close(&s);
    }
}

static void test_frozen(void **state)
{
    const struct technique *t;
    struct subject s;
    for (size_t i = 0; (t = each(i)); i++) {
        if (!open_any(&s, *state, t, 2))
            continue;
        const struct tensor *weights[64];
        real *before[64];
        size_t n = weights_of(s.model, weights);
        for (size_t w = 0; w < n; w++) {
            size_t bytes = tensor_size(weights[w]) * sizeof(real);
            before[w] = memcpy(arena_alloc(&s.arena, bytes), weights[w]->data, bytes);
        }
        struct adapted *adapted = adapt_briefly(&s, t);
        learn(&s, adapted);
        for (size_t w = 0; w < n; w++) {
            assert_null(weights[w]->grad);
            assert_false(weights[w]->needs_grad);
            assert_memory_equal(weights[w]->data, before[w],
                                tensor_size(weights[w]) * sizeof(real));
        }
        adapted_release(adapted);
        subject_close(&s);
    }
}

/* ---- saving ---- */

/* What was trained here answers the same where it is loaded, to the bit. The prefix is computed
 * before the training, so that a cache left over would show. */
static void check_saved(struct subject *s, const struct technique *t)
{
    const void *bytes;
    size_t length;
    struct error err;
    struct adapted *adapted = adapt_briefly(s, t);
    assert_int_equal(adapted_warm(adapted, &err), OK);
    learn(s, adapted);
    adapted_save(adapted, &s->arena, &bytes, &length);
    s->material.seed++; /* the start has no part in what is loaded */
    struct adapted *other = adapt_briefly(s, t);
    assert_int_equal(adapted_warm(other, &err), OK);
    if (adapted_load(other, bytes, length, &err) != OK)
        fail_msg("%s: %s", t->name, err.text);
    assert_memory_equal(other->parameters.values, adapted->parameters.values,
                        adapted->parameters.count * sizeof(real));
    check_same_outcomes(s, subject_answer(s, other), subject_answer(s, adapted));
    adapted_release(other);
    adapted_release(adapted);
}

static void test_saved(void **state)
{
    const struct technique *t;
    struct subject s;
    for (size_t i = 0; (t = each(i)); i++)
        for (size_t task = 0; task < COUNT(tasks); task += TEXTS - TWO_LABELS)
            if ((t->fit || t->needs & NEEDS_GRADIENT) && open_task(&s, *state, t, task, 1)) {
                check_saved(&s, t);
                subject_close(&s);
            }
}

/* Changes one of the leading numbers, or the length, of what was saved. */
static void check_wrong_blob(struct subject *s, struct adapted *adapted, const void *bytes,
                             size_t length, size_t word, int32_t change)
{
    struct error err = {0};
    size_t size = adapted->parameters.count * sizeof(real);
    real *before = memcpy(arena_alloc(&s->arena, size), adapted->parameters.values, size);
    char *copy = memory_alloc(length + sizeof(int32_t)); /* its end is guarded by sanitizers */
    memcpy(copy, bytes, length);
    int32_t value;
    memcpy(&value, copy + word * sizeof value, sizeof value);
    value += change;
    memcpy(copy + word * sizeof value, &value, sizeof value);
    assert_int_equal(adapted_load(adapted, copy, length, &err), FAILED);
    assert_non_null(strstr(err.text, adapted->technique->name));
    assert_non_null(strstr(err.text, "train it again"));
    assert_memory_equal(adapted->parameters.values, before, size);
    free(copy);
}

static void check_wrong_lengths(struct adapted *adapted, const void *bytes, size_t length)
{
    struct error err;
    const size_t lengths[] = {0, 1, 4, 7, 8, 12, length / 2, length - 4, length - 1, length + 4};
    for (size_t i = 0; i < COUNT(lengths); i++) {
        char *copy = memory_zalloc(lengths[i] + 1); /* sanitizers see a read past the end */
        memcpy(copy, bytes, lengths[i] < length ? lengths[i] : length);
        assert_int_equal(adapted_load(adapted, copy, lengths[i], &err), FAILED);
        free(copy);
    }
}

static void test_wrong_blobs(void **state)
{
    const struct technique *t;
    struct subject s;
    for (size_t i = 0; (t = each(i)); i++) {
        if (!t->fit && !(t->needs & NEEDS_GRADIENT))
            continue;
        const void *bytes;
        size_t length;
        if (!open_any(&s, *state, t, 1))
            continue;
        struct adapted *adapted = adapt_briefly(&s, t);
        adapted_save(adapted, &s.arena, &bytes, &length);
        check_wrong_blob(&s, adapted, bytes, length, 0, 1);  /* the mark */
        check_wrong_blob(&s, adapted, bytes, length, 1, 1);  /* how many */
        check_wrong_blob(&s, adapted, bytes, length, 2, 1);  /* rows of the first */
        check_wrong_blob(&s, adapted, bytes, length, 3, -1); /* its columns */
        check_wrong_lengths(adapted, bytes, length);
        adapted_release(adapted);
        subject_close(&s);
    }
}

/* What another technique, or another setting, has learned is refused. Settings of the trainer have
 * no part in the answers. */
static void check_origin(struct subject *s, const struct technique *t, const char *change,
                         const char *expected)
{
    const void *bytes;
    size_t length;
    struct error err = {0};
    struct adapted *adapted = subject_adapt(s, t, "");
    adapted_save(adapted, &s->arena, &bytes, &length);
    struct adapted *other = subject_adapt(s, t, change);
    size_t size = other->parameters.count * sizeof(real);
    const struct attachment *attachment = other->attachment;
    real *before = memcpy(arena_alloc(&s->arena, size), other->parameters.values, size);
    enum status status = adapted_load(other, bytes, length, &err);
    assert_int_equal(status, expected ? FAILED : OK);
    if (expected && (!strstr(err.text, expected) || !strstr(err.text, t->name)))
        fail_msg("%s, %s: %s", t->name, change, err.text);
    if (expected) { /* it can still be trained */
        assert_ptr_equal(other->attachment, attachment);
        assert_memory_equal(before, other->parameters.values, size);
    }
    adapted_release(other);
    adapted_release(adapted);
}

static void check_other_technique(struct subject *s, const struct technique *t)
{
    const void *bytes;
    size_t length;
    struct error err = {0};
    struct adapted *adapted = subject_adapt(s, t, "");
    adapted_save(adapted, &s->arena, &bytes, &length);
    char *copy = memcpy(arena_alloc(&s->arena, length), bytes, length);
    size_t at = 0;
    while (memcmp(copy + at, t->name, strlen(t->name)))
        at++;
    copy[at] = 'x';
    assert_int_equal(adapted_load(adapted, copy, length, &err), FAILED);
    assert_non_null(strstr(err.text, "were learned by x"));
    adapted_release(adapted);
}

static void test_other_origin(void **state)
{
    const struct technique *t;
    struct subject s;
    for (size_t i = 0; (t = each(i)); i++) {
        if (!t->fit && !(t->needs & NEEDS_GRADIENT))
            continue;
        if (!open_any(&s, *state, t, 1))
            continue;
        check_other_technique(&s, t);
        check_origin(&s, t, "instruction=answer", "instruction=");
        if (t->needs & NEEDS_GRADIENT)
            check_origin(&s, t, "learning_rate=1e-4;num_epochs=7", NULL);
        if (!strcmp(t->name, "lora")) {
            check_origin(&s, t, "lora_alpha=8.00001", "lora_alpha=8, expected 8.00001");
            check_origin(&s, t, "use_rslora=true", "use_rslora=false, expected true");
            check_origin(&s, t, "use_dora=true", "are not those of its setting");
        }
        subject_close(&s);
    }
}

/* ---- merging ---- */

/* A model whose weights took in what was learned answers alike with nothing attached. */
static void test_merged(void **state)
{
    const struct technique *t;
    struct subject s;
    size_t merged = 0;
    for (size_t i = 0; (t = each(i)); i++) {
        if (!t->merge)
            continue;
        merged++;
        if (!open_any(&s, *state, t, 2))
            continue;
        struct adapted *bare = bare_model(&s, t);
        struct adapted *adapted = subject_adapt(&s, t, recipe_of(t)->by_heart);
        learn(&s, adapted);
        const struct outcome *want = subject_answer(&s, adapted);
        const struct outcome *before = subject_answer(&s, bare);
        assert_true(want[0].probability != before[0].probability);
        for (int w = 0; w < model_weight_count(s.model); w++)
            adapted_merge(adapted, w, model_weight(s.model, w)->data);
        adapted_cool(bare);
        const struct outcome *found = subject_answer(&s, bare);
        for (size_t e = 0; e < s.data.count; e++) {
            assert_int_equal(found[e].label, want[e].label);
            if (!(fabs(found[e].probability - want[e].probability) < 1e-4))
                fail_msg("%s: %g merged, %g attached", t->name, found[e].probability,
                         want[e].probability);
        }
        adapted_release(adapted);
        adapted_release(bare);
        subject_close(&s);
    }
    assert_true(merged > 0);
}

/* ---- answers ---- */

static void check_outcome(const struct subject *s, size_t i, const struct outcome *o)
{
    size_t labels = s->data.label_count;
    if (!labels) {
        assert_int_equal(o->label, -1);
        assert_non_null(o->text);
        assert_true(utf8_valid(o->text, strlen(o->text), NULL));
        assert_null(o->probabilities);
        return;
    }
    assert_in_range(o->label, 0, labels - 1);
    assert_null(o->text);
    assert_true(o->scored);
    double sum = 0;
    for (size_t l = 0; l < labels; l++) {
        sum += (double)o->probabilities[l];
        assert_true(o->probabilities[l] <= o->probabilities[o->label]);
    }
    assert_true(fabs(sum - 1) < 1e-5);
    assert_true(fabs(o->probability - (double)o->probabilities[o->label]) < 1e-6);
    double truth = (double)o->probabilities[s->data.examples[i].label];
    assert_true(fabs(exp(-o->nll) - truth) < 1e-6);
}

/* Every technique does every kind of task it fits. Its outcomes outlive it. */
static void test_tasks(void **state)
{
    const struct technique *t;
    struct subject s;
    for (size_t i = 0; (t = each(i)); i++)
        for (size_t task = 0; task < COUNT(tasks); task++) {
            if (!open_task(&s, *state, t, task, 2))
                continue;
            struct adapted *adapted = adapt_briefly(&s, t);
            learn(&s, adapted);
            const struct outcome *outcomes = subject_answer(&s, adapted);
            adapted_release(adapted);
            for (size_t e = 0; e < s.data.count; e++) {
                check_outcome(&s, e, &outcomes[e]);
                assert_int_equal(outcomes[e].request_tokens > 0, (t->needs & NEEDS_MODEL) != 0);
            }
            subject_close(&s);
        }
}

static void test_interrupted(void **state)
{
    const struct technique *t;
    struct subject s;
    struct deadline past = {.at = clock_seconds() - 1};
    for (size_t i = 0; (t = each(i)); i++) {
        struct outcome outcomes[SUBJECT_ROWS];
        struct error err = {0};
        if (!(t->needs & NEEDS_MODEL))
            continue;
        if (!open_any(&s, *state, t, 2))
            continue;
        struct adapted *adapted = adapt_briefly(&s, t);
        if (t->fit)
            assert_int_equal(t->fit(adapted, &s.material, &past, &err), OUT_OF_TIME);
        assert_int_equal(
            adapted_answer(adapted, s.examples, s.data.count, outcomes, &s.arena, &past, &err),
            OUT_OF_TIME);
        adapted_release(adapted);
        subject_close(&s);
    }
}

/* ---- refusals ---- */

/* `check` and adapted_create say the same, and name the setting and its value. */
static void check_refusal(struct subject *s, const struct technique *t, const char *assignments)
{
    struct setting setting = subject_setting(s, t, assignments);
    struct adapted *adapted;
    struct error err = {0}, again = {0};
    assert_non_null(t->check);
    assert_int_equal(t->check(&setting, s->model, &s->material, &err), USAGE);
    assert_int_equal(adapted_create(&adapted, s->engine, &setting, &s->material, &again), USAGE);
    assert_null(adapted);
    assert_string_equal(err.text, again.text);
    assert_non_null(strstr(err.text, t->name));
    assert_non_null(strstr(err.text, assignments));
    assert_non_null(strstr(err.text, "expected"));
}

static void test_refusals(void **state)
{
    const struct technique *t;
    struct subject s;
    for (size_t i = 0; (t = each(i)); i++) {
        struct error err;
        if (!open_any(&s, *state, t, 1)) { /* a model with nothing to train */
            subject_open_model(&s, *state, data_two_labels, TASK_CLASSIFICATION, 1);
            check_refusal(&s, t, "");
            subject_close(&s);
            continue;
        }
        for (size_t e = 0; e < 2; e++) { /* the defaults and the variant are fine */
            struct setting setting = subject_setting(&s, t, e ? recipe_of(t)->variant : "");
            if (t->check && t->check(&setting, s.model, &s.material, &err) != OK)
                fail_msg("%s: %s", t->name, err.text);
        }
        if (recipe_of(t)->refused)
            check_refusal(&s, t, recipe_of(t)->refused);
        subject_close(&s);
    }
}

/* No technique is left out of all this. */
static void test_models(void **state)
{
    (void)state;
    static const char *const models[] = {tiny_llama, tiny_qwen2};
    const struct technique *t;
    struct subject s;
    for (size_t i = 0; (t = each(i)); i++) {
        size_t fitting = 0;
        for (size_t m = 0; m < COUNT(models); m++)
            if (open_any(&s, models[m], t, 1)) {
                fitting++;
                subject_close(&s);
            }
        assert_in_range(fitting, strcmp(t->name, "bitfit") ? COUNT(models) : 1, COUNT(models));
    }
}

/* Of one model, whose path is the initial state. */
static int run_contract(const char *name, const char *model)
{
    struct CMUnitTest tests[] = {
        cmocka_unit_test(test_costs),        cmocka_unit_test(test_same_seed),
        cmocka_unit_test(test_start),        cmocka_unit_test(test_uncached),
        cmocka_unit_test(test_by_heart),     cmocka_unit_test(test_threads),
        cmocka_unit_test(test_recompute),    cmocka_unit_test(test_frozen),
        cmocka_unit_test(test_saved),        cmocka_unit_test(test_wrong_blobs),
        cmocka_unit_test(test_other_origin), cmocka_unit_test(test_merged),
        cmocka_unit_test(test_tasks),        cmocka_unit_test(test_interrupted),
        cmocka_unit_test(test_refusals),     cmocka_unit_test(test_packed),
    };
    for (size_t i = 0; i < COUNT(tests); i++)
        tests[i].initial_state = (void *)(uintptr_t)model;
    return cmocka_run_group_tests_name(name, tests, NULL, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),         cmocka_unit_test(test_tables),
        cmocka_unit_test(test_json),         cmocka_unit_test(test_lora_start),
        cmocka_unit_test(test_models),       cmocka_unit_test(test_memory),
        cmocka_unit_test(test_memory_limit),
    };
    return cmocka_run_group_tests_name("techniques", tests, NULL, NULL) +
           run_contract("techniques of a llama model", tiny_llama) +
           run_contract("techniques of a qwen2 model", tiny_qwen2);
}
