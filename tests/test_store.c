/* SPDX-License-Identifier: Apache-2.0
 *
 * The records of a study file as its users see them: what goes in comes out, what is wrong is
 * refused with a sentence, and what a trial may become. The file itself is in test_store_file.c,
 * who owns a trial in test_store_owner.c, crashes and concurrency are in test_store_crash.c.
 */
#define _DEFAULT_SOURCE
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "tests/store_suite.h"

/* ---- The study row -------------------------------------------------------------------------- */

static void test_study(void **state)
{
    struct study_place *place = *state;
    struct error err = {0};
    struct study_record study, found;
    bool there;
    struct store *store = must_open(place->file, STORE_CREATE);
    assert_string_equal(store_path(store), place->file);
    must(store_study_get(store, &place->arena, &found, &there, &err), &err);
    assert_false(there);
    double total = 0;
    must_refuse(store_add_spent(store, 1, &total, &err), FAILED, &err, "no study");

    study = small_study();
    must(store_study_put(store, &study, &err), &err);
    must(store_add_spent(store, 1.5, &total, &err), &err);
    must(store_add_spent(store, 2.25, &total, &err), &err);
    assert_true(total == 3.75);
    study.done = true;
    study.recommendation = "{\"technique\":\"lora\"}";
    study.test_path = "test.csv";
    study.test_sha256 = HASH;
    must(store_study_put(store, &study, &err), &err);
    store_close(store);

    store = must_open(place->file, STORE_EXISTING);
    must(store_study_get(store, &place->arena, &found, &there, &err), &err);
    assert_true(there && found.done && found.spent_seconds == 3.75);
    assert_true(found.seed == study.seed && found.created_ms == study.created_ms);
    assert_string_equal(found.name, "tickets");
    assert_string_equal(found.model_sha256, HASH);
    assert_string_equal(found.model_facts, study.model_facts);
    assert_string_equal(found.test_path, "test.csv");
    assert_string_equal(found.recommendation, study.recommendation);
    must_be_sound(store);
    store_close(store);
}

static void test_study_refusals(void **state)
{
    struct study_place *place = *state;
    struct error err = {0};
    struct store *store = must_open(place->file, STORE_CREATE);
    struct study_record study = small_study();
    study.profile = "{broken";
    must_refuse(store_study_put(store, &study, &err), FAILED, &err,
                "the profile is not valid JSON: {broken");
    study = small_study();
    study.data_sha256 = "abc";
    must_refuse(store_study_put(store, &study, &err), FAILED, &err, "data_sha256");
    study = small_study();
    study.name = NULL;
    must_refuse(store_study_put(store, &study, &err), FAILED, &err, "study.name");
    assert_non_null(strstr(err.text, place->file));
    study = small_study();
    must(store_study_put(store, &study, &err), &err);
    const double wrong[] = {NAN, INFINITY, -1};
    for (size_t i = 0; i < 3; i++)
        must_refuse(store_add_spent(store, wrong[i], NULL, &err), FAILED, &err, "finite");
    store_close(store);
}

/* ---- The life of a trial -------------------------------------------------------------------- */

static void test_plan_is_idempotent(void **state)
{
    struct study_place *place = *state;
    struct error err = {0};
    struct store *store = start(place, 3);
    struct trial_key key = small_key(1);
    int64_t id = 0;
    must(trial_plan(store, &key, &id, &err), &err);
    assert_int_equal(id, 2);
    key.seed = UINT64_MAX;
    must(trial_plan(store, &key, &id, &err), &err);
    assert_int_equal(id, 4);
    key.setting = "no JSON";
    must_refuse(trial_plan(store, &key, &id, &err), FAILED, &err,
                "the setting is not valid JSON: no JSON");
    key = small_key(0);
    key.examples = -1;
    must_refuse(trial_plan(store, &key, &id, &err), FAILED, &err, "examples >= 0");
    key.technique = NULL;
    must_refuse(trial_plan(store, &key, &id, &err), FAILED, &err, "technique");

    struct trial_record *records;
    size_t count;
    must(store_trials(store, &place->arena, &records, &count, &err), &err);
    assert_int_equal(count, 4);
    assert_int_equal(records[3].id, 4);
    assert_true(records[3].key.seed == UINT64_MAX);
    assert_string_equal(records[1].key.technique, "zero_shot");
    assert_int_equal(records[1].status, TRIAL_PLANNED);
    assert_string_equal(records[1].reason, "");
    assert_null(records[1].metric_name);
    assert_false(records[1].metric.known);
    store_close(store);
}

static void test_finish(void **state)
{
    struct study_place *place = *state;
    struct error err = {0};
    struct store *store = start(place, 1);
    must_claim(store, 1, CLAIM_OURS);
    struct trial_record running = read_trial(place, store, 1);
    assert_int_equal(running.status, TRIAL_RUNNING);
    assert_int_equal(running.pid, getpid());
    assert_true(llabs(clock_unix_ms() - running.started_ms) < 60000);
    assert_true(strlen(running.host) > 0);
    must_claim(store, 1, CLAIM_OTHER);
    must(small_finish(store, 1, &err), &err);
    must_claim(store, 1, CLAIM_SETTLED);

    struct trial_record done = read_trial(place, store, 1);
    assert_int_equal(done.status, TRIAL_DONE);
    assert_string_equal(done.metric_name, "accuracy");
    assert_true(done.metric.known && done.metric.value == 0.5 && done.low.value == 0.25);
    assert_true(done.test_metric.value == 0.6 && done.trainable_parameters.value == 460800);
    assert_true(done.artifact_bytes.known && done.artifact_bytes.value == 0);
    assert_true(!done.latency_ms.known && !done.prequential_nll.known);
    assert_true(!done.forgetting.known && !done.metrics);
    assert_true(done.finished_ms >= done.started_ms);
    assert_int_equal(done.dev_predictions, SMALL_DEV);
    assert_int_equal(done.test_predictions, SMALL_TEST);
    check_predictions(place, store, 1, SIDE_DEV, SMALL_DEV);
    check_predictions(place, store, 1, SIDE_TEST, SMALL_TEST);
    must_refuse(small_finish(store, 1, &err), FAILED, &err, "trial 1 is done");
    must_be_sound(store);
    store_close(store);
}

/* A rate race: costs, no metric, no predictions. */
static void test_finish_without_metric(void **state)
{
    struct study_place *place = *state;
    struct error err = {0};
    struct store *store = start(place, 2);
    must_claim(store, 1, CLAIM_OURS);
    struct trial_record record = {.id = 1,
                                  .prequential_nll = measured(1.25),
                                  .forgetting = measured(-0.5),
                                  .metrics = "{\"accuracy\":"};
    must_refuse(trial_finish(store, &record, &(struct trial_predictions){0}, &err), FAILED, &err,
                "metrics is not valid JSON");
    record.metrics = "{\"accuracy\":0.5}";
    must(trial_finish(store, &record, &(struct trial_predictions){0}, &err), &err);
    struct trial_record found = read_trial(place, store, 1);
    assert_int_equal(found.status, TRIAL_DONE);
    assert_true(found.prequential_nll.value == 1.25 && !found.metric.known);
    assert_true(found.forgetting.known && found.forgetting.value == -0.5);
    assert_string_equal(found.metrics, "{\"accuracy\":0.5}");
    must_refuse(small_finish(store, 2, &err), FAILED, &err, "trial 2 is planned");
    must_refuse(small_finish(store, 99, &err), FAILED, &err, "no trial 99");
    must_be_sound(store);
    store_close(store);
}

static void test_test_side_later(void **state)
{
    struct study_place *place = *state;
    struct error err = {0};
    struct store *store = start(place, 1);
    struct prediction dev[SMALL_DEV], test[SMALL_TEST];
    small_predictions(dev, SMALL_DEV);
    small_predictions(test, SMALL_TEST);
    must_refuse(trial_test(store, 1, 0.6, test, SMALL_TEST, &err), FAILED, &err, "not done");
    must_claim(store, 1, CLAIM_OURS);
    struct trial_record record = small_result(1);
    must(trial_finish(store, &record, &(struct trial_predictions){dev, SMALL_DEV, NULL, 0}, &err),
         &err);
    must_refuse(trial_test(store, 1, NAN, test, SMALL_TEST, &err), FAILED, &err, "finite");
    must(trial_test(store, 1, 0.6, test, SMALL_TEST, &err), &err);
    must_refuse(trial_test(store, 1, 0.9, test, SMALL_TEST, &err), FAILED, &err, "has some");
    struct trial_record found = read_trial(place, store, 1);
    assert_true(found.test_metric.value == 0.6 && found.test_predictions == SMALL_TEST);
    check_predictions(place, store, 1, SIDE_TEST, SMALL_TEST);
    must_be_sound(store);
    store_close(store);
}

/* A result on the test side without its predictions cannot be replaced either. */
static void test_test_side_opens_once(void **state)
{
    struct study_place *place = *state;
    struct error err = {0};
    struct store *store = start(place, 1);
    must_claim(store, 1, CLAIM_OURS);
    struct trial_record record = small_result(1);
    record.test_metric = measured(0.6);
    must(trial_finish(store, &record, &(struct trial_predictions){0}, &err), &err);
    must_refuse(trial_test(store, 1, 0.9, NULL, 0, &err), FAILED, &err, "has some");
    assert_true(read_trial(place, store, 1).test_metric.value == 0.6);
    store_close(store);
}

/* Nothing of a refused result is written. */
static void test_refused_results(void **state)
{
    struct study_place *place = *state;
    struct error err = {0};
    struct store *store = start(place, 1);
    must_claim(store, 1, CLAIM_OURS);
    struct trial_record results[6];
    for (int i = 0; i < 6; i++)
        results[i] = small_result(1);
    results[0].nll = measured(NAN);
    results[1].latency_ms = measured(INFINITY);
    results[2].metric_name = NULL;
    results[3].high = (struct measured){0};
    results[4].low = measured(0.6);
    results[5].trainable_parameters = measured(0.5);
    const char *const words[] = {"nll is not",          "latency_ms is not",    "without a name",
                                 "without an interval", "outside its interval", "INTEGER column"};
    struct prediction dev[SMALL_DEV];
    small_predictions(dev, SMALL_DEV);
    struct trial_predictions predictions = {dev, SMALL_DEV, NULL, 0};
    for (int i = 0; i < 6; i++) {
        must_refuse(trial_finish(store, &results[i], &predictions, &err), FAILED, &err, words[i]);
        assert_non_null(strstr(err.text, place->file));
    }
    results[0] = small_result(1);
    dev[4].nll = NAN;
    must_refuse(trial_finish(store, results, &predictions, &err), FAILED, &err, "example 8");
    dev[4].nll = 1;
    dev[4].example = dev[5].example;
    must_refuse(trial_finish(store, results, &predictions, &err), FAILED, &err, "UNIQUE");
    dev[4].example = -1;
    must_refuse(trial_finish(store, results, &predictions, &err), FAILED, &err, "example >= 0");
    assert_int_equal(read_trial(place, store, 1).status, TRIAL_RUNNING);
    must_be_sound(store);
    must(small_finish(store, 1, &err), &err);
    store_close(store);
}

/* What trial_settle may and may not do; the rows of `allowed` are the status before. */
static void test_settle(void **state)
{
    struct study_place *place = *state;
    struct error err = {0};
    static const bool allowed[TRIAL_STATUSES][TRIAL_STATUSES] = {
        [TRIAL_PLANNED] = {[TRIAL_FAILED] = 1, [TRIAL_ELIMINATED] = 1, [TRIAL_REFUSED] = 1},
        [TRIAL_INTERRUPTED] = {[TRIAL_FAILED] = 1, [TRIAL_ELIMINATED] = 1, [TRIAL_REFUSED] = 1},
        [TRIAL_RUNNING] = {[TRIAL_FAILED] = 1, [TRIAL_INTERRUPTED] = 1},
        [TRIAL_FAILED] = {[TRIAL_PLANNED] = 1, [TRIAL_FAILED] = 1},
        [TRIAL_ELIMINATED] = {[TRIAL_PLANNED] = 1, [TRIAL_ELIMINATED] = 1},
        [TRIAL_REFUSED] = {[TRIAL_PLANNED] = 1, [TRIAL_REFUSED] = 1},
    };
    struct store *store = start(place, 1);
    for (int before = 0; before < TRIAL_STATUSES; before++) {
        for (int after = 0; after < TRIAL_STATUSES; after++) {
            char script[200];
            raw_sql(place->file, "UPDATE trial SET status = 'planned'");
            must_claim(store, 1, CLAIM_OURS);
            snprintf(script, sizeof script, "UPDATE trial SET status = '%s'",
                     trial_status_name((enum trial_status)before));
            raw_sql(place->file, script);
            enum status status = trial_settle(store, 1, (enum trial_status)after, "so", &err);
            if ((status == OK) != allowed[before][after])
                fail_msg("%s to %s: %d", trial_status_name((enum trial_status)before),
                         trial_status_name((enum trial_status)after), status);
            struct trial_record found = read_trial(place, store, 1);
            assert_int_equal(found.status, status == OK ? after : before);
            if (status == OK)
                assert_string_equal(found.reason, "so");
        }
    }
    must_refuse(trial_settle(store, 5, TRIAL_FAILED, "", &err), FAILED, &err, "no trial 5");
    store_close(store);
}

/* ---- What belongs to a trial ---------------------------------------------------------------- */

static void test_losses_and_checkpoint(void **state)
{
    struct study_place *place = *state;
    struct error err = {0};
    struct store *store = start(place, 1);
    struct loss_row rows[10], *found;
    size_t count, length;
    int64_t step;
    const void *bytes;
    for (int i = 0; i < 10; i++)
        rows[i] = (struct loss_row){i, 4 * i, 20 * i, 2.0 / (i + 1), 1e-3};
    must_refuse(trial_loss_add(store, 1, rows, 10, &err), FAILED, &err, "planned");
    must_claim(store, 1, CLAIM_OURS);
    must(trial_loss_add(store, 1, rows, 6, &err), &err);
    must(trial_checkpoint_save(store, 1, 3, "abc", 3, &err), &err);
    must(trial_checkpoint_save(store, 1, 5, "\0b\0", 3, &err), &err);
    must(trial_loss_add(store, 1, rows + 4, 6, &err), &err); /* 4 and 5 again */
    must(trial_loss_get(store, 1, &place->arena, &found, &count, &err), &err);
    assert_int_equal(count, 10);
    assert_memory_equal(found, rows, sizeof rows);
    rows[2].loss = NAN;
    must_refuse(trial_loss_add(store, 1, rows, 3, &err), FAILED, &err, "step 2");

    must(trial_settle(store, 1, TRIAL_INTERRUPTED, "by the user", &err), &err);
    must_claim(store, 1, CLAIM_OURS); /* goes on after step 5 */
    must(trial_loss_get(store, 1, &place->arena, &found, &count, &err), &err);
    assert_int_equal(count, 6);
    must(trial_checkpoint_load(store, 1, &place->arena, &step, &bytes, &length, &err), &err);
    assert_true(step == 5 && length == 3 && memcmp(bytes, "\0b\0", 3) == 0);
    must(small_finish(store, 1, &err), &err);
    must(trial_checkpoint_load(store, 1, &place->arena, &step, &bytes, &length, &err), &err);
    assert_null(bytes);
    must_be_sound(store);
    store_close(store);
}

static void test_claim_without_checkpoint(void **state)
{
    struct study_place *place = *state;
    struct error err = {0};
    struct store *store = start(place, 1);
    struct loss_row row = {0, 4, 20, 2.0, 1e-3}, *found;
    size_t count;
    must_claim(store, 1, CLAIM_OURS);
    must(trial_loss_add(store, 1, &row, 1, &err), &err);
    must(trial_settle(store, 1, TRIAL_INTERRUPTED, "", &err), &err);
    must_claim(store, 1, CLAIM_OURS);
    must(trial_loss_get(store, 1, &place->arena, &found, &count, &err), &err);
    assert_int_equal(count, 0);
    store_close(store);
}

static void test_artifact(void **state)
{
    struct study_place *place = *state;
    struct error err = {0};
    struct store *store = start(place, 2);
    const size_t large = 3 * 1000 * 1000;
    char *block = memory_alloc(large);
    for (size_t i = 0; i < large; i++)
        block[i] = (char)(i * 31);
    const void *bytes;
    size_t length;
    must_refuse(trial_artifact_save(store, 1, block, large, &err), FAILED, &err, "planned");
    must_claim(store, 1, CLAIM_OURS);
    must(trial_artifact_load(store, 1, &place->arena, &bytes, &length, &err), &err);
    assert_null(bytes);
    must(trial_artifact_save(store, 1, "first", 5, &err), &err);
    must(trial_artifact_save(store, 1, block, large, &err), &err);
    must(small_finish(store, 1, &err), &err);
    must(trial_artifact_load(store, 1, &place->arena, &bytes, &length, &err), &err);
    assert_int_equal(length, large);
    assert_memory_equal(bytes, block, large);
    must(trial_artifact_save(store, 1, "", 0, &err), &err); /* a done trial may be exported again */
    must(trial_artifact_load(store, 1, &place->arena, &bytes, &length, &err), &err);
    assert_true(bytes != NULL && length == 0);
    must_be_sound(store);
    store_close(store);
    free(block);
}

/* ---- Events and examples -------------------------------------------------------------------- */

static void test_events(void **state)
{
    struct study_place *place = *state;
    struct error err = {0};
    struct store *store = start(place, 0);
    struct event *events;
    size_t count;
    must(store_log(store, "open", "first", &err), &err);
    must(store_log(store, "note", "it's \"second\"; --", &err), &err);
    must(store_events(store, &place->arena, &events, &count, &err), &err);
    assert_int_equal(count, 2);
    assert_string_equal(events[0].kind, "open");
    assert_string_equal(events[1].text, "it's \"second\"; --");
    assert_true(events[0].time_ms > 1600000000000 && events[0].time_ms <= events[1].time_ms);
    store_close(store);
}

static void test_examples(void **state)
{
    struct study_place *place = *state;
    struct error err = {0};
    static const struct example_record rows[] = {{7, 9, "second", "no"},
                                                 {3, 5, "a \"quoted\"\n\u202E text", "yes"}};
    static const struct example_record other = {7, 1, "changed", "changed"};
    struct example_record *found;
    size_t count;
    struct store *store = must_open(place->file, STORE_CREATE);
    must(store_examples_get(store, SIDE_DEV, &place->arena, &found, &count, &err), &err);
    assert_int_equal(count, 0); /* a file of before there was the table */
    must(store_examples_put(store, SIDE_DEV, rows, 2, &err), &err);
    must(store_examples_put(store, SIDE_DEV, &other, 1, &err), &err);
    must(store_examples_put(store, SIDE_TEST, &other, 1, &err), &err);
    must_be_sound(store);
    store_close(store);
    store = must_open(place->file, STORE_READ);
    must(store_examples_get(store, SIDE_DEV, &place->arena, &found, &count, &err), &err);
    assert_int_equal(count, 2);
    assert_int_equal(found[0].example, 3);
    assert_int_equal(found[0].line, 5);
    assert_string_equal(found[0].input, rows[1].input);
    assert_string_equal(found[1].input, "second");
    assert_string_equal(found[1].target, "no");
    must(store_examples_get(store, SIDE_TEST, &place->arena, &found, &count, &err), &err);
    assert_int_equal(count, 1);
    must_refuse(store_examples_put(store, SIDE_DEV, rows, 2, &err), FAILED, &err, "reading only");
    store_close(store);
}

int main(void)
{
    disk_install(); /* without waiting for the platter */
    const struct CMUnitTest tests[] = {
        TEST(test_study),
        TEST(test_study_refusals),
        TEST(test_plan_is_idempotent),
        TEST(test_finish),
        TEST(test_finish_without_metric),
        TEST(test_test_side_later),
        TEST(test_test_side_opens_once),
        TEST(test_refused_results),
        TEST(test_settle),
        TEST(test_losses_and_checkpoint),
        TEST(test_claim_without_checkpoint),
        TEST(test_artifact),
        TEST(test_events),
        TEST(test_examples),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
