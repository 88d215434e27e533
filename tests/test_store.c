/* SPDX-License-Identifier: Apache-2.0
 *
 * The study file as its users see it: what goes in comes out, what is wrong is refused with a
 * sentence, and who may do what to a trial. Crashes and concurrency are in test_store_crash.c.
 */
#define _DEFAULT_SOURCE
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/clock.h"
#include "tests/store_faults.h"
#include "tests/store_support.h"

static int enter(void **state)
{
    *state = memory_alloc(sizeof(struct study_place));
    place_enter(*state);
    return 0;
}

static int leave(void **state)
{
    place_leave(*state);
    free(*state);
    return 0;
}

/* A study with `count` planned trials, numbered from 1. */
static struct store *start(const struct study_place *place, int count)
{
    struct store *store = must_open(place->file, STORE_CREATE);
    struct study_record study = small_study();
    struct error err = {0};
    must(store_study_put(store, &study, &err), &err);
    for (int i = 0; i < count; i++) {
        struct trial_key key = small_key(i);
        int64_t id = 0;
        must(trial_plan(store, &key, &id, &err), &err);
        assert_int_equal(id, i + 1);
    }
    return store;
}

static void must_claim(struct store *store, int64_t id, enum claim expected)
{
    struct error err = {0};
    enum claim claim;
    must(trial_claim(store, id, &claim, &err), &err);
    assert_int_equal(claim, expected);
}

static struct trial_record read_trial(struct study_place *place, struct store *store, int64_t id)
{
    struct trial_record record;
    struct error err = {0};
    must(store_trial(store, id, &place->arena, &record, &err), &err);
    return record;
}

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

/* ---- Files that are no study ---------------------------------------------------------------- */

static void write_file(const char *path, const void *bytes, size_t length)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    fclose(file);
}

static void plant_nothing(const struct study_place *place)
{
    (void)place;
}

static void plant_empty(const struct study_place *place)
{
    write_file(place->file, "", 0);
}

static void plant_text(const struct study_place *place)
{
    static const char line[] = "input,label\nsome text that is long enough for a header,a\n";
    FILE *file = fopen(place->file, "wb");
    assert_non_null(file);
    for (int i = 0; i < 200; i++)
        fputs(line, file);
    fclose(file);
}

static void plant_short(const struct study_place *place)
{
    write_file(place->file, "SQLite format 3", 15);
}

static void plant_folder(const struct study_place *place)
{
    assert_int_equal(mkdir(place->file, 0700), 0);
}

static void plant_foreign(const struct study_place *place)
{
    raw_sql(place->file, "PRAGMA application_id = 0x12345678; CREATE TABLE t (a)");
}

static void plant_nameless(const struct study_place *place)
{
    raw_sql(place->file, "CREATE TABLE study (a)");
}

static void plant_newer(const struct study_place *place)
{
    store_close(start(place, 1));
    raw_sql(place->file, "PRAGMA user_version = 3");
}

static void plant_older(const struct study_place *place)
{
    store_close(start(place, 1));
    raw_sql(place->file, "PRAGMA user_version = 0");
}

/* A journal that says the last writer did not end well. */
static void leave_journal(const struct study_place *place)
{
    char journal[400];
    snprintf(journal, sizeof journal, "%s-wal", place->file);
    write_file(journal, "left behind", 11);
}

/* Garbage in the middle. */
static void plant_damaged(const struct study_place *place)
{
    store_close(start(place, 200));
    FILE *file = fopen(place->file, "r+b");
    assert_non_null(file);
    for (long page = 1; page < 12; page++) {
        fseek(file, 4096 * page + 100, SEEK_SET);
        for (int i = 0; i < 500; i++)
            fputc(0xA5, file);
    }
    fclose(file);
    leave_journal(place);
}

static void plant_cut(const struct study_place *place)
{
    store_close(start(place, 200));
    assert_int_equal(truncate(place->file, 4096 * 5), 0);
    leave_journal(place);
}

struct refusal {
    void (*plant)(const struct study_place *place);
    int flags;
    enum status status;
    const char *words;
};

static void test_no_studies(void **state)
{
    struct study_place *place = *state;
    const struct refusal rows[] = {
        {plant_nothing, STORE_EXISTING, USAGE, "no such study file"},
        {plant_nothing, STORE_READ, USAGE, "no such study file"},
        {plant_nothing, STORE_READ | STORE_CREATE, USAGE, "no such study file"},
        {plant_empty, STORE_EXISTING, USAGE, "empty"},
        {plant_empty, STORE_READ, USAGE, "empty"},
        {plant_text, STORE_EXISTING, USAGE, "not a database"},
        {plant_text, STORE_CREATE, USAGE, "not a database"},
        {plant_text, STORE_READ, USAGE, "not a database"},
        {plant_short, STORE_CREATE, USAGE, "not a database"},
        {plant_folder, STORE_CREATE, USAGE, "regular file"},
        {plant_foreign, STORE_CREATE, USAGE, "another program"},
        {plant_foreign, STORE_READ, USAGE, "0x12345678"},
        {plant_nameless, STORE_CREATE, USAGE, "another program"},
        {plant_newer, STORE_CREATE, USAGE, "newer version"},
        {plant_newer, STORE_READ, USAGE, "newer version"},
        {plant_older, STORE_CREATE, USAGE, "never released"},
        {plant_damaged, STORE_EXISTING, FAILED, "damaged"},
        {plant_cut, STORE_EXISTING, FAILED, "damaged"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct store *store;
        struct error err = {0};
        rows[i].plant(place);
        enum status status = store_open(place->file, rows[i].flags, &store, &err);
        assert_null(store);
        must_refuse(status, rows[i].status, &err, rows[i].words);
        must_refuse(status, rows[i].status, &err, place->file);
        place_empty(place);
    }
}

/* Many events, and their last pages overwritten: nothing that opening a file reads. */
static void plant_hidden_damage(const struct study_place *place)
{
    struct error err = {0};
    struct store *store = start(place, 1);
    char text[500];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    for (int i = 0; i < 200; i++)
        must(store_log(store, "note", text, &err), &err);
    store_close(store);
    FILE *file = fopen(place->file, "r+b");
    assert_non_null(file);
    for (long page = 1; page <= 8; page++) {
        fseek(file, -4096 * page, SEEK_END);
        fputc(0xA5, file);
    }
    fclose(file);
}

/* After an unclean end the whole file is looked at, otherwise only by store_check. */
static void test_hidden_damage(void **state)
{
    struct study_place *place = *state;
    struct error err = {0};
    struct text findings = {0};
    struct store *store;
    plant_hidden_damage(place);
    store = must_open(place->file, STORE_EXISTING);
    assert_int_equal(store_check(store, &findings, &err), FAILED);
    store_close(store);
    text_release(&findings);
    leave_journal(place);
    must_refuse(store_open(place->file, STORE_EXISTING, &store, &err), FAILED, &err, "damaged");
}

/* A file of another program is left exactly as it was. */
static void test_foreign_file_untouched(void **state)
{
    struct study_place *place = *state;
    char before[8192] = {0}, after[8192] = {0};
    struct store *store;
    plant_foreign(place);
    for (int round = 0; round < 2; round++) {
        FILE *file = fopen(place->file, "rb");
        assert_non_null(file);
        assert_true(fread(round ? after : before, 1, sizeof before, file) > 0);
        fclose(file);
        if (!round)
            assert_int_equal(store_open(place->file, STORE_CREATE, &store, NULL), USAGE);
    }
    assert_memory_equal(before, after, sizeof before);
}

static void test_bad_paths(void **state)
{
    struct study_place *place = *state;
    struct error err = {0};
    struct store *store;
    char path[400];
    must_refuse(store_open("", STORE_CREATE, &store, &err), USAGE, &err, "name");
    must_refuse(store_open(":memory:", STORE_CREATE, &store, &err), USAGE, &err, "name");
    snprintf(path, sizeof path, "%s/no/study.db", place->folder);
    must_refuse(store_open(path, STORE_CREATE, &store, &err), FAILED, &err, "folder exists");
    plant_empty(place);
    snprintf(path, sizeof path, "%s/study.db", place->file);
    must_refuse(store_open(path, STORE_CREATE, &store, &err), FAILED, &err, path);
    store = must_open(place->file, STORE_CREATE); /* an empty file becomes a study file */
    must_be_sound(store);
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

static void check_predictions(struct study_place *place, struct store *store, int64_t id,
                              enum side side, size_t expected)
{
    struct prediction wanted[SMALL_DEV], *found;
    struct error err = {0};
    size_t count;
    small_predictions(wanted, expected);
    must(trial_predictions_get(store, id, side, &place->arena, &found, &count, &err), &err);
    assert_int_equal(count, expected);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(found[i].example, wanted[i].example);
        assert_int_equal(found[i].truth, wanted[i].truth);
        assert_int_equal(found[i].label, wanted[i].label);
        assert_true(found[i].correct == wanted[i].correct && found[i].scored == wanted[i].scored);
        assert_true(!found[i].scored || (found[i].nll == wanted[i].nll &&
                                         found[i].probability == wanted[i].probability));
        assert_true((found[i].text == NULL) == (wanted[i].text == NULL));
        if (wanted[i].text)
            assert_string_equal(found[i].text, wanted[i].text);
        assert_null(found[i].target);
        assert_null(found[i].probabilities);
    }
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

/* ---- Trials left behind --------------------------------------------------------------------- */

/* A running trial whose row says something else about who runs it. */
static void test_left_behind(void **state)
{
    struct study_place *place = *state;
    struct error err = {0};
    static const struct {
        const char *change;
        bool left;
    } rows[] = {
        {"heartbeat_ms = heartbeat_ms", false},
        {"boot_id = 'another start'", true},
        {"pid = 2147483647", true},
        {"process_start = process_start + 1", true},      /* the number was given out again */
        {"heartbeat_ms = heartbeat_ms - 3600000", false}, /* silent, but it lives */
        {"process_start = 0, heartbeat_ms = heartbeat_ms - 61000", true},
        {"process_start = 0, heartbeat_ms = heartbeat_ms - 50000", false},
        {"host = 'elsewhere', pid = 2147483647", false},
        {"host = 'elsewhere', heartbeat_ms = heartbeat_ms - 61000", true},
        {"host = 'elsewhere', boot_id = 'x'", false},
    };
    struct store *store = start(place, 1);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char script[300];
        enum claim claim;
        raw_sql(place->file, "UPDATE trial SET status = 'planned'");
        must_claim(store, 1, CLAIM_OURS);
        snprintf(script, sizeof script, "UPDATE trial SET %s", rows[i].change);
        raw_sql(place->file, script);
        store_close(store);
        store = must_open(place->file, STORE_READ); /* changes nothing */
        assert_int_equal(read_trial(place, store, 1).status, TRIAL_RUNNING);
        store_close(store);
        store = must_open(place->file, STORE_EXISTING);
        struct trial_record found = read_trial(place, store, 1);
        if (found.status != (rows[i].left ? TRIAL_INTERRUPTED : TRIAL_RUNNING))
            fail_msg("%s: %s", rows[i].change, trial_status_name(found.status));
        assert_true((strstr(found.reason, "without finishing") != NULL) == rows[i].left);
        must(trial_claim(store, 1, &claim, &err), &err);
        assert_int_equal(claim, rows[i].left ? CLAIM_OURS : CLAIM_OTHER);
    }
    struct event *events;
    size_t count;
    must(store_events(store, &place->arena, &events, &count, &err), &err);
    assert_int_equal(count, 5);
    assert_string_equal(events[0].kind, "interrupted");
    assert_non_null(strstr(events[0].text, "trial 1"));
    store_close(store);
}

/* Somebody else took the trial: the former owner may write nothing more. */
static void test_lost_trial(void **state)
{
    struct study_place *place = *state;
    struct error err = {0};
    struct store *store = start(place, 1);
    must_claim(store, 1, CLAIM_OURS);
    must(trial_heartbeat(store, 1, &err), &err);
    raw_sql(place->file, "UPDATE trial SET host = 'elsewhere', pid = 77");
    must(trial_heartbeat(store, 1, &err), &err); /* too soon after the last to look */
    struct loss_row row = {1, 2, 3, 0.5, 0.01};
    must_refuse(small_finish(store, 1, &err), FAILED, &err, "process 77 on elsewhere");
    must_refuse(trial_loss_add(store, 1, &row, 1, &err), FAILED, &err, "process 77");
    must_refuse(trial_checkpoint_save(store, 1, 1, "x", 1, &err), FAILED, &err, "process 77");
    must_refuse(trial_artifact_save(store, 1, "x", 1, &err), FAILED, &err, "process 77");
    must_refuse(trial_settle(store, 1, TRIAL_FAILED, "", &err), FAILED, &err, "process 77");
    must_be_sound(store);
    store_close(store);
    store = must_open(place->file, STORE_EXISTING);
    must_refuse(trial_heartbeat(store, 1, &err), FAILED, &err, "process 77");
    store_close(store);
}

/* All four parts of the owner's identity count. */
static void test_owner(void **state)
{
    struct study_place *place = *state;
    struct error err = {0};
    static const char *const changes[] = {"host = 'x'", "boot_id = 'x'", "pid = pid + 1",
                                          "process_start = process_start + 1"};
    struct store *store = start(place, 1);
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        char script[200];
        raw_sql(place->file, "UPDATE trial SET status = 'planned'");
        must_claim(store, 1, CLAIM_OURS);
        snprintf(script, sizeof script, "UPDATE trial SET %s", changes[i]);
        raw_sql(place->file, script);
        must_refuse(small_finish(store, 1, &err), FAILED, &err, "belongs to process");
    }
    store_close(store);
}

static void test_heartbeat(void **state)
{
    struct study_place *place = *state;
    struct error err = {0};
    struct store *store = start(place, 1);
    must_claim(store, 1, CLAIM_OURS);
    raw_sql(place->file, "UPDATE trial SET heartbeat_ms = 5");
    must(trial_heartbeat(store, 1, &err), &err);
    int64_t first = read_trial(place, store, 1).heartbeat_ms;
    assert_true(llabs(clock_unix_ms() - first) < 60000);
    raw_sql(place->file, "UPDATE trial SET heartbeat_ms = 6");
    must(trial_heartbeat(store, 1, &err), &err); /* within ten seconds: not written */
    assert_int_equal(read_trial(place, store, 1).heartbeat_ms, 6);
    store_close(store);
}

/* A child that is killed leaves its trial behind, checkpoint and all. */
static void test_dead_child(void **state)
{
    struct study_place *place = *state;
    struct error err = {0};
    store_close(start(place, 2));
    pid_t child = fork();
    if (child == 0) {
        struct store *mine;
        enum claim claim;
        bool good = store_open(place->file, STORE_EXISTING, &mine, &err) == OK &&
                    trial_claim(mine, 1, &claim, &err) == OK && claim == CLAIM_OURS &&
                    trial_checkpoint_save(mine, 1, 40, "state", 5, &err) == OK;
        if (good)
            raise(SIGKILL);
        _exit(1);
    }
    int ended;
    waitpid(child, &ended, 0);
    assert_true(WIFSIGNALED(ended) && WTERMSIG(ended) == SIGKILL);
    struct store *store = must_open(place->file, STORE_EXISTING);
    assert_int_equal(read_trial(place, store, 1).status, TRIAL_INTERRUPTED);
    must_claim(store, 1, CLAIM_OURS);
    int64_t step;
    const void *bytes;
    size_t length;
    must(trial_checkpoint_load(store, 1, &place->arena, &step, &bytes, &length, &err), &err);
    assert_true(step == 40 && length == 5 && memcmp(bytes, "state", 5) == 0);
    store_close(store);
}

/* A store of the parent is of no use in the child. When all is well the child kills itself, since a
 * leak checker would find what it may not close. */
static void test_fork_refused(void **state)
{
    struct study_place *place = *state;
    struct store *store = start(place, 1);
    pid_t child = fork();
    if (child == 0) {
        struct error err = {0};
        enum claim claim;
        if (trial_claim(store, 1, &claim, &err) == FAILED && strstr(err.text, "another process"))
            raise(SIGKILL);
        _exit(1);
    }
    int ended;
    waitpid(child, &ended, 0);
    assert_true(WIFSIGNALED(ended) && WTERMSIG(ended) == SIGKILL);
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

/* ---- Access --------------------------------------------------------------------------------- */

static void test_read_only(void **state)
{
    struct study_place *place = *state;
    struct error err = {0};
    struct store *writer = start(place, 1);
    struct store *reader = must_open(place->file, STORE_READ); /* beside a living writer */
    struct trial_key key = small_key(5);
    enum claim claim;
    int64_t id;
    must_refuse(trial_plan(reader, &key, &id, &err), FAILED, &err, "for reading only");
    must_refuse(trial_claim(reader, 1, &claim, &err), FAILED, &err, "for reading only");
    must_refuse(store_log(reader, "note", "x", &err), FAILED, &err, "for reading only");
    must_claim(writer, 1, CLAIM_OURS);
    must(small_finish(writer, 1, &err), &err);
    assert_int_equal(read_trial(place, reader, 1).status, TRIAL_DONE);
    check_predictions(place, reader, 1, SIDE_DEV, SMALL_DEV);
    store_close(reader);
    store_close(writer);
}

/* In a folder that cannot be written a study can still be read, and writing says what is wrong.
 * Root may write anywhere, so the child becomes somebody else. */
static void test_unwritable_folder(void **state)
{
    struct study_place *place = *state;
    struct store *store = start(place, 3);
    store_close(store);
    assert_int_equal(chmod(place->file, 0444), 0);
    assert_int_equal(chmod(place->folder, 0555), 0);
    pid_t child = fork();
    if (child == 0) {
        struct error err = {0};
        struct trial_record *records;
        size_t count = 0;
        bool other = geteuid() != 0 || setuid(65534) == 0;
        bool read = store_open(place->file, STORE_READ, &store, &err) == OK &&
                    store_trials(store, &place->arena, &records, &count, &err) == OK && count == 3;
        store_close(store);
        bool refused = store_open(place->file, STORE_EXISTING, &store, &err) == FAILED &&
                       strstr(err.text, "cannot be written");
        if (!refused)
            fprintf(stderr, "%s\n", err.text);
        _exit(!other ? 2 : !read ? 3 : !refused ? 4 : 0);
    }
    int ended;
    waitpid(child, &ended, 0);
    assert_int_equal(chmod(place->folder, 0755), 0);
    assert_true(WIFEXITED(ended));
    assert_int_equal(WEXITSTATUS(ended), 0);
}

static void test_locked(void **state)
{
    struct study_place *place = *state;
    struct error err = {0};
    struct store *store = start(place, 1);
    sqlite3 *other;
    assert_int_equal(sqlite3_open(place->file, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    store_set_patience(store, 0.2);
    double begin = clock_seconds();
    must_refuse(store_log(store, "note", "x", &err), FAILED, &err, "keeps the file locked");
    assert_true(clock_seconds() - begin >= 0.15 && clock_seconds() - begin < 5);
    assert_int_equal(read_trial(place, store, 1).status, TRIAL_PLANNED); /* reading goes on */
    sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL);
    sqlite3_close(other);
    must(store_log(store, "note", "x", &err), &err);
    store_close(store);
}

static bool exists(const struct study_place *place, const char *ending)
{
    char path[400];
    snprintf(path, sizeof path, "%s%s", place->file, ending);
    return access(path, F_OK) == 0;
}

/* Where there is no shared memory: no write-ahead log, and nobody else beside the one writer. */
static void test_one_writer(void **state)
{
    struct study_place *place = *state;
    struct error err = {0};
    store_close(start(place, 1)); /* the file was made with a write-ahead log */
    struct store *store = must_open(place->file, STORE_EXISTING | STORE_ONE_WRITER);
    must_claim(store, 1, CLAIM_OURS);
    must(small_finish(store, 1, &err), &err);
    assert_false(exists(place, "-wal") || exists(place, "-shm"));
    sqlite3 *other;
    assert_int_equal(sqlite3_open(place->file, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "SELECT * FROM trial", NULL, NULL, NULL), SQLITE_BUSY);
    sqlite3_close(other);
    must_be_sound(store);
    store_close(store);
    store = must_open(place->file, STORE_EXISTING); /* and back */
    must(store_log(store, "note", "x", &err), &err);
    assert_true(exists(place, "-wal"));
    check_predictions(place, store, 1, SIDE_DEV, SMALL_DEV);
    store_close(store);
    assert_false(exists(place, "-wal"));
}

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

/* ---- The check ------------------------------------------------------------------------------ */

/* Faults planted behind the store's back; trial 1 is done, 2 planned, 3 running. */
static void test_check_finds(void **state)
{
    struct study_place *place = *state;
    static const char *const rows[][2] = {
        {"DELETE FROM prediction WHERE trial_id = 1 AND split = 'dev' AND example = 4",
         "trial 1 is done with 12 and 5 predictions (development, test), stored are 11 and 5"},
        {"UPDATE trial SET test_predictions = 6 WHERE id = 1", "trial 1 is done with 12 and 6"},
        {"INSERT INTO prediction VALUES (2, 'dev', 1, 0, 0, 1, NULL, NULL, NULL)",
         "trial 2 is planned, yet has predictions"},
        {"UPDATE trial SET metric = 0.5 WHERE id = 2", "trial 2 is planned, yet has a result"},
        {"UPDATE trial SET finished_ms = NULL WHERE id = 1", "trial 1 is done without a time"},
        {"UPDATE trial SET host = NULL WHERE id = 3", "nobody is named"},
        {"UPDATE trial SET high = 0.4 WHERE id = 1", "outside its interval"},
        {"INSERT INTO checkpoint VALUES (1, 5, x'00')", "trial 1 is done, yet has a checkpoint"},
        {"UPDATE prediction SET correct = 1 - correct WHERE example = 2 AND split = 'test'",
         "trial 1, test, example 2"},
        {"INSERT INTO artifact VALUES (99, x'00')", "names a row of table trial"},
        {"UPDATE study SET profile = '{'", "a JSON text of the study"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct error err = {0};
        struct store *store = start(place, 3);
        must_claim(store, 1, CLAIM_OURS);
        must(small_finish(store, 1, &err), &err);
        must_claim(store, 3, CLAIM_OURS);
        must_be_sound(store);
        raw_sql(place->file, rows[i][0]);
        struct text findings = {0};
        must_refuse(store_check(store, &findings, &err), FAILED, &err, "found 1 fault");
        if (!strstr(text_string(&findings), rows[i][1]))
            fail_msg("%s: found \"%s\"", rows[i][0], text_string(&findings));
        text_release(&findings);
        store_close(store);
        place_empty(place);
    }
}

/* ---- Examples ------------------------------------------------------------------------------- */

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

#define TEST(function) cmocka_unit_test_setup_teardown(function, enter, leave)

int main(void)
{
    disk_install(); /* without waiting for the platter */
    const struct CMUnitTest tests[] = {
        TEST(test_study),
        TEST(test_study_refusals),
        TEST(test_no_studies),
        TEST(test_hidden_damage),
        TEST(test_foreign_file_untouched),
        TEST(test_bad_paths),
        TEST(test_plan_is_idempotent),
        TEST(test_finish),
        TEST(test_finish_without_metric),
        TEST(test_test_side_later),
        TEST(test_test_side_opens_once),
        TEST(test_refused_results),
        TEST(test_settle),
        TEST(test_left_behind),
        TEST(test_lost_trial),
        TEST(test_owner),
        TEST(test_heartbeat),
        TEST(test_dead_child),
        TEST(test_fork_refused),
        TEST(test_losses_and_checkpoint),
        TEST(test_claim_without_checkpoint),
        TEST(test_artifact),
        TEST(test_read_only),
        TEST(test_unwritable_folder),
        TEST(test_locked),
        TEST(test_one_writer),
        TEST(test_events),
        TEST(test_check_finds),
        TEST(test_examples),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
