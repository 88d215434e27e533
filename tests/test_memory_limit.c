/* SPDX-License-Identifier: Apache-2.0
 *
 * How trials keep to the memory that a study may take.
 */
#define _XOPEN_SOURCE 700
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "advisor/cost.h"
#include "advisor/facts.h"
#include "advisor/memory_limit.h"
#include "advisor/situation.h"
#include "tests/packed_model.h"
#include "tests/study_support.h"

#define TRAINED "full_finetune" /* which takes more to train than to answer with, also here */

static struct setting setting_of(const char *technique)
{
    return setting_default(technique_find(technique));
}

static void test_limit(void **state)
{
    (void)state;
    struct options options = {.threads = 1};
    struct measured machine = memory_limit(&options);
    assert_true(machine.known && machine.value > 1e6);
    options.max_memory_bytes = measured(3e9);
    assert_true(memory_limit(&options).value >= 3e9);
    assert_true(memory_limit(&options).value <= 3e9);
}

/* A study of a model whose weights take fewer bytes in the file. */
static void open_packed(struct desk *desk, struct bench *bench, char path[PACKED_PATH],
                        const char *more)
{
    static char words[BENCH_PATH * 2];
    struct error err;
    bench_enter(bench);
    bench_rows(bench->data, 60, 24, 3);
    packed_make(TINY_MODEL, path);
    snprintf(words, sizeof words, "%s --model %s %s", bench->data, path, more);
    desk_must(desk_open(desk, words, &err), &err);
}

static void close_packed(struct desk *desk, struct bench *bench, const char *path)
{
    desk_close(desk);
    bench_leave(bench);
    unlink(path);
}

/* With less and less memory the weights are expanded, then packed, and then nothing fits; a trial
 * that fits leaves the engine what is left beside the weights and the program. */
static void test_ways(void **state)
{
    (void)state;
    struct desk desk;
    struct bench bench;
    struct error err;
    struct setting setting = setting_of(TRAINED);
    const char *why = "";
    char path[PACKED_PATH];
    double packed_from = 0, refused_from = 0;
    open_packed(&desk, &bench, path, "--max-memory 4G");
    struct study *study = &desk.study;
    assert_int_equal(study->model->form, WEIGHTS_EXPANDED);
    for (double limit = PROGRAM_BYTES + 0x1p25; limit > PROGRAM_BYTES; limit -= 4096) {
        study->memory_limit = measured(limit);
        bool fits = memory_fits(study, &setting, 40, &why);
        enum status status = memory_settle(study, &setting, 40, &err);
        assert_int_equal(status, fits ? OK : FAILED);
        if (!fits) {
            refused_from = refused_from > 0 ? refused_from : limit;
            continue;
        }
        assert_true(refused_from <= 0); /* less memory never fits what more does not */
        if (study->model->form == WEIGHTS_PACKED)
            packed_from = packed_from > 0 ? packed_from : limit;
        else
            assert_true(packed_from <= 0);
        double left = limit - PROGRAM_BYTES - (double)study->model->bytes;
        assert_true(fabs((double)study->engine->memory_limit - left) <= 1);
    }
    assert_true(packed_from > refused_from && refused_from > 0);
    assert_non_null(strstr(why, " of memory, "));
    assert_non_null(strstr(why, " with layers that are run again, "));
    assert_non_null(strstr(why, " with weights that also stay packed, "));
    assert_non_null(strstr(why, "--max-memory allows"));
    assert_non_null(strstr(err.text, why));
    close_packed(&desk, &bench, path);
}

/* A baseline that never asks the model fits everywhere, and so does everything without a limit. */
static void test_no_limit(void **state)
{
    (void)state;
    struct desk desk;
    struct bench bench;
    struct error err;
    struct setting trained = setting_of(TRAINED), baseline = setting_of("majority");
    const char *why = "";
    char path[PACKED_PATH];
    open_packed(&desk, &bench, path, "--max-memory 60M");
    struct study *study = &desk.study;
    assert_int_equal(study->model->form, WEIGHTS_PACKED); /* from the start */
    study->memory_limit = measured(1);
    assert_false(memory_fits(study, &trained, 40, &why));
    assert_true(memory_fits(study, &baseline, 40, &why));
    desk_must(memory_settle(study, &baseline, 40, &err), &err);
    study->memory_limit = (struct measured){0};
    assert_true(memory_fits(study, &trained, 40, &why));
    desk_must(memory_settle(study, &trained, 40, &err), &err);
    close_packed(&desk, &bench, path);
}

/* What a rule reads: memory in the first way that fits, and at least that of the file's weights.
 * Without this a model that only fits packed would be refused before anything is tried. */
static void test_facts(void **state)
{
    (void)state;
    struct desk desk;
    struct bench bench;
    struct error err;
    struct facts facts;
    struct estimate estimate;
    struct data_profile profile = {0};
    char path[PACKED_PATH];
    open_packed(&desk, &bench, path, "--max-memory 4G");
    struct study *study = &desk.study;
    const struct technique *lora = technique_find("lora");
    const struct workload workload = study_workload(study, 40);
    double packed = (double)study->model->form_bytes[WEIGHTS_PACKED];
    desk_must(situation_of_study(study, &profile, &facts, &err), &err);
    double parameters = (double)study->model->n_parameters;
    double bits = facts_number(&facts, FACT_WEIGHT_BITS, 0);
    assert_true(bits > 4 && bits < 32 && fabs(bits - 8 * packed / parameters) < 1e-9);
    double before = INFINITY;
    for (size_t way = 0; way_at(way); way++) {
        facts_set(&facts, FACT_MEMORY, way ? before - 1 : 1e12);
        facts_of_technique(&facts, lora, &workload, &estimate);
        double trained = (double)estimate.cost.trainable_parameters;
        assert_true(estimate.memory_bytes < before);
        assert_true(fabs(estimate.memory_least - packed - 16 * trained) < 1);
        assert_true(fabs(facts_number(&facts, FACT_MEMORY_NEEDED, 0) - estimate.memory_bytes) < 1);
        before = estimate.memory_bytes;
    }
    facts_set(&facts, FACT_MEMORY, 1); /* nothing fits: what the last way takes */
    facts_of_technique(&facts, lora, &workload, &estimate);
    assert_true(fabs(estimate.memory_bytes - before) < 1);
    close_packed(&desk, &bench, path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_ways),
        cmocka_unit_test(test_no_limit),
        cmocka_unit_test(test_facts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
