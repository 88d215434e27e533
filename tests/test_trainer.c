/* SPDX-License-Identifier: Apache-2.0
 *
 * The common trainer on the tiny model. trainer.c is included for its schedule, its order and its
 * single steps.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "techniques/trainer.c"
#include "tests/lora_fixture.h"

#define COUNT(list) (sizeof(list) / sizeof *(list))

enum { MOST_STEPS = 128 };

static void test_lora_fixture(void **state)
{
    (void)state;
    static const struct lora_tolerance tolerance = {.loss = 1e-4, .gradient = 1e-4, .value = 1e-3};
    check_lora_fixture(1, &tolerance);
}

/* ---- rates and passes ---- */

static struct setting settings(struct subject *s, const char *assignments)
{
    return subject_setting(s, technique_find("lora"), assignments);
}

static void test_schedule(void **state)
{
    (void)state;
    static const struct {
        const char *assignments;
        size_t total;
        double shares[10];
    } cases[] = {
        {"lr_scheduler_type=constant;warmup_ratio=0", 4, {1, 1, 1, 1}},
        {"lr_scheduler_type=constant;warmup_ratio=0.5", 8, {0.25, 0.5, 0.75, 1, 1, 1, 1, 1}},
        {"lr_scheduler_type=linear;warmup_ratio=0", 4, {1, 0.75, 0.5, 0.25}},
        {"lr_scheduler_type=linear;warmup_ratio=0.2",
         10,
         {0.5, 1, 1, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125}},
        {"lr_scheduler_type=linear;warmup_ratio=0.3", /* the warm-up ends in the second step */
         5,
         {2 / 3.0, 1, 6 / 7.0, 4 / 7.0, 2 / 7.0}},
        {"lr_scheduler_type=linear;warmup_ratio=1", 4, {0.25, 0.5, 0.75, 1}},
        {"lr_scheduler_type=linear;warmup_ratio=0", 1, {1}},
        {"lr_scheduler_type=linear;warmup_ratio=0.1", 1, {1}},
        {"lr_scheduler_type=cosine;warmup_ratio=0",
         4,
         {1, 0.8535533905932737, 0.5, 0.1464466094067263}},
        {"lr_scheduler_type=cosine;warmup_ratio=0.5", 6, {1 / 3.0, 2 / 3.0, 1, 1, 0.75, 0.25}},
    };
    struct subject s;
    subject_open(&s, data_two_labels, TASK_CLASSIFICATION, 1);
    for (size_t c = 0; c < COUNT(cases); c++) {
        struct setting setting = settings(&s, cases[c].assignments);
        for (size_t step = 1; step <= cases[c].total; step++) {
            double found = schedule(&setting, step, cases[c].total);
            if (!(fabs(found - cases[c].shares[step - 1]) < 1e-12))
                fail_msg("%s, step %zu: %.15g", cases[c].assignments, step, found);
        }
    }
    subject_close(&s);
}

/* num_epochs and batch_size, or what makes about 64 steps. */
static void test_epochs_and_batches(void **state)
{
    (void)state;
    static const struct {
        const char *assignments;
        size_t examples;
        int epochs;
        size_t batch;
    } cases[] = {
        {"num_epochs=3;batch_size=16", 8, 3, 16},
        {"num_epochs=1;batch_size=16", 100000, 1, 16},
        {"num_epochs=0;batch_size=16", 1, 10, 16},
        {"num_epochs=0;batch_size=16", 112, 10, 16},
        {"num_epochs=0;batch_size=16", 113, 8, 16},
        {"num_epochs=0;batch_size=16", 256, 4, 16},
        {"num_epochs=0;batch_size=16", 512, 2, 16},
        {"num_epochs=0;batch_size=1", 10, 7, 1},
        {"num_epochs=0;batch_size=1024", 1024, 10, 1024},
        {"num_epochs=0;batch_size=0", 8, 10, 4},
        {"num_epochs=0;batch_size=0", 64, 4, 4},
        {"num_epochs=0;batch_size=0", 128, 4, 8},
        {"num_epochs=0;batch_size=0", 256, 4, 16},
        {"num_epochs=0;batch_size=0", 363, 3, 16},
        {"num_epochs=0;batch_size=0", 512, 2, 16},
        {"num_epochs=0;batch_size=0", 100000, 2, 16},
        {"num_epochs=10;batch_size=0", 64, 10, 10},
    };
    struct subject s;
    subject_open(&s, data_two_labels, TASK_CLASSIFICATION, 1);
    for (size_t c = 0; c < COUNT(cases); c++) {
        struct setting setting = settings(&s, cases[c].assignments);
        int epochs = trainer_epochs(&setting, cases[c].examples);
        size_t batch = trainer_batch(&setting, cases[c].examples);
        if (epochs != cases[c].epochs || batch != cases[c].batch)
            fail_msg("%s, %zu examples: %d passes, batches of %zu", cases[c].assignments,
                     cases[c].examples, epochs, batch);
    }
    subject_close(&s);
}

static void test_order(void **state)
{
    (void)state;
    enum { EXAMPLES = 20 };
    struct sequence sequences[EXAMPLES], order[4][EXAMPLES], again[EXAMPLES];
    struct arena arena;
    arena_init(&arena, NULL);
    for (int i = 0; i < EXAMPLES; i++)
        sequences[i] = (struct sequence){.request = i};
    for (size_t epoch = 0; epoch < 4; epoch++) {
        bool seen[EXAMPLES] = {0};
        shuffle(order[epoch], sequences, EXAMPLES, 5, epoch, &arena);
        shuffle(again, sequences, EXAMPLES, 5, epoch, &arena);
        for (int i = 0; i < EXAMPLES; i++) {
            assert_int_equal(order[epoch][i].request, again[i].request);
            assert_false(seen[order[epoch][i].request]);
            seen[order[epoch][i].request] = true;
        }
        for (size_t earlier = 0; earlier < epoch; earlier++)
            assert_memory_not_equal(order[earlier], order[epoch], sizeof order[epoch]);
    }
    assert_memory_equal(order[0], sequences, sizeof sequences); /* the study's own order first */
    shuffle(again, sequences, EXAMPLES, 6, 1, &arena);
    assert_memory_not_equal(again, order[1], sizeof again);
    shuffle(again, sequences, EXAMPLES, 6, 0, &arena);
    assert_memory_equal(again, sequences, sizeof again);
    arena_release(&arena);
}

/* ---- runs ---- */

/* What the hook saw, and what it shall do at one of the steps. */
struct log {
    struct training_step steps[MOST_STEPS];
    size_t count, total;
    size_t stop_at; /* 0: never */
    enum status stop;
    volatile sig_atomic_t *press;
};

static enum status record(void *context, const struct training_step *step, size_t total,
                          struct error *err)
{
    struct log *log = context;
    assert_true(log->count < MOST_STEPS);
    log->steps[log->count++] = *step;
    log->total = total;
    if (step->step != log->stop_at)
        return OK;
    if (log->press)
        *log->press = 1;
    return log->stop == OK ? OK : error_set(err, log->stop, "the hook said so");
}

/* One training run, with everything that tests look at afterwards. */
struct trained {
    struct subject s;
    struct adapted *adapted;
    struct log log;
    struct training_report report;
    struct error err;
};

static enum status train(struct trained *r, const struct deadline *deadline)
{
    struct training_hooks hooks = {.context = &r->log, .step = record};
    return trainer_run(r->adapted, &r->s.material, &hooks, deadline, &r->report, &r->err);
}

static void open_run_of(struct trained *r, const char *technique, const char *csv,
                        const char *assignments, int threads)
{
    *r = (struct trained){0};
    subject_open(&r->s, csv, TASK_CLASSIFICATION, threads);
    r->adapted = subject_adapt(&r->s, technique_find(technique), assignments);
}

static void open_run(struct trained *r, const char *csv, const char *assignments, int threads)
{
    open_run_of(r, "lora", csv, assignments, threads);
}

static void close_run(struct trained *r)
{
    adapted_release(r->adapted);
    subject_close(&r->s);
}

/* What the training will run is known beforehand. */
static void test_tokens_are_predicted(void **state)
{
    (void)state;
    static const char *const cases[] = {"num_epochs=2;batch_size=0", "num_epochs=1;batch_size=12",
                                        "num_epochs=3;batch_size=5"};
    for (size_t c = 0; c < COUNT(cases); c++) {
        struct trained r;
        struct sequence *sequences;
        double rows = 0;
        open_run(&r, data_two_labels, cases[c], 1);
        size_t count = r.s.data.count;
        assert_int_equal(
            prompt_encode(r.adapted, r.s.examples, count, true, &r.s.arena, &sequences, &r.err),
            OK);
        for (size_t i = 0; i < count; i++)
            rows += sequences[i].request + sequences[i].answer - 1;
        assert_int_equal(train(&r, NULL), OK);
        double tokens = trainer_tokens(&r.adapted->setting, count, rows / (double)count,
                                       (double)r.adapted->prefix.count);
        if (fabs(tokens / (double)r.report.tokens - 1) > 0.1)
            fail_msg("%s: %.0f tokens predicted, %zu run", cases[c], tokens, r.report.tokens);
        close_run(&r);
    }
}

/* Parameters whose gradients are added up by each worker, and where the sum is. */
static const struct {
    const char *technique, *assignments;
} both_ways[] = {{"lora", "batch_size=8;num_epochs=3;target_modules=all-linear"},
                 {"full_finetune", "batch_size=8;num_epochs=3"}};

/* The same bits with any number of threads, and each time anew. */
static void test_threads(void **state)
{
    (void)state;
    for (size_t w = 0; w < COUNT(both_ways); w++) {
        const char *technique = both_ways[w].technique, *assignments = both_ways[w].assignments;
        struct trained one, other;
        open_run_of(&one, technique, data_seven_labels, assignments, 1);
        assert_int_equal(train(&one, NULL), OK);
        for (int threads = 1; threads <= 3; threads++) {
            open_run_of(&other, technique, data_seven_labels, assignments, threads);
            assert_int_equal(train(&other, NULL), OK);
            assert_memory_equal(other.adapted->parameters.values, one.adapted->parameters.values,
                                one.adapted->parameters.count * sizeof(real));
            assert_int_equal(other.log.count, one.log.count);
            assert_memory_equal(other.log.steps, one.log.steps, sizeof one.log.steps);
            assert_true(other.report.final_loss == one.report.final_loss);
            close_run(&other);
        }
        open_run_of(&other, technique, data_seven_labels, assignments, 1);
        other.s.material.seed = 2; /* another order, the same start */
        assert_int_equal(train(&other, NULL), OK);
        assert_true(w || other.log.steps[1].loss == one.log.steps[1].loss);
        assert_true(fabs(other.log.steps[4].loss / one.log.steps[4].loss - 1) > 1e-5);
        close_run(&other);
        close_run(&one);
    }
}

enum { LONG = 1200 }; /* tokens of a long example */

/* A long example and short ones behind it. */
static void write_uneven(struct text *csv)
{
    text_add(csv, "text,label\n");
    text_repeat(csv, "x ", LONG / 2);
    text_add(csv, "y,positive\nb,negative\nc,positive\nd,negative\ne,positive\nf,negative\n");
}

/* The micro-batches of the short examples are done first and have to wait, or the sum would be
 * rounded otherwise. */
static void test_turns(void **state)
{
    (void)state;
    struct text csv = {0};
    write_uneven(&csv);
    for (size_t w = 0; w < COUNT(both_ways); w++) {
        real *expected = NULL;
        for (int threads = 1; threads <= 3; threads++) {
            struct trained r;
            open_run_of(&r, both_ways[w].technique, text_string(&csv), both_ways[w].assignments,
                        threads);
            r.s.model->n_context = 2 * LONG;
            assert_int_equal(train(&r, NULL), OK);
            size_t bytes = r.adapted->parameters.count * sizeof(real);
            if (!expected)
                expected = memcpy(memory_alloc(bytes), r.adapted->parameters.values, bytes);
            assert_memory_equal(r.adapted->parameters.values, expected, bytes);
            close_run(&r);
        }
        free(expected);
    }
    text_release(&csv);
}

/* The gradient of one step over all examples. */
static real *gradient_of_step(struct trained *r, struct training *t)
{
    struct sequence *sequences;
    struct training_step step = {0};
    size_t rows = 0, count = r->s.data.count;
    *t = (struct training){.adapted = r->adapted};
    arena_init(&t->arena, NULL);
    prepare(t);
    for (size_t i = 0; i < r->adapted->parameters.count; i++)
        t->gradient[i] = (real)NAN; /* nothing of before remains */
    assert_int_equal(
        prompt_encode(r->adapted, r->s.examples, count, true, &t->arena, &sequences, &r->err), OK);
    assert_int_equal(run_step(t, sequences, count, &step, &rows, &r->err), OK);
    return t->gradient;
}

/* What is added where the sum is comes to the same as what workers add up first. */
static void test_added_in_place(void **state)
{
    (void)state;
    struct text csv = {0};
    write_uneven(&csv);
    for (int threads = 1; threads <= 3; threads++) {
        struct trained place, block;
        struct training of_place, of_block;
        open_run_of(&place, "full_finetune", text_string(&csv), "batch_size=8", threads);
        open_run_of(&block, "full_finetune", text_string(&csv), "batch_size=8", threads);
        place.s.model->n_context = block.s.model->n_context = 2 * LONG;
        struct parameters *p = &block.adapted->parameters;
        size_t in_place = added_in_place(p);
        assert_true(in_place > 0 && in_place < p->count);
        for (int i = 0; i < p->n_items; i++)
            p->items[i].once = false;
        assert_int_equal(added_in_place(p), 0);
        const real *a = gradient_of_step(&place, &of_place);
        const real *b = gradient_of_step(&block, &of_block);
        real largest = 0;
        for (size_t i = 0; i < p->count; i++)
            largest = (real)fmax((double)largest, fabs((double)b[i]));
        assert_true(largest > 0);
        for (size_t i = 0; i < p->count; i++)
            if (!(fabs((double)(a[i] - b[i])) <= 1e-6 * (double)largest))
                fail_msg("value %zu: %g in place, %g added up, the largest is %g", i, (double)a[i],
                         (double)b[i], (double)largest);
        turns_end(of_place.turns);
        turns_end(of_block.turns);
        arena_release(&of_place.arena);
        arena_release(&of_block.arena);
        close_run(&place);
        close_run(&block);
    }
    text_release(&csv);
}

static void test_steps(void **state)
{
    (void)state;
    struct trained r;
    open_run(&r, data_two_labels,
             "batch_size=5;num_epochs=2;learning_rate=0.004;lr_scheduler_type=linear;"
             "warmup_ratio=0.5",
             1);
    assert_int_equal(train(&r, NULL), OK);
    struct sequence *sequences;
    assert_int_equal(prompt_encode(r.adapted, r.s.examples, r.s.data.count, true, &r.s.arena,
                                   &sequences, &r.err),
                     OK);
    size_t tokens = 0, rows = 0;
    for (size_t i = 0; i < r.s.data.count; i++) {
        tokens += (size_t)sequences[i].answer;
        rows += (size_t)(sequences[i].request + sequences[i].answer - 1);
    }
    static const size_t examples[] = {5, 10, 12, 17, 22, 24};
    static const double rates[] = {4 / 3.0, 8 / 3.0, 4, 4, 8 / 3.0, 4 / 3.0};
    assert_int_equal(r.log.count, 6);
    assert_int_equal(r.log.total, 6);
    assert_int_equal(r.report.steps, 6);
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(r.log.steps[i].step, i + 1);
        assert_int_equal(r.log.steps[i].examples, examples[i]);
        assert_true(fabs(r.log.steps[i].rate - 1e-3 * rates[i]) < 1e-12);
        assert_true(r.log.steps[i].loss > 0 && r.log.steps[i].grad_norm > 0);
    }
    assert_int_equal(r.log.steps[2].tokens, tokens);
    assert_int_equal(r.log.steps[5].tokens, 2 * tokens);
    /* every batch runs as two micro-batches, each with the prefix in front */
    assert_int_equal(r.report.tokens, 2 * rows + 6 * 2 * r.adapted->prefix.count);
    close_run(&r);
}

/* Mean over answer tokens of the steps for which (from, to] holds. */
static double mean_of(const struct log *log, size_t first, size_t last)
{
    double loss = 0, tokens = 0;
    for (size_t i = first; i <= last; i++) {
        double here = (double)(log->steps[i - 1].tokens - (i > 1 ? log->steps[i - 2].tokens : 0));
        loss += here * log->steps[i - 1].loss;
        tokens += here;
    }
    return loss / tokens;
}

static void test_means(void **state)
{
    (void)state;
    static const struct {
        const char *assignments;
        size_t steps, recent, recent_end, last; /* first and last step of each mean */
    } cases[] = {
        {"batch_size=2;num_epochs=2", 12, 4, 6, 10},  {"batch_size=5;num_epochs=3", 9, 2, 3, 7},
        {"batch_size=12;num_epochs=1", 1, 1, 1, 1},   {"batch_size=6;num_epochs=1", 2, 2, 2, 2},
        {"batch_size=1;num_epochs=1", 12, 7, 12, 10},
    };
    for (size_t c = 0; c < COUNT(cases); c++) {
        struct trained r;
        open_run(&r, data_two_labels, cases[c].assignments, 1);
        assert_int_equal(train(&r, NULL), OK);
        assert_int_equal(r.log.count, cases[c].steps);
        double recent = mean_of(&r.log, cases[c].recent, cases[c].recent_end);
        double last = mean_of(&r.log, cases[c].last, cases[c].steps);
        if (!support_near(r.report.prequential_nll, recent, 1e-12) ||
            !support_near(r.report.final_loss, last, 1e-12))
            fail_msg("%s: %.12g and %.12g, expected %.12g and %.12g", cases[c].assignments,
                     r.report.prequential_nll, r.report.final_loss, recent, last);
        close_run(&r);
    }
}

/* The loss of a step is the mean over all answer tokens of its batch, before training on it. */
static void test_loss(void **state)
{
    (void)state;
    struct trained all, single;
    double loss = 0, tokens = 0;
    open_run(&all, data_seven_labels, "batch_size=1024;num_epochs=1", 1);
    assert_int_equal(train(&all, NULL), OK);
    for (size_t i = 0; i < all.s.data.count; i++) {
        open_run(&single, data_seven_labels, "batch_size=1024;num_epochs=1", 1);
        single.s.material.rows = &single.s.rows[i];
        single.s.material.count = 1;
        assert_int_equal(train(&single, NULL), OK);
        loss += single.log.steps[0].loss * (double)single.log.steps[0].tokens;
        tokens += (double)single.log.steps[0].tokens;
        close_run(&single);
    }
    assert_true(support_near(all.log.steps[0].loss, loss / tokens, 1e-5));
    close_run(&all);
}

/* ---- the optimiser ---- */

/* Two updates with gradients 3 and -1 (every parameter alike), against the definition. */
static void test_adamw(void **state)
{
    (void)state;
    struct trained r;
    open_run(&r, data_two_labels, "learning_rate=0.1;weight_decay=0.5;max_grad_norm=0;r=1", 1);
    struct training t = {.adapted = r.adapted};
    struct parameters *p = &r.adapted->parameters;
    arena_init(&t.arena, NULL);
    prepare(&t);
    double value = 2, mean = 0, square = 0;
    for (size_t i = 0; i < p->count; i++)
        p->values[i] = 2;
    static const double gradients[] = {3, -1}, rates[] = {0.1, 0.05};
    for (int n = 1; n <= 2; n++) {
        double g = gradients[n - 1], rate = rates[n - 1];
        for (size_t i = 0; i < p->count; i++)
            t.gradient[i] = (real)g;
        struct training_step step = {.rate = rate};
        assert_int_equal(gradient_norm(&t, &step.grad_norm, NULL), OK);
        assert_int_equal(update(&t, &step, NULL), OK);
        value *= 1 - rate * 0.5;
        mean = 0.9 * mean + 0.1 * g;
        square = 0.999 * square + 0.001 * g * g;
        value -= rate * (mean / (1 - pow(0.9, n))) / (sqrt(square / (1 - pow(0.999, n))) + 1e-8);
        for (size_t i = 0; i < p->count; i++)
            assert_true(support_near((double)p->values[i], value, 1e-5));
    }
    arena_release(&t.arena);
    close_run(&r);
}

static void test_clipping(void **state)
{
    (void)state;
    static const struct {
        const char *assignments;
        double norm, scale;
    } cases[] = {
        {"max_grad_norm=1", 4, 0.25},     {"max_grad_norm=1", 0.5, 1},
        {"max_grad_norm=2.5", 5, 0.5},    {"max_grad_norm=0", 4000, 1},
        {"max_grad_norm=1", 1e10, 1e-10},
    };
    for (size_t c = 0; c < COUNT(cases); c++) {
        struct trained r;
        open_run(&r, data_two_labels, cases[c].assignments, 1);
        struct training t = {.adapted = r.adapted};
        size_t count = r.adapted->parameters.count;
        arena_init(&t.arena, NULL);
        prepare(&t);
        for (size_t i = 0; i < count; i++)
            t.gradient[i] = (real)(cases[c].norm / sqrt((double)count));
        struct training_step step = {.rate = 1e-3};
        assert_int_equal(gradient_norm(&t, &step.grad_norm, NULL), OK);
        assert_true(support_near(step.grad_norm, cases[c].norm, 1e-5));
        assert_int_equal(update(&t, &step, NULL), OK);
        for (size_t i = 0; i < count; i++)
            assert_true(support_near((double)t.optimizer.mean[i] * 1e3,
                                     100 * cases[c].scale * (double)t.gradient[i], 1e-5));
        arena_release(&t.arena);
        close_run(&r);
    }
}

/* ---- ends ---- */

static void test_diverging(void **state)
{
    (void)state;
    static const real injected[] = {(real)NAN, (real)INFINITY, -(real)INFINITY};
    for (size_t i = 0; i < COUNT(injected); i++) {
        struct trained r;
        open_run(&r, data_two_labels, "learning_rate=0.5;num_epochs=2;warmup_ratio=0", 2);
        int b = r.adapted->parameters.n_items - 1; /* lora_b of the last value projection */
        for (int v = 0; v < r.adapted->parameters.items[b].rows; v++)
            adapted_parameter(r.adapted, b)[v] = injected[i];
        assert_int_equal(train(&r, NULL), FAILED);
        assert_non_null(strstr(r.err.text, "the loss of lora is not finite at step 1 (loss "));
        assert_non_null(strstr(r.err.text, "learning rate 0.5); try a lower learning_rate"));
        assert_int_equal(r.report.steps, 0);
        close_run(&r);
    }
}

static void test_deadline(void **state)
{
    (void)state;
    struct deadline past = {.at = clock_seconds() - 1};
    for (size_t w = 0; w < COUNT(both_ways); w++) {
        struct trained r;
        open_run_of(&r, both_ways[w].technique, data_two_labels, "num_epochs=2", 2);
        size_t bytes = r.adapted->parameters.count * sizeof(real);
        real *before = memcpy(arena_alloc(&r.s.arena, bytes), r.adapted->parameters.values, bytes);
        assert_int_equal(train(&r, &past), OUT_OF_TIME);
        assert_true(strlen(r.err.text) > 0);
        assert_int_equal(r.report.steps, 0);
        assert_memory_equal(r.adapted->parameters.values, before, bytes);
        close_run(&r);
    }
}

static void test_interrupt(void **state)
{
    (void)state;
    struct trained r;
    volatile sig_atomic_t pressed = 0;
    struct deadline deadline = {.signal = &pressed};
    open_run(&r, data_two_labels, "batch_size=2;num_epochs=2", 2);
    r.log.stop_at = 3;
    r.log.press = &pressed;
    assert_int_equal(train(&r, &deadline), INTERRUPTED);
    assert_int_equal(r.log.count, 3);
    assert_int_equal(r.report.steps, 3);
    close_run(&r);
    open_run(&r, data_two_labels, "batch_size=2;num_epochs=2", 1);
    r.log.stop_at = 2;
    r.log.stop = REGRESSION; /* whatever a hook returns is handed on */
    assert_int_equal(train(&r, NULL), REGRESSION);
    assert_string_equal(r.err.text, "the hook said so");
    assert_int_equal(r.log.count, 2);
    assert_int_equal(r.report.steps, 2);
    close_run(&r);
}

static void test_context(void **state)
{
    (void)state;
    struct trained r;
    open_run(&r, data_two_labels, "num_epochs=1", 1);
    r.s.model->n_context = (int)r.adapted->prefix.count + 18;
    assert_int_equal(train(&r, NULL), BAD_DATA);
    assert_non_null(strstr(r.err.text, "the prompt of lora for this example has "));
    assert_int_equal(r.log.count, 0);
    close_run(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lora_fixture),
        cmocka_unit_test(test_schedule),
        cmocka_unit_test(test_epochs_and_batches),
        cmocka_unit_test(test_tokens_are_predicted),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_turns),
        cmocka_unit_test(test_added_in_place),
        cmocka_unit_test(test_steps),
        cmocka_unit_test(test_means),
        cmocka_unit_test(test_loss),
        cmocka_unit_test(test_adamw),
        cmocka_unit_test(test_clipping),
        cmocka_unit_test(test_diverging),
        cmocka_unit_test(test_deadline),
        cmocka_unit_test(test_interrupt),
        cmocka_unit_test(test_context),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
